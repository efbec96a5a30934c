//! Stepping by hand, as files and FIFOs say it, with the kernel's TCP at the other end.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::helper::eventually;
use crate::rig::{TCPLAB, clean, command, start, tcplab};

const GET: [&str; 8] = [
    "--",
    "curl",
    "-4",
    "-s",
    "-o",
    "/dev/null",
    "--max-time",
    "25",
];

/// The client's kernel sends its SYN again while the SYN-ACK waits, and the connection opens when that goes on.
#[test]
fn a_syn_ack_waits_until_the_client_repeats_its_syn() {
    let orders = file("orders", "# as by hand\ncopies hold\np 1\nd 3\np 2\nc\n");
    let options = ["run", "--explain", "none", "--step-from", &orders];
    let outcome = tcplab(&[&options[..], &GET, &["http://lab.test/"]].concat());
    outcome.expect(0, "").shows(&[
        "packet 1: held (by hand)",
        "packet 1: after",
        "├─ S. 0:0(0) ack 1",
        "packet 2: held (by hand)",
        "retransmission",
        "packet 3: held (by hand)",
        "dropped (by hand)",
        "◀─ S. 0:0(0) ack 1",
        "packet 2: after",
        "▶ ESTABLISHED",
        "closed  by",
        "packets  by hand",
    ]);
}

/// Between two orders the client's kernel loses its patience, as it does with a person, and nothing that it sends again is to be
/// decided about.
#[test]
fn a_slow_hand_decides_once_about_each_packet() {
    let path = scratch("slow");
    mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let json = scratch("slow.json");
    let options = ["run", "--explain", "none", "--json", text(&json)];
    let steps = ["--step-from", text(&path)];
    let running = start(&mut command(
        &[&options[..], &steps, &GET, &["http://lab.test/"]].concat(),
    ));
    let lines = || fs::read_to_string(&json).unwrap_or_default();
    let count = |what: &str| lines().matches(what).count();
    let mut orders = 0;
    loop {
        let is_over = || count("\"kind\":\"closed\"") > 0;
        eventually("one more waits, or it is over", || {
            count("\"kind\":\"held\"") > orders || is_over()
        });
        if is_over() {
            break;
        }
        // A SYN is sent again after a second.
        let is_handshake = orders < 2;
        if is_handshake {
            std::thread::sleep(std::time::Duration::from_millis(1200));
        }
        let mut fifo = fs::OpenOptions::new().write(true).open(&path).unwrap();
        fifo.write_all(b"p\n").unwrap();
        orders += 1;
    }
    let outcome = running.finish();
    let ladder = outcome.stderr.clone();
    outcome.expect(0, "").shows(&[
        "packet 1: held (by hand)",
        "✗",
        "packet 1, folded into it",
        "packet 1: after",
        "├─ S. 0:0(0) ack 1",
        "packet 1, folded into it",
        "▶ ESTABLISHED",
        "closed  by",
    ]);
    assert!(orders <= 16, "{orders} orders: {ladder}");
    let held = lines();
    let held = held
        .lines()
        .filter(|line| line.contains("\"kind\":\"held\"") && line.contains("\"kind\":\"packet\""));
    let again = held.filter(|line| line.contains("\"retransmission\":true"));
    assert_eq!(again.count(), 0, "{ladder}");
    assert!(count("\"kind\":\"folded\"") >= 2, "{ladder}");
}

/// The lab's kernel is patient, and only there, and only as long as somebody steps.
#[test]
fn the_kernel_inside_is_patient_while_somebody_steps() {
    let setting = "/proc/sys/net/ipv4/tcp_syn_retries";
    let usual = fs::read_to_string(setting).unwrap();
    let orders = file("patience", "c\n");
    let stepped = tcplab(&[
        "run",
        "--quiet",
        "--step-from",
        &orders,
        "--",
        "cat",
        setting,
    ]);
    stepped.expect(0, "127\n");
    assert_eq!(fs::read_to_string(setting).unwrap(), usual);
    let alone = tcplab(&["run", "--quiet", "--", "cat", setting]);
    assert_eq!(alone.stdout, usual.as_bytes());
}

#[test]
fn packets_are_edited_and_doubled() {
    let orders = file("edits", "p\ne 2 mss=536\nc until data\n2\nc\n");
    let options = ["run", "--explain", "none", "--step-from", &orders];
    let outcome = tcplab(&[&options[..], &GET, &["http://lab.test/"]].concat());
    outcome.expect(0, "").shows(&[
        "<mss 536,",
        "rewritten (by hand)",
        "meant: S. 0:0(0) ack 1 win 65535",
        "packet 4: held (by hand)",
        "×2 (by hand)",
    ]);
}

#[test]
fn a_fifo_is_written_to_again_and_again() {
    let path = scratch("fifo");
    mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let json = scratch("fifo.json");
    let options = [
        "run",
        "--quiet",
        "--json",
        text(&json),
        "--step-from",
        text(&path),
    ];
    let running = start(&mut command(
        &[&options[..], &GET, &["http://lab.test/"]].concat(),
    ));
    for (waits, order) in [(1, "p\n"), (3, "p 2\n"), (3, "c\n")] {
        let held = format!("\"kind\":\"packet\",\"id\":{waits},");
        eventually("it waits", || {
            fs::read_to_string(&json).is_ok_and(|lines| lines.contains(&held))
        });
        let mut fifo = fs::OpenOptions::new().write(true).open(&path).unwrap();
        fifo.write_all(order.as_bytes()).unwrap();
    }
    running.finish().expect(0, "");
}

#[test]
fn a_signal_ends_it_and_lets_everything_go() {
    let path = scratch("signal");
    mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let json = scratch("signal.json");
    let options = ["run", "--explain", "none", "--json", text(&json)];
    let steps = ["--step-from", text(&path)];
    let running = start(&mut command(
        &[&options[..], &steps, &GET, &["http://lab.test/"]].concat(),
    ));
    eventually("it waits", || {
        fs::read_to_string(&json).is_ok_and(|lines| lines.contains("\"held\""))
    });
    running.signal(Signal::SIGINT);
    let outcome = running.finish();
    assert_eq!(outcome.code, 130, "{}", outcome.stderr);
    outcome.shows(&["packet 1: held (by hand)", "packet 1: after"]);
}

#[test]
fn our_own_syn_waits_too() {
    let orders = file("connect", "p 1\nc\n");
    let options = ["connect", "--explain", "none", "--step-from", &orders];
    let server = "nc -l 192.0.2.1 1111 </dev/null >/dev/null";
    let connect = ["echo", "192.0.2.1:1111", "--", "sh", "-c", server];
    let outcome = tcplab(&[&options[..], &connect].concat());
    outcome.shows(&["├─ S 0:0(0)", "packet 1: after", "◀─ . ack 1"]);
}

#[test]
fn where_nobody_can_step_it_says_so() {
    let alone = start(&mut clean(
        "setsid",
        &["-w", TCPLAB, "run", "--step", "--", "true"],
    ));
    let outcome = alone.finish();
    assert_eq!(outcome.code, 2, "{}", outcome.stderr);
    outcome.shows(&[
        "tcplab: --step needs a terminal and there is none",
        "--step-from FILE",
    ]);

    let simulated = tcplab(&["demo", "--simulate", "--step-from", "/dev/null"]);
    assert_eq!(simulated.code, 2, "{}", simulated.stderr);
    simulated.shows(&["stepping needs a lab"]);

    let missing = tcplab(&["run", "--step-from", "/nowhere/orders", "--", "true"]);
    assert_eq!(missing.code, 2, "{}", missing.stderr);
    missing.shows(&["--step-from /nowhere/orders: No such file"]);
}

fn file(name: &str, orders: &str) -> String {
    let path = scratch(name);
    fs::write(&path, orders).unwrap();
    text(&path).to_owned()
}

/// A name that nothing has yet.
fn scratch(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("stepping-{name}"));
    let _ = fs::remove_file(&path);
    path
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
