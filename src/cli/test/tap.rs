//! Results as the Test Anything Protocol, version 14 (<https://testanything.org/tap-version-14-specification.html>).

use super::{Job, Result, Verdict};
use crate::scenario::Failure;
use std::io::{self, Write};

pub(super) fn begin(out: &mut impl Write, count: usize) -> io::Result<()> {
    write!(out, "TAP version 14\n1..{count}\n")?;
    if count == 0 {
        writeln!(out, "# nothing to do")?;
    }
    out.flush()
}

/// Nothing more follows.
pub(super) fn bail_out(out: &mut impl Write, why: &str) -> io::Result<()> {
    writeln!(out, "Bail out! {why}")?;
    out.flush()
}

/// One result. The `number`s count from 1; the ladder of one that has passed is shown if `verbose`.
pub(super) fn result(
    out: &mut impl Write,
    number: usize,
    job: &Job,
    result: &Result,
    verbose: bool,
) -> io::Result<()> {
    let name = escape(&job.name());
    match &result.verdict {
        Verdict::Passed { ladder } => {
            writeln!(out, "ok {number} - {name}")?;
            if verbose {
                block(out, "# ", ladder)?;
            }
        }
        Verdict::Skipped(why) => writeln!(out, "ok {number} - {name} # SKIP {why}")?,
        Verdict::Error(why) => {
            begin_details(out, number, &name, job, result)?;
            writeln!(out, "  error: |2")?;
            block(out, "    ", &format!("{}{why}", job.path.display()))?;
            writeln!(out, "  ...")?;
        }
        Verdict::Failed(failed) => {
            begin_details(out, number, &name, job, result)?;
            writeln!(out, "  failures:")?;
            for failure in &failed.failures {
                let mut text = Vec::new();
                explain(&mut text, failure)?;
                writeln!(out, "    - |")?;
                block(out, "      ", &String::from_utf8_lossy(&text))?;
            }
            if !failed.ladder.is_empty() {
                writeln!(out, "  ladder: |2")?;
                block(out, "    ", &failed.ladder)?;
            }
            writeln!(out, "  ...")?;
        }
    }
    out.flush()
}

fn begin_details(
    out: &mut impl Write,
    number: usize,
    name: &str,
    job: &Job,
    result: &Result,
) -> io::Result<()> {
    writeln!(out, "not ok {number} - {name}")?;
    writeln!(out, "  ---")?;
    writeln!(out, "  file: {}", quoted(&job.path.display().to_string()))?;
    writeln!(out, "  duration_ms: {}", result.took.as_millis())
}

/// What was expected and what came, for people.
pub(super) fn explain(out: &mut impl Write, failure: &Failure) -> io::Result<()> {
    writeln!(out, "line {}: {}", failure.line, failure.expected)?;
    if failure.fields.is_empty() {
        return writeln!(out, "{}", failure.message);
    }
    writeln!(out, "{}:", failure.message)?;
    let width = |column: fn(&crate::scenario::Field) -> &str, head: &str| {
        let widths = failure
            .fields
            .iter()
            .map(|field| column(field).chars().count());
        widths.chain([head.len()]).max().unwrap_or(0)
    };
    let names = width(|field| field.name, "");
    let expected = width(|field| &field.expected, "expected");
    writeln!(out, "  {:names$}  {:expected$}  actual", "", "expected")?;
    for field in &failure.fields {
        let mark = if field.agrees { ' ' } else { '!' };
        writeln!(
            out,
            "{mark} {:names$}  {:expected$}  {}",
            field.name, field.expected, field.actual
        )?;
    }
    Ok(())
}

fn block(out: &mut impl Write, indent: &str, text: &str) -> io::Result<()> {
    text.lines().try_for_each(|line| match line {
        "" => writeln!(out),
        line => writeln!(out, "{indent}{line}"),
    })
}

/// `#` begins a directive.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('#', "\\#")
        .replace('\n', " ")
}

/// A double-quoted scalar of YAML, for which those of JSON are good.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
