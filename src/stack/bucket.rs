//! How many ICMP errors may leave.
//!
//! RFC 4443, section 2.4 (f): "an IPv6 node MUST limit the rate of ICMPv6 error messages it originates", and a token bucket is
//! what it recommends; RFC 1812, section 4.3.2.8, says the same of IPv4 routers.

use smoltcp::time::{Duration, Instant};

/// As Linux: `icmp_msgs_burst` and `icmp_msgs_per_sec`.
const BURST: u32 = 50;
const PAUSE: Duration = Duration::from_millis(1);

/// Fifty at once, and a thousand a second.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bucket {
    /// When it will be full again.
    full_at: Option<Instant>,
}

impl Bucket {
    /// Takes one out, if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let full_at = self.full_at.map_or(now, |full_at| full_at.max(now)) + PAUSE;
        let left = full_at <= now + PAUSE * BURST;
        if left {
            self.full_at = Some(full_at);
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_one_each_millisecond() {
        let mut bucket = Bucket::default();
        let mut take = |millis, asked: usize| {
            let at = Instant::from_millis(millis);
            (0..asked).filter(|_| bucket.take(at)).count()
        };
        assert_eq!(take(5_000, 200), 50);
        assert_eq!(take(5_000, 1), 0);
        assert_eq!(take(5_001, 5), 1);
        assert_eq!(take(5_011, 50), 10);
        assert_eq!(take(9_000, 200), 50);
    }
}
