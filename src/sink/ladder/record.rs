//! The lines of single flows, kept so that one of them can be printed without the others in between.

use crate::event::FlowId;
use crate::words::Lang;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};

/// How many lines of a flow are kept: this many of its beginning, and as many of its end.
const HALF: usize = 1_000;
/// How many flows that are over are kept.
const FINISHED: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Records {
    flows: BTreeMap<FlowId, Record>,
    finished: VecDeque<FlowId>,
}

#[derive(Debug, Default)]
struct Record {
    beginning: Vec<String>,
    end: VecDeque<String>,
    left_out: u64,
}

impl Records {
    pub(super) fn line(&mut self, flow: FlowId, line: &str) {
        let record = self.flows.entry(flow).or_default();
        if record.beginning.len() < HALF {
            record.beginning.push(line.into());
            return;
        }
        if record.end.len() == HALF {
            record.end.pop_front();
            record.left_out += 1;
        }
        record.end.push_back(line.into());
    }

    pub(super) fn finish(&mut self, flow: FlowId) {
        self.finished.push_back(flow);
        if self.finished.len() > FINISHED
            && let Some(oldest) = self.finished.pop_front()
        {
            self.flows.remove(&oldest);
        }
    }

    /// Whether the flow is kept.
    pub(super) fn write(&self, flow: FlowId, lang: Lang, out: &mut impl Write) -> io::Result<bool> {
        let Some(record) = self.flows.get(&flow) else {
            return Ok(false);
        };
        for line in &record.beginning {
            writeln!(out, "{line}")?;
        }
        if record.left_out > 0 {
            let left_out = lang.lines_left_out(record.left_out);
            writeln!(out, "{:>9} {flow} {left_out}", "")?;
        }
        for line in &record.end {
            writeln!(out, "{line}")?;
        }
        Ok(true)
    }
}
