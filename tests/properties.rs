//! What holds for all packets, not only for those that somebody thought of.

use proptest::prelude::*;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    IpAddress, IpProtocol, IpRepr, Ipv4Address, Ipv6Address, TcpControl, TcpPacket, TcpRepr,
    TcpSeqNumber, TcpTimestampRepr, UdpPacket, UdpRepr,
};
use tcplab::segment::{Body, Described, Flags, Origin, SeqNumber, describe};

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
