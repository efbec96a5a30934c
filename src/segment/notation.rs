//! How segments and other packets print.

use super::parse::UNKNOWN_ICMP;
use super::{
    Body, Datagram, Described, Flags, FragmentInfo, Icmp, Options, Segment, SeqNumber, TcpOption,
};
use std::fmt;

/// From where relative sequence numbers count.
///
/// Both initial sequence numbers print as 0, so the first byte of data is 1. Where one is `None` (its SYN
/// was not seen), the numbers of that direction print absolute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The initial sequence number of the segment's sender.
    pub seq: Option<SeqNumber>,
    /// The initial sequence number of the segment's receiver, to which its acknowledgments refer.
    pub ack: Option<SeqNumber>,
}

/// A packet in packetdrill's notation; made by [`Described::notation`] and [`Segment::notation`].
///
/// `{}` prints all that packetdrill prints, `{:#}` what fits an arrow: no window, options only where SYN is
/// set, and no range where a segment does nothing but acknowledge.
///
/// | packet | `{}` | `{:#}` |
/// |---|---|---|
/// | SYN | `S 0:0(0) win 64240 <mss 1460,sackOK>` | `S 0:0(0) <mss 1460,sackOK>` |
/// | ACK | `. 1:1(0) ack 1 win 502 <nop,nop,sack 5:9>` | `. ack 1` |
/// | data | `P. 1:5(4) ack 1 win 502` | `P. 1:5(4) ack 1` |
/// | no control bit | `- 1:1(0) win 502` | `- 1:1(0)` |
/// | UDP | `udp (5)` | the same |
/// | ICMP | `icmp echo request id 5 seq 1 (56)` | the same |
/// | fragment | `fragment id 7 offset 1480 more (1480)` | the same |
/// | other protocol | `protocol 47 (20)` | the same |
/// | unreadable | `malformed tcp: header length 12 is less than 20` | the same |
///
/// The range counts data only: neither SYN nor FIN is in it. The letters are `F S R P . U E W A`: FIN, SYN,
/// RST, PSH, ACK, URG, ECE, CWR, AE. Packetdrill has no words for the rest, which comes last:
/// `fragment id 7 offset 0 more` where a first fragment holds the transport header, and `[bad checksum]`.
#[derive(Clone, Copy, Debug)]
pub struct Notation<'a> {
    what: What<'a>,
    origin: Origin,
}

#[derive(Clone, Copy, Debug)]
enum What<'a> {
    Packet(&'a Described),
    Segment(&'a Segment),
}

impl Described {
    /// This packet in packetdrill's notation, sequence numbers counted from `origin`.
    pub fn notation(&self, origin: Origin) -> Notation<'_> {
        Notation {
            what: What::Packet(self),
            origin,
        }
    }
}

impl Segment {
    /// This segment in packetdrill's notation, sequence numbers counted from `origin`.
    pub fn notation(&self, origin: Origin) -> Notation<'_> {
        Notation {
            what: What::Segment(self),
            origin,
        }
    }
}

impl fmt::Display for Notation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            What::Packet(described) => packet(f, described, self.origin),
            What::Segment(segment) => tcp(f, segment, self.origin, None),
        }
    }
}

fn packet(f: &mut fmt::Formatter<'_>, described: &Described, origin: Origin) -> fmt::Result {
    let fragment = described.ip.and_then(|ip| ip.fragment);
    match &described.body {
        Body::Tcp(segment) => tcp(f, segment, origin, fragment),
        Body::Udp(Datagram {
            payload,
            checksum_ok,
            ..
        }) => {
            write!(f, "udp ({})", payload.len())?;
            tail(f, fragment, *checksum_ok)
        }
        Body::Icmp(message) => {
            icmp(f, message)?;
            tail(f, fragment, message.checksum_ok)
        }
        Body::Fragment { payload } => {
            if let Some(info) = fragment {
                place(f, info)?;
            }
            write!(f, " ({})", payload.len())
        }
        Body::Other { payload } => {
            let protocol = described.ip.map_or(0, |ip| ip.protocol);
            write!(f, "protocol {protocol} ({})", payload.len())?;
            tail(f, fragment, true)
        }
        Body::Malformed(malformed) => {
            write!(f, "malformed {}: {}", malformed.layer.name(), malformed.why)
        }
    }
}

fn tcp(
    f: &mut fmt::Formatter<'_>,
    segment: &Segment,
    origin: Origin,
    fragment: Option<FragmentInfo>,
) -> fmt::Result {
    let short = f.alternate();
    write!(f, "{}", segment.flags)?;
    if !(short && only_acknowledges(segment)) {
        let start = relative(segment.seq, origin.seq);
        let len = segment.payload.len();
        write!(f, " {start}:{}({len})", start + len as u32)?;
    }
    if let Some(ack) = segment.acknowledges() {
        write!(f, " ack {}", relative(ack, origin.ack))?;
    }
    if !short {
        write!(f, " win {}", segment.window)?;
    }
    if segment.flags.contains(Flags::URG) {
        write!(f, " urg {}", segment.urgent)?;
    }
    if !segment.options.is_empty() && (!short || segment.flags.contains(Flags::SYN)) {
        options(f, &segment.options, origin)?;
    }
    tail(f, fragment, segment.checksum_ok)
}

impl fmt::Display for Flags {
    /// The letters that packetdrill has for them; `-` where none is set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LETTERS: [(Flags, &str); 9] = [
            (Flags::FIN, "F"),
            (Flags::SYN, "S"),
            (Flags::RST, "R"),
            (Flags::PSH, "P"),
            (Flags::ACK, "."),
            (Flags::URG, "U"),
            (Flags::ECE, "E"),
            (Flags::CWR, "W"),
            (Flags::AE, "A"),
        ];
        if *self == Flags::default() {
            return f.write_str("-");
        }
        LETTERS
            .iter()
            .filter(|(flag, _)| self.contains(*flag))
            .try_for_each(|(_, letter)| f.write_str(letter))
    }
}

/// Whether the segment has no other use than its acknowledgment number.
fn only_acknowledges(segment: &Segment) -> bool {
    let others = Flags::FIN.0 | Flags::SYN.0 | Flags::RST.0 | Flags::URG.0;
    segment.flags.contains(Flags::ACK)
        && segment.flags.0 & others == 0
        && segment.payload.is_empty()
}

/// `number` counted from `origin`, or as it stands where that is not known.
fn relative(number: SeqNumber, origin: Option<SeqNumber>) -> SeqNumber {
    SeqNumber(origin.map_or(number.0, |origin| number.since(origin)))
}

fn options(f: &mut fmt::Formatter<'_>, options: &Options, origin: Origin) -> fmt::Result {
    let mut separator = " <";
    for option in options {
        f.write_str(separator)?;
        separator = ",";
        match option {
            TcpOption::EndOfList => f.write_str("eol"),
            TcpOption::Nop => f.write_str("nop"),
            TcpOption::MaxSegmentSize(mss) => write!(f, "mss {mss}"),
            TcpOption::WindowScale(shift) => write!(f, "wscale {shift}"),
            TcpOption::SackPermitted => f.write_str("sackOK"),
            TcpOption::Sack(blocks) => {
                f.write_str("sack")?;
                blocks.as_slice().iter().try_for_each(|&(left, right)| {
                    write!(
                        f,
                        " {}:{}",
                        relative(left, origin.ack),
                        relative(right, origin.ack)
                    )
                })
            }
            TcpOption::Timestamps { val, ecr } => write!(f, "TS val {val} ecr {ecr}"),
            TcpOption::Unknown { kind, len } => write!(f, "kind-{kind} len {len}"),
            TcpOption::Malformed { kind } => write!(f, "kind-{kind} malformed"),
        }?;
    }
    f.write_str(">")
}

fn icmp(f: &mut fmt::Formatter<'_>, message: &Icmp) -> fmt::Result {
    let Icmp {
        kind, code, name, ..
    } = message;
    write!(f, "icmp {name}")?;
    if *name == UNKNOWN_ICMP {
        write!(f, " type {kind} code {code}")?;
    }
    if let Some((id, seq)) = message.echo {
        write!(f, " id {id} seq {seq} ({})", message.payload.len())?;
    }
    if let Some(mtu) = message.mtu {
        write!(f, " mtu {mtu}")?;
    }
    Ok(())
}

/// What packetdrill has no words for.
fn tail(
    f: &mut fmt::Formatter<'_>,
    fragment: Option<FragmentInfo>,
    checksum_ok: bool,
) -> fmt::Result {
    if let Some(info) = fragment {
        f.write_str(" ")?;
        place(f, info)?;
    }
    if !checksum_ok {
        f.write_str(" [bad checksum]")?;
    }
    Ok(())
}

fn place(
    f: &mut fmt::Formatter<'_>,
    FragmentInfo { id, offset, more }: FragmentInfo,
) -> fmt::Result {
    write!(
        f,
        "fragment id {id} offset {offset}{}",
        if more { " more" } else { "" }
    )
}
