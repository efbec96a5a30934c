//! What is measured, and the rounds.

use crate::lab::{Lab, Server, pin};
use crate::options::Options;
use crate::{Result, client};
use clap::ValueEnum;
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::env;
use std::process::{Command, Stdio};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Measure {
    Echo,
    Crr,
    Crr1,
    Connect,
    C2s,
    C2s8,
    C2s64,
    C2s256,
    S2c,
    S2c8,
    S2c64,
    S2c256,
    BesideC2s8,
    BesideC2s64,
    BesideS2c8,
    BesideS2c64,
}

impl Measure {
    pub(crate) const ALL: [Measure; 16] = [
        Measure::Echo,
        Measure::Crr,
        Measure::Crr1,
        Measure::Connect,
        Measure::C2s,
        Measure::C2s8,
        Measure::C2s64,
        Measure::C2s256,
        Measure::S2c,
        Measure::S2c8,
        Measure::S2c64,
        Measure::S2c256,
        Measure::BesideC2s8,
        Measure::BesideC2s64,
        Measure::BesideS2c8,
        Measure::BesideS2c64,
    ];

    /// What runs meanwhile, where it is measured beside something.
    pub(crate) fn load(self) -> Option<Measure> {
        match self {
            Measure::BesideC2s8 => Some(Measure::C2s8),
            Measure::BesideC2s64 => Some(Measure::C2s64),
            Measure::BesideS2c8 => Some(Measure::S2c8),
            Measure::BesideS2c64 => Some(Measure::S2c64),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value().expect("none is hidden");
        value.get_name().to_owned()
    }
}

/// The figures of one series: one of each round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    pub(crate) rounds: Vec<f64>,
}

impl Series {
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.rounds.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() % 2 {
            _ if sorted.is_empty() => f64::NAN,
            0 => (sorted[middle - 1] + sorted[middle]) / 2.0,
            _ => sorted[middle],
        }
    }

    pub(crate) fn least(&self) -> f64 {
        self.rounds.iter().copied().fold(f64::INFINITY, f64::min)
    }

    pub(crate) fn most(&self) -> f64 {
        self.rounds.iter().copied().fold(0.0, f64::max)
    }

    /// This to another, round by round.
    pub(crate) fn ratio(&self, to: &Series) -> Series {
        let pairs = self.rounds.iter().zip(&to.rounds);
        Series {
            rounds: pairs.map(|(this, other)| this / other).collect(),
        }
    }
}

/// What a series is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct What {
    pub(crate) cpus: u8,
    /// Its place in the table, and its name with its unit.
    pub(crate) figure: (usize, String),
    /// Which of the servers.
    pub(crate) server: usize,
}

pub(crate) struct Results {
    /// Their names, and what an idle connection costs in bytes.
    pub(crate) servers: Vec<(String, Option<f64>)>,
    pub(crate) series: BTreeMap<What, Series>,
}

pub(crate) fn run(options: &Options, lab: &Lab) -> Result<Results> {
    let servers = &lab.servers;
    let mut series: BTreeMap<What, Series> = BTreeMap::new();
    for cpus in options.cpus() {
        for server in servers {
            server.pin(0)?;
        }
        let client_cpu = usize::from(cpus - 1);
        for (place, measure) in options.measures().into_iter().enumerate() {
            eprintln!("{cpus} CPU: {}", measure.name());
            for round in 0..options.rounds() {
                for index in order(servers.len(), round) {
                    let server = &servers[index];
                    for (unit, value) in once(options, measure, server, client_cpu)? {
                        let figure = (place, format!("{} {unit}", measure.name()));
                        let what = What {
                            cpus,
                            figure,
                            server: index,
                        };
                        series.entry(what).or_default().rounds.push(value);
                    }
                }
            }
        }
    }
    let servers = servers.iter();
    let servers = servers.map(|server| (server.name.clone(), server.idle_bytes));
    Ok(Results {
        servers: servers.collect(),
        series,
    })
}

/// In which order the servers take their turns: each time another begins, and every second time it goes backwards, as nobody
/// shall always come behind the same other one. Nor behind itself, where it would find everything warm.
fn order(count: usize, round: usize) -> Vec<usize> {
    let first = round / 2;
    let turns = 0..count;
    match round % 2 {
        _ if count < 3 => turns.collect(),
        0 => turns.map(|turn| (first + turn) % count).collect(),
        _ => turns
            .map(|turn| (first + 1 + count - turn) % count)
            .collect(),
    }
}

/// Lets a client work against a server; returned are its figures by unit.
fn once(
    options: &Options,
    measure: Measure,
    server: &Server,
    cpu: usize,
) -> Result<BTreeMap<String, f64>> {
    let mut command = Command::new(env::current_exe()?);
    command.args([client::ROLE, &measure.name(), &server.network.to_string()]);
    command.arg(options.duration().as_millis().to_string());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let (before, dropped) = (server.cpu_time()?, server.dropped()?);
    let child = command.spawn()?;
    // It begins with what it is told here, but loses nothing that it has begun elsewhere.
    pin(Pid::from_raw(child.id() as i32), cpu)?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{} of {}: {why}", measure.name(), server.name).into());
    }
    let mut figures: BTreeMap<String, f64> = serde_json::from_slice(&output.stdout)?;
    let used = server.cpu_time()? - before;
    figures.insert("drops".into(), server.dropped()? - dropped);
    let both = used + figures.remove("cpu").unwrap_or_default();
    if let Some(bytes) = figures.remove("bytes") {
        figures.insert("CPU s/GB".into(), used / (bytes / 1e9));
        figures.insert("CPU s/GB, both ends".into(), both / (bytes / 1e9));
    }
    if let Some(count) = figures.remove("count") {
        figures.insert("CPU µs each, both ends".into(), both * 1e6 / count);
    }
    Ok(figures)
}
