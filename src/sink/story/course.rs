//! The course of a connection: which step of a handshake or of a teardown a segment is, and what it shows first.

use super::Depth;
use crate::event::{Direction, FlowId, Opening};
use crate::segment::{Flags, Segment, SeqNumber};
use crate::view::Flow;
use crate::words::{Lang, Sentence};
use std::collections::{BTreeMap, BTreeSet};

/// What was taught so far.
#[derive(Debug, Default)]
pub(super) struct Lessons {
    taught: BTreeSet<Lesson>,
    courses: BTreeMap<FlowId, Course>,
}

/// What is said once in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lesson {
    AckBit,
    SynCounts,
    FinCounts,
    Push,
    Datagrams,
    Variables,
    /// Other names of states.
    Names,
    /// What the link does to a packet, by its name.
    Fate(&'static str),
    Step(Step),
}

/// What one segment is for a connection's beginning or end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Syn,
    SynAck,
    HandshakeAck,
    SynsCrossed,
    SynAccepted,
    FirstFin,
    FinAck,
    FinAckAndFin,
    SecondFin,
    LastAck,
    FinsCrossed,
    CrossedFinAck,
}

/// How far a connection has come. Pairs are indexed by [`Direction`].
#[derive(Clone, Copy, Debug, Default)]
struct Course {
    syns: [Option<SeqNumber>; 2],
    /// Which SYN and which FIN the other end has acknowledged.
    syn_acked: [bool; 2],
    fins: [Option<Fin>; 2],
    fin_acked: [bool; 2],
    syns_crossed: bool,
    fins_crossed: bool,
}

/// A FIN, and the data before it in its segment.
#[derive(Clone, Copy, Debug)]
struct Fin {
    seq: SeqNumber,
    data: u32,
}

impl Fin {
    fn number(self) -> SeqNumber {
        self.seq + self.data
    }
}

impl Lessons {
    /// Whether `lesson` was not taught before; now it is.
    pub(super) fn is_new(&mut self, lesson: Lesson) -> bool {
        self.taught.insert(lesson)
    }

    /// What `segment` shows that is worth a remark.
    pub(super) fn segment(
        &mut self,
        lang: Lang,
        depth: Depth,
        flow: &Flow,
        direction: Direction,
        segment: &Segment,
    ) -> Vec<Sentence> {
        let opener = match flow.opening {
            Opening::Passive => Direction::In,
            Opening::Active => Direction::Out,
        };
        let course = self.courses.entry(flow.id).or_default();
        let mut said = Vec::new();
        let (opens, acked_syn) = course.handshake(opener, direction, segment);
        let (ends, acked_fin) = course.teardown(direction, segment);
        let course = *course;
        for step in [opens, ends].into_iter().flatten() {
            // Counting the steps is how Chinese textbooks teach them.
            let counts =
                depth >= Depth::Normal || lang == Lang::Zh && self.is_new(Lesson::Step(step));
            if counts {
                let roles = if direction == opener {
                    [lang.client(), lang.server()]
                } else {
                    [lang.server(), lang.client()]
                };
                said.extend(course.tell(lang, step, direction, segment, &roles));
            }
        }
        let Some(ack) = segment.acknowledges() else {
            return said;
        };
        if let Some(syn) = acked_syn
            && self.is_new(Lesson::SynCounts)
        {
            said.push(lang.syn_counts(ack, syn));
        }
        if self.is_new(Lesson::AckBit) {
            said.push(lang.ack_bit());
        }
        if let Some(fin) = acked_fin
            && self.is_new(Lesson::FinCounts)
        {
            let data = match fin.data {
                0 => String::new(),
                bytes => format!(" + {bytes}"),
            };
            said.push(lang.fin_counts(ack, fin.seq, data));
        }
        said
    }

    /// A flow is over.
    pub(super) fn forget(&mut self, flow: FlowId) {
        self.courses.remove(&flow);
    }
}

impl Course {
    /// The step of the handshake, and the SYN that is acknowledged with it.
    fn handshake(
        &mut self,
        opener: Direction,
        direction: Direction,
        segment: &Segment,
    ) -> (Option<Step>, Option<SeqNumber>) {
        let (this, other) = (direction as usize, 1 - direction as usize);
        if segment.flags.contains(Flags::RST) {
            return (None, None);
        }
        let is_syn = segment.flags.contains(Flags::SYN);
        // What acknowledges a SYN that was never sent is no step.
        let astray = is_syn
            && self.syns[other]
                .zip(segment.acknowledges())
                .is_some_and(|(syn, ack)| ack != syn + 1);
        if astray {
            return (None, None);
        }
        let is_new = is_syn && self.syns[this].is_none();
        if is_new {
            self.syns[this] = Some(segment.seq);
        }
        let acked = self.syns[other].filter(|&syn| {
            let first = segment.acknowledges().is_some_and(|ack| syn.before(ack));
            first && !self.syn_acked[other]
        });
        if acked.is_some() {
            self.syn_acked[other] = true;
        }
        let step = match acked {
            None if is_new && direction == opener => Some(Step::Syn),
            None if is_new && self.syns[other].is_some() => {
                self.syns_crossed = true;
                Some(Step::SynsCrossed)
            }
            Some(_) if self.syns_crossed => Some(Step::SynAccepted),
            Some(_) if is_new && direction != opener => Some(Step::SynAck),
            Some(_) if !is_syn && direction == opener => Some(Step::HandshakeAck),
            _ => None,
        };
        // Data that comes with it or after it acknowledges more, and the remark is on the SYN alone.
        let exact = acked.filter(|&syn| segment.acknowledges() == Some(syn + 1));
        (step, exact)
    }

    /// The step of the teardown, and the FIN that is acknowledged with it.
    fn teardown(&mut self, direction: Direction, segment: &Segment) -> (Option<Step>, Option<Fin>) {
        let (this, other) = (direction as usize, 1 - direction as usize);
        if segment.flags.contains(Flags::RST) {
            return (None, None);
        }
        let acked = self.fins[other].filter(|fin| {
            let reached = segment
                .acknowledges()
                .is_some_and(|ack| fin.number().before(ack));
            reached && !self.fin_acked[other]
        });
        let closed_first = self.fins[this].is_some();
        let is_new = segment.flags.contains(Flags::FIN) && !closed_first;
        if is_new {
            self.fins[this] = Some(Fin {
                seq: segment.seq,
                data: segment.payload.len() as u32,
            });
        }
        if acked.is_some() {
            self.fin_acked[other] = true;
        }
        let step = match (acked, is_new) {
            (None, false) => None,
            (None, true) if self.fins[other].is_none() => Some(Step::FirstFin),
            (None, true) if self.fin_acked[other] => Some(Step::SecondFin),
            (None, true) => {
                self.fins_crossed = true;
                Some(Step::FinsCrossed)
            }
            (Some(_), true) => Some(Step::FinAckAndFin),
            (Some(_), false) if self.fins_crossed => Some(Step::CrossedFinAck),
            (Some(_), false) if closed_first => Some(Step::LastAck),
            (Some(_), false) => Some(Step::FinAck),
        };
        (step, acked)
    }

    /// A step in words. `who` is its sender, `other` the other end, as client and server.
    fn tell(
        &self,
        lang: Lang,
        step: Step,
        direction: Direction,
        segment: &Segment,
        [who, other]: &[String; 2],
    ) -> Option<Sentence> {
        let (this, that) = (direction as usize, 1 - direction as usize);
        let (seq, ack) = (segment.seq, segment.ack);
        let syn = self.syns[that];
        let own = self.fins[this].map(Fin::number);
        let theirs = self.fins[that].map(Fin::number);
        Some(match step {
            Step::Syn => lang.handshake_first(seq),
            Step::SynAck => lang.handshake_second(ack, syn?, seq),
            Step::HandshakeAck => lang.handshake_third(seq, ack, syn?),
            Step::SynsCrossed => lang.handshake_crossed(seq),
            Step::SynAccepted => lang.handshake_offer_accepted(ack, syn?),
            Step::FirstFin => lang.teardown_first(who, other, own?),
            Step::FinAck => lang.teardown_second(who, theirs?, ack),
            Step::FinAckAndFin => lang.teardown_second_and_third(who, other, theirs?, ack, own?),
            Step::SecondFin => lang.teardown_third(who, other, own?),
            Step::LastAck => lang.teardown_fourth(who, other, theirs?, ack),
            Step::FinsCrossed => lang.teardown_crossed(who, own?),
            Step::CrossedFinAck => lang.teardown_acknowledged(who, theirs?, ack),
        })
    }
}
