//! An engine, and whoever checks all that it says.

use smoltcp::time::{Duration, Instant};
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use tcplab::engine::{Break, Command, Config, Disposal, Engine, Stepping};
use tcplab::event::{
    Cause, Direction, Event, EventKind, Fate, FlowId, Opening, Packet, PacketId, Transport,
};
use tcplab::fault::{Action, Assignment, Pattern, Rule, RuleSet, Verdict};
use tcplab::segment::{SeqNumber, describe};
use tcplab::state::TcpState;

use crate::step::{self, Host, Step, Wild};
use crate::support::{ACK, Forged, RST, SYN, fragments, ping, udp};

const MTU: usize = 1280;
/// More packets than these never leave after one step: the buffers of all connections hold fewer.
const MAX_PACKETS: usize = 2_000;

/// The limits of each engine, so low that they are reached.
const CONNECTIONS: usize = 6;
const TIME_WAITS: usize = 2;
const WAITING: usize = 20_000;

impl Host {
    fn is_v6(self) -> bool {
        self == Host::V6
    }

    fn us(self) -> IpAddr {
        let address = match self {
            Host::V4 => "192.0.2.2",
            Host::V6 => "2001:db8::2",
            Host::Faulty => "192.0.2.3",
        };
        address.parse().unwrap()
    }

    fn them(self) -> IpAddr {
        let address = if self.is_v6() {
            "2001:db8::1"
        } else {
            "192.0.2.1"
        };
        address.parse().unwrap()
    }
}

fn config(addresses: [&str; 2]) -> Config {
    let mut config = Config::new(addresses.map(|address| address.parse().unwrap()));
    config.mtu = MTU;
    config.buffer = 4_096;
    config.backlog = 4;
    config.connections = CONNECTIONS;
    config.time_waits = TIME_WAITS;
    config.waiting = WAITING;
    config.time_wait = Duration::from_secs(30);
    config.keep_alive = Some(Duration::from_secs(75));
    config.user_timeout = Some(Duration::from_secs(100));
    config
}

/// Rules about one address of ours only: at the others a good client is to be served.
pub(crate) fn at_faulty_address(rules: Vec<Rule>) -> RuleSet {
    let mut set = RuleSet::new();
    for rule in rules {
        set.add_at(Host::Faulty.us(), rule);
    }
    set
}

/// What is known of a flow from its events.
struct Life {
    transport: Transport,
    state: TcpState,
    over: bool,
}

/// An engine, and whoever checks all that it says.
pub(crate) struct Watched {
    engine: Engine,
    now: Instant,
    events: u64,
    last_at: Instant,
    handed_in: usize,
    told_in: usize,
    taken_out: usize,
    told_out: usize,
    /// The packet that was told last: they count without gaps.
    last_id: u64,
    /// What waits in the link.
    waiting: BTreeMap<PacketId, Packet>,
    /// What has come out of the link towards our stack since the engine was last told something.
    entered: HashSet<PacketId>,
    /// What may be done to a packet by hand.
    edits: Vec<Vec<Assignment>>,
    /// Whether a rule or a person may have changed something.
    tampered: bool,
    patterns: Vec<Pattern>,
    last_packet: Vec<u8>,
    lives: HashMap<FlowId, Life>,
    /// SND.NXT and RCV.NXT of our ends, by our end and the peer's, as far as segments told.
    numbers: HashMap<(SocketAddr, SocketAddr), (SeqNumber, SeqNumber)>,
}

impl Watched {
    /// It serves at all its addresses, and obeys these rules.
    pub(crate) fn new(rules: RuleSet) -> Watched {
        let mut config = config(["192.0.2.2/24", "2001:db8::2/64"]);
        let tampered = !rules.is_empty();
        config.rules = rules;
        let (mut edits, mut patterns) = (Vec::new(), Vec::new());
        for rule in step::rules() {
            if let Action::Judge(verdict, pattern) = rule.action {
                patterns.push(pattern);
                if let Verdict::Edit(assignments) = verdict {
                    edits.push(assignments);
                }
            }
        }
        let mut engine = Engine::new(config);
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
            last_id: 0,
            waiting: BTreeMap::new(),
            entered: HashSet::new(),
            edits,
            tampered,
            patterns,
            last_packet: Vec::new(),
            lives: HashMap::new(),
            numbers: HashMap::new(),
        }
    }

    /// Does something, and checks what comes of it.
    pub(crate) fn take(&mut self, step: Step) {
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
                        let at = usize::from(at) % packet.len();
                        packet[at] = byte;
                    }
                }
                self.packet(packet);
            }
            Step::Datagram(host, port, payload) => {
                let from = SocketAddr::new(host.them(), 40_000);
                self.packet(udp(from, SocketAddr::new(host.us(), port), &payload));
            }
            Step::Ping(host, payload) => self.packet(ping(host.them(), host.us(), &payload)),
            Step::Fragment(offset, more, len) => self.packet(fragment(offset, more, len)),
            Step::Wait(millis) => self.wait(self.now + Duration::from_millis(millis)),
            Step::Command(flow, what) => {
                let flow = self.some_flow(flow);
                self.command(match what % 8 {
                    0..3 => Command::Close(flow),
                    3..5 => Command::Abort(flow),
                    5..7 => Command::Wake(flow),
                    _ => Command::AbortAll,
                });
            }
            Step::Hand(which, what) => {
                let command = self.by_hand(which, what);
                self.command(command);
            }
            Step::Open(host, port) => {
                let peer = SocketAddr::new(host.them(), port);
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
        let local = SocketAddr::new(wild.host.us(), wild.server);
        let peer = SocketAddr::new(wild.host.them(), wild.client);
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
        self.entered.clear();
        self.check_limits();
    }

    fn check_limits(&self) {
        let waiting: usize = self.waiting.values().map(|packet| packet.bytes.len()).sum();
        assert!(waiting <= WAITING, "{waiting} bytes wait");
        let count = |is: fn(&Life) -> bool| {
            let open = self.lives.values().filter(|life| !life.over);
            open.filter(|life| is(life)).count()
        };
        let connections = count(|life| life.state.is_synchronized());
        assert!(connections <= CONNECTIONS + TIME_WAITS, "{connections}");
        let exchanges = count(|life| life.transport == Transport::Udp);
        assert!(exchanges <= CONNECTIONS, "{exchanges}");
    }

    fn learn(&mut self, packet: &[u8]) {
        let described = describe(packet);
        let segment = described
            .tcp()
            .filter(|segment| segment.flags.0 & u16::from(RST) == 0);
        if let (Some(segment), Some(ends)) = (segment, described.endpoints()) {
            assert!(segment.checksum_ok || self.tampered, "{described:?}");
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
        match &event.kind {
            EventKind::Packet(packet) => self.check_packet(packet),
            EventKind::Released(released) => {
                self.check_released(&released.packet);
                // Its flow may be over.
                return;
            }
            _ => {}
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
                    assert!(self.entered.contains(&packet), "{event:?}");
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

    fn check_packet(&mut self, packet: &Packet) {
        self.last_id += 1;
        assert_eq!(packet.id, PacketId(self.last_id));
        assert_eq!(packet.described, describe(&packet.bytes));
        if packet.direction == Direction::In && !matches!(packet.fate, Fate::Injected(_)) {
            self.told_in += 1;
        }
        if matches!(packet.fate, Fate::Delayed(..) | Fate::Held(_)) {
            self.waiting.insert(packet.id, packet.clone());
        }
        self.count_crossings(packet);
    }

    fn check_released(&mut self, packet: &Packet) {
        let before = self.waiting.remove(&packet.id);
        let before = before.unwrap_or_else(|| panic!("it did not wait: {packet:?}"));
        assert_eq!(packet.bytes, before.bytes);
        assert_eq!(packet.direction, before.direction);
        let waits = matches!(packet.fate, Fate::Delayed(..) | Fate::Held(_));
        assert!(!waits, "it waits again: {packet:?}");
        self.count_crossings(packet);
    }

    /// Counts how often a packet comes out of the link, and checks that what comes out is told.
    fn count_crossings(&mut self, packet: &Packet) {
        let rewritten = matches!(packet.fate, Fate::Rewritten(_));
        assert_eq!(rewritten, packet.crossed.is_some(), "{packet:?}");
        let (described, bytes) = packet.outcome();
        assert_eq!(*described, describe(bytes));
        let crossings = packet.fate.crossings();
        match packet.direction {
            Direction::In if crossings > 0 => {
                self.entered.insert(packet.id);
            }
            // What a rule has made too long for the wire is lost on it.
            Direction::Out if bytes.len() <= MTU => self.told_out += crossings as usize,
            _ => {}
        }
    }

    fn some_flow(&self, which: u16) -> FlowId {
        FlowId(u64::from(which) % (self.lives.len() as u64 + 1))
    }

    fn command(&mut self, command: Command) {
        self.engine.handle_command(self.now, command);
        self.drain();
    }

    /// What a person may say while packets wait.
    fn by_hand(&mut self, which: u16, what: u8) -> Command {
        self.tampered = true;
        let place = usize::from(which);
        let ids: Vec<PacketId> = self.waiting.keys().copied().collect();
        // Also one that is none, or does not wait.
        let id = ids.get(place % (ids.len() + 1)).copied();
        let id = id.unwrap_or(PacketId(which.into()));
        let pattern = Box::new(self.patterns[place % self.patterns.len()].clone());
        match what % 16 {
            0 | 1 => Command::Step(Stepping::On),
            2 => Command::Step(Stepping::Off),
            3..7 => Command::Step(Stepping::Let(u64::from(which % 5))),
            7 => Command::Step(Stepping::Until(Break::Packet(pattern))),
            8 => {
                let state = TcpState::ALL[place % TcpState::ALL.len()];
                Command::Step(Stepping::Until(Break::State(state)))
            }
            9 => Command::Step(Stepping::Until(Break::Flow(self.some_flow(which)))),
            10 | 11 => Command::Release(id, Disposal::Pass),
            12 => Command::Release(id, Disposal::Drop),
            13 => Command::Release(id, Disposal::Duplicate(u32::from(which % 4))),
            _ => {
                let edit = self.edits[place % self.edits.len()].clone();
                Command::Release(id, Disposal::Edit(edit))
            }
        }
    }

    /// Everything is aborted and every packet goes on; then nothing is left, and nothing is due ever again.
    pub(crate) fn end(&mut self) {
        self.command(Command::Step(Stepping::Off));
        self.command(Command::AbortAll);
        while let Some((&id, _)) = self.waiting.first_key_value() {
            self.command(Command::Release(id, Disposal::Drop));
            assert!(!self.waiting.contains_key(&id), "{id} can't be released");
        }
        for _ in 0..10_000 {
            let Some(at) = self.engine.poll_timeout() else {
                break;
            };
            self.now = self.now.max(at);
            self.timeout();
        }
        assert_eq!(self.engine.poll_timeout(), None);
        assert!(self.engine.is_quiet());
        let left = self.lives.iter().find(|(_, life)| !life.over);
        assert!(left.is_none(), "{:?} is left", left.map(|(id, _)| id));
    }

    /// A good client comes, and is served: at the address that no rule is about, when nobody steps any more.
    pub(crate) fn serve_a_good_client(&mut self) {
        let mut client = Engine::new(config(["192.0.2.77/24", "2001:db8::77/64"]));
        let served = Rc::new(Cell::new(false));
        let done = Rc::clone(&served);
        let peer = SocketAddr::new(Host::V4.us(), 7);
        self.command(Command::Step(Stepping::Off));
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
        SocketAddr::new(Host::V4.them(), 40_000),
        SocketAddr::new(Host::V4.us(), 7),
    );
    let mut packet = fragments(&udp(from, to, &[b'f'; 88]), (len + 1) * 8, 1).swap_remove(0);
    packet[6..8].copy_from_slice(&(offset | u16::from(more) << 13).to_be_bytes());
    packet[10..12].fill(0);
    let sum = !smoltcp::wire::checksum::data(&packet[..20]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet
}
