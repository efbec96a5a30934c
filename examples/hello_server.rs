//! A UDP server of your own on the library: it says who sent a datagram and answers `Hello`.
//!
//! Make a TUN once (or run the server as root, which makes one for itself), then
//!
//! ```console
//! $ sudo setup/tun.sh up
//! $ cargo run --example hello_server
//! ```
//!
//! and in another terminal `cargo run --example hello_client`. It shows how a UDP service is written and served, and
//! what the engine tells: each event is a line of the log. Ctrl-C ends it.

use std::error::Error;

use tcplab::engine::{Config, Engine};
use tcplab::service::{Exchange, UdpService};
use tcplab::sink::log::line;
use tcplab::sys::clock::Clock;
use tcplab::sys::driver::{Driver, Until};
use tcplab::sys::tun::{Tun, TunConfig};
use tcplab::sys::wait::Waiter;
use tcplab::view::View;

struct Hello;

impl UdpService for Hello {
    /// Called once for each datagram.
    fn datagram(&mut self, exchange: &mut Exchange<'_>) {
        exchange.note(format!("Received from {}", exchange.peer));
        exchange.reply("Hello");
    }
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
        ..Config::new([own])
    });
    engine.serve_udp(1111, "hello", Hello);
    eprintln!("正在监听 UDP on 1111...");

    let mut view = View::new();
    let mut driver = Driver::new(&tun, &waiter, Clock::start());
    loop {
        let ready = driver.step(&mut engine, Until::default(), |_, event| {
            view.event(&event);
            if let Some((_, line)) = line(&view, &event) {
                eprintln!("{line}");
            }
        })?;
        if !ready.signals.is_empty() {
            return Ok(());
        }
    }
}
