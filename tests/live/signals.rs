//! Ctrl-C, kill, and what a terminal shows.

use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::rig::{Outcome, Running, TCPLAB, clean, command, python, start};

/// Runs its arguments in a terminal, types Ctrl-C once "typing" is read, and prints what the terminal shows.
const TERMINAL: &str = "import os, pty, sys
pid, terminal = pty.fork()
if not pid: os.execvp(sys.argv[1], sys.argv[1:])
shown = b''
while True:
    try: more = os.read(terminal, 4096)
    except OSError: break
    if b'typing' in more: os.write(terminal, b'\\x03')
    shown += more
os.write(1, shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

fn in_terminal(variables: &[(&str, &str)], line: &str) -> Outcome {
    let arguments = ["-c", TERMINAL, TCPLAB, "run", "--", "bash", "-c", line];
    let mut terminal = clean(python(), &arguments);
    terminal
        .env("TERM", "xterm")
        .envs(variables.iter().copied());
    start(&mut terminal).finish()
}

#[test]
fn ctrl_c_reaches_the_command() {
    let line = "exec 3<>/dev/tcp/lab.test/7; echo typing; sleep 20";
    let said = in_terminal(&[], line);
    assert_eq!(said.code, 130, "{said:?}");
    crate::rig::in_order(
        said.text(),
        &["typing", "^C", "connects to echo", "ESTABLISHED"],
    );
}

#[test]
fn colours_only_for_those_who_want_them() {
    let line = "echo hi | nc -N lab.test 7";
    for (variables, coloured) in [
        (&[][..], true),
        (&[("NO_COLOR", "1")], false),
        (&[("NO_COLOR", "")], true),
        (&[("TERM", "dumb")], false),
    ] {
        let said = in_terminal(variables, line);
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.text().contains("SYN-RECEIVED"), "{said:?}");
        assert_eq!(
            said.text().contains('\x1b'),
            coloured,
            "{variables:?} {said:?}"
        );
    }
}

#[test]
fn a_signal_is_passed_on() {
    for (signal, line, code) in [
        (
            Signal::SIGTERM,
            "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done",
            7,
        ),
        (Signal::SIGTERM, "echo ready; exec sleep 20", 143),
        (Signal::SIGINT, "echo ready; exec sleep 20", 130),
        (Signal::SIGHUP, "echo ready; exec sleep 20", 129),
    ] {
        let running = started(&["run", "--", "bash", "-c", line], "ready\n");
        running.signal(signal);
        let said = running.finish();
        assert_eq!(said.code, code, "{signal} {line}: {said:?}");
        said.shows(&["No packets reached tcplab."]);
    }
}

/// After the command's end its connections may take two seconds to close, unless somebody is in a hurry.
#[test]
fn a_signal_ends_the_wait_for_connections() {
    let line =
        "(exec 3<>/dev/tcp/lab.test/7; sleep 3) >/dev/null 2>&1 & sleep 0.3; echo gone; exit 5";
    let running = started(&["run", "--", "bash", "-c", line], "gone\n");
    std::thread::sleep(Duration::from_millis(300));
    let since = Instant::now();
    running.signal(Signal::SIGINT);
    let said = running.finish();
    assert!(
        since.elapsed() < Duration::from_secs(1),
        "{:?}",
        since.elapsed()
    );
    assert_eq!(said.code, 5, "{said:?}");
    said.shows(&["connects to echo", "ESTABLISHED"]);
}

/// A program that has said `sign` on its standard output; that is read no further.
fn started(arguments: &[&str], sign: &str) -> Running {
    let mut command = command(arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let (mut reader, writer) = std::io::pipe().unwrap();
    child = child.stdout(writer);
    let running = start(child);
    drop(command);
    let mut read = vec![0; sign.len()];
    reader.read_exact(&mut read).unwrap();
    assert_eq!(String::from_utf8_lossy(&read), sign);
    running
}
