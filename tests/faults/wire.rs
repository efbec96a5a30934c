//! Two engines in virtual time, and a record of all that was on the wire between them.

use smoltcp::time::{Duration, Instant};
use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use tcplab::engine::{Config, Engine};
use tcplab::event::{Event, FlowId};
use tcplab::fault::RuleSet;
use tcplab::segment::{Described, Flags, Origin, Segment, SeqNumber};
use tcplab::service::Connection;
use tcplab::sim::{Side, Sim};

/// How long a packet is under way, in milliseconds.
pub(crate) const LATENCY: u64 = 10;

/// How exactly it is known when a packet left, in milliseconds.
const STEP: u64 = 5;

/// A packet on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Crossed {
    /// When it left, in milliseconds.
    pub(crate) at: i64,
    /// Whether the server has sent it.
    pub(crate) ours: bool,
    pub(crate) described: Described,
}

impl Crossed {
    pub(crate) fn segment(&self) -> Option<&Segment> {
        self.described.tcp()
    }

    pub(crate) fn has(&self, flags: Flags) -> bool {
        self.segment()
            .is_some_and(|segment| segment.flags.contains(flags))
    }

    pub(crate) fn payload_len(&self) -> usize {
        self.described.payload().map_or(0, |payload| payload.len())
    }
}

/// A client's engine to the left, a server's to the right.
pub(crate) struct Rig {
    pub(crate) sim: Sim,
    crossed: Rc<RefCell<Vec<(Side, Described)>>>,
    wire: Vec<Crossed>,
}

impl Rig {
    /// A server of all standard services with these rules.
    pub(crate) fn new(rules: RuleSet) -> Rig {
        Rig::with(Config {
            rules,
            ..Rig::server()
        })
    }

    /// The server's settings without rules.
    pub(crate) fn server() -> Config {
        Config::new(prefixes(["192.0.2.2/24", "2001:db8::2/64"]))
    }

    pub(crate) fn with(config: Config) -> Rig {
        let mut server = Engine::new(config);
        server.serve_standard("123");
        let client = Engine::new(Config {
            // The faults are told in segments as long as the MSS.
            timestamps: false,
            seed: 7,
            ..Config::new(prefixes(["192.0.2.1/24", "2001:db8::1/64"]))
        });
        let mut sim = Sim::new(client, server, Duration::from_millis(LATENCY));
        let crossed = Rc::new(RefCell::new(Vec::new()));
        let recorder = crossed.clone();
        sim.lose(move |crossing| {
            let packet = (crossing.from, crossing.described.clone());
            recorder.borrow_mut().push(packet);
            false
        });
        Rig {
            sim,
            crossed,
            wire: Vec::new(),
        }
    }

    /// Begins a connection to a service of the server at 192.0.2.2.
    pub(crate) fn connect<F, Fut>(&mut self, port: u16, client: F) -> FlowId
    where
        F: FnOnce(Connection) -> Fut + 'static,
        Fut: Future<Output = io::Result<()>> + 'static,
    {
        self.connect_to("192.0.2.2".parse().unwrap(), port, client)
    }

    pub(crate) fn connect_to<F, Fut>(&mut self, host: IpAddr, port: u16, client: F) -> FlowId
    where
        F: FnOnce(Connection) -> Fut + 'static,
        Fut: Future<Output = io::Result<()>> + 'static,
    {
        let (now, peer) = (self.sim.now(), SocketAddr::new(host, port));
        let begun = self.sim.left().connect_tcp(now, "test", None, peer, client);
        begun.unwrap()
    }

    /// Goes on for so many seconds, and returns all that was on the wire so far.
    pub(crate) fn run(&mut self, seconds: u64) -> &[Crossed] {
        let end = self.sim.now() + Duration::from_secs(seconds);
        // In small steps, so that it is known when a packet left.
        let mut now = self.sim.now();
        while now <= end {
            self.sim.run_until(now);
            self.collect(now);
            now += Duration::from_millis(STEP);
        }
        &self.wire
    }

    /// What has happened at the server's end since the last call.
    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.sim.poll_event())
            .filter(|(side, _)| *side == Side::Right)
            .map(|(_, event)| event)
            .collect()
    }

    fn collect(&mut self, now: Instant) {
        let at = now.total_millis();
        for (from, described) in self.crossed.borrow_mut().drain(..) {
            self.wire.push(Crossed {
                at,
                ours: from == Side::Right,
                described,
            });
        }
    }
}

fn prefixes<const N: usize>(texts: [&str; N]) -> [smoltcp::wire::IpCidr; N] {
    texts.map(|text| text.parse().unwrap())
}

/// The packets of a wire as lines: when, who, what. Numbers count from the first SYN of each end.
pub(crate) fn lines(wire: &[Crossed]) -> Vec<String> {
    let first = |ours: bool| -> Option<SeqNumber> {
        let mut syns = wire
            .iter()
            .filter(|packet| packet.ours == ours && packet.has(Flags::SYN));
        Some(syns.next()?.segment()?.seq)
    };
    let origins = [first(false), first(true)];
    let line = |packet: &Crossed| {
        let (own, other) = (usize::from(packet.ours), usize::from(!packet.ours));
        let origin = Origin {
            seq: origins[own],
            ack: origins[other],
        };
        let arrow = if packet.ours { "<" } else { ">" };
        let notation = packet.described.notation(origin);
        format!("{} {arrow} {notation}", packet.at)
    };
    wire.iter().map(line).collect()
}

/// How long a client waits for the end of it all, in seconds.
pub(crate) const LIMIT: u64 = 20;

/// A client of HTTP: one request and the whole answer, in 20 seconds.
pub(crate) async fn http(conn: Connection) -> io::Result<()> {
    let exchange = conn.timeout(Duration::from_secs(LIMIT), request(&conn));
    exchange
        .await
        .unwrap_or(Err(io::ErrorKind::TimedOut.into()))?;
    conn.close().await
}

async fn request(conn: &Connection) -> io::Result<()> {
    conn.write_all(
        b"GET / HTTP/1.1\r\nHost: lab.test\r\nAccept: text/plain\r\nUser-Agent: test\r\n\r\n",
    )
    .await?;
    let mut answer = Vec::new();
    loop {
        if let Some(len) = answer_len(&answer)
            && answer.len() >= len
        {
            return Ok(());
        }
        let part = conn.read_up_to(65_536).await?;
        if part.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        answer.extend(part);
    }
}

/// How long an answer will be, once its head is there.
fn answer_len(answer: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(answer);
    let head = &text[..text.find("\r\n\r\n")? + 4];
    let (_, rest) = head.split_once("Content-Length: ")?;
    let len: usize = rest.split("\r\n").next()?.parse().ok()?;
    Some(head.len() + len)
}

/// A client of echo: sends `len` bytes, reads them back, closes.
pub(crate) async fn echo(conn: Connection, len: usize) -> io::Result<()> {
    let write = conn.write_all(&vec![b'x'; len]).await;
    let mut left = len;
    while left > 0 {
        let got = conn.read_up_to(left).await?.len();
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        left -= got;
    }
    write?;
    conn.close().await
}
