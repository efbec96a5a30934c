//! How segments and other packets print.

use super::{Described, Segment, SeqNumber};
use std::fmt;

/// From where relative sequence numbers count.
///
/// Both initial sequence numbers print as 0, so the first byte of data is 1. Where one is `None` (its SYN
/// was not seen), the numbers of that direction print absolute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The initial sequence number of the segment's sender.
    pub seq: Option<SeqNumber>,
    /// The initial sequence number of the segment's receiver, to which its acknowledgments refer.
    pub ack: Option<SeqNumber>,
}

/// A packet in packetdrill's notation; made by [`Described::notation`] and [`Segment::notation`].
#[derive(Clone, Copy, Debug)]
pub struct Notation<'a> {
    described: &'a Described,
    origin: Origin,
}

impl Described {
    /// This packet in packetdrill's notation, sequence numbers counted from `origin`.
    pub fn notation(&self, origin: Origin) -> Notation<'_> {
        Notation {
            described: self,
            origin,
        }
    }
}

impl fmt::Display for Notation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = (f, self.described, self.origin);
        todo!()
    }
}

#[allow(unused)]
fn segment(_: &Segment) {}
