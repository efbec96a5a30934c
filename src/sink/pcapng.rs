//! A capture for Wireshark and its relatives: every packet, and what we know of it (`-w FILE`).
//!
//! The file is pcapng (draft-ietf-opsawg-pcapng): raw IP packets, nanosecond timestamps of the calendar, direction flags, and two
//! interfaces:
//!
//! | interface | what it carries |
//! |---|---|
//! | `wire` | what crossed the link between the two ends, byte for byte, when it crossed, as often as it crossed |
//! | `intended` | what its sender meant to send, and when, where that is not what crossed: what was dropped, held back or rewritten; nothing where no rule interferes |
//!
//! A packet that crosses as it was meant is not written twice, as an analyser would take the second for a retransmission. So the
//! interface `intended` is itself the difference that rules make, and `frame.interface_name == "wire"` shows what got through. On its
//! way in a packet crosses when it reaches our stack; the TUN has seen it before that.
//!
//! With offload packets are as large as they cross the TUN, and their checksums those of the pseudo-header, to which a device
//! would add the rest: as tcpdump writes them there.
//!
//! Each packet has a comment: the transitions that go with it, and words to filter by:
//!
//! ```text
//! LISTEN -> SYN-RECEIVED (segment 1) | packet=1 flow=1 fate=delivered state=SYN-RECEIVED peer=SYN-SENT …
//! ```
//!
//! | word | meaning |
//! |---|---|
//! | `packet` | its number, as in ladders and JSON lines |
//! | `flow` | its flow; not there where it belongs to none |
//! | `fate` | `delivered`, `discarded`, or what a rule has made of it: `dropped`, `delayed`, `held`, `duplicated`, `rewritten`, `injected` |
//! | `why` | why it was discarded, for example `backlog-full` |
//! | `rule` | the rule that has decided it; 0 where a person has |
//! | `delay` | for how long it is delayed, in milliseconds: `delay=4000ms` |
//! | `waited`, `by` | how long it has waited in the link before it crossed, in milliseconds, and what has ended that: `time`, `condition`, `hand` or `end` |
//! | `state` | our state after it |
//! | `peer` | the state of the peer after it, as inferred |
//! | `reason` | why our TCP sent it, for example `delayed-ack` |
//! | `retransmission` | where a part of it was sent before: `timeout`, `duplicate-acks` or `gap`, `yes` where the reason is not known |
//! | `snd_una`, `snd_nxt`, `rcv_nxt` | the variables of our end after it, counted from the initial numbers |
//! | `snd_wnd`, `rcv_wnd`, `in_flight` | likewise, in bytes |
//! | `rto`, `srtt` | likewise, in milliseconds: `rto=1000ms` |
//!
//! Display filters: `frame.comment contains "state=SYN-RECEIVED"`, `frame.comment contains "-> ESTABLISHED"` for the transitions
//! alone, `frame.comment contains "flow=1 "` with a blank where a longer number must not match.
//!
//! A transition that the packet itself causes stands with it; one with another cause stands with the next packet that we send on that
//! flow, as FIN-WAIT-1 goes with the FIN. Those that no packet follows, as the end of TIME-WAIT, are not in a capture.

use super::{Sink, text};
use crate::event::{
    Cause, Direction, Event, EventKind, Fate, FlowId, Packet, PacketId, Reason, Released, RuleId,
    Transition, Transport,
};
use crate::segment::{Body, Described};
use crate::state::TcpState;
use crate::view::View;
use crate::words::Lang;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::{DataLink, Endianness, PcapError};
use smoltcp::time::Instant;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

/// What Wireshark calls the program that wrote a capture.
pub const APPLICATION: &str = concat!("tcplab ", env!("CARGO_PKG_VERSION"));
/// The name of the interface that carries what crossed the wire.
pub const WIRE: &str = "wire";
/// The name of the interface that carries what was meant to cross it.
pub const INTENDED: &str = "intended";

/// The number of [`WIRE`] in the file.
const WIRE_ID: u32 = 0;
/// The number of [`INTENDED`].
const INTENDED_ID: u32 = 1;
/// So many bytes are kept in memory at most before they are written.
const BUFFER: usize = 1 << 16;

/// Writes a pcapng capture.
pub struct PcapNg<W> {
    out: W,
    /// What is not yet written.
    blocks: PcapNgWriter<Vec<u8>>,
    epoch: Duration,
    /// The newest packet waits for the transition that it may cause.
    held: Option<Held>,
    /// What happened to a flow since its last packet, and waits for one that we send.
    waiting: BTreeMap<FlowId, Vec<String>>,
}

/// A packet that waits for what may belong to it.
struct Held {
    id: PacketId,
    at: Instant,
    direction: Direction,
    copies: Vec<Copy>,
    remarks: Vec<String>,
    /// The words before our state, and after it.
    head: String,
    state: Option<TcpState>,
    tail: String,
}

/// A packet as one interface has it.
#[derive(Clone)]
struct Copy {
    interface: u32,
    bytes: Vec<u8>,
    /// How long it was before a capture cut it.
    len: usize,
}

impl<W: Write> PcapNg<W> {
    /// Writes to `out`, nothing before the first packet or flush. `epoch` is what the calendar says when the time of
    /// events is zero, as time since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// None that is known: the header is made in memory.
    pub fn new(out: W, epoch: Duration) -> io::Result<PcapNg<W>> {
        let section = SectionHeaderBlock {
            // The same bytes on every machine.
            endianness: Endianness::Little,
            options: vec![SectionHeaderOption::UserApplication(APPLICATION.into())],
            ..SectionHeaderBlock::default()
        };
        let mut blocks =
            PcapNgWriter::with_section_header(Vec::new(), section).map_err(io_error)?;
        for (name, description) in [
            (WIRE, "what crossed the link"),
            (
                INTENDED,
                "what was meant to cross it, where that is something else",
            ),
        ] {
            let interface = InterfaceDescriptionBlock {
                linktype: DataLink::RAW,
                snaplen: 0,
                options: vec![
                    InterfaceDescriptionOption::IfName(name.into()),
                    InterfaceDescriptionOption::IfDescription(description.into()),
                    // Ten to the power of minus nine seconds.
                    InterfaceDescriptionOption::IfTsResol(9),
                ],
            };
            blocks.write_pcapng_block(interface).map_err(io_error)?;
        }
        Ok(PcapNg {
            out,
            blocks,
            epoch,
            held: None,
            waiting: BTreeMap::new(),
        })
    }

    fn packet(
        &mut self,
        view: &View,
        event: &Event,
        packet: &Packet,
        waited: Option<&Released>,
    ) -> io::Result<()> {
        self.release()?;
        let flow = event
            .flow
            .and_then(|id| view.flow(id))
            .filter(|flow| flow.transport == Transport::Tcp);
        let remarks = match (event.flow, packet.direction) {
            (Some(flow), Direction::Out) => self.waiting.remove(&flow).unwrap_or_default(),
            _ => Vec::new(),
        };
        self.held = Some(Held {
            id: packet.id,
            at: event.at,
            direction: packet.direction,
            copies: copies(packet, waited.is_some()),
            remarks,
            head: head(event, packet, waited),
            state: flow.map(|flow| flow.state),
            tail: tail(view, event, packet),
        });
        Ok(())
    }

    fn transition(&mut self, flow: FlowId, transition: &Transition) {
        let Transition { from, to, cause } = *transition;
        let remark = format!("{from} -> {to} ({})", text::cause(Lang::En, cause));
        match &mut self.held {
            Some(held) if cause == Cause::Segment(held.id) => {
                held.remarks.push(remark);
                held.state = Some(to);
            }
            _ => self.waiting.entry(flow).or_default().push(remark),
        }
    }

    fn release(&mut self) -> io::Result<()> {
        let Some(held) = self.held.take() else {
            return Ok(());
        };
        let since_start = Duration::from_micros(held.at.total_micros().unsigned_abs());
        let comment = held.comment();
        for copy in held.copies {
            let block = EnhancedPacketBlock {
                interface_id: copy.interface,
                timestamp: self.epoch + since_start,
                original_len: copy.len as u32,
                data: copy.bytes.into(),
                options: vec![
                    EnhancedPacketOption::Comment(comment.as_str().into()),
                    // Section 4.3.1: bits 0 and 1 tell the direction.
                    EnhancedPacketOption::Flags(match held.direction {
                        Direction::In => 1,
                        Direction::Out => 2,
                    }),
                ],
            };
            self.blocks.write_pcapng_block(block).map_err(io_error)?;
        }
        if self.blocks.get_ref().len() >= BUFFER {
            self.write()?;
        }
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        self.out.write_all(self.blocks.get_ref())?;
        self.blocks.get_mut().clear();
        Ok(())
    }
}

impl<W: Write> Sink for PcapNg<W> {
    fn event(&mut self, view: &View, event: &Event) -> io::Result<()> {
        match (&event.kind, event.flow) {
            (EventKind::Packet(packet), _) => self.packet(view, event, packet, None)?,
            (EventKind::Released(released), _) => {
                self.packet(view, event, &released.packet, Some(released))?;
            }
            (EventKind::Transition(transition), Some(flow)) => self.transition(flow, transition),
            (EventKind::Closed(_), Some(flow)) => {
                self.waiting.remove(&flow);
            }
            _ => {}
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.release()?;
        self.write()?;
        self.out.flush()
    }

    fn finish(&mut self, _: &View) -> io::Result<()> {
        self.flush()
    }
}

impl Held {
    fn comment(&self) -> String {
        let mut comment = self.remarks.join("; ");
        if !comment.is_empty() {
            comment += " | ";
        }
        comment += &self.head;
        if let Some(state) = self.state {
            // Writing into memory does not fail.
            let _ = write!(comment, " state={state}");
        }
        comment + &self.tail
    }
}

/// A packet on the interfaces where it belongs. What it was meant to be is there already if it has waited.
fn copies(packet: &Packet, has_waited: bool) -> Vec<Copy> {
    let crossings = packet.fate.crossings();
    let mut copies = Vec::new();
    if !has_waited && (crossings == 0 || packet.crossed.is_some()) {
        copies.push(Copy::new(INTENDED_ID, &packet.described, &packet.bytes));
    }
    let (described, bytes) = packet.outcome();
    let crossed = Copy::new(WIRE_ID, described, bytes);
    copies.extend(vec![crossed; crossings as usize]);
    copies
}

impl Copy {
    fn new(interface: u32, described: &Described, bytes: &[u8]) -> Copy {
        let len = match (&described.body, described.ip) {
            (Body::Malformed(_), _) | (_, None) => bytes.len(),
            (_, Some(ip)) => bytes.len().max(ip.total_len),
        };
        Copy {
            interface,
            bytes: bytes.to_vec(),
            len,
        }
    }
}

/// The words that are known at once.
fn head(event: &Event, packet: &Packet, waited: Option<&Released>) -> String {
    let mut words = format!("packet={}", packet.id);
    if let Some(flow) = event.flow {
        words += &format!(" flow={}", flow.0);
    }
    words += &format!(" fate={}", packet.fate.name());
    if let Fate::Discarded(why) = packet.fate {
        words += &format!(" why={}", why.name());
    }
    if let Some(RuleId(rule)) = packet.fate.rule() {
        words += &format!(" rule={rule}");
    }
    if let Fate::Delayed(_, delay) = packet.fate {
        words += &format!(" delay={}ms", delay.total_millis());
    }
    if let Some(Released { waited, by, .. }) = waited {
        words += &format!(" waited={}ms by={}", waited.total_millis(), by.name());
    }
    words
}

/// The words after our state, each with a blank before it.
fn tail(view: &View, event: &Event, packet: &Packet) -> String {
    let mut words = String::new();
    let mut word = |key: &str, value: &dyn std::fmt::Display| {
        let _ = write!(words, " {key}={value}");
    };
    let flow = event.flow.and_then(|id| view.flow(id));
    if let Some(flow) = flow.filter(|flow| flow.transport == Transport::Tcp) {
        word("peer", &flow.peer_state.state());
    }
    if let Some(reason) = packet.reason {
        word("reason", &reason.name());
    }
    if packet.retransmission {
        word(
            "retransmission",
            &match packet.reason {
                Some(Reason::Resent(resend)) => resend.name(),
                _ => "yes",
            },
        );
    }
    if let Some(variables) = &packet.variables {
        word("snd_una", &variables.snd_una.since(variables.iss));
        word("snd_nxt", &variables.snd_nxt.since(variables.iss));
        word("snd_wnd", &variables.snd_wnd);
        if let (Some(rcv_nxt), Some(irs)) = (variables.rcv_nxt, variables.irs) {
            word("rcv_nxt", &rcv_nxt.since(irs));
        }
        word("rcv_wnd", &variables.rcv_wnd);
        word("in_flight", &variables.in_flight);
        word("rto", &format_args!("{}ms", variables.rto.total_millis()));
        if let Some(srtt) = variables.srtt {
            word("srtt", &format_args!("{}ms", srtt.total_millis()));
        }
    }
    words
}

fn io_error(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        other => io::Error::other(other),
    }
}
