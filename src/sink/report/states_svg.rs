//! The state diagram of RFC 9293 (figure 5) with the way that one connection took through it.

use self::Words::*;
use super::ladder_layout::clock;
use super::record::Step;
use super::svg::{self, Anchor, Drawing, LINE, Label};
use crate::sink::text;
use crate::state::TcpState::{self, *};
use crate::words::Lang;
use std::fmt::Write;

/// Half of a box.
const HALF: (f64, f64) = (65.0, 22.0);
/// Where the figure ends and the list of steps begins.
const BOTTOM: f64 = 690.0;

/// The boxes by their middles. CLOSED stands twice, as in the RFC.
const NODES: [(TcpState, f64, f64); 12] = [
    (Closed, 400.0, 60.0),
    (Listen, 400.0, 155.0),
    (SynReceived, 120.0, 250.0),
    (SynSent, 680.0, 250.0),
    (Established, 400.0, 350.0),
    (FinWait1, 120.0, 440.0),
    (CloseWait, 680.0, 440.0),
    (FinWait2, 120.0, 545.0),
    (Closing, 400.0, 545.0),
    (LastAck, 680.0, 545.0),
    (TimeWait, 400.0, 650.0),
    (Closed, 680.0, 650.0),
];

/// What stands beside an edge. Calls, segments and the TCB are named as the RFC names them.
#[derive(Clone, Copy)]
enum Words {
    PassiveOpen,
    ActiveOpen,
    Call(&'static str),
    Receive(&'static str),
    ReceiveAckOf(&'static str),
    Send(&'static str),
    Create,
    CreateAndSend(&'static str),
    Delete,
    Lifetimes,
}

/// An edge of the figure.
struct Edge {
    from: TcpState,
    to: TcpState,
    points: &'static [(f64, f64)],
    /// What happens, and what is done.
    words: &'static [Words],
    /// Where the words stand, and how.
    at: (f64, f64, Anchor),
    /// Where the number of the step stands.
    badge: (f64, f64),
}

#[rustfmt::skip]
const EDGES: [Edge; 20] = [
    edge(Closed, Listen, &[(360.0, 82.0), (360.0, 133.0)],
        &[PassiveOpen, Create], (346.0, 104.0, Anchor::End), (360.0, 102.0)),
    edge(Listen, Closed, &[(440.0, 133.0), (440.0, 82.0)],
        &[Call("CLOSE"), Delete], (454.0, 104.0, Anchor::Start), (440.0, 112.0)),
    edge(Closed, SynSent, &[(465.0, 52.0), (760.0, 52.0), (760.0, 240.0), (745.0, 240.0)],
        &[ActiveOpen, CreateAndSend("SYN")], (540.0, 26.0, Anchor::Start), (760.0, 140.0)),
    edge(SynSent, Closed, &[(640.0, 228.0), (640.0, 72.0), (465.0, 72.0)],
        &[Call("CLOSE"), Delete], (654.0, 150.0, Anchor::Start), (640.0, 140.0)),
    edge(SynReceived, Listen, &[(120.0, 228.0), (120.0, 155.0), (335.0, 155.0)],
        &[Receive("RST")], (134.0, 147.0, Anchor::Start), (260.0, 155.0)),
    edge(Listen, SynReceived, &[(350.0, 177.0), (350.0, 236.0), (185.0, 236.0)],
        &[Receive("SYN"), Send("SYN,ACK")], (336.0, 206.0, Anchor::End), (350.0, 208.0)),
    edge(Listen, SynSent, &[(450.0, 177.0), (450.0, 236.0), (615.0, 236.0)],
        &[Call("SEND"), Send("SYN")], (464.0, 206.0, Anchor::Start), (450.0, 208.0)),
    edge(SynSent, SynReceived, &[(615.0, 250.0), (185.0, 250.0)],
        &[Receive("SYN"), Send("SYN,ACK")], (400.0, 276.0, Anchor::Middle), (400.0, 250.0)),
    edge(SynReceived, Established, &[(185.0, 264.0), (350.0, 264.0), (350.0, 328.0)],
        &[ReceiveAckOf("SYN")], (336.0, 300.0, Anchor::End), (268.0, 264.0)),
    edge(SynSent, Established, &[(615.0, 264.0), (450.0, 264.0), (450.0, 328.0)],
        &[Receive("SYN,ACK"), Send("ACK")], (464.0, 294.0, Anchor::Start), (532.0, 264.0)),
    edge(SynReceived, FinWait1, &[(90.0, 272.0), (90.0, 418.0)],
        &[Call("CLOSE"), Send("FIN")], (104.0, 340.0, Anchor::Start), (90.0, 344.0)),
    edge(Established, FinWait1, &[(350.0, 372.0), (350.0, 430.0), (185.0, 430.0)],
        &[Call("CLOSE"), Send("FIN")], (336.0, 398.0, Anchor::End), (350.0, 402.0)),
    edge(Established, CloseWait, &[(450.0, 372.0), (450.0, 440.0), (615.0, 440.0)],
        &[Receive("FIN"), Send("ACK")], (464.0, 402.0, Anchor::Start), (450.0, 406.0)),
    edge(FinWait1, FinWait2, &[(90.0, 462.0), (90.0, 523.0)],
        &[ReceiveAckOf("FIN")], (104.0, 496.0, Anchor::Start), (90.0, 490.0)),
    edge(FinWait1, Closing, &[(185.0, 450.0), (400.0, 450.0), (400.0, 523.0)],
        &[Receive("FIN"), Send("ACK")], (386.0, 480.0, Anchor::End), (400.0, 486.0)),
    edge(FinWait2, TimeWait, &[(90.0, 567.0), (90.0, 650.0), (335.0, 650.0)],
        &[Receive("FIN"), Send("ACK")], (104.0, 604.0, Anchor::Start), (90.0, 606.0)),
    edge(Closing, TimeWait, &[(400.0, 567.0), (400.0, 628.0)],
        &[ReceiveAckOf("FIN")], (414.0, 600.0, Anchor::Start), (400.0, 594.0)),
    edge(CloseWait, LastAck, &[(680.0, 462.0), (680.0, 523.0)],
        &[Call("CLOSE"), Send("FIN")], (694.0, 488.0, Anchor::Start), (680.0, 490.0)),
    edge(LastAck, Closed, &[(680.0, 567.0), (680.0, 628.0)],
        &[ReceiveAckOf("FIN")], (694.0, 600.0, Anchor::Start), (680.0, 594.0)),
    edge(TimeWait, Closed, &[(465.0, 650.0), (615.0, 650.0)],
        &[Lifetimes, Delete], (540.0, 674.0, Anchor::Middle), (540.0, 650.0)),
];

const fn edge(
    from: TcpState,
    to: TcpState,
    points: &'static [(f64, f64)],
    words: &'static [Words],
    at: (f64, f64, Anchor),
    badge: (f64, f64),
) -> Edge {
    Edge {
        from,
        to,
        points,
        words,
        at,
        badge,
    }
}

/// The figure, and below it the steps with their causes.
pub(super) fn diagram(lang: Lang, title: &str, path: &[Step]) -> Drawing {
    let mut body = String::new();
    // What was taken lies on top.
    for taken in [false, true] {
        for edge in EDGES {
            let steps = steps(&edge, path);
            if taken != steps.is_empty() {
                draw_edge(&edge, taken, &mut body);
            }
        }
    }
    for (at, node) in NODES.iter().enumerate() {
        draw_node(at, *node, path, &mut body);
    }
    for edge in EDGES {
        draw_badge(edge.badge, &steps(&edge, path), &mut body);
        for label in labels(lang, &edge) {
            label.draw(&mut body);
        }
    }
    let mut y = BOTTOM + LINE;
    for label in list(lang, path) {
        label.draw(&mut body);
        y = label.y;
    }
    Drawing {
        title: title.into(),
        top: 0.0,
        height: y + 10.0,
        body,
    }
}

/// The numbers of the steps that took this edge, counted from 1.
fn steps(edge: &Edge, path: &[Step]) -> Vec<usize> {
    (1..)
        .zip(path)
        .filter(|(_, step)| step.from == edge.from && step.to == edge.to && in_figure(step))
        .map(|(number, _)| number)
        .collect()
}

/// Whether the figure shows this step: it has no edge for resets, ABORT and the user timeout, and none for two steps
/// with one segment. An edge taken for another reason than the one that stands beside it is not shown either.
fn in_figure(step: &Step) -> bool {
    use crate::event::{Cause, Timer, UserCall};
    let known = EDGES
        .iter()
        .any(|edge| edge.from == step.from && edge.to == step.to);
    known
        && (!step.reset || step.to == Listen)
        && match (step.from, step.to) {
            (TimeWait, Closed) => step.cause == Cause::Timeout(Timer::TimeWait),
            (SynSent | Listen, Closed) => step.cause == Cause::Call(UserCall::Close),
            (LastAck, Closed) => matches!(step.cause, Cause::Segment(_)),
            _ => true,
        }
}

fn draw_edge(edge: &Edge, taken: bool, out: &mut String) {
    let class = if taken { "taken" } else { "line" };
    svg::path(out, class, edge.points);
    if let [.., before, end] = edge.points {
        svg::head(out, class, *before, *end);
    }
}

fn draw_node(at: usize, (state, x, y): (TcpState, f64, f64), path: &[Step], out: &mut String) {
    // A connection begins in the upper CLOSED and ends in the lower one.
    let begins = path.first().is_some_and(|step| step.from == state);
    let entered = path.iter().any(|step| step.to == state);
    let ends = path.last().is_some_and(|step| step.to == state);
    let (visited, ends) = match (state, at) {
        (Closed, 0) => (begins, false),
        (Closed, _) => (entered, ends),
        _ => (begins || entered, ends),
    };
    let mut class = match visited {
        true => format!("line {}", svg::state_class(state)),
        false => "line thin node".into(),
    };
    if ends {
        class += " taken";
    }
    let (width, height) = HALF;
    svg::rect(
        out,
        &class,
        x - width,
        y - height,
        2.0 * width,
        2.0 * height,
    );
    let label = Label {
        x,
        y: y + 4.0,
        anchor: Anchor::Middle,
        class: if visited { "t name" } else { "t dim" },
        text: state.name().into(),
    };
    label.draw(out);
}

fn draw_badge((x, y): (f64, f64), steps: &[usize], out: &mut String) {
    let Some(first) = steps.first() else { return };
    let text = match steps.len() {
        1 => first.to_string(),
        _ => format!("{first}…"),
    };
    let _ = write!(
        out,
        "<circle class=\"badge\" cx=\"{x}\" cy=\"{y}\" r=\"10\"/>"
    );
    let label = Label {
        x,
        y: y + 4.0,
        anchor: Anchor::Middle,
        class: "on-badge name",
        text,
    };
    label.draw(out);
}

fn labels(lang: Lang, edge: &Edge) -> impl Iterator<Item = Label> {
    let (x, y, anchor) = edge.at;
    edge.words.iter().enumerate().map(move |(at, words)| Label {
        x,
        y: y + at as f64 * (LINE - 1.0),
        anchor,
        class: "t dim",
        text: words.tell(lang),
    })
}

impl Words {
    fn tell(self, lang: Lang) -> String {
        match self {
            PassiveOpen => lang.passive_call(),
            ActiveOpen => lang.active_call(),
            Call(name) => name.into(),
            Receive(what) => lang.receives(what),
            ReceiveAckOf(what) => lang.receives(lang.ack_of(what)),
            Send(what) => lang.sends(what),
            Create => lang.makes_block(),
            CreateAndSend(what) => lang.makes_block_and_sends(what),
            Delete => lang.deletes_block(),
            Lifetimes => lang.two_lifetimes(),
        }
    }
}

fn list(lang: Lang, path: &[Step]) -> impl Iterator<Item = Label> {
    path.iter().enumerate().map(move |(at, step)| {
        let mut cause = text::cause(lang, step.cause);
        if step.reset {
            cause = lang.by_reset(cause);
        }
        if !in_figure(step) {
            cause = lang.not_in_figure(cause);
        }
        let change = format!("{} → {}", step.from, step.to);
        let text = format!(
            "{:>3}  {:>10} {}",
            at + 1,
            clock(step.time),
            lang.step(change, cause)
        );
        Label {
            x: 30.0,
            y: BOTTOM + LINE * (at + 1) as f64,
            anchor: Anchor::Start,
            class: "t",
            text,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_edge_joins_its_boxes_and_is_legal() {
        let touches = |state: TcpState, (x, y): (f64, f64)| {
            NODES.iter().any(|(other, mx, my)| {
                *other == state && (x - mx).abs() <= HALF.0 && (y - my).abs() <= HALF.1
            })
        };
        for edge in EDGES {
            let (from, to) = (edge.from, edge.to);
            assert!(from.may_become(to), "{from} → {to}");
            assert!(
                touches(from, edge.points[0]),
                "{from} → {to} begins elsewhere"
            );
            assert!(
                touches(to, edge.points[edge.points.len() - 1]),
                "{from} → {to} ends elsewhere"
            );
        }
    }

    #[test]
    fn an_edge_is_taken_only_for_its_own_reason() {
        use crate::event::{Cause, PacketId, Timer, UserCall};
        let segment = Cause::Segment(PacketId(1));
        for (from, to, cause, reset, expected) in [
            (Listen, SynReceived, segment, false, true),
            (SynReceived, Listen, segment, true, true),
            (LastAck, Closed, segment, false, true),
            (LastAck, Closed, segment, true, false),
            (LastAck, Closed, Cause::Timeout(Timer::User), false, false),
            (
                TimeWait,
                Closed,
                Cause::Timeout(Timer::TimeWait),
                false,
                true,
            ),
            (SynSent, Closed, segment, true, false),
            (SynSent, Closed, Cause::Call(UserCall::Close), false, true),
            (
                Established,
                Closed,
                Cause::Call(UserCall::Abort),
                false,
                false,
            ),
            (FinWait1, TimeWait, segment, false, false),
        ] {
            let time = Default::default();
            let step = Step {
                from,
                to,
                cause,
                reset,
                time,
            };
            assert_eq!(in_figure(&step), expected, "{from} → {to}: {cause:?}");
        }
    }

    #[test]
    fn no_words_overlap_anything() {
        let apart =
            |a: [f64; 4], b: [f64; 4]| a[2] <= b[0] || b[2] <= a[0] || a[3] <= b[1] || b[3] <= a[1];
        for lang in [Lang::En, Lang::Zh] {
            check_words(lang, apart);
        }
    }

    fn check_words(lang: Lang, apart: impl Fn([f64; 4], [f64; 4]) -> bool) {
        let words: Vec<(String, [f64; 4])> = EDGES
            .iter()
            .flat_map(|edge| labels(lang, edge).map(move |label| (edge, label)))
            .map(|(edge, label)| {
                let name = format!("{} → {}: {}", edge.from, edge.to, label.text);
                (name, label.area())
            })
            .collect();
        let mut things = words.clone();
        for (state, x, y) in NODES {
            things.push((
                state.to_string(),
                [x - HALF.0, y - HALF.1, x + HALF.0, y + HALF.1],
            ));
        }
        for edge in EDGES {
            let name = format!("{} → {}", edge.from, edge.to);
            let (x, y) = edge.badge;
            things.push((
                format!("{name} badge"),
                [x - 10.0, y - 10.0, x + 10.0, y + 10.0],
            ));
            for pair in edge.points.windows(2) {
                let ((ax, ay), (bx, by)) = (pair[0], pair[1]);
                let area = [
                    ax.min(bx) - 1.0,
                    ay.min(by) - 1.0,
                    ax.max(bx) + 1.0,
                    ay.max(by) + 1.0,
                ];
                things.push((format!("{name} line"), area));
            }
        }
        for (at, (word, area)) in words.iter().enumerate() {
            assert!(
                area[0] >= 0.0 && area[2] <= svg::WIDTH && area[1] >= 0.0,
                "{word} is cut off"
            );
            for (thing, other) in &things[at + 1..] {
                assert!(apart(*area, *other), "{word} overlaps {thing}");
            }
        }
    }
}
