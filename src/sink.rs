//! Events as text: a line for the log, rungs of a ladder, a summary at the end.
//!
//! A sink turns events into bytes and does nothing else. It reads no clock, asks no terminal how wide it is, and
//! decides nothing about colour: all that is told to it. The [`View`](crate::view::View) that it reads has been
//! fed the same event just before.
//!
//! ```text
//!              ┌──▶ View ──┐
//! Engine ─Event┤           ├──▶ log::line, Ladder::event, summary::write ──▶ impl Write
//!              └───────────┘
//! ```

pub mod ladder;
pub mod log;
pub mod summary;

mod paint;
mod text;

/// What a terminal, or a file, can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    /// Columns. What is drawn for fewer than 60 needs 60 all the same.
    pub width: usize,
    /// Whether to use colours (ECMA-48 sequences).
    pub colour: bool,
    /// Whether to use more than ASCII.
    pub unicode: bool,
}
