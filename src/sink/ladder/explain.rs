//! What a newcomer should notice, said in words where it happens for the first time.

use crate::event::{Direction, FlowId};
use crate::segment::{Flags, Segment};
use crate::view::Flow;
use std::collections::BTreeMap;

/// What was said already in this run.
#[derive(Debug, Default)]
pub(super) struct Explainer {
    acknowledgment: bool,
    syn: bool,
    fin: bool,
    /// The FINs that wait for their acknowledgment, by flow and by whether the peer sent them.
    fins: BTreeMap<(FlowId, bool), Segment>,
}

impl Explainer {
    /// Remarks on `segment`, with the numbers that it really carries.
    pub(super) fn segment(
        &mut self,
        flow: &Flow,
        direction: Direction,
        segment: &Segment,
    ) -> Vec<String> {
        let mut remarks = Vec::new();
        let Some(ack) = segment.acknowledges() else {
            self.remember(flow.id, direction, segment);
            return remarks;
        };
        let from_peer = direction == Direction::In;
        if let Some(syn) = if from_peer { flow.iss } else { flow.irs }
            && !self.syn
            && ack == syn + 1
        {
            self.syn = true;
            remarks.push(format!(
                "ack {ack} = seq {syn} + 1: the SYN counts as one sequence number"
            ));
        }
        if !self.acknowledgment {
            self.acknowledgment = true;
            remarks.push(
                "the dot is the ACK bit: it says that the acknowledgment number (ack) counts; the number \
                 itself is the next byte awaited"
                    .into(),
            );
        }
        if !self.fin
            && let Some(fin) = self.fins.get(&(flow.id, !from_peer))
            && ack == fin.end()
        {
            self.fin = true;
            let data = match fin.payload.len() {
                0 => String::new(),
                bytes => format!(" + {bytes}"),
            };
            remarks.push(format!(
                "ack {ack} = seq {}{data} + 1: the FIN counts as one sequence number, like the SYN",
                fin.seq
            ));
            self.fins.clear();
        }
        self.remember(flow.id, direction, segment);
        remarks
    }

    /// A flow is over.
    pub(super) fn forget(&mut self, flow: FlowId) {
        self.fins.remove(&(flow, true));
        self.fins.remove(&(flow, false));
    }

    fn remember(&mut self, flow: FlowId, direction: Direction, segment: &Segment) {
        if !self.fin && segment.flags.contains(Flags::FIN) {
            let key = (flow, direction == Direction::In);
            self.fins.insert(key, segment.clone());
        }
    }
}
