//! IP fragments: put together on the way in, cut on the way out.
//!
//! Both happen at the edge, so that everything behind it only knows whole packets. A reassembled packet looks as if
//! it had never been cut: no fragment fields, no fragment header, checksums right.

#[cfg(test)]
mod tests;

use crate::segment::IpHeader;
use crate::stack::reply::{self, Problem};
use crate::stack::table::FlowKey;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{Ipv4Packet, Ipv6Packet, checksum};
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

/// RFC 1122, section 3.3.2: "this timeout value MUST be … between 60 seconds and 120 seconds"; RFC 8200,
/// section 4.5: 60 seconds.
const REASSEMBLY_TIMEOUT: Duration = Duration::from_secs(60);
/// Packets that may be under way at once; the oldest makes room for a new one.
const MAX_UNFINISHED: usize = 1024;
/// What a packet and each of its fragments take in memory besides their bytes, rounded up.
const PACKET_COST: usize = 256;
const FRAGMENT_COST: usize = 64;
/// The most that 16 bits of length can say: of the whole packet in IPv4, of what follows the header in IPv6.
const MAX_LENGTH: usize = 65_535;
const IPV6_HEADER: usize = 40;

/// Packets of which some fragments have arrived.
#[derive(Debug)]
pub(crate) struct Reassembler {
    /// The oldest first.
    unfinished: VecDeque<Unfinished>,
    /// The most that they may take in memory, in bytes.
    limit: usize,
    /// What they take.
    held: usize,
    /// How many have made room for others.
    displaced: u64,
}

#[derive(Debug)]
struct Unfinished {
    key: Key,
    expires: Instant,
    flow: Option<FlowKey>,
    /// The header of the first fragment as it will stand before the whole, once that fragment is here.
    header: Option<Vec<u8>>,
    /// What its sender is told should the rest not come: RFC 8200, section 4.5, "if the first fragment [...] has been
    /// received", and RFC 792.
    late: Option<Vec<u8>>,
    /// What is there, by offset; nothing overlaps.
    pieces: BTreeMap<usize, Vec<u8>>,
    /// How many bytes that is.
    len: usize,
    /// The length of the whole, once the last fragment is here.
    total: Option<usize>,
}

/// What fragments of one packet have in common (RFC 791; RFC 8200, section 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    src: IpAddr,
    dst: IpAddr,
    id: u32,
    protocol: Option<u8>,
}

/// What became of a fragment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// Others are missing.
    Waiting,
    /// It was the last one missing; this is the whole packet.
    Whole(Vec<u8>),
    /// It can't be used: it overlaps with another, or the whole would be too large. Whoever sent it may be told why.
    Unusable(Option<Problem>),
}

impl Reassembler {
    /// `limit` is the most memory that unfinished packets may take, in bytes.
    pub(crate) fn new(limit: usize) -> Reassembler {
        Reassembler {
            unfinished: VecDeque::new(),
            limit,
            held: 0,
            displaced: 0,
        }
    }

    /// Takes one fragment in. `flow` is what it belongs to, known only where it is the first; returned is what the
    /// packet belongs to as far as its first fragment has arrived.
    pub(crate) fn add(
        &mut self,
        now: Instant,
        packet: &[u8],
        ip: &IpHeader,
        flow: Option<FlowKey>,
    ) -> (Added, Option<FlowKey>) {
        self.expire(now);
        let Some((fragment, piece)) = ip.fragment.zip(Piece::read(packet, ip)) else {
            return (Added::Unusable(None), flow);
        };
        if let Err(problem) = piece.check(ip.src.is_ipv4(), fragment.offset, fragment.more) {
            // RFC 8200, section 4.5: "that fragment must be discarded"; what it belongs to may still become whole.
            return (Added::Unusable(problem), flow);
        }
        let key = Key {
            src: ip.src,
            dst: ip.dst,
            id: fragment.id,
            protocol: ip.src.is_ipv4().then_some(ip.protocol),
        };
        let mut unfinished = self
            .take(&key)
            .unwrap_or_else(|| Unfinished::new(key, now + REASSEMBLY_TIMEOUT));
        unfinished.flow = unfinished.flow.or(flow);
        let flow = unfinished.flow;
        let first = fragment.offset == 0 && unfinished.header.is_none();
        if unfinished
            .add(fragment.offset, fragment.more, piece)
            .is_err()
        {
            // RFC 8200, section 4.5 (after RFC 5722): with overlapping fragments, "reassembly of that packet
            // must be abandoned and all the fragments that have been received for that packet must be discarded".
            return (Added::Unusable(None), flow);
        }
        if unfinished.is_whole() {
            let packet = unfinished.into_packet();
            return (packet.map_or(Added::Unusable(None), Added::Whole), flow);
        }
        if first {
            unfinished.late = reply::error(packet, Problem::Reassembly);
        }
        self.keep(unfinished);
        (Added::Waiting, flow)
    }

    /// When [`expire`](Reassembler::expire) has something to do next.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.unfinished.front().map(|oldest| oldest.expires)
    }

    /// Gives up packets that have waited for too long; the ICMP errors about them.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let mut errors = Vec::new();
        while self.next_expiry().is_some_and(|at| at <= now) {
            errors.extend(self.pop().and_then(|unfinished| unfinished.late));
            if self.unfinished.is_empty() {
                self.unfinished.shrink_to_fit();
            }
        }
        errors
    }

    /// How many packets have made room for others since this was asked last.
    pub(crate) fn take_displaced(&mut self) -> u64 {
        std::mem::take(&mut self.displaced)
    }

    fn take(&mut self, key: &Key) -> Option<Unfinished> {
        let place = self
            .unfinished
            .iter()
            .rposition(|unfinished| unfinished.key == *key)?;
        let unfinished = self.unfinished.remove(place)?;
        self.held -= unfinished.cost();
        Some(unfinished)
    }

    /// Keeps a packet; where there are too many, the oldest go. One that is alone may stay whatever it takes: 64 KiB and
    /// what its fragments cost.
    fn keep(&mut self, unfinished: Unfinished) {
        self.held += unfinished.cost();
        // They stay in the order in which they expire.
        let place = self
            .unfinished
            .partition_point(|other| other.expires <= unfinished.expires);
        self.unfinished.insert(place, unfinished);
        while self.unfinished.len() > MAX_UNFINISHED
            || self.held > self.limit && self.unfinished.len() > 1
        {
            self.pop();
            self.displaced += 1;
        }
    }

    fn pop(&mut self) -> Option<Unfinished> {
        let oldest = self.unfinished.pop_front()?;
        self.held -= oldest.cost();
        Some(oldest)
    }
}

/// A fragment taken apart.
struct Piece<'a> {
    /// What stands before the payload in the whole packet, should this be the first fragment.
    header: Vec<u8>,
    payload: &'a [u8],
}

impl Piece<'_> {
    fn read<'a>(packet: &'a [u8], ip: &IpHeader) -> Option<Piece<'a>> {
        let packet = packet.get(..ip.total_len)?;
        if ip.src.is_ipv4() {
            let view = Ipv4Packet::new_checked(packet).ok()?;
            let (header, payload) = packet.split_at(usize::from(view.header_len()));
            return Some(Piece {
                header: header.to_vec(),
                payload,
            });
        }
        // The headers up to the fragment header stay; the one that names it names what follows it instead.
        let mut next_at = 6;
        let mut at = IPV6_HEADER;
        loop {
            match packet.get(next_at)? {
                44 => break,
                // Hop-by-hop options, routing, destination options: what else comes first is refused before.
                0 | 43 | 60 => {}
                _ => return None,
            }
            next_at = at;
            at += (usize::from(*packet.get(at + 1)?) + 1) * 8;
        }
        let mut header = packet.get(..at)?.to_vec();
        *header.get_mut(next_at)? = *packet.get(at)?;
        Some(Piece {
            header,
            payload: packet.get(at + 8..)?,
        })
    }

    /// Whether a fragment can be one at all; if not, what its sender is told (RFC 8200, section 4.5).
    fn check(&self, v4: bool, offset: usize, more: bool) -> Result<(), Option<Problem>> {
        const PAYLOAD_LENGTH: usize = 4;
        if more && (self.payload.is_empty() || !self.payload.len().is_multiple_of(8)) {
            return Err((!v4).then_some(Problem::parameter(0, PAYLOAD_LENGTH)));
        }
        let uncounted = if v4 { 0 } else { IPV6_HEADER };
        if offset + self.payload.len() + self.header.len() - uncounted > MAX_LENGTH {
            // The fragment header begins where the others end.
            let offset_field = self.header.len() + 2;
            return Err((!v4).then_some(Problem::parameter(0, offset_field)));
        }
        Ok(())
    }
}

impl Unfinished {
    fn new(key: Key, expires: Instant) -> Unfinished {
        Unfinished {
            key,
            expires,
            flow: None,
            header: None,
            late: None,
            pieces: BTreeMap::new(),
            len: 0,
            total: None,
        }
    }

    fn add(&mut self, offset: usize, more: bool, piece: Piece<'_>) -> Result<(), ()> {
        let end = offset + piece.payload.len();
        if self.total.is_some_and(|total| end > total) {
            return Err(());
        }
        let before = self.pieces.range(..end).next_back();
        if let Some((&from, there)) = before
            && from + there.len() > offset
        {
            // The very same fragment may come twice; nothing else may overlap.
            return match from == offset && there == piece.payload {
                true => Ok(()),
                false => Err(()),
            };
        }
        if !more {
            if self.total.is_some() || self.pieces.range(end..).next().is_some() {
                return Err(());
            }
            self.total = Some(end);
        }
        self.len += piece.payload.len();
        self.pieces.insert(offset, piece.payload.to_vec());
        if offset == 0 {
            self.header = Some(piece.header);
        }
        Ok(())
    }

    /// Bytes of memory.
    fn cost(&self) -> usize {
        let len = |kept: &Option<Vec<u8>>| kept.as_ref().map_or(0, Vec::len);
        PACKET_COST
            + len(&self.header)
            + len(&self.late)
            + self.len
            + self.pieces.len() * FRAGMENT_COST
    }

    fn is_whole(&self) -> bool {
        // Nothing overlaps, so nothing is missing when the lengths add up.
        self.header.is_some() && self.total == Some(self.len)
    }

    fn into_packet(self) -> Option<Vec<u8>> {
        let mut packet = self.header?;
        let header_len = packet.len();
        for piece in self.pieces.values() {
            packet.extend_from_slice(piece);
        }
        let len = packet.len();
        if self.key.src.is_ipv4() {
            let mut view = Ipv4Packet::new_unchecked(&mut packet[..]);
            view.set_total_len(u16::try_from(len).ok()?);
            view.set_more_frags(false);
            view.set_frag_offset(0);
            // Not `fill_checksum`: it takes the header for one without options.
            packet[10..12].fill(0);
            let sum = checksum::data(&packet[..header_len]);
            packet[10..12].copy_from_slice(&(!sum).to_be_bytes());
        } else {
            let mut view = Ipv6Packet::new_unchecked(&mut packet[..]);
            view.set_payload_len(u16::try_from(len - 40).ok()?);
        }
        Some(packet)
    }
}

/// Cuts a packet of ours into fragments of at most `mtu` bytes each; one that fits is given back as it is.
/// `id` is the identification that the fragments share.
pub(crate) fn cut(packet: Vec<u8>, mtu: usize, id: u32) -> Vec<Vec<u8>> {
    if packet.len() <= mtu {
        return vec![packet];
    }
    let header_len = if packet[0] >> 4 == 4 { 20 } else { 40 };
    let (header, payload) = packet.split_at(header_len);
    let extra = if header_len == 20 { 0 } else { 8 };
    let room = (mtu - header_len - extra) / 8 * 8;
    let pieces = payload.chunks(room).enumerate();
    let last = payload.len().div_ceil(room) - 1;
    pieces
        .map(|(index, piece)| {
            let mut fragment = header.to_vec();
            let offset = index * room;
            let more = index != last;
            if extra == 0 {
                let mut view = Ipv4Packet::new_unchecked(&mut fragment[..]);
                view.set_total_len((header_len + piece.len()) as u16);
                view.set_ident(id as u16);
                view.set_dont_frag(false);
                view.set_more_frags(more);
                view.set_frag_offset(offset as u16);
                view.fill_checksum();
            } else {
                // RFC 8200, section 4.5: next header, reserved, offset and the M flag, identification.
                let next = std::mem::replace(&mut fragment[6], 44);
                fragment[4..6].copy_from_slice(&((extra + piece.len()) as u16).to_be_bytes());
                fragment.extend_from_slice(&[next, 0]);
                fragment.extend_from_slice(&(offset as u16 | u16::from(more)).to_be_bytes());
                fragment.extend_from_slice(&id.to_be_bytes());
            }
            fragment.extend_from_slice(piece);
            fragment
        })
        .collect()
}

/// An IPv6 packet without the extension headers before its TCP segment; `None` where there are none to leave out.
pub(crate) fn without_extensions(packet: &[u8]) -> Option<Vec<u8>> {
    const TCP: u8 = 6;
    let mut next = *packet.get(6)?;
    if packet[0] >> 4 != 6 || next == TCP {
        return None;
    }
    let mut at = IPV6_HEADER;
    while next != TCP {
        let units = usize::from(*packet.get(at + 1)?);
        let len = match next {
            // Hop-by-hop options, routing, destination options: RFC 8200, sections 4.3, 4.4 and 4.6.
            0 | 43 | 60 => (units + 1) * 8,
            // A fragment header that belongs to a packet in one piece: RFC 6946.
            44 => 8,
            // Authentication: RFC 4302, section 2.2.
            51 => (units + 2) * 4,
            _ => return None,
        };
        next = *packet.get(at)?;
        at += len;
    }
    let end = 40 + usize::from(u16::from_be_bytes([packet[4], packet[5]]));
    let mut plain = packet[..40].to_vec();
    plain.extend_from_slice(packet.get(at..end)?);
    let len = u16::try_from(plain.len() - 40).ok()?;
    plain[4..6].copy_from_slice(&len.to_be_bytes());
    plain[6] = TCP;
    Some(plain)
}
