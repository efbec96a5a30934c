//! How large packets may be on their way to a peer (RFC 1191, RFC 8201).
//!
//! Routers tell it in ICMP messages, which anybody can forge: whoever is believed can make every segment tiny. So a message
//! counts for one connection or exchange only, for as long as that lasts, and has to fit what was sent.

/// RFC 8200, section 5: every link carries 1,280 bytes. RFC 8201, section 4: a node "must not reduce its estimate of the
/// Path MTU below the IPv6 minimum link MTU".
const MIN_V6: u32 = 1280;
/// RFC 1191, section 3: a host "MUST never reduce its estimate of the Path MTU below 68 octets".
const MIN_V4: u32 = 68;
/// Below this we make no smaller packets and let routers cut them, as Linux (`min_pmtu`): a forged message may not cost
/// more.
const FLOOR_V4: u16 = 552;
/// Sizes are rounded down to a multiple of this, so that there are not too many of them.
const STEP: u32 = 32;
/// RFC 1191, section 7.1: what to try where an old router does not say.
const PLATEAUS: [u32; 10] = [
    32_000, 17_914, 8_166, 4_352, 2_002, 1_492, 1_006, 508, 296, 68,
];

/// What is known of one path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Path {
    mtu: Option<u16>,
    fragments: bool,
}

impl Path {
    /// How large packets may be, where that is less than our MTU.
    pub(crate) fn mtu(self) -> Option<u16> {
        self.mtu
    }

    /// Whether routers have to cut even those.
    pub(crate) fn fragments(self) -> bool {
        self.fragments
    }

    /// A message says that a packet of `len` bytes was larger than `mtu`. `own` is our MTU. Returns what packets may have
    /// from now on, where that is less than before: otherwise the message is not believed, or nothing new.
    pub(crate) fn hear(&mut self, v4: bool, own: usize, mtu: u32, len: usize) -> Option<u16> {
        let mtu = match mtu {
            0 if v4 => *PLATEAUS.iter().find(|&&plateau| (plateau as usize) < len)?,
            mtu => mtu,
        };
        let before = self.mtu.map_or(own, usize::from);
        let fits = mtu as usize >= len;
        if fits || len > before || mtu < if v4 { MIN_V4 } else { MIN_V6 } {
            return None;
        }
        let rounded = u16::try_from(mtu / STEP * STEP).ok()?;
        let now = if v4 { rounded.max(FLOOR_V4) } else { rounded };
        self.fragments |= mtu < FLOOR_V4.into();
        if usize::from(now) >= before {
            return None;
        }
        self.mtu = Some(now);
        Some(now)
    }
}

#[cfg(test)]
mod tests {
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
                0, 1, 67, 68, 69, 296, 508, 551, 552, 553, 1279, 1280, 1281, 1312, 1499, 1500,
                1501, 65_535,
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
}
