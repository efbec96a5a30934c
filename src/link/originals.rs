//! Which packets are copies of others that wait in the link, or whose answer waits there.
//!
//! While somebody steps, our clock stands still and the peer's does not: its kernel sends again whatever is not answered. Such
//! a copy says nothing new, and would only draw one more answer.
//!
//! ```text
//!   ── S 0:0(0) ────┤                it waits:          its copies are folded into it
//!   ── S 0:0(0) ────▶                it is passed:      the same, as long as its answer is made, or waits
//!   ├─ S. 0:0(0) ack 1 ──
//!   ◀─ S. 0:0(0) ack 1 ──            it is answered:    one copy may have been under way; the next one is news
//! ```
//!
//! Whatever a person drops has been lost: if that is the original, or all that would have answered it, the next copy is news.
//!
//! What counts are sequence numbers, as an end may cut anew what it sends again (RFC 9293, section 3.8.1, and Linux does): a
//! segment is a copy if each of its numbers is one of such an original. A keep-alive or a window probe has no numbers of its
//! own; it is known by the one before the next.

use crate::event::{Direction, FlowId, PacketId};
use crate::fault::Crossing;
use crate::segment::{Described, Flags, Segment, SeqNumber};
use foldhash::fast::FixedState;
use smoltcp::time::{Duration, Instant};
use std::collections::{HashMap, VecDeque};

/// An answer may take so long by the stack's clock: RFC 9293, section 3.8.6.3, allows an acknowledgment to be delayed for less
/// than half a second (MUST-40).
const ANSWER_TIME: Duration = Duration::from_millis(500);
/// So many segments of each direction of a flow are remembered. A person has no more of them in mind; those of bulk data that
/// goes on by itself are answered soon.
const REMEMBERED: usize = 256;

/// What each flow has sent, once that is watched.
#[derive(Debug, Default)]
pub(crate) struct Originals {
    are_watched: bool,
    /// Never iterated.
    flows: HashMap<FlowId, [Way; 2], FixedState>,
    /// The SYN that has ended a TIME-WAIT: it came as a packet of that flow, and begins another.
    begins: Option<Sent>,
}

/// Of what a packet is a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CopyOf {
    /// The packet with its first number.
    pub(crate) original: PacketId,
    /// Whether all originals have gone on; otherwise one waits.
    pub(crate) has_passed: bool,
}

/// One direction of a flow.
#[derive(Debug, Default)]
struct Way {
    /// What can have copies, the oldest first.
    sent: VecDeque<Sent>,
    /// What waits and answers what the other end has sent.
    answers: Vec<(PacketId, Answer)>,
    /// The highest acknowledgment number so far.
    acknowledged: Option<SeqNumber>,
    /// The next number.
    next: Option<SeqNumber>,
}

#[derive(Debug)]
struct Sent {
    id: PacketId,
    span: Span,
    stage: Stage,
}

/// The sequence numbers that a segment occupies, or asks about.
#[derive(Clone, Copy, Debug)]
struct Span {
    seq: SeqNumber,
    end: SeqNumber,
    /// Whether the first is that of a SYN.
    syn: bool,
    /// Whether the last is that of a FIN.
    fin: bool,
    /// Whether it is a keep-alive or a window probe without data.
    probe: bool,
}

/// What a segment answers.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// Whatever comes before this number.
    UpTo(SeqNumber),
    /// Everything: it is a RST.
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waits,
    /// Since then.
    Passed(Instant),
    /// Its answer was passed on, and no copy has come since.
    Answered,
}

impl Originals {
    /// From now on it is known which packets are copies.
    pub(crate) fn watch(&mut self) {
        self.are_watched = true;
    }

    pub(super) fn are_watched(&self) -> bool {
        self.are_watched
    }

    /// Of what this packet is a copy, if it is one. To be asked once of each, before it crosses; `flow` is the one to which it
    /// belongs by now.
    pub(crate) fn copy_of(
        &mut self,
        flow: Option<FlowId>,
        crossing: &Crossing<'_>,
    ) -> Option<CopyOf> {
        let (now, segment) = (crossing.now, crossing.described.tcp()?);
        let both = self.flows.get_mut(&flow?)?;
        let (way, back) = ways(both, crossing.direction);
        if let Some(sent) = self
            .begins
            .take_if(|sent| segment.flags.contains(Flags::SYN) && sent.span.seq == segment.seq)
        {
            way.sent.push_back(sent);
        }
        let news = |ack: SeqNumber| way.acknowledged.is_none_or(|before| before.before(ack));
        if segment.acknowledges().is_some_and(news) {
            return None;
        }
        let span = way.span(segment)?;
        if span.probe
            && let Some((original, answer)) = way.answers.last()
            && matches!(answer, Answer::UpTo(ack) if *ack == segment.ack)
        {
            // All that it says waits already, and it comes because of that.
            let (original, has_passed) = (*original, false);
            return Some(CopyOf {
                original,
                has_passed,
            });
        }
        let (mut at, mut copied) = (span.seq, Vec::new());
        while at.before(span.end) {
            let is_it = |sent: &Sent| sent.span.covers(at, &span) && back.keeps(now, sent);
            let place = way.sent.iter().rposition(is_it)?;
            at = way.sent[place].span.end;
            copied.push(place);
        }
        let original = way.sent[*copied.first()?].id;
        let has_passed = copied.iter().all(|&at| way.sent[at].stage != Stage::Waits);
        copied.sort_unstable();
        for place in copied.into_iter().rev() {
            if way.sent[place].stage == Stage::Answered {
                way.sent.remove(place);
            }
        }
        Some(CopyOf {
            original,
            has_passed,
        })
    }

    /// A packet waits in the link.
    pub(super) fn waits(
        &mut self,
        flow: Option<FlowId>,
        direction: Direction,
        id: PacketId,
        described: &Described,
    ) {
        let Some((segment, way, _)) = self.way(flow, direction, described) else {
            return;
        };
        way.remember(id, segment, Stage::Waits);
        if let Some(answer) = Answer::of(segment) {
            way.answers.push((id, answer));
        }
    }

    /// A packet has come out of the link without having waited.
    pub(super) fn passes(
        &mut self,
        now: Instant,
        flow: Option<FlowId>,
        direction: Direction,
        id: PacketId,
        described: &Described,
    ) {
        let Some((segment, way, back)) = self.way(flow, direction, described) else {
            return;
        };
        way.remember(id, segment, Stage::Passed(now));
        if let Some(answer) = Answer::of(segment) {
            back.answered(answer);
        }
    }

    /// A packet that waited goes on, or is dropped.
    pub(super) fn released(
        &mut self,
        now: Instant,
        flow: Option<FlowId>,
        direction: Direction,
        id: PacketId,
        goes_on: bool,
    ) {
        let Some(both) = flow.and_then(|flow| self.flows.get_mut(&flow)) else {
            return;
        };
        let (way, back) = ways(both, direction);
        match way.sent.iter().position(|sent| sent.id == id) {
            Some(place) if goes_on => way.sent[place].stage = Stage::Passed(now),
            Some(place) => drop(way.sent.remove(place)),
            None => {}
        }
        let Some(place) = way.answers.iter().position(|(answer, _)| *answer == id) else {
            return;
        };
        let (_, answer) = way.answers.remove(place);
        match goes_on {
            true => back.answered(answer),
            false => back.unanswered(answer, way),
        }
    }

    /// A flow is over.
    pub(crate) fn forget(&mut self, flow: FlowId) {
        let Some([received, _]) = self.flows.remove(&flow) else {
            return;
        };
        let newest = received.sent.into_iter().next_back();
        if let Some(sent) = newest.filter(|sent| sent.span.syn) {
            self.begins = Some(sent);
        }
    }

    /// Where a segment goes, and where its answers do; `None` where nothing is watched.
    fn way<'a, 'b>(
        &'a mut self,
        flow: Option<FlowId>,
        direction: Direction,
        described: &'b Described,
    ) -> Option<(&'b Segment, &'a mut Way, &'a mut Way)> {
        let flow = flow.filter(|_| self.are_watched)?;
        let segment = described.tcp()?;
        let (way, back) = ways(self.flows.entry(flow).or_default(), direction);
        Some((segment, way, back))
    }
}

impl Way {
    /// The numbers that a segment occupies or asks about; `None` where it can have no copies: an acknowledgment, a RST.
    fn span(&self, segment: &Segment) -> Option<Span> {
        let has = |flag| segment.flags.contains(flag);
        if has(Flags::RST) {
            return None;
        }
        // RFC 9293, section 3.8.4: a keep-alive has "SEG.SEQ = SND.NXT-1" and needs no data. Linux probes a window that is
        // shut with the same.
        let probe = segment.sequence_len() == 0;
        if probe && self.next != Some(segment.seq + 1) {
            return None;
        }
        Some(Span {
            seq: segment.seq,
            end: segment.end() + u32::from(probe),
            syn: has(Flags::SYN),
            fin: has(Flags::FIN),
            probe,
        })
    }

    fn remember(&mut self, id: PacketId, segment: &Segment, stage: Stage) {
        if let Some(ack) = segment.acknowledges() {
            let before = self.acknowledged.unwrap_or(ack);
            self.acknowledged = Some(before.max(ack));
        }
        let Some(span) = self.span(segment) else {
            return;
        };
        self.next = Some(self.next.map_or(span.end, |next| next.max(span.end)));
        if self.sent.len() >= REMEMBERED {
            self.sent.pop_front();
        }
        self.sent.push_back(Sent { id, span, stage });
    }

    /// Whether, with what waits in this direction, copies of what the other has sent say nothing new.
    fn keeps(&self, now: Instant, sent: &Sent) -> bool {
        match sent.stage {
            Stage::Waits | Stage::Answered => true,
            Stage::Passed(at) => now < at + ANSWER_TIME || self.has_answer(sent.span.end),
        }
    }

    /// Whether something waits here that answers all up to there.
    fn has_answer(&self, end: SeqNumber) -> bool {
        self.answers.iter().any(|(_, answer)| answer.covers(end))
    }

    /// An answer to what was sent here was passed on.
    fn answered(&mut self, answer: Answer) {
        self.sent.retain_mut(|sent| {
            let Stage::Passed(_) = sent.stage else {
                return true;
            };
            if !answer.covers(sent.span.end) {
                return true;
            }
            sent.stage = Stage::Answered;
            // The same question may be asked again.
            !sent.span.probe
        });
    }

    /// An answer to what was sent here was dropped: unless another waits on the way `back`, the next copy is to be answered.
    fn unanswered(&mut self, answer: Answer, back: &Way) {
        self.sent.retain(|sent| {
            !matches!(sent.stage, Stage::Passed(_))
                || !answer.covers(sent.span.end)
                || back.has_answer(sent.span.end)
        });
    }
}

impl Answer {
    fn of(segment: &Segment) -> Option<Answer> {
        match segment.flags.contains(Flags::RST) {
            true => Some(Answer::All),
            false => segment.acknowledges().map(Answer::UpTo),
        }
    }

    /// Whether it answers all up to there.
    fn covers(self, end: SeqNumber) -> bool {
        match self {
            Answer::UpTo(ack) => end.at_or_before(ack),
            Answer::All => true,
        }
    }
}

impl Span {
    /// Whether the number `at` of `copy`, and what follows, is the same here.
    fn covers(&self, at: SeqNumber, copy: &Span) -> bool {
        let has_number = self.seq.at_or_before(at) && at.before(self.end);
        let same_syn = match (self.seq == at, copy.seq == at) {
            (true, true) => self.syn == copy.syn,
            (true, false) => !self.syn,
            (false, true) => !copy.syn,
            (false, false) => true,
        };
        let same_fin = match (self.end == copy.end, self.end.before(copy.end)) {
            (true, _) => self.fin == copy.fin,
            (false, true) => !self.fin,
            (false, false) => !copy.fin,
        };
        has_number && same_syn && same_fin && self.probe == copy.probe
    }
}

/// One direction of a flow, and the other.
fn ways(both: &mut [Way; 2], direction: Direction) -> (&mut Way, &mut Way) {
    let [received, sent] = both;
    match direction {
        Direction::In => (received, sent),
        Direction::Out => (sent, received),
    }
}

#[cfg(test)]
mod tests;
