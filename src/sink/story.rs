//! The story: every segment and every change of state in plain sentences, with the numbers that it really carries.
//!
//! | depth | what is said |
//! |---|---|
//! | none | nothing |
//! | brief | what a newcomer should notice, where it happens for the first time in a run |
//! | normal | one or two sentences on each segment and each change of state: why it is as it is |
//! | deep | also the variables of the connection, and the RFC and section on which each sentence rests |
//!
//! In Chinese, handshake and teardown are taught by counting their segments (三次握手, 四次挥手), so a brief story counts
//! them too. All sentences stand in [`words`](crate::words), once in each language.

mod course;
mod packet;
mod relative;
mod segment;
mod states;

use super::text;
use crate::event::{Direction, Event, EventKind, FlowId};
use crate::fault::RuleSet;
use crate::view::View;
use crate::words::{Lang, Sentence};
use course::Lessons;
use segment::Seen;
use smoltcp::time::{Duration, Instant};
use std::collections::BTreeMap;

/// How much is explained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// Nothing.
    None,
    /// What happens for the first time.
    #[default]
    Brief,
    /// Every segment and every change of state.
    Normal,
    /// Also the variables, and where the RFCs say so.
    Deep,
}

/// Tells what happens in words.
#[derive(Debug)]
pub struct Story {
    lang: Lang,
    depth: Depth,
    time_wait: Option<Duration>,
    is_relative: bool,
    /// What the link is told to do: what a rule does besides dropping a packet is told with the packet.
    rules: RuleSet,
    lessons: Lessons,
    flows: BTreeMap<FlowId, Past>,
}

/// What must be remembered of one flow.
#[derive(Debug, Default)]
struct Past {
    /// What has crossed the link so far: in, out.
    seen: [Seen; 2],
    /// Which way the newest segment went, if it asks for an answer: a window probe, or a keep-alive.
    asked: Option<Direction>,
    /// When the peer's SYN came again.
    syn_again: Option<Instant>,
    time_wait_since: Option<Instant>,
}

impl Story {
    /// A story that has not begun.
    pub fn new(lang: Lang, depth: Depth) -> Story {
        Story {
            lang,
            depth,
            time_wait: None,
            is_relative: false,
            rules: RuleSet::new(),
            lessons: Lessons::default(),
            flows: BTreeMap::new(),
        }
    }

    /// Lets the story know how long our TIME-WAIT lasts, so that it can tell how much of it is left.
    #[must_use]
    pub fn with_time_wait(self, time_wait: Option<Duration>) -> Story {
        Story { time_wait, ..self }
    }

    /// Lets the story count sequence numbers from the initial ones, as ladders do.
    #[must_use]
    pub fn counting_from_initial_numbers(self) -> Story {
        Story {
            is_relative: true,
            ..self
        }
    }

    /// Packets are interfered with by these rules.
    pub fn rules_are(&mut self, rules: &RuleSet) {
        self.rules = rules.clone();
    }

    /// The sentences on `event`, which `view` was fed before. Every event must be told in order, as what is said of
    /// one depends on those before.
    pub fn event(&mut self, view: &View, event: &Event) -> Vec<String> {
        if self.depth == Depth::None {
            return Vec::new();
        }
        let said = match &event.kind {
            EventKind::Packet(packet) => self.packet(view, event, packet),
            EventKind::Transition(transition) => match event.flow.and_then(|id| view.flow(id)) {
                Some(flow) => self.transition(event.at, flow, transition),
                None => Vec::new(),
            },
            EventKind::Released(released) => {
                let flow = event.flow.and_then(|id| view.flow(id));
                self.released(flow, released)
            }
            EventKind::Closed(_) => {
                if let Some(id) = event.flow {
                    self.flows.remove(&id);
                    self.lessons.forget(id);
                }
                Vec::new()
            }
            _ => Vec::new(),
        };
        said.iter().map(|sentence| self.tell(sentence)).collect()
    }

    fn tell(&self, sentence: &Sentence) -> String {
        match self.depth {
            Depth::Deep => sentence.with_reference(self.lang),
            _ => sentence.text.clone(),
        }
    }

    /// What is left of TIME-WAIT.
    fn time_wait_left(&self, id: FlowId, now: Instant) -> Option<Sentence> {
        let since = self.flows.get(&id)?.time_wait_since?;
        let gone = now - since;
        let left = self.time_wait?.max(gone) - gone;
        Some(self.lang.time_wait_lasts(text::time(left)))
    }
}

#[cfg(test)]
mod tests;
