//! What remains to be said when a run is over: each connection in a few lines, or in one if there are many.

use super::paint::Paint;
use super::{Screen, text};
use crate::event::{Direction, Opening, PeerInfo, RuleId, Transport};
use crate::fault::{Action, RuleSet};
use crate::state::TcpState;
use crate::view::{Flow, Ours, Traffic, View};
use crate::words::{Lang, Thing};
use smoltcp::time::Duration;
use std::io::{self, Write};
use unicode_width::UnicodeWidthStr;

/// More flows than this are told in a table.
const FEW: usize = 20;
/// Where the facts of a flow begin.
const INDENT: usize = 11;

/// Writes the summary of all that `view` has seen; nothing where it has seen nothing. Of `rules` it tells how often each
/// has decided.
///
/// # Errors
///
/// Those of `out`.
pub fn write(
    view: &View,
    rules: &RuleSet,
    lang: Lang,
    screen: Screen,
    out: &mut impl Write,
) -> io::Result<()> {
    if view.flows().len() > FEW {
        table(view, lang, screen, out)?;
    } else {
        for flow in view.flows() {
            match flow.transport {
                Transport::Tcp => connection(view, flow, lang, screen, out)?,
                Transport::Udp => exchange(flow, lang, screen, out)?,
            }
        }
    }
    totals(view, lang, screen, out)?;
    list_rules(view, rules, lang, screen, out)
}

fn connection(
    view: &View,
    flow: &Flow,
    lang: Lang,
    screen: Screen,
    out: &mut impl Write,
) -> io::Result<()> {
    heading(flow, lang, screen, out)?;
    let mut states: Vec<String> = flow
        .times(view.now())
        .map(|(state, time)| format!("{state} {}", text::time(time)))
        .collect();
    if states.is_empty() {
        states.push(flow.state.to_string());
    }
    let width = screen.width.max(60) - INDENT;
    let words = |fact: &str| text::wrap_sentence(fact, width);
    let mut facts = vec![
        (lang.opened(), words(&opened(lang, flow))),
        (lang.closed(), words(&text::closed(lang, flow))),
        (lang.received(), words(&traffic(lang, &flow.received))),
        (lang.sent(), words(&traffic(lang, &flow.sent))),
        (
            lang.states(),
            text::wrap(&lang.list(&states), width, |char| {
                matches!(char, ',' | '、')
            }),
        ),
    ];
    if let Some(info) = &flow.peer_info {
        facts.push((lang.kernel(), words(&kernel(lang, info))));
    }
    if let Some(Err(why)) = &flow.result {
        let why = text::escape(&lang.told(why), screen.unicode);
        facts.push((flow.service.into(), words(&why)));
    }
    for (name, lines) in facts {
        let mut name = Paint::Dim.apply(&text::pad(&name, INDENT - 4), screen.colour);
        for line in lines {
            writeln!(out, "   {name} {line}")?;
            name = text::pad("", INDENT - 4);
        }
    }
    Ok(())
}

fn opened(lang: Lang, flow: &Flow) -> String {
    let seen = flow.irs.is_some() || flow.iss.is_some();
    let who = match flow.opening {
        Opening::Passive if flow.ours == Ours::Inferred && !seen => return lang.opened_before(),
        Opening::Passive if flow.ours == Ours::Inferred => lang.client_opened(),
        Opening::Passive => lang.passive_open(),
        // Who opens goes through SYN-RECEIVED only where the SYNs crossed (RFC 9293, figure 7).
        Opening::Active if flow.visited(TcpState::SynReceived) => lang.simultaneous_open(),
        Opening::Active => lang.active_open(),
    };
    who + &lang.also(match flow.handshake {
        Some(time) => lang.handshake_took(text::time(time)),
        None => lang.no_handshake(),
    })
}

fn exchange(flow: &Flow, lang: Lang, screen: Screen, out: &mut impl Write) -> io::Result<()> {
    let tag = Paint::Flow(flow.id).apply(&flow.id.to_string(), screen.colour);
    let with = match flow.ours {
        Ours::Read => flow.service.to_owned(),
        Ours::Inferred => flow.local.to_string(),
    };
    let who = Paint::Bold.apply(&lang.exchange(flow.peer, with), screen.colour);
    let what = lang.exchanged(
        lang.count(flow.received.packets, Thing::Datagram),
        lang.count(flow.received.bytes, Thing::Byte),
        flow.sent.packets,
        lang.count(flow.sent.bytes, Thing::Byte),
    );
    let forged = flow.received.forged + flow.sent.forged;
    let also = match forged {
        0 => String::new(),
        forged => lang.also(lang.some_forged(forged)),
    };
    writeln!(out, "{tag} {who}{what}{also}")
}

fn heading(flow: &Flow, lang: Lang, screen: Screen, out: &mut impl Write) -> io::Result<()> {
    let tag = Paint::Flow(flow.id).apply(&flow.id.to_string(), screen.colour);
    let who = Paint::Bold.apply(&text::who_flow(lang, flow), screen.colour);
    writeln!(out, "{tag} {who}")
}

fn traffic(lang: Lang, traffic: &Traffic) -> String {
    let mut text = lang.bytes_in_segments(
        lang.count(traffic.bytes, Thing::Byte),
        lang.count(traffic.packets, Thing::Segment),
    );
    if traffic.retransmissions > 0 {
        text += &lang.also(lang.count(traffic.retransmissions, Thing::Retransmission));
    }
    if traffic.discarded > 0 {
        text += &lang.also(lang.some_discarded(traffic.discarded));
    }
    if traffic.dropped > 0 {
        text += &lang.also(lang.some_dropped(traffic.dropped));
    }
    if traffic.forged > 0 {
        text += &lang.also(lang.some_forged(traffic.forged));
    }
    text
}

/// What the peer's kernel had measured, when it was last asked.
fn kernel(lang: Lang, info: &PeerInfo) -> String {
    // The kernel knows of no round trip that takes no time: it has measured none.
    let rtt = match info.rtt {
        Duration::ZERO => lang.not_measured(),
        rtt => lang.rtt_with_variation(text::time(rtt), text::time(info.rttvar)),
    };
    lang.kernel_says(
        rtt,
        text::time(info.rto),
        lang.count(info.cwnd.into(), Thing::Segment),
        lang.count(info.total_retransmits.into(), Thing::Retransmission),
    )
}

/// One line a flow, each column as wide as it must be.
fn table(view: &View, lang: Lang, screen: Screen, out: &mut impl Write) -> io::Result<()> {
    let heads = [
        lang.column_flow(),
        lang.peer_column(),
        lang.column_service(),
        lang.column_handshake(),
        lang.column_closed_first(),
        lang.column_bytes_in(),
        lang.column_bytes_out(),
        lang.column_resent(),
    ];
    // The first column that is aligned to the right: all numbers.
    const NUMBERS: usize = 5;
    let rows: Vec<[String; 8]> = view.flows().map(|flow| row(lang, flow)).collect();
    let mut widths = heads.each_ref().map(|head| head.width());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let line = |cells: &[String; 8]| {
        let mut line = String::new();
        for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
            if column > 0 {
                line += "  ";
            }
            line += &if column < NUMBERS {
                text::pad(cell, width)
            } else {
                " ".repeat(width.saturating_sub(cell.width())) + cell
            };
        }
        line
    };
    let heads = line(&heads);
    writeln!(out, "{}", Paint::Bold.apply(&heads, screen.colour))?;
    for row in &rows {
        writeln!(out, "{}", line(row))?;
    }
    Ok(())
}

fn row(lang: Lang, flow: &Flow) -> [String; 8] {
    let again = flow.received.retransmissions + flow.sent.retransmissions;
    [
        flow.id.to_string(),
        flow.peer.to_string(),
        format!("{} {}", flow.transport.name(), flow.service),
        flow.handshake.map_or("-".into(), text::time),
        text::closed_first(lang, flow),
        flow.traffic(Direction::In).bytes.to_string(),
        flow.traffic(Direction::Out).bytes.to_string(),
        again.to_string(),
    ]
}

fn totals(view: &View, lang: Lang, screen: Screen, out: &mut impl Write) -> io::Result<()> {
    let totals = view.totals();
    let mut lines = Vec::new();
    if totals.connections + totals.exchanges > 1 {
        let mut line = lang.all(
            lang.count(totals.connections, Thing::Connection),
            lang.count(totals.exchanges, Thing::Exchange),
            lang.count(totals.received.bytes, Thing::Byte),
            lang.count(totals.sent.bytes, Thing::Byte),
        );
        let again = totals.received.retransmissions + totals.sent.retransmissions;
        if again > 0 {
            line += &lang.also(lang.count(again, Thing::Retransmission));
        }
        if totals.forgotten > 0 {
            let forgotten = lang.count(totals.forgotten, Thing::OlderFlow);
            line += &lang.furthermore(lang.not_listed(forgotten));
        }
        lines.push(line);
    }
    let strays = view.strays();
    let mut parts = Vec::new();
    if strays.received + strays.sent > 0 {
        parts.push(lang.both_ways(strays.received, strays.sent));
    }
    for (reason, count) in &strays.discarded {
        parts.push(lang.discarded_for(count, lang.told(reason)));
    }
    if let Some(parts) = parts.into_iter().reduce(|all, part| all + &lang.also(part)) {
        lines.push(lang.without_flow(parts));
    }
    let limits: Vec<String> = view
        .limited()
        .map(|(limit, count)| lang.limit_count(text::limit(lang, limit), count))
        .collect();
    if !limits.is_empty() {
        lines.push(lang.limits_reached(lang.list(&limits)));
    }
    if view.defects() > 0 {
        lines.push(lang.defects_contained(view.defects()));
    }
    for line in lines {
        for part in text::wrap_sentence(&line, screen.width.max(60)) {
            writeln!(out, "{part}")?;
        }
    }
    Ok(())
}

/// Each rule, and about how many packets it has decided. Of many rules only those that have; of
/// knobs only those for all.
pub(super) fn decisions(
    view: &View,
    rules: &RuleSet,
    lang: Lang,
    unicode: bool,
) -> Vec<(String, String)> {
    let packets = |id| lang.count(view.decided(id), Thing::Packet);
    let mut lines = Vec::new();
    for id in (1..=rules.len() as u32).map(RuleId) {
        let Some(rule) = rules.rule(id) else {
            continue;
        };
        let count = match rule.action {
            Action::Set(_) if !rules.is_general(id) => continue,
            // It makes connections what they are, and decides about no packet.
            Action::Set(_) => "-".to_owned(),
            _ if rules.len() > FEW && view.decided(id) == 0 => continue,
            _ => packets(id),
        };
        lines.push((
            count,
            lang.rule_text(id.0, text::escape(&rule.text, unicode)),
        ));
    }
    if view.decided(RuleId::HAND) > 0 {
        lines.push((packets(RuleId::HAND), lang.by_hand()));
    }
    lines
}

fn list_rules(
    view: &View,
    rules: &RuleSet,
    lang: Lang,
    screen: Screen,
    out: &mut impl Write,
) -> io::Result<()> {
    let lines = decisions(view, rules, lang, screen.unicode);
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(out, "{}", Paint::Bold.apply(&lang.rules(), screen.colour))?;
    let column = lines.iter().map(|(count, _)| count.width()).max();
    let column = column.unwrap_or(0);
    for (count, rule) in lines {
        let mut margin = format!("   {}{count}  ", " ".repeat(column - count.width()));
        for part in text::wrap_sentence(&rule, screen.width.max(60) - column - 5) {
            writeln!(out, "{margin}{part}")?;
            margin = " ".repeat(column + 5);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
