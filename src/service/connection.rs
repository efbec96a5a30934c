//! A TCP connection as a service sees it.

mod observed;

pub(crate) use observed::Observed;

use super::Task;
use crate::event::{Cause, Handshake, Transition, UserCall};
use crate::stack::socket::Socket;
use crate::state::TcpState;
use smoltcp::time::{Duration, Instant};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;

/// One TCP connection, established.
///
/// All methods take `&self`, so that one program may read and write at once by joining two futures.
/// Dropping the connection is CLOSE; what was written still goes out first.
#[derive(Debug)]
pub struct Connection {
    task: Task,
    endpoint: Rc<RefCell<Endpoint>>,
}

impl Connection {
    pub(crate) fn new(task: Task, endpoint: Rc<RefCell<Endpoint>>) -> Connection {
        Connection { task, endpoint }
    }

    /// Reads what has arrived, at least one byte and at most `buf.len()`; 0 means that the peer has closed its
    /// direction and everything it sent was read.
    ///
    /// # Errors
    /// `ConnectionReset` after a RST, `TimedOut` after the user timeout, `ConnectionAborted` after an ABORT.
    pub async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let lent = self.recv_with(|arrived| {
            let len = arrived.len().min(buf.len());
            buf[..len].copy_from_slice(&arrived[..len]);
            (len, len)
        });
        Ok(lent.await?.unwrap_or(0))
    }

    /// Reads what has arrived, at least one byte and at most `max`; empty means the end, as with [`read`](Self::read).
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn read_up_to(&self, max: usize) -> io::Result<Vec<u8>> {
        let mut buf = vec![0; max];
        let len = self.read(&mut buf).await?;
        buf.truncate(len);
        Ok(buf)
    }

    /// Lends `f` what has arrived, at least one byte, in place; `f` returns how many bytes it has consumed, and a
    /// result of its own. `None` at the end. The arrived bytes may wrap around in the receive buffer: then `f` sees
    /// the first part, and the rest at the next call.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    ///
    /// # Panics
    /// If `f` claims to have consumed more than it was lent.
    pub async fn recv_with<R>(&self, f: impl FnOnce(&[u8]) -> (usize, R)) -> io::Result<Option<R>> {
        let mut f = Some(f);
        poll_fn(|_| {
            let mut endpoint = self.endpoint.borrow_mut();
            let end = endpoint.end;
            if end.is_none() && !endpoint.conduct.may_read(&self.task) {
                return Poll::Pending;
            }
            let socket = &mut endpoint.socket;
            if !socket.can_read() {
                return match end {
                    Some(kind) => Poll::Ready(Err(kind.into())),
                    None if socket.may_read() => Poll::Pending,
                    None => Poll::Ready(Ok(None)),
                };
            }
            let f = f.take().expect("a future is not polled after it is ready");
            let result = socket.read(|arrived| {
                let (len, result) = f(arrived);
                (len, (len, result))
            });
            let (len, result) = result.expect("there is something to receive");
            endpoint.consumed += len as u64;
            Poll::Ready(Ok(Some(result)))
        })
        .await
    }

    /// Reads and throws away until the end.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn drain(&self) -> io::Result<()> {
        while let Some(()) = self.recv_with(|arrived| (arrived.len(), ())).await? {}
        Ok(())
    }

    /// Puts all of `data` into the send buffer, waiting for room as often as needed.
    ///
    /// # Errors
    /// `BrokenPipe` after [`close`](Self::close); otherwise as [`read`](Self::read).
    pub async fn write_all(&self, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            data = &data[self.write_some(data).await?..];
        }
        Ok(())
    }

    /// As [`write_all`](Self::write_all), and tells the peer that it is urgent (RFC 9293, section 3.8.5): the urgent pointer
    /// of the segments up to there points behind the last byte of `data`. Most programs of today expect the last byte alone, and
    /// apart from the others, which RFC 6093 advises against; new programs had better do without.
    ///
    /// # Errors
    /// As [`write_all`](Self::write_all).
    pub async fn write_urgent(&self, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            data = &data[self.write_some(data).await?..];
            // "To send an urgent indication, the user must also send at least one data octet."
            let mut endpoint = self.endpoint.borrow_mut();
            endpoint.urgent_marked = Some(endpoint.socket.queued());
        }
        Ok(())
    }

    /// Puts as much of `data` into the send buffer as there is room for, at least one byte; how much.
    async fn write_some(&self, data: &[u8]) -> io::Result<usize> {
        let accepted = self.send_with(|space| {
            let len = space.len().min(data.len());
            space[..len].copy_from_slice(&data[..len]);
            (len, len)
        });
        accepted.await
    }

    /// How many bytes are to be read until the end of the urgent data that the peer has told of; 0 where it has told of none.
    /// They stay in line: [`read`](Self::read) gives them, and what has arrived before. A program is woken when there is
    /// more.
    pub fn urgent(&self) -> u64 {
        let endpoint = self.endpoint.borrow();
        endpoint.urgent_end.saturating_sub(endpoint.consumed)
    }

    /// Waits until there is urgent data; how many bytes are to be read up to its end.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn await_urgent(&self) -> io::Result<u64> {
        poll_fn(|_| match (self.urgent(), self.endpoint.borrow().end) {
            (0, Some(kind)) => Poll::Ready(Err(kind.into())),
            (0, None) => Poll::Pending,
            (left, _) => Poll::Ready(Ok(left)),
        })
        .await
    }

    /// Lends `f` free room in the send buffer, at least one byte, in place; `f` returns how many bytes it has filled,
    /// and a result of its own.
    ///
    /// # Errors
    /// As [`write_all`](Self::write_all).
    ///
    /// # Panics
    /// If `f` claims to have filled more than it was lent.
    pub async fn send_with<R>(&self, f: impl FnOnce(&mut [u8]) -> (usize, R)) -> io::Result<R> {
        let mut f = Some(f);
        poll_fn(|_| {
            let mut endpoint = self.endpoint.borrow_mut();
            if let Some(kind) = endpoint.end {
                return Poll::Ready(Err(kind.into()));
            }
            let socket = &endpoint.socket;
            let closed = endpoint.conduct.is_written || endpoint.close_waits;
            if !socket.may_write() || closed {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            let room = endpoint.share.saturating_sub(socket.queued());
            if room == 0 || !socket.can_write() {
                return Poll::Pending;
            }
            let Some(most) = endpoint.conduct.may_write(&self.task) else {
                return Poll::Pending;
            };
            let f = f.take().expect("a future is not polled after it is ready");
            let mut written = 0;
            let result = endpoint.socket.write(|space| {
                let len = space.len().min(most).min(room);
                let (len, result) = f(&mut space[..len]);
                written = len as u64;
                (len, result)
            });
            endpoint.written += written;
            Poll::Ready(Ok(result.expect("the connection may send")))
        })
        .await
    }

    /// CLOSE (RFC 9293, section 3.10.4): nothing more will be sent. What was written leaves first, as far as the
    /// peer's window allows, so that the FIN gets a segment of its own as with kernel sockets; in CLOSE-WAIT, a shut window
    /// delays LAST-ACK too.
    /// Reading goes on until the peer closes too. Closing twice does nothing.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn close(&self) -> io::Result<()> {
        self.task.yield_now().await;
        let mut endpoint = self.endpoint.borrow_mut();
        if let Some(kind) = endpoint.end {
            return Err(kind.into());
        }
        endpoint.close();
        Ok(())
    }

    /// ABORT (RFC 9293, section 3.10.5): everything that waits is thrown away and the peer gets a RST.
    pub fn abort(&self) {
        self.endpoint.borrow_mut().abort();
    }

    /// Waits for `duration`.
    pub async fn sleep(&self, duration: Duration) {
        self.task.sleep(duration).await;
    }

    /// Waits for `work`, but no longer than `limit`; `None` when the time is up first.
    pub async fn timeout<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        self.task.timeout(limit, work).await
    }

    /// Time, sleep, time-outs, notes.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// Our end.
    pub fn local(&self) -> SocketAddr {
        self.endpoint.borrow().handshake.local
    }

    /// The other end.
    pub fn peer(&self) -> SocketAddr {
        self.endpoint.borrow().handshake.peer
    }

    /// The state of our end.
    pub fn state(&self) -> TcpState {
        self.endpoint.borrow().state()
    }

    /// How often in a row the same was sent again without an acknowledgment of anything. From three times on (R1 of
    /// RFC 9293, section 3.8.3) something is wrong with the path or the peer, and the program is woken so that it may look;
    /// the connection itself is given up after the user timeout (R2).
    pub fn unanswered(&self) -> u8 {
        self.endpoint.borrow().unanswered
    }

    /// From now on, segments of this connection have `dscp` in the Differentiated Services field (RFC 2474): six bits, such
    /// as 46 for expedited forwarding. Before, it is that of the engine's configuration.
    ///
    /// # Panics
    /// If it is more than 63.
    pub fn set_dscp(&self, dscp: u8) {
        assert!(dscp < 64, "a field of six bits can't be {dscp}");
        self.endpoint.borrow_mut().dscp = Some(dscp);
    }

    /// The Differentiated Services field of the segment that has arrived last.
    pub fn peer_dscp(&self) -> u8 {
        self.endpoint.borrow().heard_dscp
    }

    /// What was observed of this connection's handshake.
    pub fn handshake(&self) -> Handshake {
        self.endpoint.borrow().handshake.describe()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.endpoint.borrow_mut().released = true;
    }
}

/// What the engine and the program of a flow share: the socket, and what each must know of the other.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) socket: Socket,
    /// What was observed of the handshake so far.
    pub(crate) handshake: Observed,
    /// Why the connection was taken away from the program, once it was.
    pub(crate) end: Option<io::ErrorKind>,
    /// Retransmission timeouts since the peer has acknowledged anything.
    pub(crate) unanswered: u8,
    /// RCV.UP, in bytes of the stream.
    pub(crate) urgent_end: u64,
    /// How much was in the send buffer when the program marked the end of urgent data.
    pub(crate) urgent_marked: Option<usize>,
    /// The Differentiated Services field of our segments where the program has chosen it, and that of the last which has
    /// arrived.
    pub(crate) dscp: Option<u8>,
    pub(crate) heard_dscp: u8,
    /// How many bytes the program has read.
    pub(crate) consumed: u64,
    /// How many it has written.
    pub(crate) written: u64,
    /// How many bytes may wait in the send buffer until they are acknowledged.
    pub(crate) share: usize,
    /// Whether the peer's FIN has arrived, as far as anybody has looked.
    pub(crate) finished: bool,
    /// Whether the program has dropped its [`Connection`].
    pub(crate) released: bool,
    /// Whether CLOSE waits: for the end of the handshake, or for a window in which the FIN has a place.
    pub(crate) close_waits: bool,
    /// Whether the peer keeps its window shut.
    pub(crate) shut: bool,
    /// The transitions that user calls have made since the engine last took them away.
    pub(crate) transitions: Vec<Transition>,
    /// What becomes of the program's calls.
    pub(crate) conduct: Conduct,
}

/// What becomes of a program's calls. The default is what it asks for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Conduct {
    pub(crate) closes: Closes,
    pub(crate) reads: Reads,
    pub(crate) drips: Option<Drips>,
    /// SEND takes nothing any more: a CLOSE is to follow.
    pub(crate) is_written: bool,
}

/// What CLOSE does.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Closes {
    /// CLOSE.
    #[default]
    InOrder,
    /// Nothing.
    Never,
    /// ABORT.
    Abruptly,
}

/// When RECEIVE gives what has arrived.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Reads {
    /// When there is anything.
    #[default]
    AtOnce,
    /// Not before this time.
    From(Instant),
    /// Never.
    Never,
}

/// SEND takes so many bytes at a time, and none before `next`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drips {
    pub(crate) bytes: usize,
    pub(crate) pause: Duration,
    pub(crate) next: Instant,
}

impl Conduct {
    /// Whether the program may read; otherwise it is woken when it may.
    fn may_read(&self, task: &Task) -> bool {
        if let Reads::From(at) = self.reads
            && task.now() < at
        {
            task.wake_by(at);
        }
        self.is_read(task.now())
    }

    /// Whether what has arrived is read at `now`.
    pub(crate) fn is_read(&self, now: Instant) -> bool {
        match self.reads {
            Reads::AtOnce => true,
            Reads::From(at) => now >= at,
            Reads::Never => false,
        }
    }

    /// How many bytes the program may write, which it then does; otherwise it is woken when it may.
    fn may_write(&mut self, task: &Task) -> Option<usize> {
        let Some(drips) = &mut self.drips else {
            return Some(usize::MAX);
        };
        let now = task.now();
        if now < drips.next {
            task.wake_by(drips.next);
            return None;
        }
        drips.next = now + drips.pause;
        Some(drips.bytes)
    }
}

impl Endpoint {
    pub(crate) fn state(&self) -> TcpState {
        self.socket.state()
    }

    /// How many bytes have arrived in order, and whether the peer's FIN has.
    pub(crate) fn received(&mut self) -> (u64, bool) {
        // A connection that is CLOSED does not say any more how it got there.
        self.finished |= matches!(
            self.state(),
            TcpState::CloseWait | TcpState::Closing | TcpState::LastAck | TcpState::TimeWait
        );
        (self.consumed + self.socket.unread() as u64, self.finished)
    }

    /// The program's CLOSE, or what is to become of it.
    pub(crate) fn close(&mut self) {
        match self.conduct.closes {
            Closes::InOrder => self.call(UserCall::Close),
            Closes::Never => {}
            Closes::Abruptly => self.abort(),
        }
    }

    /// ABORT.
    pub(crate) fn abort(&mut self) {
        self.call(UserCall::Abort);
        self.end.get_or_insert(io::ErrorKind::ConnectionAborted);
    }

    /// Makes a user call and looks at the state after it.
    pub(crate) fn call(&mut self, call: UserCall) {
        let from = self.state();
        match call {
            // RFC 9293, section 3.10.4: "queue for processing after entering ESTABLISHED state". smoltcp would take the
            // ACK of our SYN for that of a FIN.
            UserCall::Close if from == TcpState::SynReceived => self.close_waits = true,
            UserCall::Close if from == TcpState::SynSent => self.socket.forget(),
            // Of CLOSE-WAIT: "queue this request until all preceding SENDs have been segmentized; then send a FIN segment,
            // enter LAST-ACK state", in which smoltcp would hear of no window.
            UserCall::Close if from == TcpState::CloseWait && self.is_blocked() => {
                self.close_waits = true;
            }
            UserCall::Close => self.socket.close(),
            // Section 3.10.5: no RST where the peer knows nothing of us yet, or where both have sent their FIN.
            UserCall::Abort
                if matches!(
                    from,
                    TcpState::SynSent | TcpState::Closing | TcpState::LastAck | TcpState::TimeWait
                ) =>
            {
                self.socket.forget();
            }
            UserCall::Abort => self.socket.abort(),
            UserCall::Open => unreachable!("a connection is open before it has an endpoint"),
        }
        let to = self.state();
        if from != to {
            self.transitions.push(Transition {
                from,
                to,
                cause: Cause::Call(call),
            });
        }
    }

    /// Whether the peer takes no more of what was written.
    pub(crate) fn is_blocked(&self) -> bool {
        self.shut && self.socket.queued() > 0
    }
}
