//! Events folded into what people ask of a connection: who, how it opened and closed, how much, how long.
//!
//! A [`View`] is fed every [`Event`] in order and keeps one [`Flow`] for each connection and each exchange of
//! datagrams. What it says of our own end is *read* from the events; what it says of the peer's state is
//! *inferred* ([`InferredPeer`]) or, where there is somebody to ask, *asked* (`Flow::asked`). It shows nothing itself: sinks and user interfaces read it.
//!
//! It never grows without bound: of the flows that are over it keeps the newest [`FINISHED_KEPT`], and adds up
//! all of them in [`Totals`].

mod flow;
mod peer;

#[cfg(test)]
pub(crate) mod script;

pub use flow::{By, Ending, Flow, Means, Traffic};
pub use peer::{Basis, InferredPeer};

use crate::event::{
    Direction, Event, EventKind, Fate, FlowId, Limit, Packet, Released, RuleId, Transport,
};
use crate::segment::Origin;
use smoltcp::time::Instant;
use std::collections::{BTreeMap, VecDeque};

/// How many flows that are over stay in a [`View`].
pub const FINISHED_KEPT: usize = 10_000;

/// All that happened so far, flow by flow.
#[derive(Clone, Debug)]
pub struct View {
    flows: BTreeMap<FlowId, Box<Flow>>,
    /// The flows that are over, in the order in which they ended.
    finished: VecDeque<FlowId>,
    totals: Totals,
    strays: Strays,
    /// About how many packets each rule has decided.
    decided: BTreeMap<RuleId, u64>,
    limited: BTreeMap<Limit, u64>,
    defects: u64,
    now: Instant,
    ours: Ours,
}

/// From where the state of our end, the right one on ladders, is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ours {
    /// It is tcplab's own, and read.
    Read,
    /// It is the server's in a capture that somebody has made, and inferred as the peer's is.
    Inferred,
}

/// Sums over all flows, those included that a [`View`] has forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Connections of TCP.
    pub connections: u64,
    /// Exchanges of UDP datagrams.
    pub exchanges: u64,
    /// Flows that are over but no longer in the view.
    pub forgotten: u64,
    /// From the peers to us.
    pub received: Traffic,
    /// From us to the peers.
    pub sent: Traffic,
}

/// The packets that belong to no flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strays {
    /// Those that the stack took: pings, segments for closed ports.
    pub received: u64,
    /// Those that we sent: answers to pings, RSTs.
    pub sent: u64,
    /// Those that were discarded, counted by reason.
    pub discarded: BTreeMap<&'static str, u64>,
}

impl View {
    /// A view of nothing yet.
    pub fn new() -> View {
        View {
            flows: BTreeMap::new(),
            finished: VecDeque::new(),
            totals: Totals::default(),
            strays: Strays::default(),
            decided: BTreeMap::new(),
            limited: BTreeMap::new(),
            defects: 0,
            now: Instant::ZERO,
            ours: Ours::Read,
        }
    }

    /// A view of nothing yet, whose events were told by what observed a capture.
    pub fn of_capture() -> View {
        View {
            ours: Ours::Inferred,
            ..View::new()
        }
    }

    /// Takes the next event into account. Sinks that read this view are fed the same event afterwards.
    pub fn event(&mut self, event: &Event) {
        self.now = self.now.max(event.at);
        if let EventKind::Packet(packet) = &event.kind
            && let Some(rule) = packet.fate.rule()
        {
            *self.decided.entry(rule).or_default() += 1;
        }
        if let EventKind::Limited(limit, count) = event.kind {
            *self.limited.entry(limit).or_default() += count;
        }
        if let EventKind::Defect(_) = event.kind {
            self.defects += 1;
        }
        let Some(id) = event.flow else {
            if let EventKind::Packet(packet) = &event.kind {
                self.strays.packet(packet);
            }
            return;
        };
        if let EventKind::Opened(opened) = &event.kind {
            match opened.transport {
                Transport::Tcp => self.totals.connections += 1,
                Transport::Udp => self.totals.exchanges += 1,
            }
            let flow = Flow::new(id, event.at, opened, self.ours);
            self.flows.insert(id, Box::new(flow));
            return;
        }
        let Some(flow) = self.flows.get_mut(&id) else {
            return;
        };
        match &event.kind {
            EventKind::Packet(packet) => {
                *self.totals.traffic_mut(packet.direction) += flow.packet(event.at, packet);
            }
            EventKind::Transition(transition) => flow.transition(event.at, transition),
            EventKind::Closed(closed) => {
                flow.closed(event.at, closed);
                self.finished.push_back(id);
                if self.finished.len() > FINISHED_KEPT
                    && let Some(oldest) = self.finished.pop_front()
                {
                    self.flows.remove(&oldest);
                    self.totals.forgotten += 1;
                }
            }
            EventKind::Released(Released { packet, .. }) => {
                *self.totals.traffic_mut(packet.direction) += flow.released(packet);
            }
            EventKind::Asked(asked) => flow.asked(*asked),
            EventKind::Opened(_)
            | EventKind::Note(_)
            | EventKind::Limited(..)
            | EventKind::Defect(_) => {}
        }
    }

    /// Takes into account that it is `now`, and nothing has happened since the newest event.
    pub fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// The time of the newest event, or a later one if [`advance`](View::advance) told it.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Whether no packet has been seen at all, and no flow.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty() && self.strays == Strays::default()
    }

    /// One flow, unless it is unknown or forgotten.
    pub fn flow(&self, id: FlowId) -> Option<&Flow> {
        self.flows.get(&id).map(Box::as_ref)
    }

    /// The flows in the order in which they began.
    pub fn flows(&self) -> impl ExactSizeIterator<Item = &Flow> {
        self.flows.values().map(Box::as_ref)
    }

    /// Sums over all flows.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The limits that were reached, and how often.
    pub fn limited(&self) -> impl Iterator<Item = (Limit, u64)> {
        self.limited.iter().map(|(limit, count)| (*limit, *count))
    }

    /// How many defects have shown.
    pub fn defects(&self) -> u64 {
        self.defects
    }

    /// About how many packets a rule has decided; [`RuleId::HAND`] is whoever steps.
    pub fn decided(&self, rule: RuleId) -> u64 {
        self.decided.get(&rule).copied().unwrap_or(0)
    }

    /// The packets that belong to no flow.
    pub fn strays(&self) -> &Strays {
        &self.strays
    }

    /// From where the relative sequence numbers of the packets of `flow` count that go in `direction`.
    pub fn origin(&self, flow: Option<FlowId>, direction: Direction) -> Origin {
        let Some(flow) = flow.and_then(|id| self.flow(id)) else {
            return Origin::default();
        };
        match direction {
            Direction::In => Origin {
                seq: flow.irs,
                ack: flow.iss,
            },
            Direction::Out => Origin {
                seq: flow.iss,
                ack: flow.irs,
            },
        }
    }
}

impl Default for View {
    fn default() -> View {
        View::new()
    }
}

impl Totals {
    fn traffic_mut(&mut self, direction: Direction) -> &mut Traffic {
        match direction {
            Direction::In => &mut self.received,
            Direction::Out => &mut self.sent,
        }
    }
}

impl Strays {
    fn packet(&mut self, packet: &Packet) {
        match (&packet.fate, packet.direction) {
            (Fate::Discarded(why), _) => *self.discarded.entry(why.reason()).or_default() += 1,
            (_, Direction::In) => self.received += 1,
            (_, Direction::Out) => self.sent += 1,
        }
    }
}

#[cfg(test)]
mod tests;
