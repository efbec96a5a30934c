//! What each change does to the packets on the wire, and to those that the stack gets. The bytes of each change are looked at in
//! the unit tests of `fault::edit`.

use crate::rig::{Seen, play, v4, v6};
use tcplab::event::EventKind;
use tcplab::segment::{Body, describe};

/// In place of the first packet that it changes, this leaves.
#[track_caller]
fn check_out(rule: &str, expected: &str) {
    let (plain, seen) = (
        play(&[], v4().hello(), 60).full(),
        play(&[rule], v4().hello(), 60).full(),
    );
    let changed = seen.iter().zip(&plain).find(|(seen, plain)| seen != plain);
    assert_eq!(
        changed.map(|(seen, _)| seen.as_str()),
        Some(expected),
        "{rule}"
    );
}

#[test]
fn what_leaves() {
    for (rule, expected) in [
        (
            "flags=S",
            "0 S 0:0(0) win 65535 <mss 1460,wscale 3,sackOK,eol>",
        ),
        (
            "flags=none",
            "0 - 0:0(0) win 65535 <mss 1460,wscale 3,sackOK,eol>",
        ),
        (
            "flags+=F flags-=A",
            "0 FS 0:0(0) win 65535 <mss 1460,wscale 3,sackOK,eol>",
        ),
        (
            "seq=5001",
            "0 S. 1:1(0) ack 1 win 65535 <mss 1460,wscale 3,sackOK,eol>",
        ),
        (
            "seq-=1",
            "0 S. 4294967295:4294967295(0) ack 1 win 65535 <mss 1460,wscale 3,sackOK,eol>",
        ),
        (
            "ack=1002",
            "0 S. 0:0(0) ack 2 win 65535 <mss 1460,wscale 3,sackOK,eol>",
        ),
        (
            "ack+=1",
            "0 S. 0:0(0) ack 2 win 65535 <mss 1460,wscale 3,sackOK,eol>",
        ),
        (
            "window=0",
            "0 S. 0:0(0) ack 1 win 0 <mss 1460,wscale 3,sackOK,eol>",
        ),
        (
            "mss=536",
            "0 S. 0:0(0) ack 1 win 65535 <mss 536,wscale 3,sackOK,eol>",
        ),
        (
            "mss=none",
            "0 S. 0:0(0) ack 1 win 65535 <wscale 3,sackOK,nop,nop,nop>",
        ),
        (
            "mss=536 wscale=none",
            "0 S. 0:0(0) ack 1 win 65535 <mss 536,sackOK,nop,nop>",
        ),
        (
            "wscale=14",
            "0 S. 0:0(0) ack 1 win 65535 <mss 1460,wscale 14,sackOK,eol>",
        ),
        (
            "sack=none",
            "0 S. 0:0(0) ack 1 win 65535 <mss 1460,wscale 3,nop>",
        ),
        (
            "timestamps=7/8",
            "0 S. 0:0(0) ack 1 win 65535 <mss 1460,wscale 3,sackOK,TS val 7 ecr 8,nop>",
        ),
        ("options=none", "0 S. 0:0(0) ack 1 win 65535"),
        (
            "checksum=bad",
            "0 S. 0:0(0) ack 1 win 65535 <mss 1460,wscale 3,sackOK,eol> [bad checksum]",
        ),
        (
            "payload=\"hi\"",
            "0 S. 0:2(2) ack 1 win 65535 <mss 1460,wscale 3,sackOK,eol>",
        ),
    ] {
        check_out(&format!("edit out SYN-ACK {rule}"), expected);
    }
    check_out("edit out data truncate=2", "20 P. 1:3(2) ack 6 win 32768");
    check_out(
        "edit out data timestamps=none flags+=U",
        "20 P.U 1:6(5) ack 6 win 32768 urg 0",
    );
    let seen = play(&["edit out data ip-checksum=bad"], v4().hello(), 60).full();
    assert!(
        seen[1].starts_with("20 malformed ip: header checksum "),
        "{seen:#?}"
    );
}

/// What is not in the notation.
#[test]
fn what_leaves_beyond_the_notation() {
    let first = |rule: &str, ends: crate::rig::Ends| {
        let seen = play(&[rule], ends.hello(), 60);
        let data = seen.wire.into_iter().find(|(at, _)| *at == 20);
        data.unwrap().1
    };
    for ends in [v4(), v6()] {
        let packet = first("edit out data ttl=7 urgent=3", ends);
        let described = describe(&packet);
        assert_eq!(described.ip.unwrap().hop_limit, 7);
        assert_eq!(described.tcp().unwrap().urgent, 3);
        for (rule, payload) in [
            ("payload=\"good day\"", &b"good day"[..]),
            ("payload=hex:0a0b", &[10, 11]),
            ("payload=\"\"", b""),
            ("truncate=1", b"h"),
            ("flip=3", b"hel\x93o"),
        ] {
            let packet = first(&format!("edit out data {rule}"), ends);
            let described = describe(&packet);
            let segment = described.tcp().unwrap();
            assert_eq!(&packet[segment.payload.clone()], payload, "{rule}");
            assert!(segment.checksum_ok, "{rule}");
        }
    }
}

fn discarded(seen: &Seen) -> usize {
    let notes = seen.events.iter().filter(|event| match &event.kind {
        EventKind::Note(note) => note.starts_with("discarded"),
        _ => false,
    });
    notes.count()
}

#[test]
fn what_the_stack_gets() {
    for ends in [v4(), v6()] {
        let read = |rule: &str| {
            let seen = play(&[rule], ends.hello(), 60);
            (
                String::from_utf8_lossy(&seen.read).into_owned(),
                discarded(&seen),
                seen,
            )
        };
        assert_eq!(read("edit in data payload=\"HELLO\"").0, "HELLO");
        assert_eq!(read("edit in data truncate=4").0, "hell");
        assert_eq!(read("edit in data flip=0").0.as_bytes()[3..], *b"ello");
        let (bytes, discarded, _) = read("edit in data checksum=bad");
        assert_eq!((bytes.as_str(), discarded), ("", 1));
        // Before what is awaited, and behind it.
        assert_eq!(read("edit in data seq-=5").0, "");
        assert_eq!(read("edit in data seq+=100").0, "");
        let (bytes, _, seen) = read("edit in data flags+=F");
        assert_eq!(bytes, "hello");
        assert!(
            seen.lines().contains(&"20 F. 6:6(0) ack 7".to_owned()),
            "{:#?}",
            seen.lines()
        );
        // An MSS of ours is bounded by the peer's.
        let (_, _, seen) = read("edit in SYN window=0 mss=536");
        let syn = seen.events.iter().find_map(|event| match &event.kind {
            EventKind::Packet(packet) => packet.crossed.as_ref(),
            _ => None,
        });
        let syn = syn.unwrap().described.tcp().unwrap();
        assert_eq!((syn.window, syn.max_segment_size()), (0, Some(536)));
        // A window that is shut: nothing is echoed.
        let (_, _, seen) = read("edit in window=0");
        assert!(
            seen.wire
                .iter()
                .all(|(_, packet)| match describe(packet).body {
                    Body::Tcp(segment) => segment.payload.is_empty(),
                    _ => false,
                })
        );
    }
}
