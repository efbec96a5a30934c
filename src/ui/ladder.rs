//! The ladder of one flow: the peer on the left, tcplab on the right.

use super::app::{App, Focus};
use super::look::Look;
use super::record::Line;
use crate::event::{Direction, EventKind, Packet, Transport};
use crate::segment::{Body, Flags};
use crate::sink::mark::{self, End, end};
use crate::sink::text;
use crate::state::TcpState;
use crate::view::Flow;
use crate::words::Lang;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line as Row, Span};
use smoltcp::time::Duration;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Time, and a blank.
const TIME: usize = 9;
/// The longest name of a state, SYN-RECEIVED.
const STATE: usize = 12;
/// An arrow that is longer is no clearer.
const LONGEST: usize = 100;

/// Draws the part around the chosen line into `area`; its first row names the columns.
pub(super) fn draw(app: &App, area: Rect, buf: &mut Buffer) {
    let (Some(flow), Some(record), Some(selection)) = (app.flow(), app.record(), app.selection())
    else {
        return;
    };
    let (look, lang) = (app.setup.look, app.setup.lang);
    let width = usize::from(area.width).min(TIME + 2 * (STATE + 1) + LONGEST);
    let (peer, ours) = text::columns(lang, flow, flow.asked.is_some());
    let gap = width - TIME - STATE;
    let seconds = lang.seconds();
    let margin = " ".repeat(TIME.saturating_sub(1 + seconds.width()));
    // A long name on the right begins earlier.
    let gap = gap.min((gap + STATE).saturating_sub(ours.width()));
    let peer = cut(&peer, gap.saturating_sub(1), look);
    let heads = format!("{margin}{seconds} {}{ours}", text::pad(&peer, gap));
    buf.set_stringn(area.x, area.y, heads, area.width.into(), look.faint());

    let rows = usize::from(area.height).saturating_sub(1);
    // The chosen line stays in the middle while there are others on both sides.
    let first = selection
        .saturating_sub(rows / 2)
        .min(record.len().saturating_sub(rows));
    for (row, y) in (area.y + 1..area.bottom()).enumerate() {
        let index = first + row;
        let Some(line) = record.line(index) else {
            break;
        };
        let mut text = draw_line(app, flow, line, width);
        if record.gap() == Some(index) {
            let gap = lang.lines_above_left_out(record.left_out);
            text.spans.push(Span::styled(gap, look.faint()));
        }
        buf.set_line(area.x, y, &text, area.width);
        if index == selection && (app.focus == Focus::Ladder || !app.follows()) {
            let whole = Rect {
                y,
                height: 1,
                width: width as u16,
                ..area
            };
            buf.set_style(whole, look.chosen());
        }
    }
}

fn draw_line(app: &App, flow: &Flow, line: &Line, width: usize) -> Row<'static> {
    let (look, lang) = (app.setup.look, app.setup.lang);
    let time = Span::styled(format!("{:>8} ", seconds(line)), look.faint());
    let room = width - TIME;
    let say = |text: &str, style: Style| {
        Row::from(vec![
            time.clone(),
            Span::styled(cut(text, room, look), style),
        ])
    };
    if let Some((packet, waited)) = line.packet() {
        let is_tcp = flow.transport == Transport::Tcp;
        let name = |state: Option<TcpState>| {
            let name = state.filter(|_| is_tcp).map_or("", TcpState::name);
            format!("{name:<STATE$}")
        };
        let mut spans = vec![time, Span::raw(name(line.peer)), Span::raw(" ")];
        let arrow = room - 2 * (STATE + 1);
        spans.extend(draw_arrow(app, flow, line, (packet, waited), arrow));
        let entered = line.transition.map(|change| change.to);
        spans.push(Span::styled(format!(" {}", name(entered)), look.strong()));
        return Row::from(spans);
    }
    match &line.event.kind {
        EventKind::Transition(change) => {
            let becomes = look.sign("→", "->");
            let becomes = format!("{} {becomes} {}", change.from, change.to);
            let text = lang.changes(becomes, text::cause(lang, change.cause));
            say(
                &format!("{}{text}", text::pad("", room.saturating_sub(text.width()))),
                look.strong(),
            )
        }
        EventKind::Note(note) => {
            let note = text::escape(note, look.unicode);
            say(&format!("{}: {note}", flow.service), Style::new())
        }
        EventKind::Defect(defect) => {
            let told = text::escape(&lang.defect_told(&defect.message), look.unicode);
            say(&told, look.bad())
        }
        EventKind::Closed(_) if flow.transport == Transport::Udp => {
            say(&lang.flow_over(), look.faint())
        }
        EventKind::Closed(_) => say(&lang.over_how(text::ended(lang, flow)), look.faint()),
        _ => say("", Style::new()),
    }
}

fn draw_arrow(
    app: &App,
    flow: &Flow,
    shown: &Line,
    (packet, waited): (&Packet, Option<Duration>),
    width: usize,
) -> [Span<'static>; 3] {
    let look = app.setup.look;
    let copies = copies(app, packet, shown);
    let room = (width - 6).saturating_sub(copies.width());
    let (mut text, style) = on_arrow(app, flow, packet, waited, room);
    // Right behind what it says.
    let place = text.find(" <").or_else(|| text.find(')').map(|at| at + 1));
    text.insert_str(place.unwrap_or(text.len()), &copies);
    if let Some(kernel) = shown.kernel {
        text += &format!(" {}", app.setup.lang.kernel_aside(kernel));
    }
    let text = cut(&text, width - 6, look);
    let rest = "─".repeat(width - 5 - text.width());
    let (left, right, line) = match end(&packet.fate) {
        End::Head => ("◀", "▶", look.flow(flow.id)),
        End::Lost => ("✗", "✗", look.bad()),
        End::Waits => ("├", "┤", look.warn()),
    };
    let (start, end) = match packet.direction {
        Direction::In => ("── ".to_owned(), format!(" {rest}{right}")),
        Direction::Out => (format!("{left}─ "), format!(" {rest}─")),
    };
    let end = end.replacen('─', "", 1);
    [
        Span::styled(start, line),
        Span::styled(text, style),
        Span::styled(end, line),
    ]
}

/// How often a packet was sent, and while that goes on, how long ago the last time was.
fn copies(app: &App, packet: &Packet, line: &Line) -> String {
    let (look, lang) = (app.setup.look, app.setup.lang);
    let Some((times, age)) = line.copies.age(app.now) else {
        return String::new();
    };
    let times = format!("{}{times}", look.sign("×", "x"));
    let goes_on = match end(&packet.fate) {
        End::Waits => app.waiting.contains(packet.id),
        _ => app.waiting.repeated().any(|(id, _)| id == packet.id),
    };
    match goes_on {
        true => format!(" {}", lang.step_copied(times, text::ago(age))),
        false => format!(" {times}"),
    }
}

/// What is said of a packet in one line: what it is first, as the end may be cut.
fn on_arrow(
    app: &App,
    flow: &Flow,
    packet: &Packet,
    waited: Option<Duration>,
    width: usize,
) -> (String, Style) {
    let (look, lang) = (app.setup.look, app.setup.lang);
    let (described, bytes) = packet.outcome();
    let notation = described.notation(app.view.origin(Some(flow.id), packet.direction));
    let is_syn = described
        .tcp()
        .is_some_and(|segment| segment.flags.contains(Flags::SYN));
    // Window and options of a SYN are news, if there is room; the detail tells them anyway.
    let mark = mark::words(lang, &packet.fate, waited, look.unicode);
    let fits = |whole: &String| is_syn && mark.is_none() && whole.width() <= width;
    let whole = Some(notation.to_string()).filter(fits);
    let mut text = whole.unwrap_or_else(|| {
        let short = format!("{notation:#}");
        short.split(" <").next().unwrap_or_default().into()
    });
    let mut style = match packet.retransmission {
        true => look.warn(),
        false => Style::new(),
    };
    if let Some(mark) = mark {
        let room = width.saturating_sub(text.width() + 1);
        text += &format!(" {}", shortened(lang, packet, waited, mark, look, room));
        style = match end(&packet.fate) {
            End::Lost => look.bad(),
            End::Head | End::Waits => look.warn(),
        };
    }
    if packet.retransmission {
        text += &format!(" {}", lang.retransmission());
    }
    if let Some(payload) = text::Payload::of(described, bytes)
        && matches!(described.body, Body::Tcp(_) | Body::Udp(_))
    {
        text += &format!(" {}", text::preview(lang, payload, 40, look.unicode));
    }
    (text, style)
}

/// What became of a packet, in the words that fit: one that waits, or has waited, is named by its number if it can be.
fn shortened(
    lang: Lang,
    packet: &Packet,
    waited: Option<Duration>,
    mark: String,
    look: Look,
    room: usize,
) -> String {
    let is_named = waited.is_some() || end(&packet.fate) == End::Waits;
    let named = Some(lang.which_packet(packet.id, &mark)).filter(|_| is_named);
    let fate = mark::words(lang, &packet.fate, None, look.unicode);
    let choices = [named, Some(mark.clone()), fate];
    let fits = |choice: &String| choice.width() <= room;
    choices.into_iter().flatten().find(fits).unwrap_or(mark)
}

fn seconds(line: &Line) -> String {
    let micros = line.time.total_micros();
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    let whole = text.find('.').unwrap_or(text.len());
    text[..text.len().min(whole.max(8))].into()
}

/// At most `width` columns of `text`, with a sign where something is missing.
pub(super) fn cut(text: &str, width: usize, look: Look) -> String {
    if text.width() <= width {
        return text.into();
    }
    let more = look.sign("…", "~");
    let mut used = more.width();
    let fits = |char: &char| {
        used += char.width().unwrap_or(0);
        used <= width
    };
    let mut shown: String = text.chars().take_while(fits).collect();
    shown.push_str(more);
    shown
}
