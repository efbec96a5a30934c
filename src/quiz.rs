//! Predict mode: before a segment or a change of state is shown, a learner says what it will be.
//!
//! ```text
//!   Event ──▶ queue ──▶ a question? ──▶ Ask ──▶ line ──▶ verdict ──▶ Show(event)
//!               ▲                                           │
//!   held ───────┴──────────── Do(Release) ◀─────────────────┘
//! ```
//!
//! On a TUN every packet waits in the link, as when somebody steps: it goes on once the question about it is answered. So to those
//! who look at the ladder it seems never to have waited. Copies that the peer's kernel sends meanwhile are folded into it by the
//! link; one that is not is no question and does not get through. In a simulation no time passes while somebody thinks.
//!
//! Here is neither terminal nor file: the command line brings the lines, and writes what is said.

mod answer;
mod question;
mod score;

use crate::engine::{Command, Disposal, Stepping};
use crate::event::{
    Cause, Direction, Event, EventKind, Fate, FlowId, Packet, PacketId, Released, RuleId,
};
use crate::sink::text;
use crate::view::View;
use crate::words::Lang;
use answer::state;
use question::{Question, judge_state};
use score::Score;
use smoltcp::time::Instant;
use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;

/// So many segments are remembered, to know copies of them.
const REMEMBERED: usize = 1_000;

/// What is to be done next.
#[derive(Debug)]
pub(crate) enum Next {
    /// This has happened, as far as a learner is to know.
    Show(Box<Event>),
    /// A line, or several.
    Say(String),
    /// A question: what is typed comes right behind it.
    Ask(String),
    /// This was typed.
    Heard(String),
    /// The engine has something to do.
    Do(Command),
    /// Nothing, until a line or an event comes.
    Wait,
}

/// A quiz at work.
#[derive(Debug)]
pub(crate) struct Quiz {
    lang: Lang,
    /// What the learner has seen.
    view: View,
    /// What has happened and is not shown yet.
    queue: VecDeque<Event>,
    /// Packets that wait in the link, and the flow of each.
    held: VecDeque<(Option<FlowId>, Packet)>,
    /// Packets about which the questions are answered.
    answered: BTreeSet<PacketId>,
    /// The numbers of events that are changes of state of which the same is true.
    foretold: BTreeSet<u64>,
    copies: VecDeque<Command>,
    remembered: VecDeque<Key>,
    question: Option<Question>,
    is_asked: bool,
    lines: VecDeque<String>,
    /// Whether there will be no more lines.
    had_last: bool,
    out: VecDeque<Next>,
    score: Score,
    is_over: bool,
}

/// By what a copy of a segment is known.
type Key = (SocketAddr, SocketAddr, u32, u32, u16);

impl Quiz {
    pub(crate) fn new(lang: Lang) -> Quiz {
        let mut quiz = Quiz {
            lang,
            view: View::new(),
            queue: VecDeque::new(),
            held: VecDeque::new(),
            answered: BTreeSet::new(),
            foretold: BTreeSet::new(),
            copies: VecDeque::new(),
            remembered: VecDeque::new(),
            question: None,
            is_asked: false,
            lines: VecDeque::new(),
            had_last: false,
            out: VecDeque::new(),
            score: Score::default(),
            is_over: false,
        };
        quiz.say(lang.quiz_begins("?", "q"));
        quiz
    }

    /// What has been shown so far, and nothing else.
    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// Whether there may still be questions.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether a question is open, or something is still to be shown or asked.
    pub(crate) fn is_busy(&self) -> bool {
        let waits = self.question.is_some() || !self.held.is_empty();
        !self.is_over && (waits || !self.queue.is_empty() || !self.copies.is_empty())
    }

    /// Takes in what has happened.
    pub(crate) fn event(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Packet(packet) if packet.fate == Fate::Held(RuleId::HAND) => {
                self.holds(event.flow, packet);
            }
            // A copy of one that waits.
            EventKind::Packet(Packet {
                fate: Fate::Folded(_),
                ..
            }) => {}
            EventKind::Released(Released { packet, .. }) => {
                self.held.retain(|(_, held)| held.id != packet.id);
                // What was dropped is a copy.
                if packet.fate != Fate::Dropped(RuleId::HAND) {
                    self.queue.push_back(Event {
                        kind: EventKind::Packet(packet.clone()),
                        ..event.clone()
                    });
                }
            }
            // What the kernel says of its end would tell too much.
            EventKind::Asked(_) => {}
            _ => self.queue.push_back(event.clone()),
        }
    }

    /// Says something while a question is open, and asks it again behind that.
    pub(crate) fn interrupt(&mut self, text: &str) {
        if self.question.is_none() {
            return;
        }
        if std::mem::take(&mut self.is_asked) {
            self.say(String::new());
        }
        self.say(text.to_owned());
    }

    /// Takes in a line that was typed.
    pub(crate) fn line(&mut self, line: String) {
        if !self.is_over {
            self.lines.push_back(line);
        }
    }

    /// There will be no more lines.
    pub(crate) fn last_line(&mut self) {
        self.had_last = true;
    }

    /// The run is over: what has happened is shown, and nothing asked any more.
    pub(crate) fn end(&mut self, now: Instant) {
        self.is_over = true;
        self.question = None;
        self.view.advance(now);
    }

    /// The learner has had enough: everything goes on.
    pub(crate) fn leave(&mut self) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        self.question = None;
        self.lines.clear();
        self.held.clear();
        self.copies.clear();
        self.say(self.lang.quiz_over());
        self.out.push_back(Next::Do(Command::Step(Stepping::Off)));
    }

    /// What is to be done next. To be called until it is [`Next::Wait`], after each event, each line and each command.
    pub(crate) fn next(&mut self) -> Next {
        loop {
            if let Some(next) = self.out.pop_front() {
                return next;
            }
            if let Some(command) = self.copies.pop_front() {
                return Next::Do(command);
            }
            if let Some(question) = &self.question {
                if !std::mem::replace(&mut self.is_asked, true) {
                    return Next::Ask(question.prompt(self.lang));
                }
                match self.lines.pop_front() {
                    Some(line) => {
                        self.out.push_back(Next::Heard(line.clone()));
                        self.take(line.trim());
                    }
                    None if self.had_last => {
                        self.out.push_back(Next::Heard(String::new()));
                        self.leave();
                    }
                    None => return Next::Wait,
                }
                continue;
            }
            if let Some(question) = self.question_of_queue().or_else(|| self.question_of_link()) {
                self.question = Some(question);
                self.is_asked = false;
            } else if let Some(event) = self.queue.pop_front() {
                self.view.event(&event);
                return Next::Show(Box::new(event));
            } else if self.out.is_empty() {
                return Next::Wait;
            }
        }
    }

    /// How many answers were right, and which were not.
    pub(crate) fn score(&self) -> String {
        self.score.told(self.lang)
    }

    /// A packet waits in the link.
    fn holds(&mut self, flow: Option<FlowId>, packet: &Packet) {
        let key = key(packet);
        let is_copy =
            packet.retransmission || key.is_some_and(|key| self.remembered.contains(&key));
        if let Some(key) = key.filter(|_| !is_copy) {
            self.remembered.push_back(key);
            if self.remembered.len() > REMEMBERED {
                self.remembered.pop_front();
            }
        }
        if !is_copy {
            self.held.push_back((flow, packet.clone()));
            return;
        }
        // Our own clock stands still while something waits; the peer's kernel sends again what waits, or was not
        // answered because the answer waits.
        let waits = self.held.iter().any(|(other, _)| *other == flow);
        let what = match packet.direction {
            Direction::In if waits => Disposal::Drop,
            _ => Disposal::Pass,
        };
        self.copies.push_back(Command::Release(packet.id, what));
    }

    /// What is to be asked before the next thing in the queue is shown.
    fn question_of_queue(&self) -> Option<Question> {
        if self.is_over {
            return None;
        }
        let first = self.queue.front()?;
        match &first.kind {
            EventKind::Packet(packet) => {
                if let Some(question) = self.about(first.flow, packet, false) {
                    return Some(question);
                }
                // The change of state that it causes is shown together with it.
                let next = self.queue.get(1)?;
                let is_caused = matches!(next.kind, EventKind::Transition(change)
                    if change.cause == Cause::Segment(packet.id) && next.flow == first.flow);
                if is_caused { self.change(next) } else { None }
            }
            EventKind::Transition(_) => self.change(first),
            _ => None,
        }
    }

    /// What is to be asked about the oldest packet that waits. What is not asked about goes on.
    fn question_of_link(&mut self) -> Option<Question> {
        if !self.queue.is_empty() {
            return None;
        }
        let (flow, packet) = self.held.front()?;
        let question = self.about(*flow, packet, true);
        if question.is_none() {
            let id = packet.id;
            self.held.pop_front();
            self.release(id);
        }
        question
    }

    fn release(&mut self, id: PacketId) {
        let command = Command::Release(id, Disposal::Pass);
        self.out.push_back(Next::Do(command));
    }

    /// What is to be asked about the segment that `packet` is, if it is one, and new.
    fn about(&self, flow: Option<FlowId>, packet: &Packet, is_held: bool) -> Option<Question> {
        let segment = packet.described.tcp()?;
        let is_asked = !packet.retransmission
            && !self.answered.contains(&packet.id)
            && !matches!(packet.fate, Fate::Injected(_) | Fate::Discarded(_));
        is_asked.then(|| Question::segment(self.lang, &self.view, flow, packet, segment, is_held))
    }

    fn change(&self, event: &Event) -> Option<Question> {
        match event.kind {
            EventKind::Transition(change) if !self.foretold.contains(&event.number) => {
                Some(Question::state(self.lang, event, change))
            }
            _ => None,
        }
    }

    /// A line is the answer to the open question, or an order.
    fn take(&mut self, line: &str) {
        if matches!(line, "q" | "Q" | "quit" | "exit" | "ｑ") {
            return self.leave();
        }
        let Some(mut question) = self.question.take() else {
            return;
        };
        self.is_asked = false;
        if matches!(line, "?" | "h" | "help" | "？") {
            self.say(question.help(self.lang));
        } else if let Err(word) = self.answer(&mut question, line) {
            let unclear = self.lang.quiz_unclear(text::escape(&word, true));
            self.say(unclear + &question.help(self.lang));
        } else if self.is_answered(&question) {
            return;
        }
        self.question = Some(question);
    }

    /// Takes in an answer, and judges it once it is complete; an empty line is all that somebody has to say.
    ///
    /// # Errors
    /// The word that can't be read.
    fn answer(&mut self, question: &mut Question, line: &str) -> Result<(), String> {
        let lang = self.lang;
        let (verdict, goes_on) = match question {
            Question::Segment {
                id,
                expected,
                given,
                is_held,
                ..
            } => {
                given.take(line)?;
                if !line.is_empty() && !expected.is_complete(given) {
                    return Ok(());
                }
                self.answered.insert(*id);
                let place = |what: &str| lang.quiz_of_segment(*id, what);
                let marks = expected.judge(lang, given);
                let verdict = self.score.count(lang, &marks, place);
                (verdict, is_held.then_some(*id))
            }
            Question::State { number, change, .. } => {
                let said = state(line);
                if said.is_none() && !line.is_empty() {
                    return Err(line.into());
                }
                self.foretold.insert(*number);
                let place = |what: &str| lang.quiz_of_state(change.from, what);
                let marks = [judge_state(change, said)];
                (self.score.count(lang, &marks, place), None)
            }
        };
        self.say(format!("  {verdict}"));
        if let Some(id) = goes_on {
            self.held.retain(|(_, held)| held.id != id);
            self.release(id);
        }
        Ok(())
    }

    fn is_answered(&self, question: &Question) -> bool {
        match question {
            Question::Segment { id, .. } => self.answered.contains(id),
            Question::State { number, .. } => self.foretold.contains(number),
        }
    }

    fn say(&mut self, text: String) {
        self.out.push_back(Next::Say(text));
    }
}

/// `None` where a copy can't be told from something new: what occupies no sequence numbers.
fn key(packet: &Packet) -> Option<Key> {
    let segment = packet.described.tcp()?;
    let (from, to) = packet.described.endpoints()?;
    let len = segment.sequence_len();
    (len > 0).then_some((from, to, segment.seq.0, len, segment.flags.0))
}

#[cfg(test)]
mod tests;
