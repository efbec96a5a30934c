//! The one place where packets cross between the wire and the stack.
//!
//! ```text
//!     wire ──▶ arrived() ──▶ stack        every packet crosses once in each direction
//!     wire ◀── departed() ◀── stack       and is told in exactly one event, with its fate
//! ```
//!
//! Packets that could not be written into a caller's buffer when they were made wait here until the caller
//! comes with one.

use crate::event::{
    Direction, Discard, EventKind, Fate, FlowId, Journal, Packet, PacketId, Reason, Variables,
};
use crate::segment::{Described, describe};
use smoltcp::time::Instant;
use std::collections::VecDeque;

/// The link of one engine.
#[derive(Debug, Default)]
pub(crate) struct Link {
    crossed: u64,
    leaving: VecDeque<Vec<u8>>,
}

/// A packet that comes in.
#[derive(Debug)]
pub(crate) struct Incoming<'a> {
    pub(crate) bytes: &'a mut [u8],
    pub(crate) described: &'a Described,
    /// The packet as which it has been told already: a packet put together from fragments never crossed the
    /// link itself, but the last of its fragments did.
    pub(crate) told: Option<PacketId>,
}

/// What a connection knows about a segment of its own. The default is for packets that are none.
#[derive(Debug, Default)]
pub(crate) struct Remarks {
    pub(crate) retransmission: bool,
    pub(crate) reason: Option<Reason>,
    pub(crate) variables: Option<Box<Variables>>,
}

impl Link {
    /// A packet has come in and is handed to the stack, or is discarded before any connection sees it.
    pub(crate) fn arrived(
        &mut self,
        journal: &mut Journal,
        now: Instant,
        flow: Option<FlowId>,
        incoming: &Incoming<'_>,
        discard: Option<Discard>,
        remarks: Remarks,
    ) -> PacketId {
        if let Some(told) = incoming.told {
            return told;
        }
        let id = self.next_id();
        if journal.wants_packets() {
            let packet = Packet {
                id,
                direction: Direction::In,
                described: incoming.described.clone(),
                bytes: incoming.bytes.to_vec(),
                fate: discard.map_or(Fate::Delivered, Fate::Discarded),
                crossed: None,
                retransmission: remarks.retransmission,
                reason: remarks.reason,
                variables: remarks.variables,
            };
            journal.tell(now, flow, EventKind::Packet(packet));
        }
        id
    }

    /// A packet leaves in the caller's buffer.
    pub(crate) fn departed(
        &mut self,
        journal: &mut Journal,
        now: Instant,
        flow: Option<FlowId>,
        bytes: &[u8],
        remarks: Remarks,
    ) {
        let id = self.next_id();
        if journal.wants_packets() {
            let packet = Packet {
                id,
                direction: Direction::Out,
                described: describe(bytes),
                bytes: bytes.to_vec(),
                fate: Fate::Delivered,
                crossed: None,
                retransmission: remarks.retransmission,
                reason: remarks.reason,
                variables: remarks.variables,
            };
            journal.tell(now, flow, EventKind::Packet(packet));
        }
    }

    /// Keeps a packet that has departed until the caller brings a buffer.
    pub(crate) fn keep(&mut self, bytes: Vec<u8>) {
        self.leaving.push_back(bytes);
    }

    /// The next packet kept, written into `buf`; its length.
    pub(crate) fn next_kept(&mut self, buf: &mut [u8]) -> Option<usize> {
        let bytes = self.leaving.pop_front()?;
        buf[..bytes.len()].copy_from_slice(&bytes);
        Some(bytes.len())
    }

    fn next_id(&mut self) -> PacketId {
        self.crossed += 1;
        PacketId(self.crossed)
    }
}
