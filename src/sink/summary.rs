//! What remains to be said when a run is over: each connection in a few lines, or in one if there are many.

use super::paint::Paint;
use super::{Screen, text};
use crate::event::{Direction, Opening, Transport};
use crate::state::TcpState;
use crate::view::{Flow, Ours, Traffic, View};
use std::io::{self, Write};
use unicode_width::UnicodeWidthStr;

/// More flows than this are told in a table.
const FEW: usize = 20;
/// Where the facts of a flow begin.
const INDENT: usize = 11;

/// Writes the summary of all that `view` has seen; nothing where it has seen nothing.
///
/// # Errors
///
/// Those of `out`.
pub fn write(view: &View, screen: Screen, out: &mut impl Write) -> io::Result<()> {
    if view.flows().len() > FEW {
        table(view, screen, out)?;
    } else {
        for flow in view.flows() {
            match flow.transport {
                Transport::Tcp => connection(view, flow, screen, out)?,
                Transport::Udp => exchange(flow, screen, out)?,
            }
        }
    }
    totals(view, screen, out)
}

fn connection(view: &View, flow: &Flow, screen: Screen, out: &mut impl Write) -> io::Result<()> {
    heading(flow, screen, out)?;
    let states: Vec<String> = flow
        .times(view.now())
        .map(|(state, time)| format!("{state} {}", text::time(time)))
        .collect();
    let mut facts = vec![
        ("opened", opened(flow)),
        ("closed", text::closed(flow)),
        ("in", traffic(&flow.received)),
        ("out", traffic(&flow.sent)),
        ("states", states.join(", ")),
    ];
    if let Some(Err(why)) = &flow.result {
        facts.push((flow.service, text::escape(why, screen.unicode)));
    }
    for (name, fact) in facts {
        let separator = if name == "states" { ',' } else { ' ' };
        let mut name = Paint::Dim.apply(&text::pad(name, INDENT - 4), screen.colour);
        for line in text::wrap(&fact, screen.width.max(60) - INDENT, |char| {
            char == separator
        }) {
            writeln!(out, "   {name} {line}")?;
            name = text::pad("", INDENT - 4);
        }
    }
    Ok(())
}

fn opened(flow: &Flow) -> String {
    let seen = flow.irs.is_some() || flow.iss.is_some();
    let who = match flow.opening {
        Opening::Passive if flow.ours == Ours::Inferred && !seen => {
            return "before the capture began".into();
        }
        Opening::Passive if flow.ours == Ours::Inferred => "by the client (passive open)",
        Opening::Passive => "by the peer (passive open)",
        // Who opens goes through SYN-RECEIVED only where the SYNs crossed (RFC 9293, figure 7).
        Opening::Active if flow.visited(TcpState::SynReceived) => {
            "by both at once (simultaneous open)"
        }
        Opening::Active => "by tcplab (active open)",
    };
    match flow.handshake {
        Some(time) => format!("{who}, handshake {}", text::time(time)),
        None => format!("{who}, handshake not completed"),
    }
}

fn exchange(flow: &Flow, screen: Screen, out: &mut impl Write) -> io::Result<()> {
    let tag = Paint::Flow(flow.id).apply(&flow.id.to_string(), screen.colour);
    let who = match flow.ours {
        Ours::Read => format!("{} with {} (udp)", flow.peer, flow.service),
        Ours::Inferred => format!("{} with {} (udp)", flow.peer, flow.local),
    };
    let who = Paint::Bold.apply(&who, screen.colour);
    writeln!(
        out,
        "{tag} {who}: {} in ({}), {} out ({})",
        text::count(flow.received.packets, "datagram"),
        text::count(flow.received.bytes, "byte"),
        flow.sent.packets,
        text::count(flow.sent.bytes, "byte"),
    )
}

fn heading(flow: &Flow, screen: Screen, out: &mut impl Write) -> io::Result<()> {
    let tag = Paint::Flow(flow.id).apply(&flow.id.to_string(), screen.colour);
    let who = Paint::Bold.apply(&text::who_flow(flow), screen.colour);
    writeln!(out, "{tag} {who}")
}

fn traffic(traffic: &Traffic) -> String {
    let mut text = format!(
        "{} in {}",
        text::count(traffic.bytes, "byte"),
        text::count(traffic.packets, "segment")
    );
    if traffic.retransmissions > 0 {
        text += &format!(
            ", {}",
            text::count(traffic.retransmissions, "retransmission")
        );
    }
    if traffic.discarded > 0 {
        text += &format!(", {} discarded", traffic.discarded);
    }
    text
}

/// One line a flow, each column as wide as it must be.
fn table(view: &View, screen: Screen, out: &mut impl Write) -> io::Result<()> {
    const HEADS: [&str; 8] = [
        "flow",
        "peer",
        "service",
        "handshake",
        "closed first",
        "bytes in",
        "bytes out",
        "resent",
    ];
    // The first column that is aligned to the right: all numbers.
    const NUMBERS: usize = 5;
    let rows: Vec<[String; 8]> = view.flows().map(row).collect();
    let mut widths = HEADS.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let line = |cells: [&str; 8]| {
        let mut line = String::new();
        for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
            if column > 0 {
                line += "  ";
            }
            line += &if column < NUMBERS {
                text::pad(cell, width)
            } else {
                format!("{cell:>width$}")
            };
        }
        line
    };
    let heads = line(HEADS);
    writeln!(out, "{}", Paint::Bold.apply(&heads, screen.colour))?;
    for row in &rows {
        writeln!(out, "{}", line(row.each_ref().map(String::as_str)))?;
    }
    Ok(())
}

fn row(flow: &Flow) -> [String; 8] {
    let again = flow.received.retransmissions + flow.sent.retransmissions;
    [
        flow.id.to_string(),
        flow.peer.to_string(),
        format!("{} {}", flow.transport.name(), flow.service),
        flow.handshake.map_or("-".into(), text::time),
        text::closed_first(flow),
        flow.traffic(Direction::In).bytes.to_string(),
        flow.traffic(Direction::Out).bytes.to_string(),
        again.to_string(),
    ]
}

fn totals(view: &View, screen: Screen, out: &mut impl Write) -> io::Result<()> {
    let totals = view.totals();
    let mut lines = Vec::new();
    if totals.connections + totals.exchanges > 1 {
        let mut line = format!(
            "all: {}, {} of UDP; {} in, {} out",
            text::count(totals.connections, "connection"),
            text::count(totals.exchanges, "exchange"),
            text::count(totals.received.bytes, "byte"),
            text::count(totals.sent.bytes, "byte"),
        );
        let again = totals.received.retransmissions + totals.sent.retransmissions;
        if again > 0 {
            line += &format!(", {}", text::count(again, "retransmission"));
        }
        if totals.forgotten > 0 {
            line += &format!(
                "; {} not listed",
                text::count(totals.forgotten, "older flow")
            );
        }
        lines.push(line);
    }
    let strays = view.strays();
    let mut parts = Vec::new();
    if strays.received + strays.sent > 0 {
        parts.push(format!("{} in, {} out", strays.received, strays.sent));
    }
    for (reason, count) in &strays.discarded {
        parts.push(format!("{count} discarded ({reason})"));
    }
    if !parts.is_empty() {
        lines.push(format!("packets without flow: {}", parts.join(", ")));
    }
    for line in lines {
        for part in text::wrap(&line, screen.width.max(60), |char| char == ' ') {
            writeln!(out, "{part}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
