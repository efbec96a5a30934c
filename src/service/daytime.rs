//! Daytime (RFC 867; TCP, default port 13): the date and the time of day as a line for people.

use super::Connection;
use jiff::Timestamp;
use smoltcp::time::Duration;
use std::io;

/// The server: sends the time as it was when the connection opened, and closes. What the client sends is not read.
///
/// # Errors
/// Those of the connection.
pub async fn daytime(conn: Connection) -> io::Result<()> {
    let line = daytime_line(conn.task().wall_clock());
    conn.write_all(line.as_bytes()).await?;
    conn.close().await
}

/// In the first of the two forms that RFC 867 recommends ("Weekday, Month Day, Year Time-Zone"), always in UTC.
fn daytime_line(wall_clock: Duration) -> String {
    timestamp(wall_clock)
        .strftime("%A, %B %-d, %Y %H:%M:%S-UTC\r\n")
        .to_string()
}

/// The moment that lies `wall_clock` after 1970-01-01 00:00:00 UTC; whatever lies after the year 9999 counts as its end.
pub(super) fn timestamp(wall_clock: Duration) -> Timestamp {
    i64::try_from(wall_clock.secs())
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_weekday_month_day_year_time_and_zone() {
        #[track_caller]
        fn check(seconds: u64, expected: &str) {
            assert_eq!(daytime_line(Duration::from_secs(seconds)), expected);
        }
        check(0, "Thursday, January 1, 1970 00:00:00-UTC\r\n");
        check(1_795_359_016, "Sunday, November 22, 2026 14:50:16-UTC\r\n");
        check(951_827_696, "Tuesday, February 29, 2000 12:34:56-UTC\r\n");
    }

    #[test]
    fn a_clock_beyond_all_calendars_does_not_panic() {
        assert_eq!(timestamp(Duration::MAX), Timestamp::MAX);
    }
}
