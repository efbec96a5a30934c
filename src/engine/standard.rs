//! The services that every tcplab offers.

use super::Engine;
use crate::event::Transport;
use crate::service::echo::UdpEcho;
use crate::service::hello::Hello;
use crate::service::{chargen, daytime, discard, echo, http, password};

/// A service with its well-known port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StandardService {
    /// Its name.
    pub name: &'static str,
    /// TCP or UDP.
    pub transport: Transport,
    /// Its port.
    pub port: u16,
    /// What it does, in a few words.
    pub about: &'static str,
}

/// What [`Engine::serve_standard`] serves.
pub const STANDARD_SERVICES: [StandardService; 8] = [
    tcp(
        "password",
        1111,
        "asks for a password and says whether it is right",
    ),
    udp("hello", 1111, "notes who sent a datagram and answers Hello"),
    tcp("echo", 7, "sends back what it gets (RFC 862)"),
    udp("echo", 7, "sends back what it gets (RFC 862)"),
    tcp("discard", 9, "throws away what it gets (RFC 863)"),
    tcp("daytime", 13, "sends the time and closes (RFC 867)"),
    tcp("chargen", 19, "sends characters without end (RFC 864)"),
    tcp(
        "http",
        80,
        "shows the handshake of the connection that asks (RFC 9112)",
    ),
];

const fn tcp(name: &'static str, port: u16, about: &'static str) -> StandardService {
    StandardService {
        name,
        transport: Transport::Tcp,
        port,
        about,
    }
}

const fn udp(name: &'static str, port: u16, about: &'static str) -> StandardService {
    StandardService {
        name,
        transport: Transport::Udp,
        port,
        about,
    }
}

impl Engine {
    /// Serves all of [`STANDARD_SERVICES`]. `password` is the right answer to the password service.
    pub fn serve_standard(&mut self, password: &str) {
        let secret = password.to_owned();
        self.serve_tcp(1111, "password", move |conn| {
            password::password(conn, secret.clone())
        });
        self.serve_udp(1111, "hello", Hello);
        self.serve_tcp(7, "echo", echo::echo);
        self.serve_udp(7, "echo", UdpEcho);
        self.serve_tcp(9, "discard", discard::discard);
        self.serve_tcp(13, "daytime", daytime::daytime);
        self.serve_tcp(19, "chargen", chargen::chargen);
        self.serve_tcp(80, "http", http::http);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Config;

    #[test]
    fn what_is_listed_is_what_is_served() {
        let mut engine = Engine::new(Config::new([]));
        engine.serve_standard("123");
        for service in STANDARD_SERVICES {
            let served = match service.transport {
                Transport::Tcp => engine
                    .tcp_services
                    .get(&service.port)
                    .map(|served| served.name),
                Transport::Udp => engine
                    .udp_services
                    .get(&service.port)
                    .map(|served| served.name),
            };
            assert_eq!(served, Some(service.name));
        }
        let served = engine.tcp_services.len() + engine.udp_services.len();
        assert_eq!(served, STANDARD_SERVICES.len());
    }
}
