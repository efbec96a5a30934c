//! Sequence numbers counted from the initial ones, as ladders print them.

use crate::event::{Direction, Packet};
use crate::segment::{Body, SackBlocks, Segment, SeqNumber, TcpOption};
use crate::view::Flow;

/// The flow and a packet of it with all their numbers counted from the initial ones, as far as these are known.
pub(super) fn counted(flow: &Flow, packet: &Packet) -> (Flow, Packet) {
    let (mut flow, mut packet) = (flow.clone(), packet.clone());
    let (sender, receiver) = match packet.direction {
        Direction::In => (flow.irs, flow.iss),
        Direction::Out => (flow.iss, flow.irs),
    };
    let crossed = packet
        .crossed
        .as_mut()
        .map(|crossed| &mut crossed.described);
    for described in crossed.into_iter().chain([&mut packet.described]) {
        if let Body::Tcp(segment) = &mut described.body {
            count(segment, sender, receiver);
        }
    }
    if let Some(variables) = &mut packet.variables {
        let (iss, irs) = (Some(variables.iss), variables.irs);
        variables.iss = from(variables.iss, iss);
        variables.irs = irs.map(|number| from(number, irs));
        variables.snd_una = from(variables.snd_una, iss);
        variables.snd_nxt = from(variables.snd_nxt, iss);
        variables.rcv_nxt = variables.rcv_nxt.map(|number| from(number, irs));
    }
    flow.iss = flow.iss.map(|_| SeqNumber(0));
    flow.irs = flow.irs.map(|_| SeqNumber(0));
    (flow, packet)
}

fn count(segment: &mut Segment, sender: Option<SeqNumber>, receiver: Option<SeqNumber>) {
    segment.seq = from(segment.seq, sender);
    segment.ack = from(segment.ack, receiver);
    let options = segment.options.iter().map(|option| match option {
        TcpOption::Sack(blocks) => {
            let blocks = blocks.as_slice().iter();
            TcpOption::Sack(SackBlocks::new(
                blocks.map(|&(left, right)| (from(left, receiver), from(right, receiver))),
            ))
        }
        other => other,
    });
    segment.options = options.collect();
}

fn from(number: SeqNumber, initial: Option<SeqNumber>) -> SeqNumber {
    initial.map_or(number, |initial| SeqNumber(number.since(initial)))
}
