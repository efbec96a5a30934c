//! A defect costs the flow in which it shows, and nothing else.
//!
//! A panic is caught at the door, around the work for one flow. What that flow held may be half changed: nothing of it is
//! used again but a few numbers for a reset. What all flows share is made whole.
//!
//! ```text
//!   handle_packet ─┐                       ┌─ returns ──▶ as if nothing were here
//!   poll_transmit ─┼─▶ contained ─▶ work ──┤
//!   handle_* ──────┘                       └─ panics ───▶ Defect event · shared state mended · RST
//!                                                         · flow out of all books · Closed event
//! ```
//!
//! Without [`Config::contain_defects`](super::Config::contain_defects) the panic goes on to the caller.

mod recorder;

use super::{Engine, Flow, Shared, Unheard, Waiting};
use crate::event::{
    Activity, Cause, Closed, Defect, Direction, Ends, EventKind, FlowId, PacketHead, Transition,
    UserCall,
};
use crate::segment::{Checksum, Described, SeqNumber, describe_offloaded};
use crate::stack::fragments::Reassembler;
use crate::stack::pool::Pool;
use crate::stack::reply;
use crate::stack::table::FlowKey;
use crate::stack::tcp::Tcp;
use crate::state::TcpState;
use recorder::Recorder;
use smoltcp::time::Instant;
use std::any::Any;
use std::mem;
use std::panic::{self, AssertUnwindSafe};

/// The defects of one engine, and what their reports are made from.
#[derive(Default)]
pub(super) struct Defects {
    count: u64,
    /// Present where defects are contained.
    recorder: Option<Box<Recorder>>,
    /// The flow that has a number and no place: it is about to get one, or has just lost it.
    pub(super) adrift: Option<(FlowId, FlowKey)>,
}

/// What is being done, and for whom.
#[derive(Clone, Copy)]
pub(super) enum Work<'a> {
    /// A packet is led to its flow.
    Packet(&'a Described),
    /// Something is done for the flow at this place.
    Flow(Activity, usize),
    /// Something is done for no flow that is known.
    Part(Activity, Part),
}

/// What is worked on where no flow is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Nothing that would have to be made anew.
    Other,
    Fragments,
    Pool,
}

/// A flow that is given up.
#[derive(Clone, Copy)]
struct Victim {
    id: FlowId,
    key: FlowKey,
    /// Where it is, if it is anywhere.
    place: Option<usize>,
}

impl Work<'_> {
    fn activity(self) -> Activity {
        match self {
            Work::Packet(_) => Activity::Packet,
            Work::Flow(activity, _) | Work::Part(activity, _) => activity,
        }
    }

    /// Whether fragments were put together.
    fn uses_fragments(self) -> bool {
        match self {
            Work::Packet(described) => described.ip.is_some_and(|ip| ip.fragment.is_some()),
            Work::Flow(..) => false,
            Work::Part(_, part) => part == Part::Fragments,
        }
    }
}

impl Defects {
    pub(super) fn new(contains: bool) -> Defects {
        Defects {
            recorder: contains.then(|| Box::new(Recorder::new())),
            ..Defects::default()
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The last packets of a flow, or of all; that which is dealt with is among them.
    fn last_packets(&self, key: Option<FlowKey>, work: Work<'_>) -> Vec<PacketHead> {
        let at_hand = matches!(work, Work::Packet(_));
        let recorder = self.recorder.as_ref();
        recorder.map_or(Vec::new(), |recorder| recorder.last(key, at_hand))
    }

    /// A packet crosses the door.
    #[inline]
    pub(super) fn record(&mut self, now: Instant, direction: Direction, packet: &[u8]) {
        if let Some(recorder) = &mut self.recorder {
            recorder.record(now, direction, packet);
        }
    }
}

impl Engine {
    /// Does a piece of work. If it panics and defects are contained, the flow that it was done for is given up, and
    /// `otherwise` is returned.
    #[inline]
    pub(super) fn contained<T>(
        &mut self,
        now: Instant,
        work: Work<'_>,
        otherwise: T,
        task: impl FnOnce(&mut Engine) -> T,
    ) -> T {
        // What may be half changed is given up or mended before anything uses it again.
        match panic::catch_unwind(AssertUnwindSafe(|| task(self))) {
            Ok(done) => done,
            Err(payload) => {
                self.contain(now, work, payload);
                otherwise
            }
        }
    }

    /// What a packet says.
    pub(super) fn described(
        &mut self,
        now: Instant,
        packet: &[u8],
        checksum: Checksum,
    ) -> Option<Described> {
        let work = Work::Part(Activity::Packet, Part::Other);
        self.contained(now, work, None, |_| {
            Some(describe_offloaded(packet, checksum))
        })
    }

    #[cold]
    #[inline(never)]
    fn contain(&mut self, now: Instant, work: Work<'_>, payload: Box<dyn Any + Send>) {
        let Some(site) = self.shared.config.contain_defects else {
            panic::resume_unwind(payload);
        };
        let site = site();
        let message = message(&*payload);
        attempt(|| drop(payload));
        self.defects.count += 1;
        let victim = self.victim(work);
        let defect = Defect {
            number: self.defects.count,
            during: work.activity(),
            ends: victim.map(|victim| victim.key.into()),
            message,
            site,
            packets: self
                .defects
                .last_packets(victim.map(|victim| victim.key), work),
        };
        self.shared.journal.tell(
            now,
            victim.map(|victim| victim.id),
            EventKind::Defect(Box::new(defect)),
        );
        self.mend(work);
        if let Work::Flow(_, place) = work {
            self.line.leave(place);
        }
        if let Some(victim) = victim {
            self.give_up(now, victim, work);
        }
        self.recount(now);
    }

    /// Whom the work was done for.
    fn victim(&mut self, work: Work<'_>) -> Option<Victim> {
        if let Some((id, key)) = self.defects.adrift.take() {
            let place = None;
            return Some(Victim { id, key, place });
        }
        let place = match work {
            Work::Packet(described) => {
                let key = attempt(|| FlowKey::of(described)).flatten()?;
                *self.map.get(&key)?
            }
            Work::Flow(_, place) => place,
            Work::Part(..) => return None,
        };
        let flow = self.flows.get(place)?;
        Some(Victim {
            id: flow.id(),
            key: flow.key(),
            place: Some(place),
        })
    }

    /// Makes whole what all flows share. Room for a packet is lent out while one is made; of smoltcp's interface nothing but
    /// its settings outlives a packet.
    fn mend(&mut self, work: Work<'_>) {
        let Shared {
            config,
            tcp,
            room,
            link,
            pool,
            ..
        } = &mut self.shared;
        let wire = config.wire();
        room.resize(wire.largest(), 0);
        *tcp = Tcp::new(wire, &config.addresses, config.seed);
        link.mend();
        if let Work::Part(_, Part::Pool) = work {
            *pool = Pool::new(config.buffer);
        }
        if work.uses_fragments() {
            self.reassembler = Reassembler::new(config.reassembly);
        }
    }

    /// Resets a flow, and takes it out of all books. Its socket goes nowhere.
    fn give_up(&mut self, now: Instant, victim: Victim, work: Work<'_>) {
        let Victim { id, key, place } = victim;
        let flow = place.and_then(|place| self.flows.get(place));
        let end = flow.and_then(|flow| attempt(|| flow.end()).flatten());
        if let Some(place) = place {
            self.line.leave(place);
            let flow = attempt(|| self.unseat(place));
            attempt(|| drop(flow));
        }
        // It may have been on its way from one place to another.
        let is_there = |flow: Option<&Flow>| flow.is_some_and(|flow| flow.id() == id);
        if let Some(&place) = self.places.get(&id)
            && !is_there(self.flows.get(place))
        {
            self.places.remove(&id);
            self.shared.timers.set(place, None);
        }
        if let Some(&place) = self.map.get(&key)
            && self.flows.get(place).is_none_or(|flow| flow.key() != key)
        {
            self.map.remove(&key);
        }
        let shared = &mut self.shared;
        attempt(|| shared.link.abandon(&mut shared.journal, now, id));
        if let Some(End { state, .. }) = end {
            let transition = Transition {
                from: state,
                to: TcpState::Closed,
                // Section 3.10.5 is what comes next to it: a RST, and the TCB is deleted.
                cause: Cause::Call(UserCall::Abort),
            };
            let told = EventKind::Transition(transition);
            shared.journal.tell(now, Some(id), told);
            attempt(|| shared.entered(now, id, key, TcpState::Closed));
        }
        let reset = match (place, end, work) {
            (_, Some(end), _) => end.reset(key),
            (None, None, Work::Packet(described)) => described
                .tcp()
                .and_then(|segment| reply::reset(key.local, key.peer, segment)),
            _ => None,
        };
        if let Some(reset) = reset {
            attempt(|| shared.send(now, Some(id), reset));
        }
        if let Some(interference) = &mut shared.interference {
            attempt(|| interference.judge.forget(id));
        }
        attempt(|| shared.link.originals.forget(id));
        let closed = EventKind::Closed(Closed { result: None });
        shared.journal.tell(now, Some(id), closed);
    }

    /// Counts the flows anew, and takes out what has been lost on the way from one place to another.
    fn recount(&mut self, now: Instant) {
        let count = self.flows.len();
        if self.places.len() != count || self.map.len() != count {
            self.sweep(now);
        }
        self.occupancy.clear();
        let (mut half_open, mut unheard) = (0, 0);
        for (_, flow) in &self.flows {
            self.occupancy.add(flow);
            match flow {
                Flow::Tcp(flow) => half_open += usize::from(flow.is_half_open()),
                Flow::Unheard(_) => unheard += 1,
                Flow::TimeWait(_) | Flow::Udp(_) => {}
            }
        }
        self.half_open = half_open;
        if let Some(interference) = &mut self.shared.interference {
            interference.unheard = unheard;
        }
    }

    /// Takes out what leads to no flow, and flows to which nothing leads.
    fn sweep(&mut self, now: Instant) {
        let flows = &self.flows;
        let mut gone = Vec::new();
        self.places.retain(|&id, place| {
            let is_there = flows.get(*place).is_some_and(|flow| flow.id() == id);
            if !is_there {
                gone.push(id);
            }
            is_there
        });
        self.map
            .retain(|key, place| flows.get(*place).is_some_and(|flow| flow.key() == *key));
        let lost = |(place, flow): (usize, &Flow)| {
            let is_found = self.places.get(&flow.id()) == Some(&place)
                && self.map.get(&flow.key()) == Some(&place);
            (!is_found).then_some((place, flow.id()))
        };
        let lost: Vec<(usize, FlowId)> = flows.iter().filter_map(lost).collect();
        for (place, id) in lost {
            let flow = attempt(|| self.unseat(place));
            attempt(|| drop(flow));
            gone.push(id);
        }
        // The order is that of numbers, not that of a hash map.
        gone.sort_unstable();
        for id in gone {
            let closed = EventKind::Closed(Closed { result: None });
            self.shared.journal.tell(now, Some(id), closed);
        }
    }
}

/// The end of a connection that is given up: the state in which it was, and the numbers of a reset.
#[derive(Clone, Copy)]
struct End {
    state: TcpState,
    numbers: Option<(SeqNumber, SeqNumber)>,
}

impl End {
    /// A reset with the number that the peer awaits next, unless there is nobody to be told. A peer that awaits another one
    /// answers with an acknowledgment (RFC 5961, section 3.2), and gets a reset made from that.
    fn reset(self, key: FlowKey) -> Option<Vec<u8>> {
        let (seq, ack) = self.numbers?;
        Some(reply::forged_reset(key.local, key.peer, seq, ack))
    }
}

impl Flow {
    /// What is left to be said for a connection; `None` for one that is closed already, and for what is none.
    fn end(&self) -> Option<End> {
        match self {
            Flow::Tcp(flow) => {
                let state = flow.state();
                let numbers = flow.reset_numbers();
                (state != TcpState::Closed).then_some(End { state, numbers })
            }
            // The peer has closed too.
            Flow::TimeWait(Waiting { .. }) => Some(End {
                state: TcpState::TimeWait,
                numbers: None,
            }),
            Flow::Udp(_) | Flow::Unheard(Unheard { .. }) => None,
        }
    }
}

impl From<FlowKey> for Ends {
    fn from(key: FlowKey) -> Ends {
        let FlowKey {
            transport,
            local,
            peer,
        } = key;
        Ends {
            transport,
            local,
            peer,
        }
    }
}

/// Does something that may panic once more; nothing more can be done about that.
fn attempt<T>(work: impl FnOnce() -> T) -> Option<T> {
    // A payload may panic when it is dropped.
    panic::catch_unwind(AssertUnwindSafe(work))
        .map_err(mem::forget)
        .ok()
}

/// What a panic says.
fn message(payload: &(dyn Any + Send)) -> String {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref()) {
        (Some(&text), _) => text.to_owned(),
        (None, Some(text)) => String::clone(text),
        (None, None) => String::new(),
    }
}

/// A place where tests let the engine panic.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Trap {
    /// In the middle of SEGMENT ARRIVES, or of whatever else a packet does.
    Arrival,
    /// As a packet of ours is about to cross the link; the room for it may be lent out.
    Departure,
    /// As a state was entered.
    State(TcpState),
}

#[cfg(test)]
pub(super) type Trapper = Box<dyn FnMut(Trap, Option<FlowId>) -> bool>;

#[cfg(test)]
impl Shared {
    /// Panics where a test wants it.
    #[track_caller]
    pub(super) fn trap(&mut self, trap: Trap, flow: Option<FlowId>) {
        if let Some(trapper) = &mut self.trapper
            && trapper(trap, flow)
        {
            panic!("a trap: {trap:?}");
        }
    }
}

#[cfg(test)]
mod tests;
