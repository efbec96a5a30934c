//! HTTP/1.1 (RFC 9110 and RFC 9112; TCP, default port 80): a page about the very connection that asks for it.
//!
//! | request | answer |
//! |---|---|
//! | `GET /`, `HEAD /` | this connection's TCP handshake, as text, or as HTML where the client prefers that |
//! | `POST /echo`, `PUT /echo` | the body as it came |
//! | anything else | 404, or 405 with the methods that are allowed |
//!
//! ```text
//! bytes ─▶ Reader ─▶ Request ─▶ answer ─▶ Response ─▶ bytes
//!            │                    ▲
//!            └── Refusal ─────────┘ (and the connection closes)
//! ```
//!
//! All decisions are in plain functions from bytes to bytes, below this file. What makes them safe is that
//! nobody may disagree about where a request ends (RFC 9112, section 11.2): what could be read in two ways is
//! refused, and after a refusal nothing more is read as a request.

mod accept;
mod answer;
mod chunked;
mod head;
mod page;
mod reader;
mod status;

use super::Connection;
use super::daytime::timestamp;
use answer::{Response, answer};
use page::Page;
use reader::{Item, Reader};
use smoltcp::time::Duration;
use status::{REQUEST_TIMEOUT, Refusal};
use std::io;

/// How long the server waits for a request, or for its next part.
const IDLE: Duration = Duration::from_secs(60);

/// How long the server waits for the client's FIN after its own. Data that comes in that time is read, since
/// otherwise a RST could take away the answer before the client has read it (RFC 9112, section 9.6).
const LINGER: Duration = Duration::from_secs(2);

/// The most bytes that are taken from the receive buffer at once.
const READ_LIMIT: usize = 16 * 1024;

/// The server. One connection carries any number of requests, one after the other, pipelined or not.
///
/// It closes when the client has closed, has asked for it, has sent what is no request, or has sent
/// nothing for 60 seconds. Bodies may have 1 MiB, heads 16 KiB.
///
/// # Errors
/// Those of the connection.
pub async fn http(conn: Connection) -> io::Result<()> {
    let mut reader = Reader::default();
    let mut requests = 0;
    loop {
        let response = match reader.poll_item() {
            Ok(Some(Item::Continue)) => {
                conn.write_all(answer::CONTINUE).await?;
                continue;
            }
            Ok(Some(Item::Request(request))) => {
                requests += 1;
                answer(request, || Page::new(&conn.handshake(), requests))
            }
            Ok(None) => match fill(&conn, &mut reader).await? {
                Filled::More => continue,
                Filled::End => break,
                Filled::TimedOut if reader.is_idle() => break,
                Filled::TimedOut => Response::refusal(&Refusal {
                    status: REQUEST_TIMEOUT,
                    why: "the rest of the request did not come",
                }),
            },
            Err(refusal) => Response::refusal(&refusal),
        };
        let now = timestamp(conn.task().wall_clock());
        conn.write_all(&response.encode(now)).await?;
        if !response.keep_alive {
            break;
        }
    }
    conn.close().await?;
    conn.timeout(LINGER, conn.drain()).await.unwrap_or(Ok(()))
}

enum Filled {
    More,
    End,
    TimedOut,
}

async fn fill(conn: &Connection, reader: &mut Reader) -> io::Result<Filled> {
    let arrived = conn.recv_with(|arrived| {
        let len = arrived.len().min(READ_LIMIT);
        reader.handle_input(&arrived[..len]);
        (len, ())
    });
    Ok(match conn.timeout(IDLE, arrived).await {
        None => Filled::TimedOut,
        Some(result) => result?.map_or(Filled::End, |()| Filled::More),
    })
}

#[cfg(test)]
mod tests;
