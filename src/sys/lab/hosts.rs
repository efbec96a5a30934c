//! The names of a lab: a file laid over /etc/hosts, for the lab alone.

use std::fs;
use std::net::IpAddr;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::sys::tun::errno;

/// The file that hosts(5) describes.
pub(super) const PATH: &str = "/etc/hosts";

/// Our lines, then the existing file as it is (it may hold any bytes). Ours come first as the
/// first match of a name wins.
pub(super) fn text(existing: &[u8], hosts: &[(IpAddr, String)]) -> Vec<u8> {
    let mut text = String::new();
    for (address, name) in hosts {
        text.push_str(&format!("{address}\t{name}\n"));
    }
    [text.as_bytes(), existing].concat()
}

/// Lays `text` over [`PATH`], in this process's own mount namespace, which must be private.
///
/// The file lives in a memory file system that is visible at /tmp only until the next line: when the
/// lazy unmount has taken it from there, the bind mount is all that holds it. So no disk ever
/// sees it, and the kernel frees it with the namespace.
pub(super) fn lay_over(text: &[u8]) -> Result<(), Errno> {
    const ROOM: &str = "/tmp";
    const FILE: &str = "/tmp/hosts";
    let none = None::<&str>;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(
        Some("tcplab"),
        ROOM,
        Some("tmpfs"),
        flags,
        Some("mode=0755"),
    )?;
    let laid = fs::write(FILE, text)
        .map_err(|error| errno(&error))
        .and_then(|()| mount(Some(FILE), PATH, none, MsFlags::MS_BIND, none));
    umount2(ROOM, MntFlags::MNT_DETACH).and(laid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_names_come_first_and_the_file_stays_as_it_is() {
        #[track_caller]
        fn check(existing: &[u8], hosts: &[(&str, &str)], expected: &[u8]) {
            let hosts: Vec<_> = hosts
                .iter()
                .map(|(address, name)| (address.parse().unwrap(), name.to_string()))
                .collect();
            assert_eq!(text(existing, &hosts), expected);
        }
        check(b"", &[], b"");
        check(b"127.0.0.1 localhost", &[], b"127.0.0.1 localhost");
        check(
            b"127.0.0.1 localhost\n# \xff\n",
            &[("192.0.2.2", "lab.test"), ("2001:db8::2", "lab.test")],
            b"192.0.2.2\tlab.test\n2001:db8::2\tlab.test\n127.0.0.1 localhost\n# \xff\n",
        );
    }
}
