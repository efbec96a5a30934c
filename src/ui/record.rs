//! The lines of each flow's ladder, as many as are kept.

use crate::event::{Cause, Event, EventKind, Fate, FlowId, Packet, PacketId, Transition};
use crate::state::TcpState;
use crate::step::Folded;
use crate::view::Flow;
use smoltcp::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// How many lines of a flow are kept: this many of its beginning, and as many of its end.
const HALF: usize = 500;
/// How many lines of all flows together are kept; beyond that the oldest flows lose theirs.
const TOTAL: usize = 50_000;

/// One line of a ladder.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// What it shows.
    pub(super) event: Rc<Event>,
    /// The change of our state that the packet of this line has caused, or that this line is about.
    pub(super) transition: Option<Transition>,
    /// The state that the peer enters with it.
    pub(super) peer: Option<TcpState>,
    /// What the peer's kernel says just after it, where that is something else and news.
    pub(super) kernel: Option<TcpState>,
    /// The states after it, the peer's and ours.
    pub(super) states: (TcpState, TcpState),
    /// What happens here in sentences.
    pub(super) told: Vec<String>,
    /// Time since the flow's first packet.
    pub(super) time: Duration,
    /// What was folded into the packet that it shows.
    pub(super) copies: Folded,
}

impl Line {
    /// The packet that it shows, and how long that has waited in the link if this is the end of its wait.
    pub(super) fn packet(&self) -> Option<(&Packet, Option<Duration>)> {
        packet(&self.event)
    }
}

fn packet(event: &Event) -> Option<(&Packet, Option<Duration>)> {
    match &event.kind {
        EventKind::Packet(packet) => Some((packet, None)),
        EventKind::Released(released) => Some((&released.packet, Some(released.waited))),
        _ => None,
    }
}

/// The lines of one flow.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    beginning: Vec<Line>,
    end: VecDeque<Line>,
    /// How many lines between the two are gone.
    pub(super) left_out: u64,
    peer: Option<TcpState>,
    /// The peer's state and what its kernel last said otherwise.
    kernel: Option<(TcpState, TcpState)>,
}

impl Record {
    pub(super) fn len(&self) -> usize {
        self.beginning.len() + self.end.len()
    }

    pub(super) fn line(&self, index: usize) -> Option<&Line> {
        match index.checked_sub(self.beginning.len()) {
            None => self.beginning.get(index),
            Some(index) => self.end.get(index),
        }
    }

    /// Where the lines stand before which some are left out.
    pub(super) fn gap(&self) -> Option<usize> {
        (self.left_out > 0).then_some(self.beginning.len())
    }

    /// The place of the line of event `number`, or of the next one that is still kept.
    pub(super) fn find(&self, number: u64) -> usize {
        let before = |line: &&Line| line.event.number < number;
        let beginning = self.beginning.iter().take_while(before).count();
        if beginning < self.beginning.len() {
            return beginning;
        }
        beginning + self.end.partition_point(|line| line.event.number < number)
    }

    fn last_mut(&mut self) -> Option<&mut Line> {
        self.end.back_mut().or(self.beginning.last_mut())
    }

    /// The newest line of a packet.
    fn packet_mut(&mut self, id: PacketId) -> Option<&mut Line> {
        let shows = |line: &&mut Line| line.packet().is_some_and(|(packet, _)| packet.id == id);
        let mut lines = self.end.iter_mut().rev();
        lines
            .find(shows)
            .or_else(|| self.beginning.iter_mut().rev().find(shows))
    }

    /// Answers how many lines more are kept now.
    fn push(&mut self, line: Line) -> usize {
        if self.beginning.len() < HALF {
            self.beginning.push(line);
            return 1;
        }
        self.end.push_back(line);
        if self.end.len() <= HALF {
            return 1;
        }
        self.end.pop_front();
        self.left_out += 1;
        0
    }
}

/// The lines of all flows.
#[derive(Debug, Default)]
pub(super) struct Records {
    flows: BTreeMap<FlowId, Record>,
    lines: usize,
}

impl Records {
    pub(super) fn of(&self, flow: FlowId) -> Option<&Record> {
        self.flows.get(&flow)
    }

    /// Takes in what happened to `flow`, which is up to date with it, and what is told of it.
    pub(super) fn event(&mut self, flow: &Flow, event: &Event, told: Vec<String>) {
        let record = self.flows.entry(flow.id).or_default();
        let states = (flow.peer_end().0, flow.state);
        let mut transition = None;
        let mut copies = Folded::default();
        match &event.kind {
            EventKind::Packet(packet) if let Fate::Folded(original) = packet.fate => {
                if let Some(line) = record.packet_mut(original) {
                    line.copies.add(event.at);
                    return;
                }
            }
            // Its copies stay with it.
            EventKind::Released(released) => {
                let line = record.packet_mut(released.packet.id);
                copies = line.map(|line| line.copies).unwrap_or_default();
            }
            EventKind::Transition(change) => {
                // It belongs to the line of the packet that has caused it, if that is the newest.
                if let Some(last) = record.last_mut()
                    && let (Some((packet, _)), Cause::Segment(cause)) =
                        (last.packet(), change.cause)
                    && packet.id == cause
                    && last.transition.is_none()
                {
                    last.transition = Some(*change);
                    last.states = states;
                    last.told.extend(told);
                    return;
                }
                transition = Some(*change);
            }
            EventKind::Packet(_)
            | EventKind::Note(_)
            | EventKind::Closed(_)
            | EventKind::Limited(..)
            | EventKind::Defect(_) => {}
            EventKind::Asked(_) => {
                // What the kernel says is about the newest packet.
                let enters = record.peer.replace(states.0) != Some(states.0);
                if let Some(last) = record.last_mut() {
                    last.states.0 = states.0;
                    last.peer = enters.then_some(states.0).or(last.peer);
                }
                let says = flow.kernel_differs().map(|kernel| (states.0, kernel));
                let is_news = std::mem::replace(&mut record.kernel, says) != says;
                if let Some(last) = record.last_mut().filter(|_| is_news) {
                    last.kernel = says.map(|(_, kernel)| kernel);
                }
                return;
            }
            _ => {
                record.peer = Some(states.0);
                return;
            }
        }
        let shown = record.peer.replace(states.0);
        let start = flow.first_packet_at.unwrap_or(flow.opened_at);
        self.lines += record.push(Line {
            event: Rc::new(event.clone()),
            transition,
            peer: (shown != Some(states.0)).then_some(states.0),
            kernel: None,
            states,
            told,
            time: event.at - start,
            copies,
        });
        while self.lines > TOTAL
            && let Some((_, record)) = self.flows.pop_first()
        {
            self.lines -= record.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::View;
    use crate::view::script::Script;

    fn record(script: &Script) -> Records {
        let (mut view, mut records) = (View::new(), Records::default());
        for event in &script.events {
            view.event(event);
            records.event(view.flow(event.flow.unwrap()).unwrap(), event, Vec::new());
        }
        records
    }

    #[test]
    fn a_change_of_state_stands_on_the_line_of_its_segment() {
        let mut script = Script::new();
        script.password().peer_closes(3, 28);
        let records = record(&script);
        let record = records.of(FlowId(1)).unwrap();
        let line = record.line(2).unwrap();
        assert!(matches!(line.event.kind, EventKind::Packet(_)));
        assert_eq!(
            line.transition.map(|change| change.to),
            Some(TcpState::Established)
        );
        assert_eq!(line.states, (TcpState::Established, TcpState::Established));
        let calls = (0..record.len())
            .filter(|&index| {
                let line = record.line(index).unwrap();
                matches!(line.event.kind, EventKind::Transition(_))
            })
            .count();
        assert_eq!(calls, 1, "only CLOSE has no segment");
    }

    /// A state stands where it is entered, and only there; the same goes for what the kernel says.
    #[test]
    fn a_kernel_that_is_ahead_is_told_once() {
        let mut script = Script::new();
        script
            .passive()
            .get("S", 0, None, b"")
            .asked(TcpState::SynSent);
        script.to(TcpState::SynReceived);
        script.put("S", 0, Some(1), b"").asked(TcpState::FinWait1);
        script.get("", 1, Some(1), b"").asked(TcpState::FinWait1);
        script.to(TcpState::Established);
        script.get("F", 1, Some(1), b"").asked(TcpState::FinWait1);
        let records = record(&script);
        let record = records.of(FlowId(1)).unwrap();
        let told: Vec<_> = (0..record.len())
            .map(|index| record.line(index).unwrap())
            .map(|line| (line.peer, line.kernel, line.states.0))
            .collect();
        use TcpState::*;
        assert_eq!(
            told,
            [
                (Some(SynSent), None, SynSent),
                (Some(Established), Some(FinWait1), Established),
                (None, None, Established),
                (Some(FinWait1), None, FinWait1),
            ]
        );
    }

    #[test]
    fn the_middle_of_a_long_flow_is_left_out() {
        let mut script = Script::new();
        script.passive();
        for number in 0..2 * HALF + 10 {
            script.note(&number.to_string());
        }
        let records = record(&script);
        let record = records.of(FlowId(1)).unwrap();
        assert_eq!((record.len(), record.left_out), (2 * HALF, 10));
        assert_eq!(record.gap(), Some(HALF));
        // Event 1 opens the flow, so note N is event N + 2.
        assert_eq!(record.find(2), 0);
        assert_eq!(record.find(HALF as u64 + 2), HALF);
        assert_eq!(record.find(u64::MAX), 2 * HALF);
    }

    #[test]
    fn many_flows_need_no_more_than_so_many_lines() {
        let mut script = Script::new();
        let flows = TOTAL / 100 + 2;
        for _ in 0..flows {
            script.passive();
            for _ in 0..100 {
                script.note("");
            }
        }
        let records = record(&script);
        assert!(records.lines <= TOTAL);
        assert!(records.of(FlowId(1)).is_none());
        assert!(records.of(FlowId(flows as u64)).is_some());
    }
}
