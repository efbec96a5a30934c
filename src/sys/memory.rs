//! Memory that costs what is used of it.

use nix::libc;

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
