//! Judges a run: what happens goes in, what is not as expected comes out.

use super::compare::{Field, compare};
use super::expect::{Expectation, Kernel, Line, Since, What, When};
use super::{Expected, Output};
use crate::event::{Event, EventKind, FlowId, Packet};
use crate::segment::{Flags, Origin, Segment};
use crate::state::TcpState;
use crate::view::View;
use smoltcp::time::{Duration, Instant};
use std::collections::BTreeMap;

/// Something that is not as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What was expected: a line of the scenario, or a key and its value.
    pub expected: String,
    /// Where that stands: the line of the file, counted from 1.
    pub line: usize,
    /// What is wrong, in a sentence without full stop.
    pub message: String,
    /// The fields of what came nearest.
    pub fields: Vec<Field>,
    /// The number of the event at which it was found; `None` where it is the end of the run.
    pub event: Option<u64>,
}

/// How a client has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Its exit code, 128 plus the number of the signal that has killed it. A simulated one ends with 0, or with 1 when a
    /// step of it fails.
    pub exit: u8,
    /// What it has written to standard output. For a simulated one, what it has received.
    pub stdout: Vec<u8>,
    /// What it has written to standard error. For a simulated one, why it failed.
    pub stderr: Vec<u8>,
    /// How long it ran.
    pub duration: Duration,
    /// Whether it was ended as the scenario's limit was over.
    pub over_limit: bool,
}

/// Compares a run with what a scenario expects.
#[derive(Debug)]
pub struct Checker<'a> {
    expected: &'a Expected,
    kernel: Kernel,
    tolerance: Duration,
    /// What is to happen one after the other.
    order: Vec<&'a [Line]>,
    /// How many of those have happened, and which lines of the next.
    happened: usize,
    matched: Vec<bool>,
    /// Those of `never` and `count`, and how often each has been seen.
    counted: Vec<(&'a Expectation, u64)>,
    start: Option<Instant>,
    /// When the newest expected thing happened.
    previous: Option<Instant>,
    /// What came nearest to the next line since then.
    nearest: Option<Vec<Field>>,
    /// The states that were entered since then.
    entered: Vec<String>,
    /// The peers' states as they were told last.
    peers: BTreeMap<FlowId, TcpState>,
    failures: Vec<Failure>,
    /// Whether the order was left.
    lost: bool,
}

/// Something that a line may be about.
enum Happening<'a> {
    Packet(&'a Packet, Origin),
    Released(&'a Packet, Origin),
    State(TcpState),
    Peer(TcpState),
}

impl<'a> Checker<'a> {
    /// Judges by `expected`; a single time is meant give or take `tolerance`.
    pub fn new(expected: &'a Expected, kernel: Kernel, tolerance: Duration) -> Checker<'a> {
        let order: Vec<&[Line]> = expected
            .lines
            .iter()
            .filter_map(|expectation| match expectation {
                Expectation::Next(lines) => Some(lines.as_slice()),
                _ => None,
            })
            .collect();
        let counted = expected
            .lines
            .iter()
            .filter(|expectation| !matches!(expectation, Expectation::Next(_)))
            .map(|expectation| (expectation, 0))
            .collect();
        let matched = vec![false; order.first().map_or(0, |lines| lines.len())];
        Checker {
            expected,
            kernel,
            tolerance,
            order,
            happened: 0,
            matched,
            counted,
            start: None,
            previous: None,
            nearest: None,
            entered: Vec::new(),
            peers: BTreeMap::new(),
            failures: Vec::new(),
            lost: false,
        }
    }

    /// Takes in what has happened. `view` has been fed with it just before.
    pub fn event(&mut self, view: &View, event: &Event) {
        if matches!(event.kind, EventKind::Packet(_)) {
            self.start.get_or_insert(event.at);
            self.previous.get_or_insert(event.at);
        }
        let origin = |packet: &Packet| origin(view, event.flow, packet);
        let happening = match &event.kind {
            EventKind::Packet(packet) => Some(Happening::Packet(packet, origin(packet))),
            EventKind::Released(released) => {
                let packet = &released.packet;
                Some(Happening::Released(packet, origin(packet)))
            }
            EventKind::Transition(transition) => Some(Happening::State(transition.to)),
            _ => None,
        };
        if let Some(happening) = happening {
            self.happens(event, &happening);
        }
        for state in self.peer_states(view, event) {
            self.happens(event, &Happening::Peer(state));
        }
    }

    /// Whether nothing more is awaited: all lines that have an order have happened, or they never will.
    pub fn is_satisfied(&self) -> bool {
        self.lost || self.happened == self.order.len()
    }

    /// Whether something was found to be wrong already.
    pub fn has_failed(&self) -> bool {
        !self.failures.is_empty()
    }

    /// The run is over, and the client has ended like this. What is not as expected; nothing where all is well.
    pub fn finish(mut self, outcome: &Outcome, limit: Duration) -> Vec<Failure> {
        if !self.is_satisfied() {
            self.missing();
        }
        let counted = std::mem::take(&mut self.counted);
        for (expectation, seen) in counted {
            if let Expectation::Count(line, range) = expectation
                && !range.contains(&seen)
            {
                let message = format!("it happened {}", times(seen));
                self.fail(line, message, Vec::new(), None);
            }
        }
        self.client(outcome, limit);
        self.failures.sort_by_key(|failure| failure.line);
        self.failures
    }

    fn happens(&mut self, event: &Event, happening: &Happening<'_>) {
        self.count(event, happening);
        if self.is_satisfied() {
            return;
        }
        let lines = self.order[self.happened];
        let mut best: Option<Vec<Field>> = None;
        let mut hit = None;
        for (index, line) in lines.iter().enumerate() {
            if self.matched[index] {
                continue;
            }
            match judge(line, event, happening) {
                Judgment::Agrees => {
                    hit = Some(index);
                    break;
                }
                Judgment::Differs(fields) => best = nearer(best, Some(fields)),
                Judgment::Other => {}
            }
        }
        let Some(index) = hit else {
            if let Happening::State(state) = happening {
                self.entered.push(state.name().to_owned());
            }
            if self.expected.exact && matches!(happening, Happening::Packet(..)) {
                self.lost = true;
                let line = first_open(lines, &self.matched);
                let message = format!("another packet came instead, {}", said_of(happening));
                return self.fail(line, message, best.unwrap_or_default(), Some(event.number));
            }
            self.nearest = nearer(self.nearest.take(), best.filter(|fields| is_near(fields)));
            return;
        };
        let line = &lines[index];
        if let Some(field) = self.wrong_time(line, event.at) {
            self.lost = true;
            let message = "it happened at another time".to_owned();
            return self.fail(line, message, vec![field], Some(event.number));
        }
        self.matched[index] = true;
        if self.matched.iter().all(|&matched| matched) {
            self.previous = Some(event.at);
            self.happened += 1;
            let next = self.order.get(self.happened);
            self.matched = vec![false; next.map_or(0, |lines| lines.len())];
            self.nearest = None;
            self.entered.clear();
        }
    }

    /// The time where it is not the one that was expected.
    fn wrong_time(&self, line: &Line, at: Instant) -> Option<Field> {
        if line.when == When::ANY {
            return None;
        }
        let origin = match line.when.since {
            Since::Start => self.start,
            Since::Previous => self.previous,
        };
        let passed = at - origin.unwrap_or(at);
        let (from, to) = line.when.window.bounds(self.kernel, self.tolerance);
        if from <= passed && to.is_none_or(|to| passed <= to) {
            return None;
        }
        let plus = match line.when.since {
            Since::Start => "",
            Since::Previous => "+",
        };
        let to = to.map(seconds).unwrap_or_default();
        let expected = format!("{plus}{}..{to}", seconds(from));
        Some(Field::new(
            "time",
            expected,
            format!("{plus}{}", seconds(passed)),
            false,
        ))
    }

    fn count(&mut self, event: &Event, happening: &Happening<'_>) {
        let mut never = Vec::new();
        for (expectation, seen) in &mut self.counted {
            let (Expectation::Never(line) | Expectation::Count(line, _)) = expectation else {
                continue;
            };
            if !matches!(judge(line, event, happening), Judgment::Agrees) {
                continue;
            }
            *seen += 1;
            if let (Expectation::Never(line), 1) = (expectation, *seen) {
                never.push(line);
            }
        }
        for line in never {
            let message = format!("it happened: {}", said_of(happening));
            self.fail(line, message, Vec::new(), Some(event.number));
        }
    }

    /// The next expectation did not come true.
    fn missing(&mut self) {
        let lines = self.order[self.happened];
        let line = first_open(lines, &self.matched);
        let (message, fields) = match (&line.what, self.nearest.take()) {
            (What::State(_), _) if self.entered.is_empty() => (
                "it did not happen: no state was entered after the line before".to_owned(),
                Vec::new(),
            ),
            (What::State(state), _) => {
                let actual = self.entered.join(", ");
                let field = Field::new("state", state.name(), actual, false);
                ("it did not happen".to_owned(), vec![field])
            }
            (What::Peer(_), _) => ("it did not happen".to_owned(), Vec::new()),
            (_, Some(fields)) => ("it did not happen; what came nearest".to_owned(), fields),
            (_, None) => (
                "it did not happen, nor anything like it, after the line before".to_owned(),
                Vec::new(),
            ),
        };
        self.fail(line, message, fields, None);
    }

    fn client(&mut self, outcome: &Outcome, limit: Duration) {
        let expected = self.expected;
        let fail = |key: &'static str, expected: String, line, actual: String| Failure {
            expected: format!("{key} = {expected}"),
            line,
            message: "the client did otherwise".to_owned(),
            fields: vec![Field::new(key, expected, actual, false)],
            event: None,
        };
        if outcome.over_limit {
            self.failures.push(Failure {
                expected: format!("an end within {} s", seconds(limit)),
                line: expected.limit_line,
                message: "the client was still running when its time was over, and was ended"
                    .to_owned(),
                fields: Vec::new(),
                event: None,
            });
            return;
        }
        if let Some((codes, line)) = &expected.exit
            && !codes.contains(&outcome.exit)
        {
            let wanted: Vec<String> = codes.iter().map(u8::to_string).collect();
            let actual = match said(&outcome.stderr) {
                Some(said) => format!("{} ({said})", outcome.exit),
                None => outcome.exit.to_string(),
            };
            self.failures
                .push(fail("exit", wanted.join(" or "), *line, actual));
        }
        for (key, wanted, actual) in [
            ("stdout", &expected.stdout, &outcome.stdout),
            ("stderr", &expected.stderr, &outcome.stderr),
        ] {
            for (wanted, line) in wanted {
                if !wanted.agrees(actual) {
                    let actual = super::compare::quoted(actual);
                    self.failures
                        .push(fail(key, wanted.to_string(), *line, actual));
                }
            }
        }
        if let Some((window, line)) = expected.duration {
            let (from, to) = window.bounds(self.kernel, self.tolerance);
            let took = outcome.duration;
            if took < from || to.is_some_and(|to| took > to) {
                let wanted = format!("{}..{}", seconds(from), to.map(seconds).unwrap_or_default());
                self.failures
                    .push(fail("duration", wanted, line, seconds(took)));
            }
        }
    }

    /// The states that the peer of this event's flow has entered, as far as it tells or its kernel says.
    fn peer_states(&mut self, view: &View, event: &Event) -> Vec<TcpState> {
        let Some((id, flow)) = event.flow.and_then(|id| Some((id, view.flow(id)?))) else {
            return Vec::new();
        };
        let state = match &event.kind {
            EventKind::Packet(_) | EventKind::Released(_) => flow.peer_state.state(),
            EventKind::Asked(asked) => asked.state,
            _ => return Vec::new(),
        };
        match self.peers.insert(id, state) {
            Some(before) if before == state => Vec::new(),
            _ => vec![state],
        }
    }

    fn fail(&mut self, line: &Line, message: String, fields: Vec<Field>, event: Option<u64>) {
        self.failures.push(Failure {
            expected: line.text.clone(),
            line: line.number,
            message,
            fields,
            event,
        });
    }
}

/// From where the numbers of a packet count. A SYN that belongs to no flow, as nobody listens, begins at 0 all the same.
fn origin(view: &View, flow: Option<FlowId>, packet: &Packet) -> Origin {
    let origin = view.origin(flow, packet.direction);
    let syn = |segment: &&Segment| segment.flags.contains(Flags::SYN);
    let own = packet
        .described
        .tcp()
        .filter(syn)
        .map(|segment| segment.seq);
    Origin {
        seq: origin.seq.or(own),
        ..origin
    }
}

/// How a line and something that happens go together.
enum Judgment {
    Agrees,
    /// They are of the same kind, but differ.
    Differs(Vec<Field>),
    /// They have nothing in common.
    Other,
}

fn judge(line: &Line, event: &Event, happening: &Happening<'_>) -> Judgment {
    let (pattern, packet, origin) = match (&line.what, happening) {
        (What::Packet(pattern), Happening::Packet(packet, origin))
        | (What::Released(pattern), Happening::Released(packet, origin)) => {
            (pattern, *packet, *origin)
        }
        (What::State(expected), Happening::State(state))
        | (What::Peer(expected), Happening::Peer(state))
            if expected == state && flow_agrees(line, event) =>
        {
            return Judgment::Agrees;
        }
        _ => return Judgment::Other,
    };
    let mut fields = compare(pattern, packet, origin);
    if let Some(expected) = line.flow {
        let actual = event
            .flow
            .map_or("none".to_owned(), |flow| flow.to_string());
        let field = Field::new(
            "flow",
            format!("#{expected}"),
            actual,
            flow_agrees(line, event),
        );
        fields.insert(0, field);
    }
    match fields.iter().all(|field| field.agrees) {
        true => Judgment::Agrees,
        false => Judgment::Differs(fields),
    }
}

fn flow_agrees(line: &Line, event: &Event) -> bool {
    line.flow
        .is_none_or(|number| event.flow == Some(FlowId(number)))
}

/// Whether it is worth showing beside what was expected: a packet of the same flow, direction and protocol.
fn is_near(fields: &[Field]) -> bool {
    let decides = |field: &&Field| ["direction", "protocol", "flow"].contains(&field.name);
    fields.iter().filter(decides).all(|field| field.agrees)
}

/// The fields of which fewer differ; the earlier ones where it is the same.
fn nearer(one: Option<Vec<Field>>, other: Option<Vec<Field>>) -> Option<Vec<Field>> {
    let distance = |fields: &[Field]| fields.iter().filter(|field| !field.agrees).count();
    match (one, other) {
        (Some(one), Some(other)) if distance(&other) < distance(&one) => Some(other),
        (Some(one), _) => Some(one),
        (None, other) => other,
    }
}

/// What has happened, as a line would say it.
fn said_of(happening: &Happening<'_>) -> String {
    match happening {
        Happening::Packet(packet, origin) | Happening::Released(packet, origin) => {
            let (described, _) = packet.outcome();
            let direction = packet.direction.name();
            format!("{direction} {:#}", described.notation(*origin))
        }
        Happening::State(state) => format!("state {state}"),
        Happening::Peer(state) => format!("peer {state}"),
    }
}

fn first_open<'a>(lines: &'a [Line], matched: &[bool]) -> &'a Line {
    let open = matched.iter().position(|&matched| !matched);
    &lines[open.unwrap_or(0)]
}

/// The last thing a client has said on standard error.
fn said(stderr: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(stderr);
    let last = text.lines().rev().find(|line| !line.trim().is_empty())?;
    Some(last.trim().to_owned())
}

fn times(count: u64) -> String {
    match count {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        count => format!("{count} times"),
    }
}

/// Seconds with as many digits as it takes, at most six.
pub(super) fn seconds(time: Duration) -> String {
    let text = format!("{:.6}", time.total_micros() as f64 / 1e6);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl Output {
    /// Whether a client that says `actual` says what is expected. Line endings at the very end do not count.
    pub fn agrees(&self, actual: &[u8]) -> bool {
        let text = String::from_utf8_lossy(actual);
        match self {
            Output::Is(expected) => text.trim_end_matches('\n') == expected.trim_end_matches('\n'),
            Output::Contains(part) => text.contains(part.as_str()),
            Output::Matches(regex) => regex.is_match(&text),
        }
    }
}
