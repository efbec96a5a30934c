//! Which language to speak: `--lang`.

use crate::words::Lang;
use clap::builder::{EnumValueParser, PossibleValue, TypedValueParser};
use clap::error::Error;
use clap::{Arg, Command, ValueEnum};
use std::ffi::OsStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    /// English
    En,
    /// Chinese
    Zh,
}

impl From<Language> for Lang {
    fn from(language: Language) -> Lang {
        match language {
            Language::En => Lang::En,
            Language::Zh => Lang::Zh,
        }
    }
}

/// Takes the name of a language, a language tag (BCP 47) or a locale (locale(7)): `zh`, `zh-CN`, `zh_CN.UTF-8`.
#[derive(Clone, Copy, Debug)]
pub(super) struct LanguageParser;

impl TypedValueParser for LanguageParser {
    type Value = Language;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Language, Error> {
        match value.to_str().and_then(language) {
            Some(language) => Ok(language),
            // It has the words for what is wrong.
            None => EnumValueParser::<Language>::new().parse_ref(command, argument, value),
        }
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let values = Language::value_variants().iter();
        Some(Box::new(values.filter_map(Language::to_possible_value)))
    }
}

fn language(text: &str) -> Option<Language> {
    // language[_territory][.codeset][@modifier]
    let tag = text.split(['.', '@']).next()?;
    let mut parts = tag.split(['_', '-']);
    let language = parts.next()?;
    let is_subtag = |part: &str| {
        (2..=8).contains(&part.len()) && part.chars().all(|char| char.is_ascii_alphanumeric())
    };
    if !parts.all(is_subtag) {
        return None;
    }
    match language.to_ascii_lowercase().as_str() {
        "en" => Some(Language::En),
        "zh" => Some(Language::Zh),
        // The locale of programs that know no other is English.
        "c" | "posix" => Some(Language::En),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_and_locales_name_languages() {
        for (text, expected) in [
            ("zh", Some(Language::Zh)),
            ("zh-CN", Some(Language::Zh)),
            ("zh_CN", Some(Language::Zh)),
            ("zh_CN.UTF-8", Some(Language::Zh)),
            ("zh-Hans-CN", Some(Language::Zh)),
            ("ZH", Some(Language::Zh)),
            ("en", Some(Language::En)),
            ("en_GB.UTF-8@euro", Some(Language::En)),
            ("en-US", Some(Language::En)),
            ("C.UTF-8", Some(Language::En)),
            ("POSIX", Some(Language::En)),
            ("", None),
            ("de", None),
            ("zho", None),
            ("zh_", None),
            ("zh CN", None),
            ("english", None),
        ] {
            assert_eq!(language(text), expected, "{text}");
        }
    }
}
