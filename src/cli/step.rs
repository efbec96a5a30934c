//! Stepping in a plain terminal, or as a file or FIFO says: orders come in as lines, and a prompt tells what waits.
//!
//! Standard input is left to the command: a terminal is read through `/dev/tty`.

use super::args::{Show, Steps};
use crate::engine::{Command, Stepping};
use crate::event::{Direction, Event, PacketId};
use crate::sink::text::escape;
use crate::step::{Order, Waiting, Waits};
use crate::view::View;
use crate::words::Lang;
use anyhow::Context;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;

/// So much is read at once.
const INPUT: usize = 4096;

/// Whoever steps, and what waits for them.
pub(super) struct Stepper {
    waiting: Waiting,
    /// Where orders come from, until its end.
    input: Option<Arc<File>>,
    /// The terminal, where orders are typed.
    terminal: Option<File>,
    quiet: bool,
    lang: Lang,
    /// The beginning of a line.
    unread: Vec<u8>,
    /// Lines that are not obeyed yet.
    lines: VecDeque<String>,
    /// The packet that was prompted for last.
    prompted: Option<PacketId>,
    /// Whether the cursor stands behind a prompt.
    is_open: bool,
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
            unread: Vec::new(),
            lines: VecDeque::new(),
            prompted: None,
            is_open: false,
            is_over: false,
        };
        if stepper.terminal.is_some() {
            stepper.say(&stepper.lang.step_begins("h"));
        }
        Ok(Some(stepper))
    }

    /// Takes in an event, with which `view` was fed before.
    pub(super) fn event(&mut self, view: &View, event: &Event) {
        self.waiting.event(view, event);
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
            self.is_open = false;
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
        let oldest = self.waiting.iter().next();
        let Some((id, waits)) = oldest.filter(|_| self.input.is_some()) else {
            return;
        };
        if self.prompted == Some(id) || !self.lines.is_empty() {
            return;
        }
        let mut text = line(self.lang, id, waits, &waits.short);
        let more = self.waiting.iter().len() - 1;
        if more > 0 {
            text += &self.lang.also(self.lang.step_more(more));
        }
        self.prompted = Some(id);
        self.is_open = self.terminal.is_some();
        self.write(&format!(
            "{text}{}",
            if self.is_open { " > " } else { "\n" }
        ));
    }

    /// Makes room for other lines on the same terminal: what is typed comes behind a new prompt.
    pub(super) fn step_aside(&mut self) {
        if self.is_open {
            self.is_open = false;
            self.prompted = None;
            self.write("\n");
        }
    }

    fn list(&mut self) {
        if self.waiting.is_empty() {
            return self.say(&self.lang.step_nothing());
        }
        let waiting = self.waiting.iter();
        let lines: Vec<String> = waiting
            .map(|(id, waits)| line(self.lang, id, waits, &waits.notation))
            .collect();
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

/// A packet that waits, as `notation` has it.
fn line(lang: Lang, id: PacketId, waits: &Waits, notation: &str) -> String {
    let direction = match waits.direction {
        Direction::In => lang.received(),
        Direction::Out => lang.sent(),
    };
    let mut what = notation.to_owned();
    if waits.retransmission {
        what += &lang.also(lang.retransmission());
    }
    let text = lang.step_waits(id, direction, what);
    match waits.flow {
        Some(flow) => format!("{flow} {text}"),
        None => text,
    }
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
