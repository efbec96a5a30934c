//! The chunked transfer coding (RFC 9112, section 7.1).
//!
//! The sizes are read here and not with `httparse::parse_chunk_size`, which takes an empty line as size 0: two readers who
//! disagree about that disagree about where the request ends.

use super::head::BODY_LIMIT;
use super::status::{CONTENT_TOO_LARGE, Refusal};

/// The most bytes in the line of a chunk's size, with its extensions, or in one trailer field.
const LINE_LIMIT: usize = 1024;

/// The most bytes in all trailer fields together.
const TRAILER_LIMIT: usize = 16 * 1024;

/// What comes next in a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunked {
    /// The line with the size of a chunk.
    Size,
    /// So many more bytes of data.
    Data(usize),
    /// The line ending after the data.
    DataEnd,
    /// The fields after the last chunk, of which so many bytes were read; then an empty line.
    Trailers(usize),
    /// Nothing.
    Done,
}

impl Chunked {
    /// Reads as much of `input` as can be understood, appends data to `body`, and gives the number of bytes read.
    pub(super) fn decode(&mut self, input: &[u8], body: &mut Vec<u8>) -> Result<usize, Refusal> {
        let mut rest = input;
        loop {
            *self = match *self {
                Chunked::Size => {
                    let Some(line) = take_line(&mut rest)? else {
                        break;
                    };
                    match size(line)? {
                        0 => Chunked::Trailers(0),
                        size if size > BODY_LIMIT - body.len() => return Err(too_large()),
                        size => Chunked::Data(size),
                    }
                }
                Chunked::Data(missing) => {
                    let (data, after) = rest.split_at(missing.min(rest.len()));
                    body.extend_from_slice(data);
                    rest = after;
                    match missing - data.len() {
                        0 => Chunked::DataEnd,
                        missing => {
                            *self = Chunked::Data(missing);
                            break;
                        }
                    }
                }
                Chunked::DataEnd => match rest {
                    [b'\r', b'\n', after @ ..] => {
                        rest = after;
                        Chunked::Size
                    }
                    [] | [b'\r'] => break,
                    _ => return Err(Refusal::malformed("a chunk is longer than its size")),
                },
                Chunked::Trailers(read) => match take_line(&mut rest)? {
                    Some([]) => Chunked::Done,
                    Some(line) if read + line.len() <= TRAILER_LIMIT => {
                        Chunked::Trailers(read + line.len() + 2)
                    }
                    Some(_) => return Err(Refusal::malformed("the trailer fields are too long")),
                    None => break,
                },
                Chunked::Done => break,
            };
        }
        Ok(input.len() - rest.len())
    }
}

/// Takes a line without its CRLF away from the front of `rest`; `None` where its end has not arrived.
fn take_line<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Refusal> {
    let within = &rest[..rest.len().min(LINE_LIMIT)];
    let Some(end) = within.iter().position(|&byte| byte == b'\n') else {
        if within.len() == LINE_LIMIT {
            return Err(Refusal::malformed("a line of a chunked body is too long"));
        }
        return Ok(None);
    };
    let line = rest[..end]
        .strip_suffix(b"\r")
        .filter(|line| !line.contains(&b'\r'));
    *rest = &rest[end + 1..];
    line.map(Some).ok_or(Refusal::malformed(
        "a line of a chunked body does not end in CRLF",
    ))
}

/// The size before any extensions: at least one hexadecimal digit, no sign, and white space only before the `;`.
fn size(line: &[u8]) -> Result<usize, Refusal> {
    let digits = match line.iter().position(|&byte| byte == b';') {
        Some(at) => line[..at].trim_ascii_end(),
        None => line,
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(Refusal::malformed("a chunk has no valid size"));
    }
    // Only digits, so what doesn't parse is too large for any number.
    let digits = std::str::from_utf8(digits).unwrap_or_default();
    usize::from_str_radix(digits, 16).map_err(|_| too_large())
}

fn too_large() -> Refusal {
    Refusal {
        status: CONTENT_TOO_LARGE,
        why: "the body has more than 1 MiB",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_put_together_however_they_are_cut() {
        #[track_caller]
        fn check(input: &str, expected: Result<(&str, &str), &str>) {
            for step in [1, 2, 3, 7, input.len()] {
                let result = decode_in_steps(input.as_bytes(), step);
                let result = match &result {
                    Ok((body, rest)) => Ok((body.as_str(), rest.as_str())),
                    Err(refusal) => Err(refusal.why),
                };
                assert_eq!(result, expected, "{input:?} in steps of {step}");
            }
        }
        check("0\r\n\r\n", Ok(("", "")));
        check("3\r\nabc\r\n0\r\n\r\nGET", Ok(("abc", "GET")));
        check(
            "3\r\nabc\r\n00A\r\n0123456789\r\n0\r\n\r\n",
            Ok(("abc0123456789", "")),
        );
        check("1;a=b\r\nx\r\n0 ;c\r\n\r\n", Ok(("x", "")));
        check("1\r\nx\r\n0\r\nDigest: y\r\nA: b\r\n\r\n", Ok(("x", "")));
        check("2\r\n\r\n\r\n0\r\n\r\n", Ok(("\r\n", "")));
        let size = Err("a chunk has no valid size");
        check("\r\n\r\n", size);
        check(";x\r\n", size);
        check("+1\r\nx\r\n", size);
        check("-1\r\n", size);
        check("0x1\r\nx\r\n", size);
        check(" 1\r\nx\r\n", size);
        check("1 \r\nx\r\n", size);
        check("g\r\n", size);
        let crlf = Err("a line of a chunked body does not end in CRLF");
        check("1\nx\r\n", crlf);
        check("1;\rx\r\n", crlf);
        check("0\r\nA: b\n\r\n", crlf);
        check("1\r\nxy\r\n", Err("a chunk is longer than its size"));
        let large = Err("the body has more than 1 MiB");
        check("100001\r\n", large);
        check("ffffffffffffffffffff\r\n", large);
        check(
            &format!("1;{}\r\n", "x".repeat(2000)),
            Err("a line of a chunked body is too long"),
        );
        let trailers = format!("A: {}\r\n", "b".repeat(1000)).repeat(20);
        check(
            &format!("0\r\n{trailers}"),
            Err("the trailer fields are too long"),
        );
    }

    #[test]
    fn all_chunks_together_have_a_limit() {
        let mut body = vec![0; BODY_LIMIT - 2];
        assert_eq!(Chunked::Size.decode(b"2\r\n", &mut body), Ok(3));
        assert_eq!(Chunked::Size.decode(b"3\r\n", &mut body), Err(too_large()));
    }

    /// The body, and what was left after it.
    fn decode_in_steps(input: &[u8], step: usize) -> Result<(String, String), Refusal> {
        let mut chunked = Chunked::Size;
        let (mut body, mut buffer) = (Vec::new(), Vec::new());
        for piece in input.chunks(step) {
            buffer.extend_from_slice(piece);
            let read = chunked.decode(&buffer, &mut body)?;
            buffer.drain(..read);
        }
        assert_eq!(chunked, Chunked::Done, "{input:?}");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ok((text(body), text(buffer)))
    }
}
