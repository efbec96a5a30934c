//! What each verdict does to the bytes on the wire, and to what the stack gets.

use crate::rig::{Ends, Script, Seen, play, v4, v6};
use tcplab::event::{Direction, EventKind, Fate};
use tcplab::segment::describe;
use tcplab::state::TcpState;

const SYN_ACK: &str = "0 S. 0:0(0) ack 1 <mss 1460,wscale 3,sackOK,eol>";

/// With these rules, this leaves, the service reads `read`, and our end comes into `state` at last.
#[track_caller]
fn check(rules: &[&str], script: Script, expected: &[&str], read: &str, state: Option<TcpState>) {
    let seen = play(rules, script, 1000);
    assert_eq!(seen.lines(), expected, "{rules:?}");
    assert_eq!(String::from_utf8_lossy(&seen.read), read, "{rules:?}");
    assert_eq!(seen.states().last().copied(), state, "{rules:?}");
}

/// The same with the script of `hello`.
#[track_caller]
fn check_hello(rule: &str, expected: &[&str], read: &str, state: TcpState) {
    check(&[rule], v4().hello(), expected, read, Some(state));
}

use TcpState::{Closed, Established, Listen};

#[test]
fn without_a_verdict() {
    let expected = [
        SYN_ACK,
        "20 P. 1:6(5) ack 6",
        "40 . ack 7",
        "40 F. 6:6(0) ack 7",
    ];
    check(&[], v4().hello(), &expected, "hello", Some(Closed));
}

#[test]
fn pass_ends_the_question() {
    let expected = [
        SYN_ACK,
        "20 P. 1:6(5) ack 6",
        "40 . ack 7",
        "40 F. 6:6(0) ack 7",
    ];
    check(
        &["pass in SYN", "drop in SYN"],
        v4().hello(),
        &expected,
        "hello",
        Some(Closed),
    );
}

#[test]
fn the_first_rule_decides() {
    let expected = ["5 S. 0:0(0) ack 1 <mss 1460,wscale 3,sackOK,eol>"];
    check(
        &[
            "delay 5ms out SYN-ACK",
            "drop out SYN-ACK",
            "drop in data",
            "drop in FIN",
            "drop out",
        ],
        v4().hello(),
        &expected,
        "",
        Some(Established),
    );
}

#[test]
fn drop() {
    check_hello(
        "drop out SYN-ACK #1",
        &["20 P. 1:6(5) ack 6", "40 . ack 7", "40 F. 6:6(0) ack 7"],
        "hello",
        Closed,
    );
    check_hello(
        "drop in FIN",
        &[SYN_ACK, "20 P. 1:6(5) ack 6", "50 . ack 6"],
        "hello",
        Established,
    );
    // Without a SYN there is no connection, and the rest is answered as RFC 9293, section 3.10.7.1 says.
    let resets = [
        "10 R 1:1(0)",
        "20 R 1:1(0)",
        "30 R 6:6(0)",
        "40 R 6:6(0)",
        "50 R 7:7(0)",
    ];
    check(
        &["drop in SYN"],
        v4().hello(),
        &resets.map(|line| line),
        "",
        None,
    );
}

#[test]
fn delay() {
    check_hello(
        "delay 200ms out SYN-ACK",
        &[
            "20 P. 1:6(5) ack 6",
            "40 . ack 7",
            "40 F. 6:6(0) ack 7",
            "200 S. 0:0(0) ack 1 <mss 1460,wscale 3,sackOK,eol>",
        ],
        "hello",
        Closed,
    );
    check(
        &["delay 40ms in data"],
        v4().three(),
        &[
            SYN_ACK,
            "140 P. 1:4(3) ack 4",
            "240 P. 4:7(3) ack 7",
            "340 P. 7:10(3) ack 10",
        ],
        "onetwosix",
        Some(Established),
    );
}

#[test]
fn hold() {
    check_hello(
        "hold in FIN",
        &[SYN_ACK, "20 P. 1:6(5) ack 6", "50 . ack 6"],
        "hello",
        Established,
    );
    check_hello(
        "hold out SYN-ACK until ESTABLISHED",
        &[
            "10 S. 0:0(0) ack 1 <mss 1460,wscale 3,sackOK,eol>",
            "20 P. 1:6(5) ack 6",
            "40 . ack 7",
            "40 F. 6:6(0) ack 7",
        ],
        "hello",
        Closed,
    );
    check_hello(
        "hold out SYN-ACK until in data",
        &[
            "20 S. 0:0(0) ack 1 <mss 1460,wscale 3,sackOK,eol>",
            "20 P. 1:6(5) ack 6",
            "40 . ack 7",
            "40 F. 6:6(0) ack 7",
        ],
        "hello",
        Closed,
    );
    // What is waited for counts also where it is itself swallowed.
    check(
        &["hold in data #1 until in data #2", "drop in data #2"],
        v4().three(),
        &[SYN_ACK, "200 P. 1:4(3) ack 4", "300 . ack 4", "350 . ack 4"],
        "one",
        Some(Established),
    );
}

#[test]
fn duplicate() {
    check_hello(
        "duplicate 2 out data",
        &[
            SYN_ACK,
            "20 P. 1:6(5) ack 6",
            "20 P. 1:6(5) ack 6",
            "20 P. 1:6(5) ack 6",
            "40 . ack 7",
            "40 F. 6:6(0) ack 7",
        ],
        "hello",
        Closed,
    );
    // The second SYN is answered as RFC 9293, section 3.10.7.4 says; the copy of the data with an acknowledgment.
    check_hello(
        "duplicate in data",
        &[
            SYN_ACK,
            "20 . ack 6",
            "20 P. 1:6(5) ack 6",
            "40 . ack 7",
            "40 F. 6:6(0) ack 7",
        ],
        "hello",
        Closed,
    );
}

#[test]
fn reorder() {
    check(
        &["reorder out data #1"],
        v4().three(),
        &[
            SYN_ACK,
            "200 P. 4:7(3) ack 7",
            "200 P. 1:4(3) ack 4",
            "300 P. 7:10(3) ack 10",
        ],
        "onetwosix",
        Some(Established),
    );
    check(
        &["reorder 2 out data #1"],
        v4().three(),
        &[
            SYN_ACK,
            "200 P. 4:7(3) ack 7",
            "300 P. 7:10(3) ack 10",
            "300 P. 1:4(3) ack 4",
        ],
        "onetwosix",
        Some(Established),
    );
    let seen = play(&["reorder in data #1"], v4().three(), 1000);
    assert_eq!(seen.read, b"onetwosix");
    assert_eq!(
        order_in(&seen),
        ["S", ".", "P. two", "P. one", "P. six", "."]
    );
    // Nothing follows the last: it goes on after a second.
    let seen = play(&["reorder in ACK #2"], v4().three(), 2000);
    assert_eq!(released_at(&seen), [1350]);
}

/// The packets that the stack got, in the order in which it got them.
fn order_in(seen: &Seen) -> Vec<String> {
    let packets = seen.events.iter().filter_map(|event| match &event.kind {
        EventKind::Packet(packet) if packet.fate.crossings() > 0 => Some(packet),
        EventKind::Released(released) => Some(&released.packet),
        _ => None,
    });
    let packets = packets.filter(|packet| packet.direction == Direction::In);
    let line = |packet: &tcplab::event::Packet| {
        let segment = packet.described.tcp().unwrap();
        let payload = String::from_utf8_lossy(&packet.bytes[segment.payload.clone()]);
        format!("{} {payload}", segment.flags).trim().to_owned()
    };
    packets.map(line).collect()
}

fn released_at(seen: &Seen) -> Vec<u64> {
    let released = seen
        .events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::Released(_)));
    released
        .map(|event| event.at.total_millis() as u64)
        .collect()
}

#[test]
fn reset() {
    // The peer's segment is acknowledged, so that the peer accepts it (RFC 9293, section 3.10.7.4).
    check_hello(
        "reset peer in data",
        &[
            SYN_ACK,
            "20 R. 1:1(0) ack 6",
            // What comes behind the gap says each time what is awaited.
            "30 . ack 1",
            "40 . ack 1",
            "50 . ack 1",
        ],
        "",
        Established,
    );
    let after = ["30 R 6:6(0)", "40 R 6:6(0)", "50 R 7:7(0)"];
    check_hello(
        "reset local in data",
        &[&[SYN_ACK][..], &after].concat(),
        "",
        Closed,
    );
    check_hello(
        "reset in data",
        &[&[SYN_ACK, "20 R. 1:1(0) ack 6"][..], &after].concat(),
        "",
        Closed,
    );
    let refused = [
        "10 R 1:1(0)",
        "20 R 1:1(0)",
        "30 R 6:6(0)",
        "40 R 6:6(0)",
        "50 R 7:7(0)",
    ];
    let refused = [&["0 R. 0:0(0) ack 1"][..], &refused].concat();
    check(&["reset peer in SYN"], v4().hello(), &refused, "", None);
    check(
        &["reset out SYN-ACK"],
        v4().hello(),
        &refused,
        "",
        Some(Listen),
    );
}

#[test]
fn at_a_state() {
    let after = ["20 R 1:1(0)", "30 R 6:6(0)", "40 R 6:6(0)", "50 R 7:7(0)"];
    check_hello(
        "reset at ESTABLISHED after 5ms",
        &[&[SYN_ACK, "15 R. 1:1(0) ack 1"][..], &after].concat(),
        "",
        Closed,
    );
    check_hello(
        "reset local at ESTABLISHED",
        &[&[SYN_ACK][..], &after].concat(),
        "",
        Closed,
    );
    check_hello(
        "reset peer at CLOSE-WAIT",
        &[
            SYN_ACK,
            "20 P. 1:6(5) ack 6",
            "40 . ack 7",
            "40 F. 6:6(0) ack 7",
            "40 R. 7:7(0) ack 7",
        ],
        "hello",
        Closed,
    );
    check_hello("silence out at ESTABLISHED", &[SYN_ACK], "hello", Closed);
    check_hello(
        "silence at ESTABLISHED after 15ms",
        &[SYN_ACK, "20 P. 1:6(5) ack 6"],
        "hello",
        Established,
    );
}

#[test]
fn silence() {
    check_hello("silence in data", &[SYN_ACK], "", Established);
    check_hello("silence both in data", &[SYN_ACK], "", Established);
    check(
        &["silence out data #2"],
        v4().three(),
        &[SYN_ACK, "100 P. 1:4(3) ack 4"],
        "onetwosix",
        Some(Established),
    );
    check(
        &["silence in data #2"],
        v4().three(),
        &[SYN_ACK, "100 P. 1:4(3) ack 4"],
        "one",
        Some(Established),
    );
    check(
        &["silence both after data 6"],
        v4().three(),
        &[SYN_ACK, "100 P. 1:4(3) ack 4"],
        "one",
        Some(Established),
    );
    // What begins it is swallowed also where it goes the other way.
    check(
        &["silence out in FIN"],
        v4().hello(),
        &[SYN_ACK, "20 P. 1:6(5) ack 6"],
        "hello",
        Some(Established),
    );
}

#[test]
fn icmp() {
    for (name, kind4, code4, kind6, code6) in [
        ("net-unreachable", 3, 0, 1, 0),
        ("host-unreachable", 3, 1, 1, 3),
        ("protocol-unreachable", 3, 2, 4, 1),
        ("port-unreachable", 3, 3, 1, 4),
        ("admin-prohibited", 3, 13, 1, 1),
        ("fragmentation-needed 1280", 3, 4, 2, 0),
        ("time-exceeded", 11, 0, 3, 0),
    ] {
        let rule = format!("icmp {name} in SYN");
        for (ends, kind, code) in [(v4(), kind4, code4), (v6(), kind6, code6)] {
            let script: Script = ends.hello().into_iter().take(1).collect();
            let about = script[0].1.clone();
            let seen = play(&[&rule], script, 1000);
            let [(0, error)] = &seen.wire[..] else {
                panic!("{rule}: {:?}", seen.lines())
            };
            let described = describe(error);
            let ip = described.ip.unwrap();
            assert_eq!(ip.dst, ends.peer.ip(), "{rule}");
            let tcplab::segment::Body::Icmp(icmp) = described.body else {
                panic!("{rule}: {error:02x?}")
            };
            assert_eq!(
                (icmp.kind, icmp.code, icmp.checksum_ok),
                (kind, code, true),
                "{rule}"
            );
            assert_eq!(icmp.mtu, name.ends_with("1280").then_some(1280), "{rule}");
            assert!(about.starts_with(&error[icmp.payload]), "{rule}");
        }
    }
}

#[test]
fn an_icmp_error_for_us_comes_in() {
    let seen = play(&["icmp net-unreachable out SYN-ACK"], v4().hello(), 1000);
    let injected = seen.events.iter().find_map(|event| match &event.kind {
        EventKind::Packet(packet) if matches!(packet.fate, Fate::Injected(_)) => Some(packet),
        _ => None,
    });
    let injected = injected.unwrap();
    assert_eq!(injected.direction, Direction::In);
    assert_eq!(
        injected.described.notation(Default::default()).to_string(),
        "icmp network unreachable"
    );
    assert_eq!(injected.described.ip.unwrap().dst, v4().local.ip());
}

#[test]
fn replace() {
    let reset = v4().segment(crate::support::RST, 1, 0, b"");
    let hex: String = reset.iter().map(|byte| format!("{byte:02x}")).collect();
    let seen = play(
        &[&format!("replace hex:{hex} out SYN-ACK")],
        v4().hello(),
        5,
    );
    assert_eq!(seen.wire, [(0, reset.clone())]);
    // The stack gets it too: what the peer sent as data is a RST.
    check_hello(
        &format!("replace hex:{hex} in data"),
        &[SYN_ACK, "30 R 6:6(0)", "40 R 6:6(0)", "50 R 7:7(0)"],
        "",
        Closed,
    );
    // Something that belongs to nobody.
    check_hello(
        "replace hex:450000140000000001010000c0000201c0000202 in FIN",
        &[SYN_ACK, "20 P. 1:6(5) ack 6", "50 . ack 6"],
        "hello",
        Established,
    );
}

/// What is only kept, lost or copied has the bytes that it would have had.
#[test]
fn what_is_not_changed_is_the_same() {
    fn packets(seen: Seen) -> Vec<Vec<u8>> {
        let mut packets: Vec<_> = seen.wire.into_iter().map(|(_, packet)| packet).collect();
        packets.sort();
        packets.dedup();
        packets
    }
    for ends in [v4(), v6()] {
        let plain = packets(play(&[], ends.three(), 1000));
        assert_eq!(plain.len(), 4);
        for rule in [
            "delay 30ms out data",
            "reorder out data #1",
            "duplicate 3 out",
            "duplicate out data #2",
            "hold out data #1 until out data",
        ] {
            assert_eq!(packets(play(&[rule], ends.three(), 1000)), plain, "{rule}");
        }
    }
}

/// The same rules hold over IPv6.
#[test]
fn ipv6() {
    let ends: Ends = v6();
    check(
        &["drop out data #2"],
        ends.three(),
        &[
            "0 S. 0:0(0) ack 1 <mss 1440,wscale 3,sackOK,eol>",
            "100 P. 1:4(3) ack 4",
            "300 P. 7:10(3) ack 10",
        ],
        "onetwosix",
        Some(Established),
    );
    check(
        &["reset peer in data"],
        ends.hello(),
        &[
            "0 S. 0:0(0) ack 1 <mss 1440,wscale 3,sackOK,eol>",
            "20 R. 1:1(0) ack 6",
            "30 . ack 1",
            "40 . ack 1",
            "50 . ack 1",
        ],
        "",
        Some(Established),
    );
}

/// A datagram is a packet too.
#[test]
fn datagrams() {
    let script = || {
        (1..=3)
            .map(|n| (n * 10, v4().datagram(format!("no {n}").as_bytes())))
            .collect::<Script>()
    };
    for (rule, expected) in [
        ("drop in datagram #2", &["10 udp (4)", "30 udp (4)"][..]),
        ("drop out datagram #2..", &["10 udp (4)"]),
        (
            "duplicate in datagram #1",
            &["10 udp (4)", "10 udp (4)", "20 udp (4)", "30 udp (4)"],
        ),
        (
            "delay 15ms out datagram #1",
            &["20 udp (4)", "25 udp (4)", "30 udp (4)"],
        ),
        (
            "icmp port-unreachable in datagram #3",
            &["10 udp (4)", "20 udp (4)", "30 icmp port unreachable"],
        ),
        (
            "drop in segment",
            &["10 udp (4)", "20 udp (4)", "30 udp (4)"],
        ),
        (
            "edit in datagram #2 payload=\"longer than that\"",
            &["10 udp (4)", "20 udp (16)", "30 udp (4)"],
        ),
        // RST is TCP's; the datagram is swallowed.
        ("reset in datagram #1", &["20 udp (4)", "30 udp (4)"]),
        ("silence both after data 8", &["10 udp (4)"]),
    ] {
        let seen = play(&[rule], script(), 1000);
        assert_eq!(seen.lines(), expected, "{rule}");
    }
}
