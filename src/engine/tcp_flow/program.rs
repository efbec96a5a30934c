//! The program of a connection at work.

use super::{Stage, Start, TcpFlow};
use crate::engine::Shared;
use crate::event::UserCall;
use crate::fault::Closing;
use crate::service::Connection;
use crate::state::TcpState;
use smoltcp::time::Instant;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

impl TcpFlow {
    /// Starts the program once the connection is established, lets it go on when something has happened, and
    /// closes for it when it has let go of the connection. Returns whether anything was done.
    pub(super) fn run_program(&mut self, shared: &mut Shared, now: Instant) -> bool {
        if self.closes_by_itself() || self.closes_late() {
            self.tell_calls(shared, now);
            return true;
        }
        let state = self.state();
        let (mss, rtt) = (self.full_segment(), self.tcb.rtt.smoothed());
        let share = shared.senders.share(now, mss, rtt);
        match &mut self.program {
            Stage::Waiting(_) if state.is_synchronized() => {
                self.half_open = false;
                let stage = std::mem::replace(&mut self.program, Stage::Over(None));
                let Stage::Waiting(start) = stage else {
                    return false;
                };
                self.begin_conduct(now);
                self.task.begin(now);
                let connection = Connection::new(self.task.clone(), Rc::clone(&self.endpoint));
                self.program = Stage::Running(match start {
                    Start::Service(start) => start(connection),
                    Start::Client(start) => start(connection),
                });
                self.woken = true;
                if self.endpoint.borrow().close_waits {
                    self.endpoint.borrow_mut().call(UserCall::Close);
                    self.tell_calls(shared, now);
                }
                true
            }
            Stage::Waiting(_) => {
                if matches!(state, TcpState::Closed | TcpState::Listen) {
                    self.half_open = false;
                    let end = self.endpoint.borrow().end;
                    self.program =
                        Stage::Over(end.map(|kind| Err(io::Error::from(kind).to_string())));
                }
                false
            }
            Stage::Running(program) => {
                let due = self.task.wake_at().is_some_and(|at| at <= now);
                if !(self.woken || due || self.task.has_yielded()) {
                    return false;
                }
                self.woken = false;
                self.endpoint.borrow_mut().share = share;
                self.task.begin(now);
                let polled = program
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()));
                if let Poll::Ready(result) = polled {
                    self.program = Stage::Over(Some(result.map_err(|error| error.to_string())));
                }
                self.take_urgent_mark();
                // Before anything of what it has written can leave.
                if self.closing == Some(Closing::WithData) {
                    self.closes_by_itself();
                }
                self.tell_calls(shared, now);
                true
            }
            Stage::Over(_) => self.run_orphan(shared, now),
        }
    }

    /// What is done for a connection that has no program any more.
    fn run_orphan(&mut self, shared: &mut Shared, now: Instant) -> bool {
        let mut endpoint = self.endpoint.borrow_mut();
        let released = std::mem::take(&mut endpoint.released);
        if released {
            endpoint.close();
        }
        if !endpoint.conduct.is_read(now) {
            drop(endpoint);
            self.tell_calls(shared, now);
            return released;
        }
        // Nobody will read it; the window must not close over it.
        let socket = &mut endpoint.socket;
        let mut read = 0;
        while socket.can_read()
            && let Some(len) = socket.read(|bytes| (bytes.len(), bytes.len()))
        {
            read += len as u64;
        }
        endpoint.consumed += read;
        drop(endpoint);
        self.tell_calls(shared, now);
        released || read > 0
    }
}
