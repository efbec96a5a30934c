//! Rules: their text, and what they do to the bytes on the wire.

mod edits;
mod errors;
mod given;
mod nothing;
mod patterns;
mod rig;
#[path = "../support/mod.rs"]
mod support;
mod text;
mod verdicts;
