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

#[cfg(test)]
mod tests;

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
