//! SEGMENT ARRIVES in SYN-SENT (RFC 9293, section 3.10.7.3), and in the SYN-RECEIVED of an active open.

use tcplab::segment::{Flags, SeqNumber};

use crate::peer::{PAUSE, Peer, Seen};
use crate::support::{ACK, FIN, PSH, RST, SYN};

/// "If SEG.ACK =< ISS or SEG.ACK > SND.NXT, send a reset (unless the RST bit is set, if so drop the segment and return)
/// <SEQ=SEG.ACK><CTL=RST> and discard the segment."
pub(crate) fn an_ack_of_something_else_is_reset(peer: &mut Peer<'_>) {
    peer.await_syn();
    for flags in [ACK, SYN | ACK, PSH | ACK, FIN | ACK] {
        for ack in [0, 77, -77] {
            peer.send(flags, 0, ack, b"");
            let number = SeqNumber(peer.irs().wrapping_add_signed(ack));
            peer.await_that("a reset", |seen| {
                seen.segment.flags == Flags::RST && seen.segment.seq == number
            });
        }
    }
    peer.send(RST | ACK, 0, 77, b"");
    opens(peer);
}

/// "If the ACK was acceptable, then signal to the user 'error: connection reset', drop the segment, enter CLOSED state".
pub(crate) fn a_reset_with_the_ack_of_the_syn_refuses(peer: &mut Peer<'_>) {
    for data in [&b""[..], b"why"] {
        peer.await_syn();
        peer.send(RST | ACK, 0, 1, data);
        peer.all(PAUSE);
        peer.send(SYN | ACK, 0, 1, b"");
        let opened = peer.all(PAUSE).iter().any(Seen::is_ack);
        peer.fail_unless(!opened, "it opens");
    }
}

/// "Otherwise (no ACK), drop the segment and return", and so with an ACK of something else.
pub(crate) fn other_resets_count_for_nothing(peer: &mut Peer<'_>) {
    peer.await_syn();
    for (flags, ack) in [(RST, 0), (RST | ACK, 0), (RST | ACK, 2), (RST | FIN, 0)] {
        peer.send(flags, 0, ack, b"");
    }
    opens(peer);
}

/// "Fifth, if neither of the SYN or RST bits is set, then drop the segment and return."
pub(crate) fn without_syn_and_rst_nothing_counts(peer: &mut Peer<'_>) {
    peer.await_syn();
    for flags in [0, PSH, FIN, ACK, PSH | ACK, FIN | ACK] {
        peer.send(flags, 0, 1, b"");
        peer.send(flags, 1, 1, b"early");
    }
    // Nothing but the SYN once more.
    let answers = peer.all(PAUSE);
    let answered = answers.iter().any(|seen| seen.segment.flags != Flags::SYN);
    peer.fail_unless(!answered, "it is answered");
    opens(peer);
}

/// "If there are other controls or text in the segment, then continue processing": what is not acknowledged comes again
/// instead, as with Linux.
pub(crate) fn text_in_a_syn_ack_comes_again(peer: &mut Peer<'_>) {
    peer.await_syn();
    peer.send(SYN | ACK, 0, 1, b"early");
    let first = peer.await_that("an ACK", Seen::is_ack);
    assert_eq!(first.segment.ack, SeqNumber(peer.iss()) + 1);
    peer.send(PSH | ACK, 1, 1, b"early");
    let end = SeqNumber(peer.iss()) + 6;
    peer.await_that("an ACK", |seen| seen.is_ack() && seen.segment.ack == end);
}

/// "Otherwise, enter SYN-RECEIVED, form a SYN,ACK segment <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK> and send it": the ACK of that
/// opens.
pub(crate) fn a_syn_that_crosses_ours_is_acknowledged(peer: &mut Peer<'_>) {
    peer.await_syn();
    peer.send(SYN, 0, 0, b"");
    peer.await_text("S. 0:0(0) ack 1");
    peer.send(PSH | ACK, 1, 1, b"hello");
    let end = SeqNumber(peer.iss()) + 6;
    peer.await_that("an ACK", |seen| seen.is_ack() && seen.segment.ack == end);
}

/// Of SYN-RECEIVED: "If the RST bit is set and this connection was initiated with an active OPEN [...], then the connection
/// was refused".
pub(crate) fn a_reset_refuses_also_once_the_syns_have_crossed(peer: &mut Peer<'_>) {
    peer.await_syn();
    peer.send(SYN, 0, 0, b"");
    peer.await_text("S. 0:0(0) ack 1");
    // Nor is another SYN more than a challenge to it (RFC 5961, section 4.2).
    peer.send(SYN, 500, 0, b"");
    peer.await_text(". 1:1(0) ack 1");
    // Section 3.2: not with this number.
    peer.send(RST, 50, 0, b"");
    peer.all(PAUSE);
    peer.send(RST, 1, 0, b"");
    peer.all(PAUSE);
    peer.send(PSH | ACK, 1, 1, b"hello");
    let there = peer.all(PAUSE).iter().any(Seen::is_ack);
    peer.fail_unless(!there, "it is still there");
}

/// The SYN-ACK is answered with "<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>", and data counts.
fn opens(peer: &mut Peer<'_>) {
    peer.send(SYN | ACK, 0, 1, b"");
    peer.await_text(". 1:1(0) ack 1");
    peer.send(PSH | ACK, 1, 1, b"hello");
    let end = SeqNumber(peer.iss()) + 6;
    peer.await_that("an ACK", |seen| seen.is_ack() && seen.segment.ack == end);
}
