use super::*;
use crate::engine::Config;
use crate::event::{Direction, EventKind};
use crate::segment::{Body, Flags, Options, Segment, SeqNumber};
use crate::stack::reply;
use std::net::SocketAddr;

/// The peer's end, and that of the echo service.
fn ends() -> [SocketAddr; 2] {
    ["192.0.2.1:4000", "192.0.2.2:7"].map(|end| end.parse().unwrap())
}

fn serving(set: impl FnOnce(&mut Config)) -> Engine {
    let mut config = Config::new(["192.0.2.2/24".parse().unwrap()]);
    set(&mut config);
    let mut engine = Engine::new(config);
    engine.serve_standard("");
    engine
}

/// One step, which has something to do within ten seconds.
#[track_caller]
fn step(driver: &mut Driver<'_>, engine: &mut Engine, tell: impl FnMut(&mut Engine, Event)) {
    let end = driver.now() + smoltcp::time::Duration::from_secs(10);
    let until = Until {
        deadline: Some(end),
        ..Until::default()
    };
    driver.step(engine, until, tell).unwrap();
    assert!(driver.now() < end, "nothing has come");
}

/// How many answers the peer had when it was told of each packet, in order.
fn answers_when_told(late: bool) -> Vec<(Direction, usize)> {
    let (tun, peer) = Tun::to_a_socket(false);
    let [from, to] = ends();
    for question in [b"one", b"two"] {
        peer.send(&reply::datagram(from, to, question).unwrap())
            .unwrap();
    }
    let mut engine = serving(|config| config.watch = event::Watch::Everything);
    let waiter = Waiter::new().unwrap();
    let mut driver = Driver::new(&tun, &waiter, Clock::start());
    if late {
        driver.tell_late();
    }
    let (mut told, mut answers) = (Vec::new(), 0);
    // One packet the first time, and what is left the second.
    for _ in 0..2 {
        step(&mut driver, &mut engine, |_, event| {
            if let EventKind::Packet(packet) = &event.kind {
                while peer.recv(&mut [0; 100]).is_ok() {
                    answers += 1;
                }
                told.push((packet.direction, answers));
            }
        });
    }
    told
}

#[test]
fn it_is_told_in_order_and_of_an_answer_once_it_has_left() {
    use Direction::{In, Out};
    let each = [(In, 0), (Out, 1), (In, 1), (Out, 2)];
    assert_eq!(answers_when_told(false), each);
    let late = [(In, 1), (Out, 1), (In, 2), (Out, 2)];
    assert_eq!(answers_when_told(true), late);
}

/// Ten times as many packets as a socket keeps, of which some are larger than what is read ahead.
#[test]
fn packets_of_any_size_are_answered_in_order() {
    #[track_caller]
    fn check(late: bool, busy: bool) {
        let (tun, peer) = Tun::to_a_socket(false);
        let [from, to] = ends();
        let mut engine = serving(|config| config.mtu = 65_535);
        let waiter = Waiter::new().unwrap();
        let mut driver = Driver::new(&tun, &waiter, Clock::start());
        if late {
            driver.tell_late();
        }
        if busy {
            driver.busy_poll(Duration::from_millis(1));
        }
        let sizes = (0..100).map(|number| match number % 4 {
            0 => READ_AHEAD + number,
            1 => READ_AHEAD / 3,
            _ => number,
        });
        let payloads: Vec<Vec<u8>> = sizes.map(|size| vec![size as u8; size]).collect();
        let mut answer = vec![0; ROOM];
        for payloads in payloads.chunks(10) {
            for payload in payloads {
                let question = reply::datagram(from, to, payload).unwrap();
                assert_eq!(peer.send(&question).unwrap(), question.len());
            }
            let mut missing = payloads;
            while let [expected, rest @ ..] = missing {
                match peer.recv(&mut answer) {
                    // Behind the headers of IPv4 and UDP.
                    Ok(len) => {
                        assert_eq!(&answer[28..len], expected);
                        missing = rest;
                    }
                    Err(_) => step(&mut driver, &mut engine, |_, _| {}),
                }
            }
        }
    }
    for late in [false, true] {
        for busy in [false, true] {
            check(late, busy);
        }
    }
}

/// A peer that takes what chargen sends, of which more and more is in flight, asks something else at last: dozens of
/// packets are on their way before the question is read, and not all that there are.
#[test]
fn the_tun_is_read_again_before_all_has_left() {
    /// One segment more is in flight after each.
    const ROUNDS: usize = 100;
    #[track_caller]
    fn check(late: bool) {
        let (tun, peer) = Tun::to_a_socket(false);
        let [from, to] = ends();
        let chargen = SocketAddr::new(to.ip(), 19);
        let mut engine = serving(|config| config.watch = event::Watch::Everything);
        let waiter = Waiter::new().unwrap();
        let mut driver = Driver::new(&tun, &waiter, Clock::start());
        if late {
            driver.tell_late();
        }
        let mut segment = Segment {
            src_port: from.port(),
            dst_port: chargen.port(),
            seq: SeqNumber(1_000),
            ack: SeqNumber(0),
            flags: Flags::SYN,
            window: u16::MAX,
            urgent: 0,
            options: Options::new(),
            payload: 0..0,
            checksum_ok: true,
        };
        // How many packets have left before the question was read, and with it, and after.
        let (mut before, mut after) = (0, None::<usize>);
        for round in 0..ROUNDS {
            (before, after) = (0, None);
            peer.send(&reply::segment(from, chargen, &segment, &[]))
                .unwrap();
            if round + 1 == ROUNDS {
                let question = reply::datagram(from, to, b"?").unwrap();
                peer.send(&question).unwrap();
            }
            let mut quiet = 0;
            while quiet < 2 || engine.has_backlog() {
                quiet += 1;
                let until = Until {
                    deadline: Some(driver.now()),
                    ..Until::default()
                };
                let tell = |_: &mut Engine, event: Event| {
                    quiet = 0;
                    let EventKind::Packet(packet) = &event.kind else {
                        return;
                    };
                    match (&packet.described.body, packet.direction) {
                        (Body::Udp(_), Direction::In) => after = Some(0),
                        (Body::Tcp(sent), Direction::Out) => {
                            segment.ack = sent.end();
                            match &mut after {
                                Some(after) => *after += 1,
                                None => before += 1,
                            }
                        }
                        _ => {}
                    }
                };
                driver.step(&mut engine, until, tell).unwrap();
                // A socket keeps a few only; what is lost there was told all the same.
                while peer.recv(&mut [0; 1500]).is_ok() {}
            }
            segment.flags = Flags::ACK;
            segment.seq = SeqNumber(1_001);
        }
        let after = after.expect("the question was read");
        assert!(before <= TURN && after > TURN, "{before}, then {after}");
    }
    check(false);
    check(true);
}
