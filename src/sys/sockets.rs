//! Sockets of the kernel: which ports a process has open, as it tells in /proc (proc_net(5)), and how one is closed.

use std::fs;
use std::io;
use std::net::TcpStream;

use nix::libc::linger;
use nix::sys::socket::{setsockopt, sockopt};

use crate::event::Transport;

/// The `st` column of a TCP socket in LISTEN (`include/net/tcp_states.h`).
const LISTEN: &str = "0A";

/// Whether anybody in the network namespace of process `pid` can be reached at `port`: listens to it (TCP), or is
/// bound to it (UDP), over any IP version.
///
/// # Errors
/// When the process is not there any more.
pub fn has_port(pid: i32, transport: Transport, port: u16) -> io::Result<bool> {
    let name = transport.name();
    let v4 = fs::read_to_string(format!("/proc/{pid}/net/{name}"))?;
    // Without IPv6 there is no such file.
    let v6 = fs::read_to_string(format!("/proc/{pid}/net/{name}6")).unwrap_or_default();
    Ok([v4, v6].iter().any(|table| lists(table, transport, port)))
}

/// From now on closing the connection resets it: ABORT (RFC 9293, section 3.10.5; SO_LINGER in socket(7)).
///
/// # Errors
/// Those of setsockopt(2).
pub fn reset_on_close(stream: &TcpStream) -> io::Result<()> {
    let at_once = linger {
        l_onoff: 1,
        l_linger: 0,
    };
    Ok(setsockopt(stream, sockopt::Linger, &at_once)?)
}

fn lists(table: &str, transport: Transport, port: u16) -> bool {
    table.lines().skip(1).any(|line| {
        // sl, local_address (hexadecimal ADDRESS:PORT), rem_address, st, …
        let mut columns = line.split_whitespace().skip(1);
        let local = columns.next().and_then(|local| local.rsplit_once(':'));
        let found = local.and_then(|(_, hex)| u16::from_str_radix(hex, 16).ok()) == Some(port);
        found && (transport == Transport::Udp || columns.nth(1) == Some(LISTEN))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    #[test]
    fn a_port_is_there_while_it_is_open() {
        let pid = std::process::id() as i32;
        // A port that is free again may be somebody else's the next moment, but not each time.
        let is_gone = (0..100).any(|_| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            assert!(has_port(pid, Transport::Tcp, port).unwrap());
            drop(listener);
            !has_port(pid, Transport::Tcp, port).unwrap()
        });
        assert!(is_gone);

        let socket = UdpSocket::bind("[::1]:0")
            .or_else(|_| UdpSocket::bind("127.0.0.1:0"))
            .unwrap();
        let port = socket.local_addr().unwrap().port();
        assert!(has_port(pid, Transport::Udp, port).unwrap());
    }

    #[test]
    fn only_listening_sockets_count() {
        let table = "  sl  local_address rem_address   st tx_queue\n   \
                     0: 0100007F:0457 00000000:0000 0A 00000000:00000000\n   \
                     1: 0100007F:0458 0100007F:0457 01 00000000:00000000\n";
        assert!(lists(table, Transport::Tcp, 0x457));
        assert!(!lists(table, Transport::Tcp, 0x458));
    }
}
