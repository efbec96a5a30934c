//! Counters for Prometheus.
//!
//! | name | type | labels | what |
//! |---|---|---|---|
//! | `tcplab_handshakes_total` | counter | `result` | connections whose handshake ended: `completed`, `refused` (RST), `abandoned` (no answer in time), `aborted` (by our program) |
//! | `tcplab_handshake_seconds` | histogram | | from the first SYN to ESTABLISHED |
//! | `tcplab_connection_seconds` | histogram | | from the first SYN to the end, TIME-WAIT included |
//! | `tcplab_flows` | gauge | `state` | connections by the state of our end |
//! | `tcplab_exchanges_total` | counter | | exchanges of UDP datagrams that began |
//! | `tcplab_packets_total` | counter | `direction`, `transport`, `fate` | packets that came to the link: `delivered`, what a rule has made of them (`dropped`, `delayed`, `held`, `duplicated`, `rewritten`, `injected`), or why our stack discarded them |
//! | `tcplab_released_total` | counter | `direction`, `fate` | packets that were delayed or held and went on, or were `dropped` after all |
//! | `tcplab_payload_bytes_total` | counter | `direction`, `transport` | bytes of data in them, retransmissions included |
//! | `tcplab_limits_total` | counter | `limit` | how often there was as much of something as there may be: `backlog`, `connections`, `exchanges`, `time-wait`, `fragments`, `gaps`, `waiting`, `icmp-errors`, `events` |
//! | `tcplab_defects_total` | counter | | panics that were contained: each has cost a flow or a packet |
//! | `tcplab_retransmissions_total` | counter | `cause` | segments of ours that were sent again: `timeout`, `duplicate-acks`, `gap` |

use super::Sink;
use crate::event::{
    self, Direction, Event, EventKind, Fate, FlowId, Packet, Reason, Transition, Transport,
};
use crate::segment::Body;
use crate::state::TcpState;
use crate::view::View;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use smoltcp::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// Upper bounds in seconds: from what a handshake on one machine takes to what a lost SYN costs.
const HANDSHAKE_BUCKETS: [f64; 12] = [
    0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 60.0,
];
/// Upper bounds in seconds: from one request to a long conversation.
const CONNECTION_BUCKETS: [f64; 12] = [
    0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 60.0, 300.0, 3600.0,
];

/// Counts what happens. [`Metrics::page`] may be read from another thread at any time.
#[derive(Debug)]
pub struct Metrics {
    handshakes: Family<Result, Counter>,
    handshake_seconds: Histogram,
    connection_seconds: Histogram,
    flows: Family<State, Gauge>,
    exchanges: Counter,
    packets: Family<Crossing, Counter>,
    released: Family<Released, Counter>,
    bytes: Family<Payload, Counter>,
    retransmissions: Family<Cause, Counter>,
    limits: Family<Limit, Counter>,
    defects: Counter,
    page: Page,
    /// The connections that there are, with their state and when they began.
    live: BTreeMap<FlowId, (TcpState, Instant)>,
}

/// The page that Prometheus reads. Clones are of the same page.
#[derive(Clone, Debug)]
pub struct Page {
    registry: Arc<Registry>,
}

impl Page {
    /// The text of the page as it is now, in the OpenMetrics text format 1.0.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Result {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Crossing {
    direction: &'static str,
    transport: &'static str,
    fate: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Released {
    direction: &'static str,
    fate: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Payload {
    direction: &'static str,
    transport: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Cause {
    cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Limit {
    limit: &'static str,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

impl Metrics {
    /// Everything at zero.
    pub fn new() -> Metrics {
        let handshakes = Family::default();
        let handshake_seconds = Histogram::new(HANDSHAKE_BUCKETS);
        let connection_seconds = Histogram::new(CONNECTION_BUCKETS);
        let flows = Family::default();
        let exchanges = Counter::default();
        let packets = Family::default();
        let released = Family::default();
        let bytes = Family::default();
        let retransmissions = Family::default();
        let limits = Family::default();
        let defects = Counter::default();

        let mut registry = Registry::with_prefix("tcplab");
        registry.register(
            "handshakes",
            "Connections whose handshake ended",
            handshakes.clone(),
        );
        registry.register(
            "handshake_seconds",
            "Time from the first SYN to ESTABLISHED",
            handshake_seconds.clone(),
        );
        registry.register(
            "connection_seconds",
            "Time from the first SYN to the end of a connection",
            connection_seconds.clone(),
        );
        registry.register(
            "flows",
            "Connections by the state of our end",
            flows.clone(),
        );
        registry.register(
            "exchanges",
            "Exchanges of UDP datagrams that began",
            exchanges.clone(),
        );
        registry.register("packets", "Packets that came to the link", packets.clone());
        registry.register(
            "released",
            "Packets that waited in the link and went on, or were dropped after all",
            released.clone(),
        );
        registry.register("payload_bytes", "Bytes of data in packets", bytes.clone());
        registry.register(
            "retransmissions",
            "Segments retransmitted",
            retransmissions.clone(),
        );
        registry.register(
            "limits",
            "How often there was as much of something as there may be",
            limits.clone(),
        );
        registry.register(
            "defects",
            "Panics that were contained: each has cost a flow or a packet",
            defects.clone(),
        );
        Metrics {
            handshakes,
            handshake_seconds,
            connection_seconds,
            flows,
            exchanges,
            packets,
            released,
            bytes,
            retransmissions,
            limits,
            defects,
            page: Page {
                registry: Arc::new(registry),
            },
            live: BTreeMap::new(),
        }
    }

    /// The page that shows these counters.
    pub fn page(&self) -> Page {
        self.page.clone()
    }

    fn packet(&self, packet: &Packet) {
        let direction = packet.direction.name();
        let transport = match packet.described.body {
            Body::Tcp(_) => Transport::Tcp.name(),
            Body::Udp(_) => Transport::Udp.name(),
            Body::Icmp(_) => "icmp",
            _ => "other",
        };
        let fate = fate(packet);
        self.packets
            .get_or_create(&Crossing {
                direction,
                transport,
                fate,
            })
            .inc();
        let payload = packet
            .described
            .payload()
            .map_or(0, |payload| payload.len());
        self.bytes
            .get_or_create(&Payload {
                direction,
                transport,
            })
            .inc_by(payload as u64);
        if let (Direction::Out, Some(Reason::Resent(resend))) = (packet.direction, packet.reason) {
            let cause = resend.name();
            self.retransmissions.get_or_create(&Cause { cause }).inc();
        }
    }

    fn transition(&mut self, flow: FlowId, transition: &Transition, at: Instant) {
        let Some((state, since)) = self.live.get_mut(&flow) else {
            return;
        };
        let since = *since;
        let before = std::mem::replace(state, transition.to);
        self.count(before, -1);
        self.count(transition.to, 1);
        let result = match (transition.from, transition.cause) {
            (TcpState::SynSent | TcpState::SynReceived, _) if transition.to.is_synchronized() => {
                if transition.to == TcpState::FinWait1 {
                    "aborted"
                } else {
                    self.handshake_seconds.observe(seconds(at - since));
                    "completed"
                }
            }
            (TcpState::SynSent | TcpState::SynReceived, cause)
                if matches!(transition.to, TcpState::Closed | TcpState::Listen) =>
            {
                match cause {
                    event::Cause::Segment(_) => "refused",
                    event::Cause::Timeout(_) => "abandoned",
                    event::Cause::Call(_) => "aborted",
                }
            }
            _ => return,
        };
        self.handshakes.get_or_create(&Result { result }).inc();
    }

    fn count(&self, state: TcpState, change: i64) {
        // A connection that is over, or has not begun, is none.
        if !matches!(state, TcpState::Closed | TcpState::Listen) {
            self.flows
                .get_or_create(&State {
                    state: state.name(),
                })
                .inc_by(change);
        }
    }
}

impl Sink for Metrics {
    fn event(&mut self, _: &View, event: &Event) -> io::Result<()> {
        match &event.kind {
            EventKind::Opened(opened) => match (event.flow, opened.transport) {
                (Some(flow), Transport::Tcp) => {
                    self.live.insert(flow, (TcpState::Closed, event.at));
                }
                _ => {
                    self.exchanges.inc();
                }
            },
            EventKind::Packet(packet) => self.packet(packet),
            EventKind::Transition(transition) => {
                if let Some(flow) = event.flow {
                    self.transition(flow, transition, event.at);
                }
            }
            EventKind::Closed(_) => {
                let ended = event.flow.and_then(|flow| self.live.remove(&flow));
                if let Some((state, since)) = ended {
                    self.count(state, -1);
                    self.connection_seconds.observe(seconds(event.at - since));
                }
            }
            EventKind::Released(released) => {
                let packet = &released.packet;
                self.released
                    .get_or_create(&Released {
                        direction: packet.direction.name(),
                        fate: fate(packet),
                    })
                    .inc();
            }
            EventKind::Limited(limit, count) => {
                let limit = limit.name();
                self.limits.get_or_create(&Limit { limit }).inc_by(*count);
            }
            EventKind::Defect(_) => {
                self.defects.inc();
            }
            EventKind::Asked(_) | EventKind::Note(_) => {}
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, _: &View) -> io::Result<()> {
        Ok(())
    }
}

fn fate(packet: &Packet) -> &'static str {
    match packet.fate {
        Fate::Discarded(why) => why.reason(),
        ref fate => fate.name(),
    }
}

fn seconds(duration: Duration) -> f64 {
    duration.total_micros() as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Command, Config, Engine};
    use crate::event::{Release, RuleId};
    use crate::sim::{Side, Sim};
    use crate::view::script::Script;

    /// Three connections over a wire on which the first SYN-ACK gets lost: one that closes, one that is refused, one
    /// that stays; and one datagram.
    fn page() -> String {
        let mut server = Engine::new(Config::new(["192.0.2.2/24".parse().unwrap()]));
        server.serve_standard("123");
        let client = Engine::new(Config::new(["192.0.2.1/24".parse().unwrap()]));
        let mut sim = Sim::new(client, server, Duration::from_millis(10));
        let mut lost = false;
        sim.lose(move |crossing| {
            let first = crossing.from == Side::Right && !lost;
            lost |= first;
            first
        });
        let at = |port| std::net::SocketAddr::from(([192, 0, 2, 2], port));
        let now = sim.now();
        let left = sim.left();
        left.connect_tcp(now, "talk", None, at(7), |conn| async move {
            conn.write_all(b"12345").await?;
            conn.read_up_to(5).await?;
            conn.close().await
        })
        .unwrap();
        sim.run_until(Instant::from_secs(5));
        let now = sim.now();
        let stays = sim
            .left()
            .connect_tcp(now, "stay", None, at(9), |conn| async move {
                conn.sleep(Duration::from_secs(1000)).await;
                Ok(())
            });
        let stays = stays.unwrap();
        sim.left()
            .connect_udp(now, "greet", None, at(1111), |socket| async move {
                socket.send("hi");
                socket.recv().await.map(drop)
            })
            .unwrap();
        sim.run_until(Instant::from_secs(100));
        assert_eq!(sim.left().state(stays), Some(TcpState::Established));
        let now = sim.now();
        let refused = sim
            .left()
            .connect_tcp(now, "try", None, at(7), |_| async { Ok(()) });
        sim.left()
            .handle_command(now, Command::Abort(refused.unwrap()));
        sim.run_until(Instant::from_secs(200));

        let (mut metrics, view) = (Metrics::new(), View::new());
        let mut script = Script::new();
        script.stray(b"", Fate::Held(RuleId(1)));
        script.stray(b"", Fate::Dropped(RuleId(1)));
        script.released(1, Fate::Dropped(RuleId::HAND), Release::Hand);
        let (at, flow, kind) = (
            Instant::ZERO,
            None,
            EventKind::Limited(event::Limit::Backlog, 3),
        );
        let limited = Event {
            number: 1,
            at,
            flow,
            kind,
        };
        for event in script.events.iter().chain([&limited]) {
            metrics.event(&view, event).unwrap();
        }
        while let Some((side, event)) = sim.poll_event() {
            if side == Side::Right {
                metrics.event(&view, &event).unwrap();
            }
        }
        metrics.page().text()
    }

    #[test]
    fn the_page_counts_what_happened() {
        let page = page();
        for line in [
            "tcplab_handshakes_total{result=\"completed\"} 2",
            "tcplab_handshake_seconds_count 2",
            "tcplab_handshake_seconds_bucket{le=\"0.1\"} 1",
            "tcplab_handshake_seconds_bucket{le=\"3.0\"} 2",
            "tcplab_connection_seconds_count 1",
            "tcplab_flows{state=\"ESTABLISHED\"} 1",
            "tcplab_flows{state=\"LAST-ACK\"} 0",
            "tcplab_exchanges_total 1",
            "tcplab_payload_bytes_total{direction=\"in\",transport=\"udp\"} 2",
            "tcplab_payload_bytes_total{direction=\"out\",transport=\"tcp\"} 5",
            "tcplab_retransmissions_total{cause=\"timeout\"} 1",
            "tcplab_packets_total{direction=\"in\",transport=\"other\",fate=\"held\"} 1",
            "tcplab_released_total{direction=\"in\",fate=\"dropped\"} 1",
            "tcplab_limits_total{limit=\"backlog\"} 3",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
    }

    #[test]
    fn what_is_documented_is_what_is_there() {
        let documented: Vec<&str> = include_str!("metrics.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("//! | `tcplab_")?.split('`').next())
            .map(|name| name.trim_end_matches("_total"))
            .collect();
        let page = page();
        let there: Vec<&str> = page
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE tcplab_")?.split(' ').next())
            .collect();
        for name in &there {
            assert!(documented.contains(name), "{name}");
        }
        assert_eq!(documented.len(), there.len());
    }
}
