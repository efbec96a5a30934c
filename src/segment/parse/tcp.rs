//! TCP headers and their options (RFC 9293, sections 3.1 and 3.2).

use super::{Problem, Upper, u16_at, u32_at};
use crate::segment::{Flags, Options, SackBlocks, Segment, SeqNumber, TcpOption};

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
    Ok(Segment {
        src_port: u16_at(fixed, 0),
        dst_port: u16_at(fixed, 2),
        seq: SeqNumber(u32_at(fixed, 4)),
        ack: SeqNumber(u32_at(fixed, 8)),
        // Nine bits have a meaning; the three before them are reserved.
        flags: Flags(u16_at(fixed, 12) & 0x1ff),
        window: u16_at(fixed, 14),
        urgent: u16_at(fixed, 18),
        options: options(
            &bytes[20..header_len.min(upper.present)],
            upper.present < header_len,
        ),
        payload: upper.payload(header_len, bytes.len()),
        checksum_ok: upper.checksum_ok(bytes, u16_at(fixed, 16)),
    })
}

fn options(bytes: &[u8], cut: bool) -> Options {
    let mut list: Options = Rest(bytes).collect();
    // The last one may be malformed only because its rest is missing.
    if cut && matches!(list.last(), Some(TcpOption::Malformed { .. })) {
        list.pop();
    }
    list
}

/// What is left of an option list.
#[derive(Clone, Copy)]
struct Rest<'a>(&'a [u8]);

impl Iterator for Rest<'_> {
    type Item = TcpOption;

    fn next(&mut self) -> Option<TcpOption> {
        let (&kind, rest) = self.0.split_first()?;
        let option = match (kind, rest.first()) {
            (0, _) => {
                // What follows the end of the list is padding.
                self.0 = &[];
                return Some(TcpOption::EndOfList);
            }
            (1, _) => {
                self.0 = rest;
                return Some(TcpOption::Nop);
            }
            (_, Some(&len)) if len >= 2 => self.0.split_at_checked(len.into()),
            _ => None,
        };
        let Some((option, rest)) = option else {
            self.0 = &[];
            return Some(TcpOption::Malformed { kind });
        };
        self.0 = rest;
        Some(known(kind, option))
    }
}

/// The meaning of an option with a length byte. RFC 9293, section 3.2: a length that is not the kind's own
/// makes it one that we don't know.
fn known(kind: u8, option: &[u8]) -> TcpOption {
    match (kind, option.len()) {
        (2, 4) => TcpOption::MaxSegmentSize(u16_at(option, 2)),
        (3, 3) => TcpOption::WindowScale(option[2]),
        (4, 2) => TcpOption::SackPermitted,
        (5, 10 | 18 | 26 | 34) => {
            let edge = |at| SeqNumber(u32_at(option, at));
            TcpOption::Sack(SackBlocks::new(
                (2..option.len())
                    .step_by(8)
                    .map(|at| (edge(at), edge(at + 4))),
            ))
        }
        (8, 10) => TcpOption::Timestamps {
            val: u32_at(option, 2),
            ecr: u32_at(option, 6),
        },
        (kind, len) => TcpOption::Unknown {
            kind,
            len: len as u8,
        },
    }
}
