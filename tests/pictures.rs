//! Each fault of the catalogue shows the same picture every time, with the very command that the catalogue proposes: the same segments
//! in the same order, the same states of both ends. Times, payloads and what the peer's kernel adds are left out.
//!
//! Five times in CI; `TCPLAB_PICTURES=50 cargo test --test pictures` for more, `TCPLAB_FAULTS=half-close,refuse` for some.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, thread};

use tcplab::fault::catalogue::{self, Fault};

/// So many runs are under way at once: nearly all of the time they wait.
const AT_ONCE: usize = 4;

/// What one run has shown, from the ladder that a person sees.
fn picture(fault: &Fault) -> String {
    let trial = fault.trial();
    let (options, command) = trial.split_once(" -- ").unwrap();
    let options = options.strip_prefix("tcplab ").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tcplab"))
        .args(options.split(' '))
        .args(["--explain", "none", "--"])
        // What the client says on standard error would stand in the midst of the ladder.
        .args(["sh", "-c", "exec \"$@\" 2>/dev/null", "sh"])
        .args(command.split(' '))
        .env("LC_ALL", "C.UTF-8")
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<String> = shown.lines().filter_map(drawn).collect();
    assert!(!lines.is_empty(), "{trial}: {shown}");
    in_step(lines).join("\n")
}

/// While data flows and nothing else happens, chance decides where the peer's acknowledgments stand among our segments, and whether one
/// of them is for several: its kernel takes in what we sent as soon as its program lets go of the socket. So each way is told by
/// itself there, and of pure acknowledgments the last.
fn in_step(lines: Vec<String>) -> Vec<String> {
    let mut told = Vec::new();
    let mut rest = lines.as_slice();
    while let Some(first) = rest.first() {
        let flowing = rest.iter().take_while(|line| is_flow(line)).count();
        let (run, after) = rest.split_at(flowing);
        if run.iter().any(|line| has_data(line)) {
            for way in [false, true] {
                let run = run.iter().filter(|line| line.starts_with('◀') == way);
                let (data, acks): (Vec<_>, Vec<_>) = run.partition(|line| has_data(line));
                told.extend(data.into_iter().cloned());
                told.extend(acks.into_iter().next_back().cloned());
            }
            rest = after;
        } else {
            told.extend(run.iter().cloned());
            rest = after;
        }
        if flowing == 0 {
            told.push(first.clone());
            rest = &rest[1..];
        }
    }
    told
}

/// Whether a line shows an acknowledgment, with data or without, that has simply crossed and has changed no state.
fn is_flow(line: &str) -> bool {
    let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
    let words = words.as_slice();
    let segment = match words {
        ["◀", segment @ ..] | [segment @ .., "▶"] => segment,
        _ => return false,
    };
    match segment {
        ["." | "P.", "ack", _] => true,
        ["." | "P.", range, "ack", _] => range.contains(':'),
        _ => false,
    }
}

fn has_data(line: &str) -> bool {
    line.contains(':')
}

/// A line of the ladder without what is another every time; `None` for a line that is none.
fn drawn(line: &str) -> Option<String> {
    let (time, line) = line.split_once(" #1")?;
    time.parse::<f64>().ok()?;
    let mut drawn = String::new();
    let mut words = line.split(' ').filter(|word| !word.is_empty()).peekable();
    while let Some(word) = words.next() {
        match word {
            "(kernel:" => drop(words.next()),
            // Everything that is sent is told by its numbers.
            _ if word.starts_with('"') => {
                if !word[1..].ends_with('"') {
                    words.find(|word| word.ends_with('"'));
                }
            }
            // How long something was held.
            "after" => {
                words.next();
                words.next_if(|unit| ["s", "ms"].contains(unit));
            }
            _ => {
                // A SYN that belongs to no flow has its own number, which is chance.
                let parts = word.split(|char: char| !char.is_ascii_digit());
                match parts.map(str::len).max() > Some(6) {
                    true => drawn += "N ",
                    false => drawn += &format!("{} ", word.replace('─', "")),
                }
            }
        }
    }
    Some(drawn)
}

#[test]
fn each_fault_shows_the_same_picture_every_time() {
    let runs: usize = env::var("TCPLAB_PICTURES").map_or(5, |runs| runs.parse().unwrap());
    let wanted = env::var("TCPLAB_FAULTS").ok();
    let is_wanted = |fault: &&Fault| {
        let wanted = wanted.as_deref();
        wanted.is_none_or(|names| names.split(',').any(|name| name == fault.name))
    };
    let faults: Vec<&'static Fault> = catalogue::faults().filter(is_wanted).collect();
    assert!(!faults.is_empty());
    let several = differing(see(&faults, runs, AT_ONCE));
    // A processor that is busy elsewhere for longer than an acknowledgment may wait shows in a picture: whoever differs is seen
    // again with nothing beside it.
    let faults: Vec<&'static Fault> = faults
        .into_iter()
        .filter(|fault| several.contains_key(fault.name))
        .collect();
    let mut told = String::new();
    for (name, seen) in differing(see(&faults, runs, 1)) {
        told += &format!("\n{name} has {} pictures:\n", seen.len());
        for (picture, count) in seen {
            told += &format!("{count} of {runs} times\n{picture}\n\n");
        }
    }
    assert!(told.is_empty(), "{told}");
}

/// The pictures of each fault, with how often each was seen.
type Pictures = BTreeMap<&'static str, BTreeMap<String, usize>>;

/// Looks at each fault so many times, with so many runs under way at once.
fn see(faults: &[&'static Fault], runs: usize, at_once: usize) -> Pictures {
    let next = AtomicUsize::new(0);
    let pictures: Mutex<Pictures> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= runs * faults.len() {
                        return;
                    }
                    let fault = faults[index % faults.len()];
                    let picture = picture(fault);
                    let mut pictures = pictures.lock().unwrap();
                    let seen = pictures.entry(fault.name).or_default();
                    *seen.entry(picture).or_default() += 1;
                }
            });
        }
    });
    pictures.into_inner().unwrap()
}

fn differing(mut pictures: Pictures) -> Pictures {
    pictures.retain(|_, seen| seen.len() > 1);
    pictures
}

#[test]
fn each_way_is_told_by_itself_while_data_flows() {
    let lines = |text: &str| text.split('|').map(String::from).collect::<Vec<_>>();
    for (seen, told) in [
        (
            "S ▶|. ack 1 ▶|◀ . 1:9(8) ack 1|. ack 9 ▶|◀ P. 9:17(8) ack 1|. ack 17 ▶|F. 1:1(0) ack 17 ▶ CLOSE-WAIT|◀ . ack 2",
            "S ▶|. ack 17 ▶|◀ . 1:9(8) ack 1|◀ P. 9:17(8) ack 1|F. 1:1(0) ack 17 ▶ CLOSE-WAIT|◀ . ack 2",
        ),
        // No data flows, or something becomes of it.
        (
            ". ack 1 ▶|. ack 1 ▶|◀ . ack 1",
            ". ack 1 ▶|. ack 1 ▶|◀ . ack 1",
        ),
        (
            "◀ . 1:9(8) ack 1 retransmission|. ack 9 ▶",
            "◀ . 1:9(8) ack 1 retransmission|. ack 9 ▶",
        ),
    ] {
        assert_eq!(in_step(lines(seen)), lines(told));
    }
}

#[test]
fn what_is_another_every_time_is_left_out() {
    for (line, expected) in [
        (
            "0.000402 #1 ESTABLISHED (kernel: FIN-WAIT-1) ◀─ P. 1:7(6) ack 7 \"hel lo\\n\" ──",
            Some("ESTABLISHED ◀ P. 1:7(6) ack 7  "),
        ),
        (
            "1.2 #1              ◀─ S. 0:0(0) packet 2: after 1.200 s ────",
            Some("◀ S. 0:0(0) packet 2:  "),
        ),
        ("   hello", None),
        (
            "#1 192.0.2.1:1 connects to http on 192.0.2.2:80 (tcp)",
            None,
        ),
    ] {
        assert_eq!(drawn(line).as_deref(), expected, "{line}");
    }
}
