//! What tcplab asks of Linux: a TUN, a private network to put it in, something to wait on, a clock.
//!
//! Everything below is ordinary kernel interface: ioctls through the `tun-tap` crate, rtnetlink,
//! sock_diag, namespaces, `signalfd`, pseudo-terminals. No other program is run (no `ip`, no `unshare`), and no
//! other part
//! of the crate may touch the operating system or hold unsafe code.
//!
//! Linux 5.3 or later is needed (`pidfd_open(2)`).
#![allow(unsafe_code)]

pub mod tun;

pub mod lab;

pub mod child;

pub mod jobs;

pub mod wait;

pub mod driver;

pub mod clock;

pub mod memory;

pub mod doctor;

pub mod sockets;

pub mod pty;

pub mod http;

pub mod memory_file;

pub mod diag;

pub mod privileges;

pub mod seccomp;

pub mod panics;

pub mod output;

mod netlink;

mod capability;

/// A number that nobody can foresee, for [`Config::seed`](crate::engine::Config::seed).
///
/// # Errors
/// When /dev/urandom can't be read (random(4)).
pub fn random_seed() -> std::io::Result<u64> {
    let mut bytes = [0; 8];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}
