//! What every program has: the time, sleep, and a voice in the log.

use smoltcp::time::{Duration, Instant};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

/// A handle on the time as the engine tells it. Clones share it.
#[derive(Clone, Debug)]
pub struct Task {
    shared: Rc<RefCell<Shared>>,
}

#[derive(Debug)]
struct Shared {
    now: Instant,
    epoch: Duration,
    wake_at: Option<Instant>,
    yielded: bool,
    notes: Vec<String>,
}

impl Task {
    /// `epoch` is the wall-clock time at [`Instant::ZERO`], counted from 1970-01-01 00:00:00 UTC.
    pub(crate) fn new(epoch: Duration) -> Task {
        let shared = Shared {
            now: Instant::ZERO,
            epoch,
            wake_at: None,
            yielded: false,
            notes: Vec::new(),
        };
        Task {
            shared: Rc::new(RefCell::new(shared)),
        }
    }

    /// The time of the step that is going on.
    pub fn now(&self) -> Instant {
        self.shared.borrow().now
    }

    /// The wall-clock time, counted from 1970-01-01 00:00:00 UTC.
    pub fn wall_clock(&self) -> Duration {
        let shared = self.shared.borrow();
        shared.epoch + (shared.now - Instant::ZERO)
    }

    /// Says something that people who watch will see, as part of this flow.
    pub fn note(&self, text: impl Into<String>) {
        self.shared.borrow_mut().notes.push(text.into());
    }

    /// Waits for `duration`.
    pub async fn sleep(&self, duration: Duration) {
        let end = self.now() + duration;
        poll_fn(|_| {
            let mut shared = self.shared.borrow_mut();
            if shared.now >= end {
                return Poll::Ready(());
            }
            shared.wake_by(end);
            Poll::Pending
        })
        .await;
    }

    /// Waits for `work`, but no longer than `limit`; `None` when the time is up first.
    pub async fn timeout<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        let mut limit = pin!(self.sleep(limit));
        poll_fn(|context| {
            if let Poll::Ready(result) = work.as_mut().poll(context) {
                return Poll::Ready(Some(result));
            }
            limit.as_mut().poll(context).map(|()| None)
        })
        .await
    }

    /// Lets everything that waits to be sent go out first.
    pub async fn yield_now(&self) {
        let mut yielded = false;
        poll_fn(|_| {
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            self.shared.borrow_mut().yielded = true;
            Poll::Pending
        })
        .await;
    }

    /// Has the program polled again at `at`, if nothing happens before.
    pub(crate) fn wake_by(&self, at: Instant) {
        self.shared.borrow_mut().wake_by(at);
    }

    /// To be called before each poll of the program.
    pub(crate) fn begin(&self, now: Instant) {
        let mut shared = self.shared.borrow_mut();
        shared.now = now;
        shared.wake_at = None;
        shared.yielded = false;
    }

    /// When the program wants to be polled again even if nothing else happens.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        self.shared.borrow().wake_at
    }

    /// Whether the program wants to be polled again as soon as its flow has nothing more to send.
    pub(crate) fn has_yielded(&self) -> bool {
        self.shared.borrow().yielded
    }

    /// What the program has said since the last call.
    pub(crate) fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.borrow_mut().notes)
    }
}

impl Shared {
    fn wake_by(&mut self, at: Instant) {
        self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)));
    }
}

/// Waits for whichever of two futures is ready first, and drops the other one; `one` where both are.
///
/// So a program reads and writes at the same time.
pub async fn race<T>(one: impl Future<Output = T>, other: impl Future<Output = T>) -> T {
    let mut one = pin!(one);
    let mut other = pin!(other);
    poll_fn(|context| {
        if let Poll::Ready(result) = one.as_mut().poll(context) {
            return Poll::Ready(result);
        }
        other.as_mut().poll(context)
    })
    .await
}
