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
use crate::segment::{Checksum, Described, describe_offloaded};
use smoltcp::time::Instant;
use std::collections::VecDeque;
use std::num::NonZeroU16;

/// The link of one engine.
#[derive(Debug, Default)]
pub(crate) struct Link {
    crossed: u64,
    leaving: VecDeque<(Vec<u8>, Transmit)>,
}

/// A packet that was written for the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Its length in bytes.
    pub len: usize,
    /// What is in the checksum field of its transport header. [`Checksum::Partial`] leaves the rest to the device that sends it.
    pub checksum: Checksum,
    /// Where the device has to cut it into TCP segments, the payload of each of them but the last, in bytes.
    pub segment_size: Option<NonZeroU16>,
}

impl Transmit {
    /// A packet of that many bytes that needs nothing more.
    pub(crate) fn whole(len: usize) -> Transmit {
        Transmit {
            len,
            checksum: Checksum::Whole,
            segment_size: None,
        }
    }
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
        checksum: Checksum,
        remarks: Remarks,
    ) {
        let id = self.next_id();
        if journal.wants_packets() {
            let packet = Packet {
                id,
                direction: Direction::Out,
                described: describe_offloaded(bytes, checksum),
                bytes: bytes.to_vec(),
                fate: Fate::Delivered,
                retransmission: remarks.retransmission,
                reason: remarks.reason,
                variables: remarks.variables,
            };
            journal.tell(now, flow, EventKind::Packet(packet));
        }
    }

    /// Keeps a packet that has departed until the caller brings a buffer.
    pub(crate) fn keep(&mut self, bytes: Vec<u8>, transmit: Transmit) {
        self.leaving.push_back((bytes, transmit));
    }

    /// The next packet kept, written into `buf`.
    pub(crate) fn next_kept(&mut self, buf: &mut [u8]) -> Option<Transmit> {
        let (bytes, transmit) = self.leaving.pop_front()?;
        buf[..bytes.len()].copy_from_slice(&bytes);
        Some(transmit)
    }

    fn next_id(&mut self) -> PacketId {
        self.crossed += 1;
        PacketId(self.crossed)
    }
}
