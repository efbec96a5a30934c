//! Words and columns that all sinks share.

use crate::event::{Cause, Opened, Opening, Transport};
use crate::state::TcpState;
use crate::view::{By, Ending, Flow, Means};
use smoltcp::time::Duration;
use std::net::SocketAddr;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Who talks to whom: `192.0.2.1:40022 connects to password on 192.0.2.2:1111 (tcp)`.
pub(super) fn who(opened: &Opened) -> String {
    introduction(
        opened.transport,
        opened.opening,
        opened.peer,
        opened.local,
        opened.service,
    )
}

/// The same for a flow that is known already.
pub(super) fn who_flow(flow: &Flow) -> String {
    introduction(
        flow.transport,
        flow.opening,
        flow.peer,
        flow.local,
        flow.service,
    )
}

fn introduction(
    transport: Transport,
    opening: Opening,
    peer: SocketAddr,
    local: SocketAddr,
    service: &str,
) -> String {
    let does = match transport {
        Transport::Tcp => "connects",
        Transport::Udp => "sends datagrams",
    };
    let name = transport.name();
    match opening {
        Opening::Passive => format!("{peer} {does} to {service} on {local} ({name})"),
        Opening::Active => format!("{service} on {local} {does} to {peer} ({name})"),
    }
}

/// The cause of a transition in words.
pub(crate) fn cause(cause: Cause) -> String {
    match cause {
        Cause::Segment(id) => format!("segment {id}"),
        Cause::Call(call) => call.name().into(),
        Cause::Timeout(timer) => timer.name().into(),
    }
}

/// How a connection was closed, in order: `by the peer first (FIN), then by tcplab (FIN)`.
pub(crate) fn closed(flow: &Flow) -> String {
    match flow.endings.as_slice() {
        [] if flow.closed_at.is_some() => "without FIN or RST".into(),
        [] => format!("not yet, {}", flow.state),
        [first, ..] if at_once(flow) => format!("by both at once ({})", means(first.means)),
        [only] if flow.closed_at.is_some() => {
            format!("by {} ({})", whose(only.by), means(only.means))
        }
        [first, rest @ ..] => {
            let mut text = format!("by {} first ({})", whose(first.by), means(first.means));
            for next in rest {
                text += &format!(", then by {} ({})", whose(next.by), means(next.means));
            }
            if flow.closed_at.is_none() {
                text += &format!(", now {}", flow.state);
            }
            text
        }
    }
}

/// The same in a few columns: who was first, and how.
pub(super) fn closed_first(flow: &Flow) -> String {
    match flow.closed_first() {
        None => "-".into(),
        Some(first) if at_once(flow) => format!("both {}", means(first.means)),
        Some(Ending { by, means: how }) => {
            format!("{} {}", whose(by).trim_start_matches("the "), means(how))
        }
    }
}

/// Both FINs were under way at the same time (RFC 9293, figure 13).
fn at_once(flow: &Flow) -> bool {
    flow.visited(TcpState::Closing)
}

fn whose(by: By) -> &'static str {
    match by {
        By::Peer => "the peer",
        By::Local => "tcplab",
    }
}

fn means(means: Means) -> &'static str {
    match means {
        Means::Fin => "FIN",
        Means::Reset => "RST",
        Means::Abort => "ABORT",
        Means::Timeout(timer) => timer.name(),
    }
}

/// A number of things, with the plural where it belongs: `1 byte`, `2 bytes`.
pub(crate) fn count(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
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

/// A payload in quotes where it is text, cut to `width` columns; its size where it is not. A character that is
/// cut by either end of a segment does not make it binary.
pub(crate) fn preview(payload: &[u8], width: usize, unicode: bool) -> String {
    let Some(text) = as_text(payload) else {
        return format!("{} of binary data", count(payload.len() as u64, "byte"));
    };
    let more = if unicode { "…" } else { "..." };
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
    format!("\"{shown}\"")
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
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_inclusive(may_break) {
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
pub(super) fn pad(text: &str, width: usize) -> String {
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
            let shown = preview(payload, width, unicode);
            assert_eq!(shown, expected, "{payload:?} in {width} columns");
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
    fn durations_are_short() {
        for (micros, expected) in [
            (0, "0.000 ms"),
            (412, "0.412 ms"),
            (999_999, "999.999 ms"),
            (61_002_345, "61.002 s"),
        ] {
            assert_eq!(time(Duration::from_micros(micros)), expected);
        }
    }
}
