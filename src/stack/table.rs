//! Which flow a packet belongs to.

use crate::event::Transport;
use siphasher::sip::SipHasher13;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::net::SocketAddr;

/// What tells flows apart: the transport and both endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FlowKey {
    pub(crate) transport: Transport,
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
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
