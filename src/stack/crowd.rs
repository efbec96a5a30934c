//! How many connections receive in bulk at once, and what window each is told of.
//!
//! Whatever a peer sends goes through the processor's caches on its way: from its buffer to the kernel, to the TUN, to us. With
//! a few connections a large window saves turns between the two ends; with many, all of their windows together no longer
//! fit, and each copy waits for memory. With 64, 128, 192, 256 KiB and 1 MiB each, one connection brought 0.40, 0.62, 0.67,
//! 0.74 and 0.76 of what the kernel's own server takes on the same processor, eight brought 0.64, 0.94, 0.79, 0.75 and 0.64
//! (`c2s` and `c2s8` of the benchmark `versus_kernel`). A larger buffer, of which many are told of a part only, does not
//! do: what has arrived goes through all of it, round and round.
//!
//! Everybody begins with half a window, and is told of a whole one once it has received in bulk without a crowd. A crowd whose
//! first windows were whole ones stays slower for as long as it lasts: the peers' kernels have made their send buffers larger
//! for them, and all that waits there goes through the caches as well (eight brought 0.88 so, and 0.99 with half at first).

use crate::segment::SeqNumber;
use smoltcp::time::{Duration, Instant};

/// With more than these it is a crowd.
const FEW: u32 = 4;
/// Who receives as much as its buffer holds in this time receives in bulk.
const PERIOD: Duration = Duration::from_millis(10);

/// Those who receive in bulk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowd {
    /// When the current period has begun.
    begun: Instant,
    /// How many they are in it so far, and were in the one before.
    count: u32,
    before: u32,
}

/// One who may be among them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Member {
    /// The period in which it was looked at last, and RCV.NXT when that was first.
    period: Option<(Instant, SeqNumber)>,
    counted: bool,
    /// Whether it was counted in an earlier period.
    is_known: bool,
}

impl Crowd {
    pub(crate) fn new() -> Crowd {
        Crowd {
            begun: Instant::ZERO,
            count: 0,
            before: 0,
        }
    }

    /// How many bytes a connection may be told that it can send, with a receive buffer of `buffer` bytes.
    pub(crate) fn window(
        &mut self,
        now: Instant,
        member: &mut Member,
        rcv_nxt: SeqNumber,
        buffer: u32,
    ) -> u32 {
        if now >= self.begun + PERIOD {
            let follows = now < self.begun + PERIOD * 2;
            self.before = if follows { self.count } else { 0 };
            (self.begun, self.count) = (now, 0);
        }
        match member.period {
            Some((period, first)) if period == self.begun => {
                if !member.counted && rcv_nxt.since(first) >= buffer {
                    member.counted = true;
                    self.count += 1;
                }
            }
            _ => {
                member.period = Some((self.begun, rcv_nxt));
                member.is_known |= member.counted;
                member.counted = false;
            }
        }
        match member.is_known && self.count.max(self.before) <= FEW {
            true => buffer,
            false => buffer / 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUFFER: u32 = 1_000;

    /// The windows of so many connections, each of which receives `bytes` in a period of which it hears twenty times.
    fn windows(crowd: &mut Crowd, from: Instant, members: &mut [Member], bytes: u32) -> Vec<u32> {
        let mut windows = Vec::new();
        for turn in 0..20 {
            let now = from + (PERIOD / 20) * turn;
            let rcv_nxt = SeqNumber(u32::MAX - 100) + bytes / 19 * turn;
            windows = members
                .iter_mut()
                .map(|member| crowd.window(now, member, rcv_nxt, BUFFER))
                .collect();
        }
        windows
    }

    #[test]
    fn at_first_and_in_a_crowd_everybody_has_half() {
        #[track_caller]
        fn check(count: usize, bytes: u32, expected: u32) {
            let mut crowd = Crowd::new();
            let mut members = vec![Member::default(); count];
            for period in 0..3 {
                let from = Instant::from_millis(10 * period);
                let windows = windows(&mut crowd, from, &mut members, bytes);
                let expected = if period == 0 { BUFFER / 2 } else { expected };
                assert_eq!(windows, vec![expected; count], "period {period}");
            }
        }
        check(1, 5_000, BUFFER);
        check(4, 5_000, BUFFER);
        check(5, 5_000, BUFFER / 2);
        check(8, 1_900, BUFFER / 2);
        // Who receives little needs no more.
        check(3, 950, BUFFER / 2);
        check(100, 950, BUFFER / 2);
    }

    #[test]
    fn a_crowd_is_remembered_for_a_period() {
        let mut crowd = Crowd::new();
        let mut members = vec![Member::default(); 8];
        windows(&mut crowd, Instant::ZERO, &mut members, 5_000);
        let alone = &mut members[..1];
        let window = windows(&mut crowd, Instant::from_millis(10), alone, 5_000);
        assert_eq!(window, [BUFFER / 2]);
        let window = windows(&mut crowd, Instant::from_millis(20), alone, 5_000);
        assert_eq!(window, [BUFFER]);
        windows(&mut crowd, Instant::from_millis(30), &mut members, 5_000);
        let window = windows(&mut crowd, Instant::from_secs(9), &mut members[..1], 5_000);
        assert_eq!(window, [BUFFER]);
    }
}
