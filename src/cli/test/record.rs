//! `tcplab test --record`: a scenario from what a command does.

use crate::cli::labrun::{Follower, LabRun, Runs};
use crate::cli::plan::std_address;
use crate::cli::run::{Addresses, NAME, RunError};
use crate::engine::Config;
use crate::event::Event;
use crate::fault::{RuleSet, catalogue};
use crate::scenario::{Outcome, Recorder, Stack};
use crate::sys::output;
use crate::sys::wait::Waiter;
use anyhow::Context;
use smoltcp::time::Duration;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

/// How long the command may run.
const LIMIT: Duration = Duration::from_secs(300);
/// How long its connections may take to close after that.
const LINGER: Duration = Duration::from_secs(2);
/// What `{port}` stands for.
const PORT: u16 = 80;

/// Runs the command in a lab and writes the scenario to `file`. Unless `force`, it must not be there yet, and the command must
/// succeed: a recording takes whatever happens for what is expected.
pub(super) fn record(file: &Path, force: bool, cmd: &[String]) -> anyhow::Result<u8> {
    let _waiter = Waiter::new().context("cannot wait for signals")?;
    let runs = Runs::new().context("cannot make a pipe")?;
    let addresses = Addresses::default();
    let address = std_address(&addresses.own[0]);
    let stack = Stack::default();
    let mut rules = RuleSet::new();
    catalogue::add_to(&mut rules, &addresses.own);
    let fill = |word: &String| super::one::fill(word, NAME, address, PORT);
    let mut words = cmd.iter().map(fill);
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).env("LC_ALL", "C.UTF-8");
    let run = LabRun {
        command,
        stdin: Vec::new(),
        names: addresses.hosts_of(4),
        kernel: addresses.kernel,
        config: Config {
            rules,
            ..stack.config(&addresses.own)
        },
        password: stack.password,
        limit: LIMIT,
        linger: LINGER,
    };
    // Before the command runs, which may take long.
    let cannot_write = || format!("cannot write {}", file.display());
    let mut out = match force {
        true => output::create(file).with_context(cannot_write),
        false => File::create_new(file)
            .with_context(|| format!("{} (--force overwrites a file)", cannot_write())),
    }?;

    let mut recording = Recording(Recorder::new());
    let outcome = match run.run(&runs, &mut recording) {
        Ok(Some(outcome)) if !outcome.over_limit => outcome,
        failed => {
            drop(out);
            // What was made for the recording is empty.
            let _ = std::fs::remove_file(file);
            return match failed {
                Ok(Some(_)) => {
                    anyhow::bail!("the command was still running after {} s", LIMIT.secs())
                }
                Ok(None) => Ok(runs.code().unwrap_or(super::CANNOT)),
                Err(RunError::Lab(error)) => Err(error.into()),
                Err(RunError::Other(error)) => Err(error),
            };
        }
    };
    io::stdout().write_all(&outcome.stdout)?;
    io::stderr().write_all(&outcome.stderr)?;
    if outcome.exit != 0 && !force {
        drop(out);
        let _ = std::fs::remove_file(file);
        anyhow::bail!(
            "nothing is recorded, as the command has failed: it ended with {} after {:.1} s. A scenario would expect just that; --force \
             records it all the same",
            outcome.exit,
            seconds(&outcome)
        );
    }
    let text = recording.0.finish(cmd, &outcome);
    out.write_all(text.as_bytes()).with_context(cannot_write)?;
    writeln!(
        io::stderr(),
        "{} is written: the command ended with {} after {:.1} s{}",
        file.display(),
        outcome.exit,
        seconds(&outcome),
        match outcome.exit {
            0 => "",
            _ => ", and that it fails is now what is expected",
        }
    )?;
    Ok(0)
}

fn seconds(outcome: &Outcome) -> f64 {
    outcome.duration.total_millis() as f64 / 1000.0
}

struct Recording(Recorder);

impl Follower for Recording {
    fn event(&mut self, event: &Event) {
        self.0.event(event);
    }

    fn is_satisfied(&self) -> bool {
        true
    }
}
