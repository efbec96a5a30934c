//! The live screen: draws a [`View`] on a terminal and tells what its keys ask for.
//!
//! ```text
//!   the thread of the engine                       the thread of the screen
//!   Live::event ──── bounded channel ───────────▶  App ──▶ frames ──▶ terminal
//!   Live::requests ◀──── channel, and a pipe ────  App ◀── keys ◀──── terminal
//!                                                   ▲ ▼
//!                                                  Program: what the command prints and reads
//! ```
//!
//! The engine never waits for the screen. Where the screen can't follow, events are lost and counted, the count is
//! shown, and what is true after them is handed over whole, so that no state shown is a guess.
//!
//! [`App`] is all of the screen but for the terminal: keys in, frames out, no clock, no thread.

mod app;
mod detail;
mod diagram;
mod draw;
mod help;
mod keys;
mod ladder;
mod layout;
mod look;
mod output;
mod rates;
mod record;
mod terminal;
mod thread;

#[cfg(test)]
mod tests;

pub use app::{App, Pane, Request, Setup};
pub use look::Look;
pub use thread::Program;

use crate::event::{Event, EventKind, Packet, Released};
use crate::fault::RuleSet;
use crate::view::View;
use smoltcp::time::Instant;
use std::collections::VecDeque;
use std::io::{self, PipeReader, Read, pipe};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{self, Duration};
use terminal::{Held, Terminal};
use thread::Drawing;

/// How many events may wait for the screen.
const WAITING: usize = 4_096;
/// So many bytes of a packet are shown at most: all headers, and enough of the data.
const SHOWN: usize = 512;
/// How long after a loss the whole view is handed over, at the earliest: that takes a while with many flows.
const RESUME: Duration = Duration::from_millis(250);
/// So much output of our own client may wait for the screen, in bytes.
const OUTPUT: usize = 1 << 20;
/// How long the screen may take to end: a few frames as a rule.
const PATIENCE: Duration = Duration::from_secs(1);
/// So many lines of the log may.
const NOTES: usize = 100;

/// A screen at work. Dropping it gives the terminal back.
#[derive(Debug)]
pub struct Live {
    events: Option<SyncSender<Event>>,
    mail: Arc<Mutex<Mail>>,
    requests: Receiver<Request>,
    wake: Arc<PipeReader>,
    thread: Option<JoinHandle<io::Result<()>>>,
    held: Option<Arc<Held>>,
    /// The newest event, how many were lost so far, and for how many of them a view was handed over, and when.
    newest: u64,
    /// Whether nothing may be lost, and events wait for the screen instead.
    is_patient: bool,
    lost: u64,
    told: u64,
    resumed_at: Option<time::Instant>,
}

/// What is handed over besides events.
#[derive(Debug, Default)]
struct Mail {
    resumed: Option<Resumed>,
    output: Vec<u8>,
    notes: VecDeque<String>,
    ended: Option<String>,
}

/// How to go on after a loss.
#[derive(Debug)]
struct Resumed {
    /// How many events were lost so far.
    lost: u64,
    /// The newest event that the view has seen, and the view.
    seen: u64,
    view: Box<View>,
}

impl Live {
    /// Takes over the terminal that standard error is, and begins to draw. Packets are interfered with by `rules`; `program` is
    /// the one that runs in the pane, if any; `clock` tells the time of events that happen now.
    ///
    /// Signals should be blocked in this thread, so that the screen's does not get them.
    ///
    /// # Errors
    /// When the terminal can't be set up, or no thread started.
    pub fn open(
        setup: Setup,
        rules: &RuleSet,
        program: Option<Box<dyn Program>>,
        clock: impl Fn() -> Instant + Send + 'static,
    ) -> io::Result<Live> {
        let is_patient = setup.is_capture;
        let (event_sender, events) = sync_channel(WAITING);
        let (request_sender, requests) = channel();
        let (wake, waker) = pipe()?;
        let mail = Arc::new(Mutex::new(Mail::default()));
        let terminal = Terminal::take()?;
        // What keys are read with is opened with the first question for one, and later nothing may be opened any more.
        terminal.open_keys()?;
        let held = terminal.held();
        let theirs = mail.clone();
        let rules = rules.clone();
        let thread = std::thread::Builder::new()
            .name("screen".into())
            .spawn(move || {
                let mut app = App::new(setup);
                app.rules_are(&rules);
                Drawing {
                    app,
                    terminal,
                    events,
                    mail: theirs,
                    requests: request_sender,
                    waker,
                    program,
                    clock,
                }
                .run()
            })?;
        Ok(Live {
            events: Some(event_sender),
            mail,
            requests,
            wake: Arc::new(wake),
            thread: Some(thread),
            held: Some(held),
            newest: 0,
            is_patient,
            lost: 0,
            told: 0,
            resumed_at: None,
        })
    }

    /// Shows an event, unless too many wait already. One of a capture waits until there is room.
    pub fn event(&mut self, event: &Event) {
        self.newest = event.number;
        if self.is_patient {
            if let Some(events) = &self.events {
                // It fails where the screen is gone, and then nobody misses it.
                let _ = events.send(short(event));
            }
            return;
        }
        if let Some(events) = &self.events
            && let Err(TrySendError::Full(_)) = events.try_send(short(event))
        {
            self.lost += 1;
        }
    }

    /// Makes good for events that were lost: `view` has seen all of them. To be called when nothing more happens for now.
    pub fn resume(&mut self, view: &View) {
        if self.resume_in() != Some(Duration::ZERO) {
            return;
        }
        self.told = self.lost;
        self.resumed_at = Some(time::Instant::now());
        mail(&self.mail).resumed = Some(Resumed {
            lost: self.lost,
            seen: self.newest,
            view: Box::new(view.clone()),
        });
    }

    /// In what time [`resume`](Live::resume) should be called again; `None` where nothing was lost.
    pub fn resume_in(&self) -> Option<Duration> {
        let since = self.resumed_at.map_or(RESUME, |at| at.elapsed());
        (self.told < self.lost).then(|| RESUME.saturating_sub(since))
    }

    /// Shows what a program of our own has printed.
    pub fn print(&self, bytes: &[u8]) {
        let mut mail = mail(&self.mail);
        if mail.output.len() < OUTPUT {
            mail.output.extend_from_slice(bytes);
        }
    }

    /// Shows a line of the log.
    pub fn note(&self, line: &str) {
        let notes = &mut mail(&self.mail).notes;
        if notes.len() == NOTES {
            notes.pop_front();
        }
        notes.push_back(line.into());
    }

    /// Says how the command has ended: `command ended with code 0`.
    pub fn ended(&self, how: String) {
        mail(&self.mail).ended = Some(how);
    }

    /// Becomes readable when there are [`requests`](Live::requests), or when the screen is gone.
    pub fn wake(&self) -> Arc<PipeReader> {
        self.wake.clone()
    }

    /// What the keys have asked for since the last call. That the screen is gone counts as [`Request::Leave`]. To be
    /// called when [`wake`](Live::wake) is readable, as it waits otherwise.
    pub fn requests(&mut self) -> Vec<Request> {
        let mut woken = [0; 256];
        // Only asked when it can be read, so it does not wait.
        let is_gone = !matches!((&*self.wake).read(&mut woken), Ok(1..));
        let mut requests: Vec<Request> = self.requests.try_iter().collect();
        if is_gone {
            requests.push(Request::Leave);
        }
        requests
    }

    /// Gives the terminal back.
    ///
    /// # Errors
    /// Why the screen had to end earlier, if it had to.
    pub fn close(mut self) -> io::Result<()> {
        self.stop()
    }

    /// Whether the screen has ended, because the terminal is gone or it has panicked.
    pub fn is_gone(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn stop(&mut self) -> io::Result<()> {
        // The thread ends when nobody can send events any more.
        self.events = None;
        let start = time::Instant::now();
        while !self.is_gone() && start.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
        if !self.is_gone() {
            // Reading from a terminal that was hung up never ends in crossterm, and writing to one that was stopped waits:
            // the thread goes with the process.
            if let Some(held) = &self.held {
                held.release();
            }
            self.thread = None;
            return Err(io::Error::other("the terminal does not answer"));
        }
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the screen has panicked")),
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // Who wants to know of an error calls `close`.
        let _ = self.stop();
    }
}

/// The event with as much of its packet as is shown.
fn short(event: &Event) -> Event {
    let kind = match &event.kind {
        EventKind::Packet(packet) => EventKind::Packet(short_packet(packet)),
        EventKind::Released(released) => EventKind::Released(Released {
            packet: short_packet(&released.packet),
            ..*released
        }),
        kind => kind.clone(),
    };
    Event { kind, ..*event }
}

fn short_packet(packet: &Packet) -> Packet {
    Packet {
        bytes: packet.bytes[..packet.bytes.len().min(SHOWN)].to_vec(),
        described: packet.described.clone(),
        fate: packet.fate.clone(),
        variables: packet.variables.clone(),
        crossed: packet.crossed.clone(),
        ..*packet
    }
}

/// The mail box, also after a panic of the other thread: it is whole at any time.
fn mail(mail: &Mutex<Mail>) -> MutexGuard<'_, Mail> {
    mail.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
