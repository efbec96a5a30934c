//! Which rule decides about a packet.

use super::rule::{Action, Comparison, Pattern, Trigger, Verdict};
use super::tally::{Counted, Tally};
use super::{Knobs, RuleSet};
use crate::event::{Direction, FlowId, RuleId};
use crate::segment::Described;
use crate::state::TcpState;
use foldhash::fast::FixedState;
use smoltcp::time::{Duration, Instant};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// A packet on the link, and all that rules may know about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crossing<'a> {
    pub(crate) now: Instant,
    /// Its flow, where it has one.
    pub(crate) flow: Option<FlowId>,
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
    pub(crate) direction: Direction,
    pub(crate) described: &'a Described,
    /// Its length in bytes.
    pub(crate) len: usize,
}

/// What was decided about a packet.
#[derive(Clone, Debug)]
pub(crate) struct Judgment {
    /// The rule that decides, and its verdict; `None` where the packet passes.
    pub(crate) decided: Option<(RuleId, Verdict)>,
    /// The state of our end before it.
    pub(crate) state: Option<TcpState>,
    counted: Counted,
}

impl Judgment {
    /// Whether the packet occupies sequence numbers that were sent before.
    pub(crate) fn retransmission(&self) -> bool {
        self.counted.retransmission
    }

    /// Whether the packet is one of a pattern, chance and counts aside.
    pub(crate) fn matches(&self, pattern: &Pattern, crossing: &Crossing<'_>) -> bool {
        matches(pattern, crossing, self.state, &self.counted)
    }
}

/// Rules at work.
#[derive(Debug)]
pub(crate) struct Judge {
    rules: RuleSet,
    /// Never iterated.
    tallies: HashMap<FlowId, Tally, FixedState>,
    /// The state of the generator of chance.
    chance: u64,
}

impl Judge {
    pub(crate) fn new(rules: RuleSet, seed: u64) -> Judge {
        Judge {
            rules,
            tallies: HashMap::default(),
            chance: seed,
        }
    }

    /// Counts a packet, and asks the rules about it.
    pub(crate) fn judge(&mut self, crossing: &Crossing<'_>) -> Judgment {
        let mut stray = Tally::default();
        let tally = match crossing.flow {
            Some(flow) => self.tallies.entry(flow).or_default(),
            None => &mut stray,
        };
        let counted = tally.count(crossing.now, crossing.direction, crossing.described);
        Judgment {
            decided: decide(&self.rules, &mut self.chance, crossing, tally, &counted),
            state: tally.state,
            counted,
        }
    }

    /// Our end of a flow has entered a state. Gives the rules that act by themselves then: which, what they do,
    /// and how much later.
    pub(crate) fn entered(
        &mut self,
        flow: FlowId,
        local: SocketAddr,
        peer: SocketAddr,
        entered: TcpState,
    ) -> Vec<(RuleId, Verdict, Duration)> {
        self.tallies.entry(flow).or_default().state = Some(entered);
        let acting = self.rules.asked(local.ip()).filter_map(|(id, rule)| {
            let Action::Act(verdict, Trigger { state, after }) = &rule.action else {
                return None;
            };
            let acts = *state == entered && rule.scope.contains(flow.0, local, peer);
            acts.then(|| (id, verdict.clone(), *after))
        });
        acting.collect()
    }

    /// What was counted of a flow.
    pub(crate) fn tally(&mut self, flow: FlowId) -> Option<&mut Tally> {
        self.tallies.get_mut(&flow)
    }

    /// A flow is over.
    pub(crate) fn forget(&mut self, flow: FlowId) {
        self.tallies.remove(&flow);
    }

    /// Gives memory back that was needed for more flows.
    pub(crate) fn shrink(&mut self) {
        self.tallies.shrink_to(2 * self.tallies.len());
    }

    /// Whether any rule is about connections to this address of ours.
    pub(crate) fn concerns(&self, local: IpAddr) -> bool {
        self.rules.concern(local)
    }

    /// The knobs of a connection that begins.
    pub(crate) fn knobs(&self, flow: FlowId, local: SocketAddr, peer: SocketAddr) -> Knobs {
        self.rules.knobs(flow.0, local, peer)
    }
}

/// The first rule that does not let a packet pass.
fn decide(
    rules: &RuleSet,
    chance: &mut u64,
    crossing: &Crossing<'_>,
    tally: &mut Tally,
    counted: &Counted,
) -> Option<(RuleId, Verdict)> {
    if let Some(rule) = tally.silenced(crossing.direction) {
        return Some((rule, Verdict::Drop));
    }
    let number = crossing.flow.map_or(0, |flow| flow.0);
    for (id, rule) in rules.asked(crossing.local.ip()) {
        let Action::Judge(verdict, pattern) = &rule.action else {
            continue;
        };
        if !rule.scope.contains(number, crossing.local, crossing.peer)
            || !matches(pattern, crossing, tally.state, counted)
            || pattern
                .times
                .is_some_and(|times| crossing.flow.is_none() || tally.fired(id) >= times)
            || pattern
                .chance
                .is_some_and(|chances| draw(chance) >= chances)
        {
            continue;
        }
        if pattern.times.is_some() {
            tally.fire(id);
        }
        return match verdict {
            Verdict::Pass => None,
            Verdict::Silence(direction) => {
                tally.silence(id, *direction);
                Some((id, Verdict::Drop))
            }
            verdict => Some((id, verdict.clone())),
        };
    }
    None
}

fn matches(
    pattern: &Pattern,
    crossing: &Crossing<'_>,
    our_state: Option<TcpState>,
    counted: &Counted,
) -> bool {
    let Pattern {
        direction,
        kind,
        ordinal,
        retransmission,
        state,
        after_data,
        after,
        within,
        size,
        chance: _,
        times: _,
    } = pattern;
    let data_before: u64 = match direction {
        Some(direction) => counted.data_before[*direction as usize],
        None => counted.data_before.iter().sum(),
    };
    direction.is_none_or(|direction| direction == crossing.direction)
        && counted.is(*kind)
        && ordinal
            .as_ref()
            .is_none_or(|range| crossing.flow.is_some() && range.contains(&counted.ordinal(*kind)))
        && retransmission.is_none_or(|expected| expected == counted.retransmission)
        && state.is_none_or(|state| Some(state) == our_state)
        && after_data.is_none_or(|after| data_before >= after || data_before + counted.data > after)
        && after.is_none_or(|after| counted.age >= after)
        && within.is_none_or(|within| counted.age < within)
        && size.is_none_or(|(comparison, size)| match comparison {
            Comparison::Less => crossing.len < size,
            Comparison::Greater => crossing.len > size,
            Comparison::Equal => crossing.len == size,
        })
}

/// A number below a million (splitmix64).
fn draw(state: &mut u64) -> u32 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) % 1_000_000) as u32
}
