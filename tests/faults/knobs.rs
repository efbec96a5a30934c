//! Each knob has a test that looks at the wire.

use super::wire::{Crossed, Rig, echo, http, lines};
use smoltcp::time::Duration;
use std::collections::BTreeMap;
use std::io;
use tcplab::engine::Command;
use tcplab::event::EventKind;
use tcplab::fault::{Action, BacklogFull, Closing, Knobs, Reading, Rule, RuleSet, Scope, Writing};
use tcplab::segment::{Flags, SeqNumber};
use tcplab::service::Connection;
use tcplab::state::TcpState;

/// A server for which these knobs are set.
fn rig(knobs: Knobs) -> Rig {
    Rig::new(set(knobs))
}

fn set(knobs: Knobs) -> RuleSet {
    let mut rules = RuleSet::new();
    rules.add(Rule {
        text: "set".to_owned(),
        scope: Scope::default(),
        action: Action::Set(knobs),
    });
    rules
}

fn ours(wire: &[Crossed]) -> impl Iterator<Item = &Crossed> {
    wire.iter().filter(|packet| packet.ours)
}

#[test]
fn iss_is_the_one_asked_for_and_may_wrap_around() {
    for iss in [0, 1, u32::MAX, u32::MAX - 20] {
        let mut rig = rig(Knobs {
            iss: Some(iss),
            ..Knobs::default()
        });
        rig.connect(7, |conn| echo(conn, 5000));
        let wire = rig.run(5);
        let syn_ack = ours(wire).next().unwrap();
        assert_eq!(syn_ack.segment().unwrap().seq, SeqNumber(iss));
        let fin = ours(wire).find(|packet| packet.has(Flags::FIN)).unwrap();
        assert_eq!(fin.segment().unwrap().seq, SeqNumber(iss) + 5001);
        assert_eq!(
            wire.last().unwrap().segment().unwrap().ack,
            SeqNumber(iss) + 5002
        );
        assert!(rig.sim.right().is_quiet());
    }
}

#[test]
fn iss_of_an_active_open() {
    let mut config = Rig::server();
    config.rules = set(Knobs {
        iss: Some(u32::MAX),
        ..Knobs::default()
    });
    let mut rig = Rig::with(config);
    rig.sim
        .left()
        .serve_tcp(99, "discard", tcplab::service::discard::discard);
    let (now, peer) = (rig.sim.now(), "192.0.2.1:99".parse().unwrap());
    let talk = |conn: Connection| async move {
        conn.write_all(b"hello").await?;
        conn.close().await
    };
    rig.sim
        .right()
        .connect_tcp(now, "talk", None, peer, talk)
        .unwrap();
    let wire = rig.run(5);
    let syn = ours(wire).next().unwrap().segment().unwrap();
    assert_eq!((syn.flags, syn.seq), (Flags::SYN, SeqNumber(u32::MAX)));
    let data = ours(wire).find(|packet| packet.payload_len() > 0).unwrap();
    assert_eq!(data.segment().unwrap().seq, SeqNumber(0));
}

#[test]
fn buffer_is_the_largest_window() {
    let mut rig = rig(Knobs {
        buffer: Some(100),
        ..Knobs::default()
    });
    rig.connect(7, |conn| echo(conn, 1000));
    let wire = rig.run(30);
    let windows = ours(wire).map(|packet| packet.segment().unwrap().window);
    assert_eq!(windows.max(), Some(100), "{:#?}", lines(wire));
    let largest = wire.iter().map(Crossed::payload_len).max();
    assert_eq!(largest, Some(100));
    assert!(rig.sim.right().is_quiet());
}

#[test]
fn a_socket_with_a_buffer_of_its_own_is_no_others() {
    let mut rules = RuleSet::new();
    rules.add(Rule {
        text: "conn 1: set buffer=100".to_owned(),
        scope: Scope {
            connections: Some(1..=1),
            ..Scope::default()
        },
        action: Action::Set(Knobs {
            buffer: Some(100),
            ..Knobs::default()
        }),
    });
    let mut rig = Rig::new(rules);
    for expected in [100, 65_535] {
        rig.connect(7, |conn| echo(conn, 10));
        let wire = rig.run(5);
        let syn_ack = ours(wire).filter(|packet| packet.has(Flags::SYN)).last();
        assert_eq!(syn_ack.unwrap().segment().unwrap().window, expected);
    }
}

#[test]
fn a_full_backlog_is_silent_or_resets() {
    #[track_caller]
    fn check(knobs: Knobs, expected: &[&str]) {
        let mut rig = rig(knobs);
        rig.connect(7, |conn| echo(conn, 1));
        let wire = rig.run(2);
        let lines = lines(wire);
        let found: Vec<_> = lines
            .iter()
            .map(|line| line.split(" win").next().unwrap())
            .collect();
        assert_eq!(found, expected);
    }
    let full = Knobs {
        backlog: Some(0),
        ..Knobs::default()
    };
    check(full, &["0 > S 0:0(0)", "1000 > S 0:0(0)"]);
    let reset = Knobs {
        backlog_full: Some(BacklogFull::Reset),
        ..full
    };
    check(reset, &["0 > S 0:0(0)", "10 < R. 0:0(0) ack 1"]);
}

#[test]
fn a_backlog_counts_the_half_open_connections_of_its_address() {
    let mut rules = RuleSet::new();
    rules.add_at(
        "192.0.2.50".parse().unwrap(),
        Rule {
            text: "set backlog=2".to_owned(),
            scope: Scope::default(),
            action: Action::Set(Knobs {
                backlog: Some(2),
                ..Knobs::default()
            }),
        },
    );
    let mut rig = Rig::new(rules);
    // Clients that say nothing after their SYN.
    rig.sim
        .lose(|crossing| crossing.from == tcplab::sim::Side::Right);
    for host in ["192.0.2.50", "192.0.2.51"] {
        for _ in 0..4 {
            rig.connect_to(host.parse().unwrap(), 7, |conn| echo(conn, 1));
        }
    }
    rig.run(1);
    let events = rig.events();
    let hosts: BTreeMap<_, _> = events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Opened(opened) => Some((event.flow, opened.local.ip().to_string())),
            _ => None,
        })
        .collect();
    let begun = |host: &str| {
        let begins = events.iter().filter(|event| match &event.kind {
            EventKind::Transition(to) => {
                to.to == TcpState::SynReceived && hosts[&event.flow] == host
            }
            _ => false,
        });
        begins.count()
    };
    assert_eq!((begun("192.0.2.50"), begun("192.0.2.51")), (2, 4));
}

#[test]
fn time_wait_lasts_as_long_as_it_is_told() {
    #[track_caller]
    fn check(time_wait: u64, reply_to_a_late_fin: &str) {
        let mut rig = rig(Knobs {
            time_wait: Some(Duration::from_secs(time_wait)),
            ..Knobs::default()
        });
        // Daytime closes first, so its end is the one in TIME-WAIT.
        rig.connect(13, read_all);
        rig.run(5);
        let wire = rig.run(0).to_vec();
        let fin = wire
            .iter()
            .find(|packet| !packet.ours && packet.has(Flags::FIN))
            .unwrap();
        let (from, to) = fin.described.endpoints().unwrap();
        let segment = fin.segment().unwrap();
        let again = crate::support::Forged::new(
            from,
            to,
            crate::support::FIN | crate::support::ACK,
            segment.seq.0,
            segment.ack.0,
        );
        rig.sim.inject(tcplab::sim::Side::Right, again.packet());
        let before = wire.len();
        let all = rig.run(1);
        let new: Vec<_> = lines(all)[before..].to_vec();
        assert!(new[0].contains(reply_to_a_late_fin), "{new:#?}");
    }
    check(0, "< R ");
    check(60, "< . ");
}

#[test]
fn acknowledgments_wait_as_long_as_they_are_told() {
    #[track_caller]
    fn check(delay: u64) {
        let mut rig = rig(Knobs {
            ack_delay: Some(Duration::from_millis(delay)),
            ..Knobs::default()
        });
        rig.connect(9, |conn| async move {
            conn.sleep(Duration::from_secs(1)).await;
            conn.write_all(b"one").await?;
            conn.sleep(Duration::from_secs(5)).await;
            conn.close().await
        });
        let wire = rig.run(3);
        let data = wire.iter().find(|packet| packet.payload_len() > 0).unwrap();
        let ack = ours(wire).find(|packet| packet.at > data.at).unwrap();
        assert_eq!(ack.at - data.at, 10 + delay as i64, "{:#?}", lines(wire));
    }
    check(0);
    check(40);
    check(300);
}

#[test]
fn small_segments_wait_unless_nagle_is_off() {
    #[track_caller]
    fn check(nagle: bool, expected: bool) {
        let mut rig = rig(Knobs {
            nagle: Some(nagle),
            writing: Some(Writing {
                bytes: 1,
                pause: Duration::from_millis(1),
            }),
            ..Knobs::default()
        });
        rig.connect(13, read_all);
        let wire = rig.run(5);
        let all_small = data(wire).iter().all(|&(_, len)| len == 1);
        assert_eq!(all_small, expected, "{:#?}", lines(wire));
    }
    check(true, false);
    check(false, true);
}

#[test]
fn closing_at_once_comes_before_any_answer() {
    let mut rig = rig(closing(Closing::AtOnce));
    rig.connect(80, http);
    let wire = rig.run(5);
    assert!(data(wire).is_empty(), "{:#?}", lines(wire));
    let fin = ours(wire).find(|packet| packet.has(Flags::FIN)).unwrap();
    assert_eq!(fin.at, 30, "{:#?}", lines(wire));
    // What the client sends is acknowledged all the same.
    let request: usize = wire
        .iter()
        .filter(|packet| !packet.ours)
        .map(Crossed::payload_len)
        .sum();
    assert!(request > 0);
    assert_eq!(states(&mut rig).last(), Some(&TcpState::TimeWait));
}

#[test]
fn closing_first_lets_the_answer_out_and_reads_on() {
    let mut rig = rig(closing(Closing::First));
    rig.connect(1111, |conn| async move {
        let prompt = conn.read_up_to(1024).await?;
        assert!(!prompt.is_empty());
        assert_eq!(conn.read_up_to(1).await?, b"");
        // Our end is closed, the other is not.
        conn.write_all(b"123").await?;
        conn.sleep(Duration::from_secs(1)).await;
        conn.close().await
    });
    let wire = rig.run(5);
    let fins: Vec<_> = wire
        .iter()
        .filter(|packet| packet.has(Flags::FIN))
        .map(|packet| packet.ours)
        .collect();
    assert_eq!(fins, [true, false], "{:#?}", lines(wire));
    assert_eq!(data(wire).len(), 1);
    let last = ours(wire).last().unwrap().segment().unwrap();
    let client_fin = wire
        .iter()
        .rfind(|packet| !packet.ours && packet.has(Flags::FIN))
        .unwrap();
    assert_eq!(last.ack, client_fin.segment().unwrap().end());
}

/// The client can't close in between: FIN comes with the last of what it waits for.
#[test]
fn closing_with_data_lets_fin_ride_on_it() {
    let mut rig = rig(closing(Closing::WithData));
    rig.connect(1111, |conn| async move {
        let prompt = conn.read_up_to(1024).await?;
        assert!(!prompt.is_empty());
        conn.close().await
    });
    let wire = rig.run(5);
    let last = wire
        .iter()
        .rfind(|packet| packet.ours && packet.payload_len() > 0);
    let last = last.unwrap();
    assert!(last.has(Flags::FIN), "{:#?}", lines(wire));
    let fins: Vec<_> = wire
        .iter()
        .filter(|packet| packet.has(Flags::FIN))
        .map(|packet| packet.ours)
        .collect();
    assert_eq!(fins, [true, false], "{:#?}", lines(wire));
}

/// A SYN that comes again is answered at once; without one our timer waits as long as it is told.
#[test]
fn a_syn_ack_waits_as_long_as_it_is_told() {
    #[track_caller]
    fn check(retry: Option<u64>, expected: &[i64]) {
        let mut rules = set(Knobs {
            syn_ack_retry: retry.map(Duration::from_millis),
            ..Knobs::default()
        });
        for rule in ["drop out SYN-ACK #1..2", "drop in SYN #2.."] {
            rules.add(rule.parse().unwrap());
        }
        let mut rig = Rig::new(rules);
        rig.connect(13, read_all);
        let wire = rig.run(20);
        let syn_acks = ours(wire).filter(|packet| packet.has(Flags::SYN));
        let at: Vec<i64> = syn_acks.map(|packet| packet.at).collect();
        assert_eq!(at, expected, "{:#?}", lines(wire));
    }
    // The first two are lost.
    check(None, &[3010]);
    check(Some(500), &[3010]);
    check(Some(1500), &[3510]);
}

#[test]
fn closing_never_leaves_the_client_alone_with_its_fin() {
    let mut rig = rig(closing(Closing::Never));
    rig.connect(7, |conn| echo(conn, 5));
    let wire = rig.run(50);
    assert!(!ours(wire).any(|packet| packet.has(Flags::FIN) || packet.has(Flags::RST)));
    let fin = wire.iter().find(|packet| packet.has(Flags::FIN)).unwrap();
    let last = ours(wire).last().unwrap().segment().unwrap();
    assert_eq!(last.ack, fin.segment().unwrap().end());
    assert_eq!(states(&mut rig).last(), Some(&TcpState::CloseWait));
    // It can be ended by hand.
    let now = rig.sim.now();
    rig.sim.right().handle_command(now, Command::AbortAll);
    rig.run(1);
    assert!(rig.sim.right().is_quiet());
}

#[test]
fn closing_with_a_reset() {
    let mut rig = rig(closing(Closing::Reset));
    rig.connect(13, |conn| async move {
        let mut line = Vec::new();
        let end = loop {
            match conn.read_up_to(1024).await {
                Ok(part) if part.is_empty() => break None,
                Ok(part) => line.extend(part),
                Err(error) => break Some(error.kind()),
            }
        };
        assert!(line.ends_with(b"UTC\r\n"));
        assert_eq!(end, Some(io::ErrorKind::ConnectionReset));
        Ok(())
    });
    let wire = rig.run(5);
    assert!(!wire.iter().any(|packet| packet.has(Flags::FIN)));
    assert!(
        ours(wire).last().unwrap().has(Flags::RST),
        "{:#?}",
        lines(wire)
    );
    assert!(!data(wire).is_empty());
    assert!(rig.sim.right().is_quiet());
}

#[test]
fn nobody_reads() {
    let mut rig = rig(Knobs {
        reading: Some(Reading::Never),
        buffer: Some(1000),
        ..Knobs::default()
    });
    rig.connect(7, |conn| echo(conn, 5000));
    let wire = rig.run(30);
    let last = ours(wire).last().unwrap().segment().unwrap();
    assert_eq!(last.window, 0, "{:#?}", lines(wire));
    assert!(data(wire).is_empty());
    // The client's probes are answered.
    let probed =
        ours(wire).filter(|packet| packet.at > 5000 && packet.segment().unwrap().window == 0);
    assert!(probed.count() > 1, "{:#?}", lines(wire));
}

#[test]
fn nobody_reads_before_time() {
    let mut rig = rig(Knobs {
        reading: Some(Reading::After(Duration::from_secs(3))),
        buffer: Some(1000),
        ..Knobs::default()
    });
    rig.connect(7, |conn| echo(conn, 5000));
    let wire = rig.run(30);
    let opens = ours(wire).find(|packet| packet.at > 100 && packet.segment().unwrap().window > 0);
    // The handshake is complete after three times the latency.
    assert_eq!(opens.unwrap().at, 3030, "{:#?}", lines(wire));
    let echoed: usize = data(wire).iter().map(|(_, len)| len).sum();
    assert_eq!(echoed, 5000);
    assert!(rig.sim.right().is_quiet());
}

#[test]
fn nobody_reads_for_a_program_that_is_over() {
    let mut rig = rig(Knobs {
        reading: Some(Reading::After(Duration::from_secs(3))),
        buffer: Some(100),
        ..Knobs::default()
    });
    // Daytime does not read at all.
    rig.connect(13, |conn| async move {
        conn.write_all(&[0; 500]).await?;
        conn.drain().await?;
        conn.close().await
    });
    let wire = rig.run(20);
    let shut = ours(wire).filter(|packet| packet.at < 3000).last().unwrap();
    assert_eq!(shut.segment().unwrap().window, 0, "{:#?}", lines(wire));
    let sent: usize = wire
        .iter()
        .filter(|packet| !packet.ours)
        .map(Crossed::payload_len)
        .sum();
    assert!(sent >= 500, "{:#?}", lines(wire));
}

#[test]
fn what_is_written_drips() {
    let mut rig = rig(Knobs {
        writing: Some(Writing {
            bytes: 10,
            pause: Duration::from_millis(500),
        }),
        ..Knobs::default()
    });
    rig.connect(13, read_all);
    let wire = rig.run(30);
    let data = data(wire);
    assert!(data.len() > 3, "{:#?}", lines(wire));
    for (number, &(at, len)) in data.iter().enumerate() {
        assert_eq!(at, 30 + 500 * number as i64);
        assert!(len == 10 || number + 1 == data.len());
    }
    // The FIN follows the last of it.
    assert!(ours(wire).any(|packet| packet.has(Flags::FIN)));
}

#[test]
fn later_connections_are_as_always() {
    let knobs = Knobs {
        ack_delay: Some(Duration::ZERO),
        nagle: Some(false),
        ..closing(Closing::First)
    };
    let mut rules = RuleSet::new();
    rules.add(Rule {
        text: "conn 1: set".to_owned(),
        scope: Scope {
            connections: Some(1..=1),
            ..Scope::default()
        },
        action: Action::Set(knobs),
    });
    let (mut with, mut without) = (Rig::new(rules), Rig::new(RuleSet::new()));
    for rig in [&mut with, &mut without] {
        for _ in 0..2 {
            rig.connect(7, |conn| echo(conn, 5000));
            rig.run(100);
        }
    }
    let second = |rig: &mut Rig| {
        let lines = lines(rig.run(0));
        let at = lines
            .iter()
            .rposition(|line| line.contains("> S "))
            .unwrap();
        lines[at..].to_vec()
    };
    assert_eq!(second(&mut with), second(&mut without));
}

fn closing(closing: Closing) -> Knobs {
    Knobs {
        closing: Some(closing),
        ..Knobs::default()
    }
}

async fn read_all(conn: Connection) -> io::Result<()> {
    conn.drain().await?;
    conn.close().await
}

/// When the server has sent data, and how much.
fn data(wire: &[Crossed]) -> Vec<(i64, usize)> {
    let data = ours(wire).filter(|packet| packet.payload_len() > 0);
    data.map(|packet| (packet.at, packet.payload_len()))
        .collect()
}

/// The states that the server's end was in.
fn states(rig: &mut Rig) -> Vec<TcpState> {
    let states = rig
        .events()
        .into_iter()
        .filter_map(|event| match event.kind {
            EventKind::Transition(transition) => Some(transition.to),
            _ => None,
        });
    states.collect()
}
