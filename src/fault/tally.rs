//! What has crossed so far, of one connection.

use super::rule::Kind;
use crate::event::{Direction, RuleId};
use crate::segment::{Body, Described, Flags, Segment, SeqNumber};
use crate::state::TcpState;
use smoltcp::time::{Duration, Instant};

/// The counts that rules ask for. One for each flow, from its first packet on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// When the first packet crossed.
    began: Option<Instant>,
    /// The state of our end.
    pub(super) state: Option<TcpState>,
    /// The next sequence number of each end, as the ends themselves count: what was rewritten does not show here.
    next: [Option<SeqNumber>; 2],
    /// Bytes of payload, each counted once.
    data: [u64; 2],
    /// How many packets of each kind there were.
    counts: [[u64; KINDS]; 2],
    /// Who has sent a SYN with ACK, and whether that was acknowledged.
    syn_ack: Option<(Direction, bool)>,
    /// How often rules have decided that count it.
    fired: Vec<(RuleId, u64)>,
    /// By which rule nothing crosses any more.
    silenced: [Option<RuleId>; 2],
}

/// What one packet is, and what came before it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    kinds: [bool; KINDS],
    ordinals: [u64; KINDS],
    pub(super) retransmission: bool,
    /// How long ago the first packet crossed.
    pub(super) age: Duration,
    /// Bytes of payload before this packet, of both directions.
    pub(super) data_before: [u64; 2],
    pub(super) data: u64,
}

impl Tally {
    /// Counts a packet.
    pub(super) fn count(
        &mut self,
        now: Instant,
        direction: Direction,
        described: &Described,
    ) -> Counted {
        let began = *self.began.get_or_insert(now);
        let mut counted = Counted {
            age: now - began,
            data_before: self.data,
            ..Counted::default()
        };
        counted.add(Kind::Any);
        match &described.body {
            Body::Tcp(segment) => self.count_segment(direction, segment, &mut counted),
            Body::Udp(datagram) => {
                counted.add(Kind::Datagram);
                counted.data = datagram.payload.len() as u64;
                self.data[direction as usize] += counted.data;
            }
            _ => {}
        }
        let counts = &mut self.counts[direction as usize];
        for ((count, is_one), ordinal) in counts
            .iter_mut()
            .zip(counted.kinds)
            .zip(&mut counted.ordinals)
        {
            *count += u64::from(is_one);
            *ordinal = *count;
        }
        counted
    }

    /// The next sequence number of the end that sends in this direction.
    pub(crate) fn next(&self, direction: Direction) -> Option<SeqNumber> {
        self.next[direction as usize]
    }

    /// From here on nothing crosses in this direction, or in none.
    pub(crate) fn silence(&mut self, rule: RuleId, direction: Option<Direction>) {
        for one in [Direction::In, Direction::Out] {
            if direction.is_none_or(|direction| direction == one) {
                self.silenced[one as usize].get_or_insert(rule);
            }
        }
    }

    /// By which rule nothing crosses any more in this direction.
    pub(super) fn silenced(&self, direction: Direction) -> Option<RuleId> {
        self.silenced[direction as usize]
    }

    /// How often a rule has decided about packets of this connection.
    pub(super) fn fired(&self, rule: RuleId) -> u64 {
        let fired = self.fired.iter().find(|(id, _)| *id == rule);
        fired.map_or(0, |(_, count)| *count)
    }

    /// Notes that it has done so once more.
    pub(super) fn fire(&mut self, rule: RuleId) {
        match self.fired.iter_mut().find(|(id, _)| *id == rule) {
            Some((_, count)) => *count += 1,
            None => self.fired.push((rule, 1)),
        }
    }

    fn count_segment(&mut self, direction: Direction, segment: &Segment, counted: &mut Counted) {
        let has = |flag| segment.flags.contains(flag);
        counted.add(Kind::Segment);
        let occupies = segment.sequence_len() > 0;
        match (has(Flags::SYN), has(Flags::ACK)) {
            (true, false) => counted.add(Kind::Syn),
            (true, true) => counted.add(Kind::SynAck),
            _ => {}
        }
        if has(Flags::RST) {
            counted.add(Kind::Rst);
        } else {
            if has(Flags::FIN) {
                counted.add(Kind::Fin);
            }
            if !segment.payload.is_empty() {
                counted.add(Kind::Data);
            }
            if has(Flags::ACK) && !occupies {
                counted.add(Kind::Ack);
            }
            self.count_handshake(direction, segment, counted);
        }
        if !occupies {
            return;
        }
        let next = &mut self.next[direction as usize];
        let before = *next;
        match before {
            Some(before) if segment.seq.before(before) && !has(Flags::RST) => {
                counted.retransmission = true;
                if before.before(segment.end()) {
                    *next = Some(segment.end());
                }
            }
            _ => *next = Some(segment.end()),
        }
        let fresh = match before {
            Some(before) if counted.retransmission => {
                if before.before(segment.end()) {
                    segment.end().since(before)
                } else {
                    0
                }
            }
            _ => segment.sequence_len(),
        };
        counted.data = u64::from(fresh).min(segment.payload.len() as u64);
        self.data[direction as usize] += counted.data;
    }

    fn count_handshake(&mut self, direction: Direction, segment: &Segment, counted: &mut Counted) {
        let has = |flag| segment.flags.contains(flag);
        if has(Flags::SYN) && has(Flags::ACK) {
            let acknowledged = self.syn_ack.is_some_and(|(_, acknowledged)| acknowledged);
            self.syn_ack = Some((direction, acknowledged));
        } else if let Some((from, acknowledged)) = &mut self.syn_ack
            && *from != direction
            && has(Flags::ACK)
            && !has(Flags::SYN)
            && !*acknowledged
        {
            counted.add(Kind::HandshakeAck);
            *acknowledged = true;
        }
    }
}

impl Counted {
    pub(super) fn is(&self, kind: Kind) -> bool {
        self.kinds[kind as usize]
    }

    /// Which of its kind it is, counted from 1.
    pub(super) fn ordinal(&self, kind: Kind) -> u64 {
        self.ordinals[kind as usize]
    }

    fn add(&mut self, kind: Kind) {
        self.kinds[kind as usize] = true;
    }
}

const KINDS: usize = Kind::Datagram as usize + 1;
