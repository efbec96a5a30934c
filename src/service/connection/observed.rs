//! What is kept of a connection's handshake as long as the connection lasts.

use crate::event::{Direction, FlowId, Handshake, HandshakeStep, Opening};
use crate::segment::{Checksum, SeqNumber, describe_captured, describe_offloaded};
use crate::state::TcpState;
use smallvec::SmallVec;
use smoltcp::time::Instant;
use std::net::SocketAddr;

/// How many steps a handshake has, as a rule.
const STEPS: usize = 3;
/// More steps than these are not kept.
const MAX_STEPS: usize = 16;
/// Of each packet so many bytes are kept: all headers, but for long chains of extension headers.
const KEPT: usize = 256;

/// A handshake, as bytes: few programs ask for it, and what they say takes several times as much memory.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) flow: FlowId,
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
    pub(crate) opening: Opening,
    pub(crate) iss: SeqNumber,
    pub(crate) irs: SeqNumber,
    steps: SmallVec<[Step; STEPS]>,
    /// What was kept of all packets, one behind the other.
    kept: Vec<u8>,
}

#[derive(Debug)]
struct Step {
    at: Instant,
    direction: Direction,
    state: TcpState,
    /// How many bytes crossed.
    len: u32,
    /// How many of them were kept.
    kept: u16,
}

impl Observed {
    pub(crate) fn new(
        flow: FlowId,
        local: SocketAddr,
        peer: SocketAddr,
        opening: Opening,
        iss: SeqNumber,
    ) -> Observed {
        Observed {
            flow,
            local,
            peer,
            opening,
            iss,
            irs: SeqNumber(0),
            steps: SmallVec::new(),
            kept: Vec::new(),
        }
    }

    /// Whether the handshake is over, or has had more steps than are kept.
    pub(crate) fn is_complete(&self) -> bool {
        // The last packet of a handshake is the ACK of whoever began it.
        let last = match self.opening {
            Opening::Passive => Direction::In,
            Opening::Active => Direction::Out,
        };
        let is_over = |step: &Step| step.state.is_synchronized() && step.direction == last;
        self.steps.last().is_some_and(is_over) || self.steps.len() >= MAX_STEPS
    }

    /// A packet has crossed, after which our end is in `state`. To be called until the handshake is complete.
    pub(crate) fn note(
        &mut self,
        at: Instant,
        direction: Direction,
        packet: &[u8],
        state: TcpState,
    ) {
        let kept = &packet[..packet.len().min(KEPT)];
        if self.steps.is_empty() {
            // None of the others has more options than the SYN.
            self.kept.reserve_exact(STEPS * kept.len());
        }
        self.kept.extend_from_slice(kept);
        self.steps.push(Step {
            at,
            direction,
            state,
            len: packet.len() as u32,
            kept: kept.len() as u16,
        });
    }

    /// What the packets said.
    pub(crate) fn describe(&self) -> Handshake {
        let mut rest = self.kept.as_slice();
        let describe = |step: &Step| {
            let (kept, others) = rest.split_at(step.kept.into());
            rest = others;
            step.describe(kept)
        };
        Handshake {
            flow: self.flow,
            local: self.local,
            peer: self.peer,
            opening: self.opening,
            iss: self.iss,
            irs: self.irs,
            steps: self.steps.iter().map(describe).collect(),
        }
    }
}

impl Step {
    fn describe(&self, kept: &[u8]) -> HandshakeStep {
        // Checksums were judged, or made, when the packet crossed: nothing with a wrong one gets here.
        let described = match kept.len() == self.len as usize {
            true => describe_offloaded(kept, Checksum::Verified),
            false => describe_captured(kept, self.len as usize),
        };
        HandshakeStep {
            at: self.at,
            direction: self.direction,
            described,
            state: self.state,
        }
    }
}
