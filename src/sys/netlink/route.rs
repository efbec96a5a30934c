//! rtnetlink(7): the few requests that set up an interface.

use std::net::IpAddr;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::SockProtocol;
use smoltcp::wire::{IpCidr, Ipv4Address};

use super::{HEADER, Request, Socket, array, attribute, find};

/// A socket to the kernel's routing tables, bound to the network namespace it was opened in.
#[derive(Debug)]
pub(in crate::sys) struct Route {
    socket: Socket,
}

/// What the kernel says of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sys) struct Link {
    pub(in crate::sys) index: u32,
    pub(in crate::sys) up: bool,
    /// Octets of the largest packet.
    pub(in crate::sys) mtu: u32,
    /// How many packets its queue has room for.
    pub(in crate::sys) queue: u32,
}

impl Route {
    pub(in crate::sys) fn open() -> Result<Route, Errno> {
        let socket = Socket::open(SockProtocol::NetlinkRoute)?;
        Ok(Route { socket })
    }

    /// Looks an interface up; ENODEV where there is none of that name.
    pub(in crate::sys) fn link(&self, name: &str) -> Result<Link, Errno> {
        let answer = self.ask(
            Request::new(libc::RTM_GETLINK, 0)
                .bytes(&link_header(0, 0, 0))
                .text(libc::IFLA_IFNAME, name),
        )?;
        parse_link(&answer).ok_or(Errno::EBADMSG)
    }

    /// Brings the interface up, and before that sets the MTU and the length of its queue in packets, unless they are to stay.
    pub(in crate::sys) fn bring_up(
        &self,
        index: u32,
        set: Option<(u16, u32)>,
    ) -> Result<(), Errno> {
        let up = libc::IFF_UP as u32;
        let mut request =
            Request::new(libc::RTM_NEWLINK, NLM_F_ACK).bytes(&link_header(index, up, up));
        if let Some((mtu, queue)) = set {
            request = request
                .attribute(libc::IFLA_MTU, &u32::from(mtu).to_ne_bytes())
                .attribute(libc::IFLA_TXQLEN, &queue.to_ne_bytes());
        }
        self.ask(request).map(drop)
    }

    /// Keeps the kernel from giving the interface a link-local address, and with it from asking for
    /// routers there: the first packet of a lab is then the user's own.
    pub(in crate::sys) fn no_link_local(&self, index: u32) -> Result<(), Errno> {
        let mode = attribute(IFLA_INET6_ADDR_GEN_MODE, &[IN6_ADDR_GEN_MODE_NONE]);
        let inet6 = attribute(libc::AF_INET6 as u16, &mode);
        self.ask(
            Request::new(libc::RTM_NEWLINK, NLM_F_ACK)
                .bytes(&link_header(index, 0, 0))
                .attribute(libc::IFLA_AF_SPEC, &inet6),
        )
        .map(drop)
    }

    /// Takes away what holds packets back on their way to the interface, or puts them in another order: tc(8) calls that no
    /// queueing discipline `noqueue`. The interface's own queue stays.
    pub(in crate::sys) fn no_queueing(&self, index: u32) -> Result<(), Errno> {
        // struct tcmsg of <linux/rtnetlink.h>: family, padding, index, handle, parent, info.
        let mut header = vec![0; 4];
        header.extend(index.to_ne_bytes());
        header.extend([0; 4]);
        header.extend(TC_H_ROOT.to_ne_bytes());
        header.extend([0; 4]);
        self.ask(
            Request::new(libc::RTM_NEWQDISC, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE)
                .bytes(&header)
                .text(libc::TCA_KIND, "noqueue"),
        )
        .map(drop)
    }

    /// Adds an address, usable at once: without duplicate address detection (RFC 4862, section
    /// 5.4), which would keep an IPv6 address from answering for a second.
    pub(in crate::sys) fn add_address(&self, index: u32, cidr: IpCidr) -> Result<(), Errno> {
        let (family, octets) = match IpAddr::from(cidr.address()) {
            IpAddr::V4(address) => (libc::AF_INET, address.octets().to_vec()),
            IpAddr::V6(address) => (libc::AF_INET6, address.octets().to_vec()),
        };
        // struct ifaddrmsg of <linux/if_addr.h>: family, prefix length, flags, scope, index.
        let mut header = vec![family as u8, cidr.prefix_len(), IFA_F_NODAD, 0];
        header.extend(index.to_ne_bytes());
        self.ask(
            Request::new(libc::RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL)
                .bytes(&header)
                .attribute(libc::IFA_LOCAL, &octets)
                .attribute(libc::IFA_ADDRESS, &octets),
        )
        .map(drop)
    }

    /// Makes an IPv4 address reachable through the interface, from `source`, in a routing table of that number.
    pub(in crate::sys) fn add_route(
        &self,
        index: u32,
        to: Ipv4Address,
        source: Ipv4Address,
        table: u8,
    ) -> Result<(), Errno> {
        // struct rtmsg of <linux/rtnetlink.h>: family, lengths of destination and source, TOS, table, protocol, scope, type,
        // flags.
        let header = [
            libc::AF_INET as u8,
            32,
            0,
            0,
            table,
            libc::RTPROT_STATIC,
            libc::RT_SCOPE_LINK,
            libc::RTN_UNICAST,
            0,
            0,
            0,
            0,
        ];
        self.ask(
            Request::new(libc::RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL)
                .bytes(&header)
                .attribute(libc::RTA_DST, &to.octets())
                .attribute(libc::RTA_PREFSRC, &source.octets())
                .attribute(libc::RTA_OIF, &index.to_ne_bytes()),
        )
        .map(drop)
    }

    /// Adds a rule of IPv4, behind those of its priority.
    pub(in crate::sys) fn add_rule(&self, rule: Rule) -> Result<(), Errno> {
        let flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
        self.ask(rule.request(libc::RTM_NEWRULE, flags)).map(drop)
    }

    /// Takes a rule away.
    pub(in crate::sys) fn delete_rule(&self, rule: Rule) -> Result<(), Errno> {
        self.ask(rule.request(libc::RTM_DELRULE, NLM_F_ACK))
            .map(drop)
    }

    fn ask(&self, request: Request) -> Result<Vec<u8>, Errno> {
        let mut answer = vec![0; 32 * 1024];
        self.socket.ask(request, &mut answer).map(<[u8]>::to_vec)
    }
}

/// Which routing table is asked (ip-rule(8)).
#[derive(Clone, Copy, Debug)]
pub(in crate::sys) struct Rule {
    /// Lower ones are asked first.
    pub(in crate::sys) priority: u32,
    /// An address and a port that a packet must go to, or any port; `None` for all packets.
    pub(in crate::sys) to: Option<(Ipv4Address, Option<u16>)>,
    pub(in crate::sys) table: u8,
}

impl Rule {
    fn request(self, kind: u16, flags: u16) -> Request {
        // struct fib_rule_hdr of <linux/fib_rules.h>: family, lengths of destination and source, TOS, table, two reserved,
        // action, flags.
        let length = if self.to.is_some() { 32 } else { 0 };
        let family = libc::AF_INET as u8;
        let header = [
            family,
            length,
            0,
            0,
            self.table,
            0,
            0,
            FR_ACT_TO_TBL,
            0,
            0,
            0,
            0,
        ];
        let mut request = Request::new(kind, flags)
            .bytes(&header)
            .attribute(FRA_PRIORITY, &self.priority.to_ne_bytes());
        if let Some((address, port)) = self.to {
            request = request.attribute(FRA_DST, &address.octets());
            if let Some(port) = port {
                // struct fib_rule_port_range: the first and the last.
                let range = [port.to_ne_bytes(), port.to_ne_bytes()].concat();
                request = request.attribute(FRA_DPORT_RANGE, &range);
            }
        }
        request
    }
}

/// The table in which the kernel keeps its own addresses.
pub(in crate::sys) const LOCAL_TABLE: u8 = libc::RT_TABLE_LOCAL;
/// `enum` values of <linux/fib_rules.h>, which `libc` doesn't have.
const FRA_DST: u16 = 1;
const FRA_PRIORITY: u16 = 6;
const FRA_DPORT_RANGE: u16 = 24;
const FR_ACT_TO_TBL: u8 = 1;

const NLM_F_ACK: u16 = libc::NLM_F_ACK as u16;
const NLM_F_CREATE: u16 = libc::NLM_F_CREATE as u16;
const NLM_F_EXCL: u16 = libc::NLM_F_EXCL as u16;
const NLM_F_REPLACE: u16 = libc::NLM_F_REPLACE as u16;
/// Of <linux/pkt_sched.h>: what is to be set has no parent.
const TC_H_ROOT: u32 = u32::MAX;
const IFA_F_NODAD: u8 = libc::IFA_F_NODAD as u8;
/// `enum` values of <linux/if_link.h>, which `libc` doesn't have.
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const IN6_ADDR_GEN_MODE_NONE: u8 = 1;

/// Octets of `struct ifinfomsg`.
const LINK_HEADER: usize = 16;

/// `struct ifinfomsg` of <linux/rtnetlink.h>: family, pad, type, index, flags, which flags to change.
fn link_header(index: u32, flags: u32, change: u32) -> Vec<u8> {
    let mut header = vec![0; 4];
    header.extend(index.to_ne_bytes());
    header.extend(flags.to_ne_bytes());
    header.extend(change.to_ne_bytes());
    header
}

fn parse_link(message: &[u8]) -> Option<Link> {
    let index = u32::from_ne_bytes(array(message, HEADER + 4)?);
    let flags = u32::from_ne_bytes(array(message, HEADER + 8)?);
    let attributes = message.get(HEADER + LINK_HEADER..)?;
    let mtu = u32::from_ne_bytes(array(find(attributes, libc::IFLA_MTU)?, 0)?);
    let queue = u32::from_ne_bytes(array(find(attributes, libc::IFLA_TXQLEN)?, 0)?);
    let up = flags & libc::IFF_UP as u32 != 0;
    Some(Link {
        index,
        up,
        mtu,
        queue,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_found_and_nonsense_is_not() {
        let route = Route::open().unwrap();
        assert_eq!(route.link("lo").unwrap().index, 1);
        assert_eq!(route.link("no-such-link").unwrap_err(), Errno::ENODEV);
    }

    #[test]
    fn a_cut_answer_is_no_link() {
        assert_eq!(parse_link(&[]), None);
        assert_eq!(parse_link(&[0; 33]), None);
        assert_eq!(parse_link(&[0; 64]), None);
    }
}
