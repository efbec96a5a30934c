//! Exchanges of datagrams between the same two endpoints.

use super::{Engine, Flow, Shared};
use crate::event::{EventKind, FlowId, Limit, Opening, UserCall};
use crate::link::{Incoming, Offload, Remarks};
use crate::segment::{Datagram, describe};
use crate::service::datagram::{Exchange, Queues};
use crate::service::{Program, Task};
use crate::stack::marking::Marking;
use crate::stack::path::Path;
use crate::stack::reply::Problem;
use crate::stack::table::FlowKey;
use crate::stack::{fragments, reply};
use smoltcp::time::{Duration, Instant};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// An exchange that a service has with a peer is over when nothing was sent for so long.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// An exchange.
pub(super) struct UdpFlow {
    pub(super) id: FlowId,
    pub(super) key: FlowKey,
    last: Instant,
    path: Path,
    /// Present where we began.
    client: Option<Client>,
}

struct Client {
    queues: Rc<RefCell<Queues>>,
    task: Task,
    program: Program,
    result: Option<Result<(), String>>,
}

impl UdpFlow {
    fn served(id: FlowId, key: FlowKey, now: Instant) -> UdpFlow {
        UdpFlow {
            id,
            key,
            last: now,
            path: Path::default(),
            client: None,
        }
    }

    pub(super) fn client(
        id: FlowId,
        key: FlowKey,
        now: Instant,
        queues: Rc<RefCell<Queues>>,
        task: Task,
        program: Program,
    ) -> UdpFlow {
        let client = Client {
            queues,
            task,
            program,
            result: None,
        };
        UdpFlow {
            client: Some(client),
            ..UdpFlow::served(id, key, now)
        }
    }

    /// Since when no datagram has come or gone; `None` for one that we began.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (!self.is_client()).then_some(self.last)
    }

    /// Whether we began.
    pub(super) fn is_client(&self) -> bool {
        self.client.is_some()
    }

    /// Lets the client program go on, and sets the timer. Returns whether the flow is over.
    pub(super) fn drive(&mut self, shared: &mut Shared, now: Instant, place: usize) -> bool {
        let due = match &mut self.client {
            Some(client) => {
                client.task.begin(now);
                let polled = client
                    .program
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()));
                for note in client.task.take_notes() {
                    shared
                        .journal
                        .tell(now, Some(self.id), EventKind::Note(note));
                }
                if let Poll::Ready(result) = polled {
                    client.result = Some(result.map_err(|error| error.to_string()));
                }
                client.task.wake_at()
            }
            None => Some(self.last + IDLE_TIMEOUT),
        };
        self.send_waiting(shared, now);
        if due.is_some_and(|due| due <= now) && self.client.is_none() {
            return true;
        }
        shared.timers.set(place, due);
        self.client
            .as_ref()
            .is_some_and(|client| client.result.is_some())
    }

    /// An ICMP error says that a datagram of ours did not get there.
    pub(super) fn fail(&mut self, kind: io::ErrorKind) {
        if let Some(client) = &self.client {
            client.queues.borrow_mut().error = Some(kind);
        }
    }

    /// A router says that a datagram of ours was larger than the `mtu` of the next link, `len` bytes as a whole. UDP has no
    /// numbers to tell whether that was so; but there is this exchange, and nothing gets smaller than every link carries.
    pub(super) fn hear_too_big(&mut self, shared: &Shared, mtu: u32, len: usize) {
        let v4 = self.key.local.is_ipv4();
        self.path.hear(v4, shared.config.mtu, mtu, len);
    }

    /// CLOSE and ABORT end a client's exchange; there is nothing to tell the peer.
    pub(super) fn call(&mut self, call: Option<UserCall>) {
        if let (Some(client), Some(_)) = (&mut self.client, call) {
            client.result.get_or_insert(Ok(()));
        }
    }

    /// How the client program ended.
    pub(super) fn finish(self) -> Option<Result<(), String>> {
        self.client?.result
    }

    fn send_waiting(&mut self, shared: &mut Shared, now: Instant) {
        let Some(client) = &self.client else { return };
        let leaving = std::mem::take(&mut client.queues.borrow_mut().leaving);
        for payload in leaving {
            self.last = now;
            shared.send_datagram(now, self.id, self.key, self.path, &payload);
        }
    }
}

impl Shared {
    fn send_datagram(
        &mut self,
        now: Instant,
        flow: FlowId,
        key: FlowKey,
        path: Path,
        payload: &[u8],
    ) {
        match reply::datagram(key.local, key.peer, payload) {
            Some(mut packet) => {
                self.config.marking().mark(&mut packet);
                self.send_along(now, Some(flow), packet, path);
            }
            None => {
                let max = reply::max_udp_payload(key.local);
                let note = format!(
                    "a datagram of {} bytes is not sent: the most is {max}",
                    payload.len()
                );
                self.journal.tell(now, Some(flow), EventKind::Note(note));
            }
        }
    }

    /// Sends a packet that no socket has made, in fragments where it is longer than the MTU.
    pub(super) fn send(&mut self, now: Instant, flow: Option<FlowId>, packet: Vec<u8>) {
        self.send_marked(now, flow, packet, self.config.marking());
    }

    /// The same for a connection that marks its packets otherwise.
    pub(super) fn send_marked(
        &mut self,
        now: Instant,
        flow: Option<FlowId>,
        mut packet: Vec<u8>,
        marking: Marking,
    ) {
        marking.mark(&mut packet);
        self.send_along(now, flow, packet, Path::default());
    }

    /// Sends an ICMP error, unless too many were sent of late.
    pub(super) fn send_error(&mut self, now: Instant, packet: Vec<u8>) {
        match self.errors.take(now) {
            true => self.send(now, None, packet),
            false => self.limited(now, None, Limit::IcmpErrors),
        }
    }

    fn send_along(&mut self, now: Instant, flow: Option<FlowId>, packet: Vec<u8>, path: Path) {
        let mtu = self.config.wire().narrowed(path.mtu()).mtu;
        if packet.len() > mtu {
            self.fragment_id = self.fragment_id.wrapping_add(1);
        }
        for piece in fragments::cut(packet, mtu, self.fragment_id) {
            let described = || describe(&piece);
            let whole = Offload::default();
            if self.cross(now, flow, &piece, described, whole, Remarks::default()) {
                self.link.keep(piece, whole);
            }
        }
    }
}

impl Engine {
    /// A datagram has arrived.
    pub(super) fn handle_datagram(
        &mut self,
        now: Instant,
        incoming: &Incoming<'_>,
        datagram: &Datagram,
        key: FlowKey,
    ) {
        let port = key.local.port();
        let heard = self.hear(key);
        let place = match (self.map.get(&key), self.udp_services.get(&port)) {
            (Some(&place), _) => place,
            (None, Some(service)) => {
                let name = service.name;
                let id =
                    heard.unwrap_or_else(|| self.tell_opened(now, key, Opening::Passive, name));
                let place = self.seat(Flow::Udp(UdpFlow::served(id, key, now)));
                self.make_room_for_exchange(now, place);
                place
            }
            (None, None) => {
                self.arrived(now, None, incoming, None);
                self.complain(now, incoming.bytes, Some(Problem::Port));
                return;
            }
        };
        let id = self.flows[place].id();
        self.arrived(now, Some(id), incoming, None);
        self.stand_in_line(place, false);
        let payload = &incoming.bytes[datagram.payload.clone()];
        let Flow::Udp(flow) = &mut self.flows[place] else {
            return;
        };
        flow.last = now;
        if let Some(client) = &flow.client {
            let is_first_lost = client.queues.borrow_mut().arrive(payload);
            if is_first_lost {
                let note = "datagrams are lost: the program does not read them";
                let note = EventKind::Note(note.into());
                self.shared.journal.tell(now, Some(id), note);
            }
            return;
        }
        let Some(service) = self.udp_services.get_mut(&port) else {
            return;
        };
        let mut exchange = Exchange::new(key.local, key.peer, payload);
        service.service.datagram(&mut exchange);
        let path = flow.path;
        for note in exchange.notes {
            self.shared
                .journal
                .tell(now, Some(id), EventKind::Note(note));
        }
        // RFC 768: a source port of zero is that of a sender who has none to be answered at.
        if key.peer.port() == 0 {
            return;
        }
        for reply in exchange.replies {
            self.shared.send_datagram(now, id, key, path, &reply);
        }
    }
}
