//! A scenario between two stacks of ours, in virtual time.

use super::check::{Failure, Outcome};
use super::expect::Kernel;
use super::steps::Received;
use super::{On, Scenario};
use crate::engine::{Command, Config, ConnectError, Engine};
use crate::event::{Event, EventKind, FlowId, Transport};
use crate::service::{Connection, UdpSocket};
use crate::sim::{Side, Sim};
use crate::view::View;
use smoltcp::time::Instant;
use smoltcp::wire::IpCidr;
use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

/// The most that may happen in a simulation: a service that talks without end shall not keep us for ever.
const MOST_EVENTS: u64 = 100_000;
/// The ports of a simultaneous open, which both ends must know.
const CLIENT_PORT: u16 = 40_000;

/// How a simulation went.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was not as expected; nothing where all was well.
    pub failures: Vec<Failure>,
    /// How the client ended.
    pub outcome: Outcome,
}

/// Why a scenario can't be simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CannotSimulate {
    /// Its client is a command.
    #[error("its client is a command, which needs a lab: give it `steps` too")]
    Command,
    /// More happens than a simulation takes, as somebody talks without end.
    #[error("more than {MOST_EVENTS} events: let less be said, or make `limit` shorter")]
    TooMuch,
    /// There is no connection that could be begun.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

impl Scenario {
    /// Carries it out between two stacks of ours, in virtual time.
    ///
    /// # Errors
    /// See [`CannotSimulate`].
    pub fn simulate(&self, kernel: Kernel) -> Result<Report, CannotSimulate> {
        self.simulate_watched(kernel, |_, _, _| {})
    }

    /// The same; `watch` is shown what happens at our end, and told after each event whether something was found to be wrong
    /// by then.
    ///
    /// # Errors
    /// See [`CannotSimulate`].
    pub fn simulate_watched(
        &self,
        kernel: Kernel,
        mut watch: impl FnMut(&View, &Event, bool),
    ) -> Result<Report, CannotSimulate> {
        let on = self
            .place(Some(On::Simulator))
            .ok_or(CannotSimulate::Command)?;
        let limit = self.limit(on);
        let mut checker = self.checker(on, kernel);
        let mut view = View::new();
        let progress = Progress::default();
        let (mut sim, flow) = self.begin(&progress)?;
        // Nobody waits for the connection any more once it has come or failed.
        let mut patience = self
            .client
            .connect_timeout
            .map(|timeout| Instant::ZERO + timeout);
        let mut ended: Option<(Instant, Outcome)> = None;
        let mut told = 0;
        loop {
            if told > MOST_EVENTS {
                return Err(CannotSimulate::TooMuch);
            }
            if let Some(end) = patience
                && sim.next_at().is_none_or(|at| at > end)
            {
                patience = None;
                sim.run_until(end);
                sim.left().handle_command(end, Command::Abort(flow));
            }
            let goes_on = sim.step();
            while let Some((side, event)) = sim.poll_event() {
                told += 1;
                match (side, &event.kind) {
                    (Side::Right, _) => {
                        view.event(&event);
                        checker.event(&view, &event);
                        watch(&view, &event, checker.has_failed());
                    }
                    (Side::Left, EventKind::Transition(to)) if to.to.is_synchronized() => {
                        patience = None;
                    }
                    (Side::Left, EventKind::Closed(_)) if event.flow == Some(flow) => {
                        patience = None;
                        let never_opened = || Err("the connection was not opened".to_owned());
                        progress
                            .end
                            .borrow_mut()
                            .get_or_insert_with(|| (event.at, never_opened()));
                    }
                    _ => {}
                }
            }
            if ended.is_none() {
                ended = progress.outcome();
            }
            let is_over = match &ended {
                Some((at, _)) => {
                    let is_quiet = sim.left().is_quiet() && sim.right().is_quiet();
                    is_quiet && checker.is_satisfied() || sim.now() > *at + self.linger(on)
                }
                None => sim.now() > Instant::ZERO + limit,
            };
            if is_over || !goes_on {
                break;
            }
        }
        let outcome = ended.map_or_else(
            || Outcome {
                stdout: progress.received.take(),
                duration: sim.now() - Instant::ZERO,
                over_limit: true,
                ..Outcome::default()
            },
            |(_, outcome)| outcome,
        );
        Ok(Report {
            failures: checker.finish(&outcome, limit),
            outcome,
        })
    }

    /// Both ends, and the client's flow.
    fn begin(&self, progress: &Progress) -> Result<(Sim, FlowId), ConnectError> {
        let host = |number: u8| match self.client.ip {
            6 => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into()]),
            _ => IpAddr::from([192, 0, 2, number]),
        };
        let [kernel, own] = [1, 2].map(host);
        let prefix = if own.is_ipv4() { 24 } else { 64 };
        let cidr = |address: IpAddr| IpCidr::new(address.into(), prefix);
        let mut server = Engine::new(self.config(&[cidr(own)]));
        server.serve_standard(&self.stack.password);
        let client = Engine::new(Config {
            seed: self.stack.seed.wrapping_add(1),
            ..Config::new([cidr(kernel)])
        });
        let mut sim = Sim::new(client, server, self.client.latency);
        let now = sim.now();
        let peer = SocketAddr::new(self.address(cidr(own)), self.client.port);
        let Some(steps) = self.client.steps.clone() else {
            return Err(ConnectError::Unaddressable(peer));
        };
        let theirs = progress.clone();
        if steps.transport == Transport::Udp {
            let begin = |socket: UdpSocket| async move {
                let task = socket.task().clone();
                let result = steps.on_socket(socket, theirs.received.clone()).await;
                theirs.ends(task.now(), result)
            };
            let flow = sim.left().connect_udp(now, "client", None, peer, begin)?;
            return Ok((sim, flow));
        }
        let local = self.client.simultaneous_open.then_some(CLIENT_PORT);
        let begin = |conn: Connection| async move {
            let task = conn.task().clone();
            let result = steps.on_connection(conn, theirs.received.clone()).await;
            theirs.ends(task.now(), result)
        };
        let flow = sim.left().connect_tcp(now, "client", local, peer, begin)?;
        if self.client.simultaneous_open {
            let back = SocketAddr::new(kernel, CLIENT_PORT);
            let port = Some(self.client.port);
            sim.right()
                .connect_tcp(now, "client", port, back, |conn| async move {
                    conn.drain().await?;
                    conn.close().await
                })?;
        }
        Ok((sim, flow))
    }
}

/// How far the client has come.
#[derive(Clone, Default)]
struct Progress {
    received: Received,
    end: Rc<RefCell<Option<End>>>,
}

/// When its steps were over, and why if one has failed.
type End = (Instant, Result<(), String>);

impl Progress {
    fn ends(&self, now: Instant, result: io::Result<()>) -> io::Result<()> {
        let said = result.as_ref().map_err(ToString::to_string).copied();
        self.end.borrow_mut().get_or_insert((now, said));
        result
    }

    /// How it ended and when, if it has.
    fn outcome(&self) -> Option<(Instant, Outcome)> {
        let (at, result) = self.end.borrow().clone()?;
        let outcome = Outcome {
            exit: u8::from(result.is_err()),
            stdout: self.received.take(),
            stderr: result.err().unwrap_or_default().into_bytes(),
            duration: at - Instant::ZERO,
            over_limit: false,
        };
        Some((at, outcome))
    }
}
