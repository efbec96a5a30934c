//! Knobs at work on what is not a connection yet: its socket, and its place in the backlog.

use super::{Engine, Flow, Shared};
use crate::event::{EventKind, FlowId};
use crate::fault::Knobs;
use crate::stack::pool::Pooled;
use crate::stack::stamps;
use crate::stack::table::FlowKey;
use smoltcp::socket::tcp;
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
    pub(super) fn socket(&mut self, knobs: &Knobs) -> Pooled {
        let mut pooled = self.pool.take(knobs.buffer);
        let socket = pooled.sockets.get_mut::<tcp::Socket>(pooled.handle);
        socket.set_keep_alive(self.config.keep_alive);
        let stamps = self
            .config
            .timestamps
            .then_some(stamps::nothing as fn() -> u32);
        socket.set_tsval_generator(stamps);
        // A socket that was used before may have been told otherwise.
        let ack_delay = knobs.ack_delay.unwrap_or(ACK_DELAY);
        socket.set_ack_delay(Some(ack_delay).filter(|&delay| delay > Duration::ZERO));
        socket.set_nagle_enabled(knobs.nagle.unwrap_or(true));
        pooled
    }
}
