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
use std::collections::BTreeMap;
use std::env;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddrV4, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The role of this program in which it is the client.
pub(crate) const ROLE: &str = "client";

/// So many connections are made at once, where it is not one.
const AT_ONCE: usize = 64;
/// A server that is silent for longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// `NAME NETWORK MILLISECONDS`, `each NETWORK MILLISECONDS` or `hold NETWORK COUNT`.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let [name, network, number] = arguments else {
        return Err("a measure, a network and a number".into());
    };
    let network: Ipv4Addr = network.parse()?;
    let number: u64 = number.parse()?;
    if name == "hold" {
        return hold(network, number as usize);
    }
    let duration = Duration::from_millis(number);
    if name == EACH {
        println!("{}", each(network, duration)?);
        return Ok(());
    }
    let measure = Measure::from_str(name, false)?;
    let mut figures = match measure {
        Measure::Echo => echo(network, duration)?,
        Measure::Crr => short_lived(network, duration, AT_ONCE, true)?,
        Measure::Crr1 => short_lived(network, duration, 1, true)?,
        Measure::Connect => short_lived(network, duration, AT_ONCE, false)?,
        Measure::C2s => send(network, duration, 1)?,
        Measure::C2s8 => send(network, duration, 8)?,
        Measure::C2s64 => send(network, duration, 64)?,
        Measure::C2s256 => send(network, duration, 256)?,
        Measure::S2c => receive(network, duration, 1)?,
        Measure::S2c8 => receive(network, duration, 8)?,
        Measure::S2c64 => receive(network, duration, 64)?,
        Measure::S2c256 => receive(network, duration, 256)?,
        Measure::BesideC2s8 | Measure::BesideC2s64 | Measure::BesideS2c8 | Measure::BesideS2c64 => {
            return beside(measure, &network.to_string(), duration);
        }
    };
    figures["cpu"] = cpu_time(std::process::id())?.into();
    println!("{figures}");
    Ok(())
}

/// How long connections take while others are busy.
const EACH: &str = "each";
/// The load has begun to be what it is by then.
const BEGINS: Duration = Duration::from_millis(300);

/// `echo`, and connections one after the other, while a load runs; each is a process of its own.
fn beside(measure: Measure, network: &str, duration: Duration) -> Result<()> {
    let load = measure.load().ok_or("nothing to measure beside")?;
    let start = |name: &str, duration: Duration| {
        let mut command = Command::new(env::current_exe()?);
        command.args([ROLE, name, network, &duration.as_millis().to_string()]);
        command.stdout(Stdio::piped()).spawn()
    };
    let figures = |child: Child| -> Result<BTreeMap<String, f64>> {
        let output = child.wait_with_output()?;
        if !output.status.success() {
            return Err("a part of it has failed".into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    // By now this process, and with it the others, is where it is to be.
    thread::sleep(Duration::from_millis(20));
    let load = start(&load.name(), BEGINS + duration + BEGINS)?;
    thread::sleep(BEGINS);
    let (echo, each) = (start("echo", duration)?, start(EACH, duration)?);
    let (echo, each, load) = (figures(echo)?, figures(each)?, figures(load)?);
    let mut all = BTreeMap::new();
    for (name, figures) in [("echo", echo), ("connection", each)] {
        let figures = figures.into_iter().filter(|(unit, _)| unit != "cpu");
        all.extend(figures.map(|(unit, value)| (format!("{name} {unit}"), value)));
    }
    let rate = load
        .into_iter()
        .filter(|(unit, _)| unit.starts_with("Gbit"));
    all.extend(rate);
    println!("{}", serde_json::to_string(&all)?);
    Ok(())
}

/// Connections one after the other, each with one byte there and back: how long they take, and how many had to wait for a
/// retransmission time-out, which is 200 milliseconds at least in the kernel.
fn each(network: Ipv4Addr, duration: Duration) -> Result<serde_json::Value> {
    const TIMEOUT: Duration = Duration::from_millis(190);
    let waiting = Waiting::new()?;
    let mut hosts = (100..=254).cycle().map(|number| host(network, number));
    let mut times = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < duration || times.is_empty() {
        let before = Instant::now();
        let mut stream = waiting.begin(hosts.next().expect("a cycle has no end"), ECHO, 0)?;
        waiting.next()?;
        stream.write_all(b"x")?;
        loop {
            waiting.next()?;
            match stream.read(&mut [0]) {
                Ok(1) => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return Err(format!("no response: {other:?}").into()),
            }
        }
        stream.shutdown(Shutdown::Write)?;
        loop {
            match stream.read(&mut [0]) {
                Ok(0) => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => waiting.next()?,
                other => return Err(format!("no end: {other:?}").into()),
            }
        }
        times.push(before.elapsed());
    }
    let late = times.iter().filter(|time| **time >= TIMEOUT).count();
    let rate = times.len() as f64 / begun.elapsed().as_secs_f64();
    times.sort();
    let [p50, p99] = [0.5, 0.99].map(|share| micros(&times, share));
    Ok(json!({ "p50 µs": p50, "p99 µs": p99, "time-outs": late, "1/s": rate }))
}

/// The time that this share of the times, in order, does not exceed.
fn micros(times: &[Duration], share: f64) -> f64 {
    let place = (times.len() as f64 * share) as usize;
    times[place.min(times.len() - 1)].as_nanos() as f64 / 1e3
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
    let [p50, p99] = [0.5, 0.99].map(|share| micros(&times, share));
    Ok(json!({ "p50 µs": p50, "p99 µs": p99 }))
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
    let (begun, mut open) = (Instant::now(), count);
    let mut shares = Shares::new(count, duration);
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
                shares.add(begun, place, len);
            }
        }
    }
    Ok(shares.figures(begun))
}

/// From the server to the client.
fn receive(network: Ipv4Addr, duration: Duration, count: usize) -> Result<serde_json::Value> {
    let waiting = Waiting::new()?;
    let mut streams = waiting.begin_all(network, CHARGEN, count)?;
    let mut piece = vec![0; PIECE];
    let begun = Instant::now();
    let mut shares = Shares::new(count, duration);
    let mut events = [EpollEvent::empty(); AT_ONCE];
    while begun.elapsed() < duration {
        for event in waiting.some(&mut events)? {
            let place = event.data() as usize;
            let stream = &mut streams[place];
            while begun.elapsed() < duration
                && let Some(len) = would_block(stream.read(&mut piece))?
            {
                if len == 0 {
                    return Err("the server has closed".into());
                }
                shares.add(begun, place, len);
            }
        }
    }
    let figures = shares.figures(begun);
    for stream in &streams {
        setsockopt(stream, sockopt::Linger, &RESET)?;
    }
    Ok(figures)
}

/// What each of some connections got.
struct Shares {
    /// All bytes, and those of each connection once the buffers are as full as they get.
    bytes: usize,
    each: Vec<usize>,
    settled: Duration,
}

impl Shares {
    fn new(count: usize, duration: Duration) -> Shares {
        Shares {
            bytes: 0,
            each: vec![0; count],
            settled: duration / 4,
        }
    }

    fn add(&mut self, begun: Instant, place: usize, len: usize) {
        self.bytes += len;
        if begun.elapsed() >= self.settled {
            self.each[place] += len;
        }
    }

    fn figures(&self, begun: Instant) -> serde_json::Value {
        let bytes = self.bytes as f64;
        let gigabits = bytes * 8.0 / 1e9 / begun.elapsed().as_secs_f64();
        let mut figures = json!({ "Gbit/s": gigabits, "bytes": bytes });
        if let (Some(least), Some(most)) = (self.each.iter().min(), self.each.iter().max())
            && self.each.len() > 1
        {
            figures["least/most"] = json!(*least as f64 / *most.max(&1) as f64);
        }
        figures
    }
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
