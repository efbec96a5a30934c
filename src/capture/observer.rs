//! What captured packets mean: the same events as the engine tells, from the outside.
//!
//! Who sent the SYN is the client and the peer; the server has our place. Where no SYN was captured, the end with the lower
//! port is taken for the server. Its state is inferred as the peer's is, by an [`InferredPeer`] that sees everything mirrored;
//! the causes are those that RFC 9293 leaves: a FIN that the server sends was preceded by CLOSE, a RST is an ABORT.
//!
//! Whether anybody listens is known only when the SYN is answered. So what happens after a SYN is held back until then, for
//! a second at most.

mod sent;

use super::Frame;
use super::link::{self, Payload};
use crate::event::{
    Cause, Closed, Direction, Discard, Event, EventKind, Fate, FlowId, Opened, Opening, Packet,
    PacketId, Transition, Transport, UserCall,
};
use crate::segment::{Body, Described, Flags, Segment, SeqNumber, describe_captured};
use crate::state::TcpState;
use crate::view::InferredPeer;
use sent::Sent;
use smoltcp::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

/// How long an answer to a SYN is awaited, and how many events may wait meanwhile.
const PATIENCE: Duration = Duration::from_secs(1);
const MAX_WAITING: usize = 256;
/// After so long nothing of a connection that is over is under way any more; nor do datagrams belong together.
const LINGER: Duration = Duration::from_secs(60);

/// Turns frames into events.
#[derive(Debug)]
pub struct Observer {
    /// From when the time of events counts.
    start: std::time::Duration,
    now: Instant,
    /// How many packets, flows and events were told.
    packets: u64,
    begun: u64,
    told: u64,
    flows: BTreeMap<Key, Observed>,
    /// The flows that are over, or may be, since when, in that order.
    ending: VecDeque<(Instant, Key, FlowId)>,
    /// The addresses of the servers seen.
    servers: BTreeSet<IpAddr>,
    queue: VecDeque<Queued>,
    other_frames: u64,
    unknown_links: BTreeMap<u32, u64>,
}

/// Whether it is TCP, and the two endpoints in order.
type Key = (bool, SocketAddr, SocketAddr);

#[derive(Debug)]
struct Queued {
    at: Instant,
    flow: Option<FlowId>,
    kind: EventKind,
    /// A SYN whose answer decides what follows it.
    waiting: bool,
}

/// One flow.
#[derive(Debug)]
struct Observed {
    id: FlowId,
    server: SocketAddr,
    client: InferredPeer,
    /// The server's state: everything in, for it, is out for its peer.
    mirror: InferredPeer,
    irs: Option<SeqNumber>,
    /// The newest packet in, and the newest SYN.
    newest_in: Option<PacketId>,
    syn: Option<PacketId>,
    newest_at: Instant,
    received: Sent,
    sent: Sent,
}

impl Observer {
    /// An observer that has seen nothing. The time of events counts from `start`, a time since 1970-01-01T00:00:00Z.
    pub fn new(start: std::time::Duration) -> Observer {
        Observer {
            start,
            now: Instant::ZERO,
            packets: 0,
            begun: 0,
            told: 0,
            flows: BTreeMap::new(),
            ending: VecDeque::new(),
            servers: BTreeSet::new(),
            queue: VecDeque::new(),
            other_frames: 0,
            unknown_links: BTreeMap::new(),
        }
    }

    /// Takes the next frame in; ask for [events](Observer::poll_event) afterwards.
    pub fn frame(&mut self, frame: Frame) {
        let start = match link::payload(frame.link_type, &frame.bytes) {
            Payload::Ip(start) => start,
            Payload::Other => {
                self.other_frames += 1;
                return;
            }
            Payload::UnknownLink => {
                *self.unknown_links.entry(frame.link_type).or_default() += 1;
                return;
            }
        };
        let since = frame.time.saturating_sub(self.start);
        // Where several interfaces were captured, times may go back a little.
        self.now = self.now.max(Instant::from_micros(since.as_micros() as i64));
        self.end_old();
        let whole_len = frame.whole_len - start.min(frame.whole_len);
        let bytes = frame.bytes.get(start..).unwrap_or_default().to_vec();
        let described = describe_captured(&bytes, whole_len);
        match (&described.body, described.endpoints()) {
            (Body::Tcp(segment), Some(ends)) if segment.checksum_ok => {
                let segment = segment.clone();
                self.segment(ends, &segment, bytes, described);
            }
            (Body::Udp(datagram), Some(ends)) if datagram.checksum_ok => {
                self.datagram(ends, bytes, described)
            }
            _ => self.stray(bytes, described),
        }
    }

    /// The next event; `None` when the next frame is needed to tell.
    pub fn poll_event(&mut self) -> Option<Event> {
        let next = self.queue.front()?;
        if next.waiting && self.queue.len() < MAX_WAITING && self.now - next.at < PATIENCE {
            return None;
        }
        let Queued { at, flow, kind, .. } = self.queue.pop_front()?;
        self.told += 1;
        Some(Event {
            number: self.told,
            at,
            flow,
            kind,
        })
    }

    /// No frame follows: what waits is told, and connections that are over are closed.
    pub fn finish(&mut self) {
        for queued in &mut self.queue {
            queued.waiting = false;
        }
        for (_, key, id) in std::mem::take(&mut self.ending) {
            self.close(key, id);
        }
    }

    /// Whether no IP packet was seen.
    pub fn is_empty(&self) -> bool {
        self.packets == 0
    }

    /// How many frames carried no IP packet.
    pub fn other_frames(&self) -> u64 {
        self.other_frames
    }

    /// How many frames there were of each type of link layer that can't be read.
    pub fn unknown_links(&self) -> &BTreeMap<u32, u64> {
        &self.unknown_links
    }

    fn segment(
        &mut self,
        (src, dst): (SocketAddr, SocketAddr),
        segment: &Segment,
        bytes: Vec<u8>,
        described: Described,
    ) {
        let key = key(true, src, dst);
        let is_syn = segment.flags.contains(Flags::SYN);
        let opens = is_syn && segment.acknowledges().is_none();
        if let Some(flow) = self.flows.get(&key)
            && opens
            && flow.is_begun_anew_by(src, segment)
        {
            let id = flow.id;
            self.close(key, id);
        }
        if !self.flows.contains_key(&key) {
            let server = match (opens, is_syn) {
                (true, _) => dst,
                (false, true) => src,
                (false, false) => lower_port(src, dst),
            };
            self.begin(key, Transport::Tcp, server);
        }
        let (id, now) = (self.next_packet(), self.now);
        let Some(flow) = self.flows.get_mut(&key) else {
            return;
        };
        let flow_id = flow.id;
        flow.newest_at = now;
        let direction = flow.direction(src);
        let (before, was_over) = (flow.mirror.state(), flow.is_over());
        let sent = match direction {
            Direction::In => &mut flow.received,
            Direction::Out => &mut flow.sent,
        };
        let retransmission = sent.repeats(now, segment);
        flow.client.segment(direction, segment);
        flow.mirror.segment(mirrored(direction), segment);
        let after = flow.mirror.state();
        if direction == Direction::In {
            flow.newest_in = Some(id);
            if opens && before == TcpState::Listen {
                flow.irs = Some(segment.seq);
                flow.syn = Some(id);
            }
        }
        let (syn, newest_in) = (flow.syn, flow.newest_in.unwrap_or(id));
        let is_over = flow.is_over();

        let change = |cause| {
            EventKind::Transition(Transition {
                from: before,
                to: after,
                cause,
            })
        };
        let mut own = None;
        match (direction, before, after) {
            _ if before == after => {}
            (Direction::In, ..) => own = Some(change(Cause::Segment(id))),
            (Direction::Out, TcpState::Listen, TcpState::SynReceived | TcpState::Closed)
                if syn.is_some() =>
            {
                // The SYN that is answered has made the change, be it that nobody listens.
                let syn = syn.unwrap_or(id);
                self.answered(flow_id, syn, change(Cause::Segment(syn)));
            }
            // The capture began in the middle.
            (Direction::Out, TcpState::Listen, TcpState::Established) => {
                own = Some(change(Cause::Segment(id)))
            }
            (Direction::Out, TcpState::Listen, _) => {
                self.queue(Some(flow_id), change(Cause::Call(UserCall::Open)))
            }
            (Direction::Out, _, TcpState::FinWait1 | TcpState::LastAck | TcpState::Closing) => {
                self.queue(Some(flow_id), change(Cause::Call(UserCall::Close)));
            }
            (Direction::Out, _, TcpState::Closed) => {
                self.queue(Some(flow_id), change(Cause::Call(UserCall::Abort)));
            }
            // It acknowledges what was not captured in its place.
            (Direction::Out, ..) => self.queue(Some(flow_id), change(Cause::Segment(newest_in))),
        }
        self.packet(
            Some(flow_id),
            id,
            direction,
            bytes,
            described,
            retransmission,
        );
        if direction == Direction::In && syn == Some(id) && after == TcpState::Listen {
            self.await_answer(flow_id);
        }
        if let Some(change) = own {
            self.queue(Some(flow_id), change);
        }
        if is_over && !was_over {
            self.ending.push_back((now, key, flow_id));
        }
    }

    fn datagram(
        &mut self,
        (src, dst): (SocketAddr, SocketAddr),
        bytes: Vec<u8>,
        described: Described,
    ) {
        let key = key(false, src, dst);
        if !self.flows.contains_key(&key) {
            // Who speaks first is the client, unless only the other end has the port of no service.
            let server = if src.port() < 1024 && dst.port() >= 1024 {
                src
            } else {
                dst
            };
            let id = self.begin(key, Transport::Udp, server);
            self.ending.push_back((self.now, key, id));
        }
        let id = self.next_packet();
        let Some(flow) = self.flows.get_mut(&key) else {
            return;
        };
        flow.newest_at = self.now;
        let (flow_id, direction) = (flow.id, flow.direction(src));
        self.packet(Some(flow_id), id, direction, bytes, described, false);
    }

    fn stray(&mut self, bytes: Vec<u8>, described: Described) {
        let id = self.next_packet();
        let is_server = |ip: IpAddr| self.servers.contains(&ip);
        let direction = match described.ip {
            Some(ip) if is_server(ip.src) && !is_server(ip.dst) => Direction::Out,
            _ => Direction::In,
        };
        self.packet(None, id, direction, bytes, described, false);
    }

    fn begin(&mut self, key: Key, transport: Transport, server: SocketAddr) -> FlowId {
        let peer = if key.1 == server { key.2 } else { key.1 };
        self.begun += 1;
        let id = FlowId(self.begun);
        self.servers.insert(server.ip());
        let flow = Observed {
            id,
            server,
            client: InferredPeer::new(Opening::Passive),
            mirror: InferredPeer::new(Opening::Active),
            irs: None,
            newest_in: None,
            syn: None,
            newest_at: self.now,
            received: Sent::new(),
            sent: Sent::new(),
        };
        self.flows.insert(key, flow);
        let opened = Opened {
            transport,
            local: server,
            peer,
            opening: Opening::Passive,
            service: "",
        };
        self.queue(Some(id), EventKind::Opened(opened));
        id
    }

    fn next_packet(&mut self) -> PacketId {
        self.packets += 1;
        PacketId(self.packets)
    }

    fn packet(
        &mut self,
        flow: Option<FlowId>,
        id: PacketId,
        direction: Direction,
        bytes: Vec<u8>,
        described: Described,
        retransmission: bool,
    ) {
        let readable = match &described.body {
            Body::Tcp(segment) => segment.checksum_ok,
            Body::Udp(datagram) => datagram.checksum_ok,
            Body::Icmp(message) => message.checksum_ok,
            Body::Malformed(_) => false,
            Body::Fragment { .. } | Body::Other { .. } => true,
        };
        let packet = Packet {
            id,
            direction,
            described,
            bytes,
            fate: if readable {
                Fate::Delivered
            } else {
                Fate::Discarded(Discard::Malformed)
            },
            crossed: None,
            retransmission,
            reason: None,
            variables: None,
        };
        self.queue(flow, EventKind::Packet(packet));
    }

    fn queue(&mut self, flow: Option<FlowId>, kind: EventKind) {
        self.queue.push_back(Queued {
            at: self.now,
            flow,
            kind,
            waiting: false,
        });
    }

    /// The newest event is a SYN: nothing after it is told before its answer. An earlier one stays unanswered.
    fn await_answer(&mut self, flow: FlowId) {
        for queued in &mut self.queue {
            queued.waiting &= queued.flow != Some(flow);
        }
        if let Some(newest) = self.queue.back_mut() {
            newest.waiting = true;
        }
    }

    /// What `syn` has changed is known: `change` belongs right after it, if that is not told yet.
    fn answered(&mut self, flow: FlowId, syn: PacketId, change: EventKind) {
        let is_syn =
            |queued: &Queued| matches!(&queued.kind, EventKind::Packet(packet) if packet.id == syn);
        let Some(index) = self.queue.iter().position(is_syn) else {
            return self.queue(Some(flow), change);
        };
        self.queue[index].waiting = false;
        let at = self.queue[index].at;
        self.queue.insert(
            index + 1,
            Queued {
                at,
                flow: Some(flow),
                kind: change,
                waiting: false,
            },
        );
    }

    fn end_old(&mut self) {
        while let Some(&(since, key, id)) = self.ending.front() {
            if self.now - since < LINGER {
                return;
            }
            self.ending.pop_front();
            match self.flows.get(&key) {
                // Datagrams still come, or what is over is repeated.
                Some(flow) if flow.id == id && self.now - flow.newest_at < LINGER => {
                    self.ending.push_back((flow.newest_at.max(since), key, id));
                }
                _ => self.close(key, id),
            }
        }
    }

    fn close(&mut self, key: Key, id: FlowId) {
        if self.flows.get(&key).is_some_and(|flow| flow.id == id) {
            self.flows.remove(&key);
            self.queue(Some(id), EventKind::Closed(Closed { result: None }));
        }
    }
}

impl Observed {
    fn direction(&self, src: SocketAddr) -> Direction {
        if src == self.server {
            Direction::Out
        } else {
            Direction::In
        }
    }

    /// Whether both ends have nothing more to do with each other.
    fn is_over(&self) -> bool {
        let is_done = |state| matches!(state, TcpState::Closed | TcpState::TimeWait);
        is_done(self.client.state()) && is_done(self.mirror.state())
    }

    /// Whether `syn` from `src` begins another connection between the same endpoints.
    fn is_begun_anew_by(&self, src: SocketAddr, syn: &Segment) -> bool {
        self.is_over() || (src != self.server && self.irs != Some(syn.seq))
    }
}

fn key(is_tcp: bool, src: SocketAddr, dst: SocketAddr) -> Key {
    (is_tcp, src.min(dst), src.max(dst))
}

fn lower_port(src: SocketAddr, dst: SocketAddr) -> SocketAddr {
    if src.port() < dst.port() { src } else { dst }
}

fn mirrored(direction: Direction) -> Direction {
    match direction {
        Direction::In => Direction::Out,
        Direction::Out => Direction::In,
    }
}
