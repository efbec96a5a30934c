//! The ladder: every segment an arrow between the peer on the left and tcplab on the right.
//!
//! ```text
//!          #1 192.0.2.1:40001 connects to password on 192.0.2.2:1111 (tcp)
//!             peer (inferred)                                         tcplab
//!             CLOSED                                                  LISTEN
//! 0.000000 #1 SYN-SENT     ── S 0:0(0) win 64240 ───────────────────▶ SYN-RECEIVED
//!                          <mss 1460,wscale 7,sackOK,TS val 1234567890 ecr 0,eol>
//!                          0 stands for the initial sequence number 3054230551
//! 0.000120 #1 ESTABLISHED  ◀─ S. 0:0(0) ack 1 win 64240 ─────────────
//!                          <mss 1460,wscale 7,sackOK,eol>
//!                          0 stands for the initial sequence number 2880
//!             ↳ ack 3054230552 = seq 3054230551 + 1: the SYN counts as one
//!               sequence number
//!             ↳ "." means the ACK flag is set, so the ack number is valid: it is
//!               the next byte the sender of this segment expects
//! 0.000240 #1              ── . ack 1 ──────────────────────────────▶ ESTABLISHED
//! 0.000320 #1              ◀─ P. 1:17(16) ack 1 "请输入密码:" ───────
//! 0.000380 #1              ── . ack 17 ─────────────────────────────▶
//! 1.204380 #1              ── P. 1:4(3) ack 17 "123" ───────────────▶
//! 1.204470 #1              ◀─ P. 17:29(12) ack 4 "进入成功" ─────────
//! 1.204540 #1              ── . ack 29 ─────────────────────────────▶
//! 1.204840 #1 FIN-WAIT-1   ── F. 4:4(0) ack 29 ─────────────────────▶ CLOSE-WAIT
//! 1.204880 #1 FIN-WAIT-2   ◀─ . ack 5 ───────────────────────────────
//!             ↳ ack 3054230556 = seq 3054230555 + 1: the FIN counts as one
//!               sequence number, like the SYN
//! 1.204930 #1                                        CLOSE-WAIT → LAST-ACK (CLOSE)
//! 1.204930 #1 TIME-WAIT    ◀─ F. 29:29(0) ack 5 ─────────────────────
//! 1.204990 #1              ── . ack 30 ─────────────────────────────▶ CLOSED
//! 1.204990 #1 over: 3 bytes in, 28 bytes out; closed by the peer first (FIN), then
//!             by tcplab (FIN)
//! ```
//!
//! A state stands on the line of the segment with which it is entered, and only there. Ours is read from the
//! stack; the peer's is inferred from the segments (see [`InferredPeer`](crate::view::InferredPeer)), or its kernel is
//! asked just after each (`peer (asked)`): where it says something else, that stands below the state, such as
//! `(kernel: FIN-WAIT-1)` where it is ahead of the segment that will show it. A change that no segment made has a line of its own, with its cause. Sequence
//! numbers count from the initial ones.

mod folds;
mod layout;
mod packet;
mod record;

use super::paint::Paint;
use super::story::{Depth, Story};
use super::{Screen, text};
use crate::event::{
    Cause, Closed, Event, EventKind, Fate, FlowId, Opened, Opening, PacketId, Released, RuleId,
    Transition, Transport,
};
use crate::fault::RuleSet;
use crate::state::TcpState;
use crate::view::{Flow, Ours, View};
use crate::words::{Lang, Thing};
use folds::Folds;
use layout::{Layout, Rung};
use packet::is_refusal;
use record::Records;
use smoltcp::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

/// How a ladder is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// On what it is drawn; more than 132 columns are left unused.
    pub screen: Screen,
    /// Segments without flow (a refused connection) are always shown; from 1 on other packets without flow too, from 2
    /// on segments with their windows and options.
    pub verbose: u8,
    /// How much to explain in words.
    pub explain: Depth,
    /// The language. Chinese is written also where the screen shows no more than ASCII.
    pub lang: Lang,
    /// How long our TIME-WAIT lasts, where that is known.
    pub time_wait: Option<Duration>,
    /// Whether to keep the lines of each flow for [`Ladder::whole`].
    pub keep: bool,
}

impl Default for Options {
    /// Plain text for 100 columns, with explanations.
    fn default() -> Options {
        Options {
            screen: Screen {
                width: 100,
                colour: false,
                unicode: true,
            },
            verbose: 0,
            explain: Depth::Brief,
            lang: Lang::En,
            time_wait: None,
            keep: false,
        }
    }
}

/// Draws a ladder while events come in.
#[derive(Debug)]
pub struct Ladder {
    options: Options,
    layout: Layout,
    /// The states of the peers as they were drawn last, and what their kernels said otherwise.
    peers: BTreeMap<FlowId, (TcpState, Option<TcpState>)>,
    story: Story,
    records: Records,
    held: Option<Held>,
    folds: BTreeMap<FlowId, Folds>,
    rules: RuleSet,
    /// The rules whose text was shown.
    told: BTreeSet<RuleId>,
    /// Whether peers' kernels are asked.
    asks: bool,
    begun: bool,
}

/// A packet that waits for the changes of state it may cause.
#[derive(Debug)]
struct Held {
    id: PacketId,
    rung: Rung,
    /// The peer's state; none in an exchange of datagrams.
    peer: Option<TcpState>,
    /// What its kernel says, where that is something else.
    kernel: Option<TcpState>,
    remarks: Vec<String>,
}

impl Ladder {
    /// A ladder without rungs.
    pub fn new(options: Options) -> Ladder {
        Ladder {
            options,
            layout: Layout::new(options.screen),
            peers: BTreeMap::new(),
            story: Story::new(options.lang, options.explain).with_time_wait(options.time_wait),
            records: Records::default(),
            held: None,
            folds: BTreeMap::new(),
            rules: RuleSet::new(),
            told: BTreeSet::new(),
            asks: false,
            begun: false,
        }
    }

    /// From now on sentences count sequence numbers from the initial ones, as the arrows do.
    pub fn count_from_initial_numbers(&mut self) {
        let story = Story::new(self.options.lang, self.options.explain);
        let story = story.with_time_wait(self.options.time_wait);
        self.story = story.counting_from_initial_numbers();
    }

    /// Packets are interfered with by these rules: each is shown where it decides for the first time.
    pub fn rules_are(&mut self, rules: &RuleSet) {
        self.rules = rules.clone();
        self.story.rules_are(rules);
    }

    /// From now on peers' kernels are asked about their ends, and the head of the left column says so.
    pub fn peers_are_asked(&mut self) {
        self.asks = true;
    }

    /// Draws `event`, which `view` was fed before.
    ///
    /// A packet is held back until the next events tell which states it changes. So call [`flush`](Ladder::flush)
    /// whenever there are no more events for now. Copies that are folded into the same packet are one rung, which is drawn
    /// before the next one of their flow.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn event(&mut self, view: &View, event: &Event, out: &mut impl Write) -> io::Result<()> {
        if let EventKind::Transition(Transition {
            to,
            cause: Cause::Segment(id),
            ..
        }) = event.kind
            && let Some(held) = &mut self.held
            && held.id == id
        {
            held.rung.local = Some(to);
            held.remarks.extend(self.story.event(view, event));
            return self.flush(out);
        }
        if let EventKind::Asked(_) = event.kind {
            if let Some(held) = self.held.as_mut()
                && Some(held.rung.flow) == event.flow
                && let Some(flow) = view.flow(held.rung.flow)
            {
                held.peer = held.peer.map(|_| flow.peer_end().0);
                held.kernel = flow.kernel_differs();
            }
            return Ok(());
        }
        self.flush(out)?;
        let remarks = self.story.event(view, event);
        let lang = self.options.lang;
        let Some(id) = event.flow else {
            let (packet, waited) = match &event.kind {
                EventKind::Packet(packet) => (packet, None),
                EventKind::Released(released) => (&released.packet, Some(released.waited)),
                _ => return Ok(()),
            };
            if self.options.verbose > 0 || is_refusal(packet) {
                self.stray(event, packet, waited, &remarks, out)?;
            }
            return Ok(());
        };
        let Some(flow) = view.flow(id) else {
            return Ok(());
        };
        let start = flow.first_packet_at.unwrap_or(flow.opened_at);
        let time = event.at - start;
        if let EventKind::Packet(packet) = &event.kind
            && let Fate::Folded(original) = packet.fate
        {
            return self.fold(view, flow, time, packet, original, remarks, out);
        }
        self.unfold(id, out)?;
        match &event.kind {
            EventKind::Opened(opened) => self.opened(flow, opened, out),
            EventKind::Packet(packet) => {
                self.held = Some(self.prepare(view, flow, time, packet, None, remarks));
                Ok(())
            }
            EventKind::Released(Released { packet, waited, .. }) => {
                self.held = Some(self.prepare(view, flow, time, packet, Some(*waited), remarks));
                Ok(())
            }
            EventKind::Asked(_) => Ok(()),
            EventKind::Limited(limit, _) => {
                let text = lang.limits_reached(text::limit(lang, *limit));
                let lines = self.layout.say(Some(id), Some(time), Paint::Plain, &text);
                self.emit(Some(id), lines, out)
            }
            EventKind::Defect(defect) => {
                let text = text::escape(&lang.defect_told(&defect.message), self.is_unicode());
                let lines = self.layout.say(Some(id), Some(time), Paint::Plain, &text);
                self.emit(Some(id), lines, out)
            }
            EventKind::Transition(transition) => {
                let becomes = self.layout.glyphs().becomes;
                let Transition { from, to, cause } = *transition;
                let change = format!("{from} {becomes} {to}");
                let text = lang.changes(change, text::cause(lang, cause));
                let mut lines = vec![self.layout.change(id, time, &text)];
                lines.extend(self.remarks(&remarks));
                self.emit(Some(id), lines, out)
            }
            EventKind::Note(note) => {
                let text = text::escape(&lang.told(note), self.is_unicode());
                let text = lang.noted(flow.service, text);
                let lines = self.layout.say(Some(id), Some(time), Paint::Plain, &text);
                self.emit(Some(id), lines, out)
            }
            EventKind::Closed(closed) => self.closed(flow, time, closed, out),
        }
    }

    /// Draws what is held back.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn flush(&mut self, out: &mut impl Write) -> io::Result<()> {
        let Some(held) = self.held.take() else {
            return Ok(());
        };
        let mut rung = held.rung;
        if let Some(peer) = held.peer {
            let now = (peer, held.kernel);
            let shown = self.peers.insert(rung.flow, now);
            let before = shown.map(|(peer, _)| peer);
            rung.peer = (before != Some(peer)).then_some(peer);
            let news = held.kernel.filter(|_| shown != Some(now));
            rung.kernel = news.map(|state| self.options.lang.kernel_aside(state));
        }
        let mut lines = self.layout.rung(&rung);
        for remark in &held.remarks {
            lines.extend(self.layout.remark(remark));
        }
        self.emit(Some(rung.flow), lines, out)
    }

    /// Draws all that is held back: nothing more happens.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn finish(&mut self, out: &mut impl Write) -> io::Result<()> {
        self.flush(out)?;
        while let Some((flow, _)) = self.folds.first_key_value() {
            self.unfold(*flow, out)?;
        }
        Ok(())
    }

    /// Draws all of one flow, over or not, without the others in between, and answers whether it is known. Of a
    /// long one the middle is left out; flows that were over long ago are no longer known.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn whole(&self, flow: FlowId, out: &mut impl Write) -> io::Result<bool> {
        self.records.write(flow, self.options.lang, out)
    }

    fn opened(&mut self, flow: &Flow, opened: &Opened, out: &mut impl Write) -> io::Result<()> {
        if self.begun {
            writeln!(out)?;
        }
        self.begun = true;
        let lang = self.options.lang;
        self.layout.make_room(flow.id);
        let mut lines = self
            .layout
            .say(Some(flow.id), None, Paint::Bold, &text::who(lang, opened));
        match opened.transport {
            Transport::Udp => lines.push(self.heads(flow)),
            Transport::Tcp => {
                lines.push(self.heads(flow));
                let (peer, _) = flow.peer_end();
                self.peers.insert(flow.id, (peer, None));
                // RFC 9293 draws the states before the first segment above it. In a capture they are not known.
                if opened.opening == Opening::Passive && flow.ours == Ours::Read {
                    let (left, right) = (peer.name(), flow.state.name());
                    lines.push(self.layout.columns(left, right, Paint::Plain));
                }
            }
        }
        self.emit(Some(flow.id), lines, out)
    }

    /// The heads of the two columns, each with what its states rest on.
    fn heads(&self, flow: &Flow) -> String {
        let lang = self.options.lang;
        let (left, right) = match (flow.ours, flow.transport) {
            (Ours::Read, Transport::Udp) => (lang.peer_column(), lang.tcplab()),
            (Ours::Read, Transport::Tcp) if self.asks => (lang.asked_column(), lang.tcplab()),
            (Ours::Read, Transport::Tcp) => (lang.inferred_column(), lang.tcplab()),
            (Ours::Inferred, Transport::Udp) => (flow.peer.to_string(), flow.local.to_string()),
            (Ours::Inferred, Transport::Tcp) => {
                let named = (lang.inferred_of(flow.peer), lang.inferred_of(flow.local));
                if self.layout.has_room(&named.0, &named.1) {
                    named
                } else {
                    (lang.inferred_client(), lang.inferred_server())
                }
            }
        };
        self.layout.columns(&left, &right, Paint::Dim)
    }

    fn remarks(&self, remarks: &[String]) -> Vec<String> {
        let lines = |remark: &String| self.layout.remark(remark);
        remarks.iter().flat_map(lines).collect()
    }

    fn closed(
        &mut self,
        flow: &Flow,
        time: Duration,
        closed: &Closed,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let lang = self.options.lang;
        let mut text = lang.over(
            lang.count(flow.received.bytes, Thing::Byte),
            lang.count(flow.sent.bytes, Thing::Byte),
        );
        if flow.transport == Transport::Tcp {
            text += &lang.furthermore(text::ended(lang, flow));
        }
        if let Some(Err(why)) = &closed.result {
            let why = text::escape(&lang.told(why), self.is_unicode());
            text += &lang.furthermore(lang.noted(flow.service, why));
        }
        let lines = self
            .layout
            .say(Some(flow.id), Some(time), Paint::Dim, &text);
        self.emit(Some(flow.id), lines, out)?;
        self.peers.remove(&flow.id);
        self.records.finish(flow.id);
        Ok(())
    }

    /// Whether text from elsewhere may be shown as it is.
    fn is_unicode(&self) -> bool {
        self.options.screen.unicode
    }

    fn emit(
        &mut self,
        flow: Option<FlowId>,
        lines: Vec<String>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        for line in lines {
            let line = line.trim_end();
            if let Some(flow) = flow.filter(|_| self.options.keep) {
                self.records.line(flow, line);
            }
            writeln!(out, "{line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
