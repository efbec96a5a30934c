//! A TCP server of your own on the library: it asks for a password and says whether it is right.
//!
//! Make a TUN once (or run the server as root, which makes one for itself), then
//!
//! ```console
//! $ sudo setup/tun.sh up
//! $ cargo run --example password_server
//! ```
//!
//! and in another terminal `cargo run --example password_client`. It shows how a service is written and served, and
//! each segment of the conversation on a ladder. Ctrl-C ends it.

use std::error::Error;
use std::io::{self, BufWriter, Write};

use smoltcp::time::Duration;
use tcplab::engine::{Config, Engine};
use tcplab::service::Connection;
use tcplab::sink::ladder::{Ladder, Options};
use tcplab::sys::clock::Clock;
use tcplab::sys::driver::{Driver, Until};
use tcplab::sys::random_seed;
use tcplab::sys::tun::{Tun, TunConfig};
use tcplab::sys::wait::Waiter;
use tcplab::view::View;

/// The service: called once for each connection.
async fn password(conn: Connection) -> io::Result<()> {
    conn.write_all("请输入密码:".as_bytes()).await?;
    let answer = conn.read_up_to(1024).await?;
    let verdict = if answer == b"123" {
        "进入成功"
    } else {
        "密码错误"
    };
    conn.write_all(verdict.as_bytes()).await?;
    // Who closes first has to wait in TIME-WAIT. So let it be the client, if it closes within two seconds.
    conn.timeout(Duration::from_secs(2), conn.drain()).await;
    conn.close().await
}

fn main() -> Result<(), Box<dyn Error>> {
    let waiter = Waiter::new()?;
    // The kernel has the first address of the network, we have the second.
    let tun = Tun::open(&TunConfig {
        name: "tcplab0".into(),
        addresses: vec!["192.0.2.1/24".parse().expect("an address and a prefix")],
        mtu: 1500,
        offload: false,
    })?;
    let own = "192.0.2.2/24".parse().expect("an address and a prefix");
    let mut engine = Engine::new(Config {
        mtu: tun.mtu().into(),
        seed: random_seed()?,
        ..Config::new([own])
    });
    engine.serve_tcp(1111, "password", password);
    eprintln!("正在监听...");

    let mut view = View::new();
    let mut ladder = Ladder::new(Options::default());
    let mut screen = BufWriter::new(io::stderr());
    let mut driver = Driver::new(&tun, &waiter, Clock::start());
    loop {
        let mut events = Vec::new();
        let ready = driver.step(&mut engine, Until::default(), |_, event| events.push(event))?;
        for event in events {
            view.event(&event);
            ladder.event(&view, &event, &mut screen)?;
        }
        ladder.flush(&mut screen)?;
        screen.flush()?;
        if !ready.signals.is_empty() {
            return Ok(());
        }
    }
}
