use super::*;

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
        labels::TABLE,
        lessons::TABLE,
        segments::TABLE,
        states::TABLE,
    ]
    .into_iter()
    .flatten()
}
