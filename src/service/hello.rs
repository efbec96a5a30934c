//! Hello (UDP, default port 1111): says who sent a datagram, and answers `Hello`.
//!
//! It is no protocol of an RFC, but shows what UDP leaves out: no handshake, no connection, no teardown.

use super::{Console, Exchange, UdpService, UdpSocket};
use smoltcp::time::Duration;
use std::io;
use std::net::SocketAddr;

/// What the client sends; the spelling is that of the program whose place it takes.
const GREETING: &[u8] = b"Hello Sever";
const ANSWER: &[u8] = b"Hello";

/// How long the client waits for its answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The server.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hello;

impl UdpService for Hello {
    fn datagram(&mut self, exchange: &mut Exchange<'_>) {
        exchange.note(format!("Received from {}", python_tuple(exchange.peer)));
        exchange.reply(ANSWER);
    }
}

/// The client: sends one datagram and prints the answer.
///
/// # Errors
/// `TimedOut` if none comes within five seconds, `ConnectionRefused` if the peer's host says that nobody listens.
pub async fn hello_client(socket: UdpSocket, console: Console) -> io::Result<()> {
    socket.send(GREETING);
    let Some(answer) = socket.task().timeout(PATIENCE, socket.recv()).await else {
        let why = format!(
            "no answer from {} within {} seconds",
            socket.peer(),
            PATIENCE.secs()
        );
        return Err(io::Error::new(io::ErrorKind::TimedOut, why));
    };
    console.print(&answer?);
    console.print(b"\n");
    Ok(())
}

/// An address as Python's `recvfrom` gives and `print` shows it: (host, port) for IPv4,
/// (host, port, flow information, scope) for IPv6.
fn python_tuple(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(v4) => format!("('{}', {})", v4.ip(), v4.port()),
        SocketAddr::V6(v6) => format!(
            "('{}', {}, {}, {})",
            v6.ip(),
            v6.port(),
            v6.flowinfo(),
            v6.scope_id()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Task;

    #[test]
    fn a_datagram_is_noted_and_answered() {
        #[track_caller]
        fn check(peer: &str, expected: &str) {
            let mut exchange = Exchange {
                peer: peer.parse().unwrap(),
                local: "192.0.2.2:1111".parse().unwrap(),
                payload: b"anything",
                replies: Vec::new(),
                notes: Vec::new(),
            };
            Hello.datagram(&mut exchange);
            assert_eq!(exchange.notes, [expected]);
            assert_eq!(exchange.replies, [b"Hello"]);
        }
        check("192.0.2.1:40000", "Received from ('192.0.2.1', 40000)");
        check(
            "[2001:db8::1]:40000",
            "Received from ('2001:db8::1', 40000, 0, 0)",
        );
    }

    #[test]
    fn the_client_prints_the_answer_or_says_who_did_not_answer() {
        use smoltcp::time::Instant;
        use std::pin::pin;
        use std::task::{Context, Poll, Waker};

        let run = |answer: Option<&[u8]>| {
            let task = Task::new(Duration::ZERO);
            let local = "192.0.2.2:50000".parse().unwrap();
            let peer = "192.0.2.1:1111".parse().unwrap();
            let (socket, queues) = UdpSocket::new(task.clone(), local, peer);
            let console = Console::new();
            let mut client = pin!(hello_client(socket, console.clone()));
            let mut context = Context::from_waker(Waker::noop());
            task.begin(Instant::ZERO);
            assert!(client.as_mut().poll(&mut context).is_pending());
            assert_eq!(queues.borrow().leaving, [b"Hello Sever"]);
            answer.map(|answer| queues.borrow_mut().arrive(answer));
            assert_eq!(task.wake_at(), Some(Instant::from_secs(5)));
            task.begin(Instant::from_secs(5));
            let Poll::Ready(result) = client.as_mut().poll(&mut context) else {
                panic!("the client is still waiting");
            };
            (result, console.take_output())
        };

        let (result, printed) = run(Some(b"Hello"));
        assert!(result.is_ok());
        assert_eq!(printed, b"Hello\n");

        let (result, printed) = run(None);
        let error = result.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(
            error.to_string(),
            "no answer from 192.0.2.1:1111 within 5 seconds"
        );
        assert!(printed.is_empty());
    }
}
