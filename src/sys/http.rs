//! A page that is served over HTTP from a thread of its own, for whoever reads metrics.
//!
//! Connections that say nothing keep nobody else out: each has a thread and a second for its request, a few may be there
//! at once, and a new one takes the place of the oldest that has not asked yet. If there are no descriptors or threads left,
//! the next request may find some again.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::socket::{Shutdown, shutdown};

/// As many connections at once.
const MOST: usize = 16;
/// A request must be there after so long, and the page taken after as long again.
const PATIENCE: Duration = Duration::from_secs(1);
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

/// The connections that are under way, the oldest first.
#[derive(Default)]
struct Guests {
    all: Mutex<VecDeque<Guest>>,
}

struct Guest {
    stream: Arc<TcpStream>,
    has_asked: bool,
}

impl Guests {
    /// Takes one in; one too many takes the place of the oldest that has not asked, or else of the oldest.
    fn admit(&self, stream: &Arc<TcpStream>) {
        let mut all = self.all();
        if all.len() >= MOST {
            let silent = all.iter().position(|guest| !guest.has_asked);
            if let Some(guest) = all.remove(silent.unwrap_or(0)) {
                // Its thread reads the end, and ends.
                let _ = guest.stream.shutdown(std::net::Shutdown::Both);
            }
        }
        all.push_back(Guest {
            stream: Arc::clone(stream),
            has_asked: false,
        });
    }

    fn has_asked(&self, stream: &Arc<TcpStream>) {
        let mut all = self.all();
        let guest = all
            .iter_mut()
            .find(|guest| Arc::ptr_eq(&guest.stream, stream));
        if let Some(guest) = guest {
            guest.has_asked = true;
        }
    }

    fn leaves(&self, stream: &Arc<TcpStream>) {
        self.all()
            .retain(|guest| !Arc::ptr_eq(&guest.stream, stream));
    }

    /// Also after a panic of another thread: the list is whole at any time.
    fn all(&self) -> MutexGuard<'_, VecDeque<Guest>> {
        self.all
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn serve(listener: &TcpListener, is_over: &AtomicBool, page: &Page) {
    let guests = Arc::new(Guests::default());
    while !is_over.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, _)) => {
                let stream = Arc::new(stream);
                guests.admit(&stream);
                let (page, present, guest) =
                    (Arc::clone(page), Arc::clone(&guests), Arc::clone(&stream));
                let started = named_thread(move || {
                    // A client that is not answered sees that the connection is closed; one that has asked may be gone.
                    let _ = answer(&guest, &present, &page);
                    present.leaves(&guest);
                });
                if started.is_err() {
                    guests.leaves(&stream);
                }
            }
            // No descriptors left, or the client has gone.
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

fn answer(guest: &Arc<TcpStream>, guests: &Guests, page: &Page) -> io::Result<()> {
    let mut stream = &**guest;
    stream.set_write_timeout(Some(PATIENCE))?;
    let head = read_head(stream)?;
    guests.has_asked(guest);
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
fn read_head(mut stream: &TcpStream) -> io::Result<Vec<u8>> {
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
