//! Which packets each pattern is about, of those of one run in both directions.
//!
//! The rule sets their TTL to 99, which disturbs nobody: so whatever else is on the wire must be the same, byte for byte,
//! as without a rule.

use crate::rig::{Ends, Script, Seen, ends, play, v4, v6};
use crate::support::{ACK, FIN, PSH, RST, SYN};
use tcplab::event::{Direction, EventKind, Fate, Packet};

/// A connection with a retransmission of the peer's and one of ours.
///
/// ```text
///    0    0 in S           1 out S.
///   10    2 in .
///  100    3 in P. one      4 out P. one
///  200    5 in P. two      6 out P. two
///  300    7 in P. two      8 out .
///  400    9 in .
///  500   10 in F.         11 out .    12 out F.
/// 1500                                13 out F.
/// 1600   14 in .
/// ```
fn long(ends: Ends) -> Script {
    vec![
        (0, ends.segment(SYN, 0, 0, b"")),
        (10, ends.segment(ACK, 1, 1, b"")),
        (100, ends.segment(PSH | ACK, 1, 1, b"one")),
        (200, ends.segment(PSH | ACK, 4, 4, b"two")),
        (300, ends.segment(PSH | ACK, 4, 7, b"two")),
        (400, ends.segment(ACK, 7, 7, b"")),
        (500, ends.segment(FIN | ACK, 7, 7, b"")),
        (1600, ends.segment(ACK, 8, 8, b"")),
    ]
}

fn packets(seen: &Seen) -> Vec<&Packet> {
    let packets = seen.events.iter().filter_map(|event| match &event.kind {
        EventKind::Packet(packet) => Some(packet),
        _ => None,
    });
    packets.collect()
}

/// The place of the TTL, and in IPv4 of the header's checksum.
fn blank(mut packet: Vec<u8>) -> (u8, Vec<u8>) {
    let v4 = packet[0] >> 4 == 4;
    let ttl = std::mem::take(&mut packet[if v4 { 8 } else { 7 }]);
    if v4 {
        packet[10..12].fill(0);
    }
    (ttl, packet)
}

/// Of a script, the packets that `rule` is about, by their numbers.
#[track_caller]
fn matched(rule: &str, script: Script) -> Vec<usize> {
    let (plain, seen) = (play(&[], script.clone(), 5000), play(&[rule], script, 5000));
    assert_eq!(plain.lines(), seen.lines(), "{rule}");
    assert_eq!(plain.read, seen.read, "{rule}");
    let packets = packets(&seen);
    let matched: Vec<usize> = (0..packets.len())
        .filter(|&number| matches!(packets[number].fate, Fate::Rewritten(_)))
        .collect();

    // What the wire carries is what is told.
    let out = packets
        .iter()
        .zip(0..)
        .filter(|(packet, _)| packet.direction == Direction::Out);
    for ((_, number), ((at, sent), (_, plain))) in out.zip(seen.wire.iter().zip(&plain.wire)) {
        if matched.contains(&number) {
            let (ttl, rest) = blank(sent.clone());
            assert_eq!((ttl, rest), (99, blank(plain.clone()).1), "{rule} at {at}");
        } else {
            assert_eq!(sent, plain, "{rule} at {at}");
        }
    }
    // And the stack gets what is told.
    for &number in &matched {
        let crossed = packets[number].crossed.as_ref().unwrap();
        assert_eq!(blank(crossed.bytes.clone()).0, 99, "{rule}");
    }
    matched
}

#[track_caller]
fn check(pattern: &str, expected: &[usize]) {
    for ends in [v4(), v6()] {
        let rule = format!("edit {pattern} ttl=99");
        assert_eq!(
            matched(&rule, long(ends)),
            expected,
            "{pattern} to {}",
            ends.local
        );
    }
}

const ALL: [usize; 15] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14];

#[test]
fn directions() {
    check("any", &ALL);
    check("both any", &ALL);
    check("in any", &[0, 2, 3, 5, 7, 9, 10, 14]);
    check("out any", &[1, 4, 6, 8, 11, 12, 13]);
}

#[test]
fn kinds() {
    check("segment", &ALL);
    check("datagram", &[]);
    check("SYN", &[0]);
    check("SYN-ACK", &[1]);
    check("out SYN", &[]);
    check("handshake-ACK", &[2]);
    check("data", &[3, 4, 5, 6, 7]);
    check("ACK", &[2, 8, 9, 11, 14]);
    check("FIN", &[10, 12, 13]);
    check("RST", &[]);
    let mut script = long(v4());
    script.truncate(4);
    script.push((250, v4().segment(RST | ACK, 7, 7, b"")));
    assert_eq!(matched("edit RST ttl=99", script), [7]);
}

#[test]
fn a_handshake_is_acknowledged_with_data_too() {
    let mut script = long(v4());
    script.remove(1);
    assert_eq!(matched("edit handshake-ACK ttl=99", script), [2]);
}

#[test]
fn ordinals() {
    check("in data #1", &[3]);
    check("in data #2..3", &[5, 7]);
    check("in #3..", &[3, 5, 7, 9, 10, 14]);
    // Each direction counts for itself.
    check("data #2", &[5, 6]);
    check("out FIN #2", &[13]);
    check("ACK #4", &[]);
}

#[test]
fn retransmissions() {
    check("retransmission", &[7, 13]);
    check("in retransmission", &[7]);
    check("data original", &[3, 4, 5, 6]);
    check("out FIN original", &[12]);
}

#[test]
fn states() {
    check("while LISTEN", &[0]);
    check("while SYN-RECEIVED", &[1, 2]);
    check("while ESTABLISHED", &[3, 4, 5, 6, 7, 8, 9, 10]);
    check("while CLOSE-WAIT", &[11]);
    check("while LAST-ACK", &[12, 13, 14]);
    check("in while LAST-ACK", &[14]);
    check("while SYN-SENT", &[]);
}

#[test]
fn bytes_so_far() {
    check("in after data 3", &[5, 7, 9, 10, 14]);
    // The packet that carries the byte after them is one.
    check("in after data 2", &[3, 5, 7, 9, 10, 14]);
    check("out after data 6", &[8, 11, 12, 13]);
    // Both directions together: each byte is counted once.
    check("after data 6", &[5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
    check("after data 12", &[7, 8, 9, 10, 11, 12, 13, 14]);
    check("after data 13", &[]);
}

#[test]
fn times() {
    check("after 300ms", &[7, 8, 9, 10, 11, 12, 13, 14]);
    check("after 301ms", &[9, 10, 11, 12, 13, 14]);
    check("within 100ms", &[0, 1, 2]);
    check("after 200ms within 400ms", &[5, 6, 7, 8]);
    check("after 1.6s", &[14]);
    check("after 100ms times 3", &[3, 4, 5]);
}

#[test]
fn sizes() {
    let rule = |pattern: &str| matched(&format!("edit {pattern} ttl=99"), long(v4()));
    assert_eq!(rule("size<40"), [0; 0]);
    assert_eq!(rule("size=40"), [2, 8, 9, 10, 11, 12, 13, 14]);
    assert_eq!(rule("size>40"), [0, 1, 3, 4, 5, 6, 7]);
    assert_eq!(rule("in size>43"), [0]);
    assert_eq!(rule("in size=43"), [3, 5, 7]);
}

/// A hundred datagrams: some, about as many as it says, and the same every time.
#[test]
fn chance() {
    let script: Script = (0..100).map(|n| (n, v4().datagram(b"x"))).collect();
    let chosen = |chance: &str| matched(&format!("edit in chance {chance} ttl=99"), script.clone());
    assert_eq!(chosen("100%").len(), 100);
    let half = chosen("50%");
    assert!((30..70).contains(&half.len()), "{}", half.len());
    assert_eq!(chosen("50%"), half);
    assert!(chosen("5%").len() < 20);
    let twice = matched("edit in chance 50% times 2 ttl=99", script.clone());
    assert_eq!(twice, half[..2]);
}

/// Two connections, packet by packet: 0, 1, 4 and 5 are of the first, 2, 3, 6 and 7 of the second.
fn two(one: Ends, other: Ends) -> Script {
    vec![
        (0, one.segment(SYN, 0, 0, b"")),
        (1, other.segment(SYN, 0, 0, b"")),
        (10, one.segment(ACK, 1, 1, b"")),
        (11, one.segment(PSH | ACK, 1, 1, b"x")),
        (20, other.segment(ACK, 1, 1, b"")),
        (21, other.segment(PSH | ACK, 1, 1, b"x")),
        (5000, one.datagram(b"x")),
    ]
}

#[test]
fn scopes() {
    let (one, other) = (v4(), ends("192.0.2.8:50000", "192.0.2.9:1111"));
    let both = two(one, other);
    let (first, second) = ([0, 1, 4, 5, 6], [2, 3, 7, 8]);
    let check = |scope: &str, expected: &[usize]| {
        let mut script = both.clone();
        script.pop();
        // The password service has something to say before it is asked.
        let found = matched(&format!("{scope}: edit segment ttl=99"), script);
        let found: Vec<usize> = found.into_iter().filter(|number| *number < 4).collect();
        let expected: Vec<usize> = expected
            .iter()
            .copied()
            .filter(|number| *number < 4)
            .collect();
        assert_eq!(found, expected, "{scope}");
    };
    check("conn 1", &first);
    check("conn 2..", &second);
    check("conn 1..2", &[0, 1, 2, 3]);
    check("conn 3", &[]);
    check("port 7", &first);
    check("port 1111", &second);
    check("host 192.0.2.9", &second);
    check("peer 192.0.2.1", &first);
    check("peer 192.0.2.8, port 1111", &second);
    check("peer 192.0.2.8, port 7", &[]);
    let both = two(v4(), v6());
    let mut script = both.clone();
    script.pop();
    let found = matched("host 2001:db8::2: edit segment #1 ttl=99", script);
    assert_eq!(found, [2, 3]);
}

/// Counts are each connection's own.
#[test]
fn ordinals_and_times_are_of_a_connection() {
    let mut script = two(v4(), v6());
    script.pop();
    for rule in [
        "edit in segment #1 ttl=99",
        "edit in segment times 1 ttl=99",
    ] {
        assert_eq!(matched(rule, script.clone()), [0, 2], "{rule}");
    }
}
