//! What a rule can say.

use super::knobs::Knobs;
use crate::event::Direction;
use crate::segment::Flags;
use crate::state::TcpState;
use smoltcp::time::Duration;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

/// One line: for whom, and what.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The line itself.
    pub text: String,
    /// The connections that it is about.
    pub scope: Scope,
    /// What it does.
    pub action: Action,
}

/// Which connections a rule is about. The default is all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Their numbers, as ladders print them: 1 is the first flow of the run.
    pub connections: Option<RangeInclusive<u64>>,
    /// Our port.
    pub port: Option<u16>,
    /// Our address.
    pub host: Option<IpAddr>,
    /// The peer's address.
    pub peer: Option<IpAddr>,
}

impl Scope {
    /// Whether a connection is one of those.
    pub fn contains(&self, number: u64, local: SocketAddr, peer: SocketAddr) -> bool {
        self.connections
            .as_ref()
            .is_none_or(|numbers| numbers.contains(&number))
            && self.port.is_none_or(|port| port == local.port())
            && self.host.is_none_or(|host| host == local.ip())
            && self.peer.is_none_or(|other| other == peer.ip())
    }
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// It decides about packets.
    Judge(Verdict, Pattern),
    /// It acts by itself when a connection has come so far.
    Act(Verdict, Trigger),
    /// It sets knobs of the stack for connections that begin.
    Set(Knobs),
}

/// The moment at which a rule acts without a packet: [`Verdict::Reset`] and [`Verdict::Silence`] can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// Our end has entered this state.
    pub state: TcpState,
    /// And so much time has passed since.
    pub after: Duration,
}

/// What is done with a packet.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The packet goes on, and no further rule is asked.
    Pass,
    /// It is swallowed.
    Drop,
    /// It goes on so much later.
    Delay(Duration),
    /// It goes on when something happens.
    Hold(Until),
    /// It goes on, and so many copies right behind it: 1 to 1,000.
    Duplicate(u32),
    /// It goes on right behind so many later packets of its connection and direction: 1 to 1,000. Where fewer come, it goes
    /// on after a second.
    Reorder(u32),
    /// Something of it is changed.
    Edit(Vec<Assignment>),
    /// These bytes go on instead: a whole IP packet.
    Replace(Vec<u8>),
    /// It is swallowed, and a RST goes to one end or both, as if the other had sent it.
    Reset(Ends),
    /// It is swallowed, and its sender gets an ICMP error.
    Icmp(IcmpError),
    /// It is swallowed, and so is everything of its connection from here on: in this direction, or in both.
    Silence(Option<Direction>),
}

/// What a held packet waits for.
#[derive(Clone, Debug, PartialEq)]
pub enum Until {
    /// A person.
    Hand,
    /// Our end's entering of a state.
    State(TcpState),
    /// Another packet of the connection, which itself may go on or not.
    Packet(Box<Pattern>),
}

/// The ends that get a RST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// The peer.
    Peer,
    /// Our end.
    Local,
    /// Both.
    Both,
}

/// ICMP errors that a rule can answer with (RFC 792, RFC 1812 section 5.2.7, RFC 4443 section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpError {
    /// Network unreachable: type 3 code 0; in IPv6 "no route to destination", type 1 code 0.
    NetUnreachable,
    /// Host unreachable: type 3 code 1; in IPv6 "address unreachable", type 1 code 3.
    HostUnreachable,
    /// Protocol unreachable: type 3 code 2; in IPv6 "unrecognized next header type", type 4 code 1.
    ProtocolUnreachable,
    /// Port unreachable: type 3 code 3; in IPv6 type 1 code 4.
    PortUnreachable,
    /// Communication administratively prohibited: type 3 code 13; in IPv6 type 1 code 1.
    AdminProhibited,
    /// The packet is larger than this MTU in bytes: type 3 code 4 (RFC 1191); in IPv6 "packet too big", type 2.
    FragmentationNeeded(u16),
    /// Time to live exceeded in transit: type 11 code 0; in IPv6 type 3 code 0.
    TimeExceeded,
}

/// Which packets a rule is about: those for which everything that is given is true.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pattern {
    /// Which way they go; `None` for both.
    pub direction: Option<Direction>,
    /// What they are.
    pub kind: Kind,
    /// Which of those: the first packet of this kind and direction in the connection is 1, retransmissions counted. Packets
    /// of no connection are not counted and are none of those.
    pub ordinal: Option<RangeInclusive<u64>>,
    /// Whether they occupy sequence numbers that were sent before.
    pub retransmission: Option<bool>,
    /// The state of our end before them.
    pub state: Option<TcpState>,
    /// So many bytes of payload have crossed before, in their direction: from this packet on, where it carries the byte after
    /// them.
    pub after_data: Option<u64>,
    /// So much time has passed since the first packet of the connection.
    pub after: Option<Duration>,
    /// Not so much time has passed since then.
    pub within: Option<Duration>,
    /// How long the packet is in bytes, IP header included.
    pub size: Option<(Comparison, usize)>,
    /// Probability in parts per million.
    pub chance: Option<u32>,
    /// How often at most in a connection; never to packets of none.
    pub times: Option<u64>,
}

/// The kinds of packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Whatever it is.
    #[default]
    Any,
    /// A TCP segment of any kind.
    Segment,
    /// SYN without ACK.
    Syn,
    /// SYN with ACK.
    SynAck,
    /// The first segment with which whoever began acknowledges the SYN-ACK; it may carry data.
    HandshakeAck,
    /// A segment with payload.
    Data,
    /// A segment with nothing but an acknowledgment.
    Ack,
    /// A segment with FIN.
    Fin,
    /// A segment with RST.
    Rst,
    /// A UDP datagram.
    Datagram,
}

/// How a number is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `>`
    Greater,
    /// `=`
    Equal,
}

/// A change to a packet. Checksums are mended after all changes, unless one of them breaks them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assignment {
    /// The control bits become these.
    Flags(Flags),
    /// These bits are set, those are cleared.
    ChangeFlags {
        /// The bits that are set.
        set: Flags,
        /// The bits that are cleared.
        clear: Flags,
    },
    /// The sequence number becomes this, as on the wire.
    Seq(u32),
    /// So much is added to the sequence number.
    AddSeq(i64),
    /// The acknowledgment number becomes this, as on the wire.
    Ack(u32),
    /// So much is added to the acknowledgment number.
    AddAck(i64),
    /// The window field, not scaled.
    Window(u16),
    /// The maximum segment size option; `None` takes it out.
    Mss(Option<u16>),
    /// The window scale option, a shift count of 0 to 255 (valid up to 14); `None` takes it out.
    WindowScale(Option<u8>),
    /// The SACK-permitted option is there, or not.
    SackPermitted(bool),
    /// The timestamps option: TSval and TSecr; `None` takes it out.
    Timestamps(Option<(u32, u32)>),
    /// All TCP options are taken out.
    NoOptions,
    /// The urgent pointer.
    Urgent(u16),
    /// Time to live or hop limit.
    Ttl(u8),
    /// The payload becomes this; later numbers of the connection stay as they are.
    Payload(Vec<u8>),
    /// Only so many bytes of the payload are kept.
    Truncate(usize),
    /// One byte of the payload, counted from 0, has all its bits inverted.
    Flip(usize),
    /// The checksum of TCP, UDP or ICMP is made wrong.
    BadChecksum,
    /// The checksum of the IPv4 header is made wrong.
    BadIpChecksum,
}
