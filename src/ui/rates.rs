//! How much happens in a second.

use crate::view::Totals;
use smoltcp::time::{Duration, Instant};
use std::collections::VecDeque;

/// Over how long it is judged.
const SPAN: Duration = Duration::from_secs(2);

/// What went over the link lately.
#[derive(Debug, Default)]
pub(super) struct Rates {
    samples: VecDeque<(Instant, [u64; 4])>,
}

/// A rate each way, a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) packets_in: u64,
    pub(super) bytes_in: u64,
    pub(super) packets_out: u64,
    pub(super) bytes_out: u64,
}

impl Rates {
    /// Takes in what all flows add up to at `now`.
    pub(super) fn sample(&mut self, now: Instant, totals: &Totals) {
        let sums = [
            totals.received.packets,
            totals.received.bytes,
            totals.sent.packets,
            totals.sent.bytes,
        ];
        self.samples.push_back((now, sums));
        while self.samples.len() > 2 && self.samples[1].0 + SPAN <= now {
            self.samples.pop_front();
        }
    }

    /// The rate over the last seconds.
    pub(super) fn now(&self) -> Rate {
        let (Some((first, before)), Some((last, after))) =
            (self.samples.front(), self.samples.back())
        else {
            return Rate::default();
        };
        let micros = (*last - *first).total_micros();
        if *last <= *first || micros == 0 {
            return Rate::default();
        }
        let rate = |index: usize| {
            let more = u128::from(after[index].saturating_sub(before[index]));
            (more * 1_000_000 / u128::from(micros)) as u64
        };
        Rate {
            packets_in: rate(0),
            bytes_in: rate(1),
            packets_out: rate(2),
            bytes_out: rate(3),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_forgets_what_was_long_ago() {
        let (mut rates, mut totals) = (Rates::default(), Totals::default());
        assert_eq!(rates.now(), Rate::default());
        for tenths in 0..=50 {
            totals.received.bytes += 100;
            rates.sample(Instant::from_millis(tenths * 100), &totals);
        }
        assert_eq!(rates.now().bytes_in, 1_000);
        for tenths in 51..=80 {
            rates.sample(Instant::from_millis(tenths * 100), &totals);
        }
        assert_eq!(rates.now().bytes_in, 0);
        assert!(rates.samples.len() < 30);
    }
}
