//! The window that a segment of ours advertises.

use crate::segment::SeqNumber;

/// The window that was advertised, and what one of smoltcp's may become.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Its right edge.
    pub(super) edge: Option<SeqNumber>,
    pub(super) scale: u8,
    /// The size of the receive buffer in bytes.
    pub(super) buffer: u32,
    /// What smoltcp has besides, and is not advertised.
    pub(super) reserve: u32,
    /// What may be advertised at most, unless more was before.
    pub(super) limit: u32,
    pub(super) own_mss: u16,
}

impl Window {
    /// RFC 9293, section 3.8.6.2.2: the right edge stays where it is until it can move by "min [...] Fr * RCV.BUFF, Eff.snd.MSS",
    /// where Fr is 1/2. As long as a full segment fits, no window is silly.
    ///
    /// It never moves left (section 3.8.6, SHLD-14), neither for the sake of the limit nor by rounding: what is left of the
    /// window is rounded up to a unit of its scale.
    pub(super) fn field(&self, rcv_nxt: SeqNumber, field: u16) -> u16 {
        let edge = self.edge.filter(|&edge| rcv_nxt.at_or_before(edge));
        let left = edge.map_or(0, |edge| edge.since(rcv_nxt));
        let free = u32::from(self.without_reserve(field)) << self.scale;
        let new = free.min(self.limit.max(left));
        let worth = u32::from(self.own_mss).min(self.buffer / 2);
        let is_silly = edge.is_some() && left < worth && new > left && new - left < worth;
        let unit = 1 << self.scale;
        let field = match is_silly || new / unit * unit < left {
            true => left.div_ceil(unit),
            false => new / unit,
        };
        u16::try_from(field).unwrap_or(u16::MAX)
    }

    /// A window of smoltcp's as it stands in a header, without what it has besides.
    pub(super) fn without_reserve(&self, field: u16) -> u16 {
        // The reserve is a multiple of the unit but in buffers just below a power of two.
        let reserve = self.reserve.div_ceil(1 << self.scale);
        u32::from(field).saturating_sub(reserve) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::socket::reserve;
    use proptest::prelude::*;

    /// What happens to a receive buffer between two segments of ours.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Arrives(u32),
        Read(u32),
        /// So much may be advertised from now on.
        Limit(u32),
    }

    fn steps(buffer: u32) -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (1..20u32).prop_map(Step::Arrives),
            3 => (1..3_000u32).prop_map(Step::Arrives),
            2 => (1..3_000u32).prop_map(Step::Read),
            1 => (0..=buffer).prop_map(Step::Read),
            1 => prop::sample::select(vec![0, 3_000, buffer / 2, buffer]).prop_map(Step::Limit),
        ];
        prop::collection::vec(step, 1..400)
    }

    /// Buffers with their scale.
    fn buffers() -> impl Strategy<Value = (u32, u8)> {
        let buffers = vec![
            (1_024, 0),
            (65_535, 0),
            (65_536, 1),
            (262_144, 3),
            (524_288, 4),
        ];
        prop::sample::select(buffers)
    }

    proptest! {
        /// With plain numbers: the right edge never moves left, nothing is advertised that smoltcp has no room for but
        /// for the rounding of hundreds of acknowledgments, and a buffer that is read is advertised again.
        #[test]
        fn the_right_edge_never_moves_left(
            (buffer, scale, steps) in buffers()
                .prop_flat_map(|(buffer, scale)| (Just(buffer), Just(scale), steps(buffer))),
            irs in any::<u32>(),
        ) {
            let spare = reserve(buffer as usize) as u64;
            let room = u64::from(buffer) + spare;
            let (mut received, mut read, mut limit, mut rounded) = (0u64, 0u64, buffer, 0u64);
            // The window of a SYN-ACK is not scaled.
            let mut edge = u64::from(buffer.min(65_535));
            for step in steps {
                match step {
                    // A peer keeps to the window, and smoltcp to its buffer.
                    Step::Arrives(len) => received = (received + u64::from(len)).min(edge).min(read + room),
                    Step::Read(len) => read = (read + u64::from(len)).min(received),
                    Step::Limit(to) => limit = to,
                }
                let at = |place: u64| SeqNumber(irs.wrapping_add(place as u32));
                let told = Window {
                    edge: Some(at(edge)),
                    scale,
                    buffer,
                    reserve: spare as u32,
                    limit,
                    own_mss: 1_460,
                };
                let free = (read + room - received) >> scale;
                let field = told.field(at(received), u16::try_from(free).unwrap_or(u16::MAX));
                let new = received + (u64::from(field) << scale);
                prop_assert!(new >= edge, "from {edge} to {new}");
                let unit = 1 << scale;
                // Either room that there is, or what was advertised before, rounded up.
                let has_room = new <= read + u64::from(buffer);
                prop_assert!(has_room || new - edge < unit, "{new} with room up to {}", read + room);
                rounded = if has_room { 0 } else { rounded + (new - edge) };
                prop_assert!(new <= read + u64::from(buffer) + rounded + unit);
                edge = new;
                if received == read && limit == buffer && edge - received < u64::from(buffer / 2) {
                    let worth = u64::from(buffer / 2).min(1_460);
                    prop_assert!(edge - received >= worth.min(u64::from(u16::MAX)) - unit);
                }
            }
        }
    }
}
