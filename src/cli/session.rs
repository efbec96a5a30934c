//! An engine on a TUN, watched.

use super::watcher::Watcher;
use crate::engine::Engine;
use crate::event::{Event, EventKind, FlowId};
use crate::sys::child::Child;
use crate::sys::clock::Clock;
use crate::sys::driver::{Driver, Until};
use crate::sys::tun::Tun;
use crate::sys::wait::{Ready, Waiter};
use smoltcp::time::Instant;
use std::io;
use std::os::fd::AsFd;

/// An engine at work on a TUN, and whoever watches it.
pub(super) struct Session<'a> {
    pub(super) engine: Engine,
    driver: Driver<'a>,
    audience: Audience,
}

/// Those who are told of every event.
struct Audience {
    watcher: Watcher,
    /// How the flow ended that is waited for.
    awaited: Option<(FlowId, Option<Outcome>)>,
}

/// What a program returned; `None` where it could not run to its end.
type Outcome = Option<Result<(), String>>;

impl<'a> Session<'a> {
    pub(super) fn new(
        engine: Engine,
        tun: &'a Tun,
        waiter: &'a Waiter,
        clock: Clock,
        watcher: Watcher,
    ) -> Session<'a> {
        Session {
            engine,
            driver: Driver::new(tun, waiter, clock),
            audience: Audience {
                watcher,
                awaited: None,
            },
        }
    }

    /// The time.
    pub(super) fn now(&self) -> Instant {
        self.driver.now()
    }

    /// From now on the end of `flow` is remembered.
    pub(super) fn await_end(&mut self, flow: FlowId) {
        self.audience.awaited = Some((flow, None));
    }

    /// How the awaited flow has ended, if it has.
    pub(super) fn outcome(&self) -> Option<&Outcome> {
        self.audience.awaited.as_ref()?.1.as_ref()
    }

    /// Waits until something happens, at the latest until `deadline`, and lets the engine deal with what is its business. What
    /// is not (signals, the end of the child, input) is returned.
    ///
    /// # Errors
    /// When the TUN is taken away, or the kernel can't wait.
    pub(super) fn step(
        &mut self,
        child: Option<&mut Child>,
        input: bool,
        deadline: Option<Instant>,
    ) -> anyhow::Result<Ready> {
        self.drain()?;
        self.audience.watcher.flush();
        let stdin = io::stdin();
        let until = Until {
            child,
            input: input.then(|| stdin.as_fd()),
            deadline,
        };
        let audience = &mut self.audience;
        Ok(self
            .driver
            .step(&mut self.engine, until, |event| audience.tell(&event))?)
    }

    /// Sends what is to be sent and shows what has happened.
    pub(super) fn drain(&mut self) -> anyhow::Result<()> {
        let audience = &mut self.audience;
        self.driver
            .drain(&mut self.engine, |event| audience.tell(&event))?;
        Ok(())
    }

    /// Shows the summary.
    pub(super) fn finish(self) {
        let now = self.now();
        self.audience.watcher.finish(now);
    }
}

impl Audience {
    fn tell(&mut self, event: &Event) {
        if let (EventKind::Closed(closed), Some((awaited, outcome))) =
            (&event.kind, &mut self.awaited)
            && event.flow == Some(*awaited)
        {
            *outcome = Some(closed.result.clone());
        }
        self.watcher.event(event);
    }
}
