//! A ladder as a drawing, or as several: cut between rows so that each fits a printed page.

use super::ladder_layout::{BAND, Kind, LEFT, Layout, Placed, RIGHT, RULER, SLOPE, TIME};
use super::record::{Arrow, FlowRecord, What};
use super::svg::{self, Drawing, escape};
use crate::event::Direction;
use crate::sink::mark::End;
use crate::words::Lang;

/// No piece is higher, in CSS pixels; the first one shares its page with the heading of its flow.
const PIECES: (f64, f64) = (900.0, 1_200.0);
/// At the peer's end this much of an arrow is dotted: nobody knows when it was there.
const UNKNOWN: f64 = 70.0;

/// The ladder of one flow in one piece.
pub(super) fn whole(title: &str, record: &FlowRecord) -> Drawing {
    let layout = Layout::new(record);
    Drawing {
        title: title.into(),
        top: 0.0,
        height: layout.height,
        body: piece(&layout, record.asked, 0.0, layout.height),
    }
}

/// The ladder of one flow in pieces, none of which is cut when it is printed.
pub(super) fn pieces(title: &str, record: &FlowRecord) -> Vec<Drawing> {
    let layout = Layout::new(record);
    let cuts = layout.cuts(PIECES.0, PIECES.1);
    let ends = cuts.iter().skip(1).copied().chain([layout.height]);
    let count = cuts.len();
    cuts.iter()
        .zip(ends)
        .enumerate()
        .map(|(at, (&from, to))| Drawing {
            title: match count {
                1 => title.into(),
                _ => record.lang.part_of(title, at + 1, count),
            },
            top: from,
            height: to - from,
            body: piece(&layout, record.asked, from, to),
        })
        .collect()
}

fn piece(layout: &Layout<'_>, asked: bool, from: f64, to: f64) -> String {
    let mut out = String::new();
    bands(layout, asked, from, to, &mut out);
    if from == 0.0 {
        for head in &layout.heads {
            head.draw(&mut out);
        }
    }
    for stretch in &layout.ruler {
        let (start, end) = (stretch.from.max(from), stretch.to.min(to));
        if start >= end {
            continue;
        }
        let class = match stretch.kind {
            Kind::Stretched => "line stretched",
            _ => "line ruler",
        };
        match stretch.kind {
            Kind::Broken(middle) if (from..to).contains(&middle) => {
                svg::path(&mut out, class, &[(RULER, start), (RULER, middle - 10.0)]);
                svg::path(&mut out, class, &[(RULER, middle + 10.0), (RULER, end)]);
                zigzag(RULER, middle, &mut out);
                for band in [LEFT, RIGHT] {
                    gap(band, middle, &mut out);
                }
            }
            _ => svg::path(&mut out, class, &[(RULER, start), (RULER, end)]),
        }
    }
    for placed in &layout.rows {
        if placed.tick.min(placed.top) > to || placed.bottom < from {
            continue;
        }
        let leader = [
            (RULER - 4.0, placed.tick),
            (RULER + 4.0, placed.tick),
            (TIME - 5.0, placed.y),
            (TIME - 1.0, placed.y),
        ];
        svg::path(&mut out, "line thin", &leader);
        if (from..to).contains(&placed.y) {
            row(layout, placed, &mut out);
        }
    }
    out
}

fn bands(layout: &Layout<'_>, asked: bool, from: f64, to: f64, out: &mut String) {
    for (x, bands, inferred) in [
        (LEFT, &layout.bands[0], !asked),
        (RIGHT, &layout.bands[1], false),
    ] {
        if bands.is_empty() {
            let middle = x + BAND / 2.0;
            let start = from.max(22.0);
            svg::path(out, "line", &[(middle, start), (middle, to)]);
        }
        for band in bands {
            let (start, end) = (band.from.max(from), band.to.min(to));
            if start < end {
                let class = svg::state_class(band.state);
                let class = format!("{class}{}", if inferred { " inferred" } else { "" });
                svg::rect(out, &class, x, start, BAND, end - start);
            }
        }
    }
}

fn row(layout: &Layout<'_>, placed: &Placed<'_>, out: &mut String) {
    out.push_str("\n<g>");
    match &placed.row.what {
        What::Packet(arrow) => {
            out.push_str(&format!(
                "<title>{}</title>",
                escape(&tooltip(layout.lang, placed, arrow))
            ));
            draw_arrow(arrow, placed.y, out);
        }
        What::Change(_) => {
            let y = placed.y;
            svg::path(out, "out", &[(RIGHT - 12.0, y), (RIGHT - 2.0, y)]);
            svg::head(out, "out", (RIGHT - 12.0, y), (RIGHT - 1.0, y));
        }
        What::LeftOut(_) => {
            for band in [LEFT, RIGHT] {
                gap(band, placed.y, out);
            }
        }
        What::Remark(_) => {}
    }
    for label in &placed.labels {
        label.draw(out);
    }
    out.push_str("</g>");
}

fn tooltip(lang: Lang, placed: &Placed<'_>, arrow: &Arrow) -> String {
    let mut text = arrow.heading(lang);
    for words in &placed.row.words {
        text.push('\n');
        text.push_str(words);
    }
    text
}

/// The slope is the same everywhere: we see our own end only, and there the time is true.
fn draw_arrow(arrow: &Arrow, y: f64, out: &mut String) {
    let class = match (arrow.end, arrow.retransmission, arrow.direction) {
        (End::Lost, ..) => "lost",
        (End::Waits, ..) | (_, true, _) => "again",
        (.., Direction::In) => "in",
        (.., Direction::Out) => "out",
    };
    let (left, right) = (LEFT + BAND + 1.0, RIGHT - 1.0);
    let drop = |x: f64| match arrow.direction {
        Direction::In => y - SLOPE * (right - x) / (right - left),
        Direction::Out => y + SLOPE * (right - x) / (right - left),
    };
    let point = |x: f64| (x, drop(x));
    let unknown = format!("{class} unknown");
    let middle = (left + right) / 2.0;
    // We know when it comes and when it leaves; in between it may be stopped anywhere.
    let end = match (arrow.end, arrow.direction) {
        (End::Head, Direction::In) => right,
        (End::Head, Direction::Out) => left,
        (_, Direction::In) => right - 16.0,
        (_, Direction::Out) => middle,
    };
    match (arrow.direction, arrow.end) {
        (Direction::In, _) => {
            svg::path(out, &unknown, &[point(left), point(left + UNKNOWN)]);
            svg::path(out, class, &[point(left + UNKNOWN), point(end)]);
        }
        (Direction::Out, End::Head) => {
            svg::path(out, class, &[point(right), point(left + UNKNOWN)]);
            svg::path(out, &unknown, &[point(left + UNKNOWN), point(left)]);
        }
        (Direction::Out, _) => svg::path(out, class, &[point(right), point(end)]),
    }
    match (arrow.end, arrow.direction) {
        (End::Head, Direction::In) => svg::head(out, class, point(left), point(right)),
        (End::Head, Direction::Out) => svg::head(out, class, point(right), point(left)),
        (End::Lost, _) => cross(point(end), out),
        (End::Waits, _) => bar(class, point(end), out),
    }
}

/// What waits stands before it.
fn bar(class: &str, (x, y): (f64, f64), out: &mut String) {
    for aside in [-2.0, 2.0] {
        svg::path(out, class, &[(x + aside, y - 7.0), (x + aside, y + 7.0)]);
    }
}

fn cross((x, y): (f64, f64), out: &mut String) {
    for slant in [-6.0, 6.0] {
        svg::path(out, "lost", &[(x - 6.0, y - slant), (x + 6.0, y + slant)]);
    }
}

fn zigzag(x: f64, y: f64, out: &mut String) {
    let points: Vec<(f64, f64)> = (0..=5)
        .map(|at| {
            let aside = match at {
                0 | 5 => 0.0,
                at if at % 2 == 1 => 6.0,
                _ => -6.0,
            };
            (x + aside, y - 10.0 + 4.0 * f64::from(at))
        })
        .collect();
    svg::path(out, "line ruler", &points);
}

/// A band is cut open.
fn gap(x: f64, y: f64, out: &mut String) {
    svg::rect(out, "paper", x - 1.0, y - 3.0, BAND + 2.0, 6.0);
}
