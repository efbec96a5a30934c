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

/// What a peer's datagrams that the program has not read may take, in bytes: about what Linux allows (`rmem_default`).
const MOST_UNREAD: usize = 208 << 10;
/// What each of them takes besides its payload, rounded up.
const COST: usize = 64;

/// What waits between a [`UdpSocket`] and the engine.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    arrived: VecDeque<Vec<u8>>,
    /// What those take.
    unread: usize,
    /// Whether any was lost since the program has read one.
    overflows: bool,
    pub(crate) leaving: VecDeque<Vec<u8>>,
    /// What an ICMP error has said, until the program is told.
    pub(crate) error: Option<io::ErrorKind>,
}

impl Queues {
    /// Keeps a datagram that has arrived, or loses it if there is no room. Returns whether it is the first that is lost.
    pub(crate) fn arrive(&mut self, payload: &[u8]) -> bool {
        let unread = self.unread + payload.len() + COST;
        if unread > MOST_UNREAD {
            return !std::mem::replace(&mut self.overflows, true);
        }
        self.unread = unread;
        self.arrived.push_back(payload.to_vec());
        false
    }

    fn read(&mut self) -> Option<Vec<u8>> {
        let payload = self.arrived.pop_front()?;
        self.unread -= payload.len() + COST;
        self.overflows = false;
        Some(payload)
    }
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
            match (queues.read(), queues.error.take()) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

        /// A peer may send as much as it likes: what is kept comes in order, and has a limit.
        #[test]
        fn what_is_not_read_has_a_limit(
            steps in prop::collection::vec(prop::option::weighted(0.7, prop_oneof![0..2_000usize, 0..65_528usize]), 1..200),
        ) {
            let mut queues = Queues::default();
            let mut model: VecDeque<usize> = VecDeque::new();
            let mut told = false;
            for step in steps {
                let Some(len) = step else {
                    prop_assert_eq!(queues.read().map(|payload| payload.len()), model.pop_front());
                    told = false;
                    continue;
                };
                let taken: usize = model.iter().map(|len| len + COST).sum();
                let fits = taken + len + COST <= MOST_UNREAD;
                let first_lost = queues.arrive(&vec![0; len]);
                prop_assert_eq!(first_lost, !fits && !told);
                told |= first_lost;
                if fits {
                    model.push_back(len);
                }
            }
        }
    }
}
