//! Where the IP packet begins behind the header of a link layer.

/// The types of link layer that are understood, for people.
pub const KNOWN: &str = "raw IP, Ethernet, Linux cooked (v1, v2) and BSD loopback";

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// An IP packet, from this byte of the frame on.
    Ip(usize),
    /// Something else, for example ARP; or the frame was cut before that could be told.
    Other,
    /// Frames of this type can't be read.
    UnknownLink,
}

/// What `frame`, whose link layer has the LINKTYPE value `link_type`, carries.
pub fn payload(link_type: u32, frame: &[u8]) -> Payload {
    match link_type {
        // RAW; the two values that BSDs have for it; IPV4 and IPV6.
        101 | 12 | 14 | 228 | 229 => Payload::Ip(0),
        // ETHERNET: two addresses, then the type.
        1 => ether_type(frame, 12),
        // LINUX_SLL: the type stands at the end of the header; LINUX_SLL2: at its beginning.
        113 => ether_type(frame, 14),
        276 => match type_at(frame, 0) {
            Some(IPV4 | IPV6) => Payload::Ip(20),
            _ => Payload::Other,
        },
        // NULL: in the byte order of who captured; LOOP: in network order.
        0 | 108 => match frame.first_chunk() {
            Some(&[family, 0, 0, 0] | &[0, 0, 0, family]) if FAMILIES.contains(&family) => {
                Payload::Ip(4)
            }
            _ => Payload::Other,
        },
        _ => Payload::UnknownLink,
    }
}

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// AF_INET everywhere; AF_INET6 on Linux, NetBSD and OpenBSD, FreeBSD, macOS.
const FAMILIES: [u8; 5] = [2, 10, 24, 28, 30];

/// The type at `at`, VLAN tags (IEEE 802.1Q) skipped.
fn ether_type(frame: &[u8], mut at: usize) -> Payload {
    loop {
        match type_at(frame, at) {
            Some(IPV4 | IPV6) => return Payload::Ip(at + 2),
            Some(0x8100 | 0x88a8 | 0x9100) => at += 4,
            _ => return Payload::Other,
        }
    }
}

fn type_at(frame: &[u8], at: usize) -> Option<u16> {
    let bytes = frame.get(at..at + 2)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}
