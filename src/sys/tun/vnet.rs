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
