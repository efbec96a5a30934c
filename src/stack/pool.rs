//! Sockets for connections to come, with their buffers.

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp::{CongestionControl, Socket, SocketBuffer, State};
use smoltcp::time::{Duration, Instant};

/// One socket in a set of its own.
pub(crate) struct Pooled {
    pub(crate) sockets: SocketSet<'static>,
    pub(crate) handle: SocketHandle,
}

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
    free: Vec<(Pooled, usize)>,
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

    /// A closed socket with congestion control (CUBIC, RFC 9438) as at the beginning. `buffer` is the size of its buffers
    /// where it differs from the pool's; such a socket is made for one connection.
    pub(crate) fn take(&mut self, buffer: Option<usize>) -> Pooled {
        let buffer = buffer.unwrap_or(self.buffer);
        let free = match buffer == self.buffer {
            true => self.take_free(),
            false => None,
        };
        let mut pooled = free.unwrap_or_else(|| {
            let room = |len: usize| SocketBuffer::new(vec![0; len]);
            let mut sockets = SocketSet::new(Vec::with_capacity(1));
            let receive = room(buffer + reserve(buffer));
            let handle = sockets.add(Socket::new(receive, room(buffer)));
            Pooled { sockets, handle }
        });
        let socket = pooled.sockets.get_mut::<Socket>(pooled.handle);
        socket.set_congestion_control(CongestionControl::Cubic);
        pooled
    }

    fn take_free(&mut self) -> Option<Pooled> {
        let (pooled, used) = self.free.pop()?;
        self.used -= used;
        self.spare = self.spare.min(self.free.len());
        Some(pooled)
    }

    /// Takes a socket back whose connection saw no trouble. So many `bytes` were written to its buffers.
    pub(crate) fn put_back(&mut self, now: Instant, mut pooled: Pooled, bytes: [u64; 2]) {
        let used = bytes.map(|bytes| bytes.min(self.buffer as u64) as usize);
        let used = used.iter().sum();
        let room = self.free.len() < MAX_FREE && self.used + used <= MAX_USED;
        let socket = pooled.sockets.get_mut::<Socket>(pooled.handle);
        let made_for_one = buffer_of(socket) != self.buffer;
        if made_for_one || !room && self.free.len() >= FEW {
            return;
        }
        if socket.state() != State::Closed {
            socket.abort();
        }
        let was_little = self.next().is_none();
        self.used += used;
        self.free.push((pooled, used));
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
        let mut kept: Vec<(Pooled, usize)> = cheap.collect();
        kept.append(&mut self.free);
        self.free = kept;
        self.free.shrink_to(2 * self.free.len());
        self.used = self.free.iter().map(|(_, used)| used).sum();
        self.spare = self.free.len();
        self.since = now;
    }
}

/// Bytes of a receive buffer of `buffer` bytes that are never advertised.
///
/// A window is advertised in units of `1 << shift` bytes. Its right edge must not move left (RFC 9293, section 3.8.6), so
/// an acknowledgment of anything but whole units rounds the rest of the window up, which moves the edge right by less than a
/// unit. This is room for 128 such acknowledgments that the program has read nothing between, as many as a whole
/// window of full segments draws. A buffer that needs no scale needs no reserve, and none may change the scale.
pub(crate) fn reserve(buffer: usize) -> usize {
    let bits = usize::BITS - buffer.leading_zeros();
    match bits.saturating_sub(16) {
        0 => 0,
        // smoltcp takes no more than a gigabyte.
        shift => (128 << shift)
            .min((1 << bits) - 1 - buffer)
            .min((1usize << 30).saturating_sub(buffer)),
    }
}

/// The bytes of a socket's receive buffer that may be advertised.
pub(crate) fn buffer_of(socket: &Socket<'_>) -> usize {
    // The send buffer is as large, without the reserve.
    socket.send_capacity()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_leaves_the_scale_as_it_is() {
        #[track_caller]
        fn check(buffer: usize, expected: usize) {
            assert_eq!(reserve(buffer), expected, "{buffer}");
            let bits = |len: usize| usize::BITS - len.leading_zeros();
            assert_eq!(bits(buffer + reserve(buffer)), bits(buffer), "{buffer}");
        }
        check(1_024, 0);
        check(65_535, 0);
        check(65_536, 256);
        check(262_143, 0);
        check(262_144, 1_024);
        check(262_143 - 100, 100);
        check(524_288, 2_048);
        check(1 << 30, 0);
    }

    /// As many sockets as that, all in use at once and then given back.
    fn pool(count: usize, buffer: usize) -> Pool {
        let mut pool = Pool::new(buffer);
        let sockets: Vec<Pooled> = (0..count).map(|_| pool.take(None)).collect();
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
        let sockets: Vec<Pooled> = (0..20).map(|_| pool.take(None)).collect();
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
        let taken: Vec<Pooled> = (0..100).map(|_| pool.take(None)).collect();
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
