//! Everything on the screen, pane by pane.

use super::app::{App, Focus, Pane};
use super::diagram::{self, Lit};
use super::help;
use super::layout::{LEAST, divide};
use super::look::ascii;
use super::{detail, ladder};
use crate::event::Transport;
use crate::sink::text;
use crate::view::{Basis, Flow, Ours, Traffic};
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line as Row, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Widget, Wrap};
use unicode_width::UnicodeWidthStr;

impl App {
    /// Draws the whole screen.
    pub fn draw(&self, frame: &mut Frame<'_>) {
        let area = frame.area();
        let buf = frame.buffer_mut();
        let mut cursor = None;
        if area.width < LEAST.0 || area.height < LEAST.1 {
            self.too_small(area, buf);
        } else {
            let areas = divide(area, self.focus, self.setup.pane != Pane::None);
            self.head(areas.head, buf);
            self.connections(areas.connections, buf);
            self.ladder(areas.ladder, buf);
            if let Some(area) = areas.diagram {
                self.diagram(area, buf);
            }
            if let Some(area) = areas.detail {
                self.detail(area, buf);
            }
            if let Some(area) = areas.command {
                cursor = self.command_pane(area, buf);
            }
            if let Some(typing) = self.keys(areas.keys, buf) {
                cursor = Some(typing);
            }
            if self.help {
                help::draw(self, area, buf);
                cursor = None;
            }
        }
        if !self.setup.look.unicode {
            for cell in &mut buf.content {
                if !cell.symbol().is_ascii() {
                    cell.set_symbol(ascii(cell.symbol()));
                }
            }
        }
        settle_wide(buf);
        if let Some(cursor) = cursor {
            frame.set_cursor_position(cursor);
        }
    }

    /// Columns and rows of the command's pane while it has the keys.
    pub fn pane_size(&self, area: Rect) -> (u16, u16) {
        let fits = area.width >= LEAST.0 && area.height >= LEAST.1;
        let area = if fits {
            area
        } else {
            Rect::new(0, 0, LEAST.0, LEAST.1)
        };
        let pane = divide(area, Focus::Command, true).command.unwrap_or(area);
        (pane.width, pane.height - 1)
    }

    fn too_small(&self, area: Rect, buf: &mut Buffer) {
        let (columns, rows) = LEAST;
        let lang = self.setup.lang;
        let text = lang.screen_too_small(columns, rows, area.width, area.height);
        Paragraph::new(text)
            .wrap(Wrap { trim: true })
            .render(area, buf);
    }

    fn head(&self, area: Rect, buf: &mut Buffer) {
        let totals = self.view.totals();
        let open = self
            .view
            .flows()
            .filter(|flow| flow.closed_at.is_none())
            .count();
        let rate = self.rates.now();
        let (look, lang) = (self.setup.look, self.setup.lang);
        let way = |traffic: &Traffic, packets, bytes, has_room: bool| {
            let sum = match has_room {
                true if traffic.packets == 1 => lang.head_packet() + " ",
                true => lang.head_packets(short(traffic.packets)) + " ",
                false => String::new(),
            };
            let rates = lang.head_rates(short(packets), size(bytes));
            format!("{sum}{} {rates}", size(traffic.bytes))
        };
        let resent = match totals.received.retransmissions + totals.sent.retransmissions {
            0 => String::new(),
            resent => format!(" | {}", lang.head_resent(short(resent))),
        };
        let counters = |has_room| {
            let received = way(&totals.received, rate.packets_in, rate.bytes_in, has_room);
            let sent = way(&totals.sent, rate.packets_out, rate.bytes_out, has_room);
            format!(
                "{} | {} | {}{resent}",
                lang.head_flows(short(totals.connections), short(totals.exchanges), open),
                lang.head_in(received),
                lang.head_out(sent),
            )
        };
        let mut spans = vec![Span::styled(" tcplab ", look.strong())];
        if self.lost > 0 {
            // What is missing matters more than what is there.
            let lost = lang.events_lost(short(self.lost)) + " ";
            spans.push(Span::styled(lost, look.bad()));
        }
        let room = usize::from(area.width).saturating_sub(Row::from(spans.clone()).width());
        let bytes = |sum, rate| format!("{} {}", size(sum), lang.head_rate(size(rate)));
        let texts = [
            format!("{} | {}", self.setup.title, counters(true)),
            counters(true),
            counters(false),
            format!(
                "{} | {} | {}",
                lang.head_open(open),
                lang.head_in(bytes(totals.received.bytes, rate.bytes_in)),
                lang.head_out(bytes(totals.sent.bytes, rate.bytes_out)),
            ),
        ];
        let fits = texts.iter().find(|text| text.width() <= room);
        let text = fits.unwrap_or(&texts[3]);
        spans.push(Span::raw(ladder::cut(text, room, look)));
        buf.set_line(area.x, area.y, &Row::from(spans), area.width);
        buf.set_style(area, look.chosen());
    }

    fn connections(&self, area: Rect, buf: &mut Buffer) {
        let (look, lang) = (self.setup.look, self.setup.lang);
        let flows = self.flows();
        let all = self.view.flows().len();
        let title = match self.filter.as_str() {
            "" if self.setup.is_capture => lang.connections_of_capture(flows.len()),
            "" => lang.connections_title(flows.len()),
            filter => lang.connections_filtered(flows.len(), all, filter),
        };
        let inside = self.pane(area, &title, self.focus == Focus::Connections, buf);
        if flows.is_empty() {
            let text = match all {
                0 => lang.nothing_yet(),
                _ => lang.nothing_matches(),
            };
            buf.set_stringn(
                inside.x + 1,
                inside.y,
                text,
                area.width.into(),
                look.faint(),
            );
            return;
        }
        let rows = usize::from(inside.height);
        let shown = self.flow().map(|flow| flow.id);
        let at = flows.iter().position(|flow| Some(flow.id) == shown);
        let first = at
            .unwrap_or(0)
            .saturating_sub(rows / 2)
            .min(flows.len().saturating_sub(rows));
        for (y, flow) in (inside.y..inside.bottom()).zip(&flows[first..]) {
            let is_shown = Some(flow.id) == shown;
            let row = self.connection(flow, inside.width.into());
            let style = match flow.closed_at {
                Some(_) => look.faint(),
                None => Style::new(),
            };
            buf.set_stringn(inside.x, y, row, inside.width.into(), style);
            if is_shown {
                let line = Rect {
                    y,
                    height: 1,
                    ..inside
                };
                buf.set_style(line, look.strong());
                if self.focus == Focus::Connections {
                    buf.set_style(line, look.chosen());
                }
            }
        }
    }

    /// Number, service, peer, both states, time in ours, bytes each way.
    fn connection(&self, flow: &Flow, width: usize) -> String {
        let (look, lang) = (self.setup.look, self.setup.lang);
        let until = flow.closed_at.unwrap_or(self.now);
        let since = until.max(flow.in_state_since()) - flow.in_state_since();
        let (peer_state, state) = match flow.transport {
            Transport::Tcp => (flow.peer_end().0.name(), flow.state.name().to_owned()),
            Transport::Udp if flow.closed_at.is_some() => ("udp", lang.flow_over()),
            Transport::Udp => ("udp", String::new()),
        };
        let state = text::pad(&state, 12);
        let peer_width = (width - 59).clamp(21, 48);
        let peer = ladder::cut(&flow.peer.to_string(), peer_width, look);
        let service = ladder::cut(flow.service, 8, look);
        format!(
            "{:>4} {peer:<peer_width$} {peer_state:<12} {state} {:>6} {:>11} {service}",
            flow.id.to_string(),
            age(since),
            format!("{}/{}", size(flow.received.bytes), size(flow.sent.bytes)),
        )
    }

    fn ladder(&self, area: Rect, buf: &mut Buffer) {
        let lang = self.setup.lang;
        let Some(flow) = self.flow() else {
            self.pane(area, &lang.ladder_empty(), self.focus == Focus::Ladder, buf);
            return;
        };
        let mut title = match flow.ours {
            Ours::Read => lang.ladder_title(flow.id, flow.service, flow.peer),
            Ours::Inferred => lang.ladder_of_capture(flow.id, flow.peer, flow.local),
        };
        if self.is_frozen() {
            let newer = self.records.of(flow.id).map_or(0, |record| {
                let all = record.len() as u64 + record.left_out;
                let shown = self
                    .record()
                    .map_or(0, |record| record.len() as u64 + record.left_out);
                all - shown
            });
            title += &lang.also(lang.frozen(newer));
        } else if !self.follows() {
            title += &lang.also(lang.stays());
        }
        let inside = self.pane(area, &title, self.focus == Focus::Ladder, buf);
        if self.record().is_none()
            && self.view.flow(flow.id).is_some()
            && flow.first_packet_at.is_some()
        {
            let text = lang.lines_gone();
            buf.set_stringn(
                inside.x + 1,
                inside.y,
                text,
                area.width.into(),
                self.setup.look.faint(),
            );
            return;
        }
        ladder::draw(self, inside, buf);
    }

    fn diagram(&self, area: Rect, buf: &mut Buffer) {
        let (look, lang) = (self.setup.look, self.setup.lang);
        let in_history = self.is_frozen() || !self.follows();
        let title = match in_history {
            true => lang.states_then(),
            false => lang.states_now(),
        };
        let inside = self.pane(area, &title, false, buf);
        let flow = self.flow();
        let Some(flow) = flow.filter(|flow| flow.transport == Transport::Tcp) else {
            diagram::draw(inside, buf, None, look);
            return;
        };
        let line = self.line().filter(|_| in_history);
        let (peer, local) = match line {
            Some(line) => line.states,
            None => (flow.peer_end().0, flow.state),
        };
        let names = text::ends(lang, flow);
        let lit = Lit {
            peer,
            local,
            names: [names.0.clone(), names.1.clone(), lang.both_ends()],
            over: flow.first_packet_at.is_some(),
            visited: &|state| flow.visited(state),
        };
        diagram::draw(inside, buf, Some(lit), look);
        let kernel = flow.kernel_differs().filter(|_| line.is_none());
        let how = match flow.peer_end().1 {
            _ if let Some(kernel) = kernel => lang.kernel_says_otherwise(kernel),
            Basis::Asked => lang.is_asked(),
            _ if line.is_some() => lang.is_inferred(),
            Basis::Told => lang.is_told(),
            Basis::Assumed => lang.is_assumed(),
        };
        let text = match flow.ours {
            Ours::Read => {
                let local = lang.end_is(local, lang.is_read());
                lang.states_of_ends(names.1, local, names.0, peer, how)
            }
            Ours::Inferred => {
                lang.states_of_ends(names.1, local, names.0, peer, lang.is_inferred())
            }
        };
        let text = format!(" {text}");
        if inside.height > diagram::HEIGHT {
            let row = inside.bottom() - 1;
            buf.set_stringn(inside.x, row, text, inside.width.into(), Style::new());
        }
    }

    fn detail(&self, area: Rect, buf: &mut Buffer) {
        let inside = self.pane(area, &detail::title(self), false, buf);
        let rows = detail::rows(self, inside.width.into(), inside.height.into());
        for (y, row) in (inside.y..inside.bottom()).zip(&rows) {
            buf.set_line(inside.x, y, row, inside.width);
        }
    }

    /// Answers where the cursor of the program is.
    fn command_pane(&self, area: Rect, buf: &mut Buffer) -> Option<Position> {
        let has_keys = self.focus == Focus::Command;
        let lang = self.setup.lang;
        let title = match (&self.ended, self.setup.pane) {
            (Some(how), _) => how.clone(),
            (None, Pane::Terminal) if has_keys => lang.command_gets_keys(),
            (None, Pane::Terminal) => lang.command_by_tab(),
            (None, Pane::Lines) => lang.client_pane(),
            (None, _) => lang.command_pane(),
        };
        let scrolled = match self.scrolled {
            0 => String::new(),
            1 => lang.also(lang.one_row_back()),
            rows => lang.also(lang.rows_back(rows)),
        };
        let mut inside = self.pane(area, &(title + &scrolled), has_keys, buf);
        let takes_lines = self.setup.pane == Pane::Lines && self.ended.is_none();
        if takes_lines {
            inside.height -= 1;
        }
        let (width, height) = (usize::from(inside.width), usize::from(inside.height));
        let rows = self.output.rows(width, height, self.scrolled);
        for (y, row) in (inside.y..).zip(&rows) {
            buf.set_stringn(inside.x, y, row, width, Style::new());
        }
        if takes_lines {
            let line = format!("> {}", self.typed);
            buf.set_stringn(inside.x, inside.bottom(), &line, width, Style::new());
            let column = inside.x + line.width().min(width - 1) as u16;
            return has_keys.then_some(Position::new(column, inside.bottom()));
        }
        let shows_cursor = has_keys && self.ended.is_none() && self.scrolled == 0;
        let column = self.output.cursor() % width.max(1);
        let row = inside.y + (rows.len().max(1) as u16 - 1) + u16::from(self.output.at_new_line());
        shows_cursor.then(|| Position::new(inside.x + column as u16, row.min(inside.bottom() - 1)))
    }

    /// The last row; answers where the cursor is if something is typed there.
    fn keys(&self, area: Rect, buf: &mut Buffer) -> Option<Position> {
        let (look, lang) = (self.setup.look, self.setup.lang);
        let width = usize::from(area.width);
        if self.filtering {
            let text = format!(" {}", lang.filter_typed(&self.filter));
            buf.set_stringn(area.x, area.y, &text, width, look.strong());
            let column = text.width().min(width - 1) as u16;
            return Some(Position::new(area.x + column, area.y));
        }
        if let Some(order) = &self.order {
            let text = format!(" {}", lang.order_typed(text::escape(order, look.unicode)));
            buf.set_stringn(area.x, area.y, &text, width, look.strong());
            let column = text.width().min(width - 1) as u16;
            return Some(Position::new(area.x + column, area.y));
        }
        let (text, style) = if self.leaving {
            (lang.still_runs(), look.bad().patch(look.strong()))
        } else if let Some(wrong) = &self.wrong {
            (text::escape(wrong, look.unicode), look.bad())
        } else if let Some(how) = self.ended.as_ref().filter(|_| self.waiting.is_empty()) {
            (lang.press_q(how), look.strong())
        } else if let Some(note) = &self.note {
            (note.clone(), look.warn())
        } else if !self.waiting.is_empty() && self.focus != Focus::Command {
            (help::row(self), look.warn())
        } else {
            (help::row(self), look.faint())
        };
        buf.set_stringn(
            area.x + 1,
            area.y,
            ladder::cut(&text, width - 1, look),
            width - 1,
            style,
        );
        None
    }

    /// Draws the title of a pane, and answers what is left of its area.
    fn pane(&self, area: Rect, title: &str, has_focus: bool, buf: &mut Buffer) -> Rect {
        let look = self.setup.look;
        let room = usize::from(area.width).saturating_sub(6);
        let title = text::escape(title, look.unicode);
        let title = ladder::cut(&title, room, look);
        let (title, style) = match has_focus {
            true => (format!("[{title}]"), look.strong()),
            false => (format!(" {title} "), look.plain()),
        };
        let block = Block::new()
            .borders(Borders::TOP)
            .border_style(look.faint())
            .title(Span::styled(title, style));
        let inside = block.inner(area);
        block.render(area, buf);
        inside
    }
}

/// Makes sure that every wide character has two cells of its own.
///
/// One of which something else covers the right half is left out: a terminal would draw it over that. A right half gets a
/// symbol that no other cell has. Otherwise, if a character moves by one column, the cell after it looks as before to
/// ratatui, which compares cell by cell, while the terminal has blanked it.
fn settle_wide(buf: &mut Buffer) {
    for y in buf.area.top()..buf.area.bottom() {
        let mut x = buf.area.left();
        while x < buf.area.right() {
            if buf[(x, y)].symbol().width() < 2 {
                x += 1;
                continue;
            }
            match buf.cell_mut((x + 1, y)) {
                Some(right) if right.symbol() == " " => {
                    right.set_symbol("");
                    x += 2;
                }
                _ => {
                    buf[(x, y)].set_symbol(" ");
                    x += 1;
                }
            }
        }
    }
}

/// A number in five columns at most.
fn short(number: u64) -> String {
    match number {
        0..10_000 => number.to_string(),
        10_000..10_000_000 => format!("{}k", number / 1_000),
        10_000_000..10_000_000_000 => format!("{}M", number / 1_000_000),
        _ => format!("{}G", number / 1_000_000_000),
    }
}

/// Bytes in five columns at most.
fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes}B"),
        10_000..1_000_000 => format!("{}kB", bytes / 1_000),
        1_000_000..1_000_000_000 => format!("{}MB", bytes / 1_000_000),
        _ => format!("{}GB", bytes / 1_000_000_000),
    }
}

/// A time in six columns at most.
fn age(time: smoltcp::time::Duration) -> String {
    let millis = time.total_millis();
    match millis {
        0..100_000 => format!("{}.{}s", millis / 1_000, millis % 1_000 / 100),
        100_000..6_000_000 => format!("{}m{:02}s", millis / 60_000, millis / 1_000 % 60),
        _ => format!("{}h{:02}m", millis / 3_600_000, millis / 60_000 % 60),
    }
}
