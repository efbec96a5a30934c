//! One line of the log for each event, in English whatever the language: logs are searched and compared.

use super::{mark, text};
use crate::event::{Discard, Event, EventKind, Fate, Packet, PeerView};
use crate::segment::Body;
use crate::view::View;
use crate::words::Lang;
use log::Level;

/// The target under which these lines belong in the log.
pub const TARGET: &str = "tcplab";

/// The line for `event`, which `view` was fed before, and how loud it is; always ASCII but for what a service
/// notes.
///
/// | level | what |
/// |---|---|
/// | info | a flow begins or is over, a transition, a note, a packet with which the link interferes |
/// | debug | a packet, what the peer's kernel says |
/// | error | a defect |
/// | warn | a packet that was discarded, unless it was merely none of ours; a kernel that says of
/// the peer what can't be so, judged by its segments |
pub fn line(view: &View, event: &Event) -> Option<(Level, String)> {
    let (level, text) = match &event.kind {
        EventKind::Opened(opened) => (Level::Info, text::who(Lang::En, opened)),
        EventKind::Packet(packet) => return Some(packet_line(view, event, packet)),
        EventKind::Transition(transition) => (
            Level::Info,
            format!(
                "{} -> {} ({})",
                transition.from,
                transition.to,
                text::cause(Lang::En, transition.cause)
            ),
        ),
        EventKind::Released(released) => {
            let (_, line) = packet_line(view, event, &released.packet);
            let waited = text::time(released.waited);
            let line = format!("{line}, after {waited} ({})", released.by.name());
            return Some((Level::Info, line));
        }
        EventKind::Asked(asked) => asked_line(view, event, asked),
        EventKind::Limited(limit, count) => (
            Level::Debug,
            format!("limit reached: {} ({count})", limit.name()),
        ),
        EventKind::Defect(defect) => {
            let location = defect
                .site
                .as_ref()
                .map(|site| format!("{}: ", site.location));
            let text = format!("defect: {}{}", location.unwrap_or_default(), defect.message);
            (Level::Error, text::escape(&text, true))
        }
        EventKind::Note(note) => (Level::Info, text::escape(note, true)),
        EventKind::Closed(closed) => match &closed.result {
            Some(Err(why)) => (Level::Info, format!("over: {}", text::escape(why, true))),
            _ => (Level::Info, "over".into()),
        },
    };
    Some((level, tagged(event, &text)))
}

fn asked_line(view: &View, event: &Event, asked: &PeerView) -> (Level, String) {
    let text = format!("the peer's kernel says {}", asked.state);
    let inferred = event.flow.and_then(|flow| view.flow(flow));
    match inferred.map(|flow| &flow.peer_state) {
        Some(peer) if !peer.agrees_with(asked.state) => (
            Level::Warn,
            format!("{text}, its segments say {}", peer.state()),
        ),
        _ => (Level::Debug, text),
    }
}

fn packet_line(view: &View, event: &Event, packet: &Packet) -> (Level, String) {
    let origin = view.origin(event.flow, packet.direction);
    let mut line = format!("{} {}: ", packet.direction.name(), packet.id);
    // A flow's addresses were told when it began.
    if event.flow.is_none() {
        if let Some((src, dst)) = packet.described.endpoints() {
            line += &format!("{src} > {dst} ");
        } else if let Some(ip) = packet.described.ip {
            line += &format!("{} > {} ", ip.src, ip.dst);
        }
    }
    line += &packet.outcome().0.notation(origin).to_string();
    if packet.crossed.is_some() {
        line += &format!(" [meant: {}]", packet.described.notation(origin));
    }
    if packet.retransmission {
        line += ", retransmission";
    }
    let level = match &packet.fate {
        Fate::Delivered => Level::Debug,
        Fate::Discarded(why) => {
            // What can't be read says so itself.
            if !matches!(packet.described.body, Body::Malformed(_)) {
                line += &format!(", discarded: {}", why.reason());
            } else {
                line += ", discarded";
            }
            match why {
                Discard::Malformed
                | Discard::BadFlags
                | Discard::BacklogFull
                | Discard::Fragment
                | Discard::Header => Level::Warn,
                // Every kernel sends such packets of its own accord.
                Discard::NotForUs | Discard::BadAddress | Discard::Unsupported => Level::Debug,
            }
        }
        fate => {
            line += &mark::fate(Lang::En, fate, false)
                .map_or(String::new(), |fate| format!(", {fate}"));
            Level::Info
        }
    };
    (level, tagged(event, &line))
}

fn tagged(event: &Event, text: &str) -> String {
    match event.flow {
        Some(flow) => format!("{flow} {text}"),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::TcpState;
    use crate::view::script::Script;

    #[test]
    fn a_kernel_that_says_what_cannot_be_is_a_warning() {
        #[track_caller]
        fn check(asked: TcpState, level: Level, expected: &str) {
            let mut script = Script::new();
            script.passive().handshake().asked(asked);
            let mut view = View::new();
            script.events.iter().for_each(|event| view.event(event));
            let event = script.events.last().unwrap();
            assert_eq!(line(&view, event), Some((level, expected.into())));
        }
        let plain = "#1 the peer's kernel says ESTABLISHED";
        check(TcpState::Established, Level::Debug, plain);
        let early = "#1 the peer's kernel says FIN-WAIT-1";
        check(TcpState::FinWait1, Level::Debug, early);
        let wrong = "#1 the peer's kernel says CLOSE-WAIT, its segments say ESTABLISHED";
        check(TcpState::CloseWait, Level::Warn, wrong);
    }

    #[test]
    fn every_event_has_its_line() {
        let mut script = Script::new();
        script.password().note("说\x1b[2J").peer_closes(3, 28);
        script.put("F", 29, Some(5), b"").again();
        script.stray(b"\x45", Fate::Discarded(Discard::Malformed));
        script.stray(&[0x45; 20], Fate::Discarded(Discard::NotForUs));
        let mut view = View::new();
        let mut lines = String::new();
        for event in &script.events {
            view.event(event);
            if let Some((level, line)) = line(&view, event) {
                lines += &format!("{level:5} {line}\n");
            }
        }
        insta::assert_snapshot!(lines);
    }
}
