//! The ground that all drawings stand on: shapes, text that is measured before it is drawn, colours for light and dark.

use crate::sink::text;
use crate::state::TcpState;
use std::fmt::Write;

/// How wide every drawing is, in CSS pixels.
pub(super) const WIDTH: f64 = 860.0;
/// The size of letters in pixels.
pub(super) const SIZE: f64 = 12.0;
/// How high a line of text is.
pub(super) const LINE: f64 = 15.0;
/// A little more than a column of the usual monospaced fonts.
const COLUMN: f64 = SIZE * 0.61;
/// What lies between the drawings of one file.
const SPACE: f64 = 24.0;

/// A picture by itself.
#[derive(Debug, Default)]
pub(super) struct Drawing {
    /// What it shows, for those who can't see it.
    pub(super) title: String,
    /// Where it begins, in its own coordinates.
    pub(super) top: f64,
    pub(super) height: f64,
    pub(super) body: String,
}

/// Where a text is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A line of text: `y` is its base line.
#[derive(Clone, Debug)]
pub(super) struct Label {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) anchor: Anchor,
    pub(super) class: &'static str,
    pub(super) text: String,
}

impl Label {
    /// The room that it takes: left, top, right, bottom.
    #[cfg(test)]
    pub(super) fn area(&self) -> [f64; 4] {
        let width = unicode_width::UnicodeWidthStr::width(self.text.as_str()) as f64 * COLUMN;
        let left = match self.anchor {
            Anchor::Start => self.x,
            Anchor::Middle => self.x - width / 2.0,
            Anchor::End => self.x - width,
        };
        [left, self.y - SIZE + 1.0, left + width, self.y + 3.0]
    }

    pub(super) fn draw(&self, out: &mut String) {
        let anchor = match self.anchor {
            Anchor::Start => "",
            Anchor::Middle => " middle",
            Anchor::End => " end",
        };
        let _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" class=\"{}{anchor}\">{}</text>",
            self.x,
            self.y,
            self.class,
            escape(&self.text)
        );
    }
}

/// How many columns of text fit `width` pixels.
pub(super) fn columns(width: f64) -> usize {
    (width / COLUMN) as usize
}

/// A line through `points`.
pub(super) fn path(out: &mut String, class: &str, points: &[(f64, f64)]) {
    let _ = write!(out, "<path class=\"{class}\" d=\"");
    for (at, (x, y)) in points.iter().enumerate() {
        let _ = write!(out, "{}{x:.1} {y:.1}", if at == 0 { 'M' } else { 'L' });
    }
    out.push_str("\"/>");
}

/// The head of an arrow that comes from `from` and ends at `to`.
pub(super) fn head(out: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy).max(0.1);
    let (ux, uy) = (dx / length * 9.0, dy / length * 9.0);
    let (back_x, back_y) = (to.0 - ux, to.1 - uy);
    let _ = write!(
        out,
        "<path class=\"{class} head\" d=\"M{:.1} {:.1}L{:.1} {:.1}L{:.1} {:.1}Z\"/>",
        to.0,
        to.1,
        back_x - uy * 0.45,
        back_y + ux * 0.45,
        back_x + uy * 0.45,
        back_y - ux * 0.45
    );
}

/// A rectangle.
pub(super) fn rect(out: &mut String, class: &str, x: f64, y: f64, width: f64, height: f64) {
    let _ = write!(
        out,
        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
    );
}

/// The drawing as an element of a page, whose style must hold [`style`].
pub(super) fn element(drawing: &Drawing) -> String {
    let Drawing {
        title,
        top,
        height,
        body,
    } = drawing;
    let title = escape(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"drawing\" viewBox=\"0 {top:.1} {WIDTH} {height:.1}\" \
         width=\"{WIDTH}\" height=\"{height:.1}\" role=\"img\" aria-label=\"{title}\"><title>{title}</title>{body}</svg>\n"
    )
}

/// All drawings as one file called `title`, one below the other.
pub(super) fn file(title: &str, drawings: &[Drawing]) -> String {
    let title = escape(title);
    let mut body = String::new();
    let mut y = SPACE;
    for drawing in drawings {
        for text in text::wrap_sentence(&drawing.title, columns(WIDTH - 24.0)) {
            let heading = Label {
                x: 12.0,
                y: y + SIZE,
                anchor: Anchor::Start,
                class: "t name",
                text,
            };
            heading.draw(&mut body);
            y += LINE;
        }
        y += 10.0;
        let Drawing { top, height, .. } = drawing;
        let _ = write!(
            body,
            "\n<svg x=\"0\" y=\"{y:.1}\" width=\"{WIDTH}\" height=\"{height:.1}\" viewBox=\"0 {top:.1} {WIDTH} {height:.1}\">{}</svg>",
            drawing.body
        );
        y += drawing.height + SPACE;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y:.1}\" width=\"{WIDTH}\" height=\"{y:.1}\" \
         role=\"img\" aria-label=\"{title}\"><title>{title}</title><style>{}</style>\
         <rect class=\"paper\" x=\"0\" y=\"0\" width=\"{WIDTH}\" height=\"{y:.1}\"/>{body}\n</svg>\n",
        style()
    )
}

/// Text as it stands in XML, in an element or an attribute. What XML 1.0 can't hold at all becomes U+FFFD.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' => escaped.push(char),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ if char.is_control() => escaped.push('\u{fffd}'),
            _ => escaped.push(char),
        }
    }
    escaped
}

/// The class that gives something the colour of a state.
pub(super) fn state_class(state: TcpState) -> &'static str {
    match state {
        TcpState::Closed => "s-closed",
        TcpState::Listen => "s-listen",
        TcpState::SynSent => "s-syn-sent",
        TcpState::SynReceived => "s-syn-received",
        TcpState::Established => "s-established",
        TcpState::FinWait1 => "s-fin-wait-1",
        TcpState::FinWait2 => "s-fin-wait-2",
        TcpState::CloseWait => "s-close-wait",
        TcpState::Closing => "s-closing",
        TcpState::LastAck => "s-last-ack",
        TcpState::TimeWait => "s-time-wait",
    }
}

/// The style of all drawings. Colours stand in it twice and no variable is used: not every program that shows SVG
/// knows them.
pub(super) fn style() -> String {
    let mut style = String::from(SHAPES);
    let mut dark = String::new();
    for (selector, property, light, at_night) in COLOURS {
        let _ = write!(style, "{selector}{{{property}:{light}}}");
        let _ = write!(dark, "{selector}{{{property}:{at_night}}}");
    }
    let _ = write!(
        style,
        "@media screen and (prefers-color-scheme:dark){{{dark}}}"
    );
    style
}

const SHAPES: &str = "\
text{font:12px/1.25 ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,'Noto Sans Mono CJK SC',monospace;white-space:pre}\
.middle{text-anchor:middle}.end{text-anchor:end}.name{font-weight:bold}.remark{font-style:italic}\
path,circle,line{fill:none;stroke-width:1.5}.head{stroke-width:0.5}.thin{stroke-width:1}\
.unknown{stroke-dasharray:2 3}.stretched{stroke-dasharray:1 4;stroke-width:2}.ruler{stroke-width:2}\
.inferred{fill-opacity:.5}.taken,.peer{stroke-width:3}.last{stroke-width:3}.edge{stroke-dasharray:6 3}.sack{stroke-width:5;stroke-opacity:.55}";

/// Selector, property, by day, at night.
const COLOURS: [(&str, &str, &str, &str); 40] = [
    (".paper", "fill", "#ffffff", "#14171a"),
    (".t", "fill", "#1b1f24", "#e4e7ea"),
    (".dim", "fill", "#59636e", "#9da7b1"),
    (".line", "stroke", "#8a94a0", "#6e7883"),
    (".grid", "stroke", "#dde2e7", "#2b3137"),
    (".line.head", "fill", "#8a94a0", "#6e7883"),
    (".in", "stroke", "#1f5fbf", "#7cb0ff"),
    (".in.head", "fill", "#1f5fbf", "#7cb0ff"),
    (".out", "stroke", "#0a7546", "#5fd39a"),
    (".out.head", "fill", "#0a7546", "#5fd39a"),
    (".again", "stroke", "#b35900", "#ffb454"),
    (".again.head", "fill", "#b35900", "#ffb454"),
    ("text.again", "fill", "#a04f00", "#ffb454"),
    ("text.again", "stroke", "none", "none"),
    (".lost", "stroke", "#c4242b", "#ff7b72"),
    (".lost.head", "fill", "#c4242b", "#ff7b72"),
    ("text.lost", "fill", "#b31d24", "#ff7b72"),
    ("text.lost", "stroke", "none", "none"),
    (".ack", "stroke", "#7a3fb5", "#c99bff"),
    (".sack", "stroke", "#b8860b", "#e3c04f"),
    (".edge", "stroke", "#8a94a0", "#8a94a0"),
    (".taken", "stroke", "#c4242b", "#ff9d5c"),
    (".taken.head", "fill", "#c4242b", "#ff9d5c"),
    (".badge", "fill", "#c4242b", "#ff9d5c"),
    (".peer", "stroke", "#1f5fbf", "#7cb0ff"),
    (".peer.head", "fill", "#1f5fbf", "#7cb0ff"),
    (".peer-badge", "fill", "#1f5fbf", "#7cb0ff"),
    (".on-badge", "fill", "#ffffff", "#14171a"),
    (".node", "fill", "#ffffff", "#14171a"),
    (".s-closed", "fill", "#cfd4da", "#444c54"),
    (".s-listen", "fill", "#aeb6be", "#5a646d"),
    (".s-syn-sent", "fill", "#f5cf6b", "#7d600f"),
    (".s-syn-received", "fill", "#f4ab63", "#9c5413"),
    (".s-established", "fill", "#7fcf95", "#27763f"),
    (".s-fin-wait-1", "fill", "#a9c7fa", "#274f93"),
    (".s-fin-wait-2", "fill", "#7fa9f0", "#3863b3"),
    (".s-close-wait", "fill", "#dcb6f7", "#6b3a94"),
    (".s-closing", "fill", "#f5a9c4", "#93385c"),
    (".s-last-ack", "fill", "#c193ec", "#7d4ab3"),
    (".s-time-wait", "fill", "#9fdbe0", "#256c73"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_is_escaped() {
        for (text, expected) in [
            ("plain", "plain"),
            ("<script>\"&'", "&lt;script&gt;&quot;&amp;&#39;"),
            ("a\u{1b}[2J\u{0}\u{ffff}", "a\u{fffd}[2J\u{fffd}\u{fffd}"),
            ("请输入密码", "请输入密码"),
        ] {
            assert_eq!(escape(text), expected);
        }
    }

    #[test]
    fn text_can_be_read_by_day_and_at_night() {
        use super::super::contrast::{LEAST, contrast};
        let fill = |wanted: &str| {
            let found = COLOURS
                .iter()
                .find(|(selector, property, ..)| *selector == wanted && *property == "fill");
            let (.., light, at_night) = found.unwrap_or_else(|| panic!("{wanted}"));
            [*light, *at_night]
        };
        let mut pairs: Vec<(String, String)> = [".t", ".dim", "text.again", "text.lost"]
            .iter()
            .flat_map(|ink| [(*ink, ".paper"), (*ink, ".node")])
            .chain([(".on-badge", ".badge"), (".on-badge", ".peer-badge")])
            .map(|(ink, ground)| (ink.into(), ground.into()))
            .collect();
        // The names of the states that were entered.
        for state in TcpState::ALL {
            pairs.push((".t".into(), format!(".{}", state_class(state))));
        }
        for (ink, ground) in pairs {
            for (ink_fill, ground_fill) in fill(&ink).into_iter().zip(fill(&ground)) {
                let contrast = contrast(ink_fill, ground_fill);
                assert!(
                    contrast >= LEAST,
                    "{ink} on {ground}, {ink_fill} on {ground_fill}: {contrast:.2}"
                );
            }
        }
    }

    #[test]
    fn every_state_has_its_colour() {
        for state in TcpState::ALL {
            let class = format!(".{}", state_class(state));
            let found = COLOURS.iter().filter(|(selector, ..)| *selector == class);
            assert_eq!(found.count(), 1, "{class}");
        }
    }
}
