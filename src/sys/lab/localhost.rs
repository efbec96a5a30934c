//! What 127.0.0.1 is in a lab.
//!
//! A program in which that address is fixed can talk to what is behind the TUN all the same. Where a packet goes is decided by
//! rules before routes (ip-rule(8)), and a rule can name a port:
//!
//! ```text
//!   0  to 127.0.0.1 dport 1111   table 100: 127.0.0.1 dev tun0 src 192.0.2.1
//!   1  everything                table local: 127.0.0.1 is ours
//! ```
//!
//! The kernel takes packets from 127.0.0.1 on the TUN only where it is told to: `route_localnet`, and `accept_local` for
//! ICMP errors, which name no port that the rule could match (Documentation/networking/ip-sysctl.rst). It has no such setting
//! for ::1.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use smoltcp::wire::Ipv4Address;

use crate::sys::netlink::{LOCAL_TABLE, Link, Route, Rule};
use crate::sys::tun::errno;

/// What 127.0.0.1 is in a lab.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Localhost {
    /// The lab's own, as everywhere.
    #[default]
    Own,
    /// The lab's own, and servers bound to it can be reached through the TUN.
    Reachable,
    /// Packets to these ports, of TCP and UDP, go to the TUN; others are the lab's own.
    Ports(Vec<u16>),
    /// All packets to it go to the TUN.
    All,
}

const ADDRESS: Ipv4Address = Ipv4Address::LOCALHOST;
/// A routing table that no lab uses otherwise.
const TABLE: u8 = 100;

/// Makes it so, in this process's network namespace. `source` is the kernel's address on the TUN.
pub(super) fn set_up(
    localhost: &Localhost,
    route: &Route,
    name: &str,
    link: Link,
    source: Option<Ipv4Address>,
) -> Result<(), Errno> {
    let ports: Vec<Option<u16>> = match localhost {
        Localhost::Own => return Ok(()),
        Localhost::Reachable => Vec::new(),
        Localhost::Ports(ports) => ports.iter().copied().map(Some).collect(),
        Localhost::All => vec![None],
    };
    for setting in ["route_localnet", "accept_local"] {
        let path = format!("/proc/sys/net/ipv4/conf/{name}/{setting}");
        fs::write(path, "1").map_err(|error| errno(&error))?;
    }
    if ports.is_empty() {
        return Ok(());
    }
    let source = source.ok_or(Errno::EADDRNOTAVAIL)?;
    route.add_route(link.index, ADDRESS, source, TABLE)?;
    // Rules of one priority are asked in the order in which they came, so what was the first becomes a later one.
    let local = |priority| Rule {
        priority,
        to: None,
        table: LOCAL_TABLE,
    };
    route.add_rule(local(1))?;
    for port in ports {
        route.add_rule(Rule {
            priority: 0,
            to: Some((ADDRESS, port)),
            table: TABLE,
        })?;
    }
    route.delete_rule(local(0))
}

/// What goes over a lab's loopback interface, as its kernel counts it: proc_pid_net(5). Can be read for as long as the
/// lab's network namespace is held.
#[derive(Debug)]
pub(super) struct Loopback {
    interfaces: File,
    protocols: File,
}

impl Loopback {
    /// Where the counters of this process's network namespace are.
    pub(super) const FILES: [&str; 2] = ["/proc/self/net/dev", "/proc/self/net/snmp"];

    pub(super) fn received(interfaces: OwnedFd, protocols: OwnedFd) -> Loopback {
        Loopback {
            interfaces: interfaces.into(),
            protocols: protocols.into(),
        }
    }

    /// How many packets have gone over it.
    pub(super) fn packets(&self) -> io::Result<u64> {
        let text = read(&self.interfaces)?;
        let line = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("lo:"));
        // Bytes, then packets.
        let packets = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        packets.ok_or(io::ErrorKind::InvalidData.into())
    }

    /// How many connections could not be opened and how many datagrams found no port, on whatever interface.
    pub(super) fn failures(&self) -> io::Result<u64> {
        let text = read(&self.protocols)?;
        Ok(counter(&text, "Tcp:", "AttemptFails") + counter(&text, "Udp:", "NoPorts"))
    }
}

/// A counter of /proc/net/snmp: of each protocol there is a line of names and one of numbers.
fn counter(text: &str, protocol: &str, name: &str) -> u64 {
    let mut lines = text
        .lines()
        .filter(|line| line.split_whitespace().next() == Some(protocol));
    let (Some(names), Some(numbers)) = (lines.next(), lines.next()) else {
        return 0;
    };
    let mut pairs = names.split_whitespace().zip(numbers.split_whitespace());
    let found = pairs.find(|(found, _)| *found == name);
    found
        .and_then(|(_, number)| number.parse().ok())
        .unwrap_or(0)
}

fn read(file: &File) -> io::Result<String> {
    // A few lines of a fixed kind.
    let mut text = vec![0; 16 << 10];
    let mut len = 0;
    while len < text.len() {
        match file.read_at(&mut text[len..], len as u64)? {
            0 => break,
            more => len += more,
        }
    }
    Ok(String::from_utf8_lossy(&text[..len]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_by_their_names() {
        let text =
            "Ip: A B\nIp: 1 2\nTcp: MaxConn AttemptFails OutRsts\nTcp: -1 7 9\nUdp: NoPorts\n";
        assert_eq!(counter(text, "Tcp:", "AttemptFails"), 7);
        assert_eq!(counter(text, "Tcp:", "MaxConn"), 0);
        assert_eq!(counter(text, "Tcp:", "NoPorts"), 0);
        assert_eq!(counter(text, "Udp:", "NoPorts"), 0);
        assert_eq!(counter("", "Ip:", "A"), 0);
    }

    #[test]
    fn this_kernel_counts() {
        let open = |path: &str| OwnedFd::from(File::open(path).unwrap());
        let [interfaces, protocols] = Loopback::FILES.map(open);
        let loopback = Loopback::received(interfaces, protocols);
        let before = loopback.packets().unwrap();
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        assert!(loopback.packets().unwrap() > before);
        loopback.failures().unwrap();
    }
}
