//! From what was typed to what is to be done: every value checked, with words for what is wrong.

use super::args::{Faults, Stack};
use crate::engine::{Config, Engine, Origin};
use crate::event::Watch;
use crate::fault::{Rule, RuleSet, catalogue, parse_rules};
use crate::service::defect;
use crate::sink::report::{Format, UnknownSuffix};
use crate::sys;
use crate::sys::clock::Clock;
use anyhow::Context;
use smoltcp::time::Duration;
use smoltcp::wire::{IpAddress, IpCidr, Ipv4Address, Ipv4Cidr, Ipv6Cidr};
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// How the engine is to be made. Every fault of the catalogue has its address; what the options ask for comes before.
pub(super) fn engine_config(
    stack: &Stack,
    watch: Watch,
    addresses: Vec<IpCidr>,
    mtu: u16,
    clock: &Clock,
) -> anyhow::Result<Config> {
    let seed = match stack.seed {
        Some(seed) => seed,
        None => sys::random_seed().context("no seed from /dev/urandom")?,
    };
    let mut rules = stack.faults.rules();
    catalogue::add_to(&mut rules, &addresses);
    let defaults = Config::new(addresses);
    sys::panics::prepare();
    Ok(Config {
        mtu: usize::from(mtu),
        offload: stack.offload,
        seed,
        epoch: clock.wall_at_start().into(),
        watch,
        buffer: stack.buffer,
        backlog: stack.backlog,
        connections: stack.connections,
        time_waits: stack.time_waits,
        reassembly: stack.reassembly,
        waiting: stack.waiting,
        time_wait: stack.time_wait,
        keep_alive: stack.keep_alive,
        user_timeout: Some(stack.user_timeout),
        hop_limit: stack.ttl,
        dscp: stack.dscp,
        release: Some(sys::memory::release),
        contain_defects: Some(sys::panics::take_site),
        rules,
        ..defaults
    })
}

/// An engine with the standard services.
pub(super) fn serving(config: Config, stack: &Stack) -> Engine {
    let mut engine = Engine::new(config);
    engine.serve_standard(&stack.password);
    if let Some(port) = stack.defect_at {
        engine.serve_tcp(port, "defect", defect::defect);
        engine.serve_udp(port, "defect", defect::UdpDefect);
    }
    engine
}

impl Faults {
    /// The rules of `--rule`, then those of files.
    pub(super) fn rules(&self) -> RuleSet {
        let files = self.rules.iter().flat_map(|RuleFile(rules)| rules);
        let mut set = RuleSet::new();
        for rule in self.rule.iter().chain(files) {
            set.add(rule.clone());
        }
        set
    }
}

/// Whether `RUST_LOG` asks for events.
pub(super) fn events_are_logged() -> bool {
    log::log_enabled!(target: super::watcher::LOG_TARGET, log::Level::Info)
}

/// The kernel's address and ours in an IPv4 network: its first host and its second.
pub(super) fn hosts_v4(network: Ipv4Cidr) -> (IpCidr, IpCidr) {
    let first = u32::from(network.network().address());
    let host = |number| {
        IpCidr::new(
            IpAddress::from(Ipv4Address::from(first + number)),
            network.prefix_len(),
        )
    };
    (host(1), host(2))
}

/// The same in an IPv6 network.
pub(super) fn hosts_v6(network: Ipv6Cidr) -> (IpCidr, IpCidr) {
    let bits = 128 - u32::from(network.prefix_len());
    let first = u128::from(network.address()) >> bits << bits;
    let host = |number| {
        IpCidr::new(
            IpAddress::from(Ipv6Addr::from(first + number)),
            network.prefix_len(),
        )
    };
    (host(1), host(2))
}

/// A host of the network in which `own` is, by its number; `None` where the network has no such host.
pub(super) fn nth_host(own: IpCidr, number: u32) -> Option<IpAddr> {
    let last = u128::MAX
        .checked_shr(128 - u32::from(room(own)))
        .unwrap_or(0);
    // The last address of an IPv4 network is its broadcast address.
    if u128::from(number) + u128::from(matches!(own, IpCidr::Ipv4(_))) > last {
        return None;
    }
    let host = match own {
        IpCidr::Ipv4(own) => Ipv4Addr::from(u32::from(own.network().address()) + number).into(),
        IpCidr::Ipv6(own) => {
            let bits = 128 - u32::from(own.prefix_len());
            let network = u128::from(own.address()).checked_shr(bits).unwrap_or(0);
            let network = network.checked_shl(bits).unwrap_or(0);
            Ipv6Addr::from(network + u128::from(number)).into()
        }
    };
    Some(host)
}

/// The kernel's address in a network in which `own` is ours: its first host that is not `own`.
pub(super) fn kernel_side(own: IpCidr) -> IpCidr {
    let (first, second) = match own {
        IpCidr::Ipv4(own) => hosts_v4(own),
        IpCidr::Ipv6(own) => hosts_v6(own),
    };
    if first.address() == own.address() {
        second
    } else {
        first
    }
}

/// An address as the standard library has it.
pub(super) fn std_address(prefix: &IpCidr) -> IpAddr {
    match prefix.address() {
        IpAddress::Ipv4(address) => IpAddr::V4(address),
        IpAddress::Ipv6(address) => IpAddr::V6(address),
    }
}

/// Bytes, or with K or M: what `--buffer` takes.
pub(super) fn size(text: &str) -> Result<usize, String> {
    let (digits, unit) = match text.strip_suffix(['K', 'k']) {
        Some(digits) => (digits, 1 << 10),
        None => match text.strip_suffix(['M', 'm']) {
            Some(digits) => (digits, 1 << 20),
            None => (text, 1),
        },
    };
    let bytes: Option<usize> = digits
        .parse()
        .ok()
        .and_then(|count: usize| count.checked_mul(unit));
    bytes
        .filter(|bytes| (1 << 10..=1 << 30).contains(bytes))
        .ok_or_else(|| "expected 1K to 1024M, for example 65536, 64K or 1M".to_owned())
}

/// Where an active open comes from.
pub(super) fn origin(text: &str) -> Result<Origin, String> {
    let address = text.parse::<IpAddr>().map(Origin::from);
    let with_port = || text.parse::<SocketAddr>().map(Origin::from);
    address.or_else(|_| with_port()).map_err(|_| {
        "expected an address, for example 192.0.2.2, 192.0.2.2:4444 or [2001:db8::2]:4444"
            .to_owned()
    })
}

/// Seconds, with or without a fraction.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: Option<f64> = text.parse().ok();
    seconds
        .filter(|seconds| (0.0..=1e9).contains(seconds))
        .map(|seconds| Duration::from_micros((seconds * 1e6).round() as u64))
        .ok_or_else(|| "expected a number of seconds, for example 60 or 0.5".to_owned())
}

/// The same, but some time must pass.
pub(super) fn some_seconds(text: &str) -> Result<Duration, String> {
    match seconds(text)? {
        Duration::ZERO => Err("expected more than 0 seconds".to_owned()),
        duration => Ok(duration),
    }
}

/// The same, for a limit of at most an hour.
pub(super) fn limit(text: &str) -> Result<std::time::Duration, String> {
    let limit: std::time::Duration = some_seconds(text)?.into();
    match limit <= std::time::Duration::from_secs(3600) {
        true => Ok(limit),
        false => Err("expected at most 3600 seconds".to_owned()),
    }
}

/// The rules of a file.
#[derive(Clone, Debug)]
pub(super) struct RuleFile(Vec<Rule>);

/// Reads a file of rules, `-` for standard input.
pub(super) fn rules(path: &str) -> Result<RuleFile, String> {
    let text = match path {
        "-" => io::read_to_string(io::stdin()),
        path => fs::read_to_string(path),
    };
    let text = text.map_err(|error| format!("cannot read it: {error}"))?;
    parse_rules(&text).map(RuleFile).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        errors.join("\n")
    })
}

/// Part I of N.
pub(super) fn shard(text: &str) -> Result<(usize, usize), String> {
    let parts = text.split_once('/');
    let parts = parts.and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
    parts
        .filter(|(part, of)| (1..=*of).contains(part))
        .ok_or_else(|| "expected a part and how many there are, for example 2/5".to_owned())
}

/// A file for a report, of the kind that its suffix tells.
pub(super) fn report(path: &str) -> Result<(PathBuf, Format), UnknownSuffix> {
    let path = PathBuf::from(path);
    let format = Format::of(&path)?;
    Ok((path, format))
}

/// An address with its prefix, which must be one that a host can have.
pub(super) fn prefix(text: &str) -> Result<IpCidr, String> {
    let expected = "expected ADDRESS/PREFIX, for example 192.0.2.2/24 or 2001:db8::2/64";
    let prefix: IpCidr = text.parse().map_err(|()| expected.to_owned())?;
    if !prefix.address().is_unicast() {
        return Err(format!(
            "{} is no address that a host can have",
            prefix.address()
        ));
    }
    match prefix {
        IpCidr::Ipv4(v4) if v4.prefix_len() < 31 && v4.address() == v4.network().address() => Err(
            format!("{} is the network itself, not a host in it", v4.address()),
        ),
        IpCidr::Ipv4(v4) if v4.prefix_len() < 31 && Some(v4.address()) == v4.broadcast() => {
            Err(format!(
                "{} is the broadcast address of {}",
                v4.address(),
                v4.network()
            ))
        }
        _ if room(prefix) < 2 => Err("a prefix needs room for the kernel's address too".to_owned()),
        _ => Ok(prefix),
    }
}

/// ADDRESS:PORT, or a port of the loopback address.
pub(super) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let port = text
        .parse()
        .map(|port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    port.or_else(|_| text.parse()).map_err(|_| {
        "expected ADDRESS:PORT or a port, for example 127.0.0.1:9100 or 9100".to_owned()
    })
}

/// Without blanks around it, as after the comma of a list.
pub(super) fn trimmed(text: &str) -> Result<String, std::convert::Infallible> {
    Ok(text.trim().to_owned())
}

/// A network of a lab, which may do without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network<T> {
    /// This one.
    Prefix(T),
    /// None of that IP version.
    None,
}

impl<T> Network<T> {
    pub(super) fn prefix(self) -> Option<T> {
        match self {
            Network::Prefix(prefix) => Some(prefix),
            Network::None => None,
        }
    }
}

/// What leaves a network out.
const NO_NETWORK: &str = "none";

/// A port of the lab's 127.0.0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LocalPort {
    /// This one.
    One(u16),
    /// Every port.
    All,
}

impl LocalPort {
    pub(super) fn one(self) -> Option<u16> {
        match self {
            LocalPort::One(port) => Some(port),
            LocalPort::All => None,
        }
    }
}

/// A port, or `all`.
pub(super) fn local_port(text: &str) -> Result<LocalPort, String> {
    match text.parse() {
        Ok(port @ 1..) => Ok(LocalPort::One(port)),
        _ if text == "all" => Ok(LocalPort::All),
        _ => Err("expected a port from 1 to 65535, or all".to_owned()),
    }
}

/// An IPv4 network with room for two hosts, or `none`.
pub(super) fn network_v4(text: &str) -> Result<Network<Ipv4Cidr>, String> {
    if text == NO_NETWORK {
        return Ok(Network::None);
    }
    let network: Option<Ipv4Cidr> = text.parse().ok();
    network
        .filter(|network| {
            network.prefix_len() <= 30 && network.address() == network.network().address()
        })
        .filter(|network| {
            let address = network.address();
            !address.is_multicast() && !address.is_unspecified() && !address.is_loopback()
        })
        .map(Network::Prefix)
        .ok_or_else(|| {
            "expected an IPv4 prefix of at most 30 bits, for example 192.0.2.0/24".to_owned()
        })
}

/// An IPv6 network with room for two hosts, or `none`.
pub(super) fn network_v6(text: &str) -> Result<Network<Ipv6Cidr>, String> {
    if text == NO_NETWORK {
        return Ok(Network::None);
    }
    let network: Option<Ipv6Cidr> = text.parse().ok();
    network
        .filter(|network| (1..=126).contains(&network.prefix_len()))
        .filter(|network| {
            let host_bits = 128 - u32::from(network.prefix_len());
            u128::from(network.address()).trailing_zeros() >= host_bits
        })
        .filter(|network| !network.address().is_multicast() && !network.address().is_unspecified())
        .map(Network::Prefix)
        .ok_or_else(|| {
            "expected an IPv6 prefix of at most 126 bits, for example 2001:db8::/64".to_owned()
        })
}

/// How many bits of a prefix are left for hosts.
fn room(prefix: IpCidr) -> u8 {
    match prefix {
        IpCidr::Ipv4(prefix) => 32 - prefix.prefix_len(),
        IpCidr::Ipv6(prefix) => 128 - prefix.prefix_len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("1024", Some(1024)),
            ("64K", Some(65_536)),
            ("1m", Some(1 << 20)),
            ("1024M", Some(1 << 30)),
            ("1025M", None),
            ("100", None),
            ("", None),
            ("K", None),
            ("-1K", None),
            ("99999999999999999999M", None),
        ] {
            assert_eq!(size(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn seconds_with_fractions() {
        for (text, expected) in [
            ("60", Some(60_000_000)),
            ("0.5", Some(500_000)),
            ("0", Some(0)),
            ("-1", None),
            ("NaN", None),
            ("inf", None),
            ("1e12", None),
            ("", None),
        ] {
            assert_eq!(
                seconds(text).ok(),
                expected.map(Duration::from_micros),
                "{text}"
            );
        }
    }

    #[test]
    fn prefixes_are_of_hosts() {
        for (text, fine) in [
            ("192.0.2.2/24", true),
            ("2001:db8::2/64", true),
            ("192.0.2.0/24", false),
            ("192.0.2.255/24", false),
            ("192.0.2.2/32", false),
            ("192.0.2.2", false),
            ("224.0.0.1/24", false),
            ("0.0.0.0/0", false),
            ("2001:db8::2/128", false),
            ("lab.test/24", false),
        ] {
            assert_eq!(prefix(text).is_ok(), fine, "{text}");
        }
    }

    #[test]
    fn the_first_host_is_the_kernels_and_the_second_ours() {
        let v4 = hosts_v4("198.51.100.64/28".parse().unwrap());
        assert_eq!(
            format!("{} {}", v4.0, v4.1),
            "198.51.100.65/28 198.51.100.66/28"
        );
        let v6 = hosts_v6("2001:db8:1::/64".parse().unwrap());
        assert_eq!(
            format!("{} {}", v6.0, v6.1),
            "2001:db8:1::1/64 2001:db8:1::2/64"
        );
        assert_eq!(
            kernel_side(prefix("192.0.2.2/24").unwrap()).to_string(),
            "192.0.2.1/24"
        );
        assert_eq!(
            kernel_side(prefix("192.0.2.1/24").unwrap()).to_string(),
            "192.0.2.2/24"
        );
    }

    #[test]
    fn hosts_by_number() {
        #[track_caller]
        fn check(own: &str, number: u32, expected: Option<&str>) {
            let host = nth_host(prefix(own).unwrap(), number);
            assert_eq!(
                host.map(|host| host.to_string()).as_deref(),
                expected,
                "{own} {number}"
            );
        }
        check("192.0.2.2/24", 10, Some("192.0.2.10"));
        check("192.0.2.2/24", 254, Some("192.0.2.254"));
        check("192.0.2.2/24", 255, None);
        check("192.0.2.2/28", 15, None);
        check("10.1.2.3/8", 256, Some("10.0.1.0"));
        check("2001:db8::2/64", 255, Some("2001:db8::ff"));
        check("2001:db8::2/120", 255, Some("2001:db8::ff"));
        check("2001:db8::2/120", 256, None);
    }

    #[test]
    fn addresses_to_listen_to() {
        for (text, expected) in [
            ("9100", Some("127.0.0.1:9100")),
            ("192.0.2.1:80", Some("192.0.2.1:80")),
            ("[::1]:80", Some("[::1]:80")),
            ("65536", None),
            ("localhost", None),
            ("", None),
        ] {
            let found = listen_address(text).ok().map(|address| address.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn shards() {
        for (text, expected) in [
            ("1/1", Some((1, 1))),
            ("2/5", Some((2, 5))),
            ("0/5", None),
            ("6/5", None),
            ("5", None),
            ("/", None),
            ("-1/5", None),
        ] {
            assert_eq!(shard(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn networks() {
        for (text, fine) in [
            ("192.0.2.0/24", true),
            ("192.0.2.1/24", false),
            ("192.0.2.0/31", false),
            ("127.0.0.0/8", false),
            ("2001:db8::/64", false),
            ("none", true),
            ("None", false),
        ] {
            assert_eq!(network_v4(text).is_ok(), fine, "{text}");
        }
        for (text, fine) in [
            ("2001:db8::/64", true),
            ("2001:db8::1/64", false),
            ("2001:db8::/127", false),
            ("::/0", false),
            ("none", true),
        ] {
            assert_eq!(network_v6(text).is_ok(), fine, "{text}");
        }
        assert_eq!(network_v6("none"), Ok(Network::None));
    }

    #[test]
    fn ports_of_the_loopback_address() {
        for (text, expected) in [
            ("1111", Some(LocalPort::One(1111))),
            ("65535", Some(LocalPort::One(65_535))),
            ("all", Some(LocalPort::All)),
            ("0", None),
            ("65536", None),
            ("http", None),
            ("", None),
        ] {
            assert_eq!(local_port(text).ok(), expected, "{text}");
        }
    }
}
