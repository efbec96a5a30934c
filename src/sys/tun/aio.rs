//! Several writes in one system call: io_submit(2), which a TUN performs at once and in order.
//!
//! The `aio(7)` of the C library is something else, as it has threads do the work.

use std::ffi::{c_int, c_long, c_uint, c_ulong};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr;

use nix::errno::Errno;
use nix::libc;
use smallvec::{SmallVec, smallvec};

/// The most writes in one call.
pub(super) const MOST: usize = 64;

/// IOCB_CMD_PWRITE of <linux/aio_abi.h>.
const PWRITE: u16 = 1;

/// `struct iocb` of <linux/aio_abi.h>.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Request {
    data: u64,
    /// `aio_key` and `aio_rw_flags`, whose order depends on the machine's. Both are zero.
    key_and_flags: u64,
    opcode: u16,
    priority: i16,
    fd: c_uint,
    buffer: u64,
    len: u64,
    offset: i64,
    reserved: u64,
    flags: u32,
    event_fd: u32,
}

/// `struct io_event` of <linux/aio_abi.h>.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    data: u64,
    request: u64,
    result: i64,
    result2: i64,
}

/// What the kernel keeps requests and their results in.
#[derive(Debug)]
pub(super) struct Aio {
    context: c_ulong,
}

impl Aio {
    /// # Errors
    /// EAGAIN where all of the system's have been taken (/proc/sys/fs/aio-max-nr), ENOSYS without CONFIG_AIO.
    pub(super) fn new() -> Result<Aio, Errno> {
        let mut context: c_ulong = 0;
        let requests = MOST as c_uint;
        // SAFETY: io_setup(2) writes an aio_context_t, an unsigned long, which outlives the call.
        let result = unsafe { libc::syscall(libc::SYS_io_setup, requests, &raw mut context) };
        Errno::result(result)?;
        Ok(Aio { context })
    }

    /// Performs as many of `writes` as can be done at once, and says how many. Those that have failed are told to
    /// `failed`.
    ///
    /// # Errors
    /// When not even the first could be begun.
    pub(super) fn write(
        &mut self,
        file: &File,
        writes: &[&[u8]],
        mut failed: impl FnMut(io::Error),
    ) -> Result<usize, Errno> {
        let requests = writes.iter().take(MOST).map(|bytes| Request {
            opcode: PWRITE,
            fd: file.as_raw_fd() as c_uint,
            buffer: bytes.as_ptr() as u64,
            len: bytes.len() as u64,
            ..Request::default()
        });
        let requests: SmallVec<[Request; MOST]> = requests.collect();
        let pointers = requests.iter().map(ptr::from_ref);
        let pointers: SmallVec<[*const Request; MOST]> = pointers.collect();
        let count = pointers.len() as c_long;
        // SAFETY: io_submit(2) reads `count` pointers and the requests behind them, which are as <linux/aio_abi.h> has them. The
        // buffers of each are borrowed until this function returns, and then it is done: see below.
        let begun =
            unsafe { libc::syscall(libc::SYS_io_submit, self.context, count, pointers.as_ptr()) };
        let begun = Errno::result(begun)? as usize;
        let mut left = begun;
        while left > 0 {
            let mut done: SmallVec<[Done; MOST]> = smallvec![Done::default(); left];
            // SAFETY: io_getevents(2) writes at most `left` results, for which there is room.
            let count = unsafe {
                libc::syscall(
                    libc::SYS_io_getevents,
                    self.context,
                    left as c_long,
                    left as c_long,
                    done.as_mut_ptr(),
                    ptr::null_mut::<libc::timespec>(),
                )
            };
            let count = match Errno::result(count) {
                Ok(count) => count as usize,
                Err(Errno::EINTR) => continue,
                // They are written. Results that nobody takes are in the way of further requests, which then fail.
                Err(_) => break,
            };
            for done in done.iter().take(count).filter(|done| done.result < 0) {
                failed(io::Error::from_raw_os_error(-done.result as c_int));
            }
            left -= count;
        }
        Ok(begun)
    }

    /// One with which no requests can be made: contexts begin with a page. One that has ended would not do, as the next may
    /// have its place.
    #[cfg(test)]
    pub(super) fn without_context() -> Aio {
        Aio { context: 1 }
    }
}

impl Drop for Aio {
    fn drop(&mut self) {
        // SAFETY: io_destroy(2) takes any number, and refuses those that are no context of this process.
        unsafe { libc::syscall(libc::SYS_io_destroy, self.context) };
    }
}
