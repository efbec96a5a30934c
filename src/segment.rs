//! Bytes to meaning: what one IP packet says, described without ever failing.
//!
//! [`describe`] takes any bytes and gives a [`Described`]: TCP segments with all their options, UDP
//! datagrams, ICMP messages, IP fragments, other protocols, and [`Body::Malformed`] with the reason for
//! everything else. It checks nothing that a receiver would check later (acceptability, ports, whose
//! address it is); it only reads. Descriptions are values: they borrow nothing and can be kept.
//!
//! TCP segments print in the notation of packetdrill, with absolute or relative sequence numbers:
//!
//! ```text
//! S 0:0(0) win 64240 <mss 1460,sackOK,TS val 10 ecr 0,nop,wscale 7>
//! S. 0:0(0) ack 1 win 65535 <mss 1460,wscale 2>
//! . 1:1(0) ack 1 win 502
//! P. 1:5(4) ack 1 win 502
//! F. 5:5(0) ack 23 win 502
//! ```
//!
//! [`describe`]: describe

#[cfg(test)]
pub(crate) mod liar;
mod notation;
mod options;
mod parse;
mod seq;
#[cfg(test)]
mod tests;

pub use notation::{Notation, Origin};
pub use options::{Options, OptionsIter};
pub(crate) use parse::own_segment;
pub use parse::{describe, describe_captured, describe_offloaded};
pub use seq::SeqNumber;

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

/// What one packet says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The IP header; `None` where not all of its fixed part is there. In a packet whose header is
    /// malformed it says what the bytes say, true or not.
    pub ip: Option<IpHeader>,
    /// What the IP header carries.
    pub body: Body,
}

/// The fields of an IPv4 or IPv6 header that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpHeader {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// Time to live (IPv4) or hop limit (IPv6).
    pub hop_limit: u8,
    /// The protocol number of the payload, after any IPv6 extension headers (6 TCP, 17 UDP, 1 ICMP, 58
    /// ICMPv6). Where the chain of headers breaks off, the number of the header that is cut.
    pub protocol: u8,
    /// Total length in bytes that the header claims, itself included.
    pub total_len: usize,
    /// The don't-fragment bit (always set in IPv6, where routers never fragment).
    pub dont_fragment: bool,
    /// Present where the packet is a fragment of a larger one (RFC 791, RFC 8200 section 4.5). An "atomic"
    /// one, whose fragment header says that it is all, is none (RFC 6946).
    pub fragment: Option<FragmentInfo>,
}

/// Where a fragment belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentInfo {
    /// Identification: 16 bits in IPv4, 32 in IPv6.
    pub id: u32,
    /// Offset of this fragment's payload in the whole, in bytes.
    pub offset: usize,
    /// Whether more fragments follow.
    pub more: bool,
}

/// What an IP packet carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A TCP segment.
    Tcp(Segment),
    /// A UDP datagram.
    Udp(Datagram),
    /// An ICMP or ICMPv6 message.
    Icmp(Icmp),
    /// A fragment that is not the first (nothing above IP can be read), or a first one too short to
    /// hold its transport header.
    Fragment {
        /// The bytes of the packet that this fragment carries.
        payload: Range<usize>,
    },
    /// Another protocol; `ip.protocol` names it.
    Other {
        /// Where in the packet it lies.
        payload: Range<usize>,
    },
    /// Not what it should be.
    Malformed(Malformed),
}

/// A packet, or a part of one, that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The layer that can't be read.
    pub layer: Layer,
    /// Why, in a few words for people: `header length 12 is less than 20`.
    pub why: String,
}

/// The layers of a packet, as far as [`Malformed`] tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// IPv4, IPv6 or neither.
    Ip,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP or ICMPv6.
    Icmp,
}

impl Layer {
    /// `ip`, `tcp`, `udp` or `icmp`.
    pub const fn name(self) -> &'static str {
        match self {
            Layer::Ip => "ip",
            Layer::Tcp => "tcp",
            Layer::Udp => "udp",
            Layer::Icmp => "icmp",
        }
    }
}

/// A TCP segment (RFC 9293, section 3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// SEG.SEQ.
    pub seq: SeqNumber,
    /// SEG.ACK. It means something only where the ACK bit is set, see [`Segment::acknowledges`].
    pub ack: SeqNumber,
    /// The control bits.
    pub flags: Flags,
    /// SEG.WND as it stands in the header, not scaled.
    pub window: u16,
    /// The urgent pointer; it means something only where URG is set.
    pub urgent: u16,
    /// The options in the order in which they stand.
    pub options: Options,
    /// Where in the packet the payload lies; in a first fragment, the part of it that is there.
    pub payload: Range<usize>,
    /// Whether the checksum is right; true also where it can't be judged, as in a first fragment, and where a device
    /// was yet to fill it in ([`Checksum::Partial`]).
    pub checksum_ok: bool,
}

/// The control bits of a TCP header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u16);

impl Flags {
    /// No more data from the sender.
    pub const FIN: Flags = Flags(0x001);
    /// Synchronize sequence numbers.
    pub const SYN: Flags = Flags(0x002);
    /// Reset the connection.
    pub const RST: Flags = Flags(0x004);
    /// Push function.
    pub const PSH: Flags = Flags(0x008);
    /// The acknowledgment field is significant.
    pub const ACK: Flags = Flags(0x010);
    /// The urgent pointer is significant.
    pub const URG: Flags = Flags(0x020);
    /// ECN-Echo (RFC 3168).
    pub const ECE: Flags = Flags(0x040);
    /// Congestion window reduced (RFC 3168).
    pub const CWR: Flags = Flags(0x080);
    /// Accurate ECN (RFC 9768; formerly the nonce sum).
    pub const AE: Flags = Flags(0x100);

    /// Whether every bit of `other` is set here.
    pub const fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A TCP option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpOption {
    /// Kind 0, end of the option list.
    EndOfList,
    /// Kind 1, padding.
    Nop,
    /// Kind 2, maximum segment size in bytes (RFC 9293, section 3.7.1).
    MaxSegmentSize(u16),
    /// Kind 3, shift count (RFC 7323, section 2).
    WindowScale(u8),
    /// Kind 4 (RFC 2018, section 2).
    SackPermitted,
    /// Kind 5, at most four blocks (RFC 2018, section 3).
    Sack(SackBlocks),
    /// Kind 8 (RFC 7323, section 3).
    Timestamps {
        /// TSval.
        val: u32,
        /// TSecr.
        ecr: u32,
    },
    /// Any other kind, or a known kind with a length that is not its own.
    Unknown {
        /// The kind.
        kind: u8,
        /// The length that the option claims, its kind and length bytes included.
        len: u8,
    },
    /// An option whose length runs past the header, or is less than two. Nothing after it can be read.
    Malformed {
        /// The kind.
        kind: u8,
    },
}

/// The blocks of one SACK option: left edge (first number received), right edge (first number not received).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SackBlocks {
    blocks: [(SeqNumber, SeqNumber); 4],
    len: u8,
}

impl SackBlocks {
    /// At most four blocks fit the 40 bytes of options; further ones are left out.
    pub fn new(blocks: impl IntoIterator<Item = (SeqNumber, SeqNumber)>) -> SackBlocks {
        let mut sack = SackBlocks {
            blocks: Default::default(),
            len: 0,
        };
        for (slot, block) in sack.blocks.iter_mut().zip(blocks) {
            *slot = block;
            sack.len += 1;
        }
        sack
    }

    /// The blocks in the order in which they stand.
    pub fn as_slice(&self) -> &[(SeqNumber, SeqNumber)] {
        &self.blocks[..usize::from(self.len)]
    }
}

impl Segment {
    /// The acknowledgment number, where the ACK bit says that it is one.
    pub fn acknowledges(&self) -> Option<SeqNumber> {
        self.flags.contains(Flags::ACK).then_some(self.ack)
    }

    /// SEG.LEN: the bytes of data, plus one for a SYN and one for a FIN (RFC 9293, section 3.4).
    pub fn sequence_len(&self) -> u32 {
        self.payload.len() as u32
            + u32::from(self.flags.contains(Flags::SYN))
            + u32::from(self.flags.contains(Flags::FIN))
    }

    /// The first sequence number after this segment.
    pub fn end(&self) -> SeqNumber {
        self.seq + self.sequence_len()
    }

    /// The MSS option.
    pub fn max_segment_size(&self) -> Option<u16> {
        self.options.max_segment_size()
    }

    /// The window-scale option: a shift count.
    pub fn window_scale(&self) -> Option<u8> {
        self.options.window_scale()
    }

    /// Whether SACK-permitted is among the options.
    pub fn sack_permitted(&self) -> bool {
        self.options.permits_sack()
    }
}

/// What stands in the checksum field of TCP or UDP, where a device that takes the work over carries the packet.
///
/// The names are those of the virtio specification (version 1.2, section 5.1.6): a packet of Linux that has never left
/// the machine has its checksum filled in by nobody, as nothing could damage it on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Checksum {
    /// The checksum of all it covers: whether it is right has to be found out.
    #[default]
    Whole,
    /// The sum of the pseudo-header, to which the device would add the rest (`VIRTIO_NET_HDR_F_NEEDS_CSUM`). Any other
    /// value is wrong.
    Partial,
    /// A checksum that was found right before (`VIRTIO_NET_HDR_F_DATA_VALID`).
    Verified,
}

/// A UDP datagram (RFC 768).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Where in the packet the payload lies; in a first fragment, the part of it that is there.
    pub payload: Range<usize>,
    /// Whether the checksum is right; in IPv4 a checksum of zero means "none" and is right. True also where
    /// it can't be judged, as in a first fragment.
    pub checksum_ok: bool,
}

/// An ICMP (RFC 792) or ICMPv6 (RFC 4443) message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// The name of type and code, for example `echo request` or `port unreachable`; `unknown message` where
    /// they have none that we know.
    pub name: &'static str,
    /// Identifier and sequence number of an echo request or reply.
    pub echo: Option<(u16, u16)>,
    /// Next-hop MTU of "fragmentation needed" (RFC 1191) or "packet too big" (RFC 4443).
    pub mtu: Option<u32>,
    /// Where in the packet the message's data lies: echo data, or the packet an error speaks of.
    pub payload: Range<usize>,
    /// Whether the checksum is right; true also where it can't be judged, as in a first fragment.
    pub checksum_ok: bool,
}

impl Described {
    /// The TCP segment, where it is one.
    pub fn tcp(&self) -> Option<&Segment> {
        match &self.body {
            Body::Tcp(segment) => Some(segment),
            _ => None,
        }
    }

    /// Source and destination with their ports, where the packet has them.
    pub fn endpoints(&self) -> Option<(SocketAddr, SocketAddr)> {
        let ip = self.ip?;
        let (src_port, dst_port) = match &self.body {
            Body::Tcp(segment) => (segment.src_port, segment.dst_port),
            Body::Udp(datagram) => (datagram.src_port, datagram.dst_port),
            _ => return None,
        };
        Some((
            SocketAddr::new(ip.src, src_port),
            SocketAddr::new(ip.dst, dst_port),
        ))
    }

    /// Where in the packet the payload of the innermost readable layer lies.
    pub fn payload(&self) -> Option<Range<usize>> {
        match &self.body {
            Body::Tcp(segment) => Some(segment.payload.clone()),
            Body::Udp(datagram) => Some(datagram.payload.clone()),
            Body::Icmp(icmp) => Some(icmp.payload.clone()),
            Body::Fragment { payload } | Body::Other { payload } => Some(payload.clone()),
            Body::Malformed(_) => None,
        }
    }
}
