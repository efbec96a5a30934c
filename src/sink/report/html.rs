//! The whole report as a page: no script, nothing fetched, for the screen by day and at night and for paper.

use super::count;
use super::figures::Line;
use super::ladder_layout::clock;
use super::record::{FlowRecord, Mark, Record, What};
use super::svg::{self, Drawing, escape};
use super::{FLOWS, ladder_svg, sequence_svg, states_svg};
use crate::event::Transport;
use crate::sink::text;
use crate::view::{Flow, View};
use crate::words::Lang;
use std::fmt::Write;

/// So many lines has the overview at most.
pub(super) const OVERVIEW: usize = 500;

/// The page.
pub(super) fn page(view: &View, record: &Record) -> String {
    let mut out = format!(
        "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n<title>tcplab report</title>\n<style>{}{}</style>\n</head>\n<body>\n",
        svg::style(),
        PAGE
    );
    let _ = write!(
        out,
        "<header><h1>tcplab report</h1><p>{}</p></header>\n<main>\n",
        escape(&sums(view))
    );
    overview(view, record, &mut out);
    for (flow, kept) in record.flows(view) {
        section(view, flow, kept, &mut out);
    }
    if record
        .flows(view)
        .any(|(_, kept)| kept.transport == Transport::Tcp)
    {
        out.push_str(READING);
    }
    let _ = write!(
        out,
        "</main>\n<footer>made by tcplab {}</footer>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION")
    );
    out
}

/// All drawings, for a file that holds nothing else.
pub(super) fn drawings(view: &View, record: &Record) -> Vec<Drawing> {
    let mut drawings = Vec::new();
    for (flow, kept) in record.flows(view) {
        let id = flow.id;
        drawings.push(ladder_svg::whole(
            &format!("{id} {}", text::who_flow(Lang::En, flow)),
            kept,
        ));
        drawings.extend(states(flow, kept));
        drawings.extend(graphs(flow, kept));
    }
    drawings
}

fn states(flow: &Flow, kept: &FlowRecord) -> Option<Drawing> {
    (kept.transport == Transport::Tcp)
        .then(|| states_svg::diagram(&format!("{} states of our end", flow.id), &kept.path))
}

fn graphs(flow: &Flow, kept: &FlowRecord) -> Vec<Drawing> {
    let ways = [
        ("data from the peer", "in", &kept.points.received),
        ("data from tcplab", "out", &kept.points.sent),
    ];
    ways.into_iter()
        .filter_map(|(way, class, points)| {
            sequence_svg::graph(&format!("{} {way}", flow.id), class, points)
        })
        .collect()
}

/// What happened altogether, in one sentence.
pub(super) fn sums(view: &View) -> String {
    let totals = view.totals();
    let connections = match totals.connections {
        1 => "1 connection of TCP".to_owned(),
        many => format!("{many} connections of TCP"),
    };
    let exchanges = match totals.exchanges {
        1 => "1 exchange of datagrams".to_owned(),
        many => format!("{many} exchanges of datagrams"),
    };
    let mut sums = format!(
        "{connections} and {exchanges}, {} in, {} out",
        count(totals.received.bytes, "byte"),
        count(totals.sent.bytes, "byte"),
    );
    let again = totals.received.retransmissions + totals.sent.retransmissions;
    if again > 0 {
        let _ = write!(sums, ", {}", count(again, "retransmission"));
    }
    sums
}

/// The lines of the overview: number, who, how it ended, packets and bytes in and out, duration.
pub(super) fn overview_lines(view: &View) -> impl Iterator<Item = (&Flow, [String; 6])> {
    view.flows().take(OVERVIEW).map(|flow| {
        let start = flow.first_packet_at.unwrap_or(flow.opened_at);
        let end = flow.closed_at.unwrap_or(view.now());
        let ended = match flow.transport {
            Transport::Tcp => text::closed_first(Lang::En, flow),
            Transport::Udp => "-".into(),
        };
        let way =
            |traffic: &crate::view::Traffic| format!("{} / {}", traffic.packets, traffic.bytes);
        let again = flow.received.retransmissions + flow.sent.retransmissions;
        let columns = [
            text::who_flow(Lang::En, flow),
            ended,
            way(&flow.received),
            way(&flow.sent),
            again.to_string(),
            text::time(end.max(start) - start),
        ];
        (flow, columns)
    })
}

/// What is not told in detail or not at all.
pub(super) fn left_out(view: &View, record: &Record) -> Vec<String> {
    let known = view.flows().len();
    let forgotten = view.totals().forgotten;
    let mut remarks = Vec::new();
    if known > FLOWS || forgotten > 0 {
        let told = record.flows(view).count();
        remarks.push(format!("The first {told} are told in detail."));
    }
    let missing = known.saturating_sub(OVERVIEW) as u64 + forgotten;
    if missing > 0 {
        remarks.push(format!("{missing} more are not listed."));
    }
    let strays = view.strays();
    let discarded: u64 = strays.discarded.values().sum();
    let packets = strays.received + strays.sent + discarded;
    if packets > 0 {
        let belong = if packets == 1 { "belongs" } else { "belong" };
        remarks.push(format!(
            "{} {belong} to no flow, {discarded} of them discarded.",
            count(packets, "packet")
        ));
    }
    remarks
}

fn overview(view: &View, record: &Record, out: &mut String) {
    out.push_str("<section id=\"overview\"><h2>Overview</h2>\n");
    if view.flows().len() == 0 {
        out.push_str("<p>Nothing happened.</p>\n");
    } else {
        out.push_str(
            "<div class=\"wide\"><table class=\"overview\"><thead><tr><th>#</th><th>who</th><th>closed first</th>\
             <th>packets / bytes in</th><th>packets / bytes out</th><th>sent again</th><th>time</th></tr></thead><tbody>\n",
        );
        for (flow, columns) in overview_lines(view) {
            let detailed = record.flows(view).any(|(known, _)| known.id == flow.id);
            let number = match detailed {
                true => format!("<a href=\"#flow-{0}\">{0}</a>", flow.id.0),
                false => flow.id.0.to_string(),
            };
            let _ = write!(out, "<tr><td>{number}</td>");
            for column in columns {
                let _ = write!(out, "<td>{}</td>", escape(&column));
            }
            out.push_str("</tr>\n");
        }
        out.push_str("</tbody></table></div>\n");
    }
    for remark in left_out(view, record) {
        let _ = writeln!(out, "<p>{}</p>", escape(&remark));
    }
    out.push_str("</section>\n");
}

fn section(view: &View, flow: &Flow, kept: &FlowRecord, out: &mut String) {
    let _ = write!(
        out,
        "<section id=\"flow-{}\" class=\"flow\"><h2>{} {}</h2>",
        flow.id.0,
        flow.id,
        escape(&text::who_flow(Lang::En, flow))
    );
    if kept.transport == Transport::Tcp {
        let states: Vec<String> = flow
            .times(view.now())
            .map(|(state, time)| format!("{state} {}", text::time(time)))
            .collect();
        let handshake = flow.handshake.map_or("not completed".into(), text::time);
        let _ = writeln!(
            out,
            "<dl><dt>handshake</dt><dd>{handshake}</dd><dt>closed</dt><dd>{}</dd><dt>states</dt><dd>{}</dd></dl>",
            escape(&text::closed(Lang::En, flow)),
            states.join(", ")
        );
    }
    out.push_str("<h3>Ladder</h3>\n<div class=\"ladder\">");
    for drawing in ladder_svg::pieces(&format!("{} ladder", flow.id), kept) {
        out.push_str(&svg::element(&drawing));
    }
    out.push_str("</div>\n");
    if let Some(drawing) = states(flow, kept) {
        figure("States of our end (RFC 9293, figure 5)", &[drawing], out);
    }
    let graphs = graphs(flow, kept);
    if !graphs.is_empty() {
        for drawing in graphs {
            let caption = format!(
                "Time and sequence numbers: {}",
                drawing.title.split_once(' ').map_or("", |(_, way)| way)
            );
            figure(&caption, &[drawing], out);
        }
    }
    let lines = match kept.transport {
        Transport::Tcp => kept.figures.connection(),
        Transport::Udp => kept.figures.exchange(),
    };
    table(&lines, out);
    story(kept, out);
    out.push_str("</section>\n");
}

fn figure(caption: &str, drawings: &[Drawing], out: &mut String) {
    let _ = writeln!(out, "<figure><h3>{}</h3>", escape(caption));
    for drawing in drawings {
        out.push_str(&svg::element(drawing));
    }
    out.push_str("</figure>\n");
}

fn table(lines: &[Line], out: &mut String) {
    out.push_str(
        "<div class=\"figures\"><h3>Figures</h3>\n<table><thead><tr><th></th><th>in: from the peer</th><th>out: from tcplab</th></tr></thead><tbody>\n",
    );
    for (name, received, sent) in lines {
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>",
            escape(name),
            escape(received),
            escape(sent)
        );
    }
    out.push_str("</tbody></table></div>\n");
}

/// Each row again, with all that there is to say about it.
fn story(kept: &FlowRecord, out: &mut String) {
    out.push_str("<h3>Event by event</h3>\n<ol class=\"story\">\n");
    for row in kept.rows.iter() {
        let what = match &row.what {
            What::Packet(arrow) => {
                let fate = match arrow.mark {
                    Mark::Through => String::new(),
                    Mark::Lost(why) => format!(", discarded: {why}"),
                };
                format!(
                    "packet {} {}: {}{fate}",
                    arrow.id,
                    arrow.direction.name(),
                    arrow.notation
                )
            }
            What::Change(cause) => cause.clone(),
            What::Remark(remark) => remark.clone(),
            What::LeftOut(rows) => format!("{} not shown", count(*rows, "row")),
        };
        let _ = write!(
            out,
            "<li><span class=\"time\">{}</span> <code>{}</code>",
            clock(row.time),
            escape(&what)
        );
        for words in &row.words {
            let _ = write!(out, "<p>{}</p>", escape(words));
        }
        for (who, state) in [("peer", row.peer), ("tcplab", row.local)] {
            if let Some(state) = state {
                let _ = write!(out, "<p>{who} enters <b>{state}</b></p>");
            }
        }
        out.push_str("</li>\n");
    }
    out.push_str("</ol>\n");
}

const READING: &str = "<section id=\"reading\"><h2>How to read this</h2>\n\
<p>The times are those of tcplab's end. When a packet left the other end or arrived there is not known: each arrow \
falls by the same amount, and is dotted there. Our states are read from the stack; the peer's, paler, are inferred from \
the segments, unless its kernel was asked. A cross is a packet that was discarded.</p>\n\
<p>The ruler on the left is to scale where it is solid, stretched where it is dotted, and cut short at a zigzag.</p>\n\
<p>Numbers count from the initial sequence numbers. A round trip is measured from a segment sent once until the \
acknowledgment that ends exactly where it ends: of what goes out, it is the round trip to the peer; of what comes in, \
the time that our answer takes. Throughput is unique bytes by the time from the first packet that way to its last data.</p></section>\n";

const PAGE: &str = "\
:root{color-scheme:light dark}\
body{font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif;margin:0 auto;max-width:900px;padding:16px 20px;background:#ffffff;color:#1b1f24}\
h1{font-size:26px;margin:8px 0}h2{font-size:19px;margin:32px 0 8px;overflow-wrap:anywhere}h3{font-size:15px;margin:24px 0 6px}\
header p,footer{color:#59636e}footer{margin:32px 0 8px;font-size:13px}a{color:#1f5fbf}\
table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums}th,td{text-align:left;padding:3px 10px 3px 0;border-bottom:1px solid #dde2e7;vertical-align:top}\
td{overflow-wrap:anywhere}.overview td{white-space:nowrap}.overview td:nth-child(2){white-space:normal}thead th{border-bottom:2px solid #8a94a0}tbody th{font-weight:normal;color:#59636e}.figures table{width:100%}.wide{overflow-x:auto}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 14px;margin:8px 0}dt{color:#59636e}dd{margin:0}\
svg.drawing{display:block;max-width:100%;height:auto;overflow:hidden}figure{margin:0}\
ol.story{list-style:none;padding:0;font-size:13px}ol.story li{border-bottom:1px solid #dde2e7;padding:4px 0 4px 92px;position:relative}\
.story .time{position:absolute;left:0;color:#59636e;font-variant-numeric:tabular-nums}.story code{font:12px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;overflow-wrap:anywhere}\
.story p{margin:1px 0;color:#59636e;overflow-wrap:anywhere}\
@media screen and (prefers-color-scheme:dark){body{background:#14171a;color:#e4e7ea}header p,footer,tbody th,dt,.story .time,.story p{color:#9da7b1}a{color:#7cb0ff}th,td,ol.story li{border-color:#2b3137}thead th{border-color:#6e7883}}\
@media print{@page{size:A4;margin:12mm}body{max-width:none;padding:0;font-size:12px}.flow{break-before:page}h2,h3{break-after:avoid}figure,svg.drawing,tr,li,dl{break-inside:avoid}a{color:inherit;text-decoration:none}}";
