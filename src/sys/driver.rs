//! An engine at work on a TUN: the loop between the two, one turn at a time.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::libc::{EAGAIN, EINVAL, EIO, ENOBUFS, ENOMEM};
use smoltcp::time::Instant;

use super::child::Child;
use super::clock::Clock;
use super::tun::Tun;
use super::wait::{Ready, Waiter, Watch};
use crate::engine::Engine;
use crate::event::{Direction, Event, EventKind};

/// So many packets are taken from the TUN before anything else is looked at.
const BATCH: usize = 64;
/// Room for any packet.
const MAX_PACKET: usize = 65_535;

/// Carries packets between an [`Engine`] and a [`Tun`], and waits in between.
///
/// A program that serves is a loop around [`step`](Driver::step):
///
/// ```no_run
/// use tcplab::engine::{Config, Engine};
/// use tcplab::service::echo::echo;
/// use tcplab::sys::clock::Clock;
/// use tcplab::sys::driver::{Driver, Until};
/// use tcplab::sys::tun::{Tun, TunConfig};
/// use tcplab::sys::wait::Waiter;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let waiter = Waiter::new()?;
/// let clock = Clock::start();
/// let tun = Tun::open(&TunConfig {
///     name: "tcplab0".into(),
///     addresses: vec!["192.0.2.1/24".parse().unwrap()],
///     mtu: 1500,
/// })?;
/// let mut engine = Engine::new(Config::new(["192.0.2.2/24".parse().unwrap()]));
/// engine.serve_tcp(7, "echo", echo);
///
/// let mut driver = Driver::new(&tun, &waiter, clock);
/// loop {
///     let ready = driver.step(&mut engine, Until::default(), |_, event| println!("{event:?}"))?;
///     if !ready.signals.is_empty() {
///         return Ok(());
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Driver<'a> {
    tun: &'a Tun,
    waiter: &'a Waiter,
    clock: Clock,
    packet: Vec<u8>,
    /// How many packets have left whose events were not told yet.
    untold: usize,
}

/// What else ends the wait of a [`Driver::step`], besides packets, timers and signals. The default is nothing.
#[derive(Debug, Default)]
pub struct Until<'a> {
    /// The end of a child.
    pub child: Option<&'a mut Child>,
    /// Something that can be read, such as standard input.
    pub input: Option<BorrowedFd<'a>>,
    /// What a live screen has to say.
    pub screen: Option<BorrowedFd<'a>>,
    /// A moment of the driver's clock.
    pub deadline: Option<Instant>,
}

impl<'a> Driver<'a> {
    /// A driver for one TUN. Its time is that of `clock`.
    pub fn new(tun: &'a Tun, waiter: &'a Waiter, clock: Clock) -> Driver<'a> {
        Driver {
            tun,
            waiter,
            clock,
            packet: vec![0; MAX_PACKET],
            untold: 0,
        }
    }

    /// The time, for the engine's `handle_*` and `connect_*`.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Waits until something happens and lets the engine deal with what is its business. What is not (signals, the
    /// end of the child, input, the screen) is returned. Each event goes to `tell`. Afterwards the engine is drained.
    ///
    /// # Errors
    /// When the TUN is taken away, or the kernel can't wait.
    pub fn step(
        &mut self,
        engine: &mut Engine,
        until: Until<'_>,
        mut tell: impl FnMut(&mut Engine, Event),
    ) -> io::Result<Ready> {
        self.drain(engine, &mut tell)?;
        let wake_at = [engine.poll_timeout(), until.deadline];
        let timeout = wake_at.into_iter().flatten().min().map(|at| {
            // The difference of two instants has no sign.
            let now = self.clock.now();
            (at.max(now) - now).into()
        });
        let ready = self.wait(until, timeout)?;

        engine.handle_timeout(self.clock.now());
        self.drain(engine, &mut tell)?;
        if ready.tun {
            self.receive(engine, &mut tell)?;
        }
        Ok(ready)
    }

    /// Sends what is to be sent and tells what has happened: to be called after each command to the engine, unless
    /// [`step`](Driver::step) comes next.
    ///
    /// It is told in the order in which it happens: a packet that has come before the answer to it leaves, and one of
    /// ours once it has left. The kernel takes in what is written to a TUN before the system call is over, unless the
    /// peer's own system call holds the socket just then.
    ///
    /// # Errors
    /// When the TUN is taken away.
    pub fn drain(
        &mut self,
        engine: &mut Engine,
        mut tell: impl FnMut(&mut Engine, Event),
    ) -> io::Result<()> {
        let now = self.clock.now();
        loop {
            let Some(event) = engine.poll_event() else {
                match self.transmit(engine, now)? {
                    true => continue,
                    false => return Ok(()),
                }
            };
            let leaving = leaving(&event);
            // An answer that was made while its cause arrived is told before it leaves.
            while self.untold < leaving && self.transmit(engine, now)? {}
            self.untold = self.untold.saturating_sub(leaving);
            tell(engine, event);
        }
    }

    /// Lets one packet leave, if there is one.
    fn transmit(&mut self, engine: &mut Engine, now: Instant) -> io::Result<bool> {
        let Some(transmit) = engine.poll_transmit(now, &mut self.packet) else {
            return Ok(false);
        };
        self.untold += 1;
        match self.tun.send(&self.packet[..transmit.len]) {
            Ok(()) => {}
            // As on any wire, the packet is lost.
            Err(error) if is_loss(&error) => log::debug!("packet lost at the TUN: {error}"),
            Err(error) => return Err(self.lost_tun(error)),
        }
        Ok(true)
    }

    fn wait(&self, until: Until<'_>, timeout: Option<Duration>) -> io::Result<Ready> {
        let watch = Watch {
            tun: Some(self.tun.as_fd()),
            child: until.child,
            input: until.input,
            screen: until.screen,
        };
        self.waiter
            .wait(watch, timeout)
            .map_err(|error| io::Error::new(error.kind(), format!("cannot wait: {error}")))
    }

    fn receive(
        &mut self,
        engine: &mut Engine,
        tell: &mut impl FnMut(&mut Engine, Event),
    ) -> io::Result<()> {
        for _ in 0..BATCH {
            let len = match self.tun.recv(&mut self.packet) {
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if is_loss(&error) => break,
                Err(error) => return Err(self.lost_tun(error)),
            };
            engine.handle_packet(self.clock.now(), &mut self.packet[..len]);
            self.drain(engine, &mut *tell)?;
        }
        Ok(())
    }

    fn lost_tun(&self, error: io::Error) -> io::Error {
        let what = format!("the TUN {} was taken away: {error}", self.tun.name());
        io::Error::new(error.kind(), what)
    }
}

/// Of how many packets it tells that are to be written to the TUN.
fn leaving(event: &Event) -> usize {
    let packet = match &event.kind {
        EventKind::Packet(packet) => packet,
        EventKind::Released(released) => &released.packet,
        _ => return 0,
    };
    match packet.direction {
        Direction::In => 0,
        Direction::Out => packet.fate.crossings() as usize,
    }
}

/// Errors after which the TUN can still be used: nothing is there (EAGAIN), the interface is down (EIO from read
/// and write), or the kernel has no memory for the packet just now.
fn is_loss(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(EAGAIN | EINVAL | EIO | ENOBUFS | ENOMEM)
    )
}
