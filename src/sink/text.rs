//! Words and columns that all sinks share.

use crate::event::{Cause, Direction, Discard, Limit, Opened, Opening, Timer, Transport};
use crate::segment::{Body, Described, Notation};
use crate::state::TcpState;
use crate::view::{By, Ending, Flow, Means, Ours};
use crate::words::{Lang, Thing};
use smoltcp::time::Duration;
use std::net::SocketAddr;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Who talks to whom: `192.0.2.1:40022 connects to password on 192.0.2.2:1111 (tcp)`.
pub(super) fn who(lang: Lang, opened: &Opened) -> String {
    let Opened {
        transport,
        opening,
        peer,
        local,
        service,
    } = *opened;
    introduction(lang, transport, opening, peer, local, service)
}

/// The same for a flow that is known already.
pub(super) fn who_flow(lang: Lang, flow: &Flow) -> String {
    introduction(
        lang,
        flow.transport,
        flow.opening,
        flow.peer,
        flow.local,
        flow.service,
    )
}

fn introduction(
    lang: Lang,
    transport: Transport,
    opening: Opening,
    peer: SocketAddr,
    local: SocketAddr,
    service: &str,
) -> String {
    match (transport, opening) {
        // In a capture no service is known.
        (Transport::Tcp, Opening::Passive) if service.is_empty() => lang.who_connects(peer, local),
        (Transport::Udp, Opening::Passive) if service.is_empty() => lang.who_sends(peer, local),
        (Transport::Tcp, Opening::Passive) => lang.who_connects_to_us(peer, service, local),
        (Transport::Udp, Opening::Passive) => lang.who_sends_to_us(peer, service, local),
        (Transport::Tcp, Opening::Active) => lang.we_connect(service, local, peer),
        (Transport::Udp, Opening::Active) => lang.we_send(service, local, peer),
    }
}

/// The cause of a transition in words.
pub(crate) fn cause(lang: Lang, cause: Cause) -> String {
    match cause {
        Cause::Segment(id) => lang.by_segment(id),
        Cause::Call(call) => call.name().into(),
        Cause::Timeout(which) => timer(lang, which),
    }
}

/// What there is only so much of.
pub(crate) fn limit(lang: Lang, limit: Limit) -> String {
    match limit {
        Limit::Backlog => lang.limit_backlog(),
        Limit::Connections => lang.limit_connections(),
        Limit::Exchanges => lang.limit_exchanges(),
        Limit::TimeWait => lang.limit_time_wait(),
        Limit::Fragments => lang.limit_fragments(),
        Limit::Gaps => lang.limit_gaps(),
        Limit::Waiting => lang.limit_waiting(),
        Limit::IcmpErrors => lang.limit_icmp_errors(),
        Limit::Events => lang.limit_events(),
    }
}

/// Why a packet is discarded.
pub(crate) fn discard(lang: Lang, why: Discard) -> String {
    match why {
        Discard::Malformed => lang.discard_malformed(),
        Discard::NotForUs => lang.discard_not_for_us(),
        Discard::BadAddress => lang.discard_bad_address(),
        Discard::BadFlags => lang.discard_bad_flags(),
        Discard::BacklogFull => lang.discard_backlog_full(),
        Discard::Fragment => lang.discard_fragment(),
        Discard::Header => lang.discard_header(),
        Discard::Unsupported => lang.discard_unsupported(),
    }
}

/// What a packet says in packetdrill's notation; in words of `lang` where it can't be read.
pub(crate) fn notation(lang: Lang, described: &Described, notation: Notation<'_>) -> String {
    match (&described.body, lang) {
        (Body::Malformed(malformed), Lang::Zh) => {
            lang.malformed(malformed.layer.name(), lang.told(&malformed.why))
        }
        _ => notation.to_string(),
    }
}

/// How a connection has ended, for the line that says that it is over: `closed by the peer (RST)`.
pub(crate) fn ended(lang: Lang, flow: &Flow) -> String {
    refused(lang, flow).unwrap_or_else(|| lang.was_closed(closed(lang, flow)))
}

/// What became of a SYN that our end has not taken: `refused by rule 2 (RST)`.
fn refused(lang: Lang, flow: &Flow) -> Option<String> {
    let is_at_the_door = flow.opening == Opening::Passive
        && flow.ours == Ours::Read
        && flow.state == TcpState::Listen
        && !flow.visited(TcpState::SynReceived);
    if !is_at_the_door {
        return None;
    }
    Some(match (flow.closed_first(), flow.turned_away) {
        (Some(first), _) => lang.refused_by(whose(lang, flow, first.by), means(lang, first.means)),
        (None, Some((rule, error))) => {
            lang.refused_by(lang.by_rule(rule.0), format!("ICMP {error}"))
        }
        (None, None) => lang.never_opened(flow.state),
    })
}

/// How a connection was closed, in order: `by the peer first (FIN), then by tcplab (FIN)`.
pub(crate) fn closed(lang: Lang, flow: &Flow) -> String {
    let means = |ending: &Ending| means(lang, ending.means);
    let whose = |ending: &Ending| whose(lang, flow, ending.by);
    if let Some(refused) = refused(lang, flow) {
        return refused;
    }
    match flow.endings.as_slice() {
        [] if flow.closed_at.is_some() => lang.without_end(),
        [] => lang.not_yet(flow.state),
        [first, ..] if at_once(flow) => lang.by_both(means(first)),
        [only] if flow.closed_at.is_some() => lang.by_one(whose(only), means(only)),
        [first, rest @ ..] => {
            let mut text = lang.by_one_first(whose(first), means(first));
            for next in rest {
                text += &lang.also(lang.then_by(whose(next), means(next)));
            }
            if flow.closed_at.is_none() {
                text += &lang.also(lang.now_in(flow.state));
            }
            text
        }
    }
}

/// The same in a few columns: who was first, and how.
pub(super) fn closed_first(lang: Lang, flow: &Flow) -> String {
    let Some(first) = flow.closed_first() else {
        return "-".into();
    };
    let means = means(lang, first.means);
    match first.by {
        _ if at_once(flow) => lang.both_first(means),
        By::Peer if flow.ours == Ours::Read => lang.one_first(lang.peer(), means),
        by => lang.one_first(whose(lang, flow, by).trim_start_matches("the "), means),
    }
}

/// Both FINs were under way at the same time (RFC 9293, figure 13).
fn at_once(flow: &Flow) -> bool {
    flow.visited(TcpState::Closing)
}

/// Who sends what goes in `direction`: `the peer` or `tcplab`, in a capture `the client` or `the server`.
pub(crate) fn sender(lang: Lang, flow: &Flow, direction: Direction) -> String {
    match direction {
        Direction::In => whose(lang, flow, By::Peer),
        Direction::Out => whose(lang, flow, By::Local),
    }
}

fn whose(lang: Lang, flow: &Flow, by: By) -> String {
    match (by, flow.ours) {
        (By::Peer, Ours::Read) => lang.the_peer(),
        (By::Local, Ours::Read) => lang.tcplab(),
        (By::Peer, Ours::Inferred) => lang.the_client(),
        (By::Local, Ours::Inferred) => lang.the_server(),
        (By::Rule(rule), _) => lang.by_rule(rule.0),
    }
}

/// What the two ends of a flow are called: the other one and ours, or client and server where both are others'.
pub(crate) fn ends(lang: Lang, flow: &Flow) -> (String, String) {
    match flow.ours {
        Ours::Read => (lang.peer(), lang.tcplab()),
        Ours::Inferred => (lang.client(), lang.server()),
    }
}

/// How the two columns of a ladder are headed; `asked` is whether the peer's kernel was.
pub(crate) fn columns(lang: Lang, flow: &Flow, asked: bool) -> (String, String) {
    match (flow.ours, flow.transport) {
        (_, Transport::Udp) => ends(lang, flow),
        (Ours::Inferred, Transport::Tcp) => (lang.inferred_client(), lang.inferred_server()),
        (Ours::Read, Transport::Tcp) if asked => (lang.asked_column(), lang.tcplab()),
        (Ours::Read, Transport::Tcp) => (lang.inferred_column(), lang.tcplab()),
    }
}

fn means(lang: Lang, means: Means) -> String {
    match means {
        Means::Fin => "FIN".into(),
        Means::Reset => "RST".into(),
        Means::Abort => "ABORT".into(),
        Means::Timeout(which) => timer(lang, which),
    }
}

fn timer(lang: Lang, timer: Timer) -> String {
    match timer {
        Timer::User => lang.user_timeout(),
        Timer::TimeWait => lang.time_wait_timeout(),
        Timer::FinWait2 => lang.fin_wait_2_timeout(),
    }
}

/// A duration for people: `0.412 ms`, `61.002 s`.
pub(crate) fn time(duration: Duration) -> String {
    let micros = duration.total_micros();
    if micros < 1_000_000 {
        format!("{}.{:03} ms", micros / 1000, micros % 1000)
    } else {
        format!("{}.{:03} s", micros / 1_000_000, micros % 1_000_000 / 1000)
    }
}

/// A smoothed round-trip time, which is known in whole milliseconds.
pub(crate) fn smoothed(lang: Lang, srtt: Option<Duration>) -> String {
    match srtt {
        None => lang.not_measured(),
        Some(srtt) if srtt.total_millis() == 0 => "< 1 ms".into(),
        Some(srtt) => span(srtt),
    }
}

/// A duration that somebody has chosen: `4 s`, `1.5 s`, `500 ms`.
pub(crate) fn span(duration: Duration) -> String {
    let text = time(duration);
    match text.split_once(' ') {
        Some((number, unit)) => {
            let number = number.trim_end_matches('0').trim_end_matches('.');
            format!("{number} {unit}")
        }
        None => text,
    }
}

/// How long ago something was, for people who wait: `3 s`, `2 min 5 s`.
pub(crate) fn ago(duration: Duration) -> String {
    match duration.secs() {
        seconds @ ..60 => format!("{seconds} s"),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// Text from elsewhere made harmless for a terminal: control characters and what can't be seen are written as
/// escapes, and with `unicode` false everything but ASCII.
pub(crate) fn escape(text: &str, unicode: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        push_escaped(&mut escaped, char, unicode);
    }
    escaped
}

fn push_escaped(text: &mut String, char: char, unicode: bool) {
    match char {
        '\'' => text.push(char),
        _ if !unicode && !char.is_ascii() => text.extend(char.escape_unicode()),
        _ => text.extend(char.escape_debug()),
    }
}

/// The data of a packet: as much of it as is kept, and how much it was. A capture may have cut the packet, and the live
/// screen keeps the beginning of a long one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Payload<'a> {
    kept: &'a [u8],
    len: usize,
}

impl<'a> Payload<'a> {
    /// That of the packet `bytes`, which `described` describes; `None` if it has none.
    pub(crate) fn of(described: &Described, bytes: &'a [u8]) -> Option<Payload<'a>> {
        let range = described.payload()?;
        let end = range.end.min(bytes.len());
        let kept = bytes.get(range.start.min(end)..end)?;
        let len = range.len();
        (len > 0).then_some(Payload { kept, len })
    }
}

/// A payload in quotes if it is text, cut to `width` columns; otherwise its size. A character that is
/// cut by either end of a segment does not make it binary.
pub(crate) fn preview(lang: Lang, payload: Payload<'_>, width: usize, unicode: bool) -> String {
    let Some(text) = as_text(payload.kept) else {
        let size = lang.count(payload.len as u64, Thing::Byte);
        return match payload.kept {
            // Of none of them is it known what they are.
            [] => size,
            _ => lang.binary(size),
        };
    };
    let more = if unicode { "…" } else { "..." };
    let is_whole = payload.kept.len() == payload.len;
    let room = width.saturating_sub(2);
    let mut shown = String::new();
    // Where to cut if it turns out too long.
    let mut cut = 0;
    for char in text.chars() {
        push_escaped(&mut shown, char, unicode);
        let used = shown.width();
        if used > room {
            return format!("\"{}{more}\"", &shown[..cut]);
        }
        if used + more.width() <= room {
            cut = shown.len();
        }
    }
    if is_whole {
        return format!("\"{shown}\"");
    }
    format!("\"{}{more}\"", &shown[..cut])
}

/// The payload as text, incomplete characters at its ends left out; `None` where it is not text.
fn as_text(payload: &[u8]) -> Option<&str> {
    // In UTF-8 the bytes after the first of a character begin with the bits 10; there are three at most.
    let is_continuation = |byte: &&u8| **byte & 0xc0 == 0x80;
    let start = payload.iter().take(3).take_while(is_continuation).count();
    let bytes = &payload[start..];
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let odd = text
        .chars()
        .filter(|char| char.is_control() && !matches!(char, '\t' | '\r' | '\n'))
        .count();
    (!text.is_empty() && odd * 8 <= text.chars().count()).then_some(text)
}

/// Breaks `text` into lines of at most `width` columns: after characters of which `may_break` holds, and only
/// where there are none, anywhere. There is always one line.
pub(crate) fn wrap(text: &str, width: usize, may_break: impl Fn(char) -> bool) -> Vec<String> {
    fold(text.split_inclusive(may_break), width)
}

/// Breaks a sentence into lines of at most `width` columns: after blanks, and beside Chinese characters, but so
/// that no line begins with a mark that closes or ends with one that opens. There is always one line.
pub(crate) fn wrap_sentence(text: &str, width: usize) -> Vec<String> {
    const CLOSING: &str = "，。：；、）”";
    const OPENING: &str = "（“";
    let mut words = Vec::new();
    let mut start = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((_, char)) = chars.next() {
        let Some(&(at, next)) = chars.peek() else {
            break;
        };
        let beside = char.width() == Some(2) || next.width() == Some(2);
        let kept = next == ' ' || CLOSING.contains(next) || OPENING.contains(char);
        if char == ' ' || beside && !kept {
            words.push(&text[start..at]);
            start = at;
        }
    }
    words.push(&text[start..]);
    fold(words.into_iter(), width)
}

fn fold<'a>(words: impl Iterator<Item = &'a str>, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in words {
        if line.width() + word.trim_end().width() > width && !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        let word = if line.is_empty() {
            word.trim_start()
        } else {
            word
        };
        for char in word.chars() {
            if line.width() + char.width().unwrap_or(0) > width && char != ' ' {
                lines.push(std::mem::take(&mut line));
            }
            line.push(char);
        }
    }
    lines.push(line);
    for line in &mut lines {
        line.truncate(line.trim_end().len());
    }
    lines
}

/// Fills `text` up with blanks on the right to `width` columns.
pub(crate) fn pad(text: &str, width: usize) -> String {
    let blanks = width.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(blanks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_previewed() {
        let cut = "请输入".as_bytes();
        #[rustfmt::skip]
        let cases: [(&[u8], usize, bool, &str); 14] = [
            (b"123", 40, true, "\"123\""),
            ("请输入密码:".as_bytes(), 40, true, "\"请输入密码:\""),
            ("请输入密码:".as_bytes(), 13, true, "\"请输入密码:\""),
            ("请输入密码:".as_bytes(), 12, true, "\"请输入密…\""),
            ("请".as_bytes(), 40, false, "\"\\u{8bf7}\""),
            (b"GET / HTTP/1.1\r\n", 40, true, "\"GET / HTTP/1.1\\r\\n\""),
            (b"0123456789", 8, true, "\"01234…\""),
            (b"0123456789", 8, false, "\"012...\""),
            (b"say \"it's\" \\", 40, true, "\"say \\\"it's\\\" \\\\\""),
            ("a\u{202e}b".as_bytes(), 40, true, "\"a\\u{202e}b\""),
            (b"\x00\x01\x02\x03", 40, true, "4 bytes of binary data"),
            (b"\xff", 40, true, "1 byte of binary data"),
            (&cut[..4], 40, true, "\"请\""),
            (&cut[2..], 40, true, "\"输入\""),
        ];
        for (payload, width, unicode, expected) in cases {
            let (kept, len) = (payload, payload.len());
            let shown = preview(Lang::En, Payload { kept, len }, width, unicode);
            assert_eq!(shown, expected, "{payload:?} in {width} columns");
        }
    }

    #[test]
    fn of_a_payload_that_was_cut_the_whole_is_counted() {
        #[rustfmt::skip]
        let cases: [(&[u8], usize, bool, &str); 7] = [
            (b"\x00\x01\xff", 20_000, true, "20000 bytes of binary data"),
            (b"", 7, true, "7 bytes"),
            (b"123", 4, true, "\"123…\""),
            (b"123", 4, false, "\"123...\""),
            (b"0123456789", 11, true, "\"0123456…\""),
            (b"0123456789abc", 14, true, "\"0123456…\""),
            ("请".as_bytes(), 4, true, "\"请…\""),
        ];
        for (kept, len, unicode, expected) in cases {
            let shown = preview(Lang::En, Payload { kept, len }, 10, unicode);
            assert_eq!(shown, expected, "{kept:?} of {len}");
        }
    }

    #[test]
    fn lines_are_wrapped() {
        let cases = [
            ("", 5, vec![""]),
            ("one two three", 8, vec!["one two", "three"]),
            ("one two three", 7, vec!["one two", "three"]),
            ("incomprehensible", 6, vec!["incomp", "rehens", "ible"]),
            ("请输入 密码", 6, vec!["请输入", "密码"]),
        ];
        for (text, width, expected) in cases {
            assert_eq!(wrap(text, width, |char| char == ' '), expected, "{text}");
        }
    }

    #[test]
    fn sentences_are_wrapped() {
        let cases = [
            ("", 5, vec![""]),
            ("one two three", 8, vec!["one two", "three"]),
            ("序号是 2881，确认", 9, vec!["序号是", "2881，确", "认"]),
            ("序号是第一（FIN）", 10, vec!["序号是第一", "（FIN）"]),
            ("请输入密码。好", 10, vec!["请输入密", "码。好"]),
        ];
        for (text, width, expected) in cases {
            assert_eq!(wrap_sentence(text, width), expected, "{text}");
        }
    }

    #[test]
    fn durations_are_short() {
        for (micros, expected) in [
            (0, "0.000 ms"),
            (412, "0.412 ms"),
            (999_999, "999.999 ms"),
            (61_002_345, "61.002 s"),
        ] {
            assert_eq!(time(Duration::from_micros(micros)), expected);
        }
        for (micros, expected) in [
            (0, "0 ms"),
            (250, "0.25 ms"),
            (500_000, "500 ms"),
            (1_500_000, "1.5 s"),
            (20_000_000, "20 s"),
        ] {
            assert_eq!(span(Duration::from_micros(micros)), expected);
        }
    }
}
