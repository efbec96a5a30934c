//! Events written by hand, for tests: what the engine would tell, with real packets.

use crate::event::{
    Cause, Closed, Crossed, Direction, Discard, Event, EventKind, Fate, FlowId, Opened, Opening,
    Packet, PacketId, PeerInfo, PeerView, Release, Released, RuleId, Timer, Transition, Transport,
    UserCall,
};
use crate::segment::describe;
use crate::state::TcpState;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{
    IpAddress, IpProtocol, Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
    TcpTimestampRepr, UdpPacket, UdpRepr,
};
use std::net::{Ipv4Addr, SocketAddr};

/// Our initial sequence number, and the peer's, in every flow of a script.
pub(crate) const ISS: u32 = 2880;
pub(crate) const IRS: u32 = 3_054_230_551;

const LOCAL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const PEER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// A sequence of events in the making. Sequence numbers are relative, time stands still unless told.
pub(crate) struct Script {
    pub(crate) events: Vec<Event>,
    now: Instant,
    packets: u64,
    flow: FlowId,
    states: Vec<TcpState>,
}

impl Script {
    pub(crate) fn new() -> Script {
        Script {
            events: Vec::new(),
            now: Instant::from_micros(5_000_000),
            packets: 0,
            flow: FlowId(0),
            states: Vec::new(),
        }
    }

    pub(crate) fn wait(&mut self, micros: u64) -> &mut Script {
        self.now += Duration::from_micros(micros);
        self
    }

    /// What follows belongs to flow `id`, which began before.
    pub(crate) fn on(&mut self, id: u64) -> &mut Script {
        self.flow = FlowId(id);
        self
    }

    /// Begins the next flow.
    pub(crate) fn open(
        &mut self,
        transport: Transport,
        opening: Opening,
        service: &'static str,
    ) -> &mut Script {
        self.states.push(match opening {
            Opening::Passive => TcpState::Listen,
            Opening::Active => TcpState::Closed,
        });
        self.flow = FlowId(self.states.len() as u64);
        let (local, peer) = self.ports();
        self.push(EventKind::Opened(Opened {
            transport,
            local: SocketAddr::new(LOCAL.into(), local),
            peer: SocketAddr::new(PEER.into(), peer),
            opening,
            service,
        }))
    }

    pub(crate) fn passive(&mut self) -> &mut Script {
        self.open(Transport::Tcp, Opening::Passive, "password")
    }

    pub(crate) fn active(&mut self) -> &mut Script {
        self.open(Transport::Tcp, Opening::Active, "echo")
    }

    /// The peer sends a segment: its control bits as packetdrill's letters, without the dot.
    pub(crate) fn get(
        &mut self,
        flags: &str,
        seq: u32,
        ack: Option<u32>,
        payload: &[u8],
    ) -> &mut Script {
        let bytes = self.segment(Direction::In, flags, seq, ack, payload);
        self.packet(Direction::In, bytes, Fate::Delivered, false)
    }

    /// We send a segment.
    pub(crate) fn put(
        &mut self,
        flags: &str,
        seq: u32,
        ack: Option<u32>,
        payload: &[u8],
    ) -> &mut Script {
        let bytes = self.segment(Direction::Out, flags, seq, ack, payload);
        self.packet(Direction::Out, bytes, Fate::Delivered, false)
    }

    /// The segment before this call was a retransmission.
    pub(crate) fn again(&mut self) -> &mut Script {
        if let Some(EventKind::Packet(packet)) = self.events.last_mut().map(|last| &mut last.kind) {
            packet.retransmission = true;
        }
        self
    }

    /// The peer's kernel says what state it is in, with TCP_INFO as long as there is any.
    pub(crate) fn asked(&mut self, state: TcpState) -> &mut Script {
        let info = PeerInfo {
            rtt: Duration::from_micros(120),
            rttvar: Duration::from_micros(60),
            rto: Duration::from_millis(201),
            cwnd: 10,
            retransmits: 0,
            total_retransmits: 1,
        };
        let info = (state != TcpState::TimeWait).then_some(info);
        self.push(EventKind::Asked(PeerView { state, info }))
    }

    /// The packet before this call was discarded.
    pub(crate) fn discarded(&mut self, why: Discard) -> &mut Script {
        if let Some(EventKind::Packet(packet)) = self.events.last_mut().map(|last| &mut last.kind) {
            packet.fate = Fate::Discarded(why);
        }
        self
    }

    /// What became of the packet before this call in the link.
    pub(crate) fn fate(&mut self, fate: Fate) -> &mut Script {
        if let Some(EventKind::Packet(packet)) = self.events.last_mut().map(|last| &mut last.kind) {
            packet.fate = fate;
        }
        self
    }

    /// The segment before this call was rewritten: it has crossed with these control bits and numbers.
    pub(crate) fn crossed_as(
        &mut self,
        fate: Fate,
        flags: &str,
        seq: u32,
        ack: Option<u32>,
    ) -> &mut Script {
        let Some(EventKind::Packet(packet)) = self.events.last().map(|last| &last.kind) else {
            return self;
        };
        let bytes = self.segment(packet.direction, flags, seq, ack, b"");
        if let Some(EventKind::Packet(packet)) = self.events.last_mut().map(|last| &mut last.kind) {
            packet.fate = fate;
            packet.crossed = Some(Box::new(Crossed {
                described: describe(&bytes),
                bytes,
            }));
        }
        self
    }

    /// The packet with this number goes on, with the fate that it then has.
    pub(crate) fn released(&mut self, id: u64, fate: Fate, by: Release) -> &mut Script {
        let waiting = self.events.iter().find_map(|event| match &event.kind {
            EventKind::Packet(packet) if packet.id.0 == id => Some((event.at, packet.clone())),
            _ => None,
        });
        let (since, packet) = waiting.expect("a packet that waits");
        self.push(EventKind::Released(Released {
            packet: Packet { fate, ..packet },
            waited: self.now - since,
            by,
        }))
    }

    pub(crate) fn datagram(&mut self, direction: Direction, payload: &[u8]) -> &mut Script {
        let (local, peer) = self.ports();
        let (src, dst, src_port, dst_port) = match direction {
            Direction::In => (PEER, LOCAL, peer, local),
            Direction::Out => (LOCAL, PEER, local, peer),
        };
        let repr = UdpRepr { src_port, dst_port };
        let mut bytes = ip(src, dst, IpProtocol::Udp, repr.header_len() + payload.len());
        repr.emit(
            &mut UdpPacket::new_unchecked(&mut bytes[20..]),
            &IpAddress::Ipv4(src),
            &IpAddress::Ipv4(dst),
            payload.len(),
            |buffer| buffer.copy_from_slice(payload),
            &ChecksumCapabilities::default(),
        );
        self.packet(direction, bytes, Fate::Delivered, false)
    }

    /// Some bytes from the peer that belong to no flow.
    pub(crate) fn stray(&mut self, bytes: &[u8], fate: Fate) -> &mut Script {
        let flow = std::mem::replace(&mut self.flow, FlowId(0));
        self.packet(Direction::In, bytes.to_vec(), fate, false);
        self.flow = flow;
        self
    }

    /// Our end changes state because of the newest packet.
    pub(crate) fn to(&mut self, state: TcpState) -> &mut Script {
        self.transition(state, Cause::Segment(PacketId(self.packets)))
    }

    pub(crate) fn call(&mut self, state: TcpState, call: UserCall) -> &mut Script {
        self.transition(state, Cause::Call(call))
    }

    pub(crate) fn timeout(&mut self, state: TcpState, timer: Timer) -> &mut Script {
        self.transition(state, Cause::Timeout(timer))
    }

    pub(crate) fn note(&mut self, text: &str) -> &mut Script {
        self.push(EventKind::Note(text.into()))
    }

    pub(crate) fn over(&mut self, result: Option<Result<(), String>>) -> &mut Script {
        self.push(EventKind::Closed(Closed { result }))
    }

    /// SYN, SYN-ACK, ACK, 120 µs apart.
    pub(crate) fn handshake(&mut self) -> &mut Script {
        self.get("S", 0, None, b"").to(TcpState::SynReceived);
        self.wait(120).put("S", 0, Some(1), b"");
        self.wait(120).get("", 1, Some(1), b"");
        self.to(TcpState::Established)
    }

    /// The conversation of the password service up to its answer, `进入成功`: 3 bytes in, 29 out.
    pub(crate) fn password(&mut self) -> &mut Script {
        self.passive().handshake();
        self.wait(80).put("P", 1, Some(1), "请输入密码:".as_bytes());
        self.wait(60).get("", 1, Some(17), b"");
        self.wait(1_204_000).get("P", 1, Some(17), b"123");
        self.wait(90).put("P", 17, Some(4), "进入成功".as_bytes());
        self.wait(70).get("", 4, Some(29), b"")
    }

    /// The peer's FIN and what follows, after `sent` bytes from the peer and `received` from us.
    pub(crate) fn peer_closes(&mut self, sent: u32, received: u32) -> &mut Script {
        let (theirs, ours) = (sent + 1, received + 1);
        self.wait(300).get("F", theirs, Some(ours), b"");
        self.to(TcpState::CloseWait);
        self.wait(40).put("", ours, Some(theirs + 1), b"");
        self.wait(50).call(TcpState::LastAck, UserCall::Close);
        self.put("F", ours, Some(theirs + 1), b"");
        self.wait(60).get("", theirs + 1, Some(ours + 1), b"");
        self.to(TcpState::Closed).over(Some(Ok(())))
    }

    /// Our FIN and what follows, through a TIME-WAIT of 60 s.
    pub(crate) fn we_close(&mut self, sent: u32, received: u32) -> &mut Script {
        let (theirs, ours) = (sent + 1, received + 1);
        self.wait(2_000_000)
            .call(TcpState::FinWait1, UserCall::Close);
        self.put("F", ours, Some(theirs), b"");
        self.wait(55).get("", theirs, Some(ours + 1), b"");
        self.to(TcpState::FinWait2);
        self.wait(410).get("F", theirs, Some(ours + 1), b"");
        self.to(TcpState::TimeWait);
        self.wait(30).put("", ours + 1, Some(theirs + 1), b"");
        self.wait(60_000_000)
            .timeout(TcpState::Closed, Timer::TimeWait);
        self.over(Some(Ok(())))
    }

    /// A connection with which the link interferes in every way there is.
    pub(crate) fn interfered(&mut self) -> &mut Script {
        let second = 1_000_000;
        self.passive();
        self.get("S", 0, None, b"").to(TcpState::SynReceived);
        self.wait(100).put("S", 0, Some(1), b"");
        self.fate(Fate::Dropped(RuleId(1)));
        self.wait(second).put("S", 0, Some(1), b"").again();
        self.fate(Fate::Delayed(RuleId(2), Duration::from_secs(4)));
        self.wait(second).get("S", 0, None, b"").again();
        self.fate(Fate::Duplicated(RuleId(3), 1));
        self.wait(3 * second);
        self.released(3, Fate::Delivered, Release::Time);
        self.wait(100).get("", 1, Some(1), b"");
        self.fate(Fate::Held(RuleId::HAND));
        self.wait(2 * second);
        self.released(5, Fate::Delivered, Release::Hand);
        self.to(TcpState::Established);
        self.wait(100).put("P", 1, Some(1), b"hello");
        self.crossed_as(Fate::Rewritten(RuleId(4)), "F", 1, Some(1));
        self.wait(100).get("", 1, Some(6), b"");
        self.fate(Fate::Dropped(RuleId(5)));
        self.wait(100).get("P", 1, Some(6), b"bye");
        self.fate(Fate::Held(RuleId::HAND));
        self.wait(second);
        self.released(8, Fate::Dropped(RuleId::HAND), Release::Hand);
        self.wait(100).get("R", 1, None, b"");
        self.fate(Fate::Injected(RuleId(6))).to(TcpState::Closed);
        self.over(None)
    }

    fn ports(&self) -> (u16, u16) {
        (1111, 40_000 + self.flow.0 as u16)
    }

    fn segment(
        &self,
        direction: Direction,
        flags: &str,
        seq: u32,
        ack: Option<u32>,
        payload: &[u8],
    ) -> Vec<u8> {
        let (local, peer) = self.ports();
        let (src, dst, src_port, dst_port, own, other) = match direction {
            Direction::In => (PEER, LOCAL, peer, local, IRS, ISS),
            Direction::Out => (LOCAL, PEER, local, peer, ISS, IRS),
        };
        let number =
            |origin: u32, relative: u32| TcpSeqNumber(origin.wrapping_add(relative) as i32);
        let control = match flags {
            "" => TcpControl::None,
            "P" => TcpControl::Psh,
            "S" => TcpControl::Syn,
            "F" => TcpControl::Fin,
            "R" => TcpControl::Rst,
            _ => panic!("no control {flags}"),
        };
        let is_syn = control == TcpControl::Syn;
        let repr = TcpRepr {
            src_port,
            dst_port,
            control,
            seq_number: number(own, seq),
            ack_number: ack.map(|ack| number(other, ack)),
            window_len: 64240,
            window_scale: is_syn.then_some(7),
            max_seg_size: is_syn.then_some(1460),
            sack_permitted: is_syn,
            sack_ranges: [None; 3],
            timestamp: (is_syn && direction == Direction::In)
                .then(|| TcpTimestampRepr::new(1_234_567_890, 0)),
            payload,
        };
        let mut bytes = ip(src, dst, IpProtocol::Tcp, repr.buffer_len());
        repr.emit(
            &mut TcpPacket::new_unchecked(&mut bytes[20..]),
            &IpAddress::Ipv4(src),
            &IpAddress::Ipv4(dst),
            &ChecksumCapabilities::default(),
        );
        bytes
    }

    fn packet(
        &mut self,
        direction: Direction,
        bytes: Vec<u8>,
        fate: Fate,
        retransmission: bool,
    ) -> &mut Script {
        self.packets += 1;
        self.push(EventKind::Packet(Packet {
            id: PacketId(self.packets),
            direction,
            described: describe(&bytes),
            bytes,
            fate,
            crossed: None,
            retransmission,
            reason: None,
            variables: None,
        }))
    }

    fn transition(&mut self, to: TcpState, cause: Cause) -> &mut Script {
        let state = &mut self.states[self.flow.0 as usize - 1];
        let from = std::mem::replace(state, to);
        assert!(from.may_become(to), "the script goes from {from} to {to}");
        self.push(EventKind::Transition(Transition { from, to, cause }))
    }

    fn push(&mut self, kind: EventKind) -> &mut Script {
        self.events.push(Event {
            number: self.events.len() as u64 + 1,
            at: self.now,
            flow: Some(self.flow).filter(|flow| flow.0 > 0),
            kind,
        });
        self
    }
}

fn ip(src: Ipv4Addr, dst: Ipv4Addr, next_header: IpProtocol, payload_len: usize) -> Vec<u8> {
    let repr = Ipv4Repr {
        src_addr: src,
        dst_addr: dst,
        next_header,
        payload_len,
        hop_limit: 64,
    };
    let mut bytes = vec![0; 20 + payload_len];
    repr.emit(
        &mut Ipv4Packet::new_unchecked(&mut bytes),
        &ChecksumCapabilities::default(),
    );
    bytes
}
