//! What the IP header of our packets says besides lengths and addresses: how far they go, and how they are to be treated.

use smoltcp::wire::{Ipv4Packet, Ipv6Packet};

/// "The current recommended default time to live (TTL) for the Internet Protocol (IP) is 64" (RFC 1700).
const DEFAULT_HOP_LIMIT: u8 = 64;

/// Time to live or hop limit, and Differentiated Services field (RFC 2474).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marking {
    /// At least 1.
    pub(crate) hop_limit: u8,
    /// Six bits.
    pub(crate) dscp: u8,
}

impl Default for Marking {
    fn default() -> Marking {
        Marking {
            hop_limit: DEFAULT_HOP_LIMIT,
            dscp: 0,
        }
    }
}

impl Marking {
    /// Marks a packet that was made with the default marking.
    pub(crate) fn mark(self, packet: &mut [u8]) {
        if self == Marking::default() {
            return;
        }
        if packet[0] >> 4 == 4 {
            let mut ip = Ipv4Packet::new_unchecked(packet);
            ip.set_hop_limit(self.hop_limit);
            ip.set_dscp(self.dscp);
            ip.fill_checksum();
        } else {
            let mut ip = Ipv6Packet::new_unchecked(packet);
            let congestion = ip.traffic_class() & 0b11;
            ip.set_hop_limit(self.hop_limit);
            ip.set_traffic_class(self.dscp << 2 | congestion);
        }
    }
}

/// The Differentiated Services field of a packet.
pub(crate) fn dscp(packet: &[u8]) -> u8 {
    match packet[0] >> 4 {
        4 => Ipv4Packet::new_unchecked(packet).dscp(),
        _ => Ipv6Packet::new_unchecked(packet).traffic_class() >> 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::reply;

    #[test]
    fn packets_are_marked() {
        let pairs = [
            ("192.0.2.2:7", "192.0.2.1:40000"),
            ("[2001:db8::2]:7", "[2001:db8::1]:40000"),
        ];
        for (local, peer) in
            pairs.map(|(local, peer)| (local.parse().unwrap(), peer.parse().unwrap()))
        {
            let mut packet = reply::datagram(local, peer, b"data").unwrap();
            let as_made = packet.clone();
            Marking::default().mark(&mut packet);
            assert_eq!(packet, as_made);
            let marking = Marking {
                hop_limit: 3,
                dscp: 46,
            };
            marking.mark(&mut packet);
            assert_eq!(dscp(&packet), 46);
            let described = crate::segment::describe(&packet);
            assert_eq!(described.ip.map(|ip| ip.hop_limit), Some(3));
            assert!(packet[0] >> 4 == 6 || Ipv4Packet::new_unchecked(&packet).verify_checksum());
        }
    }
}
