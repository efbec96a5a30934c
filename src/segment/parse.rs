//! Reading packets.
//!
//! Each layer has a file: [`ip`] finds where the transport header begins, the others read what stands
//! there. Every read is of a range that was checked before, so a layer says either what it found or why it
//! could not read on; nothing panics and nothing is guessed.
//!
//! A good packet costs no allocation.

mod icmp;
mod ip;
mod tcp;
mod udp;

pub(super) use icmp::UNKNOWN as UNKNOWN_ICMP;
pub(crate) use tcp::own_segment;

use super::{Body, Checksum, Described, IpHeader, Layer, Malformed};
use smoltcp::wire::{IpProtocol, checksum};
use std::net::IpAddr;
use std::ops::Range;

/// Says what `packet`, one IP packet as a TUN device carries it, is. Never fails and never panics.
///
/// Bytes after the end that the IP header claims are ignored, as a link may pad. A wrong checksum of the
/// IPv4 header makes a packet malformed, because then nothing in that header can be trusted; a wrong
/// checksum further in is told and the rest read all the same.
///
/// ```
/// use tcplab::segment::{Origin, describe};
///
/// let packet = [
///     0x45, 0, 0, 40, 0x35, 0xba, 0x40, 0, 64, 6, 0x81, 0x12, 192, 0, 2, 1, 192, 0, 2, 2, // IPv4
///     0xcc, 0x2e, 0x04, 0x57, 0xe5, 0xe6, 0x9d, 0xf6, 0xff, 0xff, 0xff, 0xf1, // ports, SEG.SEQ, SEG.ACK
///     0x50, 0x10, 0xfa, 0xf0, 0xdc, 0x8a, 0, 0, // data offset, control bits, window, checksum
/// ];
/// let notation = |packet| describe(packet).notation(Origin::default()).to_string();
/// assert_eq!(notation(&packet), ". 3857096182:3857096182(0) ack 4294967281 win 64240");
/// assert_eq!(notation(&packet[..9]), "malformed ip: header length 20 exceeds the 9 bytes present");
/// ```
pub fn describe(packet: &[u8]) -> Described {
    describe_as(packet, None, Checksum::Whole)
}

/// As [`describe`], for a packet of whose TCP or UDP checksum the device that brought it says more than its bytes do.
pub fn describe_offloaded(packet: &[u8], checksum: Checksum) -> Described {
    describe_as(packet, None, checksum)
}

/// Says what a packet is of which a capture has kept the bytes `kept`; `whole_len` bytes crossed the wire.
///
/// Of a packet that was cut, headers are told as far as they are there, and lengths as they were, so the range of a payload
/// may reach beyond `kept`. A checksum that can't be judged counts as right: that of a cut packet, and one of which
/// only the pseudo-header is there, as in packets whose checksum was left to the network card when they were captured.
pub fn describe_captured(kept: &[u8], whole_len: usize) -> Described {
    if whole_len <= kept.len() {
        return describe_as(kept, Some(kept.len()), Checksum::Whole);
    }
    // The fixed headers of IPv4 and IPv6.
    if kept.len()
        < if kept.first().is_some_and(|byte| byte >> 4 == 6) {
            40
        } else {
            20
        }
    {
        return Described {
            ip: None,
            body: malformed(Layer::Ip, cut(kept.len())),
        };
    }
    let mut whole = kept.to_vec();
    whole.resize(whole_len.min(MAX_LEN), 0);
    describe_as(&whole, Some(kept.len()), Checksum::Whole)
}

/// The longest packet without jumbo payload option: that of IPv6, whose length leaves the header out.
const MAX_LEN: usize = 40 + 65_535;

/// `kept` is how many bytes of the packet a capture has kept.
fn describe_as(packet: &[u8], kept: Option<usize>, checksum: Checksum) -> Described {
    let ip = match ip::read(packet) {
        Ok(ip) => ip,
        Err(ip::Unreadable { header, why }) => {
            return Described {
                ip: header,
                body: malformed(Layer::Ip, why),
            };
        }
    };
    Described {
        ip: Some(ip.header),
        body: body(packet, &ip, kept, checksum),
    }
}

fn body(packet: &[u8], ip: &ip::Ip, kept: Option<usize>, checksum: Checksum) -> Body {
    let Some(start) = ip.transport else {
        return Body::Fragment {
            payload: ip.carried.clone(),
        };
    };
    let present = kept.unwrap_or(packet.len());
    let upper = Upper {
        packet,
        ip: &ip.header,
        range: start..ip.carried.end,
        present: present.saturating_sub(start),
        captured: kept.is_some(),
        checksum_covered: ip.checksum_covered && present >= ip.carried.end,
        checksum,
    };
    let v4 = ip.header.src.is_ipv4();
    let (layer, read) = match (IpProtocol::from(ip.header.protocol), v4) {
        (IpProtocol::Tcp, _) => (Layer::Tcp, tcp::read(&upper).map(Body::Tcp)),
        (IpProtocol::Udp, _) => (Layer::Udp, udp::read(&upper).map(Body::Udp)),
        (IpProtocol::Icmp, true) | (IpProtocol::Icmpv6, false) => {
            (Layer::Icmp, icmp::read(&upper).map(Body::Icmp))
        }
        _ => {
            return Body::Other {
                payload: upper.range,
            };
        }
    };
    match read {
        Ok(body) => body,
        Err(Problem::Short(_)) if ip.header.fragment.is_some() => Body::Fragment {
            payload: ip.carried.clone(),
        },
        Err(Problem::Short(header)) => malformed(
            layer,
            exceeds("header", header, upper.range.len(), "present"),
        ),
        Err(Problem::Wrong(why)) => malformed(layer, why),
    }
}

fn malformed(layer: Layer, why: String) -> Body {
    Body::Malformed(Malformed { layer, why })
}

/// The wording of the commonest reason: something is longer than what there is.
fn exceeds(what: &str, length: usize, available: usize, state: &str) -> String {
    format!("{what} length {length} exceeds the {available} bytes {state}")
}

fn cut(kept: usize) -> String {
    format!("cut after {kept} bytes by the capture")
}

/// What a transport layer is given to read.
struct Upper<'a> {
    packet: &'a [u8],
    ip: &'a IpHeader,
    /// Where in the packet the transport header and its payload lie; within the packet's bounds.
    range: Range<usize>,
    /// How many bytes of that range are really there; what follows them is blank.
    present: usize,
    /// Whether it comes from a capture.
    captured: bool,
    /// Whether all that the checksum covers is here and known.
    checksum_covered: bool,
    /// What is in its field.
    checksum: Checksum,
}

/// Why a transport layer can't be read.
enum Problem {
    /// Its header, of that many bytes, is longer than what is there.
    Short(usize),
    /// It contradicts itself, in words for people.
    Wrong(String),
}

impl<'a> Upper<'a> {
    fn bytes(&self) -> &'a [u8] {
        &self.packet[self.range.clone()]
    }

    /// The first `N` bytes, a fixed header.
    fn fixed<const N: usize>(&self) -> Result<&'a [u8; N], Problem> {
        let fixed = self.bytes().first_chunk().ok_or(Problem::Short(N))?;
        if self.present < N {
            return Err(Problem::Wrong(cut(self.range.start + self.present)));
        }
        Ok(fixed)
    }

    /// Where in the packet lies what follows a header of `header` bytes, up to `length` bytes from its start.
    fn payload(&self, header: usize, length: usize) -> Range<usize> {
        self.range.start + header..self.range.start + length
    }

    /// Whether `data`, its own checksum field included, and the pseudo-header sum up to all ones (RFC 1071
    /// section 1; RFC 9293 section 3.1, RFC 8200 section 8.1). `stated` is that field.
    fn checksum_ok(&self, data: &[u8], stated: u16) -> bool {
        match self.checksum {
            _ if !self.checksum_covered => true,
            Checksum::Verified => true,
            Checksum::Partial => stated == self.pseudo_header(data.len()),
            Checksum::Whole => {
                let pseudo = self.pseudo_header(data.len());
                (self.captured && stated == pseudo)
                    || checksum::combine(&[pseudo, checksum::data(data)]) == !0
            }
        }
    }

    /// The sum of the pseudo-header, for so many bytes.
    fn pseudo_header(&self, len: usize) -> u16 {
        let protocol = self.ip.protocol.into();
        let len = len as u32;
        match (&self.ip.src, &self.ip.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                checksum::pseudo_header_v4(src, dst, protocol, len)
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                checksum::pseudo_header_v6(src, dst, protocol, len)
            }
            _ => unreachable!("both addresses come from one header"),
        }
    }
}

/// The big-endian number at `at`, which must lie inside `bytes`.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// The big-endian number at `at`, which must lie inside `bytes`.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) << 16 | u32::from(u16_at(bytes, at + 2))
}
