//! What the link does when a rule or a person interferes, between two engines in virtual time.

use smoltcp::time::{Duration, Instant};
use std::collections::BTreeMap;
use tcplab::engine::{Command, Config, Copies, Disposal, Engine, Stepping};
use tcplab::event::{Direction, Event, EventKind, Fate, Packet, PacketId, Release, RuleId};
use tcplab::fault::{Action, Ends, Kind, Pattern, Rule, Scope, Trigger, Until, Verdict};
use tcplab::service::echo::echo;
use tcplab::sim::{Side, Sim};
use tcplab::state::TcpState;

/// The time that a packet takes from one end to the other.
const LATENCY: Duration = Duration::from_millis(10);

/// A client says hello to an echo server whose link has these rules; it runs for 30 seconds.
struct Run {
    sim: Sim,
    events: Vec<Event>,
}

impl Run {
    fn new(actions: impl IntoIterator<Item = Action>) -> Run {
        let mut config = Config::new(["192.0.2.2/24".parse().unwrap()]);
        for action in actions {
            config.rules.add(Rule {
                text: String::new(),
                scope: Scope::default(),
                action,
            });
        }
        let mut server = Engine::new(config);
        server.serve_tcp(7, "echo", echo);
        let client = Engine::new(Config::new(["192.0.2.1/24".parse().unwrap()]));
        let mut run = Run {
            sim: Sim::new(client, server, LATENCY),
            events: Vec::new(),
        };
        let peer = "192.0.2.2:7".parse().unwrap();
        let opened =
            run.sim
                .left()
                .connect_tcp(Instant::ZERO, "hello", None, peer, |conn| async move {
                    conn.write_all(b"hello").await?;
                    assert_eq!(conn.read_up_to(5).await?, b"hello");
                    conn.close().await
                });
        opened.unwrap();
        run
    }

    fn until(mut self, seconds: i64) -> Run {
        self.goes_on(seconds);
        self
    }

    fn goes_on(&mut self, seconds: i64) {
        self.sim.run_until(Instant::from_secs(seconds));
        while let Some((side, event)) = self.sim.poll_event() {
            if side == Side::Right {
                self.events.push(event);
            }
        }
    }

    /// Each packet and each release in a line: time in milliseconds, direction, notation without options, fate.
    fn lines(&self) -> Vec<String> {
        let line = |event: &Event, packet: &Packet, released: &str| {
            let direction = packet.direction.name();
            let notation = format!("{:#}", packet.described.notation(Default::default()));
            let flags = notation.split(' ').next().unwrap_or_default().to_owned();
            let len = packet
                .described
                .payload()
                .map_or(0, |payload| payload.len());
            let fate = match packet.fate {
                Fate::Delivered => String::new(),
                ref fate => format!(" {}", fate.name()),
            };
            let millis = event.at.total_millis();
            format!("{millis} {direction} {flags} {len}{fate}{released}")
        };
        let lines = self.events.iter().filter_map(|event| match &event.kind {
            EventKind::Packet(packet) => Some(line(event, packet, "")),
            EventKind::Released(released) => {
                let by = format!(" released by {}", released.by.name());
                Some(line(event, &released.packet, &by))
            }
            _ => None,
        });
        lines.collect()
    }

    fn states(&self) -> Vec<TcpState> {
        let states = self.events.iter().filter_map(|event| match &event.kind {
            EventKind::Transition(transition) => Some(transition.to),
            _ => None,
        });
        states.collect()
    }
}

fn on(direction: Direction, kind: Kind, verdict: Verdict) -> Action {
    let pattern = Pattern {
        direction: Some(direction),
        kind,
        ..Pattern::default()
    };
    Action::Judge(verdict, pattern)
}

#[track_caller]
fn check(action: Action, seconds: i64, expected: &[&str]) -> Run {
    let run = Run::new([action]).until(seconds);
    let lines = run.lines();
    assert_eq!(
        lines[..expected.len().min(lines.len())],
        *expected,
        "{lines:#?}"
    );
    run
}

#[test]
fn a_syn_ack_that_is_dropped_is_sent_again() {
    let pattern = Pattern {
        direction: Some(Direction::Out),
        kind: Kind::SynAck,
        ordinal: Some(1..=1),
        ..Pattern::default()
    };
    let run = check(
        Action::Judge(Verdict::Drop, pattern),
        30,
        &[
            "10 in S 0",
            "10 out S. 0 dropped",
            "1010 in S 0",
            "1010 out S. 0",
        ],
    );
    assert_eq!(run.states().last(), Some(&TcpState::Closed));
}

#[test]
fn a_syn_that_is_dropped_opens_a_flow_all_the_same() {
    let run = check(
        on(Direction::In, Kind::Syn, Verdict::Drop),
        200,
        &["10 in S 0 dropped", "1010 in S 0 dropped"],
    );
    assert_eq!(run.states(), []);
    let opened = |event: &&Event| matches!(event.kind, EventKind::Opened(_));
    assert_eq!(run.events.iter().filter(opened).count(), 1);
    assert!(
        run.events
            .iter()
            .all(|event| event.flow.map(|flow| flow.0) == Some(1))
    );
}

#[test]
fn a_delay_is_told_at_both_of_its_ends() {
    check(
        on(
            Direction::Out,
            Kind::SynAck,
            Verdict::Delay(Duration::from_millis(200)),
        ),
        30,
        &[
            "10 in S 0",
            "10 out S. 0 delayed",
            "210 out S. 0 released by time",
            "230 in . 0",
        ],
    );
}

#[test]
fn a_fin_is_held_until_ours_has_left() {
    let ours = Pattern {
        direction: Some(Direction::Out),
        kind: Kind::Fin,
        ..Pattern::default()
    };
    let run = Run::new([on(
        Direction::In,
        Kind::Fin,
        Verdict::Hold(Until::Packet(Box::new(ours))),
    )]);
    let run = run.until(1);
    assert_eq!(run.states(), [TcpState::SynReceived, TcpState::Established]);
    assert!(
        run.lines().last().unwrap().ends_with("in F. 0 held"),
        "{:#?}",
        run.lines()
    );
}

#[test]
fn copies_follow_at_once() {
    let run = Run::new([on(Direction::In, Kind::Data, Verdict::Duplicate(2))]).until(30);
    let lines = run.lines();
    assert_eq!(
        lines[3..7],
        [
            "30 in P. 5 duplicated",
            "30 out . 0",
            "30 out . 0",
            "30 out P. 5"
        ],
        "{lines:#?}"
    );
}

#[test]
fn a_reset_reaches_both_ends() {
    let run = check(
        on(Direction::In, Kind::Data, Verdict::Reset(Ends::Both)),
        30,
        &[
            "10 in S 0",
            "10 out S. 0",
            "30 in . 0",
            "30 in P. 5 dropped",
            "30 out R. 0 injected",
            "30 in R. 0 injected",
        ],
    );
    assert_eq!(
        run.states(),
        [
            TcpState::SynReceived,
            TcpState::Established,
            TcpState::Closed
        ]
    );
}

#[test]
fn a_rule_acts_by_itself() {
    let trigger = Trigger {
        state: TcpState::Established,
        after: Duration::from_millis(500),
    };
    let hold = on(Direction::In, Kind::Data, Verdict::Hold(Until::Hand));
    let run = Run::new([hold, Action::Act(Verdict::Reset(Ends::Both), trigger)]).until(30);
    let lines = run.lines();
    assert!(
        lines.contains(&"530 out R. 0 injected".to_owned()),
        "{lines:#?}"
    );
}

#[test]
fn while_somebody_steps_the_stack_waits_and_the_peer_does_not() {
    let mut run = Run::new([]);
    for command in [Command::Copies(Copies::Hold), Command::Step(Stepping::On)] {
        run.sim.right().handle_command(Instant::ZERO, command);
    }
    // The client sends its SYN again after one second; our stack knows nothing of the first one yet.
    let mut run = run.until(2);
    assert_eq!(run.lines(), ["10 in S 0 held", "1010 in S 0 held"]);

    let held = run.events.iter().filter_map(|event| match &event.kind {
        EventKind::Packet(packet) => Some(packet.id),
        _ => None,
    });
    let held: Vec<_> = held.collect();
    let now = run.sim.now();
    run.sim
        .right()
        .handle_command(now, Command::Release(held[1], Disposal::Drop));
    run.sim
        .right()
        .handle_command(now, Command::Step(Stepping::Off));
    let run = run.until(20);
    let lines = run.lines();
    assert_eq!(
        lines[2..5],
        [
            "2000 in S 0 dropped released by hand",
            "2000 in S 0 released by hand",
            "2000 out S. 0"
        ],
        "{lines:#?}"
    );
    assert_eq!(run.states().last(), Some(&TcpState::Closed));
    let by_hand = run.events.iter().filter_map(|event| match &event.kind {
        EventKind::Released(released) => Some((released.by, released.packet.fate.rule())),
        _ => None,
    });
    assert_eq!(
        by_hand.collect::<Vec<_>>(),
        [(Release::Hand, Some(RuleId::HAND)), (Release::Hand, None)]
    );
}

/// Somebody steps through the connection of a [`Run`], and decides about one packet every few seconds.
struct Person {
    run: Run,
    /// What waits, with what it says.
    waits: BTreeMap<PacketId, String>,
    /// What was decided about, in this order.
    decided: Vec<String>,
    /// How often what was folded.
    folded: BTreeMap<PacketId, u32>,
    seconds: i64,
}

impl Person {
    fn new(copies: Copies) -> Person {
        let mut run = Run::new([]);
        for command in [Command::Copies(copies), Command::Step(Stepping::On)] {
            run.sim.right().handle_command(Instant::ZERO, command);
        }
        Person {
            run,
            waits: BTreeMap::new(),
            decided: Vec::new(),
            folded: BTreeMap::new(),
            seconds: 0,
        }
    }

    /// Takes some time to look at what waits by now.
    fn looks(&mut self, seconds: i64) {
        self.seconds += seconds;
        self.run.goes_on(self.seconds);
        let lines = self.run.lines();
        let packets = self
            .run
            .events
            .iter()
            .filter_map(|event| match &event.kind {
                EventKind::Packet(packet) => Some(packet),
                EventKind::Released(released) => Some(&released.packet),
                _ => None,
            });
        for (packet, line) in packets.zip(lines) {
            match packet.fate {
                Fate::Held(_) => {
                    let words: Vec<&str> = line.split(' ').collect();
                    self.waits.insert(packet.id, words[1..4].join(" "));
                }
                Fate::Folded(original) => *self.folded.entry(original).or_default() += 1,
                _ => {}
            }
        }
        self.run.events.clear();
    }

    /// Decides about what has waited longest.
    fn decides(&mut self, disposal: Disposal) {
        let (id, line) = self.waits.pop_first().expect("something waits");
        self.decided.push(line);
        let now = self.run.sim.now();
        self.run
            .sim
            .right()
            .handle_command(now, Command::Release(id, disposal));
    }
}

/// The whole life of a connection, each packet once.
const LIFE: [&str; 9] = [
    "in S 0", "out S. 0", "in . 0", "in P. 5", "out P. 5", "in F. 0", "out . 0", "out F. 0",
    "in . 0",
];

#[test]
fn whatever_the_pace_a_person_decides_once_about_each_packet() {
    for pace in [0, 1, 5, 20] {
        let mut person = Person::new(Copies::Fold);
        person.looks(1);
        while !person.waits.is_empty() {
            person.decides(Disposal::Pass);
            // The first packets of an instant come a moment later.
            person.looks(pace.max(1));
        }
        assert_eq!(person.decided, LIFE, "{pace} s");
        let folded: u32 = person.folded.values().sum();
        assert!(pace < 5 || folded >= 4, "{pace} s: {folded} copies");
    }
}

#[test]
fn what_comes_again_for_what_was_dropped_is_decided_about() {
    // Each of them in turn is dropped once; what has to come again does, and only that.
    for (dropped, again) in [
        (0, &["in S 0"][..]),
        (1, &["in S 0", "out S. 0"]),
        (3, &["in P. 5"]),
        // Nothing waits then, so our clock goes on, and our end sends it again before the client does.
        (4, &["out P. 5"]),
        // The acknowledgment of our data was lost with the FIN.
        (5, &["in . 0", "in F. 0", "out P. 5"]),
        (7, &["out F. 0"]),
    ] {
        let mut person = Person::new(Copies::Fold);
        person.looks(5);
        for _ in 0..40 {
            if person.waits.is_empty() {
                person.looks(20);
                continue;
            }
            person.decides(match person.decided.len() == dropped {
                true => Disposal::Drop,
                false => Disposal::Pass,
            });
            person.looks(5);
        }
        let mut more = person.decided.clone();
        for line in LIFE {
            let place = more.iter().position(|decided| decided == line);
            more.remove(place.unwrap_or_else(|| panic!("{line}: {:?}", person.decided)));
        }
        more.sort();
        let mut again = again.to_vec();
        again.sort();
        assert_eq!(more, again, "{:?}", person.decided);
    }
}

/// Which packets two orders let wait and fold, five seconds apart.
#[track_caller]
fn expect_of_copies(copies: Copies, expected: &[&str]) {
    let mut person = Person::new(copies);
    person.looks(5);
    person.decides(Disposal::Pass);
    person.looks(10);
    let mut lines: Vec<String> = person.waits.values().cloned().collect();
    lines.extend(
        person
            .folded
            .iter()
            .map(|(id, count)| format!("{count} of packet {id}")),
    );
    assert_eq!(lines, expected, "{copies:?}");
}

#[test]
fn copies_can_pass_and_can_be_held() {
    // The client sends its SYN after 0, 1, 3 and 7 seconds.
    expect_of_copies(Copies::Fold, &["out S. 0", "3 of packet 1"]);
    // The fourth SYN draws another SYN-ACK, which is a copy of one that waits.
    expect_of_copies(
        Copies::Pass,
        &["out S. 0", "2 of packet 1", "1 of packet 4"],
    );
    expect_of_copies(Copies::Hold, &["in S 0", "in S 0", "out S. 0", "in S 0"]);
}
