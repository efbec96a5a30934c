//! The checks of `tests/survives`, for programs that search for inputs which fail them.

#[path = "../tests/survives/peers.rs"]
mod peers;
#[path = "../tests/survives/play.rs"]
mod play;
#[path = "../tests/survives/step.rs"]
mod step;
#[path = "../tests/support/mod.rs"]
mod support;
#[path = "../tests/survives/targets.rs"]
mod targets;
#[path = "../tests/survives/watched.rs"]
mod watched;

/// Tries `bytes` on the target of this name.
///
/// # Panics
/// Where something is found, and when there is no such target.
pub fn run(target: &str, bytes: &[u8]) {
    let (_, target) = targets::ALL
        .iter()
        .find(|(name, _)| *name == target)
        .expect("a target");
    target(bytes);
}

/// The length of a step of the engine's inputs.
pub const RECORD: usize = step::RECORD;

/// Changes an input of the engine's by whole steps: takes one out, repeats one, puts a new one in, moves one, or changes one
/// number of one. Returns the new size.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut chance = Chance(seed.into());
    let mut size = size / RECORD * RECORD;
    for _ in 0..=chance.below(3) {
        let count = size / RECORD;
        // What is before the first step stays in its place.
        let at = (1 + chance.below(count.max(2) - 1)) * RECORD;
        let room = size + RECORD <= max_size;
        match chance.below(8) {
            0 if count > 3 => {
                data.copy_within(at + RECORD..size, at);
                size -= RECORD;
            }
            1 if room => {
                let from = (1 + chance.below(count - 1)) * RECORD;
                let copied: [u8; RECORD] = std::array::from_fn(|byte| data[from + byte]);
                data.copy_within(at..size, at + RECORD);
                data[at..at + RECORD].copy_from_slice(&copied);
                size += RECORD;
            }
            2 | 3 if room => {
                data.copy_within(at..size, at + RECORD);
                let fresh: [u8; RECORD] = std::array::from_fn(|_| chance.byte());
                data[at..at + RECORD].copy_from_slice(&fresh);
                if chance.below(2) == 0 {
                    data[at + 1] = 0;
                }
                size += RECORD;
            }
            4 if count > 2 => {
                let from = (1 + chance.below(count - 1)) * RECORD;
                for byte in 0..RECORD {
                    data.swap(from + byte, at + byte);
                }
            }
            // What is done stays the same, and how is another.
            5 => data[at + 1..at + RECORD].fill_with(|| chance.byte()),
            6 => data[chance.below(RECORD)] = chance.byte(),
            _ => data[at + chance.below(RECORD)] = chance.byte(),
        }
    }
    size
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn byte(&mut self) -> u8 {
        self.next() as u8
    }
}
