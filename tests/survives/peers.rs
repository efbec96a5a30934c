//! The other ends: what they have sent and heard, what they say next, and what must be true of what our end says.

use smoltcp::time::Instant;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::OnceLock;
use tcplab::segment::{Described, Flags, Segment};

use crate::step::Host;
use crate::support::{ACK, Forged, SYN};

/// So many connections are kept in mind.
const MOST_CONNECTIONS: usize = 8;
/// So many stretches of what a peer has sent or heard.
const MOST_STRETCHES: usize = 100;

/// All other ends.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    pub(crate) all: Vec<Peer>,
    /// The ends of all there were.
    seen: HashSet<(SocketAddr, SocketAddr)>,
    /// Ports are used once, unless a step says otherwise.
    opened: u16,
    /// To whom our end has begun a connection, whose SYN has not left.
    called: Option<(SocketAddr, u32)>,
    /// Whose turn it is to answer by itself.
    pub(crate) answers: Vec<(SocketAddr, SocketAddr)>,
    /// Whether a rule or a person may have changed or kept something: then little can be said.
    pub(crate) tampered: bool,
    /// The same, at the faulty address.
    pub(crate) tampered_there: bool,
}

/// How a peer answers by itself, and what it gets to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mood {
    /// It acknowledges each packet, or each second.
    pub(crate) answers: u8,
    /// It says in those which stretches it has.
    pub(crate) tells_sack: bool,
    /// Which of the next packets get lost, from the lowest bit on.
    pub(crate) loses: u8,
    pub(crate) window: u8,
}

/// What a SYN of the peer's offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) seq: u32,
    pub(crate) scale: Option<u8>,
    pub(crate) stamps: bool,
}

/// The other end of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Our end.
    pub(crate) local: SocketAddr,
    /// This one.
    pub(crate) peer: SocketAddr,
    /// Whether our end has begun.
    called: bool,
    /// The SYNs that it has sent.
    pub(crate) offers: Vec<Offer>,
    is_ambiguous: bool,
    /// Whether there was another between the same ends, which our end may still have in mind.
    is_heir: bool,
    /// Its SYN was acknowledged.
    pub(crate) synced: bool,
    pub(crate) iss: u32,
    /// What it sends next, where it does nothing special.
    pub(crate) nxt: u32,
    /// Acknowledged by our end.
    pub(crate) acked: u32,
    /// The right edge of our end's window.
    pub(crate) edge: u32,
    /// The shift count of our end's windows, and of its own.
    pub(crate) scales: (u8, u8),
    pub(crate) stamps: bool,
    /// The newest TSval of our end's.
    pub(crate) heard_stamp: u32,
    pub(crate) mss: u32,
    /// What it has sent, first and behind.
    sent: Vec<(u32, u32)>,
    /// Our end's initial number.
    pub(crate) irs: Option<u32>,
    /// What it has received in order, and the highest number it has seen.
    pub(crate) rcv: u32,
    pub(crate) high: u32,
    /// The highest acknowledgment that it has sent of what there was: SND.UNA of our end.
    pub(crate) told: u32,
    islands: Vec<(u32, u32)>,
    fin: Option<u32>,
    pub(crate) reset: bool,
    /// What our end has said last, and a segment of it that has text: headers and a bit more.
    pub(crate) last_out: Vec<u8>,
    pub(crate) mood: Mood,
    unanswered: u8,
    /// The offer that our end has made in its own SYN.
    engine_offer: (Option<u8>, bool),
}

/// Whether `number` lies before `other`.
fn before(number: u32, other: u32) -> bool {
    (number.wrapping_sub(other) as i32) < 0
}

/// What is said from the first byte on, again and again.
struct Pattern(Vec<u8>);

impl Pattern {
    /// What peers say. The period is a prime, so that no two places that a fault may mix up are alike.
    fn text() -> &'static Pattern {
        static TEXT: OnceLock<Pattern> = OnceLock::new();
        TEXT.get_or_init(|| {
            let mut state = 1u32;
            let byte = |_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            };
            Pattern((0..8_191).map(byte).collect())
        })
    }

    /// What chargen says (RFC 864).
    fn chargen() -> &'static Pattern {
        static CHARGEN: OnceLock<Pattern> = OnceLock::new();
        CHARGEN.get_or_init(|| {
            let line = |line: u8| {
                let characters = (line..line + 72).map(|place| b' ' + place % 95);
                characters.chain(*b"\r\n")
            };
            Pattern((0..95).flat_map(line).collect())
        })
    }

    /// From this byte on.
    fn from(&self, offset: u32) -> impl Iterator<Item = &[u8]> {
        // What lies before the first byte has its place too.
        let place = (offset as i32).rem_euclid(self.0.len() as i32);
        let (_, rest) = self.0.split_at(place as usize);
        std::iter::once(rest).chain(std::iter::repeat(&self.0[..]))
    }

    fn write(&self, offset: u32, len: u32) -> Vec<u8> {
        let mut written = Vec::with_capacity(len as usize);
        for part in self.from(offset) {
            let left = len as usize - written.len();
            written.extend_from_slice(&part[..left.min(part.len())]);
            if written.len() == len as usize {
                break;
            }
        }
        written
    }

    /// The first byte that is not what it should be.
    fn differs(&self, offset: u32, mut bytes: &[u8]) -> Option<u32> {
        let mut at = offset;
        for part in self.from(offset) {
            let len = bytes.len().min(part.len());
            if bytes[..len] != part[..len] {
                let place = bytes.iter().zip(part).position(|(one, other)| one != other);
                return place.map(|place| at.wrapping_add(place as u32));
            }
            bytes = &bytes[len..];
            at = at.wrapping_add(len as u32);
            if bytes.is_empty() {
                break;
            }
        }
        None
    }
}

/// What our end sends where it begins.
pub(crate) fn text(len: u32) -> Vec<u8> {
    Pattern::text().write(0, len)
}

impl Peer {
    fn new(local: SocketAddr, peer: SocketAddr, iss: u32) -> Peer {
        Peer {
            local,
            peer,
            called: false,
            offers: Vec::new(),
            is_ambiguous: false,
            is_heir: false,
            synced: false,
            iss,
            nxt: iss.wrapping_add(1),
            acked: iss.wrapping_add(1),
            edge: iss.wrapping_add(1),
            scales: (0, 0),
            stamps: false,
            heard_stamp: 0,
            mss: 536,
            sent: Vec::new(),
            irs: None,
            rcv: 0,
            high: 0,
            told: 0,
            islands: Vec::new(),
            fin: None,
            reset: false,
            last_out: Vec::new(),
            mood: Mood::default(),
            unanswered: 0,
            engine_offer: (None, false),
        }
    }

    fn v6(&self) -> bool {
        self.local.is_ipv6()
    }

    /// A segment of this peer's, and that it was sent.
    pub(crate) fn segment(
        &mut self,
        flags: u8,
        seq: u32,
        ack: u32,
        window: u16,
        options: Vec<u8>,
        len: u32,
    ) -> Forged {
        let origin = self.iss.wrapping_add(1);
        // Text comes behind a SYN.
        let first = seq
            .wrapping_sub(origin)
            .wrapping_add(u32::from(flags & SYN != 0));
        let news = ack.wrapping_sub(self.told);
        if flags & ACK != 0 && news <= self.high.wrapping_sub(self.told) {
            self.told = ack;
        }
        let count = len + u32::from(flags & SYN != 0) + u32::from(flags & 1);
        if count > 0 && self.sent.len() < MOST_STRETCHES * 40 {
            self.sent.push((seq, seq.wrapping_add(count)));
        }
        Forged {
            window,
            options,
            payload: Pattern::text().write(first, len),
            ..Forged::new(self.peer, self.local, flags, seq, ack)
        }
    }

    /// A window in bytes as it stands in a header.
    pub(crate) fn window(&self, bytes: u32) -> u16 {
        let unit = 1 << self.scales.1;
        u16::try_from(bytes.div_ceil(unit)).unwrap_or(u16::MAX)
    }

    /// The options that belong into any segment.
    pub(crate) fn stamp(&self, now: Instant) -> Vec<u8> {
        if !self.stamps {
            return Vec::new();
        }
        stamps(self.clock(now), self.heard_stamp)
    }

    pub(crate) fn clock(&self, now: Instant) -> u32 {
        self.iss.wrapping_add(now.total_millis() as u32)
    }

    /// Something of our end's has left. Returns whether this peer answers.
    fn hear(&mut self, segment: &Segment, bytes: &[u8], strict: bool) -> bool {
        if segment.flags.contains(Flags::RST) {
            self.reset = true;
            return false;
        }
        self.last_out.clear();
        self.last_out
            .extend_from_slice(&bytes[..bytes.len().min(100)]);
        if segment.flags.contains(Flags::SYN) {
            self.hear_syn(segment);
        } else if !self.synced {
            self.adopt(segment);
        }
        if let Some((val, _)) = segment.options.timestamps() {
            self.heard_stamp = val;
        }
        let Some(irs) = self.irs else { return false };
        if self.synced && strict && !self.is_heir {
            self.check(segment, &bytes[segment.payload.clone()], irs);
        }
        self.learn(segment);
        let lost = self.mood.loses & 1 != 0;
        self.mood.loses >>= 1;
        if lost || segment.sequence_len() == 0 {
            return false;
        }
        self.receive(segment);
        self.unanswered = self.unanswered.saturating_add(1);
        let answers = self.mood.answers > 0 && self.unanswered >= self.mood.answers;
        if answers {
            self.unanswered = 0;
        }
        answers
    }

    fn hear_syn(&mut self, segment: &Segment) {
        let offer = (
            segment.window_scale(),
            segment.options.timestamps().is_some(),
        );
        let acked = segment.acknowledges().map(|ack| ack.0.wrapping_sub(1));
        let answered = self.offer(acked);
        // The same numbers again begin a new life, once there was more in the old one, or it was reset.
        let fresh = self.acked == self.iss.wrapping_add(1) && !self.reset;
        if self.irs == Some(segment.seq.0) && self.synced && acked == Some(self.iss) && fresh {
            return;
        }
        // It may answer a SYN that was sent as bytes.
        self.is_ambiguous |= answered.is_none() && acked.is_some();
        self.engine_offer = offer;
        if segment.acknowledges().is_none() || answered.is_some() {
            self.irs = Some(segment.seq.0);
            self.rcv = segment.seq.0.wrapping_add(1);
            self.high = self.rcv;
            self.told = self.rcv;
            self.islands.clear();
            self.fin = None;
            self.synced = false;
        }
        self.reset &= answered.is_none();
        if let Some(answered) = answered {
            self.synchronize(answered);
        }
    }

    /// Our end acknowledges the SYN of this peer's that answers its own.
    fn adopt(&mut self, segment: &Segment) {
        let acked = segment.acknowledges().map(|ack| ack.0.wrapping_sub(1));
        let answered = self.offer(acked);
        if let Some(answered) = answered.filter(|_| self.irs.is_some()) {
            self.synchronize(answered);
        }
    }

    /// What the SYN with this number has offered.
    fn offer(&self, seq: Option<u32>) -> Option<Offer> {
        let mut offers = self.offers.iter().copied();
        offers.find(|offer| Some(offer.seq) == seq)
    }

    fn synchronize(&mut self, offer: Offer) {
        // Of several SYNs with one number, nobody knows which our end goes by.
        let same = |other: &&Offer| other.seq == offer.seq;
        let differs = |other: &Offer| (other.scale, other.stamps) != (offer.scale, offer.stamps);
        self.is_ambiguous = self.offers.iter().filter(same).any(differs);
        self.synced = true;
        if self.iss != offer.seq {
            self.iss = offer.seq;
            self.nxt = offer.seq.wrapping_add(1);
        }
        self.acked = offer.seq.wrapping_add(1);
        self.edge = self.acked;
        self.scales = match (self.engine_offer.0, offer.scale) {
            (Some(ours), Some(own)) => (ours.min(14), own.min(14)),
            _ => (0, 0),
        };
        self.stamps = self.engine_offer.1 && offer.stamps;
    }

    /// What must be true of a segment of our end's.
    fn check(&self, segment: &Segment, payload: &[u8], irs: u32) {
        let origin = self.iss.wrapping_add(1);
        if let Some(ack) = segment.acknowledges() {
            let ack = ack.0;
            assert!(
                !before(ack, self.acked),
                "acknowledges less than before: {segment:?} {self:?}"
            );
            self.check_sent(self.acked, ack, segment);
            let finished = u32::from(ack != self.acked);
            assert!(
                !before(self.edge.wrapping_add(finished), ack) || !self.knows_edge(),
                "acknowledges beyond its window: {segment:?} {self:?}"
            );
            let edge = self.told_edge(segment);
            assert!(
                // A SYN-ACK that is sent again states the window of the first, which has no scale.
                skips("edge")
                    || !self.knows_edge()
                    || segment.flags.contains(Flags::SYN)
                    || !before(edge, self.edge),
                "the window shrinks by {}: {segment:?} {self:?}",
                self.edge.wrapping_sub(edge)
            );
        }
        assert!(
            !before(self.high, segment.seq.0),
            "a gap in what is sent: {segment:?} {self:?}"
        );
        let acked = segment.acknowledges().map_or(self.acked, |ack| ack.0);
        let first = segment.seq.0.wrapping_sub(irs.wrapping_add(1));
        let pattern = match (self.called, self.local.port()) {
            (false, 7) => {
                let sent = first.wrapping_add(payload.len() as u32);
                let had = acked.wrapping_sub(origin);
                assert!(
                    payload.is_empty() || sent <= had,
                    "echoed before it came: {segment:?} {self:?}"
                );
                Pattern::text()
            }
            (false, 19) => Pattern::chargen(),
            _ => return,
        };
        if let Some(offset) = pattern.differs(first, payload) {
            panic!("another byte at {offset}: {segment:?} {self:?}");
        }
    }

    /// A SYN has told no window in its true units, or none yet.
    fn knows_edge(&self) -> bool {
        !self.is_ambiguous && self.edge != self.iss.wrapping_add(1)
    }

    /// Whether this peer has sent all of this.
    fn check_sent(&self, from: u32, to: u32, segment: &Segment) {
        let mut at = from;
        while before(at, to) {
            let covers =
                |&&(first, end): &&(u32, u32)| at.wrapping_sub(first) < end.wrapping_sub(first);
            let Some(&(_, end)) = self.sent.iter().find(covers) else {
                panic!("acknowledges {at}, which was never sent: {segment:?} {self:?}");
            };
            at = end;
        }
    }

    fn told_edge(&self, segment: &Segment) -> u32 {
        let shift = match segment.flags.contains(Flags::SYN) {
            true => 0,
            false => self.scales.0,
        };
        let window = u32::from(segment.window) << shift;
        segment.ack.0.wrapping_add(window)
    }

    fn learn(&mut self, segment: &Segment) {
        let end = segment.end().0;
        if before(self.high, end) {
            self.high = end;
        }
        if !self.synced {
            return;
        }
        if let Some(ack) = segment.acknowledges() {
            if before(self.acked, ack.0) {
                self.acked = ack.0;
                if self.sent.len() > MOST_STRETCHES {
                    self.sent.retain(|&(_, end)| before(ack.0, end));
                }
            }
            if before(self.nxt, ack.0) {
                self.nxt = ack.0;
            }
            let edge = self.told_edge(segment);
            if before(self.edge, edge) || skips("edge") {
                self.edge = edge;
            }
        }
    }

    /// It has not got lost on the way.
    fn receive(&mut self, segment: &Segment) {
        let (first, end) = (segment.seq.0, segment.end().0);
        if segment.flags.contains(Flags::FIN) {
            self.fin = Some(end);
        }
        if before(self.rcv, first) {
            if self.islands.len() < MOST_STRETCHES {
                self.islands.push((first, end));
            }
            return;
        }
        if before(self.rcv, end) {
            self.rcv = end;
        }
        while let Some(at) = self
            .islands
            .iter()
            .position(|&(first, _)| !before(self.rcv, first))
        {
            let (_, end) = self.islands.swap_remove(at);
            if before(self.rcv, end) {
                self.rcv = end;
            }
        }
    }

    /// Whether all of our end's text and its FIN are here.
    pub(crate) fn is_finished(&self) -> bool {
        self.fin == Some(self.rcv)
    }
}

/// The option of RFC 7323, as it recommends to write it.
pub(crate) fn stamps(val: u32, ecr: u32) -> Vec<u8> {
    let mut option = vec![1, 1, 8, 10];
    option.extend(val.to_be_bytes());
    option.extend(ecr.to_be_bytes());
    option
}

/// Whether a check is left out, because what it finds is known and other things are looked for.
pub(crate) fn skips(check: &str) -> bool {
    static SKIPPED: OnceLock<String> = OnceLock::new();
    let skipped = SKIPPED.get_or_init(|| std::env::var("FUZZ_SKIP").unwrap_or_default());
    !skipped.is_empty() && skipped.split(',').any(|skipped| skipped == check)
}

impl Peers {
    /// `tampered_there`: see the field.
    pub(crate) fn new(tampered_there: bool) -> Peers {
        Peers {
            tampered_there,
            ..Peers::default()
        }
    }

    /// The peer that a step is about: the one that came last where it says 0.
    pub(crate) fn choose(&mut self, which: u8) -> Option<&mut Peer> {
        let count = self.all.len();
        // Most is about the newest.
        let back = match which {
            0..128 => 0,
            _ => usize::from(which - 128) % count.max(1),
        };
        self.all.get_mut(count.checked_sub(1 + back)?)
    }

    /// A new peer, or a new life of one.
    pub(crate) fn begin(&mut self, host: Host, port: u16, iss: u32, again: bool) -> &mut Peer {
        if !again || self.opened == 0 {
            self.opened += 1;
        }
        let local = SocketAddr::new(host.us(), port);
        let peer = SocketAddr::new(host.them(), 40_000 + self.opened);
        self.insert(Peer::new(local, peer, iss))
    }

    fn insert(&mut self, mut peer: Peer) -> &mut Peer {
        peer.is_heir = !self.seen.insert((peer.local, peer.peer));
        self.all
            .retain(|other| (other.local, other.peer) != (peer.local, peer.peer));
        if self.all.len() >= MOST_CONNECTIONS {
            self.all.remove(0);
        }
        self.all.push(peer);
        self.all.last_mut().expect("it was pushed")
    }

    /// Our end begins a connection to this peer, from a port that is yet to be heard.
    pub(crate) fn calls(&mut self, to: SocketAddr, iss: u32) {
        self.called = Some((to, iss));
    }

    /// The peer that was called last.
    pub(crate) fn called(&mut self, to: SocketAddr) -> Option<&mut Peer> {
        self.called = None;
        self.all.iter_mut().rev().find(|peer| peer.peer == to)
    }

    pub(crate) fn find(&mut self, local: SocketAddr, peer: SocketAddr) -> Option<&mut Peer> {
        let mut all = self.all.iter_mut();
        all.find(|other| (other.local, other.peer) == (local, peer))
    }

    /// A packet of our end's.
    pub(crate) fn hear(&mut self, described: &Described, bytes: &[u8]) {
        let (Some(segment), Some((local, to))) = (described.tcp(), described.endpoints()) else {
            return;
        };
        if let Some((called, iss)) = self.called.filter(|(called, _)| *called == to)
            && segment.flags.contains(Flags::SYN)
            && !segment.flags.contains(Flags::ACK)
        {
            self.called = None;
            self.insert(Peer::new(local, called, iss)).called = true;
        }
        let there = self.tampered_there && local.ip() == Host::Faulty.us();
        let strict = !self.tampered && !there;
        if let Some(peer) = self.find(local, to)
            && peer.hear(segment, bytes, strict)
        {
            self.answers.push((local, to));
        }
    }
}

impl Peer {
    /// The options of a SYN.
    pub(crate) fn syn_options(&mut self, seq: u32, profile: u8, now: Instant) -> Vec<u8> {
        let mss: u16 = match profile >> 4 & 7 {
            0..2 => 1460,
            2..5 => 536,
            5 => 100,
            6 => 1,
            _ => 9000,
        };
        let mut options = vec![2, 4];
        options.extend(mss.to_be_bytes());
        let (mut scale, mut timed) = (None, false);
        match profile & 15 {
            0..5 => {
                options.extend([4, 2, 8, 10]);
                options.extend(self.clock(now).to_be_bytes());
                options.extend([0; 4]);
                options.extend([1, 3, 3, 7]);
                (scale, timed) = (Some(7), true);
            }
            5..8 => {
                options.extend([1, 3, 3, 7, 1, 1, 4, 2]);
                scale = Some(7);
            }
            8 => {
                options.extend([1, 3, 3, 14, 1, 1, 4, 2]);
                scale = Some(14);
            }
            9 => {
                options.extend([1, 3, 3, 0, 1, 1, 4, 2]);
                scale = Some(0);
            }
            10 => {
                options.extend([1, 1, 8, 10]);
                options.extend(self.clock(now).to_be_bytes());
                options.extend([0; 4]);
                timed = true;
            }
            11 => options.extend([1, 1, 4, 2]),
            12 => {}
            13 => options.clear(),
            14 => {
                options.extend([3, 3, 200, 1]);
                scale = Some(200);
            }
            _ => options = vec![2, 3, 5, 180, 3, 9, 1, 1],
        }
        self.mss = u32::from(mss).clamp(48, if self.v6() { 1220 } else { 1240 });
        self.offers.push(Offer {
            seq,
            scale,
            stamps: timed,
        });
        options
    }

    /// A pure acknowledgment of what has arrived in order.
    pub(crate) fn acknowledge(&mut self, now: Instant, window: u32) -> Vec<u8> {
        let (seq, ack) = (self.nxt, self.rcv);
        let mut options = self.stamp(now);
        if self.mood.tells_sack && !self.islands.is_empty() {
            let room = if options.is_empty() { 4 } else { 3 };
            options.extend(sack(self.islands.iter().rev().take(room).copied()));
        }
        let window = self.window(window);
        self.segment(ACK, seq, ack, window, options, 0).packet()
    }
}

/// A SACK option behind two NOPs.
pub(crate) fn sack(blocks: impl Iterator<Item = (u32, u32)>) -> Vec<u8> {
    let mut option = vec![1, 1, 5, 2];
    for (left, right) in blocks {
        option.extend(left.to_be_bytes());
        option.extend(right.to_be_bytes());
        option[3] += 8;
    }
    option
}
