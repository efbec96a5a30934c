//! A command in a lab of its own that nobody sits at: what it says is kept, what happens is told, and it ends in time.
//!
//! Several can be under way at once, each on a thread of its own: labs are opened one after the other, and whoever catches
//! a signal [stops](Runs) them all.

use super::asker::Asker;
use super::run::{LAB_TUN, RunError};
use crate::engine::{Command as Order, Config, Engine};
use crate::event::{Event, EventKind};
use crate::scenario::Outcome;
use crate::sink::defect::report;
use crate::sys::child::{Child, exit_code};
use crate::sys::clock::Clock;
use crate::sys::driver::{Driver, Until};
use crate::sys::lab::{Lab, LabConfig, Localhost};
use crate::sys::memory_file::MemoryFile;
use crate::sys::panics;
use crate::sys::tun::TunConfig;
use crate::sys::wait::{Caught, Signal, Waiter};
use crate::words::Lang;
use anyhow::{Context, anyhow};
use smoltcp::time::Duration;
use smoltcp::wire::IpCidr;
use std::io::{self, PipeReader, PipeWriter};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A command that says more than that is ended.
const MOST_OUTPUT: u64 = 64 << 20;
/// So much of what it says is kept.
const KEPT_OUTPUT: usize = 1 << 20;
/// How often at least it is looked at how much a command has said.
const LOOK: Duration = Duration::from_millis(200);

/// What is to be run.
pub(super) struct LabRun {
    /// The command. Its standard streams are taken care of here.
    pub(super) command: Command,
    /// What it can read.
    pub(super) stdin: Vec<u8>,
    /// The addresses of the kernel's side.
    pub(super) kernel: Vec<IpCidr>,
    /// Names that resolve inside.
    pub(super) names: Vec<(IpAddr, String)>,
    /// How our stack is made; its MTU is that of the TUN too.
    pub(super) config: Config,
    /// The right answer to the password service.
    pub(super) password: String,
    /// How long the command may run; then it is killed.
    pub(super) limit: Duration,
    /// How long connections may take to close after it has ended.
    pub(super) linger: Duration,
}

/// Whoever follows a run.
pub(super) trait Follower {
    /// Something has happened.
    fn event(&mut self, event: &Event);

    /// Whether nothing more is awaited once the command has ended and connections are closed.
    fn is_satisfied(&self) -> bool;
}

impl LabRun {
    /// Runs it. `None`: it was stopped.
    ///
    /// # Errors
    /// When there is no lab, the command can't be started, the TUN is taken away, or a defect has shown.
    pub(super) fn run(
        mut self,
        runs: &Runs,
        follower: &mut dyn Follower,
    ) -> Result<Option<Outcome>, RunError> {
        let waiter = Waiter::new().context("cannot wait for signals")?;
        let clock = Clock::start();
        self.config.epoch = clock.wall_at_start().into();
        self.config.contain_defects = Some(panics::take_site);
        let _tamed = panics::tame();
        let lab_config = LabConfig {
            tun: TunConfig {
                name: LAB_TUN.to_owned(),
                addresses: self.kernel,
                mtu: self.config.mtu as u16,
                offload: false,
            },
            hosts: self.names,
            localhost: Localhost::Own,
            patient: false,
        };
        let mut engine = Engine::new(self.config);
        engine.serve_standard(&self.password);

        let output = || MemoryFile::new().context("cannot keep what the command says");
        let (stdout, stderr) = (output()?, output()?);
        let no_streams = "cannot give the command its standard streams";
        let stdin = MemoryFile::holding(&self.stdin).context(no_streams)?;
        let command = &mut self.command;
        command.stdin(stdin.stdio().context(no_streams)?);
        command.stdout(stdout.stdio().context(no_streams)?);
        command.stderr(stderr.stdio().context(no_streams)?);
        // So that it can be ended with all that it has started; a Ctrl-C at the terminal reaches us alone.
        command.process_group(0);
        let opening = lock(&runs.opening);
        let mut lab = Lab::open(&lab_config, self.command)?;
        lab.start()?;
        drop(opening);
        let began = clock.now();

        let mut driver = Driver::new(&lab.tun, &waiter, clock);
        let mut asker = lab.diag.as_ref().map(Asker::new);
        let mut defect = None;
        let mut tell = |engine: &mut Engine, event: Event, follower: &mut dyn Follower| {
            if let EventKind::Defect(found) = &event.kind {
                defect.get_or_insert_with(|| report(Lang::En, event.flow, found, true));
            }
            follower.event(&event);
            if let Some(flow) = event.flow
                && let Some(view) = asker.as_mut().and_then(|asker| asker.event(&event))
            {
                engine.handle_command(event.at, Order::Tell(flow, view));
            }
        };
        let mut outcome = Outcome::default();
        let limit = began + self.limit;
        let ended = loop {
            let until = Until {
                child: Some(&mut lab.child),
                input: Some(runs.reader.as_fd()),
                deadline: Some(limit.min(driver.now() + LOOK)),
                ..Until::default()
            };
            let ready = driver
                .step(&mut engine, until, |engine, event| {
                    tell(engine, event, follower)
                })
                .map_err(anyhow::Error::new)?;
            runs.caught(&ready.signals);
            if runs.is_stopped() {
                end(&mut lab.child)?;
                return Ok(None);
            }
            if let Some(status) = ready.child_exited {
                outcome.exit = exit_code(status);
                break driver.now();
            }
            let said = stdout
                .size()
                .and_then(|out| Ok(out + stderr.size()?))
                .context("its output")?;
            if driver.now() >= limit || said > MOST_OUTPUT {
                outcome.over_limit = true;
                end(&mut lab.child)?;
                break driver.now();
            }
        };
        outcome.duration = ended - began;
        outcome.stdout = stdout.read(KEPT_OUTPUT).context("its output")?;
        outcome.stderr = stderr.read(KEPT_OUTPUT).context("its output")?;

        let deadline = ended + self.linger;
        while driver.now() < deadline && !(engine.is_quiet() && follower.is_satisfied()) {
            let until = Until {
                input: Some(runs.reader.as_fd()),
                deadline: Some(deadline),
                ..Until::default()
            };
            let ready = driver
                .step(&mut engine, until, |engine, event| {
                    tell(engine, event, follower)
                })
                .map_err(anyhow::Error::new)?;
            runs.caught(&ready.signals);
            if runs.is_stopped() {
                return Ok(None);
            }
        }
        match defect {
            // What has come of it is no result.
            Some(report) => Err(anyhow!("{report}").into()),
            None => Ok(Some(outcome)),
        }
    }
}

/// Kills a command and what it has started, and waits until it is gone.
fn end(child: &mut Child) -> anyhow::Result<()> {
    child.kill_group(Signal::SIGKILL)?;
    child.wait()?;
    Ok(())
}

/// What runs that are under way at once share.
pub(super) struct Runs {
    /// Opening a lab forks: what one of them has open for a moment, the child of another would keep open.
    opening: Mutex<()>,
    /// At its end once somebody wants to stop.
    reader: PipeReader,
    writer: Mutex<Option<PipeWriter>>,
    /// The signal that has stopped them; 0 where none has.
    signal: AtomicU8,
}

impl Runs {
    /// None is under way yet.
    ///
    /// # Errors
    /// When there are too many open files.
    pub(super) fn new() -> io::Result<Runs> {
        let (reader, writer) = io::pipe()?;
        Ok(Runs {
            opening: Mutex::new(()),
            reader,
            writer: Mutex::new(Some(writer)),
            signal: AtomicU8::new(0),
        })
    }

    /// All shall end.
    pub(super) fn stop(&self) {
        lock(&self.writer).take();
    }

    /// All shall end if a signal is among these.
    pub(super) fn caught(&self, signals: &[Caught]) {
        if let Some(caught) = signals.first() {
            self.signal.store(caught.signal as u8, Ordering::Relaxed);
            self.stop();
        }
    }

    /// Whether all shall end.
    pub(super) fn is_stopped(&self) -> bool {
        lock(&self.writer).is_none()
    }

    /// The exit code of a program that such a signal ends, where one has.
    pub(super) fn code(&self) -> Option<u8> {
        match self.signal.load(Ordering::Relaxed) {
            0 => None,
            signal => Some(128 + signal),
        }
    }
}

/// Nothing here is left half done by a thread that panics.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
