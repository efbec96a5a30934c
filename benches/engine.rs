//! How many packets a second go through the engine, in memory: no operating system, no client.
//!
//! ```text
//! cargo bench --bench engine
//! cargo bench --bench engine -- small_data
//! ```
//!
//! Each step is one packet from the wire and everything that the engine does about it, its answers included. Packets are
//! made before the clock runs, in turns for all of the 1, 1,000 or 100,000 connections that are open. Each kind is measured with
//! nobody watching, with events that are taken and thrown away, and with a pcapng capture that is written to nowhere.
//!
//! | kind | what arrives | what the engine does |
//! |---|---|---|
//! | `syn` | a SYN of a new connection, then its reset: two packets | a socket, SYN-ACK; the socket goes back |
//! | `connection` | a whole one: SYN, ACK, one byte for the echo service, ACK, FIN, ACK, with timestamps | serves it |
//! | `small_data` | one byte for the echo service | echoes it |
//! | `large_data` | 1,460 bytes for the discard service | acknowledges every second one |
//! | `ack` | an acknowledgment of 1,460 bytes of chargen | sends the next ones |
//!
//! How to read it: a figure that differs between 1 and 1,000 connections is the price of caches; one that grows further with
//! 100,000, beyond what memory takes that no cache holds, would be a search. `events` is the price of describing and copying
//! every packet, `pcapng` that and the sink.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{
    IpProtocol, Ipv4Address, Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
    TcpTimestampRepr,
};
use std::io::{Sink as Nowhere, sink};
use tcplab::engine::{Config, Engine};
use tcplab::event::{Event, Watch};
use tcplab::segment::Checksum;
use tcplab::sink::Sink;
use tcplab::sink::pcapng::PcapNg;
use tcplab::view::View;

const SERVER: Ipv4Address = Ipv4Address::new(198, 18, 0, 2);
const MTU: usize = 1500;
const MSS: usize = MTU - 40;
const FLOWS: [usize; 3] = [1, 1_000, 100_000];
const BUFFER: usize = 8 * 1024;

fn main() {
    divan::main();
}

#[divan::bench(types = [Nobody, Events, Pcapng], args = FLOWS, sample_count = 20, sample_size = 5_000)]
fn syn<A: Audience>(bencher: Bencher<'_, '_>, flows: usize) {
    let mut bench = Bench::<A>::new(7, flows);
    let mut next = flows;
    bencher
        .counter(ItemsCount::new(2_usize))
        .with_inputs(|| {
            next += 1;
            let peer = Peer::new(next);
            let reset = peer.packet(TcpControl::Rst, &[]);
            (peer.syn(), reset)
        })
        .bench_local_refs(|(syn, reset)| {
            bench.step(syn);
            bench.step(reset);
        });
}

/// Counted in connections, each of them six packets. A device has seen to their checksums.
#[divan::bench(types = [Nobody, Events, Pcapng], args = FLOWS, sample_count = 20, sample_size = 5_000)]
fn connection<A: Audience>(bencher: Bencher<'_, '_>, flows: usize) {
    let mut bench = Bench::<A>::new(7, flows);
    let mut next = flows;
    bencher
        .counter(ItemsCount::new(1_usize))
        .with_inputs(|| {
            next += 1;
            Course::new(Peer::new(next))
        })
        .bench_local_refs(|course| bench.serve(course));
}

#[divan::bench(types = [Nobody, Events, Pcapng], args = FLOWS, sample_count = 20, sample_size = 5_000)]
fn small_data<A: Audience>(bencher: Bencher<'_, '_>, flows: usize) {
    data::<A>(bencher, 7, flows, b"x", 1);
}

#[divan::bench(types = [Nobody, Events, Pcapng], args = FLOWS, sample_count = 20, sample_size = 5_000)]
fn large_data<A: Audience>(bencher: Bencher<'_, '_>, flows: usize) {
    data::<A>(bencher, 9, flows, &[b'x'; MSS], 0);
}

#[divan::bench(types = [Nobody, Events, Pcapng], args = FLOWS, sample_count = 20, sample_size = 5_000)]
fn ack<A: Audience>(bencher: Bencher<'_, '_>, flows: usize) {
    data::<A>(bencher, 19, flows, &[], MSS);
}

/// Segments with `payload`, each of which acknowledges `answered` bytes more than the one before.
fn data<A: Audience>(
    bencher: Bencher<'_, '_>,
    port: u16,
    flows: usize,
    payload: &[u8],
    answered: usize,
) {
    let mut bench = Bench::<A>::new(port, flows);
    let mut peers = std::mem::take(&mut bench.peers);
    let mut turn = 0;
    let mut acknowledge = false;
    bencher
        .counter(ItemsCount::new(1_usize))
        .with_inputs(|| {
            let peer = &mut peers[turn];
            if acknowledge || payload.is_empty() {
                peer.ack += answered;
            }
            let packet = peer.packet(TcpControl::None, payload);
            peer.seq += payload.len();
            turn += 1;
            if turn == flows {
                // What the first one brings is answered afterwards.
                (turn, acknowledge) = (0, true);
            }
            packet
        })
        .bench_local_refs(|packet| bench.step(packet));
}

/// Who looks.
trait Audience: 'static {
    const WATCH: Watch;
    fn new() -> Self;
    fn event(&mut self, event: Event);
}

struct Nobody;

impl Audience for Nobody {
    const WATCH: Watch = Watch::Nothing;

    fn new() -> Nobody {
        Nobody
    }

    fn event(&mut self, _: Event) {}
}

struct Events;

impl Audience for Events {
    const WATCH: Watch = Watch::Everything;

    fn new() -> Events {
        Events
    }

    fn event(&mut self, event: Event) {
        black_box(event);
    }
}

struct Pcapng {
    view: View,
    capture: PcapNg<Nowhere>,
}

impl Audience for Pcapng {
    const WATCH: Watch = Watch::Everything;

    fn new() -> Pcapng {
        Pcapng {
            view: View::default(),
            capture: PcapNg::new(sink(), std::time::Duration::ZERO).unwrap(),
        }
    }

    fn event(&mut self, event: Event) {
        self.view.event(&event);
        self.capture.event(&self.view, &event).unwrap();
    }
}

/// The other end of a connection: just enough of one to make its segments.
struct Peer {
    address: Ipv4Address,
    port: u16,
    to: u16,
    seq: TcpSeqNumber,
    ack: TcpSeqNumber,
    timestamps: bool,
}

impl Peer {
    fn new(index: usize) -> Peer {
        // 198.18.0.0/15 has room for as many as are asked for; .0.0 and .0.2 have a meaning.
        let host = index as u32 / 50_000 + 3;
        Peer {
            address: Ipv4Address::from_bits(Ipv4Address::new(198, 18, 0, 0).to_bits() + host),
            port: 10_000 + (index % 50_000) as u16,
            to: 7,
            seq: TcpSeqNumber(0),
            ack: TcpSeqNumber(0),
            timestamps: false,
        }
    }

    fn syn(&self) -> Vec<u8> {
        let syn = TcpRepr {
            seq_number: self.seq - 1,
            ack_number: None,
            max_seg_size: Some(MSS as u16),
            window_scale: self.timestamps.then_some(10),
            sack_permitted: self.timestamps,
            ..self.repr(TcpControl::Syn, &[])
        };
        self.emit(&syn)
    }

    fn packet(&self, control: TcpControl, payload: &[u8]) -> Vec<u8> {
        self.emit(&self.repr(control, payload))
    }

    fn repr<'a>(&self, control: TcpControl, payload: &'a [u8]) -> TcpRepr<'a> {
        TcpRepr {
            src_port: self.port,
            dst_port: self.to,
            control,
            seq_number: self.seq,
            ack_number: Some(self.ack),
            window_len: u16::MAX,
            window_scale: None,
            max_seg_size: None,
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: self.timestamps.then(|| TcpTimestampRepr::new(1, 0)),
            payload,
        }
    }

    fn emit(&self, tcp: &TcpRepr<'_>) -> Vec<u8> {
        let ip = Ipv4Repr {
            src_addr: self.address,
            dst_addr: SERVER,
            next_header: IpProtocol::Tcp,
            payload_len: tcp.buffer_len(),
            hop_limit: 64,
        };
        let mut packet = vec![0; ip.buffer_len() + tcp.buffer_len()];
        let checksums = ChecksumCapabilities::default();
        ip.emit(&mut Ipv4Packet::new_unchecked(&mut packet), &checksums);
        let mut segment = TcpPacket::new_unchecked(&mut packet[ip.buffer_len()..]);
        let (from, to) = (self.address.into(), SERVER.into());
        tcp.emit(&mut segment, &from, &to, &checksums);
        packet
    }
}

/// The packets of a whole connection. All but the first acknowledge what is known only once that was answered.
struct Course {
    syn: Vec<u8>,
    rest: [(usize, Vec<u8>); 5],
}

impl Course {
    fn new(mut peer: Peer) -> Course {
        peer.timestamps = true;
        let syn = peer.syn();
        let mut packet = |answered, control, payload: &[u8]| {
            let packet = peer.packet(control, payload);
            peer.seq += payload.len() + control.len();
            (answered, packet)
        };
        let rest = [
            packet(1, TcpControl::None, &[]),
            packet(1, TcpControl::Psh, b"x"),
            packet(2, TcpControl::None, &[]),
            packet(2, TcpControl::Fin, &[]),
            packet(3, TcpControl::None, &[]),
        ];
        Course { syn, rest }
    }
}

/// An engine with connections, and who looks at it.
struct Bench<A> {
    engine: Engine,
    audience: A,
    peers: Vec<Peer>,
    buf: Vec<u8>,
    now: Instant,
}

impl<A: Audience> Bench<A> {
    /// With so many connections to a port, established.
    fn new(port: u16, flows: usize) -> Bench<A> {
        let mut config = Config::new(["198.18.0.2/15".parse().unwrap()]);
        // As the commands have it.
        config.contain_defects = Some(|| None);
        config.mtu = MTU;
        config.watch = A::WATCH;
        config.buffer = BUFFER;
        config.backlog = usize::MAX;
        config.connections = usize::MAX;
        let mut engine = Engine::new(config);
        engine.serve_standard("");
        let mut bench = Bench {
            engine,
            audience: A::new(),
            peers: Vec::new(),
            buf: vec![0; MTU],
            now: Instant::ZERO,
        };
        for index in 0..flows {
            let mut peer = Peer::new(index);
            peer.to = port;
            bench.engine.handle_packet(bench.now, &mut peer.syn());
            let sent = bench.engine.poll_transmit(bench.now, &mut bench.buf);
            let answer = &bench.buf[..sent.expect("a SYN is answered").len];
            let iss = TcpPacket::new_checked(&answer[20..]).unwrap().seq_number();
            peer.ack = iss + 1;
            bench.step(&mut peer.packet(TcpControl::None, &[]));
            bench.peers.push(peer);
        }
        bench
    }

    /// A whole connection.
    fn serve(&mut self, course: &mut Course) {
        self.hand(&mut course.syn, Checksum::Verified);
        let sent = self.engine.poll_transmit(self.now, &mut self.buf);
        let answer = &self.buf[..sent.expect("a SYN is answered").len];
        let iss = TcpPacket::new_unchecked(&answer[20..]).seq_number();
        for (answered, packet) in &mut course.rest {
            let mut segment = TcpPacket::new_unchecked(&mut packet[20..]);
            segment.set_ack_number(iss + *answered);
            self.hand(packet, Checksum::Verified);
            self.drain();
        }
    }

    /// One packet, and everything that comes of it.
    fn step(&mut self, packet: &mut [u8]) {
        self.hand(packet, Checksum::Whole);
        self.drain();
    }

    fn hand(&mut self, packet: &mut [u8], checksum: Checksum) {
        // A millionth of a second: nothing waits that long, and no timer gets old.
        self.now += Duration::from_micros(1);
        self.engine.handle_offloaded(self.now, packet, checksum);
    }

    fn drain(&mut self) {
        while let Some(sent) = self.engine.poll_transmit(self.now, &mut self.buf) {
            black_box(&self.buf[..sent.len]);
        }
        while let Some(event) = self.engine.poll_event() {
            self.audience.event(event);
        }
    }
}
