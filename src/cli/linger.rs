//! How long a run goes on once its command has ended.
//!
//! ```text
//!   command ends        last packet
//!        │ ── F ── F. ── . ──│
//!        │                   ├──── lull ────▶ over: nothing is going on
//!        ├──────────────── limit ───────────────────────▶ over in any case
//! ```
//!
//! The exit code belongs to a test suite that measures time-outs from outside: a connection that stays open must not keep it.

use crate::engine::Engine;
use smoltcp::time::{Duration, Instant};

/// A lull of this part of the limit is the end.
const PART: u32 = 3;

/// What is waited for, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Linger {
    limit: Duration,
}

impl Linger {
    /// How long a run waits at most where nothing else is asked for.
    pub(super) const LIMIT: Duration = Duration::from_millis(300);

    /// At most that long.
    pub(super) fn new(limit: Duration) -> Linger {
        Linger { limit }
    }

    /// When the run is over, unless something happens before: the command has ended at `ended`, and the last packet has crossed the
    /// TUN at `crossed`.
    pub(super) fn end(self, engine: &Engine, ended: Instant, crossed: Option<Instant>) -> Instant {
        let timer = engine.poll_timeout();
        match engine.is_quiet() {
            true => ended,
            false => self.end_of(ended, crossed, timer),
        }
    }

    /// The same, where a connection is not closed yet and our next timer, if any, expires at `timer`.
    fn end_of(self, ended: Instant, crossed: Option<Instant>, timer: Option<Instant>) -> Instant {
        let last = ended + self.limit;
        // Our own retransmissions, and what a rule delays, are known to come.
        if timer.is_some_and(|timer| timer <= last) {
            return last;
        }
        let latest = crossed.map_or(ended, |crossed| crossed.max(ended));
        last.min(latest + self.limit / PART)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Milliseconds throughout; the command ends at 1,000.
    #[track_caller]
    fn check(limit: u64, crossed: Option<i64>, timer: Option<i64>, expected: i64) {
        let at = Instant::from_millis;
        let linger = Linger::new(Duration::from_millis(limit));
        let end = linger.end_of(at(1000), crossed.map(at), timer.map(at));
        assert_eq!(end.total_millis(), expected, "{crossed:?} {timer:?}");
    }

    #[test]
    fn a_lull_or_the_limit_is_the_end() {
        // Nothing has ever crossed, or not of late.
        check(300, None, None, 1100);
        check(300, Some(20), None, 1100);
        // As long as packets cross, but not for longer than the limit.
        check(300, Some(1050), None, 1150);
        check(300, Some(1290), None, 1300);
        // A timer that expires in time is waited for, one that does not isn't.
        check(300, Some(20), Some(1300), 1300);
        check(300, Some(20), Some(1301), 1100);
        check(6000, Some(20), Some(2000), 7000);
        check(6000, Some(2000), None, 4000);
        check(0, Some(1000), Some(1000), 1000);
    }
}
