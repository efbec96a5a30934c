//! What a program's calls give (RFC 9293, sections 3.10.2 to 3.10.6 and 3.10.8): in memory only, as it is our own interface.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::rc::Rc;

use smoltcp::time::Duration;
use tcplab::engine::Config;
use tcplab::segment::{Flags, SeqNumber};
use tcplab::service::Connection;
use tcplab::state::TcpState;

use crate::memory::Memory;
use crate::peer::{PAUSE, Peer, USUAL, Wire};
use crate::support::{ACK, FIN, PSH, RST};

const PORT: u16 = 4_000;

/// What the calls of a program have given, one after the other.
#[derive(Clone, Default)]
struct Told(Rc<RefCell<Vec<String>>>);

impl Told {
    fn note(&self, call: &str, gave: &dyn std::fmt::Debug) {
        self.0.borrow_mut().push(format!("{call} {gave:?}"));
    }

    async fn read(&self, conn: &Connection) {
        let read = conn.read_up_to(100).await;
        let read = read.map(|data| String::from_utf8(data).unwrap());
        self.note("read", &read.map_err(|error| error.kind()));
    }

    async fn write(&self, conn: &Connection, data: &[u8]) {
        let written = conn.write_all(data).await;
        self.note("write", &written.map_err(|error| error.kind()));
    }

    async fn close(&self, conn: &Connection) {
        let closed = conn.close().await;
        self.note("close", &closed.map_err(|error| error.kind()));
    }

    fn state(&self, conn: &Connection) {
        self.note("state", &conn.state());
    }

    #[track_caller]
    fn check(&self, expected: &[&str]) {
        assert_eq!(self.0.take(), expected);
    }
}

/// Plays over both versions of IP against a program of our own, which tells what its calls have given.
fn play<F>(
    change: impl Fn(&mut Config),
    program: impl Fn(Connection, Told) -> F + Copy + 'static,
    script: impl Fn(&mut Peer<'_>, &Told),
) where
    F: Future<Output = io::Result<()>> + 'static,
{
    for (local, remote) in crate::PAIRS {
        let told = Told::default();
        let mut memory = Memory::new(&change);
        let clone = told.clone();
        memory
            .engine
            .serve_tcp(PORT, "ours", move |conn| program(conn, clone.clone()));
        let (local, remote) = (local.parse().unwrap(), remote.parse().unwrap());
        script(&mut Peer::new(&mut memory, local, remote, 40_000), &told);
    }
}

/// Section 3.10.2 of the states behind CLOSE: "Return 'error: connection closing' and do not service request"; section 3.10.3:
/// RECEIVE goes on until the peer's FIN; section 3.10.4: a second CLOSE is "ok", and no second FIN is sent.
#[test]
fn after_close_only_receive_goes_on() {
    let program = |conn: Connection, told: Told| async move {
        told.write(&conn, b"a").await;
        told.close(&conn).await;
        told.state(&conn);
        told.write(&conn, b"b").await;
        told.read(&conn).await;
        told.state(&conn);
        told.close(&conn).await;
        told.read(&conn).await;
        told.state(&conn);
        told.write(&conn, b"c").await;
        Ok(())
    };
    play(
        |_| {},
        program,
        |peer, told| {
            peer.open(PORT);
            peer.expect(". 1:2(1) ack 1");
            peer.expect("F. 2:2(0) ack 1");
            peer.send(ACK, 1, 3, b"");
            peer.send(PSH | ACK, 1, 3, b"hello");
            peer.await_text(". 3:3(0) ack 6");
            peer.send(FIN | ACK, 6, 3, b"");
            peer.await_text(". 3:3(0) ack 7");
            peer.expect_nothing();
            told.check(&[
                "write Ok(())",
                "close Ok(())",
                "state FinWait1",
                "write Err(BrokenPipe)",
                "read Ok(\"hello\")",
                "state FinWait2",
                "close Ok(())",
                "read Ok(\"\")",
                "state TimeWait",
                "write Err(BrokenPipe)",
            ]);
        },
    );
}

/// Section 3.10.3 of CLOSE-WAIT: RECEIVE is "satisfied by data already on hand", and after that tells the end; section 3.10.2:
/// SEND goes on.
#[test]
fn in_close_wait_what_is_there_is_received() {
    let program = |conn: Connection, told: Told| async move {
        conn.sleep(Duration::from_secs(1)).await;
        told.state(&conn);
        told.read(&conn).await;
        told.read(&conn).await;
        told.write(&conn, b"bye").await;
        told.close(&conn).await;
        told.state(&conn);
        told.read(&conn).await;
        told.write(&conn, b"more").await;
        Ok(())
    };
    play(
        |_| {},
        program,
        |peer, told| {
            peer.open(PORT);
            peer.send(PSH | ACK, 1, 1, b"hello");
            peer.send(FIN | PSH | ACK, 6, 1, b" world");
            peer.await_text(". 1:1(0) ack 13");
            peer.await_text(". 1:4(3) ack 13");
            peer.await_text("F. 4:4(0) ack 13");
            peer.send(ACK, 13, 5, b"");
            told.check(&[
                "state CloseWait",
                "read Ok(\"hello world\")",
                "read Ok(\"\")",
                "write Ok(())",
                "close Ok(())",
                "state LastAck",
                "read Ok(\"\")",
                "write Err(BrokenPipe)",
            ]);
        },
    );
}

/// Section 3.10.7.4, "Second, check the RST bit": "Any outstanding RECEIVEs and SEND should receive 'reset' responses. [...]
/// Users should also receive an unsolicited general 'connection reset' signal": the call that waits for something else, too.
#[test]
fn a_reset_ends_all_calls() {
    let program = |conn: Connection, told: Told| async move {
        told.read(&conn).await;
        told.read(&conn).await;
        told.write(&conn, b"a").await;
        told.close(&conn).await;
        told.state(&conn);
        Ok(())
    };
    play(
        |_| {},
        program,
        |peer, told| {
            peer.open(PORT);
            peer.send(PSH | ACK, 1, 1, b"hello");
            peer.all(PAUSE);
            peer.send(RST, 6, 0, b"");
            peer.expect_nothing();
            told.check(&[
                "read Ok(\"hello\")",
                "read Err(ConnectionReset)",
                "write Err(ConnectionReset)",
                "close Err(ConnectionReset)",
                "state Closed",
            ]);
        },
    );
}

/// Section 3.10.5: "Send a reset segment: <SEQ=SND.NXT><CTL=RST>. [...] all segments queued for transmission (except for the
/// RST formed above) or retransmission should be flushed."
#[test]
fn abort_flushes_and_resets() {
    let program = |conn: Connection, told: Told| async move {
        told.write(&conn, &[b'x'; 3_000]).await;
        conn.sleep(Duration::from_secs(1)).await;
        conn.abort();
        told.write(&conn, b"a").await;
        told.read(&conn).await;
        told.state(&conn);
        Ok(())
    };
    play(
        |_| {},
        program,
        |peer, told| {
            // Of 3,000 bytes no more than 1,000 may leave.
            peer.window = 1_000;
            peer.open_with(PORT, &[2, 4, 1, 244]);
            let reset = peer.await_that("a reset", |seen| seen.has(Flags::RST));
            assert_eq!(reset.segment.seq, SeqNumber(peer.irs()) + 1_001);
            peer.expect_nothing_for(PAUSE * 100);
            told.check(&[
                "write Ok(())",
                "write Err(ConnectionAborted)",
                "read Err(ConnectionAborted)",
                "state Closed",
            ]);
        },
    );
}

/// Section 3.10.8, USER TIMEOUT: "flush all queues, signal the user 'error: connection aborted due to user timeout' in general
/// and for any outstanding calls, delete the TCB, enter the CLOSED state": the peer is not told.
#[test]
fn the_user_timeout_ends_all_calls() {
    let program = |conn: Connection, told: Told| async move {
        told.write(&conn, b"anybody?").await;
        told.read(&conn).await;
        told.write(&conn, b"a").await;
        told.close(&conn).await;
        told.state(&conn);
        Ok(())
    };
    play(
        |config| config.user_timeout = Some(Duration::from_secs(100)),
        program,
        |peer, told| {
            peer.open(PORT);
            let seen = peer.all(Duration::from_secs(110).into());
            assert!(seen.iter().all(|seen| seen.data == b"anybody?"));
            told.check(&[
                "write Ok(())",
                "read Err(TimedOut)",
                "write Err(TimedOut)",
                "close Err(TimedOut)",
                "state Closed",
            ]);
        },
    );
}

/// Section 3.10.4 of ESTABLISHED: "Queue this until all preceding SENDs have been segmentized, then form a FIN segment and
/// send it. In any case, enter FIN-WAIT-1 state."
#[test]
fn close_comes_after_all_that_was_sent() {
    let program = |conn: Connection, told: Told| async move {
        told.write(&conn, &[b'x'; 3_000]).await;
        told.close(&conn).await;
        told.state(&conn);
        Ok(())
    };
    play(
        |_| {},
        program,
        |peer, told| {
            peer.window = 0;
            peer.open_with(PORT, &[2, 4, 1, 244]);
            peer.all(PAUSE);
            told.check(&["write Ok(())", "close Ok(())", "state FinWait1"]);
            peer.window = 500;
            let mut next = 1;
            while next < 3_002 {
                peer.send(ACK, 1, next, b"");
                let seen = peer.await_that("more", |seen| seen.segment.sequence_len() > 0);
                assert_eq!(seen.segment.seq, SeqNumber(peer.irs()) + next as u32);
                next += seen.segment.sequence_len() as i32;
                assert_eq!(seen.has(Flags::FIN), next == 3_002);
            }
        },
    );
}

/// The same of CLOSE-WAIT: "then send a FIN segment, enter LAST-ACK state". Nothing more is taken meanwhile.
#[test]
fn close_waits_for_a_window_in_close_wait() {
    let program = |conn: Connection, told: Told| async move {
        told.write(&conn, b"hello").await;
        told.read(&conn).await;
        told.close(&conn).await;
        told.write(&conn, b"more").await;
        told.state(&conn);
        conn.sleep(Duration::from_secs(20)).await;
        told.state(&conn);
        Ok(())
    };
    play(
        |_| {},
        program,
        |peer, told| {
            peer.open(PORT);
            peer.await_text(". 1:6(5) ack 1");
            peer.window = 0;
            peer.send(FIN | ACK, 1, 1, b"");
            peer.await_text(". 6:6(0) ack 2");
            peer.await_that("a probe", |seen| seen.data == b"h");
            told.check(&[
                "write Ok(())",
                "read Ok(\"\")",
                "close Ok(())",
                "write Err(BrokenPipe)",
                "state CloseWait",
            ]);
            peer.window = 1_000;
            peer.send(ACK, 2, 1, b"");
            peer.await_that("a FIN", |seen| seen.has(Flags::FIN));
            peer.send(ACK, 2, 6, b"");
            peer.all(std::time::Duration::from_secs(10));
            peer.all(std::time::Duration::from_secs(20));
            told.check(&["state LastAck"]);
        },
    );
}

/// Section 3.10.1 of CLOSED: "issue a SYN segment [...], enter the SYN-SENT state"; section 3.10.4 and 3.10.5 of SYN-SENT:
/// "Delete the TCB", without a word to the peer.
#[test]
fn an_open_that_is_closed_is_forgotten() {
    use tcplab::engine::Command;
    for command in [Command::Close, Command::Abort] {
        let mut memory = Memory::new(|_| {});
        let to = "198.51.100.7:9".parse().unwrap();
        let program = |conn: Connection| async move { conn.drain().await };
        let now = memory.now;
        let id = memory.engine.connect_tcp(now, "ours", None, to, program);
        let id = id.unwrap();
        assert_eq!(memory.engine.state(id), Some(TcpState::SynSent));
        memory.recv(PAUSE).expect("a SYN");
        memory.engine.handle_command(memory.now, command(id));
        assert_eq!(memory.recv(PAUSE), None);
        assert!(memory.engine.is_quiet());
    }
}

/// Section 3.10.7.4, "Sixth, check the URG bit", of the states behind the peer's FIN: "This should not occur [...]. Ignore the
/// URG."
#[test]
fn nothing_is_urgent_behind_the_fin() {
    let program = |conn: Connection, told: Told| async move {
        let waited = conn.timeout(Duration::from_secs(5), conn.await_urgent());
        told.note("urgent", &waited.await.is_some());
        Ok(())
    };
    play(
        |_| {},
        program,
        |peer, told| {
            peer.begin(PORT, USUAL);
            peer.send(ACK, 1, 1, b"");
            peer.send(FIN | ACK, 1, 1, b"");
            peer.send_urgent(2, 100, b"");
            peer.all(std::time::Duration::from_secs(6));
            told.check(&["urgent false"]);
        },
    );
}
