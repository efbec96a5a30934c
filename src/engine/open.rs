//! Active opens: our end begins.

use super::defect::{Part, Work};
use super::packets::{is_host, is_ours};
use super::tcp_flow::{Start, TcpFlow};
use super::udp_flow::UdpFlow;
use super::{Engine, Flow, Shared};
use crate::event::{Activity, Cause, EventKind, FlowId, Opening, Transition, Transport, UserCall};
use crate::fault::Knobs;
use crate::segment::SeqNumber;
use crate::service::{Connection, Program, Task, UdpSocket};
use crate::stack::socket::{Moment, Socket};
use crate::stack::table::FlowKey;
use crate::stack::tcp::ip_header_len;
use crate::state::TcpState;
use crate::tcb::Tcb;
use smoltcp::time::Instant;
use smoltcp::wire::IpAddress;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// The ports that an active open may come from (RFC 6335, section 6: "Dynamic Ports").
const DYNAMIC_PORTS: std::ops::RangeInclusive<u16> = 49_152..=65_535;

/// Why a connection could not be begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// There is no address of ours that could talk to the peer's.
    #[error("no address of the stack has the IP version of {0}")]
    NoAddress(SocketAddr),
    /// The peer's address or port is one that nobody can have.
    #[error("{0} can't be connected to")]
    Unaddressable(SocketAddr),
    /// The address to come from is not one of ours.
    #[error("{0} is no address of the stack")]
    Foreign(IpAddr),
    /// There is such a flow already, or no port is left for another.
    #[error("no free port for a connection to {0}")]
    InUse(SocketAddr),
    /// A panic was [contained](super::Config::contain_defects), or the program panicked where it was made.
    #[error("a defect has kept the connection from beginning")]
    Defect,
}

/// What an active open comes from. What is not named is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// An address of ours (RFC 9293, section 3.9.1.1, MUST-43).
    pub address: Option<IpAddr>,
    /// A port.
    pub port: Option<u16>,
}

impl From<Option<u16>> for Origin {
    fn from(port: Option<u16>) -> Origin {
        let address = None;
        Origin { address, port }
    }
}

impl From<IpAddr> for Origin {
    fn from(address: IpAddr) -> Origin {
        Origin {
            address: Some(address),
            port: None,
        }
    }
}

impl From<SocketAddr> for Origin {
    fn from(address: SocketAddr) -> Origin {
        Origin {
            address: Some(address.ip()),
            port: Some(address.port()),
        }
    }
}

impl Engine {
    /// OPEN (RFC 9293, section 3.10.1): begins a connection to `peer`. `local` is the port or the address of ours to come
    /// from, or both; `None` has both chosen. `client` is called once the connection is established.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub fn connect_tcp<F, Fut>(
        &mut self,
        now: Instant,
        name: &'static str,
        local: impl Into<Origin>,
        peer: SocketAddr,
        client: F,
    ) -> Result<FlowId, ConnectError>
    where
        F: FnOnce(Connection) -> Fut + 'static,
        Fut: Future<Output = io::Result<()>> + 'static,
    {
        let now = self.stack_time(now);
        let key = self.active_key(Transport::Tcp, local.into(), peer)?;
        let program = Box::new(move |connection| Box::pin(client(connection)) as Program);
        let work = Work::Part(Activity::Open, Part::Other);
        self.contained(now, work, Err(ConnectError::Defect), |engine| {
            engine.open_active(now, name, key, Start::Client(program))
        })
    }

    fn open_active(
        &mut self,
        now: Instant,
        name: &'static str,
        key: FlowKey,
        start: Start,
    ) -> Result<FlowId, ConnectError> {
        let knobs = self.knobs_of(&key);
        let mut socket = self.shared.socket(&knobs);
        socket
            .connect(&mut self.shared.tcp, &key)
            .map_err(|_| ConnectError::Unaddressable(key.peer))?;
        let id = self.tell_opened(now, key, Opening::Active, name);
        self.shared.tell_knobs(now, id, &knobs);
        let cause = Cause::Call(UserCall::Open);
        let open = Transition {
            from: TcpState::Closed,
            to: TcpState::SynSent,
            cause,
        };
        self.shared
            .journal
            .tell(now, Some(id), EventKind::Transition(open));
        self.shared.entered(now, id, key, TcpState::SynSent);
        let generated = || self.shared.iss.generate(now, &key);
        let iss = knobs.iss.map_or_else(generated, SeqNumber);
        let task = self.shared.task();
        let tcb = self.shared.tcb(now, &key, Opening::Active, iss, &socket);
        socket.number_from(iss);
        let mut flow = TcpFlow::new(id, key, socket, tcb, start, task);
        flow.turn(&knobs);
        self.start(Flow::Tcp(Box::new(flow)));
        Ok(id)
    }

    /// Begins an exchange of datagrams with `peer`. `local` is the port or the address of ours to
    /// come from, or both; `None` has both chosen.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub fn connect_udp<F, Fut>(
        &mut self,
        now: Instant,
        name: &'static str,
        local: impl Into<Origin>,
        peer: SocketAddr,
        client: F,
    ) -> Result<FlowId, ConnectError>
    where
        F: FnOnce(UdpSocket) -> Fut,
        Fut: Future<Output = io::Result<()>> + 'static,
    {
        let now = self.stack_time(now);
        let key = self.active_key(Transport::Udp, local.into(), peer)?;
        let work = Work::Part(Activity::Open, Part::Other);
        self.contained(now, work, Err(ConnectError::Defect), |engine| {
            let id = engine.tell_opened(now, key, Opening::Active, name);
            let task = engine.shared.task();
            let (socket, queues) = UdpSocket::new(task.clone(), key.local, peer);
            let program: Program = Box::pin(client(socket));
            let flow = UdpFlow::client(id, key, now, queues, task, program);
            engine.start(Flow::Udp(flow));
            Ok(id)
        })
    }

    fn start(&mut self, flow: Flow) {
        let place = self.seat(flow);
        self.stand_in_line(place, true);
    }

    fn active_key(
        &self,
        transport: Transport,
        local: Origin,
        peer: SocketAddr,
    ) -> Result<FlowKey, ConnectError> {
        // RFC 9293, section 3.9.2.3 (MUST-46): no OPEN "to a broadcast or multicast address".
        let unicast = is_host(&self.shared.config.addresses, peer.ip()) && peer.port() != 0;
        if !unicast || local.port == Some(0) {
            return Err(ConnectError::Unaddressable(peer));
        }
        let mut own = self
            .shared
            .config
            .addresses
            .iter()
            .map(|prefix| match prefix.address() {
                IpAddress::Ipv4(address) => IpAddr::V4(address),
                IpAddress::Ipv6(address) => IpAddr::V6(address),
            });
        let address = match local.address {
            Some(address) if !is_ours(&self.shared.config.addresses, address) => {
                return Err(ConnectError::Foreign(address));
            }
            Some(address) => Some(address).filter(|address| address.is_ipv4() == peer.is_ipv4()),
            None => own.find(|address| address.is_ipv4() == peer.is_ipv4()),
        };
        let address = address.ok_or(ConnectError::NoAddress(peer))?;
        let key = |port| FlowKey {
            transport,
            local: SocketAddr::new(address, port),
            peer,
        };
        let free = |key: &FlowKey| !self.map.contains_key(key);
        let found = match local.port {
            Some(port) => Some(key(port)).filter(free),
            None => {
                // RFC 6056, section 3.3.3: begin at a place that only the secret tells.
                let count = u32::from(*DYNAMIC_PORTS.end() - *DYNAMIC_PORTS.start()) + 1;
                let offset = (self.shared.iss.hash(&key(0)) % u64::from(count)) as u32;
                (0..count)
                    .map(|step| key(DYNAMIC_PORTS.start() + ((offset + step) % count) as u16))
                    .find(free)
            }
        };
        found.ok_or(ConnectError::InUse(peer))
    }
}

impl Shared {
    /// What a socket needs to take a packet in or to make one, in the room for answers.
    pub(super) fn moment(&mut self, now: Instant) -> Moment<'_> {
        Moment {
            tcp: &mut self.tcp,
            now,
            room: &mut self.room,
        }
    }

    /// A socket that waits for the SYN which has just come for `port`.
    pub(super) fn listening_socket(&mut self, port: u16, knobs: &Knobs) -> Socket {
        let mut socket = self.socket(knobs);
        socket.listen(port);
        socket
    }

    /// What is known of a connection that begins. Timestamps are offered where they are wanted, by a clock that is another for
    /// each pair of ends.
    pub(super) fn tcb(
        &self,
        now: Instant,
        key: &FlowKey,
        opening: Opening,
        iss: SeqNumber,
        socket: &Socket,
    ) -> Tcb {
        let v6 = key.local.is_ipv6();
        let own_mss = self.config.wire().mss(ip_header_len(key.local.ip()));
        let clock = (self.iss.hash(key) >> 32) as u32;
        let clock = self.config.timestamps.then_some(clock);
        Tcb::new(now, opening, iss, socket.buffer(), v6, own_mss, clock)
    }

    /// The clock and voice of a new program.
    pub(super) fn task(&self) -> Task {
        Task::new(self.config.epoch)
    }
}
