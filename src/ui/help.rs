//! What the keys do, in the middle of the screen.

use super::app::{App, Pane};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{Block, Clear, Paragraph, Widget};

const WIDTH: u16 = 74;

pub(super) fn draw(app: &App, area: Rect, buf: &mut Buffer) {
    let look = app.setup.look;
    let text = [KEYS, command(app.setup.pane), LEGEND].concat();
    let rows = text.lines().count() as u16 + 2;
    let middle = Rect {
        x: area.x + (area.width - WIDTH) / 2,
        y: area.y + area.height.saturating_sub(rows) / 2,
        width: WIDTH,
        height: rows.min(area.height),
    };
    Clear.render(middle, buf);
    let block = Block::bordered()
        .title(" Help, any key closes it ")
        .border_style(look.strong());
    Paragraph::new(text).block(block).render(middle, buf);
}

fn command(pane: Pane) -> &'static str {
    match pane {
        Pane::None => "",
        Pane::Printed => " PgUp PgDn         scroll the command's output when its pane is chosen\n",
        Pane::Lines => " in the client     Enter sends the line, Ctrl-D ends the input\n",
        Pane::Terminal => " in the command    all keys but Tab, PgUp, PgDn go to it, Ctrl-C too\n",
    }
}

const KEYS: &str = " \
Tab, Shift-Tab    go to the next pane, the one before
 up down, k j      choose a connection, or a line of the ladder
 PgUp PgDn, g G    ten at once; the first; the newest, and follow
 Enter             from a connection to its ladder
 f, Space          freeze the ladder, let it go on
 /                 show only connections with these words: address, port,
                   state, service, number; Enter keeps it, Esc ends it
 q, Ctrl-C         leave; while a command runs, a second one ends the
                   command, and a third one kills it
";

const LEGEND: &str = "
 Left is the peer, right is tcplab; a state stands where it is entered.
 Ours is read from the stack, the peer's inferred, or its kernel's word.
 Numbers count from the initial ones; S F R P are SYN FIN RST PSH, the
 dot is ACK. In the diagram, bold states are those tcplab has been in.
";
