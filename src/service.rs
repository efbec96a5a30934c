//! The programs that talk: TCP services and clients as async functions over a [`Connection`], UDP ones over
//! [`UdpService`] and [`UdpSocket`].
//!
//! A service reads like the program that it is:
//!
//! ```
//! use tcplab::service::Connection;
//!
//! async fn shout(conn: Connection) -> std::io::Result<()> {
//!     loop {
//!         let said = conn.read_up_to(1024).await?;
//!         if said.is_empty() {
//!             return conn.close().await;
//!         }
//!         conn.write_all(&said.to_ascii_uppercase()).await?;
//!     }
//! }
//! ```
//!
//! There is no runtime. The engine owns the future and polls it after each step of its flow: a segment
//! that arrived, a timer that went off, a segment that left. So a service may await only what this module
//! gives ([`Connection`], [`UdpSocket`], [`Console`], and combinations of their futures); anything else
//! would not be woken.
//!
//! Nothing here reads a clock, prints, or touches a file: time comes from [`Task::now`], what a client
//! program says to its user goes through a [`Console`].

pub mod connection;
pub mod console;
pub mod datagram;
pub mod task;

pub mod password;

pub mod hello;

pub mod echo;

pub mod discard;

pub mod daytime;

pub mod chargen;

pub mod http;

pub mod defect;

pub use connection::Connection;
pub use console::Console;
pub use datagram::{Exchange, UdpService, UdpSocket};
pub use task::{Task, race};

use std::future::Future;
use std::io;
use std::pin::Pin;

/// The future of a service or client program at work on one flow.
pub type Program = Pin<Box<dyn Future<Output = io::Result<()>>>>;
