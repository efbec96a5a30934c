//! Sockets for connections to come, with their buffers.

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp::{CongestionControl, Socket, SocketBuffer, State};

/// One socket in a set of its own.
pub(crate) struct Pooled {
    pub(crate) sockets: SocketSet<'static>,
    pub(crate) handle: SocketHandle,
}

/// Sockets that wait for their next connection.
///
/// smoltcp does not give a socket's buffers back, so whole sockets are kept: `listen` and `connect` reset one
/// that is closed. They forget all but what a connection in trouble leaves behind (the count of duplicate
/// ACKs, a fast retransmission that never left), so only sockets whose connection ended in order come
/// back here.
pub(crate) struct Pool {
    free: Vec<Pooled>,
    buffer: usize,
}

/// More free sockets than this are not kept.
const MAX_FREE: usize = 1024;

impl Pool {
    /// `buffer` is the size of each buffer, one for sending and one for receiving, in bytes.
    pub(crate) fn new(buffer: usize) -> Pool {
        Pool {
            free: Vec::new(),
            buffer,
        }
    }

    /// A closed socket with congestion control (CUBIC, RFC 9438) as at the beginning. `buffer` is the size of its buffers
    /// where it differs from the pool's; such a socket is made for one connection.
    pub(crate) fn take(&mut self, buffer: Option<usize>) -> Pooled {
        let buffer = buffer.unwrap_or(self.buffer);
        let kept = (buffer == self.buffer).then(|| self.free.pop()).flatten();
        let mut pooled = kept.unwrap_or_else(|| {
            let buffer = || SocketBuffer::new(vec![0; buffer]);
            let mut sockets = SocketSet::new(Vec::with_capacity(1));
            let handle = sockets.add(Socket::new(buffer(), buffer()));
            Pooled { sockets, handle }
        });
        let socket = pooled.sockets.get_mut::<Socket>(pooled.handle);
        socket.set_congestion_control(CongestionControl::Cubic);
        pooled
    }

    /// Takes a socket back whose connection ended in order.
    pub(crate) fn put_back(&mut self, mut pooled: Pooled) {
        let socket = pooled.sockets.get_mut::<Socket>(pooled.handle);
        if socket.state() != State::Closed {
            socket.abort();
        }
        if self.free.len() < MAX_FREE && socket.recv_capacity() == self.buffer {
            self.free.push(pooled);
        }
    }
}
