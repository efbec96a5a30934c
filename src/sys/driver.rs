//! An engine at work on a TUN: the loop between the two, one turn at a time.

mod pace;

use std::hint;
use std::io::{self, ErrorKind};
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::libc::{EAGAIN, EINVAL, EIO, ENOBUFS, ENOMEM};
use smoltcp::time::Instant;

use super::child::Child;
use super::clock::Clock;
use super::tun::{Outbox, ROOM, Received, Tun};
use super::wait::{Ready, Waiter, Watch};
use crate::engine::Engine;
use crate::event::{self, Direction, Event, EventKind};
use crate::segment::Checksum;
use pace::{Ahead, Busy, Courtesy};

/// Once so many packets were taken from the TUN, everything else is looked at.
const BATCH: usize = 64;
/// Once so many bytes were taken from it, they are acknowledged, so that a peer who waits for that goes on.
const TOGETHER: usize = 256 * 1024;
/// So many bytes of packets are read before the first of them is taken in: neither the kernel's part of the work nor ours is
/// displaced from the caches by the other for each of them then, and they stay there themselves.
const READ_AHEAD: usize = 16 * 1024;
/// So many packets of flows in bulk leave before the TUN is looked at again, and for no longer than so much time: each of them
/// may be answered, and what waits in the TUN's queue must neither fill it nor wait for long. As many as leave together.
const TURN: usize = 32;
const TURN_TIME: Duration = Duration::from_micros(500);
/// The clock is asked after each so many of them.
const LOOKS: usize = 8;
/// While packets keep coming, whatever else there is to see is looked at so often.
const LOOK_UP: Duration = Duration::from_millis(1);

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
    /// How many packets have left whose events were not told yet.
    untold: usize,
}

/// Which packets are to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    /// Those of flows with little to send.
    Sparse,
    /// All others too, as it is their turn.
    All,
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
            let Some(len) = self.transmit(engine, now, Which::All)? else {
                break;
            };
            bytes += len;
            if !self.tells_late {
                self.drain_at(engine, now, tell)?;
            }
            let looks = count % LOOKS == 0;
            if bytes >= TOGETHER || looks && self.clock.now() >= end {
                break;
            }
        }
        self.drain_at(engine, now, tell)?;
        self.flush()
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
                None if self.transmit(engine, now, Which::Sparse)?.is_some() => continue,
                // The end of a flow comes to light where there is nothing more to send.
                None => match engine.poll_event() {
                    Some(event) => event,
                    None => return Ok(()),
                },
            };
            let leaving = leaving(&event);
            // An answer that was made while its cause arrived is told before it leaves.
            while self.untold < leaving && self.transmit(engine, now, Which::Sparse)?.is_some() {}
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
        which: Which,
    ) -> io::Result<Option<usize>> {
        // Whoever looks at packets wants to know how long an answer took.
        let now = match engine.watch() {
            event::Watch::Everything => self.clock.now(),
            _ => now,
        };
        let room = self.outbox.room();
        let transmit = match which {
            Which::Sparse => engine.poll_sparse(now, room),
            Which::All => engine.poll_transmit(now, room),
        };
        let Some(transmit) = transmit else {
            return Ok(None);
        };
        self.untold += 1;
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
        // Where much is sent, much is answered.
        let is_busy = engine.has_backlog();
        let most = match is_busy {
            true => BATCH,
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
        for Received { place, checksum } in arrived.drain(..) {
            // Where nobody is told when each has come, a moment for all of them will do.
            if engine.watch() > event::Watch::Nothing {
                now = self.clock.now();
            }
            engine.handle_offloaded(now, &mut self.inbox[place], checksum);
            match self.tells_late {
                true => while self.transmit(engine, now, Which::Sparse)?.is_some() {},
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Config;
    use crate::segment::{Body, Flags, Options, Segment, SeqNumber};
    use crate::stack::reply;
    use std::net::SocketAddr;

    /// The peer's end, and that of the echo service.
    fn ends() -> [SocketAddr; 2] {
        ["192.0.2.1:4000", "192.0.2.2:7"].map(|end| end.parse().unwrap())
    }

    fn serving(set: impl FnOnce(&mut Config)) -> Engine {
        let mut config = Config::new(["192.0.2.2/24".parse().unwrap()]);
        set(&mut config);
        let mut engine = Engine::new(config);
        engine.serve_standard("");
        engine
    }

    /// One step, which has something to do within ten seconds.
    #[track_caller]
    fn step(driver: &mut Driver<'_>, engine: &mut Engine, tell: impl FnMut(&mut Engine, Event)) {
        let end = driver.now() + smoltcp::time::Duration::from_secs(10);
        let until = Until {
            deadline: Some(end),
            ..Until::default()
        };
        driver.step(engine, until, tell).unwrap();
        assert!(driver.now() < end, "nothing has come");
    }

    /// How many answers the peer had when it was told of each packet, in order.
    fn answers_when_told(late: bool) -> Vec<(Direction, usize)> {
        let (tun, peer) = Tun::to_a_socket(false);
        let [from, to] = ends();
        for question in [b"one", b"two"] {
            peer.send(&reply::datagram(from, to, question).unwrap())
                .unwrap();
        }
        let mut engine = serving(|config| config.watch = event::Watch::Everything);
        let waiter = Waiter::new().unwrap();
        let mut driver = Driver::new(&tun, &waiter, Clock::start());
        if late {
            driver.tell_late();
        }
        let (mut told, mut answers) = (Vec::new(), 0);
        // One packet the first time, and what is left the second.
        for _ in 0..2 {
            step(&mut driver, &mut engine, |_, event| {
                if let EventKind::Packet(packet) = &event.kind {
                    while peer.recv(&mut [0; 100]).is_ok() {
                        answers += 1;
                    }
                    told.push((packet.direction, answers));
                }
            });
        }
        told
    }

    #[test]
    fn it_is_told_in_order_and_of_an_answer_once_it_has_left() {
        use Direction::{In, Out};
        let each = [(In, 0), (Out, 1), (In, 1), (Out, 2)];
        assert_eq!(answers_when_told(false), each);
        let late = [(In, 1), (Out, 1), (In, 2), (Out, 2)];
        assert_eq!(answers_when_told(true), late);
    }

    /// Ten times as many packets as a socket keeps, of which some are larger than what is read ahead.
    #[test]
    fn packets_of_any_size_are_answered_in_order() {
        #[track_caller]
        fn check(late: bool, busy: bool) {
            let (tun, peer) = Tun::to_a_socket(false);
            let [from, to] = ends();
            let mut engine = serving(|config| config.mtu = 65_535);
            let waiter = Waiter::new().unwrap();
            let mut driver = Driver::new(&tun, &waiter, Clock::start());
            if late {
                driver.tell_late();
            }
            if busy {
                driver.busy_poll(Duration::from_millis(1));
            }
            let sizes = (0..100).map(|number| match number % 4 {
                0 => READ_AHEAD + number,
                1 => READ_AHEAD / 3,
                _ => number,
            });
            let payloads: Vec<Vec<u8>> = sizes.map(|size| vec![size as u8; size]).collect();
            let mut answer = vec![0; ROOM];
            for payloads in payloads.chunks(10) {
                for payload in payloads {
                    let question = reply::datagram(from, to, payload).unwrap();
                    assert_eq!(peer.send(&question).unwrap(), question.len());
                }
                let mut missing = payloads;
                while let [expected, rest @ ..] = missing {
                    match peer.recv(&mut answer) {
                        // Behind the headers of IPv4 and UDP.
                        Ok(len) => {
                            assert_eq!(&answer[28..len], expected);
                            missing = rest;
                        }
                        Err(_) => step(&mut driver, &mut engine, |_, _| {}),
                    }
                }
            }
        }
        for late in [false, true] {
            for busy in [false, true] {
                check(late, busy);
            }
        }
    }

    /// A peer that takes what chargen sends, of which more and more is in flight, asks something else at last: dozens of
    /// packets are on their way before the question is read, and not all that there are.
    #[test]
    fn the_tun_is_read_again_before_all_has_left() {
        /// One segment more is in flight after each.
        const ROUNDS: usize = 100;
        #[track_caller]
        fn check(late: bool) {
            let (tun, peer) = Tun::to_a_socket(false);
            let [from, to] = ends();
            let chargen = SocketAddr::new(to.ip(), 19);
            let mut engine = serving(|config| config.watch = event::Watch::Everything);
            let waiter = Waiter::new().unwrap();
            let mut driver = Driver::new(&tun, &waiter, Clock::start());
            if late {
                driver.tell_late();
            }
            let mut segment = Segment {
                src_port: from.port(),
                dst_port: chargen.port(),
                seq: SeqNumber(1_000),
                ack: SeqNumber(0),
                flags: Flags::SYN,
                window: u16::MAX,
                urgent: 0,
                options: Options::new(),
                payload: 0..0,
                checksum_ok: true,
            };
            // How many packets have left before the question was read, and with it, and after.
            let (mut before, mut after) = (0, None::<usize>);
            for round in 0..ROUNDS {
                (before, after) = (0, None);
                peer.send(&reply::segment(from, chargen, &segment, &[]))
                    .unwrap();
                if round + 1 == ROUNDS {
                    let question = reply::datagram(from, to, b"?").unwrap();
                    peer.send(&question).unwrap();
                }
                let mut quiet = 0;
                while quiet < 2 || engine.has_backlog() {
                    quiet += 1;
                    let until = Until {
                        deadline: Some(driver.now()),
                        ..Until::default()
                    };
                    let tell = |_: &mut Engine, event: Event| {
                        quiet = 0;
                        let EventKind::Packet(packet) = &event.kind else {
                            return;
                        };
                        match (&packet.described.body, packet.direction) {
                            (Body::Udp(_), Direction::In) => after = Some(0),
                            (Body::Tcp(sent), Direction::Out) => {
                                segment.ack = sent.end();
                                match &mut after {
                                    Some(after) => *after += 1,
                                    None => before += 1,
                                }
                            }
                            _ => {}
                        }
                    };
                    driver.step(&mut engine, until, tell).unwrap();
                    // A socket keeps a few only; what is lost there was told all the same.
                    while peer.recv(&mut [0; 1500]).is_ok() {}
                }
                segment.flags = Flags::ACK;
                segment.seq = SeqNumber(1_001);
            }
            let after = after.expect("the question was read");
            assert!(before <= TURN && after > TURN, "{before}, then {after}");
        }
        check(false);
        check(true);
    }
}
