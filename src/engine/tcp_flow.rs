//! One TCP connection: its socket, its program, and everything that is watched about it.

mod departing;
mod driving;
mod guarded;
mod holes;
mod knobs;
mod program;
mod recovery;
mod timers;
mod urgent;

use super::Shared;
use super::account::Account;
use crate::event::{
    Cause, Direction, EventKind, FlowId, Limit, Opening, PacketId, Transition, UserCall, Variables,
};
use crate::fault::Closing;
use crate::link::{Incoming, Remarks};
use crate::segment::{Flags, Segment, SeqNumber};
use crate::service::connection::{Conduct, Endpoint, Observed};
use crate::service::{Connection, Program, Task};
use crate::stack::fragments::without_extensions;
use crate::stack::guard::{Guard, Known, Verdict};
use crate::stack::marking::dscp;
use crate::stack::path::Path;
use crate::stack::pool::{Pooled, buffer_of};
use crate::stack::senders::Sender;
use crate::stack::table::FlowKey;
use crate::stack::{iss, reply};
use crate::state::TcpState;
pub(super) use driving::{Rest, Settled};
use holes::Kept;
use smoltcp::socket::tcp;
use smoltcp::time::{Duration, Instant};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;

/// Makes the program of a connection once it is established.
pub(super) enum Start {
    /// That of a service, which makes one for each of its connections.
    Service(Rc<dyn Fn(Connection) -> Program>),
    Client(Box<dyn FnOnce(Connection) -> Program>),
}

/// A connection that has a socket.
pub(super) struct TcpFlow {
    pub(super) id: FlowId,
    pub(super) key: FlowKey,
    endpoint: Rc<RefCell<Endpoint>>,
    task: Task,
    program: Stage,
    /// Something happened that the program has not been told.
    woken: bool,
    /// Our end is in LISTEN's hands until the handshake is complete: it counts against the backlog.
    half_open: bool,
    /// What smoltcp's sequence numbers are moved by, known once its first segment has left.
    shift: Option<u32>,
    account: Account,
    guard: Guard,
    /// What is in flight, where the peer is far away.
    kept: Kept,
    /// Keep-alives that were not answered, and when the last of them left.
    kept_alive: Option<(u8, Instant)>,
    /// Of what an ICMP message has warned.
    warned: Option<io::ErrorKind>,
    /// The SYN was answered with a cookie; that there is a connection was not told yet.
    assumed: bool,
    /// The MSS that the peer has announced.
    peer_mss: Option<u16>,
    path: Path,
    /// Who sends in bulk is one of many.
    sender: Sender,
    /// SND.UP, until it is acknowledged.
    urgent: Option<SeqNumber>,
    /// When data came or went last that had not before, or the connection began.
    progress: Instant,
    /// Since when the peer owes us an acknowledgment, and in which state.
    owed: Option<(Instant, TcpState)>,
    /// The peer keeps its window shut, and has answered when it was probed last.
    excused: bool,
    /// Since when nobody waits for the peer's FIN any more.
    orphaned: Option<Instant>,
    /// When TIME-WAIT was entered.
    time_wait_entered: Option<Instant>,
    /// Since when everything was sent and acknowledged in TIME-WAIT.
    time_wait_since: Option<Instant>,
    /// How long TIME-WAIT lasts, where that is not what all do.
    pub(super) time_wait: Option<Duration>,
    /// When our end closes by itself, and has not yet.
    closing: Option<Closing>,
    /// How long after the handshake the program gets to read.
    reads_after: Option<Duration>,
    /// How much had been written when the send buffer was released last.
    released: u64,
}

enum Stage {
    /// Until the handshake is complete.
    Waiting(Start),
    Running(Program),
    /// The program has returned, or never ran.
    Over(Option<Result<(), String>>),
}

impl TcpFlow {
    /// A connection that begins. In a passive open, [`arrive`](TcpFlow::arrive) is to be called next with its SYN.
    #[expect(clippy::too_many_arguments)]
    pub(super) fn new(
        now: Instant,
        id: FlowId,
        key: FlowKey,
        opening: Opening,
        iss: SeqNumber,
        pooled: Pooled,
        start: Start,
        task: Task,
    ) -> TcpFlow {
        let buffer = buffer_of(pooled.sockets.get::<tcp::Socket>(pooled.handle));
        let endpoint = Endpoint {
            sockets: pooled.sockets,
            handle: pooled.handle,
            handshake: Observed::new(id, key.local, key.peer, opening, iss),
            end: None,
            unanswered: 0,
            dscp: None,
            heard_dscp: 0,
            urgent_end: 0,
            urgent_marked: None,
            consumed: 0,
            written: 0,
            share: usize::MAX,
            finished: false,
            released: false,
            close_waits: false,
            shut: false,
            transitions: Vec::new(),
            conduct: Conduct::default(),
        };
        TcpFlow {
            id,
            key,
            endpoint: Rc::new(RefCell::new(endpoint)),
            task,
            program: Stage::Waiting(start),
            woken: false,
            half_open: opening == Opening::Passive,
            shift: None,
            account: Account::new(iss, buffer),
            guard: Guard::default(),
            kept: Kept::default(),
            kept_alive: None,
            warned: None,
            assumed: false,
            peer_mss: None,
            path: Path::default(),
            sender: Sender::default(),
            urgent: None,
            progress: now,
            owed: None,
            excused: false,
            orphaned: None,
            time_wait_entered: None,
            time_wait_since: None,
            time_wait: None,
            closing: None,
            reads_after: None,
            released: 0,
        }
    }

    /// The state of our end.
    pub(super) fn state(&self) -> TcpState {
        self.endpoint.borrow().state()
    }

    /// Whether a program runs or will run.
    pub(super) fn has_program(&self) -> bool {
        !matches!(self.program, Stage::Over(_))
    }

    /// Since when there has been nothing left to do but wait, while the program still ran.
    pub(super) fn time_wait_since(&self) -> Option<Instant> {
        self.time_wait_since
    }

    /// Since when nothing has gone on; `None` where it must stay: the handshake is not complete, we began, or it is over.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let passive = self.endpoint.borrow().handshake.opening == Opening::Passive;
        let stays = self.half_open || !passive || self.state() == TcpState::Closed;
        (!stays).then_some(self.progress)
    }

    /// Whether it counts against the backlog.
    pub(super) fn is_half_open(&self) -> bool {
        self.half_open
    }

    /// The numbers of a reset, where there is anybody to be told.
    pub(super) fn reset_numbers(&self) -> Option<(SeqNumber, SeqNumber)> {
        self.account.reset_numbers()
    }

    /// SEGMENT ARRIVES (RFC 9293, section 3.10.7).
    pub(super) fn arrive(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        incoming: Incoming<'_>,
        segment: &Segment,
    ) -> PacketId {
        let before = self.state();
        let retransmission = self.account.repeats(segment);
        // Section 3.10.7.1. smoltcp's own answer would have numbers that mean nothing on the wire.
        if before == TcpState::Closed {
            let id = self.tell_arrived(shared, now, &incoming, retransmission);
            if let Some(reset) = reply::reset(self.key.local, self.key.peer, segment) {
                shared.send_marked(now, Some(self.id), reset, self.marking(shared));
            }
            return id;
        }
        let (received, finished) = {
            let mut endpoint = self.endpoint.borrow_mut();
            endpoint.heard_dscp = dscp(incoming.bytes);
            endpoint.received()
        };
        let known = self.known(shared, before, received, finished);
        let verdict = self.guard.judge(now, segment, &known);
        let is_acceptable = !matches!(verdict, Verdict::Unacceptable(_));
        let instead = match verdict {
            Verdict::Pass => None,
            Verdict::Instead(changed) | Verdict::Unacceptable(changed) => Some(changed),
            _ => {
                let id = self.tell_arrived(shared, now, &incoming, retransmission);
                self.answer(shared, now, &verdict, &known);
                self.fill_gap(shared, now);
                return id;
            }
        };
        (self.kept_alive, self.warned) = (None, None);
        // What is told is what has arrived; what counts may be less.
        let segment = instead.as_ref().unwrap_or(segment);
        let queued = self.endpoint.borrow().socket().send_queue();
        let stranded = match is_acceptable {
            true => None,
            false => known.acknowledgment_in(segment),
        };
        let counts = stranded.as_ref().or(is_acceptable.then_some(segment));
        let kept = counts.and_then(|segment| self.kept_open(segment));
        if let Some(stranded) = &stranded {
            self.guard.shows_window();
            let bare = kept.as_ref().unwrap_or(stranded);
            let mut bare = reply::segment(self.key.peer, self.key.local, bare, &[]);
            iss::translate_in(&mut bare, self.shift.unwrap_or(0));
            let sockets = &mut self.endpoint.borrow_mut().sockets;
            // Whatever it may want to answer, the segment itself is answered below.
            shared.tcp.ingress(now, &bare, sockets, &mut shared.room);
        }
        // It sees no text that is not acceptable: it would take it for something else.
        let old = (!is_acceptable).then(|| known.old(segment));
        let changed = old.as_ref().or(kept.as_ref());
        // smoltcp reads no extension headers but hop-by-hop options, and makes nothing of those.
        let mut plain = match changed.or(instead.as_ref()) {
            Some(changed) => {
                let payload = &incoming.bytes[changed.payload.clone()];
                let (peer, local) = (self.key.peer, self.key.local);
                Some(reply::segment(peer, local, changed, payload))
            }
            None => without_extensions(incoming.bytes),
        };
        let packet = plain.as_deref_mut().unwrap_or(incoming.bytes);
        if let Some(shift) = self.shift {
            iss::translate_in(packet, shift);
        }
        let answer = if self.state() == TcpState::Closed {
            None
        } else {
            let sockets = &mut self.endpoint.borrow_mut().sockets;
            shared.tcp.ingress(now, packet, sockets, &mut shared.room)
        };
        if let Some(shift) = self.shift {
            // What is told is what the wire carried.
            iss::translate_in(packet, shift.wrapping_neg());
        }
        if segment.flags.contains(Flags::SYN) && before != self.state() {
            self.endpoint.borrow_mut().handshake.irs = segment.seq;
            self.peer_mss = segment.max_segment_size();
            self.account.synchronize(segment);
            self.guard.synchronize(now, segment, &known);
        }
        self.account.note_numbers(segment);
        if let Some(counts) = counts {
            self.account.arrived(now, counts);
        }
        self.kept.acknowledged(self.account.outstanding().0);
        // The ACK of the FIN is that of all before it.
        let took_fin = self.take_early_fin(shared, now, segment);
        let answer = answer.filter(|_| !took_fin);
        // Nor is an acknowledgment acknowledged.
        let answer = answer.filter(|_| !(before == TcpState::LastAck && known.is_bare(segment)));
        let id = self.tell_arrived(shared, now, &incoming, retransmission);
        let after = self.state();
        self.endpoint.borrow_mut().shut = self.account.flight().1 == 0;
        // RFC 9293, section 3.8.6.1 (MUST-37): "As long as the receiving TCP endpoint continues to send
        // acknowledgments in response to the probe segments, the sending TCP endpoint MUST allow the
        // connection to stay open."
        self.excused =
            before.is_synchronized() && segment.window == 0 && segment.acknowledges().is_some();
        let still_queued = self.endpoint.borrow().socket().send_queue();
        if still_queued < queued {
            self.endpoint.borrow_mut().unanswered = 0;
            self.owed = None;
            self.progress = now;
            if still_queued == 0 {
                self.stop_probing(shared, now);
            }
        }
        let brings = !segment.payload.is_empty() && known.rcv_nxt.before(segment.end());
        if brings && is_acceptable {
            self.progress = now;
        }
        if segment.flags.contains(Flags::URG) {
            self.hear_urgent(segment, &known, received);
        }
        if self.guard.take_refused() {
            shared.limited(now, Some(self.id), Limit::Gaps);
        }
        if std::mem::take(&mut self.assumed) {
            let (from, to) = (TcpState::Listen, TcpState::SynReceived);
            self.transition(shared, now, from, to, Cause::Segment(id));
        }
        if before != after {
            self.transition(shared, now, before, after, Cause::Segment(id));
            if after == TcpState::TimeWait {
                self.time_wait_entered = Some(now);
            }
            if segment.flags.contains(Flags::RST) {
                // Section 3.10.7.4: a reset of an active open in SYN-RECEIVED means "connection refused" too.
                let opening = self.endpoint.borrow().handshake.opening;
                let refused = before == TcpState::SynSent
                    || before == TcpState::SynReceived && opening == Opening::Active;
                self.endpoint.borrow_mut().end.get_or_insert(if refused {
                    io::ErrorKind::ConnectionRefused
                } else {
                    io::ErrorKind::ConnectionReset
                });
            }
        }
        if self.time_wait_since.is_some() && segment.flags.contains(Flags::FIN) {
            // "Acknowledge it, and restart the 2 MSL timeout."
            self.time_wait_since = Some(now);
        }
        self.observe(now, Direction::In, incoming.bytes);
        self.woken = true;
        match answer {
            Some(len) => self.leave_at_once(shared, now, len),
            None if self.must_acknowledge(segment, &known, is_acceptable) => {
                self.acknowledge_at_once(shared, now);
            }
            None => {}
        }
        if kept.is_some() && after.is_synchronized() {
            self.tell_window(shared, now, 0);
        }
        self.fill_gap(shared, now);
        id
    }

    /// Whether a segment is to be acknowledged at once that smoltcp has no answer to: a FIN alone behind a gap (RFC 5681,
    /// section 4.2: "an immediate duplicate ACK when an out-of-order segment arrives"). And once there is a FIN behind the
    /// last byte of the window, smoltcp takes nothing more before it has acknowledged that.
    fn must_acknowledge(&self, segment: &Segment, known: &Known, is_acceptable: bool) -> bool {
        if !is_acceptable || !self.state().is_synchronized() {
            return false;
        }
        let is_fin = segment.flags.contains(Flags::FIN) && segment.payload.is_empty();
        let is_early = is_fin && self.guard.holds_fin() && known.rcv_nxt.before(segment.seq);
        let (received, finished) = self.endpoint.borrow_mut().received();
        let ends = finished && !known.finished;
        is_early || ends && self.account.is_overrun(received, finished)
    }

    /// CLOSE, ABORT or nothing but a look, asked for from outside.
    pub(super) fn call(&mut self, shared: &mut Shared, now: Instant, call: Option<UserCall>) {
        let mut endpoint = self.endpoint.borrow_mut();
        match call {
            Some(UserCall::Abort) => endpoint.abort(),
            Some(call) => endpoint.call(call),
            None => {}
        }
        drop(endpoint);
        self.tell_calls(shared, now);
        self.woken = true;
    }

    /// Whether the send buffer has been written to since it was released.
    pub(super) fn has_written(&self) -> bool {
        self.endpoint.borrow().written > self.released
    }

    /// Hands the send buffer to `release` if it is empty, and nothing has gone on for `pause`.
    pub(super) fn release(
        &mut self,
        now: Instant,
        pause: Duration,
        release: fn(&mut [u8]),
    ) -> bool {
        let mut endpoint = self.endpoint.borrow_mut();
        if now < self.progress + pause || endpoint.socket().send_queue() > 0 {
            return false;
        }
        // An empty buffer is lent as a whole. After CLOSE it isn't lent any more.
        let _ = endpoint.socket_mut().send(|space| {
            release(space);
            (0, ())
        });
        self.released = endpoint.written;
        true
    }

    /// Gives back what the flow held, and says how its program ended.
    pub(super) fn finish(
        mut self,
        shared: &mut Shared,
        now: Instant,
    ) -> Option<Result<(), String>> {
        self.account.leave(&mut shared.crowd);
        let reusable = !self.account.has_seen_trouble();
        let result = match self.program {
            Stage::Over(result) => result,
            Stage::Waiting(_) | Stage::Running(_) => None,
        };
        if let (true, Some(endpoint)) = (reusable, Rc::into_inner(self.endpoint)) {
            let mut endpoint = endpoint.into_inner();
            // What was written to the buffers, also where it has not crossed.
            let received = match self.guard.has_islands() {
                true => u64::MAX,
                false => endpoint.received().0,
            };
            let used = [received, endpoint.written];
            let Endpoint {
                sockets, handle, ..
            } = endpoint;
            let pooled = Pooled { sockets, handle };
            shared.pool.put_back(now, pooled, used);
        }
        result
    }

    fn tell_arrived(
        &self,
        shared: &mut Shared,
        now: Instant,
        incoming: &Incoming<'_>,
        retransmission: bool,
    ) -> PacketId {
        #[cfg(test)]
        shared.trap(super::defect::Trap::Arrival, Some(self.id));
        let remarks = Remarks {
            retransmission,
            reason: None,
            variables: self.variables(shared),
        };
        let flow = Some(self.id);
        shared
            .link
            .arrived(&mut shared.journal, now, flow, incoming, None, remarks)
    }

    /// The variables as they are now, where anybody wants to know.
    fn variables(&self, shared: &Shared) -> Option<Box<Variables>> {
        if !shared.journal.wants_packets() {
            return None;
        }
        let mut endpoint = self.endpoint.borrow_mut();
        let (received, finished) = endpoint.received();
        let socket = endpoint.socket();
        let room = buffer_of(socket).saturating_sub(socket.recv_queue());
        Some(Box::new(self.account.variables(received, finished, room)))
    }

    /// Notes a packet as part of the handshake, as long as that goes on.
    fn observe(&mut self, now: Instant, direction: Direction, packet: &[u8]) {
        let mut endpoint = self.endpoint.borrow_mut();
        if !endpoint.handshake.is_complete() {
            let state = endpoint.state();
            endpoint.handshake.note(now, direction, packet, state);
        }
    }

    fn tell_calls(&mut self, shared: &mut Shared, now: Instant) {
        let transitions = std::mem::take(&mut self.endpoint.borrow_mut().transitions);
        for Transition { from, to, cause } in transitions {
            self.transition(shared, now, from, to, cause);
        }
        for note in self.task.take_notes() {
            shared
                .journal
                .tell(now, Some(self.id), EventKind::Note(note));
        }
    }

    fn transition(
        &self,
        shared: &mut Shared,
        now: Instant,
        from: TcpState,
        to: TcpState,
        cause: Cause,
    ) {
        debug_assert!(
            from.may_become(to),
            "{from} → {to} is no edge of RFC 9293 ({cause:?})"
        );
        let transition = Transition { from, to, cause };
        shared
            .journal
            .tell(now, Some(self.id), EventKind::Transition(transition));
        shared.entered(now, self.id, self.key, to);
    }
}
