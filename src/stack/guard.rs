//! What stands between the wire and smoltcp's TCP, and mends where it departs from the RFCs.
//!
//! ```text
//!    wire ──▶ [Guard::judge] ─┬─ Pass, Instead ─▶ smoltcp ──▶ wire
//!                             ├─ Challenge ──────────────────▶ wire
//!                             ├─ Again ──────────────────────▶ wire
//!                             └─ Ignore
//! ```
//!
//! A guard sees the segments of one connection before smoltcp does, and those that smoltcp makes before they leave, in
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
//! | a window of zero | probes it at once | probes it after the retransmission timeout (section 3.8.6.1) |
//! | an ACK that is due while Nagle's algorithm holds data back | sends both | sends the ACK (section 3.7.4) |

mod allowance;
mod islands;
mod known;
mod options;
mod recovery;
mod scoreboard;
mod sending;
mod told;

pub(crate) use known::Known;
pub(crate) use sending::{Advice, Flight};
pub(crate) use told::Told;

use super::stamps::{self, Stamps};
use super::tcp::{MIN_MSS, ip_header_len};
use crate::event::Opening;
use crate::segment::{Flags, Segment, SeqNumber, TcpOption};
use crate::state::TcpState;
use allowance::Allowance;
use islands::{Islands, MAX_BLOCKS};
use options::Options;
use recovery::{Heard, Recovery};
use sending::Sending;
use smoltcp::time::Instant;
use smoltcp::wire::TcpPacket;
use std::iter;
use std::net::IpAddr;
use std::ops::Range;

/// RFC 9293, section 3.7.1: the MSS to assume over IPv6 where the peer names none. Over IPv4 smoltcp knows it.
const DEFAULT_MSS_V6: u16 = 1220;
const DEFAULT_MSS_V4: u16 = 536;

/// The guard of one connection.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    challenges: Allowance,
    /// SND.WL1 and SND.WL2: the segment that brought the window in force.
    updated_by: Option<(SeqNumber, SeqNumber)>,
    /// MAX.SND.WND of RFC 5961, section 5.2.
    max_window: u32,
    /// The number of a FIN that came before data which it follows.
    early_fin: Option<SeqNumber>,
    /// Whether both permit SACK (RFC 2018, section 2).
    sack: bool,
    islands: Option<Box<Islands>>,
    /// Eff.snd.MSS of RFC 9293, section 3.7.1.
    mss: u16,
    sending: Sending,
    pub(crate) recovery: Recovery,
    stamps: Stamps,
    /// Whether we offer timestamps.
    timestamps: bool,
    /// Duplicate ACKs that smoltcp has no answer to: of our FIN alone in flight, or in LAST-ACK.
    duplicates: u8,
}

/// What becomes of a segment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// smoltcp gets it as it is.
    Pass,
    /// smoltcp gets this in its place: the same but for its numbers, flags, window, or a part of its payload.
    Instead(Segment),
    /// Nothing.
    Ignore,
    /// It is answered with an acknowledgment of what there is, and dropped.
    Challenge,
    /// It is answered with the SYN-ACK or the FIN that is in flight, once more.
    Again,
    /// It is not acceptable (RFC 9293, section 3.10.7.4): it is acknowledged, and nothing of it counts but perhaps its ACK.
    /// This is it with the acknowledgment number and the window that would.
    Unacceptable(Segment),
}

impl Guard {
    /// Judges a segment that has arrived, its checksum right, for a connection that is not CLOSED.
    pub(crate) fn judge(&mut self, now: Instant, segment: &Segment, known: &Known) -> Verdict {
        let options = &segment.options;
        if options.is_plain() || !options.iter().any(|option| is_odd(&option)) {
            return self.judge_readable(now, segment, known);
        }
        // RFC 9293, section 3.1 (MUST-7): "TCP implementations MUST be prepared to handle an illegal option length".
        let readable = Segment {
            options: options.iter().filter(|option| !is_odd(option)).collect(),
            ..segment.clone()
        };
        match self.judge_readable(now, &readable, known) {
            Verdict::Pass => Verdict::Instead(readable),
            verdict => verdict,
        }
    }

    fn judge_readable(&mut self, now: Instant, segment: &Segment, known: &Known) -> Verdict {
        match known.state {
            TcpState::Closed => Verdict::Pass,
            TcpState::Listen | TcpState::SynSent => open(segment, known),
            _ if segment.flags.contains(Flags::RST) => self.judge_reset(now, segment, known),
            _ if segment.flags.contains(Flags::SYN) => self.judge_syn(now, segment, known),
            _ if self.stamps.rejects(now, segment) => self.challenge(now),
            // RFC 9293, section 3.10.7.4: "if the ACK bit is off, drop the segment and return".
            _ if !segment.flags.contains(Flags::ACK) => Verdict::Ignore,
            _ => self.judge_text(now, segment, known),
        }
    }

    /// The guard of a connection that offers timestamps, whose clock is moved by `offset`.
    pub(crate) fn new(offset: u32) -> Guard {
        Guard {
            stamps: Stamps::new(offset),
            timestamps: true,
            ..Guard::default()
        }
    }

    /// The peer's SYN counts.
    pub(crate) fn synchronize(&mut self, now: Instant, syn: &Segment, known: &Known) {
        self.stamps.synchronize(now, syn, self.timestamps);
        self.sack = syn.sack_permitted();
        let announced = syn.max_segment_size();
        let options = self.options_len() as u16;
        self.mss = sending_mss(announced, known.v6, known.own_mss) - options;
    }

    /// Whether data is there behind a gap.
    pub(crate) fn has_islands(&self) -> bool {
        self.islands.is_some()
    }

    /// Whether data was not taken since this was asked last because there were too many gaps.
    pub(crate) fn take_refused(&mut self) -> bool {
        self.islands
            .as_mut()
            .is_some_and(|islands| islands.take_refused())
    }

    /// The path carries no larger segments than these.
    pub(crate) fn narrow(&mut self, mss: u16) {
        self.mss = self.mss.min(mss);
    }

    /// Says what is to be done before smoltcp may send, where data is in the send buffer.
    pub(crate) fn advise(&mut self, now: Instant, flight: Flight) -> Advice {
        let flight = Flight {
            mss: self.mss.into(),
            max_window: self.max_window,
            ..flight
        };
        self.sending.advise(now, flight)
    }

    /// Eff.snd.MSS.
    pub(crate) fn mss(&self) -> u16 {
        self.mss
    }

    /// What the peer does not have of `seq` up to `end`, in offsets from `seq`.
    pub(crate) fn missing(&self, seq: SeqNumber, end: SeqNumber) -> Vec<Range<u32>> {
        self.recovery.missing(seq, end, self.mss.into())
    }

    /// Whether both permit SACK.
    pub(crate) fn permits_sack(&self) -> bool {
        self.sack
    }

    /// Which segments are to be sent again now, within this window: where they begin, and how long they are.
    pub(crate) fn fill(
        &mut self,
        una: SeqNumber,
        nxt: SeqNumber,
        window: u32,
    ) -> Vec<(SeqNumber, u32)> {
        self.recovery.fill(una, nxt, window, self.mss.into())
    }

    /// When [`advise`](Guard::advise) is to be asked again, if nothing happens before.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        self.sending.wake_at()
    }

    /// Completes a packet of `len` bytes that smoltcp has made, in a room as large as the MTU; its new length.
    pub(crate) fn complete(
        &mut self,
        now: Instant,
        room: &mut [u8],
        len: usize,
        src: IpAddr,
        before: &Told,
    ) -> usize {
        let offset = ip_header_len(src);
        let segment = TcpPacket::new_unchecked(&room[offset..len]);
        let (syn, ack) = (segment.syn(), segment.ack());
        let rcv_nxt = SeqNumber(segment.ack_number().0 as u32);
        let empty = segment.payload().is_empty();
        let told = ack && empty && !syn && !segment.fin() && !segment.rst();
        let islands = self.islands.as_deref().filter(|_| self.sack && told);
        if ack {
            self.stamps.acknowledged(rcv_nxt);
        }
        if !syn {
            let field = match ack && !segment.rst() {
                true => before.window(rcv_nxt, segment.window_len()),
                false => before.without_reserve(segment.window_len()),
            };
            TcpPacket::new_unchecked(&mut room[offset..len]).set_window_len(field);
        }
        if syn {
            let mut segment = TcpPacket::new_unchecked(&mut room[offset..len]);
            // Of a SYN-ACK that is sent again, the edge stays where it was.
            let left = before.edge.map_or(0, |edge| edge.since(rcv_nxt));
            let most = u16::try_from(before.limit.max(left)).unwrap_or(u16::MAX);
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

    /// Whether a FIN waits for data that comes before it.
    pub(crate) fn holds_fin(&self) -> bool {
        self.early_fin.is_some()
    }

    /// What the guard has kept back and smoltcp can take now: the peer's FIN, as a segment of its own.
    pub(crate) fn due(&mut self, template: &Segment, rcv_nxt: SeqNumber) -> Option<Segment> {
        let fin = self.early_fin.filter(|&fin| fin.at_or_before(rcv_nxt))?;
        self.early_fin = None;
        (fin == rcv_nxt).then(|| Segment {
            seq: fin,
            flags: Flags(Flags::FIN.0 | Flags::ACK.0),
            payload: 0..0,
            ..template.clone()
        })
    }

    /// RFC 5961, section 3.2.
    fn judge_reset(&mut self, now: Instant, segment: &Segment, known: &Known) -> Verdict {
        if segment.seq == known.rcv_nxt {
            return plain(segment, segment.seq, Flags::RST);
        }
        match known.is_in_window(segment.seq) {
            true => self.challenge(now),
            false => Verdict::Ignore,
        }
    }

    fn judge_syn(&mut self, now: Instant, segment: &Segment, known: &Known) -> Verdict {
        if known.state != TcpState::SynReceived {
            // RFC 5961, section 4.2: "irrespective of the sequence number".
            return self.challenge(now);
        }
        let acknowledges = segment.acknowledges();
        if segment.seq == known.irs {
            return match acknowledges {
                // RFC 9293, figure 8: both have begun, and each SYN-ACK acknowledges the other's SYN.
                Some(ack) if ack == known.snd_nxt => plain(segment, known.rcv_nxt, Flags::ACK),
                Some(_) => self.challenge(now),
                // Our SYN-ACK got lost, or is slower than the peer's patience.
                None => Verdict::Again,
            };
        }
        // Section 3.10.7.4, "Fourth, check the SYN bit": "If the connection was initiated with a passive OPEN, then
        // return this connection to the LISTEN state", which is what smoltcp does with a reset.
        if known.opening == Opening::Passive && known.is_in_window(segment.seq) {
            return plain(segment, known.rcv_nxt, Flags::RST);
        }
        self.challenge(now)
    }

    /// A segment with ACK, without SYN and RST.
    fn judge_text(&mut self, now: Instant, segment: &Segment, known: &Known) -> Verdict {
        self.max_window = self.max_window.max(known.snd_wnd);
        let acceptable = known.accepts(segment);
        if acceptable {
            self.stamps.note(now, segment);
        }
        let (mut ack, mut window) = (segment.ack, segment.window);
        if known.state == TcpState::SynReceived {
            // One that acknowledges something else is answered with a reset by smoltcp.
            if !acceptable {
                return self.challenge(now);
            }
        } else if known.snd_nxt.before(ack) {
            return self.challenge(now);
        } else if ack.before(known.snd_una) {
            let age = known.snd_una.since(ack);
            // RFC 5961, section 5.2, with what Linux adds: nobody acknowledges what was never sent.
            let sent = known.acknowledged.saturating_sub(1);
            if u64::from(age) > sent.min(self.max_window.into()) {
                return self.challenge(now);
            }
            if acceptable && segment.sequence_len() == 0 {
                // "If the ACK is a duplicate (SEG.ACK =< SND.UNA), it can be ignored."
                return Verdict::Ignore;
            }
            (ack, window) = (known.snd_una, known.snd_wnd_field);
        } else if acceptable {
            // "If (SND.WL1 < SEG.SEQ or (SND.WL1 = SEG.SEQ and SND.WL2 =< SEG.ACK)), set SND.WND <- SEG.WND". And, as
            // Linux: with the window goes the edge from which it counts, so whatever moves that counts.
            let newer = self.updated_by.is_none_or(|(wl1, wl2)| {
                wl1.before(segment.seq) || wl1 == segment.seq && wl2.at_or_before(ack)
            });
            if newer || known.snd_una.before(ack) {
                self.updated_by = Some((segment.seq, ack));
            } else {
                window = known.snd_wnd_field;
            }
        }
        if acceptable && known.state == TcpState::LastAck && known.opens(segment) {
            // smoltcp does not look at the window of what acknowledges nothing, but at that of the answer to a probe.
            return Verdict::Again;
        }
        let duplicate = acceptable
            && ack == known.snd_una
            && ack != known.snd_nxt
            && window == known.snd_wnd_field
            && segment.sequence_len() == 0;
        if !acceptable {
            self.duplicates = 0;
            return Verdict::Unacceptable(Segment {
                ack,
                window,
                ..segment.clone()
            });
        }
        self.sending.saw_window();
        let counts = self.hear(now, segment, known, duplicate);
        let unanswered = known.has_fin_alone_in_flight()
            || known.state == TcpState::LastAck && known.snd_wnd_field > 0;
        if duplicate && unanswered {
            // smoltcp would forget to send it again at all.
            self.duplicates = self.duplicates.saturating_add(1);
            return match self.duplicates {
                3 => Verdict::Again,
                _ => Verdict::Ignore,
            };
        }
        self.duplicates = 0;
        if !counts {
            return Verdict::Ignore;
        }
        let (seq, flags, payload) = self.trim(segment, known);
        if known.state != TcpState::SynReceived || ack == known.snd_nxt {
            self.note_island(known, seq, payload.len() as u32);
        }
        if (seq, ack, flags, window) == (segment.seq, segment.ack, segment.flags, segment.window)
            && payload == segment.payload
        {
            return Verdict::Pass;
        }
        Verdict::Instead(Segment {
            seq,
            ack,
            flags,
            window,
            payload,
            ..segment.clone()
        })
    }

    /// Reads an acceptable acknowledgment for what it says of losses. Returns whether smoltcp is to count it.
    fn hear(&mut self, now: Instant, segment: &Segment, known: &Known, duplicate: bool) -> bool {
        let mut options = segment.options.iter();
        let tells = self.sack
            && !segment.options.is_plain()
            && options.any(|option| matches!(option, TcpOption::Sack(_)));
        let old = segment.ack.before(known.snd_una) || known.state == TcpState::SynReceived;
        // With a window of zero, what looks like a duplicate answers a probe.
        let duplicate = duplicate && known.snd_wnd_field > 0;
        if old || !(duplicate || tells || self.recovery.is_under_way()) {
            return true;
        }
        self.recovery.hear(&Heard {
            now,
            segment,
            una: known.snd_una,
            nxt: known.snd_nxt,
            duplicate,
            duplicates: known.duplicates,
            sack: self.sack,
            mss: self.mss.into(),
            rto: known.rto,
        })
    }

    /// smoltcp is told of the peer's window as it is.
    pub(crate) fn shows_window(&mut self) {
        self.sending.saw_window();
    }

    /// No data waits any more.
    pub(crate) fn nothing_waits(&mut self) {
        self.sending = Sending::default();
    }

    /// What counts of the text of an acceptable segment, and of its FIN.
    fn trim(&mut self, segment: &Segment, known: &Known) -> (SeqNumber, Flags, Range<usize>) {
        let whole = (segment.seq, segment.flags, segment.payload.clone());
        let end = segment.seq + segment.payload.len() as u32;
        if known.finished {
            // Section 3.10.7.4, of the states after the peer's FIN: "This should not occur [...]. Ignore the segment
            // text."
            let more = known.rcv_nxt.before(end) || segment.flags.contains(Flags::FIN);
            return match more {
                true => (known.rcv_nxt, Flags::ACK, 0..0),
                false => whole,
            };
        }
        let (mut seq, mut flags, mut text) = whole;
        // Nothing follows a FIN that is known of.
        let fin = self.early_fin.filter(|fin| fin.before(known.edge));
        let edge = fin.unwrap_or(known.edge);
        if flags.contains(Flags::FIN) {
            // A FIN in the middle of data is none: smoltcp would take it for one behind them.
            let is_true = self.islands.as_ref().is_none_or(|islands| {
                end.since(known.rcv_nxt) >= islands.reach() && end.at_or_before(edge)
            });
            if edge.before(end) || !is_true {
                flags = Flags(flags.0 & !Flags::FIN.0);
            } else if end == known.rcv_nxt {
                // Its data has been here before; the FIN has not.
                return (end, Flags(Flags::FIN.0 | Flags::ACK.0), 0..0);
            } else if known.rcv_nxt.before(seq) {
                self.early_fin = Some(end);
            }
        }
        // "trimming off any portions that lie outside the window (including SYN and FIN)"
        if seq.before(known.rcv_nxt) {
            let old = known.rcv_nxt.since(seq) as usize;
            text.start = text.end.min(text.start + old);
            seq = known.rcv_nxt;
        }
        if edge.before(end) {
            let beyond = end.since(edge) as usize;
            text.end = text.start.max(text.end.saturating_sub(beyond));
        }
        (seq, flags, text)
    }

    /// Data that smoltcp takes, behind a gap or where one is.
    fn note_island(&mut self, known: &Known, seq: SeqNumber, len: u32) {
        if len == 0 || seq == known.rcv_nxt && self.islands.is_none() {
            return;
        }
        let islands = self.islands.get_or_insert_with(|| Box::new(Islands::new()));
        let offset = seq.since(known.rcv_nxt);
        if !islands.add(known.rcv_nxt, offset, len) {
            self.islands = None;
        }
    }

    fn challenge(&mut self, now: Instant) -> Verdict {
        match self.challenges.take(now) {
            true => Verdict::Challenge,
            false => Verdict::Ignore,
        }
    }
}

/// An option at which smoltcp would give the whole segment up: MSS, window scale, SACK-permitted or SACK with a length
/// that is not theirs, or one that runs out of the header.
fn is_odd(option: &TcpOption) -> bool {
    matches!(
        option,
        TcpOption::Malformed { .. } | TcpOption::Unknown { kind: 2..=5, .. }
    )
}

/// A segment in LISTEN or SYN-SENT.
fn open(segment: &Segment, known: &Known) -> Verdict {
    let control = segment.flags.0 & (Flags::SYN.0 | Flags::FIN.0 | Flags::RST.0);
    if segment.flags.contains(Flags::RST) {
        if control == Flags::RST.0 {
            return Verdict::Pass;
        }
        let flags = Flags(segment.flags.0 & (Flags::RST.0 | Flags::ACK.0));
        return plain(segment, segment.seq, flags);
    }
    if !segment.flags.contains(Flags::SYN) {
        // Section 3.10.7.3: "First, check the ACK bit", whatever else is set.
        return match segment.acknowledges() {
            Some(_) if known.state == TcpState::SynSent => plain(segment, segment.seq, Flags::ACK),
            _ => Verdict::Pass,
        };
    }
    // A FIN is not looked at before the connection is established; it will come again.
    let whole = control == Flags::SYN.0;
    let mss = segment.max_segment_size().filter(|&mss| mss > 0);
    let readable = match mss {
        Some(mss) => mss <= known.own_mss,
        None => !known.v6,
    };
    if whole && readable {
        return Verdict::Pass;
    }
    let mut changed = segment.clone();
    changed.flags = Flags(segment.flags.0 & !Flags::FIN.0);
    if !readable {
        // smoltcp acknowledges each second segment of the peer's MSS, of which none can be longer than ours.
        let counts = mss.unwrap_or(DEFAULT_MSS_V6).min(known.own_mss);
        let others = segment.options.iter();
        let others = others.filter(|option| !matches!(option, TcpOption::MaxSegmentSize(_)));
        let counts = iter::once(TcpOption::MaxSegmentSize(counts));
        changed.options = counts.chain(others).collect();
    }
    Verdict::Instead(changed)
}

/// The MSS that counts for what we send, options included: that of the peer, or ours where that is less. Like smoltcp, we don't
/// believe one that leaves no room for data behind the options.
fn sending_mss(announced: Option<u16>, v6: bool, own: u16) -> u16 {
    let default = match v6 {
        true => DEFAULT_MSS_V6,
        false => DEFAULT_MSS_V4,
    };
    let announced = announced.filter(|&mss| mss > 0).unwrap_or(default);
    announced.max(MIN_MSS).min(own)
}

/// The segment with these flags only, and nothing in it.
fn plain(segment: &Segment, seq: SeqNumber, flags: Flags) -> Verdict {
    if segment.flags == flags && segment.payload.is_empty() && segment.seq == seq {
        return Verdict::Pass;
    }
    Verdict::Instead(Segment {
        seq,
        flags,
        payload: 0..0,
        ..segment.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peers_mss_leaves_room_for_data() {
        #[track_caller]
        fn check(announced: Option<u16>, v6: bool, expected: u16) {
            assert_eq!(sending_mss(announced, v6, 1440), expected);
        }
        check(Some(700), false, 700);
        check(Some(9000), false, 1440);
        check(None, false, 536);
        check(None, true, 1220);
        check(Some(0), false, 536);
        check(Some(1), false, 48);
        const { assert!(MIN_MSS > stamps::LEN) };
    }
}
