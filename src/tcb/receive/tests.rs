use super::*;
use crate::event::Opening;
use crate::segment::Options;
use crate::state::TcpState;
use crate::tcb::{Tcb, Verdict};
use proptest::prelude::*;
use smoltcp::time::Instant;

/// Where RCV.NXT is: any place of the circle, its end among them.
fn places() -> impl Strategy<Value = SeqNumber> {
    let near_the_end = (0..10_000u32).prop_map(|off| u32::MAX - off);
    prop_oneof![any::<u32>(), near_the_end, Just(0)].prop_map(SeqNumber)
}

/// Distances from RCV.NXT, as plain numbers: near it, near the edge, and on the far side of the circle.
fn distances(window: u32) -> impl Strategy<Value = u32> {
    let near = prop::sample::select(vec![0i64, 1, -1, 1_460, -1_460, 40, -40]);
    let far = vec![
        0,
        window,
        (1 << 31) - 1,
        1 << 31,
        (1 << 31) + 1,
        u32::MAX,
        1 << 30,
    ];
    let around = (prop::sample::select(far), near)
        .prop_map(|(far, near)| (i64::from(far) + near).rem_euclid(1 << 32) as u32);
    prop_oneof![around, any::<u32>(), 0..=window.saturating_add(2_000)]
}

/// A connection whose peer may send `window` bytes from `rcv_nxt` on.
fn tcb(rcv_nxt: SeqNumber, window: u32, finished: bool) -> Tcb {
    let mut tcb = Tcb::new(
        Instant::ZERO,
        Opening::Passive,
        SeqNumber(0),
        262_144,
        false,
        1_460,
        None,
    );
    tcb.snd.nxt = SeqNumber(1);
    tcb.snd.acknowledge(SeqNumber(1));
    tcb.snd.wnd = 1_000;
    let rcv = &mut tcb.rcv;
    (rcv.irs, rcv.nxt, rcv.finished) = (Some(rcv_nxt - 1), rcv_nxt, finished);
    (rcv.edge, rcv.socket_edge) = (Some(rcv_nxt + window), Some(rcv_nxt + window));
    tcb
}

/// What becomes of a segment in the state that `tcb` says.
fn judge(tcb: &mut Tcb, segment: &Segment) -> Verdict {
    let state = match tcb.rcv.finished {
        true => TcpState::CloseWait,
        false => TcpState::Established,
    };
    tcb.judge(Instant::ZERO, segment, state, 0)
}

fn segment(seq: SeqNumber, len: usize, fin: bool) -> Segment {
    let fin = if fin { Flags::FIN.0 } else { 0 };
    Segment {
        src_port: 1,
        dst_port: 2,
        seq,
        ack: SeqNumber(1),
        flags: Flags(Flags::ACK.0 | fin),
        window: 1_000,
        urgent: 0,
        options: Options::new(),
        payload: 40..40 + len,
        checksum_ok: true,
    }
}

/// Table 6 of RFC 9293, number by number: which of those that a segment occupies lie in the window. One that occupies
/// none counts as the number it names.
fn accepts(distance: u32, len: usize, fin: bool, window: u32) -> bool {
    let numbers = len as u64 + u64::from(fin);
    let inside = |offset: u64| (u64::from(distance) + offset) % (1 << 32) < u64::from(window);
    match (numbers, window) {
        (0, 0) => distance == 0,
        (0, _) => inside(0),
        (1, 0) if len == 0 => distance == 0,
        (_, 0) => false,
        _ => inside(0) || inside(numbers - 1),
    }
}

proptest! {
    #[test]
    fn what_is_acceptable_is_what_table_6_says(
        rcv_nxt in places(),
        (window, distance) in prop_oneof![Just(0u32), 1..100u32, Just(262_144u32), Just(1 << 30)]
            .prop_flat_map(|window| (Just(window), distances(window))),
        len in prop::sample::select(vec![0usize, 1, 40, 1_460, 65_495]),
        fin in any::<bool>(),
    ) {
        let known = tcb(rcv_nxt, window, false).rcv;
        let segment = segment(rcv_nxt + distance, len, fin);
        prop_assert_eq!(known.accepts(&segment), accepts(distance, len, fin, window));
        // What smoltcp gets in the place of one that is not is not acceptable either, and has nothing new.
        let old = known.old(&segment, len % 2 == 0);
        prop_assert!(!known.accepts(&old));
        prop_assert!(old.end().at_or_before(rcv_nxt));
        // The acknowledgment in it always is.
        if let Some(bare) = known.acknowledgment_in(&segment) {
            prop_assert!(known.is_bare(&bare));
            prop_assert!(distance <= window);
        }
    }

    /// Byte by byte: smoltcp gets those in the window, and no others.
    #[test]
    fn smoltcp_gets_what_lies_in_the_window(
        rcv_nxt in places(),
        (window, distance) in prop_oneof![Just(0u32), 1..3_000u32, Just(262_144u32)]
            .prop_flat_map(|window| (Just(window), distances(window))),
        len in prop::sample::select(vec![0usize, 1, 2, 40, 1_460, 4_000]),
        fin in any::<bool>(),
        finished in any::<bool>(),
    ) {
        let mut tcb = tcb(rcv_nxt, window, finished);
        let segment = segment(rcv_nxt + distance, len, fin);
        let given = match judge(&mut tcb, &segment) {
            Verdict::Pass => segment.clone(),
            Verdict::Instead(changed) => changed,
            Verdict::Unacceptable(_) => {
                prop_assert!(!tcb.rcv.accepts(&segment));
                return Ok(());
            }
            Verdict::Ignore | Verdict::Challenge | Verdict::Again => return Ok(()),
        };
        prop_assert!(tcb.rcv.accepts(&segment));
        let expected = (40..40 + len).filter(|index| {
            let place = (u64::from(distance) + (index - 40) as u64) % (1 << 32);
            place < u64::from(window) && !finished
        });
        prop_assert_eq!(given.payload.clone().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        if !given.payload.is_empty() {
            let cut = (given.payload.start - 40) as u32;
            prop_assert_eq!(given.seq, segment.seq + cut);
        }
        // A FIN counts where all that comes before it is, or lies in the window.
        if given.flags.contains(Flags::FIN) {
            let end = (u64::from(distance) + len as u64) % (1 << 32);
            prop_assert!(fin && !finished && end <= u64::from(window));
        }
    }
}

/// What becomes of text that contradicts a FIN, whichever comes first.
#[test]
fn nothing_follows_a_fin() {
    let rcv_nxt = SeqNumber(u32::MAX - 100);
    let judge = |tcb: &mut Tcb, segment: &Segment| match judge(tcb, segment) {
        Verdict::Pass => segment.clone(),
        Verdict::Instead(changed) => changed,
        verdict => panic!("{verdict:?}"),
    };
    let fresh = || tcb(rcv_nxt, 10_000, false);
    // Text behind the gap, and then a FIN in the middle of it.
    let mut tcb = fresh();
    judge(&mut tcb, &segment(rcv_nxt + 50, 1_000, false));
    let given = judge(&mut tcb, &segment(rcv_nxt, 500, true));
    assert_eq!((given.flags, given.payload), (Flags::ACK, 40..540));
    assert!(!tcb.rcv.holds_fin());
    // The FIN behind the gap, and then text that goes on behind it.
    let mut tcb = fresh();
    judge(&mut tcb, &segment(rcv_nxt + 500, 100, true));
    assert!(tcb.rcv.holds_fin());
    let given = judge(&mut tcb, &segment(rcv_nxt + 100, 1_000, false));
    assert_eq!((given.seq, given.payload), (rcv_nxt + 100, 40..540));
    let given = judge(&mut tcb, &segment(rcv_nxt + 700, 1_000, false));
    assert!(given.payload.is_empty());
    // The FIN again is no contradiction.
    let given = judge(&mut tcb, &segment(rcv_nxt + 500, 100, true));
    assert_eq!(given.payload, 40..140);
    assert!(tcb.rcv.holds_fin());
}
