#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use tcplab_fuzz::{RECORD, mutate};

fuzz_target!(|bytes: &[u8]| tcplab_fuzz::run("engine", bytes));

// Half of the time steps are changed, moved and mixed as a whole, which the general ways would take long to hit on.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if seed % 2 == 0 || size < 2 * RECORD || max_size < 3 * RECORD {
        return fuzzer_mutate(data, size, max_size);
    }
    mutate(data, size, max_size, seed)
});
