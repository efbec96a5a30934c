//! The tables of `src/stack/rfc9293.rs` and `src/stack/rfc9293/events.rs` are whole, and the tests that they name exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn every_requirement_has_its_row_and_its_tests() {
    let rows = rows("src/stack/rfc9293.rs", "requirement");
    let all = [("MUST", 69), ("SHLD", 31), ("MAY", 18), ("REC", 1)];
    let all = all
        .into_iter()
        .flat_map(|(kind, last)| (1..=last).map(move |number| format!("{kind}-{number}")));
    let missing: Vec<String> = all.filter(|id| !rows.contains(id)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_step_has_its_row_and_its_tests() {
    let rows = rows("src/stack/rfc9293/events.rs", "step");
    // As many as there are in the table: a step that gets lost is missed.
    let all = [
        ("3.10.1", 5),
        ("3.10.2", 7),
        ("3.10.3", 6),
        ("3.10.4", 8),
        ("3.10.5", 5),
        ("3.10.6", 1),
        ("3.10.7.1", 3),
        ("3.10.7.2", 5),
        ("3.10.7.3", 6),
        ("3.10.7.4", 37),
        ("3.10.8", 4),
    ];
    for (section, count) in all {
        let found = rows
            .iter()
            .filter(|id| id.split(' ').next() == Some(section));
        assert_eq!(found.count(), count, "section {section}");
    }
    assert_eq!(
        rows.len(),
        all.iter().map(|(_, count)| count).sum::<usize>()
    );
}

/// What the rows of a table are called, whose first column has this title.
fn rows(file: &str, title: &str) -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join(file)).unwrap();
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("//! | ")) {
        let cells: Vec<&str> = line.trim_end_matches(" |").split(" | ").collect();
        let [id, short, verdict, words] = cells[..] else {
            panic!("not four cells: {line}");
        };
        if id == title {
            continue;
        }
        assert!(seen.insert(id.to_owned()), "{id} has two rows");
        assert!(!short.is_empty() && !words.is_empty(), "{id}");
        let named: Vec<&str> = words
            .split_whitespace()
            .map(|word| word.trim_matches(|letter| "(),;:.".contains(letter)))
            .filter(|word| word.contains("::"))
            .collect();
        match verdict {
            "met" if named.is_empty() => wrong.push(format!("{id} is met, and no test says so")),
            "met" | "not met" | "not applicable" => {}
            _ => wrong.push(format!("{id} is {verdict:?}")),
        }
        for test in named {
            if !exists(root, test) {
                wrong.push(format!("{id}: there is no test {test}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    seen
}

/// `wire/data::name` is in `tests/wire/data.rs`, `src/a/b::name` in `src/a/b.rs`.
fn exists(root: &Path, test: &str) -> bool {
    let Some((file, name)) = test.split_once("::") else {
        return false;
    };
    let file = match file.starts_with("src/") {
        true => format!("{file}.rs"),
        false => format!("tests/{file}.rs"),
    };
    let text = fs::read_to_string(root.join(file)).unwrap_or_default();
    text.contains(&format!("fn {name}("))
}
