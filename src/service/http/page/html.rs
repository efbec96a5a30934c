//! The page as HTML.

use super::{INTRODUCTION, Page, READING, TITLE};
use std::fmt::Write;

const STYLE: &str = "
:root { color-scheme: light dark; --text: #1b1f24; --back: #ffffff; --faint: #59636e; --line: #d1d9e0; --box: #f6f8fa }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6edf3; --back: #0d1117; --faint: #9198a1; --line: #3d444d; --box: #151b23 }
}
body { max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: var(--text); background: var(--back);
  font: 1rem/1.5 system-ui, sans-serif }
h1 { font-size: 1.5rem; line-height: 1.25 }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem }
dt { color: var(--faint) }
dd { margin: 0; overflow-wrap: anywhere }
dd, pre { font-family: ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace }
pre { overflow-x: auto; padding: 1rem; border: 1px solid var(--line); border-radius: .5rem; background: var(--box);
  font-size: .85rem; line-height: 1.3 }
.note { color: var(--faint) }
";

pub(super) fn html(page: &Page) -> String {
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{TITLE}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>{TITLE}</h1>\n<p>{INTRODUCTION}</p>\n<dl>\n"
    );
    for (label, value) in &page.facts {
        // Writing to a string can't fail.
        let _ = writeln!(html, "<dt>{}</dt><dd>{}</dd>", escape(label), escape(value));
    }
    // In reach of the keyboard, since it may have to be scrolled.
    let _ = write!(
        html,
        "</dl>\n<pre tabindex=\"0\" aria-label=\"Ladder of segments: client left, tcplab right\">\n{}</pre>\n<ul>\n",
        escape(&page.ladder())
    );
    for sentence in page.relations.iter().chain(&page.agreed) {
        let _ = writeln!(html, "<li>{}</li>", escape(sentence));
    }
    let _ = write!(
        html,
        "</ul>\n<p class=\"note\">{READING}</p>\n</main>\n</body>\n</html>\n"
    );
    html
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
