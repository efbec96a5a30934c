//! Many commands at once in one lab, each with an address of its own.

use super::inside::{Done, Job, Orders};
use super::observe::{Observer, Seen};
use super::{Case, Setup};
use crate::cli::plan::engine_config;
use crate::cli::run::LAB_TUN;
use crate::engine::Engine;
use crate::event::Watch;
use crate::fault::RuleSet;
use crate::sys::clock::Clock;
use crate::sys::driver::{Driver, Until};
use crate::sys::lab::{Lab, LabConfig, Localhost};
use crate::sys::tun::TunConfig;
use crate::sys::wait::Waiter;
use anyhow::{Context, bail};
use smoltcp::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::io::{self, IsTerminal, PipeReader, Read, Write};
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::process::Command;
use std::thread;

/// How long connections may take to close after the last command has ended.
const LINGER: Duration = Duration::from_millis(500);

/// So many commands run at once for each processor.
const PER_PROCESSOR: usize = 4;

/// What came of one case.
pub(super) struct Ran {
    pub(super) done: Done,
    /// What our end has seen at the addresses of the case; `None` where nobody came.
    pub(super) seen: Option<Seen>,
    /// When the first packet came, if one ever has, and when the command had ended.
    pub(super) began: Option<Instant>,
    pub(super) ended: Instant,
}

impl Ran {
    /// How long the command took, in seconds, from its first packet on: how long it takes to start says nothing of it.
    pub(super) fn took(&self) -> f64 {
        match self.began {
            Some(began) => seconds(began, self.ended).min(self.done.took),
            None => self.done.took,
        }
    }

    /// How long it waited for an answer: since the newest connection was established, if one was.
    pub(super) fn waited_for_answer(&self) -> Option<f64> {
        let established = self.seen.as_ref()?.established?;
        Some(seconds(established, self.ended))
    }
}

fn seconds(from: Instant, to: Instant) -> f64 {
    (to - from.min(to)).total_micros() as f64 / 1e6
}

/// Runs all cases. The results are in their order.
pub(super) fn run(setup: &Setup<'_>, cases: &[Case], progress: &str) -> anyhow::Result<Vec<Ran>> {
    let waiter = Waiter::new()?;
    let clock = Clock::start();
    let own = setup.addresses.own.clone();
    let stack = &setup.audit.stack;
    let mut config = engine_config(stack, Watch::Everything, own, stack.mtu, &clock)?;
    config.rules = rules(stack.faults.rules(), cases);
    let mut engine = Engine::new(config);
    engine.serve_standard(&stack.password);

    let (orders_in, mut orders) = io::pipe()?;
    let (mut results, results_out) = io::pipe()?;
    let mut command = Command::new("/proc/self/exe");
    command
        .arg("audit-inside")
        .stdin(orders_in)
        .stdout(results_out);
    let mut lab = Lab::open(&lab_config(setup, cases), command)?;
    for shortfall in &lab.shortfalls {
        log::warn!("{shortfall}");
    }
    lab.start()?;
    // It fits into the pipe or the other end reads it: nothing here waits for the engine.
    orders.write_all(&serde_json::to_vec(&setup.orders(cases))?)?;
    orders.write_all(b"\n")?;

    let mut driver = Driver::new(&lab.tun, &waiter, clock);
    let mut observer = Observer::default();
    let mut text = Vec::new();
    let mut done: BTreeMap<usize, (Done, Instant)> = BTreeMap::new();
    let shows = !setup.audit.quiet && io::stderr().is_terminal();
    let mut over_at = None;
    loop {
        let until = Until {
            child: Some(&mut lab.child),
            input: over_at.is_none().then(|| results.as_fd()),
            deadline: over_at,
            ..Until::default()
        };
        let ready = driver.step(&mut engine, until, |_, event| observer.event(&event))?;
        for address in observer.news() {
            if let Some(case) = cases
                .iter()
                .position(|case| case.addresses.contains(&address))
            {
                // Where all have ended, nobody reads any more.
                let _ = writeln!(orders, "{case}");
            }
        }
        if let Some(caught) = ready.signals.first() {
            clear(shows);
            bail!("ended by {}", caught.signal);
        }
        if ready.input && over_at.is_none() && read(&mut results, &mut text)? == 0 {
            over_at = Some(driver.now() + LINGER);
        }
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            let one: Done = serde_json::from_slice(&line).context("a result that can't be read")?;
            done.insert(one.case, (one, driver.now()));
            if shows {
                let _ = write!(
                    io::stderr(),
                    "\r{progress}: {} of {}",
                    done.len(),
                    cases.len()
                );
            }
        }
        if over_at.is_some_and(|at| driver.now() >= at || engine.is_quiet()) {
            break;
        }
    }
    clear(shows);
    driver.drain(&mut engine, |_, event| observer.event(&event))?;
    let began: Vec<Option<Instant>> = (cases.iter())
        .map(|case| observer.began(&case.addresses))
        .collect();
    let mut seen = observer.finish();
    let ran = cases.iter().enumerate().map(|(number, case)| {
        let (done, ended) = done.remove(&number).with_context(|| {
            format!(
                "nothing is known of how the command for {} ended",
                case.name
            )
        })?;
        if let Some(why) = &done.failure {
            bail!("cannot run {}: {why}", setup.words[0]);
        }
        Ok(Ran {
            done,
            began: began[number],
            ended,
            seen: together(case.addresses.iter().filter_map(|one| seen.remove(one))),
        })
    });
    ran.collect()
}

/// What was seen at the addresses of both IP versions.
fn together(seen: impl Iterator<Item = Seen>) -> Option<Seen> {
    seen.reduce(|mut all, more| {
        all.flows += more.flows;
        all.syns += more.syns;
        all.resent += more.resent;
        all.resets += more.resets;
        if more.ended != all.ended && !more.ended.is_empty() {
            all.ended = format!("{}; {}", all.ended, more.ended);
        }
        all.streams.extend(more.streams);
        all.established = all.established.max(more.established);
        if all.packets.is_empty() {
            all.packets = more.packets;
        }
        all
    })
}

/// Those of the command line come first, then each case's at its addresses.
fn rules(mut rules: RuleSet, cases: &[Case]) -> RuleSet {
    for case in cases {
        for (address, rule) in case
            .addresses
            .iter()
            .flat_map(|address| case.rules.iter().map(move |rule| (*address, rule)))
        {
            rules.add_at(address, rule.clone());
        }
    }
    rules
}

fn lab_config(setup: &Setup<'_>, cases: &[Case]) -> LabConfig {
    let names = |case: &Case| {
        let name = case.host();
        let addresses: Vec<IpAddr> = case.addresses.clone();
        addresses.into_iter().map(move |one| (one, name.clone()))
    };
    LabConfig {
        tun: TunConfig {
            name: LAB_TUN.to_owned(),
            addresses: setup.addresses.kernel.clone(),
            mtu: setup.audit.stack.mtu,
            offload: setup.audit.stack.offload,
        },
        hosts: cases.iter().flat_map(names).collect(),
        localhost: Localhost::Own,
        patient: false,
    }
}

fn read(results: &mut PipeReader, text: &mut Vec<u8>) -> io::Result<usize> {
    let mut room = vec![0; 1 << 16];
    let len = results.read(&mut room)?;
    text.extend_from_slice(&room[..len]);
    Ok(len)
}

/// How many commands run at once where nobody says: most of the time they wait, but each needs a processor to start.
fn at_once() -> usize {
    PER_PROCESSOR * thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

fn clear(shows: bool) {
    if shows {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
}

impl Setup<'_> {
    fn orders(&self, cases: &[Case]) -> Orders {
        let words = |host: &str| {
            let fill = |word: &String| {
                word.replace("{host}", host)
                    .replace("{port}", &self.audit.port.to_string())
            };
            self.words.iter().map(fill).collect()
        };
        Orders {
            limit: self.audit.limit.as_secs_f64(),
            at_once: self.audit.jobs.unwrap_or_else(at_once),
            jobs: (cases.iter().enumerate())
                .map(|(case, one)| Job {
                    case,
                    words: words(&one.host()),
                })
                .collect(),
        }
    }
}
