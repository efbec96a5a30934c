//! What can be asked for on the command line.

use crate::measure::Measure;
use clap::Parser;
use std::path::PathBuf;
use std::time::Duration;

/// Compares tcplab with the kernel's own TCP across a veth pair
#[derive(Clone, Debug, Parser)]
#[command(name = "versus_kernel")]
pub(crate) struct Options {
    /// Takes less than a minute: three rounds of 120 milliseconds, one CPU, no idle connections, no variants
    #[arg(long)]
    pub(crate) short: bool,
    /// How often each server is measured
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// How long each time, in milliseconds
    #[arg(long, value_name = "N")]
    millis: Option<u64>,
    /// What to measure; repeatable. Everything unless given
    #[arg(long, value_name = "NAME")]
    only: Vec<Measure>,
    /// Which of tcplab's variants to measure besides the plain one: tuntap, json, transitions, rules, none; repeatable; and
    /// floor, which is no tcplab. All unless given
    #[arg(long, value_name = "NAME")]
    variant: Vec<String>,
    /// How many idle connections to hold open, each number on a server of its own; repeatable. 1000, 10000 and 50000 unless given
    #[arg(long, value_name = "N")]
    idle: Vec<usize>,
    /// On how many CPUs: 1 or 2; repeatable. Both unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=2))]
    cpus: Vec<u8>,
    /// Write the figures of every round as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Run tcplab with --offload
    #[arg(long)]
    pub(crate) offload: bool,
    /// Another program than the tcplab that was just built
    #[arg(long, value_name = "PROGRAM", default_value = env!("CARGO_BIN_EXE_tcplab"))]
    pub(crate) tcplab: PathBuf,
    /// Another tcplab to measure beside it, as `other`
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) other: Option<PathBuf>,
    /// Further options for `tcplab serve`
    #[arg(last = true, value_name = "OPTION")]
    pub(crate) serve: Vec<String>,
}

impl Options {
    pub(crate) fn parse(arguments: &[impl AsRef<str>]) -> Options {
        let arguments = arguments.iter().map(AsRef::as_ref);
        <Options as Parser>::parse_from(["versus_kernel"].into_iter().chain(arguments))
    }

    pub(crate) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.short { 3 } else { 5 }).max(1)
    }

    pub(crate) fn duration(&self) -> Duration {
        let default = if self.short { 120 } else { 500 };
        Duration::from_millis(self.millis.unwrap_or(default))
    }

    pub(crate) fn measures(&self) -> Vec<Measure> {
        match self.only.as_slice() {
            [] => Measure::ALL.to_vec(),
            only => only.to_vec(),
        }
    }

    pub(crate) fn cpus(&self) -> Vec<u8> {
        match self.cpus.as_slice() {
            [] if self.short => vec![1],
            [] => vec![1, 2],
            cpus => cpus.to_vec(),
        }
    }

    /// The numbers of idle connections, none left out.
    pub(crate) fn idle(&self) -> Vec<usize> {
        let idle = match self.idle.as_slice() {
            [] if self.short => &[],
            [] => &[1_000, 10_000, 50_000][..],
            idle => idle,
        };
        idle.iter().copied().filter(|&idle| idle > 0).collect()
    }

    pub(crate) fn has_variant(&self, name: &str) -> bool {
        match self.variant.as_slice() {
            [] => !self.short,
            variants => variants.iter().any(|variant| variant == name),
        }
    }
}
