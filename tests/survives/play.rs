//! The steps, done to an engine by peers that know what it has said.

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpProtocol;
use std::net::SocketAddr;
use tcplab::engine::{Command, Stepping};
use tcplab::service::Connection;

use crate::peers::{self, Offer, Peer, text};
use crate::step::{Host, Setup, Step, What};
use crate::support::{ACK, FIN, PSH, RST, SYN, fragments, icmp, ping, udp};
use crate::watched::Watched;

const URG: u8 = 0x20;
const SERVICES: [u16; 12] = [7, 7, 7, 7, 19, 19, 13, 9, 80, 1111, 4444, 0];
const HALF: u32 = 1 << 31;
/// Answers that follow one another by themselves after one step.
const MOST_ANSWERS: usize = 40;

/// An engine, and the peers around it.
pub(crate) struct Play {
    pub(crate) watched: Watched,
}

impl Play {
    pub(crate) fn new(setup: Setup) -> Play {
        Play {
            watched: Watched::new(setup),
        }
    }

    /// Does something, and what peers answer to it by themselves; all that comes of it is checked.
    pub(crate) fn take(&mut self, step: Step) {
        let [a, b, c, d, e, f] = step.args;
        match step.what {
            What::Open => self.open(a, b, c, d),
            What::Connect => self.connect(a, b, c),
            What::Wait => self.wait(a),
            What::Timer => self.timers(a),
            What::Command => self.call(a, b),
            What::Hand => {
                let command = self.watched.by_hand(u16::from_be_bytes([a, b]), c);
                self.watched.command(command);
            }
            What::Again => {
                let mut packet = self.watched.last_packet.clone();
                for (at, byte) in [(a, b), (c, d), (e, f)].into_iter().take(step.which.into()) {
                    // Most of what matters is among the headers.
                    if let Some(place) = packet.get_mut(usize::from(at) % 64) {
                        *place = byte;
                    }
                }
                self.watched.packet(packet);
            }
            What::Datagram => {
                let host = Host::of(a);
                let from = SocketAddr::new(host.them(), 40_000 + u16::from(b % 16));
                let to = SocketAddr::new(host.us(), [7, 1111, 9999][usize::from(c % 3)]);
                let payload = vec![d; usize::from(e) * usize::from(f % 8)];
                self.watched.packet(udp(from, to, &payload));
            }
            What::Ping => {
                let host = Host::of(a);
                let payload = vec![d; usize::from(e) * usize::from(f % 5)];
                self.watched.packet(ping(host.them(), host.us(), &payload));
            }
            What::Bytes => {
                let mut bytes = vec![a, b, c, d, e, f];
                bytes.resize(step.which.into(), c);
                self.watched.packet(bytes);
            }
            _ => self.speak(step),
        }
        self.answer();
    }

    /// What is about one connection.
    fn speak(&mut self, step: Step) {
        let now = self.watched.now;
        let Some(peer) = self.watched.peers.choose(step.which) else {
            return;
        };
        let packets = match step.what {
            What::Data => data(peer, now, step.args),
            What::Ack => vec![acknowledgment(peer, now, step.args)],
            What::Segment => vec![segment(peer, now, step.args)],
            What::Sack => vec![lies(peer, now, step.args)],
            What::Fin => vec![fin(peer, now, step.args)],
            What::Reset => vec![reset(peer, step.args)],
            What::Syn => vec![syn(peer, now, step.args)],
            What::Fill => fill(peer, now, step.args),
            What::Fragments => in_pieces(peer, now, step.args),
            What::Error => vec![error(peer, step.args)],
            What::Mood => {
                let [a, b, c, d, ..] = step.args;
                peer.mood = peers::Mood {
                    answers: a % 4,
                    tells_sack: b & 1 != 0,
                    loses: c,
                    window: d,
                };
                Vec::new()
            }
            _ => Vec::new(),
        };
        for packet in packets {
            self.watched.packet(packet);
        }
    }

    /// Lets peers answer that answer by themselves.
    fn answer(&mut self) {
        for _ in 0..MOST_ANSWERS {
            let Some((local, to)) = self.watched.peers.answers.pop() else {
                return;
            };
            let now = self.watched.now;
            if let Some(peer) = self.watched.peers.find(local, to) {
                let window = window(peer, peer.mood.window);
                let packet = peer.acknowledge(now, window);
                self.watched.packet(packet);
            }
        }
        self.watched.peers.answers.clear();
    }

    fn open(&mut self, to: u8, profile: u8, start: u8, how: u8) {
        let now = self.watched.now;
        let host = Host::of(to >> 4);
        let port = SERVICES[usize::from(to & 15) % SERVICES.len()];
        let iss = match start % 8 {
            0..3 => u32::from(start) << 16,
            3 => u32::MAX,
            4 => u32::MAX - 1000,
            5 => HALF - 1,
            6 => HALF,
            _ => u32::from(start).wrapping_mul(0x9e37_79b9),
        };
        let peer = self
            .watched
            .peers
            .begin(host, port, iss, how & 0xc0 == 0xc0);
        let ends = (peer.local, peer.peer);
        let options = peer.syn_options(iss, profile, now);
        let packet = peer.segment(SYN, iss, 0, 65_535, options, 0).packet();
        peer.mood = peers::Mood {
            answers: u8::from(how & 32 != 0),
            tells_sack: true,
            ..peers::Mood::default()
        };
        self.watched.packet(packet);
        let peer = self.watched.peers.find(ends.0, ends.1);
        if let Some(peer) = peer.filter(|peer| peer.synced && how & 7 != 7) {
            let packet = peer.acknowledge(now, 0xffff_ffff);
            self.watched.packet(packet);
        }
    }

    /// Our end begins; the peer answers, unless it shall not.
    fn connect(&mut self, to: u8, profile: u8, how: u8) {
        let now = self.watched.now;
        let host = Host::of(to >> 4);
        let far = SocketAddr::new(host.them(), 50_000 + u16::from(to & 15));
        let port = (how & 0x30 == 0x30).then_some(7);
        let kind = how & 3;
        let client = move |conn: Connection| async move {
            match kind {
                0 => {
                    conn.write_all(&text(3_000)).await?;
                    conn.read_up_to(10).await?;
                    conn.close().await?;
                    conn.drain().await
                }
                1 => {
                    conn.close().await?;
                    conn.drain().await
                }
                2 => conn.drain().await,
                _ => {
                    conn.write_urgent(b"hello").await?;
                    conn.close().await
                }
            }
        };
        let engine = &mut self.watched.engine;
        // It may be in use.
        let opened = engine.connect_tcp(now, "client", port, far, client);
        let iss = u32::from(profile).wrapping_mul(0x1fff_ffff);
        if opened.is_ok() {
            let peers = &mut self.watched.peers;
            peers.calls(far, iss);
        }
        self.watched.drain();
        let Some(peer) = self.watched.peers.called(far) else {
            return;
        };
        let Some(irs) = peer.irs.filter(|_| how & 0xc0 != 0xc0) else {
            return;
        };
        let options = peer.syn_options(iss, profile, now);
        let (ack, flags) = match how & 8 {
            // Both begin.
            8 => (0, SYN),
            _ => (irs.wrapping_add(1), SYN | ACK),
        };
        let packet = peer.segment(flags, iss, ack, 65_535, options, 0).packet();
        self.watched.packet(packet);
    }

    fn wait(&mut self, what: u8) {
        const WAITS: [u64; 16] = [
            0, 1, 9, 10, 11, 40, 100, 200, 500, 1_000, 1_500, 3_000, 10_000, 60_000, 100_000,
            7_200_000,
        ];
        let millis = WAITS[usize::from(what & 15)];
        self.watched
            .wait(self.watched.now + Duration::from_millis(millis));
    }

    fn timers(&mut self, what: u8) {
        for _ in 0..=what % 4 {
            let Some(at) = self.watched.engine.poll_timeout() else {
                return;
            };
            // Idle connections are not what time is for.
            if what & 16 == 0 && at > self.watched.now + Duration::from_secs(300) {
                return;
            }
            self.watched.wait(self.watched.now.max(at));
        }
    }

    fn call(&mut self, flow: u8, what: u8) {
        let flow = self.watched.some_flow(flow.into());
        self.watched.command(match what % 16 {
            0..8 => Command::Close(flow),
            8..11 => Command::Abort(flow),
            11..15 => Command::Wake(flow),
            _ => Command::AbortAll,
        });
    }

    /// A good client comes, and is served: at the address that no rule is about, when nobody steps any more. It may have to
    /// come again, if it was reset to make room for another.
    pub(crate) fn serve_a_good_client(&mut self) {
        self.watched.command(Command::Step(Stepping::Off));
        // What we began gives no room to others.
        for flow in self.watched.began() {
            self.watched.command(Command::Abort(flow));
        }
        for _ in 0..10 {
            if self.serves_a_good_client() {
                return;
            }
            self.watched.wait(self.watched.now + Duration::from_secs(1));
        }
        panic!("a good client is reset each time");
    }

    fn serves_a_good_client(&mut self) -> bool {
        let began = self.watched.now;
        let iss = u32::MAX - 700;
        let now = self.watched.now;
        let peer = self.watched.peers.begin(Host::V4, 7, iss, false);
        let ends = (peer.local, peer.peer);
        let options = peer.syn_options(iss, 0, now);
        let hello = peer.segment(SYN, iss, 0, 65_535, options, 0).packet();
        self.watched.packet(hello.clone());
        // What the peer says again when it has waited for long enough.
        for _ in 0..4_000 {
            self.watched.peers.answers.clear();
            let now = self.watched.now;
            let peer = self.watched.peers.find(ends.0, ends.1).expect("the newest");
            if peer.is_finished() {
                let ack = peer.acknowledge(now, 65_535);
                self.watched.packet(ack);
                assert!(now - began <= GOOD_TIME, "served after {}", now - began);
                return true;
            }
            if peer.reset {
                return false;
            }
            let first = iss.wrapping_add(1);
            let packet = if !peer.synced {
                None
            } else if peer.acked.wrapping_sub(first) < GOOD_LEN {
                let seq = peer.acked;
                let left = GOOD_LEN - seq.wrapping_sub(first);
                let room = peer.edge.wrapping_sub(seq);
                let len = left.min(600).min(room);
                Some((ACK | PSH, seq, len))
            } else {
                Some((ACK | FIN, first.wrapping_add(GOOD_LEN), 0))
            };
            let before = (peer.acked, peer.rcv, peer.synced);
            let packet = match packet {
                None => hello.clone(),
                Some((flags, seq, len)) => {
                    let (ack, window) = (peer.rcv, peer.window(65_535));
                    let options = peer.stamp(now);
                    peer.segment(flags, seq, ack, window, options, len).packet()
                }
            };
            self.watched.packet(packet);
            let peer = self.watched.peers.find(ends.0, ends.1).expect("the newest");
            if before == (peer.acked, peer.rcv, peer.synced) {
                // Our end may be slow: an acknowledgment may be due later, or room for it is made later.
                let due = self.watched.engine.poll_timeout();
                let soon = self.watched.now + Duration::from_secs(1);
                let due = due.map_or(soon, |due| due.min(soon));
                self.watched.wait(due.max(self.watched.now));
            }
        }
        panic!("a good client is not served any more");
    }
}

/// What a good client sends to echo, and gets back.
const GOOD_LEN: u32 = 1_500;
const GOOD_TIME: Duration = Duration::from_secs(200);

/// A number near those of the connection: what is there to choose from, where is that, and how far from it.
fn near(places: [u32; 4], choice: u8, mss: u32) -> u32 {
    let base = places[usize::from(choice >> 6)];
    let away = match choice & 63 {
        0..26 => 0,
        26 | 27 => 1,
        28 => 2,
        29 => 10,
        30 => 41,
        31 => 100,
        32 => 1_000,
        33 => mss,
        34 => 2 * mss,
        35 => 3 * mss,
        36 => 4_096,
        37 => 30_000,
        38 => 65_535,
        39 => 70_000,
        40 => 262_144,
        41 | 42 => 300_000,
        43 => 1 << 30,
        44 => HALF - 2,
        45..48 => HALF - 1,
        48 => HALF,
        49 => HALF + 1,
        50 => HALF + 1_000,
        51 | 52 => 1u32.wrapping_neg(),
        53 => 2u32.wrapping_neg(),
        54 => 10u32.wrapping_neg(),
        55 => mss.wrapping_neg(),
        56 => (2 * mss).wrapping_neg(),
        57 => 1_000u32.wrapping_neg(),
        58 => 65_536u32.wrapping_neg(),
        59 => 300_000u32.wrapping_neg(),
        60 => (1u32 << 30).wrapping_neg(),
        choice => u32::from(choice).wrapping_mul(0x9e37_79b9),
    };
    base.wrapping_add(away)
}

fn seq_near(peer: &Peer, choice: u8) -> u32 {
    let places = [peer.nxt, peer.nxt, peer.edge, peer.acked];
    near(places, choice, peer.mss)
}

fn ack_near(peer: &Peer, choice: u8) -> u32 {
    near([peer.rcv, peer.rcv, peer.high, peer.told], choice, peer.mss)
}

/// A window in bytes.
fn window(peer: &Peer, choice: u8) -> u32 {
    let flight = peer.high.wrapping_sub(peer.rcv);
    match choice % 32 {
        0..16 => 65_535,
        16 => 0x3fff_ffff,
        17..21 => 0,
        21 => 1,
        22 => peer.mss - 1,
        23 => peer.mss,
        24 => peer.mss + 1,
        25 => 2 * peer.mss,
        26 => 100,
        27 => 4_000,
        28 => flight,
        29 => flight.saturating_sub(1),
        30 => flight / 2,
        _ => flight.saturating_add(1),
    }
}

fn length(peer: &Peer, choice: u8) -> u32 {
    let room = peer.edge.wrapping_sub(peer.nxt);
    let room = if room < HALF { room } else { 0 };
    match choice % 16 {
        0..4 => 0,
        4 => 1,
        5 => 2,
        6 => 10,
        7 => 100,
        8 => 500,
        9 | 10 => peer.mss,
        11 => peer.mss - 1,
        12 => room.min(peer.mss),
        13 => (room + 1).min(peer.mss),
        14 => 1_000.min(peer.mss),
        _ => 37,
    }
}

/// Options of any segment but a SYN.
fn options(peer: &Peer, now: Instant, choice: u8) -> Vec<u8> {
    let clock = peer.clock(now);
    match choice % 32 {
        0..18 => peer.stamp(now),
        18 => Vec::new(),
        19 => peers::stamps(clock.wrapping_sub(1), peer.heard_stamp),
        20 => peers::stamps(clock.wrapping_sub(100_000), peer.heard_stamp),
        21 => peers::stamps(clock.wrapping_add(HALF), peer.heard_stamp),
        22 => peers::stamps(
            clock.wrapping_add(HALF - 1),
            peer.heard_stamp.wrapping_add(HALF),
        ),
        23 => peers::stamps(clock, 0),
        24 => vec![1, 1, 5, 11, 0, 0, 0, 0, 0, 0, 0, 0],
        25 => vec![5, 2, 5, 255],
        26 => vec![8, 10, 1, 1],
        27 => vec![2, 4, 0, 0, 3, 3, 255, 0],
        28 => vec![0; 40],
        29 => vec![1, 1, 1, 1, 30, 3, choice, 0],
        30 => vec![3, 1, 1, 1],
        _ => peers::stamps(clock.wrapping_add(5_000), peer.heard_stamp.wrapping_sub(1)),
    }
}

/// What comes next, in one segment or several.
fn data(peer: &mut Peer, now: Instant, [len, count, win, opts, ..]: [u8; 6]) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    for _ in 0..=count % 4 {
        let len = length(peer, len).max(1);
        let room = peer.edge.wrapping_sub(peer.nxt);
        let len = if room < HALF { len.min(room) } else { 0 };
        if len == 0 {
            break;
        }
        let (seq, ack) = (peer.nxt, peer.rcv);
        let (window, options) = (peer.window(window(peer, win)), options(peer, now, opts));
        let segment = peer.segment(ACK | PSH, seq, ack, window, options, len);
        packets.push(segment.packet());
        peer.nxt = peer.nxt.wrapping_add(len);
    }
    if count & 0xc0 == 0xc0 {
        packets.reverse();
    }
    if count & 0xc0 == 0x80 {
        packets.truncate(packets.len() / 2);
    }
    packets
}

fn acknowledgment(
    peer: &mut Peer,
    now: Instant,
    [ack, win, opts, islands, ..]: [u8; 6],
) -> Vec<u8> {
    let bytes = window(peer, win);
    if islands & 1 != 0 && ack & 63 < 26 {
        return peer.acknowledge(now, bytes);
    }
    let (seq, ack) = (peer.nxt, ack_near(peer, ack));
    let (window, options) = (peer.window(bytes), options(peer, now, opts));
    peer.segment(ACK, seq, ack, window, options, 0).packet()
}

fn segment(peer: &mut Peer, now: Instant, [flags, seq, ack, win, len, opts]: [u8; 6]) -> Vec<u8> {
    let flags = match flags {
        0..96 => ACK,
        96..160 => ACK | PSH,
        160..200 => ACK | FIN,
        200..215 => ACK | URG,
        215..225 => ACK | URG | FIN,
        225 => FIN,
        226 => 0,
        227 => SYN | FIN,
        228 => SYN | ACK | FIN,
        229 => RST | FIN | ACK,
        230 => SYN | RST,
        flags => flags,
    };
    let (seq, ack) = (seq_near(peer, seq), ack_near(peer, ack));
    let len = length(peer, len);
    let win = match win & 1 {
        0 => peer.window(window(peer, win >> 1)),
        _ => u16::from(win) << 3,
    };
    let options = options(peer, now, opts);
    if flags & SYN != 0 {
        peer.offers.push(Offer {
            seq,
            scale: None,
            stamps: false,
        });
    }
    let packet = peer.segment(flags, seq, ack, win, options, len).packet();
    match flags & URG {
        0 => packet,
        _ => urgent(packet, u16::from(opts) << (len % 8)),
    }
}

/// Sets the urgent pointer.
fn urgent(mut packet: Vec<u8>, pointer: u16) -> Vec<u8> {
    let at = if packet[0] >> 4 == 4 { 20 } else { 40 };
    let sum = u16::from_be_bytes([packet[at + 16], packet[at + 17]]);
    packet[at + 18..at + 20].copy_from_slice(&pointer.to_be_bytes());
    // RFC 1624: the sum of the complement and of what is new.
    let sum = u32::from(!sum) + u32::from(pointer);
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    packet[at + 16..at + 18].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// SACK blocks: true ones, and others.
fn lies(peer: &mut Peer, now: Instant, [ack, win, blocks @ ..]: [u8; 6]) -> Vec<u8> {
    // Mostly the first is missing, whatever has arrived.
    let una = match win & 0xe0 {
        0xe0 => peer.rcv,
        _ => peer.told,
    };
    let (nxt, mss) = (peer.high, peer.mss);
    let flight = nxt.wrapping_sub(una);
    let edge = |choice: u8, byte: u8| match choice {
        0 => una,
        1 => una.wrapping_add(1),
        2 => una.wrapping_add(mss),
        3 => una.wrapping_add(2 * mss),
        4 => una.wrapping_add(3 * mss),
        5 => una.wrapping_add(flight / 2),
        6 => nxt.wrapping_sub(mss),
        7 => nxt.wrapping_sub(1),
        8 => nxt,
        9 => nxt.wrapping_add(1),
        10 => una.wrapping_sub(2),
        11 => una.wrapping_sub(mss),
        12 => una.wrapping_add(HALF - 1),
        13 => una.wrapping_add(HALF),
        14 => una.wrapping_add(HALF + 1),
        _ => una.wrapping_add(u32::from(byte).wrapping_mul(0x9e37_79b9)),
    };
    let count = usize::from(ack % 4) + 1;
    let blocks = blocks.map(|byte| (edge(byte >> 4, byte), edge(byte & 15, byte)));
    let mut options = peer.stamp(now);
    let most = if options.is_empty() { 4 } else { 3 };
    options.extend(peers::sack(blocks.into_iter().take(count.min(most))));
    let ack = match ack >> 2 {
        0..44 => una,
        choice => ack_near(peer, choice << 2 | 3),
    };
    let (seq, window) = (peer.nxt, peer.window(window(peer, win)));
    peer.segment(ACK, seq, ack, window, options, 0).packet()
}

fn fin(peer: &mut Peer, now: Instant, [how, len, win, opts, ..]: [u8; 6]) -> Vec<u8> {
    let room = peer.edge.wrapping_sub(peer.nxt);
    let room = if room < HALF { room } else { 0 };
    let (skip, len) = match how % 8 {
        0..3 => (0, 0),
        3 => (0, length(peer, len)),
        4 => (u32::from(len) + 1, 0),
        5 => (u32::from(len) + 1, length(peer, len)),
        // Up to the last byte of the window.
        6 => (room.saturating_sub(peer.mss), room.min(peer.mss)),
        _ => (0, room.min(peer.mss)),
    };
    let (seq, ack) = (peer.nxt.wrapping_add(skip), peer.rcv);
    let (window, options) = (peer.window(window(peer, win)), options(peer, now, opts));
    peer.segment(ACK | FIN, seq, ack, window, options, len)
        .packet()
}

fn reset(peer: &mut Peer, [seq, ack, flags, ..]: [u8; 6]) -> Vec<u8> {
    let flags = if flags & 1 == 0 { RST } else { RST | ACK };
    let (seq, ack) = (seq_near(peer, seq), ack_near(peer, ack));
    peer.segment(flags, seq, ack, 0, Vec::new(), 0).packet()
}

fn syn(peer: &mut Peer, now: Instant, [seq, ack, flags, profile, ..]: [u8; 6]) -> Vec<u8> {
    let flags = if flags & 3 == 0 { SYN | ACK } else { SYN };
    let seq = match seq {
        0..64 => peer.iss,
        _ => seq_near(peer, seq),
    };
    let ack = ack_near(peer, ack);
    let options = peer.syn_options(seq, profile, now);
    peer.segment(flags, seq, ack, 65_535, options, 0).packet()
}

/// Fills the window in full segments, to its last byte or with a FIN in that place.
fn fill(peer: &mut Peer, now: Instant, [how, win, opts, ..]: [u8; 6]) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    for _ in 0..60 {
        let room = peer.edge.wrapping_sub(peer.nxt);
        if room == 0 || room >= HALF {
            break;
        }
        let len = room.min(peer.mss.max(500));
        let last = len == room;
        let (flags, len) = match how & 3 {
            1 if last => (ACK | FIN, len),
            2 if last => (ACK | FIN, len - 1),
            _ => (ACK, len),
        };
        let (seq, ack) = (peer.nxt, peer.rcv);
        let (window, options) = (peer.window(window(peer, win)), options(peer, now, opts));
        let segment = peer.segment(flags, seq, ack, window, options, len);
        packets.push(segment.packet());
        peer.nxt = peer.nxt.wrapping_add(len);
        if last {
            break;
        }
    }
    if how & 0xc0 == 0xc0 {
        packets.reverse();
    }
    packets
}

/// A segment with data in fragments: some of them, in some order, of which some may not fit together.
fn in_pieces(
    peer: &mut Peer,
    now: Instant,
    [len, room, how, id, at, byte]: [u8; 6],
) -> Vec<Vec<u8>> {
    let len = (u32::from(len) * 8).min(peer.mss);
    let (seq, ack, options) = (peer.nxt, peer.rcv, peer.stamp(now));
    let whole = peer.segment(ACK | PSH, seq, ack, 65_535, options, len);
    let whole = whole.packet();
    let room = (usize::from(room % 32) + 1) * 8;
    let mut pieces = fragments(&whole, room, id.into());
    pieces.truncate(40);
    let count = pieces.len();
    let one = usize::from(at) % count;
    match how % 8 {
        0 | 1 => peer.nxt = peer.nxt.wrapping_add(len),
        2 => {
            pieces.reverse();
            peer.nxt = peer.nxt.wrapping_add(len);
        }
        3 => drop(pieces.remove(one)),
        4 => {
            let again = pieces[one].clone();
            pieces.push(again);
        }
        // Of another length or place.
        5 => {
            let mut changed = pieces[one].clone();
            let header = if changed[0] >> 4 == 4 { 6 } else { 42 };
            if let Some(field) = changed.get_mut(header + 1) {
                *field = field.wrapping_add(byte);
            }
            pieces.insert(0, resealed(changed));
        }
        6 => {
            let mut last = pieces.pop().unwrap_or_default();
            last.truncate(last.len().saturating_sub(usize::from(byte % 8)));
            pieces.push(resealed(last));
        }
        _ => pieces.truncate(one),
    }
    pieces
}

/// With the length and the checksum of its IP header right.
fn resealed(mut packet: Vec<u8>) -> Vec<u8> {
    let len = packet.len();
    if len >= 20 && packet[0] >> 4 == 4 {
        packet[2..4].copy_from_slice(&(len as u16).to_be_bytes());
        packet[10..12].fill(0);
        let sum = !smoltcp::wire::checksum::data(&packet[..20]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    } else if len >= 40 {
        packet[4..6].copy_from_slice(&(len as u16 - 40).to_be_bytes());
    }
    packet
}

/// An ICMP error about what our end has sent last.
fn error(peer: &mut Peer, [kind, mtu, cut, at, byte, from]: [u8; 6]) -> Vec<u8> {
    let v6 = peer.local.is_ipv6();
    let mtu: u32 = match mtu % 12 {
        0 => 0,
        1 => 1,
        2 => 68,
        3 => 67,
        4 => 100,
        5 => 296,
        6 => 576,
        7 => 1_279,
        8 => 1_280,
        9 => 1_281,
        10 => 65_535,
        _ => u32::MAX,
    };
    let (kind, code, protocol) = match (v6, kind % 16) {
        (false, 0..8) => (3, 4, IpProtocol::Icmp),
        (false, 8..14) => (3, kind % 16, IpProtocol::Icmp),
        (false, 14) => (11, 0, IpProtocol::Icmp),
        (false, _) => (12, 0, IpProtocol::Icmp),
        (true, 0..8) => (2, 0, IpProtocol::Icmpv6),
        (true, 8..14) => (1, kind % 7, IpProtocol::Icmpv6),
        (true, 14) => (3, 0, IpProtocol::Icmpv6),
        (true, _) => (4, 1, IpProtocol::Icmpv6),
    };
    let mut message = vec![kind, code, 0, 0];
    message.extend(mtu.to_be_bytes());
    let mut quoted = peer.last_out.clone();
    if cut & 3 == 0 {
        quoted.truncate(usize::from(cut));
    }
    if at & 3 == 0
        && let Some(place) = quoted.get_mut(usize::from(at))
    {
        *place = byte;
    }
    message.extend(quoted);
    let router = match (from % 4, v6) {
        (0, false) => [192, 0, 2, 200].into(),
        _ => peer.peer.ip(),
    };
    icmp(router, peer.local.ip(), protocol, message)
}
