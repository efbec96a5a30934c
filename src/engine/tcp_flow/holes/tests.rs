use super::*;
use crate::segment::liar::chosen;
use proptest::prelude::*;
use proptest::sample::Index;

#[test]
fn a_copy_follows_what_is_in_flight() {
    let at = |offset: u32| SeqNumber(u32::MAX - 2) + offset;
    let mut kept = Kept::default();
    kept.sent(at(0), b"abcd");
    kept.sent(at(4), b"efgh");
    // Again, and more behind it.
    kept.sent(at(2), b"cdef");
    kept.sent(at(6), b"ghij");
    assert_eq!(kept.copy(at(3), 5).unwrap(), b"defgh");
    assert_eq!(kept.copy(at(8), 3), None);
    kept.acknowledged(at(3));
    assert!(kept.begins_at(at(3)) && !kept.begins_at(at(0)));
    assert_eq!(kept.copy(at(3), 2).unwrap(), b"de");
    kept.acknowledged(at(2));
    assert!(kept.begins_at(at(3)));
    kept.acknowledged(at(10));
    assert!(!kept.begins_at(at(10)));
    // Whatever has left uncopied in between.
    kept.sent(at(20), b"uv");
    kept.sent(at(30), b"yz");
    assert!(kept.begins_at(at(30)) && kept.bytes.len() == 2);
}

/// What leaves, and what is acknowledged, in places of the stream.
#[derive(Clone, Debug)]
enum Step {
    New(usize),
    /// From where between SND.UNA and SND.NXT, and how many bytes.
    Again(Index, usize),
    Uncopied(usize),
    Acknowledged(Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..300usize).prop_map(Step::New),
        2 => (any::<Index>(), 0..300usize).prop_map(|(from, len)| Step::Again(from, len)),
        1 => (1..50usize).prop_map(Step::Uncopied),
        2 => any::<Index>().prop_map(Step::Acknowledged),
    ]
}

/// The byte at a place of the stream.
fn byte(place: usize) -> u8 {
    (place.wrapping_mul(2_654_435_761) >> 7) as u8
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_copy_is_what_was_sent(
        origin in chosen(),
        steps in prop::collection::vec(step(), 1..40),
        queries in prop::collection::vec((chosen(), prop_oneof![0..400u32, any::<u32>()]), 4),
    ) {
        let origin = origin.of(&[SeqNumber(0)]);
        let at = |place: usize| origin + place as u32;
        let mut kept = Kept::default();
        // SND.UNA, SND.NXT, and what is copied.
        let (mut una, mut nxt, mut copied) = (0, 0, 0..0usize);
        for step in steps {
            let (from, end) = match step {
                Step::New(len) => (nxt, nxt + len),
                Step::Again(from, len) => {
                    let from = una + from.index(nxt - una + 1);
                    (from, (from + len).min(nxt))
                }
                Step::Uncopied(len) => {
                    nxt += len;
                    (nxt, nxt)
                }
                Step::Acknowledged(count) => {
                    una += count.index(nxt - una + 1);
                    kept.acknowledged(at(una));
                    copied = match una < copied.end {
                        true => copied.start.max(una)..copied.end,
                        false => 0..0,
                    };
                    (nxt, nxt)
                }
            };
            if from < end {
                let data: Vec<u8> = (from..end).map(byte).collect();
                kept.sent(at(from), &data);
                nxt = nxt.max(end);
                copied = match from > copied.end || copied.is_empty() {
                    true => from..end,
                    false if end > copied.start => copied.start..copied.end.max(end),
                    false => copied,
                };
            }
            prop_assert_eq!(kept.bytes.len(), copied.len());
            prop_assert!(kept.bytes.len() <= nxt - una);
            prop_assert_eq!(kept.begins_at(at(una)), !copied.is_empty() && copied.start == una);
            for &(seq, len) in &queries {
                let marks = [at(una), at(nxt), at(copied.start), at(copied.end)];
                let seq = seq.of(&marks);
                let place = i64::from(seq.since(origin));
                let whole = copied.start as i64 <= place && place + i64::from(len) <= copied.end as i64;
                let expected = whole && !copied.is_empty();
                match kept.copy(seq, len) {
                    Some(copy) if len > 0 => {
                        prop_assert!(expected);
                        let place = place as usize;
                        prop_assert_eq!(copy, (place..place + len as usize).map(byte).collect::<Vec<_>>());
                    }
                    Some(copy) => prop_assert!(copy.is_empty()),
                    None => prop_assert!(!expected),
                }
            }
        }
    }

    /// Even if our own numbers were wrong.
    #[test]
    fn no_numbers_break_a_copy(steps in prop::collection::vec((chosen(), chosen(), 0..300usize), 1..40)) {
        let mut kept = Kept::default();
        for (sent, acknowledged, len) in steps {
            let marks = [kept.first, kept.first + kept.bytes.len() as u32];
            let before = kept.bytes.len();
            kept.sent(sent.of(&marks), &vec![0; len]);
            prop_assert!(kept.bytes.len() <= before + len);
            kept.acknowledged(acknowledged.of(&marks));
            kept.copy(sent.of(&marks), len as u32);
        }
    }
}
