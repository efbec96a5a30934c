//! ICMP (RFC 792) and ICMPv6 (RFC 4443) messages.

use super::{Problem, Upper, u16_at, u32_at};
use crate::segment::Icmp;
use smoltcp::wire::checksum;

/// The name of a message whose type or code we don't know.
pub(in crate::segment) const UNKNOWN: &str = "unknown message";

pub(super) fn read(upper: &Upper) -> Result<Icmp, Problem> {
    let fixed: &[u8; 8] = upper.fixed()?;
    let bytes = upper.bytes();
    let (kind, code) = (fixed[0], fixed[1]);
    let v4 = upper.ip.src.is_ipv4();
    let name = if v4 {
        v4_name(kind, code)
    } else {
        v6_name(kind, code)
    };
    let echo = match (v4, kind) {
        (true, 0 | 8) | (false, 128 | 129) => Some((u16_at(fixed, 4), u16_at(fixed, 6))),
        _ => None,
    };
    let mtu = match (v4, kind, code) {
        (true, 3, 4) => Some(u16_at(fixed, 6).into()),
        (false, 2, _) => Some(u32_at(fixed, 4)),
        _ => None,
    };
    // Only ICMPv6 covers a pseudo-header (RFC 4443, section 2.3).
    let checksum_ok = match v4 {
        true => !upper.checksum_covered || checksum::data(bytes) == !0,
        false => upper.checksum_ok(bytes, u16_at(fixed, 2)),
    };
    Ok(Icmp {
        kind,
        code,
        name: name.unwrap_or(UNKNOWN),
        echo,
        mtu,
        payload: upper.payload(8, bytes.len()),
        checksum_ok,
    })
}

/// RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7, RFC 1256, RFC 950.
fn v4_name(kind: u8, code: u8) -> Option<&'static str> {
    Some(match (kind, code) {
        (0, _) => "echo reply",
        (3, 0) => "network unreachable",
        (3, 1) => "host unreachable",
        (3, 2) => "protocol unreachable",
        (3, 3) => "port unreachable",
        (3, 4) => "fragmentation needed",
        (3, 5) => "source route failed",
        (3, 6) => "network unknown",
        (3, 7) => "host unknown",
        (3, 8) => "source host isolated",
        (3, 9) => "network prohibited",
        (3, 10) => "host prohibited",
        (3, 11) => "network unreachable for this type of service",
        (3, 12) => "host unreachable for this type of service",
        (3, 13) => "communication prohibited",
        (3, 14) => "host precedence violation",
        (3, 15) => "precedence cutoff",
        (4, _) => "source quench",
        (5, 0) => "redirect for network",
        (5, 1) => "redirect for host",
        (5, 2) => "redirect for type of service and network",
        (5, 3) => "redirect for type of service and host",
        (8, _) => "echo request",
        (9, _) => "router advertisement",
        (10, _) => "router solicitation",
        (11, 0) => "time to live exceeded",
        (11, 1) => "reassembly time exceeded",
        (12, 0) => "parameter problem",
        (12, 1) => "parameter problem: required option missing",
        (12, 2) => "parameter problem: bad length",
        (13, _) => "timestamp request",
        (14, _) => "timestamp reply",
        (17, _) => "address mask request",
        (18, _) => "address mask reply",
        _ => return None,
    })
}

/// RFC 4443, RFC 7112, RFC 2710, RFC 3810, RFC 4861.
fn v6_name(kind: u8, code: u8) -> Option<&'static str> {
    Some(match (kind, code) {
        (1, 0) => "no route to destination",
        (1, 1) => "communication prohibited",
        (1, 2) => "beyond scope of source address",
        (1, 3) => "address unreachable",
        (1, 4) => "port unreachable",
        (1, 5) => "source address failed policy",
        (1, 6) => "route to destination rejected",
        (2, _) => "packet too big",
        (3, 0) => "hop limit exceeded",
        (3, 1) => "reassembly time exceeded",
        (4, 0) => "parameter problem: erroneous header field",
        (4, 1) => "parameter problem: unrecognized next header",
        (4, 2) => "parameter problem: unrecognized option",
        (4, 3) => "parameter problem: incomplete header chain",
        (128, _) => "echo request",
        (129, _) => "echo reply",
        (130, _) => "multicast listener query",
        (131, _) => "multicast listener report",
        (132, _) => "multicast listener done",
        (133, _) => "router solicitation",
        (134, _) => "router advertisement",
        (135, _) => "neighbor solicitation",
        (136, _) => "neighbor advertisement",
        (137, _) => "redirect",
        (143, _) => "multicast listener report version 2",
        _ => return None,
    })
}
