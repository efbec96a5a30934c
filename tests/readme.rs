//! The README is true: its commands are run as a user would run them, and say what it says.
//!
//! Each ```` ```console ```` block is one session of a shell. Lines that begin with `$ ` are typed, the others are what is
//! seen; `…` stands for any lines. Numbers that differ from run to run (times, ports, sequence numbers) may differ;
//! words, arrows and states may not. A block in which `sudo` occurs runs in a network namespace of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tcplab::engine::STANDARD_SERVICES;

#[path = "readme/compare.rs"]
mod compare;
#[path = "readme/session.rs"]
mod session;

use compare::assert_same;
use session::{Session, Step};

const TCPLAB: &str = env!("CARGO_BIN_EXE_tcplab");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn commands_say_what_the_readme_says() {
    let place = Place::new();
    let blocks = blocks("console");
    assert!(blocks.len() >= 8, "{} blocks", blocks.len());
    for block in blocks {
        let steps = steps(&block);
        let own_network = steps.iter().any(|step| step.typed.contains("sudo "));
        let mut session = Session::open(&place.0, own_network);
        for step in &steps {
            let seen = session.run(step);
            assert_same(&step.typed, &step.seen, &seen);
        }
    }
}

#[test]
fn commands_that_are_only_named_exist() {
    for line in blocks("sh").iter().flat_map(|block| block.lines()) {
        let command = line.split(" #").next().unwrap_or_default().trim();
        match command {
            // What cargo is asked for in these, the tests have been built by.
            "cargo run --release" | "cargo install --path . --locked" => {}
            path => assert!(Path::new(ROOT).join(path).is_file(), "{path}"),
        }
    }
}

#[test]
fn all_services_are_listed() {
    let listed: Vec<String> = table("service").iter().map(|row| row.join(" | ")).collect();
    let served = STANDARD_SERVICES.map(|service| {
        let (name, transport) = (service.name, service.transport.name());
        format!(
            "{name} | {transport} | {} | {}",
            service.port, service.about
        )
    });
    assert_eq!(listed, served);
}

#[test]
fn all_faults_are_listed() {
    let listed: Vec<String> = table("fault").iter().map(|row| row.join(" | ")).collect();
    let network = "192.0.2.2/24".parse().unwrap();
    let faults = tcplab::fault::catalogue::faults().map(|fault| {
        let address = fault.address_in(network).unwrap();
        format!("{} | {address} | {}", fault.name, fault.title)
    });
    assert_eq!(listed, faults.collect::<Vec<_>>());
}

#[test]
fn all_options_are_options_of_their_commands() {
    let rows = table("option");
    assert!(rows.len() > 5);
    for row in rows {
        let commands = match row[1].as_str() {
            "all" => vec!["demo", "run", "serve", "connect"],
            some => some.split(", ").collect(),
        };
        let options = row.iter().flat_map(|cell| cell.split('`'));
        for option in options.filter(|word| word.starts_with("--")) {
            for command in &commands {
                let help = help(command);
                let known = help
                    .split([' ', ',', '.', '['])
                    .any(|word| word.trim() == option);
                assert!(known, "tcplab {command} has no {option}");
            }
        }
    }
}

#[test]
fn all_commands_and_examples_have_their_place() {
    let readme = readme();
    let help = stdout(Command::new(TCPLAB).arg("--help"));
    let commands = help.split("Commands:\n").nth(1).unwrap();
    for line in commands.lines().take_while(|line| !line.is_empty()) {
        let name = line.split_whitespace().next().unwrap();
        assert!(
            name == "help" || readme.contains(&format!("`tcplab {name}`")),
            "{name}"
        );
    }

    let mut listed: Vec<String> = table("example")
        .iter()
        .map(|row| row[0].replace('`', "") + ".rs")
        .collect();
    let entries = fs::read_dir(Path::new(ROOT).join("examples")).unwrap();
    let mut there: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".rs"))
        .collect();
    listed.sort();
    there.sort();
    assert_eq!(listed, there);
}

/// A directory in which the README's paths lead where they lead in a checkout, and its files lie.
struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme");
        fs::create_dir_all(&path).unwrap();
        let setup = path.join("setup");
        if !setup.exists() {
            std::os::unix::fs::symlink(Path::new(ROOT).join("setup"), setup).unwrap();
        }
        for file in [blocks("python"), blocks("toml")].concat() {
            let name = file.lines().next().unwrap().trim_start_matches("# ");
            fs::write(path.join(name), &file).unwrap();
        }
        Place(path)
    }
}

fn steps(block: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in block.lines() {
        match line.strip_prefix("$ ") {
            Some(typed) => steps.push(Step {
                typed: typed.to_owned(),
                seen: Vec::new(),
            }),
            None => {
                let step = steps.last_mut().expect("a block begins with a command");
                step.seen.push(line.to_owned());
            }
        }
    }
    steps
}

fn readme() -> String {
    fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap()
}

/// The contents of all fenced blocks of that language.
fn blocks(language: &str) -> Vec<String> {
    let readme = readme();
    let fences = readme.split("```").skip(1).step_by(2);
    fences
        .filter_map(|block| block.strip_prefix(&format!("{language}\n")))
        .map(str::to_owned)
        .collect()
}

/// The rows of the table whose first column has that head.
fn table(head: &str) -> Vec<Vec<String>> {
    let readme = readme();
    let lines = readme
        .lines()
        .skip_while(|line| !line.starts_with(&format!("| {head} |")));
    let rows = lines.skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells = row.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().to_owned()).collect()
    })
    .collect()
}

fn help(command: &str) -> String {
    stdout(Command::new(TCPLAB).args([command, "--help"]))
}

fn stdout(command: &mut Command) -> String {
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}
