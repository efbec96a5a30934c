//! IP: fragments, options, what is refused and how that is told, and path MTU messages.

use std::net::SocketAddr;
use std::time::Duration;

use smoltcp::time::Instant;
use smoltcp::wire::IpProtocol;
use tcplab::event::{Direction, EventKind, Limit};
use tcplab::segment::{Origin, describe};

use crate::memory::Memory;
use crate::peer::{BOUND, CHARGEN, ECHO, PAUSE, Peer, Seen, Target, Wire};
use crate::support::{self, ACK, FIN, Forged, PSH, SYN, fragments, icmp, ping, put_together, udp};

/// Nobody has this port.
const CLOSED: u16 = 4444;
/// Nobody speaks this protocol: it is for experiments (RFC 3692).
const UNKNOWN: u8 = 253;

impl Peer<'_> {
    /// A segment as [`send`](Peer::send) sends it, as a packet.
    fn packet(&self, flags: u8, seq: i32, ack: i32, data: &[u8]) -> Vec<u8> {
        self.segment(flags, seq, ack, data).packet()
    }

    /// What a packet is answered with, in notation.
    fn answer(&mut self, packet: Vec<u8>, within: Duration) -> Option<(String, Vec<u8>)> {
        self.send_packet(packet);
        let answer = self.next_packet(within)?;
        let described = describe(&answer);
        Some((described.notation(Origin::default()).to_string(), answer))
    }

    #[track_caller]
    fn expect_answer(&mut self, packet: Vec<u8>, expected: &str) -> Vec<u8> {
        match self.answer(packet, BOUND) {
            Some((text, answer)) if text == expected => answer,
            other => self.fail(&format!("{expected} was expected, {other:?} came")),
        }
    }

    #[track_caller]
    fn expect_no_answer(&mut self, packet: Vec<u8>) {
        if let Some((text, _)) = self.answer(packet, PAUSE) {
            self.fail(&format!("{text} came"));
        }
    }
}

/// Puts extension headers behind the IPv6 header. `first` is what the first of them is.
fn extended(packet: &[u8], first: u8, headers: &[u8]) -> Vec<u8> {
    let mut extended = packet[..40].to_vec();
    extended[6] = first;
    extended.extend(headers);
    extended.extend(&packet[40..]);
    let len = (extended.len() - 40) as u16;
    extended[4..6].copy_from_slice(&len.to_be_bytes());
    extended
}

/// Which byte of the packet an ICMPv6 parameter problem points to.
fn pointer(error: &[u8]) -> u32 {
    u32::from_be_bytes(error[44..48].try_into().unwrap())
}

/// RFC 791 and RFC 8200, section 4.5: the whole counts, in whichever order its fragments come.
pub(crate) fn a_segment_in_fragments_counts(peer: &mut Peer<'_>) {
    peer.open(ECHO);
    let data: Vec<u8> = (0..200).collect();
    let whole = peer.packet(PSH | ACK, 1, 1, &data);
    let mut pieces = fragments(&whole, 48, 7);
    pieces.reverse();
    for piece in pieces {
        peer.send_packet(piece);
    }
    let back = peer.await_that("the echo", |seen| !seen.data.is_empty());
    assert_eq!(back.data, data);
    peer.send(ACK, 201, 201, b"");
    // A SYN too.
    peer.local.set_port(peer.local.port() + 1);
    for piece in fragments(&peer.packet(SYN, 0, 0, b""), 24, 8) {
        peer.send_packet(piece);
    }
    peer.await_syn_ack();
}

/// RFC 8200, section 4.5, after RFC 5722: "reassembly of that packet must be abandoned and all the fragments that have
/// been received for that packet must be discarded".
pub(crate) fn overlapping_fragments_count_for_nothing(peer: &mut Peer<'_>) {
    peer.open(ECHO);
    let whole = peer.packet(PSH | ACK, 1, 1, &[b'x'; 148]);
    let [first, second, rest @ ..] = &fragments(&whole, 48, 9)[..] else {
        panic!("several fragments");
    };
    let overlapping = &fragments(&whole, 24, 9)[3];
    for piece in [first, overlapping, second].into_iter().chain(rest) {
        peer.send_packet(piece.clone());
    }
    peer.expect_nothing();
    peer.echo(1, 1, b"hello");
}

/// RFC 6946.
pub(crate) fn an_atomic_fragment_is_whole(peer: &mut Peer<'_>) {
    if !peer.is_v6() {
        return;
    }
    peer.open(ECHO);
    let data = peer.packet(PSH | ACK, 1, 1, b"hello");
    peer.send_packet(extended(&data, 44, &[6, 0, 0, 0, 0, 0, 0, 9]));
    let back = peer.await_that("the echo", |seen| !seen.data.is_empty());
    assert_eq!(back.data, b"hello");
}

/// RFC 8200, section 4.5, after RFC 7112: "that fragment should be discarded and an ICMP Parameter Problem, Code 3,
/// message should be sent to the source of the fragment, with the Pointer field set to zero".
pub(crate) fn a_first_fragment_without_ports_is_refused(peer: &mut Peer<'_>) {
    let to = SocketAddr::new(peer.remote.ip(), CLOSED);
    let whole = udp(peer.local, to, &[7; 100]);
    if !peer.is_v6() {
        return;
    }
    // Destination options alone fill it.
    let options = [&[17, 1][..], &[1, 12], &[0; 12]].concat();
    let first = &fragments(&extended(&whole, 60, &options), 16, 11)[0];
    let error = peer.expect_answer(
        first.clone(),
        "icmp parameter problem: incomplete header chain",
    );
    assert_eq!(pointer(&error), 0);
}

/// RFC 8200, section 4.2: the first two bits of an option that is not known.
pub(crate) fn options_say_what_becomes_of_the_packet(peer: &mut Peer<'_>) {
    if !peer.is_v6() {
        return;
    }
    const DESTINATION_OPTIONS: u8 = 60;
    peer.open(ECHO);
    let with = |peer: &Peer<'_>, kind: u8, data: &[u8]| {
        let data = peer.packet(PSH | ACK, 1, 1, data);
        extended(&data, DESTINATION_OPTIONS, &[6, 0, kind, 4, 0, 0, 0, 0])
    };
    let packet = with(peer, 0x7e, b"no");
    peer.expect_no_answer(packet);
    for kind in [0xbe, 0xfe] {
        let packet = with(peer, kind, b"no");
        let error = peer.expect_answer(packet, "icmp parameter problem: unrecognized option");
        assert_eq!(pointer(&error), 42);
    }
    let packet = with(peer, 0x3e, b"yes");
    peer.send_packet(packet);
    let back = peer.await_that("the echo", |seen| !seen.data.is_empty());
    assert_eq!(back.data, b"yes");
}

/// RFC 1122, section 3.2.2.1; RFC 8200, section 4.
pub(crate) fn unknown_protocols_are_refused(peer: &mut Peer<'_>) {
    let (from, to) = (peer.local.ip(), peer.remote.ip());
    let packet = support::ip(from, to, IpProtocol::Unknown(UNKNOWN), b"hello");
    if !peer.is_v6() {
        peer.expect_answer(packet, "icmp protocol unreachable");
        return;
    }
    let expected = "icmp parameter problem: unrecognized next header";
    let error = peer.expect_answer(packet, expected);
    assert_eq!(pointer(&error), 6);
    // Section 4.7: nothing follows, and nobody complains.
    let nothing = support::ip(from, to, IpProtocol::Ipv6NoNxt, b"");
    peer.expect_no_answer(nothing);
}

/// RFC 8200, section 4.4, and RFC 5095.
pub(crate) fn routing_headers_are_refused(peer: &mut Peer<'_>) {
    if !peer.is_v6() {
        return;
    }
    peer.open(ECHO);
    let with = |peer: &Peer<'_>, kind: u8, left: u8, data: &[u8]| {
        let data = peer.packet(PSH | ACK, 1, 1, data);
        extended(&data, 43, &[6, 0, kind, left, 0, 0, 0, 0])
    };
    let packet = with(peer, 0, 1, b"no");
    let error = peer.expect_answer(packet, "icmp parameter problem: erroneous header field");
    assert_eq!(pointer(&error), 42);
    // With no segments left, one that is not known is skipped; Linux does not skip those of type 0.
    let packet = with(peer, UNKNOWN, 0, b"yes");
    peer.send_packet(packet);
    let back = peer.await_that("the echo", |seen| !seen.data.is_empty());
    assert_eq!(back.data, b"yes");
}

/// The checksum of the answer is right, and that of each fragment's header.
pub(crate) fn a_ping_in_fragments_is_answered(peer: &mut Peer<'_>) {
    let (from, to) = (peer.local.ip(), peer.remote.ip());
    let data: Vec<u8> = (0..5_000).map(|at| (at / 9) as u8).collect();
    for piece in fragments(&ping(from, to, &data), 1_000, 12) {
        peer.send_packet(piece);
    }
    let mut pieces = Vec::new();
    while pieces.len() < 4 {
        let Some(piece) = peer.next_packet(BOUND) else {
            peer.fail("an answer in four pieces was expected");
        };
        assert!(piece.len() <= 1_500);
        if describe(&piece).ip.is_some_and(|ip| ip.fragment.is_some()) {
            pieces.push(piece);
        }
    }
    let whole = put_together(&pieces);
    assert_eq!(whole[8..], data);
    let protocol = if peer.is_v6() {
        IpProtocol::Icmpv6
    } else {
        IpProtocol::Icmp
    };
    let reply = support::ip(to, from, protocol, &whole);
    let described = describe(&reply);
    let text = described.notation(Origin::default()).to_string();
    assert_eq!(text, "icmp echo reply id 7 seq 1 (5000)");
}

/// RFC 8200, section 8.1: "IPv6 receivers must discard UDP packets containing a zero checksum".
pub(crate) fn a_datagram_needs_a_checksum_over_ipv6(peer: &mut Peer<'_>) {
    let to = SocketAddr::new(peer.remote.ip(), CLOSED);
    let mut packet = udp(peer.local, to, b"hello");
    let at = if peer.is_v6() { 46 } else { 26 };
    packet[at..at + 2].fill(0);
    match peer.is_v6() {
        true => peer.expect_no_answer(packet),
        // RFC 768: the sender "generated no checksum".
        false => drop(peer.expect_answer(packet, "icmp port unreachable")),
    }
}

/// RFC 1122, section 3.2.2, and RFC 4443, section 2.4 (e).
pub(crate) fn errors_are_not_answered(peer: &mut Peer<'_>) {
    let (from, to) = (peer.local.ip(), peer.remote.ip());
    // It quotes a datagram that was never sent.
    let quoted = udp(SocketAddr::new(to, CLOSED), peer.local, b"hello");
    let (kind, protocol) = match peer.is_v6() {
        true => (1, IpProtocol::Icmpv6),
        false => (3, IpProtocol::Icmp),
    };
    let message = [&[kind, 4, 0, 0, 0, 0, 0, 0], &quoted[..]].concat();
    peer.expect_no_answer(icmp(from, to, protocol, message));
    // A fragment that is not the first, of a protocol that nobody speaks.
    let unknown = support::ip(from, to, IpProtocol::Unknown(UNKNOWN), &[1; 64]);
    peer.expect_no_answer(fragments(&unknown, 32, 13).swap_remove(1));
}

/// A router's message that `quoted` was too big.
fn too_big(peer: &Peer<'_>, quoted: &[u8], mtu: u16) -> Vec<u8> {
    let [high, low] = mtu.to_be_bytes();
    let (kind, code, protocol) = match peer.is_v6() {
        true => (2, 0, IpProtocol::Icmpv6),
        false => (3, 4, IpProtocol::Icmp),
    };
    let header = [kind, code, 0, 0, 0, 0, high, low];
    let quoted = &quoted[..quoted.len().min(500)];
    let message = [&header, quoted].concat();
    icmp(peer.local.ip(), peer.remote.ip(), protocol, message)
}

/// The largest packet among the next ones of a bulk transfer, all of which are acknowledged.
fn largest(peer: &mut Peer<'_>, from: &mut i32, rounds: usize) -> (usize, Vec<u8>) {
    let mut largest = Vec::new();
    for _ in 0..rounds {
        let begins = *from;
        let expected = peer.irs().wrapping_add_signed(begins);
        let seen: Seen = peer.await_that("data", |seen| {
            let offset = seen.segment.seq.0.wrapping_sub(expected) as i32;
            !seen.data.is_empty() && offset <= 0 && offset + seen.data.len() as i32 > 0
        });
        let offset = seen.segment.seq.0.wrapping_sub(expected) as i32;
        *from = begins + offset + seen.data.len() as i32;
        peer.send(ACK, 1, *from, b"");
        if seen.packet.len() > largest.len() {
            largest = seen.packet;
        }
    }
    (largest.len(), largest)
}

/// RFC 5927, section 7; RFC 8201, section 4: a node "must not reduce its estimate of the Path MTU below the IPv6 minimum
/// link MTU".
pub(crate) fn forged_path_mtus_are_ignored(peer: &mut Peer<'_>) {
    peer.open(CHARGEN);
    let mut from = 1;
    let (len, packet) = largest(peer, &mut from, 4);
    assert_eq!(len, 1_500);
    let seq = if peer.is_v6() { 44 } else { 24 };
    let mut elsewhere = packet.clone();
    // A number that was never sent, and one that was acknowledged long ago.
    elsewhere[seq] ^= 0x40;
    for quoted in [elsewhere, packet.clone()] {
        let message = too_big(peer, &quoted, 1_300);
        peer.send_packet(message);
    }
    // Smaller than links are.
    let (_, packet) = largest(peer, &mut from, 1);
    let message = too_big(peer, &packet, if peer.is_v6() { 1_279 } else { 67 });
    if peer.target() == Target::Tcplab {
        peer.send_packet(message);
    }
    let (len, _) = largest(peer, &mut from, 20);
    assert_eq!(len, 1_500);
}

/// RFC 1191, section 3; RFC 8201, section 4.
pub(crate) fn a_plausible_path_mtu_counts(peer: &mut Peer<'_>) {
    peer.open(CHARGEN);
    let mut from = 1;
    largest(peer, &mut from, 4);
    // One that is in flight: it is not acknowledged.
    let lost = peer.await_that("a full segment", |seen| seen.packet.len() == 1_500);
    let message = too_big(peer, &lost.packet, 1_400);
    peer.send_packet(message);
    // Whatever was in flight then is still large.
    peer.all(PAUSE);
    let lost_at = lost.segment.seq.0.wrapping_sub(peer.irs()) as i32;
    peer.send(ACK, 1, lost_at, b"");
    from = lost_at;
    let mut sizes = Vec::new();
    for _ in 0..40 {
        sizes.push(largest(peer, &mut from, 1).0);
    }
    let settled = &sizes[20..];
    let largest = *settled.iter().max().unwrap();
    assert!((1_300..=1_400).contains(&largest), "{sizes:?}");
    peer.send(FIN | ACK, 1, from, b"");
}

/// What only virtual time, or nobody but us, can show.
mod here {
    use super::*;

    fn both(check: impl Fn(&mut Memory, SocketAddr, SocketAddr)) {
        for (local, remote) in crate::PAIRS {
            let at = |address: &str, port| SocketAddr::new(address.parse().unwrap(), port);
            check(
                &mut Memory::new(|_| {}),
                at(local, 40_000),
                at(remote, ECHO),
            );
        }
    }

    fn text(packet: &[u8]) -> String {
        describe(packet).notation(Origin::default()).to_string()
    }

    /// RFC 792, and RFC 8200, section 4.5: "reassembly of that packet must be abandoned [...]. If the first fragment [...] has
    /// been received, an ICMP Time Exceeded -- Fragment Reassembly Time Exceeded message should be sent".
    #[test]
    fn an_unfinished_packet_is_told_after_a_minute() {
        both(|memory, from, to| {
            let pieces = fragments(&udp(from, to, &[1; 300]), 104, 5);
            memory.send(pieces[0].clone());
            // Of this one the first is missing.
            memory.send(fragments(&udp(from, to, &[1; 300]), 104, 6)[1].clone());
            let start = memory.now;
            assert_eq!(memory.recv(Duration::from_secs(59)), None);
            let error = memory.recv(Duration::from_secs(10)).unwrap();
            assert_eq!(text(&error), "icmp reassembly time exceeded");
            assert_eq!(memory.now, start + Duration::from_secs(60).into());
            let quoted = describe(&error).payload().unwrap();
            assert_eq!(error[quoted], pieces[0]);
            assert_eq!(memory.recv(Duration::from_secs(120)), None);
        });
    }

    /// No answer could get there.
    #[test]
    fn nothing_goes_to_port_zero() {
        both(|memory, mut from, to| {
            from.set_port(0);
            for flags in [SYN, ACK, SYN | ACK] {
                memory.send(Forged::new(from, to, flags, 1, 1).packet());
            }
            memory.send(udp(from, to, b"hello"));
            assert_eq!(memory.recv(Duration::from_secs(5)), None);
        });
    }

    /// RFC 7126, sections 4.3.5 and 4.4.5; RFC 792.
    #[test]
    fn source_routes_and_broken_options_of_ipv4_are_refused() {
        let (from, to) = ("198.51.100.7:40000", "192.0.2.2:4444");
        let whole = udp(from.parse().unwrap(), to.parse().unwrap(), b"hello");
        for (options, expected) in [
            ([1, 1, 1, 0], Some("icmp port unreachable")),
            ([148, 4, 0, 0], Some("icmp port unreachable")),
            ([131, 3, 4, 0], None),
            ([137, 3, 4, 0], None),
            ([7, 9, 4, 0], Some("icmp parameter problem")),
        ] {
            let mut packet = [&whole[..20], &options, &whole[20..]].concat();
            packet[0] = 0x46;
            let len = packet.len() as u16;
            packet[2..4].copy_from_slice(&len.to_be_bytes());
            packet[10..12].fill(0);
            let sum = !smoltcp::wire::checksum::data(&packet[..24]);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
            let mut memory = Memory::new(|_| {});
            memory.send(packet);
            let answer = memory.recv(Duration::from_secs(1));
            let answer = answer.as_deref().map(text);
            assert_eq!(answer.as_deref(), expected, "{options:?}");
        }
    }

    /// RFC 4443, section 2.4 (f).
    #[test]
    fn errors_are_limited() {
        both(|memory, from, mut to| {
            to.set_port(CLOSED);
            for _ in 0..1_000 {
                let mut packet = udp(from, to, b"hello");
                memory.engine.handle_packet(memory.now, &mut packet);
            }
            let (mut sent, mut limited, mut buf) = (0, 0, [0; 1_500]);
            while memory.engine.poll_transmit(memory.now, &mut buf).is_some() {
                sent += 1;
            }
            while let Some(event) = memory.engine.poll_event() {
                match event.kind {
                    EventKind::Limited(Limit::IcmpErrors, count) => limited += count,
                    EventKind::Packet(packet) if packet.direction == Direction::Out => {}
                    _ => {}
                }
            }
            assert_eq!((sent, limited), (50, 950));
            memory.now += Duration::from_millis(100).into();
            memory.send(udp(from, to, b"hello"));
            assert!(memory.recv(Duration::ZERO).is_some());
        });
    }

    /// A path MTU that routers tell of a datagram counts for the datagrams that follow.
    #[test]
    fn datagrams_get_smaller_too() {
        both(|memory, from, to| {
            let request = udp(from, to, &[7; 1_400]);
            memory.send(request.clone());
            let reply = memory.recv(Duration::ZERO).unwrap();
            assert_eq!(reply.len(), request.len());
            let now = memory.now;
            let message = {
                let mut wire = Silent(now);
                let peer = Peer::new(&mut wire, from.ip(), to.ip(), 1);
                too_big(&peer, &reply, 1_300)
            };
            memory.send(message);
            memory.send(request);
            let pieces: Vec<_> = std::iter::from_fn(|| memory.recv(Duration::ZERO)).collect();
            assert_eq!(pieces.len(), 2);
            assert!(pieces.iter().all(|piece| piece.len() <= 1_300));
        });
    }

    /// A wire on which nothing happens.
    struct Silent(Instant);

    impl Wire for Silent {
        fn send(&mut self, _: Vec<u8>) {}

        fn recv(&mut self, within: Duration) -> Option<Vec<u8>> {
            self.0 += within.into();
            None
        }

        fn dial(&mut self, _: SocketAddr) -> std::net::IpAddr {
            unreachable!("nobody is there")
        }

        fn target(&self) -> Target {
            Target::Tcplab
        }
    }
}
