//! How large packets may be on their way to a peer (RFC 1191, RFC 8201).
//!
//! Routers tell it in ICMP messages, which anybody can forge: whoever is believed can make every segment tiny. So a message
//! counts for one connection or exchange only, for as long as that lasts, and has to fit what was sent.

#[cfg(test)]
mod tests;

/// RFC 8200, section 5: every link carries 1,280 bytes. RFC 8201, section 4: a node "must not reduce its estimate of the
/// Path MTU below the IPv6 minimum link MTU".
const MIN_V6: u32 = 1280;
/// RFC 1191, section 3: a host "MUST never reduce its estimate of the Path MTU below 68 octets".
const MIN_V4: u32 = 68;
/// Below this we make no smaller packets and let routers cut them, as Linux (`min_pmtu`): a forged message may not cost
/// more.
const FLOOR_V4: u16 = 552;
/// Sizes are rounded down to a multiple of this, so that there are not too many of them.
const STEP: u32 = 32;
/// RFC 1191, section 7.1: what to try where an old router does not say.
const PLATEAUS: [u32; 10] = [
    32_000, 17_914, 8_166, 4_352, 2_002, 1_492, 1_006, 508, 296, 68,
];

/// What is known of one path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Path {
    mtu: Option<u16>,
    fragments: bool,
}

impl Path {
    /// How large packets may be, where that is less than our MTU.
    pub(crate) fn mtu(self) -> Option<u16> {
        self.mtu
    }

    /// Whether routers have to cut even those.
    pub(crate) fn fragments(self) -> bool {
        self.fragments
    }

    /// A message says that a packet of `len` bytes was larger than `mtu`. `own` is our MTU. Returns what packets may have
    /// from now on, where that is less than before: otherwise the message is not believed, or nothing new.
    pub(crate) fn hear(&mut self, v4: bool, own: usize, mtu: u32, len: usize) -> Option<u16> {
        let mtu = match mtu {
            0 if v4 => *PLATEAUS.iter().find(|&&plateau| (plateau as usize) < len)?,
            mtu => mtu,
        };
        let before = self.mtu.map_or(own, usize::from);
        let fits = mtu as usize >= len;
        if fits || len > before || mtu < if v4 { MIN_V4 } else { MIN_V6 } {
            return None;
        }
        let rounded = u16::try_from(mtu / STEP * STEP).ok()?;
        let now = if v4 { rounded.max(FLOOR_V4) } else { rounded };
        self.fragments |= mtu < FLOOR_V4.into();
        if usize::from(now) >= before {
            return None;
        }
        self.mtu = Some(now);
        Some(now)
    }
}
