use super::*;
use crate::segment::liar::chosen;
use proptest::prelude::*;

/// As many as smoltcp has room for.
const MOST: usize = 32;

/// Each octet from RCV.NXT on, and whether it is there.
#[derive(Default)]
struct Model {
    there: Vec<bool>,
    refused: bool,
    /// Where those segments began that came last behind a gap, the newest first.
    recent: Vec<SeqNumber>,
}

impl Model {
    fn runs(&self) -> Vec<(usize, usize)> {
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for at in (0..self.there.len()).filter(|&at| self.there[at]) {
            match runs.last_mut() {
                Some((_, end)) if *end == at => *end += 1,
                _ => runs.push((at, at + 1)),
            }
        }
        runs
    }

    /// Returns by how much RCV.NXT moves.
    fn add(&mut self, offset: usize, len: usize) -> usize {
        let before = self.there.clone();
        self.there.resize(before.len().max(offset + len), false);
        self.there[offset..offset + len].fill(true);
        if offset > 0 && self.runs().len() > MOST {
            (self.there, self.refused) = (before, true);
            return 0;
        }
        let moved = self.there.iter().take_while(|&&there| there).count();
        self.there.drain(..moved);
        moved
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn blocks_are_what_is_there(
        rcv_nxt in chosen(),
        // Many small islands, or few large ones.
        grain in prop_oneof![Just(1), 1..20u32],
        segments in prop::collection::vec((0..150u32, prop_oneof![Just(1), 1..6u32]), 1..120),
        most in 0..=MAX_BLOCKS,
    ) {
        let mut rcv_nxt = rcv_nxt.of(&[SeqNumber(0)]);
        let mut islands = Islands::new();
        let mut model = Model::default();
        for (offset, len) in segments {
            let (offset, len) = (offset * grain, len * grain);
            let refused = std::mem::take(&mut model.refused);
            prop_assert_eq!(islands.take_refused(), refused);
            let (before, left) = (rcv_nxt, islands.add(rcv_nxt, offset, len));
            let moved = model.add(offset as usize, len as usize);
            rcv_nxt += moved as u32;
            let runs = model.runs();
            prop_assert_eq!(left, !runs.is_empty());
            let number = |at: usize| rcv_nxt + at as u32;
            let all: Vec<_> = runs.iter().map(|&(left, right)| (number(left), number(right))).collect();
            if offset > 0 && !model.refused {
                model.recent.insert(0, before + offset);
                model.recent.truncate(RECENT);
            }
            let holds = |number: SeqNumber| all.iter().find(move |(left, right)| {
                number.since(*left) < right.since(*left)
            });
            let mut expected: Vec<(SeqNumber, SeqNumber)> = Vec::new();
            for block in model.recent.iter().filter_map(|&number| holds(number)).chain(&all) {
                if !expected.contains(block) {
                    expected.push(*block);
                }
            }
            expected.truncate(most);
            let told: Vec<_> = islands.blocks(rcv_nxt, most).collect();
            prop_assert_eq!(told, expected);
        }
    }
}
