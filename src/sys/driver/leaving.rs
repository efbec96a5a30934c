//! Which events tell of packets that leave.

use crate::event::{Direction, Event, EventKind};

/// Of how many packets it tells that are to be written to the TUN.
pub(super) fn leaving(event: &Event) -> usize {
    let packet = match &event.kind {
        EventKind::Packet(packet) => packet,
        EventKind::Released(released) => &released.packet,
        _ => return 0,
    };
    match packet.direction {
        Direction::In => 0,
        Direction::Out => packet.fate.crossings() as usize,
    }
}
