//! What a person has said, carried out: about packets that wait, and about when to hold them.

use super::interfere::{Interference, edited};
use super::stepping::{Copies, Disposal, Stepping};
use super::{Engine, Shared};
use crate::event::{PacketId, Release};
use crate::fault::RuleSet;
use crate::link::Outcome;
use smoltcp::time::Instant;

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
