//! What the TUN itself gives: a responder that answers segments without being a TCP.
//!
//! It keeps six numbers for each connection, looks at nothing twice, negotiates nothing but the window's scale, has no timers
//! and sends nothing again; a FIN is acknowledged with its own. Packets are read and written just as tcplab does. So what
//! tcplab is behind it is tcplab's own work, and what it is behind the kernel's server is the TUN's.

use crate::Result;
use crate::server::{self, CHARGEN, ECHO};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use smoltcp::wire::{
    IPV4_HEADER_LEN, IpProtocol, Ipv4Packet, TCP_HEADER_LEN, TcpPacket, TcpSeqNumber, checksum,
};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::num::NonZeroU16;
use std::os::fd::AsFd;
use tcplab::sys::tun::{Outbox, Tun};

const MTU: usize = 1500;
const HEADERS: usize = IPV4_HEADER_LEN + TCP_HEADER_LEN;
const MSS: usize = MTU - HEADERS;
/// What is announced in a SYN: the MSS, a window scale of 7, and a NOP for padding.
const OPTIONS: [u8; 8] = [2, 4, (MSS >> 8) as u8, MSS as u8, 3, 3, 7, 1];
const WINDOW_SCALE: u8 = 7;
/// In flight at most, and in the window: what tcplab has as its buffers.
const BUFFER: usize = 256 * 1024;
/// The most payload of a packet where a device cuts it.
const LARGEST: usize = 65_535 - HEADERS;
/// The most packets that are answered together.
const BATCH: usize = 64;

/// Who talks to whom: the addresses and ports of a segment, as it has them.
type Ends = (Ipv4Addr, u16, Ipv4Addr, u16);

struct Connection {
    next: TcpSeqNumber,
    unacknowledged: TcpSeqNumber,
    expected: TcpSeqNumber,
    /// Bytes that have come and are not acknowledged.
    owed: usize,
    window: usize,
    scale: u8,
}

/// What the control bits of an answer are, besides ACK.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Control {
    None,
    Syn,
    Fin,
}

/// Answers at a TUN until it is killed.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let (tun, _) = server::tun(arguments)?;
    eprintln!("ready");
    let mut responder = Responder {
        connections: HashMap::new(),
        outbox: Outbox::new(tun.offload()),
        tun: &tun,
    };
    let mut packet = vec![0; 1 << 17];
    // As many packets are looked for as there were last; see `tcplab::sys::driver`.
    let (mut together, mut holds, mut count) = (1, 0, 0);
    loop {
        match tun.recv(&mut packet) {
            Ok(received) => {
                count += 1;
                responder.answer(&packet[received.place])?;
                if count < together {
                    continue;
                }
                match holds {
                    0 => together = (together * 2).min(BATCH),
                    _ => holds -= 1,
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                (together, holds) = (count.max(1), 16);
                if count == 0 {
                    let mut tun = [PollFd::new(tun.as_fd(), PollFlags::POLLIN)];
                    poll(&mut tun, PollTimeout::NONE)?;
                }
            }
            Err(error) => return Err(error.into()),
        }
        responder.flush()?;
        count = 0;
    }
}

struct Responder<'a> {
    connections: HashMap<Ends, Connection>,
    outbox: Outbox,
    tun: &'a Tun,
}

impl Responder<'_> {
    fn answer(&mut self, packet: &[u8]) -> Result<()> {
        // What else the kernel sends, such as looking for routers, is nothing to us.
        let Ok(ip) = Ipv4Packet::new_checked(packet) else {
            return Ok(());
        };
        let Ok(tcp) = TcpPacket::new_checked(ip.payload()) else {
            return Ok(());
        };
        let port = tcp.dst_port();
        let ends = (ip.src_addr(), tcp.src_port(), ip.dst_addr(), port);
        if tcp.syn() {
            let scale = tcp
                .options()
                .windows(3)
                .find(|option| option[..2] == [3, 3]);
            let mut connection = Connection {
                next: TcpSeqNumber(1_000),
                unacknowledged: TcpSeqNumber(1_000),
                expected: tcp.seq_number() + 1,
                owed: 0,
                window: 0,
                scale: scale.map_or(0, |option| option[2]),
            };
            self.send(ends, &mut connection, Control::Syn, &[])?;
            self.connections.insert(ends, connection);
            return Ok(());
        }
        let Some(mut connection) = self.connections.remove(&ends) else {
            return Ok(());
        };
        if tcp.rst() {
            return Ok(());
        }
        connection.unacknowledged = tcp.ack_number();
        connection.window = usize::from(tcp.window_len()) << connection.scale;
        let payload = tcp.payload();
        connection.owed += payload.len();
        connection.expected += payload.len() + usize::from(tcp.fin());
        if tcp.fin() {
            // The last acknowledgment meets nobody.
            return self.send(ends, &mut connection, Control::Fin, &[]);
        }
        match port {
            CHARGEN => self.generate(ends, &mut connection)?,
            ECHO if !payload.is_empty() => {
                self.send(ends, &mut connection, Control::None, payload)?;
            }
            // RFC 9293, section 3.8.6.3: "at least every second full-sized segment". Behind a PUSH there may be no second.
            _ if connection.owed >= 2 * MSS || !payload.is_empty() && tcp.psh() => {
                self.send(ends, &mut connection, Control::None, &[])?;
            }
            _ => {}
        }
        self.connections.insert(ends, connection);
        Ok(())
    }

    /// Sends as much as the peer takes, in packets as large as there are.
    fn generate(&mut self, ends: Ends, connection: &mut Connection) -> Result<()> {
        static DATA: [u8; LARGEST] = [b'x'; LARGEST];
        let largest = if self.tun.offload() { LARGEST } else { MSS };
        let window = connection.window.min(BUFFER);
        // A small rest waits until there is room for more.
        while connection.next - connection.unacknowledged + largest.min(window) <= window {
            self.send(
                ends,
                connection,
                Control::None,
                &DATA[..largest.min(window)],
            )?;
        }
        Ok(())
    }

    fn send(
        &mut self,
        (peer, peer_port, local, port): Ends,
        connection: &mut Connection,
        control: Control,
        payload: &[u8],
    ) -> Result<()> {
        let options = match control {
            Control::Syn => OPTIONS.as_slice(),
            Control::None | Control::Fin => &[],
        };
        let len = HEADERS + options.len() + payload.len();
        let room = &mut self.outbox.room()[..len];
        room[..HEADERS].fill(0);
        let mut ip = Ipv4Packet::new_unchecked(&mut *room);
        ip.set_version(4);
        ip.set_header_len(IPV4_HEADER_LEN as u8);
        ip.set_total_len(len as u16);
        ip.set_dont_frag(true);
        ip.set_hop_limit(64);
        ip.set_next_header(IpProtocol::Tcp);
        ip.set_src_addr(local);
        ip.set_dst_addr(peer);
        ip.fill_checksum();
        let mut tcp = TcpPacket::new_unchecked(&mut room[IPV4_HEADER_LEN..]);
        tcp.set_src_port(port);
        tcp.set_dst_port(peer_port);
        tcp.set_seq_number(connection.next);
        tcp.set_ack_number(connection.expected);
        tcp.set_header_len((TCP_HEADER_LEN + options.len()) as u8);
        tcp.set_syn(control == Control::Syn);
        tcp.set_fin(control == Control::Fin);
        tcp.set_ack(true);
        let scale = if control == Control::Syn {
            0
        } else {
            WINDOW_SCALE
        };
        tcp.set_window_len((BUFFER >> scale).min(65_535) as u16);
        tcp.options_mut().copy_from_slice(options);
        tcp.payload_mut().copy_from_slice(payload);
        connection.owed = 0;
        connection.next += payload.len() + usize::from(control != Control::None);
        match self.tun.offload() {
            false => {
                tcp.fill_checksum(&local.into(), &peer.into());
                self.outbox.push(len);
            }
            true => {
                let tcp_len = (len - IPV4_HEADER_LEN) as u32;
                tcp.set_checksum(checksum::pseudo_header_v4(
                    &local,
                    &peer,
                    IpProtocol::Tcp,
                    tcp_len,
                ));
                let cut = NonZeroU16::new(MSS as u16).filter(|_| payload.len() > MSS);
                self.outbox.push_partial(len, cut);
            }
        }
        match self.outbox.is_full() {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<()> {
        let mut failed = None;
        self.outbox.flush(self.tun, |error| failed = Some(error));
        failed.map_or(Ok(()), |error| Err(error.into()))
    }
}
