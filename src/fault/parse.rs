//! Text to rules. The grammar stands in `rules.txt` beside this file.
//!
//! A line is read word by word, from left to right; the first word that can't be is the error. Nothing that the
//! link or the stack could not do gets through: values are in their ranges, and what contradicts itself or could never
//! be true is refused here, where there is someone to tell.

mod error;
mod line;
mod pattern;
mod setting;
mod value;

pub use error::ParseError;

use super::rule::{Action, Ends, IcmpError, Pattern, Rule, Scope, Trigger, Until, Verdict};
use crate::event::Direction;
use line::Line;
use pattern::Parts;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// The rules of a file: one a line. Empty lines and comments are left out.
///
/// # Errors
/// One for each line that is no rule, in their order.
pub fn parse_rules(text: &str) -> Result<Vec<Rule>, Vec<ParseError>> {
    let (mut rules, mut errors) = (Vec::new(), Vec::new());
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (text, number) in text.lines().zip(1..) {
        let line = Line::new(text, number);
        if line.is_over() {
            continue;
        }
        match rule(line) {
            Ok(rule) => rules.push(rule),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(rules)
    } else {
        Err(errors)
    }
}

impl FromStr for Rule {
    type Err = ParseError;

    /// Reads one rule, as [the grammar](crate::fault) has it.
    fn from_str(text: &str) -> Result<Rule, ParseError> {
        rule(Line::new(text, 1))
    }
}

fn rule(mut line: Line<'_>) -> Result<Rule, ParseError> {
    if let Some(at) = line.text().trim_end().find('\n') {
        return Err(line.error(at..at + 1, "one rule, on one line"));
    }
    let scope = scope(&mut line)?;
    let action = action(&mut line)?;
    if !line.is_over() {
        return Err(line.error_here("the end of the rule"));
    }
    Ok(Rule {
        text: line.read().trim().to_owned(),
        scope,
        action,
    })
}

const SCOPES: &str = "which connections: conn N, port N, host ADDRESS or peer ADDRESS";

/// `conn 1..2, port 80:`, or nothing.
fn scope(line: &mut Line<'_>) -> Result<Scope, ParseError> {
    let mut scope = Scope::default();
    if !["conn", "port", "host", "peer"]
        .iter()
        .any(|name| line.is(name) || line.is(&format!("{name}:")))
    {
        return Ok(scope);
    }
    loop {
        let name = line.expect(SCOPES)?;
        let given = match name.text.to_ascii_lowercase().as_str() {
            "conn" => {
                let expected = "a connection's number or a range of them, such as 1, 1..2 or 3..";
                let word = line.scope_value(true, expected)?;
                let range = value::range(line, word, expected)?;
                scope.connections.replace(range).is_some()
            }
            "port" => {
                let word = line.scope_value(true, "a port from 1 to 65535")?;
                let port = value::number(line, word, 1..=65_535)?;
                scope.port.replace(port as u16).is_some()
            }
            "host" => scope.host.replace(address(line)?).is_some(),
            "peer" => scope.peer.replace(address(line)?).is_some(),
            _ => return Err(line.error(name.range(), SCOPES)),
        };
        if given {
            return Err(line.error(name.range(), format!("`{}` only once", name.text)));
        }
        if let (Some(host), Some(peer)) = (scope.host, scope.peer)
            && host.is_ipv4() != peer.is_ipv4()
        {
            return Err(line.error(line.last(), "host and peer of the same IP version"));
        }
        match line.separator() {
            Some(',') => {}
            Some(_) => break,
            None => return Err(line.error_here("`,` and another scope, or `:` and what is done")),
        }
    }
    Ok(scope)
}

fn address(line: &mut Line<'_>) -> Result<IpAddr, ParseError> {
    let expected = "an IPv4 or IPv6 address";
    let word = line.scope_value(false, expected)?;
    word.text
        .parse()
        .map_err(|_| line.error(word.range(), expected))
}

fn action(line: &mut Line<'_>) -> Result<Action, ParseError> {
    const EXPECTED: &str = "what is done: pass, drop, delay, hold, duplicate, reorder, edit, replace, reset, icmp, silence \
                            or set";
    let word = line.expect(EXPECTED)?;
    let verdict = match word.text.to_ascii_lowercase().as_str() {
        "set" => return Ok(Action::Set(setting::knobs(line)?)),
        "silence" => return silence(line),
        "hold" => return hold(line),
        "edit" => return edit(line),
        "pass" => Verdict::Pass,
        "drop" => Verdict::Drop,
        "delay" => {
            let word = line.expect("for how long, such as 4s or 500ms")?;
            Verdict::Delay(value::some_duration(line, word)?)
        }
        "duplicate" => Verdict::Duplicate(count(line)?),
        "reorder" => Verdict::Reorder(count(line)?),
        "replace" => Verdict::Replace(packet(line)?),
        "reset" => Verdict::Reset(ends(line)),
        "icmp" => Verdict::Icmp(icmp(line)?),
        _ => return Err(line.error(word.range(), EXPECTED)),
    };
    let mut parts = Parts::default();
    while !line.is_over() {
        if line.is("at") {
            return at(line, verdict, &parts);
        }
        if !parts.take(line)? {
            return Err(parts.unknown(line, &verdict));
        }
    }
    Ok(Action::Judge(verdict, parts.finish(line)?))
}

/// `reset at ESTABLISHED after 500ms`: without a packet.
fn at(line: &mut Line<'_>, verdict: Verdict, parts: &Parts) -> Result<Action, ParseError> {
    let word = line.expect("at")?;
    if !matches!(verdict, Verdict::Reset(_) | Verdict::Silence(_)) {
        let expected = "a packet: only reset and silence can act by themselves at a state \
                        (`while STATE` is about packets)";
        return Err(line.error(word.range(), expected));
    }
    if !parts.is_empty() {
        return Err(line.error(
            word.range(),
            "either a packet or a state, not both (`while STATE` is about packets)",
        ));
    }
    let state = pattern::state(line)?;
    let after = match line.take("after") {
        Some(_) => {
            let word = line.expect("how much later, such as 500ms")?;
            value::duration(line, word)?
        }
        None => smoltcp::time::Duration::ZERO,
    };
    if !line.is_over() {
        return Err(line.error_here("`after` and a time, or the end of the rule"));
    }
    Ok(Action::Act(verdict, Trigger { state, after }))
}

/// The first direction is what falls silent. It is also that of the packet with which it begins, unless another follows.
fn silence(line: &mut Line<'_>) -> Result<Action, ParseError> {
    let silenced = pattern::direction(line);
    let direction = pattern::direction(line).or(silenced).flatten();
    let silenced: Option<Direction> = silenced.flatten();
    let verdict = Verdict::Silence(silenced);
    let mut parts = Parts::default();
    while !line.is_over() {
        if line.is("at") {
            if direction != silenced {
                return Err(line.error_here("a packet, as a second direction was given"));
            }
            return at(line, verdict, &parts);
        }
        if ["in", "out", "both"].iter().any(|name| line.is(name)) {
            return Err(line.error_here("directions right behind `silence`"));
        }
        if !parts.take(line)? {
            return Err(parts.unknown(line, &verdict));
        }
    }
    parts.pattern.direction = direction;
    Ok(Action::Judge(verdict, parts.finish(line)?))
}

fn hold(line: &mut Line<'_>) -> Result<Action, ParseError> {
    let mut parts = Parts::default();
    let mut until = Until::Hand;
    while !line.is_over() {
        if line.take("until").is_some() {
            until = self::until(line)?;
            break;
        }
        if !parts.take(line)? {
            return Err(parts.unknown(line, &Verdict::Hold(Until::Hand)));
        }
    }
    Ok(Action::Judge(Verdict::Hold(until), parts.finish(line)?))
}

/// What stands behind `until`, to the end of the rule.
fn until(line: &mut Line<'_>) -> Result<Until, ParseError> {
    const EXPECTED: &str =
        "hand, a state or a packet, such as ESTABLISHED or out FIN (for a time, write `delay`)";
    if line.is_over() {
        return Err(line.error_here(EXPECTED));
    }
    if line.take("hand").is_some() {
        return Ok(Until::Hand);
    }
    if let Some(state) = pattern::try_state(line) {
        return Ok(Until::State(state));
    }
    let mut parts = Parts::default();
    while !line.is_over() {
        if line.is("chance") || line.is("times") {
            return Err(line.error_here("no chance and no count in what is waited for"));
        }
        if !parts.take(line)? {
            return Err(line.error_here(EXPECTED));
        }
    }
    Ok(Until::Packet(Box::new(parts.finish(line)?)))
}

fn edit(line: &mut Line<'_>) -> Result<Action, ParseError> {
    let mut parts = Parts::default();
    let mut changes = setting::Changes::default();
    while !line.is_over() {
        if !parts.take(line)? && !changes.take(line)? {
            return Err(parts.unknown(line, &Verdict::Edit(Vec::new())));
        }
    }
    let pattern: Pattern = parts.finish(line)?;
    let assignments = changes.finish(line, pattern.kind)?;
    Ok(Action::Judge(Verdict::Edit(assignments), pattern))
}

/// How many, where it is said.
fn count(line: &mut Line<'_>) -> Result<u32, ParseError> {
    match line.take_if(|word| word.starts_with(|first: char| first.is_ascii_digit())) {
        Some(word) => Ok(value::number(line, word, COUNTS)? as u32),
        None => Ok(1),
    }
}

const COUNTS: RangeInclusive<u64> = 1..=1000;

/// A whole IP packet.
fn packet(line: &mut Line<'_>) -> Result<Vec<u8>, ParseError> {
    const EXPECTED: &str = "a whole IP packet of 20 to 65535 bytes, such as hex:4500… or hex:6000…";
    let word = line.expect(EXPECTED)?;
    let bytes = value::hex(line, word)?;
    // A TUN device takes nothing but IP.
    let is_ip = bytes
        .first()
        .is_some_and(|first| matches!(first >> 4, 4 | 6));
    if !is_ip || !(20..=65_535).contains(&bytes.len()) {
        return Err(line.error(word.range(), EXPECTED));
    }
    Ok(bytes)
}

fn ends(line: &mut Line<'_>) -> Ends {
    if line.take("peer").is_some() {
        Ends::Peer
    } else if line.take("local").is_some() {
        Ends::Local
    } else {
        line.take("both");
        Ends::Both
    }
}

fn icmp(line: &mut Line<'_>) -> Result<IcmpError, ParseError> {
    const EXPECTED: &str = "an error: net-unreachable, host-unreachable, protocol-unreachable, port-unreachable, \
                            admin-prohibited, fragmentation-needed MTU or time-exceeded";
    let word = line.expect(EXPECTED)?;
    Ok(match word.text.to_ascii_lowercase().as_str() {
        "net-unreachable" => IcmpError::NetUnreachable,
        "host-unreachable" => IcmpError::HostUnreachable,
        "protocol-unreachable" => IcmpError::ProtocolUnreachable,
        "port-unreachable" => IcmpError::PortUnreachable,
        "admin-prohibited" => IcmpError::AdminProhibited,
        "time-exceeded" => IcmpError::TimeExceeded,
        "fragmentation-needed" => {
            let word = line.expect("the MTU to report, such as 1280")?;
            let mtu = value::number(line, word, 0..=65_535)?;
            IcmpError::FragmentationNeeded(mtu as u16)
        }
        _ => return Err(line.error(word.range(), EXPECTED)),
    })
}
