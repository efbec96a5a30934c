//! How long the engine waits for whom, and what it makes of bad news: in memory only, as it takes minutes.

use std::io;

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpProtocol;
use tcplab::engine::Config;
use tcplab::segment::{Flags, describe};
use tcplab::service::Connection;

use crate::memory::Memory;
use crate::peer::{CHARGEN, DISCARD, ECHO, PAUSE, Peer, Seen, USUAL, Wire};
use crate::support::{ACK, FIN, PSH, SYN};

/// Plays over both versions of IP, on an engine that is configured so.
fn play(change: impl Fn(&mut Config), script: impl Fn(&mut Peer<'_>)) {
    for (local, remote) in crate::PAIRS {
        let mut memory = Memory::new(&change);
        script(&mut Peer::new(
            &mut memory,
            local.parse().unwrap(),
            remote.parse().unwrap(),
            40_000,
        ));
    }
}

/// All that comes within so many seconds, and how many milliseconds after the start.
fn within(memory: &mut Memory, seconds: u64) -> Vec<(i64, Vec<u8>)> {
    let (start, mut all) = (memory.now, Vec::new());
    let end = start + Duration::from_secs(seconds);
    while memory.now < end
        && let Some(packet) = memory.recv((end - memory.now).into())
    {
        all.push(((memory.now - start).total_millis() as i64, packet));
    }
    all
}

/// As Linux with tcp_synack_retries of 5: after 1, 2, 4, 8, 16 seconds, and it is over after 32 more.
#[test]
fn half_open_connections_expire() {
    play(
        |config| config.backlog = 1,
        |peer| {
            peer.begin(ECHO, USUAL);
            let again: Vec<Seen> = peer.all(Duration::from_secs(33).into());
            assert_eq!(again.len(), 5);
            assert!(again.iter().all(|seen| seen.has(Flags::SYN)));
            peer.send(ACK, 1, 1, b"");
            peer.expect("R 1:1(0)");
            // There is room again for what a cookie can't hold.
            assert!(peer.begin(ECHO, USUAL).segment.sack_permitted());
        },
    );
}

/// MUST-20, SHLD-11: data is sent again with growing pauses (MUST-19), and given up after the user timeout (MUST-21).
#[test]
fn unacknowledged_data_is_given_up() {
    for timeout in [100, 300] {
        play(
            |config| config.user_timeout = Some(Duration::from_secs(timeout)),
            |peer| {
                peer.open(CHARGEN);
                let sent = peer.all(Duration::from_secs(65).into());
                let again = sent.len();
                assert!(
                    (6..14).contains(&again),
                    "{again} segments in {timeout} seconds"
                );
                peer.send(ACK, 1, 1, b"");
                peer.expect("R 1:1(0)");
            },
        );
    }
}

/// MUST-20, SHLD-9, SHLD-10: once the same was sent again three times (R1) without an acknowledgment, the application is told,
/// and again nothing once one has come.
#[test]
fn the_application_learns_of_a_delivery_problem() {
    let told = std::rc::Rc::new(std::cell::Cell::new(None));
    let mut memory = Memory::new(|_| {});
    let (seen, port) = (std::rc::Rc::clone(&told), 4_000);
    memory.engine.serve_tcp(port, "data", move |conn| {
        let seen = std::rc::Rc::clone(&seen);
        async move {
            conn.write_all(b"data").await?;
            // It looks whenever it is woken.
            std::future::poll_fn(|_| {
                seen.set(Some(conn.unanswered()));
                std::task::Poll::Pending
            })
            .await
        }
    });
    let (local, remote) = (
        crate::PAIRS[0].0.parse().unwrap(),
        crate::PAIRS[0].1.parse().unwrap(),
    );
    let mut peer = Peer::new(&mut memory, local, remote, 40_000);
    peer.open(port);
    for again in 0..=3 {
        peer.await_that("data", |seen| !seen.data.is_empty());
        // It is woken for the third time only.
        assert_eq!(told.get().is_some_and(|told| told == 3), again == 3);
    }
    peer.send(ACK, 1, 5, b"");
    peer.expect_nothing();
    assert_eq!(told.get(), Some(0));
}

/// MUST-36: what a window has shut over is asked for after the retransmission timeout, also where the next keep-alive is far.
#[test]
fn keep_alives_do_not_replace_probes() {
    let keep_alive = |config: &mut Config| config.keep_alive = Some(Duration::from_secs(3_600));
    play(keep_alive, |peer| {
        peer.open(CHARGEN);
        peer.await_that("data", |seen| !seen.data.is_empty());
        peer.window = 0;
        peer.send(ACK, 1, 1, b"");
        let seen = peer.all(Duration::from_secs(100).into());
        let probes = seen.iter().filter(|seen| seen.data.len() == 1);
        assert!(probes.count() >= 4);
    });
}

/// MUST-37, also where CLOSE follows or came before: "As long as the receiving TCP endpoint continues to send acknowledgments in
/// response to the probe segments, the sending TCP endpoint MUST allow the connection to stay open."
#[test]
fn the_end_waits_for_a_window_for_longer_than_the_user_timeout() {
    for first in [ACK, ACK | FIN] {
        play(
            |config| config.user_timeout = Some(Duration::from_secs(100)),
            |peer| {
                peer.open_with(ECHO, &[2, 4, 0, 100]);
                peer.send(PSH | first, 1, 1, &[b'x'; 1_000]);
                peer.all(PAUSE);
                peer.window = 0;
                let seq = 1_001 + i32::from(first != ACK);
                peer.send(ACK, seq, 301, b"");
                if first == ACK {
                    peer.send(FIN | ACK, seq, 301, b"");
                }
                for _ in 0..20 {
                    let probe = peer.next(Duration::from_secs(61).into());
                    let probe = probe.expect("a probe");
                    if probe.segment.sequence_len() > 0 {
                        peer.send(ACK, 1_002, 301, b"");
                    }
                }
                peer.window = 65_535;
                peer.send(ACK, 1_002, 301, b"");
                let rest = peer.next(PAUSE).expect("the rest");
                assert_eq!(rest.segment.seq.0, peer.irs().wrapping_add(301));
                assert_eq!(rest.data.len(), 100);
            },
        );
    }
}

/// MUST-29 and RFC 9293, section 3.8.4: a peer that answers no keep-alive is dead after the ninth.
#[test]
fn unanswered_keep_alives_end_a_connection() {
    let keep_alive = |config: &mut Config| config.keep_alive = Some(Duration::from_secs(10));
    play(keep_alive, |peer| {
        peer.open(DISCARD);
        for _ in 0..8 {
            let seen = peer.await_that("a keep-alive", |_| true);
            // SHLD-12: without data.
            assert!(
                seen.is_ack() && seen.segment.seq.0 == peer.irs(),
                "{seen:?}"
            );
        }
        // One answer, and all begins anew.
        peer.send(ACK, 1, 1, b"");
        assert_eq!(peer.all(Duration::from_secs(15).into()).len(), 9);
        peer.send(ACK, 1, 1, b"");
        peer.expect("R 1:1(0)");
    });
    // MUST-25: none unless asked for.
    play(
        |_| {},
        |peer| {
            peer.open(DISCARD);
            peer.expect_nothing_for(std::time::Duration::from_secs(100_000));
            peer.send(ACK, 1, 1, b"x");
            peer.expect(". 1:1(0) ack 2");
        },
    );
}

/// Begins a connection to a peer that does not answer; the SYN.
fn open(memory: &mut Memory, v6: bool) -> Vec<u8> {
    let peer = if v6 {
        "[2001:db8:1::7]:9"
    } else {
        "198.51.100.7:9"
    };
    let now = memory.now;
    let opened = memory
        .engine
        .connect_tcp(now, "client", None, peer.parse().unwrap(), never);
    opened.unwrap();
    memory.recv(PAUSE).expect("a SYN")
}

async fn never(_: Connection) -> io::Result<()> {
    panic!("nobody answers")
}

/// MUST-22, MUST-23: "R2 for a SYN segment MUST be set large enough to provide retransmission of the segment for at least
/// 3 minutes."
#[test]
fn a_syn_is_given_up_after_three_minutes() {
    let mut memory = Memory::new(|_| {});
    open(&mut memory, false);
    let again = within(&mut memory, 179);
    assert!(again.len() >= 6, "{} SYNs", again.len());
    assert!(!memory.engine.is_quiet());
    memory.pass(memory.now + Duration::from_secs(5));
    assert!(memory.engine.is_quiet());
}

/// An ICMP error about a packet of ours.
fn icmp(about: &[u8], kind: u8, code: u8) -> Vec<u8> {
    let described = describe(about).ip.unwrap();
    let mut message = vec![kind, code, 0, 0, 0, 0, 0, 0];
    message.extend(&about[..about.len().min(80)]);
    let (from, to) = (described.dst, described.src);
    let protocol = if from.is_ipv4() {
        IpProtocol::Icmp
    } else {
        IpProtocol::Icmpv6
    };
    crate::support::icmp(from, to, protocol, message)
}

/// RFC 9293, section 3.9.2.2 with RFC 5927: a hard error (SHLD-26) ends an active open, others (MUST-56) end nothing, nor
/// does one that speaks of numbers that are not in flight.
#[test]
fn icmp_errors_end_what_they_may() {
    let rows: [(bool, u8, u8, bool); 14] = [
        (false, 3, 3, true),
        (false, 3, 2, true),
        (false, 3, 0, false),
        (false, 3, 1, false),
        (false, 3, 5, false),
        (false, 3, 13, false),
        (false, 4, 0, false),
        (false, 11, 0, false),
        (false, 12, 0, false),
        (true, 1, 4, true),
        (true, 1, 0, false),
        (true, 1, 3, false),
        (true, 3, 0, false),
        (true, 4, 0, false),
    ];
    for (v6, kind, code, ends) in rows {
        let mut memory = Memory::new(|_| {});
        let syn = open(&mut memory, v6);
        let mut other = syn.clone();
        let seq_at = if v6 { 40 } else { 20 } + 4;
        other[seq_at] ^= 1;
        memory.send(icmp(&other, kind, code));
        assert!(!memory.engine.is_quiet(), "a guess ends it: {kind} {code}");
        memory.send(icmp(&syn, kind, code));
        assert_eq!(memory.engine.is_quiet(), ends, "{kind} {code}");
    }
}

/// RFC 5927, section 5.2: of a connection that is established no ICMP error is the end.
#[test]
fn icmp_errors_end_no_established_connection() {
    play(
        |_| {},
        |peer| {
            peer.open(CHARGEN);
            let data = peer.await_that("data", |seen| !seen.data.is_empty());
            let (kind, code) = if peer.is_v6() { (1, 4) } else { (3, 3) };
            peer.send_packet(icmp(&data.packet, kind, code));
            peer.send(ACK, 1, 1 + data.data.len() as i32, b"");
            peer.await_that("more", |seen| !seen.data.is_empty());
        },
    );
}

/// RFC 9293, section 3.4.1 and RFC 6528: a thousand numbers in a row say nothing about the next one, nor do those from
/// before a restart.
#[test]
fn initial_numbers_tell_nothing() {
    let numbers = |seed: u64| {
        let mut memory = Memory::new(|config| (config.seed, config.backlog) = (seed, 10_000));
        (0..1_000u16)
            .map(|number| {
                let (from, to) = (
                    "198.51.100.7".parse().unwrap(),
                    "192.0.2.2".parse().unwrap(),
                );
                let mut peer = Peer::new(&mut memory, from, to, 20_000 + number);
                peer.begin(ECHO, USUAL).segment.seq.0
            })
            .collect::<Vec<u32>>()
    };
    let (first, second) = (numbers(1), numbers(2));
    for numbers in [&first, &second] {
        // Differences between neighbours are spread over the whole circle: of 64 parts none is far from its share.
        let mut parts = [0; 64];
        for pair in numbers.windows(2) {
            parts[(pair[1].wrapping_sub(pair[0]) >> 26) as usize] += 1;
        }
        assert!(
            parts.iter().all(|&count| (1..50).contains(&count)),
            "{parts:?}"
        );
        let mut differences: Vec<u32> = numbers
            .windows(2)
            .map(|pair| pair[1].wrapping_sub(pair[0]))
            .collect();
        differences.sort_unstable();
        differences.dedup();
        assert!(differences.len() > 990);
    }
    let same = first
        .iter()
        .zip(&second)
        .filter(|(first, second)| first == second);
    assert!(same.count() < 3);
    // MUST-8: the same endpoints again get a later number, by the clock of four microseconds.
    let mut memory = Memory::new(|_| {});
    let mut again = |seconds: u64| {
        memory.pass(Instant::from_secs(1_000 + seconds as i64));
        let (from, to) = (
            "198.51.100.7".parse().unwrap(),
            "192.0.2.2".parse().unwrap(),
        );
        let mut peer = Peer::new(&mut memory, from, to, 20_000);
        let number = peer.begin(ECHO, USUAL).segment.seq;
        peer.send(crate::support::RST, 1, 0, b"");
        number
    };
    let (first, later) = (again(0), again(100));
    assert_eq!(later.since(first), 100 * 250_000);
}

/// MUST-10 and figure 8: both ends open at once.
#[test]
fn a_syn_that_crosses_ours_opens() {
    for (local, remote) in crate::PAIRS {
        let mut memory = Memory::new(|_| {});
        let there = std::net::SocketAddr::new(local.parse().unwrap(), 40_000);
        let now = memory.now;
        let client = |conn: Connection| async move { conn.drain().await };
        let opened = memory
            .engine
            .connect_tcp(now, "client", Some(7_777), there, client);
        opened.unwrap();
        let mut peer = Peer::new(&mut memory, there.ip(), remote.parse().unwrap(), 40_000);
        peer.remote.set_port(7_777);
        peer.await_that("the SYN", |seen| seen.segment.flags == Flags::SYN);
        peer.send(SYN, 0, 0, b"");
        peer.expect("S. 0:0(0) ack 1");
        peer.send(SYN | ACK, 0, 1, b"");
        peer.expect_nothing();
        peer.send(ACK, 1, 1, b"x");
        peer.expect(". 1:1(0) ack 2");
    }
}

/// MUST-39, RFC 9293, section 3.8.6.2.2: the window opens once that is worth it.
#[test]
fn a_shut_window_opens_when_it_is_worth_it() {
    for (local, remote) in crate::PAIRS {
        let mut memory = Memory::new(|config| config.buffer = 4_096);
        memory
            .engine
            .serve_tcp(5_000, "slow", |conn: Connection| async move {
                conn.sleep(Duration::from_secs(1)).await;
                for _ in 0..3_000 {
                    conn.read_up_to(1).await?;
                    conn.sleep(Duration::from_millis(10)).await;
                }
                conn.drain().await
            });
        let (local, remote) = (local.parse().unwrap(), remote.parse().unwrap());
        let mut peer = Peer::new(&mut memory, local, remote, 40_000);
        peer.open(5_000);
        for piece in 0..4 {
            peer.send(ACK, 1 + piece * 1_024, 1, &[b'x'; 1_024]);
        }
        let told = peer.all(Duration::from_millis(200).into());
        assert_eq!(told.last().unwrap().segment.window, 0);
        // The program reads a hundred bytes a second; an update comes when there is room for a full segment.
        let update = peer
            .next(Duration::from_secs(40).into())
            .expect("an update");
        assert!(update.segment.window >= 1_440, "{:?}", update.segment);
    }
}

#[test]
fn a_reset_counts_with_the_window_shut() {
    for (local, remote) in crate::PAIRS {
        let mut memory = Memory::new(|config| config.buffer = 1_024);
        memory
            .engine
            .serve_tcp(5_000, "deaf", |conn: Connection| async move {
                conn.sleep(Duration::from_secs(100_000)).await;
                conn.drain().await
            });
        let (local, remote) = (local.parse().unwrap(), remote.parse().unwrap());
        let mut peer = Peer::new(&mut memory, local, remote, 40_000);
        peer.open(5_000);
        peer.send(ACK, 1, 1, &[b'x'; 1_024]);
        let shut = peer.await_that("an ACK", |seen| seen.is_ack());
        assert_eq!(shut.segment.window, 0);
        peer.send(crate::support::RST, 1_025, 0, b"");
        peer.expect_nothing();
        peer.send(ACK, 1_025, 1, b"x");
        peer.expect("R 1:1(0)");
    }
}

/// MUST-46: nobody has these addresses.
#[test]
fn opens_to_nobody_are_refused() {
    let mut memory = Memory::new(|_| {});
    let nobody = [
        "0.0.0.0:7",
        "224.0.0.1:7",
        "255.255.255.255:7",
        "192.0.2.255:7",
        "192.0.2.0:7",
        "[::]:7",
        "[ff02::1]:7",
        "198.51.100.7:0",
    ];
    for peer in nobody {
        let (now, peer) = (memory.now, peer.parse().unwrap());
        let opened = memory.engine.connect_tcp(now, "client", None, peer, never);
        assert!(opened.is_err(), "{peer}");
    }
}
