//! All that is known of one line of the ladder.

use super::app::App;
use super::ladder::payload;
use super::look::Look;
use super::record::Line;
use crate::event::{Direction, EventKind, Fate, Packet, Reason, Resend, Transition, Variables};
use crate::segment::{Body, SeqNumber};
use crate::sink::text;
use crate::view::Flow;
use crate::words::{Lang, Thing};

/// A name in a few letters, and what is known.
pub(super) type Fact = (&'static str, String);

/// All about the chosen line, the most important first.
pub(super) fn facts(app: &App) -> Vec<Fact> {
    let (Some(flow), Some(line)) = (app.flow(), app.line()) else {
        return Vec::new();
    };
    let (look, lang) = (app.setup.look, app.setup.lang);
    let mut rows = Vec::new();
    match &line.event.kind {
        EventKind::Packet(packet) => {
            describe(app, flow, packet, &mut rows);
            if let Some(change) = &line.transition {
                rows.push(("tcplab", transition(change, look, lang)));
            }
            if let Some(peer) = line.peer {
                let how = match flow.asked {
                    Some(_) => "as its kernel says",
                    None => "as this shows",
                };
                rows.push(("peer", format!("is now {peer}, {how}")));
            }
            rows.extend(line.told.iter().map(|told| ("story", told.clone())));
            if let Some(variables) = &packet.variables {
                rows.extend(state(flow, variables));
            }
            if let Some(payload) = payload(packet) {
                let quoted = text::preview(lang, payload, 400, look.unicode);
                rows.push(("data", quoted));
            }
        }
        EventKind::Transition(change) => {
            rows.push(("tcplab", transition(change, look, lang)));
            rows.extend(line.told.iter().map(|told| ("story", told.clone())));
        }
        EventKind::Note(note) => {
            rows.push((flow.service, text::escape(note, look.unicode)));
        }
        EventKind::Closed(closed) => {
            rows.push(("over", lang.was_closed(text::closed(lang, flow))));
            let result = match &closed.result {
                None => "never ran to its end".into(),
                Some(Ok(())) => "is content".into(),
                Some(Err(why)) => text::escape(why, look.unicode),
            };
            rows.push((flow.service, result));
        }
        _ => {}
    }
    rows
}

/// What the pane is called.
pub(super) fn title(line: Option<&Line>) -> String {
    match line.map(|line| &line.event.kind) {
        Some(EventKind::Packet(packet)) => {
            let kind = match packet.described.body {
                Body::Tcp(_) => "Segment",
                Body::Udp(_) => "Datagram",
                _ => "Packet",
            };
            format!("{kind} {}", packet.id)
        }
        _ => "Event".into(),
    }
}

fn describe(app: &App, flow: &Flow, packet: &Packet, rows: &mut Vec<Fact>) {
    let lang = app.setup.lang;
    let notation = packet
        .described
        .notation(app.view.origin(Some(flow.id), packet.direction));
    rows.push((packet.direction.name(), notation.to_string()));
    if let Some(segment) = packet.described.tcp() {
        let ack = segment
            .acknowledges()
            .map_or(String::new(), |ack| format!(", ack {ack}"));
        let text = format!("seq {}{ack}, window field {}", segment.seq, segment.window);
        rows.push(("wire", text));
    }
    let why = match (packet.reason, packet.direction) {
        (Some(reason), _) => words(reason),
        (None, Direction::In) => "sent by the peer".into(),
        (None, Direction::Out) => "sent by tcplab".into(),
    };
    let fate = match packet.fate {
        Fate::Delivered => "delivered".to_owned(),
        Fate::Discarded(why) => lang.discarded_because(text::discard(lang, why)),
        ref fate => fate.name().to_owned(),
    };
    let again = match packet.retransmission {
        true => "; a retransmission",
        false => "",
    };
    let len = packet.described.ip.map_or(0, |ip| ip.total_len);
    let size = lang.count(len as u64, Thing::Byte);
    rows.push((
        "why",
        format!("{why}; {fate}{again}, {size} with its headers"),
    ));
}

/// The variables of RFC 9293, section 3.3.1, relative as in the ladder.
fn state(flow: &Flow, variables: &Variables) -> [Fact; 2] {
    let ours = |number: SeqNumber| number.since(variables.iss);
    let mut received = format!("RCV.WND {}", variables.rcv_wnd);
    if let (Some(irs), Some(next)) = (variables.irs.or(flow.irs), variables.rcv_nxt) {
        received = format!("RCV.NXT {} {received}", next.since(irs));
    }
    let send = format!(
        "SND.UNA {} SND.NXT {} SND.WND {}, {received}",
        ours(variables.snd_una),
        ours(variables.snd_nxt),
        variables.snd_wnd,
    );
    let srtt = variables
        .srtt
        .map_or(String::new(), |srtt| format!(", SRTT {}", text::time(srtt)));
    let timing = format!(
        "{} in flight, RTO {}{srtt}, {} resent, duplicate ACKs: {}",
        variables.in_flight,
        text::time(variables.rto),
        variables.resent,
        variables.duplicate_acks,
    );
    [("after", send), ("", timing)]
}

fn transition(change: &Transition, look: Look, lang: Lang) -> String {
    let becomes = look.sign("→", "->");
    let cause = text::cause(lang, change.cause);
    format!("{} {becomes} {}, cause: {cause}", change.from, change.to)
}

fn words(reason: Reason) -> String {
    match reason {
        Reason::Syn => "opens the connection".into(),
        Reason::SynAck => "answers the SYN".into(),
        Reason::Data => "carries new data".into(),
        Reason::Fin => "carries our FIN".into(),
        Reason::Ack => "acknowledges what has just arrived".into(),
        Reason::DelayedAck(after) => format!(
            "acknowledges what arrived {} ago, for which no data came to go along",
            text::time(after)
        ),
        Reason::DuplicateAck => "says again what is awaited: something unexpected arrived".into(),
        Reason::WindowUpdate => "tells that there is room again".into(),
        Reason::WindowProbe => "asks whether the window is still shut".into(),
        Reason::KeepAlive => "asks whether the peer is still there".into(),
        Reason::Reset => "ends the connection at once".into(),
        Reason::Resent(Resend::Timeout) => "sent again: the retransmission timeout is over".into(),
        Reason::Resent(Resend::DuplicateAcks) => {
            "sent again: three duplicate ACKs have arrived".into()
        }
    }
}
