//! The whole report as a page: no script, nothing fetched, for the screen by day and at night and for paper.

use super::figures::Line;
use super::ladder_layout::clock;
use super::record::{FlowRecord, Record, What};
use super::states_svg::Way;
use super::svg::{self, Drawing, escape};
use super::{FLOWS, ladder_svg, sequence_svg, states_svg};
use crate::event::{Direction, Transport};
use crate::sink::summary::decisions;
use crate::sink::text;
use crate::view::{Flow, Ours, View};
use crate::words::{Lang, Thing};
use std::fmt::Write;

/// So many lines has the overview at most.
pub(super) const OVERVIEW: usize = 500;

/// The page.
pub(super) fn page(view: &View, record: &Record) -> String {
    let lang = record.lang;
    let title = escape(&lang.report_title());
    let code = match lang {
        Lang::En => "en",
        Lang::Zh => "zh",
    };
    let mut out = format!(
        "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"{code}\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n<title>{title}</title>\n<style>{}{}</style>\n</head>\n<body>\n",
        svg::style(),
        PAGE
    );
    let _ = write!(
        out,
        "<header><h1>{title}</h1><p>{}</p></header>\n<main>\n",
        escape(&sums(lang, view))
    );
    overview(view, record, &mut out);
    rules(view, record, &mut out);
    for (flow, kept) in record.flows(view) {
        section(view, flow, kept, &mut out);
    }
    if let Some((flow, _)) = record
        .flows(view)
        .find(|(flow, _)| flow.transport == Transport::Tcp)
    {
        reading(lang, flow.ours, &mut out);
    }
    let _ = write!(
        out,
        "</main>\n<footer>{}</footer>\n</body>\n</html>\n",
        escape(&lang.report_made_by(env!("CARGO_PKG_VERSION")))
    );
    out
}

/// All drawings, for a file that holds nothing else.
pub(super) fn drawings(view: &View, record: &Record) -> Vec<Drawing> {
    let mut drawings = Vec::new();
    for (flow, kept) in record.flows(view) {
        let (id, lang) = (flow.id, record.lang);
        drawings.push(ladder_svg::whole(
            &format!("{id} {}", text::who_flow(lang, flow)),
            kept,
        ));
        drawings.extend(states(flow, kept));
        drawings.extend(graphs(flow, kept));
    }
    drawings
}

fn states(flow: &Flow, kept: &FlowRecord) -> Option<Drawing> {
    let title = kept.lang.states_drawn(flow.id);
    let ways = || {
        let (peer, ours) = kept.columns.clone();
        [
            Way::ours(ours, kept.path.clone()),
            Way::peers(peer, kept.peer_path()),
        ]
    };
    let is_tcp = kept.transport == Transport::Tcp;
    is_tcp.then(|| states_svg::diagram(kept.lang, &title, &ways()))
}

fn graphs(flow: &Flow, kept: &FlowRecord) -> Vec<Drawing> {
    let ways = [
        (way(flow, kept, Direction::In), "in", &kept.points.received),
        (way(flow, kept, Direction::Out), "out", &kept.points.sent),
    ];
    ways.into_iter()
        .filter_map(|(way, class, points)| {
            sequence_svg::graph(kept.lang, &format!("{} {way}", flow.id), class, points)
        })
        .collect()
}

/// What goes one way, in words.
fn way(flow: &Flow, kept: &FlowRecord, direction: Direction) -> String {
    kept.lang
        .data_from(text::sender(kept.lang, flow, direction))
}

/// What happened altogether, in one sentence.
pub(super) fn sums(lang: Lang, view: &View) -> String {
    let totals = view.totals();
    let mut sums = lang.report_sums(
        lang.count(totals.connections, Thing::Connection),
        lang.count(totals.exchanges, Thing::Exchange),
        lang.count(totals.received.bytes, Thing::Byte),
        lang.count(totals.sent.bytes, Thing::Byte),
    );
    let again = totals.received.retransmissions + totals.sent.retransmissions;
    if again > 0 {
        sums += &lang.also(lang.count(again, Thing::Retransmission));
    }
    sums
}

/// The heads of the overview.
pub(super) fn overview_columns(lang: Lang) -> [String; 7] {
    [
        "#".into(),
        lang.column_who(),
        lang.column_closed_first(),
        lang.column_received(),
        lang.column_sent(),
        lang.column_sent_again(),
        lang.column_time(),
    ]
}

/// The lines of the overview: number, who, how it ended, packets and bytes in and out, duration.
pub(super) fn overview_lines(
    lang: Lang,
    view: &View,
) -> impl Iterator<Item = (&Flow, [String; 6])> {
    view.flows().take(OVERVIEW).map(move |flow| {
        let start = flow.first_packet_at.unwrap_or(flow.opened_at);
        let end = flow.closed_at.unwrap_or(view.now());
        let ended = match flow.transport {
            Transport::Tcp => text::closed_first(lang, flow),
            Transport::Udp => "-".into(),
        };
        let way =
            |traffic: &crate::view::Traffic| format!("{} / {}", traffic.packets, traffic.bytes);
        let again = flow.received.retransmissions + flow.sent.retransmissions;
        let columns = [
            text::who_flow(lang, flow),
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
    let lang = record.lang;
    let known = view.flows().len();
    let forgotten = view.totals().forgotten;
    let mut remarks = Vec::new();
    if known > FLOWS || forgotten > 0 {
        let told = record.flows(view).count();
        remarks.push(lang.first_told(told));
    }
    let missing = known.saturating_sub(OVERVIEW) as u64 + forgotten;
    if missing > 0 {
        remarks.push(lang.more_not_listed(missing));
    }
    let strays = view.strays();
    let discarded: u64 = strays.discarded.values().sum();
    let packets = strays.received + strays.sent + discarded;
    if packets > 0 {
        let packets = lang.count(packets, Thing::Packet);
        remarks.push(lang.without_flow_discarded(packets, discarded));
    }
    remarks
}

/// Each rule, and what it has decided; nothing where there are none.
fn rules(view: &View, record: &Record, out: &mut String) {
    let lang = record.lang;
    let decisions = decisions(view, &record.rules, lang, true);
    if decisions.is_empty() {
        return;
    }
    let _ = write!(
        out,
        "<section id=\"rules\"><h2>{}</h2>\n<ul>\n",
        escape(&lang.report_rules())
    );
    for (count, rule) in decisions {
        let decided = lang.decided_about(rule, count);
        let _ = writeln!(out, "<li>{}</li>", escape(&decided));
    }
    out.push_str("</ul>\n</section>\n");
}

fn overview(view: &View, record: &Record, out: &mut String) {
    let lang = record.lang;
    let _ = writeln!(
        out,
        "<section id=\"overview\"><h2>{}</h2>",
        escape(&lang.overview())
    );
    if view.flows().len() == 0 {
        let _ = writeln!(out, "<p>{}</p>", escape(&lang.nothing_happened()));
    } else {
        out.push_str("<div class=\"wide\"><table class=\"overview\"><thead><tr>");
        for head in overview_columns(lang) {
            let _ = write!(out, "<th>{}</th>", escape(&head));
        }
        out.push_str("</tr></thead><tbody>\n");
        for (flow, columns) in overview_lines(lang, view) {
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
    let lang = kept.lang;
    let _ = write!(
        out,
        "<section id=\"flow-{}\" class=\"flow\"><h2>{} {}</h2>",
        flow.id.0,
        flow.id,
        escape(&text::who_flow(lang, flow))
    );
    if kept.transport == Transport::Tcp {
        let states: Vec<String> = flow
            .times(view.now())
            .map(|(state, time)| format!("{state} {}", text::time(time)))
            .collect();
        let handshake = flow.handshake.map_or(lang.not_completed(), text::time);
        let _ = writeln!(
            out,
            "<dl><dt>{}</dt><dd>{handshake}</dd><dt>{}</dt><dd>{}</dd><dt>{}</dt><dd>{}</dd></dl>",
            lang.handshake(),
            lang.closed(),
            escape(&text::closed(lang, flow)),
            lang.states(),
            lang.list(&states)
        );
    }
    let _ = writeln!(out, "<h3>{}</h3>", escape(&lang.ladder()));
    out.push_str("<div class=\"ladder\">");
    for drawing in ladder_svg::pieces(&lang.ladder_of(flow.id), kept) {
        out.push_str(&svg::element(&drawing));
    }
    out.push_str("</div>\n");
    if let Some(drawing) = states(flow, kept) {
        figure(&lang.states_of_both_ends(), &[drawing], out);
    }
    for drawing in graphs(flow, kept) {
        let way = drawing.title.split_once(' ').map_or("", |(_, way)| way);
        figure(&lang.sequence_caption(way), &[drawing], out);
    }
    let lines = match kept.transport {
        Transport::Tcp => kept.figures.connection(lang),
        Transport::Udp => kept.figures.exchange(lang),
    };
    table(flow, kept, &lines, out);
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

fn table(flow: &Flow, kept: &FlowRecord, lines: &[Line], out: &mut String) {
    let lang = kept.lang;
    let from = |direction| text::sender(lang, flow, direction);
    let _ = writeln!(
        out,
        "<div class=\"figures\"><h3>{}</h3>\n<table><thead><tr><th></th><th>{}</th><th>{}</th></tr></thead><tbody>",
        escape(&lang.figures()),
        escape(&lang.figures_in(from(Direction::In))),
        escape(&lang.figures_out(from(Direction::Out)))
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
    let lang = kept.lang;
    let _ = writeln!(out, "<h3>{}</h3>", escape(&lang.event_by_event()));
    out.push_str("<ol class=\"story\">\n");
    for row in kept.rows.iter() {
        let what = match &row.what {
            What::Packet(arrow) => {
                let mut heading = arrow.heading(lang);
                if let Some(why) = &arrow.mark {
                    heading += &lang.also(why);
                }
                heading
            }
            What::Change(cause) => cause.clone(),
            What::Remark(remark) => remark.clone(),
            What::LeftOut(rows) => lang.rows_not_shown(rows),
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
        for (who, state) in [(&kept.ends.0, row.peer), (&kept.ends.1, row.local)] {
            if let Some(state) = state {
                let _ = write!(out, "<p>{} <b>{state}</b></p>", escape(&lang.enters(who)));
            }
        }
        if let Some(kernel) = row.kernel {
            let says = lang.kernel_says_otherwise(kernel);
            let _ = write!(out, "<p>{} {}</p>", escape(&kept.ends.0), escape(&says));
        }
        out.push_str("</li>\n");
    }
    out.push_str("</ol>\n");
}

fn reading(lang: Lang, ours: Ours, out: &mut String) {
    let times = match ours {
        Ours::Read => lang.reading_times(),
        Ours::Inferred => lang.reading_times_of_capture(),
    };
    let _ = write!(
        out,
        "<section id=\"reading\"><h2>{}</h2>\n<p>{}</p>\n<p>{}</p>\n<p>{}</p></section>\n",
        escape(&lang.reading()),
        escape(&times),
        escape(&lang.reading_ruler()),
        escape(&lang.reading_numbers())
    );
}

const PAGE: &str = "\
:root{color-scheme:light dark}\
body{font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif;margin:0 auto;max-width:900px;padding:16px 20px;background:#ffffff;color:#1b1f24}\
h1{font-size:26px;margin:8px 0}h2{font-size:19px;margin:32px 0 8px;overflow-wrap:anywhere}h3{font-size:15px;margin:24px 0 6px}\
header p,footer{color:#59636e}footer{margin:32px 0 8px;font-size:13px}a{color:#1f5fbf}\
table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums}th,td{text-align:left;padding:3px 10px 3px 0;border-bottom:1px solid #dde2e7;vertical-align:top}\
td{overflow-wrap:anywhere}.overview td{white-space:nowrap}.overview td:nth-child(2){white-space:normal}thead th{border-bottom:2px solid #8a94a0}tbody th{font-weight:normal;color:#59636e}.figures table{width:100%}.wide{overflow-x:auto}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 14px;margin:8px 0}dt{color:#59636e}dd{margin:0}\
svg.drawing{display:block;height:auto;overflow:hidden}figure{margin:0}\
@media screen{.ladder,figure{overflow-x:auto}svg.drawing{max-width:none}}\
ol.story{list-style:none;padding:0;font-size:13px}ol.story li{border-bottom:1px solid #dde2e7;padding:4px 0 4px 92px;position:relative}\
.story .time{position:absolute;left:0;color:#59636e;font-variant-numeric:tabular-nums}.story code{font:12px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;overflow-wrap:anywhere}\
.story p{margin:1px 0;color:#59636e;overflow-wrap:anywhere}\
@media screen and (prefers-color-scheme:dark){body{background:#14171a;color:#e4e7ea}header p,footer,tbody th,dt,.story .time,.story p{color:#9da7b1}a{color:#7cb0ff}th,td,ol.story li{border-color:#2b3137}thead th{border-color:#6e7883}}\
@media screen and (max-width:640px){.overview tr{display:grid;grid-template-columns:2.4em 1.8fr 1.7fr 1.7fr 1.5fr 1.7fr;border-bottom:1px solid #8a94a0}\
.overview th,.overview td{border:0;white-space:normal;overflow-wrap:anywhere}.overview :is(th,td):nth-child(2){grid-column:2/-1}.overview :is(th,td):nth-child(3){grid-column:2}\
dl{grid-template-columns:1fr}dd{margin:0 0 4px}}\
@media print{svg.drawing{max-width:100%}@page{size:A4;margin:12mm}body{max-width:none;padding:0;font-size:12px}.flow{break-before:page}h2,h3{break-after:avoid}figure,svg.drawing,tr,li,dl{break-inside:avoid}a{color:inherit;text-decoration:none}}";

#[cfg(test)]
mod tests {
    use super::super::contrast::{LEAST, colour, contrast};
    use super::PAGE;

    #[test]
    fn text_can_be_read_by_day_and_at_night() {
        let (day, night) = PAGE
            .split_once("@media screen and (prefers-color-scheme:dark){")
            .unwrap();
        let selectors = [
            "body",
            "footer",
            "a",
            "tbody th",
            "dt",
            ".story .time",
            ".story p",
        ];
        for style in [day, night] {
            let paper = colour(style, "body", "background");
            for selector in selectors {
                let ink = colour(style, selector, "color");
                let contrast = contrast(ink, paper);
                assert!(
                    contrast >= LEAST,
                    "{selector}: {ink} on {paper}: {contrast:.2}"
                );
            }
        }
    }
}
