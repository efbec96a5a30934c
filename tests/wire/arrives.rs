//! SEGMENT ARRIVES (RFC 9293, section 3.10.7.4), step by step, in every state that a peer can bring about.

use tcplab::segment::{Flags, SeqNumber};

use crate::closing::STATES;
use crate::peer::{DISCARD, PAUSE, Peer, Seen, USUAL};
use crate::support::{ACK, FIN, PSH, SYN};

/// Acknowledgments of what is not acceptable are limited: to one each half second by Linux, to one each second by us.
const LIMITED: u32 = 7;

/// "First, check sequence number": "If an incoming segment is not acceptable, an acknowledgment should be sent in reply
/// [...]: <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>".
pub(crate) fn what_is_not_acceptable_is_acknowledged_in_every_state(peer: &mut Peer<'_>) {
    for state in STATES.into_iter().chain(["SYN-RECEIVED"]) {
        let (seq, ack) = peer.enter(state);
        let rows: [(i32, &[u8]); 3] = [(50_000_000, b"far away"), (-4, b"old"), (-1_000, b"")];
        for (ahead, data) in rows {
            peer.send(ACK, seq + ahead, ack, data);
            peer.await_acknowledgment(seq, state);
            // Linux limits these whatever they carry.
            if ["SYN-RECEIVED", "TIME-WAIT"].contains(&state) {
                peer.all(PAUSE * LIMITED);
            }
        }
    }
}

/// "Fifth, check the ACK field: if the ACK bit is off, drop the segment and return".
pub(crate) fn without_ack_nothing_counts_in_any_state(peer: &mut Peer<'_>) {
    for state in STATES.into_iter().chain(["SYN-RECEIVED"]) {
        let (seq, _) = peer.enter(state);
        for flags in [0, PSH, FIN] {
            peer.send(flags, seq, 0, b"");
            peer.send(flags, seq, 0, b"no ACK");
        }
        // In TIME-WAIT Linux says what there is, and in CLOSE-WAIT it probes our window with an old number.
        let excused = ["CLOSE-WAIT", "TIME-WAIT"].contains(&state);
        for seen in peer.all(PAUSE) {
            let nothing_new = excused && peer.acknowledges(&seen, seq);
            peer.fail_unless(!seen.is_ack() || nothing_new, state);
        }
    }
}

/// "If the ACK is a duplicate (SEG.ACK =< SND.UNA), it can be ignored", whatever window it brings; and an acknowledgment is
/// never acknowledged.
pub(crate) fn a_duplicate_ack_draws_nothing_in_any_state(peer: &mut Peer<'_>) {
    for state in STATES {
        let (seq, ack) = peer.enter(state);
        for window in [65_535, 60_000, 60_000, 65_535] {
            // One that opens would let the data flow.
            if state != "CLOSE-WAIT" {
                peer.window = window;
            }
            peer.send(ACK, seq, ack, b"");
        }
        let answered = peer.all(PAUSE).iter().any(Seen::is_ack);
        peer.fail_unless(!answered, state);
    }
}

/// "If the ACK acks something not yet sent (SEG.ACK > SND.NXT), then send an ACK, drop the segment, and return."
pub(crate) fn an_ack_of_the_future_is_challenged_in_every_state(peer: &mut Peer<'_>) {
    // In TIME-WAIT "the only thing that can arrive [...] is a retransmission of the remote FIN".
    for state in STATES.into_iter().filter(|&state| state != "TIME-WAIT") {
        let (seq, ack) = peer.enter(state);
        peer.send(ACK, seq, ack + 1_000_000, b"");
        peer.await_acknowledgment(seq, state);
        let there = peer.is_there(seq, ack);
        peer.fail_unless(there, state);
    }
}

/// "Seventh, process the segment text", of ESTABLISHED, FIN-WAIT-1 and FIN-WAIT-2: it is taken.
pub(crate) fn text_counts_until_the_fin(peer: &mut Peer<'_>) {
    for state in ["ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2"] {
        let (seq, ack) = peer.enter(state);
        peer.send(PSH | ACK, seq, ack, b"text");
        peer.await_acknowledgment(seq + 4, state);
    }
}

/// Of the states behind the peer's FIN: "This should not occur since a FIN has been received from the remote side. Ignore the
/// segment text."
pub(crate) fn text_behind_the_fin_is_ignored(peer: &mut Peer<'_>) {
    for state in ["CLOSE-WAIT", "CLOSING", "LAST-ACK", "TIME-WAIT"] {
        let (seq, ack) = peer.enter(state);
        for flags in [PSH | ACK, FIN | PSH | ACK] {
            peer.send(flags, seq, ack, b"text");
            for seen in peer.all(PAUSE) {
                peer.fail_unless(peer.acknowledges(&seen, seq), state);
            }
        }
        peer.all(PAUSE * LIMITED);
        let there = peer.is_there(seq, ack);
        peer.fail_unless(there, state);
    }
}

/// "Eighth, check the FIN bit", of the states behind it: "Remain in the [...] state", and the segment is not acceptable.
pub(crate) fn the_fin_again_is_acknowledged_in_every_state(peer: &mut Peer<'_>) {
    for state in ["CLOSE-WAIT", "CLOSING", "LAST-ACK", "TIME-WAIT"] {
        let (seq, ack) = peer.enter(state);
        peer.send(FIN | ACK, seq - 1, ack, b"");
        peer.await_acknowledgment(seq, state);
        peer.all(PAUSE * LIMITED);
        let there = peer.is_there(seq, ack);
        peer.fail_unless(there, state);
    }
}

/// Of FIN-WAIT-2: "Enter the TIME-WAIT state", with or without a last piece of data.
pub(crate) fn a_fin_in_fin_wait_2_leads_to_time_wait(peer: &mut Peer<'_>) {
    for data in [&b""[..], b"the last"] {
        let (seq, ack) = peer.enter("FIN-WAIT-2");
        let end = seq + data.len() as i32 + 1;
        peer.send(FIN | ACK, seq, ack, data);
        peer.await_acknowledgment(end, "FIN-WAIT-2");
        peer.all(PAUSE * LIMITED);
        peer.send(FIN | ACK, end - 1, ack, b"");
        peer.await_acknowledgment(end, "TIME-WAIT");
    }
}

/// Of LAST-ACK: "If our FIN is now acknowledged, delete the TCB, enter the CLOSED state, and return."
pub(crate) fn the_ack_of_our_fin_ends_last_ack(peer: &mut Peer<'_>) {
    let (seq, ack) = peer.enter("LAST-ACK");
    peer.send(ACK, seq, ack + 1, b"");
    peer.all(PAUSE);
    peer.send(ACK, seq, ack + 1, b"");
    peer.expect(&format!("R {0}:{0}(0)", ack + 1));
}

/// "Fourth, check the SYN bit", of SYN-RECEIVED: "If the connection was initiated with a passive OPEN, then return this
/// connection to the LISTEN state and return."
pub(crate) fn a_syn_in_the_window_starts_a_handshake_over(peer: &mut Peer<'_>) {
    peer.begin(DISCARD, USUAL);
    peer.send(SYN, 500, 0, b"");
    // Linux says so with a reset.
    peer.all(PAUSE);
    peer.renumber(peer.iss().wrapping_add(500));
    peer.syn(USUAL);
    let syn_ack = peer.await_syn_ack();
    assert_eq!(syn_ack.segment.ack, SeqNumber(peer.iss()) + 1);
    peer.send(PSH | ACK, 1, 1, b"hello");
    peer.await_acknowledgment(6, "ESTABLISHED");
}

/// Of LISTEN: "Any other control or text should be queued for processing later." It may as well come again, as nobody has
/// acknowledged it: whoever lies about its address is not to fill any buffers.
pub(crate) fn text_in_a_syn_comes_again(peer: &mut Peer<'_>) {
    peer.local.set_port(peer.local.port() + 1);
    peer.remote.set_port(DISCARD);
    peer.send(SYN, 0, 0, b"early");
    let syn_ack = peer.await_syn_ack();
    assert_eq!(syn_ack.segment.ack, SeqNumber(peer.iss()) + 1);
    peer.send(PSH | ACK, 1, 1, b"early");
    peer.await_acknowledgment(6, "ESTABLISHED");
}

impl Peer<'_> {
    /// Brings the target into a state, and has it stay there; the next numbers to send and to acknowledge.
    fn enter(&mut self, state: &str) -> (i32, i32) {
        self.window = 65_535;
        let numbers = self.reach(state);
        if state == "CLOSE-WAIT" {
            self.window = 0;
        }
        numbers
    }

    /// Whether it acknowledges all before `number` of ours, and no more.
    fn acknowledges(&self, seen: &Seen, number: i32) -> bool {
        seen.has(Flags::ACK)
            && seen.segment.ack == SeqNumber(self.iss().wrapping_add_signed(number))
    }

    /// A bare acknowledgment of all before `number` comes, in `state`.
    #[track_caller]
    fn await_acknowledgment(&mut self, number: i32, state: &str) {
        let expected = SeqNumber(self.iss().wrapping_add_signed(number));
        self.await_that(&format!("an ACK in {state}"), |seen| {
            seen.is_ack() && seen.segment.ack == expected
        });
    }
}
