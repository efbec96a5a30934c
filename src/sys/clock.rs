//! The clock the program runs on: it starts at zero and never goes back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use smoltcp::time::Instant;

/// Time since the program started, and the one moment that ties it to the calendar.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: std::time::Instant,
    wall_at_start: Duration,
}

impl Clock {
    /// A clock that shows zero now.
    pub fn start() -> Self {
        Clock {
            origin: std::time::Instant::now(),
            // A calendar set before 1970 is no reason to stop: captures are then dated 1970.
            wall_at_start: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
        }
    }

    /// Time since [`Clock::start`], in whole microseconds of CLOCK_MONOTONIC (clock_gettime(2)):
    /// setting the calendar doesn't move it, and it stands still while the machine is suspended.
    pub fn now(&self) -> Instant {
        Instant::ZERO + self.origin.elapsed().into()
    }

    /// What the calendar said when this clock showed zero, as time since 1970-01-01T00:00:00Z.
    pub fn wall_at_start(&self) -> Duration {
        self.wall_at_start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_starts_at_zero_and_goes_forward() {
        let clock = Clock::start();
        let first = clock.now();
        std::thread::sleep(Duration::from_millis(2));
        let second = clock.now();

        assert!(first < Instant::from_secs(1), "{first}");
        assert!((second - first).total_micros() >= 2_000, "{first} {second}");
        // 2020-01-01: any machine that builds this has a later date.
        assert!(clock.wall_at_start() > Duration::from_secs(1_577_836_800));
    }

    /// CLOCK_REALTIME can't be set in a test, so the clocks are compared: this one shows what CLOCK_MONOTONIC does. In
    /// `tests/live/calendar.rs` the whole program believes that it was set.
    #[test]
    fn setting_the_calendar_does_not_move_it() {
        let monotonic = || {
            let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap();
            Duration::from(time)
        };
        let before = monotonic();
        let clock = Clock::start();
        let started = monotonic();
        std::thread::sleep(Duration::from_millis(2));
        let asked = monotonic();
        let shown = Duration::from(clock.now() - Instant::ZERO);
        let after = monotonic();
        assert!(
            asked - started <= shown + Duration::from_micros(1),
            "{shown:?}"
        );
        assert!(shown <= after - before, "{shown:?}");
    }
}
