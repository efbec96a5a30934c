//! The time-sequence graph of what goes one way, as tcptrace draws it: segments rise between the line of what is
//! acknowledged and the edge of the window.

use super::points::{Graph, Sent};
use super::svg::{self, Anchor, Drawing, LINE, Label, WIDTH};
use crate::words::Lang;
use smoltcp::time::Duration;
use unicode_width::UnicodeWidthStr;

/// The inner edges of the graph.
const LEFT: f64 = 96.0;
const RIGHT: f64 = WIDTH - 24.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 280.0;
/// With a legend of one line.
const HEIGHT: f64 = 346.0;
/// The room of a sample in the legend.
const SAMPLE: f64 = 24.0;
/// So many ticks at most.
const TICKS: (f64, f64) = (8.0, 6.0);
/// Where the window is larger than the data this many times, its edge is left outside.
const ROOM: u64 = 3;

/// The graph, or nothing where no data went that way; `class` gives its segments their colour.
pub(super) fn graph(
    lang: Lang,
    title: &str,
    class: &'static str,
    graph: &Graph,
) -> Option<Drawing> {
    if graph.bytes == 0 {
        return None;
    }
    let axes = Axes::new(graph);
    let mut body = String::new();
    axes.draw(lang, &mut body);
    thinned(lang, graph, &mut body);
    let outside = axes.window(graph, &mut body);
    axes.acknowledged(graph, &mut body);
    for block in graph.blocks.items() {
        axes.block(block, &mut body);
    }
    for sent in graph.segments.items() {
        axes.bar(class, sent, &mut body);
    }
    for sent in graph.again.items() {
        axes.bar("again", sent, &mut body);
    }
    let mut height = HEIGHT;
    for (class, label) in legend(lang, graph, class, outside) {
        let (start, y) = (label.x - SAMPLE, label.y - 4.0);
        svg::path(&mut body, class, &[(start, y), (start + 18.0, y)]);
        label.draw(&mut body);
        height = label.y + 10.0;
    }
    Some(Drawing {
        title: title.into(),
        top: 0.0,
        height,
        body,
    })
}

/// What the graph spans.
struct Axes {
    /// In microseconds: from the first to the last.
    from: f64,
    time: f64,
    sequence: f64,
}

impl Axes {
    fn new(graph: &Graph) -> Axes {
        let sent = || graph.segments.items().iter().chain(graph.again.items());
        let acks = graph.acks.items();
        let times = || {
            sent()
                .map(|sent| sent.time)
                .chain(acks.iter().map(|ack| ack.0))
        };
        let from = micros(times().min().unwrap_or_default());
        let until = micros(times().max().unwrap_or_default());
        let highest = sent().map(|sent| sent.to).max().unwrap_or(1).max(1);
        let edge = acks.iter().map(|ack| ack.2).max().unwrap_or(0);
        let top = if edge <= highest.saturating_mul(ROOM) {
            edge.max(highest)
        } else {
            highest
        };
        Axes {
            from,
            time: (until - from).max(1.0) * 1.03,
            sequence: top as f64 * 1.06,
        }
    }

    fn x(&self, time: Duration) -> f64 {
        self.x_of(micros(time))
    }

    fn x_of(&self, micros: f64) -> f64 {
        LEFT + 6.0 + (micros - self.from) / self.time * (RIGHT - LEFT - 6.0)
    }

    fn y(&self, position: u64) -> f64 {
        self.y_of(position as f64)
    }

    fn y_of(&self, position: f64) -> f64 {
        BOTTOM - position / self.sequence * (BOTTOM - TOP)
    }

    fn draw(&self, lang: Lang, out: &mut String) {
        let (unit, name) = match self.time {
            time if time >= 2e6 => (1e6, "s"),
            time if time >= 2e3 => (1e3, "ms"),
            _ => (1.0, "µs"),
        };
        for (value, text) in ticks(self.from / unit, (self.from + self.time) / unit, TICKS.0) {
            let x = self.x_of(value * unit);
            svg::path(out, "grid thin", &[(x, TOP), (x, BOTTOM)]);
            label(out, x, BOTTOM + 16.0, Anchor::Middle, "t dim", &text);
        }
        for (value, text) in ticks(0.0, self.sequence, TICKS.1) {
            let y = self.y_of(value);
            svg::path(out, "grid thin", &[(LEFT, y), (RIGHT, y)]);
            label(out, LEFT - 6.0, y + 4.0, Anchor::End, "t dim", &text);
        }
        svg::path(out, "line", &[(LEFT, TOP), (LEFT, BOTTOM), (RIGHT, BOTTOM)]);
        label(out, 8.0, 14.0, Anchor::Start, "t", &lang.axis_sequence());
        let time = lang.axis_time(name);
        label(out, RIGHT, BOTTOM + 34.0, Anchor::End, "t", &time);
    }

    fn bar(&self, class: &str, sent: &Sent, out: &mut String) {
        let x = self.x(sent.time);
        let (low, high) = (self.y(sent.from), self.y(sent.to));
        // A SYN or a FIN alone would hardly be seen.
        let high = high.min(low - 2.0);
        svg::path(out, class, &[(x, low), (x, high)]);
        for y in [low, high] {
            svg::path(out, class, &[(x - 2.5, y), (x + 2.5, y)]);
        }
    }

    /// A broad bar without ends: what the receiver holds although something before it is missing.
    fn block(&self, block: &Sent, out: &mut String) {
        let x = self.x(block.time);
        let (low, high) = (self.y(block.from), self.y(block.to).max(TOP));
        svg::path(out, "sack", &[(x, low), (x, high.min(low - 2.0))]);
    }

    fn acknowledged(&self, graph: &Graph, out: &mut String) {
        let points = graph
            .acks
            .items()
            .iter()
            .map(|(time, ack, _)| (*time, *ack));
        self.steps("ack", points, out);
    }

    /// Draws the edge of the window where it lies inside, and answers with where it lies otherwise.
    fn window(&self, graph: &Graph, out: &mut String) -> Option<(u64, u64)> {
        let edges = || {
            graph
                .acks
                .items()
                .iter()
                .map(|(time, _, edge)| (*time, *edge))
        };
        let most = edges().map(|(_, edge)| edge).max()?;
        if most as f64 <= self.sequence {
            self.steps("edge", edges(), out);
            return None;
        }
        Some((edges().map(|(_, edge)| edge).min()?, most))
    }

    /// What one acknowledgment says holds until the next one.
    fn steps(&self, class: &str, points: impl Iterator<Item = (Duration, u64)>, out: &mut String) {
        let mut line: Vec<(f64, f64)> = Vec::new();
        for (time, position) in points {
            let (x, y) = (self.x(time), self.y(position).max(TOP));
            if let Some(&(_, before)) = line.last() {
                line.push((x, before));
            }
            line.push((x, y));
        }
        if let Some(&(_, y)) = line.last() {
            line.push((RIGHT, y));
        }
        svg::path(out, class, &line);
    }
}

/// Says so where not all is shown.
fn thinned(lang: Lang, graph: &Graph, out: &mut String) {
    let every = graph.segments.every().max(graph.acks.every());
    if every > 1 {
        let text = lang.one_of(every);
        label(out, RIGHT, 14.0, Anchor::End, "t dim", &text);
    }
}

/// A sample and its name for everything that is drawn, in as many lines as it takes.
fn legend(
    lang: Lang,
    graph: &Graph,
    class: &'static str,
    outside: Option<(u64, u64)>,
) -> Vec<(&'static str, Label)> {
    let edge = match outside {
        None => lang.legend_edge(),
        Some((least, most)) => lang.legend_edge_outside(grouped(least), grouped(most)),
    };
    let mut entries = vec![(class, lang.legend_segment())];
    if !graph.again.items().is_empty() {
        entries.push(("again", lang.legend_again()));
    }
    entries.push(("ack", lang.legend_acknowledged()));
    if !graph.blocks.items().is_empty() {
        entries.push(("sack", lang.legend_blocks()));
    }
    entries.push(("edge", edge));
    let (mut x, mut y) = (LEFT, HEIGHT - 10.0);
    let mut labels = Vec::new();
    for (class, text) in entries {
        let width = SAMPLE + text.width() as f64 * 7.4;
        if x + width > WIDTH && x > LEFT {
            (x, y) = (LEFT, y + LINE);
        }
        let label = Label {
            x: x + SAMPLE,
            y,
            anchor: Anchor::Start,
            class: "t",
            text,
        };
        labels.push((class, label));
        x += width + 22.0;
    }
    labels
}

fn label(out: &mut String, x: f64, y: f64, anchor: Anchor, class: &'static str, text: &str) {
    let text = text.into();
    let label = Label {
        x,
        y,
        anchor,
        class,
        text,
    };
    label.draw(out);
}

fn micros(time: Duration) -> f64 {
    time.total_micros() as f64
}

/// Round values between `from` and `to`, `most` of them at most, each with its text.
fn ticks(from: f64, to: f64, most: f64) -> Vec<(f64, String)> {
    let raw = ((to - from) / most).max(f64::MIN_POSITIVE);
    let magnitude = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * magnitude)
        .find(|step| *step >= raw * 0.999)
        .unwrap_or(10.0 * magnitude);
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    let first = (from / step).ceil() as i64;
    let last = (to / step).floor() as i64;
    (first..=last)
        .map(|at| {
            let value = at as f64 * step;
            let text = match decimals {
                0 => grouped(value as u64),
                _ => format!("{value:.decimals$}"),
            };
            (value, text)
        })
        .collect()
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_legend_is_never_cut_off() {
        let mut graph = Graph::default();
        let sent = Sent {
            time: Duration::ZERO,
            from: 0,
            to: 1,
        };
        graph.again.push(sent);
        graph.blocks.push(sent);
        for lang in [Lang::En, Lang::Zh] {
            for outside in [None, Some((65_536, 1 << 30)), Some((1 << 40, 1 << 41))] {
                let labels = legend(lang, &graph, "in", outside);
                assert_eq!(labels.len(), 5);
                for (at, (_, label)) in labels.iter().enumerate() {
                    let [left, top, right, _] = label.area();
                    assert!(left >= LEFT && right <= WIDTH, "{label:?}");
                    let before = labels[..at].iter().map(|(_, label)| label.area());
                    let apart = |area: [f64; 4]| area[2] < left - SAMPLE || area[3] <= top;
                    assert!(before.into_iter().all(apart), "{label:?}");
                }
            }
        }
    }

    #[test]
    fn ticks_are_round_and_few() {
        for (from, to, most, expected) in [
            (0.0, 10.3, 8.0, "0 2 4 6 8 10"),
            (0.0, 1.03, 8.0, "0.0 0.2 0.4 0.6 0.8 1.0"),
            (0.0, 31.0, 6.0, "0 10 20 30"),
            (40.0, 90.0, 8.0, "40 50 60 70 80 90"),
            (0.0, 65_535.0, 6.0, "0 20,000 40,000 60,000"),
        ] {
            let texts: Vec<String> = ticks(from, to, most)
                .into_iter()
                .map(|tick| tick.1)
                .collect();
            assert_eq!(texts.join(" "), expected, "{from} to {to}");
        }
    }
}
