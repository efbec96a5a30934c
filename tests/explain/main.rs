//! `tcplab explain`: captures of all kinds, whole, cut and damaged, and the kernel's own conversations.

mod made;
#[path = "../support/mod.rs"]
mod support;

use made::{Order, conversation, pcap, pcapng, segment};
use serde_json::Value;
use smoltcp::time::Duration as Span;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use support::{ACK, FIN, PSH, RST, SYN};
use tcplab::capture::{Capture, CaptureError, Frame, Observer};
use tcplab::event::{Cause, Event, EventKind};
use tcplab::fault::RuleSet;
use tcplab::sink::ladder::{Ladder, Options};
use tcplab::sink::story::Depth;
use tcplab::sink::{Screen, Sink, jsonl::JsonLines, pcapng::PcapNg, summary};
use tcplab::view::View;
use tcplab::words::Lang;

/// What the kernel does with itself: the client closes first, the server does, nobody listens, a reset.
const CONVERSATIONS: &str = r#"
import socket, struct, time
def server(port):
    listener = socket.socket(); listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port)); listener.listen(1); return listener
def pair(listener):
    client = socket.create_connection(listener.getsockname()); accepted, _ = listener.accept()
    client.sendall(b"ping"); assert accepted.recv(10) == b"ping"
    accepted.sendall("请输入密码:".encode()); client.recv(100)
    return client, accepted
listener = server(7001)
client, accepted = pair(listener); client.close(); assert accepted.recv(1) == b""; accepted.close()
client, accepted = pair(listener); accepted.close(); assert client.recv(1) == b""; time.sleep(0.3); client.close()
client, accepted = pair(listener)
client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); client.close()
try: socket.create_connection(("127.0.0.1", 7002)); assert False
except ConnectionRefusedError: pass
"#;

/// What is said on the device "$1" to the file "$2", while the program "$3" runs.
const CAPTURED: &str = r#"
    PATH=$PATH:/usr/sbin:/sbin
    ip link set lo up || exit 7
    tcpdump -i "$1" -n --immediate-mode -B 16384 -U -w "$2" tcp 2>"$2.said" & dump=$!
    tries=0
    until grep -q listening "$2.said"; do
        sleep 0.1; tries=$((tries+1)); [ $tries -lt 100 ] || exit 9
    done
    python3 "$3" || exit 8
    sleep 0.5; kill $dump; wait $dump
"#;

#[test]
fn the_kernels_own_conversations_are_told_as_tshark_tells_them() {
    for (device, name) in [("lo", "kernel-lo.pcap"), ("any", "kernel-any.pcap")] {
        let capture = file(name);
        let script = file("conversations.py");
        fs::write(&script, CONVERSATIONS).unwrap();
        let privileges: &[&str] = match nix::unistd::geteuid().is_root() {
            true => &[],
            // Not as root of a namespace: tcpdump would try to become somebody else.
            false => &["--map-current-user", "--keep-caps"],
        };
        let output = Command::new("unshare")
            .arg("--net")
            .args(privileges)
            .args(["sh", "-c", CAPTURED, "sh", device])
            .args([&capture, &script])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        check_against_tshark(&capture);
    }
}

fn check_against_tshark(capture: &Path) {
    let events = json(&[
        "explain",
        "--quiet",
        "--json",
        "-",
        capture.to_str().unwrap(),
    ]);
    let packets: Vec<&Value> = events
        .iter()
        .filter(|event| event["kind"] == "packet")
        .collect();
    let fields = [
        "tcp.stream",
        "tcp.srcport",
        "tcp.flags.str",
        "tcp.seq",
        "tcp.ack",
        "tcp.len",
    ];
    let mut tshark = Command::new("tshark");
    tshark
        .args(["-n", "-r"])
        .arg(capture)
        .args(["-T", "fields", "-E", "separator=,"]);
    for field in fields {
        tshark.args(["-e", field]);
    }
    let output = tshark
        .output()
        .expect("this test needs tshark: apt install tshark");
    let theirs = String::from_utf8(output.stdout).unwrap();
    let theirs: Vec<&str> = theirs.lines().collect();
    let ours: Vec<String> = packets
        .iter()
        .map(|packet| {
            let tcp = &packet["tcp"];
            let letters = tcp["flags"].as_str().unwrap();
            let flags: String = [
                ('U', 'U'),
                ('.', 'A'),
                ('P', 'P'),
                ('R', 'R'),
                ('S', 'S'),
                ('F', 'F'),
            ]
            .iter()
            .map(|&(ours, theirs)| if letters.contains(ours) { theirs } else { '·' })
            .collect();
            // A RST that nobody's SYN precedes counts from itself in tshark.
            let seq = tcp["relative_seq"].as_u64().unwrap_or(1);
            let ack = tcp["relative_ack"].as_u64().unwrap_or(0);
            format!(
                "{},{},······{flags},{seq},{ack},{}",
                packet["flow"].as_u64().unwrap() - 1,
                tcp["src_port"],
                tcp["payload_len"]
            )
        })
        .collect();
    assert_eq!(ours, theirs);
    // Loopback leaves checksums to a card that isn't there: that is no damage.
    assert!(packets.iter().all(|packet| packet["tcp"]["checksum_ok"] == true && packet["retransmission"] == false));

    let states = |flow: u64| -> Vec<&str> {
        let of_flow = events.iter().filter(|event| event["flow"] == flow);
        of_flow.filter_map(|event| event["to"].as_str()).collect()
    };
    assert_eq!(
        states(1),
        [
            "SYN-RECEIVED",
            "ESTABLISHED",
            "CLOSE-WAIT",
            "LAST-ACK",
            "CLOSED"
        ]
    );
    assert_eq!(
        states(2),
        [
            "SYN-RECEIVED",
            "ESTABLISHED",
            "FIN-WAIT-1",
            "FIN-WAIT-2",
            "TIME-WAIT"
        ]
    );
    assert_eq!(states(3), ["SYN-RECEIVED", "ESTABLISHED", "CLOSED"]);
    assert_eq!(states(4), ["CLOSED"]);
}

/// Our own capture, explained, tells what we told while it was made.
#[test]
fn our_own_capture_tells_the_same() {
    let capture = file("own.pcapng");
    let path = capture.to_str().unwrap();
    let live = json(&[
        "demo",
        "--simulate",
        "--quiet",
        "--seed",
        "1",
        "--json",
        "-",
        "-w",
        path,
    ]);
    let explained = json(&["explain", "--quiet", "--json", "-", path]);
    let told = |events: &[Value]| -> Vec<String> {
        events
            .iter()
            .filter_map(|event| match event["kind"].as_str()? {
                "transition" => Some(format!(
                    "{} {} {}",
                    event["from"], event["to"], event["cause"]
                )),
                "packet" => Some(format!(
                    "{} {} {}",
                    event["id"], event["direction"], event["tcp"]
                )),
                _ => None,
            })
            // What no packet tells.
            .filter(|event| !event.contains("time-wait"))
            .collect()
    };
    assert!(told(&live).len() > 15);
    assert_eq!(told(&live), told(&explained));
    // And once more, through a capture of the explanation.
    let again = file("again.pcapng");
    let output = tcplab(&["explain", "--quiet", "-w", again.to_str().unwrap(), path]);
    assert!(output.status.success(), "{output:?}");
    let explained = json(&["explain", "--quiet", "--json", "-", again.to_str().unwrap()]);
    assert_eq!(told(&live), told(&explained));
}

#[test]
fn every_format_and_link_layer_tells_the_same() {
    let packets = conversation();
    let expected = tell(&pcap(Order::Big, false, 101, &packets, usize::MAX)).0;
    assert!(expected.len() > 5, "{expected:?}");
    let links: [(u32, &[u8]); 14] = [
        (101, b""),
        (12, b""),
        (14, b""),
        (228, b""),
        (1, b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0"),
        (1, b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x81\0\0\x07\x08\0"),
        (
            1,
            b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x88\xa8\0\x01\x81\0\0\x07\x08\0",
        ),
        (113, b"\0\0\0\x01\0\x06\x02\0\0\0\0\x02\0\0\x08\0"),
        (276, b"\x08\0\0\0\0\0\0\x02\0\x01\0\x06\x02\0\0\0\0\x02\0\0"),
        (0, b"\x02\0\0\0"),
        (0, b"\0\0\0\x02"),
        (108, b"\0\0\0\x02"),
        (101, b""),
        (228, b""),
    ];
    for order in [Order::Big, Order::Little] {
        for (link, header) in links {
            let frames: Vec<Vec<u8>> = packets
                .iter()
                .map(|packet| [header, packet].concat())
                .collect();
            for capture in [
                pcap(order, false, link, &frames, usize::MAX),
                pcap(order, true, link, &frames, usize::MAX),
                pcapng(order, None, link, &frames),
                pcapng(order, Some(9), link, &frames),
                pcapng(order, Some(0x80 | 20), link, &frames),
            ] {
                let (told, error) = tell(&capture);
                assert!(error.is_none(), "{error:?}");
                // A resolution of 2^-20 seconds rounds a microsecond down.
                let apart = told.iter().zip(&expected).filter(|(told, expected)| {
                    told.kind != expected.kind || (expected.at - told.at) > Span::from_micros(1)
                });
                assert_eq!(
                    (told.len(), apart.count()),
                    (expected.len(), 0),
                    "link {link} {order:?}"
                );
            }
        }
    }
}

#[test]
fn no_cut_and_no_damage_stops_it() {
    for capture in [
        pcap(Order::Little, false, 101, &conversation(), usize::MAX),
        pcapng(Order::Big, Some(9), 101, &conversation()),
    ] {
        let whole = tell(&capture).0.len();
        let mut boundaries = 0;
        for len in 0..capture.len() {
            let (told, error) = tell(&capture[..len]);
            assert!(told.len() <= whole);
            match error {
                None => boundaries += 1,
                Some(CaptureError::Unknown(_)) => assert!(len < 4),
                Some(CaptureError::CutOff {
                    offset,
                    what,
                    len: wanted,
                    present,
                }) => {
                    assert_eq!(offset, len as u64, "{what}");
                    assert!(present < wanted);
                }
                Some(other) => panic!("{other}"),
            }
        }
        assert!(boundaries > conversation().len() - 1, "{boundaries}");
        for at in 0..capture.len() {
            let mut damaged = capture.clone();
            damaged[at] ^= [0x01, 0x80, 0xff][at % 3];
            // It must end, and all that is told can be shown.
            show(&tell(&damaged).0);
        }
    }
}

#[test]
fn packets_cut_by_the_capture_are_told_as_far_as_they_are_there() {
    let packets = conversation();
    let (whole, _) = tell(&pcap(Order::Little, false, 101, &packets, usize::MAX));
    for snap_len in 20..200 {
        let (told, error) = tell(&pcap(Order::Little, false, 101, &packets, snap_len));
        assert!(error.is_none(), "{error:?}");
        let text = show(&told);
        if snap_len < 40 {
            assert!(text.contains("cut after"), "{text}");
            continue;
        }
        // Everything but options and data is as it was.
        assert!(!text.contains("malformed"), "{text}");
        let notation = |events: &[Event]| -> Vec<String> {
            let segments = events.iter().filter_map(|event| match &event.kind {
                EventKind::Packet(packet) => packet.described.tcp(),
                _ => None,
            });
            segments
                .map(|segment| segment.notation(Default::default()).to_string())
                .map(|text| text.split(" <").next().unwrap_or_default().to_owned())
                .collect()
        };
        assert_eq!(notation(&told), notation(&whole));
        assert_eq!(transitions(&told), transitions(&whole));
    }
    let (v4, v6) = (["192.0.2.1", "192.0.2.2"], ["2001:db8::1", "2001:db8::2"]);
    let others: Vec<Vec<u8>> = [v4, v6]
        .iter()
        .flat_map(|[from, to]| {
            let (from, to): (IpAddr, IpAddr) = (from.parse().unwrap(), to.parse().unwrap());
            let udp = support::udp(
                SocketAddr::new(from, 5),
                SocketAddr::new(to, 7),
                b"some text",
            );
            [udp, support::ping(from, to, b"some text")]
        })
        .collect();
    for snap_len in 0..80 {
        let text = show(&tell(&pcap(Order::Little, false, 101, &others, snap_len)).0);
        assert!(snap_len < 48 || !text.contains("malformed"), "{text}");
        assert!(!text.contains("bad checksum"), "{text}");
    }
    let text = show(&tell(&pcap(Order::Little, false, 101, &packets, 60)).0);
    assert!(text.contains("captured 60 of 240 bytes"), "{text}");
}

/// Segments on a link, as `client or server, flags, seq, ack, bytes`, and the changes of the server's state with their causes.
#[test]
fn the_server_is_inferred() {
    type Row = (char, u8, u32, u32, usize);
    #[rustfmt::skip]
    let cases: [(&str, &[Row], &[&str]); 7] = [
        ("a lost SYN: the second is answered",
            &[('c', SYN, 100, 0, 0), ('c', SYN, 100, 0, 0), ('s', SYN | ACK, 500, 101, 0), ('c', ACK, 101, 501, 0)],
            &["LISTEN SYN-RECEIVED Segment(2)", "SYN-RECEIVED ESTABLISHED Segment(4)"]),
        ("nobody answers",
            &[('c', SYN, 100, 0, 0)],
            &[]),
        ("refused",
            &[('c', SYN, 100, 0, 0), ('s', RST | ACK, 0, 101, 0)],
            &["LISTEN CLOSED Segment(1)"]),
        ("in the middle, the client speaks first",
            &[('c', PSH | ACK, 100, 500, 3), ('s', ACK, 500, 103, 0), ('s', FIN | ACK, 500, 103, 0)],
            &["LISTEN ESTABLISHED Segment(1)", "ESTABLISHED FIN-WAIT-1 Call(Close)"]),
        ("in the middle, the server speaks first",
            &[('s', PSH | ACK, 500, 100, 3), ('c', FIN | ACK, 100, 503, 0), ('s', RST | ACK, 503, 101, 0)],
            &["LISTEN ESTABLISHED Segment(1)", "ESTABLISHED CLOSE-WAIT Segment(2)", "CLOSE-WAIT CLOSED Call(Abort)"]),
        ("both close at once",
            &[('c', SYN, 100, 0, 0), ('s', SYN | ACK, 500, 101, 0), ('c', ACK, 101, 501, 0), ('s', FIN | ACK, 501, 101, 0),
                ('c', FIN | ACK, 101, 501, 0), ('c', ACK, 102, 502, 0)],
            &["LISTEN SYN-RECEIVED Segment(1)", "SYN-RECEIVED ESTABLISHED Segment(3)", "ESTABLISHED FIN-WAIT-1 Call(Close)",
                "FIN-WAIT-1 CLOSING Segment(5)", "CLOSING TIME-WAIT Segment(6)"]),
        ("the same ports again",
            &[('c', SYN, 100, 0, 0), ('s', SYN | ACK, 500, 101, 0), ('c', RST, 101, 0, 0), ('c', SYN, 9000, 0, 0),
                ('s', SYN | ACK, 700, 9001, 0)],
            &["LISTEN SYN-RECEIVED Segment(1)", "SYN-RECEIVED CLOSED Segment(3)", "LISTEN SYN-RECEIVED Segment(4)"]),
    ];
    for (name, rows, expected) in cases {
        let packets: Vec<Vec<u8>> = rows
            .iter()
            .map(|&(who, flags, seq, ack, len)| segment(who, flags, seq, ack, len))
            .collect();
        let events = tell(&pcap(Order::Little, false, 101, &packets, usize::MAX)).0;
        assert_eq!(transitions(&events), expected, "{name}");
        let numbers: Vec<u64> = events.iter().map(|event| event.number).collect();
        assert_eq!(
            numbers,
            (1..=events.len() as u64).collect::<Vec<_>>(),
            "{name}"
        );
    }
}

#[test]
fn the_ladder_marks_both_ends() {
    let text = show(
        &tell(&pcap(
            Order::Little,
            false,
            101,
            &conversation(),
            usize::MAX,
        ))
        .0,
    );
    insta::assert_snapshot!(text);
}

#[test]
fn what_cannot_be_read_is_said() {
    let packets = conversation();
    let whole = pcap(Order::Little, false, 101, &packets, usize::MAX);
    let mut damaged = pcapng(Order::Little, None, 101, &packets);
    let last = damaged.len() - 4;
    damaged[last] ^= 0xff;
    let strange = pcap(Order::Little, false, 147, &packets, usize::MAX);
    for (name, bytes, code, words) in [
        ("empty", &b""[..], 2, "neither pcap nor pcapng: it is empty"),
        (
            "text",
            b"hello, world",
            2,
            "neither pcap nor pcapng: it begins with the bytes 68 65 6c 6c",
        ),
        (
            "header",
            &whole[..20],
            2,
            "cut off at byte 20: its header has 20 of its 24 bytes",
        ),
        ("cut", &whole[..whole.len() - 1], 1, "a packet has "),
        ("damaged", &damaged, 1, "damaged at byte "),
        ("strange", &strange, 2, "link type 147, which can't be read"),
        ("none", &whole[..24], 0, ""),
    ] {
        let path = file(&format!("unreadable-{name}"));
        fs::write(&path, bytes).unwrap();
        let output = tcplab(&["explain", path.to_str().unwrap()]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{name}: {said}");
        assert!(said.contains(words), "{name}: {said}");
        let shown = said.contains("ESTABLISHED");
        assert_eq!(
            shown,
            code == 1,
            "{name}: what comes before is shown: {said}"
        );
    }
    let path = file("unreadable-cut");
    let path = path.to_str().unwrap();
    for (arguments, words) in [
        (
            vec!["explain", "/nowhere/x.pcap"],
            "cannot explain /nowhere/x.pcap: No such file",
        ),
        (
            vec!["explain", "-w", path, path],
            "would be overwritten before it is read",
        ),
    ] {
        let output = tcplab(&arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(words), "{said}");
    }
    assert!(fs::metadata(path).unwrap().len() > 0);
}

/// All events of a capture, and why it could not be read any further.
fn tell(bytes: &[u8]) -> (Vec<Event>, Option<CaptureError>) {
    let mut capture = match Capture::new(bytes) {
        Ok(capture) => capture,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut observer = None;
    let mut events = Vec::new();
    let error = loop {
        match capture.next_frame() {
            Ok(Some(frame)) => {
                let Frame { time, .. } = frame;
                let observer = observer.get_or_insert_with(|| Observer::new(time));
                observer.frame(frame);
                events.extend(std::iter::from_fn(|| observer.poll_event()));
            }
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    if let Some(observer) = &mut observer {
        observer.finish();
        events.extend(std::iter::from_fn(|| observer.poll_event()));
    }
    (events, error)
}

/// Ladder and summary; JSON lines and a capture are made too, and thrown away.
fn show(events: &[Event]) -> String {
    let screen = Screen {
        width: 80,
        colour: false,
        unicode: true,
    };
    let mut ladder = Ladder::new(Options {
        screen,
        verbose: 1,
        explain: Depth::None,
        lang: Lang::En,
        time_wait: None,
        keep: false,
    });
    let (mut view, mut out, mut json) =
        (View::of_capture(), Vec::new(), JsonLines::new(Vec::new()));
    let mut capture = PcapNg::new(Vec::new(), Duration::from_secs(1 << 33)).unwrap();
    for event in events {
        view.event(event);
        capture.event(&view, event).unwrap();
        ladder.event(&view, event, &mut out).unwrap();
        json.event(&view, event).unwrap();
    }
    ladder.flush(&mut out).unwrap();
    summary::write(&view, &RuleSet::new(), Lang::En, screen, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn transitions(events: &[Event]) -> Vec<String> {
    events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Transition(change) => {
                let cause = match change.cause {
                    Cause::Segment(id) => format!("Segment({id})"),
                    other => format!("{other:?}"),
                };
                Some(format!("{} {} {cause}", change.from, change.to))
            }
            _ => None,
        })
        .collect()
}

fn json(arguments: &[&str]) -> Vec<Value> {
    let output = tcplab(arguments);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    // The demonstration prints what its client sees, too.
    let lines = text
        .lines()
        .filter_map(|line| line.find("{\"version\"").map(|start| &line[start..]));
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn tcplab(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tcplab"))
        .args(arguments)
        .output()
        .unwrap()
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}
