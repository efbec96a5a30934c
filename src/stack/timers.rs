//! One deadline for each flow, the earliest first.

#[cfg(test)]
mod tests;

use smoltcp::time::Instant;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Deadlines in a heap, by the places of flows.
///
/// A flow's deadline moves with nearly every segment. Taking the old entry out of the heap each time would cost more
/// than it gives. So a place has an entry that is not after its deadline, and when that comes up, it is put back to when
/// the deadline is by then. It stays when the flow ends, and the next one at this place finds it: connections that come and
/// go leave nothing behind, and the heap has an entry or a few for each place.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
    places: Vec<Place>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// The deadline.
    due: Option<Instant>,
    /// The earliest entry in the heap. Those behind it are left over and mean nothing.
    queued: Option<Instant>,
}

/// A heap of this many entries is never tidied.
const SPARE: usize = 64;

impl Timers {
    /// Sets the deadline of the flow at a place, or takes it away. It stays until it is set again.
    pub(crate) fn set(&mut self, place: usize, due: Option<Instant>) {
        if self.places.len() <= place {
            self.places.resize(place + 1, Place::default());
        }
        self.places[place].due = due;
        self.queue(place);
    }

    /// Sees to it that there is an entry in time for a place's deadline.
    fn queue(&mut self, place: usize) {
        let Place { due, queued } = &mut self.places[place];
        if let Some(due) = *due
            && queued.is_none_or(|queued| due < queued)
        {
            *queued = Some(due);
            self.heap.push(Reverse((due, place)));
            self.tidy();
        }
    }

    /// Removes the entries that mean nothing, if they are most of the heap. Otherwise a peer that has an ACK delayed again and again, on a
    /// connection with a deadline far away, would leave an entry for each of them until then.
    fn tidy(&mut self) {
        if self.heap.len() <= 2 * self.places.len() + SPARE {
            return;
        }
        let places = &self.places;
        let mut seen = vec![false; places.len()];
        self.heap.retain(|Reverse((at, place))| {
            let counts = places.get(*place).is_some_and(|of| of.queued == Some(*at));
            counts && !std::mem::replace(&mut seen[*place], true)
        });
    }

    /// Gives memory back that was needed for more places: there are `len` of them now.
    pub(crate) fn shrink(&mut self, len: usize) {
        self.heap.retain(|Reverse((_, place))| *place < len);
        self.heap.shrink_to(2 * self.heap.len());
        self.places.truncate(len);
        self.places.shrink_to(2 * len);
    }

    /// When to call [`pop`](Timers::pop) next.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// The next place whose deadline is not after `now`. Each is told once, until it is set again.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<usize> {
        while self.next()? <= now {
            let Reverse((at, place)) = self.heap.pop()?;
            let Place { due, queued } = &mut self.places[place];
            if *queued != Some(at) {
                continue;
            }
            *queued = None;
            if due.take_if(|due| *due <= now).is_some() {
                return Some(place);
            }
            self.queue(place);
        }
        None
    }
}

/// The earlier of two moments that may not come. Written out, as this is asked for every packet, and a chain of iterators
/// took a thousand instructions for it.
pub(crate) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    earlier_by(one, other, |&at| at)
}

/// The earlier of two things that may not be there, each of which has its moment; the first, if both have the same.
pub(crate) fn earlier_by<T>(
    one: Option<T>,
    other: Option<T>,
    at: impl Fn(&T) -> Instant,
) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) if at(&other) < at(&one) => Some(other),
        (None, other) => other,
        (one, _) => one,
    }
}
