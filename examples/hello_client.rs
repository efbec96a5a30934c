//! A UDP client with the standard library's sockets, that is, with the kernel's UDP.
//!
//! It talks to `cargo run --example hello_server` in another terminal, or to tcplab's own hello service:
//!
//! ```console
//! $ cargo build --examples
//! $ tcplab run -- target/debug/examples/hello_client
//! ```
//!
//! It shows what UDP leaves out: no handshake before the datagram, no teardown after it. Another server's address
//! and port may be given as an argument.

use std::env;
use std::io;
use std::net::UdpSocket;
use std::time::Duration;

fn main() -> io::Result<()> {
    let server = env::args().nth(1).unwrap_or("192.0.2.2:1111".into());
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    // Nobody tells a UDP client that its datagram was lost.
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    socket.send_to(b"Hello Sever", server)?;
    let mut answer = [0; 1024];
    let (len, _) = socket.recv_from(&mut answer)?;
    println!("{}", String::from_utf8_lossy(&answer[..len]));
    Ok(())
}
