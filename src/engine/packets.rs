//! From the wire to the flow that a packet is meant for.

use super::defect::Work;
use super::tcp_flow::{Start, TcpFlow};
use super::{Engine, Flow};
use crate::event::{
    Cause, Direction, Discard, EventKind, FlowId, Limit, Opened, Opening, PacketId, Transport,
};
use crate::fault::{BacklogFull, Knobs};
use crate::link::{Incoming, Remarks};
use crate::segment::{Body, Checksum, Described, Flags, IpHeader, Segment, SeqNumber, describe};
use crate::stack::fragments::Added;
use crate::stack::headers::{self, Objection};
use crate::stack::reply::{self, Problem};
use crate::stack::table::FlowKey;
use crate::stack::time_wait::Verdict;
use smoltcp::time::Instant;
use smoltcp::wire::IpCidr;
use std::net::{IpAddr, Ipv4Addr};

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
        self.defects.record(now, Direction::In, packet);
        let (wall, now) = (now, self.stack_time(now));
        if let Some(described) = self.described(now, packet, checksum) {
            let work = Work::Packet(&described);
            self.contained(now, work, (), |engine| {
                engine.take_in(now, packet, checksum, &described);
            });
        }
        self.enter(now);
        self.set_clock(wall);
    }

    fn take_in(
        &mut self,
        now: Instant,
        packet: &mut [u8],
        checksum: Checksum,
        described: &Described,
    ) {
        let refusal = self.refusal(packet, described);
        if refusal.is_none() && self.shared.interferes(described.ip.map(|ip| ip.dst)) {
            return self.interfere_in(now, packet, checksum, described);
        }
        let incoming = Incoming {
            bytes: packet,
            described,
            told: None,
            again: false,
        };
        match described.ip {
            Some(ip) if refusal.is_none() && ip.fragment.is_some() => {
                self.accept_fragment(now, &incoming, &ip);
            }
            _ => match refusal {
                None => self.accept(now, incoming),
                Some(Refusal { discard, problem }) => {
                    let flow = self.flow_of(described);
                    self.arrived(now, flow, &incoming, Some(discard));
                    self.complain(now, incoming.bytes, problem);
                }
            },
        }
    }

    /// Whether a packet is refused before any flow sees it.
    pub(super) fn refusal(&self, packet: &[u8], described: &Described) -> Option<Refusal> {
        if let Some(discard) = self.discard(described) {
            return Some(discard.into());
        }
        let refusal = |discard, problem| Some(Refusal { discard, problem });
        match headers::objection(packet) {
            None => {}
            Some(Objection::Silent) => return refusal(Discard::Header, None),
            Some(Objection::Answered(problem)) => return refusal(Discard::Header, Some(problem)),
            Some(Objection::Protocol(problem)) => {
                return refusal(Discard::Unsupported, Some(problem));
            }
        }
        let ip = described.ip?;
        match &described.body {
            // RFC 1122, section 3.2.2.1: a host SHOULD generate "Protocol Unreachable, when the designated transport
            // protocol is not supported".
            Body::Other { .. } if ip.fragment.is_none() => {
                let problem = ip.src.is_ipv4().then_some(Problem::Protocol);
                refusal(Discard::Unsupported, problem)
            }
            // RFC 8200, section 4.5: "If the first fragment does not include all headers through an Upper-Layer header,
            // then that fragment should be discarded and an ICMP Parameter Problem, Code 3, message should be sent
            // [...], with the Pointer field set to zero."
            Body::Fragment { .. }
                if ip.src.is_ipv6() && ip.fragment.is_some_and(|fragment| fragment.offset == 0) =>
            {
                refusal(Discard::Fragment, Some(Problem::parameter(3, 0)))
            }
            // RFC 6335, section 6: port 0 is reserved. In UDP it says that no answer is wanted (RFC 768).
            Body::Tcp(segment) if segment.src_port == 0 => Some(Discard::BadAddress.into()),
            _ => None,
        }
    }

    /// Tells whoever has sent a packet what is wrong with it.
    pub(super) fn complain(&mut self, now: Instant, packet: &[u8], problem: Option<Problem>) {
        if let Some(error) = problem.and_then(|problem| reply::error(packet, problem)) {
            self.shared.send_error(now, error);
        }
    }

    /// Gives up packets of which not all fragments have come in time.
    pub(super) fn expire_fragments(&mut self, now: Instant) {
        for error in self.reassembler.expire(now) {
            self.shared.send_error(now, error);
        }
    }

    fn discard(&self, described: &Described) -> Option<Discard> {
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
        if !is_ours(own, ip.dst) {
            return Some(Discard::NotForUs);
        }
        let bad = ip.src == ip.dst || !is_host(own, ip.src);
        bad.then_some(Discard::BadAddress)
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
        self.expire_fragments(now);
        let key = FlowKey::of(incoming.described);
        let (added, key) = self.reassembler.add(now, incoming.bytes, ip, key);
        let flow = key
            .and_then(|key| self.map.get(&key))
            .map(|&place| self.flows[place].id());
        for _ in 0..self.reassembler.take_displaced() {
            self.shared.limited(now, None, Limit::Fragments);
        }
        let discard = matches!(added, Added::Unusable(_)).then_some(Discard::Fragment);
        let last = self.arrived(now, flow, incoming, discard);
        if let Added::Unusable(problem) = added {
            self.complain(now, incoming.bytes, problem);
        }
        if let Added::Whole(mut whole) = added {
            let described = describe(&whole);
            match self.refusal(&whole, &described) {
                None => {
                    let incoming = Incoming {
                        bytes: &mut whole,
                        described: &described,
                        told: Some(last),
                        again: false,
                    };
                    let work = Work::Packet(&described);
                    self.contained(now, work, (), |engine| engine.accept(now, incoming));
                }
                Some(Refusal { discard, problem }) => {
                    let note = format!(
                        "put together from fragments, then discarded: {}",
                        discard.reason()
                    );
                    self.shared.journal.tell(now, flow, EventKind::Note(note));
                    self.complain(now, &whole, problem);
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
                self.stand_in_line(place, segment.sequence_len() > 0);
            }
            Flow::TimeWait(waiting) => {
                let (id, record) = (waiting.id, waiting.record);
                let verdict = record.judge(now, segment);
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
        mut incoming: Incoming<'_>,
        segment: &Segment,
        key: FlowKey,
    ) {
        if self.begins_connection(segment, key) {
            self.open_passive(now, incoming, segment, key, None);
            return;
        }
        if self.open_with_cookie(now, &mut incoming, segment, key) {
            return;
        }
        let listens = self.tcp_services.contains_key(&key.local.port());
        let knobs = self.knobs_of(&key);
        // Where a rule has set a backlog, it is to be felt.
        let ruled = knobs.backlog.is_some() || knobs.backlog_full.is_some();
        let cookies = self.shared.config.syn_cookies && !ruled;
        if control_bits(segment) == SYN && listens && cookies {
            return self.answer_with_cookie(now, &incoming, segment, key);
        }
        let mut answered = true;
        let discard = match control_bits(segment) {
            bits if bits == SYN && listens => {
                answered = knobs.backlog_full == Some(BacklogFull::Reset);
                self.shared.limited(now, None, Limit::Backlog);
                Some(Discard::BacklogFull)
            }
            // Section 3.10.7.2, "Fourth, other data or control": "Drop the segment and return."
            bits if bits & (Flags::ACK.0 | Flags::RST.0) == 0 && listens => {
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
    pub(super) fn begins_connection(&self, segment: &Segment, key: FlowKey) -> bool {
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
        let mut iss = self.shared.iss.generate(now, &key);
        if let Some(above) = above.filter(|&above| iss.before(above)) {
            iss = above;
        }
        let mut flow = self.passive_flow(now, key, |knobs| knobs.iss.map_or(iss, SeqNumber));
        let packet = flow.arrive(&mut self.shared, now, incoming, segment);
        self.admit_flow(flow);
        packet
    }

    /// A connection to a service that is there; `iss` chooses our initial sequence number.
    pub(super) fn passive_flow(
        &mut self,
        now: Instant,
        key: FlowKey,
        iss: impl FnOnce(&Knobs) -> SeqNumber,
    ) -> Box<TcpFlow> {
        let service = &self.tcp_services[&key.local.port()];
        let (name, start) = (service.name, Start::Service(service.start.clone()));
        let knobs = self.knobs_of(&key);
        let heard = self.hear(key);
        let id = heard.unwrap_or_else(|| self.tell_opened(now, key, Opening::Passive, name));
        self.defects.adrift = Some((id, key));
        self.shared.tell_knobs(now, id, &knobs);
        let mut socket = self.shared.listening_socket(key.local.port(), &knobs);
        let (iss, task) = (iss(&knobs), self.shared.task());
        let tcb = self.shared.tcb(now, &key, Opening::Passive, iss, &socket);
        socket.number_from(iss);
        let mut flow = Box::new(TcpFlow::new(id, key, socket, tcb, start, task));
        flow.turn(&knobs);
        flow
    }

    /// A connection whose SYN has arrived is one of ours from now on.
    pub(super) fn admit_flow(&mut self, flow: Box<TcpFlow>) {
        self.half_open += 1;
        let place = self.seat(Flow::Tcp(flow));
        self.stand_in_line(place, true);
    }

    pub(super) fn flow_of(&self, described: &Described) -> Option<FlowId> {
        let place = self.map.get(&FlowKey::of(described)?)?;
        Some(self.flows[*place].id())
    }

    pub(super) fn arrived(
        &mut self,
        now: Instant,
        flow: Option<FlowId>,
        incoming: &Incoming<'_>,
        discard: Option<Discard>,
    ) -> PacketId {
        #[cfg(test)]
        self.shared.trap(super::defect::Trap::Arrival, flow);
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
        self.keep_promise(key, id);
        self.defects.adrift = Some((id, key));
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

/// Why a packet is refused, and what its sender is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) discard: Discard,
    pub(super) problem: Option<Problem>,
}

impl From<Discard> for Refusal {
    fn from(discard: Discard) -> Refusal {
        Refusal {
            discard,
            problem: None,
        }
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

/// Whether somebody may have this address. RFC 1122, section 3.2.1.3: a source address is never broadcast, multicast or
/// (but for DHCP) unspecified.
pub(super) fn is_host(own: &[IpCidr], address: IpAddr) -> bool {
    let nobody = |prefix: &IpCidr| is_host_of(prefix, address) == Some(false);
    let everybody = address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST);
    !address.is_unspecified() && !everybody && !own.iter().any(nobody)
}

/// Whether `address` is one that we answer at.
pub(super) fn is_ours(own: &[IpCidr], address: IpAddr) -> bool {
    let host = |prefix: &IpCidr| is_host_of(prefix, address) == Some(true);
    !address.is_multicast() && own.iter().any(host)
}

/// Whether an address of the prefix is a host: neither that of its network nor its broadcast address. `None` where it is not
/// of the prefix.
fn is_host_of(prefix: &IpCidr, address: IpAddr) -> Option<bool> {
    if !prefix.contains_addr(&address.into()) {
        return None;
    }
    Some(match (prefix, address) {
        // RFC 3021: both addresses of a /31 are hosts.
        (IpCidr::Ipv4(prefix), IpAddr::V4(address)) if prefix.prefix_len() < 31 => {
            address != prefix.network().address() && Some(address) != prefix.broadcast()
        }
        _ => true,
    })
}
