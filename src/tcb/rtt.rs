//! The retransmission timeout, by the same arithmetic that smoltcp does on the same segments: it keeps its own to itself. A test
//! holds it against smoltcp's.

use crate::segment::SeqNumber;
use smoltcp::time::{Duration, Instant};

/// The arithmetic of RFC 6298 as smoltcp 0.14 does it: whole milliseconds, one sample at a time, a floor of one second
/// (section 2.4), a ceiling of 60 (section 2.5).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rtt {
    measured: bool,
    srtt: u32,
    rttvar: u32,
    rto: u32,
    sampling: Option<(Instant, SeqNumber)>,
    max: Option<SeqNumber>,
    timeouts: u8,
}

impl Default for Rtt {
    fn default() -> Rtt {
        Rtt {
            measured: false,
            srtt: 0,
            rttvar: 0,
            rto: 1000,
            sampling: None,
            max: None,
            timeouts: 0,
        }
    }
}

impl Rtt {
    /// The retransmission timeout.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.rto.into())
    }

    /// The round-trip time, smoothed, once one was measured.
    pub(crate) fn smoothed(&self) -> Option<Duration> {
        self.measured
            .then(|| Duration::from_millis(self.srtt.into()))
    }

    pub(super) fn on_send(&mut self, now: Instant, end: SeqNumber) {
        if self.max.is_none_or(|max| max.before(end)) {
            self.max = Some(end);
            self.sampling.get_or_insert((now, end));
        }
    }

    pub(super) fn on_ack(&mut self, now: Instant, ack: SeqNumber) {
        let Some((at, _)) = self.sampling.filter(|(_, end)| end.at_or_before(ack)) else {
            return;
        };
        self.sampling = None;
        let sample = (now - at).total_millis() as u32;
        if self.measured {
            self.rttvar = (self.rttvar * 3 + self.srtt.abs_diff(sample)).div_ceil(4);
            self.srtt = (self.srtt * 7 + sample).div_ceil(8);
        } else {
            self.measured = true;
            self.srtt = sample;
            self.rttvar = sample / 2;
        }
        self.rto = (self.srtt + (self.rttvar * 4).max(5)).clamp(1000, 60_000);
        self.timeouts = 0;
    }

    /// Section 5.5: "back off the timer".
    pub(super) fn on_timeout(&mut self) {
        self.rto = (self.rto * 2).min(60_000);
        self.timeouts += 1;
        if self.timeouts >= 3 {
            self.timeouts = 0;
            self.measured = false;
        }
    }

    /// Section 3: no samples of segments that were sent twice.
    pub(super) fn on_resend(&mut self) {
        self.sampling = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Config, Engine};
    use crate::service::echo::echo;
    use crate::sim::{Sim, random_loss};
    use crate::stack::socket::Socket;

    impl Rtt {
        /// Panics where the timeout is not the one that smoltcp has.
        pub(crate) fn agrees_with(&self, socket: &Socket) {
            let (rto, estimator) = socket.rto();
            assert_eq!(rto, u64::from(self.rto), "{self:?} {estimator}");
        }
    }

    /// Whenever a flow comes to rest in a unit test, its account is held against smoltcp.
    #[test]
    fn the_timeout_is_smoltcps_whatever_gets_lost() {
        for seed in 0..20 {
            // Small buffers: smoltcp prints them too, each time.
            let config = |address: &str| Config {
                buffer: 4096,
                ..Config::new([address.parse().unwrap()])
            };
            let mut server = Engine::new(config("192.0.2.2/24"));
            server.serve_tcp(7, "echo", echo);
            let client = Engine::new(config("192.0.2.1/24"));
            let mut sim = Sim::new(client, server, Duration::from_millis(30));
            sim.lose(random_loss(10, seed));
            let peer = "192.0.2.2:7".parse().unwrap();
            let talk =
                sim.left()
                    .connect_tcp(Instant::ZERO, "talk", None, peer, |conn| async move {
                        for _ in 0..50 {
                            conn.write_all(&[7; 3000]).await?;
                            let mut left: usize = 3000;
                            while left > 0 {
                                left -= conn.read_up_to(left).await?.len();
                            }
                        }
                        conn.close().await
                    });
            talk.unwrap();
            sim.run_until(Instant::from_secs(600));
            assert!(sim.lost() > 0 && sim.left().is_quiet() && sim.right().is_quiet());
        }
    }
}
