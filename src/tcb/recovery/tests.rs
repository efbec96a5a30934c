use super::*;
use crate::segment::liar::{Chosen, chosen};
use crate::segment::{Flags, Options, SackBlocks};
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::BTreeSet;

#[test]
fn pieces_are_worth_a_segment() {
    #[track_caller]
    fn check(ranges: &[(u32, u32)], len: u32, expected: &[(u32, u32)]) {
        let mut board = Scoreboard::new(SeqNumber(0));
        for &(left, right) in ranges {
            let (left, right) = (SeqNumber(left), SeqNumber(right));
            board.add(left, right, SeqNumber(100_000));
        }
        let recovery = Recovery {
            board: Some(Box::new(board)),
            ..Recovery::default()
        };
        let pieces = recovery.missing(SeqNumber(0), SeqNumber(len), 100);
        let pieces: Vec<_> = pieces
            .iter()
            .map(|piece| (piece.start, piece.end))
            .collect();
        assert_eq!(pieces, expected, "{ranges:?}");
    }
    check(&[], 100, &[(0, 100)]);
    check(&[(1, 100)], 100, &[(0, 100)]);
    check(&[(1, 1_000)], 1_000, &[(0, 100)]);
    check(&[(100, 900)], 1_000, &[(0, 100), (900, 1_000)]);
    check(&[(10, 20), (30, 40), (50, 60)], 100, &[(0, 100)]);
    check(
        &[(200, 210), (310, 900)],
        1_000,
        &[(0, 200), (210, 310), (900, 1_000)],
    );
}

/// What is heard, one ACK after the other: how far it reaches, up to where there are SACK blocks, how many duplicates were
/// counted before; and whether it counts, and whether something is asked for.
#[test]
fn each_loss_is_answered_once() {
    #[track_caller]
    fn check(
        recovery: &mut Recovery,
        una: u32,
        ack: u32,
        sack: Option<u32>,
        duplicates: u8,
    ) -> (bool, bool) {
        let mut segment = Segment {
            src_port: 1,
            dst_port: 2,
            seq: SeqNumber(0),
            ack: SeqNumber(ack),
            flags: Flags::ACK,
            window: 1_000,
            urgent: 0,
            options: Options::new(),
            payload: 0..0,
            checksum_ok: true,
        };
        if let Some(right) = sack {
            let block = (SeqNumber(ack + 100), SeqNumber(right));
            let blocks = SackBlocks::new([block]);
            segment.options.push(TcpOption::Sack(blocks));
        }
        let counts = recovery.hear(&Heard {
            now: Instant::ZERO,
            segment: &segment,
            una: SeqNumber(una),
            nxt: SeqNumber(10_000),
            duplicate: una == ack,
            duplicates,
            sack: sack.is_some(),
            mss: 100,
            rto: Duration::from_secs(1),
        });
        (counts, recovery.take_request())
    }
    // Without SACK: the third duplicate is smoltcp's business, an ACK of a part is ours.
    let mut recovery = Recovery::default();
    for duplicates in 0..3 {
        assert_eq!(check(&mut recovery, 0, 0, None, duplicates), (true, false));
    }
    assert_eq!(check(&mut recovery, 0, 100, None, 0), (true, true));
    assert_eq!(check(&mut recovery, 100, 10_000, None, 0), (true, false));
    // Up to there, duplicates may be due to what was sent twice.
    assert_eq!(
        check(&mut recovery, 10_000, 10_000, None, 2),
        (false, false)
    );
    // With SACK: what is no news does not count, and 201 bytes show a loss.
    let mut recovery = Recovery::default();
    assert_eq!(check(&mut recovery, 0, 0, Some(200), 0), (true, false));
    assert_eq!(check(&mut recovery, 0, 0, Some(200), 1), (false, false));
    assert_eq!(check(&mut recovery, 0, 0, Some(301), 1), (true, true));
    assert_eq!(check(&mut recovery, 0, 0, Some(400), 3), (true, false));
    // After a timeout all that was said is forgotten, and a third duplicate means nothing.
    recovery.timed_out(SeqNumber(10_000));
    assert!(!recovery.has_sacked());
    assert_eq!(check(&mut recovery, 0, 0, Some(900), 2), (false, false));
    assert!(recovery.has_sacked());
}

impl Recovery {
    /// RecoveryPoint of RFC 6675, section 5, during a recovery.
    fn point(&self) -> Option<SeqNumber> {
        match self.phase {
            Phase::Fast { point, .. } => Some(point),
            _ => None,
        }
    }
}

fn acknowledgment(ack: SeqNumber, blocks: &[(SeqNumber, SeqNumber)]) -> Segment {
    let sack = TcpOption::Sack(SackBlocks::new(blocks.iter().copied()));
    Segment {
        src_port: 1,
        dst_port: 2,
        seq: SeqNumber(0),
        ack,
        flags: Flags::ACK,
        window: 1_000,
        urgent: 0,
        options: [sack].into_iter().filter(|_| !blocks.is_empty()).collect(),
        payload: 0..0,
        checksum_ok: true,
    }
}

/// An ACK: how far it reaches into what is in flight, and its blocks; then how much is sent behind that.
type Told = (Option<Index>, Vec<(Chosen, Chosen)>, usize);

fn told() -> impl Strategy<Value = Told> {
    let blocks = prop::collection::vec((chosen(), chosen()), 0..4);
    (
        prop::option::weighted(0.4, any::<Index>()),
        blocks,
        0..500usize,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the peer says that it has, what is sent again is in flight, not said to be there, and within the window; and
    /// each octet is sent again once in a recovery.
    #[test]
    fn what_fills_holes_is_in_flight(
        origin in chosen(),
        told in prop::collection::vec(told(), 1..40),
        (mss, window) in (1..200u32, prop_oneof![0..1_000u32, any::<u32>()]),
    ) {
        let origin = origin.of(&[SeqNumber(0)]);
        let mut recovery = Recovery::default();
        // From the beginning: SND.UNA, SND.NXT, and what was sent again in this recovery.
        let (mut una, mut nxt, mut again) = (0, 1_000, BTreeSet::<u32>::new());
        let mut duplicates = 0;
        for (reach, blocks, sent) in told {
            let at = |place: usize| origin + place as u32;
            let ack = reach.map_or(una, |reach| una + reach.index(nxt - una + 1));
            let marks = [at(ack), at(nxt), at(ack + (nxt - ack) / 2)];
            let blocks: Vec<_> = blocks.iter().map(|(left, right)| (left.of(&marks), right.of(&marks))).collect();
            let segment = acknowledgment(at(ack), &blocks);
            let point = recovery.point();
            recovery.hear(&Heard {
                now: Instant::ZERO,
                segment: &segment,
                una: at(una),
                nxt: at(nxt),
                duplicate: ack == una && una != nxt,
                duplicates,
                sack: true,
                mss,
                rto: Duration::from_secs(1),
            });
            duplicates = if ack == una { duplicates.saturating_add(1) } else { 0 };
            una = ack;
            recovery.take_request();
            // One recovery may follow another at once.
            if recovery.point() != point {
                again.clear();
            }
            let is_fast = recovery.point().is_some();
            let filled = recovery.fill(at(una), at(nxt), window, mss);
            let flight = (nxt - una) as u32;
            prop_assert!(is_fast || filled.is_empty());
            for (seq, len) in filled {
                let from = seq.since(at(una));
                prop_assert!(0 < from && 0 < len && len <= mss && from + len <= flight.min(window));
                let board = recovery.board.as_deref().unwrap();
                let missing = board.missing(seq, seq + len);
                prop_assert_eq!(missing, std::iter::once(0..len).collect::<Vec<_>>());
                let mut octets = seq.since(origin)..seq.since(origin) + len;
                prop_assert!(octets.all(|octet| again.insert(octet)), "{:?} twice", seq);
            }
            if una == nxt {
                again.clear();
            }
            nxt += sent;
        }
    }

    /// What is left of a packet covers what is missing, in pieces that are worth it.
    #[test]
    fn pieces_cover_what_is_missing(
        una in any::<u32>(),
        blocks in prop::collection::vec((chosen(), chosen()), 0..20),
        (from, len, mss) in (0..2_000u32, 0..2_000u32, 1..300u32),
    ) {
        let una = SeqNumber(una);
        let mut board = Scoreboard::new(una);
        for (left, right) in blocks {
            let marks = [una, una + 1_000, una + 3_000];
            board.add(left.of(&marks), right.of(&marks), una + 3_000);
        }
        let (seq, end) = (una + from, una + from + len);
        let missing = board.missing(seq, end);
        let recovery = Recovery { board: Some(Box::new(board)), ..Recovery::default() };
        let pieces = recovery.missing(seq, end, mss);
        prop_assert!(pieces.windows(2).all(|pair| pair[0].end < pair[1].start));
        for range in missing {
            prop_assert!(pieces.iter().any(|piece| piece.start <= range.start && range.end <= piece.end));
        }
        for piece in pieces {
            prop_assert!(piece.end <= len && (piece.len() >= mss as usize || piece.end == len));
        }
    }

    /// Even if our own numbers were wrong.
    #[test]
    fn no_numbers_break_a_recovery(
        steps in prop::collection::vec(
            ((chosen(), 0..4_096u32, chosen()), prop::collection::vec((chosen(), chosen()), 0..4), any::<(bool, u8)>(), (any::<u32>(), any::<u16>())),
            1..30,
        ),
    ) {
        let mut recovery = Recovery::default();
        for ((una, flight, ack), blocks, (duplicate, duplicates), (window, mss)) in steps {
            let una = una.of(&[SeqNumber(0)]);
            // A send buffer has a limit.
            let nxt = una + flight;
            let ack = ack.of(&[una, nxt]);
            let blocks: Vec<_> = blocks.iter().map(|(left, right)| (left.of(&[ack, nxt]), right.of(&[ack, nxt]))).collect();
            recovery.hear(&Heard {
                now: Instant::ZERO,
                segment: &acknowledgment(ack, &blocks),
                una,
                nxt,
                duplicate,
                duplicates,
                sack: true,
                mss: mss.into(),
                rto: Duration::from_secs(1),
            });
            let filled = recovery.fill(una, nxt, window, u32::from(mss));
            prop_assert!(filled.len() <= 4_096);
            recovery.missing(ack, nxt, mss.into());
        }
    }
}
