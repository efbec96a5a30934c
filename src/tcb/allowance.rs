//! How many challenges one connection may draw.

#[cfg(test)]
mod tests;

use smoltcp::time::{Duration, Instant};

/// RFC 5961, section 7 suggests "no more than 10 ACKs in any 5 second window".
const MOST: u8 = 10;
const PERIOD: Duration = Duration::from_secs(5);

/// At most ten in five seconds. Each connection has one of its own: where all share one, whoever may spend it learns how
/// much of it others have spent (CVE-2016-5696).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowance {
    since: Option<Instant>,
    taken: u8,
}

impl Allowance {
    /// Whether there is one left, which is then taken.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        if self.since.is_none_or(|since| now >= since + PERIOD) {
            (self.since, self.taken) = (Some(now), 0);
        }
        let left = self.taken < MOST;
        self.taken += u8::from(left);
        left
    }
}
