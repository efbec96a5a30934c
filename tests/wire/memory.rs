//! The engine in memory, in virtual time.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use smoltcp::time::Instant;
use tcplab::engine::{Config, Engine, Origin};
use tcplab::service::Connection;

use crate::peer::{Peer, Target, Wire};

pub(crate) struct Memory {
    pub(crate) engine: Engine,
    pub(crate) now: Instant,
    waiting: VecDeque<Vec<u8>>,
}

impl Memory {
    pub(crate) fn new(change: impl FnOnce(&mut Config)) -> Memory {
        let mut config = Config::new(crate::TARGETS.map(|address| address.parse().unwrap()));
        config.seed = 42;
        change(&mut config);
        let mut engine = Engine::new(config);
        engine.serve_standard("123");
        // Long after the start, so that nothing is zero by chance.
        Memory {
            engine,
            now: Instant::from_secs(100),
            waiting: VecDeque::new(),
        }
    }

    pub(crate) fn drain(&mut self) {
        let mut buf = [0; 65_535];
        while let Some(transmit) = self.engine.poll_transmit(self.now, &mut buf) {
            self.waiting.push_back(buf[..transmit.len].to_vec());
        }
        while self.engine.poll_event().is_some() {}
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, end: Instant) {
        loop {
            self.drain();
            match self.engine.poll_timeout().filter(|&at| at <= end) {
                Some(at) => self.now = self.now.max(at),
                None => break,
            }
            self.engine.handle_timeout(self.now);
        }
        self.now = self.now.max(end);
    }
}

impl Wire for Memory {
    fn send(&mut self, mut packet: Vec<u8>) {
        self.engine.handle_packet(self.now, &mut packet);
        self.drain();
    }

    fn recv(&mut self, within: Duration) -> Option<Vec<u8>> {
        let end = self.now + within.into();
        loop {
            self.drain();
            if let Some(packet) = self.waiting.pop_front() {
                return Some(packet);
            }
            let next = self.engine.poll_timeout().filter(|&at| at <= end);
            self.now = self.now.max(next.unwrap_or(end));
            self.engine.handle_timeout(self.now);
            next?;
        }
    }

    fn dial(&mut self, to: SocketAddr) -> IpAddr {
        let client = |conn: Connection| async move { conn.drain().await };
        let (now, none) = (self.now, Origin::default());
        self.engine
            .connect_tcp(now, "client", none, to, client)
            .unwrap();
        let pair = crate::PAIRS.map(|(_, target)| target.parse::<IpAddr>().unwrap());
        pair[usize::from(to.is_ipv6())]
    }

    fn target(&self) -> Target {
        Target::Tcplab
    }
}

/// Runs a probe over both versions of IP.
pub(crate) fn in_memory(probe: fn(&mut Peer<'_>)) {
    for (local, remote) in crate::PAIRS {
        let mut memory = Memory::new(|_| {});
        probe(&mut Peer::new(
            &mut memory,
            local.parse().unwrap(),
            remote.parse().unwrap(),
            40_000,
        ));
    }
}
