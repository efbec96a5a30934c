//! The end of connections: FINs in all places, and every state behind them.

use tcplab::segment::{Flags, SeqNumber};

use crate::peer::{CHARGEN, DAYTIME, DISCARD, ECHO, PAUSE, Peer, Target, USUAL};
use crate::support::{ACK, FIN, PSH, RST, SYN};

/// RFC 9293, section 3.10.7.4: a FIN counts whatever has been received of the data before it.
pub(crate) fn a_fin_behind_data_received_before_counts(peer: &mut Peer<'_>) {
    for from in [1, 3] {
        peer.open(DISCARD);
        peer.send(PSH | ACK, 1, 1, b"hello");
        peer.all(PAUSE);
        peer.send(FIN | PSH | ACK, from, 1, &b"hello"[from as usize - 1..]);
        peer.await_that("the ACK of the FIN", |seen| {
            seen.segment.ack == SeqNumber(peer_end(7))
        });
    }
}

/// The number `offset` behind the peer's initial one.
fn peer_end(offset: u32) -> u32 {
    (u32::MAX - 2_000).wrapping_add(offset)
}

/// SHLD-31: what comes too early is kept; so is its FIN.
pub(crate) fn a_fin_before_its_data_counts_once_the_data_is_there(peer: &mut Peer<'_>) {
    peer.open(ECHO);
    peer.send(FIN | PSH | ACK, 6, 1, b" world");
    peer.expect(". 1:1(0) ack 1");
    peer.send(PSH | ACK, 1, 1, b"hello");
    let end = SeqNumber(peer_end(13));
    let mut back = peer.await_that("the ACK of the FIN", |seen| seen.segment.ack == end);
    if back.data.is_empty() {
        back = peer.await_that("the echo", |seen| !seen.data.is_empty());
    }
    assert!(b"hello world".starts_with(&back.data), "{:?}", back.data);
}

/// "trimming off any portions that lie outside the window (including SYN and FIN)": of a segment that does not fit,
/// what fits is taken, and the FIN only together with all that precedes it.
pub(crate) fn a_fin_beyond_the_window_does_not_count(peer: &mut Peer<'_>) {
    peer.open_with(DISCARD, &[2, 4, 5, 180]);
    // The window is not scaled: 65,535 bytes at most.
    peer.send(FIN | PSH | ACK, 65_000, 1, &[b'x'; 1_400]);
    for seen in peer.all(PAUSE) {
        assert_eq!(
            seen.segment.ack,
            SeqNumber(peer_end(1)),
            "{:?}",
            seen.segment
        );
    }
    peer.send(PSH | ACK, 1, 1, b"still open");
    peer.await_that("the ACK", |seen| {
        seen.segment.ack == SeqNumber(peer_end(11))
    });
}

/// Both FINs cross.
pub(crate) fn both_close_at_once(peer: &mut Peer<'_>) {
    let (fin, end) = peer.open_daytime();
    peer.send(FIN | ACK, 1, fin, b"");
    peer.await_that("the ACK of our FIN", |seen| {
        seen.segment.ack == SeqNumber(peer_end(2))
    });
    // CLOSING: the ACK of its FIN leads to TIME-WAIT.
    peer.send(ACK, 2, end, b"");
    peer.expect_nothing();
    peer.send(FIN | ACK, 1, end, b"");
    peer.await_text(&format!(". {end}:{end}(0) ack 2"));
}

/// A FIN that was lost is sent again, also alone.
pub(crate) fn a_fin_is_sent_again(peer: &mut Peer<'_>) {
    let (fin, end) = peer.open_daytime();
    peer.send(ACK, 1, fin, b"");
    peer.await_that("the FIN once more", |seen| {
        seen.has(Flags::FIN) && seen.segment.end() == SeqNumber(seen.segment.seq.0 + 1)
    });
    peer.send(ACK, 1, end, b"");
    peer.expect_nothing();
}

/// MUST-13 and RFC 9293, section 3.10.7.4: in TIME-WAIT "the only thing that can arrive in this state is a retransmission
/// of the remote FIN. Acknowledge it, and restart the 2 MSL timeout".
pub(crate) fn time_wait_acknowledges_the_fin_again(peer: &mut Peer<'_>) {
    let end = peer.reach_time_wait();
    for _ in 0..2 {
        peer.send(FIN | ACK, 1, end, b"");
        peer.expect(&format!(". {end}:{end}(0) ack 2"));
        // Linux limits these to one each half second.
        peer.expect_nothing_for(PAUSE * 4);
    }
}

/// An old SYN in TIME-WAIT is acknowledged; nothing begins.
pub(crate) fn an_old_syn_in_time_wait_is_acknowledged(peer: &mut Peer<'_>) {
    let end = peer.reach_time_wait();
    peer.send(SYN, -1_000, 0, b"");
    peer.expect(&format!(". {end}:{end}(0) ack 2"));
}

/// MAY-2: "it MAY accept a new SYN from the remote TCP endpoint to reopen the connection directly from TIME-WAIT
/// state", with larger numbers both ways.
pub(crate) fn a_newer_syn_in_time_wait_reopens(peer: &mut Peer<'_>) {
    let end = peer.reach_time_wait();
    let old = SeqNumber(peer.irs()) + end as u32;
    peer.renumber(peer.iss().wrapping_add(10_000));
    peer.syn(USUAL);
    let syn_ack = peer.await_syn_ack();
    assert!(
        old.before(syn_ack.segment.seq),
        "{old} is not before {}",
        syn_ack.segment.seq
    );
    peer.send(ACK, 1, 1, b"");
    peer.await_that("the time of day", |seen| !seen.data.is_empty());
}

/// RFC 5961, section 3.2 in each state that can be reached: a reset counts with exactly RCV.NXT and in no other place.
pub(crate) fn a_reset_needs_the_exact_number_in_every_state(peer: &mut Peer<'_>) {
    for state in STATES {
        let (seq, ack) = peer.reach(state);
        peer.send(RST, seq + 50, 0, b"");
        peer.send(RST, seq - 50, 0, b"");
        peer.all(PAUSE);
        assert!(peer.is_there(seq, ack), "a wrong reset ended {state}");
        let (seq, _) = peer.reach(state);
        peer.send(RST, seq, 0, b"");
        peer.all(PAUSE);
        assert!(
            !peer.is_there(seq, ack),
            "the right reset did not end {state}"
        );
    }
}

/// RFC 5961, section 4.2 in each synchronized state.
pub(crate) fn a_syn_is_challenged_in_every_state(peer: &mut Peer<'_>) {
    for state in STATES {
        let (seq, ack) = peer.reach(state);
        for number in [seq + 50, seq - 50] {
            // In TIME-WAIT a newer one would reopen.
            if state == "TIME-WAIT" && number > seq {
                continue;
            }
            peer.send(SYN, number, 0, b"");
            let challenge = peer.await_that("a challenge", |seen| seen.is_ack());
            assert_eq!(
                challenge.segment.ack,
                SeqNumber(peer.iss().wrapping_add_signed(seq)),
                "{state}"
            );
            peer.all(PAUSE * 4);
        }
        assert!(peer.is_there(seq, ack), "a SYN ended {state}");
    }
}

/// Those of a connection whose handshake is complete.
pub(crate) const STATES: [&str; 7] = [
    "ESTABLISHED",
    "FIN-WAIT-1",
    "FIN-WAIT-2",
    "CLOSE-WAIT",
    "CLOSING",
    "LAST-ACK",
    "TIME-WAIT",
];

impl Peer<'_> {
    /// The time of day has come, with the FIN behind it, and none of it is acknowledged: the numbers of the FIN and
    /// behind it.
    fn open_daytime(&mut self) -> (i32, i32) {
        self.open(DAYTIME);
        let fin = self
            .await_that("the FIN", |seen| seen.has(Flags::FIN))
            .segment;
        let end = fin.end().since(SeqNumber(self.irs())) as i32;
        (end - 1, end)
    }

    /// The number after the FIN from the target, which has closed first and waits.
    fn reach_time_wait(&mut self) -> i32 {
        let (_, end) = self.open_daytime();
        self.send(FIN | ACK, 1, end, b"");
        self.await_text(&format!(". {end}:{end}(0) ack 2"));
        self.all(PAUSE);
        end
    }

    /// Brings the target into a state; the next numbers to send and to acknowledge.
    pub(crate) fn reach(&mut self, state: &str) -> (i32, i32) {
        let window = self.window;
        let numbers = match state {
            "ESTABLISHED" => {
                self.open(DISCARD);
                (1, 1)
            }
            "FIN-WAIT-1" => (1, self.open_daytime().0),
            "FIN-WAIT-2" => {
                let (_, end) = self.open_daytime();
                self.send(ACK, 1, end, b"");
                (1, end)
            }
            "CLOSE-WAIT" => {
                // It can't send, so it does not close.
                self.window = 0;
                self.begin(CHARGEN, USUAL);
                self.send(FIN | ACK, 1, 1, b"");
                (2, 1)
            }
            "SYN-RECEIVED" => {
                self.begin(DISCARD, USUAL);
                (1, 1)
            }
            "LAST-ACK" => {
                self.open(DISCARD);
                self.send(FIN | ACK, 1, 1, b"");
                self.await_that("the FIN", |seen| seen.has(Flags::FIN));
                (2, 1)
            }
            "CLOSING" => {
                let (fin, _) = self.open_daytime();
                self.send(FIN | ACK, 1, fin, b"");
                (2, fin)
            }
            "TIME-WAIT" => (2, self.reach_time_wait()),
            _ => unreachable!("{state}"),
        };
        self.all(PAUSE);
        self.window = window;
        numbers
    }

    /// Whether the connection is still there: where none is, an ACK draws a reset.
    pub(crate) fn is_there(&mut self, seq: i32, ack: i32) -> bool {
        self.send(ACK, seq - 1, ack, b"");
        let answers = self.all(PAUSE);
        assert!(self.target() == Target::Linux || !answers.is_empty());
        !answers.iter().any(|seen| seen.has(Flags::RST))
    }
}
