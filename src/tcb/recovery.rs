//! What is sent again, and when, where smoltcp knows only the first step.
//!
//! After three duplicate ACKs smoltcp sends one segment again; whatever else is missing waits for the retransmission
//! timeout, after which it sends everything again that is not acknowledged. Here each ACK that shows a further gap has
//! it filled at once (RFC 6582), SACK blocks have more of them filled in a round trip (RFC 6675), what the peer has
//! selectively acknowledged is not sent again, and ACKs which our own repetitions cause are not taken for signs of a loss:
//!
//! ```text
//!   Open ── third duplicate ACK, or as much in SACK blocks ──▶ Fast ── all is acknowledged ──▶ Settled ──▶ Open
//!     └──────────────── retransmission timeout ──▶ Settled ◀── retransmission timeout ──┘
//! ```
//!
//! smoltcp is made to send the first segment again by ACKs that nobody has sent; see
//! [`take_request`](Recovery::take_request).

#[cfg(test)]
mod tests;

use super::scoreboard::{DUP_THRESH, Scoreboard};
use crate::segment::{Segment, SeqNumber, TcpOption};
use smoltcp::time::{Duration, Instant};
use std::ops::Range;

/// What a loss leaves of the congestion window, in tenths: RFC 9438, section 4.6. smoltcp does the same, but does not show its
/// window; what was in flight, which is no more than that, stands for it.
const BETA: u32 = 7;

/// How far a connection is with what was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Phase {
    #[default]
    Open,
    /// Until all up to `point` is acknowledged, each ACK of a part of it has the next segment sent again. `since` is when
    /// the first of them came. What was lost before `filled` was sent again already, where `limit` is how much may be in the
    /// pipe.
    Fast {
        point: SeqNumber,
        since: Option<Instant>,
        filled: SeqNumber,
        limit: u32,
    },
    /// RFC 6582, section 3.2, step 1: until all up to `point` is acknowledged, and more, duplicate ACKs may be due to
    /// what we have sent twice.
    Settled { point: SeqNumber },
}

/// What is known of one connection's losses.
#[derive(Debug, Default)]
pub(crate) struct Recovery {
    phase: Phase,
    board: Option<Box<Scoreboard>>,
    requested: bool,
    /// Whether more is known of what was lost than when that was sent again.
    news: bool,
}

/// An acknowledgment of something between SND.UNA and SND.NXT, in an acceptable segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard<'a> {
    pub(crate) now: Instant,
    pub(crate) segment: &'a Segment,
    pub(crate) una: SeqNumber,
    pub(crate) nxt: SeqNumber,
    /// Whether it says nothing new but in its SACK blocks (RFC 5681, section 2).
    pub(crate) duplicate: bool,
    /// How many duplicates smoltcp has counted before.
    pub(crate) duplicates: u8,
    /// Whether both permit SACK.
    pub(crate) sack: bool,
    pub(crate) mss: u32,
    /// The retransmission timeout.
    pub(crate) rto: Duration,
}

impl Recovery {
    /// Whether anything was lost of what is in flight, as far as we know.
    pub(crate) fn is_under_way(&self) -> bool {
        self.phase != Phase::Open || self.board.is_some()
    }

    /// Reads an acknowledgment. Returns whether smoltcp is to count it, which it would as a sign of a loss if it is a duplicate.
    pub(crate) fn hear(&mut self, heard: &Heard<'_>) -> bool {
        let news = self.read_blocks(heard);
        let ack = heard.segment.ack;
        match self.phase {
            Phase::Fast { point, .. } if point.at_or_before(ack) => {
                self.phase = Phase::Settled { point };
            }
            Phase::Fast {
                point,
                since,
                filled,
                limit,
            } if heard.una.before(ack) => {
                // RFC 6582, section 4, the "Impatient variant": where it takes so long, the timeout is better.
                let first = since.unwrap_or(heard.now);
                let patient = heard.now < first + heard.rto;
                // What follows may be on its way for the second time already.
                self.requested = patient && filled.at_or_before(ack);
                self.phase = Phase::Fast {
                    point,
                    since: Some(first),
                    filled,
                    limit,
                };
            }
            _ => {}
        }
        // Section 3.2, step 2. With SACK, a duplicate that has news can't be due to what we have sent twice.
        if let Phase::Settled { point } = self.phase
            && (point.before(ack) || heard.sack && point == ack)
        {
            self.phase = Phase::Open;
        }
        self.news |= news || heard.una.before(ack);
        if heard.duplicate && heard.sack && !news {
            // RFC 6675, section 2: a duplicate acknowledgment "identifies previously unacknowledged and un-SACKed octets".
            return false;
        }
        let third = heard.duplicate && u32::from(heard.duplicates) + 1 == DUP_THRESH;
        match self.phase {
            Phase::Open => {
                let sacked = |board: &Scoreboard| board.shows_a_loss(heard.mss);
                let lost = self.board.as_deref().is_some_and(sacked);
                if third || lost {
                    let flight = heard.nxt.since(heard.una);
                    self.phase = Phase::Fast {
                        point: heard.nxt,
                        since: None,
                        filled: heard.una,
                        limit: flight / 10 * BETA,
                    };
                    self.requested = !third;
                }
                true
            }
            Phase::Fast { .. } => true,
            Phase::Settled { .. } => !third,
        }
    }

    /// The retransmission timeout is over: `nxt` is SND.NXT.
    ///
    /// RFC 2018, section 8: "After a retransmit timeout the data sender SHOULD turn off all of the SACKed bits, since the
    /// timeout might indicate that the data receiver has reneged."
    pub(crate) fn timed_out(&mut self, nxt: SeqNumber) {
        self.phase = Phase::Settled { point: nxt };
        self.board = None;
        (self.requested, self.news) = (false, false);
    }

    /// Whether smoltcp is to send the first segment again, which it does by itself for the third duplicate only.
    pub(crate) fn take_request(&mut self) -> bool {
        std::mem::take(&mut self.requested)
    }

    /// Whether anything more is known of what was lost since this was asked last.
    pub(crate) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// What is to be sent again now besides what begins at SND.UNA, in segments: RFC 6675, section 5, step (C), with the first
    /// rule of NextSeg. What is new is smoltcp's business, which takes what is lost for something in flight: each that is sent
    /// again has the place of one that is lost.
    pub(crate) fn fill(
        &mut self,
        una: SeqNumber,
        nxt: SeqNumber,
        window: u32,
        mss: u32,
    ) -> Vec<(SeqNumber, u32)> {
        let mut again = Vec::new();
        let (Phase::Fast { filled, limit, .. }, Some(board)) = (&mut self.phase, &mut self.board)
        else {
            return again;
        };
        board.acknowledge(una);
        let flight = nxt.since(una);
        let mss = mss.max(1);
        // What begins at SND.UNA is smoltcp's; what was sent again before that is acknowledged.
        let mut next = match filled.since(una) {
            offset @ 1.. if offset <= flight => offset,
            _ => mss,
        };
        let mut pipe = board.pipe(flight, next, mss);
        for Range { start, end } in board.lost(mss) {
            next = next.max(start);
            while next < end && pipe + u64::from(mss) <= u64::from(*limit) {
                let len = mss.min(end - next);
                if next.saturating_add(len) > window {
                    return again;
                }
                again.push((una + next, len));
                next += len;
                pipe += u64::from(len);
                *filled = una + next;
            }
        }
        again
    }

    /// Whether the peer has some of what follows a gap.
    pub(crate) fn has_sacked(&self) -> bool {
        self.board.is_some()
    }

    /// What the peer does not have of `seq` up to `end`, in offsets from `seq`, and in pieces worth a segment: whoever
    /// claims to have all but a byte here and there gets no segments of a byte.
    pub(crate) fn missing(&self, seq: SeqNumber, end: SeqNumber, mss: u32) -> Vec<Range<u32>> {
        let mut pieces: Vec<Range<u32>> = Vec::new();
        let len = end.since(seq);
        let missing = match &self.board {
            Some(board) => board.missing(seq, end),
            None => std::iter::once(0..len).collect(),
        };
        for Range { start, end } in missing {
            let end = end.max(start.saturating_add(mss)).min(len);
            match pieces.last_mut() {
                Some(last) if start <= last.end => last.end = end.max(last.end),
                _ => pieces.push(start..end),
            }
        }
        pieces
    }

    /// Returns whether the blocks of a SACK option tell anything new.
    fn read_blocks(&mut self, heard: &Heard<'_>) -> bool {
        let una = heard.segment.ack;
        if let Some(board) = &mut self.board {
            board.acknowledge(una);
        }
        let mut news = false;
        for option in heard.segment.options.iter().filter(|_| heard.sack) {
            let TcpOption::Sack(blocks) = option else {
                continue;
            };
            for &(left, right) in blocks.as_slice() {
                let board = self
                    .board
                    .get_or_insert_with(|| Box::new(Scoreboard::new(una)));
                news |= board.add(left, right, heard.nxt);
            }
        }
        if self.board.as_deref().is_some_and(Scoreboard::is_empty) {
            self.board = None;
        }
        news
    }
}
