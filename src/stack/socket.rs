//! smoltcp's socket of one connection: the only room that knows it.
//!
//! Segments go in and out with the numbers of the wire; smoltcp's own, which are others (see [`iss`]), are seen in
//! here alone. And smoltcp can't be told anything but by a segment: what it is to know besides those that the peer has sent is
//! a hint, a method here for each, which hands it a segment that nobody sent. None of these crosses the link.

use crate::segment::{Segment, SeqNumber};
use crate::stack::table::FlowKey;
use crate::stack::tcp::Tcp;
use crate::stack::{iss, reply, stamps};
use crate::state::TcpState;
use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp;
use smoltcp::time::{Duration, Instant};

/// One socket, in a set of its own.
#[derive(Debug)]
pub(crate) struct Socket {
    set: SocketSet<'static>,
    handle: SocketHandle,
    numbers: Numbers,
}

/// How smoltcp's sequence numbers become those of the wire.
#[derive(Clone, Copy, Debug)]
enum Numbers {
    /// The first that leaves is to be this one.
    From(SeqNumber),
    /// All of them are moved by so much.
    Shifted(u32),
}

/// How a socket behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// How long a connection is idle before a keep-alive leaves; `None`: none does.
    pub(crate) keep_alive: Option<Duration>,
    /// Whether its segments have room for timestamps. Their values are filled in later.
    pub(crate) timestamps: bool,
    /// How long an acknowledgment may wait.
    pub(crate) ack_delay: Duration,
    /// Nagle's algorithm.
    pub(crate) nagle: bool,
}

/// What smoltcp needs besides a socket: itself, the time, and room for the packet that it may make.
pub(crate) struct Moment<'a> {
    pub(crate) tcp: &'a mut Tcp,
    pub(crate) now: Instant,
    pub(crate) room: &'a mut [u8],
}

impl Socket {
    /// A closed one with buffers of `buffer` bytes each.
    pub(crate) fn new(buffer: usize) -> Socket {
        let room = |len: usize| tcp::SocketBuffer::new(vec![0; len]);
        let mut set = SocketSet::new(Vec::with_capacity(1));
        let receive = room(buffer + reserve(buffer));
        let handle = set.add(tcp::Socket::new(receive, room(buffer)));
        Socket {
            set,
            handle,
            numbers: Numbers::From(SeqNumber::default()),
        }
    }

    fn inner(&self) -> &tcp::Socket<'static> {
        self.set.get(self.handle)
    }

    fn inner_mut(&mut self) -> &mut tcp::Socket<'static> {
        self.set.get_mut(self.handle)
    }

    /// Forgets the congestion window (CUBIC, RFC 9438) of the connection before.
    pub(crate) fn renew(&mut self) {
        let cubic = tcp::CongestionControl::Cubic;
        self.inner_mut().set_congestion_control(cubic);
    }

    pub(crate) fn behave(&mut self, manner: Manner) {
        let socket = self.inner_mut();
        socket.set_keep_alive(manner.keep_alive);
        let stamps = manner.timestamps;
        socket.set_tsval_generator(stamps.then_some(stamps::nothing as fn() -> u32));
        socket.set_ack_delay(Some(manner.ack_delay).filter(|&delay| delay > Duration::ZERO));
        socket.set_nagle_enabled(manner.nagle);
    }

    /// The number that the first segment is to have.
    pub(crate) fn number_from(&mut self, iss: SeqNumber) {
        self.numbers = Numbers::From(iss);
    }

    pub(crate) fn state(&self) -> TcpState {
        match self.inner().state() {
            tcp::State::Closed => TcpState::Closed,
            tcp::State::Listen => TcpState::Listen,
            tcp::State::SynSent => TcpState::SynSent,
            tcp::State::SynReceived => TcpState::SynReceived,
            tcp::State::Established => TcpState::Established,
            tcp::State::FinWait1 => TcpState::FinWait1,
            tcp::State::FinWait2 => TcpState::FinWait2,
            tcp::State::CloseWait => TcpState::CloseWait,
            tcp::State::Closing => TcpState::Closing,
            tcp::State::LastAck => TcpState::LastAck,
            tcp::State::TimeWait => TcpState::TimeWait,
        }
    }

    /// Bytes of its send buffer, and of its receive buffer without the [reserve].
    pub(crate) fn buffer(&self) -> usize {
        self.inner().send_capacity()
    }

    /// Bytes in the send buffer, sent or not.
    pub(crate) fn queued(&self) -> usize {
        self.inner().send_queue()
    }

    /// Bytes that have arrived in order and are not read.
    pub(crate) fn unread(&self) -> usize {
        self.inner().recv_queue()
    }

    pub(crate) fn has_nagle(&self) -> bool {
        self.inner().nagle_enabled()
    }

    /// Whether there is something to read now.
    pub(crate) fn can_read(&self) -> bool {
        self.inner().can_recv()
    }

    /// Whether there is, or may be later.
    pub(crate) fn may_read(&self) -> bool {
        self.inner().may_recv()
    }

    /// Whether the send buffer has room now.
    pub(crate) fn can_write(&self) -> bool {
        self.inner().can_send()
    }

    /// Whether it has, or may have later.
    pub(crate) fn may_write(&self) -> bool {
        self.inner().may_send()
    }

    /// Lends `f` what has arrived, in place; `f` says how many bytes it has consumed. `None` where nothing will arrive.
    pub(crate) fn read<R>(&mut self, f: impl FnOnce(&mut [u8]) -> (usize, R)) -> Option<R> {
        self.inner_mut().recv(f).ok()
    }

    /// Lends `f` room in the send buffer, in place; `f` says how many bytes it has filled. `None` where nothing can be sent.
    pub(crate) fn write<R>(&mut self, f: impl FnOnce(&mut [u8]) -> (usize, R)) -> Option<R> {
        self.inner_mut().send(f).ok()
    }

    /// Waits for a SYN to `port`, if it is closed.
    pub(crate) fn listen(&mut self, port: u16) {
        // Neither an open socket nor port 0 comes here.
        let listens = self.inner_mut().listen(port);
        debug_assert_eq!(listens, Ok(()));
    }

    /// Begins an active open. Fails where the addresses can't be those of a connection.
    pub(crate) fn connect(
        &mut self,
        tcp: &mut Tcp,
        key: &FlowKey,
    ) -> Result<(), tcp::ConnectError> {
        tcp.connect(&mut self.set, self.handle, key.local, key.peer)
    }

    /// CLOSE.
    pub(crate) fn close(&mut self) {
        self.inner_mut().close();
    }

    /// ABORT: a reset is made next.
    pub(crate) fn abort(&mut self) {
        self.inner_mut().abort();
    }

    /// Deletes the connection without a word to the peer.
    pub(crate) fn forget(&mut self) {
        // A socket that is only aborted sends a RST; one that begins to listen knows no peer any more.
        self.abort();
        self.listen(1);
        self.close();
    }

    /// Hands it a packet of the peer's. The answer that it may make at once is in the room; how long it is.
    pub(crate) fn deliver(&mut self, moment: Moment<'_>, packet: &mut [u8]) -> Option<usize> {
        let Moment { tcp, now, room } = moment;
        let shift = match self.numbers {
            Numbers::From(_) => None,
            Numbers::Shifted(shift) => Some(shift),
        };
        if let Some(shift) = shift {
            iss::translate_in(packet, shift);
        }
        let answer = tcp.ingress(now, packet, &mut self.set, room);
        if let Some(shift) = shift {
            // What is told of it is what the wire carried.
            iss::translate_in(packet, shift.wrapping_neg());
        }
        self.renumber(room, answer)
    }

    /// Lets it make at most one packet, or notice that a timer went off. `path` is the MTU of its path, where that is less than
    /// ours. The packet is in the room; how long it is.
    pub(crate) fn emit(&mut self, moment: Moment<'_>, path: Option<u16>) -> Option<usize> {
        let Moment { tcp, now, room } = moment;
        let made = tcp.egress(now, path, &mut self.set, room);
        self.renumber(room, made)
    }

    /// When it wants to [make](Socket::emit) a packet next, if nothing arrives before.
    pub(crate) fn emits_at(
        &self,
        tcp: &mut Tcp,
        now: Instant,
        path: Option<u16>,
    ) -> Option<Instant> {
        tcp.poll_at(now, path, &self.set)
    }

    /// Gives a packet that smoltcp has made the numbers of the wire.
    fn renumber(&mut self, room: &mut [u8], len: Option<usize>) -> Option<usize> {
        let packet = &mut room[..len?];
        let shift = match self.numbers {
            Numbers::Shifted(shift) => shift,
            Numbers::From(first) => {
                let shift = first.since(iss::sequence_number(packet).unwrap_or_default());
                self.numbers = Numbers::Shifted(shift);
                shift
            }
        };
        iss::translate_out(packet, shift);
        len
    }

    /// The peer has acknowledged something in a segment that is not acceptable otherwise. Whatever smoltcp wants to answer,
    /// the segment itself is answered by somebody else.
    pub(crate) fn hint_ack(&mut self, moment: Moment<'_>, key: &FlowKey, ack: &Segment) {
        self.hint(moment, key, ack, &[]);
    }

    /// smoltcp is to think that the peer has told the window of `ack`: it learns of windows only by segments, and of some of
    /// them it had better learn later, or otherwise.
    pub(crate) fn hint_window(&mut self, moment: Moment<'_>, key: &FlowKey, ack: &Segment) {
        self.hint(moment, key, ack, &[]);
    }

    /// smoltcp is to count one more duplicate ACK: after three of them it sends the first segment in flight again.
    pub(crate) fn hint_duplicate(&mut self, moment: Moment<'_>, key: &FlowKey, ack: &Segment) {
        self.hint(moment, key, ack, &[]);
    }

    /// The peer's FIN, which came before the data that it follows, has its turn now. smoltcp acknowledges it when it is its
    /// turn to send.
    pub(crate) fn hint_fin(&mut self, moment: Moment<'_>, key: &FlowKey, fin: &Segment) {
        self.hint(moment, key, fin, &[]);
    }

    /// smoltcp is to acknowledge what there is at once, and to do nothing else: that is its answer to a byte that it has had,
    /// with which `old` begins. The answer is in the room; how long it is.
    pub(crate) fn hint_old(
        &mut self,
        moment: Moment<'_>,
        key: &FlowKey,
        old: &Segment,
    ) -> Option<usize> {
        self.hint(moment, key, old, &[0])
    }

    fn hint(
        &mut self,
        moment: Moment<'_>,
        key: &FlowKey,
        segment: &Segment,
        payload: &[u8],
    ) -> Option<usize> {
        let mut packet = reply::segment(key.peer, key.local, segment, payload);
        self.deliver(moment, &mut packet)
    }

    /// smoltcp's retransmission timeout in milliseconds, and all that it says of how it came to that.
    #[cfg(test)]
    pub(crate) fn rto(&self) -> (u64, String) {
        let said = format!("{:?}", self.inner());
        let after = |name: &str| said.split_once(name).map(|(_, rest)| rest);
        let rto = after(" rto: ").and_then(|rest| rest.split_once(',')?.0.parse().ok());
        let estimator = after(" rtte: ").and_then(|rest| rest.split_once('}'));
        let rto = rto.expect("smoltcp's socket prints its estimator");
        (
            rto,
            estimator.map_or(String::new(), |(said, _)| said.to_owned()),
        )
    }
}

/// Bytes of a receive buffer of `buffer` bytes that are never advertised.
///
/// A window is advertised in units of `1 << shift` bytes. Its right edge must not move left (RFC 9293, section 3.8.6), so
/// an acknowledgment of anything but whole units rounds the rest of the window up, which moves the edge right by less than a
/// unit. This is room for 128 such acknowledgments that the program has read nothing between, as many as a whole
/// window of full segments draws. A buffer that needs no scale needs no reserve, and none may change the scale.
pub(crate) fn reserve(buffer: usize) -> usize {
    let bits = usize::BITS - buffer.leading_zeros();
    match bits.saturating_sub(16) {
        0 => 0,
        // smoltcp takes no more than a gigabyte.
        shift => (128 << shift)
            .min((1 << bits) - 1 - buffer)
            .min((1usize << 30).saturating_sub(buffer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_leaves_the_scale_as_it_is() {
        #[track_caller]
        fn check(buffer: usize, expected: usize) {
            assert_eq!(reserve(buffer), expected, "{buffer}");
            let bits = |len: usize| usize::BITS - len.leading_zeros();
            assert_eq!(bits(buffer + reserve(buffer)), bits(buffer), "{buffer}");
        }
        check(1_024, 0);
        check(65_535, 0);
        check(65_536, 256);
        check(262_143, 0);
        check(262_144, 1_024);
        check(262_143 - 100, 100);
        check(524_288, 2_048);
        check(1 << 30, 0);
    }
}
