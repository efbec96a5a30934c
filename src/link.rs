//! The one place where packets cross between the wire and the stack.
//!
//! ```text
//!     wire ──▶ arrived()  ──▶ stack        every packet crosses once in each direction
//!     wire ◀── departed() ◀── stack        and is told in exactly one event, with its fate
//!               │    ▲
//!               ▼    │
//!              waiting: what a rule or a person keeps back; told again when it is released
//! ```
//!
//! Packets that could not be written into a caller's buffer when they were made, and those that were released, stand in
//! line here until the caller comes with one.

mod originals;

use crate::event::{
    Crossed, Direction, Discard, EventKind, Fate, FlowId, Journal, Packet, PacketId, Reason,
    Release, Released, RuleId, Variables,
};
use crate::fault::{Crossing, Judgment, Pattern};
use crate::segment::{Checksum, Described, describe};
use crate::state::TcpState;
use originals::Originals;
use smoltcp::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroU16;

/// A packet that waits for later ones goes on after so long where those do not come.
const REORDER_LIMIT: Duration = Duration::from_secs(1);

/// The link of one engine.
#[derive(Debug, Default)]
pub(crate) struct Link {
    crossed: u64,
    /// To the wire.
    leaving: VecDeque<(Vec<u8>, Offload)>,
    /// To the stack: packets that were told already.
    entering: VecDeque<(PacketId, Vec<u8>, Checksum)>,
    waiting: BTreeMap<PacketId, Waiting>,
    /// How many bytes these have.
    waiting_bytes: usize,
    /// Those of `waiting` that wait for a time.
    due: BTreeSet<(Instant, PacketId)>,
    /// Those of `waiting` that wait for anything but a time.
    conditional: Vec<PacketId>,
    /// What may have copies.
    pub(crate) originals: Originals,
}

/// What is left to a device, such as a TUN with offload. The default is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// What is in the checksum field of the transport header: [`Checksum::Partial`] leaves the rest to the device.
    pub checksum: Checksum,
    /// Where the device has to cut the packet into TCP segments, the payload of each of them but the last, in bytes.
    pub segment_size: Option<NonZeroU16>,
}

/// A packet that comes in.
#[derive(Debug)]
pub(crate) struct Incoming<'a> {
    pub(crate) bytes: &'a mut [u8],
    pub(crate) described: &'a Described,
    /// The id under which it was already reported: a packet put together from fragments never crossed the
    /// link itself, but the last of its fragments did; one with which a rule has interfered was told with its fate.
    pub(crate) told: Option<PacketId>,
    /// Whether the rules know that a part of it was sent before; our end knows only what has reached it.
    pub(crate) again: bool,
}

/// What a connection knows about a segment of its own. The default is for packets that are none.
#[derive(Debug, Default)]
pub(crate) struct Remarks {
    pub(crate) retransmission: bool,
    pub(crate) reason: Option<Reason>,
    pub(crate) variables: Option<Box<Variables>>,
}

/// A packet with which a rule interferes.
#[derive(Debug)]
pub(crate) struct Stopped<'a> {
    pub(crate) flow: Option<FlowId>,
    pub(crate) direction: Direction,
    pub(crate) bytes: &'a [u8],
    pub(crate) offload: Offload,
    pub(crate) described: Described,
    pub(crate) fate: Fate,
    /// What comes out of the link in its place, where it is rewritten: nothing of it is left to a device.
    pub(crate) crossed: Option<Vec<u8>>,
    pub(crate) remarks: Remarks,
}

/// What a packet waits for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Wait {
    Time(Instant),
    /// So many later packets of its flow and direction.
    Behind(u32),
    State(TcpState),
    Packet(Box<Pattern>),
    /// A person; in a rule's name, or because everything is held.
    Hand,
}

/// What becomes of a packet that waits.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Pass,
    Drop,
    Duplicate(u32),
    Rewrite(Vec<u8>),
}

#[derive(Debug)]
struct Waiting {
    flow: Option<FlowId>,
    direction: Direction,
    bytes: Vec<u8>,
    offload: Offload,
    since: Instant,
    /// How much later it was than that: the stack's clock may stand still while it waits.
    ahead: Duration,
    wait: Wait,
    /// By stepping, not by a rule.
    stepped: bool,
    /// As it was told, where packets are told.
    told: Option<Packet>,
}

impl Link {
    /// A packet has come in and is handed to the stack, or is discarded before any connection sees it.
    pub(crate) fn arrived(
        &mut self,
        journal: &mut Journal,
        now: Instant,
        flow: Option<FlowId>,
        incoming: &Incoming<'_>,
        discard: Option<Discard>,
        remarks: Remarks,
    ) -> PacketId {
        if let Some(told) = incoming.told {
            return told;
        }
        let id = self.next_id();
        if discard.is_none() {
            self.originals
                .passes(now, flow, Direction::In, id, incoming.described);
        }
        if journal.wants_packets() {
            let packet = Packet {
                id,
                direction: Direction::In,
                described: incoming.described.clone(),
                bytes: incoming.bytes.to_vec(),
                fate: discard.map_or(Fate::Delivered, Fate::Discarded),
                crossed: None,
                retransmission: remarks.retransmission || incoming.again,
                reason: remarks.reason,
                variables: remarks.variables,
            };
            journal.tell(now, flow, EventKind::Packet(packet));
        }
        id
    }

    /// A packet leaves in the caller's buffer.
    pub(crate) fn departed(
        &mut self,
        journal: &mut Journal,
        now: Instant,
        flow: Option<FlowId>,
        bytes: &[u8],
        described: impl FnOnce() -> Described,
        remarks: Remarks,
    ) {
        let id = self.next_id();
        if !self.originals.are_watched() && !journal.wants_packets() {
            return;
        }
        let described = described();
        self.originals
            .passes(now, flow, Direction::Out, id, &described);
        if journal.wants_packets() {
            let packet = Packet {
                id,
                direction: Direction::Out,
                described,
                bytes: bytes.to_vec(),
                fate: Fate::Delivered,
                crossed: None,
                retransmission: remarks.retransmission,
                reason: remarks.reason,
                variables: remarks.variables,
            };
            journal.tell(now, flow, EventKind::Packet(packet));
        }
    }

    /// A rule interferes with a packet, which is told. What comes out of the link at once stands in line then; what
    /// waits is kept as `wait` says.
    pub(crate) fn stopped(
        &mut self,
        journal: &mut Journal,
        now: Instant,
        stopped: Stopped<'_>,
        wait: Option<Wait>,
    ) -> PacketId {
        let id = self.next_id();
        let Stopped {
            flow,
            direction,
            bytes,
            offload,
            described,
            fate,
            crossed,
            remarks,
        } = stopped;
        let (outcome, left) = match &crossed {
            Some(crossed) => (&crossed[..], Offload::default()),
            None => (bytes, offload),
        };
        for _ in 0..fate.crossings() {
            self.hand_over(direction, id, outcome.to_vec(), left);
        }
        if fate.crossings() > 0 && !matches!(fate, Fate::Injected(_)) {
            self.originals.passes(now, flow, direction, id, &described);
        } else if wait.is_some() {
            self.originals.waits(flow, direction, id, &described);
        }
        let stepped = matches!(fate, Fate::Held(RuleId::HAND));
        let packet = journal.wants_packets().then(|| Packet {
            id,
            direction,
            described,
            bytes: bytes.to_vec(),
            fate,
            crossed: crossed.map(said),
            retransmission: remarks.retransmission,
            reason: remarks.reason,
            variables: remarks.variables,
        });
        if let Some(wait) = wait {
            match wait {
                Wait::Time(at) => {
                    self.due.insert((at, id));
                }
                Wait::Behind(_) => {
                    self.due.insert((now + REORDER_LIMIT, id));
                    self.conditional.push(id);
                }
                _ => self.conditional.push(id),
            }
            let waiting = Waiting {
                flow,
                direction,
                bytes: bytes.to_vec(),
                offload,
                since: now,
                ahead: journal.ahead,
                wait,
                stepped,
                told: packet.clone(),
            };
            self.waiting_bytes += bytes.len();
            self.waiting.insert(id, waiting);
        }
        if let Some(packet) = packet {
            journal.tell(now, flow, EventKind::Packet(packet));
        }
        id
    }

    /// Keeps a packet that has departed until the caller brings a buffer.
    pub(crate) fn keep(&mut self, bytes: Vec<u8>, offload: Offload) {
        self.leaving.push_back((bytes, offload));
    }

    /// The next packet kept, written into `buf`; its length, and what is left to the device.
    ///
    /// A rule may have made one longer than `buf`: the wire carries no such packet, and it is lost.
    pub(crate) fn next_kept(&mut self, buf: &mut [u8]) -> Option<(usize, Offload)> {
        loop {
            let (bytes, offload) = self.leaving.pop_front()?;
            if let Some(room) = buf.get_mut(..bytes.len()) {
                room.copy_from_slice(&bytes);
                return Some((bytes.len(), offload));
            }
        }
    }

    /// The next packet that goes on to the stack, told already.
    pub(crate) fn next_entering(&mut self) -> Option<(PacketId, Vec<u8>, Checksum)> {
        self.entering.pop_front()
    }

    /// When [`release_due`](Link::release_due) has something to do next.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Releases what has waited long enough.
    pub(crate) fn release_due(&mut self, journal: &mut Journal, now: Instant) {
        while let Some(&(at, id)) = self.due.first()
            && at <= now
        {
            self.release(journal, now, id, Release::Time, Outcome::Pass);
        }
    }

    /// Releases what has waited for our end to enter a state.
    pub(crate) fn entered(
        &mut self,
        journal: &mut Journal,
        now: Instant,
        flow: FlowId,
        state: TcpState,
    ) {
        self.release_where(journal, now, |waiting| {
            waiting.flow == Some(flow) && waiting.wait == Wait::State(state)
        });
    }

    /// Releases what has waited for a packet that was judged just now and is through. To be called after that was handed
    /// on, with `crossed` where it came out of the link.
    pub(crate) fn passed(
        &mut self,
        journal: &mut Journal,
        crossing: &Crossing<'_>,
        judgment: &Judgment,
        crossed: bool,
    ) {
        self.release_where(journal, crossing.now, |waiting| {
            if waiting.flow != crossing.flow {
                return false;
            }
            match &mut waiting.wait {
                Wait::Behind(left) if crossed && waiting.direction == crossing.direction => {
                    *left = left.saturating_sub(1);
                    *left == 0
                }
                Wait::Packet(pattern) => judgment.matches(pattern, crossing),
                _ => false,
            }
        });
    }

    /// Lets a packet that waits go on, or not. Nothing happens where it is not there any more.
    pub(crate) fn release(
        &mut self,
        journal: &mut Journal,
        now: Instant,
        id: PacketId,
        by: Release,
        outcome: Outcome,
    ) {
        let Some(waiting) = self.waiting.remove(&id) else {
            return;
        };
        self.waiting_bytes -= waiting.bytes.len();
        match waiting.wait {
            Wait::Time(at) => {
                self.due.remove(&(at, id));
            }
            Wait::Behind(_) => {
                self.due.remove(&(waiting.since + REORDER_LIMIT, id));
                self.conditional.retain(|other| *other != id);
            }
            _ => self.conditional.retain(|other| *other != id),
        }
        let (fate, crossed) = match outcome {
            Outcome::Pass => (Fate::Delivered, None),
            Outcome::Drop => (Fate::Dropped(RuleId::HAND), None),
            Outcome::Duplicate(copies) => (Fate::Duplicated(RuleId::HAND, copies), None),
            Outcome::Rewrite(bytes) => (Fate::Rewritten(RuleId::HAND), Some(bytes)),
        };
        let goes_on = fate.crossings() > 0;
        self.originals
            .released(now, waiting.flow, waiting.direction, id, goes_on);
        let (bytes, offload) = match &crossed {
            Some(crossed) => (crossed, Offload::default()),
            None => (&waiting.bytes, waiting.offload),
        };
        for _ in 0..fate.crossings() {
            self.hand_over(waiting.direction, id, bytes.to_vec(), offload);
        }
        if let Some(packet) = waiting.told {
            let packet = Packet {
                fate,
                crossed: crossed.map(said),
                ..packet
            };
            let released = Released {
                packet,
                waited: now - waiting.since + (journal.ahead - waiting.ahead),
                by,
            };
            journal.tell(now, waiting.flow, EventKind::Released(released));
        }
    }

    /// Lets go of what waits of a flow that is given up: it is dropped.
    pub(crate) fn abandon(&mut self, journal: &mut Journal, now: Instant, flow: FlowId) {
        let of_flow =
            |(&id, waiting): (&PacketId, &Waiting)| (waiting.flow == Some(flow)).then_some(id);
        let ids: Vec<PacketId> = self.waiting.iter().filter_map(of_flow).collect();
        for id in ids {
            self.release(journal, now, id, Release::End, Outcome::Drop);
        }
    }

    /// Makes it whole after something was cut short: what waits has its bytes counted, and nothing is awaited that isn't there.
    pub(crate) fn mend(&mut self) {
        let Link {
            waiting,
            due,
            conditional,
            ..
        } = self;
        due.retain(|(_, id)| waiting.contains_key(id));
        conditional.retain(|id| waiting.contains_key(id));
        let bytes = waiting.values().map(|waiting| waiting.bytes.len());
        self.waiting_bytes = bytes.sum();
    }

    /// How many bytes wait.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// The bytes of a packet that waits, and what is left to a device.
    pub(crate) fn waiting(&self, id: PacketId) -> Option<(&[u8], Offload)> {
        let waiting = self.waiting.get(&id)?;
        Some((&waiting.bytes, waiting.offload))
    }

    /// The oldest packet that is held because everything is.
    pub(crate) fn first_stepped(&self) -> Option<PacketId> {
        let mut conditional = self.conditional.iter();
        let stepped = |id: &&PacketId| self.waiting.get(*id).is_some_and(|waiting| waiting.stepped);
        conditional.find(stepped).copied()
    }

    fn release_where(
        &mut self,
        journal: &mut Journal,
        now: Instant,
        mut goes: impl FnMut(&mut Waiting) -> bool,
    ) {
        if self.conditional.is_empty() {
            return;
        }
        let Link {
            waiting,
            conditional,
            ..
        } = self;
        let ids = conditional.iter().copied();
        let released: Vec<PacketId> = ids
            .filter(|id| waiting.get_mut(id).is_some_and(&mut goes))
            .collect();
        for id in released {
            self.release(journal, now, id, Release::Condition, Outcome::Pass);
        }
    }

    fn hand_over(&mut self, direction: Direction, id: PacketId, bytes: Vec<u8>, offload: Offload) {
        match direction {
            Direction::In => self.entering.push_back((id, bytes, offload.checksum)),
            Direction::Out => self.leaving.push_back((bytes, offload)),
        }
    }

    fn next_id(&mut self) -> PacketId {
        self.crossed += 1;
        PacketId(self.crossed)
    }
}

fn said(bytes: Vec<u8>) -> Box<Crossed> {
    Box::new(Crossed {
        described: describe(&bytes),
        bytes,
    })
}
