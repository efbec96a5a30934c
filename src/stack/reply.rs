//! Packets that no socket makes: resets and acknowledgments for connections that smoltcp does not know, UDP
//! datagrams, ICMP echo replies and errors.
//!
//! What is written here is whole and right, checksums included; where it is longer than the MTU, it is cut
//! into fragments on its way out.

#[cfg(test)]
mod tests;

use crate::segment::{Body, Described, Flags, Icmp, Options, Segment, SeqNumber, describe};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    Icmpv4Repr, Icmpv6Repr, IpProtocol, IpRepr, Ipv4Packet, Ipv6Packet, TcpControl, TcpPacket,
    TcpRepr, TcpSeqNumber, TcpTimestampRepr, UdpPacket, UdpRepr,
};
use std::net::{IpAddr, SocketAddr};

/// The hop limit of everything we send ("the current recommended default time to live is 64", RFC 1700).
const HOP_LIMIT: u8 = 64;

/// RFC 1122, section 3.2.2 and RFC 4443, section 2.4 (c): an ICMP error holds as much of the packet it speaks
/// of as fits into the smallest MTU that every link must carry.
const ICMPV4_ERROR_MAX: usize = 576;
const ICMPV6_ERROR_MAX: usize = 1280;

/// The reset for a segment that no connection wants (RFC 9293, section 3.10.7.1); `None` for a segment that is
/// a reset itself.
pub(crate) fn reset(local: SocketAddr, peer: SocketAddr, segment: &Segment) -> Option<Vec<u8>> {
    if segment.flags.contains(Flags::RST) {
        return None;
    }
    let (seq, ack) = match segment.acknowledges() {
        // "If the incoming segment has an ACK field, the reset takes its sequence number from the ACK field
        // of the segment; otherwise, the reset has sequence number zero and the ACK field is set to the sum of
        // the sequence number and segment length of the incoming segment" (section 3.5.2).
        Some(ack) => (ack, None),
        None => (SeqNumber(0), Some(segment.end())),
    };
    Some(reset_with(local, peer, seq, ack))
}

fn reset_with(
    local: SocketAddr,
    peer: SocketAddr,
    seq: SeqNumber,
    ack: Option<SeqNumber>,
) -> Vec<u8> {
    let reset = Segment {
        src_port: local.port(),
        dst_port: peer.port(),
        seq,
        ack: ack.unwrap_or_default(),
        flags: Flags(Flags::RST.0 | ack.map_or(0, |_| Flags::ACK.0)),
        window: 0,
        urgent: 0,
        options: Options::new(),
        payload: 0..0,
        checksum_ok: true,
    };
    segment(local, peer, &reset, &[])
}

/// A bare acknowledgment with these options.
pub(crate) fn acknowledgment(
    local: SocketAddr,
    peer: SocketAddr,
    (seq, ack): (SeqNumber, SeqNumber),
    window: u16,
    options: Options,
) -> Vec<u8> {
    let acknowledgment = Segment {
        src_port: local.port(),
        dst_port: peer.port(),
        seq,
        ack,
        flags: Flags::ACK,
        window,
        urgent: 0,
        options,
        payload: 0..0,
        checksum_ok: true,
    };
    segment(local, peer, &acknowledgment, &[])
}

/// A segment as it is described, with this payload. Of its options those of a handshake and the timestamps count. Where these
/// leave no room for all of the payload in the longest packet there is, its end is left out, to come again.
pub(crate) fn segment(
    src: SocketAddr,
    dst: SocketAddr,
    segment: &Segment,
    payload: &[u8],
) -> Vec<u8> {
    let has = |flags: Flags| segment.flags.contains(flags);
    let timestamps = segment.options.timestamps();
    let timestamp = timestamps.map(|(val, ecr)| TcpTimestampRepr::new(val, ecr));
    let mut repr = TcpRepr {
        src_port: src.port(),
        dst_port: dst.port(),
        control: match () {
            () if has(Flags::SYN) => TcpControl::Syn,
            () if has(Flags::FIN) => TcpControl::Fin,
            () if has(Flags::RST) => TcpControl::Rst,
            () if has(Flags::PSH) => TcpControl::Psh,
            () => TcpControl::None,
        },
        seq_number: TcpSeqNumber(segment.seq.0 as i32),
        ack_number: segment.acknowledges().map(|ack| TcpSeqNumber(ack.0 as i32)),
        window_len: segment.window,
        window_scale: segment.window_scale(),
        max_seg_size: segment.max_segment_size(),
        sack_permitted: segment.sack_permitted(),
        sack_ranges: [None; 3],
        timestamp,
        payload,
    };
    let room = longest(src) - repr.header_len();
    if let Some(fits) = payload.get(..room)
        && fits.len() < payload.len()
    {
        repr.payload = fits;
        if repr.control == TcpControl::Fin {
            repr.control = TcpControl::None;
        }
    }
    emit(src.ip(), dst.ip(), &repr)
}

/// The most bytes that one packet carries behind its IP header: 16 bits of length say that of the whole packet in IPv4
/// (RFC 791), of what follows the header in IPv6 (RFC 8200).
fn longest(local: SocketAddr) -> usize {
    usize::from(u16::MAX) - if local.is_ipv4() { 20 } else { 0 }
}

fn emit(src: IpAddr, dst: IpAddr, repr: &TcpRepr<'_>) -> Vec<u8> {
    packet(src, dst, IpProtocol::Tcp, repr.buffer_len(), |room| {
        repr.emit(
            &mut TcpPacket::new_unchecked(room),
            &src.into(),
            &dst.into(),
            &ChecksumCapabilities::default(),
        );
    })
}

/// The most bytes that a UDP datagram between `local` and a peer of the same IP version may carry.
pub(crate) fn max_udp_payload(local: SocketAddr) -> usize {
    longest(local) - 8
}

/// A UDP datagram, or `None` where `payload` is too long for one.
pub(crate) fn datagram(local: SocketAddr, peer: SocketAddr, payload: &[u8]) -> Option<Vec<u8>> {
    if payload.len() > max_udp_payload(local) {
        return None;
    }
    let repr = UdpRepr {
        src_port: local.port(),
        dst_port: peer.port(),
    };
    let len = repr.header_len() + payload.len();
    Some(packet(
        local.ip(),
        peer.ip(),
        IpProtocol::Udp,
        len,
        |room| {
            repr.emit(
                &mut UdpPacket::new_unchecked(room),
                &local.ip().into(),
                &peer.ip().into(),
                payload.len(),
                |room| room.copy_from_slice(payload),
                &ChecksumCapabilities::default(),
            );
        },
    ))
}

/// The reply to an echo request; `None` for every other message. `arrived` is the packet that `icmp` describes.
pub(crate) fn echo_reply(arrived: &[u8], described: &Described, icmp: &Icmp) -> Option<Vec<u8>> {
    let ip = described.ip?;
    let (ident, seq_no) = icmp.echo?;
    let data = arrived.get(icmp.payload.clone())?;
    match (ip.dst, icmp.kind) {
        (IpAddr::V4(_), 8) => {
            let repr = Icmpv4Repr::EchoReply {
                ident,
                seq_no,
                data,
            };
            Some(icmpv4(ip.dst, ip.src, &repr))
        }
        (IpAddr::V6(_), 128) => {
            let repr = Icmpv6Repr::EchoReply {
                ident,
                seq_no,
                data,
            };
            Some(icmpv6(ip.dst, ip.src, &repr))
        }
        _ => None,
    }
}

/// What an ICMP error says, in the words of both versions of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// Nobody has the port that a UDP datagram was sent to.
    Port,
    /// Nobody speaks the protocol that an IPv4 packet carries.
    Protocol,
    /// A header is wrong: the code where it is IPv6, and at which byte of the packet.
    Parameter { code: u8, pointer: usize },
    /// The rest of a packet did not come in time.
    Reassembly,
}

impl Problem {
    pub(crate) const fn parameter(code: u8, pointer: usize) -> Problem {
        Problem::Parameter { code, pointer }
    }
}

/// The ICMP error about a packet that has arrived for us; `None` where none may be sent.
///
/// RFC 1122, section 3.2.2: an ICMP error "MUST NOT be sent as the result of receiving: an ICMP error message, [...] a
/// non-initial fragment"; RFC 4443, section 2.4 (e), likewise. Neither is it about what was sent to or from anything but
/// one host: such packets are discarded before.
pub(crate) fn error(about: &[u8], problem: Problem) -> Option<Vec<u8>> {
    let described = describe(about);
    let ip = described.ip?;
    let v4 = ip.src.is_ipv4();
    let is_error = match &described.body {
        Body::Icmp(icmp) => is_error(v4, icmp.kind),
        _ => false,
    };
    if is_error || ip.fragment.is_some_and(|fragment| fragment.offset != 0) {
        return None;
    }
    let (in_v4, in_v6, rest) = match problem {
        Problem::Port => ((3, 3), (1, 4), 0),
        // IPv6 says that of its headers.
        Problem::Protocol => ((3, 2), (4, 1), 0),
        Problem::Parameter { code, pointer } if v4 => ((12, code), (4, code), pointer << 24),
        Problem::Parameter { code, pointer } => ((12, code), (4, code), pointer),
        Problem::Reassembly => ((11, 1), (3, 1), 0),
    };
    // A packet can be padded on its way.
    let about = about.get(..ip.total_len).unwrap_or(about);
    icmp_error(about, in_v4, in_v6, rest as u32)
}

/// Whether an ICMP message of this type must not be answered with an error (RFC 1122, section 3.2.2; RFC 4443, section
/// 2.4 (e): errors and redirects).
fn is_error(v4: bool, kind: u8) -> bool {
    match v4 {
        true => matches!(kind, 3 | 4 | 5 | 11 | 12),
        false => kind < 128 || kind == 137,
    }
}

/// An ICMP error about a packet, with the type and code that it has in the packet's IP version, and what stands in the
/// four bytes behind the checksum. It comes from where the packet was going to.
pub(crate) fn icmp_error(about: &[u8], v4: (u8, u8), v6: (u8, u8), rest: u32) -> Option<Vec<u8>> {
    let write = |room: &mut [u8], (kind, code): (u8, u8), quoted: &[u8]| {
        room[..4].copy_from_slice(&[kind, code, 0, 0]);
        room[4..8].copy_from_slice(&rest.to_be_bytes());
        room[8..].copy_from_slice(quoted);
    };
    match about.first()? >> 4 {
        4 => {
            let ip = Ipv4Packet::new_checked(about).ok()?;
            let (src, dst) = (ip.dst_addr().into(), ip.src_addr().into());
            let quoted = cut(about, ICMPV4_ERROR_MAX - 20 - 8);
            let len = 8 + quoted.len();
            Some(packet(src, dst, IpProtocol::Icmp, len, |room| {
                write(room, v4, quoted);
                smoltcp::wire::Icmpv4Packet::new_unchecked(room).fill_checksum();
            }))
        }
        6 => {
            let ip = Ipv6Packet::new_checked(about).ok()?;
            let (src, dst) = (ip.dst_addr(), ip.src_addr());
            let quoted = cut(about, ICMPV6_ERROR_MAX - 40 - 8);
            let len = 8 + quoted.len();
            let (from, to) = (src.into(), dst.into());
            Some(packet(from, to, IpProtocol::Icmpv6, len, |room| {
                write(room, v6, quoted);
                smoltcp::wire::Icmpv6Packet::new_unchecked(room).fill_checksum(&src, &dst);
            }))
        }
        _ => None,
    }
}

/// A RST with these numbers, whatever the connection may be.
pub(crate) fn forged_reset(
    src: SocketAddr,
    dst: SocketAddr,
    seq: SeqNumber,
    ack: SeqNumber,
) -> Vec<u8> {
    reset_with(src, dst, seq, Some(ack))
}

fn cut(data: &[u8], max: usize) -> &[u8] {
    &data[..data.len().min(max)]
}

fn icmpv4(src: IpAddr, dst: IpAddr, repr: &Icmpv4Repr<'_>) -> Vec<u8> {
    packet(src, dst, IpProtocol::Icmp, repr.buffer_len(), |room| {
        let mut icmp = smoltcp::wire::Icmpv4Packet::new_unchecked(room);
        repr.emit(&mut icmp, &ChecksumCapabilities::default());
    })
}

fn icmpv6(src: IpAddr, dst: IpAddr, repr: &Icmpv6Repr<'_>) -> Vec<u8> {
    let (IpAddr::V6(from), IpAddr::V6(to)) = (src, dst) else {
        return Vec::new();
    };
    packet(src, dst, IpProtocol::Icmpv6, repr.buffer_len(), |room| {
        let mut icmp = smoltcp::wire::Icmpv6Packet::new_unchecked(room);
        repr.emit(&from, &to, &mut icmp, &ChecksumCapabilities::default());
    })
}

fn packet(
    src: IpAddr,
    dst: IpAddr,
    protocol: IpProtocol,
    payload_len: usize,
    write: impl FnOnce(&mut [u8]),
) -> Vec<u8> {
    let ip = IpRepr::new(src.into(), dst.into(), protocol, payload_len, HOP_LIMIT);
    let mut packet = vec![0; ip.buffer_len()];
    write(&mut packet[ip.header_len()..]);
    ip.emit(&mut packet[..], &ChecksumCapabilities::default());
    packet
}
