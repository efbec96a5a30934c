//! How much a segment carries (RFC 9293, section 3.7.1).

use crate::stack::tcp::MIN_MSS;

/// The MSS to assume over IPv6 where the peer names none. Over IPv4 smoltcp knows it.
pub(super) const DEFAULT_MSS_V6: u16 = 1220;
const DEFAULT_MSS_V4: u16 = 536;

/// The MSS of a peer that has named this one, or none.
pub(crate) fn announced_mss(named: Option<u16>, v6: bool) -> u16 {
    let default = match v6 {
        true => DEFAULT_MSS_V6,
        false => DEFAULT_MSS_V4,
    };
    named.filter(|&mss| mss > 0).unwrap_or(default)
}

/// The MSS that counts for what we send, options included: that of the peer, or ours if that is less. Like smoltcp, we don't
/// believe one that leaves no room for data behind the options.
pub(super) fn sending_mss(named: Option<u16>, v6: bool, own: u16) -> u16 {
    announced_mss(named, v6).max(MIN_MSS).min(own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::stamps;

    #[test]
    fn the_peers_mss_leaves_room_for_data() {
        #[track_caller]
        fn check(announced: Option<u16>, v6: bool, expected: u16) {
            assert_eq!(sending_mss(announced, v6, 1440), expected);
        }
        check(Some(700), false, 700);
        check(Some(9000), false, 1440);
        check(None, false, 536);
        check(None, true, 1220);
        check(Some(0), false, 536);
        check(Some(1), false, 48);
        const { assert!(MIN_MSS > stamps::LEN) };
    }
}
