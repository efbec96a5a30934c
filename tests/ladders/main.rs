//! Ladders: a scenario in, everything that both ends do out, as a snapshot.
//!
//! The snapshots are taken from runs and were then read with RFC 9293 in hand. Where smoltcp departs from it,
//! a comment beside the case says so. A line of a ladder is
//!
//! ```text
//! time  side  flow  out|in  segment                      [again]  [discarded: why]
//! time  side  flow  STATE → STATE (cause)
//! ```
//!
//! with numbers relative to the initial ones, and `again` where a segment holds numbers that were sent
//! before. The client is left and the server right; the wire takes 10 ms each way.

mod lab;
#[path = "../support/mod.rs"]
mod support;

use lab::Act::*;
use lab::Do::*;
use lab::{ALWAYS, Act, CLIENT_PORT, Do, Forge, Lab, Lose, Scenario, forge, ladder, lose};
use smoltcp::time::Duration;
use support::{ACK, FIN, RST, SYN};
use tcplab::engine::Command;
use tcplab::event::FlowId;
use tcplab::sim::Side;

/// Runs a scenario and compares its ladder with the snapshot of that name.
#[track_caller]
fn check(name: &str, scenario: Scenario) {
    check_text(name, &ladder(scenario));
}

#[track_caller]
fn check_text(name: &str, ladder: &str) {
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!(name, ladder);
    });
}

// Normal lives.

#[test]
fn closed_by_the_client() {
    let client: &[Act] = &[Write(b"hello"), Read(5), Close, Drain];
    let server: Option<&[Act]> = Some(&[Read(5), Write(b"HELLO"), Drain, Close]);
    check(
        "closed_by_the_client",
        Scenario {
            client,
            server,
            ..Scenario::default()
        },
    );
    check(
        "closed_by_the_client_v6",
        Scenario {
            v6: true,
            client,
            server,
            ..Scenario::default()
        },
    );
}

#[test]
fn closed_by_the_server() {
    check(
        "closed_by_the_server",
        Scenario {
            client: &[Read(5), Drain, Close],
            server: Some(&[Write(b"hello"), Close, Drain]),
            ..Scenario::default()
        },
    );
}

#[test]
fn closed_by_both_at_once() {
    check(
        "closed_by_both_at_once",
        Scenario {
            client: &[Sleep(110), Close, Drain],
            server: Some(&[Sleep(100), Close, Drain]),
            ..Scenario::default()
        },
    );
}

#[test]
fn half_closed_with_data_still_flowing() {
    check(
        "half_closed_with_data_still_flowing",
        Scenario {
            client: &[Write(b"that is all"), Close, Drain],
            server: Some(&[
                Drain,
                Write(b"one"),
                Sleep(100),
                Write(b"two"),
                Sleep(100),
                Close,
            ]),
            ..Scenario::default()
        },
    );
}

// Other openings.

/// RFC 9293, section 3.5, figure 8.
#[test]
fn opened_by_both_at_once() {
    check(
        "opened_by_both_at_once",
        Scenario {
            server: None,
            then: vec![(0, OpenFromRight)],
            ..Scenario::default()
        },
    );
}

#[test]
fn refused() {
    check(
        "refused",
        Scenario {
            server: None,
            ..Scenario::default()
        },
    );
}

#[test]
fn syn_lost() {
    check(
        "syn_lost",
        Scenario {
            lose: vec![lose(Side::Left, SYN, 2)],
            until: 5_000,
            ..Scenario::default()
        },
    );
}

/// The client's second SYN draws the SYN-ACK again, which the timer would have sent at the same time.
#[test]
fn syn_ack_lost() {
    check(
        "syn_ack_lost",
        Scenario {
            lose: vec![lose(Side::Right, SYN | ACK, 2)],
            until: 8_000,
            ..Scenario::default()
        },
    );
}

/// The connection is established at the left and half open at the right until the SYN-ACK comes again.
#[test]
fn last_ack_of_the_handshake_lost() {
    check(
        "last_ack_of_the_handshake_lost",
        Scenario {
            client: &[Sleep(3_000), Close, Drain],
            lose: vec![lose(Side::Left, ACK, 1)],
            until: 5_000,
            ..Scenario::default()
        },
    );
    // Data serves as well as the ACK that was lost.
    check(
        "last_ack_of_the_handshake_lost_data_follows",
        Scenario {
            client: &[Sleep(100), Write(b"hello"), Sleep(100), Close, Drain],
            lose: vec![lose(Side::Left, ACK, 1)],
            until: 5_000,
            ..Scenario::default()
        },
    );
}

/// The SYN that finds no room is answered with a cookie (RFC 4987, section 3.6); its sender does not exist here.
#[test]
fn backlog_full() {
    let syn = |port| Forge {
        port,
        ..forge(SYN, 1_000, 0)
    };
    check(
        "backlog_full",
        Scenario {
            config: |config| config.backlog = 2,
            then: vec![
                (100, Forge(Side::Right, syn(CLIENT_PORT + 1))),
                (100, Forge(Side::Right, syn(CLIENT_PORT + 2))),
                (100, Forge(Side::Right, syn(CLIENT_PORT + 3))),
            ],
            client: &[Close],
            server: Some(&[Close]),
            until: 70_000,
            ..Scenario::default()
        },
    );
}

/// CLOSE in SYN-RECEIVED waits for ESTABLISHED.
#[test]
fn closed_while_half_open() {
    check(
        "closed_while_half_open",
        Scenario {
            client: &[Drain, Close],
            server: Some(&[Drain]),
            lose: vec![lose(Side::Left, ACK, 1)],
            then: vec![(500, Call(Side::Right, Command::Close))],
            until: 5_000,
            ..Scenario::default()
        },
    );
}

/// RFC 9293, section 3.5.1, figure 9: the client has forgotten the connection and opens it anew from the same port.
/// What belongs to the old connection is counted from the new one's initial numbers here.
#[test]
fn half_open_connection_discovered() {
    check(
        "half_open_connection_discovered",
        Scenario {
            client: &[Drain],
            server: Some(&[Drain]),
            lose: vec![lose(Side::Left, RST | ACK, 1)],
            then: vec![(500, Call(Side::Left, Command::Abort)), (1_000, OpenAgain)],
            until: 5_000,
            ..Scenario::default()
        },
    );
}

// Endings that need a second try.

#[test]
fn fin_lost() {
    check(
        "fin_lost",
        Scenario {
            lose: vec![lose(Side::Left, FIN | ACK, 1)],
            until: 5_000,
            ..Scenario::default()
        },
    );
}

#[test]
fn time_wait_answers_a_second_fin() {
    check(
        "time_wait_answers_a_second_fin",
        Scenario {
            // The ACK of the handshake is not the one.
            lose: vec![Lose {
                skip: 1,
                ..lose(Side::Left, ACK, 1)
            }],
            ..Scenario::default()
        },
    );
}

#[test]
fn time_wait_reopened_by_a_newer_syn() {
    check(
        "time_wait_reopened_by_a_newer_syn",
        Scenario {
            client: &[Drain, Close],
            server: Some(&[Close, Drain]),
            then: vec![(1_000, OpenAgain)],
            until: 3_000,
            ..Scenario::default()
        },
    );
}

#[test]
fn time_wait_answers_an_old_syn() {
    check(
        "time_wait_answers_an_old_syn",
        Scenario {
            client: &[Drain, Close],
            server: Some(&[Close, Drain]),
            then: vec![(1_000, Forge(Side::Right, forge(SYN, -1, 0)))],
            until: 3_000,
            ..Scenario::default()
        },
    );
}

// Time-outs.

#[test]
fn user_timeout() {
    check(
        "user_timeout",
        Scenario {
            config: |config| config.user_timeout = Some(Duration::from_secs(5)),
            client: &[Sleep(100), Write(b"anybody there?"), Hold],
            server: Some(&[Hold]),
            lose: vec![lose(Side::Right, ACK, ALWAYS)],
            until: 20_000,
            ..Scenario::default()
        },
    );
}

#[test]
fn syn_never_answered() {
    check(
        "syn_never_answered",
        Scenario {
            lose: vec![lose(Side::Left, SYN, ALWAYS)],
            until: 300_000,
            ..Scenario::default()
        },
    );
}

#[test]
fn fin_wait_2_timeout() {
    check(
        "fin_wait_2_timeout",
        Scenario {
            client: &[Hold],
            server: Some(&[Close]),
            ..Scenario::default()
        },
    );
}

// The window.

#[test]
fn window_shut_and_opened() {
    check(
        "window_shut_and_opened",
        Scenario {
            config: |config| config.buffer = 2_048,
            client: &[Fill(4_096), Close, Drain],
            server: Some(&[Sleep(5_000), Read(4_096), Drain, Close]),
            until: 10_000,
            ..Scenario::default()
        },
    );
}

/// RFC 9293, section 3.8.6.1 (MUST-37): probes that are acknowledged keep the connection open, user timeout or not.
#[test]
fn window_shut_for_longer_than_the_user_timeout() {
    check(
        "window_shut_for_longer_than_the_user_timeout",
        Scenario {
            config: |config| {
                config.buffer = 1_024;
                config.user_timeout = Some(Duration::from_secs(5));
            },
            client: &[Fill(2_000), Close, Drain],
            server: Some(&[Sleep(40_000), Drain, Close]),
            until: 60_000,
            ..Scenario::default()
        },
    );
}

// RST in each state.

/// A story that leads to `state`, and the side that is in it after 500 ms.
fn leading_to(state: &str) -> (Scenario, Side) {
    let plain = Scenario::default();
    match state {
        "SYN-SENT" => {
            let lose = vec![lose(Side::Left, SYN, ALWAYS)];
            (Scenario { lose, ..plain }, Side::Left)
        }
        "SYN-RECEIVED" => {
            let lose = vec![lose(Side::Right, SYN | ACK, ALWAYS)];
            (Scenario { lose, ..plain }, Side::Right)
        }
        "ESTABLISHED" => (
            Scenario {
                client: &[Hold],
                ..plain
            },
            Side::Right,
        ),
        "FIN-WAIT-1" => (
            Scenario {
                client: &[Hold],
                server: Some(&[Close, Hold]),
                lose: vec![lose(Side::Right, FIN | ACK, ALWAYS)],
                ..plain
            },
            Side::Right,
        ),
        "FIN-WAIT-2" => (
            Scenario {
                client: &[Hold],
                server: Some(&[Close, Hold]),
                ..plain
            },
            Side::Right,
        ),
        "CLOSE-WAIT" => (
            Scenario {
                client: &[Close, Hold],
                server: Some(&[Hold]),
                ..plain
            },
            Side::Right,
        ),
        "CLOSING" => (
            Scenario {
                client: &[Sleep(110), Close, Hold],
                server: Some(&[Sleep(100), Close, Hold]),
                lose: vec![
                    Lose {
                        skip: 1,
                        ..lose(Side::Left, ACK, ALWAYS)
                    },
                    lose(Side::Right, ACK, ALWAYS),
                ],
                ..plain
            },
            Side::Right,
        ),
        "LAST-ACK" => (
            Scenario {
                client: &[Close, Hold],
                server: Some(&[Drain, Close, Hold]),
                lose: vec![Lose {
                    skip: 1,
                    ..lose(Side::Left, ACK, ALWAYS)
                }],
                ..plain
            },
            Side::Right,
        ),
        "TIME-WAIT" => (
            Scenario {
                client: &[Drain, Close],
                server: Some(&[Close, Drain]),
                ..plain
            },
            Side::Right,
        ),
        _ => panic!("no way to {state}"),
    }
}

const STATES: [&str; 9] = [
    "SYN-SENT",
    "SYN-RECEIVED",
    "ESTABLISHED",
    "FIN-WAIT-1",
    "FIN-WAIT-2",
    "CLOSE-WAIT",
    "CLOSING",
    "LAST-ACK",
    "TIME-WAIT",
];

/// Does something in each state and compares what follows, one ladder after the other, with one snapshot.
#[track_caller]
fn check_in_each_state(name: &str, act: fn(Side) -> Do) {
    let mut text = String::new();
    for state in STATES {
        let (mut scenario, side) = leading_to(state);
        let mut lab = Lab::new(&mut scenario);
        lab.open();
        lab.run(500);
        assert_eq!(lab.engine(side).state(FlowId(1)).unwrap().name(), state);
        lab.text = format!("{state}:\n");
        lab.act(act(side));
        lab.run(600);
        text += &lab.text;
    }
    check_text(name, &text);
}

/// RFC 9293, section 3.10.5: a RST goes out in the states from SYN-RECEIVED to CLOSE-WAIT and in no other.
#[test]
fn abort_in_each_state() {
    check_in_each_state("abort", |side| Call(side, Command::Abort));
}

/// RFC 9293, section 3.10.4.
#[test]
fn close_in_each_state() {
    check_in_each_state("close", |side| Call(side, Command::Close));
}

/// RFC 9293, sections 3.10.7.3 (in SYN-SENT a RST counts only with an ACK of our SYN) and 3.10.7.4.
#[test]
fn reset_in_each_state() {
    check_in_each_state("reset", |side| Forge(side, forge(RST | ACK, 0, 0)));
}

/// RFC 9293, section 3.10.7.4, after RFC 5961: a RST inside the window, but not at its left edge, "MUST" be answered
/// with a challenge ACK.
#[test]
fn reset_inside_the_window_in_each_state() {
    check_in_each_state("reset_inside_the_window", |side| {
        Forge(side, forge(RST, 1, 0))
    });
}

/// RFC 9293, section 3.10.7.4: outside the window it is dropped.
#[test]
fn reset_outside_the_window_in_each_state() {
    check_in_each_state("reset_outside_the_window", |side| {
        Forge(side, forge(RST, -1, 0))
    });
}

/// Section 3.10.7.4, after RFC 5961: a SYN in a synchronized state is answered with a challenge ACK. In SYN-SENT it
/// is a simultaneous open, of which the other side knows nothing here. A passive open in SYN-RECEIVED returns to LISTEN.
#[test]
fn syn_in_each_state() {
    check_in_each_state("syn", |side| Forge(side, forge(SYN, 0, 0)));
}
