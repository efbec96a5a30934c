//! The table of `src/stack/rfc9293.rs` is whole, and the tests that it names exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn every_requirement_has_its_row_and_its_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("src/stack/rfc9293.rs")).unwrap();
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("//! | ")) {
        let cells: Vec<&str> = line.trim_end_matches(" |").split(" | ").collect();
        let [id, short, verdict, words] = cells[..] else {
            panic!("not four cells: {line}");
        };
        if id == "requirement" {
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
    let all = [("MUST", 69), ("SHLD", 31), ("MAY", 18), ("REC", 1)];
    for (kind, last) in all {
        for number in 1..=last {
            let id = format!("{kind}-{number}");
            if !seen.contains(&id) {
                wrong.push(format!("{id} is missing"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
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
