//! Every service at work on the simulator, against clients that behave and clients that don't.

use smoltcp::time::{Duration, Instant};
use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use tcplab::engine::{Command, Config, Engine};
use tcplab::event::{Event, EventKind};
use tcplab::service::echo::echo_client;
use tcplab::service::hello::hello_client;
use tcplab::service::password::password_client;
use tcplab::service::{Connection, Console};
use tcplab::sim::{Side, Sim};
use tcplab::state::TcpState;

const LATENCY: Duration = Duration::from_millis(10);

/// How long each conversation may take: more than the server's idle timeout.
const END: Instant = Instant::from_micros_const(100_000_000);

// Password

#[test]
fn the_password_decides() {
    #[track_caller]
    fn check(answer: &'static [u8], expected: &str) {
        let (said, events) = talk(1111, move |conn| async move {
            let prompt = conn.read_up_to(1024).await?;
            conn.write_all(answer).await?;
            let verdict = read_all(&conn).await?;
            Ok([prompt, verdict].concat())
        });
        assert_eq!(said, format!("请输入密码:{expected}").as_bytes());
        assert_eq!(first_to_close(&events), Side::Right);
    }
    check(b"123", "进入成功");
    check(b"123\n", "进入成功");
    check(b"123\r\n", "进入成功");
    check(b"124\n", "密码错误");
    check(b"\xff\xff", "密码错误");
}

#[test]
fn the_password_service_lets_the_client_close_first_for_two_seconds() {
    // A client that closes at once after the verdict.
    let (_, events) = talk(1111, |conn| async move {
        conn.read_up_to(1024).await?;
        conn.write_all(b"123").await?;
        let verdict = conn.read_up_to(1024).await?;
        conn.close().await?;
        Ok(verdict)
    });
    assert_eq!(first_to_close(&events), Side::Left);

    // One that says nothing at all and closes.
    let (_, events) = talk(1111, |conn| async move {
        let prompt = conn.read_up_to(1024).await?;
        conn.close().await?;
        Ok(prompt)
    });
    assert_eq!(first_to_close(&events), Side::Left);

    // One that goes on talking gets no more time for it.
    let (_, events) = talk(1111, |conn| async move {
        conn.read_up_to(1024).await?;
        for _ in 0..30 {
            conn.write_all(b"123").await?;
            conn.sleep(Duration::from_millis(100)).await;
        }
        Ok(Vec::new())
    });
    let closed = time_of(&events, Side::Right, TcpState::FinWait1);
    let answered = Instant::ZERO + LATENCY * 5;
    assert_eq!(closed, answered + Duration::from_secs(2));
}

#[test]
fn the_password_client_prints_what_its_user_shall_see() {
    #[track_caller]
    fn check(typed: &str, expected: &str) {
        let console = Console::new();
        console.feed(typed.as_bytes());
        console.end_input();
        let printer = console.clone();
        talk(1111, |conn| async move {
            password_client(conn, console).await?;
            Ok(Vec::new())
        });
        assert_eq!(String::from_utf8(printer.take_output()).unwrap(), expected);
    }
    check("123\n", "连接成功\n请输入密码:\n进入成功\n");
    check("124", "连接成功\n请输入密码:\n密码错误\n");
    check("", "连接成功\n请输入密码:\n");
}

#[test]
fn the_password_client_puts_characters_together_that_tcp_has_cut() {
    let mut server = engine("192.0.2.2/24");
    server.serve_tcp(1111, "cut", |conn| async move {
        let prompt = "请输入密码:".as_bytes();
        conn.write_all(&prompt[..4]).await?;
        conn.sleep(Duration::from_secs(1)).await;
        conn.write_all(&prompt[4..]).await?;
        conn.close().await
    });
    let console = Console::new();
    console.end_input();
    let printer = console.clone();
    talk_to(server, 1111, |conn| async move {
        password_client(conn, console).await?;
        Ok(Vec::new())
    });
    assert_eq!(printer.take_output(), "连接成功\n请输入密码:\n".as_bytes());
}

// Hello

#[test]
fn hello_is_answered_and_noted() {
    let mut sim = Sim::new(engine("192.0.2.1/24"), standard(), LATENCY);
    let console = Console::new();
    let printer = console.clone();
    let peer = address(1111);
    let client = sim.left();
    client
        .connect_udp(Instant::ZERO, "hello", Some(40000), peer, |socket| {
            hello_client(socket, console)
        })
        .unwrap();
    sim.run_until(END);
    assert_eq!(printer.take_output(), b"Hello\n");
    let notes: Vec<String> = std::iter::from_fn(|| sim.poll_event())
        .filter_map(|(_, event)| match event.kind {
            EventKind::Note(note) => Some(note),
            _ => None,
        })
        .collect();
    assert_eq!(notes, ["Received from ('192.0.2.1', 40000)"]);
}

// Echo

#[test]
fn echo_sends_back_everything_also_after_a_half_close() {
    let data: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
    let sent = data.clone();
    let (back, _) = talk(7, |conn| async move {
        let write = async {
            conn.write_all(&sent).await?;
            conn.close().await?;
            std::future::pending().await
        };
        tcplab::service::race(write, read_all(&conn)).await
    });
    assert!(back == data, "{} bytes came back", back.len());
}

#[test]
fn the_echo_client_prints_what_comes_back() {
    let line = "x".repeat(2_000_000);
    let typed = format!("one\n\n{line}\nlast");
    let console = Console::new();
    console.feed(typed.as_bytes());
    console.end_input();
    let printer = console.clone();
    let (_, events) = talk(7, |conn| async move {
        echo_client(conn, console).await?;
        Ok(Vec::new())
    });
    assert!(printer.take_output() == format!("{typed}\n").as_bytes());
    assert_eq!(first_to_close(&events), Side::Left);
}

#[test]
fn the_echo_client_waits_for_its_user() {
    let mut sim = Sim::new(engine("192.0.2.1/24"), standard(), LATENCY);
    let console = Console::new();
    let printer = console.clone();
    let flow = sim
        .left()
        .connect_tcp(Instant::ZERO, "echo", None, address(7), |conn| {
            echo_client(conn, console)
        })
        .unwrap();
    sim.run_until(Instant::from_secs(1));
    assert!(printer.wants_input());
    printer.feed(b"hello\n");
    let now = sim.now();
    sim.left().handle_command(now, Command::Wake(flow));
    sim.run_until(Instant::from_secs(2));
    assert_eq!(printer.take_output(), b"hello\n");
    assert!(printer.wants_input());
}

// Discard, daytime, chargen

#[test]
fn discard_takes_everything_and_says_nothing() {
    let (back, events) = talk(9, |conn| async move {
        conn.write_all(&vec![b'x'; 1_000_000]).await?;
        conn.close().await?;
        read_all(&conn).await
    });
    assert!(back.is_empty());
    assert_eq!(first_to_close(&events), Side::Left);
}

#[test]
fn daytime_tells_the_time_and_closes() {
    let (line, events) = talk(13, |conn| async move { read_all(&conn).await });
    assert_eq!(line, b"Sunday, November 22, 2026 14:50:16-UTC\r\n");
    assert_eq!(first_to_close(&events), Side::Right);
}

#[test]
fn chargen_sends_without_end_until_the_client_closes_its_direction() {
    let (text, events) = talk(19, |conn| async move {
        let mut text = Vec::new();
        while text.len() < 500_000 {
            text.extend(conn.read_up_to(4096).await?);
            // What it is told makes no difference.
            conn.write_all(b"enough").await?;
        }
        conn.close().await?;
        text.extend(read_all(&conn).await?);
        Ok(text)
    });
    assert_eq!(first_to_close(&events), Side::Left);
    let ring: Vec<u8> = (b' '..=b'~').collect();
    for (number, line) in text.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let mut expected: Vec<u8> = ring
            .iter()
            .cycle()
            .skip(number % 95)
            .take(72)
            .copied()
            .collect();
        expected.extend(b"\r\n");
        assert!(expected.starts_with(line), "line {number}");
    }
}

// HTTP

#[test]
fn the_page_shows_the_numbers_of_its_own_connection() {
    let (page, events) = talk(80, |conn| async move {
        conn.write_all(b"GET / HTTP/1.1\r\nHost: lab.test\r\nConnection: close\r\n\r\n")
            .await?;
        let mut page = read_all(&conn).await?;
        let seen = conn.handshake();
        // Our ISS is the server's IRS.
        page.extend(format!("\n{} {} {}", seen.local, seen.iss, seen.irs).bytes());
        Ok(page)
    });
    let page = String::from_utf8(page).unwrap();
    let (page, seen) = page.rsplit_once('\n').unwrap();
    let [local, iss, irs] = seen.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{seen}");
    };
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    assert!(
        page.contains("\r\nDate: Sun, 22 Nov 2026 14:50:16 GMT\r\n"),
        "{page}"
    );
    for expected in [
        format!("client      {local}\n"),
        format!("IRS         {iss}, where"),
        format!("ISS         {irs}, where"),
        format!("│   S {iss}:{iss}(0) win "),
        format!(
            "│   S. {irs}:{irs}(0) ack {} win ",
            iss.parse::<u32>().unwrap().wrapping_add(1)
        ),
        "20.000 ms, 3 segments".to_owned(),
        "─▶│ ESTABLISHED".to_owned(),
    ] {
        assert!(page.contains(&expected), "{expected} is not in\n{page}");
    }
    assert_eq!(first_to_close(&events), Side::Right);
}

#[test]
fn http_keeps_a_connection_for_a_minute() {
    let (answers, events) = talk(80, |conn| async move {
        let request = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
        conn.write_all(request).await?;
        conn.sleep(Duration::from_secs(30)).await;
        conn.write_all(request).await?;
        read_all(&conn).await
    });
    let answers = String::from_utf8(answers).unwrap();
    assert_eq!(answers.matches("\r\n\r\nhello").count(), 2, "{answers}");
    assert_eq!(answers.matches("HTTP/1.1").count(), 2, "{answers}");
    assert_eq!(time_of(&events, Side::Right, TcpState::FinWait1).secs(), 90);
}

#[test]
fn half_a_request_is_told_that_the_rest_did_not_come() {
    let (answer, _) = talk(80, |conn| async move {
        conn.write_all(b"GET / HT").await?;
        read_all(&conn).await
    });
    assert!(answer.starts_with(b"HTTP/1.1 408 "));
}

#[test]
fn a_client_that_is_refused_can_read_why_although_it_goes_on_sending() {
    let (answer, events) = talk(80, |conn| async move {
        conn.write_all(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n")
            .await?;
        conn.write_all(&vec![0; 3_000_000]).await?;
        conn.sleep(Duration::from_millis(500)).await;
        read_all(&conn).await
    });
    assert!(answer.starts_with(b"HTTP/1.1 413 "));
    let resets = events.iter().any(|(_, event)| match &event.kind {
        EventKind::Packet(packet) => packet
            .described
            .tcp()
            .is_some_and(|segment| segment.flags.contains(tcplab::segment::Flags::RST)),
        _ => false,
    });
    assert!(!resets);
}

#[test]
fn a_body_of_a_mebibyte_comes_back() {
    let body: Vec<u8> = (0..1024 * 1024u32).map(|n| (n % 251) as u8).collect();
    let sent = body.clone();
    let (answer, _) = talk(80, |conn| async move {
        conn.write_all(b"PUT /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 1048576\r\n\r\n").await?;
        let expected = b"HTTP/1.1 100 Continue\r\n\r\n";
        assert_eq!(conn.read_up_to(1024).await?, expected);
        conn.write_all(&sent).await?;
        read_all(&conn).await
    });
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    assert!(answer.ends_with(&body));
}

// The stage

type Events = Vec<(Side, Event)>;

/// What `client` has collected in a conversation with a standard service, and all that happened.
#[track_caller]
fn talk<F, Fut>(port: u16, client: F) -> (Vec<u8>, Events)
where
    F: FnOnce(Connection) -> Fut + 'static,
    Fut: Future<Output = io::Result<Vec<u8>>> + 'static,
{
    talk_to(standard(), port, client)
}

#[track_caller]
fn talk_to<F, Fut>(server: Engine, port: u16, client: F) -> (Vec<u8>, Events)
where
    F: FnOnce(Connection) -> Fut + 'static,
    Fut: Future<Output = io::Result<Vec<u8>>> + 'static,
{
    let mut sim = Sim::new(engine("192.0.2.1/24"), server, LATENCY);
    let collected = Rc::new(RefCell::new(Vec::new()));
    let finished = Rc::new(Cell::new(false));
    let (collect, finish) = (Rc::clone(&collected), Rc::clone(&finished));
    let left = sim.left();
    left.connect_tcp(
        Instant::ZERO,
        "client",
        None,
        address(port),
        |conn| async move {
            let result = client(conn).await;
            finish.set(true);
            *collect.borrow_mut() = result.expect("the conversation goes well");
            Ok(())
        },
    )
    .expect("there is a free port");
    sim.run_until(END);
    assert!(finished.get(), "the client is still waiting");
    let events = std::iter::from_fn(|| sim.poll_event()).collect();
    (collected.take(), events)
}

/// What comes until the server closes.
async fn read_all(conn: &Connection) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let more = conn.read_up_to(65_536).await?;
        if more.is_empty() {
            return Ok(all);
        }
        all.extend(more);
    }
}

fn standard() -> Engine {
    let mut server = engine("192.0.2.2/24");
    server.serve_standard("123");
    server
}

fn engine(prefix: &str) -> Engine {
    Engine::new(Config {
        epoch: Duration::from_secs(1_795_359_016),
        ..Config::new([prefix.parse().unwrap()])
    })
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::new([192, 0, 2, 2].into(), port)
}

/// Whose end left ESTABLISHED by CLOSE and not by the other's FIN.
fn first_to_close(events: &Events) -> Side {
    let closed = |side| transitions(events, side).any(|(_, to)| to == TcpState::FinWait1);
    match (closed(Side::Left), closed(Side::Right)) {
        (true, false) => Side::Left,
        (false, true) => Side::Right,
        both => panic!("{both:?}"),
    }
}

fn time_of(events: &Events, of: Side, state: TcpState) -> Instant {
    let mut transitions = transitions(events, of);
    let found = transitions.find(|(_, to)| *to == state);
    found.expect("the state is entered").0
}

fn transitions(events: &Events, of: Side) -> impl Iterator<Item = (Instant, TcpState)> {
    events
        .iter()
        .filter_map(move |(side, event)| match event.kind {
            EventKind::Transition(transition) if *side == of => Some((event.at, transition.to)),
            _ => None,
        })
}
