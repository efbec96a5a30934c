//! An audit's findings for people and for programs.

use super::Finding;
use super::verdict::{Expected, Outcome};
use crate::sink::report::escape;
use serde_json::{Value, json};
use std::fmt::Write;
use unicode_width::UnicodeWidthStr;

/// The formats besides the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Junit,
    Markdown,
    Html,
}

/// All findings of one run of `command`.
pub(super) struct Findings<'a> {
    pub(super) command: String,
    pub(super) findings: &'a [Finding],
}

const HEADINGS: [&str; 7] = [
    "fault",
    "client",
    "time",
    "SYNs",
    "retransmitted",
    "connection closed",
    "good",
];

impl Findings<'_> {
    /// The number of those that are not as a good client's.
    pub(super) fn bad(&self) -> usize {
        self.findings.iter().filter(|one| !one.is_good()).count()
    }

    /// A table for a terminal.
    pub(super) fn table(&self) -> String {
        let rows: Vec<[String; 7]> = self.findings.iter().map(Finding::row).collect();
        let mut widths = HEADINGS.map(str::len);
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        let line = |cells: &[String; 7]| {
            let mut line = String::new();
            for (cell, width) in cells.iter().zip(widths) {
                let _ = write!(line, "{cell}{}  ", " ".repeat(width - cell.width()));
            }
            line.trim_end().to_owned() + "\n"
        };
        let mut text = line(&HEADINGS.map(str::to_owned));
        for (row, finding) in rows.iter().zip(self.findings) {
            text += &line(row);
            if let Some(remark) = finding.remark() {
                let _ = writeln!(text, "    {remark}");
            }
        }
        text + &self.verdict() + "\n"
    }

    /// The result in one line.
    pub(super) fn verdict(&self) -> String {
        let (all, bad) = (self.findings.len(), self.bad());
        let runs = if all == 1 { "run" } else { "runs" };
        match bad {
            0 => format!("{all} {runs}, in all of them the client did what a good client does"),
            bad => format!(
                "{all} {runs}, in {bad} of them the client did not do what a good client does"
            ),
        }
    }

    /// The same in another format.
    pub(super) fn to(&self, format: Format) -> String {
        match format {
            Format::Json => self.json(),
            Format::Junit => self.junit(),
            Format::Markdown => self.markdown(),
            Format::Html => self.html(),
        }
    }

    fn json(&self) -> String {
        let findings: Vec<Value> = self.findings.iter().map(Finding::json).collect();
        let all = json!({
            "v": 1,
            "command": self.command,
            "runs": self.findings.len(),
            "bad": self.bad(),
            "findings": findings,
        });
        format!("{all:#}\n")
    }

    fn junit(&self) -> String {
        // The sum of nothing is -0.
        let time = self.findings.iter().map(|one| one.took).sum::<f64>().abs();
        let (all, bad) = (self.findings.len(), self.bad());
        let mut text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"{}\" tests=\"{all}\" failures=\"{bad}\" errors=\"0\" time=\"{time:.3}\">\n",
            escape(&self.command)
        );
        for one in self.findings {
            let _ = write!(
                text,
                "  <testcase name=\"{}\" classname=\"tcplab.audit\" time=\"{:.3}\"",
                escape(&one.name),
                one.took
            );
            if one.is_good() {
                text += "/>\n";
                continue;
            }
            let _ = writeln!(
                text,
                "><failure message=\"{}\">{}</failure></testcase>",
                escape(&one.outcome.to_string()),
                escape(&one.remark().unwrap_or_default())
            );
        }
        text + "</testsuite>\n"
    }

    fn markdown(&self) -> String {
        let cell = |text: &str| text.replace('|', "\\|");
        let mut text = format!("# Audit of `{}`\n\n{}.\n\n", self.command, self.verdict());
        let _ = writeln!(text, "| {} |\n|{}", HEADINGS.join(" | "), "---|".repeat(7));
        for one in self.findings {
            let row = one.row().map(|text| cell(&text));
            let _ = writeln!(text, "| {} |", row.join(" | "));
        }
        for one in self.findings {
            if let Some(remark) = one.remark() {
                let _ = write!(text, "\n- **{}**: {remark}\n", one.name);
            }
        }
        text
    }

    fn html(&self) -> String {
        let mut rows = String::new();
        for one in self.findings {
            let class = if one.is_good() { "good" } else { "bad" };
            let _ = write!(rows, "<tr class=\"{class}\">");
            for cell in one.row() {
                let _ = write!(rows, "<td>{}</td>", escape(&cell));
            }
            rows += "</tr>\n";
            if let Some(remark) = one.remark() {
                let remark = escape(&remark);
                let _ = writeln!(
                    rows,
                    "<tr class=\"remark\"><td></td><td colspan=\"6\">{remark}</td></tr>"
                );
            }
        }
        let headings: String = HEADINGS
            .map(|heading| format!("<th>{heading}</th>"))
            .concat();
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>tcplab audit</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>Audit of <code>{}</code></h1>\n<p>{}.</p>\n<div class=\"wide\"><table>\n<thead><tr>{headings}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n</body>\n</html>\n",
            escape(&self.command),
            self.verdict()
        )
    }
}

/// On a narrow screen a run takes three rows: its name and whether it was good, what the client did, and the rest.
const STYLE: &str = "\
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; background: #ffffff; color: #1b1f24; }
h1, p, td { overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-top: 1px solid #8884; }
tr:not(.remark) td:not(:nth-child(2)):not(:nth-child(6)) { white-space: nowrap; }
tr.remark td { border-top: 0; padding-top: 0; color: #59636e; }
tr.bad td:last-child { color: #b31d24; font-weight: bold; }
tr.good td:last-child { color: #0a7546; }
code { font-size: .9em; }
@media (max-width: 640px) {
tr { display: grid; grid-template-columns: 4.5rem 4rem 4rem 1fr 3rem; border-top: 1px solid #8884; }
tr th, tr td { border: 0; }
tr > :nth-child(1) { grid-area: 1 / 1 / 1 / 5; font-weight: bold; }
tr > :nth-child(7) { grid-area: 1 / 5; }
tr > :nth-child(2) { grid-area: 2 / 1 / 2 / -1; }
tr > :nth-child(6) { grid-column: 4 / -1; }
tr.remark { border: 0; }
}
@media (prefers-color-scheme: dark) {
body { background: #14171a; color: #e4e7ea; }
tr.remark td { color: #9da7b1; }
tr.bad td:last-child { color: #ff7b72; }
tr.good td:last-child { color: #5fd39a; }
}
";

impl Finding {
    fn row(&self) -> [String; 7] {
        [
            self.name.clone(),
            self.outcome.to_string(),
            format!("{:.2} s", self.took),
            self.syns.to_string(),
            self.resent.to_string(),
            self.ended.clone(),
            if self.is_good() { "yes" } else { "NO" }.to_owned(),
        ]
    }

    /// What is to be said of a run that is not as it should be.
    fn remark(&self) -> Option<String> {
        if self.is_good() {
            return None;
        }
        let mut remark = format!("{} A good client: {}", self.happens, self.good_client);
        if matches!(
            (&self.outcome, self.expected),
            (Outcome::Failed(_), Expected::Answers)
        ) {
            remark +=
                " If it has promised to give up then, say so: --connect-limit, --answer-limit.";
        }
        if let Some(before) = &self.before {
            remark = format!("expected, as saved before: {before}");
        }
        if let Some(line) = self
            .stderr
            .lines()
            .rev()
            .find(|line| !line.trim().is_empty())
        {
            let _ = write!(remark, " It said: {}", line.trim());
        }
        Some(remark)
    }

    fn json(&self) -> Value {
        json!({
            "fault": self.name,
            "expected": self.expected.name(),
            "outcome": self.outcome.name(),
            "detail": self.outcome.to_string(),
            "code": self.code,
            "seconds": self.took,
            "syns": self.syns,
            "resent": self.resent,
            "resets": self.resets,
            "connections": self.flows,
            "closed": self.ended,
            "good": self.is_good(),
            "stderr": self.stderr,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::STYLE;
    use crate::sink::report::contrast::{LEAST, colour, contrast};

    #[test]
    fn text_can_be_read_by_day_and_at_night() {
        let (day, night) = STYLE
            .split_once("@media (prefers-color-scheme: dark) {")
            .unwrap();
        for style in [day, night] {
            let paper = colour(style, "body", "background");
            for selector in [
                "body",
                "tr.remark td",
                "tr.bad td:last-child",
                "tr.good td:last-child",
            ] {
                let ink = colour(style, selector, "color");
                let contrast = contrast(ink, paper);
                assert!(
                    contrast >= LEAST,
                    "{selector}: {ink} on {paper}: {contrast:.2}"
                );
            }
        }
    }
}
