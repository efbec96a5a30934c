//! What is inferred of the peer, held against the truth: two stacks on the simulator, of which the right one watches the left,
//! over seeds, losses and ways to close.
//!
//! When a segment *tells* its sender's state follows from RFC 9293:
//! - a SYN alone is sent in SYN-SENT (section 3.10.1), with an ACK in SYN-RECEIVED (3.10.7.2, 3.10.7.3), and after a RST there
//!   is no connection any more (3.5.2);
//! - whatever else has an ACK bit is sent in a synchronized state, and so by somebody whose SYN was acknowledged (3.10.7.4);
//! - who has sent a FIN has closed, from when it first leaves (3.6), and the FIN says with its ACK whether ours was there before;
//! - an ACK that covers our FIN comes from CLOSE-WAIT or later (3.10.7.4, "eighth, check the FIN bit").
//!
//! That is all. No segment tells that its sender has received the ACK of its FIN; none tells a CLOSE before the FIN; and only the
//! first copy of a FIN tells whether ours was there when its sender closed.
//!
//! So the *state on the wire* of an end is what it would be in had OPEN and CLOSE not happened until the SYN and the FIN
//! were seen. To somebody who sees what the end itself sees, that is the inferred state at any time. To the other
//! end each segment that arrives tells that of the moment in which it left, FIN-WAIT-2 being told as FIN-WAIT-1,
//! TIME-WAIT as CLOSING, and CLOSING as LAST-ACK where the first copy of the FIN was lost. Who closes in ESTABLISHED,
//! but whose FIN leaves only after the other end's has come, is in CLOSING and LAST-ACK on the wire.

use smoltcp::time::{Duration, Instant};
use std::collections::VecDeque;
use tcplab::engine::{Config, Engine};
use tcplab::event::{
    Cause, Direction, Event, EventKind, FlowId, Opening, Packet, PacketId, UserCall,
};
use tcplab::segment::{Flags, Segment, SeqNumber};
use tcplab::service::Connection;
use tcplab::sim::{Side, Sim, random_loss};
use tcplab::state::TcpState;
use tcplab::view::{InferredPeer, View};

const LATENCY: Duration = Duration::from_millis(10);
const SEEDS: u64 = 12;
/// Of a hundred packets.
const LOSSES: [u8; 4] = [0, 5, 15, 30];
/// One connection is watched on both sides; a SYN that comes again late may begin another.
const FLOW: FlowId = FlowId(1);
/// Long enough for every retransmission and the end of TIME-WAIT.
const END: Instant = Instant::from_micros_const(400_000_000);

#[test]
fn what_is_inferred_is_true() {
    let mut told = 0;
    for closing in Closing::ALL {
        for opener in [Side::Left, Side::Right] {
            for loss in LOSSES {
                for seed in 0..SEEDS {
                    let name =
                        format!("{closing:?}, opened by {opener:?}, {loss} % lost, seed {seed}");
                    let mut sim = closing.begin(opener, loss, seed);
                    let mut check = Check::new(&name, opener);
                    while sim.now() < END && sim.step() {
                        while let Some((side, event)) = sim.poll_event() {
                            check.event(side, &event);
                        }
                    }
                    check.end(sim.lost());
                    told += check.told;
                }
            }
        }
    }
    // A check that nothing reaches can't fail.
    assert!(told > 5_000, "{told}");
}

/// Who ends the connection, and how.
#[derive(Clone, Copy, Debug)]
enum Closing {
    LeftFirst,
    RightFirst,
    BothAtOnce,
    /// The left end closes, and is sent a lot afterwards.
    HalfClosedByLeft,
    HalfClosedByRight,
    LeftAborts,
    RightAborts,
}

impl Closing {
    const ALL: [Closing; 7] = [
        Closing::LeftFirst,
        Closing::RightFirst,
        Closing::BothAtOnce,
        Closing::HalfClosedByLeft,
        Closing::HalfClosedByRight,
        Closing::LeftAborts,
        Closing::RightAborts,
    ];

    fn begin(self, opener: Side, loss: u8, seed: u64) -> Sim {
        let engine = |address: &str, seed| {
            let mut config = Config::new([address.parse().unwrap()]);
            config.seed = seed;
            Engine::new(config)
        };
        let mut left = engine("192.0.2.1/24", seed);
        let mut right = engine("192.0.2.2/24", seed + 1000);
        let listening = match opener {
            Side::Left => &mut right,
            Side::Right => &mut left,
        };
        listening.serve_tcp(7, "test", move |conn| self.act(opener.other(), conn));
        let mut sim = Sim::new(left, right, LATENCY);
        sim.lose(random_loss(loss, seed));
        let now = sim.now();
        let (engine, peer) = match opener {
            Side::Left => (sim.left(), "192.0.2.2:7"),
            Side::Right => (sim.right(), "192.0.2.1:7"),
        };
        let peer = peer.parse().unwrap();
        engine
            .connect_tcp(now, "test", None, peer, move |conn| self.act(opener, conn))
            .unwrap();
        sim
    }

    /// What the program of that end does.
    async fn act(self, side: Side, conn: Connection) -> std::io::Result<()> {
        conn.write_all(&[1; 3000]).await?;
        let first = match self {
            Closing::LeftFirst | Closing::HalfClosedByLeft | Closing::LeftAborts => {
                side == Side::Left
            }
            Closing::RightFirst | Closing::HalfClosedByRight | Closing::RightAborts => {
                side == Side::Right
            }
            Closing::BothAtOnce => {
                conn.sleep(Duration::from_secs(1)).await;
                true
            }
        };
        let aborts = matches!(self, Closing::LeftAborts | Closing::RightAborts);
        if first && aborts {
            conn.read_up_to(3000).await?;
            conn.abort();
            return Ok(());
        }
        if first {
            conn.close().await?;
        }
        while !conn.read_up_to(3000).await?.is_empty() {}
        if !first && matches!(self, Closing::HalfClosedByLeft | Closing::HalfClosedByRight) {
            conn.write_all(&[2; 20_000]).await?;
        }
        Ok(())
    }
}

/// Follows both ends.
struct Check<'a> {
    name: &'a str,
    /// What the right end shows.
    view: View,
    /// What could be inferred by somebody who sees segments when the left end does.
    beside: InferredPeer,
    left: End,
    /// The packets of the left end that have not arrived yet, or never will.
    sent: VecDeque<Sent>,
    /// A FIN that has come before data which it follows.
    early_fin: Option<Segment>,
    /// RCV.NXT of the left end after the packet before.
    rcv_nxt: Option<SeqNumber>,
    /// Once a FIN of the left end has arrived: whether it was not the first one.
    first_fin_lost: Option<bool>,
    /// The newest packet that has arrived at either end, and what state the end is in.
    chains: [Chain; 2],
    told: usize,
}

#[derive(Default)]
struct Chain {
    newest_in: Option<(PacketId, Option<FlowId>)>,
    state: Option<TcpState>,
}

/// The truth.
struct End {
    state: TcpState,
    syn_left: bool,
    fin_left: bool,
    /// It closed first, and its FIN left when that of the other end was there already.
    late: bool,
    /// It went, and no segment says so: by ABORT until the RST leaves, or by a timeout.
    silent: bool,
}

impl End {
    fn on_the_wire(&self) -> TcpState {
        match on_the_wire(self.state, self.syn_left, self.fin_left) {
            TcpState::Closing if self.late => TcpState::LastAck,
            TcpState::TimeWait if self.late => TcpState::Closed,
            state => state,
        }
    }
}

/// `state` for somebody to whom OPEN and CLOSE have happened once the SYN and the FIN are there.
fn on_the_wire(state: TcpState, syn: bool, fin: bool) -> TcpState {
    match state {
        TcpState::SynSent if !syn => TcpState::Closed,
        TcpState::SynReceived if !syn => TcpState::Listen,
        TcpState::FinWait1 if !fin => TcpState::Established,
        TcpState::LastAck | TcpState::Closing if !fin => TcpState::CloseWait,
        state => state,
    }
}

/// A packet of the left end.
struct Sent {
    arrives: Instant,
    bytes: Vec<u8>,
    /// In which the left end was when it left.
    state: TcpState,
    first_fin: bool,
}

fn has_fin(packet: &Packet) -> bool {
    let segment = packet.described.tcp();
    segment.is_some_and(|segment| segment.flags.contains(Flags::FIN))
}

/// As the other end sees it.
fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::In => Direction::Out,
        Direction::Out => Direction::In,
    }
}

impl<'a> Check<'a> {
    fn new(name: &'a str, opener: Side) -> Check<'a> {
        let opening = match opener {
            Side::Left => Opening::Passive,
            Side::Right => Opening::Active,
        };
        Check {
            name,
            view: View::new(),
            beside: InferredPeer::new(opening),
            left: End {
                state: match opener {
                    Side::Left => TcpState::Closed,
                    Side::Right => TcpState::Listen,
                },
                syn_left: false,
                fin_left: false,
                late: false,
                silent: false,
            },
            sent: VecDeque::new(),
            early_fin: None,
            rcv_nxt: None,
            first_fin_lost: None,
            chains: Default::default(),
            told: 0,
        }
    }

    fn event(&mut self, side: Side, event: &Event) {
        self.cause(side, event);
        match side {
            Side::Left => self.left(event),
            Side::Right => self.right(event),
        }
    }

    /// Every transition has one cause, and a segment that causes one is the newest that has come in.
    fn cause(&mut self, side: Side, event: &Event) {
        let chain = &mut self.chains[side as usize];
        match &event.kind {
            EventKind::Packet(packet) if packet.direction == Direction::In => {
                chain.newest_in = Some((packet.id, event.flow));
            }
            EventKind::Transition(transition) => {
                if event.flow == Some(FLOW)
                    && let Some(state) = chain.state.replace(transition.to)
                {
                    assert_eq!(transition.from, state, "{}: {event:?}", self.name);
                }
                if let Cause::Segment(id) = transition.cause {
                    let newest = Some((id, event.flow));
                    assert_eq!(chain.newest_in, newest, "{}: {event:?}", self.name);
                }
            }
            _ => {}
        }
    }

    fn left(&mut self, event: &Event) {
        if let EventKind::Packet(packet) = &event.kind {
            self.compare();
            if packet.direction == Direction::Out {
                self.leaves(event, packet);
            }
        }
        if event.flow != Some(FLOW) {
            return;
        }
        match &event.kind {
            EventKind::Packet(packet) => {
                if let Some(segment) = packet.described.tcp() {
                    self.see(packet, segment);
                }
            }
            EventKind::Transition(transition) => {
                self.left.state = transition.to;
                self.left.silent |= match transition.cause {
                    Cause::Call(UserCall::Abort) | Cause::Timeout(_) => true,
                    Cause::Segment(_) | Cause::Call(_) => false,
                };
            }
            _ => {}
        }
    }

    /// Whoever stands beside the left end knows what a FIN before its turn does: nothing until its turn comes. And what
    /// a segment does that was received before: nothing (RFC 9293, section 3.10.7.4, "First, check sequence number").
    fn see(&mut self, packet: &Packet, segment: &Segment) {
        let rcv_nxt = packet.variables.as_ref().and_then(|known| known.rcv_nxt);
        let before = std::mem::replace(&mut self.rcv_nxt, rcv_nxt);
        let old = before.is_some_and(|next| segment.end().at_or_before(next));
        let arrives = packet.direction == Direction::In;
        let reset = segment.flags.contains(Flags::RST);
        if arrives && reset && before.is_some_and(|next| segment.seq != next) {
            // RFC 5961, section 3.2: it only draws a challenge.
            return;
        }
        let in_order = !arrives || segment.sequence_len() == 0;
        if old && !in_order && !segment.flags.contains(Flags::SYN) {
            return;
        }
        let early = |fin: &Segment| rcv_nxt.is_some_and(|next| next.before(fin.end()));
        if arrives && has_fin(packet) && early(segment) && rcv_nxt != Some(segment.seq) {
            self.early_fin = Some(segment.clone());
            let flags = Flags(segment.flags.0 & !Flags::FIN.0);
            let without = Segment {
                flags,
                ..segment.clone()
            };
            return self.beside_sees(Direction::Out, &without);
        }
        self.beside_sees(opposite(packet.direction), segment);
        if let Some(fin) = self.early_fin.take_if(|fin| arrives && !early(fin)) {
            // With all that has come early before it.
            let first = before.unwrap_or(fin.seq);
            let payload = 0..fin.end().since(first) as usize - 1;
            let whole = Segment {
                seq: first,
                payload,
                ..fin
            };
            self.beside_sees(Direction::Out, &whole);
        }
    }

    fn beside_sees(&mut self, direction: Direction, segment: &Segment) {
        self.beside.segment(direction, segment);
    }

    /// A packet leaves the left end.
    fn leaves(&mut self, event: &Event, packet: &Packet) {
        let mut sent = Sent {
            arrives: event.at + LATENCY,
            bytes: packet.bytes.clone(),
            // What is sent for no connection says that there is none.
            state: TcpState::Closed,
            first_fin: false,
        };
        if event.flow == Some(FLOW)
            && let Some(segment) = packet.described.tcp()
        {
            sent.state = self.left.state;
            sent.first_fin = has_fin(packet) && !self.left.fin_left;
            self.left.late |= sent.first_fin && sent.state == TcpState::Closing;
            self.left.syn_left |= segment.flags.contains(Flags::SYN);
            self.left.fin_left |= has_fin(packet);
            self.left.silent &= !segment.flags.contains(Flags::RST);
        }
        self.sent.push_back(sent);
    }

    /// To whoever sees what the left end sees, its state on the wire is known at any time.
    fn compare(&self) {
        if !self.left.silent {
            let inferred = self.beside.state();
            assert_eq!(inferred, self.left.on_the_wire(), "{}", self.name);
        }
    }

    fn right(&mut self, event: &Event) {
        self.view.event(event);
        if event.flow != Some(FLOW) {
            return;
        }
        let EventKind::Packet(packet) = &event.kind else {
            return;
        };
        let peer = &self.view.flow(FLOW).unwrap().peer_state;
        // Whatever the left end is in now, a kernel there might say.
        let (name, now) = (self.name, self.left.state);
        assert!(
            peer.agrees_with(now),
            "{name}: {now} after {event:?}, inferred {peer:?}"
        );
        if packet.direction == Direction::Out {
            return;
        }
        // What was lost does not arrive.
        let arrived = loop {
            let sent = self.sent.pop_front().expect("somebody has sent it");
            if sent.arrives == event.at && sent.bytes == packet.bytes {
                break sent;
            }
        };
        if has_fin(packet) {
            self.first_fin_lost.get_or_insert(!arrived.first_fin);
        }
        let both_told = |state| match state {
            TcpState::FinWait2 => TcpState::FinWait1,
            TcpState::TimeWait => TcpState::Closing,
            TcpState::LastAck if self.left.late || self.first_fin_lost == Some(true) => {
                TcpState::Closing
            }
            state => state,
        };
        let expected = on_the_wire(arrived.state, true, self.first_fin_lost.is_some());
        let (expected, told) = (both_told(expected), both_told(peer.told()));
        assert_eq!(told, expected, "{name}: {event:?}");
        self.told += 1;
    }

    /// Where nothing was lost, everything that was assumed has come true.
    fn end(&self, lost: u64) {
        self.compare();
        let flow = self.view.flows().next().expect("a connection");
        if lost == 0 && !self.left.silent {
            assert_eq!(
                flow.peer_state.state(),
                self.left.on_the_wire(),
                "{}",
                self.name
            );
        }
    }
}
