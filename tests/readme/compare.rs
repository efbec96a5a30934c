//! Whether two outputs are the same but for what differs from run to run.

use super::session::Seen;

/// What stands for any lines in the README.
const ANY: &str = "…";

#[track_caller]
pub(crate) fn assert_same(typed: &str, expected: &[String], seen: &Seen) {
    let doctor = typed == "tcplab doctor";
    let records = |lines: &[String]| match doctor {
        true => findings(lines),
        false => records(lines),
    };
    let expected = records(expected);
    let (mut stdout, stderr) = (records(&seen.stdout), records(&seen.stderr));
    let same = if stderr.is_empty() {
        matches(&expected, &stdout)
    } else {
        // The two streams may be interleaved in any way.
        let mut rest = Vec::new();
        let elided = expected.iter().any(|record| record == ANY);
        for record in &expected {
            match stdout.first() == Some(record) {
                true => drop(stdout.remove(0)),
                false => rest.push(record.clone()),
            }
        }
        (stdout.is_empty() || elided) && matches(&rest, &stderr)
    };
    assert!(
        same,
        "$ {typed}\nThe README says\n{expected:#?}\nbut what is seen is\n{seen:#?}\nor\n{stderr:#?}"
    );
}

fn matches(expected: &[String], seen: &[String]) -> bool {
    match expected.split_first() {
        None => seen.is_empty(),
        Some((first, rest)) if first == ANY => {
            (0..=seen.len()).any(|skipped| matches(rest, &seen[skipped..]))
        }
        Some((first, rest)) => seen.split_first().is_some_and(|(seen, others)| {
            unspaced(seen) == unspaced(first) && matches(rest, others)
        }),
    }
}

/// Where a text that is longer than its line is broken depends on how long the numbers in it are.
fn unspaced(record: &str) -> String {
    record.replace(' ', "")
}

/// The lines without what differs; a continued line with the one it continues, and each flow by itself.
fn records(lines: &[String]) -> Vec<String> {
    let mut flows: Vec<(String, Vec<String>)> = vec![(String::new(), Vec::new())];
    let mut current = 0;
    for line in lines {
        // How far the peer's kernel is ahead just then.
        if line.trim_start().starts_with("(kernel: ") {
            continue;
        }
        let text = simplified(line);
        // What tshark says to root.
        let warning = text.starts_with("Running as user ");
        if text.is_empty() || warning || is_bare_ack(&text) {
            continue;
        }
        let tag = text.split(' ').take(2).find(|word| word.starts_with('#'));
        let log = text.starts_with('[');
        if let (Some(tag), false) = (tag, log) {
            current = flows
                .iter()
                .position(|(known, _)| known == tag)
                .unwrap_or_else(|| {
                    flows.push((tag.to_owned(), Vec::new()));
                    flows.len() - 1
                });
        } else if text != ANY && !line.starts_with(' ') {
            current = 0;
        } else if let (true, Some(last)) = (text != ANY, flows[current].1.last_mut()) {
            *last += " ";
            *last += &text;
            continue;
        }
        flows[current].1.push(text);
    }
    // What belongs to no flow is said last, unless there is nothing else.
    flows.rotate_left(1);
    flows.into_iter().flat_map(|(_, records)| records).collect()
}

/// A segment that only acknowledges and changes nothing: when the kernel sends one is a matter of its timers.
fn is_bare_ack(text: &str) -> bool {
    let words: Vec<&str> = text.split(' ').collect();
    matches!(words[..], [_, tag, "─", ".", "ack", _, "─▶"] if tag.starts_with('#'))
}

fn simplified(line: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut rest = line.split_whitespace().peekable();
    while let Some(word) = rest.next() {
        // A kernel that is asked may know of its user's CLOSE before the FIN has arrived, or not yet.
        let at_the_peer = words.len() == 2 && words[1].starts_with('#');
        let transition = rest.peek() == Some(&"→");
        if at_the_peer && !transition && matches!(word, "FIN-WAIT-1" | "LAST-ACK") {
            continue;
        }
        let word = if word.starts_with("[20") {
            "[TIME"
        } else {
            word
        };
        let word = numbers(&squeezed(word));
        let word = match (words.last().map(String::as_str), word.as_str()) {
            // How many segments there are depends on the kernel's acknowledgments.
            (_, "segment" | "segments") => {
                words.pop();
                "segments".to_owned()
            }
            (Some("(segment"), _) => "N)".to_owned(),
            // Its own scale, and whose the TUN is.
            (Some("wscale"), _) => "N".to_owned() + word.trim_matches(char::is_numeric),
            (Some("win" | "cwnd"), _) => "N".to_owned(),
            (Some("for"), _) if line.starts_with("tcplab0 ") => "USER:".to_owned(),
            _ => word,
        };
        words.push(word);
    }
    words.join(" ")
}

/// Without the repetitions from which lines are drawn.
fn squeezed(word: &str) -> String {
    let mut squeezed = String::new();
    for char in word.chars() {
        if char != '─' || !squeezed.ends_with('─') {
            squeezed.push(char);
        }
    }
    squeezed
}

/// Times, ports, sequence numbers become `N`: every number of four digits or more but that of a service, and every one
/// with a fraction. Small numbers (exit codes, relative sequence numbers, addresses) stay.
fn numbers(word: &str) -> String {
    let mut replaced = String::new();
    let mut rest = word;
    while let Some(start) = rest.find(|char: char| char.is_ascii_digit()) {
        let (before, number) = rest.split_at(start);
        let len = number
            .find(|char: char| !char.is_ascii_digit() && char != '.')
            .unwrap_or(number.len());
        let (number, after) = number.split_at(len);
        replaced += before;
        let digits = number.trim_end_matches('.');
        let changes = match digits.matches('.').count() {
            0 => digits.len() > 3 && digits != "1111",
            1 => true,
            _ => false,
        };
        replaced += if changes { "N" } else { digits };
        replaced += &number[digits.len()..];
        rest = after;
    }
    replaced + rest
}

/// What `tcplab doctor` has looked at: how things are is the machine's affair, what works here the tests need.
fn findings(lines: &[String]) -> Vec<String> {
    let shown = lines
        .iter()
        .filter(|line| !line.is_empty() && !line.starts_with(' '));
    shown
        .map(|line| match line.split_at_checked(8) {
            Some(("ok      " | "limited " | "bad     ", rest)) => {
                rest.split("  ").next().unwrap_or_default().to_owned()
            }
            _ => line.clone(),
        })
        .collect()
}

#[test]
fn what_differs_from_run_to_run_may_differ_and_nothing_else() {
    #[track_caller]
    fn check(one: &str, other: &str, expected: bool) {
        assert_eq!(simplified(one) == simplified(other), expected);
    }
    check(
        "0.000340 #1 A ── . ack 1 ───▶",
        "1.2 #1 A ── . ack 1 ─▶",
        true,
    );
    check(
        "0.000340 #1 A ── . ack 1 ───▶",
        "0.1 #1 B ── . ack 1 ─▶",
        false,
    );
    check("── . ack 1 ──▶", "◀─ . ack 1 ──", false);
    check("── F. 4:4(0) ack 29 ▶", "── F. 5:5(0) ack 29 ▶", false);
    check("192.0.2.1:42348", "192.0.2.1:9999", true);
    check("192.0.2.1:42348", "192.0.2.3:42348", false);
    check("192.0.2.2:1111", "192.0.2.2:1112", false);
    check(
        "ack 681709553 = seq 681709552 + 1",
        "ack 5000 = seq 4999 + 1",
        true,
    );
    check("exit code 1", "exit code 2", false);
    check("SYN-RECEIVED 1.439 ms,", "ESTABLISHED 1.439 ms,", false);
    check("0.1 #1 FIN-WAIT-1 ◀─ P. ──", "0.1 #1 ◀─ P. ──", true);
    check("0.1 #1 FIN-WAIT-2 ◀─ P. ──", "0.1 #1 ◀─ P. ──", false);
    check("0.1 #1 LAST-ACK → CLOSED", "0.1 #1 → CLOSED", false);
    check(
        "0.1 #1 ◀─ P. ──▶ LAST-ACK",
        "0.1 #1 ◀─ P. ──▶ CLOSED",
        false,
    );
    check(
        "rtt 0.706 ms, cwnd 11 segments",
        "rtt 8.2 ms, cwnd 4 segments",
        true,
    );
    check("3 bytes in 6 segments", "3 bytes in 1 segment", true);
    check("3 bytes in 6 segments", "4 bytes in 6 segments", false);
}
