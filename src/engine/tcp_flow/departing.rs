//! Packets of smoltcp's on their way to the wire.

use super::TcpFlow;
use crate::engine::{Shared, Transmit};
use crate::event::{Direction, Reason};
use crate::link::{Offload, Remarks};
use crate::segment::{Checksum, SeqNumber, describe_offloaded, own_segment};
use crate::stack::checksum::pseudo_header;
use crate::stack::iss;
use crate::stack::tcp::ip_header_len;
use smoltcp::time::Instant;
use smoltcp::wire::{Ipv4Packet, TcpPacket};
use std::net::IpAddr;

impl TcpFlow {
    /// A packet of smoltcp's leaves: checksums are filled in, and what it says is noted.
    /// Returns how it is to be sent, if it is at once.
    pub(super) fn depart(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        packet: &mut [u8],
    ) -> Option<Transmit> {
        self.depart_as(shared, now, packet, false)
    }

    /// The same, where `fills` is whether the packet fills a hole, and smoltcp does not know of it.
    pub(super) fn depart_as(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        packet: &mut [u8],
        fills: bool,
    ) -> Option<Transmit> {
        let (checksum, judged) = self.seal(shared, packet);
        // All that it is, is read only for those who ask.
        let segment = &own_segment(packet, ip_header_len(self.key.local.ip()))?;
        let wire = shared.config.wire().narrowed(self.path.mtu());
        let offload = Offload {
            checksum,
            segment_size: wire.segment_size(
                self.key.peer.ip(),
                self.peer_mss,
                self.tcb.options_len(),
                segment.payload.len(),
            ),
        };
        if self.syn_ack_retry.is_some() {
            self.syn_ack_at = Some(now);
        }
        if segment.sequence_len() > 0 {
            self.tcb.deadlines.demand();
        }
        let late = self.tcb.snd.is_timeout(segment.seq);
        let (reason, retransmission) = match fills {
            true => self.tcb.filled(segment),
            false => self.tcb.sent(now, segment),
        };
        if segment.payload.len() >= self.full_segment() {
            shared.senders.sends(now, &mut self.sender);
        }
        self.keep(segment.seq, &packet[segment.payload.clone()]);
        if let Reason::Resent(resend) = reason {
            self.resent(shared, now, resend, late);
        }
        if reason == Reason::KeepAlive {
            self.tcb.deadlines.kept_alive(now);
        }
        let remarks = Remarks {
            retransmission,
            reason: Some(reason),
            variables: self.variables(shared),
        };
        self.observe(now, Direction::Out, packet);
        let describe = || describe_offloaded(packet, judged);
        let leaves = shared.cross(now, Some(self.id), packet, describe, offload, remarks);
        let len = packet.len();
        leaves.then_some(Transmit { len, offload })
    }

    /// Makes a packet of smoltcp's one for the wire: what smoltcp does not know, and checksums.
    /// Gives what the device is to do about its checksum, and what is to be thought of that.
    pub(super) fn seal(&mut self, shared: &Shared, packet: &mut [u8]) -> (Checksum, Checksum) {
        if let Some(highest) = self.tcb.snd.gone_back_from() {
            iss::renumber_bare(packet, highest);
        }
        self.point(packet);
        self.marking(shared).mark(packet);
        let (src, dst) = (self.key.local.ip(), self.key.peer.ip());
        let header_len = match src {
            IpAddr::V4(_) => {
                let mut ip = Ipv4Packet::new_unchecked(&mut *packet);
                if self.path.fragments() {
                    ip.set_dont_frag(false);
                    // RFC 6864, section 4.1: what may be cut needs an identification of its own.
                    let SeqNumber(number) = self.tcb.snd.socket_nxt;
                    ip.set_ident((number ^ number >> 16) as u16);
                }
                ip.fill_checksum();
                20
            }
            IpAddr::V6(_) => 40,
        };
        let len = packet.len();
        let mut tcp = TcpPacket::new_unchecked(&mut packet[header_len..]);
        // What was computed just now is not computed again in order to be judged.
        match shared.config.offload {
            true => {
                tcp.set_checksum(pseudo_header(src, dst, len - header_len));
                (Checksum::Partial, Checksum::Partial)
            }
            false => {
                tcp.fill_checksum(&src.into(), &dst.into());
                (Checksum::Whole, Checksum::Verified)
            }
        }
    }
}
