//! What is kept of a connection's handshake as long as the connection lasts.

use crate::event::{Direction, FlowId, Handshake, HandshakeStep, Opening};
use crate::segment::{Checksum, SeqNumber, describe_captured, describe_offloaded};
use crate::state::TcpState;
use smoltcp::time::Instant;
use std::net::SocketAddr;

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
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    at: Instant,
    direction: Direction,
    state: TcpState,
    /// How many bytes crossed.
    len: u32,
    kept: Box<[u8]>,
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
            steps: Vec::new(),
        }
    }

    /// A packet has crossed, after which our end is in `state`. It is kept as long as the handshake goes on.
    pub(crate) fn note(
        &mut self,
        at: Instant,
        direction: Direction,
        packet: &[u8],
        state: TcpState,
    ) {
        // The last packet of a handshake is the ACK of whoever began it.
        let last = match self.opening {
            Opening::Passive => Direction::In,
            Opening::Active => Direction::Out,
        };
        let is_complete = self
            .steps
            .last()
            .is_some_and(|step| step.state.is_synchronized() && step.direction == last);
        if is_complete || self.steps.len() >= MAX_STEPS {
            return;
        }
        self.steps.push(Step {
            at,
            direction,
            state,
            len: packet.len() as u32,
            kept: packet[..packet.len().min(KEPT)].into(),
        });
    }

    /// What the packets said.
    pub(crate) fn describe(&self) -> Handshake {
        Handshake {
            flow: self.flow,
            local: self.local,
            peer: self.peer,
            opening: self.opening,
            iss: self.iss,
            irs: self.irs,
            steps: self.steps.iter().map(Step::describe).collect(),
        }
    }
}

impl Step {
    fn describe(&self) -> HandshakeStep {
        // Checksums were judged, or made, when the packet crossed: nothing with a wrong one gets here.
        let described = match self.kept.len() == self.len as usize {
            true => describe_offloaded(&self.kept, Checksum::Verified),
            false => describe_captured(&self.kept, self.len as usize),
        };
        HandshakeStep {
            at: self.at,
            direction: self.direction,
            described,
            state: self.state,
        }
    }
}
