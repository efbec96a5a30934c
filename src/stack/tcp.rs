//! smoltcp's TCP, one segment and one socket set at a time.
//!
//! One [`Interface`] serves all connections: its `poll_*` functions take the socket set as an argument, and
//! each connection brings its own. Checksums are not smoltcp's business here: they are verified before a
//! segment gets this far, and filled in after its sequence numbers were translated.
//!
//! With offload a device cuts large packets into segments. smoltcp 0.14 can leave that to a device, but throws such packets
//! away in IPv6 because they are longer than the MTU. So it is told of a wire that takes packets of any length, the MSS that
//! it therefore announces is put right, and what is to be cut to which size is [decided here](Wire::segment_size).

use smoltcp::iface::{Config, Interface, PollIngressSingleResult, SocketHandle, SocketSet};
use smoltcp::phy::{
    ChecksumCapabilities, Device, DeviceCapabilities, Medium, PacketMeta, RxToken,
    SegmentationCapabilities, TxToken,
};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{
    HardwareAddress, IPV4_HEADER_LEN, IPV6_HEADER_LEN, IpCidr, Ipv4Packet, Ipv6Packet,
    TCP_HEADER_LEN, TcpPacket,
};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU16, NonZeroUsize};

/// The largest packet that is made where a device cuts it: more an IPv4 header can't tell of.
const LARGEST: usize = 65_535;
/// What a peer takes in one segment that doesn't say (RFC 9293, section 3.7.1), in both versions of IP, as smoltcp has it.
const DEFAULT_MSS: u16 = 536;
/// A peer that says less is not believed, likewise.
pub(crate) const MIN_MSS: u16 = 48;

/// The shared part of all connections.
///
/// smoltcp reads the MTU once, when an interface is made, and makes segments that fit it. So the connections whose path
/// carries less have an interface of their own, one for each MTU.
pub(crate) struct Tcp {
    iface: Interface,
    narrow: BTreeMap<u16, Interface>,
    wire: Wire,
    addresses: Vec<IpCidr>,
    seed: u64,
}

/// What packets are made for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire {
    /// The MTU in bytes, IP header included.
    pub(crate) mtu: usize,
    /// Whether packets may be larger, because a device cuts them.
    pub(crate) offload: bool,
}

impl Wire {
    /// The same for a path that carries less.
    pub(crate) fn narrowed(self, path: Option<u16>) -> Wire {
        let mtu = path.map_or(self.mtu, |path| self.mtu.min(path.into()));
        Wire { mtu, ..self }
    }

    /// Bytes of the largest packet that is made.
    pub(crate) fn largest(self) -> usize {
        if self.offload { LARGEST } else { self.mtu }
    }

    /// The MSS to announce behind IP headers of this many bytes.
    pub(crate) fn mss(self, ip_header_len: usize) -> u16 {
        // An MTU has 16 bits.
        (self.mtu - ip_header_len - TCP_HEADER_LEN) as u16
    }

    /// To what payload a device has to cut a segment that carries `payload` bytes to `peer`, who has announced the MSS
    /// `announced`; `None` where it fits as it is.
    pub(crate) fn segment_size(
        self,
        peer: IpAddr,
        announced: Option<u16>,
        options: usize,
        payload: usize,
    ) -> Option<NonZeroU16> {
        let ip_header_len = ip_header_len(peer);
        let announced = announced.filter(|&mss| mss != 0).unwrap_or(DEFAULT_MSS);
        let mss = announced.max(MIN_MSS).min(self.mss(ip_header_len));
        let mss = mss.saturating_sub(options as u16);
        NonZeroU16::new(mss).filter(|mss| self.offload && payload > usize::from(mss.get()))
    }
}

impl Tcp {
    /// `addresses` are those an active open may come from.
    pub(crate) fn new(wire: Wire, addresses: &[IpCidr], seed: u64) -> Tcp {
        Tcp {
            iface: interface(wire, addresses, seed),
            narrow: BTreeMap::new(),
            wire,
            addresses: addresses.to_vec(),
            seed,
        }
    }

    /// The interface of connections whose path carries packets of `path` bytes, where that is less than our MTU.
    fn iface(&mut self, path: Option<u16>) -> &mut Interface {
        // A device that cuts packets gets them as they are.
        match path.filter(|_| !self.wire.offload) {
            None => &mut self.iface,
            Some(mtu) => self.narrow.entry(mtu).or_insert_with(|| {
                let wire = Wire {
                    mtu: mtu.into(),
                    ..self.wire
                };
                interface(wire, &self.addresses, self.seed)
            }),
        }
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
            wire: self.wire,
            arrived: Some(packet),
            room,
            filled: None,
        };
        let result = self.iface.poll_ingress_single(now, &mut port, sockets);
        debug_assert_ne!(result, PollIngressSingleResult::None);
        port.filled
    }

    /// Lets the connection in `sockets` send at most one packet, or notice that a timer went off. `path` is the MTU of its
    /// path, where that is less than ours. The packet is written to `room`, which must have space for [the largest](Wire::largest); its length is returned.
    pub(crate) fn egress(
        &mut self,
        now: Instant,
        path: Option<u16>,
        sockets: &mut SocketSet<'static>,
        room: &mut [u8],
    ) -> Option<usize> {
        let mut port = Port {
            wire: self.wire,
            arrived: None,
            room,
            filled: None,
        };
        self.iface(path).poll_egress(now, &mut port, sockets);
        let len = port.filled?;
        if self.wire.offload {
            announce(&mut room[..len], self.wire);
        }
        Some(len)
    }

    /// When the connection in `sockets` wants [`egress`](Tcp::egress) next, if nothing arrives before.
    pub(crate) fn poll_at(
        &mut self,
        now: Instant,
        path: Option<u16>,
        sockets: &SocketSet<'static>,
    ) -> Option<Instant> {
        self.iface(path).poll_at(now, sockets)
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

/// The bytes of the IP header of a packet that smoltcp has made for a connection with this address: it has no options, and no
/// extension headers.
pub(crate) fn ip_header_len(address: IpAddr) -> usize {
    match address {
        IpAddr::V4(_) => IPV4_HEADER_LEN,
        IpAddr::V6(_) => IPV6_HEADER_LEN,
    }
}

/// Says in its IP header, of `ip` bytes, that such a packet has `len`.
pub(crate) fn set_len(packet: &mut [u8], ip: usize, len: usize) {
    match ip {
        IPV4_HEADER_LEN => Ipv4Packet::new_unchecked(packet).set_total_len(len as u16),
        _ => Ipv6Packet::new_unchecked(packet).set_payload_len((len - ip) as u16),
    }
}

fn interface(wire: Wire, addresses: &[IpCidr], seed: u64) -> Interface {
    let mut config = Config::new(HardwareAddress::Ip);
    config.random_seed = seed;
    let mut port = Port {
        wire,
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
    iface
}

/// A device that carries one packet each way.
struct Port<'a> {
    wire: Wire,
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
        capabilities.max_transmission_unit = self.wire.largest();
        capabilities.checksum = ChecksumCapabilities::ignored();
        if self.wire.offload {
            let mut segmentation = SegmentationCapabilities::default();
            segmentation.tcpv4 = NonZeroUsize::new(LARGEST);
            segmentation.tcpv6 = NonZeroUsize::new(LARGEST);
            capabilities.segmentation = segmentation;
        }
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

/// Puts the MSS option of a SYN right.
fn announce(packet: &mut [u8], wire: Wire) {
    const MAX_SEGMENT_SIZE: u8 = 2;
    // smoltcp makes headers without IP options.
    let ip_header_len = match packet[0] >> 4 {
        4 => IPV4_HEADER_LEN,
        _ => IPV6_HEADER_LEN,
    };
    let mut tcp = TcpPacket::new_unchecked(&mut packet[ip_header_len..]);
    // It is the first of smoltcp's options.
    if tcp.syn()
        && let Some([MAX_SEGMENT_SIZE, 4, mss @ ..]) = tcp.options_mut().first_chunk_mut::<4>()
    {
        mss.copy_from_slice(&wire.mss(ip_header_len).to_be_bytes());
    }
}
