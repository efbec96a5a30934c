//! What a client of ours does, step by step. The same steps are carried out by our own stack on the simulator, and by a
//! program on the kernel's sockets in a lab.

use super::expect::{bytes, duration};
use crate::event::Transport;
use crate::service::{Connection, UdpSocket};
use smoltcp::time::Duration;
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::str::FromStr;

/// The steps of a client.
#[derive(Clone, Debug, PartialEq)]
pub struct Steps {
    /// TCP or UDP.
    pub transport: Transport,
    /// One after the other. Whatever is still open after the last one is closed.
    pub steps: Vec<Step>,
}

/// Something that a client does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// `send TEXT`: sends it, as one datagram in UDP. Escapes are `\n \r \t \0 \\ \" \x41`.
    Send(Vec<u8>),
    /// `send-bytes N`: sends so many bytes, 1 to 100,000,000.
    SendBytes(usize),
    /// `receive`: waits for some data, at most so many bytes; or for a datagram.
    Receive,
    /// `receive N`: waits for exactly so many bytes, 1 to 100,000,000.
    ReceiveBytes(usize),
    /// `receive all`: waits for the end of what the other end sends.
    ReceiveAll,
    /// `sleep TIME`.
    Sleep(Duration),
    /// `close`: sends a FIN; receiving goes on.
    Close,
    /// `abort`: sends a RST. Nothing follows.
    Abort,
}

/// A step that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a step: `send TEXT`, `send-bytes N`, `receive`, `receive N`, `receive all`, `sleep TIME`, `close` or `abort`"
)]
pub struct StepError;

/// The most bytes of one step.
const MOST: usize = 100_000_000;
/// What is read at once.
pub const READ: usize = 16 * 1024;

impl FromStr for Step {
    type Err = StepError;

    fn from_str(text: &str) -> Result<Step, StepError> {
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        let count = |text: &str| text.parse().ok().filter(|count| (1..=MOST).contains(count));
        let step = match (verb, rest) {
            ("send", "") => None,
            ("send", text) => bytes(text).map(Step::Send),
            ("send-bytes", n) => count(n).map(Step::SendBytes),
            ("receive", "") => Some(Step::Receive),
            ("receive", "all") => Some(Step::ReceiveAll),
            ("receive", n) => count(n).map(Step::ReceiveBytes),
            ("sleep", time) => duration(time).map(Step::Sleep),
            ("close", "") => Some(Step::Close),
            ("abort", "") => Some(Step::Abort),
            _ => None,
        };
        step.ok_or(StepError)
    }
}

impl fmt::Display for Step {
    /// So that it can be read again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Send(bytes) => {
                f.write_str("send ")?;
                bytes.iter().try_for_each(|byte| match byte {
                    b'\\' => f.write_str("\\\\"),
                    b' '..=b'~' => write!(f, "{}", char::from(*byte)),
                    byte => write!(f, "\\x{byte:02x}"),
                })
            }
            Step::SendBytes(n) => write!(f, "send-bytes {n}"),
            Step::Receive => f.write_str("receive"),
            Step::ReceiveBytes(n) => write!(f, "receive {n}"),
            Step::ReceiveAll => f.write_str("receive all"),
            Step::Sleep(time) => write!(f, "sleep {}us", time.total_micros()),
            Step::Close => f.write_str("close"),
            Step::Abort => f.write_str("abort"),
        }
    }
}

/// The bytes of [`Step::SendBytes`]: printable, and the same every time.
pub fn filling(len: usize) -> Vec<u8> {
    (b'!'..=b'~').cycle().take(len).collect()
}

/// The end of a stream came where more was awaited.
pub fn cut_short(received: usize, awaited: usize) -> io::Error {
    let message = format!("the other end has closed after {received} of {awaited} bytes");
    io::Error::new(io::ErrorKind::UnexpectedEof, message)
}

/// What a simulated client has received.
pub(super) type Received = Rc<RefCell<Vec<u8>>>;

impl Steps {
    /// Carries them out on a connection of our own stack.
    pub(super) async fn on_connection(
        self,
        conn: Connection,
        received: Received,
    ) -> io::Result<()> {
        for step in self.steps {
            match step {
                Step::Send(bytes) => conn.write_all(&bytes).await?,
                Step::SendBytes(len) => conn.write_all(&filling(len)).await?,
                Step::Receive => {
                    let bytes = conn.read_up_to(READ).await?;
                    if bytes.is_empty() {
                        return Err(cut_short(0, 1));
                    }
                    received.borrow_mut().extend(bytes);
                }
                Step::ReceiveBytes(len) => {
                    let mut missing = len;
                    while missing > 0 {
                        let bytes = conn.read_up_to(missing.min(READ)).await?;
                        if bytes.is_empty() {
                            return Err(cut_short(len - missing, len));
                        }
                        missing -= bytes.len();
                        received.borrow_mut().extend(bytes);
                    }
                }
                Step::ReceiveAll => loop {
                    let bytes = conn.read_up_to(READ).await?;
                    if bytes.is_empty() {
                        break;
                    }
                    received.borrow_mut().extend(bytes);
                },
                Step::Sleep(time) => conn.sleep(time).await,
                Step::Close => conn.close().await?,
                Step::Abort => {
                    conn.abort();
                    return Ok(());
                }
            }
        }
        conn.close().await
    }

    /// Carries them out on a UDP socket of our own stack.
    pub(super) async fn on_socket(self, socket: UdpSocket, received: Received) -> io::Result<()> {
        for step in self.steps {
            match step {
                Step::Send(bytes) => socket.send(bytes),
                Step::SendBytes(len) => socket.send(filling(len)),
                Step::Receive | Step::ReceiveBytes(_) | Step::ReceiveAll => {
                    let datagram = socket.recv().await?;
                    received.borrow_mut().extend(datagram);
                }
                Step::Sleep(time) => socket.task().sleep(time).await,
                Step::Close | Step::Abort => return Ok(()),
            }
        }
        Ok(())
    }
}
