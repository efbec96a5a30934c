//! Timestamps (RFC 7323) and PAWS.

use tcplab::segment::{Flags, SeqNumber, TcpOption};

use crate::peer::{CHARGEN, DAYTIME, DISCARD, ECHO, PAUSE, Peer, Seen};
use crate::support::{ACK, FIN, PSH, RST, SYN};

/// MSS 1,460, SACK permitted, timestamps, window scale 7.
fn offer(val: u32) -> Vec<u8> {
    let mut options = vec![2, 4, 5, 180, 4, 2, 8, 10];
    options.extend(val.to_be_bytes());
    options.extend([0, 0, 0, 0, 1, 3, 3, 7]);
    options
}

/// TSval and TSecr of a segment that has them.
fn stamps(seen: &Seen) -> Option<(u32, u32)> {
    seen.segment.options.timestamps()
}

impl Peer<'_> {
    /// From now on segments have timestamps.
    fn stamp(&mut self, val: u32, ecr: u32) {
        self.options = vec![1, 1, 8, 10];
        self.options.extend(val.to_be_bytes());
        self.options.extend(ecr.to_be_bytes());
    }

    /// A connection with timestamps; the last that was echoed to it is `val`. Their first TSval.
    fn open_stamped(&mut self, port: u16, val: u32) -> u32 {
        let syn_ack = self.begin(port, &offer(val));
        let (theirs, ecr) = stamps(&syn_ack).expect("timestamps in the SYN-ACK");
        assert_eq!(ecr, val);
        self.stamp(val, theirs);
        self.send(ACK, 1, 1, b"");
        theirs
    }
}

/// Section 3.2: offered and answered in SYNs, "it MUST be sent in every non-<RST> segment" from then on; "TSecr is the
/// most recent TSval of the peer", by the rules of section 4.3.
pub(crate) fn timestamps_are_echoed(peer: &mut Peer<'_>) {
    let first = peer.open_stamped(ECHO, 1_000);
    peer.stamp(1_010, first);
    peer.send(PSH | ACK, 1, 1, b"hello");
    let mut last = first;
    for seen in peer.all(PAUSE) {
        let (val, ecr) = stamps(&seen).expect("timestamps in each segment");
        assert_eq!(ecr, 1_010);
        assert!(
            SeqNumber(last).at_or_before(SeqNumber(val)),
            "the clock goes back"
        );
        last = val;
    }
    // What lies behind a gap is not echoed.
    peer.stamp(1_050, last);
    peer.send(ACK, 100, 6, b"behind");
    let gap = peer.await_that("an ACK", |seen| seen.is_ack());
    assert_eq!(stamps(&gap).map(|(_, ecr)| ecr), Some(1_010));
    let sack = gap
        .segment
        .options
        .iter()
        .any(|option| matches!(option, TcpOption::Sack(_)));
    assert!(sack, "{:?}", gap.segment.options);
    peer.options.clear();
}

/// Without an offer there are none.
pub(crate) fn timestamps_are_not_forced_upon_anybody(peer: &mut Peer<'_>) {
    assert_eq!(stamps(&peer.open(ECHO)), None);
    peer.send(PSH | ACK, 1, 1, b"hello");
    assert!(peer.all(PAUSE).iter().all(|seen| stamps(seen).is_none()));
}

/// Section 5.3: a segment whose timestamp is older than the last one is not acceptable: it is acknowledged and dropped.
pub(crate) fn paws_drops_what_is_from_long_ago(peer: &mut Peer<'_>) {
    let theirs = peer.open_stamped(ECHO, 1_000_000);
    peer.echo(1, 1, b"hello");
    peer.all(PAUSE);
    peer.stamp(999_000, theirs);
    peer.send(PSH | ACK, 6, 6, b"from the last circle");
    let answer = peer.expect(". 6:6(0) ack 6");
    assert_eq!(stamps(&answer).map(|(_, ecr)| ecr), Some(1_000_000));
    // A reset counts without it.
    peer.send(RST, 6, 0, b"");
    peer.options.clear();
    peer.send(ACK, 6, 6, b"x");
    peer.await_that("a reset", |seen| seen.has(Flags::RST));
}

/// Section 4.2: the option takes its room in each segment.
pub(crate) fn segments_with_timestamps_are_not_too_long(peer: &mut Peer<'_>) {
    peer.open_stamped(CHARGEN, 1);
    let full = if peer.is_v6() { 1440 } else { 1460 };
    let data = peer.await_that("data", |seen| !seen.data.is_empty());
    assert_eq!(data.data.len(), full - 12);
    peer.send(RST, 1, 0, b"");
    peer.options.clear();
}

/// With timestamps three blocks of SACK are left.
pub(crate) fn three_gaps_are_told_beside_timestamps(peer: &mut Peer<'_>) {
    let theirs = peer.open_stamped(DISCARD, 1);
    peer.stamp(2, theirs);
    for island in 1..=4 {
        peer.send(ACK, island * 100, 1, b"x");
    }
    let last = peer.all(PAUSE).pop().expect("an ACK");
    let blocks = last.segment.options.iter().find_map(|option| match option {
        TcpOption::Sack(blocks) => Some(blocks.as_slice().len()),
        _ => None,
    });
    assert_eq!((blocks, stamps(&last).is_some()), (Some(3), true));
    peer.options.clear();
}

/// RFC 6191, section 2 (SHLD-4): in TIME-WAIT a SYN with a later timestamp opens, whatever its number; one with an older
/// does not.
pub(crate) fn timestamps_tell_a_new_syn_in_time_wait(peer: &mut Peer<'_>) {
    let theirs = peer.open_stamped(DAYTIME, 1_000_000);
    let fin = peer
        .await_that("the FIN", |seen| seen.has(Flags::FIN))
        .segment;
    let end = fin.end().since(SeqNumber(peer.irs())) as i32;
    peer.stamp(1_000_010, theirs);
    peer.send(FIN | ACK, 1, end, b"");
    peer.all(PAUSE);
    peer.options = offer(900_000);
    peer.send(SYN, 5_000, 0, b"");
    let answer = peer.await_that("an ACK", |_| true);
    assert!(answer.is_ack(), "{:?}", answer.segment);
    peer.all(PAUSE);
    peer.options.clear();
    peer.renumber(peer.iss().wrapping_sub(100_000));
    peer.syn(&offer(1_002_000));
    let syn_ack = peer.await_syn_ack();
    assert_eq!(stamps(&syn_ack).map(|(_, ecr)| ecr), Some(1_002_000));
}
