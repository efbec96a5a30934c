use super::*;
use crate::segment::{Body, Origin, SackBlocks, TcpOption, describe};
use proptest::prelude::*;

fn ends(v6: bool) -> (SocketAddr, SocketAddr) {
    let [local, peer] = if v6 {
        ["[2001:db8::2]:7", "[2001:db8::1]:1000"]
    } else {
        ["192.0.2.2:7", "192.0.2.1:1000"]
    };
    (local.parse().unwrap(), peer.parse().unwrap())
}

/// What a packet says; its checksums must be right.
fn notation(packet: &[u8]) -> String {
    let notation = describe(packet).notation(Origin::default()).to_string();
    assert!(!notation.contains("bad checksum"), "{notation}");
    notation
}

/// RFC 9293, sections 3.5.2 and 3.10.7.1.
#[test]
fn resets_take_their_numbers_from_the_segment() {
    const FIN: u16 = Flags::FIN.0;
    const SYN: u16 = Flags::SYN.0;
    const RST: u16 = Flags::RST.0;
    const ACK: u16 = Flags::ACK.0;
    #[rustfmt::skip]
    let rows = [
        (SYN, 0, Some("R. 0:0(0) ack 101 win 0")),
        (SYN, 9, Some("R. 0:0(0) ack 110 win 0")),
        (SYN | FIN, 9, Some("R. 0:0(0) ack 111 win 0")),
        (0, 5, Some("R. 0:0(0) ack 105 win 0")),
        (SYN | ACK, 0, Some("R 77:77(0) win 0")),
        (ACK, 5, Some("R 77:77(0) win 0")),
        (FIN | ACK, 0, Some("R 77:77(0) win 0")),
        (RST, 0, None),
        (RST | ACK, 0, None),
    ];
    for v6 in [false, true] {
        let (local, peer) = ends(v6);
        for (flags, len, expected) in rows {
            let segment = Segment {
                src_port: peer.port(),
                dst_port: local.port(),
                seq: SeqNumber(100),
                ack: SeqNumber(77),
                flags: Flags(flags),
                window: 1,
                urgent: 0,
                options: Default::default(),
                payload: 40..40 + len,
                checksum_ok: true,
            };
            let reset = reset(local, peer, &segment);
            assert_eq!(
                reset.as_deref().map(notation).as_deref(),
                expected,
                "{segment:?}"
            );
            if let Some(reset) = reset {
                assert_eq!(describe(&reset).endpoints(), Some((local, peer)));
            }
        }
    }
}

#[test]
fn datagrams_up_to_the_longest() {
    for v6 in [false, true] {
        let (local, peer) = ends(v6);
        let longest = max_udp_payload(local);
        for len in [0, 1, longest] {
            let packet = datagram(local, peer, &vec![1; len]).unwrap();
            assert_eq!(notation(&packet), format!("udp ({len})"));
            assert_eq!(describe(&packet).endpoints(), Some((local, peer)));
        }
        assert_eq!(datagram(local, peer, &vec![1; longest + 1]), None);
    }
}

#[test]
fn only_echo_requests_are_replied_to() {
    for v6 in [false, true] {
        let (local, peer) = ends(v6);
        let unreachable = error(&datagram(peer, local, b"hello").unwrap(), Problem::Port).unwrap();
        let echo = |request: &[u8]| {
            let described = describe(request);
            let Body::Icmp(icmp) = &described.body else {
                panic!("{described:?}");
            };
            echo_reply(request, &described, icmp)
        };
        assert_eq!(echo(&unreachable), None);
        let (ident, seq_no, data) = (3, 4, &b"hello"[..]);
        let request = match v6 {
            true => {
                let repr = Icmpv6Repr::EchoRequest {
                    ident,
                    seq_no,
                    data,
                };
                icmpv6(peer.ip(), local.ip(), &repr)
            }
            false => {
                let repr = Icmpv4Repr::EchoRequest {
                    ident,
                    seq_no,
                    data,
                };
                icmpv4(peer.ip(), local.ip(), &repr)
            }
        };
        let reply = echo(&request).unwrap();
        assert_eq!(notation(&reply), "icmp echo reply id 3 seq 4 (5)");
        assert!(reply.ends_with(data));
        assert_eq!(echo(&reply), None);
    }
}

/// The error holds the header and the first bytes of the datagram, as they came.
#[test]
fn an_error_holds_what_it_speaks_of() {
    for (v6, max) in [(false, 576), (true, 1280)] {
        let (local, peer) = ends(v6);
        for len in [0, 5, 500, 1400] {
            let sent = datagram(peer, local, &vec![9; len]).unwrap();
            let error = error(&sent, Problem::Port).unwrap();
            assert_eq!(notation(&error), "icmp port unreachable");
            assert!(error.len() <= max);
            let held = describe(&error).payload().unwrap();
            let held = &error[held];
            assert!(
                held.len() >= sent.len().min(max - 48),
                "{} of {len}",
                held.len()
            );
            // What a host needs to find the socket: addresses, protocol, ports.
            let header_len = if v6 { 40 } else { 20 };
            let addresses = if v6 { 8..40 } else { 12..20 };
            assert_eq!(held[addresses.clone()], sent[addresses]);
            assert_eq!(held[header_len..], sent[header_len..held.len()]);
        }
    }
}

fn option() -> impl Strategy<Value = TcpOption> {
    prop_oneof![
        Just(TcpOption::Nop),
        Just(TcpOption::SackPermitted),
        any::<u16>().prop_map(TcpOption::MaxSegmentSize),
        any::<u8>().prop_map(TcpOption::WindowScale),
        any::<(u32, u32)>().prop_map(|(val, ecr)| TcpOption::Timestamps { val, ecr }),
        any::<(u32, u32)>().prop_map(|(left, right)| {
            TcpOption::Sack(SackBlocks::new([(SeqNumber(left), SeqNumber(right))]))
        }),
        (any::<u8>(), any::<u8>()).prop_map(|(kind, len)| TcpOption::Unknown { kind, len }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a segment of the peer's says, as long as the longest packets: what is made of it can be read, and says the same.
    #[test]
    fn any_segment_can_be_written(
        v6 in any::<bool>(),
        flags in 0..64u16,
        (seq, ack, window, urgent) in any::<(u32, u32, u16, u16)>(),
        options in prop::collection::vec(option(), 0..8),
        len in prop_oneof![3 => 0..3usize, 1 => 0..1_500usize, 3 => 65_440..65_516usize],
    ) {
        let (local, peer) = ends(v6);
        let described = Segment {
            src_port: peer.port(),
            dst_port: local.port(),
            seq: SeqNumber(seq),
            ack: SeqNumber(ack),
            flags: Flags(flags),
            window,
            urgent,
            options: options.into_iter().collect(),
            payload: 0..len,
            checksum_ok: true,
        };
        let payload: Vec<u8> = (0..len).map(|at| at as u8).collect();
        let packet = segment(peer, local, &described, &payload);
        let again = describe(&packet);
        prop_assert_eq!(again.ip.unwrap().total_len, packet.len());
        let Body::Tcp(again) = again.body else {
            panic!("{again:?}");
        };
        let longest = if v6 { 65_575 } else { 65_535 };
        prop_assert!(again.checksum_ok && packet.len() <= longest);
        prop_assert_eq!((again.seq, again.acknowledges(), again.window), (described.seq, described.acknowledges(), window));
        prop_assert_eq!(again.max_segment_size(), described.max_segment_size());
        prop_assert_eq!(again.window_scale(), described.window_scale());
        prop_assert_eq!(again.options.timestamps(), described.options.timestamps());
        let text = &packet[again.payload];
        prop_assert_eq!(text, &payload[..text.len()]);
        if text.len() < len {
            prop_assert!(len > 65_440 && !again.flags.contains(Flags::FIN));
        }
    }

    /// Errors about whatever has arrived, and echoes of it, are packets that can be read.
    #[test]
    fn any_packet_can_be_complained_of(
        v6 in any::<bool>(),
        mut packet in prop::collection::vec(any::<u8>(), 40..1_600),
        protocol in prop::sample::select(&[1u8, 6, 17, 44, 58, 60][..]),
        problem in prop_oneof![
            Just(Problem::Port), Just(Problem::Protocol), Just(Problem::Reassembly),
            (0..4u8, 0..2_000usize).prop_map(|(code, pointer)| Problem::parameter(code, pointer)),
        ],
    ) {
        let len = packet.len() as u16;
        if v6 {
            packet[0] = 0x60;
            packet[4..6].copy_from_slice(&(len - 40).to_be_bytes());
            packet[6] = protocol;
        } else {
            packet[0] = 0x45;
            packet[2..4].copy_from_slice(&len.to_be_bytes());
            packet[6..8].fill(0);
            packet[9] = protocol;
            packet[10..12].fill(0);
            let sum = smoltcp::wire::checksum::data(&packet[..20]);
            packet[10..12].copy_from_slice(&(!sum).to_be_bytes());
        }
        if let Some(error) = error(&packet, problem) {
            let most = if v6 { 1280 } else { 576 };
            prop_assert!(error.len() <= most);
            prop_assert!(notation(&error).starts_with("icmp "));
        }
        let described = describe(&packet);
        if let Body::Icmp(icmp) = &described.body
            && let Some(reply) = echo_reply(&packet, &described, icmp)
        {
            prop_assert_eq!(reply.len(), packet.len());
            prop_assert!(notation(&reply).starts_with("icmp echo reply"));
        }
    }
}
