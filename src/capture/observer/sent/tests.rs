use super::*;
use crate::segment::liar::chosen;
use proptest::prelude::*;

fn segment(seq: SeqNumber, len: usize) -> Segment {
    Segment {
        src_port: 50_000,
        dst_port: 7,
        seq,
        ack: SeqNumber(1),
        flags: Flags::ACK,
        window: 1,
        urgent: 0,
        options: Default::default(),
        payload: 40..40 + len,
        checksum_ok: true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// As one list says, in which each number stands that was sent.
    #[test]
    fn what_was_sent_before_is_known(
        origin in any::<u32>(),
        segments in prop::collection::vec((-60..40i64, 1..20usize, 0..4i64), 1..40),
    ) {
        let place_of = |place: i64| SeqNumber(origin) + place as u32;
        let mut sent = Sent::new();
        let mut model: Vec<i64> = Vec::new();
        // The end of what was sent, and when it was moved.
        let (mut end, mut moved, mut now) = (None, 0, 0);
        for (step, len, passed) in segments {
            now += passed;
            let known = end.unwrap_or(0);
            let first = match end {
                None => 0,
                Some(end) => (end + step).max(0),
            };
            let numbers = first..first + len as i64;
            let repeats = numbers.clone().any(|number| model.contains(&number));
            let overtaken = first < known && now - moved < 3;
            let is_keep_alive = len == 1 && first + 1 == known;
            // What is in one piece with what was sent last was not left out.
            let expected = match repeats || first < known && numbers.end > known {
                true => !is_keep_alive,
                false => first < known && !overtaken,
            };
            let at = Instant::from_millis(now);
            let said = sent.repeats(at, &segment(place_of(first), len));
            prop_assert_eq!(said, expected, "{:?} of {:?}", numbers, model);
            if first >= known || end.is_none() {
                moved = now;
            }
            model.extend(numbers.clone());
            end = Some(known.max(numbers.end));
            let left_out: u64 = sent.gaps.iter().map(|&(_, len)| u64::from(len)).sum();
            let missing = (0..end.unwrap_or(0)).filter(|number| !model.contains(number));
            prop_assert_eq!(left_out, missing.count() as u64);
        }
    }

    /// A capture may hold any numbers.
    #[test]
    fn no_numbers_take_more_than_their_room(
        segments in prop::collection::vec((chosen(), 0..3_000usize, 0..4u64), 1..200),
    ) {
        let mut sent = Sent::new();
        let mut now = Instant::ZERO;
        for (seq, len, passed) in segments {
            now += Duration::from_millis(passed);
            let gaps = sent.gaps.iter().flat_map(|&(from, len)| [from, from + len / 2]);
            let marks: Vec<_> = gaps.chain([sent.end.unwrap_or_default()]).collect();
            sent.repeats(now, &segment(seq.of(&marks), len));
            prop_assert!(sent.gaps.len() <= MAX_GAPS);
        }
    }
}
