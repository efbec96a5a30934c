//! `name=value`: changes to packets, and knobs.

use super::line::{Line, Word};
use super::{ParseError, value};
use crate::fault::knobs::{BacklogFull, Closing, Knobs, Reading, Writing};
use crate::fault::rule::{Assignment, Kind};
use crate::segment::Flags;

/// `name=value`, with the sign before `=` if there is one.
struct Setting<'a> {
    whole: Word<'a>,
    name: String,
    sign: Option<char>,
    value: Word<'a>,
}

impl<'a> Setting<'a> {
    /// The next word, where it is a setting.
    fn take(line: &mut Line<'a>) -> Option<Setting<'a>> {
        let whole = line.take_if(|word| word.contains('='))?;
        let (name, _) = whole.text.split_once('=')?;
        let value = whole.from(name.len() + 1);
        let sign = name.chars().last().filter(|last| matches!(last, '+' | '-'));
        let name = name.strip_suffix(['+', '-']).unwrap_or(name);
        Some(Setting {
            whole,
            name: name.to_ascii_lowercase(),
            sign,
            value,
        })
    }

    fn number(&self, line: &Line<'_>, max: u64) -> Result<u64, ParseError> {
        value::number(line, self.value, 0..=max)
    }

    /// A number, or `none`.
    fn number_or_none(&self, line: &Line<'_>, max: u64) -> Result<Option<u64>, ParseError> {
        if self.value.is("none") {
            return Ok(None);
        }
        self.number(line, max).map(Some).map_err(|mut error| {
            error.expected += " or none";
            error
        })
    }

    /// One of a few words.
    fn one_of<T: Copy>(&self, line: &Line<'_>, words: &[(&str, T)]) -> Result<T, ParseError> {
        let found = words.iter().find(|(name, _)| self.value.is(name));
        found.map(|&(_, meaning)| meaning).ok_or_else(|| {
            let names: Vec<&str> = words.iter().map(|&(name, _)| name).collect();
            let expected = match names.split_last() {
                Some((last, [])) => (*last).to_owned(),
                Some((last, others)) => format!("{} or {last}", others.join(", ")),
                None => String::new(),
            };
            line.error(self.value.range(), expected)
        })
    }
}

/// What an `edit` changes, while it is read.
#[derive(Default)]
pub(super) struct Changes {
    assignments: Vec<Assignment>,
}

impl Changes {
    /// Reads one change; `false` where the next word is none.
    pub(super) fn take(&mut self, line: &mut Line<'_>) -> Result<bool, ParseError> {
        let Some(setting) = Setting::take(line) else {
            return Ok(false);
        };
        let assignment = assignment(line, &setting)?;
        if let (
            Some(Assignment::ChangeFlags { set, clear }),
            Assignment::ChangeFlags {
                set: also_set,
                clear: also_clear,
            },
        ) = (
            self.assignments
                .iter_mut()
                .find(|other| matches!(other, Assignment::ChangeFlags { .. })),
            &assignment,
        ) {
            // `flags+=F flags-=P` is one change.
            set.0 |= also_set.0;
            clear.0 |= also_clear.0;
            if set.0 & clear.0 != 0 {
                let expected = "flags that are either set or cleared";
                return Err(line.error(setting.whole.range(), expected));
            }
            return Ok(true);
        }
        if let Some(other) = self
            .assignments
            .iter()
            .find(|other| excludes(other, &assignment))
        {
            return Err(line.error(
                setting.whole.range(),
                format!("nothing that `{other}` decides already"),
            ));
        }
        self.assignments.push(assignment);
        Ok(true)
    }

    /// All, in their order.
    pub(super) fn finish(self, line: &Line<'_>, kind: Kind) -> Result<Vec<Assignment>, ParseError> {
        if self.assignments.is_empty() {
            return Err(line.error_here("what is changed, such as mss=536"));
        }
        let of_tcp = |change: &&Assignment| !is_for_datagrams(change);
        if kind == Kind::Datagram
            && let Some(change) = self.assignments.iter().find(of_tcp)
        {
            let expected =
                format!("changes that datagrams can have: in UDP there is no `{change}`");
            return Err(line.error(line.last(), expected));
        }
        Ok(self.assignments)
    }
}

/// Whether two changes can't both be meant.
fn excludes(one: &Assignment, other: &Assignment) -> bool {
    use Assignment::*;
    match (one, other) {
        (Flip(one), Flip(other)) => one == other,
        (Flags(_) | ChangeFlags { .. }, Flags(_) | ChangeFlags { .. })
        | (Seq(_) | AddSeq(_), Seq(_) | AddSeq(_))
        | (Ack(_) | AddAck(_), Ack(_) | AddAck(_)) => true,
        _ => std::mem::discriminant(one) == std::mem::discriminant(other),
    }
}

fn is_for_datagrams(change: &Assignment) -> bool {
    use Assignment::*;
    matches!(
        change,
        Ttl(_) | Payload(_) | Truncate(_) | Flip(_) | BadChecksum | BadIpChecksum
    )
}

fn assignment(line: &Line<'_>, setting: &Setting<'_>) -> Result<Assignment, ParseError> {
    const EXPECTED: &str = "a change: flags=, flags+=, flags-=, seq=, seq+=, seq-=, ack=, ack+=, ack-=, window=, mss=, wscale=, \
                            sack=, timestamps=, options=, urgent=, ttl=, payload=, truncate=, flip=, checksum= or \
                            ip-checksum=";
    const MAX_U32: u64 = u32::MAX as u64;
    let bad = |assignment: Assignment| setting.one_of(line, &[("bad", ())]).map(|()| assignment);
    let none = |assignment: Assignment| setting.one_of(line, &[("none", ())]).map(|()| assignment);
    Ok(match (setting.name.as_str(), setting.sign) {
        ("flags", None) if setting.value.is("none") => Assignment::Flags(Flags(0)),
        ("flags", None) => Assignment::Flags(flags(line, setting.value)?),
        ("flags", Some(sign)) => {
            let flags = flags(line, setting.value)?;
            let (set, clear) = match sign {
                '+' => (flags, Flags(0)),
                _ => (Flags(0), flags),
            };
            Assignment::ChangeFlags { set, clear }
        }
        ("seq", None) => Assignment::Seq(setting.number(line, MAX_U32)? as u32),
        ("seq", Some(sign)) => Assignment::AddSeq(signed(sign, setting.number(line, MAX_U32)?)),
        ("ack", None) => Assignment::Ack(setting.number(line, MAX_U32)? as u32),
        ("ack", Some(sign)) => Assignment::AddAck(signed(sign, setting.number(line, MAX_U32)?)),
        (_, Some(_)) if !setting.name.is_empty() => {
            let at = setting.whole.at + setting.name.len();
            return Err(line.error(at..at + 2, "`=`: only flags, seq and ack know += and -="));
        }
        ("window", _) => Assignment::Window(setting.number(line, 65_535)? as u16),
        ("mss", _) => {
            let mss = setting.number_or_none(line, 65_535)?;
            Assignment::Mss(mss.map(|mss| mss as u16))
        }
        ("wscale", _) => {
            let shift = setting.number_or_none(line, 255)?;
            Assignment::WindowScale(shift.map(|shift| shift as u8))
        }
        ("sack", _) => {
            let permitted = setting.one_of(line, &[("ok", true), ("none", false)])?;
            Assignment::SackPermitted(permitted)
        }
        ("timestamps", _) => Assignment::Timestamps(timestamps(line, setting)?),
        ("options", _) => none(Assignment::NoOptions)?,
        ("urgent", _) => Assignment::Urgent(setting.number(line, 65_535)? as u16),
        ("ttl", _) => Assignment::Ttl(setting.number(line, 255)? as u8),
        ("payload", _) => Assignment::Payload(payload(line, setting.value)?),
        ("truncate", _) => Assignment::Truncate(setting.number(line, 65_535)? as usize),
        ("flip", _) => Assignment::Flip(setting.number(line, 65_535)? as usize),
        ("checksum", _) => bad(Assignment::BadChecksum)?,
        ("ip-checksum", _) => bad(Assignment::BadIpChecksum)?,
        _ => return Err(line.error(setting.whole.range(), EXPECTED)),
    })
}

fn signed(sign: char, number: u64) -> i64 {
    // At most 32 bits.
    let number = number as i64;
    if sign == '-' { -number } else { number }
}

/// Letters such as `SA`; at least one.
fn flags(line: &Line<'_>, word: Word<'_>) -> Result<Flags, ParseError> {
    const EXPECTED: &str =
        "flags: F S R P A (or .) U E W N, which are FIN SYN RST PSH ACK URG ECE CWR AE";
    if word.text.is_empty() {
        return Err(line.error(word.range(), EXPECTED));
    }
    let mut flags = Flags(0);
    for (at, letter) in word.text.char_indices() {
        let flag = match letter.to_ascii_uppercase() {
            'F' => Flags::FIN,
            'S' => Flags::SYN,
            'R' => Flags::RST,
            'P' => Flags::PSH,
            'A' | '.' => Flags::ACK,
            'U' => Flags::URG,
            'E' => Flags::ECE,
            'W' => Flags::CWR,
            'N' => Flags::AE,
            _ => {
                let at = word.at + at;
                return Err(line.error(at..at + letter.len_utf8(), EXPECTED));
            }
        };
        flags.0 |= flag.0;
    }
    Ok(flags)
}

/// TSval and TSecr, or `none`.
fn timestamps(line: &Line<'_>, setting: &Setting<'_>) -> Result<Option<(u32, u32)>, ParseError> {
    if setting.value.is("none") {
        return Ok(None);
    }
    let expected = "TSval/TSecr, such as 1000/0, or none";
    let wrong = || line.error(setting.value.range(), expected);
    let (val, _) = setting.value.text.split_once('/').ok_or_else(wrong)?;
    let part = |word: Word<'_>| value::number(line, word, 0..=u32::MAX.into());
    let first = Word {
        text: val,
        at: setting.value.at,
    };
    let second = setting.value.from(val.len() + 1);
    Ok(Some((part(first)? as u32, part(second)? as u32)))
}

fn payload(line: &Line<'_>, word: Word<'_>) -> Result<Vec<u8>, ParseError> {
    let bytes = value::bytes(line, word)?;
    if bytes.len() > 65_495 {
        return Err(line.error(
            word.range(),
            "at most the 65495 bytes that a packet can carry",
        ));
    }
    Ok(bytes)
}

/// The knobs of a `set`, to the end of the rule.
pub(super) fn knobs(line: &mut Line<'_>) -> Result<Knobs, ParseError> {
    const EXPECTED: &str = "a knob: iss=, buffer=, backlog=, backlog-full=, time-wait=, ack-delay=, syn-ack-retry=, nagle=, \
                            close=, read= or write=";
    let mut knobs = Knobs::default();
    if line.is_over() {
        return Err(line.error_here(EXPECTED));
    }
    while !line.is_over() {
        let Some(setting) = Setting::take(line) else {
            return Err(line.error_here(format!("nothing else behind `set` than {EXPECTED}")));
        };
        if !knob(line, &setting, &mut knobs)? {
            return Err(line.error(setting.whole.range(), EXPECTED));
        }
    }
    Ok(knobs)
}

/// Sets one; `false` where it is none.
fn knob(line: &Line<'_>, setting: &Setting<'_>, knobs: &mut Knobs) -> Result<bool, ParseError> {
    if setting.sign.is_some() {
        return Ok(false);
    }
    let time = |word| value::duration(line, word);
    let given = match setting.name.as_str() {
        "iss" => {
            let iss = setting.number(line, u32::MAX.into())? as u32;
            knobs.iss.replace(iss).is_some()
        }
        "buffer" => {
            let bytes = value::number(line, setting.value, 64..=1 << 30)? as usize;
            knobs.buffer.replace(bytes).is_some()
        }
        "backlog" => {
            let backlog = setting.number(line, 1_000_000)? as usize;
            knobs.backlog.replace(backlog).is_some()
        }
        "backlog-full" => {
            let words = [
                ("silence", BacklogFull::Silence),
                ("reset", BacklogFull::Reset),
            ];
            let full = setting.one_of(line, &words)?;
            knobs.backlog_full.replace(full).is_some()
        }
        "time-wait" => knobs.time_wait.replace(time(setting.value)?).is_some(),
        "syn-ack-retry" => knobs.syn_ack_retry.replace(time(setting.value)?).is_some(),
        "ack-delay" => knobs.ack_delay.replace(time(setting.value)?).is_some(),
        "nagle" => {
            let nagle = setting.one_of(line, &[("on", true), ("off", false)])?;
            knobs.nagle.replace(nagle).is_some()
        }
        "close" => {
            let words = [
                ("at-once", Closing::AtOnce),
                ("first", Closing::First),
                ("with-data", Closing::WithData),
                ("never", Closing::Never),
                ("reset", Closing::Reset),
            ];
            let closing = setting.one_of(line, &words)?;
            knobs.closing.replace(closing).is_some()
        }
        "read" => {
            let reading = if setting.value.is("never") {
                Reading::Never
            } else {
                Reading::After(time(setting.value).map_err(|mut error| {
                    error.expected.insert_str(0, "never, or ");
                    error
                })?)
            };
            knobs.reading.replace(reading).is_some()
        }
        "write" => knobs.writing.replace(writing(line, setting)?).is_some(),
        _ => return Ok(false),
    };
    if given {
        let expected = format!("`{}` only once", setting.name);
        return Err(line.error(setting.whole.range(), expected));
    }
    Ok(true)
}

/// `1/100ms`: so many bytes, so much time between them.
fn writing(line: &Line<'_>, setting: &Setting<'_>) -> Result<Writing, ParseError> {
    let expected = "how many bytes at a time and the pause between them, such as 1/100ms";
    let wrong = || line.error(setting.value.range(), expected);
    let (bytes, _) = setting.value.text.split_once('/').ok_or_else(wrong)?;
    let first = Word {
        text: bytes,
        at: setting.value.at,
    };
    Ok(Writing {
        bytes: value::number(line, first, 1..=1 << 30)? as usize,
        pause: value::duration(line, setting.value.from(bytes.len() + 1))?,
    })
}
