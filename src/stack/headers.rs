//! IP headers that are refused: IPv4 options, IPv6 extension headers and their options.
//!
//! | what | what becomes of the packet |
//! |---|---|
//! | an IPv4 source route | discarded (RFC 7126, sections 4.3.5 and 4.4.5) |
//! | an IPv4 option whose length can't be | parameter problem (RFC 792) |
//! | any other IPv4 option | not looked at (RFC 1122, section 3.2.1.8) |
//! | an IPv6 option that is unknown | what its first two bits say (RFC 8200, section 4.2) |
//! | an IPv6 option that ends behind its header | discarded |
//! | a routing header with segments left | parameter problem, code 0 (RFC 8200, section 4.4; RFC 5095 for type 0) |
//! | hop-by-hop options that are not first | parameter problem, code 1 (RFC 8200, section 4.1) |
//! | a header or protocol that is unknown | parameter problem, code 1 (RFC 8200, section 4) |
//! | a first fragment that ends among the headers | parameter problem, code 3 (RFC 8200, section 4.5; RFC 7112) |
//!
//! A packet for a multicast address is never looked at: there is no group that we are a member of.

#[cfg(test)]
mod tests;

use super::reply::Problem;
use smoltcp::wire::IpProtocol;

/// What is wrong with the headers of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Objection {
    /// It is discarded, and nobody told.
    Silent,
    /// Whoever sent it is told where it is wrong.
    Answered(Problem),
    /// What it carries is a protocol that we don't speak.
    Protocol(Problem),
}

/// What is wrong with the IP headers of a packet that [`describe`](crate::segment::describe) could read; `None` for
/// nothing.
pub(crate) fn objection(packet: &[u8]) -> Option<Objection> {
    match packet.first()? >> 4 {
        4 => v4(packet),
        _ => v6(packet),
    }
}

fn v4(packet: &[u8]) -> Option<Objection> {
    const END: u8 = 0;
    const NOP: u8 = 1;
    const LOOSE_SOURCE_ROUTE: u8 = 131;
    const STRICT_SOURCE_ROUTE: u8 = 137;
    let header_len = usize::from(packet[0] & 0x0f) * 4;
    let mut at = 20;
    while at < header_len {
        let kind = packet[at];
        match kind {
            END => break,
            NOP => at += 1,
            // RFC 7126: "routers, security gateways, and firewalls SHOULD implement an option-specific configuration
            // knob [...] the default setting for this knob SHOULD be `drop`"; Linux likewise.
            LOOSE_SOURCE_ROUTE | STRICT_SOURCE_ROUTE => return Some(Objection::Silent),
            _ => {
                let len = packet[..header_len]
                    .get(at + 1)
                    .map_or(0, |&len| len.into());
                if len < 2 || at + len > header_len {
                    return Some(Objection::Answered(Problem::parameter(0, at)));
                }
                at += len;
            }
        }
    }
    // Which protocol is known says whoever reads it.
    None
}

fn v6(packet: &[u8]) -> Option<Objection> {
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const FRAGMENT: u8 = 44;
    const NO_NEXT_HEADER: u8 = 59;
    const DESTINATION_OPTIONS: u8 = 60;
    let end = 40 + usize::from(u16::from_be_bytes([packet[4], packet[5]]));
    let mut next_at = 6;
    let mut at = 40;
    // Each round leaves at least eight bytes behind, so the loop ends.
    loop {
        let next = *packet.get(next_at)?;
        let rest = packet.get(at..end)?;
        // A first fragment may end before the header that it names: the engine complains of those (RFC 8200, section 4.5).
        let len = rest.get(1).map(|&units| usize::from(units) * 8 + 8);
        match next {
            // RFC 8200, section 4.1: "restricted to appear immediately after an IPv6 header only".
            HOP_BY_HOP if at > 40 => {
                return Some(Objection::Answered(Problem::parameter(1, next_at)));
            }
            HOP_BY_HOP | DESTINATION_OPTIONS => {
                if let Some(objection) = options(rest.get(..len?)?, at) {
                    return Some(objection);
                }
            }
            // "If Segments Left is non-zero, the node must discard the packet and send an ICMP Parameter Problem, Code
            // 0, message [...] pointing to the unrecognized Routing Type." We recognize none.
            ROUTING if *rest.get(3)? != 0 => {
                return Some(Objection::Answered(Problem::parameter(0, at + 2)));
            }
            ROUTING => {}
            FRAGMENT => {
                let offset = u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]) & 0xfff8;
                if offset != 0 {
                    // What follows is no header.
                    return None;
                }
                next_at = at;
                at += 8;
                continue;
            }
            // Section 4.7: "there is nothing following that header", and nothing is wrong with that.
            NO_NEXT_HEADER => return None,
            _ => {
                return match IpProtocol::from(next) {
                    IpProtocol::Tcp | IpProtocol::Udp | IpProtocol::Icmpv6 => None,
                    // Section 4: "it should discard the packet and send an ICMP Parameter Problem message to the source
                    // of the packet, with an ICMP Code value of 1". That goes for security headers too (RFC 4302,
                    // RFC 4303): we have no security associations, and what can't be verified is not believed.
                    _ => Some(Objection::Protocol(Problem::parameter(1, next_at))),
                };
            }
        }
        next_at = at;
        at += len?;
    }
}

/// Reads the options in a header of extension `header` that begins at `start` in its packet.
fn options(header: &[u8], start: usize) -> Option<Objection> {
    const PAD1: u8 = 0;
    const PADN: u8 = 1;
    const ROUTER_ALERT: u8 = 5;
    let mut at = 2;
    while at < header.len() {
        let kind = header[at];
        if kind == PAD1 {
            at += 1;
            continue;
        }
        let len = header.get(at + 1).map(|&len| 2 + usize::from(len));
        let Some(after) = len
            .map(|len| at + len)
            .filter(|&after| after <= header.len())
        else {
            return Some(Objection::Silent);
        };
        // Section 4.2: "The Option Type identifiers are internally encoded such that their highest-order 2 bits specify
        // the action that must be taken if the processing IPv6 node does not recognize the Option Type".
        match (kind, kind >> 6) {
            (PADN | ROUTER_ALERT, _) | (_, 0) => at = after,
            (_, 1) => return Some(Objection::Silent),
            // 10, "regardless of whether or not the packet's Destination Address was a multicast address", and 11,
            // "only if the packet's Destination Address was not".
            _ => return Some(Objection::Answered(Problem::parameter(2, start + at))),
        }
    }
    None
}
