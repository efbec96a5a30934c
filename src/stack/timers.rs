//! One deadline for each flow, the earliest first.

use crate::event::FlowId;
use smoltcp::time::Instant;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Deadlines in a heap.
///
/// A flow's deadline moves with nearly every segment. Taking the old entry out of the heap each time would
/// cost more than it gives, so a flow has at most a few entries, of which one that is too early only leads to
/// a look that finds nothing: whoever owns the flow keeps its true deadline in a [`Deadline`] and asks
/// [`Timers::set`] to add an entry only when the true one is earlier than every entry there is.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, FlowId, usize)>>,
}

/// What a flow keeps of its deadline.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Deadline {
    /// When the flow is really due.
    due: Option<Instant>,
    /// The earliest entry of this flow in the heap.
    queued: Option<Instant>,
}

/// A flow whose entry has come up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expired {
    pub(crate) flow: FlowId,
    /// The place that was given to [`Timers::set`].
    pub(crate) place: usize,
}

impl Timers {
    /// Sets the deadline of a flow, or takes it away. `place` is handed back when it expires.
    pub(crate) fn set(
        &mut self,
        deadline: &mut Deadline,
        due: Option<Instant>,
        flow: FlowId,
        place: usize,
    ) {
        deadline.due = due;
        let Some(due) = due else { return };
        if deadline.queued.is_none_or(|queued| due < queued) {
            deadline.queued = Some(due);
            self.heap.push(Reverse((due, flow, place)));
        }
    }

    /// Gives memory back that was needed for more entries.
    pub(crate) fn shrink(&mut self) {
        self.heap.shrink_to(2 * self.heap.len());
    }

    /// When to call [`pop`](Timers::pop) next.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _, _))| *at)
    }

    /// Takes out the earliest entry that is not after `now`. The flow may be gone, or not due yet: ask
    /// [`Timers::is_due`].
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Expired> {
        if self.next()? > now {
            return None;
        }
        let Reverse((_, flow, place)) = self.heap.pop()?;
        Some(Expired { flow, place })
    }

    /// Whether a flow whose entry was popped is due at `now`. If it is not, its true deadline is queued again.
    pub(crate) fn is_due(
        &mut self,
        deadline: &mut Deadline,
        now: Instant,
        expired: Expired,
    ) -> bool {
        deadline.queued = None;
        match deadline.due {
            Some(due) if due <= now => true,
            due => {
                self.set(deadline, due, expired.flow, expired.place);
                false
            }
        }
    }
}

/// The earlier of two moments that may not come. Written out, as this is asked for every packet, and a chain of iterators
/// took a thousand instructions for it.
pub(crate) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, None) => one,
        (None, other) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn a_deadline_that_moves_back_is_not_due_until_then() {
        let mut timers = Timers::default();
        let mut deadline = Deadline::default();
        timers.set(&mut deadline, Some(at(10)), FlowId(1), 0);
        timers.set(&mut deadline, Some(at(30)), FlowId(1), 0);
        assert_eq!(timers.next(), Some(at(10)));
        let expired = timers.pop(at(10)).unwrap();
        assert!(!timers.is_due(&mut deadline, at(10), expired));
        assert_eq!(timers.pop(at(29)), None);
        let expired = timers.pop(at(30)).unwrap();
        assert!(timers.is_due(&mut deadline, at(30), expired));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_deadline_that_moves_forward_is_due_at_once() {
        let mut timers = Timers::default();
        let mut deadline = Deadline::default();
        timers.set(&mut deadline, Some(at(30)), FlowId(1), 7);
        timers.set(&mut deadline, Some(at(10)), FlowId(1), 7);
        let expired = timers.pop(at(10)).unwrap();
        assert_eq!(
            expired,
            Expired {
                flow: FlowId(1),
                place: 7
            }
        );
        assert!(timers.is_due(&mut deadline, at(10), expired));
    }

    #[test]
    fn a_deadline_taken_away_is_never_due() {
        let mut timers = Timers::default();
        let mut deadline = Deadline::default();
        timers.set(&mut deadline, Some(at(10)), FlowId(1), 0);
        timers.set(&mut deadline, None, FlowId(1), 0);
        let expired = timers.pop(at(10)).unwrap();
        assert!(!timers.is_due(&mut deadline, at(10), expired));
        assert_eq!(timers.next(), None);
    }
}
