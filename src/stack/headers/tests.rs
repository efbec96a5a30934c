use super::*;
use crate::segment::{Body, describe};
use proptest::prelude::*;
use proptest::sample::{Index, select};

fn answered(code: u8, pointer: usize) -> Option<Objection> {
    Some(Objection::Answered(Problem::parameter(code, pointer)))
}

fn unknown(pointer: usize) -> Option<Objection> {
    Some(Objection::Protocol(Problem::parameter(1, pointer)))
}

const SILENT: Option<Objection> = Some(Objection::Silent);

#[test]
fn ipv4_options() {
    #[track_caller]
    fn check(options: &[u8], expected: Option<Objection>) {
        let header_len = 20 + options.len();
        let mut packet = vec![0; 20];
        packet[0] = 0x40 | (header_len / 4) as u8;
        packet.extend(options);
        packet.extend([0; 20]);
        assert_eq!(objection(&packet), expected, "{options:02x?}");
    }
    check(&[], None);
    check(&[1, 1, 1, 0], None);
    // Record route, router alert, one that nobody knows.
    check(&[7, 7, 4, 0, 0, 0, 0, 1], None);
    check(&[148, 4, 0, 0], None);
    check(&[30, 4, 1, 2], None);
    // Source routes, loose and strict, wherever they stand and whatever is left of them.
    check(&[131, 7, 4, 192, 0, 2, 9, 0], SILENT);
    check(&[137, 7, 8, 192, 0, 2, 9, 0], SILENT);
    check(&[1, 7, 3, 4, 131, 3, 4, 0], SILENT);
    // What follows the end is none.
    check(&[0, 131, 3, 4], None);
    check(&[7, 0, 0, 0], answered(0, 20));
    check(&[1, 7, 1, 0], answered(0, 21));
    check(&[1, 1, 7, 3], answered(0, 22));
    check(&[1, 1, 1, 7], answered(0, 23));
}

/// An IPv6 packet whose first header is `first`, behind which these bytes stand.
#[track_caller]
fn check(first: u8, headers: &[u8], expected: Option<Objection>) {
    let mut packet = vec![0; 40];
    packet[0] = 0x60;
    packet[5] = headers.len() as u8;
    packet[6] = first;
    packet.extend(headers);
    assert_eq!(objection(&packet), expected, "{first} {headers:02x?}");
}

#[test]
fn ipv6_options() {
    const TCP: u8 = 6;
    for extension in [0, 60] {
        for (option, expected) in [
            ([0, 0, 0, 0, 0, 0], None),
            ([1, 4, 0, 0, 0, 0], None),
            ([5, 2, 0, 0, 1, 0], None),
            // The first two bits: skip, discard, tell, tell.
            ([0x3e, 4, 0, 0, 0, 0], None),
            ([0x7e, 4, 0, 0, 0, 0], SILENT),
            ([0xbe, 4, 0, 0, 0, 0], answered(2, 42)),
            ([0xfe, 4, 0, 0, 0, 0], answered(2, 42)),
            ([0, 1, 0, 0xbe, 1, 0], answered(2, 45)),
            // A jumbo payload: nothing here is that large.
            ([0xc2, 4, 0, 0, 0, 0], answered(2, 42)),
            // Beyond the end.
            ([0x3e, 5, 0, 0, 0, 0], SILENT),
            ([0, 0, 0, 0, 0, 0x3e], SILENT),
        ] {
            let header = [&[TCP, 0], &option[..]].concat();
            check(extension, &header, expected);
        }
    }
    // Two headers, and the second is at fault.
    let padding = [60, 0, 1, 4, 0, 0, 0, 0];
    let fault = [TCP, 0, 1, 2, 0, 0, 0x80, 0];
    check(0, &[padding, fault].concat(), answered(2, 54));
}

#[test]
fn ipv6_headers() {
    const TCP: u8 = 6;
    let padding = |next: u8| [next, 0, 1, 4, 0, 0, 0, 0];
    for known in [TCP, 17, 58] {
        check(known, &[0; 20], None);
        check(0, &padding(known), None);
    }
    check(59, &[0; 20], None);
    // GRE; ICMP of IPv4; encrypted and authenticated.
    for first in [47, 1, 50, 51, 255] {
        check(first, &[0; 20], unknown(6));
        check(60, &padding(first), unknown(40));
    }
    // Hop-by-hop options stand first or nowhere.
    check(60, &padding(0), answered(1, 40));
    check(0, &[padding(0), padding(TCP)].concat(), answered(1, 40));
    for kind in [0, 2, 3, 4, 99] {
        let routing = |left| [TCP, 0, kind, left, 0, 0, 0, 0];
        check(43, &routing(0), None);
        check(43, &routing(1), answered(0, 42));
    }
    // In an atomic and in a first fragment the headers go on; in any other there are none.
    let fragment = |next: u8, offset: u8, more: u8| [next, 0, 0, offset | more, 0, 0, 0, 7];
    check(44, &fragment(TCP, 0, 0), None);
    check(44, &fragment(47, 0, 0), unknown(40));
    check(44, &fragment(47, 0, 1), unknown(40));
    check(44, &fragment(47, 8, 1), None);
    let options = [TCP, 0, 0x80, 4, 0, 0, 0, 0];
    check(44, &[fragment(60, 0, 1), options].concat(), answered(2, 50));
    check(60, &[options].concat(), answered(2, 42));
}

/// A first fragment that has nothing behind its fragment header, or not all of what that names: once this ended the process, and
/// with padding behind it, everything.
#[test]
fn ipv6_first_fragments_that_end() {
    const FIRST: [u8; 7] = [0, 0, 1, 0, 0, 0, 9];
    for next in [43, 60] {
        for rest in [
            &[][..],
            &[6],
            &[6, 0],
            &[6, 0, 1, 0],
            &[6, 0, 1, 4, 0, 0, 0],
        ] {
            let mut fragment = vec![next];
            fragment.extend(FIRST);
            fragment.extend(rest);
            let expected = match (next, rest) {
                (43, [_, _, _, 4, ..]) => answered(0, 50),
                _ => None,
            };
            check(44, &fragment, expected);
            for padding in 0..=u8::MAX {
                let mut packet = vec![0; 40];
                (packet[0], packet[5], packet[6]) = (0x60, fragment.len() as u8, 44);
                packet.extend(&fragment);
                packet.extend([padding; 24]);
                assert_eq!(objection(&packet), expected, "{next} {rest:?} {padding}");
            }
        }
    }
    // Hop-by-hop options may not stand there, whether they are there or not.
    check(44, &[0, 0, 0, 1, 0, 0, 0, 9], answered(1, 40));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever can be read is judged, and what is wrong lies in the packet: chains of headers that end anywhere, with anything
    /// behind the end.
    #[test]
    fn any_ipv6_headers_are_judged(
        first in select(&HEADERS[..]),
        headers in prop::collection::vec((select(&HEADERS[..]), 0..3u8, select(&[0u8, 1, 5, 6, 60, 255][..])), 0..6),
        end in prop_oneof![2 => Just(None), 1 => any::<Index>().prop_map(Some)],
        padding in (select(&HEADERS[..]), 0..24usize),
    ) {
        let mut packet = vec![0; 40];
        (packet[0], packet[6], packet[24]) = (0x60, first, 0x20);
        let mut kind = first;
        for (next, units, fill) in headers {
            if kind == 44 {
                packet.extend([next, 0, 0, 1, 0, 0, 0, 9]);
            } else {
                packet.extend([next, units]);
                packet.resize(packet.len() + 6 + 8 * usize::from(units), fill);
            }
            kind = next;
        }
        let end = end.map_or(packet.len(), |end| 40 + end.index(packet.len() - 39));
        packet.truncate(end);
        packet[5] = (end - 40) as u8;
        packet.extend(vec![padding.0; padding.1]);
        prop_assert!(judge(&packet).is_none_or(|pointer| pointer < end));
    }

    #[test]
    fn any_ipv4_options_are_judged(options in prop::collection::vec(prop_oneof![0..12u8, any::<u8>()], 0..41)) {
        let mut packet = vec![0; 20];
        packet.extend(&options);
        packet.resize(20 + options.len().next_multiple_of(4), 0);
        let header = packet.len();
        packet.extend([0; 8]);
        packet[0] = 0x40 | (header / 4) as u8;
        (packet[3], packet[9]) = (packet.len() as u8, 17);
        let sum = smoltcp::wire::checksum::data(&packet[..header]);
        packet[10..12].copy_from_slice(&(!sum).to_be_bytes());
        prop_assert!(judge(&packet).is_none_or(|pointer| pointer < header));
    }
}

/// Where a packet that can be read is wrong.
fn judge(packet: &[u8]) -> Option<usize> {
    if let Body::Malformed(_) = describe(packet).body {
        return None;
    }
    match objection(packet)? {
        Objection::Silent => None,
        Objection::Answered(problem) | Objection::Protocol(problem) => match problem {
            Problem::Parameter { pointer, .. } => Some(pointer),
            other => panic!("{other:?}"),
        },
    }
}

const HEADERS: [u8; 9] = [0, 6, 17, 43, 44, 51, 58, 59, 60];
