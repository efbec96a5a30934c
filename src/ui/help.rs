//! What the keys do: in one row below everything, and whole in the middle of the screen.

use super::app::{App, Focus, Pane};
use crate::sink::text;
use crate::words::Lang;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{Block, Clear, Paragraph, Widget};

const WIDTH: u16 = 74;
/// Where it is told what a key does.
const INDENT: usize = 19;

/// The keys that matter most just now.
pub(super) fn row(app: &App) -> String {
    let lang = app.setup.lang;
    let arrows = app.setup.look.sign("↑↓", "jk");
    let (pane, scroll) = (lang.key_pane(), lang.key_scroll());
    let general = [
        ("?", lang.key_help()),
        ("q", lang.key_quit()),
        ("Tab", pane.clone()),
    ];
    let keys: Vec<(&str, String)> = match (app.focus, app.setup.pane) {
        (Focus::Connections | Focus::Ladder, _) if !app.waiting.is_empty() => vec![
            ("", lang.key_waiting(app.waiting.iter().len())),
            ("p", lang.key_pass()),
            ("d", lang.key_drop()),
            ("D", lang.key_twice()),
            ("e", lang.key_edit()),
            ("n", lang.key_next()),
            ("s", lang.key_all()),
            (":", lang.key_order()),
            ("?", lang.key_help()),
        ],
        (Focus::Connections, _) => {
            let own = [
                (arrows, lang.key_connection()),
                ("Enter", lang.key_ladder()),
                ("/", lang.key_filter()),
                ("f", lang.key_freeze()),
            ];
            general.into_iter().chain(own).collect()
        }
        (Focus::Ladder, _) => {
            let own = [
                (arrows, lang.key_line()),
                ("g", lang.key_first()),
                ("G", lang.key_newest()),
                ("f", lang.key_freeze()),
                ("/", lang.key_filter()),
            ];
            general.into_iter().chain(own).collect()
        }
        (Focus::Command, Pane::Terminal) => vec![
            ("Tab", pane),
            ("PgUp PgDn", scroll),
            ("", lang.key_others()),
        ],
        (Focus::Command, Pane::Lines) => vec![
            ("Tab", pane),
            ("PgUp PgDn", scroll),
            ("Enter", lang.key_send()),
            ("Ctrl-D", lang.key_end_input()),
        ],
        (Focus::Command, _) => {
            let own = [(arrows, String::new()), ("PgUp PgDn", scroll)];
            general.into_iter().chain(own).collect()
        }
    };
    let keys: Vec<String> = keys
        .iter()
        .map(|(key, what)| format!("{key} {what}").trim().to_owned())
        .collect();
    keys.join("  ")
}

pub(super) fn draw(app: &App, area: Rect, buf: &mut Buffer) {
    let (look, lang) = (app.setup.look, app.setup.lang);
    let lines = lines(app);
    let rows = lines.len() as u16 + 2;
    let middle = Rect {
        x: area.x + (area.width - WIDTH) / 2,
        y: area.y + area.height.saturating_sub(rows) / 2,
        width: WIDTH,
        height: rows.min(area.height),
    };
    Clear.render(middle, buf);
    let block = Block::bordered()
        .title(format!(" {} ", lang.help_title()))
        .border_style(look.strong());
    Paragraph::new(lines.join("\n"))
        .block(block)
        .render(middle, buf);
}

fn lines(app: &App) -> Vec<String> {
    let lang = app.setup.lang;
    let arrows = match lang {
        Lang::En => "up down, k j",
        Lang::Zh => "↑ ↓, k j",
    };
    let quit = match app.setup.pane {
        Pane::None => lang.help_quit(),
        _ => lang.help_quit_command(),
    };
    let mut keys = vec![
        ("Tab, Shift-Tab".to_owned(), lang.help_pane()),
        (arrows.to_owned(), lang.help_choose()),
        ("PgUp PgDn, g G".to_owned(), lang.help_far()),
        ("Enter".to_owned(), lang.help_enter()),
        (format!("f, {}", lang.space_bar()), lang.help_freeze()),
        ("/".to_owned(), lang.help_filter()),
        ("q, Ctrl-C".to_owned(), quit),
    ];
    if !app.setup.is_capture {
        keys.extend([
            ("s".to_owned(), lang.help_step()),
            ("p, d, D, e, n".to_owned(), lang.help_waiting()),
            (
                ":".to_owned(),
                lang.help_order("d 7, c until FIN, copies pass"),
            ),
        ]);
    }
    keys.extend(match app.setup.pane {
        Pane::None => None,
        Pane::Printed => Some(("PgUp PgDn".to_owned(), lang.help_scroll())),
        Pane::Lines => Some((lang.in_the_client(), lang.help_lines())),
        Pane::Terminal => Some((lang.in_the_command(), lang.help_terminal())),
    });
    let width = usize::from(WIDTH) - 3;
    let mut lines = Vec::new();
    for (key, what) in keys {
        let mut key = format!(" {key}");
        for part in text::wrap_sentence(&what, width - INDENT) {
            lines.push(text::pad(&key, INDENT) + &part);
            key.clear();
        }
    }
    lines.push(String::new());
    let sides = match app.setup.is_capture {
        true => lang.legend_sides_of_capture(),
        false => lang.legend_sides(),
    };
    for legend in [sides, lang.legend_numbers()] {
        let parts = text::wrap_sentence(&legend, width);
        lines.extend(parts.iter().map(|part| format!(" {part}")));
    }
    lines
}
