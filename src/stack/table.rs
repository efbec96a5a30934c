//! Which flow a packet belongs to.

use crate::event::Transport;
use crate::segment::{Body, Described};
use siphasher::sip::SipHasher13;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};

/// What tells flows apart: the transport and both endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FlowKey {
    pub(crate) transport: Transport,
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
}

impl FlowKey {
    /// The flow to which a packet that comes in belongs, if it is of a kind that has flows.
    pub(crate) fn of(described: &Described) -> Option<FlowKey> {
        let transport = match described.body {
            Body::Tcp(_) => Transport::Tcp,
            Body::Udp(_) => Transport::Udp,
            _ => return None,
        };
        let (peer, local) = described.endpoints()?;
        Some(FlowKey {
            transport,
            local,
            peer,
        })
    }
}

/// In one piece: a hasher takes longer for six small ones. It is looked for with every packet.
impl Hash for FlowKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut bytes = [0; 37];
        let ports = u32::from(self.local.port()) << 16 | u32::from(self.peer.port());
        bytes[0] = self.transport as u8;
        bytes[1..5].copy_from_slice(&ports.to_be_bytes());
        let len = match (self.local.ip(), self.peer.ip()) {
            (IpAddr::V4(local), IpAddr::V4(peer)) => {
                bytes[5..9].copy_from_slice(&local.octets());
                bytes[9..13].copy_from_slice(&peer.octets());
                13
            }
            (local, peer) => {
                for (room, address) in bytes[5..].chunks_exact_mut(16).zip([local, peer]) {
                    let address = match address {
                        IpAddr::V4(address) => address.to_ipv6_mapped(),
                        IpAddr::V6(address) => address,
                    };
                    room.copy_from_slice(&address.octets());
                }
                37
            }
        };
        state.write(&bytes[..len]);
    }
}

/// A map that a peer who chooses its ports can't make slow, and that is the same in every run with the same
/// seed. It is never iterated.
pub(crate) type FlowMap = HashMap<FlowKey, usize, Seeded>;

/// Makes hashers from a seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seeded(pub(crate) u64);

impl BuildHasher for Seeded {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0, !self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_depend_on_the_seed_and_nothing_else() {
        let key = FlowKey {
            transport: Transport::Tcp,
            local: "192.0.2.2:7".parse().unwrap(),
            peer: "192.0.2.1:1000".parse().unwrap(),
        };
        let hash = |seed| Seeded(seed).hash_one(key);
        assert_eq!(hash(1), hash(1));
        assert_ne!(hash(1), hash(2));
        // The transports have flows of their own.
        let transport = Transport::Udp;
        assert_ne!(Seeded(1).hash_one(FlowKey { transport, ..key }), hash(1));
    }
}
