//! All that is known of one line of the ladder.

use super::app::App;
use super::ladder::cut;
use super::look::Look;
use super::record::Line;
use crate::event::{Direction, EventKind, Packet, Reason, Resend, Transition, Variables};
use crate::segment::{Body, Described, SeqNumber};
use crate::sink::{mark, text};
use crate::view::Flow;
use crate::words::{Lang, Thing};
use ratatui::text::{Line as Row, Span};
use smoltcp::time::Duration;
use unicode_width::UnicodeWidthStr;

/// The columns of a name.
const NAME: usize = 8;
/// Longer lines are no easier to read.
const LONGEST: usize = 120;
/// The story has so many rows even where there is hardly room.
const LEAST_STORY: usize = 2;

/// Something that is known, and what it is about.
struct Fact {
    name: String,
    text: String,
    /// Whether it is part of the story: of that is left out what finds no room.
    is_story: bool,
}

impl Fact {
    fn new(name: impl Into<String>, text: impl Into<String>) -> Fact {
        Fact {
            name: name.into(),
            text: text.into(),
            is_story: false,
        }
    }
}

/// All about the chosen line in at most `height` rows. What does not fit is left out: first of the story, then at the end.
pub(super) fn rows(app: &App, width: usize, height: usize) -> Vec<Row<'static>> {
    let look = app.setup.look;
    let width = width.saturating_sub(NAME + 2).min(LONGEST);
    let (mut others, mut story) = (0, 0);
    let mut facts = Vec::new();
    for fact in facts_of(app) {
        let lines = match fact.text.contains('<') {
            true => text::wrap(&fact.text, width, |char| matches!(char, ' ' | ',')),
            false => text::wrap_sentence(&fact.text, width),
        };
        *match fact.is_story {
            true => &mut story,
            false => &mut others,
        } += lines.len();
        facts.push((fact, lines));
    }
    let mut room = height.saturating_sub(others).max(LEAST_STORY);
    let is_cut = room < story;
    let mut rows = Vec::new();
    for (fact, mut lines) in facts {
        if fact.is_story {
            let kept = lines.len().min(room);
            room -= kept;
            lines.truncate(kept);
            if let Some(last) = lines.last_mut()
                && is_cut
                && room == 0
            {
                mark_cut(last, width, look);
            }
        }
        for (index, line) in lines.into_iter().enumerate() {
            let name = if index == 0 { fact.name.as_str() } else { "" };
            let name = cut(name, NAME, look);
            let margin = " ".repeat(NAME - name.width());
            rows.push(Row::from(vec![
                Span::styled(format!("{margin}{name} "), look.faint()),
                Span::raw(line),
            ]));
        }
    }
    if rows.len() > height {
        rows.truncate(height);
        if let Some(last) = rows.last_mut().and_then(|row| row.spans.last_mut()) {
            let mut text = last.content.to_string();
            mark_cut(&mut text, width, look);
            *last = Span::raw(text);
        }
    }
    rows
}

/// Shows that more would follow.
fn mark_cut(line: &mut String, width: usize, look: Look) {
    let more = look.sign("…", "~");
    *line = cut(&format!("{line} {more}"), width, look);
}

/// All about the chosen line, the most important first.
fn facts_of(app: &App) -> Vec<Fact> {
    let (Some(flow), Some(line)) = (app.flow(), app.line()) else {
        return Vec::new();
    };
    let (look, lang) = (app.setup.look, app.setup.lang);
    let (peer_end, our_end) = text::ends(lang, flow);
    let story = line.told.iter().map(|told| Fact {
        is_story: true,
        ..Fact::new(lang.fact_story(), told)
    });
    let changed = |change| Fact::new(our_end.clone(), transition(change, look, lang));
    let mut facts = Vec::new();
    if let Some((packet, waited)) = line.packet() {
        describe(app, flow, packet, waited, &mut facts);
        facts.extend(line.transition.as_ref().map(changed));
        if let Some(peer) = line.peer {
            facts.push(Fact::new(peer_end.clone(), lang.peer_is_now(peer)));
        }
        if let Some(kernel) = line.kernel {
            facts.push(Fact::new(peer_end, lang.kernel_says_otherwise(kernel)));
        }
        facts.extend(story);
        if let Some(variables) = &packet.variables {
            facts.extend(state(lang, flow, variables));
        }
        let (described, bytes) = packet.outcome();
        if let Some(payload) = text::Payload::of(described, bytes) {
            let quoted = text::preview(lang, payload, 400, look.unicode);
            facts.push(Fact::new(lang.fact_data(), quoted));
        }
        return facts;
    }
    match &line.event.kind {
        EventKind::Transition(change) => {
            facts.push(changed(change));
            facts.extend(story);
        }
        EventKind::Note(note) => {
            facts.push(Fact::new(flow.service, text::escape(note, look.unicode)));
        }
        EventKind::Defect(defect) => {
            let message = text::escape(&defect.message, look.unicode);
            facts.push(Fact::new(lang.defect(), message));
        }
        EventKind::Closed(closed) => {
            let how = text::ended(lang, flow);
            facts.push(Fact::new(lang.flow_over(), how));
            let result = match &closed.result {
                None => lang.never_ended(),
                Some(Ok(())) => lang.is_content(),
                Some(Err(why)) => text::escape(&lang.told(why), look.unicode),
            };
            // In a capture there is none.
            if !flow.service.is_empty() {
                facts.push(Fact::new(flow.service, result));
            }
        }
        _ => {}
    }
    facts
}

/// What the pane is called.
pub(super) fn title(app: &App) -> String {
    let lang = app.setup.lang;
    match app.line().and_then(Line::packet) {
        Some((packet, _)) => match packet.described.body {
            Body::Tcp(_) => lang.segment_title(packet.id),
            Body::Udp(_) => lang.datagram_title(packet.id),
            _ => lang.packet_title(packet.id),
        },
        None => lang.event_title(),
    }
}

fn describe(
    app: &App,
    flow: &Flow,
    packet: &Packet,
    waited: Option<Duration>,
    facts: &mut Vec<Fact>,
) {
    let lang = app.setup.lang;
    let described = packet.outcome().0;
    let origin = app.view.origin(Some(flow.id), packet.direction);
    let way = match packet.direction {
        Direction::In => lang.received(),
        Direction::Out => lang.sent(),
    };
    let notation =
        |described: &Described| text::notation(lang, described, described.notation(origin));
    facts.push(Fact::new(way, notation(described)));
    if packet.crossed.is_some() {
        facts.push(Fact::new(lang.fact_meant(), notation(&packet.described)));
    }
    if let Some(segment) = described.tcp() {
        let text = match segment.acknowledges() {
            Some(ack) => lang.on_the_wire_with_ack(segment.seq, ack, segment.window),
            None => lang.on_the_wire(segment.seq, segment.window),
        };
        facts.push(Fact::new(lang.fact_wire(), text));
    }
    let why = match (packet.reason, packet.direction) {
        (Some(reason), _) => words(lang, reason),
        (None, direction) => lang.sent_by(text::sender(lang, flow, direction)),
    };
    let mark = mark::words(lang, &packet.fate, waited, app.setup.look.unicode);
    let mut fate = mark.unwrap_or_else(|| lang.delivered());
    if packet.retransmission {
        fate += &lang.furthermore(lang.a_retransmission());
    }
    let len = packet.described.ip.map_or(0, |ip| ip.total_len);
    let size = lang.with_headers(lang.count(len as u64, Thing::Byte));
    let text = lang.why_and_fate(why, fate, size);
    facts.push(Fact::new(lang.fact_why(), text));
}

/// The variables of RFC 9293, section 3.3.1, relative as in the ladder.
fn state(lang: Lang, flow: &Flow, variables: &Variables) -> [Fact; 2] {
    let ours = |number: SeqNumber| number.since(variables.iss);
    let mut received = format!("RCV.WND {}", variables.rcv_wnd);
    if let (Some(irs), Some(next)) = (variables.irs.or(flow.irs), variables.rcv_nxt) {
        received = format!("RCV.NXT {} {received}", next.since(irs));
    }
    let send = format!(
        "SND.UNA {} SND.NXT {} SND.WND {} {received}",
        ours(variables.snd_una),
        ours(variables.snd_nxt),
        variables.snd_wnd,
    );
    let mut timing = lang.in_flight(variables.in_flight, text::time(variables.rto));
    if variables.srtt.is_some() {
        let srtt = text::smoothed(lang, variables.srtt);
        timing += &lang.also(format!("SRTT {srtt}"));
    }
    timing += &lang.also(lang.resent_and_duplicates(variables.resent, variables.duplicate_acks));
    [Fact::new(lang.fact_after(), send), Fact::new("", timing)]
}

fn transition(change: &Transition, look: Look, lang: Lang) -> String {
    let becomes = look.sign("→", "->");
    let cause = text::cause(lang, change.cause);
    lang.changed(format!("{} {becomes} {}", change.from, change.to), cause)
}

fn words(lang: Lang, reason: Reason) -> String {
    match reason {
        Reason::Syn => lang.reason_syn(),
        Reason::SynAck => lang.reason_syn_ack(),
        Reason::Data => lang.reason_data(),
        Reason::Fin => lang.reason_fin(),
        Reason::Ack => lang.reason_ack(),
        Reason::DelayedAck(after) => lang.reason_delayed_ack(text::time(after)),
        Reason::DuplicateAck => lang.reason_duplicate_ack(),
        Reason::WindowUpdate => lang.reason_window_update(),
        Reason::WindowProbe => lang.reason_window_probe(),
        Reason::KeepAlive => lang.reason_keep_alive(),
        Reason::Reset => lang.reason_reset(),
        Reason::Resent(Resend::Timeout) => lang.reason_timeout(),
        Reason::Resent(Resend::DuplicateAcks) => lang.reason_duplicate_acks(),
        Reason::Resent(Resend::Gap) => lang.reason_gap(),
    }
}
