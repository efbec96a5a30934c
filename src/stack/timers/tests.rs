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
