//! What can be done to an engine: by a peer, by the clock, by a person.

use tcplab::fault::{Rule, parse_rules};

/// Every example of `tcplab help rules`.
const HELP: &str = include_str!("../../src/fault/rules.txt");

/// One thing that is done to an engine.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Bytes(Vec<u8>),
    Segment(Wild),
    /// A SYN and the ACK of the SYN-ACK.
    Handshake(Wild),
    /// The packet that came in last, with bytes changed at some places.
    Again(Vec<(u16, u8)>),
    Datagram(Host, u16, Vec<u8>),
    Ping(Host, Vec<u8>),
    /// One fragment of a large datagram: its offset in units of 8 bytes, whether more follow, its length in units less one.
    Fragment(u16, bool, usize),
    /// Milliseconds pass.
    Wait(u64),
    Command(u16, u8),
    /// A person steps, or decides about a packet that waits.
    Hand(u16, u8),
    Open(Host, u16),
}

/// Which of our addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    V4,
    V6,
    /// The one that the rules are about.
    Faulty,
}

/// A segment whose numbers are near those of the connection to which it belongs, if there is one.
#[derive(Clone, Debug)]
pub(crate) struct Wild {
    pub(crate) host: Host,
    pub(crate) client: u16,
    pub(crate) server: u16,
    pub(crate) flags: u8,
    pub(crate) seq: i32,
    pub(crate) ack: i32,
    pub(crate) window: u16,
    pub(crate) options: Vec<u8>,
    pub(crate) payload: usize,
    pub(crate) bad_checksum: bool,
}

/// The ports from which segments come.
pub(crate) const CLIENTS: std::ops::Range<u16> = 40_000..40_003;
/// The ports to which they go; one has no service, one is none.
pub(crate) const SERVERS: [u16; 7] = [7, 9, 13, 19, 1111, 4444, 0];
pub(crate) const WINDOWS: [u16; 4] = [0, 1, 100, 65_535];
pub(crate) const PAYLOADS: [usize; 7] = [0, 0, 0, 1, 10, 600, 1_200];
pub(crate) const WAITS: [u64; 10] = [0, 1, 10, 50, 300, 1_000, 5_000, 20_000, 70_000, 1_000_000];
/// How far the numbers of a segment may be from the right ones.
pub(crate) const FAR: [i32; 5] = [-1000, 1000, 60_000, i32::MAX, i32::MIN];
/// MSS 1,460, window scale 7, SACK permitted.
pub(crate) const SYN_OPTIONS: [u8; 12] = [2, 4, 5, 180, 1, 3, 3, 7, 1, 1, 4, 2];

/// The rules that an engine may be given, in a fixed order.
pub(crate) fn rules() -> Vec<Rule> {
    let example = |line: &&str| line.starts_with("    ") && !line.starts_with("     ");
    let examples: Vec<&str> = HELP.lines().filter(example).collect();
    let mut rules = parse_rules(&examples.join("\n")).expect("the examples of the help are rules");
    // Also where the service's own port and peer are not those of the example.
    for rule in &mut rules {
        rule.scope.port = None;
        rule.scope.host = None;
        rule.scope.peer = None;
    }
    rules
}

/// What arbitrary bytes mean: some rules, and what is done.
pub(crate) fn read(bytes: &[u8]) -> (Vec<Rule>, Vec<Step>) {
    let mut input = Input(bytes);
    let all = rules();
    let count = input.byte() % 4;
    let chosen = (0..count).map(|_| all[usize::from(input.byte()) % all.len()].clone());
    let chosen = chosen.collect();
    let mut steps = Vec::new();
    while !input.0.is_empty() && steps.len() < MOST_STEPS {
        steps.push(input.step());
    }
    (chosen, steps)
}

/// More do not show more.
const MOST_STEPS: usize = 200;

/// Bytes that decide; where they are used up, zeros do.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::from(self.byte()) % all.len()]
    }

    fn bytes(&mut self) -> Vec<u8> {
        let len = usize::from(self.byte()).min(self.0.len());
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken.to_vec()
    }

    fn step(&mut self) -> Step {
        match self.byte() % 32 {
            0 => Step::Bytes(self.bytes()),
            1..13 => Step::Segment(self.wild()),
            13..16 => Step::Handshake(self.wild()),
            16 | 17 => {
                let count = self.byte() % 4;
                Step::Again((0..count).map(|_| (self.u16(), self.byte())).collect())
            }
            18 => Step::Datagram(self.host(), self.one_of(&[7, 1111, 9999]), self.bytes()),
            19 => Step::Ping(self.host(), self.bytes()),
            20 => {
                let byte = self.byte();
                Step::Fragment((byte & 3).into(), byte & 4 != 0, (byte >> 3 & 3).into())
            }
            21..26 => Step::Wait(self.one_of(&WAITS)),
            26 => Step::Command(self.u16(), self.byte()),
            27..31 => Step::Hand(self.u16(), self.byte()),
            _ => Step::Open(self.host(), CLIENTS.start + u16::from(self.byte() % 3)),
        }
    }

    fn host(&mut self) -> Host {
        self.one_of(&[Host::Faulty, Host::V4, Host::Faulty, Host::V6])
    }

    fn wild(&mut self) -> Wild {
        let more = self.byte();
        let mut near = || match self.byte() {
            0..128 => 0,
            byte @ 128..192 => i32::from(byte) - 160,
            byte @ 192..224 => FAR[usize::from(byte) % FAR.len()],
            byte => i32::from_be_bytes([byte, self.byte(), self.byte(), self.byte()]),
        };
        let (seq, ack) = (near(), near());
        Wild {
            host: self.host(),
            client: CLIENTS.start + u16::from(more % 3),
            server: self.one_of(&SERVERS),
            flags: self.byte(),
            seq,
            ack,
            window: self.one_of(&WINDOWS),
            options: match more >> 2 & 3 {
                0 | 1 => Vec::new(),
                2 => SYN_OPTIONS.to_vec(),
                _ => {
                    let mut options = self.bytes();
                    options.truncate(options.len().min(40) / 4 * 4);
                    options
                }
            },
            payload: self.one_of(&PAYLOADS),
            bad_checksum: more >= 250,
        }
    }
}
