//! Numbers that nobody would send who means well, and honest ones that look like them: none of them stops a connection or
//! the process, and no byte takes the place of another.

use std::time::Duration;

use tcplab::fault::RuleSet;
use tcplab::segment::{Flags, SeqNumber, TcpOption};

use crate::memory::Memory;
use crate::peer::{BOUND, DAYTIME, DISCARD, ECHO, PAUSE, Peer, Target, USUAL};
use crate::support::{ACK, FIN, PSH};

/// A quarter, a half and almost a half of all sequence numbers.
const FAR: [u32; 6] = [
    1 << 30,
    (1 << 31) - 1,
    1 << 31,
    (1 << 31) + 1,
    3 << 30,
    u32::MAX - 1,
];

/// Blocks that lie in order only where each is compared with its neighbour alone.
pub(crate) fn sack_blocks_around_the_circle(peer: &mut Peer<'_>) {
    for far in FAR {
        peer.window = 65_535;
        peer.open(ECHO);
        let text: Vec<u8> = (0..4_000).map(|number| (number % 251) as u8).collect();
        for part in 0..4 {
            let from = part * 1_000;
            peer.send(PSH | ACK, 1 + from as i32, 1, &text[from..from + 1_000]);
        }
        for blocks in [
            &[(far, u32::MAX), (101, 201)][..],
            &[(101, 201), (far, u32::MAX)],
            &[(201, far), (101, 301)],
            &[(far, far.wrapping_add(100)), (1, 101), (501, 601)],
            &[(u32::MAX, 1), (101, far)],
        ] {
            tell(peer, blocks);
        }
        let mut end = 1;
        while end < 4_001 {
            let seen = peer.await_that("the echo", |seen| !seen.data.is_empty());
            let seq = seen.segment.seq.since(SeqNumber(peer.irs())) as i32;
            let place = (seq - 1) as usize;
            assert_eq!(seen.data, text[place..place + seen.data.len()]);
            if seq <= end {
                end = end.max(seq + seen.data.len() as i32);
                peer.send(ACK, 4_001, end, b"");
            }
        }
        peer.echo(4_001, 4_001, b"still there");
    }
}

/// SACK blocks with an acknowledgment of nothing new; numbers count from the initial one.
fn tell(peer: &mut Peer<'_>, blocks: &[(u32, u32)]) {
    peer.options = vec![1, 1, 5, 2 + 8 * blocks.len() as u8];
    for number in blocks.iter().flat_map(|&(left, right)| [left, right]) {
        let number = peer.irs().wrapping_add(number);
        peer.options.extend(number.to_be_bytes());
    }
    peer.send(ACK, 4_001, 1, b"");
    peer.options.clear();
}

/// A peer whose program does not read acknowledges everything, the FIN too, and shuts its window.
pub(crate) fn a_window_shuts_over_nothing(peer: &mut Peer<'_>) {
    peer.window = 65_535;
    peer.open(DAYTIME);
    let fin = peer.await_that("the FIN", |seen| seen.has(Flags::FIN));
    let end = fin.segment.end().since(SeqNumber(peer.irs())) as i32;
    // The retransmission: smoltcp has gone back to the beginning.
    peer.await_that("the text again", |seen| !seen.data.is_empty());
    peer.window = 0;
    peer.send(ACK, 1, 11, b"");
    peer.all(Duration::from_secs(3));
    peer.send(ACK, 1, end, b"");
    peer.expect_nothing_for(Duration::from_secs(3));
    peer.send(FIN | ACK, 1, end, b"");
    peer.await_text(&format!(". {end}:{end}(0) ack 2"));
}

/// A window too small to be used opens again while what was in flight is acknowledged.
pub(crate) fn a_small_window_is_forgotten(peer: &mut Peer<'_>) {
    peer.window = 65_535;
    peer.open(ECHO);
    peer.send(PSH | ACK, 1, 1, &[b'x'; 500]);
    peer.await_that("the echo", |seen| seen.data.len() == 500);
    peer.window = 0;
    peer.send(ACK, 501, 1, b"");
    peer.await_that("the echo again", |seen| !seen.data.is_empty());
    peer.window = 1;
    peer.send(ACK, 501, 1, b"");
    peer.window = 65_535;
    peer.send(ACK, 501, 501, b"");
    peer.expect_nothing_for(Duration::from_secs(3));
    peer.echo(501, 501, b"still there");
}

/// RFC 9293, section 3.10.7.4: what lies beyond the window is dropped. The window of a SYN-ACK is not scaled, whatever the
/// scale is.
pub(crate) fn nothing_counts_beyond_the_window_of_the_syn_ack(peer: &mut Peer<'_>) {
    peer.window = 65_535;
    for beyond in [0, 1, 1_000, 100_000, 200_000, 300_000, 400_000] {
        let syn_ack = peer.begin(ECHO, USUAL);
        let window = i32::from(syn_ack.segment.window);
        peer.send(ACK, 1, 1, b"");
        peer.send(ACK, 1 + window + beyond, 1, b"elsewhere");
        let ack = peer.await_that("an ACK", |seen| seen.is_ack());
        assert_eq!(ack.segment.ack, SeqNumber(peer.iss().wrapping_add(1)));
        // Nor is it reported as something that has arrived.
        let mut options = ack.segment.options.iter();
        let sacks = options.any(|option| matches!(option, TcpOption::Sack(_)));
        peer.fail_unless(!sacks, "a SACK block");
    }
    let text: Vec<u8> = (0..100_000).map(|number| (number % 251) as u8).collect();
    let mut acked = 1;
    for (index, part) in text.chunks(1_000).enumerate() {
        let seq = 1 + index as i32 * 1_000;
        peer.send(PSH | ACK, seq, acked, part);
        let mut back = Vec::new();
        while back.len() < part.len() {
            let seen = peer.await_that("the echo", |seen| {
                let next = acked + back.len() as i32;
                let next = SeqNumber(seen.irs.wrapping_add_signed(next));
                seen.segment.seq == next && !seen.data.is_empty()
            });
            back.extend(seen.data);
        }
        assert_eq!(back, part);
        acked += part.len() as i32;
    }
    peer.send(ACK, 100_001, acked, b"");
}

/// Numbers far from the window, with text and without: each draws an acknowledgment of what there is, at most, and leaves
/// nothing behind.
pub(crate) fn numbers_far_from_the_window(peer: &mut Peer<'_>) {
    peer.window = 65_535;
    peer.open(ECHO);
    peer.echo(1, 1, b"hello");
    for far in &FAR[..5] {
        let far = *far as i32;
        for (flags, text) in [
            (ACK, &b"far"[..]),
            (ACK, b""),
            (FIN | ACK, b"far"),
            (FIN | ACK, b""),
        ] {
            for off in [-1, 0, 1] {
                peer.send(flags, far.wrapping_add(6 + off), 6, text);
            }
        }
        for seen in peer.all(PAUSE) {
            let expected = SeqNumber(peer.iss().wrapping_add(6));
            peer.fail_unless(
                seen.is_ack() && seen.segment.ack == expected,
                "more than an acknowledgment",
            );
        }
    }
    peer.echo(6, 6, b"still there");
}

/// A FIN behind a gap is answered at once (RFC 5681, section 4.2), and counts once the gap is filled.
pub(crate) fn a_fin_alone_behind_a_gap(peer: &mut Peer<'_>) {
    for (flags, text) in [(FIN | ACK, &b""[..]), (FIN | PSH | ACK, b"fghij")] {
        peer.window = 65_535;
        peer.open(DISCARD);
        let end = 6 + text.len() as i32;
        peer.send(flags, 6, 1, text);
        peer.expect(". 1:1(0) ack 1");
        peer.send(PSH | ACK, 1, 1, b"abcde");
        // With everything there the other end closes too.
        let seen = peer.await_that("an ACK of the FIN", |seen| {
            seen.segment.ack == SeqNumber(seen.iss.wrapping_add_signed(end + 1))
        });
        let fin = match seen.has(Flags::FIN) {
            true => seen,
            false => peer.await_that("a FIN", |seen| seen.has(Flags::FIN)),
        };
        assert!(fin.data.is_empty());
        peer.send(ACK, end + 1, 2, b"");
        peer.expect_nothing();
    }
}

/// The same with our end closed: in FIN-WAIT-1 and in FIN-WAIT-2.
pub(crate) fn a_fin_alone_behind_a_gap_when_we_have_closed(peer: &mut Peer<'_>) {
    for early in [true, false] {
        peer.window = 65_535;
        peer.open(DAYTIME);
        let fin = peer.await_that("the FIN", |seen| seen.has(Flags::FIN));
        let end = fin.segment.end().since(SeqNumber(peer.irs())) as i32;
        if !early {
            peer.send(ACK, 1, end, b"");
            peer.all(PAUSE);
        }
        let ack = if early { end - 1 } else { end };
        peer.send(FIN | ACK, 6, ack, b"");
        peer.await_that("an ACK at once", |seen| {
            seen.is_ack() && seen.segment.ack == SeqNumber(seen.iss.wrapping_add(1))
        });
        peer.send(PSH | ACK, 1, ack, b"abcde");
        peer.await_that("an ACK of the FIN", |seen| {
            seen.segment.ack == SeqNumber(seen.iss.wrapping_add(7))
        });
        peer.send(ACK, 7, end, b"");
    }
}

/// The right edge of the window never moves left, whatever sizes segments have (RFC 9293, section 3.8.6, SHLD-14).
pub(crate) fn the_window_never_shrinks(peer: &mut Peer<'_>) {
    for size in [1, 3, 5, 7, 9, 13, 1_001] {
        peer.window = 0;
        let syn_ack = peer.begin(ECHO, USUAL);
        let shift = syn_ack.segment.window_scale().unwrap_or(0);
        peer.send(ACK, 1, 1, b"");
        let mut edge = SeqNumber(peer.iss()) + 1 + u32::from(syn_ack.segment.window);
        for index in 0..60 {
            peer.send(PSH | ACK, 1 + index * size, 1, &vec![b'x'; size as usize]);
            if index % 4 == 3 {
                // Something that is challenged.
                peer.send(ACK, 1 + (index + 1) * size, 1_000_000, b"");
            }
            if index % 7 == 6 {
                // Something behind a gap, and the gap is filled by the next.
                peer.send(ACK, 1 + (index + 2) * size, 1, &vec![b'x'; size as usize]);
            }
            while let Some(seen) = peer.next(Duration::from_millis(30)) {
                let window = u32::from(seen.segment.window) << shift;
                let told = seen.segment.ack + window;
                peer.fail_unless(
                    edge.at_or_before(told),
                    &format!("the edge moved left by {}", edge.since(told)),
                );
                edge = told;
            }
        }
    }
}

/// A peer whose data and FIN fill the window to the last byte.
#[test]
fn a_fin_right_behind_the_window() {
    for (local, remote) in crate::PAIRS {
        for buffer in [4_096, 65_536] {
            let mut memory = Memory::new(|config| {
                let mut rules = RuleSet::new();
                let rule = format!("port 9: set read=never buffer={buffer}");
                rules.add(rule.parse().expect("a rule"));
                config.rules = rules;
            });
            let (local, remote) = (local.parse().unwrap(), remote.parse().unwrap());
            let mut peer = Peer::new(&mut memory, local, remote, 40_000);
            assert_eq!(peer.target(), Target::Tcplab);
            peer.open(DISCARD);
            let mut edge = 1 + buffer.min(65_535);
            let mut seq = 1;
            let told = |seen: &crate::peer::Seen| {
                let shift = if buffer > 65_535 { 1 } else { 0 };
                let ack = seen.segment.ack.since(SeqNumber(seen.iss)) as i32;
                ack + (i32::from(seen.segment.window) << shift)
            };
            loop {
                let len = (edge - seq).min(1_000);
                let fills = seq + len == edge;
                let flags = if fills { FIN | ACK } else { ACK };
                peer.send(flags, seq, 1, &vec![b'x'; len as usize]);
                seq += len;
                if fills {
                    break;
                }
                while let Some(seen) = peer.next(Duration::from_millis(1)) {
                    edge = told(&seen).max(edge);
                }
            }
            // All of it counts, and what comes from the other side of the circle does not.
            for off in [-2, -1, 0, 1, 2] {
                let far = (seq + 1).wrapping_add(i32::MAX).wrapping_add(off);
                peer.send(ACK, far, 1, b"far");
                peer.send(ACK, far, 1, b"");
            }
            let ack = peer.await_that("an ACK of the FIN", |seen| {
                seen.segment.ack == SeqNumber(seen.iss.wrapping_add_signed(seq + 1))
            });
            assert_eq!(ack.segment.window, 0);
            peer.all(BOUND);
        }
    }
}
