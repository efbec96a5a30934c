//! TIME-WAIT without a socket.
//!
//! A connection that has nothing left to do but wait needs no buffers. smoltcp's own TIME-WAIT lasts ten
//! seconds whatever one wants, and keeps a whole socket. So once the last ACK has left, a connection becomes a
//! [`TimeWait`]: a few numbers that are enough to answer whatever still arrives.

#[cfg(test)]
mod tests;

use super::reply;
use super::stamps::Stamps;
use crate::segment::{Flags, Segment, SeqNumber};
use smoltcp::time::Instant;
use std::net::SocketAddr;

/// A connection in TIME-WAIT.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeWait {
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
    /// SND.NXT: the number after our FIN.
    pub(crate) snd_nxt: SeqNumber,
    /// RCV.NXT: the number after the peer's FIN.
    pub(crate) rcv_nxt: SeqNumber,
    /// The window as it last stood in a header of ours.
    pub(crate) window: u16,
    pub(crate) stamps: Stamps,
}

/// What a segment means to a connection in TIME-WAIT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing.
    Ignore,
    /// It is answered with this acknowledgment.
    Acknowledge(Vec<u8>),
    /// As [`Verdict::Acknowledge`], and the wait begins anew.
    AcknowledgeAndRestart(Vec<u8>),
    /// A new connection between the same endpoints may begin.
    Reopen,
    /// The wait is over.
    Close,
}

impl TimeWait {
    /// Judges a segment that arrived (RFC 9293, section 3.10.7.4, with what RFC 5961 and RFC 1122 changed).
    pub(crate) fn judge(&self, now: Instant, segment: &Segment) -> Verdict {
        if segment.flags.contains(Flags::RST) {
            // RFC 5961, section 3.2: only a reset with exactly RCV.NXT is believed, one inside the window is answered.
            return match segment.seq.since(self.rcv_nxt) {
                0 => Verdict::Close,
                ahead if ahead < u32::from(self.window) => {
                    Verdict::Acknowledge(self.acknowledgment(now))
                }
                _ => Verdict::Ignore,
            };
        }
        if segment.flags.contains(Flags::SYN) && segment.acknowledges().is_none() {
            // RFC 1122, section 4.2.2.13: TIME-WAIT "MAY accept a new SYN from the remote TCP to reopen the
            // connection directly", if its number is larger than the largest of the old incarnation; RFC 6191, section 2:
            // or its timestamp.
            if self.stamps.is_newer(segment)
                || self.rcv_nxt.before(segment.seq) && !self.stamps.rejects(now, segment)
            {
                return Verdict::Reopen;
            }
            return Verdict::Acknowledge(self.acknowledgment(now));
        }
        if segment.flags.contains(Flags::FIN) && segment.end() == self.rcv_nxt {
            // "The only thing that can arrive in this state is a retransmission of the remote FIN.
            // Acknowledge it, and restart the 2 MSL timeout."
            return Verdict::AcknowledgeAndRestart(self.acknowledgment(now));
        }
        if segment.sequence_len() > 0 || segment.seq != self.rcv_nxt {
            // "If an incoming segment is not acceptable, an acknowledgment should be sent in reply".
            return Verdict::Acknowledge(self.acknowledgment(now));
        }
        Verdict::Ignore
    }

    fn acknowledgment(&self, now: Instant) -> Vec<u8> {
        let numbers = (self.snd_nxt, self.rcv_nxt);
        let options = self.stamps.option(now);
        reply::acknowledgment(self.local, self.peer, numbers, self.window, options)
    }
}
