//! A client of the standard library's sockets, and so of the kernel's TCP: what the steps of a scenario become in a lab.

use super::args;
use crate::scenario::{READ, Step, cut_short, filling};
use crate::sys::sockets::reset_on_close;
use anyhow::bail;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

/// Carries the steps out; what is received goes to standard output.
pub(super) fn steps_client(client: &args::StepsClient) -> anyhow::Result<u8> {
    let done = match client.transport.as_str() {
        "tcp" => connect(client).and_then(|stream| tcp(stream, &client.steps)),
        "udp" => udp(client.peer, &client.steps),
        other => bail!("expected tcp or udp, not {other}"),
    };
    // A step that fails is not as bad as a client that can't be tried.
    match done {
        Ok(()) => Ok(0),
        Err(error) => {
            writeln!(io::stderr(), "{error}")?;
            Ok(1)
        }
    }
}

fn connect(client: &args::StepsClient) -> io::Result<TcpStream> {
    let stream = match client.connect_timeout {
        None => TcpStream::connect(client.peer),
        Some(timeout) => {
            TcpStream::connect_timeout(&client.peer, Duration::from_millis(timeout.max(1)))
        }
    }?;
    // Each step is to be seen as it is taken.
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn tcp(mut stream: TcpStream, steps: &[Step]) -> io::Result<()> {
    let mut buf = vec![0; READ];
    for step in steps {
        match step {
            Step::Send(bytes) => stream.write_all(bytes)?,
            Step::SendBytes(len) => stream.write_all(&filling(*len))?,
            Step::Receive => {
                let len = stream.read(&mut buf)?;
                if len == 0 {
                    return Err(cut_short(0, 1));
                }
                print(&buf[..len])?;
            }
            Step::ReceiveBytes(awaited) => {
                let mut missing = *awaited;
                while missing > 0 {
                    let most = missing.min(READ);
                    let len = stream.read(&mut buf[..most])?;
                    if len == 0 {
                        return Err(cut_short(awaited - missing, *awaited));
                    }
                    missing -= len;
                    print(&buf[..len])?;
                }
            }
            Step::ReceiveAll => loop {
                let len = stream.read(&mut buf)?;
                if len == 0 {
                    break;
                }
                print(&buf[..len])?;
            },
            Step::Sleep(time) => thread::sleep((*time).into()),
            Step::Close => stream.shutdown(Shutdown::Write)?,
            Step::Abort => {
                reset_on_close(&stream)?;
                return Ok(());
            }
        }
    }
    Ok(())
}

fn udp(peer: SocketAddr, steps: &[Step]) -> io::Result<()> {
    let any = if peer.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(peer)?;
    // The largest datagram that there is.
    let mut buf = vec![0; 65_535];
    for step in steps {
        match step {
            Step::Send(bytes) => drop(socket.send(bytes)?),
            Step::SendBytes(len) => drop(socket.send(&filling(*len))?),
            Step::Receive | Step::ReceiveBytes(_) | Step::ReceiveAll => {
                let len = socket.recv(&mut buf)?;
                print(&buf[..len])?;
            }
            Step::Sleep(time) => thread::sleep((*time).into()),
            Step::Close | Step::Abort => return Ok(()),
        }
    }
    Ok(())
}

fn print(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}
