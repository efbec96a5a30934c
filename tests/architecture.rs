//! The rules of the house, as far as the text of `src/` can show them.
//!
//! A module uses only those before it, and the files of a folder form no circle; those before the shell touch no clock, socket, thread,
//! file or terminal and know no chance; unsafe code is in `sys` only; no file is too long.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The top modules: each uses only those before it. `lib.rs` and `main.rs` come after all.
const MODULES: [&str; 20] = [
    "segment", "state", "event", "fault", "link", "stack", "tcb", "service", "engine", "sim",
    "words", "view", "step", "capture", "scenario", "sink", "quiz", "sys", "ui", "cli",
];

/// The first module that may know the operating system.
const FIRST_IMPURE: &str = "sys";

/// Modules whose files still form circles.
const CIRCULAR: [&str; 1] = ["cli"];

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

    fn path(&self) -> &str {
        self.name.trim_end_matches(".rs")
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

fn place(module: &str) -> usize {
    let found = MODULES.iter().position(|name| *name == module);
    found.unwrap_or_else(|| panic!("{module} has no place among the modules"))
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
fn a_module_uses_only_those_before_it() {
    let mut wrong = Vec::new();
    for file in files().iter().filter(|file| !file.is_root()) {
        for other in used(file, &file.code()) {
            // The simulator serves unit tests too.
            let serves = file.is_test() && other == "sim";
            if other != file.module && !serves && place(&other) > place(&file.module) {
                wrong.push(format!("{} uses {other}", file.name));
            }
        }
    }
    none("used before it is there", &wrong);
}

#[test]
fn the_map_shows_the_modules_in_order() {
    let files = files();
    let lib = files.iter().find(|file| file.name == "lib.rs").unwrap();
    let rows = lib.text.lines().filter_map(|line| {
        let name = line.strip_prefix("//! | ")?.split(" |").next()?;
        Some(name.trim_matches(['[', ']', '`']))
    });
    let rows: Vec<&str> = rows.filter(|name| MODULES.contains(name)).collect();
    assert_eq!(rows, MODULES);
}

/// A file is named by its path below `src/`, without `.rs`; with a folder of the same name it is one.
#[test]
fn files_of_a_folder_form_no_circle() {
    let files = files();
    let files: Vec<&File> = files
        .iter()
        .filter(|file| !file.is_root() && !file.is_test())
        .filter(|file| !CIRCULAR.contains(&file.module.as_str()))
        .collect();
    let paths: Vec<&str> = files.iter().map(|file| file.path()).collect();
    let mut uses = BTreeSet::new();
    for file in &files {
        for other in reached(file, &paths) {
            let folders = file.path().split('/').zip(other.split('/'));
            let common = folders.take_while(|(own, other)| own == other).count();
            let part = |path: &str| {
                let parts: Vec<&str> = path.split('/').take(common + 1).collect();
                parts.join("/")
            };
            // Between a file and its own folder there is none to speak of.
            if other != file.path() && common > 0 && part(other) != part(file.path()) {
                uses.insert((part(file.path()), part(other)));
            }
        }
    }
    // Who uses nobody that is left, or is used by nobody, is no part of a circle.
    loop {
        let (users, used): (BTreeSet<String>, BTreeSet<String>) = uses.iter().cloned().unzip();
        let before = uses.len();
        uses.retain(|(user, one)| users.contains(one) && used.contains(user));
        if uses.len() == before {
            break;
        }
    }
    let circle: Vec<String> = uses
        .iter()
        .map(|(one, other)| format!("{one} → {other}"))
        .collect();
    none("circles", &circle);
}

/// The files that one names, of those at these paths.
fn reached<'a>(file: &File, paths: &[&'a str]) -> Vec<&'a str> {
    let code = file.code();
    let own: Vec<&str> = file.path().split('/').collect();
    let mut found = Vec::new();
    for path in uses_of(&code) {
        let mut at: Vec<&str> = Vec::new();
        let mut names = path.iter().map(String::as_str).peekable();
        match names.next() {
            Some("crate") => {}
            Some("super") => {
                at.extend(&own[..own.len() - 1]);
                while names.next_if_eq(&"super").is_some() {
                    at.pop();
                }
            }
            Some("self") => at.extend(&own),
            _ => continue,
        }
        let mut longest = None;
        for name in names {
            at.push(name);
            let joined = at.join("/");
            longest = paths.iter().find(|path| **path == joined).or(longest);
        }
        found.extend(longest);
    }
    found
}

/// Paths that begin with `crate`, `super` or `self`, those of a group one by one.
fn uses_of(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for root in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(root) {
            let goes_on = |before: char| before.is_alphanumeric() || "_:".contains(before);
            if !code[..at].ends_with(goes_on) {
                branches(&code[at..], Vec::new(), &mut found);
            }
        }
    }
    found
}

/// The paths with which a text begins, each behind `stem`; what is left of it.
fn branches<'a>(text: &'a str, mut stem: Vec<String>, found: &mut Vec<Vec<String>>) -> &'a str {
    let mut text = text;
    while let Some(name) = name(text) {
        text = &text[name.len()..];
        stem.push(name);
        match text.strip_prefix("::") {
            Some(rest) => text = rest,
            None => break,
        }
    }
    let Some(mut group) = text.strip_prefix('{') else {
        found.push(stem);
        return text;
    };
    loop {
        group = group.trim_start_matches(|letter: char| letter.is_whitespace() || letter == ',');
        match group.strip_prefix('}') {
            Some(rest) => return rest,
            None if name(group).is_none() => return group,
            None => group = branches(group, stem.clone(), found),
        }
        // An alias.
        group = group.trim_start();
        if let Some(alias) = group.strip_prefix("as ") {
            group =
                alias.trim_start_matches(|letter: char| letter.is_alphanumeric() || letter == '_');
        }
    }
}

#[test]
fn paths_are_found() {
    let found =
        uses_of("use crate::a::{b::{self, C}, d as e, f::g}; super::super::h::I; x::super::y");
    let found: Vec<String> = found.iter().map(|path| path.join("::")).collect();
    let expected = [
        "crate::a::b::self",
        "crate::a::b::C",
        "crate::a::d",
        "crate::a::f::g",
        "super::super::h::I",
    ];
    assert_eq!(found, expected);
}

/// What smoltcp's socket knows is asked of `stack` alone.
#[test]
fn sockets_are_in_the_stack_only() {
    let known = |file: &File| {
        let code = file.code();
        code.contains("smoltcp::socket") || code.contains("SocketSet")
    };
    let files = files().into_iter().filter(|file| file.module != "stack");
    let wrong: Vec<String> = files.filter(known).map(|file| file.name).collect();
    none("sockets", &wrong);
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
        if place(&file.module) >= place(FIRST_IMPURE) {
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
