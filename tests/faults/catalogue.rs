//! Each fault of the catalogue does on the wire what it promises.

use super::wire::{Crossed, LIMIT, Rig, echo, http, lines};
use smoltcp::time::{Duration, Instant};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use tcplab::event::{Event, EventKind};
use tcplab::fault::catalogue::{self, Fault, Outcome};
use tcplab::service::Connection;
use tcplab::state::TcpState;

const V4: &str = "192.0.2.2/24";
const V6: &str = "2001:db8::2/64";

/// A server at whose addresses all faults are.
fn rig() -> Rig {
    let mut config = Rig::server();
    catalogue::add_to(&mut config.rules, &config.addresses);
    Rig::with(config)
}

/// A request over HTTP that has met a fault.
struct Request {
    wire: Vec<Crossed>,
    events: Vec<Event>,
    /// How it ended for the client, and when; `None` where it has waited for longer than its limit.
    ended: Option<(io::Result<()>, Duration)>,
}

impl Request {
    fn to(fault: &Fault, network: &str) -> Request {
        let mut rig = rig();
        let address = fault.address_in(network.parse().unwrap()).unwrap();
        let ended = Rc::new(RefCell::new(None));
        let report = ended.clone();
        let flow = rig.connect_to(address, 80, move |conn| async move {
            let task = conn.task().clone();
            let result = http(conn).await;
            *report.borrow_mut() = Some((result, task.now() - Instant::ZERO));
            Ok(())
        });
        let wire = rig.run(LIMIT + 15).to_vec();
        let mut ended = ended.borrow_mut().take();
        if ended.is_none() && !rig.sim.left().has_program(flow) {
            let last = wire.last().map_or(0, |packet| packet.at);
            let refused = io::ErrorKind::ConnectionRefused.into();
            ended = Some((Err(refused), Duration::from_millis(last as u64)));
        }
        let ended = ended.filter(|(_, took)| took.secs() < LIMIT);
        Request {
            wire,
            events: rig.events(),
            ended,
        }
    }
}

/// The states that our end went through.
fn states(events: &[Event]) -> Vec<TcpState> {
    let states = events.iter().filter_map(|event| match &event.kind {
        EventKind::Transition(transition) => Some(transition.to),
        _ => None,
    });
    states.collect()
}

/// Whether the wire shows these, in this order: each is a part of a line. What begins with `!` is in none of the lines that
/// follow; what begins with `=3 ` is in three of all lines.
#[track_caller]
fn shows(wire: &[Crossed], expected: &[&str]) {
    let lines = lines(wire);
    let mut rest = lines.iter();
    for part in expected {
        if let Some(absent) = part.strip_prefix('!') {
            let found = rest.clone().find(|line| line.contains(absent));
            assert_eq!(found, None, "{part:?} in {lines:#?}");
        } else if let Some(counted) = part.strip_prefix('=') {
            let (count, counted) = counted.split_once(' ').unwrap();
            let found = lines.iter().filter(|line| line.contains(counted)).count();
            assert_eq!(found.to_string(), count, "{part:?} in {lines:#?}");
        } else {
            let found = rest.any(|line| line.contains(part));
            assert!(found, "{part:?} is not where it should be in {lines:#?}");
        }
    }
}

/// What a request over HTTP meets; ` < ` is ours, ` > ` is the client's.
const PROMISES: &[(&str, &[&str])] = &[
    (
        "blackhole",
        &[
            "! < ",
            "0 > S 0",
            "1000 > S 0",
            "3000 > S 0",
            "7000 > S 0",
            "15000 > S 0",
        ],
    ),
    ("refuse", &["0 > S 0", "10 < R. 0:0(0) ack 1", "! "]),
    (
        "net-unreachable",
        &["0 > S 0", "10 < icmp network unreachable", "! < S"],
    ),
    (
        "host-unreachable",
        &["0 > S 0", "10 < icmp host unreachable", "! < S"],
    ),
    (
        "port-unreachable",
        &["0 > S 0", "10 < icmp port unreachable", "! < S"],
    ),
    (
        "prohibited",
        &["0 > S 0", "10 < icmp communication prohibited", "! < S"],
    ),
    (
        "syn-lost-1",
        &[
            "=2 > S 0",
            "=1 < S. 0",
            "0 > S 0",
            "1000 > S 0",
            "1010 < S. 0",
        ],
    ),
    ("synack-lost-1", &["=2 > S 0", "=1 < S. 0", "1010 < S. 0"]),
    ("synack-lost-2", &["=3 > S 0", "=1 < S. 0", "3010 < S. 0"]),
    ("synack-lost-3", &["=4 > S 0", "=1 < S. 0", "7010 < S. 0"]),
    (
        "synack-slow-1s",
        &[
            "0 > S 0",
            "1000 > S 0",
            "1210 < S. 0",
            "1220 > . 1:1(0) ack 1",
            "2210 < S. 0",
            "2220 > . ",
        ],
    ),
    (
        "synack-slow-5s",
        &[
            "0 > S 0",
            "1000 > S 0",
            "3000 > S 0",
            "5510 < S. 0",
            "5520 > . 1:1(0) ack 1",
            "6510 < S. 0",
        ],
    ),
    (
        "synack-twice",
        &["=2 < S. 0", "10 < S. 0", "10 < S. 0", "20 > . ", "20 > . "],
    ),
    (
        "synack-bad-ack",
        &[
            "10 < S. 0:0(0) ack 4294966297",
            "20 > R 4294966297",
            "1000 > S 0",
            "< S. 0:0(0) ack 1 ",
        ],
    ),
    (
        "synack-bad-checksum",
        &[
            "=1 [bad checksum]",
            "10 < S. 0:0(0) ack 1 ",
            "1000 > S 0",
            "1010 < S. 0:0(0) ack 1 ",
        ],
    ),
    (
        "handshake-ack-lost",
        &[
            "=1 < S. 0",
            "20 > . 1:1(0) ack 1",
            "20 > P. 1:",
            "30 < . 1:",
        ],
    ),
    (
        "split-handshake",
        &[
            "10 < S 0:0(0) win",
            "20 > S. 0:0(0) ack 1",
            "< . 1:1(0) ack 1",
        ],
    ),
    (
        "rst-after-handshake",
        &[
            "10 < S. 0",
            "20 > . 1:1(0) ack 1",
            "30 < R. 1:1(0) ack 1",
            "! < P",
            "! < .",
        ],
    ),
    (
        "backlog-full",
        &["! < ", "0 > S 0", "1000 > S 0", "3000 > S 0"],
    ),
    ("backlog-reset", &["0 > S 0", "10 < R. 0:0(0) ack 1", "! "]),
    (
        "iss-wrap",
        &[
            "10 < S. 0:0(0) ack 1",
            "< . 1:1461(1460)",
            "> . 73:73(0) ack 1461",
        ],
    ),
    (
        "silent-after-accept",
        &[
            "> P. 1:73(72)",
            "< . 1:1(0) ack 73",
            "! < . 1:1461",
            "! < P",
        ],
    ),
    (
        "rst-mid-data",
        &["< P. 1:11(10)", "< R. 11:11(0) ack 73", "! < "],
    ),
    (
        "blackhole-mid-data",
        &["< P. 1:11(10)", "! < ", "20020 > F.", "> F."],
    ),
    (
        "half-open",
        &[
            "20 > P. 1:73(72)",
            "! < .",
            "! < P",
            "1020 > P. 1:73(72)",
            "1030 < R 1:1(0)",
        ],
    ),
    (
        "zero-window",
        &[
            "10 < S. 0:0(0) ack 1 win 0",
            "! < P",
            "> . 1:2(1)",
            "< . 1:1(0) ack 2 win 0",
            "> . ",
            "< . 1:1(0) ack 3 win 0",
        ],
    ),
    (
        "zero-window-3s",
        &[
            "10 < S. 0:0(0) ack 1 win 0",
            "< . 1:1(0) ack 2 win 0",
            "< . 1:1(0) ack 3 win 0",
            "< . 1:1(0) ack 4 win 32768",
        ],
    ),
    (
        "tiny-window",
        &[
            "10 < S. 0:0(0) ack 1 win 64",
            "> . 1:65(64)",
            "< P. 1:65(64)",
            "< P. 65:129(64)",
        ],
    ),
    ("mss-536", &["< S. 0:0(0) ack 1 win 65535 <mss 536,"]),
    (
        "no-options",
        &[
            "> S 0:0(0) win 65535 <mss",
            "! <nop",
            "! <mss",
            "10 < S. 0:0(0) ack 1 win 65535",
        ],
    ),
    (
        "data-lost-1",
        &[
            "20 > P. 1:73(72)",
            "! 30 < ",
            "1020 > P. 1:73(72)",
            "2030 < . 1:1461(1460)",
        ],
    ),
    (
        "data-reordered",
        &["30 < . 1461:", "30 < . 1:1461(1460)", "sack 1461:"],
    ),
    (
        "data-duplicated",
        &[
            "=2 < P. 1:1001(1000)",
            "=2 < P. 1001:2001(1000)",
            "=1 < P. 2001:",
        ],
    ),
    (
        "data-corrupted",
        &[
            "=1 [bad checksum]",
            "30 < . 1:1461(1460) ack 73 win 32768 [bad checksum]",
            "1030 < . 1:1461(1460)",
        ],
    ),
    (
        "slow-drip",
        &[
            "30 < P. 1:101(100)",
            "230 < P. 101:201(100)",
            "430 < P. 201:301(100)",
            "2030 < P. 1001:1101(100)",
        ],
    ),
    (
        "pmtu-blackhole",
        &[
            "> P. 1:73(72)",
            "! < P",
            "! < . 1:",
            "< . 1461:1461(0) ack 73",
        ],
    ),
    (
        "close-mid-data",
        &["< P. 1:301(300)", "< F. 301:301(0)", "! < P"],
    ),
    (
        "fin-lost-1",
        &[
            "70 > F. 73:73(0)",
            "1070 > F. 73:73(0)",
            "3080 < F. ",
            "=1 < F. ",
        ],
    ),
    (
        "fin-never",
        &["=1 > F. ", "70 > F. 73:73(0)", "< . ", "! < F", "! < R"],
    ),
    (
        "fin-ack-lost",
        &[
            "70 > F. 73:73(0)",
            "! 80 < ",
            "1070 > F. 73:73(0)",
            "1080 < F. ",
        ],
    ),
    (
        "fin-delayed-5s",
        &["70 > F. 73:73(0)", "80 < . ", "! 80 < F", "5080 < F. "],
    ),
    (
        "close-first",
        &["30 < . 1:1461(1460)", "50 < F. ", "60 > F. "],
    ),
    (
        "close-before-reply",
        &["30 < . 2:2(0) ack 73 ", "! < P", "130 < F. 1:1(0) ack "],
    ),
    (
        "rst-instead-of-fin",
        &["60 < P. 1461:", "70 > F. ", "< R. ", "=0 < F"],
    ),
    (
        "simultaneous-close",
        &[
            "60 < P. 1461:",
            "70 > F. ",
            "80 < F. ",
            "80 < . ",
            "90 > . ",
        ],
    ),
    (
        "half-close",
        &["30 < . 1:1461(1460)", "50 < F. ", "60 > F. "],
    ),
    (
        "time-wait-0",
        &["30 < . 1:1461(1460)", "50 < F. ", "60 > F. "],
    ),
];

#[test]
fn every_fault_is_on_the_wire_what_it_promises() {
    let promised: Vec<_> = PROMISES.iter().map(|(name, _)| *name).collect();
    let names: Vec<_> = catalogue::faults().map(|fault| fault.name).collect();
    assert_eq!(promised, names);
    for (fault, (name, expected)) in catalogue::faults().zip(PROMISES) {
        println!("{name}");
        shows(&Request::to(fault, V4).wire, expected);
    }
}

/// ICMP errors are soft for a client, which may go on.
const SOFT: [&str; 4] = [
    "net-unreachable",
    "host-unreachable",
    "port-unreachable",
    "prohibited",
];

#[test]
fn a_good_client_meets_what_is_expected() {
    for fault in catalogue::faults() {
        for network in [V4, V6] {
            let request = Request::to(fault, network);
            let expected = fault.expected;
            let name = fault.name;
            match &request.ended {
                None if SOFT.contains(&name) => {}
                None => assert_eq!(
                    (expected.outcome, expected.within),
                    (Outcome::Fails, None),
                    "{name}"
                ),
                Some((result, took)) => {
                    let within = expected
                        .within
                        .unwrap_or_else(|| panic!("{name}: {result:?}"));
                    assert!(*took <= within, "{name}: {took}");
                    match expected.outcome {
                        Outcome::Answers => assert!(result.is_ok(), "{name}: {result:?}"),
                        Outcome::Fails => assert!(result.is_err(), "{name}"),
                        Outcome::Either => {}
                    }
                }
            }
        }
    }
}

#[test]
fn closing_goes_through_the_states_that_are_promised() {
    use TcpState::{CloseWait, Closed, Closing, FinWait1, FinWait2, LastAck, TimeWait};
    #[track_caller]
    fn check(name: &str, expected: &[TcpState]) {
        let states = states(&Request::to(catalogue::find(name).unwrap(), V4).events);
        let from = states
            .iter()
            .position(|state| *state == TcpState::Established);
        assert_eq!(&states[from.unwrap() + 1..], expected, "{name}");
    }
    check("fin-never", &[CloseWait]);
    check("fin-ack-lost", &[CloseWait, LastAck, Closed]);
    check("close-before-reply", &[FinWait1, FinWait2, TimeWait]);
    check("rst-instead-of-fin", &[CloseWait, Closed]);
    check("simultaneous-close", &[FinWait1, Closing, TimeWait]);
}

#[test]
fn the_end_that_closes_first_is_the_one_in_time_wait() {
    use TcpState::{Closed, FinWait1, FinWait2, TimeWait};
    #[track_caller]
    fn check(name: &str, expected: &[TcpState]) {
        let mut rig = rig();
        let address = catalogue::find(name)
            .unwrap()
            .address_in(V4.parse().unwrap());
        // Daytime's client waits for the end of the line, which is FIN.
        rig.connect_to(address.unwrap(), 13, |conn| async move {
            conn.drain().await?;
            // So that the FIN does not carry the ACK of ours.
            conn.sleep(Duration::from_millis(100)).await;
            conn.close().await
        });
        rig.run(5);
        assert!(states(&rig.events()).ends_with(expected), "{name}");
    }
    check("close-first", &[FinWait1, FinWait2, TimeWait]);
    check("half-close", &[FinWait1, FinWait2, TimeWait]);
    check("time-wait-0", &[FinWait1, FinWait2, TimeWait, Closed]);
}

/// What a request with one small segment does not show.
#[test]
fn larger_segments_are_cut() {
    #[track_caller]
    fn check(name: &str, network: &str, largest: usize) {
        let mut rig = rig();
        let fault = catalogue::find(name).unwrap();
        let address = fault.address_in(network.parse().unwrap()).unwrap();
        rig.connect_to(address, 7, |conn| echo(conn, 5000));
        let wire = rig.run(5);
        let theirs = wire.iter().filter(|packet| !packet.ours);
        assert_eq!(
            theirs.map(Crossed::payload_len).max(),
            Some(largest),
            "{name}"
        );
        assert!(rig.sim.right().is_quiet());
    }
    check("mss-536", V4, 536);
    check("mss-536", V6, 536);
    check("no-options", V4, 536);
    check("iss-wrap", V4, 1460);
}

/// A server that has closed for good, and one that has closed its direction only.
#[test]
fn what_comes_after_a_close() {
    async fn goes_on(conn: Connection) -> io::Result<()> {
        conn.write_all(b"GET / HTTP/1.1\r\nHost: lab.test\r\n\r\n")
            .await?;
        conn.drain().await?;
        conn.write_all(b"more").await?;
        conn.sleep(Duration::from_secs(1)).await;
        conn.close().await
    }
    #[track_caller]
    fn check(name: &str, expected: &[&str]) {
        let mut rig = rig();
        let address = catalogue::find(name)
            .unwrap()
            .address_in(V4.parse().unwrap());
        rig.connect_to(address.unwrap(), 80, goes_on);
        shows(rig.run(3), expected);
    }
    check("close-first", &["< F. ", "> P. 35:39(4)", "< R. "]);
    check(
        "half-close",
        &[
            "< F. ",
            "> P. 35:39(4)",
            "< . ",
            "> F. 39:39(0)",
            "< . ",
            "! < R",
        ],
    );
}

#[test]
fn datagrams_are_refused_and_swallowed_too() {
    #[track_caller]
    fn check(name: &str, expected: &[&str]) {
        let mut rig = rig();
        let fault = catalogue::find(name).unwrap();
        let host = fault.address_in(V4.parse().unwrap()).unwrap();
        let now = rig.sim.now();
        let ask = |socket: tcplab::service::UdpSocket| async move {
            socket.send(b"hi");
            socket.recv().await.map(drop)
        };
        let peer = std::net::SocketAddr::new(host, 1111);
        rig.sim
            .left()
            .connect_udp(now, "ask", None, peer, ask)
            .unwrap();
        let lines = lines(rig.run(1));
        assert_eq!(lines, expected, "{name}");
    }
    check("iss-wrap", &["0 > udp (2)", "10 < udp (5)"]);
    check("blackhole", &["0 > udp (2)"]);
    check("refuse", &["0 > udp (2)", "10 < icmp port unreachable"]);
    check(
        "host-unreachable",
        &["0 > udp (2)", "10 < icmp host unreachable"],
    );
}
