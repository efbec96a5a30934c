//! `tcplab explain`: the ladder of a capture.

use super::logging::start_log;
use super::watcher::Watcher;
use super::{CANNOT, args};
use crate::capture::{Capture, CaptureError, Frame, Observer, link};
use crate::sys::wait::{Waiter, Watch};
use crate::ui::Pane;
use anyhow::{Context, bail};
use std::cell::{Cell, OnceCell};
use std::fs::File;
use std::io::{self, BufReader, IsTerminal, PipeReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Of a file, so many packets are read before what they tell is shown.
const BATCH: usize = 256;

/// Shows the capture. The code is 0 when all of it was read, and 1 when it is cut off or damaged.
pub(super) fn explain(explain: &args::Capture) -> anyhow::Result<u8> {
    start_log(&explain.show)?;
    // A signal shall not leave the terminal as a live screen needs it.
    let waiter = explain.show.tui.then(Waiter::new).transpose()?;
    let leaving = Rc::new(Leaving::default());
    let path = &explain.file;
    let is_stdin = path == Path::new("-");
    let name = if is_stdin {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    };
    let cannot = || format!("cannot explain {name}");
    let input: Box<dyn Read> = if is_stdin {
        if io::stdin().is_terminal() {
            bail!("standard input is a terminal, not a capture");
        }
        match &waiter {
            Some(waiter) => Box::new(BufReader::new(Patient {
                input: File::from(io::stdin().as_fd().try_clone_to_owned()?),
                waiter,
                leaving: leaving.clone(),
            })),
            None => Box::new(io::stdin().lock()),
        }
    } else {
        let outputs = [&explain.show.json, &explain.show.write];
        let reports = explain.show.report.iter().map(|(path, _)| path);
        if outputs
            .into_iter()
            .flatten()
            .chain(reports)
            .any(|output| is_same(path, output))
        {
            bail!("{name} would be overwritten before it is read");
        }
        Box::new(BufReader::new(File::open(path).with_context(cannot)?))
    };
    let mut capture = Capture::new(input).with_context(cannot)?;
    // The first packet says when time began.
    let first = capture.next_frame();
    let epoch = match &first {
        Ok(Some(frame)) => frame.time,
        _ => Duration::ZERO,
    };
    let mut watcher = Watcher::of_capture(&explain.show, epoch)?;
    watcher.show(format!("explain {name}"), Pane::None, None, None)?;
    if let Some(screen) = watcher.live_end() {
        let _ = leaving.screen.set(screen);
    }
    let mut observer = Observer::new(epoch);
    let mut outcome = read_all(
        first,
        &mut capture,
        &mut observer,
        &mut watcher,
        if is_stdin { 1 } else { BATCH },
        |watcher| match &waiter {
            Some(waiter) if !is_stdin => {
                let has_left = watcher.is_left(waiter, Some(Duration::ZERO));
                leaving.has_left.set(has_left.unwrap_or(true));
                !leaving.has_left.get()
            }
            _ => true,
        },
    );
    observer.finish();
    tell(&mut observer, &mut watcher);
    if leaving.has_left.get() {
        // What was not waited for is not missing.
        outcome = Ok(());
    } else if let Some(waiter) = &waiter {
        if let Err(error) = &outcome {
            watcher.ended(watcher.lang().not_all_read(error));
        }
        watcher.flush();
        watcher.stay(waiter)?;
    }
    let now = watcher.now();
    watcher.finish(now);
    for (link_type, frames) in observer.unknown_links() {
        say(&format!(
            "{name}: {} with link type {link_type}, which can't be read; understood are {}",
            counted(*frames),
            link::KNOWN
        ));
    }
    if observer.other_frames() > 0 && !explain.show.quiet {
        say(&format!(
            "{name}: {} without an IP packet left out",
            counted(observer.other_frames())
        ));
    }
    match outcome {
        Ok(()) if observer.is_empty() && !observer.unknown_links().is_empty() => Ok(CANNOT),
        Ok(()) => Ok(0),
        Err(error) => {
            say(&format!("{:#}", anyhow::Error::new(error).context(name)));
            Ok(1)
        }
    }
}

/// `1 frame`, `2 frames`.
fn counted(frames: u64) -> String {
    format!("{frames} frame{}", if frames == 1 { "" } else { "s" })
}

fn say(line: &str) {
    // Where it can't be said, the exit code says it.
    let _ = writeln!(io::stderr(), "tcplab: {line}");
}

/// Reads and shows everything, as far as it can be read; shows after every `batch` packets, and asks then whether it goes on.
fn read_all(
    first: Result<Option<Frame>, CaptureError>,
    capture: &mut Capture<impl Read>,
    observer: &mut Observer,
    watcher: &mut Watcher,
    batch: usize,
    mut goes_on: impl FnMut(&mut Watcher) -> bool,
) -> Result<(), CaptureError> {
    let mut next = first?;
    let mut read: usize = 0;
    while let Some(frame) = next {
        observer.frame(frame);
        tell(observer, watcher);
        read += 1;
        if read.is_multiple_of(batch) {
            watcher.flush();
            if !goes_on(watcher) {
                return Ok(());
            }
        }
        next = capture.next_frame()?;
    }
    Ok(())
}

fn tell(observer: &mut Observer, watcher: &mut Watcher) {
    while let Some(event) = observer.poll_event() {
        watcher.event(&event);
    }
}

/// Standard input that is at its end also when somebody leaves, so that nobody who is patient has to be waited for.
struct Patient<'a> {
    input: File,
    waiter: &'a Waiter,
    leaving: Rc<Leaving>,
}

/// Whether somebody leaves, and where that can be seen once there is a live screen.
#[derive(Default)]
struct Leaving {
    screen: OnceCell<Arc<PipeReader>>,
    has_left: Cell<bool>,
}

impl Read for Patient<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let watch = Watch {
                input: Some(self.input.as_fd()),
                screen: self.leaving.screen.get().map(AsFd::as_fd),
                ..Watch::default()
            };
            let ready = self.waiter.wait(watch, None)?;
            // Without a command, to leave is all that a screen can ask for.
            if ready.screen || !ready.signals.is_empty() {
                self.leaving.has_left.set(true);
                return Ok(0);
            }
            if ready.input {
                return self.input.read(buf);
            }
        }
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    match (one.metadata(), other.metadata()) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}
