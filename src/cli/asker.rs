//! Asks the peers' kernel about its end of each connection.

use crate::event::{Event, EventKind, FlowId, PeerView, Transport};
use crate::state::TcpState;
use crate::sys::diag::Diag;
use std::collections::HashMap;
use std::net::SocketAddr;

/// Who asks, and whom.
pub(super) struct Asker<'a> {
    /// `None` where the kernel has once failed to answer.
    diag: Option<&'a Diag>,
    /// The connections whose other end is not CLOSED yet.
    flows: HashMap<FlowId, Asked>,
}

struct Asked {
    local: SocketAddr,
    peer: SocketAddr,
    /// Whether the kernel has known of a connection.
    began: bool,
    /// What it has said last.
    state: Option<TcpState>,
}

impl<'a> Asker<'a> {
    pub(super) fn new(diag: &'a Diag) -> Asker<'a> {
        Asker {
            diag: Some(diag),
            flows: HashMap::new(),
        }
    }

    /// What the kernel says of the peer now that `event` has happened, if that is a packet of a connection. It is to
    /// be shown each event in order, and the packets that leave once they have left.
    pub(super) fn event(&mut self, event: &Event) -> Option<PeerView> {
        let id = event.flow?;
        match &event.kind {
            EventKind::Opened(opened) if opened.transport == Transport::Tcp => {
                let asked = Asked {
                    local: opened.local,
                    peer: opened.peer,
                    began: false,
                    state: None,
                };
                self.flows.insert(id, asked);
                return None;
            }
            EventKind::Closed(_) => {
                self.flows.remove(&id);
                return None;
            }
            EventKind::Packet(_) => {}
            _ => return None,
        }
        self.ask(id)
    }

    /// What the kernel says of the peers whose state is another by now than it was.
    pub(super) fn again(&mut self) -> Vec<(FlowId, PeerView)> {
        let mut flows: Vec<(FlowId, Option<TcpState>)> = self
            .flows
            .iter()
            .map(|(id, asked)| (*id, asked.state))
            .collect();
        flows.sort_unstable_by_key(|(id, _)| *id);
        let news = |(id, before): (FlowId, Option<TcpState>)| {
            let view = self.ask(id)?;
            (Some(view.state) != before).then_some((id, view))
        };
        flows.into_iter().filter_map(news).collect()
    }

    fn ask(&mut self, id: FlowId) -> Option<PeerView> {
        let diag = self.diag?;
        let asked = self.flows.get_mut(&id)?;
        let view = match diag.ask(asked.peer, asked.local) {
            Ok(view) => view,
            Err(error) => {
                log::warn!("the peer's kernel does not answer, its states are inferred: {error}");
                self.diag = None;
                return None;
            }
        };
        // Where a connection has been, a socket that listens is what is left once it is over.
        let view = view.filter(|view| view.state != TcpState::Listen || !asked.began);
        match view {
            Some(view) => {
                asked.began |= view.state != TcpState::Listen;
                asked.state = Some(view.state);
                Some(view)
            }
            None => {
                // There is no way back from CLOSED.
                self.flows.remove(&id);
                let state = TcpState::Closed;
                Some(PeerView { state, info: None })
            }
        }
    }
}
