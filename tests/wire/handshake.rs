//! Handshakes, and segments where no connection is.

use tcplab::segment::{Flags, SeqNumber};

use crate::peer::{CHARGEN, DAYTIME, DISCARD, ECHO, PAUSE, Peer, Target, USUAL};
use crate::support::{ACK, FIN, PSH, RST, SYN};

/// A port where nobody is.
const CLOSED: u16 = 4444;

/// A SYN-ACK that got lost: the client's second SYN draws another.
pub(crate) fn the_syn_again_draws_the_syn_ack_again(peer: &mut Peer<'_>) {
    let first = peer.begin(ECHO, USUAL);
    peer.syn(USUAL);
    let second = peer.await_syn_ack();
    assert_eq!(first.segment.seq, second.segment.seq);
    assert_eq!(first.segment.options, second.segment.options);
    peer.send(ACK, 1, 1, b"");
    peer.echo(1, 1, b"hello");
}

/// RFC 9293, section 3.10.7.4, "First, check sequence number": "If an incoming segment is not acceptable, an
/// acknowledgment should be sent in reply".
pub(crate) fn a_syn_of_somebody_else_in_syn_received_is_acknowledged(peer: &mut Peer<'_>) {
    peer.begin(ECHO, USUAL);
    peer.send(SYN, -5_000, 0, b"");
    peer.expect(". 1:1(0) ack 1");
    peer.send(ACK, 1, 1, b"");
    peer.echo(1, 1, b"hello");
}

/// Section 3.10.7.4: "If the segment acknowledgment is not acceptable, form a reset segment <SEQ=SEG.ACK><CTL=RST>
/// and send it."
pub(crate) fn an_ack_of_something_else_in_syn_received_is_reset(peer: &mut Peer<'_>) {
    for ack in [0, 77, -77] {
        peer.begin(ECHO, USUAL);
        peer.send(ACK, 1, ack, b"");
        let reset = peer.await_that("a reset", |seen| seen.has(Flags::RST));
        assert_eq!(
            reset.segment.seq,
            SeqNumber(peer.irs().wrapping_add_signed(ack))
        );
        // The handshake goes on.
        peer.send(ACK, 1, 1, b"");
        peer.echo(1, 1, b"hello");
    }
}

pub(crate) fn a_reset_in_syn_received_ends_the_handshake(peer: &mut Peer<'_>) {
    peer.begin(ECHO, USUAL);
    peer.send(RST, 1, 0, b"");
    peer.expect_nothing();
    peer.send(ACK, 1, 1, b"");
    peer.expect("R 1:1(0)");
}

/// Data may come with the ACK of the handshake, and a FIN with both.
pub(crate) fn the_ack_may_bring_data_and_a_fin(peer: &mut Peer<'_>) {
    peer.begin(ECHO, USUAL);
    peer.send(FIN | PSH | ACK, 1, 1, b"hello");
    let back = peer.await_that("the echo", |seen| !seen.data.is_empty());
    assert_eq!(
        (back.data.as_slice(), back.segment.ack),
        (&b"hello"[..], SeqNumber(peer.iss()) + 7)
    );
}

/// RFC 9293, section 3.7.1 (MUST-15): "If an MSS Option is not received at connection setup, TCP implementations MUST
/// assume a default send MSS of 536 (576 - 40) for IPv4 or 1220 (1280 - 60) for IPv6".
pub(crate) fn without_mss_the_default_counts(peer: &mut Peer<'_>) {
    peer.open_with(CHARGEN, &[]);
    let first = peer.await_that("data", |seen| !seen.data.is_empty());
    assert_eq!(first.data.len(), if peer.is_v6() { 1220 } else { 536 });
}

/// MUST-16: what is sent is the smaller of the peer's MSS and what we can send.
pub(crate) fn segments_are_no_larger_than_the_mss(peer: &mut Peer<'_>) {
    let largest = if peer.is_v6() { 1440 } else { 1460 };
    for (mss, expected) in [(100, 100), (536, 536), (1_000, 1_000), (9_000, largest)] {
        let [high, low] = u16::to_be_bytes(mss);
        peer.open_with(CHARGEN, &[2, 4, high, low]);
        let first = peer.await_that("data", |seen| !seen.data.is_empty());
        assert_eq!(first.data.len(), expected, "with an MSS of {mss}");
        peer.send(RST, 1, 0, b"");
        peer.all(PAUSE);
    }
}

/// What one connection has offered is not answered on another, whatever became of the first.
pub(crate) fn options_are_those_of_this_handshake(peer: &mut Peer<'_>) {
    for end in ["reset in SYN-RECEIVED", "reset", "closed", "left alone"] {
        let offered = peer.begin(ECHO, USUAL).segment;
        assert!(
            offered.sack_permitted() && offered.window_scale().is_some(),
            "{end}"
        );
        match end {
            "reset in SYN-RECEIVED" => peer.send(RST, 1, 0, b""),
            "reset" => {
                peer.send(ACK, 1, 1, b"");
                peer.send(RST, 1, 0, b"");
            }
            "closed" => {
                peer.send(ACK, 1, 1, b"");
                peer.send(FIN | ACK, 1, 1, b"");
                peer.await_that("the FIN", |seen| seen.has(Flags::FIN));
                peer.send(ACK, 2, 2, b"");
            }
            _ => {}
        }
        peer.all(PAUSE);
        let bare = peer.begin(CHARGEN, &[]).segment;
        assert!(
            !bare.sack_permitted() && bare.window_scale().is_none(),
            "{end}"
        );
        // MUST-14, and SHLD-5.
        assert_eq!(
            bare.max_segment_size(),
            Some(if peer.is_v6() { 1440 } else { 1460 })
        );
        peer.send(ACK, 1, 1, b"");
        let first = peer.await_that("data", |seen| !seen.data.is_empty());
        assert_eq!(
            first.data.len(),
            if peer.is_v6() { 1220 } else { 536 },
            "{end}"
        );
        peer.send(RST, 1, 0, b"");
    }
}

/// MUST-65.
pub(crate) fn mss_stands_in_syns_only(peer: &mut Peer<'_>) {
    assert!(peer.open(ECHO).segment.max_segment_size().is_some());
    peer.send(PSH | ACK, 1, 1, b"hello");
    let mut later = peer.all(PAUSE).into_iter();
    assert!(later.all(|seen| seen.segment.max_segment_size().is_none()));
}

/// MUST-69: "the content of the header beyond the End of Option List Option MUST be header padding of zeros".
pub(crate) fn padding_is_zero(peer: &mut Peer<'_>) {
    for offered in [&[][..], &[2, 4, 5, 180], USUAL, &[4, 2, 1, 1]] {
        let syn_ack = peer.begin(ECHO, offered);
        let header = &syn_ack.packet[if peer.is_v6() { 40 } else { 20 }..];
        let mut options = &header[20..usize::from(header[12] >> 4) * 4];
        while let [kind, rest @ ..] = options {
            options = match (kind, rest) {
                (0, padding) => {
                    assert!(padding.iter().all(|&byte| byte == 0), "{padding:?}");
                    break;
                }
                (1, rest) => rest,
                (_, rest) => &rest[usize::from(rest[0]) - 1..],
            };
        }
        peer.send(RST, 1, 0, b"");
    }
}

/// Without window scaling, the window of a SYN and of every other segment means bytes.
pub(crate) fn windows_are_scaled_only_where_both_offer_it(peer: &mut Peer<'_>) {
    peer.open_with(ECHO, &[2, 4, 5, 180]);
    peer.echo(1, 1, b"hello");
    peer.send(ACK, 6, 6, b"x");
    let back = peer.await_that("the echo", |seen| !seen.data.is_empty());
    assert!(back.segment.window > 10_000, "{}", back.segment.window);
}

/// RFC 9293, section 3.10.7.1: "If the ACK bit is off, sequence number zero is used,
/// <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>. If the ACK bit is on, <SEQ=SEG.ACK><CTL=RST>".
pub(crate) fn a_closed_port_answers_with_resets(peer: &mut Peer<'_>) {
    peer.remote.set_port(CLOSED);
    let rows: [(u8, &[u8], Option<u32>); 7] = [
        (SYN, b"", Some(1)),
        (SYN, b"0123456789", Some(11)),
        (FIN, b"", Some(1)),
        (0, b"01234", Some(5)),
        (PSH, b"", Some(0)),
        (ACK, b"0123", None),
        (SYN | ACK, b"", None),
    ];
    for (flags, data, len) in rows {
        peer.send(flags, 0, 1_000, data);
        let reset = peer.await_that("a reset", |_| true).segment;
        match len {
            Some(len) => {
                assert_eq!(
                    reset.flags,
                    Flags(Flags::RST.0 | Flags::ACK.0),
                    "{flags:#x}"
                );
                assert_eq!(
                    (reset.seq.0, reset.ack.0),
                    (0, peer.iss().wrapping_add(len)),
                    "{flags:#x}"
                );
            }
            None => {
                assert_eq!(reset.flags, Flags::RST, "{flags:#x}");
                assert_eq!(reset.seq.0, peer.irs().wrapping_add(1_000), "{flags:#x}");
            }
        }
    }
    // "If the incoming segment contains a RST, it is discarded."
    for flags in [RST, RST | ACK, RST | SYN, RST | FIN | ACK] {
        peer.send(flags, 0, 1, b"");
    }
    peer.expect_nothing();
}

/// Section 3.10.7.2: in LISTEN a RST is ignored, an ACK is reset, a SYN begins a connection, "other data or control"
/// is dropped.
pub(crate) fn a_listening_port_answers_only_what_it_must(peer: &mut Peer<'_>) {
    peer.remote.set_port(DISCARD);
    for flags in [
        RST,
        RST | ACK,
        RST | SYN,
        RST | FIN,
        FIN,
        0,
        PSH,
        FIN | PSH,
        SYN | FIN,
    ] {
        peer.send(flags, 0, 1, b"");
        peer.send(flags, 10, 1, b"data");
    }
    peer.expect_nothing();
    for flags in [ACK, PSH | ACK, SYN | ACK, FIN | ACK] {
        peer.send(flags, 0, 500, b"");
        let reset = peer.await_that("a reset", |_| true).segment;
        assert_eq!(
            (reset.flags, reset.seq.0),
            (Flags::RST, peer.irs().wrapping_add(500))
        );
    }
}

/// A connection whose client goes away after the SYN is not there when it comes back with other numbers; the handshake
/// succeeds with the next SYN after the reset.
pub(crate) fn a_client_that_forgot_its_handshake_gets_through(peer: &mut Peer<'_>) {
    peer.begin(DAYTIME, USUAL);
    let (first, later) = (peer.iss(), peer.iss().wrapping_sub(1 << 20));
    peer.renumber(later);
    peer.syn(USUAL);
    let answer = peer.await_that("an answer", |seen| {
        !seen.has(Flags::SYN) || seen.segment.ack == SeqNumber(later) + 1
    });
    if answer.is_ack() {
        assert_eq!(answer.segment.ack, SeqNumber(first) + 1);
        // In SYN-SENT an ACK of something else is answered with <SEQ=SEG.ACK><CTL=RST>.
        peer.renumber(first);
        peer.send(RST, 1, 0, b"");
        peer.renumber(later);
        peer.syn(USUAL);
        peer.await_syn_ack();
    }
    peer.send(ACK, 1, 1, b"");
    peer.await_that("the time of day", |seen| !seen.data.is_empty());
    assert!(matches!(peer.target(), Target::Tcplab | Target::Linux));
}

/// RFC 4987, section 3.6: where the backlog is full, a SYN is answered and forgotten; the ACK brings back what counts.
#[test]
fn beyond_the_backlog_cookies_serve() {
    for (local, remote) in crate::PAIRS {
        let mut memory = crate::memory::Memory::new(|config| config.backlog = 0);
        let (local, remote) = (local.parse().unwrap(), remote.parse().unwrap());
        let mut peer = Peer::new(&mut memory, local, remote, 40_000);
        let syn_ack = peer.begin(ECHO, USUAL).segment;
        assert!(!syn_ack.sack_permitted() && syn_ack.window_scale().is_none());
        // Data may come with the ACK, or be the first that comes back.
        peer.echo(1, 1, b"hello");
        peer.echo(6, 6, b"again");
        peer.begin(CHARGEN, &[2, 4, 2, 24]);
        peer.send(ACK, 1, 1, b"");
        assert_eq!(
            peer.await_that("data", |seen| !seen.data.is_empty())
                .data
                .len(),
            536
        );
        // A number that nobody gave out opens nothing.
        peer.begin(ECHO, USUAL);
        peer.send(ACK, 1, 2, b"");
        peer.expect("R 2:2(0)");
        peer.send(ACK, 2, 1, b"");
        peer.expect("R 1:1(0)");
        peer.send(ACK, 1, 1, b"");
        peer.echo(1, 1, b"hello");
    }
}
