//! Where everything in a ladder stands.
//!
//! ```text
//!  ruler  time       states of the peer ▌ ── segment ──▶ ▌ our states
//!    │╌╌╌ 0.000000   SYN-SENT           ▌                ▌ SYN-RECEIVED
//!    ┊╌╌╌ 0.000012                      ▌ ◀───────────── ▌
//!    ⌇                        20.1 ms later
//! ```
//!
//! Time runs down the ruler. It is true to scale where its line is solid: the median gap between two rows is as long
//! as a row is high. A row that finds its place taken is pushed down, and a thin line leads from its place on the ruler
//! to it. Where that would lead too far, time is stretched (dotted); where nothing happens for long, it is cut short
//! (zigzag), and the time that passes is written there.

use super::record::{Arrow, FlowRecord, Row, What};
use super::svg::{self, Anchor, LINE, Label};
use crate::event::{Direction, Transport};
use crate::sink::mark::End;
use crate::sink::text;
use crate::state::TcpState;
use crate::words::Lang;
use smoltcp::time::Duration;
use unicode_width::UnicodeWidthStr;

/// The ruler, the times, and the outer edges of the two bands.
pub(super) const RULER: f64 = 12.0;
pub(super) const TIME: f64 = 34.0;
pub(super) const LEFT: f64 = 226.0;
pub(super) const RIGHT: f64 = 750.0;
/// How broad a band is.
pub(super) const BAND: f64 = 12.0;
/// How far an arrow falls between the two ends.
pub(super) const SLOPE: f64 = 10.0;
/// What the arrows' texts keep away from the bands, and the room for a packet's number.
const INSET: f64 = 8.0;
const NUMBER: f64 = 60.0;
/// The median gap is drawn as long as this.
const MEDIAN: f64 = 44.0;
/// A gap drawn longer is cut short.
const LONGEST: f64 = 170.0;
/// A row is not pushed further from its place than this.
const PUSH: f64 = 90.0;
/// What rows keep away from each other.
const GAP: f64 = 4.0;
/// The room of a break.
const BREAK: f64 = 30.0;
/// Where the first row may begin, below the heads of the columns and the states.
const TOP: f64 = 52.0;

/// A ladder laid out.
#[derive(Debug)]
pub(super) struct Layout<'a> {
    pub(super) lang: Lang,
    pub(super) rows: Vec<Placed<'a>>,
    pub(super) ruler: Vec<Stretch>,
    /// The peer's and ours; none in an exchange of datagrams.
    pub(super) bands: [Vec<Band>; 2],
    pub(super) heads: Vec<Label>,
    pub(super) height: f64,
}

/// A row and its place.
#[derive(Debug)]
pub(super) struct Placed<'a> {
    pub(super) row: &'a Row,
    /// Where on the ruler it belongs, and where it stands: at our end of an arrow.
    pub(super) tick: f64,
    pub(super) y: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
    pub(super) labels: Vec<Label>,
}

/// A piece of the ruler.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stretch {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) kind: Kind,
}

/// How true a piece of the ruler is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    ToScale,
    /// Longer than it should be.
    Stretched,
    /// Cut short; where the mark is.
    Broken(f64),
}

/// The time that one end spends in one state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Band {
    pub(super) state: TcpState,
    pub(super) from: f64,
    pub(super) to: f64,
}

impl<'a> Layout<'a> {
    pub(super) fn new(record: &'a FlowRecord) -> Layout<'a> {
        let rows: Vec<&Row> = record.rows.iter().collect();
        let scale = scale(&rows);
        let mut layout = Layout {
            lang: record.lang,
            rows: Vec::new(),
            ruler: Vec::new(),
            bands: [Vec::new(), Vec::new()],
            heads: heads(record),
            height: TOP,
        };
        let is_tcp = record.transport == Transport::Tcp;
        if is_tcp {
            for (band, state) in layout.bands.iter_mut().zip(record.initial) {
                band.push(Band {
                    state,
                    from: 24.0,
                    to: 24.0,
                });
            }
        }
        for row in rows {
            layout.place(record.lang, row, scale);
        }
        layout.height += 20.0;
        for band in &mut layout.bands {
            if let Some(last) = band.last_mut() {
                last.to = layout.height - 8.0;
            }
        }
        layout
    }

    fn place(&mut self, lang: Lang, row: &'a Row, scale: f64) {
        let (mut labels, above, below) = content(lang, row);
        let free = self.height + GAP;
        let mut y = free + above;
        let mut top = free;
        let mut tick = y;
        if let Some(last) = self.rows.last() {
            let passed = row.time.max(last.row.time) - last.row.time;
            let length = passed.total_micros() as f64 * scale;
            let mut kind = Kind::ToScale;
            if length > LONGEST {
                y += BREAK;
                tick = y;
                kind = Kind::Broken(free + BREAK / 2.0);
                labels.push(Label {
                    x: (LEFT + RIGHT) / 2.0,
                    y: free + BREAK / 2.0 + 4.0,
                    anchor: Anchor::Middle,
                    class: "t dim",
                    text: lang.later(text::time(passed)),
                });
            } else {
                let due = last.tick + length;
                y = y.max(due);
                tick = due;
                top = y - above;
                if y - due > PUSH {
                    tick = y;
                    kind = Kind::Stretched;
                }
            }
            self.ruler.push(Stretch {
                from: last.tick,
                to: tick,
                kind,
            });
        }
        for label in &mut labels {
            // The label of a break has its place already.
            if label.class != "t dim" || label.anchor != Anchor::Middle {
                label.y += y;
            }
        }
        labels.push(Label {
            x: TIME,
            y: y + 4.0,
            anchor: Anchor::Start,
            class: "t dim",
            text: clock(row.time),
        });
        let slope = match &row.what {
            What::Packet(arrow) => match arrow.direction {
                Direction::In => -SLOPE,
                Direction::Out => SLOPE,
            },
            _ => 0.0,
        };
        for (side, entered, y) in [(0, row.peer, y + slope), (1, row.local, y)] {
            let Some(state) = entered else { continue };
            labels.push(state_label(side, state, y));
            if let Some(last) = self.bands[side].last_mut() {
                last.to = y;
            }
            self.bands[side].push(Band {
                state,
                from: y,
                to: y,
            });
        }
        self.height = y + below;
        self.rows.push(Placed {
            row,
            tick,
            y,
            top,
            bottom: self.height,
            labels,
        });
    }

    /// Where it can be cut so that the first piece is not higher than `first` and no other than `most`, if its rows
    /// allow it: the tops of the pieces.
    pub(super) fn cuts(&self, first: f64, most: f64) -> Vec<f64> {
        let mut cuts = vec![0.0];
        for (row, next) in self.rows.iter().zip(self.rows.iter().skip(1)) {
            let begun = cuts[cuts.len() - 1];
            let most = if cuts.len() == 1 { first } else { most };
            if next.bottom - begun > most && row.bottom > begun + 1.0 {
                cuts.push((row.bottom + next.top) / 2.0);
            }
        }
        cuts
    }
}

/// Pixels for each microsecond: the median gap gets [`MEDIAN`] of them.
fn scale(rows: &[&Row]) -> f64 {
    let mut gaps: Vec<u64> = rows
        .windows(2)
        .map(|pair| {
            pair[1]
                .time
                .total_micros()
                .saturating_sub(pair[0].time.total_micros())
        })
        .filter(|gap| *gap > 0)
        .collect();
    gaps.sort_unstable();
    match gaps.get(gaps.len() / 2) {
        Some(median) => MEDIAN / *median as f64,
        None => 0.0,
    }
}

fn heads(record: &FlowRecord) -> Vec<Label> {
    let (peer, ours) = &record.columns;
    let head = |x, anchor, text: &str| Label {
        x,
        y: 14.0,
        anchor,
        class: "t name",
        text: text.into(),
    };
    let mut heads = vec![
        head(TIME, Anchor::Start, &record.lang.seconds()),
        head(LEFT + BAND, Anchor::End, peer),
        match ours.width() <= svg::columns(svg::WIDTH - RIGHT) {
            true => head(RIGHT, Anchor::Start, ours),
            false => head(svg::WIDTH - 2.0, Anchor::End, ours),
        },
    ];
    if record.transport == Transport::Tcp {
        heads.push(state_label(0, record.initial[0], 32.0));
        heads.push(state_label(1, record.initial[1], 32.0));
    }
    heads
}

fn state_label(side: usize, state: TcpState, y: f64) -> Label {
    let (x, anchor) = match side {
        0 => (LEFT - 7.0, Anchor::End),
        _ => (RIGHT + BAND + 7.0, Anchor::Start),
    };
    Label {
        x,
        y: y + 4.0,
        anchor,
        class: "t",
        text: state.name().into(),
    }
}

/// What stands between the bands, with `y` counted from the row's place, and the room it needs above and below that.
fn content(lang: Lang, row: &Row) -> (Vec<Label>, f64, f64) {
    let from = LEFT + BAND + INSET;
    let room = RIGHT - INSET - from;
    match &row.what {
        What::Packet(arrow) => {
            let falls = match arrow.direction {
                Direction::In => SLOPE,
                Direction::Out => 0.0,
            };
            let mut lines = arrow_lines(lang, arrow, svg::columns(room - NUMBER));
            if let Some(kernel) = row.kernel {
                lines.push(("t dim", lang.kernel_aside(kernel)));
            }
            let count = lines.len() as f64;
            let mut labels = Vec::new();
            for (at, (class, text)) in lines.drain(..).enumerate() {
                labels.push(Label {
                    x: from,
                    y: -falls - 5.0 - LINE * (count - 1.0 - at as f64),
                    anchor: Anchor::Start,
                    class,
                    text,
                });
            }
            labels.push(Label {
                x: RIGHT - INSET,
                y: labels[0].y,
                anchor: Anchor::End,
                class: "t dim",
                text: arrow.id.to_string(),
            });
            (labels, falls + 4.0 + LINE * count, SLOPE - falls + 8.0)
        }
        What::Change(cause) => {
            let label = Label {
                x: RIGHT - 16.0,
                y: 4.0,
                anchor: Anchor::End,
                class: "t remark",
                text: cause.clone(),
            };
            (vec![label], 9.0, 9.0)
        }
        What::Remark(remark) => centred(&text::wrap_sentence(remark, svg::columns(room))),
        What::LeftOut(rows) => {
            let (labels, above, below) = centred(&[lang.rows_not_shown(rows)]);
            (labels, above + 10.0, below + 10.0)
        }
    }
}

fn centred(lines: &[String]) -> (Vec<Label>, f64, f64) {
    let labels = lines.iter().enumerate().map(|(at, line)| Label {
        x: (LEFT + BAND + RIGHT) / 2.0,
        y: 4.0 + LINE * at as f64,
        anchor: Anchor::Middle,
        class: "t remark",
        text: line.clone(),
    });
    (
        labels.collect(),
        9.0,
        9.0 + LINE * (lines.len() as f64 - 1.0),
    )
}

/// The text above an arrow, line by line, each with its class.
fn arrow_lines(lang: Lang, arrow: &Arrow, columns: usize) -> Vec<(&'static str, String)> {
    let wrapped = |class, text: &str| {
        text::wrap(text, columns, |char| char == ' ' || char == ',')
            .into_iter()
            .map(move |line| (class, line))
            .collect::<Vec<_>>()
    };
    let mut lines = wrapped("t", &arrow.short);
    if arrow.retransmission {
        lines.extend(wrapped("again", &lang.retransmission()));
    }
    if let Some(mark) = &arrow.mark {
        let class = match arrow.end {
            End::Lost => "lost",
            End::Head | End::Waits => "again",
        };
        lines.extend(wrapped(class, mark));
    }
    if let Some(meant) = &arrow.meant {
        lines.extend(wrapped("t dim", &lang.meant(meant)));
    }
    if let Some(preview) = &arrow.preview {
        lines.extend(wrapped("t dim", preview));
    }
    lines
}

/// Seconds and microseconds.
pub(super) fn clock(time: Duration) -> String {
    let micros = time.total_micros();
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}
