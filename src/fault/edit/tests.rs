//! Each change, byte for byte: what comes out is what a packet made anew with the changed field would be.

use super::super::rule::{Action, Assignment, Rule, Verdict};
use super::edit;
use proptest::prelude::*;

/// The IP headers under which everything is tried.
const HEADERS: [Header; 4] = [
    Header::V4,
    Header::V4WithOptions,
    Header::V6,
    Header::V6WithExtensions,
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Header {
    V4,
    V4WithOptions,
    V6,
    V6WithExtensions,
}

impl Header {
    fn is_v4(self) -> bool {
        matches!(self, Header::V4 | Header::V4WithOptions)
    }
}

/// A packet as a table has it.
#[derive(Clone, Debug)]
struct Made {
    header: Header,
    ttl: u8,
    protocol: u8,
    /// The transport header with a checksum of zero, and the place of that.
    upper: Vec<u8>,
    checksum_at: usize,
    payload: Vec<u8>,
}

const SEQ: u32 = 0xffff_fffe;
const ACK: u32 = 5;

fn tcp(flags: u16, options: &[u8], payload: &[u8]) -> Made {
    segment(SEQ, ACK, flags, 9, 7, options, payload)
}

fn segment(
    seq: u32,
    ack: u32,
    flags: u16,
    window: u16,
    urgent: u16,
    options: &[u8],
    payload: &[u8],
) -> Made {
    let mut upper = vec![0, 80, 0x30, 0x39];
    upper.extend(seq.to_be_bytes());
    upper.extend(ack.to_be_bytes());
    upper.extend(((5 + options.len() as u16 / 4) << 12 | flags).to_be_bytes());
    upper.extend(window.to_be_bytes());
    upper.extend([0, 0]);
    upper.extend(urgent.to_be_bytes());
    upper.extend(options);
    made(6, upper, 16, payload)
}

fn udp(payload: &[u8]) -> Made {
    let mut upper = vec![0x04, 0x57, 0x30, 0x39];
    upper.extend((8 + payload.len() as u16).to_be_bytes());
    upper.extend([0, 0]);
    made(17, upper, 6, payload)
}

fn ping(payload: &[u8]) -> Made {
    made(1, vec![8, 0, 0, 0, 0, 7, 0, 1], 2, payload)
}

fn made(protocol: u8, upper: Vec<u8>, checksum_at: usize, payload: &[u8]) -> Made {
    Made {
        header: Header::V4,
        ttl: 64,
        protocol,
        upper,
        checksum_at,
        payload: payload.to_vec(),
    }
}

impl Made {
    fn under(&self, header: Header) -> Made {
        let mut made = self.clone();
        made.header = header;
        if made.protocol == 1 && !header.is_v4() {
            made.protocol = 58;
            made.upper[0] = 128;
        }
        made
    }

    /// The whole, checksums right.
    fn bytes(&self) -> Vec<u8> {
        let mut upper = [&self.upper[..], &self.payload].concat();
        let addresses: Vec<u8> = match self.header.is_v4() {
            true => vec![192, 0, 2, 2, 192, 0, 2, 1],
            false => [[0x20; 16], [0x21; 16]].concat(),
        };
        let len = upper.len() as u32;
        let mut summed = upper.clone();
        if self.protocol != 1 {
            let pseudo = [&len.to_be_bytes()[..], &[0, 0, 0, self.protocol]].concat();
            summed = [&addresses[..], &pseudo, &upper].concat();
        }
        let sum = internet_checksum(&summed);
        upper[self.checksum_at..self.checksum_at + 2].copy_from_slice(&sum.to_be_bytes());

        let (ttl, protocol) = (self.ttl, self.protocol);
        let header = match self.header {
            Header::V4 | Header::V4WithOptions => {
                let options: &[u8] = match self.header {
                    Header::V4 => &[],
                    _ => &[1, 1, 1, 0],
                };
                let words = 5 + options.len() as u8 / 4;
                let total = u16::from(words) * 4 + len as u16;
                let mut header = vec![0x40 | words, 0xb8];
                header.extend(total.to_be_bytes());
                header.extend([0x12, 0x34, 0x40, 0, ttl, protocol, 0, 0]);
                header.extend(addresses);
                header.extend(options);
                let sum = internet_checksum(&header);
                header[10..12].copy_from_slice(&sum.to_be_bytes());
                header
            }
            Header::V6 | Header::V6WithExtensions => {
                let extensions: &[u8] = match self.header {
                    Header::V6 => &[],
                    // Hop-by-hop options of 8 bytes, then destination options of 16.
                    _ => &[
                        60, 0, 1, 4, 0, 0, 0, 0, protocol, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                        0, 0,
                    ],
                };
                let next = if extensions.is_empty() { protocol } else { 0 };
                let total = extensions.len() as u16 + len as u16;
                let mut header = vec![0x61, 2, 3, 4];
                header.extend(total.to_be_bytes());
                header.extend([next, ttl]);
                header.extend(addresses);
                header.extend(extensions);
                header
            }
        };
        [header, upper].concat()
    }
}

/// RFC 1071, the simple way.
fn internet_checksum(bytes: &[u8]) -> u16 {
    let words = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or_default()));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !(((folded & 0xffff) + (folded >> 16)) as u16)
}

fn changes(text: &str) -> Vec<Assignment> {
    let rule: Rule = format!("edit any {text}")
        .parse()
        .unwrap_or_else(|error| panic!("{error}"));
    match rule.action {
        Action::Judge(Verdict::Edit(assignments), _) => assignments,
        other => panic!("{other:?}"),
    }
}

/// Under each IP header.
#[track_caller]
fn check(before: &Made, text: &str, after: &Made) {
    for header in HEADERS {
        let (before, after) = (before.under(header).bytes(), after.under(header).bytes());
        let edited = edit(&before, &changes(text));
        assert_eq!(edited, after, "{text} under {header:?}: {edited:02x?}");
    }
}

#[track_caller]
fn check_no_change(packet: &Made, text: &str) {
    check(packet, text, packet);
}

/// What Linux sends with a SYN-ACK.
const OPTIONS: [u8; 20] = [
    2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 7,
];

#[test]
fn fields_of_a_segment() {
    let before = tcp(0x018, &[], b"hello");
    let with =
        |seq, ack, flags, window, urgent| segment(seq, ack, flags, window, urgent, &[], b"hello");
    check(&before, "flags=SA", &with(SEQ, ACK, 0x012, 9, 7));
    check(&before, "flags=none", &with(SEQ, ACK, 0, 9, 7));
    check(&before, "flags=FSRPAUEWN", &with(SEQ, ACK, 0x1ff, 9, 7));
    check(&before, "flags+=F", &with(SEQ, ACK, 0x019, 9, 7));
    check(&before, "flags-=P flags+=FN", &with(SEQ, ACK, 0x111, 9, 7));
    check(&before, "seq=1", &with(1, ACK, 0x018, 9, 7));
    check(&before, "seq+=1", &with(0xffff_ffff, ACK, 0x018, 9, 7));
    check(&before, "seq+=3", &with(1, ACK, 0x018, 9, 7));
    check(&before, "ack=4294967295", &with(SEQ, u32::MAX, 0x018, 9, 7));
    check(&before, "ack-=6", &with(SEQ, u32::MAX, 0x018, 9, 7));
    check(&before, "window=0", &with(SEQ, ACK, 0x018, 0, 7));
    check(&before, "urgent=1", &with(SEQ, ACK, 0x018, 9, 1));
    check(
        &before,
        "flags=R seq=0 ack=0 window=0 urgent=0",
        &with(0, 0, 4, 0, 0),
    );
}

#[test]
fn reserved_bits_stay() {
    let before = tcp(0xe10, &[], b"");
    check(&before, "flags=F", &tcp(0xe01, &[], b""));
    check(&before, "flags+=F", &tcp(0xe11, &[], b""));
}

#[test]
fn options() {
    let syn_ack = |options: &[u8]| tcp(0x012, options, b"data");
    let cases: &[(&str, &[u8])] = &[
        (
            "mss=536",
            &[2, 4, 2, 24, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 7],
        ),
        (
            "mss=none",
            &[4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 7],
        ),
        (
            "wscale=255",
            &[
                2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 255,
            ],
        ),
        (
            "wscale=none",
            &[2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2],
        ),
        (
            "sack=none",
            &[
                2, 4, 5, 0xb4, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 3, 3, 7, 1, 1,
            ],
        ),
        ("sack=ok", &OPTIONS),
        (
            "timestamps=1000/0",
            &[
                2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 3, 232, 0, 0, 0, 0, 1, 3, 3, 7,
            ],
        ),
        ("timestamps=none", &[2, 4, 5, 0xb4, 4, 2, 1, 3, 3, 7, 1, 1]),
        ("options=none", &[]),
        ("options=none mss=1200", &[2, 4, 4, 176]),
        ("mss=1200 options=none", &[]),
        (
            "mss=536 wscale=none timestamps=none",
            &[2, 4, 2, 24, 4, 2, 1, 1],
        ),
    ];
    for (text, expected) in cases {
        check(&syn_ack(&OPTIONS), text, &syn_ack(expected));
    }
}

#[test]
fn options_that_were_not_there() {
    let bare = |options: &[u8]| tcp(0x012, options, b"");
    check(&bare(&[]), "mss=536", &bare(&[2, 4, 2, 24]));
    check(&bare(&[]), "wscale=2", &bare(&[3, 3, 2, 1]));
    check(&bare(&[]), "sack=ok", &bare(&[4, 2, 1, 1]));
    let stamps = [8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1];
    check(&bare(&[]), "timestamps=1/2", &bare(&stamps));
    // One that is there is changed in its place.
    check(
        &bare(&[2, 4, 5, 180, 3, 3, 7, 0]),
        "mss=536",
        &bare(&[2, 4, 2, 24, 3, 3, 7, 0]),
    );
    // Others come before the end of the list, and before what can't be read.
    check(
        &bare(&[3, 3, 2, 0]),
        "mss=536",
        &bare(&[3, 3, 2, 2, 4, 2, 24, 1]),
    );
    check(
        &bare(&[0, 9, 9, 9]),
        "mss=536",
        &bare(&[2, 4, 2, 24, 0, 9, 9, 9]),
    );
    check(
        &bare(&[1, 254, 40, 1]),
        "mss=536",
        &bare(&[1, 2, 4, 2, 24, 254, 40, 1]),
    );
    for text in [
        "mss=none",
        "wscale=none",
        "sack=none",
        "timestamps=none",
        "options=none",
    ] {
        check_no_change(&bare(&[]), text);
    }
    // 40 bytes are the most.
    let full = [
        5, 34, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 254, 6, 1, 2, 3, 4,
    ];
    check_no_change(&bare(&full), "mss=536");
    check(&bare(&full), "options=none", &bare(&[]));
}

#[test]
fn hop_limit() {
    let before = tcp(0x010, &OPTIONS, b"x");
    let mut after = before.clone();
    after.ttl = 1;
    check(&before, "ttl=1", &after);
    let before = made(132, vec![1, 2, 3, 4, 5, 6, 7, 8], 4, b"sctp");
    let mut after = before.clone();
    after.ttl = 255;
    check(&before, "ttl=255", &after);
}

#[test]
fn payloads() {
    for make in [
        (|payload| tcp(0x018, &OPTIONS, payload)) as fn(&[u8]) -> Made,
        udp,
        ping,
    ] {
        let before = make(b"hello");
        check(&before, "payload=\"Hi\"", &make(b"Hi"));
        check(
            &before,
            "payload=\"much longer than it was\"",
            &make(b"much longer than it was"),
        );
        check(&before, "payload=\"\"", &make(b""));
        check(
            &before,
            "payload=hex:00ff truncate=1 flip=0",
            &make(&[0xff]),
        );
        check(&before, "truncate=0", &make(b""));
        check(&before, "truncate=4", &make(b"hell"));
        check_no_change(&before, "truncate=5");
        check(&before, "flip=0", &make(b"\x97ello"));
        check(&before, "flip=4 flip=1", &make(b"h\x9all\x90"));
        check_no_change(&before, "flip=5");
        check(&before, "flip=5 truncate=1", &make(b"h"));
    }
}

#[test]
fn what_tcp_has_and_others_have_not() {
    for text in [
        "flags=S",
        "flags+=S",
        "seq=1",
        "seq+=1",
        "ack=1",
        "ack+=1",
        "window=0",
        "mss=536",
        "wscale=1",
        "sack=ok",
        "timestamps=1/1",
        "options=none",
        "urgent=1",
    ] {
        check_no_change(&udp(b"hello"), text);
        check_no_change(&ping(b"hello"), text);
        let sctp = made(132, vec![1, 2, 3, 4, 5, 6, 7, 8], 4, b"sctp");
        check_no_change(&sctp, text);
    }
}

#[test]
fn broken_checksums_are_wrong_and_nothing_else_is() {
    for made in [
        tcp(0x018, &OPTIONS, b"hello"),
        udp(b"hello"),
        ping(b"hello"),
    ] {
        for header in HEADERS {
            let made = made.under(header);
            let right = made.bytes();
            let at = right.len() - made.payload.len() - made.upper.len() + made.checksum_at;
            let broken = edit(&right, &changes("checksum=bad"));
            assert_ne!(broken[at..at + 2], right[at..at + 2]);
            assert_ne!(broken[at..at + 2], [0, 0], "zero says that there is none");
            let mut mended = broken.clone();
            mended[at..at + 2].copy_from_slice(&right[at..at + 2]);
            assert_eq!(mended, right);
            // Other changes are made all the same, and another change mends it.
            let both = edit(&right, &changes("flip=0 checksum=bad"));
            assert_eq!(both[at + 2..].last(), right.last());
            assert_eq!(
                edit(&broken, &changes("flip=0 ttl=64")),
                edit(&right, &changes("flip=0"))
            );

            let broken = edit(&right, &changes("ip-checksum=bad"));
            if header.is_v4() {
                assert_ne!(broken[10..12], right[10..12]);
                assert_eq!((&broken[..10], &broken[12..]), (&right[..10], &right[12..]));
            } else {
                assert_eq!(broken, right);
            }
        }
    }
}

#[test]
fn a_checksum_that_was_wrong_stays_where_nothing_is_changed() {
    let mut packet = tcp(0x018, &[], b"hello").bytes();
    packet[36] ^= 0xff;
    assert_eq!(edit(&packet, &changes("mss=none flip=9")), packet);
    let ttl = edit(&packet, &changes("ttl=1"));
    assert_eq!(ttl[20..], packet[20..]);
}

#[test]
fn a_datagram_without_checksum_stays_without() {
    let mut packet = udp(b"hello").bytes();
    packet[26..28].fill(0);
    let edited = edit(&packet, &changes("flip=0"));
    assert_eq!(edited[26..28], [0, 0]);
    let broken = edit(&packet, &changes("checksum=bad"));
    assert_ne!(broken[26..28], [0, 0]);
}

#[test]
fn of_fragments_only_the_ip_header_changes() {
    let mut packet = tcp(0x018, &[], b"hello!!!").bytes();
    packet[6] = 0x20;
    packet[10..12].fill(0);
    let sum = internet_checksum(&packet[..20]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    for text in ["flip=0", "seq=1", "mss=536", "checksum=bad", "truncate=1"] {
        assert_eq!(edit(&packet, &changes(text)), packet, "{text}");
    }
    let edited = edit(&packet, &changes("ttl=9 seq=1"));
    assert_eq!((edited[8], &edited[12..]), (9, &packet[12..]));
    assert_eq!(internet_checksum(&edited[..20]), 0);
}

#[test]
fn nothing_grows_beyond_what_a_packet_can_be() {
    let before = udp(&[7; 60_000]);
    let payload = "a".repeat(65_495);
    for header in HEADERS {
        let packet = before.under(header).bytes();
        let edited = edit(&packet, &changes(&format!("payload=\"{payload}\"")));
        // Not assert_eq, which would print all of it.
        if header.is_v4() {
            assert!(edited.ends_with(payload.as_bytes()), "{header:?}");
        } else {
            assert!(edited == packet, "{header:?}");
        }
    }
    let full = tcp(0x018, &[], &[7; 65_493]);
    assert_eq!(full.bytes().len(), 65_533);
    assert!(edit(&full.bytes(), &changes("mss=536")) == full.bytes());
}

/// Every kind of change, once.
fn all_changes() -> Vec<Vec<Assignment>> {
    let texts = [
        "flags=SA",
        "flags+=F flags-=A",
        "seq=7",
        "seq-=7",
        "ack=7",
        "ack+=7",
        "window=7",
        "mss=7",
        "mss=none",
        "wscale=7",
        "wscale=none",
        "sack=ok",
        "sack=none",
        "timestamps=7/7",
        "timestamps=none",
        "options=none",
        "urgent=7",
        "ttl=7",
        "payload=\"seven\"",
        "truncate=2",
        "flip=1",
        "checksum=bad",
        "ip-checksum=bad",
    ];
    let mut all: Vec<_> = texts.map(changes).into();
    all.push(all.concat());
    all
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        for changes in all_changes() {
            edit(&bytes, &changes);
        }
    }

    /// Packets that are nearly right get further. The checksum of the IPv4 header is right, so that it is read on.
    #[test]
    fn no_packet_makes_it_panic(
        kind in 0..3, header in prop::sample::select(HEADERS.to_vec()), flags in any::<u16>(),
        words in 0..11usize, options in prop::collection::vec(0..12u8, 40), payload in prop::collection::vec(any::<u8>(), 0..30),
        wrong in prop::collection::vec((0..100usize, any::<u8>()), 0..3), cut in prop::option::of(0..100usize),
    ) {
        let made = match kind {
            0 => tcp(flags & 0xfff, &options[..words.min(10) * 4], &payload),
            1 => udp(&payload),
            _ => ping(&payload),
        };
        let mut packet = made.under(header).bytes();
        for (at, byte) in wrong {
            if let Some(place) = packet.get_mut(at) {
                *place = byte;
            }
        }
        packet.truncate(cut.unwrap_or(usize::MAX));
        if packet.len() >= 20 && packet[0] >> 4 == 4 {
            let len = (usize::from(packet[0] & 15) * 4).clamp(20, packet.len());
            packet[10..12].fill(0);
            let sum = internet_checksum(&packet[..len]);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        for changes in all_changes() {
            edit(&packet, &changes);
        }
    }
}
