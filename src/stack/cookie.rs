//! SYN cookies (RFC 4987, section 3.6): what must be known of a handshake, in the sequence number of its SYN-ACK.
//!
//! ```text
//!    31    27 26  24 23                        0
//!   ┌────────┬──────┬───────────────────────────┐
//!   │ time   │ MSS  │ keyed hash of everything  │     the upper eight bits are masked by another keyed hash
//!   └────────┴──────┴───────────────────────────┘
//! ```
//!
//! When as many connections as allowed wait for the end of their handshake, further SYNs are answered without keeping
//! anything. The ACK brings the number back, and with it the peer's MSS. What does not fit is not offered: neither window
//! scaling nor SACK.

use super::table::FlowKey;
use crate::segment::SeqNumber;
use siphasher::sip::SipHasher24;
use smoltcp::time::{Duration, Instant};
use std::hash::{Hash, Hasher};

/// The unit of the time in a cookie. One is good for this long at least, and for twice as long at most.
const UNIT: Duration = Duration::from_secs(64);

/// The values of the peer's MSS that a cookie can tell apart; the largest that is not too large is taken.
const SIZES: [u16; 8] = [48, 536, 1220, 1300, 1400, 1440, 1460, 8960];

/// Bakes cookies, and knows its own.
#[derive(Debug)]
pub(crate) struct Cookies {
    secret: (u64, u64),
    /// When one was given out last: none is believed long after that.
    last: Option<Instant>,
}

impl Cookies {
    pub(crate) fn new(seed: u64) -> Cookies {
        let half = |which: u64| {
            let mut hasher = SipHasher24::new_with_keys(seed, which);
            hasher.write(b"RFC 4987");
            hasher.finish()
        };
        Cookies {
            secret: (half(1), half(2)),
            last: None,
        }
    }

    /// The initial sequence number for the answer to a SYN with this number and MSS.
    pub(crate) fn bake(
        &mut self,
        now: Instant,
        key: &FlowKey,
        irs: SeqNumber,
        mss: u16,
    ) -> SeqNumber {
        self.last = Some(now);
        let size = SIZES.iter().rposition(|&size| size <= mss).unwrap_or(0) as u32;
        self.cookie(key, irs, time(now) << 3 | size)
    }

    /// The peer's MSS, where `iss` is a cookie for this SYN and not too old.
    pub(crate) fn check(
        &self,
        now: Instant,
        key: &FlowKey,
        irs: SeqNumber,
        iss: SeqNumber,
    ) -> Option<u16> {
        if now > self.last? + UNIT * 2 {
            return None;
        }
        let told = (iss.0 >> 24) ^ self.mask(key, irs);
        let age = time(now).wrapping_sub(told >> 3) % 32;
        let size = SIZES[(told % 8) as usize];
        (age <= 1 && self.cookie(key, irs, told) == iss).then_some(size)
    }

    fn cookie(&self, key: &FlowKey, irs: SeqNumber, told: u32) -> SeqNumber {
        let hash = self.hash(key, irs, told) as u32 & 0x00ff_ffff;
        SeqNumber((told ^ self.mask(key, irs)) << 24 | hash)
    }

    fn mask(&self, key: &FlowKey, irs: SeqNumber) -> u32 {
        self.hash(key, irs, u32::MAX) as u32 & 0xff
    }

    fn hash(&self, key: &FlowKey, irs: SeqNumber, told: u32) -> u64 {
        let mut hasher = SipHasher24::new_with_keys(self.secret.0, self.secret.1);
        (key, irs, told).hash(&mut hasher);
        hasher.finish()
    }
}

/// In units, as far as it fits.
fn time(now: Instant) -> u32 {
    (now.total_micros() as u64 / UNIT.total_micros() % 32) as u32
}

#[cfg(test)]
mod tests {
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
}
