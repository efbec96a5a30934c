//! Captures that a test makes itself.

use crate::support::{ACK, FIN, Forged, PSH, SYN};
use std::net::SocketAddr;
use std::time::Duration;

const CLIENT: &str = "192.0.2.1:40001";
const SERVER: &str = "192.0.2.2:80";

pub(crate) fn segment(who: char, flags: u8, seq: u32, ack: u32, len: usize) -> Vec<u8> {
    let (client, server): (SocketAddr, SocketAddr) =
        (CLIENT.parse().unwrap(), SERVER.parse().unwrap());
    let (from, to) = if who == 'c' {
        (client, server)
    } else {
        (server, client)
    };
    let mut forged = Forged::new(from, to, flags, seq, ack);
    forged.payload = vec![b'x'; len];
    if flags & SYN != 0 {
        forged.options = vec![2, 4, 5, 180, 1, 3, 3, 7, 4, 2, 1, 1];
    }
    forged.packet()
}

/// A short connection.
pub(crate) fn conversation() -> Vec<Vec<u8>> {
    [
        ('c', SYN, 100, 0, 0),
        ('s', SYN | ACK, 500, 101, 0),
        ('c', ACK, 101, 501, 0),
        ('s', PSH | ACK, 501, 101, 200),
        ('s', PSH | ACK, 501, 101, 200),
        ('c', ACK, 101, 701, 0),
        ('c', FIN | ACK, 101, 701, 0),
        ('s', FIN | ACK, 701, 102, 0),
        ('c', ACK, 102, 702, 0),
    ]
    .map(|(who, flags, seq, ack, len)| segment(who, flags, seq, ack, len))
    .into()
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    Big,
    Little,
}

impl Order {
    fn u16(self, number: u16) -> Vec<u8> {
        match self {
            Order::Big => number.to_be_bytes().into(),
            Order::Little => number.to_le_bytes().into(),
        }
    }

    fn u32(self, number: u32) -> Vec<u8> {
        match self {
            Order::Big => number.to_be_bytes().into(),
            Order::Little => number.to_le_bytes().into(),
        }
    }
}

/// When packet number `index` was captured: every 40 ms.
fn time(index: usize) -> Duration {
    Duration::from_secs(1_700_000_000) + Duration::from_millis(40) * index as u32
}

pub(crate) fn pcap(
    order: Order,
    nanos: bool,
    link: u32,
    frames: &[Vec<u8>],
    snap_len: usize,
) -> Vec<u8> {
    let mut file = order.u32(if nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4 });
    for number in [2, 4] {
        file.extend(order.u16(number));
    }
    for number in [0, 0, 65_535, link] {
        file.extend(order.u32(number));
    }
    for (index, frame) in frames.iter().enumerate() {
        let (time, kept) = (time(index), &frame[..frame.len().min(snap_len)]);
        let fraction = if nanos {
            time.subsec_nanos()
        } else {
            time.subsec_micros()
        };
        for number in [
            time.as_secs() as u32,
            fraction,
            kept.len() as u32,
            frame.len() as u32,
        ] {
            file.extend(order.u32(number));
        }
        file.extend(kept);
    }
    file
}

/// `resolution` is that of the timestamps, as the option has it; without it, microseconds.
pub(crate) fn pcapng(
    order: Order,
    resolution: Option<u8>,
    link: u32,
    frames: &[Vec<u8>],
) -> Vec<u8> {
    let block = |kind: u32, mut body: Vec<u8>| {
        body.resize(body.len().next_multiple_of(4), 0);
        let len = order.u32(body.len() as u32 + 12);
        [order.u32(kind), len.clone(), body, len].concat()
    };
    let mut header = order.u32(0x1a2b_3c4d);
    header.extend([order.u16(1), order.u16(0), vec![0xff; 8]].concat());
    let mut file = block(0x0a0d_0d0a, header);
    let mut interface = [order.u16(link as u16), order.u16(0), order.u32(0)].concat();
    if let Some(resolution) = resolution {
        interface.extend(
            [
                order.u16(9),
                order.u16(1),
                vec![resolution, 0, 0, 0],
                order.u32(0),
            ]
            .concat(),
        );
    }
    file.extend(block(1, interface));
    // A block that nobody knows.
    file.extend(block(0x0bad, vec![1, 2, 3, 4]));
    let units: u128 = match resolution {
        None => 1_000_000,
        Some(9) => 1_000_000_000,
        Some(binary) => 1 << (binary & 0x7f),
    };
    for (index, frame) in frames.iter().enumerate() {
        let ticks = (time(index).as_nanos() * units).div_ceil(1_000_000_000) as u64;
        let mut body = Vec::new();
        for number in [
            0,
            (ticks >> 32) as u32,
            ticks as u32,
            frame.len() as u32,
            frame.len() as u32,
        ] {
            body.extend(order.u32(number));
        }
        body.extend(frame);
        file.extend(block(6, body));
    }
    file
}
