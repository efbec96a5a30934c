//! What holds for all packets, not only for those that somebody thought of.

use proptest::prelude::*;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    IpAddress, IpProtocol, IpRepr, Ipv4Address, Ipv6Address, TcpControl, TcpPacket, TcpRepr,
    TcpSeqNumber, TcpTimestampRepr, UdpPacket, UdpRepr,
};
use tcplab::capture::{Frame, Observer};
use tcplab::event::EventKind;
use tcplab::segment::{
    Body, Described, Flags, Options, Origin, SackBlocks, SeqNumber, TcpOption, describe,
    describe_captured,
};

proptest! {
    #[test]
    fn any_bytes_are_described(bytes in prop::collection::vec(any::<u8>(), 0..200), origin in origin()) {
        check_sound(&bytes, origin);
    }

    /// The same with a version that leads somewhere, and without the IPv4 checksum in the way.
    #[test]
    fn any_bytes_after_an_ip_header_are_described(
        payload in prop::collection::vec(any::<u8>(), 0..200),
        protocol in prop::sample::select(&[0, 1, 6, 17, 43, 44, 51, 58, 60][..]),
        v6 in any::<bool>(),
        origin in origin(),
    ) {
        check_sound(&ip_packet(v6, IpProtocol::from(protocol), &payload), origin);
    }

    #[test]
    fn damaged_packets_are_described(
        packet in prop_oneof![segment().prop_map(|segment| segment.packet()), datagram()],
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
        origin in origin(),
    ) {
        let mut packet = packet;
        for (at, byte) in damage {
            let at = at.index(packet.len());
            packet[at] = byte;
        }
        if let Some(cut) = cut {
            packet.truncate(cut.index(packet.len()));
        }
        check_sound(&packet, origin);
    }

    /// A capture has kept any part of a packet, and says anything of the rest.
    #[test]
    fn any_part_of_a_packet_is_described(
        packet in prop_oneof![
            segment().prop_map(|segment| segment.packet()),
            datagram(),
            prop::collection::vec(any::<u8>(), 0..100),
        ],
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        kept in any::<prop::sample::Index>(),
        whole_len in prop::option::of(prop_oneof![0..2_000usize, any::<usize>()]),
    ) {
        let (mut packet, len) = (packet.clone(), packet.len());
        for (at, byte) in damage {
            if len > 0 {
                packet[at.index(len)] = byte;
            }
        }
        packet.truncate(kept.index(len + 1));
        let whole_len = whole_len.unwrap_or(len);
        let described = describe_captured(&packet, whole_len);
        if let Some(payload) = described.payload() {
            prop_assert!(payload.start <= payload.end && payload.end <= whole_len.max(packet.len()));
        }
        prop_assert!(!described.notation(Origin::default()).to_string().is_empty());
    }

    /// Byte by byte, as RFC 9293, section 3.1 has it.
    #[test]
    fn options_are_what_their_bytes_say(
        bytes in prop::collection::vec(
            prop_oneof![5 => 0..11u8, 1 => prop::sample::select(&[18u8, 26, 34, 40, 41, 254, 255][..]), 1 => any::<u8>()],
            0..40,
        ),
    ) {
        let options = read_options(&bytes);
        let expected = options_by_hand(&options.1);
        let have: Vec<TcpOption> = options.0.iter().collect();
        prop_assert_eq!(&have, &expected);
        // Put together again, they take no more room than before.
        let again: Options = have.iter().copied().collect();
        prop_assert!(again.as_bytes().len() <= options.1.len());
        prop_assert_eq!(again.iter().count(), have.len());
        let stamps = have.iter().find_map(|option| match option {
            TcpOption::Timestamps { val, ecr } => Some((*val, *ecr)),
            _ => None,
        });
        prop_assert_eq!(options.0.timestamps(), stamps);
    }

    /// A capture holds any numbers, in any order, of both directions or of one.
    #[test]
    fn each_frame_is_told_once_and_in_order(
        segments in prop::collection::vec((numbers(), numbers(), 0..64u8, 0..40usize, any::<bool>(), 0..3u64), 1..60),
        v6 in any::<bool>(),
    ) {
        let mut observer = Observer::new(std::time::Duration::ZERO);
        let (mut time, mut events) = (std::time::Duration::ZERO, Vec::new());
        let frames = segments.len();
        for (seq, ack, flags, len, forth, passed) in segments {
            time += std::time::Duration::from_millis(passed * 400);
            let bytes = plain_segment(v6, forth, (seq, ack), flags, len);
            let whole_len = bytes.len();
            observer.frame(Frame { time, link_type: 101, bytes, whole_len });
            events.extend(std::iter::from_fn(|| observer.poll_event()));
        }
        observer.finish();
        events.extend(std::iter::from_fn(|| observer.poll_event()));
        let packets: Vec<u64> = events.iter().filter_map(|event| match &event.kind {
            EventKind::Packet(packet) => Some(packet.id.0),
            _ => None,
        }).collect();
        prop_assert_eq!(packets, (1..=frames as u64).collect::<Vec<_>>());
        for (event, number) in events.iter().zip(1..) {
            prop_assert_eq!(event.number, number);
        }
        prop_assert!(events.is_sorted_by_key(|event| event.at));
        let changes = events.iter().filter_map(|event| match &event.kind {
            EventKind::Transition(change) => Some((event.flow, change.from, change.to)),
            _ => None,
        });
        // Each state of a flow is the one into which it came last.
        let mut states = std::collections::HashMap::new();
        for (flow, from, to) in changes {
            let before = states.insert(flow, to);
            prop_assert!(before.is_none_or(|before| before == from), "{:?} {:?} {:?}", before, from, to);
        }
    }

    #[test]
    fn segments_read_as_smoltcp_reads_them(segment in segment()) {
        let packet = segment.packet();
        let described = check_sound(&packet, Origin::default());
        let ours = described.tcp().expect("a segment");
        let header_len = packet.len() - segment.bytes.len();
        let theirs = TcpRepr::parse(
            &TcpPacket::new_checked(&packet[header_len..]).expect("valid"),
            &segment.src,
            &segment.dst,
            &ChecksumCapabilities::default(),
        ).expect("valid");
        prop_assert!(ours.checksum_ok);
        prop_assert_eq!((ours.src_port, ours.dst_port), (theirs.src_port, theirs.dst_port));
        prop_assert_eq!(ours.seq, SeqNumber(theirs.seq_number.0 as u32));
        prop_assert_eq!(ours.acknowledges(), theirs.ack_number.map(|ack| SeqNumber(ack.0 as u32)));
        prop_assert_eq!(ours.window, theirs.window_len);
        prop_assert_eq!(ours.max_segment_size(), theirs.max_seg_size);
        prop_assert_eq!(ours.window_scale(), theirs.window_scale);
        prop_assert_eq!(ours.sack_permitted(), theirs.sack_permitted);
        prop_assert_eq!(&packet[ours.payload.clone()], theirs.payload);
        prop_assert_eq!(ours.sequence_len() as usize, theirs.segment_len());
        prop_assert_eq!(ours.flags.contains(Flags::PSH), theirs.control == TcpControl::Psh);
        prop_assert_eq!(ours.flags.contains(Flags::RST), theirs.control == TcpControl::Rst);
    }

    /// The checksum covers every bit of a segment.
    #[test]
    fn one_wrong_bit_is_noticed(segment in segment(), at in any::<prop::sample::Index>()) {
        let mut packet = segment.packet();
        let header_len = packet.len() - segment.bytes.len();
        let bit = at.index(segment.bytes.len() * 8);
        packet[header_len + bit / 8] ^= 1 << (bit % 8);
        let described = check_sound(&packet, Origin::default());
        match described.body {
            Body::Tcp(segment) => prop_assert!(!segment.checksum_ok),
            Body::Malformed(_) => {}
            other => prop_assert!(false, "{other:?}"),
        }
    }
}

/// What must be so for whatever bytes.
fn check_sound(packet: &[u8], origin: Origin) -> Described {
    let described = describe(packet);
    if let Some(payload) = described.payload() {
        let total_len = described.ip.expect("a payload needs a header").total_len;
        assert!(
            payload.start <= payload.end && payload.end <= total_len && total_len <= packet.len()
        );
    }
    for origin in [origin, Origin::default()] {
        let notation = described.notation(origin);
        for text in [format!("{notation}"), format!("{notation:#}")] {
            assert!(
                !text.is_empty() && text == text.trim() && !text.contains("  "),
                "{text:?}"
            );
        }
    }
    described
}

fn origin() -> impl Strategy<Value = Origin> {
    any::<(Option<u32>, Option<u32>)>().prop_map(|(seq, ack)| Origin {
        seq: seq.map(SeqNumber),
        ack: ack.map(SeqNumber),
    })
}

/// A valid segment, its bytes without the IP header.
#[derive(Debug)]
struct ValidSegment {
    src: IpAddress,
    dst: IpAddress,
    bytes: Vec<u8>,
}

impl ValidSegment {
    fn packet(&self) -> Vec<u8> {
        ip_packet(
            self.src.version() == smoltcp::wire::IpVersion::Ipv6,
            IpProtocol::Tcp,
            &self.bytes,
        )
    }
}

fn segment() -> impl Strategy<Value = ValidSegment> {
    let control = prop::sample::select(vec![
        TcpControl::None,
        TcpControl::Psh,
        TcpControl::Syn,
        TcpControl::Fin,
        TcpControl::Rst,
    ]);
    let numbers = (
        1u16..,
        1u16..,
        any::<i32>(),
        any::<Option<i32>>(),
        any::<u16>(),
    );
    let options = (
        any::<Option<u16>>(),
        prop::option::of(0u8..15),
        any::<bool>(),
        any::<Option<(u32, u32)>>(),
    );
    let sack = prop::option::of(any::<(u32, u32)>());
    let payload = prop::collection::vec(any::<u8>(), 0..64);
    (any::<bool>(), control, numbers, options, sack, payload).prop_map(
        |(v6, control, numbers, options, sack, payload)| {
            let (src_port, dst_port, seq, ack, window_len) = numbers;
            let (max_seg_size, window_scale, sack_permitted, timestamp) = options;
            let repr = TcpRepr {
                src_port,
                dst_port,
                control,
                seq_number: TcpSeqNumber(seq),
                ack_number: ack.map(TcpSeqNumber),
                window_len,
                window_scale,
                max_seg_size,
                sack_permitted,
                sack_ranges: [if ack.is_some() { sack } else { None }, None, None],
                timestamp: timestamp.map(|(val, ecr)| TcpTimestampRepr::new(val, ecr)),
                payload: &payload,
            };
            let (src, dst) = addresses(v6);
            let mut bytes = vec![0; repr.buffer_len()];
            repr.emit(
                &mut TcpPacket::new_unchecked(&mut bytes),
                &src,
                &dst,
                &ChecksumCapabilities::default(),
            );
            ValidSegment { src, dst, bytes }
        },
    )
}

fn datagram() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop::collection::vec(any::<u8>(), 0..64);
    (any::<bool>(), any::<(u16, u16)>(), payload).prop_map(|(v6, (src_port, dst_port), payload)| {
        let (src, dst) = addresses(v6);
        let repr = UdpRepr { src_port, dst_port };
        let mut bytes = vec![0; repr.header_len() + payload.len()];
        repr.emit(
            &mut UdpPacket::new_unchecked(&mut bytes),
            &src,
            &dst,
            payload.len(),
            |buffer| buffer.copy_from_slice(&payload),
            &ChecksumCapabilities::default(),
        );
        ip_packet(v6, IpProtocol::Udp, &bytes)
    })
}

fn ip_packet(v6: bool, protocol: IpProtocol, payload: &[u8]) -> Vec<u8> {
    let (src, dst) = addresses(v6);
    let repr = IpRepr::new(src, dst, protocol, payload.len(), 64);
    let mut packet = vec![0; repr.header_len()];
    repr.emit(&mut packet[..], &ChecksumCapabilities::default());
    packet.extend(payload);
    packet
}

fn addresses(v6: bool) -> (IpAddress, IpAddress) {
    if v6 {
        let address = |last| IpAddress::Ipv6(Ipv6Address::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last));
        (address(1), address(2))
    } else {
        let address = |last| IpAddress::Ipv4(Ipv4Address::new(192, 0, 2, last));
        (address(1), address(2))
    }
}

/// Near zero and half the circle, where one number comes before another and after it.
fn numbers() -> impl Strategy<Value = u32> {
    let near = prop::sample::select(&[0, 1, u32::MAX, (1 << 31) - 1, 1 << 31, (1 << 31) + 1][..]);
    prop_oneof![
        3 => near,
        3 => 0..200u32,
        1 => (0..200u32).prop_map(u32::wrapping_neg),
        1 => any::<u32>(),
    ]
}

fn plain_segment(v6: bool, forth: bool, (seq, ack): (u32, u32), flags: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; 20 + len];
    let (src, dst) = addresses(v6);
    let (src, dst, src_port, dst_port) = match forth {
        true => (src, dst, 50_000, 80),
        false => (dst, src, 80, 50_000),
    };
    let mut tcp = TcpPacket::new_unchecked(&mut bytes[..]);
    tcp.set_src_port(src_port);
    tcp.set_dst_port(dst_port);
    tcp.set_seq_number(TcpSeqNumber(seq as i32));
    tcp.set_ack_number(TcpSeqNumber(ack as i32));
    tcp.set_header_len(20);
    tcp.set_fin(flags & 1 != 0);
    tcp.set_syn(flags & 2 != 0);
    tcp.set_rst(flags & 28 == 4);
    tcp.set_ack(flags & 48 != 0);
    tcp.fill_checksum(&src, &dst);
    let repr = IpRepr::new(src, dst, IpProtocol::Tcp, bytes.len(), 64);
    let mut packet = vec![0; repr.header_len()];
    repr.emit(&mut packet[..], &ChecksumCapabilities::default());
    packet.extend(bytes);
    packet
}

/// The options of a segment that has these, padded to a multiple of four, and the bytes as they stand there.
fn read_options(bytes: &[u8]) -> (Options, Vec<u8>) {
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    let mut tcp = vec![0; 20];
    tcp[12] = (((20 + bytes.len()) / 4) << 4) as u8;
    tcp.extend(&bytes);
    let (src, dst) = addresses(true);
    TcpPacket::new_unchecked(&mut tcp[..]).fill_checksum(&src, &dst);
    let described = describe(&ip_packet(true, IpProtocol::Tcp, &tcp));
    (described.tcp().expect("a segment").options, bytes)
}

fn options_by_hand(bytes: &[u8]) -> Vec<TcpOption> {
    let (mut options, mut at) = (Vec::new(), 0);
    let number = |at: usize, len: usize| {
        let bytes = bytes[at..at + len].iter();
        bytes.fold(0u32, |number, &byte| number << 8 | u32::from(byte))
    };
    while at < bytes.len() {
        let kind = bytes[at];
        if kind == 0 {
            options.push(TcpOption::EndOfList);
            break;
        }
        if kind == 1 {
            options.push(TcpOption::Nop);
            at += 1;
            continue;
        }
        let len = bytes.get(at + 1).map_or(0, |&len| usize::from(len));
        if len < 2 || at + len > bytes.len() {
            options.push(TcpOption::Malformed { kind });
            break;
        }
        options.push(match (kind, len) {
            (2, 4) => TcpOption::MaxSegmentSize(number(at + 2, 2) as u16),
            (3, 3) => TcpOption::WindowScale(bytes[at + 2]),
            (4, 2) => TcpOption::SackPermitted,
            (5, 10 | 18 | 26 | 34) => {
                let edges = (at + 2..at + len).step_by(8);
                let block = |at| (SeqNumber(number(at, 4)), SeqNumber(number(at + 4, 4)));
                TcpOption::Sack(SackBlocks::new(edges.map(block)))
            }
            (8, 10) => TcpOption::Timestamps {
                val: number(at + 2, 4),
                ecr: number(at + 6, 4),
            },
            _ => TcpOption::Unknown {
                kind,
                len: len as u8,
            },
        });
        at += len;
    }
    options
}
