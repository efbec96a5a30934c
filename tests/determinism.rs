//! Same inputs, same bytes out; another seed, other numbers.

use smoltcp::time::{Duration, Instant};
use std::fmt::Write;
use tcplab::engine::{Config, Engine};
use tcplab::event::{Direction, EventKind};
use tcplab::segment::{Flags, SeqNumber};
use tcplab::sim::{Sim, random_loss};

/// What a lossy hour between clients and all services leaves behind: the text of all events, which hold all packets.
fn story(seed: u64, loss_seed: u64) -> (String, Vec<SeqNumber>) {
    let engine = |prefix: &str| {
        let mut config = Config::new([prefix.parse().unwrap()]);
        config.seed = seed;
        Engine::new(config)
    };
    let mut server = engine("192.0.2.2/24");
    server.serve_standard("123");
    let mut sim = Sim::new(engine("192.0.2.1/24"), server, Duration::from_millis(5));
    sim.lose(random_loss(10, loss_seed));
    for port in [1111, 7, 9, 13, 19, 4] {
        for _ in 0..3 {
            let peer = format!("192.0.2.2:{port}").parse().unwrap();
            let now = sim.now();
            let opened = sim
                .left()
                .connect_tcp(now, "client", None, peer, |conn| async move {
                    conn.write_all(&[b'1'; 5_000]).await?;
                    conn.read_up_to(100).await?;
                    conn.sleep(Duration::from_millis(300)).await;
                    conn.close().await?;
                    conn.drain().await
                });
            opened.unwrap();
        }
    }
    sim.run_until(Instant::from_secs(30));
    let (mut text, mut initial) = (String::new(), Vec::new());
    while let Some((side, event)) = sim.poll_event() {
        if let EventKind::Packet(packet) = &event.kind
            && let Some(segment) = packet.described.tcp()
            && packet.direction == Direction::Out
            && segment.flags.contains(Flags::SYN)
            && !packet.retransmission
        {
            initial.push(segment.seq);
        }
        writeln!(text, "{side:?} {event:?}").unwrap();
    }
    (text, initial)
}

#[test]
fn the_same_seeds_make_the_same_events_and_bytes() {
    let (one, initial) = story(7, 1);
    let (other, _) = story(7, 1);
    assert!(one == other, "two runs with the same seeds differ");
    assert!(initial.len() > 18, "only {} SYNs", initial.len());
    let (lost_otherwise, _) = story(7, 2);
    assert!(one != lost_otherwise, "the loss had no effect");
}

#[test]
fn another_seed_makes_other_initial_sequence_numbers() {
    let (_, one) = story(7, 1);
    let (_, other) = story(8, 1);
    assert!(one.iter().all(|number| !other.contains(number)));
}
