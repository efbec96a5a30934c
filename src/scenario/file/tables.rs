//! What stands in a file: its tables and values, each by itself.

use crate::scenario::expect::Window;
use serde::Deserialize;
use serde::de::{self, Deserializer};
use smoltcp::time::Duration;
use std::fmt;
use toml::Spanned;

/// What stands in a file, before it is looked at together.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    pub(super) about: String,
    #[serde(default)]
    pub(super) limit: Option<Spanned<Time>>,
    #[serde(default)]
    pub(super) linger: Option<Time>,
    #[serde(default)]
    pub(super) faults: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) stack: StackTable,
    pub(super) client: Spanned<ClientTable>,
    #[serde(default)]
    pub(super) expect: ExpectTable,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct StackTable {
    pub(super) password: Option<String>,
    pub(super) seed: Option<u64>,
    pub(super) mtu: Option<Spanned<u16>>,
    pub(super) buffer: Option<Size>,
    pub(super) backlog: Option<usize>,
    pub(super) time_wait: Option<Time>,
    pub(super) keep_alive: Option<Spanned<Time>>,
    pub(super) user_timeout: Option<Time>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ClientTable {
    pub(super) run: Option<Spanned<Run>>,
    pub(super) steps: Option<Vec<Spanned<String>>>,
    pub(super) send: Option<String>,
    pub(super) on: Option<Place>,
    pub(super) service: Option<Spanned<String>>,
    pub(super) port: Option<u16>,
    pub(super) at: Option<Spanned<String>>,
    pub(super) ip: Option<Spanned<u8>>,
    pub(super) stdin: Option<String>,
    pub(super) connect_timeout: Option<Time>,
    pub(super) latency: Option<Time>,
    #[serde(default)]
    pub(super) simultaneous_open: bool,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a shell's command line, or an array of a program and its arguments"
)]
pub(super) enum Run {
    Line(String),
    Words(Vec<String>),
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Place {
    Kernel,
    Simulator,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ExpectTable {
    pub(super) lines: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) exact: bool,
    pub(super) tolerance: Option<Time>,
    pub(super) exit: Option<Spanned<Exit>>,
    pub(super) stdout: Option<Spanned<OutputTable>>,
    pub(super) stderr: Option<Spanned<OutputTable>>,
    pub(super) duration: Option<Spanned<Span>>,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected an exit code of 0 to 255, or an array of them"
)]
pub(super) enum Exit {
    One(u8),
    Several(Vec<u8>),
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a text, or a table with `contains` or `matches`"
)]
pub(super) enum OutputTable {
    Is(String),
    Parts(Parts),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parts {
    #[serde(default)]
    pub(super) contains: Texts,
    #[serde(default)]
    pub(super) matches: Texts,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a text, or an array of texts")]
pub(super) enum Texts {
    One(String),
    Several(Vec<String>),
}

impl Default for Texts {
    fn default() -> Texts {
        Texts::Several(Vec::new())
    }
}

impl Texts {
    pub(super) fn into_vec(self) -> Vec<String> {
        match self {
            Texts::One(text) => vec![text],
            Texts::Several(texts) => texts,
        }
    }
}

/// A time: a number of seconds, or a text such as `200ms`.
#[derive(Clone, Copy)]
pub(super) struct Time(pub(super) Duration);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let text = scalar(
            deserializer,
            "expected a time, for example `\"1.5s\"` or `\"200ms\"`",
        )?;
        crate::scenario::expect::duration(&text)
            .map(Time)
            .ok_or_else(|| {
                de::Error::custom("expected a time, for example `\"1.5s\"` or `\"200ms\"`")
            })
    }
}

/// A number of bytes, or with K or M.
#[derive(Clone, Copy)]
pub(super) struct Size(pub(super) usize);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
        let expected = "expected 1K to 1024M, for example `\"64K\"` or `65536`";
        let text = scalar(deserializer, expected)?;
        let (digits, unit) = match (text.strip_suffix('K'), text.strip_suffix('M')) {
            (Some(digits), _) => (digits, 1 << 10),
            (_, Some(digits)) => (digits, 1 << 20),
            _ => (text.as_str(), 1),
        };
        let bytes = digits
            .parse()
            .ok()
            .and_then(|count: usize| count.checked_mul(unit));
        bytes
            .filter(|bytes| (1 << 10..=1 << 30).contains(bytes))
            .map(Size)
            .ok_or_else(|| de::Error::custom(expected))
    }
}

/// A span of time, as lines of expectations write it.
pub(super) struct Span(pub(super) Window);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        let expected = "expected a span of time, for example `\"0.9..1.3\"` or `\"2s..\"`";
        let text = scalar(deserializer, expected)?;
        crate::scenario::expect::window(&text)
            .map(Span)
            .ok_or_else(|| de::Error::custom(expected))
    }
}

/// A text or a number, as text.
fn scalar<'de, D: Deserializer<'de>>(
    deserializer: D,
    expected: &'static str,
) -> Result<String, D::Error> {
    struct Visitor(&'static str);
    impl de::Visitor<'_> for Visitor {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0.trim_start_matches("expected "))
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<String, E> {
            Ok(number.to_string())
        }

        fn visit_f64<E: de::Error>(self, number: f64) -> Result<String, E> {
            Ok(number.to_string())
        }
    }
    deserializer.deserialize_any(Visitor(expected))
}
