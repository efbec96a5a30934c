//! The terminal: taken over, drawn on, and given back whatever happens.

use super::app::App;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::layout::Rect;
use std::io::{self, BufWriter, Stderr};
use std::panic;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::thread;
use std::time::Duration;

/// One frame is written at once.
const FRAME: usize = 1 << 16;
/// So often a panic looks whether a frame is finished that another thread draws, and how long it waits between.
const LOOKS: u32 = 20;
const BETWEEN: Duration = Duration::from_millis(10);

/// The terminal while it is ours. Dropping it gives it back; so does a panic of any thread, before it prints its message.
#[derive(Debug)]
pub(super) struct Terminal {
    inner: ratatui::Terminal<CrosstermBackend<BufWriter<Stderr>>>,
    held: Arc<Held>,
}

/// Whether the terminal is ours. The lock is held while a frame is drawn.
#[derive(Debug)]
pub(super) struct Held {
    ours: Mutex<bool>,
    give_back: fn(),
}

impl Terminal {
    /// Takes over the terminal that standard error is.
    ///
    /// # Errors
    /// When it can't be set up; it's then as it was.
    pub(super) fn take() -> io::Result<Terminal> {
        let held = Held::new(give_back);
        held.restore_on_panic();
        // From here on whatever fails is undone by the drop.
        let terminal = Terminal {
            inner: ratatui::Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(
                FRAME,
                io::stderr(),
            )))?,
            held,
        };
        enable_raw_mode()?;
        execute!(io::stderr(), EnterAlternateScreen, Hide)?;
        Ok(terminal)
    }

    /// Draws the screen, unless a panic has taken the terminal away.
    pub(super) fn draw(&mut self, app: &App) -> io::Result<()> {
        let ours = self.held.lock();
        if *ours {
            self.inner.draw(|frame| app.draw(frame))?;
        }
        Ok(())
    }

    /// Opens what keys come from; until somebody asks for one that is not done.
    pub(super) fn open_keys(&self) -> io::Result<()> {
        ratatui::crossterm::event::poll(Duration::ZERO).map(drop)
    }

    /// What gives it back from elsewhere.
    pub(super) fn held(&self) -> Arc<Held> {
        self.held.clone()
    }

    /// Its size now.
    pub(super) fn size(&self) -> io::Result<Rect> {
        Ok(Rect::from((
            ratatui::layout::Position::ORIGIN,
            self.inner.size()?,
        )))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.held.release();
    }
}

impl Held {
    fn new(give_back: fn()) -> Arc<Held> {
        Arc::new(Held {
            ours: Mutex::new(true),
            give_back,
        })
    }

    /// The message of a panic shall be read on the terminal as it was.
    fn restore_on_panic(self: &Arc<Held>) {
        let held = self.clone();
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            held.release();
            before(info);
        }));
    }

    /// Gives the terminal back, once.
    pub(super) fn release(&self) {
        for _ in 0..LOOKS {
            match self.ours.try_lock() {
                Ok(mut ours) => {
                    if std::mem::replace(&mut *ours, false) {
                        (self.give_back)();
                    }
                    return;
                }
                Err(TryLockError::Poisoned(poisoned)) => {
                    if std::mem::replace(&mut *poisoned.into_inner(), false) {
                        (self.give_back)();
                    }
                    return;
                }
                Err(TryLockError::WouldBlock) => thread::sleep(BETWEEN),
            }
        }
        // The thread that draws is the one that panics, or hangs: it draws no more.
        (self.give_back)();
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.ours
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Undoes what was done to the terminal, and goes on after an error: there is nobody to tell.
fn give_back() {
    let _ = execute!(io::stderr(), LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn the_terminal_is_given_back_once() {
        static GIVEN: AtomicU32 = AtomicU32::new(0);
        let held = Held::new(|| {
            GIVEN.fetch_add(1, Ordering::Relaxed);
        });
        held.release();
        held.release();
        assert_eq!(GIVEN.load(Ordering::Relaxed), 1);
        assert!(!*held.lock());
    }

    #[test]
    fn a_panic_gives_the_terminal_back_even_while_a_frame_is_drawn() {
        static GIVEN: AtomicU32 = AtomicU32::new(0);
        let held = Held::new(|| {
            GIVEN.fetch_add(1, Ordering::Relaxed);
        });
        held.restore_on_panic();
        let drawing = held.clone();
        let thread = thread::spawn(move || {
            let _ours = drawing.lock();
            panic!("this panic is part of the test");
        });
        assert!(thread.join().is_err());
        assert_eq!(GIVEN.load(Ordering::Relaxed), 1);
    }
}
