//! The command line: its help, word for word, and what it says to wrong input. Nothing here needs a lab.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const BOUND: Duration = Duration::from_secs(10);

/// Runs tcplab; what it says, with the exit code, as one text.
fn tcplab(arguments: &[&str]) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tcplab"))
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .env("COLUMNS", "100")
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // What it says fits into the pipes, so it can be read when it is over.
    let since = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if since.elapsed() > BOUND {
            child.kill().unwrap();
            panic!("not over after {BOUND:?}: {arguments:?}");
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap();
    (code, text(output.stdout), text(output.stderr))
}

#[test]
fn help() {
    let commands = [
        &[][..],
        &["demo"],
        &["run"],
        &["serve"],
        &["connect"],
        &["explain"],
        &["test"],
        &["faults"],
        &["audit"],
        &["rules"],
        &["doctor"],
    ];
    for command in commands {
        for flag in ["-h", "--help"] {
            let (code, stdout, stderr) = tcplab(&[command, &[flag]].concat());
            assert_eq!((code, stderr.as_str()), (0, ""), "{command:?} {flag}");
            let name = command.first().unwrap_or(&"tcplab");
            let length = if flag == "-h" { "short" } else { "long" };
            insta::assert_snapshot!(format!("{name}_{length}"), stdout);
        }
        let (help, flag) = (
            [&["help"], command].concat(),
            [command, &["--help"]].concat(),
        );
        assert_eq!(tcplab(&help), tcplab(&flag));
    }
}

#[test]
fn version() {
    for flag in ["-V", "--version"] {
        let version = concat!("tcplab ", env!("CARGO_PKG_VERSION"), "\n");
        assert_eq!(tcplab(&[flag]), (0, version.into(), "".into()));
    }
}

/// The same as `tcplab help rules`.
#[test]
fn rules() {
    let (code, stdout, stderr) = tcplab(&["rules"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert_eq!(stdout, tcplab::fault::GRAMMAR);
    assert_eq!(stdout, tcplab(&["help", "rules"]).1);
}

#[test]
fn faults() {
    for (name, line) in [
        ("faults_all", "faults"),
        ("faults_one", "faults close-first"),
        ("faults_one_zh", "faults handshake-ack-lost --lang zh"),
        ("faults_json", "faults refuse --json"),
        (
            "faults_small_network",
            "faults --net 198.51.100.0/28 --lang zh",
        ),
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let (code, stdout, stderr) = tcplab(&arguments);
        assert_eq!((code, stderr.as_str()), (0, ""), "{line}");
        insta::assert_snapshot!(name, stdout);
    }
    // A name may be the host's.
    assert_eq!(
        tcplab(&["faults", "refuse.test"]),
        tcplab(&["faults", "refuse"])
    );
    let (_, all, _) = tcplab(&["faults", "--json"]);
    let all: serde_json::Value = serde_json::from_str(&all).unwrap();
    let names = all
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault["name"].as_str().unwrap());
    assert!(names.eq(tcplab::fault::catalogue::faults().map(|fault| fault.name)));
    // Where there is no room in either network.
    let cramped = [
        "faults",
        "time-wait-0",
        "--net",
        "198.51.100.0/28",
        "--net6",
        "2001:db8::/124",
    ];
    let (code, said, _) = tcplab(&cramped);
    assert!(
        code == 0 && said.contains("none: the networks are too small"),
        "{said}"
    );
}

/// Each of these can't be tried: exit code 2, nothing on standard output, and words that say what is wrong.
#[test]
fn wrong_input() {
    let mut said = String::new();
    for line in [
        "nosuchcommand",
        "--nosuchoption",
        "demo argument",
        "demo --quiet --verbose",
        "demo --quiz --tui",
        "run --quiz --step -- true",
        "run --quiz --step-from x -- true",
        "run --quiz --quiet -- true",
        "demo --mtu 1279",
        "demo --mtu 65536",
        "demo --mtu many",
        "demo --buffer 1023",
        "demo --buffer 2G",
        "demo --backlog -1",
        "demo --backlog 1.5",
        "demo --seed x",
        "demo --seed 18446744073709551616",
        "demo --time-wait -1",
        "demo --time-wait long",
        "demo --keep-alive 0",
        "demo --keep-alive x",
        "demo --user-timeout 0",
        "demo --ttl 0",
        "demo --ttl 256",
        "demo --dscp 64",
        "connect echo 192.0.2.1:7 --from 192.0.2",
        "demo --user-timeout x",
        "demo --rule",
        "demo --rule drop,out",
        "demo --rules /nonexistent/rules",
        "demo --rules tests/rules/wrong.rules",
        "demo --net 192.0.2.1/24",
        "demo --net 192.0.2.0",
        "demo --net 192.0.2.0/31",
        "demo --net 224.0.0.0/24",
        "demo --net 127.0.0.0/8",
        "demo --net6 192.0.2.0/24",
        "demo --net6 2001:db8::1/64",
        "demo --net6 ::/0",
        "run",
        "run --",
        "run --nosuchoption true",
        "run --net",
        "run --linger -1 true",
        "serve argument",
        "serve --tun",
        "serve --addr 192.0.2.2",
        "serve --addr 192.0.2.0/24",
        "serve --addr 192.0.2.255/24",
        "serve --addr 192.0.2.2/32",
        "serve --addr 2001:db8::2/128",
        "serve --addr ff02::1/64",
        "serve --addr lab.test/24",
        "connect",
        "connect password",
        "connect nosuchservice 192.0.2.1:1111",
        "connect password 192.0.2.1",
        "connect password 192.0.2.1:",
        "connect password 192.0.2.1:70000",
        "connect password 2001:db8::1",
        "connect password 192.0.2.1:1111 python3",
        "test",
        "test --shard 0/2 x",
        "test --shard 3/2 x",
        "test --jobs 0 x",
        "test --simulate --live x",
        "test --record x.toml",
        "test -- true",
        "test --record x.toml --list -- true",
        "faults blakhole",
        "faults window",
        "faults xyzzy",
        "faults blackhole refuse",
        "faults --json --lang zh",
        "doctor argument",
    ] {
        let arguments: Vec<&str> = line.split(' ').collect();
        let (code, stdout, stderr) = tcplab(&arguments);
        assert_eq!((code, stdout.as_str()), (2, ""), "{line}: {stderr}");
        said += &format!("$ tcplab {line}\n{stderr}\n");
    }
    insta::assert_snapshot!(said);
}

/// Each way to write an option that has one is understood.
#[test]
fn ways_to_write_it() {
    for options in [
        "-q",
        "--quiet",
        "-v",
        "-vv",
        "--verbose --verbose",
        "--buffer 64k",
        "--buffer=1M",
        "--time-wait 0.5",
        "--ttl 1 --dscp 63",
        "--keep-alive 1e1",
        "--seed 18446744073709551615",
        "--mtu=65535",
        "--net 198.51.100.0/30",
        "--net6 2001:db8:1::/126",
        "--explain none --whole",
    ] {
        let arguments = ["demo", "--simulate"].into_iter().chain(options.split(' '));
        let (code, stdout, stderr) = tcplab(&arguments.collect::<Vec<_>>());
        assert_eq!(code, 0, "{options}: {stderr}");
        assert!(stdout.ends_with("Hello\n"), "{options}: {stdout}");
    }
}

#[test]
fn a_misspelled_level_of_the_log_is_said() {
    for (filters, code, named) in [
        ("tcplab=inof", 2, "`tcplab=inof` is no level"),
        ("garbage", 0, "`garbage` is no level and nothing of tcplab"),
        ("warn,my_app=debug", 0, ""),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_tcplab"))
            .args(["demo", "--simulate", "--explain", "none"])
            .env("RUST_LOG", filters)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(named), "{said}");
        assert_eq!(said.contains("RUST_LOG"), !named.is_empty(), "{said}");
    }
}

#[test]
fn a_locale_names_a_language() {
    let (code, said, _) = tcplab(&["faults", "--lang", "zh"]);
    assert_eq!(code, 0);
    for lang in ["zh-CN", "zh_CN", "zh_CN.UTF-8"] {
        assert_eq!(tcplab(&["faults", "--lang", lang]).1, said, "{lang}");
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    for arguments in [&["--help"][..], &["doctor"], &["demo", "--simulate"]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tcplab"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            !stderr.contains("panicked") && !stderr.contains("Broken pipe"),
            "{stderr}"
        );
    }
}
