//! What belongs to no connection: echo requests, ports that nobody has, fragments, and packets that are refused.

mod support;

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpProtocol;
use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use support::{ACK, FIN, Forged, RST, SYN, fragments, ip, ping, put_together, udp};
use tcplab::engine::{Config, Engine};
use tcplab::event::{Direction, Discard, EventKind, Fate};
use tcplab::segment::{Origin, describe};
use tcplab::sim::Sim;

const V4: [&str; 2] = ["192.0.2.1", "192.0.2.2"];
const V6: [&str; 2] = ["2001:db8::1", "2001:db8::2"];

fn engine(address: [&str; 2]) -> Engine {
    let mut config = Config::new(address.map(|address| address.parse().unwrap()));
    config.mtu = 1280;
    let mut engine = Engine::new(config);
    engine.serve_standard("123");
    engine
}

/// Hands packets to an engine; what it sends, and what became of each.
fn hand_over(packets: impl IntoIterator<Item = Vec<u8>>) -> (Vec<Vec<u8>>, Vec<Fate>) {
    let mut engine = engine(["192.0.2.2/24", "2001:db8::2/64"]);
    let (mut answers, mut fates, mut buf) = (Vec::new(), Vec::new(), [0; 1280]);
    for mut packet in packets {
        engine.handle_packet(Instant::ZERO, &mut packet);
        while let Some(transmit) = engine.poll_transmit(Instant::ZERO, &mut buf) {
            answers.push(buf[..transmit.len].to_vec());
        }
    }
    while let Some(event) = engine.poll_event() {
        if let EventKind::Packet(packet) = event.kind
            && packet.direction == Direction::In
        {
            fates.push(packet.fate);
        }
    }
    (answers, fates)
}

/// A packet, what becomes of it, and what it is answered with.
#[track_caller]
fn check(packet: Vec<u8>, fate: Fate, expected: &[&str]) {
    let notation = describe(&packet).notation(Origin::default()).to_string();
    let (answers, fates) = hand_over([packet]);
    let answers: Vec<String> = answers
        .iter()
        .map(|answer| describe(answer).notation(Origin::default()).to_string())
        .collect();
    assert_eq!(fates, [fate], "{notation}");
    assert_eq!(answers, expected, "{notation}");
}

fn socket(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), port)
}

fn address(address: &str) -> IpAddr {
    address.parse().unwrap()
}

#[test]
fn echo_requests_are_answered() {
    for [them, us] in [V4, V6] {
        let request = ping(address(them), address(us), b"hello");
        check(
            request.clone(),
            Fate::Delivered,
            &["icmp echo reply id 7 seq 1 (5)"],
        );
        let (answers, _) = hand_over([request]);
        assert!(answers[0].ends_with(b"hello"));
        let ip = describe(&answers[0]).ip.unwrap();
        assert_eq!((ip.src, ip.dst), (address(us), address(them)));
    }
}

#[test]
fn an_echo_request_in_fragments_is_answered_in_fragments() {
    let data: Vec<u8> = (0..10_000).map(|at| (at / 7) as u8).collect();
    for [them, us] in [V4, V6] {
        let mut arriving = fragments(&ping(address(them), address(us), &data), 1232, 99);
        arriving.reverse();
        let (answers, fates) = hand_over(arriving);
        assert!(
            fates.iter().all(|fate| *fate == Fate::Delivered),
            "{fates:?}"
        );
        assert!(answers.len() >= 8 && answers.iter().all(|answer| answer.len() <= 1280));
        let whole = put_together(&answers);
        assert_eq!(whole[8..], data);
        let protocol = if address(us).is_ipv4() {
            IpProtocol::Icmp
        } else {
            IpProtocol::Icmpv6
        };
        let unfragmented = describe(&ip(address(us), address(them), protocol, &whole));
        assert_eq!(
            unfragmented.notation(Origin::default()).to_string(),
            "icmp echo reply id 7 seq 1 (10000)"
        );
    }
}

#[test]
fn a_port_that_nobody_has() {
    for [them, us] in [V4, V6] {
        let (from, to) = (socket(them, 40_000), socket(us, 4444));
        for payload in [&b""[..], b"hello", &[7; 1200]] {
            check(
                udp(from, to, payload),
                Fate::Delivered,
                &["icmp port unreachable"],
            );
            let (answers, _) = hand_over([udp(from, to, payload)]);
            // RFC 1812, section 4.3.2.3, and RFC 4443, section 2.4 (c).
            assert!(answers[0].len() <= if from.is_ipv4() { 576 } else { 1280 });
        }
        // RFC 9293, section 3.10.7.1: everything but a reset is answered with a reset.
        #[rustfmt::skip]
        let rows: [(u8, &[&str]); 6] = [
            (SYN, &["R. 0:0(0) ack 1001 win 0"]),
            (SYN | FIN, &["R. 0:0(0) ack 1002 win 0"]),
            (0, &["R. 0:0(0) ack 1000 win 0"]),
            (SYN | ACK, &["R 77:77(0) win 0"]),
            (FIN | ACK, &["R 77:77(0) win 0"]),
            (RST, &[]),
        ];
        for (flags, expected) in rows {
            check(
                Forged::new(from, to, flags, 1000, 77).packet(),
                Fate::Delivered,
                expected,
            );
        }
    }
}

#[test]
fn packets_that_are_refused() {
    let [them, us] = V4.map(|address| socket(address, 7));
    let discarded = Fate::Discarded;
    let syn = |from, to| Forged::new(from, to, SYN, 1, 0).packet();
    let at = |address| socket(address, 7);

    check(Vec::new(), discarded(Discard::Malformed), &[]);
    check(vec![0x45; 20], discarded(Discard::Malformed), &[]);
    for packet in [
        syn(them, us),
        udp(them, us, b"hello"),
        ping(them.ip(), us.ip(), b"hello"),
    ] {
        let mut packet = packet;
        let last = packet.len() - 1;
        packet[last] ^= 1;
        check(packet, discarded(Discard::Malformed), &[]);
    }
    let mut header_damaged = syn(them, us);
    header_damaged[8] ^= 1;
    check(header_damaged, discarded(Discard::Malformed), &[]);

    // Not ours: another network, broadcast, multicast.
    for to in [
        "198.51.100.2",
        "192.0.2.255",
        "192.0.2.0",
        "255.255.255.255",
        "224.0.0.1",
    ] {
        check(syn(them, at(to)), discarded(Discard::NotForUs), &[]);
        check(
            udp(them, at(to), b"hello"),
            discarded(Discard::NotForUs),
            &[],
        );
        check(
            ping(them.ip(), at(to).ip(), b""),
            discarded(Discard::NotForUs),
            &[],
        );
    }
    for to in ["2001:db8:1::2", "ff02::1"] {
        check(syn(at(V6[0]), at(to)), discarded(Discard::NotForUs), &[]);
    }

    // From nobody.
    for from in [
        "192.0.2.255",
        "192.0.2.0",
        "255.255.255.255",
        "224.0.0.1",
        "0.0.0.0",
        V4[1],
    ] {
        check(syn(at(from), us), discarded(Discard::BadAddress), &[]);
        check(
            udp(at(from), us, b"hello"),
            discarded(Discard::BadAddress),
            &[],
        );
    }
    for from in ["ff02::1", "::"] {
        check(
            syn(at(from), at(V6[1])),
            discarded(Discard::BadAddress),
            &[],
        );
    }

    let syn_fin = Forged::new(them, us, SYN | FIN, 1, 0).packet();
    check(syn_fin, discarded(Discard::BadFlags), &[]);
    let gre = ip(them.ip(), us.ip(), IpProtocol::Unknown(47), b"hello");
    check(
        gre,
        discarded(Discard::Unsupported),
        &["icmp protocol unreachable"],
    );
}

/// Every address of the prefix is ours.
#[test]
fn each_address_of_the_network_answers_for_itself() {
    let to = socket("192.0.2.200", 7);
    let (answers, _) = hand_over([Forged::new(socket(V4[0], 40_000), to, SYN, 1, 0).packet()]);
    let described = describe(&answers[0]);
    assert_eq!(described.endpoints().unwrap().0, to);
    assert!(
        described
            .notation(Origin::default())
            .to_string()
            .starts_with("S. ")
    );
}

/// smoltcp would not read such a segment; what is told is the packet as it came.
#[test]
fn a_segment_behind_extension_headers_opens_a_connection() {
    let plain = Forged::new(socket(V6[0], 40_000), socket(V6[1], 7), SYN, 1, 0).packet();
    let mut packet = plain[..40].to_vec();
    // Destination options that are nothing but padding.
    packet[6] = 60;
    packet.extend([6, 0, 1, 4, 0, 0, 0, 0]);
    packet.extend(&plain[40..]);
    let len = (packet.len() - 40) as u16;
    packet[4..6].copy_from_slice(&len.to_be_bytes());

    let mut engine = engine(["2001:db8::2/64", "192.0.2.2/24"]);
    engine.handle_packet(Instant::ZERO, &mut packet.clone());
    let mut buf = [0; 1280];
    let transmit = engine.poll_transmit(Instant::ZERO, &mut buf).unwrap();
    let answer = describe(&buf[..transmit.len])
        .notation(Origin::default())
        .to_string();
    assert!(answer.starts_with("S. "), "{answer}");
    let told = std::iter::from_fn(|| engine.poll_event()).find_map(|event| match event.kind {
        EventKind::Packet(told) => Some(told),
        _ => None,
    });
    let told = told.unwrap();
    assert_eq!(told.bytes, packet);
    assert_eq!(told.described, describe(&packet));
}

#[test]
fn overlapping_fragments_are_refused() {
    let packet = ping(address(V4[0]), address(V4[1]), &[1; 100]);
    let mut arriving = fragments(&packet, 64, 1);
    let mut overlapping = fragments(&packet, 32, 1);
    arriving.insert(1, overlapping.remove(1));
    let (answers, fates) = hand_over(arriving);
    assert_eq!(answers, [[0; 0]; 0]);
    let refused = Fate::Discarded(Discard::Fragment);
    assert_eq!(fates, [Fate::Delivered, refused, Fate::Delivered]);
}

/// The longest datagrams that there can be, in fragments both ways.
#[test]
fn datagrams_of_every_size_are_echoed() {
    let cases = [
        (["192.0.2.1/24", "192.0.2.2/24"], V4[1], 65_507),
        (["2001:db8::1/64", "2001:db8::2/64"], V6[1], 65_527),
    ];
    for (prefixes, us, longest) in cases {
        for len in [0, 1, 1200, 1280, 3000, longest] {
            let [left, right] = prefixes.map(|prefix| engine([prefix, prefix]));
            let mut sim = Sim::new(left, right, Duration::from_millis(1));
            let heard = Rc::new(RefCell::new(Err(io::ErrorKind::TimedOut.into())));
            let result = Rc::clone(&heard);
            let payload: Vec<u8> = (0..len).map(|at| (at / 3) as u8).collect();
            let sent = payload.clone();
            let client = move |socket: tcplab::service::UdpSocket| async move {
                socket.send(sent);
                *result.borrow_mut() = socket.recv().await;
                Ok(())
            };
            let opened =
                sim.left()
                    .connect_udp(Instant::ZERO, "client", None, socket(us, 7), client);
            opened.unwrap();
            sim.run_until(Instant::from_secs(1));
            let heard = heard.borrow();
            assert!(
                heard.as_ref().is_ok_and(|heard| *heard == payload),
                "{len} bytes to {us}"
            );
        }
    }
}

/// A client learns that nobody has the port.
#[test]
fn a_refused_datagram_fails_its_client() {
    for (prefixes, us) in [
        (["192.0.2.1/24", "192.0.2.2/24"], V4[1]),
        (["2001:db8::1/64", "2001:db8::2/64"], V6[1]),
    ] {
        let [left, right] = prefixes.map(|prefix| engine([prefix, prefix]));
        let mut sim = Sim::new(left, right, Duration::from_millis(1));
        let client = |socket: tcplab::service::UdpSocket| async move {
            socket.send(*b"hello");
            let refused = socket.recv().await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
            Err(refused)
        };
        let opened =
            sim.left()
                .connect_udp(Instant::ZERO, "client", None, socket(us, 4444), client);
        opened.unwrap();
        sim.run_until(Instant::from_secs(1));
        let mut ends =
            std::iter::from_fn(|| sim.poll_event()).filter_map(|(_, event)| match event.kind {
                EventKind::Closed(closed) => closed.result,
                _ => None,
            });
        assert_eq!(ends.next(), Some(Err("connection refused".to_owned())));
    }
}
