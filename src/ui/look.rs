//! Colours and weights. Backgrounds are the terminal's own, so both light and dark ones do; whatever matters is also said
//! without colour.

use crate::event::FlowId;
use ratatui::style::{Color, Modifier, Style};

/// What the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Whether to use colours (the first eight of ECMA-48).
    pub colour: bool,
    /// Whether to use more than ASCII.
    pub unicode: bool,
}

impl Look {
    fn fg(self, colour: Color) -> Style {
        if self.colour {
            Style::new().fg(colour)
        } else {
            Style::new()
        }
    }

    /// Reversed, in a colour: what stands out most.
    fn lit(self, colour: Color) -> Style {
        self.chosen().patch(self.strong()).patch(self.fg(colour))
    }

    /// What matters.
    pub(super) fn strong(self) -> Style {
        Style::new()
            .add_modifier(Modifier::BOLD)
            .remove_modifier(Modifier::DIM)
    }

    /// Neither, over what may be faint.
    pub(super) fn plain(self) -> Style {
        Style::new().remove_modifier(Modifier::DIM)
    }

    /// What is only there for order.
    pub(super) fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// The one that was chosen.
    pub(super) fn chosen(self) -> Style {
        Style::new()
            .fg(Color::Reset)
            .add_modifier(Modifier::REVERSED)
            .remove_modifier(Modifier::DIM)
    }

    /// What went wrong.
    pub(super) fn bad(self) -> Style {
        self.fg(Color::Red)
    }

    /// What deserves a look.
    pub(super) fn warn(self) -> Style {
        // Yellow can't be read on white.
        self.fg(Color::Magenta)
    }

    /// Our end.
    pub(super) fn local(self) -> Style {
        self.lit(Color::Green)
    }

    /// The other end.
    pub(super) fn peer(self) -> Style {
        self.lit(Color::Blue)
    }

    /// Both in the same state.
    pub(super) fn both(self) -> Style {
        self.lit(Color::Cyan)
    }

    /// The colour that tells a flow from its neighbours.
    pub(super) fn flow(self, FlowId(id): FlowId) -> Style {
        self.fg([Color::Cyan, Color::Green, Color::Blue][(id % 3) as usize])
    }

    /// The sign itself where the terminal has it, and otherwise something in ASCII for it.
    pub(super) fn sign(self, sign: &'static str, ascii: &'static str) -> &'static str {
        if self.unicode { sign } else { ascii }
    }
}

/// The nearest there is in ASCII.
pub(super) fn ascii(symbol: &str) -> &'static str {
    match symbol {
        "─" => "-",
        "│" => "|",
        "▶" | "▸" | "→" => ">",
        "◀" | "←" => "<",
        "▲" | "↑" => "^",
        "▼" | "↓" => "v",
        "✗" => "x",
        "…" => "~",
        "·" => "*",
        "┌" | "┐" | "└" | "┘" | "├" | "┤" | "┬" | "┴" | "┼" => "+",
        _ => "?",
    }
}
