//! The options of segments that smoltcp has made.

#[cfg(test)]
mod tests;

use crate::segment::SeqNumber;
use crate::stack::tcp::{ip_header_len, set_len};
use smoltcp::wire::TcpPacket;
use std::net::IpAddr;

/// Options under construction: at most 40 bytes, a multiple of four.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    bytes: [u8; 40],
    len: usize,
}

impl Options {
    pub(crate) fn new() -> Options {
        Options {
            bytes: [0; 40],
            len: 0,
        }
    }

    /// Adds blocks of a SACK option (RFC 2018, section 3), as many as fit.
    pub(crate) fn sack(&mut self, blocks: impl Iterator<Item = (SeqNumber, SeqNumber)>) {
        let at = self.len;
        let room = (self.bytes.len() - at).saturating_sub(4) / 8;
        let mut count = 0;
        for (left, right) in blocks.take(room) {
            let place = at + 4 + count * 8;
            self.bytes[place..place + 4].copy_from_slice(&left.0.to_be_bytes());
            self.bytes[place + 4..place + 8].copy_from_slice(&right.0.to_be_bytes());
            count += 1;
        }
        if count > 0 {
            let len = 2 + count * 8;
            self.bytes[at..at + 4].copy_from_slice(&[NOP, NOP, SACK, len as u8]);
            self.len += 2 + len;
        }
    }

    /// Adds timestamps, as RFC 7323, appendix A recommends: "NOP, NOP, TS".
    pub(crate) fn stamps(&mut self, (val, ecr): (u32, u32)) {
        let place = &mut self.bytes[self.len..self.len + 12];
        place[..4].copy_from_slice(&[NOP, NOP, TIMESTAMPS, 10]);
        place[4..8].copy_from_slice(&val.to_be_bytes());
        place[8..].copy_from_slice(&ecr.to_be_bytes());
        self.len += 12;
    }

    /// Puts them into a segment with payload that has just as many bytes of options; any other stays as it is.
    pub(crate) fn replace(&self, tcp: &mut [u8]) {
        if usize::from(TcpPacket::new_unchecked(&*tcp).header_len()) == 20 + self.len {
            tcp[20..20 + self.len].copy_from_slice(&self.bytes[..self.len]);
        }
    }

    /// Puts them into a segment without payload, in the place of those that it has; the new length of the packet.
    /// Checksums are filled in later.
    pub(crate) fn put(&self, packet: &mut [u8], src: IpAddr) -> usize {
        let ip = ip_header_len(src);
        let header = 20 + self.len;
        packet[ip + 20..ip + header].copy_from_slice(&self.bytes[..self.len]);
        TcpPacket::new_unchecked(&mut packet[ip..]).set_header_len(header as u8);
        let len = ip + header;
        set_len(packet, ip, len);
        len
    }
}

/// Fills the timestamps of a SYN in, which has them among its other options.
pub(crate) fn stamp_syn(tcp: &mut [u8], (val, ecr): (u32, u32)) {
    let end = usize::from(TcpPacket::new_unchecked(&*tcp).header_len());
    let mut at = 20;
    while at + 10 <= end {
        let len = match tcp[at] {
            END => return,
            NOP => 1,
            TIMESTAMPS => {
                tcp[at + 2..at + 6].copy_from_slice(&val.to_be_bytes());
                tcp[at + 6..at + 10].copy_from_slice(&ecr.to_be_bytes());
                return;
            }
            _ => usize::from(tcp[at + 1]).max(2),
        };
        at += len;
    }
}

const END: u8 = 0;
const NOP: u8 = 1;
const TIMESTAMPS: u8 = 8;
const SACK: u8 = 5;
