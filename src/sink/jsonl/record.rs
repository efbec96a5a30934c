//! The form of a line. The tables of the parent module say what each field means.

use crate::event::{
    Cause, Closed, Defect, Event, EventKind, Fate, Opened, Opening, Packet, PacketId, PeerInfo,
    PeerView, Reason, RuleId, Timer, Variables,
};
use crate::segment::{
    Body, Described, Flags, FragmentInfo, IpHeader, Origin, Segment, SeqNumber, TcpOption,
};
use crate::view::View;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use smoltcp::time::Duration;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

#[derive(Serialize)]
pub(super) struct Record<'a> {
    version: u32,
    number: u64,
    at: f64,
    flow: Option<u64>,
    #[serde(flatten)]
    kind: KindRecord<'a>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum KindRecord<'a> {
    Opened(OpenedRecord),
    Packet(Box<PacketRecord<'a>>),
    Released(Box<ReleasedRecord<'a>>),
    Transition(TransitionRecord),
    Asked(AskedRecord),
    Note { text: &'a str },
    Limited { limit: &'static str, count: u64 },
    Defect(DefectRecord<'a>),
    Closed(ClosedRecord<'a>),
}

#[derive(Serialize)]
struct OpenedRecord {
    transport: &'static str,
    local: SocketAddr,
    peer: SocketAddr,
    opening: &'static str,
    service: &'static str,
}

#[derive(Serialize)]
struct PacketRecord<'a> {
    id: u64,
    direction: &'static str,
    length: usize,
    ip: Option<IpRecord>,
    #[serde(flatten)]
    body: BodyRecord<'a>,
    fate: FateRecord,
    crossed: Option<CrossedRecord<'a>>,
    retransmission: bool,
    reason: Option<ReasonRecord>,
    variables: Option<VariablesRecord>,
}

#[derive(Serialize)]
struct ReleasedRecord<'a> {
    #[serde(flatten)]
    packet: PacketRecord<'a>,
    waited: f64,
    by: &'static str,
}

#[derive(Serialize)]
struct CrossedRecord<'a> {
    length: usize,
    ip: Option<IpRecord>,
    #[serde(flatten)]
    body: BodyRecord<'a>,
}

#[derive(Serialize)]
struct IpRecord {
    src: IpAddr,
    dst: IpAddr,
    hop_limit: u8,
    protocol: u8,
    total_len: usize,
    dont_fragment: bool,
    fragment: Option<IpFragmentRecord>,
}

#[derive(Serialize)]
struct IpFragmentRecord {
    id: u32,
    offset: usize,
    more: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum BodyRecord<'a> {
    Tcp(TcpRecord<'a>),
    Udp {
        src_port: u16,
        dst_port: u16,
        checksum_ok: bool,
        #[serde(flatten)]
        payload: PayloadRecord<'a>,
    },
    Icmp {
        #[serde(rename = "type")]
        kind: u8,
        code: u8,
        name: &'static str,
        echo_id: Option<u16>,
        echo_seq: Option<u16>,
        mtu: Option<u32>,
        checksum_ok: bool,
        #[serde(flatten)]
        payload: PayloadRecord<'a>,
    },
    Fragment(PayloadRecord<'a>),
    Other(PayloadRecord<'a>),
    Malformed {
        layer: &'static str,
        why: &'a str,
    },
}

#[derive(Serialize)]
struct TcpRecord<'a> {
    src_port: u16,
    dst_port: u16,
    #[serde(serialize_with = "as_text")]
    flags: Flags,
    seq: u32,
    ack: Option<u32>,
    relative_seq: Option<u32>,
    relative_ack: Option<u32>,
    window: u16,
    urgent: Option<u16>,
    options: Vec<OptionRecord>,
    checksum_ok: bool,
    #[serde(flatten)]
    payload: PayloadRecord<'a>,
}

#[derive(Serialize)]
struct PayloadRecord<'a> {
    payload_len: usize,
    #[serde(serialize_with = "as_base64")]
    payload: &'a [u8],
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum OptionRecord {
    Eol,
    Nop,
    Mss { mss: u16 },
    Wscale { shift: u8 },
    SackPermitted,
    Sack { blocks: Vec<(u32, u32)> },
    Timestamps { val: u32, ecr: u32 },
    Unknown { number: u8, len: u8 },
    Malformed { number: u8 },
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum FateRecord {
    Delivered,
    Discarded { why: &'static str },
    Dropped { rule: u32 },
    Delayed { rule: u32, delay: f64 },
    Held { rule: u32 },
    Duplicated { rule: u32, copies: u32 },
    Rewritten { rule: u32 },
    Injected { rule: u32 },
    Folded { into: u64 },
}

#[derive(Serialize)]
struct ReasonRecord {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    waited: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<&'static str>,
}

#[derive(Serialize)]
struct VariablesRecord {
    iss: u32,
    irs: Option<u32>,
    snd_una: u32,
    snd_nxt: u32,
    snd_wnd: u32,
    rcv_nxt: Option<u32>,
    rcv_wnd: u32,
    in_flight: u32,
    rto: f64,
    srtt: Option<f64>,
    duplicate_acks: u8,
    resent: u32,
    unanswered: u8,
}

#[derive(Serialize)]
struct TransitionRecord {
    from: &'static str,
    to: &'static str,
    cause: CauseRecord,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum CauseRecord {
    Segment { packet: u64 },
    Call { call: &'static str },
    Timeout { timer: &'static str },
}

#[derive(Serialize)]
struct AskedRecord {
    state: &'static str,
    info: Option<InfoRecord>,
}

#[derive(Serialize)]
struct InfoRecord {
    rtt: f64,
    rttvar: f64,
    rto: f64,
    cwnd: u32,
    retransmits: u8,
    total_retransmits: u32,
}

#[derive(Serialize)]
struct DefectRecord<'a> {
    defect: u64,
    during: &'static str,
    ends: Option<EndsRecord>,
    message: &'a str,
    location: Option<&'a str>,
    backtrace: Option<&'a str>,
    packets: Vec<HeadRecord<'a>>,
}

#[derive(Serialize)]
struct EndsRecord {
    transport: &'static str,
    local: SocketAddr,
    peer: SocketAddr,
}

#[derive(Serialize)]
struct HeadRecord<'a> {
    at: f64,
    direction: &'static str,
    length: usize,
    #[serde(serialize_with = "as_base64")]
    bytes: &'a [u8],
}

#[derive(Serialize)]
struct ClosedRecord<'a> {
    result: Option<ResultRecord<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum ResultRecord<'a> {
    Ok,
    Error { why: &'a str },
}

impl<'a> Record<'a> {
    pub(super) fn new(view: &View, event: &'a Event) -> Record<'a> {
        let kind = match &event.kind {
            EventKind::Opened(opened) => KindRecord::Opened(opened.into()),
            EventKind::Packet(packet) => {
                let origin = view.origin(event.flow, packet.direction);
                KindRecord::Packet(Box::new(PacketRecord::new(packet, origin)))
            }
            EventKind::Transition(transition) => KindRecord::Transition(TransitionRecord {
                from: transition.from.name(),
                to: transition.to.name(),
                cause: transition.cause.into(),
            }),
            EventKind::Released(released) => {
                let origin = view.origin(event.flow, released.packet.direction);
                KindRecord::Released(Box::new(ReleasedRecord {
                    packet: PacketRecord::new(&released.packet, origin),
                    waited: seconds(released.waited),
                    by: released.by.name(),
                }))
            }
            EventKind::Asked(asked) => KindRecord::Asked(asked.into()),
            EventKind::Note(text) => KindRecord::Note { text },
            EventKind::Limited(limit, count) => KindRecord::Limited {
                limit: limit.name(),
                count: *count,
            },
            EventKind::Defect(defect) => KindRecord::Defect((&**defect).into()),
            EventKind::Closed(closed) => KindRecord::Closed(closed.into()),
        };
        Record {
            version: super::VERSION,
            number: event.number,
            at: event.at.total_micros() as f64 / 1e6,
            flow: event.flow.map(|flow| flow.0),
            kind,
        }
    }
}

impl<'a> From<&'a Defect> for DefectRecord<'a> {
    fn from(defect: &'a Defect) -> DefectRecord<'a> {
        let site = defect.site.as_ref();
        let packets = defect.packets.iter().map(|packet| HeadRecord {
            at: packet.at.total_micros() as f64 / 1e6,
            direction: packet.direction.name(),
            length: packet.len,
            bytes: &packet.bytes,
        });
        DefectRecord {
            defect: defect.number,
            during: defect.during.name(),
            ends: defect.ends.map(|ends| EndsRecord {
                transport: ends.transport.name(),
                local: ends.local,
                peer: ends.peer,
            }),
            message: &defect.message,
            location: site.map(|site| &site.location[..]),
            backtrace: site.and_then(|site| site.backtrace.as_deref()),
            packets: packets.collect(),
        }
    }
}

impl From<&Opened> for OpenedRecord {
    fn from(opened: &Opened) -> OpenedRecord {
        OpenedRecord {
            transport: opened.transport.name(),
            local: opened.local,
            peer: opened.peer,
            opening: match opened.opening {
                Opening::Passive => "passive",
                Opening::Active => "active",
            },
            service: opened.service,
        }
    }
}

impl<'a> PacketRecord<'a> {
    fn new(packet: &'a Packet, origin: Origin) -> PacketRecord<'a> {
        PacketRecord {
            id: packet.id.0,
            direction: packet.direction.name(),
            length: packet.bytes.len(),
            ip: packet.described.ip.map(IpRecord::from),
            body: BodyRecord::new(&packet.described, &packet.bytes, origin),
            fate: (&packet.fate).into(),
            crossed: packet.crossed.as_deref().map(|crossed| CrossedRecord {
                length: crossed.bytes.len(),
                ip: crossed.described.ip.map(IpRecord::from),
                body: BodyRecord::new(&crossed.described, &crossed.bytes, origin),
            }),
            retransmission: packet.retransmission,
            reason: packet.reason.map(ReasonRecord::from),
            variables: packet.variables.as_deref().map(VariablesRecord::from),
        }
    }
}

impl From<IpHeader> for IpRecord {
    fn from(ip: IpHeader) -> IpRecord {
        IpRecord {
            src: ip.src,
            dst: ip.dst,
            hop_limit: ip.hop_limit,
            protocol: ip.protocol,
            total_len: ip.total_len,
            dont_fragment: ip.dont_fragment,
            fragment: ip
                .fragment
                .map(|FragmentInfo { id, offset, more }| IpFragmentRecord { id, offset, more }),
        }
    }
}

impl<'a> BodyRecord<'a> {
    fn new(described: &'a Described, bytes: &'a [u8], origin: Origin) -> BodyRecord<'a> {
        let payload = |range: &Range<usize>| PayloadRecord::new(bytes, range);
        match &described.body {
            Body::Tcp(segment) => BodyRecord::Tcp(TcpRecord::new(segment, bytes, origin)),
            Body::Udp(datagram) => BodyRecord::Udp {
                src_port: datagram.src_port,
                dst_port: datagram.dst_port,
                checksum_ok: datagram.checksum_ok,
                payload: payload(&datagram.payload),
            },
            Body::Icmp(message) => BodyRecord::Icmp {
                kind: message.kind,
                code: message.code,
                name: message.name,
                echo_id: message.echo.map(|(id, _)| id),
                echo_seq: message.echo.map(|(_, seq)| seq),
                mtu: message.mtu,
                checksum_ok: message.checksum_ok,
                payload: payload(&message.payload),
            },
            Body::Fragment { payload: range } => BodyRecord::Fragment(payload(range)),
            Body::Other { payload: range } => BodyRecord::Other(payload(range)),
            Body::Malformed(malformed) => BodyRecord::Malformed {
                layer: malformed.layer.name(),
                why: &malformed.why,
            },
        }
    }
}

impl<'a> TcpRecord<'a> {
    fn new(segment: &'a Segment, bytes: &'a [u8], origin: Origin) -> TcpRecord<'a> {
        let relative = |number: SeqNumber, origin: Option<SeqNumber>| {
            origin.map(|origin| number.since(origin))
        };
        let has_urgent = segment.flags.contains(Flags::URG);
        TcpRecord {
            src_port: segment.src_port,
            dst_port: segment.dst_port,
            flags: segment.flags,
            seq: segment.seq.0,
            ack: segment.acknowledges().map(|ack| ack.0),
            relative_seq: relative(segment.seq, origin.seq),
            relative_ack: segment
                .acknowledges()
                .and_then(|ack| relative(ack, origin.ack)),
            window: segment.window,
            urgent: has_urgent.then_some(segment.urgent),
            options: segment.options.iter().map(OptionRecord::from).collect(),
            checksum_ok: segment.checksum_ok,
            payload: PayloadRecord::new(bytes, &segment.payload),
        }
    }
}

impl<'a> PayloadRecord<'a> {
    fn new(bytes: &'a [u8], range: &Range<usize>) -> PayloadRecord<'a> {
        // A capture may have cut it.
        let present = range.start.min(bytes.len())..range.end.min(bytes.len());
        PayloadRecord {
            payload_len: range.len(),
            payload: &bytes[present],
        }
    }
}

impl From<TcpOption> for OptionRecord {
    fn from(option: TcpOption) -> OptionRecord {
        match option {
            TcpOption::EndOfList => OptionRecord::Eol,
            TcpOption::Nop => OptionRecord::Nop,
            TcpOption::MaxSegmentSize(mss) => OptionRecord::Mss { mss },
            TcpOption::WindowScale(shift) => OptionRecord::Wscale { shift },
            TcpOption::SackPermitted => OptionRecord::SackPermitted,
            TcpOption::Sack(blocks) => OptionRecord::Sack {
                blocks: blocks
                    .as_slice()
                    .iter()
                    .map(|(left, right)| (left.0, right.0))
                    .collect(),
            },
            TcpOption::Timestamps { val, ecr } => OptionRecord::Timestamps { val, ecr },
            TcpOption::Unknown { kind, len } => OptionRecord::Unknown { number: kind, len },
            TcpOption::Malformed { kind } => OptionRecord::Malformed { number: kind },
        }
    }
}

impl From<&Fate> for FateRecord {
    fn from(fate: &Fate) -> FateRecord {
        match *fate {
            Fate::Delivered => FateRecord::Delivered,
            Fate::Discarded(why) => FateRecord::Discarded { why: why.name() },
            Fate::Dropped(RuleId(rule)) => FateRecord::Dropped { rule },
            Fate::Delayed(RuleId(rule), delay) => FateRecord::Delayed {
                rule,
                delay: seconds(delay),
            },
            Fate::Held(RuleId(rule)) => FateRecord::Held { rule },
            Fate::Duplicated(RuleId(rule), copies) => FateRecord::Duplicated { rule, copies },
            Fate::Rewritten(RuleId(rule)) => FateRecord::Rewritten { rule },
            Fate::Injected(RuleId(rule)) => FateRecord::Injected { rule },
            Fate::Folded(PacketId(into)) => FateRecord::Folded { into },
        }
    }
}

impl From<Reason> for ReasonRecord {
    fn from(reason: Reason) -> ReasonRecord {
        ReasonRecord {
            kind: reason.name(),
            waited: match reason {
                Reason::DelayedAck(waited) => Some(seconds(waited)),
                _ => None,
            },
            after: match reason {
                Reason::Resent(resend) => Some(resend.name()),
                _ => None,
            },
        }
    }
}

impl From<&Variables> for VariablesRecord {
    fn from(variables: &Variables) -> VariablesRecord {
        VariablesRecord {
            iss: variables.iss.0,
            irs: variables.irs.map(|irs| irs.0),
            snd_una: variables.snd_una.0,
            snd_nxt: variables.snd_nxt.0,
            snd_wnd: variables.snd_wnd,
            rcv_nxt: variables.rcv_nxt.map(|nxt| nxt.0),
            rcv_wnd: variables.rcv_wnd,
            in_flight: variables.in_flight,
            rto: seconds(variables.rto),
            srtt: variables.srtt.map(seconds),
            duplicate_acks: variables.duplicate_acks,
            resent: variables.resent,
            unanswered: variables.unanswered,
        }
    }
}

impl From<Cause> for CauseRecord {
    fn from(cause: Cause) -> CauseRecord {
        match cause {
            Cause::Segment(id) => CauseRecord::Segment { packet: id.0 },
            Cause::Call(call) => CauseRecord::Call { call: call.name() },
            Cause::Timeout(timer) => CauseRecord::Timeout {
                timer: match timer {
                    Timer::User => "user",
                    Timer::TimeWait => "time-wait",
                    Timer::FinWait2 => "fin-wait-2",
                },
            },
        }
    }
}

impl From<&PeerView> for AskedRecord {
    fn from(asked: &PeerView) -> AskedRecord {
        AskedRecord {
            state: asked.state.name(),
            info: asked.info.as_ref().map(InfoRecord::from),
        }
    }
}

impl From<&PeerInfo> for InfoRecord {
    fn from(info: &PeerInfo) -> InfoRecord {
        InfoRecord {
            rtt: seconds(info.rtt),
            rttvar: seconds(info.rttvar),
            rto: seconds(info.rto),
            cwnd: info.cwnd,
            retransmits: info.retransmits,
            total_retransmits: info.total_retransmits,
        }
    }
}

impl<'a> From<&'a Closed> for ClosedRecord<'a> {
    fn from(closed: &'a Closed) -> ClosedRecord<'a> {
        ClosedRecord {
            result: closed.result.as_ref().map(|result| match result {
                Ok(()) => ResultRecord::Ok,
                Err(why) => ResultRecord::Error { why },
            }),
        }
    }
}

/// Whole microseconds up to 2^53 of them, 285 years, are exact.
fn seconds(duration: Duration) -> f64 {
    duration.total_micros() as f64 / 1e6
}

fn as_text<S: serde::Serializer>(
    value: &impl std::fmt::Display,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn as_base64<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Base64Display::new(bytes, &STANDARD))
}
