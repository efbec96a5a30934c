use super::*;
use crate::event::{Direction, Discard, Fate, Release, Timer, UserCall};
use crate::fault::{Kind, Knobs, Pattern, Rule, Scope, Verdict};
use crate::view::script::Script;

fn summary(width: usize, script: &Script) -> String {
    summary_in(Lang::En, width, script)
}

fn summary_in(lang: Lang, width: usize, script: &Script) -> String {
    summary_with(&RuleSet::new(), lang, width, script)
}

fn summary_with(rules: &RuleSet, lang: Lang, width: usize, script: &Script) -> String {
    let mut view = View::new();
    for event in &script.events {
        view.event(event);
    }
    let screen = Screen {
        width,
        colour: false,
        unicode: true,
    };
    let mut out = Vec::new();
    write(&view, rules, lang, screen, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn nothing_happened() {
    assert_eq!(summary(80, &Script::new()), "");
}

/// Every way in which a connection may be opened and closed.
#[test]
fn a_few_flows() {
    let mut script = Script::new();
    script.password().peer_closes(3, 28);
    script.passive().handshake();
    script
        .put("P", 1, Some(1), b"hello")
        .put("P", 1, Some(1), b"hello")
        .again();
    script.get("", 1, Some(6), b"").we_close(0, 5);

    script.passive().handshake().get("R", 1, None, b"");
    script
        .to(TcpState::Closed)
        .over(Some(Err("connection reset".into())));

    script
        .passive()
        .handshake()
        .call(TcpState::Closed, UserCall::Abort);
    script.put("R", 1, Some(1), b"").over(None);

    script
        .passive()
        .get("S", 0, None, b"")
        .to(TcpState::SynReceived);
    script
        .put("S", 0, Some(1), b"")
        .wait(3_000_000)
        .put("S", 0, Some(1), b"")
        .again();
    script.timeout(TcpState::Closed, Timer::User).over(None);

    // Refused.
    script
        .active()
        .call(TcpState::SynSent, UserCall::Open)
        .put("S", 0, None, b"");
    script
        .wait(90)
        .get("R", 0, Some(1), b"")
        .to(TcpState::Closed)
        .over(None);

    // Simultaneous open, then simultaneous close.
    script
        .active()
        .call(TcpState::SynSent, UserCall::Open)
        .put("S", 0, None, b"");
    script
        .wait(500)
        .get("S", 0, None, b"")
        .to(TcpState::SynReceived);
    script
        .put("S", 0, Some(1), b"")
        .wait(500)
        .get("S", 0, Some(1), b"");
    script.to(TcpState::Established).put("", 1, Some(1), b"");
    script
        .wait(1_000)
        .call(TcpState::FinWait1, UserCall::Close)
        .put("F", 1, Some(1), b"");
    script
        .get("F", 1, Some(1), b"")
        .to(TcpState::Closing)
        .put("", 2, Some(2), b"");
    script
        .wait(500)
        .get("", 2, Some(2), b"")
        .to(TcpState::TimeWait);
    script
        .timeout(TcpState::Closed, Timer::TimeWait)
        .over(Some(Ok(())));

    script.passive().handshake().get("F", 1, Some(1), b"");
    script.to(TcpState::CloseWait).wait(700);
    script.passive().handshake().wait(800);

    script.open(Transport::Udp, Opening::Passive, "hello");
    script
        .datagram(Direction::In, b"Hello Sever")
        .datagram(Direction::Out, b"Hello");
    script.stray(b"\x45", Fate::Discarded(Discard::Malformed));
    script.stray(b"", Fate::Delivered);
    insta::assert_snapshot!(summary(80, &script));
    insta::assert_snapshot!("a_few_flows_in_chinese", summary_in(Lang::Zh, 80, &script));
}

#[test]
fn many_flows() {
    let mut script = Script::new();
    for _ in 0..9 {
        script.password().peer_closes(3, 28);
        script.passive().handshake().get("R", 1, None, b"");
        script.to(TcpState::Closed).over(None);
    }
    script
        .active()
        .call(TcpState::SynSent, UserCall::Open)
        .put("S", 0, None, b"");
    script.put("S", 0, None, b"").again();
    script.open(Transport::Udp, Opening::Passive, "hello");
    script
        .datagram(Direction::In, b"Hello Sever")
        .datagram(Direction::Out, b"Hello");
    script.password();
    insta::assert_snapshot!(summary(80, &script));
    insta::assert_snapshot!("many_flows_in_chinese", summary_in(Lang::Zh, 80, &script));
}

#[test]
fn rules_are_listed_with_what_they_decided() {
    let mut rules = RuleSet::new();
    for (text, action) in [
        ("drop out SYN-ACK #1..2", drops(Kind::SynAck)),
        ("set time-wait=0", Action::Set(Knobs::default())),
        ("drop in FIN", drops(Kind::Fin)),
    ] {
        rules.add(Rule {
            text: text.into(),
            scope: Scope::default(),
            action,
        });
    }
    let mut script = Script::new();
    let rule = Fate::Dropped(RuleId(1));
    script
        .passive()
        .get("S", 0, None, b"")
        .to(TcpState::SynReceived);
    script.put("S", 0, Some(1), b"").fate(rule.clone());
    script.put("S", 0, Some(1), b"").again().fate(rule);
    script.put("S", 0, Some(1), b"").again();
    script.get("", 1, Some(1), b"").to(TcpState::Established);
    script
        .get("P", 1, Some(1), b"x")
        .fate(Fate::Held(RuleId::HAND));
    script.released(6, Fate::Dropped(RuleId::HAND), Release::Hand);
    for lang in [Lang::En, Lang::Zh] {
        let name = format!("rules_{lang:?}").to_lowercase();
        insta::assert_snapshot!(name, summary_with(&rules, lang, 80, &script));
    }
    let many = (0..30).fold(rules, |mut rules, _| {
        rules.add(rules.rule(RuleId(3)).unwrap().clone());
        rules
    });
    let listed = summary_with(&many, Lang::En, 80, &script);
    assert!(listed.contains("2 packets  rule 1:"), "{listed}");
    assert!(!listed.contains("rule 3:"), "{listed}");
}

fn drops(kind: Kind) -> Action {
    let pattern = Pattern {
        direction: Some(Direction::Out),
        kind,
        ..Pattern::default()
    };
    Action::Judge(Verdict::Drop, pattern)
}
