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
//!             ↳ the dot is the ACK bit: it says that the acknowledgment number
//!               (ack) counts; the number itself is the next byte awaited
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
//! stack; the peer's is inferred from the segments (see [`InferredPeer`](crate::view::InferredPeer)). A change
//! that no segment made has a line of its own, with its cause. Sequence numbers count from the initial ones.

mod explain;
mod layout;
mod record;

use super::paint::Paint;
use super::{Screen, text};
use crate::event::{
    Cause, Closed, Direction, Event, EventKind, Fate, FlowId, Opened, Opening, Packet, PacketId,
    Transition, Transport,
};
use crate::segment::{Body, Flags};
use crate::state::TcpState;
use crate::view::{Flow, Ours, View};
use explain::Explainer;
use layout::{Layout, Rung};
use record::Records;
use smoltcp::time::Duration;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// The columns that a payload's preview may take.
const PREVIEW: usize = 40;

/// How a ladder is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// On what it is drawn; more than 132 columns are left unused.
    pub screen: Screen,
    /// From 1 on packets without flow are shown too, from 2 on segments with their windows and options.
    pub verbose: u8,
    /// Whether to say in words what happens for the first time.
    pub explain: bool,
    /// Whether to keep the lines of each flow for [`Ladder::whole`].
    pub keep: bool,
}

/// Draws a ladder while events come in.
#[derive(Debug)]
pub struct Ladder {
    options: Options,
    layout: Layout,
    /// The states of the peers as they were drawn last.
    peers: BTreeMap<FlowId, TcpState>,
    explainer: Explainer,
    records: Records,
    /// A packet that waits for the change of our state it may cause, and the remarks on it.
    held: Option<(PacketId, Rung, Vec<String>)>,
    begun: bool,
}

impl Ladder {
    /// A ladder without rungs.
    pub fn new(options: Options) -> Ladder {
        Ladder {
            options,
            layout: Layout::new(options.screen),
            peers: BTreeMap::new(),
            explainer: Explainer::default(),
            records: Records::default(),
            held: None,
            begun: false,
        }
    }

    /// Draws `event`, which `view` was fed before.
    ///
    /// A packet from a peer is held back until the next event tells whether it changes our state. So call
    /// [`flush`](Ladder::flush) whenever there are no more events for now.
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
            && let Some((held, rung, _)) = &mut self.held
            && *held == id
        {
            rung.local = Some(to);
            return self.flush(out);
        }
        self.flush(out)?;
        let Some(id) = event.flow else {
            return match &event.kind {
                EventKind::Packet(packet) if self.options.verbose > 0 => {
                    self.stray(event, packet, out)
                }
                _ => Ok(()),
            };
        };
        let Some(flow) = view.flow(id) else {
            return Ok(());
        };
        let start = flow.first_packet_at.unwrap_or(flow.opened_at);
        let time = event.at - start;
        match &event.kind {
            EventKind::Opened(opened) => self.opened(flow, opened, out),
            EventKind::Packet(packet) => self.packet(view, flow, time, packet, out),
            EventKind::Asked(_) => Ok(()),
            EventKind::Transition(transition) => {
                let becomes = self.layout.glyphs().becomes;
                let Transition { from, to, cause } = *transition;
                let text = format!("{from} {becomes} {to} ({})", text::cause(cause));
                let line = self.layout.change(id, time, &text);
                self.emit(Some(id), vec![line], out)
            }
            EventKind::Note(note) => {
                let text = text::escape(note, self.options.screen.unicode);
                let text = format!("{}: {text}", flow.service);
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
        let Some((_, rung, remarks)) = self.held.take() else {
            return Ok(());
        };
        self.rung(&rung, &remarks, out)
    }

    /// Draws all of one flow, over or not, without the others in between, and answers whether it is known. Of a
    /// long one the middle is left out; flows that were over long ago are no longer known.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn whole(&self, flow: FlowId, out: &mut impl Write) -> io::Result<bool> {
        self.records.write(flow, out)
    }

    fn opened(&mut self, flow: &Flow, opened: &Opened, out: &mut impl Write) -> io::Result<()> {
        if self.begun {
            writeln!(out)?;
        }
        self.begun = true;
        self.layout.make_room(flow.id);
        let mut lines = self
            .layout
            .say(Some(flow.id), None, Paint::Bold, &text::who(opened));
        match opened.transport {
            Transport::Udp => lines.push(self.heads(flow, "")),
            Transport::Tcp => {
                lines.push(self.heads(flow, " (inferred)"));
                let peer = flow.peer_state.state();
                self.peers.insert(flow.id, peer);
                // RFC 9293 draws the states before the first segment above it. In a capture they are not known.
                if opened.opening == Opening::Passive && flow.ours == Ours::Read {
                    let (left, right) = (peer.name(), flow.state.name());
                    lines.push(self.layout.columns(left, right, Paint::Plain));
                }
            }
        }
        self.emit(Some(flow.id), lines, out)
    }

    /// The heads of the two columns; `inferred` follows those whose states are.
    fn heads(&self, flow: &Flow, inferred: &str) -> String {
        let (left, right) = match flow.ours {
            Ours::Read => (format!("peer{inferred}"), "tcplab".into()),
            Ours::Inferred => (
                format!("{}{inferred}", flow.peer),
                format!("{}{inferred}", flow.local),
            ),
        };
        let (left, right) = if self.layout.has_room(&left, &right) {
            (left, right)
        } else {
            (format!("client{inferred}"), format!("server{inferred}"))
        };
        self.layout.columns(&left, &right, Paint::Dim)
    }

    fn packet(
        &mut self,
        view: &View,
        flow: &Flow,
        time: Duration,
        packet: &Packet,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let Some(rung) = self.prepare(view, flow, time, packet) else {
            return Ok(());
        };
        let remarks = match packet.described.tcp() {
            Some(segment) if self.options.explain && !rung.discarded => {
                self.explainer.segment(flow, packet.direction, segment)
            }
            _ => Vec::new(),
        };
        // In a capture that begins in the middle, a segment of the server's may be the first to tell its state.
        if packet.direction == Direction::In || flow.ours == Ours::Inferred {
            self.held = Some((packet.id, rung, remarks));
            return Ok(());
        }
        self.rung(&rung, &remarks, out)
    }

    fn prepare(
        &mut self,
        view: &View,
        flow: &Flow,
        time: Duration,
        packet: &Packet,
    ) -> Option<Rung> {
        let described = &packet.described;
        let notation = described.notation(view.origin(Some(flow.id), packet.direction));
        let is_syn = described
            .tcp()
            .is_some_and(|segment| segment.flags.contains(Flags::SYN));
        // The window of a SYN is news; later ones are for those who ask.
        let text = if is_syn || self.options.verbose > 1 {
            notation.to_string()
        } else {
            format!("{notation:#}")
        };
        let mut items = items(&text);
        let mut paint = Paint::Plain;
        if packet.retransmission {
            items.push("retransmission".into());
            paint = Paint::Yellow;
        }
        if let Fate::Discarded(why) = packet.fate {
            items.push(format!("discarded: {}", why.reason()));
            paint = Paint::Red;
        }
        if let Some(ip) = described.ip
            && packet.bytes.len() < ip.total_len
            && !matches!(described.body, Body::Malformed(_))
        {
            let kept = packet.bytes.len();
            items.push(format!("captured {kept} of {} bytes", ip.total_len));
        }
        let payload = described
            .payload()
            .and_then(|range| {
                packet
                    .bytes
                    .get(range.start..range.end.min(packet.bytes.len()))
            })
            .filter(|payload| !payload.is_empty());
        if let Some(payload) = payload
            && matches!(described.body, Body::Tcp(_) | Body::Udp(_))
        {
            let width = PREVIEW.min(self.layout.below_width());
            items.push(text::preview(payload, width, self.options.screen.unicode));
        }
        let peer = flow.peer_state.state();
        let shown = self.peers.insert(flow.id, peer);
        Some(Rung {
            flow: flow.id,
            time,
            direction: packet.direction,
            peer: (flow.transport == Transport::Tcp && shown != Some(peer)).then_some(peer),
            local: None,
            items,
            paint,
            discarded: packet.fate != Fate::Delivered,
            below: described
                .tcp()
                .filter(|_| is_syn && !packet.retransmission && packet.fate == Fate::Delivered)
                .map(|segment| format!("0 stands for the initial sequence number {}", segment.seq)),
        })
    }

    fn rung(&mut self, rung: &Rung, remarks: &[String], out: &mut impl Write) -> io::Result<()> {
        let mut lines = self.layout.rung(rung);
        for remark in remarks {
            lines.extend(self.layout.remark(remark));
        }
        self.emit(Some(rung.flow), lines, out)
    }

    fn stray(&mut self, event: &Event, packet: &Packet, out: &mut impl Write) -> io::Result<()> {
        let becomes = self.layout.glyphs().becomes;
        let notation = packet.described.notation(Default::default());
        let mut text = format!("{} {notation}", packet.direction.name());
        if let Some((src, dst)) = packet.described.endpoints() {
            text += &format!(" {src} {becomes} {dst}");
        } else if let Some(ip) = packet.described.ip {
            text += &format!(" {} {becomes} {}", ip.src, ip.dst);
        }
        let mut paint = Paint::Dim;
        if let Fate::Discarded(why) = packet.fate {
            text += ", discarded";
            // What can't be read has said why.
            if !matches!(packet.described.body, Body::Malformed(_)) {
                text += &format!(": {}", why.reason());
            }
            paint = Paint::Red;
        }
        let time = Duration::from_micros(event.at.total_micros().unsigned_abs());
        let lines = self.layout.say(None, Some(time), paint, &text);
        self.emit(None, lines, out)
    }

    fn closed(
        &mut self,
        flow: &Flow,
        time: Duration,
        closed: &Closed,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let mut text = format!(
            "over: {} in, {} out",
            text::count(flow.received.bytes, "byte"),
            text::count(flow.sent.bytes, "byte"),
        );
        if flow.transport == Transport::Tcp {
            text += &format!("; closed {}", text::closed(flow));
        }
        if let Some(Err(why)) = &closed.result {
            let why = text::escape(why, self.options.screen.unicode);
            text += &format!("; {}: {why}", flow.service);
        }
        let lines = self
            .layout
            .say(Some(flow.id), Some(time), Paint::Dim, &text);
        self.emit(Some(flow.id), lines, out)?;
        self.peers.remove(&flow.id);
        self.explainer.forget(flow.id);
        self.records.finish(flow.id);
        Ok(())
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

/// Takes a segment's notation apart: flags and range, then each word with its number, then the options.
fn items(notation: &str) -> Vec<String> {
    let (head, options) = match notation.split_once(" <") {
        Some((head, options)) => (head, Some(format!("<{options}"))),
        None => (notation, None),
    };
    let mut items: Vec<String> = Vec::new();
    for word in head.split(' ') {
        match items.last_mut() {
            Some(last) if !matches!(word, "ack" | "win" | "urg") => {
                last.push(' ');
                last.push_str(word);
            }
            _ => items.push(word.into()),
        }
    }
    items.extend(options);
    items
}

#[cfg(test)]
mod tests;
