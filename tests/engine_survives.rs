//! The engine survives whatever the wire, the clock and its user do, keeps its invariants all the time, and
//! serves the next good client as if nothing had been.

mod support;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use smoltcp::time::{Duration, Instant};
use std::cell::Cell;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use support::{ACK, FIN, Forged, PSH, RST, SYN, fragments, ping, udp};
use tcplab::engine::{Command, Config, Engine};
use tcplab::event::{Cause, Direction, Event, EventKind, FlowId, Opening, PacketId, Transport};
use tcplab::segment::{SeqNumber, describe};
use tcplab::state::TcpState;

const MTU: usize = 1280;
/// More packets than these never leave after one step: the buffers of all connections hold fewer.
const MAX_PACKETS: usize = 2_000;

#[derive(Clone, Debug)]
enum Step {
    Bytes(Vec<u8>),
    Segment(Wild),
    /// A SYN and the ACK of the SYN-ACK.
    Handshake(Wild),
    /// The packet that came in last, changed here and there.
    Again(Vec<(Index, u8)>),
    Datagram(bool, u16, Vec<u8>),
    Ping(bool, Vec<u8>),
    /// One fragment of a large datagram: its offset in units of 8 bytes, whether more follow, its length in units less one.
    Fragment(u16, bool, usize),
    /// Milliseconds pass.
    Wait(u64),
    Command(Index, u8),
    Open(bool, u16),
}

/// A segment whose numbers are near those of the connection to which it belongs, if there is one.
#[derive(Clone, Debug)]
struct Wild {
    v6: bool,
    client: u16,
    server: u16,
    flags: u8,
    seq: i32,
    ack: i32,
    window: u16,
    options: Vec<u8>,
    payload: usize,
    bad_checksum: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..100);
    prop_oneof![
        1 => bytes().prop_map(Step::Bytes),
        12 => wild().prop_map(Step::Segment),
        2 => wild().prop_map(Step::Handshake),
        2 => prop::collection::vec(any::<(Index, u8)>(), 0..4).prop_map(Step::Again),
        1 => (any::<bool>(), select(&[7, 1111, 9999][..]), bytes())
            .prop_map(|(v6, port, payload)| Step::Datagram(v6, port, payload)),
        1 => (any::<bool>(), bytes()).prop_map(|(v6, payload)| Step::Ping(v6, payload)),
        1 => (0..4u16, any::<bool>(), 0..4usize)
            .prop_map(|(offset, more, len)| Step::Fragment(offset, more, len)),
        4 => select(&[0, 1, 10, 50, 300, 1_000, 5_000, 20_000, 70_000, 1_000_000][..])
            .prop_map(Step::Wait),
        1 => any::<(Index, u8)>().prop_map(|(flow, what)| Step::Command(flow, what)),
        1 => (any::<bool>(), 40_000..40_003u16).prop_map(|(v6, port)| Step::Open(v6, port)),
    ]
}

fn wild() -> impl Strategy<Value = Wild> {
    let near = || {
        prop_oneof![
            6 => Just(0),
            2 => -2..3i32,
            1 => select(&[-1000, 1000, 60_000, i32::MAX, i32::MIN][..]),
            1 => any::<i32>(),
        ]
    };
    let flags = prop_oneof![
        3 => Just(SYN),
        5 => Just(ACK),
        4 => Just(PSH | ACK),
        3 => Just(FIN | ACK),
        1 => Just(SYN | ACK),
        1 => select(&[RST, RST | ACK][..]),
        1 => any::<u8>(),
    ];
    let options = prop_oneof![
        4 => Just(Vec::new()),
        2 => Just(vec![2, 4, 5, 180, 1, 3, 3, 7, 1, 1, 4, 2]),
        1 => prop::collection::vec(any::<u8>(), 0..=40).prop_map(|mut options| {
            options.truncate(options.len() / 4 * 4);
            options
        }),
    ];
    let window = select(&[0, 1, 100, 65_535][..]);
    let payload = select(&[0, 0, 0, 1, 10, 600, 1_200][..]);
    let ports = (
        40_000..40_003u16,
        select(&[7, 9, 13, 19, 1111, 4444, 0][..]),
    );
    let numbers = (flags, near(), near());
    (
        prop::bool::weighted(0.1),
        ports,
        numbers,
        window,
        options,
        payload,
        prop::bool::weighted(0.02),
    )
        .prop_map(
            |(v6, (client, server), (flags, seq, ack), window, options, payload, bad_checksum)| {
                Wild {
                    v6,
                    client,
                    server,
                    flags,
                    seq,
                    ack,
                    window,
                    options,
                    payload,
                    bad_checksum,
                }
            },
        )
}

fn us(v6: bool) -> IpAddr {
    if v6 { "2001:db8::2" } else { "192.0.2.2" }
        .parse()
        .unwrap()
}

fn them(v6: bool) -> IpAddr {
    if v6 { "2001:db8::1" } else { "192.0.2.1" }
        .parse()
        .unwrap()
}

fn config(addresses: [&str; 2]) -> Config {
    let mut config = Config::new(addresses.map(|address| address.parse().unwrap()));
    config.mtu = MTU;
    config.buffer = 4_096;
    config.backlog = 4;
    config.time_wait = Duration::from_secs(30);
    config.keep_alive = Some(Duration::from_secs(75));
    config.user_timeout = Some(Duration::from_secs(100));
    config
}

/// What is known of a flow from its events.
struct Life {
    transport: Transport,
    state: TcpState,
    over: bool,
}

/// An engine, and whoever checks all that it says.
struct Watched {
    engine: Engine,
    now: Instant,
    events: u64,
    last_at: Instant,
    handed_in: usize,
    told_in: usize,
    taken_out: usize,
    told_out: usize,
    last_in: Option<PacketId>,
    last_packet: Vec<u8>,
    lives: HashMap<FlowId, Life>,
    /// SND.NXT and RCV.NXT of our ends, by our end and the peer's, as far as segments told.
    numbers: HashMap<(SocketAddr, SocketAddr), (SeqNumber, SeqNumber)>,
}

impl Watched {
    fn new() -> Watched {
        let mut engine = Engine::new(config(["192.0.2.2/24", "2001:db8::2/64"]));
        engine.serve_standard("123");
        Watched {
            engine,
            now: Instant::ZERO,
            events: 0,
            last_at: Instant::ZERO,
            handed_in: 0,
            told_in: 0,
            taken_out: 0,
            told_out: 0,
            last_in: None,
            last_packet: Vec::new(),
            lives: HashMap::new(),
            numbers: HashMap::new(),
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Bytes(bytes) => self.packet(bytes),
            Step::Segment(wild) => {
                let packet = self.forge(wild);
                self.packet(packet);
            }
            Step::Handshake(wild) => {
                let whole = |flags| Wild {
                    flags,
                    seq: 0,
                    ack: 0,
                    payload: 0,
                    ..wild.clone()
                };
                for flags in [SYN, ACK] {
                    let packet = self.forge(whole(flags));
                    self.packet(packet);
                }
            }
            Step::Again(changes) => {
                let mut packet = self.last_packet.clone();
                for (at, byte) in changes {
                    if !packet.is_empty() {
                        let at = at.index(packet.len());
                        packet[at] = byte;
                    }
                }
                self.packet(packet);
            }
            Step::Datagram(v6, port, payload) => {
                let from = SocketAddr::new(them(v6), 40_000);
                self.packet(udp(from, SocketAddr::new(us(v6), port), &payload));
            }
            Step::Ping(v6, payload) => self.packet(ping(them(v6), us(v6), &payload)),
            Step::Fragment(offset, more, len) => self.packet(fragment(offset, more, len)),
            Step::Wait(millis) => self.wait(self.now + Duration::from_millis(millis)),
            Step::Command(flow, what) => {
                let flow = FlowId(flow.index(self.lives.len() + 1) as u64);
                let command = match what % 8 {
                    0..3 => Command::Close(flow),
                    3..5 => Command::Abort(flow),
                    5..7 => Command::Wake(flow),
                    _ => Command::AbortAll,
                };
                self.engine.handle_command(self.now, command);
                self.drain();
            }
            Step::Open(v6, port) => {
                let peer = SocketAddr::new(them(v6), port);
                let client = |conn: tcplab::service::Connection| async move {
                    conn.write_all(b"hello").await?;
                    conn.read_up_to(10).await?;
                    conn.close().await?;
                    conn.drain().await
                };
                // From the port of a service, so that the forged segments find it; it may be in use.
                let _ = self
                    .engine
                    .connect_tcp(self.now, "client", Some(7), peer, client);
                self.drain();
            }
        }
    }

    fn packet(&mut self, mut packet: Vec<u8>) {
        self.last_packet.clone_from(&packet);
        self.handed_in += 1;
        self.engine.handle_packet(self.now, &mut packet);
        self.drain();
    }

    /// Lets the time pass, and each timer go off when it is due, as long as there are not too many of them;
    /// then all the others at once, as after a long sleep.
    fn wait(&mut self, until: Instant) {
        for _ in 0..50 {
            match self.engine.poll_timeout() {
                Some(at) if at <= until => self.now = self.now.max(at),
                _ => break,
            }
            self.timeout();
        }
        self.now = until;
        self.timeout();
    }

    fn timeout(&mut self) {
        self.engine.handle_timeout(self.now);
        self.drain();
        let next = self.engine.poll_timeout();
        assert!(
            next.is_none_or(|next| next > self.now),
            "{next:?} again at {}",
            self.now
        );
    }

    fn forge(&self, wild: Wild) -> Vec<u8> {
        let local = SocketAddr::new(us(wild.v6), wild.server);
        let peer = SocketAddr::new(them(wild.v6), wild.client);
        let (snd_nxt, rcv_nxt) = self
            .numbers
            .get(&(local, peer))
            .copied()
            .unwrap_or_default();
        let seq = rcv_nxt.0.wrapping_add_signed(wild.seq);
        let ack = snd_nxt.0.wrapping_add_signed(wild.ack);
        let mut packet = Forged {
            window: wild.window,
            options: wild.options,
            payload: vec![b'x'; wild.payload],
            ..Forged::new(peer, local, wild.flags, seq, ack)
        }
        .packet();
        if wild.bad_checksum {
            let last = packet.len() - 1;
            packet[last] ^= 1;
        }
        packet
    }

    fn drain(&mut self) {
        let mut buf = [0; MTU];
        let mut packets = 0;
        while let Some(transmit) = self.engine.poll_transmit(self.now, &mut buf) {
            packets += 1;
            assert!(packets <= MAX_PACKETS, "it never stops to send");
            self.learn(&buf[..transmit.len]);
        }
        self.taken_out += packets;
        while let Some(event) = self.engine.poll_event() {
            self.check(&event);
        }
        assert_eq!(self.told_in, self.handed_in);
        assert_eq!(self.told_out, self.taken_out);
    }

    fn learn(&mut self, packet: &[u8]) {
        let described = describe(packet);
        let segment = described
            .tcp()
            .filter(|segment| segment.flags.0 & u16::from(RST) == 0);
        if let (Some(segment), Some(ends)) = (segment, described.endpoints()) {
            assert!(segment.checksum_ok, "{described:?}");
            let known = self.numbers.entry(ends).or_default();
            *known = (segment.end(), segment.acknowledges().unwrap_or(known.1));
        }
    }

    fn check(&mut self, event: &Event) {
        self.events += 1;
        assert_eq!(event.number, self.events);
        assert!(
            self.last_at <= event.at && event.at <= self.now,
            "{event:?}"
        );
        self.last_at = event.at;
        if let (Some(id), EventKind::Opened(opened)) = (event.flow, &event.kind) {
            let state = match opened.opening {
                Opening::Passive => TcpState::Listen,
                Opening::Active => TcpState::Closed,
            };
            let life = Life {
                transport: opened.transport,
                state,
                over: false,
            };
            assert!(
                self.lives.insert(id, life).is_none(),
                "opened twice: {event:?}"
            );
            return;
        }
        if let EventKind::Packet(packet) = &event.kind {
            assert_eq!(packet.described, describe(&packet.bytes));
            match packet.direction {
                Direction::In => {
                    self.told_in += 1;
                    self.last_in = Some(packet.id);
                }
                Direction::Out => self.told_out += 1,
            }
        }
        let Some(id) = event.flow else { return };
        let life = self
            .lives
            .get_mut(&id)
            .expect("a flow is opened before anything else");
        assert!(!life.over, "after the end: {event:?}");
        match &event.kind {
            EventKind::Transition(transition) => {
                assert_eq!(life.transport, Transport::Tcp);
                assert_eq!(life.state, transition.from, "{event:?}");
                assert!(transition.from.may_become(transition.to), "{event:?}");
                if let Cause::Segment(packet) = transition.cause {
                    assert_eq!(Some(packet), self.last_in, "{event:?}");
                }
                life.state = transition.to;
            }
            EventKind::Closed(_) => {
                life.over = true;
                if life.transport == Transport::Tcp {
                    let gone = matches!(life.state, TcpState::Closed | TcpState::Listen);
                    assert!(gone, "over in {}", life.state);
                }
            }
            _ => {}
        }
    }

    /// A good client comes, and is served.
    fn serve_a_good_client(&mut self) {
        let mut client = Engine::new(config(["192.0.2.77/24", "2001:db8::77/64"]));
        let served = Rc::new(Cell::new(false));
        let done = Rc::clone(&served);
        let peer = SocketAddr::new(us(false), 7);
        let opened = client.connect_tcp(self.now, "good", None, peer, |conn| async move {
            conn.write_all(b"are you still there?").await?;
            let mut heard = Vec::new();
            while heard.len() < 20 {
                heard.extend(conn.read_up_to(20).await?);
            }
            assert_eq!(heard, b"are you still there?");
            conn.close().await?;
            conn.drain().await?;
            done.set(true);
            Ok(())
        });
        opened.unwrap();
        let mut buf = [0; MTU];
        for _ in 0..20_000 {
            if served.get() {
                return;
            }
            if let Some(transmit) = client.poll_transmit(self.now, &mut buf) {
                self.handed_in += 1;
                self.engine
                    .handle_packet(self.now, &mut buf[..transmit.len]);
                self.deliver_to(&mut client);
            } else if !self.deliver_to(&mut client) {
                let next = [client.poll_timeout(), self.engine.poll_timeout()];
                let Some(next) = next.into_iter().flatten().min() else {
                    break;
                };
                self.now = self.now.max(next);
                client.handle_timeout(self.now);
                self.engine.handle_timeout(self.now);
            }
        }
        panic!("a good client is not served any more");
    }

    /// Whether there was a packet for the client.
    fn deliver_to(&mut self, client: &mut Engine) -> bool {
        let mut delivered = false;
        let mut buf = [0; MTU];
        while let Some(transmit) = self.engine.poll_transmit(self.now, &mut buf) {
            client.handle_packet(self.now, &mut buf[..transmit.len]);
            self.taken_out += 1;
            delivered = true;
        }
        while let Some(event) = self.engine.poll_event() {
            self.check(&event);
        }
        delivered
    }
}

fn fragment(offset: u16, more: bool, len: usize) -> Vec<u8> {
    let (from, to) = (
        SocketAddr::new(them(false), 40_000),
        SocketAddr::new(us(false), 7),
    );
    let mut packet = fragments(&udp(from, to, &[b'f'; 88]), (len + 1) * 8, 1).swap_remove(0);
    packet[6..8].copy_from_slice(&(offset | u16::from(more) << 13).to_be_bytes());
    packet[10..12].fill(0);
    let sum = !smoltcp::wire::checksum::data(&packet[..20]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn anything(steps in prop::collection::vec(step(), 1..80)) {
        let mut watched = Watched::new();
        for step in steps {
            watched.take(step);
        }
        watched.serve_a_good_client();
    }
}
