//! Fragments are made with [`cut`], so that each test is a round trip too.

use super::*;
use crate::event::Transport;
use crate::segment::describe;
use crate::stack::reply;
use proptest::prelude::*;
use proptest::sample::select;
use std::net::SocketAddr;

const MTU: usize = 1280;
const LIMIT: usize = 4 << 20;
const UNUSABLE: Added = Added::Unusable(None);

fn ends(v6: bool) -> (SocketAddr, SocketAddr) {
    let [from, to] = if v6 {
        ["[2001:db8::1]:1000", "[2001:db8::2]:7"]
    } else {
        ["192.0.2.1:1000", "192.0.2.2:7"]
    };
    (from.parse().unwrap(), to.parse().unwrap())
}

/// A datagram whose bytes tell where they stand.
fn datagram(v6: bool, len: usize) -> Vec<u8> {
    let payload: Vec<u8> = (0..len).map(|at| (at / 8) as u8).collect();
    let (from, to) = ends(v6);
    reply::datagram(from, to, &payload).unwrap()
}

/// Fragments of a datagram of 4,000 bytes: four of them.
fn four(v6: bool) -> Vec<Vec<u8>> {
    let fragments = cut(datagram(v6, 4000), MTU, 7);
    assert_eq!(fragments.len(), 4);
    fragments
}

fn add(reassembler: &mut Reassembler, at: Instant, fragment: &[u8]) -> Added {
    let ip = describe(fragment).ip.unwrap();
    reassembler.add(at, fragment, &ip, None).0
}

/// Adds all of `fragments` at once, and checks what becomes of the last and that all others wait.
#[track_caller]
fn check(fragments: &[&[u8]], expected: &Added) {
    let mut reassembler = Reassembler::new(LIMIT);
    let (last, others) = fragments.split_last().unwrap();
    for fragment in others {
        assert_eq!(
            add(&mut reassembler, Instant::ZERO, fragment),
            Added::Waiting
        );
    }
    assert_eq!(add(&mut reassembler, Instant::ZERO, last), *expected);
}

#[test]
fn what_is_cut_is_put_together_again_in_any_order() {
    for v6 in [false, true] {
        let fragments = four(v6);
        // A packet that was never cut has an identification and may not be fragmented; a reassembled one does not tell.
        let mut whole = datagram(v6, 4000);
        if !v6 {
            let mut view = Ipv4Packet::new_unchecked(&mut whole[..]);
            view.set_ident(7);
            view.set_dont_frag(false);
            view.fill_checksum();
        }
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]] {
            let ordered = order.map(|place| &fragments[place][..]);
            check(&ordered, &Added::Whole(whole.clone()));
        }
        assert!(describe(&whole).endpoints().is_some());
    }
}

#[test]
fn fragments_fit_the_mtu_and_the_longest_packets_can_be_cut() {
    for (v6, longest) in [(false, 65_507), (true, 65_527)] {
        for len in [0, 1, 1232, 1252, 1253, 4000, longest] {
            for mtu in [1280, 1281, 1287, 1500, 9000] {
                let packet = datagram(v6, len);
                let fragments = cut(packet.clone(), mtu, 1);
                assert!(fragments.iter().all(|fragment| fragment.len() <= mtu));
                assert_eq!(fragments.len() == 1, packet.len() <= mtu);
                let fragments: Vec<&[u8]> = fragments.iter().map(Vec::as_slice).collect();
                if let [whole] = fragments[..] {
                    assert_eq!(whole, packet);
                    continue;
                }
                let mut reassembler = Reassembler::new(LIMIT);
                let last = fragments
                    .iter()
                    .map(|fragment| add(&mut reassembler, Instant::ZERO, fragment))
                    .last();
                let Some(Added::Whole(whole)) = last else {
                    panic!("{len} bytes with an MTU of {mtu}: {last:?}");
                };
                let payload = describe(&whole).payload().unwrap();
                assert_eq!(whole[payload], packet[packet.len() - len..]);
            }
        }
    }
}

#[test]
fn the_very_same_fragment_may_come_twice() {
    for v6 in [false, true] {
        let fragments = four(v6);
        let order = [0, 0, 3, 3, 1, 1, 1].map(|place| &fragments[place][..]);
        check(&order, &Added::Waiting);
    }
}

#[test]
fn overlapping_fragments_spoil_the_packet() {
    for v6 in [false, true] {
        let fragments = four(v6);
        let mut other = cut(datagram(v6, 4000), 800 + 20, 7);
        let mut changed = fragments[1].clone();
        *changed.last_mut().unwrap() ^= 1;
        check(&[&fragments[0], &other.remove(1)], &UNUSABLE);
        check(&[&fragments[1], &changed], &UNUSABLE);

        // What follows begins a packet of its own, which is never whole.
        let mut reassembler = Reassembler::new(LIMIT);
        for fragment in [&fragments[1], &changed, &fragments[0], &fragments[2]] {
            add(&mut reassembler, Instant::ZERO, fragment);
        }
        assert_eq!(
            add(&mut reassembler, Instant::ZERO, &fragments[3]),
            Added::Waiting
        );
    }
}

/// A fragment with another offset and "more" bit than it was cut with.
fn moved(v6: bool, fragment: &[u8], offset: usize, more: bool) -> Vec<u8> {
    let mut fragment = fragment.to_vec();
    if v6 {
        fragment[42..44].copy_from_slice(&(offset as u16 | u16::from(more)).to_be_bytes());
    } else {
        let mut view = Ipv4Packet::new_unchecked(&mut fragment[..]);
        view.set_frag_offset(offset as u16);
        view.set_more_frags(more);
        view.fill_checksum();
    }
    fragment
}

#[test]
fn fragments_that_contradict_each_other_or_themselves() {
    for v6 in [false, true] {
        let fragments = four(v6);
        let [first, _, _, last] = &fragments[..] else {
            panic!("four fragments");
        };
        let moved = |fragment, offset, more| moved(v6, fragment, offset, more);
        // RFC 8200, section 4.5, says what the sender is told; RFC 791 nothing.
        let told = |at| Added::Unusable(v6.then_some(Problem::parameter(0, at)));
        // Beyond what 16 bits of length can say.
        check(&[&moved(first, 65_528, true)], &told(42));
        check(&[&moved(first, 65_000, false)], &told(42));
        // Only the last may have a length that is no multiple of eight, and the last is the last.
        let odd = cut(datagram(v6, 1500), MTU, 7).pop().unwrap();
        let odd_len = odd.len() - if v6 { 48 } else { 20 };
        assert_ne!(odd_len % 8, 0);
        check(&[&moved(&odd, 0, true)], &told(4));
        check(&[last, &moved(first, 8000, true)], &UNUSABLE);
        check(&[last, &moved(first, 8000, false)], &UNUSABLE);
        check(&[&moved(first, 8000, true), last], &UNUSABLE);
    }
}

#[test]
fn fragments_wait_for_sixty_seconds() {
    for v6 in [false, true] {
        for (after, in_time) in [(59_999, true), (60_000, false)] {
            let fragments = four(v6);
            let mut reassembler = Reassembler::new(LIMIT);
            for fragment in &fragments[..3] {
                add(&mut reassembler, Instant::ZERO, fragment);
            }
            let added = add(&mut reassembler, Instant::from_millis(after), &fragments[3]);
            assert_eq!(matches!(added, Added::Whole(_)), in_time);
        }
    }
}

/// What is told when a packet is given up: something, where its first fragment is there.
#[test]
fn packets_that_stay_unfinished_are_given_up() {
    for v6 in [false, true] {
        let fragments = four(v6);
        let mut reassembler = Reassembler::new(LIMIT);
        assert_eq!(reassembler.next_expiry(), None);
        add(&mut reassembler, Instant::ZERO, &fragments[0]);
        add(&mut reassembler, Instant::from_secs(1), &fragments[2]);
        let late = cut(datagram(v6, 4000), MTU, 8);
        add(&mut reassembler, Instant::from_secs(2), &late[1]);
        let end = Instant::from_secs(60);
        assert_eq!(reassembler.next_expiry(), Some(end));
        let errors = reassembler.expire(end);
        let [error] = &errors[..] else {
            panic!("{errors:?}");
        };
        let described = describe(error);
        let notation = described.notation(Default::default()).to_string();
        assert_eq!(notation, "icmp reassembly time exceeded");
        // It quotes the first fragment.
        let quoted = described.payload().unwrap();
        assert!(fragments[0].starts_with(&error[quoted]));
        assert_eq!(reassembler.next_expiry(), Some(Instant::from_secs(62)));
        assert!(reassembler.expire(Instant::from_secs(62)).is_empty());
        assert_eq!((reassembler.next_expiry(), reassembler.held), (None, 0));
    }
}

#[test]
fn the_oldest_packet_makes_room() {
    let half = |id: usize, which| cut(datagram(false, 2000), MTU, id as u32).swap_remove(which);
    // Each takes a bit more than 1,280 bytes and the error about it.
    for (limit, room) in [(usize::MAX, MAX_UNFINISHED), (20_000, 9), (1, 1)] {
        let mut reassembler = Reassembler::new(limit);
        for id in 0..=room {
            add(&mut reassembler, Instant::ZERO, &half(id, 0));
        }
        assert_eq!(reassembler.unfinished.len(), room);
        assert_eq!(reassembler.take_displaced(), 1);
        let end = add(&mut reassembler, Instant::ZERO, &half(room, 1));
        assert!(matches!(end, Added::Whole(_)));
        let end = add(&mut reassembler, Instant::ZERO, &half(0, 1));
        assert_eq!(end, Added::Waiting, "the first made room");
    }
}

#[test]
fn all_fragments_belong_to_the_flow_of_the_first() {
    let (peer, local) = ends(false);
    let transport = Transport::Udp;
    let key = FlowKey {
        transport,
        local,
        peer,
    };
    let fragments = four(false);
    let mut reassembler = Reassembler::new(LIMIT);
    let mut add = |place: usize, flow| {
        let ip = describe(&fragments[place]).ip.unwrap();
        reassembler
            .add(Instant::ZERO, &fragments[place], &ip, flow)
            .1
    };
    assert_eq!(add(2, None), None);
    assert_eq!(add(0, Some(key)), Some(key));
    assert_eq!(add(1, None), Some(key));
    assert_eq!(add(3, None), Some(key));
}

#[test]
fn packets_with_another_identification_or_protocol_are_others() {
    let (a, b) = (four(false), cut(datagram(false, 4000), MTU, 8));
    check(&[&a[0], &a[1], &a[2], &b[3]], &Added::Waiting);
    // RFC 791 compares the protocol too.
    let mut icmp = a[3].clone();
    let mut view = Ipv4Packet::new_unchecked(&mut icmp[..]);
    view.set_next_header(smoltcp::wire::IpProtocol::Icmp);
    view.fill_checksum();
    check(&[&a[0], &a[1], &a[2], &icmp], &Added::Waiting);
}

#[test]
fn extension_headers_are_left_out() {
    let (from, to) = ends(true);
    let zero = crate::segment::SeqNumber(0);
    let plain = reply::acknowledgment(from, to, (zero, zero), 1, Default::default());
    let with = |first: u8, headers: &[u8]| {
        let mut packet = plain[..40].to_vec();
        packet[6] = first;
        packet.extend(headers);
        packet.extend(&plain[40..]);
        let len = (packet.len() - 40) as u16;
        packet[4..6].copy_from_slice(&len.to_be_bytes());
        packet
    };
    assert_eq!(without_extensions(&plain), None);
    let padding = [1, 4, 0, 0, 0, 0];
    let options = |next: u8| [&[next, 0], &padding[..]].concat();
    #[rustfmt::skip]
    let rows = [
        (0, options(6)),
        (60, options(6)),
        (0, [options(60), options(6)].concat()),
        // An atomic fragment, RFC 6946.
        (44, vec![6, 0, 0, 0, 0, 0, 0, 9]),
    ];
    for (first, headers) in rows {
        assert_eq!(
            without_extensions(&with(first, &headers)).as_ref(),
            Some(&plain)
        );
    }
    for (first, headers) in [(0, vec![6, 200]), (0, vec![]), (59, vec![6; 8])] {
        assert_ne!(
            without_extensions(&with(first, &headers)).as_ref(),
            Some(&plain)
        );
    }
}

/// One packet as single octets, and what has come of it.
#[derive(Default)]
struct Octets {
    there: Vec<Option<u8>>,
    fragments: Vec<(usize, Vec<u8>)>,
    total: Option<usize>,
}

#[derive(Debug, PartialEq)]
enum Became {
    Waiting,
    Whole(Vec<u8>),
    Unusable,
}

impl Octets {
    fn add(&mut self, offset: usize, bytes: &[u8], more: bool) -> Became {
        let end = offset + bytes.len();
        if !bytes.is_empty() && self.fragments.contains(&(offset, bytes.to_vec())) {
            return Became::Waiting;
        }
        self.there.resize(self.there.len().max(end), None);
        let overlaps = self.there[offset..end].iter().any(Option::is_some);
        let beyond = self.total.is_some_and(|total| end > total || !more);
        let cuts = !more && self.there[end..].iter().any(Option::is_some);
        if overlaps || beyond || cuts {
            *self = Octets::default();
            return Became::Unusable;
        }
        for (place, &byte) in self.there[offset..end].iter_mut().zip(bytes) {
            *place = Some(byte);
        }
        self.fragments.push((offset, bytes.to_vec()));
        if !more {
            self.total = Some(end);
        }
        match self.there.iter().copied().collect::<Option<Vec<u8>>>() {
            Some(whole) if self.total == Some(whole.len()) => {
                *self = Octets::default();
                Became::Whole(whole)
            }
            _ => Became::Waiting,
        }
    }
}

/// A fragment: its identification, offset, payload, and whether more are to come.
type Cut = (u32, usize, Vec<u8>, bool);

fn cut_by_a_liar() -> impl Strategy<Value = Cut> {
    let offset = prop_oneof![
        6 => (0..6usize).prop_map(|units| units * 8),
        1 => select(&[65_488, 65_504, 65_512, 65_520, 65_528][..]),
        1 => (0..8_192usize).prop_map(|units| units * 8),
    ];
    let len = prop_oneof![6 => select(&[8usize, 8, 8, 16, 24]), 1 => 0..40usize];
    (0..3u32, offset, len, 0..2u8, prop::bool::weighted(0.8)).prop_filter_map(
        "neither an offset nor more to come is no fragment",
        |(id, offset, len, fill, more)| {
            let payload = (0..len).map(|at| fill * at as u8).collect();
            (offset > 0 || more).then_some((id, offset, payload, more))
        },
    )
}

fn fragment(v6: bool, (id, offset, payload, more): &Cut) -> Vec<u8> {
    let (from, to) = ends(v6);
    // What `cut` has made, with other numbers.
    let mut fragment = cut(reply::datagram(from, to, &[0; 3_000]).unwrap(), MTU, *id).remove(0);
    fragment.truncate(if v6 { 48 } else { 20 });
    fragment.extend(payload);
    if v6 {
        let len = fragment.len() - 40;
        fragment[4..6].copy_from_slice(&(len as u16).to_be_bytes());
        fragment[42..44].copy_from_slice(&(*offset as u16 | u16::from(*more)).to_be_bytes());
    } else {
        let len = fragment.len() as u16;
        let mut view = Ipv4Packet::new_unchecked(&mut fragment[..]);
        view.set_total_len(len);
        view.set_more_frags(*more);
        view.set_frag_offset(*offset as u16);
        view.fill_checksum();
    }
    fragment
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_cut_becomes_what_its_octets_say(
        v6 in any::<bool>(),
        cuts in prop::collection::vec(cut_by_a_liar(), 1..40),
    ) {
        let mut reassembler = Reassembler::new(LIMIT);
        let mut model: [Octets; 3] = Default::default();
        for one in &cuts {
            let (id, offset, payload, more) = one;
            let fits = offset + payload.len() + if v6 { 0 } else { 20 } <= 65_535;
            let valid = fits && (!more || !payload.is_empty() && payload.len() % 8 == 0);
            let expected = match valid {
                true => model[*id as usize].add(*offset, payload, *more),
                false => Became::Unusable,
            };
            let became = match add(&mut reassembler, Instant::ZERO, &fragment(v6, one)) {
                Added::Waiting => Became::Waiting,
                Added::Unusable(_) => Became::Unusable,
                Added::Whole(whole) => {
                    let described = describe(&whole);
                    let ip = described.ip.unwrap();
                    prop_assert!(ip.fragment.is_none() && ip.total_len == whole.len());
                    Became::Whole(whole[if v6 { 40 } else { 20 }..].to_vec())
                }
            };
            prop_assert_eq!(became, expected, "{:?}", one);
            let costs: usize = reassembler.unfinished.iter().map(Unfinished::cost).sum();
            prop_assert_eq!(reassembler.held, costs);
        }
    }

    /// However many there are, of whatever size, they take no more than they may.
    #[test]
    fn memory_has_a_limit(
        limit in 0..20_000usize,
        cuts in prop::collection::vec((cut_by_a_liar(), any::<u16>(), 0..1_500usize), 1..60),
    ) {
        let mut reassembler = Reassembler::new(limit);
        for (place, ((_, offset, _, more), id, len)) in cuts.into_iter().enumerate() {
            let one = (id.into(), offset, vec![0; len / 8 * 8], more);
            let at = Instant::from_millis(place as i64);
            add(&mut reassembler, at, &fragment(true, &one));
            let taken: usize = reassembler.unfinished.iter().map(|unfinished| {
                let of = |kept: &Option<Vec<u8>>| kept.as_ref().map_or(0, Vec::len);
                let pieces: usize = unfinished.pieces.values().map(Vec::len).sum();
                pieces + of(&unfinished.header) + of(&unfinished.late)
            }).sum();
            prop_assert!(taken <= reassembler.held);
            prop_assert!(reassembler.held <= limit || reassembler.unfinished.len() <= 1);
        }
        reassembler.expire(Instant::from_secs(61));
        prop_assert!(reassembler.held == 0 && reassembler.unfinished.is_empty());
    }

    /// What is before a fragment header may be anything that can be read.
    #[test]
    fn any_headers_may_come_first(
        kinds in prop::collection::vec((select(&[0u8, 6, 43, 44, 51, 60][..]), 0..3u8), 0..5),
        rest in prop::collection::vec(any::<u8>(), 0..200),
        next in select(&[0u8, 43, 44, 51, 60][..]),
    ) {
        let mut packet = vec![0; 40];
        (packet[0], packet[6], packet[24]) = (0x60, next, 0x20);
        for (kind, units) in kinds {
            let len = usize::from(units) * 8 + 8;
            packet.extend([kind, units]);
            packet.resize(packet.len() + len - 2, 1);
        }
        packet.extend(rest);
        let len = packet.len() - 40;
        packet[4..6].copy_from_slice(&(len as u16).to_be_bytes());
        without_extensions(&packet);
        if let Some(ip) = describe(&packet).ip.filter(|ip| ip.total_len <= packet.len()) {
            Reassembler::new(LIMIT).add(Instant::ZERO, &packet, &ip, None);
        }
    }
}
