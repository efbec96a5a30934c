//! ICMP messages: echo requests are answered, errors are told to the flow of which they speak.

use super::defect::Work;
use super::tcp_flow::Severity;
use super::{Engine, Flow};
use crate::event::{Activity, PacketId, Transport};
use crate::link::Incoming;
use crate::segment::{Icmp, SeqNumber};
use crate::stack::reply;
use crate::stack::table::FlowKey;
use smoltcp::time::Instant;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A packet of ours of which an error speaks.
struct Spoken {
    key: FlowKey,
    /// Of a TCP segment.
    seq: Option<SeqNumber>,
    /// How long the whole packet is, in bytes, as its header says.
    len: usize,
}

impl Engine {
    pub(super) fn handle_icmp(&mut self, now: Instant, incoming: &Incoming<'_>, icmp: &Icmp) {
        let v4 = incoming.described.ip.is_some_and(|ip| ip.src.is_ipv4());
        let severity = severity(v4, icmp);
        let speaks = severity.is_some() || icmp.mtu.is_some();
        let excerpt = speaks.then(|| &incoming.bytes[icmp.payload.clone()]);
        // What a router quotes has the IP version in which it speaks.
        let spoken = excerpt.and_then(spoken_of);
        let spoken = spoken.filter(|spoken| spoken.key.local.is_ipv4() == v4);
        let place = spoken
            .as_ref()
            .and_then(|spoken| self.map.get(&spoken.key))
            .copied();
        let flow = place.map(|place| self.flows[place].id());
        let packet: PacketId = self.arrived(now, flow, incoming, None);
        if let Some(reply) = reply::echo_reply(incoming.bytes, incoming.described, icmp) {
            self.shared.send(now, None, reply);
        }
        let (Some(place), Some(spoken)) = (place, spoken) else {
            return;
        };
        // It comes from somewhere else, and is about this flow.
        let work = Work::Flow(Activity::Packet, place);
        self.contained(now, work, (), |engine| {
            let shared = &mut engine.shared;
            match (&mut engine.flows[place], severity, icmp.mtu) {
                (Flow::Tcp(flow), None, Some(mtu)) => {
                    flow.hear_too_big(shared, now, mtu, spoken.seq, spoken.len);
                }
                (Flow::Udp(flow), None, Some(mtu)) => flow.hear_too_big(shared, mtu, spoken.len),
                (Flow::Udp(flow), Some(_), _) if is_unreachable(v4, icmp) => {
                    flow.fail(io::ErrorKind::ConnectionRefused);
                }
                (Flow::Tcp(flow), Some(severity), _) => {
                    flow.hear_error(shared, now, packet, severity, spoken.seq);
                }
                _ => return,
            }
            engine.stand_in_line(place, false);
        });
    }
}

fn is_unreachable(v4: bool, icmp: &Icmp) -> bool {
    icmp.kind == if v4 { 3 } else { 1 }
}

/// What an ICMP message means to a connection; `None` for one that is no error, or says nothing about reaching the peer
/// (source quench, MUST-55; packet too big).
fn severity(v4: bool, icmp: &Icmp) -> Option<Severity> {
    use Severity::{Hard, Soft};
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    Some(match (v4, icmp.kind, icmp.code) {
        (true, 3, 4) => return None,
        (true, 3, 2 | 3) | (false, 1, 4) => Hard(ConnectionRefused),
        (true, 3, 0 | 6) => Soft(NetworkUnreachable),
        // Destination unreachable, time exceeded, parameter problem.
        (true, 3 | 11 | 12, _) | (false, 1 | 3 | 4, _) => Soft(HostUnreachable),
        _ => return None,
    })
}

/// The packet of ours that begins with `excerpt`.
fn spoken_of(excerpt: &[u8]) -> Option<Spoken> {
    let (protocol, src, dst, transport): (u8, IpAddr, IpAddr, &[u8]) = match excerpt.first()? >> 4 {
        4 => {
            let src: [u8; 4] = excerpt.get(12..16)?.try_into().ok()?;
            let dst: [u8; 4] = excerpt.get(16..20)?.try_into().ok()?;
            let header_len = usize::from(excerpt[0] & 0x0f) * 4;
            let transport = excerpt.get(header_len.max(20)..)?;
            let (src, dst) = (Ipv4Addr::from(src).into(), Ipv4Addr::from(dst).into());
            (excerpt[9], src, dst, transport)
        }
        6 => {
            let src: [u8; 16] = excerpt.get(8..24)?.try_into().ok()?;
            let dst: [u8; 16] = excerpt.get(24..40)?.try_into().ok()?;
            let (src, dst) = (Ipv6Addr::from(src).into(), Ipv6Addr::from(dst).into());
            (excerpt[6], src, dst, excerpt.get(40..)?)
        }
        _ => return None,
    };
    let port = |at: usize| {
        Some(u16::from_be_bytes(
            transport.get(at..at + 2)?.try_into().ok()?,
        ))
    };
    let stated = |at: usize| usize::from(u16::from_be_bytes([excerpt[at], excerpt[at + 1]]));
    let len = if src.is_ipv4() {
        stated(2)
    } else {
        40 + stated(4)
    };
    let (own, theirs) = (port(0)?, port(2)?);
    let seq = transport.get(4..8).and_then(|seq| seq.try_into().ok());
    let (transport, seq) = match protocol {
        6 => (
            Transport::Tcp,
            seq.map(|seq| SeqNumber(u32::from_be_bytes(seq))),
        ),
        17 => (Transport::Udp, None),
        _ => return None,
    };
    let (local, peer) = (SocketAddr::new(src, own), SocketAddr::new(dst, theirs));
    let key = FlowKey {
        transport,
        local,
        peer,
    };
    Some(Spoken { key, seq, len })
}
