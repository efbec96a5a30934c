//! Memory that costs what is used of it.

use nix::libc;
use smoltcp::time::{Duration, Instant};

/// What was freed is given back to the system after so long.
const PAUSE: Duration = Duration::from_secs(10);

/// Gives free memory back to the system, some time after it may have become free.
///
/// A C library keeps what is freed, and gives it back only where it happens to lie at the end of its heap. After an attack
/// that was weathered, or a busy hour, that would be most of it for ever. To look through it takes less than a
/// millisecond for each ten megabytes, and is done once in ten seconds at most, and not at all while nothing happens.
#[derive(Debug, Default)]
pub struct Surplus {
    at: Option<Instant>,
}

impl Surplus {
    /// When to call [`give_back`](Surplus::give_back) next, unless something happens before.
    pub fn next(&self) -> Option<Instant> {
        self.at
    }

    /// Something has happened, or it is time: to be called after each wait.
    pub fn give_back(&mut self, now: Instant) {
        match self.at {
            None => self.at = Some(now + PAUSE),
            Some(at) if now < at => {}
            Some(_) => {
                self.at = None;
                trim();
            }
        }
    }
}

fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes a number and touches free memory only (malloc_trim(3)); musl gives back by itself.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Makes large pieces of memory cost only what is written to them, and cost nothing once they are free. To be called
/// before many connections begin, and after the last process was forked, which would inherit a part of it.
///
/// The buffers of a connection are large, and of most of them little is used. Two things would make an
/// unused buffer cost memory all the same:
///
/// - glibc takes large pieces from the heap once it has seen one as large come and go (mallopt(3),
///   M_MMAP_THRESHOLD), and has to clear what it takes from there. Other C libraries don't.
/// - The kernel may provide memory in pages of 2 MiB (transparent huge pages), in each of which many buffers begin.
///
/// Where the system refuses either, connections cost more, and nothing else is different.
pub fn cost_what_is_used() {
    #[cfg(target_env = "gnu")]
    {
        // glibc's own first choice; naming it is what keeps it.
        const THRESHOLD: libc::c_int = 128 * 1024;
        // SAFETY: mallopt takes numbers, and changes nothing about pieces that are in use.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, THRESHOLD);
            libc::mallopt(libc::M_MMAP_MAX, libc::c_int::MAX);
        }
    }
    // SAFETY: this takes numbers only (PR_SET_THP_DISABLE(2const)).
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rests_while_nothing_happens() {
        let at = |seconds| Instant::from_secs(seconds);
        let mut surplus = Surplus::default();
        assert_eq!(surplus.next(), None);
        surplus.give_back(at(1));
        assert_eq!(surplus.next(), Some(at(11)));
        surplus.give_back(at(5));
        assert_eq!(surplus.next(), Some(at(11)));
        surplus.give_back(at(11));
        assert_eq!(surplus.next(), None);
        surplus.give_back(at(100));
        assert_eq!(surplus.next(), Some(at(110)));
    }
}
