//! Every knob and every fault of the catalogue, seen on the wire.

#[path = "../support/mod.rs"]
mod support;

mod wire;

mod knobs;

mod catalogue;

mod live;

mod told;
