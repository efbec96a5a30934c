//! What a connection does about losses that smoltcp does not mend, or mends at too great a cost.

use super::TcpFlow;
use crate::engine::Shared;
use crate::event::{EventKind, Resend, UserCall};
use crate::segment::{Segment, SeqNumber};
use crate::stack::tcp::{ip_header_len, set_len};
use crate::state::TcpState;
use smoltcp::time::Instant;
use smoltcp::wire::{TcpPacket, TcpSeqNumber};
use std::ops::Range;

/// RFC 9293, section 3.8.3 (SHLD-10): "The value of R1 SHOULD correspond to at least 3 retransmissions".
const R1: u8 = 3;

/// What is left of a segment when what the peer has is taken out of it.
pub(super) enum Thinned {
    Whole,
    Nothing,
    /// Pieces of it, which have departed.
    Parts,
}

impl TcpFlow {
    /// Makes smoltcp send the first segment in flight again, where recovery asks for it: as if there had been three
    /// duplicate ACKs.
    pub(super) fn fill_gap(&mut self, shared: &mut Shared, now: Instant) {
        if !self.tcb.recovery.take_request() || self.tcb.snd.in_flight() == 0 {
            return;
        }
        let queue = self.endpoint.borrow().socket.queued();
        if queue == 0 || self.state() == TcpState::LastAck {
            // smoltcp sends no FIN again for that, and counts no duplicates in LAST-ACK.
            self.send_early(shared, now);
            return;
        }
        for _ in 0..self.tcb.snd.pretend_duplicates() {
            let duplicate = self.pure(None);
            let socket = &mut self.endpoint.borrow_mut().socket;
            socket.hint_duplicate(shared.moment(now), &self.key, &duplicate);
        }
    }

    /// A segment as smoltcp is to see it that shuts the window over a part of what is in flight. smoltcp would forget its
    /// retransmission timer, and then send again neither that nor anything else before it: it is told of the window
    /// apart from the acknowledgment. In LAST-ACK, where it hears of no window alone, it goes on to send again what is in flight
    /// (RFC 9293, section 3.8.6, MAY-7), which is as good as a probe.
    pub(super) fn kept_open(&self, segment: &Segment) -> Option<Segment> {
        let window = self.tcb.kept_open(segment)?;
        Some(Segment {
            window,
            ..segment.clone()
        })
    }

    /// CLOSE has waited for a window in which the FIN has a place, and does not have to any more.
    pub(super) fn closes_late(&mut self) -> bool {
        let mut endpoint = self.endpoint.borrow_mut();
        let waits = endpoint.close_waits && endpoint.state() == TcpState::CloseWait;
        if !waits || endpoint.is_blocked() {
            return false;
        }
        endpoint.close_waits = false;
        endpoint.call(UserCall::Close);
        true
    }

    /// Whether smoltcp waits for nothing, or for the next keep-alive, though something is in flight: its timeout was over while
    /// the window was shut.
    pub(super) fn is_stalled(&self, now: Instant, state: TcpState, due: Option<Instant>) -> bool {
        self.tcb.snd.wnd == 0
            && due.is_none_or(|due| due > now + self.tcb.rtt.timeout())
            && self.tcb.snd.socket_flight() > 0
            && state.is_synchronized()
            && self.endpoint.borrow().socket.queued() > 0
    }

    /// Everything is acknowledged, perhaps with a shut window. smoltcp would go on to probe that though it has nothing to
    /// send, and in FIN-WAIT-2 without a pause.
    pub(super) fn stop_probing(&mut self, shared: &mut Shared, now: Instant) {
        let rests = matches!(
            self.state(),
            TcpState::Established | TcpState::CloseWait | TcpState::FinWait2
        );
        if self.tcb.snd.wnd == 0 && rests {
            self.tell_window(shared, now, 1);
            self.tell_window(shared, now, 0);
        }
    }

    /// Makes smoltcp probe the shut window from now on, where nothing else would ever happen.
    pub(super) fn probe_later(&mut self, shared: &mut Shared, now: Instant) {
        self.tcb.timed_out();
        self.resent(shared, now, Resend::Timeout, true);
        self.tell_window(shared, now, 0);
    }

    /// Something was sent again; `first` is whether it is the first after a timeout, if it is due to one.
    pub(super) fn resent(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        resend: Resend,
        first: bool,
    ) {
        if resend != Resend::Timeout || !first {
            return;
        }
        if self.state().is_synchronized() {
            self.tcb.recovery.timed_out(self.tcb.snd.nxt);
        }
        let unanswered = self.tcb.snd.unanswered;
        self.endpoint.borrow_mut().unanswered = unanswered;
        // Before a passive open is complete there is nobody to tell.
        if unanswered == R1 && self.state() != TcpState::SynReceived {
            // (SHLD-9): "inform the application of the delivery problem".
            let note = format!("R1: {R1} retransmissions, and nothing was acknowledged");
            self.woken = true;
            shared
                .journal
                .tell(now, Some(self.id), EventKind::Note(note));
        }
    }

    /// Takes the byte out of a keep-alive that smoltcp has made; the new length of the packet. RFC 9293, section 3.8.4
    /// (SHLD-12): "An implementation SHOULD send a keep-alive segment with no data".
    pub(super) fn strip(&self, shared: &Shared, packet: &mut [u8], len: usize) -> usize {
        let ip = ip_header_len(self.key.local.ip());
        if shared.config.keep_alive.is_none() {
            return len;
        }
        let tcp = TcpPacket::new_unchecked(&packet[ip..len]);
        let seq = SeqNumber(tcp.seq_number().0 as u32);
        if tcp.payload().len() != 1 || !self.tcb.snd.is_keep_alive(seq, 1) {
            return len;
        }
        let len = len - 1;
        set_len(packet, ip, len);
        len
    }

    /// Takes out of a packet of smoltcp's what the peer has, as it has told. smoltcp takes all of it for sent.
    pub(super) fn thin(&mut self, shared: &mut Shared, now: Instant, packet: &[u8]) -> Thinned {
        let ip = ip_header_len(self.key.local.ip());
        let tcp = TcpPacket::new_unchecked(&packet[ip..]);
        let seq = SeqNumber(tcp.seq_number().0 as u32);
        let len = tcp.payload().len() as u32;
        let end = seq + len + u32::from(tcp.fin());
        let (una, nxt) = (self.tcb.snd.una, self.tcb.snd.nxt);
        if seq == end || tcp.rst() || nxt.at_or_before(seq) || self.tcb.snd.is_timeout(seq) {
            return Thinned::Whole;
        }
        let mut missing = self.tcb.missing(seq, end);
        if seq == una {
            // What smoltcp sends again for duplicate ACKs does not count as gone back to: the rest has its turn later.
            missing.truncate(1);
        }
        if let [all] = &missing[..]
            && *all == (0..end.since(seq))
        {
            return Thinned::Whole;
        }
        self.depart_in_pieces(shared, now, packet, &missing);
        self.tcb.snd.passed_over(end);
        match missing[..] {
            [] => Thinned::Nothing,
            _ => Thinned::Parts,
        }
    }

    /// Lets parts of a packet of smoltcp's leave, each of them a segment.
    pub(super) fn depart_in_pieces(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        packet: &[u8],
        pieces: &[Range<u32>],
    ) {
        let ip = ip_header_len(self.key.local.ip());
        for range in pieces {
            let mut piece = piece(packet, ip, range.clone());
            if let Some(transmit) = self.depart(shared, now, &mut piece) {
                shared.link.keep(piece, transmit.offload);
            }
        }
    }
}

/// A part of a segment, in offsets from its first number: where that is not its end, without PSH and FIN.
fn piece(packet: &[u8], ip: usize, range: Range<u32>) -> Vec<u8> {
    let tcp = TcpPacket::new_unchecked(&packet[ip..]);
    let payload = tcp.payload();
    let text = (range.start as usize).min(payload.len())..(range.end as usize).min(payload.len());
    let begin = packet.len() - payload.len();
    let mut piece = packet[..begin].to_vec();
    piece.extend_from_slice(&payload[text]);
    let len = piece.len();
    set_len(&mut piece, ip, len);
    let last = range.end as usize >= payload.len() + usize::from(tcp.fin());
    let seq = TcpSeqNumber(tcp.seq_number().0.wrapping_add(range.start as i32));
    let mut tcp = TcpPacket::new_unchecked(&mut piece[ip..]);
    tcp.set_seq_number(seq);
    if !last {
        tcp.set_psh(false);
        tcp.set_fin(false);
    }
    piece
}
