//! A page that is served over HTTP from a thread of its own, for whoever reads metrics.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use tiny_http::{Header, Method, Response, Server};

/// An address at which a page will be served. Who asks for it already waits.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

/// Serves one page until it is dropped.
pub struct PageServer {
    server: Arc<Server>,
    thread: Option<JoinHandle<()>>,
}

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
    /// not go to the thread that this starts.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn serve(self, page: impl Fn() -> String + Send + 'static) -> io::Result<PageServer> {
        let server = Server::from_listener(self.listener, None).map_err(io::Error::other)?;
        let server = Arc::new(server);
        let requests = Arc::clone(&server);
        let thread = std::thread::Builder::new()
            .name("metrics".into())
            .spawn(move || {
                // `recv` fails once the server is unblocked.
                while let Ok(request) = requests.recv() {
                    let response = match (request.method(), request.url()) {
                        (Method::Get | Method::Head, "/metrics") => {
                            Response::from_string(page()).with_header(content_type())
                        }
                        _ => {
                            Response::from_string("there is only /metrics\n").with_status_code(404)
                        }
                    };
                    // Whoever has asked may be gone.
                    let _ = request.respond(response);
                }
            })?;
        Ok(PageServer {
            server,
            thread: Some(thread),
        })
    }
}

impl Drop for PageServer {
    fn drop(&mut self) {
        self.server.unblock();
        if let Some(thread) = self.thread.take() {
            // It has nothing left to say.
            let _ = thread.join();
        }
    }
}

/// OpenMetrics 1.0, "Content-Type".
fn content_type() -> Header {
    const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Header::from_bytes("Content-Type", TYPE).expect("two words of ASCII are a header")
}
