//! The state diagram of RFC 9293 (figure 5) with the ways that both ends of one connection took through it.

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
/// How far the number of the second way stands from that of the first.
const SECOND: f64 = 21.0;

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

/// The way of one end.
pub(super) struct Way {
    /// Whose it is, and from where it is known.
    head: String,
    steps: Vec<Step>,
    mark: Mark,
}

/// How a way is told from the other: by colour, by the shape of its numbers, and a little aside.
#[derive(Clone, Copy)]
struct Mark {
    class: &'static str,
    badge: &'static str,
    is_round: bool,
    /// How far it is drawn aside where both ways take the same edge.
    aside: f64,
}

impl Way {
    /// Ours.
    pub(super) fn ours(head: String, steps: Vec<Step>) -> Way {
        let mark = Mark {
            class: "taken",
            badge: "badge",
            is_round: true,
            aside: 0.0,
        };
        Way { head, steps, mark }
    }

    /// The peer's.
    pub(super) fn peers(head: String, steps: Vec<Step>) -> Way {
        let mark = Mark {
            class: "peer",
            badge: "peer-badge",
            is_round: false,
            aside: 4.0,
        };
        Way { head, steps, mark }
    }

    /// Whether it has been in this box of the figure, and whether it has ended there.
    fn visits(&self, at: usize, state: TcpState) -> (bool, bool) {
        // A connection begins in the upper CLOSED and ends in the lower one.
        let begins = self.steps.first().is_some_and(|step| step.from == state);
        let entered = self.steps.iter().any(|step| step.to == state);
        let ends = self.steps.last().is_some_and(|step| step.to == state);
        match (state, at) {
            (Closed, 0) => (begins, false),
            (Closed, _) => (entered, ends),
            _ => (begins || entered, ends),
        }
    }
}

/// The figure, and below it the steps with their causes.
pub(super) fn diagram(lang: Lang, title: &str, ways: &[Way]) -> Drawing {
    let mut body = String::new();
    for edge in &EDGES {
        let is_taken = ways.iter().any(|way| !steps(edge, &way.steps).is_empty());
        if !is_taken {
            draw_edge(edge, "line", 0.0, &mut body);
        }
    }
    // What was taken lies on top.
    for edge in &EDGES {
        for (way, aside) in on_edge(edge, ways) {
            draw_edge(edge, way.mark.class, aside, &mut body);
        }
    }
    for (at, node) in NODES.iter().enumerate() {
        draw_node(at, *node, ways, &mut body);
    }
    for edge in &EDGES {
        for (way, aside) in on_edge(edge, ways) {
            let place = beside(edge, aside);
            draw_badge(place, &steps(edge, &way.steps), way.mark, &mut body);
        }
        for label in labels(lang, edge) {
            label.draw(&mut body);
        }
    }
    let mut y = BOTTOM;
    for way in ways {
        y += LINE;
        head(way, y, &mut body);
        for label in list(lang, &way.steps, y + LINE) {
            label.draw(&mut body);
            y = label.y;
        }
        y += LINE / 2.0;
    }
    Drawing {
        title: title.into(),
        top: 0.0,
        height: y + 10.0,
        body,
    }
}

/// The ways that take an edge, and how far aside each is drawn: not at all where it is the only one.
fn on_edge<'a>(edge: &Edge, ways: &'a [Way]) -> Vec<(&'a Way, f64)> {
    let taking = ways
        .iter()
        .filter(|way| !steps(edge, &way.steps).is_empty());
    let taking: Vec<&Way> = taking.collect();
    let shares = taking.len() > 1;
    let place = |way: &'a Way| (way, if shares { way.mark.aside } else { 0.0 });
    taking.into_iter().map(place).collect()
}

/// Where the number stands: the second one further along the line.
fn beside(edge: &Edge, aside: f64) -> (f64, f64) {
    let (x, y) = edge.badge;
    if aside == 0.0 {
        return (x, y);
    }
    let on_vertical = edge.points.windows(2).any(|pair| {
        let ((ax, ay), (bx, by)) = (pair[0], pair[1]);
        ax == bx && ax == x && (ay.min(by)..=ay.max(by)).contains(&y)
    });
    match on_vertical {
        true => (x, y + SECOND),
        false => (x + SECOND, y),
    }
}

/// Whose steps are listed below, with the mark of its numbers.
fn head(way: &Way, y: f64, out: &mut String) {
    badge((36.0, y - 4.0), 6.0, way.mark, out);
    let label = Label {
        x: 50.0,
        y,
        anchor: Anchor::Start,
        class: "t name",
        text: way.head.clone(),
    };
    label.draw(out);
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
            (TimeWait, Closed) => step.cause == Some(Cause::Timeout(Timer::TimeWait)),
            (SynSent | Listen, Closed) => step.cause == Some(Cause::Call(UserCall::Close)),
            (LastAck, Closed) => matches!(step.cause, Some(Cause::Segment(_))),
            _ => true,
        }
}

fn draw_edge(edge: &Edge, class: &str, aside: f64, out: &mut String) {
    let moved = edge.points.iter().map(|(x, y)| (x + aside, y + aside));
    let points: Vec<(f64, f64)> = moved.collect();
    svg::path(out, class, &points);
    if let [.., before, end] = points[..] {
        svg::head(out, class, before, end);
    }
}

fn draw_node(at: usize, (state, x, y): (TcpState, f64, f64), ways: &[Way], out: &mut String) {
    let visited = ways.iter().any(|way| way.visits(at, state).0);
    let class = match visited {
        true => format!("line {}", svg::state_class(state)),
        false => "line thin node".into(),
    };
    let (width, height) = HALF;
    let mut frame = |class: &str, inset: f64| {
        svg::rect(
            out,
            class,
            x - width + inset,
            y - height + inset,
            2.0 * (width - inset),
            2.0 * (height - inset),
        );
    };
    frame(&class, 0.0);
    let ending = ways.iter().filter(|way| way.visits(at, state).1);
    for (number, way) in ending.enumerate() {
        let class = format!("{} {}", svg::state_class(state), way.mark.class);
        frame(&class, 4.0 * number as f64);
    }
    let label = Label {
        x,
        y: y + 4.0,
        anchor: Anchor::Middle,
        class: if visited { "t name" } else { "t dim" },
        text: state.name().into(),
    };
    label.draw(out);
}

fn draw_badge((x, y): (f64, f64), steps: &[usize], mark: Mark, out: &mut String) {
    let Some(first) = steps.first() else { return };
    let text = match steps.len() {
        1 => first.to_string(),
        _ => format!("{first}…"),
    };
    badge((x, y), 10.0, mark, out);
    let label = Label {
        x,
        y: y + 4.0,
        anchor: Anchor::Middle,
        class: "on-badge name",
        text,
    };
    label.draw(out);
}

fn badge((x, y): (f64, f64), radius: f64, mark: Mark, out: &mut String) {
    let class = mark.badge;
    if mark.is_round {
        let _ = write!(
            out,
            "<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"{radius}\"/>"
        );
        return;
    }
    // As large as the circle.
    let half = radius * 0.9;
    svg::rect(out, class, x - half, y - half, 2.0 * half, 2.0 * half);
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

fn list(lang: Lang, path: &[Step], top: f64) -> impl Iterator<Item = Label> {
    path.iter().enumerate().map(move |(at, step)| {
        let mut cause = match step.cause {
            Some(cause) => text::cause(lang, cause),
            None => lang.not_kept(),
        };
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
            y: top + LINE * at as f64,
            anchor: Anchor::Start,
            class: "t",
            text,
        }
    })
}

#[cfg(test)]
mod tests;
