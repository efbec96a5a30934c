//! Numbers, times, bytes.

use super::ParseError;
use super::line::{Line, Word};
use smoltcp::time::Duration;
use std::ops::RangeInclusive;

/// No rule waits longer.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A number in a range.
pub(super) fn number(
    line: &Line<'_>,
    word: Word<'_>,
    range: RangeInclusive<u64>,
) -> Result<u64, ParseError> {
    digits(word.text)
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            let (from, to) = (range.start(), range.end());
            line.error(word.range(), format!("a number from {from} to {to}"))
        })
}

/// `1`, `1..2` or `3..`: numbers that count from 1.
pub(super) fn range(
    line: &Line<'_>,
    word: Word<'_>,
    expected: &str,
) -> Result<RangeInclusive<u64>, ParseError> {
    let range = match word.text.split_once("..") {
        None => digits(word.text).map(|one| one..=one),
        Some((from, "")) => digits(from).map(|from| from..=u64::MAX),
        Some((from, to)) => digits(from).zip(digits(to)).map(|(from, to)| from..=to),
    };
    let Some(range) = range else {
        return Err(line.error(word.range(), expected));
    };
    if *range.start() == 0 {
        return Err(line.error(word.range(), "numbers that count from 1"));
    }
    if range.is_empty() {
        return Err(line.error(word.range(), "a range whose end is not before its begin"));
    }
    Ok(range)
}

/// A time: `4s`, `1.5s`, `500ms`, `20us`, `2min`, `0`; at most a day.
pub(super) fn duration(line: &Line<'_>, word: Word<'_>) -> Result<Duration, ParseError> {
    let expected = "a time with its unit (us, ms, s or min), at most a day, such as 500ms or 1.5s";
    let text = word.text.to_ascii_lowercase();
    let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let micros = match &text[number.len()..] {
        "us" => decimal(number, 0),
        "ms" => decimal(number, 3),
        "s" => decimal(number, 6),
        "min" => decimal(number, 6).and_then(|seconds| seconds.checked_mul(60)),
        "" => digits(number).filter(|&number| number == 0),
        _ => None,
    };
    micros
        .map(Duration::from_micros)
        .filter(|&duration| duration <= DAY)
        .ok_or_else(|| line.error(word.range(), expected))
}

/// The same, but some time must pass.
pub(super) fn some_duration(line: &Line<'_>, word: Word<'_>) -> Result<Duration, ParseError> {
    match duration(line, word)? {
        Duration::ZERO => Err(line.error(word.range(), "a time of more than 0")),
        duration => Ok(duration),
    }
}

/// `10%` or `0.5%`, as so many of a million.
pub(super) fn chance(line: &Line<'_>, word: Word<'_>) -> Result<u32, ParseError> {
    let percent = word.text.strip_suffix('%');
    percent
        .and_then(|percent| decimal(percent, 4))
        .filter(|chance| (1..=1_000_000).contains(chance))
        .map(|chance| chance as u32)
        .ok_or_else(|| line.error(word.range(), "a chance from 0.0001% to 100%"))
}

/// `hex:0a0b`.
pub(super) fn hex(line: &Line<'_>, word: Word<'_>) -> Result<Vec<u8>, ParseError> {
    let expected = "hex: and two hexadecimal digits for each byte";
    let digits = word
        .text
        .get(..4)
        .filter(|prefix| prefix.eq_ignore_ascii_case("hex:"))
        .map(|_| word.from(4));
    let Some(digits) = digits else {
        return Err(line.error(word.range(), expected));
    };
    let wrong = |letter: char| !letter.is_ascii_hexdigit();
    if let Some((at, letter)) = digits
        .text
        .char_indices()
        .find(|&(_, letter)| wrong(letter))
    {
        let at = digits.at + at;
        return Err(line.error(at..at + letter.len_utf8(), "hexadecimal digits"));
    }
    if digits.text.len() % 2 != 0 {
        return Err(line.error(digits.range(), "two hexadecimal digits for each byte"));
    }
    let nibble = |digit: u8| char::from(digit).to_digit(16).unwrap_or_default() as u8;
    let pairs = digits.text.as_bytes().chunks_exact(2);
    Ok(pairs
        .map(|pair| nibble(pair[0]) << 4 | nibble(pair[1]))
        .collect())
}

/// Bytes as text or as hexadecimal digits.
pub(super) fn bytes(line: &Line<'_>, word: Word<'_>) -> Result<Vec<u8>, ParseError> {
    if !word.text.starts_with('"') {
        let expected = "text in quotes or bytes, such as \"hello\" or hex:0a0b";
        return hex(line, word).map_err(|error| match error.offset == word.at {
            true => line.error(word.range(), expected),
            false => error,
        });
    }
    let mut text = String::new();
    let mut letters = word.text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' if at + 1 == word.text.len() => return Ok(text.into_bytes()),
            '"' => {
                let rest = word.from(at + 1);
                return Err(line.error(rest.range(), "a blank behind the text"));
            }
            '\\' => {
                let escaped = letters.next().and_then(|(_, letter)| unescaped(letter));
                let Some(escaped) = escaped else {
                    let at = word.at + at;
                    let expected = r#"one of \" \\ \n \r \t"#;
                    return Err(line.error(at..at + 1, expected));
                };
                text.push(escaped);
            }
            letter => text.push(letter),
        }
    }
    Err(line.error(word.range(), "a quote at the end of the text"))
}

fn unescaped(letter: char) -> Option<char> {
    Some(match letter {
        '"' | '\\' => letter,
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        _ => return None,
    })
}

/// A number that consists of nothing but digits.
fn digits(text: &str) -> Option<u64> {
    let all = text.bytes().all(|letter| letter.is_ascii_digit());
    all.then(|| text.parse().ok()).flatten()
}

/// A number with at most so many digits behind the point, without the point: `1.5` with three is 1500.
fn decimal(text: &str, places: usize) -> Option<u64> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    if fraction.is_some_and(|fraction| fraction.is_empty() || fraction.len() > places) {
        return None;
    }
    digits(whole)?;
    let fraction = fraction.unwrap_or_default();
    digits(&format!("{whole}{fraction:0<places$}"))
}
