//! From text to what is expected of a packet.

use super::{Word, Words, Wrong};
use crate::event::{Direction, Reason, Resend};
use crate::scenario::expect::{
    ALL_FLAGS, Body, Number, OptionList, OptionPattern, Pattern, TcpPattern,
};
use crate::segment::Flags;
use smoltcp::time::Duration;

/// What is said about a fate in one word; see [`Fate::name`](crate::event::Fate::name).
const FATES: [&str; 9] = [
    "delivered",
    "discarded",
    "dropped",
    "delayed",
    "held",
    "duplicated",
    "rewritten",
    "injected",
    "folded",
];

const REASONS: [Reason; 12] = [
    Reason::Syn,
    Reason::SynAck,
    Reason::Data,
    Reason::Fin,
    Reason::Ack,
    Reason::DelayedAck(Duration::ZERO),
    Reason::DuplicateAck,
    Reason::WindowUpdate,
    Reason::WindowProbe,
    Reason::KeepAlive,
    Reason::Reset,
    Reason::Resent(Resend::Timeout),
];

pub(super) fn pattern(words: &mut Words<'_>) -> Result<Pattern, Wrong> {
    let direction = if words.take("in") {
        Direction::In
    } else if words.take("out") {
        Direction::Out
    } else {
        return Err(words.expected("`in`, `out`, `released`, `state` or `peer`"));
    };
    let body = body(words)?;
    let mut pattern = Pattern {
        direction,
        body,
        payload: None,
        fate: None,
        retransmission: None,
        reason: None,
        bad_checksum: false,
    };
    while let Some(word) = words.peek() {
        if let Some(&fate) = FATES.iter().find(|fate| **fate == word.text) {
            pattern.fate = Some(fate);
        } else if word.text == "retransmission" {
            pattern.retransmission = Some(true);
        } else if word.text == "new" {
            pattern.retransmission = Some(false);
        } else if word.text == "[bad checksum]" {
            pattern.bad_checksum = true;
        } else if word.text.starts_with('"') {
            pattern.payload = Some(unescape(word)?);
        } else if word.text == "as" {
            words.next();
            pattern.reason = Some(reason(words)?);
            continue;
        } else {
            let expected = "`ack`, `win`, `urg`, options in `<…>`, a part of the payload in quotes, a fate \
                            (`dropped`, `delayed`, …), `retransmission`, `new` or `as REASON`";
            return Err(words.expected(expected));
        }
        words.next();
    }
    Ok(pattern)
}

fn reason(words: &mut Words<'_>) -> Result<&'static str, Wrong> {
    let names = REASONS.map(Reason::name);
    let found = words
        .peek()
        .and_then(|word| names.into_iter().find(|name| *name == word.text))
        .ok_or_else(|| words.expected(&format!("a reason: {}", names.join(", "))))?;
    words.next();
    Ok(found)
}

fn body(words: &mut Words<'_>) -> Result<Body, Wrong> {
    let expected = "control bits such as `S.`, or `udp`, `icmp` or `any`";
    let Some(word) = words.next() else {
        return Err(words.expected(expected));
    };
    match word.text {
        "any" => Ok(Body::Any),
        "udp" => Ok(Body::Udp(match words.peek() {
            Some(len) if len.text.starts_with('(') => {
                words.next();
                let number = len
                    .text
                    .strip_prefix('(')
                    .and_then(|text| text.strip_suffix(')'));
                let number = number.and_then(self::number);
                number.ok_or_else(|| len.wrong("expected a length, for example `(5)`"))?
            }
            _ => Number::Any,
        })),
        "icmp" => Ok(Body::Icmp(icmp(words))),
        flags_text => {
            let (flags, optional) =
                flags(flags_text).ok_or_else(|| word.wrong(format!("expected {expected}")))?;
            tcp(words, flags, optional).map(Body::Tcp)
        }
    }
}

/// The words up to the first that means something else.
fn icmp(words: &mut Words<'_>) -> Option<String> {
    let mut name: Vec<&str> = Vec::new();
    while let Some(word) = words.peek() {
        let is_name = word.text.starts_with(|letter: char| letter.is_alphabetic())
            && !FATES.contains(&word.text)
            && !["as", "new", "retransmission"].contains(&word.text);
        if !is_name {
            break;
        }
        name.push(word.text);
        words.next();
    }
    (!name.is_empty()).then(|| name.join(" "))
}

/// The bits that must be set, and those that may.
fn flags(text: &str) -> Option<(Flags, Flags)> {
    if text == "-" {
        return Some((Flags::default(), Flags::default()));
    }
    let (mut set, mut optional) = (0, 0);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let bit = match letter {
            'F' => Flags::FIN,
            'S' => Flags::SYN,
            'R' => Flags::RST,
            'P' => Flags::PSH,
            '.' => Flags::ACK,
            'U' => Flags::URG,
            'E' => Flags::ECE,
            'W' => Flags::CWR,
            'A' => Flags::AE,
            '*' if letters.peek().is_none() => {
                optional = ALL_FLAGS.0 & !set;
                break;
            }
            _ => return None,
        };
        match letters.next_if_eq(&'?') {
            Some(_) => optional |= bit.0,
            None => set |= bit.0,
        }
    }
    Some((Flags(set), Flags(optional)))
}

fn tcp(words: &mut Words<'_>, flags: Flags, optional: Flags) -> Result<TcpPattern, Wrong> {
    let mut pattern = TcpPattern {
        flags,
        optional,
        ..TcpPattern::default()
    };
    if let Some(word) = words.peek()
        && word
            .text
            .starts_with(|letter: char| letter.is_ascii_digit() || "(*.".contains(letter))
    {
        let range = "expected sequence numbers, for example `1:5(4)`, `1:*(*)` or `(4)`";
        (pattern.seq, pattern.end, pattern.len) =
            sequence(word.text).ok_or_else(|| word.wrong(range))?;
        words.next();
    }
    loop {
        let field = match words.peek().map(|word| word.text) {
            Some("ack") => &mut pattern.ack,
            Some("win") => &mut pattern.window,
            Some("urg") => &mut pattern.urgent,
            Some(list) if list.starts_with('<') => {
                pattern.options = Some(options(words)?);
                continue;
            }
            _ => return Ok(pattern),
        };
        words.next();
        let value = words.peek().and_then(|word| number(word.text));
        *field = value.ok_or_else(|| words.expected("a number, a range such as `1..7`, or `*`"))?;
        words.next();
    }
}

/// `1:5(4)`, `1:5`, `(4)`.
fn sequence(text: &str) -> Option<(Number, Number, Number)> {
    let (range, len) = match text.split_once('(') {
        Some((range, len)) => (range, number(len.strip_suffix(')')?)?),
        None => (text, Number::Any),
    };
    let (seq, end) = match range.split_once(':') {
        Some((seq, end)) => (number(seq)?, number(end)?),
        None if range.is_empty() => (Number::Any, Number::Any),
        None => return None,
    };
    Some((seq, end, len))
}

/// `5`, `1..7`, `1..`, `..7` or `*`.
fn number(text: &str) -> Option<Number> {
    let plain = |text: &str| text.parse::<u32>().ok();
    let range = match text.split_once("..") {
        None if text == "*" => return Some(Number::Any),
        None => plain(text)?..=plain(text)?,
        Some(("", "")) => return None,
        Some((from, "")) => plain(from)?..=u32::MAX,
        Some(("", to)) => 0..=plain(to)?,
        Some((from, to)) => plain(from)?..=plain(to)?,
    };
    (!range.is_empty()).then_some(Number::In(range))
}

fn options(words: &mut Words<'_>) -> Result<OptionList, Wrong> {
    let Some(word) = words.next() else {
        return Err(words.expected("options"));
    };
    let inner = word.text.trim_start_matches('<').trim_end_matches('>');
    let mut items = Vec::new();
    let mut at = word.at + 1;
    for part in inner.split(',') {
        let text = part.trim();
        let here = Word { text: part, at };
        at += part.len() + 1;
        match text {
            "" if inner.trim().is_empty() => {}
            "..." | "…" => items.push(None),
            _ => {
                let expected = "expected an option: `mss 1460`, `sackOK`, `TS val * ecr *`, `wscale 7`, `sack 5:9`, \
                                `nop`, `eol`, `kind-30`, or `...` for any";
                items.push(Some(option(text).ok_or_else(|| here.wrong(expected))?));
            }
        }
    }
    Ok(OptionList { items })
}

fn option(text: &str) -> Option<OptionPattern> {
    let words: Vec<&str> = text.split_whitespace().collect();
    Some(match words[..] {
        ["mss"] => OptionPattern::MaxSegmentSize(Number::Any),
        ["mss", mss] => OptionPattern::MaxSegmentSize(number(mss)?),
        ["wscale"] => OptionPattern::WindowScale(Number::Any),
        ["wscale", shift] => OptionPattern::WindowScale(number(shift)?),
        ["sackOK"] => OptionPattern::SackPermitted,
        ["TS"] => OptionPattern::Timestamps(Number::Any, Number::Any),
        ["TS", "val", val, "ecr", ecr] => OptionPattern::Timestamps(number(val)?, number(ecr)?),
        ["nop"] => OptionPattern::Nop,
        ["eol"] => OptionPattern::EndOfList,
        ["sack", ref blocks @ ..] => {
            let block = |block: &&str| {
                let (left, right) = block.split_once(':')?;
                Some((number(left)?, number(right)?))
            };
            OptionPattern::Sack(blocks.iter().map(block).collect::<Option<_>>()?)
        }
        [kind] => OptionPattern::Other(kind.strip_prefix("kind-")?.parse().ok()?),
        _ => return None,
    })
}

/// What stands between quotes.
fn unescape(word: Word<'_>) -> Result<Vec<u8>, Wrong> {
    let inner = &word.text[1..word.text.len() - 1];
    let expected = "after a backslash, expected one of `n r t 0 \\ \" x41`";
    bytes(inner).ok_or_else(|| word.wrong(expected))
}

/// A text with backslashes as bytes.
pub(in crate::scenario) fn bytes(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            bytes.extend(letter.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        bytes.push(match letters.next()? {
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            '0' => 0,
            '\\' => b'\\',
            '"' => b'"',
            'x' => {
                let digits = [letters.next()?.to_digit(16)?, letters.next()?.to_digit(16)?];
                (digits[0] * 16 + digits[1]) as u8
            }
            _ => return None,
        });
    }
    Some(bytes)
}
