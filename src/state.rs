//! The eleven states of a TCP connection and the edges between them (RFC 9293, section 3.3.2).
//!
//! ```text
//!                 LISTEN        SYN-SENT
//!                    \             / \
//!              SYN-RECEIVED ------    |
//!                      \              |
//!                       `--- ESTABLISHED ---.
//!                  CLOSE /                   \ FIN
//!                FIN-WAIT-1               CLOSE-WAIT
//!            ACK /   | FIN \ FIN+ACK          | CLOSE
//!         FIN-WAIT-2 |      \             LAST-ACK
//!            FIN \ CLOSING   \                | ACK
//!                 \  | ACK   /                |
//!                 TIME-WAIT ------------- CLOSED
//! ```

use std::fmt;

/// A state of RFC 9293, section 3.3.2, printed as the RFC prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TcpState {
    /// No connection at all.
    Closed,
    /// Waiting for a connection request from any peer.
    Listen,
    /// A SYN was sent, its answer is awaited.
    SynSent,
    /// A SYN was received and answered, the acknowledgment of ours is awaited.
    SynReceived,
    /// Data may flow both ways.
    Established,
    /// Closed by us first; our FIN is not acknowledged yet.
    FinWait1,
    /// Our FIN is acknowledged; the peer may still send.
    FinWait2,
    /// The peer has sent its FIN; we may still send.
    CloseWait,
    /// Both have sent a FIN, ours is not acknowledged yet.
    Closing,
    /// The peer closed first, then we did; the acknowledgment of our FIN is awaited.
    LastAck,
    /// Everything is done; old segments are waited out.
    TimeWait,
}

impl TcpState {
    /// All states, in the order of RFC 9293, section 3.3.2, with CLOSED first.
    pub const ALL: [TcpState; 11] = [
        TcpState::Closed,
        TcpState::Listen,
        TcpState::SynSent,
        TcpState::SynReceived,
        TcpState::Established,
        TcpState::FinWait1,
        TcpState::FinWait2,
        TcpState::CloseWait,
        TcpState::Closing,
        TcpState::LastAck,
        TcpState::TimeWait,
    ];

    /// The name as RFC 9293 prints it, for example `SYN-RECEIVED`.
    pub const fn name(self) -> &'static str {
        match self {
            TcpState::Closed => "CLOSED",
            TcpState::Listen => "LISTEN",
            TcpState::SynSent => "SYN-SENT",
            TcpState::SynReceived => "SYN-RECEIVED",
            TcpState::Established => "ESTABLISHED",
            TcpState::FinWait1 => "FIN-WAIT-1",
            TcpState::FinWait2 => "FIN-WAIT-2",
            TcpState::CloseWait => "CLOSE-WAIT",
            TcpState::Closing => "CLOSING",
            TcpState::LastAck => "LAST-ACK",
            TcpState::TimeWait => "TIME-WAIT",
        }
    }

    /// Whether both ends know each other's sequence numbers
    /// (RFC 9293, section 3.10.7.4: "synchronized state").
    pub const fn is_synchronized(self) -> bool {
        !matches!(
            self,
            TcpState::Closed | TcpState::Listen | TcpState::SynSent | TcpState::SynReceived
        )
    }

    /// Whether RFC 9293 knows an edge from here to `next`.
    ///
    /// The edges are those of figure 5 and of section 3.10. One segment may carry a connection over
    /// two of them at once: the ACK of our SYN together with a FIN leads from SYN-RECEIVED to
    /// CLOSE-WAIT, the ACK of our FIN together with the peer's leads from FIN-WAIT-1 to TIME-WAIT.
    /// A state is not its own successor.
    pub const fn may_become(self, next: TcpState) -> bool {
        use TcpState::*;
        match (self, next) {
            // OPEN, section 3.10.1.
            (Closed, Listen | SynSent) => true,
            // A SYN arrives, section 3.10.7.2; SEND in LISTEN, section 3.10.2.
            (Listen, SynReceived | SynSent) => true,
            // SYN-ACK, or a SYN alone (simultaneous open), section 3.10.7.3.
            (SynSent, Established | SynReceived) => true,
            // The ACK of our SYN, section 3.10.7.4; with a FIN in the same segment; CLOSE, 3.10.4;
            // a RST returns a passive open to LISTEN.
            (SynReceived, Established | CloseWait | FinWait1 | Listen) => true,
            // CLOSE, or the peer's FIN.
            (Established, FinWait1 | CloseWait) => true,
            // The ACK of our FIN, the peer's FIN, or both in one segment.
            (FinWait1, FinWait2 | Closing | TimeWait) => true,
            (FinWait2, TimeWait) => true,
            (CloseWait, LastAck) => true,
            (Closing, TimeWait) => true,
            // RST, ABORT and time-outs; the last ACK; the end of TIME-WAIT.
            (Closed, _) => false,
            (_, Closed) => true,
            _ => false,
        }
    }
}

impl fmt::Display for TcpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `pad` honours width and alignment, which ladders need.
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_but_closed_may_become_closed_and_none_itself() {
        for state in TcpState::ALL {
            assert_eq!(
                state.may_become(TcpState::Closed),
                state != TcpState::Closed
            );
            assert!(!state.may_become(state));
        }
    }

    #[test]
    fn the_edges_are_exactly_those_of_the_rfc() {
        use TcpState::*;
        let besides_closed: Vec<(TcpState, TcpState)> = TcpState::ALL
            .iter()
            .flat_map(|&from| TcpState::ALL.iter().map(move |&to| (from, to)))
            .filter(|&(from, to)| to != Closed && from.may_become(to))
            .collect();
        assert_eq!(
            besides_closed,
            [
                (Closed, Listen),
                (Closed, SynSent),
                (Listen, SynSent),
                (Listen, SynReceived),
                (SynSent, SynReceived),
                (SynSent, Established),
                (SynReceived, Listen),
                (SynReceived, Established),
                (SynReceived, FinWait1),
                (SynReceived, CloseWait),
                (Established, FinWait1),
                (Established, CloseWait),
                (FinWait1, FinWait2),
                (FinWait1, Closing),
                (FinWait1, TimeWait),
                (FinWait2, TimeWait),
                (CloseWait, LastAck),
                (Closing, TimeWait),
            ]
        );
    }

    #[test]
    fn names_are_printed_as_in_the_rfc_and_can_be_padded() {
        assert_eq!(TcpState::SynReceived.to_string(), "SYN-RECEIVED");
        assert_eq!(format!("{:<8}|", TcpState::Listen), "LISTEN  |");
    }
}
