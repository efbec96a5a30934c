//! One TCP connection: its socket, its program, and everything that is watched about it.

mod arriving;
mod departing;
mod driving;
mod holes;
mod knobs;
mod program;
mod recovery;
mod timers;
mod urgent;
mod verdicts;

use super::Shared;
use crate::event::{Cause, Direction, EventKind, FlowId, Opening, Transition, UserCall, Variables};
use crate::fault::Closing;
use crate::segment::SeqNumber;
use crate::service::connection::{Conduct, Endpoint, Observed};
use crate::service::{Connection, Program, Task};
use crate::stack::path::Path;
use crate::stack::senders::Sender;
use crate::stack::socket::Socket;
use crate::stack::table::FlowKey;
use crate::state::TcpState;
use crate::tcb::Tcb;
pub(super) use driving::{Rest, Settled};
use holes::Kept;
use smoltcp::time::{Duration, Instant};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
pub(super) use verdicts::Severity;

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
    tcb: Tcb,
    /// What is in flight, where the peer is far away.
    kept: Kept,
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
    /// When our end closes by itself, and has not yet.
    closing: Option<Closing>,
    /// How long after the handshake the program gets to read.
    reads_after: Option<Duration>,
    /// How long a SYN-ACK waits at least before it is retransmitted, where a knob says so; and when the last one left.
    syn_ack_retry: Option<Duration>,
    syn_ack_at: Option<Instant>,
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
    pub(super) fn new(
        id: FlowId,
        key: FlowKey,
        socket: Socket,
        tcb: Tcb,
        start: Start,
        task: Task,
    ) -> TcpFlow {
        let endpoint = Endpoint {
            socket,
            handshake: Observed::new(id, key.local, key.peer, tcb.opening, tcb.snd.una),
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
            half_open: tcb.opening == Opening::Passive,
            tcb,
            kept: Kept::default(),
            warned: None,
            assumed: false,
            peer_mss: None,
            path: Path::default(),
            sender: Sender::default(),
            urgent: None,
            closing: None,
            reads_after: None,
            syn_ack_retry: None,
            syn_ack_at: None,
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

    /// How long its TIME-WAIT lasts, if it differs from the default.
    pub(super) fn own_time_wait(&self) -> Option<Duration> {
        self.tcb.deadlines.own_time_wait()
    }

    /// Since when there has been nothing left to do but wait, while the program still ran.
    pub(super) fn time_wait_since(&self) -> Option<Instant> {
        self.tcb.deadlines.rests_since()
    }

    /// Since when nothing has gone on; `None` where it must stay: the handshake is not complete, we began, or it is over.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let passive = self.endpoint.borrow().handshake.opening == Opening::Passive;
        let stays = self.half_open || !passive || self.state() == TcpState::Closed;
        (!stays).then(|| self.tcb.deadlines.idle_since())
    }

    /// Whether it counts against the backlog.
    pub(super) fn is_half_open(&self) -> bool {
        self.half_open
    }

    /// The numbers of a reset, where there is anybody to be told.
    pub(super) fn reset_numbers(&self) -> Option<(SeqNumber, SeqNumber)> {
        self.tcb.reset_numbers()
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
        if now < self.tcb.deadlines.idle_since() + pause || endpoint.socket.queued() > 0 {
            return false;
        }
        // An empty buffer is lent as a whole. After CLOSE it isn't lent any more.
        endpoint.socket.write(|space| {
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
        self.tcb.leave(&mut shared.crowd);
        let reusable = !self.tcb.snd.has_seen_trouble();
        let result = match self.program {
            Stage::Over(result) => result,
            Stage::Waiting(_) | Stage::Running(_) => None,
        };
        if let (true, Some(endpoint)) = (reusable, Rc::into_inner(self.endpoint)) {
            let mut endpoint = endpoint.into_inner();
            // What was written to the buffers, also where it has not crossed.
            let received = match self.tcb.rcv.has_islands() {
                true => u64::MAX,
                false => endpoint.received().0,
            };
            let used = [received, endpoint.written];
            shared.pool.put_back(now, endpoint.socket, used);
        }
        result
    }

    /// The variables as they are now, where anybody wants to know.
    fn variables(&self, shared: &Shared) -> Option<Box<Variables>> {
        if !shared.journal.wants_packets() {
            return None;
        }
        let socket = &self.endpoint.borrow().socket;
        let room = socket.buffer().saturating_sub(socket.unread());
        Some(Box::new(self.tcb.variables(room)))
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
