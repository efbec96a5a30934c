//! How many connections send in bulk at once, and how much each of them may keep in its send buffer.
//!
//! What a program writes waits in its connection's buffer until the peer has acknowledged it, and each write goes to the next
//! part of that buffer. With many connections all of their buffers together are larger than the processor's caches, so that
//! each byte is waited for twice: when it is written, and when it leaves. Therefore many share a part of the caches: a
//! program writes a little, which leaves and is acknowledged before it writes more, to the same place.
//!
//! That is for peers nearby. How much is in flight to one that is far away decides how fast the connection is, so it keeps
//! all of its buffer.

use smoltcp::time::{Duration, Instant};

/// With more than these, they share.
const FEW: u32 = 8;
/// What they share, in bytes, and what each has of it at least: a packet as large as they get with offload. With 16 KiB for
/// each of 64, `s2c64` of the benchmark `versus_kernel` was 0.8 of what it is.
const SHARED: usize = 4 << 20;
const LEAST: usize = 64 << 10;
/// For so long it is counted anew.
const PERIOD: Duration = Duration::from_millis(10);
/// A peer with a longer round-trip time is far away.
const NEAR: Duration = Duration::from_millis(5);

/// Those who send in bulk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Senders {
    /// When the current period has begun.
    begun: Instant,
    /// How many they are in it so far, and were in the one before.
    count: [u32; 2],
}

/// One who may be among them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sender {
    /// The period in which it was counted last.
    counted: Option<Instant>,
}

impl Senders {
    pub(crate) fn new() -> Senders {
        Senders {
            begun: Instant::ZERO,
            count: [0; 2],
        }
    }

    /// A full segment of this one leaves.
    pub(crate) fn sends(&mut self, now: Instant, sender: &mut Sender) {
        if now >= self.begun + PERIOD {
            let follows = now < self.begun + PERIOD * 2;
            self.count = [0, if follows { self.count[0] } else { 0 }];
            self.begun = now;
        }
        if sender.counted != Some(self.begun) {
            sender.counted = Some(self.begun);
            self.count[0] += 1;
        }
    }

    /// How many bytes one may keep in its buffer that sends segments of `mss` bytes to a peer with this round-trip time.
    pub(crate) fn share(&self, now: Instant, mss: usize, rtt: Option<Duration>) -> usize {
        let count = self.count[0].max(self.count[1]);
        let is_over = now >= self.begun + PERIOD * 2;
        let is_near = rtt.is_some_and(|rtt| rtt <= NEAR);
        if count <= FEW || is_over || !is_near {
            return usize::MAX;
        }
        let share = (SHARED / count as usize).max(LEAST);
        // Whole segments.
        (share / mss.max(1)).max(2) * mss
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: usize = 1_000;

    #[test]
    fn many_share_and_few_do_not() {
        #[track_caller]
        fn check(count: usize, rtt: u64, expected: usize) {
            let mut senders = Senders::new();
            let mut all = vec![Sender::default(); count];
            let rtt = Some(Duration::from_millis(rtt));
            for turn in 0..50 {
                let now = Instant::from_millis(turn);
                all.iter_mut().for_each(|one| senders.sends(now, one));
                // Before anybody is known to be there, nothing is shared.
                let share = senders.share(now, MSS, rtt);
                assert_eq!(share, expected, "{count} senders after {turn} ms");
            }
            // Once nobody sends any more, there is all the room again.
            let later = Instant::from_millis(70);
            assert_eq!(senders.share(later, MSS, rtt), usize::MAX);
        }
        check(1, 0, usize::MAX);
        check(8, 0, usize::MAX);
        check(32, 0, 131_000);
        check(64, 0, 65_000);
        check(64, 5, 65_000);
        check(64, 6, usize::MAX);
        check(256, 0, 65_000);
        check(10_000, 0, 65_000);
    }

    #[test]
    fn a_share_has_room_for_two_segments_at_least() {
        let mut senders = Senders::new();
        let mut all = [Sender::default(); 300];
        let now = Instant::from_millis(3);
        all.iter_mut().for_each(|one| senders.sends(now, one));
        let share = |rtt| senders.share(now, 60_000, rtt);
        assert_eq!(share(Some(Duration::ZERO)), 120_000);
        // As long as nothing was measured, it may be far away.
        assert_eq!(share(None), usize::MAX);
    }
}
