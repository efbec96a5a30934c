//! The servers: the kernel's TCP behind epoll, and tcplab's library where the program has no such option.

use crate::Result;
use crate::lab::host;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{Backlog, listen, setsockopt, sockopt};
use smoltcp::wire::IpCidr;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use tcplab::engine::{Config, Engine};
use tcplab::event::Watch;
use tcplab::sink::Sink;
use tcplab::sink::jsonl::JsonLines;
use tcplab::sys::clock::Clock;
use tcplab::sys::driver::{Driver, Until};
use tcplab::sys::memory;
use tcplab::sys::tun::{Tun, TunConfig};
use tcplab::sys::wait::Waiter;
use tcplab::view::View;

/// The roles of this program in which it is a server.
pub(crate) const KERNEL: &str = "kernel-server";
pub(crate) const TRANSITIONS: &str = "transitions-server";
pub(crate) const FLOOR: &str = "floor-server";

pub(crate) const ECHO: u16 = 7;
pub(crate) const DISCARD: u16 = 9;
pub(crate) const CHARGEN: u16 = 19;

/// The largest piece that is read or written at once.
pub(crate) const PIECE: usize = 256 * 1024;

/// Serves echo, discard and chargen with the kernel's TCP, in one thread, until it is killed.
pub(crate) fn kernel(_: &[String]) -> Result<()> {
    let epoll = Epoll::new(EpollCreateFlags::empty())?;
    let mut listeners = Vec::new();
    for port in [ECHO, DISCARD, CHARGEN] {
        let listener = TcpListener::bind(("0.0.0.0", port))?;
        setsockopt(&listener, sockopt::TcpCongestion, &"cubic".into())?;
        // With fewer, SYNs are lost while connections come and go faster than they are accepted.
        listen(&listener, Backlog::MAXCONN)?;
        listener.set_nonblocking(true)?;
        let event = EpollEvent::new(EpollFlags::EPOLLIN, listeners.len() as u64);
        epoll.add(&listener, event)?;
        listeners.push(listener);
    }
    eprintln!("ready");
    let mut connections: Vec<Option<(u16, TcpStream)>> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut piece = vec![b'x'; PIECE];
    let mut events = [EpollEvent::empty(); 256];
    loop {
        let count = epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in &events[..count] {
            let index = event.data() as usize;
            if let Some(listener) = listeners.get(index) {
                let port = [ECHO, DISCARD, CHARGEN][index];
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true)?;
                    stream.set_nodelay(true)?;
                    let place = free.pop().unwrap_or(connections.len());
                    if place == connections.len() {
                        connections.push(None);
                    }
                    let interest = match port {
                        CHARGEN => EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT,
                        _ => EpollFlags::EPOLLIN,
                    };
                    let data = (listeners.len() + place) as u64;
                    epoll.add(&stream, EpollEvent::new(interest, data))?;
                    connections[place] = Some((port, stream));
                }
                continue;
            }
            let place = index - listeners.len();
            let Some((port, stream)) = &mut connections[place] else {
                continue;
            };
            if !goes_on(*port, stream, &mut piece) {
                connections[place] = None;
                free.push(place);
            }
        }
    }
}

/// Does what can be done for a connection; whether it goes on.
fn goes_on(port: u16, stream: &mut TcpStream, piece: &mut [u8]) -> bool {
    let result = match port {
        CHARGEN => match stream.write(piece) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.read(&mut [0; 64]),
            result => result,
        },
        _ => stream.read(piece),
    };
    match result {
        Ok(0) => false,
        // What it owes is one byte, for which there is always room.
        Ok(len) if port == ECHO => stream.write_all(&piece[..len]).is_ok(),
        Ok(_) => true,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

/// The TUN of a server of this program, which is set up as tcplab is. Its arguments are the TUN's name, the server's
/// address, and whether to offload.
pub(crate) fn tun(arguments: &[String]) -> Result<(Tun, Ipv4Addr)> {
    let [name, address, offload] = arguments else {
        return Err("the name of a TUN, an address, and whether to offload".into());
    };
    let address: Ipv4Addr = address.parse()?;
    let tun = Tun::open(&TunConfig {
        name: name.clone(),
        addresses: vec![IpCidr::new(host(address, 1).into(), 24)],
        mtu: 1500,
        offload: offload.parse()?,
    })?;
    memory::arrange();
    Ok((tun, address))
}

/// tcplab's engine, told nothing of packets, with JSON lines to a file that has no name.
pub(crate) fn transitions(arguments: &[String]) -> Result<()> {
    let waiter = Waiter::new()?;
    let clock = Clock::start();
    let (tun, address) = tun(arguments)?;
    let mut config = Config::new([IpCidr::new(address.into(), 24)]);
    config.offload = tun.offload();
    config.watch = Watch::Transitions;
    let mut engine = Engine::new(config);
    engine.serve_standard("");
    let path = "/dev/shm/tcplab-versus-kernel-transitions.json";
    let file = BufWriter::with_capacity(1 << 16, File::create(path)?);
    let mut sink = JsonLines::new(file);
    std::fs::remove_file(path)?;
    let mut view = View::default();
    eprintln!("ready");
    let mut driver = Driver::new(&tun, &waiter, clock);
    // As tcplab does for files.
    driver.tell_late();
    loop {
        let ready = driver.step(&mut engine, Until::default(), |_, event| {
            view.event(&event);
            // The memory that it is written to is not full before the figures are there.
            let _ = sink.event(&view, &event);
        })?;
        if !ready.signals.is_empty() {
            return Ok(());
        }
    }
}
