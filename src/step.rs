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
use crate::view::View;
use std::collections::BTreeMap;

/// The packets that wait until somebody lets them go on, the oldest first.
#[derive(Clone, Debug, Default)]
pub struct Waiting {
    packets: BTreeMap<PacketId, Waits>,
    newest: Option<PacketId>,
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
}

impl Waiting {
    /// Takes in an event, with which `view` was fed before.
    pub fn event(&mut self, view: &View, event: &Event) {
        match &event.kind {
            EventKind::Packet(packet) => {
                self.newest = Some(packet.id);
                if let Fate::Held(_) = packet.fate {
                    let waits = Waits::new(view, event.flow, packet);
                    self.packets.insert(packet.id, waits);
                }
            }
            EventKind::Released(released) => {
                self.packets.remove(&released.packet.id);
            }
            _ => {}
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

    /// Whether this one waits.
    pub fn contains(&self, id: PacketId) -> bool {
        self.packets.contains_key(&id)
    }

    /// Whether this one may yet come: it has a number that no packet has had so far.
    pub fn may_come(&self, id: PacketId) -> bool {
        self.newest.is_none_or(|newest| newest < id)
    }
}

impl Waits {
    fn new(view: &View, flow: Option<FlowId>, packet: &Packet) -> Waits {
        let notation = packet
            .described
            .notation(view.origin(flow, packet.direction));
        Waits {
            flow,
            direction: packet.direction,
            short: format!("{notation:#}"),
            notation: notation.to_string(),
            retransmission: packet.retransmission,
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
