//! Engine configuration.

use crate::event::{PanicSite, Watch};
use crate::fault::RuleSet;
use crate::stack::marking::Marking;
use crate::stack::tcp::Wire;
use smoltcp::time::Duration;
use smoltcp::wire::IpCidr;

/// How an [`Engine`](super::Engine) is made. Start from [`Config::new`] and change what should differ.
#[derive(Clone, Debug)]
pub struct Config {
    /// The stack's own addresses with their prefixes. Connections to every unicast address of these prefixes are
    /// answered; active opens come from the first address of the right IP version.
    pub addresses: Vec<IpCidr>,
    /// The MTU of the wire in bytes, IP header included: 1,280 to 65,535.
    pub mtu: usize,
    /// Whether the wire begins with a device that takes TCP packets of up to 65,535 bytes, cuts them into segments that fit
    /// the MTU and fills in their checksums, and that may bring such packets too. They are told as they cross to and
    /// from that device.
    pub offload: bool,
    /// Decides every choice that is a matter of chance: initial sequence numbers, ports, hashes.
    pub seed: u64,
    /// The wall-clock time at [`Instant::ZERO`](smoltcp::time::Instant::ZERO), counted from 1970-01-01 00:00:00 UTC.
    pub epoch: Duration,
    /// How much is told in events.
    pub watch: Watch,
    /// The size of each connection's buffers in bytes, one for each direction: 1,024 to 1,073,741,824.
    pub buffer: usize,
    /// How many connections may wait for the end of their handshake at once. Further SYNs are answered with SYN cookies,
    /// or discarded.
    pub backlog: usize,
    /// How many connections there may be whose handshake is complete, at least 1, and how many exchanges of datagrams. For one
    /// more, the one makes room that has been idle for longest.
    pub connections: usize,
    /// How many connections may be in TIME-WAIT. One more doesn't wait.
    pub time_waits: usize,
    /// The most memory that packets may take which a rule, or somebody who steps, lets wait, in bytes. One more is dropped.
    pub waiting: usize,
    /// How many events may wait to be fetched, at least 1. Further ones are lost, and told by their number.
    pub events: usize,
    /// The most memory that packets may take of which not all fragments have arrived, in bytes. Where it is full, the oldest
    /// of them makes room.
    pub reassembly: usize,
    /// Whether SYNs beyond the backlog are answered with SYN cookies (RFC 4987, section 3.6).
    pub syn_cookies: bool,
    /// Whether timestamps are offered (RFC 7323).
    pub timestamps: bool,
    /// How long TIME-WAIT lasts. RFC 9293 says twice the maximum segment lifetime, which it puts at two minutes; Linux
    /// waits 60 seconds.
    pub time_wait: Duration,
    /// The idle time after which a keep-alive segment is sent, and the time between further ones; `None` for
    /// none (RFC 9293, section 3.8.4).
    pub keep_alive: Option<Duration>,
    /// How long data or a FIN of ours may remain unacknowledged before the connection is given up; `None` for
    /// ever (RFC 9293, section 3.8.3: at least 100 seconds).
    pub user_timeout: Option<Duration>,
    /// How many routers our packets may pass: the time to live of IPv4 and the hop limit of IPv6, at least 1.
    pub hop_limit: u8,
    /// The Differentiated Services field of our packets (RFC 2474): at most 63. A program may choose another for its
    /// connection.
    pub dscp: u8,
    /// Called with a send buffer that has been idle for some seconds: it may give the memory back, and leave in the buffer what
    /// it likes. See [`release`](crate::sys::memory::release).
    pub release: Option<fn(&mut [u8])>,
    /// Whether a defect costs the flow in which it shows, and nothing else: a panic while a packet, a call or a timer is dealt
    /// with, or in a program, is caught, the flow is reset, a [`Defect`](crate::event::EventKind::Defect) event reports it,
    /// and the engine goes on. Called for each, it gives where the panic was, if that is known:
    /// [`panics::take_site`](crate::sys::panics::take_site), or `|| None`.
    ///
    /// `None`: the panic goes on to the caller, and nothing may be asked of the engine after that. That is right for tests and
    /// fuzzing, which are to fail. Nothing is caught where the program is built with `panic = "abort"`.
    pub contain_defects: Option<fn() -> Option<PanicSite>>,
    /// What is to go wrong.
    pub rules: RuleSet,
}

impl Config {
    /// The defaults, with these addresses: MTU 1,500, seed 0, buffers of 256 KiB, a backlog of 128 and SYN cookies beyond, TIME-WAIT of 60
    /// seconds, no keep-alive, a user timeout of 15 minutes, a hop limit of 64, no rules, everything told,
    /// defects not contained.
    pub fn new(addresses: impl IntoIterator<Item = IpCidr>) -> Config {
        Config {
            addresses: addresses.into_iter().collect(),
            mtu: 1500,
            offload: false,
            seed: 0,
            epoch: Duration::ZERO,
            watch: Watch::default(),
            buffer: 256 * 1024,
            backlog: 128,
            connections: 65_536,
            time_waits: 262_144,
            waiting: 64 << 20,
            events: 1 << 20,
            reassembly: 4 << 20,
            syn_cookies: true,
            timestamps: true,
            time_wait: Duration::from_secs(60),
            keep_alive: None,
            user_timeout: Some(Duration::from_secs(15 * 60)),
            hop_limit: Marking::default().hop_limit,
            dscp: 0,
            release: None,
            contain_defects: None,
            rules: RuleSet::new(),
        }
    }

    pub(super) fn marking(&self) -> Marking {
        Marking {
            hop_limit: self.hop_limit,
            dscp: self.dscp,
        }
    }

    pub(super) fn wire(&self) -> Wire {
        Wire {
            mtu: self.mtu,
            offload: self.offload,
        }
    }

    /// Panics where it is out of range.
    pub(super) fn check(&self) {
        assert!(
            (1280..=65_535).contains(&self.mtu),
            "MTU {} out of range",
            self.mtu
        );
        assert!(
            (1024..=1 << 30).contains(&self.buffer),
            "buffer {} out of range",
            self.buffer
        );
        assert_ne!(
            self.keep_alive,
            Some(Duration::ZERO),
            "keep-alive without a pause"
        );
        assert!(self.connections > 0, "no connection at all");
        assert!(self.hop_limit > 0, "a hop limit of zero");
        assert!(self.dscp < 64, "DSCP {} out of range", self.dscp);
    }
}
