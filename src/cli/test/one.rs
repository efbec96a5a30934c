//! One scenario: run where it belongs, watched, judged.

use super::{Job, Verdict, What};
use crate::cli::labrun::{Follower, LabRun, Runs};
use crate::cli::run::{Addresses, NAME, RunError};
use crate::engine::Config;
use crate::event::Event;
use crate::scenario::{Checker, Failure, Kernel, On, Outcome, Scenario, Steps};
use crate::sink::Screen;
use crate::sink::ladder::{Ladder, Options};
use crate::sink::story::Depth;
use crate::view::View;
use crate::words::Lang;
use smoltcp::time::Duration;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;

/// The kernel's own words on how often it sends a SYN after equal pauses.
const SYN_LINEAR_TIMEOUTS: &str = "/proc/sys/net/ipv4/tcp_syn_linear_timeouts";
/// So much of a ladder is kept.
const MOST_LADDER: usize = 128 * 1024;
/// A ladder that nobody sits at is that wide.
const WIDTH: usize = 100;

/// What is not as expected, and the ladder up to there.
pub(super) struct Failed {
    pub(super) failures: Vec<Failure>,
    pub(super) ladder: String,
}

/// What all jobs share.
pub(super) struct Runner<'a> {
    pub(super) kernel: Kernel,
    pub(super) runs: &'a Runs,
    pub(super) addresses: Addresses,
}

impl Runner<'_> {
    /// Runs one. `None`: it was stopped.
    pub(super) fn run(&self, job: &Job) -> Option<Verdict> {
        let (scenario, on) = match &job.what {
            What::Scenario { scenario, on } => (scenario, *on),
            What::Broken(why) => return Some(Verdict::Error(why.clone())),
        };
        let run = match on {
            None if scenario.client.simultaneous_open => Ok(Some(Verdict::Skipped(
                "both ends open, which only the simulator can",
            ))),
            None => Ok(Some(Verdict::Skipped(
                "its client is a command, which needs a lab",
            ))),
            Some(On::Simulator) => self.simulate(scenario).map(Some),
            Some(On::Kernel) => self.live(scenario),
        };
        run.unwrap_or_else(|error| {
            let error = anyhow::Error::new(error);
            Some(Verdict::Error(format!(": {error:#}")))
        })
    }

    fn simulate(&self, scenario: &Scenario) -> Result<Verdict, RunError> {
        let mut drawing = Drawing::new(scenario);
        let report = scenario
            .simulate_watched(self.kernel, |view, event, failed| {
                drawing.event(view, event, failed)
            })
            .map_err(anyhow::Error::new)?;
        Ok(drawing.verdict(report.failures))
    }

    fn live(&self, scenario: &Scenario) -> Result<Option<Verdict>, RunError> {
        let client = &scenario.client;
        let own = &self.addresses.own[usize::from(client.ip == 6)];
        let address = scenario.address(*own);
        let host = client.at.map_or(NAME.to_owned(), |fault| fault.host_name());
        let mut command = match (&client.run, &client.steps) {
            (Some(words), _) => {
                let fill = |word: &String| fill(word, &host, address, client.port);
                let mut words = words.iter().map(fill);
                let mut command = Command::new(words.next().unwrap_or_default());
                command.args(words);
                command
            }
            (None, steps) => steps_command(scenario, steps.as_ref(), address),
        };
        command.env("LC_ALL", "C.UTF-8");
        let mut checked = Checked {
            view: View::new(),
            checker: scenario.checker(On::Kernel, self.kernel),
            drawing: Drawing::new(scenario),
        };
        checked.drawing.ladder.peers_are_asked();
        let limit = scenario.limit(On::Kernel);
        let run = LabRun {
            command,
            stdin: client.stdin.clone().into_bytes(),
            kernel: self.addresses.kernel.clone(),
            names: self.addresses.hosts_of(client.ip),
            config: scenario.config(&self.addresses.own),
            password: scenario.stack.password.clone(),
            limit,
            linger: scenario.linger(On::Kernel),
        };
        let Some(outcome) = run.run(self.runs, &mut checked)? else {
            return Ok(None);
        };
        let failures = checked.checker.finish(&outcome, limit);
        Ok(Some(checked.drawing.verdict(failures)))
    }
}

/// What a word of a command becomes.
pub(super) fn fill(word: &str, host: &str, address: IpAddr, port: u16) -> String {
    word.replace("{host}", host)
        .replace("{address}", &address.to_string())
        .replace("{port}", &port.to_string())
}

/// This program itself, with the kernel's sockets.
fn steps_command(scenario: &Scenario, steps: Option<&Steps>, address: IpAddr) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg("steps-client");
    if let Some(timeout) = scenario.client.connect_timeout {
        command.args(["--connect-timeout", &timeout.total_millis().to_string()]);
    }
    if let Some(steps) = steps {
        let peer = SocketAddr::new(address, scenario.client.port);
        command.args([steps.transport.name(), &peer.to_string()]);
        command.arg("--");
        command.args(steps.steps.iter().map(ToString::to_string));
    }
    command
}

/// A run in a lab, watched and judged.
struct Checked<'a> {
    view: View,
    checker: Checker<'a>,
    drawing: Drawing,
}

impl Follower for Checked<'_> {
    fn event(&mut self, event: &Event) {
        self.view.event(event);
        self.checker.event(&self.view, event);
        self.drawing
            .event(&self.view, event, self.checker.has_failed());
    }

    fn is_satisfied(&self) -> bool {
        self.checker.is_satisfied()
    }
}

/// The ladder of a run, up to the first thing that is wrong.
struct Drawing {
    ladder: Ladder,
    drawn: Vec<u8>,
    cut: bool,
    failed: bool,
}

impl Drawing {
    fn new(scenario: &Scenario) -> Drawing {
        let options = Options {
            screen: Screen {
                width: WIDTH,
                colour: false,
                unicode: true,
            },
            verbose: 1,
            explain: Depth::None,
            lang: Lang::En,
            time_wait: Some(scenario.stack.time_wait),
            keep: false,
        };
        Drawing {
            ladder: Ladder::new(options),
            drawn: Vec::new(),
            cut: false,
            failed: false,
        }
    }

    fn event(&mut self, view: &View, event: &Event, failed: bool) {
        if self.failed {
            return;
        }
        // Writing into memory does not fail.
        let _ = self.ladder.event(view, event, &mut self.drawn);
        if failed {
            self.failed = true;
            let _ = self.ladder.flush(&mut self.drawn);
        }
        if self.drawn.len() > MOST_LADDER {
            // The end is what matters.
            self.drawn.drain(..MOST_LADDER / 2);
            self.cut = true;
        }
    }

    fn finish(mut self) -> String {
        let _ = self.ladder.flush(&mut self.drawn);
        let text = String::from_utf8_lossy(&self.drawn);
        match (self.cut, text.split_once('\n')) {
            (true, Some((_, whole_lines))) => format!("…\n{whole_lines}"),
            _ => text.into_owned(),
        }
    }

    fn verdict(self, failures: Vec<Failure>) -> Verdict {
        let ladder = self.finish();
        match failures.is_empty() {
            true => Verdict::Passed { ladder },
            false => Verdict::Failed(Failed { failures, ladder }),
        }
    }
}

/// Reads, in a lab, what scenarios must know of the kernel. `None` where there is no lab.
pub(super) fn ask_kernel(runs: &Runs) -> Option<Kernel> {
    struct Deaf;
    impl Follower for Deaf {
        fn event(&mut self, _: &Event) {}

        fn is_satisfied(&self) -> bool {
            true
        }
    }
    let mut command = Command::new("cat");
    command.arg(SYN_LINEAR_TIMEOUTS);
    let addresses = Addresses::default();
    let run = LabRun {
        command,
        stdin: Vec::new(),
        kernel: addresses.kernel,
        names: Vec::new(),
        config: Config::new(addresses.own),
        password: String::new(),
        limit: Duration::from_secs(10),
        linger: Duration::ZERO,
    };
    let outcome: Outcome = run.run(runs, &mut Deaf).ok()??;
    let text = String::from_utf8_lossy(&outcome.stdout);
    // A kernel before 6.5 has no such file: its pauses double from the beginning.
    let syn_linear_timeouts = text.trim().parse().unwrap_or(0);
    Some(Kernel {
        syn_linear_timeouts,
    })
}
