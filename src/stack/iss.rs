//! Initial sequence numbers (RFC 6528) and the translation that puts them on the wire.
//!
//! smoltcp draws its own from a generator of which a few outputs betray all later ones. So the sequence numbers of
//! each connection are moved by a constant between smoltcp and the wire:
//!
//! ```text
//!   smoltcp   SEG.SEQ ──── + shift ───▶ wire      (egress)
//!   smoltcp   SEG.ACK ◀─── - shift ──── wire      (ingress)
//! ```

#[cfg(test)]
mod tests;

use crate::segment::SeqNumber;
use crate::stack::table::FlowKey;
use siphasher::sip::SipHasher24;
use smoltcp::time::Instant;
use smoltcp::wire::{IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket, TcpSeqNumber};
use std::hash::{Hash, Hasher};

/// Chooses initial sequence numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IssGenerator {
    secret: (u64, u64),
}

impl IssGenerator {
    pub(crate) fn new(seed: u64) -> IssGenerator {
        let half = |which: u64| {
            let mut hasher = SipHasher24::new_with_keys(seed, which);
            hasher.write(b"RFC 6528");
            hasher.finish()
        };
        IssGenerator {
            secret: (half(1), half(2)),
        }
    }

    /// RFC 6528, section 3: "ISN = M + F(localip, localport, remoteip, remoteport, secretkey)", M a timer of
    /// 4 microseconds, F a keyed hash: numbers that nobody can guess who does not know the secret, and
    /// that grow from one incarnation of a connection to the next.
    pub(crate) fn generate(&self, now: Instant, key: &FlowKey) -> SeqNumber {
        SeqNumber((now.total_micros() / 4) as u32) + self.hash(key) as u32
    }

    /// A keyed hash of the endpoints for other choices that shall not be guessed.
    pub(crate) fn hash(&self, key: &FlowKey) -> u64 {
        let mut hasher = SipHasher24::new_with_keys(self.secret.0, self.secret.1);
        (key.transport, key.local, key.peer).hash(&mut hasher);
        hasher.finish()
    }
}

/// Where the TCP header of a packet from or for smoltcp begins; `None` where it carries no TCP.
fn tcp_offset(packet: &[u8]) -> Option<usize> {
    match packet.first()? >> 4 {
        4 => {
            let ip = Ipv4Packet::new_checked(packet).ok()?;
            (ip.next_header() == IpProtocol::Tcp).then(|| usize::from(ip.header_len()))
        }
        6 => {
            let ip = Ipv6Packet::new_checked(packet).ok()?;
            (ip.next_header() == IpProtocol::Tcp).then(|| ip.header_len())
        }
        _ => None,
    }
}

/// SEG.SEQ of a packet that smoltcp has made.
pub(crate) fn sequence_number(packet: &[u8]) -> Option<SeqNumber> {
    let tcp = TcpPacket::new_checked(packet.get(tcp_offset(packet)?..)?).ok()?;
    Some(SeqNumber(tcp.seq_number().0 as u32))
}

/// Moves SEG.SEQ of a packet on its way out.
pub(crate) fn translate_out(packet: &mut [u8], shift: u32) {
    let Some(offset) = tcp_offset(packet) else {
        return;
    };
    let mut tcp = TcpPacket::new_unchecked(&mut packet[offset..]);
    let seq = tcp.seq_number().0.wrapping_add(shift as i32);
    tcp.set_seq_number(TcpSeqNumber(seq));
}

/// Puts the number right of a segment that takes up none. RFC 9293 has <SEQ=SND.NXT> in an acknowledgment (section 3.10.7.4)
/// and in the reset of an ABORT (section 3.10.5); smoltcp has what it sends next, which after a timeout the peer may have had
/// long ago: then it would take neither. Other resets, without ACK, have the number that the peer has asked for.
pub(crate) fn renumber_bare(packet: &mut [u8], next: SeqNumber) {
    let Some(offset) = tcp_offset(packet) else {
        return;
    };
    let mut tcp = TcpPacket::new_unchecked(&mut packet[offset..]);
    let answers = tcp.rst() && !tcp.ack();
    if tcp.payload_mut().is_empty() && !tcp.syn() && !tcp.fin() && !answers {
        tcp.set_seq_number(TcpSeqNumber(next.0 as i32));
    }
}

/// Moves SEG.ACK of a packet on its way in. SACK blocks stay as they are: smoltcp does not use the peer's.
pub(crate) fn translate_in(packet: &mut [u8], shift: u32) {
    let Some(offset) = tcp_offset(packet) else {
        return;
    };
    let mut tcp = TcpPacket::new_unchecked(&mut packet[offset..]);
    if tcp.ack() {
        let ack = tcp.ack_number().0.wrapping_sub(shift as i32);
        tcp.set_ack_number(TcpSeqNumber(ack));
    }
}
