//! What a program may ask of its connection, and sees of it on the wire: in memory only, as it is our own interface.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use tcplab::engine::{Config, ConnectError, Origin};
use tcplab::segment::{Flags, describe};
use tcplab::service::Connection;

use crate::memory::Memory;
use crate::peer::{ECHO, PAUSE, Peer, USUAL, Wire};
use crate::support::{ACK, Forged, PSH, SYN};

const PORT: u16 = 4_000;

/// Plays over both versions of IP against a service of our own.
fn play<F>(
    change: impl Fn(&mut Config),
    service: impl Fn(Connection) -> F + Clone + 'static,
    script: impl Fn(&mut Peer<'_>),
) where
    F: Future<Output = std::io::Result<()>> + 'static,
{
    for (local, remote) in crate::PAIRS {
        let mut memory = Memory::new(&change);
        memory.engine.serve_tcp(PORT, "ours", service.clone());
        let (local, remote) = (local.parse().unwrap(), remote.parse().unwrap());
        script(&mut Peer::new(&mut memory, local, remote, 40_000));
    }
}

/// The Differentiated Services field and the hop limit of a packet.
fn marking(packet: &[u8]) -> (u8, u8) {
    match packet[0] >> 4 {
        4 => (packet[1] >> 2, packet[8]),
        _ => ((packet[0] << 4 | packet[1] >> 4) >> 2, packet[7]),
    }
}

/// MUST-48, SHLD-21, SHLD-22: "the application layer MUST be able to specify the Differentiated Services field for segments
/// that are sent on a connection", and "SHOULD be able to change" it; MUST-49: the time to live is configurable.
#[test]
fn packets_are_marked_as_they_are_to_be() {
    let change = |config: &mut Config| (config.hop_limit, config.dscp) = (7, 10);
    let service = |conn: Connection| async move {
        conn.write_all(b"as configured").await?;
        conn.read_up_to(10).await?;
        conn.set_dscp(46);
        conn.write_all(b"as chosen").await?;
        conn.drain().await
    };
    play(change, service, |peer| {
        let syn_ack = peer.open(PORT);
        assert_eq!(marking(&syn_ack.packet), (10, 7));
        let data = peer.await_that("data", |seen| seen.data == b"as configured");
        assert_eq!(marking(&data.packet), (10, 7));
        peer.send(PSH | ACK, 1, 14, b"go on");
        let data = peer.await_that("data", |seen| seen.data == b"as chosen");
        assert_eq!(marking(&data.packet), (46, 7));
        // What smoltcp has not made: a challenge ACK.
        peer.send(ACK, 6, 1_000_000, b"");
        let challenge = peer.await_that("a challenge", |seen| seen.is_ack());
        assert_eq!(marking(&challenge.packet), (46, 7));
    });
    play(
        |_| {},
        service,
        |peer| {
            assert_eq!(marking(&peer.open(PORT).packet), (0, 64));
            // A port that nobody has.
            peer.begin_closed(PORT + 1);
        },
    );
}

/// MAY-9: "pass the most recently received Differentiated Services field up to the application".
#[test]
fn the_field_of_the_peer_is_told() {
    let told = Rc::new(Cell::new(None));
    let seen = Rc::clone(&told);
    let service = move |conn: Connection| {
        let seen = Rc::clone(&seen);
        async move {
            conn.read_up_to(10).await?;
            seen.set(Some(conn.peer_dscp()));
            Ok(())
        }
    };
    play(
        |_| {},
        service,
        |peer| {
            told.set(None);
            peer.open(PORT);
            let mut packet = peer.segment(PSH | ACK, 1, 1, b"data").packet();
            match packet[0] >> 4 {
                4 => {
                    packet[1] = 46 << 2;
                    // RFC 1624: the header checksum follows.
                    let sum = u16::from_be_bytes([packet[10], packet[11]]);
                    let (sum, over) = sum.overflowing_sub(46 << 2);
                    packet[10..12].copy_from_slice(&(sum - u16::from(over)).to_be_bytes());
                }
                _ => {
                    packet[0] |= 46 >> 2;
                    packet[1] |= (46 & 3) << 6;
                }
            }
            peer.send_packet(packet);
            peer.all(PAUSE);
            assert_eq!(told.get(), Some(46));
        },
    );
}

/// MUST-43: OPEN may name the local address; MUST-45: it is that of the connection.
#[test]
fn opens_come_from_the_address_that_is_named() {
    let ours = ["192.0.2.77", "2001:db8::77"];
    for ((peer, _), ours) in crate::PAIRS.into_iter().zip(ours) {
        let (peer, ours): (IpAddr, IpAddr) = (peer.parse().unwrap(), ours.parse().unwrap());
        let mut memory = Memory::new(|_| {});
        let now = memory.now;
        let there = SocketAddr::new(peer, ECHO);
        let mut open = |origin: Origin| {
            let client = |conn: Connection| async move { conn.drain().await };
            memory
                .engine
                .connect_tcp(now, "client", origin, there, client)
        };
        open(ours.into()).unwrap();
        open(SocketAddr::new(ours, 4_444).into()).unwrap();
        assert_eq!(
            open(SocketAddr::new(ours, 4_444).into()),
            Err(ConnectError::InUse(there))
        );
        let foreign: IpAddr = "198.51.100.1".parse().unwrap();
        assert_eq!(open(foreign.into()), Err(ConnectError::Foreign(foreign)));
        let other: IpAddr = if peer.is_ipv4() {
            "2001:db8::77"
        } else {
            "192.0.2.77"
        }
        .parse()
        .unwrap();
        assert_eq!(open(other.into()), Err(ConnectError::NoAddress(there)));
        let syns: Vec<SocketAddr> = std::iter::from_fn(|| memory.recv(PAUSE))
            .map(|packet| {
                let described = describe(&packet);
                assert_eq!(
                    described.tcp().map(|segment| segment.flags),
                    Some(Flags::SYN)
                );
                described.endpoints().unwrap().0
            })
            .collect();
        assert!(
            syns.len() == 2 && syns.iter().all(|from| from.ip() == ours),
            "{syns:?}"
        );
        assert_eq!(syns[1].port(), 4_444);
    }
}

/// A program that reads nothing but looks whenever it is woken, and what it saw last.
type Look = Rc<Cell<Option<u64>>>;

/// MUST-30, MUST-31, MUST-32, MUST-33, MUST-62: the program learns of urgent data, how much of it there is, and when the
/// pointer advances; the data stays in line. MUST-66: also with the window shut.
#[test]
fn urgent_data_is_told() {
    let (told, text): (Look, _) = (Rc::default(), Rc::new(Cell::new(Vec::new())));
    let (look, read) = (Rc::clone(&told), Rc::clone(&text));
    let service = move |conn: Connection| {
        let (look, read) = (Rc::clone(&look), Rc::clone(&read));
        async move {
            look.set(Some(conn.await_urgent().await?));
            conn.recv_with(|arrived| (arrived.len().min(4), ())).await?;
            look.set(Some(conn.urgent()));
            // Until the pointer advances.
            let further = std::future::poll_fn(|_| match conn.urgent() {
                0..=1_000 => std::task::Poll::Pending,
                left => std::task::Poll::Ready(left),
            })
            .await;
            look.set(Some(further));
            let mut all = conn.read_up_to(100).await?;
            while conn.urgent() > 0 {
                all.extend(conn.read_up_to(10_000).await?);
            }
            look.set(Some(0));
            read.set(all);
            conn.drain().await
        }
    };
    play(
        |_| {},
        service,
        |peer| {
            told.set(None);
            peer.open(PORT);
            peer.send(PSH | ACK, 1, 1, b"calm");
            peer.all(PAUSE);
            assert_eq!(told.get(), None);
            // It points behind `now`, of which four bytes are read.
            peer.send_urgent(5, 3, b"nowcalm");
            peer.all(PAUSE);
            assert_eq!(told.get(), Some(3));
            // It neither goes back, nor is one in the past believed.
            peer.send_urgent(12, 0, b"");
            peer.send_urgent(12, 60_000, b"");
            peer.all(PAUSE);
            assert_eq!(told.get(), Some(60_007));
            peer.send_urgent(12, 10, b"");
            for chunk in 0..60 {
                peer.send(PSH | ACK, 12 + 1_000 * chunk, 1, &[b'u'; 1_000]);
            }
            peer.all(PAUSE);
            assert_eq!(told.get(), Some(0));
            let text = text.take();
            assert!(
                text.starts_with(b"nowcalmuuu") && text.len() == 60_007,
                "{}",
                text.len()
            );
        },
    );
    // The window is shut: nobody reads.
    let (told, look): (Look, _) = (Rc::default(), ());
    let seen = Rc::clone(&told);
    let service = move |conn: Connection| {
        let seen = Rc::clone(&seen);
        async move {
            let () = look;
            seen.set(Some(conn.await_urgent().await?));
            std::future::pending().await
        }
    };
    play(
        |config| config.buffer = 1_024,
        service,
        |peer| {
            told.set(None);
            peer.open(PORT);
            peer.send(PSH | ACK, 1, 1, &[b'x'; 1_024]);
            peer.all(PAUSE);
            peer.send_urgent(1_025, 5, b"after");
            peer.all(PAUSE);
            assert_eq!(told.get(), Some(1_029));
        },
    );
}

/// MUST-30, MUST-31, MUST-62: what a program sends as urgent is told to the peer by a pointer to the octet that follows it,
/// in all segments up to there, for the first time and again.
#[test]
fn urgent_data_is_sent() {
    let service = |conn: Connection| async move {
        conn.write_all(b"calm").await?;
        conn.write_urgent(b"urgent").await?;
        conn.write_all(b"calm again").await?;
        conn.read_up_to(10).await?;
        conn.write_urgent(&[b'u'; 100_000]).await?;
        conn.write_all(b"end").await?;
        conn.drain().await
    };
    play(
        |_| {},
        service,
        |peer| {
            peer.open(PORT);
            for _ in 0..2 {
                let seen = peer.await_that("data", |seen| !seen.data.is_empty());
                assert_eq!(seen.data, b"calmurgentcalm again");
                assert!(
                    seen.has(Flags::URG) && seen.segment.urgent == 10,
                    "{seen:?}"
                );
            }
            peer.send(PSH | ACK, 1, 21, b"go on");
            let (up, end) = (21 + 100_000, 21 + 100_003);
            let mut next = 21;
            while next < end {
                let seen = peer.await_that("data", |seen| !seen.data.is_empty());
                let seq = seen.segment.seq.0.wrapping_sub(peer.irs()) as i32;
                // What was written when it left may be less than all of it.
                let points = seq + i32::from(seen.segment.urgent);
                assert_eq!(seen.has(Flags::URG), seq < up, "{seen:?}");
                assert!(!seen.has(Flags::URG) || points <= up, "{seen:?}");
                assert!(!seen.has(Flags::URG) || seen.segment.urgent > 0, "{seen:?}");
                assert!(seq < up - 1_500 || seq >= up || points == up, "{seen:?}");
                if seq == next {
                    next += seen.data.len() as i32;
                    peer.send(ACK, 6, next, b"");
                }
            }
        },
    );
}

/// A device that cuts large packets would copy the pointer, which means something else in each piece: it gets none with one.
#[test]
fn urgent_data_is_not_left_to_a_device_to_cut() {
    for (local, remote) in crate::PAIRS {
        let mut memory = Memory::new(|config| config.offload = true);
        memory
            .engine
            .serve_tcp(PORT, "ours", |conn: Connection| async move {
                conn.write_urgent(&[b'u'; 50_000]).await?;
                conn.drain().await
            });
        let from = SocketAddr::new(local.parse().unwrap(), 40_000);
        let to = SocketAddr::new(remote.parse().unwrap(), PORT);
        let mut syn = Forged::new(from, to, SYN, 0, 0);
        syn.options = USUAL.to_vec();
        memory.send(syn.packet());
        let irs = describe(&memory.recv(PAUSE).unwrap()).tcp().unwrap().seq;
        let (mut next, end) = (irs + 1, irs + 50_001);
        memory.send(Forged::new(from, to, ACK, 1, next.0).packet());
        while next.before(end) {
            let packet = memory.recv(PAUSE).expect("urgent data");
            let described = describe(&packet);
            let segment = described.tcp().unwrap();
            assert!((1..=1_460).contains(&segment.payload.len()), "{segment:?}");
            assert_eq!(segment.seq + u32::from(segment.urgent), end);
            assert!(segment.seq == next && segment.flags.contains(Flags::URG));
            next = segment.end();
            memory.send(Forged::new(from, to, ACK, 1, next.0).packet());
        }
    }
}

impl Peer<'_> {
    /// A segment with an urgent pointer.
    pub(crate) fn send_urgent(&mut self, seq: i32, pointer: u16, data: &[u8]) {
        const URG: u8 = 0x20;
        let mut packet = self.segment(URG | PSH | ACK, seq, 1, data).packet();
        let tcp = if self.is_v6() { 40 } else { 20 };
        packet[tcp + 18..tcp + 20].copy_from_slice(&pointer.to_be_bytes());
        // RFC 1624: what is added to the segment is taken from its checksum.
        let sum = !u16::from_be_bytes([packet[tcp + 16], packet[tcp + 17]]);
        let (sum, over) = sum.overflowing_add(pointer);
        packet[tcp + 16..tcp + 18].copy_from_slice(&(!(sum + u16::from(over))).to_be_bytes());
        self.send_packet(packet);
    }

    /// A SYN to a port that nobody listens on is refused.
    fn begin_closed(&mut self, port: u16) {
        self.remote.set_port(port);
        self.syn(&[]);
        let reset = self.await_that("a reset", |seen| seen.has(Flags::RST));
        assert_eq!(marking(&reset.packet), (0, 64));
    }
}
