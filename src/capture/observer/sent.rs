//! What one end has sent, and what it sends again.

use crate::segment::{Flags, Segment, SeqNumber};
use smoltcp::time::{Duration, Instant};

/// What comes so soon after what it should precede was overtaken, not sent again.
const OVERTAKEN: Duration = Duration::from_millis(3);
/// So many gaps in the sequence numbers of one direction are remembered.
const MAX_GAPS: usize = 32;

/// The sequence numbers that one end has sent.
#[derive(Debug)]
pub(super) struct Sent {
    end: Option<SeqNumber>,
    /// When that was moved last.
    moved_at: Instant,
    /// What was left out before it.
    gaps: Vec<(SeqNumber, SeqNumber)>,
}

impl Sent {
    pub(super) fn new() -> Sent {
        Sent {
            end: None,
            moved_at: Instant::ZERO,
            gaps: Vec::new(),
        }
    }

    /// Takes a segment in and answers whether it was sent before.
    pub(super) fn repeats(&mut self, now: Instant, segment: &Segment) -> bool {
        if segment.sequence_len() == 0 || segment.flags.contains(Flags::RST) {
            return false;
        }
        let (start, end) = (segment.seq, segment.end());
        let known = *self.end.get_or_insert(start);
        if known.at_or_before(start) {
            if known != start && self.gaps.len() < MAX_GAPS {
                self.gaps.push((known, start));
            }
            self.end = Some(end);
            self.moved_at = now;
            return false;
        }
        let gap = self
            .gaps
            .iter()
            .position(|&(from, to)| from.at_or_before(start) && end.at_or_before(to));
        self.end = Some(known.max(end));
        if let Some(index) = gap {
            let (from, to) = self.gaps.swap_remove(index);
            let left = [(from, start), (end, to)];
            self.gaps
                .extend(left.into_iter().filter(|(from, to)| from != to));
            return now - self.moved_at >= OVERTAKEN;
        }
        // A keep-alive repeats one byte that the other end has (RFC 9293, section 3.8.4).
        let is_keep_alive =
            segment.payload.len() == 1 && segment.sequence_len() == 1 && end == known;
        !is_keep_alive
    }
}
