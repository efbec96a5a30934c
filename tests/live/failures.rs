//! What fails around a run: each ends it with a clear message, or is said while the run goes on.

use std::fs;
use std::io::Read;
use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::helper::{self, User};
use crate::rig::{
    Outcome, TCPLAB, as_nobody, clean, command, in_order, python, run, start, tcplab, unshared,
};
use crate::serve::{serve, shell};

/// Twenty pages: more than what the small disks have room for.
const PAGES: &str = "for i in 1 2 3 4 5 6 7 8 9 10; do curl -s -o /dev/null http://lab.test/; done";

/// Runs a shell's line where /mnt is a disk of 16 KiB.
#[track_caller]
fn with_small_disk(line: &str) -> Outcome {
    let line = format!("mount -t tmpfs -o size=16k none /mnt && {line}");
    start(&mut unshared(&["--mount"], &line)).finish()
}

#[test]
fn a_full_disk_ends_the_file_and_not_the_run() {
    for option in [
        "--json /mnt/out.jsonl",
        "-w /mnt/out.pcapng",
        "--report /mnt/out.svg",
        "--report /mnt/out.html",
    ] {
        let run = format!(
            "\"$TCPLAB\" run -q {option} -- sh -c '{PAGES}; echo done; exit 7'; \
             code=$?; stat -c %s /mnt/out.*; exit $code"
        );
        let said = with_small_disk(&run);
        // What fits is there.
        let said = said.expect(7, "done\n16384\n");
        in_order(
            &said.stderr,
            &["/mnt/out.", "No space left on device", "the run continues"],
        );
    }
}

#[test]
fn a_full_standard_output_is_an_error() {
    for arguments in ["help rules", "help", "rules", "faults", "--version"] {
        let line = format!("exec \"$TCPLAB\" {arguments} >/dev/full");
        let said = start(&mut unshared(&[], &line)).finish();
        let said = said.expect(2, "");
        assert_eq!(
            said.stderr, "tcplab: No space left on device (os error 28)\n",
            "{arguments}"
        );
    }
    let line = format!("\"$TCPLAB\" run -q --json - -- sh -c '{PAGES}; exit 7' >/dev/full");
    let said = start(&mut unshared(&[], &line)).finish().expect(7, "");
    let expected = [
        "standard output: No space left on device",
        "the run continues",
    ];
    in_order(&said.stderr, &expected);
}

#[test]
fn whoever_has_read_enough_may_go() {
    for arguments in ["help rules", "rules", "faults"] {
        let line = format!("{{ \"$TCPLAB\" {arguments}; echo $? >&2; }} | head -n 1 >/dev/null");
        let said = start(&mut unshared(&[], &line)).finish().expect(0, "");
        assert_eq!(said.stderr, "0\n", "{arguments}");
    }
    // The command goes on, although nobody reads the events.
    let line = format!(
        "{{ \"$TCPLAB\" run -q --json - -- sh -c '{PAGES}; echo done >&2; exit 7'; echo $? >&2; }} \
         | head -n 1 >/dev/null"
    );
    let said = start(&mut unshared(&[], &line)).finish().expect(0, "");
    assert_eq!(said.stderr, "done\n7\n");
}

#[test]
fn nobody_has_to_see_it() {
    // Closed, and a pipe that nobody reads.
    for nobody in ["2>&-", "2>&1 >/dev/null | true"] {
        let line = format!("set -o pipefail; \"$TCPLAB\" run -- sh -c '{PAGES}; exit 7' {nobody}");
        let said = start(clean("bash", &["-c", &line]).env("TCPLAB", TCPLAB));
        said.finish().expect(7, "");
    }
}

/// Nothing that is opened later may take the places of the standard streams, and be written to in their stead.
#[test]
fn no_standard_streams_at_all() {
    let folder = std::env::temp_dir().join(format!("tcplab-streams-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("events.jsonl");
    let line = format!(
        "exec \"$TCPLAB\" run --json {} -- curl -s http://lab.test/ <&- >&- 2>&-",
        file.display()
    );
    let mut command = clean("bash", &["-c", &line]);
    // curl can't write its page.
    let outcome = start(command.env("TCPLAB", TCPLAB)).finish();
    let events = fs::read_to_string(&file).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    assert!(events.lines().count() > 5, "{outcome:?}\n{events}");
    assert!(
        events
            .lines()
            .all(|line| line.starts_with("{\"version\":1,")),
        "{events}"
    );
}

#[test]
fn files_that_cannot_be_used_are_named() {
    #[track_caller]
    fn check(arguments: &[&str], expected: &str) {
        let said = tcplab(arguments).expect(2, "");
        in_order(&said.stderr, &[expected]);
    }
    check(
        &["explain", "/nonexistent"],
        "tcplab: cannot explain /nonexistent: No such file or directory",
    );
    check(
        &["explain", "/"],
        "tcplab: cannot explain /: cannot read on at byte 0: Is a directory",
    );
    check(
        &["run", "--json", "/nonexistent/x", "--", "true"],
        "tcplab: cannot create /nonexistent/x: No such file or directory",
    );
    check(
        &["run", "-w", "/", "--", "true"],
        "tcplab: cannot create /: Is a directory",
    );
    check(
        &["run", "--rules", "/nonexistent", "--", "true"],
        "'/nonexistent' for '--rules <FILE>': cannot read it: No such file or directory",
    );
    // For a scenario it is a result, as the others run.
    let said = tcplab(&["test", "/nonexistent.toml"]).expect_code(2);
    let expected = "/nonexistent.toml: cannot read it: No such file or directory";
    in_order(said.text(), &["not ok 1", expected]);
    in_order(&said.stderr, &["tcplab: ", expected]);
}

/// By whoever has no privilege to read it all the same.
#[test]
fn a_file_that_may_not_be_read_is_named() {
    let folder = std::env::temp_dir().join(format!("tcplab-unreadable-{}", std::process::id()));
    let shut = folder.join("shut.toml");
    fs::create_dir_all(&folder).unwrap();
    fs::write(&shut, "drop out SYN-ACK #1\n").unwrap();
    for (path, mode) in [(&folder, 0o755), (&shut, 0)] {
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    }
    let shut = shut.to_str().unwrap();
    for arguments in [
        &["explain", shut][..],
        &["run", "--rules", shut, "--", "true"],
        &["run", "--step-from", shut, "--", "true"],
        &["test", shut],
    ] {
        let said = start(&mut as_nobody(arguments)).finish().expect_code(2);
        in_order(&said.stderr, &[shut, "Permission denied"]);
    }
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_tun_that_is_taken_away_ends_the_run() {
    helper::run("taken", User::OwnNetwork);
}

pub(crate) fn taken() {
    let folder = std::env::temp_dir().join(format!("tcplab-taken-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (events, report) = (folder.join("events.jsonl"), folder.join("report.svg"));
    let arguments = ["serve", "--json", events.to_str().unwrap()];
    let report_option = ["--report", report.to_str().unwrap()];
    let (serve, _) = serve(command(&[&arguments[..], &report_option].concat()));
    shell("curl -s -o /dev/null http://192.0.2.2/");
    shell("ip link del tcplab0");
    let said = serve.finish().expect(2, "");
    // All that has happened is told, the reason last.
    said.shows(&["connects to http", "opened  by the peer"]);
    let last = said.stderr.lines().last().unwrap();
    assert!(
        last.starts_with("tcplab: the TUN tcplab0 was taken away: "),
        "{last}"
    );
    let whole = fs::read_to_string(&events).unwrap();
    assert!(
        whole.ends_with("}\n") && whole.contains("\"kind\":\"closed\""),
        "{whole}"
    );
    assert!(
        fs::read_to_string(&report)
            .unwrap()
            .trim_end()
            .ends_with("</svg>")
    );
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_tun_that_was_down_for_a_while_works_again() {
    helper::run("down", User::OwnNetwork);
}

pub(crate) fn down() {
    let (serve, _) = serve(command(&["serve", "-q"]));
    shell("ip link set tcplab0 down");
    shell("ip link set tcplab0 up");
    let page = shell("curl -s http://192.0.2.2/");
    in_order(&page, &["server      192.0.2.2:80"]);
    serve.signal(Signal::SIGTERM);
    serve.finish().expect(0, "");
}

#[test]
fn a_command_that_a_signal_has_killed_says_so_in_its_code() {
    for (signal, code) in [("SEGV", 139), ("KILL", 137), ("TERM", 143)] {
        run(&["-q"], &format!("kill -{signal} $$")).expect(code, "");
    }
}

#[test]
fn no_file_descriptors_are_left() {
    let with = |limit: u32| {
        let line = format!("ulimit -n {limit}; exec \"$TCPLAB\" run -q -- true");
        start(&mut unshared(&[], &line)).finish()
    };
    for limit in [4, 6] {
        let said = with(limit).expect(2, "");
        let (starts, why) = ("tcplab: ", "Too many open files");
        assert!(
            said.stderr.starts_with(starts) && said.stderr.contains(why),
            "{said:?}"
        );
    }
    // Connections need none.
    let line = format!("ulimit -n 32; \"$TCPLAB\" run -q -- sh -c '{PAGES}'");
    start(&mut unshared(&[], &line)).finish().expect(0, "");
}

/// Whoever reads metrics takes descriptors: when there are none left, that page waits, and TCP does not notice.
#[test]
fn idle_readers_of_metrics_keep_nobody_out() {
    helper::run("readers", User::OwnNetwork);
}

const IDLE: &str = "import socket, sys
idle = [socket.create_connection(('127.0.0.1', int(sys.argv[1]))) for _ in range(40)]
print('connected', flush=True)
sys.stdin.read()";

pub(crate) fn readers() {
    shell("ip link set lo up");
    let line = "ulimit -n 24; exec \"$TCPLAB\" serve -q --metrics 127.0.0.1:9100";
    let mut limited = clean("sh", &["-c", line]);
    limited.env("TCPLAB", TCPLAB);
    let (serving, _) = serve(limited);
    let mut idle = clean(python(), &["-c", IDLE, "9100"]);
    let mut idle = idle.stdin(Stdio::piped()).spawn().unwrap();
    let mut connected = [0; 10];
    idle.stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut connected)
        .unwrap();
    in_order(
        &shell("curl -s http://192.0.2.2/"),
        &["server      192.0.2.2:80"],
    );
    // They are sent away after some seconds.
    helper::eventually("metrics are served", || {
        shell("curl -s -m 2 http://127.0.0.1:9100/metrics || true").ends_with("# EOF\n")
    });
    drop(idle.stdin.take());
    idle.wait().unwrap();
    serving.signal(Signal::SIGTERM);
    let said = serving.finish().expect(0, "");
    assert!(!said.stderr.contains("panicked"), "{}", said.stderr);
}
