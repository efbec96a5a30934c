//! What happens where there is as much as there may be.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use smoltcp::time::Duration;
use tcplab::engine::{Command, Config};
use tcplab::event::{EventKind, Limit};
use tcplab::fault::RuleSet;
use tcplab::segment::{Flags, describe};
use tcplab::service::{Connection, UdpSocket};
use tcplab::state::TcpState;

use crate::memory::Memory;
use crate::peer::{CHARGEN, DISCARD, ECHO};
use crate::support::{ACK, FIN, Forged, PSH, SYN, fragments, udp};

/// An engine, and peers by their numbers.
struct Crowd {
    memory: Memory,
    target: SocketAddr,
    limited: BTreeMap<Limit, u64>,
    /// The next number of the target, for each peer of which something was heard.
    heard: BTreeMap<SocketAddr, u32>,
    /// Those who were reset.
    reset: Vec<SocketAddr>,
}

impl Crowd {
    fn new(v6: bool, change: impl FnOnce(&mut Config)) -> Crowd {
        let target = crate::PAIRS[usize::from(v6)].1.parse().unwrap();
        Crowd {
            memory: Memory::new(change),
            target: SocketAddr::new(target, ECHO),
            limited: BTreeMap::new(),
            heard: BTreeMap::new(),
            reset: Vec::new(),
        }
    }

    fn peer(&self, number: u16) -> SocketAddr {
        let local = crate::PAIRS[usize::from(self.target.is_ipv6())].0;
        SocketAddr::new(local.parse().unwrap(), 10_000 + number)
    }

    fn inject(&mut self, mut packet: Vec<u8>) {
        let memory = &mut self.memory;
        memory.engine.handle_packet(memory.now, &mut packet);
        self.drain();
    }

    fn drain(&mut self) {
        let (memory, mut buf) = (&mut self.memory, [0; 1_500]);
        while let Some(transmit) = memory.engine.poll_transmit(memory.now, &mut buf) {
            let described = describe(&buf[..transmit.len]);
            let (Some(segment), Some((_, peer))) = (described.tcp(), described.endpoints()) else {
                continue;
            };
            if segment.flags.contains(Flags::RST) {
                self.reset.push(peer);
            } else if segment.payload.len() != 1 {
                // Nobody takes the byte that probes a shut window.
                self.heard.insert(peer, segment.end().0);
            }
        }
        while let Some(event) = memory.engine.poll_event() {
            if let EventKind::Limited(limit, count) = event.kind {
                *self.limited.entry(limit).or_default() += count;
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.memory.now + time;
        loop {
            self.drain();
            let memory = &mut self.memory;
            match memory.engine.poll_timeout().filter(|&at| at <= end) {
                Some(at) => memory.now = memory.now.max(at),
                None => break,
            }
            memory.engine.handle_timeout(memory.now);
        }
        self.memory.now = end;
    }

    fn send(&mut self, number: u16, port: u16, flags: u8, seq: u32, window: u16, data: &[u8]) {
        let from = self.peer(number);
        let to = SocketAddr::new(self.target.ip(), port);
        let ack = self.heard.get(&from).copied().unwrap_or_default();
        let mut forged = Forged::new(from, to, flags, seq, ack);
        (forged.window, forged.payload) = (window, data.to_vec());
        self.inject(forged.packet());
    }

    fn connect(&mut self, number: u16, port: u16, window: u16) {
        self.send(number, port, SYN, 0, window, b"");
        self.send(number, port, ACK, 1, window, b"");
    }

    fn count(&self, limit: Limit) -> u64 {
        self.limited.get(&limit).copied().unwrap_or(0)
    }
}

fn both(change: impl Fn(&mut Config), check: impl Fn(&mut Crowd)) {
    for v6 in [false, true] {
        check(&mut Crowd::new(v6, &change));
    }
}

/// Whoever makes no progress for longest makes room: idle, or with its window shut. Whoever does stays.
#[test]
fn the_connection_that_is_idle_for_longest_makes_room() {
    both(
        |config| config.connections = 4,
        |crowd| {
            crowd.connect(0, ECHO, 60_000);
            crowd.connect(1, CHARGEN, 0);
            crowd.connect(2, DISCARD, 60_000);
            crowd.connect(3, ECHO, 60_000);
            crowd.pass(Duration::from_secs(1));
            crowd.send(0, ECHO, PSH | ACK, 1, 60_000, b"hello");
            crowd.pass(Duration::from_secs(1));
            // It acknowledges probes, and that is no progress.
            crowd.send(1, CHARGEN, ACK, 1, 0, b"");
            assert_eq!(crowd.count(Limit::Connections), 0);
            for number in 4..7 {
                crowd.connect(number, ECHO, 60_000);
            }
            let expected = [1, 2, 3].map(|number| crowd.peer(number));
            assert_eq!(crowd.reset, expected);
            assert_eq!(crowd.count(Limit::Connections), 3);
            // The one that had something to say goes on.
            crowd.send(0, ECHO, PSH | ACK, 6, 60_000, b"hello");
            assert_eq!(crowd.reset.len(), 3);
        },
    );
}

/// SYNs that nobody means push nobody out.
#[test]
fn half_open_connections_count_for_themselves() {
    both(
        |config| (config.connections, config.backlog) = (2, 8),
        |crowd| {
            crowd.connect(0, ECHO, 60_000);
            crowd.connect(1, ECHO, 60_000);
            for number in 100..1_100 {
                crowd.send(number, ECHO, SYN, 0, 60_000, b"");
            }
            assert_eq!(crowd.count(Limit::Connections), 0);
            assert_eq!(crowd.count(Limit::Backlog), 992);
            assert_eq!(crowd.reset, []);
        },
    );
}

#[test]
fn one_more_in_time_wait_does_not_wait() {
    both(
        |config| config.time_waits = 3,
        |crowd| {
            for number in 0..5 {
                crowd.connect(number, crate::peer::DAYTIME, 60_000);
                // The service closes first.
                crowd.pass(Duration::from_millis(50));
                crowd.send(number, crate::peer::DAYTIME, FIN | ACK, 1, 60_000, b"");
                crowd.pass(Duration::from_millis(50));
            }
            assert_eq!(crowd.count(Limit::TimeWait), 2);
            let waiting =
                (1..=5).map(|flow| crowd.memory.engine.state(tcplab::event::FlowId(flow)));
            let waiting = waiting.filter(|state| *state == Some(TcpState::TimeWait));
            assert_eq!(waiting.count(), 3);
            crowd.pass(Duration::from_secs(61));
            crowd.connect(9, crate::peer::DAYTIME, 60_000);
            crowd.pass(Duration::from_millis(50));
            crowd.send(9, crate::peer::DAYTIME, FIN | ACK, 1, 60_000, b"");
            crowd.pass(Duration::from_millis(50));
            assert_eq!(crowd.count(Limit::TimeWait), 2, "there is room again");
        },
    );
}

#[test]
fn the_exchange_that_is_idle_for_longest_is_over() {
    both(
        |config| config.connections = 10,
        |crowd| {
            for number in 0..1_000 {
                let packet = udp(crowd.peer(number), crowd.target, b"hello");
                crowd.inject(packet);
            }
            assert_eq!(crowd.count(Limit::Exchanges), 990);
            crowd.pass(Duration::from_secs(60));
            assert_eq!(crowd.memory.engine.poll_timeout(), None, "all are over");
        },
    );
}

/// What we have begun ourselves makes room for nobody.
#[test]
fn our_own_exchanges_and_connections_stay() {
    both(
        |config| config.connections = 1,
        |crowd| {
            let (now, there) = (crowd.memory.now, crowd.peer(50));
            let engine = &mut crowd.memory.engine;
            let client = |socket: UdpSocket| async move { socket.recv().await.map(drop) };
            let ours = engine.connect_udp(now, "client", None, there, client);
            let talk = |conn: Connection| async move { conn.read_up_to(1).await.map(drop) };
            let open = engine.connect_tcp(now, "client", None, there, talk);
            crowd.drain();
            for number in 0..5 {
                let packet = udp(crowd.peer(number), crowd.target, b"hello");
                crowd.inject(packet);
                crowd.connect(number, ECHO, 60_000);
            }
            for flow in [ours.unwrap(), open.unwrap()] {
                assert!(crowd.memory.engine.has_program(flow));
            }
        },
    );
}

/// A thousand packets that are never finished, and one that is.
#[test]
fn unfinished_packets_make_room_for_each_other() {
    both(
        |config| config.reassembly = 100_000,
        |crowd| {
            let whole = |crowd: &Crowd| udp(crowd.peer(1), crowd.target, &[1; 3_000]);
            for id in 0..1_000 {
                let first = fragments(&whole(crowd), 1_000, id).swap_remove(0);
                crowd.inject(first);
            }
            let displaced = crowd.count(Limit::Fragments);
            assert!((900..1_000).contains(&displaced), "{displaced}");
            for piece in fragments(&whole(crowd), 1_000, 5_000) {
                crowd.inject(piece);
            }
            assert!(crowd.heard.is_empty());
            crowd.pass(Duration::from_secs(61));
            assert_eq!(crowd.memory.engine.poll_timeout(), None, "all is given up");
        },
    );
}

#[test]
fn data_behind_too_many_gaps_comes_again() {
    both(
        |_| {},
        |crowd| {
            crowd.connect(0, DISCARD, 60_000);
            for island in 1..=60 {
                crowd.send(0, DISCARD, ACK, island * 100, 60_000, &[b'x'; 50]);
            }
            assert_eq!(crowd.count(Limit::Gaps), 60 - 32);
        },
    );
}

#[test]
fn packets_that_wait_have_so_much_room() {
    let rule = "delay 10s in data";
    both(
        |config| {
            let mut rules = RuleSet::new();
            rules.add(rule.parse().expect(rule));
            (config.rules, config.waiting) = (rules, 10_000);
        },
        |crowd| {
            crowd.connect(0, DISCARD, 60_000);
            for piece in 0..20 {
                let seq = 1 + piece * 1_000;
                crowd.send(0, DISCARD, ACK, seq, 60_000, &[b'x'; 1_000]);
            }
            assert_eq!(crowd.count(Limit::Waiting), 11);
            crowd.pass(Duration::from_secs(11));
            crowd.send(0, DISCARD, ACK, 20_001, 60_000, &[b'x'; 1_000]);
            assert_eq!(crowd.count(Limit::Waiting), 11, "there is room again");
        },
    );
}

/// Those that were kept are numbered without gaps, and what is missing is told.
#[test]
fn events_that_nobody_fetches_are_lost() {
    let mut memory = Memory::new(|config| config.events = 10);
    let (from, to) = ("198.51.100.7:1", "192.0.2.2:4444");
    for _ in 0..100 {
        let mut packet = udp(from.parse().unwrap(), to.parse().unwrap(), b"");
        memory.engine.handle_packet(memory.now, &mut packet);
        memory.now += Duration::from_millis(10);
    }
    memory.engine.handle_command(memory.now, Command::AbortAll);
    let events: Vec<_> = std::iter::from_fn(|| memory.engine.poll_event()).collect();
    assert_eq!(events.len(), 11);
    assert!(
        (1..)
            .zip(&events)
            .all(|(number, event)| event.number == number)
    );
    // Each datagram and each answer to it is an event.
    assert_eq!(events[10].kind, EventKind::Limited(Limit::Events, 190));
}
