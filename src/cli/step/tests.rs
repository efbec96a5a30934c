use super::*;
use crate::engine::{Break, Copies, Disposal};
use crate::event::{Fate, Release, RuleId};
use crate::state::TcpState;
use crate::view::script::Script;

fn stepper(orders: &str) -> (Stepper, io::PipeWriter) {
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(orders.as_bytes()).unwrap();
    let input = File::from(std::os::fd::OwnedFd::from(reader));
    let mut stepper = Stepper {
        waiting: Waiting::default(),
        input: Some(Arc::new(input)),
        terminal: None,
        quiet: true,
        lang: Lang::En,
        screen: screen(),
        unread: Vec::new(),
        lines: VecDeque::new(),
        prompted: None,
        shown: None,
        given: None,
        now: Instant::ZERO,
        is_over: false,
    };
    stepper.read();
    (stepper, writer)
}

fn hold(stepper: &mut Stepper, packets: usize) {
    let mut script = Script::new();
    script.passive();
    for _ in 0..packets {
        script.get("S", 0, None, b"").fate(Fate::Held(RuleId::HAND));
    }
    let mut view = View::new();
    for event in &script.events {
        view.event(event);
        stepper.event(&view, event);
    }
}

/// What the orders of a file make the engine do, when so many packets wait.
#[track_caller]
fn check(orders: &str, packets: usize, expected: &[Command]) {
    let (mut stepper, _writer) = stepper(orders);
    hold(&mut stepper, packets);
    let mut done = Vec::new();
    while let Some(command) = stepper.next() {
        done.push(command);
        assert!(done.len() < 10, "{done:?}");
    }
    assert_eq!(done, expected, "{orders:?}");
}

#[test]
fn orders_in_a_file_wait_for_their_packets() {
    let pass = |id| Command::Release(PacketId(id), Disposal::Pass);
    check("p\n", 0, &[]);
    check("p\n", 1, &[pass(1)]);
    check("# a comment\np 2\n", 1, &[]);
    check("p 2\np 1\n", 2, &[pass(2), pass(1)]);
    check(
        "c until FIN-WAIT-2\nd 3\n",
        2,
        &[Command::Step(Stepping::Until(Break::State(
            TcpState::FinWait2,
        )))],
    );
    // Half a line is none.
    check("p 1", 1, &[]);
    let hold = Command::Copies(Copies::Hold);
    check("copies hold\np 1\n", 1, &[hold, pass(1)]);
    // What can't be done is said, and the next order is looked at.
    check("nonsense\nl\nh\nd 2\np 1\n", 1, &[]);
    check(
        "d 1\nd 9\n",
        2,
        &[Command::Release(PacketId(1), Disposal::Drop)],
    );
}

#[test]
fn everything_goes_on_when_there_are_no_more_orders() {
    let (mut stepper, writer) = stepper("p 1");
    hold(&mut stepper, 2);
    assert!(stepper.waits() && stepper.end().is_some());
    drop(writer);
    stepper.read();
    assert!(!stepper.waits() && stepper.end().is_none());
    assert_eq!(
        stepper.next(),
        Some(Command::Release(PacketId(1), Disposal::Pass))
    );
    assert_eq!(stepper.next(), Some(Command::Step(Stepping::Off)));
    assert_eq!(stepper.next(), None);
}

#[test]
fn what_is_sent_again_stands_beside_what_waits() {
    let mut script = Script::new();
    let folded = |script: &mut Script| {
        script.wait(1_000_000).get("S", 0, None, b"").again();
        script.fate(Fate::Folded(PacketId(1)));
    };
    script.passive().get("S", 0, None, b"");
    script.fate(Fate::Held(RuleId::HAND));
    folded(&mut script);
    let held = script.events.len();
    script.released(1, Fate::Delivered, Release::Hand);
    script.put("S", 0, Some(1), b"");
    script.fate(Fate::Held(RuleId::HAND));
    folded(&mut script);
    let (mut stepper, _writer) = stepper("# nothing\n");
    stepper.screen.unicode = true;
    let mut view = View::new();
    let mut status = |stepper: &mut Stepper, events: &[Event]| {
        for event in events {
            view.event(event);
            stepper.event(&view, event);
        }
        stepper.tick(events.last().unwrap().at + Duration::from_secs(125));
        stepper.status()
    };
    let (before, after) = script.events.split_at(held);
    assert_eq!(
        status(&mut stepper, before),
        ["#1 packet 1 in: S 0:0(0) ×2, the last 2 min 5 s ago"]
    );
    assert_eq!(
        status(&mut stepper, after),
        [
            "#1 packet 3 out: S. 0:0(0) ack 1",
            "packet 1 is sent again: S 0:0(0) ×3, the last 2 min 5 s ago"
        ]
    );
    stepper.lang = Lang::Zh;
    stepper.screen.unicode = false;
    assert_eq!(
        stepper.status(),
        [
            "#1 第 3 个包（发出）：S. 0:0(0) ack 1",
            "第 1 个包在重传：S 0:0(0) x3，最近一次在 2 min 5 s 前"
        ]
    );
}

#[test]
fn a_line_is_cut_where_the_terminal_ends() {
    assert_eq!(cut("#1 packet 1", 4), "#1 p");
    assert_eq!(cut("第 1 个包", 6), "第 1 ");
    assert_eq!(cut("第 1", 80), "第 1");
}
