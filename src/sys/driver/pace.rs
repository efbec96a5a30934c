//! What to do before the next look at the clock and the wait: how many packets to read, and how long to look for one.

use super::BATCH;
use crate::sys::clock::Clock;
use smoltcp::time::Instant;
use std::thread;
use std::time::Duration;

/// How many packets to read before they are answered, and how often before the next wait, without a vain attempt at each end.
///
/// Where question and answer alternate, there is one packet each time, and to look for a second costs a system call.
/// Under load many are there, and to answer and to wait after each costs one too. Where the peer has the same processor, it
/// takes it as soon as it is answered, and has asked again when we come back. So the count follows what was found: it
/// doubles as long as all of them were there, falls back when one was not, and stays there for a while: the longer, the
/// more often that has happened in a row.
#[derive(Debug)]
pub(super) struct Ahead {
    count: usize,
    /// After so many more rounds a larger count is tried.
    holds: u8,
    /// So many rounds it stayed last.
    pause: u8,
}

impl Ahead {
    /// The most rounds before a larger count is tried.
    const MOST: u8 = 16;

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn was_enough(&mut self) {
        match self.holds {
            0 => self.count = (self.count * 2).min(BATCH),
            _ => self.holds -= 1,
        }
    }

    pub(super) fn was_too_many(&mut self, found: usize) {
        self.pause = match found {
            0 | 1 => (self.pause * 2).clamp(1, Ahead::MOST),
            _ => 1,
        };
        self.holds = self.pause;
        self.count = found.max(1);
    }
}

impl Default for Ahead {
    fn default() -> Ahead {
        Ahead {
            count: 1,
            holds: 0,
            pause: 0,
        }
    }
}

/// Busy polling: when it is worth to look for the next packet without a pause.
///
/// Each time in vain doubles the number of times that it is left out, up to [`Busy::MOST`]. So a peer that answers late
/// costs little, and so does one that needs this very processor in order to answer.
#[derive(Debug)]
pub(super) struct Busy {
    limit: Duration,
    /// How often it is left out after it was in vain.
    pause: u16,
    /// How often it still is.
    left_out: u16,
}

impl Busy {
    const MOST: u16 = 256;

    pub(super) fn new(limit: Duration) -> Busy {
        Busy {
            limit,
            pause: 0,
            left_out: 0,
        }
    }

    /// For how long to look this time.
    pub(super) fn attempt(&mut self) -> Option<Duration> {
        if self.left_out > 0 {
            self.left_out -= 1;
            return None;
        }
        Some(self.limit)
    }

    pub(super) fn found(&mut self, a_packet: bool) {
        self.pause = match a_packet {
            true => 0,
            false => (self.pause * 2).clamp(1, Busy::MOST),
        };
        self.left_out = self.pause;
    }
}

/// When to let others have the processor, while there is always something to send.
///
/// Whoever reads what was sent may need this very processor, and so may one whose turn would come in some milliseconds only: the
/// scheduler interrupts nobody sooner who does not sleep. A program that has much to do itself takes the processor for
/// as long as the scheduler lets it; then we keep it for as long before we give way again.
#[derive(Debug)]
pub(super) struct Courtesy {
    not_before: Instant,
}

impl Courtesy {
    /// How long we keep the processor at least.
    const LEAST: Duration = Duration::from_micros(100);

    pub(super) fn give_way(&mut self, clock: Clock) {
        let now = clock.now();
        if now < self.not_before {
            return;
        }
        thread::yield_now();
        let back = clock.now();
        let away: Duration = (back - now).into();
        self.not_before = back + away.max(Courtesy::LEAST).into();
    }
}

impl Default for Courtesy {
    fn default() -> Courtesy {
        Courtesy {
            not_before: Instant::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `there` says how many packets wait each time; `expected` how many are asked for.
    #[test]
    fn as_many_packets_are_asked_for_as_there_were() {
        let mut ahead = Ahead::default();
        let mut round = |there: usize| {
            let count = ahead.count();
            match there < count {
                true => ahead.was_too_many(there),
                false => ahead.was_enough(),
            }
            count
        };
        // Question and answer: a second packet is looked for once in a while only.
        let asked: Vec<usize> = (0..100).map(|_| round(1)).collect();
        assert_eq!(asked.iter().sum::<usize>(), 109, "{asked:?}");
        // Under load it doubles up to the limit.
        let asked: Vec<usize> = (0..40).map(|_| round(BATCH)).collect();
        assert_eq!(asked[39], BATCH, "{asked:?}");
        assert_eq!(round(3), BATCH);
        assert_eq!(round(3), 3);
        // None at all, as when a signal has ended the wait.
        assert_eq!(round(0), 3);
        assert_eq!(round(0), 1);
    }

    #[test]
    fn what_is_in_vain_is_left_out_more_and_more_often() {
        let mut busy = Busy::new(Duration::from_micros(50));
        let mut attempts = |rounds: usize, found: bool| {
            let mut attempts = 0;
            for _ in 0..rounds {
                if busy.attempt().is_some() {
                    attempts += 1;
                    busy.found(found);
                }
            }
            attempts
        };
        assert_eq!(attempts(100, true), 100);
        // One, then after 1, 2, 4, … 256 more.
        assert_eq!(attempts(1 + 2 + 3 + 5 + 9, false), 5);
        let rest = attempts(10_000, false);
        assert!((40..50).contains(&rest), "{rest}");
        assert!(attempts(1000, true) >= 740);
    }
}
