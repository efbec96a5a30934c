//! netlink(7): questions to the kernel, each answered at once. Bytes in, bytes out.
//!
//! A message is a header (16 bytes), a fixed structure that depends on its type, and attributes:
//! length, kind, value, padded to four bytes. All numbers are in the machine's own byte order.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

mod route;

pub(super) use route::{LOCAL_TABLE, Link, Route, Rule};

/// A socket of one netlink family, bound to the network namespace it was opened in.
#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

impl Socket {
    pub(super) fn open(family: SockProtocol) -> Result<Socket, Errno> {
        let kind = SockType::Raw;
        socket(AddressFamily::Netlink, kind, SockFlag::SOCK_CLOEXEC, family).map(Socket)
    }

    /// Sends a request and writes the first message of the answer into `answer`; what doesn't fit is cut off. Never
    /// waits: the kernel has answered before sending returns, or it never will (EAGAIN).
    pub(super) fn ask<'a>(
        &self,
        request: Request,
        answer: &'a mut [u8],
    ) -> Result<&'a [u8], Errno> {
        let fd = self.0.as_raw_fd();
        send(fd, &request.finish(), MsgFlags::empty())?;
        let length = recv(fd, answer, MsgFlags::MSG_DONTWAIT)?;
        let answer = &answer[..length];
        match code(answer) {
            Some(code) if code < 0 => Err(Errno::from_raw(-code)),
            _ => Ok(answer),
        }
    }
}

impl From<OwnedFd> for Socket {
    fn from(fd: OwnedFd) -> Socket {
        Socket(fd)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

const NLM_F_REQUEST: u16 = libc::NLM_F_REQUEST as u16;

/// Octets of `struct nlmsghdr`.
pub(super) const HEADER: usize = 16;

/// A request under construction; its length is filled in last.
pub(super) struct Request(Vec<u8>);

impl Request {
    pub(super) fn new(kind: u16, flags: u16) -> Request {
        let mut message = vec![0; 4];
        message.extend(kind.to_ne_bytes());
        message.extend((flags | NLM_F_REQUEST).to_ne_bytes());
        // Sequence number and port: one request is under way at a time, and the kernel sets the port.
        message.extend([0; 8]);
        Request(message)
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Request {
        self.0.extend(bytes);
        self
    }

    fn attribute(self, kind: u16, value: &[u8]) -> Request {
        self.bytes(&attribute(kind, value))
    }

    fn text(self, kind: u16, value: &str) -> Request {
        self.attribute(kind, &[value.as_bytes(), &[0]].concat())
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        let length = self.0.len() as u32;
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0
    }
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = ((4 + value.len()) as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// The code of a message that ends an answer, NLMSG_ERROR or NLMSG_DONE (zero acknowledges), or `None` for any
/// other message.
fn code(message: &[u8]) -> Option<i32> {
    let kind = i32::from(u16::from_ne_bytes(array(message, 4)?));
    (kind == libc::NLMSG_ERROR || kind == libc::NLMSG_DONE)
        .then(|| array(message, HEADER).map(i32::from_ne_bytes))?
}

/// The value of the first attribute of that kind.
pub(super) fn find(mut attributes: &[u8], kind: u16) -> Option<&[u8]> {
    loop {
        // The length field counts its own header and no padding.
        let length = usize::from(u16::from_ne_bytes(array(attributes, 0)?));
        let found = u16::from_ne_bytes(array(attributes, 2)?);
        let value = attributes.get(4..length)?;
        if found == kind {
            return Some(value);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

/// `N` octets from `at` on.
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
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
    fn attributes_are_found_and_broken_ones_end_the_search() {
        let two = [attribute(3, b"abc"), attribute(5, b"")].concat();
        assert_eq!(find(&two, 3), Some(&b"abc"[..]));
        assert_eq!(find(&two, 5), Some(&b""[..]));
        assert_eq!(find(&two, 4), None);
        assert_eq!(find(&two[..9], 5), None);
        // A length below its own header's would loop for ever.
        assert_eq!(find(&[0; 64], 7), None);
    }

    #[test]
    fn an_error_is_told_from_an_answer() {
        #[track_caller]
        fn check(kind: i32, code_sent: i32, expected: Option<i32>) {
            let mut message = Request::new(kind as u16, 0).finish();
            message.extend(code_sent.to_ne_bytes());
            assert_eq!(code(&message), expected);
        }
        check(libc::NLMSG_ERROR, -2, Some(-2));
        check(libc::NLMSG_ERROR, 0, Some(0));
        check(libc::NLMSG_DONE, -2, Some(-2));
        check(libc::RTM_NEWLINK.into(), -2, None);
        assert_eq!(code(&[]), None);
    }
}
