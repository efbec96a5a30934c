//! One deadline for each flow, the earliest first.

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

/// So many entries that mean nothing cost nothing worth mentioning.
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

    /// Throws away what is left over where that is most of it. Otherwise a peer that has an ACK delayed again and again, on a
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: i64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn a_deadline_that_moves_back_is_not_due_until_then() {
        let mut timers = Timers::default();
        timers.set(0, Some(at(10)));
        timers.set(0, Some(at(30)));
        assert_eq!(timers.next(), Some(at(10)));
        assert_eq!(timers.pop(at(10)), None);
        assert_eq!(timers.pop(at(29)), None);
        assert_eq!(timers.pop(at(30)), Some(0));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_deadline_that_moves_forward_is_due_then_and_once() {
        let mut timers = Timers::default();
        timers.set(7, Some(at(30)));
        timers.set(7, Some(at(10)));
        assert_eq!(timers.pop(at(9)), None);
        assert_eq!(timers.pop(at(10)), Some(7));
        assert_eq!(timers.pop(at(99)), None);
        assert_eq!(timers.next(), None);
        // What is left over of the old one is no entry of the new one.
        timers.set(7, Some(at(30)));
        timers.set(7, Some(at(10)));
        assert_eq!(timers.pop(at(10)), Some(7));
        timers.set(7, Some(at(40)));
        assert_eq!(timers.pop(at(39)), None);
        assert_eq!(timers.pop(at(40)), Some(7));
    }

    #[test]
    fn a_deadline_taken_away_is_never_due() {
        let mut timers = Timers::default();
        timers.set(0, Some(at(10)));
        timers.set(0, None);
        assert_eq!(timers.pop(at(10)), None);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn the_earliest_comes_first() {
        let mut timers = Timers::default();
        for (place, millis) in [(0, 30), (1, 10), (2, 20), (3, 10)] {
            timers.set(place, Some(at(millis)));
        }
        let due: Vec<usize> = std::iter::from_fn(|| timers.pop(at(30))).collect();
        assert_eq!(due, [1, 3, 2, 0]);
    }

    #[test]
    fn flows_that_come_and_go_leave_one_entry() {
        let mut timers = Timers::default();
        for millis in 0..1_000 {
            timers.set(0, Some(at(millis + 200)));
            timers.set(0, None);
            assert_eq!(timers.pop(at(millis)), None);
        }
        assert_eq!(timers.heap.len(), 1);
    }

    #[test]
    fn places_that_are_gone_are_forgotten() {
        let mut timers = Timers::default();
        for place in 0..100 {
            timers.set(place, Some(at(10)));
        }
        timers.shrink(1);
        assert_eq!((timers.heap.len(), timers.places.len()), (1, 1));
        assert_eq!(timers.pop(at(10)), Some(0));
        assert_eq!(timers.pop(at(10)), None);
        timers.set(5, Some(at(20)));
        assert_eq!(timers.pop(at(20)), Some(5));
    }

    /// An ACK that is delayed again and again, before a deadline that is far away.
    #[test]
    fn a_deadline_far_away_leaves_few_entries() {
        let mut timers = Timers::default();
        for millis in 0..10_000 {
            timers.set(0, Some(at(millis + 60_000)));
            timers.set(0, Some(at(millis)));
            assert_eq!(timers.pop(at(millis)), Some(0));
            timers.set(0, Some(at(millis + 60_001)));
        }
        assert!(timers.heap.len() <= SPARE + 2, "{}", timers.heap.len());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever is set and taken away: each is told once, not before its time, and the earliest that is due first.
        #[test]
        fn deadlines_are_kept_as_a_list_would_keep_them(
            steps in prop::collection::vec((0..6usize, prop::option::weighted(0.8, 0..50i64), 0..12i64), 1..400),
        ) {
            let mut timers = Timers::default();
            let mut model = [None::<Instant>; 6];
            let mut now = 0;
            for (place, due, passed) in steps {
                let due = due.map(|after| at(now + after));
                timers.set(place, due);
                model[place] = due;
                now += passed / 8;
                let mut told = Vec::new();
                prop_assert!(timers.next().is_none_or(|next| model.iter().flatten().all(|&due| next <= due)));
                while let Some(place) = timers.pop(at(now)) {
                    prop_assert!(model[place].take().is_some_and(|due| due <= at(now)));
                    told.push(place);
                }
                prop_assert!(model.iter().flatten().all(|&due| due > at(now)));
                prop_assert!(timers.next().is_some() || model.iter().all(Option::is_none));
                prop_assert!(timers.heap.len() <= 2 * timers.places.len() + SPARE);
            }
        }
    }
}
