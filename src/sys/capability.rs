//! Which privileges this process holds (capabilities(7)).

use std::fs;

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
