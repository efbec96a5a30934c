//! A client program's standard input and output, without touching either.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

/// Where a client program reads what its user types and prints what its user shall see. Clones share it.
///
/// The program holds one clone; whoever runs the engine holds another, feeds it with
/// [`feed`](Console::feed), tells the engine to wake the flow, and takes away what was printed.
#[derive(Clone, Debug, Default)]
pub struct Console {
    shared: Rc<RefCell<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    input: VecDeque<u8>,
    input_ended: bool,
    reading: bool,
    output: Vec<u8>,
}

impl Console {
    /// A console with nothing typed and nothing printed.
    pub fn new() -> Console {
        Console::default()
    }

    /// Prints `bytes`.
    pub fn print(&self, bytes: &[u8]) {
        self.shared.borrow_mut().output.extend_from_slice(bytes);
    }

    /// The next line without its line ending (`\n` or `\r\n`); what is left at the end of the input counts as a
    /// line; `None` after that.
    pub async fn read_line(&self) -> Option<Vec<u8>> {
        poll_fn(|_| {
            let mut shared = self.shared.borrow_mut();
            let end = shared.input.iter().position(|&byte| byte == b'\n');
            let mut line: Vec<u8> = match end {
                Some(end) => shared.input.drain(..=end).collect(),
                None if shared.input_ended && shared.input.is_empty() => return Poll::Ready(None),
                None if shared.input_ended => shared.input.drain(..).collect(),
                None => {
                    shared.reading = true;
                    return Poll::Pending;
                }
            };
            shared.reading = false;
            if line.last() == Some(&b'\n') {
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
            }
            Poll::Ready(Some(line))
        })
        .await
    }

    /// Types `bytes`.
    pub fn feed(&self, bytes: &[u8]) {
        self.shared.borrow_mut().input.extend(bytes);
    }

    /// Ends the input.
    pub fn end_input(&self) {
        self.shared.borrow_mut().input_ended = true;
    }

    /// Whether the program waits for a line: whoever has not read its standard input yet should do so now.
    pub fn wants_input(&self) -> bool {
        let shared = self.shared.borrow();
        shared.reading && !shared.input_ended
    }

    /// What was printed since the last call.
    pub fn take_output(&self) -> Vec<u8> {
        std::mem::take(&mut self.shared.borrow_mut().output)
    }
}
