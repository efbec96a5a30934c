//! A page that is served over HTTP from a thread of its own, for whoever reads metrics.
//!
//! Whoever connects and says nothing keeps nobody else out: each connection has a thread and a few seconds, a few may be
//! there at once, and one too many is closed. Where there are no descriptors or threads left, the next request may
//! find some again.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::socket::{Shutdown, shutdown};

/// As many connections at once; more are closed.
const MOST: usize = 16;
/// A request must be there after so long, and the page taken after as long again.
const PATIENCE: Duration = Duration::from_secs(5);
/// No request line and header that we serve is longer.
const MAX_HEAD: usize = 16 << 10;
/// Where a connection can't be taken, it is tried again after so long.
const PAUSE: Duration = Duration::from_millis(50);

/// OpenMetrics 1.0, "Content-Type".
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// An address at which a page will be served. Who asks for it already waits.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

/// Serves one page until it is dropped.
pub struct PageServer {
    listener: TcpListener,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

type Page = Arc<dyn Fn() -> String + Send + Sync>;

impl Bound {
    /// Listens to `address`. No thread runs before [`serve`](Bound::serve): privileges can be given up in between.
    ///
    /// # Errors
    /// When the address can't be listened to.
    pub fn new(address: SocketAddr) -> io::Result<Bound> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        Ok(Bound { listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to serve `page` at `/metrics`. Make the [`Waiter`](super::wait::Waiter) first: signals shall
    /// not go to the threads that this starts.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn serve(
        self,
        page: impl Fn() -> String + Send + Sync + 'static,
    ) -> io::Result<PageServer> {
        let is_over = Arc::new(AtomicBool::new(false));
        let (incoming, ends) = (self.listener.try_clone()?, Arc::clone(&is_over));
        let thread = named_thread(move || serve(&incoming, &ends, &(Arc::new(page) as Page)))?;
        Ok(PageServer {
            listener: self.listener,
            is_over,
            thread: Some(thread),
        })
    }
}

impl Drop for PageServer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Wakes whoever accepts, and needs no descriptor.
        let _ = shutdown(self.listener.as_raw_fd(), Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            // It has nothing left to say.
            let _ = thread.join();
        }
    }
}

fn named_thread(work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("metrics".into()).spawn(work)
}

fn serve(listener: &TcpListener, is_over: &AtomicBool, page: &Page) {
    // Each connection that is under way holds the page.
    let idle = Arc::strong_count(page);
    while !is_over.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, _)) if Arc::strong_count(page) < idle + MOST => {
                let page = Arc::clone(page);
                // Who is not answered sees that the connection is closed; who has asked may be gone.
                let _ = named_thread(move || {
                    let _ = answer(stream, &page);
                });
            }
            Ok(_) => {}
            // No descriptors left, or whoever came has gone.
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

fn answer(mut stream: TcpStream, page: &Page) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let head = read_head(&mut stream)?;
    let head = String::from_utf8_lossy(&head);
    let mut words = head.lines().next().unwrap_or_default().split(' ');
    let (method, target) = (words.next(), words.next().unwrap_or_default());
    let path = target.split('?').next();
    let (status, kind, text) = match (method, path) {
        (Some("GET" | "HEAD"), Some("/metrics")) => ("200 OK", OPEN_METRICS, page()),
        _ => ("404 Not Found", PLAIN, "there is only /metrics\n".into()),
    };
    let len = text.len();
    let body = if method == Some("HEAD") { "" } else { &text };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// Everything up to the empty line that ends a request's header.
fn read_head(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let since = Instant::now();
    let (mut head, mut buf) = (Vec::new(), [0; 1024]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let left = PATIENCE.checked_sub(since.elapsed());
        let left = left.filter(|left| !left.is_zero());
        stream.set_read_timeout(Some(left.ok_or(io::ErrorKind::TimedOut)?))?;
        let len = stream.read(&mut buf)?;
        if len == 0 || head.len() + len > MAX_HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
        head.extend(&buf[..len]);
    }
    Ok(head)
}
