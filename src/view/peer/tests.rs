use super::*;
use Basis::{Assumed, Told};
use Opening::{Active, Passive};
use TcpState::*;

const IN: Direction = Direction::In;
const OUT: Direction = Direction::Out;
const ISS: SeqNumber = SeqNumber(u32::MAX - 1);
const IRS: SeqNumber = SeqNumber(7000);

/// A segment whose numbers count from the initial ones, as in a ladder.
fn segment(direction: Direction, flags: &str, seq: u32, len: usize, ack: Option<u32>) -> Segment {
    let (own, other) = match direction {
        IN => (IRS, ISS),
        OUT => (ISS, IRS),
    };
    let bit = |letter| match letter {
        'S' => Flags::SYN,
        'F' => Flags::FIN,
        'R' => Flags::RST,
        _ => panic!("no flag {letter}"),
    };
    let bits = flags.chars().fold(0, |bits, letter| bits | bit(letter).0);
    Segment {
        src_port: 1,
        dst_port: 2,
        seq: own + seq,
        ack: ack.map_or(SeqNumber(0), |ack| other + ack),
        flags: Flags(bits | ack.map_or(0, |_| Flags::ACK.0)),
        window: 1000,
        urgent: 0,
        options: Default::default(),
        payload: 40..40 + len,
        checksum_ok: true,
    }
}

/// One segment and what the peer must be after it: direction, flags, seq, length, ack, state, basis.
type Step = (
    Direction,
    &'static str,
    u32,
    usize,
    Option<u32>,
    TcpState,
    Basis,
);

fn check(name: &str, opening: Opening, steps: &[Step]) {
    let mut peer = InferredPeer::new(opening);
    for (number, &(direction, flags, seq, len, ack, state, basis)) in steps.iter().enumerate() {
        let (before, was) = (peer.state(), peer.basis());
        let changed = peer.segment(direction, &segment(direction, flags, seq, len, ack));
        assert_eq!(
            (peer.state(), peer.basis()),
            (state, basis),
            "{name}, segment {number}"
        );
        assert_eq!(changed, before != state, "{name}, segment {number}");
        // What was only assumed may turn out wrong.
        let corrected = was == Assumed && direction == IN;
        assert!(
            !changed || corrected || before.may_become(state),
            "{name}, segment {number}: no edge from {before} to {state}"
        );
    }
}

/// The handshake of a passive open, as our end sees it.
const SHAKE: [Step; 3] = [
    (IN, "S", 0, 0, None, SynSent, Told),
    (OUT, "S", 0, 0, Some(1), Established, Assumed),
    (IN, "", 1, 0, Some(1), Established, Told),
];

fn after_handshake(name: &str, steps: &[Step]) {
    check(name, Passive, &[&SHAKE, steps].concat());
}

#[test]
fn nothing_seen_yet() {
    assert_eq!(InferredPeer::new(Passive).state(), Closed);
    assert_eq!(InferredPeer::new(Active).state(), Listen);
    assert_eq!(InferredPeer::new(Active).basis(), Assumed);
}

#[test]
fn opening() {
    check(
        "SYN and SYN-ACK lost and sent again",
        Passive,
        &[
            (IN, "S", 0, 0, None, SynSent, Told),
            (IN, "S", 0, 0, None, SynSent, Told),
            (OUT, "S", 0, 0, Some(1), Established, Assumed),
            (IN, "S", 0, 0, None, Established, Assumed),
            (OUT, "S", 0, 0, Some(1), Established, Assumed),
            (IN, "", 1, 3, Some(1), Established, Told),
        ],
    );
    check(
        "active open",
        Active,
        &[
            (OUT, "S", 0, 0, None, Listen, Assumed),
            (OUT, "S", 0, 0, None, Listen, Assumed),
            (IN, "S", 0, 0, Some(1), SynReceived, Told),
            (OUT, "", 1, 0, Some(1), Established, Assumed),
            (IN, "S", 0, 0, Some(1), Established, Assumed),
        ],
    );
    check(
        "simultaneous open, RFC 9293 figure 7",
        Active,
        &[
            (OUT, "S", 0, 0, None, Listen, Assumed),
            (IN, "S", 0, 0, None, SynSent, Told),
            (OUT, "S", 0, 0, Some(1), SynReceived, Assumed),
            (IN, "S", 0, 0, Some(1), Established, Assumed),
        ],
    );
    check(
        "refused by the peer",
        Active,
        &[
            (OUT, "S", 0, 0, None, Listen, Assumed),
            (IN, "R", 0, 0, Some(1), Closed, Told),
        ],
    );
    check(
        "refused by us",
        Passive,
        &[
            (IN, "S", 0, 0, None, SynSent, Told),
            (OUT, "R", 0, 0, Some(1), Closed, Assumed),
        ],
    );
    check(
        "an old SYN-ACK is answered with a RST, RFC 9293 section 3.10.7.3",
        Passive,
        &[
            (IN, "S", 0, 0, None, SynSent, Told),
            (IN, "R", 77, 0, None, SynSent, Told),
        ],
    );
    check(
        "the peer gives up before our SYN-ACK comes",
        Passive,
        &[
            (IN, "S", 0, 0, None, SynSent, Told),
            (OUT, "S", 0, 0, Some(1), Established, Assumed),
            (IN, "R", 1, 0, None, Closed, Told),
        ],
    );
}

/// RFC 9293, section 3.10.7.3: what comes in SYN-SENT.
#[test]
fn answers_to_a_syn_that_open_nothing() {
    check(
        "a SYN-ACK of another SYN, its RST, and the right one",
        Passive,
        &[
            (IN, "S", 0, 0, None, SynSent, Told),
            (OUT, "S", 0, 0, Some(3_000_000), SynSent, Told),
            (IN, "R", 3_000_000, 0, None, SynSent, Told),
            (OUT, "S", 0, 0, Some(1), Established, Assumed),
        ],
    );
    check(
        "a SYN alone",
        Passive,
        &[
            (IN, "S", 0, 0, None, SynSent, Told),
            (OUT, "S", 0, 0, None, SynReceived, Assumed),
            (IN, "S", 0, 0, Some(1), SynReceived, Told),
            (OUT, "", 1, 0, Some(1), Established, Assumed),
        ],
    );
}

#[test]
fn closing() {
    after_handshake(
        "the peer first, RFC 9293 figure 12",
        &[
            (IN, "F", 1, 0, Some(1), FinWait1, Told),
            (OUT, "", 1, 0, Some(2), FinWait2, Assumed),
            (OUT, "F", 1, 0, Some(2), TimeWait, Assumed),
            (IN, "", 2, 0, Some(2), TimeWait, Assumed),
        ],
    );
    after_handshake(
        "the peer first, our ACK and FIN in one segment",
        &[
            (IN, "F", 1, 4, Some(1), FinWait1, Told),
            (OUT, "F", 1, 0, Some(6), TimeWait, Assumed),
        ],
    );
    after_handshake(
        "the peer first, and half-closed for a while",
        &[
            (IN, "F", 1, 0, Some(1), FinWait1, Told),
            (OUT, "", 1, 10, Some(2), FinWait2, Assumed),
            (IN, "", 2, 0, Some(11), FinWait2, Assumed),
            (OUT, "F", 11, 0, Some(2), TimeWait, Assumed),
        ],
    );
    after_handshake(
        "we first",
        &[
            (OUT, "F", 1, 0, Some(1), CloseWait, Assumed),
            (IN, "", 1, 0, Some(2), CloseWait, Told),
            (IN, "F", 1, 0, Some(2), LastAck, Told),
            (OUT, "", 2, 0, Some(2), Closed, Assumed),
        ],
    );
    after_handshake(
        "we first, its ACK and FIN in one segment",
        &[
            (OUT, "F", 1, 0, Some(1), CloseWait, Assumed),
            (IN, "F", 1, 0, Some(2), LastAck, Told),
            (OUT, "", 2, 0, Some(2), Closed, Assumed),
        ],
    );
    after_handshake(
        "we first, and the peer goes on sending",
        &[
            (OUT, "F", 1, 0, Some(1), CloseWait, Assumed),
            (IN, "", 1, 9, Some(2), CloseWait, Told),
            (OUT, "", 2, 0, Some(10), CloseWait, Told),
            (IN, "F", 10, 0, Some(2), LastAck, Told),
            (OUT, "", 2, 0, Some(11), Closed, Assumed),
        ],
    );
    after_handshake(
        "both at once, RFC 9293 figure 13",
        &[
            (OUT, "F", 1, 0, Some(1), CloseWait, Assumed),
            (IN, "F", 1, 0, Some(1), Closing, Assumed),
            (OUT, "", 2, 0, Some(2), TimeWait, Assumed),
            (IN, "", 2, 0, Some(2), TimeWait, Assumed),
        ],
    );
}

#[test]
fn retransmissions_tell_nothing_new() {
    after_handshake(
        "its FIN again and again",
        &[
            (IN, "F", 1, 0, Some(1), FinWait1, Told),
            (IN, "F", 1, 0, Some(1), FinWait1, Told),
            (OUT, "", 1, 0, Some(2), FinWait2, Assumed),
            (IN, "F", 1, 0, Some(1), FinWait2, Assumed),
            (OUT, "F", 1, 0, Some(2), TimeWait, Assumed),
            (OUT, "F", 1, 0, Some(2), TimeWait, Assumed),
            (IN, "F", 1, 0, Some(2), TimeWait, Assumed),
            (OUT, "", 2, 0, Some(2), TimeWait, Assumed),
        ],
    );
    after_handshake(
        "our FIN and its again",
        &[
            (OUT, "F", 1, 0, Some(1), CloseWait, Assumed),
            (OUT, "F", 1, 0, Some(1), CloseWait, Assumed),
            (IN, "F", 1, 0, Some(2), LastAck, Told),
            (OUT, "", 2, 0, Some(2), Closed, Assumed),
            (IN, "F", 1, 0, Some(2), Closed, Assumed),
            (OUT, "", 2, 0, Some(2), Closed, Assumed),
        ],
    );
}

#[test]
fn resets_and_gaps() {
    after_handshake(
        "the peer resets",
        &[
            (OUT, "", 1, 5, Some(1), Established, Told),
            (IN, "R", 1, 0, None, Closed, Told),
        ],
    );
    after_handshake("we reset", &[(OUT, "R", 1, 0, Some(1), Closed, Assumed)]);
    after_handshake(
        "our FIN is received in its turn only",
        &[
            (OUT, "F", 6, 0, Some(1), Established, Told),
            (IN, "", 1, 0, Some(1), Established, Told),
            (OUT, "", 1, 5, Some(1), Established, Told),
            (IN, "", 1, 0, Some(7), CloseWait, Told),
        ],
    );
}

#[test]
fn what_a_kernel_may_say() {
    #[track_caller]
    fn check(name: &str, steps: &[(Direction, &str, u32, Option<u32>)], expected: &[TcpState]) {
        let mut peer = InferredPeer::new(Passive);
        for &(direction, flags, seq, ack) in steps {
            peer.segment(direction, &segment(direction, flags, seq, 0, ack));
        }
        let may: Vec<TcpState> = TcpState::ALL
            .into_iter()
            .filter(|&asked| peer.agrees_with(asked))
            .collect();
        assert_eq!(may, expected, "{name}");
    }
    let syn = (IN, "S", 0, None);
    let syn_ack = (OUT, "S", 0, Some(1));
    let ack = (IN, "", 1, Some(1));
    check("its SYN has come", &[syn], &[Closed, SynSent]);
    check(
        "our answer is out: it may not have it, have it, or have closed since",
        &[syn, syn_ack],
        &[Closed, SynSent, SynReceived, Established, FinWait1],
    );
    check(
        "it has acknowledged that",
        &[syn, syn_ack, ack],
        &[Closed, Established, FinWait1],
    );
    let fin = (IN, "F", 1, Some(1));
    check(
        "it has closed, and we have said nothing to it",
        &[syn, syn_ack, ack, fin],
        &[Closed, FinWait1],
    );
    let of_fin = (OUT, "", 1, Some(2));
    check(
        "our ACK of its FIN is out",
        &[syn, syn_ack, ack, fin, of_fin],
        &[Closed, FinWait1, FinWait2],
    );
    let ours = (OUT, "F", 1, Some(2));
    check(
        "and our FIN",
        &[syn, syn_ack, ack, fin, of_fin, ours],
        &[Closed, FinWait1, FinWait2, Closing, TimeWait],
    );
    let first = (OUT, "F", 1, Some(1));
    check(
        "our FIN is out first: it may have met one of its",
        &[syn, syn_ack, ack, first],
        &[Closed, Established, FinWait1, CloseWait, Closing, LastAck],
    );
    check(
        "it has acknowledged our FIN",
        &[syn, syn_ack, ack, first, (IN, "", 1, Some(2))],
        &[Closed, CloseWait, Closing, LastAck],
    );
    check(
        "and closed too",
        &[syn, syn_ack, ack, first, (IN, "F", 1, Some(2))],
        &[Closed, Closing, LastAck, TimeWait],
    );
    check(
        "it has reset",
        &[syn, syn_ack, ack, (IN, "R", 1, None)],
        &[Closed],
    );
}

/// Sequence numbers wrap: what has come first stays known however much follows.
#[test]
fn an_established_peer_stays_so_however_much_it_sends() {
    let mut peer = InferredPeer::new(Passive);
    for (direction, flags, seq, len, ack, ..) in SHAKE {
        peer.segment(direction, &segment(direction, flags, seq, len, ack));
    }
    let mut next = 1u32;
    // Five gigabytes, in both directions.
    for _ in 0..50 {
        let len = 100_000_000;
        peer.segment(IN, &segment(IN, "", next, len, Some(next)));
        let end = next.wrapping_add(len as u32);
        peer.segment(OUT, &segment(OUT, "", next, len, Some(end)));
        next = end;
        assert_eq!(peer.state(), Established, "at {next}");
        assert_eq!(peer.told(), Established, "at {next}");
    }
}
