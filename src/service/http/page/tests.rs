use super::*;
use crate::event::FlowId;
use crate::segment::{Body, Described, Flags, Segment, SeqNumber, TcpOption};

const IRS: u32 = 3_921_345_678;
const ISS: u32 = u32::MAX;

#[test]
fn the_text_shows_the_ladder_and_what_the_numbers_mean() {
    let expected = "\
The TCP handshake of this connection

These are the segments that opened the connection over which this page came.

client      192.0.2.1:40000
server      192.0.2.2:80 (tcplab)
connection  #3
request     2 on this connection
opened      by the client: passive open on the server's side
IRS         3921345678, where the client's numbers begin
ISS         4294967295, where the server's numbers begin
took        1.100 ms, 3 segments

       ms  client 192.0.2.1:40000                                                   tcplab 192.0.2.2:80
           │                                                                      │ LISTEN
    0.000  │── S 0:0(0) win 64240 ───────────────────────────────────────────────▶│ SYN-RECEIVED
           │   S 3921345678:3921345678(0) win 64240                               │
           │   <mss 1460,sackOK,nop,wscale 7>                                     │
    0.041  │◀─ S. 0:0(0) ack 1 win 64240 ─────────────────────────────────────────│ SYN-RECEIVED
           │   S. 4294967295:4294967295(0) ack 3921345679 win 64240               │
           │   <mss 1460,wscale 2,sackOK>                                         │
    1.100  │── . 1:1(0) ack 1 win 64240 ─────────────────────────────────────────▶│ ESTABLISHED
           │   . 3921345679:3921345679(0) ack 0 win 64240                         │

- ack = seq + 1: the client's SYN has seq 3921345678, the server acknowledges
  with ack 3921345679. A SYN carries no data, yet it counts one.
- ack = seq + 1: the server's SYN has seq 4294967295, the client acknowledges
  with ack 0. A SYN carries no data, yet it counts one.
- The ack number means something only where the ACK bit is set (the dot in S.
  and in . alone): the first SYN has none, since there is nothing to acknowledge
  yet.
- MSS: the client takes segments with at most 1460 bytes of data and options,
  the server 1460.
- Window scale: agreed: the client's windows count 128 times, the server's 4
  times, except in SYNs.
- SACK: agreed: either end may say which data beyond a gap has arrived.

Time is in milliseconds since the first segment. On each arrow sequence numbers
count from the initial ones, as packetdrill prints them; below it stand the same
numbers as the wire carries them. The state at the right is the server's after
that segment.{blanks}
";
    let text = Page::new(&handshake(), 2).text();
    // Two numbers are shorter than they could be, by nine digits and by five.
    assert_eq!(text, expected.replace("{blanks}", &" ".repeat(14)));
}

/// So that the same request is answered with the same segments.
#[test]
fn numbers_do_not_change_the_length() {
    let long = Page::new(&handshake(), 2).text().len();
    let mut handshake = handshake();
    for step in &mut handshake.steps {
        let Body::Tcp(segment) = &mut step.described.body else {
            continue;
        };
        let move_on = |number: &mut SeqNumber, from: u32, to: u32| {
            *number = SeqNumber(number.0.wrapping_sub(from).wrapping_add(to));
        };
        let (seq, ack) = match step.direction {
            Direction::In => ((IRS, 7), (ISS, 12_345)),
            Direction::Out => ((ISS, 12_345), (IRS, 7)),
        };
        move_on(&mut segment.seq, seq.0, seq.1);
        if segment.flags.contains(Flags::ACK) {
            move_on(&mut segment.ack, ack.0, ack.1);
        }
        step.at += smoltcp::time::Duration::from_millis(20);
    }
    handshake.irs = SeqNumber(7);
    handshake.iss = SeqNumber(12_345);
    let short = Page::new(&handshake, 2).text();
    assert!(
        short.contains("has seq 7, the server acknowledges with ack 8"),
        "{short}"
    );
    assert_eq!(short.len(), long, "{short}");
}

#[test]
fn the_document_is_escaped_and_says_the_same() {
    let page = Page::new(&handshake(), 1);
    let html = page.html();
    assert!(html.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
    assert!(html.contains("&lt;mss 1460,sackOK,nop,wscale 7&gt;"));
    assert!(!html.contains("<mss"));
    assert!(html.contains("<dt>IRS</dt><dd>3921345678, where the client&#39;s numbers begin</dd>"));
    assert!(html.contains("<dt>ISS</dt><dd>4294967295, where the server&#39;s numbers begin</dd>"));
    for outside in ["src=", "href=", "@import", "url("] {
        assert!(!html.contains(outside), "{outside}");
    }
}

#[test]
fn nothing_is_claimed_that_was_not_seen() {
    let mut handshake = handshake();
    // Only the retransmitted SYN-ACK is left.
    handshake
        .steps
        .retain(|step| step.direction == Direction::Out);
    let page = Page::new(&handshake, 1);
    assert!(page.relations.is_empty(), "{:?}", page.relations);
    assert!(page.agreed.is_empty());

    handshake.steps.clear();
    assert!(Page::new(&handshake, 1).text().contains("LISTEN"));
}

#[test]
fn options_count_only_where_both_ends_offer_them() {
    #[track_caller]
    fn check(client: &[TcpOption], server: &[TcpOption], expected: [&str; 3]) {
        let mut handshake = handshake();
        for (step, options) in handshake.steps.iter_mut().zip([client, server]) {
            if let Body::Tcp(segment) = &mut step.described.body {
                segment.options = options.iter().copied().collect();
            }
        }
        assert_eq!(facts::agreed(&handshake), expected);
    }
    check(
        &[],
        &[],
        [
            "MSS: the client takes segments with at most 536 (not announced) bytes of data and options, the server 536 (not announced).",
            "Window scale: not agreed, neither end offers it.",
            "SACK: not agreed, neither end offers it.",
        ],
    );
    check(
        &[TcpOption::WindowScale(15), TcpOption::MaxSegmentSize(1400)],
        &[TcpOption::WindowScale(0), TcpOption::SackPermitted],
        [
            "MSS: the client takes segments with at most 1400 bytes of data and options, the server 536 (not announced).",
            "Window scale: agreed: the client's windows count 16384 times, the server's 1 times, except in SYNs.",
            "SACK: not agreed, only the server offers it.",
        ],
    );
}

/// SYN, SYN-ACK, ACK.
fn handshake() -> Handshake {
    let (irs, iss) = (SeqNumber(IRS), SeqNumber(ISS));
    let client = vec![
        TcpOption::MaxSegmentSize(1460),
        TcpOption::SackPermitted,
        TcpOption::Nop,
        TcpOption::WindowScale(7),
    ];
    let server = vec![
        TcpOption::MaxSegmentSize(1460),
        TcpOption::WindowScale(2),
        TcpOption::SackPermitted,
    ];
    let syn_ack = Flags(Flags::SYN.0 | Flags::ACK.0);
    Handshake {
        flow: FlowId(3),
        local: "192.0.2.2:80".parse().unwrap(),
        peer: "192.0.2.1:40000".parse().unwrap(),
        opening: Opening::Passive,
        iss,
        irs,
        steps: vec![
            step(
                1_000,
                Direction::In,
                segment(Flags::SYN, irs, SeqNumber(0), client),
                TcpState::SynReceived,
            ),
            step(
                1_041,
                Direction::Out,
                segment(syn_ack, iss, irs + 1, server),
                TcpState::SynReceived,
            ),
            step(
                2_100,
                Direction::In,
                segment(Flags::ACK, irs + 1, iss + 1, vec![]),
                TcpState::Established,
            ),
        ],
    }
}

fn step(micros: i64, direction: Direction, segment: Segment, state: TcpState) -> HandshakeStep {
    HandshakeStep {
        at: Instant::from_micros(micros),
        direction,
        described: Described {
            ip: None,
            body: Body::Tcp(segment),
        },
        state,
    }
}

fn segment(flags: Flags, seq: SeqNumber, ack: SeqNumber, options: Vec<TcpOption>) -> Segment {
    Segment {
        src_port: 0,
        dst_port: 0,
        seq,
        ack,
        flags,
        window: 64240,
        urgent: 0,
        options: options.into_iter().collect(),
        payload: 0..0,
        checksum_ok: true,
    }
}
