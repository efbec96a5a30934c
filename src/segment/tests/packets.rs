//! Packets for the tables: captured ones, and builders that fill in lengths and checksums.

use smoltcp::wire::checksum;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Packets that a Linux kernel sent into a TUN device.
pub(super) mod captured {
    pub(in crate::segment::tests) const SYN_V4: &str = "4500003c35b94000400680ffc0000201c0000202cc2e0457e5e69df500000000a002faf0f8e3\
        0000020405b40402080ad826a39b000000000103030a";
    pub(in crate::segment::tests) const SYN_V6: &str = "600e33d50028064020010db800000000000000000000000120010db800000000000000000000\
        0002dd620457eb490fbc00000000a002fd20edf20000020405a00402080aac807848000000000103030a";
    pub(in crate::segment::tests) const ACK: &str =
        "4500002835ba400040068112c0000201c0000202cc2e0457e5e69df6fffffff15010faf0dc8a0000";
    pub(in crate::segment::tests) const DATA: &str = "4500002c35bb40004006810dc0000201c0000202cc2e0457e5e69df6fffffff15018faf078420000\
        3132330a";
    pub(in crate::segment::tests) const FIN: &str =
        "4500002835bc400040068110c0000201c0000202cc2e0457e5e69dfafffffff15011faf0dc850000";
    pub(in crate::segment::tests) const FIN_WITH_DATA_AGAIN: &str = "4500002c35bd40004006810bc0000201c0000202cc2e0457e5e69df6fffffff15019faf0\
        784100003132330a";
    pub(in crate::segment::tests) const UDP_V4: &str =
        "450000214ce94000401169dfc0000201c0000202941d0457000d9f8968656c6c6f";
    pub(in crate::segment::tests) const UDP_V6: &str = "600cb74c000d114020010db800000000000000000000000120010db800000000000000000000\
        0002b72f0457000da50668656c6c6f";
    pub(in crate::segment::tests) const ROUTER_SOLICITATION: &str = "6000000000083afffe8000000000000089eacedf5cb22e0bff0200000000000000000000\
        000000028500 99af00000000";
    pub(in crate::segment::tests) const PORT_UNREACHABLE: &str = "45c0003d57f8000040019e04c0000201c00002020303b4bd0000000045000021000000004011\
        f6c8c0000202c000020104570009000d000068656c6c6f";
}

pub(super) fn unhex(hex: &str) -> Vec<u8> {
    let digits: String = hex.split_whitespace().collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

pub(super) fn spoilt(mut packet: Vec<u8>, at: usize) -> Vec<u8> {
    packet[at] ^= 1;
    packet
}

/// Ports 1 and 2, sequence number 1, acknowledgment number 5, window 9, urgent pointer 7.
pub(super) fn tcp(flags: u16, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let offset_and_flags = ((20 + options.len() as u16) / 4) << 12 | flags;
    let mut segment = vec![0, 1, 0, 2, 0, 0, 0, 1, 0, 0, 0, 5];
    segment.extend(offset_and_flags.to_be_bytes());
    segment.extend([0, 9, 0, 0, 0, 7]);
    segment.extend(options);
    segment.extend(payload);
    segment
}

pub(super) fn udp(length: u16, payload: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0, 1, 0, 2];
    datagram.extend(length.to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    datagram
}

const V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

pub(super) fn v4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    v4_with(protocol, 0, &[], payload)
}

/// An IPv4 packet with identification 7 and right checksums, also that of the payload.
pub(super) fn v4_with(
    protocol: u8,
    flags_and_offset: u16,
    options: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let header_len = 20 + options.len();
    let mut packet = vec![0x40 | (header_len / 4) as u8, 0];
    packet.extend(((header_len + payload.len()) as u16).to_be_bytes());
    packet.extend([0, 7]);
    packet.extend(flags_and_offset.to_be_bytes());
    packet.extend([64, protocol, 0, 0]);
    packet.extend(V4.octets());
    packet.extend(V4.octets());
    packet.extend(options);
    fill_checksum(&mut packet, 10, 0);
    let covered = if protocol == 17 {
        udp_length(payload)
    } else {
        payload.len()
    };
    let pseudo = checksum::pseudo_header_v4(&V4, &V4, protocol.into(), covered as u32);
    packet.extend(with_checksum(payload, protocol, pseudo));
    packet
}

/// Nothing but an IPv4 header with a right checksum.
pub(super) fn v4_claiming(total_len: u16) -> Vec<u8> {
    let mut packet = v4(6, b"");
    packet[2..4].copy_from_slice(&total_len.to_be_bytes());
    packet[10..12].fill(0);
    fill_checksum(&mut packet, 10, 0);
    packet
}

pub(super) fn v6(next_header: u8, payload: &[u8]) -> Vec<u8> {
    v6_with(&[], next_header, payload)
}

/// An IPv6 packet with a right checksum in the payload; each extension header gets its first byte here.
pub(super) fn v6_with(headers: &[(u8, &[u8])], next_header: u8, payload: &[u8]) -> Vec<u8> {
    let mut kinds = headers.iter().map(|(kind, _)| *kind).chain([next_header]);
    let mut packet = vec![0x60, 0, 0, 0, 0, 0, kinds.next().unwrap(), 64];
    packet.extend(V6.octets());
    packet.extend(V6.octets());
    for ((_, bytes), next) in headers.iter().zip(kinds) {
        packet.push(next);
        packet.extend(&bytes[1..]);
    }
    let covered = if next_header == 17 {
        udp_length(payload)
    } else {
        payload.len()
    };
    let pseudo = checksum::pseudo_header_v6(&V6, &V6, next_header.into(), covered as u32);
    packet.extend(with_checksum(payload, next_header, pseudo));
    let payload_len = (packet.len() - 40) as u16;
    packet[4..6].copy_from_slice(&payload_len.to_be_bytes());
    packet
}

fn udp_length(payload: &[u8]) -> usize {
    payload.get(4..6).map_or(0, |length| {
        usize::from(u16::from_be_bytes([length[0], length[1]]))
    })
}

fn with_checksum(payload: &[u8], protocol: u8, pseudo: u16) -> Vec<u8> {
    let mut payload = payload.to_vec();
    let (at, pseudo) = match protocol {
        6 => (16, pseudo),
        17 => (6, pseudo),
        58 => (2, pseudo),
        1 => (2, 0),
        _ => return payload,
    };
    let covered = if protocol == 17 {
        udp_length(&payload).min(payload.len())
    } else {
        payload.len()
    };
    if covered >= at + 2 {
        fill_checksum(&mut payload[..covered], at, pseudo);
    }
    payload
}

fn fill_checksum(bytes: &mut [u8], at: usize, pseudo: u16) {
    let sum = !checksum::combine(&[pseudo, checksum::data(bytes)]);
    bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}
