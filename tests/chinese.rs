//! With `--lang zh`, nothing that people are shown is an English sentence.

mod support;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use smoltcp::time::{Duration, Instant};
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::process::{Command, Output};
use support::{ACK, Forged, ping, udp};
use tcplab::capture::{Frame, Observer};
use tcplab::engine::{Config, Engine};
use tcplab::event::{Event, EventKind};
use tcplab::service::Connection;
use tcplab::sim::{Side, Sim, random_loss};
use tcplab::sink::Sink;
use tcplab::sink::report::{Format, Report};
use tcplab::ui::{App, Look, Pane, Setup};
use tcplab::view::View;
use tcplab::words::Lang;

fn demo(options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tcplab"))
        .args(["demo", "--simulate", "--seed", "1"])
        .args(options)
        .output()
        .unwrap()
}

fn shown(options: &[&str]) -> String {
    let output = demo(options);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_demo_teaches_what_the_textbook_does() {
    let shown = shown(&["--lang", "zh"]);
    // The client's initial number and the server's, as the ladder prints them.
    let initial: Vec<u32> = shown
        .lines()
        .filter_map(|line| line.trim().strip_prefix("相对序号 0 = 实际初始序号 "))
        .map(|number| number.parse().unwrap())
        .collect();
    let [x, y] = initial[..] else {
        panic!("{shown}");
    };
    // What is broken over two lines is put together.
    let text: String = shown.split_whitespace().collect();
    // The client has sent "123", the server 28 bytes, each after a SYN.
    let (u, w) = (x.wrapping_add(4), y.wrapping_add(29));
    let next = |number: u32| number.wrapping_add(1);
    let mut rest = text.as_str();
    for (step, numbers) in [
        ("第一次握手", format!("seq={x}，发送SYN=1")),
        ("第二次握手", format!("ack={x}+1={}，", next(x))),
        (
            "第三次握手",
            format!("seq={}，ack={y}+1={}", next(x), next(y)),
        ),
        ("第一次挥手", format!("客户端主动关闭，发送FIN=1，序号{u}")),
        ("第二次挥手", format!("ack={u}+1={}", next(u))),
        ("第三次挥手", format!("服务端发送FIN=1，序号{w}")),
        ("第四次挥手", format!("ack={w}+1={}", next(w))),
    ] {
        let at = rest.find(step).unwrap_or_else(|| panic!("{step}: {shown}"));
        rest = &rest[at + step.len()..];
        let sentence = rest.split('↳').next().unwrap();
        assert!(sentence.contains(&numbers), "{step}, {numbers}: {sentence}");
    }
}

#[test]
fn no_english_is_left() {
    for depth in ["none", "brief", "normal", "deep"] {
        let shown = shown(&["--lang", "zh", "--explain", depth, "-vv", "--whole"]);
        for line in shown.lines() {
            assert_eq!(english(line), None, "{depth}: {line}");
        }
    }
}

#[test]
fn no_english_is_left_in_reports() {
    for (name, events, view) in [
        ("run", all_sorts(), View::new as fn() -> View),
        ("capture", captured(&all_sorts()), View::of_capture),
    ] {
        for (suffix, format) in Format::ALL {
            let text = report(&events, view(), format);
            check(&format!("{name}.{suffix}"), without_markup(&text).lines());
            let has_han = text.contains("重传") && text.contains("秒") | text.contains("握手");
            assert!(has_han || format == Format::Mermaid, "{name}.{suffix}");
        }
    }
}

#[test]
fn no_english_is_left_on_the_live_screen() {
    let run = all_sorts();
    let capture = captured(&run);
    for (name, events, is_capture) in [("run", &run, false), ("capture", &capture, true)] {
        for (pane, width, height) in [
            (Pane::None, 80, 24),
            (Pane::Printed, 200, 50),
            (Pane::Lines, 80, 24),
            (Pane::Terminal, 100, 44),
            (Pane::None, 40, 10),
        ] {
            let mut app = App::new(Setup {
                title: "tcplab".into(),
                pane,
                lang: Lang::Zh,
                look: Look {
                    colour: true,
                    unicode: true,
                },
                is_capture,
            });
            let mut seen = BTreeSet::new();
            see(&app, width, height, &mut seen);
            for event in events.iter() {
                app.event(event);
            }
            app.tick(events[events.len() - 1].at);
            // Every pane, every line of every flow, the help, a filter, a frozen ladder, the wish to leave.
            for keys in ["\t", "\t", "\t", "/x\n", "\x1b"] {
                press(&mut app, keys);
                see(&app, width, height, &mut seen);
            }
            press(&mut app, "?");
            seen.extend(
                rows(&app, width, height)
                    .iter()
                    .map(|row| in_the_middle(row)),
            );
            press(&mut app, "?");
            while pane == Pane::Lines && is_typing(&app, width, height) {
                press(&mut app, "\t");
            }
            for _ in 0..6 {
                press(&mut app, "\ng");
                for _ in 0..60 {
                    see(&app, width, height, &mut seen);
                    press(&mut app, "j");
                }
                press(&mut app, "kf");
                see(&app, width, height, &mut seen);
                press(&mut app, "f");
                app.handle(KeyEvent::new(KeyCode::BackTab, KeyModifiers::SHIFT));
                press(&mut app, "j");
            }
            press(&mut app, "q");
            see(&app, width, height, &mut seen);
            app.resume(7, 0, View::new());
            see(&app, width, height, &mut seen);
            let name = format!("{name}, {pane:?}, {width} x {height}");
            check(&name, seen.iter().map(String::as_str));
        }
    }
}

#[test]
fn english_would_be_found() {
    let shown = shown(&["--explain", "deep"]);
    let found = shown.lines().filter(|line| english(line).is_some()).count();
    assert!(found > 50, "{shown}");
}

#[test]
fn the_default_is_brief_and_english() {
    let plain = shown(&[]);
    assert_eq!(plain, shown(&["--explain", "brief", "--lang", "en"]));
    assert!(plain.contains("the SYN counts as one"));
    assert!(!plain.contains("first of three"));
    assert!(!shown(&["--explain", "none"]).contains('↳'));
    assert!(!demo(&["--explain", "loud"]).status.success());
}

/// The first word in small letters that is neither the protocol's nor a name nor what a service itself says.
fn english(line: &str) -> Option<&str> {
    const WORDS: [&str; 17] = [
        "ack", "ecr", "eol", "hello", "mss", "ms", "nop", "password", "s", "sackOK", "seq", "tcp",
        "tcplab", "udp", "val", "win", "wscale",
    ];
    // What is in quotes crossed the wire; what hello says is the service's own.
    let outside = line.split('"').step_by(2);
    outside
        .flat_map(|part| part.split(|char: char| !char.is_ascii_alphabetic()))
        .filter(|_| !line.contains("Received from"))
        .find(|word| {
            word.starts_with(|char: char| char.is_ascii_lowercase()) && !WORDS.contains(word)
        })
}

/// What a server sees of connections over a bad wire, a refused one, a reset one, datagrams, pings and rubbish.
fn all_sorts() -> Vec<Event> {
    let engine = |prefix: &str| Engine::new(Config::new([prefix.parse().unwrap()]));
    let mut server = engine("192.0.2.2/24");
    server.serve_standard("123");
    let mut sim = Sim::new(engine("192.0.2.1/24"), server, Duration::from_millis(5));
    let at = |text: &str| text.parse::<SocketAddr>().unwrap();
    let echo = |bytes: usize| {
        move |conn: Connection| async move {
            conn.write_all(&vec![b'x'; bytes]).await?;
            let mut missing = bytes;
            while missing > 0 {
                missing -= conn.read_up_to(missing).await?.len();
            }
            conn.close().await?;
            conn.drain().await
        }
    };
    let abort = |conn: Connection| async move {
        conn.write_all(b"x").await?;
        conn.read_up_to(10).await?;
        conn.abort();
        Err(io::Error::from(io::ErrorKind::ConnectionAborted))
    };
    let mut client = |port: &str, bytes| {
        let now = sim.now();
        let peer = at(&format!("192.0.2.2:{port}"));
        match bytes {
            0 => sim.left().connect_tcp(now, "", None, peer, abort),
            _ => sim.left().connect_tcp(now, "", None, peer, echo(bytes)),
        }
        .unwrap();
        sim.run_until(now + Duration::from_secs(5));
    };
    client("7", 3);
    client("4", 1);
    client("7", 0);
    let (peer, ours) = (at("192.0.2.1:999"), at("192.0.2.2:1111"));
    let closed = at("192.0.2.2:5");
    for packet in [
        udp(peer, ours, b"Hello"),
        udp(peer, closed, b"Hello"),
        ping(peer.ip(), ours.ip(), b"Hello"),
        Forged::new(peer, at("192.0.2.2:7"), ACK, 1, 2).packet(),
        Forged::new(peer, at("192.0.2.2:7"), 3, 1, 2).packet(),
        vec![0x45; 30],
        vec![],
    ] {
        sim.inject(Side::Right, packet);
        let now = sim.now();
        sim.run_until(now + Duration::from_millis(50));
    }
    sim.lose(random_loss(8, 3));
    let now = sim.now();
    sim.left()
        .connect_tcp(now, "", None, at("192.0.2.2:7"), echo(90_000))
        .unwrap();
    sim.run_until(Instant::from_secs(600));
    let events: Vec<Event> = std::iter::from_fn(|| sim.poll_event())
        .filter(|(side, _)| *side == Side::Right)
        .map(|(_, event)| event)
        .collect();
    let again =
        |event: &&Event| matches!(&event.kind, EventKind::Packet(packet) if packet.retransmission);
    assert!(events.iter().filter(again).count() > 2);
    events
}

/// The same packets as somebody in between sees them.
fn captured(events: &[Event]) -> Vec<Event> {
    let start = std::time::Duration::from_secs(1);
    let mut observer = Observer::new(start);
    for event in events {
        if let EventKind::Packet(packet) = &event.kind {
            observer.frame(Frame {
                time: start + std::time::Duration::from_micros(event.at.total_micros() as u64),
                link_type: 101,
                bytes: packet.bytes.clone(),
                whole_len: packet.bytes.len(),
            });
        }
    }
    observer.finish();
    std::iter::from_fn(|| observer.poll_event()).collect()
}

fn report(events: &[Event], mut view: View, format: Format) -> String {
    let mut out = Vec::new();
    let mut report = Report::new(&mut out, format, Lang::Zh);
    for event in events {
        view.event(event);
        report.event(&view, event).unwrap();
    }
    report.finish(&view).unwrap();
    String::from_utf8(out).unwrap()
}

/// The text between the tags, an element a line, and of a Mermaid diagram what it says.
fn without_markup(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        kept += before;
        let is_tag =
            after.starts_with(|char: char| char.is_ascii_lowercase() || "/!".contains(char));
        let (end, skipped) = match after.split_once('>') {
            Some((tag, rest)) if is_tag && !tag.contains('\n') => (rest, tag),
            _ => (after, ""),
        };
        rest = match skipped.starts_with("style") {
            true => end.split_once("</style>").unwrap().1,
            false => end,
        };
        kept += if is_tag { "\n" } else { " " };
    }
    kept += rest;
    let kept = kept
        .replace("&quot;", "\"")
        .replace("&gt;", "")
        .replace("&lt;", "");
    let lines = kept.lines().map(|line| {
        let line = line.trim();
        match line.split_once(": ") {
            Some((keyword, said))
                if keyword.starts_with("Note ")
                    || keyword.contains(">>")
                    || keyword.contains("-x") =>
            {
                said
            }
            _ if line.starts_with("participant ") => line.rsplit(" as ").next().unwrap_or(line),
            _ => line,
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// No line has a Latin word that is no technical term.
#[track_caller]
fn check<'a>(name: &str, lines: impl Iterator<Item = &'a str>) {
    let found: Vec<(&str, &str)> = lines
        .filter_map(|line| Some((latin(line)?, line)))
        .collect();
    assert!(found.is_empty(), "{name}: {found:#?}");
}

/// The first Latin word that is no technical term.
fn latin(line: &str) -> Option<&str> {
    // States, calls, bits, variables, units, keys, services, and the notation of packets.
    const TERMS: &str = "FS CLOSED LISTEN SYN SENT RECEIVED RCVD RECV TUN ESTABLISHED FIN WAIT CLOSE CLOSING LAST ACK TIME \
        OPEN SEND ABORT RST PSH TCP UDP ICMP IP RFC TCB MSL MSS SACK RTT RTO SRTT SND RCV UNA NXT WND S F R P E W U C \
        ack seq win mss nop eol wscale sackOK sack TS val ecr tcp udp icmp echo request reply port unreachable \
        id tcplab password hello http chargen Received from ip malformed B kB ms s \
        Tab Shift Enter Esc PgUp PgDn Ctrl D q f g G k j s p d e n dup c until copies pass text mermaid sequenceDiagram avg";
    let outside = line.split('"').step_by(2);
    outside
        .flat_map(|part| part.split(|char: char| !char.is_ascii_alphabetic()))
        // The data of our connections.
        .filter(|word| !word.bytes().all(|byte| byte == b'x'))
        .find(|word| !TERMS.split_whitespace().any(|term| term == *word))
}

fn press(app: &mut App, keys: &str) {
    for key in keys.chars() {
        let code = match key {
            '\t' => KeyCode::Tab,
            '\n' => KeyCode::Enter,
            '\x1b' => KeyCode::Esc,
            other => KeyCode::Char(other),
        };
        app.handle(KeyEvent::new(code, KeyModifiers::NONE));
    }
}

/// Whether keys are typed into the pane of a client.
fn is_typing(app: &App, width: u16, height: u16) -> bool {
    rows(app, width, height)
        .iter()
        .any(|row| row.contains("Ctrl-D"))
}

/// Takes in every row of the screen.
fn see(app: &App, width: u16, height: u16, seen: &mut BTreeSet<String>) {
    seen.extend(rows(app, width, height));
}

fn rows(app: &App, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| app.draw(frame)).unwrap();
    let cells = terminal.backend().buffer().content.chunks(width.into());
    cells
        .map(|row| row.iter().map(|cell| cell.symbol()).collect())
        .collect()
}

/// What stands in the box of the help, which cuts through what is behind it.
fn in_the_middle(row: &str) -> String {
    const WIDTH: usize = 74;
    let cells: Vec<char> = row.chars().collect();
    let left = (cells.len().saturating_sub(WIDTH)) / 2;
    let box_row: String = cells.into_iter().skip(left).take(WIDTH).collect();
    match box_row.starts_with(['┌', '│', '└']) {
        true => box_row,
        false => String::new(),
    }
}
