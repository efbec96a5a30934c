//! How long a connection waits: the timers that are ours and not smoltcp's.
//!
//! | timer | runs while | ends after |
//! |---|---|---|
//! | user timeout (RFC 9293, section 3.8.3) | the peer owes an acknowledgment, or its SYN | 63 or 180 seconds for a SYN; else as configured |
//! | the same | keep-alives are not answered (section 3.8.4) | nine of them |
//! | FIN-WAIT-2 | nobody waits for the peer's FIN any more | a minute |
//! | TIME-WAIT (section 3.10.8) | a program holds the connection | as configured |

use crate::event::Timer;
use crate::stack::timers::earlier_by;
use crate::state::TcpState;
use smoltcp::time::{Duration, Instant};

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
/// How long smoltcp's own TIME-WAIT lasts.
const SMOLTCP_TIME_WAIT: Duration = Duration::from_secs(10);

/// How long everything may take that is configured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The user timeout, where there is one.
    pub(crate) user: Option<Duration>,
    /// How long a connection is idle before a keep-alive leaves, and how long the last may remain without answer.
    pub(crate) keep_alive: Option<Duration>,
    /// How long TIME-WAIT lasts.
    pub(crate) time_wait: Duration,
}

/// Since when a connection waits for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    /// When data came or went last that had not before, or the connection began.
    progress: Instant,
    /// Since when the peer owes us an acknowledgment, and in which state.
    owed: Option<(Instant, TcpState)>,
    /// The peer keeps its window shut, and has answered when it was probed last.
    excused: bool,
    /// Since when nobody waits for the peer's FIN any more.
    orphaned: Option<Instant>,
    /// Keep-alives that were not answered, and when the last of them left.
    kept_alive: Option<(u8, Instant)>,
    /// When TIME-WAIT was entered.
    time_wait_entered: Option<Instant>,
    /// Since when everything was sent and acknowledged in TIME-WAIT.
    time_wait_since: Option<Instant>,
    /// How long TIME-WAIT lasts, where that is not what all do.
    time_wait: Option<Duration>,
}

impl Deadlines {
    pub(super) fn new(now: Instant) -> Deadlines {
        Deadlines {
            progress: now,
            owed: None,
            excused: false,
            orphaned: None,
            kept_alive: None,
            time_wait_entered: None,
            time_wait_since: None,
            time_wait: None,
        }
    }

    /// Since when nothing has gone on.
    pub(crate) fn idle_since(&self) -> Instant {
        self.progress
    }

    /// TIME-WAIT is to last so long; `None`: as long as everybody's.
    pub(crate) fn set_time_wait(&mut self, lasts: Option<Duration>) {
        self.time_wait = lasts;
    }

    /// How long it lasts, where that is not what all do.
    pub(crate) fn own_time_wait(&self) -> Option<Duration> {
        self.time_wait
    }

    /// The peer is there.
    pub(crate) fn heard(&mut self) {
        self.kept_alive = None;
    }

    /// A keep-alive has left.
    pub(crate) fn kept_alive(&mut self, now: Instant) {
        let (sent, _) = self.kept_alive.unwrap_or((0, now));
        self.kept_alive = Some((sent.saturating_add(1), now));
    }

    /// Whether the peer has answered a probe, or anything else, with a shut window. RFC 9293, section 3.8.6.1 (MUST-37): "As long
    /// as the receiving TCP endpoint continues to send acknowledgments in response to the probe segments, the sending TCP
    /// endpoint MUST allow the connection to stay open."
    pub(crate) fn excuse(&mut self, excused: bool) {
        self.excused = excused;
    }

    /// Something is to be acknowledged again.
    pub(crate) fn demand(&mut self) {
        self.excused = false;
    }

    /// Data has come that had not before.
    pub(crate) fn went_on(&mut self, now: Instant) {
        self.progress = now;
    }

    /// Data was acknowledged that had not been before.
    pub(crate) fn paid(&mut self, now: Instant) {
        self.owed = None;
        self.progress = now;
    }

    /// TIME-WAIT begins.
    pub(crate) fn enter_time_wait(&mut self, now: Instant) {
        self.time_wait_entered = Some(now);
    }

    /// Whether it has begun.
    pub(crate) fn has_time_wait(&self) -> bool {
        self.time_wait_entered.is_some()
    }

    /// What smoltcp may think the time is, so that its own TIME-WAIT does not end before the last ACK has left.
    pub(crate) fn smoltcps_time(&self, now: Instant) -> Instant {
        let limit = self.time_wait_entered.map(|at| at + SMOLTCP_TIME_WAIT / 2);
        limit.map_or(now, |limit| now.min(limit))
    }

    /// Everything is sent and acknowledged in TIME-WAIT.
    pub(crate) fn rest(&mut self, now: Instant) {
        self.time_wait_since.get_or_insert(now);
    }

    /// Since when that is so.
    pub(crate) fn rests_since(&self) -> Option<Instant> {
        self.time_wait_since
    }

    /// The peer's FIN has come again in TIME-WAIT: "Acknowledge it, and restart the 2 MSL timeout."
    pub(crate) fn restart_time_wait(&mut self, now: Instant) {
        if self.time_wait_since.is_some() {
            self.time_wait_since = Some(now);
        }
    }

    /// Keeps account of what the peer owes us: an acknowledgment of something among `queued` bytes or of a control, or its FIN,
    /// for which nobody waits if the connection is an `orphan`.
    pub(crate) fn note_debts(
        &mut self,
        now: Instant,
        state: TcpState,
        queued: usize,
        orphan: bool,
    ) {
        if state == TcpState::Closed {
            // What was not acknowledged stays in the send buffer, but nobody owes anything any more.
            (self.owed, self.orphaned, self.time_wait_since) = (None, None, None);
            return;
        }
        let owes = !self.excused
            && (queued > 0
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
        let orphan = state == TcpState::FinWait2 && orphan;
        self.orphaned = orphan.then(|| self.orphaned.unwrap_or(now));
    }

    /// When the earliest timer goes off, and which it is.
    pub(crate) fn next(&self, limits: Limits) -> Option<(Instant, Timer)> {
        let user = self.owed.and_then(|(since, state)| {
            let limit = match state {
                TcpState::SynReceived => Some(SYN_RECEIVED_TIMEOUT),
                TcpState::SynSent => Some(SYN_SENT_TIMEOUT),
                _ => limits.user,
            };
            Some((since + limit?, Timer::User))
        });
        let fin = self
            .orphaned
            .map(|since| (since + FIN_WAIT_2_TIMEOUT, Timer::FinWait2));
        let lasts = self.time_wait.unwrap_or(limits.time_wait);
        let wait = self
            .time_wait_since
            .map(|since| (since + lasts, Timer::TimeWait));
        let dead = self
            .kept_alive
            .filter(|&(sent, _)| sent >= KEEP_ALIVE_PROBES);
        let dead = dead.and_then(|(_, last)| Some((last + limits.keep_alive?, Timer::User)));
        let first = |one, other| earlier_by(one, other, |&(at, _)| at);
        first(first(user, fin), first(wait, dead))
    }

    /// A timer has ended the connection.
    pub(crate) fn expire(&mut self) {
        (self.owed, self.orphaned) = (None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        user: Some(Duration::from_secs(300)),
        keep_alive: Some(Duration::from_secs(75)),
        time_wait: Duration::from_secs(60),
    };

    fn at(seconds: i64) -> Instant {
        Instant::from_secs(seconds)
    }

    #[test]
    fn who_owes_something_has_so_long() {
        #[track_caller]
        fn check(state: TcpState, queued: usize, orphan: bool, expected: Option<(i64, Timer)>) {
            let mut deadlines = Deadlines::new(at(0));
            deadlines.note_debts(at(10), state, queued, orphan);
            deadlines.note_debts(at(20), state, queued, orphan);
            let expected = expected.map(|(seconds, timer)| (at(seconds), timer));
            assert_eq!(
                deadlines.next(LIMITS),
                expected,
                "{state} {queued} {orphan}"
            );
        }
        check(TcpState::SynReceived, 0, false, Some((73, Timer::User)));
        check(TcpState::SynSent, 0, false, Some((190, Timer::User)));
        check(TcpState::Established, 0, false, None);
        check(TcpState::Established, 1, false, Some((310, Timer::User)));
        check(TcpState::LastAck, 0, true, Some((310, Timer::User)));
        check(TcpState::FinWait2, 0, false, None);
        check(TcpState::FinWait2, 0, true, Some((70, Timer::FinWait2)));
        check(TcpState::Closed, 1, true, None);
    }

    #[test]
    fn another_state_and_an_acknowledgment_begin_anew() {
        let mut deadlines = Deadlines::new(at(0));
        deadlines.note_debts(at(10), TcpState::SynReceived, 0, false);
        deadlines.note_debts(at(20), TcpState::Established, 5, false);
        assert_eq!(deadlines.next(LIMITS), Some((at(320), Timer::User)));
        deadlines.paid(at(30));
        assert_eq!(
            (deadlines.next(LIMITS), deadlines.idle_since()),
            (None, at(30))
        );
        deadlines.note_debts(at(40), TcpState::Established, 5, false);
        assert_eq!(deadlines.next(LIMITS), Some((at(340), Timer::User)));
        // A shut window is no debt as long as probes are answered.
        deadlines.excuse(true);
        deadlines.note_debts(at(50), TcpState::Established, 5, false);
        assert_eq!(deadlines.next(LIMITS), None);
        deadlines.demand();
        deadlines.note_debts(at(60), TcpState::Established, 5, false);
        assert_eq!(deadlines.next(LIMITS), Some((at(360), Timer::User)));
    }

    #[test]
    fn nine_keep_alives_are_enough() {
        let mut deadlines = Deadlines::new(at(0));
        for sent in 1..=9 {
            assert_eq!(deadlines.next(LIMITS), None, "{sent}");
            deadlines.kept_alive(at(75 * sent));
        }
        assert_eq!(deadlines.next(LIMITS), Some((at(75 * 10), Timer::User)));
        deadlines.heard();
        assert_eq!(deadlines.next(LIMITS), None);
    }

    #[test]
    fn time_wait_begins_anew_with_the_fin() {
        let mut deadlines = Deadlines::new(at(0));
        deadlines.restart_time_wait(at(5));
        assert_eq!(deadlines.rests_since(), None);
        deadlines.enter_time_wait(at(10));
        assert_eq!(deadlines.smoltcps_time(at(100)), at(15));
        deadlines.rest(at(11));
        deadlines.rest(at(12));
        assert_eq!(deadlines.next(LIMITS), Some((at(71), Timer::TimeWait)));
        deadlines.restart_time_wait(at(20));
        assert_eq!(deadlines.next(LIMITS), Some((at(80), Timer::TimeWait)));
        deadlines.set_time_wait(Some(Duration::from_secs(1)));
        assert_eq!(deadlines.next(LIMITS), Some((at(21), Timer::TimeWait)));
    }
}
