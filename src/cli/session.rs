//! An engine on a TUN, watched.

use super::DEFECT;
use super::asker::Asker;
use super::linger::Linger;
use super::watcher::Watcher;
use crate::engine::Stepping;
use crate::engine::{Command, Engine};
use crate::event::{Event, EventKind, FlowId};
use crate::sys::child::Child;
use crate::sys::clock::Clock;
use crate::sys::diag::Diag;
use crate::sys::driver::{Driver, Until};
use crate::sys::memory::{self, Surplus};
use crate::sys::panics::{self, Tamed};
use crate::sys::pty::is_typed;
use crate::sys::seccomp::{self, Needs, Unconfined};
use crate::sys::tun::Tun;
use crate::sys::wait::{Ready, Waiter};
use crate::ui::Request;
use smoltcp::time::Instant;
use std::io;
use std::os::fd::AsFd;

/// While stepping holds something, the peers' kernel is asked so often about its ends.
const ASK_AGAIN: std::time::Duration = std::time::Duration::from_secs(1);

/// An engine at work on a TUN, and whoever watches it.
pub(super) struct Session<'a> {
    pub(super) engine: Engine,
    driver: Driver<'a>,
    surplus: Surplus,
    audience: Audience<'a>,
    /// Whether the summary is shown.
    is_over: bool,
    /// Defects are reported here.
    _tamed: Tamed,
}

/// Those who are told of every event.
struct Audience<'a> {
    watcher: Watcher,
    asker: Option<Asker<'a>>,
    /// How the flow ended that is waited for.
    awaited: Option<(FlowId, Option<Outcome>)>,
}

/// Whether system calls are filtered.
#[must_use = "the log shall say so"]
pub(super) struct Confined(Result<(), Unconfined>);

impl Confined {
    /// Says it in the log.
    pub(super) fn log(self) {
        match self.0 {
            Ok(()) => log::info!(target: seccomp::TARGET, "system calls are filtered (seccomp)"),
            Err(why) => {
                log::warn!(target: seccomp::TARGET, "system calls are not filtered (seccomp): {why}");
            }
        }
    }
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
        memory::arrange();
        let mut driver = Driver::new(tun, waiter, clock);
        if !watcher.looks_on() {
            driver.tell_late();
        }
        Session {
            engine,
            driver,
            surplus: Surplus::default(),
            audience: Audience {
                watcher,
                asker: None,
                awaited: None,
            },
            is_over: false,
            _tamed: panics::tame(),
        }
    }

    /// From now on it looks for packets without a pause for up to so many microseconds, if it is to.
    pub(super) fn busy_poll(&mut self, limit: Option<u32>) {
        if let Some(limit) = limit {
            let limit = std::time::Duration::from_micros(limit.into());
            self.driver.busy_poll(limit);
        }
    }

    /// From now on the peers' kernel is asked about its end after each segment, if somebody looks at that end.
    pub(super) fn ask(&mut self, diag: &'a Diag) {
        let Audience { watcher, asker, .. } = &mut self.audience;
        if watcher.asks() {
            watcher.peers_are_asked();
            *asker = Some(Asker::new(diag));
        }
    }

    /// From now on this process can do no more than what a run needs that is under way: to be called once everything is
    /// open and started. `child` may be sent signals.
    pub(super) fn confine(&self, child: Option<&Child>) -> Confined {
        Confined(seccomp::confine(Needs {
            child: child.map(Child::id),
            opens_terminal: self.audience.watcher.is_live() && !is_typed(),
        }))
    }

    /// Whoever watches.
    pub(super) fn watcher(&mut self) -> &mut Watcher {
        &mut self.audience.watcher
    }

    /// The time.
    pub(super) fn now(&self) -> Instant {
        self.driver.now()
    }

    /// When a run whose command ended at `ended` is over, unless something happens before.
    pub(super) fn end(&self, linger: Linger, ended: Instant) -> Instant {
        linger.end(&self.engine, ended, self.driver.crossed())
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
    /// is not (signals, the end of the child, input, the screen) is returned.
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
        self.audience.watcher.refresh();
        self.obey()?;
        let asks_at = self.engine.stands().then(|| self.now() + ASK_AGAIN.into());
        let ticks_at = self
            .audience
            .watcher
            .stepper()
            .and_then(|stepper| stepper.next_tick());
        let flush_at = self
            .audience
            .watcher
            .flush_in()
            .map(|after| self.now() + after.into());
        // What the driver sends before it waits is to be shown before it waits.
        let shows_at =
            (self.audience.watcher.looks_on() && self.engine.has_backlog()).then(|| self.now());
        let screen = self.audience.watcher.live_end();
        let watcher = &mut self.audience.watcher;
        let orders = match watcher.quizzer() {
            Some(quizzer) => quizzer.end(),
            None => watcher.stepper().and_then(|stepper| stepper.end()),
        };
        let stdin = io::stdin();
        let until = Until {
            child,
            input: input.then(|| stdin.as_fd()),
            // Whoever steps without a screen is in its place.
            screen: match &orders {
                Some(orders) => Some(orders.as_fd()),
                None => screen.as_ref().map(AsFd::as_fd),
            },
            deadline: [
                deadline,
                flush_at,
                asks_at,
                ticks_at,
                shows_at,
                self.surplus.next(),
            ]
            .into_iter()
            .flatten()
            .min(),
        };
        let audience = &mut self.audience;
        let mut ready = self.driver.step(&mut self.engine, until, |engine, event| {
            audience.tell(engine, &event)
        })?;
        self.surplus.give_back(self.driver.looked_up());
        let now = self.now();
        if asks_at.is_some_and(|at| at <= now) {
            self.audience.ask_again(&mut self.engine, now);
        }
        if let Some(quizzer) = self.audience.watcher.quizzer()
            && std::mem::take(&mut ready.screen)
        {
            quizzer.read();
        }
        if let Some(stepper) = self.audience.watcher.stepper()
            && std::mem::take(&mut ready.screen)
        {
            stepper.read();
        }
        Ok(ready)
    }

    /// From now on every packet waits.
    pub(super) fn begin_stepping(&mut self) {
        let now = self.now();
        self.engine.handle_command(now, Command::Step(Stepping::On));
    }

    /// Whether something waits for somebody who steps without a screen.
    pub(super) fn waits(&mut self) -> bool {
        if let Some(quizzer) = self.audience.watcher.quizzer() {
            return quizzer.quiz.is_busy();
        }
        let stepper = self.audience.watcher.stepper();
        stepper.is_some_and(|stepper| stepper.waits())
    }

    /// Nobody steps any more: what waits goes on.
    pub(super) fn stop_stepping(&mut self) -> anyhow::Result<()> {
        if let Some(stepper) = self.audience.watcher.stepper() {
            stepper.let_go();
        }
        let now = self.now();
        if let Some(quizzer) = self.audience.watcher.quizzer() {
            quizzer.quiz.end(now);
        }
        self.engine
            .handle_command(now, Command::Step(Stepping::Off));
        self.drain()
    }

    /// What the live screen asks for, but for orders of whoever steps: those are obeyed at once.
    pub(super) fn requests(&mut self) -> anyhow::Result<Vec<Request>> {
        let mut requests = Vec::new();
        for request in self.audience.watcher.requests() {
            match request {
                Request::Step(command) => {
                    let now = self.now();
                    self.engine.handle_command(now, command);
                    self.drain()?;
                }
                request => requests.push(request),
            }
        }
        Ok(requests)
    }

    /// Does what whoever steps has said, and asks what becomes of what waits.
    fn obey(&mut self) -> anyhow::Result<()> {
        while let Some(command) = self.audience.watcher.examine_once() {
            let now = self.now();
            self.engine.handle_command(now, command);
            self.drain()?;
        }
        loop {
            let now = self.now();
            let Some(stepper) = self.audience.watcher.stepper() else {
                break;
            };
            stepper.tick(now);
            let Some(command) = stepper.next() else {
                stepper.prompt();
                break;
            };
            self.engine.handle_command(now, command);
            self.drain()?;
            self.audience.watcher.refresh();
        }
        Ok(())
    }

    /// Sends what is to be sent and shows what has happened.
    ///
    /// In the order in which it happens: the peer is asked about a packet that has come before the answer to it leaves,
    /// and about one of ours once it has left. The kernel takes in what is written to a TUN before the system call
    /// is over, unless the peer's own system call holds the socket just then.
    pub(super) fn drain(&mut self) -> anyhow::Result<()> {
        let audience = &mut self.audience;
        self.driver.drain(&mut self.engine, |engine, event| {
            audience.tell(engine, &event)
        })?;
        Ok(())
    }

    /// Shows the summary. Returns the exit code: `code`, unless all went well but for a defect.
    pub(super) fn finish(mut self, code: u8) -> u8 {
        self.sum_up();
        match (code, self.engine.defects()) {
            (0, 1..) => DEFECT,
            _ => code,
        }
    }

    fn sum_up(&mut self) {
        self.is_over = true;
        let now = self.now();
        self.audience.watcher.finish(now);
    }
}

/// Also where it ends with an error, such as when the TUN was taken away, what has happened is told to its end.
impl Drop for Session<'_> {
    fn drop(&mut self) {
        if !self.is_over && self.audience.watcher.has_seen() && !std::thread::panicking() {
            self.sum_up();
        }
    }
}

impl Audience<'_> {
    /// Asks the peers' kernel about its ends although nothing has happened: it may give them up during a pause.
    fn ask_again(&mut self, engine: &mut Engine, now: Instant) {
        let news = self.asker.as_mut().map(Asker::again);
        for (flow, view) in news.into_iter().flatten() {
            engine.handle_command(now, Command::Tell(flow, view));
        }
    }

    fn tell(&mut self, engine: &mut Engine, event: &Event) {
        if let (EventKind::Closed(closed), Some((awaited, outcome))) =
            (&event.kind, &mut self.awaited)
            && event.flow == Some(*awaited)
        {
            *outcome = Some(closed.result.clone());
        }
        self.watcher.event(event);
        if let Some(asker) = &mut self.asker
            && let Some(flow) = event.flow
            && let Some(view) = asker.event(event)
        {
            engine.handle_command(event.at, Command::Tell(flow, view));
        }
    }
}
