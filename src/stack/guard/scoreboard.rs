//! What the peer has of what is in flight, as it says itself (RFC 2018): only the rest is worth sending again.
//!
//! ```text
//!   SND.UNA                                              SND.NXT
//!      │  missing  │▒▒▒ SACKed ▒▒▒│  missing  │▒ SACKed ▒│  in flight
//! ```
//!
//! RFC 2018, section 8: what a peer has told it may still throw away, so nothing leaves the send buffer for it.

use crate::segment::SeqNumber;
use std::ops::Range;

/// How many ranges are remembered: a peer that tells of more has the others sent again.
const MOST: usize = 64;

/// RFC 6675, section 2: "DupThresh [...] is the number of duplicate acknowledgments required to trigger a
/// retransmission."
pub(crate) const DUP_THRESH: u32 = 3;

/// Ranges in ascending order that neither meet nor overlap, all of them behind SND.UNA: of what begins there the peer
/// would have acknowledged it.
#[derive(Debug, Default)]
pub(crate) struct Scoreboard {
    ranges: Vec<(SeqNumber, SeqNumber)>,
}

impl Scoreboard {
    /// The peer says that it has `left` up to `right`. Returns whether that is news. What can't be true is not believed:
    /// what was never sent, and what is acknowledged already, which is how a peer tells that it got something twice
    /// (RFC 2883, section 4).
    pub(crate) fn add(
        &mut self,
        left: SeqNumber,
        right: SeqNumber,
        una: SeqNumber,
        nxt: SeqNumber,
    ) -> bool {
        let believable = una.before(left) && left.before(right) && right.at_or_before(nxt);
        if !believable {
            return false;
        }
        let first = self.ranges.partition_point(|range| range.1.before(left));
        let end = self
            .ranges
            .partition_point(|range| range.0.at_or_before(right));
        match &self.ranges[first..end] {
            [] if self.ranges.len() >= MOST => return false,
            [] => self.ranges.insert(first, (left, right)),
            &[(from, to)] if from.at_or_before(left) && right.at_or_before(to) => return false,
            met => {
                let from = if left.before(met[0].0) {
                    left
                } else {
                    met[0].0
                };
                let to = right.max(met[met.len() - 1].1);
                self.ranges[first] = (from, to);
                self.ranges.drain(first + 1..end);
            }
        }
        true
    }

    /// All before `una` is acknowledged. Where that ends in a range, or at its beginning, the peer has thrown it away or
    /// has never had it, and nothing that it has said counts any more.
    pub(crate) fn acknowledge(&mut self, una: SeqNumber) {
        let passed = self
            .ranges
            .partition_point(|range| range.1.at_or_before(una));
        self.ranges.drain(..passed);
        if self
            .ranges
            .first()
            .is_some_and(|range| range.0.at_or_before(una))
        {
            self.ranges.clear();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// IsLost of RFC 6675, section 4, for what is missing at SND.UNA: "either DupThresh discontiguous SACKed sequences
    /// have arrived above 'SeqNum' or more than (DupThresh - 1) * SMSS bytes".
    pub(crate) fn shows_a_loss(&self, mss: u32) -> bool {
        let sacked: u32 = self
            .ranges
            .iter()
            .map(|(left, right)| right.since(*left))
            .sum();
        self.ranges.len() >= DUP_THRESH as usize || sacked > (DUP_THRESH - 1) * mss
    }

    /// What the peer does not have below its highest block, and of each whether it is lost (IsLost of RFC 6675, section 4).
    fn holes(
        &self,
        una: SeqNumber,
        mss: u32,
    ) -> impl Iterator<Item = (SeqNumber, SeqNumber, bool)> {
        let len = |&(left, right): &(SeqNumber, SeqNumber)| right.since(left);
        let mut above: u32 = self.ranges.iter().map(len).sum();
        let mut from = una;
        let count = self.ranges.len();
        self.ranges.iter().enumerate().map(move |(index, range)| {
            let lost = count - index >= DUP_THRESH as usize || above > (DUP_THRESH - 1) * mss;
            let hole = (from, range.0, lost);
            above -= len(range);
            from = range.1;
            hole
        })
    }

    /// What is lost: where it begins, and ends.
    pub(crate) fn lost(
        &self,
        una: SeqNumber,
        mss: u32,
    ) -> impl Iterator<Item = (SeqNumber, SeqNumber)> {
        let holes = self.holes(una, mss);
        holes.filter_map(|(first, end, lost)| lost.then_some((first, end)))
    }

    /// SetPipe of RFC 6675, section 4: an estimate of what is on its way. What was lost before `filled` was sent again.
    pub(crate) fn pipe(&self, una: SeqNumber, nxt: SeqNumber, filled: SeqNumber, mss: u32) -> u32 {
        let highest = self.ranges.last().map_or(una, |range| range.1);
        let mut pipe = nxt.since(highest);
        for (first, end, lost) in self.holes(una, mss) {
            if !lost {
                pipe += end.since(first);
            }
            if first.before(filled) {
                let end = if filled.before(end) { filled } else { end };
                pipe += end.since(first);
            }
        }
        pipe
    }

    /// What is missing of `seq` up to `end`, in offsets from `seq`.
    pub(crate) fn missing(&self, seq: SeqNumber, end: SeqNumber) -> Vec<Range<u32>> {
        let (mut missing, mut from) = (Vec::new(), seq);
        for &(left, right) in &self.ranges {
            if end.at_or_before(left) {
                break;
            }
            if from.before(left) {
                missing.push(from.since(seq)..left.since(seq));
            }
            from = from.max(right);
        }
        if from.before(end) {
            missing.push(from.since(seq)..end.since(seq));
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNA: u32 = u32::MAX - 500;
    const NXT: u32 = 10_000;

    fn at(offset: u32) -> SeqNumber {
        SeqNumber(UNA) + offset
    }

    fn board(ranges: &[(u32, u32)]) -> Scoreboard {
        let mut board = Scoreboard::default();
        for &(left, right) in ranges {
            board.add(at(left), at(right), at(0), SeqNumber(NXT));
        }
        board
    }

    #[test]
    fn ranges_merge_in_any_order() {
        #[track_caller]
        fn check(ranges: &[(u32, u32)], expected: &[(u32, u32)]) {
            let have = board(ranges).ranges;
            let have: Vec<_> = have
                .iter()
                .map(|(l, r)| (l.since(at(0)), r.since(at(0))))
                .collect();
            assert_eq!(have, expected, "{ranges:?}");
        }
        check(&[(100, 200), (300, 400)], &[(100, 200), (300, 400)]);
        check(&[(300, 400), (100, 200)], &[(100, 200), (300, 400)]);
        check(&[(100, 200), (200, 300)], &[(100, 300)]);
        check(&[(200, 300), (100, 200)], &[(100, 300)]);
        check(
            &[(100, 200), (300, 400), (500, 600), (150, 550)],
            &[(100, 600)],
        );
        check(&[(100, 400), (200, 300)], &[(100, 400)]);
        check(&[(200, 300), (100, 400)], &[(100, 400)]);
        check(&[(400, 600), (1_000, 1_100)], &[(400, 600), (1_000, 1_100)]);
    }

    #[test]
    fn what_cannot_be_true_is_not_believed() {
        let mut board = board(&[(100, 200)]);
        for (left, right) in [(0, 50), (200, 100), (150, 150), (100, 200), (120, 180)] {
            assert!(!board.add(at(left), at(right), at(0), SeqNumber(NXT)));
        }
        assert!(!board.add(at(100), SeqNumber(NXT + 1), at(0), SeqNumber(NXT)));
        assert!(!board.add(SeqNumber(UNA - 100), at(0), at(0), SeqNumber(NXT)));
        assert_eq!(board.ranges, [(at(100), at(200))]);
    }

    #[test]
    fn no_more_than_so_many_are_kept() {
        let many: Vec<_> = (1..500)
            .map(|index| (20 * index, 20 * index + 10))
            .collect();
        let mut board = board(&many);
        assert_eq!(board.ranges.len(), MOST);
        // One that meets others still counts.
        assert!(board.add(at(25), at(200), at(0), SeqNumber(NXT)));
        assert!(board.ranges.len() < MOST);
    }

    #[test]
    fn an_acknowledgment_into_a_range_ends_all_belief() {
        let ranges = [(100, 200), (300, 400)];
        let check = |una: u32, left: usize| {
            let mut board = board(&ranges);
            board.acknowledge(at(una));
            assert_eq!(board.ranges.len(), left, "{una}");
        };
        check(50, 2);
        check(100, 0);
        check(150, 0);
        check(200, 1);
        check(250, 1);
        check(300, 0);
        check(400, 0);
    }

    #[test]
    fn what_is_missing_lies_between() {
        #[track_caller]
        fn check(seq: u32, end: u32, expected: &[(u32, u32)]) {
            let board = board(&[(100, 200), (300, 400)]);
            let missing = board.missing(at(seq), at(end));
            let missing: Vec<_> = missing
                .iter()
                .map(|range| (range.start, range.end))
                .collect();
            assert_eq!(missing, expected, "{seq}:{end}");
        }
        check(0, 100, &[(0, 100)]);
        check(0, 150, &[(0, 100)]);
        check(100, 200, &[]);
        check(120, 180, &[]);
        check(150, 250, &[(50, 100)]);
        check(0, 500, &[(0, 100), (200, 300), (400, 500)]);
        check(500, 600, &[(0, 100)]);
    }

    #[test]
    fn what_is_lost_is_not_in_the_pipe() {
        // Three ranges are above the first hole, and two segments of 100 above the second: no more than that.
        let board = board(&[(100, 200), (300, 400), (500, 600)]);
        let lost: Vec<_> = board.lost(at(0), 100).collect();
        assert_eq!(lost, [(at(0), at(100))]);
        let lost: Vec<_> = board.lost(at(0), 99).collect();
        assert_eq!(lost, [(at(0), at(100)), (at(200), at(300))]);
        // 400 behind all, and two holes that may be none.
        let pipe = |filled: u32| board.pipe(at(0), at(1_000), at(filled), 100);
        assert_eq!(pipe(0), 600);
        assert_eq!(pipe(100), 700);
        assert_eq!(pipe(250), 750);
    }

    #[test]
    fn three_ranges_or_many_bytes_show_a_loss() {
        assert!(!board(&[(100, 200), (300, 400)]).shows_a_loss(100));
        assert!(board(&[(100, 200), (300, 400)]).shows_a_loss(99));
        assert!(board(&[(100, 101), (300, 301), (500, 501)]).shows_a_loss(1_000));
    }
}
