//! What a connection does with what its guard says.

use super::TcpFlow;
use crate::engine::Shared;
use crate::segment::Segment;
use crate::stack::guard::{Known, Verdict};
use crate::stack::{iss, reply};
use crate::state::TcpState;
use smoltcp::time::Instant;

impl TcpFlow {
    pub(super) fn known(&self, state: TcpState, received: u64, finished: bool) -> Known {
        let opening = self.endpoint.borrow().handshake.opening;
        let v6 = self.key.local.is_ipv6();
        self.account.known(state, opening, v6, received, finished)
    }

    /// Answers a segment that smoltcp does not get to see.
    pub(super) fn answer(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        verdict: &Verdict,
        known: &Known,
    ) {
        match verdict {
            Verdict::Challenge => {
                let window = u16::try_from(known.window() >> known.scale).unwrap_or(u16::MAX);
                let (local, peer) = (self.key.local, self.key.peer);
                let (seq, ack) = (known.snd_nxt, known.rcv_nxt);
                let challenge = reply::acknowledgment(local, peer, seq, ack, window);
                shared.send(now, Some(self.id), challenge);
            }
            Verdict::SynAckAgain => self.send_early(shared, now),
            _ => {}
        }
    }

    /// Lets smoltcp send again at once what it would send again when its timer goes off.
    fn send_early(&mut self, shared: &mut Shared, now: Instant) {
        let mut room = std::mem::take(&mut shared.room);
        let due = shared.tcp.poll_at(now, &self.endpoint.borrow().sockets);
        let len = due.and_then(|due| {
            let sockets = &mut self.endpoint.borrow_mut().sockets;
            shared.tcp.egress(due.max(now), sockets, &mut room)
        });
        if let Some(len) = len {
            self.depart(shared, now, &mut room[..len]);
            shared.link.keep(room[..len].to_vec());
        }
        shared.room = room;
    }

    /// Lets smoltcp have a FIN that came before the data which it follows, once that is there.
    pub(super) fn take_early_fin(&mut self, shared: &mut Shared, now: Instant, segment: &Segment) {
        if !self.guard.holds_fin() {
            return;
        }
        let (received, finished) = self.endpoint.borrow_mut().received();
        let known = self.known(self.state(), received, finished);
        let Some(fin) = self.guard.due(segment, known.rcv_nxt) else {
            return;
        };
        let mut packet = reply::segment(self.key.peer, self.key.local, &fin, &[]);
        iss::translate_in(&mut packet, self.shift.unwrap_or(0));
        let sockets = &mut self.endpoint.borrow_mut().sockets;
        // smoltcp acknowledges a FIN when it is its turn to send; the room for an answer has one already.
        let mut room = vec![0; shared.config.mtu];
        shared.tcp.ingress(now, &packet, sockets, &mut room);
        self.account.arrived(now, &fin, received, finished);
    }
}
