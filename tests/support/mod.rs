//! Packets that a test makes itself, checksums right.

// Each test file is a crate of its own, and not every one needs everything.
#![allow(dead_code)]

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{IpProtocol, IpRepr, checksum};
use std::net::{IpAddr, SocketAddr};
use tcplab::segment::describe;

pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const PSH: u8 = 0x08;
pub(crate) const ACK: u8 = 0x10;

/// A TCP segment as a test writes it down. SEG.ACK stands in the header also where the ACK bit is not set.
#[derive(Clone, Debug)]
pub(crate) struct Forged {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) flags: u8,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) window: u16,
    /// Options, a multiple of four bytes.
    pub(crate) options: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

impl Forged {
    pub(crate) fn new(from: SocketAddr, to: SocketAddr, flags: u8, seq: u32, ack: u32) -> Forged {
        Forged {
            from,
            to,
            flags,
            seq,
            ack,
            window: 65_535,
            options: Vec::new(),
            payload: Vec::new(),
        }
    }

    pub(crate) fn packet(&self) -> Vec<u8> {
        let header_len = 20 + self.options.len();
        let mut tcp = Vec::new();
        tcp.extend(self.from.port().to_be_bytes());
        tcp.extend(self.to.port().to_be_bytes());
        tcp.extend(self.seq.to_be_bytes());
        tcp.extend(self.ack.to_be_bytes());
        tcp.extend([(header_len / 4 * 16) as u8, self.flags]);
        tcp.extend(self.window.to_be_bytes());
        tcp.extend([0; 4]);
        tcp.extend(&self.options);
        tcp.extend(&self.payload);
        transport(self.from.ip(), self.to.ip(), IpProtocol::Tcp, tcp, 16)
    }
}

pub(crate) fn udp(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let mut udp = Vec::new();
    udp.extend(from.port().to_be_bytes());
    udp.extend(to.port().to_be_bytes());
    udp.extend(((payload.len() + 8) as u16).to_be_bytes());
    udp.extend([0; 2]);
    udp.extend(payload);
    transport(from.ip(), to.ip(), IpProtocol::Udp, udp, 6)
}

/// An ICMP echo request with identifier 7 and sequence number 1.
pub(crate) fn ping(from: IpAddr, to: IpAddr, payload: &[u8]) -> Vec<u8> {
    let (kind, protocol) = match from {
        IpAddr::V4(_) => (8, IpProtocol::Icmp),
        IpAddr::V6(_) => (128, IpProtocol::Icmpv6),
    };
    let mut icmp = vec![kind, 0, 0, 0, 0, 7, 0, 1];
    icmp.extend(payload);
    transport(from, to, protocol, icmp, 2)
}

/// An ICMP message whose checksum is filled in.
pub(crate) fn icmp(from: IpAddr, to: IpAddr, protocol: IpProtocol, message: Vec<u8>) -> Vec<u8> {
    transport(from, to, protocol, message, 2)
}

/// Puts an IP header before `data`, whose checksum belongs at `checksum_at`.
fn transport(
    from: IpAddr,
    to: IpAddr,
    protocol: IpProtocol,
    mut data: Vec<u8>,
    checksum_at: usize,
) -> Vec<u8> {
    let len = data.len() as u32;
    let pseudo = match (from, to) {
        (IpAddr::V4(_), IpAddr::V4(_)) if protocol == IpProtocol::Icmp => 0,
        (IpAddr::V4(from), IpAddr::V4(to)) => checksum::pseudo_header_v4(&from, &to, protocol, len),
        (IpAddr::V6(from), IpAddr::V6(to)) => checksum::pseudo_header_v6(&from, &to, protocol, len),
        _ => panic!("{from} and {to} are of different versions"),
    };
    let sum = !checksum::combine(&[pseudo, checksum::data(&data)]);
    data[checksum_at..checksum_at + 2].copy_from_slice(&sum.to_be_bytes());
    ip(from, to, protocol, &data)
}

/// Puts an IP header before `data`.
pub(crate) fn ip(from: IpAddr, to: IpAddr, protocol: IpProtocol, data: &[u8]) -> Vec<u8> {
    let header = IpRepr::new(from.into(), to.into(), protocol, data.len(), 64);
    let mut packet = vec![0; header.header_len()];
    header.emit(&mut packet[..], &ChecksumCapabilities::default());
    packet.extend(data);
    packet
}

/// Cuts a packet into fragments that carry `room` bytes each, a multiple of eight.
pub(crate) fn fragments(packet: &[u8], room: usize, id: u16) -> Vec<Vec<u8>> {
    let v4 = packet[0] >> 4 == 4;
    let (header, payload) = packet.split_at(if v4 { 20 } else { 40 });
    let count = payload.len().div_ceil(room);
    let pieces = payload.chunks(room).enumerate();
    pieces
        .map(|(index, piece)| {
            let more = u16::from(index + 1 < count);
            let units = (index * room / 8) as u16;
            let mut fragment = header.to_vec();
            if v4 {
                fragment.extend(piece);
                let total = fragment.len() as u16;
                fragment[2..4].copy_from_slice(&total.to_be_bytes());
                fragment[4..6].copy_from_slice(&id.to_be_bytes());
                fragment[6..8].copy_from_slice(&(more << 13 | units).to_be_bytes());
                fragment[10..12].fill(0);
                let sum = !checksum::data(&fragment[..20]);
                fragment[10..12].copy_from_slice(&sum.to_be_bytes());
            } else {
                fragment[4..6].copy_from_slice(&(piece.len() as u16 + 8).to_be_bytes());
                let next = std::mem::replace(&mut fragment[6], 44);
                fragment.extend([next, 0]);
                fragment.extend((units << 3 | more).to_be_bytes());
                fragment.extend([0, 0]);
                fragment.extend(id.to_be_bytes());
                fragment.extend(piece);
            }
            fragment
        })
        .collect()
}

/// What fragments carry together.
pub(crate) fn put_together(fragments: &[Vec<u8>]) -> Vec<u8> {
    let mut whole = Vec::new();
    for fragment in fragments {
        let ip = describe(fragment).ip.expect("a header");
        let offset = ip.fragment.expect("a fragment").offset;
        let data = &fragment[if ip.src.is_ipv4() { 20 } else { 48 }..];
        whole.resize(whole.len().max(offset + data.len()), 0);
        whole[offset..offset + data.len()].copy_from_slice(data);
    }
    whole
}
