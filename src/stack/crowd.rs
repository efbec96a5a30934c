//! How many connections receive in bulk at once, and what window each is told of.
//!
//! There are two reasons not to tell each of all the room that there is.
//!
//! *A queue.* A TUN keeps some packets until they are read: 500, where `ip tuntap` has made it. What the peers' kernels send
//! beyond that is lost, and with it SYNs and acknowledgments of others; what is in it waits. So those who receive in bulk
//! share a part of it ([`Crowd::share`]), each at least two segments: with one, it would wait for our delayed
//! acknowledgment each time. Connections that have just begun count too, as each of them may be about to send, and
//! their SYN-ACK tells of no more than the others have.
//!
//! *Caches.* With offload few packets carry much. Whatever a peer sends goes through the processor's caches on its way: from
//! its buffer to the kernel, to the TUN, to us. With
//! a few connections a large window saves turns between the two ends; with many, all of their windows together no longer
//! fit, and each copy waits for memory. With 64, 128, 192, 256 KiB and 1 MiB each, one connection brought 0.40, 0.62, 0.67,
//! 0.74 and 0.76 of what the kernel's own server takes on the same processor, eight brought 0.64, 0.94, 0.79, 0.75 and 0.64
//! (`c2s` and `c2s8` of the benchmark `versus_kernel`). A larger buffer, of which many are told of a part only, does not
//! do: what has arrived goes through all of it, round and round.
//!
//! Everybody begins with half a window there, and is told of a whole one once it has received in bulk without a crowd. A crowd
//! whose first windows were whole ones stays slower for as long as it lasts: the peers' kernels have made their send buffers
//! larger for them, and all that waits there goes through the caches as well (eight brought 0.88 so, and 0.99 with half at
//! first).

use crate::segment::SeqNumber;
use smoltcp::time::{Duration, Instant};

/// With more than these it is a crowd.
const FEW: u32 = 4;
/// For so long it is counted anew.
const PERIOD: Duration = Duration::from_millis(10);
/// The most packets that those who receive in bulk share, however long the queue is, few and more of them: whatever comes
/// waits for those before it.
const MOST: [u32; 2] = [256, 128];
/// Full segments that a window has room for at least.
const LEAST: u32 = 2;

/// Those who receive in bulk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowd {
    offload: bool,
    /// How many packets they share, few and more of them.
    shared: Option<[u32; 2]>,
    /// When the current period has begun.
    begun: Instant,
    /// How many they are in it so far, and were in the one before.
    count: [u32; 2],
    /// How many connections have begun likewise, that are not over and not counted.
    new: [u32; 2],
}

/// One who may be among them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Member {
    /// When the period began in which its connection did.
    joined: Option<Instant>,
    /// The period in which it was looked at last, and RCV.NXT when that was first.
    period: Option<(Instant, SeqNumber)>,
    counted: bool,
    /// Whether it was counted in an earlier period.
    is_known: bool,
}

impl Crowd {
    pub(crate) fn new(offload: bool) -> Crowd {
        Crowd {
            offload,
            shared: None,
            begun: Instant::ZERO,
            count: [0; 2],
            new: [0; 2],
        }
    }

    /// The packets that arrive wait in a queue of that length.
    pub(crate) fn share(&mut self, queue: u32) {
        self.shared = Some(MOST.map(|most| most.min(queue / 2)));
    }

    /// How many bytes a connection that begins may be told that it can send, in segments of `mss` bytes.
    pub(crate) fn first_window(&mut self, now: Instant, member: &mut Member, mss: u32) -> u32 {
        self.begin(now);
        if member.joined.is_none() {
            member.joined = Some(self.begun);
            self.new[0] += 1;
        }
        self.stray_window(now, mss)
    }

    /// The same for one of which nothing is kept, as its SYN is answered with a cookie.
    pub(crate) fn stray_window(&mut self, now: Instant, mss: u32) -> u32 {
        self.begin(now);
        match self.offload {
            true => u32::MAX,
            false => self.part(mss),
        }
    }

    /// How many bytes a connection may be told that it can send, in segments of `mss` bytes and with a receive buffer of
    /// `buffer` bytes.
    pub(crate) fn window(
        &mut self,
        now: Instant,
        member: &mut Member,
        rcv_nxt: SeqNumber,
        buffer: u32,
        mss: u32,
    ) -> u32 {
        self.begin(now);
        // In a crowd nobody receives much.
        let bulk = match self.offload {
            true => buffer,
            false => LEAST * mss,
        };
        match member.period {
            Some((period, first)) if period == self.begun => {
                if !member.counted && rcv_nxt.since(first) >= bulk {
                    member.counted = true;
                    self.count[0] += 1;
                    self.settle(member);
                }
            }
            _ => {
                member.period = Some((self.begun, rcv_nxt));
                member.is_known |= member.counted;
                member.counted = false;
            }
        }
        let few = self.count[0].max(self.count[1]) <= FEW;
        match self.offload {
            false => self.part(mss).min(buffer),
            true if member.is_known && few => buffer,
            true => buffer / 2,
        }
    }

    /// A connection is over.
    pub(crate) fn leave(&mut self, member: &mut Member) {
        self.settle(member);
    }

    /// What each may have of what they share.
    fn part(&self, mss: u32) -> u32 {
        let Some(shared) = self.shared else {
            return u32::MAX;
        };
        let count = self.count[0].max(self.count[1]) + self.new[0] + self.new[1];
        (shared[usize::from(count > FEW)] / count.max(1)).max(LEAST) * mss
    }

    /// It does not count as new any more.
    fn settle(&mut self, member: &mut Member) {
        let Some(joined) = member.joined.take() else {
            return;
        };
        let which = match joined {
            _ if joined == self.begun => 0,
            _ if joined + PERIOD * 2 > self.begun => 1,
            _ => return,
        };
        self.new[which] = self.new[which].saturating_sub(1);
    }

    /// A period is over after a while.
    fn begin(&mut self, now: Instant) {
        if now < self.begun + PERIOD {
            return;
        }
        let follows = now < self.begun + PERIOD * 2;
        for counts in [&mut self.count, &mut self.new] {
            *counts = [0, if follows { counts[0] } else { 0 }];
        }
        self.begun = now;
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
                .map(|member| crowd.window(now, member, rcv_nxt, BUFFER, 100))
                .collect();
        }
        windows
    }

    #[test]
    fn at_first_and_in_a_crowd_everybody_has_half() {
        #[track_caller]
        fn check(count: usize, bytes: u32, expected: u32) {
            let mut crowd = Crowd::new(true);
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
        let mut crowd = Crowd::new(true);
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

    /// Windows of so many connections that have begun at once, in segments, before anything has come and after some
    /// periods of bulk.
    fn shares(crowd: &mut Crowd, count: usize) -> [Vec<u32>; 2] {
        const MSS: u32 = 1_000;
        let mut members = vec![Member::default(); count];
        let first = members
            .iter_mut()
            .map(|member| crowd.first_window(Instant::ZERO, member, MSS) / MSS)
            .collect();
        let mut later = Vec::new();
        for turn in 0..100 {
            let now = Instant::ZERO + PERIOD / 10 * turn;
            let rcv_nxt = SeqNumber(turn * 500);
            later = members
                .iter_mut()
                .map(|member| crowd.window(now, member, rcv_nxt, 256_000, MSS) / MSS)
                .collect();
        }
        [first, later]
    }

    #[test]
    fn what_is_told_fits_a_part_of_the_queue() {
        #[track_caller]
        fn check(queue: u32, count: usize, expected: u32) {
            let mut crowd = Crowd::new(false);
            crowd.share(queue);
            let [first, later] = shares(&mut crowd, count);
            assert_eq!(later, vec![expected; count]);
            // Who comes later is told of less.
            assert!(first.is_sorted_by(|one, next| one >= next));
            assert!(first[count - 1] <= expected, "{first:?}");
        }
        check(500, 1, 250);
        check(500, 4, 62);
        check(500, 8, 16);
        check(500, 64, 2);
        check(500, 256, 2);
        check(4_000, 1, 256);
        check(4_000, 8, 16);
        check(4_000, 64, 2);
        check(100, 8, 6);
        check(10, 8, 2);
        let [first, later] = shares(&mut Crowd::new(false), 64);
        assert_eq!(first, vec![u32::MAX / 1_000; 64]);
        assert_eq!(later, vec![256; 64]);
    }

    #[test]
    fn who_has_begun_and_is_over_counts_no_more() {
        let mut crowd = Crowd::new(false);
        crowd.share(500);
        let window = |at: u64, crowd: &mut Crowd, member: &mut Member| {
            crowd.first_window(Instant::from_millis(at as i64), member, 1)
        };
        let mut members = vec![Member::default(); 100];
        for member in &mut members {
            window(0, &mut crowd, member);
            crowd.leave(member);
            // Once is enough.
            crowd.leave(member);
        }
        assert_eq!(window(0, &mut crowd, &mut members[0]), 250);
        assert_eq!(window(1, &mut crowd, &mut members[1]), 125);
        // Also one that has begun in the period before.
        assert_eq!(window(10, &mut crowd, &mut members[2]), 83);
        crowd.leave(&mut members[0]);
        assert_eq!(window(11, &mut crowd, &mut members[3]), 83);
        // In the end none of them is new.
        assert_eq!(window(21, &mut crowd, &mut members[4]), 83);
        assert_eq!(window(60, &mut crowd, &mut members[5]), 250);
    }
}
