//! What a learner types: flags, numbers and states, in any of the spellings that are in use.

use crate::segment::Flags;
use crate::state::TcpState;

/// The control bits that are asked for. PSH, URG and the bits of ECN may be named, and do not count.
pub(super) const ASKED: [(Flags, &str); 4] = [
    (Flags::SYN, "SYN"),
    (Flags::FIN, "FIN"),
    (Flags::RST, "RST"),
    (Flags::ACK, "ACK"),
];

/// The names of all bits that can be named, and the letters that notations have for them.
const NAMES: [(&str, Flags); 10] = [
    ("SYN", Flags::SYN),
    ("ACK", Flags::ACK),
    ("FIN", Flags::FIN),
    ("RST", Flags::RST),
    ("RESET", Flags::RST),
    ("PSH", Flags::PSH),
    ("PUSH", Flags::PSH),
    ("URG", Flags::URG),
    ("ECE", Flags::ECE),
    ("CWR", Flags::CWR),
];
const LETTERS: [(char, Flags); 9] = [
    ('S', Flags::SYN),
    ('A', Flags::ACK),
    ('.', Flags::ACK),
    ('F', Flags::FIN),
    ('R', Flags::RST),
    ('P', Flags::PSH),
    ('U', Flags::URG),
    ('E', Flags::ECE),
    ('W', Flags::CWR),
];

/// What was said of a segment, as far as it was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) flags: Option<Flags>,
    pub(super) seq: Option<u32>,
    pub(super) ack: Option<u32>,
}

impl Given {
    /// Takes in a line: `SA 0 1`, `SYN-ACK`, `[S.] seq 0 ack 1`, `S. 0:0(0) ack 1`, or the numbers alone where the flags are
    /// known.
    ///
    /// # Errors
    /// The word that can't be read; nothing is taken in then.
    pub(super) fn take(&mut self, line: &str) -> Result<(), String> {
        let mut given = *self;
        // With the flags known, only numbers can follow.
        let known = given.flags.is_some();
        let words = words(line);
        let mut words = words.iter().map(String::as_str).peekable();
        while let Some(word) = words.next() {
            let number_follows = words.peek().is_some_and(|next| number(next).is_some());
            let (label, value) = word.split_once('=').unwrap_or((word, ""));
            let value = match value {
                "" => None,
                value => Some(number(value).ok_or(word)?),
            };
            let names_number = |seq_is_known: bool| {
                let label_only = seq_is_known || known || has_ack(given.flags);
                value.is_some() || number_follows && label_only
            };
            if label == "SEQ" || label == "ACK" && names_number(given.seq.is_some()) {
                let number = value.or_else(|| number(words.next()?)).ok_or(word)?;
                let place = match label {
                    "SEQ" => &mut given.seq,
                    _ => &mut given.ack,
                };
                *place = Some(number);
            } else if let Some(number) = number(word) {
                let place = match (given.seq, given.ack) {
                    (None, _) => &mut given.seq,
                    (Some(_), None) => &mut given.ack,
                    _ => return Err(word.into()),
                };
                *place = Some(number);
            } else {
                let more = flags(word).filter(|_| !known).ok_or(word)?;
                let flags = given.flags.unwrap_or(Flags(0));
                given.flags = Some(Flags(flags.0 | more.0));
            }
        }
        *self = given;
        Ok(())
    }
}

fn has_ack(flags: Option<Flags>) -> bool {
    flags.is_some_and(|flags| flags.contains(Flags::ACK))
}

/// The words of a line, in ASCII capitals. Full-width letters and marks are as good as others.
fn words(line: &str) -> Vec<String> {
    let narrow = |char: char| match char {
        '。' => '.',
        '、' => ',',
        '\u{3000}' => ' ',
        // The full-width forms of ASCII stand in its order.
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(char as u32 - 0xff01 + 0x21).unwrap_or(char),
        char => char,
    };
    let line: String = line.chars().map(narrow).collect();
    let line = line.to_uppercase().replace(" =", "=").replace("= ", "=");
    line.split(|char: char| char.is_whitespace() || ",;+/|&[]".contains(char))
        .flat_map(|word| match word.parse::<i64>() {
            // `-` joins flags, and may stand before a number.
            Ok(_) => vec![word],
            Err(_) => word.split(['-', '_']).collect(),
        })
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A number, perhaps as the beginning of a range: `1`, `1:17(16)`, `1:17`.
fn number(word: &str) -> Option<u32> {
    let first = word.split(':').next()?;
    first.parse().ok()
}

/// `SYN`, `SYNACK`, `SA`, `S.`; `NONE` is none.
fn flags(word: &str) -> Option<Flags> {
    if word == "NONE" {
        return Some(Flags(0));
    }
    let mut rest = word;
    let mut flags = Flags(0);
    while let Some((name, flag)) = NAMES.iter().find(|(name, _)| rest.starts_with(name)) {
        flags.0 |= flag.0;
        rest = &rest[name.len()..];
    }
    if rest.is_empty() {
        return Some(flags);
    }
    // Each letter once.
    if word
        .char_indices()
        .any(|(at, letter)| word[..at].contains(letter))
    {
        return None;
    }
    word.chars().try_fold(Flags(0), |sum, letter| {
        let (_, flag) = LETTERS.iter().find(|(known, _)| *known == letter)?;
        Some(Flags(sum.0 | flag.0))
    })
}

/// A state, by the name that RFC 9293 has for it, or one that is in use elsewhere: `SYN_RECV`, `ESTAB`, `fin wait 1`.
pub(super) fn state(line: &str) -> Option<TcpState> {
    let name: String = words(line)
        .concat()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    Some(match name.as_str() {
        "CLOSED" | "CLOSE" => TcpState::Closed,
        "LISTEN" | "LISTENING" => TcpState::Listen,
        "SYNSENT" | "SYNSEND" => TcpState::SynSent,
        "SYNRECEIVED" | "SYNRCVD" | "SYNRECV" | "SYNRCV" => TcpState::SynReceived,
        "ESTABLISHED" | "ESTAB" => TcpState::Established,
        "FINWAIT1" | "FINWAITI" | "FW1" => TcpState::FinWait1,
        "FINWAIT2" | "FINWAITII" | "FW2" => TcpState::FinWait2,
        "CLOSEWAIT" => TcpState::CloseWait,
        "CLOSING" => TcpState::Closing,
        "LASTACK" => TcpState::LastAck,
        "TIMEWAIT" => TcpState::TimeWait,
        beginning => return only_with(beginning),
    })
}

/// The state whose name begins so, if it is the only one.
fn only_with(beginning: &str) -> Option<TcpState> {
    let mut found = TcpState::ALL.into_iter().filter(|state| {
        let name = state.name().replace('-', "");
        beginning.len() >= 3 && name.starts_with(beginning)
    });
    found.next().filter(|_| found.next().is_none())
}

/// The bits that are asked for: `SYN,ACK`.
pub(super) fn named(flags: Flags) -> String {
    let set = ASKED.iter().filter(|(flag, _)| flags.contains(*flag));
    listed(set.map(|(_, name)| *name))
}

/// All bits: `ACK,PSH`.
pub(super) fn all_named(flags: Flags) -> String {
    let mut left = flags.0;
    let set = NAMES.iter().filter(|(_, flag)| {
        let is_new = left & flag.0 != 0;
        left &= !flag.0;
        is_new
    });
    listed(set.map(|(name, _)| *name))
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.is_empty() {
        true => "-".into(),
        false => names.join(","),
    }
}

/// Whether the bits that are asked for are the same.
pub(super) fn agree(one: Flags, other: Flags) -> bool {
    let asked = ASKED.iter().fold(0, |sum, (flag, _)| sum | flag.0);
    one.0 & asked == other.0 & asked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_said_in_many_ways() {
        let syn_ack = Flags(Flags::SYN.0 | Flags::ACK.0);
        for line in [
            "SA 0 1",
            "S. 0 1",
            "[S.] 0 1",
            "[S.], seq 0, ack 1",
            "syn,ack 0 1",
            "SYN-ACK 0 1",
            "SYN_ACK seq=0 ack=1",
            "syn ack 0 1",
            "SYN+ACK, 0, 1",
            "synack seq = 0 ack = 1",
            "S. 0:0(0) ack 1",
            "seq=0 ack=1 SA",
            "ack syn 0 1",
            "ＳＡ　０　１",
            "SYN，ACK，0，1",
            "SYN、ACK 0 ack=1",
            "SA ack 1 seq 0",
        ] {
            let mut given = Given::default();
            assert_eq!(given.take(line), Ok(()), "{line}");
            let expected = Given {
                flags: Some(syn_ack),
                seq: Some(0),
                ack: Some(1),
            };
            assert_eq!(given, expected, "{line}");
        }
    }

    #[test]
    fn what_is_missing_can_be_said_later() {
        let mut given = Given::default();
        for (line, flags, seq, ack) in [
            ("ack", Some(Flags::ACK), None, None),
            ("17", Some(Flags::ACK), Some(17), None),
            ("ack 4", Some(Flags::ACK), Some(17), Some(4)),
        ] {
            assert_eq!(given.take(line), Ok(()), "{line}");
            assert_eq!(given, Given { flags, seq, ack }, "{line}");
        }
        let mut given = Given::default();
        given.take("P. 1:17(16)").unwrap();
        assert!(agree(given.flags.unwrap(), Flags::ACK));
        assert_eq!(given.seq, Some(1));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (line, word) in [
            ("hello", "HELLO"),
            ("SA 0 1 2", "2"),
            ("SA -5", "-5"),
            ("SA seq", "SEQ"),
            ("SA seq x", "SEQ"),
            ("SS", "SS"),
            ("SA 99999999999", "99999999999"),
        ] {
            let mut given = Given::default();
            assert_eq!(given.take(line), Err(word.into()), "{line}");
            assert_eq!(given, Given::default());
        }
        let mut given = Given {
            flags: Some(Flags::SYN),
            ..Given::default()
        };
        assert_eq!(given.take("ACK"), Err("ACK".into()));
    }

    #[test]
    fn states_have_many_names() {
        for (line, expected) in [
            ("SYN-RECEIVED", Some(TcpState::SynReceived)),
            ("SYN_RCVD", Some(TcpState::SynReceived)),
            ("syn-rcvd", Some(TcpState::SynReceived)),
            ("SYN_RECV", Some(TcpState::SynReceived)),
            ("syn received", Some(TcpState::SynReceived)),
            ("FIN_WAIT_1", Some(TcpState::FinWait1)),
            ("FIN-WAIT1", Some(TcpState::FinWait1)),
            ("fin wait 2", Some(TcpState::FinWait2)),
            ("estab", Some(TcpState::Established)),
            ("ＬＡＳＴ＿ＡＣＫ", Some(TcpState::LastAck)),
            ("time-wait", Some(TcpState::TimeWait)),
            ("establish", Some(TcpState::Established)),
            ("last", Some(TcpState::LastAck)),
            ("TIME_W", Some(TcpState::TimeWait)),
            ("fin wait", None),
            ("CLOS", None),
            ("SYN", None),
            ("OPEN", None),
            ("", None),
        ] {
            assert_eq!(state(line), expected, "{line}");
        }
        for known in TcpState::ALL {
            assert_eq!(state(known.name()), Some(known));
        }
    }
}
