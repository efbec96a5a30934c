use super::*;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// However a peer times what it sends: ten in five seconds, counted from the first of them.
    #[test]
    fn ten_are_drawn_in_five_seconds(pauses in prop::collection::vec(prop_oneof![4 => 0..300i64, 1 => 0..10_000i64], 1..200)) {
        let mut allowance = Allowance::default();
        let mut period: Vec<i64> = Vec::new();
        let (mut now, mut first) = (0, 0);
        for pause in pauses {
            now += pause;
            if period.is_empty() || now - first >= 5_000 {
                (period, first) = (Vec::new(), now);
            }
            let taken = allowance.take(Instant::from_millis(now));
            prop_assert_eq!(taken, period.len() < 10);
            if taken {
                period.push(now);
            }
        }
    }
}
