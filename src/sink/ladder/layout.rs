//! Where things stand on a line, and how they are drawn.

use crate::event::{Direction, FlowId};
use crate::sink::Screen;
use crate::sink::mark::End;
use crate::sink::paint::Paint;
use crate::sink::text::{pad, wrap, wrap_sentence};
use crate::state::TcpState;
use smoltcp::time::Duration;
use unicode_width::UnicodeWidthStr;

/// The longest name of a state: SYN-RECEIVED.
const STATE: usize = 12;
/// `0.000123`, `59.99999`: seconds with as many decimals as fit.
const TIME: usize = 8;
/// What an arrow has besides its text: `── ` before it, ` ─▶` after it.
const ARROW: usize = 6;
/// Narrower than this nothing can be read any more, and wider than that an arrow is only long.
const WIDTHS: std::ops::RangeInclusive<usize> = 60..=132;

/// How everything is drawn on one kind of terminal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    screen: Screen,
    /// The columns that the longest tag so far takes.
    tag: usize,
    glyphs: &'static Glyphs,
}

/// The signs that are not ASCII, or what stands for them.
#[derive(Debug)]
pub(super) struct Glyphs {
    dash: &'static str,
    right: &'static str,
    left: &'static str,
    lost: &'static str,
    waits_left: &'static str,
    waits_right: &'static str,
    pub(super) becomes: &'static str,
    remark: &'static str,
}

const UNICODE: Glyphs = Glyphs {
    dash: "─",
    right: "▶",
    left: "◀",
    lost: "✗",
    waits_left: "├",
    waits_right: "┤",
    becomes: "→",
    remark: "↳ ",
};

const ASCII: Glyphs = Glyphs {
    dash: "-",
    right: ">",
    left: "<",
    lost: "x",
    waits_left: "|",
    waits_right: "|",
    becomes: "->",
    remark: "| ",
};

/// One packet on the ladder.
#[derive(Clone, Debug)]
pub(super) struct Rung {
    pub(super) flow: FlowId,
    pub(super) time: Duration,
    pub(super) direction: Direction,
    /// The states that the two ends enter with it.
    pub(super) peer: Option<TcpState>,
    pub(super) local: Option<TcpState>,
    /// What is to be said below the peer's state.
    pub(super) kernel: Option<String>,
    /// What stands on the arrow, the most important first; what finds no room stands below.
    pub(super) items: Vec<String>,
    /// How the items are painted.
    pub(super) paint: Paint,
    pub(super) end: End,
    /// Small print that always stands below.
    pub(super) below: Vec<String>,
}

impl Layout {
    pub(super) fn new(screen: Screen) -> Layout {
        Layout {
            screen: Screen {
                width: screen.width.clamp(*WIDTHS.start(), *WIDTHS.end()),
                ..screen
            },
            tag: 2,
            glyphs: if screen.unicode { &UNICODE } else { &ASCII },
        }
    }

    pub(super) fn glyphs(&self) -> &'static Glyphs {
        self.glyphs
    }

    /// Makes room for the tag of `flow`; lines drawn before keep theirs.
    pub(super) fn make_room(&mut self, flow: FlowId) {
        self.tag = self.tag.max(flow.to_string().len());
    }

    /// Where the column of the peer begins.
    fn left(&self) -> usize {
        TIME + 1 + self.tag + 1
    }

    /// Where the arrows begin.
    fn arrow(&self) -> usize {
        self.left() + STATE + 1
    }

    fn arrow_width(&self) -> usize {
        self.screen.width - self.arrow() - 1 - STATE
    }

    /// The columns for text that stands below an arrow.
    pub(super) fn below_width(&self) -> usize {
        self.screen.width - self.arrow()
    }

    fn paint(&self, paint: Paint, text: &str) -> String {
        paint.apply(text, self.screen.colour)
    }

    /// Time and tag, with which every line begins that something happened on.
    fn margin(&self, flow: Option<FlowId>, time: Option<Duration>) -> String {
        let time = time.map_or(String::new(), seconds);
        let time = self.paint(Paint::Dim, &format!("{time:>TIME$}"));
        let tag = flow.map_or(String::new(), |flow| flow.to_string());
        let tag = pad(&tag, self.tag);
        let tag = flow.map_or(tag.clone(), |flow| self.paint(Paint::Flow(flow), &tag));
        format!("{time} {tag} ")
    }

    /// A packet: its arrow, and what finds no room on it.
    pub(super) fn rung(&self, rung: &Rung) -> Vec<String> {
        let room = self.arrow_width() - ARROW;
        let mut texts = fill(&rung.items, room, self.below_width()).into_iter();
        let on_arrow = texts.next().unwrap_or_default();

        let state = |state: Option<TcpState>| state.map_or("", TcpState::name);
        let mut lines = vec![format!(
            "{}{} {} {}",
            self.margin(Some(rung.flow), Some(rung.time)),
            pad(state(rung.peer), STATE),
            self.draw(rung, &on_arrow),
            self.paint(Paint::Bold, state(rung.local)),
        )];
        if let Some(kernel) = &rung.kernel {
            let indent = " ".repeat(self.left());
            lines.push(format!("{indent}{}", self.paint(Paint::Dim, kernel)));
        }
        lines.extend(texts.map(|text| self.below(rung.paint, &text)));
        for text in &rung.below {
            let parts = wrap_sentence(text, self.below_width());
            lines.extend(parts.iter().map(|part| self.below(Paint::Dim, part)));
        }
        lines
    }

    fn draw(&self, rung: &Rung, text: &str) -> String {
        let Glyphs {
            dash,
            right,
            left,
            lost,
            waits_left,
            waits_right,
            ..
        } = self.glyphs;
        let rest = dash.repeat(self.arrow_width() - ARROW + 1 - text.width());
        let (head_left, head_right, line) = match rung.end {
            End::Head => (left, right, Paint::Flow(rung.flow)),
            End::Lost => (lost, lost, Paint::Red),
            End::Waits => (waits_left, waits_right, Paint::Yellow),
        };
        let (start, end) = match rung.direction {
            Direction::In => (dash.repeat(2), format!("{rest}{head_right}")),
            Direction::Out => (format!("{head_left}{dash}"), format!("{rest}{dash}")),
        };
        format!(
            "{} {} {}",
            self.paint(line, &start),
            self.paint(rung.paint, text),
            self.paint(line, &end)
        )
    }

    /// A line under an arrow.
    fn below(&self, paint: Paint, text: &str) -> String {
        format!("{}{}", " ".repeat(self.arrow()), self.paint(paint, text))
    }

    /// Our end changes its state without a packet: on the right, where our state stands.
    pub(super) fn change(&self, flow: FlowId, time: Duration, text: &str) -> String {
        let margin = self.margin(Some(flow), Some(time));
        // It ends where the right column ends, and begins further left.
        let room = self.screen.width - self.left();
        let blanks = " ".repeat(room.saturating_sub(text.width()));
        format!("{margin}{blanks}{}", self.paint(Paint::Bold, text))
    }

    /// Something said about a flow, over the whole width.
    pub(super) fn say(
        &self,
        flow: Option<FlowId>,
        time: Option<Duration>,
        paint: Paint,
        text: &str,
    ) -> Vec<String> {
        let mut margin = self.margin(flow, time);
        let mut lines = Vec::new();
        for part in wrap_sentence(text, self.screen.width - self.left()) {
            lines.push(format!("{margin}{}", self.paint(paint, &part)));
            margin = " ".repeat(self.left());
        }
        lines
    }

    /// The heads of the two columns, or the states with which they begin.
    pub(super) fn columns(&self, left: &str, right: &str, paint: Paint) -> String {
        let gap = self.screen.width - STATE.max(right.width()) - self.left();
        format!(
            "{}{}{}",
            " ".repeat(self.left()),
            self.paint(paint, &pad(left, gap)),
            self.paint(paint, right)
        )
    }

    /// Whether the two heads find room beside each other.
    pub(super) fn has_room(&self, left: &str, right: &str) -> bool {
        left.width() + 1 + STATE.max(right.width()) <= self.screen.width - self.left()
    }

    /// A remark that explains the line above.
    pub(super) fn remark(&self, text: &str) -> Vec<String> {
        let mut marker = self.glyphs.remark;
        let indent = " ".repeat(self.left());
        let mut lines = Vec::new();
        for part in wrap_sentence(text, self.screen.width - self.left() - 2) {
            let text = format!("{marker}{part}");
            lines.push(format!("{indent}{}", self.paint(Paint::Dim, &text)));
            marker = "  ";
        }
        lines
    }
}

/// Puts `items` on lines, the first of `first` columns and the others of `others`. An item is broken only where
/// it is longer than a whole line.
fn fill(items: &[String], first: usize, others: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for item in items {
        let room = if lines.len() == 1 { first } else { others };
        if let Some(line) = lines.last_mut() {
            if line.is_empty() && item.width() <= room {
                line.push_str(item);
                continue;
            }
            if !line.is_empty() && line.width() + 1 + item.width() <= room {
                line.push(' ');
                line.push_str(item);
                continue;
            }
        }
        // Options break after a comma, everything else between words.
        let separator = if item.starts_with('<') { ',' } else { ' ' };
        lines.extend(wrap(item, others, |char| char == separator));
    }
    lines
}

fn seconds(time: Duration) -> String {
    let micros = time.total_micros();
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    let whole = text.find('.').unwrap_or(text.len());
    text[..text.len().min(TIME.max(whole))].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_keep_their_width() {
        for (micros, expected) in [
            (123, "0.000123"),
            (59_999_999, "59.99999"),
            (600_000_001, "600.0000"),
            (1_234_567_000_000, "1234567."),
            (12_345_678_900_000, "12345678"),
        ] {
            assert_eq!(seconds(Duration::from_micros(micros)), expected);
        }
    }
}
