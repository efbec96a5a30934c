use super::*;
use crate::segment::liar::{Chosen, chosen};
use proptest::prelude::*;

fn segment(flags: Flags, seq: SeqNumber, stamp: Option<u32>, len: usize) -> Segment {
    let option = stamp.map(|val| TcpOption::Timestamps { val, ecr: 7 });
    Segment {
        src_port: 50_000,
        dst_port: 7,
        seq,
        ack: SeqNumber(1),
        flags,
        window: 1,
        urgent: 0,
        options: option.into_iter().collect(),
        payload: 40..40 + len,
        checksum_ok: true,
    }
}

/// How many steps round the circle lead from one to the other.
fn steps(from: u32, to: u32) -> u64 {
    (u64::from(to) + (1 << 32) - u64::from(from)) % (1 << 32)
}

/// RFC 7323, in its own words: "s < t if 0 < (t - s) < 2^31".
fn is_less(one: u32, other: u32) -> bool {
    (1..1 << 31).contains(&steps(one, other))
}

const DAYS: i64 = 24 * 60 * 60 * 1000;

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// The peer's clock and numbers are whatever it says.
    #[test]
    fn stamps_are_judged_as_the_rfc_has_it(
        irs in chosen(),
        syn_stamp in prop::option::weighted(0.9, chosen()),
        offered in prop::bool::weighted(0.9),
        heard in prop::collection::vec(
            (chosen(), prop::option::weighted(0.9, chosen()), 0..3usize, prop_oneof![9 => 0..1_000i64, 1 => 20 * DAYS..30 * DAYS], any::<bool>()),
            1..30,
        ),
    ) {
        let zero = [SeqNumber(0)];
        let irs = irs.of(&zero);
        let stamp_of = |chosen: Option<Chosen>, marks: &[SeqNumber]| chosen.map(|chosen| chosen.of(marks).0);
        let syn_stamp = stamp_of(syn_stamp, &zero);
        let mut now = Instant::ZERO;
        let mut stamps = Stamps::new(5);
        stamps.synchronize(now, &segment(Flags::SYN, irs, syn_stamp, 0), offered);
        let on = offered && syn_stamp.is_some();
        prop_assert_eq!(stamps.is_on(), on);
        let recent = syn_stamp.filter(|_| on).unwrap_or(0);
        let (mut recent, mut set_at, mut last_ack) = (recent, 0, irs + 1);
        for (seq, stamp, len, passed, acknowledges) in heard {
            now += Duration::from_millis(passed as u64);
            let seq = seq.of(&[last_ack, irs]);
            let stamp = stamp_of(stamp, &[SeqNumber(recent), SeqNumber(recent.wrapping_add(passed as u32))]);
            let heard = segment(Flags::ACK, seq, stamp, len);
            let valid = now.total_millis() - set_at < 24 * DAYS;
            // Half the circle apart, neither is less: what may be a repetition is not taken.
            let is_old = |stamp| is_less(stamp, recent) || steps(stamp, recent) == 1 << 31;
            let expected = on && valid && stamp.is_some_and(is_old);
            prop_assert_eq!(stamps.rejects(now, &heard), expected, "{:?} after {}", stamp, recent);
            let reset = Segment { flags: Flags::RST, ..heard.clone() };
            prop_assert!(!stamps.rejects(now, &reset));
            let is_new = |stamp| is_less(recent, stamp) || steps(stamp, recent) == 1 << 31;
            prop_assert_eq!(stamps.is_newer(&heard), on && stamp.is_some_and(is_new));
            if !expected {
                stamps.note(now, &heard);
                let in_order = !is_less(last_ack.0, seq.0) && steps(last_ack.0, seq.0) != 1 << 31;
                if let Some(stamp) = stamp.filter(|&stamp| on && in_order && !is_old(stamp)) {
                    (recent, set_at) = (stamp, now.total_millis());
                }
            }
            if acknowledges {
                last_ack = heard.end();
                stamps.acknowledged(last_ack);
            }
            let val = (now.total_millis() as u32).wrapping_add(5);
            prop_assert_eq!(stamps.values(now, true), (val, recent));
            prop_assert_eq!(stamps.values(now, false), (val, 0));
            let expected = on.then_some((val, recent));
            prop_assert_eq!(stamps.option(now).timestamps(), expected);
        }
    }
}
