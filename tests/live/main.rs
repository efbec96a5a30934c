//! The program itself against the real kernel's TCP, with the clients that people have: curl, nc, ping and
//! Python's socket module. Everything happens in labs of tcplab or in network namespaces made here.
//!
//! What needs a network namespace with its privileges runs as a [`scene`]: this program again, in a namespace of
//! its own (see `tests/lab`, whose helper is used).

#[allow(
    dead_code,
    reason = "each of the two test programs uses a part of the helper"
)]
#[path = "../lab/helper.rs"]
mod helper;

mod rig;

mod demo;

mod run;

mod http;

mod seed;

mod localhost;

mod closing;

mod datagrams;

mod load;

mod malformed;

mod options;

mod signals;

mod stepping;

mod traces;

mod serve;

mod calendar;

mod confined;

mod attacker;

mod offload;

mod failures;

mod defects;

mod soak;

/// What a helper can be told to do.
const SCENES: &[(&str, fn())] = &[
    ("created", serve::created),
    ("quiet", serve::quiet),
    ("prepared", serve::prepared),
    ("busy", serve::busy),
    ("privileges", serve::privileges),
    ("calendar", calendar::set),
    ("astray", attacker::astray),
    ("confined", confined::confined),
    ("refused", confined::refused),
    ("malformed", malformed::every_kind),
    ("checksums", offload::checksums),
    ("features", offload::features),
    ("taken", failures::taken),
    ("down", failures::down),
    ("readers", failures::readers),
    ("soak", soak::haul),
    ("idle", load::idle),
];

#[test]
#[ignore = "the other tests start it, in a process of its own"]
fn scene() {
    let name = std::env::var(helper::SCENE).expect("only the other tests start this one");
    let (_, play) = SCENES.iter().find(|scene| scene.0 == name).unwrap();
    play();
}
