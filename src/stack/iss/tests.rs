use super::*;
use crate::event::Transport;
use crate::segment::describe;
use crate::stack::reply;
use smoltcp::time::Duration;
use std::collections::HashSet;
use std::net::SocketAddr;

fn key(local: &str, peer: &str) -> FlowKey {
    FlowKey {
        transport: Transport::Tcp,
        local: local.parse().unwrap(),
        peer: peer.parse().unwrap(),
    }
}

#[test]
fn each_part_of_the_endpoints_and_the_seed_change_the_number() {
    let keys = [
        key("192.0.2.2:7", "192.0.2.1:1000"),
        key("192.0.2.2:7", "192.0.2.1:1001"),
        key("192.0.2.2:7", "192.0.2.3:1000"),
        key("192.0.2.2:9", "192.0.2.1:1000"),
        key("192.0.2.4:7", "192.0.2.1:1000"),
        key("192.0.2.1:1000", "192.0.2.2:7"),
        key("[2001:db8::2]:7", "[2001:db8::1]:1000"),
    ];
    let numbers: HashSet<u32> = (0..10)
        .flat_map(|seed| keys.iter().map(move |key| (seed, key)))
        .map(|(seed, key)| IssGenerator::new(seed).generate(Instant::ZERO, key).0)
        .collect();
    assert_eq!(numbers.len(), 70);
}

#[test]
fn numbers_of_the_same_endpoints_grow_by_one_every_four_microseconds() {
    let (generator, key) = (IssGenerator::new(1), key("192.0.2.2:7", "192.0.2.1:1000"));
    let first = generator.generate(Instant::ZERO, &key);
    for (micros, grown) in [(0, 0), (4, 1), (1_000_000, 250_000), (17_179_869_184, 0)] {
        let at = Instant::ZERO + Duration::from_micros(micros);
        assert_eq!(
            generator.generate(at, &key).since(first),
            grown,
            "after {micros} µs"
        );
    }
    assert_eq!(IssGenerator::new(1).generate(Instant::ZERO, &key), first);
}

#[test]
fn numbers_are_moved_there_and_back() {
    let ends: [(SocketAddr, SocketAddr); 2] = [
        (
            "192.0.2.2:7".parse().unwrap(),
            "192.0.2.1:1".parse().unwrap(),
        ),
        (
            "[2001:db8::2]:7".parse().unwrap(),
            "[2001:db8::1]:1".parse().unwrap(),
        ),
    ];
    for (local, peer) in ends {
        for shift in [0, 1, 1 << 31, u32::MAX] {
            let (seq, ack) = (SeqNumber(u32::MAX - 1), SeqNumber(3));
            let mut packet = reply::acknowledgment(local, peer, (seq, ack), 9, Default::default());
            assert_eq!(sequence_number(&packet), Some(seq));
            translate_out(&mut packet, shift);
            let moved = describe(&packet).tcp().cloned().unwrap();
            assert_eq!((moved.seq, moved.ack), (seq + shift, ack));
            translate_in(&mut packet, shift);
            let moved = describe(&packet).tcp().cloned().unwrap();
            assert_eq!((moved.seq, moved.ack), (seq + shift, ack - shift));
        }
    }
}

#[test]
fn what_is_no_segment_stays_as_it_is() {
    let (local, peer) = (
        "192.0.2.2:7".parse().unwrap(),
        "192.0.2.1:1".parse().unwrap(),
    );
    let datagram = reply::datagram(local, peer, &[7; 40]).unwrap();
    for packet in [datagram, Vec::new(), vec![0x45; 10], vec![0x60; 39]] {
        let mut moved = packet.clone();
        translate_out(&mut moved, 5);
        translate_in(&mut moved, 5);
        assert_eq!((moved, sequence_number(&packet)), (packet, None));
    }
}
