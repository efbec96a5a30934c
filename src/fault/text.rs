//! Rules to text: the form from which parsing gives the same rule again.

use super::knobs::{BacklogFull, Closing, Knobs, Reading};
use super::rule::{
    Action, Assignment, Comparison, Ends, IcmpError, Kind, Pattern, Rule, Scope, Trigger, Until,
    Verdict,
};
use crate::event::Direction;
use crate::segment::Flags;
use smoltcp::time::Duration;
use std::fmt::{self, Display, Formatter, Write};
use std::ops::RangeInclusive;

impl Rule {
    /// A rule that was not typed; its text is its canonical form.
    pub fn new(scope: Scope, action: Action) -> Rule {
        let mut rule = Rule {
            text: String::new(),
            scope,
            action,
        };
        rule.text = rule.to_string();
        rule
    }
}

/// The canonical form, whatever the line was that was typed.
impl Display for Rule {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.scope.fmt(f)?;
        self.action.fmt(f)
    }
}

/// `conn 1..2, port 80: `, nothing where it is about all.
impl Display for Scope {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Scope {
            connections,
            port,
            host,
            peer,
        } = self;
        let items = [
            connections
                .as_ref()
                .map(|range| format!("conn {}", Numbers(range))),
            port.map(|port| format!("port {port}")),
            host.map(|host| format!("host {host}")),
            peer.map(|peer| format!("peer {peer}")),
        ];
        let items: Vec<String> = items.into_iter().flatten().collect();
        match items.is_empty() {
            true => Ok(()),
            false => write!(f, "{}: ", items.join(", ")),
        }
    }
}

impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Action::Judge(verdict, pattern) => judge(f, verdict, pattern),
            Action::Act(verdict, Trigger { state, after }) => {
                write!(f, "{verdict} at {state}")?;
                match *after {
                    Duration::ZERO => Ok(()),
                    after => write!(f, " after {}", Time(after)),
                }
            }
            Action::Set(knobs) => write!(f, "set{knobs}"),
        }
    }
}

fn judge(f: &mut Formatter<'_>, verdict: &Verdict, pattern: &Pattern) -> fmt::Result {
    match verdict {
        Verdict::Edit(assignments) => {
            write!(f, "edit {pattern}")?;
            for assignment in assignments {
                write!(f, " {assignment}")?;
            }
            Ok(())
        }
        Verdict::Hold(until) => {
            write!(f, "hold {pattern}")?;
            match until {
                Until::Hand => Ok(()),
                Until::State(state) => write!(f, " until {state}"),
                Until::Packet(pattern) => write!(f, " until {pattern}"),
            }
        }
        // The first direction is also that of the packet, unless another follows.
        Verdict::Silence(silenced) => {
            verdict.fmt(f)?;
            if *silenced != pattern.direction {
                write!(f, " {}", direction(pattern.direction))?;
            }
            let pattern = Pattern {
                direction: None,
                ..pattern.clone()
            };
            write!(f, " {pattern}")
        }
        verdict => write!(f, "{verdict} {pattern}"),
    }
}

/// The verdict without the packets: `delay 4s`. Of an edit and a hold, only the name.
impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Pass => f.write_str("pass"),
            Verdict::Drop => f.write_str("drop"),
            Verdict::Delay(time) => write!(f, "delay {}", Time(*time)),
            Verdict::Hold(_) => f.write_str("hold"),
            Verdict::Duplicate(1) => f.write_str("duplicate"),
            Verdict::Duplicate(count) => write!(f, "duplicate {count}"),
            Verdict::Reorder(1) => f.write_str("reorder"),
            Verdict::Reorder(count) => write!(f, "reorder {count}"),
            Verdict::Edit(_) => f.write_str("edit"),
            Verdict::Replace(bytes) => write!(f, "replace {}", Hex(bytes)),
            Verdict::Reset(Ends::Peer) => f.write_str("reset peer"),
            Verdict::Reset(Ends::Local) => f.write_str("reset local"),
            Verdict::Reset(Ends::Both) => f.write_str("reset"),
            Verdict::Icmp(error) => write!(f, "icmp {error}"),
            Verdict::Silence(silenced) => write!(f, "silence {}", direction(*silenced)),
        }
    }
}

impl Display for IcmpError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IcmpError::NetUnreachable => "net-unreachable",
            IcmpError::HostUnreachable => "host-unreachable",
            IcmpError::ProtocolUnreachable => "protocol-unreachable",
            IcmpError::PortUnreachable => "port-unreachable",
            IcmpError::AdminProhibited => "admin-prohibited",
            IcmpError::FragmentationNeeded(mtu) => return write!(f, "fragmentation-needed {mtu}"),
            IcmpError::TimeExceeded => "time-exceeded",
        })
    }
}

/// `out SYN-ACK #1..2`; of every packet, `any`.
impl Display for Pattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Pattern {
            direction,
            kind,
            ordinal,
            retransmission,
            state,
            after_data,
            after,
            within,
            size,
            chance,
            times,
        } = self;
        let mut words = Vec::new();
        words.extend(direction.map(|direction| direction.name().to_owned()));
        words.extend((*kind != Kind::Any).then(|| kind.name().to_owned()));
        words.extend(ordinal.as_ref().map(|range| format!("#{}", Numbers(range))));
        words.extend(retransmission.map(|again| {
            let word = if again { "retransmission" } else { "original" };
            word.to_owned()
        }));
        words.extend(state.map(|state| format!("while {state}")));
        words.extend(after_data.map(|bytes| format!("after data {bytes}")));
        words.extend(after.map(|time| format!("after {}", Time(time))));
        words.extend(within.map(|time| format!("within {}", Time(time))));
        words.extend(size.map(|(comparison, bytes)| {
            let sign = match comparison {
                Comparison::Less => '<',
                Comparison::Greater => '>',
                Comparison::Equal => '=',
            };
            format!("size{sign}{bytes}")
        }));
        words.extend(chance.map(|chance| format!("chance {}%", Percent(chance))));
        words.extend(times.map(|times| format!("times {times}")));
        match words.is_empty() {
            true => f.write_str("any"),
            false => f.write_str(&words.join(" ")),
        }
    }
}

/// `mss=536`
impl Display for Assignment {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Assignment::Flags(flags) => write!(f, "flags={}", Letters(*flags)),
            Assignment::ChangeFlags { set, clear } => {
                if set.0 != 0 {
                    write!(f, "flags+={}", Letters(*set))?;
                }
                if set.0 != 0 && clear.0 != 0 {
                    f.write_char(' ')?;
                }
                if clear.0 != 0 {
                    write!(f, "flags-={}", Letters(*clear))?;
                }
                Ok(())
            }
            Assignment::Seq(seq) => write!(f, "seq={seq}"),
            Assignment::AddSeq(add) => write!(f, "seq{}={}", sign(*add), add.unsigned_abs()),
            Assignment::Ack(ack) => write!(f, "ack={ack}"),
            Assignment::AddAck(add) => write!(f, "ack{}={}", sign(*add), add.unsigned_abs()),
            Assignment::Window(window) => write!(f, "window={window}"),
            Assignment::Mss(mss) => write!(f, "mss={}", OrNone(mss.as_ref())),
            Assignment::WindowScale(shift) => write!(f, "wscale={}", OrNone(shift.as_ref())),
            Assignment::SackPermitted(true) => f.write_str("sack=ok"),
            Assignment::SackPermitted(false) => f.write_str("sack=none"),
            Assignment::Timestamps(Some((val, ecr))) => write!(f, "timestamps={val}/{ecr}"),
            Assignment::Timestamps(None) => f.write_str("timestamps=none"),
            Assignment::NoOptions => f.write_str("options=none"),
            Assignment::Urgent(pointer) => write!(f, "urgent={pointer}"),
            Assignment::Ttl(ttl) => write!(f, "ttl={ttl}"),
            Assignment::Payload(bytes) => write!(f, "payload={}", TextOrHex(bytes)),
            Assignment::Truncate(bytes) => write!(f, "truncate={bytes}"),
            Assignment::Flip(byte) => write!(f, "flip={byte}"),
            Assignment::BadChecksum => f.write_str("checksum=bad"),
            Assignment::BadIpChecksum => f.write_str("ip-checksum=bad"),
        }
    }
}

/// ` iss=1 nagle=off`: each behind a blank.
impl Display for Knobs {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Knobs {
            iss,
            buffer,
            backlog,
            backlog_full,
            time_wait,
            ack_delay,
            syn_ack_retry,
            nagle,
            closing,
            reading,
            writing,
        } = self;
        if let Some(iss) = iss {
            write!(f, " iss={iss}")?;
        }
        if let Some(buffer) = buffer {
            write!(f, " buffer={buffer}")?;
        }
        if let Some(backlog) = backlog {
            write!(f, " backlog={backlog}")?;
        }
        match backlog_full {
            Some(BacklogFull::Silence) => f.write_str(" backlog-full=silence")?,
            Some(BacklogFull::Reset) => f.write_str(" backlog-full=reset")?,
            None => {}
        }
        if let Some(time) = time_wait {
            write!(f, " time-wait={}", Time(*time))?;
        }
        if let Some(time) = ack_delay {
            write!(f, " ack-delay={}", Time(*time))?;
        }
        if let Some(time) = syn_ack_retry {
            write!(f, " syn-ack-retry={}", Time(*time))?;
        }
        if let Some(nagle) = nagle {
            f.write_str(if *nagle { " nagle=on" } else { " nagle=off" })?;
        }
        match closing {
            Some(Closing::AtOnce) => f.write_str(" close=at-once")?,
            Some(Closing::First) => f.write_str(" close=first")?,
            Some(Closing::WithData) => f.write_str(" close=with-data")?,
            Some(Closing::Never) => f.write_str(" close=never")?,
            Some(Closing::Reset) => f.write_str(" close=reset")?,
            None => {}
        }
        match reading {
            Some(Reading::Never) => f.write_str(" read=never")?,
            Some(Reading::After(time)) => write!(f, " read={}", Time(*time))?,
            None => {}
        }
        if let Some(writing) = writing {
            write!(f, " write={}/{}", writing.bytes, Time(writing.pause))?;
        }
        Ok(())
    }
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 10] = [
        Kind::Any,
        Kind::Segment,
        Kind::Syn,
        Kind::SynAck,
        Kind::HandshakeAck,
        Kind::Data,
        Kind::Ack,
        Kind::Fin,
        Kind::Rst,
        Kind::Datagram,
    ];

    /// The name as rules have it, for example `SYN-ACK`.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Any => "any",
            Kind::Segment => "segment",
            Kind::Syn => "SYN",
            Kind::SynAck => "SYN-ACK",
            Kind::HandshakeAck => "handshake-ACK",
            Kind::Data => "data",
            Kind::Ack => "ACK",
            Kind::Fin => "FIN",
            Kind::Rst => "RST",
            Kind::Datagram => "datagram",
        }
    }
}

fn direction(direction: Option<Direction>) -> &'static str {
    direction.map_or("both", Direction::name)
}

fn sign(number: i64) -> char {
    if number < 0 { '-' } else { '+' }
}

/// `1`, `1..2` or `3..`
struct Numbers<'a>(&'a RangeInclusive<u64>);

impl Display for Numbers<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (*self.0.start(), *self.0.end()) {
            (from, u64::MAX) => write!(f, "{from}.."),
            (from, to) if from == to => write!(f, "{from}"),
            (from, to) => write!(f, "{from}..{to}"),
        }
    }
}

/// In the largest unit without a fraction.
struct Time(Duration);

impl Display for Time {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.total_micros() {
            micros if micros % 1_000_000 == 0 => write!(f, "{}s", micros / 1_000_000),
            micros if micros % 1000 == 0 => write!(f, "{}ms", micros / 1000),
            micros => write!(f, "{micros}us"),
        }
    }
}

/// So many of a million, in a hundred.
struct Percent(u32);

impl Display for Percent {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:04}", self.0 / 10_000, self.0 % 10_000);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

struct OrNone<'a, T>(Option<&'a T>);

impl<T: Display> Display for OrNone<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("none"),
        }
    }
}

struct Letters(Flags);

impl Display for Letters {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0.0 == 0 {
            return f.write_str("none");
        }
        let letters = [
            (Flags::FIN, 'F'),
            (Flags::SYN, 'S'),
            (Flags::RST, 'R'),
            (Flags::PSH, 'P'),
            (Flags::ACK, 'A'),
            (Flags::URG, 'U'),
            (Flags::ECE, 'E'),
            (Flags::CWR, 'W'),
            (Flags::AE, 'N'),
        ];
        for (flag, letter) in letters {
            if self.0.contains(flag) {
                f.write_char(letter)?;
            }
        }
        Ok(())
    }
}

struct Hex<'a>(&'a [u8]);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("hex:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// As text in quotes where people can read it.
struct TextOrHex<'a>(&'a [u8]);

impl Display for TextOrHex<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let readable = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
        let text = std::str::from_utf8(self.0).ok();
        let Some(text) = text.filter(|text| text.chars().all(readable)) else {
            return Hex(self.0).fmt(f);
        };
        f.write_char('"')?;
        for letter in text.chars() {
            match letter {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                letter => f.write_char(letter)?,
            }
        }
        f.write_char('"')
    }
}
