//! Sockets for connections to come, with their buffers.

use crate::stack::socket::Socket;
use crate::state::TcpState;
use smoltcp::time::{Duration, Instant};

/// Sockets that wait for their next connection.
///
/// smoltcp does not give a socket's buffers back, so whole sockets are kept: `listen` and `connect` reset one
/// that is closed. They forget all but what a connection in trouble leaves behind (the count of duplicate
/// ACKs, a fast retransmission that never left), so only sockets whose connection saw none come back here.
///
/// A buffer is zero bytes that the operating system has not provided yet: it costs what was written to it. So what
/// free sockets cost is what their connections have used, and of that only so much is kept; and what was not needed for
/// a while is given back altogether.
pub(crate) struct Pool {
    /// With how much of its buffers was used, in bytes.
    free: Vec<(Socket, usize)>,
    /// The sum of that.
    used: usize,
    buffer: usize,
    /// The fewest that were free since `since`.
    spare: usize,
    since: Instant,
}

/// More free sockets than these are not kept, nor more than so many bytes of used buffers, except for a few.
const MAX_FREE: usize = 4096;
const MAX_USED: usize = 64 << 20;
const FEW: usize = 64;
/// A free socket that costs more than that is given back too once nobody needs it.
const CHEAP: usize = 4096;
/// What was not needed for so long is given back.
const PATIENCE: Duration = Duration::from_secs(10);

impl Pool {
    /// `buffer` is the size of each buffer, one for sending and one for receiving, in bytes.
    pub(crate) fn new(buffer: usize) -> Pool {
        Pool {
            free: Vec::new(),
            used: 0,
            buffer,
            spare: 0,
            since: Instant::ZERO,
        }
    }

    /// A closed socket with congestion control as at the beginning. `buffer` is the size of its buffers where it differs from
    /// the pool's; such a socket is made for one connection.
    pub(crate) fn take(&mut self, buffer: Option<usize>) -> Socket {
        let buffer = buffer.unwrap_or(self.buffer);
        let free = match buffer == self.buffer {
            true => self.take_free(),
            false => None,
        };
        let mut socket = free.unwrap_or_else(|| Socket::new(buffer));
        socket.renew();
        socket
    }

    fn take_free(&mut self) -> Option<Socket> {
        let (socket, used) = self.free.pop()?;
        self.used -= used;
        self.spare = self.spare.min(self.free.len());
        Some(socket)
    }

    /// Takes a socket back whose connection saw no trouble. So many `bytes` were written to its buffers.
    pub(crate) fn put_back(&mut self, now: Instant, mut socket: Socket, bytes: [u64; 2]) {
        let used = bytes.map(|bytes| bytes.min(self.buffer as u64) as usize);
        let used = used.iter().sum();
        let room = self.free.len() < MAX_FREE && self.used + used <= MAX_USED;
        let made_for_one = socket.buffer() != self.buffer;
        if made_for_one || !room && self.free.len() >= FEW {
            return;
        }
        if socket.state() != TcpState::Closed {
            socket.abort();
        }
        let was_little = self.next().is_none();
        self.used += used;
        self.free.push((socket, used));
        if was_little {
            // What was spare while nobody looked says nothing.
            (self.spare, self.since) = (0, now);
        }
    }

    /// When to call [`give_back`](Pool::give_back) next; `None` where there is little to give back.
    pub(crate) fn next(&self) -> Option<Instant> {
        let is_much = self.free.len() > FEW || self.used > FEW * CHEAP;
        is_much.then(|| self.since + PATIENCE)
    }

    /// Gives back what was not needed for a while, but for a few sockets of which little was used.
    pub(crate) fn give_back(&mut self, now: Instant) {
        if self.next().is_none_or(|at| now < at) {
            return;
        }
        // Those that were taken last are at the end, and what is not needed is at the beginning.
        let mut few = FEW.saturating_sub(self.free.len() - self.spare);
        let cheap = self.free.drain(..self.spare).filter(|(_, used)| {
            let keep = few > 0 && *used <= CHEAP;
            few -= usize::from(keep);
            keep
        });
        let mut kept: Vec<(Socket, usize)> = cheap.collect();
        kept.append(&mut self.free);
        self.free = kept;
        self.free.shrink_to(2 * self.free.len());
        self.used = self.free.iter().map(|(_, used)| used).sum();
        self.spare = self.free.len();
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many sockets as that, all in use at once and then given back.
    fn pool(count: usize, buffer: usize) -> Pool {
        let mut pool = Pool::new(buffer);
        let sockets: Vec<Socket> = (0..count).map(|_| pool.take(None)).collect();
        for socket in sockets {
            pool.put_back(Instant::ZERO, socket, [1, 1 << 40]);
        }
        pool
    }

    #[test]
    fn used_buffers_are_kept_up_to_a_limit() {
        #[track_caller]
        fn check(count: usize, buffer: usize, expected: usize) {
            assert_eq!(pool(count, buffer).free.len(), expected);
        }
        check(10, 1024, 10);
        check(MAX_FREE + 1, 1024, MAX_FREE);
        check(FEW + 1, MAX_USED, FEW);
        check(100, MAX_USED / 80, 79);
    }

    /// However few they are: a peer that fills the buffers of each connection would leave megabytes.
    #[test]
    fn used_buffers_are_given_back() {
        let mut pool = Pool::new(1 << 20);
        let sockets: Vec<Socket> = (0..20).map(|_| pool.take(None)).collect();
        for (number, socket) in sockets.into_iter().enumerate() {
            let bytes = if number % 2 == 0 { 100 } else { 1 << 40 };
            pool.put_back(Instant::ZERO, socket, [bytes, bytes]);
        }
        let first = pool.next().unwrap();
        pool.give_back(first);
        assert_eq!(pool.free.len(), 20, "they were needed just before");
        pool.give_back(first + PATIENCE);
        assert_eq!((pool.free.len(), pool.used), (10, 2_000));
        assert_eq!(pool.next(), None);
    }

    #[test]
    fn what_was_not_needed_for_a_while_is_given_back() {
        let mut pool = pool(200, 1024);
        let at = |seconds| Instant::from_secs(seconds);
        let first = pool.next().unwrap();
        pool.give_back(first);
        assert_eq!(pool.free.len(), 200, "they were needed just before");
        let taken: Vec<Socket> = (0..100).map(|_| pool.take(None)).collect();
        for socket in taken {
            pool.put_back(first, socket, [1, 1]);
        }
        pool.give_back(first + Duration::from_secs(9));
        assert_eq!(pool.free.len(), 200, "it is not time yet");
        pool.give_back(first + PATIENCE);
        assert_eq!(pool.free.len(), 100, "so many were needed");
        pool.give_back(at(1_000));
        assert_eq!((pool.free.len(), pool.next()), (FEW, None));
    }
}
