//! Memory that costs what is used of it.

mod code;

use nix::libc;
use smoltcp::time::{Duration, Instant};
use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;

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

/// From so many bytes on, a piece of memory is one of its own: as in glibc, as long as that has not seen larger ones come and
/// go (mallopt(3), M_MMAP_THRESHOLD).
const LARGE: usize = 128 * 1024;
/// The least that pages have on any processor; larger ones are no less aligned.
const PAGE: usize = 4096;

/// An allocator for the whole program: large pieces cost only what is written to them, and nothing once they are free.
///
/// The buffers of a connection are large, and of most of them little is used. From a C library, a buffer costs a page at
/// least, because in front of it stands how long it is; and one that was used before is cleared from its beginning to its end.
/// Here it is pages of the system's, zeros that are not there until they are written to, and that
/// [`release`] can give back. Everything smaller is left to the C library.
///
/// ```no_run
/// #[global_allocator]
/// static ALLOCATOR: tcplab::sys::memory::Pages = tcplab::sys::memory::Pages;
/// ```
#[derive(Debug)]
pub struct Pages;

fn is_large(size: usize, align: usize) -> bool {
    size >= LARGE && align <= PAGE
}

fn map(size: usize) -> *mut u8 {
    let (protection, flags) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
    );
    // SAFETY: new pages, wherever the kernel finds room for them (mmap(2)).
    let start = unsafe { libc::mmap(ptr::null_mut(), size, protection, flags, -1, 0) };
    match start {
        libc::MAP_FAILED => ptr::null_mut(),
        start => start.cast(),
    }
}

// SAFETY: which of both a piece comes from follows from its layout, which is the same when it is freed. Pages are zeros,
// and aligned as far as `is_large` allows.
unsafe impl GlobalAlloc for Pages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match is_large(layout.size(), layout.align()) {
            true => map(layout.size()),
            // SAFETY: as the caller has promised.
            false => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match is_large(layout.size(), layout.align()) {
            true => map(layout.size()),
            // SAFETY: as the caller has promised.
            false => unsafe { System.alloc_zeroed(layout) },
        }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        match is_large(layout.size(), layout.align()) {
            // SAFETY: these pages came from `map` or `mremap`, with this size.
            true => {
                unsafe { libc::munmap(start.cast(), layout.size()) };
            }
            // SAFETY: as the caller has promised.
            false => unsafe { System.dealloc(start, layout) },
        }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (was_large, is_large) = (
            is_large(layout.size(), layout.align()),
            is_large(size, layout.align()),
        );
        if was_large && is_large {
            // SAFETY: these pages came from `map` or `mremap`, with this size.
            let moved =
                unsafe { libc::mremap(start.cast(), layout.size(), size, libc::MREMAP_MAYMOVE) };
            return match moved {
                libc::MAP_FAILED => ptr::null_mut(),
                moved => moved.cast(),
            };
        }
        if !was_large && !is_large {
            // SAFETY: as the caller has promised.
            return unsafe { System.realloc(start, layout, size) };
        }
        // SAFETY: the caller has promised that `size` is one that this alignment allows, and that the old piece is its
        // own; the new one is another.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                ptr::copy_nonoverlapping(start, moved, layout.size().min(size));
                self.dealloc(start, layout);
            }
            moved
        }
    }
}

/// Gives the memory of `bytes` back to the system, as far as it is whole pages. They come back, as zeros, when they are
/// used again.
pub fn release(bytes: &mut [u8]) {
    let start = bytes.as_mut_ptr();
    let before = start.align_offset(page_size());
    let Some(len) = bytes.len().checked_sub(before) else {
        return;
    };
    let len = len - len % page_size();
    if len > 0 {
        // SAFETY: the pages lie inside `bytes`, which nobody else has; whatever they hold afterwards are bytes
        // (madvise(2)). Where the system refuses, they stay.
        unsafe { libc::madvise(start.add(before).cast(), len, libc::MADV_DONTNEED) };
    }
}

fn page_size() -> usize {
    // SAFETY: it takes a number (sysconf(3)).
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(PAGE)
}

/// Arranges the memory of a program for many connections and much traffic: its code moves to huge pages, where the system has
/// some. To be called before the connections begin, and after the last process was forked, which would inherit it. Where the
/// system refuses, connections cost more, or packets take longer, and nothing else is different.
///
/// perf(1) finds the names of functions of a program that it has started; for one that runs already it finds none, as the
/// code is not from a file any more.
pub fn arrange() {
    match code::move_to_huge_pages() {
        Ok(moved) => log::trace!("the code is in huge pages: {moved}"),
        Err(error) => log::trace!("the code stays where it is: {error}"),
    }
    without_huge_pages();
}

/// Keeps the kernel from providing memory in pages of 2 MiB (transparent huge pages), in each of which many buffers begin.
fn without_huge_pages() {
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

    #[test]
    fn pieces_of_every_size_keep_what_they_hold() {
        let layout = |size| Layout::from_size_align(size, 1).unwrap();
        let sizes = [100, LARGE - 1, LARGE, 3 * LARGE, LARGE + 5, 1000, 2 * LARGE];
        // SAFETY: each piece is used within its size, and handed back with it.
        unsafe {
            let mut piece = Pages.alloc_zeroed(layout(sizes[0]));
            for (size, next) in sizes.into_iter().zip(sizes.into_iter().skip(1)) {
                let bytes = std::slice::from_raw_parts_mut(piece, size);
                bytes[..100].fill(size as u8);
                piece = Pages.realloc(piece, layout(size), next);
                let bytes = std::slice::from_raw_parts(piece, 100);
                assert_eq!(bytes, [size as u8; 100], "{size} to {next}");
            }
            Pages.dealloc(piece, layout(sizes[6]));
        }
    }

    #[test]
    fn what_is_released_is_zero_and_can_be_used_again() {
        let layout = Layout::from_size_align(LARGE, 1).unwrap();
        // SAFETY: the piece is used within its size, and handed back with it.
        let bytes = unsafe { std::slice::from_raw_parts_mut(Pages.alloc(layout), LARGE) };
        assert!(bytes.iter().all(|byte| *byte == 0));
        bytes.fill(1);
        let page = page_size();
        // What is not a whole page stays.
        release(&mut bytes[1..3 * page + 1]);
        let ones = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == 1).count();
        assert_eq!(ones(bytes), LARGE - 2 * page);
        assert_eq!(ones(&bytes[page..3 * page]), 0);
        bytes.fill(1);
        release(&mut bytes[1..page]);
        release(&mut bytes[..0]);
        assert_eq!(ones(bytes), LARGE);
        // SAFETY: as above.
        unsafe { Pages.dealloc(bytes.as_mut_ptr(), layout) };
    }
}
