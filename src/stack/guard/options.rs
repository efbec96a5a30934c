//! The options of segments that smoltcp has made.

use crate::segment::SeqNumber;
use smoltcp::wire::{Ipv4Packet, Ipv6Packet, TcpPacket};
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

    /// Puts them into a segment without payload, in the place of those that it has; the new length of the packet.
    /// Checksums are filled in later.
    pub(crate) fn put(&self, packet: &mut [u8], src: IpAddr) -> usize {
        let ip = if src.is_ipv4() { 20 } else { 40 };
        let header = 20 + self.len;
        packet[ip + 20..ip + header].copy_from_slice(&self.bytes[..self.len]);
        TcpPacket::new_unchecked(&mut packet[ip..]).set_header_len(header as u8);
        let len = ip + header;
        if src.is_ipv4() {
            Ipv4Packet::new_unchecked(&mut *packet).set_total_len(len as u16);
        } else {
            Ipv6Packet::new_unchecked(&mut *packet).set_payload_len(header as u16);
        }
        len
    }
}

const NOP: u8 = 1;
const SACK: u8 = 5;
