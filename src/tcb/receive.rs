//! The receive sequence variables (RFC 9293, section 3.3.1), and what is acceptable by them.
//!
//! ```text
//!   RCV.NXT                socket_edge            edge
//!      │  text is taken         │   an ACK counts  │
//! ```
//!
//! The two edges are one but when smoltcp has not accounted for a window that was advertised.

#[cfg(test)]
mod tests;

use super::islands::Islands;
use crate::segment::{Flags, Segment, SeqNumber};
use crate::stack::crowd::Member;
use smoltcp::time::Instant;

/// What is known of the peer's direction, in the numbers of the wire.
#[derive(Debug)]
pub(crate) struct Rcv {
    /// The peer's initial sequence number, once its SYN has arrived.
    pub(super) irs: Option<SeqNumber>,
    /// RCV.NXT; 0 before.
    pub(crate) nxt: SeqNumber,
    /// Whether the peer's FIN has arrived, and all before it.
    pub(crate) finished: bool,
    /// Bytes of the receive buffer.
    pub(super) buffer: u32,
    /// The last acknowledgment number and window that we have sent.
    pub(super) told: (SeqNumber, u16),
    /// Whether that was in a SYN, whose window is not scaled.
    pub(super) told_in_syn: bool,
    /// The right edge of our window as the peer knows it, which never moves left.
    pub(super) edge: Option<SeqNumber>,
    /// That of the window that smoltcp goes by. It takes no text beyond it.
    pub(super) socket_edge: Option<SeqNumber>,
    /// The shift count of our windows, as offered.
    pub(super) scale: Option<u8>,
    /// The highest number that the peer has sent, plus one.
    pub(super) max: SeqNumber,
    /// Since when something that arrived is not acknowledged.
    pub(super) unacknowledged: Option<Instant>,
    /// Who receives in bulk is one of them.
    pub(super) member: Member,
    /// Data that is there behind gaps.
    pub(super) islands: Option<Box<Islands>>,
    /// The number of a FIN that came before data which it follows.
    pub(super) early_fin: Option<SeqNumber>,
}

impl Rcv {
    pub(super) fn new(buffer: usize) -> Rcv {
        Rcv {
            irs: None,
            nxt: SeqNumber(0),
            finished: false,
            buffer: buffer as u32,
            told: (SeqNumber(0), 0),
            told_in_syn: false,
            edge: None,
            socket_edge: None,
            scale: None,
            max: SeqNumber(0),
            unacknowledged: None,
            member: Member::default(),
            islands: None,
            early_fin: None,
        }
    }

    /// So many bytes have arrived in order, and perhaps the peer's FIN behind them.
    pub(crate) fn took(&mut self, received: u64, finished: bool) {
        if let Some(irs) = self.irs {
            self.nxt = irs + 1 + received as u32 + u32::from(finished);
            self.finished = finished;
        }
    }

    /// The right edge of our window as the peer knows it.
    fn advertised(&self) -> SeqNumber {
        self.edge.unwrap_or(self.nxt)
    }

    /// That up to which text is taken: no further than smoltcp has room for, as far as it knows itself.
    pub(super) fn text_edge(&self) -> SeqNumber {
        let advertised = self.advertised();
        let taken = self.socket_edge.unwrap_or(self.nxt);
        if taken.before(advertised) {
            taken
        } else {
            advertised
        }
    }

    /// RCV.WND in bytes, as far as text is taken.
    pub(crate) fn window(&self) -> u32 {
        self.window_to(self.text_edge())
    }

    /// The window that the peer knows, in bytes.
    pub(super) fn advertised_window(&self) -> u32 {
        self.window_to(self.advertised())
    }

    fn window_to(&self, edge: SeqNumber) -> u32 {
        match edge.before(self.nxt) {
            true => 0,
            false => edge.since(self.nxt),
        }
    }

    /// RFC 9293, section 3.4: RCV.NXT =< `number` < RCV.NXT+RCV.WND.
    pub(super) fn is_in_window(&self, number: SeqNumber) -> bool {
        number.since(self.nxt) < self.window()
    }

    /// RFC 9293, section 3.10.7.4, table 6.
    pub(crate) fn accepts(&self, segment: &Segment) -> bool {
        let len = segment.sequence_len();
        match (len, self.window()) {
            (0, 0) => segment.seq == self.nxt,
            (0, _) => self.is_in_window(segment.seq),
            // A FIN alone takes no room.
            (1, 0) if segment.payload.is_empty() => segment.seq == self.nxt,
            (_, 0) => false,
            _ => self.is_in_window(segment.seq) || self.is_in_window(segment.end() - 1),
        }
    }

    /// Whether a segment does nothing but acknowledge, and is acceptable.
    pub(crate) fn is_bare(&self, segment: &Segment) -> bool {
        segment.sequence_len() == 0 && self.accepts(segment)
    }

    /// The acknowledgment in a segment that is not acceptable, as a segment of its own that is, if the peer may well have
    /// sent it: one that has used up the window sends everything from its right edge, and with a window of zero every
    /// segment of data lies there. RFC 9293, section 3.10.7.4: "If the RCV.WND is zero, no segments will be acceptable, but
    /// special allowance should be made to accept valid ACKs".
    pub(crate) fn acknowledgment_in(&self, segment: &Segment) -> Option<Segment> {
        let offered = segment.seq.since(self.nxt) <= self.advertised_window();
        offered.then(|| Segment {
            seq: self.nxt,
            flags: Flags::ACK,
            payload: 0..0,
            ..segment.clone()
        })
    }

    /// What smoltcp answers with an acknowledgment, and makes nothing else of: a byte that it has had, whichever of the packet's.
    /// Without one, it is a segment of which smoltcp answers one a second.
    pub(super) fn old(&self, segment: &Segment, has_byte: bool) -> Segment {
        Segment {
            seq: self.nxt - 1,
            flags: Flags::ACK,
            payload: 0..usize::from(has_byte),
            ..segment.clone()
        }
    }

    /// How far ahead of RCV.NXT the urgent pointer of a segment points, where it counts (section 3.10.7.4, "Sixth, check the
    /// URG bit"). A shut window does not matter (MUST-66).
    pub(crate) fn urgent_ahead(&self, segment: &Segment) -> Option<u32> {
        let in_line = self.accepts(segment) || self.window() == 0 && segment.seq == self.nxt;
        let pointer = segment.seq + u32::from(segment.urgent);
        let counts = segment.flags.contains(Flags::URG)
            && !self.finished
            && in_line
            && !pointer.at_or_before(self.nxt);
        counts.then(|| pointer.since(self.nxt))
    }

    /// Whether a segment repeats numbers that the peer has sent before.
    pub(crate) fn repeats(&self, segment: &Segment) -> bool {
        segment.sequence_len() > 0 && self.irs.is_some() && segment.seq.before(self.max)
    }

    /// A segment of the peer's has these numbers, acceptable or not. Those beyond the receive buffer are not the peer's.
    pub(crate) fn note_numbers(&mut self, segment: &Segment) {
        if self.irs.is_none() || segment.flags.contains(Flags::RST) {
            return;
        }
        if segment.end().since(self.told.0) <= self.buffer {
            self.max = self.max.max(segment.end());
        }
    }

    /// Whether smoltcp takes nothing any more before it has acknowledged what it has: a FIN has come right behind a window
    /// that was used up.
    pub(crate) fn is_overrun(&self) -> bool {
        let known = self.irs.is_some();
        known && self.socket_edge.is_some_and(|edge| edge.before(self.nxt))
    }

    /// Whether something that arrived is not acknowledged yet.
    pub(crate) fn owes_acknowledgment(&self) -> bool {
        self.unacknowledged.is_some()
    }

    /// Whether data is there behind a gap.
    pub(crate) fn has_islands(&self) -> bool {
        self.islands.is_some()
    }

    /// Whether data was not taken since this was asked last because there were too many gaps.
    pub(crate) fn take_refused(&mut self) -> bool {
        self.islands
            .as_mut()
            .is_some_and(|islands| islands.take_refused())
    }

    /// Whether a FIN waits for data that comes before it.
    pub(crate) fn holds_fin(&self) -> bool {
        self.early_fin.is_some()
    }

    /// A FIN that came too early and that smoltcp can take now, as a segment of its own.
    pub(crate) fn due_fin(&mut self, template: &Segment) -> Option<Segment> {
        let fin = self.early_fin.filter(|&fin| fin.at_or_before(self.nxt))?;
        self.early_fin = None;
        (fin == self.nxt).then(|| Segment {
            seq: fin,
            flags: Flags(Flags::FIN.0 | Flags::ACK.0),
            payload: 0..0,
            ..template.clone()
        })
    }

    /// The right edge of our window is here, or stays where it was.
    pub(super) fn move_edge(&mut self, edge: SeqNumber) {
        self.edge = Some(self.edge.map_or(edge, |highest| highest.max(edge)));
    }

    /// Data that smoltcp takes, behind a gap or where one is.
    pub(super) fn note_island(&mut self, seq: SeqNumber, len: u32) {
        if len == 0 || seq == self.nxt && self.islands.is_none() {
            return;
        }
        let islands = self.islands.get_or_insert_with(|| Box::new(Islands::new()));
        let offset = seq.since(self.nxt);
        if !islands.add(self.nxt, offset, len) {
            self.islands = None;
        }
    }
}
