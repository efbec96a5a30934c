//! Timestamps (RFC 7323): the clock of a connection, what of the peer's is echoed, and PAWS.
//!
//! smoltcp has room for the option and no clock for it, echoes whatever came last, and compares nothing. So it writes
//! zeros, and what they stand for is known here.

#[cfg(test)]
mod tests;

use crate::segment::{Flags, Options, Segment, SeqNumber, TcpOption};
use smoltcp::time::{Duration, Instant};

/// RFC 7323, section 5.5: a timestamp says nothing after "more than 24 days" of silence.
const OUTDATED: Duration = Duration::from_secs(24 * 24 * 60 * 60);

/// The bytes that the option takes in each segment, its padding included.
pub(crate) const LEN: u16 = 12;

/// What smoltcp calls for its own: the true value is filled in later.
pub(crate) fn nothing() -> u32 {
    0
}

/// The timestamps of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stamps {
    /// What our clock is moved by: a hash of the endpoints, so that it tells nobody how long we have been running, and
    /// goes on from one connection between the same endpoints to the next (section 7.1).
    offset: u32,
    /// Whether both have offered it.
    on: bool,
    /// TS.Recent, and when it was set.
    recent: u32,
    set_at: Option<Instant>,
    /// Last.ACK.sent.
    last_ack: SeqNumber,
}

impl Stamps {
    pub(crate) fn new(offset: u32) -> Stamps {
        Stamps {
            offset,
            ..Stamps::default()
        }
    }

    /// The peer's SYN counts; `offered` says whether our side has the option too.
    pub(crate) fn synchronize(&mut self, now: Instant, syn: &Segment, offered: bool) {
        let val = value(syn).filter(|_| offered);
        self.on = val.is_some();
        if let Some(val) = val {
            (self.recent, self.set_at) = (val, Some(now));
        }
        self.last_ack = syn.end();
    }

    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    /// PAWS, section 5.3, R1: "If there is a Timestamps option in the arriving segment, SEG.TSval < TS.Recent, TS.Recent is
    /// valid [...], and if the RST bit is not set, then treat the arriving segment as not acceptable".
    pub(crate) fn rejects(&self, now: Instant, segment: &Segment) -> bool {
        let valid = self.set_at.is_some_and(|at| now < at + OUTDATED);
        match value(segment) {
            Some(val) if self.on && valid && !segment.flags.contains(Flags::RST) => {
                is_before(val, self.recent)
            }
            _ => false,
        }
    }

    /// RFC 6191, section 2: whether a SYN has a timestamp that is later than all of the connection in TIME-WAIT.
    pub(crate) fn is_newer(&self, syn: &Segment) -> bool {
        self.on && value(syn).is_some_and(|val| is_before(self.recent, val))
    }

    /// Section 4.3: "If: SEG.TSval >= TS.Recent and SEG.SEQ <= Last.ACK.sent then the TSval is copied into TS.Recent".
    pub(crate) fn note(&mut self, now: Instant, segment: &Segment) {
        if let Some(val) = value(segment)
            && self.on
            && !is_before(val, self.recent)
            && segment.seq.at_or_before(self.last_ack)
        {
            (self.recent, self.set_at) = (val, Some(now));
        }
    }

    /// A segment leaves that acknowledges this.
    pub(crate) fn acknowledged(&mut self, ack: SeqNumber) {
        self.last_ack = ack;
    }

    /// TSval and TSecr of a segment that leaves. Section 3.2: "When the ACK bit is not set in the outgoing segment, the
    /// sender of that segment SHOULD set TSecr to zero."
    pub(crate) fn values(&self, now: Instant, acknowledges: bool) -> (u32, u32) {
        let val = (now.total_millis() as u32).wrapping_add(self.offset);
        (val, if acknowledges { self.recent } else { 0 })
    }

    /// The option of a segment that acknowledges, where it is in use.
    pub(crate) fn option(&self, now: Instant) -> Options {
        let (val, ecr) = self.values(now, true);
        let option = self.on.then_some(TcpOption::Timestamps { val, ecr });
        option.into_iter().collect()
    }
}

fn value(segment: &Segment) -> Option<u32> {
    segment.options.timestamps().map(|(val, _)| val)
}

fn is_before(one: u32, other: u32) -> bool {
    SeqNumber(one).before(SeqNumber(other))
}
