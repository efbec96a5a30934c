//! `--quiz`: answers come in as lines of standard input.

use crate::engine::Command;
use crate::quiz::{Next, Quiz};
use crate::sink::ladder::Ladder;
use crate::sink::text;
use crate::words::Lang;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::fd::AsFd;
use std::sync::Arc;

/// So much is read at once.
const INPUT: usize = 4096;

/// A quiz, and the learner's end of it.
pub(super) struct Quizzer {
    pub(super) quiz: Quiz,
    /// Where answers come from, until its end.
    input: Option<Arc<File>>,
    /// Whether what was typed must be shown: a terminal does so itself.
    echoes: bool,
    /// The beginning of a line.
    unread: Vec<u8>,
}

impl Quizzer {
    /// A quiz whose answers are read from standard input.
    ///
    /// # Errors
    /// There is no standard input.
    pub(super) fn new(lang: Lang) -> io::Result<Quizzer> {
        let stdin = io::stdin();
        let input = stdin.as_fd().try_clone_to_owned()?;
        Ok(Quizzer {
            quiz: Quiz::new(lang),
            input: Some(Arc::new(input.into())),
            echoes: !stdin.is_terminal(),
            unread: Vec::new(),
        })
    }

    /// Readable when there may be an answer.
    pub(super) fn end(&self) -> Option<Arc<File>> {
        self.input.clone().filter(|_| !self.quiz.is_over())
    }

    /// Reads answers, and waits for them if there are none yet. At the end of the input the quiz is over.
    pub(super) fn read(&mut self) {
        let Some(input) = &self.input else {
            return self.quiz.leave();
        };
        let mut buf = [0; INPUT];
        match (&**input).read(&mut buf) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A terminal that is gone is at its end too.
            Ok(0) | Err(_) => {
                self.input = None;
                if !self.unread.is_empty() {
                    self.unread.push(b'\n');
                }
            }
            Ok(len) => self.unread.extend_from_slice(&buf[..len]),
        }
        while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            self.quiz
                .line(String::from_utf8_lossy(&line).trim().to_owned());
        }
        if self.input.is_none() {
            self.quiz.last_line();
        }
    }

    /// Writes to `drawn` what can be asked and shown just now. Answers with what the engine has to do first.
    pub(super) fn go_on(
        &mut self,
        mut ladder: Option<&mut Ladder>,
        width: usize,
        drawn: &mut Vec<u8>,
    ) -> Option<Command> {
        loop {
            let next = self.quiz.next();
            // Writing into memory does not fail.
            let _ = match (&next, &mut ladder) {
                (Next::Show(event), Some(ladder)) => ladder.event(self.quiz.view(), event, drawn),
                (_, Some(ladder)) => ladder.flush(drawn),
                (_, None) => Ok(()),
            };
            match next {
                Next::Show(_) => {}
                Next::Say(text) => {
                    let indent = text.len() - text.trim_start().len();
                    for line in text::wrap_sentence(&text, width.saturating_sub(indent)) {
                        drawn.extend(format!("{:indent$}{line}\n", "").as_bytes());
                    }
                }
                Next::Ask(text) => drawn.extend(text.as_bytes()),
                Next::Heard(line) if self.echoes => {
                    drawn.extend(format!("{}\n", text::escape(&line, true)).as_bytes());
                }
                Next::Heard(_) => {}
                Next::Do(command) => return Some(command),
                Next::Wait => return None,
            }
        }
    }
}
