//! What ladders between two good ends can't show: an engine alone, against a peer that a test plays by hand.

mod support;

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpProtocol;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use support::{ACK, FIN, Forged, PSH, RST, SYN};
use tcplab::engine::{Command, Config, Engine};
use tcplab::event::{Cause, Direction, Event, EventKind, FlowId, Timer, UserCall};
use tcplab::segment::{Origin, Segment, SeqNumber, describe, describe_offloaded};
use tcplab::service::Connection;
use tcplab::state::TcpState;

const PORT: u16 = 1111;
/// The peer's initial sequence number.
const IRS: u32 = 1_000;

/// An engine with one connection to a peer whose segments the test writes.
struct Played {
    engine: Engine,
    now: Instant,
    local: SocketAddr,
    peer: SocketAddr,
    /// The engine's initial sequence number, once its SYN is out.
    iss: u32,
    events: Vec<Event>,
}

impl Played {
    fn new(config: impl FnOnce(&mut Config)) -> Played {
        let mut settings = Config::new(["192.0.2.2/24".parse().unwrap()]);
        config(&mut settings);
        Played {
            engine: Engine::new(settings),
            now: Instant::ZERO,
            local: SocketAddr::new("192.0.2.2".parse().unwrap(), PORT),
            peer: SocketAddr::new("192.0.2.1".parse().unwrap(), 50_000),
            iss: 0,
            events: Vec::new(),
        }
    }

    /// With a connection to the echo service, established.
    fn echoing(config: impl FnOnce(&mut Config)) -> Played {
        let mut played = Played::new(config);
        played
            .engine
            .serve_tcp(PORT, "echo", tcplab::service::echo::echo);
        played.shake_hands();
        played
    }

    /// A segment with numbers relative to the initial ones arrives; what the engine sends then.
    fn send(&mut self, flags: u8, seq: i32, ack: i32, payload: &[u8]) -> Vec<String> {
        let seq = IRS.wrapping_add_signed(seq);
        let ack = self.iss.wrapping_add_signed(ack);
        let mut forged = Forged::new(self.peer, self.local, flags, seq, ack);
        forged.payload = payload.to_vec();
        self.engine.handle_packet(self.now, &mut forged.packet());
        self.drain()
    }

    fn shake_hands(&mut self) {
        self.send(SYN, 0, 0, b"");
        self.send(ACK, 1, 1, b"");
        assert_eq!(self.engine.state(FlowId(1)), Some(TcpState::Established));
    }

    /// Only now does the engine get to know the time.
    fn wake_at(&mut self, at: Instant) -> Vec<String> {
        self.now = at;
        self.engine.handle_timeout(at);
        self.drain()
    }

    fn drain(&mut self) -> Vec<String> {
        let (mut sent, mut buf) = (Vec::new(), [0; 65_535]);
        while let Some(transmit) = self.engine.poll_transmit(self.now, &mut buf) {
            let described = describe_offloaded(&buf[..transmit.len], transmit.offload.checksum);
            let segment: &Segment = described.tcp().unwrap();
            if segment.flags.0 & u16::from(SYN) != 0 {
                self.iss = segment.seq.0;
            }
            let origin = Origin {
                seq: Some(SeqNumber(self.iss)),
                ack: Some(SeqNumber(IRS)),
            };
            sent.push(format!("{:#}", described.notation(origin)));
        }
        self.events
            .extend(std::iter::from_fn(|| self.engine.poll_event()));
        sent
    }

    fn transitions(&self) -> Vec<(TcpState, Cause)> {
        let changes = self.events.iter().filter_map(|event| match event.kind {
            EventKind::Transition(transition) => Some((transition.to, transition.cause)),
            _ => None,
        });
        changes.collect()
    }

    /// Whether each segment that came in was told as one that repeats.
    fn repeats(&self) -> Vec<bool> {
        let packets = self.events.iter().filter_map(|event| match &event.kind {
            EventKind::Packet(packet) if packet.direction == Direction::In => {
                Some(packet.retransmission)
            }
            _ => None,
        });
        packets.collect()
    }
}

async fn hold(conn: Connection) -> std::io::Result<()> {
    conn.sleep(Duration::from_secs(1_000_000)).await;
    conn.close().await
}

#[test]
fn only_a_syn_ack_that_counts_tells_the_peers_initial_number() {
    let mut played = Played::new(|_| {});
    let irs = Rc::new(RefCell::new(None));
    let seen = Rc::clone(&irs);
    let client = move |conn: Connection| async move {
        *seen.borrow_mut() = Some(conn.handshake().irs);
        hold(conn).await
    };
    let peer = played.peer;
    played
        .engine
        .connect_tcp(played.now, "client", Some(PORT), peer, client)
        .unwrap();
    let [syn] = &played.drain()[..] else {
        panic!("not one SYN");
    };
    assert!(
        syn.starts_with("S 0:0(0) <mss 1460,wscale 3,sackOK,TS val "),
        "{syn}"
    );
    // Section 3.10.7.3: an ACK of something never sent is answered with a reset.
    assert_eq!(played.send(SYN | ACK, 5_000, 77, b""), ["R 77:77(0)"]);
    assert_eq!(*irs.borrow(), None);
    assert_eq!(played.send(SYN | ACK, 0, 1, b""), [". ack 1"]);
    assert_eq!(*irs.borrow(), Some(SeqNumber(IRS)));
    // What was answered before does not count as sent.
    assert_eq!(played.send(PSH | ACK, 1, 1, b"hello"), [""; 0]);
    assert_eq!(played.repeats(), [false; 3]);
}

#[test]
fn segments_from_outside_of_the_window_do_not_make_later_ones_look_repeated() {
    let mut played = Played::new(|_| {});
    played.engine.serve_tcp(PORT, "hold", hold);
    played.shake_hands();
    played.send(RST, 100_000_000, 1, b"");
    played.send(PSH | ACK, 1, 1, b"hello");
    played.send(PSH | ACK, 1, 1, b"hello");
    played.send(PSH | ACK, 6, 1, b"again");
    assert_eq!(played.repeats(), [false, false, false, false, true, false]);
}

/// A machine that slept must not lose the last ACK, nor the wait, to smoltcp's own TIME-WAIT of ten seconds.
#[test]
fn a_long_sleep_does_not_cut_time_wait_short() {
    for holds in [false, true] {
        let mut played = Played::new(|_| {});
        played
            .engine
            .serve_tcp(PORT, "close", move |conn: Connection| async move {
                conn.close().await?;
                conn.drain().await?;
                if holds { hold(conn).await } else { Ok(()) }
            });
        played.send(SYN, 0, 0, b"");
        assert_eq!(played.send(ACK, 1, 1, b""), ["F. 1:1(0) ack 1"]);
        // The ACK of the data is delayed, and that of the FIN with it.
        played.send(PSH | ACK, 1, 2, b"hello");
        played.send(FIN | ACK, 6, 2, b"");
        let asleep = Instant::from_secs(20);
        assert_eq!(played.wake_at(asleep).len(), 1);
        assert_eq!(
            played.engine.state(FlowId(1)),
            Some(TcpState::TimeWait),
            "holds: {holds}"
        );
        // It lasts a minute from the last ACK, or from the second FIN if there is one.
        let later = asleep + Duration::from_secs(50);
        played.wake_at(later);
        assert_eq!(played.send(FIN | ACK, 6, 2, b""), [". ack 7"]);
        played.wake_at(later + Duration::from_millis(59_999));
        assert_eq!(
            played.engine.state(FlowId(1)),
            Some(TcpState::TimeWait),
            "holds: {holds}"
        );
        played.wake_at(later + Duration::from_secs(60));
        let end = played.transitions().pop();
        assert_eq!(
            end,
            Some((TcpState::Closed, Cause::Timeout(Timer::TimeWait)))
        );
        assert_eq!(played.engine.poll_timeout(), None);
    }
}

#[test]
fn everything_can_be_aborted() {
    let mut played = Played::new(|_| {});
    played.engine.serve_tcp(PORT, "hold", hold);
    for port in 50_000..50_010 {
        played.peer.set_port(port);
        played.send(SYN, 0, 0, b"");
        if port % 2 == 0 {
            played.send(ACK, 1, 1, b"");
        }
    }
    played.engine.handle_command(played.now, Command::AbortAll);
    assert_eq!(played.drain().len(), 10);
    let aborted = (TcpState::Closed, Cause::Call(UserCall::Abort));
    let count = played
        .transitions()
        .iter()
        .filter(|&&end| end == aborted)
        .count();
    assert_eq!(count, 10);
}

/// A program that goes on after its connection was reset: what still comes gets a reset with the numbers of RFC 9293,
/// section 3.10.7.1.
#[test]
fn a_closed_connection_answers_with_resets() {
    let mut played = Played::new(|_| {});
    played.engine.serve_tcp(PORT, "hold", hold);
    played.shake_hands();
    played.send(RST | ACK, 1, 1, b"");
    assert_eq!(played.send(ACK, 1, 1, b"hello"), ["R 1:1(0)"]);
    assert_eq!(played.send(RST, 1, 1, b""), [""; 0]);
    // Zero on the wire, so relative to our initial number something else.
    let minus_iss = 0u32.wrapping_sub(played.iss);
    assert_eq!(
        played.send(SYN, 7, 0, b""),
        [format!("R. {minus_iss}:{minus_iss}(0) ack 8")]
    );
}

#[test]
fn keep_alive_probes_leave_when_the_connection_is_idle() {
    let mut played = Played::new(|config| config.keep_alive = Some(Duration::from_secs(10)));
    played.engine.serve_tcp(PORT, "hold", hold);
    played.shake_hands();
    assert_eq!(played.wake_at(Instant::from_millis(9_999)), [""; 0]);
    assert_eq!(played.engine.poll_timeout(), Some(Instant::from_secs(10)));
    // RFC 9293, section 3.8.4: SEG.SEQ = SND.NXT - 1, without data (SHLD-12).
    assert_eq!(played.wake_at(Instant::from_secs(10)), [". ack 1"]);
    played.send(ACK, 1, 1, b"");
    assert_eq!(played.wake_at(Instant::from_millis(19_999)), [""; 0]);
    assert_eq!(played.wake_at(Instant::from_secs(20)), [". ack 1"]);
}

/// Windows are advertised in units of eight bytes here. Their right edge stays where it was or moves right when the rest of
/// the window is no multiple of that, and a peer that has used all of it sends its acknowledgments from there.
#[test]
fn an_acknowledgment_from_the_edge_of_a_used_up_window_counts() {
    const BUFFER: i32 = 256 * 1024;
    let mut played = Played::new(|_| {});
    played
        .engine
        .serve_tcp(PORT, "talk", |conn: Connection| async move {
            conn.write_all(b"0123456789").await?;
            hold(conn).await
        });
    // The peer offers a window scale, so ours counts.
    let mut syn = Forged::new(played.peer, played.local, SYN, IRS, 0);
    syn.options = vec![2, 4, 5, 180, 3, 3, 0, 1];
    played.engine.handle_packet(played.now, &mut syn.packet());
    played.drain();
    played.send(ACK, 1, 1, b"");
    // Eight bytes, then one: the edge goes from one past the whole buffer on by one.
    played.send(PSH | ACK, 1, 1, b"12345678");
    played.wake_at(Instant::from_millis(20));
    played.send(PSH | ACK, 9, 1, b"9");
    played.wake_at(Instant::from_millis(40));
    // The peer uses up the window, and acknowledges nothing yet.
    let edge = BUFFER + 2;
    let mut seq = 10;
    while seq < edge {
        let len = 1464.min(edge - seq);
        played.send(ACK, seq, 1, &vec![7; len as usize]);
        seq += len;
        played.wake_at(played.now + Duration::from_millis(20));
    }
    // What comes beyond it is not acceptable, but its ACK counts.
    assert_eq!(
        played.send(ACK, seq, 11, b"beyond"),
        [format!(". ack {edge}")]
    );
    // Nothing of ours is left to be sent again.
    for seconds in 6..30 {
        let sent = played.wake_at(Instant::from_secs(seconds));
        assert!(
            !sent.iter().any(|segment| segment.contains("(10)")),
            "{sent:?}"
        );
    }
}

#[test]
fn a_send_buffer_is_released_once_it_is_idle_and_everything_is_acknowledged() {
    thread_local! {
        static RELEASED: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
    }
    // What it holds afterwards does not count.
    fn release(buffer: &mut [u8]) {
        buffer.fill(0xaa);
        RELEASED.with_borrow_mut(|released| released.push(buffer.len()));
    }
    let released = || RELEASED.take();
    let mut played = Played::echoing(|config| config.release = Some(release));
    assert_eq!(played.send(PSH | ACK, 1, 1, b"hello"), ["P. 1:6(5) ack 6"]);
    // Not as long as it may have to be sent again.
    let sent = played.wake_at(Instant::from_secs(4));
    assert_eq!(sent, ["P. 1:6(5) ack 6"]);
    assert_eq!(released(), [0usize; 0]);
    played.send(ACK, 6, 6, b"");
    played.wake_at(Instant::from_secs(6));
    assert_eq!(released(), [0usize; 0]);
    played.wake_at(Instant::from_secs(10));
    assert_eq!(released(), [256 * 1024]);
    while let Some(at) = played.engine.poll_timeout() {
        played.wake_at(at);
    }
    assert_eq!(released(), [0usize; 0], "once is enough");

    assert_eq!(
        played.send(PSH | ACK, 6, 6, b"again"),
        ["P. 6:11(5) ack 11"]
    );
    assert_eq!(
        played.send(FIN | ACK, 11, 11, b""),
        [". ack 12", "F. 11:11(0) ack 12"]
    );
    played.send(ACK, 12, 12, b"");
    while let Some(at) = played.engine.poll_timeout() {
        played.wake_at(at);
    }
    assert_eq!(released(), [0usize; 0], "it was over before");
}

/// What so many connections that send 400 KB each, in a fiftieth of a second, are told: the windows in their last
/// acknowledgments. None of them goes back on what it was told before.
fn windows_in_bulk(connections: u16, offload: bool) -> Vec<u16> {
    const ROUNDS: u32 = 400;
    let mut played = Played::new(|config| (config.buffer, config.offload) = (32 * 1024, offload));
    played.engine.serve_standard("");
    played.local.set_port(9);
    let mut buf = [0; 65_535];
    // Our initial number, the right edge, and the window.
    let mut told: Vec<(u32, u32, u16)> = Vec::new();
    for round in 0..=ROUNDS {
        played.now += Duration::from_micros(50);
        for number in 0..connections {
            played.peer.set_port(50_000 + number);
            if round == 0 {
                played.send(SYN, 0, 0, b"");
                played.send(ACK, 1, 1, b"");
                told.push((played.iss, 0, 0));
                continue;
            }
            let (iss, edge, window) = &mut told[usize::from(number)];
            let (seq, ack) = (IRS + 1 + (round - 1) * 1_000, *iss + 1);
            let mut forged = Forged::new(played.peer, played.local, ACK, seq, ack);
            forged.payload = vec![0; 1_000];
            played
                .engine
                .handle_packet(played.now, &mut forged.packet());
            while let Some(transmit) = played.engine.poll_transmit(played.now, &mut buf) {
                let described = describe(&buf[..transmit.len]);
                let segment = described.tcp().unwrap();
                let right = segment.ack.0 - IRS + u32::from(segment.window);
                assert!(right >= *edge, "the window shrinks from {edge} to {right}");
                (*edge, *window) = (right, segment.window);
            }
        }
    }
    told.into_iter().map(|(_, _, window)| window).collect()
}

#[test]
fn many_that_receive_in_bulk_are_told_of_half_a_window() {
    const WHOLE: u16 = 32 * 1024;
    assert_eq!(windows_in_bulk(1, true), [WHOLE]);
    assert_eq!(windows_in_bulk(4, true), [WHOLE; 4]);
    assert_eq!(windows_in_bulk(5, true), [WHOLE / 2; 5]);
    // The program has not read the last segment when that is acknowledged.
    assert_eq!(windows_in_bulk(5, false), [WHOLE - 1_000; 5]);
}

/// What the echo service answers to data that comes with a FIN right behind it, and to the last acknowledgment.
fn farewell(offload: bool) -> [Vec<String>; 3] {
    let mut played = Played::echoing(|config| config.offload = offload);
    [
        played.send(PSH | ACK, 1, 1, b"hello"),
        played.send(FIN | ACK, 6, 1, b""),
        played.send(ACK, 7, 7, b""),
    ]
}

#[test]
fn with_offload_a_fin_is_acknowledged_by_our_own() {
    let echo = ["P. 1:6(5) ack 6"];
    let [answer, end, last] = farewell(false);
    assert_eq!(answer, echo);
    assert_eq!(end, [". ack 7", "F. 6:6(0) ack 7"]);
    assert_eq!(last, [""; 0]);
    let [answer, end, last] = farewell(true);
    assert_eq!(answer, echo);
    assert_eq!(end, ["F. 6:6(0) ack 7"]);
    assert_eq!(last, [""; 0]);
}

#[test]
fn what_still_waits_leaves_with_the_fin() {
    for offload in [false, true] {
        let mut played = Played::echoing(|config| config.offload = offload);
        assert_eq!(played.send(PSH | ACK, 1, 1, b"hello"), ["P. 1:6(5) ack 6"]);
        // Nagle's algorithm holds it back.
        assert_eq!(played.send(PSH | ACK, 6, 1, b"again"), [""; 0]);
        assert_eq!(played.send(FIN | ACK, 11, 1, b""), ["F. 6:11(5) ack 12"]);
    }
}

/// An option that is missing is put in for smoltcp, also if the packet has no room for it.
#[test]
fn the_longest_segments_are_answered() {
    for (local, peer, longest) in [
        ("192.0.2.2/24", "192.0.2.1:50000", 65_535 - 40),
        ("2001:db8::2/64", "[2001:db8::1]:50000", 65_535 - 20),
    ] {
        let mut played = Played::new(|config| {
            *config = Config::new([local.parse().unwrap()]);
        });
        played
            .engine
            .serve_tcp(PORT, "echo", tcplab::service::echo::echo);
        played.peer = peer.parse().unwrap();
        let address = local.split('/').next().unwrap();
        played.local = SocketAddr::new(address.parse().unwrap(), PORT);
        let mut syn = Forged::new(played.peer, played.local, SYN, IRS, 0);
        syn.payload = vec![7; longest];
        let mut sent = Vec::new();
        for mut fragment in support::fragments(&syn.packet(), 1_200, 1) {
            played.engine.handle_packet(played.now, &mut fragment);
            sent.extend(played.drain());
        }
        assert!(
            sent.iter().any(|line| line.starts_with("S. 0:0(0) ack 1 ")),
            "{local}: {sent:?}"
        );
        played.send(ACK, 1, 1, b"");
        assert_eq!(played.engine.state(FlowId(1)), Some(TcpState::Established));
    }
}

/// A connection with data in flight, whose peer permits SACK and says then that it has what can't be there.
#[test]
fn sack_blocks_half_the_circle_apart_are_not_believed() {
    let mut played = Played::new(|_| {});
    played
        .engine
        .serve_tcp(PORT, "echo", tcplab::service::echo::echo);
    let mut syn = Forged::new(played.peer, played.local, SYN, IRS, 0);
    syn.options = vec![2, 4, 5, 180, 4, 2, 1, 1];
    played.engine.handle_packet(played.now, &mut syn.packet());
    played.drain();
    played.send(ACK, 1, 1, b"");
    let sent = played.send(PSH | ACK, 1, 1, &[7; 1_000]);
    assert_eq!(sent, ["P. 1:1001(1000) ack 1001"]);
    for blocks in [
        [(1 << 31, u32::MAX), (101, 201)],
        [(101, 201), (1 << 31, u32::MAX)],
        [(1 << 31, (1 << 31) + 100), (301, 401)],
        [(401, 301), (501, 1 << 31)],
    ] {
        let mut lie = Forged::new(
            played.peer,
            played.local,
            ACK,
            IRS + 1_001,
            played.iss.wrapping_add(1),
        );
        lie.options = vec![1, 1, 5, 18];
        let edges = blocks.into_iter().flat_map(|(left, right)| [left, right]);
        for edge in edges {
            lie.options
                .extend(played.iss.wrapping_add(edge).to_be_bytes());
        }
        played.engine.handle_packet(played.now, &mut lie.packet());
        played.drain();
    }
    // What it has not said is sent again, and all of it can be acknowledged.
    let again = played.wake_at(Instant::from_secs(2));
    assert!(again[0].starts_with("P. 1:"), "{again:?}");
    assert_eq!(played.send(ACK, 1_001, 1_001, b""), [""; 0]);
    assert_eq!(
        played.send(FIN | ACK, 1_001, 1_001, b""),
        [". ack 1002", "F. 1001:1001(0) ack 1002"]
    );
}

/// An IPv6 fragment that names a header and ends, with padding behind it that is one more of those.
#[test]
fn first_fragments_that_end_are_complained_of() {
    for (next, padding) in [(60, 0), (60, 24), (43, 24)] {
        let mut engine = Engine::new(Config::new(["2001:db8::2/64".parse().unwrap()]));
        let ends = ["2001:db8::1", "2001:db8::2"].map(|end| end.parse().unwrap());
        let fragment = [next, 0, 0, 1, 0, 0, 0, 9];
        let mut packet = support::ip(ends[0], ends[1], IpProtocol::Ipv6Frag, &fragment);
        packet.extend(vec![next; padding]);
        engine.handle_packet(Instant::ZERO, &mut packet);
        let mut buf = [0; 1_500];
        let error = engine.poll_transmit(Instant::ZERO, &mut buf).unwrap();
        assert_eq!(
            describe(&buf[..error.len])
                .notation(Origin::default())
                .to_string(),
            "icmp parameter problem: incomplete header chain"
        );
        assert_eq!(engine.poll_transmit(Instant::ZERO, &mut buf), None);
    }
}
