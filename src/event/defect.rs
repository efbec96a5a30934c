//! What is known of a defect: a panic that was contained.

use super::{Direction, Transport};
use smoltcp::time::Instant;
use std::net::SocketAddr;

/// A defect of this program or of a service, and what led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defect {
    /// Counts from 1.
    pub number: u64,
    /// What was under way.
    pub during: Activity,
    /// The ends of the flow that is given up; `None` if no flow was concerned.
    pub ends: Option<Ends>,
    /// The message of the panic.
    pub message: String,
    /// Where it panicked, if that is known.
    pub site: Option<PanicSite>,
    /// The last packets of the flow, the oldest first; without a flow, the last packets of all.
    pub packets: Vec<PacketHead>,
}

/// What an engine does when a defect shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Activity {
    /// It takes in a packet.
    Packet,
    /// It lets a flow go on: its program runs, and its packets are made.
    Turn,
    /// A timer has gone off.
    Timer,
    /// It obeys a command.
    Command,
    /// It begins a flow.
    Open,
    /// It makes room for something else.
    Upkeep,
}

impl Activity {
    /// In one word: `packet`.
    pub const fn name(self) -> &'static str {
        match self {
            Activity::Packet => "packet",
            Activity::Turn => "turn",
            Activity::Timer => "timer",
            Activity::Command => "command",
            Activity::Open => "open",
            Activity::Upkeep => "upkeep",
        }
    }
}

/// The two ends of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ends {
    /// TCP or UDP.
    pub transport: Transport,
    /// Our end.
    pub local: SocketAddr,
    /// The other end.
    pub peer: SocketAddr,
}

/// Where a panic was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanicSite {
    /// The file, the line and the column: `src/engine.rs:12:3`.
    pub location: String,
    /// The calls that led there, where they were asked for (`RUST_BACKTRACE`).
    pub backtrace: Option<String>,
}

/// The beginning of a packet that crossed between the engine and the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketHead {
    /// When.
    pub at: Instant,
    /// Which way.
    pub direction: Direction,
    /// The length of the whole packet, in bytes.
    pub len: usize,
    /// Its first bytes: all headers, and seldom much of the data.
    pub bytes: Vec<u8>,
}
