//! What has arrived behind a gap, for the SACK option.
//!
//! smoltcp tells of one island, and of that only in ACKs that leave at once. So its bookkeeping is done a second time
//! here, by the same code on the same segments, where all islands can be told, the newest first.

#[cfg(test)]
mod tests;

use crate::segment::SeqNumber;
use smoltcp::storage::Assembler;

/// More than the four blocks that an option holds: islands merge.
const RECENT: usize = 8;

/// RFC 2018, section 3: "a SACK option that specifies n blocks will have a length of 8*n+2 bytes", so four fit the 40
/// bytes of options.
pub(crate) const MAX_BLOCKS: usize = 4;

/// The islands of one connection; there is none without at least one.
#[derive(Debug)]
pub(crate) struct Islands {
    /// Offsets from RCV.NXT.
    assembler: Assembler,
    /// The first numbers of the segments that came last, the newest first.
    recent: [Option<SeqNumber>; RECENT],
    refused: bool,
}

impl Islands {
    pub(crate) fn new() -> Islands {
        Islands {
            assembler: Assembler::new(),
            recent: [None; RECENT],
            refused: false,
        }
    }

    /// Data arrives that begins `offset` behind RCV.NXT, the part of it that is new and in the window. Returns whether
    /// any island is left.
    pub(crate) fn add(&mut self, rcv_nxt: SeqNumber, offset: u32, len: u32) -> bool {
        // Where there are too many, smoltcp does not take it either.
        let added = self
            .assembler
            .add_then_remove_front(offset as usize, len as usize);
        self.refused |= added.is_err();
        if added.is_ok() && offset > 0 {
            self.recent.rotate_right(1);
            self.recent[0] = Some(rcv_nxt + offset);
        }
        !self.assembler.is_empty()
    }

    /// How far behind RCV.NXT the last of them ends.
    pub(crate) fn reach(&self) -> u32 {
        let ends = self.assembler.iter_data().map(|(_, right)| right as u32);
        ends.max().unwrap_or(0)
    }

    /// Whether data was refused because there were too many, since this was asked last.
    pub(crate) fn take_refused(&mut self) -> bool {
        std::mem::take(&mut self.refused)
    }

    /// The blocks to tell, `most` at most. RFC 2018, section 4: "The first SACK block [...] MUST specify the contiguous
    /// block of data containing the segment which triggered this ACK", then those "most recently reported".
    pub(crate) fn blocks(
        &self,
        rcv_nxt: SeqNumber,
        most: usize,
    ) -> impl Iterator<Item = (SeqNumber, SeqNumber)> {
        let mut blocks = [(SeqNumber(0), SeqNumber(0)); MAX_BLOCKS];
        let mut count = 0;
        let all = || {
            self.assembler
                .iter_data()
                .map(|(left, right)| (rcv_nxt + left as u32, rcv_nxt + right as u32))
        };
        let recent = self.recent.iter().flatten().filter_map(|&number| {
            all().find(|&(left, right)| number.since(left) < right.since(left))
        });
        for block in recent.chain(all()) {
            if count < most.min(MAX_BLOCKS) && !blocks[..count].contains(&block) {
                blocks[count] = block;
                count += 1;
            }
        }
        blocks.into_iter().take(count)
    }
}
