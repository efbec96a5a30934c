//! Packets that leave together.
//!
//! A TUN takes one packet for each write, and the write runs the peer's TCP and wakes the peer. On the same processor, that
//! takes it over as soon as the system call is over, deals with the one packet, and sleeps again. So what is ready
//! at the same time leaves in one call, and the peer finds all of it.

use std::io::{self, Write};
use std::num::NonZeroU16;
use std::ops::Range;

use super::aio::{self, Aio};
use super::{ROOM, Tun, vnet};
use smallvec::SmallVec;

/// So many of the largest leave together. With 2, 4, 8 and 16, `s2c` of the benchmark `versus_kernel` was 0.58, 0.69, 0.74 and
/// 0.69, for 0.48 one by one.
const LARGEST: usize = 8;
/// A context is made once so often there were packets enough for it: its end keeps a process waiting for tens of milliseconds,
/// which is too much for a run that has hardly begun.
const WORTH_WHILE: u32 = 64;
/// One call for less than that costs more than one for each.
const FEWEST: usize = 3;

/// Packets on their way to a TUN.
#[derive(Debug)]
pub struct Outbox {
    /// One after the other, each behind its header where there are any.
    bytes: Vec<u8>,
    /// Where they are, with their headers.
    packets: Vec<Range<usize>>,
    /// Bytes of a header: none without offload.
    header: usize,
    aio: Batching,
}

/// Whether several packets can be written at once.
#[derive(Debug)]
enum Batching {
    /// There were so many chances to.
    NotYet(u32),
    Possible(Aio),
    Impossible,
}

impl Outbox {
    /// For a TUN with offload or without.
    pub fn new(offload: bool) -> Outbox {
        Outbox {
            bytes: vec![0; LARGEST * ROOM],
            packets: Vec::with_capacity(aio::MOST),
            header: vnet::header_len(offload),
            aio: Batching::NotYet(0),
        }
    }

    /// Room for one more packet.
    ///
    /// # Panics
    /// If it is [full](Outbox::is_full).
    pub fn room(&mut self) -> &mut [u8] {
        let begin = self.end() + self.header;
        &mut self.bytes[begin..]
    }

    /// Takes the packet of `len` bytes that was written to that room.
    pub fn push(&mut self, len: usize) {
        self.add(len, [0; vnet::LEN]);
    }

    /// The same for a packet with a [partial checksum](crate::segment::Checksum::Partial), which may have to be cut into
    /// segments of that many bytes of payload. Only with offload.
    pub fn push_partial(&mut self, len: usize, segment_size: Option<NonZeroU16>) {
        let header = vnet::for_partial(&self.room()[..len], segment_size);
        self.add(len, header);
    }

    /// Whether there is no room for another packet.
    pub fn is_full(&self) -> bool {
        self.packets.len() == aio::MOST || self.bytes.len() - self.end() < ROOM
    }

    /// Whether nothing waits in it.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Hands the kernel all of them, in order. Which it doesn't take is told to `failed`.
    pub fn flush(&mut self, tun: &Tun, mut failed: impl FnMut(io::Error)) {
        let mut rest = self.packets.as_slice();
        if rest.len() >= FEWEST
            && let Some(aio) = self.aio.context()
        {
            let writes = rest.iter().map(|place| &self.bytes[place.clone()]);
            let writes: SmallVec<[_; aio::MOST]> = writes.collect();
            match aio.write(&tun.file, &writes, &mut failed) {
                Ok(count) => rest = &rest[count..],
                Err(errno) => {
                    log::debug!("packets leave one by one: {}", errno.desc());
                    self.aio = Batching::Impossible;
                }
            }
        }
        for place in rest {
            if let Err(error) = (&tun.file).write(&self.bytes[place.clone()]) {
                failed(error);
            }
        }
        self.packets.clear();
    }

    fn add(&mut self, len: usize, header: [u8; vnet::LEN]) {
        let begin = self.end();
        let header = &header[..self.header];
        self.bytes[begin..][..header.len()].copy_from_slice(header);
        self.packets.push(begin..begin + header.len() + len);
    }

    /// Where in `bytes` there is room.
    fn end(&self) -> usize {
        self.packets.last().map_or(0, |place| place.end)
    }
}

impl Batching {
    fn context(&mut self) -> Option<&mut Aio> {
        if let Batching::NotYet(chances) = self {
            *chances += 1;
            if *chances == WORTH_WHILE {
                *self = match Aio::new() {
                    Ok(aio) => Batching::Possible(aio),
                    Err(errno) => {
                        log::debug!("packets leave one by one: io_setup: {}", errno.desc());
                        Batching::Impossible
                    }
                };
            }
        }
        match self {
            Batching::Possible(aio) => Some(aio),
            Batching::NotYet(_) | Batching::Impossible => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{setsockopt, sockopt};
    use std::os::unix::net::UnixDatagram;

    fn push(outbox: &mut Outbox, packet: &[u8]) {
        outbox.room()[..packet.len()].copy_from_slice(packet);
        outbox.push(packet.len());
    }

    fn received(wire: &UnixDatagram) -> Vec<Vec<u8>> {
        let mut packet = [0; 2_000];
        std::iter::from_fn(|| {
            let len = wire.recv(&mut packet).ok()?;
            Some(packet[..len].to_vec())
        })
        .collect()
    }

    fn with(aio: Batching, offload: bool) -> Outbox {
        Outbox {
            aio,
            ..Outbox::new(offload)
        }
    }

    #[test]
    fn packets_leave_in_order_and_whole() {
        #[track_caller]
        fn check(aio: Batching, offload: bool, count: u8) {
            let mut outbox = with(aio, offload);
            let (tun, wire) = Tun::to_a_socket(offload);
            let header = vnet::header_len(offload);
            for _ in 0..3 {
                let packets: Vec<Vec<u8>> =
                    (0..count).map(|n| vec![n; 20 + usize::from(n)]).collect();
                for packet in &packets {
                    push(&mut outbox, packet);
                }
                outbox.flush(&tun, |error| panic!("{error}"));
                let received = received(&wire);
                let received: Vec<&[u8]> = received.iter().map(|it| &it[header..]).collect();
                assert_eq!(received, packets);
            }
        }
        for offload in [false, true] {
            // Ten is what a socket keeps by default.
            for count in [0, 1, 2, 10] {
                check(Batching::Possible(Aio::new().unwrap()), offload, count);
                check(Batching::Impossible, offload, count);
                check(Batching::NotYet(WORTH_WHILE - 2), offload, count);
            }
        }
    }

    #[test]
    fn what_is_not_taken_is_told_and_the_rest_goes_on() {
        for aio in [
            Batching::Possible(Aio::new().unwrap()),
            Batching::Impossible,
        ] {
            let (tun, wire) = Tun::to_a_socket(false);
            // The least that there is: room for a few.
            setsockopt(&tun.file, sockopt::SndBuf, &1).unwrap();
            let mut outbox = with(aio, false);
            for n in 0..20 {
                push(&mut outbox, &[n; 20]);
            }
            let mut failed = Vec::new();
            outbox.flush(&tun, |error| failed.push(error.kind()));
            let taken = received(&wire);
            assert_eq!(taken.len() + failed.len(), 20);
            assert!(taken.iter().zip(0..).all(|(packet, n)| packet == &[n; 20]));
            assert!(failed.iter().all(|kind| *kind == io::ErrorKind::WouldBlock));
            assert!(!failed.is_empty());
            // A later one meets a wire that has room again.
            push(&mut outbox, &[99; 20]);
            push(&mut outbox, &[100; 20]);
            outbox.flush(&tun, |error| panic!("{error}"));
            assert_eq!(received(&wire), [[99; 20], [100; 20]]);
        }
    }

    #[test]
    fn where_no_requests_can_be_made_packets_leave_one_by_one() {
        let (tun, wire) = Tun::to_a_socket(false);
        let mut outbox = with(Batching::Possible(Aio::without_context()), false);
        for n in 1..=3 {
            push(&mut outbox, &[n; 20]);
        }
        outbox.flush(&tun, |error| panic!("{error}"));
        assert_eq!(received(&wire), [[1; 20], [2; 20], [3; 20]]);
        assert!(matches!(outbox.aio, Batching::Impossible));
    }

    #[test]
    fn it_is_full_before_a_packet_would_not_fit() {
        const LARGEST_PACKET: usize = ROOM - vnet::LEN;
        let mut outbox = Outbox::new(true);
        let mut count = 0;
        while !outbox.is_full() {
            assert!(outbox.room().len() >= LARGEST_PACKET);
            outbox.push(LARGEST_PACKET);
            count += 1;
        }
        assert_eq!(count, LARGEST);
        let mut outbox = Outbox::new(true);
        (0..aio::MOST).for_each(|_| outbox.push(20));
        assert!(outbox.is_full());
    }
}
