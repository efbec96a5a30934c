//! Stepping: what a person says about packets that wait, and the clock that stands still meanwhile.

use super::Engine;
use super::Shared;
use super::interfere::{Interference, edited};
use crate::event::{FlowId, PacketId, Release};
use crate::fault::{Assignment, Pattern, RuleSet};
use crate::link::Outcome;
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
    fn stand(&mut self, now: Instant, stands: bool) {
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

impl Engine {
    /// Lets a packet that waits go on, or not.
    pub(super) fn dispose(&mut self, now: Instant, id: PacketId, disposal: Disposal) {
        let Shared { link, journal, .. } = &mut self.shared;
        let outcome = match disposal {
            Disposal::Pass => Outcome::Pass,
            Disposal::Drop => Outcome::Drop,
            Disposal::Duplicate(copies) => Outcome::Duplicate(copies),
            Disposal::Edit(assignments) => match link.waiting(id) {
                Some((bytes, offload)) => Outcome::Rewrite(edited(bytes, offload, &assignments)),
                None => return,
            },
        };
        link.release(journal, now, id, Release::Hand, outcome);
    }

    /// Begins or ends stepping.
    pub(super) fn step(&mut self, now: Instant, mut stepping: Stepping) {
        let Shared {
            link,
            journal,
            interference,
            config,
            ..
        } = &mut self.shared;
        if interference.is_none() && stepping == Stepping::Off {
            return;
        }
        let interference = interference
            .get_or_insert_with(|| Box::new(Interference::of(RuleSet::new(), config.seed)));
        while let Some(id) = link.first_stepped() {
            match &mut stepping {
                Stepping::On | Stepping::Let(0) => break,
                Stepping::Let(left) => *left -= 1,
                Stepping::Off | Stepping::Until(_) => {}
            }
            link.release(journal, now, id, Release::Hand, Outcome::Pass);
        }
        interference.stepping = stepping;
        interference.stepped = true;
        link.originals.watch();
    }

    /// From now on copies are dealt with like that.
    pub(super) fn treat_copies(&mut self, copies: Copies) {
        let seed = self.shared.config.seed;
        self.shared
            .interference
            .get_or_insert_with(|| Box::new(Interference::of(RuleSet::new(), seed)))
            .copies = copies;
    }

    /// The stack's time stands still while stepping holds something, and goes on otherwise.
    pub(super) fn set_clock(&mut self, now: Instant) {
        let stands =
            self.shared.interference.is_some() && self.shared.link.first_stepped().is_some();
        self.clock.stand(now, stands);
    }
}
