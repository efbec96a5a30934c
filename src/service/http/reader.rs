//! Bytes in, requests out.

use super::chunked::Chunked;
use super::head::{Framing, Head, parse_head};
use super::status::Refusal;

/// Cuts what arrives into requests.
///
/// Feed it with [`handle_input`](Reader::handle_input), then call [`poll_item`](Reader::poll_item) until it gives
/// `None`. After a refusal it must not be called again: where the next request would begin is not known.
#[derive(Debug, Default)]
pub(super) struct Reader {
    buffer: Vec<u8>,
    /// The request of which the body is being read.
    reading: Option<(Request, Missing)>,
}

/// What comes out of a [`Reader`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// The client waits for "100 Continue" before it sends the body.
    Continue,
    /// A whole request.
    Request(Request),
}

/// A request with its body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) head: Head,
    pub(super) body: Vec<u8>,
}

#[derive(Debug)]
enum Missing {
    Length(usize),
    Chunks(Chunked),
}

impl Reader {
    pub(super) fn handle_input(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next item; `None` until more arrives.
    pub(super) fn poll_item(&mut self) -> Result<Option<Item>, Refusal> {
        let (mut request, mut missing) = match self.reading.take() {
            Some(reading) => reading,
            None => {
                let Some((head, len)) = parse_head(&self.buffer)? else {
                    return Ok(None);
                };
                self.buffer.drain(..len);
                let missing = match head.framing {
                    Framing::Length(len) => Missing::Length(len),
                    Framing::Chunked => Missing::Chunks(Chunked::Size),
                };
                let expects_continue = head.expects_continue;
                let request = Request {
                    head,
                    body: Vec::new(),
                };
                if expects_continue {
                    self.reading = Some((request, missing));
                    return Ok(Some(Item::Continue));
                }
                (request, missing)
            }
        };
        if missing.take(&mut self.buffer, &mut request.body)? {
            return Ok(Some(Item::Request(request)));
        }
        self.reading = Some((request, missing));
        Ok(None)
    }

    /// Whether nothing of a next request has arrived.
    pub(super) fn is_idle(&self) -> bool {
        self.reading.is_none() && self.buffer.is_empty()
    }
}

impl Missing {
    /// Moves what belongs to the body from `buffer` to `body`; `true` once that is all.
    fn take(&mut self, buffer: &mut Vec<u8>, body: &mut Vec<u8>) -> Result<bool, Refusal> {
        match self {
            Missing::Length(missing) => {
                let len = (*missing).min(buffer.len());
                body.extend(buffer.drain(..len));
                *missing -= len;
                Ok(*missing == 0)
            }
            Missing::Chunks(chunked) => {
                let read = chunked.decode(buffer, body)?;
                buffer.drain(..read);
                Ok(*chunked == Chunked::Done)
            }
        }
    }
}
