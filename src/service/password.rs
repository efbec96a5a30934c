//! Password (TCP, default port 1111): asks for a password and says whether it is the right one.
//!
//! It is no protocol of an RFC, but the smallest conversation in which both ends have something to say:
//!
//! ```text
//! client                          server
//!   │ ◀─────────── 请输入密码: ─── │
//!   │ ── 123 ───────────────────▶ │
//!   │ ◀─────────── 进入成功 ────── │   or 密码错误
//! ```

use super::{Connection, Console};
use smoltcp::time::Duration;
use std::io;

const PROMPT: &str = "请输入密码:";
const ACCEPTED: &str = "进入成功";
const REFUSED: &str = "密码错误";

/// The most bytes that either end reads at once.
const READ_LIMIT: usize = 1024;

/// How long the server waits for the client to close first.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// The server. `secret` is the right answer; a line ending after the client's answer does not count.
///
/// The answer is what one read gives, at most 1,024 bytes. After its verdict the server waits at most two
/// seconds for the client to close first, then closes itself.
///
/// # Errors
/// Those of the connection, for example when the client resets it.
pub async fn password(conn: Connection, secret: String) -> io::Result<()> {
    conn.write_all(PROMPT.as_bytes()).await?;
    let answer = conn.read_up_to(READ_LIMIT).await?;
    if answer.is_empty() {
        return conn.close().await;
    }
    conn.write_all(verdict(&answer, &secret).as_bytes()).await?;
    if let Some(end) = conn.timeout(CLOSE_WAIT, conn.drain()).await {
        end?;
    }
    conn.close().await
}

/// The client: prints 连接成功, then the prompt; sends one line of `console` as the password, without its line
/// ending; prints the answer and closes. Where there is no line, it closes without an answer.
///
/// # Errors
/// `UnexpectedEof` if the server closes before it has said something; otherwise those of the connection.
pub async fn password_client(conn: Connection, console: Console) -> io::Result<()> {
    print_line(&console, "连接成功".as_bytes());
    print_line(&console, &read_text(&conn).await?);
    if let Some(password) = console.read_line().await {
        conn.write_all(&password).await?;
        print_line(&console, &read_text(&conn).await?);
    }
    conn.close().await
}

fn verdict(answer: &[u8], secret: &str) -> &'static str {
    if without_line_ending(answer) == secret.as_bytes() {
        ACCEPTED
    } else {
        REFUSED
    }
}

fn without_line_ending(line: &[u8]) -> &[u8] {
    match line {
        [text @ .., b'\r', b'\n'] | [text @ .., b'\n'] => text,
        text => text,
    }
}

/// Reads once, and then only as long as a character is incomplete: TCP may cut anywhere.
async fn read_text(conn: &Connection) -> io::Result<Vec<u8>> {
    let mut text = conn.read_up_to(READ_LIMIT).await?;
    if text.is_empty() {
        let why = format!("{} closed before it said anything", conn.peer());
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
    }
    while text.len() < READ_LIMIT && ends_inside_character(&text) {
        let more = conn.read_up_to(READ_LIMIT - text.len()).await?;
        if more.is_empty() {
            break;
        }
        text.extend(more);
    }
    Ok(text)
}

fn ends_inside_character(text: &[u8]) -> bool {
    // `error_len` is `None` where the text ends too early, and a length where it is wrong.
    std::str::from_utf8(text).is_err_and(|error| error.error_len().is_none())
}

fn print_line(console: &Console, line: &[u8]) {
    console.print(line);
    console.print(b"\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_ending_does_not_count_and_everything_else_does() {
        #[track_caller]
        fn check(answer: &[u8], expected: &str) {
            assert_eq!(verdict(answer, "123"), expected, "{answer:?}");
        }
        check(b"123", ACCEPTED);
        check(b"123\n", ACCEPTED);
        check(b"123\r\n", ACCEPTED);
        check(b"123\n\n", REFUSED);
        check(b"123\r", REFUSED);
        check(b"123 ", REFUSED);
        check(b"124", REFUSED);
        check(b"12", REFUSED);
        check(b"\n", REFUSED);
        check(b"\xff\xfe", REFUSED);
    }

    #[test]
    fn the_secret_may_be_any_text() {
        assert_eq!(verdict("密码\r\n".as_bytes(), "密码"), ACCEPTED);
        assert_eq!(verdict(b"\n", ""), ACCEPTED);
        assert_eq!(verdict(b"123", ""), REFUSED);
    }

    #[test]
    fn only_a_character_that_can_still_become_whole_is_waited_for() {
        #[track_caller]
        fn check(text: &[u8], expected: bool) {
            assert_eq!(ends_inside_character(text), expected, "{text:?}");
        }
        check(b"", false);
        check(b"abc", false);
        check("进入成功".as_bytes(), false);
        check(&"进入成功".as_bytes()[..10], true);
        check(&"进入成功".as_bytes()[..11], true);
        check(&"进入成功".as_bytes()[..9], false);
        check(b"\xff", false);
        check(b"\xff\xe8", false);
    }
}
