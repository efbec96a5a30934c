//! Many send at once: each sends as much as the others, and one with little to send does not wait for them.

use smoltcp::time::{Duration, Instant};
use std::collections::BTreeMap;
use tcplab::engine::{Config, Engine};
use tcplab::event::Watch;
use tcplab::segment::{Body, describe};
use tcplab::service::Connection;
use tcplab::service::chargen::chargen;
use tcplab::service::echo::echo;

const ECHO: u16 = 7;
const CHARGEN: u16 = 19;
const BEGIN: Instant = Instant::ZERO;
/// When all have some dozens of segments to send.
const NOW: Instant = Instant::from_millis_const(1_000);

fn engine(address: &str) -> Engine {
    let mut config = Config::new([address.parse().unwrap()]);
    config.watch = Watch::Nothing;
    let mut engine = Engine::new(config);
    engine.serve_tcp(ECHO, "echo", echo);
    engine.serve_tcp(CHARGEN, "chargen", chargen);
    engine
}

/// The ports of a packet, and how long it is.
fn told(packet: &[u8]) -> (u16, u16, usize) {
    let Body::Tcp(segment) = describe(packet).body else {
        panic!("no segment")
    };
    (segment.src_port, segment.dst_port, packet.len())
}

/// All that an engine has to send.
fn all_of(engine: &mut Engine, now: Instant) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    let mut buf = [0; 1500];
    while let Some(transmit) = engine.poll_transmit(now, &mut buf) {
        packets.push(buf[..transmit.len].to_vec());
    }
    packets
}

/// One packet of those that do not wait.
fn sparse(engine: &mut Engine, now: Instant) -> Option<Vec<u8>> {
    let mut buf = [0; 1500];
    let transmit = engine.poll_sparse(now, &mut buf)?;
    Some(buf[..transmit.len].to_vec())
}

/// A server with as many connections to chargen as told, each with some dozens of segments to send, and a question to echo that is
/// on its way.
fn loaded(count: usize) -> (Engine, Vec<u8>) {
    let (mut server, mut client) = (engine("192.0.2.2/24"), engine("192.0.2.1/24"));
    let peer = |port: u16| format!("192.0.2.2:{port}").parse().unwrap();
    let ask = client.connect_tcp(BEGIN, "ask", None, peer(ECHO), |conn| async move {
        conn.write_all(b"?").await?;
        conn.drain().await
    });
    ask.unwrap();
    for _ in 0..count {
        let drain = |conn: Connection| async move { conn.drain().await };
        client
            .connect_tcp(BEGIN, "drain", None, peer(CHARGEN), drain)
            .unwrap();
    }
    for mut syn in all_of(&mut client, BEGIN) {
        server.handle_packet(BEGIN, &mut syn);
        let mut syn_ack = sparse(&mut server, BEGIN).unwrap();
        assert_eq!(sparse(&mut server, BEGIN), None);
        client.handle_packet(BEGIN, &mut syn_ack);
    }
    let mut question = Vec::new();
    // After each round one segment more is in flight. What arrives alone is acknowledged after a while.
    for round in 0..25 {
        let now = BEGIN + Duration::from_millis(20) * round;
        client.handle_timeout(now);
        for mut packet in all_of(&mut client, now) {
            match told(&packet) {
                (_, ECHO, 53..) => question = packet,
                _ => server.handle_packet(now, &mut packet),
            }
        }
        for mut packet in all_of(&mut server, now) {
            client.handle_packet(now, &mut packet);
        }
    }
    for mut acknowledgment in all_of(&mut client, NOW) {
        server.handle_packet(NOW, &mut acknowledgment);
        // They are known to send much.
        assert_eq!(sparse(&mut server, NOW), None);
    }
    assert!(server.has_backlog());
    (server, question)
}

#[test]
fn a_question_is_answered_before_what_flows_in_bulk_have_left() {
    for count in [1, 8, 64] {
        let (mut server, mut question) = loaded(count);
        // They are in the midst of it.
        let mut buf = [0; 1500];
        for _ in 0..count + count / 2 {
            server.poll_transmit(NOW, &mut buf).unwrap();
        }
        server.handle_packet(NOW, &mut question);
        let answer = sparse(&mut server, NOW).unwrap();
        assert_eq!(told(&answer).0, ECHO);
        assert!(answer.ends_with(b"?"));
        assert_eq!(sparse(&mut server, NOW), None);
        assert!(server.has_backlog());
    }
}

#[test]
fn flows_in_bulk_get_equal_shares() {
    let (mut server, _) = loaded(64);
    let mut shares: BTreeMap<u16, usize> = BTreeMap::new();
    let mut buf = [0; 1500];
    for _ in 0..64 * 16 {
        let transmit = server.poll_transmit(NOW, &mut buf).unwrap();
        let (_, peer, len) = told(&buf[..transmit.len]);
        *shares.entry(peer).or_default() += len;
    }
    assert_eq!(shares.len(), 64);
    let (least, most) = (shares.values().min(), shares.values().max());
    let apart = most.unwrap() - least.unwrap();
    // Nobody is ahead of anybody by more than what it may send in a turn.
    assert!(apart <= 12_000, "{shares:?}");
}

/// What is fetched in parts is all that there is, and then nobody has anything left.
#[test]
fn a_backlog_ends_when_everything_has_left() {
    let (mut server, _) = loaded(8);
    let packets = all_of(&mut server, NOW);
    let bytes: usize = packets.iter().map(|packet| packet.len() - 52).sum();
    assert!(bytes > 8 * 20 * 1448, "{bytes}");
    assert!(!server.has_backlog());
}
