//! From the wire to the flow that a packet is meant for.

use super::tcp_flow::TcpFlow;
use super::{Engine, Flow};
use crate::event::{Cause, Discard, EventKind, FlowId, Opened, Opening, PacketId, Transport};
use crate::fault::BacklogFull;
use crate::link::{Incoming, Remarks};
use crate::segment::{
    Body, Checksum, Described, Flags, Icmp, IpHeader, Segment, SeqNumber, describe,
    describe_offloaded,
};
use crate::stack::fragments::Added;
use crate::stack::reply;
use crate::stack::table::FlowKey;
use crate::stack::time_wait::Verdict;
use smoltcp::time::Instant;
use smoltcp::wire::IpCidr;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// RFC 1122, section 4.2.2.13: a connection that takes the place of one in TIME-WAIT begins at a number "larger than
/// the largest sequence number it used on the previous connection incarnation". This is by how much.
const REOPEN_GAP: u32 = 128_000;

impl Engine {
    /// Takes one IP packet from the wire. Its bytes may be changed: what is left in `packet` means nothing.
    pub fn handle_packet(&mut self, now: Instant, packet: &mut [u8]) {
        self.handle_offloaded(now, packet, Checksum::Whole);
    }

    /// The same for a packet from a device that does a part of the work: it may be larger than the MTU, where it would
    /// have been cut else, and `checksum` is what the device says of it.
    pub fn handle_offloaded(&mut self, now: Instant, packet: &mut [u8], checksum: Checksum) {
        let (wall, now) = (now, self.stack_time(now));
        let described = describe_offloaded(packet, checksum);
        let discard = self.discard(&described);
        if discard.is_none() && self.shared.interferes(described.ip.map(|ip| ip.dst)) {
            self.interfere_in(now, packet, checksum, &described);
            self.enter(now);
            return self.set_clock(wall);
        }
        let incoming = Incoming {
            bytes: packet,
            described: &described,
            told: None,
        };
        match described.ip {
            Some(ip) if discard.is_none() && ip.fragment.is_some() => {
                self.accept_fragment(now, &incoming, &ip);
            }
            _ if discard.is_some() => {
                let flow = self.flow_of(&described);
                self.arrived(now, flow, &incoming, discard);
            }
            _ => self.accept(now, incoming),
        }
    }

    /// Whether a packet is refused before any flow sees it.
    pub(super) fn discard(&self, described: &Described) -> Option<Discard> {
        let readable = match &described.body {
            Body::Malformed(_) => false,
            Body::Tcp(segment) => segment.checksum_ok,
            Body::Udp(datagram) => datagram.checksum_ok,
            Body::Icmp(icmp) => icmp.checksum_ok,
            Body::Fragment { .. } | Body::Other { .. } => true,
        };
        let Some(ip) = described.ip.filter(|_| readable) else {
            return Some(Discard::Malformed);
        };
        let own = &self.shared.config.addresses;
        if !own.iter().any(|prefix| has_host(prefix, ip.dst)) {
            return Some(Discard::NotForUs);
        }
        // RFC 1122, section 3.2.1.3: a source address is never broadcast, multicast or (but for DHCP) unspecified.
        let no_host =
            |prefix: &IpCidr| prefix.contains_addr(&ip.src.into()) && !has_host(prefix, ip.src);
        let bad = ip.src.is_unspecified()
            || ip.src.is_multicast()
            || ip.src == IpAddr::V4(Ipv4Addr::BROADCAST)
            || ip.src == ip.dst
            || own.iter().any(no_host);
        if bad {
            return Some(Discard::BadAddress);
        }
        match &described.body {
            Body::Other { .. } if ip.fragment.is_none() => Some(Discard::Unsupported),
            _ => None,
        }
    }

    /// Leads a whole packet to its flow.
    pub(super) fn accept(&mut self, now: Instant, incoming: Incoming<'_>) {
        match (&incoming.described.body, incoming.described.endpoints()) {
            (Body::Tcp(segment), Some((peer, local))) => {
                let key = FlowKey {
                    transport: Transport::Tcp,
                    local,
                    peer,
                };
                self.handle_segment(now, incoming, segment, key);
            }
            (Body::Udp(datagram), Some((peer, local))) => {
                let key = FlowKey {
                    transport: Transport::Udp,
                    local,
                    peer,
                };
                self.handle_datagram(now, &incoming, datagram, key);
            }
            (Body::Icmp(icmp), _) => self.handle_icmp(now, &incoming, icmp),
            _ => {
                self.arrived(now, None, &incoming, Some(Discard::Unsupported));
            }
        }
    }

    pub(super) fn accept_fragment(&mut self, now: Instant, incoming: &Incoming<'_>, ip: &IpHeader) {
        let key = key_of(incoming.described);
        let (added, key) = self.reassembler.add(now, incoming.bytes, ip, key);
        let flow = key
            .and_then(|key| self.map.get(&key))
            .map(|&place| self.flows[place].id());
        let discard = (added == Added::Unusable).then_some(Discard::Fragment);
        let last = self.arrived(now, flow, incoming, discard);
        if let Added::Whole(mut whole) = added {
            let described = describe(&whole);
            match self.discard(&described) {
                None => {
                    let told = Some(last);
                    self.accept(
                        now,
                        Incoming {
                            bytes: &mut whole,
                            described: &described,
                            told,
                        },
                    );
                }
                Some(discard) => {
                    let note = format!(
                        "put together from fragments, then discarded: {}",
                        discard.reason()
                    );
                    self.shared.journal.tell(now, flow, EventKind::Note(note));
                }
            }
        }
    }

    fn handle_segment(
        &mut self,
        now: Instant,
        incoming: Incoming<'_>,
        segment: &Segment,
        key: FlowKey,
    ) {
        let Some(place) = self.map.get(&key).copied() else {
            return self.handle_first_segment(now, incoming, segment, key);
        };
        match &mut self.flows[place] {
            Flow::Tcp(flow) => {
                flow.arrive(&mut self.shared, now, incoming, segment);
                self.stand_in_line(place);
            }
            Flow::TimeWait(waiting) => {
                let (id, record) = (waiting.id, waiting.record);
                let verdict = record.judge(segment);
                if verdict == Verdict::Reopen && self.begins_connection(segment, key) {
                    let above = record.snd_nxt + REOPEN_GAP;
                    let packet = self.open_passive(now, incoming, segment, key, Some(above));
                    return self.end_time_wait(now, place, id, Cause::Segment(packet));
                }
                let again = segment.sequence_len() > 0 && segment.seq.before(record.rcv_nxt);
                let packet = self.shared.link.arrived(
                    &mut self.shared.journal,
                    now,
                    Some(id),
                    &incoming,
                    None,
                    Remarks {
                        retransmission: again,
                        ..Remarks::default()
                    },
                );
                match verdict {
                    Verdict::Acknowledge(reply) => self.shared.send(now, Some(id), reply),
                    Verdict::AcknowledgeAndRestart(reply) => {
                        self.shared.send(now, Some(id), reply);
                        self.restart_time_wait(now, place);
                    }
                    Verdict::Close => self.end_time_wait(now, place, id, Cause::Segment(packet)),
                    Verdict::Ignore | Verdict::Reopen => {}
                }
            }
            Flow::Unheard(_) => self.handle_first_segment(now, incoming, segment, key),
            Flow::Udp(_) => unreachable!("the key names the transport"),
        }
    }

    /// A segment of no connection that we know: it may begin one, otherwise it is answered with a reset.
    fn handle_first_segment(
        &mut self,
        now: Instant,
        incoming: Incoming<'_>,
        segment: &Segment,
        key: FlowKey,
    ) {
        if self.begins_connection(segment, key) {
            self.open_passive(now, incoming, segment, key, None);
            return;
        }
        let listens = self.tcp_services.contains_key(&key.local.port());
        let refuses = || self.knobs_of(&key).backlog_full == Some(BacklogFull::Reset);
        let mut answered = true;
        let discard = match control_bits(segment) {
            bits if bits == SYN && listens => {
                answered = refuses();
                Some(Discard::BacklogFull)
            }
            bits if bits == SYN | FIN && listens => {
                answered = false;
                Some(Discard::BadFlags)
            }
            _ => None,
        };
        let flow = self.flow_of(incoming.described);
        self.arrived(now, flow, &incoming, discard);
        if answered && let Some(reset) = reply::reset(key.local, key.peer, segment) {
            self.shared.send(now, flow, reset);
        }
    }

    /// Whether a segment is a SYN for a service, and the backlog has room for it.
    fn begins_connection(&self, segment: &Segment, key: FlowKey) -> bool {
        control_bits(segment) == SYN
            && self.tcp_services.contains_key(&key.local.port())
            && self.has_room(&key)
    }

    fn open_passive(
        &mut self,
        now: Instant,
        incoming: Incoming<'_>,
        segment: &Segment,
        key: FlowKey,
        above: Option<SeqNumber>,
    ) -> PacketId {
        let service = &self.tcp_services[&key.local.port()];
        let (name, start) = (service.name, service.start.clone());
        let mut iss = self.shared.iss.generate(now, &key);
        if let Some(above) = above.filter(|&above| iss.before(above)) {
            iss = above;
        }
        let knobs = self.knobs_of(&key);
        let iss = knobs.iss.map_or(iss, SeqNumber);
        let heard = self.hear(key);
        let id = heard.unwrap_or_else(|| self.tell_opened(now, key, Opening::Passive, name));
        let pooled = self.shared.listening_socket(key.local.port(), &knobs);
        let program = Box::new(move |connection| start(connection));
        let mut flow = TcpFlow::new(
            id,
            key,
            Opening::Passive,
            iss,
            pooled,
            program,
            self.shared.task(),
        );
        flow.turn(&knobs);
        let packet = flow.arrive(&mut self.shared, now, incoming, segment);
        self.half_open += 1;
        let place = self.flows.insert(Flow::Tcp(Box::new(flow)));
        self.map.insert(key, place);
        self.stand_in_line(place);
        packet
    }

    fn handle_icmp(&mut self, now: Instant, incoming: &Incoming<'_>, icmp: &Icmp) {
        let place = spoken_of(&incoming.bytes[icmp.payload.clone()], icmp)
            .and_then(|key| self.map.get(&key))
            .copied();
        let flow = place.map(|place| self.flows[place].id());
        self.arrived(now, flow, incoming, None);
        if let Some(reply) = reply::echo_reply(incoming.bytes, incoming.described, icmp) {
            self.shared.send(now, None, reply);
        }
        if let Some(place) = place
            && let Flow::Udp(flow) = &mut self.flows[place]
        {
            flow.fail(io::ErrorKind::ConnectionRefused);
            self.stand_in_line(place);
        }
    }

    pub(super) fn flow_of(&self, described: &Described) -> Option<FlowId> {
        let place = self.map.get(&key_of(described)?)?;
        Some(self.flows[*place].id())
    }

    pub(super) fn arrived(
        &mut self,
        now: Instant,
        flow: Option<FlowId>,
        incoming: &Incoming<'_>,
        discard: Option<Discard>,
    ) -> PacketId {
        self.shared.link.arrived(
            &mut self.shared.journal,
            now,
            flow,
            incoming,
            discard,
            Remarks::default(),
        )
    }

    pub(super) fn tell_opened(
        &mut self,
        now: Instant,
        key: FlowKey,
        opening: Opening,
        service: &'static str,
    ) -> FlowId {
        self.opened += 1;
        let id = FlowId(self.opened);
        let FlowKey {
            transport,
            local,
            peer,
        } = key;
        let opened = Opened {
            transport,
            local,
            peer,
            opening,
            service,
        };
        self.shared
            .journal
            .tell(now, Some(id), EventKind::Opened(opened));
        id
    }
}

const SYN: u16 = Flags::SYN.0;
const FIN: u16 = Flags::FIN.0;

/// The bits that decide what a segment does to a connection that does not exist.
fn control_bits(segment: &Segment) -> u16 {
    segment.flags.0 & (SYN | FIN | Flags::RST.0 | Flags::ACK.0)
}

/// Whether a segment is one that may begin a connection.
pub(super) fn is_syn(segment: &Segment) -> bool {
    control_bits(segment) == SYN
}

/// Whether `address` is a host of the prefix: inside, and neither its network nor its broadcast address.
fn has_host(prefix: &IpCidr, address: IpAddr) -> bool {
    if !prefix.contains_addr(&address.into()) || address.is_multicast() {
        return false;
    }
    match (prefix, address) {
        // RFC 3021: both addresses of a /31 are hosts.
        (IpCidr::Ipv4(prefix), IpAddr::V4(address)) if prefix.prefix_len() < 31 => {
            address != prefix.network().address() && Some(address) != prefix.broadcast()
        }
        _ => true,
    }
}

/// The flow to which a packet that comes in belongs, if it is of a kind that has flows.
pub(super) fn key_of(described: &Described) -> Option<FlowKey> {
    let transport = match described.body {
        Body::Tcp(_) => Transport::Tcp,
        Body::Udp(_) => Transport::Udp,
        _ => return None,
    };
    let (peer, local) = described.endpoints()?;
    Some(FlowKey {
        transport,
        local,
        peer,
    })
}

/// The flow that an ICMP "destination unreachable" speaks of: `excerpt` is the beginning of a packet that we have sent.
fn spoken_of(excerpt: &[u8], icmp: &Icmp) -> Option<FlowKey> {
    let (protocol, src, dst, ports): (u8, IpAddr, IpAddr, &[u8]) = match excerpt.first()? >> 4 {
        4 if icmp.kind == 3 => {
            let header_len = usize::from(excerpt[0] & 0x0f) * 4;
            let src: [u8; 4] = excerpt.get(12..16)?.try_into().ok()?;
            let dst: [u8; 4] = excerpt.get(16..20)?.try_into().ok()?;
            let ports = excerpt.get(header_len..header_len + 4)?;
            (
                excerpt[9],
                Ipv4Addr::from(src).into(),
                Ipv4Addr::from(dst).into(),
                ports,
            )
        }
        6 if icmp.kind == 1 => {
            let src: [u8; 16] = excerpt.get(8..24)?.try_into().ok()?;
            let dst: [u8; 16] = excerpt.get(24..40)?.try_into().ok()?;
            (
                excerpt[6],
                Ipv6Addr::from(src).into(),
                Ipv6Addr::from(dst).into(),
                excerpt.get(40..44)?,
            )
        }
        _ => return None,
    };
    let transport = match protocol {
        6 => Transport::Tcp,
        17 => Transport::Udp,
        _ => return None,
    };
    let port = |at: usize| u16::from_be_bytes([ports[at], ports[at + 1]]);
    Some(FlowKey {
        transport,
        local: SocketAddr::new(src, port(0)),
        peer: SocketAddr::new(dst, port(2)),
    })
}
