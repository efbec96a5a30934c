//! Character generator (RFC 864; TCP, default port 19): sends characters without end.

use super::{Connection, race};
use std::io;

/// The server: sends lines of 72 characters, each line beginning one character later than the one before, until the
/// client closes or resets.
///
/// What the client sends is thrown away meanwhile: the service "simply sends data without regard to the input".
/// The client's FIN ends the stream, since that is how the calling user terminates the connection.
///
/// # Errors
/// Those of the connection.
pub async fn chargen(conn: Connection) -> io::Result<()> {
    race(conn.drain(), generate(&conn)).await?;
    conn.close().await
}

async fn generate(conn: &Connection) -> io::Result<()> {
    let mut position = 0;
    loop {
        position = conn
            .send_with(|space| {
                let len = space.len().min(PATTERN.len() - position);
                space[..len].copy_from_slice(&PATTERN[position..position + len]);
                (len, (position + len) % PATTERN.len())
            })
            .await?;
    }
}

/// The printing characters of ASCII, from space to tilde.
const PRINTING: usize = 95;
const LINE: usize = 72;

/// All the lines, after which the first one comes again.
static PATTERN: [u8; PRINTING * (LINE + 2)] = pattern();

const fn pattern() -> [u8; PRINTING * (LINE + 2)] {
    let mut bytes = [0; PRINTING * (LINE + 2)];
    let mut line = 0;
    while line < PRINTING {
        let start = line * (LINE + 2);
        let mut column = 0;
        while column < LINE {
            // Less than 127, so nothing is cut off.
            bytes[start + column] = b' ' + ((line + column) % PRINTING) as u8;
            column += 1;
        }
        bytes[start + LINE] = b'\r';
        bytes[start + LINE + 1] = b'\n';
        line += 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_the_rfc() {
        #[track_caller]
        fn check(line: usize, expected: &str) {
            let text = std::str::from_utf8(&PATTERN).unwrap();
            assert_eq!(text.split("\r\n").nth(line), Some(expected));
        }
        check(
            0,
            r##" !"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_`abcdefg"##,
        );
        check(
            1,
            r##"!"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_`abcdefgh"##,
        );
        check(
            24,
            r##"89:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_`abcdefghijklmnopqrstuvwxyz{|}~ "##,
        );
    }
}
