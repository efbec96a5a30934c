//! JSON lines: one object a line, one line an event (`--json FILE`).
//!
//! ```text
//! {"version":1,"number":1,"at":0.0,"flow":1,"kind":"opened","transport":"tcp",…}
//! {"version":1,"number":2,"at":0.0,"flow":1,"kind":"packet","id":1,"direction":"in",…,"tcp":{"flags":"S",…},…}
//! {"version":1,"number":3,"at":0.0,"flow":1,"kind":"transition","from":"LISTEN","to":"SYN-RECEIVED",…}
//! ```
//!
//! `schema/events.schema.json` (JSON Schema, draft 2020-12) says the same as the tables below, and tests hold real
//! output against both. `version` grows when a field goes away or changes its meaning. Within a version fields, kinds and words may
//! be added, so whoever reads this should skip what it doesn't know.
//!
//! Every field is always there; what is not known or does not apply is `null`. Times and durations are seconds, whole microseconds
//! apart. Sequence numbers are those on the wire unless they are called relative: then the initial one is 0. Packets
//! are told apart by their `id`, everything else refers to it.
//!
//! ## event
//! Every line has these. What else it has depends on `kind`: see the section of that name.
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `version` | number | 1 |
//! | `number` | number | counts the events from 1, without gaps |
//! | `at` | number | seconds since the start; of a capture that is explained, since its first packet |
//! | `flow` | number or null | the connection or exchange of datagrams that it belongs to, from 1; null where it belongs to none |
//! | `kind` | string | `opened`, `packet`, `released`, `transition`, `asked`, `note`, `limited`, `defect` or `closed` |
//!
//! ## opened
//! A flow begins.
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `transport` | string | `tcp` or `udp` |
//! | `local` | string | our address and port, IPv6 in brackets |
//! | `peer` | string | those of the other end |
//! | `opening` | string | `passive`: the peer began; `active`: we did |
//! | `service` | string | our service or client program, such as `password`; empty where it is not ours |
//!
//! ## packet
//! A packet came to the link between the two ends. What it says is told as its sender meant it. Exactly one of `tcp`, `udp`,
//! `icmp`, `fragment`, `other` and `malformed` is there.
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `id` | number | counts the packets from 1, both directions together |
//! | `direction` | string | `in`: from the peer to us; `out`: from us to the peer |
//! | `length` | number | bytes of the packet from its IP header on; in a capture, those that were captured |
//! | `ip` | object or null | the IP header; null where it can't be read |
//! | `tcp` | object | a TCP segment |
//! | `udp` | object | a UDP datagram |
//! | `icmp` | object | an ICMP or ICMPv6 message |
//! | `fragment` | object | a fragment in which nothing above IP can be read |
//! | `other` | object | another protocol; `ip.protocol` names it |
//! | `malformed` | object | something that can't be read |
//! | `fate` | object | what became of it |
//! | `crossed` | object or null | what came out of the link instead, where it was rewritten |
//! | `retransmission` | boolean | whether a part of it occupies sequence numbers that were sent before |
//! | `reason` | object or null | why our TCP sent it; null for what arrives and what is no segment of a connection |
//! | `variables` | object or null | its connection after it; null for what is no segment of a connection |
//!
//! ## released
//! A packet that was delayed or held goes on, or is dropped after all. It has the fields of `packet`, with the `id` that was told
//! when it began to wait; `fate` is now final. Also:
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `waited` | number | seconds since it came to the link |
//! | `by` | string | what has ended the wait: its `time` has come, the `condition` of its rule is fulfilled, a `hand`, or the `end` of stepping or of the run |
//!
//! ## crossed
//! The fields of `packet` that tell what it says. Sequence numbers are relative to the same initial ones.
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `length` | number | as in `packet` |
//! | `ip` | object or null | as in `packet` |
//! | `tcp` | object | as in `packet` |
//! | `udp` | object | as in `packet` |
//! | `icmp` | object | as in `packet` |
//! | `fragment` | object | as in `packet` |
//! | `other` | object | as in `packet` |
//! | `malformed` | object | as in `packet` |
//!
//! ## ip
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `src` | string | source address |
//! | `dst` | string | destination address |
//! | `hop_limit` | number | time to live (IPv4) or hop limit (IPv6) |
//! | `protocol` | number | of the payload, after IPv6 extension headers: 6 TCP, 17 UDP, 1 ICMP, 58 ICMPv6 |
//! | `total_len` | number | bytes that the header claims, itself included |
//! | `dont_fragment` | boolean | the don't-fragment bit; always true in IPv6 |
//! | `fragment` | object or null | where it belongs, if it is a fragment |
//!
//! ## ip.fragment
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `id` | number | identification |
//! | `offset` | number | offset of its payload in the whole, in bytes |
//! | `more` | boolean | whether more fragments follow |
//!
//! ## tcp
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `src_port` | number | source port |
//! | `dst_port` | number | destination port |
//! | `flags` | string | the control bits as packetdrill writes them: letters of `FSRP.UEWA`, where `.` is ACK; `-` for none |
//! | `seq` | number | SEG.SEQ |
//! | `ack` | number or null | SEG.ACK; null where the ACK bit is not set |
//! | `relative_seq` | number or null | SEG.SEQ, counted from its sender's initial number; null where that is not known |
//! | `relative_ack` | number or null | SEG.ACK, counted from the receiver's initial number; null where that is not known |
//! | `window` | number | SEG.WND as in the header, not scaled |
//! | `urgent` | number or null | the urgent pointer; null where URG is not set |
//! | `options` | array | the options in their order, each an object |
//! | `checksum_ok` | boolean | whether the checksum is right; true also where it can't be judged, or is left to a device (`--offload`) |
//! | `payload_len` | number | bytes of data |
//! | `payload` | string | the data in Base64 (RFC 4648, section 4); of a packet that a capture has cut, what is there |
//!
//! ## option
//! `kind` is `eol`, `nop`, `mss`, `wscale`, `sack-permitted`, `sack`, `timestamps`, `unknown` or `malformed`, and decides which
//! of the others are there.
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `kind` | string | see above |
//! | `mss` | number | `mss`: the maximum segment size in bytes |
//! | `shift` | number | `wscale`: the shift count |
//! | `blocks` | array | `sack`: pairs of the first number received and the first not received |
//! | `val` | number | `timestamps`: TSval |
//! | `ecr` | number | `timestamps`: TSecr |
//! | `number` | number | `unknown` and `malformed`: the kind on the wire |
//! | `len` | number | `unknown`: the length that it claims, in bytes |
//!
//! ## udp
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `src_port` | number | source port |
//! | `dst_port` | number | destination port |
//! | `checksum_ok` | boolean | as in `tcp` |
//! | `payload_len` | number | as in `tcp` |
//! | `payload` | string | as in `tcp` |
//!
//! ## icmp
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `type` | number | the type |
//! | `code` | number | the code |
//! | `name` | string | the name of the two, such as `port unreachable`, or `unknown message` |
//! | `echo_id` | number or null | the identifier of an echo request or reply |
//! | `echo_seq` | number or null | its sequence number |
//! | `mtu` | number or null | the next hop's MTU, in "fragmentation needed" and "packet too big" |
//! | `checksum_ok` | boolean | as in `tcp` |
//! | `payload_len` | number | as in `tcp` |
//! | `payload` | string | as in `tcp` |
//!
//! ## fragment
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `payload_len` | number | bytes of the whole that it brings |
//! | `payload` | string | as in `tcp` |
//!
//! ## other
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `payload_len` | number | bytes after the IP headers |
//! | `payload` | string | as in `tcp` |
//!
//! ## malformed
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `layer` | string | what can't be read: `ip`, `tcp`, `udp` or `icmp` |
//! | `why` | string | why, for people |
//!
//! ## fate
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `kind` | string | `delivered`; `discarded`: our stack threw it away before any connection saw it; `dropped`: the link has swallowed it; `delayed` or `held`: it waits there, see `released`; `duplicated`; `rewritten`: see `crossed`; `injected`: no end has sent it, a rule has made it; `folded`: the link has swallowed it while somebody steps, as a copy of a packet that waits or whose answer does |
//! | `why` | string | `discarded` only: `malformed`, `not-for-us`, `bad-address`, `bad-flags`, `backlog-full`, `fragment`, `header` or `unsupported` |
//! | `rule` | number | the rule that has decided it, from 1, or 0 where a person has: not for `delivered`, `discarded` and `folded` |
//! | `delay` | number | `delayed` only: seconds until it goes on |
//! | `copies` | number | `duplicated` only: how many copies follow it |
//! | `into` | number | `folded` only: the packet of which it is a copy |
//!
//! ## reason
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `kind` | string | `syn`, `syn-ack`, `data`, `fin`, `ack`, `delayed-ack`, `duplicate-ack`, `window-update`, `window-probe`, `keep-alive`, `reset` or `resent` |
//! | `waited` | number | `delayed-ack` only: seconds since what it acknowledges has arrived |
//! | `after` | string | `resent` only: `timeout`, `duplicate-acks` or `gap` |
//!
//! ## variables
//! Those of RFC 9293, section 3.3.1, and of RFC 6298, of our end.
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `iss` | number | our initial sequence number |
//! | `irs` | number or null | the peer's; null before its SYN |
//! | `snd_una` | number | SND.UNA |
//! | `snd_nxt` | number | SND.NXT |
//! | `snd_wnd` | number | SND.WND in bytes, scaled |
//! | `rcv_nxt` | number or null | RCV.NXT; null before the peer's SYN |
//! | `rcv_wnd` | number | RCV.WND: the free room in our receive buffer, in bytes |
//! | `in_flight` | number | sent and not acknowledged, in bytes, a SYN and a FIN counting one each |
//! | `rto` | number | the retransmission timeout in force, in seconds |
//! | `srtt` | number or null | the smoothed round-trip time in seconds; null before the first measurement |
//! | `duplicate_acks` | number | duplicate acknowledgments that arrived in a row |
//! | `resent` | number | segments sent again so far |
//! | `unanswered` | number | retransmission timeouts in a row without an acknowledgment of anything |
//!
//! ## transition
//! The state of our end changed. States are named as RFC 9293 prints them.
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `from` | string | the state that is left |
//! | `to` | string | the state that is entered |
//! | `cause` | object | why: exactly one thing |
//!
//! ## cause
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `kind` | string | `segment`, `call` or `timeout` |
//! | `packet` | number | `segment` only: the `id` of the packet |
//! | `call` | string | `call` only: `OPEN`, `CLOSE` or `ABORT` |
//! | `timer` | string | `timeout` only: `user`, `time-wait` or `fin-wait-2` |
//!
//! ## asked
//! The peer's kernel was asked about its end, just after the packet that was told before. It is asked in a lab, and only
//! where that is looked at: while a ladder or the live screen is shown, events are logged, or a report is written. With
//! `--quiet` and none of these there are no such events.
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `state` | string | its state |
//! | `info` | object or null | what its TCP_INFO says; null where it has none |
//!
//! ## info
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `rtt` | number | the smoothed round-trip time in seconds |
//! | `rttvar` | number | its variance in seconds |
//! | `rto` | number | the retransmission timeout in force, in seconds |
//! | `cwnd` | number | the congestion window in segments |
//! | `retransmits` | number | how often the oldest segment that is not acknowledged was sent again |
//! | `total_retransmits` | number | segments sent again so far |
//!
//! ## note
//! A service says something.
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `text` | string | what it says |
//!
//! ## limited
//! The stack had as much of something as it may have. Where a connection or an exchange has made room by that, `flow` is its own.
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `limit` | string | `backlog`, `connections`, `exchanges`, `time-wait`, `fragments`, `gaps`, `waiting`, `icmp-errors` or `events` |
//! | `count` | number | how often since it was told last; of `events`, how many were lost |
//!
//! ## defect
//! A part of tcplab, or of a service, panicked. If the event is of a flow, that flow is given up: its last events follow.
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `defect` | number | counts the defects from 1 |
//! | `during` | string | what was under way: a `packet` was taken in, a flow had its `turn`, a `timer` went off, a `command` was obeyed, a flow was to `open`, or `upkeep` |
//! | `ends` | object or null | the ends of the flow that is given up; null where there is none |
//! | `message` | string | the message of the panic |
//! | `location` | string or null | file, line and column; null where they are not known |
//! | `backtrace` | string or null | the calls that led there, if `RUST_BACKTRACE` asks for them |
//! | `packets` | array of objects | the last packets of the flow, the oldest first; without a flow, the last of all |
//!
//! ## ends
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `transport` | string | `tcp` or `udp` |
//! | `local` | string | our address and port, IPv6 in brackets |
//! | `peer` | string | those of the other end |
//!
//! ## head
//! The beginning of a packet, in `packets`.
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `at` | number | seconds since the start |
//! | `direction` | string | `in` or `out` |
//! | `length` | number | bytes of the whole packet |
//! | `bytes` | string | its first bytes, in base64 |
//!
//! ## closed
//! A flow is over; no event of it follows.
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `result` | object or null | what the service or client program returned; null where it never ran or could not run to its end |
//!
//! ## result
//!
//! | field | type | meaning |
//! |---|---|---|
//! | `kind` | string | `ok` or `error` |
//! | `why` | string | `error` only: why, for people |

mod record;

use super::Sink;
use crate::event::Event;
use crate::view::View;
use record::Record;
use std::io::{self, Write};

/// Of what form the lines are.
pub const VERSION: u32 = 1;

/// Writes events as JSON lines.
#[derive(Debug)]
pub struct JsonLines<W> {
    out: W,
    /// The line that is made: many small pieces, written at once.
    line: Vec<u8>,
}

impl<W: Write> JsonLines<W> {
    /// Writes to `out`, which should be buffered: each line is a write.
    pub fn new(out: W) -> JsonLines<W> {
        JsonLines {
            out,
            line: Vec::new(),
        }
    }

    /// What was written to.
    pub fn into_inner(self) -> W {
        self.out
    }
}

impl<W: Write> Sink for JsonLines<W> {
    fn event(&mut self, view: &View, event: &Event) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, &Record::new(view, event))?;
        self.line.push(b'\n');
        self.out.write_all(&self.line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self, _: &View) -> io::Result<()> {
        self.out.flush()
    }
}
