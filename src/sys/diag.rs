//! sock_diag(7): what a kernel says of one end of a TCP connection.
//!
//! ```text
//!   this process                      kernel, in the lab's network namespace
//!   inet_diag_req_v2, one 4-tuple ──▶ looks in its table of connections, then among those that listen
//!                                 ◀── inet_diag_msg (state), INET_DIAG_INFO (struct tcp_info)
//!                                 ◀── or ENOENT: there is no such socket
//! ```
//!
//! The socket sees the network namespace in which it was opened, whoever holds it; asking needs no privilege, only
//! other users' marks and the like would. So a lab opens it inside and hands it out. The kernel answers while the
//! request is being sent, so nothing ever waits for an answer. A question is two system calls, together about 7 µs
//! on a small virtual machine that is idle and 15 µs on a busy one (`cargo test --test diag -- --ignored --nocapture
//! cost` measures it); TCP_INFO adds next to nothing. So it is for runs that somebody watches.
//!
//! What is asked is never changed: no option is set, no socket is destroyed.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::SockProtocol;
use smoltcp::time::Duration;

use super::netlink::{HEADER, Request, Socket, array, find};
use crate::event::{PeerInfo, PeerView};
use crate::state::TcpState;

/// A way to ask the kernel about the TCP sockets of one network namespace.
#[derive(Debug)]
pub struct Diag {
    socket: Socket,
}

impl Diag {
    /// Opens one for the network namespace of the calling thread.
    ///
    /// # Errors
    /// Where the kernel has no sock_diag (EPROTONOSUPPORT), or none for TCP (ENOENT: `CONFIG_INET_DIAG`, a module
    /// that the kernel loads by itself where it is there).
    pub fn open() -> io::Result<Diag> {
        Ok(Diag::probe()?)
    }

    /// Asks about the end of a connection that lives in the namespace: `local` is its own address, `remote` the other
    /// end's. `None` where there is no such socket; RFC 9293, section 3.3.2, calls that CLOSED.
    ///
    /// A socket that listens at `local` answers too, with LISTEN, where there is no connection.
    ///
    /// # Errors
    /// EINVAL where the two addresses are of different IP versions; whatever else the kernel has against the question,
    /// and EBADMSG for an answer that can't be read.
    pub fn ask(&self, local: SocketAddr, remote: SocketAddr) -> io::Result<Option<PeerView>> {
        let mut answer = [0; 2048];
        match self.socket.ask(question(local, remote)?, &mut answer) {
            Ok(answer) => Ok(Some(read(answer).ok_or(Errno::EBADMSG)?)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The same as [`open`](Diag::open), and asks for a list of nothing: in the answer to a single question ENOENT could
    /// also mean that nobody can be asked.
    pub(super) fn probe() -> Result<Diag, Errno> {
        let socket = Socket::open(SockProtocol::NetlinkSockDiag)?;
        let mut nothing = vec![libc::AF_INET as u8, libc::IPPROTO_TCP as u8];
        nothing.resize(REQUEST, 0);
        let request = Request::new(SOCK_DIAG_BY_FAMILY, libc::NLM_F_DUMP as u16).bytes(&nothing);
        socket.ask(request, &mut [0; 2048])?;
        Ok(Diag { socket })
    }

    /// One that was opened elsewhere, of which only the descriptor has come to us.
    pub(super) fn received(fd: OwnedFd) -> Diag {
        Diag { socket: fd.into() }
    }
}

impl AsFd for Diag {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// <linux/sock_diag.h>.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// <linux/inet_diag.h>: an extension, of which a request has the bit one lower and an answer the attribute.
const INET_DIAG_INFO: u16 = 2;
/// Octets of `struct inet_diag_req_v2` and `struct inet_diag_msg`.
const REQUEST: usize = 56;
const MESSAGE: usize = 72;

/// `struct inet_diag_req_v2`: family, protocol, extensions, pad, states; then `struct inet_diag_sockid`: ports and
/// addresses in network byte order, interface, cookie.
fn question(local: SocketAddr, remote: SocketAddr) -> Result<Request, Errno> {
    let family = match (local, remote) {
        (SocketAddr::V4(_), SocketAddr::V4(_)) => libc::AF_INET,
        (SocketAddr::V6(_), SocketAddr::V6(_)) => libc::AF_INET6,
        _ => return Err(Errno::EINVAL),
    };
    let mut bytes = vec![
        family as u8,
        libc::IPPROTO_TCP as u8,
        1 << (INET_DIAG_INFO - 1),
        0,
    ];
    // The states count in lists only.
    bytes.extend([0xff; 4]);
    bytes.extend(local.port().to_be_bytes());
    bytes.extend(remote.port().to_be_bytes());
    bytes.extend(octets(local.ip()));
    bytes.extend(octets(remote.ip()));
    // Any interface.
    bytes.extend([0; 4]);
    // INET_DIAG_NOCOOKIE, twice: whichever socket it is.
    bytes.extend([0xff; 8]);
    debug_assert_eq!(bytes.len(), REQUEST);
    Ok(Request::new(SOCK_DIAG_BY_FAMILY, 0).bytes(&bytes))
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
        IpAddr::V6(address) => address.octets(),
    }
}

/// `struct inet_diag_msg`: family, state and more, then attributes.
fn read(answer: &[u8]) -> Option<PeerView> {
    let kind = u16::from_ne_bytes(array(answer, 4)?);
    if kind != SOCK_DIAG_BY_FAMILY {
        return None;
    }
    let state = state(*answer.get(HEADER + 1)?)?;
    let attributes = answer.get(HEADER + MESSAGE..)?;
    let info = match state {
        // A listening socket has one of which nothing concerns the connection.
        TcpState::Listen => None,
        _ => find(attributes, INET_DIAG_INFO).and_then(info),
    };
    Some(PeerView { state, info })
}

/// <linux/tcp.h> and `include/net/tcp_states.h`. The kernel says SYN_RECV for its NEW_SYN_RECV (12), which is known here
/// should that ever change.
fn state(number: u8) -> Option<TcpState> {
    Some(match number {
        1 => TcpState::Established,
        2 => TcpState::SynSent,
        3 | 12 => TcpState::SynReceived,
        4 => TcpState::FinWait1,
        5 => TcpState::FinWait2,
        6 => TcpState::TimeWait,
        7 => TcpState::Closed,
        8 => TcpState::CloseWait,
        9 => TcpState::LastAck,
        10 => TcpState::Listen,
        11 => TcpState::Closing,
        _ => return None,
    })
}

/// `struct tcp_info` of <linux/tcp.h>: eight octets, then 32-bit numbers; times are in microseconds. It has grown at its
/// end ever since; all that is read here was in Linux 2.6.
fn info(info: &[u8]) -> Option<PeerInfo> {
    let number = |at| array(info, at).map(u32::from_ne_bytes);
    let time = |at| number(at).map(|micros| Duration::from_micros(micros.into()));
    Some(PeerInfo {
        rtt: time(68)?,
        rttvar: time(72)?,
        rto: time(8)?,
        cwnd: number(80)?,
        retransmits: *info.get(2)?,
        total_retransmits: number(100)?,
    })
}

#[cfg(test)]
mod tests;
