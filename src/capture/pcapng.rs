//! The newer format (draft-ietf-opsawg-pcapng): sections of blocks, of which some are packets.

use super::{ByteOrder, CaptureError, Frame, Input, MAX_PACKET};
use std::io::Read;
use std::time::Duration;

/// How a section, and so a file, begins; the same in either byte order.
pub(super) const MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// Blocks that are longer are damaged (Wireshark draws the line at the same place).
const MAX_BLOCK: u32 = 16 << 20;
const BLOCK: &str = "a block";
/// Type, length, and length again.
const FRAMING: u32 = 12;

/// The block types that matter (section 11.1 of the draft), as numbers.
const INTERFACE_DESCRIPTION: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// No packet is younger, in seconds since 1970: the year 2242.
const LATEST: u64 = 1 << 33;

/// The interface of our own captures that carries what did not cross the wire.
const INTENDED: &[u8] = b"intended";

/// Options.
const END_OF_OPTIONS: u16 = 0;
const APPLICATION: u16 = 4;
const NAME: u16 = 2;
const RESOLUTION: u16 = 9;
const TIME_OFFSET: u16 = 14;

/// What is known of the section that is being read.
#[derive(Debug)]
pub(super) struct Section {
    order: ByteOrder,
    /// Whether this program has written it.
    is_ours: bool,
    interfaces: Vec<Interface>,
    /// The time of the newest packet.
    time: Duration,
}

#[derive(Debug)]
struct Interface {
    link_type: u32,
    snap_len: u32,
    /// So many units of time are a second.
    units: u128,
    /// Seconds to be added to each time.
    offset: i64,
    is_intended: bool,
}

impl Section {
    /// Reads the first block, whose type was read before.
    pub(super) fn read(input: &mut Input<impl Read>) -> Result<Section, CaptureError> {
        let offset = input.offset - 4;
        let (order, body) = section_body(input, offset)?;
        Ok(Section::new(order, &body, Duration::ZERO))
    }

    fn new(order: ByteOrder, body: &[u8], time: Duration) -> Section {
        let application = options(order, body, 16).find(|(code, _)| *code == APPLICATION);
        Section {
            order,
            is_ours: application.is_some_and(|(_, name)| name.starts_with(b"tcplab ")),
            interfaces: Vec::new(),
            time,
        }
    }

    pub(super) fn next_frame(
        &mut self,
        input: &mut Input<impl Read>,
    ) -> Result<Option<Frame>, CaptureError> {
        loop {
            let offset = input.offset;
            let Some(kind) = input.header::<4>(BLOCK)? else {
                return Ok(None);
            };
            if kind == MAGIC {
                let (order, body) = section_body(input, offset)?;
                *self = Section::new(order, &body, self.time);
                continue;
            }
            let body = block_body(self.order, input, offset)?;
            let damaged = |why: String| CaptureError::Damaged { offset, why };
            let frame = match self.order.u32(&kind, 0) {
                INTERFACE_DESCRIPTION => {
                    let interface = Interface::read(self.order, &body).map_err(damaged)?;
                    self.interfaces.push(interface);
                    None
                }
                ENHANCED_PACKET => self.enhanced(&body, false).map_err(damaged)?,
                PACKET => self.enhanced(&body, true).map_err(damaged)?,
                SIMPLE_PACKET => self.simple(&body).map_err(damaged)?,
                _ => None,
            };
            if frame.is_some() {
                return Ok(frame);
            }
        }
    }

    /// An enhanced packet, or with `obsolete` its predecessor, which has the interface and a count of drops in 16 bits each.
    fn enhanced(&mut self, body: &[u8], obsolete: bool) -> Result<Option<Frame>, String> {
        let field = |index: usize| self.order.u32(body, index * 4);
        if body.len() < 20 {
            return Err(format!(
                "a packet's block of {} bytes, where 20 are the least",
                body.len()
            ));
        }
        let id = if obsolete {
            self.order.u16(body, 0).into()
        } else {
            field(0)
        };
        let interface = self.interface(id)?;
        let ticks = u64::from(field(1)) << 32 | u64::from(field(2));
        let (kept, whole) = (field(3), field(4));
        let bytes = kept_bytes(&body[20..], kept)?;
        let time = interface.time(ticks);
        let frame = Frame {
            time,
            link_type: interface.link_type,
            whole_len: bytes.len().max(whole as usize),
            bytes: bytes.to_vec(),
        };
        let is_intended = self.is_ours && interface.is_intended;
        self.time = time;
        Ok((!is_intended).then_some(frame))
    }

    /// A packet without a time, on the first interface.
    fn simple(&self, body: &[u8]) -> Result<Option<Frame>, String> {
        if body.len() < 4 {
            return Err("a packet's block without a length".into());
        }
        let interface = self.interface(0)?;
        let whole = self.order.u32(body, 0);
        let limit = match interface.snap_len {
            0 => u32::MAX,
            limit => limit,
        };
        let bytes = kept_bytes(&body[4..], whole.min(limit))?;
        Ok(Some(Frame {
            time: self.time,
            link_type: interface.link_type,
            whole_len: whole as usize,
            bytes: bytes.to_vec(),
        }))
    }

    fn interface(&self, id: u32) -> Result<&Interface, String> {
        self.interfaces
            .get(id as usize)
            .ok_or_else(|| format!("a packet on interface {id}, which was not described"))
    }
}

impl Interface {
    fn read(order: ByteOrder, body: &[u8]) -> Result<Interface, String> {
        if body.len() < 8 {
            return Err(format!(
                "an interface's block of {} bytes, where 8 are the least",
                body.len()
            ));
        }
        let mut interface = Interface {
            link_type: order.u16(body, 0).into(),
            snap_len: order.u32(body, 4),
            units: 1_000_000,
            offset: 0,
            is_intended: false,
        };
        for (code, value) in options(order, body, 8) {
            match (code, value) {
                (NAME, name) => interface.is_intended = name == INTENDED,
                (RESOLUTION, &[exponent]) => {
                    let base: u128 = if exponent & 0x80 == 0 { 10 } else { 2 };
                    let units = base.checked_pow((exponent & 0x7f).into());
                    interface.units =
                        units.ok_or("an interface with a resolution that is out of range")?;
                }
                (TIME_OFFSET, offset) if offset.len() == 8 => {
                    let (first, second) = (order.u32(offset, 0), order.u32(offset, 4));
                    let (high, low) = match order {
                        ByteOrder::Big => (first, second),
                        ByteOrder::Little => (second, first),
                    };
                    interface.offset = (u64::from(high) << 32 | u64::from(low)) as i64;
                }
                _ => {}
            }
        }
        Ok(interface)
    }

    fn time(&self, ticks: u64) -> Duration {
        let ticks = u128::from(ticks);
        let seconds = (ticks / self.units).min(LATEST.into()) as u64;
        // The product may not fit where units are tiny, and then it makes no difference.
        let nanos = (ticks % self.units).saturating_mul(1_000_000_000) / self.units;
        Duration::new(
            seconds.saturating_add_signed(self.offset).min(LATEST),
            (nanos as u32).min(999_999_999),
        )
    }
}

/// The body of a section's first block, of which only the type was read; its byte order is told inside.
fn section_body(
    input: &mut Input<impl Read>,
    offset: u64,
) -> Result<(ByteOrder, Vec<u8>), CaptureError> {
    let fixed = input.rest(BLOCK, 4, 8)?;
    let order = match fixed[4..] {
        [0x1a, 0x2b, 0x3c, 0x4d] => ByteOrder::Big,
        [0x4d, 0x3c, 0x2b, 0x1a] => ByteOrder::Little,
        _ => {
            let why = "a section whose byte order is neither".into();
            return Err(CaptureError::Damaged { offset, why });
        }
    };
    let len = block_len(order, &fixed[..4], offset)?;
    // Magic, version, and the length of the section.
    if len < FRAMING + 16 {
        let why = format!("a section's header of {len} bytes, where 28 are the least");
        return Err(CaptureError::Damaged { offset, why });
    }
    let mut body = fixed[4..].to_vec();
    body.extend(body_and_end(order, input, offset, len, 12)?);
    Ok((order, body))
}

fn block_body(
    order: ByteOrder,
    input: &mut Input<impl Read>,
    offset: u64,
) -> Result<Vec<u8>, CaptureError> {
    let len = input.rest(BLOCK, 4, 4)?;
    let len = block_len(order, &len, offset)?;
    body_and_end(order, input, offset, len, 8)
}

fn block_len(order: ByteOrder, bytes: &[u8], offset: u64) -> Result<u32, CaptureError> {
    let len = order.u32(bytes, 0);
    if len < FRAMING || !len.is_multiple_of(4) || len > MAX_BLOCK {
        let why = format!("a block of {len} bytes");
        return Err(CaptureError::Damaged { offset, why });
    }
    Ok(len)
}

/// The rest of a block of `len` bytes, `before` of which were read.
fn body_and_end(
    order: ByteOrder,
    input: &mut Input<impl Read>,
    offset: u64,
    len: u32,
    before: usize,
) -> Result<Vec<u8>, CaptureError> {
    let mut body = input.rest(BLOCK, before, len as usize - before)?;
    let end = order.u32(&body, body.len() - 4);
    if end != len {
        let why = format!("a block of {len} bytes that ends as one of {end}");
        return Err(CaptureError::Damaged { offset, why });
    }
    body.truncate(body.len() - 4);
    Ok(body)
}

fn kept_bytes(bytes: &[u8], kept: u32) -> Result<&[u8], String> {
    if kept > MAX_PACKET {
        return Err(format!(
            "a packet of {kept} bytes, where {MAX_PACKET} are the most"
        ));
    }
    let present = bytes.len();
    bytes
        .get(..kept as usize)
        .ok_or_else(|| format!("a packet of {kept} bytes in a block with room for {present}"))
}

/// The options of a block from `start` on: code and value. What can't be read ends them.
fn options(order: ByteOrder, body: &[u8], start: usize) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = body.get(start..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (header, after) = rest.split_at_checked(4)?;
        let (code, len) = (order.u16(header, 0), usize::from(order.u16(header, 2)));
        let value = after.get(..len)?;
        rest = after.get(len.next_multiple_of(4)..).unwrap_or_default();
        (code != END_OF_OPTIONS).then_some((code, value))
    })
}
