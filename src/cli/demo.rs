//! `tcplab demo`: the main job with nothing to set up.

use super::args::{self, Show, Stack, Steps};
use super::linger::Linger;
use super::logging::start_log;
use super::plan::{engine_config, std_address};
use super::run::{Addresses, RunError, in_lab};
use super::watcher::Watcher;
use crate::engine::{Command, Config, Engine};
use crate::event::FlowId;
use crate::fault::RuleSet;
use crate::service::password::password_client;
use crate::service::{Console, hello::hello_client};
use crate::sim::{Side, Sim};
use crate::sys::clock::Clock;
use crate::sys::lab::LabError;
use crate::sys::wait::Waiter;
use crate::ui::Pane;
use anyhow::{Context, bail};
use smoltcp::time::Duration;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process;

/// The port of both services.
const PORT: u16 = 1111;
/// What the client types: the password that the service expects unless told otherwise.
const TYPED: &str = "123";
/// One way over the simulated wire.
const LATENCY: Duration = Duration::from_millis(10);
/// No answer in a lab takes that long.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// Shows the conversation, in a lab or simulated.
pub(super) fn demo(mut demo: args::Demo) -> anyhow::Result<u8> {
    demo.show.quiz = demo.quiz.quiz;
    start_log(&demo.show)?;
    let addresses = Addresses::new(&demo.lab)?;
    // A kernel would not wait for the learner.
    if demo.simulate || demo.show.quiz {
        refuse_stepping(&demo.steps)?;
        return simulate(&demo.show, &demo.stack, &addresses);
    }
    // The client is this program itself, with the standard library's sockets: the kernel's TCP.
    let mut client = process::Command::new("/proc/self/exe");
    client
        .arg("demo-client")
        .arg(std_address(&addresses.own[0]).to_string())
        .arg(TYPED)
        .arg(match demo.steps.any() {
            // Whoever steps takes the time that it takes.
            true => "86400".to_owned(),
            false => PATIENCE.as_secs().to_string(),
        });
    match in_lab(
        "demo".to_owned(),
        &demo.show,
        &demo.stack,
        &demo.steps,
        &addresses,
        Linger::new(Linger::LIMIT),
        client,
    ) {
        Ok(code) => Ok(code),
        Err(RunError::Lab(error)) if !matches!(error, LabError::Died { .. }) => {
            refuse_stepping(&demo.steps)?;
            say(&demo.show, &demo.show.lang().simulated_instead(error));
            simulate(&demo.show, &demo.stack, &addresses)
        }
        Err(error) => Err(error.into()),
    }
}

/// Simulated time does not wait for anybody.
fn refuse_stepping(steps: &Steps) -> anyhow::Result<()> {
    if steps.any() {
        bail!(
            "stepping needs a lab, as simulated time does not wait; `tcplab doctor` shows what is missing"
        );
    }
    Ok(())
}

/// The client of the demonstration, inside the lab: what the seed's two client programs do.
pub(super) fn client(client: &args::DemoClient) -> anyhow::Result<u8> {
    let server = SocketAddr::new(client.address, PORT);
    let patience = std::time::Duration::from_secs(client.patience);
    let mut stream = TcpStream::connect_timeout(&server, patience)
        .with_context(|| format!("cannot connect to {server}"))?;
    stream.set_read_timeout(Some(patience))?;
    print("连接成功")?;
    print(&read(&mut stream)?)?;
    print(&client.password)?;
    stream.write_all(client.password.as_bytes())?;
    print(&read(&mut stream)?)?;
    drop(stream);

    let any: SocketAddr = if server.is_ipv4() {
        ([0; 4], 0).into()
    } else {
        ([0; 8], 0).into()
    };
    let socket = UdpSocket::bind(any)?;
    socket.set_read_timeout(Some(patience))?;
    socket.send_to(b"Hello Sever", server)?;
    let mut answer = [0; 1024];
    let (len, _) = socket
        .recv_from(&mut answer)
        .context("no answer to the datagram")?;
    print(&String::from_utf8_lossy(&answer[..len]))?;
    Ok(0)
}

fn read(stream: &mut TcpStream) -> anyhow::Result<String> {
    let mut text = [0; 1024];
    let len = stream
        .read(&mut text)
        .context("nothing came from the service")?;
    Ok(String::from_utf8_lossy(&text[..len]).into_owned())
}

fn print(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

fn say(show: &Show, text: &str) {
    if !show.quiet {
        // Where it can't be said, the simulation will show.
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

/// The same conversation between two stacks of ours.
fn simulate(show: &Show, stack: &Stack, addresses: &Addresses) -> anyhow::Result<u8> {
    // A signal shall not leave the terminal as a live screen needs it.
    let waiter = show.tui.then(Waiter::new).transpose()?;
    let clock = Clock::start();
    let mut watcher = Watcher::new(show, clock.wall_at_start(), Some(stack.time_wait))?;
    let watch = watcher.wants();
    let config = |own, seed| -> anyhow::Result<_> {
        let mut config = engine_config(stack, watch, own, stack.mtu, &clock)?;
        config.seed = config.seed.wrapping_add(seed);
        Ok(config)
    };
    let server = config(addresses.own.clone(), 0)?;
    watcher.know(&server.rules);
    let mut server = Engine::new(server);
    server.serve_standard(&stack.password);
    // Rules are about our end, and the client plays the peer.
    let client = Engine::new(Config {
        rules: RuleSet::new(),
        ..config(addresses.kernel.clone(), 1)?
    });
    let mut sim = Sim::new(client, server, LATENCY);
    let peer = SocketAddr::new(std_address(&addresses.own[0]), PORT);
    watcher.show("demo --simulate".to_owned(), Pane::Printed, None, None)?;

    let console = Console::new();
    let theirs = console.clone();
    let now = sim.now();
    let flow = sim
        .left()
        .connect_tcp(now, "password", None, peer, |conn| {
            password_client(conn, theirs)
        })?;
    go_on(&mut sim, &mut watcher, &console, flow)?;

    let theirs = console.clone();
    let now = sim.now();
    let flow = sim.left().connect_udp(now, "hello", None, peer, |socket| {
        hello_client(socket, theirs)
    })?;
    go_on(&mut sim, &mut watcher, &console, flow)?;
    if let Some(waiter) = &waiter {
        watcher.ended(watcher.lang().simulation_ended());
        watcher.stay(waiter)?;
    }
    watcher.finish(sim.now());
    Ok(0)
}

/// Lets simulated time pass until both ends have nothing left to say. The client on the left, whose flow is `flow`,
/// gets the password typed when it asks.
fn go_on(sim: &mut Sim, watcher: &mut Watcher, console: &Console, flow: FlowId) -> io::Result<()> {
    loop {
        let goes_on = sim.step();
        while let Some((side, event)) = sim.poll_event() {
            if side == Side::Right {
                watcher.event(&event);
            }
        }
        watcher.examine();
        watcher.flush();
        watcher.print(&console.take_output())?;
        if console.wants_input() {
            watcher.print(format!("{TYPED}\n").as_bytes())?;
            console.feed(TYPED.as_bytes());
            console.end_input();
            let now = sim.now();
            sim.left().handle_command(now, Command::Wake(flow));
            continue;
        }
        if !goes_on || (sim.left().is_quiet() && sim.right().is_quiet()) {
            return Ok(());
        }
    }
}
