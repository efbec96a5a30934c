//! Keys as a terminal sends them.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// The bytes that a program on a terminal reads when `key` is pressed (those of xterm), if any.
pub(super) fn terminal_bytes(key: KeyEvent) -> Option<Vec<u8>> {
    let sequence: &[u8] = match key.code {
        KeyCode::Char(char) => {
            let mut bytes = Vec::new();
            if key.modifiers.contains(KeyModifiers::ALT) {
                bytes.push(0x1b);
            }
            if key.modifiers.contains(KeyModifiers::CONTROL) {
                // Control takes the upper bits away: Ctrl-C is 3.
                bytes.push(u8::try_from(char).ok()? & 0x1f);
            } else {
                bytes.extend(char.to_string().into_bytes());
            }
            return Some(bytes);
        }
        KeyCode::Enter => b"\r",
        KeyCode::Backspace => b"\x7f",
        KeyCode::Esc => b"\x1b",
        KeyCode::Up => b"\x1b[A",
        KeyCode::Down => b"\x1b[B",
        KeyCode::Right => b"\x1b[C",
        KeyCode::Left => b"\x1b[D",
        KeyCode::Home => b"\x1b[H",
        KeyCode::End => b"\x1b[F",
        KeyCode::Delete => b"\x1b[3~",
        _ => return None,
    };
    Some(sequence.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_bytes() {
        let none = KeyModifiers::NONE;
        #[rustfmt::skip]
        let cases: [(KeyCode, KeyModifiers, Option<&[u8]>); 7] = [
            (KeyCode::Char('a'), none, Some(b"a")),
            (KeyCode::Char('密'), none, Some("密".as_bytes())),
            (KeyCode::Char('c'), KeyModifiers::CONTROL, Some(&[3])),
            (KeyCode::Char('b'), KeyModifiers::ALT, Some(b"\x1bb")),
            (KeyCode::Enter, none, Some(b"\r")),
            (KeyCode::Up, none, Some(b"\x1b[A")),
            (KeyCode::F(1), none, None),
        ];
        for (code, modifiers, expected) in cases {
            let bytes = terminal_bytes(KeyEvent::new(code, modifiers));
            assert_eq!(bytes.as_deref(), expected, "{code:?}");
        }
    }
}
