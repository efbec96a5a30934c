//! What becomes of a segment that arrives, before smoltcp sees it.

use super::Tcb;
use super::mss::DEFAULT_MSS_V6;
use super::recovery::Heard;
use crate::event::Opening;
use crate::segment::{Flags, Segment, SeqNumber, TcpOption};
use crate::state::TcpState;
use smoltcp::time::Instant;
use std::iter;
use std::ops::Range;

/// What becomes of a segment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// smoltcp gets it as it is.
    Pass,
    /// smoltcp gets this in its place: the same but for its numbers, flags, window, or a part of its payload.
    Instead(Segment),
    /// Nothing.
    Ignore,
    /// It is answered with an acknowledgment of what there is, and dropped.
    Challenge,
    /// It is answered with the SYN-ACK or the FIN that is in flight, once more.
    Again,
    /// It is not acceptable (RFC 9293, section 3.10.7.4): it is acknowledged, and nothing of it counts but perhaps its ACK.
    /// This is it with the acknowledgment number and the window that would.
    Unacceptable(Segment),
}

impl Tcb {
    /// Judges a segment that has arrived, its checksum right, for a connection that is not CLOSED. `queued` is how many bytes
    /// are in the send buffer, in flight or waiting.
    pub(crate) fn judge(
        &mut self,
        now: Instant,
        segment: &Segment,
        state: TcpState,
        queued: usize,
    ) -> Verdict {
        let options = &segment.options;
        if options.is_plain() || !options.iter().any(|option| is_odd(&option)) {
            return self.judge_readable(now, segment, state, queued);
        }
        // RFC 9293, section 3.1 (MUST-7): "TCP implementations MUST be prepared to handle an illegal option length".
        let readable = Segment {
            options: options.iter().filter(|option| !is_odd(option)).collect(),
            ..segment.clone()
        };
        match self.judge_readable(now, &readable, state, queued) {
            Verdict::Pass => Verdict::Instead(readable),
            verdict => verdict,
        }
    }

    fn judge_readable(
        &mut self,
        now: Instant,
        segment: &Segment,
        state: TcpState,
        queued: usize,
    ) -> Verdict {
        match state {
            TcpState::Closed => Verdict::Pass,
            TcpState::Listen | TcpState::SynSent => self.open(segment, state),
            _ if segment.flags.contains(Flags::RST) => self.judge_reset(now, segment),
            _ if segment.flags.contains(Flags::SYN) => self.judge_syn(now, segment, state),
            _ if self.stamps.rejects(now, segment) => self.challenge(now),
            // RFC 9293, section 3.10.7.4: "if the ACK bit is off, drop the segment and return".
            _ if !segment.flags.contains(Flags::ACK) => Verdict::Ignore,
            _ => self.judge_text(now, segment, state, queued),
        }
    }

    /// RFC 5961, section 3.2.
    fn judge_reset(&mut self, now: Instant, segment: &Segment) -> Verdict {
        if segment.seq == self.rcv.nxt {
            return plain(segment, segment.seq, Flags::RST);
        }
        match self.rcv.is_in_window(segment.seq) {
            true => self.challenge(now),
            false => Verdict::Ignore,
        }
    }

    fn judge_syn(&mut self, now: Instant, segment: &Segment, state: TcpState) -> Verdict {
        if state != TcpState::SynReceived {
            // RFC 5961, section 4.2: "irrespective of the sequence number".
            return self.challenge(now);
        }
        let acknowledges = segment.acknowledges();
        if segment.seq == self.rcv.irs.unwrap_or_default() {
            return match acknowledges {
                // RFC 9293, figure 8: both have begun, and each SYN-ACK acknowledges the other's SYN.
                Some(ack) if ack == self.snd.nxt => plain(segment, self.rcv.nxt, Flags::ACK),
                Some(_) => self.challenge(now),
                // Our SYN-ACK got lost, or is slower than the peer's patience.
                None => Verdict::Again,
            };
        }
        // Section 3.10.7.4, "Fourth, check the SYN bit": "If the connection was initiated with a passive OPEN, then
        // return this connection to the LISTEN state", which is what smoltcp does with a reset.
        if self.opening == Opening::Passive && self.rcv.is_in_window(segment.seq) {
            return plain(segment, self.rcv.nxt, Flags::RST);
        }
        self.challenge(now)
    }

    /// A segment with ACK, without SYN and RST.
    fn judge_text(
        &mut self,
        now: Instant,
        segment: &Segment,
        state: TcpState,
        queued: usize,
    ) -> Verdict {
        self.snd.max_wnd = self.snd.max_wnd.max(self.snd.wnd);
        let acceptable = self.rcv.accepts(segment);
        if acceptable {
            self.stamps.note(now, segment);
        }
        let (mut ack, mut window) = (segment.ack, segment.window);
        if state == TcpState::SynReceived {
            // One that acknowledges something else is answered with a reset by smoltcp.
            if !acceptable {
                return self.challenge(now);
            }
        } else if self.snd.nxt.before(ack) {
            return self.challenge(now);
        } else if ack.before(self.snd.una) {
            let age = self.snd.una.since(ack);
            // RFC 5961, section 5.2, with what Linux adds: nobody acknowledges what was never sent.
            let sent = self.snd.acknowledged.saturating_sub(1);
            if u64::from(age) > sent.min(self.snd.max_wnd.into()) {
                return self.challenge(now);
            }
            if acceptable && segment.sequence_len() == 0 {
                // "If the ACK is a duplicate (SEG.ACK =< SND.UNA), it can be ignored."
                return Verdict::Ignore;
            }
            (ack, window) = (self.snd.una, self.window_field(None));
        } else if acceptable {
            // "If (SND.WL1 < SEG.SEQ or (SND.WL1 = SEG.SEQ and SND.WL2 =< SEG.ACK)), set SND.WND <- SEG.WND". And, as
            // Linux: with the window goes the edge from which it counts, so whatever moves that counts.
            let newer = self.snd.updated_by.is_none_or(|(wl1, wl2)| {
                wl1.before(segment.seq) || wl1 == segment.seq && wl2.at_or_before(ack)
            });
            if newer || self.snd.una.before(ack) {
                self.snd.updated_by = Some((segment.seq, ack));
            } else {
                window = self.window_field(None);
            }
        }
        if acceptable && state == TcpState::LastAck && self.opens(segment, queued) {
            // smoltcp does not look at the window of what acknowledges nothing, but at that of the answer to a probe.
            return Verdict::Again;
        }
        let duplicate = acceptable
            && ack == self.snd.una
            && ack != self.snd.nxt
            && window == self.window_field(None)
            && segment.sequence_len() == 0;
        if !acceptable {
            self.snd.duplicates.unanswerable = 0;
            return Verdict::Unacceptable(Segment {
                ack,
                window,
                ..segment.clone()
            });
        }
        self.silly.saw_window();
        let counts = self.hear(now, segment, state, duplicate);
        let unanswered = self.has_fin_alone_in_flight(state, queued)
            || state == TcpState::LastAck && self.window_field(None) > 0;
        if duplicate && unanswered {
            // smoltcp would forget to send it again at all.
            self.snd.duplicates.unanswerable = self.snd.duplicates.unanswerable.saturating_add(1);
            return match self.snd.duplicates.unanswerable {
                3 => Verdict::Again,
                _ => Verdict::Ignore,
            };
        }
        self.snd.duplicates.unanswerable = 0;
        if !counts {
            return Verdict::Ignore;
        }
        let (seq, flags, payload) = self.trim(segment);
        if state != TcpState::SynReceived || ack == self.snd.nxt {
            self.rcv.note_island(seq, payload.len() as u32);
        }
        if (seq, ack, flags, window) == (segment.seq, segment.ack, segment.flags, segment.window)
            && payload == segment.payload
        {
            return Verdict::Pass;
        }
        Verdict::Instead(Segment {
            seq,
            ack,
            flags,
            window,
            payload,
            ..segment.clone()
        })
    }

    /// Reads an acceptable acknowledgment for what it says of losses. Returns whether smoltcp is to count it.
    fn hear(&mut self, now: Instant, segment: &Segment, state: TcpState, duplicate: bool) -> bool {
        let mut options = segment.options.iter();
        let tells = self.sack
            && !segment.options.is_plain()
            && options.any(|option| matches!(option, TcpOption::Sack(_)));
        let old = segment.ack.before(self.snd.una) || state == TcpState::SynReceived;
        // With a window of zero, what looks like a duplicate answers a probe.
        let duplicate = duplicate && self.window_field(None) > 0;
        if old || !(duplicate || tells || self.recovery.is_under_way()) {
            return true;
        }
        self.recovery.hear(&Heard {
            now,
            segment,
            una: self.snd.una,
            nxt: self.snd.nxt,
            duplicate,
            duplicates: self.snd.duplicates.counted(),
            sack: self.sack,
            mss: self.snd.mss.into(),
            rto: self.rtt.timeout(),
        })
    }

    /// What counts of the text of an acceptable segment, and of its FIN.
    fn trim(&mut self, segment: &Segment) -> (SeqNumber, Flags, Range<usize>) {
        let whole = (segment.seq, segment.flags, segment.payload.clone());
        let end = segment.seq + segment.payload.len() as u32;
        if self.rcv.finished {
            // Section 3.10.7.4, of the states after the peer's FIN: "This should not occur [...]. Ignore the segment
            // text."
            let more = self.rcv.nxt.before(end) || segment.flags.contains(Flags::FIN);
            return match more {
                true => (self.rcv.nxt, Flags::ACK, 0..0),
                false => whole,
            };
        }
        let (mut seq, mut flags, mut text) = whole;
        // Nothing follows a FIN that is known of.
        let fin = self
            .rcv
            .early_fin
            .filter(|fin| fin.before(self.rcv.text_edge()));
        let edge = fin.unwrap_or(self.rcv.text_edge());
        if flags.contains(Flags::FIN) {
            // A FIN in the middle of data is none: smoltcp would take it for one behind them.
            let is_true = self.rcv.islands.as_ref().is_none_or(|islands| {
                end.since(self.rcv.nxt) >= islands.reach() && end.at_or_before(edge)
            });
            if edge.before(end) || !is_true {
                flags = Flags(flags.0 & !Flags::FIN.0);
            } else if end == self.rcv.nxt {
                // Its data has been here before; the FIN has not.
                return (end, Flags(Flags::FIN.0 | Flags::ACK.0), 0..0);
            } else if self.rcv.nxt.before(seq) {
                self.rcv.early_fin = Some(end);
            }
        }
        // "trimming off any portions that lie outside the window (including SYN and FIN)"
        if seq.before(self.rcv.nxt) {
            let old = self.rcv.nxt.since(seq) as usize;
            text.start = text.end.min(text.start + old);
            seq = self.rcv.nxt;
        }
        if edge.before(end) {
            let beyond = end.since(edge) as usize;
            text.end = text.start.max(text.end.saturating_sub(beyond));
        }
        (seq, flags, text)
    }

    fn challenge(&mut self, now: Instant) -> Verdict {
        match self.challenges.take(now) {
            true => Verdict::Challenge,
            false => Verdict::Ignore,
        }
    }

    /// What smoltcp is to have in the place of a segment that is not acceptable, so that it acknowledges what there is: always
    /// where there is text, and else as often as there are challenges. RFC 9293, section 3.8.6.1: with a window of zero, "when
    /// a segment arrives, it must still send an acknowledgment".
    pub(crate) fn old(&mut self, now: Instant, segment: &Segment) -> Segment {
        let has_byte = !segment.payload.is_empty() || self.challenges.take(now);
        self.rcv.old(segment, has_byte)
    }

    fn has_fin_alone_in_flight(&self, state: TcpState, queued: usize) -> bool {
        let sent = matches!(
            state,
            TcpState::FinWait1 | TcpState::Closing | TcpState::LastAck
        );
        sent && queued == 0 && self.snd.nxt.since(self.snd.una) == 1
    }

    /// Whether a segment does nothing but open a window that was shut.
    fn opens(&self, segment: &Segment, queued: usize) -> bool {
        self.window_field(None) == 0
            && segment.window > 0
            && segment.sequence_len() == 0
            && segment.ack == self.snd.una
            && queued > 0
    }

    /// A segment in LISTEN or SYN-SENT.
    fn open(&self, segment: &Segment, state: TcpState) -> Verdict {
        let control = segment.flags.0 & (Flags::SYN.0 | Flags::FIN.0 | Flags::RST.0);
        if segment.flags.contains(Flags::RST) {
            if control == Flags::RST.0 {
                return Verdict::Pass;
            }
            let flags = Flags(segment.flags.0 & (Flags::RST.0 | Flags::ACK.0));
            return plain(segment, segment.seq, flags);
        }
        if !segment.flags.contains(Flags::SYN) {
            // Section 3.10.7.3: "First, check the ACK bit", whatever else is set.
            return match segment.acknowledges() {
                Some(_) if state == TcpState::SynSent => plain(segment, segment.seq, Flags::ACK),
                _ => Verdict::Pass,
            };
        }
        // A FIN is not looked at before the connection is established; it will come again.
        let whole = control == Flags::SYN.0;
        let mss = segment.max_segment_size().filter(|&mss| mss > 0);
        let readable = match mss {
            Some(mss) => mss <= self.own_mss,
            None => !self.v6,
        };
        if whole && readable {
            return Verdict::Pass;
        }
        let mut changed = segment.clone();
        changed.flags = Flags(segment.flags.0 & !Flags::FIN.0);
        if !readable {
            // smoltcp acknowledges each second segment of the peer's MSS, of which none can be longer than ours.
            let counts = mss.unwrap_or(DEFAULT_MSS_V6).min(self.own_mss);
            let others = segment.options.iter();
            let others = others.filter(|option| !matches!(option, TcpOption::MaxSegmentSize(_)));
            let counts = iter::once(TcpOption::MaxSegmentSize(counts));
            changed.options = counts.chain(others).collect();
        }
        Verdict::Instead(changed)
    }
}

/// An option at which smoltcp would give the whole segment up: MSS, window scale, SACK-permitted or SACK with a length
/// that is not theirs, or one that runs out of the header.
fn is_odd(option: &TcpOption) -> bool {
    matches!(
        option,
        TcpOption::Malformed { .. } | TcpOption::Unknown { kind: 2..=5, .. }
    )
}

/// The segment with these flags only, and nothing in it.
fn plain(segment: &Segment, seq: SeqNumber, flags: Flags) -> Verdict {
    if segment.flags == flags && segment.payload.is_empty() && segment.seq == seq {
        return Verdict::Pass;
    }
    Verdict::Instead(Segment {
        seq,
        flags,
        payload: 0..0,
        ..segment.clone()
    })
}
