//! `tcplab audit` with real clients in a lab.

use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

const TCPLAB: &str = env!("CARGO_BIN_EXE_tcplab");

/// A client of HTTP that waits for ever and takes what it gets, unless it is told to be better.
const CLIENT: &str = r#"
import os, socket, sys
good = "good" in sys.argv
s = socket.create_connection((sys.argv[1], 80), timeout=3 if good else None)
s.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n")
data = b""
while True:
    more = s.recv(4096)
    if not more:
        break
    data += more
head, _, body = data.partition(b"\r\n\r\n")
fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
if good and len(body) != int(fields[b"Content-Length"]):
    sys.exit("cut off")
os.write(1, body)
"#;

/// A directory of the test's own, gone at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("tcplab-audit-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn audit(arguments: &[&str]) -> Output {
    Command::new(TCPLAB)
        .arg("audit")
        .args(arguments)
        .output()
        .unwrap()
}

/// Audits, and gives the findings; the exit code must be this.
#[track_caller]
fn findings(code: i32, arguments: &[&str]) -> Vec<Value> {
    let output = audit(&[&["--json", "-"], arguments].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        output.status.code(),
        Some(code),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stdout)
    );
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    all["findings"].as_array().unwrap().clone()
}

/// What came of each run, in a word.
fn outcomes(findings: &[Value]) -> Vec<(String, String)> {
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    findings
        .iter()
        .map(|one| (word(&one["fault"]), word(&one["outcome"])))
        .collect()
}

fn outcome<'a>(outcomes: &'a [(String, String)], fault: &str) -> &'a str {
    let found = outcomes.iter().find(|(name, _)| name == fault);
    &found
        .unwrap_or_else(|| panic!("no run of {fault}: {outcomes:?}"))
        .1
}

#[test]
fn curl_does_the_same_under_every_fault_twice() {
    let curl = ["--", "curl", "-sS", "--max-time", "12", "http://{host}/"];
    let first = outcomes(&findings(0, &curl));
    assert!(first.len() >= 40, "{first:?}");
    for (fault, expected) in [
        ("blackhole", "failed"),
        ("refuse", "failed"),
        ("synack-lost-2", "answered"),
        ("rst-mid-data", "failed"),
        ("zero-window-3s", "answered"),
        ("simultaneous-close", "answered"),
    ] {
        assert_eq!(outcome(&first, fault), expected, "{fault}");
    }
    assert_eq!(outcomes(&findings(0, &curl)), first);
}

#[test]
fn a_client_without_limits_hangs() {
    let hangs = [
        "--limit",
        "12",
        "--only",
        "blackhole,silent-after-accept,syn-lost-1",
    ];
    let client = ["--", "python3", "-c", CLIENT, "{host}"];
    let found = findings(1, &[&hangs[..], &client].concat());
    let expected = [
        ("blackhole", "hung"),
        ("syn-lost-1", "answered"),
        ("silent-after-accept", "hung"),
    ];
    let expected: Vec<_> = expected
        .map(|(fault, outcome)| (fault.to_owned(), outcome.to_owned()))
        .into();
    assert_eq!(outcomes(&found), expected);
    assert!(found[0]["syns"].as_u64().unwrap() >= 2, "{}", found[0]);
}

/// A client may give up when it has promised to; without a promise it is to wait, and with one it is not to wait for longer.
#[test]
fn a_promise_is_good_and_is_to_be_kept() {
    let only = ["--only", "synack-lost-3,silent-after-accept,refuse"];
    let curl = [
        "--",
        "curl",
        "-4sS",
        "--connect-timeout",
        "2",
        "--max-time",
        "5",
        "http://{host}/",
    ];
    let check = |code: i32, promise: &[&str], expected: [&str; 3]| {
        let found = findings(code, &[&only[..], promise, &curl].concat());
        let found = outcomes(&found);
        for (fault, expected) in ["synack-lost-3", "silent-after-accept", "refuse"]
            .iter()
            .zip(expected)
        {
            assert_eq!(outcome(&found, fault), expected, "{fault} {promise:?}");
        }
    };
    check(1, &[], ["failed", "failed", "failed"]);
    let kept = ["--connect-limit", "2", "--answer-limit", "5"];
    check(0, &kept, ["gave-up", "gave-up", "failed"]);
    // It waits for three seconds longer than it says.
    check(1, &["--answer-limit", "1"], ["failed", "late", "failed"]);
}

/// A program that takes longer to start than it may run is not slow.
#[test]
fn time_counts_from_the_first_packet() {
    let client = ["--", "sh", "-c", "sleep 2.5; exec curl -sS $0", "{host}"];
    let found = findings(
        0,
        &[&["--limit", "2", "--only", "refuse,iss-wrap"], &client[..]].concat(),
    );
    for one in &found {
        assert!(one["seconds"].as_f64().unwrap() < 2.0, "{one}");
    }
    assert_eq!(outcome(&outcomes(&found), "iss-wrap"), "answered");
}

#[test]
fn a_sweep_finds_who_takes_half_for_the_whole() {
    let sweep = [
        "--sweep", "--limit", "15", "--", "python3", "-c", CLIENT, "{host}",
    ];
    let found = findings(1, &sweep);
    assert!(found.len() >= 25, "{}", found.len());
    let bad: Vec<_> = found.iter().filter(|one| one["good"] == false).collect();
    assert_eq!(bad.len(), 1, "{bad:?}");
    assert!(
        bad[0]["fault"]
            .as_str()
            .unwrap()
            .starts_with("cut-off-out-"),
        "{}",
        bad[0]
    );
    assert_eq!(bad[0]["outcome"], "wrong-bytes");

    let good = findings(0, &[&sweep[..], &["good"]].concat());
    // Not as many each time: how many ACKs there are is a matter of the kernel's timing.
    assert!(good.len() >= 25, "{}", good.len());
}

#[test]
fn what_a_client_does_is_pinned() {
    let scratch = Scratch::new("pinned");
    let (today, junit, html) = (
        scratch.file("today.json"),
        scratch.file("j.xml"),
        scratch.file("h.html"),
    );
    let markdown = scratch.file("m.md");
    let options = [
        "--limit",
        "12",
        "--only",
        "refuse,silent-after-accept",
        "-q",
    ];
    let client = ["--", "python3", "-c", CLIENT, "{host}"];
    // It hangs, and that is kept.
    let output = audit(&[&options[..], &["--save", &today], &client].concat());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let expect = [
        "--expect",
        &today,
        "--junit",
        &junit,
        "--html",
        &html,
        "--markdown",
        &markdown,
    ];
    let output = audit(&[&options[..], &expect, &client].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    // A better client is a change too.
    let output = audit(&[&options[..], &expect, &client, &["good"]].concat());
    assert_eq!(output.status.code(), Some(1), "{output:?}");

    let xml = fs::read_to_string(&junit).unwrap();
    let xml = roxmltree::Document::parse(&xml).unwrap();
    let suite = xml.root_element();
    assert_eq!(
        (suite.attribute("tests"), suite.attribute("failures")),
        (Some("2"), Some("1"))
    );
    let failed = xml
        .descendants()
        .find(|node| node.has_tag_name("failure"))
        .unwrap();
    assert_eq!(
        failed.parent().unwrap().attribute("name"),
        Some("silent-after-accept")
    );
    assert!(failed.text().unwrap().contains("hung"), "{failed:?}");
    let html = fs::read_to_string(&html).unwrap();
    assert!(html.contains("<td>silent-after-accept</td>"), "{html}");
    let markdown = fs::read_to_string(&markdown).unwrap();
    assert!(
        markdown.contains("| silent-after-accept | failed"),
        "{markdown}"
    );
}

#[test]
fn what_is_wrong_is_told() {
    #[track_caller]
    fn check(arguments: &[&str], expected: &str) {
        let output = audit(arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(expected), "{said}");
        assert!(output.stdout.is_empty(), "{output:?}");
    }
    check(&["--", "true"], "the command has no {host}");
    check(
        &["--only", "blackhol", "--", "true", "{host}"],
        "no fault \"blackhol\"; did you mean blackhole",
    );
    check(
        &["--", "/no/such/client", "{host}"],
        "cannot run /no/such/client: No such file",
    );
    check(&["--", "true", "{host}"], "does not connect to {host}");
    check(
        &["--", "sh", "-c", "curl -s {host}; exit 4"],
        "fails with code 4, even without a fault",
    );
    check(
        &["--limit", "1", "--", "sh", "-c", "sleep 60", "{host}"],
        "does not end within 1 s",
    );
    check(
        &["--limit", "0", "--", "true", "{host}"],
        "more than 0 seconds",
    );
    check(
        &["--expect", "/no/such/file", "--", "true", "{host}"],
        "cannot read /no/such/file",
    );
    check(
        &["--json", "-", "--html", "-", "--", "true", "{host}"],
        "only one format",
    );
}
