//! Knobs at work on a connection: when its end closes, and what becomes of its program's calls.

use super::{Stage, TcpFlow};
use crate::event::UserCall;
use crate::fault::{Closing, Knobs, Reading, Writing};
use crate::service::connection::{Closes, Drips, Reads};
use crate::state::TcpState;
use smoltcp::time::Instant;

impl TcpFlow {
    /// Turns the knobs of a connection that begins. Those of its socket and its first sequence number were turned before.
    pub(in crate::engine) fn turn(&mut self, knobs: &Knobs) {
        self.tcb.deadlines.set_time_wait(knobs.time_wait);
        self.syn_ack_retry = knobs.syn_ack_retry;
        let conduct = &mut self.endpoint.borrow_mut().conduct;
        match knobs.closing {
            Some(Closing::Never) => conduct.closes = Closes::Never,
            Some(Closing::Reset) => conduct.closes = Closes::Abruptly,
            by_itself => self.closing = by_itself,
        }
        match knobs.reading {
            Some(Reading::Never) => conduct.reads = Reads::Never,
            Some(Reading::After(pause)) => self.reads_after = Some(pause),
            None => {}
        }
        conduct.drips = knobs.writing.map(|Writing { bytes, pause }| Drips {
            bytes: bytes.max(1),
            pause,
            next: Instant::ZERO,
        });
    }

    /// The connection is established.
    pub(super) fn begin_conduct(&mut self, now: Instant) {
        if let Some(pause) = self.reads_after {
            self.endpoint.borrow_mut().conduct.reads = Reads::From(now + pause);
        }
    }

    /// CLOSE without the program's wish, where it is time for that.
    pub(super) fn closes_by_itself(&mut self) -> bool {
        match self.closing {
            Some(Closing::AtOnce) if self.state().is_synchronized() => {
                self.half_open = false;
                self.program = Stage::Over(None);
            }
            Some(Closing::First) if self.tcb.snd.has_sent_data() => {
                let mut endpoint = self.endpoint.borrow_mut();
                endpoint.conduct.is_written = true;
                // The FIN gets a segment of its own.
                if (self.tcb.snd.in_flight() as usize) < endpoint.socket.queued() {
                    return false;
                }
            }
            Some(Closing::WithData) if self.has_begun_to_write() => {
                self.endpoint.borrow_mut().conduct.is_written = true;
            }
            _ => return false,
        }
        self.closing = None;
        self.endpoint.borrow_mut().call(UserCall::Close);
        true
    }

    /// Whether the service has written something, which has left or waits in the send buffer.
    fn has_begun_to_write(&self) -> bool {
        self.tcb.snd.has_sent_data() || self.endpoint.borrow().socket.queued() > 0
    }

    /// When our SYN-ACK may be retransmitted at the earliest though no SYN asks for it.
    pub(super) fn syn_ack_waits_until(&self) -> Option<Instant> {
        let opening = self.state() == TcpState::SynReceived;
        Some(self.syn_ack_at.filter(|_| opening)? + self.syn_ack_retry?)
    }

    /// When what has arrived for a program that is over will be thrown away.
    pub(super) fn orphan_reads_at(&self, now: Instant) -> Option<Instant> {
        match self.endpoint.borrow().conduct.reads {
            Reads::From(at) if at > now => Some(at),
            _ => None,
        }
    }
}
