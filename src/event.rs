//! What happens, in one vocabulary that every room shares.
//!
//! The engine tells everything it does as a sequence of [`Event`]s: numbered without gaps, in order of
//! time, each transition with its one cause. Nothing else is known to the rooms that show things, so what
//! they show can be stored and shown again.
//!
//! The life of a connection is
//!
//! ```text
//! Opened ─▶ Packet In (SYN) ─▶ Transition LISTEN→SYN-RECEIVED (cause: that packet)
//!        ─▶ Packet Out (SYN-ACK) ─▶ Packet In (ACK) ─▶ Transition →ESTABLISHED ─▶ … ─▶ Closed
//! ```
//!
//! State runs ahead of the wire: CLOSE makes FIN-WAIT-1 before the FIN has left. Both are told, as two
//! events, in the order in which they happen.

mod journal;

pub(crate) use journal::Journal;
pub use journal::Watch;

use crate::segment::{Described, SeqNumber};
use crate::state::TcpState;
use smoltcp::time::Instant;
use std::fmt;
use std::net::SocketAddr;

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Counts from 1, without gaps.
    pub number: u64,
    /// When, counted from the start of the engine; never decreases from one event to the next.
    pub at: Instant,
    /// The flow it belongs to; `None` for packets that belong to none.
    pub flow: Option<FlowId>,
    /// What happened.
    pub kind: EventKind,
}

/// A connection of TCP, or an exchange of UDP datagrams between the same two endpoints.
///
/// Counts from 1 in the order in which flows begin and is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowId(pub u64);

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// A packet that crossed the link. Counts from 1, both directions together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PacketId(pub u64);

impl fmt::Display for PacketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an [`Event`] tells.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EventKind {
    /// A flow begins.
    Opened(Opened),
    /// A packet crossed the link: each does so once and has exactly one such event.
    Packet(Packet),
    /// The state of a connection changed.
    Transition(Transition),
    /// A service says something, for example who sent a datagram.
    Note(String),
    /// A flow is over and everything it held is given back. No event of this flow follows.
    Closed(Closed),
}

/// How a flow begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// TCP or UDP.
    pub transport: Transport,
    /// Our end.
    pub local: SocketAddr,
    /// The other end.
    pub peer: SocketAddr,
    /// Who began.
    pub opening: Opening,
    /// The name of our service or client program, for example `password`.
    pub service: &'static str,
}

/// The transport protocols that have flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
}

impl Transport {
    /// `tcp` or `udp`.
    pub const fn name(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        }
    }
}

/// Who begins a flow (RFC 9293, section 3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The peer: our end was in LISTEN.
    Passive,
    /// We: our end sends the first packet.
    Active,
}

/// A packet on the link.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    /// Its number.
    pub id: PacketId,
    /// Which way it goes.
    pub direction: Direction,
    /// What it says, with the sequence numbers that the wire carries.
    pub described: Described,
    /// The packet itself as the wire carries it, from its IP header on.
    pub bytes: Vec<u8>,
    /// What became of it.
    pub fate: Fate,
    /// Whether it is a TCP segment of which a part occupies sequence numbers that have been sent before.
    pub retransmission: bool,
}

/// Seen from our stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Ingress: from the peer to us.
    In,
    /// Egress: from us to the peer.
    Out,
}

impl Direction {
    /// `in` or `out`.
    pub const fn name(self) -> &'static str {
        match self {
            Direction::In => "in",
            Direction::Out => "out",
        }
    }
}

/// What became of a packet on the link.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fate {
    /// It was handed over: to the wire, or to the stack, which found it acceptable enough to look at.
    Delivered,
    /// It reached the stack, which discards it before any connection sees it.
    Discarded(Discard),
}

/// Why the stack discards a packet before any connection sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Discard {
    /// It can't be read, or its checksum is wrong.
    Malformed,
    /// Its destination is none of our addresses.
    NotForUs,
    /// Its source or destination is no address that a connection may have (broadcast, multicast, unspecified).
    BadAddress,
    /// A SYN and a FIN in one segment: no connection begins like that.
    BadFlags,
    /// A SYN, and as many connections as the backlog allows wait for the end of their handshake.
    BacklogFull,
    /// A fragment that can't be used: overlapping, too large, too late, or too many wait already.
    Fragment,
    /// A protocol that we don't speak.
    Unsupported,
}

impl Discard {
    /// In a few words for people.
    pub const fn reason(self) -> &'static str {
        match self {
            Discard::Malformed => "malformed",
            Discard::NotForUs => "not our address",
            Discard::BadAddress => "no address for a connection",
            Discard::BadFlags => "SYN with FIN",
            Discard::BacklogFull => "backlog full",
            Discard::Fragment => "unusable fragment",
            Discard::Unsupported => "unsupported protocol",
        }
    }
}

/// A change of state of our end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The state that is left.
    pub from: TcpState,
    /// The state that is entered.
    pub to: TcpState,
    /// Why: exactly one thing.
    pub cause: Cause,
}

/// The causes of RFC 9293, section 3.10: there are no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// SEGMENT ARRIVES (section 3.10.7).
    Segment(PacketId),
    /// A user call (sections 3.10.1 to 3.10.5).
    Call(UserCall),
    /// A time-out (section 3.10.8).
    Timeout(Timer),
}

/// The user calls of RFC 9293, section 3.9.1, that change a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserCall {
    /// OPEN.
    Open,
    /// CLOSE.
    Close,
    /// ABORT.
    Abort,
}

impl UserCall {
    /// The name as the RFC prints it: `CLOSE`.
    pub const fn name(self) -> &'static str {
        match self {
            UserCall::Open => "OPEN",
            UserCall::Close => "CLOSE",
            UserCall::Abort => "ABORT",
        }
    }
}

/// The timers whose end changes a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// The user timeout: nothing was acknowledged for too long (RFC 9293, section 3.10.8).
    User,
    /// The time-wait timeout: two maximum segment lifetimes are over.
    TimeWait,
    /// We have closed, nobody reads any more, and the peer's FIN did not come in time.
    FinWait2,
}

impl Timer {
    /// In a few words for people: `TIME-WAIT timeout`.
    pub const fn name(self) -> &'static str {
        match self {
            Timer::User => "user timeout",
            Timer::TimeWait => "TIME-WAIT timeout",
            Timer::FinWait2 => "FIN-WAIT-2 timeout",
        }
    }
}

/// How a flow ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Closed {
    /// What the service or client program returned; `None` where it never ran (the handshake was not
    /// completed) or its connection was taken away while it ran.
    pub result: Option<Result<(), String>>,
}

/// The handshake of a connection, as observed on the wire by our end.
#[derive(Clone, Debug, PartialEq)]
pub struct Handshake {
    /// The connection's number.
    pub flow: FlowId,
    /// Our end.
    pub local: SocketAddr,
    /// The other end.
    pub peer: SocketAddr,
    /// Who began.
    pub opening: Opening,
    /// Our initial sequence number.
    pub iss: SeqNumber,
    /// The peer's initial sequence number.
    pub irs: SeqNumber,
    /// The packets that made the connection, retransmissions included, the first 16 of them at most:
    /// SYN, SYN-ACK, ACK if nothing was lost.
    pub steps: Vec<HandshakeStep>,
}

/// One packet of a handshake, and the state of our end after it.
#[derive(Clone, Debug, PartialEq)]
pub struct HandshakeStep {
    /// When.
    pub at: Instant,
    /// Which way it went.
    pub direction: Direction,
    /// What it said.
    pub described: Described,
    /// Our state after it.
    pub state: TcpState,
}
