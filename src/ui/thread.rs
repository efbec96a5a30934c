//! The thread that draws.

use super::app::{App, Request};
use super::terminal::Terminal;
use super::{Mail, Resumed, mail};
use crate::event::Event;
use ratatui::crossterm::event::{self, Event as Input};
use smoltcp::time::Instant;
use std::io::{self, ErrorKind, PipeWriter, Write};
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a frame stays at least.
const FRAME: Duration = Duration::from_millis(50);
/// So many events are taken in between two frames.
const EVENTS: usize = 20_000;
/// So many bytes of output.
const OUTPUT: usize = 1 << 18;
/// So many keys, as when text is pasted.
const KEYS: usize = 1_000;

/// The program in the pane, as seen from its terminal's other end. Nothing here may wait.
pub trait Program: Send {
    /// Takes what it has printed; 0 at its end.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`] where there is nothing yet.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize>;

    /// Lets it read `bytes`.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`] where it does not read what it was given before.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Tells it how large its pane is.
    fn resize(&mut self, columns: u16, rows: u16);
}

/// All that the thread works with.
pub(super) struct Drawing<C> {
    pub(super) app: App,
    pub(super) terminal: Terminal,
    pub(super) events: Receiver<Event>,
    pub(super) mail: Arc<Mutex<Mail>>,
    pub(super) requests: Sender<Request>,
    pub(super) waker: PipeWriter,
    pub(super) program: Option<Box<dyn Program>>,
    pub(super) clock: C,
}

impl<C: Fn() -> Instant> Drawing<C> {
    /// Draws until nobody sends events any more.
    pub(super) fn run(mut self) -> io::Result<()> {
        let mut pane = (0, 0);
        loop {
            let is_over = self.take_events();
            self.take_mail();
            self.take_output();
            if is_over {
                return Ok(());
            }
            let size = self.app.pane_size(self.terminal.size()?);
            if let Some(program) = &mut self.program
                && size != pane
            {
                program.resize(size.0, size.1);
                pane = size;
            }
            self.app.tick((self.clock)());
            self.terminal.draw(&self.app)?;
            self.take_keys()?;
        }
    }

    /// Answers whether there will be no more.
    fn take_events(&mut self) -> bool {
        for _ in 0..EVENTS {
            match self.events.try_recv() {
                Ok(event) => self.app.event(&event),
                Err(TryRecvError::Empty) => return false,
                Err(TryRecvError::Disconnected) => return true,
            }
        }
        false
    }

    fn take_mail(&mut self) {
        let mail = std::mem::take(&mut *mail(&self.mail));
        if let Some(Resumed { lost, seen, view }) = mail.resumed {
            self.app.resume(lost, seen, *view);
        }
        if !mail.output.is_empty() {
            self.app.print(&mail.output);
        }
        if let Some(note) = mail.notes.into_iter().last() {
            self.app.note(note);
        }
        if let Some(how) = mail.ended {
            // What it printed last comes first.
            self.take_output();
            self.app.ended(how);
        }
    }

    fn take_output(&mut self) {
        let mut buf = [0; 4096];
        let mut taken = 0;
        while let Some(program) = &mut self.program
            && taken < OUTPUT
        {
            match program.read(&mut buf) {
                // It has ended, and so has everything it has started.
                Ok(0) => self.program = None,
                Ok(len) => {
                    self.app.print(&buf[..len]);
                    taken += len;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.program = None,
            }
        }
    }

    /// Waits for keys as long as a frame lasts.
    fn take_keys(&mut self) -> io::Result<()> {
        if !event::poll(FRAME)? {
            return Ok(());
        }
        for _ in 0..KEYS {
            if let Input::Key(key) = event::read()?
                && let Some(request) = self.app.handle(key)
            {
                self.ask(request)?;
            }
            if !event::poll(Duration::ZERO)? {
                break;
            }
        }
        Ok(())
    }

    fn ask(&mut self, request: Request) -> io::Result<()> {
        if let Request::Keys(bytes) = request {
            if let Some(program) = &mut self.program {
                // What a program does not read is lost, as on a terminal whose line is full.
                let _ = program.write(&bytes);
            }
            return Ok(());
        }
        // Where nobody listens any more, the end is near.
        let _ = self.requests.send(request);
        self.waker.write_all(&[1])
    }
}
