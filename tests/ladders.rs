//! Ladders: a scenario in, everything that both ends do out, as a snapshot.
//!
//! The snapshots are taken from runs and were then read with RFC 9293 in hand. Where smoltcp departs from it,
//! a comment beside the case says so. A line of a ladder is
//!
//! ```text
//! time  side  flow  out|in  segment                      [again]  [discarded: why]
//! time  side  flow  STATE → STATE (cause)
//! ```
//!
//! with numbers relative to the initial ones, and `again` where a segment holds numbers that were sent
//! before. The client is left and the server right; the wire takes 10 ms each way.

mod support;

use smoltcp::time::{Duration, Instant};
use std::collections::HashMap;
use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use support::{ACK, FIN, Forged, RST, SYN};
use tcplab::engine::{Command, Config, Engine};
use tcplab::event::{Cause, Direction, Event, EventKind, Fate, FlowId, PacketId};
use tcplab::segment::{Flags, Origin, Segment, SeqNumber};
use tcplab::service::Connection;
use tcplab::sim::{Crossing, Side, Sim};

const PORT: u16 = 1111;
const CLIENT_PORT: u16 = 50_000;

/// What a program does, one after the other; then it lets go of the connection.
#[derive(Clone, Copy)]
enum Act {
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
use Act::*;

async fn play(conn: Connection, acts: &'static [Act]) -> io::Result<()> {
    for act in acts {
        match *act {
            Write(data) => conn.write_all(data).await?,
            Fill(count) => conn.write_all(&vec![b'x'; count]).await?,
            Read(count) => {
                let mut missing = count;
                while missing > 0 {
                    missing -= conn.read_up_to(missing).await?.len();
                }
            }
            Drain => conn.drain().await?,
            Close => conn.close().await?,
            Sleep(millis) => conn.sleep(Duration::from_millis(millis)).await,
            Hold => std::future::pending().await,
        }
    }
    Ok(())
}

/// Something done to a running simulation.
enum Do {
    /// A user call on the first connection of a side.
    Call(Side, fn(FlowId) -> Command),
    /// A segment arrives at a side as if the other one had sent it.
    Forge(Side, Forge),
    /// The right side opens too, towards the client's port.
    OpenFromRight,
    /// The left side opens again, from the same port.
    OpenAgain,
}
use Do::*;

/// A forged segment for the connection between [`CLIENT_PORT`] and [`PORT`].
#[derive(Clone, Copy)]
struct Forge {
    /// The client's port, if another than [`CLIENT_PORT`].
    port: u16,
    flags: u8,
    /// Added to the number that the side expects next.
    seq: i32,
    /// Added to the highest number that the side has sent.
    ack: i32,
}

const fn forge(flags: u8, seq: i32, ack: i32) -> Forge {
    let port = CLIENT_PORT;
    Forge {
        port,
        flags,
        seq,
        ack,
    }
}

/// A life to be told.
struct Scenario {
    v6: bool,
    /// Changes both configurations.
    config: fn(&mut Config),
    /// The server's program; `None` where nothing listens.
    server: Option<&'static [Act]>,
    client: &'static [Act],
    lose: Vec<Lose>,
    /// What is done besides, at which millisecond.
    then: Vec<(u64, Do)>,
    /// When the story ends, in milliseconds.
    until: u64,
}

/// Loses `times` of one side's segments with exactly these of the bits SYN, FIN, RST and ACK, after the first `skip`.
#[derive(Clone, Copy)]
struct Lose {
    from: Side,
    bits: u8,
    skip: usize,
    times: usize,
}

const ALWAYS: usize = usize::MAX;

const fn lose(from: Side, bits: u8, times: usize) -> Lose {
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
            server: Some(&[Drain, Close]),
            client: &[Close, Drain],
            lose: Vec::new(),
            then: Vec::new(),
            until: 100_000,
        }
    }
}

/// Runs a scenario and compares its ladder with the snapshot of that name.
#[track_caller]
fn check(name: &str, scenario: Scenario) {
    check_text(name, &ladder(scenario));
}

#[track_caller]
fn check_text(name: &str, ladder: &str) {
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!(name, ladder);
    });
}

fn ladder(mut scenario: Scenario) -> String {
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

struct Lab {
    sim: Sim,
    left: SocketAddr,
    right: SocketAddr,
    client: &'static [Act],
    /// The initial sequence number of each direction.
    origins: HashMap<(SocketAddr, SocketAddr), SeqNumber>,
    /// What a side expects next and what it has sent at most, as its segments say.
    expects: HashMap<SocketAddr, SeqNumber>,
    has_sent: HashMap<SocketAddr, SeqNumber>,
    arrived: [Option<PacketId>; 2],
    text: String,
}

impl Lab {
    fn new(scenario: &mut Scenario) -> Lab {
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

    fn open(&mut self) {
        let (now, acts, peer) = (self.sim.now(), self.client, self.right);
        let left = self.sim.left();
        let opened = left.connect_tcp(now, "client", Some(CLIENT_PORT), peer, |conn| {
            play(conn, acts)
        });
        opened.unwrap();
    }

    fn act(&mut self, act: Do) {
        let now = self.sim.now();
        match act {
            Call(side, command) => {
                let command = command(FlowId(1));
                self.engine(side).handle_command(now, command);
            }
            Forge(side, forge) => {
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
            OpenFromRight => {
                let (acts, peer) = (self.client, self.left);
                let right = self.sim.right();
                let opened =
                    right.connect_tcp(now, "client", Some(PORT), peer, |conn| play(conn, acts));
                opened.unwrap();
            }
            OpenAgain => self.open(),
        }
    }

    fn engine(&mut self, side: Side) -> &mut Engine {
        match side {
            Side::Left => self.sim.left(),
            Side::Right => self.sim.right(),
        }
    }

    fn run(&mut self, until: u64) {
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

// Normal lives.

#[test]
fn closed_by_the_client() {
    let client: &[Act] = &[Write(b"hello"), Read(5), Close, Drain];
    let server: Option<&[Act]> = Some(&[Read(5), Write(b"HELLO"), Drain, Close]);
    check(
        "closed_by_the_client",
        Scenario {
            client,
            server,
            ..Scenario::default()
        },
    );
    check(
        "closed_by_the_client_v6",
        Scenario {
            v6: true,
            client,
            server,
            ..Scenario::default()
        },
    );
}

#[test]
fn closed_by_the_server() {
    check(
        "closed_by_the_server",
        Scenario {
            client: &[Read(5), Drain, Close],
            server: Some(&[Write(b"hello"), Close, Drain]),
            ..Scenario::default()
        },
    );
}

#[test]
fn closed_by_both_at_once() {
    check(
        "closed_by_both_at_once",
        Scenario {
            client: &[Sleep(110), Close, Drain],
            server: Some(&[Sleep(100), Close, Drain]),
            ..Scenario::default()
        },
    );
}

#[test]
fn half_closed_with_data_still_flowing() {
    check(
        "half_closed_with_data_still_flowing",
        Scenario {
            client: &[Write(b"that is all"), Close, Drain],
            server: Some(&[
                Drain,
                Write(b"one"),
                Sleep(100),
                Write(b"two"),
                Sleep(100),
                Close,
            ]),
            ..Scenario::default()
        },
    );
}

// Other openings.

/// RFC 9293, section 3.5, figure 8, but for one segment each way: there the SYN-ACK brings ESTABLISHED, smoltcp
/// answers it with an ACK as unacceptable and needs the other's ACK.
#[test]
fn opened_by_both_at_once() {
    check(
        "opened_by_both_at_once",
        Scenario {
            server: None,
            then: vec![(0, OpenFromRight)],
            ..Scenario::default()
        },
    );
}

#[test]
fn refused() {
    check(
        "refused",
        Scenario {
            server: None,
            ..Scenario::default()
        },
    );
}

#[test]
fn syn_lost() {
    check(
        "syn_lost",
        Scenario {
            lose: vec![lose(Side::Left, SYN, 2)],
            until: 5_000,
            ..Scenario::default()
        },
    );
}

/// smoltcp ignores the client's second SYN in SYN-RECEIVED ("expecting an ACK"), where RFC 9293, section 3.10.7.4
/// wants an acknowledgment; its own timer sends the SYN-ACK again at about the same time.
#[test]
fn syn_ack_lost() {
    check(
        "syn_ack_lost",
        Scenario {
            lose: vec![lose(Side::Right, SYN | ACK, 2)],
            until: 8_000,
            ..Scenario::default()
        },
    );
}

/// The connection is established at the left and half open at the right until the SYN-ACK comes again.
#[test]
fn last_ack_of_the_handshake_lost() {
    check(
        "last_ack_of_the_handshake_lost",
        Scenario {
            client: &[Sleep(3_000), Close, Drain],
            lose: vec![lose(Side::Left, ACK, 1)],
            until: 5_000,
            ..Scenario::default()
        },
    );
    // Data serves as well as the ACK that was lost.
    check(
        "last_ack_of_the_handshake_lost_data_follows",
        Scenario {
            client: &[Sleep(100), Write(b"hello"), Sleep(100), Close, Drain],
            lose: vec![lose(Side::Left, ACK, 1)],
            until: 5_000,
            ..Scenario::default()
        },
    );
}

#[test]
fn backlog_full() {
    let syn = |port| Forge {
        port,
        ..forge(SYN, 1_000, 0)
    };
    check(
        "backlog_full",
        Scenario {
            config: |config| config.backlog = 2,
            then: vec![
                (100, Forge(Side::Right, syn(CLIENT_PORT + 1))),
                (100, Forge(Side::Right, syn(CLIENT_PORT + 2))),
                (100, Forge(Side::Right, syn(CLIENT_PORT + 3))),
            ],
            client: &[Close],
            server: Some(&[Close]),
            until: 70_000,
            ..Scenario::default()
        },
    );
}

/// CLOSE in SYN-RECEIVED waits for ESTABLISHED.
#[test]
fn closed_while_half_open() {
    check(
        "closed_while_half_open",
        Scenario {
            client: &[Drain, Close],
            server: Some(&[Drain]),
            lose: vec![lose(Side::Left, ACK, 1)],
            then: vec![(500, Call(Side::Right, Command::Close))],
            until: 5_000,
            ..Scenario::default()
        },
    );
}

// Endings that need a second try.

#[test]
fn fin_lost() {
    check(
        "fin_lost",
        Scenario {
            lose: vec![lose(Side::Left, FIN | ACK, 1)],
            until: 5_000,
            ..Scenario::default()
        },
    );
}

#[test]
fn time_wait_answers_a_second_fin() {
    check(
        "time_wait_answers_a_second_fin",
        Scenario {
            // The ACK of the handshake is not the one.
            lose: vec![Lose {
                skip: 1,
                ..lose(Side::Left, ACK, 1)
            }],
            ..Scenario::default()
        },
    );
}

#[test]
fn time_wait_reopened_by_a_newer_syn() {
    check(
        "time_wait_reopened_by_a_newer_syn",
        Scenario {
            client: &[Drain, Close],
            server: Some(&[Close, Drain]),
            then: vec![(1_000, OpenAgain)],
            until: 3_000,
            ..Scenario::default()
        },
    );
}

#[test]
fn time_wait_answers_an_old_syn() {
    check(
        "time_wait_answers_an_old_syn",
        Scenario {
            client: &[Drain, Close],
            server: Some(&[Close, Drain]),
            then: vec![(1_000, Forge(Side::Right, forge(SYN, -1, 0)))],
            until: 3_000,
            ..Scenario::default()
        },
    );
}

// Time-outs.

#[test]
fn user_timeout() {
    check(
        "user_timeout",
        Scenario {
            config: |config| config.user_timeout = Some(Duration::from_secs(5)),
            client: &[Sleep(100), Write(b"anybody there?"), Hold],
            server: Some(&[Hold]),
            lose: vec![lose(Side::Right, ACK, ALWAYS)],
            until: 20_000,
            ..Scenario::default()
        },
    );
}

#[test]
fn syn_never_answered() {
    check(
        "syn_never_answered",
        Scenario {
            lose: vec![lose(Side::Left, SYN, ALWAYS)],
            until: 300_000,
            ..Scenario::default()
        },
    );
}

#[test]
fn fin_wait_2_timeout() {
    check(
        "fin_wait_2_timeout",
        Scenario {
            client: &[Hold],
            server: Some(&[Close]),
            ..Scenario::default()
        },
    );
}

// The window.

#[test]
fn window_shut_and_opened() {
    check(
        "window_shut_and_opened",
        Scenario {
            config: |config| config.buffer = 2_048,
            client: &[Fill(4_096), Close, Drain],
            server: Some(&[Sleep(5_000), Read(4_096), Drain, Close]),
            until: 10_000,
            ..Scenario::default()
        },
    );
}

// RST in each state.

/// A story that leads to `state`, and the side that is in it after 500 ms.
fn leading_to(state: &str) -> (Scenario, Side) {
    let plain = Scenario::default();
    match state {
        "SYN-SENT" => {
            let lose = vec![lose(Side::Left, SYN, ALWAYS)];
            (Scenario { lose, ..plain }, Side::Left)
        }
        "SYN-RECEIVED" => {
            let lose = vec![lose(Side::Right, SYN | ACK, ALWAYS)];
            (Scenario { lose, ..plain }, Side::Right)
        }
        "ESTABLISHED" => (
            Scenario {
                client: &[Hold],
                ..plain
            },
            Side::Right,
        ),
        "FIN-WAIT-1" => (
            Scenario {
                client: &[Hold],
                server: Some(&[Close, Hold]),
                lose: vec![lose(Side::Right, FIN | ACK, ALWAYS)],
                ..plain
            },
            Side::Right,
        ),
        "FIN-WAIT-2" => (
            Scenario {
                client: &[Hold],
                server: Some(&[Close, Hold]),
                ..plain
            },
            Side::Right,
        ),
        "CLOSE-WAIT" => (
            Scenario {
                client: &[Close, Hold],
                server: Some(&[Hold]),
                ..plain
            },
            Side::Right,
        ),
        "CLOSING" => (
            Scenario {
                client: &[Sleep(110), Close, Hold],
                server: Some(&[Sleep(100), Close, Hold]),
                lose: vec![
                    Lose {
                        skip: 1,
                        ..lose(Side::Left, ACK, ALWAYS)
                    },
                    lose(Side::Right, ACK, ALWAYS),
                ],
                ..plain
            },
            Side::Right,
        ),
        "LAST-ACK" => (
            Scenario {
                client: &[Close, Hold],
                server: Some(&[Drain, Close, Hold]),
                lose: vec![Lose {
                    skip: 1,
                    ..lose(Side::Left, ACK, ALWAYS)
                }],
                ..plain
            },
            Side::Right,
        ),
        "TIME-WAIT" => (
            Scenario {
                client: &[Drain, Close],
                server: Some(&[Close, Drain]),
                ..plain
            },
            Side::Right,
        ),
        _ => panic!("no way to {state}"),
    }
}

const STATES: [&str; 9] = [
    "SYN-SENT",
    "SYN-RECEIVED",
    "ESTABLISHED",
    "FIN-WAIT-1",
    "FIN-WAIT-2",
    "CLOSE-WAIT",
    "CLOSING",
    "LAST-ACK",
    "TIME-WAIT",
];

/// Does something in each state and compares what follows, one ladder after the other, with one snapshot.
#[track_caller]
fn check_in_each_state(name: &str, act: fn(Side) -> Do) {
    let mut text = String::new();
    for state in STATES {
        let (mut scenario, side) = leading_to(state);
        let mut lab = Lab::new(&mut scenario);
        lab.open();
        lab.run(500);
        assert_eq!(lab.engine(side).state(FlowId(1)).unwrap().name(), state);
        lab.text = format!("{state}:\n");
        lab.act(act(side));
        lab.run(600);
        text += &lab.text;
    }
    check_text(name, &text);
}

/// RFC 9293, section 3.10.5: a RST goes out in the states from SYN-RECEIVED to CLOSE-WAIT and in no other.
#[test]
fn abort_in_each_state() {
    check_in_each_state("abort", |side| Call(side, Command::Abort));
}

/// RFC 9293, section 3.10.4.
#[test]
fn close_in_each_state() {
    check_in_each_state("close", |side| Call(side, Command::Close));
}

/// RFC 9293, sections 3.10.7.3 (in SYN-SENT a RST counts only with an ACK of our SYN) and 3.10.7.4.
#[test]
fn reset_in_each_state() {
    check_in_each_state("reset", |side| Forge(side, forge(RST | ACK, 0, 0)));
}

/// RFC 9293, section 3.10.7.4, after RFC 5961: a RST inside the window, but not at its left edge, "MUST" be answered
/// with a challenge ACK. smoltcp believes it; only TIME-WAIT, which is ours, answers.
#[test]
fn reset_inside_the_window_in_each_state() {
    check_in_each_state("reset_inside_the_window", |side| {
        Forge(side, forge(RST, 1, 0))
    });
}

/// RFC 9293, section 3.10.7.4: outside the window it is dropped.
#[test]
fn reset_outside_the_window_in_each_state() {
    check_in_each_state("reset_outside_the_window", |side| {
        Forge(side, forge(RST, -1, 0))
    });
}

/// Section 3.10.7.4, after RFC 5961: a SYN in a synchronized state is answered with a challenge ACK. In SYN-SENT it
/// is a simultaneous open, of which the other side knows nothing here. In SYN-RECEIVED smoltcp ignores it, where the
/// RFC returns a passive open to LISTEN.
#[test]
fn syn_in_each_state() {
    check_in_each_state("syn", |side| Forge(side, forge(SYN, 0, 0)));
}
