use super::*;
use std::collections::BTreeSet;

/// Name, parameters, English, Chinese, and for sentences the RFC and section.
pub(super) type Entry = (
    &'static str,
    &'static [&'static str],
    &'static str,
    &'static str,
    Option<&'static str>,
);

fn entries() -> impl Iterator<Item = &'static Entry> {
    [
        defects::TABLE,
        fates::TABLE,
        faults::TABLE,
        labels::TABLE,
        lessons::TABLE,
        marks::TABLE,
        quiz::TABLE,
        reports::TABLE,
        screen::TABLE,
        segments::TABLE,
        states::TABLE,
        stepping::TABLE,
    ]
    .into_iter()
    .flatten()
}

#[test]
fn nothing_is_missing_in_any_language() {
    for (name, parameters, en, zh, _) in entries() {
        let expected: BTreeSet<&str> = parameters.iter().copied().collect();
        for (lang, text) in [("en", en), ("zh", zh)] {
            assert!(!text.trim().is_empty(), "{name} in {lang} is empty");
            assert_eq!(holes(text), expected, "{name} in {lang}: {text}");
        }
        assert_eq!(english(zh), None, "{name} in Chinese: {zh}");
        assert!(en.is_ascii(), "{name} in English: {en}");
    }
}

#[test]
fn no_two_entries_have_the_same_english_sentence() {
    let mut seen = BTreeSet::new();
    for (name, _, en, _, see) in entries() {
        assert!(see.is_none() || seen.insert(en), "{name} is there twice");
    }
}

/// Sections are written as `RFC section`, and the RFCs are those that the stack is built on.
#[test]
fn references_are_to_sections_of_known_rfcs() {
    const KNOWN: [&str; 13] = [
        "768", "1122", "2018", "2883", "4987", "5681", "5961", "6298", "6528", "6675", "7323",
        "8200", "9293",
    ];
    for (name, _, _, _, see) in entries() {
        let Some(see) = see else { continue };
        let (rfc, section) = see.split_once(' ').unwrap_or((see, "0"));
        assert!(KNOWN.contains(&rfc), "{name}: RFC {rfc}");
        let numbers = section.split('.').all(|part| part.parse::<u8>().is_ok());
        assert!(numbers, "{name}: section {section}");
    }
}

#[test]
fn references_are_printed_in_both_languages() {
    for (see, en, zh) in [
        (
            "9293 3.4",
            "so (RFC 9293, section 3.4)",
            "so（RFC 9293 第 3.4 节）",
        ),
        ("768", "so (RFC 768)", "so（RFC 768）"),
        ("", "so", "so"),
    ] {
        let sentence = Sentence {
            text: "so".into(),
            see,
        };
        assert_eq!(sentence.with_reference(Lang::En), en);
        assert_eq!(sentence.with_reference(Lang::Zh), zh);
    }
}

#[test]
fn things_are_counted_in_both_languages() {
    for thing in Thing::ALL {
        let (en, zh) = thing.names();
        assert_eq!(Lang::En.count(1, thing), format!("1 {en}"));
        assert_eq!(Lang::En.count(0, thing), format!("0 {en}s"));
        assert_eq!(Lang::Zh.count(2, thing), format!("2 {zh}"));
        assert!(!zh.is_ascii());
    }
}

#[test]
fn chinese_is_set_as_it_is_printed() {
    for (text, expected) in [
        ("tcplab发送 3 字节", "tcplab 发送 3 字节"),
        ("由tcplab关闭（ FIN ）", "由 tcplab 关闭（FIN）"),
        ("对端发送", "对端发送"),
        ("序号seq=7", "序号 seq=7"),
        (" 关闭 ，然后", "关闭，然后"),
    ] {
        assert_eq!(tidy(text), expected);
    }
}

#[test]
fn english_is_found() {
    for (text, expected) in [
        ("客户端发送 SYN=1，seq 7 ack 8", None),
        ("SND.UNA 7，RTO 1.000", None),
        ("对端 sends a SYN", Some("sends")),
        ("discarded", Some("discarded")),
    ] {
        assert_eq!(english(text).as_deref(), expected, "{text}");
    }
}

/// The names in braces.
fn holes(text: &str) -> BTreeSet<&str> {
    text.split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name)
        .collect()
}

/// The first word in small letters that is not one of the protocol's.
fn english(text: &str) -> Option<String> {
    const WORDS: [&str; 6] = ["seq", "ack", "tcp", "udp", "tcplab", "ready"];
    let mut outside = String::new();
    for (index, part) in text.split(['{', '}']).enumerate() {
        // Every second part is a parameter.
        if index % 2 == 0 {
            outside += part;
        }
        outside.push(' ');
    }
    outside
        .split(|char: char| !char.is_ascii_alphabetic())
        .filter(|word| word.chars().all(|char| char.is_ascii_lowercase()))
        // One letter is a key.
        .find(|word| word.len() > 1 && !WORDS.contains(word))
        .map(str::to_owned)
}
