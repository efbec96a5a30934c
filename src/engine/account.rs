//! The variables of a connection (RFC 9293, section 3.3.1), kept from what crosses the link.
//!
//! smoltcp keeps its own to itself. What is told of them is therefore derived: from the segments that left and
//! arrived, from what the program has read, and, for the retransmission timeout, by the same arithmetic that
//! smoltcp does on the same segments. A test holds it against smoltcp's own words.

use crate::event::{Opening, Reason, Resend, Variables};
use crate::segment::{Flags, Segment, SeqNumber};
use crate::stack::crowd::{Crowd, Member};
use crate::stack::guard::{Known, Told};
use crate::stack::socket::reserve;
use crate::state::TcpState;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::TcpPacket;

/// An acknowledgment that leaves later than this was held back on purpose: smoltcp waits 10 milliseconds.
const DELAY: Duration = Duration::from_millis(1);

/// What is known of one connection, in the numbers of the wire.
#[derive(Clone, Debug)]
pub(super) struct Account {
    buffer: u32,
    /// Our initial sequence number.
    iss: SeqNumber,
    /// The peer's, once its SYN has arrived.
    irs: Option<SeqNumber>,
    /// SND.UNA.
    una: SeqNumber,
    /// How many numbers are acknowledged: where SND.UNA is, without wrapping.
    acknowledged: u64,
    /// The highest number sent, plus one.
    max: SeqNumber,
    /// The same, with the byte that asks a peer whose window is shut; smoltcp does not count that as sent.
    probed: SeqNumber,
    /// The next number that smoltcp sends: it goes back to SND.UNA when the retransmission timeout is over.
    nxt: SeqNumber,
    /// SND.WND in bytes.
    window: u32,
    /// The shift counts of the peer's windows and of ours, while only offered.
    scales: [Option<u8>; 2],
    /// The last acknowledgment number and window that we have sent.
    told: (SeqNumber, u16),
    /// Whether that was in a SYN, whose window is not scaled.
    told_in_syn: bool,
    /// The right edge of our window, which never moves left.
    edge: Option<SeqNumber>,
    /// That of the window that smoltcp goes by. It takes no text beyond it.
    socket_edge: Option<SeqNumber>,
    /// Who receives in bulk is one of them.
    member: Member,
    /// The highest number that the peer has sent, plus one.
    rcv_max: SeqNumber,
    /// Since when something that arrived is not acknowledged.
    unacknowledged: Option<Instant>,
    /// Acknowledgments in a row that say the same while something is in flight.
    duplicates: u8,
    /// How many more of them smoltcp has been made to count.
    pretended: u8,
    /// What is sent again next is due to that, and not to a timeout.
    fast: Option<Resend>,
    /// What was sent again so far.
    resent: u32,
    /// Timeouts since something was acknowledged.
    unanswered: u8,
    rtt: RttEstimator,
}

impl Account {
    /// `buffer` is the size of the receive buffer in bytes.
    pub(super) fn new(iss: SeqNumber, buffer: usize) -> Account {
        Account {
            buffer: buffer as u32,
            iss,
            irs: None,
            una: iss,
            acknowledged: 0,
            max: iss,
            probed: iss,
            nxt: iss,
            window: 0,
            scales: [None; 2],
            told: (SeqNumber(0), 0),
            told_in_syn: false,
            edge: None,
            socket_edge: None,
            member: Member::default(),
            rcv_max: SeqNumber(0),
            unacknowledged: None,
            duplicates: 0,
            pretended: 0,
            fast: None,
            resent: 0,
            unanswered: 0,
            rtt: RttEstimator::default(),
        }
    }

    /// SND.NXT at its highest, and the acknowledgment number and window last sent, as a later header says them again.
    pub(super) fn end(&self) -> (SeqNumber, SeqNumber, u16) {
        let (ack, _) = self.told;
        let left = self.edge.filter(|&edge| ack.before(edge));
        let left = left.map_or(0, |edge| edge.since(ack));
        let window = u16::try_from(left.div_ceil(1 << self.shift(1)));
        (self.probed, ack, window.unwrap_or(u16::MAX))
    }

    /// The numbers of a reset: our next one, and the peer's. `None` if no end has said anything. Nothing is computed here,
    /// so that it can be asked whatever has gone wrong.
    pub(super) fn reset_numbers(&self) -> Option<(SeqNumber, SeqNumber)> {
        let is_alone = self.irs.is_none() && self.max == self.iss;
        (!is_alone).then_some((self.max, self.rcv_max))
    }

    /// What the guard must know when a segment arrives. `own` is whether we talk IPv6, our MSS, and what is in the send
    /// buffer; `received` counts the bytes that have arrived in order, `finished` says whether the peer's FIN has.
    pub(super) fn known(
        &self,
        state: TcpState,
        opening: Opening,
        own: (bool, u16, usize),
        received: u64,
        finished: bool,
    ) -> Known {
        let (v6, own_mss, queued) = own;
        let rcv_nxt = self.rcv_nxt(received, finished).unwrap_or_default();
        let advertised = self.edge.unwrap_or(rcv_nxt);
        let taken = self.socket_edge.unwrap_or(rcv_nxt);
        Known {
            state,
            opening,
            v6,
            own_mss,
            queued,
            acknowledged: self.acknowledged,
            snd_una: self.una,
            snd_nxt: self.probed,
            snd_wnd: self.window,
            snd_wnd_field: self.window_field(None),
            irs: self.irs.unwrap_or_default(),
            rcv_nxt,
            advertised,
            edge: if taken.before(advertised) {
                taken
            } else {
                advertised
            },
            scale: self.shift(1),
            finished,
            duplicates: self.counted(),
            rto: self.rtt.timeout(),
        }
    }

    /// A window of the peer's as it stands in a header, rounded up: the one in force, or another in bytes.
    pub(super) fn window_field(&self, window: Option<u32>) -> u16 {
        let window = window.unwrap_or(self.window);
        let unit = 1 << self.shift(0);
        u16::try_from(window.div_ceil(unit)).unwrap_or(u16::MAX)
    }

    /// Bytes and FIN in flight as smoltcp counts them, and SND.WND.
    pub(super) fn flight(&self) -> (u32, u32) {
        (self.nxt.since(self.una), self.window)
    }

    /// A window as it stands in a header that is shut over a part of what smoltcp has in flight, as large as that.
    pub(super) fn kept_open(&self, segment: &Segment) -> Option<u16> {
        let ack = segment.acknowledges().filter(|_| segment.window == 0)?;
        if !self.una.before(ack) || !ack.before(self.nxt) {
            return None;
        }
        // Rounded down: there is no room for anything new.
        let field = self.nxt.since(ack) >> self.shift(0);
        Some(u16::try_from(field).unwrap_or(u16::MAX).max(1))
    }

    /// What a packet of smoltcp's may advertise, which begins at `seq`. `own_mss` is the MSS that we announce, `mss` what
    /// segments of that size carry.
    pub(super) fn window_told(
        &mut self,
        now: Instant,
        crowd: &mut Crowd,
        own_mss: u16,
        mss: u16,
        seq: SeqNumber,
        packet: &TcpPacket<&[u8]>,
    ) -> Told {
        // Of the window of a packet that carries a byte which it does not count as sent, smoltcp keeps no account.
        let asks = packet.payload().len() == 1 && (self.window == 0 || self.is_keep_alive(seq, 1));
        if packet.ack() && !packet.syn() && !packet.rst() && !asks {
            let ack = SeqNumber(packet.ack_number().0 as u32);
            let window = u32::from(packet.window_len()) << self.shift(1);
            self.socket_edge = Some(ack + window);
        }
        let (member, buffer, mss) = (&mut self.member, self.buffer, mss.into());
        let limit = match self.edge {
            Some(_) => crowd.window(now, member, self.told.0, buffer, mss),
            None => crowd.first_window(now, member, mss).min(buffer),
        };
        Told {
            edge: self.edge,
            scale: self.shift(1),
            buffer: self.buffer,
            reserve: match self.shift(1) {
                0 => 0,
                _ => reserve(self.buffer as usize) as u32,
            },
            limit: if asks { 0 } else { limit },
            own_mss,
        }
    }

    /// The connection is over.
    pub(super) fn leave(&mut self, crowd: &mut Crowd) {
        crowd.leave(&mut self.member);
    }

    /// Whether a packet of ours says again what was said last, and nobody waits for it.
    pub(super) fn is_idle_talk(&self, packet: &[u8]) -> bool {
        let offset = if packet[0] >> 4 == 4 { 20 } else { 40 };
        let segment = TcpPacket::new_unchecked(&packet[offset..]);
        let bare = !segment.syn() && !segment.fin() && !segment.rst();
        let (ack, window) = self.told;
        self.unacknowledged.is_none()
            && bare
            && segment.payload().is_empty()
            && segment.ack_number().0 as u32 == ack.0
            && segment.window_len() == window
            && !self.told_in_syn
    }

    /// Whether a number of ours has left and is not acknowledged.
    pub(super) fn is_in_flight(&self, seq: SeqNumber) -> bool {
        seq.since(self.una) < self.probed.since(self.una)
    }

    /// Duplicate ACKs as smoltcp has counted them.
    fn counted(&self) -> u8 {
        self.duplicates.saturating_add(self.pretended)
    }

    /// Makes it three duplicate ACKs, so that the first segment in flight is sent again next; how many are missing.
    pub(super) fn pretend_duplicates(&mut self) -> u8 {
        let missing = 3u8.saturating_sub(self.counted());
        self.pretended += missing;
        if missing > 0 {
            self.fast = Some(Resend::Gap);
        }
        missing
    }

    /// Whether a segment of smoltcp's that begins here is the first after a retransmission timeout.
    pub(super) fn is_timeout(&self, seq: SeqNumber) -> bool {
        seq == self.una && seq.before(self.nxt) && self.fast.is_none()
    }

    /// SND.UNA, and SND.NXT at its highest.
    pub(super) fn outstanding(&self) -> (SeqNumber, SeqNumber) {
        (self.una, self.probed)
    }

    /// smoltcp has gone back to SND.UNA without sending anything: the window is shut.
    pub(super) fn timed_out(&mut self) {
        self.rtt.on_timeout();
        self.rtt.on_resend();
        self.unanswered = self.unanswered.saturating_add(1);
        self.nxt = self.una;
    }

    /// The retransmission timeout.
    pub(super) fn timeout(&self) -> Duration {
        self.rtt.timeout()
    }

    /// The round-trip time, smoothed, once one was measured.
    pub(super) fn smoothed(&self) -> Option<Duration> {
        self.rtt.smoothed()
    }

    /// Timeouts since something was acknowledged.
    pub(super) fn unanswered(&self) -> u8 {
        self.unanswered
    }

    /// SND.NXT, where smoltcp has gone back behind it.
    pub(super) fn gone_back_from(&self) -> Option<SeqNumber> {
        (self.nxt != self.max).then_some(self.max)
    }

    /// smoltcp has sent what comes before `end`, and it did not leave.
    pub(super) fn passed_over(&mut self, end: SeqNumber) {
        self.nxt = self.nxt.max(end);
    }

    /// Whether something that arrived is not acknowledged yet.
    pub(super) fn owes_acknowledgment(&self) -> bool {
        self.unacknowledged.is_some()
    }

    /// Whether anything was sent again, or the peer has asked for that.
    pub(super) fn has_seen_trouble(&self) -> bool {
        self.resent > 0 || self.duplicates > 0
    }

    /// Whether data of ours has left.
    pub(super) fn has_sent_data(&self) -> bool {
        // The first number is that of the SYN.
        self.acknowledged + u64::from(self.max.since(self.una)) > 1
    }

    /// SND.NXT, as far as smoltcp has gone back with it.
    pub(super) fn next(&self) -> SeqNumber {
        self.nxt
    }

    /// How many numbers have left and are not acknowledged.
    pub(super) fn in_flight(&self) -> u32 {
        self.max.since(self.una)
    }

    /// Whether a segment from the peer repeats numbers that it has sent before.
    pub(super) fn repeats(&self, segment: &Segment) -> bool {
        segment.sequence_len() > 0 && self.irs.is_some() && segment.seq.before(self.rcv_max)
    }

    /// The peer's SYN has arrived, and it counts: [`arrived`](Account::arrived) follows.
    pub(super) fn synchronize(&mut self, syn: &Segment) {
        self.irs = Some(syn.seq);
        self.rcv_max = syn.end();
        self.scales[0] = syn.window_scale();
    }

    /// A segment has arrived that is acceptable.
    pub(super) fn arrived(&mut self, now: Instant, segment: &Segment) {
        let syn = segment.flags.contains(Flags::SYN);
        if self.irs.is_none() || segment.flags.contains(Flags::RST) {
            return;
        }
        if segment.sequence_len() > 0 {
            self.unacknowledged.get_or_insert(now);
        }
        // RFC 7323, section 2.3: the window of a SYN is not scaled, and others only where both have offered it.
        let window = u32::from(segment.window) << if syn { 0 } else { self.shift(0) };
        if let Some(ack) = segment.acknowledges()
            && self.una.at_or_before(ack)
            && ack.at_or_before(self.probed)
        {
            let again = ack == self.una
                && segment.sequence_len() == 0
                && self.una != self.nxt
                && window == self.window;
            if again {
                self.duplicates = self.duplicates.saturating_add(1);
                if self.counted() == 3 {
                    self.fast = Some(Resend::DuplicateAcks);
                }
            } else {
                (self.duplicates, self.pretended, self.fast) = (0, 0, None);
                self.rtt.on_ack(now, ack);
            }
            if self.una != ack {
                self.unanswered = 0;
            }
            self.acknowledged += u64::from(ack.since(self.una));
            self.una = ack;
            self.nxt = self.nxt.max(ack);
            self.max = self.max.max(ack);
        }
        self.window = window;
    }

    /// A segment of the peer's has these numbers, acceptable or not. Those beyond the receive buffer are not the peer's.
    pub(super) fn note_numbers(&mut self, segment: &Segment) {
        if self.irs.is_none() || segment.flags.contains(Flags::RST) {
            return;
        }
        if segment.end().since(self.told.0) <= self.buffer {
            self.rcv_max = self.rcv_max.max(segment.end());
        }
    }

    /// Whether smoltcp takes nothing any more before it has acknowledged what it has: a FIN has come right behind a window
    /// that was used up.
    pub(super) fn is_overrun(&self, received: u64, finished: bool) -> bool {
        let rcv_nxt = self.rcv_nxt(received, finished);
        let edge = self.socket_edge.zip(rcv_nxt);
        edge.is_some_and(|(edge, rcv_nxt)| edge.before(rcv_nxt))
    }

    fn rcv_nxt(&self, received: u64, finished: bool) -> Option<SeqNumber> {
        self.irs
            .map(|irs| irs + 1 + received as u32 + u32::from(finished))
    }

    /// The shift count in force for the windows of the peer (0) or for ours (1).
    fn shift(&self, whose: usize) -> u8 {
        match self.scales {
            [Some(_), Some(_)] => self.scales[whose].unwrap_or(0).min(14),
            _ => 0,
        }
    }

    /// A segment leaves; returned is why, and whether a part of it was sent before.
    pub(super) fn sent(&mut self, now: Instant, segment: &Segment) -> (Reason, bool) {
        // A reset takes its numbers from the segment that it answers.
        if segment.flags.contains(Flags::RST) {
            return (Reason::Reset, false);
        }
        let len = segment.sequence_len();
        let again = len > 0 && segment.seq.before(self.probed);
        let reason = self.reason(now, segment);
        if let Reason::Resent(resend) = reason {
            self.resent += 1;
            self.fast = None;
            // What follows the first segment after a timeout is due to the same timeout.
            if segment.seq.before(self.nxt) {
                if resend == Resend::Timeout {
                    self.rtt.on_timeout();
                    self.unanswered = self.unanswered.saturating_add(1);
                    self.nxt = self.una;
                }
                self.rtt.on_resend();
            }
        }
        // A keep-alive and a probe carry a byte that smoltcp does not count as sent.
        if len > 0 && !matches!(reason, Reason::KeepAlive | Reason::WindowProbe) {
            self.rtt.on_send(now, segment.end());
        }
        if segment.flags.contains(Flags::SYN) {
            self.scales[1] = segment.window_scale();
        }
        if !matches!(reason, Reason::WindowProbe) {
            self.nxt = self.nxt.max(segment.end());
            self.max = self.max.max(segment.end());
        }
        self.probed = self.probed.max(segment.end());
        self.tell(segment);
        (reason, again)
    }

    /// A segment leaves that smoltcp knows nothing of: it fills a hole.
    pub(super) fn filled(&mut self, segment: &Segment) -> (Reason, bool) {
        self.resent += 1;
        self.tell(segment);
        (Reason::Resent(Resend::Gap), true)
    }

    /// A segment leaves that acknowledges `ack` and states this window, as it stands in a header. smoltcp knows nothing of it.
    pub(super) fn advertised(&mut self, ack: SeqNumber, window: u16) {
        self.move_edge(ack + (u32::from(window) << self.shift(1)));
    }

    /// The right edge of our window is here, or stays where it was.
    fn move_edge(&mut self, edge: SeqNumber) {
        self.edge = Some(self.edge.map_or(edge, |highest| highest.max(edge)));
    }

    /// Notes what a segment says to the peer.
    fn tell(&mut self, segment: &Segment) {
        if let Some(ack) = segment.acknowledges() {
            self.told = (ack, segment.window);
            self.told_in_syn = segment.flags.contains(Flags::SYN);
            let shift = if self.told_in_syn { 0 } else { self.shift(1) };
            self.move_edge(ack + (u32::from(segment.window) << shift));
            if self.told_in_syn {
                self.socket_edge = self.edge;
            }
            self.unacknowledged = None;
        }
    }

    fn reason(&self, now: Instant, segment: &Segment) -> Reason {
        let flags = segment.flags;
        let again = segment.sequence_len() > 0 && segment.seq.before(self.max);
        let one_byte = segment.payload.len() == 1;
        if self.is_keep_alive(segment.seq, segment.sequence_len()) {
            return Reason::KeepAlive;
        }
        let at_edge = segment.seq == self.max || segment.seq == self.nxt;
        if one_byte && self.window == 0 && at_edge {
            return Reason::WindowProbe;
        }
        if again {
            let fast = self.fast.filter(|_| segment.seq == self.una);
            return Reason::Resent(fast.unwrap_or(Resend::Timeout));
        }
        if flags.contains(Flags::SYN) {
            return if flags.contains(Flags::ACK) {
                Reason::SynAck
            } else {
                Reason::Syn
            };
        }
        if flags.contains(Flags::FIN) {
            return Reason::Fin;
        }
        if !segment.payload.is_empty() {
            return Reason::Data;
        }
        match self.unacknowledged {
            _ if segment.ack != self.told.0 => {
                let waited = self
                    .unacknowledged
                    .map_or(Duration::ZERO, |since| now - since);
                if waited >= DELAY {
                    Reason::DelayedAck(waited)
                } else {
                    Reason::Ack
                }
            }
            Some(_) => Reason::DuplicateAck,
            None if segment.window != self.told.1 => Reason::WindowUpdate,
            None => Reason::DuplicateAck,
        }
    }

    /// Whether a segment with so many numbers is what RFC 9293, section 3.8.4 has for a keep-alive: "SEG.SEQ = SND.NXT-1",
    /// with or without "one garbage octet of data".
    pub(super) fn is_keep_alive(&self, seq: SeqNumber, len: u32) -> bool {
        len <= 1 && self.una == self.max && seq == self.max - 1
    }

    /// The variables as they are now. `received` counts the bytes that arrived in order, `finished` says that the peer's FIN
    /// did too, `room` is the free room in the receive buffer, in bytes.
    pub(super) fn variables(&self, received: u64, finished: bool, room: usize) -> Variables {
        Variables {
            iss: self.iss,
            irs: self.irs,
            snd_una: self.una,
            snd_nxt: self.probed,
            snd_wnd: self.window,
            rcv_nxt: self.rcv_nxt(received, finished),
            rcv_wnd: room as u32,
            in_flight: self.probed.since(self.una),
            rto: self.rtt.timeout(),
            srtt: self.rtt.smoothed(),
            duplicate_acks: self.duplicates,
            resent: self.resent,
            unanswered: self.unanswered,
        }
    }
}

/// The arithmetic of RFC 6298 as smoltcp 0.14 does it: whole milliseconds, one sample at a time, a floor of one second
/// (section 2.4), a ceiling of 60 (section 2.5).
#[derive(Clone, Copy, Debug)]
struct RttEstimator {
    measured: bool,
    srtt: u32,
    rttvar: u32,
    rto: u32,
    sampling: Option<(Instant, SeqNumber)>,
    max: Option<SeqNumber>,
    timeouts: u8,
}

impl Default for RttEstimator {
    fn default() -> RttEstimator {
        RttEstimator {
            measured: false,
            srtt: 0,
            rttvar: 0,
            rto: 1000,
            sampling: None,
            max: None,
            timeouts: 0,
        }
    }
}

impl RttEstimator {
    fn timeout(&self) -> Duration {
        Duration::from_millis(self.rto.into())
    }

    fn smoothed(&self) -> Option<Duration> {
        self.measured
            .then(|| Duration::from_millis(self.srtt.into()))
    }

    fn on_send(&mut self, now: Instant, end: SeqNumber) {
        if self.max.is_none_or(|max| max.before(end)) {
            self.max = Some(end);
            self.sampling.get_or_insert((now, end));
        }
    }

    fn on_ack(&mut self, now: Instant, ack: SeqNumber) {
        let Some((at, end)) = self.sampling.filter(|(_, end)| end.at_or_before(ack)) else {
            return;
        };
        let _ = end;
        self.sampling = None;
        let sample = (now - at).total_millis() as u32;
        if self.measured {
            self.rttvar = (self.rttvar * 3 + self.srtt.abs_diff(sample)).div_ceil(4);
            self.srtt = (self.srtt * 7 + sample).div_ceil(8);
        } else {
            self.measured = true;
            self.srtt = sample;
            self.rttvar = sample / 2;
        }
        self.rto = (self.srtt + (self.rttvar * 4).max(5)).clamp(1000, 60_000);
        self.timeouts = 0;
    }

    /// Section 5.5: "back off the timer".
    fn on_timeout(&mut self) {
        self.rto = (self.rto * 2).min(60_000);
        self.timeouts += 1;
        if self.timeouts >= 3 {
            self.timeouts = 0;
            self.measured = false;
        }
    }

    /// Section 3: no samples of segments that were sent twice.
    fn on_resend(&mut self) {
        self.sampling = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Config, Engine};
    use crate::service::echo::echo;
    use crate::sim::{Sim, random_loss};
    use crate::stack::socket::Socket;

    impl Account {
        /// Panics where the timeout is not the one that smoltcp has.
        pub(in crate::engine) fn agrees_with(&self, socket: &Socket) {
            let (rto, estimator) = socket.rto();
            assert_eq!(rto, u64::from(self.rtt.rto), "{self:?} {estimator}");
        }
    }

    /// Whenever a flow comes to rest in a unit test, its account is held against smoltcp.
    #[test]
    fn the_timeout_is_smoltcps_whatever_gets_lost() {
        for seed in 0..20 {
            // Small buffers: smoltcp prints them too, each time.
            let config = |address: &str| Config {
                buffer: 4096,
                ..Config::new([address.parse().unwrap()])
            };
            let mut server = Engine::new(config("192.0.2.2/24"));
            server.serve_tcp(7, "echo", echo);
            let client = Engine::new(config("192.0.2.1/24"));
            let mut sim = Sim::new(client, server, Duration::from_millis(30));
            sim.lose(random_loss(10, seed));
            let peer = "192.0.2.2:7".parse().unwrap();
            let talk =
                sim.left()
                    .connect_tcp(Instant::ZERO, "talk", None, peer, |conn| async move {
                        for _ in 0..50 {
                            conn.write_all(&[7; 3000]).await?;
                            let mut left: usize = 3000;
                            while left > 0 {
                                left -= conn.read_up_to(left).await?.len();
                            }
                        }
                        conn.close().await
                    });
            talk.unwrap();
            sim.run_until(Instant::from_secs(600));
            assert!(sim.lost() > 0 && sim.left().is_quiet() && sim.right().is_quiet());
        }
    }
}
