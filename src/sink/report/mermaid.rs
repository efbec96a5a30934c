//! Ladders as a `sequenceDiagram` of Mermaid, which GitHub and GitLab draw.

use super::ladder_layout::clock;
use super::record::{Arrow, FlowRecord, Record, What};
use crate::event::Direction;
use crate::sink::mark::End;
use crate::sink::text;
use crate::view::{Flow, View};
use crate::words::Lang;
use std::fmt::Write;

/// Mermaid refuses more than 50,000 characters.
const MOST: usize = 45_000;

/// All flows told in detail, one after the other.
pub(super) fn diagram(view: &View, record: &Record) -> String {
    let flows: Vec<(&Flow, &FlowRecord)> = record.flows(view).collect();
    sequence(record.lang, &flows)
}

/// One flow.
pub(super) fn flow(flow: &Flow, kept: &FlowRecord) -> String {
    sequence(kept.lang, &[(flow, kept)])
}

fn sequence(lang: Lang, flows: &[(&Flow, &FlowRecord)]) -> String {
    let mut out = String::from("sequenceDiagram\n");
    let (peer, ours) = match flows.first() {
        Some((flow, _)) => text::ends(lang, flow),
        None => (lang.peer(), lang.tcplab()),
    };
    let _ = write!(
        out,
        "    participant P as {peer}\n    participant T as {ours}\n"
    );
    let mut left_out = 0u64;
    for (flow, kept) in flows {
        let who = format!("{} {}", flow.id, text::who_flow(lang, flow));
        let mut lines = vec![format!("Note over P,T: {}", escape(&who))];
        for row in kept.rows.iter() {
            let time = clock(row.time);
            match &row.what {
                What::Packet(packet) => lines.push(arrow(lang, packet, &time)),
                What::Change(cause) => {
                    lines.push(format!("Note right of T: {time} {}", escape(cause)))
                }
                What::Remark(remark) => {
                    lines.push(format!("Note over P,T: {time} {}", escape(remark)))
                }
                What::LeftOut(rows) => {
                    lines.push(format!("Note over P,T: {}", lang.rows_not_shown(rows)));
                }
            }
            for (side, state) in [("left of P", row.peer), ("right of T", row.local)] {
                if let Some(state) = state {
                    lines.push(format!("Note {side}: {state}"));
                }
            }
            if let Some(kernel) = row.kernel {
                lines.push(format!("Note left of P: {}", lang.kernel_aside(kernel)));
            }
        }
        for line in lines {
            if left_out > 0 || out.len() + line.len() > MOST {
                left_out += 1;
            } else {
                let _ = writeln!(out, "    {line}");
            }
        }
    }
    if left_out > 0 {
        let _ = writeln!(out, "    Note over P,T: {}", lang.lines_not_shown(left_out));
    }
    out
}

fn arrow(lang: Lang, packet: &Arrow, time: &str) -> String {
    let mut text = format!("{time} {}", packet.short);
    if packet.retransmission {
        text += &lang.also(lang.retransmission());
    }
    if let Some(mark) = &packet.mark {
        text += &lang.also(mark);
    }
    if let Some(meant) = &packet.meant {
        text += &lang.also(lang.meant(meant));
    }
    if let Some(preview) = &packet.preview {
        text += &format!(" {preview}");
    }
    let (from, to) = match packet.direction {
        Direction::In => ('P', 'T'),
        Direction::Out => ('T', 'P'),
    };
    let line = match packet.end {
        End::Head => "->>",
        End::Lost => "-x",
        // Dashed, and with an open head: it is not there yet.
        End::Waits => "--)",
    };
    format!("{from}{line}{to}: {}", escape(&text))
}

/// Characters that mean something to Mermaid, or to HTML, as its entity codes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '#' | ';' | '<' | '>' | '&' | '%' | '\\' | '$' => {
                let _ = write!(escaped, "#{};", u32::from(char));
            }
            _ if char.is_control() => escaped.push(' '),
            _ => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_becomes_syntax() {
        assert_eq!(escape("a;b #1 <i>"), "a#59;b #35;1 #60;i#62;");
        assert_eq!(escape("a\nb"), "a b");
    }
}
