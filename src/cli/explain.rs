//! `tcplab explain`: the ladder of a capture.

use super::watcher::{Watcher, start_log};
use super::{CANNOT, args};
use crate::capture::{Capture, CaptureError, Frame, Observer, link};
use anyhow::{Context, bail};
use std::fs::File;
use std::io::{self, BufReader, IsTerminal, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// Of a file, so many packets are read before what they tell is shown.
const BATCH: usize = 256;

/// Shows the capture. The code is 0 when all of it was read, and 1 when it is cut off or damaged.
pub(super) fn explain(explain: &args::Capture) -> anyhow::Result<u8> {
    start_log(&explain.show);
    if explain.show.tui {
        bail!("--tui shows what happens now, not a capture: leave it out");
    }
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
        Box::new(io::stdin().lock())
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
    let mut observer = Observer::new(epoch);
    let read = read(
        first,
        &mut capture,
        &mut observer,
        &mut watcher,
        if is_stdin { 1 } else { BATCH },
    );
    observer.finish();
    tell(&mut observer, &mut watcher);
    let now = watcher.now();
    watcher.finish(now);
    for (link_type, frames) in observer.unknown_links() {
        say(&format!(
            "{name}: {frames} frames have link type {link_type}, which can't be read; understood are {}",
            link::KNOWN
        ));
    }
    if observer.other_frames() > 0 && !explain.show.quiet {
        say(&format!(
            "{name}: {} frames carry no IP packet and are left out",
            observer.other_frames()
        ));
    }
    match read {
        Ok(()) if observer.is_empty() && !observer.unknown_links().is_empty() => Ok(CANNOT),
        Ok(()) => Ok(0),
        Err(error) => {
            say(&format!("{:#}", anyhow::Error::new(error).context(name)));
            Ok(1)
        }
    }
}

fn say(line: &str) {
    // Where it can't be said, the exit code says it.
    let _ = writeln!(io::stderr(), "tcplab: {line}");
}

/// Reads and shows everything, as far as it can be read; shows after every `batch` packets.
fn read(
    first: Result<Option<Frame>, CaptureError>,
    capture: &mut Capture<impl Read>,
    observer: &mut Observer,
    watcher: &mut Watcher,
    batch: usize,
) -> Result<(), CaptureError> {
    let mut next = first?;
    let mut read: usize = 0;
    while let Some(frame) = next {
        observer.frame(frame);
        tell(observer, watcher);
        read += 1;
        if read.is_multiple_of(batch) {
            watcher.flush();
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

fn is_same(one: &Path, other: &Path) -> bool {
    match (one.metadata(), other.metadata()) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}
