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

mod defect;
mod journal;

pub use defect::{Activity, Defect, Ends, PacketHead, PanicSite};
pub(crate) use journal::Journal;
pub use journal::Watch;

use crate::segment::{Described, SeqNumber};
use crate::state::TcpState;
use smoltcp::time::{Duration, Instant};
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

/// A rule that interferes with packets. Counts from 1 in the order in which rules were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(pub u32);

impl RuleId {
    /// No rule but a person, who decides about each packet.
    pub const HAND: RuleId = RuleId(0);
}

impl fmt::Display for RuleId {
    /// `rule 3`, or `by hand`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            RuleId::HAND => f.write_str("by hand"),
            RuleId(number) => write!(f, "rule {number}"),
        }
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
    /// A packet that was delayed or held goes on, or is dropped after all.
    Released(Released),
    /// The state of a connection changed.
    Transition(Transition),
    /// The peer's kernel was asked about its end, just after the packet that was told before.
    Asked(PeerView),
    /// A service says something, for example who sent a datagram.
    Note(String),
    /// A limit was hit so many times since the last such event. If a connection or an exchange has made room, the event
    /// belongs to that flow.
    Limited(Limit, u64),
    /// A part of this program, or of a service, panicked. If the event is of a flow, that flow is reset and given up; its
    /// last events follow.
    Defect(Box<Defect>),
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
    /// What it says, with the sequence numbers that the wire carries, as whoever sent it meant it.
    pub described: Described,
    /// The packet itself as its sender meant it, from its IP header on.
    pub bytes: Vec<u8>,
    /// What became of it.
    pub fate: Fate,
    /// What came out of the link instead; present exactly where it was [rewritten](Fate::Rewritten).
    pub crossed: Option<Box<Crossed>>,
    /// Whether it is a TCP segment of which a part occupies sequence numbers that have been sent before.
    pub retransmission: bool,
    /// Why our TCP has sent it; `None` for what arrives, and for what is no segment of a connection.
    pub reason: Option<Reason>,
    /// The variables of its connection after it has left, or after it has arrived and was dealt with; `None` for what is
    /// no segment of a connection.
    pub variables: Option<Box<Variables>>,
}

/// What came out of the link where that is not what went in.
#[derive(Clone, Debug, PartialEq)]
pub struct Crossed {
    /// What it says.
    pub described: Described,
    /// The packet itself, from its IP header on.
    pub bytes: Vec<u8>,
}

impl Packet {
    /// The packet as it came out of the link, where it did: to the wire, or to our stack.
    pub fn outcome(&self) -> (&Described, &[u8]) {
        match &self.crossed {
            Some(crossed) => (&crossed.described, &crossed.bytes),
            None => (&self.described, &self.bytes),
        }
    }
}

/// The end of a packet's wait in the link.
#[derive(Clone, Debug, PartialEq)]
pub struct Released {
    /// The packet, with the number that it has had from the start. Its fate is now final: it is neither delayed nor held.
    pub packet: Packet,
    /// How long it has waited.
    pub waited: Duration,
    /// What has ended the wait.
    pub by: Release,
}

/// What ends the wait of a packet in the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Release {
    /// Its time has come.
    Time,
    /// What its rule waits for has happened.
    Condition,
    /// A person said so.
    Hand,
    /// Nobody steps any more, or the run ends.
    End,
}

impl Release {
    /// In one word: `time`, `condition`, `hand` or `end`.
    pub const fn name(self) -> &'static str {
        match self {
            Release::Time => "time",
            Release::Condition => "condition",
            Release::Hand => "hand",
            Release::End => "end",
        }
    }
}

/// Why our TCP sends a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It opens the connection.
    Syn,
    /// It answers a SYN.
    SynAck,
    /// It carries data that was never sent before.
    Data,
    /// It carries our FIN, perhaps with data before it.
    Fin,
    /// It acknowledges what has arrived just now.
    Ack,
    /// It acknowledges what arrived so long ago: we waited for data to send along (RFC 9293, section 3.8.6.3).
    DelayedAck(Duration),
    /// It says again what was said before: something unexpected has arrived (RFC 5681, section 4.2).
    DuplicateAck,
    /// It tells that there is room again.
    WindowUpdate,
    /// It asks a peer whose window is shut whether it still is (RFC 9293, section 3.8.6.1).
    WindowProbe,
    /// It asks a peer that has long been silent whether it is still there (section 3.8.4).
    KeepAlive,
    /// It ends the connection at once.
    Reset,
    /// It was sent before.
    Resent(Resend),
}

impl Reason {
    /// In one word: `syn-ack`, `delayed-ack`, `resent`.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Syn => "syn",
            Reason::SynAck => "syn-ack",
            Reason::Data => "data",
            Reason::Fin => "fin",
            Reason::Ack => "ack",
            Reason::DelayedAck(_) => "delayed-ack",
            Reason::DuplicateAck => "duplicate-ack",
            Reason::WindowUpdate => "window-update",
            Reason::WindowProbe => "window-probe",
            Reason::KeepAlive => "keep-alive",
            Reason::Reset => "reset",
            Reason::Resent(_) => "resent",
        }
    }
}

/// Why a segment is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resend {
    /// The retransmission timeout is over (RFC 6298, section 5).
    Timeout,
    /// Three duplicate acknowledgments have arrived (RFC 5681, section 3.2).
    DuplicateAcks,
    /// An acknowledgment has shown that it is missing: one of a part of what was in flight when the first loss was noticed
    /// (RFC 6582, section 3.2), or one that says that enough of what follows has arrived (RFC 6675, section 5).
    Gap,
}

impl Resend {
    /// In one word: `timeout`, `duplicate-acks` or `gap`.
    pub const fn name(self) -> &'static str {
        match self {
            Resend::Timeout => "timeout",
            Resend::DuplicateAcks => "duplicate-acks",
            Resend::Gap => "gap",
        }
    }
}

/// The variables of a connection (RFC 9293, section 3.3.1), numbers as on the wire. They are derived from what crosses
/// the link, as smoltcp does not show its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variables {
    /// Our initial sequence number.
    pub iss: SeqNumber,
    /// The peer's, once its SYN has arrived.
    pub irs: Option<SeqNumber>,
    /// SND.UNA: the oldest number that is not acknowledged.
    pub snd_una: SeqNumber,
    /// SND.NXT: the next number to send. After a retransmission timeout it stays at its highest.
    pub snd_nxt: SeqNumber,
    /// SND.WND in bytes: what the peer takes beyond SND.UNA.
    pub snd_wnd: u32,
    /// RCV.NXT: the next number awaited; `None` before the peer's SYN.
    pub rcv_nxt: Option<SeqNumber>,
    /// RCV.WND in bytes: the free room in our receive buffer.
    pub rcv_wnd: u32,
    /// Sent and not acknowledged: SND.NXT - SND.UNA, a SYN and a FIN counting one each.
    pub in_flight: u32,
    /// The retransmission timeout in force (RFC 6298).
    pub rto: Duration,
    /// The smoothed round-trip time, in whole milliseconds, once one was measured.
    pub srtt: Option<Duration>,
    /// How many duplicate acknowledgments have arrived in a row.
    pub duplicate_acks: u8,
    /// How many segments were sent again so far.
    pub resent: u32,
    /// How many retransmission timeouts in a row were over without an acknowledgment of anything (RFC 9293, section 3.8.3).
    pub unanswered: u8,
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
    /// The link has swallowed it.
    Dropped(RuleId),
    /// It waits in the link for so long; then it is [released](EventKind::Released).
    Delayed(RuleId, Duration),
    /// It waits in the link until something happens or somebody says so; then it is [released](EventKind::Released).
    Held(RuleId),
    /// It was handed over, and so many copies of it right behind it.
    Duplicated(RuleId, u32),
    /// Something else was handed over in its place: see [`Packet::crossed`].
    Rewritten(RuleId),
    /// It was handed over, but no end has sent it: the rule has made it.
    Injected(RuleId),
    /// The link has swallowed it during stepping: it is a copy of that packet, which waits, or whose answer waits.
    Folded(PacketId),
}

impl Fate {
    /// In one word: `dropped`.
    pub const fn name(&self) -> &'static str {
        match self {
            Fate::Delivered => "delivered",
            Fate::Discarded(_) => "discarded",
            Fate::Dropped(_) => "dropped",
            Fate::Delayed(..) => "delayed",
            Fate::Held(_) => "held",
            Fate::Duplicated(..) => "duplicated",
            Fate::Rewritten(_) => "rewritten",
            Fate::Injected(_) => "injected",
            Fate::Folded(_) => "folded",
        }
    }

    /// The rule that has decided it, if one has.
    pub const fn rule(&self) -> Option<RuleId> {
        match *self {
            Fate::Delivered | Fate::Discarded(_) | Fate::Folded(_) => None,
            Fate::Dropped(rule)
            | Fate::Delayed(rule, _)
            | Fate::Held(rule)
            | Fate::Duplicated(rule, _)
            | Fate::Rewritten(rule)
            | Fate::Injected(rule) => Some(rule),
        }
    }

    /// How often the packet has come out of the link so far: 0, 1, or more where it was duplicated. A packet that the stack
    /// has discarded did come out.
    pub const fn crossings(&self) -> u32 {
        match *self {
            Fate::Dropped(_) | Fate::Delayed(..) | Fate::Held(_) | Fate::Folded(_) => 0,
            Fate::Delivered | Fate::Discarded(_) | Fate::Rewritten(_) | Fate::Injected(_) => 1,
            Fate::Duplicated(_, copies) => 1 + copies,
        }
    }
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
    /// For a port that listens, and neither a SYN alone nor a segment with ACK: no connection begins like that.
    BadFlags,
    /// A SYN, and as many connections as the backlog allows wait for the end of their handshake.
    BacklogFull,
    /// A fragment that can't be used: overlapping, too large, too late, or too many wait already.
    Fragment,
    /// An option or an extension header of IP that is refused.
    Header,
    /// A protocol that we don't speak.
    Unsupported,
}

impl Discard {
    /// In one word: `backlog-full`.
    pub const fn name(self) -> &'static str {
        match self {
            Discard::Malformed => "malformed",
            Discard::NotForUs => "not-for-us",
            Discard::BadAddress => "bad-address",
            Discard::BadFlags => "bad-flags",
            Discard::BacklogFull => "backlog-full",
            Discard::Fragment => "fragment",
            Discard::Header => "header",
            Discard::Unsupported => "unsupported",
        }
    }

    /// In a few words for people.
    pub const fn reason(self) -> &'static str {
        match self {
            Discard::Malformed => "malformed",
            Discard::NotForUs => "not our address",
            Discard::BadAddress => "no address for a connection",
            Discard::BadFlags => "not a SYN alone",
            Discard::BacklogFull => "backlog full",
            Discard::Fragment => "unusable fragment",
            Discard::Header => "refused IP header",
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

/// What the peer's kernel says of its own end (sock_diag(7)).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeerView {
    /// The true state.
    pub state: TcpState,
    /// What TCP_INFO says (tcp(7)); the kernel has none in LISTEN, SYN-RECEIVED, TIME-WAIT and CLOSED, and none in
    /// FIN-WAIT-2 once no program holds the connection.
    pub info: Option<PeerInfo>,
}

/// The part of the kernel's TCP_INFO that is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeerInfo {
    /// The smoothed round-trip time.
    pub rtt: Duration,
    /// Its variance.
    pub rttvar: Duration,
    /// The retransmission timeout in force.
    pub rto: Duration,
    /// The congestion window in segments.
    pub cwnd: u32,
    /// How often the oldest segment that is not acknowledged was retransmitted.
    pub retransmits: u8,
    /// How many segments were retransmitted so far.
    pub total_retransmits: u32,
}

/// A bounded resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Limit {
    /// Handshakes under way: a SYN was answered with a cookie, or discarded.
    Backlog,
    /// Connections: the one that has been idle for longest is aborted for a new one.
    Connections,
    /// Exchanges of datagrams: the one that has been idle for longest is over.
    Exchanges,
    /// Connections in TIME-WAIT: one more doesn't wait.
    TimeWait,
    /// Memory for fragments: the oldest unfinished packet makes room.
    Fragments,
    /// Gaps in what one connection has received: data behind yet another is not taken, and comes again.
    Gaps,
    /// Memory for packets that a rule, or somebody, lets wait: one more is dropped.
    Waiting,
    /// ICMP errors in a second: one more is not sent.
    IcmpErrors,
    /// Events that nobody has fetched: later ones are lost.
    Events,
}

impl Limit {
    /// All of them.
    pub const ALL: [Limit; 9] = [
        Limit::Backlog,
        Limit::Connections,
        Limit::Exchanges,
        Limit::TimeWait,
        Limit::Fragments,
        Limit::Gaps,
        Limit::Waiting,
        Limit::IcmpErrors,
        Limit::Events,
    ];

    /// In one word: `time-wait`.
    pub const fn name(self) -> &'static str {
        match self {
            Limit::Backlog => "backlog",
            Limit::Connections => "connections",
            Limit::Exchanges => "exchanges",
            Limit::TimeWait => "time-wait",
            Limit::Fragments => "fragments",
            Limit::Gaps => "gaps",
            Limit::Waiting => "waiting",
            Limit::IcmpErrors => "icmp-errors",
            Limit::Events => "events",
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
