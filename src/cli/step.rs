//! Stepping in a plain terminal, or as a file or FIFO says: orders come in as lines, and a prompt tells what waits.
//!
//! Standard input is left to the command: a terminal is read through `/dev/tty`.

use super::args::{Show, Steps};
use super::watcher::screen;
use crate::engine::{Command, Stepping};
use crate::event::{Direction, Event, EventKind, PacketId};
use crate::sink::Screen;
use crate::sink::text::{ago, escape};
use crate::step::{Order, Waiting, Waits};
use crate::view::View;
use crate::words::Lang;
use anyhow::Context;
use smoltcp::time::{Duration, Instant};
use std::collections::VecDeque;
use std::env;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;
use unicode_width::UnicodeWidthChar;

/// So much is read at once.
const INPUT: usize = 4096;
/// How often it is told anew how long ago the newest copy has come.
const TICK: Duration = Duration::from_secs(1);
/// So many packets that are sent again stand above the prompt.
const REPEATED: usize = 3;
/// The columns of a terminal that does not say how many it has.
const COLUMNS: usize = 80;

/// Whoever steps, and what waits for them.
pub(super) struct Stepper {
    waiting: Waiting,
    /// Where orders come from, until its end.
    input: Option<Arc<File>>,
    /// The terminal, where orders are typed.
    terminal: Option<File>,
    quiet: bool,
    lang: Lang,
    /// What the terminal can show.
    screen: Screen,
    /// The beginning of a line.
    unread: Vec<u8>,
    /// Lines that are not obeyed yet.
    lines: VecDeque<String>,
    /// The packet that was prompted for last.
    prompted: Option<PacketId>,
    /// The lines above the prompt, behind which the cursor is.
    shown: Option<Vec<String>>,
    /// When the command was last given something, to which it may have printed something behind the prompt since then.
    given: Option<Instant>,
    /// What time it is.
    now: Instant,
    /// Whether all was let go at the end of the input.
    is_over: bool,
}

impl Stepper {
    /// Opens what orders come from, where stepping is asked for and no live screen shows it.
    ///
    /// # Errors
    /// There is no terminal, or no such file.
    pub(super) fn open(steps: &Steps, show: &Show) -> anyhow::Result<Option<Stepper>> {
        let (input, terminal) = match &steps.step_from {
            Some(path) => {
                let input = open(path);
                (
                    input.with_context(|| format!("--step-from {}", path.display()))?,
                    None,
                )
            }
            None if steps.step && !show.tui => {
                let terminal = File::options().read(true).write(true).open("/dev/tty").context(
                    "--step needs a terminal and there is none: let a file or a FIFO say what to do with --step-from FILE",
                )?;
                (terminal.try_clone()?, Some(terminal))
            }
            None => return Ok(None),
        };
        let mut stepper = Stepper {
            waiting: Waiting::default(),
            input: Some(Arc::new(input)),
            terminal,
            quiet: show.quiet,
            lang: show.lang(),
            screen: screen(),
            unread: Vec::new(),
            lines: VecDeque::new(),
            prompted: None,
            shown: None,
            given: None,
            now: Instant::ZERO,
            is_over: false,
        };
        if stepper.terminal.is_some() {
            stepper.say(&stepper.lang.step_begins("h"));
        }
        Ok(Some(stepper))
    }

    /// Takes in an event, with which `view` was fed before.
    pub(super) fn event(&mut self, view: &View, event: &Event) {
        if let EventKind::Released(released) = &event.kind
            && released.packet.direction == Direction::Out
        {
            self.given = Some(event.at);
        }
        let gave_up = self.waiting.event(view, event);
        if let Some(flow) = gave_up {
            self.step_aside();
            self.say(&self.lang.step_gave_up(flow));
        }
    }

    /// What time it is.
    pub(super) fn tick(&mut self, now: Instant) {
        self.now = now;
    }

    /// When [`prompt`](Stepper::prompt) is to be called again though nothing has happened.
    pub(super) fn next_tick(&self) -> Option<Instant> {
        let ages = self.waiting.iter().chain(self.waiting.repeated());
        let grows = ages.into_iter().any(|(_, waits)| waits.copies.count > 0);
        (self.shown.is_some() && grows).then(|| self.now + TICK)
    }

    /// Readable when there may be an order; `None` while one waits to be obeyed.
    pub(super) fn end(&self) -> Option<Arc<File>> {
        self.input.clone().filter(|_| self.lines.is_empty())
    }

    /// Whether something waits and somebody can still say what becomes of it.
    pub(super) fn waits(&self) -> bool {
        self.input.is_some() && !self.waiting.is_empty()
    }

    /// Reads orders. To be called when its [end](Stepper::end) is readable.
    pub(super) fn read(&mut self) {
        let Some(input) = &self.input else {
            return;
        };
        let mut buf = [0; INPUT];
        match (&**input).read(&mut buf) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return,
            // A terminal that is gone is at its end too.
            Ok(0) | Err(_) => {
                self.input = None;
                self.unread.push(b'\n');
            }
            Ok(len) => self.unread.extend_from_slice(&buf[..len]),
        }
        while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line).trim().to_owned();
            // The end of the input is no empty line.
            let is_end = self.input.is_none() && line.is_empty() && self.unread.is_empty();
            if !is_end && !line.starts_with('#') {
                self.lines.push_back(line);
            }
            // The key that ends a line has moved the cursor on.
            self.shown = None;
            self.prompted = None;
        }
    }

    /// What the engine is to do next, if an order can be obeyed. In a file, an order about a packet waits for that packet.
    pub(super) fn next(&mut self) -> Option<Command> {
        while let Some(line) = self.lines.front() {
            let order = line.parse::<Order>();
            if let Ok(Order::Dispose(id, _)) = &order
                && self.terminal.is_none()
                && id.map_or(self.waiting.is_empty(), |id| self.waiting.may_come(id))
            {
                return None;
            }
            self.lines.pop_front();
            match order {
                Ok(Order::Dispose(id, disposal)) => match id.or(self.waiting.oldest()) {
                    Some(id) if self.waiting.contains(id) => {
                        return Some(Command::Release(id, disposal));
                    }
                    Some(id) => self.say(&format!("packet {id} does not wait")),
                    None => self.say(&self.lang.step_nothing()),
                },
                Ok(Order::Step(stepping)) => return Some(Command::Step(stepping)),
                Ok(Order::Copies(copies)) => return Some(Command::Copies(copies)),
                Ok(Order::List) => self.list(),
                Ok(Order::Help) => self.help(),
                Err(error) => self.say(&escape(&error.to_string(), true)),
            }
        }
        (self.input.is_none() && !self.is_over).then(|| self.let_go())
    }

    /// Nobody steps any more.
    pub(super) fn let_go(&mut self) -> Command {
        self.is_over = true;
        self.input = None;
        self.lines.clear();
        Command::Step(Stepping::Off)
    }

    /// Tells what waits, if that is something else than before.
    pub(super) fn prompt(&mut self) {
        let oldest = self.waiting.oldest().filter(|_| self.input.is_some());
        let Some(id) = oldest.filter(|_| self.lines.is_empty()) else {
            return;
        };
        let lines = self.status();
        let Some(terminal) = &self.terminal else {
            if self.prompted.replace(id) != Some(id) {
                self.write(&format!("{}\n", lines.join("; ")));
            }
            return;
        };
        let columns =
            terminal_size::terminal_size_of(terminal).map_or(COLUMNS, |(width, _)| width.0.into());
        let lines: Vec<String> = lines.iter().map(|line| cut(line, columns - 1)).collect();
        match &self.shown {
            Some(shown) if *shown == lines => return,
            Some(shown) if shown.len() == lines.len() && is_dumb() => return,
            // Above the line that is being typed: DECSC, CUU, EL, DECRC.
            Some(shown) if shown.len() == lines.len() && self.given.is_none() => {
                let up = lines.len();
                let text = lines.join("\r\n\x1b[2K");
                self.write(&format!("\x1b7\x1b[{up}A\r\x1b[2K{text}\x1b8"));
            }
            shown => {
                let away = if shown.is_some() { "\n" } else { "" };
                let text = lines.join("\n");
                self.write(&format!("{away}{text}\n> "));
                self.given = self.given.filter(|given| self.now < *given + TICK / 2);
            }
        }
        self.shown = Some(lines);
        self.prompted = Some(id);
    }

    /// Makes room for other lines on the same terminal: what is typed comes behind a new prompt.
    pub(super) fn step_aside(&mut self) {
        if self.shown.take().is_some() {
            self.prompted = None;
            self.write("\n");
        }
    }

    /// In lines: the packet that has waited longest, with how many others wait, and what is sent again meanwhile.
    fn status(&self) -> Vec<String> {
        let lang = self.lang;
        let Some((id, waits)) = self.waiting.iter().next() else {
            return Vec::new();
        };
        let mut text = self.line(id, waits, bare(&waits.short));
        let more = self.waiting.iter().len() - 1;
        if more > 0 {
            text += &lang.also(lang.step_more(more));
        }
        let mut lines = vec![text];
        // A busy flow may have many of them; `l` lists them all.
        let repeated = self.waiting.repeated().take(REPEATED);
        lines.extend(
            repeated
                .map(|(id, waits)| lang.step_repeated(id, self.copied(waits, bare(&waits.short)))),
        );
        lines
    }

    /// A packet that waits, or has gone on, as `notation` has it.
    fn line(&self, id: PacketId, waits: &Waits, notation: &str) -> String {
        let lang = self.lang;
        let direction = match waits.direction {
            Direction::In => lang.received(),
            Direction::Out => lang.sent(),
        };
        let mut what = self.copied(waits, notation);
        if waits.retransmission {
            what += &lang.also(lang.retransmission());
        }
        let text = lang.step_waits(id, direction, what);
        match waits.flow {
            Some(flow) => format!("{flow} {text}"),
            None => text,
        }
    }

    /// The notation of a packet, with how often it was sent.
    fn copied(&self, waits: &Waits, notation: &str) -> String {
        match waits.copies.age(self.now) {
            Some((times, age)) => {
                let times = format!("{}{times}", if self.screen.unicode { "×" } else { "x" });
                format!("{notation} {}", self.lang.step_copied(times, ago(age)))
            }
            None => notation.to_owned(),
        }
    }

    fn list(&mut self) {
        let lang = self.lang;
        let waiting = self.waiting.iter();
        let mut lines: Vec<String> = waiting
            .map(|(id, waits)| self.line(id, waits, &waits.notation))
            .collect();
        if lines.is_empty() {
            lines.push(lang.step_nothing());
        }
        let repeated = self.waiting.repeated();
        lines.extend(repeated.map(|(id, waits)| {
            self.line(id, waits, &waits.notation) + &lang.also(lang.step_unanswered())
        }));
        self.say(&lines.join("\n"));
    }

    fn help(&mut self) {
        let lang = self.lang;
        let mut text = String::new();
        for (words, meaning) in [
            ("Enter, p [N]", lang.step_pass()),
            ("d [N]", lang.step_drop()),
            ("2 [N]", lang.step_twice()),
            ("dup N [N]", lang.step_copies()),
            ("e [N] mss=536", lang.step_edit()),
            ("n N", lang.step_next()),
            ("c", lang.step_all()),
            ("c until FIN", lang.step_until()),
            ("s", lang.step_again()),
            ("copies fold", lang.step_copies_fold()),
            ("copies pass", lang.step_copies_pass()),
            ("copies hold", lang.step_copies_hold()),
            ("l", lang.step_list()),
        ] {
            text += &format!("  {words:<14} {meaning}\n");
        }
        text += &format!("  {}", lang.step_end("Ctrl-C"));
        self.say(&text);
    }

    fn say(&mut self, text: &str) {
        self.prompted = None;
        self.write(&format!("{text}\n"));
    }

    fn write(&mut self, text: &str) {
        // Where nobody can read it, orders can still be obeyed.
        let _ = match &mut self.terminal {
            Some(terminal) => terminal.write_all(text.as_bytes()),
            None if self.quiet => Ok(()),
            None => io::stderr().write_all(text.as_bytes()),
        };
    }
}

/// Whether the terminal knows of no cursor that moves.
fn is_dumb() -> bool {
    env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// A packet's notation without options.
fn bare(notation: &str) -> &str {
    notation.split(" <").next().unwrap_or(notation)
}

/// As much of a line as fits into so many columns.
fn cut(line: &str, columns: usize) -> String {
    let mut used = 0;
    let fits = |char: &char| {
        used += char.width().unwrap_or(0);
        used <= columns
    };
    line.chars().take_while(fits).collect()
}

/// A FIFO is opened for writing too, so that it does not end when one writer leaves it.
fn open(path: &Path) -> io::Result<File> {
    if path == Path::new("-") {
        return File::open("/dev/stdin");
    }
    let is_fifo = fs::metadata(path)?.file_type().is_fifo();
    File::options().read(true).write(is_fifo).open(path)
}

#[cfg(test)]
mod tests;
