//! Answers of a Linux 6.18 kernel, recorded on a little-endian machine.
#![cfg(target_endian = "little")]

use super::*;
use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Instant;

/// Port 1112 of the loopback interface asks for its connection with port 1111 there.
const QUESTION_V4: &str = "\
    4800000014000100000000000000000002060200ffffffff045804577f000001000000000000000000000000\
    7f00000100000000000000000000000000000000ffffffffffffffff";
const QUESTION_V6: &str = "\
    480000001400010000000000000000000a060200ffffffff0458045700000000000000000000000000000001\
    0000000000000000000000000000000100000000ffffffffffffffff";
/// With TCP_INFO and more.
const ESTABLISHED: &str = "\
    980100001400000000000000993e000002010000045804577f0000010000000000000000000000007f000001\
    0000000000000000000000000000000002000000000000000000000000000000000000000000000074910200\
    050008000000000008000f00000000000c001500010000000000000006001600520000001c01020001000000\
    0007aa01e01c0300409c00000080000018020000000000000000000000000000000000000000000000000000\
    000000000000000000000000ffff0000d7ff00008a00000050000000ffffff7f0b000000cbff000003000000\
    00000000d7ff000000000000bb1e25d101000000ffffffffffffffff02000000000000000200000000000000\
    0400000003000000000000000c0000000100000001000000aaaac2a200000000000000000000000000000000\
    0000000000000000000000000200000000000000010000000000000000000000000000000000000000000000\
    0000000000000100000001000000000000000000000000000000000000000000000000000000000000000000\
    000000000000000000000000";
const LISTEN: &str = "\
    980100001400000000000000993e0000020a0000045700007f00000100000000000000000000000000000000\
    0000000000000000000000000000000003000000000000000000000000000000800000000000000073910200\
    050008000000000008000f00000000000c001500010000000000000006001600520000001c0102000a000000\
    0000000000000000000000000000000000000000000000008000000000000000000000000000000000000000\
    00000000000000000000000000000000000000000000000000000000000000000a0000000000000003000000\
    000000000000000000000000ffffffffffffffffffffffffffffffff00000000000000000000000000000000\
    0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\
    0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\
    0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\
    000000000000000000000000";
/// No program holds the connection any more.
const FIN_WAIT_2: &str = "\
    600000001400000000000000993e00000a050300045804570000000000000000000000000000000100000000\
    00000000000000000000000100000000040000000000000034ea000000000000000000000000000000000000\
    08000f0000000000";
const TIME_WAIT: &str = "\
    600000001400000000000000993e00000a060300045804570000000000000000000000000000000100000000\
    0000000000000000000000010000000004000000000000002cea000000000000000000000000000000000000\
    08000f0000000000";
/// ENOENT, and the question.
const NO_SUCH_SOCKET: &str = "\
    5c0000000200000000000000993e0000feffffff4800000014000100000000000000000002060200ffffffff\
    000504577f0000010000000000000000000000007f00000100000000000000000000000000000000ffffffff\
    ffffffff";
/// Where the kernel stands in its answer: after the netlink header and the family.
const STATE: usize = HEADER + 1;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .bytes()
        .map(|digit| (digit as char).to_digit(16).unwrap() as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

#[test]
fn questions_are_asked_as_recorded() {
    #[track_caller]
    fn check(local: &str, remote: &str, expected: &str) {
        let asked = question(local.parse().unwrap(), remote.parse().unwrap()).unwrap();
        assert_eq!(asked.finish(), bytes(expected));
    }
    check("127.0.0.1:1112", "127.0.0.1:1111", QUESTION_V4);
    check("[::1]:1112", "[::1]:1111", QUESTION_V6);
    let mixed = question("127.0.0.1:1".parse().unwrap(), "[::1]:1".parse().unwrap());
    assert_eq!(mixed.err(), Some(Errno::EINVAL));
}

#[test]
fn answers_are_read_as_recorded() {
    #[track_caller]
    fn check(answer: &str, state: TcpState, info: Option<PeerInfo>) {
        assert_eq!(read(&bytes(answer)), Some(PeerView { state, info }));
    }
    let info = PeerInfo {
        rtt: Duration::from_micros(138),
        rttvar: Duration::from_micros(80),
        rto: Duration::from_micros(204000),
        cwnd: 11,
        retransmits: 0,
        total_retransmits: 0,
    };
    check(ESTABLISHED, TcpState::Established, Some(info));
    check(LISTEN, TcpState::Listen, None);
    check(FIN_WAIT_2, TcpState::FinWait2, None);
    check(TIME_WAIT, TcpState::TimeWait, None);
    assert_eq!(read(&bytes(NO_SUCH_SOCKET)), None);
}

#[test]
fn every_state_has_its_number() {
    let named: Vec<Option<TcpState>> = (0..=13)
        .map(|number| {
            let mut answer = bytes(TIME_WAIT);
            answer[STATE] = number;
            read(&answer).map(|view| view.state)
        })
        .collect();
    use TcpState::*;
    let all = [
        Established,
        SynSent,
        SynReceived,
        FinWait1,
        FinWait2,
        TimeWait,
        Closed,
        CloseWait,
        LastAck,
        Listen,
        Closing,
        SynReceived,
    ];
    assert_eq!(named[1..13], all.map(Some));
    assert_eq!((named[0], named[13]), (None, None));
}

#[test]
fn cut_answers_are_none_or_have_no_info() {
    let whole = bytes(ESTABLISHED);
    for len in 0..whole.len() {
        let view = read(&whole[..len]);
        if len < HEADER + MESSAGE {
            assert_eq!(view, None, "{len} bytes");
        } else if len < 200 {
            assert_eq!(view.unwrap().info, None, "{len} bytes");
        }
    }
}

#[test]
fn a_real_kernel_answers() {
    let diag = Diag::open().unwrap();
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let listener = TcpListener::bind(address).unwrap();
        let server = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(server).unwrap();
        let local = client.local_addr().unwrap();
        let (accepted, _) = listener.accept().unwrap();
        client.write_all(b"x").unwrap();
        let view = diag.ask(local, server).unwrap().unwrap();
        assert_eq!(view.state, TcpState::Established);
        let info = view.info.unwrap();
        assert!(info.rto >= Duration::from_millis(100), "{info:?}");
        assert!(info.cwnd >= 1, "{info:?}");

        client.shutdown(Shutdown::Write).unwrap();
        eventually(&diag, (local, server), Some(TcpState::FinWait2));
        eventually(&diag, (server, local), Some(TcpState::CloseWait));
        // What is closed with data unread resets the connection.
        drop(accepted);
        eventually(&diag, (local, server), None);
        // Who listens is heard of where there is no connection.
        eventually(&diag, (server, local), Some(TcpState::Listen));
        drop(listener);
        eventually(&diag, (server, local), None);
    }
}

/// An ACK may be delayed.
#[track_caller]
fn eventually(diag: &Diag, (local, remote): (SocketAddr, SocketAddr), expected: Option<TcpState>) {
    let state = || diag.ask(local, remote).unwrap().map(|view| view.state);
    let start = Instant::now();
    while state() != expected && start.elapsed() < std::time::Duration::from_secs(5) {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert_eq!(state(), expected);
}
