//! Why our end changes its state.

use super::course::Lesson;
use super::{Depth, Story};
use crate::event::{Cause, Direction, Timer, Transition, UserCall};
use crate::sink::text;
use crate::state::TcpState::{self, *};
use crate::view::{By, Flow, Means, Ours};
use crate::words::Sentence;
use smoltcp::time::{Duration, Instant};

impl Story {
    pub(super) fn transition(
        &mut self,
        at: Instant,
        flow: &Flow,
        transition: &Transition,
    ) -> Vec<Sentence> {
        if self.depth < Depth::Normal {
            return Vec::new();
        }
        let past = self.flows.entry(flow.id).or_default();
        if transition.to == TimeWait {
            past.time_wait_since = Some(at);
        }
        let waited = past
            .time_wait_since
            .map_or(Duration::ZERO, |since| at - since);
        let mut said = vec![self.reason(flow, transition, waited)];
        if transition.to == SynReceived && self.lessons.is_new(Lesson::Names) {
            said.push(self.lang.other_names());
        }
        if transition.to == TimeWait {
            said.extend(self.time_wait_left(flow.id, at));
        }
        said
    }

    fn reason(&self, flow: &Flow, transition: &Transition, waited: Duration) -> Sentence {
        let lang = self.lang;
        let peer = text::sender(lang, flow, Direction::In);
        let us = text::sender(lang, flow, Direction::Out);
        let our = match flow.ours {
            Ours::Read => lang.our(),
            Ours::Inferred => lang.of_the_server(),
        };
        let Transition { from, to, cause } = *transition;
        match (from, to, cause) {
            (_, SynSent, _) => lang.open_called(),
            (Listen, SynReceived, _) => lang.syn_arrived(us),
            (SynSent, SynReceived, _) => lang.syns_crossed(our),
            (SynSent, Established, _) => lang.syn_answered(our, peer),
            (SynReceived, Established, _) => lang.syn_acknowledged(our),
            (_, Listen, _) => lang.back_to_listen(),
            (_, FinWait1 | LastAck, _) => lang.close_called(to, flow.wire_state()),
            (_, CloseWait, _) => lang.fin_arrived(peer),
            (_, FinWait2, _) => lang.fin_acknowledged(our, peer),
            (_, Closing, _) => lang.fins_crossed(our, peer),
            (_, TimeWait, _) => lang.time_wait_begins(),
            (_, Closed, Cause::Call(UserCall::Abort)) => lang.abort_called(),
            (_, Closed, Cause::Call(_)) => lang.closed_early(),
            (_, Closed, Cause::Timeout(Timer::User)) => lang.gave_up(us),
            (_, Closed, Cause::Timeout(Timer::FinWait2)) => lang.fin_never_came(us, peer),
            (_, Closed, Cause::Timeout(Timer::TimeWait)) => lang.time_wait_over(text::time(waited)),
            (_, Closed, Cause::Segment(_)) if was_reset(flow) => lang.reset_arrived(),
            (TimeWait, Closed, Cause::Segment(_)) => lang.time_wait_cut(),
            (LastAck, Closed, Cause::Segment(_)) => lang.last_ack_arrived(our),
            (Closed | Established | SynReceived | CloseWait | FinWait1 | FinWait2, ..)
            | (Closing | LastAck | TimeWait | Listen | SynSent, ..) => {
                lang.becomes(TcpState::name(from), TcpState::name(to))
            }
        }
    }
}

fn was_reset(flow: &Flow) -> bool {
    flow.endings
        .iter()
        .any(|ending| ending.by != By::Local && ending.means == Means::Reset)
}
