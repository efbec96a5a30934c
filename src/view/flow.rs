use super::{Basis, InferredPeer, Ours};
use crate::event::{
    Cause, Closed, Direction, Discard, Fate, FlowId, Opened, Opening, Packet, PacketId, PeerInfo,
    PeerView, RuleId, Timer, Transition, Transport, UserCall,
};
use crate::segment::{Body, Flags, Segment, SeqNumber};
use crate::state::TcpState;
use smallvec::{SmallVec, smallvec};
use smoltcp::time::{Duration, Instant};
use std::net::SocketAddr;
use std::ops::AddAssign;

/// One connection of TCP, or one exchange of UDP datagrams.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Its number.
    pub id: FlowId,
    /// TCP or UDP.
    pub transport: Transport,
    /// Our end.
    pub local: SocketAddr,
    /// The other end.
    pub peer: SocketAddr,
    /// The name of our service or client program.
    pub service: &'static str,
    /// Who began.
    pub opening: Opening,
    /// From where our state is known.
    pub ours: Ours,
    /// When it began.
    pub opened_at: Instant,
    /// When its first packet crossed the link.
    pub first_packet_at: Option<Instant>,
    /// When everything it held was given back.
    pub closed_at: Option<Instant>,
    /// Our state. It means nothing in an exchange of datagrams.
    pub state: TcpState,
    /// The peer's state, inferred. It means nothing in an exchange of datagrams.
    pub peer_state: InferredPeer,
    /// What the peer's kernel says of its end since the newest packet, or said when it went to CLOSED; `None` where it
    /// can't be asked.
    pub asked: Option<PeerView>,
    /// The newest TCP_INFO that the peer's kernel gave.
    pub peer_info: Option<PeerInfo>,
    /// Our initial sequence number, once our SYN was seen.
    pub iss: Option<SeqNumber>,
    /// The peer's initial sequence number, once its SYN was seen.
    pub irs: Option<SeqNumber>,
    /// From the peer to us.
    pub received: Traffic,
    /// From us to the peer.
    pub sent: Traffic,
    /// From the first SYN until our end was ESTABLISHED (or further, where a FIN came with the last ACK).
    pub handshake: Option<Duration>,
    /// What ended the connection, in the order in which it happened: two FINs as a rule.
    pub endings: Vec<Ending>,
    /// The rule that has answered the peer's SYN with an ICMP error, and the error, while our end has not heard of a SYN.
    pub turned_away: Option<(RuleId, &'static str)>,
    /// What the service or client program returned; `None` while it runs and where it never ran to its end.
    pub result: Option<Result<(), String>>,
    /// How long our end was in each state, the present one not included.
    times: [Duration; TcpState::ALL.len()],
    visited: SmallVec<[TcpState; TcpState::ALL.len()]>,
    entered_at: Instant,
    first_syn_at: Option<Instant>,
    /// The first numbers that neither end has sent yet.
    received_up_to: Option<SeqNumber>,
    sent_up_to: Option<SeqNumber>,
    /// The newest segment in, and whose doing it is if it is a RST.
    newest_in: Option<(PacketId, Option<By>)>,
}

/// What went one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Segments or datagrams, those included that were discarded or dropped, and those that the link has made.
    pub packets: u64,
    /// Bytes of payload; what was sent more than once counts once.
    pub bytes: u64,
    /// Segments of which a part had been sent before.
    pub retransmissions: u64,
    /// Segments or datagrams that the stack discarded.
    pub discarded: u64,
    /// Segments or datagrams that the link has swallowed.
    pub dropped: u64,
    /// Packets that the link has made.
    pub forged: u64,
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, more: Traffic) {
        self.packets += more.packets;
        self.bytes += more.bytes;
        self.retransmissions += more.retransmissions;
        self.discarded += more.discarded;
        self.dropped += more.dropped;
        self.forged += more.forged;
    }
}

/// One thing that ends a connection, or one direction of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Whose doing it is.
    pub by: By,
    /// What was done.
    pub means: Means,
}

/// One of the two ends, or a rule between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The other end.
    Peer,
    /// Our end.
    Local,
    /// A rule, in the name of one end or of both.
    Rule(RuleId),
}

/// How an end leaves a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// It sent a FIN: nothing more follows from there (RFC 9293, section 3.6).
    Fin,
    /// It sent a RST.
    Reset,
    /// Its user called ABORT.
    Abort,
    /// It lost patience.
    Timeout(Timer),
}

impl Flow {
    pub(super) fn new(id: FlowId, at: Instant, opened: &Opened, ours: Ours) -> Flow {
        let state = match opened.opening {
            Opening::Passive => TcpState::Listen,
            Opening::Active => TcpState::Closed,
        };
        Flow {
            id,
            transport: opened.transport,
            local: opened.local,
            peer: opened.peer,
            service: opened.service,
            opening: opened.opening,
            ours,
            opened_at: at,
            first_packet_at: None,
            closed_at: None,
            state,
            peer_state: InferredPeer::new(opened.opening),
            asked: None,
            peer_info: None,
            iss: None,
            irs: None,
            received: Traffic::default(),
            sent: Traffic::default(),
            handshake: None,
            endings: Vec::new(),
            turned_away: None,
            result: None,
            times: [Duration::ZERO; TcpState::ALL.len()],
            visited: smallvec![state],
            entered_at: at,
            first_syn_at: None,
            received_up_to: None,
            sent_up_to: None,
            newest_in: None,
        }
    }

    /// The states that our end was in, in order, and for how long until `now`. CLOSED is left out, and LISTEN
    /// too: what listened was not yet this connection.
    pub fn times(&self, now: Instant) -> impl Iterator<Item = (TcpState, Duration)> {
        self.visited
            .iter()
            .filter(|state| !matches!(state, TcpState::Closed | TcpState::Listen))
            .map(move |&state| {
                let until_now = if state == self.state {
                    now - self.entered_at
                } else {
                    Duration::ZERO
                };
                (state, self.times[state as usize] + until_now)
            })
    }

    /// Since when our end has been in the state it is in; in an exchange of datagrams, since its beginning.
    pub fn in_state_since(&self) -> Instant {
        self.entered_at
    }

    /// Whether our end has been in `state`.
    pub fn visited(&self, state: TcpState) -> bool {
        self.visited.contains(&state)
    }

    /// The state of our end as the segments that have left tell it. Our own state runs ahead of it: CLOSE makes
    /// FIN-WAIT-1 or LAST-ACK before the FIN has left, OPEN makes SYN-SENT before the SYN has.
    pub fn wire_state(&self) -> TcpState {
        let fin = Ending {
            by: By::Local,
            means: Means::Fin,
        };
        let finished = self.endings.contains(&fin);
        match self.state {
            TcpState::SynSent if self.iss.is_none() => TcpState::Closed,
            TcpState::SynReceived if self.iss.is_none() => TcpState::Listen,
            TcpState::FinWait1 if !finished && !self.visited(TcpState::Established) => {
                TcpState::SynReceived
            }
            TcpState::FinWait1 if !finished => TcpState::Established,
            TcpState::LastAck | TcpState::Closing if !finished => TcpState::CloseWait,
            state => state,
        }
    }

    /// Who ended the connection first, and how.
    pub fn closed_first(&self) -> Option<Ending> {
        self.endings.first().copied()
    }

    /// The peer's state as the segments show it, and what that rests on: its kernel's word, where it says the same.
    pub fn peer_end(&self) -> (TcpState, Basis) {
        let inferred = self.peer_state.state();
        match self.asked.map(|asked| asked.state) {
            // Our SYN has made it so, if anybody listens: only that is not inferred.
            Some(TcpState::SynReceived) if inferred == TcpState::Listen => {
                (TcpState::SynReceived, Basis::Asked)
            }
            Some(asked) if asked == inferred => (inferred, Basis::Asked),
            _ => (inferred, self.peer_state.basis()),
        }
    }

    /// The state of which the peer's kernel speaks where that is another one than the segments show. It may be ahead of them: its user
    /// has called CLOSE and the FIN has not come yet. Or behind: it has not taken in yet what we sent.
    pub fn kernel_differs(&self) -> Option<TcpState> {
        let asked = self.asked?.state;
        (asked != self.peer_end().0).then_some(asked)
    }

    /// What went that way.
    pub fn traffic(&self, direction: Direction) -> &Traffic {
        match direction {
            Direction::In => &self.received,
            Direction::Out => &self.sent,
        }
    }

    /// Counts a packet and answers with what it added.
    pub(super) fn packet(&mut self, at: Instant, packet: &Packet) -> Traffic {
        self.first_packet_at.get_or_insert(at);
        // Whatever crosses the link may move the peer; only from CLOSED there is no way on.
        self.asked = self.asked.filter(|asked| asked.state == TcpState::Closed);
        let mut added = Traffic {
            packets: 1,
            retransmissions: packet.retransmission.into(),
            dropped: is_dropped(packet).into(),
            forged: matches!(packet.fate, Fate::Injected(_)).into(),
            ..Traffic::default()
        };
        match (&packet.fate, &packet.described.body) {
            (Fate::Discarded(why), _) => {
                added.discarded = 1;
                if *why == Discard::BacklogFull {
                    self.reaches_peer(packet);
                }
            }
            (Fate::Injected(rule), Body::Tcp(segment)) => self.injected(*rule, packet, segment),
            (Fate::Injected(rule), Body::Icmp(icmp)) if packet.direction == Direction::Out => {
                self.turned_away = Some((*rule, icmp.name));
            }
            (_, Body::Tcp(segment)) => {
                added.bytes = self.segment(at, packet, segment);
                self.reaches_peer(packet);
            }
            (_, Body::Udp(datagram)) => added.bytes = datagram.payload.len() as u64,
            _ => {}
        }
        *self.traffic_mut(packet.direction) += added;
        added
    }

    fn traffic_mut(&mut self, direction: Direction) -> &mut Traffic {
        match direction {
            Direction::In => &mut self.received,
            Direction::Out => &mut self.sent,
        }
    }

    /// A packet that waited in the link goes on, or does not. Answers with what that adds.
    pub(super) fn released(&mut self, packet: &Packet) -> Traffic {
        self.asked = self.asked.filter(|asked| asked.state == TcpState::Closed);
        if packet.direction == Direction::Out {
            self.reaches_peer(packet);
        }
        let added = Traffic {
            discarded: matches!(packet.fate, Fate::Discarded(_)).into(),
            dropped: is_dropped(packet).into(),
            ..Traffic::default()
        };
        *self.traffic_mut(packet.direction) += added;
        added
    }

    /// A rule has made a segment.
    fn injected(&mut self, rule: RuleId, packet: &Packet, segment: &Segment) {
        let by = Some(By::Rule(rule)).filter(|_| segment.flags.contains(Flags::RST));
        match packet.direction {
            Direction::In => self.newest_in = Some((packet.id, by)),
            Direction::Out => {
                if let Some(by) = by {
                    self.ended(by, Means::Reset);
                }
                self.reaches_peer(packet);
            }
        }
    }

    /// What the peer knows of: what it has sent itself, whatever became of that, and what came out of the link to it.
    fn reaches_peer(&mut self, packet: &Packet) {
        let described = match packet.direction {
            Direction::In => &packet.described,
            Direction::Out if packet.fate.crossings() == 0 => return,
            Direction::Out => packet.outcome().0,
        };
        if let Some(segment) = described.tcp() {
            // RFC 9293, section 3.1: the peer discards what is damaged. In a capture a checksum may be wrong as a card was to fill it in.
            let is_lost = self.ours == Ours::Read && !segment.checksum_ok;
            if is_lost && packet.direction == Direction::Out {
                return;
            }
            self.peer_state.segment(packet.direction, segment);
        }
    }

    /// Answers with the bytes of payload that are new, judged by their sequence numbers.
    fn segment(&mut self, at: Instant, packet: &Packet, segment: &Segment) -> u64 {
        let is_reset = segment.flags.contains(Flags::RST);
        let (by, initial, up_to) = match packet.direction {
            Direction::In => {
                self.newest_in = Some((packet.id, is_reset.then_some(By::Peer)));
                (By::Peer, &mut self.irs, &mut self.received_up_to)
            }
            Direction::Out => (By::Local, &mut self.iss, &mut self.sent_up_to),
        };
        let is_syn = segment.flags.contains(Flags::SYN);
        if is_syn && !is_reset {
            self.first_syn_at.get_or_insert(at);
            initial.get_or_insert(segment.seq);
        }
        // A SYN and a FIN occupy a number each and are no data.
        let start = segment.seq + u32::from(is_syn);
        let end = start + segment.payload.len() as u32;
        let mut new = 0;
        if !is_reset {
            // What data leaves out before it was lost or is late: its sender has sent it. Where no data
            // follows, nothing tells whether a missing number was a byte or a FIN.
            let known = *up_to.get_or_insert(start);
            if !segment.payload.is_empty() && known.before(end) {
                new = end.since(known);
                *up_to = Some(end);
            }
        }
        if segment.flags.contains(Flags::FIN) {
            self.ended(by, Means::Fin);
        }
        if is_reset && by == By::Local {
            self.ended(by, Means::Reset);
        }
        new.into()
    }

    pub(super) fn asked(&mut self, asked: PeerView) {
        self.asked = Some(asked);
        self.peer_info = asked.info.or(self.peer_info);
    }

    pub(super) fn transition(&mut self, at: Instant, transition: &Transition) {
        self.times[self.state as usize] += at - self.entered_at;
        self.state = transition.to;
        self.turned_away = None;
        self.entered_at = at;
        if !self.visited(transition.to) {
            self.visited.push(transition.to);
        }
        if self.handshake.is_none()
            && transition.to.is_synchronized()
            && let Some(first_syn_at) = self.first_syn_at
        {
            self.handshake = Some(at - first_syn_at);
        }
        match transition.cause {
            // Only a RST that the stack accepts ends anything, and the state tells whether it did.
            Cause::Segment(id) => {
                if let Some((newest, Some(by))) = self.newest_in
                    && newest == id
                {
                    self.ended(by, Means::Reset);
                }
            }
            Cause::Call(UserCall::Abort) => self.ended(By::Local, Means::Abort),
            Cause::Timeout(timer) if timer != Timer::TimeWait => {
                self.ended(By::Local, Means::Timeout(timer));
            }
            _ => {}
        }
    }

    pub(super) fn closed(&mut self, at: Instant, closed: &Closed) {
        self.times[self.state as usize] += at - self.entered_at;
        self.entered_at = at;
        self.closed_at = Some(at);
        self.result = closed.result.clone();
    }

    /// Each end ends once, but a reset may follow its FIN.
    fn ended(&mut self, by: By, means: Means) {
        let already = self
            .endings
            .iter()
            .any(|ending| ending.by == by && (ending.means == means || ending.means != Means::Fin));
        if !already {
            self.endings.push(Ending { by, means });
        }
    }
}

fn is_dropped(packet: &Packet) -> bool {
    matches!(packet.fate, Fate::Dropped(_))
}
