use super::*;
use crate::engine::{Command, Config, Engine};
use crate::event::{Crossed, Discard, Fate, RuleId, Timer, UserCall};
use crate::service::{Connection, Console, hello, password};
use crate::sim::{Crossing, Side, Sim};
use crate::sink::Screen;
use crate::sink::ladder::{Ladder, Options};
use crate::state::TcpState;
use crate::view::script::Script;
use std::future::Future;
use std::net::SocketAddr;
use unicode_width::UnicodeWidthStr;

const WIDTH: usize = 80;
const PORT: u16 = 1111;

/// What the right side sees of a conversation, 10 ms away, as a ladder with its story.
struct Lab {
    sim: Sim,
}

impl Lab {
    fn new(serve: impl FnOnce(&mut Engine)) -> Lab {
        Lab::with(|config| config.buffer = 4096, serve)
    }

    fn with(change: impl Fn(&mut Config), serve: impl FnOnce(&mut Engine)) -> Lab {
        let config = |address: &str, seed| {
            let mut config = Config {
                seed,
                ..Config::new([address.parse().unwrap()])
            };
            change(&mut config);
            config
        };
        let mut server = Engine::new(config("192.0.2.2/24", 1));
        serve(&mut server);
        let client = Engine::new(config("192.0.2.1/24", 2));
        Lab {
            sim: Sim::new(client, server, Duration::from_millis(10)),
        }
    }

    /// Loses those packets of the server that `lose` tells, counted from 0.
    fn lose_from_server(mut self, lose: &'static [usize]) -> Lab {
        let mut sent = 0;
        self.sim.lose(move |crossing: &Crossing<'_>| {
            if crossing.from == Side::Left {
                return false;
            }
            sent += 1;
            lose.contains(&(sent - 1))
        });
        self
    }

    fn client<F>(mut self, program: impl FnOnce(Connection) -> F + 'static) -> Lab
    where
        F: Future<Output = std::io::Result<()>> + 'static,
    {
        let now = self.sim.now();
        let from = "192.0.2.1:40001".parse().ok();
        self.sim
            .left()
            .connect_tcp(now, "client", from, server(), program)
            .unwrap();
        self
    }

    fn until(mut self, millis: i64) -> Lab {
        self.sim.run_until(Instant::from_millis(millis));
        self
    }

    fn events(mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.sim.poll_event())
            .filter(|(side, _)| *side == Side::Right)
            .map(|(_, event)| event)
            .collect()
    }
}

fn server() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 2], PORT))
}

fn draw(events: &[Event], lang: Lang, explain: Depth) -> String {
    let mut view = View::new();
    let mut ladder = Ladder::new(Options {
        screen: Screen {
            width: WIDTH,
            colour: false,
            unicode: true,
        },
        verbose: 1,
        explain,
        lang,
        time_wait: Some(Duration::from_secs(60)),
        keep: false,
    });
    let mut out = Vec::new();
    for event in events {
        view.event(event);
        ladder.event(&view, event, &mut out).unwrap();
    }
    ladder.flush(&mut out).unwrap();
    let drawn = String::from_utf8(out).unwrap();
    for line in drawn.lines() {
        assert!(line.width() <= WIDTH, "{line}");
    }
    drawn
}

/// The story of `events` in both languages.
fn check(name: &str, depth: Depth, events: &[Event]) {
    for (lang, suffix) in [(Lang::En, "en"), (Lang::Zh, "zh")] {
        insta::assert_snapshot!(format!("{name}_{suffix}"), draw(events, lang, depth));
    }
}

fn life() -> Vec<Event> {
    let console = Console::new();
    console.feed(b"123\n");
    Lab::new(|server| {
        server.serve_tcp(PORT, "password", |conn| {
            password::password(conn, "123".into())
        });
    })
    .client(|conn| password::password_client(conn, console))
    .until(1_000)
    .events()
}

#[test]
fn normal_life() {
    let events = life();
    check("life_brief", Depth::Brief, &events);
    check("life_normal", Depth::Normal, &events);
    check("life_deep", Depth::Deep, &events);
    let silent = draw(&events, Lang::En, Depth::None);
    assert!(!silent.contains('↳'), "{silent}");
}

/// A handshake lost, then data lost: by itself, and with more behind it.
#[test]
fn retransmission() {
    let events = Lab::new(|server| {
        server.serve_tcp(PORT, "data", |conn| async move {
            conn.write_all(b"alone").await?;
            conn.sleep(Duration::from_secs(4)).await;
            conn.write_all(&[b'x'; 4096]).await?;
            conn.close().await
        });
    })
    // The SYN-ACK, "alone", and of the rest the first.
    .lose_from_server(&[0, 2, 4])
    .client(|conn| async move { conn.drain().await })
    .until(20_000)
    .events();
    check("retransmission", Depth::Normal, &events);
}

/// Enough behind what is lost for three duplicate ACKs, seen from both ends.
#[test]
fn fast_retransmission() {
    let lab = Lab::with(
        |_| (),
        |server| {
            server.serve_tcp(PORT, "data", |conn| async move {
                conn.write_all(&[b'x'; 100_000]).await?;
                conn.close().await
            });
        },
    );
    let mut lab = lab
        .lose_from_server(&[12])
        .client(|conn| async move { conn.drain().await })
        .until(20_000);
    let events: Vec<(Side, Event)> = std::iter::from_fn(|| lab.sim.poll_event()).collect();
    for (of, expected) in [
        (
            Side::Right,
            [
                "duplicate ACK number 3",
                "SACK: the peer already holds",
                "(fast retransmit)",
            ],
        ),
        (
            Side::Left,
            [
                "tcplab repeats ack",
                "SACK: tcplab already holds",
                "something before it is lost or late",
            ],
        ),
    ] {
        let events: Vec<Event> = events
            .iter()
            .filter(|(side, _)| *side == of)
            .map(|(_, event)| event.clone())
            .collect();
        let drawn = unwrapped(&draw(&events, Lang::En, Depth::Normal));
        for words in expected {
            assert!(drawn.contains(words), "{words}: {drawn}");
        }
    }
}

#[test]
fn keep_alive() {
    let lab = Lab::with(
        |config| config.keep_alive = Some(Duration::from_secs(5)),
        |server| server.serve_tcp(PORT, "data", |conn| async move { conn.drain().await }),
    );
    let events = lab
        .client(|conn| async move { conn.drain().await })
        .until(12_000)
        .events();
    let drawn = unwrapped(&draw(&events, Lang::En, Depth::Normal));
    for words in [
        "keep-alive probe: the peer repeats",
        "keep-alive probe: tcplab repeats",
        "tcplab answers the probe",
        "the peer answers the probe",
    ] {
        assert!(drawn.contains(words), "{words}: {drawn}");
    }
}

/// The words of a ladder without its lines.
fn unwrapped(drawn: &str) -> String {
    let words: Vec<&str> = drawn.split_whitespace().collect();
    words.join(" ")
}

#[test]
fn zero_window() {
    let events = Lab::new(|server| {
        server.serve_tcp(PORT, "sleeper", |conn| async move {
            conn.sleep(Duration::from_secs(3)).await;
            conn.drain().await
        });
    })
    .client(|conn| async move {
        conn.write_all(&[b'x'; 6000]).await?;
        conn.close().await
    })
    .until(5_000)
    .events();
    check("zero_window_of_ours", Depth::Normal, &events);

    let events = Lab::new(|server| {
        server.serve_tcp(PORT, "data", |conn| async move {
            conn.write_all(&[b'x'; 6000]).await?;
            conn.close().await
        });
    })
    .client(|conn| async move {
        conn.sleep(Duration::from_secs(3)).await;
        conn.drain().await
    })
    .until(5_000)
    .events();
    check("zero_window_of_the_peer", Depth::Normal, &events);
}

#[test]
fn resets() {
    let refused = Lab::new(|_| ()).client(read_all).until(500);
    check("nobody_listens", Depth::Normal, &refused.events());

    let mut aborted = Lab::new(|server| {
        server.serve_tcp(PORT, "data", |conn| async move {
            conn.write_all(b"hello").await?;
            conn.drain().await
        });
    })
    .client(|conn| async move { conn.drain().await })
    .until(100);
    let now = aborted.sim.now();
    aborted.sim.right().handle_command(now, Command::AbortAll);
    check("aborted", Depth::Deep, &aborted.until(200).events());

    let mut script = Script::new();
    script.active().call(TcpState::SynSent, UserCall::Open);
    script.put("S", 0, None, b"").wait(90);
    script.get("R", 0, Some(1), b"").to(TcpState::Closed);
    script.over(Some(Err("connection refused".into())));
    check("refused", Depth::Normal, &script.events);
}

async fn read_all(conn: Connection) -> std::io::Result<()> {
    conn.drain().await
}

#[test]
fn datagrams() {
    let console = Console::new();
    let mut lab = Lab::new(|server| server.serve_udp(PORT, "hello", hello::Hello));
    let now = lab.sim.now();
    let from = "192.0.2.1:40002".parse().ok();
    lab.sim
        .left()
        .connect_udp(now, "hello", from, server(), |socket| {
            hello::hello_client(socket, console)
        })
        .unwrap();
    check("datagrams", Depth::Normal, &lab.until(100).events());
}

/// Without reasons and variables, as in a capture.
#[test]
fn everything_at_the_same_time() {
    let mut script = Script::new();
    script.active().call(TcpState::SynSent, UserCall::Open);
    script.put("S", 0, None, b"");
    script.wait(500).get("S", 0, None, b"");
    script.to(TcpState::SynReceived);
    script.put("S", 0, Some(1), b"").again();
    script.wait(500).get("S", 0, Some(1), b"").again();
    script.to(TcpState::Established).put("", 1, Some(1), b"");
    script.wait(1_000).call(TcpState::FinWait1, UserCall::Close);
    script.put("F", 1, Some(1), b"");
    script.wait(500).get("F", 1, Some(1), b"");
    script.to(TcpState::Closing).put("", 2, Some(2), b"");
    script.wait(500).get("", 2, Some(2), b"");
    script.to(TcpState::TimeWait).wait(60_000_000);
    script.timeout(TcpState::Closed, Timer::TimeWait);
    script.over(Some(Ok(())));
    check("at_the_same_time", Depth::Normal, &script.events);
}

#[test]
fn what_is_thrown_away_is_told() {
    for why in [
        Discard::Malformed,
        Discard::NotForUs,
        Discard::BadAddress,
        Discard::BadFlags,
        Discard::BacklogFull,
        Discard::Fragment,
        Discard::Header,
        Discard::Unsupported,
    ] {
        let mut script = Script::new();
        script.passive().get("S", 0, None, b"").discarded(why);
        let mut view = View::new();
        let mut story = Story::new(Lang::En, Depth::Normal);
        let mut brief = Story::new(Lang::En, Depth::Brief);
        let mut said = Vec::new();
        for event in &script.events {
            view.event(event);
            said.extend(story.event(&view, event));
            assert!(brief.event(&view, event).is_empty());
        }
        assert_eq!(said.len(), 1, "{why:?}: {said:?}");
    }
}

/// With two teardown segments in one, three are sent.
#[test]
fn three_segments_end_it_too() {
    let mut script = Script::new();
    script.passive().handshake();
    script.get("F", 1, Some(1), b"").to(TcpState::CloseWait);
    script.call(TcpState::LastAck, UserCall::Close);
    script.put("F", 1, Some(2), b"");
    script.get("", 2, Some(2), b"").to(TcpState::Closed);
    let drawn = draw(&script.events, Lang::Zh, Depth::Brief);
    for step in ["第一次挥手", "第二次挥手和第三次挥手", "第四次挥手"] {
        assert_eq!(drawn.matches(step).count(), 1, "{step}: {drawn}");
    }
}

#[test]
fn steps_are_counted_for_the_first_connection_of_a_brief_story_only() {
    let mut script = Script::new();
    script.password().peer_closes(3, 28);
    script.password().we_close(3, 28);
    for (depth, times) in [(Depth::Brief, 1), (Depth::Normal, 2)] {
        let drawn = draw(&script.events, Lang::Zh, depth);
        for step in [
            "第一次握手",
            "第二次握手",
            "第三次握手",
            "第一次挥手",
            "第二次挥手",
            "第三次挥手",
            "第四次挥手",
        ] {
            assert_eq!(drawn.matches(step).count(), times, "{step}: {drawn}");
        }
    }
}

#[test]
fn time_wait_runs_down() {
    let mut script = Script::new();
    script.password().we_close(3, 28);
    let drawn = draw(&script.events, Lang::En, Depth::Deep);
    for words in [
        "TIME-WAIT: 60.000 s left",
        "TIME-WAIT: 59.999 s left",
        "TIME-WAIT lasted 60.000 s",
    ] {
        assert!(drawn.contains(words), "{words}: {drawn}");
    }
}

#[test]
fn a_second_fin_begins_time_wait_again() {
    let mut script = Script::new();
    script.passive().handshake();
    script.call(TcpState::FinWait1, UserCall::Close);
    script.put("F", 1, Some(1), b"").get("", 1, Some(2), b"");
    script.to(TcpState::FinWait2).get("F", 1, Some(2), b"");
    script.to(TcpState::TimeWait).put("", 2, Some(2), b"");
    // Any other segment does not.
    script.wait(10_000_000).get("", 2, Some(2), b"");
    script.wait(10_000_000).get("F", 1, Some(2), b"").again();
    let drawn = draw(&script.events, Lang::En, Depth::Normal);
    let left: Vec<&str> = drawn
        .lines()
        .filter_map(|line| line.split_once("TIME-WAIT: ")?.1.strip_suffix(" left"))
        .collect();
    assert_eq!(left, ["60.000 s", "50.000 s", "60.000 s"], "{drawn}");
}

/// Whether the peer probes a window or asks whether we are alive is judged by the window that has reached it.
#[test]
fn probes_are_told_by_the_window_that_crossed() {
    // Our window as it was meant, as it crosses, and what the peer's segment one number back is then.
    for (crosses, expected) in [(0u16, "window probe"), (1000, "keep-alive")] {
        for lang in [Lang::En, Lang::Zh] {
            let mut script = Script::new();
            script.passive().handshake();
            script.get("P", 1, Some(1), b"hello");
            script.put("", 1, Some(6), b"");
            crosses_with_window(&mut script, crosses);
            script.wait(1_000_000).get("", 5, Some(1), b"");
            let drawn = draw(&script.events, lang, Depth::Normal);
            let expected = match (lang, expected) {
                (Lang::En, words) => words,
                (Lang::Zh, "window probe") => "窗口探测",
                (Lang::Zh, _) => "保活探测",
            };
            assert!(drawn.contains(expected), "{expected}: {drawn}");
            for other in ["window probe", "keep-alive", "窗口探测", "保活探测"] {
                assert_eq!(drawn.contains(other), other == expected, "{other}: {drawn}");
            }
        }
    }
}

/// The newest packet, of IPv4 without options, is rewritten so that it has this window.
fn crosses_with_window(script: &mut Script, window: u16) {
    let Some(EventKind::Packet(packet)) = script.events.last_mut().map(|last| &mut last.kind)
    else {
        panic!("no packet");
    };
    let mut bytes = packet.bytes.clone();
    bytes[34..36].copy_from_slice(&window.to_be_bytes());
    let mut described = crate::segment::describe(&bytes);
    if let crate::segment::Body::Tcp(segment) = &mut described.body {
        segment.checksum_ok = true;
    }
    packet.fate = Fate::Rewritten(RuleId(1));
    packet.crossed = Some(Box::new(Crossed { described, bytes }));
}
