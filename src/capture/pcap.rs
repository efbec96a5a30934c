//! The classic format (draft-ietf-opsawg-pcap): a header, then packets.

use super::{ByteOrder, CaptureError, Frame, Input, MAX_PACKET};
use std::io::Read;
use std::time::Duration;

/// Of a packet, before its bytes: seconds, their fraction, length kept, length before.
const PACKET_HEADER: usize = 16;
const PACKET: &str = "a packet";

#[derive(Debug)]
pub(super) struct Header {
    order: ByteOrder,
    /// So many nanoseconds are one unit of a fraction.
    unit: u32,
    link_type: u32,
}

impl Header {
    /// Reads what follows `magic`.
    pub(super) fn read(
        magic: [u8; 4],
        input: &mut Input<impl Read>,
    ) -> Result<Header, CaptureError> {
        let (order, unit) = match magic {
            [0xa1, 0xb2, 0xc3, 0xd4] => (ByteOrder::Big, 1000),
            [0xd4, 0xc3, 0xb2, 0xa1] => (ByteOrder::Little, 1000),
            [0xa1, 0xb2, 0x3c, 0x4d] => (ByteOrder::Big, 1),
            [0x4d, 0x3c, 0xb2, 0xa1] => (ByteOrder::Little, 1),
            [a, b, c, d] => {
                return Err(CaptureError::Unknown(format!(
                    ": it begins with the bytes {a:02x} {b:02x} {c:02x} {d:02x}"
                )));
            }
        };
        let rest = input.rest("its header", magic.len(), 20)?;
        Ok(Header {
            order,
            unit,
            // The four bits above it tell about frame check sequences.
            link_type: order.u32(&rest, 16) & 0x0fff_ffff,
        })
    }

    pub(super) fn next_frame(
        &self,
        input: &mut Input<impl Read>,
    ) -> Result<Option<Frame>, CaptureError> {
        let offset = input.offset;
        let Some(header) = input.header::<PACKET_HEADER>(PACKET)? else {
            return Ok(None);
        };
        let field = |index: usize| self.order.u32(&header, index * 4);
        let (kept, whole) = (field(2), field(3));
        if kept > MAX_PACKET {
            let why = format!("a packet of {kept} bytes, where {MAX_PACKET} are the most");
            return Err(CaptureError::Damaged { offset, why });
        }
        let bytes = input.rest(PACKET, PACKET_HEADER, kept as usize)?;
        let fraction = Duration::from_nanos(u64::from(field(1)) * u64::from(self.unit));
        Ok(Some(Frame {
            time: Duration::from_secs(field(0).into()) + fraction,
            link_type: self.link_type,
            whole_len: bytes.len().max(whole as usize),
            bytes,
        }))
    }
}
