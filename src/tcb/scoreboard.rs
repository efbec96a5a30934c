//! What the peer has of what is in flight, as it says itself (RFC 2018): only the rest is worth sending again.
//!
//! ```text
//!   SND.UNA                                              SND.NXT
//!      │  missing  │▒▒▒ SACKed ▒▒▒│  missing  │▒ SACKed ▒│  in flight
//! ```
//!
//! RFC 2018, section 8: what a peer has told it may still throw away, so nothing leaves the send buffer for it.

#[cfg(test)]
mod tests;

use crate::segment::SeqNumber;
use std::ops::Range;

/// How many ranges are remembered: a peer that tells of more has the others sent again.
const MOST: usize = 64;

/// RFC 6675, section 2: "DupThresh [...] is the number of duplicate acknowledgments required to trigger a
/// retransmission."
pub(crate) const DUP_THRESH: u32 = 3;

/// Ranges as plain offsets from SND.UNA: not empty, in ascending order, and neither meeting nor overlapping. None begins at
/// SND.UNA: of what begins there the peer would have acknowledged it.
///
/// Offsets, because they have an order. Sequence numbers have none: each of three may come before the next, and the last before
/// the first, so what was compared number by number may still be no range at all.
#[derive(Debug)]
pub(crate) struct Scoreboard {
    una: SeqNumber,
    ranges: Vec<Range<u32>>,
}

/// What the peer does not have below its highest block.
struct Hole {
    offsets: Range<u32>,
    /// IsLost of RFC 6675, section 4.
    lost: bool,
}

impl Scoreboard {
    /// Nothing is known of what is in flight from `una` on.
    pub(crate) fn new(una: SeqNumber) -> Scoreboard {
        Scoreboard {
            una,
            ranges: Vec::new(),
        }
    }

    /// The peer says that it has `left` up to `right`. Returns whether that is news. What can't be true is not believed:
    /// what was never sent, and what is acknowledged already, which is how a peer tells that it got something twice
    /// (RFC 2883, section 4).
    pub(crate) fn add(&mut self, left: SeqNumber, right: SeqNumber, nxt: SeqNumber) -> bool {
        let offset = |number: SeqNumber| number.since(self.una);
        let (left, right) = (offset(left), offset(right));
        let believable = 0 < left && left < right && right <= offset(nxt);
        if !believable {
            return false;
        }
        let first = self.ranges.partition_point(|range| range.end < left);
        let end = self.ranges.partition_point(|range| range.start <= right);
        let met = self.ranges.get(first..end).unwrap_or_default();
        let (Some(lowest), Some(highest)) = (met.first(), met.last()) else {
            let room = self.ranges.len() < MOST;
            if room {
                self.ranges.insert(first, left..right);
            }
            return room;
        };
        let whole = lowest.start.min(left)..highest.end.max(right);
        if *lowest == whole {
            return false;
        }
        self.ranges.splice(first..end, [whole]);
        true
    }

    /// All before `una` is acknowledged. Where that ends in a range, or at its beginning, the peer has thrown it away or
    /// has never had it, and nothing that it has said counts any more.
    pub(crate) fn acknowledge(&mut self, una: SeqNumber) {
        let acknowledged = una.since(self.una);
        self.una = una;
        self.ranges.retain(|range| range.end > acknowledged);
        let thrown_away = |range: &Range<u32>| range.start <= acknowledged;
        if self.ranges.first().is_some_and(thrown_away) {
            self.ranges.clear();
        }
        for range in &mut self.ranges {
            *range = range.start - acknowledged..range.end - acknowledged;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// IsLost of RFC 6675, section 4, for what is missing at SND.UNA: "either DupThresh discontiguous SACKed sequences
    /// have arrived above 'SeqNum' or more than (DupThresh - 1) * SMSS bytes".
    pub(crate) fn shows_a_loss(&self, mss: u32) -> bool {
        self.holes(mss).next().is_some_and(|hole| hole.lost)
    }

    fn holes(&self, mss: u32) -> impl Iterator<Item = Hole> {
        let len = |range: &Range<u32>| u64::from(range.end - range.start);
        let mut above: u64 = self.ranges.iter().map(len).sum();
        let mut left = self.ranges.len();
        let mut from = 0;
        self.ranges.iter().map(move |range| {
            let enough = u64::from(DUP_THRESH - 1) * u64::from(mss);
            let hole = Hole {
                offsets: from..range.start,
                lost: left >= DUP_THRESH as usize || above > enough,
            };
            (left, above) = (left - 1, above - len(range));
            from = range.end;
            hole
        })
    }

    /// What is lost, in offsets from SND.UNA.
    pub(crate) fn lost(&self, mss: u32) -> impl Iterator<Item = Range<u32>> {
        let holes = self.holes(mss).filter(|hole| hole.lost);
        holes.map(|hole| hole.offsets)
    }

    /// SetPipe of RFC 6675, section 4: an estimate of what is on its way, where `flight` is everything from SND.UNA to SND.NXT.
    /// What was lost before the offset `filled` was sent again.
    pub(crate) fn pipe(&self, flight: u32, filled: u32, mss: u32) -> u64 {
        let highest = self.ranges.last().map_or(0, |range| range.end);
        let behind = u64::from(flight.saturating_sub(highest));
        let counted = |Hole { offsets, lost }: Hole| {
            let len = u64::from(offsets.end - offsets.start);
            let again = offsets.end.min(filled).saturating_sub(offsets.start);
            u64::from(again) + if lost { 0 } else { len }
        };
        behind + self.holes(mss).map(counted).sum::<u64>()
    }

    /// What is missing of `seq` up to `end`, in offsets from `seq`.
    pub(crate) fn missing(&self, seq: SeqNumber, end: SeqNumber) -> Vec<Range<u32>> {
        let len = end.since(seq);
        // What comes before SND.UNA, as far as it is known here, lies in no range.
        let base = i64::from(seq.since(self.una) as i32);
        let from_seq = |offset: u32| (i64::from(offset) - base).clamp(0, len.into()) as u32;
        let (mut missing, mut from) = (Vec::new(), 0);
        for range in &self.ranges {
            let (left, right) = (from_seq(range.start), from_seq(range.end));
            if from < left {
                missing.push(from..left);
            }
            from = right.max(from);
        }
        if from < len {
            missing.push(from..len);
        }
        missing
    }
}
