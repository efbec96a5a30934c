//! The TUN: the kernel hands us the IP packets it routes there, and takes ours as if from a wire.
//!
//! It is opened through the `tun-tap` crate, without packet information (each read or write is one IP
//! packet and nothing else) and then made non-blocking. With offload it is opened here, and a header before each packet
//! says what is left to the device (`vnet`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Read, Write};
use std::mem;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::net::if_::if_nametoindex;
use smoltcp::wire::{IpCidr, Ipv6Address};
use tun_tap::{Iface, Mode};

use super::capability::{NET_ADMIN, holds};
use super::netlink::{Link, Route};
use crate::segment::Checksum;

mod aio;
mod error;
mod outbox;
mod overlap;
mod vnet;

pub use error::TunError;
pub use outbox::Outbox;

/// The device through which TUNs are made.
pub(super) const DEVICE: &str = "/dev/net/tun";
/// How many packets a new TUN keeps until we take them. The kernel's own choice is 500; a dozen connections whose windows are
/// open fill that, and what comes then would be lost though nobody has asked for it.
const QUEUE: u32 = 4_000;
/// Room for any packet and the header before it: IPv6 does not count its own.
pub(super) const ROOM: usize = vnet::LEN + 40 + 65_535;

/// The TUN to have, and how to set it up if it has to be made.
#[derive(Clone, Debug)]
pub struct TunConfig {
    /// The interface's name, as `ip link` shows it: 1 to 15 octets.
    pub name: String,
    /// The kernel's own addresses on it; each makes its prefix reachable through the TUN.
    pub addresses: Vec<IpCidr>,
    /// Octets of the largest packet. IPv6 needs 1280 or more (RFC 8200, section 5).
    pub mtu: u16,
    /// Whether TCP packets larger than the MTU and partial checksums cross it: faster, and not what a wire would carry.
    pub offload: bool,
}

/// An open TUN. A TUN that we made is gone when this is dropped.
#[derive(Debug)]
pub struct Tun {
    file: File,
    name: String,
    mtu: u16,
    existed: bool,
    offload: bool,
    queue: u32,
}

/// A packet that [`Tun::recv`] has read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Where in the room that was given it is.
    pub place: Range<usize>,
    /// What the kernel says of its checksum; without offload nothing.
    pub checksum: Checksum,
}

impl Tun {
    /// Attaches to the TUN of that name if there is one, and otherwise makes and configures it.
    ///
    /// One that existed keeps its addresses and MTU. It is brought up if it is down and we may.
    pub fn open(config: &TunConfig) -> Result<Tun, TunError> {
        let name = config.name.as_str();
        check_name(name)?;
        probe_device()?;
        check_offload(config)?;
        // Whoever may not make a TUN takes nothing away from others.
        if holds(NET_ADMIN) && if_nametoindex(name).is_err() {
            overlap::check(&config.addresses)?;
        }
        let file = open_interface(name, config.offload)
            .map_err(|errno| TunError::interface(name, errno))?;
        let existed = is_persistent(&file).map_err(os(name, "ask about"))?;

        let route = Route::open().map_err(os(name, "configure"))?;
        if !existed {
            let link = bring_up(&route, config).map_err(os(name, "configure"))?;
            let lacking = add_addresses(&route, link, &config.addresses)
                .map_err(os(name, "add an address to"))?;
            if let Some(errno) = lacking {
                log::warn!("the TUN {name} has no IPv6: {}", errno.desc());
            }
        }
        let mut link = route.link(name).map_err(os(name, "ask about"))?;
        if !link.up {
            route
                .bring_up(link.index, None)
                .map_err(|_| TunError::Down { name: name.into() })?;
            link = route.link(name).map_err(os(name, "ask about"))?;
        }
        Ok(Tun {
            file,
            name: name.into(),
            mtu: u16::try_from(link.mtu).unwrap_or(u16::MAX),
            existed,
            offload: config.offload,
            queue: link.queue,
        })
    }

    /// A TUN that the lab made and configured, of which only the descriptor has come to us.
    pub(super) fn received(fd: OwnedFd, config: &TunConfig) -> Tun {
        Tun {
            file: fd.into(),
            name: config.name.clone(),
            mtu: config.mtu,
            existed: false,
            offload: config.offload,
            queue: QUEUE,
        }
    }

    /// The interface's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Octets of the largest packet, as the kernel had it when the TUN was opened.
    pub fn mtu(&self) -> u16 {
        self.mtu
    }

    /// Whether the TUN was there before (then it outlives us, with its addresses).
    pub fn existed(&self) -> bool {
        self.existed
    }

    /// Whether packets larger than the MTU and partial checksums cross it.
    pub fn offload(&self) -> bool {
        self.offload
    }

    /// How many packets the kernel keeps until they are read, as it was when the TUN was opened. Further ones are lost.
    pub fn queue(&self) -> u32 {
        self.queue
    }

    /// Reads one IP packet; what doesn't fit is cut off, so give room for MTU octets or more, with offload for 65,585. Fails with
    /// [`io::ErrorKind::WouldBlock`] when none is there.
    pub fn recv(&self, room: &mut [u8]) -> io::Result<Received> {
        let len = (&self.file).read(room)?;
        // With offload the kernel writes the header whole or fails.
        let begin = vnet::header_len(self.offload).min(len);
        let (header, packet) = room[..len].split_at_mut(begin);
        let checksum = match header.first_chunk() {
            Some(header) => vnet::received(header, packet),
            None => Checksum::Whole,
        };
        let place = begin..len;
        Ok(Received { place, checksum })
    }

    /// Hands the kernel one IP packet. It takes a packet whole or not at all: EINVAL for what isn't IP
    /// by its first four bits, EIO while the interface is down.
    pub fn send(&self, packet: &[u8]) -> io::Result<()> {
        let header = &[0; vnet::LEN][..vnet::header_len(self.offload)];
        let parts = [header, packet].map(IoSlice::new);
        (&self.file).write_vectored(&parts).map(drop)
    }
}

#[cfg(test)]
impl Tun {
    /// One that ends at a socket, which keeps packets apart too; neither end waits.
    pub(super) fn to_a_socket(offload: bool) -> (Tun, std::os::unix::net::UnixDatagram) {
        let (ours, theirs) = std::os::unix::net::UnixDatagram::pair().unwrap();
        for end in [&ours, &theirs] {
            end.set_nonblocking(true).unwrap();
        }
        let tun = Tun {
            file: OwnedFd::from(ours).into(),
            name: "none".into(),
            mtu: 1500,
            existed: false,
            offload,
            queue: QUEUE,
        };
        (tun, theirs)
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Opens [`DEVICE`] and closes it again: the one way to know that it may be opened.
pub(super) fn probe_device() -> Result<(), TunError> {
    let opened = OpenOptions::new().read(true).write(true).open(DEVICE);
    opened
        .map(drop)
        .map_err(|error| TunError::device(errno(&error)))
}

/// Names as the kernel takes them (dev_valid_name: no slash, colon or space, not `.` or `..`), and no
/// `%`, which it would replace by a number.
pub(super) fn check_name(name: &str) -> Result<(), TunError> {
    let forbidden =
        |c: char| c == '/' || c == ':' || c == '%' || c.is_whitespace() || c.is_control();
    let why = match name {
        "" => "it is empty",
        "." | ".." => "it means a directory",
        _ if name.len() >= libc::IFNAMSIZ => "it has more than 15 octets",
        _ if name.contains(forbidden) => "it has a space, a slash, a colon or a percent sign",
        _ => return Ok(()),
    };
    Err(TunError::BadName {
        name: name.into(),
        why,
    })
}

/// Whether the kernel's TUNs know offload. Fails where [`DEVICE`] can't be opened.
pub(super) fn knows_offload() -> Result<bool, TunError> {
    let device = OpenOptions::new().read(true).write(true).open(DEVICE);
    let device = device.map_err(|error| TunError::device(errno(&error)))?;
    // A driver that doesn't know the question doesn't know the answer either.
    Ok(vnet::is_known(&device).unwrap_or(false))
}

/// Refuses an offload that the kernel doesn't know. What else is missing shows when the TUN is made.
pub(super) fn check_offload(config: &TunConfig) -> Result<(), TunError> {
    match config.offload && knows_offload() == Ok(false) {
        true => Err(TunError::NoOffload),
        false => Ok(()),
    }
}

/// Makes the TUN or attaches to it, in the network namespace of this process.
pub(super) fn open_interface(name: &str, offload: bool) -> Result<File, Errno> {
    let file = match offload {
        false => {
            let iface =
                Iface::without_packet_info(name, Mode::Tun).map_err(|error| errno(&error))?;
            // SAFETY: `into_raw_fd` gives the descriptor away, open and owned by nobody else.
            unsafe { File::from_raw_fd(iface.into_raw_fd()) }
        }
        true => with_header(name)?,
    };
    // What the last user of a persistent TUN has left on would stay on.
    vnet::set_offload(&file, offload)?;
    fcntl(&file, FcntlArg::F_SETFL(OFlag::O_RDWR | OFlag::O_NONBLOCK))?;
    Ok(file)
}

/// The same as `tun-tap` does, with IFF_VNET_HDR. A TUN that was made without is changed by attaching to it.
fn with_header(name: &str) -> Result<File, Errno> {
    let device = OpenOptions::new().read(true).write(true).open(DEVICE);
    let device = device.map_err(|error| errno(&error))?;
    // SAFETY: `ifreq` is integers, arrays of them and pointers that nobody follows; zero is valid for all.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    // The name was checked, so a zero is left at its end.
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    let flags = libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: TUNSETIFF (linux/drivers/net/tun.c) reads and writes the `ifreq` it is given, which outlives the call.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF as _, &mut request) };
    Errno::result(result)?;
    Ok(device)
}

/// Gives a new TUN its MTU and its queue, and brings it up.
pub(super) fn bring_up(route: &Route, config: &TunConfig) -> Result<Link, Errno> {
    let link = route.link(&config.name)?;
    // A kernel without IPv6 refuses this, and needs it as little.
    let _ = route.no_link_local(link.index);
    route.bring_up(link.index, Some((config.mtu, QUEUE)))?;
    if let Err(errno) = route.no_queueing(link.index) {
        log::debug!(
            "packets still queue before the TUN {}: {}",
            config.name,
            errno.desc()
        );
    }
    Ok(link)
}

/// Adds the kernel's addresses. Where the kernel has no IPv6, the IPv6 ones are left out and the reason
/// is given back.
pub(super) fn add_addresses(
    route: &Route,
    link: Link,
    addresses: &[IpCidr],
) -> Result<Option<Errno>, Errno> {
    let mut lacking = None;
    for &cidr in addresses {
        match (route.add_address(link.index, cidr), cidr) {
            (Ok(()), IpCidr::Ipv6(cidr)) => await_local(cidr.address()),
            (Ok(()), IpCidr::Ipv4(_)) => {}
            (Err(errno), IpCidr::Ipv6(_)) if means_no_ipv6(errno) => lacking = Some(errno),
            (Err(errno), _) => return Err(errno),
        }
    }
    Ok(lacking)
}

/// The kernel makes an IPv6 address its own in the background, even without duplicate address detection; what is sent
/// to it before is lost. So this waits until there is a local route to it, a moment as a rule.
fn await_local(address: Ipv6Address) {
    const PATIENCE: Duration = Duration::from_secs(2);
    let begun = Instant::now();
    while !has_local_route(address) && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether the routing table knows `address` as the kernel's own. A table that can't be read says yes: there is nothing
/// to wait for then.
fn has_local_route(address: Ipv6Address) -> bool {
    /// `RTF_LOCAL` (linux/ipv6_route.h).
    const LOCAL: u32 = 0x8000_0000;
    let Ok(routes) = fs::read_to_string("/proc/self/net/ipv6_route") else {
        return true;
    };
    // Destination, its prefix length, source, its prefix length, next hop, metric, references, uses, flags, interface.
    let destination = format!("{:032x} 80 ", address.to_bits());
    routes.lines().any(|route| {
        let flags = route.split_whitespace().nth(8);
        let flags = flags.and_then(|flags| u32::from_str_radix(flags, 16).ok());
        route.starts_with(&destination) && flags.is_some_and(|flags| flags & LOCAL != 0)
    })
}

/// A kernel built without IPv6, booted with `ipv6.disable=1`, or set to `disable_ipv6`.
fn means_no_ipv6(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT | Errno::EACCES
    )
}

/// A TUN that stays when nobody has it open was there before us: a new one never is persistent.
fn is_persistent(file: &File) -> Result<bool, Errno> {
    // SAFETY: `ifreq` is integers, arrays of them and pointers that nobody follows; zero is valid for all.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    // SAFETY: TUNGETIFF (linux/drivers/net/tun.c) fills the `ifreq` it is given, which outlives the call.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNGETIFF as _, &mut request) };
    Errno::result(result)?;
    // SAFETY: TUNGETIFF has set the flags, the part of the union read here.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    Ok(i32::from(flags) & libc::IFF_PERSIST != 0)
}

fn os(name: &str, what: &'static str) -> impl FnOnce(Errno) -> TunError {
    let name = name.into();
    move |errno| TunError::Os { what, name, errno }
}

/// The number behind an error of the operating system; EIO for what has none.
pub(super) fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// Errors after which the TUN can still be used: nothing is there (EAGAIN), the interface is down (EIO from read
/// and write), or the kernel has no memory for the packet just now.
pub(super) fn is_loss(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EAGAIN | libc::EINVAL | libc::EIO | libc::ENOBUFS | libc::ENOMEM)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_before_the_kernel_is_asked() {
        #[track_caller]
        fn check(name: &str, expected: bool) {
            assert_eq!(check_name(name).is_ok(), expected, "{name:?}");
        }
        check("tcplab0", true);
        check("a-name_of.15chr", true);
        check("sixteen-octets-x", false);
        check("", false);
        check("..", false);
        check("a/b", false);
        check("a b", false);
        check("tun%d", false);
        check("tun0:1", false);
        check("a\0b", false);
    }
}
