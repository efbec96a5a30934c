//! The catalogue: faults with a name and an address of their own. Whoever connects to the address meets the fault.
//!
//! ```text
//!   192.0.2.1    2001:db8::1     the kernel's side
//!   192.0.2.2    2001:db8::2     lab.test: no fault
//!   192.0.2.10   2001:db8::10    and up: connecting goes wrong      ┐
//!   192.0.2.40   2001:db8::40    and up: talking goes wrong         ├ the number is the fault's, for good
//!   192.0.2.70   2001:db8::70    and up: closing goes wrong         ┘
//! ```
//!
//! A fault is made of rules and knobs like those that anybody can give, and nothing else.
//!
//! ```
//! use tcplab::fault::catalogue::{self, Outcome};
//!
//! let fault = catalogue::find("synack-lost-2").unwrap();
//! assert_eq!(fault.rules[1], "drop out SYN-ACK #1..2");
//! assert_eq!(fault.expected.outcome, Outcome::Answers);
//! let address = fault.address_in("192.0.2.2/24".parse().unwrap());
//! assert_eq!(address, Some("192.0.2.18".parse().unwrap()));
//! ```

mod closing;
mod connecting;
mod talking;
#[cfg(test)]
mod tests;

use super::{Rule, RuleSet};
use smoltcp::time::Duration;
use smoltcp::wire::{IpAddress, IpCidr};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A fault that has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its name: letters, digits and hyphens, as a label of a host name. It never changes.
    pub name: &'static str,
    /// The number of its host in every network, 10 to 99. It never changes either.
    pub host: u8,
    /// What goes wrong, in a few words.
    pub title: &'static str,
    /// The rules and knobs that make it, each as `--rule` takes it.
    pub rules: &'static [&'static str],
    /// What happens, in sentences.
    pub happens: &'static str,
    /// What a good client does.
    pub client: &'static str,
    /// Which part of which RFC is about it.
    pub source: Source,
    /// What comes of a request in HTTP.
    pub expected: Expectation,
}

/// When a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// While the connection is opened.
    Connecting,
    /// While it is open.
    Talking,
    /// While it is closed.
    Closing,
}

/// A section of an RFC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The number of the RFC.
    pub rfc: u16,
    /// The section.
    pub section: &'static str,
}

/// What a good client makes of one request in HTTP, with one connection and no second try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// How it ends.
    pub outcome: Outcome,
    /// How long that takes at most, where nothing is slow but the fault; `None` where nothing but a limit of the client's
    /// own ends it.
    pub within: Option<Duration>,
}

/// How a request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The client has the whole answer and is content.
    Answers,
    /// The client says that it has failed.
    Fails,
    /// It may be content, and it may say that it has failed.
    Either,
}

/// All faults, in the order of their hosts.
pub fn faults() -> impl Iterator<Item = &'static Fault> {
    Group::ALL.into_iter().flat_map(|group| group.faults())
}

/// The fault with this name.
pub fn find(name: &str) -> Option<&'static Fault> {
    faults().find(|fault| fault.name == name)
}

/// The names that look most like one that is none: at most three, best first.
pub fn nearest(name: &str) -> Vec<&'static str> {
    let name = name.trim().to_ascii_lowercase().replace(['_', ' '], "-");
    if let Some(fault) = find(&name) {
        return vec![fault.name];
    }
    let mut names: Vec<_> = faults()
        .map(|fault| (distance(&name, fault.name), fault.name))
        .filter(|(distance, fault)| *distance <= fault.len() / 3 || fault.contains(&name))
        .collect();
    names.sort();
    names.into_iter().take(3).map(|(_, name)| name).collect()
}

/// The faults that have an address in these networks, with those addresses. `own` are our addresses with their prefixes: a
/// fault has none of them, nor has it one where the network is too small.
pub fn addressed(own: &[IpCidr]) -> impl Iterator<Item = (&'static Fault, Vec<IpAddr>)> {
    let is_own = move |address: IpAddr| own.iter().any(|prefix| prefix.address() == address.into());
    faults().filter_map(move |fault| {
        let addresses = own.iter().filter_map(|prefix| fault.address_in(*prefix));
        let addresses: Vec<_> = addresses.filter(|address| !is_own(*address)).collect();
        (!addresses.is_empty()).then_some((fault, addresses))
    })
}

/// Gives every fault its address in these networks.
pub fn add_to(rules: &mut RuleSet, own: &[IpCidr]) {
    for (fault, addresses) in addressed(own) {
        for rule in fault.parsed() {
            rules.add_at_each(addresses.iter().copied(), rule);
        }
    }
}

impl Fault {
    /// Its host name, for example `blackhole.test`.
    pub fn host_name(&self) -> String {
        format!("{}.test", self.name)
    }

    /// A command that shows it: a request over HTTP in a lab. IPv4 alone, so that there is one attempt; with a limit where nothing
    /// else ends it, and long enough to see a connection closed that outlives the command.
    pub fn trial(&self) -> String {
        let linger = match self.name {
            "fin-lost-1" | "fin-ack-lost" => " --linger 3",
            "fin-delayed-5s" => " --linger 5.5",
            // The client's FIN is lost too, again and again.
            "blackhole-mid-data" => " --linger 0",
            _ => "",
        };
        let limit = match (self.expected.within, self.name) {
            (Some(_), _) => "",
            // Between the second probe and the third.
            (None, "zero-window") => " --max-time 1.1",
            (None, _) => " --max-time 3.5",
        };
        let host = self.host_name();
        format!("tcplab run{linger} -- curl -4 -sS{limit} http://{host}/")
    }

    /// Its rules, read.
    pub fn parsed(&self) -> impl Iterator<Item = Rule> {
        let parsed = |text: &&str| {
            text.parse()
                .expect("the catalogue's rules are right, which a test says")
        };
        self.rules.iter().map(parsed)
    }

    /// When it strikes.
    pub fn group(&self) -> Group {
        match self.host {
            ..40 => Group::Connecting,
            40..70 => Group::Talking,
            70.. => Group::Closing,
        }
    }

    /// Its address in a network; `None` where that is too small. In IPv6 the number reads as in IPv4: host 18 is `::18`.
    pub fn address_in(&self, network: IpCidr) -> Option<IpAddr> {
        match network {
            IpCidr::Ipv4(v4) => {
                let host = u32::from(self.host);
                let bits = 32 - u32::from(v4.prefix_len());
                // The last address of a network is the broadcast address.
                let fits = bits >= 32 || host < (1 << bits) - 1;
                let address = u32::from(v4.network().address()) + host;
                fits.then(|| Ipv4Addr::from(address).into())
            }
            IpCidr::Ipv6(v6) => {
                let host = u128::from(self.host / 10 * 16 + self.host % 10);
                let bits = 128 - u32::from(v6.prefix_len());
                let fits = bits >= 128 || host < 1 << bits;
                let IpAddress::Ipv6(address) = network.address() else {
                    return None;
                };
                let first = u128::from(address).checked_shr(bits).unwrap_or(0);
                let first = first.checked_shl(bits).unwrap_or(0);
                fits.then(|| Ipv6Addr::from(first + host).into())
            }
        }
    }
}

impl Group {
    /// All of them, in the order in which a connection meets them.
    pub const ALL: [Group; 3] = [Group::Connecting, Group::Talking, Group::Closing];

    /// Its faults, in the order of their hosts.
    pub fn faults(self) -> &'static [Fault] {
        match self {
            Group::Connecting => connecting::FAULTS,
            Group::Talking => talking::FAULTS,
            Group::Closing => closing::FAULTS,
        }
    }
}

impl Expectation {
    const fn answers(within: u64) -> Expectation {
        Expectation {
            outcome: Outcome::Answers,
            within: Some(Duration::from_secs(within)),
        }
    }

    const fn fails(within: u64) -> Expectation {
        Expectation {
            outcome: Outcome::Fails,
            within: Some(Duration::from_secs(within)),
        }
    }

    const fn either(within: u64) -> Expectation {
        Expectation {
            outcome: Outcome::Either,
            within: Some(Duration::from_secs(within)),
        }
    }

    /// Only a limit of the client's own ends it.
    const NEVER: Expectation = Expectation {
        outcome: Outcome::Fails,
        within: None,
    };
}

/// `RFC 9293, section 3.5`
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RFC {}, section {}", self.rfc, self.section)
    }
}

const fn rfc(rfc: u16, section: &'static str) -> Source {
    Source { rfc, section }
}

/// How many letters must be put in, taken out or changed to make one of the other (Levenshtein 1965).
pub(crate) fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (done, letter) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], done + 1);
        for (column, &against) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != against);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}
