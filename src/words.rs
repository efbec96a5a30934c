//! All words that are shown to people while they watch, in every language, side by side.
//!
//! Each entry of a table names its parameters and says the same thing once in each language. An entry that lacks a
//! language does not compile; a test finds translations that are empty, that leave a parameter out, or that are
//! still English.
//!
//! ```text
//! acknowledges(who, ack) { en: "{who} has everything before {ack}", zh: "{who}已收到 {ack} 之前的全部数据", see: "9293 3.4" }
//!     │                                                                             the RFC and its section ─┘
//!     └─▶ Lang::Zh.acknowledges("tcplab", 2897).text
//! ```
//!
//! Not translated: the names of states, control bits, options, calls and variables, which stand in every language
//! as the RFC prints them; the notation of segments; what services and commands say themselves; the log; errors,
//! and the help.

mod told;

use std::fmt::Display;

/// A language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// Chinese, in simplified characters.
    Zh,
}

/// A sentence, and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sentence {
    pub(crate) text: String,
    /// The number of an RFC and a section of it: `9293 3.10.7.4`; some RFCs have no sections. Empty where its parts
    /// say it.
    pub(crate) see: &'static str,
}

/// Makes a method of [`Lang`] out of each entry.
macro_rules! labels {
    ($($name:ident($($parameter:ident),*) { en: $en:literal, zh: $zh:literal })*) => {
        impl crate::words::Lang {
            $(pub(crate) fn $name(self $(, $parameter: impl std::fmt::Display)*) -> String {
                match self {
                    crate::words::Lang::En => format!($en),
                    crate::words::Lang::Zh => crate::words::tidy(&format!($zh)),
                }
            })*
        }

        #[cfg(test)]
        pub(super) const TABLE: &[crate::words::tests::Entry] = &[
            $((stringify!($name), &[$(stringify!($parameter)),*], $en, $zh, None),)*
        ];
    };
}

/// The same for entries that say on what they rest.
macro_rules! sentences {
    ($($name:ident($($parameter:ident),*) { en: $en:literal, zh: $zh:literal, see: $see:literal })*) => {
        impl crate::words::Lang {
            $(pub(crate) fn $name(self $(, $parameter: impl std::fmt::Display)*) -> crate::words::Sentence {
                let text = match self {
                    crate::words::Lang::En => format!($en),
                    crate::words::Lang::Zh => crate::words::tidy(&format!($zh)),
                };
                crate::words::Sentence { text, see: $see }
            })*
        }

        #[cfg(test)]
        pub(super) const TABLE: &[crate::words::tests::Entry] = &[
            $((stringify!($name), &[$(stringify!($parameter)),*], $en, $zh, Some($see)),)*
        ];
    };
}

mod defects;
mod fates;
mod faults;
mod labels;
mod lessons;
mod marks;
mod quiz;
mod reports;
mod screen;
mod segments;
mod states;
mod stepping;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thing {
    Byte,
    Segment,
    Datagram,
    Connection,
    Exchange,
    Retransmission,
    OlderFlow,
    Packet,
}

impl Thing {
    #[cfg(test)]
    const ALL: [Thing; 8] = [
        Thing::Byte,
        Thing::Segment,
        Thing::Datagram,
        Thing::Connection,
        Thing::Exchange,
        Thing::Retransmission,
        Thing::OlderFlow,
        Thing::Packet,
    ];

    /// In English in the singular; in Chinese with its measure word.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Thing::Byte => ("byte", "字节"),
            Thing::Segment => ("segment", "个报文段"),
            Thing::Datagram => ("datagram", "个数据报"),
            Thing::Connection => ("connection", "个连接"),
            Thing::Exchange => ("exchange", "次交互"),
            Thing::Retransmission => ("retransmission", "次重传"),
            Thing::OlderFlow => ("older flow", "个较早的流"),
            Thing::Packet => ("packet", "个包"),
        }
    }
}

impl Lang {
    /// A number of things: `1 byte`, `2 bytes`, `2 字节`.
    pub(crate) fn count(self, number: u64, thing: Thing) -> String {
        let (en, zh) = thing.names();
        match self {
            Lang::En => format!("{number} {en}{}", if number == 1 { "" } else { "s" }),
            Lang::Zh => format!("{number} {zh}"),
        }
    }

    /// Puts parts of a list one after the other.
    pub(crate) fn list(self, parts: &[String]) -> String {
        parts.join(match self {
            Lang::En => ", ",
            Lang::Zh => "、",
        })
    }

    /// What follows after a semicolon.
    pub(crate) fn furthermore(self, text: impl Display) -> String {
        match self {
            Lang::En => format!("; {text}"),
            Lang::Zh => format!("；{text}"),
        }
    }

    /// What follows after a comma.
    pub(crate) fn also(self, text: impl Display) -> String {
        match self {
            Lang::En => format!(", {text}"),
            Lang::Zh => format!("，{text}"),
        }
    }
}

impl Sentence {
    /// The sentence with what it rests on in brackets.
    pub(crate) fn with_reference(&self, lang: Lang) -> String {
        let Sentence { text, see } = self;
        match (lang, see.split_once(' ')) {
            _ if see.is_empty() => text.clone(),
            (Lang::En, Some((rfc, section))) => format!("{text} (RFC {rfc}, section {section})"),
            (Lang::En, None) => format!("{text} (RFC {see})"),
            (Lang::Zh, Some((rfc, section))) => format!("{text}（RFC {rfc} 第 {section} 节）"),
            (Lang::Zh, None) => format!("{text}（RFC {see}）"),
        }
    }
}

/// Chinese with a blank between characters and Latin words, but none beside Chinese punctuation.
fn tidy(text: &str) -> String {
    const PUNCTUATION: &str = "，。：；、（）“”";
    let mut tidied = String::with_capacity(text.len());
    for char in text.chars() {
        let last = tidied.chars().next_back();
        match (last, char) {
            (None, ' ') => continue,
            (Some(last), ' ') if last == ' ' || PUNCTUATION.contains(last) => continue,
            (Some(' '), char) if PUNCTUATION.contains(char) => {
                tidied.pop();
            }
            (Some(last), char) if is_han(last) && char.is_ascii_alphanumeric() => tidied.push(' '),
            (Some(last), char) if last.is_ascii_alphanumeric() && is_han(char) => tidied.push(' '),
            _ => {}
        }
        tidied.push(char);
    }
    tidied
}

fn is_han(char: char) -> bool {
    matches!(char, '\u{4e00}'..='\u{9fff}')
}

#[cfg(test)]
mod tests;
