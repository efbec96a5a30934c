//! An engine with rules, and a peer that sends what it is told at the times that it is told, whatever comes back.

use crate::support::{ACK, FIN, Forged, PSH, SYN, udp};
use smoltcp::time::Instant;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use tcplab::engine::{Config, Engine};
use tcplab::event::{Event, EventKind};
use tcplab::fault::Rule;
use tcplab::segment::{Origin, SeqNumber, describe};
use tcplab::state::TcpState;

/// Our initial sequence number in every run, and the peer's.
pub(crate) const ISS: u32 = 5000;
pub(crate) const IRS: u32 = 1000;

/// What was seen of a run.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// What left, with the time in milliseconds.
    pub(crate) wire: Vec<(i64, Vec<u8>)>,
    /// What the echo service has read.
    pub(crate) read: Vec<u8>,
    pub(crate) events: Vec<Event>,
}

impl Seen {
    /// What left, numbers relative: time and notation, short.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.notation(|notation| format!("{notation:#}"))
    }

    /// The same with window, options and all.
    pub(crate) fn full(&self) -> Vec<String> {
        self.notation(|notation| notation.to_string())
    }

    pub(crate) fn states(&self) -> Vec<TcpState> {
        let states = self.events.iter().filter_map(|event| match &event.kind {
            EventKind::Transition(transition) => Some(transition.to),
            _ => None,
        });
        states.collect()
    }

    fn notation(&self, print: impl Fn(tcplab::segment::Notation<'_>) -> String) -> Vec<String> {
        let line = |(at, packet): &(i64, Vec<u8>)| {
            let described = describe(packet);
            let resets = described
                .tcp()
                .is_some_and(|segment| segment.seq == SeqNumber(0));
            let origin = Origin {
                seq: Some(SeqNumber(if resets { 0 } else { ISS })),
                ack: Some(SeqNumber(IRS)),
            };
            format!("{at} {}", print(described.notation(origin)))
        };
        self.wire.iter().map(line).collect()
    }
}

/// When the peer sends what.
pub(crate) type Script = Vec<(i64, Vec<u8>)>;

/// Both ends of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
}

/// Between these, to the echo service.
pub(crate) fn ends(peer: &str, local: &str) -> Ends {
    Ends {
        peer: peer.parse().unwrap(),
        local: local.parse().unwrap(),
    }
}

pub(crate) fn v4() -> Ends {
    ends("192.0.2.1:40000", "192.0.2.2:7")
}

pub(crate) fn v6() -> Ends {
    ends("[2001:db8::1]:40000", "[2001:db8::2]:7")
}

impl Ends {
    /// A segment of the peer, numbers relative to both initial ones.
    pub(crate) fn segment(self, flags: u8, seq: u32, ack: u32, payload: &[u8]) -> Vec<u8> {
        let ack = if flags & ACK == 0 { 0 } else { ISS + ack };
        let mut forged = Forged::new(self.peer, self.local, flags, IRS + seq, ack);
        forged.payload = payload.to_vec();
        if flags & SYN != 0 {
            // MSS 1460, window scale 7, SACK permitted.
            forged.options = vec![2, 4, 5, 180, 1, 3, 3, 7, 4, 2, 1, 1];
        }
        forged.packet()
    }

    pub(crate) fn datagram(self, payload: &[u8]) -> Vec<u8> {
        udp(self.peer, self.local, payload)
    }

    /// Handshake, `hello` there and back, and the peer closes first.
    pub(crate) fn hello(self) -> Script {
        vec![
            (0, self.segment(SYN, 0, 0, b"")),
            (10, self.segment(ACK, 1, 1, b"")),
            (20, self.segment(PSH | ACK, 1, 1, b"hello")),
            (30, self.segment(ACK, 6, 6, b"")),
            (40, self.segment(FIN | ACK, 6, 6, b"")),
            (50, self.segment(ACK, 7, 7, b"")),
        ]
    }

    /// Handshake, and three times data, which the peer sends whatever comes back.
    pub(crate) fn three(self) -> Script {
        vec![
            (0, self.segment(SYN, 0, 0, b"")),
            (10, self.segment(ACK, 1, 1, b"")),
            (100, self.segment(PSH | ACK, 1, 1, b"one")),
            (200, self.segment(PSH | ACK, 4, 1, b"two")),
            (300, self.segment(PSH | ACK, 7, 1, b"six")),
            (350, self.segment(ACK, 10, 10, b"")),
        ]
    }
}

/// Plays `script` to an engine with these rules, and goes on until `end`, in milliseconds.
pub(crate) fn play(rules: &[&str], script: Script, end: i64) -> Seen {
    let mut config = Config::new(["192.0.2.2/24", "2001:db8::2/64"].map(|it| it.parse().unwrap()));
    for rule in [format!("set iss={ISS} nagle=off").as_str()]
        .iter()
        .chain(rules)
    {
        let rule: Rule = rule.parse().unwrap_or_else(|error| panic!("{error}"));
        config.rules.add(rule);
    }
    let mut engine = Engine::new(config);
    engine.serve_standard("123");
    let read = Rc::new(RefCell::new(Vec::new()));
    let reader = read.clone();
    engine.serve_tcp(7, "echo", move |conn| {
        let read = reader.clone();
        async move {
            loop {
                let bytes = conn.read_up_to(1000).await?;
                if bytes.is_empty() {
                    return conn.close().await;
                }
                read.borrow_mut().extend(&bytes);
                conn.write_all(&bytes).await?;
            }
        }
    });

    let mut seen = Seen::default();
    let mut script = script.into_iter().peekable();
    let end = Instant::from_millis(end);
    let mut now = Instant::ZERO;
    // Far more than any run here takes.
    for _ in 0..10_000 {
        let scripted = script.peek().map(|(at, _)| Instant::from_millis(*at));
        let next = scripted.into_iter().chain(engine.poll_timeout()).min();
        let Some(next) = next.filter(|&next| next <= end) else {
            seen.read = read.take();
            return seen;
        };
        now = now.max(next);
        engine.handle_timeout(now);
        drain(&mut engine, now, &mut seen);
        if scripted.is_some_and(|at| at <= now)
            && let Some((_, mut packet)) = script.next()
        {
            engine.handle_packet(now, &mut packet);
            drain(&mut engine, now, &mut seen);
        }
    }
    panic!("the run does not end: {:#?}", seen.lines());
}

fn drain(engine: &mut Engine, now: Instant, seen: &mut Seen) {
    let mut buf = [0; 1500];
    while let Some(transmit) = engine.poll_transmit(now, &mut buf) {
        let at = (now - Instant::ZERO).total_millis() as i64;
        seen.wire.push((at, buf[..transmit.len].to_vec()));
    }
    seen.events
        .extend(std::iter::from_fn(|| engine.poll_event()));
}
