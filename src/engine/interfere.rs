//! Rules and stepping at work: what becomes of a packet that does not simply pass.
//!
//! ```text
//!   wire ──▶ interfere_in ──▶ judge ─ passes ─▶ accept            Shared::cross ──▶ judge ─ passes ─▶ wire
//!                               │ stopped: told, kept or swallowed                    │
//!                               └──▶ link ── released ──▶ accept / wire ◀── link ◀────┘
//! ```
//!
//! Without rules, and while nobody steps, there is no [`Judge`] and none of this happens; nor does it for connections to
//! an address that no rule is about.

use super::defect::Work;
use super::packets::Refusal;
use super::stepping::{Break, Copies, Stepping};
use super::{Engine, Flow, Shared, Unheard};
use crate::event::{
    Direction, EventKind, Fate, FlowId, Limit, Opening, PacketId, RuleId, Transport,
};
use crate::fault::{
    Assignment, Crossing, Ends, IcmpError, Judge, Judgment, RuleSet, Until, Verdict, edit,
};
use crate::link::{Incoming, Offload, Remarks, Stopped, Wait};
use crate::segment::{Body, Checksum, Described, Segment, SeqNumber, describe};
use crate::stack::table::FlowKey;
use crate::stack::time_wait::Verdict as TimeWaitVerdict;
use crate::stack::{checksum, reply};
use crate::state::TcpState;
use smoltcp::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// No more connections than these wait for a first packet that rules let through.
const MAX_UNHEARD: usize = 4096;
/// One of which nothing was heard for so long is forgotten. Linux gives up connecting after about two minutes.
const UNHEARD_TIMEOUT: Duration = Duration::from_secs(180);

/// Whoever interferes.
#[derive(Debug)]
pub(super) struct Interference {
    pub(super) judge: Judge,
    pub(super) stepping: Stepping,
    pub(super) copies: Copies,
    /// What rules do by themselves, and when.
    acts: BTreeMap<(Instant, u64), Act>,
    acts_so_far: u64,
    pub(super) unheard: usize,
    /// The ends in TIME-WAIT between which the next flow is to begin: SYNs for it are judged, and counted, as its own.
    promised: Option<FlowKey>,
    /// Somebody has stepped: everything is watched from then on.
    pub(super) stepped: bool,
}

#[derive(Debug)]
struct Act {
    flow: FlowId,
    local: SocketAddr,
    peer: SocketAddr,
    rule: RuleId,
    verdict: Verdict,
}

impl Interference {
    /// Where there are rules.
    pub(super) fn new(rules: RuleSet, seed: u64) -> Option<Box<Interference>> {
        (!rules.is_empty()).then(|| Box::new(Interference::of(rules, seed)))
    }

    pub(super) fn of(rules: RuleSet, seed: u64) -> Interference {
        Interference {
            judge: Judge::new(rules, seed),
            stepping: Stepping::Off,
            copies: Copies::Fold,
            acts: BTreeMap::new(),
            acts_so_far: 0,
            unheard: 0,
            promised: None,
            stepped: false,
        }
    }

    /// Whether every packet is held, or will be in a moment.
    fn steps(&self) -> bool {
        matches!(self.stepping, Stepping::On | Stepping::Let(_))
    }

    fn holds(&mut self, crossing: &Crossing<'_>, judgment: &Judgment) -> bool {
        let stops = match &mut self.stepping {
            Stepping::Off => return false,
            Stepping::On => true,
            Stepping::Let(0) => true,
            Stepping::Let(left) => {
                *left -= 1;
                false
            }
            Stepping::Until(Break::Packet(pattern)) => judgment.matches(pattern, crossing),
            Stepping::Until(Break::Flow(flow)) => crossing.flow == Some(*flow),
            Stepping::Until(Break::State(_)) => false,
        };
        if stops {
            self.stepping = Stepping::On;
        }
        stops
    }
}

impl Shared {
    /// Whether anybody may interfere with packets from and to this address of ours.
    pub(super) fn interferes(&self, local: Option<IpAddr>) -> bool {
        let concerns = |judge: &Judge| local.is_some_and(|local| judge.concerns(local));
        self.interference
            .as_ref()
            .is_some_and(|interference| interference.stepped || concerns(&interference.judge))
    }

    /// A packet of ours is about to leave. Returns whether it does so at once, in the caller's buffer.
    pub(super) fn cross(
        &mut self,
        now: Instant,
        flow: Option<FlowId>,
        packet: &[u8],
        describe: impl FnOnce() -> Described,
        offload: Offload,
        mut remarks: Remarks,
    ) -> bool {
        #[cfg(test)]
        self.trap(super::defect::Trap::Departure, flow);
        if !self.interferes(source(packet)) {
            self.link
                .departed(&mut self.journal, now, flow, packet, describe, remarks);
            return true;
        }
        let described = describe();
        let Some(crossing) = crossing(now, flow, Direction::Out, &described, packet.len()) else {
            self.link
                .departed(&mut self.journal, now, flow, packet, || described, remarks);
            return true;
        };
        let (judgment, original) = self.judge(&crossing, flow);
        if let Some(original) = original {
            remarks.retransmission |= judgment.retransmission();
            self.fold(&crossing, flow, packet, original, remarks);
            self.link
                .passed(&mut self.journal, &crossing, &judgment, false);
            return false;
        }
        let Some((rule, verdict)) = judgment.decided.clone() else {
            let told = || described.clone();
            self.link
                .departed(&mut self.journal, now, flow, packet, told, remarks);
            self.link
                .passed(&mut self.journal, &crossing, &judgment, true);
            return true;
        };
        remarks.retransmission |= judgment.retransmission();
        self.stop(&crossing, packet, offload, rule, verdict, remarks);
        self.link
            .passed(&mut self.journal, &crossing, &judgment, false);
        false
    }

    /// Our end of a connection has entered a state.
    pub(super) fn entered(&mut self, now: Instant, flow: FlowId, key: FlowKey, state: TcpState) {
        #[cfg(test)]
        self.trap(super::defect::Trap::State(state), Some(flow));
        if !self.interferes(Some(key.local.ip())) {
            return;
        }
        let Some(interference) = &mut self.interference else {
            return;
        };
        for (rule, verdict, after) in interference.judge.entered(flow, key.local, key.peer, state) {
            interference.acts_so_far += 1;
            let act = Act {
                flow,
                local: key.local,
                peer: key.peer,
                rule,
                verdict,
            };
            let when = (now + after, interference.acts_so_far);
            interference.acts.insert(when, act);
        }
        if interference.stepping == Stepping::Until(Break::State(state)) {
            interference.stepping = Stepping::On;
        }
        self.link.entered(&mut self.journal, now, flow, state);
    }

    /// When something is to be done that no packet causes.
    pub(super) fn next_interference(&self) -> Option<Instant> {
        let acts = &self.interference.as_ref()?.acts;
        let act = acts.first_key_value().map(|((at, _), _)| *at);
        [act, self.link.next_due()].into_iter().flatten().min()
    }

    /// Does what is due without a packet.
    pub(super) fn interfere(&mut self, now: Instant) {
        while let Some(interference) = &mut self.interference
            && let Some(act) = interference.acts.first_entry()
            && act.key().0 <= now
        {
            let act = act.remove();
            let Some(tally) = interference.judge.tally(act.flow) else {
                continue;
            };
            match act.verdict {
                Verdict::Silence(direction) => tally.silence(act.rule, direction),
                Verdict::Reset(ends) => {
                    let next = |direction| tally.next(direction).unwrap_or(SeqNumber(0));
                    let theirs = next(Direction::In);
                    let numbers = (next(Direction::Out), theirs, theirs);
                    let flow = Some(act.flow);
                    self.reset(now, flow, act.rule, ends, act.local, act.peer, numbers);
                }
                // The grammar lets no other verdict act by itself.
                _ => {}
            }
        }
        self.link.release_due(&mut self.journal, now);
    }

    /// Judges a packet; stepping holds what the rules let pass. Of a copy that is to be folded it says of which packet. `flow` is
    /// the one to which it belongs by now.
    fn judge(
        &mut self,
        crossing: &Crossing<'_>,
        flow: Option<FlowId>,
    ) -> (Judgment, Option<PacketId>) {
        let Some(interference) = &mut self.interference else {
            return (Judge::new(RuleSet::new(), 0).judge(crossing), None);
        };
        let mut judgment = interference.judge.judge(crossing);
        if judgment.decided.is_some() || crossing.flow.is_none() {
            return (judgment, None);
        }
        if interference.steps()
            && interference.copies != Copies::Hold
            && let Some(copy) = self.link.originals.copy_of(flow, crossing)
        {
            let goes_on = interference.copies == Copies::Pass && copy.has_passed;
            return (judgment, (!goes_on).then_some(copy.original));
        }
        if interference.holds(crossing, &judgment) {
            judgment.decided = Some((RuleId::HAND, Verdict::Hold(Until::Hand)));
        }
        (judgment, None)
    }

    /// Swallows a copy.
    fn fold(
        &mut self,
        crossing: &Crossing<'_>,
        flow: Option<FlowId>,
        packet: &[u8],
        original: PacketId,
        remarks: Remarks,
    ) {
        let stopped = Stopped {
            flow,
            direction: crossing.direction,
            bytes: packet,
            offload: Offload::default(),
            described: crossing.described.clone(),
            fate: Fate::Folded(original),
            crossed: None,
            remarks,
        };
        let now = crossing.now;
        self.link.stopped(&mut self.journal, now, stopped, None);
    }

    /// Carries a verdict out that does not simply let a packet pass.
    fn stop(
        &mut self,
        crossing: &Crossing<'_>,
        packet: &[u8],
        offload: Offload,
        rule: RuleId,
        verdict: Verdict,
        remarks: Remarks,
    ) {
        let now = crossing.now;
        let (mut wait, mut crossed) = (None, None);
        let fate = match &verdict {
            Verdict::Pass | Verdict::Duplicate(0) | Verdict::Reorder(0) => {
                Fate::Duplicated(rule, 0)
            }
            Verdict::Drop | Verdict::Reset(_) | Verdict::Icmp(_) | Verdict::Silence(_) => {
                Fate::Dropped(rule)
            }
            Verdict::Delay(delay) => {
                wait = Some(Wait::Time(now + *delay));
                Fate::Delayed(rule, *delay)
            }
            Verdict::Hold(until) => {
                wait = Some(match until {
                    Until::Hand => Wait::Hand,
                    Until::State(state) => Wait::State(*state),
                    Until::Packet(pattern) => Wait::Packet(pattern.clone()),
                });
                Fate::Held(rule)
            }
            Verdict::Reorder(count) => {
                wait = Some(Wait::Behind(*count));
                Fate::Held(rule)
            }
            Verdict::Duplicate(copies) => Fate::Duplicated(rule, *copies),
            Verdict::Edit(assignments) => {
                crossed = Some(edited(packet, offload, assignments));
                Fate::Rewritten(rule)
            }
            Verdict::Replace(bytes) => {
                crossed = Some(bytes.clone());
                Fate::Rewritten(rule)
            }
        };
        let fate = match wait {
            Some(_) if self.link.waiting_bytes() + packet.len() > self.config.waiting => {
                wait = None;
                self.limited(now, crossing.flow, Limit::Waiting);
                Fate::Dropped(rule)
            }
            _ => fate,
        };
        let stopped = Stopped {
            flow: crossing.flow,
            direction: crossing.direction,
            bytes: packet,
            offload,
            described: crossing.described.clone(),
            fate,
            crossed,
            remarks,
        };
        self.link.stopped(&mut self.journal, now, stopped, wait);
        match verdict {
            Verdict::Reset(ends) => {
                if let Some(segment) = crossing.described.tcp() {
                    let numbers = self.numbers_in_place_of(crossing, segment);
                    let (local, peer) = (crossing.local, crossing.peer);
                    self.reset(now, crossing.flow, rule, ends, local, peer, numbers);
                }
            }
            Verdict::Icmp(error) => {
                if let Some(bytes) = icmp_error(packet, error) {
                    let back = match crossing.direction {
                        Direction::In => Direction::Out,
                        Direction::Out => Direction::In,
                    };
                    self.inject(now, crossing.flow, rule, back, &bytes);
                }
            }
            _ => {}
        }
    }

    /// The sequence number that the peer awaits from us and the one that we await from it, as a segment that is
    /// swallowed tells them.
    fn numbers_in_place_of(
        &mut self,
        crossing: &Crossing<'_>,
        segment: &Segment,
    ) -> (SeqNumber, SeqNumber, SeqNumber) {
        let tally = crossing.flow.and_then(|flow| {
            let interference = self.interference.as_mut()?;
            interference.judge.tally(flow).map(|tally| tally.clone())
        });
        let other = match crossing.direction {
            Direction::In => Direction::Out,
            Direction::Out => Direction::In,
        };
        let counted = tally.and_then(|tally| tally.next(other));
        let other = segment.acknowledges().or(counted).unwrap_or(SeqNumber(0));
        match crossing.direction {
            // A SYN that is refused is acknowledged (RFC 9293, section 3.5.2).
            Direction::In => (other, segment.end(), segment.seq),
            Direction::Out => (segment.seq, other, other),
        }
    }

    /// Sends a RST to one end or both as if the other had sent it. The numbers are the next ones of our end, and of the peer as
    /// it counts itself and as our end counts, which has not seen what was swallowed.
    #[expect(clippy::too_many_arguments)]
    fn reset(
        &mut self,
        now: Instant,
        flow: Option<FlowId>,
        rule: RuleId,
        ends: Ends,
        local: SocketAddr,
        peer: SocketAddr,
        (ours, theirs, awaited): (SeqNumber, SeqNumber, SeqNumber),
    ) {
        if ends != Ends::Local {
            let reset = reply::forged_reset(local, peer, ours, theirs);
            self.inject(now, flow, rule, Direction::Out, &reset);
        }
        if ends != Ends::Peer {
            let reset = reply::forged_reset(peer, local, awaited, ours);
            self.inject(now, flow, rule, Direction::In, &reset);
        }
    }

    /// Puts a packet on its way that no end has sent.
    fn inject(
        &mut self,
        now: Instant,
        flow: Option<FlowId>,
        rule: RuleId,
        direction: Direction,
        bytes: &[u8],
    ) {
        let stopped = Stopped {
            flow,
            direction,
            bytes,
            offload: Offload::default(),
            described: describe(bytes),
            fate: Fate::Injected(rule),
            crossed: None,
            remarks: Remarks::default(),
        };
        self.link.stopped(&mut self.journal, now, stopped, None);
    }
}

impl Engine {
    /// A packet that would reach a flow has come in, and there are rules or somebody steps.
    pub(super) fn interfere_in(
        &mut self,
        now: Instant,
        packet: &mut [u8],
        checksum: Checksum,
        described: &Described,
    ) {
        let flow = self.expected_flow(now, described);
        let crossing = crossing(now, flow, Direction::In, described, packet.len());
        // A flow that is only promised has not begun: until it does, the one in TIME-WAIT is there.
        let begun = flow
            .filter(|flow| flow.0 <= self.opened)
            .or_else(|| self.flow_of(described));
        let judged = crossing.map(|crossing| (self.shared.judge(&crossing, begun), crossing));
        let Some(((judgment, original), crossing)) = judged else {
            return self.admit(now, packet, described, None, false);
        };
        let remarks = Remarks {
            retransmission: judgment.retransmission(),
            ..Remarks::default()
        };
        match (judgment.decided.clone(), original) {
            (_, Some(original)) => {
                self.shared
                    .fold(&crossing, begun, packet, original, remarks);
            }
            (None, None) => {
                self.admit(now, packet, described, None, judgment.retransmission());
            }
            (Some((rule, verdict)), None) => {
                let crossing = Crossing {
                    flow: begun,
                    ..crossing
                };
                let offload = Offload {
                    checksum,
                    segment_size: None,
                };
                self.shared
                    .stop(&crossing, packet, offload, rule, verdict, remarks);
            }
        }
        self.keep_unheard(now, described);
        let passes = judgment.decided.is_none() && original.is_none();
        let Shared { link, journal, .. } = &mut self.shared;
        link.passed(journal, &crossing, &judgment, passes);
    }

    /// Hands packets to the stack that the link has kept back so far.
    pub(super) fn enter(&mut self, now: Instant) {
        while let Some((id, mut packet, checksum)) = self.shared.link.next_entering() {
            let Some(described) = self.described(now, &packet, checksum) else {
                continue;
            };
            self.contained(now, Work::Packet(&described), (), |engine| {
                engine.admit(now, &mut packet, &described, Some(id), false);
            });
        }
    }

    /// Hands a packet to the stack. What a rule has made of it may be something that the stack discards.
    fn admit(
        &mut self,
        now: Instant,
        packet: &mut [u8],
        described: &Described,
        told: Option<PacketId>,
        again: bool,
    ) {
        if told.is_some()
            && let Some(Refusal { discard, problem }) = self.refusal(packet, described)
        {
            let note = format!("discarded: {}", discard.reason());
            let flow = self.flow_of(described);
            self.shared.journal.tell(now, flow, EventKind::Note(note));
            self.complain(now, packet, problem);
            return;
        }
        let incoming = Incoming {
            bytes: packet,
            described,
            told,
            again,
        };
        match described.ip {
            Some(ip) if ip.fragment.is_some() => self.accept_fragment(now, &incoming, &ip),
            _ => self.accept(now, incoming),
        }
    }

    /// The flow to which a packet belongs, or will belong if it gets through.
    fn expected_flow(&mut self, now: Instant, described: &Described) -> Option<FlowId> {
        let key = FlowKey::of(described)?;
        if let Some(&place) = self.map.get(&key) {
            if let (Flow::TimeWait(waiting), Body::Tcp(segment)) =
                (&self.flows[place], &described.body)
                && waiting.record.judge(now, segment) == TimeWaitVerdict::Reopen
                && self.begins_connection(segment, key)
            {
                return Some(self.promise(key));
            }
            return Some(self.flows[place].id());
        }
        let service = match &described.body {
            Body::Tcp(segment) if super::packets::is_syn(segment) => {
                self.tcp_services.get(&key.local.port())?.name
            }
            Body::Udp(_) => self.udp_services.get(&key.local.port())?.name,
            _ => return None,
        };
        let interference = self.shared.interference.as_mut()?;
        if interference.unheard >= MAX_UNHEARD {
            return None;
        }
        interference.unheard += 1;
        let id = self.tell_opened(now, key, Opening::Passive, service);
        let unheard = Unheard { id, key };
        self.seat(Flow::Unheard(unheard));
        if key.transport == Transport::Tcp {
            self.shared.entered(now, id, key, TcpState::Listen);
        }
        Some(id)
    }

    /// The number of the next flow, which is to begin between these ends.
    fn promise(&mut self, key: FlowKey) -> FlowId {
        let id = FlowId(self.opened + 1);
        if let Some(interference) = &mut self.shared.interference
            && interference.promised.replace(key) != Some(key)
        {
            interference.judge.forget(id);
        }
        id
    }

    /// A flow begins, and has a number: nothing is counted of it yet, unless that was promised to it.
    pub(super) fn keep_promise(&mut self, key: FlowKey, id: FlowId) {
        if let Some(interference) = &mut self.shared.interference
            && let Some(promised) = interference.promised.take()
            && promised != key
        {
            interference.judge.forget(id);
        }
    }

    /// A connection of which the stack has heard nothing yet is given up if nothing else comes for long.
    fn keep_unheard(&mut self, now: Instant, described: &Described) {
        let interference = self.shared.interference.as_ref();
        if interference.is_none_or(|interference| interference.unheard == 0) {
            return;
        }
        let key = FlowKey::of(described);
        if let Some(&place) = key.and_then(|key| self.map.get(&key))
            && let Flow::Unheard(_) = self.flows[place]
        {
            let due = Some(now + UNHEARD_TIMEOUT);
            self.shared.timers.set(place, due);
        }
    }

    /// A first packet gets through to the stack: the number of its flow.
    pub(super) fn hear(&mut self, key: FlowKey) -> Option<FlowId> {
        let place = *self.map.get(&key)?;
        let Flow::Unheard(Unheard { id, .. }) = self.flows[place] else {
            return None;
        };
        self.unseat(place);
        self.forget_unheard();
        Some(id)
    }

    pub(super) fn forget_unheard(&mut self) {
        if let Some(interference) = &mut self.shared.interference {
            interference.unheard -= 1;
        }
    }
}

/// A packet changed. Nothing of it is left to a device, which would put right what shall be wrong.
pub(super) fn edited(packet: &[u8], offload: Offload, assignments: &[Assignment]) -> Vec<u8> {
    let place = checksum::place(packet).filter(|_| offload.checksum == Checksum::Partial);
    let Some(place) = place else {
        return edit::edit(packet, assignments);
    };
    let mut whole = packet.to_vec();
    checksum::complete(&mut whole, place);
    edit::edit(&whole, assignments)
}

/// Where a packet of ours comes from.
fn source(packet: &[u8]) -> Option<IpAddr> {
    match packet.first()? >> 4 {
        4 => <[u8; 4]>::try_from(packet.get(12..16)?)
            .ok()
            .map(IpAddr::from),
        6 => <[u8; 16]>::try_from(packet.get(8..24)?)
            .ok()
            .map(IpAddr::from),
        _ => None,
    }
}

/// A packet on its way, seen from our end; `None` where it cannot be read.
fn crossing(
    now: Instant,
    flow: Option<FlowId>,
    direction: Direction,
    described: &Described,
    len: usize,
) -> Option<Crossing<'_>> {
    let (src, dst) = match (described.endpoints(), described.ip) {
        (Some(endpoints), _) => endpoints,
        (None, Some(ip)) => (SocketAddr::new(ip.src, 0), SocketAddr::new(ip.dst, 0)),
        (None, None) => return None,
    };
    let (local, peer) = match direction {
        Direction::In => (dst, src),
        Direction::Out => (src, dst),
    };
    Some(Crossing {
        now,
        flow,
        local,
        peer,
        direction,
        described,
        len,
    })
}

fn icmp_error(about: &[u8], error: IcmpError) -> Option<Vec<u8>> {
    // RFC 792 and RFC 1812, section 5.2.7; RFC 4443, section 3.
    let (v4, v6, rest) = match error {
        IcmpError::NetUnreachable => ((3, 0), (1, 0), 0),
        IcmpError::HostUnreachable => ((3, 1), (1, 3), 0),
        // The pointer leads to the IPv6 header's "next header" field.
        IcmpError::ProtocolUnreachable if about.first()? >> 4 == 6 => ((3, 2), (4, 1), 6),
        IcmpError::ProtocolUnreachable => ((3, 2), (4, 1), 0),
        IcmpError::PortUnreachable => ((3, 3), (1, 4), 0),
        IcmpError::AdminProhibited => ((3, 13), (1, 1), 0),
        IcmpError::FragmentationNeeded(mtu) => ((3, 4), (2, 0), u32::from(mtu)),
        IcmpError::TimeExceeded => ((11, 0), (3, 0), 0),
    };
    reply::icmp_error(about, v4, v6, rest)
}
