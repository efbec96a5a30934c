//! What arbitrary bytes mean: an engine of some kind, and what is done to it.
//!
//! ```text
//!    8 bytes      8 bytes    8 bytes
//!   ┌──────────┬──────────┬──────────┬───
//!   │  setup   │   step   │   step   │ …     at most 80 steps
//!   └──────────┴──────────┴──────────┴───
//! ```
//!
//! Each step has the same length, so that a change of one leaves all others what they are. What its numbers mean depends on
//! the connection that it is about, see [`Peers`](crate::peers::Peers).

use smoltcp::time::Duration;
use std::net::IpAddr;
use std::sync::OnceLock;
use tcplab::engine::Config;
use tcplab::fault::{Action, Assignment, Pattern, Rule, RuleSet, Verdict, parse_rules};

/// The length of a step, and of what comes before the first.
pub(crate) const RECORD: usize = 8;
/// More do not show more.
pub(crate) const MOST_STEPS: usize = 80;

/// Every example of `tcplab help rules`.
const HELP: &str = include_str!("../../src/fault/rules.txt");

/// Knobs that reach what the examples do not.
const KNOBS: &str = "\
set read=never
set read=never buffer=4096
set read=1s buffer=1000
set buffer=64
set ack-delay=0
set nagle=off
set close=first
set close=at-once
set close=never
set close=reset
set time-wait=0
set write=100/10ms
set iss=4294967295
set iss=2147483647
";

/// Knobs with which a good client is still served: they may count for all addresses.
const HARMLESS: &str = "\
set iss=4294967295
set iss=4294966000
set iss=2147483000
set ack-delay=0
set nagle=off
set ack-delay=0 nagle=off
set buffer=3000
set time-wait=1s
";

/// One thing that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) what: What,
    /// Which connection it is about, where it is about one.
    pub(crate) which: u8,
    pub(crate) args: [u8; 6],
}

/// What kinds of things can be done: by a peer, by the network, by the clock, by a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// The peer begins a connection, and completes the handshake or not.
    Open,
    /// Our end begins one.
    Connect,
    /// The peer sends what comes next.
    Data,
    /// It acknowledges what has arrived.
    Ack,
    /// Any segment.
    Segment,
    /// An acknowledgment with SACK blocks.
    Sack,
    /// FIN.
    Fin,
    Reset,
    Syn,
    /// The peer fills the window, up to its last byte.
    Fill,
    /// A segment in fragments.
    Fragments,
    /// An ICMP error that quotes what is in flight.
    Error,
    /// How the peer answers by itself from now on, and what gets lost on the way to it.
    Mood,
    /// Time passes.
    Wait,
    /// Time passes until the next timer goes off.
    Timer,
    /// A user call.
    Command,
    /// A person steps, or decides about a packet that waits.
    Hand,
    /// A packet that came in before, with some bytes changed.
    Again,
    Datagram,
    Ping,
    Bytes,
}

/// How often each is done.
const WEIGHTS: [(What, u8); 21] = [
    (What::Open, 26),
    (What::Connect, 10),
    (What::Data, 26),
    (What::Ack, 34),
    (What::Segment, 22),
    (What::Sack, 20),
    (What::Fin, 12),
    (What::Reset, 3),
    (What::Syn, 6),
    (What::Fill, 8),
    (What::Fragments, 6),
    (What::Error, 6),
    (What::Mood, 14),
    (What::Wait, 14),
    (What::Timer, 26),
    (What::Command, 6),
    (What::Hand, 4),
    (What::Again, 6),
    (What::Datagram, 2),
    (What::Ping, 2),
    (What::Bytes, 3),
];

impl Step {
    pub(crate) fn read(record: [u8; RECORD]) -> Step {
        let [what, which, args @ ..] = record;
        let mut left = what;
        let what = WEIGHTS.iter().find(|(_, weight)| {
            let found = left < *weight;
            left = left.saturating_sub(*weight);
            found
        });
        Step {
            what: what.map_or(What::Bytes, |(what, _)| *what),
            which,
            args,
        }
    }
}

/// Which of our addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    V4,
    V6,
    /// The one that the rules are about.
    Faulty,
}

impl Host {
    pub(crate) fn of(byte: u8) -> Host {
        [Host::V4, Host::V6, Host::V4, Host::Faulty][usize::from(byte % 4)]
    }

    pub(crate) fn us(self) -> IpAddr {
        match self {
            Host::V4 => [192, 0, 2, 2].into(),
            Host::V6 => [0x2001, 0xdb8, 0, 0, 0, 0, 0, 2].into(),
            Host::Faulty => [192, 0, 2, 3].into(),
        }
    }

    pub(crate) fn them(self) -> IpAddr {
        match self {
            Host::V6 => [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into(),
            _ => [192, 0, 2, 1].into(),
        }
    }
}

/// The engine to which it is done.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) config: Config,
    /// Whether rules may change packets or keep them, at the address that they are about.
    pub(crate) tampers: bool,
}

/// The limits of each engine, so low that they are reached.
pub(crate) const TIME_WAITS: usize = 2;
pub(crate) const WAITING: usize = 20_000;
pub(crate) const CONNECTIONS: usize = 6;

impl Setup {
    /// An engine that obeys these rules at [`Host::Faulty`].
    pub(crate) fn with(rules: impl IntoIterator<Item = Rule>) -> Setup {
        let addresses = ["192.0.2.2/24", "2001:db8::2/64"];
        let mut config = Config::new(addresses.map(|address| address.parse().unwrap()));
        config.mtu = 1280;
        config.buffer = 4_096;
        config.backlog = 4;
        config.connections = CONNECTIONS;
        config.time_waits = TIME_WAITS;
        config.waiting = WAITING;
        config.time_wait = Duration::from_secs(30);
        config.keep_alive = Some(Duration::from_secs(75));
        config.user_timeout = Some(Duration::from_secs(100));
        let mut tampers = false;
        let mut set = RuleSet::new();
        for rule in rules {
            tampers |= !matches!(rule.action, Action::Set(_));
            set.add_at(Host::Faulty.us(), rule);
        }
        config.rules = set;
        Setup { config, tampers }
    }

    fn read(header: [u8; RECORD]) -> Setup {
        let [kind, buffer, limits, harmless, count, rules @ ..] = header;
        let all = rules_at_one_address();
        let count = usize::from(count.saturating_sub(150) / 35);
        let chosen = rules[..count].iter();
        let knobs = KNOBS.lines().count();
        let chosen = chosen.map(|&rule| match usize::from(rule) {
            // Knobs let packets be, so that all is checked.
            rule if rule >= 128 => all[all.len() - 1 - rule % knobs].clone(),
            rule => all[rule % all.len()].clone(),
        });
        let mut setup = Setup::with(chosen);
        let config = &mut setup.config;
        config.timestamps = kind & 1 != 0;
        config.syn_cookies = kind & 2 != 0;
        config.offload = kind & 12 == 12;
        if kind & 16 != 0 {
            config.keep_alive = None;
        }
        if kind & 32 != 0 {
            config.mtu = 1500;
        }
        config.seed = u64::from(kind >> 6);
        config.buffer = match buffer {
            0..128 => 4_096,
            128..150 => 1_024,
            150..180 => 20_000,
            180..216 => 65_536,
            _ => 262_144,
        };
        if limits >= 192 {
            config.backlog = 1 + usize::from(limits % 4);
            config.connections = 1 + usize::from(limits / 4 % 3);
        }
        if harmless >= 192 {
            let all = harmless_rules();
            let rule = all[usize::from(harmless) % all.len()].clone();
            config.rules.add(rule);
        }
        setup
    }
}

/// An engine, and what is done to it.
pub(crate) fn read(bytes: &[u8]) -> (Setup, Vec<Step>) {
    let mut records = bytes.chunks(RECORD).map(|chunk| {
        let mut record = [0; RECORD];
        record[..chunk.len()].copy_from_slice(chunk);
        record
    });
    let setup = Setup::read(records.next().unwrap_or_default());
    (setup, records.take(MOST_STEPS).map(Step::read).collect())
}

/// The rules that may count at one address, in a fixed order.
pub(crate) fn rules_at_one_address() -> &'static [Rule] {
    static RULES: OnceLock<Vec<Rule>> = OnceLock::new();
    RULES.get_or_init(|| {
        let example = |line: &&str| line.starts_with("    ") && !line.starts_with("     ");
        let examples: Vec<&str> = HELP.lines().filter(example).collect();
        let mut rules = parsed(&examples.join("\n"));
        // Also where the service's own port and peer are not those of the example.
        for rule in &mut rules {
            rule.scope.port = None;
            rule.scope.host = None;
            rule.scope.peer = None;
        }
        rules.extend(parsed(KNOBS));
        rules
    })
}

fn harmless_rules() -> &'static [Rule] {
    static RULES: OnceLock<Vec<Rule>> = OnceLock::new();
    RULES.get_or_init(|| parsed(HARMLESS))
}

fn parsed(lines: &str) -> Vec<Rule> {
    parse_rules(lines).expect("these are rules")
}

/// What a person may do to a packet, and which packets can be named.
pub(crate) fn by_hand() -> &'static (Vec<Vec<Assignment>>, Vec<Pattern>) {
    static ALL: OnceLock<(Vec<Vec<Assignment>>, Vec<Pattern>)> = OnceLock::new();
    ALL.get_or_init(|| {
        let (mut edits, mut patterns) = (Vec::new(), Vec::new());
        for rule in rules_at_one_address() {
            if let Action::Judge(verdict, pattern) = &rule.action {
                patterns.push(pattern.clone());
                if let Verdict::Edit(assignments) = verdict {
                    edits.push(assignments.clone());
                }
            }
        }
        (edits, patterns)
    })
}

/// Whether all that is done and said is to be shown.
pub(crate) fn shows() -> bool {
    static SHOWS: OnceLock<bool> = OnceLock::new();
    *SHOWS.get_or_init(|| std::env::var_os("FUZZ_SHOW").is_some())
}
