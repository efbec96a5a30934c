//! Reading packets.

use super::Described;

/// Says what `packet`, one IP packet as a TUN device carries it, is. Never fails and never panics.
pub fn describe(packet: &[u8]) -> Described {
    let _ = packet;
    todo!()
}
