//! Copies that were folded into a packet while somebody stepped: one rung for all that came in a row.
//!
//! ```text
//! 0.000000 #1 SYN-SENT     ── S 0:0(0) win 64240 ───────────────────┤
//!                          packet 1: held (by hand)
//! 4.080000 #1              ── S 0:0(0) ×4 ──────────────────────────✗
//!                          retransmission copies of packet 1, folded into it
//! ```

use super::{Held, Ladder};
use crate::event::{FlowId, Packet, PacketId};
use crate::view::{Flow, View};
use smoltcp::time::Duration;
use std::io::{self, Write};

/// Copies in a row.
#[derive(Debug)]
pub(super) struct Folds {
    original: PacketId,
    /// What they say.
    notation: String,
    /// The first of them as it would be drawn by itself.
    held: Held,
    count: u32,
}

impl Ladder {
    /// A copy was folded into its original.
    #[expect(clippy::too_many_arguments)]
    pub(super) fn fold(
        &mut self,
        view: &View,
        flow: &Flow,
        time: Duration,
        packet: &Packet,
        original: PacketId,
        remarks: Vec<String>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let origin = view.origin(Some(flow.id), packet.direction);
        let notation = packet.described.notation(origin);
        let notation = bare(&format!("{notation:#}")).to_owned();
        if let Some(folds) = self.folds.get_mut(&flow.id)
            && (folds.original, &folds.notation) == (original, &notation)
        {
            folds.count += 1;
            folds.held.rung.time = time;
            return Ok(());
        }
        self.unfold(flow.id, out)?;
        let mut held = self.prepare(view, flow, time, packet, None, remarks);
        let items = &mut held.rung.items;
        items.retain(|item| !item.starts_with("win ") && !item.starts_with('<'));
        let folds = Folds {
            original,
            notation,
            held,
            count: 1,
        };
        self.folds.insert(flow.id, folds);
        Ok(())
    }

    /// Draws the copies of a flow that have come in a row.
    pub(super) fn unfold(&mut self, flow: FlowId, out: &mut impl Write) -> io::Result<()> {
        let Some(mut folds) = self.folds.remove(&flow) else {
            return Ok(());
        };
        let rung = &mut folds.held.rung;
        if folds.count > 1 {
            let times = if self.is_unicode() { "×" } else { "x" };
            let (one, many) = (
                self.options.lang.folded_into(folds.original),
                self.options.lang.all_folded_into(folds.original),
            );
            for item in &mut rung.items {
                if *item == one {
                    item.clone_from(&many);
                }
            }
            rung.items[0] = format!("{} {times}{}", rung.items[0], folds.count);
        }
        self.held = Some(folds.held);
        self.flush(out)
    }
}

fn bare(notation: &str) -> &str {
    notation.split(" <").next().unwrap_or(notation)
}
