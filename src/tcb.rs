//! What is known of one connection: the transmission control block (RFC 9293, section 3.3.1).
//!
//! smoltcp keeps its own variables to itself. What is known of them stands here once, kept from the segments that left and
//! arrived; and it stands between the wire and smoltcp's TCP, and mends where that departs from the RFCs.
//!
//! ```text
//!    wire ──▶ [Tcb::judge]   ─┬─ Pass, Instead ─▶ smoltcp ──▶ wire
//!                             ├─ Challenge ──────────────────▶ wire
//!                             ├─ Again ──────────────────────▶ wire
//!                             └─ Ignore
//! ```
//!
//! A [`Tcb`] sees the segments of one connection before smoltcp does, and those that smoltcp makes before they leave, in
//! the numbers of the wire. It keeps no data, and allocates only where a segment is changed or a gap opens. What it mends:
//!
//! | a segment | smoltcp 0.14 | here |
//! |---|---|---|
//! | a reset in the window, not exactly RCV.NXT | believes it | challenge ACK (RFC 5961, section 3.2) |
//! | a SYN where there is a connection | ignores it | challenge ACK (RFC 5961, section 4.2) |
//! | an ACK of what is still in the send buffer | believes it | challenge ACK (RFC 9293, section 3.10.7.4) |
//! | an ACK older than SND.UNA, with data | ignores both | takes the data, or challenges a very old one (RFC 5961, section 5.2) |
//! | an older window behind a newer one | believes it | keeps the newer (SND.WL1, SND.WL2) |
//! | a FIN behind data that is there already | ignores it | takes it |
//! | a FIN ahead of a gap | ignores it | takes it once the gap is filled |
//! | a FIN beyond the window | takes it, and not the data before it | waits for it to come again |
//! | data behind the FIN | takes it | ignores it |
//! | the SYN of this handshake again | ignores it | SYN-ACK again |
//! | a SYN-ACK that crosses ours | ignores it | takes it as the ACK that it is (RFC 9293, figure 8) |
//! | an ACK of something else in SYN-SENT, with PSH or FIN | ignores it | resets it |
//! | SYN or RST together with other control bits | ignores all | obeys the first that counts |
//! | an option with an illegal length | ignores the whole segment | ignores the option (RFC 9293, section 3.1) |
//! | a SYN without MSS, over IPv6 | assumes 536 | assumes 1,220 (RFC 9293, section 3.7.1) |
//! | data of a peer whose MSS is larger than ours | acknowledges too late | every second full segment (section 3.8.6.3) |
//! | data behind gaps | tells of one island, sometimes | SACK of up to four, in each ACK (RFC 2018, section 4) |
//! | timestamps | zeros, and any are echoed | RFC 7323, with PAWS |
//! | duplicate ACKs of a FIN | never sends it again | sends it again (RFC 5681, section 3.2) |
//! | a keep-alive | has a byte | has none (RFC 9293, section 3.8.4) |
//! | a bare ACK after a timeout | has a number that the peer has had, which ignores it | has SND.NXT |
//! | the reset of an ABORT after a timeout | the same | has SND.NXT |
//! | duplicate ACKs in LAST-ACK | challenges them | sends the first segment again |
//! | the timeout of what a window has shut over | sends nothing, ever again | probes |
//! | a window that shuts over a part of what is in flight | sends that never again | sends it again, or probes |
//! | a window that opens in LAST-ACK | ignores it | probes it at once |
//! | an ACK of a part of what was lost | waits for the timeout | sends the next segment again (RFC 6582, section 3.2) |
//! | SACK blocks | ignores them | sends again what is missing only, and as much of that in a round trip as the pipe has room for (RFC 6675) |
//! | duplicate ACKs of what was sent twice | takes them for a loss | ignores them (RFC 6582, section 3.2, RFC 6675, section 2) |
//! | a window too small to be worth it | uses it | waits for more (RFC 9293, section 3.8.6.2.1) |
//! | room for a few bytes more | tells it | tells it once it is worth it (section 3.8.6.2.2) |
//! | a probe of a shut window without data | answers one a second | answers ten in five seconds (section 3.8.6.1) |
//! | a window of zero | probes it at once | probes it after the retransmission timeout (section 3.8.6.1) |
//! | an ACK that is due while Nagle's algorithm holds data back | sends both | sends the ACK (section 3.7.4) |

mod allowance;
mod deadlines;
mod islands;
mod judge;
mod mss;
mod options;
mod receive;
mod recovery;
mod rtt;
mod scoreboard;
mod send;
mod silly;
mod window;

pub(crate) use deadlines::Limits;
pub(crate) use judge::Verdict;
pub(crate) use mss::announced_mss;
pub(crate) use silly::Advice;

use crate::event::{Opening, Reason, Resend, Variables};
use crate::segment::{Flags, Segment, SeqNumber};
use crate::stack::crowd::Crowd;
use crate::stack::socket::reserve;
use crate::stack::stamps::{self, Stamps};
use crate::stack::tcp::ip_header_len;
use allowance::Allowance;
use deadlines::Deadlines;
use islands::MAX_BLOCKS;
use options::Options;
use receive::Rcv;
use recovery::Recovery;
use rtt::Rtt;
use send::Snd;
use silly::{Flight, Silly};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::TcpPacket;
use std::net::IpAddr;
use std::ops::Range;
use window::Window;

/// An acknowledgment that leaves later than this was held back on purpose: smoltcp waits 10 milliseconds.
const DELAY: Duration = Duration::from_millis(1);

/// What is known of one connection, in the numbers of the wire.
#[derive(Debug)]
pub(crate) struct Tcb {
    pub(crate) snd: Snd,
    pub(crate) rcv: Rcv,
    pub(crate) rtt: Rtt,
    pub(crate) deadlines: Deadlines,
    pub(crate) recovery: Recovery,
    silly: Silly,
    stamps: Stamps,
    /// Whether we offer timestamps.
    timestamps: bool,
    /// Whether both permit SACK (RFC 2018, section 2).
    sack: bool,
    challenges: Allowance,
    pub(crate) opening: Opening,
    v6: bool,
    /// The MSS that we announce.
    own_mss: u16,
}

impl Tcb {
    /// Of a connection that begins, with a receive buffer of `buffer` bytes. `clock` is by how much the clock of its timestamps is
    /// moved, where it offers any.
    pub(crate) fn new(
        now: Instant,
        opening: Opening,
        iss: SeqNumber,
        buffer: usize,
        v6: bool,
        own_mss: u16,
        clock: Option<u32>,
    ) -> Tcb {
        Tcb {
            snd: Snd::new(iss),
            rcv: Rcv::new(buffer),
            rtt: Rtt::default(),
            deadlines: Deadlines::new(now),
            recovery: Recovery::default(),
            silly: Silly::default(),
            stamps: clock.map_or_else(Stamps::default, Stamps::new),
            timestamps: clock.is_some(),
            sack: false,
            challenges: Allowance::default(),
            opening,
            v6,
            own_mss,
        }
    }

    /// The peer's SYN has arrived, and it counts: [`arrived`](Tcb::arrived) follows.
    pub(crate) fn synchronize(&mut self, now: Instant, syn: &Segment) {
        self.rcv.irs = Some(syn.seq);
        self.rcv.nxt = syn.seq + 1;
        self.rcv.max = syn.end();
        self.snd.scale = syn.window_scale();
        self.stamps.synchronize(now, syn, self.timestamps);
        self.sack = syn.sack_permitted();
        let mss = mss::sending_mss(syn.max_segment_size(), self.v6, self.own_mss);
        self.snd.mss = mss - self.options_len() as u16;
    }

    /// A segment has arrived that is acceptable.
    pub(crate) fn arrived(&mut self, now: Instant, segment: &Segment) {
        let syn = segment.flags.contains(Flags::SYN);
        if self.rcv.irs.is_none() || segment.flags.contains(Flags::RST) {
            return;
        }
        if segment.sequence_len() > 0 {
            self.rcv.unacknowledged.get_or_insert(now);
        }
        // RFC 7323, section 2.3: the window of a SYN is not scaled, and others only where both have offered it.
        let window = u32::from(segment.window) << if syn { 0 } else { self.snd_shift() };
        if let Some(ack) = segment.acknowledges()
            && self.snd.una.at_or_before(ack)
            && ack.at_or_before(self.snd.nxt)
        {
            let again = self.snd.is_duplicate(segment, ack, window);
            let duplicates = &mut self.snd.duplicates;
            if again {
                duplicates.heard = duplicates.heard.saturating_add(1);
                if duplicates.counted() == 3 {
                    duplicates.fast = Some(Resend::DuplicateAcks);
                }
            } else {
                (duplicates.heard, duplicates.pretended, duplicates.fast) = (0, 0, None);
                self.rtt.on_ack(now, ack);
            }
            self.snd.acknowledge(ack);
        }
        self.snd.wnd = window;
    }

    /// A segment leaves; returned is why, and whether a part of it was sent before.
    pub(crate) fn sent(&mut self, now: Instant, segment: &Segment) -> (Reason, bool) {
        // A reset takes its numbers from the segment that it answers.
        if segment.flags.contains(Flags::RST) {
            return (Reason::Reset, false);
        }
        let len = segment.sequence_len();
        let again = len > 0 && segment.seq.before(self.snd.nxt);
        let reason = self.reason(now, segment);
        if let Reason::Resent(resend) = reason {
            self.snd.resent += 1;
            self.snd.duplicates.fast = None;
            // What follows the first segment after a timeout is due to the same timeout.
            if segment.seq.before(self.snd.socket_nxt) {
                if resend == Resend::Timeout {
                    self.rtt.on_timeout();
                    self.snd.go_back();
                }
                self.rtt.on_resend();
            }
        }
        // A keep-alive and a probe carry a byte that smoltcp does not count as sent.
        if len > 0 && !matches!(reason, Reason::KeepAlive | Reason::WindowProbe) {
            self.rtt.on_send(now, segment.end());
        }
        if segment.flags.contains(Flags::SYN) {
            self.rcv.scale = segment.window_scale();
        }
        let snd = &mut self.snd;
        if !matches!(reason, Reason::WindowProbe) {
            snd.socket_nxt = snd.socket_nxt.max(segment.end());
            snd.max = snd.max.max(segment.end());
        }
        snd.nxt = snd.nxt.max(segment.end());
        self.tell(segment);
        (reason, again)
    }

    /// A segment leaves that smoltcp knows nothing of: it fills a hole.
    pub(crate) fn filled(&mut self, segment: &Segment) -> (Reason, bool) {
        self.snd.resent += 1;
        self.tell(segment);
        (Reason::Resent(Resend::Gap), true)
    }

    /// A segment leaves that acknowledges RCV.NXT and states this window, as it stands in a header. smoltcp knows nothing of it.
    pub(crate) fn advertised(&mut self, window: u16) {
        let window = u32::from(window) << self.rcv_shift();
        self.rcv.move_edge(self.rcv.nxt + window);
    }

    /// Notes what a segment says to the peer.
    fn tell(&mut self, segment: &Segment) {
        if let Some(ack) = segment.acknowledges() {
            let shift = match segment.flags.contains(Flags::SYN) {
                true => 0,
                false => self.rcv_shift(),
            };
            let rcv = &mut self.rcv;
            rcv.told = (ack, segment.window);
            rcv.told_in_syn = segment.flags.contains(Flags::SYN);
            rcv.move_edge(ack + (u32::from(segment.window) << shift));
            if rcv.told_in_syn {
                rcv.socket_edge = rcv.edge;
            }
            rcv.unacknowledged = None;
        }
    }

    fn reason(&self, now: Instant, segment: &Segment) -> Reason {
        let (snd, rcv) = (&self.snd, &self.rcv);
        let flags = segment.flags;
        let again = segment.sequence_len() > 0 && segment.seq.before(snd.max);
        let one_byte = segment.payload.len() == 1;
        if snd.is_keep_alive(segment.seq, segment.sequence_len()) {
            return Reason::KeepAlive;
        }
        let at_edge = segment.seq == snd.max || segment.seq == snd.socket_nxt;
        if one_byte && snd.wnd == 0 && at_edge {
            return Reason::WindowProbe;
        }
        if again {
            let fast = snd.duplicates.fast.filter(|_| segment.seq == snd.una);
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
        match rcv.unacknowledged {
            _ if segment.ack != rcv.told.0 => {
                let waited = rcv
                    .unacknowledged
                    .map_or(Duration::ZERO, |since| now - since);
                if waited >= DELAY {
                    Reason::DelayedAck(waited)
                } else {
                    Reason::Ack
                }
            }
            Some(_) => Reason::DuplicateAck,
            None if segment.window != rcv.told.1 => Reason::WindowUpdate,
            None => Reason::DuplicateAck,
        }
    }

    /// smoltcp has gone back to SND.UNA without sending anything: the window is shut.
    pub(crate) fn timed_out(&mut self) {
        self.rtt.on_timeout();
        self.rtt.on_resend();
        self.snd.go_back();
    }

    /// The variables as they are now. `room` is the free room in the receive buffer, in bytes.
    pub(crate) fn variables(&self, room: usize) -> Variables {
        let Tcb { snd, rcv, rtt, .. } = self;
        Variables {
            iss: snd.iss,
            irs: rcv.irs,
            snd_una: snd.una,
            snd_nxt: snd.nxt,
            snd_wnd: snd.wnd,
            rcv_nxt: rcv.irs.map(|_| rcv.nxt),
            rcv_wnd: room as u32,
            in_flight: snd.nxt.since(snd.una),
            rto: rtt.timeout(),
            srtt: rtt.smoothed(),
            duplicate_acks: snd.duplicates.heard,
            resent: snd.resent,
            unanswered: snd.unanswered,
        }
    }

    /// SND.NXT at its highest, and the acknowledgment number and window last sent, as a later header says them again.
    pub(crate) fn end(&self) -> (SeqNumber, SeqNumber, u16) {
        let (ack, _) = self.rcv.told;
        let left = self.rcv.edge.filter(|&edge| ack.before(edge));
        let left = left.map_or(0, |edge| edge.since(ack));
        let window = u16::try_from(left.div_ceil(1 << self.rcv_shift()));
        (self.snd.nxt, ack, window.unwrap_or(u16::MAX))
    }

    /// The numbers of a reset: our next one, and the peer's. `None` if no end has said anything. Nothing is computed here,
    /// so that it can be asked whatever has gone wrong.
    pub(crate) fn reset_numbers(&self) -> Option<(SeqNumber, SeqNumber)> {
        let is_alone = self.rcv.irs.is_none() && self.snd.max == self.snd.iss;
        (!is_alone).then_some((self.snd.max, self.rcv.max))
    }

    /// The window that the peer knows, as it stands in a header. Rounded up, as its right edge must not move left.
    pub(crate) fn advertised_field(&self) -> u16 {
        let field = self.rcv.advertised_window().div_ceil(1 << self.rcv_shift());
        u16::try_from(field).unwrap_or(u16::MAX)
    }

    /// A window of the peer's as it stands in a header, rounded up: the one in force, or another in bytes.
    pub(crate) fn window_field(&self, window: Option<u32>) -> u16 {
        let window = window.unwrap_or(self.snd.wnd);
        let unit = 1 << self.snd_shift();
        u16::try_from(window.div_ceil(unit)).unwrap_or(u16::MAX)
    }

    /// A window as it stands in a header that is shut over a part of what smoltcp has in flight, as large as that.
    pub(crate) fn kept_open(&self, segment: &Segment) -> Option<u16> {
        let ack = segment.acknowledges().filter(|_| segment.window == 0)?;
        let socket_nxt = self.snd.socket_nxt;
        if !self.snd.una.before(ack) || !ack.before(socket_nxt) {
            return None;
        }
        // Rounded down: there is no room for anything new.
        let field = socket_nxt.since(ack) >> self.snd_shift();
        Some(u16::try_from(field).unwrap_or(u16::MAX).max(1))
    }

    /// Whether a packet of ours says again what was said last, and nobody waits for it.
    pub(crate) fn is_idle_talk(&self, packet: &[u8]) -> bool {
        let offset = if packet[0] >> 4 == 4 { 20 } else { 40 };
        let segment = TcpPacket::new_unchecked(&packet[offset..]);
        let bare = !segment.syn() && !segment.fin() && !segment.rst();
        let (ack, window) = self.rcv.told;
        self.rcv.unacknowledged.is_none()
            && bare
            && segment.payload().is_empty()
            && segment.ack_number().0 as u32 == ack.0
            && segment.window_len() == window
            && !self.rcv.told_in_syn
    }

    /// The connection is over.
    pub(crate) fn leave(&mut self, crowd: &mut Crowd) {
        crowd.leave(&mut self.rcv.member);
    }

    /// The shift count in force for the peer's windows, once both have offered one.
    fn snd_shift(&self) -> u8 {
        self.rcv.scale.and(self.snd.scale).unwrap_or(0).min(14)
    }

    /// That for ours.
    fn rcv_shift(&self) -> u8 {
        self.snd.scale.and(self.rcv.scale).unwrap_or(0).min(14)
    }

    /// The path carries no larger segments than these.
    pub(crate) fn narrow(&mut self, mss: u16) {
        self.snd.mss = self.snd.mss.min(mss);
    }

    /// Eff.snd.MSS.
    pub(crate) fn mss(&self) -> u16 {
        self.snd.mss
    }

    /// The MSS that we announce.
    pub(crate) fn own_mss(&self) -> u16 {
        self.own_mss
    }

    /// Says what is to be done before smoltcp may send, where `queued` bytes are in the send buffer. `closed` is whether nothing
    /// will follow them.
    pub(crate) fn advise(&mut self, now: Instant, queued: u32, closed: bool) -> Advice {
        let flight = Flight {
            queued,
            in_flight: self.snd.socket_flight(),
            window: self.snd.wnd,
            max_window: self.snd.max_wnd,
            mss: self.snd.mss.into(),
            closed,
        };
        self.silly.advise(now, flight)
    }

    /// When [`advise`](Tcb::advise) is to be asked again, if nothing happens before.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        self.silly.wake_at()
    }

    /// smoltcp is told of the peer's window as it is.
    pub(crate) fn shows_window(&mut self) {
        self.silly.saw_window();
    }

    /// No data waits any more.
    pub(crate) fn nothing_waits(&mut self) {
        self.silly = Silly::default();
    }

    /// What the peer does not have of `seq` up to `end`, in offsets from `seq`.
    pub(crate) fn missing(&self, seq: SeqNumber, end: SeqNumber) -> Vec<Range<u32>> {
        self.recovery.missing(seq, end, self.snd.mss.into())
    }

    /// Which segments are to be sent again now, within the window (SHLD-16): where they begin, and how long they are.
    pub(crate) fn fill(&mut self) -> Vec<(SeqNumber, u32)> {
        let Snd {
            una, nxt, wnd, mss, ..
        } = self.snd;
        self.recovery.fill(una, nxt, wnd, mss.into())
    }

    /// Whether both permit SACK.
    pub(crate) fn permits_sack(&self) -> bool {
        self.sack
    }

    /// The bytes of options in a segment with data.
    pub(crate) fn options_len(&self) -> usize {
        if self.stamps.is_on() {
            stamps::LEN.into()
        } else {
            0
        }
    }

    /// The timestamps of the connection.
    pub(crate) fn stamps(&self) -> &Stamps {
        &self.stamps
    }

    /// What a packet of smoltcp's may advertise.
    fn window_of(&mut self, now: Instant, crowd: &mut Crowd, packet: &TcpPacket<&[u8]>) -> Window {
        let shift = self.rcv_shift();
        let seq = SeqNumber(packet.seq_number().0 as u32);
        // Of the window of a packet that carries a byte which it does not count as sent, smoltcp keeps no account.
        let asks =
            packet.payload().len() == 1 && (self.snd.wnd == 0 || self.snd.is_keep_alive(seq, 1));
        let mss = u32::from(self.own_mss) - self.options_len() as u32;
        let rcv = &mut self.rcv;
        if packet.ack() && !packet.syn() && !packet.rst() && !asks {
            let ack = SeqNumber(packet.ack_number().0 as u32);
            rcv.socket_edge = Some(ack + (u32::from(packet.window_len()) << shift));
        }
        let limit = match rcv.edge {
            Some(_) => crowd.window(now, &mut rcv.member, rcv.told.0, rcv.buffer, mss),
            None => crowd
                .first_window(now, &mut rcv.member, mss)
                .min(rcv.buffer),
        };
        Window {
            edge: rcv.edge,
            scale: shift,
            buffer: rcv.buffer,
            reserve: match shift {
                0 => 0,
                _ => reserve(rcv.buffer as usize) as u32,
            },
            limit: if asks { 0 } else { limit },
            own_mss: self.own_mss,
        }
    }

    /// Completes a packet of `len` bytes that smoltcp has made, in a room as large as the MTU; its new length.
    pub(crate) fn complete(
        &mut self,
        now: Instant,
        room: &mut [u8],
        len: usize,
        src: IpAddr,
        crowd: &mut Crowd,
    ) -> usize {
        let offset = ip_header_len(src);
        let segment = TcpPacket::new_unchecked(&room[offset..len]);
        let window = self.window_of(now, crowd, &segment);
        let (syn, ack) = (segment.syn(), segment.ack());
        let rcv_nxt = SeqNumber(segment.ack_number().0 as u32);
        let empty = segment.payload().is_empty();
        let told = ack && empty && !syn && !segment.fin() && !segment.rst();
        let islands = self.rcv.islands.as_deref().filter(|_| self.sack && told);
        if ack {
            self.stamps.acknowledged(rcv_nxt);
        }
        if !syn {
            let field = match ack && !segment.rst() {
                true => window.field(rcv_nxt, segment.window_len()),
                false => window.without_reserve(segment.window_len()),
            };
            TcpPacket::new_unchecked(&mut room[offset..len]).set_window_len(field);
        }
        if syn {
            let mut segment = TcpPacket::new_unchecked(&mut room[offset..len]);
            // Of a SYN-ACK that is sent again, the edge stays where it was.
            let left = window.edge.map_or(0, |edge| edge.since(rcv_nxt));
            let most = u16::try_from(window.limit.max(left)).unwrap_or(u16::MAX);
            segment.set_window_len(segment.window_len().min(most));
            options::stamp_syn(&mut room[offset..len], self.stamps.values(now, ack));
            return len;
        }
        if !self.stamps.is_on() && islands.is_none() {
            return len;
        }
        let mut options = Options::new();
        if self.stamps.is_on() {
            options.stamps(self.stamps.values(now, ack));
        }
        if !empty {
            options.replace(&mut room[offset..len]);
            return len;
        }
        if let Some(islands) = islands {
            options.sack(islands.blocks(rcv_nxt, MAX_BLOCKS));
        }
        options.put(room, src)
    }
}
