//! What a program may ask of its connection, and sees of it on the wire: in memory only, as it is our own interface.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use tcplab::engine::{Config, ConnectError, Origin};
use tcplab::segment::{Flags, describe};
use tcplab::service::Connection;

use crate::memory::Memory;
use crate::peer::{ECHO, PAUSE, Peer, Wire};
use crate::support::{ACK, PSH};

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

impl Peer<'_> {
    /// A SYN to a port that nobody listens on is refused.
    fn begin_closed(&mut self, port: u16) {
        self.remote.set_port(port);
        self.syn(&[]);
        let reset = self.await_that("a reset", |seen| seen.has(Flags::RST));
        assert_eq!(marking(&reset.packet), (0, 64));
    }
}
