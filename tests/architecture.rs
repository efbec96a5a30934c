//! The rules of the house, as far as the text of `src/` can show them.
//!
//! A module uses only lower layers and its own folder; the layers below the shell touch no clock, socket, thread,
//! file or terminal and know no chance; unsafe code is in `sys` only; no file is too long.

use std::fs;
use std::path::Path;

/// The top modules with their layers, lowest first. `lib.rs` and `main.rs` stand above all.
const LAYERS: [(&str, u8); 18] = [
    ("segment", 0),
    ("state", 0),
    ("event", 0),
    ("fault", 1),
    ("link", 1),
    ("stack", 1),
    ("service", 1),
    ("engine", 2),
    ("sim", 3),
    ("scenario", 3),
    ("words", 3),
    ("view", 3),
    ("step", 3),
    ("capture", 3),
    ("sink", 3),
    ("sys", 4),
    ("ui", 4),
    ("cli", 5),
];

/// Within a layer, who may use whom: the vocabulary of events is made of segments and states, the link asks the rules,
/// and what sinks write is drawn from views.
const NEIGHBOURS: [(&str, &str); 9] = [
    ("event", "segment"),
    ("event", "state"),
    ("link", "fault"),
    ("sink", "view"),
    ("sink", "words"),
    ("capture", "view"),
    ("scenario", "sim"),
    ("scenario", "view"),
    ("step", "view"),
];

/// The highest layer that must not know the operating system.
const HIGHEST_PURE: u8 = 3;

const IMPURE: [&str; 18] = [
    "std::fs",
    "std::process",
    "std::thread",
    "std::env",
    "std::time::Instant",
    "std::time::SystemTime",
    "SystemTime::now",
    "Instant::now",
    "TcpStream",
    "TcpListener",
    "std::net::UdpSocket",
    "println!",
    "print!(",
    "dbg!",
    "thread_local!",
    "static mut",
    "rand::",
    "getrandom",
];

const MAX_LINES: usize = 800;

struct File {
    /// Relative to `src/`.
    name: String,
    /// The folder or file directly under `src/` to which it belongs, without `.rs`.
    module: String,
    text: String,
}

impl File {
    /// The text without comments and unit tests, which come last in a file.
    fn code(&self) -> String {
        let code = self.text.split("#[cfg(test)]\nmod tests {").next();
        let lines = code.unwrap_or_default().lines();
        lines
            .map(|line| line.split("//").next().unwrap_or_default())
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn is_test(&self) -> bool {
        self.name.contains("/tests")
    }

    fn is_root(&self) -> bool {
        self.module == "lib" || self.module == "main"
    }
}

fn files() -> Vec<File> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![source.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path
                    .strip_prefix(&source)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                let module = name
                    .split('/')
                    .next()
                    .unwrap()
                    .trim_end_matches(".rs")
                    .to_owned();
                let text = fs::read_to_string(&path).unwrap();
                files.push(File { name, module, text });
            }
        }
    }
    assert!(files.len() > 20);
    files
}

fn layer(module: &str) -> u8 {
    let found = LAYERS.iter().find(|(name, _)| *name == module);
    found.unwrap_or_else(|| panic!("{module} has no layer")).1
}

/// The top modules that a text names: `crate::name`, `crate::{name, …}`, and `super::` that leaves a folder.
fn used(file: &File, code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for (at, found) in code.match_indices("crate::") {
        // Names that only end so are none.
        if code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_') {
            continue;
        }
        let rest = &code[at + found.len()..];
        match rest.strip_prefix('{') {
            Some(group) => paths.extend(first_names(group)),
            None => paths.extend(name(rest)),
        }
    }
    // A file of a folder has the folder as `super`; a file beside it has the crate.
    let depth = file.name.matches('/').count();
    let out = "super::".repeat(depth + 1);
    for (at, found) in code.match_indices(&out) {
        if !code[..at].ends_with("super::") {
            paths.extend(name(&code[at + found.len()..]));
        }
    }
    paths
}

fn name(text: &str) -> Option<String> {
    let name: String = text
        .chars()
        .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
        .collect();
    (!name.is_empty()).then_some(name)
}

/// The first name of each path of a group, up to its closing brace.
fn first_names(group: &str) -> Vec<String> {
    let (mut depth, mut begins, mut names) = (0, true, Vec::new());
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            _ if letter.is_whitespace() => {}
            _ if begins => {
                names.extend(name(&group[at..]));
                begins = false;
            }
            _ => {}
        }
    }
    names
}

#[track_caller]
fn none(what: &str, wrong: &[String]) {
    assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
}

#[test]
fn a_module_uses_only_lower_layers_and_its_own_folder() {
    let mut wrong = Vec::new();
    for file in files().iter().filter(|file| !file.is_root()) {
        let own = layer(&file.module);
        for other in used(file, &file.code()) {
            // The simulator serves unit tests too.
            let neighbours =
                NEIGHBOURS.contains(&(&file.module, &other)) || (file.is_test() && other == "sim");
            if other != file.module && !neighbours && layer(&other) >= own {
                wrong.push(format!(
                    "{} (layer {own}) uses {other} (layer {})",
                    file.name,
                    layer(&other)
                ));
            }
        }
    }
    none("against the layers", &wrong);
}

#[test]
fn uses_are_found() {
    let file = |name: &str| File {
        name: name.into(),
        module: String::new(),
        text: String::new(),
    };
    #[track_caller]
    fn check(file: &File, code: &str, expected: &[&str]) {
        assert_eq!(used(file, code), expected, "{code}");
    }
    let (top, inner) = (file("sim.rs"), file("engine/open.rs"));
    check(&top, "use crate::event::{Event, FlowId};", &["event"]);
    check(
        &top,
        "use crate::{engine::{self, Engine}, segment::describe};",
        &["engine", "segment"],
    );
    check(
        &top,
        "let a = crate::state::TcpState::ALL; $crate::x",
        &["state", "x"],
    );
    check(&top, "use super::engine::Engine;", &["engine"]);
    check(&inner, "use super::tcp_flow::TcpFlow;", &[]);
    check(&inner, "use super::super::sim::Sim;", &["sim"]);
    check(
        &inner,
        "use smoltcp::iface::Interface; use my_crate::other;",
        &[],
    );
}

#[test]
fn the_lower_layers_know_no_operating_system() {
    let mut wrong = Vec::new();
    for file in files()
        .iter()
        .filter(|file| !file.is_root() && !file.is_test())
    {
        if layer(&file.module) > HIGHEST_PURE {
            continue;
        }
        let code = file.code();
        for word in IMPURE.iter().filter(|word| code.contains(*word)) {
            wrong.push(format!("{}: {word}", file.name));
        }
    }
    none("impure", &wrong);
}

#[test]
fn unsafe_code_is_in_sys_only() {
    let unsafe_files = files()
        .into_iter()
        .filter(|file| file.module != "sys")
        .filter(|file| {
            let code = file.code().replace("unsafe_code", "");
            code.contains("unsafe ") || code.contains("unsafe{")
        });
    let wrong: Vec<String> = unsafe_files.map(|file| file.name).collect();
    none("unsafe", &wrong);
}

#[test]
fn no_file_is_too_long() {
    let long = files()
        .into_iter()
        .filter(|file| file.text.lines().count() > MAX_LINES);
    let wrong: Vec<String> = long.map(|file| file.name).collect();
    none("too long", &wrong);
}
