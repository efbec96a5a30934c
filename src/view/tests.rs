use super::script::{IRS, ISS, Script};
use super::*;
use crate::event::{Discard, Opening, Timer, UserCall};
use crate::segment::SeqNumber;
use crate::state::TcpState;
use smoltcp::time::Duration;

fn view(script: &Script) -> View {
    let mut view = View::new();
    for event in &script.events {
        view.event(event);
    }
    view
}

fn ending(by: By, means: Means) -> Ending {
    Ending { by, means }
}

/// Checks what ended the only flow of a script, in order.
fn check(name: &str, script: &Script, endings: &[Ending]) {
    let view = view(script);
    let flow = view.flow(FlowId(1)).unwrap();
    assert_eq!(flow.endings, endings, "{name}");
}

#[test]
fn a_conversation_is_counted_and_timed() {
    let mut script = Script::new();
    script.password().peer_closes(3, 28);
    let view = view(&script);
    let flow = view.flow(FlowId(1)).unwrap();
    assert_eq!(
        flow.received,
        Traffic {
            packets: 7,
            bytes: 3,
            ..Traffic::default()
        }
    );
    assert_eq!(
        flow.sent,
        Traffic {
            packets: 5,
            bytes: 28,
            ..Traffic::default()
        }
    );
    assert_eq!(flow.handshake, Some(Duration::from_micros(240)));
    assert_eq!(
        (flow.iss, flow.irs),
        (Some(SeqNumber(ISS)), Some(SeqNumber(IRS)))
    );
    let times: Vec<(TcpState, u64)> = flow
        .times(view.now())
        .map(|(state, time)| (state, time.total_micros()))
        .collect();
    assert_eq!(
        times,
        [
            (TcpState::SynReceived, 240),
            (TcpState::Established, 1_204_600),
            (TcpState::CloseWait, 90),
            (TcpState::LastAck, 60),
        ]
    );
    assert_eq!(flow.peer_state.state(), TcpState::TimeWait);
    assert_eq!(flow.state, TcpState::Closed);
    assert_eq!(flow.result, Some(Ok(())));
    assert_eq!(view.totals().received, flow.received);
    assert_eq!(view.totals().connections, 1);
}

#[test]
fn what_ended_a_connection_is_told_in_order() {
    use By::{Local, Peer};
    let mut script = Script::new();
    script.passive().handshake().peer_closes(0, 0);
    check(
        "the peer closes first",
        &script,
        &[ending(Peer, Means::Fin), ending(Local, Means::Fin)],
    );

    let mut script = Script::new();
    script.passive().handshake().we_close(0, 0);
    check(
        "we close first",
        &script,
        &[ending(Local, Means::Fin), ending(Peer, Means::Fin)],
    );

    let mut script = Script::new();
    script.passive().handshake().get("R", 1, None, b"");
    script.to(TcpState::Closed);
    check("the peer resets", &script, &[ending(Peer, Means::Reset)]);

    let mut script = Script::new();
    script.passive().handshake().get("R", 9999, None, b"");
    check("a RST that is not acceptable", &script, &[]);

    let mut script = Script::new();
    script.passive().handshake();
    script.call(TcpState::Closed, UserCall::Abort);
    script.put("R", 1, Some(1), b"");
    check("we abort", &script, &[ending(Local, Means::Abort)]);

    let mut script = Script::new();
    script
        .passive()
        .get("S", 0, None, b"")
        .to(TcpState::SynReceived);
    script.timeout(TcpState::Closed, Timer::User);
    check(
        "nobody completes the handshake",
        &script,
        &[ending(Local, Means::Timeout(Timer::User))],
    );

    let mut script = Script::new();
    script.passive().handshake();
    script.get("F", 1, Some(1), b"").to(TcpState::CloseWait);
    script.get("R", 2, None, b"").to(TcpState::Closed);
    check(
        "a RST after a FIN",
        &script,
        &[ending(Peer, Means::Fin), ending(Peer, Means::Reset)],
    );
}

#[test]
fn bytes_count_once_however_often_they_are_sent() {
    let mut script = Script::new();
    script.passive().handshake();
    script
        .put("P", 1, Some(1), b"hello")
        .put("P", 1, Some(1), b"hello")
        .again();
    script.put("P", 4, Some(1), b"lo you").again();
    // The second half comes before the first.
    script
        .get("", 6, Some(10), b"world")
        .get("", 1, Some(10), b"hello")
        .again();
    let view = view(&script);
    let flow = view.flow(FlowId(1)).unwrap();
    assert_eq!((flow.sent.bytes, flow.sent.retransmissions), (9, 2));
    assert_eq!(
        (flow.received.bytes, flow.received.retransmissions),
        (10, 1)
    );
}

#[test]
fn a_lost_fin_is_no_byte() {
    let mut script = Script::new();
    script.passive().handshake().get("P", 1, Some(1), b"123");
    // The FIN had the number 4.
    script.get("", 5, Some(1), b"");
    script.get("F", 4, Some(1), b"").again();
    assert_eq!(view(&script).totals().received.bytes, 3);
}

#[test]
fn datagrams_and_strays_are_counted() {
    let mut script = Script::new();
    script.open(Transport::Udp, Opening::Passive, "hello");
    script
        .datagram(Direction::In, b"Hello Sever")
        .datagram(Direction::Out, b"Hello");
    script.stray(b"\x45", Fate::Discarded(Discard::Malformed));
    script.stray(b"", Fate::Discarded(Discard::Malformed));
    script.stray(b"", Fate::Delivered);
    let view = view(&script);
    let flow = view.flow(FlowId(1)).unwrap();
    assert_eq!((flow.received.packets, flow.received.bytes), (1, 11));
    assert_eq!((flow.sent.packets, flow.sent.bytes), (1, 5));
    assert_eq!(view.totals().exchanges, 1);
    assert_eq!(view.strays().received, 1);
    assert_eq!(view.strays().discarded, [("malformed", 2)].into());
}

#[test]
fn old_flows_are_forgotten_but_stay_in_the_totals() {
    let mut script = Script::new();
    for _ in 0..FINISHED_KEPT + 2 {
        script.open(Transport::Udp, Opening::Passive, "hello");
        script.datagram(Direction::In, b"Hello").over(None);
    }
    let view = view(&script);
    assert_eq!(view.flows().len(), FINISHED_KEPT);
    assert!(view.flow(FlowId(2)).is_none() && view.flow(FlowId(3)).is_some());
    assert_eq!(view.totals().forgotten, 2);
    assert_eq!(view.totals().received.bytes, 5 * (FINISHED_KEPT as u64 + 2));
}

#[test]
fn numbers_count_from_the_initial_ones_of_each_direction() {
    let mut script = Script::new();
    script.passive().handshake();
    let view = view(&script);
    let origin = view.origin(Some(FlowId(1)), Direction::Out);
    assert_eq!(origin.seq, Some(SeqNumber(ISS)));
    assert_eq!(origin.ack, Some(SeqNumber(IRS)));
    assert_eq!(view.origin(None, Direction::In), Origin::default());
}

#[test]
fn the_wire_lags_behind_our_state() {
    use TcpState::*;
    let states = |script: &Script| {
        let mut view = View::new();
        script.events.iter().for_each(|event| view.event(event));
        let flow = view.flow(FlowId(1)).unwrap();
        (flow.state, flow.wire_state())
    };
    let mut script = Script::new();
    script.active().call(SynSent, UserCall::Open);
    assert_eq!(states(&script), (SynSent, Closed));
    script.put("S", 0, None, b"");
    assert_eq!(states(&script), (SynSent, SynSent));
    script.get("S", 0, Some(1), b"").to(Established);
    script.put("", 1, Some(1), b"");
    script.call(FinWait1, UserCall::Close);
    assert_eq!(states(&script), (FinWait1, Established));
    script.put("P", 1, Some(1), b"x");
    assert_eq!(states(&script), (FinWait1, Established));
    script.put("F", 2, Some(1), b"");
    assert_eq!(states(&script), (FinWait1, FinWait1));

    let mut script = Script::new();
    script.passive().get("S", 0, None, b"").to(SynReceived);
    assert_eq!(states(&script), (SynReceived, Listen));
    script.put("S", 0, Some(1), b"").get("", 1, Some(1), b"");
    script.to(Established).get("F", 1, Some(1), b"");
    script.to(CloseWait).call(LastAck, UserCall::Close);
    assert_eq!(states(&script), (LastAck, CloseWait));
    script.put("F", 1, Some(2), b"");
    assert_eq!(states(&script), (LastAck, LastAck));
}

#[test]
fn what_the_kernel_says_counts_until_the_next_packet() {
    let mut script = Script::new();
    script.passive().handshake().asked(TcpState::FinWait1);
    script.get("", 1, Some(1), b"");
    script.get("F", 1, Some(1), b"").asked(TcpState::TimeWait);
    script.get("", 2, Some(1), b"").asked(TcpState::Closed);
    script.get("R", 2, None, b"");
    let mut view = View::new();
    let mut seen = Vec::new();
    for event in &script.events {
        view.event(event);
        let flow = view.flow(FlowId(1)).unwrap();
        let (state, basis) = flow.peer_end();
        let end = (state, basis, flow.kernel_differs());
        if seen.last() != Some(&end) {
            seen.push(end);
        }
    }
    use Basis::*;
    use TcpState::*;
    // No state is skipped, whatever the kernel is ahead by.
    let expected = [
        (Established, Told, None),
        (Established, Told, Some(FinWait1)),
        (Established, Told, None),
        (FinWait1, Told, None),
        (FinWait1, Told, Some(TimeWait)),
        (FinWait1, Told, None),
        // There is no way back from there.
        (FinWait1, Told, Some(Closed)),
        (Closed, Asked, None),
    ];
    assert!(seen.ends_with(&expected), "{seen:?}");
    // In TIME-WAIT there is no TCP_INFO; what was heard before stays.
    let info = view.flow(FlowId(1)).unwrap().peer_info.unwrap();
    assert_eq!(info.cwnd, 10);
}
