//! UDP headers (RFC 768).

use super::{Problem, Upper, exceeds, u16_at};
use crate::segment::Datagram;

pub(super) fn read(upper: &Upper) -> Result<Datagram, Problem> {
    let fixed: &[u8; 8] = upper.fixed()?;
    let available = upper.range.len();
    let claimed = usize::from(u16_at(fixed, 4));
    if claimed < 8 {
        return Err(Problem::Wrong(format!("length {claimed} is less than 8")));
    }
    // The length speaks of the whole datagram, of which a first fragment brings only a part.
    if claimed > available && upper.ip.fragment.is_none() {
        return Err(Problem::Wrong(exceeds(
            "datagram", claimed, available, "present",
        )));
    }
    let length = claimed.min(available);
    let stated = u16_at(fixed, 6);
    let checksum_ok = match stated {
        // RFC 768: zero says that the sender computed none. RFC 8200, section 8.1, forbids that.
        0 => upper.ip.src.is_ipv4() || !upper.checksum_covered,
        _ => upper.checksum_ok(&upper.bytes()[..length], stated),
    };
    Ok(Datagram {
        src_port: u16_at(fixed, 0),
        dst_port: u16_at(fixed, 2),
        payload: upper.payload(8, length),
        checksum_ok,
    })
}
