//! How a scenario is played on the simulator, and its events become a ladder.

use crate::support::{ACK, FIN, Forged, RST, SYN};
use smoltcp::time::{Duration, Instant};
use std::collections::HashMap;
use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use tcplab::engine::{Command, Config, Engine};
use tcplab::event::{Cause, Direction, Event, EventKind, Fate, FlowId, PacketId};
use tcplab::segment::{Flags, Origin, Segment, SeqNumber};
use tcplab::service::Connection;
use tcplab::sim::{Crossing, Side, Sim};

pub(crate) const PORT: u16 = 1111;
pub(crate) const CLIENT_PORT: u16 = 50_000;

/// What a program does, one after the other; then it lets go of the connection.
#[derive(Clone, Copy)]
pub(crate) enum Act {
    Write(&'static [u8]),
    /// Writes that many bytes.
    Fill(usize),
    /// Reads exactly that many bytes.
    Read(usize),
    /// Reads until the end.
    Drain,
    Close,
    /// In milliseconds.
    Sleep(u64),
    /// Does nothing for ever.
    Hold,
}

async fn play(conn: Connection, acts: &'static [Act]) -> io::Result<()> {
    for act in acts {
        match *act {
            Act::Write(data) => conn.write_all(data).await?,
            Act::Fill(count) => conn.write_all(&vec![b'x'; count]).await?,
            Act::Read(count) => {
                let mut missing = count;
                while missing > 0 {
                    missing -= conn.read_up_to(missing).await?.len();
                }
            }
            Act::Drain => conn.drain().await?,
            Act::Close => conn.close().await?,
            Act::Sleep(millis) => conn.sleep(Duration::from_millis(millis)).await,
            Act::Hold => std::future::pending().await,
        }
    }
    Ok(())
}

/// Something done to a running simulation.
pub(crate) enum Do {
    /// A user call on the first connection of a side.
    Call(Side, fn(FlowId) -> Command),
    /// A segment arrives at a side as if the other one had sent it.
    Forge(Side, Forge),
    /// The right side opens too, towards the client's port.
    OpenFromRight,
    /// The left side opens again, from the same port.
    OpenAgain,
}

/// A forged segment for the connection between [`CLIENT_PORT`] and [`PORT`].
#[derive(Clone, Copy)]
pub(crate) struct Forge {
    /// The client's port, if another than [`CLIENT_PORT`].
    pub(crate) port: u16,
    pub(crate) flags: u8,
    /// Added to the number that the side expects next.
    pub(crate) seq: i32,
    /// Added to the highest number that the side has sent.
    pub(crate) ack: i32,
}

pub(crate) const fn forge(flags: u8, seq: i32, ack: i32) -> Forge {
    let port = CLIENT_PORT;
    Forge {
        port,
        flags,
        seq,
        ack,
    }
}

/// A life to be told.
pub(crate) struct Scenario {
    pub(crate) v6: bool,
    /// Changes both configurations.
    pub(crate) config: fn(&mut Config),
    /// The server's program; `None` where nothing listens.
    pub(crate) server: Option<&'static [Act]>,
    pub(crate) client: &'static [Act],
    pub(crate) lose: Vec<Lose>,
    /// What is done besides, at which millisecond.
    pub(crate) then: Vec<(u64, Do)>,
    /// When the story ends, in milliseconds.
    pub(crate) until: u64,
}

/// Loses `times` of one side's segments with exactly these of the bits SYN, FIN, RST and ACK, after the first `skip`.
#[derive(Clone, Copy)]
pub(crate) struct Lose {
    pub(crate) from: Side,
    pub(crate) bits: u8,
    pub(crate) skip: usize,
    pub(crate) times: usize,
}

pub(crate) const ALWAYS: usize = usize::MAX;

pub(crate) const fn lose(from: Side, bits: u8, times: usize) -> Lose {
    let skip = 0;
    Lose {
        from,
        bits,
        skip,
        times,
    }
}

impl Default for Scenario {
    fn default() -> Scenario {
        Scenario {
            v6: false,
            config: |_| {},
            server: Some(&[Act::Drain, Act::Close]),
            client: &[Act::Close, Act::Drain],
            lose: Vec::new(),
            then: Vec::new(),
            until: 100_000,
        }
    }
}

pub(crate) fn ladder(mut scenario: Scenario) -> String {
    let mut lab = Lab::new(&mut scenario);
    lab.open();
    scenario.then.sort_by_key(|&(at, _)| at);
    for (at, act) in scenario.then {
        lab.run(at);
        lab.act(act);
    }
    lab.run(scenario.until);
    lab.text
}

pub(crate) struct Lab {
    pub(crate) sim: Sim,
    pub(crate) left: SocketAddr,
    pub(crate) right: SocketAddr,
    pub(crate) client: &'static [Act],
    /// The initial sequence number of each direction.
    pub(crate) origins: HashMap<(SocketAddr, SocketAddr), SeqNumber>,
    /// What a side expects next and what it has sent at most, as its segments say.
    pub(crate) expects: HashMap<SocketAddr, SeqNumber>,
    pub(crate) has_sent: HashMap<SocketAddr, SeqNumber>,
    pub(crate) arrived: [Option<PacketId>; 2],
    pub(crate) text: String,
}

impl Lab {
    pub(crate) fn new(scenario: &mut Scenario) -> Lab {
        let prefixes = match scenario.v6 {
            false => ["192.0.2.1/24", "192.0.2.2/24"],
            true => ["2001:db8::1/64", "2001:db8::2/64"],
        };
        let mut engines = prefixes.map(|prefix| {
            let mut config = Config::new([prefix.parse().unwrap()]);
            (scenario.config)(&mut config);
            Engine::new(config)
        });
        if let Some(acts) = scenario.server {
            engines[1].serve_tcp(PORT, "server", move |conn| play(conn, acts));
        }
        let [left, right] = engines;
        let mut sim = Sim::new(left, right, Duration::from_millis(10));
        let mut rules = std::mem::take(&mut scenario.lose);
        sim.lose(move |crossing| rules.iter_mut().any(|rule| rule.loses(crossing)));
        let address = |index: usize| prefixes[index].split('/').next().unwrap().parse().unwrap();
        Lab {
            sim,
            left: SocketAddr::new(address(0), CLIENT_PORT),
            right: SocketAddr::new(address(1), PORT),
            client: scenario.client,
            origins: HashMap::new(),
            expects: HashMap::new(),
            has_sent: HashMap::new(),
            arrived: [None; 2],
            text: String::new(),
        }
    }

    pub(crate) fn open(&mut self) {
        let (now, acts, peer) = (self.sim.now(), self.client, self.right);
        let left = self.sim.left();
        let opened = left.connect_tcp(now, "client", Some(CLIENT_PORT), peer, |conn| {
            play(conn, acts)
        });
        opened.unwrap();
    }

    pub(crate) fn act(&mut self, act: Do) {
        let now = self.sim.now();
        match act {
            Do::Call(side, command) => {
                let command = command(FlowId(1));
                self.engine(side).handle_command(now, command);
            }
            Do::Forge(side, forge) => {
                let (mut from, to) = match side {
                    Side::Left => (self.right, self.left),
                    Side::Right => (self.left, self.right),
                };
                if side == Side::Right {
                    from.set_port(forge.port);
                }
                let number = |known: Option<&SeqNumber>, plus: i32| {
                    known.map_or(0, |number| number.0).wrapping_add_signed(plus)
                };
                let seq = number(self.expects.get(&to), forge.seq);
                let ack = number(self.has_sent.get(&to), forge.ack);
                let packet = Forged::new(from, to, forge.flags, seq, ack).packet();
                self.sim.inject(side, packet);
            }
            Do::OpenFromRight => {
                let (acts, peer) = (self.client, self.left);
                let right = self.sim.right();
                let opened =
                    right.connect_tcp(now, "client", Some(PORT), peer, |conn| play(conn, acts));
                opened.unwrap();
            }
            Do::OpenAgain => self.open(),
        }
    }

    pub(crate) fn engine(&mut self, side: Side) -> &mut Engine {
        match side {
            Side::Left => self.sim.left(),
            Side::Right => self.sim.right(),
        }
    }

    pub(crate) fn run(&mut self, until: u64) {
        self.sim.run_until(Instant::from_millis(until as i64));
        while let Some((side, event)) = self.sim.poll_event() {
            self.tell(side, &event);
        }
    }

    fn tell(&mut self, side: Side, event: &Event) {
        let what = match &event.kind {
            EventKind::Opened(opened) => {
                format!("opened: {}, {:?}", opened.service, opened.opening)
            }
            EventKind::Packet(packet) => {
                if let (Some(segment), Some((from, to))) =
                    (packet.described.tcp(), packet.described.endpoints())
                {
                    self.learn(packet.direction, segment, from, to);
                }
                if packet.direction == Direction::In {
                    self.arrived[side as usize] = Some(packet.id);
                }
                let origin = match packet.described.endpoints() {
                    Some((from, to)) => Origin {
                        seq: self.origins.get(&(from, to)).copied(),
                        ack: self.origins.get(&(to, from)).copied(),
                    },
                    None => Origin::default(),
                };
                let mut line = format!(
                    "{:<3} {}",
                    packet.direction.name(),
                    packet.described.notation(origin)
                );
                if packet.retransmission {
                    line += "  again";
                }
                match packet.fate {
                    Fate::Delivered => {}
                    Fate::Discarded(why) => write!(line, "  discarded: {}", why.reason()).unwrap(),
                    ref other => write!(line, "  {other:?}").unwrap(),
                }
                line
            }
            EventKind::Transition(transition) => {
                let cause = match transition.cause {
                    Cause::Segment(packet) => {
                        assert_eq!(self.arrived[side as usize], Some(packet), "{event:?}");
                        "segment"
                    }
                    Cause::Call(call) => call.name(),
                    Cause::Timeout(timer) => timer.name(),
                };
                format!("{} → {} ({cause})", transition.from, transition.to)
            }
            EventKind::Note(note) => format!("note: {note}"),
            EventKind::Closed(closed) => match &closed.result {
                None => "over".to_owned(),
                Some(Ok(())) => "over: the program returned".to_owned(),
                Some(Err(error)) => format!("over: the program failed: {error}"),
            },
            other => format!("{other:?}"),
        };
        let millis = event.at.total_millis();
        let side = match side {
            Side::Left => "left",
            Side::Right => "right",
        };
        let flow = event.flow.map_or("--".to_owned(), |flow| flow.to_string());
        writeln!(
            self.text,
            "{:>3}.{:03} {side:<5} {flow} {what}",
            millis / 1000,
            millis % 1000
        )
        .unwrap();
    }

    /// Only what a side sends itself counts: what it receives may be forged.
    fn learn(&mut self, direction: Direction, segment: &Segment, from: SocketAddr, to: SocketAddr) {
        if direction == Direction::In || segment.flags.contains(Flags::RST) {
            return;
        }
        if segment.flags.contains(Flags::SYN) {
            self.origins.insert((from, to), segment.seq);
            self.has_sent.remove(&from);
        }
        let sent = self.has_sent.entry(from).or_insert(segment.end());
        *sent = sent.max(segment.end());
        if let Some(ack) = segment.acknowledges() {
            self.expects.insert(from, ack);
        }
    }
}

impl Lose {
    fn loses(&mut self, crossing: &Crossing<'_>) -> bool {
        let Some(segment) = crossing.described.tcp() else {
            return false;
        };
        let bits = segment.flags.0 & u16::from(SYN | FIN | RST | ACK);
        if crossing.from != self.from || bits != u16::from(self.bits) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        let lost = self.times > 0;
        self.times = self.times.saturating_sub(1);
        lost
    }
}
