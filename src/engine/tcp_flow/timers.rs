//! The timers that are ours and not smoltcp's: the user timeout, that of FIN-WAIT-2, and TIME-WAIT as long as a program
//! holds the connection.

use super::{Stage, TcpFlow};
use crate::engine::Shared;
use crate::event::{Cause, Timer};
use crate::stack::timers::earlier_by;
use crate::state::TcpState;
use smoltcp::time::{Duration, Instant};
use std::io;

/// How long we wait for the ACK of a SYN-ACK: 1 + 2 + 4 + 8 + 16 + 32 seconds, as Linux does with five
/// retransmissions.
const SYN_RECEIVED_TIMEOUT: Duration = Duration::from_secs(63);
/// RFC 9293, section 3.8.3 (MUST-23): for a SYN, give up after "at least 3 minutes".
const SYN_SENT_TIMEOUT: Duration = Duration::from_secs(180);
/// How long a connection that no program reads any more waits for the peer's FIN, as `tcp_fin_timeout` of Linux.
const FIN_WAIT_2_TIMEOUT: Duration = Duration::from_secs(60);
/// How many keep-alives in a row may remain without answer, as `tcp_keepalive_probes` of Linux. RFC 9293, section 3.8.4
/// (MUST-29): "an implementation MUST NOT interpret failure to respond to any specific probe as a dead connection."
const KEEP_ALIVE_PROBES: u8 = 9;

impl TcpFlow {
    /// Keeps account of what the peer owes us: an acknowledgment, or its FIN.
    pub(super) fn note_debts(&mut self, now: Instant, state: TcpState) {
        if state == TcpState::Closed {
            // What was not acknowledged stays in the send buffer, but nobody owes anything any more.
            (self.owed, self.orphaned, self.time_wait_since) = (None, None, None);
            return;
        }
        let queue = self.endpoint.borrow().socket.queued();
        let owes = !self.excused
            && (queue > 0
                || matches!(
                    state,
                    TcpState::SynSent
                        | TcpState::SynReceived
                        | TcpState::FinWait1
                        | TcpState::Closing
                        | TcpState::LastAck
                ));
        self.owed = match self.owed {
            _ if !owes => None,
            Some((since, then)) if then == state => Some((since, state)),
            _ => Some((now, state)),
        };
        let orphan = state == TcpState::FinWait2 && matches!(self.program, Stage::Over(_));
        self.orphaned = orphan.then(|| self.orphaned.unwrap_or(now));
    }

    /// The timers that are ours and not smoltcp's: when the earliest goes off, and which it is.
    pub(super) fn own_timer(&self, shared: &Shared) -> Option<(Instant, Timer)> {
        let user = self.owed.and_then(|(since, state)| {
            let limit = match state {
                TcpState::SynReceived => Some(SYN_RECEIVED_TIMEOUT),
                TcpState::SynSent => Some(SYN_SENT_TIMEOUT),
                _ => shared.config.user_timeout,
            };
            Some((since + limit?, Timer::User))
        });
        let fin = self
            .orphaned
            .map(|since| (since + FIN_WAIT_2_TIMEOUT, Timer::FinWait2));
        let lasts = self.time_wait.unwrap_or(shared.config.time_wait);
        let wait = self
            .time_wait_since
            .map(|since| (since + lasts, Timer::TimeWait));
        let dead = self
            .kept_alive
            .filter(|&(sent, _)| sent >= KEEP_ALIVE_PROBES);
        let dead = dead.and_then(|(_, last)| Some((last + shared.config.keep_alive?, Timer::User)));
        let first = |one, other| earlier_by(one, other, |&(at, _)| at);
        first(first(user, fin), first(wait, dead))
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
        self.owed = None;
        self.orphaned = None;
        self.woken = true;
    }
}
