//! What is said of a packet: a segment's story, and what there is to say of everything else.

use super::course::Lesson;
use super::relative;
use super::segment::{Telling, bytes_of_window};
use super::{Depth, Story};
use crate::event::{Direction, Discard, Event, Fate, Packet, Released, RuleId};
use crate::fault::{Action, Ends, Verdict};
use crate::segment::{Body, Datagram, Described, Flags, Icmp, Segment};
use crate::sink::text;
use crate::state::TcpState;
use crate::view::{Flow, View};
use crate::words::{Lang, Sentence, Thing};
use smoltcp::time::Instant;

impl Story {
    pub(super) fn packet(&mut self, view: &View, event: &Event, packet: &Packet) -> Vec<Sentence> {
        if let Fate::Discarded(why) = packet.fate {
            return match self.depth {
                Depth::Brief => Vec::new(),
                _ => vec![discarded(self.lang, why)],
            };
        }
        let mut said = match packet.fate {
            // No end has sent it, so there is no reason for what it says.
            Fate::Injected(_) => Vec::new(),
            _ => self.content(view, event, packet),
        };
        if self.tells_fate(&packet.fate) {
            let flow = event.flow.and_then(|id| view.flow(id));
            said.extend(self.fate(flow, packet));
        }
        said
    }

    /// A packet that waited in the link goes on, or does not.
    pub(super) fn released(&mut self, flow: Option<&Flow>, released: &Released) -> Vec<Sentence> {
        let (lang, waited) = (self.lang, text::time(released.waited));
        if let Some(flow) = flow {
            self.arrives(flow, &released.packet);
        }
        let is_first = self.lessons.is_new(Lesson::Fate("released"));
        if self.depth == Depth::Brief && !is_first {
            return Vec::new();
        }
        let packet = &released.packet;
        match packet.fate {
            Fate::Dropped(_) => vec![lang.lost_late(waited)],
            Fate::Discarded(why) => vec![lang.goes_on(waited), discarded(lang, why)],
            _ => [match is_retransmitted(packet) {
                true => lang.goes_on(waited),
                false => lang.goes_on_alone(waited),
            }]
            .into_iter()
            .chain(self.fate(flow, packet))
            .collect(),
        }
    }

    /// What has waited in the link comes out of it: its receiver goes by its window now.
    fn arrives(&mut self, flow: &Flow, packet: &Packet) {
        let Some(segment) = as_read(packet).filter(|_| packet.fate.crossings() > 0) else {
            return;
        };
        let seen = &mut self.flows.entry(flow.id).or_default().seen;
        let window = bytes_of_window(seen, packet.direction, segment);
        seen[packet.direction as usize].arrived = Some(window);
    }

    /// Whether there is something to say on what the link does: in brief, only once of each kind.
    fn tells_fate(&mut self, fate: &Fate) -> bool {
        let is_first = self.lessons.is_new(Lesson::Fate(fate.name()));
        self.depth > Depth::Brief || is_first
    }

    /// What it does to TCP, or to UDP, that the link lets a packet not simply cross.
    fn fate(&self, flow: Option<&Flow>, packet: &Packet) -> Option<Sentence> {
        let lang = self.lang;
        Some(match packet.fate {
            Fate::Delivered | Fate::Discarded(_) => return None,
            Fate::Dropped(rule) => return self.dropped(flow, packet, rule),
            Fate::Delayed(_, time) if is_retransmitted(packet) => lang.late(text::span(time)),
            Fate::Delayed(_, time) => lang.late_for_good(text::span(time)),
            Fate::Held(_) if is_retransmitted(packet) => lang.waits(),
            Fate::Held(_) => lang.waits_for_good(),
            Fate::Duplicated(..) => {
                let times = packet.fate.crossings();
                match &packet.described.body {
                    Body::Tcp(_) if is_retransmitted(packet) => lang.doubled(times),
                    Body::Tcp(_) => lang.doubled_ack(times),
                    _ => lang.doubled_datagram(times),
                }
            }
            Fate::Rewritten(_) if is_damaged(packet) => lang.damaged_here(),
            Fate::Rewritten(_) => lang.rewritten_here(),
            Fate::Injected(rule) => match packet.described.body {
                Body::Icmp(_) => lang.made_up_by_no_router(lang.by_rule(rule.0)),
                _ => lang.made_up(lang.by_rule(rule.0), who(lang, flow, packet.direction)),
            },
            Fate::Folded(_) => lang.folded_here(),
        })
    }

    /// What it means that a rule has dropped a packet: it may answer in the receiver's place.
    fn dropped(&self, flow: Option<&Flow>, packet: &Packet, rule: RuleId) -> Option<Sentence> {
        let (lang, by) = (self.lang, self.lang.by_rule(rule.0));
        let other = match packet.direction {
            Direction::In => Direction::Out,
            Direction::Out => Direction::In,
        };
        let sender = who(lang, flow, packet.direction);
        let receiver = who(lang, flow, other);
        let is_segment = packet.described.tcp().is_some();
        match (self.verdict(rule), packet.direction) {
            (Some(Verdict::Reset(Ends::Both)), _) if is_segment => {
                return Some(lang.dropped_with_resets(by));
            }
            (Some(Verdict::Reset(Ends::Peer)), Direction::In)
            | (Some(Verdict::Reset(Ends::Local)), Direction::Out)
                if is_segment =>
            {
                return Some(lang.dropped_and_reset(by, sender, receiver));
            }
            (Some(Verdict::Reset(_)), _) if is_segment => {
                return Some(lang.dropped_and_other_reset(by, sender, receiver));
            }
            (Some(Verdict::Icmp(_)), _) => return Some(lang.dropped_with_icmp(by, sender)),
            _ => {}
        }
        Some(match &packet.described.body {
            Body::Tcp(segment) if segment.flags.contains(Flags::RST) => lang.lost_reset(),
            Body::Tcp(segment) if segment.sequence_len() == 0 => lang.lost_ack(),
            Body::Udp(_) => lang.lost_datagram(),
            Body::Tcp(_) => lang.lost(sender, receiver),
            _ => return None,
        })
    }

    /// What a rule does with a packet, if the rule is known.
    fn verdict(&self, rule: RuleId) -> Option<&Verdict> {
        match &self.rules.rule(rule)?.action {
            Action::Judge(verdict, _) | Action::Act(verdict, _) => Some(verdict),
            Action::Set(_) => None,
        }
    }

    /// What a packet says.
    fn content(&mut self, view: &View, event: &Event, packet: &Packet) -> Vec<Sentence> {
        let flow = event.flow.and_then(|id| view.flow(id));
        match (&packet.described.body, flow) {
            (Body::Tcp(_), Some(flow)) if self.is_relative => {
                let (flow, packet) = relative::counted(flow, packet);
                self.told(event, &flow, &packet)
            }
            (Body::Tcp(_), Some(flow)) => self.told(event, flow, packet),
            _ if self.depth == Depth::Brief => Vec::new(),
            (Body::Tcp(segment), None) => vec![match packet.direction {
                Direction::In => self.lang.segment_for_nobody(),
                Direction::Out => self.lang.reset_for_nobody(segment.seq),
            }],
            (Body::Udp(datagram), _) => {
                self.datagram(who(self.lang, flow, packet.direction), datagram)
            }
            (Body::Icmp(icmp), _) => {
                let who = who(self.lang, flow, packet.direction);
                self.icmp(who, icmp).into_iter().collect()
            }
            (Body::Fragment { .. }, _) => fragment(self.lang, &packet.described),
            (Body::Other { .. } | Body::Malformed(_), _) => Vec::new(),
        }
    }

    /// All about a segment of a connection, which `packet` is.
    fn told(&mut self, event: &Event, flow: &Flow, packet: &Packet) -> Vec<Sentence> {
        let Some(segment) = as_read(packet) else {
            return Vec::new();
        };
        let mut said = self.segment(event.at, flow, packet, segment);
        self.end_of_time_wait(event, flow, packet, segment, &mut said);
        said
    }

    fn segment(
        &mut self,
        at: Instant,
        flow: &Flow,
        packet: &Packet,
        segment: &Segment,
    ) -> Vec<Sentence> {
        let (lang, depth) = (self.lang, self.depth);
        let mut said = self
            .lessons
            .segment(lang, depth, flow, packet.direction, segment);
        if depth < Depth::Normal {
            return said;
        }
        let past = self.flows.entry(flow.id).or_default();
        let telling = Telling {
            lang,
            depth,
            flow,
            packet,
            segment,
            who: text::sender(lang, flow, packet.direction),
            seen: past.seen,
            asked: past.asked,
            answers_syn: past.syn_again == Some(at),
            variables: packet.variables.as_deref(),
        };
        let now = telling.now();
        past.seen[packet.direction as usize] = now;
        if packet.direction == Direction::In
            && packet.retransmission
            && segment.flags.contains(Flags::SYN)
        {
            past.syn_again = Some(at);
        }
        past.asked = telling.probe().map(|_| packet.direction);
        telling.purpose(&mut said);
        telling.acknowledgment(now, &mut said);
        telling.window(now, &mut said);
        if segment.flags.contains(Flags::PSH)
            && !segment.payload.is_empty()
            && self.lessons.is_new(Lesson::Push)
        {
            said.push(lang.push_bit());
        }
        if said.is_empty() {
            said.push(lang.bare(&telling.who, segment.ack));
        }
        if depth == Depth::Deep {
            telling.window_field(now, &mut said);
            let mut variables = telling.variables();
            // Where they are defined is not worth saying each time.
            if !variables.is_empty() && !self.lessons.is_new(Lesson::Variables) {
                variables.iter_mut().for_each(|sentence| sentence.see = "");
            }
            said.extend(variables);
        }
        said
    }

    /// TIME-WAIT begins again with a FIN that is sent again (RFC 9293, section 3.10.7.4, "Eighth, check the FIN bit").
    fn end_of_time_wait(
        &mut self,
        event: &Event,
        flow: &Flow,
        packet: &Packet,
        segment: &Segment,
        said: &mut Vec<Sentence>,
    ) {
        let crosses = packet.fate.crossings() > 0;
        if flow.state != TcpState::TimeWait || self.depth < Depth::Normal || !crosses {
            return;
        }
        let past = self.flows.entry(flow.id).or_default();
        let acknowledged = past.seen[Direction::Out as usize].ack;
        if packet.direction == Direction::In
            && segment.flags.contains(Flags::FIN)
            && acknowledged == Some(segment.end())
        {
            past.time_wait_since = Some(event.at);
        }
        if packet.direction == Direction::In || self.depth == Depth::Deep {
            said.extend(self.time_wait_left(flow.id, event.at));
        }
    }

    fn datagram(&mut self, who: String, datagram: &Datagram) -> Vec<Sentence> {
        let lang = self.lang;
        let bytes = lang.count(datagram.payload.len() as u64, Thing::Byte);
        let mut said = vec![lang.datagram(who, bytes)];
        if self.lessons.is_new(Lesson::Datagrams) {
            said.push(lang.datagrams_promise_nothing());
        }
        said
    }

    fn icmp(&self, who: String, icmp: &Icmp) -> Option<Sentence> {
        let lang = self.lang;
        let bytes = lang.count(icmp.payload.len() as u64, Thing::Byte);
        match icmp.name {
            "echo request" => Some(lang.ping(who, bytes)),
            "echo reply" => Some(lang.pong(who, bytes)),
            "port unreachable" => Some(lang.port_unreachable()),
            _ => None,
        }
    }
}

/// The segment as its receiver reads it. What the receiver can't read is told as its sender meant it, like what is lost.
fn as_read(packet: &Packet) -> Option<&Segment> {
    let read = packet.outcome().0.tcp().filter(|_| !is_damaged(packet));
    read.or(packet.described.tcp())
}

/// Whether its sender sends it again until it is acknowledged.
fn is_retransmitted(packet: &Packet) -> bool {
    let segment = packet.described.tcp();
    segment.is_some_and(|segment| segment.sequence_len() > 0 && !segment.flags.contains(Flags::RST))
}

/// Whether it was rewritten so that its receiver discards it.
fn is_damaged(packet: &Packet) -> bool {
    let crossed = packet.crossed.as_ref();
    crossed.is_some_and(|crossed| match &crossed.described.body {
        Body::Tcp(segment) => !segment.checksum_ok,
        Body::Malformed(_) => true,
        _ => false,
    })
}

fn who(lang: Lang, flow: Option<&Flow>, direction: Direction) -> String {
    match (flow, direction) {
        (Some(flow), _) => text::sender(lang, flow, direction),
        (None, Direction::In) => lang.the_peer(),
        (None, Direction::Out) => lang.tcplab(),
    }
}

fn discarded(lang: Lang, why: Discard) -> Sentence {
    match why {
        Discard::Malformed => lang.thrown_away_malformed(),
        Discard::NotForUs => lang.thrown_away_not_for_us(),
        Discard::BadAddress => lang.thrown_away_bad_address(),
        Discard::BadFlags => lang.thrown_away_bad_flags(),
        Discard::BacklogFull => lang.thrown_away_backlog(),
        Discard::Fragment => lang.thrown_away_fragment(),
        Discard::Header => lang.thrown_away_header(),
        Discard::Unsupported => lang.thrown_away_unsupported(),
    }
}

fn fragment(lang: Lang, described: &Described) -> Vec<Sentence> {
    let info = described.ip.and_then(|ip| ip.fragment);
    let len = described.payload().map_or(0, |range| range.len());
    match info {
        Some(info) if len > 0 => {
            vec![lang.fragment(info.id, info.offset, info.offset + len - 1)]
        }
        _ => Vec::new(),
    }
}
