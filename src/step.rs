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
        assert_eq!(all[0].1.copies.age(Instant::from_secs(1)), None);
        assert!(all[0].1.notation.starts_with("S 0:0(0)"), "{all:?}");
        assert!(!waiting.contains(PacketId(1)));
        assert!(!waiting.may_come(PacketId(3)) && waiting.may_come(PacketId(4)));
    }

    /// What is known once these events have happened, and of which flows the peer's kernel has given up.
    fn known(script: &Script) -> (Waiting, Vec<FlowId>) {
        let (mut view, mut waiting) = (View::new(), Waiting::default());
        let mut gave_up = Vec::new();
        for event in &script.events {
            view.event(event);
            gave_up.extend(waiting.event(&view, event));
        }
        (waiting, gave_up)
    }

    #[test]
    fn copies_are_counted_until_the_answer_goes_on() {
        let mut script = Script::new();
        let folded = |script: &mut Script, id| {
            script.wait(1_000_000).get("S", 0, None, b"").again();
            script.fate(Fate::Folded(PacketId(id)));
        };
        script.passive().get("S", 0, None, b"");
        script.fate(Fate::Held(RuleId::HAND));
        folded(&mut script, 1);
        folded(&mut script, 1);
        let (waiting, _) = known(&script);
        let (_, syn) = waiting.iter().next().unwrap();
        let later = script.events.last().unwrap().at + Duration::from_secs(3);
        assert_eq!(syn.copies.age(later), Some((3, Duration::from_secs(3))));
        assert_eq!(waiting.repeated().len(), 0);

        script.released(1, Fate::Delivered, Release::Hand);
        script.put("S", 0, Some(1), b"");
        script.fate(Fate::Held(RuleId::HAND));
        folded(&mut script, 1);
        let (waiting, _) = known(&script);
        let (id, syn) = waiting.repeated().next().unwrap();
        assert_eq!((id, syn.copies.count), (PacketId(1), 3));
        assert_eq!(waiting.oldest(), Some(PacketId(4)));

        script.released(4, Fate::Delivered, Release::Hand);
        assert_eq!(known(&script).0.repeated().len(), 0);
    }

    #[test]
    fn a_kernel_that_lacks_what_waits_has_given_up() {
        use TcpState::{Closed, FinWait2, LastAck, SynSent, TimeWait};
        let held = |direction: Direction, flags: &str, states: [TcpState; 2]| {
            let mut script = Script::new();
            script.passive();
            match direction {
                Direction::In => script.get(flags, 0, None, b""),
                Direction::Out => script.put(flags, 0, None, b""),
            };
            script.fate(Fate::Held(RuleId::HAND));
            script.asked(states[0]).asked(states[1]).asked(states[1]);
            !known(&script).1.is_empty()
        };
        assert!(held(Direction::In, "S", [SynSent, Closed]));
        assert!(held(Direction::Out, "F", [FinWait2, Closed]));
        assert!(held(Direction::Out, "", [LastAck, Closed]));
        // It is there, it was reset, or it is through.
        assert!(!held(Direction::In, "S", [SynSent, SynSent]));
        assert!(!held(Direction::In, "R", [SynSent, Closed]));
        assert!(!held(Direction::In, "", [LastAck, Closed]));
        assert!(!held(Direction::In, "", [TimeWait, Closed]));
        let mut script = Script::new();
        script.passive().asked(SynSent).asked(Closed);
        assert!(known(&script).1.is_empty(), "nothing waits");
    }
}
