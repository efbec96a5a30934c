//! Send buffers that nobody needs just now give their memory back.

use super::defect::Work;
use super::{Engine, Flow};
use crate::event::Activity;
use smoltcp::time::{Duration, Instant};
use std::collections::VecDeque;

/// A send buffer that was not needed for so long gives its memory back, with the others of the same second.
const PAUSE: Duration = Duration::from_secs(3);
/// So many at once, so that nothing else waits for long.
const BATCH: usize = 64;

/// The places of connections that have written something, each once, and when they are looked at. One stays in line when
/// its connection ends, for the next that comes there: so many short ones need no more than those that are there at once.
#[derive(Debug, Default)]
pub(super) struct Writers {
    line: VecDeque<(Instant, usize)>,
    in_line: Vec<bool>,
}

impl Writers {
    /// When to call [`Engine::release_idle`] next.
    pub(super) fn next(&self) -> Option<Instant> {
        self.line.front().map(|(at, _)| *at)
    }

    fn is_in_line(&self, place: usize) -> bool {
        self.in_line.get(place) == Some(&true)
    }

    /// Puts one in line that isn't.
    fn add(&mut self, now: Instant, place: usize) {
        if self.in_line.len() <= place {
            self.in_line.resize(place + 1, false);
        }
        self.in_line[place] = true;
        self.line.push_back((look(now), place));
    }

    /// Takes the next out that is to be looked at.
    fn due(&mut self, now: Instant) -> Option<usize> {
        let (at, place) = *self.line.front()?;
        if now < at {
            return None;
        }
        self.line.pop_front();
        self.in_line[place] = false;
        Some(place)
    }

    /// Gives memory back that was needed for more places: there are `len` of them now.
    pub(super) fn shrink(&mut self, len: usize) {
        self.line.retain(|(_, place)| *place < len);
        self.line.shrink_to(2 * self.line.len());
        self.in_line.truncate(len);
        self.in_line.shrink_to(2 * len);
    }
}

impl Engine {
    /// A connection waits: it is looked at later, if it has written anything.
    pub(super) fn watch_writer(&mut self, now: Instant, place: usize) {
        if self.shared.config.release.is_none() || self.writers.is_in_line(place) {
            return;
        }
        if let Some(Flow::Tcp(flow)) = self.flows.get(place)
            && flow.has_written()
        {
            self.writers.add(now, place);
        }
    }

    /// Lets the send buffers go that have been idle.
    pub(super) fn release_idle(&mut self, now: Instant) {
        let Some(release) = self.shared.config.release else {
            return;
        };
        for _ in 0..BATCH {
            let Some(place) = self.writers.due(now) else {
                return;
            };
            let work = Work::Flow(Activity::Upkeep, place);
            let waits = self.contained(now, work, false, |engine| {
                match engine.flows.get_mut(place) {
                    Some(Flow::Tcp(flow)) if flow.has_written() => {
                        !flow.release(now, PAUSE, release)
                    }
                    _ => false,
                }
            });
            if waits {
                self.writers.add(now, place);
            }
        }
    }
}

/// When to look at a connection that has written something by `now`: on a full second, so that many cause no more wake-ups
/// than one.
fn look(now: Instant) -> Instant {
    Instant::from_secs((now + PAUSE).secs() + 1)
}
