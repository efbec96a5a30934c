//! The live screen as the commands use it.

use super::watcher::screen;
use crate::fault::RuleSet;
use crate::sys::clock::Clock;
use crate::sys::pty::Pty;
use crate::ui::{self, Live, Look, Pane, Program, Setup};
use crate::words::Lang;
use anyhow::{Context, bail};
use smoltcp::time::Instant;
use std::env;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard};

/// Whether a live screen is possible here.
///
/// # Errors
/// Why not, and what would mend it.
pub(super) fn check() -> anyhow::Result<()> {
    for (name, is_terminal) in [
        ("output", io::stdout().is_terminal()),
        ("error", io::stderr().is_terminal()),
    ] {
        if !is_terminal {
            bail!(
                "--tui needs a terminal, but standard {name} is redirected: leave out --tui or the redirection"
            );
        }
    }
    if env::var_os("TERM").is_some_and(|term| term == "dumb") {
        bail!("--tui needs a terminal that can move its cursor, and TERM is dumb: leave out --tui");
    }
    Ok(())
}

/// Takes over the terminal. Time stands still between events where there is no `clock`. Of a capture no event is lost: it waits.
pub(super) fn open(
    title: String,
    pane: Pane,
    lang: Lang,
    rules: &RuleSet,
    program: Option<Pty>,
    clock: Option<Clock>,
    is_capture: bool,
) -> anyhow::Result<Live> {
    let look = screen();
    let setup = Setup {
        title,
        pane,
        lang,
        look: Look {
            colour: look.colour,
            unicode: look.unicode,
        },
        is_capture,
    };
    let program = program.map(|pty| Box::new(OnPty(pty)) as Box<dyn Program>);
    let time = move || clock.map_or(Instant::ZERO, |clock| clock.now());
    ui::Live::open(setup, rules, program, time).context("cannot show the live screen")
}

/// A command on a terminal of its own.
struct OnPty(Pty);

impl Program for OnPty {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn resize(&mut self, columns: u16, rows: u16) {
        self.0.resize(columns, rows);
    }
}

/// Where the log goes: to standard error, but not while a live screen is there. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct HeldLog {
    /// What was logged while it was held back; `None` where it isn't.
    held: Arc<Mutex<Option<Vec<u8>>>>,
}

/// So many bytes are held back at most.
const HELD: usize = 1 << 20;

impl HeldLog {
    /// From now on nothing reaches standard error.
    pub(super) fn hold(&self) {
        self.lock().get_or_insert_default();
    }

    /// The newest line that is held back.
    pub(super) fn newest(&self) -> Option<String> {
        let held = self.lock();
        let text = String::from_utf8_lossy(held.as_ref()?);
        text.lines().last().map(str::to_owned)
    }

    /// What was held back appears now.
    pub(super) fn release(&self) {
        if let Some(held) = self.lock().take() {
            // Where it can't be written there is no other place to say so.
            let _ = io::stderr().write_all(&held);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<u8>>> {
        self.held
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Write for HeldLog {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match &mut *self.lock() {
            None => return io::stderr().write(buf),
            Some(held) if held.len() < HELD => held.extend_from_slice(buf),
            Some(_) => {}
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
