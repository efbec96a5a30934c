//! Which privileges this process holds (capabilities(7)).

use std::fs;

use nix::errno::Errno;
use nix::libc;

/// Configure interfaces, make TUNs.
pub(super) const NET_ADMIN: u32 = 12;
/// Make namespaces and mounts, among much else.
pub(super) const SYS_ADMIN: u32 = 21;

/// Whether this process may do what `capability` stands for, in its own user namespace.
pub(super) fn holds(capability: u32) -> bool {
    // Where /proc can't be read, ask for nothing that needs privilege.
    fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| effective(&status))
        .is_some_and(|held| held & (1 << capability) != 0)
}

/// The CapEff line of proc_pid_status(5): a number in hexadecimal.
fn effective(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// Empties the bounding set of this thread, as far as it may: without CAP_SETPCAP it stays, and so do the few who hold no
/// capability (capabilities(7)).
pub(super) fn clear_bounding_set() -> Result<(), Errno> {
    for capability in 0..64 {
        // SAFETY: the call takes numbers and changes nothing but the bounding set.
        let done = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        match Errno::result(done) {
            Ok(_) => {}
            Err(Errno::EPERM) => return Ok(()),
            // Beyond the last one that the kernel knows.
            Err(Errno::EINVAL) => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Gives up every capability of this thread: permitted, effective, inheritable and ambient.
pub(super) fn clear() -> Result<(), Errno> {
    /// As linux/capability.h has it.
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    const VERSION_3: u32 = 0x2008_0522;
    let header = Header {
        version: VERSION_3,
        pid: 0,
    };
    // Two of effective, permitted, inheritable: for capabilities below 32 and from there on. The ambient set holds nothing
    // that is not both permitted and inheritable.
    let none = [[0_u32; 3]; 2];
    // SAFETY: capset(2) reads a header and two structures of three numbers each, which live until it returns.
    let done = unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) };
    Errno::result(done).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_from_the_status_file() {
        #[track_caller]
        fn check(status: &str, expected: Option<u64>) {
            assert_eq!(effective(status), expected);
        }
        check("Name:\tx\nCapEff:\t0000000000201000\n", Some(0x201000));
        check("CapPrm:\t000001ffffffffff\n", None);
        check("CapEff:\tnonsense\n", None);
    }
}
