//! smoltcp, held one step at a time, and what stands around it.
//!
//! ```text
//!            packet                                            packet
//!   ────────────────────▶ demultiplex ─┬─▶ [Tcp] ────────────────────▶
//!      [reassembly] first              ├─▶ [TimeWait] record ────────▶
//!                                      ├─▶ [reply]: RST, ICMP ───────▶
//!                                      └─▶ UDP service ──────────────▶ [fragment] last
//! ```
//!
//! The rooms here know nothing of each other and nothing of services: the engine leads a packet from one
//! to the next. smoltcp only ever sees TCP segments of one connection at a time, each connection in a
//! socket set of its own, so the cost of a packet does not grow with the number of connections.

pub(crate) mod bucket;
pub(crate) mod checksum;
pub(crate) mod cookie;
pub(crate) mod crowd;
pub(crate) mod fragments;
pub(crate) mod headers;
pub(crate) mod iss;
pub(crate) mod marking;
pub(crate) mod path;
pub(crate) mod pool;
pub(crate) mod reply;
pub(crate) mod rfc9293;
pub(crate) mod senders;
pub(crate) mod socket;
pub(crate) mod stamps;
pub(crate) mod table;
pub(crate) mod tcp;
pub(crate) mod time_wait;
pub(crate) mod timers;
