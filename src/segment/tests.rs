//! Bytes in, notation out: reading and printing are tested as one, in tables.

mod packets;

use super::*;
use packets::*;

#[test]
fn captured_packets() {
    let origin = Origin {
        seq: Some(SeqNumber(0xe5e6_9df5)),
        ack: Some(SeqNumber(0xffff_fff0)),
    };
    let options = "TS val 3626410907 ecr 0,nop,wscale 10>";
    #[rustfmt::skip]
    let rows = [
        (captured::SYN_V4, format!("S 0:0(0) win 64240 <mss 1460,sackOK,{options}"), format!("S 0:0(0) <mss 1460,sackOK,{options}")),
        (captured::ACK, ". 1:1(0) ack 1 win 64240".into(), ". ack 1".into()),
        (captured::DATA, "P. 1:5(4) ack 1 win 64240".into(), "P. 1:5(4) ack 1".into()),
        (captured::FIN, "F. 5:5(0) ack 1 win 64240".into(), "F. 5:5(0) ack 1".into()),
        (captured::FIN_WITH_DATA_AGAIN, "FP. 1:5(4) ack 1 win 64240".into(), "FP. 1:5(4) ack 1".into()),
        (captured::UDP_V4, "udp (5)".into(), "udp (5)".into()),
        (captured::UDP_V6, "udp (5)".into(), "udp (5)".into()),
        (captured::ROUTER_SOLICITATION, "icmp router solicitation".into(), "icmp router solicitation".into()),
        (captured::PORT_UNREACHABLE, "icmp port unreachable".into(), "icmp port unreachable".into()),
    ];
    for (hex, full, short) in rows {
        let described = describe(&unhex(hex));
        assert_eq!(described.notation(origin).to_string(), full);
        assert_eq!(format!("{:#}", described.notation(origin)), short);
    }
    check(
        &unhex(captured::SYN_V6),
        "S 3947433916:3947433916(0) win 64800 <mss 1440,sackOK,TS val 2894100552 ecr 0,nop,wscale 10>",
    );
}

#[test]
fn fields_of_a_captured_segment() {
    let described = describe(&unhex(captured::DATA));
    let ip = described.ip.unwrap();
    assert_eq!(
        (ip.hop_limit, ip.protocol, ip.total_len, ip.dont_fragment),
        (64, 6, 44, true)
    );
    let (src, dst) = described.endpoints().unwrap();
    assert_eq!(
        (src.to_string(), dst.to_string()),
        ("192.0.2.1:52270".into(), "192.0.2.2:1111".into())
    );
    assert_eq!(described.payload(), Some(40..44));
    let segment = described.tcp().unwrap();
    assert_eq!(segment.end(), SeqNumber(0xe5e6_9dfa));
    assert_eq!(
        segment.notation(Origin::default()).to_string(),
        described.notation(Origin::default()).to_string()
    );
}

#[test]
fn control_bits() {
    #[rustfmt::skip]
    let rows = [
        (0x000, "- 1:3(2) win 9", "- 1:3(2)"),
        (0x001, "F 1:3(2) win 9", "F 1:3(2)"),
        (0x002, "S 1:3(2) win 9", "S 1:3(2)"),
        (0x004, "R 1:3(2) win 9", "R 1:3(2)"),
        (0x014, "R. 1:3(2) ack 5 win 9", "R. 1:3(2) ack 5"),
        (0x030, ".U 1:3(2) ack 5 win 9 urg 7", ".U 1:3(2) ack 5 urg 7"),
        (0x0d0, ".EW 1:3(2) ack 5 win 9", ".EW 1:3(2) ack 5"),
        (0x1ff, "FSRP.UEWA 1:3(2) ack 5 win 9 urg 7", "FSRP.UEWA 1:3(2) ack 5 urg 7"),
        // The reserved bits have no letter.
        (0xe10, ". 1:3(2) ack 5 win 9", ". 1:3(2) ack 5"),
    ];
    for (flags, full, short) in rows {
        let described = describe(&v4(6, &tcp(flags, &[], b"hi")));
        assert_eq!(described.notation(Origin::default()).to_string(), full);
        assert_eq!(
            format!("{:#}", described.notation(Origin::default())),
            short
        );
    }
}

#[test]
fn options() {
    #[rustfmt::skip]
    let rows: [(&[u8], &str); 16] = [
        (&[0, 9, 9, 9], "eol"),
        (&[1, 1, 1, 0], "nop,nop,nop,eol"),
        (&[2, 4, 5, 0xb4], "mss 1460"),
        (&[3, 3, 14, 1], "wscale 14,nop"),
        (&[4, 2, 1, 1], "sackOK,nop,nop"),
        (&[1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 3], "nop,nop,sack 1:3"),
        (&[1, 1, 8, 10, 0, 0, 0, 10, 0, 0, 0, 11], "nop,nop,TS val 10 ecr 11"),
        (&[30, 4, 0, 0], "kind-30 len 4"),
        (&[34, 2, 1, 1], "kind-34 len 2,nop,nop"),
        // Known kinds with a length that is not theirs.
        (&[2, 3, 5, 1], "kind-2 len 3,nop"),
        (&[5, 2, 1, 0], "kind-5 len 2,nop,eol"),
        (&[5, 8, 0, 0, 0, 1, 0, 0], "kind-5 len 8"),
        // Lengths with which nothing after them can be read.
        (&[1, 1, 1, 2], "nop,nop,nop,kind-2 malformed"),
        (&[30, 0, 2, 4], "kind-30 malformed"),
        (&[30, 1, 2, 4], "kind-30 malformed"),
        (&[4, 2, 8, 10], "sackOK,kind-8 malformed"),
    ];
    for (options, expected) in rows {
        check(
            &v4(6, &tcp(0x10, options, b"")),
            &format!(". 1:1(0) ack 5 win 9 <{expected}>"),
        );
        check(
            &v6(6, &tcp(0x10, options, b"")),
            &format!(". 1:1(0) ack 5 win 9 <{expected}>"),
        );
    }
}

#[test]
fn four_sack_blocks() {
    let mut options = vec![1, 1, 5, 34];
    for edge in [7u32, 9, 11, 13, 15, 17, 19, 21] {
        options.extend(edge.to_be_bytes());
    }
    let described = describe(&v4(6, &tcp(0x10, &options, b"")));
    let origin = Origin {
        seq: None,
        ack: Some(SeqNumber(4)),
    };
    assert_eq!(
        described.notation(origin).to_string(),
        ". 1:1(0) ack 1 win 9 <nop,nop,sack 3:5 7:9 11:13 15:17>"
    );
    assert_eq!(format!("{:#}", described.notation(origin)), ". ack 1");
}

#[test]
fn relative_numbers_wrap() {
    let described = describe(&v4(6, &tcp(0x10, &[], b"hi")));
    let origin = Origin {
        seq: Some(SeqNumber(2)),
        ack: Some(SeqNumber(u32::MAX)),
    };
    assert_eq!(
        described.notation(origin).to_string(),
        ". 4294967295:1(2) ack 6 win 9"
    );
}

#[test]
fn checksums() {
    let segment = tcp(0x10, &[], b"hi");
    let datagram = udp(10, b"hi");
    let echo = [8, 0, 0, 0, 0, 5, 0, 1, 1, 2];
    check(
        &spoilt(v4(6, &segment), 38),
        ". 1:3(2) ack 5 win 9 [bad checksum]",
    );
    check(
        &spoilt(v6(6, &segment), 58),
        ". 1:3(2) ack 5 win 9 [bad checksum]",
    );
    check(&spoilt(v4(17, &datagram), 28), "udp (2) [bad checksum]");
    check(&spoilt(v6(17, &datagram), 48), "udp (2) [bad checksum]");
    check(
        &spoilt(v4(1, &echo), 29),
        "icmp echo request id 5 seq 1 (2) [bad checksum]",
    );
    check(
        &spoilt(v6(58, &[128, 0, 0, 0, 0, 5, 0, 1]), 40),
        "icmp echo reply id 5 seq 1 (0) [bad checksum]",
    );
    let without_checksum = |mut packet: Vec<u8>, at| {
        packet[at..at + 2].fill(0);
        packet
    };
    check(&without_checksum(v4(17, &datagram), 26), "udp (2)");
    check(
        &without_checksum(v6(17, &datagram), 46),
        "udp (2) [bad checksum]",
    );
}

#[test]
fn icmp_messages() {
    #[rustfmt::skip]
    let rows: [(bool, &[u8], &str); 13] = [
        (true, &[8, 0, 0, 0, 0, 5, 0, 1, 9, 9], "icmp echo request id 5 seq 1 (2)"),
        (true, &[0, 0, 0, 0, 0, 5, 0, 1], "icmp echo reply id 5 seq 1 (0)"),
        (true, &[3, 1, 0, 0, 0, 0, 0, 0], "icmp host unreachable"),
        (true, &[3, 4, 0, 0, 0, 0, 5, 0xdc], "icmp fragmentation needed mtu 1500"),
        (true, &[11, 0, 0, 0, 0, 0, 0, 0], "icmp time to live exceeded"),
        (true, &[3, 99, 0, 0, 0, 0, 0, 0], "icmp unknown message type 3 code 99"),
        (true, &[128, 0, 0, 0, 0, 5, 0, 1], "icmp unknown message type 128 code 0"),
        (false, &[128, 0, 0, 0, 0, 5, 0, 1, 9], "icmp echo request id 5 seq 1 (1)"),
        (false, &[129, 0, 0, 0, 0, 5, 0, 1], "icmp echo reply id 5 seq 1 (0)"),
        (false, &[1, 4, 0, 0, 0, 0, 0, 0], "icmp port unreachable"),
        (false, &[2, 0, 0, 0, 0, 1, 0, 0], "icmp packet too big mtu 65536"),
        (false, &[4, 1, 0, 0, 0, 0, 0, 0], "icmp parameter problem: unrecognized next header"),
        (false, &[8, 0, 0, 0, 0, 5, 0, 1], "icmp unknown message type 8 code 0"),
    ];
    for (is_v4, message, expected) in rows {
        check(
            &if is_v4 {
                v4(1, message)
            } else {
                v6(58, message)
            },
            expected,
        );
    }
}

#[test]
fn other_protocols() {
    check(&v4(47, &[0; 20]), "protocol 47 (20)");
    check(&v6(50, &[0; 8]), "protocol 50 (8)");
    // No next header (RFC 8200, section 4.7), and each ICMP in the other's IP.
    check(&v6(59, b""), "protocol 59 (0)");
    check(&v4(58, &[128, 0, 0, 0, 0, 5, 0, 1]), "protocol 58 (8)");
    check(&v6(1, &[8, 0, 0, 0, 0, 5, 0, 1]), "protocol 1 (8)");
}

#[test]
fn lengths_that_ignore_what_follows() {
    let mut padded = v4(6, &tcp(0x10, &[], b"hi"));
    padded.extend([0; 6]);
    check(&padded, ". 1:3(2) ack 5 win 9");
    check(&v4(17, &udp(9, b"hi!")), "udp (1)");
}

#[test]
fn ip_options_and_extension_headers() {
    let segment = tcp(0x10, &[], b"hi");
    let expected = ". 1:3(2) ack 5 win 9";
    let described = describe(&v4_with(6, 0, &[1, 1, 1, 0], &segment));
    assert_eq!(described.payload(), Some(44..46));
    assert_eq!(described.notation(Origin::default()).to_string(), expected);
    let rows: [&[(u8, &[u8])]; 7] = [
        &[(0, &[0, 0, 1, 4, 0, 0, 0, 0])],
        &[(43, &[0, 0, 0, 0, 0, 0, 0, 0])],
        &[(60, &[0, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])],
        &[(51, &[0, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 9, 9, 9, 9])],
        // An atomic fragment (RFC 6946).
        &[(44, &[0, 0, 0, 0, 0, 0, 0, 7])],
        &[(0, &[0; 8]), (60, &[0; 8]), (43, &[0; 8]), (51, &[0; 8])],
        // A routing header with a segment left: the final destination, so the checksum, is not known.
        &[(43, &[0, 0, 0, 1, 0, 0, 0, 0])],
    ];
    for headers in rows {
        let described = describe(&v6_with(headers, 6, &segment));
        assert_eq!(described.ip.unwrap().protocol, 6);
        assert_eq!(
            described.notation(Origin::default()).to_string(),
            expected,
            "{headers:?}"
        );
    }
    let spoilt_segment = spoilt(v6_with(&[(43, &[0, 0, 0, 1, 0, 0, 0, 0])], 6, &segment), 66);
    check(&spoilt_segment, expected);
}

#[test]
fn fragments() {
    let segment = tcp(0x10, &[1, 1, 1, 1], b"hi");
    let echo = [8, 0, 0, 0, 0, 5, 0, 1];
    let more = 0x2000;
    let first = [0, 0, 0, 1, 0, 0, 0, 7];
    let middle = [0, 0, 0x05, 0xa9, 0, 0, 0, 7];
    let last = [0, 0, 0x05, 0xa8, 0, 0, 0, 7];
    let whole = ". 1:3(2) ack 5 win 9 <nop,nop,nop,nop> fragment id 7 offset 0 more";
    #[rustfmt::skip]
    let rows = [
        (v4_with(6, more, &[], &segment), whole),
        (v4_with(6, more, &[], &segment[..23]), "fragment id 7 offset 0 more (23)"),
        (v4_with(6, more, &[], &segment[..8]), "fragment id 7 offset 0 more (8)"),
        (v4_with(17, more, &[], &udp(1608, &[0; 16])), "udp (16) fragment id 7 offset 0 more"),
        (v4_with(1, more, &[], &echo), "icmp echo request id 5 seq 1 (0) fragment id 7 offset 0 more"),
        (v4_with(47, more, &[], &[0; 8]), "protocol 47 (8) fragment id 7 offset 0 more"),
        (v4_with(6, more | 185, &[], &[0; 24]), "fragment id 7 offset 1480 more (24)"),
        (v4_with(6, 185, &[], &[0; 24]), "fragment id 7 offset 1480 (24)"),
        (v6_with(&[(44, &first)], 6, &segment), whole),
        (v6_with(&[(44, &first)], 6, &segment[..16]), "fragment id 7 offset 0 more (16)"),
        (v6_with(&[(0, &[0; 8]), (44, &middle)], 6, &[0; 24]), "fragment id 7 offset 1448 more (24)"),
        (v6_with(&[(44, &last)], 6, &[0; 24]), "fragment id 7 offset 1448 (24)"),
        // The headers after the fragment header are part of what is cut, and count.
        (v6_with(&[(44, &first), (60, &[0; 8])], 6, &segment[..16]), "fragment id 7 offset 0 more (24)"),
        (v6_with(&[(44, &first), (60, &[0, 4, 0, 0, 0, 0, 0, 0])], 6, b""), "fragment id 7 offset 0 more (8)"),
    ];
    for (packet, expected) in rows {
        check(&packet, expected);
        // Nothing of a fragment's transport checksum can be judged.
        let last_byte = packet.len() - 1;
        assert!(
            !describe(&spoilt(packet, last_byte))
                .notation(Origin::default())
                .to_string()
                .contains("bad")
        );
    }
    let described = describe(&v6_with(&[(44, &last)], 6, &[0; 24]));
    assert_eq!(
        (described.ip.unwrap().protocol, described.payload()),
        (6, Some(48..72))
    );
}

#[test]
fn malformed_packets() {
    let segment = tcp(0x10, &[], b"");
    let good = v4(6, &segment);
    let good_v6 = v6(6, &segment);
    let with = |packet: &[u8], at: usize, byte: u8| {
        let mut packet = packet.to_vec();
        packet[at] = byte;
        packet
    };
    #[rustfmt::skip]
    let rows = [
        (vec![], "ip: empty packet"),
        (with(&good, 0, 0x55), "ip: version 5 is neither 4 nor 6"),
        (good[..19].to_vec(), "ip: header length 20 exceeds the 19 bytes present"),
        (with(&good, 0, 0x44), "ip: header length 16 is less than 20"),
        (with(&good, 0, 0x4f), "ip: header length 60 exceeds the 40 bytes present"),
        (with(&good, 10, 0x12), "ip: header checksum 0x12c6 should be 0xf6c6"),
        (v4_claiming(19), "ip: total length 19 is less than the header length 20"),
        (good[..39].to_vec(), "ip: total length 40 exceeds the 39 bytes present"),
        (good_v6[..39].to_vec(), "ip: header length 40 exceeds the 39 bytes present"),
        (good_v6[..59].to_vec(), "ip: total length 60 exceeds the 59 bytes present"),
        (v6(0, b""), "ip: hop-by-hop options length 8 exceeds the 0 bytes left"),
        (v6(43, &[6, 1, 0, 0, 0, 0, 0, 0]), "ip: routing header length 16 exceeds the 8 bytes left"),
        (v6(60, &[6, 255]), "ip: destination options length 2048 exceeds the 2 bytes left"),
        (v6(51, &[6, 4, 0, 0, 0, 0, 0, 0]), "ip: authentication header length 24 exceeds the 8 bytes left"),
        (v6(44, &[6, 0, 0, 0]), "ip: fragment header length 8 exceeds the 4 bytes left"),
        (v6_with(&[(44, &[0, 0, 0, 1, 0, 0, 0, 7]), (44, &[0; 8])], 6, &segment), "ip: second fragment header"),
        (v4(6, &segment[..19]), "tcp: header length 20 exceeds the 19 bytes present"),
        (v4(6, &with(&segment, 12, 0x30)), "tcp: header length 12 is less than 20"),
        (v6(6, &with(&segment, 12, 0xa0)), "tcp: header length 40 exceeds the 20 bytes present"),
        (v4(17, &[0; 7]), "udp: header length 8 exceeds the 7 bytes present"),
        (v4(17, &udp(7, b"")), "udp: length 7 is less than 8"),
        (v6(17, &udp(11, b"hi")), "udp: datagram length 11 exceeds the 10 bytes present"),
        (v4(1, &[8, 0, 0, 0]), "icmp: header length 8 exceeds the 4 bytes present"),
        (v6(58, &[]), "icmp: header length 8 exceeds the 0 bytes present"),
    ];
    for (packet, why) in rows {
        check(&packet, &format!("malformed {why}"));
    }
    assert_eq!(describe(&good[..19]).ip, None);
    assert!(describe(&good[..39]).ip.is_some());
}

#[test]
fn a_packet_cut_anywhere_is_malformed() {
    let valid = [
        unhex(captured::SYN_V4),
        unhex(captured::SYN_V6),
        unhex(captured::UDP_V6),
        unhex(captured::PORT_UNREACHABLE),
        v6_with(
            &[(0, &[0; 8]), (60, &[0; 8]), (51, &[0; 8])],
            6,
            &tcp(0x10, &[], b"hi"),
        ),
    ];
    for packet in valid {
        for length in 0..packet.len() {
            let described = describe(&packet[..length]);
            let Body::Malformed(Malformed {
                layer: Layer::Ip, ..
            }) = described.body
            else {
                panic!("{length} bytes of {packet:02x?} are described as {described:?}");
            };
        }
    }
}

#[track_caller]
fn check(packet: &[u8], expected: &str) {
    assert_eq!(
        describe(packet).notation(Origin::default()).to_string(),
        expected
    );
}
