use crate::event::FlowId;

/// A colour or weight (ECMA-48, Select Graphic Rendition).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    Plain,
    Bold,
    Dim,
    Red,
    Yellow,
    /// The colour that tells this flow from its neighbours.
    Flow(FlowId),
}

impl Paint {
    pub(super) fn apply(self, text: &str, colour: bool) -> String {
        // Red and yellow are kept for what went wrong.
        const FLOWS: [&str; 8] = ["36", "35", "32", "34", "96", "95", "92", "94"];
        let code = match self {
            Paint::Plain => "",
            Paint::Bold => "1",
            Paint::Dim => "2",
            Paint::Red => "31",
            Paint::Yellow => "33",
            Paint::Flow(FlowId(id)) => FLOWS[(id % 8) as usize],
        };
        if colour && !code.is_empty() && !text.trim().is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.into()
        }
    }
}
