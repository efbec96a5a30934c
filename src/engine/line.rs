//! In which order flows send: those with little to send first, all others in turns, each as many bytes as the others.
//!
//! This is deficit round robin with two queues, as RFC 8290 (FQ-CoDel), section 4, has it, without the part that drops:
//!
//! ```text
//!   has something to send ──▶ fresh ──── its quantum is used up ───▶ bulk ──▶ one quantum each, in turns
//!                             served first                           ▲                 │
//!                                                                    └─────────────────┘
//! ```
//!
//! A flow may use up one quantum in each round, whether it does so as a fresh one or in bulk; a round is over once each flow in
//! bulk has had its turn. A flow that has used up its quantum in the last round in which it sent joins those in bulk at once
//! when it has something again. So a flow is served before all others only as long as it sends less than they do, and flows
//! that come and go can't starve those in bulk. RFC 8290 puts a fresh flow that has become empty at the end of the bulk queue
//! for that (section 4.1.2), where it would wait for a round before it is fresh again; and a flow in bulk that has become
//! empty, as it does each time its window is used up, would be a fresh one with the next acknowledgment.
//!
//! A flow in bulk that owes an acknowledgment makes one packet as if it were fresh, which counts as all others do: RFC 9293,
//! section 3.8.6.3, asks for one "for at least every second full-sized segment" (SHLD-19). Each packet takes the same time,
//! however many flows there are.

use std::collections::VecDeque;

/// What a flow may send in each round, in bytes, where packets are small: what it needs for a packet is in the processor's caches
/// for the next one then.
pub(super) const BURST: usize = 12_000;

/// Flows that may have something to send. A flow is known by its place.
#[derive(Debug)]
pub(super) struct Line {
    fresh: VecDeque<usize>,
    bulk: VecDeque<usize>,
    standings: Vec<Standing>,
    /// Bytes that each flow may send in a round, as a fresh one and in bulk.
    first: i64,
    quantum: i64,
    round: u32,
    /// Whether the flow whose turn it is comes from the fresh ones.
    serves_fresh: bool,
}

/// What a flow has had of its share.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    /// In which of the queues it is.
    is_fresh: bool,
    in_bulk: bool,
    /// The round in which it got a quantum last, and what is left of it. Below zero where the last packet was larger.
    round: u32,
    credit: i64,
}

/// What a flow did in its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It has sent so many bytes, and may have more.
    Sent(usize),
    /// It has sent so many bytes, and has nothing more.
    SentLast(usize),
    /// It has made something that does not leave now, and may have more.
    Stopped,
    /// It has nothing to send.
    Empty,
}

impl Line {
    /// Fresh flows send as much as the largest packet has in bytes, flows in bulk a `quantum` that is at least as long: many that
    /// are fresh at once, and whose peers acknowledge each packet, must not fill a queue.
    pub(super) fn new(largest: usize, quantum: usize) -> Line {
        Line {
            fresh: VecDeque::new(),
            bulk: VecDeque::new(),
            standings: Vec::new(),
            first: largest as i64,
            quantum: quantum as i64,
            round: 0,
            serves_fresh: false,
        }
    }

    /// A flow may have something to send. Where it is `pressing`, one packet of it does not wait for its turn.
    pub(super) fn stand(&mut self, place: usize, pressing: bool) {
        if self.standings.len() <= place {
            let new = Standing {
                round: self.round,
                credit: self.first,
                ..Standing::default()
            };
            self.standings.resize(place + 1, new);
        }
        let (round, first) = (self.round, self.first);
        let standing = &mut self.standings[place];
        if standing.is_fresh || standing.in_bulk && !pressing {
            return;
        }
        let goes_first = pressing || standing.credit > 0;
        if !standing.in_bulk && standing.round != round {
            standing.renew(round, first);
        }
        if goes_first {
            standing.is_fresh = true;
            self.fresh.push_back(place);
        } else {
            standing.in_bulk = true;
            self.bulk.push_back(place);
        }
    }

    /// A flow has begun at a place: it owes nothing of what the one before it has had.
    pub(super) fn seat(&mut self, place: usize) {
        if let Some(standing) = self.standings.get_mut(place) {
            (standing.round, standing.credit) = (self.round, self.first);
        }
    }

    /// Whose turn it is. Without `all`, flows in bulk have none. Each time, [`took`](Line::took) is to be called next.
    pub(super) fn next(&mut self, all: bool) -> Option<usize> {
        self.serves_fresh = !self.fresh.is_empty();
        if let Some(&place) = self.fresh.front() {
            return Some(place);
        }
        if !all {
            return None;
        }
        // Whoever has no credit gets a quantum and goes behind the others, so this ends: debts are finite.
        loop {
            let Some(&place) = self.bulk.front() else {
                self.round = self.round.wrapping_add(1);
                return None;
            };
            let standing = &mut self.standings[place];
            if standing.credit > 0 {
                return Some(place);
            }
            if standing.round == self.round {
                self.round = self.round.wrapping_add(1);
            }
            standing.renew(self.round, self.quantum);
            if standing.credit <= 0 {
                self.bulk.rotate_left(1);
            }
        }
    }

    /// What the flow did whose turn it was.
    pub(super) fn took(&mut self, place: usize, turn: Turn) {
        let (first, quantum) = (self.first, self.quantum);
        let standing = &mut self.standings[place];
        let (bytes, ends) = match turn {
            Turn::Sent(len) => (len as i64, false),
            Turn::SentLast(len) => (len as i64, true),
            Turn::Stopped => (quantum, false),
            Turn::Empty => (0, true),
        };
        standing.credit -= bytes;
        let spent = standing.credit <= 0;
        if self.serves_fresh {
            let leaves = ends || spent || standing.in_bulk;
            match leaves {
                // Fresh flows take turns, one packet each.
                false => self.fresh.rotate_left(1),
                true => {
                    standing.is_fresh = false;
                    self.fresh.pop_front();
                }
            }
            if leaves && !ends && !standing.in_bulk {
                standing.in_bulk = true;
                self.bulk.push_back(place);
            }
        } else if ends {
            standing.in_bulk = false;
            // A quantum that it had no use for does not make it one of those with little to send.
            if standing.credit > 0 {
                let unused = standing.credit - (quantum - first);
                standing.credit = if turn == Turn::Empty {
                    0
                } else {
                    unused.max(0)
                };
            }
            self.bulk.pop_front();
        } else if spent {
            self.bulk.rotate_left(1);
        }
    }

    /// The flow at a place has nothing to send any more, whether it is its turn or not.
    pub(super) fn leave(&mut self, place: usize) {
        let Some(standing) = self.standings.get_mut(place) else {
            return;
        };
        if std::mem::take(&mut standing.is_fresh) {
            self.fresh.retain(|&waits| waits != place);
        }
        if std::mem::take(&mut standing.in_bulk) {
            self.bulk.retain(|&waits| waits != place);
        }
    }

    /// Whether flows in bulk have something left to send.
    pub(super) fn has_backlog(&self) -> bool {
        !self.bulk.is_empty()
    }

    /// How many flows stand in it.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.standings
            .iter()
            .filter(|standing| standing.is_fresh || standing.in_bulk)
            .count()
    }

    /// Gives back what is not needed for as many places.
    pub(super) fn shrink_to(&mut self, places: usize) {
        self.fresh.shrink_to(places);
        self.bulk.shrink_to(places);
        let used = self.fresh.iter().chain(&self.bulk).max();
        let used = used.map_or(0, |place| place + 1);
        self.standings.truncate(places.max(used));
        self.standings.shrink_to(places);
    }
}

impl Standing {
    /// Adds a quantum; what was left of an earlier one is lost, and a debt is not.
    fn renew(&mut self, round: u32, quantum: i64) {
        self.round = round;
        self.credit = (self.credit + quantum).min(quantum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUANTUM: usize = 1_500;

    /// Lets flows send packets of a size of their own each until so many bytes have left; how many each has sent.
    fn shares(sizes: &[usize], total: usize) -> Vec<usize> {
        let mut line = Line::new(QUANTUM, QUANTUM);
        for place in 0..sizes.len() {
            line.stand(place, false);
        }
        let mut sent = vec![0; sizes.len()];
        while sent.iter().sum::<usize>() < total {
            let place = line.next(true).unwrap();
            sent[place] += sizes[place];
            line.took(place, Turn::Sent(sizes[place]));
        }
        sent
    }

    #[test]
    fn each_sends_as_many_bytes_whatever_its_packets() {
        #[track_caller]
        fn check(sizes: &[usize]) {
            let sent = shares(sizes, 400 * QUANTUM * sizes.len());
            let (least, most) = (sent.iter().min().unwrap(), sent.iter().max().unwrap());
            // At any moment nobody is ahead of anybody by more than a quantum and a packet for each.
            assert!(most - least <= 3 * QUANTUM, "{sizes:?}: {sent:?}");
        }
        check(&[1_500, 1_500]);
        check(&[1_500, 40, 576, 1_499, 52]);
        check(&(1..=64).map(|n| 20 * n).collect::<Vec<_>>());
    }

    /// Many have much to send, and have had their quantum as fresh ones.
    fn busy(count: usize) -> Line {
        let mut line = Line::new(QUANTUM, QUANTUM);
        for place in 0..count {
            line.stand(place, false);
        }
        for _ in 0..count {
            let place = line.next(false).unwrap();
            line.took(place, Turn::Sent(1_500));
        }
        assert_eq!(line.next(false), None);
        assert!(line.has_backlog());
        line
    }

    #[test]
    fn who_has_little_to_send_comes_first() {
        let mut line = busy(64);
        for _ in 0..QUANTUM / 50 {
            line.stand(70, false);
            assert_eq!(line.next(true), Some(70));
            line.took(70, Turn::SentLast(50));
            let place = line.next(true).unwrap();
            line.took(place, Turn::Sent(1_500));
        }
    }

    #[test]
    fn who_comes_and_goes_gets_no_more_than_who_stays() {
        let mut line = busy(2);
        let mut sent = [0; 3];
        for _ in 0..3_000 {
            line.stand(2, false);
            let place = line.next(true).unwrap();
            sent[place] += 1_000;
            let last = place == 2;
            line.took(
                place,
                if last {
                    Turn::SentLast(1_000)
                } else {
                    Turn::Sent(1_000)
                },
            );
        }
        assert!(sent.iter().all(|sent| *sent > 950_000), "{sent:?}");
    }

    #[test]
    fn who_owes_an_acknowledgment_makes_one_packet_and_pays_for_it() {
        let mut line = busy(3);
        let mut sent = [0; 3];
        for _ in 0..300 {
            line.stand(1, true);
            assert_eq!(line.next(false), Some(1));
            line.took(1, Turn::Sent(500));
            assert_eq!(line.next(false), None);
            sent[1] += 500;
            for _ in 0..3 {
                let place = line.next(true).unwrap();
                sent[place] += 1_000;
                line.took(place, Turn::Sent(1_000));
            }
        }
        let (least, most) = (sent.iter().min().unwrap(), sent.iter().max().unwrap());
        assert!(most - least < 5_000, "{sent:?}");
    }

    #[test]
    fn a_flow_that_used_up_its_quantum_is_not_fresh_again_with_the_next_acknowledgment() {
        let mut line = Line::new(QUANTUM, QUANTUM);
        line.stand(0, false);
        assert_eq!(line.next(false), Some(0));
        line.took(0, Turn::SentLast(1_500));
        assert_eq!(line.next(true), None);
        line.stand(0, false);
        assert_eq!(line.next(false), None);
        assert_eq!(line.next(true), Some(0));
        // It sends little by now.
        line.took(0, Turn::SentLast(100));
        assert_eq!(line.next(true), None);
        line.stand(0, false);
        assert_eq!(line.next(false), Some(0));
        line.took(0, Turn::Empty);
        // Nor is one whose place was somebody else's.
        line.stand(0, false);
        line.next(false);
        line.took(0, Turn::SentLast(1_500));
        line.seat(0);
        line.stand(0, false);
        assert_eq!(line.next(false), Some(0));
    }

    #[test]
    fn what_is_given_back_is_not_what_waits() {
        let mut line = busy(64);
        line.shrink_to(1);
        for place in 0..64 {
            assert_eq!(line.next(true), Some(place));
            line.took(place, Turn::Empty);
        }
        line.shrink_to(1);
        assert_eq!((line.next(true), line.standings.len()), (None, 1));
        line.stand(5, false);
        assert_eq!(line.next(false), Some(5));
    }

    #[test]
    fn who_is_fresh_sends_a_packet_and_who_is_in_bulk_a_burst() {
        let mut line = Line::new(QUANTUM, 4 * QUANTUM);
        let sent = |line: &mut Line, all: bool, turn: Turn| {
            let place = line.next(all)?;
            line.took(place, turn);
            Some(place)
        };
        let full = Turn::Sent(QUANTUM);
        for place in 0..2 {
            line.stand(place, false);
            assert_eq!(sent(&mut line, false, full), Some(place));
        }
        assert_eq!(sent(&mut line, false, full), None);
        let turns: Vec<_> = (0..10).map(|_| sent(&mut line, true, full)).collect();
        let expected = [0, 0, 0, 0, 1, 1, 1, 1, 0, 0];
        assert_eq!(turns, expected.map(Some));
        // Two packets and a half are no little, though it might have sent more.
        assert_eq!(sent(&mut line, true, Turn::SentLast(750)), Some(0));
        line.stand(0, false);
        assert_eq!(line.next(false), None);
        // Less than one is.
        for _ in 0..4 {
            assert_eq!(sent(&mut line, true, full), Some(1));
        }
        assert_eq!(sent(&mut line, true, Turn::SentLast(50)), Some(0));
        line.stand(0, false);
        assert_eq!(line.next(false), Some(0));
    }
}
