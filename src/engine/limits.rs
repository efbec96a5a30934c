//! Eviction when a limit is reached.
//!
//! | what | option | when there is as much |
//! |---|---|---|
//! | handshakes under way | [`Config::backlog`] | SYN cookies, or the SYN is discarded |
//! | connections | [`Config::connections`] | the one without progress for longest is aborted |
//! | exchanges of datagrams | [`Config::connections`] | the one without datagrams for longest is over |
//! | TIME-WAIT | [`Config::time_waits`] | a connection skips it |
//! | fragments | [`Config::reassembly`] | the oldest unfinished packet is given up |
//! | data of a connection, in order or not | [`Config::buffer`] | the window is shut; at most 32 gaps |
//! | datagrams that a client of ours has not read | 208 KiB | one more is lost |
//! | packets that wait | [`Config::waiting`] | one more is dropped |
//! | events that were not fetched | [`Config::events`] | further ones are lost |
//! | ICMP errors | 50 at once, 1,000 a second | one more is not sent |
//!
//! Progress is data, in either direction, that was not there before: whoever keeps a window shut or only keeps a
//! connection alive makes none. A connection counts from the end of its handshake on, so forged SYNs push nobody out. What
//! a limit has cost is told in [`Limited`](EventKind::Limited) events.
//!
//! [`Config::backlog`]: super::Config::backlog
//! [`Config::connections`]: super::Config::connections
//! [`Config::time_waits`]: super::Config::time_waits
//! [`Config::reassembly`]: super::Config::reassembly
//! [`Config::buffer`]: super::Config::buffer
//! [`Config::waiting`]: super::Config::waiting
//! [`Config::events`]: super::Config::events

use super::defect::Work;
use super::{Engine, Flow, Shared};
use crate::event::{Activity, EventKind, FlowId, Limit, UserCall};
use smoltcp::time::{Duration, Instant};
use std::collections::VecDeque;

/// Where there is much more room than is needed, it is given back after so long.
pub(super) const ROOMY: Duration = Duration::from_secs(10);
/// Room for so many flows is always kept.
const ROOM: usize = 512;

/// So many candidates are found at a time: each search looks at all flows.
const CANDIDATES: usize = 64;

/// How many flows there are of each kind, and which will have to go first.
#[derive(Debug, Default)]
pub(super) struct Occupancy {
    connections: usize,
    exchanges: usize,
    time_waits: usize,
    /// The longest idle first.
    idle_connections: VecDeque<Idle>,
    idle_exchanges: VecDeque<Idle>,
}

/// A flow that is in nobody's way until its room is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Idle {
    since: Instant,
    flow: FlowId,
    place: usize,
}

impl Occupancy {
    /// No flow is there any more; who has to go first is found anew.
    pub(super) fn clear(&mut self) {
        *self = Occupancy::default();
    }

    /// A flow comes in.
    pub(super) fn add(&mut self, flow: &Flow) {
        if let Some(count) = self.of(flow) {
            *count += 1;
        }
    }

    /// A flow goes.
    pub(super) fn remove(&mut self, flow: &Flow) {
        if let Some(count) = self.of(flow) {
            *count -= 1;
        }
    }

    #[cfg(test)]
    pub(super) fn total(&self) -> usize {
        self.connections + self.exchanges + self.time_waits
    }

    fn of(&mut self, flow: &Flow) -> Option<&mut usize> {
        match flow {
            Flow::Tcp(_) => Some(&mut self.connections),
            Flow::TimeWait(_) => Some(&mut self.time_waits),
            Flow::Udp(_) => Some(&mut self.exchanges),
            Flow::Unheard(_) => None,
        }
    }
}

impl Engine {
    /// A connection is established: if that is one too many, another makes room.
    pub(super) fn make_room_for_connection(&mut self, now: Instant) {
        let established = self.occupancy.connections - self.half_open;
        if established <= self.shared.config.connections {
            return;
        }
        let mut candidates = std::mem::take(&mut self.occupancy.idle_connections);
        let idle = self.longest_idle(&mut candidates, |flow| match flow {
            Flow::Tcp(flow) => flow.idle_since(),
            _ => None,
        });
        self.occupancy.idle_connections = candidates;
        let Some(Idle { flow, place, .. }) = idle else {
            return;
        };
        self.shared.limited(now, Some(flow), Limit::Connections);
        let work = Work::Flow(Activity::Upkeep, place);
        self.contained(now, work, (), |engine| {
            engine.call(now, place, Some(UserCall::Abort));
        });
    }

    /// An exchange of datagrams has begun at `new`: if that is one too many, another is over.
    pub(super) fn make_room_for_exchange(&mut self, now: Instant, new: usize) {
        if self.occupancy.exchanges <= self.shared.config.connections {
            return;
        }
        let mut candidates = std::mem::take(&mut self.occupancy.idle_exchanges);
        let idle = self.longest_idle(&mut candidates, |flow| match flow {
            Flow::Udp(flow) => flow.idle_since(),
            _ => None,
        });
        self.occupancy.idle_exchanges = candidates;
        // Those that we began stay, so the new one may be the only one that could go.
        if let Some(Idle { flow, place, .. }) = idle.filter(|idle| idle.place != new) {
            self.shared.limited(now, Some(flow), Limit::Exchanges);
            self.end(now, place);
        }
    }

    /// Whether there is room for many more flows than there are.
    pub(super) fn is_roomy(&self) -> bool {
        self.map.capacity() > ROOM.max(8 * self.map.len())
    }

    /// Gives room back that was needed for more flows.
    pub(super) fn tidy(&mut self, now: Instant) {
        if self.tidy_at.is_none_or(|at| now < at) {
            return;
        }
        self.tidy_at = None;
        if !self.is_roomy() {
            return;
        }
        let room = 2 * self.map.len();
        self.map.shrink_to(room);
        self.places.shrink_to(room);
        self.line.shrink_to(room);
        // Only what is behind the last flow.
        self.flows.shrink_to_fit();
        self.writers.shrink(self.flows.capacity());
        self.shared.timers.shrink(self.flows.capacity());
        if let Some(interference) = &mut self.shared.interference {
            interference.judge.shrink();
        }
    }

    /// Whether there is room for the connection that has just entered TIME-WAIT.
    pub(super) fn has_time_wait_to_spare(&self) -> bool {
        self.occupancy.time_waits <= self.shared.config.time_waits
    }

    fn longest_idle(
        &self,
        candidates: &mut VecDeque<Idle>,
        since: impl Fn(&Flow) -> Option<Instant>,
    ) -> Option<Idle> {
        let still = |idle: &Idle| {
            let flow = self.flows.get(idle.place);
            flow.is_some_and(|flow| flow.id() == idle.flow && since(flow) == Some(idle.since))
        };
        while let Some(candidate) = candidates.pop_front() {
            if still(&candidate) {
                return Some(candidate);
            }
        }
        let idle = |(place, flow): (usize, &Flow)| {
            let (since, flow) = (since(flow)?, flow.id());
            Some(Idle { since, flow, place })
        };
        let mut all: Vec<Idle> = self.flows.iter().filter_map(idle).collect();
        if all.len() > CANDIDATES {
            all.select_nth_unstable(CANDIDATES);
            all.truncate(CANDIDATES);
        }
        all.sort_unstable();
        *candidates = all.into();
        candidates.pop_front()
    }
}

impl Shared {
    /// A limit was reached.
    pub(super) fn limited(&mut self, now: Instant, flow: Option<FlowId>, limit: Limit) {
        self.journal.tell(now, flow, EventKind::Limited(limit, 1));
    }
}
