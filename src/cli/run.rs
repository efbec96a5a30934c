//! `tcplab run`: a command in a private lab.

use super::args::{self, Show, Stack};
use super::plan::{engine_config, hosts_v4, hosts_v6, std_address};
use super::session::Session;
use super::watcher::{Watcher, start_log};
use crate::engine::Engine;
use crate::sys::child::exit_code;
use crate::sys::clock::Clock;
use crate::sys::lab::{Lab, LabConfig, LabError};
use crate::sys::tun::TunConfig;
use crate::sys::wait::Waiter;
use smoltcp::time::Duration;
use smoltcp::wire::IpCidr;
use std::process::Command;

/// The name of tcplab inside the lab.
const NAME: &str = "lab.test";
/// The name of the TUN in a lab.
pub(super) const LAB_TUN: &str = "tun0";
/// How long connections may take to close after their command has ended.
const LINGER: Duration = Duration::from_secs(2);

/// Runs the command; its exit code is ours.
pub(super) fn run(run: args::Run) -> anyhow::Result<u8> {
    start_log(&run.show);
    let mut words = run.cmd.into_iter();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    Ok(in_lab(
        &run.show,
        &run.stack,
        &Addresses::new(&run.lab),
        command,
    )?)
}

/// The kernel's addresses in a lab, and ours.
pub(super) struct Addresses {
    pub(super) kernel: Vec<IpCidr>,
    pub(super) own: Vec<IpCidr>,
}

impl Addresses {
    pub(super) fn new(lab: &args::Lab) -> Addresses {
        let (v4, v6) = (hosts_v4(lab.net), hosts_v6(lab.net6));
        Addresses {
            kernel: vec![v4.0, v6.0],
            own: vec![v4.1, v6.1],
        }
    }

    /// The lab with these addresses.
    pub(super) fn lab_config(&self, mtu: u16) -> LabConfig {
        LabConfig {
            tun: TunConfig {
                name: LAB_TUN.to_owned(),
                addresses: self.kernel.clone(),
                mtu,
            },
            hosts: self
                .own
                .iter()
                .map(|own| (std_address(own), NAME.to_owned()))
                .collect(),
        }
    }
}

/// Why a command did not run.
#[derive(Debug, thiserror::Error)]
pub(super) enum RunError {
    /// There is no lab.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// Anything else.
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

/// Runs `command` in a lab with the standard services, and returns its exit code.
pub(super) fn in_lab(
    show: &Show,
    stack: &Stack,
    addresses: &Addresses,
    command: Command,
) -> Result<u8, RunError> {
    let waiter = Waiter::new().map_err(anyhow::Error::new)?;
    let clock = Clock::start();
    let watcher = Watcher::new(show, clock.wall_at_start(), Some(stack.time_wait))?;
    let config = engine_config(
        stack,
        watcher.wants(),
        addresses.own.clone(),
        stack.mtu,
        &clock,
    )?;
    let mut engine = Engine::new(config);
    engine.serve_standard(&stack.password);

    let mut lab = Lab::open(&addresses.lab_config(stack.mtu), command)?;
    for shortfall in &lab.shortfalls {
        log::warn!("{shortfall}");
    }
    lab.start()?;

    let mut session = Session::new(engine, &lab.tun, &waiter, clock, watcher);
    if let Some(diag) = &lab.diag {
        session.ask(diag);
    }
    let mut ended = None;
    let code = loop {
        let deadline = ended.map(|(_, at)| at + LINGER);
        let ready = session.step(Some(&mut lab.child), false, deadline)?;
        for caught in ready.signals {
            if ended.is_some() {
                // The command is gone already, and somebody does not want to wait for its connections.
                ended = ended.map(|(code, at)| (code, at - LINGER));
            } else {
                lab.child.pass_on(caught).map_err(anyhow::Error::new)?;
            }
        }
        if let Some(status) = ready.child_exited {
            ended = Some((exit_code(status), session.now()));
        }
        if let Some((code, at)) = ended
            && (session.engine.is_quiet() || session.now() >= at + LINGER)
        {
            break code;
        }
    };
    session.finish();
    Ok(code)
}
