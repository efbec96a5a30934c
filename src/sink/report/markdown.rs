//! The report for an issue: tables, the ladder as text, and a Mermaid diagram.

use super::figures::Line;
use super::html::{left_out, overview_columns, overview_lines, sums};
use super::mermaid;
use super::record::Record;
use crate::event::Transport;
use crate::sink::summary::decisions;
use crate::sink::text;
use crate::view::View;
use crate::words::Lang;
use std::fmt::Write;

/// The text.
pub(super) fn text(view: &View, record: &Record) -> String {
    let lang = record.lang;
    let mut out = format!(
        "# {}\n\n{}\n",
        lang.report_title(),
        escape(&sums(lang, view))
    );
    if view.flows().len() > 0 {
        let _ = writeln!(
            out,
            "\n| {} |",
            overview_columns(lang)
                .map(|head| if head == "#" { head } else { escape(&head) })
                .join(" | ")
        );
        out.push_str("|--:|---|---|--:|--:|--:|--:|\n");
        for (flow, columns) in overview_lines(lang, view) {
            let columns = columns.map(|column| escape(&column));
            let _ = writeln!(out, "| {} | {} |", flow.id.0, columns.join(" | "));
        }
    }
    for remark in left_out(view, record) {
        let _ = write!(out, "\n{}\n", escape(&remark));
    }
    for (at, (count, rule)) in decisions(view, &record.rules, lang, true)
        .into_iter()
        .enumerate()
    {
        if at == 0 {
            let _ = write!(out, "\n## {}\n\n", lang.report_rules());
        }
        let _ = writeln!(out, "- {}", escape(&lang.decided_about(rule, count)));
    }
    for (flow, kept) in record.flows(view) {
        let id = flow.id;
        let _ = write!(
            out,
            "\n## {} {}\n\n",
            flow.id.0,
            escape(&text::who_flow(lang, flow))
        );
        let mut ladder = Vec::new();
        // Writing into memory does not fail.
        let _ = record.ladder.whole(id, &mut ladder);
        fenced("text", &String::from_utf8_lossy(&ladder), &mut out);
        out.push('\n');
        fenced("mermaid", &mermaid::flow(flow, kept), &mut out);
        out.push('\n');
        let lines = match kept.transport {
            Transport::Tcp => kept.figures.connection(lang),
            Transport::Udp => kept.figures.exchange(lang),
        };
        table(lang, &lines, &mut out);
    }
    out
}

fn table(lang: Lang, lines: &[Line], out: &mut String) {
    let _ = write!(
        out,
        "| | {} | {} |\n|---|--:|--:|\n",
        lang.received(),
        lang.sent()
    );
    for (name, received, sent) in lines {
        let _ = writeln!(
            out,
            "| {} | {} | {} |",
            escape(name),
            escape(received),
            escape(sent)
        );
    }
}

/// Between fences that are longer than any in the text.
fn fenced(language: &str, text: &str, out: &mut String) {
    let mut longest = 2;
    let mut run = 0;
    for char in text.chars() {
        run = if char == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    let _ = writeln!(out, "{fence}{language}\n{}\n{fence}", text.trim_end());
}

/// Text that Markdown leaves as it is, in a table too.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '@' => {
                escaped.push('\\');
                escaped.push(char);
            }
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '\n' | '\r' => escaped.push(' '),
            _ => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fences_are_longer_than_those_inside() {
        for (text, expected) in [
            ("plain\n", "```text\nplain\n```\n"),
            ("a ``` b", "````text\na ``` b\n````\n"),
        ] {
            let mut out = String::new();
            fenced("text", text, &mut out);
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn nothing_becomes_markup() {
        assert_eq!(escape("a|b <i> `x` #1"), "a\\|b &lt;i&gt; \\`x\\` \\#1");
    }
}
