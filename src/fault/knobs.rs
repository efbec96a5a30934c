//! Knobs: what rules about packets can't do, as it is the stack or the service that behaves otherwise.

use smoltcp::time::Duration;

/// What the stack does otherwise for a connection. The default changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Knobs {
    /// Our initial sequence number.
    pub iss: Option<u32>,
    /// The size of our buffers in bytes, one each way: 64 to 1,073,741,824. The window that we offer is never larger.
    pub buffer: Option<usize>,
    /// How many connections to this address may wait for the end of their handshake at once. Beyond that there are no SYN
    /// cookies.
    pub backlog: Option<usize>,
    /// What happens to a SYN that finds no room.
    pub backlog_full: Option<BacklogFull>,
    /// How long TIME-WAIT lasts.
    pub time_wait: Option<Duration>,
    /// How long an acknowledgment may wait for company; zero for not at all (RFC 9293, section 3.8.6.3: less than 0.5 s).
    pub ack_delay: Option<Duration>,
    /// How long our SYN-ACK waits at least before it is retransmitted without a SYN that asks for it.
    pub syn_ack_retry: Option<Duration>,
    /// Whether small segments wait for acknowledgments (RFC 9293, section 3.7.4).
    pub nagle: Option<bool>,
    /// When our end closes.
    pub closing: Option<Closing>,
    /// When the service gets to read.
    pub reading: Option<Reading>,
    /// How fast what the service writes leaves.
    pub writing: Option<Writing>,
}

/// What happens to a SYN for which the backlog has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BacklogFull {
    /// It is discarded, as Linux does it; the peer tries again.
    Silence,
    /// It is answered with RST, as Linux does with `tcp_abort_on_overflow`.
    Reset,
}

/// When and how our end closes, whatever the service wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// CLOSE as soon as the connection is established; the service never runs, what arrives is thrown away.
    AtOnce,
    /// CLOSE once the service has written something and it has left; the service may still read, and write no more.
    First,
    /// CLOSE as soon as the service has written something, before it leaves: FIN rides on the last of it, so that the peer can't close
    /// in between.
    WithData,
    /// Never CLOSE: the peer's FIN is acknowledged and that is all.
    Never,
    /// ABORT instead of CLOSE.
    Reset,
}

/// When the service gets to read what has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Never: the window shuts when the buffer is full.
    Never,
    /// Not before so much time has passed since the connection was established.
    After(Duration),
}

/// How what the service writes leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Writing {
    /// So many bytes at a time, at least 1.
    pub bytes: usize,
    /// With so much time between them.
    pub pause: Duration,
}

impl Knobs {
    /// Takes over what `other` sets.
    pub fn override_with(&mut self, other: &Knobs) {
        let Knobs {
            iss,
            buffer,
            backlog,
            backlog_full,
            time_wait,
            ack_delay,
            syn_ack_retry,
            nagle,
            closing,
            reading,
            writing,
        } = *other;
        self.iss = iss.or(self.iss);
        self.buffer = buffer.or(self.buffer);
        self.backlog = backlog.or(self.backlog);
        self.backlog_full = backlog_full.or(self.backlog_full);
        self.time_wait = time_wait.or(self.time_wait);
        self.ack_delay = ack_delay.or(self.ack_delay);
        self.syn_ack_retry = syn_ack_retry.or(self.syn_ack_retry);
        self.nagle = nagle.or(self.nagle);
        self.closing = closing.or(self.closing);
        self.reading = reading.or(self.reading);
        self.writing = writing.or(self.writing);
    }
}
