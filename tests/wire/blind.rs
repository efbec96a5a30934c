//! Blind attacks: segments of somebody who knows the addresses and ports, and guesses numbers (RFC 5961).

use tcplab::segment::Flags;

use crate::peer::{ECHO, PAUSE, Peer, Target};
use crate::support::{ACK, FIN, PSH, RST, SYN};

/// RFC 5961, section 3.2: "If the RST bit is set and the sequence number does not exactly match the next expected
/// sequence value, yet is within the current receive window, TCP MUST send an acknowledgment (challenge ACK)".
pub(crate) fn a_reset_needs_the_exact_number(peer: &mut Peer<'_>) {
    peer.open(ECHO);
    peer.send(RST, 100, 0, b"");
    peer.expect(". 1:1(0) ack 1");
    peer.echo(1, 1, b"still here");
    peer.all(PAUSE);
    peer.send(RST, 11, 0, b"");
    peer.expect_nothing();
    // It is gone: what comes now is answered as for a port where nobody is.
    peer.send(ACK, 11, 11, b"hello?");
    peer.expect("R 11:11(0)");
}

/// Section 3.2: "If the RST bit is set and the sequence number is outside the current receive window, silently drop
/// the segment."
pub(crate) fn a_reset_outside_of_the_window_is_ignored(peer: &mut Peer<'_>) {
    peer.open(ECHO);
    for seq in [0, -1_000, 100_000_000, i32::MIN] {
        peer.send(RST, seq, 0, b"");
        peer.send(RST | ACK, seq, 1, b"");
    }
    peer.expect_nothing();
    peer.echo(1, 1, b"still here");
}

/// A reset is one whatever else stands in it: RFC 9293, section 3.10.7.4 looks at the RST bit before any other, and
/// section 3.5.3 lets it carry data.
pub(crate) fn a_reset_with_the_exact_number_counts_whatever_it_carries(peer: &mut Peer<'_>) {
    for flags in [RST, RST | ACK, RST | FIN | ACK, RST | PSH | ACK] {
        peer.open(ECHO);
        peer.echo(1, 1, b"hello");
        peer.all(PAUSE);
        peer.send(flags, 6, 6, b"why it ended");
        peer.expect_nothing();
        peer.send(ACK, 6, 6, b"x");
        peer.expect("R 6:6(0)");
    }
}

/// Section 4.2: "If the SYN bit is set, irrespective of the sequence number, TCP MUST send an ACK (also referred to as
/// challenge ACK) to the remote peer".
pub(crate) fn a_syn_is_challenged(peer: &mut Peer<'_>) {
    for seq in [0, 1, 500, -70_000, i32::MIN] {
        peer.open(ECHO);
        peer.send(SYN, seq, 0, b"");
        peer.expect(". 1:1(0) ack 1");
        peer.echo(1, 1, b"still here");
    }
    // Whoever has really forgotten the connection answers that with a reset.
    peer.open(ECHO);
    peer.send(SYN, 500, 0, b"");
    peer.expect(". 1:1(0) ack 1");
    peer.send(RST, 1, 0, b"");
    peer.expect_nothing();
    peer.send(ACK, 1, 1, b"x");
    peer.expect("R 1:1(0)");
}

/// The same for a SYN with an ACK, and with whatever else.
pub(crate) fn a_syn_ack_is_challenged(peer: &mut Peer<'_>) {
    for flags in [SYN | ACK, SYN | FIN, SYN | FIN | ACK, SYN | PSH | ACK] {
        for seq in [0, 1, 500] {
            peer.open(ECHO);
            peer.send(flags, seq, 1, b"");
            peer.expect(". 1:1(0) ack 1");
            peer.echo(1, 1, b"still here");
        }
    }
}

/// RFC 9293, section 3.10.7.4: "If the ACK acks something not yet sent (SEG.ACK > SND.NXT), then send an ACK, drop the
/// segment, and return."
pub(crate) fn an_ack_of_what_was_never_sent_is_challenged(peer: &mut Peer<'_>) {
    for ack in [2, 1_000, 1 << 30] {
        peer.open(ECHO);
        peer.send(PSH | ACK, 1, ack, b"forged");
        let answer = peer.expect(". 1:1(0) ack 1");
        assert!(answer.is_ack());
        peer.expect_nothing();
        peer.echo(1, 1, b"true");
    }
}

/// RFC 5961, section 5.2: "The ACK value is considered acceptable only if it is in the range of ((SND.UNA -
/// MAX.SND.WND) <= SEG.ACK <= SND.NXT). All incoming segments whose ACK value doesn't satisfy the above condition MUST
/// be discarded and an ACK sent back."
pub(crate) fn a_very_old_ack_is_challenged_and_its_data_dropped(peer: &mut Peer<'_>) {
    peer.open(ECHO);
    peer.echo(1, 1, b"0123456789");
    peer.all(PAUSE);
    for old in [-1_000, -(1 << 30)] {
        peer.send(PSH | ACK, 11, old, b"forged");
        peer.expect(". 11:11(0) ack 11");
        if peer.target() == Target::Linux {
            // Linux sends one challenge each half second at most.
            peer.all(PAUSE * 4);
        }
    }
    peer.echo(11, 11, b"true");
}

/// An ACK that is only somewhat old says nothing new, but its segment counts.
pub(crate) fn a_somewhat_old_ack_brings_its_data(peer: &mut Peer<'_>) {
    peer.open(ECHO);
    peer.echo(1, 1, b"0123456789");
    peer.all(PAUSE);
    peer.send(PSH | ACK, 11, 5, b"late");
    let back = peer.await_that("the echo", |seen| !seen.data.is_empty());
    assert_eq!(back.data, b"late");
    assert!(back.has(Flags::ACK));
}

/// RFC 5961, section 7: "an implementation SHOULD include an ACK throttling mechanism". Ours is for each connection:
/// a limit for all would tell one peer of another (CVE-2016-5696).
pub(crate) fn challenges_are_limited_for_each_connection(peer: &mut Peer<'_>) {
    peer.open(ECHO);
    for seq in 0..200 {
        peer.send(SYN, 500 + seq, 0, b"");
        peer.send(RST, 700 + seq, 0, b"");
    }
    let answers = peer.all(PAUSE);
    assert!(
        (1..=10).contains(&answers.len()),
        "{} answers",
        answers.len()
    );
    peer.echo(1, 1, b"still here");
    peer.open(ECHO);
    peer.send(SYN, 500, 0, b"");
    peer.expect(". 1:1(0) ack 1");
}
