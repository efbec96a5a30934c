//! TCP headers and their options (RFC 9293, sections 3.1 and 3.2).

use super::{Problem, Upper, u16_at, u32_at};
use crate::segment::{Flags, Options, Segment, SeqNumber};
use std::ops::Range;

pub(super) fn read(upper: &Upper) -> Result<Segment, Problem> {
    let fixed: &[u8; 20] = upper.fixed()?;
    let bytes = upper.bytes();
    let header_len = usize::from(fixed[12] >> 4) * 4;
    if header_len < 20 {
        return Err(Problem::Wrong(format!(
            "header length {header_len} is less than 20"
        )));
    }
    if header_len > bytes.len() {
        return Err(Problem::Short(header_len));
    }
    let options = match upper.present < header_len {
        false => Options::read(&bytes[20..header_len]),
        // The last one may be malformed only because its rest is missing.
        true => Options::read(&bytes[20..upper.present]).without_malformed(),
    };
    let payload = upper.payload(header_len, bytes.len());
    let checksum_ok = upper.checksum_ok(bytes, u16_at(fixed, 16));
    Ok(segment(fixed, options, payload, checksum_ok))
}

/// The segment of a packet that we have made, whose TCP header begins at `start`.
pub(crate) fn own_segment(packet: &[u8], start: usize) -> Option<Segment> {
    let fixed: &[u8; 20] = packet.get(start..)?.first_chunk()?;
    let end = start + usize::from(fixed[12] >> 4) * 4;
    let options = Options::read(packet.get(start + 20..end)?);
    Some(segment(fixed, options, end..packet.len(), true))
}

fn segment(
    fixed: &[u8; 20],
    options: Options,
    payload: Range<usize>,
    checksum_ok: bool,
) -> Segment {
    Segment {
        src_port: u16_at(fixed, 0),
        dst_port: u16_at(fixed, 2),
        seq: SeqNumber(u32_at(fixed, 4)),
        ack: SeqNumber(u32_at(fixed, 8)),
        // Nine bits have a meaning; the three before them are reserved.
        flags: Flags(u16_at(fixed, 12) & 0x1ff),
        window: u16_at(fixed, 14),
        urgent: u16_at(fixed, 18),
        options,
        payload,
        checksum_ok,
    }
}
