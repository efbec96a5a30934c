//! An engine at work on a TUN: the loop between the two, one turn at a time.

mod leaving;
mod pace;
#[cfg(test)]
mod tests;

use std::hint;
use std::io::{self, ErrorKind};
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use smoltcp::time::Instant;

use super::child::Child;
use super::clock::Clock;
use super::tun::{Outbox, ROOM, Received, Tun, is_loss};
use super::wait::{Ready, Waiter, Watch};
use crate::engine::{Engine, Transmit};
use crate::event::{self, Event};
use crate::segment::Checksum;
use leaving::leaving;
use pace::{Ahead, Busy, Courtesy};

/// After this many packets from the TUN, everything else gets its turn.
const BATCH: usize = 64;
/// After this many bytes from it, they are acknowledged, so that a peer that waits for the ACK goes on.
const TOGETHER: usize = 256 * 1024;
/// Read up to this many bytes before processing any, so that kernel and engine don't evict each other from the cache per
/// packet.
const READ_AHEAD: usize = 16 * 1024;
/// So many packets of flows in bulk leave before the TUN is looked at again, or so many bytes of them, and for no longer than so
/// much time: each of them may be answered, and what waits in the TUN's queue must neither fill it nor wait for long. As
/// many as leave together.
const TURN: usize = 64;
const TURN_BYTES: usize = 256 * 1024;
const TURN_TIME: Duration = Duration::from_micros(500);
/// While packets keep coming, whatever else there is to see is looked at so often.
const LOOK_UP: Duration = Duration::from_millis(1);

/// Which packets are to leave: [`Engine::poll_sparse`] or [`Engine::poll_transmit`].
type Poll = fn(&mut Engine, Instant, &mut [u8]) -> Option<Transmit>;

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
///     offload: false,
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
    /// Where packets are that were read and not yet taken in.
    inbox: Vec<u8>,
    arrived: Vec<Received>,
    outbox: Outbox,
    /// How many packets are answered together.
    together: Ahead,
    /// How often such are looked for before the next wait.
    rounds: Ahead,
    /// Whether what happens is told only once the answers have left.
    tells_late: bool,
    busy: Option<Busy>,
    courtesy: Courtesy,
    /// Whether the engine was told how long the TUN's queue is.
    knows_queue: bool,
    /// When everything was looked at last.
    looked_up: Instant,
    crossed: Option<Instant>,
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
            inbox: vec![0; READ_AHEAD + ROOM],
            arrived: Vec::with_capacity(BATCH),
            outbox: Outbox::new(tun.offload()),
            together: Ahead::default(),
            rounds: Ahead::default(),
            tells_late: false,
            busy: None,
            courtesy: Courtesy::default(),
            knows_queue: false,
            looked_up: clock.now(),
            crossed: None,
            untold: 0,
        }
    }

    /// From now on [`step`](Driver::step) looks for a packet again and again, for up to `limit`, before it lets the processor
    /// do something else. Where that doesn't help, it is tried less and less often.
    pub fn busy_poll(&mut self, limit: Duration) {
        self.busy = Some(Busy::new(limit));
    }

    /// From now on it is told of what has happened once all packets that were there have been answered, and not of each before
    /// its answer leaves. The moments that are told are the same: when a packet had come, and when one of ours was made. It is
    /// faster, and right for whoever only keeps what is told.
    pub fn tell_late(&mut self) {
        self.tells_late = true;
    }

    /// The time, for the engine's `handle_*` and `connect_*`.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// The time when it was last looked at everything there is to see, a millisecond ago at most where packets keep coming.
    pub fn looked_up(&self) -> Instant {
        self.looked_up
    }

    /// When a packet has last come from the TUN or was made for it, if one ever has. To the millisecond where packets keep coming.
    pub fn crossed(&self) -> Option<Instant> {
        self.crossed
    }

    /// Waits until something happens and lets the engine deal with what is its business. What is not (signals, the
    /// end of the child, input, the screen) is returned. Each event goes to `tell`.
    ///
    /// Afterwards all that flows with little to send had to send has left. Those in bulk send some dozens of packets in each
    /// step, and as long as they have more, a step does not wait.
    ///
    /// # Errors
    /// When the TUN is taken away, or the kernel can't wait.
    pub fn step(
        &mut self,
        engine: &mut Engine,
        until: Until<'_>,
        mut tell: impl FnMut(&mut Engine, Event),
    ) -> io::Result<Ready> {
        if !mem::replace(&mut self.knows_queue, true) {
            engine.set_queue(self.tun.queue());
        }
        let now = self.clock.now();
        self.turn(engine, now, &mut tell)?;
        if engine.has_backlog() {
            self.courtesy.give_way(self.clock);
        }
        let wake_at = [engine.poll_timeout(), until.deadline];
        // The difference of two instants has no sign.
        let wake_at = wake_at.into_iter().flatten().min().map(|at| at.max(now));
        let first = match engine.has_backlog() {
            true => self.read(0)?,
            false => self.spin(now, wake_at)?,
        };
        if first.is_some() || engine.has_backlog() {
            if first.is_some() {
                self.receive(engine, first, &mut tell)?;
            }
            let now = self.clock.now();
            engine.handle_timeout(now);
            self.finish_at(engine, now, &mut tell)?;
            if now < self.looked_up + LOOK_UP.into() {
                return Ok(Ready::default());
            }
            self.looked_up = now;
            return self.wait(until, Some(Duration::ZERO));
        }
        let ready = self.wait(until, wake_at.map(|at| (at - now).into()))?;

        let now = self.clock.now();
        self.looked_up = now;
        engine.handle_timeout(now);
        self.finish_at(engine, now, &mut tell)?;
        if ready.tun {
            self.receive(engine, None, &mut tell)?;
        }
        Ok(ready)
    }

    /// Sends what is to be sent at once and tells what has happened: to be called after each command to the engine, unless
    /// [`step`](Driver::step) comes next. What flows in bulk have left is sent by the steps to come.
    ///
    /// It is told in the order in which it happens: a packet that has come before the answer to it leaves, unless [that is
    /// left for later](Driver::tell_late), and one of ours once it has left. The kernel takes in what is written to a TUN
    /// before the system call is over, unless the peer's own system call holds the socket just then.
    ///
    /// # Errors
    /// When the TUN is taken away.
    pub fn drain(
        &mut self,
        engine: &mut Engine,
        mut tell: impl FnMut(&mut Engine, Event),
    ) -> io::Result<()> {
        self.finish_at(engine, self.clock.now(), &mut tell)
    }

    /// Sends and tells all of flows with little to send.
    fn finish_at(
        &mut self,
        engine: &mut Engine,
        now: Instant,
        tell: &mut impl FnMut(&mut Engine, Event),
    ) -> io::Result<()> {
        self.drain_at(engine, now, tell)?;
        self.flush()
    }

    /// Sends and tells all of flows with little to send, and some of the others, whose turn it is.
    fn turn(
        &mut self,
        engine: &mut Engine,
        now: Instant,
        tell: &mut impl FnMut(&mut Engine, Event),
    ) -> io::Result<()> {
        self.drain_at(engine, now, tell)?;
        let end = now + TURN_TIME.into();
        let mut bytes = 0;
        for count in 1..=TURN {
            let Some(len) = self.transmit(engine, now, Engine::poll_transmit)? else {
                break;
            };
            bytes += len;
            if !self.tells_late {
                self.drain_at(engine, now, tell)?;
            }
            if bytes >= TURN_BYTES || count % 8 == 0 && self.clock.now() >= end {
                break;
            }
        }
        self.finish_at(engine, now, tell)
    }

    /// Makes packets and tells of them. The last ones may still be waiting for others to leave with, if nothing of them
    /// is told.
    fn drain_at(
        &mut self,
        engine: &mut Engine,
        now: Instant,
        tell: &mut impl FnMut(&mut Engine, Event),
    ) -> io::Result<()> {
        loop {
            let event = match engine.poll_event() {
                Some(event) => event,
                None if self.transmit(engine, now, Engine::poll_sparse)?.is_some() => continue,
                // The end of a flow comes to light where there is nothing more to send.
                None => match engine.poll_event() {
                    Some(event) => event,
                    None => return Ok(()),
                },
            };
            let leaving = leaving(&event);
            // An answer that was made while its cause arrived is told before it leaves.
            while self.untold < leaving
                && self.transmit(engine, now, Engine::poll_sparse)?.is_some()
            {}
            self.untold = self.untold.saturating_sub(leaving);
            if leaving > 0 {
                self.flush()?;
            }
            tell(engine, event);
        }
    }

    /// Makes one packet, if there is one to be sent; how many bytes it has.
    fn transmit(
        &mut self,
        engine: &mut Engine,
        now: Instant,
        poll: Poll,
    ) -> io::Result<Option<usize>> {
        // Whoever looks at packets wants to know how long an answer took.
        let now = match engine.watch() {
            event::Watch::Everything => self.clock.now(),
            _ => now,
        };
        let Some(transmit) = poll(engine, now, self.outbox.room()) else {
            return Ok(None);
        };
        self.untold += 1;
        self.crossed = Some(now);
        match transmit.offload.checksum {
            Checksum::Partial => {
                let segment_size = transmit.offload.segment_size;
                self.outbox.push_partial(transmit.len, segment_size);
            }
            Checksum::Whole | Checksum::Verified => self.outbox.push(transmit.len),
        }
        if self.outbox.is_full() {
            self.flush()?;
        }
        Ok(Some(transmit.len))
    }

    /// Lets the packets leave that were made.
    fn flush(&mut self) -> io::Result<()> {
        let mut fatal = None;
        self.outbox.flush(self.tun, |error| match is_loss(&error) {
            // As on any wire, the packet is lost.
            true => log::debug!("packet lost at the TUN: {error}"),
            false => fatal = Some(error),
        });
        fatal.map_or(Ok(()), |error| Err(self.lost_tun(error)))
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

    /// Looks for a packet until one is there, where that is worth it: for no longer than the limit, and not beyond
    /// `until`.
    fn spin(&mut self, now: Instant, until: Option<Instant>) -> io::Result<Option<Received>> {
        let Some(limit) = self.busy.as_mut().and_then(Busy::attempt) else {
            return Ok(None);
        };
        let end = now + limit.into();
        let end = until.map_or(end, |until| until.min(end));
        let received = loop {
            let received = self.read(0)?;
            if received.is_some() || self.clock.now() >= end {
                break received;
            }
            hint::spin_loop();
        };
        if let Some(busy) = &mut self.busy {
            busy.found(received.is_some());
        }
        Ok(received)
    }

    /// Takes in what has come, `first` if it was read just before.
    fn receive(
        &mut self,
        engine: &mut Engine,
        first: Option<Received>,
        tell: &mut impl FnMut(&mut Engine, Event),
    ) -> io::Result<()> {
        let (mut next, mut total) = (first, 0);
        for round in 0..self.rounds.count() {
            let (count, is_dry) = self.receive_together(engine, next.take(), tell)?;
            if count == 0 {
                self.rounds.was_too_many(round);
                return Ok(());
            }
            // What flows in bulk have to send goes on once the TUN was read, and then it is read again.
            if engine.has_backlog() {
                return Ok(());
            }
            total += count;
            if is_dry || total >= BATCH {
                break;
            }
        }
        self.rounds.was_enough();
        Ok(())
    }

    /// Reads and takes in some of what has come, and lets the answers leave together. Says how many came, and whether it is
    /// known that there are no more: the last look found none, and nothing has left since then that could be answered.
    fn receive_together(
        &mut self,
        engine: &mut Engine,
        first: Option<Received>,
        tell: &mut impl FnMut(&mut Engine, Event),
    ) -> io::Result<(usize, bool)> {
        let (mut next, mut count) = (first, 0);
        // Of what is sent in a turn, each packet may be answered, and others come too.
        let is_busy = engine.has_backlog();
        let most = match is_busy {
            true => 2 * TURN,
            false => self.together.count(),
        };
        let (mut bytes, mut is_empty) = (0, false);
        while count < most && bytes < TOGETHER && !is_empty {
            let mut end = 0;
            while count < most && end < READ_AHEAD {
                let received = match next.take() {
                    None => self.read(end)?,
                    first => first,
                };
                let Some(received) = received else {
                    is_empty = true;
                    break;
                };
                count += 1;
                bytes += received.place.len();
                end = received.place.end;
                self.arrived.push(received);
            }
            self.take_in(engine, tell)?;
        }
        match is_empty {
            _ if is_busy => {}
            true => self.together.was_too_many(count),
            false => self.together.was_enough(),
        }
        // What is told at once has left at once.
        let is_dry = is_empty && self.tells_late && self.outbox.is_empty();
        self.flush()?;
        if self.tells_late {
            self.finish_at(engine, self.clock.now(), tell)?;
        }
        Ok((count, is_dry))
    }

    /// Takes in what was read. Each is answered before the next, though the answers may leave later: RFC 9293, section
    /// 3.8.6.3, asks for an acknowledgment "for at least every second full-sized segment" (SHLD-19).
    fn take_in(
        &mut self,
        engine: &mut Engine,
        tell: &mut impl FnMut(&mut Engine, Event),
    ) -> io::Result<()> {
        let mut arrived = mem::take(&mut self.arrived);
        let mut now = self.clock.now();
        if !arrived.is_empty() {
            self.crossed = Some(now);
        }
        for Received { place, checksum } in arrived.drain(..) {
            // Where nobody is told when each has come, a moment for all of them will do.
            if engine.watch() > event::Watch::Nothing {
                now = self.clock.now();
            }
            engine.handle_offloaded(now, &mut self.inbox[place], checksum);
            match self.tells_late {
                true => while self.transmit(engine, now, Engine::poll_sparse)?.is_some() {},
                false => self.drain_at(engine, now, tell)?,
            }
        }
        self.arrived = arrived;
        Ok(())
    }

    /// Reads a packet to what is behind `begin`, if one is there.
    fn read(&mut self, begin: usize) -> io::Result<Option<Received>> {
        loop {
            match self.tun.recv(&mut self.inbox[begin..]) {
                Ok(Received { place, checksum }) => {
                    let place = begin + place.start..begin + place.end;
                    return Ok(Some(Received { place, checksum }));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_loss(&error) => return Ok(None),
                Err(error) => return Err(self.lost_tun(error)),
            }
        }
    }

    fn lost_tun(&self, error: io::Error) -> io::Error {
        let what = format!("the TUN {} was taken away: {error}", self.tun.name());
        io::Error::new(error.kind(), what)
    }
}
