//! The options of a TCP header, kept as the bytes that they are (RFC 9293, section 3.1).

use super::parse::{u16_at, u32_at};
use super::{SackBlocks, SeqNumber, TcpOption};
use std::fmt;

/// A header has 60 bytes at most, of which 20 are fixed.
const ROOM: usize = 40;
const END_OF_LIST: u8 = 0;
const NOP: u8 = 1;
const MAX_SEGMENT_SIZE: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;

/// The options of a segment, in the order in which they stand.
///
/// ```
/// use tcplab::segment::{Options, TcpOption};
///
/// let options: Options = [TcpOption::MaxSegmentSize(1460), TcpOption::WindowScale(7)].into_iter().collect();
/// assert_eq!(options.as_bytes(), [2, 4, 5, 180, 3, 3, 7]);
/// assert!(options.contains(TcpOption::WindowScale(7)));
/// assert_eq!(options.iter().count(), 2);
/// ```
#[derive(Clone, Copy)]
pub struct Options {
    bytes: [u8; ROOM],
    len: u8,
}

impl Options {
    /// None.
    pub const fn new() -> Options {
        Options {
            bytes: [0; ROOM],
            len: 0,
        }
    }

    /// Those that stand in these bytes of a header, 40 at most: what is behind them is left out.
    pub(super) fn read(bytes: &[u8]) -> Options {
        let mut options = Options::new();
        options.put(&bytes[..bytes.len().min(ROOM)]);
        options
    }

    /// What stands in the header.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// One after the other, padding included.
    pub fn iter(&self) -> OptionsIter<'_> {
        OptionsIter(self.as_bytes())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether this one is among them.
    pub fn contains(&self, option: TcpOption) -> bool {
        self.iter().any(|other| other == option)
    }

    /// Whether there is nothing to look at but timestamps, behind two NOPs as RFC 7323 recommends (appendix A): so it is in
    /// nearly all segments of most connections.
    pub(crate) fn is_plain(&self) -> bool {
        match self.len {
            0 => true,
            12 => self.bytes.starts_with(&[NOP, NOP, TIMESTAMPS, 10]),
            _ => false,
        }
    }

    /// TSval and TSecr of the timestamps option.
    pub fn timestamps(&self) -> Option<(u32, u32)> {
        if self.is_plain() {
            return (!self.is_empty()).then(|| (u32_at(&self.bytes, 4), u32_at(&self.bytes, 8)));
        }
        let option: &[u8; 10] = self.find(TIMESTAMPS)?;
        Some((u32_at(option, 2), u32_at(option, 6)))
    }

    pub(super) fn max_segment_size(&self) -> Option<u16> {
        let option: &[u8; 4] = self.find(MAX_SEGMENT_SIZE)?;
        Some(u16_at(option, 2))
    }

    pub(super) fn window_scale(&self) -> Option<u8> {
        let [_, _, shift]: &[u8; 3] = self.find(WINDOW_SCALE)?;
        Some(*shift)
    }

    pub(super) fn permits_sack(&self) -> bool {
        self.find::<2>(SACK_PERMITTED).is_some()
    }

    /// The first option of this kind that is as long as such an option has to be.
    fn find<const LEN: usize>(&self, kind: u8) -> Option<&[u8; LEN]> {
        let mut rest = self.as_bytes();
        loop {
            let (option, others) = split(rest)?;
            if option[0] == kind
                && let Ok(option) = option.try_into()
            {
                return Some(option);
            }
            rest = others;
        }
    }

    /// Adds one behind the others, if there is room for it. Of one that we don't know, the contents are zero.
    pub fn push(&mut self, option: TcpOption) {
        match option {
            TcpOption::EndOfList => self.put(&[END_OF_LIST]),
            TcpOption::Nop => self.put(&[NOP]),
            TcpOption::MaxSegmentSize(mss) => {
                let [high, low] = mss.to_be_bytes();
                self.put(&[MAX_SEGMENT_SIZE, 4, high, low]);
            }
            TcpOption::WindowScale(shift) => self.put(&[WINDOW_SCALE, 3, shift]),
            TcpOption::SackPermitted => self.put(&[SACK_PERMITTED, 2]),
            TcpOption::Sack(blocks) => {
                let mut bytes = [0; 34];
                let len = 2 + 8 * blocks.as_slice().len();
                bytes[..2].copy_from_slice(&[SACK, len as u8]);
                let edges = blocks
                    .as_slice()
                    .iter()
                    .flat_map(|&(left, right)| [left, right]);
                for (place, edge) in bytes[2..].chunks_exact_mut(4).zip(edges) {
                    place.copy_from_slice(&edge.0.to_be_bytes());
                }
                self.put(&bytes[..len]);
            }
            TcpOption::Timestamps { val, ecr } => {
                let mut bytes = [TIMESTAMPS, 10, 0, 0, 0, 0, 0, 0, 0, 0];
                bytes[2..6].copy_from_slice(&val.to_be_bytes());
                bytes[6..].copy_from_slice(&ecr.to_be_bytes());
                self.put(&bytes);
            }
            TcpOption::Unknown { kind, len } => {
                let mut bytes = [0; ROOM];
                bytes[..2].copy_from_slice(&[kind, len]);
                self.put(bytes.get(..len.into()).unwrap_or_default());
            }
            TcpOption::Malformed { kind } => self.put(&[kind]),
        }
    }

    /// Leaves the last one out if it runs past the end.
    pub(super) fn without_malformed(mut self) -> Options {
        let mut rest = self.iter();
        let mut left = rest.0.len();
        while let Some(option) = rest.next() {
            if let TcpOption::Malformed { .. } = option {
                self.len -= left as u8;
                break;
            }
            left = rest.0.len();
        }
        self
    }

    fn put(&mut self, bytes: &[u8]) {
        let len = usize::from(self.len);
        if let Some(room) = self.bytes[len..].get_mut(..bytes.len()) {
            room.copy_from_slice(bytes);
            self.len += bytes.len() as u8;
        }
    }
}

impl Default for Options {
    fn default() -> Options {
        Options::new()
    }
}

impl FromIterator<TcpOption> for Options {
    fn from_iter<I: IntoIterator<Item = TcpOption>>(options: I) -> Options {
        let mut all = Options::new();
        options.into_iter().for_each(|option| all.push(option));
        all
    }
}

impl<'a> IntoIterator for &'a Options {
    type Item = TcpOption;
    type IntoIter = OptionsIter<'a>;

    fn into_iter(self) -> OptionsIter<'a> {
        self.iter()
    }
}

/// Options are the same if they mean the same, whatever stands behind their end.
impl PartialEq for Options {
    fn eq(&self, other: &Options) -> bool {
        self.iter().eq(other)
    }
}

impl Eq for Options {}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

/// The options of a header, one after the other.
#[derive(Clone, Debug)]
pub struct OptionsIter<'a>(&'a [u8]);

impl Iterator for OptionsIter<'_> {
    type Item = TcpOption;

    fn next(&mut self) -> Option<TcpOption> {
        let &kind = self.0.first()?;
        let Some((option, rest)) = split(self.0) else {
            self.0 = &[];
            return Some(TcpOption::Malformed { kind });
        };
        self.0 = rest;
        Some(match kind {
            END_OF_LIST => TcpOption::EndOfList,
            NOP => TcpOption::Nop,
            _ => known(kind, option),
        })
    }
}

/// The first option and what follows it; `None` where there is none, or it runs past the end.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    match bytes {
        // What follows the end of the list is padding.
        [END_OF_LIST, ..] => Some((&bytes[..1], &[])),
        [NOP, ..] => Some(bytes.split_at(1)),
        [_, len, ..] if *len >= 2 => bytes.split_at_checked((*len).into()),
        _ => None,
    }
}

/// The meaning of an option with a length byte. RFC 9293, section 3.2: a length that is not the kind's own
/// makes it one that we don't know.
fn known(kind: u8, option: &[u8]) -> TcpOption {
    match (kind, option.len()) {
        (MAX_SEGMENT_SIZE, 4) => TcpOption::MaxSegmentSize(u16_at(option, 2)),
        (WINDOW_SCALE, 3) => TcpOption::WindowScale(option[2]),
        (SACK_PERMITTED, 2) => TcpOption::SackPermitted,
        (SACK, 10 | 18 | 26 | 34) => {
            let edge = |at| SeqNumber(u32_at(option, at));
            TcpOption::Sack(SackBlocks::new(
                (2..option.len())
                    .step_by(8)
                    .map(|at| (edge(at), edge(at + 4))),
            ))
        }
        (TIMESTAMPS, 10) => TcpOption::Timestamps {
            val: u32_at(option, 2),
            ecr: u32_at(option, 6),
        },
        (kind, len) => TcpOption::Unknown {
            kind,
            len: len as u8,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_together_can_be_read() {
        #[track_caller]
        fn check(options: &[TcpOption], bytes: usize) {
            let made: Options = options.iter().copied().collect();
            assert_eq!(made.iter().collect::<Vec<_>>(), options);
            assert_eq!(made.as_bytes().len(), bytes);
            assert_eq!(Options::read(made.as_bytes()), made);
        }
        let block = |number| (SeqNumber(number), SeqNumber(number + 10));
        let timestamps = TcpOption::Timestamps {
            val: 1,
            ecr: u32::MAX,
        };
        check(&[], 0);
        check(
            &[
                TcpOption::MaxSegmentSize(1460),
                TcpOption::SackPermitted,
                timestamps,
                TcpOption::Nop,
                TcpOption::WindowScale(7),
            ],
            20,
        );
        for count in 1..=4 {
            let blocks = SackBlocks::new((0..count).map(|n| block(n * 100)));
            check(&[TcpOption::Sack(blocks)], 2 + 8 * count as usize);
        }
        check(
            &[
                TcpOption::Unknown { kind: 254, len: 9 },
                TcpOption::EndOfList,
            ],
            10,
        );
        check(&[TcpOption::Nop, TcpOption::Malformed { kind: 9 }], 2);
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let timestamps = TcpOption::Timestamps { val: 1, ecr: 2 };
        let options: Options = [timestamps; 5].into_iter().collect();
        assert_eq!(options.iter().count(), 4);
        let long = TcpOption::Unknown { kind: 77, len: 200 };
        assert!(Options::from_iter([long]).is_empty());
    }

    #[test]
    fn timestamps_are_found_anywhere() {
        #[track_caller]
        fn check(bytes: &[u8], expected: Option<(u32, u32)>) {
            assert_eq!(Options::read(bytes).timestamps(), expected);
        }
        check(&[], None);
        check(&[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2], Some((1, 2)));
        check(&[8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1], Some((1, 2)));
        check(&[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 4, 2], Some((1, 2)));
        check(&[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0], None);
        check(&[0, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2], None);
    }

    #[test]
    fn the_first_of_the_proper_length_counts() {
        #[track_caller]
        fn check(bytes: &[u8], mss: Option<u16>, scale: Option<u8>, sack: bool) {
            let options = Options::read(bytes);
            assert_eq!(options.max_segment_size(), mss);
            assert_eq!(options.window_scale(), scale);
            assert_eq!(options.permits_sack(), sack);
        }
        check(&[], None, None, false);
        let both = [2, 3, 5, 2, 4, 5, 180, 2, 4, 0, 1, 3, 3, 7, 4, 2];
        check(&both, Some(1460), Some(7), true);
        check(&[4, 3, 0, 254, 6, 3, 3, 7, 0], None, None, false);
        check(&[4, 2, 0, 3, 3, 7], None, None, true);
        check(&[3, 3, 7, 2, 1, 4, 2], None, Some(7), false);
        check(&[4, 2, 2, 4, 5], None, None, true);
    }

    #[test]
    fn only_what_is_malformed_is_left_out() {
        #[track_caller]
        fn check(bytes: &[u8], expected: &[u8]) {
            let whole = Options::read(bytes).without_malformed();
            assert_eq!(whole.as_bytes(), expected);
        }
        check(&[], &[]);
        check(&[2, 4, 5], &[]);
        check(&[1, 254, 4, 7, 7, 8, 10, 0], &[1, 254, 4, 7, 7]);
        check(&[4, 2, 0, 9], &[4, 2, 0, 9]);
    }

    #[test]
    fn padding_makes_no_difference() {
        assert_eq!(Options::read(&[4, 2, 0, 7]), Options::read(&[4, 2, 0]));
        assert_ne!(Options::read(&[4, 2, 0]), Options::read(&[4, 2, 1]));
    }
}
