//! An engine, and whoever checks all that it says.

use smoltcp::time::Instant;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use tcplab::engine::{Break, Command, Disposal, Engine, Stepping};
use tcplab::event::{
    Cause, Direction, Event, EventKind, Fate, FlowId, Opening, Packet, PacketId, Transport,
};
use tcplab::segment::{Checksum, Described, describe, describe_offloaded};
use tcplab::state::TcpState;

use crate::peers::Peers;
use crate::step::{self, Setup, WAITING};

/// More packets than these never leave after one step: the buffers of all connections hold fewer.
const MAX_PACKETS: usize = 5_000;
/// So often a timer may be due at once: a rule's, that of memory which is given back, and what follows from these.
const MAX_AT_ONCE: usize = 3;
/// So many timers go off one by one, then all that are due at once.
const MAX_TIMERS: usize = 50;

/// What is known of a flow from its events.
struct Life {
    transport: Transport,
    state: TcpState,
    opening: Opening,
    /// Whether anything of the peer's has got through to our end.
    heard: bool,
}

/// An engine, and whoever checks all that it says.
pub(crate) struct Watched {
    pub(crate) engine: Engine,
    pub(crate) now: Instant,
    pub(crate) peers: Peers,
    offload: bool,
    mtu: usize,
    /// What left last, whose events have not come.
    left: VecDeque<(Described, Vec<u8>)>,
    /// Room for a packet.
    buf: Vec<u8>,
    limits: [usize; 2],
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
    pub(crate) last_packet: Vec<u8>,
    lives: HashMap<FlowId, Life>,
    opened: u64,
}

impl Watched {
    /// It serves at all its addresses.
    pub(crate) fn new(setup: Setup) -> Watched {
        let Setup { config, tampers } = setup;
        let (offload, mtu) = (config.offload, config.mtu);
        let limits = [config.connections, config.time_waits];
        let mut engine = Engine::new(config);
        engine.serve_standard("123");
        let peers = Peers::new(tampers);
        Watched {
            engine,
            now: Instant::ZERO,
            peers,
            offload,
            mtu: if offload { 65_535 } else { mtu },
            left: VecDeque::new(),
            buf: vec![0; if offload { 65_535 } else { mtu }],
            limits,
            events: 0,
            last_at: Instant::ZERO,
            handed_in: 0,
            told_in: 0,
            taken_out: 0,
            told_out: 0,
            last_id: 0,
            waiting: BTreeMap::new(),
            entered: HashSet::new(),
            last_packet: Vec::new(),
            lives: HashMap::new(),
            opened: 0,
        }
    }

    pub(crate) fn packet(&mut self, mut packet: Vec<u8>) {
        if step::shows() {
            self.show('<', &describe(&packet));
        }
        self.handed_in += 1;
        self.last_packet.clone_from(&packet);
        self.engine.handle_packet(self.now, &mut packet);
        self.drain();
    }

    /// Lets the time pass, and each timer go off when it is due, as long as there are not too many of them;
    /// then all the others at once, as after a long sleep.
    pub(crate) fn wait(&mut self, until: Instant) {
        for _ in 0..MAX_TIMERS {
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
    }

    /// Takes all that there is, and lets timers go off that are due at once: that comes to an end.
    pub(crate) fn drain(&mut self) {
        self.drain_once();
        for _ in 0..MAX_AT_ONCE {
            if self.engine.poll_timeout().is_none_or(|at| at > self.now) {
                return;
            }
            self.engine.handle_timeout(self.now);
            self.drain_once();
        }
        let next = self.engine.poll_timeout();
        assert!(
            next.is_none_or(|next| next > self.now),
            "{next:?} again at {}",
            self.now
        );
    }

    fn drain_once(&mut self) {
        let mut buf = std::mem::take(&mut self.buf);
        let mut packets = 0;
        while let Some(transmit) = self.engine.poll_transmit(self.now, &mut buf) {
            packets += 1;
            assert!(packets <= MAX_PACKETS, "it never stops to send");
            self.learn(&buf[..transmit.len], transmit.offload.checksum);
        }
        self.buf = buf;
        self.taken_out += packets;
        while let Some(event) = self.engine.poll_event() {
            self.check(&event);
        }
        self.left.clear();
        assert_eq!(self.told_in, self.handed_in);
        assert_eq!(self.told_out, self.taken_out);
        self.entered.clear();
        self.check_limits();
    }

    fn check_limits(&self) {
        let waiting: usize = self.waiting.values().map(|packet| packet.bytes.len()).sum();
        assert!(waiting <= WAITING, "{waiting} bytes wait");
        let count = |is: fn(&Life) -> bool| self.lives.values().filter(|life| is(life)).count();
        // What we began makes no room.
        let connections =
            count(|life| life.opening == Opening::Passive && life.state.is_synchronized());
        let [most, time_waits] = self.limits;
        assert!(connections <= most + time_waits, "{connections}");
        let exchanges = count(|life| life.transport == Transport::Udp && life.heard);
        // The newest stays, even if it is the one that could go.
        assert!(exchanges <= most + 1, "{exchanges}");
    }

    fn learn(&mut self, packet: &[u8], checksum: Checksum) {
        let described = describe_offloaded(packet, checksum);
        if let Some(segment) = described.tcp() {
            let tampered = self.peers.tampered || self.peers.tampered_there;
            assert!(segment.checksum_ok || tampered, "{described:?}");
        }
        if step::shows() {
            self.show('>', &described);
        }
        self.peers.hear(&described, packet);
        self.left.push_back((described, packet.to_vec()));
    }

    fn show(&self, way: char, described: &Described) {
        let ends = described.endpoints();
        let ends = ends.map(|(from, to)| format!("{from} {to}"));
        let said = described.notation(Default::default());
        println!("{} {way} {} {said}", self.now, ends.unwrap_or_default());
    }

    /// Whether this is what these bytes say.
    fn says(&self, described: &Described, bytes: &[u8]) -> bool {
        *described == describe(bytes)
            || self.offload && *described == describe_offloaded(bytes, Checksum::Partial)
    }

    /// Whether it is what has just left, as nearly always.
    fn has_left(&mut self, packet: &Packet) -> bool {
        let left = match packet.direction {
            Direction::Out => self.left.pop_front(),
            Direction::In => None,
        };
        left.is_some_and(|(described, bytes)| {
            described == packet.described && bytes == packet.bytes
        })
    }

    fn check(&mut self, event: &Event) {
        if step::shows() && !matches!(event.kind, EventKind::Packet(_)) {
            println!("        {:?} {:?}", event.flow, event.kind);
        }
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
                opening: opened.opening,
                heard: opened.opening == Opening::Active,
            };
            self.opened += 1;
            assert_eq!(id, FlowId(self.opened), "opened twice: {event:?}");
            self.lives.insert(id, life);
            return;
        }
        let came = match &event.kind {
            EventKind::Packet(packet) => Some(packet),
            EventKind::Released(released) => Some(&released.packet),
            _ => None,
        };
        if let Some(packet) = came
            && packet.direction == Direction::In
            && packet.fate.crossings() > 0
            && let Some(life) = event.flow.and_then(|id| self.lives.get_mut(&id))
        {
            life.heard = true;
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
            .unwrap_or_else(|| panic!("before or after its life: {event:?}"));
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
                if life.transport == Transport::Tcp {
                    let gone = matches!(life.state, TcpState::Closed | TcpState::Listen);
                    assert!(gone, "over in {}", life.state);
                }
                self.lives.remove(&id);
            }
            _ => {}
        }
    }

    fn check_packet(&mut self, packet: &Packet) {
        self.last_id += 1;
        assert_eq!(packet.id, PacketId(self.last_id));
        assert!(
            self.has_left(packet) || self.says(&packet.described, &packet.bytes),
            "{packet:?}"
        );
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
        if packet.crossed.is_some() {
            assert!(self.says(described, bytes), "{packet:?}");
        }
        let crossings = packet.fate.crossings();
        match packet.direction {
            Direction::In if crossings > 0 => {
                self.entered.insert(packet.id);
            }
            // What a rule has made too long for the wire is lost on it.
            Direction::Out if bytes.len() <= self.mtu => self.told_out += crossings as usize,
            _ => {}
        }
    }

    /// The connections that our end has begun.
    pub(crate) fn began(&self) -> Vec<FlowId> {
        let began = self.lives.iter();
        let began = began.filter(|(_, life)| life.opening == Opening::Active);
        let mut began: Vec<FlowId> = began.map(|(&id, _)| id).collect();
        began.sort();
        began
    }

    pub(crate) fn some_flow(&self, which: u16) -> FlowId {
        FlowId(u64::from(which) % (self.opened + 1))
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.engine.handle_command(self.now, command);
        self.drain();
    }

    /// What a person may say while packets wait.
    pub(crate) fn by_hand(&mut self, which: u16, what: u8) -> Command {
        self.peers.tampered = true;
        let place = usize::from(which);
        let ids: Vec<PacketId> = self.waiting.keys().copied().collect();
        // Also one that is none, or does not wait.
        let id = ids.get(place % (ids.len() + 1)).copied();
        let id = id.unwrap_or(PacketId(which.into()));
        let (edits, patterns) = step::by_hand();
        let pattern = Box::new(patterns[place % patterns.len()].clone());
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
                let edit = edits[place % edits.len()].clone();
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
        let left = self.lives.keys().next();
        assert!(left.is_none(), "{left:?} is left");
    }
}
