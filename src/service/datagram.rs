//! UDP: a small trait for services, an async socket for clients.

use super::Task;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;

/// A UDP service: called once for every datagram that arrives at its port.
pub trait UdpService {
    /// Handles the datagram of `exchange`: may reply any number of times, and say something.
    fn datagram(&mut self, exchange: &mut Exchange<'_>);
}

/// One datagram that arrived, and the replies to it.
#[derive(Debug)]
pub struct Exchange<'a> {
    /// Who sent it.
    pub peer: SocketAddr,
    /// Where it was sent to; replies come from there.
    pub local: SocketAddr,
    /// What it carries.
    pub payload: &'a [u8],
    pub(crate) replies: Vec<Vec<u8>>,
    pub(crate) notes: Vec<String>,
}

impl<'a> Exchange<'a> {
    pub(crate) fn new(local: SocketAddr, peer: SocketAddr, payload: &'a [u8]) -> Exchange<'a> {
        Exchange {
            peer,
            local,
            payload,
            replies: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Sends `payload` back: at most 65,507 bytes over IPv4, 65,527 over IPv6 (in fragments where the MTU is
    /// smaller); more is not sent.
    pub fn reply(&mut self, payload: impl Into<Vec<u8>>) {
        self.replies.push(payload.into());
    }

    /// Says something that people who watch will see.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }
}

/// A UDP socket with a fixed peer, for client programs.
#[derive(Debug)]
pub struct UdpSocket {
    task: Task,
    local: SocketAddr,
    peer: SocketAddr,
    queues: Rc<RefCell<Queues>>,
}

/// What waits between a [`UdpSocket`] and the engine.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    pub(crate) arrived: VecDeque<Vec<u8>>,
    pub(crate) leaving: VecDeque<Vec<u8>>,
    /// What an ICMP error has said, until the program is told.
    pub(crate) error: Option<io::ErrorKind>,
}

impl UdpSocket {
    pub(crate) fn new(
        task: Task,
        local: SocketAddr,
        peer: SocketAddr,
    ) -> (UdpSocket, Rc<RefCell<Queues>>) {
        let queues = Rc::new(RefCell::new(Queues::default()));
        let socket = UdpSocket {
            task,
            local,
            peer,
            queues: Rc::clone(&queues),
        };
        (socket, queues)
    }

    /// Sends one datagram.
    pub fn send(&self, payload: impl Into<Vec<u8>>) {
        self.queues.borrow_mut().leaving.push_back(payload.into());
    }

    /// Waits for the next datagram.
    ///
    /// # Errors
    /// `ConnectionRefused` when the peer's host says that nobody has the port.
    pub async fn recv(&self) -> io::Result<Vec<u8>> {
        poll_fn(|_| {
            let mut queues = self.queues.borrow_mut();
            match (queues.arrived.pop_front(), queues.error.take()) {
                (Some(payload), error) => {
                    queues.error = error;
                    Poll::Ready(Ok(payload))
                }
                (None, Some(kind)) => Poll::Ready(Err(kind.into())),
                (None, None) => Poll::Pending,
            }
        })
        .await
    }

    /// Time, sleep, time-outs, notes.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// Our end.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The other end.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }
}
