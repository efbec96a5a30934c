//! Several holes filled in a round trip (RFC 6675, section 5, step (C)).
//!
//! ```text
//!   SND.UNA                                                    SND.NXT
//!      │ lost │▒▒▒▒▒▒│ lost │▒▒▒▒│ lost │▒▒▒▒▒▒▒▒▒▒│  in flight
//!         │             └───────────└── from the copy, as far as the pipe has room
//!         └── by smoltcp
//! ```
//!
//! smoltcp sends nothing again but what begins at SND.UNA, and shows nobody its send buffer. So where a round trip takes
//! long, what is in flight is copied when it leaves. Where it does not, a hole for each is soon enough, and nothing is copied:
//! what is in flight changes so fast only there that this would cost something.

#[cfg(test)]
mod tests;

use super::TcpFlow;
use crate::engine::Shared;
use crate::segment::{Flags, Segment, SeqNumber};
use crate::stack::reply;
use smoltcp::time::{Duration, Instant};
use std::collections::VecDeque;

/// A round trip that takes long.
const LONG: Duration = Duration::from_millis(10);

/// A copy of what is in flight, or of its last part.
#[derive(Debug, Default)]
pub(super) struct Kept {
    first: SeqNumber,
    bytes: VecDeque<u8>,
}

impl Kept {
    /// Data leaves, new or once more.
    fn sent(&mut self, seq: SeqNumber, data: &[u8]) {
        // What comes before the copy is not put there later on.
        let (at, copied) = match seq.before(self.first) {
            true => (0, data.get(self.first.since(seq) as usize..)),
            false => (seq.since(self.first) as usize, Some(data)),
        };
        let missing = self.bytes.len().checked_sub(at);
        let Some(missing) = missing.filter(|_| !self.bytes.is_empty()) else {
            // What lies between has left uncopied.
            self.bytes.clear();
            self.bytes.extend(data);
            self.first = seq;
            return;
        };
        // Of what comes again, the copy is there.
        if let Some(new) = copied.and_then(|copied| copied.get(missing..)) {
            self.bytes.extend(new);
        }
    }

    /// All before `una` is acknowledged.
    pub(super) fn acknowledged(&mut self, una: SeqNumber) {
        if self.bytes.is_empty() || una.before(self.first) {
            return;
        }
        let taken = una.since(self.first) as usize;
        if taken >= self.bytes.len() {
            // A connection that is idle needs no room.
            *self = Kept::default();
            return;
        }
        self.bytes.drain(..taken);
        self.first = una;
    }

    /// Whether everything from `una` on is there.
    fn begins_at(&self, una: SeqNumber) -> bool {
        !self.bytes.is_empty() && self.first == una
    }

    fn copy(&self, seq: SeqNumber, len: u32) -> Option<Vec<u8>> {
        let from = seq.since(self.first) as usize;
        let end = from.checked_add(len as usize)?;
        let whole = end <= self.bytes.len();
        whole.then(|| self.bytes.range(from..end).copied().collect())
    }
}

impl TcpFlow {
    /// A segment leaves that may have to be sent again.
    pub(super) fn keep(&mut self, seq: SeqNumber, data: &[u8]) {
        let far = self.tcb.rtt.smoothed().is_some_and(|rtt| rtt >= LONG);
        match far && self.tcb.permits_sack() {
            true if !data.is_empty() => self.kept.sent(seq, data),
            true => {}
            false => self.kept = Kept::default(),
        }
    }

    /// Sends again what is lost as far as the pipe has room, where an acknowledgment has just told more of it. Returns whether
    /// anything was.
    pub(super) fn fill_holes(&mut self, shared: &mut Shared, now: Instant) -> bool {
        if !self.tcb.recovery.take_news() || !self.kept.begins_at(self.tcb.snd.una) {
            return false;
        }
        let lost = self.tcb.fill();
        for &(seq, len) in &lost {
            if let Some(data) = self.kept.copy(seq, len) {
                self.fill(shared, now, seq, &data);
            }
        }
        !lost.is_empty()
    }

    fn fill(&mut self, shared: &mut Shared, now: Instant, seq: SeqNumber, data: &[u8]) {
        let (local, peer) = (self.key.local, self.key.peer);
        let (_, ack, window) = self.tcb.end();
        let again = Segment {
            src_port: local.port(),
            dst_port: peer.port(),
            seq,
            ack,
            flags: Flags::ACK,
            window,
            urgent: 0,
            options: self.tcb.stamps().option(now),
            payload: 0..0,
            checksum_ok: true,
        };
        let mut packet = reply::segment(local, peer, &again, data);
        if let Some(transmit) = self.depart_as(shared, now, &mut packet, true) {
            shared.link.keep(packet, transmit.offload);
        }
    }
}
