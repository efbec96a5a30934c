//! The timers that are ours and not smoltcp's: the user timeout, that of FIN-WAIT-2, and TIME-WAIT as long as a program
//! holds the connection.

use super::{Stage, TcpFlow};
use crate::engine::Shared;
use crate::event::{Cause, Timer};
use crate::state::TcpState;
use crate::tcb::Limits;
use smoltcp::time::Instant;
use std::io;

impl TcpFlow {
    /// Keeps account of what the peer owes us: an acknowledgment, or its FIN.
    pub(super) fn note_debts(&mut self, now: Instant, state: TcpState) {
        let queued = self.endpoint.borrow().socket.queued();
        let orphan = matches!(self.program, Stage::Over(_));
        self.tcb.deadlines.note_debts(now, state, queued, orphan);
    }

    /// The timers that are ours and not smoltcp's: when the earliest goes off, and which it is.
    pub(super) fn own_timer(&self, shared: &Shared) -> Option<(Instant, Timer)> {
        self.tcb.deadlines.next(Limits {
            user: shared.config.user_timeout,
            keep_alive: shared.config.keep_alive,
            time_wait: shared.config.time_wait,
        })
    }

    pub(super) fn check_timers(&mut self, shared: &mut Shared, now: Instant) {
        let Some((at, timer)) = self.own_timer(shared) else {
            return;
        };
        let from = self.state();
        if at > now || from == TcpState::Closed {
            return;
        }
        if timer == Timer::TimeWait {
            // The program takes no notice; what follows is done without it.
            self.program = Stage::Over(None);
            return;
        }
        {
            let mut endpoint = self.endpoint.borrow_mut();
            // RFC 9293, section 3.10.8: "delete the TCB, enter the CLOSED state, and return"; no RST.
            endpoint.socket.forget();
            let why = self.warned.unwrap_or(io::ErrorKind::TimedOut);
            endpoint.end.get_or_insert(why);
        }
        self.transition(shared, now, from, self.state(), Cause::Timeout(timer));
        self.tcb.deadlines.expire();
        self.woken = true;
    }
}
