//! What is taken from outside is survived, whatever it is: by the engine, which keeps its invariants all the time and
//! serves the next good client as if nothing had been, by the grammars, and by the readers of packets and captures.
//!
//! The same checks are what `fuzz/` runs. Each file of `fuzz/seeds` is tried here too: among them is what was once found.

#[path = "../support/mod.rs"]
mod support;

mod peers;
mod play;
mod step;
mod targets;
mod watched;

use proptest::prelude::*;
use std::fs;
use std::path::Path;

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn anything(bytes in prop::collection::vec(any::<u8>(), step::RECORD..=step::RECORD * (step::MOST_STEPS + 1))) {
        targets::engine(&bytes);
    }
}

#[test]
fn what_was_found_and_what_the_search_begins_with() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    for (name, target) in targets::ALL {
        let mut count = 0;
        for file in fs::read_dir(seeds.join(name)).expect("each target has seeds") {
            let file = file.unwrap().path();
            // Shown only where it fails.
            println!("{}", file.display());
            target(&fs::read(file).unwrap());
            count += 1;
        }
        assert!(count >= 3, "{name} has {count} seeds");
    }
}
