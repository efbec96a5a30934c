//! Why a segment is as it is.

use super::Depth;
use crate::event::{Direction, Packet, Reason, Resend, Variables};
use crate::segment::{Flags, Segment, SeqNumber, TcpOption};
use crate::sink::text;
use crate::state::TcpState;
use crate::view::{By, Ending, Flow, Means};
use crate::words::{Lang, Sentence, Thing};

/// What one end has sent so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// The shift count that it offers for its windows.
    scale: Option<u8>,
    /// Its newest acknowledgment number, and its window in bytes.
    pub(super) ack: Option<SeqNumber>,
    window: Option<u32>,
    /// What its SYN has acknowledged, if that is no SYN of the other end's.
    astray: Option<SeqNumber>,
    /// The newest window of these that has come out of the link: what the other end goes by.
    pub(super) arrived: Option<u32>,
    /// The first number that it has not sent yet.
    end: Option<SeqNumber>,
}

/// What asks for an answer although it brings nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probe {
    /// Whether the window is still shut.
    Window,
    /// Whether the other end is still there.
    KeepAlive,
}

/// One segment about which something is to be said.
pub(super) struct Telling<'a> {
    pub(super) lang: Lang,
    pub(super) depth: Depth,
    pub(super) flow: &'a Flow,
    pub(super) packet: &'a Packet,
    /// As its receiver reads it.
    pub(super) segment: &'a Segment,
    pub(super) who: String,
    /// What both ends had sent before it.
    pub(super) seen: [Seen; 2],
    /// Which way the segment before it went, if that asks for an answer.
    pub(super) asked: Option<Direction>,
    /// Whether the peer's SYN has come again just before it.
    pub(super) answers_syn: bool,
    pub(super) variables: Option<&'a Variables>,
}

impl Telling<'_> {
    /// What its sender has sent, this segment included.
    pub(super) fn now(&self) -> Seen {
        let segment = self.segment;
        let mut now = self.before();
        if segment.flags.contains(Flags::RST) {
            return now;
        }
        if segment.flags.contains(Flags::SYN) {
            now.scale = segment.window_scale();
        }
        now.window = Some(bytes_of_window(&self.seen, self.packet.direction, segment));
        if self.packet.fate.crossings() > 0 {
            now.arrived = now.window;
        }
        now.astray = self.acknowledges_no_syn().or(now.astray);
        if self.acknowledges_no_syn().is_none() {
            now.ack = segment.acknowledges().or(now.ack);
        }
        // Its sender counts what it meant to send.
        let end = self.packet.described.tcp().unwrap_or(segment).end();
        now.end = Some(match now.end {
            Some(known) if end.before(known) => known,
            _ => end,
        });
        now
    }

    fn before(&self) -> Seen {
        self.seen[self.packet.direction as usize]
    }

    fn other(&self) -> Seen {
        self.seen[1 - self.packet.direction as usize]
    }

    /// What it is sent for.
    pub(super) fn purpose(&self, said: &mut Vec<Sentence>) {
        let Telling {
            lang,
            segment,
            packet,
            ..
        } = *self;
        if segment.flags.contains(Flags::RST) {
            said.push(self.reset());
            return;
        }
        // After a simultaneous open the SYN is repeated with an ACK, which was told as a step.
        let repeats_as_step = segment.flags.contains(Flags::SYN) && !said.is_empty();
        if !repeats_as_step && let Some(sentence) = self.again() {
            said.push(sentence);
            said.extend(self.trouble());
            return;
        }
        if segment.flags.contains(Flags::SYN) {
            if self.flow.state.is_synchronized() && packet.direction == Direction::In {
                let ack = self.variables.and_then(|variables| variables.rcv_nxt);
                said.push(lang.syn_inside(ack.unwrap_or(segment.ack)));
                return;
            }
            if packet.direction == Direction::Out && self.depth == Depth::Deep {
                said.push(lang.initial_number_chosen(segment.seq));
            }
            if !packet.retransmission {
                said.extend(self.options());
            }
            if let Some(ack) = self.acknowledges_no_syn() {
                said.push(lang.acknowledges_other_syn(ack));
            }
        }
        let len = segment.payload.len() as u32;
        if len > 0 {
            let bytes = lang.count(len.into(), Thing::Byte);
            let first = segment.seq + u32::from(segment.flags.contains(Flags::SYN));
            said.push(lang.carries(&self.who, bytes, first, first + (len - 1)));
            if packet.direction == Direction::In
                && let Some(expected) = self.variables.and_then(|variables| variables.rcv_nxt)
                && expected.before(segment.seq)
            {
                said.push(lang.out_of_order(segment.seq, expected));
            }
        }
    }

    /// What a SYN-ACK of ours acknowledges, if that is no SYN of the peer's.
    fn acknowledges_no_syn(&self) -> Option<SeqNumber> {
        let is_syn = self.segment.flags.contains(Flags::SYN);
        let ack = self.segment.acknowledges().filter(|_| is_syn)?;
        let syn = self
            .flow
            .irs
            .filter(|_| self.packet.direction == Direction::Out)?;
        (ack != syn + 1).then_some(ack)
    }

    fn reset(&self) -> Sentence {
        let (lang, segment) = (self.lang, self.segment);
        let abort = Ending {
            by: By::Local,
            means: Means::Abort,
        };
        let expected = self.variables.and_then(|variables| variables.rcv_nxt);
        let expected = expected.or(self.other().ack);
        let at_the_door =
            self.flow.state == TcpState::Listen && !self.flow.visited(TcpState::SynReceived);
        match (self.packet.direction, expected) {
            (Direction::In, _) if self.flow.state == TcpState::SynSent => lang.refused(segment.ack),
            (Direction::Out, _) if at_the_door => lang.refuses(&self.who),
            // RFC 9293, section 3.10.7.3: <SEQ=SEG.ACK><CTL=RST> answers an ACK of what was never sent.
            (Direction::In, Some(expected))
                if expected != segment.seq
                    && self.flow.state == TcpState::SynReceived
                    && self.other().astray == Some(segment.seq) =>
            {
                lang.rejects_ack(&self.who, segment.seq)
            }
            (Direction::In, Some(expected)) if expected != segment.seq => {
                lang.reset_not_exact(segment.seq, expected)
            }
            (Direction::Out, _) if self.flow.endings.contains(&abort) => lang.aborts(segment.seq),
            _ => lang.resets(&self.who, segment.seq),
        }
    }

    /// Whether it is the SYN-ACK again because the SYN has come again.
    fn answers_syn(&self) -> bool {
        self.answers_syn && self.segment.flags.contains(Flags::SYN)
    }

    /// That R1 of RFC 9293, section 3.8.3 is reached.
    fn trouble(&self) -> Option<Sentence> {
        let timeout = self.packet.reason == Some(Reason::Resent(Resend::Timeout));
        let timeout = timeout && !self.answers_syn();
        let unanswered = self.variables.filter(|_| timeout)?.unanswered;
        (unanswered == 3).then(|| self.lang.nothing_is_acknowledged(unanswered))
    }

    /// Why it says what was said before, if it does.
    fn again(&self) -> Option<Sentence> {
        let Telling { lang, segment, .. } = *self;
        match self.packet.reason {
            Some(Reason::Resent(Resend::Timeout)) if self.answers_syn() => {
                return Some(lang.resent_for_syn());
            }
            Some(Reason::Resent(Resend::Timeout)) => {
                let rto = self.variables.map(|variables| text::time(variables.rto));
                return Some(lang.resent_after_timeout(segment.seq, rto.unwrap_or_default()));
            }
            Some(Reason::Resent(Resend::DuplicateAcks)) => {
                return Some(lang.resent_after_duplicates(segment.seq));
            }
            Some(Reason::Resent(Resend::Gap)) => {
                return Some(lang.resent_into_gap(segment.seq));
            }
            _ => {}
        }
        match self.probe() {
            Some(Probe::KeepAlive) => return Some(lang.keep_alive(&self.who, segment.seq)),
            Some(Probe::Window) if self.packet.reason == Some(Reason::WindowProbe) => {
                return Some(lang.window_probe(segment.seq));
            }
            Some(Probe::Window) => return Some(lang.peer_probes(&self.who)),
            None => {}
        }
        // Where there is more in it than before, it is told as data.
        let nothing_new = self
            .before()
            .end
            .is_none_or(|end| segment.end().at_or_before(end));
        (self.packet.retransmission && nothing_new)
            .then(|| lang.resent_by_peer(&self.who, segment.seq))
    }

    /// What it asks for, if it is sent for nothing else. Of the peer's reasons the segment alone can tell: next to nothing in
    /// it, and at the edge of a shut window or one number back.
    pub(super) fn probe(&self) -> Option<Probe> {
        match self.packet.reason {
            Some(Reason::KeepAlive) => return Some(Probe::KeepAlive),
            Some(Reason::WindowProbe) => return Some(Probe::Window),
            _ => {}
        }
        let segment = self.segment;
        let is_small = segment.sequence_len() <= 1
            && segment.flags.0 & (Flags::SYN.0 | Flags::FIN.0 | Flags::RST.0) == 0;
        if !is_small || self.packet.direction == Direction::Out {
            return None;
        }
        let one_back = self.before().end == Some(segment.seq + 1);
        let at_edge = segment.sequence_len() == 1 && self.other().ack == Some(segment.seq);
        match self.other().arrived {
            Some(0) if one_back || at_edge => Some(Probe::Window),
            _ if one_back => Some(Probe::KeepAlive),
            _ => None,
        }
    }

    /// What a SYN offers.
    fn options(&self) -> Option<Sentence> {
        let lang = self.lang;
        let offers: Vec<String> = self
            .segment
            .options
            .iter()
            .filter_map(|option| match option {
                TcpOption::MaxSegmentSize(mss) => {
                    Some(lang.option_mss(lang.count(mss.into(), Thing::Byte)))
                }
                TcpOption::WindowScale(shift) => {
                    let unit = 1 << shift.min(14);
                    Some(lang.option_scale(lang.count(unit, Thing::Byte)))
                }
                TcpOption::SackPermitted => Some(lang.option_sack()),
                TcpOption::Timestamps { .. } => Some(lang.option_timestamps()),
                _ => None,
            })
            .map(|option| match self.depth {
                Depth::Deep => option.with_reference(lang),
                _ => option.text,
            })
            .collect();
        (!offers.is_empty()).then(|| Sentence {
            text: lang.offers(lang.list(&offers)),
            see: "",
        })
    }

    /// What it acknowledges.
    pub(super) fn acknowledgment(&self, now: Seen, said: &mut Vec<Sentence>) {
        let Telling { lang, segment, .. } = *self;
        let Some(ack) = segment.acknowledges() else {
            return;
        };
        if segment.flags.contains(Flags::RST) {
            return;
        }
        let syn = match self.packet.direction {
            Direction::In => self.flow.iss,
            Direction::Out => self.flow.irs,
        };
        let before = self.before().ack.or(syn.map(|syn| syn + 1));
        let known = before.unwrap_or(ack);
        let fin = u32::from(self.ack_of_fin(ack));
        if known.before(ack) {
            let bytes = ack.since(known).saturating_sub(fin);
            if bytes > 0 {
                let bytes = lang.count(bytes.into(), Thing::Byte);
                said.push(lang.acknowledges(&self.who, bytes, ack));
            }
        }
        match (self.packet.reason, self.variables) {
            (Some(Reason::DelayedAck(waited)), _) => {
                said.push(lang.acknowledges_late(text::time(waited)));
            }
            _ if said.is_empty() && now.window == Some(0) && !self.opens_or_shuts(now) => {
                said.push(lang.window_still_shut(&self.who, ack));
            }
            _ if self.is_answer() && known == ack => {
                said.push(lang.answers_probe(&self.who, ack));
            }
            // What is told of the window says why it is sent.
            (Some(Reason::DuplicateAck), _) if !self.opens_or_shuts(now) => {
                said.push(lang.says_again(&self.who, ack));
            }
            (Some(Reason::WindowUpdate), _) if self.updates_window(now) => {
                let room = lang.count(now.window.unwrap_or(0).into(), Thing::Byte);
                said.push(lang.window_update(&self.who, room));
            }
            (None, Some(variables))
                if variables.duplicate_acks > 0 && segment.sequence_len() == 0 =>
            {
                said.push(lang.duplicate(ack, variables.duplicate_acks));
            }
            (None, _)
                if segment.sequence_len() == 0
                    && known == ack
                    && self.before().ack.is_some()
                    && now.window != self.before().window
                    && !self.opens_or_shuts(now) =>
            {
                let room = lang.count(now.window.unwrap_or(0).into(), Thing::Byte);
                said.push(lang.window_update(&self.who, room));
            }
            _ => {}
        }
        for option in &segment.options {
            if let TcpOption::Sack(blocks) = option {
                self.blocks(blocks.as_slice(), ack, said);
            }
        }
    }

    /// SACK blocks: what has arrived beyond a gap, or what has arrived twice (RFC 2883, section 4).
    fn blocks(&self, blocks: &[(SeqNumber, SeqNumber)], ack: SeqNumber, said: &mut Vec<Sentence>) {
        let lang = self.lang;
        let written = |(first, after): &(SeqNumber, SeqNumber)| {
            format!("{first}-{}", SeqNumber(after.0.wrapping_sub(1)))
        };
        let (twice, held) = match blocks {
            [first, rest @ ..] if first.1.at_or_before(ack) => (Some(first), rest),
            all => (None, all),
        };
        if let Some(block) = twice {
            said.push(lang.acknowledges_twice(&self.who, written(block)));
        }
        if !held.is_empty() {
            let held: Vec<String> = held.iter().map(written).collect();
            said.push(lang.acknowledges_blocks(&self.who, lang.list(&held), ack));
        }
    }

    /// Whether the last number that `ack` acknowledges is a FIN.
    fn ack_of_fin(&self, ack: SeqNumber) -> bool {
        let by = match self.packet.direction {
            Direction::In => By::Local,
            Direction::Out => By::Peer,
        };
        let fin = Ending {
            by,
            means: Means::Fin,
        };
        self.flow.endings.contains(&fin) && self.other().end == Some(ack)
    }

    /// Whether it answers a probe or a keep-alive, and brings nothing else.
    fn is_answer(&self) -> bool {
        let asks = self
            .asked
            .is_some_and(|asked| asked != self.packet.direction);
        asks && self.segment.sequence_len() == 0 && self.probe().is_none()
    }

    /// Whether the window is what is new in it, as its receiver reads it.
    fn updates_window(&self, now: Seen) -> bool {
        let before = self.before();
        before.ack.is_some() && now.window != before.window && now.window != Some(0)
    }

    fn opens_or_shuts(&self, now: Seen) -> bool {
        (self.before().window == Some(0)) != (now.window == Some(0))
    }

    pub(super) fn window(&self, now: Seen, said: &mut Vec<Sentence>) {
        let lang = self.lang;
        let is_reset = self.segment.flags.contains(Flags::RST);
        let is_told = self.packet.reason == Some(Reason::WindowUpdate)
            && self.updates_window(now)
            && !self.is_answer();
        if is_reset || !self.opens_or_shuts(now) || is_told {
            return;
        }
        said.push(match now.window {
            Some(0) => lang.window_shut(&self.who),
            window => {
                let room = lang.count(window.unwrap_or(0).into(), Thing::Byte);
                lang.window_open(&self.who, room)
            }
        });
    }

    /// The window as it counts.
    pub(super) fn window_field(&self, now: Seen, said: &mut Vec<Sentence>) {
        let Telling { lang, segment, .. } = *self;
        let bytes = |number: u32| lang.count(number.into(), Thing::Byte);
        let factor = factor(now.scale, self.other().scale);
        if segment.flags.contains(Flags::SYN) {
            said.push(lang.window_of_syn(bytes(segment.window.into())));
        } else if factor > 1 && !segment.flags.contains(Flags::RST) {
            let window = u32::from(segment.window);
            said.push(lang.window_scaled(window, bytes(factor), bytes(window * factor)));
        }
    }

    pub(super) fn variables(&self) -> Vec<Sentence> {
        let lang = self.lang;
        let mut said = Vec::new();
        let Some(variables) = self.variables else {
            return said;
        };
        let from_iss = |number| counted(number, variables.iss, "ISS");
        said.push(lang.send_variables(
            from_iss(variables.snd_una),
            from_iss(variables.snd_nxt),
            variables.snd_wnd,
            variables.in_flight,
        ));
        if let (Some(irs), Some(nxt)) = (variables.irs, variables.rcv_nxt) {
            said.push(lang.receive_variables(counted(nxt, irs, "IRS"), variables.rcv_wnd));
        }
        said.push(lang.timer_variables(
            text::time(variables.rto),
            text::smoothed(lang, variables.srtt),
            variables.resent,
        ));
        said
    }
}

/// RFC 7323, section 2.2: windows are scaled if both SYNs have offered it.
fn factor(own: Option<u8>, other: Option<u8>) -> u32 {
    match (own, other) {
        (Some(shift), Some(_)) => 1 << shift.min(14),
        _ => 1,
    }
}

/// The window of a segment in bytes; that of a SYN is not scaled.
pub(super) fn bytes_of_window(seen: &[Seen; 2], direction: Direction, segment: &Segment) -> u32 {
    let (own, other) = (seen[direction as usize], seen[1 - direction as usize]);
    let is_syn = segment.flags.contains(Flags::SYN);
    let factor = if is_syn {
        1
    } else {
        factor(own.scale, other.scale)
    };
    u32::from(segment.window) * factor
}

/// A sequence number, and how far it is from where its end began.
fn counted(number: SeqNumber, origin: SeqNumber, name: &str) -> String {
    format!("{number} = {name}+{}", number.since(origin))
}
