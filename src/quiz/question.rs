//! What is asked, and what is the right answer.

use super::answer::{Given, agree, all_named, named};
use super::score::Mark;
use crate::event::{Direction, Event, FlowId, Packet, PacketId, Transition};
use crate::segment::{Flags, Segment};
use crate::sink::text;
use crate::state::TcpState;
use crate::view::View;
use crate::words::{Lang, Thing};

#[derive(Debug)]
pub(super) enum Question {
    Segment {
        id: PacketId,
        /// What is asked about.
        title: String,
        expected: Expected,
        given: Given,
        /// Whether the packet waits in the link.
        is_held: bool,
    },
    State {
        /// The number of the event.
        number: u64,
        title: String,
        change: Transition,
    },
}

/// What a segment says: relative numbers, each with the one on the wire; `None` where it has none, or none is known.
#[derive(Debug)]
pub(super) struct Expected {
    flags: Flags,
    seq: Option<(u32, u32)>,
    ack: Option<(u32, u32)>,
}

impl Question {
    /// About the segment that `packet` is; `view` is what the learner has seen.
    pub(super) fn segment(
        lang: Lang,
        view: &View,
        flow: Option<FlowId>,
        packet: &Packet,
        segment: &Segment,
        is_held: bool,
    ) -> Question {
        let (from, to) = match packet.direction {
            Direction::In => (lang.the_peer(), lang.tcplab()),
            Direction::Out => (lang.tcplab(), lang.the_peer()),
        };
        let mut title = lang.quiz_segment(packet.id, from, to);
        let len = segment.payload.len() as u64;
        if len > 0 {
            title = lang.quiz_with_data(title, lang.count(len, Thing::Byte));
        }
        if let Some(flow) = flow {
            title = format!("{flow} {title}");
        }
        let origin = view.origin(flow, packet.direction);
        let is_syn = segment.flags.contains(Flags::SYN);
        let irs = origin.seq.or(is_syn.then_some(segment.seq));
        let ack = segment.acknowledges();
        Question::Segment {
            id: packet.id,
            title,
            expected: Expected {
                flags: segment.flags,
                seq: irs.map(|irs| (segment.seq.since(irs), segment.seq.0)),
                ack: ack.and_then(|ack| Some((ack.since(origin.ack?), ack.0))),
            },
            given: Given::default(),
            is_held,
        }
    }

    /// About the state that our end enters with `change`, which `event` is.
    pub(super) fn state(lang: Lang, event: &Event, change: Transition) -> Question {
        let cause = text::cause(lang, change.cause);
        let mut title = lang.quiz_asks_state(lang.tcplab(), change.from, cause);
        if let Some(flow) = event.flow {
            title = format!("{flow} {title}");
        }
        Question::State {
            number: event.number,
            title,
            change,
        }
    }

    /// What is still to be said.
    pub(super) fn prompt(&self, lang: Lang) -> String {
        let (title, expected, given) = match self {
            Question::State { title, .. } => return title.clone(),
            Question::Segment {
                title,
                expected,
                given,
                ..
            } => (title, expected, given),
        };
        if *given == Given::default() {
            return lang.quiz_asks_all(title);
        }
        let further = match given {
            Given { flags: None, .. } => lang.quiz_asks_flags(),
            Given { seq: None, .. } if expected.seq.is_some() => lang.quiz_asks_seq(),
            _ => lang.quiz_asks_ack(),
        };
        format!("  {further}")
    }

    /// What can be typed.
    pub(super) fn help(&self, lang: Lang) -> String {
        match self {
            Question::Segment { .. } => lang.quiz_help_segment(),
            Question::State { .. } => lang.quiz_help_state(),
        }
    }
}

impl Expected {
    /// Whether everything that is asked was said.
    pub(super) fn is_complete(&self, given: &Given) -> bool {
        given.flags.is_some()
            && (given.seq.is_some() || self.seq.is_none())
            && (given.ack.is_some() || self.ack.is_none())
    }

    /// What of `given` is right.
    pub(super) fn judge(&self, lang: Lang, given: &Given) -> Vec<Mark> {
        let mut marks = vec![Mark {
            is: named(self.flags),
            right: given.flags.map(|flags| agree(flags, self.flags)),
            said: given.flags.map_or_else(String::new, all_named),
        }];
        let mut number = |name: &str, is: Option<(u32, u32)>, said: Option<u32>| {
            let Some((is, on_wire)) = is else { return };
            marks.push(Mark {
                is: format!("{name} {is}"),
                right: said.map(|said| said == is || said == on_wire),
                said: said.map_or_else(String::new, |said| format!("{name} {said}")),
            });
        };
        number("seq", self.seq, given.seq);
        number("ack", self.ack, given.ack);
        // Where there is none, to say one is a mistake.
        if let Some(said) = given.ack
            && !self.flags.contains(Flags::ACK)
        {
            marks.push(Mark {
                is: lang.quiz_no_ack(),
                right: Some(false),
                said: format!("ack {said}"),
            });
        }
        marks
    }
}

/// Whether `said` is the state that is entered.
pub(super) fn judge_state(change: &Transition, said: Option<TcpState>) -> Mark {
    Mark {
        is: change.to.to_string(),
        right: said.map(|said| said == change.to),
        said: said.map_or_else(String::new, |said| said.to_string()),
    }
}
