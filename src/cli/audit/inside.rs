//! The part of an audit that is inside the lab: it starts the commands and tells how each has ended.
//!
//! Orders come as one JSON object on the first line of standard input, and then the number of each case whose command has sent its
//! first packet: from then on its time counts, however long it has taken to start. Results go to standard output, a JSON object on each
//! line.

use crate::sys::child::exit_code;
use crate::sys::jobs;
use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// What is to be run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Orders {
    /// How long each command may run, in seconds, from its first packet on.
    pub(super) limit: f64,
    /// How many may run at once.
    pub(super) at_once: usize,
    pub(super) jobs: Vec<Job>,
}

/// One command.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Job {
    /// The number of its case.
    pub(super) case: usize,
    /// The program and its arguments.
    pub(super) words: Vec<String>,
}

/// How one command has ended.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Done {
    pub(super) case: usize,
    /// As a shell has it; `None` where it was killed when its time was over.
    pub(super) code: Option<u8>,
    /// Why it could not be started.
    pub(super) failure: Option<String>,
    /// In seconds, from its start on.
    pub(super) took: f64,
    /// In base64.
    stdout: String,
    pub(super) stderr: String,
}

impl Done {
    /// What it has written to standard output.
    pub(super) fn stdout(&self) -> Vec<u8> {
        STANDARD.decode(&self.stdout).unwrap_or_default()
    }
}

/// Does what standard input orders.
pub(in crate::cli) fn run() -> anyhow::Result<u8> {
    let mut first = String::new();
    let no_orders = "no orders on standard input";
    io::stdin().read_line(&mut first).context(no_orders)?;
    let orders: Orders = serde_json::from_str(&first).context(no_orders)?;
    let limit = Duration::from_secs_f64(orders.limit);
    let begun = Begun::default();
    let told = begun.clone();
    thread::spawn(move || told.read());
    let workers = orders.at_once.min(orders.jobs.len());
    let jobs = Mutex::new(VecDeque::from(orders.jobs));
    let next = || jobs.lock().ok()?.pop_front();
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(job) = next() {
                    tell(&carry_out(&job, |started| {
                        begun.deadline(job.case, started, limit)
                    }));
                }
            });
        }
    });
    Ok(0)
}

/// Since when the time of each case counts.
#[derive(Clone, Default)]
struct Begun(Arc<Mutex<BTreeMap<usize, Instant>>>);

impl Begun {
    /// Takes in which cases have begun, until nobody tells any more.
    fn read(&self) {
        for line in io::stdin().lines().map_while(Result::ok) {
            if let (Ok(case), Ok(mut begun)) = (line.parse(), self.0.lock()) {
                begun.entry(case).or_insert_with(Instant::now);
            }
        }
    }

    /// When the command of a case that was started at `started` is to be killed.
    fn deadline(&self, case: usize, started: Instant, limit: Duration) -> Instant {
        let begun = self.0.lock().ok();
        let begun = begun.and_then(|begun| begun.get(&case).copied());
        begun.unwrap_or(started + START) + limit
    }
}

/// So long a command may take until its first packet.
const START: Duration = Duration::from_secs(5);

fn carry_out(job: &Job, deadline: impl Fn(Instant) -> Instant) -> Done {
    let (program, arguments) = job.words.split_first().unwrap_or((&job.words[0], &[]));
    let mut command = Command::new(program);
    command.args(arguments);
    match jobs::run(command, deadline) {
        Ok(ended) => Done {
            case: job.case,
            code: ended.status.map(exit_code),
            failure: None,
            took: ended.took.as_secs_f64(),
            stdout: STANDARD.encode(&ended.stdout),
            stderr: String::from_utf8_lossy(&ended.stderr).into_owned(),
        },
        Err(error) => Done {
            case: job.case,
            code: None,
            failure: Some(error.to_string()),
            took: 0.0,
            stdout: String::new(),
            stderr: String::new(),
        },
    }
}

fn tell(done: &Done) {
    if let Ok(line) = serde_json::to_string(done) {
        // Where nobody reads any more, nobody misses it.
        let _ = writeln!(io::stdout().lock(), "{line}");
    }
}
