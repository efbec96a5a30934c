//! Changes to packets.

mod options;
#[cfg(test)]
mod tests;

use super::rule::Assignment;
use crate::segment::{Body, IpHeader, Layer, describe};
use options::Options;
use smoltcp::wire::{IpProtocol, checksum};
use std::net::IpAddr;

/// The longest packet, its IP header included, for which there is room everywhere.
const MAX_LEN: usize = 65_535;

/// What becomes of a packet when these changes are made to it, from left to right.
///
/// A change that does not apply is left out: one of TCP's in a datagram, a byte that isn't there, an option or a payload
/// for which there is no room. So is every change above IP in a fragment, as the rest that its checksum covers is not at hand,
/// and behind a routing header that hides the destination (RFC 8200, section 8.1). Where none applies the packet stays
/// as it is, wrong checksums included.
pub(crate) fn edit(bytes: &[u8], assignments: &[Assignment]) -> Vec<u8> {
    let Some(mut packet) = Packet::read(bytes) else {
        return bytes.to_vec();
    };
    let mut changed = false;
    for assignment in assignments {
        changed |= packet.change(assignment).is_some();
    }
    if changed {
        packet.write()
    } else {
        bytes.to_vec()
    }
}

/// A packet in pieces.
struct Packet {
    about: IpHeader,
    /// The IP header with its options or extension headers.
    ip: Vec<u8>,
    upper: Upper,
    bad_ip_checksum: bool,
}

/// What the IP header carries.
struct Upper {
    protocol: Protocol,
    /// Of TCP with its options.
    header: Vec<u8>,
    payload: Vec<u8>,
    /// What follows a datagram in its IP packet.
    rest: Vec<u8>,
    bad_checksum: bool,
    changed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Tcp,
    Udp,
    Icmp,
    /// What can't be changed; all of it is payload.
    Opaque,
}

impl Packet {
    /// `None` where the IP header can't be read.
    fn read(bytes: &[u8]) -> Option<Packet> {
        let described = describe(bytes);
        if matches!(&described.body, Body::Malformed(malformed) if malformed.layer == Layer::Ip) {
            return None;
        }
        let about = described.ip?;
        let whole = bytes.get(..about.total_len)?;
        let (start, routed) = upper_start(whole)?;
        let known = match described.body {
            _ if routed || about.fragment.is_some() => None,
            Body::Tcp(segment) => Some((Protocol::Tcp, segment.payload)),
            Body::Udp(datagram) => Some((Protocol::Udp, datagram.payload)),
            Body::Icmp(icmp) => Some((Protocol::Icmp, icmp.payload)),
            _ => None,
        };
        let (protocol, payload) = known.unwrap_or((Protocol::Opaque, start..whole.len()));
        let piece = |range| whole.get(range).map(<[u8]>::to_vec);
        Some(Packet {
            about,
            ip: piece(0..start)?,
            upper: Upper {
                protocol,
                header: piece(start..payload.start)?,
                payload: piece(payload.clone())?,
                rest: piece(payload.end..whole.len())?,
                bad_checksum: false,
                changed: false,
            },
            bad_ip_checksum: false,
        })
    }

    /// Makes one change; `None` where it does not apply.
    fn change(&mut self, assignment: &Assignment) -> Option<()> {
        let is_v4 = self.about.src.is_ipv4();
        match assignment {
            Assignment::Ttl(ttl) => self.ip[if is_v4 { 8 } else { 7 }] = *ttl,
            Assignment::BadIpChecksum if is_v4 => self.bad_ip_checksum = true,
            Assignment::BadIpChecksum => return None,
            assignment => {
                let room = MAX_LEN.checked_sub(self.ip.len() + self.upper.rest.len())?;
                self.upper.change(assignment, room)?;
                self.upper.changed = true;
            }
        }
        Some(())
    }

    /// The packet whole again, with the lengths and checksums that it should have.
    fn write(mut self) -> Vec<u8> {
        if self.upper.changed {
            self.upper.mend(&self.about);
        }
        let Packet { mut ip, upper, .. } = self;
        let len = ip.len() + upper.len();
        if self.about.src.is_ipv4() {
            ip[2..4].copy_from_slice(&(len as u16).to_be_bytes());
            let sum = checksum_of(&mut ip, 10, 0);
            put(
                &mut ip,
                10,
                if self.bad_ip_checksum {
                    wrong(sum)
                } else {
                    sum
                },
            );
        } else {
            ip[4..6].copy_from_slice(&((len - 40) as u16).to_be_bytes());
        }
        [ip, upper.header, upper.payload, upper.rest].concat()
    }
}

impl Upper {
    fn len(&self) -> usize {
        self.header.len() + self.payload.len() + self.rest.len()
    }

    /// Makes one change for which header and payload have so much room; `None` where it does not apply.
    fn change(&mut self, assignment: &Assignment, room: usize) -> Option<()> {
        if self.protocol == Protocol::Opaque {
            return None;
        }
        match assignment {
            Assignment::Payload(bytes) => {
                if self.header.len() + bytes.len() > room {
                    return None;
                }
                self.payload.clone_from(bytes);
            }
            Assignment::Truncate(bytes) if *bytes < self.payload.len() => {
                self.payload.truncate(*bytes);
            }
            Assignment::Truncate(_) => return None,
            Assignment::Flip(byte) => {
                let byte = self.payload.get_mut(*byte)?;
                *byte = !*byte;
            }
            Assignment::BadChecksum => self.bad_checksum = true,
            assignment if self.protocol == Protocol::Tcp => {
                return self.change_segment(assignment, room);
            }
            _ => return None,
        }
        Some(())
    }

    fn change_segment(&mut self, assignment: &Assignment, room: usize) -> Option<()> {
        let header = &mut self.header;
        match *assignment {
            Assignment::Flags(flags) => put_flags(header, flags.0),
            Assignment::ChangeFlags { set, clear } => {
                let flags = get(header, 12) & 0x1ff;
                put_flags(header, (flags | set.0) & !clear.0);
            }
            Assignment::Seq(seq) => put_u32(header, 4, seq),
            Assignment::AddSeq(add) => add_u32(header, 4, add),
            Assignment::Ack(ack) => put_u32(header, 8, ack),
            Assignment::AddAck(add) => add_u32(header, 8, add),
            Assignment::Window(window) => put(header, 14, window),
            Assignment::Urgent(pointer) => put(header, 18, pointer),
            _ => {
                let room = room.checked_sub(20 + self.payload.len())?;
                let options = Options(&header[20..]).changed(assignment)?;
                if options.len() > room {
                    return None;
                }
                header.truncate(20);
                header.extend(options);
                header[12] = (header[12] & 0x0f) | ((header.len() / 4) << 4) as u8;
            }
        }
        Some(())
    }

    /// Puts lengths and checksum right, or the checksum wrong.
    fn mend(&mut self, about: &IpHeader) {
        let len = self.header.len() + self.payload.len();
        let place = match self.protocol {
            Protocol::Tcp => 16,
            Protocol::Udp => {
                put(&mut self.header, 4, len as u16);
                // RFC 768: a sender may compute none.
                if get(&self.header, 6) == 0 && about.src.is_ipv4() && !self.bad_checksum {
                    return;
                }
                6
            }
            Protocol::Icmp => 2,
            Protocol::Opaque => return,
        };
        let payload = checksum::data(&self.payload);
        // Only ICMP in IPv4 covers no pseudo-header.
        let pseudo = match (about.src, about.dst) {
            (IpAddr::V4(_), _) if self.protocol == Protocol::Icmp => 0,
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                checksum::pseudo_header_v4(&src, &dst, IpProtocol::from(about.protocol), len as u32)
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                checksum::pseudo_header_v6(&src, &dst, IpProtocol::from(about.protocol), len as u32)
            }
            _ => unreachable!("both addresses come from one header"),
        };
        let outside = checksum::combine(&[payload, pseudo]);
        let mut sum = checksum_of(&mut self.header, place, outside);
        if self.bad_checksum {
            sum = wrong(sum);
        }
        // RFC 768: "If the computed checksum is zero, it is transmitted as all ones".
        if self.protocol == Protocol::Udp && sum == 0 {
            sum = 0xffff;
        }
        put(&mut self.header, place, sum);
    }
}

/// Where what the IP header carries begins, and whether the destination is not yet the final one. The chain of headers
/// has been read before.
fn upper_start(packet: &[u8]) -> Option<(usize, bool)> {
    if packet.first()? >> 4 == 4 {
        return Some((usize::from(packet[0] & 0x0f) * 4, false));
    }
    let (mut next, mut at, mut routed) = (*packet.get(6)?, 40, false);
    loop {
        // Hop-by-hop options, routing, fragment, authentication header, destination options.
        let claimed = packet.get(at + 1).map_or(0, |&len| usize::from(len));
        let len = match next {
            0 | 43 | 60 => claimed * 8 + 8,
            44 => 8,
            51 => claimed * 4 + 8,
            _ => return Some((at, routed)),
        };
        let Some(header) = packet.get(at..at + len) else {
            // A first fragment that ends among its headers.
            return Some((at, routed));
        };
        routed |= next == 43 && header[3] != 0;
        // What follows the header of a later fragment is no header.
        if next == 44 && get(header, 2) & 0xfff8 != 0 {
            return Some((at + len, routed));
        }
        next = header[0];
        at += len;
    }
}

/// The checksum that a header should have at `place`, with what is summed up outside of it. The place is zero after that.
fn checksum_of(header: &mut [u8], place: usize, outside: u16) -> u16 {
    put(header, place, 0);
    !checksum::combine(&[outside, checksum::data(header)])
}

/// Another checksum, which is not the other zero of ones' complement either, and none that says "none".
fn wrong(sum: u16) -> u16 {
    match sum ^ 0x0101 {
        0 => 0x0001,
        wrong => wrong,
    }
}

fn get(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn put(bytes: &mut [u8], at: usize, number: u16) {
    bytes[at..at + 2].copy_from_slice(&number.to_be_bytes());
}

fn put_u32(bytes: &mut [u8], at: usize, number: u32) {
    bytes[at..at + 4].copy_from_slice(&number.to_be_bytes());
}

fn add_u32(bytes: &mut [u8], at: usize, add: i64) {
    let number = u32::from(get(bytes, at)) << 16 | u32::from(get(bytes, at + 2));
    // Sequence numbers wrap, so 32 bits of the sum are what is wanted.
    put_u32(bytes, at, number.wrapping_add(add as u32));
}

/// Nine bits; data offset and reserved bits stay.
fn put_flags(header: &mut [u8], flags: u16) {
    let rest = get(header, 12) & 0xfe00;
    put(header, 12, rest | flags & 0x1ff);
}
