//! A service with a defect, to try what a panic costs: its own connection is reset, all others go on, and a report appears.

use super::{Connection, Exchange, UdpService};
use std::io;

/// Sends back whatever it gets, and panics once there is an exclamation mark in it.
///
/// # Errors
/// Those of the connection.
///
/// # Panics
/// That is what it is for.
pub async fn defect(conn: Connection) -> io::Result<()> {
    loop {
        let heard = conn.read_up_to(1024).await?;
        if heard.is_empty() {
            return conn.close().await;
        }
        assert!(!heard.contains(&b'!'), "a defect that was asked for");
        conn.write_all(&heard).await?;
    }
}

/// The same for datagrams.
#[derive(Clone, Copy, Debug, Default)]
pub struct UdpDefect;

impl UdpService for UdpDefect {
    fn datagram(&mut self, exchange: &mut Exchange<'_>) {
        let heard = exchange.payload;
        assert!(!heard.contains(&b'!'), "a defect that was asked for");
        exchange.reply(heard);
    }
}
