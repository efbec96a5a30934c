//! A TCP peer that a probe plays by hand, segment by segment.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tcplab::segment::{Described, Flags, Origin, Segment, SeqNumber, describe};

use crate::support::{ACK, Forged, PSH, SYN};

/// How long a segment that must come may take: generous, as a machine under load may be slow.
pub(crate) const BOUND: Duration = Duration::from_secs(20);
/// For how long nothing comes where nothing may come. An engine in memory has virtual time; a kernel acknowledges
/// within 40 milliseconds even when it delays.
pub(crate) const PAUSE: Duration = Duration::from_millis(150);

pub(crate) const ECHO: u16 = 7;
pub(crate) const DISCARD: u16 = 9;
pub(crate) const DAYTIME: u16 = 13;
pub(crate) const CHARGEN: u16 = 19;
pub(crate) const PASSWORD: u16 = 1111;

/// Our initial sequence number: near the end of the circle, so that everything wraps soon.
const ISS: u32 = u32::MAX - 2_000;

/// MSS 1,460, SACK permitted, window scale 7.
pub(crate) const USUAL: &[u8] = &[2, 4, 5, 180, 1, 1, 4, 2, 1, 3, 3, 7];

/// Packets to and from what is probed.
pub(crate) trait Wire {
    fn send(&mut self, packet: Vec<u8>);

    /// The next packet that comes, `within` at most from now.
    fn recv(&mut self, within: Duration) -> Option<Vec<u8>>;

    /// Has the target begin a connection; the address that it comes from.
    fn dial(&mut self, to: SocketAddr) -> IpAddr;

    /// Who is probed: some probes know of a difference that is explained.
    fn target(&self) -> Target;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// tcplab, in memory or live.
    Tcplab,
    /// The kernel's TCP.
    Linux,
}

/// The peer, and its connection.
pub(crate) struct Peer<'w> {
    wire: &'w mut dyn Wire,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    iss: u32,
    irs: u32,
    /// The window that our segments offer.
    pub(crate) window: u16,
    /// The options of our segments.
    pub(crate) options: Vec<u8>,
    /// All that was seen and sent of this connection, for people.
    log: Vec<String>,
}

/// A segment that has come, with its data.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) segment: Segment,
    pub(crate) data: Vec<u8>,
    pub(crate) packet: Vec<u8>,
    /// The initial sequence numbers of the peer and of the target.
    pub(crate) iss: u32,
    pub(crate) irs: u32,
    text: String,
}

impl Seen {
    pub(crate) fn has(&self, flags: Flags) -> bool {
        self.segment.flags.contains(flags)
    }

    /// Whether it does nothing but acknowledge.
    pub(crate) fn is_ack(&self) -> bool {
        self.segment.flags == Flags::ACK && self.data.is_empty()
    }
}

impl<'w> Peer<'w> {
    pub(crate) fn new(
        wire: &'w mut dyn Wire,
        local: IpAddr,
        remote: IpAddr,
        port: u16,
    ) -> Peer<'w> {
        Peer {
            wire,
            local: SocketAddr::new(local, port),
            remote: SocketAddr::new(remote, 0),
            iss: ISS,
            irs: 0,
            window: 65_535,
            options: Vec::new(),
            log: Vec::new(),
        }
    }

    pub(crate) fn target(&self) -> Target {
        self.wire.target()
    }

    pub(crate) fn is_v6(&self) -> bool {
        self.local.is_ipv6()
    }

    /// A connection from another port of ours, begun with a SYN that has these options; the SYN-ACK.
    pub(crate) fn begin(&mut self, port: u16, options: &[u8]) -> Seen {
        self.local.set_port(self.local.port() + 1);
        self.remote.set_port(port);
        self.iss = ISS;
        self.log.clear();
        self.syn(options);
        self.await_syn_ack()
    }

    /// Has the target begin a connection to another port of ours: its SYN has come.
    pub(crate) fn await_syn(&mut self) {
        self.local.set_port(self.local.port() + 1);
        self.iss = ISS;
        self.log.clear();
        let remote = self.wire.dial(self.local);
        while let Some(packet) = self.wire.recv(BOUND) {
            let described = describe(&packet);
            let (Some(segment), Some((from, to))) = (described.tcp(), described.endpoints()) else {
                continue;
            };
            if (from.ip(), to) == (remote, self.local) && segment.flags == Flags::SYN {
                (self.remote, self.irs) = (from, segment.seq.0);
                self.log.push(format!("< {}", self.notation(&described)));
                return;
            }
        }
        panic!("no SYN came to {}", self.local);
    }

    /// A SYN with the initial sequence number.
    pub(crate) fn syn(&mut self, options: &[u8]) {
        let options = std::mem::replace(&mut self.options, options.to_vec());
        self.send(SYN, 0, 0, b"");
        self.options = options;
    }

    /// From now on the initial number is another one.
    pub(crate) fn renumber(&mut self, iss: u32) {
        self.iss = iss;
    }

    pub(crate) fn iss(&self) -> u32 {
        self.iss
    }

    pub(crate) fn irs(&self) -> u32 {
        self.irs
    }

    pub(crate) fn await_syn_ack(&mut self) -> Seen {
        let seen = self.await_that("a SYN-ACK", |seen| {
            seen.has(Flags::SYN) && seen.has(Flags::ACK)
        });
        self.irs = seen.segment.seq.0;
        seen
    }

    /// A whole handshake.
    pub(crate) fn open(&mut self, port: u16) -> Seen {
        self.open_with(port, USUAL)
    }

    pub(crate) fn open_with(&mut self, port: u16, options: &[u8]) -> Seen {
        let syn_ack = self.begin(port, options);
        self.send(ACK, 1, 1, b"");
        syn_ack
    }

    /// Sends a segment; numbers count from the initial ones.
    pub(crate) fn send(&mut self, flags: u8, seq: i32, ack: i32, data: &[u8]) {
        let packet = self.segment(flags, seq, ack, data).packet();
        let described = describe(&packet);
        let origin = Origin {
            seq: Some(SeqNumber(self.iss)),
            ack: Some(SeqNumber(self.irs)),
        };
        self.log.push(format!("> {}", described.notation(origin)));
        self.wire.send(packet);
    }

    /// A segment as [`send`](Peer::send) sends it.
    pub(crate) fn segment(&self, flags: u8, seq: i32, ack: i32, data: &[u8]) -> Forged {
        let seq = self.iss.wrapping_add_signed(seq);
        // Where there is no ACK bit, there is nothing in the field.
        let ack = if flags & ACK == 0 {
            0
        } else {
            self.irs.wrapping_add_signed(ack)
        };
        let mut forged = Forged::new(self.local, self.remote, flags, seq, ack);
        forged.window = self.window;
        forged.options = self.options.clone();
        forged.payload = data.to_vec();
        forged
    }

    pub(crate) fn send_packet(&mut self, packet: Vec<u8>) {
        self.log.push("> a packet".to_owned());
        self.wire.send(packet);
    }

    /// The next segment of this connection, `within` at most from now.
    pub(crate) fn next(&mut self, within: Duration) -> Option<Seen> {
        loop {
            let packet = self.wire.recv(within)?;
            let described = describe(&packet);
            let Some(segment) = described.tcp().cloned() else {
                continue;
            };
            if described.endpoints() != Some((self.remote, self.local)) {
                continue;
            }
            assert!(segment.checksum_ok, "a wrong checksum: {described:?}");
            if segment.flags.contains(Flags::SYN) {
                self.irs = segment.seq.0;
            }
            let data = packet[segment.payload.clone()].to_vec();
            let text = self.notation(&described);
            self.log.push(format!("< {text}"));
            return Some(Seen {
                segment,
                data,
                packet,
                iss: self.iss,
                irs: self.irs,
                text,
            });
        }
    }

    /// The next packet from the target that is no segment, `within` at most from now: connections of other probes may still
    /// have something to say.
    pub(crate) fn next_packet(&mut self, within: Duration) -> Option<Vec<u8>> {
        loop {
            let packet = self.wire.recv(within)?;
            let described = describe(&packet);
            let ends = described.ip.map(|ip| (ip.src, ip.dst));
            if ends == Some((self.remote.ip(), self.local.ip())) && described.tcp().is_none() {
                return Some(packet);
            }
        }
    }

    fn notation(&self, described: &Described) -> String {
        let origin = Origin {
            seq: Some(SeqNumber(self.irs)),
            ack: Some(SeqNumber(self.iss)),
        };
        described.notation(origin).to_string()
    }

    /// The next segment of which `holds` is true; others before it are passed over.
    #[track_caller]
    pub(crate) fn await_that(&mut self, what: &str, holds: impl Fn(&Seen) -> bool) -> Seen {
        while let Some(seen) = self.next(BOUND) {
            if holds(&seen) {
                return seen;
            }
        }
        panic!("{what} did not come:\n{}", self.log.join("\n"));
    }

    /// The next segment is this one, in packetdrill's notation without PSH, window and options.
    #[track_caller]
    pub(crate) fn expect(&mut self, text: &str) -> Seen {
        let Some(seen) = self.next(BOUND) else {
            panic!("{text} did not come:\n{}", self.log.join("\n"));
        };
        assert_eq!(plain(&seen.text), text, "in:\n{}", self.log.join("\n"));
        seen
    }

    /// As [`expect`](Peer::expect), passing over what else may come.
    #[track_caller]
    pub(crate) fn await_text(&mut self, text: &str) -> Seen {
        self.await_that(text, |seen| plain(&seen.text) == text)
    }

    /// Nothing comes for a while.
    #[track_caller]
    pub(crate) fn expect_nothing(&mut self) {
        self.expect_nothing_for(PAUSE);
    }

    #[track_caller]
    pub(crate) fn expect_nothing_for(&mut self, time: Duration) {
        if let Some(seen) = self.next(time) {
            panic!("{} came:\n{}", seen.text, self.log.join("\n"));
        }
    }

    /// All that comes until nothing does for `pause`.
    pub(crate) fn all(&mut self, pause: Duration) -> Vec<Seen> {
        std::iter::from_fn(|| self.next(pause)).collect()
    }

    /// Data that begins at `seq` comes back from the echo service as what begins at `ack`: the connection lives.
    #[track_caller]
    pub(crate) fn echo(&mut self, seq: i32, ack: i32, data: &[u8]) {
        self.send(PSH | ACK, seq, ack, data);
        let begins = SeqNumber(self.irs.wrapping_add_signed(ack));
        let back = self.await_that("the echo", |seen| {
            !seen.data.is_empty() && seen.segment.seq == begins
        });
        assert_eq!(back.data, data, "in:\n{}", self.log.join("\n"));
        let len = data.len() as i32;
        self.send(ACK, seq + len, ack + len, b"");
    }

    /// The end of a failed expectation.
    #[track_caller]
    pub(crate) fn fail(&self, why: &str) -> ! {
        panic!("{why}:\n{}", self.log.join("\n"))
    }
}

/// `P. 1:5(4) ack 1 win 502 <…>` as `. 1:5(4) ack 1`.
fn plain(text: &str) -> String {
    let text = text.split(" win ").next().unwrap_or_default();
    let (flags, rest) = text.split_once(' ').unwrap_or((text, ""));
    format!("{} {rest}", flags.replace('P', ""))
}
