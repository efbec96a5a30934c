//! smoltcp's TCP, one segment and one socket set at a time.
//!
//! One [`Interface`] serves all connections: its `poll_*` functions take the socket set as an argument, and
//! each connection brings its own. Checksums are not smoltcp's business here: they are verified before a
//! segment gets this far, and filled in after its sequence numbers were translated.

use smoltcp::iface::{Config, Interface, PollIngressSingleResult, SocketHandle, SocketSet};
use smoltcp::phy::{
    ChecksumCapabilities, Device, DeviceCapabilities, Medium, PacketMeta, RxToken, TxToken,
};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpCidr};
use std::net::SocketAddr;

/// The shared part of all connections.
pub(crate) struct Tcp {
    iface: Interface,
    mtu: usize,
}

impl Tcp {
    /// `mtu` in bytes, IP header included. `addresses` are those an active open may come from.
    pub(crate) fn new(mtu: usize, addresses: &[IpCidr], seed: u64) -> Tcp {
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut port = Port {
            mtu,
            arrived: None,
            room: &mut [],
            filled: None,
        };
        let mut iface = Interface::new(config, &mut port, Instant::ZERO);
        // Which addresses are ours is decided before a segment gets here.
        iface.set_any_ip(true);
        iface.update_ip_addrs(|list| {
            for address in addresses {
                // Further addresses only widen the choice of a source; the list has room for two.
                let _ = list.push(*address);
            }
        });
        Tcp { iface, mtu }
    }

    /// Hands one segment to the connection in `sockets`. The answer that it may make at once is written to
    /// `room`, which must have space for one packet; its length is returned.
    pub(crate) fn ingress(
        &mut self,
        now: Instant,
        packet: &[u8],
        sockets: &mut SocketSet<'static>,
        room: &mut [u8],
    ) -> Option<usize> {
        let mut port = Port {
            mtu: self.mtu,
            arrived: Some(packet),
            room,
            filled: None,
        };
        let result = self.iface.poll_ingress_single(now, &mut port, sockets);
        debug_assert_ne!(result, PollIngressSingleResult::None);
        port.filled
    }

    /// Lets the connection in `sockets` send at most one packet, or notice that a timer went off. The packet
    /// is written to `room`, which must have space for one; its length is returned.
    pub(crate) fn egress(
        &mut self,
        now: Instant,
        sockets: &mut SocketSet<'static>,
        room: &mut [u8],
    ) -> Option<usize> {
        let mut port = Port {
            mtu: self.mtu,
            arrived: None,
            room,
            filled: None,
        };
        self.iface.poll_egress(now, &mut port, sockets);
        port.filled
    }

    /// When the connection in `sockets` wants [`egress`](Tcp::egress) next, if nothing arrives before.
    pub(crate) fn poll_at(
        &mut self,
        now: Instant,
        sockets: &SocketSet<'static>,
    ) -> Option<Instant> {
        self.iface.poll_at(now, sockets)
    }

    /// Begins an active open.
    pub(crate) fn connect(
        &mut self,
        sockets: &mut SocketSet<'static>,
        handle: SocketHandle,
        local: SocketAddr,
        peer: SocketAddr,
    ) -> Result<(), tcp::ConnectError> {
        sockets
            .get_mut::<tcp::Socket>(handle)
            .connect(self.iface.context(), peer, local)
    }
}

/// A device that carries one packet each way.
struct Port<'a> {
    mtu: usize,
    arrived: Option<&'a [u8]>,
    room: &'a mut [u8],
    filled: Option<usize>,
}

impl Device for Port<'_> {
    type RxToken<'t>
        = Arrived<'t>
    where
        Self: 't;
    type TxToken<'t>
        = Room<'t>
    where
        Self: 't;

    fn receive(&mut self, _: Instant) -> Option<(Arrived<'_>, Room<'_>)> {
        let packet = self.arrived.take()?;
        Some((
            Arrived(packet),
            Room {
                room: self.room,
                filled: &mut self.filled,
            },
        ))
    }

    fn transmit(&mut self, _: Instant) -> Option<Room<'_>> {
        if self.filled.is_some() {
            return None;
        }
        Some(Room {
            room: self.room,
            filled: &mut self.filled,
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        capabilities.checksum = ChecksumCapabilities::ignored();
        capabilities
    }
}

struct Arrived<'a>(&'a [u8]);

impl RxToken for Arrived<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

struct Room<'a> {
    room: &'a mut [u8],
    filled: &'a mut Option<usize>,
}

impl TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        *self.filled = Some(len);
        f(&mut self.room[..len])
    }

    fn set_meta(&mut self, _: PacketMeta) {}
}
