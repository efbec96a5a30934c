//! Knobs at work on what is not a connection yet: its socket, and its place in the backlog.

use super::{Engine, Flow, Shared};
use crate::event::{EventKind, FlowId};
use crate::fault::Knobs;
use crate::stack::socket::{Manner, Socket};
use crate::stack::table::FlowKey;
use smoltcp::time::{Duration, Instant};

/// How long smoltcp lets an acknowledgment wait unless it is told otherwise.
const ACK_DELAY: Duration = Duration::from_millis(10);

impl Engine {
    /// The knobs of the connection with these endpoints, which is about to begin.
    pub(super) fn knobs_of(&self, key: &FlowKey) -> Knobs {
        let Some(interference) = &self.shared.interference else {
            return Knobs::default();
        };
        let expected = self.map.get(key).map(|&place| &self.flows[place]);
        let flow = match expected {
            Some(Flow::Unheard(unheard)) => unheard.id,
            _ => FlowId(self.opened + 1),
        };
        interference.judge.knobs(flow, key.local, key.peer)
    }

    /// Whether the backlog has room for a connection with these endpoints. An address that a rule is about has one of its
    /// own, so that what goes wrong there stays there; all others share one.
    pub(super) fn has_room(&self, key: &FlowKey) -> bool {
        let backlog = self.knobs_of(key).backlog;
        let backlog = backlog.unwrap_or(self.shared.config.backlog);
        let address = key.local.ip();
        if !self.shared.interferes(Some(address)) {
            return self.half_open < backlog;
        }
        let waits_there = |flow: &Flow| match flow {
            Flow::Tcp(flow) => flow.is_half_open() && flow.key.local.ip() == address,
            _ => false,
        };
        let flows = self.flows.iter();
        flows.filter(|(_, flow)| waits_there(flow)).count() < backlog
    }
}

impl Shared {
    /// Says what is otherwise about a connection that begins.
    pub(super) fn tell_knobs(&mut self, now: Instant, flow: FlowId, knobs: &Knobs) {
        if *knobs != Knobs::default() {
            let note = EventKind::Note(format!("set{knobs}"));
            self.journal.tell(now, Some(flow), note);
        }
    }

    /// A closed socket as the options and `knobs` want it.
    pub(super) fn socket(&mut self, knobs: &Knobs) -> Socket {
        let mut socket = self.pool.take(knobs.buffer);
        // A socket that was used before may have been told otherwise.
        socket.behave(Manner {
            keep_alive: self.config.keep_alive,
            timestamps: self.config.timestamps,
            ack_delay: knobs.ack_delay.unwrap_or(ACK_DELAY),
            nagle: knobs.nagle.unwrap_or(true),
        });
        socket
    }
}
