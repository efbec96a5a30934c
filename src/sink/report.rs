//! One self-contained file about a run, for reading, printing and passing on.
//!
//! ```text
//!             ┌─▶ record (rows, path)  ─▶ ladder_layout ─▶ ladder_svg ┐
//! Event, View ┼─▶ figures (counts, RTT) ─────────────────▶ tables     ├─▶ html, svg, markdown, mermaid
//!             └─▶ points (seq, ack)     ─────────────────▶ sequence   ┘
//! ```
//!
//! Nothing is written before the run is over. What is kept until then is bounded: the first [`FLOWS`] flows in detail,
//! of each its first and its last [`HALF`] rows; the others are in the overview only. Files need no script and fetch
//! nothing; all text from outside is escaped.

#[cfg(test)]
pub(crate) mod contrast;
mod figures;
mod html;
mod ladder_layout;
mod ladder_svg;
mod markdown;
mod mermaid;
mod points;
mod record;
mod sequence_svg;
mod states_svg;
mod svg;

pub(crate) use svg::escape;

use super::Sink;
use crate::event::Event;
use crate::fault::RuleSet;
use crate::view::View;
use crate::words::Lang;
use record::Record;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;

/// How many flows are told in detail.
pub const FLOWS: usize = 20;
/// How many rows are kept of a flow's beginning, and as many of its end.
pub const HALF: usize = 100;

/// What kind of file a report is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Everything: overview, ladders, state diagrams, time-sequence graphs, tables.
    Html,
    /// The drawings alone, one below the other.
    Svg,
    /// Tables, the ladder as text, and a Mermaid diagram, for an issue.
    Markdown,
    /// A Mermaid `sequenceDiagram`.
    Mermaid,
}

impl Format {
    /// All kinds, each with the suffix by which it is chosen.
    pub const ALL: [(&'static str, Format); 4] = [
        ("html", Format::Html),
        ("svg", Format::Svg),
        ("md", Format::Markdown),
        ("mmd", Format::Mermaid),
    ];

    /// The kind that the suffix of `path` asks for, upper or lower case.
    ///
    /// # Errors
    ///
    /// There is no such suffix; the error lists those there are.
    pub fn of(path: &Path) -> Result<Format, UnknownSuffix> {
        let suffix = path.extension().map(|suffix| suffix.to_string_lossy());
        let known = suffix.as_ref().and_then(|suffix| {
            Format::ALL
                .iter()
                .find(|(known, _)| suffix.eq_ignore_ascii_case(known))
        });
        match known {
            Some((_, format)) => Ok(*format),
            None => Err(UnknownSuffix(suffix.unwrap_or_default().into_owned())),
        }
    }
}

/// The suffix of a file's name, without its dot, tells no kind of report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownSuffix(pub String);

impl fmt::Display for UnknownSuffix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_str() {
            "" => write!(f, "a report's name must end in one of")?,
            suffix => write!(f, "no report ends in .{suffix}; the suffixes are")?,
        }
        for (at, (known, _)) in Format::ALL.iter().enumerate() {
            write!(f, "{} .{known}", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownSuffix {}

/// Collects a run and writes it as one file at its end.
#[derive(Debug)]
pub struct Report<W> {
    out: W,
    format: Format,
    record: Record,
}

impl<W: Write> Report<W> {
    /// A report of the given kind; `out` is written to once, when the run is over. It is in `lang`.
    pub fn new(out: W, format: Format, lang: Lang) -> Report<W> {
        Report {
            out,
            format,
            record: Record::new(lang),
        }
    }
}

impl<W: Write> Sink for Report<W> {
    fn peers_are_asked(&mut self) {
        self.record.peers_are_asked();
    }

    fn rules_are(&mut self, rules: &RuleSet) {
        self.record.rules_are(rules);
    }

    fn event(&mut self, view: &View, event: &Event) -> io::Result<()> {
        self.record.event(view, event);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.record.flush();
        Ok(())
    }

    fn finish(&mut self, view: &View) -> io::Result<()> {
        self.record.finish();
        let text = match self.format {
            Format::Html => html::page(view, &self.record),
            Format::Svg => svg::file(
                &self.record.lang.report_title(),
                &html::drawings(view, &self.record),
            ),
            Format::Markdown => markdown::text(view, &self.record),
            Format::Mermaid => mermaid::diagram(view, &self.record),
        };
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests;
