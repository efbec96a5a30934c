//! What tcplab asks of Linux: a TUN, a private network to put it in, something to wait on, a clock.
//!
//! Everything below is ordinary kernel interface: ioctls through the `tun-tap` crate, rtnetlink,
//! namespaces, `signalfd`. No other program is run (no `ip`, no `unshare`), and no other part
//! of the crate may touch the operating system or hold unsafe code.
//!
//! Linux 5.3 or later is needed (`pidfd_open(2)`).
#![allow(unsafe_code)]

pub mod tun;

pub mod lab;

pub mod child;

pub mod wait;

pub mod clock;

pub mod doctor;

mod netlink;

mod capability;
