//! What the screen knows, and what keys do to it. No terminal, no thread, no clock.

use super::keys::terminal_bytes;
use super::look::Look;
use super::output::Output;
use super::rates::Rates;
use super::record::{Line, Record, Records};
use crate::engine::{Command, Disposal, Stepping};
use crate::event::{Event, EventKind, Fate, FlowId, PacketId, RuleId, Transport};
use crate::fault::RuleSet;
use crate::sink::story::{Depth, Story};
use crate::step::{Order, Waiting};
use crate::view::{Flow, View};
use crate::words::Lang;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use smoltcp::time::Instant;

/// How far Page Up and Page Down go.
const PAGE: isize = 10;
/// So many characters can be typed in one line.
const TYPED: usize = 1_000;

/// What kind of run is watched.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What is watched, for the head of the screen: `run curl`.
    pub title: String,
    /// What the program in the pane below reads.
    pub pane: Pane,
    /// The language of all that is shown but what the program in the pane prints.
    pub lang: Lang,
    /// What the terminal can show.
    pub look: Look,
    /// Whether a capture is shown: both ends are others', and all of it is there.
    pub is_capture: bool,
}

/// The program whose output has a pane of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pane {
    /// There is none.
    None,
    /// It only prints.
    Printed,
    /// It reads lines, which are typed and corrected here first.
    Lines,
    /// It runs on a terminal of its own: keys are passed on as they are.
    Terminal,
}

/// What a key asks of the run.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// To be done with it: to end the command if it still runs, and the watching.
    Leave,
    /// To let the program of a [`Pane::Lines`] read this line, which ends with a line feed.
    Type(Vec<u8>),
    /// To let it read the end of its input.
    EndInput,
    /// To let the program of a [`Pane::Terminal`] read these bytes.
    Keys(Vec<u8>),
    /// To let a packet that waits go on or not, or to step otherwise.
    Step(Command),
}

/// Where keys go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Focus {
    Connections,
    Ladder,
    Command,
}

/// The state of the screen.
#[derive(Debug)]
pub struct App {
    pub(super) setup: Setup,
    pub(super) view: View,
    pub(super) records: Records,
    /// Tells the story while it knows all of it.
    story: Option<Story>,
    pub(super) now: Instant,
    pub(super) rates: Rates,
    pub(super) focus: Focus,
    chosen: Option<FlowId>,
    /// The line that was chosen, by its event; the newest where none was.
    selected: Option<u64>,
    /// The ladder as it was when it was frozen.
    frozen: Option<(FlowId, Record)>,
    pub(super) filter: String,
    pub(super) filtering: bool,
    pub(super) help: bool,
    /// What waits in the link, and whether every packet is to wait.
    pub(super) waiting: Waiting,
    steps: bool,
    /// The order that is being typed.
    pub(super) order: Option<String>,
    /// What was wrong with the last one, or what else is to be known until the next key.
    pub(super) wrong: Option<String>,
    pub(super) output: Output,
    /// How many rows of the output are below its pane.
    pub(super) scrolled: usize,
    /// The line that is being typed.
    pub(super) typed: String,
    /// How the command has ended.
    pub(super) ended: Option<String>,
    /// Whether the next wish to leave is meant.
    pub(super) leaving: bool,
    /// The newest event that the view has seen.
    seen: u64,
    /// How many events did not get here.
    pub(super) lost: u64,
    /// The newest line of the log.
    pub(super) note: Option<String>,
}

impl App {
    /// Packets are interfered with by these rules.
    pub(super) fn rules_are(&mut self, rules: &RuleSet) {
        if let Some(story) = &mut self.story {
            story.rules_are(rules);
        }
    }

    /// A screen on which nothing has happened yet.
    pub fn new(setup: Setup) -> App {
        App {
            // Whoever starts a program that reads wants to see and answer it.
            focus: match setup.pane {
                Pane::Lines => Focus::Command,
                _ => Focus::Connections,
            },
            story: Some(Story::new(setup.lang, Depth::Normal).counting_from_initial_numbers()),
            view: match setup.is_capture {
                true => View::of_capture(),
                false => View::new(),
            },
            setup,
            records: Records::default(),
            now: Instant::ZERO,
            rates: Rates::default(),
            chosen: None,
            selected: None,
            frozen: None,
            filter: String::new(),
            filtering: false,
            help: false,
            waiting: Waiting::default(),
            steps: false,
            order: None,
            wrong: None,
            output: Output::default(),
            scrolled: 0,
            typed: String::new(),
            ended: None,
            leaving: false,
            seen: 0,
            lost: 0,
            note: None,
        }
    }

    /// Takes in the next event.
    pub fn event(&mut self, event: &Event) {
        // A view that was handed over may be ahead of the events.
        if event.number > self.seen {
            self.view.event(event);
            self.seen = event.number;
        }
        if let Some(flow) = self.waiting.event(&self.view, event) {
            self.wrong = Some(self.setup.lang.step_gave_up(flow));
        }
        if let EventKind::Packet(packet) = &event.kind {
            self.steps |= packet.fate == Fate::Held(RuleId::HAND);
        }
        if let Some(flow) = event.flow.and_then(|id| self.view.flow(id)) {
            let told = match &mut self.story {
                Some(story) => story.event(&self.view, event),
                None => Vec::new(),
            };
            self.records.event(flow, event, told);
        }
    }

    /// Takes in that `lost` events did not get here so far, and what is true after event `seen`.
    pub fn resume(&mut self, lost: u64, seen: u64, view: View) {
        self.lost = lost;
        // What it would say of the next segment may depend on one that is missing.
        self.story = None;
        if seen >= self.seen {
            self.seen = seen;
            self.view = view;
        }
    }

    /// Takes in what the program of the pane has printed.
    pub fn print(&mut self, bytes: &[u8]) {
        self.output.print(bytes);
    }

    /// Takes in that the command has ended, and how: `command ended with code 0`.
    pub fn ended(&mut self, how: String) {
        self.ended = Some(how);
        self.leaving = false;
    }

    /// Takes in a line of the log.
    pub fn note(&mut self, line: String) {
        self.note = Some(line);
    }

    /// Takes in the time, which goes on while nothing happens.
    pub fn tick(&mut self, now: Instant) {
        self.now = self.view.now().max(now);
        self.rates.sample(self.now, self.view.totals());
    }

    /// Takes in a key; answers with what the run has to do about it.
    pub fn handle(&mut self, key: KeyEvent) -> Option<Request> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        self.wrong = None;
        if self.help {
            self.help = false;
            return None;
        }
        if self.filtering {
            self.edit_filter(key);
            return None;
        }
        if self.order.is_some() {
            return self.edit_order(key);
        }
        match key.code {
            KeyCode::Tab => self.turn(1),
            KeyCode::BackTab => self.turn(-1),
            _ if self.focus == Focus::Command => return self.pass_on(key),
            _ => return self.command(key),
        }
        self.leaving = false;
        None
    }

    /// Whether there is a program that could be ended.
    pub(super) fn runs(&self) -> bool {
        self.setup.pane != Pane::None && self.ended.is_none()
    }

    /// The flows that the filter lets through, in the order in which they began.
    pub(super) fn flows(&self) -> Vec<&Flow> {
        let wanted = self.filter.to_lowercase();
        self.view
            .flows()
            .filter(|flow| wanted.is_empty() || matches(flow, &wanted))
            .collect()
    }

    /// The flow whose ladder is shown: the first one unless another was chosen.
    pub(super) fn flow(&self) -> Option<&Flow> {
        match self.chosen {
            Some(id) => self.view.flow(id),
            None => self.view.flows().next(),
        }
    }

    /// The ladder that is shown.
    pub(super) fn record(&self) -> Option<&Record> {
        let flow = self.flow()?.id;
        match &self.frozen {
            Some((frozen, record)) if *frozen == flow => Some(record),
            _ => self.records.of(flow),
        }
    }

    /// Whether the ladder that is shown stands still.
    pub(super) fn is_frozen(&self) -> bool {
        let flow = self.flow().map(|flow| flow.id);
        self.frozen
            .as_ref()
            .is_some_and(|(frozen, _)| Some(*frozen) == flow)
    }

    /// The place of the chosen line in [`record`](App::record).
    pub(super) fn selection(&self) -> Option<usize> {
        let record = self.record()?;
        let last = record.len().checked_sub(1)?;
        Some(match self.selected {
            Some(number) => record.find(number).min(last),
            None => last,
        })
    }

    /// Whether the newest line is always the chosen one.
    pub(super) fn follows(&self) -> bool {
        self.selected.is_none()
    }

    /// The chosen line.
    pub(super) fn line(&self) -> Option<&Line> {
        self.record()?.line(self.selection()?)
    }

    fn turn(&mut self, by: isize) {
        let mut panes = vec![Focus::Connections, Focus::Ladder];
        if self.setup.pane != Pane::None {
            panes.push(Focus::Command);
        }
        let at = panes.iter().position(|pane| *pane == self.focus);
        let next = at.unwrap_or(0) as isize + by;
        self.focus = panes[next.rem_euclid(panes.len() as isize) as usize];
    }

    fn command(&mut self, key: KeyEvent) -> Option<Request> {
        let wants_to_leave = key.code == KeyCode::Char('q') || is_control(key, 'c');
        if wants_to_leave {
            // A command that runs is not ended by one key that was meant for something else.
            if self.runs() && !self.leaving {
                self.leaving = true;
                return None;
            }
            return Some(Request::Leave);
        }
        self.leaving = false;
        if !self.setup.is_capture
            && let KeyCode::Char(char) = key.code
        {
            match char {
                's' => return Some(self.turn_stepping()),
                'n' => return Some(Request::Step(Command::Step(Stepping::Let(1)))),
                'p' => return self.dispose(Disposal::Pass),
                'd' => return self.dispose(Disposal::Drop),
                'D' => return self.dispose(Disposal::Duplicate(1)),
                'e' => self.order = self.waits().map(|id| format!("e {id} ")),
                ':' => self.order = Some(String::new()),
                _ => {}
            }
        }
        match key.code {
            KeyCode::Char('?') => self.help = true,
            KeyCode::Char('/') => self.filtering = true,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Char('f' | ' ') => self.freeze(),
            KeyCode::Enter => self.focus = Focus::Ladder,
            KeyCode::Up | KeyCode::Char('k') => self.go(-1),
            KeyCode::Down | KeyCode::Char('j') => self.go(1),
            KeyCode::PageUp => self.go(-PAGE),
            KeyCode::PageDown => self.go(PAGE),
            KeyCode::Home | KeyCode::Char('g') => self.go(isize::MIN),
            KeyCode::End | KeyCode::Char('G') => self.go(isize::MAX),
            _ => {}
        }
        None
    }

    /// The packet that keys are about: the chosen one if one was chosen and it waits, otherwise the oldest that does.
    fn waits(&self) -> Option<PacketId> {
        let line = self.line().filter(|_| !self.follows());
        let chosen = line.and_then(Line::packet);
        chosen
            .map(|(packet, _)| packet.id)
            .filter(|id| self.waiting.contains(*id))
            .or(self.waiting.oldest())
    }

    fn dispose(&self, disposal: Disposal) -> Option<Request> {
        let id = self.waits()?;
        Some(Request::Step(Command::Release(id, disposal)))
    }

    fn turn_stepping(&mut self) -> Request {
        self.steps = !self.steps;
        Request::Step(Command::Step(match self.steps {
            true => Stepping::On,
            false => Stepping::Off,
        }))
    }

    /// Takes in a key of an order; at its end, answers with what it asks for.
    fn edit_order(&mut self, key: KeyEvent) -> Option<Request> {
        let order = self.order.get_or_insert_default();
        match key.code {
            KeyCode::Esc => self.order = None,
            KeyCode::Backspace => drop(order.pop()),
            KeyCode::Char('u') if is_control(key, 'u') => order.clear(),
            KeyCode::Char(char) if order.len() < TYPED => order.push(char),
            KeyCode::Enter => {
                let order = self.order.take().unwrap_or_default();
                return self.obey(&order);
            }
            _ => {}
        }
        None
    }

    fn obey(&mut self, order: &str) -> Option<Request> {
        match order.parse() {
            Ok(Order::Dispose(id, disposal)) => {
                let id = id.or(self.waits())?;
                Some(Request::Step(Command::Release(id, disposal)))
            }
            Ok(Order::Step(stepping)) => {
                self.steps = stepping != Stepping::Off;
                Some(Request::Step(Command::Step(stepping)))
            }
            Ok(Order::Copies(copies)) => Some(Request::Step(Command::Copies(copies))),
            // The ladder shows what waits.
            Ok(Order::List) => None,
            Ok(Order::Help) => {
                self.help = true;
                None
            }
            Err(error) => {
                self.wrong = Some(error.to_string());
                None
            }
        }
    }

    fn freeze(&mut self) {
        self.frozen = match self.is_frozen() {
            true => None,
            false => self
                .flow()
                .map(|flow| flow.id)
                .and_then(|id| Some((id, self.records.of(id)?.clone()))),
        };
    }

    fn go(&mut self, by: isize) {
        match self.focus {
            Focus::Connections => self.go_to_flow(by),
            Focus::Ladder => self.go_to_line(by),
            Focus::Command => self.scroll(by),
        }
    }

    fn go_to_flow(&mut self, by: isize) {
        let shown = self.flow().map(|flow| flow.id);
        let flows = self.flows();
        let at = flows.iter().position(|flow| Some(flow.id) == shown);
        let last = flows.len().saturating_sub(1);
        // One that the filter has taken away is left for the first that is there.
        let next = at.map_or(0, |at| at.saturating_add_signed(by).min(last));
        let next = flows.get(next).map(|flow| flow.id);
        if next.is_some() && next != shown {
            self.selected = None;
            self.frozen = None;
        }
        self.chosen = next.or(self.chosen);
    }

    fn go_to_line(&mut self, by: isize) {
        let (Some(at), Some(record)) = (self.selection(), self.record()) else {
            return;
        };
        let next = at.saturating_add_signed(by);
        self.selected = match next + 1 < record.len() {
            true => record.line(next).map(|line| line.event.number),
            // At the end it follows what comes.
            false => None,
        };
    }

    fn scroll(&mut self, by: isize) {
        let most = self.output.len();
        self.scrolled = self
            .scrolled
            .saturating_add_signed(by.saturating_neg())
            .min(most);
    }

    fn edit_filter(&mut self, key: KeyEvent) {
        match key.code {
            KeyCode::Enter => self.filtering = false,
            KeyCode::Esc => {
                self.filter.clear();
                self.filtering = false;
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char('u') if is_control(key, 'u') => self.filter.clear(),
            KeyCode::Char(char) if self.filter.len() < TYPED => self.filter.push(char),
            _ => {}
        }
        // What is shown below shall be one of those above.
        let shown = self.flow().map(|flow| flow.id);
        let flows = self.flows();
        if flows.iter().all(|flow| Some(flow.id) != shown) {
            self.chosen = flows.first().map(|flow| flow.id).or(self.chosen);
            self.selected = None;
        }
    }

    fn pass_on(&mut self, key: KeyEvent) -> Option<Request> {
        match key.code {
            KeyCode::PageUp => {
                self.scroll(-PAGE);
                return None;
            }
            KeyCode::PageDown => {
                self.scroll(PAGE);
                return None;
            }
            _ => {}
        }
        match self.setup.pane {
            // Nobody reads any more: the keys are ours.
            _ if self.ended.is_some() => self.command(key),
            Pane::Terminal => {
                self.scrolled = 0;
                terminal_bytes(key).map(Request::Keys)
            }
            Pane::Lines => self.type_in(key),
            Pane::Printed | Pane::None => self.command(key),
        }
    }

    fn type_in(&mut self, key: KeyEvent) -> Option<Request> {
        match key.code {
            KeyCode::Enter => {
                let line = std::mem::take(&mut self.typed) + "\n";
                self.output.print(line.as_bytes());
                return Some(Request::Type(line.into_bytes()));
            }
            KeyCode::Backspace => {
                self.typed.pop();
            }
            _ if is_control(key, 'd') => return Some(Request::EndInput),
            _ if is_control(key, 'u') => self.typed.clear(),
            _ if is_control(key, 'c') => return self.command(key),
            KeyCode::Char(char) if self.typed.len() < TYPED => self.typed.push(char),
            _ => {}
        }
        None
    }
}

/// Whether every word of `wanted`, which is in lower case, occurs in what is shown of `flow`.
fn matches(flow: &Flow, wanted: &str) -> bool {
    let mut text = format!(
        "{} {} {} {} {}",
        flow.id,
        flow.transport.name(),
        flow.service,
        flow.peer,
        flow.local
    );
    if flow.transport == Transport::Tcp {
        text += &format!(" {} {}", flow.state, flow.peer_end().0);
    }
    let text = text.to_lowercase();
    wanted.split_whitespace().all(|word| text.contains(word))
}

fn is_control(key: KeyEvent, char: char) -> bool {
    key.code == KeyCode::Char(char) && key.modifiers.contains(KeyModifiers::CONTROL)
}
