use super::*;
use crate::event::Transport;
use crate::segment::liar::chosen;
use proptest::prelude::*;

fn key(port: u16) -> FlowKey {
    FlowKey {
        transport: Transport::Tcp,
        local: "192.0.2.2:7".parse().unwrap(),
        peer: std::net::SocketAddr::new("192.0.2.1".parse().unwrap(), port),
    }
}

#[test]
fn a_cookie_brings_the_mss_back_for_a_while() {
    let mut cookies = Cookies::new(7);
    let irs = SeqNumber(99);
    for (mss, expected) in [
        (100, 48),
        (536, 536),
        (1459, 1440),
        (1460, 1460),
        (u16::MAX, 8960),
    ] {
        for second in [0, 63, 64, 2_047, 5_000_000] {
            let at = Instant::from_secs(second);
            let iss = cookies.bake(at, &key(1), irs, mss);
            assert_eq!(cookies.check(at, &key(1), irs, iss), Some(expected));
            assert_eq!(cookies.check(at + UNIT, &key(1), irs, iss), Some(expected));
            assert_eq!(cookies.check(at + UNIT * 2, &key(1), irs, iss), None);
        }
    }
}

#[test]
fn a_cookie_is_good_for_one_syn_only() {
    let mut cookies = Cookies::new(7);
    let (now, irs) = (Instant::from_secs(1_000), SeqNumber(99));
    assert_eq!(cookies.check(now, &key(1), irs, SeqNumber(0)), None);
    let iss = cookies.bake(now, &key(1), irs, 1460);
    assert_eq!(cookies.check(now, &key(2), irs, iss), None);
    assert_eq!(cookies.check(now, &key(1), irs + 1, iss), None);
    assert_eq!(Cookies::new(8).check(now, &key(1), irs, iss), None);
    let guessed =
        (0..1_000_000).filter(|&guess| cookies.check(now, &key(1), irs, iss + guess).is_some());
    assert_eq!(guessed.count(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// What an ACK brings back is whatever the peer says. A cookie is believed for its own SYN alone, and for a while.
    #[test]
    fn only_what_was_baked_is_believed(
        (baked_at, later) in (0..1i64 << 40, prop_oneof![0..300i64, 0..1i64 << 40]),
        (irs, other_irs) in (any::<u32>(), chosen()),
        iss in chosen(),
        (mss, port) in (any::<u16>(), any::<u16>()),
    ) {
        let mut cookies = Cookies::new(7);
        let (at, now) = (Instant::from_secs(baked_at), Instant::from_secs(baked_at + later));
        let irs = SeqNumber(irs);
        let other_irs = other_irs.of(&[irs]);
        prop_assert_eq!(cookies.check(now, &key(port), irs, SeqNumber(mss.into())), None);
        let cookie = cookies.bake(at, &key(port), irs, mss);
        let iss = iss.of(&[cookie]);
        // Of 64 seconds each, counted from zero.
        let fresh = now.secs() / 64 - at.secs() / 64 <= 1;
        let size = SIZES.into_iter().filter(|&size| size <= mss).max().unwrap_or(48);
        prop_assert_eq!(cookies.check(now, &key(port), irs, cookie), fresh.then_some(size));
        if other_irs != irs {
            prop_assert_eq!(cookies.check(now, &key(port), other_irs, cookie), None);
        }
        // One number in 2^19 is a cookie of one of the other sizes or times.
        if iss != cookie && later < 64 {
            let believed = cookies.check(now, &key(port), irs, iss);
            let is_cookie = (0..256).any(|told| cookies.cookie(&key(port), irs, told) == iss);
            prop_assert!(believed.is_none() || is_cookie);
        }
    }
}
