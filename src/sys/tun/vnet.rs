//! Offload: the work on a packet that is left to the device, said in a header before it.
//!
//! ```text
//!   0        1          2         4          6            8             10
//!   ├ flags ─┼ gso_type ┼ hdr_len ┼ gso_size ┼ csum_start ┼ csum_offset ┤  the IP packet
//! ```
//!
//! It is the header of virtio (linux/virtio_net.h; virtio 1.2, section 5.1.6), which a TUN puts before each packet where IFF_VNET_HDR
//! is set, all numbers little-endian once TUNSETVNETLE says so. With it the kernel hands over TCP packets of up to 64 KiB
//! that it would else have cut, and the sum of a pseudo-header where it would else have computed a checksum; it takes
//! the like from us.
//!
//! What its last user has set of these things, a persistent TUN keeps: so whoever attaches sets all of it, off included.

use std::fs::File;
use std::num::NonZeroU16;
use std::os::fd::AsRawFd;

use crate::segment::Checksum;
use crate::stack::checksum;
use nix::errno::Errno;
use nix::libc;

/// Bytes of the header.
pub(super) const LEN: usize = 10;

/// How many bytes come before each packet.
pub(super) const fn header_len(offload: bool) -> usize {
    if offload { LEN } else { 0 }
}

/// What we take over from the kernel. Not TUN_F_TSO_ECN, as smoltcp negotiates no ECN, and nothing for UDP, whose
/// datagrams are cut into fragments by whoever sends them.
const TAKEN_OVER: libc::c_uint = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6;

const NEEDS_CSUM: u8 = 1;
const DATA_VALID: u8 = 2;

const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_TCPV6: u8 = 4;

/// Tells the kernel how the packets of this TUN are to look: with headers, large and with partial checksums, or as a
/// wire would carry them.
pub(super) fn set_offload(tun: &File, on: bool) -> Result<(), Errno> {
    if !on {
        return match take_over(tun, 0) {
            // Whoever knows no offload has none that could be left on.
            Err(Errno::EINVAL | Errno::ENOTTY) => Ok(()),
            result => result,
        };
    }
    let len = LEN as libc::c_int;
    set(tun, libc::TUNSETVNETHDRSZ, len)?;
    set(tun, libc::TUNSETVNETLE, 1)?;
    take_over(tun, TAKEN_OVER)
}

/// Whether the driver behind an open `/dev/net/tun` knows the header.
pub(super) fn is_known(device: &File) -> Result<bool, Errno> {
    let mut features: libc::c_uint = 0;
    // SAFETY: TUNGETFEATURES (linux/drivers/net/tun.c) writes an unsigned int, which outlives the call.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNGETFEATURES, &mut features) };
    Errno::result(result)?;
    Ok(features & libc::IFF_VNET_HDR as libc::c_uint != 0)
}

fn take_over(tun: &File, what: libc::c_uint) -> Result<(), Errno> {
    let what = libc::c_ulong::from(what);
    // SAFETY: TUNSETOFFLOAD takes the bits themselves as its argument, and follows no pointer.
    Errno::result(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETOFFLOAD, what) }).map(drop)
}

fn set(tun: &File, request: libc::Ioctl, value: libc::c_int) -> Result<(), Errno> {
    // SAFETY: the requests made here read an int, which outlives the call.
    Errno::result(unsafe { libc::ioctl(tun.as_raw_fd(), request, &value) }).map(drop)
}

/// What the header of a packet from the kernel says of its checksum. Where that is to be filled in at a place that we
/// wouldn't look at, it is filled in.
pub(super) fn received(header: &[u8; LEN], packet: &mut [u8]) -> Checksum {
    let flags = header[0];
    if flags & NEEDS_CSUM == 0 {
        return match flags & DATA_VALID {
            0 => Checksum::Whole,
            _ => Checksum::Verified,
        };
    }
    let [start, offset] = [6, 8].map(|at| u16::from_le_bytes([header[at], header[at + 1]]));
    let place = (usize::from(start), usize::from(offset));
    if checksum::place(packet) == Some(place) {
        return Checksum::Partial;
    }
    checksum::complete(packet, place);
    Checksum::Whole
}

/// The header for a packet of ours with a partial checksum, which is to be cut into segments of that size or none.
pub(super) fn for_partial(packet: &[u8], segment_size: Option<NonZeroU16>) -> [u8; LEN] {
    let mut header = [0; LEN];
    let Some((start, offset)) = checksum::place(packet) else {
        return header;
    };
    let v4 = packet[0] >> 4 == 4;
    header[0] = NEEDS_CSUM;
    header[1] = match segment_size {
        None => GSO_NONE,
        Some(_) if v4 => GSO_TCPV4,
        Some(_) => GSO_TCPV6,
    };
    // So much the kernel wants in one piece; the rest may lie in pages.
    let data_offset = packet.get(start + 12).map_or(0, |byte| byte >> 4);
    let headers = start + usize::from(data_offset) * 4;
    let mut put =
        |at: usize, number: u16| header[at..at + 2].copy_from_slice(&number.to_le_bytes());
    put(2, headers as u16);
    put(4, segment_size.map_or(0, NonZeroU16::get));
    put(6, start as u16);
    put(8, offset as u16);
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::reply;

    fn datagram() -> Vec<u8> {
        let ends = ["192.0.2.1:7", "192.0.2.2:8"].map(|end| end.parse().unwrap());
        reply::datagram(ends[0], ends[1], b"payload").unwrap()
    }

    #[test]
    fn a_header_tells_of_the_checksum() {
        #[track_caller]
        fn check(header: [u8; LEN], expected: Checksum) {
            let mut packet = datagram();
            assert_eq!(received(&header, &mut packet), expected);
            assert_eq!(packet, datagram());
        }
        check([0; LEN], Checksum::Whole);
        check([DATA_VALID, 0, 0, 0, 0, 0, 0, 0, 0, 0], Checksum::Verified);
        check([NEEDS_CSUM, 0, 0, 0, 0, 0, 20, 0, 6, 0], Checksum::Partial);
        // Places that are not in the packet.
        check([NEEDS_CSUM, 0, 0, 0, 0, 0, 20, 9, 6, 0], Checksum::Whole);
        check([NEEDS_CSUM, 0, 0, 0, 0, 0, 20, 0, 6, 9], Checksum::Whole);
        check(
            [NEEDS_CSUM, 0, 0, 0, 0, 0, 255, 255, 255, 255],
            Checksum::Whole,
        );
    }

    #[test]
    fn a_checksum_at_an_odd_place_is_filled_in() {
        let mut packet = datagram();
        let header = [NEEDS_CSUM, 0, 0, 0, 0, 0, 28, 0, 0, 0];
        packet[28..30].fill(0);
        assert_eq!(received(&header, &mut packet), Checksum::Whole);
        assert_eq!(smoltcp::wire::checksum::data(&packet[28..]), !0);
    }

    #[test]
    fn the_kernel_is_told_what_is_left_to_it() {
        #[track_caller]
        fn check(first: u8, segment_size: Option<u16>, expected: [u8; LEN]) {
            let mut packet = vec![0; 100];
            packet[0] = first;
            let (protocol, start) = if first >> 4 == 4 { (9, 20) } else { (6, 40) };
            packet[protocol] = 6;
            packet[start + 12] = 0x60;
            let segment_size = segment_size.and_then(NonZeroU16::new);
            assert_eq!(for_partial(&packet, segment_size), expected);
        }
        check(0x45, None, [1, 0, 44, 0, 0, 0, 20, 0, 16, 0]);
        check(0x45, Some(1460), [1, 1, 44, 0, 180, 5, 20, 0, 16, 0]);
        check(0x60, Some(1440), [1, 4, 64, 0, 160, 5, 40, 0, 16, 0]);
        // Nothing to fill in: nothing to tell.
        check(0x00, Some(1440), [0; LEN]);
    }
}
