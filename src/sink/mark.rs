//! What became of a packet in the link: how its arrow ends, and the words that stand there.

use super::text;
use crate::event::{Fate, RuleId};
use crate::words::Lang;
use smoltcp::time::Duration;

/// How an arrow ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It arrives.
    Head,
    /// In a cross.
    Lost,
    /// At a bar: it waits.
    Waits,
}

/// How the arrow of a packet with this fate ends.
pub(crate) fn end(fate: &Fate) -> End {
    match fate {
        Fate::Discarded(_) | Fate::Dropped(_) | Fate::Folded(_) => End::Lost,
        Fate::Delayed(..) | Fate::Held(_) => End::Waits,
        Fate::Delivered | Fate::Duplicated(..) | Fate::Rewritten(_) | Fate::Injected(_) => {
            End::Head
        }
    }
}

/// What became of a packet, which has `waited` before if it is released; `None` where it simply crossed.
pub(crate) fn words(
    lang: Lang,
    fate: &Fate,
    waited: Option<Duration>,
    unicode: bool,
) -> Option<String> {
    let waited = waited.map(|waited| lang.waited(text::time(waited)));
    match (waited, self::fate(lang, fate, unicode)) {
        (Some(waited), Some(fate)) => Some(waited + &lang.also(fate)),
        (waited, fate) => waited.or(fate),
    }
}

/// What became of a packet on the link, in a few words; `None` where it simply crossed.
pub(crate) fn fate(lang: Lang, fate: &Fate, unicode: bool) -> Option<String> {
    let times = if unicode { "×" } else { "x" };
    Some(match *fate {
        Fate::Delivered => return None,
        Fate::Discarded(why) => lang.discarded_because(text::discard(lang, why)),
        Fate::Dropped(rule) => lang.dropped_by(decider(lang, rule)),
        Fate::Delayed(rule, time) => lang.held_back(text::span(time), decider(lang, rule)),
        Fate::Held(rule) => lang.held_by(decider(lang, rule)),
        Fate::Duplicated(rule, _) => {
            let times = format!("{times}{}", fate.crossings());
            lang.crosses(times, decider(lang, rule))
        }
        Fate::Rewritten(rule) => lang.rewritten_by(decider(lang, rule)),
        Fate::Injected(RuleId::HAND) => lang.made_by_hand(),
        Fate::Injected(rule) => lang.made_by_rule(rule.0),
        Fate::Folded(original) => lang.folded_into(original),
    })
}

/// Who has decided about a packet: `rule 3`, or `by hand`.
fn decider(lang: Lang, rule: RuleId) -> String {
    match rule {
        RuleId::HAND => lang.by_hand(),
        RuleId(number) => lang.by_rule(number),
    }
}
