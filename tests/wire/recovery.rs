//! What is sent again after a loss, and what is not (RFC 5681, RFC 6582, RFC 2018, RFC 6675).

use std::time::Duration;

use tcplab::segment::{Flags, SeqNumber};

use crate::peer::{CHARGEN, DAYTIME, ECHO, Peer, Seen, USUAL};
use crate::support::{ACK, FIN, PSH};

/// For how long a flight arrives: Linux asks for an acknowledgment soon after it (RFC 8985, section 7).
const FLIGHT: Duration = Duration::from_millis(20);
/// Before any retransmission timeout, also that of Linux.
const SOON: Duration = Duration::from_millis(100);

/// A range of relative sequence numbers.
type Numbers = (i32, i32);

/// RFC 6675, section 5: after three duplicate ACKs only what the peer does not have is sent again.
pub(crate) fn duplicate_acks_bring_the_holes_only(peer: &mut Peer<'_>) {
    let flight = in_flight(peer, USUAL);
    let (holes, have) = lose(&flight);
    // The segments that arrive are told one by one.
    for count in 1..=have.len() {
        tell(peer, holes[0].0, &have[..count]);
    }
    let mut again = repeated(peer, &flight);
    peer.fail_unless(again.contains(&holes[0].0), "the first hole is not filled");
    // RFC 6582, section 3.2: with each ACK of a part, "retransmit the first unacknowledged segment".
    for hole in &holes[1..] {
        tell(peer, hole.0, after(&have, hole.0));
        again.extend(repeated(peer, &flight));
        peer.fail_unless(again.contains(&hole.0), "a further hole is not filled");
    }
    let extra = again
        .iter()
        .any(|seq| !holes.iter().any(|hole| hole.0 == *seq));
    peer.fail_unless(!extra, "something that has arrived is sent again");
    all_goes_on(peer, &flight);
}

/// Section 5, step (C): where a round trip takes long, holes are filled as the pipe has room, before anything of what was
/// sent again is acknowledged; and none is filled twice.
pub(crate) fn holes_are_filled_within_a_round_trip(peer: &mut Peer<'_>) {
    let flight = far_flight(peer);
    let holes: Vec<Numbers> = [0, 3, 5, 6].map(|index| flight[index]).to_vec();
    let have = flight.iter().copied();
    let have: Vec<Numbers> = have.filter(|numbers| !holes.contains(numbers)).collect();
    for count in 1..=have.len() {
        tell(peer, holes[0].0, &have[..count]);
    }
    let mut again = repeated(peer, &flight);
    let filled = |again: &[i32]| holes.iter().all(|hole| again.contains(&hole.0));
    peer.fail_unless(filled(&again), "not all holes are filled");
    // They arrive one after the other.
    for hole in &holes[1..] {
        tell(peer, hole.0, after(&have, hole.0));
        again.extend(repeated(peer, &flight));
    }
    again.sort_unstable();
    let expected: Vec<i32> = holes.iter().map(|hole| hole.0).collect();
    peer.fail_unless(
        again == expected,
        "something is sent again that is under way",
    );
    all_goes_on(peer, &flight);
}

/// The pipe has room for no more than the congestion window after the loss: most of a flight that is lost is not sent again at
/// once.
pub(crate) fn holes_are_filled_no_faster_than_the_pipe_allows(peer: &mut Peer<'_>) {
    let flight = far_flight(peer);
    let have = &flight[flight.len() - 3..];
    tell(peer, flight[0].0, &[(have[0].0, have[2].1)]);
    let again = repeated(peer, &flight);
    let most = flight.len() * 8 / 10;
    peer.fail_unless(again.len() <= most, "more than the congestion window");
    let first = again.contains(&flight[0].0);
    peer.fail_unless(first, "the first hole is not filled");
    all_goes_on(peer, &flight);
}

/// RFC 6675, section 5: "enough octets above SND.UNA are SACKed" in a single ACK where those before it got lost.
pub(crate) fn one_ack_may_show_a_loss(peer: &mut Peer<'_>) {
    let flight = in_flight(peer, USUAL);
    let have = &flight[1..];
    tell(peer, flight[0].0, &[(have[0].0, have[have.len() - 1].1)]);
    let again = repeated(peer, &flight);
    assert_eq!(again, [flight[0].0]);
    all_goes_on(peer, &flight);
}

/// RFC 6675, section 5.1: "a TCP sender SHOULD use this SACK information when determining what data should be sent in each
/// segment following an RTO."
pub(crate) fn a_timeout_brings_the_holes_only(peer: &mut Peer<'_>) {
    let flight = in_flight(peer, USUAL);
    let (holes, have) = lose(&flight);
    for hole in &holes {
        await_segment(peer, hole.0);
        // Whatever is sent along with it, nothing before the acknowledgment tells more.
        peer.all(Duration::from_millis(10));
        let next = holes.iter().find(|next| hole.0 < next.0);
        let Some(next) = next else { break };
        tell(peer, next.0, after(&have, next.0));
    }
    let extra = repeated(peer, &flight);
    peer.fail_unless(
        !extra
            .iter()
            .any(|seq| have.iter().any(|have| have.0 == *seq)),
        "something that has arrived is sent again",
    );
    all_goes_on(peer, &flight);
}

/// RFC 6582, section 3.2: without SACK, an ACK of a part has the next segment sent again, without a timeout.
pub(crate) fn an_ack_of_a_part_brings_the_next_segment(peer: &mut Peer<'_>) {
    let flight = in_flight(peer, &[2, 4, 5, 180]);
    let (holes, have) = lose(&flight);
    for _ in 0..have.len().min(5) {
        tell(peer, holes[0].0, &[]);
    }
    let again = repeated(peer, &flight);
    peer.fail_unless(again.contains(&holes[0].0), "no fast retransmit");
    for hole in &holes[1..] {
        tell(peer, hole.0, &[]);
        let again = repeated(peer, &flight);
        peer.fail_unless(
            again.contains(&hole.0),
            "the next segment waits for a timeout",
        );
    }
    all_goes_on(peer, &flight);
}

/// RFC 6582, section 3.2: "the incoming acknowledgment acknowledges more than what was sent again": that is passed over.
pub(crate) fn an_ack_beyond_what_was_sent_again_is_passed_to(peer: &mut Peer<'_>) {
    let flight = in_flight(peer, &[2, 4, 5, 180]);
    await_segment(peer, flight[0].0);
    tell(peer, flight[3].0, &[]);
    let again = peer.all(SOON);
    let back =
        |seen: &Seen| relative(peer, seen.segment.seq) < flight[3].0 && !seen.data.is_empty();
    peer.fail_unless(
        !again.iter().any(back),
        "it goes back to what is acknowledged",
    );
    all_goes_on(peer, &flight);
}

/// RFC 6675, section 2: a duplicate acknowledgment has news. One that tells only of what came twice (RFC 2883) says that the
/// network repeats segments, and not that it loses any.
pub(crate) fn segments_that_came_twice_are_no_loss(peer: &mut Peer<'_>) {
    let flight = in_flight(peer, USUAL);
    for _ in 0..4 {
        tell(peer, flight[0].0, &[(1, 500)]);
    }
    let again = repeated(peer, &flight);
    peer.fail_unless(
        !again.contains(&flight[0].0),
        "the first segment is sent again",
    );
    all_goes_on(peer, &flight);
}

/// RFC 2018, section 8: "the data receiver is permitted to discard data in its queue that has not been acknowledged to the
/// data sender, even if the data has already been reported in a SACK option": all comes again in the end.
pub(crate) fn data_that_was_thrown_away_comes_again(peer: &mut Peer<'_>) {
    let flight = in_flight(peer, USUAL);
    let (holes, have) = lose(&flight);
    for count in 1..=have.len() {
        tell(peer, holes[0].0, &have[..count]);
    }
    let mut next = holes[0].0;
    let end = flight[flight.len() - 1].1;
    // From now on the peer tells nothing but what it takes, in order.
    while next < end {
        let seen = await_segment(peer, next);
        next = relative(peer, seen.segment.end());
        tell(peer, next, &[]);
    }
}

/// Blocks that can't be true hurt nobody: what was never sent, what is acknowledged, one that ends before it begins, and a
/// peer that claims to have all but the first byte.
pub(crate) fn lies_about_what_arrived_hurt_nobody(peer: &mut Peer<'_>) {
    let flight = in_flight(peer, USUAL);
    let (una, end) = (flight[0].0, flight[flight.len() - 1].1);
    for lie in [
        (end + 1_000_000, end + 1_001_000),
        (end - 100, end + 1_000_000_000),
        (1, una),
        (end, una),
        (una, una),
        (una, flight[1].1),
        (una - 1_000_000, end),
        (una + 1, end),
    ] {
        tell(peer, una, &[lie]);
    }
    let mut next = una;
    while next < end {
        let seen = await_segment(peer, next);
        next = relative(peer, seen.segment.end());
        // Still all but the first byte of the rest.
        tell(peer, next, &[(next + 1, end.max(next + 2))]);
    }
    all_goes_on(peer, &flight);
}

/// RFC 5681, section 3.2, in every state in which data is in flight: also in LAST-ACK.
pub(crate) fn duplicate_acks_count_in_last_ack(peer: &mut Peer<'_>) {
    // Small segments, so that many fit the congestion window.
    peer.open_with(ECHO, &[2, 4, 0, 100, 1, 1, 4, 2]);
    peer.send(PSH | ACK | FIN, 1, 1, &[b'x'; 1_000]);
    let flight = peer.all(FLIGHT);
    let fin = flight.iter().find(|seen| seen.has(Flags::FIN));
    let Some(fin) = fin.filter(|_| flight.len() >= 10) else {
        peer.fail("not in LAST-ACK with enough in flight");
    };
    let end = relative(peer, fin.segment.end());
    let flight = flight.iter().filter(|seen| !seen.data.is_empty());
    let flight: Vec<_> = flight.collect();
    for seen in &flight[1..5] {
        let block = (101, relative(peer, seen.segment.end()));
        tell_at(peer, (1_002, 1), &[block]);
    }
    let again = peer.all(SOON);
    let again = again
        .iter()
        .any(|seen| relative(peer, seen.segment.seq) == 1 && !seen.data.is_empty());
    peer.fail_unless(again, "the first segment is not sent again");
    tell_at(peer, (1_002, end), &[]);
    peer.options.clear();
}

/// A window that opens counts in LAST-ACK too: RFC 9293, section 3.10.7.4, in all states from ESTABLISHED on, "the send
/// window should be updated".
pub(crate) fn a_window_opens_in_last_ack(peer: &mut Peer<'_>) {
    peer.window = 0;
    peer.open(ECHO);
    let text = vec![b'x'; 1_000];
    peer.send(PSH | ACK | FIN, 1, 1, &text);
    peer.all(SOON);
    let seq = 1_002;
    peer.window = 65_535;
    peer.send(ACK, seq, 1, b"");
    let mut next = 1;
    while next < 1_001 {
        let Some(seen) = peer.next(SOON) else {
            peer.fail("the data does not come soon");
        };
        if !seen.data.is_empty() && relative(peer, seen.segment.seq) == next {
            next += seen.data.len() as i32;
            peer.send(ACK, seq, next, b"");
        }
    }
}

/// RFC 9293, section 3.10.7.4: an acknowledgment has SEG.SEQ = SND.NXT, also when something before that is sent again: the
/// peer may have had it, and would not take the acknowledgment.
pub(crate) fn acknowledgments_after_a_timeout_have_snd_nxt(peer: &mut Peer<'_>) {
    let flight = in_flight(peer, USUAL);
    let end = flight[flight.len() - 1].1;
    await_segment(peer, flight[0].0);
    peer.all(Duration::from_millis(10));
    // Before its turn: it is acknowledged at once.
    peer.send(PSH | ACK, 11, flight[0].0, b"data");
    let ack = peer.await_that("an ACK", |seen| seen.is_ack());
    peer.fail_unless(relative(peer, ack.segment.seq) >= end, "an old number");
    all_goes_on(peer, &flight);
}

/// MUST-36: a window that shuts over what is in flight is probed too, and that is sent again once it opens (SHLD-16).
pub(crate) fn what_is_lost_behind_a_shut_window_comes_again(peer: &mut Peer<'_>) {
    let flight = in_flight(peer, USUAL);
    peer.window = 0;
    tell(peer, flight[0].0, &[]);
    peer.all(FLIGHT);
    // Nothing but the timers of the sender goes on.
    for _ in 0..2 {
        peer.await_that("a probe", |_| true);
    }
    peer.window = 65_535;
    tell(peer, flight[0].0, &[]);
    await_segment(peer, flight[0].0);
    all_goes_on(peer, &flight);
}

/// MUST-36 and MUST-37 where CLOSE follows: "the sending TCP endpoint MUST allow the connection to stay open". The window has
/// shut over what is in flight, with a part of it acknowledged or none, and all of the rest is lost.
pub(crate) fn a_window_shuts_before_last_ack(peer: &mut Peer<'_>) {
    for (part, probes) in [(0, 1), (3, 2), (3, 0)] {
        let una = 1 + 100 * part;
        shut_over_a_flight(peer, una);
        peer.send(FIN | ACK, 1_001, una, b"");
        // 1,000 bytes and a FIN.
        take_behind_a_shut_window(peer, 1_002, una, 1_002, probes);
    }
}

/// The same where ours is in LAST-ACK when the window shuts.
pub(crate) fn a_window_shuts_in_last_ack(peer: &mut Peer<'_>) {
    for (part, probes) in [(0, 1), (3, 2), (3, 0)] {
        let una = 1 + 100 * part;
        peer.open_with(ECHO, &[2, 4, 0, 100, 1, 1, 4, 2]);
        peer.send(PSH | ACK | FIN, 1, 1, &[b'x'; 1_000]);
        peer.all(FLIGHT);
        peer.window = 0;
        peer.send(ACK, 1_002, una, b"");
        let answered = peer.all(FLIGHT).iter().any(Seen::is_ack);
        peer.fail_unless(!answered, "an acknowledgment is acknowledged");
        take_behind_a_shut_window(peer, 1_002, una, 1_002, probes);
    }
}

/// The same in FIN-WAIT-1, and in CLOSING.
pub(crate) fn a_window_shuts_in_fin_wait_1(peer: &mut Peer<'_>) {
    for (part, probes, fin) in [(0, 1, false), (10, 0, false), (10, 2, true)] {
        peer.open(DAYTIME);
        let seen = peer.await_that("the FIN", |seen| seen.has(Flags::FIN));
        let end = relative(peer, seen.segment.end());
        let (seq, una) = (1, 1 + part);
        peer.window = 0;
        peer.send(ACK, seq, una, b"");
        if fin {
            peer.send(FIN | ACK, seq, una, b"");
        }
        let seq = seq + i32::from(fin);
        take_behind_a_shut_window(peer, seq, una, end, probes);
    }
}

/// The same in ESTABLISHED, with nothing new to be sent that would bring the rest along.
pub(crate) fn a_window_shuts_over_the_last_of_all(peer: &mut Peer<'_>) {
    for (part, probes) in [(3, 1), (3, 0)] {
        let una = 1 + 100 * part;
        shut_over_a_flight(peer, una);
        take_behind_a_shut_window(peer, 1_001, una, 1_001, probes);
        peer.echo(1_001, 1_001, b"and on");
    }
}

/// A thousand bytes are in flight when the window shuts, of which those before `una` are acknowledged.
fn shut_over_a_flight(peer: &mut Peer<'_>, una: i32) {
    peer.open_with(ECHO, &[2, 4, 0, 100, 1, 1, 4, 2]);
    peer.send(PSH | ACK, 1, 1, &[b'x'; 1_000]);
    peer.all(FLIGHT);
    peer.window = 0;
    peer.send(ACK, 1_001, una, b"");
}

/// A peer whose window is shut answers so many probes, opens it, and takes what comes from `una` up to `end`.
fn take_behind_a_shut_window(peer: &mut Peer<'_>, seq: i32, una: i32, end: i32, probes: u8) {
    peer.all(FLIGHT);
    for _ in 0..probes {
        peer.await_that("a probe", |seen| seen.segment.sequence_len() > 0);
        peer.send(ACK, seq, una, b"");
    }
    peer.window = 65_535;
    peer.send(ACK, seq, una, b"");
    let mut next = una;
    while next < end {
        let seen = peer.await_that(&format!("what begins at {next}"), |seen| {
            seen.segment.sequence_len() > 0
        });
        let (first, last) = (
            relative(peer, seen.segment.seq),
            relative(peer, seen.segment.end()),
        );
        if first <= next && next < last {
            next = last;
        }
        peer.send(ACK, seq, next, b"");
    }
}

/// Opens a connection to a service that sends without end, lets its congestion window grow, and returns what is in flight.
fn in_flight(peer: &mut Peer<'_>, options: &[u8]) -> Vec<Numbers> {
    peer.window = 65_535;
    peer.options.clear();
    peer.open_with(CHARGEN, options);
    let end = peer.take_for(12);
    flight_from(peer, end)
}

fn flight_from(peer: &mut Peer<'_>, end: i32) -> Vec<Numbers> {
    let mut flight: Vec<Numbers> = Vec::new();
    for seen in peer.all(FLIGHT) {
        let numbers = (
            relative(peer, seen.segment.seq),
            relative(peer, seen.segment.end()),
        );
        let next = flight.last().map_or(end, |last| last.1);
        if numbers.0 == next && !seen.data.is_empty() {
            flight.push(numbers);
        }
    }
    peer.fail_unless(flight.len() >= 9, "not enough in flight");
    flight
}

/// The same with a peer that is far away: what is in flight after some long round trips.
fn far_flight(peer: &mut Peer<'_>) -> Vec<Numbers> {
    peer.window = 65_535;
    peer.options.clear();
    peer.begin(CHARGEN, USUAL);
    peer.all(FLIGHT);
    let mut end = 1;
    peer.send(ACK, 1, end, b"");
    for _ in 0..4 {
        for seen in peer.all(FLIGHT) {
            end = end.max(relative(peer, seen.segment.end()));
            peer.send(ACK, 1, end, b"");
        }
    }
    flight_from(peer, end)
}

/// Of a flight the first and the fourth segment are lost, and what arrives.
fn lose(flight: &[Numbers]) -> (Vec<Numbers>, Vec<Numbers>) {
    let holes = vec![flight[0], flight[3]];
    let have = flight.iter().copied();
    let have = have.filter(|numbers| !holes.contains(numbers)).collect();
    (holes, have)
}

fn after(have: &[Numbers], number: i32) -> &[Numbers] {
    let first = have.iter().position(|numbers| number < numbers.0);
    &have[first.unwrap_or(have.len())..]
}

/// An ACK with what the peer has besides, which arrived in this order.
fn tell(peer: &mut Peer<'_>, ack: i32, have: &[Numbers]) {
    tell_at(peer, (1, ack), have);
}

fn tell_at(peer: &mut Peer<'_>, (seq, ack): Numbers, have: &[Numbers]) {
    let mut islands: Vec<Numbers> = Vec::new();
    for &(left, right) in have {
        match islands.last_mut() {
            Some(last) if last.1 == left => last.1 = right,
            _ => islands.push((left, right)),
        }
    }
    let blocks: Vec<Numbers> = islands.into_iter().rev().take(3).collect();
    peer.options.clear();
    if !blocks.is_empty() {
        peer.options = vec![1, 1, 5, 2 + 8 * blocks.len() as u8];
        for number in blocks.iter().flat_map(|&(left, right)| [left, right]) {
            let number = peer.irs().wrapping_add_signed(number);
            peer.options.extend(number.to_be_bytes());
        }
    }
    peer.send(ACK, seq, ack, b"");
}

/// Where what is sent again begins, of all that comes soon.
fn repeated(peer: &mut Peer<'_>, flight: &[Numbers]) -> Vec<i32> {
    let seen = peer.all(SOON);
    let numbers = seen.iter().filter(|seen| !seen.data.is_empty());
    let numbers = numbers.map(|seen| relative(peer, seen.segment.seq));
    let end = flight[flight.len() - 1].1;
    numbers.filter(|number| *number < end).collect()
}

fn await_segment(peer: &mut Peer<'_>, number: i32) -> Seen {
    let seq = SeqNumber(peer.irs().wrapping_add_signed(number));
    peer.await_that(&format!("what begins at {number}"), |seen| {
        seen.segment.seq == seq && !seen.data.is_empty()
    })
}

/// The connection lives: what follows the flight comes once all of that is acknowledged.
fn all_goes_on(peer: &mut Peer<'_>, flight: &[Numbers]) {
    let end = flight[flight.len() - 1].1;
    tell(peer, end, &[]);
    let new = SeqNumber(peer.irs().wrapping_add_signed(end));
    peer.await_that("new data", |seen| {
        new.before(seen.segment.end()) && !seen.data.is_empty()
    });
    peer.options.clear();
}

fn relative(peer: &Peer<'_>, number: SeqNumber) -> i32 {
    number.since(SeqNumber(peer.irs())) as i32
}
