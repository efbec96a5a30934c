//! What our end has seen of each case, told apart by the address that was connected to.

use crate::event::{Direction, Event, EventKind, FlowId, Packet};
use crate::segment::{Flags, SeqNumber};
use crate::sink::text;
use crate::state::TcpState;
use crate::view::{By, Flow, View};
use crate::words::Lang;
use smoltcp::time::Instant;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Of what a service sends, so many bytes are kept.
const KEPT: usize = 1 << 20;

/// Everyone who has connected.
#[derive(Default)]
pub(super) struct Observer {
    view: View,
    flows: BTreeMap<FlowId, Streamed>,
    cases: BTreeMap<IpAddr, Seen>,
    /// When the first packet came to each address, whether it has begun a flow or not.
    began: BTreeMap<IpAddr, Instant>,
    /// Addresses to which a first packet has come that nobody was told of yet.
    news: Vec<IpAddr>,
}

/// What was seen at one address.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Flows that began.
    pub(super) flows: u64,
    /// SYNs that the client has sent.
    pub(super) syns: u64,
    /// Segments that it has sent again, SYNs among them.
    pub(super) resent: u64,
    /// RSTs that it has sent.
    pub(super) resets: u64,
    /// How the newest flow has ended.
    pub(super) ended: String,
    /// What the service meant to send in each flow, oldest first.
    pub(super) streams: Vec<Vec<u8>>,
    /// The packets of the first flow.
    pub(super) packets: Vec<Packet>,
    /// When a connection was established last.
    pub(super) established: Option<Instant>,
}

/// What our end has sent in a flow, put together.
#[derive(Default)]
struct Streamed {
    local: Option<IpAddr>,
    first: Option<SeqNumber>,
    bytes: Vec<u8>,
    packets: Vec<Packet>,
    is_first: bool,
}

impl Observer {
    /// Takes an event in.
    pub(super) fn event(&mut self, event: &Event) {
        self.view.event(event);
        if let EventKind::Packet(packet) = &event.kind
            && packet.direction == Direction::In
            && let Some(ip) = packet.described.ip
            && !self.began.contains_key(&ip.dst)
        {
            self.began.insert(ip.dst, event.at);
            self.news.push(ip.dst);
        }
        let Some(id) = event.flow else { return };
        match &event.kind {
            EventKind::Opened(opened) => {
                let seen = self.cases.entry(opened.local.ip()).or_default();
                seen.flows += 1;
                let streamed = Streamed {
                    local: Some(opened.local.ip()),
                    is_first: seen.flows == 1,
                    ..Streamed::default()
                };
                self.flows.insert(id, streamed);
            }
            EventKind::Packet(packet) => self.packet(id, packet),
            EventKind::Transition(transition) if transition.to == TcpState::Established => {
                let local = self.flows.get(&id).and_then(|streamed| streamed.local);
                if let Some(seen) = local.and_then(|local| self.cases.get_mut(&local)) {
                    seen.established = Some(event.at);
                }
            }
            EventKind::Closed(_) => self.over(id),
            _ => {}
        }
    }

    /// The addresses to which the first packet has come since this was asked last.
    pub(super) fn news(&mut self) -> Vec<IpAddr> {
        std::mem::take(&mut self.news)
    }

    /// When the first packet came to one of these.
    pub(super) fn began(&self, addresses: &[IpAddr]) -> Option<Instant> {
        let began = addresses.iter().filter_map(|one| self.began.get(one));
        began.min().copied()
    }

    /// What was seen, by address. Flows that are still there count with what they are.
    pub(super) fn finish(mut self) -> BTreeMap<IpAddr, Seen> {
        let open: Vec<FlowId> = self.flows.keys().copied().collect();
        for id in open {
            self.over(id);
        }
        self.cases
    }

    fn packet(&mut self, id: FlowId, packet: &Packet) {
        let Some(streamed) = self.flows.get_mut(&id) else {
            return;
        };
        let Some(seen) = streamed.local.and_then(|local| self.cases.get_mut(&local)) else {
            return;
        };
        let Some(segment) = packet.described.tcp() else {
            return;
        };
        if streamed.is_first {
            streamed.packets.push(packet.clone());
        }
        let has = |flag| segment.flags.contains(flag);
        if packet.direction == Direction::In {
            // What a rule has made was not sent by the client.
            if packet.fate.name() == "injected" {
                return;
            }
            seen.syns += u64::from(has(Flags::SYN));
            seen.resets += u64::from(has(Flags::RST));
            seen.resent += u64::from(packet.retransmission);
            return;
        }
        if has(Flags::SYN) {
            streamed.first = Some(segment.seq + 1);
        }
        let payload = packet.bytes.get(segment.payload.clone());
        if let (Some(first), Some(payload)) = (streamed.first, payload) {
            // What is behind a gap comes in order again when the gap is filled.
            let at = segment.seq.since(first) as usize;
            let known = streamed.bytes.len();
            if at <= known && at + payload.len() > known && known < KEPT {
                streamed.bytes.extend_from_slice(&payload[known - at..]);
            }
        }
    }

    fn over(&mut self, id: FlowId) {
        let Some(streamed) = self.flows.remove(&id) else {
            return;
        };
        let Some(seen) = streamed.local.and_then(|local| self.cases.get_mut(&local)) else {
            return;
        };
        if let Some(flow) = self.view.flow(id) {
            seen.ended = ending(flow);
        }
        seen.streams.push(streamed.bytes);
        if streamed.is_first {
            seen.packets = streamed.packets;
        }
    }
}

/// How a flow has ended, in a few words.
fn ending(flow: &Flow) -> String {
    let is_at_the_door = flow.handshake.is_none() && flow.state == TcpState::Listen;
    match (flow.closed_first(), flow.turned_away) {
        (Some(ending), _) if is_at_the_door && ending.by == By::Peer => {
            "given up by the peer".to_owned()
        }
        // Its SYN was answered, so the client has seen a connection.
        (Some(_), _) if is_at_the_door && flow.visited(TcpState::SynReceived) => {
            "reset after the SYN-ACK".to_owned()
        }
        (Some(_), _) if is_at_the_door => "refused".to_owned(),
        // The numbers of rules mean nothing to who has given none.
        (Some(ending), _) if matches!(ending.by, By::Rule(_)) && flow.endings.len() == 1 => {
            "reset by the fault".to_owned()
        }
        (None, Some((_, error))) if is_at_the_door => format!("refused (ICMP {error})"),
        (None, None) if is_at_the_door => "never established".to_owned(),
        _ => text::closed(Lang::En, flow),
    }
}
