//! What the keys do, in the middle of the screen.

use super::app::{App, Pane};
use crate::words::Lang;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{Block, Clear, Paragraph, Widget};

const WIDTH: u16 = 74;

pub(super) fn draw(app: &App, area: Rect, buf: &mut Buffer) {
    let (look, lang) = (app.setup.look, app.setup.lang);
    let legend = match app.setup.is_capture {
        true => lang.help_legend_of_capture(),
        false => lang.help_legend(),
    };
    let stepping = match app.setup.is_capture {
        true => String::new(),
        false => lang.help_stepping("d 7, dup 3, c until FIN"),
    };
    let command = command(lang, app.setup.pane);
    let text = [lang.help_keys(), stepping, command, legend].concat();
    let rows = text.lines().count() as u16 + 2;
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
    Paragraph::new(text).block(block).render(middle, buf);
}

fn command(lang: Lang, pane: Pane) -> String {
    match pane {
        Pane::None => String::new(),
        Pane::Printed => lang.help_printed(),
        Pane::Lines => lang.help_lines(),
        Pane::Terminal => lang.help_terminal(),
    }
}
