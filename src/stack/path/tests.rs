use super::*;
use proptest::prelude::*;
use proptest::sample::select;

#[test]
fn what_is_believed() {
    #[track_caller]
    fn check(v4: bool, own: usize, mtu: u32, len: usize, expected: Option<u16>) {
        let mut path = Path::default();
        assert_eq!(path.hear(v4, own, mtu, len), expected, "{mtu} of {len}");
        assert_eq!(path.mtu(), expected);
    }
    for v4 in [true, false] {
        check(v4, 1500, 1400, 1500, Some(1376));
        check(v4, 1500, 1280, 1281, Some(1280));
        // It would have fitted; it was never that large; it fits anyway.
        check(v4, 1500, 1400, 1400, None);
        check(v4, 1500, 1400, 1501, None);
        check(v4, 1500, 9000, 1500, None);
        check(v4, 1500, 67, 1500, None);
        check(v4, 1500, u32::MAX, 1500, None);
    }
    check(false, 1500, 1279, 1500, None);
    check(false, 1500, 0, 1500, None);
    check(true, 1500, 0, 1500, Some(1472));
    check(true, 9000, 0, 9000, Some(8160));
    check(true, 1500, 68, 1500, Some(552));
    check(true, 1500, 0, 68, None);
}

#[test]
fn a_path_only_narrows() {
    let mut path = Path::default();
    assert_eq!(path.hear(true, 1500, 1400, 1500), Some(1376));
    assert_eq!(path.hear(true, 1500, 1400, 1500), None, "too large by now");
    assert_eq!(path.hear(true, 1500, 1000, 1376), Some(992));
    assert!(!path.fragments());
    assert_eq!(path.hear(true, 1500, 300, 992), Some(552));
    assert!(path.fragments());
    assert_eq!(path.hear(true, 1500, 68, 552), None);
}

/// What a router says: as it is, and near what matters.
fn size() -> impl Strategy<Value = u32> {
    let near = select(
        &[
            0, 1, 67, 68, 69, 296, 508, 551, 552, 553, 1279, 1280, 1281, 1312, 1499, 1500, 1501,
            65_535,
        ][..],
    );
    prop_oneof![
        4 => near,
        4 => 0..2_000u32,
        1 => any::<u32>(),
        1 => select(&[65_536, (1 << 31) - 1, 1 << 31, u32::MAX][..]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever routers say, packets stay as large as every link carries, and only get smaller.
    #[test]
    fn nothing_a_router_says_makes_packets_tiny(
        v4 in any::<bool>(),
        own in prop_oneof![1280..1501usize, 1280..65_536usize],
        said in prop::collection::vec((size(), size()), 1..20),
    ) {
        let mut path = Path::default();
        for (mtu, len) in said {
            let before = path.mtu().map_or(own, usize::from);
            let len = len as usize;
            let heard = path.hear(v4, own, mtu, len);
            let after = path.mtu().map_or(own, usize::from);
            prop_assert_eq!(heard.is_some(), after < before);
            prop_assert!(heard.is_none() || heard == path.mtu());
            if after == before {
                continue;
            }
            let least = if v4 { 552 } else { 1280 };
            prop_assert!(after >= least, "{}", after);
            // It speaks of a packet that may have been sent, and says less.
            prop_assert!(len <= before && (mtu as usize) < len);
            prop_assert!(v4 && mtu == 0 || after <= (mtu as usize).max(least));
            prop_assert_eq!(after % 8, 0);
        }
    }
}
