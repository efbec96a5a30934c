//! The loop between the TUN and the engine.

use super::watcher::Watcher;
use crate::engine::Engine;
use crate::event::{EventKind, FlowId};
use crate::sys::child::Child;
use crate::sys::clock::Clock;
use crate::sys::tun::Tun;
use crate::sys::wait::{Ready, Waiter, Watch};
use anyhow::Context;
use smoltcp::time::Instant;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;

/// So many packets are taken from the TUN before anything else is looked at.
const BATCH: usize = 64;
/// Room for any packet.
const MAX_PACKET: usize = 65_535;

/// An engine at work on a TUN.
pub(super) struct Session<'a> {
    pub(super) engine: Engine,
    tun: &'a Tun,
    waiter: &'a Waiter,
    clock: Clock,
    pub(super) watcher: Watcher,
    buf: Vec<u8>,
    /// How the flow ended that is waited for.
    awaited: Option<(FlowId, Option<Outcome>)>,
}

/// What a program returned; `None` where it could not run to its end.
type Outcome = Option<Result<(), String>>;

impl<'a> Session<'a> {
    pub(super) fn new(
        engine: Engine,
        tun: &'a Tun,
        waiter: &'a Waiter,
        clock: Clock,
        watcher: Watcher,
    ) -> Session<'a> {
        Session {
            engine,
            tun,
            waiter,
            clock,
            watcher,
            buf: vec![0; MAX_PACKET],
            awaited: None,
        }
    }

    /// The time.
    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// From now on the end of `flow` is remembered.
    pub(super) fn await_end(&mut self, flow: FlowId) {
        self.awaited = Some((flow, None));
    }

    /// How the awaited flow has ended, if it has.
    pub(super) fn outcome(&self) -> Option<&Outcome> {
        self.awaited.as_ref()?.1.as_ref()
    }

    /// Waits until something happens, at the latest until `deadline`, and lets the engine deal with what is its business. What
    /// is not (signals, the end of the child, input) is returned.
    ///
    /// # Errors
    /// When the TUN is taken away, or the kernel can't wait.
    pub(super) fn step(
        &mut self,
        child: Option<&mut Child>,
        input: bool,
        deadline: Option<Instant>,
    ) -> anyhow::Result<Ready> {
        self.drain()?;
        self.watcher.flush();
        let wake_at = [self.engine.poll_timeout(), deadline]
            .into_iter()
            .flatten()
            .min();
        let now = self.clock.now();
        let timeout = wake_at.map(|at| {
            if at > now {
                (at - now).into()
            } else {
                std::time::Duration::ZERO
            }
        });
        let timeout = [timeout, self.watcher.flush_in()]
            .into_iter()
            .flatten()
            .min();
        let stdin = io::stdin();
        let watch = Watch {
            tun: Some(self.tun.as_fd()),
            child,
            input: input.then(|| stdin.as_fd()),
            screen: self.watcher.live_fd(),
        };
        let ready = self.waiter.wait(watch, timeout).context("cannot wait")?;
        let now = self.clock.now();
        self.engine.handle_timeout(now);
        self.drain()?;
        if ready.tun {
            self.receive()?;
        }
        Ok(ready)
    }

    /// Sends what is to be sent and shows what has happened.
    pub(super) fn drain(&mut self) -> anyhow::Result<()> {
        let now = self.clock.now();
        while let Some(transmit) = self.engine.poll_transmit(now, &mut self.buf) {
            match self.tun.send(&self.buf[..transmit.len]) {
                Ok(()) => {}
                // The interface is down, or has no room: as on any wire, the packet is lost.
                Err(error) if is_loss(&error) => log::debug!("packet lost at the TUN: {error}"),
                Err(error) => return Err(self.lost_tun(error)),
            }
        }
        while let Some(event) = self.engine.poll_event() {
            if let (EventKind::Closed(closed), Some((awaited, outcome))) =
                (&event.kind, &mut self.awaited)
                && event.flow == Some(*awaited)
            {
                *outcome = Some(closed.result.clone());
            }
            self.watcher.event(&event);
        }
        Ok(())
    }

    /// Shows the summary.
    pub(super) fn finish(self) {
        self.watcher.finish();
    }

    fn receive(&mut self) -> anyhow::Result<()> {
        for _ in 0..BATCH {
            let len = match self.tun.recv(&mut self.buf) {
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if is_loss(&error) => break,
                Err(error) => return Err(self.lost_tun(error)),
            };
            let now = self.clock.now();
            self.engine.handle_packet(now, &mut self.buf[..len]);
            self.drain()?;
        }
        Ok(())
    }

    fn lost_tun(&self, error: io::Error) -> anyhow::Error {
        anyhow::Error::new(error).context(format!("the TUN {} was taken away", self.tun.name()))
    }
}

/// Errors after which the TUN can still be used: the interface is down (EIO from read and write), or the kernel
/// has no memory for the packet just now.
fn is_loss(error: &io::Error) -> bool {
    use nix::libc::{EAGAIN, EINVAL, EIO, ENOBUFS, ENOMEM};
    matches!(
        error.raw_os_error(),
        Some(EAGAIN | EINVAL | EIO | ENOBUFS | ENOMEM)
    )
}
