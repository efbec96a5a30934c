//! Stepping by hand: what waits in the link, and what whoever steps says about it.
//!
//! ```text
//!   Event ──▶ Waiting: 2 out S. 0:0(0) ack 1     "d 2" ──▶ Order ──▶ Command ──▶ Engine
//!                      3 in  S 0:0(0)
//! ```
//!
//! Here is neither terminal nor key: the command line and the live screen bring those.

mod order;

pub use order::{NoOrder, Order};

use crate::event::{Direction, Event, EventKind, Fate, FlowId, Packet, PacketId};
use crate::segment::{Flags, Segment, SeqNumber};
use crate::state::TcpState;
use crate::view::View;
use smoltcp::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet};

/// The packets that wait until somebody lets them go on, the oldest first, and those that are sent again because their answer
/// waits.
#[derive(Clone, Debug, Default)]
pub struct Waiting {
    packets: BTreeMap<PacketId, Waits>,
    repeated: BTreeMap<PacketId, Waits>,
    newest: Option<PacketId>,
    /// What the peers' kernels have said last of the flows that go on.
    peers: BTreeMap<FlowId, TcpState>,
    gave_up: BTreeSet<FlowId>,
}

/// A packet that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waits {
    /// The flow to which it belongs, or will belong if it gets through.
    pub flow: Option<FlowId>,
    /// Which way it goes.
    pub direction: Direction,
    /// What it says, in packetdrill's notation.
    pub notation: String,
    /// The same without window and options.
    pub short: String,
    /// Whether a part of it was sent before.
    pub retransmission: bool,
    /// What was [folded](Fate::Folded) into it.
    pub copies: Folded,
    is_reset: bool,
    /// The first sequence number after it.
    end: Option<SeqNumber>,
}

/// The copies of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// How many there were.
    pub count: u32,
    /// When the newest has come.
    pub last: Option<Instant>,
}

impl Folded {
    /// Counts one more.
    pub fn add(&mut self, at: Instant) {
        self.count += 1;
        self.last = Some(at);
    }

    /// How often the packet was sent, and how long ago it was last sent again; `None` where it never was.
    pub fn age(&self, now: Instant) -> Option<(u32, Duration)> {
        let last = self.last?;
        Some((self.count + 1, now.max(last) - last))
    }
}

impl Waiting {
    /// Takes in an event, with which `view` was fed before. Answers with the flow of which the peer's kernel has just given up its
    /// end, if it has.
    pub fn event(&mut self, view: &View, event: &Event) -> Option<FlowId> {
        match &event.kind {
            EventKind::Packet(packet) => {
                self.newest = Some(packet.id);
                match packet.fate {
                    Fate::Held(_) => {
                        let waits = Waits::new(view, event.flow, packet);
                        self.packets.insert(packet.id, waits);
                    }
                    Fate::Folded(original) => {
                        let new = || Waits::new(view, event.flow, packet);
                        let waits = self.packets.get_mut(&original);
                        let waits = waits
                            .unwrap_or_else(|| self.repeated.entry(original).or_insert_with(new));
                        waits.copies.add(event.at);
                    }
                    _ => self.answered(event.flow, packet),
                }
            }
            EventKind::Released(released) => {
                let packet = &released.packet;
                if let Some(waits) = self.packets.remove(&packet.id)
                    && packet.fate.crossings() > 0
                    && waits.copies.count > 0
                {
                    self.repeated.insert(packet.id, waits);
                }
                self.answered(event.flow, packet);
            }
            EventKind::Asked(peer) => {
                let flow = event.flow?;
                let before = self.peers.insert(flow, peer.state);
                let gave_up = peer.state == TcpState::Closed
                    && before.is_some_and(|before| self.needs(flow, before));
                return (gave_up && self.gave_up.insert(flow)).then_some(flow);
            }
            EventKind::Closed(_) => {
                let flow = event.flow?;
                self.repeated.retain(|_, waits| waits.flow != Some(flow));
                self.peers.remove(&flow);
                self.gave_up.remove(&flow);
            }
            _ => {}
        }
        None
    }

    /// Whether the peer's kernel has given up its end of this flow though something of it waits.
    pub fn has_given_up(&self, flow: FlowId) -> bool {
        self.gave_up.contains(&flow)
    }

    /// Whether the peer of a flow, which was in this state, is left with less than it needs by what waits.
    fn needs(&self, flow: FlowId, state: TcpState) -> bool {
        let mut waiting = self
            .packets
            .values()
            .filter(|waits| waits.flow == Some(flow));
        match state {
            // It was never there, or it is through.
            TcpState::Closed | TcpState::Listen | TcpState::TimeWait => false,
            TcpState::LastAck => waiting.any(|waits| waits.direction == Direction::Out),
            _ => {
                let resets = |waits: &Waits| waits.is_reset;
                waiting.clone().next().is_some() && !waiting.any(resets)
            }
        }
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// The one that has waited longest.
    pub fn oldest(&self) -> Option<PacketId> {
        self.packets.keys().next().copied()
    }

    /// All of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (PacketId, &Waits)> {
        self.packets.iter().map(|(id, waits)| (*id, waits))
    }

    /// Those that have gone on, and were sent again as their answer has not gone on yet.
    pub fn repeated(&self) -> impl ExactSizeIterator<Item = (PacketId, &Waits)> {
        self.repeated.iter().map(|(id, waits)| (*id, waits))
    }

    /// Whether this one waits.
    pub fn contains(&self, id: PacketId) -> bool {
        self.packets.contains_key(&id)
    }

    /// Whether this one may yet come: it has a number that no packet has had so far.
    pub fn may_come(&self, id: PacketId) -> bool {
        self.newest.is_none_or(|newest| newest < id)
    }

    /// A packet has gone on, or was dropped: what the other end sends again is over, or is news.
    fn answered(&mut self, flow: Option<FlowId>, packet: &Packet) {
        let Some(segment) = packet.described.tcp() else {
            return;
        };
        let ack = segment.acknowledges();
        self.repeated.retain(|_, waits| {
            waits.flow != flow
                || waits.direction == packet.direction
                || !waits
                    .end
                    .zip(ack)
                    .is_none_or(|(end, ack)| end.at_or_before(ack))
        });
    }
}

impl Waits {
    fn new(view: &View, flow: Option<FlowId>, packet: &Packet) -> Waits {
        let notation = packet
            .described
            .notation(view.origin(flow, packet.direction));
        let segment = packet.described.tcp();
        Waits {
            flow,
            direction: packet.direction,
            short: format!("{notation:#}"),
            notation: notation.to_string(),
            retransmission: packet.retransmission,
            copies: Folded::default(),
            is_reset: segment.is_some_and(|segment| segment.flags.contains(Flags::RST)),
            end: segment.map(Segment::end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Release, RuleId};
    use crate::view::script::Script;

    #[test]
    fn what_waits_is_known_until_it_is_released() {
        let mut script = Script::new();
        script.passive().get("S", 0, None, b"");
        script.fate(Fate::Held(RuleId::HAND));
        script.get("S", 0, None, b"").again();
        script.fate(Fate::Held(RuleId(1)));
        script.get("S", 0, None, b"").again();
        script.fate(Fate::Dropped(RuleId(2)));
        script.released(1, Fate::Delivered, Release::Hand);
        let (mut view, mut waiting) = (View::new(), Waiting::default());
        for event in &script.events {
            view.event(event);
            waiting.event(&view, event);
        }
        assert_eq!(waiting.oldest(), Some(PacketId(2)));
        let all: Vec<_> = waiting.iter().collect();
        assert_eq!(all.len(), 1);
        assert!(all[0].1.retransmission);
        assert!(all[0].1.notation.starts_with("S 0:0(0)"), "{all:?}");
        assert!(!waiting.contains(PacketId(1)));
        assert!(!waiting.may_come(PacketId(3)) && waiting.may_come(PacketId(4)));
    }
}
