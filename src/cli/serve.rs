//! `tcplab serve`: the services on a TUN in the current network namespace.

use super::args;
use super::logging::start_log;
use super::plan::{engine_config, kernel_side, serving, std_address};
use super::session::Session;
use super::step::Stepper;
use super::watcher::Watcher;
use crate::engine::Command;
use crate::sys::clock::Clock;
use crate::sys::privileges::{Account, renounce};
use crate::sys::tun::{Tun, TunConfig};
use crate::sys::wait::Waiter;
use crate::ui::Pane;
use crate::words::Lang;
use std::io::{self, Write};

/// Serves until a signal comes.
pub(super) fn serve(serve: &args::Serve) -> anyhow::Result<u8> {
    start_log(&serve.show)?;
    let account = serve.user.as_deref().map(Account::find).transpose()?;
    let waiter = Waiter::new()?;
    let clock = Clock::start();
    let mut watcher = Watcher::new(
        &serve.show,
        clock.wall_at_start(),
        Some(serve.stack.time_wait),
    )?;
    watcher.step_by(Stepper::open(&serve.steps, &serve.show)?);
    let tun = open_tun(&serve.tun, &serve.stack)?;
    let own = serve.tun.addr.clone();
    let config = engine_config(&serve.stack, watcher.wants(), own, tun.mtu(), &clock)?;
    watcher.know(&config.rules);
    let engine = serving(config, &serve.stack);
    // Everything that needs privileges is open now, and no other thread runs.
    renounce(account.as_ref())?;
    let ready = || say_ready(serve.show.lang(), &serve.tun, &tun);
    // On a live screen there would be no room for it.
    let is_live = watcher.wants_live();
    if is_live {
        ready();
    }
    watcher.show(
        format!("serve {}", tun.name()),
        Pane::None,
        None,
        Some(clock),
    )?;

    let mut session = Session::new(engine, &tun, &waiter, clock, watcher);
    if serve.steps.any() {
        session.begin_stepping();
    }
    session.busy_poll(serve.stack.busy_poll);
    let confined = session.confine(None);
    if !is_live {
        ready();
    }
    // Whoever waits for the line above reads it first.
    confined.log();
    loop {
        let ready = session.step(None, false, None)?;
        let wants_to_leave = ready.screen && !session.requests()?.is_empty();
        if wants_to_leave || !ready.signals.is_empty() {
            break;
        }
    }
    session.stop_stepping()?;
    // Those who are connected learn that nobody is here any more.
    let now = session.now();
    session.engine.handle_command(now, Command::AbortAll);
    session.drain()?;
    Ok(session.finish(0))
}

/// The TUN that the options ask for: attached to, or created.
pub(super) fn open_tun(options: &args::Tun, stack: &args::Stack) -> anyhow::Result<Tun> {
    let addresses = options.addr.iter().map(|own| kernel_side(*own)).collect();
    Ok(Tun::open(&TunConfig {
        name: options.tun.clone(),
        addresses,
        mtu: stack.mtu,
        offload: stack.offload,
    })?)
}

fn say_ready(lang: Lang, options: &args::Tun, tun: &Tun) {
    let own: Vec<String> = options
        .addr
        .iter()
        .map(|own| std_address(own).to_string())
        .collect();
    let own = own.join(&lang.and());
    let line = if tun.existed() {
        lang.ready_attached(tun.name(), own)
    } else {
        lang.ready_created(tun.name(), own)
    };
    // Who waits for this line reads it; where nobody can, nobody waits.
    let _ = writeln!(io::stderr(), "{line}");
}
