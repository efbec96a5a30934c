//! rtnetlink(7): the few requests that set up an interface. Bytes in, one acknowledgment out.
//!
//! A request is a header (16 bytes), a fixed structure that depends on its type, and attributes:
//! length, kind, value, padded to four bytes. All numbers are in the machine's own byte order.

use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};
use smoltcp::wire::IpCidr;

/// A socket to the kernel's routing tables, bound to the network namespace it was opened in.
#[derive(Debug)]
pub(super) struct Route {
    socket: OwnedFd,
}

/// What the kernel says of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) index: u32,
    pub(super) up: bool,
    /// Octets of the largest packet.
    pub(super) mtu: u32,
}

impl Route {
    pub(super) fn open() -> Result<Route, Errno> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkRoute,
        )?;
        Ok(Route { socket })
    }

    /// Looks an interface up; ENODEV where there is none of that name.
    pub(super) fn link(&self, name: &str) -> Result<Link, Errno> {
        let answer = self.ask(
            Request::new(libc::RTM_GETLINK, 0)
                .bytes(&link_header(0, 0, 0))
                .text(libc::IFLA_IFNAME, name),
        )?;
        parse_link(&answer).ok_or(Errno::EBADMSG)
    }

    /// Sets the MTU, unless it is to stay, and brings the interface up.
    pub(super) fn bring_up(&self, index: u32, mtu: Option<u16>) -> Result<(), Errno> {
        let up = libc::IFF_UP as u32;
        let mut request =
            Request::new(libc::RTM_NEWLINK, NLM_F_ACK).bytes(&link_header(index, up, up));
        if let Some(mtu) = mtu {
            request = request.attribute(libc::IFLA_MTU, &u32::from(mtu).to_ne_bytes());
        }
        self.ask(request).map(drop)
    }

    /// Keeps the kernel from giving the interface a link-local address, and with it from asking for
    /// routers there: the first packet of a lab is then the user's own.
    pub(super) fn no_link_local(&self, index: u32) -> Result<(), Errno> {
        let mode = attribute(IFLA_INET6_ADDR_GEN_MODE, &[IN6_ADDR_GEN_MODE_NONE]);
        let inet6 = attribute(libc::AF_INET6 as u16, &mode);
        self.ask(
            Request::new(libc::RTM_NEWLINK, NLM_F_ACK)
                .bytes(&link_header(index, 0, 0))
                .attribute(libc::IFLA_AF_SPEC, &inet6),
        )
        .map(drop)
    }

    /// Adds an address, usable at once: without duplicate address detection (RFC 4862, section
    /// 5.4), which would keep an IPv6 address from answering for a second.
    pub(super) fn add_address(&self, index: u32, cidr: IpCidr) -> Result<(), Errno> {
        let (family, octets) = match IpAddr::from(cidr.address()) {
            IpAddr::V4(address) => (libc::AF_INET, address.octets().to_vec()),
            IpAddr::V6(address) => (libc::AF_INET6, address.octets().to_vec()),
        };
        // struct ifaddrmsg of <linux/if_addr.h>: family, prefix length, flags, scope, index.
        let mut header = vec![family as u8, cidr.prefix_len(), IFA_F_NODAD, 0];
        header.extend(index.to_ne_bytes());
        self.ask(
            Request::new(libc::RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL)
                .bytes(&header)
                .attribute(libc::IFA_LOCAL, &octets)
                .attribute(libc::IFA_ADDRESS, &octets),
        )
        .map(drop)
    }

    /// Sends a request and gives the first message of the answer; the kernel answers at once.
    fn ask(&self, request: Request) -> Result<Vec<u8>, Errno> {
        let fd = self.socket.as_raw_fd();
        send(fd, &request.finish(), MsgFlags::empty())?;
        let mut answer = vec![0; 32 * 1024];
        let length = recv(fd, &mut answer, MsgFlags::empty())?;
        answer.truncate(length);
        match error_of(&answer) {
            Some(0) | None => Ok(answer),
            Some(code) => Err(Errno::from_raw(-code)),
        }
    }
}

const NLM_F_REQUEST: u16 = libc::NLM_F_REQUEST as u16;
const NLM_F_ACK: u16 = libc::NLM_F_ACK as u16;
const NLM_F_CREATE: u16 = libc::NLM_F_CREATE as u16;
const NLM_F_EXCL: u16 = libc::NLM_F_EXCL as u16;
const IFA_F_NODAD: u8 = libc::IFA_F_NODAD as u8;
/// `enum` values of <linux/if_link.h>, which `libc` doesn't have.
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const IN6_ADDR_GEN_MODE_NONE: u8 = 1;

/// Octets of `struct nlmsghdr` and of `struct ifinfomsg`.
const MESSAGE_HEADER: usize = 16;
const LINK_HEADER: usize = 16;

/// A request under construction; its length is filled in last.
struct Request(Vec<u8>);

impl Request {
    fn new(kind: u16, flags: u16) -> Request {
        let mut message = vec![0; 4];
        message.extend(kind.to_ne_bytes());
        message.extend((flags | NLM_F_REQUEST).to_ne_bytes());
        // Sequence number and port: one request is under way at a time, and the kernel sets the port.
        message.extend([0; 8]);
        Request(message)
    }

    fn bytes(mut self, bytes: &[u8]) -> Request {
        self.0.extend(bytes);
        self
    }

    fn attribute(self, kind: u16, value: &[u8]) -> Request {
        self.bytes(&attribute(kind, value))
    }

    fn text(self, kind: u16, value: &str) -> Request {
        self.attribute(kind, &[value.as_bytes(), &[0]].concat())
    }

    fn finish(mut self) -> Vec<u8> {
        let length = self.0.len() as u32;
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0
    }
}

/// `struct ifinfomsg` of <linux/rtnetlink.h>: family, pad, type, index, flags, which flags to change.
fn link_header(index: u32, flags: u32, change: u32) -> Vec<u8> {
    let mut header = vec![0; 4];
    header.extend(index.to_ne_bytes());
    header.extend(flags.to_ne_bytes());
    header.extend(change.to_ne_bytes());
    header
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = ((4 + value.len()) as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// The code of an NLMSG_ERROR message (zero acknowledges), or `None` for any other message.
fn error_of(message: &[u8]) -> Option<i32> {
    let kind = u16::from_ne_bytes(array(message, 4)?);
    (kind == libc::NLMSG_ERROR as u16)
        .then(|| array(message, MESSAGE_HEADER).map(i32::from_ne_bytes))?
}

fn parse_link(message: &[u8]) -> Option<Link> {
    let index = u32::from_ne_bytes(array(message, MESSAGE_HEADER + 4)?);
    let flags = u32::from_ne_bytes(array(message, MESSAGE_HEADER + 8)?);
    let mut rest = message.get(MESSAGE_HEADER + LINK_HEADER..)?;
    loop {
        let length = usize::from(u16::from_ne_bytes(array(rest, 0)?));
        if u16::from_ne_bytes(array(rest, 2)?) == libc::IFLA_MTU {
            let mtu = u32::from_ne_bytes(array(rest, 4)?);
            let up = flags & libc::IFF_UP as u32 != 0;
            return Some(Link { index, up, mtu });
        }
        // A length below its own header's would loop for ever.
        rest = rest.get(length.max(4).next_multiple_of(4)..)?;
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_to_four_octets() {
        #[track_caller]
        fn check(value: &[u8], expected: &[u8]) {
            let header = [(expected.len() as u16).to_ne_bytes(), 3u16.to_ne_bytes()].concat();
            let bytes = attribute(3, value);
            // The length field counts no padding.
            assert_eq!(bytes[0] as usize, 4 + value.len());
            assert_eq!(bytes[2..4], header[2..4]);
            assert_eq!(bytes[4..], *expected);
        }
        check(b"", b"");
        check(b"tun0\0", b"tun0\0\0\0\0");
        check(&[1, 2, 3, 4], &[1, 2, 3, 4]);
    }

    #[test]
    fn loopback_is_found_and_nonsense_is_not() {
        let route = Route::open().unwrap();
        assert_eq!(route.link("lo").unwrap().index, 1);
        assert_eq!(route.link("no-such-link").unwrap_err(), Errno::ENODEV);
    }

    #[test]
    fn a_cut_answer_is_no_link() {
        assert_eq!(parse_link(&[]), None);
        assert_eq!(parse_link(&[0; 33]), None);
        assert_eq!(parse_link(&[0; 64]), None);
    }
}
