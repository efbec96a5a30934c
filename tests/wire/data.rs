//! Data both ways: acknowledgments, windows, retransmissions.

use std::time::Duration;

use tcplab::segment::{Flags, SeqNumber, TcpOption};

use crate::peer::{CHARGEN, DISCARD, ECHO, PASSWORD, PAUSE, Peer, Seen, Target, USUAL};
use crate::support::{ACK, PSH, RST};

/// A full segment of ours.
const FULL: usize = 1400;

/// MUST-61: "the last buffered segment" has PSH, as there is no PUSH flag in our SEND call.
pub(crate) fn the_last_segment_is_pushed(peer: &mut Peer<'_>) {
    peer.open(ECHO);
    peer.send(PSH | ACK, 1, 1, b"hello");
    let back = peer.await_that("the echo", |seen| !seen.data.is_empty());
    assert!(back.has(Flags::PSH));
}

/// SHLD-19: "An ACK SHOULD be generated for at least every second full-sized segment or 2*RMSS bytes of new data (where
/// RMSS is the MSS specified by the TCP endpoint receiving the segments to be acknowledged [...])": it is the MSS of the
/// receiver that counts, not that of the sender.
pub(crate) fn every_second_full_segment_is_acknowledged(peer: &mut Peer<'_>) {
    let full = if peer.is_v6() { 1440 } else { 1460 };
    for mss in [1460u16, 9_000, 536] {
        let [high, low] = mss.to_be_bytes();
        peer.open_with(DISCARD, &[2, 4, high, low, 1, 1, 4, 2, 1, 3, 3, 7]);
        for index in 0..12 {
            peer.send(ACK, 1 + index * full, 1, &vec![b'x'; full as usize]);
        }
        let acks = peer.all(PAUSE);
        peer.fail_unless(
            acks.len() >= 6,
            &format!("{} ACKs with an MSS of {mss}", acks.len()),
        );
        let end = SeqNumber(peer.iss().wrapping_add(1 + 12 * full as u32));
        assert_eq!(acks.last().unwrap().segment.ack, end);
    }
}

/// MUST-40: "the delay MUST be less than 0.5 seconds".
pub(crate) fn a_lone_segment_is_acknowledged_soon(peer: &mut Peer<'_>) {
    peer.open(DISCARD);
    peer.send(ACK, 1, 1, b"x");
    let ack = peer_next(peer, 499);
    peer.fail_unless(ack.is_some_and(|seen| seen.is_ack()), "no ACK in time");
}

fn peer_next(peer: &mut Peer<'_>, millis: u64) -> Option<Seen> {
    // A machine under load is not the TCP's fault.
    let slack = if peer.target() == Target::Tcplab {
        1
    } else {
        4
    };
    peer.next(Duration::from_millis(millis * slack))
}

/// RFC 5681, section 4.2: "A TCP receiver SHOULD send an immediate duplicate ACK when an out-of-order segment arrives",
/// and "an immediate ACK when the incoming segment fills in all or part of a gap".
pub(crate) fn gaps_are_told_at_once(peer: &mut Peer<'_>) {
    peer.open_with(DISCARD, &[2, 4, 5, 180]);
    peer.send(ACK, 11, 1, b"0123456789");
    peer.expect(". 1:1(0) ack 1");
    peer.send(ACK, 21, 1, b"0123456789");
    peer.expect(". 1:1(0) ack 1");
    peer.send(ACK, 1, 1, b"0123456789");
    peer.expect(". 1:1(0) ack 31");
}

/// RFC 2018, section 4: "the first SACK block [...] MUST specify the contiguous block of data containing the segment
/// which triggered this ACK", "the data receiver SHOULD include as many distinct SACK blocks as possible", "the most
/// recently reported first".
pub(crate) fn sack_tells_four_gaps_the_newest_first(peer: &mut Peer<'_>) {
    peer.open(DISCARD);
    let block = |index: i32| (100 * index, 100 * index + 10);
    for last in 1..=5 {
        peer.send(ACK, block(last).0, 1, b"0123456789");
        let expected: Vec<_> = (1..=last).rev().take(4).map(block).collect();
        assert_eq!(sack(peer), (1, expected), "after island {last}");
    }
    // An older island grows: it comes first.
    peer.send(ACK, 210, 1, b"0123456789");
    assert_eq!(
        sack(peer),
        (1, vec![(200, 220), block(5), block(4), block(3)])
    );
    // The gap between two closes.
    peer.send(ACK, 310, 1, &[b'x'; 90]);
    let (ack, blocks) = sack(peer);
    assert_eq!(
        (ack, &blocks[..3]),
        (1, &[(300, 410), (200, 220), block(5)][..])
    );
    // Linux forgets the oldest of five, and does not find it again.
    assert!(peer.target() == Target::Linux || blocks[3..] == [block(1)]);
    // The first gap closes: the first island is acknowledged.
    peer.send(ACK, 1, 1, &[b'x'; 99]);
    let (ack, blocks) = sack(peer);
    assert_eq!(ack, 110);
    peer.fail_unless(
        blocks.len() == 3 && !blocks.contains(&block(1)),
        "an island too many",
    );
    peer.send(ACK, 110, 1, &[b'x'; 400]);
    let (ack, blocks) = sack(peer);
    // Linux tells what came twice (RFC 2883).
    assert!(
        ack == 510 && (peer.target() == Target::Linux || blocks.is_empty()),
        "{blocks:?}"
    );
}

/// The acknowledgment number of the next segment, and the blocks of its SACK option.
#[track_caller]
fn sack(peer: &mut Peer<'_>) -> (i32, Vec<(i32, i32)>) {
    let seen = peer.await_that("an ACK", |seen| seen.is_ack());
    let since = |number: SeqNumber| number.since(SeqNumber(peer.iss())) as i32;
    let blocks = seen.segment.options.iter().find_map(|option| match option {
        TcpOption::Sack(blocks) => Some(
            blocks
                .as_slice()
                .iter()
                .map(|&(l, r)| (since(l), since(r)))
                .collect(),
        ),
        _ => None,
    });
    (since(seen.segment.ack), blocks.unwrap_or_default())
}

/// SACK blocks go to those only who permit them.
pub(crate) fn without_permission_there_is_no_sack(peer: &mut Peer<'_>) {
    peer.open_with(DISCARD, &[2, 4, 5, 180]);
    peer.send(ACK, 100, 1, b"x");
    assert_eq!(sack(peer), (1, vec![]));
}

/// RFC 9293, section 3.10.7.4: what was received before is acknowledged again, and the new part of a segment counts.
pub(crate) fn overlapping_segments_are_trimmed(peer: &mut Peer<'_>) {
    peer.open(ECHO);
    peer.echo(1, 1, b"hello");
    peer.send(PSH | ACK, 1, 6, b"hello");
    peer.await_text(". 6:6(0) ack 6");
    peer.send(PSH | ACK, 3, 6, b"llo world");
    let back = peer.await_that("the echo", |seen| !seen.data.is_empty());
    assert_eq!(back.data, b" world");
}

/// Data beyond the window is not taken.
pub(crate) fn nothing_beyond_the_window_is_taken(peer: &mut Peer<'_>) {
    peer.open(ECHO);
    peer.send(PSH | ACK, 50_000_000, 1, b"far away");
    peer.expect(". 1:1(0) ack 1");
    peer.echo(1, 1, b"near");
}

/// RFC 9293, section 3.10.7.4: a window counts where SND.WL1 and SND.WL2 say that its segment is newer.
pub(crate) fn an_older_window_does_not_replace_a_newer_one(peer: &mut Peer<'_>) {
    peer.window = 0;
    peer.open(CHARGEN);
    peer.all(PAUSE);
    peer.send(ACK, 101, 1, b"");
    peer.window = 65_535;
    // It left before: its number is lower.
    peer.send(ACK, 1, 1, b"");
    let seen = peer.all(PAUSE);
    let sent: usize = seen.iter().map(|seen| seen.data.len()).sum();
    peer.fail_unless(sent <= 1, "it sends into a window of zero");
}

/// MUST-36, MUST-37: a shut window is probed for as long as the probes are answered, with growing pauses (SHLD-30), and
/// data flows once it opens.
pub(crate) fn a_shut_window_is_probed(peer: &mut Peer<'_>) {
    peer.window = 0;
    peer.open(CHARGEN);
    // SHLD-29: "The transmitting host SHOULD send the first zero-window probe when a zero window has existed for the
    // retransmission timeout period".
    peer.expect_nothing_for(PAUSE / 2);
    for _ in 0..3 {
        let probe = peer.await_that("a probe", |_| true);
        // Linux probes with a number that was acknowledged long ago.
        peer.fail_unless(probe.data.len() <= 1, "a probe of more than a byte");
        peer.send(ACK, 1, 1, b"");
    }
    peer.window = 65_535;
    peer.send(ACK, 1, 1, b"");
    peer.await_that("data", |seen| seen.data.len() > 500);
}

/// Section 3.8.6.1: "When the receiving TCP peer has a zero window and a segment arrives, the receiver must still send an
/// acknowledgment". Linux probes without data, and more than once a second; of what looks like it, and is no probe, so much
/// is answered as of challenges.
pub(crate) fn probes_without_data_are_answered(peer: &mut Peer<'_>) {
    peer.open(ECHO);
    // Linux answers two a second at most (tcp_invalid_ratelimit).
    let count = match peer.target() {
        Target::Linux => 1,
        _ => 3,
    };
    for _ in 0..count {
        peer.send(ACK, 0, 1, b"");
        peer.expect(". 1:1(0) ack 1");
    }
}

/// MUST-34: "a sending TCP peer MUST be robust against window shrinking"; SHLD-15: nothing new is sent; SHLD-16: what
/// lies within the window is sent again.
pub(crate) fn a_window_may_shrink(peer: &mut Peer<'_>) {
    peer.open(CHARGEN);
    let first = peer.await_that("data", |seen| !seen.data.is_empty());
    peer.all(PAUSE);
    let len = first.data.len() as i32;
    // In units of 128 bytes: not even what is in flight.
    peer.window = 1;
    peer.send(ACK, 1, 1 + len, b"");
    for seen in peer.all(PAUSE) {
        let ahead = seen
            .segment
            .seq
            .since(SeqNumber(peer.irs()) + 1 + len as u32);
        peer.fail_unless(
            seen.data.is_empty() || ahead < 128,
            "it sends beyond the window",
        );
    }
    peer.window = 500;
    peer.send(ACK, 1, 1 + len, b"");
    peer.await_that("the rest", |seen| {
        seen.segment.seq == SeqNumber(peer_irs(&first)) && !seen.data.is_empty()
    });
}

fn peer_irs(first: &Seen) -> u32 {
    first.segment.end().0
}

/// MUST-38, RFC 9293, section 3.8.6.2.1: with nothing but a small part of the window usable, and more than that to send,
/// the sender waits.
pub(crate) fn the_sender_avoids_silly_windows(peer: &mut Peer<'_>) {
    let first = peer.open_chargen_and_take();
    // All is acknowledged, and the window opens by 256 bytes of 8 MiB.
    peer.window = 2;
    peer.send(ACK, 1, first, b"");
    peer.expect_nothing_for(PAUSE / 2);
    // Neither do small steps move it.
    peer.window = 4;
    peer.send(ACK, 1, first, b"");
    peer.expect_nothing_for(PAUSE / 2);
    // (4): "the override timeout occurs": it is sent in the end.
    let late = peer.await_that("data", |seen| !seen.data.is_empty());
    peer.fail_unless(late.data.len() <= 512, "more than the window");
    peer.window = 60_000;
    peer.send(ACK, 1, first, b"");
    peer.await_that("a full segment", |seen| seen.data.len() >= FULL);
}

/// SHLD-7, RFC 9293, section 3.7.4: while something small is unacknowledged, more small data waits.
pub(crate) fn small_segments_wait_for_acknowledgments(peer: &mut Peer<'_>) {
    peer.open(ECHO);
    peer.send(PSH | ACK, 1, 1, b"a");
    peer.await_that("the echo", |seen| seen.data == b"a");
    peer.send(PSH | ACK, 2, 1, b"b");
    peer.send(PSH | ACK, 3, 1, b"c");
    let early = peer
        .all(PAUSE / 2)
        .into_iter()
        .filter(|seen| seen.segment.end().since(SeqNumber(peer.irs())) > 2);
    // Where the acknowledgment is late, Linux asks for it with new data (tail loss probe, RFC 8985, section 7.3).
    let is_probe = peer.target() == Target::Linux;
    peer.fail_unless(early.count() == 0 || is_probe, "Nagle's algorithm is off");
    peer.send(ACK, 4, 2, b"");
    let irs = SeqNumber(peer.irs());
    let rest = peer.await_that("the rest", |seen| seen.segment.end().since(irs) > 2);
    assert_eq!(rest.data, b"bc");
}

/// RFC 6298 and RFC 5681: what is not acknowledged is sent again, one segment for the first timeout, the next after twice
/// the time; and all that was lost comes in the end.
pub(crate) fn after_a_timeout_one_segment_is_sent_again(peer: &mut Peer<'_>) {
    peer.open(CHARGEN);
    peer.await_that("data", |seen| !seen.data.is_empty());
    peer.all(Duration::from_millis(100));
    let again = peer.await_that("the first segment again", |seen| {
        seen.segment.seq == SeqNumber(seen_start(seen)) && !seen.data.is_empty()
    });
    let start = again.segment.seq;
    let behind = peer.all(Duration::from_millis(150));
    peer.fail_unless(behind.len() <= 1, "the whole flight was sent again");
    let end = again.segment.end().since(SeqNumber(peer.irs())) as i32;
    peer.send(ACK, 1, end, b"");
    let next = peer.await_that("the next one again", |seen| !seen.data.is_empty());
    assert!(start.before(next.segment.seq));
}

fn seen_start(seen: &Seen) -> u32 {
    seen.segment.seq.0
}

/// RFC 5681, section 3.2: "After receiving 3 duplicate ACKs, TCP performs a retransmission of what appears to be the
/// missing segment, without waiting for the retransmission timer to expire."
pub(crate) fn three_duplicate_acks_bring_the_segment_again(peer: &mut Peer<'_>) {
    peer.open_with(CHARGEN, &[2, 4, 5, 180]);
    // The congestion window must have room for so many in flight.
    let end = peer.take_for(10);
    let flight = peer.all(PAUSE / 2);
    peer.fail_unless(flight.len() >= 4, "not enough in flight");
    for _ in 0..3 {
        peer.send(ACK, 1, end, b"");
    }
    // Linux may send something new first (RFC 3042).
    let una = SeqNumber(peer.irs().wrapping_add(end as u32));
    let again = peer.all(PAUSE).iter().any(|seen| seen.segment.seq == una);
    peer.fail_unless(again, "the segment did not come again");
}

/// MUST-66: "A TCP receiver MUST process the RST and URG fields of all incoming segments, even when the receive window
/// is zero"; and RFC 9293, section 3.10.7.4: "special allowance should be made to accept valid ACKs".
pub(crate) fn with_our_window_shut_acks_and_resets_count(peer: &mut Peer<'_>) {
    // The password service reads no more than a line.
    peer.open(PASSWORD);
    let prompt = peer.await_that("the prompt", |seen| !seen.data.is_empty());
    let end = 1 + prompt.data.len() as i32;
    peer.send(ACK, 1, end, b"");
    peer.expect_nothing();
    peer.send(RST, 1, 0, b"");
    peer.send(ACK, 1, end, b"x");
    peer.expect(&format!("R {end}:{end}(0)"));
}

/// MUST-6 and MUST-7: unknown options are ignored, and one with an illegal length hurts nobody.
pub(crate) fn odd_options_are_survived(peer: &mut Peer<'_>) {
    peer.open_with(
        ECHO,
        &[2, 4, 5, 180, 253, 4, 1, 2, 1, 1, 1, 254, 4, 9, 9, 0],
    );
    let odd: [&[u8]; 5] = [
        &[253, 4, 1, 2],
        &[254, 8, 1, 2, 3, 4, 5, 6],
        // MUST-64: not on a word boundary.
        &[1, 253, 3, 9],
        &[2, 4, 5, 180],
        &[0, 9, 9, 9],
    ];
    let mut seq = 1;
    for options in odd {
        peer.options = options.to_vec();
        peer.echo(seq, seq, b"odd");
        seq += 3;
    }
    for options in [
        [253, 0, 1, 1],
        [253, 1, 1, 1],
        [253, 200, 1, 1],
        [3, 1, 0, 0],
    ] {
        peer.options = options.to_vec();
        peer.send(PSH | ACK, seq, seq, b"bad");
        peer.all(PAUSE);
    }
    peer.options.clear();
    peer.send(PSH | ACK, seq, seq, b"badbadbadbadgood");
    let end = SeqNumber(peer.iss().wrapping_add_signed(seq)) + 16;
    peer.await_that("an ACK", |seen| seen.segment.ack == end);
}

/// MUST-3: a segment with a wrong checksum never arrived.
pub(crate) fn a_wrong_checksum_is_ignored(peer: &mut Peer<'_>) {
    peer.open(ECHO);
    let mut packet = peer.segment(PSH | ACK, 1, 1, b"wrong").packet();
    *packet.last_mut().unwrap() ^= 1;
    peer.send_packet(packet);
    peer.expect_nothing();
    peer.echo(1, 1, b"right");
}

/// The urgent pointer changes nothing about the data around it. (Linux takes the urgent byte out of the stream unless
/// SO_OOBINLINE is set, so what comes back is not looked at.)
pub(crate) fn urgent_data_hurts_nobody(peer: &mut Peer<'_>) {
    const URG: u8 = 0x20;
    peer.open(ECHO);
    peer.send(URG | PSH | ACK, 1, 1, b"urgent");
    let back = peer.await_that("the echo", |seen| !seen.data.is_empty());
    peer.send(ACK, 7, 1 + back.data.len() as i32, b"");
    peer.all(PAUSE);
    let mut odd = peer.segment(URG | ACK, 7, 1, b"").packet();
    let len = odd.len();
    odd[len - 1] = 0xff;
    peer.send_packet(odd);
    peer.send(PSH | ACK, 7, 1 + back.data.len() as i32, b"more");
    let end = SeqNumber(peer.iss()) + 11;
    peer.await_that("an ACK", |seen| seen.segment.ack == end);
}

/// A segment without ACK in a connection is dropped.
pub(crate) fn without_ack_nothing_counts(peer: &mut Peer<'_>) {
    peer.open(ECHO);
    for flags in [0, PSH, 1] {
        peer.send(flags, 1, 0, b"no ACK");
    }
    peer.expect_nothing();
    peer.echo(1, 1, b"with ACK");
}

/// Everything arrives once and in order, across the end of the circle of numbers.
pub(crate) fn bulk_crosses_the_end_of_the_circle(peer: &mut Peer<'_>) {
    peer.open(CHARGEN);
    let end = peer.take_for(40);
    assert!(end > 40 * 500);
    let answer = peer.await_that("more", |seen| !seen.data.is_empty());
    assert!(answer.has(Flags::ACK));
    peer.send(RST, 1, 0, b"");
}

impl Peer<'_> {
    #[track_caller]
    pub(crate) fn fail_unless(&self, holds: bool, why: &str) {
        if !holds {
            self.fail(why);
        }
    }

    /// Takes and acknowledges so many segments of data in order; the number of the next.
    pub(crate) fn take_for(&mut self, segments: usize) -> i32 {
        let mut end = 1;
        let mut taken = 0;
        while taken < segments {
            let seen = self.await_that("data", |seen| !seen.data.is_empty());
            if seen.segment.seq == SeqNumber(self.irs().wrapping_add(end as u32)) {
                end += seen.data.len() as i32;
                taken += 1;
                self.send(ACK, 1, end, b"");
            }
        }
        end
    }

    /// Data without end comes, and all that is in flight is taken; the number of the next.
    fn open_chargen_and_take(&mut self) -> i32 {
        self.open_with(CHARGEN, USUAL);
        let mut end = 1;
        for seen in self.all(PAUSE / 2) {
            end = end.max(seen.segment.end().since(SeqNumber(self.irs())) as i32);
        }
        end
    }
}
