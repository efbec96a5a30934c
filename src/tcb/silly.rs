//! When to send what: the silly window syndrome, Nagle's algorithm and the first probe, where smoltcp sends too early.
//!
//! smoltcp sends whatever fits the window when nothing is in flight, sends data along with an ACK that is due even
//! where Nagle's algorithm holds it back, and probes a shut window at once. All that it knows of the peer's window is
//! what segments tell, so a window that is not to be used is kept from it until it is.

use smoltcp::time::{Duration, Instant};

/// RFC 9293, section 3.8.6.2.1: "the override timeout [...] should be in the range 0.1 - 1.0 seconds".
const OVERRIDE: Duration = Duration::from_millis(200);

/// What is on its way and what waits, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flight {
    /// Everything in the send buffer, sent or not.
    pub(crate) queued: u32,
    pub(crate) in_flight: u32,
    /// SND.WND, and the largest that it has been.
    pub(crate) window: u32,
    pub(crate) max_window: u32,
    /// Eff.snd.MSS.
    pub(crate) mss: u32,
    /// Whether our user has closed: then nothing will follow what waits.
    pub(crate) closed: bool,
}

/// What is held back, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Held {
    #[default]
    Nothing,
    /// The window is shut, and smoltcp counts from when data met it.
    Shut,
    /// The window is silly. `told` is whether smoltcp takes it for shut.
    Silly { until: Instant, told: bool },
    /// It was for too long, and is used.
    Overridden,
}

/// What to do before smoltcp may send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Advice {
    /// Nothing.
    Send,
    /// Only an ACK may leave, where one is due.
    AckOnly,
    /// smoltcp is to think that the window is shut.
    Shut,
    /// smoltcp is to learn of the true window.
    Open,
    /// The retransmission timeout is to pass before the first probe.
    ProbeLater,
}

/// What is kept of one connection's sending.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Silly {
    held: Held,
}

impl Silly {
    /// smoltcp has seen the peer's window as it is.
    pub(crate) fn saw_window(&mut self) {
        if let Held::Silly { told, .. } = &mut self.held {
            *told = false;
        }
    }

    /// When the window is to be used though it is silly.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        match self.held {
            Held::Silly { until, .. } => Some(until),
            _ => None,
        }
    }

    /// RFC 9293, section 3.8.6.2.1, where data waits.
    pub(crate) fn advise(&mut self, now: Instant, flight: Flight) -> Advice {
        let waiting = flight.queued.saturating_sub(flight.in_flight);
        let usable = flight.window.saturating_sub(flight.in_flight);
        if waiting.min(usable) >= flight.mss {
            // "(1) if a maximum-sized segment can be sent".
            self.held = Held::Nothing;
            return Advice::Send;
        }
        if flight.in_flight > 0 {
            // Section 3.7.4: data is held back "until all outstanding data have been acknowledged or until the TCP
            // endpoint can send a full-sized segment". A FIN lets it go.
            self.held = Held::Nothing;
            let last = flight.closed && waiting <= usable;
            return if waiting > 0 && !last {
                Advice::AckOnly
            } else {
                Advice::Send
            };
        }
        if flight.window == 0 {
            return match std::mem::replace(&mut self.held, Held::Shut) {
                Held::Shut => Advice::Send,
                _ => Advice::ProbeLater,
            };
        }
        // "(2) [...] if the data is pushed and all queued data can be sent now", "(3) [...] if at least a fraction Fs of
        // the maximum window can be sent", where Fs is 1/2.
        let worth = waiting <= usable || usable >= flight.max_window / 2;
        match self.held {
            _ if worth => self.held = Held::Nothing,
            Held::Overridden => {}
            Held::Silly { until, told } if now < until => {
                self.held = Held::Silly { until, told: true };
                if !told {
                    return Advice::Shut;
                }
                return Advice::Send;
            }
            Held::Silly { .. } => {
                // "(4) or if the override timeout occurs."
                self.held = Held::Overridden;
                return Advice::Open;
            }
            Held::Nothing | Held::Shut => {
                self.held = Held::Silly {
                    until: now + OVERRIDE,
                    told: true,
                };
                return Advice::Shut;
            }
        }
        Advice::Send
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_windows_wait() {
        #[track_caller]
        fn check(queued: u32, in_flight: u32, window: u32, closed: bool, expected: Advice) {
            let flight = Flight {
                queued,
                in_flight,
                window,
                max_window: 10_000,
                mss: 1_000,
                closed,
            };
            let mut sending = Silly::default();
            assert_eq!(
                sending.advise(Instant::ZERO, flight),
                expected,
                "{flight:?}"
            );
        }
        check(5_000, 0, 10_000, false, Advice::Send);
        check(5_000, 0, 1_000, false, Advice::Send);
        check(5_000, 0, 999, false, Advice::Shut);
        check(999, 0, 999, false, Advice::Send);
        check(5_000, 0, 0, false, Advice::ProbeLater);
        check(5_000, 4_500, 10_000, false, Advice::AckOnly);
        check(5_000, 4_500, 10_000, true, Advice::Send);
        check(5_000, 4_500, 4_600, true, Advice::AckOnly);
        check(5_000, 5_000, 10_000, false, Advice::Send);
    }

    #[test]
    fn a_silly_window_is_used_in_the_end() {
        let flight = Flight {
            queued: 5_000,
            in_flight: 0,
            window: 10,
            max_window: 10_000,
            mss: 1_000,
            closed: false,
        };
        let mut sending = Silly::default();
        let at = Instant::from_millis;
        assert_eq!(sending.advise(at(0), flight), Advice::Shut);
        assert_eq!(sending.advise(at(100), flight), Advice::Send);
        // It tells again what is too little.
        sending.saw_window();
        assert_eq!(sending.advise(at(150), flight), Advice::Shut);
        assert_eq!(sending.wake_at(), Some(at(200)));
        assert_eq!(sending.advise(at(200), flight), Advice::Open);
        assert_eq!(sending.advise(at(200), flight), Advice::Send);
        let more = Flight {
            window: 5_000,
            ..flight
        };
        assert_eq!(sending.advise(at(600), more), Advice::Send);
        assert_eq!(sending.advise(at(700), flight), Advice::Shut);
    }
}
