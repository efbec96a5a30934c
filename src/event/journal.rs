//! Where events are numbered and wait to be fetched.

use super::{Event, EventKind, FlowId, Limit};
use smoltcp::time::{Duration, Instant};
use std::collections::VecDeque;

/// How much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Watch {
    /// Nothing but defects: nobody looks, and no time is spent on it.
    Nothing,
    /// Everything but packets.
    Transitions,
    /// Everything.
    #[default]
    Everything,
}

/// Events that happened and were not fetched yet.
#[derive(Debug)]
pub(crate) struct Journal {
    watch: Watch,
    /// How much later it is than the stack believes, whose clock may have stood still.
    pub(crate) ahead: Duration,
    /// How many were fetched: the number of the newest.
    fetched: u64,
    waiting: VecDeque<(Instant, Option<FlowId>, EventKind)>,
    /// How many may wait.
    limit: usize,
    /// How many were lost because there was no room.
    lost: u64,
}

impl Journal {
    pub(crate) fn new(watch: Watch, limit: usize) -> Journal {
        Journal {
            watch,
            ahead: Duration::ZERO,
            fetched: 0,
            waiting: VecDeque::new(),
            limit,
            lost: 0,
        }
    }

    /// Whether packets are reported. Building a packet event is costly: check before building.
    pub(crate) fn wants_packets(&self) -> bool {
        self.watch == Watch::Everything
    }

    pub(crate) fn tell(&mut self, at: Instant, flow: Option<FlowId>, kind: EventKind) {
        if self.watch < least(&kind) {
            return;
        }
        if self.waiting.len() >= self.limit {
            self.lost += 1;
            return;
        }
        self.waiting.push_back((at + self.ahead, flow, kind));
    }

    /// Tells something that belongs right behind the event that was fetched last.
    pub(crate) fn tell_next(&mut self, at: Instant, flow: Option<FlowId>, kind: EventKind) {
        if self.watch >= least(&kind) {
            self.waiting.push_front((at + self.ahead, flow, kind));
        }
    }

    pub(crate) fn fetch(&mut self) -> Option<Event> {
        let (at, flow, kind) = self.waiting.pop_front()?;
        if self.lost > 0 && self.waiting.is_empty() {
            // What was lost comes behind all that was kept.
            let lost = EventKind::Limited(Limit::Events, std::mem::take(&mut self.lost));
            self.waiting.push_back((at, None, lost));
        }
        self.fetched += 1;
        Some(Event {
            number: self.fetched,
            at,
            flow,
            kind,
        })
    }
}

/// Who wants to hear of it at all.
fn least(kind: &EventKind) -> Watch {
    match kind {
        EventKind::Packet(_) => Watch::Everything,
        // A defect is reported in any case.
        EventKind::Defect(_) => Watch::Nothing,
        _ => Watch::Transitions,
    }
}
