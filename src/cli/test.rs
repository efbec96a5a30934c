//! `tcplab test`: scenarios, judged.
//!
//! ```text
//!   files ──▶ Scenarios ──▶ jobs, several at once ──▶ results, in order ──▶ TAP, JUnit ──▶ exit code
//!                           │ a lab each, or the simulator
//! ```
//!
//! What can't be run is a result too: a file that is no scenario, or a lab that can't be opened. The others run.

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
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// A file and what is to be run.
struct Job {
    path: PathBuf,
    what: What,
}

enum What {
    Scenario {
        scenario: Box<Scenario>,
        /// Where it runs; `None` if it can't run as asked.
        on: Option<On>,
    },
    /// Why it is no scenario; what stands behind the path, from the colon on.
    Broken(String),
}

impl Job {
    /// What a scenario is about, where the file is one.
    fn about(&self) -> Option<&str> {
        match &self.what {
            What::Scenario { scenario, .. } => Some(&scenario.about),
            What::Broken(_) => None,
        }
    }

    /// What it is called in results.
    fn name(&self) -> String {
        match self.about() {
            Some(about) => format!("{}: {about}", self.path.display()),
            None => self.path.display().to_string(),
        }
    }
}

/// How a job went.
struct Result {
    verdict: Verdict,
    took: Duration,
}

enum Verdict {
    Passed {
        ladder: String,
    },
    Failed(one::Failed),
    Skipped(&'static str),
    /// It could not be run, and why.
    Error(String),
}

/// Runs scenarios, or records one.
pub(super) fn test(test: &args::Test) -> anyhow::Result<u8> {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    if let Some(file) = &test.record {
        return record::record(file, test.force, &test.cmd);
    }
    let jobs = jobs(test);
    if jobs.is_empty() {
        match (&test.filter, test.shard) {
            // A set that is smaller than the number of machines leaves some with nothing to do.
            (_, Some(_)) => {}
            (Some(filter), None) => {
                bail!("no scenario has {filter:?} in its path or title")
            }
            (None, None) => bail!("there are no scenarios: no file ends in .toml"),
        }
    }
    match test.list {
        true => list(&jobs),
        false => run(test, &jobs),
    }
}

/// Says which would run.
fn list(jobs: &[Job]) -> anyhow::Result<u8> {
    let mut out = io::stdout().lock();
    let mut code = 0;
    for job in jobs {
        match &job.what {
            What::Scenario { .. } => writeln!(out, "{}", job.name())?,
            What::Broken(why) => {
                writeln!(io::stderr(), "tcplab: {}{why}", job.path.display())?;
                code = CANNOT;
            }
        }
    }
    Ok(code)
}

/// What is to be run.
fn jobs(test: &args::Test) -> Vec<Job> {
    let mut jobs = Vec::new();
    for path in &test.files {
        collect(path, &mut jobs);
    }
    let asked = match (test.simulate, test.live) {
        (true, _) => Some(On::Simulator),
        (_, true) => Some(On::Kernel),
        _ => None,
    };
    for job in &mut jobs {
        if let What::Scenario { scenario, on } = &mut job.what {
            *on = scenario.place(asked);
        }
    }
    if let Some(filter) = &test.filter {
        jobs.retain(|job| {
            job.path.to_string_lossy().contains(filter)
                || job.about().is_some_and(|about| about.contains(filter))
        });
    }
    let mut index = 0;
    if let Some((part, of)) = test.shard {
        jobs.retain(|_| {
            index += 1;
            (index - 1) % of == part - 1
        });
    }
    jobs
}

/// A file as it is; of a folder, all that end in `.toml`, sorted.
fn collect(path: &Path, jobs: &mut Vec<Job>) {
    let what = match paths_in(path) {
        Ok(Some(inside)) => {
            for inner in inside {
                let is_scenario = inner.extension().is_some_and(|suffix| suffix == "toml");
                if is_scenario || inner.is_dir() {
                    collect(&inner, jobs);
                }
            }
            return;
        }
        Ok(None) => read(path),
        Err(error) => Err(error),
    };
    jobs.push(Job {
        path: path.to_owned(),
        what: what.unwrap_or_else(|error| What::Broken(format!(": cannot read it: {error}"))),
    });
}

/// The contents of a folder; `None` if it is a file.
fn paths_in(path: &Path) -> io::Result<Option<Vec<PathBuf>>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(None);
    }
    let paths = fs::read_dir(path)?.map(|entry| Ok(entry?.path()));
    let mut paths = paths.collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(Some(paths))
}

fn read(path: &Path) -> io::Result<What> {
    Ok(match fs::read_to_string(path)?.parse::<Scenario>() {
        Ok(scenario) => What::Scenario {
            scenario: Box::new(scenario),
            on: None,
        },
        Err(error) => What::Broken(format!(":{error}")),
    })
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
                    let result = verdict.map(|verdict| Result { verdict, took });
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
                Ok((index, Some(result))) => drop(results.insert(index, result)),
                // It was stopped.
                Ok((_, None)) | Err(mpsc::RecvTimeoutError::Timeout) => {}
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
    say_errors(jobs, &results)?;
    if let Some(code) = runs.code() {
        tap::bail_out(&mut out, "interrupted")?;
        return Ok(code);
    }
    let codes = results.values().map(|result| match result.verdict {
        Verdict::Passed { .. } | Verdict::Skipped(_) => 0,
        Verdict::Failed(_) => 1,
        Verdict::Error(_) => CANNOT,
    });
    Ok(codes.max().unwrap_or(0))
}

/// Says, apart from the results, why something could not be run: of many for the same reason, the first.
fn say_errors(jobs: &[Job], results: &BTreeMap<usize, Result>) -> io::Result<()> {
    let mut said = BTreeSet::new();
    for (index, result) in results {
        if let Verdict::Error(why) = &result.verdict
            && said.insert(why)
        {
            let path = jobs[*index].path.display();
            writeln!(io::stderr(), "tcplab: {path}{why}")?;
        }
    }
    Ok(())
}

fn take<'a>(next: &AtomicUsize, jobs: &'a [Job]) -> Option<(usize, &'a Job)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    Some((index, jobs.get(index)?))
}

/// What the scenarios must know of the kernel.
fn kernel(jobs: &[Job], runs: &Runs) -> Kernel {
    let asks = |job: &Job| match &job.what {
        What::Scenario { scenario, on } => *on == Some(On::Kernel) && scenario.asks_kernel(),
        What::Broken(_) => false,
    };
    match jobs.iter().any(asks) {
        // Where there is no lab the scenarios will say so.
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
