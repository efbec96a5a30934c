//! What one end has sent, and what it sends again.

#[cfg(test)]
mod tests;

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
    /// What was left out before it: where that begins, and how many numbers it has.
    gaps: Vec<(SeqNumber, u32)>,
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
        let (start, end, len) = (segment.seq, segment.end(), segment.sequence_len());
        let known = *self.end.get_or_insert(start);
        if known.at_or_before(start) {
            self.leave_out(known, start.since(known));
            self.end = Some(end);
            self.moved_at = now;
            return false;
        }
        let holds = |&(from, gap): &(SeqNumber, u32)| {
            u64::from(start.since(from)) + u64::from(len) <= u64::from(gap)
        };
        let was_left_out = self.gaps.iter().any(holds);
        self.fill(start, len);
        self.end = Some(known.max(end));
        if was_left_out {
            return now - self.moved_at >= OVERTAKEN;
        }
        // A keep-alive repeats one byte that the other end has (RFC 9293, section 3.8.4).
        let is_keep_alive = segment.payload.len() == 1 && len == 1 && end == known;
        !is_keep_alive
    }

    fn leave_out(&mut self, from: SeqNumber, len: u32) {
        if len > 0 && self.gaps.len() < MAX_GAPS {
            self.gaps.push((from, len));
        }
    }

    /// These numbers are left out no more. What is in the middle of a gap leaves two of them.
    fn fill(&mut self, start: SeqNumber, len: u32) {
        for (from, gap) in std::mem::take(&mut self.gaps) {
            // On the shorter way round, from the beginning of the gap.
            let first = i64::from(start.since(from) as i32);
            let within = |place: i64| place.clamp(0, gap.into()) as u32;
            let (left, right) = (within(first), within(first + i64::from(len)));
            if left == right {
                self.leave_out(from, gap);
                continue;
            }
            self.leave_out(from, left);
            self.leave_out(from + right, gap - right);
        }
    }
}
