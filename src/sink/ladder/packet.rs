//! A packet on the ladder: what stands on its arrow, how that ends, what stands below.

use super::layout::Rung;
use super::{Held, Ladder};
use crate::event::{Discard, Event, Fate, Packet, Transport};
use crate::segment::{Body, Described, Flags, Origin};
use crate::sink::mark::{self, End, end};
use crate::sink::paint::Paint;
use crate::sink::story::Depth;
use crate::sink::text;
use crate::view::{Flow, View};
use crate::words::Thing;
use smoltcp::time::Duration;
use std::io::{self, Write};

/// The columns that a payload's preview may take.
const PREVIEW: usize = 40;

impl Ladder {
    /// A packet, or the end of its wait, as it will be drawn.
    pub(super) fn prepare(
        &mut self,
        view: &View,
        flow: &Flow,
        time: Duration,
        packet: &Packet,
        waited: Option<Duration>,
        mut remarks: Vec<String>,
    ) -> Held {
        let lang = self.options.lang;
        let (described, bytes) = packet.outcome();
        let origin = view.origin(Some(flow.id), packet.direction);
        let mut items = items(&self.notation(described, origin));
        let mut paint = Paint::Plain;
        if packet.retransmission {
            items.push(lang.retransmission());
            paint = Paint::Yellow;
        }
        let end = end(&packet.fate);
        if let Some(mark) = self.mark(packet, waited) {
            items.push(mark);
            paint = match end {
                End::Lost => Paint::Red,
                End::Head | End::Waits => Paint::Yellow,
            };
        }
        if let Some(ip) = described.ip
            && bytes.len() < ip.total_len
            && packet.crossed.is_none()
            && !matches!(described.body, Body::Malformed(_))
        {
            let whole = lang.count(ip.total_len as u64, Thing::Byte);
            items.push(lang.captured(bytes.len(), whole));
        }
        if let Some(payload) = text::Payload::of(described, bytes)
            && matches!(described.body, Body::Tcp(_) | Body::Udp(_))
        {
            let width = PREVIEW.min(self.layout.below_width());
            items.push(text::preview(lang, payload, width, self.is_unicode()));
        }
        let mut below = Vec::new();
        let is_news = !packet.retransmission && waited.is_none();
        if let Some(segment) = packet.described.tcp()
            && segment.flags.contains(Flags::SYN)
            && is_news
            && !matches!(packet.fate, Fate::Discarded(_) | Fate::Injected(_))
        {
            below.push(lang.zero_stands_for(segment.seq));
        }
        if packet.crossed.is_some() {
            below.push(lang.meant(self.notation(&packet.described, origin)));
        }
        if let Some(rule) = packet.fate.rule()
            && self.options.explain > Depth::None
            && let Some(known) = self.rules.rule(rule)
            && self.told.insert(rule)
        {
            let text = text::escape(&known.text, self.is_unicode());
            remarks.insert(0, lang.rule_text(rule.0, text));
        }
        let rung = Rung {
            flow: flow.id,
            time,
            direction: packet.direction,
            peer: None,
            kernel: None,
            local: None,
            items,
            paint,
            end,
            below,
        };
        Held {
            id: packet.id,
            rung,
            peer: (flow.transport == Transport::Tcp).then(|| flow.peer_end().0),
            kernel: None,
            remarks,
        }
    }

    /// What a packet says, with as much of it as is asked for.
    fn notation(&self, described: &Described, origin: Origin) -> String {
        let notation = described.notation(origin);
        let is_syn = described
            .tcp()
            .is_some_and(|segment| segment.flags.contains(Flags::SYN));
        // The window of a SYN is news; later ones are for those who ask.
        if is_syn || self.options.verbose > 1 {
            text::notation(self.options.lang, described, notation)
        } else {
            format!("{notation:#}")
        }
    }

    /// What became of a packet in the link. One that waits, or has waited, is named by its number.
    fn mark(&self, packet: &Packet, waited: Option<Duration>) -> Option<String> {
        let lang = self.options.lang;
        let words = mark::words(lang, &packet.fate, waited, self.is_unicode())?;
        let is_named = waited.is_some() || end(&packet.fate) == End::Waits;
        Some(match is_named {
            true => lang.which_packet(packet.id, words),
            false => words,
        })
    }

    /// A packet without flow.
    pub(super) fn stray(
        &mut self,
        event: &Event,
        packet: &Packet,
        waited: Option<Duration>,
        remarks: &[String],
        out: &mut impl Write,
    ) -> io::Result<()> {
        let lang = self.options.lang;
        let becomes = self.layout.glyphs().becomes;
        let described = packet.outcome().0;
        let notation = text::notation(lang, described, described.notation(Default::default()));
        let mut text = format!("{} {notation}", packet.direction.name());
        if let Some((src, dst)) = packet.described.endpoints() {
            text += &format!(" {src} {becomes} {dst}");
        } else if let Some(ip) = packet.described.ip {
            text += &format!(" {} {becomes} {}", ip.src, ip.dst);
        }
        let mut paint = Paint::Dim;
        let mark = match (&packet.fate, &packet.described.body) {
            // What can't be read has said why.
            (Fate::Discarded(_), Body::Malformed(_)) => Some(lang.discarded()),
            _ => self.mark(packet, waited),
        };
        if let Some(mark) = mark {
            text += &lang.also(mark);
            paint = match end(&packet.fate) {
                End::Lost => Paint::Red,
                End::Head | End::Waits => Paint::Yellow,
            };
        }
        let time = Duration::from_micros(event.at.total_micros().unsigned_abs());
        let mut lines = self.layout.say(None, Some(time), paint, &text);
        lines.extend(self.remarks(remarks));
        self.emit(None, lines, out)
    }
}

/// Whether a packet without flow is TCP at work all the same: a connection to us is refused.
pub(super) fn is_refusal(packet: &Packet) -> bool {
    packet.described.tcp().is_some() && packet.fate != Fate::Discarded(Discard::NotForUs)
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
