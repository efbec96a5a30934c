//! A TCP endpoint made of glass: a real TCP/IP stack in user space that shows every segment and every state
//! transition, with its cause.
//!
//! The `tcplab` program puts it behind a TUN device, so that unmodified programs connect to it. The README tells how
//! it is used. This page is for those who build on the crate, or read it.
//!
//! # The run loop
//!
//! An [`Engine`](engine::Engine) does no input or output and reads no clock. What `handle_*` takes and `poll_*` gives is all
//! there is, and each `handle_*` is followed by a full drain:
//!
//! ```text
//!                 ┌────────────────────────── wait ◀───────────────────────────┐
//!                 │    for a packet, a signal, or poll_timeout to pass         │
//!                 ▼                                                            │
//!   handle_packet    one IP packet from the wire                               │
//!   handle_command   close, abort, wake; connect_* opens                       │
//!   handle_timeout   the timers that are due                                   │
//!                 │                                                            │
//!                 ▼                                                            │
//!   poll_transmit    until None: packets to the wire; services run in here     │
//!   poll_event       until None: what has happened, for View and sinks ────────┘
//! ```
//!
//! [`sys::driver`] is this loop on a TUN, and [`sim`] is it between two engines in virtual time. A TUN has a queue that would
//! overflow while thousands of packets leave. So the driver's drain is one of [`poll_sparse`](engine::Engine::poll_sparse),
//! which leaves out what flows in bulk have to send; of that, some dozens of packets leave before the TUN is read again.
//! Here a connection is opened,
//! used and closed on the simulator:
//!
//! ```
//! use smoltcp::time::{Duration, Instant};
//! use tcplab::engine::{Config, Engine};
//! use tcplab::event::{EventKind, Transition};
//! use tcplab::service::discard::discard;
//! use tcplab::sim::{Side, Sim};
//! use tcplab::state::TcpState::{CloseWait, Closed, Established, LastAck, Listen, SynReceived};
//!
//! let mut server = Engine::new(Config::new(["192.0.2.2/24".parse().unwrap()]));
//! server.serve_tcp(9, "discard", discard);
//! let client = Engine::new(Config::new(["192.0.2.1/24".parse().unwrap()]));
//!
//! let mut sim = Sim::new(client, server, Duration::from_millis(10));
//! let peer = "192.0.2.2:9".parse().unwrap();
//! sim.left().connect_tcp(Instant::ZERO, "close", None, peer, |conn| async move { conn.close().await }).unwrap();
//! sim.run_until(Instant::from_secs(1));
//!
//! let mut states = vec![Listen];
//! while let Some((side, event)) = sim.poll_event() {
//!     if let (Side::Right, EventKind::Transition(Transition { to, .. })) = (side, event.kind) {
//!         states.push(to);
//!     }
//! }
//! assert_eq!(states, [Listen, SynReceived, Established, CloseWait, LastAck, Closed]);
//! ```
//!
//! # Three invariants
//!
//! 1. **Every packet crosses the link once in each direction and yields exactly one packet event, which states its
//!    [fate](event::Fate).** Nothing passes another way.
//! 2. **One thing at a time.** The engine delivers one segment, *or* makes one user call, *or* fires one timer, and
//!    looks at the state after each. So every [transition](event::Transition) has exactly one [cause](event::Cause), and the
//!    causes are those of RFC 9293, section 3.10: a segment arrived, a user call, a time-out.
//! 3. **Same inputs, same bytes out.** Time is an argument, chance follows from [one seed](engine::Config::seed), and no hash
//!    map's order shows.
//!
//! No input takes the process down: a defect, which is a panic, costs the flow in which it shows. It is caught where the
//! engine begins to work for one flow, that flow is reset and taken out of all books, an [event](event::EventKind::Defect)
//! reports it with the last packets, and everything else goes on. That is a matter of
//! [`Config::contain_defects`](engine::Config::contain_defects): the commands turn it on, tests and fuzzing leave it off, so
//! that they fail. Nothing below `engine` catches anything.
//!
//! # The map
//!
//! A module uses only those above it; none above [`sys`] touches the operating system.
//!
//! | module | what it is |
//! |---|---|
//! | [`segment`] | bytes to a description, which never fails; packetdrill notation |
//! | [`state`] | the eleven states of RFC 9293 and the legal edges between them |
//! | [`event`] | the one vocabulary for what happens |
//! | [`fault`] | what is to go wrong: rules about packets, knobs of the stack, a catalogue of both |
//! | `link` | the one place where packets cross |
//! | `stack` | smoltcp held one step at a time; the flow table, TIME-WAIT, fragments, initial sequence numbers |
//! | `tcb` | everything known of one connection, and what it makes of a segment |
//! | [`service`] | `Connection`, and one file for each service and its client |
//! | [`engine`] | link, stack and services: the whole endpoint |
//! | [`sim`] | two engines and one virtual clock |
//! | [`words`] | every sentence that people read, in English and Chinese |
//! | [`view`] | events folded into what people ask of a connection |
//! | [`step`] | stepping by hand: what waits, and what is said about it |
//! | [`capture`] | packets captured by other tools, as events |
//! | [`scenario`] | what a client does, what goes wrong, what shall happen: read from a file, and judged |
//! | [`sink`] | ladder, story, log, summary, JSON lines, pcapng, reports, metrics: events to bytes |
//! | `quiz` | predict mode: asks what comes next, and judges the answers |
//! | [`sys`] | TUN, private lab, waiting, clock: all that Linux is asked for |
//! | [`ui`] | the live screen |
//! | [`cli`] | the command line: arguments, a checked plan, carrying it out |

pub mod segment;

pub mod state;

pub mod event;
pub mod fault;

mod link;

mod stack;

mod tcb;

pub mod service;

pub mod engine;

pub mod sim;

pub mod view;

pub mod step;

pub mod words;

pub mod capture;

pub mod sink;

mod quiz;

pub mod scenario;

pub mod sys;

pub mod ui;

pub mod cli;

/// The code of the README compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
