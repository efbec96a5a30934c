//! What tcptrace counts of a connection, each way.

use crate::event::{Direction, Fate, Packet, Reason};
use crate::segment::{Body, Flags, Segment, SeqNumber};
use crate::sink::mark::{End, end};
use crate::sink::text;
use crate::words::{Lang, Thing};
use smoltcp::time::Duration;
use std::collections::VecDeque;

/// So many segments may wait for the acknowledgment that measures a round trip; of more, none is measured.
const OUTSTANDING: usize = 4_096;

/// Both ways of one flow.
#[derive(Debug, Default)]
pub(super) struct Figures {
    received: Way,
    sent: Way,
}

/// What went one way.
#[derive(Debug, Default)]
struct Way {
    packets: u64,
    discarded: u64,
    dropped: u64,
    acks: u64,
    pure_acks: u64,
    sacks: u64,
    pushes: u64,
    syns: u64,
    fins: u64,
    resets: u64,
    data_packets: u64,
    data_bytes: u64,
    resent_packets: u64,
    resent_bytes: u64,
    out_of_order: u64,
    probes: u64,
    smallest: Option<u64>,
    largest: u64,
    mss: Option<u16>,
    scale: Option<u8>,
    offers_scale: bool,
    sack_permitted: bool,
    timestamps: bool,
    windows: Windows,
    zero_windows: u64,
    first: Option<Duration>,
    last: Duration,
    first_data: Option<Duration>,
    last_data: Duration,
    longest_idle: Duration,
    round_trips: RoundTrips,
    /// The first number that was not sent yet.
    next: Option<SeqNumber>,
    /// What lies before that and was not seen: lost on its way to us, or late.
    holes: Vec<(SeqNumber, SeqNumber)>,
    /// The ends of what is not acknowledged and was sent once, and when it was.
    outstanding: VecDeque<(SeqNumber, Duration)>,
}

/// The windows that were told, in bytes, those of SYNs and RSTs not among them.
#[derive(Debug, Default)]
struct Windows {
    count: u64,
    sum: u64,
    least: u64,
    most: u64,
}

#[derive(Debug, Default)]
struct RoundTrips {
    count: u64,
    sum: Duration,
    least: Duration,
    most: Duration,
}

/// A line of the table: what, in, out.
pub(super) type Line = (String, String, String);

impl Figures {
    /// A packet as it came out of the link, if it did; one that `has_waited` there was counted when it came.
    pub(super) fn packet(&mut self, time: Duration, packet: &Packet, has_waited: bool) {
        let (way, back) = match packet.direction {
            Direction::In => (&mut self.received, &mut self.sent),
            Direction::Out => (&mut self.sent, &mut self.received),
        };
        if !has_waited {
            way.seen(time);
        }
        match packet.fate {
            Fate::Discarded(_) => way.discarded += 1,
            Fate::Dropped(_) => way.dropped += 1,
            _ => {}
        }
        if end(&packet.fate) != End::Head {
            return;
        }
        match &packet.described.body {
            Body::Tcp(segment) => {
                let scaled = way.offers_scale && back.offers_scale;
                way.segment(time, segment, scaled);
                way.probes += u64::from(packet.reason == Some(Reason::WindowProbe));
                back.acknowledged(time, segment);
            }
            Body::Udp(datagram) => way.data(time, datagram.payload.len() as u64),
            _ => {}
        }
    }

    /// The table of a TCP connection.
    pub(super) fn connection(&self, lang: Lang) -> Vec<Line> {
        let number = |pick: fn(&Way) -> u64| move |way: &Way| pick(way).to_string();
        let mut lines = Vec::new();
        let mut line = |name: String, tell: &dyn Fn(&Way) -> String| {
            lines.push((name, tell(&self.received), tell(&self.sent)));
        };
        line(lang.line_segments(), &number(|way| way.packets));
        line(lang.line_acks(), &number(|way| way.acks));
        line(lang.line_pure_acks(), &number(|way| way.pure_acks));
        line(lang.line_sacks(), &number(|way| way.sacks));
        line(lang.line_pushes(), &number(|way| way.pushes));
        line("SYN / FIN".to_owned(), &|way| {
            format!("{} / {}", way.syns, way.fins)
        });
        line("RST".to_owned(), &number(|way| way.resets));
        line(lang.line_discarded(), &number(|way| way.discarded));
        line(lang.line_dropped(), &number(|way| way.dropped));
        line(lang.line_data_segments(), &number(|way| way.data_packets));
        line(lang.line_data_bytes(), &number(|way| way.data_bytes));
        line(lang.line_unique_bytes(), &|way| {
            (way.data_bytes - way.resent_bytes).to_string()
        });
        line(
            lang.line_resent_segments(),
            &number(|way| way.resent_packets),
        );
        line(lang.line_resent_bytes(), &number(|way| way.resent_bytes));
        line(lang.line_out_of_order(), &number(|way| way.out_of_order));
        line(lang.line_probes(), &number(|way| way.probes));
        line(lang.line_segment_size(), &|way| way.sizes(lang));
        line(lang.line_mss(), &|way| {
            or_none(way.mss.map(|mss| lang.count(mss.into(), Thing::Byte)))
        });
        line(lang.line_scale(), &|way| {
            or_none(
                way.scale
                    .map(|shift| format!("{shift} (× {})", 1u32 << shift.min(14))),
            )
        });
        line(lang.line_sack_permitted(), &|way| {
            yes(lang, way.sack_permitted)
        });
        line(lang.line_timestamps(), &|way| yes(lang, way.timestamps));
        line(lang.line_window(), &|way| way.windows.tell(lang));
        line(lang.line_zero_windows(), &number(|way| way.zero_windows));
        line(lang.line_samples(), &number(|way| way.round_trips.count));
        line(lang.line_rtt(), &|way| way.round_trips.tell());
        line(lang.line_first(), &|way| or_none(way.first.map(at)));
        line(lang.line_last(), &|way| {
            or_none(way.first.map(|_| at(way.last)))
        });
        line(lang.line_silence(), &|way| {
            or_none(way.first.map(|_| text::time(way.longest_idle)))
        });
        line(lang.line_sending(), &|way| {
            or_none(way.sending().map(text::time))
        });
        line(lang.line_throughput(), &|way| way.throughput());
        lines
    }

    /// The table of an exchange of datagrams.
    pub(super) fn exchange(&self, lang: Lang) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut line = |name: String, tell: &dyn Fn(&Way) -> String| {
            lines.push((name, tell(&self.received), tell(&self.sent)));
        };
        line(lang.line_packets(), &|way| way.packets.to_string());
        line(lang.line_discarded(), &|way| way.discarded.to_string());
        line(lang.line_bytes(), &|way| way.data_bytes.to_string());
        line(lang.line_size(), &|way| way.sizes(lang));
        line(lang.line_first(), &|way| or_none(way.first.map(at)));
        line(lang.line_last(), &|way| {
            or_none(way.first.map(|_| at(way.last)))
        });
        lines
    }
}

impl Way {
    fn seen(&mut self, time: Duration) {
        match self.first {
            None => self.first = Some(time),
            Some(_) => self.longest_idle = self.longest_idle.max(time - self.last),
        }
        self.last = time;
        self.packets += 1;
    }

    fn segment(&mut self, time: Duration, segment: &Segment, scaled: bool) {
        let has = |flag| segment.flags.contains(flag);
        let payload = segment.payload.len() as u64;
        let (syn, fin, rst) = (has(Flags::SYN), has(Flags::FIN), has(Flags::RST));
        self.acks += u64::from(has(Flags::ACK));
        self.pure_acks += u64::from(has(Flags::ACK) && segment.sequence_len() == 0 && !rst);
        self.pushes += u64::from(has(Flags::PSH));
        self.syns += u64::from(syn);
        self.fins += u64::from(fin);
        self.resets += u64::from(rst);
        for option in &segment.options {
            use crate::segment::TcpOption::*;
            match option {
                Sack(_) => self.sacks += 1,
                Timestamps { .. } => self.timestamps = true,
                _ => {}
            }
        }
        if syn {
            self.mss = segment.max_segment_size();
            self.scale = segment.window_scale();
            self.offers_scale = self.scale.is_some();
            self.sack_permitted = segment.sack_permitted();
        } else if !rst {
            // RFC 7323, section 2.2: the window of a SYN is never scaled.
            let shift = self.scale.filter(|_| scaled).unwrap_or(0).min(14);
            self.windows.add(u64::from(segment.window) << shift);
        }
        self.zero_windows += u64::from(segment.window == 0 && !rst);
        if payload > 0 {
            self.data(time, payload);
        }
        if segment.sequence_len() > 0 && !rst {
            self.occupies(time, segment);
        }
    }

    fn data(&mut self, time: Duration, bytes: u64) {
        self.data_packets += 1;
        self.data_bytes += bytes;
        self.smallest = Some(self.smallest.map_or(bytes, |least| least.min(bytes)));
        self.largest = self.largest.max(bytes);
        self.first_data.get_or_insert(time);
        self.last_data = time;
    }

    /// Judges by the numbers what is new and what was sent before, and begins to measure the round trip.
    fn occupies(&mut self, time: Duration, segment: &Segment) {
        let (start, end) = (segment.seq, segment.end());
        let next = *self.next.get_or_insert(start);
        if start.before(next) {
            let known = next.since(start).min(end.since(start));
            let filled = self.fill(start, start + known);
            let bytes = u64::from(known - filled).min(segment.payload.len() as u64);
            self.resent_bytes += bytes;
            self.resent_packets += u64::from(bytes > 0);
            self.out_of_order += u64::from(filled > 0);
            // RFC 6298, section 3 (Karn): what was sent twice measures nothing.
            self.outstanding.retain(|(other, _)| !start.before(*other));
        }
        if next.before(start) && self.holes.len() < OUTSTANDING {
            self.holes.push((next, start));
        }
        if next.before(end) {
            self.next = Some(end);
            if !start.before(next) && self.outstanding.len() < OUTSTANDING {
                self.outstanding.push_back((end, time));
            }
        }
    }

    /// Something was not seen before although what follows it was: answers how much of the holes it fills.
    fn fill(&mut self, start: SeqNumber, end: SeqNumber) -> u32 {
        let mut filled = 0;
        let mut holes = Vec::new();
        for (from, to) in std::mem::take(&mut self.holes) {
            let first = from.max(start);
            let last = if to.before(end) { to } else { end };
            if !first.before(last) {
                holes.push((from, to));
                continue;
            }
            filled += last.since(first);
            holes.extend(
                [(from, first), (last, to)]
                    .into_iter()
                    .filter(|(from, to)| from != to),
            );
        }
        self.holes = holes;
        filled
    }

    /// The other way acknowledges: as in tcptrace, what ends exactly there is measured.
    fn acknowledged(&mut self, time: Duration, segment: &Segment) {
        let Some(ack) = segment.acknowledges() else {
            return;
        };
        while let Some(&(end, sent)) = self.outstanding.front()
            && end.at_or_before(ack)
        {
            self.outstanding.pop_front();
            if end == ack {
                self.round_trips.add(time - sent);
            }
        }
    }

    fn sizes(&self, lang: Lang) -> String {
        match self.smallest {
            None => "-".into(),
            Some(least) => {
                let average = self.data_bytes / self.data_packets.max(1);
                lang.three_sizes(least, average, self.largest)
            }
        }
    }

    fn sending(&self) -> Option<Duration> {
        self.first_data.map(|first| self.last_data - first)
    }

    /// Unique bytes by the time from the first packet this way to the last one with data.
    fn throughput(&self) -> String {
        let unique = self.data_bytes - self.resent_bytes;
        let micros = self.first.map_or(0, |first| {
            self.last_data.max(first).total_micros() - first.total_micros()
        });
        if unique == 0 || micros == 0 {
            return "-".into();
        }
        rate(unique as f64 * 1e6 / micros as f64)
    }
}

impl Windows {
    fn add(&mut self, window: u64) {
        self.least = if self.count == 0 {
            window
        } else {
            self.least.min(window)
        };
        self.most = self.most.max(window);
        self.count += 1;
        self.sum += window;
    }

    fn tell(&self, lang: Lang) -> String {
        match self.count {
            0 => "-".into(),
            count => lang.three_sizes(self.least, self.sum / count, self.most),
        }
    }
}

impl RoundTrips {
    fn add(&mut self, time: Duration) {
        self.least = if self.count == 0 {
            time
        } else {
            self.least.min(time)
        };
        self.most = self.most.max(time);
        self.count += 1;
        self.sum += time;
    }

    fn tell(&self) -> String {
        if self.count == 0 {
            return "-".into();
        }
        let average = Duration::from_micros(self.sum.total_micros() / self.count);
        let millis = |time: Duration| {
            format!(
                "{}.{:03}",
                time.total_micros() / 1000,
                time.total_micros() % 1000
            )
        };
        format!(
            "{} / {} / {} ms",
            millis(self.least),
            millis(average),
            millis(self.most)
        )
    }
}

fn at(time: Duration) -> String {
    let micros = time.total_micros();
    format!("{}.{:06} s", micros / 1_000_000, micros % 1_000_000)
}

fn yes(lang: Lang, is: bool) -> String {
    match is {
        true => lang.yes(),
        false => lang.no(),
    }
}

fn or_none(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".into())
}

/// Bytes in a second, with three digits that mean something.
fn rate(bytes: f64) -> String {
    match bytes {
        _ if bytes >= 1e6 => format!("{:.2} MB/s", bytes / 1e6),
        _ if bytes >= 1e3 => format!("{:.2} kB/s", bytes / 1e3),
        _ => format!("{bytes:.0} B/s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::View;
    use crate::view::script::Script;

    fn figures(script: &Script) -> Vec<Line> {
        let mut figures = Figures::default();
        let mut view = View::new();
        for event in &script.events {
            view.event(event);
            if let crate::event::EventKind::Packet(packet) = &event.kind {
                figures.packet(
                    Duration::from_micros(event.at.total_micros() as u64),
                    packet,
                    false,
                );
            }
        }
        figures.connection(Lang::En)
    }

    #[test]
    fn what_fills_a_hole_is_unique_and_what_was_seen_before_is_not() {
        let mut script = Script::new();
        script.passive().handshake();
        script.get("P", 1, Some(1), b"abc");
        script.get("P", 7, Some(1), b"ghi");
        script.get("P", 4, Some(1), b"def");
        script.get("P", 4, Some(1), b"def");
        let lines = figures(&script);
        for (name, expected) in [
            ("data bytes", "12"),
            ("unique bytes", "9"),
            ("bytes retransmitted", "3"),
            ("data segments retransmitted", "1"),
            ("out of order or filling a hole", "1"),
            ("SYN / FIN", "1 / 0"),
            ("segment size, min / avg / max", "3 / 3 / 3 bytes"),
        ] {
            let line = lines.iter().find(|line| line.0 == name);
            assert_eq!(line.map(|line| line.1.as_str()), Some(expected), "{name}");
        }
    }
}
