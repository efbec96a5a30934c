//! The send sequence variables (RFC 9293, section 3.3.1).
//!
//! ```text
//!   SND.UNA       socket_nxt       max   SND.NXT      SND.UNA + SND.WND
//!      │ in flight     │ sent before │ probe │               │
//! ```
//!
//! smoltcp goes back to SND.UNA when its retransmission timer goes off, and does not count the byte with which it probes a shut
//! window; the three are one otherwise.

use crate::event::Resend;
use crate::segment::{Segment, SeqNumber};

/// What is known of our direction, in the numbers of the wire.
#[derive(Clone, Debug)]
pub(crate) struct Snd {
    /// Our initial sequence number.
    pub(super) iss: SeqNumber,
    /// SND.UNA.
    pub(crate) una: SeqNumber,
    /// How many numbers are acknowledged: where SND.UNA is, without wrapping.
    pub(super) acknowledged: u64,
    /// SND.NXT at its highest, with the byte that probes a shut window.
    pub(crate) nxt: SeqNumber,
    /// The same without that byte.
    pub(super) max: SeqNumber,
    /// The next number that smoltcp sends.
    pub(crate) socket_nxt: SeqNumber,
    /// SND.WND in bytes.
    pub(crate) wnd: u32,
    /// SND.WL1 and SND.WL2: the segment that brought the window in force.
    pub(super) updated_by: Option<(SeqNumber, SeqNumber)>,
    /// MAX.SND.WND of RFC 5961, section 5.2.
    pub(super) max_wnd: u32,
    /// The shift count of the peer's windows, as offered.
    pub(super) scale: Option<u8>,
    /// Eff.snd.MSS of RFC 9293, section 3.7.1.
    pub(super) mss: u16,
    pub(super) duplicates: Duplicates,
    /// How many segments were sent again so far.
    pub(super) resent: u32,
    /// Timeouts since something was acknowledged.
    pub(crate) unanswered: u8,
}

/// Duplicate ACKs in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Duplicates {
    /// Those that the peer has sent while something is in flight.
    pub(super) heard: u8,
    /// How many more of them smoltcp has been made to count.
    pub(super) pretended: u8,
    /// What is sent again next is due to that, and not to a timeout.
    pub(super) fast: Option<Resend>,
    /// Those that smoltcp has no answer to: of our FIN alone in flight, or in LAST-ACK.
    pub(super) unanswerable: u8,
}

impl Duplicates {
    /// As smoltcp has counted them.
    pub(super) fn counted(self) -> u8 {
        self.heard.saturating_add(self.pretended)
    }
}

impl Snd {
    pub(super) fn new(iss: SeqNumber) -> Snd {
        Snd {
            iss,
            una: iss,
            acknowledged: 0,
            nxt: iss,
            max: iss,
            socket_nxt: iss,
            wnd: 0,
            updated_by: None,
            max_wnd: 0,
            scale: None,
            mss: 0,
            duplicates: Duplicates::default(),
            resent: 0,
            unanswered: 0,
        }
    }

    /// Whether a number of ours has left and is not acknowledged.
    pub(crate) fn is_in_flight(&self, seq: SeqNumber) -> bool {
        seq.since(self.una) < self.nxt.since(self.una)
    }

    /// How many numbers have left and are not acknowledged, but for a probe.
    pub(crate) fn in_flight(&self) -> u32 {
        self.max.since(self.una)
    }

    /// Bytes and FIN in flight as smoltcp counts them.
    pub(crate) fn socket_flight(&self) -> u32 {
        self.socket_nxt.since(self.una)
    }

    /// Makes it three duplicate ACKs, so that the first segment in flight is sent again next; how many are missing.
    pub(crate) fn pretend_duplicates(&mut self) -> u8 {
        let missing = 3u8.saturating_sub(self.duplicates.counted());
        self.duplicates.pretended += missing;
        if missing > 0 {
            self.duplicates.fast = Some(Resend::Gap);
        }
        missing
    }

    /// Whether a segment of smoltcp's that begins here is the first after a retransmission timeout.
    pub(crate) fn is_timeout(&self, seq: SeqNumber) -> bool {
        seq == self.una && seq.before(self.socket_nxt) && self.duplicates.fast.is_none()
    }

    /// SND.NXT, where smoltcp has gone back behind it.
    pub(crate) fn gone_back_from(&self) -> Option<SeqNumber> {
        (self.socket_nxt != self.max).then_some(self.max)
    }

    /// smoltcp has sent what comes before `end`, and it did not leave.
    pub(crate) fn passed_over(&mut self, end: SeqNumber) {
        self.socket_nxt = self.socket_nxt.max(end);
    }

    /// Whether anything was sent again, or the peer has asked for that.
    pub(crate) fn has_seen_trouble(&self) -> bool {
        self.resent > 0 || self.duplicates.heard > 0
    }

    /// Whether data of ours has left.
    pub(crate) fn has_sent_data(&self) -> bool {
        // The first number is that of the SYN.
        self.acknowledged + u64::from(self.max.since(self.una)) > 1
    }

    /// Whether a segment with so many numbers is what RFC 9293, section 3.8.4 has for a keep-alive: "SEG.SEQ = SND.NXT-1",
    /// with or without "one garbage octet of data".
    pub(crate) fn is_keep_alive(&self, seq: SeqNumber, len: u32) -> bool {
        len <= 1 && self.una == self.max && seq == self.max - 1
    }

    /// Whether a segment acknowledges again what is acknowledged, and says nothing else. `window` is its window in bytes.
    pub(super) fn is_duplicate(&self, segment: &Segment, ack: SeqNumber, window: u32) -> bool {
        ack == self.una
            && segment.sequence_len() == 0
            && self.una != self.socket_nxt
            && window == self.wnd
    }

    /// Everything before `ack` is acknowledged.
    pub(super) fn acknowledge(&mut self, ack: SeqNumber) {
        if self.una != ack {
            self.unanswered = 0;
        }
        self.acknowledged += u64::from(ack.since(self.una));
        self.una = ack;
        self.socket_nxt = self.socket_nxt.max(ack);
        self.max = self.max.max(ack);
    }

    /// The retransmission timeout is over: smoltcp goes back to SND.UNA.
    pub(super) fn go_back(&mut self) {
        self.unanswered = self.unanswered.saturating_add(1);
        self.socket_nxt = self.una;
    }
}
