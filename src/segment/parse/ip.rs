//! IPv4 (RFC 791) and IPv6 with its extension headers (RFC 8200, section 4).

use super::{exceeds, u16_at, u32_at};
use crate::segment::{FragmentInfo, IpHeader};
use smoltcp::wire::checksum;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

/// A packet whose IP headers could be read.
pub(super) struct Ip {
    pub(super) header: IpHeader,
    /// Where in the packet all lies that is not IP's own: in a fragment, the bytes of the whole that it brings.
    pub(super) carried: Range<usize>,
    /// Where the transport header begins; `None` where this fragment holds none of it.
    pub(super) transport: Option<usize>,
    /// Whether what a transport checksum covers is here and known: not so in a fragment, nor where a
    /// routing header hides the final destination.
    pub(super) checksum_covered: bool,
}

/// A packet whose IP headers could not be read.
pub(super) struct Unreadable {
    /// Present where at least all of the fixed header is there.
    pub(super) header: Option<IpHeader>,
    pub(super) why: String,
}

pub(super) fn read(packet: &[u8]) -> Result<Ip, Unreadable> {
    match packet.first().map(|byte| byte >> 4) {
        Some(4) => v4(packet),
        Some(6) => v6(packet),
        Some(version) => Err(Unreadable {
            header: None,
            why: format!("version {version} is neither 4 nor 6"),
        }),
        None => Err(Unreadable {
            header: None,
            why: "empty packet".to_owned(),
        }),
    }
}

fn v4(packet: &[u8]) -> Result<Ip, Unreadable> {
    let fixed: &[u8; 20] = fixed_header(packet)?;
    let header_len = usize::from(fixed[0] & 0x0f) * 4;
    let total_len = usize::from(u16_at(fixed, 2));
    let flags_and_offset = u16_at(fixed, 6);
    let more = flags_and_offset & 0x2000 != 0;
    let offset = usize::from(flags_and_offset & 0x1fff) * 8;
    let header = IpHeader {
        src: Ipv4Addr::from(u32_at(fixed, 12)).into(),
        dst: Ipv4Addr::from(u32_at(fixed, 16)).into(),
        hop_limit: fixed[8],
        protocol: fixed[9],
        total_len,
        dont_fragment: flags_and_offset & 0x4000 != 0,
        fragment: (more || offset != 0).then(|| FragmentInfo {
            id: u32::from(u16_at(fixed, 4)),
            offset,
            more,
        }),
    };
    let unreadable = |why| {
        Err(Unreadable {
            header: Some(header),
            why,
        })
    };
    if header_len < 20 {
        return unreadable(format!("header length {header_len} is less than 20"));
    }
    if header_len > packet.len() {
        return unreadable(exceeds("header", header_len, packet.len(), "present"));
    }
    let sum = checksum::data(&packet[..header_len]);
    if sum != !0 {
        let stated = u16_at(fixed, 10);
        let right = !checksum::combine(&[sum, !stated]);
        return unreadable(format!(
            "header checksum {stated:#06x} should be {right:#06x}"
        ));
    }
    if total_len < header_len {
        return unreadable(format!(
            "total length {total_len} is less than the header length {header_len}"
        ));
    }
    if total_len > packet.len() {
        return unreadable(exceeds("total", total_len, packet.len(), "present"));
    }
    Ok(Ip {
        header,
        carried: header_len..total_len,
        transport: (offset == 0).then_some(header_len),
        checksum_covered: header.fragment.is_none(),
    })
}

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;

fn v6(packet: &[u8]) -> Result<Ip, Unreadable> {
    let fixed: &[u8; 40] = fixed_header(packet)?;
    let total_len = 40 + usize::from(u16_at(fixed, 4));
    let address =
        |at: usize| Ipv6Addr::from_segments(std::array::from_fn(|i| u16_at(fixed, at + 2 * i)));
    let mut header = IpHeader {
        src: address(8).into(),
        dst: address(24).into(),
        hop_limit: fixed[7],
        protocol: fixed[6],
        total_len,
        dont_fragment: true,
        fragment: None,
    };
    if total_len > packet.len() {
        let why = exceeds("total", total_len, packet.len(), "present");
        return Err(Unreadable {
            header: Some(header),
            why,
        });
    }
    let mut at = 40;
    let mut carried = at;
    let mut routed = false;
    // Each round leaves at least eight bytes behind, so the loop ends.
    loop {
        let left = &packet[at..total_len];
        // RFC 8200, section 4, counts eight bytes beyond the first eight; RFC 4302, section 2.2, counts
        // four and leaves out two of them.
        let claimed = left.get(1).map_or(0, |&len| usize::from(len));
        let (name, length) = match header.protocol {
            HOP_BY_HOP => ("hop-by-hop options", claimed * 8 + 8),
            ROUTING => ("routing header", claimed * 8 + 8),
            DESTINATION_OPTIONS => ("destination options", claimed * 8 + 8),
            AUTHENTICATION => ("authentication header", claimed * 4 + 8),
            FRAGMENT => ("fragment header", 8),
            _ => break,
        };
        if length > left.len() {
            if header.fragment.is_some() {
                // A first fragment that ends among the headers, against RFC 7112.
                return Ok(Ip {
                    header,
                    carried: carried..total_len,
                    transport: None,
                    checksum_covered: false,
                });
            }
            let why = exceeds(name, length, left.len(), "left");
            return Err(Unreadable {
                header: Some(header),
                why,
            });
        }
        match header.protocol {
            // Segments left: the pseudo-header wants the final destination (RFC 8200, section 8.1), and
            // where that stands depends on the type of routing.
            ROUTING => routed |= left[3] != 0,
            FRAGMENT if header.fragment.is_some() => {
                let why = "second fragment header".to_owned();
                return Err(Unreadable {
                    header: Some(header),
                    why,
                });
            }
            FRAGMENT => {
                let offset_and_more = u16_at(left, 2);
                let offset = usize::from(offset_and_more & 0xfff8);
                let more = offset_and_more & 1 != 0;
                carried = at + 8;
                // Neither an offset nor more to come: an atomic fragment is a whole packet (RFC 6946).
                if more || offset != 0 {
                    header.fragment = Some(FragmentInfo {
                        id: u32_at(left, 4),
                        offset,
                        more,
                    });
                }
                if offset != 0 {
                    header.protocol = left[0];
                    return Ok(Ip {
                        header,
                        carried: carried..total_len,
                        transport: None,
                        checksum_covered: false,
                    });
                }
            }
            _ => {}
        }
        header.protocol = left[0];
        at += length;
    }
    if header.fragment.is_none() {
        carried = at;
    }
    Ok(Ip {
        header,
        carried: carried..total_len,
        transport: Some(at),
        checksum_covered: header.fragment.is_none() && !routed,
    })
}

fn fixed_header<const N: usize>(packet: &[u8]) -> Result<&[u8; N], Unreadable> {
    packet.first_chunk().ok_or_else(|| Unreadable {
        header: None,
        why: exceeds("header", N, packet.len(), "present"),
    })
}
