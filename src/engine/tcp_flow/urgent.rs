//! The urgent mechanism (RFC 9293, section 3.8.5), which smoltcp knows nothing of: it takes urgent data for data, and that
//! stays in line here (RFC 6093, section 3.4).
//!
//! ```text
//!   SEG.SEQ ──── urgent data ────▶│ SEG.SEQ + SEG.UP: "the octet following the urgent data" (MUST-62)
//! ```

use super::TcpFlow;
use crate::engine::Shared;
use crate::segment::SeqNumber;
use crate::stack::tcp::ip_header_len;
use crate::state::TcpState;
use smoltcp::time::Instant;
use smoltcp::wire::TcpPacket;

impl TcpFlow {
    /// Section 3.10.7.4, "Sixth, check the URG bit": `up` is RCV.UP as a place in the stream.
    pub(super) fn hear_urgent(&mut self, up: u64) {
        let listens = matches!(
            self.state(),
            TcpState::Established | TcpState::FinWait1 | TcpState::FinWait2
        );
        if listens {
            let mut endpoint = self.endpoint.borrow_mut();
            endpoint.urgent_end = endpoint.urgent_end.max(up);
        }
    }

    /// What the program has marked as urgent just now becomes SND.UP.
    pub(super) fn take_urgent_mark(&mut self) {
        let marked = self.endpoint.borrow_mut().urgent_marked.take();
        if let Some(queued) = marked {
            let una = self.tcb.snd.una;
            self.urgent = Some(una + queued as u32);
        }
    }

    /// Points to the end of the urgent data, in each segment that comes before it. Where the field is too small for that,
    /// it points as far as it can, and the next further (MUST-31).
    pub(super) fn point(&mut self, packet: &mut [u8]) {
        let Some(up) = self.urgent else { return };
        let una = self.tcb.snd.una;
        if up.at_or_before(una) {
            self.urgent = None;
            return;
        }
        let ip = ip_header_len(self.key.local.ip());
        let mut tcp = TcpPacket::new_unchecked(&mut packet[ip..]);
        let seq = SeqNumber(tcp.seq_number().0 as u32);
        if seq.before(up) && !tcp.rst() && !tcp.syn() {
            tcp.set_urg(true);
            tcp.set_urgent_at(u16::try_from(up.since(seq)).unwrap_or(u16::MAX));
        }
    }

    /// Cuts what a device would cut otherwise, with a pointer that means something else in each of the pieces. Returns whether
    /// they have departed.
    pub(super) fn cut(&mut self, shared: &mut Shared, now: Instant, packet: &[u8]) -> bool {
        let ip = ip_header_len(self.key.local.ip());
        let tcp = TcpPacket::new_unchecked(&packet[ip..]);
        let len = tcp.payload().len() as u32;
        let mss = u32::from(self.tcb.mss()).max(1);
        if !shared.config.offload || len <= mss {
            return false;
        }
        let end = len + u32::from(tcp.fin());
        let from = (0..len).step_by(mss as usize);
        let pieces: Vec<_> = from
            .map(|from| match from + mss {
                to if to < len => from..to,
                _ => from..end,
            })
            .collect();
        self.depart_in_pieces(shared, now, packet, &pieces);
        true
    }
}
