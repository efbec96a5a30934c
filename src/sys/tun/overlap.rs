//! Whether the networks of a TUN are free in this network namespace.

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::SockaddrStorage;
use smoltcp::wire::{IpAddress, IpCidr};

use super::error::TunError;

/// Refuses networks in which another interface has an address: making the TUN would take that interface's traffic away.
pub(super) fn check(networks: &[IpCidr]) -> Result<(), TunError> {
    // Without the list there is nothing to compare; adding the addresses will tell.
    let Ok(interfaces) = getifaddrs() else {
        return Ok(());
    };
    for interface in interfaces {
        let address = interface
            .address
            .and_then(ip)
            .zip(interface.netmask.and_then(ip));
        let Some((address, mask)) = address else {
            continue;
        };
        let address = IpCidr::new(address, prefix_len(mask));
        if let Some(&network) = networks.iter().find(|network| overlap(network, &address)) {
            let interface = interface.interface_name;
            return Err(TunError::Overlap {
                network,
                interface,
                address,
            });
        }
    }
    Ok(())
}

fn overlap(one: &IpCidr, other: &IpCidr) -> bool {
    one.contains_addr(&other.address()) || other.contains_addr(&one.address())
}

fn ip(address: SockaddrStorage) -> Option<IpAddress> {
    match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
        (Some(v4), _) => Some(v4.ip().into()),
        (_, Some(v6)) => Some(v6.ip().into()),
        _ => None,
    }
}

fn prefix_len(mask: IpAddress) -> u8 {
    match mask {
        IpAddress::Ipv4(mask) => mask.to_bits().leading_ones() as u8,
        IpAddress::Ipv6(mask) => mask.to_bits().leading_ones() as u8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_overlap_when_either_holds_the_other() {
        for (one, other, expected) in [
            ("192.0.2.1/24", "192.0.2.2/24", true),
            ("192.0.2.1/24", "192.0.0.1/16", true),
            ("192.0.0.1/16", "192.0.2.1/24", true),
            ("192.0.2.1/24", "198.51.100.1/24", false),
            ("2001:db8::1/64", "2001:db8::2/128", true),
            ("2001:db8::1/64", "2001:db8:1::1/64", false),
            ("192.0.2.1/24", "2001:db8::1/64", false),
        ] {
            let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(overlap(&one, &other), expected, "{one} {other}");
        }
    }

    #[test]
    fn the_loopback_network_is_never_free() {
        let taken = check(&["127.0.0.9/8".parse().unwrap()]).unwrap_err();
        assert!(
            taken.what().contains("lo has 127.0.0.1/8"),
            "{}",
            taken.what()
        );
    }
}
