//! Much data, many connections, and a wire that loses packets: every byte arrives, in order, in bounded time.

mod support;

use smoltcp::time::{Duration, Instant};
use std::cell::Cell;
use std::io;
use std::rc::Rc;
use support::Forged;
use tcplab::engine::{Config, Engine};
use tcplab::event::{EventKind, Fate, Watch};
use tcplab::fault::parse_rules;
use tcplab::segment::{Checksum, describe_offloaded};
use tcplab::service::{self, Connection, race};
use tcplab::sim::{Sim, random_loss};

const MEBIBYTE: usize = 1 << 20;

/// Bytes that repeat only after a long time, other ones for each `stream`.
fn pattern(stream: usize, at: usize) -> u8 {
    let mixed = (at + stream * 7919).wrapping_mul(2_654_435_761);
    (mixed >> 13) as u8
}

/// Sends `count` bytes to an echo service and checks each byte that comes back, at the same time.
async fn check_echo(conn: Connection, stream: usize, count: usize) -> io::Result<()> {
    let data: Vec<u8> = (0..count).map(|at| pattern(stream, at)).collect();
    let send = async {
        conn.write_all(&data).await?;
        conn.close().await?;
        std::future::pending().await
    };
    let receive = async {
        let mut at = 0;
        loop {
            let arrived = conn.read_up_to(64 * 1024).await?;
            if arrived.is_empty() {
                assert_eq!(at, count, "stream {stream} ended early");
                return Ok(());
            }
            assert!(data[at..].starts_with(&arrived), "stream {stream} at {at}");
            at += arrived.len();
        }
    };
    race(send, receive).await
}

fn echo_pair(prefixes: [&str; 2], config: fn(&mut Config)) -> Sim {
    let [left, right] = prefixes.map(|prefix| {
        let mut settings = Config::new([prefix.parse().unwrap()]);
        settings.watch = Watch::Nothing;
        config(&mut settings);
        let mut engine = Engine::new(settings);
        engine.serve_tcp(7, "echo", service::echo::echo);
        engine
    });
    Sim::new(left, right, Duration::from_millis(10))
}

/// Lets `streams` connections echo `count` bytes each; all must be done within `limit`.
#[track_caller]
fn check(mut sim: Sim, peer: &str, streams: usize, count: usize, limit: Duration) {
    let done = Rc::new(Cell::new(0));
    for stream in 0..streams {
        let (done, now) = (Rc::clone(&done), sim.now());
        let client = move |conn| async move {
            check_echo(conn, stream, count).await.unwrap();
            done.set(done.get() + 1);
            Ok(())
        };
        let opened = sim
            .left()
            .connect_tcp(now, "bulk", None, peer.parse().unwrap(), client);
        opened.unwrap();
    }
    sim.run_until(Instant::ZERO + limit);
    assert_eq!(done.get(), streams, "not done within {limit}");
}

const V4: ([&str; 2], &str) = (["192.0.2.1/24", "192.0.2.2/24"], "192.0.2.2:7");
const V6: ([&str; 2], &str) = (["2001:db8::1/64", "2001:db8::2/64"], "[2001:db8::2]:7");

#[test]
fn a_mebibyte_is_echoed_intact() {
    for (prefixes, peer) in [V4, V6] {
        let sim = echo_pair(prefixes, |_| {});
        check(sim, peer, 1, MEBIBYTE, Duration::from_secs(5));
    }
}

#[test]
fn a_mebibyte_is_echoed_intact_though_packets_get_lost() {
    for (prefixes, peer) in [V4, V6] {
        for seed in 0..4 {
            let mut sim = echo_pair(prefixes, |_| {});
            sim.lose(random_loss(5, seed));
            check(sim, peer, 1, MEBIBYTE, Duration::from_secs(600));
        }
    }
}

#[test]
fn five_hundred_connections_at_once_are_echoed_intact() {
    let sim = echo_pair(V4.0, |config| {
        config.backlog = 500;
        config.buffer = 16 * 1024;
    });
    check(sim, V4.1, 500, 20_000, Duration::from_secs(30));
}

/// The SYNs that the backlog has no room for come again.
#[test]
fn more_connections_than_the_backlog_has_room_for_get_their_turn() {
    let sim = echo_pair(V4.0, |config| {
        config.backlog = 20;
        config.buffer = 16 * 1024;
    });
    check(sim, V4.1, 100, 2_000, Duration::from_secs(60));
}

/// A sender that never pauses has something unacknowledged at all times, and is acknowledged all the time.
#[test]
fn the_user_timeout_spares_a_connection_that_makes_progress() {
    let sim = echo_pair(V4.0, |config| {
        config.user_timeout = Some(Duration::from_millis(300));
        config.buffer = 4 * 1024;
    });
    check(sim, V4.1, 1, MEBIBYTE, Duration::from_secs(60));
}

/// With offload: packets of up to 64 KiB, whose checksums nobody has computed, and no difference otherwise.
#[test]
fn large_packets_are_echoed_intact() {
    let offload = |config: &mut Config| config.offload = true;
    for (prefixes, peer) in [V4, V6] {
        let sim = echo_pair(prefixes, offload);
        check(sim, peer, 1, 4 * MEBIBYTE, Duration::from_secs(20));
        for seed in 0..4 {
            let mut sim = echo_pair(prefixes, offload);
            sim.lose(random_loss(5, seed));
            check(sim, peer, 1, MEBIBYTE, Duration::from_secs(600));
        }
    }
}

/// What rules make of large packets: nothing of one that is changed is left to the device, which would put it right.
#[test]
fn rules_apply_to_large_packets() {
    for rule in [
        "drop out data times 3",
        "delay 30ms in data times 9",
        "duplicate out data times 9",
        "reorder in data times 3",
        "edit out data ttl=7",
        "edit in data checksum=bad times 3",
        "edit out data checksum=bad times 3",
    ] {
        for (prefixes, peer) in [V4, V6] {
            let mut sim = echo_pair(prefixes, |config| {
                config.offload = true;
                config.watch = Watch::Everything;
            });
            let mut config = Config::new([prefixes[1].parse().unwrap()]);
            config.offload = true;
            let rules = parse_rules(rule).unwrap_or_else(|wrong| panic!("{rule}: {wrong:?}"));
            for rule in rules {
                config.rules.add(rule);
            }
            *sim.right() = Engine::new(config);
            sim.right().serve_tcp(7, "echo", service::echo::echo);
            check(sim, peer, 1, MEBIBYTE, Duration::from_secs(600));
        }
    }
}

#[test]
fn large_packets_are_told_as_large_as_they_are() {
    for (prefixes, peer, mss) in [(V4.0, V4.1, 1460), (V6.0, V6.1, 1440)] {
        let mut sim = echo_pair(prefixes, |config| {
            config.offload = true;
            config.watch = Watch::Everything;
        });
        let data = vec![b'x'; MEBIBYTE];
        let client = move |conn: Connection| async move { conn.write_all(&data).await };
        let (now, peer) = (sim.now(), peer.parse().unwrap());
        sim.left()
            .connect_tcp(now, "bulk", None, peer, client)
            .unwrap();
        sim.run_until(Instant::from_secs(5));
        let mut longest = 0;
        while let Some((_, event)) = sim.poll_event() {
            let EventKind::Packet(packet) = event.kind else {
                continue;
            };
            assert_eq!(packet.fate, Fate::Delivered);
            let segment = packet.described.tcp().expect("a segment");
            assert!(segment.checksum_ok);
            // The wire behind the device is what it was.
            if let Some(announced) = segment.max_segment_size() {
                assert_eq!(announced, mss);
            }
            let ip = packet.described.ip.expect("a header");
            assert_eq!(ip.total_len, packet.bytes.len());
            longest = longest.max(packet.bytes.len());
        }
        assert!(longest > 30_000, "{longest}");
    }
}

/// What leaves says how it is to be cut: by the smaller of the two MSS.
#[test]
fn large_packets_are_to_be_cut_to_the_mss() {
    let mut sim = echo_pair(V4.0, |config| config.offload = true);
    let data = vec![b'x'; MEBIBYTE];
    let client = move |conn: Connection| async move { conn.write_all(&data).await };
    let peer = "192.0.2.9:7".parse().unwrap();
    let engine = sim.left();
    engine
        .connect_tcp(Instant::ZERO, "bulk", Some(50_000), peer, client)
        .unwrap();
    let mut buf = vec![0; 65_535];
    let syn = engine.poll_transmit(Instant::ZERO, &mut buf).unwrap();
    let iss = describe_offloaded(&buf[..syn.len], syn.offload.checksum);
    let iss = iss.tcp().unwrap().seq.0;
    let mut syn_ack = Forged::new(
        peer,
        "192.0.2.1:50000".parse().unwrap(),
        support::SYN | support::ACK,
        1,
        iss + 1,
    );
    syn_ack.options = vec![2, 4, 2, 188]; // 700 bytes
    engine.handle_packet(Instant::ZERO, &mut syn_ack.packet());
    // So much may leave at first that it has to be cut.
    let mut cut = 0;
    while let Some(transmit) = engine.poll_transmit(Instant::ZERO, &mut buf) {
        assert_eq!(transmit.offload.checksum, Checksum::Partial);
        let described = describe_offloaded(&buf[..transmit.len], Checksum::Partial);
        let payload = described.tcp().unwrap().payload.len();
        let size = transmit.offload.segment_size.map(|size| size.get());
        assert_eq!(size, (payload > 700).then_some(700), "{payload}");
        cut += u32::from(payload > 700);
    }
    assert!(cut > 0);
}
