//! `tcplab test`: scenarios, judged.
//!
//! ```text
//!   files ──▶ Scenarios ──▶ jobs, several at once ──▶ results, in order ──▶ TAP, JUnit ──▶ exit code
//!                           │ a lab each, or the simulator
//! ```
//!
//! A file that is no scenario is found before anything runs.

mod junit;
mod one;
mod record;
mod tap;

use super::CANNOT;
use super::args;
use super::labrun::Runs;
use super::run::Addresses;
use crate::scenario::{Kernel, On, Scenario};
use crate::sys::wait::{Waiter, Watch};
use anyhow::{Context, bail};
use one::Runner;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// A scenario that is to be run.
struct Job {
    path: PathBuf,
    scenario: Scenario,
    /// Where; `None` where it can't run as was asked for.
    on: Option<On>,
}

/// How a job went.
struct Result {
    verdict: Verdict,
    took: Duration,
}

enum Verdict {
    Passed { ladder: String },
    Failed(one::Failed),
    Skipped(&'static str),
}

/// Runs scenarios, or records one.
pub(super) fn test(test: &args::Test) -> anyhow::Result<u8> {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    if let Some(file) = &test.record {
        return record::record(file, test.force, &test.cmd);
    }
    let Some(jobs) = jobs(test)? else {
        return Ok(CANNOT);
    };
    if jobs.is_empty() {
        match (&test.filter, test.shard) {
            // A set that is smaller than the number of machines leaves some with nothing to do.
            (_, Some(_)) => {}
            (Some(filter), None) => {
                bail!("no scenario has {filter:?} in its path or in what it is about")
            }
            (None, None) => bail!("there are no scenarios: no file ends in .toml"),
        }
    }
    if test.list {
        let mut out = io::stdout().lock();
        for job in &jobs {
            writeln!(out, "{}: {}", job.path.display(), job.scenario.about)?;
        }
        return Ok(0);
    }
    run(test, &jobs)
}

/// What is to be run; `None` where a file is no scenario, which is said then.
fn jobs(test: &args::Test) -> anyhow::Result<Option<Vec<Job>>> {
    let mut paths = Vec::new();
    for path in &test.files {
        collect(path, &mut paths)?;
    }
    let asked = match (test.simulate, test.live) {
        (true, _) => Some(On::Simulator),
        (_, true) => Some(On::Kernel),
        _ => None,
    };
    let mut jobs = Vec::new();
    let mut broken = false;
    for path in paths {
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        match text.parse::<Scenario>() {
            Ok(scenario) => {
                let on = scenario.place(asked);
                jobs.push(Job { path, scenario, on });
            }
            Err(error) => {
                writeln!(io::stderr(), "tcplab: {}:{error}", path.display())?;
                broken = true;
            }
        }
    }
    if broken {
        return Ok(None);
    }
    if let Some(filter) = &test.filter {
        jobs.retain(|job| {
            job.path.to_string_lossy().contains(filter) || job.scenario.about.contains(filter)
        });
    }
    let mut index = 0;
    if let Some((part, of)) = test.shard {
        jobs.retain(|_| {
            index += 1;
            (index - 1) % of == part - 1
        });
    }
    Ok(Some(jobs))
}

/// A file as it is; of a folder, all that end in `.toml`, sorted.
fn collect(path: &Path, paths: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let cannot_read = || format!("cannot read {}", path.display());
    if !fs::metadata(path).with_context(cannot_read)?.is_dir() {
        paths.push(path.to_owned());
        return Ok(());
    }
    let mut inside = Vec::new();
    for entry in fs::read_dir(path).with_context(cannot_read)? {
        inside.push(entry.with_context(cannot_read)?.path());
    }
    inside.sort();
    for inner in inside {
        let is_scenario = inner.extension().is_some_and(|suffix| suffix == "toml");
        if is_scenario || inner.is_dir() {
            collect(&inner, paths)?;
        }
    }
    Ok(())
}

fn run(test: &args::Test, jobs: &[Job]) -> anyhow::Result<u8> {
    // Before any thread begins, so that none of them is ended by a signal.
    let waiter = Waiter::new().context("cannot wait for signals")?;
    let runs = Runs::new().context("cannot make a pipe")?;
    let mut junit = match &test.junit {
        None => None,
        Some(path) => {
            let file = crate::sys::output::create(path)
                .with_context(|| format!("cannot write {}", path.display()))?;
            Some((path, BufWriter::new(file)))
        }
    };
    let mut out = io::stdout().lock();
    tap::begin(&mut out, jobs.len())?;

    let runner = Runner {
        kernel: kernel(jobs, &runs),
        runs: &runs,
        addresses: Addresses::default(),
    };
    let threads = test
        .jobs
        .or_else(|| thread::available_parallelism().ok())
        .map_or(1, NonZeroUsize::get)
        .min(jobs.len().max(1));
    let mut results: BTreeMap<usize, Result> = BTreeMap::new();
    let mut error = None;
    let next = AtomicUsize::new(0);
    thread::scope(|scope| -> anyhow::Result<()> {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..threads {
            let (sender, runner, next) = (sender.clone(), &runner, &next);
            scope.spawn(move || {
                while let Some((index, job)) = take(next, jobs)
                    && !runner.runs.is_stopped()
                {
                    let began = Instant::now();
                    let verdict = runner.run(job);
                    let took = began.elapsed();
                    let result =
                        verdict.map(|verdict| verdict.map(|verdict| Result { verdict, took }));
                    if sender.send((index, result)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut told = 0;
        let mut progress = Progress::new(jobs.len());
        loop {
            let received = receiver.recv_timeout(Duration::from_millis(100));
            // Whoever waits for packets sees signals too; a simulation does not.
            let ready = waiter.wait(Watch::default(), Some(Duration::ZERO))?;
            runs.caught(&ready.signals);
            match received {
                Ok((index, Ok(Some(result)))) => drop(results.insert(index, result)),
                // It was stopped.
                Ok((_, Ok(None))) | Err(mpsc::RecvTimeoutError::Timeout) => {}
                Ok((index, Err(failed))) => {
                    let path = jobs[index].path.display();
                    error.get_or_insert(anyhow::Error::new(failed).context(format!("{path}")));
                    runs.stop();
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
            while let Some(result) = results.get(&told) {
                progress.clear();
                tap::result(&mut out, told + 1, &jobs[told], result, test.verbose)?;
                told += 1;
            }
            progress.show(results.len());
        }
        progress.clear();
        Ok(())
    })
    .inspect_err(|_| runs.stop())?;

    if let Some((path, file)) = &mut junit {
        junit::write(file, jobs, &results)
            .and_then(|()| file.flush())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if let Some(error) = error {
        let said = format!("{error:#}");
        tap::bail_out(&mut out, said.lines().next().unwrap_or_default())?;
        return Err(error);
    }
    if let Some(code) = runs.code() {
        tap::bail_out(&mut out, "interrupted")?;
        return Ok(code);
    }
    let failed = |result: &Result| matches!(result.verdict, Verdict::Failed(_));
    Ok(u8::from(results.values().any(failed)))
}

fn take<'a>(next: &AtomicUsize, jobs: &'a [Job]) -> Option<(usize, &'a Job)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    Some((index, jobs.get(index)?))
}

/// What the scenarios must know of the kernel.
fn kernel(jobs: &[Job], runs: &Runs) -> Kernel {
    let asks = |job: &Job| job.on == Some(On::Kernel) && job.scenario.asks_kernel();
    match jobs.iter().any(asks) {
        // Where there is no lab the first scenario will say so.
        true => one::ask_kernel(runs).unwrap_or_default(),
        false => Kernel::default(),
    }
}

/// How far we are, on a terminal.
struct Progress {
    all: usize,
    shown: Option<usize>,
    terminal: bool,
}

impl Progress {
    fn new(all: usize) -> Progress {
        Progress {
            all,
            shown: None,
            terminal: io::stderr().is_terminal(),
        }
    }

    fn show(&mut self, done: usize) {
        if self.terminal && self.shown != Some(done) && done < self.all {
            // Where it can't be shown nothing is lost.
            let _ = write!(io::stderr(), "\r{done} of {} done", self.all);
            self.shown = Some(done);
        }
    }

    fn clear(&mut self) {
        if self.shown.take().is_some() {
            // ECMA-48: to the first column, and erase in line.
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
