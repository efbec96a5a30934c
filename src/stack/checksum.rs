//! Checksums that are left to whoever sends a packet on: the sum of the pseudo-header stands in the field, all that follows
//! it is yet to be added.

use smoltcp::wire::{IpProtocol, checksum};
use std::net::IpAddr;

/// Where the checksum stands in the headers of TCP and UDP.
const IN_TCP: usize = 16;
const IN_UDP: usize = 6;

/// The sum of the pseudo-header of a TCP segment of `len` bytes, header included.
pub(crate) fn pseudo_header(src: IpAddr, dst: IpAddr, len: usize) -> u16 {
    let len = len as u32;
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            checksum::pseudo_header_v4(&src, &dst, IpProtocol::Tcp, len)
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            checksum::pseudo_header_v6(&src, &dst, IpProtocol::Tcp, len)
        }
        _ => unreachable!("both ends of a connection have the same IP version"),
    }
}

/// Where the TCP or UDP header of a packet without IPv6 extension headers begins, and where in it its checksum stands.
pub(crate) fn place(packet: &[u8]) -> Option<(usize, usize)> {
    let (protocol, start) = match packet.first()? >> 4 {
        4 => (*packet.get(9)?, usize::from(packet[0] & 0x0f) * 4),
        6 => (*packet.get(6)?, 40),
        _ => return None,
    };
    match IpProtocol::from(protocol) {
        IpProtocol::Tcp => Some((start, IN_TCP)),
        IpProtocol::Udp => Some((start, IN_UDP)),
        _ => None,
    }
}

/// Adds the rest: everything from `start` on, whose sum goes to `offset` from there. Places outside of the packet leave
/// it as it is.
pub(crate) fn complete(packet: &mut [u8], (start, offset): (usize, usize)) {
    let Some(covered) = packet.get_mut(start..) else {
        return;
    };
    let sum = match !checksum::data(covered) {
        // RFC 768: "If the computed checksum is zero, it is transmitted as all ones"; to others both mean the same.
        0 => !0,
        sum => sum,
    };
    if let Some(field) = covered.get_mut(offset..offset + 2) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{Checksum, describe, describe_offloaded};
    use crate::stack::reply;
    use std::net::SocketAddr;

    #[test]
    fn what_is_left_out_can_be_added_anywhere() {
        #[track_caller]
        fn check(src: &str, dst: &str, payload: &[u8]) {
            let ends: [SocketAddr; 2] = [src, dst].map(|end| end.parse().unwrap());
            let whole = reply::datagram(ends[0], ends[1], payload).unwrap();
            let (start, offset) = place(&whole).unwrap();
            let len = (whole.len() - start) as u32;
            let sum = match (ends[0].ip(), ends[1].ip()) {
                (IpAddr::V4(src), IpAddr::V4(dst)) => {
                    checksum::pseudo_header_v4(&src, &dst, IpProtocol::Udp, len)
                }
                (IpAddr::V6(src), IpAddr::V6(dst)) => {
                    checksum::pseudo_header_v6(&src, &dst, IpProtocol::Udp, len)
                }
                _ => unreachable!(),
            };
            let mut packet = whole.clone();
            packet[start + offset..start + offset + 2].copy_from_slice(&sum.to_be_bytes());

            let ok = |packet: &[u8], checksum| match describe_offloaded(packet, checksum).body {
                crate::segment::Body::Udp(datagram) => datagram.checksum_ok,
                other => panic!("{other:?}"),
            };
            assert!(ok(&packet, Checksum::Partial) && !ok(&packet, Checksum::Whole));
            assert!(!ok(&whole, Checksum::Partial) && ok(&whole, Checksum::Whole));
            // Whoever has looked before is believed.
            assert!(ok(&packet, Checksum::Verified));
            packet[start + offset] ^= 1;
            assert!(!ok(&packet, Checksum::Partial));
            packet[start + offset] ^= 1;

            complete(&mut packet, (start, offset));
            assert_eq!(describe(&packet), describe(&whole));
            complete(&mut packet, (9000, 0));
            complete(&mut packet, (start, 9000));
            assert_eq!(packet, whole);
        }
        check("192.0.2.1:7", "192.0.2.2:8", b"");
        check("192.0.2.1:7", "192.0.2.2:8", b"odd");
        check("[2001:db8::1]:7", "[2001:db8::2]:8", b"even");
    }

    #[test]
    fn only_tcp_and_udp_have_a_place() {
        let v4 = |protocol| [0x46, 0, 0, 0, 0, 0, 0, 0, 0, protocol];
        assert_eq!(place(&v4(6)), Some((24, 16)));
        assert_eq!(place(&v4(17)), Some((24, 6)));
        assert_eq!(place(&v4(1)), None);
        assert_eq!(place(&[0x60, 0, 0, 0, 0, 0, 44]), None);
        assert_eq!(place(&[0x60, 0, 0, 0, 0, 0, 6]), Some((40, 16)));
        assert_eq!(place(&[0x40]), None);
        assert_eq!(place(&[]), None);
    }
}
