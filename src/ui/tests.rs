use super::*;
use crate::engine::{Command, Config, Copies, Disposal, Engine, Stepping};
use crate::event::{
    Direction, Discard, Fate, Opening, PacketId, Release, RuleId, Transport, UserCall,
};
use crate::fault::Assignment;
use crate::sim::{Side, Sim};
use crate::state::TcpState;
use crate::view::script::Script;
use crate::words::Lang;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

const LOOK: Look = Look {
    colour: true,
    unicode: true,
};

fn app(pane: Pane, script: &Script) -> App {
    app_looking(LOOK, pane, script)
}

fn app_looking(look: Look, pane: Pane, script: &Script) -> App {
    let mut app = App::new(Setup {
        title: "run nc".into(),
        pane,
        lang: Lang::En,
        look,
        is_capture: false,
    });
    for event in &script.events {
        app.event(event);
    }
    app.tick(script.events.last().map_or(Instant::ZERO, |event| event.at));
    app
}

fn press(app: &mut App, keys: &str) -> Vec<Request> {
    let code = |key| match key {
        '\t' => KeyCode::Tab,
        '\n' => KeyCode::Enter,
        '\x1b' => KeyCode::Esc,
        '↑' => KeyCode::Up,
        '↓' => KeyCode::Down,
        other => KeyCode::Char(other),
    };
    keys.chars()
        .filter_map(|key| app.handle(KeyEvent::new(code(key), KeyModifiers::NONE)))
        .collect()
}

fn screen(app: &App, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| app.draw(frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    for row in buffer.content.chunks(width.into()) {
        let mut line = String::new();
        let mut covered = 0;
        for cell in row {
            // A wide character covers the cell to its right.
            if covered == 0 {
                line.push_str(cell.symbol());
                covered = unicode_width::UnicodeWidthStr::width(cell.symbol());
            }
            covered = covered.saturating_sub(1);
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// The password conversation, and a datagram afterwards.
fn conversation() -> Script {
    let mut script = Script::new();
    script.password().peer_closes(3, 28);
    script.open(Transport::Udp, Opening::Passive, "hello");
    script.wait(100).datagram(Direction::In, b"Hello Sever");
    script.wait(50).datagram(Direction::Out, b"Hello");
    script
}

fn half_way() -> Script {
    let mut script = Script::new();
    script.password();
    script
}

#[test]
fn a_connection_is_shown_while_it_lives() {
    let mut app = app(Pane::Terminal, &half_way());
    app.print("请输入密码:进入成功\r\n".as_bytes());
    insta::assert_snapshot!("connections", screen(&app, 80, 24));
    press(&mut app, "\t");
    insta::assert_snapshot!("ladder", screen(&app, 80, 24));
    press(&mut app, "\t");
    insta::assert_snapshot!("command", screen(&app, 80, 24));
    insta::assert_snapshot!("wide", screen(&app, 200, 50));
    insta::assert_snapshot!("tall", screen(&app, 100, 44));
}

#[test]
fn all_is_over() {
    let mut app = app(Pane::Printed, &conversation());
    app.ended("command ended with code 0".into());
    press(&mut app, "\n");
    insta::assert_snapshot!("over", screen(&app, 80, 24));
    // The line with the last change of state.
    press(&mut app, "↑");
    assert_eq!(app.line().unwrap().states.1, TcpState::Closed);
    insta::assert_snapshot!("last_segment", screen(&app, 200, 50));
}

#[test]
fn help_names_every_key() {
    for (pane, name) in [(Pane::None, "help_serve"), (Pane::Terminal, "help_run")] {
        let mut app = app(pane, &conversation());
        press(&mut app, "?");
        insta::assert_snapshot!(name, screen(&app, 80, 24));
        press(&mut app, "q");
        assert!(!app.help);
    }
}

#[test]
fn what_was_lost_or_discarded_is_said() {
    let mut script = half_way();
    script.wait(9).get("P", 1, Some(17), b"123").again();
    script
        .wait(9)
        .get("P", 4, Some(29), b"x")
        .discarded(Discard::Malformed);
    let mut app = app(Pane::None, &script);
    let mut view = View::new();
    for event in &script.events {
        view.event(event);
    }
    app.resume(41, 1_000, view);
    press(&mut app, "\t");
    insta::assert_snapshot!("losses", screen(&app, 80, 24));
}

#[test]
fn without_unicode_all_is_ascii() {
    let look = Look {
        colour: false,
        unicode: false,
    };
    let mut app = app_looking(look, Pane::Printed, &conversation());
    app.print("请输入\n".as_bytes());
    for keys in ["", "\n", "\t", "?"] {
        press(&mut app, keys);
        let shown = screen(&app, 80, 24);
        assert!(shown.is_ascii(), "{shown}");
    }
    press(&mut app, "q\t");
    insta::assert_snapshot!("ascii", screen(&app, 80, 24));
}

#[test]
fn without_colour_there_is_none() {
    let look = Look {
        colour: false,
        ..LOOK
    };
    let mut app = app_looking(look, Pane::Printed, &conversation());
    app.resume(1, 1_000, View::new());
    let mut terminal = Terminal::new(TestBackend::new(200, 50)).unwrap();
    terminal.draw(|frame| app.draw(frame)).unwrap();
    for cell in &terminal.backend().buffer().content {
        use ratatui::style::Color;
        assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset));
    }
}

#[test]
fn every_size_can_be_drawn() {
    let mut app = app(Pane::Terminal, &conversation());
    for keys in ["", "\t", "\t", "\t?"] {
        press(&mut app, keys);
        for width in [1, 10, 79, 80, 81, 120, 160, 161, 300] {
            for height in [1, 5, 23, 24, 43, 44, 100] {
                screen(&app, width, height);
            }
        }
    }
}

#[test]
fn a_filter_leaves_what_matches() {
    let mut script = conversation();
    script.passive().handshake();
    for (filter, expected) in [
        ("", vec![1, 2, 3]),
        ("hello", vec![2]),
        ("HELLO", vec![2]),
        ("udp", vec![2]),
        ("established", vec![3]),
        ("tcp closed", vec![1]),
        (":40003", vec![3]),
        ("192.0.2.1 password", vec![1, 3]),
        ("#2", vec![2]),
        ("nothing", vec![]),
    ] {
        let mut app = app(Pane::None, &script);
        press(&mut app, &format!("/{filter}\n"));
        let ids: Vec<u64> = app.flows().iter().map(|flow| flow.id.0).collect();
        assert_eq!(ids, expected, "{filter}");
        if let Some(first) = expected.first() {
            assert_eq!(app.flow().unwrap().id.0, *first, "{filter}");
        }
        assert!(!app.filtering);
        press(&mut app, "\x1b");
        assert_eq!(app.flows().len(), 3);
    }
}

#[test]
fn a_line_is_chosen_and_kept_while_others_come() {
    let script = conversation();
    let (before, after) = script.events.split_at(12);
    let mut app = App::new(Setup {
        title: "serve".into(),
        pane: Pane::None,
        lang: Lang::En,
        look: LOOK,
        is_capture: false,
    });
    before.iter().for_each(|event| app.event(event));
    press(&mut app, "\n");
    assert!(app.follows());
    press(&mut app, "↑↑");
    let chosen = app.line().unwrap().event.number;
    after.iter().for_each(|event| app.event(event));
    assert_eq!(app.line().unwrap().event.number, chosen);
    press(&mut app, "g");
    assert_eq!(app.selection(), Some(0));
    press(&mut app, "G");
    assert!(app.follows());
}

#[test]
fn every_key_does_no_harm_in_every_pane() {
    let mut app = app(Pane::Printed, &conversation());
    for number in 0..50 {
        app.print(format!("{number}\n").as_bytes());
    }
    app.ended("command ended with code 0".into());
    for _ in 0..3 {
        press(&mut app, "gGkjf f?x/a\n\x1b↑↓");
        for code in [
            KeyCode::PageUp,
            KeyCode::PageDown,
            KeyCode::Home,
            KeyCode::End,
        ] {
            app.handle(KeyEvent::new(code, KeyModifiers::NONE));
            screen(&app, 80, 24);
        }
        press(&mut app, "\t");
    }
}

#[test]
fn a_frozen_ladder_stands_still() {
    let script = conversation();
    let (before, after) = script.events.split_at(12);
    let mut app = App::new(Setup {
        title: "serve".into(),
        pane: Pane::None,
        lang: Lang::En,
        look: LOOK,
        is_capture: false,
    });
    before.iter().for_each(|event| app.event(event));
    let len = app.record().unwrap().len();
    press(&mut app, "f");
    after.iter().for_each(|event| app.event(event));
    assert_eq!(app.record().unwrap().len(), len);
    assert!(screen(&app, 80, 24).contains("FROZEN, 5 newer"));
    press(&mut app, " ");
    assert!(app.record().unwrap().len() > len);
}

#[test]
fn leaving_takes_two_keys_while_a_command_runs() {
    let leave = vec![Request::Leave];
    let mut running = app(Pane::Terminal, &half_way());
    assert_eq!(press(&mut running, "q"), []);
    assert!(screen(&running, 80, 24).contains("q again ends it"));
    assert_eq!(press(&mut running, "jq"), [], "another key in between");
    assert_eq!(press(&mut running, "q"), leave);
    running.ended("command ended with code 0".into());
    assert_eq!(press(&mut running, "q"), leave);

    let mut serving = app(Pane::None, &half_way());
    assert_eq!(press(&mut serving, "q"), leave);
}

#[test]
fn keys_go_to_the_program_that_has_them() {
    let mut app = app(Pane::Terminal, &half_way());
    press(&mut app, "\t\t");
    let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(app.handle(key), Some(Request::Keys(vec![3])));
    assert_eq!(press(&mut app, "q"), [Request::Keys(b"q".to_vec())]);
    // Once it has ended, they are ours again.
    app.ended("command ended with code 0".into());
    assert_eq!(press(&mut app, "q"), [Request::Leave]);

    let mut client = super::App::new(Setup {
        title: "connect".into(),
        pane: Pane::Lines,
        lang: Lang::En,
        look: LOOK,
        is_capture: false,
    });
    assert_eq!(press(&mut client, "12"), []);
    assert_eq!(
        press(&mut client, "3\n"),
        [Request::Type(b"123\n".to_vec())]
    );
    let end = KeyEvent::new(KeyCode::Char('d'), KeyModifiers::CONTROL);
    assert_eq!(client.handle(end), Some(Request::EndInput));
}

#[test]
fn what_a_slow_screen_loses_is_counted_and_made_good() {
    let (sender, events) = sync_channel(WAITING);
    let (_requests, requests) = channel();
    let (wake, _waker) = pipe().unwrap();
    let mut live = Live {
        events: Some(sender),
        mail: Arc::default(),
        requests,
        wake: wake.into(),
        thread: None,
        held: None,
        newest: 0,
        is_patient: false,
        lost: 0,
        told: 0,
        resumed_at: None,
    };
    let mut script = Script::new();
    script.password();
    for number in 0..WAITING {
        script.note(&number.to_string());
    }
    script.peer_closes(3, 28);
    let mut view = View::new();
    for event in &script.events {
        view.event(event);
        // Nobody reads, and it comes back all the same.
        live.event(event);
    }
    let lost = (script.events.len() - WAITING) as u64;
    assert_eq!(live.resume_in(), Some(Duration::ZERO));
    live.resume(&view);
    assert_eq!(live.resume_in(), None);

    let mut app = app(Pane::None, &Script::new());
    let Resumed {
        lost: told,
        seen,
        view,
    } = mail(&live.mail).resumed.take().unwrap();
    assert_eq!(told, lost);
    app.resume(told, seen, *view);
    events.try_iter().for_each(|event| app.event(&event));
    assert_eq!(app.flow().unwrap().state, TcpState::Closed);
    assert!(screen(&app, 80, 24).contains(&format!("events lost: {lost}")));
}

#[test]
fn of_a_long_packet_only_what_is_shown_is_kept() {
    let mut script = half_way();
    script.get("P", 4, Some(29), &[b'x'; 1_400]);
    let whole = script.events.last().unwrap();
    let kept = short(whole);
    let (EventKind::Packet(whole), EventKind::Packet(kept)) = (&whole.kind, &kept.kind) else {
        panic!("both are packets");
    };
    assert_eq!(kept.bytes, whole.bytes[..SHOWN]);
    assert_eq!(kept.described, whole.described);
}

#[test]
fn of_a_long_packet_the_whole_is_counted() {
    for (data, said) in [(b"\0\xff", "1400 bytes of binary data"), (b"xy", "…\"")] {
        let mut script = half_way();
        script.get("P", 4, Some(29), &data.repeat(700));
        let mut app = app(Pane::None, &Script::new());
        for event in &script.events {
            app.event(&short(event));
        }
        press(&mut app, "\t");
        let shown = screen(&app, 200, 50);
        let count = shown.matches(said).count();
        assert_eq!(count, 2, "on the ladder and beside it: {shown}");
    }
}

#[test]
fn a_view_that_is_ahead_is_not_set_back() {
    let script = conversation();
    let mut view = View::new();
    script.events.iter().for_each(|event| view.event(event));
    let mut app = app(Pane::None, &Script::new());
    app.resume(3, script.events.len() as u64, view.clone());
    script.events.iter().for_each(|event| app.event(event));
    assert_eq!(app.view.totals(), view.totals());
}

#[test]
fn states_are_lit_as_after_the_chosen_line() {
    let mut script = Script::new();
    script.active().call(TcpState::SynSent, UserCall::Open);
    script.put("S", 0, None, b"");
    script.wait(50).get("S", 0, Some(1), b"");
    script.to(TcpState::Established);
    let mut app = app(Pane::None, &script);
    assert!(screen(&app, 80, 24).contains("tcplab ESTABLISHED (read)"));
    press(&mut app, "\ng");
    let shown = screen(&app, 200, 50);
    assert!(
        shown.contains("tcplab SYN-SENT (read), peer LISTEN"),
        "{shown}"
    );
}

#[test]
fn what_the_link_does_stands_on_the_ladder() {
    let mut script = Script::new();
    script.interfered();
    let mut app = app(Pane::None, &script);
    insta::assert_snapshot!("interference", screen(&app, 100, 40));
    // The segment that was rewritten, and what it was meant to be.
    press(&mut app, "\n↑↑↑↑↑");
    let drawn = screen(&app, 100, 40);
    assert!(drawn.contains("meant P. 1:6(5) ack 1"), "{drawn}");
    let ascii = Look {
        colour: false,
        unicode: false,
    };
    let drawn = screen(&app_looking(ascii, Pane::None, &script), 80, 24);
    assert!(drawn.is_ascii(), "{drawn}");
}

#[test]
fn keys_let_packets_go() {
    let mut script = Script::new();
    script.passive();
    for _ in 0..3 {
        script.get("S", 0, None, b"").fate(Fate::Held(RuleId::HAND));
    }
    let mut app = app(Pane::None, &script);
    let drawn = screen(&app, 80, 24);
    assert!(drawn.contains("3 waiting:  p pass"), "{drawn}");
    let released = |id, disposal| Request::Step(Command::Release(PacketId(id), disposal));
    let step = |stepping| Request::Step(Command::Step(stepping));
    for (keys, expected) in [
        // None was chosen: it is about the oldest.
        ("p", released(1, Disposal::Pass)),
        ("\n↑d", released(2, Disposal::Drop)),
        ("D", released(2, Disposal::Duplicate(1))),
        (
            ":copies pass\n",
            Request::Step(Command::Copies(Copies::Pass)),
        ),
        ("n", step(Stepping::Let(1))),
        (":d 2\n", released(2, Disposal::Drop)),
        ("s", step(Stepping::Off)),
        ("s", step(Stepping::On)),
    ] {
        assert_eq!(press(&mut app, keys), [expected], "{keys}");
    }
    assert_eq!(press(&mut app, "e"), []);
    let drawn = screen(&app, 80, 24);
    assert!(drawn.contains("order: e 2"), "{drawn}");
    let edit = Disposal::Edit(vec![Assignment::Mss(Some(536))]);
    assert_eq!(press(&mut app, "mss=536\n"), [released(2, edit)]);
    assert_eq!(press(&mut app, ":nonsense\n"), []);
    let drawn = screen(&app, 80, 24);
    assert!(drawn.contains("`nonsense` is no order"), "{drawn}");
    assert_eq!(press(&mut app, ":\x1b"), []);
    assert!(screen(&app, 80, 24).contains("3 waiting"));
    assert_eq!(press(&mut app, "?"), []);
    let help = screen(&app, 80, 24);
    assert!(help.contains("let every packet wait"), "{help}");
    script.released(1, Fate::Delivered, Release::Hand);
    script.released(2, Fate::Delivered, Release::Hand);
    script.released(3, Fate::Delivered, Release::Hand);
    for event in &script.events[4..] {
        app.event(event);
    }
    assert_eq!(press(&mut app, "xpdD"), [], "nothing waits");
}

#[test]
fn copies_are_counted_on_the_line_of_their_packet() {
    let second = 1_000_000;
    let mut script = Script::new();
    script.passive();
    let folded = |script: &mut Script| {
        script.wait(second).get("S", 0, None, b"").again();
        script.fate(Fate::Folded(PacketId(1)));
    };
    script.get("S", 0, None, b"").fate(Fate::Held(RuleId::HAND));
    folded(&mut script);
    folded(&mut script);
    let mut app = app(Pane::None, &script);
    app.tick(app.now + Duration::from_secs(3).into());
    let shown = |app: &App, what: &str| {
        let drawn = screen(app, 100, 24);
        assert!(drawn.contains(what), "{what}: {drawn}");
        assert!(!drawn.contains("folded"), "no line of its own: {drawn}");
    };
    shown(&app, "S 0:0(0) ×3, the last 3 s ago");
    let mut goes_on = |act: &dyn Fn(&mut Script)| {
        let before = script.events.len();
        act(&mut script);
        for event in &script.events[before..] {
            app.event(event);
        }
        app.tick(script.events.last().unwrap().at + Duration::from_secs(2).into());
        screen(&app, 100, 24)
    };
    let drawn = goes_on(&|script| {
        script.released(1, Fate::Delivered, Release::Hand);
        script.to(TcpState::SynReceived);
        script
            .put("S", 0, Some(1), b"")
            .fate(Fate::Held(RuleId::HAND));
        folded(script);
    });
    assert!(drawn.contains("S 0:0(0) ×3 packet 1: held"), "{drawn}");
    assert!(drawn.contains("S 0:0(0) ×4, the last 2 s ago"), "{drawn}");
    let drawn = goes_on(&|script| {
        script.released(4, Fate::Delivered, Release::Hand);
    });
    assert!(drawn.contains("S 0:0(0) ×4 "), "{drawn}");
    assert!(!drawn.contains("ago"), "answered: {drawn}");
}

#[test]
fn a_kernel_that_gives_up_is_told() {
    let mut script = Script::new();
    script.passive();
    script.get("S", 0, None, b"").fate(Fate::Held(RuleId::HAND));
    script.asked(TcpState::SynSent).asked(TcpState::Closed);
    let mut app = app(Pane::Printed, &script);
    let drawn = screen(&app, 100, 24);
    assert!(drawn.contains("#1: the peer has given up"), "{drawn}");
    // With the next key, and also where the command has ended, it is told again what can be done.
    app.ended("command ended with code 28".into());
    press(&mut app, "↓");
    let drawn = screen(&app, 100, 24);
    assert!(drawn.contains("1 waiting:  p pass"), "{drawn}");
}

/// What a real engine tells of a connection that echoes a little.
fn echoed() -> Vec<Event> {
    let engine = |prefix: &str| Engine::new(Config::new([prefix.parse().unwrap()]));
    let mut server = engine("192.0.2.2/24");
    server.serve_standard("123");
    let mut sim = Sim::new(
        engine("192.0.2.1/24"),
        server,
        smoltcp::time::Duration::from_millis(5),
    );
    let client = |conn: crate::service::Connection| async move {
        conn.write_all(b"hello").await?;
        conn.read_up_to(5).await?;
        conn.close().await?;
        conn.drain().await
    };
    let (now, peer) = (sim.now(), "192.0.2.2:7".parse().unwrap());
    sim.left().connect_tcp(now, "", None, peer, client).unwrap();
    sim.run_until(Instant::from_secs(100));
    let events = std::iter::from_fn(|| sim.poll_event());
    let ours = events.filter(|(side, _)| *side == Side::Right);
    ours.map(|(_, event)| event).collect()
}

#[test]
fn a_story_leaves_room_for_everything_else() {
    let mut app = app(Pane::Terminal, &Script::new());
    let events = echoed();
    events.iter().for_each(|event| app.event(event));
    press(&mut app, "\ng");
    for _ in 0..app.record().unwrap().len() {
        let shown = screen(&app, 80, 24);
        let names: &[&str] = match app.line().unwrap().event.kind {
            EventKind::Packet(_) => &["wire seq", "why ", "story ", "after SND.UNA", "in flight"],
            _ => &[],
        };
        for name in names {
            assert!(shown.contains(name), "{name} is missing:\n{shown}");
        }
        press(&mut app, "j");
    }
}

#[test]
fn all_numbers_but_those_on_the_wire_count_from_the_initial_ones() {
    let mut app = app(Pane::None, &Script::new());
    let events = echoed();
    events.iter().for_each(|event| app.event(event));
    press(&mut app, "\ng");
    let mut stories = Vec::new();
    while !app.follows() {
        stories.extend(app.line().unwrap().told.clone());
        press(&mut app, "j");
    }
    assert!(stories.len() > 10, "{stories:?}");
    for story in &stories {
        let numbers = story.split(|char: char| !char.is_ascii_digit());
        let large = numbers.filter(|number| number.len() > 6).count();
        assert_eq!(large, 0, "{story}");
    }
    press(&mut app, "g");
    let flow = app.flow().unwrap();
    let wire = format!("seq {}, window field", flow.irs.unwrap());
    assert!(screen(&app, 80, 24).contains(&wire));
}

/// A terminal as simple as can be, but strict with wide characters: when half of one is overwritten, the other half
/// becomes a blank without any style.
struct Strict {
    width: usize,
    /// What is in each cell, and whether it is reversed. The right half of a wide character is empty.
    cells: Vec<(String, bool)>,
}

impl Strict {
    fn new(width: u16, height: u16) -> Strict {
        let cells = vec![(" ".into(), false); usize::from(width) * usize::from(height)];
        Strict {
            width: width.into(),
            cells,
        }
    }

    fn print(&mut self, updates: Vec<(u16, u16, &ratatui::buffer::Cell)>) {
        for (x, y, cell) in updates {
            let at = usize::from(y) * self.width + usize::from(x);
            let wide = unicode_width::UnicodeWidthStr::width(cell.symbol());
            assert!(wide >= 1, "a cell without a character at {x}, {y}");
            let look = cell.modifier.contains(ratatui::style::Modifier::REVERSED);
            for at in at..at + wide {
                if self.cells[at].0.is_empty() {
                    self.cells[at - 1] = (" ".into(), false);
                }
                if self.cells.get(at + 1).is_some_and(|next| next.0.is_empty()) {
                    self.cells[at + 1] = (" ".into(), false);
                }
                self.cells[at] = (String::new(), look);
            }
            self.cells[at] = (cell.symbol().into(), look);
        }
    }
}

/// A frame as it is sent to a terminal.
fn frame(app: &App, width: u16, height: u16) -> ratatui::buffer::Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal
        .draw(|frame| app.draw(frame))
        .unwrap()
        .buffer
        .clone()
}

#[test]
fn wide_characters_leave_no_holes() {
    for (width, height) in [(80, 24), (120, 44)] {
        let mut app = App::new(Setup {
            title: "运行 nc".into(),
            pane: Pane::Terminal,
            lang: Lang::Zh,
            look: LOOK,
            is_capture: false,
        });
        app.print("请输入密码:进入成功\r\n".as_bytes());
        let mut shown = frame(&app, width, height);
        let mut terminal = Strict::new(width, height);
        let blank = ratatui::buffer::Buffer::empty(shown.area);
        terminal.print(blank.diff(&shown));
        let mut script = conversation();
        script.passive().handshake();
        for len in (1..160).step_by(4) {
            script.wait(50_000);
            script.get("P", 1, Some(1), &vec![b'x'; len]);
        }
        for (number, event) in script.events.iter().enumerate() {
            app.event(event);
            app.tick(event.at);
            press(
                &mut app,
                ["", "", "\t", "?", "?", "", "\t", "↑"][number % 8],
            );
            let next = frame(&app, width, height);
            terminal.print(shown.diff(&next));
            let mut anew = Strict::new(width, height);
            anew.print(blank.diff(&next));
            for (at, (is, should)) in terminal.cells.iter().zip(&anew.cells).enumerate() {
                let (x, y) = (at % usize::from(width), at / usize::from(width));
                assert_eq!(is, should, "column {x}, row {y} after event {number}");
            }
            shown = next;
        }
    }
}

#[test]
fn the_window_of_help_has_its_whole_edge() {
    for (width, height) in [(80, 24), (81, 24), (83, 30), (120, 40)] {
        for shift in 0..4 {
            let mut app = app(Pane::Terminal, &conversation());
            app.setup.lang = Lang::Zh;
            let row = format!("{}{}\r\n", " ".repeat(shift), "请".repeat(100));
            app.print(row.repeat(50).as_bytes());
            press(&mut app, "?");
            let frame = frame(&app, width, height);
            let mut terminal = Strict::new(width, height);
            terminal.print(ratatui::buffer::Buffer::empty(frame.area).diff(&frame));
            let rows: Vec<&[(String, bool)]> = terminal.cells.chunks(width.into()).collect();
            let left = usize::from(width - 74) / 2;
            let sides = |row: &&[(String, bool)]| (row[left].0.clone(), row[left + 73].0.clone());
            let edge: Vec<_> = rows.iter().map(sides).collect();
            let (top, side, bottom) = (("┌", "┐"), ("│", "│"), ("└", "┘"));
            let is = |edge: &(String, String), sign: (&str, &str)| {
                (edge.0.as_str(), edge.1.as_str()) == sign
            };
            let first = edge.iter().position(|edge| is(edge, top)).unwrap();
            let len = edge[first + 1..]
                .iter()
                .take_while(|edge| is(edge, side))
                .count();
            assert!(len > 15, "{edge:?} in {width} columns");
            assert!(
                is(&edge[first + 1 + len], bottom),
                "{edge:?} in {width} columns"
            );
        }
    }
}
