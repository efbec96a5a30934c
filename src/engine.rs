//! The whole endpoint, without an operating system: packets, commands and time go in; packets and events come out.
//!
//! ```
//! use smoltcp::time::Instant;
//! use tcplab::engine::{Config, Engine};
//! use tcplab::service;
//!
//! let mut engine = Engine::new(Config::new(["192.0.2.2/24".parse().unwrap()]));
//! engine.serve_tcp(7, "echo", service::echo::echo);
//!
//! # let (now, arrived): (Instant, Option<Vec<u8>>) = (Instant::ZERO, None);
//! // Whatever the wire brings goes in. Then everything is drained before the next packet, command or time-out.
//! if let Some(mut packet) = arrived {
//!     engine.handle_packet(now, &mut packet);
//! }
//! let mut buf = [0; 1500];
//! while let Some(transmit) = engine.poll_transmit(now, &mut buf) {
//!     let packet = &buf[..transmit.len]; // to the wire
//! }
//! while let Some(event) = engine.poll_event() {
//!     println!("{event:?}");
//! }
//! let wait_until = engine.poll_timeout(); // then call handle_timeout
//! ```
//!
//! The order matters: each `handle_*` is followed by [`Engine::poll_transmit`] until it gives nothing. Programs are
//! polled in there too, after what their flow had to send has left, so that a service that writes and then
//! closes sends data and then a FIN.
//!
//! Flows share what leaves: those with little to send come first, and those in bulk take turns (`line`). Where packets that
//! come would be lost while all of it leaves, [`Engine::poll_sparse`] takes the place of [`Engine::poll_transmit`], and the
//! rest is fetched in parts:
//!
//! ```text
//!   handle_packet      each packet that is there, and after each
//!   poll_sparse          until None
//!   poll_transmit      some dozens of times, as long as there is a backlog; then look for packets again
//! ```

mod backlog;
mod config;
mod defect;
mod icmp;
mod idle;
mod interfere;
mod knobs;
mod limits;
mod line;
mod open;
mod orders;
mod packets;
mod standard;
mod stepping;
mod tcp_flow;
mod udp_flow;

pub use crate::link::Offload;
pub use config::Config;
pub use open::{ConnectError, Origin};
pub use standard::{STANDARD_SERVICES, StandardService};
pub use stepping::{Break, Copies, Disposal, Stepping};

use crate::event::{
    Activity, Cause, Closed, Direction, Event, EventKind, FlowId, Journal, Limit, PacketId,
    PeerView, Timer, Transition, UserCall, Watch,
};
use crate::link::Link;
use crate::service::{Connection, Program, UdpService};
use crate::stack::bucket::Bucket;
use crate::stack::cookie::Cookies;
use crate::stack::crowd::Crowd;
use crate::stack::fragments::Reassembler;
use crate::stack::iss::IssGenerator;
use crate::stack::pool::Pool;
use crate::stack::senders::Senders;
use crate::stack::table::{FlowKey, FlowMap, Seeded};
use crate::stack::tcp::Tcp;
use crate::stack::time_wait::TimeWait;
use crate::stack::timers::{Timers, earlier};
use crate::state::TcpState;
use defect::{Defects, Part, Work};
use foldhash::fast::FixedState;
use idle::Writers;
use interfere::Interference;
use limits::Occupancy;
use line::{Line, Turn};
use slab::Slab;
use smoltcp::time::{Duration, Instant};
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::rc::Rc;
use stepping::StackClock;
use tcp_flow::{Rest, Settled, TcpFlow};
use udp_flow::UdpFlow;

/// A TCP endpoint. See the [module](self) for how to run one.
pub struct Engine {
    shared: Shared,
    clock: StackClock,
    flows: Slab<Flow>,
    map: FlowMap,
    /// Of numbers that are our own, as those of the services' ports are: nobody can choose them so that they collide.
    places: HashMap<FlowId, usize, FixedState>,
    /// Flows that may have something to send.
    line: Line,
    tcp_services: HashMap<u16, TcpService, FixedState>,
    udp_services: HashMap<u16, UdpPort, FixedState>,
    reassembler: Reassembler,
    opened: u64,
    half_open: usize,
    occupancy: Occupancy,
    writers: Writers,
    cookies: Cookies,
    /// When room is given back that was needed for more flows.
    tidy_at: Option<Instant>,
    defects: Defects,
}

/// What every flow needs while it does something.
struct Shared {
    config: Config,
    tcp: Tcp,
    link: Link,
    journal: Journal,
    timers: Timers,
    pool: Pool,
    iss: IssGenerator,
    /// Where there are rules, or somebody steps.
    interference: Option<Box<Interference>>,
    /// Room for the one packet that a segment that arrived may be answered with at once.
    room: Vec<u8>,
    fragment_id: u32,
    errors: Bucket,
    #[cfg(test)]
    trapper: Option<defect::Trapper>,
    crowd: Crowd,
    senders: Senders,
}

/// Result of one drive step of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Driven {
    /// A packet of so many bytes leaves.
    Packet(Transmit),
    /// The same, and there is nothing more to do for now.
    Last(Transmit, Settled),
    /// A packet was made that does not leave at once.
    Stopped,
    /// There is nothing to do for now.
    Nothing,
}

enum Flow {
    Tcp(Box<TcpFlow>),
    TimeWait(Waiting),
    Udp(UdpFlow),
    Unheard(Unheard),
}

/// A flow of which rules have let nothing through to the stack yet.
struct Unheard {
    id: FlowId,
    key: FlowKey,
}

/// A connection in TIME-WAIT.
struct Waiting {
    id: FlowId,
    key: FlowKey,
    record: TimeWait,
    /// How long it waits, where that is not what all do.
    time_wait: Option<Duration>,
    result: Option<Result<(), String>>,
}

struct TcpService {
    name: &'static str,
    start: Rc<dyn Fn(Connection) -> Program>,
}

struct UdpPort {
    name: &'static str,
    service: Box<dyn UdpService>,
}

/// What someone may ask of a running engine.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// CLOSE a connection (RFC 9293, section 3.10.4).
    Close(FlowId),
    /// ABORT a connection (section 3.10.5): the peer gets a RST.
    Abort(FlowId),
    /// ABORT all connections.
    AbortAll,
    /// Let the program of a flow look again: something that it waits for outside of the engine, such as
    /// [`Console`](crate::service::Console) input, is there.
    Wake(FlowId),
    /// Tell what the kernel of the flow's peer was heard to say, right behind the event that was polled last: that of a
    /// packet, whose time is to be given.
    Tell(FlowId, PeerView),
    /// Let a packet that waits in the link go on, or not. Nothing happens where it doesn't wait any more.
    Release(PacketId, Disposal),
    /// Hold every packet of a flow from now on, or no longer. While anything is held by that, the stack's clock stands
    /// still; the peer's does not.
    Step(Stepping),
    /// Deal so with copies from now on, while every packet is held.
    Copies(Copies),
}

/// A packet that [`Engine::poll_transmit`] has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Its length in bytes.
    pub len: usize,
    /// What is left to the device that sends it; nothing without [`Config::offload`].
    pub offload: Offload,
}

impl Engine {
    /// An endpoint that serves nothing yet.
    ///
    /// # Panics
    /// If `config` has an MTU, a buffer size or a Differentiated Services field out of range, a keep-alive time or a hop limit
    /// of zero, or no room for any connection.
    pub fn new(config: Config) -> Engine {
        config.check();
        let iss = IssGenerator::new(config.seed);
        let cookies = Cookies::new(config.seed);
        let wire = config.wire();
        let mut config = config;
        let rules = std::mem::take(&mut config.rules);
        let hashes = Seeded(config.seed);
        let reassembly = config.reassembly;
        let defects = Defects::new(config.contain_defects.is_some());
        Engine {
            shared: Shared {
                tcp: Tcp::new(wire, &config.addresses, config.seed),
                link: Link::default(),
                journal: Journal::new(config.watch, config.events),
                timers: Timers::default(),
                pool: Pool::new(config.buffer),
                iss,
                interference: Interference::new(rules, config.seed),
                room: vec![0; wire.largest()],
                fragment_id: 0,
                errors: Bucket::default(),
                #[cfg(test)]
                trapper: None,
                crowd: Crowd::new(config.offload),
                senders: Senders::new(),
                config,
            },
            clock: StackClock::default(),
            flows: Slab::new(),
            map: FlowMap::with_hasher(hashes),
            places: HashMap::default(),
            line: Line::new(wire.largest(), wire.largest().max(line::BURST)),
            tcp_services: HashMap::default(),
            udp_services: HashMap::default(),
            reassembler: Reassembler::new(reassembly),
            opened: 0,
            half_open: 0,
            occupancy: Occupancy::default(),
            writers: Writers::default(),
            cookies,
            tidy_at: None,
            defects,
        }
    }

    /// Serves a TCP port: `service` is called for every connection that is established.
    ///
    /// A second service on the same port takes the place of the first.
    pub fn serve_tcp<F, Fut>(&mut self, port: u16, name: &'static str, service: F)
    where
        F: Fn(Connection) -> Fut + 'static,
        Fut: Future<Output = io::Result<()>> + 'static,
    {
        let start = Rc::new(move |connection| Box::pin(service(connection)) as Program);
        self.tcp_services.insert(port, TcpService { name, start });
    }

    /// Serves a UDP port. A second service on the same port takes the place of the first.
    pub fn serve_udp(&mut self, port: u16, name: &'static str, service: impl UdpService + 'static) {
        self.udp_services.insert(
            port,
            UdpPort {
                name,
                service: Box::new(service),
            },
        );
    }

    /// Does what someone asks. A flow that is not there any more is no error.
    pub fn handle_command(&mut self, now: Instant, command: Command) {
        let (wall, now) = (now, self.stack_time(now));
        let (flow, call) = match command {
            Command::Close(flow) => (Some(flow), Some(UserCall::Close)),
            Command::Abort(flow) => (Some(flow), Some(UserCall::Abort)),
            Command::AbortAll => (None, Some(UserCall::Abort)),
            Command::Wake(flow) => (Some(flow), None),
            Command::Tell(flow, view) => {
                self.shared
                    .journal
                    .tell_next(now, Some(flow), EventKind::Asked(view));
                return;
            }
            Command::Release(packet, disposal) => {
                let work = Work::Part(Activity::Command, Part::Other);
                self.contained(now, work, (), |engine| {
                    engine.dispose(now, packet, disposal)
                });
                self.set_clock(wall);
                return;
            }
            Command::Step(stepping) => {
                let work = Work::Part(Activity::Command, Part::Other);
                self.contained(now, work, (), |engine| engine.step(now, stepping));
                self.set_clock(wall);
                return;
            }
            Command::Copies(copies) => return self.treat_copies(copies),
        };
        let places: Vec<usize> = match flow {
            Some(flow) => self.places.get(&flow).copied().into_iter().collect(),
            None => self.flows.iter().map(|(place, _)| place).collect(),
        };
        for place in places {
            let work = Work::Flow(Activity::Command, place);
            self.contained(now, work, (), |engine| engine.call(now, place, call));
        }
    }

    /// A user call, or nothing but a look, for the flow at a place.
    fn call(&mut self, now: Instant, place: usize, call: Option<UserCall>) {
        match self.flows.get_mut(place) {
            Some(Flow::Tcp(flow)) => flow.call(&mut self.shared, now, call),
            Some(Flow::Udp(flow)) => flow.call(call),
            Some(Flow::TimeWait(waiting)) => {
                // RFC 9293, section 3.10.5: "delete the TCB, enter CLOSED state, and return".
                if call == Some(UserCall::Abort) {
                    let id = waiting.id;
                    self.end_time_wait(now, place, id, Cause::Call(UserCall::Abort));
                }
                return;
            }
            Some(Flow::Unheard(_)) => {
                if call == Some(UserCall::Abort) {
                    self.end(now, place);
                }
                return;
            }
            None => return,
        }
        // What was asked for is not to wait for what was there before.
        self.stand_in_line(place, true);
    }

    /// Lets the timers go off that are due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.stack_time(now);
        let timer = |part| Work::Part(Activity::Timer, part);
        let upkeep = |part| Work::Part(Activity::Upkeep, part);
        self.contained(now, timer(Part::Other), (), |engine| {
            engine.shared.interfere(now);
        });
        self.contained(now, timer(Part::Fragments), (), |engine| {
            engine.expire_fragments(now);
        });
        self.contained(now, upkeep(Part::Pool), (), |engine| {
            engine.shared.pool.give_back(now);
        });
        self.release_idle(now);
        self.contained(now, upkeep(Part::Other), (), |engine| engine.tidy(now));
        while let Some(place) = self.shared.timers.pop(now) {
            let work = Work::Flow(Activity::Timer, place);
            self.contained(now, work, (), |engine| engine.time_out(now, place));
        }
    }

    /// The timer of the flow at a place has gone off.
    fn time_out(&mut self, now: Instant, place: usize) {
        match self.flows.get(place) {
            Some(Flow::TimeWait(waiting)) => {
                let id = waiting.id;
                let cause = Cause::Timeout(Timer::TimeWait);
                self.end_time_wait(now, place, id, cause);
            }
            Some(Flow::Unheard(_)) => self.end(now, place),
            Some(Flow::Tcp(_) | Flow::Udp(_)) => self.stand_in_line(place, false),
            None => {}
        }
    }

    /// Writes the next packet that is to leave into `buf`, which must have room for the MTU, or for 65,535 bytes with
    /// [`Config::offload`]. To be called again until
    /// it gives `None`; then the engine has nothing to do before the next `handle_*`.
    ///
    /// Flows with little to send come first, all others take turns: each sends as many bytes as the others.
    ///
    /// # Panics
    /// If `buf` is shorter than that.
    pub fn poll_transmit(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit> {
        self.poll(now, buf, true)
    }

    /// The same, but leaves all that flows in bulk have to send: those that have had their share in this round. To be called
    /// until it gives `None` after each `handle_*`, in place of [`poll_transmit`](Engine::poll_transmit), where more packets are
    /// to be taken in soon: while thousands leave, those that come would be lost. A flow that owes an acknowledgment is
    /// not left out.
    ///
    /// What is left is fetched with `poll_transmit`, as much at a time as the caller likes, for as long as there is a
    /// [backlog](Engine::has_backlog).
    ///
    /// # Panics
    /// As [`poll_transmit`](Engine::poll_transmit).
    pub fn poll_sparse(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit> {
        self.poll(now, buf, false)
    }

    /// Whether flows in bulk may have something to send, so that [`poll_transmit`](Engine::poll_transmit) is to be called
    /// before anybody waits.
    pub fn has_backlog(&self) -> bool {
        self.line.has_backlog()
    }

    /// Limits the windows of peers that send much, so that a queue of `packets` packets before the engine has room for all that
    /// they may send. Without it, each window is as large as its receive buffer.
    pub fn set_queue(&mut self, packets: u32) {
        self.shared.crowd.share(packets);
    }

    /// How many defects were [contained](Config::contain_defects) so far.
    pub fn defects(&self) -> u64 {
        self.defects.count()
    }

    /// How much is told.
    pub fn watch(&self) -> Watch {
        self.shared.config.watch
    }

    /// The next thing that has happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.shared.journal.fetch()
    }

    /// When to call [`handle_timeout`](Engine::handle_timeout) next, unless something else is handled before: after
    /// that this is to be asked anew. `None` when only packets and commands can make something happen.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let due = earlier(self.shared.timers.next(), self.shared.next_interference());
        let due = earlier(due, self.reassembler.next_expiry());
        let due = earlier(due, self.tidy_at);
        let due = earlier(due, self.writers.next());
        self.clock.when(earlier(due, self.shared.pool.next())?)
    }

    /// Whether nothing is under way: every connection is over or in TIME-WAIT, and no client program runs.
    pub fn is_quiet(&self) -> bool {
        self.flows.iter().all(|(_, flow)| match flow {
            Flow::Tcp(_) => false,
            Flow::TimeWait(_) | Flow::Unheard(_) => true,
            Flow::Udp(flow) => !flow.is_client(),
        })
    }

    /// Whether the program of a flow, or what waits for its connection to be established, is still there.
    pub fn has_program(&self, flow: FlowId) -> bool {
        match self.flow(flow) {
            Some(Flow::Tcp(flow)) => flow.has_program(),
            Some(Flow::Udp(flow)) => flow.is_client(),
            Some(Flow::TimeWait(_) | Flow::Unheard(_)) | None => false,
        }
    }

    /// The state of a connection's end, `None` for one that is over and for UDP.
    pub fn state(&self, flow: FlowId) -> Option<TcpState> {
        match self.flow(flow)? {
            Flow::Tcp(flow) => Some(flow.state()),
            Flow::TimeWait(_) => Some(TcpState::TimeWait),
            Flow::Unheard(_) => Some(TcpState::Listen),
            Flow::Udp(_) => None,
        }
    }

    /// Whether the stack's clock stands still, as stepping holds something.
    pub fn stands(&self) -> bool {
        self.clock.stands()
    }

    fn poll(&mut self, now: Instant, buf: &mut [u8], all: bool) -> Option<Transmit> {
        assert!(
            buf.len() >= self.shared.config.wire().largest(),
            "a buffer shorter than the largest packet"
        );
        let (wall, now) = (now, self.stack_time(now));
        let transmit = self.next_packet(now, buf, all);
        self.set_clock(wall);
        if let Some(Transmit { len, .. }) = transmit {
            self.defects.record(wall, Direction::Out, &buf[..len]);
        }
        transmit
    }

    /// Writes the next packet to `buf`; without `all`, none of flows in bulk.
    fn next_packet(&mut self, now: Instant, buf: &mut [u8], all: bool) -> Option<Transmit> {
        loop {
            self.enter(now);
            if let Some((len, offload)) = self.shared.link.next_kept(buf) {
                return Some(Transmit { len, offload });
            }
            let place = self.line.next(all)?;
            let work = Work::Flow(Activity::Turn, place);
            let driven = self.contained(now, work, None, |engine| {
                Some(engine.drive(now, place, buf))
            });
            let (turn, transmit) = match driven {
                Some(Driven::Packet(transmit)) => (Turn::Sent(transmit.len), Some(transmit)),
                Some(Driven::Last(transmit, _)) => (Turn::SentLast(transmit.len), Some(transmit)),
                Some(Driven::Stopped) => (Turn::Stopped, None),
                Some(Driven::Nothing) => (Turn::Empty, None),
                // It does not stand in line any more.
                None => continue,
            };
            self.line.took(place, turn);
            if transmit.is_some() {
                return transmit;
            }
        }
    }

    /// What the stack's clock says at `now`.
    fn stack_time(&mut self, now: Instant) -> Instant {
        let stack = self.clock.at(now);
        self.shared.journal.ahead = now - stack;
        stack
    }

    /// Lets one flow go on. A packet is written to `buf`, or the flow has nothing to do and was put to rest.
    fn drive(&mut self, now: Instant, place: usize, buf: &mut [u8]) -> Driven {
        let Some(flow) = self.flows.get_mut(place) else {
            return Driven::Nothing;
        };
        match flow {
            Flow::Tcp(flow) => {
                let was_half_open = flow.is_half_open();
                let driven = flow.drive(&mut self.shared, now, buf);
                let established = was_half_open && !flow.is_half_open();
                if established {
                    self.half_open -= 1;
                    self.make_room_for_connection(now);
                }
                let Flow::Tcp(flow) = &mut self.flows[place] else {
                    return driven;
                };
                let settled = match driven {
                    Driven::Packet(_) | Driven::Stopped => return driven,
                    Driven::Last(_, settled) => Some(settled),
                    Driven::Nothing => None,
                };
                match flow.rest(&mut self.shared, now, place, settled) {
                    Rest::Waits => self.watch_writer(now, place),
                    Rest::TimeWait(record) => self.begin_time_wait(now, place, record),
                    Rest::Over => self.end(now, place),
                }
                driven
            }
            Flow::Udp(flow) => {
                if flow.drive(&mut self.shared, now, place) {
                    self.end(now, place);
                }
                Driven::Nothing
            }
            Flow::TimeWait(_) | Flow::Unheard(_) => Driven::Nothing,
        }
    }

    /// A flow may have something to send; see [`Line::stand`].
    fn stand_in_line(&mut self, place: usize, pressing: bool) {
        if let Flow::Tcp(_) | Flow::Udp(_) = &self.flows[place] {
            self.line.stand(place, pressing);
        }
    }

    fn begin_time_wait(&mut self, now: Instant, place: usize, record: TimeWait) {
        let flow = self.flows.remove(place);
        self.occupancy.remove(&flow);
        let Flow::Tcp(flow) = flow else {
            return;
        };
        let (id, key) = (flow.id, flow.key);
        self.defects.adrift = Some((id, key));
        let time_wait = flow.own_time_wait();
        let lasts = time_wait.unwrap_or(self.shared.config.time_wait);
        let ends = flow.time_wait_since().unwrap_or(now) + lasts;
        let result = flow.finish(&mut self.shared, now);
        let waiting = Waiting {
            id,
            key,
            record,
            time_wait,
            result,
        };
        // The place that was just left is the one that is given out next, so the map stays true.
        let waiting = Flow::TimeWait(waiting);
        self.occupancy.add(&waiting);
        let again = self.flows.insert(waiting);
        self.defects.adrift = None;
        debug_assert_eq!(place, again);
        let skipped = ends > now && !self.has_time_wait_to_spare();
        if skipped {
            self.shared.limited(now, Some(id), Limit::TimeWait);
        }
        if ends <= now || skipped {
            // The program has held the connection for the whole of it, or it lasts no time at all.
            return self.end_time_wait(now, again, id, Cause::Timeout(Timer::TimeWait));
        }
        self.shared.timers.set(again, Some(ends));
    }

    /// The peer's FIN came again: the wait begins anew.
    fn restart_time_wait(&mut self, now: Instant, place: usize) {
        let Flow::TimeWait(waiting) = &self.flows[place] else {
            return;
        };
        let lasts = waiting.time_wait.unwrap_or(self.shared.config.time_wait);
        self.shared.timers.set(place, Some(now + lasts));
    }

    fn end_time_wait(&mut self, now: Instant, place: usize, id: FlowId, cause: Cause) {
        let transition = Transition {
            from: TcpState::TimeWait,
            to: TcpState::Closed,
            cause,
        };
        self.shared
            .journal
            .tell(now, Some(id), EventKind::Transition(transition));
        let key = self.flows[place].key();
        self.shared.entered(now, id, key, TcpState::Closed);
        self.end(now, place);
    }

    fn flow(&self, id: FlowId) -> Option<&Flow> {
        self.flows.get(*self.places.get(&id)?)
    }

    /// Gives a flow a place, where its packets and commands find it.
    fn seat(&mut self, flow: Flow) -> usize {
        let (id, key) = (flow.id(), flow.key());
        self.occupancy.add(&flow);
        let place = self.flows.insert(flow);
        self.line.seat(place);
        self.map.insert(key, place);
        self.places.insert(id, place);
        self.defects.adrift = None;
        place
    }

    /// The opposite.
    fn unseat(&mut self, place: usize) -> Option<Flow> {
        let flow = self.flows.try_remove(place)?;
        self.shared.timers.set(place, None);
        self.occupancy.remove(&flow);
        self.places.remove(&flow.id());
        let key = flow.key();
        if self.map.get(&key) == Some(&place) {
            self.map.remove(&key);
        }
        Some(flow)
    }

    /// Takes a flow out.
    fn end(&mut self, now: Instant, place: usize) {
        let Some(flow) = self.unseat(place) else {
            return;
        };
        if self.is_roomy() && self.tidy_at.is_none() {
            self.tidy_at = Some(now + limits::ROOMY);
        }
        let id = flow.id();
        self.defects.adrift = Some((id, flow.key()));
        let result = match flow {
            Flow::Tcp(flow) => {
                if flow.is_half_open() {
                    self.half_open -= 1;
                }
                flow.finish(&mut self.shared, now)
            }
            Flow::TimeWait(waiting) => waiting.result,
            Flow::Udp(flow) => flow.finish(),
            Flow::Unheard(_) => {
                self.forget_unheard();
                None
            }
        };
        if let Some(interference) = &mut self.shared.interference {
            interference.judge.forget(id);
        }
        self.shared.link.originals.forget(id);
        self.defects.adrift = None;
        self.shared
            .journal
            .tell(now, Some(id), EventKind::Closed(Closed { result }));
    }
}

impl Flow {
    fn id(&self) -> FlowId {
        match self {
            Flow::Tcp(flow) => flow.id,
            Flow::TimeWait(waiting) => waiting.id,
            Flow::Udp(flow) => flow.id,
            Flow::Unheard(unheard) => unheard.id,
        }
    }

    fn key(&self) -> FlowKey {
        match self {
            Flow::Tcp(flow) => flow.key,
            Flow::TimeWait(waiting) => waiting.key,
            Flow::Udp(flow) => flow.key,
            Flow::Unheard(unheard) => unheard.key,
        }
    }
}
