//! With `--lang zh`, nothing that people are shown is an English sentence.

use std::process::{Command, Output};

fn demo(options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tcplab"))
        .args(["demo", "--simulate", "--seed", "1"])
        .args(options)
        .output()
        .unwrap()
}

fn shown(options: &[&str]) -> String {
    let output = demo(options);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_demo_teaches_what_the_textbook_does() {
    let shown = shown(&["--lang", "zh"]);
    // The client's initial number and the server's, as the ladder prints them.
    let initial: Vec<u32> = shown
        .lines()
        .filter_map(|line| line.trim().strip_prefix("0 代表初始序号 "))
        .map(|number| number.parse().unwrap())
        .collect();
    let [x, y] = initial[..] else {
        panic!("{shown}");
    };
    // What is broken over two lines is put together.
    let text: String = shown.split_whitespace().collect();
    // The client has sent "123", the server 28 bytes, each after a SYN.
    let (u, w) = (x.wrapping_add(4), y.wrapping_add(29));
    let next = |number: u32| number.wrapping_add(1);
    let mut rest = text.as_str();
    for (step, numbers) in [
        ("第一次握手", format!("seq={x}，发送SYN=1")),
        ("第二次握手", format!("ack={x}+1={}，", next(x))),
        (
            "第三次握手",
            format!("seq={}，ack={y}+1={}", next(x), next(y)),
        ),
        ("第一次挥手", format!("客户端主动关闭，发送FIN=1，序号{u}")),
        ("第二次挥手", format!("ack={u}+1={}", next(u))),
        ("第三次挥手", format!("服务端发送FIN=1，序号{w}")),
        ("第四次挥手", format!("ack={w}+1={}", next(w))),
    ] {
        let at = rest.find(step).unwrap_or_else(|| panic!("{step}: {shown}"));
        rest = &rest[at + step.len()..];
        let sentence = rest.split('↳').next().unwrap();
        assert!(sentence.contains(&numbers), "{step}, {numbers}: {sentence}");
    }
}

#[test]
fn no_english_is_left() {
    for depth in ["none", "brief", "normal", "deep"] {
        let shown = shown(&["--lang", "zh", "--explain", depth, "-vv", "--whole"]);
        for line in shown.lines() {
            assert_eq!(english(line), None, "{depth}: {line}");
        }
    }
}

#[test]
fn english_would_be_found() {
    let shown = shown(&["--explain", "deep"]);
    let found = shown.lines().filter(|line| english(line).is_some()).count();
    assert!(found > 50, "{shown}");
}

#[test]
fn the_default_is_brief_and_english() {
    let plain = shown(&[]);
    assert_eq!(plain, shown(&["--explain", "brief", "--lang", "en"]));
    assert!(plain.contains("the SYN counts as one"));
    assert!(!plain.contains("first of three"));
    assert!(!shown(&["--explain", "none"]).contains('↳'));
    assert!(!demo(&["--explain", "loud"]).status.success());
}

/// The first word in small letters that is neither the protocol's nor a name nor what a service itself says.
fn english(line: &str) -> Option<&str> {
    const WORDS: [&str; 17] = [
        "ack", "ecr", "eol", "hello", "mss", "ms", "nop", "password", "s", "sackOK", "seq", "tcp",
        "tcplab", "udp", "val", "win", "wscale",
    ];
    // What is in quotes crossed the wire; what hello says is the service's own.
    let outside = line.split('"').step_by(2);
    outside
        .flat_map(|part| part.split(|char: char| !char.is_ascii_alphabetic()))
        .filter(|_| !line.contains("Received from"))
        .find(|word| {
            word.starts_with(|char: char| char.is_ascii_lowercase()) && !WORDS.contains(word)
        })
}
