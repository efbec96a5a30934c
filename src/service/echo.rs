//! Echo (RFC 862; TCP and UDP, default port 7): sends back whatever it gets.

use super::{Connection, Console, Exchange, UdpService, race};
use std::future::pending;
use std::io;

/// The server for TCP: "any data received is sent back", until the client closes its direction.
///
/// # Errors
/// Those of the connection.
pub async fn echo(conn: Connection) -> io::Result<()> {
    // Receive and send buffer cannot be lent at the same time. One buffer serves all turns; it holds nothing
    // until something arrives, so idle connections cost nothing.
    let mut carried = Vec::new();
    loop {
        carried.clear();
        let arrived = conn.recv_with(|arrived| {
            carried.extend_from_slice(arrived);
            (arrived.len(), ())
        });
        if arrived.await?.is_none() {
            return conn.close().await;
        }
        conn.write_all(&carried).await?;
    }
}

/// The server for UDP: every datagram goes back as it came.
#[derive(Clone, Copy, Debug, Default)]
pub struct UdpEcho;

impl UdpService for UdpEcho {
    fn datagram(&mut self, exchange: &mut Exchange<'_>) {
        exchange.reply(exchange.payload);
    }
}

/// The client: sends each line of `console` with `\n` at its end and prints what comes back, as many bytes as
/// were sent, before it takes the next line. At the end of the input it closes and prints what remains.
///
/// # Errors
/// `UnexpectedEof` if the server closes while a line is still owed; otherwise those of the connection.
pub async fn echo_client(conn: Connection, console: Console) -> io::Result<()> {
    while let Some(mut line) = console.read_line().await {
        line.push(b'\n');
        // At the same time, because a line may be longer than all buffers on the way together.
        let send = async {
            conn.write_all(&line).await?;
            pending().await
        };
        race(send, print_exactly(&conn, &console, line.len())).await?;
    }
    conn.close().await?;
    while print_some(&conn, &console, usize::MAX).await? > 0 {}
    Ok(())
}

async fn print_exactly(conn: &Connection, console: &Console, mut count: usize) -> io::Result<()> {
    while count > 0 {
        let printed = print_some(conn, console, count).await?;
        if printed == 0 {
            let why = format!("{} closed with {count} bytes not sent back", conn.peer());
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
        }
        count -= printed;
    }
    Ok(())
}

/// Prints what has arrived, at most `max` bytes, and gives their number; 0 at the end.
async fn print_some(conn: &Connection, console: &Console, max: usize) -> io::Result<usize> {
    let printed = conn.recv_with(|arrived| {
        let len = arrived.len().min(max);
        console.print(&arrived[..len]);
        (len, len)
    });
    Ok(printed.await?.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_goes_back_as_it_came() {
        for payload in [&b""[..], b"ping", &[0xff; 1500]] {
            let mut exchange = Exchange {
                peer: "192.0.2.1:40000".parse().unwrap(),
                local: "192.0.2.2:7".parse().unwrap(),
                payload,
                replies: Vec::new(),
                notes: Vec::new(),
            };
            UdpEcho.datagram(&mut exchange);
            assert_eq!(exchange.replies, [payload]);
        }
    }
}
