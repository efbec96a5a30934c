//! Scenarios: a file that says what a client does, what goes wrong meanwhile, and what is expected to happen.
//!
//! ```
//! use tcplab::scenario::{Kernel, Scenario};
//!
//! let file = r#"
//! about = "A SYN-ACK gets lost, and the connection opens all the same"
//! faults = ["drop out SYN-ACK #1"]
//!
//! [client]
//! service = "echo"
//! send = "hello"
//!
//! [expect]
//! stdout = "hello"
//! lines = '''
//!   0          in  S  0:0(0) <mss 1460,...>
//!              state SYN-RECEIVED
//!              out S. 0:0(0) ack 1 dropped
//!   +0.5..1.5  out S. 0:0(0) ack 1 delivered retransmission
//!              in  . 1:1(0) ack 1
//!              state ESTABLISHED
//!              in  P?. 1:6(5) ack 1 "hello"
//! never in R*
//! count in S* 1..2
//! '''
//! "#;
//! let scenario: Scenario = file.parse().unwrap();
//! let report = scenario.simulate(Kernel::default()).unwrap();
//! assert!(report.failures.is_empty(), "{}", report.failures[0].message);
//! ```
//!
//! # The file
//!
//! TOML. Times are texts such as `"1.5s"`, `"200ms"` or `"2min"`, or numbers of seconds.
//!
//! | key | what it says | where it is left out |
//! |---|---|---|
//! | `about` | what the scenario shows, in a sentence | must be there |
//! | `limit` | how long the client may run; then it is killed, and the scenario has failed | 30 s; 10 min of simulated time |
//! | `linger` | how long connections may take to close after the client has ended | 2 s; in simulated time, until `limit` |
//! | `faults` | an array of rules (`tcplab help rules`) | none |
//! | **`[stack]`** | `password`, `seed`, `mtu`, `buffer`, `backlog`, `time-wait`, `keep-alive`, `user-timeout`, as the options of `tcplab run` | those of `tcplab run`; the seed is 1 |
//! | **`[client]`** | | |
//! | `run` | a shell's command line, or an array of a program and its arguments; runs in a private lab | |
//! | `steps` | an array of steps of a client of ours: `send TEXT`, `send-bytes N`, `receive`, `receive N`, `receive all`, `sleep TIME`, `close`, `abort` | |
//! | `send` | short for the steps `send …`, `close`, `receive all` | |
//! | `on` | where steps are carried out: on the `"simulator"`, or on the `"kernel"`'s sockets in a lab | `"simulator"`; where there is `run`, `"kernel"` |
//! | `service` | what is connected to: its port, TCP or UDP | |
//! | `port` | another port | that of the service, or 80 |
//! | `at` | a fault of the catalogue (`tcplab faults`), whose address is connected to | `lab.test` |
//! | `ip` | 4 or 6 | 4 |
//! | `stdin` | what the command can read | nothing |
//! | `connect-timeout` | how long the steps wait for the connection | until `limit` |
//! | `latency` | one way over the simulated wire | 10 ms |
//! | `simultaneous-open` | whether tcplab opens the connection from its side too, at the same moment; on the simulator | `false` |
//! | **`[expect]`** | | |
//! | `lines` | what happens on the wire and in the state machine, see below | anything |
//! | `exact` | whether the lines name every packet, with none between them | `false` |
//! | `tolerance` | how far a single time may be off | 500 ms; 1 ms of simulated time |
//! | `exit` | the client's exit code, or an array of those that will do. It is 128 plus the signal's number if one has killed it. Steps end with 0, or with 1 when one fails | any |
//! | `stdout`, `stderr` | what it says: a text, or `{ contains = "…" }` or `{ matches = "…" }` (a regular expression), each also with an array. A newline at the very end doesn't count. The output of steps is what they have received | anything |
//! | `duration` | how long it runs: `"0.9..1.3"` | any |
//!
//! In `run`, `{host}` stands for the name that leads to the fault or to tcplab, `{address}` for its address and `{port}` for
//! the port. `lab.test` and the names of all other faults resolve too. A name has an address of one IP version only, so that a client
//! makes one attempt.
//!
//! # Lines
//!
//! One a line, in packetdrill's notation (see [`Notation`](crate::segment::Notation)); `//` begins a comment:
//!
//! ```text
//! [TIME] [#CONNECTION] [released] in|out PACKET ["PAYLOAD"] [FATE] [retransmission|new] [as REASON]
//! [TIME] [#CONNECTION] state STATE
//! [TIME] [#CONNECTION] peer STATE
//! never …
//! count … N
//! ```
//!
//! Lines happen in the order in which they stand, other things may happen between them. The first thing after the line
//! before that fits everything but the time must also fit the time. What the order of several lines is does not matter where
//! `{` stands on a line before them and `}` on one after.
//!
//! | part | meaning |
//! |---|---|
//! | `0.2` | 0.2 s after the first packet, give or take the tolerance; `200ms` is the same |
//! | `+1` | 1 s after the line before |
//! | `+0.9..1.3`, `+1..`, `..0.5` | a window, with or without an end |
//! | `+syn-retry(2)` | as long as the kernel waits before it sends a SYN for the second time again, read from `net.ipv4.tcp_syn_linear_timeouts` |
//! | `*` or nothing | at any time |
//! | `#2` | the second flow of the run; left out, any |
//! | `S.` | these control bits and no others; `P?.` with or without PSH; `S*` SYN and any others; `-` none |
//! | `1:5(4)` | the sequence numbers, relative, and the length; `(4)` the length alone; each may be `*` or a range such as `1..7` |
//! | `ack 1`, `win 0..100`, `urg 5` | as named; left out, any |
//! | `<mss 1460,sackOK,...>` | the options in their order; `...` stands for any, also none; values may be `*`; left out, any options |
//! | `udp (5)`, `icmp port unreachable`, `any` | other packets; the length and the name may be left out |
//! | `"PASS"` | the payload contains it |
//! | `[bad checksum]` | its checksum is wrong |
//! | `delivered`, `discarded`, `dropped`, `delayed`, `held`, `duplicated`, `rewritten`, `injected` | its [fate](crate::event::Fate). A packet that was rewritten is judged as it came out |
//! | `released` | the moment at which a packet that was delayed or held goes on |
//! | `retransmission`, `new` | whether a part of it was sent before |
//! | `as keep-alive` | why our TCP sends it, see [`Reason::name`](crate::event::Reason::name) |
//! | `state`, `peer` | our end, or the other, enters this state. The peer's is inferred, and in a lab its kernel is asked |
//! | `never` | does not happen in the whole run |
//! | `count in S 1..7` | happens so often in the whole run |

mod check;
mod compare;
mod expect;
mod file;
mod record;
mod simulate;
mod steps;
#[cfg(test)]
mod tests;

pub use check::{Checker, Failure, Outcome};
pub use compare::Field;
pub use expect::{
    Body, Expectation, Kernel, Line, LineError, Moment, Number, OptionList, OptionPattern, Pattern,
    Since, TcpPattern, What, When, Window, parse_lines,
};
pub use file::FileError;
pub use record::Recorder;

pub use simulate::{CannotSimulate, Report};
pub use steps::{READ, Step, StepError, Steps, cut_short, filling};

use crate::engine::Config;
use crate::fault::{Rule, RuleSet, catalogue};
use regex::Regex;
use smoltcp::time::Duration;
use smoltcp::wire::{IpAddress, IpCidr};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// How long a client may run in a lab where the file does not say.
const LIMIT: Duration = Duration::from_secs(30);
/// How long it may run in simulated time.
const SIMULATED_LIMIT: Duration = Duration::from_secs(600);
/// How long connections may take to close in a lab where the file does not say.
const LINGER: Duration = Duration::from_secs(2);

/// A file, understood.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it shows.
    pub about: String,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// How our stack is made.
    pub stack: Stack,
    /// What the client does.
    pub client: Client,
    /// What shall happen.
    pub expect: Expected,
    limit: Option<Duration>,
    linger: Option<Duration>,
}

/// A rule and where it stands.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The rule.
    pub rule: Rule,
    /// The line of the file, counted from 1.
    pub line: usize,
}

/// How our stack is made: as the options of `tcplab run` say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// The right answer to the password service.
    pub password: String,
    /// Decides every choice that is a matter of chance.
    pub seed: u64,
    /// The MTU in bytes: 1,280 to 65,535.
    pub mtu: u16,
    /// The size of each connection's buffers in bytes: 1,024 to 1,073,741,824.
    pub buffer: usize,
    /// How many connections may wait for the end of their handshake at once.
    pub backlog: usize,
    /// How long TIME-WAIT lasts.
    pub time_wait: Duration,
    /// After how much idle time a keep-alive segment is sent; more than zero.
    pub keep_alive: Option<Duration>,
    /// How long nothing may be acknowledged before a connection is given up.
    pub user_timeout: Duration,
}

/// What the client is and does.
#[derive(Clone, Debug)]
pub struct Client {
    /// A program and its arguments, in which `{host}`, `{address}` and `{port}` are still to be filled in.
    pub run: Option<Vec<String>>,
    /// What a client of ours does; at least one of the two is there.
    pub steps: Option<Steps>,
    /// Where it runs unless something else is asked for.
    pub on: On,
    /// The port that it connects to.
    pub port: u16,
    /// The fault whose address it connects to.
    pub at: Option<&'static catalogue::Fault>,
    /// The IP version: 4 or 6.
    pub ip: u8,
    /// What the command can read.
    pub stdin: String,
    /// How long the steps wait for the connection.
    pub connect_timeout: Option<Duration>,
    /// One way over the simulated wire.
    pub latency: Duration,
    /// Whether tcplab opens the connection too.
    pub simultaneous_open: bool,
}

/// Where a client runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// In a private lab, against the kernel's TCP.
    Kernel,
    /// On the simulator, against our own stack.
    Simulator,
}

/// What shall happen. Numbers beside values are lines of the file.
#[derive(Clone, Debug)]
pub struct Expected {
    /// On the wire and in the state machine.
    pub lines: Vec<Expectation>,
    /// Whether those name every packet.
    pub exact: bool,
    /// How far a single time may be off, where the file says so.
    pub tolerance: Option<Duration>,
    /// Exit codes that will do.
    pub exit: Option<(Vec<u8>, usize)>,
    /// What must be true of standard output.
    pub stdout: Vec<(Output, usize)>,
    /// What must be true of standard error.
    pub stderr: Vec<(Output, usize)>,
    /// How long the client runs.
    pub duration: Option<(Window, usize)>,
    limit_line: usize,
}

/// Something that must be true of what a client says.
#[derive(Clone, Debug)]
pub enum Output {
    /// It is this, but for newlines at the end.
    Is(String),
    /// This is somewhere in it.
    Contains(String),
    /// This is found in it.
    Matches(Regex),
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Output::Is(text) => f.write_str(&compare::quoted(text.as_bytes())),
            Output::Contains(text) => write!(f, "…{}…", compare::quoted(text.as_bytes())),
            Output::Matches(regex) => write!(f, "/{regex}/"),
        }
    }
}

impl FromStr for Scenario {
    type Err = FileError;

    fn from_str(text: &str) -> Result<Scenario, FileError> {
        file::parse(text)
    }
}

impl Scenario {
    /// Where it runs if `asked` is asked for; `None` where it can't: a command does not run on the simulator, and only there
    /// do both ends open a connection.
    pub fn place(&self, asked: Option<On>) -> Option<On> {
        match asked {
            None => Some(self.client.on),
            Some(On::Simulator) => self.client.steps.as_ref().map(|_| On::Simulator),
            Some(On::Kernel) => (!self.client.simultaneous_open).then_some(On::Kernel),
        }
    }

    /// How long the client may run there.
    pub fn limit(&self, on: On) -> Duration {
        self.limit.unwrap_or(match on {
            On::Kernel => LIMIT,
            On::Simulator => SIMULATED_LIMIT,
        })
    }

    /// How long connections may take to close there after the client has ended.
    pub fn linger(&self, on: On) -> Duration {
        self.linger.unwrap_or(match on {
            On::Kernel => LINGER,
            On::Simulator => self.limit(on),
        })
    }

    /// How far a single time may be off there.
    pub fn tolerance(&self, on: On) -> Duration {
        self.expect.tolerance.unwrap_or(match on {
            On::Kernel => Duration::from_millis(500),
            On::Simulator => Duration::from_millis(1),
        })
    }

    /// Judges a run there.
    pub fn checker(&self, on: On, kernel: Kernel) -> Checker<'_> {
        Checker::new(&self.expect, kernel, self.tolerance(on))
    }

    /// Whether what it expects depends on the [`Kernel`].
    pub fn asks_kernel(&self) -> bool {
        let asks = |window: Window| {
            let moments = match window {
                Window::Around(moment) => [Some(moment), None],
                Window::Between(from, to) => [from, to],
            };
            moments
                .into_iter()
                .flatten()
                .any(|moment| matches!(moment, Moment::SynRetry(_)))
        };
        let lines = self
            .expect
            .lines
            .iter()
            .flat_map(|expectation| match expectation {
                Expectation::Next(lines) => lines.as_slice(),
                Expectation::Never(line) | Expectation::Count(line, _) => {
                    std::slice::from_ref(line)
                }
            });
        let mut windows = lines.map(|line| line.when.window);
        windows.any(asks) || self.expect.duration.is_some_and(|(window, _)| asks(window))
    }

    /// How the engine is to be made that has these addresses.
    pub fn config(&self, addresses: &[IpCidr]) -> Config {
        Config {
            rules: self.rules(addresses),
            ..self.stack.config(addresses)
        }
    }

    /// Where the client connects to, if `own` is our address with its prefix.
    pub fn address(&self, own: IpCidr) -> IpAddr {
        let fault = self.client.at.and_then(|fault| fault.address_in(own));
        fault.unwrap_or(match own.address() {
            IpAddress::Ipv4(address) => address.into(),
            IpAddress::Ipv6(address) => address.into(),
        })
    }

    /// The rules of the file for all, and those of each fault at its addresses.
    fn rules(&self, addresses: &[IpCidr]) -> RuleSet {
        let mut rules = RuleSet::new();
        for fault in &self.faults {
            rules.add(fault.rule.clone());
        }
        catalogue::add_to(&mut rules, addresses);
        rules
    }
}

impl Stack {
    /// How an engine is to be made that has these addresses, and no rules.
    pub fn config(&self, addresses: &[IpCidr]) -> Config {
        let Stack {
            password: _,
            seed,
            mtu,
            buffer,
            backlog,
            time_wait,
            keep_alive,
            user_timeout,
        } = *self;
        Config {
            seed,
            mtu: mtu.into(),
            buffer,
            backlog,
            time_wait,
            keep_alive,
            user_timeout: Some(user_timeout),
            ..Config::new(addresses.iter().copied())
        }
    }
}

impl Default for Stack {
    /// As `tcplab run` has them, and the seed 1: the same file shows the same.
    fn default() -> Stack {
        let config = Config::new([]);
        Stack {
            password: "123".to_owned(),
            seed: 1,
            mtu: 1500,
            buffer: config.buffer,
            backlog: config.backlog,
            time_wait: config.time_wait,
            keep_alive: config.keep_alive,
            user_timeout: Duration::from_secs(15 * 60),
        }
    }
}

impl Default for Kernel {
    /// As Linux 6.5 and later has it.
    fn default() -> Kernel {
        Kernel {
            syn_linear_timeouts: 4,
        }
    }
}
