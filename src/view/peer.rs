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
//!
//! The facts are kept twice: as the peer's own segments tell them, and as they are if what we sent was received too.
//! The state follows from the latter. Where the former alone lead to the same one, it is told; otherwise it
//! is assumed.

use crate::event::{Direction, Opening};
use crate::segment::{Flags, Segment, SeqNumber};
use crate::state::TcpState;

/// The peer's end of one connection, as inferred so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InferredPeer {
    state: TcpState,
    /// What follows from the peer's own segments alone.
    told: Facts,
    /// The same, if also everything we sent has been received.
    assumed: Facts,
    /// Whether a segment was seen.
    begun: bool,
}

/// What a state of the peer's rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Only assumed: nothing was seen yet, or it follows if the peer received what we sent.
    Assumed,
    /// A segment from the peer tells it.
    Told,
    /// Its kernel says so itself.
    Asked,
}

impl InferredPeer {
    /// A peer of which nothing was seen yet: CLOSED where it will open the connection itself, and LISTEN, as we
    /// hope, where we open it.
    pub fn new(opening: Opening) -> InferredPeer {
        let state = match opening {
            Opening::Passive => TcpState::Closed,
            Opening::Active => TcpState::Listen,
        };
        InferredPeer {
            state,
            told: Facts::new(state),
            assumed: Facts::new(state),
            begun: false,
        }
    }

    /// The state, as far as the segments seen tell.
    pub fn state(&self) -> TcpState {
        self.state
    }

    /// The state in which the peer has sent its newest segment, with the one thing that no segment tells left out: whether
    /// it has received our ACK of its FIN. So it is FIN-WAIT-1 also in FIN-WAIT-2, and CLOSING also in TIME-WAIT.
    pub fn told(&self) -> TcpState {
        self.told.state()
    }

    /// What [`state`](InferredPeer::state) rests on: told, or assumed. Never asked.
    pub fn basis(&self) -> Basis {
        let heard = self.told.after_syn.is_some() || self.told.reset;
        if heard && self.told.state() == self.state {
            Basis::Told
        } else {
            Basis::Assumed
        }
    }

    /// Takes a segment into account that crossed the link and was delivered. Answers whether the state changed.
    pub fn segment(&mut self, direction: Direction, segment: &Segment) -> bool {
        if !std::mem::replace(&mut self.begun, true) {
            self.told.join(direction, segment);
            self.assumed.join(direction, segment);
        }
        match direction {
            Direction::In => {
                // RFC 9293, section 3.10.7.3: in SYN-SENT an unacceptable ACK is answered with a RST, and the
                // connection is still wanted. A RST that follows the SYN in number means that it is not.
                let after_syn = self.assumed.after_syn;
                let still_opening = self.state == TcpState::SynSent
                    && after_syn.is_some_and(|after| after != segment.seq);
                if !(segment.flags.contains(Flags::RST) && still_opening) {
                    self.told.sent(segment);
                    self.told.must_have_received(segment);
                    self.assumed.sent(segment);
                }
            }
            Direction::Out => {
                self.told.we_sent(segment);
                self.assumed.we_sent(segment);
                // RFC 9293, section 3.10.7.3: "If SEG.ACK =< ISS or SEG.ACK > SND.NXT, send a reset [...] and discard the
                // segment".
                let acceptable = self.state != TcpState::SynSent
                    || segment.acknowledges().is_none()
                    || segment.acknowledges() == self.assumed.after_syn;
                if acceptable {
                    self.assumed.received(segment);
                }
            }
        }
        let state = self.assumed.state();
        let changed = state != self.state;
        self.state = state;
        changed
    }

    /// Whether the peer's kernel may have said `asked` just after the newest segment, all inferences being right.
    ///
    /// It may, where it said
    /// - what was inferred;
    /// - a state on the way there from what is told: it has not taken in yet, or will never, what we sent;
    /// - a state into which its own user has brought it by CLOSE, the FIN of which has not come yet or was lost; CLOSING
    ///   too, where a FIN of ours has met that one on the way;
    /// - CLOSED: its user called ABORT, or it lost patience, and the RST, if there is one, has not come yet;
    /// - SYN-RECEIVED, where our SYN is out: whether anybody listens is not inferred before the answer; or SYN-SENT, where its
    ///   user has called OPEN at the same time;
    /// - CLOSING or TIME-WAIT, where LAST-ACK is told: only the first copy of its FIN says whether ours was there before,
    ///   and it may have been lost.
    ///
    /// Nothing else brings a peer further than what has crossed the link (RFC 9293, figure 5).
    pub fn agrees_with(&self, asked: TcpState) -> bool {
        use TcpState::*;
        let told = self.told.state();
        let on_the_way = |state| leads_to(told, state) && leads_to(state, self.state);
        let also = match asked {
            SynSent => self.state == Listen,
            SynReceived => self.state == Listen && self.assumed.we_opened,
            FinWait1 => on_the_way(Established) || on_the_way(SynReceived),
            LastAck => on_the_way(CloseWait),
            Closing if self.state == CloseWait => true,
            Closing | TimeWait => told == LastAck,
            Closed => true,
            _ => false,
        };
        also || on_the_way(asked)
    }
}

/// Whether one connection can come from one state to the other, or is there.
fn leads_to(from: TcpState, to: TcpState) -> bool {
    let passes = |next: &TcpState| {
        // What begins anew is another connection.
        from != TcpState::Closed && *next != TcpState::Listen && from.may_become(*next)
    };
    from == to
        || TcpState::ALL
            .into_iter()
            .filter(passes)
            .any(|next| leads_to(next, to))
}

/// Facts about both ends from which the peer's state follows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Facts {
    initial: TcpState,
    /// The first number after the peer's SYN, and after its FIN.
    after_syn: Option<SeqNumber>,
    after_fin: Option<SeqNumber>,
    /// The first number after our FIN.
    after_our_fin: Option<SeqNumber>,
    /// The next number of ours that the peer awaits (its RCV.NXT), once it has our SYN.
    awaits: Option<SeqNumber>,
    /// The next number of the peer's that it knows we await.
    acknowledged: Option<SeqNumber>,
    /// Whether that was ever beyond its SYN: two gigabytes later, a comparison would say the opposite.
    syn_acknowledged: bool,
    /// Whether a segment of the peer's has acknowledged our SYN.
    has_answered: bool,
    /// Whether we have sent a SYN without ACK, and whether the peer's crossed it (simultaneous open).
    we_opened: bool,
    crossed: bool,
    /// Whether our FIN had reached the peer when it sent its own.
    closed_second: bool,
    reset: bool,
}

impl Facts {
    fn new(initial: TcpState) -> Facts {
        Facts {
            initial,
            after_syn: None,
            after_fin: None,
            after_our_fin: None,
            awaits: None,
            acknowledged: None,
            syn_acknowledged: false,
            has_answered: false,
            we_opened: false,
            crossed: false,
            closed_second: false,
            reset: false,
        }
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
        self.syn_acknowledged = true;
        self.awaits = Some(ours);
        self.has_answered = true;
    }

    /// The peer has sent `segment`.
    fn sent(&mut self, segment: &Segment) {
        if segment.flags.contains(Flags::RST) {
            self.reset = true;
            return;
        }
        let acknowledges = segment.acknowledges();
        if segment.flags.contains(Flags::SYN) && self.after_syn.is_none() {
            self.after_syn = Some(segment.seq + 1);
            self.crossed = self.we_opened && acknowledges.is_none();
            self.note_acknowledged();
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

    /// What the peer must have received to send `segment`, besides what this acknowledges: without the
    /// acknowledgment of its SYN, it would send that again (RFC 9293, section 3.10.7.4, "SYN-RECEIVED STATE").
    fn must_have_received(&mut self, segment: &Segment) {
        if segment.acknowledges().is_some() && !segment.flags.contains(Flags::SYN) {
            self.acknowledged = self.acknowledged.or(self.after_syn);
            self.note_acknowledged();
        }
    }

    /// What `segment` says of our own end, whether it arrives or not.
    fn we_sent(&mut self, segment: &Segment) {
        if segment.flags.contains(Flags::RST) {
            return;
        }
        if segment.flags.contains(Flags::SYN) && segment.acknowledges().is_none() {
            // Whether anybody listens is not known before the answer.
            self.we_opened = true;
        }
        if segment.flags.contains(Flags::FIN) {
            self.after_our_fin = Some(segment.end());
        }
    }

    /// The peer has received `segment`, if nothing was lost on the way.
    fn received(&mut self, segment: &Segment) {
        if segment.flags.contains(Flags::RST) {
            self.reset = true;
            return;
        }
        // RFC 9293, section 3.10.7.3: in SYN-SENT an ACK of anything but the SYN is answered with a RST, and the segment dropped.
        let in_syn_sent = self.awaits.is_none() && !self.syn_acknowledged;
        if in_syn_sent
            && let Some((ack, after_syn)) = segment.acknowledges().zip(self.after_syn)
            && ack != after_syn
        {
            return;
        }
        // A SYN alone meets one that is there already as in a simultaneous open.
        let is_answer =
            segment.acknowledges().is_some() || self.after_syn.is_some() && !self.crossed;
        if segment.flags.contains(Flags::SYN) && is_answer && self.awaits.is_none() {
            self.awaits = Some(segment.seq + 1);
        }
        if let Some(ack) = segment.acknowledges() {
            self.acknowledged = Some(self.acknowledged.map_or(ack, |before| before.max(ack)));
            self.note_acknowledged();
        }
        // What comes before its turn does not move RCV.NXT.
        if let Some(awaits) = self.awaits
            && segment.seq.at_or_before(awaits)
        {
            self.awaits = Some(awaits.max(segment.end()));
        }
    }

    fn note_acknowledged(&mut self) {
        self.syn_acknowledged |= covers(self.acknowledged, self.after_syn);
    }

    fn state(&self) -> TcpState {
        if self.reset {
            return TcpState::Closed;
        }
        if self.after_syn.is_none() {
            return self.initial;
        }
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
        if !self.syn_acknowledged || self.crossed && !self.has_answered {
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
}

/// Whether all before `number` is known to have come, where `reached` is how far.
fn covers(reached: Option<SeqNumber>, number: Option<SeqNumber>) -> bool {
    reached
        .zip(number)
        .is_some_and(|(reached, number)| number.at_or_before(reached))
}

#[cfg(test)]
mod tests;
