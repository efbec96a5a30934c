//! Sequence numbers as a peer that lies chooses them, for tests.

use super::SeqNumber;
use proptest::prelude::*;
use proptest::sample::{Index, select};

const HALF: u32 = 1 << 31;

/// How far from a number that counts one that is to go wrong lies.
const DISTANCES: [u32; 12] = [
    0,
    1,
    1_u32.wrapping_neg(),
    100,
    100_u32.wrapping_neg(),
    1_460,
    1_460_u32.wrapping_neg(),
    65_535,
    65_535_u32.wrapping_neg(),
    HALF - 1,
    HALF,
    HALF + 1,
];

/// A choice, made before it is known what counts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Chosen {
    Near(Index, u32),
    Any(u32),
}

impl Chosen {
    /// The number, where these count; there must be one at least.
    pub(crate) fn of(self, marks: &[SeqNumber]) -> SeqNumber {
        match self {
            Chosen::Near(which, distance) => *which.get(marks) + distance,
            Chosen::Any(number) => SeqNumber(number),
        }
    }
}

/// Most are near what counts, or half the circle from it.
pub(crate) fn chosen() -> impl Strategy<Value = Chosen> {
    let near = |distance| (any::<Index>(), distance);
    prop_oneof![
        4 => near(select(&DISTANCES[..]).boxed()).prop_map(|(which, distance)| Chosen::Near(which, distance)),
        4 => near((0..1_000u32).boxed()).prop_map(|(which, distance)| Chosen::Near(which, distance)),
        1 => near((0..1_000u32).prop_map(u32::wrapping_neg).boxed()).prop_map(|(which, distance)| Chosen::Near(which, distance)),
        1 => any::<u32>().prop_map(Chosen::Any),
    ]
}
