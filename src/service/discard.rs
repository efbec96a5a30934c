//! Discard (RFC 863; TCP, default port 9): throws away whatever it gets.

use super::Connection;
use std::io;

/// The server: "No response is sent." It closes when the client has.
///
/// # Errors
/// Those of the connection.
pub async fn discard(conn: Connection) -> io::Result<()> {
    conn.drain().await?;
    conn.close().await
}
