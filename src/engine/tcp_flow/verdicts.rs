//! Carries out what the control block says of segments and of sending.

use super::TcpFlow;
use crate::engine::Shared;
use crate::event::{Cause, EventKind, PacketId};
use crate::segment::{Flags, Options, Segment, SeqNumber, own_segment};
use crate::stack::marking::Marking;
use crate::stack::reply;
use crate::stack::socket::Moment;
use crate::stack::tcp::ip_header_len;
use crate::state::TcpState;
use crate::tcb::{Advice, Verdict};
use smoltcp::time::Instant;
use std::io;

/// How bad an error is for a connection (RFC 9293, section 3.9.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Severity {
    /// It may pass: "a TCP implementation MUST NOT abort the connection".
    Soft(io::ErrorKind),
    /// Nobody will ever answer: "TCP implementations SHOULD abort the connection".
    Hard(io::ErrorKind),
}

impl TcpFlow {
    /// Brings the connection to where it would be had its SYN been kept, which was answered with a cookie:
    /// [`arrive`](TcpFlow::arrive) is to be called next with the ACK. Nothing of this crosses the link.
    pub(in crate::engine) fn assume(&mut self, shared: &mut Shared, now: Instant, syn: &Segment) {
        let mut packet = reply::segment(self.key.peer, self.key.local, syn, &[]);
        {
            let mut endpoint = self.endpoint.borrow_mut();
            endpoint.handshake.irs = syn.seq;
            endpoint.socket.deliver(shared.moment(now), &mut packet);
        }
        self.tcb.synchronize(now, syn);
        self.tcb.arrived(now, syn);
        let len = self.emit(shared, now);
        let mut room = std::mem::take(&mut shared.room);
        if let Some(len) = len {
            let len = self.complete(shared, now, &mut room, len);
            self.seal(shared, &mut room[..len]);
            if let Some(syn_ack) = own_segment(&room[..len], ip_header_len(self.key.local.ip())) {
                self.tcb.sent(now, &syn_ack);
            }
        }
        shared.room = room;
        self.assumed = true;
    }

    /// What the IP headers of our segments say.
    pub(super) fn marking(&self, shared: &Shared) -> Marking {
        Marking {
            hop_limit: shared.config.hop_limit,
            dscp: self.endpoint.borrow().dscp.unwrap_or(shared.config.dscp),
        }
    }

    /// Answers a segment that smoltcp does not get to see.
    pub(super) fn answer(&mut self, shared: &mut Shared, now: Instant, verdict: &Verdict) {
        match verdict {
            Verdict::Challenge => {
                let (local, peer) = (self.key.local, self.key.peer);
                let numbers = (self.tcb.snd.nxt, self.tcb.rcv.nxt);
                let window = self.tcb.advertised_field();
                self.tcb.advertised(window);
                let options = self.tcb.stamps().option(now);
                let challenge = reply::acknowledgment(local, peer, numbers, window, options);
                shared.send_marked(now, Some(self.id), challenge, self.marking(shared));
            }
            Verdict::Again => self.send_early(shared, now),
            _ => {}
        }
    }

    /// Lets smoltcp send again at once what it would send again when its timer goes off.
    pub(super) fn send_early(&mut self, shared: &mut Shared, now: Instant) {
        let due = self.socket_at(shared, now);
        if let Some(len) = due.and_then(|due| self.emit(shared, due.max(now))) {
            self.leave_at_once(shared, now, len);
        }
    }

    /// Lets smoltcp make a packet, in the room for answers.
    fn emit(&self, shared: &mut Shared, now: Instant) -> Option<usize> {
        let socket = &mut self.endpoint.borrow_mut().socket;
        socket.emit(shared.moment(now), self.room_on_path())
    }

    /// Completes a packet that smoltcp has made, in a room for the largest; its new length.
    pub(super) fn complete(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        room: &mut [u8],
        len: usize,
    ) -> usize {
        let src = self.key.local.ip();
        self.tcb.complete(now, room, len, src, &mut shared.crowd)
    }

    /// A packet in the room for answers leaves before anything else does.
    pub(super) fn leave_at_once(&mut self, shared: &mut Shared, now: Instant, len: usize) {
        let mut room = std::mem::take(&mut shared.room);
        let len = self.complete(shared, now, &mut room, len);
        if let Some(transmit) = self.depart(shared, now, &mut room[..len]) {
            shared.link.keep(room[..len].to_vec(), transmit.offload);
        }
        shared.room = room;
    }

    /// Keeps smoltcp from sending what should wait. Returns whether only an ACK may leave, and one is due.
    pub(super) fn restrain(&mut self, shared: &mut Shared, now: Instant) -> bool {
        let state = self.state();
        let (queued, nagle) = {
            let endpoint = self.endpoint.borrow();
            let socket = &endpoint.socket;
            (socket.queued() as u32, socket.has_nagle())
        };
        if queued == 0 || !state.is_synchronized() || state == TcpState::TimeWait {
            self.tcb.nothing_waits();
            return false;
        }
        let closed = !matches!(state, TcpState::Established | TcpState::CloseWait);
        match self.tcb.advise(now, queued, closed) {
            Advice::AckOnly if nagle && self.tcb.rcv.owes_acknowledgment() => {
                return self.is_due(shared, now);
            }
            Advice::Shut => self.tell_window(shared, now, 0),
            Advice::Open => self.tell_window(shared, now, self.tcb.snd.wnd),
            Advice::ProbeLater if self.is_due(shared, now) => {
                self.tell_window(shared, now, 1);
                self.tell_window(shared, now, 0);
            }
            Advice::AckOnly | Advice::ProbeLater | Advice::Send => {}
        }
        false
    }

    fn is_due(&self, shared: &mut Shared, now: Instant) -> bool {
        self.socket_at(shared, now).is_some_and(|due| due <= now)
    }

    /// Acknowledges what there is without delay.
    pub(super) fn acknowledge_at_once(&mut self, shared: &mut Shared, now: Instant) {
        let mut room = std::mem::take(&mut shared.room);
        let len = self.prod(shared, now, &mut room);
        shared.room = room;
        if let Some(len) = len {
            self.leave_at_once(shared, now, len);
        }
    }

    /// Makes smoltcp acknowledge, and nothing else. The packet is written to `room`.
    pub(super) fn prod(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        room: &mut [u8],
    ) -> Option<usize> {
        let mut old = self.pure(None);
        old.seq = self.tcb.rcv.nxt - 1;
        let moment = Moment {
            room,
            ..shared.moment(now)
        };
        let socket = &mut self.endpoint.borrow_mut().socket;
        socket.hint_old(moment, &self.key, &old)
    }

    /// Lets smoltcp think that the peer has told this window, in bytes.
    pub(super) fn tell_window(&mut self, shared: &mut Shared, now: Instant, window: u32) {
        let told = self.pure(Some(window));
        let socket = &mut self.endpoint.borrow_mut().socket;
        socket.hint_window(shared.moment(now), &self.key, &told);
    }

    /// A segment of the peer's that says nothing new, but perhaps a window in bytes.
    pub(super) fn pure(&self, window: Option<u32>) -> Segment {
        Segment {
            src_port: self.key.peer.port(),
            dst_port: self.key.local.port(),
            seq: self.tcb.rcv.nxt,
            ack: self.tcb.snd.una,
            flags: Flags::ACK,
            window: self.tcb.window_field(window),
            urgent: 0,
            options: Options::new(),
            payload: 0..0,
            checksum_ok: true,
        }
    }

    /// An ICMP error speaks of a segment of ours with this number.
    pub(in crate::engine) fn hear_error(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        packet: PacketId,
        severity: Severity,
        seq: Option<SeqNumber>,
    ) {
        let state = self.state();
        // RFC 5927, section 4.1: one that speaks of nothing that is in flight comes from somebody who guesses.
        if !seq.is_some_and(|seq| self.tcb.snd.is_in_flight(seq)) {
            return;
        }
        match severity {
            // Section 5.2: "hard errors" abort a connection that is not synchronized, and are soft for others.
            Severity::Hard(kind) if state == TcpState::SynSent => {
                {
                    let mut endpoint = self.endpoint.borrow_mut();
                    endpoint.socket.forget();
                    endpoint.end.get_or_insert(kind);
                }
                self.transition(shared, now, state, self.state(), Cause::Segment(packet));
                self.woken = true;
            }
            Severity::Hard(kind) | Severity::Soft(kind) => self.warned = Some(kind),
        }
    }

    /// How large a packet smoltcp may make, where the path carries less than our MTU: options are added to it.
    pub(super) fn room_on_path(&self) -> Option<u16> {
        let mtu = self.path.mtu()?;
        Some(mtu - self.tcb.options_len() as u16)
    }

    /// How much a full segment of ours carries.
    pub(super) fn full_segment(&self) -> usize {
        let own = self.tcb.own_mss();
        let mss = self.peer_mss.map_or(own, |mss| mss.min(own));
        usize::from(mss).saturating_sub(self.tcb.options_len())
    }

    /// A router says that a packet of ours of `len` bytes, which carried this number, was larger than the `mtu` of the next
    /// link. What is lost by that is sent again, smaller, when the retransmission timer goes off.
    pub(in crate::engine) fn hear_too_big(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        mtu: u32,
        seq: Option<SeqNumber>,
        len: usize,
    ) {
        // RFC 5927, section 7.2, as for all errors: it must speak of something that is in flight.
        if !seq.is_some_and(|seq| self.tcb.snd.is_in_flight(seq)) {
            return;
        }
        let (v4, own) = (self.key.local.is_ipv4(), shared.config.mtu);
        let Some(mtu) = self.path.hear(v4, own, mtu, len) else {
            return;
        };
        let mss = mtu - if v4 { 40 } else { 60 } - self.tcb.options_len() as u16;
        self.tcb.narrow(mss);
        let note = format!("the path carries {mtu} bytes: segments of {mss} from now on");
        shared
            .journal
            .tell(now, Some(self.id), EventKind::Note(note));
    }
}
