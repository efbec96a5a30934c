//! `tcplab run`: the password by nc, exit codes, and output that stays what the command wrote.

use crate::rig::{as_nobody, command, run, run_python, start, tcplab, with_input};

#[test]
fn the_password_by_nc() {
    for (typed, answer) in [("123\n", "进入成功"), ("124\n", "密码错误")] {
        let arguments = ["run", "--quiet", "--", "nc", "-w", "5", "lab.test", "1111"];
        for mut tcplab in [command(&arguments), as_nobody(&arguments)] {
            let said = with_input(&mut tcplab, typed);
            let said = said.expect(0, &format!("请输入密码:{answer}"));
            assert_eq!(said.stderr, "");
        }
    }
}

#[test]
fn exit_codes_are_the_commands_own() {
    for (line, code) in [
        ("exit 0", 0),
        ("exit 1", 1),
        ("exit 77", 77),
        ("kill -KILL $$", 137),
        ("kill -TERM $$", 143),
    ] {
        let said = run(&[], line).expect(code, "");
        said.shows(&[
            "No packets reached tcplab.\nInside the lab, tcplab is lab.test (192.0.2.2).\n",
        ]);
    }
    assert_eq!(tcplab(&["run", "--", "false"]).code, 1);
}

#[test]
fn what_cannot_be_run_is_told() {
    for (program, words) in [
        ("nosuchcommand", "tcplab: no such command: nosuchcommand\n"),
        (
            "/etc/passwd",
            "tcplab: cannot run /etc/passwd: Permission denied\n",
        ),
        (
            "/nonexistent/true",
            "tcplab: no such command: /nonexistent/true\n",
        ),
    ] {
        let said = tcplab(&["run", "--", program]).expect(2, "");
        assert_eq!(said.stderr, words);
    }
}

#[test]
fn the_commands_output_is_left_alone() {
    let bytes: String = (1..=255).map(|byte| format!("\\{byte:03o}")).collect();
    let line = format!("printf '{bytes}' | nc -N lab.test 7; printf 'seen' >&2");
    let said = run(&[], &line);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(said.stdout, (1..=255).collect::<Vec<u8>>());
    said.shows(&["connects to echo on", "255 bytes in"]);
    assert!(said.stderr.contains("seen"));

    let quiet = run(&["--quiet"], "echo hello | nc -N lab.test 7").expect(0, "hello\n");
    assert_eq!(quiet.stderr, "");
}

#[test]
fn nobody_needs_to_listen() {
    let line = "run -- sh -c 'echo hello | nc -N lab.test 7'";
    // Standard error is closed.
    let mut shell = crate::rig::clean("sh", &["-c", &format!("\"$TCPLAB\" {line} 2>&-")]);
    start(shell.env("TCPLAB", crate::rig::TCPLAB))
        .finish()
        .expect(0, "hello\n");
    // Nobody reads it.
    let arguments = ["run", "--", "sh", "-c", "echo hello | nc -N lab.test 7"];
    for options in [None, Some("tcplab=debug")] {
        let mut command = command(&arguments);
        command.envs(options.map(|level| ("RUST_LOG", level)));
        let mut child = command.spawn().unwrap();
        drop(child.stderr.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(output.stdout, b"hello\n");
    }
}

#[test]
fn the_log_tells_what_the_ladder_draws() {
    let mut logged = command(&[
        "run",
        "-q",
        "--",
        "sh",
        "-c",
        "echo hello | nc -N lab.test 7",
    ]);
    let said = start(logged.env("RUST_LOG", "tcplab=debug")).finish();
    said.expect(0, "hello\n").shows(&[
        "INFO  tcplab] #1 [2001:db8::1]:",
        "DEBUG tcplab] #1 in 1: S 0:0(0) win ",
        "INFO  tcplab] #1 LISTEN -> SYN-RECEIVED (segment 1)",
        "DEBUG tcplab] #1 out 2: S. 0:0(0) ack 1 win ",
        "SYN-RECEIVED -> ESTABLISHED",
        "P. 1:7(6) ack 1",
        "ESTABLISHED -> CLOSE-WAIT",
        "CLOSE-WAIT -> LAST-ACK (CLOSE)",
        "LAST-ACK -> CLOSED",
        "over",
    ]);
}

/// A connection that stays open does not keep the exit code: a suite of tests measures the time-out of its client. A machine may be
/// slow, so what is compared are two waits that one machine makes, and they lie far apart.
#[test]
fn a_silent_connection_keeps_nothing_waiting() {
    let line = "curl -sS --max-time 1 http://192.0.2.19/";
    let took = |options: &[&str]| {
        let since = std::time::Instant::now();
        let said = run(options, line).expect(28, "");
        // Its fault drops the first three SYN-ACKs.
        said.shows(&["closed  not yet, SYN-RECEIVED"]);
        (since.elapsed(), said)
    };
    let ((usual, _), (long, seen)) = (took(&[]), took(&["--linger", "6"]));
    // In the six seconds a SYN-ACK is due again, and lost again.
    seen.shows(&["out     0 bytes in 3 segments", "3 dropped"]);
    assert!(
        usual + std::time::Duration::from_secs(1) < long,
        "{usual:?} {long:?}"
    );
}

/// What is still going on when the command ends is seen to its end, as long as that takes no longer than was said.
#[test]
fn the_end_of_a_connection_is_waited_for() {
    let program = "import socket; socket.create_connection(('192.0.2.2', 7)).close()";
    let both = "closed  by the peer first (FIN), then by tcplab (FIN)\n";
    let slow = |time: &str, options: &[&str]| {
        let rule = format!("delay {time} out FIN");
        run_python(&[&["--rule", &rule], options].concat(), program, &[]).expect(0, "")
    };
    slow("100ms", &[]).shows(&["▶ CLOSED", both]);
    slow("9s", &[])
        .shows(&["closed  by the peer first (FIN), then by tcplab (FIN), now LAST-ACK\n"]);
    slow("1s", &["--linger", "3"]).shows(&["▶ CLOSED", both]);
}
