//! The state diagram of RFC 9293, figure 5, lying on its side, with the states of both ends lit.

use super::look::Look;
use crate::state::TcpState;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Rows that the diagram takes.
pub(super) const HEIGHT: u16 = 6;
/// Columns that it takes.
pub(super) const WIDTH: u16 = 80;

/// As the RFC's figure, it leaves out RST, ABORT, and FIN-WAIT-1 to TIME-WAIT where one segment brings both the ACK and the
/// FIN. Each state has room below for who is in it.
const PICTURE: [&str; 5] = [
    "┌▶LISTEN─▶ SYN-RECEIVED─┬────CLOSE─────┬▶ FIN-WAIT-1─┬▶ FIN-WAIT-2─┐            ",
    "│                    ▲  │              │             │             │            ",
    "│                    │  └▶ ESTABLISHED─┤             └▶ CLOSING────┴▶ TIME-WAIT┐",
    "│                    │  ▲              │                                       │",
    "└─CLOSED─▶ SYN-SENT──┴──┘              └▶ CLOSE-WAIT──▶ LAST-ACK────▶ CLOSED◀──┘",
];

/// Who is where.
pub(super) struct Lit<'a> {
    pub(super) peer: TcpState,
    pub(super) local: TcpState,
    /// What the peer, our end, and both are called.
    pub(super) names: [String; 3],
    /// Whether CLOSED is where a connection ends, not where it begins.
    pub(super) over: bool,
    /// Whether our end has been in a state.
    pub(super) visited: &'a dyn Fn(TcpState) -> bool,
}

/// Draws it in the middle of `area`, which has room for it.
pub(super) fn draw(area: Rect, buf: &mut Buffer, lit: Option<Lit<'_>>, look: Look) {
    let left = area.x + area.width.saturating_sub(WIDTH) / 2;
    for (row, text) in (area.y..area.bottom()).zip(PICTURE) {
        buf.set_stringn(left, row, text, area.width.into(), look.faint());
    }
    let Some(lit) = lit else { return };
    for state in TcpState::ALL {
        let (column, row) = place(state, lit.over);
        let (x, y) = (left + column, area.y + row);
        if y + 1 >= area.bottom() {
            continue;
        }
        let [peer, ours, both] = &lit.names;
        let (who, style) = match (lit.local == state, lit.peer == state) {
            (true, true) => (both.as_str(), look.both()),
            (true, false) => (ours.as_str(), look.local()),
            (false, true) => (peer.as_str(), look.peer()),
            (false, false) if (lit.visited)(state) => ("", look.strong()),
            (false, false) => continue,
        };
        buf.set_stringn(x, y, state.name(), area.width.into(), style);
        let who_style = if who.is_empty() {
            Style::new()
        } else {
            look.strong()
        };
        buf.set_stringn(x, y + 1, who, area.width.into(), who_style);
    }
}

/// Column and row of a state's name. CLOSED stands in two places.
fn place(state: TcpState, over: bool) -> (u16, u16) {
    let found = PICTURE.iter().zip(0..).find_map(|(line, row)| {
        let byte = match state {
            TcpState::Closed if over => line.rfind(state.name()),
            _ => line.find(state.name()),
        }?;
        Some((line[..byte].chars().count() as u16, row))
    });
    // The test shows that all of them are there.
    found.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_its_place_and_room_below() {
        let cells: Vec<Vec<char>> = PICTURE.iter().map(|line| line.chars().collect()).collect();
        for line in &cells {
            assert_eq!(line.len(), usize::from(WIDTH));
        }
        for state in TcpState::ALL {
            for over in [false, true] {
                let (column, row) = place(state, over);
                let (column, row) = (usize::from(column), usize::from(row));
                let name: String = cells[row][column..]
                    .iter()
                    .take(state.name().len())
                    .collect();
                assert_eq!(name, state.name());
                // Only LISTEN and the CLOSED above which it stands can't be left and entered by both ends at once.
                let label = if state == TcpState::Listen { 6 } else { 9 };
                let below = cells.get(row + 1).map(|line| &line[column..column + label]);
                assert!(
                    below.is_none_or(|below| below.iter().all(|&cell| cell == ' ')),
                    "{state}: {below:?}"
                );
            }
        }
    }
}
