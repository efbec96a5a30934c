//! What is to go wrong: rules that the link asks about every packet, and knobs of the stack.
//!
//! A rule is one line of text. It says which packets it is about and what is done with them; it does nothing itself: the
//! link carries its verdict out. The first rule that does not let a packet pass decides.
//!
//! ```text
//!             ┌── scope ──┐  ┌verdict┐ ┌──── pattern ────┐
//!             conn 1..2:     drop      out SYN-ACK #1..2
//!                            delay 4s  out SYN-ACK
//!                            hold      in FIN
//!                            edit      out SYN-ACK          mss=536 wscale=none
//!                            silence   both                 after data 100
//!   a state:                 reset                          at ESTABLISHED after 500ms
//!   a knob:                  set       iss=4294967000 time-wait=0
//! ```
//!
//! # The grammar
//!
//! `tcplab help rules` prints it too.
//!
//! ```text
#![doc = include_str!("fault/rules.txt")]
//! ```
//!
//! Those that are worth a name stand in the [`catalogue`], where each has an address of its own.
//!
//! # What a rule never does
//!
//! Look at a clock, draw a number that the seed doesn't decide, or know more than the link tells
//! it of a packet.

pub mod catalogue;
pub(crate) mod edit;
mod judge;
mod knobs;
mod parse;
mod rule;
mod tally;
mod text;

pub use knobs::{BacklogFull, Closing, Knobs, Reading, Writing};
pub use parse::{ParseError, parse_rules};
pub use rule::{
    Action, Assignment, Comparison, Ends, IcmpError, Kind, Pattern, Rule, Scope, Trigger, Until,
    Verdict,
};

pub(crate) use judge::{Crossing, Judge, Judgment};

use crate::event::RuleId;
use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// How rules are written, with examples: what the documentation of [this module](self) has too.
pub const GRAMMAR: &str = include_str!("fault/rules.txt");

/// Rules and knobs, for everyone or for one of our addresses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleSet {
    rules: Vec<Rule>,
    /// Those for all addresses, in the order in which they are asked.
    general: Vec<RuleId>,
    /// Those of one address, asked after the general ones. Never iterated.
    of_address: HashMap<IpAddr, Vec<RuleId>, FixedState>,
}

impl RuleSet {
    /// No rules.
    pub fn new() -> RuleSet {
        RuleSet::default()
    }

    /// Adds a rule for all our addresses, to be asked after those that are there.
    pub fn add(&mut self, rule: Rule) -> RuleId {
        let id = self.keep(rule);
        self.general.push(id);
        id
    }

    /// Adds a rule for connections to one of our addresses. It is asked after the general ones.
    pub fn add_at(&mut self, address: IpAddr, rule: Rule) -> RuleId {
        self.add_at_each([address], rule)
    }

    /// The same for several of our addresses.
    pub fn add_at_each(
        &mut self,
        addresses: impl IntoIterator<Item = IpAddr>,
        rule: Rule,
    ) -> RuleId {
        let id = self.keep(rule);
        for address in addresses {
            self.of_address.entry(address).or_default().push(id);
        }
        id
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// A rule; `None` for [`RuleId::HAND`] and numbers that were not given out.
    pub fn rule(&self, id: RuleId) -> Option<&Rule> {
        self.rules.get((id.0 as usize).checked_sub(1)?)
    }

    /// Whether a rule is for all our addresses.
    pub fn is_general(&self, id: RuleId) -> bool {
        self.general.contains(&id)
    }

    /// Whether any is asked about packets of connections to `local`.
    pub(crate) fn concern(&self, local: IpAddr) -> bool {
        !self.general.is_empty() || self.of_address.contains_key(&local)
    }

    /// Those that are asked about packets of connections to `local`, first to last.
    pub(crate) fn asked(&self, local: IpAddr) -> impl Iterator<Item = (RuleId, &Rule)> {
        let own = self.of_address.get(&local).map_or(&[][..], Vec::as_slice);
        self.general
            .iter()
            .chain(own)
            .filter_map(|&id| Some((id, self.rule(id)?)))
    }

    /// The knobs of a connection that begins: what is set for all, and above it what is set for `local`.
    pub fn knobs(&self, number: u64, local: SocketAddr, peer: SocketAddr) -> Knobs {
        let mut knobs = Knobs::default();
        for (_, rule) in self.asked(local.ip()) {
            if let Action::Set(set) = &rule.action
                && rule.scope.contains(number, local, peer)
            {
                knobs.override_with(set);
            }
        }
        knobs
    }

    fn keep(&mut self, rule: Rule) -> RuleId {
        self.rules.push(rule);
        RuleId(self.rules.len() as u32)
    }
}
