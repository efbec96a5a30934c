//! SEGMENT ARRIVES (RFC 9293, section 3.10.7): judge, deliver, account, report, react.

use super::TcpFlow;
use crate::engine::Shared;
use crate::event::{Cause, Direction, Limit, Opening, PacketId};
use crate::link::{Incoming, Remarks};
use crate::segment::{Flags, Segment, SeqNumber};
use crate::stack::fragments::without_extensions;
use crate::stack::marking::dscp;
use crate::stack::reply;
use crate::state::TcpState;
use crate::tcb::Verdict;
use smoltcp::time::Instant;
use std::io;

/// A segment that goes on to smoltcp, in whole or in part.
struct Heard<'a> {
    /// What counts of it. What is told is what has arrived.
    segment: &'a Segment,
    /// Whether that is another segment than the one which has arrived.
    is_changed: bool,
    is_acceptable: bool,
    /// Whether it does nothing but acknowledge.
    is_bare: bool,
    /// How far ahead of what has arrived in order its urgent pointer points.
    urgent: Option<u32>,
    /// What was before: the state, RCV.NXT, how many bytes had arrived in order, whether the peer's FIN had, and how many bytes
    /// were in the send buffer.
    before: TcpState,
    rcv_nxt: SeqNumber,
    received: u64,
    finished: bool,
    queued: usize,
}

impl TcpFlow {
    pub(in crate::engine) fn arrive(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        incoming: Incoming<'_>,
        segment: &Segment,
    ) -> PacketId {
        let before = self.state();
        let retransmission = self.tcb.rcv.repeats(segment);
        if before == TcpState::Closed {
            let id = self.tell_arrived(shared, now, &incoming, retransmission);
            self.refuse(shared, now, segment);
            return id;
        }
        let (received, queued) = {
            let mut endpoint = self.endpoint.borrow_mut();
            endpoint.heard_dscp = dscp(incoming.bytes);
            (endpoint.received().0, endpoint.socket.queued())
        };
        let verdict = self.tcb.judge(now, segment, before, queued);
        let is_acceptable = !matches!(verdict, Verdict::Unacceptable(_));
        let instead = match verdict {
            Verdict::Pass => None,
            Verdict::Instead(changed) | Verdict::Unacceptable(changed) => Some(changed),
            _ => {
                let id = self.tell_arrived(shared, now, &incoming, retransmission);
                self.answer(shared, now, &verdict);
                self.fill_gap(shared, now);
                return id;
            }
        };
        let (segment, rcv) = (instead.as_ref().unwrap_or(segment), &self.tcb.rcv);
        let heard = Heard {
            segment,
            is_changed: instead.is_some(),
            is_acceptable,
            is_bare: rcv.is_bare(segment),
            urgent: rcv.urgent_ahead(segment),
            before,
            rcv_nxt: rcv.nxt,
            received,
            finished: rcv.finished,
            queued,
        };
        let (answer, kept_open) = self.deliver(shared, now, incoming.bytes, &heard);
        let id = self.tell_arrived(shared, now, &incoming, retransmission);
        self.note_progress(shared, now, &heard);
        self.tell_change(shared, now, &heard, id);
        self.observe(now, Direction::In, incoming.bytes);
        self.woken = true;
        let after = self.state();
        self.react(shared, now, &heard, answer);
        if kept_open && after.is_synchronized() {
            self.tell_window(shared, now, 0);
        }
        self.fill_gap(shared, now);
        id
    }

    /// Section 3.10.7.1. smoltcp's own answer would have numbers that mean nothing on the wire.
    fn refuse(&self, shared: &mut Shared, now: Instant, segment: &Segment) {
        if let Some(reset) = reply::reset(self.key.local, self.key.peer, segment) {
            shared.send_marked(now, Some(self.id), reset, self.marking(shared));
        }
    }

    /// Lets smoltcp have it, and keeps account of it. The answer that is to leave at once, in the room for answers, and whether
    /// smoltcp was told of a window that was open still.
    fn deliver(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        bytes: &mut [u8],
        heard: &Heard<'_>,
    ) -> (Option<usize>, bool) {
        let Heard {
            segment,
            is_acceptable,
            ..
        } = *heard;
        self.tcb.deadlines.heard();
        self.warned = None;
        let stranded = match is_acceptable {
            true => None,
            false => self.tcb.rcv.acknowledgment_in(segment),
        };
        let counts = stranded.as_ref().or(is_acceptable.then_some(segment));
        let kept = counts.and_then(|segment| self.kept_open(segment));
        if let Some(stranded) = &stranded {
            self.tcb.shows_window();
            let bare = kept.as_ref().unwrap_or(stranded);
            let socket = &mut self.endpoint.borrow_mut().socket;
            socket.hint_ack(shared.moment(now), &self.key, bare);
        }
        // It sees no text that is not acceptable: it would take it for something else.
        let old = (!is_acceptable).then(|| self.tcb.old(now, segment));
        let changed = old.as_ref().or(kept.as_ref());
        let changed = changed.or(heard.is_changed.then_some(segment));
        let answer = self.hand_over(shared, now, bytes, changed);
        self.account_for(now, heard, counts);
        // The ACK of the FIN is that of all before it.
        let took_fin = self.take_early_fin(shared, now, segment);
        let answer = answer.filter(|_| !took_fin);
        // Nor is an acknowledgment acknowledged.
        let is_last = heard.before == TcpState::LastAck && heard.is_bare;
        (answer.filter(|_| !is_last), kept.is_some())
    }

    /// Lets smoltcp have the packet, or what is made of it.
    fn hand_over(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        bytes: &mut [u8],
        changed: Option<&Segment>,
    ) -> Option<usize> {
        if self.state() == TcpState::Closed {
            return None;
        }
        // smoltcp reads no extension headers but hop-by-hop options, and makes nothing of those.
        let mut plain = match changed {
            Some(changed) => {
                let payload = &bytes[changed.payload.clone()];
                let (peer, local) = (self.key.peer, self.key.local);
                Some(reply::segment(peer, local, changed, payload))
            }
            None => without_extensions(bytes),
        };
        let packet = plain.as_deref_mut().unwrap_or(bytes);
        let socket = &mut self.endpoint.borrow_mut().socket;
        socket.deliver(shared.moment(now), packet)
    }

    /// `counts` is what may acknowledge something and tell of a window.
    fn account_for(&mut self, now: Instant, heard: &Heard<'_>, counts: Option<&Segment>) {
        let segment = heard.segment;
        if segment.flags.contains(Flags::SYN) && heard.before != self.state() {
            self.endpoint.borrow_mut().handshake.irs = segment.seq;
            self.peer_mss = segment.max_segment_size();
            self.tcb.synchronize(now, segment);
        }
        self.note_received();
        self.tcb.rcv.note_numbers(segment);
        if let Some(counts) = counts {
            self.tcb.arrived(now, counts);
        }
        self.kept.acknowledged(self.tcb.snd.una);
    }

    /// Moves RCV.NXT to where smoltcp has it.
    fn note_received(&mut self) {
        let (received, finished) = self.endpoint.borrow_mut().received();
        self.tcb.rcv.took(received, finished);
    }

    /// What the segment has brought: acknowledgments, data, urgent data.
    fn note_progress(&mut self, shared: &mut Shared, now: Instant, heard: &Heard<'_>) {
        let segment = heard.segment;
        self.endpoint.borrow_mut().shut = self.tcb.snd.wnd == 0;
        let is_shut = segment.window == 0 && segment.acknowledges().is_some();
        let excused = heard.before.is_synchronized() && is_shut;
        self.tcb.deadlines.excuse(excused);
        let still_queued = self.endpoint.borrow().socket.queued();
        if still_queued < heard.queued {
            self.endpoint.borrow_mut().unanswered = 0;
            self.tcb.deadlines.paid(now);
            if still_queued == 0 {
                self.stop_probing(shared, now);
            }
        }
        let brings = !segment.payload.is_empty() && heard.rcv_nxt.before(segment.end());
        if brings && heard.is_acceptable {
            self.tcb.deadlines.went_on(now);
        }
        if let Some(ahead) = heard.urgent {
            self.hear_urgent(heard.received + u64::from(ahead));
        }
        if self.tcb.rcv.take_refused() {
            shared.limited(now, Some(self.id), Limit::Gaps);
        }
    }

    /// Tells what has become of the state.
    fn tell_change(&mut self, shared: &mut Shared, now: Instant, heard: &Heard<'_>, id: PacketId) {
        let (before, after) = (heard.before, self.state());
        if std::mem::take(&mut self.assumed) {
            let (from, to) = (TcpState::Listen, TcpState::SynReceived);
            self.transition(shared, now, from, to, Cause::Segment(id));
        }
        if before != after {
            self.transition(shared, now, before, after, Cause::Segment(id));
            if after == TcpState::TimeWait {
                self.tcb.deadlines.enter_time_wait(now);
            }
            if heard.segment.flags.contains(Flags::RST) {
                // Section 3.10.7.4: a reset of an active open in SYN-RECEIVED means "connection refused" too.
                let opening = self.endpoint.borrow().handshake.opening;
                let refused = before == TcpState::SynSent
                    || before == TcpState::SynReceived && opening == Opening::Active;
                self.endpoint.borrow_mut().end.get_or_insert(if refused {
                    io::ErrorKind::ConnectionRefused
                } else {
                    io::ErrorKind::ConnectionReset
                });
            }
        }
        if heard.segment.flags.contains(Flags::FIN) {
            self.tcb.deadlines.restart_time_wait(now);
        }
    }

    /// Answers at once if an answer is due.
    fn react(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        heard: &Heard<'_>,
        answer: Option<usize>,
    ) {
        match answer {
            Some(len) => self.leave_at_once(shared, now, len),
            None if self.must_acknowledge(heard) => self.acknowledge_at_once(shared, now),
            None => {}
        }
    }

    /// Whether a segment is to be acknowledged at once that smoltcp has no answer to: a FIN alone behind a gap (RFC 5681,
    /// section 4.2: "an immediate duplicate ACK when an out-of-order segment arrives"). And once there is a FIN behind the
    /// last byte of the window, smoltcp takes nothing more before it has acknowledged that.
    fn must_acknowledge(&self, heard: &Heard<'_>) -> bool {
        let (segment, rcv) = (heard.segment, &self.tcb.rcv);
        if !heard.is_acceptable || !self.state().is_synchronized() {
            return false;
        }
        let is_fin = segment.flags.contains(Flags::FIN) && segment.payload.is_empty();
        let is_early = is_fin && rcv.holds_fin() && heard.rcv_nxt.before(segment.seq);
        let ends = rcv.finished && !heard.finished;
        is_early || ends && rcv.is_overrun()
    }

    /// Lets smoltcp have a FIN that came before the data which it follows, once that is there.
    /// Returns whether it was.
    fn take_early_fin(&mut self, shared: &mut Shared, now: Instant, segment: &Segment) -> bool {
        let Some(fin) = self.tcb.rcv.due_fin(segment) else {
            return false;
        };
        {
            let socket = &mut self.endpoint.borrow_mut().socket;
            socket.hint_fin(shared.moment(now), &self.key, &fin);
        }
        self.note_received();
        self.tcb.arrived(now, &fin);
        true
    }

    fn tell_arrived(
        &self,
        shared: &mut Shared,
        now: Instant,
        incoming: &Incoming<'_>,
        retransmission: bool,
    ) -> PacketId {
        #[cfg(test)]
        shared.trap(crate::engine::defect::Trap::Arrival, Some(self.id));
        let remarks = Remarks {
            retransmission,
            reason: None,
            variables: self.variables(shared),
        };
        let flow = Some(self.id);
        shared
            .link
            .arrived(&mut shared.journal, now, flow, incoming, None, remarks)
    }
}
