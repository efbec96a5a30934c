//! What is known of a connection when a segment arrives, and whether the segment is acceptable.
//!
//! ```text
//!   RCV.NXT                    edge            advertised
//!      │  text is taken         │   an ACK counts  │
//! ```
//!
//! The two edges are one but when smoltcp has not accounted for a window that was advertised.

#[cfg(test)]
mod tests;

use crate::event::Opening;
use crate::segment::{Flags, Segment, SeqNumber};
use crate::state::TcpState;
use smoltcp::time::Duration;

/// What is known of the connection when a segment arrives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) state: TcpState,
    pub(crate) opening: Opening,
    pub(crate) v6: bool,
    /// The MSS that we announce.
    pub(crate) own_mss: u16,
    /// How many numbers of ours are acknowledged, that of the SYN among them.
    pub(crate) acknowledged: u64,
    pub(crate) snd_una: SeqNumber,
    pub(crate) snd_nxt: SeqNumber,
    /// SND.WND in bytes, and as it stands in a header.
    pub(crate) snd_wnd: u32,
    pub(crate) snd_wnd_field: u16,
    pub(crate) irs: SeqNumber,
    pub(crate) rcv_nxt: SeqNumber,
    /// The right edge of our window as the peer knows it.
    pub(crate) advertised: SeqNumber,
    /// That up to which text is taken: no further than smoltcp has room for, as far as it knows itself.
    pub(crate) edge: SeqNumber,
    /// The shift count of our windows.
    pub(crate) scale: u8,
    /// Whether the peer's FIN has arrived.
    pub(crate) finished: bool,
    /// Bytes in the send buffer, in flight or waiting.
    pub(crate) queued: usize,
    /// Duplicate ACKs in a row.
    pub(crate) duplicates: u8,
    /// The retransmission timeout.
    pub(crate) rto: Duration,
}

impl Known {
    /// RFC 9293, section 3.4: RCV.NXT =< `number` < RCV.NXT+RCV.WND.
    pub(super) fn is_in_window(&self, number: SeqNumber) -> bool {
        number.since(self.rcv_nxt) < self.window()
    }

    pub(super) fn has_fin_alone_in_flight(&self) -> bool {
        let sent = matches!(
            self.state,
            TcpState::FinWait1 | TcpState::Closing | TcpState::LastAck
        );
        sent && self.queued == 0 && self.snd_nxt.since(self.snd_una) == 1
    }

    /// Whether a segment does nothing but open a window that was shut.
    pub(super) fn opens(&self, segment: &Segment) -> bool {
        self.snd_wnd_field == 0
            && segment.window > 0
            && segment.sequence_len() == 0
            && segment.ack == self.snd_una
            && self.queued > 0
    }

    /// Whether a segment does nothing but acknowledge, and is acceptable.
    pub(crate) fn is_bare(&self, segment: &Segment) -> bool {
        segment.sequence_len() == 0 && self.accepts(segment)
    }

    /// RCV.WND in bytes, as far as text is taken.
    pub(crate) fn window(&self) -> u32 {
        self.window_to(self.edge)
    }

    /// The window that the peer knows, as it stands in a header. Rounded up, as its right edge must not move left.
    pub(crate) fn advertised_field(&self) -> u16 {
        let field = self.window_to(self.advertised).div_ceil(1 << self.scale);
        u16::try_from(field).unwrap_or(u16::MAX)
    }

    fn window_to(&self, edge: SeqNumber) -> u32 {
        match edge.before(self.rcv_nxt) {
            true => 0,
            false => edge.since(self.rcv_nxt),
        }
    }

    /// The acknowledgment in a segment that is not acceptable, as a segment of its own that is, if the peer may well have
    /// sent it: one that has used up the window sends everything from its right edge, and with a window of zero every
    /// segment of data lies there. RFC 9293, section 3.10.7.4: "If the RCV.WND is zero, no segments will be acceptable, but
    /// special allowance should be made to accept valid ACKs".
    pub(crate) fn acknowledgment_in(&self, segment: &Segment) -> Option<Segment> {
        let offered = segment.seq.since(self.rcv_nxt) <= self.window_to(self.advertised);
        offered.then(|| Segment {
            seq: self.rcv_nxt,
            flags: Flags::ACK,
            payload: 0..0,
            ..segment.clone()
        })
    }

    /// What smoltcp answers with an acknowledgment, and makes nothing else of: a byte that it has had, or none, of which
    /// it answers one a second.
    pub(crate) fn old(&self, segment: &Segment) -> Segment {
        let text = &segment.payload;
        Segment {
            seq: self.rcv_nxt - 1,
            flags: Flags::ACK,
            payload: text.start..text.end.min(text.start + 1),
            ..segment.clone()
        }
    }

    /// RFC 9293, section 3.10.7.4, table 6.
    pub(crate) fn accepts(&self, segment: &Segment) -> bool {
        let len = segment.sequence_len();
        match (len, self.window()) {
            (0, 0) => segment.seq == self.rcv_nxt,
            (0, _) => self.is_in_window(segment.seq),
            // A FIN alone takes no room.
            (1, 0) if segment.payload.is_empty() => segment.seq == self.rcv_nxt,
            (_, 0) => false,
            _ => self.is_in_window(segment.seq) || self.is_in_window(segment.end() - 1),
        }
    }
}
