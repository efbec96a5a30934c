//! SYNs for which the backlog has no room.

use super::Engine;
use crate::event::Limit;
use crate::link::Incoming;
use crate::segment::{Flags, Segment, SeqNumber, TcpOption};
use crate::stack::reply;
use crate::stack::table::FlowKey;
use crate::stack::tcp::ip_header_len;
use crate::tcb::announced_mss;
use smoltcp::time::Instant;

impl Engine {
    /// Answers a SYN without keeping anything of it (RFC 4987, section 3.6).
    pub(super) fn answer_with_cookie(
        &mut self,
        now: Instant,
        incoming: &Incoming<'_>,
        syn: &Segment,
        key: FlowKey,
    ) {
        self.arrived(now, None, incoming, None);
        self.shared.limited(now, None, Limit::Backlog);
        let buffer = self.knobs_of(&key).buffer;
        let (v6, config) = (key.local.is_ipv6(), &self.shared.config);
        // That of the connection to come, whose window must not shrink.
        let buffer = buffer.unwrap_or(config.buffer);
        let own_mss = config.wire().mss(ip_header_len(key.local.ip()));
        let most = self.shared.crowd.stray_window(now, own_mss.into());
        let window = buffer.min(most as usize);
        let mss = announced_mss(syn.max_segment_size(), v6);
        let answer = Segment {
            seq: self.cookies.bake(now, &key, syn.seq, mss),
            ack: syn.seq + 1,
            flags: Flags(Flags::SYN.0 | Flags::ACK.0),
            window: u16::try_from(window).unwrap_or(u16::MAX),
            options: [TcpOption::MaxSegmentSize(own_mss)].into_iter().collect(),
            payload: 0..0,
            ..syn.clone()
        };
        let answer = reply::segment(key.local, key.peer, &answer, &[]);
        self.shared.send(now, None, answer);
    }

    /// Begins the connection whose SYN was answered with a cookie, if this segment brings it back. Returns whether it
    /// does.
    pub(super) fn open_with_cookie(
        &mut self,
        now: Instant,
        incoming: &mut Incoming<'_>,
        segment: &Segment,
        key: FlowKey,
    ) -> bool {
        let bits = segment.flags.0 & (Flags::SYN.0 | Flags::RST.0 | Flags::ACK.0);
        if bits != Flags::ACK.0 || !self.tcp_services.contains_key(&key.local.port()) {
            return false;
        }
        let (irs, iss) = (segment.seq - 1, segment.ack - 1);
        let Some(mss) = self.cookies.check(now, &key, irs, iss) else {
            return false;
        };
        let mut flow = self.passive_flow(now, key, |_| iss);
        let syn = Segment {
            seq: irs,
            ack: SeqNumber(0),
            flags: Flags::SYN,
            options: [TcpOption::MaxSegmentSize(mss)].into_iter().collect(),
            payload: 0..0,
            ..segment.clone()
        };
        flow.assume(&mut self.shared, now, &syn);
        let incoming = Incoming {
            bytes: &mut *incoming.bytes,
            ..*incoming
        };
        flow.arrive(&mut self.shared, now, incoming, segment);
        self.admit_flow(flow);
        true
    }
}
