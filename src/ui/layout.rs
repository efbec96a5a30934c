//! Where the panes are.
//!
//! ```text
//!   80 × 24              44 rows and more      160 columns and more
//!   head                 head                  head
//!   connections          connections           connections  │ diagram
//!   ladder               ladder                ladder       │ segment
//!   diagram or segment   diagram               ladder       │ command
//!   command              segment               keys
//!   keys                 command
//!                        keys
//! ```
//!
//! On a small screen the diagram is there while connections are chosen, the segment while the ladder is and only the chosen
//! connection is shown, and the command takes the place of both while it has the keys.

use super::app::Focus;
use super::diagram;
use ratatui::layout::Rect;

/// Columns and rows that the screen needs.
pub(super) const LEAST: (u16, u16) = (80, 24);

/// From so many columns on there are two columns of panes.
const WIDE: u16 = 160;
/// From so many rows on diagram and segment are both there.
const TALL: u16 = 44;
/// Title, picture and what it says below.
const DIAGRAM: u16 = 1 + diagram::HEIGHT + 1;

/// The panes, their titles included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Areas {
    pub(super) head: Rect,
    pub(super) connections: Rect,
    pub(super) ladder: Rect,
    pub(super) diagram: Option<Rect>,
    pub(super) detail: Option<Rect>,
    pub(super) command: Option<Rect>,
    pub(super) keys: Rect,
}

/// Divides `area`, which is at least as large as [`LEAST`].
pub(super) fn divide(area: Rect, focus: Focus, has_command: bool) -> Areas {
    let mut rest = area;
    let head = cut_top(&mut rest, 1);
    let keys = cut_bottom(&mut rest, 1);
    let mut areas = Areas {
        head,
        keys,
        ..Areas::default()
    };
    if area.width >= WIDE {
        let right = diagram::WIDTH + 1;
        let mut left = rest;
        left.width -= right;
        rest.x += left.width + 1;
        rest.width = right - 1;
        areas.connections = cut_top(&mut left, (area.height / 4).max(4));
        areas.ladder = left;
        areas.diagram = Some(cut_top(&mut rest, DIAGRAM));
        if has_command {
            let half = rest.height / 2;
            areas.command = Some(cut_bottom(&mut rest, half));
        }
        areas.detail = Some(rest);
        return areas;
    }
    let is_tall = area.height >= TALL;
    let rows = match focus {
        _ if is_tall => area.height / 6,
        Focus::Connections => 4,
        Focus::Ladder | Focus::Command => 2,
    };
    areas.connections = cut_top(&mut rest, rows);
    if has_command {
        let rows = match (focus, is_tall) {
            (Focus::Command, true) => 10,
            (_, true) => 6,
            (Focus::Command, false) => DIAGRAM + 3,
            (Focus::Connections, false) => 3,
            (Focus::Ladder, false) => 2,
        };
        areas.command = Some(cut_bottom(&mut rest, rows));
    }
    if is_tall {
        areas.detail = Some(cut_bottom(&mut rest, 10));
        areas.diagram = Some(cut_bottom(&mut rest, DIAGRAM));
    } else {
        match focus {
            Focus::Connections => areas.diagram = Some(cut_bottom(&mut rest, DIAGRAM)),
            Focus::Ladder => areas.detail = Some(cut_bottom(&mut rest, DIAGRAM + 3)),
            Focus::Command => {}
        }
    }
    areas.ladder = rest;
    areas
}

fn cut_top(rest: &mut Rect, rows: u16) -> Rect {
    let part = Rect {
        height: rows,
        ..*rest
    };
    rest.y += rows;
    rest.height -= rows;
    part
}

fn cut_bottom(rest: &mut Rect, rows: u16) -> Rect {
    rest.height -= rows;
    Rect {
        y: rest.bottom(),
        height: rows,
        ..*rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panes_fill_the_screen_and_never_overlap() {
        for width in [80, 100, 159, 160, 200, 400] {
            for height in [24, 25, 30, 43, 44, 50, 120] {
                for focus in [Focus::Connections, Focus::Ladder, Focus::Command] {
                    for has_command in [false, true] {
                        let area = Rect::new(0, 0, width, height);
                        check(area, divide(area, focus, has_command));
                    }
                }
            }
        }
    }

    #[track_caller]
    fn check(area: Rect, areas: Areas) {
        let Areas {
            head,
            connections,
            ladder,
            keys,
            ..
        } = areas;
        let mut panes = vec![head, connections, ladder, keys];
        panes.extend(areas.diagram);
        panes.extend(areas.detail);
        panes.extend(areas.command);
        let mut cells = 0;
        for (index, pane) in panes.iter().enumerate() {
            assert_eq!(area.intersection(*pane), *pane, "{areas:?}");
            assert!(panes[..index].iter().all(|other| !other.intersects(*pane)));
            cells += pane.area();
        }
        // Between two columns one is left free.
        let gap = if area.width >= WIDE {
            u32::from(area.height) - 2
        } else {
            0
        };
        assert_eq!(cells + gap, area.area(), "{areas:?}");
        assert!(ladder.height >= 6 && connections.height >= 2, "{areas:?}");
    }
}
