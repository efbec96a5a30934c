use super::*;
use crate::event::{Release, Transition};
use crate::view::script::Script;

/// What is said, shown and ordered while `lines` are typed, and the score.
fn play(lang: Lang, script: &Script, lines: &[&str]) -> String {
    let mut quiz = Quiz::new(lang);
    script.events.iter().for_each(|event| quiz.event(event));
    lines.iter().for_each(|line| quiz.line((*line).into()));
    go_on(&mut quiz) + &quiz.score()
}

fn go_on(quiz: &mut Quiz) -> String {
    let mut told = String::new();
    loop {
        told += &match quiz.next() {
            Next::Wait => return told,
            Next::Say(text) => format!("{text}\n"),
            Next::Ask(text) => text,
            Next::Heard(line) => format!("[{line}]\n"),
            Next::Do(command) => format!("do {command:?}\n"),
            Next::Show(event) => match event.kind {
                EventKind::Packet(packet) => {
                    let origin = quiz.view().origin(event.flow, packet.direction);
                    format!("show {:#}\n", packet.described.notation(origin))
                }
                EventKind::Transition(Transition { from, to, .. }) => format!("show {from} {to}\n"),
                _ => "show\n".into(),
            },
        };
    }
}

fn conversation() -> Script {
    let mut script = Script::new();
    script.password().peer_closes(3, 28);
    script
}

#[test]
fn a_learner_is_asked_before_anything_is_shown() {
    let lines = [
        "S 0",
        "syn_rcvd",
        "?",
        "SYN-ACK",
        "1",
        "1",
        "A 1 1",
        "",
        "huh",
        "P. 1 1",
        "ack 1 17",
        "P. 1",
        "17",
        "S. 17:29(12) ack 4",
        ". 4 29",
        "[F.], 4, 29",
        "?",
        "CLOSE_WAIT",
    ];
    for (lang, name) in [(Lang::En, "conversation_en"), (Lang::Zh, "conversation_zh")] {
        insta::assert_snapshot!(name, play(lang, &conversation(), &lines));
    }
}

#[test]
fn everything_can_be_right() {
    let lines = [
        "SYN 0",
        "SYN-RECEIVED",
        "SYN-ACK 0 1",
        "ACK 1 1",
        "ESTABLISHED",
        "ACK 1 1",
        "ACK 1 17",
        "ACK 1 17",
        "ACK 17 4",
        "ACK 4 29",
        "FIN-ACK 4 29",
        "CLOSE-WAIT",
        "ACK 29 5",
        "LAST-ACK",
        "FIN-ACK 29 5",
        "ACK 5 30",
        "CLOSED",
    ];
    let told = play(Lang::En, &conversation(), &lines);
    assert!(
        !told.contains("wrong") && !told.contains("answer:"),
        "{told}"
    );
    assert!(told.ends_with("Quiz: 40 of 40 right\n"), "{told}");
}

#[test]
fn numbers_on_the_wire_are_as_good_and_push_does_not_count() {
    let mut script = Script::new();
    script.passive().handshake();
    let iss = script
        .events
        .iter()
        .find_map(|event| match &event.kind {
            EventKind::Packet(packet) if packet.direction == Direction::Out => {
                packet.described.tcp().map(|segment| segment.seq.0)
            }
            _ => None,
        })
        .unwrap();
    let syn_ack = format!("PSA {iss} 1");
    let told = play(Lang::En, &script, &["S 0 7", "", &syn_ack, "P 1 1"]);
    assert!(
        told.contains("right: seq 1 ack 1; wrong: ACK, not PSH\n"),
        "{told}"
    );
    assert!(
        told.contains("right: SYN seq 0; wrong: no ack, not ack 7\n"),
        "{told}"
    );
    assert!(told.contains("right: SYN,ACK seq 0 ack 1\n"), "{told}");
    assert!(told.contains("segment 1: no ack, not ack 7\n"), "{told}");
}

#[test]
fn what_waits_goes_on_once_the_question_is_answered() {
    let mut script = Script::new();
    script.passive().get("S", 0, None, b"");
    script.fate(Fate::Held(RuleId::HAND));
    let mut quiz = Quiz::new(Lang::En);
    script.events.iter().for_each(|event| quiz.event(event));
    let told = go_on(&mut quiz);
    assert!(
        told.ends_with("seq, ack? ") && !told.contains("show S"),
        "{told}"
    );

    // The kernel's patience is shorter.
    let known = script.events.len();
    script.get("S", 0, None, b"").again();
    script.fate(Fate::Held(RuleId::HAND));
    script.events[known..]
        .iter()
        .for_each(|event| quiz.event(event));
    assert_eq!(go_on(&mut quiz), "do Release(PacketId(2), Drop)\n");
    let known = script.events.len();
    script.released(2, Fate::Dropped(RuleId::HAND), Release::Hand);
    script.events[known..]
        .iter()
        .for_each(|event| quiz.event(event));
    assert_eq!(go_on(&mut quiz), "");

    quiz.interrupt("command ended with code 28");
    let told = go_on(&mut quiz);
    let question = "#1 Segment 1 from the peer to tcplab: flags, seq, ack? ";
    assert_eq!(told, format!("\ncommand ended with code 28\n{question}"));

    quiz.line("S 0".into());
    let told = go_on(&mut quiz);
    assert_eq!(
        told,
        "[S 0]\n  right: SYN seq 0\ndo Release(PacketId(1), Pass)\n"
    );
    let known = script.events.len();
    script.released(1, Fate::Delivered, Release::Hand);
    script.to(crate::state::TcpState::SynReceived);
    script.events[known..]
        .iter()
        .for_each(|event| quiz.event(event));
    let told = go_on(&mut quiz);
    assert!(told.ends_with("Next state? "), "{told}");
    assert!(quiz.is_busy());
}

#[test]
fn a_datagram_is_no_question() {
    use crate::event::{Opening, Transport};
    let mut script = Script::new();
    script.open(Transport::Udp, Opening::Passive, "hello");
    script.datagram(Direction::In, b"Hello Sever");
    script.fate(Fate::Held(RuleId::HAND));
    let told = play(Lang::En, &script, &[]);
    assert!(told.contains("do Release(PacketId(1), Pass)\n"), "{told}");
    assert!(told.ends_with("Quiz: no question was answered\n"), "{told}");
}

#[test]
fn who_leaves_sees_the_rest() {
    let all = conversation();
    for is_end in [false, true] {
        let mut quiz = Quiz::new(Lang::En);
        all.events.iter().for_each(|event| quiz.event(event));
        quiz.line("S 0".into());
        match is_end {
            true => quiz.last_line(),
            false => quiz.line("q".into()),
        }
        let told = go_on(&mut quiz);
        assert_eq!(
            told.matches(" ack? ").count() + told.matches("state? ").count(),
            2,
            "{told}"
        );
        assert!(told.contains("do Step(Off)\n"), "{told}");
        assert!(told.contains("show LAST-ACK CLOSED\n"), "{told}");
        assert!(quiz.is_over() && !quiz.is_busy());
        assert_eq!(quiz.score(), "Quiz: 2 of 2 right\n");
    }
}
