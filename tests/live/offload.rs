//! `--offload` and `--busy-poll`: large packets and partial checksums between the kernel's TCP and ours.

use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::helper::{self, User};
use crate::rig::{Running, clean, command, python, run_python, start, tcplab};
use crate::serve::{serve, shell};

const ECHO: &str = include_str!("programs/echo.py");
const CHECKSUMS: &str = include_str!("programs/offload.py");
const FEATURES: &str = include_str!("programs/features.py");

/// Both versions of IP, and what the echo's client says of each.
const BOTH: [&str; 2] = ["192.0.2.2", "2001:db8::2"];
const INTACT: &str = "192.0.2.2 intact\n2001:db8::2 intact\n";
const MEBIBYTES: &str = "3000000";

#[test]
fn large_packets_cross_both_ways_intact() {
    let file = Scratch::new("large.json");
    let options = [
        "--offload",
        "--buffer",
        "1M",
        "--quiet",
        "--json",
        file.path(),
    ];
    run_python(&options, ECHO, &[BOTH[0], BOTH[1], MEBIBYTES]).expect(0, INTACT);
    let packets = packets(&file.0);
    for address in BOTH {
        for direction in ["in", "out"] {
            let longest = longest(&packets, direction, address);
            assert!(longest > 10_000, "{direction} {address}: {longest}");
        }
    }
    // Nothing of it is called wrong.
    assert!(
        packets
            .iter()
            .all(|packet| packet["tcp"]["checksum_ok"] == true)
    );
    assert!(
        packets
            .iter()
            .all(|packet| packet["fate"]["kind"] == "delivered")
    );
}

#[test]
fn without_the_option_nothing_is_larger_than_the_mtu() {
    let file = Scratch::new("small.json");
    let options = ["--quiet", "--json", file.path()];
    run_python(&options, ECHO, &[BOTH[0], BOTH[1], MEBIBYTES]).expect(0, INTACT);
    let packets = packets(&file.0);
    for address in BOTH {
        for direction in ["in", "out"] {
            assert_eq!(longest(&packets, direction, address), 1500);
        }
    }
}

#[test]
fn a_busy_loop_serves_as_well() {
    for options in [
        &["-q", "--busy-poll"][..],
        &["-q", "--busy-poll=7", "--offload"],
    ] {
        run_python(options, ECHO, &[BOTH[0], BOTH[1], MEBIBYTES]).expect(0, INTACT);
        // Whoever does nothing but look for packets still sees the command's end.
        tcplab(&[&["run"], options, &["--", "true"]].concat()).expect(0, "");
    }
}

#[test]
fn a_client_of_ours_sends_and_takes_large_packets() {
    let server = "import socket; s = socket.create_server(('192.0.2.1', 7000)); c, _ = s.accept()
while data := c.recv(100000): c.sendall(data)";
    let line = "x".repeat(200_000);
    let file = Scratch::new("client.json");
    let mut client = command(&["connect", "--offload", "-q", "--json", file.path(), "echo"]);
    client.args(["192.0.2.1:7000", "--", python(), "-c", server]);
    let said = crate::rig::with_input(&mut client, &format!("{line}\n"));
    said.expect(0, &format!("{line}\n"));
    let packets = packets(&file.0);
    for direction in ["in", "out"] {
        let longest = longest(&packets, direction, "192.0.2.2");
        assert!(longest > 3000, "{direction}: {longest}");
    }
}

#[test]
fn captures_of_large_packets_can_be_read() {
    let file = Scratch::new("large.pcapng");
    let options = ["--offload", "--quiet", "-w", file.path()];
    run_python(&options, ECHO, &[BOTH[0], BOTH[1], MEBIBYTES]).expect(0, INTACT);
    let tshark = |filter: &str| {
        let output = Command::new("tshark")
            .args(["-r", file.path(), "-Y", filter])
            .output()
            .expect("this test needs tshark: apt install tshark");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_ne!(tshark("ip.len > 10000"), "");
    assert_ne!(tshark("ipv6.plen > 10000"), "");
    assert_eq!(tshark("_ws.malformed || _ws.expert.severity == error"), "");
    // We read it ourselves as well.
    let explained = tcplab(&["explain", file.path()]);
    assert_eq!(explained.code, 0, "{}", explained.stderr);
    assert!(
        !explained.stderr.contains("checksum"),
        "{}",
        explained.stderr
    );
}

#[test]
fn a_corrupt_packet_is_refused_and_a_partial_checksum_is_not() {
    helper::run("checksums", User::OwnNetwork);
}

#[test]
fn what_the_last_user_of_a_tun_has_set_is_gone() {
    helper::run("features", User::OwnNetwork);
}

pub(crate) fn checksums() {
    let names = || {
        let mut sender = clean(python(), &["-c", CHECKSUMS, "tcplab0"]);
        let said = start(&mut sender).finish();
        assert_eq!(said.code, 0, "{}", said.stderr);
        said.text().to_owned()
    };
    let (server, _) = serve(command(&["serve", "-q", "--offload"]));
    assert_eq!(names(), "right\npartial\nend\n");
    stop(server);
    // Without offload the kernel fills in what it was asked to, whatever stood there.
    let (server, _) = serve(command(&["serve", "-q"]));
    assert_eq!(names(), "right\npartial\nend\n");
    stop(server);
}

pub(crate) fn features() {
    const ON: &str = "checksums 1 segmentation 1\n";
    const OFF: &str = "checksums 0 segmentation 0\n";
    let features = || {
        let mut asked = clean(python(), &["-c", FEATURES, "tcplab0"]);
        start(&mut asked).finish().text().to_owned()
    };
    let echo = || {
        let mut client = clean(python(), &["-c", ECHO, BOTH[0], BOTH[1], MEBIBYTES]);
        start(&mut client).finish().expect(0, INTACT);
    };
    let made = "ip tuntap add tcplab0 mode tun && ip addr add 192.0.2.1/24 dev tcplab0 \
        && ip -6 addr add 2001:db8::1/64 dev tcplab0 nodad && ip link set tcplab0 up";
    assert_eq!(shell(made), "");
    // It was made without IFF_VNET_HDR, and gets and loses it with each user.
    for (options, expected) in [
        (&["serve", "-q"][..], OFF),
        (&["serve", "-q", "--offload"], ON),
        (&["serve", "-q"], OFF),
        (&["serve", "-q", "--offload"], ON),
    ] {
        let (server, ready) = serve(command(options));
        assert!(ready.starts_with("ready: attached"), "{ready}");
        assert_eq!(features(), expected, "{options:?}");
        echo();
        stop(server);
    }
}

fn stop(server: Running) {
    server.signal(Signal::SIGTERM);
    server.finish().expect(0, "");
}

/// The packets of a file of JSON lines.
fn packets(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines
        .filter(|event: &Value| event["kind"] == "packet")
        .collect()
}

/// The length of the longest packet in that direction; `ours` is our end's address.
fn longest(packets: &[Value], direction: &str, ours: &str) -> u64 {
    let end = match direction {
        "in" => "dst",
        _ => "src",
    };
    let lengths = packets
        .iter()
        .filter(|packet| packet["direction"] == direction && packet["ip"][end] == ours)
        .map(|packet| packet["length"].as_u64().unwrap());
    lengths.max().unwrap_or(0)
}

/// A file that is gone at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let name = format!("tcplab-offload-{}-{name}", std::process::id());
        Scratch(std::env::temp_dir().join(name))
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
