//! Where events are numbered and wait to be fetched.

use super::{Event, EventKind, FlowId};
use smoltcp::time::Instant;
use std::collections::VecDeque;

/// How much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Watch {
    /// Nothing: nobody looks, and no time is spent on it.
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
    told: u64,
    waiting: VecDeque<Event>,
}

impl Journal {
    pub(crate) fn new(watch: Watch) -> Journal {
        Journal {
            watch,
            told: 0,
            waiting: VecDeque::new(),
        }
    }

    /// Whether packets are told: making such an event costs more than not telling it saves.
    pub(crate) fn wants_packets(&self) -> bool {
        self.watch == Watch::Everything
    }

    pub(crate) fn tell(&mut self, at: Instant, flow: Option<FlowId>, kind: EventKind) {
        let least = match kind {
            EventKind::Packet(_) => Watch::Everything,
            _ => Watch::Transitions,
        };
        if self.watch < least {
            return;
        }
        self.told += 1;
        self.waiting.push_back(Event {
            number: self.told,
            at,
            flow,
            kind,
        });
    }

    pub(crate) fn fetch(&mut self) -> Option<Event> {
        self.waiting.pop_front()
    }
}
