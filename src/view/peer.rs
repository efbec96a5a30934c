//! What the peer's TCP state must be, judged from the segments on the link.
//!
//! Nobody tells us the peer's state. But its state machine is ours seen from the other end, and all that
//! moves it crosses the link, so a handful of facts is enough: which SYN and which FIN each end has sent, and
//! how far each has acknowledged the other. [`InferredPeer`] collects these facts and derives the state from
//! them. Facts only ever accumulate, so a retransmission, which tells nothing new, changes nothing.
//!
//! ```text
//!                          our FIN has not reached it     our FIN has reached it
//! it sent no FIN           ESTABLISHED                    CLOSE-WAIT
//! its FIN is under way     FIN-WAIT-1                     CLOSING, or LAST-ACK where ours came first
//! its FIN is acknowledged  FIN-WAIT-2                     TIME-WAIT, or CLOSED where ours came first
//! ```
//!
//! What never crosses the link stays unseen: the end of the peer's TIME-WAIT, and its CLOSE until the FIN leaves.

use crate::event::{Direction, Opening};
use crate::segment::{Flags, Segment, SeqNumber};
use crate::state::TcpState;

/// The peer's end of one connection, as inferred so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InferredPeer {
    state: TcpState,
    basis: Basis,
    initial: TcpState,
    /// The first number after the peer's SYN, and after its FIN.
    after_syn: Option<SeqNumber>,
    after_fin: Option<SeqNumber>,
    /// The first number after our FIN.
    after_our_fin: Option<SeqNumber>,
    /// The next number of ours that the peer awaits (its RCV.NXT), once it has our SYN.
    awaits: Option<SeqNumber>,
    /// The next number of the peer's that we have told it we await.
    acknowledged: Option<SeqNumber>,
    /// Whether a segment of the peer's has acknowledged our SYN.
    has_answered: bool,
    /// Whether we have sent a SYN without ACK, and whether the peer's crossed it (simultaneous open).
    we_opened: bool,
    crossed: bool,
    /// Whether our FIN had reached the peer when it sent its own.
    closed_second: bool,
    reset: bool,
    /// Whether a segment was seen.
    begun: bool,
}

/// What an inferred state rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Only assumed: nothing was seen yet, or it follows if the peer received what we sent.
    Assumed,
    /// A segment from the peer tells it.
    Told,
}

impl InferredPeer {
    /// A peer of which nothing was seen yet: CLOSED where it will open the connection itself, and LISTEN, as we
    /// hope, where we open it.
    pub fn new(opening: Opening) -> InferredPeer {
        let initial = match opening {
            Opening::Passive => TcpState::Closed,
            Opening::Active => TcpState::Listen,
        };
        InferredPeer {
            state: initial,
            basis: Basis::Assumed,
            initial,
            after_syn: None,
            after_fin: None,
            after_our_fin: None,
            awaits: None,
            acknowledged: None,
            has_answered: false,
            we_opened: false,
            crossed: false,
            closed_second: false,
            reset: false,
            begun: false,
        }
    }

    /// The state, as far as the segments seen tell.
    pub fn state(&self) -> TcpState {
        self.state
    }

    /// What [`state`](InferredPeer::state) rests on.
    pub fn basis(&self) -> Basis {
        self.basis
    }

    /// Takes a segment into account that crossed the link and was delivered. Answers whether the state changed.
    pub fn segment(&mut self, direction: Direction, segment: &Segment) -> bool {
        if !self.begun {
            self.begun = true;
            self.join(direction, segment);
        }
        match direction {
            Direction::In => self.sent(segment),
            Direction::Out => self.received(segment),
        }
        let state = self.derive();
        let changed = state != self.state;
        self.state = state;
        match direction {
            Direction::In if changed || self.confirms(segment) => self.basis = Basis::Told,
            Direction::Out if changed => self.basis = Basis::Assumed,
            _ => {}
        }
        changed
    }

    /// Where the first segment is no SYN, the connection was made before anybody looked.
    fn join(&mut self, direction: Direction, segment: &Segment) {
        let opens_or_resets = segment.flags.0 & (Flags::SYN.0 | Flags::RST.0) != 0;
        let Some(ack) = segment.acknowledges().filter(|_| !opens_or_resets) else {
            return;
        };
        let (its, ours) = match direction {
            Direction::In => (segment.seq, ack),
            Direction::Out => (ack, segment.seq),
        };
        self.after_syn = Some(its);
        self.acknowledged = Some(its);
        self.awaits = Some(ours);
        self.has_answered = true;
    }

    /// The peer has sent `segment`.
    fn sent(&mut self, segment: &Segment) {
        if segment.flags.contains(Flags::RST) {
            // RFC 9293, section 3.10.7.3: in SYN-SENT an unacceptable ACK is answered with a RST, and the
            // connection is still wanted. A RST that follows the SYN in number means that it is not.
            let still_opening = self.state == TcpState::SynSent
                && self.after_syn.is_some_and(|after| after != segment.seq);
            self.reset |= !still_opening;
            return;
        }
        let acknowledges = segment.acknowledges();
        if segment.flags.contains(Flags::SYN) && self.after_syn.is_none() {
            self.after_syn = Some(segment.seq + 1);
            self.crossed = self.we_opened && acknowledges.is_none();
        }
        if let Some(ack) = acknowledges
            && self.after_syn.is_some()
        {
            self.has_answered = true;
            self.awaits = Some(self.awaits.map_or(ack, |awaits| awaits.max(ack)));
        }
        if segment.flags.contains(Flags::FIN) && self.after_fin.is_none() {
            self.after_fin = Some(segment.end());
            self.closed_second = match (self.after_our_fin, acknowledges) {
                (Some(after_our_fin), Some(ack)) => after_our_fin.at_or_before(ack),
                _ => false,
            };
        }
    }

    /// The peer has received `segment`, if nothing was lost on the way.
    fn received(&mut self, segment: &Segment) {
        if segment.flags.contains(Flags::RST) {
            self.reset = true;
            return;
        }
        let is_syn = segment.flags.contains(Flags::SYN);
        if is_syn && segment.acknowledges().is_none() {
            // Whether anybody listens is not known before the answer.
            self.we_opened = true;
        } else if is_syn && self.awaits.is_none() {
            self.awaits = Some(segment.seq + 1);
        }
        if let Some(ack) = segment.acknowledges() {
            self.acknowledged = Some(self.acknowledged.map_or(ack, |before| before.max(ack)));
        }
        if segment.flags.contains(Flags::FIN) {
            self.after_our_fin = Some(segment.end());
        }
        // What comes before its turn does not move RCV.NXT.
        if let Some(awaits) = self.awaits
            && segment.seq.at_or_before(awaits)
        {
            self.awaits = Some(awaits.max(segment.end()));
        }
    }

    fn derive(&self) -> TcpState {
        if self.reset {
            return TcpState::Closed;
        }
        let Some(after_syn) = self.after_syn else {
            return self.initial;
        };
        let covers = |reached: Option<SeqNumber>, number: Option<SeqNumber>| match (reached, number)
        {
            (Some(reached), Some(number)) => number.at_or_before(reached),
            _ => false,
        };
        if self.awaits.is_none() && !self.crossed {
            return TcpState::SynSent;
        }
        if self.awaits.is_none() {
            // Figure 7: the SYN that we see was sent in SYN-SENT; ours reaches the peer afterwards.
            return if self.acknowledged.is_some() {
                TcpState::SynReceived
            } else {
                TcpState::SynSent
            };
        }
        if !covers(self.acknowledged, Some(after_syn)) || self.crossed && !self.has_answered {
            return TcpState::SynReceived;
        }
        let has_our_fin = covers(self.awaits, self.after_our_fin);
        let its_fin_is_acknowledged = covers(self.acknowledged, self.after_fin);
        match (
            self.after_fin.is_some(),
            its_fin_is_acknowledged,
            has_our_fin,
        ) {
            (false, _, false) => TcpState::Established,
            (false, _, true) => TcpState::CloseWait,
            (true, false, false) => TcpState::FinWait1,
            (true, true, false) => TcpState::FinWait2,
            (true, false, true) if self.closed_second => TcpState::LastAck,
            (true, false, true) => TcpState::Closing,
            (true, true, true) if self.closed_second => TcpState::Closed,
            (true, true, true) => TcpState::TimeWait,
        }
    }

    /// Whether `segment` of the peer's tells that it has received everything the state rests on.
    fn confirms(&self, segment: &Segment) -> bool {
        matches!(self.state, TcpState::Established | TcpState::CloseWait)
            && segment.acknowledges().is_some()
            && segment.acknowledges() == self.awaits
    }
}

#[cfg(test)]
mod tests;
