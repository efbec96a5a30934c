//! How connections end, and those that never begin.

use std::time::{Duration, Instant};

use crate::rig::{Outcome, run, run_python};

fn socket_program(steps: &str) -> Outcome {
    let program = format!("import socket, struct\n{steps}");
    let said = run_python(&[], &program, &[]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    said
}

#[test]
fn the_client_closes_first() {
    let said = socket_program(
        "s = socket.create_connection(('lab.test', 7)); s.send(b'abc'); print(s.recv(9)); s.close()",
    );
    // The kernel is asked, and may be in FIN-WAIT-1 before the FIN has come.
    said.shows(&["FIN-WAIT-1   ", "TIME-WAIT    ◀─ F. 4:4(0) ack 5 ─"]);
    said.expect(0, "b'abc'\n").shows(&[
        "── F. 4:4(0) ack 4 ─",
        "▶ CLOSE-WAIT",
        "◀─ . ack 5 ─",
        "CLOSE-WAIT → LAST-ACK (CLOSE)",
        "◀─ F. 4:4(0) ack 5 ─",
        ". ack 5 ─",
        "▶ CLOSED",
        "closed  by the peer first (FIN), then by tcplab (FIN)\n",
    ]);
}

/// The password service gives the client two seconds. The client waits before it closes too: its kernel is asked just
/// after our FIN, and would be in LAST-ACK by then if the client were quick.
#[test]
fn the_server_closes_first() {
    let said = socket_program(
        "s = socket.create_connection(('192.0.2.2', 1111)); s.recv(99); s.send(b'123'); s.recv(99)
import time; start = time.monotonic(); print(s.recv(99)); print(round(time.monotonic() - start)); time.sleep(0.5)",
    );
    said.expect(0, "b''\n2\n").shows(&[
        "ESTABLISHED → FIN-WAIT-1 (CLOSE)",
        "CLOSE-WAIT   ◀─ F. 29:29(0) ack 4 ─",
        "── . ack 30 ─",
        "▶ FIN-WAIT-2",
        "── F. 4:4(0) ack 30 ─",
        "TIME-WAIT",
        "CLOSED       ◀─ . ack 5 ─",
        "closed  by tcplab first (FIN), then by the peer (FIN), now TIME-WAIT\n",
    ]);
}

#[test]
fn a_reset_ends_it_at_once() {
    let said = socket_program(
        "s = socket.create_connection(('lab.test', 7)); s.send(b'abc'); s.recv(9)
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0)); s.close()",
    );
    said.shows(&["── R. 4:4(0) ack 4 ─", "▶ CLOSED"]);
    said.shows(&["closed  by the peer (RST)\n"]);
}

#[test]
fn half_closed_data_still_flows() {
    let said = socket_program(
        "s = socket.create_connection(('lab.test', 7)); s.send(b'x' * 5000); s.shutdown(socket.SHUT_WR)
print(sum(map(len, iter(lambda: s.recv(99999), b''))))",
    );
    said.expect(0, "5000\n")
        .shows(&["▶ CLOSE-WAIT", "LAST-ACK (CLOSE)", "▶ CLOSED"]);
    let line = "echo 123 | nc -N lab.test 1111";
    run(&[], line).expect(0, "请输入密码:进入成功");
}

#[test]
fn a_closed_port_refuses_at_once() {
    for (version, address) in [("-4", "192.0.2.1"), ("-6", "2001:db8::1")] {
        let since = Instant::now();
        let said = run(&[], &format!("nc {version} -v -N lab.test 4 </dev/null"));
        // Without the reset, nc would wait for minutes.
        assert!(since.elapsed() < Duration::from_secs(10));
        assert_eq!(said.code, 1);
        said.shows(&["Connection refused"]);
        said.shows(&["in S ", address, "out R. 0:0(0) ack ", address]);
    }
}

/// Keep-alives keep a connection that says nothing, and TIME-WAIT lasts as long as it is told to.
#[test]
fn idle_connections_are_probed() {
    let program =
        "import socket, time\ns = socket.create_connection(('192.0.2.2', 7)); time.sleep(1)";
    let said = run_python(&["--keep-alive", "0.3"], program, &[]).expect(0, "");
    let probes = said.stderr.matches("◀─ . ack 1 ").count();
    assert!((2..=4).contains(&probes), "{}", said.stderr);
}

#[test]
fn time_wait_lasts_as_long_as_it_is_told_to() {
    let program = "import socket, time
s = socket.create_connection(('192.0.2.2', 1111)); s.recv(99); s.send(b'1')
while s.recv(99): pass
s.close(); time.sleep(1)";
    let said = run_python(&["--time-wait", "0.5"], program, &[]).expect(0, "");
    said.shows(&["TIME-WAIT → CLOSED (TIME-WAIT timeout)", "TIME-WAIT 50"]);
}

/// The peer is there no more: its interface is down.
#[test]
fn the_user_timeout_gives_up() {
    let line = "exec 3<>/dev/tcp/192.0.2.2/19; ip link set tun0 down; sleep 1.5";
    let arguments = ["run", "--user-timeout", "0.7", "--", "bash", "-c", line];
    let said = crate::rig::tcplab(&arguments);
    // Only root may take the lab's interface down.
    if nix::unistd::geteuid().is_root() {
        said.shows(&["(user timeout)"]);
    }
}

/// The client is so quick to close that its kernel is often in FIN-WAIT-1 when our SYN-ACK has just reached it. The column tells what the
/// segments show all the same, and the kernel's word stands apart.
#[test]
fn no_state_of_a_quick_peer_is_skipped() {
    const COUNT: usize = 20;
    let said = socket_program(&format!(
        "for n in range({COUNT}): socket.create_connection(('192.0.2.2', 7)).close()"
    ));
    for flow in 1..=COUNT {
        let tag = format!(" #{flow} ");
        let states: Vec<&str> = said
            .stderr
            .lines()
            .filter_map(|line| line.split_once(&tag))
            .filter(|(time, _)| time.parse::<f64>().is_ok())
            .filter_map(|(_, line)| line.split_whitespace().next())
            .filter(|word| {
                word.contains("-SENT")
                    || word.contains("WAIT-")
                    || word.contains("-WAIT")
                    || *word == "ESTABLISHED"
            })
            // What we do without a segment stands in the same lines.
            .filter(|word| !["CLOSE-WAIT"].contains(word))
            .collect();
        let expected = [
            "SYN-SENT",
            "ESTABLISHED",
            "FIN-WAIT-1",
            "FIN-WAIT-2",
            "TIME-WAIT",
        ];
        assert_eq!(states, expected, "{}", said.stderr);
    }
}
