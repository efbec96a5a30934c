//! Where the program's own code lies in memory.

use std::fs;
use std::io;
use std::mem;
use std::ops::Range;
use std::ptr;

use nix::errno::Errno;
use nix::libc;

use super::map;

/// The size of a huge page.
const HUGE: usize = 2 << 20;

/// Moves the code of the program to huge pages (of 2 MiB), where the system has some. Returns whether it did.
///
/// Each packet leads through some fifty pages of it, and while the kernel is at work in between, the processor forgets where
/// most of them are. To find that out again takes its time, in a virtual machine above all: a byte there and back is a
/// fourteenth faster without (see the benchmark `versus_kernel`). The price is as much memory as the code has, and that a
/// tool which looks into a running process, such as `perf record --pid`, finds no names for it any more.
///
/// To be called once, as long as the process may have huge pages. For x86-64 only.
///
/// # Errors
/// Where the system refuses: then nothing has changed.
pub(super) fn move_to_huge_pages() -> io::Result<bool> {
    if !cfg!(target_arch = "x86_64") || !are_to_be_had() {
        return Ok(false);
    }
    let maps = fs::read_to_string("/proc/self/maps")?;
    match find(&maps, move_to_huge_pages as *const () as usize) {
        Some(code) => Ok(move_to(code).map(|()| true)?),
        None => Ok(false),
    }
}

/// Whether memory that asks for them gets huge pages.
fn are_to_be_had() -> bool {
    let setting = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    setting.is_ok_and(|setting| !setting.contains("[never]"))
}

/// The part of the memory map (proc_pid_maps(5)) that has this address, if it is code that nobody writes to.
fn find(maps: &str, address: usize) -> Option<Range<usize>> {
    maps.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let (start, end) = fields.next()?.split_once('-')?;
        let start = usize::from_str_radix(start, 16).ok()?;
        let end = usize::from_str_radix(end, 16).ok()?;
        let is_code = fields.next()? == "r-xp";
        (is_code && (start..end).contains(&address)).then_some(start..end)
    })
}

/// Puts a copy in the place of `code`. It is never both written to and executed.
///
/// Its first and its last huge page become one as a whole only where nothing else is in them: `build.rs` asks the linker for
/// that. Otherwise what the code has of them stays in small ones.
fn move_to(code: Range<usize>) -> Result<(), Errno> {
    let whole = code.start - code.start % HUGE..code.end.next_multiple_of(HUGE);
    let edges = [whole.start..code.start, code.end..whole.end];
    match edges.map(Reserved::new) {
        [Ok(before), Ok(behind)] => {
            copy_to(&whole, &code, &whole)?;
            before.keep();
            behind.keep();
            Ok(())
        }
        _ => copy_to(&code, &code, &whole),
    }
}

/// Puts a copy of `code` in its place, and new memory in what else there is of `place`, from huge pages of which `whole` is
/// the extent.
fn copy_to(place: &Range<usize>, code: &Range<usize>, whole: &Range<usize>) -> Result<(), Errno> {
    // As far from the beginning of a huge page as it is now, so that whole ones move as they are.
    let room = whole.len() + HUGE;
    let start: *mut libc::c_void = map(room).cast();
    if start.is_null() {
        return Err(Errno::last());
    }
    let ahead = start.align_offset(HUGE);
    // Where the copy of an address of `whole` is. SAFETY: `ahead` is less than a huge page, so all of them lie within `room`.
    let copy_of = |address: usize| unsafe { start.byte_add(ahead + address - whole.start) };
    let moved = (|| {
        // SAFETY: this is about pages of our own (madvise(2)).
        let advised =
            unsafe { libc::madvise(copy_of(whole.start), whole.len(), libc::MADV_HUGEPAGE) };
        Errno::result(advised)?;
        let (from, to) = (code.start as *const u8, copy_of(code.start).cast());
        // SAFETY: `code` can be read, the copy is as long, and new memory is nobody else's.
        unsafe { ptr::copy_nonoverlapping(from, to, code.len()) };
        let copy = copy_of(place.start);
        // SAFETY: pages of our own again; `place` begins and ends with a page.
        let executable = libc::PROT_READ | libc::PROT_EXEC;
        Errno::result(unsafe { libc::mprotect(copy, place.len(), executable) })?;
        let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        let (len, to) = (place.len(), place.start as *mut libc::c_void);
        // SAFETY: in this one call (mremap(2)) the copy takes the place of what it is a copy of: the same bytes, which can be
        // read and executed as before; what else there is of `place` is reserved. Another thread that comes by meanwhile
        // waits for the kernel to be done.
        Errno::result(unsafe { libc::mremap(copy, len, len, flags, to) }).map(drop)
    })();
    // What is left is all of it, or both ends. SAFETY: pages of our own, to which nothing points.
    match moved {
        Ok(()) => unsafe {
            let before = ahead + place.start - whole.start;
            let behind = before + place.len();
            libc::munmap(start, before);
            libc::munmap(start.byte_add(behind), room - behind);
        },
        Err(_) => unsafe {
            libc::munmap(start, room);
        },
    }
    moved
}

/// Addresses that nobody else gets as long as this is there.
struct Reserved(Range<usize>);

impl Reserved {
    /// # Errors
    /// Where something is there already.
    fn new(range: Range<usize>) -> Result<Reserved, Errno> {
        if !range.is_empty() {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
            let start = range.start as *mut libc::c_void;
            // SAFETY: with MAP_FIXED_NOREPLACE (mmap(2)) nothing is replaced, and a kernel that doesn't know it chooses
            // another place.
            let got = unsafe { libc::mmap(start, range.len(), libc::PROT_NONE, flags, -1, 0) };
            if got == libc::MAP_FAILED {
                return Err(Errno::last());
            }
            if got != start {
                drop(Reserved(got as usize..got as usize + range.len()));
                return Err(Errno::EEXIST);
            }
        }
        Ok(Reserved(range))
    }

    /// They stay reserved.
    fn keep(self) {
        mem::forget(self);
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if !self.0.is_empty() {
            // SAFETY: they are ours, and nothing points there.
            unsafe { libc::munmap(self.0.start as *mut libc::c_void, self.0.len()) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_found_in_a_memory_map() {
        let maps = "\
55d0c0a00000-55d0c0b6e000 r--p 00000000 fe:00 12 /usr/bin/tcplab
55d0c0b6e000-55d0c1029000 r-xp 0016d000 fe:00 12 /usr/bin/tcplab
55d0c1029000-55d0c105f000 rw-p 00627000 fe:00 12 /usr/bin/tcplab
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]
";
        let code = 0x55d0_c0b6_e000..0x55d0_c102_9000;
        assert_eq!(find(maps, code.start), Some(code.clone()));
        assert_eq!(find(maps, code.end - 1), Some(code.clone()));
        assert_eq!(find(maps, code.start - 1), None);
        assert_eq!(find(maps, code.end), None);
        assert_eq!(find(maps, 0xffff_ffff_ff60_0000), None);
        assert_eq!(find("nonsense\n", 0), None);
    }

    #[test]
    fn nothing_that_is_there_is_displaced() {
        let there = Box::new([7; 3 * 4096]);
        let page = (there.as_ptr() as usize).next_multiple_of(4096);
        let refused = Reserved::new(page..page + 4096).map(Reserved::keep);
        assert_eq!(refused, Err(Errno::EEXIST));
        assert_eq!(*there, [7; 3 * 4096]);
    }
}
