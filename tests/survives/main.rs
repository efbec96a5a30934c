//! What is taken from outside is survived, whatever it is: by the engine, which keeps its invariants all the time and
//! serves the next good client as if nothing had been, by the grammars, and by the readers of packets and captures.
//!
//! The same checks are what `fuzz/` runs. Each file of `fuzz/seeds` is tried here too: among them is what was once found.

#[path = "../support/mod.rs"]
mod support;

mod step;
mod targets;
mod watched;

use proptest::prelude::*;
use proptest::sample::select;
use std::fs;
use std::path::Path;
use step::{CLIENTS, FAR, Host, PAYLOADS, SERVERS, SYN_OPTIONS, Step, WAITS, WINDOWS, Wild};
use support::{ACK, FIN, PSH, RST, SYN};
use watched::{Watched, at_faulty_address};

fn step() -> impl Strategy<Value = Step> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..100);
    prop_oneof![
        1 => bytes().prop_map(Step::Bytes),
        12 => wild().prop_map(Step::Segment),
        2 => wild().prop_map(Step::Handshake),
        2 => prop::collection::vec(any::<(u16, u8)>(), 0..4).prop_map(Step::Again),
        1 => (host(), select(&[7, 1111, 9999][..]), bytes())
            .prop_map(|(host, port, payload)| Step::Datagram(host, port, payload)),
        1 => (host(), bytes()).prop_map(|(host, payload)| Step::Ping(host, payload)),
        1 => (0..4u16, any::<bool>(), 0..4usize)
            .prop_map(|(offset, more, len)| Step::Fragment(offset, more, len)),
        4 => select(&WAITS[..]).prop_map(Step::Wait),
        1 => any::<(u16, u8)>().prop_map(|(flow, what)| Step::Command(flow, what)),
        3 => any::<(u16, u8)>().prop_map(|(which, what)| Step::Hand(which, what)),
        1 => (host(), CLIENTS).prop_map(|(host, port)| Step::Open(host, port)),
    ]
}

fn host() -> impl Strategy<Value = Host> {
    prop_oneof![5 => Just(Host::V4), 1 => Just(Host::V6), 5 => Just(Host::Faulty)]
}

fn wild() -> impl Strategy<Value = Wild> {
    let near = || {
        prop_oneof![
            6 => Just(0),
            2 => -2..3i32,
            1 => select(&FAR[..]),
            1 => any::<i32>(),
        ]
    };
    let flags = prop_oneof![
        3 => Just(SYN),
        5 => Just(ACK),
        4 => Just(PSH | ACK),
        3 => Just(FIN | ACK),
        1 => Just(SYN | ACK),
        1 => select(&[RST, RST | ACK][..]),
        1 => any::<u8>(),
    ];
    let options = prop_oneof![
        4 => Just(Vec::new()),
        2 => Just(SYN_OPTIONS.to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..=40).prop_map(|mut options| {
            options.truncate(options.len() / 4 * 4);
            options
        }),
    ];
    let ends = (host(), CLIENTS, select(&SERVERS[..]));
    let numbers = (flags, near(), near());
    let rest = (select(&WINDOWS[..]), options, select(&PAYLOADS[..]));
    (ends, numbers, rest, prop::bool::weighted(0.02)).prop_map(
        |((host, client, server), (flags, seq, ack), rest, bad_checksum)| {
            let (window, options, payload) = rest;
            Wild {
                host,
                client,
                server,
                flags,
                seq,
                ack,
                window,
                options,
                payload,
                bad_checksum,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn anything(
        rules in prop::sample::subsequence(step::rules(), 0..4),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut watched = Watched::new(at_faulty_address(rules));
        for step in steps {
            watched.take(step);
        }
        watched.serve_a_good_client();
        watched.end();
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
