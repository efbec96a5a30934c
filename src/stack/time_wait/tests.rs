use super::*;
use crate::segment::liar::chosen;
use crate::segment::{Origin, describe};
use proptest::prelude::*;

const SND_NXT: u32 = 5_000;
const RCV_NXT: u32 = 10;
const WINDOW: u16 = 100;

fn segment(flags: u16, seq: u32, len: usize) -> Segment {
    Segment {
        src_port: 50_000,
        dst_port: 7,
        seq: SeqNumber(seq),
        ack: SeqNumber(SND_NXT),
        flags: Flags(flags),
        window: 1,
        urgent: 0,
        options: Default::default(),
        payload: 40..40 + len,
        checksum_ok: true,
    }
}

/// The verdict in a word, after the numbers of its acknowledgment are checked.
fn judge(segment: &Segment) -> &'static str {
    let record = TimeWait {
        local: "192.0.2.2:7".parse().unwrap(),
        peer: "192.0.2.1:50000".parse().unwrap(),
        snd_nxt: SeqNumber(SND_NXT),
        rcv_nxt: SeqNumber(RCV_NXT),
        window: WINDOW,
        stamps: Stamps::default(),
    };
    let (packet, word) = match record.judge(Instant::ZERO, segment) {
        Verdict::Ignore => return "ignore",
        Verdict::Reopen => return "reopen",
        Verdict::Close => return "close",
        Verdict::Acknowledge(packet) => (packet, "acknowledge"),
        Verdict::AcknowledgeAndRestart(packet) => (packet, "restart"),
    };
    let described = describe(&packet);
    assert_eq!(
        described.notation(Origin::default()).to_string(),
        ". 5000:5000(0) ack 10 win 100"
    );
    word
}

#[test]
fn segments_are_judged() {
    const FIN: u16 = Flags::FIN.0;
    const SYN: u16 = Flags::SYN.0;
    const RST: u16 = Flags::RST.0;
    const ACK: u16 = Flags::ACK.0;
    let far = RCV_NXT.wrapping_add(1 << 31);
    #[rustfmt::skip]
    let rows = [
        // The FIN again, alone or with the data before it.
        (FIN | ACK, RCV_NXT - 1, 0, "restart"),
        (FIN | ACK, RCV_NXT - 6, 5, "restart"),
        (FIN | ACK, RCV_NXT, 0, "acknowledge"),
        // The ACK of our FIN again means nothing.
        (ACK, RCV_NXT, 0, "ignore"),
        // Old data, a keep-alive, data after the FIN.
        (ACK, RCV_NXT - 6, 5, "acknowledge"),
        (ACK, RCV_NXT - 1, 0, "acknowledge"),
        (ACK, RCV_NXT, 5, "acknowledge"),
        // RFC 1122, section 4.2.2.13: only a newer number reopens, and only where there is no ACK.
        (SYN, RCV_NXT + 1, 0, "reopen"),
        (SYN, RCV_NXT.wrapping_add((1 << 31) - 1), 0, "reopen"),
        (SYN, RCV_NXT, 0, "acknowledge"),
        (SYN, RCV_NXT - 1, 0, "acknowledge"),
        (SYN, far.wrapping_add(1), 0, "acknowledge"),
        (SYN | ACK, RCV_NXT + 1, 0, "acknowledge"),
        // RFC 5961, section 3.2.
        (RST, RCV_NXT, 0, "close"),
        (RST | ACK, RCV_NXT, 0, "close"),
        (RST, RCV_NXT + 1, 0, "acknowledge"),
        (RST, RCV_NXT + u32::from(WINDOW) - 1, 0, "acknowledge"),
        (RST, RCV_NXT + u32::from(WINDOW), 0, "ignore"),
        (RST, RCV_NXT - 1, 0, "ignore"),
    ];
    for (flags, seq, len, expected) in rows {
        let segment = segment(flags, seq, len);
        assert_eq!(judge(&segment), expected, "{segment:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// The rules one by one, in places from RCV.NXT on: the first half of the circle lies ahead, the other behind.
    #[test]
    fn any_segment_is_judged(
        (rcv_nxt, seq) in (any::<u32>(), chosen()),
        window in prop_oneof![Just(0u16), 0..3u16, any::<u16>()],
        (flags, len) in (0..0x200u16, prop_oneof![0..3usize, 0..2_000usize, Just(65_495)]),
        (recent, stamp) in (prop::option::of(any::<u32>()), prop::option::of(chosen())),
    ) {
        let rcv_nxt = SeqNumber(rcv_nxt);
        let seq = seq.of(&[rcv_nxt, rcv_nxt + u32::from(window), rcv_nxt - len as u32]);
        let stamped = |stamp: Option<u32>| stamp.map(|val| crate::segment::TcpOption::Timestamps { val, ecr: 0 });
        let stamp = stamp.map(|stamp| stamp.of(&[SeqNumber(recent.unwrap_or(0))]).0);
        let segment = Segment { options: stamped(stamp).into_iter().collect(), ..segment(flags, seq.0, len) };
        let mut stamps = Stamps::new(0);
        let syn = Segment { options: stamped(recent).into_iter().collect(), ..segment.clone() };
        stamps.synchronize(Instant::ZERO, &syn, true);
        let record = TimeWait {
            local: "192.0.2.2:7".parse().unwrap(),
            peer: "192.0.2.1:50000".parse().unwrap(),
            snd_nxt: SeqNumber(SND_NXT),
            rcv_nxt,
            window,
            stamps,
        };
        let place = (u64::from(seq.0) + (1 << 32) - u64::from(rcv_nxt.0)) % (1 << 32);
        let has = |flag: Flags| flags & flag.0 != 0;
        let numbers = len as u64 + u64::from(has(Flags::SYN)) + u64::from(has(Flags::FIN));
        let end = (place + numbers) % (1 << 32);
        let both = recent.zip(stamp).map(|(recent, stamp)| stamp.wrapping_sub(recent));
        let expected = match () {
            () if has(Flags::RST) && place == 0 => "close",
            () if has(Flags::RST) && place < window.into() => "acknowledge",
            () if has(Flags::RST) => "ignore",
            // Half the circle counts as both.
            () if has(Flags::SYN) && !has(Flags::ACK) => match both {
                Some(1..=0x8000_0000) => "reopen",
                Some(0) | None if (1..=1 << 31).contains(&place) => "reopen",
                _ => "acknowledge",
            },
            () if has(Flags::FIN) && end == 0 => "restart",
            () if numbers > 0 || place != 0 => "acknowledge",
            () => "ignore",
        };
        let judged = match record.judge(Instant::ZERO, &segment) {
            Verdict::Ignore => "ignore",
            Verdict::Reopen => "reopen",
            Verdict::Close => "close",
            Verdict::Acknowledge(_) => "acknowledge",
            Verdict::AcknowledgeAndRestart(_) => "restart",
        };
        prop_assert_eq!(judged, expected);
    }
}
