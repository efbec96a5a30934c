//! Send buffers that nobody needs just now give their memory back.

use super::{Engine, Flow};
use crate::event::FlowId;
use smoltcp::time::{Duration, Instant};
use std::collections::VecDeque;

/// A send buffer that was not needed for so long gives its memory back, with the others of the same second.
const PAUSE: Duration = Duration::from_secs(3);
/// So many at once, so that nothing else waits for long.
const BATCH: usize = 64;

/// Connections that have written something, each once, and when they are looked at.
#[derive(Debug, Default)]
pub(super) struct Writers {
    line: VecDeque<(Instant, FlowId)>,
}

impl Writers {
    /// When to call [`Engine::release_idle`] next.
    pub(super) fn next(&self) -> Option<Instant> {
        self.line.front().map(|(at, _)| *at)
    }

    /// Takes the next out that is to be looked at.
    fn due(&mut self, now: Instant) -> Option<FlowId> {
        let (at, id) = *self.line.front()?;
        if now < at {
            return None;
        }
        self.line.pop_front();
        Some(id)
    }

    /// Gives memory back that was needed for more of them.
    pub(super) fn shrink(&mut self) {
        self.line.shrink_to(2 * self.line.len());
    }
}

impl Engine {
    /// A connection waits: it is looked at later, if it has written anything.
    pub(super) fn watch_writer(&mut self, now: Instant, place: usize) {
        if self.shared.config.release.is_none() {
            return;
        }
        if let Some(Flow::Tcp(flow)) = self.flows.get_mut(place)
            && flow.takes_to_writing()
        {
            self.writers.line.push_back((look(now), flow.id));
        }
    }

    /// Lets the send buffers go that have been idle.
    pub(super) fn release_idle(&mut self, now: Instant) {
        let Some(release) = self.shared.config.release else {
            return;
        };
        for _ in 0..BATCH {
            let Some(id) = self.writers.due(now) else {
                return;
            };
            let Some(&place) = self.places.get(&id) else {
                continue;
            };
            if let Flow::Tcp(flow) = &mut self.flows[place]
                && !flow.release(now, PAUSE, release)
            {
                self.writers.line.push_back((look(now), id));
            }
        }
    }
}

/// When to look at a connection that has written something by `now`: on a full second, so that many cause no more wake-ups
/// than one.
fn look(now: Instant) -> Instant {
    Instant::from_secs((now + PAUSE).secs() + 1)
}
