//! Rules that nothing falls under change nothing.

use smoltcp::time::{Duration, Instant};
use std::collections::VecDeque;
use tcplab::engine::{Config, Engine};
use tcplab::fault::{RuleSet, parse_rules};

/// All that two engines with all services say to each other, byte for byte, with the time; the server has these rules.
fn wire(rules: RuleSet) -> Vec<(Instant, usize, Vec<u8>)> {
    const LATENCY: Duration = Duration::from_millis(7);
    let config = |prefixes: [&str; 2], rules| Config {
        rules,
        ..Config::new(prefixes.map(|prefix| prefix.parse().unwrap()))
    };
    let client = Engine::new(config(["192.0.2.1/24", "2001:db8::1/64"], RuleSet::new()));
    let mut server = Engine::new(config(["192.0.2.2/24", "2001:db8::2/64"], rules));
    server.serve_standard("123");
    let mut engines = [client, server];
    for host in ["192.0.2.2", "[2001:db8::2]"] {
        for port in [1111, 7, 9, 13, 19, 80, 4] {
            let peer = format!("{host}:{port}").parse().unwrap();
            let opened =
                engines[0].connect_tcp(Instant::ZERO, "client", None, peer, |conn| async move {
                    conn.write_all(&[b'1'; 5_000]).await?;
                    conn.read_up_to(100).await?;
                    conn.close().await?;
                    conn.read_up_to(10_000).await?;
                    Ok(())
                });
            opened.unwrap();
        }
    }

    let (mut now, mut under_way, mut said) = (Instant::ZERO, VecDeque::new(), Vec::new());
    let mut buf = [0; 1500];
    loop {
        for (side, engine) in engines.iter_mut().enumerate() {
            engine.handle_timeout(now);
            while let Some(transmit) = engine.poll_transmit(now, &mut buf) {
                let packet = buf[..transmit.len].to_vec();
                // Every seventh gets lost.
                if said.len() % 7 != 6 {
                    under_way.push_back((now + LATENCY, 1 - side, packet.clone()));
                }
                said.push((now, side, packet));
            }
            while engine.poll_event().is_some() {}
        }
        let due = under_way.front().map(|(at, _, _)| *at);
        let next = engines
            .iter()
            .filter_map(|engine| engine.poll_timeout())
            .chain(due)
            .min();
        let Some(next) = next.filter(|&next| next < Instant::from_secs(60) && said.len() < 20_000)
        else {
            return said;
        };
        now = now.max(next);
        if due.is_some_and(|due| due <= now)
            && let Some((_, side, mut packet)) = under_way.pop_front()
        {
            engines[side].handle_packet(now, &mut packet);
        }
    }
}

#[test]
fn rules_that_nothing_falls_under_change_no_byte() {
    let plain = wire(RuleSet::new());
    assert!(plain.len() > 500, "only {} packets", plain.len());
    let texts = "drop any size>9000\n conn 1000..: drop\n port 5: hold\n host 192.0.2.9: silence\n peer 192.0.2.7: reset\n\
        delay 1s in SYN #100..\n edit out data after 2min ttl=1\n reset at SYN-SENT\n drop out data while TIME-WAIT\n\
        conn 1000..: set iss=1 buffer=64 close=reset\n pass any\n drop any";
    let mut rules = RuleSet::new();
    for rule in parse_rules(texts).unwrap() {
        rules.add(rule);
    }
    rules.add_at("192.0.2.77".parse().unwrap(), "drop any".parse().unwrap());
    let with_rules = wire(rules);
    // Not assert_eq, which would print all of it.
    let differs = plain
        .iter()
        .zip(&with_rules)
        .position(|(plain, other)| plain != other);
    assert_eq!((differs, with_rules.len()), (None, plain.len()));
}
