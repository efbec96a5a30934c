use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// A sequence number: arithmetic and comparison wrap at 2^32 (RFC 9293, section 3.4).
///
/// There is no `Ord`: of two numbers half the circle apart neither is the smaller one, so a sorted
/// list of them would mean nothing. Compare with [`before`](SeqNumber::before) and
/// [`at_or_before`](SeqNumber::at_or_before).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SeqNumber(pub u32);

impl SeqNumber {
    /// Whether `self` comes before `other` on the shorter way round.
    pub const fn before(self, other: SeqNumber) -> bool {
        (self.0.wrapping_sub(other.0) as i32) < 0
    }

    /// Whether `self` comes before `other` or is the same.
    pub const fn at_or_before(self, other: SeqNumber) -> bool {
        !other.before(self)
    }

    /// The later of the two.
    #[must_use]
    pub const fn max(self, other: SeqNumber) -> SeqNumber {
        if self.before(other) { other } else { self }
    }

    /// How far `self` lies after `origin`: what is printed as a relative number.
    pub const fn since(self, origin: SeqNumber) -> u32 {
        self.0.wrapping_sub(origin.0)
    }
}

impl Add<u32> for SeqNumber {
    type Output = SeqNumber;

    fn add(self, count: u32) -> SeqNumber {
        SeqNumber(self.0.wrapping_add(count))
    }
}

impl AddAssign<u32> for SeqNumber {
    fn add_assign(&mut self, count: u32) {
        *self = *self + count;
    }
}

impl Sub<u32> for SeqNumber {
    type Output = SeqNumber;

    fn sub(self, count: u32) -> SeqNumber {
        SeqNumber(self.0.wrapping_sub(count))
    }
}

impl fmt::Display for SeqNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparison_wraps() {
        let below = SeqNumber(u32::MAX);
        let above = SeqNumber(1);
        assert!(below.before(above) && !above.before(below));
        assert!(above.at_or_before(above) && !above.before(above));
        assert_eq!(below.max(above), above);
    }

    #[test]
    fn arithmetic_wraps() {
        assert_eq!(SeqNumber(u32::MAX) + 2, SeqNumber(1));
        assert_eq!(SeqNumber(1) - 2, SeqNumber(u32::MAX));
        assert_eq!(SeqNumber(1).since(SeqNumber(u32::MAX)), 2);
    }
}
