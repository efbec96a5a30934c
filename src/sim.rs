//! Two engines, the wire between them, and one virtual clock: no operating system, no privileges, no waiting.
//!
//! ```
//! use smoltcp::time::{Duration, Instant};
//! use tcplab::engine::{Config, Engine};
//! use tcplab::service;
//! use tcplab::sim::{Side, Sim};
//!
//! let mut server = Engine::new(Config::new(["192.0.2.2/24".parse().unwrap()]));
//! server.serve_tcp(7, "echo", service::echo::echo);
//! let client = Engine::new(Config::new(["192.0.2.1/24".parse().unwrap()]));
//!
//! let mut sim = Sim::new(client, server, Duration::from_millis(10));
//! let now = sim.now();
//! let peer = "192.0.2.2:7".parse().unwrap();
//! sim.left().connect_tcp(now, "shout", None, peer, |conn| async move {
//!     conn.write_all(b"hello").await?;
//!     assert_eq!(conn.read_up_to(5).await?, b"hello");
//!     conn.close().await
//! }).unwrap();
//! sim.run_until(Instant::from_secs(1));
//! let packets = std::iter::from_fn(|| sim.poll_event()).filter(|(side, _)| *side == Side::Right).count();
//! assert!(packets > 0);
//! ```

use crate::engine::Engine;
use crate::event::Event;
use crate::segment::{Checksum, Described, describe_offloaded};
use smoltcp::time::{Duration, Instant};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Room for any packet.
const MAX_PACKET: usize = 65_535;

/// One end of a simulation's wire. By custom the client is left and the server right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The engine given first.
    Left,
    /// The engine given second.
    Right,
}

impl Side {
    /// The other end.
    pub const fn other(self) -> Side {
        match self {
            Side::Left => Side::Right,
            Side::Right => Side::Left,
        }
    }
}

/// A packet offered to the loss function.
#[derive(Debug)]
pub struct Crossing<'a> {
    /// Who has sent it.
    pub from: Side,
    /// What it says.
    pub described: &'a Described,
    /// Counts the packets of both sides from 1.
    pub number: u64,
}

/// A packet on the wire: when it arrives, its number, where it arrives, its bytes, and what its checksum is.
type UnderWay = (Instant, u64, Side, Vec<u8>, Checksum);

/// Two engines and the wire between them.
pub struct Sim {
    now: Instant,
    engines: [Engine; 2],
    latency: Duration,
    loses: Box<dyn FnMut(&Crossing<'_>) -> bool>,
    crossed: u64,
    lost: u64,
    under_way: BinaryHeap<Reverse<UnderWay>>,
    events: VecDeque<(Side, Event)>,
    buf: Vec<u8>,
}

impl Sim {
    /// A wire that loses nothing, with `latency` each way; the time is [`Instant::ZERO`].
    pub fn new(left: Engine, right: Engine, latency: Duration) -> Sim {
        Sim {
            now: Instant::ZERO,
            engines: [left, right],
            latency,
            loses: Box::new(|_| false),
            crossed: 0,
            lost: 0,
            under_way: BinaryHeap::new(),
            events: VecDeque::new(),
            buf: vec![0; MAX_PACKET],
        }
    }

    /// From now on `lose` decides which packets get lost on the wire, after the sender has sent them.
    pub fn lose(&mut self, lose: impl FnMut(&Crossing<'_>) -> bool + 'static) {
        self.loses = Box::new(lose);
    }

    /// The virtual time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The engine given first.
    pub fn left(&mut self) -> &mut Engine {
        &mut self.engines[0]
    }

    /// The engine given second.
    pub fn right(&mut self) -> &mut Engine {
        &mut self.engines[1]
    }

    /// How many packets got lost so far.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Puts a packet on the wire towards `to` as if somebody else had sent it.
    pub fn inject(&mut self, to: Side, packet: Vec<u8>) {
        self.crossed += 1;
        let due = self.now + self.latency;
        self.under_way
            .push(Reverse((due, self.crossed, to, packet, Checksum::Whole)));
    }

    /// The next thing that has happened, and on which side.
    pub fn poll_event(&mut self) -> Option<(Side, Event)> {
        self.events.pop_front()
    }

    /// Goes on until `end`.
    pub fn run_until(&mut self, end: Instant) {
        self.drain();
        while self.next_at().is_some_and(|at| at <= end) {
            self.step();
        }
        self.now = self.now.max(end);
    }

    /// Jumps to the next time at which anything happens, and lets it happen. Returns `false` when nothing ever will.
    pub fn step(&mut self) -> bool {
        self.drain();
        let Some(at) = self.next_at() else {
            return false;
        };
        self.now = self.now.max(at);
        while let Some(Reverse((due, ..))) = self.under_way.peek() {
            if *due > self.now {
                break;
            }
            let Some(Reverse((_, _, to, mut packet, checksum))) = self.under_way.pop() else {
                break;
            };
            let now = self.now;
            self.engine(to).handle_offloaded(now, &mut packet, checksum);
            self.drain();
        }
        for side in [Side::Left, Side::Right] {
            let now = self.now;
            self.engine(side).handle_timeout(now);
            self.drain();
        }
        true
    }

    fn engine(&mut self, side: Side) -> &mut Engine {
        &mut self.engines[side as usize]
    }

    /// When anything happens next; `None` when nothing ever will. To be asked after [`step`](Sim::step), before anything
    /// else is asked of an engine.
    pub fn next_at(&self) -> Option<Instant> {
        let arrival = self.under_way.peek().map(|Reverse((at, ..))| *at);
        let timeouts = self.engines.iter().map(Engine::poll_timeout);
        timeouts.chain([arrival]).flatten().min()
    }

    /// Takes what both engines have to send and to tell.
    fn drain(&mut self) {
        for side in [Side::Left, Side::Right] {
            while let Some(transmit) =
                self.engines[side as usize].poll_transmit(self.now, &mut self.buf)
            {
                let packet = self.buf[..transmit.len].to_vec();
                self.crossed += 1;
                let described = describe_offloaded(&packet, transmit.offload.checksum);
                let crossing = Crossing {
                    from: side,
                    described: &described,
                    number: self.crossed,
                };
                if (self.loses)(&crossing) {
                    self.lost += 1;
                    continue;
                }
                let due = self.now + self.latency;
                self.under_way.push(Reverse((
                    due,
                    self.crossed,
                    side.other(),
                    packet,
                    transmit.offload.checksum,
                )));
            }
            while let Some(event) = self.engines[side as usize].poll_event() {
                self.events.push_back((side, event));
            }
        }
    }
}

/// Loses `percent` of all packets, chosen by `seed`: for [`Sim::lose`].
pub fn random_loss(percent: u8, seed: u64) -> impl FnMut(&Crossing<'_>) -> bool {
    let mut state = seed;
    move |_| {
        // SplitMix64 (Steele, Lea, Flood 2014).
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % 100 < u64::from(percent)
    }
}
