//! What is kept of a run until its report is written: rows of the ladder, the path through the states, numbers.

use super::figures::Figures;
use super::points::Points;
use super::{FLOWS, HALF};
use crate::event::{
    Cause, Direction, Event, EventKind, FlowId, Packet, PacketId, Released, Transition, Transport,
};
use crate::fault::RuleSet;
use crate::segment::{Body, Flags};
use crate::sink::ladder::{Ladder, Options};
use crate::sink::mark::{self, End, end};
use crate::sink::story::{Depth, Story};
use crate::sink::{Screen, text};
use crate::state::TcpState;
use crate::view::{Flow, Traffic, View};
use crate::words::{Lang, Thing};
use smoltcp::time::Duration;
use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::io;

/// How many columns of a payload are shown.
const PREVIEW: usize = 58;
/// No connection changes its state more often than this without being reopened again and again.
const STEPS: usize = 64;

/// The flows that are told in detail.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) flows: BTreeMap<FlowId, FlowRecord>,
    pub(super) lang: Lang,
    pub(super) rules: RuleSet,
    /// The same flows as text.
    pub(super) ladder: Ladder,
    /// What is said about each event.
    story: Story,
}

/// One flow.
#[derive(Debug)]
pub(super) struct FlowRecord {
    pub(super) lang: Lang,
    /// What the two ends are called, and how their columns are headed.
    pub(super) ends: (String, String),
    pub(super) columns: (String, String),
    pub(super) transport: Transport,
    /// The states in which the peer and we begin.
    pub(super) initial: [TcpState; 2],
    pub(super) rows: Rows,
    /// Our way through the states.
    pub(super) path: Vec<Step>,
    pub(super) figures: Figures,
    pub(super) points: Points,
    /// Whether the peer's kernel was asked about its state.
    pub(super) asked: bool,
    peer: TcpState,
    /// The newest packet, and whether it is a RST.
    newest: Option<(PacketId, bool)>,
    /// The peer's state and what its kernel last said otherwise.
    kernel: Option<(TcpState, TcpState)>,
    /// As it was when it was over: the view may forget it.
    over: Option<Box<Flow>>,
}

/// A change of the state of one end, and when: from the flow's first packet on.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) from: TcpState,
    pub(super) to: TcpState,
    /// `None` where it is among rows that are not kept.
    pub(super) cause: Option<Cause>,
    /// Whether the cause is a RST.
    pub(super) reset: bool,
    pub(super) time: Duration,
}

/// Something that stands in a ladder by itself.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// From the flow's first packet on.
    pub(super) time: Duration,
    pub(super) what: What,
    /// The state that the peer enters, and we.
    pub(super) peer: Option<TcpState>,
    pub(super) local: Option<TcpState>,
    /// What the peer's kernel says just after it, where that is something else and news.
    pub(super) kernel: Option<TcpState>,
    /// What there is to say about it, a sentence each.
    pub(super) words: Vec<String>,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Packet(Box<Arrow>),
    /// Our state changes without a segment: the cause.
    Change(String),
    /// A service says something, or the flow is over.
    Remark(String),
    /// So many rows are not kept.
    LeftOut(u64),
}

/// A packet.
#[derive(Clone, Debug)]
pub(super) struct Arrow {
    pub(super) id: PacketId,
    pub(super) direction: Direction,
    /// All of it, in packetdrill's notation.
    pub(super) notation: String,
    /// The same, as short as it is for an arrow.
    pub(super) short: String,
    pub(super) preview: Option<String>,
    pub(super) retransmission: bool,
    /// Whether it is a RST.
    pub(super) reset: bool,
    pub(super) end: End,
    /// What became of it, in words; `None` where it simply crossed.
    pub(super) mark: Option<String>,
    /// What it was meant to be, where it was rewritten.
    pub(super) meant: Option<String>,
}

impl Record {
    pub(super) fn new(lang: Lang) -> Record {
        let screen = Screen {
            width: 100,
            colour: false,
            unicode: true,
        };
        Record {
            flows: BTreeMap::new(),
            lang,
            rules: RuleSet::new(),
            ladder: Ladder::new(Options {
                screen,
                verbose: 0,
                explain: Depth::Brief,
                lang,
                time_wait: None,
                keep: true,
            }),
            story: Story::new(lang, Depth::Normal),
        }
    }

    /// Packets are interfered with by these rules.
    pub(super) fn rules_are(&mut self, rules: &RuleSet) {
        self.ladder.rules_are(rules);
        self.story.rules_are(rules);
        self.rules = rules.clone();
    }

    /// Peers' kernels are asked.
    pub(super) fn peers_are_asked(&mut self) {
        self.ladder.peers_are_asked();
    }

    pub(super) fn event(&mut self, view: &View, event: &Event) {
        let Some(flow) = event.flow.and_then(|id| view.flow(id)) else {
            return;
        };
        if matches!(event.kind, EventKind::Opened(_)) && self.flows.len() < FLOWS {
            self.flows.insert(flow.id, FlowRecord::new(self.lang, flow));
        }
        let Some(record) = self.flows.get_mut(&flow.id) else {
            return;
        };
        // Only the lines that it keeps are wanted, and writing to nowhere does not fail.
        let _ = self.ladder.event(view, event, &mut io::sink());
        record.event(view, flow, event);
        if let Some(row) = record.rows.last_mut() {
            row.words.extend(self.story.event(view, event));
        }
    }

    /// Nothing more happens for now.
    pub(super) fn flush(&mut self) {
        let _ = self.ladder.flush(&mut io::sink());
    }

    /// Nothing more happens.
    pub(super) fn finish(&mut self) {
        let _ = self.ladder.finish(&mut io::sink());
    }

    /// The flows told in detail, in the order in which they began.
    pub(super) fn flows<'a>(
        &'a self,
        view: &'a View,
    ) -> impl Iterator<Item = (&'a Flow, &'a FlowRecord)> {
        self.flows.iter().filter_map(|(id, record)| {
            let flow = record.over.as_deref().or_else(|| view.flow(*id))?;
            Some((flow, record))
        })
    }
}

impl FlowRecord {
    fn new(lang: Lang, flow: &Flow) -> FlowRecord {
        let peer = flow.peer_state.state();
        FlowRecord {
            lang,
            transport: flow.transport,
            ends: text::ends(lang, flow),
            columns: text::columns(lang, flow, false),
            initial: [peer, flow.state],
            rows: Rows::default(),
            path: Vec::new(),
            figures: Figures::default(),
            points: Points::default(),
            asked: false,
            peer,
            kernel: None,
            newest: None,
            over: None,
        }
    }

    fn event(&mut self, view: &View, flow: &Flow, event: &Event) {
        let time = event.at - flow.first_packet_at.unwrap_or(flow.opened_at);
        match &event.kind {
            EventKind::Opened(_) => {}
            EventKind::Packet(packet) => self.packet(view, flow, time, packet, None),
            EventKind::Released(Released { packet, waited, .. }) => {
                self.packet(view, flow, time, packet, Some(*waited));
            }
            EventKind::Transition(transition) => self.transition(time, transition),
            EventKind::Asked(_) => {
                if !std::mem::replace(&mut self.asked, true) {
                    self.columns = text::columns(self.lang, flow, true);
                }
                let peer = flow.peer_end().0;
                if std::mem::replace(&mut self.peer, peer) != peer
                    && let Some(row) = self.rows.last_mut()
                {
                    row.peer = Some(peer);
                }
                let says = flow.kernel_differs().map(|kernel| (self.peer, kernel));
                let is_news = std::mem::replace(&mut self.kernel, says) != says;
                if let Some(row) = self.rows.last_mut().filter(|_| is_news) {
                    row.kernel = says.map(|(_, kernel)| kernel);
                }
            }
            EventKind::Limited(limit, _) => {
                let limit = text::limit(self.lang, *limit);
                let reached = self.lang.limits_reached(limit);
                self.rows.push(Row::new(time, What::Remark(reached)));
            }
            EventKind::Defect(defect) => {
                let told = text::escape(&self.lang.defect_told(&defect.message), true);
                self.rows.push(Row::new(time, What::Remark(told)));
            }
            EventKind::Note(note) => {
                let note = self.lang.noted(flow.service, text::escape(note, true));
                self.rows.push(Row::new(time, What::Remark(note)));
            }
            EventKind::Closed(closed) => {
                let lang = self.lang;
                let bytes = |traffic: &Traffic| lang.count(traffic.bytes, Thing::Byte);
                let mut over = lang.over(bytes(&flow.received), bytes(&flow.sent));
                if let Some(Err(why)) = &closed.result {
                    let why = text::escape(&lang.told(why), true);
                    over = lang.noted_result(over, flow.service, why);
                }
                self.rows.push(Row::new(time, What::Remark(over)));
                self.over = Some(Box::new(flow.clone()));
            }
        }
    }

    /// A packet, or the end of its wait.
    fn packet(
        &mut self,
        view: &View,
        flow: &Flow,
        time: Duration,
        packet: &Packet,
        waited: Option<Duration>,
    ) {
        let origin = view.origin(Some(flow.id), packet.direction);
        let meant = packet.crossed.is_some().then(|| {
            text::notation(
                self.lang,
                &packet.described,
                packet.described.notation(origin),
            )
        });
        let outcome = outcome(packet);
        let (packet, fate) = (outcome.as_ref(), &packet.fate);
        let notation = packet.described.notation(origin);
        let preview = text::Payload::of(&packet.described, &packet.bytes)
            .filter(|_| matches!(packet.described.body, Body::Tcp(_) | Body::Udp(_)))
            .map(|payload| text::preview(self.lang, payload, PREVIEW, true));
        let has = |flag| {
            let segment = packet.described.tcp();
            segment.is_some_and(|segment| segment.flags.contains(flag))
        };
        self.newest = Some((packet.id, has(Flags::RST)));
        let whole = text::notation(self.lang, &packet.described, notation);
        let arrow = Arrow {
            id: packet.id,
            direction: packet.direction,
            // The window of a SYN is news.
            short: match packet.described.body {
                Body::Tcp(_) if !has(Flags::SYN) => format!("{notation:#}"),
                Body::Malformed(_) | Body::Tcp(_) => whole.clone(),
                _ => format!("{notation:#}"),
            },
            notation: whole,
            preview,
            retransmission: packet.retransmission,
            reset: has(Flags::RST),
            end: end(fate),
            mark: mark::words(self.lang, fate, waited, true),
            meant,
        };
        let mut row = Row::new(time, What::Packet(Box::new(arrow)));
        if flow.transport == Transport::Tcp {
            let peer = flow.peer_end().0;
            row.peer = (peer != self.peer).then_some(peer);
            self.peer = peer;
        }
        self.rows.push(row);
        self.figures.packet(time, packet, waited.is_some());
        if end(fate) == End::Head {
            self.points.packet(flow, time, packet);
        }
    }

    fn transition(&mut self, time: Duration, transition: &Transition) {
        let Transition { from, to, cause } = *transition;
        if self.path.len() < STEPS {
            self.path.push(Step {
                from,
                to,
                cause: Some(cause),
                reset: matches!((cause, self.newest), (Cause::Segment(id), Some((newest, true))) if id == newest),
                time,
            });
        }
        if let Cause::Segment(id) = cause
            && self.rows.entered_with(id, to)
        {
            return;
        }
        let mut row = Row::new(time, What::Change(text::cause(self.lang, cause)));
        row.local = Some(to);
        self.rows.push(row);
    }
}

impl FlowRecord {
    /// The peer's way through the states, as the rows tell it.
    pub(super) fn peer_path(&self) -> Vec<Step> {
        let mut path: Vec<Step> = Vec::new();
        for row in self.rows.iter() {
            let from = path.last().map_or(self.initial[0], |step| step.to);
            let Some(to) = row.peer.filter(|to| *to != from) else {
                continue;
            };
            let (cause, reset) = match &row.what {
                What::Packet(arrow) => (Some(Cause::Segment(arrow.id)), arrow.reset),
                _ => (None, false),
            };
            path.push(Step {
                from,
                to,
                cause,
                reset,
                time: row.time,
            });
        }
        path.truncate(STEPS);
        path
    }
}

/// The packet as it came out of the link, where that is not as it went in.
fn outcome(packet: &Packet) -> Cow<'_, Packet> {
    let Some(crossed) = &packet.crossed else {
        return Cow::Borrowed(packet);
    };
    Cow::Owned(Packet {
        described: crossed.described.clone(),
        bytes: crossed.bytes.clone(),
        ..packet.clone()
    })
}

impl Arrow {
    /// Number, direction, and all of it.
    pub(super) fn heading(&self, lang: Lang) -> String {
        match self.direction {
            Direction::In => lang.packet_in(self.id, &self.notation),
            Direction::Out => lang.packet_out(self.id, &self.notation),
        }
    }
}

impl Row {
    fn new(time: Duration, what: What) -> Row {
        Row {
            time,
            what,
            peer: None,
            local: None,
            kernel: None,
            words: Vec::new(),
        }
    }
}

/// The first and the last rows of a flow.
#[derive(Debug, Default)]
pub(super) struct Rows {
    beginning: Vec<Row>,
    end: VecDeque<Row>,
    /// Stands for those in between.
    left_out: Option<Row>,
}

impl Rows {
    fn push(&mut self, row: Row) {
        if self.beginning.len() < HALF {
            self.beginning.push(row);
            return;
        }
        self.end.push_back(row);
        if self.end.len() > HALF
            && let Some(row) = self.end.pop_front()
        {
            self.leave_out(row);
        }
    }

    /// A row is not kept, but the states that it led to hold on.
    fn leave_out(&mut self, row: Row) {
        let left_out = self
            .left_out
            .get_or_insert_with(|| Row::new(row.time, What::LeftOut(0)));
        left_out.time = row.time;
        left_out.peer = row.peer.or(left_out.peer);
        left_out.local = row.local.or(left_out.local);
        if let What::LeftOut(count) = &mut left_out.what {
            *count += 1;
        }
    }

    fn last_mut(&mut self) -> Option<&mut Row> {
        self.end.back_mut().or(self.beginning.last_mut())
    }

    /// The newest row is that of the segment with which we enter `state`; `false` where it is not.
    fn entered_with(&mut self, id: PacketId, state: TcpState) -> bool {
        match self.last_mut() {
            Some(Row {
                what: What::Packet(arrow),
                local,
                ..
            }) if arrow.id == id => {
                *local = Some(state);
                true
            }
            _ => false,
        }
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Row> {
        self.beginning.iter().chain(&self.left_out).chain(&self.end)
    }
}
