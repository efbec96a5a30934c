//! Events as bytes: a line for the log, rungs of a ladder, a summary at the end, JSON lines, a capture.
//!
//! A sink turns events into bytes and does nothing else. It reads no clock, asks no terminal how wide it is, and
//! decides nothing about colour: all that is told to it. The [`View`] that it reads has been
//! fed the same event just before.
//!
//! ```text
//!              ┌──▶ View ──┐
//! Engine ─Event┤           ├──▶ log::line, Ladder, Story, summary::write, JsonLines, … ──▶ impl Write
//!              └───────────┘
//! ```

use crate::event::Event;
use crate::fault::RuleSet;
use crate::view::View;
use std::io;

pub mod defect;
pub mod jsonl;
pub mod ladder;
pub mod log;
pub mod metrics;
pub mod pcapng;
pub mod report;
pub mod story;
pub mod summary;

pub(crate) mod mark;
mod paint;
pub(crate) mod text;

/// Something that keeps what happens, in a file or elsewhere.
///
/// A sink that fails is told about, taken out, and the run goes on.
pub trait Sink {
    /// From now on the peers' kernels are asked about their states, as far as they can be.
    fn peers_are_asked(&mut self) {}

    /// Packets are interfered with by these rules.
    fn rules_are(&mut self, _rules: &RuleSet) {}

    /// Takes in one event. `view` has been fed with it just before.
    ///
    /// # Errors
    /// Those of whatever is written to.
    fn event(&mut self, view: &View, event: &Event) -> io::Result<()>;

    /// Nothing more happens for now: what was taken in shall become visible.
    ///
    /// # Errors
    /// Those of whatever is written to.
    fn flush(&mut self) -> io::Result<()>;

    /// The run is over. Nothing is called after this.
    ///
    /// # Errors
    /// Those of whatever is written to.
    fn finish(&mut self, view: &View) -> io::Result<()>;
}

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
