//! `tcplab doctor`: what this machine allows.

use crate::sys::doctor::{PRIVATE_LAB, State, examine};
use std::io::{self, Write};

/// Prints all findings. The code is 0 when a lab can be opened, and 1 when not.
pub(super) fn doctor() -> anyhow::Result<u8> {
    let findings = examine();
    let width = findings
        .iter()
        .map(|finding| finding.what.len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for finding in &findings {
        let mark = match finding.state {
            State::Good => "ok     ",
            State::Limited => "limited",
            State::Bad => "bad    ",
        };
        text += &format!("{mark} {:width$}  {}\n", finding.what, finding.detail);
        if let Some(mend) = &finding.mend {
            for line in mend.lines() {
                text += &format!("{:>8}{:width$}  to mend it: {}\n", "", "", line.trim());
            }
        }
    }
    // Whether a lab can be opened is found out last, and what is bad before need not prevent it.
    let lab = findings
        .iter()
        .any(|finding| finding.what == PRIVATE_LAB && finding.state != State::Bad);
    text += if lab {
        "`tcplab run` works here.\n"
    } else {
        "`tcplab run` does not work here; `tcplab demo` simulates both ends.\n"
    };
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(u8::from(!lab)),
    }
}
