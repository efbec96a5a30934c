//! Each example does what its first comment says: clients against tcplab in a private lab, servers against the
//! kernel's clients in a network namespace of their own.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::unistd::geteuid;

const TCPLAB: &str = env!("CARGO_BIN_EXE_tcplab");

#[test]
fn handshake_prints_the_same_life_of_a_connection_every_time() {
    let run = || text(&Command::new(example("handshake")).output().unwrap());
    let ladder = run();
    let states = [
        "LISTEN",
        "SYN-RECEIVED",
        "ESTABLISHED",
        "CLOSE-WAIT",
        "CLOSE-WAIT → LAST-ACK (CLOSE)",
        "CLOSED",
    ];
    let mut shown = ladder.lines();
    for state in states {
        let found = shown.any(|line| line.ends_with(state));
        assert!(found, "no {state} in its place:\n{ladder}");
    }
    assert_eq!(run(), ladder);
}

#[test]
fn clients_talk_to_the_services_in_a_lab() {
    #[track_caller]
    fn check(client: &str, typed: &str, expected: &str) {
        let client = example(client);
        let command = format!(
            "printf '{typed}' | '{TCPLAB}' run --quiet -- '{}'",
            client.display()
        );
        let output = Command::new("timeout")
            .args(["30", "sh", "-c", &command])
            .output()
            .unwrap();
        assert_eq!(text(&output), expected);
    }
    check(
        "password_client",
        "123\\n",
        "连接成功\n请输入密码:\n进入成功\n",
    );
    check(
        "password_client",
        "124\\n",
        "连接成功\n请输入密码:\n密码错误\n",
    );
    check("hello_client", "", "Hello\n");
}

#[test]
fn servers_talk_to_the_clients() {
    #[track_caller]
    fn check(name: &str, typed: &str, printed: &str, shown: &[&str]) {
        let (server, client) = (
            example(&format!("{name}_server")),
            example(&format!("{name}_client")),
        );
        // The client begins when the server has said that it listens.
        let script = format!(
            "'{}' >/dev/null & read -r go; printf '{typed}' | '{}'; sleep 0.2; kill $! && wait $!",
            server.display(),
            client.display()
        );
        let mut child = own_network(&script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("unshare (util-linux) is needed");
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        errors.read_line(&mut said).unwrap();
        assert!(said.starts_with("正在监听"), "{said}");
        drop(child.stdin.take());
        errors.read_to_string(&mut said).unwrap();

        let output = child.wait_with_output().unwrap();
        assert_eq!(text(&output), printed, "{said}");
        for text in shown {
            assert!(said.contains(text), "no {text:?} in\n{said}");
        }
    }
    let ladder = [
        "SYN-RECEIVED",
        "P. 1:17(16)",
        "ESTABLISHED",
        "over: 3 bytes in",
    ];
    check(
        "password",
        "123\\n",
        "连接成功\n请输入密码:\n进入成功\n",
        &ladder,
    );
    check(
        "password",
        "no\\n",
        "连接成功\n请输入密码:\n密码错误\n",
        &["over: 2 bytes in"],
    );
    let log = [
        "in 1: udp (11)",
        "Received from 192.0.2.1:",
        "out 2: udp (5)",
    ];
    check("hello", "", "Hello\n", &log);
}

/// Cargo builds the examples with the tests, beside the program.
fn example(name: &str) -> PathBuf {
    let path = Path::new(TCPLAB).with_file_name("examples").join(name);
    assert!(
        path.exists(),
        "cargo build --examples makes {}",
        path.display()
    );
    path
}

/// A shell in a network namespace of its own. All that it starts ends with it, and with the test.
fn own_network(script: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args(["30", "unshare", "--net"]);
    if !geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--pid", "--fork", "--kill-child", "sh", "-c", script]);
    command
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}
