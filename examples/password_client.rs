//! A TCP client with the standard library's sockets, that is, with the kernel's TCP.
//!
//! It talks to `cargo run --example password_server` in another terminal, or to tcplab's own password service:
//!
//! ```console
//! $ cargo build --examples
//! $ echo 123 | tcplab run -- target/debug/examples/password_client
//! ```
//!
//! It shows that tcplab's peer is an ordinary program: nothing here knows of tcplab. Another server's address and
//! port may be given as an argument.

use std::env;
use std::io::{self, Read, Write};
use std::net::TcpStream;

fn main() -> io::Result<()> {
    let server = env::args().nth(1).unwrap_or("192.0.2.2:1111".into());
    let mut stream = TcpStream::connect(server)?;
    println!("连接成功");
    println!("{}", read_text(&mut stream)?);

    let mut password = String::new();
    io::stdin().read_line(&mut password)?;
    stream.write_all(password.trim_end().as_bytes())?;
    println!("{}", read_text(&mut stream)?);
    Ok(())
}

/// What has arrived, as far as one read gives it.
fn read_text(stream: &mut TcpStream) -> io::Result<String> {
    let mut text = [0; 1024];
    let len = stream.read(&mut text)?;
    Ok(String::from_utf8_lossy(&text[..len]).into_owned())
}
