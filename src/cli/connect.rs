//! `tcplab connect`: our stack is the client of a kernel-side server.

use super::args::{self, Client};
use super::logging::start_log;
use super::plan::{engine_config, kernel_side, std_address};
use super::run::LAB_TUN;
use super::serve::open_tun;
use super::session::Session;
use super::step::Stepper;
use super::watcher::Watcher;
use crate::engine::{Command, Engine, Origin};
use crate::event::{self, FlowId, Transport};
use crate::service::Console;
use crate::service::echo::echo_client;
use crate::service::hello::hello_client;
use crate::service::password::password_client;
use crate::sys::clock::Clock;
use crate::sys::lab::{Lab, LabConfig, Localhost};
use crate::sys::pty::{Pty, is_typed};
use crate::sys::sockets::has_port;
use crate::sys::tun::{Tun, TunConfig};
use crate::sys::wait::{Signal, Waiter};
use crate::ui::{Pane, Request};
use anyhow::{Context, anyhow, bail};
use smoltcp::time::{Duration, Instant};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::process;

/// How long a server that was just started may take until it can be connected to.
const START_UP: Duration = Duration::from_secs(10);
/// How often is looked whether it can.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long the end of the connection may take once the client is done.
const LINGER: Duration = Duration::from_secs(2);
/// So much of standard input is read at once.
const INPUT: usize = 4096;

/// Talks to the server. The code is 0 when the client got what it asked for, and 1 when not.
pub(super) fn connect(connect: args::Connect) -> anyhow::Result<u8> {
    start_log(&connect.show)?;
    let waiter = Waiter::new()?;
    let clock = Clock::start();
    let mut watcher = Watcher::new(
        &connect.show,
        clock.wall_at_start(),
        Some(connect.stack.time_wait),
    )?;
    if connect.steps.take_input() && !connect.show.tui {
        bail!(
            "the client uses standard input: redirect it, or give step orders with --step-from FIFO"
        );
    }
    watcher.step_by(Stepper::open(&connect.steps, &connect.show)?);
    let peer = resolve(&connect.peer, &connect.tun)?;
    let is_reachable = peer.is_ipv4() && !connect.cmd.is_empty();
    if peer.ip().is_loopback() && !is_reachable {
        bail!(
            "{}: Linux takes packets to its loopback addresses from no other interface, except to those of IPv4 in a lab: \
             start the server in one (`-- CMD`), or bind it to another address",
            connect.peer
        );
    }
    if connect.cmd.is_empty() {
        let tun = open_tun(&connect.tun, &connect.stack)?;
        let session = begin(&connect, None, &tun, &waiter, clock, watcher)?;
        return talk(session, &connect, peer, None);
    }

    let mut words = connect.cmd.iter();
    let mut command = process::Command::new(words.next().context("no command")?);
    // Standard input is the client's.
    command.args(words).stdin(process::Stdio::null());
    let pty = match connect.show.tui {
        true => Some(Pty::attach(&mut command, false)?),
        false => None,
    };
    let addresses = connect
        .tun
        .addr
        .iter()
        .map(|own| kernel_side(*own))
        .collect();
    let tun = TunConfig {
        name: LAB_TUN.to_owned(),
        addresses,
        mtu: connect.stack.mtu,
        offload: connect.stack.offload,
    };
    let mut lab = Lab::open(
        &LabConfig {
            tun,
            hosts: Vec::new(),
            localhost: match peer.ip().is_loopback() {
                true => Localhost::Reachable,
                false => Localhost::Own,
            },
            patient: connect.steps.any(),
        },
        command,
    )?;
    for shortfall in &lab.shortfalls {
        log::warn!("{shortfall}");
    }
    lab.start()?;
    let Lab {
        tun, child, diag, ..
    } = &mut lab;
    let mut session = begin(&connect, pty, tun, &waiter, clock, watcher)?;
    if let Some(diag) = diag {
        session.ask(diag);
    }
    talk(session, &connect, peer, Some(child))
}

fn begin<'a>(
    connect: &args::Connect,
    server: Option<Pty>,
    tun: &'a Tun,
    waiter: &'a Waiter,
    clock: Clock,
    mut watcher: Watcher,
) -> anyhow::Result<Session<'a>> {
    let own = connect.tun.addr.clone();
    // A quiet run still needs to know when the program of ours is done.
    let watch = watcher.wants().max(event::Watch::Transitions);
    let config = engine_config(&connect.stack, watch, own, tun.mtu(), &clock)?;
    watcher.know(&config.rules);
    let pane = match is_typed() {
        true => Pane::Lines,
        false => Pane::Printed,
    };
    watcher.show(
        format!("connect {}", connect.peer),
        pane,
        server,
        Some(clock),
    )?;
    let mut session = Session::new(Engine::new(config), tun, waiter, clock, watcher);
    session.busy_poll(connect.stack.busy_poll);
    Ok(session)
}

/// Everything from the server's start to its end.
fn talk(
    mut session: Session<'_>,
    connect: &args::Connect,
    peer: SocketAddr,
    mut server: Option<&mut crate::sys::child::Child>,
) -> anyhow::Result<u8> {
    if connect.steps.any() {
        session.begin_stepping();
    }
    if let Some(server) = server.as_deref_mut() {
        await_server(&mut session, server, transport(connect.service), peer)?;
    }
    // Whether the server can be reached is read from files; from here on none is opened.
    session.confine(server.as_deref()).log();
    let console = Console::new();
    let from = connect.from.unwrap_or_default();
    let flow = open(&mut session, connect.service, from, peer, &console)?;
    session.await_end(flow);
    let mut interrupted = None;
    let mut done_at: Option<Instant> = None;
    let mut server_told = false;
    loop {
        if session.waits() {
            // Whoever steps takes the time that it takes.
            done_at = done_at.map(|_| session.now());
        }
        let deadline = done_at.map(|at| at + LINGER);
        // On a live screen lines are typed there.
        let wants_input = console.wants_input() && !(session.watcher().is_live() && is_typed());
        let ready = session.step(server.as_deref_mut(), wants_input, deadline)?;
        let now = session.now();
        if ready.input {
            type_in(&console)?;
            session.engine.handle_command(now, Command::Wake(flow));
            session.drain()?;
        }
        let mut leave = false;
        if ready.screen {
            leave = obey(&mut session, &console)?;
            session.engine.handle_command(now, Command::Wake(flow));
            session.drain()?;
        }
        session.watcher().print(&console.take_output())?;
        let caught = ready.signals.first().map(|caught| caught.signal);
        if let Some(signal) = caught.or(leave.then_some(Signal::SIGINT)) {
            interrupted = Some(signal);
            session.stop_stepping()?;
            session.engine.handle_command(now, Command::Abort(flow));
            session.drain()?;
            break;
        }
        if session.engine.is_quiet() {
            break;
        }
        if session.engine.has_program(flow) {
            continue;
        }
        if now >= *done_at.get_or_insert(now) + LINGER && !session.waits() {
            match server.as_deref().filter(|_| !server_told) {
                // A server that never closes does so when it ends.
                Some(server) => server.kill(Signal::SIGTERM)?,
                None => break,
            }
            server_told = true;
            done_at = None;
        }
    }
    if interrupted.is_none() {
        look(&mut session, server, &console)?;
    }
    session.stop_stepping()?;
    let outcome = session.outcome().cloned().flatten();
    let code = match (interrupted, &outcome) {
        (Some(signal), _) => 128 + signal as u8,
        (None, Some(Err(_))) => 1,
        (None, _) => 0,
    };
    let code = session.finish(code);
    if let (None, Some(Err(error))) = (interrupted, outcome) {
        let _ = writeln!(io::stderr(), "tcplab: {peer}: {error}");
    }
    Ok(code)
}

/// Does what the live screen asks for. Answers whether that is to end.
fn obey(session: &mut Session<'_>, console: &Console) -> anyhow::Result<bool> {
    let mut leave = false;
    for request in session.requests()? {
        match request {
            Request::Type(line) => console.feed(&line),
            Request::EndInput => console.end_input(),
            Request::Leave => leave = true,
            // The screen keeps the first to itself, and the others are done already.
            Request::Keys(_) | Request::Step(_) => {}
        }
    }
    Ok(leave)
}

/// Leaves the live screen there, if there is one, until a key or a signal ends it.
fn look(
    session: &mut Session<'_>,
    mut server: Option<&mut crate::sys::child::Child>,
    console: &Console,
) -> anyhow::Result<()> {
    let watcher = session.watcher();
    watcher.ended(watcher.lang().client_ended());
    while session.watcher().is_live() {
        let ready = session.step(server.as_deref_mut(), false, None)?;
        if !ready.signals.is_empty() || ready.screen && obey(session, console)? {
            break;
        }
    }
    Ok(())
}

fn open(
    session: &mut Session<'_>,
    service: Client,
    from: Origin,
    peer: SocketAddr,
    console: &Console,
) -> anyhow::Result<FlowId> {
    let (now, console) = (session.now(), console.clone());
    let engine = &mut session.engine;
    Ok(match service {
        Client::Password => engine.connect_tcp(now, "password", from, peer, |conn| {
            password_client(conn, console)
        })?,
        Client::Echo => {
            engine.connect_tcp(now, "echo", from, peer, |conn| echo_client(conn, console))?
        }
        Client::Hello => engine.connect_udp(now, "hello", from, peer, |socket| {
            hello_client(socket, console)
        })?,
    })
}

fn transport(service: Client) -> Transport {
    match service {
        Client::Password | Client::Echo => Transport::Tcp,
        Client::Hello => Transport::Udp,
    }
}

/// Waits until the server has its port, so that it is not asked too early.
fn await_server(
    session: &mut Session<'_>,
    server: &mut crate::sys::child::Child,
    transport: Transport,
    peer: SocketAddr,
) -> anyhow::Result<()> {
    let end = session.now() + START_UP;
    // One that can't be looked at has just ended; the wait tells how.
    while !has_port(server.id(), transport, peer.port()).unwrap_or(false) {
        let now = session.now();
        if now >= end {
            bail!(
                "the server has not opened {} port {} within {} seconds",
                transport.name(),
                peer.port(),
                START_UP.secs()
            );
        }
        let ready = session.step(Some(server), false, Some(now + LOOK_AGAIN))?;
        if let Some(status) = ready.child_exited {
            bail!(
                "the server has ended before it opened {} port {}: {status}",
                transport.name(),
                peer.port()
            );
        }
        if let Some(caught) = ready.signals.first() {
            bail!("ended by {}", caught.signal);
        }
    }
    Ok(())
}

/// Moves what is there of standard input to the client's console.
fn type_in(console: &Console) -> anyhow::Result<()> {
    let mut input = [0; INPUT];
    let len = io::stdin()
        .lock()
        .read(&mut input)
        .context("cannot read standard input")?;
    match len {
        0 => console.end_input(),
        len => console.feed(&input[..len]),
    }
    Ok(())
}

fn resolve(peer: &str, tun: &args::Tun) -> anyhow::Result<SocketAddr> {
    let expected = "expected HOST:PORT, for example 192.0.2.1:1111 or [2001:db8::1]:1111";
    let (host, _) = peer.rsplit_once(':').unwrap_or_default();
    if host.is_empty() || (host.contains(':') && !host.starts_with('[')) {
        bail!("{peer}: {expected}");
    }
    let found: Vec<SocketAddr> = peer
        .to_socket_addrs()
        .map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput => anyhow!("{peer}: {expected}"),
            _ => anyhow!("{peer}: {error}"),
        })?
        .collect();
    // Of a name with several addresses, one that we have an address to talk to.
    let own = |peer: &&SocketAddr| {
        tun.addr
            .iter()
            .any(|own| std_address(own).is_ipv4() == peer.is_ipv4())
    };
    found
        .iter()
        .find(own)
        .or(found.first())
        .copied()
        .with_context(|| format!("{peer} has no address"))
}
