use super::*;
use crate::event::{Direction, Discard, Fate, Timer, UserCall};
use crate::fault::{Action, Knobs, Rule, Scope};
use crate::view::script::Script;
use unicode_width::UnicodeWidthStr;

const OPTIONS: Options = Options {
    screen: Screen {
        width: 100,
        colour: false,
        unicode: true,
    },
    verbose: 0,
    explain: Depth::Brief,
    lang: Lang::En,
    time_wait: None,
    keep: true,
};

fn at_width(width: usize) -> Options {
    let screen = Screen {
        width,
        ..OPTIONS.screen
    };
    Options { screen, ..OPTIONS }
}

fn draw(options: Options, script: &Script) -> String {
    let mut view = View::new();
    let mut ladder = Ladder::new(options);
    let mut out = Vec::new();
    for event in &script.events {
        view.event(event);
        ladder.event(&view, event, &mut out).unwrap();
    }
    ladder.finish(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Without remarks, which are the same in each.
fn plain(width: usize) -> Options {
    Options {
        explain: Depth::None,
        ..at_width(width)
    }
}

#[test]
fn the_peer_closes_first() {
    let mut script = Script::new();
    script.password().peer_closes(3, 28);
    insta::assert_snapshot!(draw(at_width(100), &script));
    insta::assert_snapshot!("eighty_columns", draw(at_width(80), &script));
    insta::assert_snapshot!("sixty_columns", draw(at_width(60), &script));
    let complete = Options {
        verbose: 2,
        ..plain(132)
    };
    insta::assert_snapshot!("complete_notation", draw(complete, &script));
}

/// The drawing in the documentation is a real one.
#[test]
fn the_documentation_is_true() {
    let mut script = Script::new();
    script.password().peer_closes(3, 28);
    for line in draw(at_width(80), &script).lines() {
        let documented = format!("\n//! {line}\n");
        assert!(include_str!("../ladder.rs").contains(&documented), "{line}");
    }
}

#[test]
fn the_peer_is_asked() {
    let mut script = Script::new();
    script
        .passive()
        .get("S", 0, None, b"")
        .asked(TcpState::SynSent);
    script.to(TcpState::SynReceived).wait(100);
    // Quick to close: the FIN is on its way behind the ACK.
    script.put("S", 0, Some(1), b"").asked(TcpState::FinWait1);
    script
        .wait(50)
        .get("", 1, Some(1), b"")
        .asked(TcpState::FinWait1);
    script.to(TcpState::Established);
    script.get("F", 1, Some(1), b"").asked(TcpState::FinWait1);
    script.to(TcpState::CloseWait);
    script.call(TcpState::LastAck, UserCall::Close);
    script.put("F", 1, Some(2), b"").asked(TcpState::TimeWait);
    // Where no answer comes, it is inferred.
    script.wait(50).get("", 2, Some(2), b"");
    script.to(TcpState::Closed).over(Some(Ok(())));
    let mut view = View::new();
    let mut ladder = Ladder::new(plain(80));
    ladder.peers_are_asked();
    let mut out = Vec::new();
    for event in &script.events {
        view.event(event);
        ladder.event(&view, event, &mut out).unwrap();
    }
    insta::assert_snapshot!(String::from_utf8(out).unwrap());
}

#[test]
fn we_close_first() {
    let mut script = Script::new();
    script.password().we_close(3, 28);
    insta::assert_snapshot!(draw(plain(80), &script));
}

#[test]
fn open_and_close_at_the_same_time() {
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
    insta::assert_snapshot!(draw(plain(80), &script));
}

#[test]
fn resets() {
    let mut script = Script::new();
    script.active().call(TcpState::SynSent, UserCall::Open);
    script.put("S", 0, None, b"").wait(90);
    script.get("R", 0, Some(1), b"").to(TcpState::Closed);
    script.over(Some(Err("connection refused".into())));

    script.passive().handshake().get("R", 1, None, b"");
    script.to(TcpState::Closed).over(None);

    script.passive().handshake();
    script.call(TcpState::Closed, UserCall::Abort);
    script.put("R", 1, Some(1), b"").over(Some(Ok(())));
    insta::assert_snapshot!(draw(plain(80), &script));
}

#[test]
fn retransmissions() {
    let mut script = Script::new();
    script.passive().get("S", 0, None, b"");
    script.to(TcpState::SynReceived).put("S", 0, Some(1), b"");
    script.wait(1_000_000).put("S", 0, Some(1), b"").again();
    script.wait(80).get("", 1, Some(1), b"");
    script.to(TcpState::Established);
    script.put("P", 1, Some(1), b"hello");
    script.wait(300_000).put("P", 1, Some(1), b"hello").again();
    script.wait(80).get("", 1, Some(6), b"");
    insta::assert_snapshot!(draw(plain(80), &script));
}

#[test]
fn several_flows() {
    let mut script = Script::new();
    script
        .passive()
        .get("S", 0, None, b"")
        .to(TcpState::SynReceived);
    script
        .passive()
        .get("S", 0, None, b"")
        .discarded(Discard::BacklogFull);
    script
        .on(1)
        .put("S", 0, Some(1), b"")
        .get("", 1, Some(1), b"");
    script.to(TcpState::Established).note("said \x1b[31mhello");
    for _ in 3..10 {
        script.open(Transport::Udp, Opening::Passive, "hello");
    }
    script.open(Transport::Udp, Opening::Passive, "hello");
    script.datagram(Direction::In, b"Hello Sever");
    script.datagram(Direction::Out, b"Hello");
    script.datagram(Direction::In, &[0xff; 1200]).over(None);
    script
        .on(1)
        .wait(99_000_000)
        .get("P", 1, Some(1), b"\x00\x01");
    insta::assert_snapshot!(draw(plain(80), &script));
}

#[test]
fn packets_without_flow() {
    let mut script = Script::new();
    script.stray(b"\x45", Fate::Discarded(Discard::Malformed));
    script.passive().get("S", 0, None, b"");
    let EventKind::Packet(syn) = script.events[2].kind.clone() else {
        panic!("the SYN");
    };
    script.stray(&syn.bytes, Fate::Discarded(Discard::NotForUs));
    script.stray(&syn.bytes[..30], Fate::Discarded(Discard::Malformed));
    assert!(!draw(plain(80), &script).contains("discarded"));
    script.stray(&syn.bytes, Fate::Delivered);
    assert!(draw(plain(80), &script).contains(" in S "));
    let verbose = Options {
        verbose: 1,
        ..plain(80)
    };
    insta::assert_snapshot!(draw(verbose, &script));
}

#[test]
fn ascii_only() {
    let mut script = Script::new();
    script.password().note("收到").peer_closes(3, 28);
    script
        .get("S", 0, None, b"")
        .discarded(Discard::BacklogFull);
    let mut options = at_width(80);
    options.screen.unicode = false;
    let drawn = draw(options, &script);
    assert!(drawn.is_ascii());
    insta::assert_snapshot!(drawn);
}

#[test]
fn colours_change_nothing_else() {
    let mut script = Script::new();
    script.password().again().peer_closes(3, 28);
    script
        .get("S", 0, None, b"")
        .discarded(Discard::BacklogFull);
    let mut options = at_width(80);
    options.screen.colour = true;
    let drawn = draw(options, &script);
    insta::assert_snapshot!(drawn.replace('\x1b', "^"));
    let mut bare = String::new();
    for part in drawn.split('\x1b') {
        bare += match part.split_once('m') {
            Some((code, text)) if code.starts_with('[') => text,
            _ => part,
        };
    }
    assert_eq!(bare, draw(at_width(80), &script));
}

#[test]
fn nothing_is_wider_than_the_screen() {
    let mut script = Script::new();
    script.password().again().note(&"长".repeat(300));
    script.get("P", 4, Some(29), "请输入密码".repeat(40).as_bytes());
    script.stray(b"\x45", Fate::Discarded(Discard::Malformed));
    script.peer_closes(603, 28);
    for width in 60..=140 {
        for unicode in [true, false] {
            let mut options = Options {
                verbose: 2,
                explain: Depth::Deep,
                lang: if unicode { Lang::Zh } else { Lang::En },
                ..at_width(width)
            };
            options.screen.unicode = unicode;
            for line in draw(options, &script).lines() {
                assert!(line.width() <= width, "{width}: {line}");
            }
        }
    }
}

#[test]
fn a_packet_is_held_back_no_longer_than_until_flush() {
    let mut script = Script::new();
    script
        .passive()
        .get("S", 0, None, b"")
        .to(TcpState::SynReceived);
    let mut view = View::new();
    let mut ladder = Ladder::new(plain(80));
    let mut out = Vec::new();
    let mut feed = |ladder: &mut Ladder, event, out: &mut Vec<u8>| {
        view.event(event);
        ladder.event(&view, event, out).unwrap();
    };
    feed(&mut ladder, &script.events[0], &mut out);
    let before = out.len();
    feed(&mut ladder, &script.events[1], &mut out);
    assert_eq!(out.len(), before);
    ladder.flush(&mut out).unwrap();
    let flushed = String::from_utf8(out.clone()).unwrap();
    assert!(flushed.contains("S 0:0(0)"), "{flushed}");
    feed(&mut ladder, &script.events[2], &mut out);
    let drawn = String::from_utf8(out).unwrap();
    assert!(
        drawn.ends_with("LISTEN → SYN-RECEIVED (segment 1)\n"),
        "{drawn}"
    );
}

#[test]
fn a_flow_is_printed_whole() {
    let mut script = Script::new();
    script.passive().passive();
    for _ in 0..3_000 {
        script.on(1).wait(1).put("", 1, None, b"x");
        script.on(2).put("", 1, None, b"x");
    }
    let mut view = View::new();
    let mut ladder = Ladder::new(plain(80));
    for event in &script.events {
        view.event(event);
        ladder.event(&view, event, &mut io::sink()).unwrap();
    }
    ladder.flush(&mut io::sink()).unwrap();
    let mut out = Vec::new();
    assert!(ladder.whole(FlowId(2), &mut out).unwrap());
    assert!(!ladder.whole(FlowId(3), &mut out).unwrap());
    let whole = String::from_utf8(out).unwrap();
    assert_eq!(whole.lines().count(), 2_001);
    assert!(!whole.contains("#1"));
    let left_out = whole.lines().nth(1_000).unwrap();
    // Three lines of heading and 3,000 arrows make 1,003 lines too many.
    assert_eq!(left_out.trim(), "#2 1003 lines left out");
    assert!(whole.lines().last().unwrap().starts_with("0.002999 #2"));
}

/// Everything that the link does to packets, and what TCP makes of it.
#[test]
fn the_link_interferes() {
    let mut script = Script::new();
    script.interfered();
    let mut rules = RuleSet::new();
    for text in ["drop out SYN-ACK #1", "delay 4s out SYN-ACK"] {
        rules.add(Rule {
            text: text.into(),
            scope: Scope::default(),
            action: Action::Set(Knobs::default()),
        });
    }
    for (lang, depth, name) in [
        (Lang::En, Depth::Brief, "fates_brief_en"),
        (Lang::En, Depth::Deep, "fates_deep_en"),
        (Lang::Zh, Depth::Normal, "fates_normal_zh"),
    ] {
        let options = Options {
            lang,
            explain: depth,
            ..at_width(100)
        };
        let mut view = View::new();
        let mut ladder = Ladder::new(options);
        ladder.rules_are(&rules);
        let mut out = Vec::new();
        for event in &script.events {
            view.event(event);
            ladder.event(&view, event, &mut out).unwrap();
        }
        ladder.flush(&mut out).unwrap();
        insta::assert_snapshot!(name, String::from_utf8(out).unwrap());
    }
    let mut screen = plain(60);
    screen.screen.unicode = false;
    let drawn = draw(screen, &script);
    assert!(drawn.is_ascii(), "{drawn}");
    for line in drawn.lines() {
        assert!(line.width() <= 60, "{line}");
    }
}

#[test]
fn copies_in_a_row_are_one_rung() {
    let mut script = Script::new();
    script.passive();
    script.get("S", 0, None, b"").fate(Fate::Held(RuleId::HAND));
    let folded = |script: &mut Script| {
        script.wait(1_000_000).get("S", 0, None, b"").again();
        script.fate(Fate::Folded(PacketId(1)));
    };
    for _ in 0..4 {
        folded(&mut script);
        // The kernel is asked after each.
        script.asked(TcpState::SynSent);
    }
    script.released(1, Fate::Delivered, crate::event::Release::Hand);
    script.to(TcpState::SynReceived);
    script
        .put("S", 0, Some(1), b"")
        .fate(Fate::Held(RuleId::HAND));
    folded(&mut script);
    folded(&mut script);
    insta::assert_snapshot!(draw(plain(100), &script));
    let ascii = Options {
        screen: Screen {
            unicode: false,
            ..OPTIONS.screen
        },
        lang: Lang::Zh,
        ..plain(100)
    };
    insta::assert_snapshot!(draw(ascii, &script));
}
