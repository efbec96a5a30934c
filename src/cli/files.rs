//! The files that a run writes: one sink each.

use super::args::Show;
use crate::sink::Sink;
use crate::sink::jsonl::JsonLines;
use crate::sink::pcapng::PcapNg;
use crate::sink::report::Report;
use crate::sys::output;
use anyhow::{Context, bail};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

/// A sink and what it is called where it fails.
pub(super) type Named = (String, Box<dyn Sink>);

/// Creates the files that were asked for. `epoch` is what the calendar said when the clock of the events was zero.
pub(super) fn open(show: &Show, epoch: Duration) -> anyhow::Result<Vec<Named>> {
    let paths = [&show.json, &show.write];
    if paths
        .iter()
        .filter(|path| path.as_deref().is_some_and(is_stdout))
        .count()
        > 1
    {
        bail!("only one of --json and -w can go to standard output");
    }
    if show.tui && paths.into_iter().flatten().any(|path| is_stdout(path)) {
        bail!("--tui needs standard output to draw on: let --json and -w write to a file");
    }
    let mut sinks: Vec<Named> = Vec::new();
    for (path, format) in &show.report {
        let report = Report::new(create(path)?, *format, show.lang());
        sinks.push((format!("the report {}", path.display()), Box::new(report)));
    }
    if let Some(path) = &show.json {
        sinks.push((name(path), Box::new(JsonLines::new(create(path)?))));
    }
    if let Some(path) = &show.write {
        let capture = PcapNg::new(create(path)?, epoch)
            .with_context(|| format!("cannot write to {}", name(path)))?;
        sinks.push((name(path), Box::new(capture)));
    }
    Ok(sinks)
}

fn create(path: &Path) -> anyhow::Result<BufWriter<Box<dyn Write>>> {
    let out: Box<dyn Write> = if is_stdout(path) {
        Box::new(io::stdout())
    } else {
        Box::new(output::create(path).with_context(|| format!("cannot create {}", name(path)))?)
    };
    Ok(BufWriter::with_capacity(1 << 16, out))
}

fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

fn name(path: &Path) -> String {
    if is_stdout(path) {
        "standard output".into()
    } else {
        path.display().to_string()
    }
}
