//! Attacks, in virtual time: while they go on, honest clients are served within three seconds, and connections that are
//! there stay.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use smoltcp::time::{Duration, Instant};
use tcplab::engine::{Config, Engine};
use tcplab::event::Watch;
use tcplab::segment::{Flags, SeqNumber};
use tcplab::service::Connection;
use tcplab::sim::{Side, Sim};

use crate::peer::{CHARGEN, DISCARD, ECHO};
use crate::support::{ACK, Forged, PSH, RST, SYN, fragments};

/// No honest client waits longer.
const PATIENCE: Duration = Duration::from_secs(3);
const LATENCY: Duration = Duration::from_millis(20);

/// How each honest client fared: when it came, and when it was served.
type Served = Rc<RefCell<Vec<(Instant, Option<Instant>)>>>;

/// The next numbers of the target, by attacker: SND.NXT and RCV.NXT as its segments tell.
type Heard = Rc<RefCell<HashMap<SocketAddr, (SeqNumber, SeqNumber)>>>;

/// A server under attack, honest clients, and whoever attacks.
struct Siege {
    sim: Sim,
    target: SocketAddr,
    served: Served,
    heard: Heard,
    next_client: Instant,
}

impl Siege {
    fn new(v6: bool) -> Siege {
        let engine = |addresses: [&str; 2]| {
            let mut config = Config::new(addresses.map(|address| address.parse().unwrap()));
            config.watch = Watch::Nothing;
            config.buffer = 64 * 1024;
            Engine::new(config)
        };
        let mut server = engine(["192.0.2.2/24", "2001:db8::2/64"]);
        server.serve_standard("123");
        let client = engine(["192.0.2.1/24", "2001:db8::1/64"]);
        let target: IpAddr = if v6 { "2001:db8::2" } else { "192.0.2.2" }
            .parse()
            .unwrap();
        let heard = Heard::default();
        let mut sim = Sim::new(client, server, LATENCY);
        let note = Rc::clone(&heard);
        let honest: [IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        sim.lose(move |crossing| {
            let Some((from, to)) = crossing.described.endpoints() else {
                return true;
            };
            if honest.contains(&from.ip()) || honest.contains(&to.ip()) {
                return false;
            }
            if let Some(segment) = crossing.described.tcp()
                && !segment.flags.contains(Flags::RST)
            {
                note.borrow_mut().insert(to, (segment.end(), segment.ack));
            }
            true
        });
        Siege {
            sim,
            target: SocketAddr::new(target, ECHO),
            served: Served::default(),
            heard,
            next_client: Instant::ZERO,
        }
    }

    /// Lets time pass; every tenth of a second an honest client comes.
    fn pass(&mut self, time: Duration) {
        let end = self.sim.now() + time;
        while self.next_client < end {
            self.sim.run_until(self.next_client);
            self.send_client();
            self.next_client += Duration::from_millis(100);
        }
        self.sim.run_until(end);
        while self.sim.poll_event().is_some() {}
    }

    fn send_client(&mut self) {
        let (now, served) = (self.sim.now(), Rc::clone(&self.served));
        let number = served.borrow().len();
        served.borrow_mut().push((now, None));
        let client = move |conn: Connection| async move {
            conn.write_all(b"are you there?").await?;
            let mut left = 14;
            while left > 0 {
                left -= conn.read_up_to(left).await?.len();
            }
            served.borrow_mut()[number].1 = Some(conn.task().now());
            conn.close().await
        };
        let opened = self
            .sim
            .left()
            .connect_tcp(now, "honest", None, self.target, client);
        opened.expect("there are ports enough");
    }

    fn attacker(&self, number: u32) -> SocketAddr {
        let address: IpAddr = match self.target {
            SocketAddr::V4(_) => std::net::Ipv4Addr::from(0xc633_6400 + number % 200 + 1).into(),
            SocketAddr::V6(_) => format!("2001:db8:1::{number:x}").parse().unwrap(),
        };
        SocketAddr::new(address, 1_024 + (number / 200) as u16)
    }

    /// A segment of an attacker's to a port of the target's.
    fn forge(&self, from: SocketAddr, port: u16, flags: u8, seq: u32, ack: u32) -> Forged {
        let to = SocketAddr::new(self.target.ip(), port);
        Forged::new(from, to, flags, seq, ack)
    }

    fn inject(&mut self, forged: &Forged) {
        self.sim.inject(Side::Right, forged.packet());
    }

    /// Attackers who complete a handshake; their next number is 1, and this is what they acknowledge.
    fn connect(&mut self, count: u32, port: u16, window: u16) -> Vec<(SocketAddr, u32)> {
        let mut all = Vec::new();
        for number in 0..count {
            let from = self.attacker(number);
            let mut syn = self.forge(from, port, SYN, 0, 0);
            (syn.window, syn.options) = (window, vec![2, 4, 5, 180, 1, 1, 4, 2]);
            self.inject(&syn);
            self.pass(LATENCY * 2);
            let iss = self.heard.borrow()[&from].0;
            let mut ack = self.forge(from, port, ACK, 1, iss.0);
            ack.window = window;
            self.inject(&ack);
            all.push((from, iss.0));
        }
        all
    }

    /// All who came were served in time. Then the attackers go away, and what they held is given back.
    fn end(mut self) {
        self.pass(Duration::from_secs(5));
        let served = self.served.borrow();
        assert!(served.len() >= 50, "only {} clients came", served.len());
        let last = self.sim.now() - PATIENCE;
        for (came, done) in served.iter().filter(|(came, _)| *came < last) {
            let Some(done) = done else {
                panic!("whoever came at {came} was never served")
            };
            assert!(
                *done <= *came + PATIENCE,
                "whoever came at {came} was served at {done}"
            );
        }
    }
}

fn both(attack: impl Fn(&mut Siege)) {
    for v6 in [false, true] {
        let mut siege = Siege::new(v6);
        siege.pass(Duration::from_millis(500));
        attack(&mut siege);
        siege.end();
    }
}

#[test]
fn twenty_thousand_forged_syns() {
    both(|siege| {
        for number in 0..20_000 {
            let syn = siege.forge(siege.attacker(number), ECHO, SYN, number, 0);
            siege.inject(&syn);
            siege.pass(Duration::from_micros(250));
        }
    });
}

#[test]
fn five_thousand_half_open_connections() {
    both(|siege| {
        for number in 0..5_000 {
            let syn = siege.forge(siege.attacker(number), ECHO, SYN, number, 0);
            siege.inject(&syn);
        }
        siege.pass(Duration::from_secs(70));
    });
}

#[test]
fn five_hundred_shut_windows_with_data_pending() {
    both(|siege| {
        siege.connect(500, CHARGEN, 0);
        siege.pass(Duration::from_secs(10));
    });
}

/// Whoever knows the addresses and ports of a connection can't end it without its exact numbers.
#[test]
fn twenty_thousand_inexact_resets_and_syns() {
    both(|siege| {
        let victims = siege.connect(10, ECHO, 60_000);
        for number in 0..20_000u32 {
            let (from, _) = victims[(number % 10) as usize];
            let flags = [RST, SYN, RST | ACK, SYN | ACK][(number / 10 % 4) as usize];
            // In the window, and never RCV.NXT.
            let forged = siege.forge(from, ECHO, flags, 2 + number, number);
            siege.inject(&forged);
            siege.pass(Duration::from_micros(250));
        }
        siege.pass(Duration::from_secs(1));
        for (from, iss) in victims {
            let mut ping = siege.forge(from, ECHO, PSH | ACK, 1, iss);
            ping.payload = b"alive".to_vec();
            siege.inject(&ping);
            siege.pass(LATENCY * 3);
            assert_eq!(
                siege.heard.borrow()[&from],
                (SeqNumber(iss) + 5, SeqNumber(6)),
                "{from}"
            );
        }
    });
}

/// Packets of which the rest never comes, larger and smaller.
#[test]
fn a_thousand_unfinished_fragments() {
    both(|siege| {
        for number in 0..1_000 {
            let mut segment = siege.forge(siege.attacker(number), ECHO, PSH | ACK, 1, 1);
            segment.payload = vec![b'x'; 4_000 * (1 + number as usize % 16)];
            let mut pieces = fragments(&segment.packet(), 1_200, number as u16);
            let last = pieces.pop();
            let first = pieces.drain(..).next();
            for piece in [first, last].into_iter().flatten() {
                siege.sim.inject(Side::Right, piece);
            }
            siege.pass(Duration::from_millis(5));
        }
        siege.pass(Duration::from_secs(70));
    });
}

#[test]
fn sixty_islands_on_each_of_a_hundred_connections() {
    both(|siege| {
        let holders = siege.connect(100, DISCARD, 60_000);
        for island in 1..=60 {
            for &(from, iss) in &holders {
                let mut data = siege.forge(from, DISCARD, ACK, island * 100, iss);
                data.payload = vec![b'x'; 50];
                siege.inject(&data);
            }
            siege.pass(Duration::from_millis(50));
        }
        // Whoever sends all of it in order after all is not at a loss.
        let (from, iss) = holders[0];
        for piece in 0..6 {
            let mut data = siege.forge(from, DISCARD, ACK, 1 + piece * 1_100, iss);
            data.payload = vec![b'x'; 1_100];
            siege.inject(&data);
            siege.pass(LATENCY * 3);
        }
        assert_eq!(siege.heard.borrow()[&from].1, SeqNumber(6_601));
    });
}
