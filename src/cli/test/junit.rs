//! Results as JUnit's XML, as far as continuous integration reads it.

use super::{Job, Result, Verdict, tap};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

/// Writes all results. A job that has none was not run, as everything was stopped: that is an error, so that no run is taken for
/// a good one that has not come to its end.
pub(super) fn write(
    out: &mut impl Write,
    jobs: &[Job],
    results: &BTreeMap<usize, Result>,
) -> io::Result<()> {
    let count = |wanted: fn(&Verdict) -> bool| {
        results
            .values()
            .filter(|result| wanted(&result.verdict))
            .count()
    };
    let failures = count(|verdict| matches!(verdict, Verdict::Failed(_)));
    let missing = jobs.len() - results.len();
    let errors = count(|verdict| matches!(verdict, Verdict::Error(_))) + missing;
    let skipped = count(|verdict| matches!(verdict, Verdict::Skipped(_)));
    let time: Duration = results.values().map(|result| result.took).sum();
    let sums = format!(
        "tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\" time=\"{:.3}\"",
        jobs.len(),
        time.as_secs_f64()
    );
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(out, "<testsuites {sums}>")?;
    writeln!(out, "  <testsuite name=\"tcplab\" {sums}>")?;
    for (index, job) in jobs.iter().enumerate() {
        let path = job.path.display().to_string();
        let (name, file) = (escape(job.about().unwrap_or(&path)), escape(&path));
        let took = results
            .get(&index)
            .map_or(0.0, |result| result.took.as_secs_f64());
        write!(
            out,
            "    <testcase classname=\"{file}\" name=\"{name}\" file=\"{file}\" time=\"{took:.3}\""
        )?;
        match results.get(&index).map(|result| &result.verdict) {
            Some(Verdict::Passed { .. }) => writeln!(out, "/>")?,
            None => writeln!(
                out,
                "><error type=\"stopped\" message=\"not run\"/></testcase>"
            )?,
            Some(Verdict::Error(why)) => {
                let whole = format!("{path}{why}");
                let message = whole.lines().next().unwrap_or_default();
                writeln!(
                    out,
                    "><error type=\"cannot run\" message=\"{}\">{}</error></testcase>",
                    escape(message),
                    escape(&whole)
                )?;
            }
            Some(Verdict::Skipped(why)) => {
                writeln!(out, "><skipped message=\"{}\"/></testcase>", escape(why))?;
            }
            Some(Verdict::Failed(failed)) => {
                writeln!(out, ">")?;
                for failure in &failed.failures {
                    let mut text = Vec::new();
                    tap::explain(&mut text, failure)?;
                    let text = String::from_utf8_lossy(&text);
                    let message = format!("{path}:{}: {}", failure.line, failure.message);
                    writeln!(
                        out,
                        "      <failure type=\"expectation\" message=\"{}\">{}</failure>",
                        escape(&message),
                        escape(&text)
                    )?;
                }
                writeln!(
                    out,
                    "      <system-out>{}</system-out>",
                    escape(&failed.ladder)
                )?;
                writeln!(out, "    </testcase>")?;
            }
        }
    }
    writeln!(out, "  </testsuite>")?;
    writeln!(out, "</testsuites>")
}

/// Text in XML 1.0, which has no control characters but tabs and line ends (section 2.2).
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => escaped.push(letter),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            letter if letter < ' ' => escaped.push('\u{fffd}'),
            letter => escaped.push(letter),
        }
    }
    escaped
}
