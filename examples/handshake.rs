//! A whole TCP connection without any network: handshake, data, teardown.
//!
//! ```console
//! $ cargo run --example handshake
//! ```
//!
//! It shows the simulator: two engines, a wire of 10 ms between them, and a clock that jumps from one moment at which
//! something happens to the next. No privileges are needed, and every run prints the same.

use std::error::Error;
use std::io;

use smoltcp::time::Duration;
use tcplab::engine::{Config, Engine};
use tcplab::service::Connection;
use tcplab::sim::{Side, Sim};
use tcplab::sink::ladder::{Ladder, Options};
use tcplab::view::View;

/// The server greets, waits for the client's FIN and closes too.
async fn greet(conn: Connection) -> io::Result<()> {
    conn.write_all(b"hello").await?;
    conn.drain().await?;
    conn.close().await
}

/// The client reads the greeting and closes first.
async fn listen(conn: Connection) -> io::Result<()> {
    conn.read_up_to(1024).await?;
    conn.close().await
}

fn main() -> Result<(), Box<dyn Error>> {
    let own = "192.0.2.2/24".parse().expect("an address and a prefix");
    let mut server = Engine::new(Config::new([own]));
    server.serve_tcp(80, "greet", greet);
    let own = "192.0.2.1/24".parse().expect("an address and a prefix");
    let client = Engine::new(Config::new([own]));

    let mut sim = Sim::new(client, server, Duration::from_millis(10));
    let (now, peer) = (sim.now(), "192.0.2.2:80".parse()?);
    sim.left().connect_tcp(now, "greet", None, peer, listen)?;

    let mut view = View::new();
    let mut ladder = Ladder::new(Options::default());
    // Until nothing will ever happen any more: the client's TIME-WAIT is over too.
    while sim.step() {
        while let Some((side, event)) = sim.poll_event() {
            // The ladder shows the connection as the server saw it.
            if side == Side::Right {
                view.event(&event);
                ladder.event(&view, &event, &mut io::stdout())?;
            }
        }
    }
    ladder.flush(&mut io::stdout())?;
    Ok(())
}
