//! Four programs that know nothing of tcplab, unchanged: a password server and its client over TCP, a hello server and
//! its client over UDP, each with Python's socket module, and each at 127.0.0.1. Also with another address in its place.

use crate::rig::{Outcome, command, in_order, python, with_input};

const TCP_CLIENT: &str = include_str!("seed/tcp_client.py");
const TCP_SERVER: &str = include_str!("seed/tcp_server.py");
const UDP_CLIENT: &str = include_str!("seed/udp_client.py");
const UDP_SERVER: &str = include_str!("seed/udp_server.py");

/// With 127.0.0.1 leading to tcplab, and with tcplab's own address in the program.
fn clients(program: &str, input: &str) -> [Outcome; 2] {
    let renamed = program.replace("127.0.0.1", "192.0.2.2");
    let ways: [(&[&str], &str); 2] = [
        (&["run", "--as-localhost", "1111"], program),
        (&["run"], &renamed),
    ];
    ways.map(|(run, program)| {
        let mut tcplab = command(&[run, &["--", python(), "-c", program]].concat());
        with_input(&mut tcplab, input)
    })
}

/// Python would keep back what the server prints, where that is no terminal, until the server is killed.
fn servers(service: &str, program: &str, input: &str) -> [Outcome; 2] {
    ["127.0.0.1", "192.0.2.1"].map(|address| {
        let program = program.replace("127.0.0.1", address);
        let peer = format!("{address}:1111");
        let mut tcplab = command(&["connect", service, &peer, "--", python(), "-c", &program]);
        with_input(tcplab.env("PYTHONUNBUFFERED", "1"), input)
    })
}

#[test]
fn the_tcp_client() {
    for (typed, answer) in [("123", "进入成功"), ("wrong", "密码错误")] {
        for said in clients(TCP_CLIENT, &format!("{typed}\n")) {
            let said = said.expect(0, &format!("连接成功\n请输入密码:\n{answer}\n"));
            let (prompt, sent) = ("\"请输入密码:\"", format!("\"{typed}\""));
            said.shows(&["connects to password", "▶ ESTABLISHED"]);
            said.shows(&[prompt, &sent, answer, "CLOSED"]);
            said.shows(&["closed  by the peer first (FIN), then by tcplab (FIN)"]);
        }
    }
}

#[test]
fn the_udp_client() {
    for said in clients(UDP_CLIENT, "") {
        let said = said.expect(0, "Hello\n");
        said.shows(&["hello: Received from ('192.0.2.1', "]);
        said.shows(&["1 datagram in (11 bytes), 1 out (5 bytes)"]);
    }
}

#[test]
fn the_tcp_server() {
    for (typed, answer) in [("123", "进入成功"), ("wrong", "密码错误")] {
        for said in servers("password", TCP_SERVER, &format!("{typed}\n")) {
            assert_eq!(said.code, 0, "{}", said.stderr);
            let lines = sorted(&said);
            let mut expected = vec!["正在监听...", "连接成功", "请输入密码:", answer];
            expected.sort();
            assert_eq!(lines, expected);
            in_order(said.text(), &["连接成功\n", "请输入密码:\n", answer]);
            said.shows(&[
                "CLOSED → SYN-SENT (OPEN)",
                "SYN-RECEIVED ",
                "▶ ESTABLISHED",
                "ESTABLISHED → FIN-WAIT-1 (CLOSE)",
                "▶ FIN-WAIT-2",
                // The server never closes; its end does.
                "LAST-ACK ",
                "▶ TIME-WAIT",
                "opened  by tcplab (active open)",
                "closed  by tcplab first (FIN), then by the peer (FIN)",
            ]);
        }
    }
}

#[test]
fn the_udp_server() {
    for said in servers("hello", UDP_SERVER, "") {
        assert_eq!(said.code, 0, "{}", said.stderr);
        in_order(
            said.text(),
            &["正在监听 UDP on 1111...", "\nReceived from ('192.0.2.2', "],
        );
        assert!(sorted(&said).contains(&"Hello"), "{said:?}");
        said.shows(&[
            "\"Hello Sever\"",
            "\"Hello\"",
            "1 datagram in (5 bytes), 1 out (11 bytes)",
        ]);
    }
}

/// Server and client write at the same time.
fn sorted(said: &Outcome) -> Vec<&str> {
    let mut lines: Vec<&str> = said.text().lines().collect();
    lines.sort();
    lines
}
