//! `tcplab run`: a command in a private lab.

use super::args::{self, Show, Stack, Steps};
use super::linger::Linger;
use super::logging::start_log;
use super::plan::{Network, engine_config, hosts_v4, hosts_v6, serving, std_address};
use super::session::Session;
use super::step::Stepper;
use super::watcher::Watcher;
use crate::fault::catalogue;
use crate::sys::child::exit_code;
use crate::sys::clock::Clock;
use crate::sys::lab::{Lab, LabConfig, LabError, Localhost};
use crate::sys::pty::{Pty, is_typed};
use crate::sys::tun::TunConfig;
use crate::sys::wait::{Signal, Waiter};
use crate::ui::{Pane, Request};
use anyhow::bail;
use smoltcp::wire::{IpAddress, IpCidr};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};

/// The name of tcplab inside the lab.
pub(super) const NAME: &str = "lab.test";
/// The name of the TUN in a lab.
pub(super) const LAB_TUN: &str = "tun0";

/// Runs the command; its exit code is ours.
pub(super) fn run(mut run: args::Run) -> anyhow::Result<u8> {
    run.show.quiz = run.quiz.quiz;
    start_log(&run.show)?;
    let mut addresses = Addresses::new(&run.lab)?;
    addresses.localhost = localhost(&run)?;
    let mut words = run.cmd.into_iter();
    let program = words.next().unwrap_or_default();
    let title = format!("run {}", program.display());
    let mut command = Command::new(program);
    command.args(words);
    Ok(in_lab(
        title,
        &run.show,
        &run.stack,
        &run.steps,
        &addresses,
        Linger::new(run.linger),
        command,
    )?)
}

/// Which ports of 127.0.0.1 lead to us.
fn localhost(run: &args::Run) -> anyhow::Result<Localhost> {
    let ports: Option<BTreeSet<u16>> = run.as_localhost.iter().map(|port| port.one()).collect();
    let localhost = match ports {
        None => Localhost::All,
        Some(ports) if ports.is_empty() => return Ok(Localhost::Own),
        Some(ports) => Localhost::Ports(ports.into_iter().collect()),
    };
    match run.lab.net {
        Network::Prefix(_) => Ok(localhost),
        Network::None => {
            bail!("--as-localhost is about 127.0.0.1, which needs IPv4: leave --net none out")
        }
    }
}

/// The kernel's addresses in a lab, and ours.
pub(super) struct Addresses {
    pub(super) kernel: Vec<IpCidr>,
    pub(super) own: Vec<IpCidr>,
    /// What 127.0.0.1 is in the lab.
    pub(super) localhost: Localhost,
}

impl Default for Addresses {
    /// Those of a lab for which no options were given.
    fn default() -> Addresses {
        Addresses::of(&args::Demo::default().lab)
    }
}

impl Addresses {
    /// # Errors
    /// When options leave no network.
    pub(super) fn new(lab: &args::Lab) -> anyhow::Result<Addresses> {
        let addresses = Addresses::of(lab);
        if addresses.own.is_empty() {
            bail!("--net none --net6 none leaves no network: leave one of them out");
        }
        Ok(addresses)
    }

    fn of(lab: &args::Lab) -> Addresses {
        let v4 = lab.net.prefix().map(hosts_v4);
        let v6 = lab.net6.prefix().map(hosts_v6);
        let (kernel, own) = v4.into_iter().chain(v6).unzip();
        Addresses {
            kernel,
            own,
            localhost: Localhost::Own,
        }
    }

    /// The lab with these addresses.
    fn lab_config(&self, stack: &Stack, steps: &Steps) -> LabConfig {
        LabConfig {
            tun: TunConfig {
                name: LAB_TUN.to_owned(),
                addresses: self.kernel.clone(),
                mtu: stack.mtu,
                offload: stack.offload,
            },
            hosts: self.hosts(),
            localhost: self.localhost.clone(),
            patient: steps.any(),
        }
    }

    /// Those at which our stack answers.
    fn served(&self) -> Vec<IpCidr> {
        let leads_here = matches!(self.localhost, Localhost::Ports(_) | Localhost::All);
        let localhost = leads_here.then_some(IpCidr::new(IpAddress::from(Ipv4Addr::LOCALHOST), 32));
        self.own.iter().copied().chain(localhost).collect()
    }

    /// Our name, and those of the faults.
    fn hosts(&self) -> Vec<(IpAddr, String)> {
        let ours = self.own.iter();
        let ours = ours.map(|own| (std_address(own), NAME.to_owned()));
        let faults = catalogue::addressed(&self.own).flat_map(|(fault, addresses)| {
            let named = move |address| (address, fault.host_name());
            addresses.into_iter().map(named)
        });
        ours.chain(faults).collect()
    }

    /// The same with addresses of one IP version only.
    pub(super) fn hosts_of(&self, version: u8) -> Vec<(IpAddr, String)> {
        let mut hosts = self.hosts();
        hosts.retain(|(address, _)| address.is_ipv6() == (version == 6));
        hosts
    }
}

fn no_pty(error: std::io::Error) -> anyhow::Error {
    anyhow::Error::new(error).context("cannot give the command a terminal of its own")
}

/// Why a command did not run.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    /// There is no lab.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// Anything else.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

/// Runs `command` in a lab with the standard services, and returns its exit code. On a live screen it is called `title`.
pub(super) fn in_lab(
    title: String,
    show: &Show,
    stack: &Stack,
    steps: &Steps,
    addresses: &Addresses,
    linger: Linger,
    mut command: Command,
) -> Result<u8, RunError> {
    let waiter = Waiter::new().map_err(anyhow::Error::new)?;
    let clock = Clock::start();
    let mut watcher = Watcher::new(show, clock.wall_at_start(), Some(stack.time_wait))?;
    watcher.step_by(Stepper::open(steps, show)?);
    if steps.take_input() && !show.tui || show.quiz {
        command.stdin(Stdio::null());
    }
    let config = engine_config(
        stack,
        watcher.wants(),
        addresses.served(),
        stack.mtu,
        &clock,
    )?;
    watcher.know(&config.rules);
    let engine = serving(config, stack);

    let pty = match watcher.wants_live() {
        true => Some(Pty::attach(&mut command, is_typed()).map_err(no_pty)?),
        false => None,
    };
    let mut lab = Lab::open(&addresses.lab_config(stack, steps), command)?;
    for shortfall in &lab.shortfalls {
        log::warn!("{shortfall}");
    }
    lab.start()?;
    let pane = match is_typed() {
        true => Pane::Terminal,
        false => Pane::Printed,
    };
    watcher.show(title, pane, pty, Some(clock))?;

    let lang = show.lang();
    let mut session = Session::new(engine, &lab.tun, &waiter, clock, watcher);
    session.busy_poll(stack.busy_poll);
    if let Some(diag) = &lab.diag {
        session.ask(diag);
    }
    if steps.any() || show.quiz {
        session.begin_stepping();
    }
    session.confine(Some(&lab.child)).log();
    let mut ended = None;
    // Whoever looks at a live screen decides when it's over.
    let mut stays = session.watcher().is_live();
    let mut asked_to_end = false;
    let mut has_to_end = false;
    let mut is_over = false;
    let code = loop {
        if session.waits() {
            // Whoever steps takes the time that it takes.
            ended = ended.map(|(code, _)| (code, session.now()));
        }
        let over_at = ended.filter(|_| !stays);
        let deadline = over_at.map(|(_, at)| session.end(linger, at));
        let ready = session.step(Some(&mut lab.child), false, deadline)?;
        if ready.screen && session.requests()?.contains(&Request::Leave) {
            stays = false;
            let signal = match std::mem::replace(&mut asked_to_end, true) {
                false => Signal::SIGTERM,
                true => Signal::SIGKILL,
            };
            // It does nothing to a command that has ended.
            lab.child.kill(signal).map_err(anyhow::Error::new)?;
            has_to_end = ended.is_some();
        }
        for caught in ready.signals {
            stays = false;
            session.stop_stepping()?;
            if ended.is_some() {
                // The command is gone already, and somebody does not want to wait for its connections.
                has_to_end = true;
            } else if session.watcher().is_live() {
                // On a terminal of its own nothing else reaches it.
                lab.child.kill(caught.signal).map_err(anyhow::Error::new)?;
            } else {
                lab.child.pass_on(caught).map_err(anyhow::Error::new)?;
            }
        }
        if let Some(status) = ready.child_exited {
            let code = exit_code(status);
            ended = Some((code, session.now()));
            session.watcher().ended(lang.command_ended(code));
        }
        if let Some((code, at)) = ended
            && !stays
            && !session.waits()
        {
            // What a timer sets going that has just expired comes with the next step.
            let was_over =
                std::mem::replace(&mut is_over, session.now() >= session.end(linger, at));
            if has_to_end || is_over && was_over {
                break code;
            }
        }
    };
    session.stop_stepping()?;
    let nothing_came = !session.watcher().has_seen();
    if nothing_came && let Some(own) = addresses.own.first() {
        session
            .watcher()
            .hint(lang.hint_name(NAME, std_address(own)));
    }
    if addresses.localhost != Localhost::All && lab.missed_us(nothing_came).unwrap_or(false) {
        session
            .watcher()
            .hint(lang.hint_localhost("--as-localhost PORT", "127.0.0.1:PORT"));
    }
    Ok(session.finish(code))
}
