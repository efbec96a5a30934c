//! What can be typed.

use super::language::{Language, LanguageParser};
use super::live::HeldLog;
use super::plan::{
    LocalPort, Network, RuleFile, limit, listen_address, local_port, network_v4, network_v6,
    origin, prefix, report, rules, seconds, shard, size, some_seconds, trimmed,
};
use crate::engine::Origin;
use crate::fault::{GRAMMAR, Rule};
use crate::scenario::Step;
use crate::sink::report::Format;
use crate::sink::story::Depth;
use crate::sys::pty::is_typed;
use crate::words::Lang;
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use smoltcp::time::Duration;
use smoltcp::wire::{IpCidr, Ipv4Cidr, Ipv6Cidr};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Watch a real TCP from the inside: every segment, every state transition, and why.
///
/// tcplab is a TCP endpoint made of glass: a TCP/IP stack of its own, behind a TUN device, to which unmodified programs
/// connect. Without a command it shows what it does: `tcplab demo`.
#[derive(Debug, Parser)]
#[command(name = "tcplab", version, max_term_width = 100)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show a whole conversation: handshake, data and teardown of TCP, then UDP
    ///
    /// Opens a private lab in which a client of the kernel's TCP talks to the password service of tcplab's own TCP, then
    /// to its UDP hello service. Where this machine allows no lab, both ends are simulated.
    #[command(after_help = DEMO_EXAMPLES)]
    Demo(Demo),
    #[command(hide = true)]
    DemoClient(DemoClient),
    /// Run a command in a private lab and watch its connections to tcplab
    ///
    /// The lab is a user, network and mount namespace of its own: no root is needed, nothing outside is touched, and
    /// nothing is left behind. Inside, the name lab.test leads to tcplab, and each fault of `tcplab faults` has a name too.
    /// The exit code is the command's own (128 plus the signal's number if a signal killed it).
    #[command(after_help = RUN_EXAMPLES)]
    Run(Run),
    /// Serve on a TUN device in the current network namespace
    ///
    /// If the TUN exists, such as one that `setup/tun.sh up` made for this user, tcplab attaches to it, and it keeps its
    /// addresses. Otherwise tcplab creates it, which needs CAP_NET_ADMIN, and removes it at the end. A line that begins with
    /// `ready` appears on standard error once clients can connect.
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(Serve),
    /// Be the client of a server that uses the kernel's TCP
    ///
    /// Without a command, a TUN is used as by `tcplab serve`. With one, the server is started in a private lab (see `tcplab
    /// run`) and ended when the client is done.
    #[command(after_help = CONNECT_EXAMPLES)]
    Connect(Connect),
    /// Run a command once per fault, several at the same time, and report what it did in each
    ///
    /// Everything happens in one private lab (see `tcplab run`), in which each fault has an address of its own. {host} in the
    /// command becomes the name of the server, {port} its port. First the command runs twice without a fault: it must
    /// succeed, and its output then is what it should print under a fault that a client survives.
    ///
    /// The exit code is 0 if the client did in every run what a good client does (or, with --expect, what it did before),
    /// 1 if it did not, 2 if the audit was not possible.
    #[command(after_help = AUDIT_EXAMPLES)]
    Audit(Audit),
    #[command(hide = true)]
    AuditInside,
    /// Show the ladder of a packet capture
    ///
    /// Reads pcap and pcapng: raw IP, Ethernet, Linux cooked and loopback; IPv4 and IPv6. The states of both ends are inferred
    /// from the segments; the server is on the right. The exit code is 0 if all was read, 1 if the file is cut off or
    /// damaged (what comes before that is shown), 2 if it can't be read at all.
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(Capture),
    /// Show the catalogue of named faults, each with an address of its own
    #[command(after_help = FAULTS_EXAMPLES)]
    Faults(Catalogue),
    /// Run scenarios: what a client does, what goes wrong, and what is expected to happen
    ///
    /// A scenario is a TOML file. Its client is a command, which runs in a private lab of its own, or a list of steps, which our
    /// own stack carries out on a simulator in virtual time. The results appear as TAP (version 14) on standard output: what
    /// was expected and what happened, field by field, and the ladder up to that point. The exit code is 0 if all passed, 1
    /// if one did not, 2 if one could not be run: that is an error in the results, and the others run.
    #[command(after_help = include_str!("test/help.txt"))]
    Test(Test),
    #[command(hide = true)]
    StepsClient(StepsClient),
    /// Print the rule syntax, for --rule and --rules
    #[command(long_about = GRAMMAR, help_template = "{about-with-newline}", term_width = 0)]
    Rules,
    /// Check this machine and print fixes
    Doctor,
}

impl Default for Command {
    fn default() -> Command {
        Command::Demo(Demo::default())
    }
}

#[derive(Debug, Parser)]
pub(super) struct Demo {
    #[command(flatten)]
    pub(super) show: Show,
    #[command(flatten)]
    pub(super) stack: Stack,
    #[command(flatten)]
    pub(super) steps: Steps,
    #[command(flatten)]
    pub(super) lab: Lab,
    /// Simulate both ends, even where a lab could be opened
    #[arg(long)]
    pub(super) simulate: bool,
    #[command(flatten)]
    pub(super) quiz: Quiz,
}

impl Default for Demo {
    fn default() -> Demo {
        Demo::parse_from(["tcplab demo"])
    }
}

#[derive(Debug, ClapArgs)]
pub(super) struct DemoClient {
    /// The address of the services
    pub(super) address: std::net::IpAddr,
    /// The password to try
    pub(super) password: String,
    /// How many seconds to wait for each answer
    pub(super) patience: u64,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Run {
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    pub(super) cmd: Vec<OsString>,
    /// How many seconds to wait, once the command has ended, for what is still going on: packets that cross, timers of tcplab's
    /// that expire within that time. A lull of a third of it ends the run; so does the end of all connections, at once
    #[arg(long, value_name = "SECONDS", default_value = "0.3", value_parser = seconds)]
    pub(super) linger: Duration,
    #[command(flatten)]
    pub(super) show: Show,
    #[command(flatten)]
    pub(super) stack: Stack,
    #[command(flatten)]
    pub(super) steps: Steps,
    #[command(flatten)]
    pub(super) quiz: Quiz,
    #[command(flatten)]
    pub(super) lab: Lab,
    /// Make 127.0.0.1:PORT in the lab lead to tcplab, for programs in which that address is fixed; repeatable. `all`: every port
    ///
    /// Other ports of 127.0.0.1 stay the lab's own. So does ::1: Linux accepts no packets from that address but on its loopback
    /// interface.
    #[arg(long, value_name = "PORT", value_parser = local_port, help_heading = "The lab")]
    pub(super) as_localhost: Vec<LocalPort>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Audit {
    /// The command and its arguments; {host} and {port} are filled in
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    pub(super) cmd: Vec<OsString>,
    /// How long each run may take, in seconds from its first packet; a command that takes longer counts as hung
    #[arg(long, value_name = "SECONDS", default_value = "20", value_parser = limit)]
    pub(super) limit: std::time::Duration,
    /// Only these faults; repeatable, or with commas between them
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        value_parser = trimmed,
        conflicts_with = "sweep"
    )]
    pub(super) only: Vec<String>,
    /// Instead of the catalogue: record one good run; then drop, duplicate, and delay (past a retransmission) each of its
    /// segments, one per run, and cut its last data short
    #[arg(long)]
    pub(super) sweep: bool,
    /// When the client promises to give up connecting, in seconds per address: giving up at that time is good, later is not
    #[arg(long, value_name = "SECONDS", value_parser = limit)]
    pub(super) connect_limit: Option<std::time::Duration>,
    /// When it promises to give up waiting for an answer, in seconds from the handshake, likewise
    #[arg(long, value_name = "SECONDS", value_parser = limit)]
    pub(super) answer_limit: Option<std::time::Duration>,
    /// How many commands may run at once; four per processor unless given
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub(super) jobs: Option<usize>,
    /// What {port} becomes
    #[arg(long, value_name = "PORT", default_value = "80")]
    pub(super) port: u16,
    /// Show nothing but errors
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// Write the findings as JSON; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Write them as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,
    /// Write them as Markdown
    #[arg(long, value_name = "FILE")]
    pub(super) markdown: Option<PathBuf>,
    /// Write them as an HTML page
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    /// Save what the client does now, for --expect
    #[arg(long, value_name = "FILE")]
    pub(super) save: Option<PathBuf>,
    /// Compare with a file written by --save instead of with what a good client does
    #[arg(long, value_name = "FILE")]
    pub(super) expect: Option<PathBuf>,
    #[command(flatten)]
    pub(super) stack: Stack,
    #[command(flatten)]
    pub(super) lab: Lab,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Serve {
    /// Drop to this user (name or number) once everything is set up, if started as root
    ///
    /// Capabilities are dropped in any case once the TUN, the output files and the port for metrics are open, and no program
    /// that is executed can gain any (no_new_privs).
    #[arg(long, value_name = "USER")]
    pub(super) user: Option<String>,
    #[command(flatten)]
    pub(super) show: Show,
    #[command(flatten)]
    pub(super) stack: Stack,
    #[command(flatten)]
    pub(super) steps: Steps,
    #[command(flatten)]
    pub(super) tun: Tun,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Connect {
    /// What the client speaks
    pub(super) service: Client,
    /// Address and port of the server; write an IPv6 address in brackets
    #[arg(value_name = "HOST:PORT")]
    pub(super) peer: String,
    /// Connect from this address of tcplab, and from this port; write an IPv6 address with a port in brackets
    #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = origin)]
    pub(super) from: Option<Origin>,
    /// A server to start in a private lab; there the kernel's side is 192.0.2.1 and 2001:db8::1
    #[arg(last = true, value_name = "CMD")]
    pub(super) cmd: Vec<OsString>,
    #[command(flatten)]
    pub(super) show: Show,
    #[command(flatten)]
    pub(super) stack: Stack,
    #[command(flatten)]
    pub(super) steps: Steps,
    #[command(flatten)]
    pub(super) tun: Tun,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Capture {
    /// The capture; `-` is standard input
    pub(super) file: PathBuf,
    #[command(flatten)]
    pub(super) show: Show,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Catalogue {
    /// Show this one in full
    pub(super) name: Option<String>,
    /// Write JSON
    #[arg(long)]
    pub(super) json: bool,
    /// The language of what is shown
    #[arg(
        long,
        value_name = "LANGUAGE",
        default_value = "en",
        value_parser = LanguageParser,
        conflicts_with = "json"
    )]
    pub(super) lang: Language,
    #[command(flatten)]
    pub(super) lab: Lab,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Test {
    /// Scenarios, and folders whose .toml files are scenarios
    #[arg(required_unless_present = "record", value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// Also write the results to a file, as JUnit's XML
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,
    /// How many run at once; by default as many as there are processors
    #[arg(short, long, value_name = "N")]
    pub(super) jobs: Option<NonZeroUsize>,
    /// Run only those with this text in their path or title (`about`)
    #[arg(long, value_name = "TEXT")]
    pub(super) filter: Option<String>,
    /// Run only part I of N, for example 2/5: all parts together are all scenarios, each once
    #[arg(long, value_name = "I/N", value_parser = shard)]
    pub(super) shard: Option<(usize, usize)>,
    /// Only list which would run
    #[arg(long)]
    pub(super) list: bool,
    /// Run on the simulator what can run there; skip the others
    #[arg(long, conflicts_with = "live")]
    pub(super) simulate: bool,
    /// Carry out steps on the kernel's sockets in a lab; skip what can't run there
    #[arg(long)]
    pub(super) live: bool,
    /// Show the ladder of every scenario
    #[arg(short, long)]
    pub(super) verbose: bool,
    /// Write a scenario from what happens when CMD runs in a lab; {host} and {port} in CMD are filled in
    #[arg(long, value_name = "FILE", requires = "cmd", conflicts_with_all = ["files", "junit", "jobs", "filter", "shard", "list", "simulate", "live", "verbose"])]
    pub(super) record: Option<PathBuf>,
    /// Overwrite the file of --record, and record a command that fails
    #[arg(long, requires = "record")]
    pub(super) force: bool,
    /// The command of --record and its arguments
    #[arg(last = true, value_name = "CMD", requires = "record")]
    pub(super) cmd: Vec<String>,
}

#[derive(Debug, ClapArgs)]
pub(super) struct StepsClient {
    /// tcp or udp
    pub(super) transport: String,
    /// Where to connect
    pub(super) peer: SocketAddr,
    /// How long to wait for that, in milliseconds
    #[arg(long)]
    pub(super) connect_timeout: Option<u64>,
    /// What to do
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Client {
    /// TCP: prints what the server asks, sends a line of standard input as the password
    Password,
    /// UDP: sends one datagram and prints the answer
    Hello,
    /// TCP: sends standard input line by line and prints what comes back
    Echo,
}

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "What is shown")]
pub(super) struct Show {
    /// Show nothing but errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// Show more: pings and other packets without flow; twice: the window and options of every segment too
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// When several flows were interleaved, print each of them whole at the end
    #[arg(long)]
    pub(super) whole: bool,
    /// Write each event as a JSON object on a line of its own; `-` is standard output, shared with the command that is run
    ///
    /// `asked` events, the peer's state as its kernel reports it, appear only if a ladder, live screen, log or report is also
    /// produced: to ask after each segment takes time.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Write every packet to a pcapng capture, with states in comments; `-` is standard output, shared with the command that
    /// is run: `tcplab run -w - -- sh -c 'curl -s lab.test >&2' | wireshark -k -i -`
    #[arg(short = 'w', value_name = "FILE")]
    pub(super) write: Option<PathBuf>,
    /// Write a report of the run: .html, .svg (drawings), .md (Markdown) or .mmd (Mermaid); repeatable
    #[arg(long, value_name = "FILE", value_parser = report)]
    pub(super) report: Vec<(PathBuf, Format)>,
    /// Serve counters for Prometheus at http://ADDRESS/metrics; a port alone means 127.0.0.1
    #[arg(long, value_name = "ADDRESS", value_parser = listen_address)]
    pub(super) metrics: Option<SocketAddr>,
    /// How much to explain in words
    #[arg(long, value_name = "DEPTH", default_value = "brief")]
    pub(super) explain: Explain,
    /// The language of what is shown; help, errors and the log are in English
    #[arg(long, value_name = "LANGUAGE", default_value = "en", value_parser = LanguageParser)]
    pub(super) lang: Language,
    /// Watch on a live screen: connections, ladder, state diagram, each segment in full; `?` there lists the keys
    #[arg(long, conflicts_with_all = ["quiet", "whole"])]
    pub(super) tui: bool,
    #[arg(skip)]
    pub(super) log: HeldLog,
    /// Whether a learner is asked before anything is shown.
    #[arg(skip)]
    pub(super) quiz: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Explain {
    /// Nothing
    None,
    /// What happens for the first time
    Brief,
    /// Every segment and every change of state
    Normal,
    /// Also the variables of the connection, and which section of which RFC says so
    Deep,
}

impl Show {
    /// How much is explained.
    pub(super) fn depth(&self) -> Depth {
        match self.explain {
            Explain::None => Depth::None,
            Explain::Brief => Depth::Brief,
            Explain::Normal => Depth::Normal,
            Explain::Deep => Depth::Deep,
        }
    }

    /// The language of what is shown.
    pub(super) fn lang(&self) -> Lang {
        self.lang.into()
    }
}

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "The stack")]
pub(super) struct Stack {
    /// The right answer to the password service
    #[arg(long, value_name = "TEXT", default_value = "123")]
    pub(super) password: String,
    /// Seed for all random choices (such as initial sequence numbers), so that two runs can be compared. Default:
    /// unpredictable
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// The MTU in bytes, 1280 to 65535
    #[arg(long, value_name = "BYTES", default_value = "1500", value_parser = clap::value_parser!(u16).range(1280..))]
    pub(super) mtu: u16,
    /// Let packets of up to 64 KiB cross the TUN and leave checksums to the kernel: much faster, but packets are shown as
    /// tcpdump would show them on the TUN, not as a wire would carry them. An immediate reply, or FIN, carries the ACK
    #[arg(long)]
    pub(super) offload: bool,
    /// Busy-poll for up to MICROS microseconds after each packet: quicker answers, if a processor is otherwise idle
    #[arg(long, value_name = "MICROS", num_args = 0..=1, require_equals = true, default_missing_value = "50", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) busy_poll: Option<u32>,
    /// Serve a port, TCP and UDP, where an exclamation mark meets a defect of tcplab's
    #[arg(long, hide = true, value_name = "PORT")]
    pub(super) defect_at: Option<u16>,
    /// The size of each connection's two buffers, one per direction: bytes, or with K or M. Only what is used takes memory.
    /// With --offload, a connection is first offered half of it as window, and so while more than four receive in bulk
    #[arg(long, value_name = "SIZE", default_value = "256K", value_parser = size)]
    pub(super) buffer: usize,
    /// How many half-open connections may wait for the end of their handshake; SYN cookies serve further clients
    #[arg(long, value_name = "N", default_value = "128")]
    pub(super) backlog: usize,
    /// How many connections may be established at once. When full, the longest-idle connection is reset to admit a new one.
    /// The same limit applies to UDP exchanges
    #[arg(long, value_name = "N", default_value = "65536", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub(super) connections: usize,
    /// How many connections may be in TIME-WAIT at once; when full, further ones skip it
    #[arg(long, value_name = "N", default_value = "262144")]
    pub(super) time_waits: usize,
    /// Memory for fragments of incomplete packets; when full, the oldest are discarded
    #[arg(long, value_name = "SIZE", default_value = "4M", value_parser = size)]
    pub(super) reassembly: usize,
    /// Memory for packets that wait because of rules or stepping; when full, further ones are dropped
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = size)]
    pub(super) waiting: usize,
    /// How long TIME-WAIT lasts, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub(super) time_wait: Duration,
    /// Send a keep-alive probe after SECONDS idle seconds
    #[arg(long, value_name = "SECONDS", value_parser = some_seconds)]
    pub(super) keep_alive: Option<Duration>,
    /// Give up if nothing is acknowledged for SECONDS seconds
    #[arg(long, value_name = "SECONDS", default_value = "900", value_parser = some_seconds)]
    pub(super) user_timeout: Duration,
    /// The time to live (IPv4) or hop limit (IPv6) of tcplab's packets
    #[arg(long, value_name = "N", default_value = "64", value_parser = clap::value_parser!(u8).range(1..))]
    pub(super) ttl: u8,
    /// The Differentiated Services field (DSCP) of tcplab's packets, 0 to 63
    #[arg(long, value_name = "N", default_value = "0", value_parser = clap::value_parser!(u8).range(..64))]
    pub(super) dscp: u8,
    #[command(flatten)]
    pub(super) faults: Faults,
}

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Stepping")]
pub(super) struct Steps {
    /// Hold every packet until you decide: Enter passes it, `h` there lists the other orders
    ///
    /// The stack's clock stands still while a packet waits; the peer's does not. What its kernel retransmits meanwhile is counted
    /// and goes no further (`copies hold` and `copies pass` change that), and in a lab it goes on doing so for hours. Orders are
    /// typed at the terminal; a command that would read from the same terminal reads nothing. Ctrl-C ends stepping, and what waits
    /// is passed.
    #[arg(long)]
    pub(super) step: bool,
    /// Read orders from FILE, one per line; an order about a packet waits for that packet. `-` is standard input. A FIFO can be
    /// written to repeatedly: `mkfifo f; tcplab run --step-from f -- CMD`, then `echo d >f`
    #[arg(long, value_name = "FILE", conflicts_with = "tui")]
    pub(super) step_from: Option<PathBuf>,
}

impl Steps {
    /// Whether packets wait for somebody.
    pub(super) fn any(&self) -> bool {
        self.step || self.step_from.is_some()
    }

    /// Whether the terminal, or standard input, is whoever's who steps.
    pub(super) fn take_input(&self) -> bool {
        match &self.step_from {
            Some(path) => path == Path::new("-"),
            None => self.step && is_typed(),
        }
    }
}

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Learning")]
pub(super) struct Quiz {
    /// Ask for each segment (flags, seq, ack) and each next state before it is shown, judge the answers, and count them
    ///
    /// Answers are read from standard input. In a lab each packet waits for the answer; the command reads nothing. The
    /// demonstration is simulated, where no time passes while you think.
    #[arg(long, conflicts_with_all = ["tui", "quiet", "step", "step_from"])]
    pub(super) quiz: bool,
}

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Faults")]
pub(super) struct Faults {
    /// A fault, such as 'drop out SYN-ACK #1'; repeatable; the first rule that matches a packet decides. `tcplab help rules`
    /// prints the syntax
    #[arg(long, value_name = "RULE")]
    pub(super) rule: Vec<Rule>,
    /// Read rules from a file, one per line, which apply after those of --rule; `-` is standard input; repeatable
    #[arg(long, value_name = "FILE", value_parser = rules)]
    pub(super) rules: Vec<RuleFile>,
}

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "The lab")]
pub(super) struct Lab {
    /// The IPv4 network: its first address is the kernel's, its second tcplab's. `none`: no IPv4
    #[arg(long, value_name = "PREFIX", default_value = "192.0.2.0/24", value_parser = network_v4)]
    pub(super) net: Network<Ipv4Cidr>,
    /// The IPv6 network, likewise
    #[arg(long, value_name = "PREFIX", default_value = "2001:db8::/64", value_parser = network_v6)]
    pub(super) net6: Network<Ipv6Cidr>,
}

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "The TUN device")]
pub(super) struct Tun {
    /// The name of the TUN device
    #[arg(long, value_name = "NAME", default_value = "tcplab0")]
    pub(super) tun: String,
    /// An address of tcplab with its prefix; all addresses of that prefix answer; repeatable
    #[arg(long, value_name = "ADDRESS/PREFIX", default_values = ["192.0.2.2/24", "2001:db8::2/64"], value_parser = prefix)]
    pub(super) addr: Vec<IpCidr>,
}

const DEMO_EXAMPLES: &str = "\
Examples:
  tcplab                        the demonstration
  tcplab demo --password 456    the client's password is wrong
  tcplab demo --explain deep    every segment with its reason, its numbers and its RFC
  tcplab demo --lang zh         三次握手, 四次挥手";

const RUN_EXAMPLES: &str = "\
Examples:
  tcplab run -- curl http://lab.test/            the page shows the handshake of its own connection
  tcplab run -- nc lab.test 1111                 the password service, by hand
  printf '123\\n' | tcplab run --quiet -- nc -w 5 lab.test 1111
  tcplab run -v -- ping -c 1 lab.test            packets without flow are shown too
  tcplab run --seed 1 -- curl -s lab.test        the same sequence numbers every time
  tcplab run -- curl http://synack-lost-2.test/  a fault that has a name: see `tcplab faults`
  tcplab run --linger 5 -- curl fin-lost-1.test  its connection outlives curl: see it close

Services at lab.test and every other address of the lab's networks:
  password tcp 1111, hello udp 1111, echo tcp and udp 7, discard tcp 9, daytime tcp 13,
  chargen tcp 19, http tcp 80";

const FAULTS_EXAMPLES: &str = "\
Examples:
  tcplab faults                              all of them, with their addresses
  tcplab faults zero-window                  one in full, with its rules
  tcplab faults --net 198.51.100.0/24        their addresses in another network
  tcplab run -- curl http://zero-window.test/
  sudo tcplab serve                          they are there too: 192.0.2.44, 2001:db8::44";

const AUDIT_EXAMPLES: &str = "\
Examples:
  tcplab audit -- curl -sS --max-time 10 http://{host}/
  tcplab audit --port 1111 -- nc -w 5 {host} {port}
  tcplab audit --connect-limit 2 --answer-limit 10 -- curl -sS --connect-timeout 2 --max-time 10 http://{host}/
  tcplab audit --sweep -- ./client {host}
  tcplab audit --save today.json -- ./client {host}       then, in CI:
  tcplab audit --expect today.json --junit audit.xml -- ./client {host}

The faults are those of `tcplab faults`.";

const SERVE_EXAMPLES: &str = "\
Examples:
  sudo tcplab serve                               192.0.2.2 and 2001:db8::2 answer
  sudo setup/tun.sh up && tcplab serve            as an unprivileged user
  sudo tcplab serve --tun lab1 --addr 198.51.100.2/24

Ctrl-C ends it: open connections are reset.";

const CONNECT_EXAMPLES: &str = "\
Examples:
  tcplab connect password 192.0.2.1:1111 -- python3 server.py
  tcplab connect echo '[2001:db8::1]:7000' -- python3 echo_server.py
  sudo tcplab connect hello 192.0.2.1:1111        the server runs outside, bound to any address
  sudo tcplab connect echo 192.0.2.1:7 --from 192.0.2.77:4444

The kernel's side of the TUN is the first address of each prefix: 192.0.2.1 and 2001:db8::1.";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  tcplab explain trace.pcapng
  tcpdump -i eth0 -U -w - tcp port 80 | tcplab explain -
  tcplab explain --quiet --json - trace.pcap      as JSON lines
  tcplab explain -w commented.pcapng trace.pcap   with the states as comments";
