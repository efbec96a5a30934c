//! Stepping: what a person says about packets that wait, and the clock that stands still meanwhile.

use crate::event::FlowId;
use crate::fault::{Assignment, Pattern};
use crate::state::TcpState;
use smoltcp::time::{Duration, Instant};

/// What becomes of a packet that waits in the link.
#[derive(Clone, Debug, PartialEq)]
pub enum Disposal {
    /// It goes on.
    Pass,
    /// It is swallowed.
    Drop,
    /// It goes on, and so many copies right behind it.
    Duplicate(u32),
    /// It goes on changed.
    Edit(Vec<Assignment>),
}

/// Whether every packet of a flow is held. What is changed to first releases what stepping holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Stepping {
    /// Nothing is held but by rules.
    #[default]
    Off,
    /// Everything is held.
    On,
    /// So many packets go on, those that wait counted; then everything is held.
    Let(u64),
    /// Everything goes on until something happens; then everything is held.
    Until(Break),
}

/// What becomes of copies while every packet is held: of what an end sends again of a packet that waits, or has gone on and
/// is not answered yet because its answer waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Copies {
    /// They are [folded](crate::event::Fate::Folded) into that packet.
    #[default]
    Fold,
    /// They go on by themselves once that packet has gone on; until then they are folded.
    Pass,
    /// They are held, as every packet is.
    Hold,
}

/// What ends a [`Stepping::Until`].
#[derive(Clone, Debug, PartialEq)]
pub enum Break {
    /// A packet, which is the first to be held.
    Packet(Box<Pattern>),
    /// Our end of a connection has entered this state.
    State(TcpState),
    /// A packet of this flow, which is the first to be held.
    Flow(FlowId),
}

/// The stack's time: it stands still while stepping holds something.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StackClock {
    behind: Duration,
    stands_at: Option<Instant>,
}

impl StackClock {
    /// What the stack's clock says `now`.
    pub(super) fn at(&self, now: Instant) -> Instant {
        self.stands_at.unwrap_or(now - self.behind)
    }

    pub(super) fn stands(&self) -> bool {
        self.stands_at.is_some()
    }

    /// When it will say `due`, unless it stands.
    pub(super) fn when(&self, due: Instant) -> Option<Instant> {
        self.stands_at.is_none().then(|| due + self.behind)
    }

    /// Lets it stand, or go on.
    pub(super) fn stand(&mut self, now: Instant, stands: bool) {
        match (self.stands_at, stands) {
            (None, true) => self.stands_at = Some(self.at(now)),
            (Some(at), false) => {
                self.behind = now - at;
                self.stands_at = None;
            }
            _ => {}
        }
    }
}
