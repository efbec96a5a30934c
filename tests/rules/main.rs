//! Rules: their text, and what they do to the bytes on the wire.

mod errors;
mod given;
mod text;
