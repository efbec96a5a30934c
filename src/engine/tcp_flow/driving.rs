//! A connection goes on: one packet at a time, until it has nothing more to do for now.

use super::recovery::Thinned;
use super::{Stage, TcpFlow};
use crate::engine::{Driven, Shared};
use crate::stack::socket::Moment;
use crate::stack::time_wait::TimeWait;
use crate::stack::timers::earlier;
use crate::state::TcpState;
use smoltcp::time::{Duration, Instant};

/// How often a flow may have something to do in a row of which nothing leaves: more than a buffer holds segments. What is
/// left goes on after [`PAUSE`], so that neither a program nor smoltcp stops everything else.
const MOST_ROUNDS: usize = 20_000;

/// How soon a flow goes on that is due already though there was nothing to do.
const PAUSE: Duration = Duration::from_millis(1);

/// That there is nothing to do at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Settled {
    /// When smoltcp wants to go on.
    socket_at: Option<Instant>,
}

/// What is left of a flow when it has nothing more to do for now.
pub(in crate::engine) enum Rest {
    /// It waits for segments and timers.
    Waits,
    /// It only waits in TIME-WAIT from now on.
    TimeWait(TimeWait),
    /// It is over.
    Over,
}

impl TcpFlow {
    /// Goes on with whatever can be done at `now` until a packet is made, which is written to `room`.
    pub(in crate::engine) fn drive(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        room: &mut [u8],
    ) -> Driven {
        self.check_timers(shared, now);
        if self.woken && shared.config.offload {
            self.answer_first(shared, now);
        }
        for _ in 0..MOST_ROUNDS {
            let before = self.state();
            let syn_ack_waits = self.syn_ack_waits_until().is_some_and(|until| now < until);
            // smoltcp's own TIME-WAIT would end after ten seconds; ours is longer.
            let len = if self.tcb.deadlines.rests_since().is_some() {
                None
            } else if self.restrain(shared, now) {
                self.prod(shared, now, room)
            } else {
                // It must not end before the last ACK has left either, however late we get to it.
                let now = self.tcb.deadlines.smoltcps_time(now);
                // Nor may it know yet that a SYN-ACK is due again which is to wait.
                let limit = self.syn_ack_at.filter(|_| syn_ack_waits);
                let now = limit.map_or(now, |limit| now.min(limit));
                let moment = Moment {
                    room,
                    ..shared.moment(now)
                };
                let socket = &mut self.endpoint.borrow_mut().socket;
                socket.emit(moment, self.room_on_path())
            };
            debug_assert_eq!(
                before,
                self.state(),
                "smoltcp has no timer of its own that is set"
            );
            if let Some(len) = len {
                let len = self.complete(shared, now, room, len);
                if self.tcb.is_idle_talk(&room[..len]) {
                    continue;
                }
                let len = self.strip(shared, room, len);
                if self.urgent.is_some() && self.cut(shared, now, &room[..len]) {
                    return Driven::Stopped;
                }
                if self.tcb.recovery.has_sacked() {
                    match self.thin(shared, now, &room[..len]) {
                        Thinned::Whole => {}
                        Thinned::Nothing => continue,
                        Thinned::Parts => return Driven::Stopped,
                    }
                }
                let Some(transmit) = self.depart(shared, now, &mut room[..len]) else {
                    return Driven::Stopped;
                };
                return match self.settle(shared, now) {
                    Some(settled) => Driven::Last(transmit, settled),
                    None => Driven::Packet(transmit),
                };
            }
            if self.fill_holes(shared, now) {
                return Driven::Stopped;
            }
            if !self.run_program(shared, now) {
                return Driven::Nothing;
            }
        }
        self.woken = true;
        Driven::Nothing
    }

    /// Lets the program go on before anything leaves, so that what it says at once takes the acknowledgment along. CLOSE lets
    /// what was written leave before the FIN; where nothing waits, it needs no pause for that.
    fn answer_first(&mut self, shared: &mut Shared, now: Instant) {
        self.run_program(shared, now);
        if self.task.has_yielded() && self.has_sent_all() {
            self.run_program(shared, now);
        }
    }

    /// Whether nothing is left to do, now that a packet has left.
    fn settle(&mut self, shared: &mut Shared, now: Instant) -> Option<Settled> {
        if self.tcb.deadlines.has_time_wait() || self.restrain(shared, now) {
            return None;
        }
        let socket_at = self.socket_at(shared, now);
        let is_due = socket_at.is_some_and(|at| at <= now);
        if is_due || self.fill_holes(shared, now) || self.run_program(shared, now) {
            return None;
        }
        Some(Settled { socket_at })
    }

    /// When smoltcp wants to go on.
    pub(super) fn socket_at(&self, shared: &mut Shared, now: Instant) -> Option<Instant> {
        let path = self.room_on_path();
        let endpoint = self.endpoint.borrow();
        endpoint.socket.emits_at(&mut shared.tcp, now, path)
    }

    /// Looks at what is left to do, after [`drive`](TcpFlow::drive) has found nothing more. `settled` is what it has seen last.
    pub(in crate::engine) fn rest(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        place: usize,
        settled: Option<Settled>,
    ) -> Rest {
        let state = self.state();
        let over = matches!(self.program, Stage::Over(_));
        if matches!(state, TcpState::Closed | TcpState::Listen) && over {
            return Rest::Over;
        }
        self.note_debts(now, state);
        let mut socket_at = match settled {
            Some(Settled { socket_at }) => socket_at,
            None => self.socket_at(shared, now),
        };
        if self.is_stalled(now, state, socket_at) {
            self.probe_later(shared, now);
            socket_at = self.socket_at(shared, now);
        }
        if let Some(until) = self.syn_ack_waits_until() {
            socket_at = socket_at.map(|at| at.max(until));
        }
        if state == TcpState::TimeWait {
            // A pending ACK is a matter of milliseconds; what is due later is the end of smoltcp's TIME-WAIT.
            let done = socket_at.is_none_or(|at| at > now + Duration::from_secs(1));
            if done || self.tcb.deadlines.rests_since().is_some() {
                self.tcb.deadlines.rest(now);
                socket_at = None;
            }
            if over && self.tcb.deadlines.rests_since().is_some() {
                let (snd_nxt, rcv_nxt, window) = self.tcb.end();
                let (local, peer) = (self.key.local, self.key.peer);
                return Rest::TimeWait(TimeWait {
                    local,
                    peer,
                    snd_nxt,
                    rcv_nxt,
                    window,
                    stamps: *self.tcb.stamps(),
                });
            }
        }
        // What is due now was done just now; should smoltcp think otherwise, it gets another chance soon.
        let socket_at = socket_at.map(|at| at.max(now + PAUSE));
        #[cfg(test)]
        self.tcb.rtt.agrees_with(&self.endpoint.borrow().socket);
        let (own_at, _) = self.own_timer(shared).unzip();
        let program_at = match self.program {
            Stage::Running(_) => self.task.wake_at(),
            Stage::Over(_) => self.orphan_reads_at(now),
            Stage::Waiting(_) => None,
        };
        let due = earlier(earlier(socket_at, own_at), program_at);
        let due = earlier(due, self.tcb.wake_at());
        let is_cut_short = self.woken && matches!(self.program, Stage::Running(_));
        let unrest = is_cut_short.then_some(now);
        // A deadline in the past would come up again and again.
        let due = earlier(due, unrest).map(|at| if at <= now { now + PAUSE } else { at });
        shared.timers.set(place, due);
        Rest::Waits
    }

    /// Whether all that was written has left.
    fn has_sent_all(&self) -> bool {
        let queued = self.endpoint.borrow().socket.queued();
        queued == self.tcb.snd.socket_flight() as usize
    }
}
