use super::*;
use crate::engine::Config;
use crate::event::{Event, Limit, PanicSite, Transport};
use crate::fault::parse_rules;
use crate::segment::Flags;
use crate::service::Connection;
use crate::service::defect::{UdpDefect, defect};
use crate::service::echo::echo;
use crate::sim::{Side, Sim};
use smoltcp::time::Duration;
use std::io;
use std::net::SocketAddr;

const COUNT: u64 = 200;
/// The one that meets a defect.
const UNLUCKY: FlowId = FlowId(100);
const SERVER: &str = "192.0.2.2:7";

/// Two engines, each of which contains its defects and serves echo.
fn sim(trapped: Side, trapper: Option<Trapper>) -> Sim {
    let engine = |address: &str| {
        let mut engine = Engine::new(Config {
            contain_defects: Some(|| None),
            // Whenever a flow comes to rest, its socket is printed, buffers and all.
            buffer: 1024,
            time_wait: Duration::from_secs(5),
            user_timeout: Some(Duration::from_secs(60)),
            ..Config::new([address.parse().unwrap()])
        });
        engine.serve_tcp(7, "echo", echo);
        engine.serve_tcp(66, "defect", defect);
        engine.serve_udp(66, "defect", UdpDefect);
        engine
    };
    let mut sim = Sim::new(
        engine("192.0.2.1/24"),
        engine("192.0.2.2/24"),
        Duration::from_millis(5),
    );
    side(&mut sim, trapped).shared.trapper = trapper;
    sim
}

fn side(sim: &mut Sim, side: Side) -> &mut Engine {
    match side {
        Side::Left => sim.left(),
        Side::Right => sim.right(),
    }
}

/// Sends so much that it takes several turns, hears it again, and closes.
async fn talk(conn: Connection, seed: u8) -> io::Result<()> {
    for round in 0..3u8 {
        let said: Vec<u8> = (0..2500u32).map(|at| at as u8 ^ seed ^ round).collect();
        conn.write_all(&said).await?;
        let mut heard = Vec::new();
        while heard.len() < said.len() {
            let more = conn.read_up_to(said.len() - heard.len()).await?;
            if more.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            heard.extend_from_slice(&more);
        }
        assert_eq!(heard, said, "echo of {seed}");
    }
    conn.close().await
}

/// Lets 200 connections go on at once, and then 10 more.
fn run(sim: &mut Sim) -> Vec<(Side, Event)> {
    for (count, until) in [(COUNT, 100), (10, 200)] {
        let now = sim.now();
        for seed in 0..count {
            let client = move |conn| talk(conn, seed as u8);
            let peer = SERVER.parse().unwrap();
            let opened = sim.left().connect_tcp(now, "talk", None, peer, client);
            assert!(opened.is_ok() || side(sim, Side::Left).defects() > 0);
        }
        sim.run_until(Instant::from_secs(until));
    }
    std::iter::from_fn(|| sim.poll_event()).collect()
}

/// Everything is given back, and counts are those of nothing.
#[track_caller]
fn nothing_is_left(engine: &mut Engine) {
    assert_eq!((engine.flows.len(), engine.map.len()), (0, 0));
    assert_eq!((engine.places.len(), engine.half_open), (0, 0));
    assert_eq!((engine.line.len(), engine.occupancy.total()), (0, 0));
    assert_eq!(engine.shared.link.waiting_bytes(), 0);
    assert_eq!(engine.shared.room.len(), 1500);
    assert!(engine.is_quiet() && engine.defects.adrift.is_none());
}

/// How the flows of one side ended: how many well, and which badly.
fn endings(events: &[(Side, Event)], of: Side) -> (usize, Vec<(FlowId, Option<String>)>) {
    let mut bad = Vec::new();
    let mut good = 0;
    for (side, event) in events {
        if let (EventKind::Closed(closed), true, Some(id)) = (&event.kind, *side == of, event.flow)
        {
            match &closed.result {
                Some(Ok(())) => good += 1,
                Some(Err(why)) => bad.push((id, Some(why.clone()))),
                None => bad.push((id, None)),
            }
        }
    }
    (good, bad)
}

/// A trapper that goes off the `count`th time that `trap` is reached by the unlucky one.
fn nth(trap: Trap, count: u32) -> Trapper {
    let mut seen = 0;
    Box::new(move |at, flow| {
        seen += u32::from(at == trap && flow == Some(UNLUCKY));
        at == trap && flow == Some(UNLUCKY) && seen == count
    })
}

/// A trap in the server costs one of 200 connections, whose client hears `ending` of it.
#[track_caller]
fn check(trap: Trap, count: u32, ending: Option<&str>) {
    let mut sim = sim(Side::Right, Some(nth(trap, count)));
    let events = run(&mut sim);
    assert_eq!(sim.right().defects(), 1, "the trap is not reached");
    let (good, bad) = endings(&events, Side::Left);
    let bad: Vec<Option<&str>> = bad.iter().map(|(_, why)| why.as_deref()).collect();
    match ending {
        Some(why) => assert_eq!((good, bad), (COUNT as usize + 9, vec![Some(why)])),
        None => assert_eq!((good, bad), (COUNT as usize + 10, vec![])),
    }
    let (_, bad) = endings(&events, Side::Right);
    assert_eq!(bad, [(UNLUCKY, None)]);
    let of_unlucky =
        |(side, event): &&(Side, Event)| *side == Side::Right && event.flow == Some(UNLUCKY);
    let mut story = events
        .iter()
        .filter(of_unlucky)
        .map(|(_, event)| &event.kind);
    let defect = story.find_map(|kind| match kind {
        EventKind::Defect(defect) => Some(defect),
        _ => None,
    });
    let defect = defect.expect("a defect of that flow");
    assert_eq!(defect.ends.unwrap().local, SERVER.parse().unwrap());
    assert_eq!(defect.message, format!("a trap: {trap:?}"));
    assert!(!defect.packets.is_empty() && defect.packets.len() <= recorder::REPORTED);
    for head in &defect.packets {
        let (_, src, dst) = recorder::ends_of(&head.bytes).unwrap();
        assert!([src, dst].contains(&SERVER.parse().unwrap()));
        assert!([src, dst].contains(&defect.ends.unwrap().peer));
    }
    // What follows it: nothing but a reset, and the end.
    for kind in story {
        match kind {
            EventKind::Packet(packet) => {
                let segment = packet.described.tcp().unwrap();
                assert!(segment.flags.contains(Flags::RST) || packet.direction == Direction::In);
            }
            EventKind::Transition(transition) => assert_eq!(transition.to, TcpState::Closed),
            EventKind::Closed(_) => {}
            other => panic!("{other:?}"),
        }
    }
    nothing_is_left(sim.right());
    nothing_is_left(sim.left());
}

#[test]
fn a_defect_where_a_segment_arrives_costs_one_connection() {
    check(Trap::Arrival, 1, Some("connection refused"));
    for count in [2, 3, 5, 9] {
        check(Trap::Arrival, count, Some("connection reset"));
    }
}

#[test]
fn a_defect_where_a_segment_departs_costs_one_connection() {
    check(Trap::Departure, 1, Some("connection refused"));
    for count in [2, 3, 5, 9] {
        check(Trap::Departure, count, Some("connection reset"));
    }
}

#[test]
fn a_defect_where_a_state_is_entered_costs_one_connection() {
    check(
        Trap::State(TcpState::SynReceived),
        1,
        Some("connection refused"),
    );
    check(
        Trap::State(TcpState::Established),
        1,
        Some("connection reset"),
    );
    // The client has closed and doesn't hear how the other end takes it.
    check(Trap::State(TcpState::CloseWait), 1, None);
    check(Trap::State(TcpState::LastAck), 1, None);
    check(Trap::State(TcpState::Closed), 1, None);
}

/// In the end that opens and closes first: OPEN, TIME-WAIT, and its timer.
#[test]
fn a_defect_in_the_client_costs_one_connection() {
    use TcpState::{Closed, Established, FinWait1, FinWait2, SynSent, TimeWait};
    for state in [SynSent, Established, FinWait1, FinWait2, TimeWait, Closed] {
        let mut sim = sim(Side::Left, Some(nth(Trap::State(state), 1)));
        let events = run(&mut sim);
        assert_eq!(sim.left().defects(), 1, "{state}");
        let (good, bad) = endings(&events, Side::Left);
        assert_eq!((good, bad), (209, vec![(UNLUCKY, None)]), "{state}");
        // Each flow ends once.
        let count = |of: Side, wanted: fn(&EventKind) -> bool| {
            let these = events.iter().filter(|(side, _)| *side == of);
            these.filter(|(_, event)| wanted(&event.kind)).count()
        };
        let closed = |kind: &EventKind| matches!(kind, EventKind::Closed(_));
        assert_eq!(count(Side::Left, closed), 210, "{state}");
        assert_eq!(
            count(Side::Left, |kind| matches!(kind, EventKind::Defect(_))),
            1
        );
        nothing_is_left(sim.left());
        nothing_is_left(sim.right());
    }
}

/// Not even where the reset meets the next one, again and again.
#[test]
fn a_defect_in_what_is_done_about_a_defect_changes_nothing() {
    let mut armed = false;
    let trapper = move |trap, flow| {
        armed |= trap == Trap::State(TcpState::Established) && flow == Some(UNLUCKY);
        armed && flow == Some(UNLUCKY)
    };
    let mut sim = sim(Side::Right, Some(Box::new(trapper)));
    let events = run(&mut sim);
    assert_eq!(sim.right().defects(), 1);
    // No reset has left, but the next segment was answered with one.
    let (good, bad) = endings(&events, Side::Left);
    let why = Some("connection reset".to_owned());
    assert_eq!((good, bad), (209, vec![(UNLUCKY, why)]));
    nothing_is_left(sim.right());
}

#[test]
fn programs_and_datagram_services_cost_their_own_flow() {
    let mut sim = sim(Side::Right, None);
    let now = sim.now();
    let port_66 = SocketAddr::new("192.0.2.2".parse().unwrap(), 66);
    let shout = |conn: Connection| async move {
        conn.write_all(b"hello").await?;
        assert_eq!(conn.read_up_to(5).await?, b"hello");
        conn.write_all(b"hey!").await?;
        conn.read_up_to(1).await.map(drop)
    };
    sim.left()
        .connect_tcp(now, "shout", None, port_66, shout)
        .unwrap();
    for said in ["hello", "hey!", "hello again"] {
        let send = move |socket: crate::service::UdpSocket| async move {
            socket.send(said.as_bytes());
            if !said.contains('!') {
                assert_eq!(socket.recv().await?, said.as_bytes());
            }
            Ok(())
        };
        sim.left()
            .connect_udp(now, "send", None, port_66, send)
            .unwrap();
    }
    let events = run(&mut sim);
    assert_eq!(sim.right().defects(), 2);
    let (good, bad) = endings(&events, Side::Left);
    assert_eq!(good, 210 + 3);
    assert_eq!(bad, [(FlowId(1), Some("connection reset".to_owned()))]);
    let mut defects: Vec<_> = events
        .iter()
        .filter_map(|(_, event)| match &event.kind {
            EventKind::Defect(defect) => Some((defect.during, defect.ends.unwrap().transport)),
            _ => None,
        })
        .collect();
    defects.sort_by_key(|&(_, transport)| transport as u8);
    let expected = [
        (Activity::Turn, Transport::Tcp),
        (Activity::Packet, Transport::Udp),
    ];
    assert_eq!(defects, expected);
    nothing_is_left(sim.right());
}

/// Panics as it is dropped.
struct Grudge;

impl Drop for Grudge {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

#[test]
fn a_program_that_panics_as_it_is_dropped_costs_its_own_flow() {
    let mut arrivals = 0;
    let trapper = move |trap, flow| {
        let counts = trap == Trap::Arrival && flow == Some(FlowId(1));
        arrivals += u32::from(counts);
        counts && arrivals == 3
    };
    let mut sim = sim(Side::Right, Some(Box::new(trapper)));
    sim.right().serve_tcp(67, "grudge", |conn| async move {
        let _grudge = Grudge;
        conn.read_up_to(1).await.map(drop)
    });
    let now = sim.now();
    let peer = "192.0.2.2:67".parse().unwrap();
    let poke = |conn: Connection| async move {
        conn.write_all(b"x").await?;
        conn.read_up_to(1).await.map(drop)
    };
    sim.left()
        .connect_tcp(now, "poke", None, peer, poke)
        .unwrap();
    let events = run(&mut sim);
    assert_eq!(sim.right().defects(), 1);
    assert_eq!(
        endings(&events, Side::Right),
        (210, vec![(FlowId(1), None)])
    );
    let why = Some("connection reset".to_owned());
    assert_eq!(endings(&events, Side::Left), (210, vec![(FlowId(1), why)]));
    nothing_is_left(sim.right());
}

#[test]
fn a_defect_where_memory_is_given_back_costs_one_connection() {
    let mut config = Config::new(["192.0.2.2/24".parse().unwrap()]);
    config.contain_defects = Some(|| {
        let location = "somewhere".to_owned();
        let backtrace = None;
        Some(PanicSite {
            location,
            backtrace,
        })
    });
    config.release = Some(|_| panic!("no memory is given back"));
    let mut server = Engine::new(config);
    server.serve_tcp(7, "echo", echo);
    let client = Engine::new(Config::new(["192.0.2.1/24".parse().unwrap()]));
    let mut sim = Sim::new(client, server, Duration::from_millis(5));
    let talk = |conn: Connection| async move {
        conn.write_all(b"hello").await?;
        assert_eq!(conn.read_up_to(5).await?, b"hello");
        conn.read_up_to(1).await.map(drop)
    };
    let peer = SERVER.parse().unwrap();
    sim.left()
        .connect_tcp(Instant::ZERO, "talk", None, peer, talk)
        .unwrap();
    sim.run_until(Instant::from_secs(30));
    let events: Vec<_> = std::iter::from_fn(|| sim.poll_event()).collect();
    let (_, bad) = endings(&events, Side::Left);
    assert_eq!(bad, [(FlowId(1), Some("connection reset".to_owned()))]);
    let site = events.iter().find_map(|(_, event)| match &event.kind {
        EventKind::Defect(defect) => defect.site.clone(),
        _ => None,
    });
    assert_eq!(site.unwrap().location, "somewhere");
    nothing_is_left(sim.right());
}

/// What rules keep of a flow that is given up is dropped.
#[test]
fn nothing_waits_for_a_flow_that_is_given_up() {
    let rules = "hold out data\ndelay 1s in data #2";
    let mut config = Config::new(["192.0.2.2/24".parse().unwrap()]);
    config.contain_defects = Some(|| None);
    for rule in parse_rules(rules).unwrap() {
        config.rules.add(rule);
    }
    let mut server = Engine::new(config);
    server.serve_tcp(66, "defect", defect);
    let client = Engine::new(Config::new(["192.0.2.1/24".parse().unwrap()]));
    let mut sim = Sim::new(client, server, Duration::from_millis(5));
    let talk = |conn: Connection| async move {
        conn.write_all(b"hello").await?;
        conn.sleep(Duration::from_secs(2)).await;
        conn.write_all(b"!").await?;
        conn.read_up_to(1).await.map(drop)
    };
    let peer = "192.0.2.2:66".parse().unwrap();
    sim.left()
        .connect_tcp(Instant::ZERO, "talk", None, peer, talk)
        .unwrap();
    sim.run_until(Instant::from_secs(1));
    assert!(sim.right().shared.link.waiting_bytes() > 0);
    sim.run_until(Instant::from_secs(60));
    assert_eq!(sim.right().defects(), 1);
    let events: Vec<_> = std::iter::from_fn(|| sim.poll_event()).collect();
    let (_, bad) = endings(&events, Side::Left);
    assert_eq!(bad, [(FlowId(1), Some("connection reset".to_owned()))]);
    nothing_is_left(sim.right());
}

/// SYNs by the backlog, cookies, and what was half open count as before.
#[test]
fn the_backlog_is_counted_anew() {
    let mut sim = sim(Side::Right, None);
    let backlog = Config::new([]).backlog as u64;
    sim.right().shared.trapper = Some(Box::new(|trap, flow| {
        let odd = flow.is_some_and(|FlowId(number)| number % 2 == 1);
        odd && trap == Trap::State(TcpState::SynReceived)
    }));
    let now = sim.now();
    for seed in 0..COUNT {
        let peer = SERVER.parse().unwrap();
        let client = move |conn| talk(conn, seed as u8);
        sim.left()
            .connect_tcp(now, "talk", None, peer, client)
            .unwrap();
    }
    sim.run_until(Instant::from_secs(100));
    let events: Vec<_> = std::iter::from_fn(|| sim.poll_event()).collect();
    let limited =
        |(_, event): &&(Side, Event)| matches!(event.kind, EventKind::Limited(Limit::Backlog, _));
    // Each second one makes room at once.
    assert!(COUNT > backlog && events.iter().filter(limited).count() == 0);
    let (good, bad) = endings(&events, Side::Left);
    assert_eq!((good, bad.len()), (100, 100));
    assert_eq!(sim.right().defects(), 100);
    nothing_is_left(sim.right());
}

#[test]
#[should_panic(expected = "a trap: Arrival")]
fn without_containment_it_panics() {
    let mut config = Config::new(["192.0.2.2/24".parse().unwrap()]);
    config.contain_defects = None;
    let mut engine = Engine::new(config);
    engine.shared.trapper = Some(Box::new(|trap, _| trap == Trap::Arrival));
    engine.handle_packet(Instant::ZERO, &mut [0; 20]);
}
