//! The client: one process for each figure. It uses the kernel's TCP with CUBIC, and epoll.

use crate::Result;
use crate::lab::{cpu_time, host};
use crate::measure::Measure;
use crate::server::{CHARGEN, DISCARD, ECHO, PIECE};
use clap::ValueEnum;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, connect, setsockopt, socket, sockopt,
};
use serde_json::json;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

/// The role of this program in which it is the client.
pub(crate) const ROLE: &str = "client";

/// So many connections are made at once, where it is not one.
const AT_ONCE: usize = 64;
/// A server that is silent for longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// `NAME NETWORK MILLISECONDS`, or `hold NETWORK COUNT`.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let [name, network, number] = arguments else {
        return Err("a measure, a network and a number".into());
    };
    let network: Ipv4Addr = network.parse()?;
    let number: u64 = number.parse()?;
    if name == "hold" {
        return hold(network, number as usize);
    }
    let measure = Measure::from_str(name, false)?;
    let duration = Duration::from_millis(number);
    let figures = match measure {
        Measure::Echo => echo(network, duration)?,
        Measure::Crr => short_lived(network, duration, AT_ONCE, true)?,
        Measure::Crr1 => short_lived(network, duration, 1, true)?,
        Measure::Connect => short_lived(network, duration, AT_ONCE, false)?,
        Measure::C2s => send(network, duration, 1)?,
        Measure::C2s8 => send(network, duration, 8)?,
        Measure::S2c => receive(network, duration, 1)?,
        Measure::S2c8 => receive(network, duration, 8)?,
    };
    let mut figures = figures;
    figures["cpu"] = cpu_time(std::process::id())?.into();
    println!("{figures}");
    Ok(())
}

/// One byte there and back, again and again.
fn echo(network: Ipv4Addr, duration: Duration) -> Result<serde_json::Value> {
    let waiting = Waiting::new()?;
    let mut stream = waiting.begin(host(network, 2), ECHO, 0)?;
    waiting.next()?;
    let mut times = Vec::with_capacity(1 << 20);
    let end = Instant::now() + duration;
    let mut byte = [0];
    loop {
        let before = Instant::now();
        if before >= end && !times.is_empty() {
            break;
        }
        stream.write_all(b"x")?;
        loop {
            waiting.next()?;
            match stream.read(&mut byte) {
                Ok(1) => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return Err(format!("no echo: {other:?}").into()),
            }
        }
        times.push(before.elapsed());
    }
    // While everything is warm up nobody is typical.
    let mut times = times.split_off(times.len() / 10);
    times.sort();
    let micros = |share: f64| {
        let place = (times.len() as f64 * share) as usize;
        times[place.min(times.len() - 1)].as_nanos() as f64 / 1e3
    };
    Ok(json!({ "p50 µs": micros(0.5), "p99 µs": micros(0.99) }))
}

/// Connections that are made and ended, `at_once` at a time. With `request`, one byte is sent and one awaited before
/// they are closed; otherwise they are reset.
fn short_lived(
    network: Ipv4Addr,
    duration: Duration,
    at_once: usize,
    request: bool,
) -> Result<serde_json::Value> {
    let waiting = Waiting::new()?;
    // Addresses at which nothing goes wrong take turns, so that no port is needed again too soon.
    let mut hosts = (100..=254).cycle().map(|number| host(network, number));
    let mut next = || hosts.next().expect("a cycle has no end");
    let mut streams = Vec::new();
    for place in 0..at_once {
        streams.push((waiting.begin(next(), ECHO, place)?, false));
    }
    let (begun, mut done) = (Instant::now(), 0_u64);
    let mut events = [EpollEvent::empty(); AT_ONCE];
    while begun.elapsed() < duration {
        for &event in waiting.some(&mut events)? {
            let place = event.data() as usize;
            let (stream, asked) = &mut streams[place];
            if request && !*asked {
                stream.write_all(b"x")?;
                *asked = true;
                continue;
            }
            if request {
                match stream.read(&mut [0]) {
                    Ok(1) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                    other => return Err(format!("no response: {other:?}").into()),
                }
            } else {
                if let Some(error) = stream.take_error()? {
                    return Err(error.into());
                }
                setsockopt(stream, sockopt::Linger, &RESET)?;
            }
            streams[place] = (waiting.begin(next(), ECHO, place)?, false);
            done += 1;
        }
    }
    let elapsed = begun.elapsed().as_secs_f64();
    Ok(json!({ "1/s": done as f64 / elapsed, "count": done }))
}

/// Closing resets.
const RESET: nix::libc::linger = nix::libc::linger {
    l_onoff: 1,
    l_linger: 0,
};

/// From the client to the server, until all of it has arrived.
fn send(network: Ipv4Addr, duration: Duration, count: usize) -> Result<serde_json::Value> {
    let waiting = Waiting::new()?;
    let streams = waiting.begin_all(network, DISCARD, count)?;
    let mut streams: Vec<_> = streams.into_iter().map(Some).collect();
    let piece = vec![b'x'; PIECE];
    let (begun, mut bytes, mut open) = (Instant::now(), 0, count);
    let mut closing = false;
    let mut events = [EpollEvent::empty(); AT_ONCE];
    while open > 0 {
        if !closing && begun.elapsed() >= duration {
            closing = true;
            for stream in streams.iter().flatten() {
                stream.shutdown(Shutdown::Write)?;
            }
        }
        for event in waiting.some(&mut events)? {
            let place = event.data() as usize;
            // More may be told of one whose end was seen.
            let Some(stream) = &mut streams[place] else {
                continue;
            };
            if closing {
                match stream.read(&mut [0]) {
                    Ok(0) => {
                        streams[place] = None;
                        open -= 1;
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    other => return Err(format!("not discarded: {other:?}").into()),
                }
                continue;
            }
            // Edges: whatever there is room for is written.
            while begun.elapsed() < duration
                && let Some(len) = would_block(stream.write(&piece))?
            {
                bytes += len;
            }
        }
    }
    Ok(throughput(bytes, begun))
}

/// From the server to the client.
fn receive(network: Ipv4Addr, duration: Duration, count: usize) -> Result<serde_json::Value> {
    let waiting = Waiting::new()?;
    let mut streams = waiting.begin_all(network, CHARGEN, count)?;
    let mut piece = vec![0; PIECE];
    let (begun, mut bytes) = (Instant::now(), 0);
    let mut events = [EpollEvent::empty(); AT_ONCE];
    while begun.elapsed() < duration {
        for event in waiting.some(&mut events)? {
            let stream = &mut streams[event.data() as usize];
            while begun.elapsed() < duration
                && let Some(len) = would_block(stream.read(&mut piece))?
            {
                if len == 0 {
                    return Err("the server has closed".into());
                }
                bytes += len;
            }
        }
    }
    let figures = throughput(bytes, begun);
    for stream in &streams {
        setsockopt(stream, sockopt::Linger, &RESET)?;
    }
    Ok(figures)
}

fn throughput(bytes: usize, begun: Instant) -> serde_json::Value {
    let bytes = bytes as f64;
    let gigabits = bytes * 8.0 / 1e9 / begun.elapsed().as_secs_f64();
    json!({ "Gbit/s": gigabits, "bytes": bytes })
}

fn would_block(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(len) => Ok(Some(len)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens connections that exchange one byte each way, and keeps them.
fn hold(network: Ipv4Addr, count: usize) -> Result<()> {
    let waiting = Waiting::new()?;
    let mut hosts = (100..=254).cycle().map(|number| host(network, number));
    let mut streams: Vec<(TcpStream, bool)> = Vec::with_capacity(count);
    let mut begin = |streams: &mut Vec<(TcpStream, bool)>| -> Result<()> {
        let host = hosts.next().expect("a cycle has no end");
        streams.push((waiting.begin(host, ECHO, streams.len())?, false));
        Ok(())
    };
    for _ in 0..count.min(AT_ONCE) {
        begin(&mut streams)?;
    }
    let mut done = 0;
    let mut events = [EpollEvent::empty(); AT_ONCE];
    while done < count {
        for event in waiting.some(&mut events)? {
            let (stream, asked) = &mut streams[event.data() as usize];
            if !*asked {
                stream.write_all(b"x")?;
                *asked = true;
            } else if would_block(stream.read(&mut [0]))? == Some(1) {
                done += 1;
                if streams.len() < count {
                    begin(&mut streams)?;
                }
            }
        }
    }
    eprintln!("ready");
    // Until whoever holds the other end of this goes away.
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Connections that are told of when something has changed.
struct Waiting {
    epoll: Epoll,
}

impl Waiting {
    fn new() -> Result<Waiting> {
        let epoll = Epoll::new(EpollCreateFlags::empty())?;
        Ok(Waiting { epoll })
    }

    /// Begins a connection, which is told of as `place`.
    fn begin(&self, host: Ipv4Addr, port: u16, place: usize) -> Result<TcpStream> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
        setsockopt(&socket, sockopt::TcpCongestion, &"cubic".into())?;
        setsockopt(&socket, sockopt::TcpNoDelay, &true)?;
        let address = SockaddrIn::from(SocketAddrV4::new(host, port));
        match connect(std::os::fd::AsRawFd::as_raw_fd(&socket), &address) {
            Ok(()) | Err(Errno::EINPROGRESS) => {}
            Err(errno) => return Err(format!("connect to {host}:{port}: {errno}").into()),
        }
        let interest = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
        self.epoll
            .add(&socket, EpollEvent::new(interest, place as u64))?;
        Ok(TcpStream::from(socket))
    }

    fn begin_all(&self, network: Ipv4Addr, port: u16, count: usize) -> Result<Vec<TcpStream>> {
        (0..count)
            .map(|place| self.begin(host(network, 2), port, place))
            .collect()
    }

    /// Waits until something has happened.
    fn next(&self) -> Result<()> {
        self.some(&mut [EpollEvent::empty()]).map(drop)
    }

    fn some<'a>(&self, events: &'a mut [EpollEvent]) -> Result<&'a [EpollEvent]> {
        let limit = EpollTimeout::try_from(PATIENCE)?;
        match self.epoll.wait(events, limit)? {
            0 => Err("the server is silent".into()),
            count => Ok(&events[..count]),
        }
    }
}
