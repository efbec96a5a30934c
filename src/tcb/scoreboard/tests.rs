use super::*;
use crate::segment::liar::{Chosen, chosen};
use proptest::prelude::*;

const UNA: u32 = u32::MAX - 500;
const NXT: u32 = 10_000;

fn at(offset: u32) -> SeqNumber {
    SeqNumber(UNA) + offset
}

fn board(ranges: &[(u32, u32)]) -> Scoreboard {
    let mut board = Scoreboard::new(at(0));
    for &(left, right) in ranges {
        board.add(at(left), at(right), SeqNumber(NXT));
    }
    board
}

#[test]
fn ranges_merge_in_any_order() {
    #[track_caller]
    fn check(ranges: &[(u32, u32)], expected: &[(u32, u32)]) {
        let have = board(ranges).ranges;
        let have: Vec<_> = have.iter().map(|range| (range.start, range.end)).collect();
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
        assert!(!board.add(at(left), at(right), SeqNumber(NXT)));
    }
    assert!(!board.add(at(100), SeqNumber(NXT + 1), SeqNumber(NXT)));
    assert!(!board.add(SeqNumber(UNA - 100), at(0), SeqNumber(NXT)));
    assert_eq!(board.ranges, std::slice::from_ref(&(100..200)));
}

#[test]
fn no_more_than_so_many_are_kept() {
    let many: Vec<_> = (1..500)
        .map(|index| (20 * index, 20 * index + 10))
        .collect();
    let mut board = board(&many);
    assert_eq!(board.ranges.len(), MOST);
    // One that meets others still counts.
    assert!(board.add(at(25), at(200), SeqNumber(NXT)));
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
    let lost: Vec<_> = board.lost(100).collect();
    assert_eq!(lost, std::slice::from_ref(&(0..100)));
    let lost: Vec<_> = board.lost(99).collect();
    assert_eq!(lost, [0..100, 200..300]);
    // 400 behind all, and two holes that may be none.
    let pipe = |filled: u32| board.pipe(1_000, filled, 100);
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

/// Each octet of what is in flight, by its offset from SND.UNA, and whether the peer has it.
struct Model {
    una: u32,
    sacked: Vec<bool>,
}

impl Model {
    /// How many steps further round the circle than SND.UNA a number is.
    fn position(&self, number: SeqNumber) -> u64 {
        (u64::from(number.0) + (1 << 32) - u64::from(self.una)) % (1 << 32)
    }

    fn runs_above(&self, offset: usize) -> usize {
        let begins = |&at: &usize| self.sacked[at] && (at == 0 || !self.sacked[at - 1]);
        (offset..self.sacked.len()).filter(begins).count()
    }

    fn add(&mut self, left: SeqNumber, right: SeqNumber) -> bool {
        let (left, right) = (self.position(left), self.position(right));
        if left == 0 || left >= right || right > self.sacked.len() as u64 {
            return false;
        }
        let (left, right) = (left as usize, right as usize);
        let around = left - 1..(right + 1).min(self.sacked.len());
        let meets = self.sacked[around].iter().any(|&sacked| sacked);
        if !meets && self.runs_above(0) >= MOST {
            return false;
        }
        let news = self.sacked[left..right].iter().any(|&sacked| !sacked);
        self.sacked[left..right].fill(true);
        news
    }

    fn acknowledge(&mut self, count: usize) {
        self.una = self.una.wrapping_add(count as u32);
        self.sacked.drain(..count);
        if self.sacked.first() == Some(&true) {
            self.sacked.fill(false);
        }
    }

    fn is_lost(&self, offset: usize, mss: u32) -> bool {
        let sacked = self.sacked[offset..].iter().filter(|&&sacked| sacked);
        self.runs_above(offset) >= 3 || sacked.count() as u64 > 2 * u64::from(mss)
    }

    /// The offsets that are missing below the highest that is not.
    fn holes(&self) -> impl Iterator<Item = usize> {
        let highest = self.sacked.iter().rposition(|&sacked| sacked).unwrap_or(0);
        (0..highest).filter(|&offset| !self.sacked[offset])
    }

    fn pipe(&self, filled: usize, mss: u32) -> u64 {
        let highest = self.sacked.iter().rposition(|&sacked| sacked);
        let behind = self.sacked.len() - highest.map_or(0, |highest| highest + 1);
        let of = |offset| u64::from(!self.is_lost(offset, mss)) + u64::from(offset < filled);
        behind as u64 + self.holes().map(of).sum::<u64>()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Told(Chosen, Chosen),
    /// A few octets of what is in flight.
    Honest(prop::sample::Index, u32),
    Acknowledged(prop::sample::Index),
    Sent(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (chosen(), chosen()).prop_map(|(left, right)| Step::Told(left, right)),
        4 => (any::<prop::sample::Index>(), 1..20u32).prop_map(|(left, len)| Step::Honest(left, len)),
        1 => any::<prop::sample::Index>().prop_map(Step::Acknowledged),
        1 => (0..100usize).prop_map(Step::Sent),
    ]
}

fn flat(ranges: impl Iterator<Item = Range<u32>>) -> Vec<usize> {
    ranges.flatten().map(|offset| offset as usize).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_the_peer_says_is_kept_as_octets_would_be(
        una in chosen(),
        steps in prop::collection::vec(step(), 1..40),
        mss in 1..100u32,
        ends in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
    ) {
        let una = una.of(&[SeqNumber(0)]);
        let mut board = Scoreboard::new(una);
        let mut model = Model { una: una.0, sacked: vec![false; 200] };
        for step in steps {
            let una = SeqNumber(model.una);
            let nxt = una + model.sacked.len() as u32;
            match step {
                Step::Told(left, right) => {
                    let edges = board.ranges.iter().flat_map(|range| [range.start, range.end]);
                    let marks: Vec<_> = [una, nxt].into_iter().chain(edges.map(|edge| una + edge)).collect();
                    let (left, right) = (left.of(&marks), right.of(&marks));
                    prop_assert_eq!(board.add(left, right, nxt), model.add(left, right), "{:?} {:?}", left, right);
                }
                Step::Honest(left, len) => {
                    let left = una + left.index(model.sacked.len() + 1) as u32;
                    prop_assert_eq!(board.add(left, left + len, nxt), model.add(left, left + len));
                }
                Step::Acknowledged(count) => {
                    let count = count.index(model.sacked.len() + 1);
                    model.acknowledge(count);
                    board.acknowledge(SeqNumber(model.una));
                }
                Step::Sent(count) => {
                    let len = (model.sacked.len() + count).min(800);
                    model.sacked.resize(len, false);
                }
            }
            let una = SeqNumber(model.una);
            let flight = model.sacked.len();
            let have = flat(board.ranges.iter().cloned());
            let expected: Vec<_> = (0..flight).filter(|&at| model.sacked[at]).collect();
            prop_assert_eq!(&have, &expected);
            prop_assert_eq!(board.is_empty(), expected.is_empty());
            prop_assert_eq!(board.shows_a_loss(mss), !expected.is_empty() && model.is_lost(0, mss));
            let lost: Vec<_> = model.holes().filter(|&at| model.is_lost(at, mss)).collect();
            prop_assert_eq!(flat(board.lost(mss)), lost);
            let (one, other) = (ends.0.index(flight + 1), ends.1.index(flight + 1));
            let (from, to) = (one.min(other), one.max(other));
            prop_assert_eq!(board.pipe(flight as u32, from as u32, mss), model.pipe(from, mss));
            let missing = flat(board.missing(una + from as u32, una + to as u32).into_iter());
            let expected: Vec<_> = (from..to).filter(|&at| !model.sacked[at]).map(|at| at - from).collect();
            prop_assert_eq!(missing, expected);
        }
    }

    /// Even if our own numbers were wrong, there is no range that is none, and nothing panics.
    #[test]
    fn no_numbers_break_it(
        una in any::<u32>(),
        steps in prop::collection::vec((chosen(), chosen(), chosen(), any::<bool>()), 1..40),
        mss in any::<u32>(),
    ) {
        let mut board = Scoreboard::new(SeqNumber(una));
        for (one, two, three, acknowledges) in steps {
            let marks = [board.una, SeqNumber(una)];
            let [one, two, three] = [one, two, three].map(|chosen| chosen.of(&marks));
            board.add(one, two, three);
            if acknowledges {
                board.acknowledge(three);
            }
            let in_order = board.ranges.windows(2).all(|pair| pair[0].end < pair[1].start);
            let whole = board.ranges.iter().all(|range| 0 < range.start && range.start < range.end);
            prop_assert!(in_order && whole && board.ranges.len() <= MOST, "{:?}", board);
            board.shows_a_loss(mss);
            board.lost(mss).for_each(drop);
            board.pipe(three.0, two.0, mss);
            let len = two.since(one);
            let missing = board.missing(one, two);
            prop_assert!(missing.iter().all(|range| range.start < range.end && range.end <= len));
        }
    }
}

/// `sack 2147483648:4294967295 101:201`, which once killed the process.
#[test]
fn ranges_across_half_the_circle_are_none() {
    let mut board = Scoreboard::new(SeqNumber(1));
    let nxt = SeqNumber(2_001);
    assert!(!board.add(SeqNumber(1 << 31), SeqNumber(u32::MAX), nxt));
    assert!(board.add(SeqNumber(101), SeqNumber(201), nxt));
    assert!(!board.add(SeqNumber(1 << 31), SeqNumber(u32::MAX), nxt));
    assert_eq!(board.ranges, std::slice::from_ref(&(100..200)));
}
