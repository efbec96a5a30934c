//! Rules that chance has made, written down and read again.
//!
//! Every strategy is boxed: nested by value they would not fit a thread's stack.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use smoltcp::time::Duration;
use std::ops::RangeInclusive;
use tcplab::event::Direction;
use tcplab::fault::{
    Action, Assignment, BacklogFull, Closing, Comparison, Ends, IcmpError, Kind, Knobs, Pattern,
    Reading, Rule, Scope, Trigger, Until, Verdict, Writing, parse_rules,
};
use tcplab::segment::Flags;
use tcplab::state::TcpState;

const DAY: u64 = 86_400_000_000;

fn time() -> BoxedStrategy<Duration> {
    prop_oneof![
        0..DAY,
        (0..86_400u64).prop_map(|s| s * 1_000_000),
        (0..86_400_000u64).prop_map(|ms| ms * 1000)
    ]
    .prop_map(Duration::from_micros)
    .boxed()
}

fn some_time() -> BoxedStrategy<Duration> {
    time()
        .prop_map(|time| time.max(Duration::from_micros(1)))
        .boxed()
}

fn direction() -> BoxedStrategy<Option<Direction>> {
    prop_oneof![
        Just(None),
        Just(Some(Direction::In)),
        Just(Some(Direction::Out))
    ]
    .boxed()
}

fn numbers() -> BoxedStrategy<RangeInclusive<u64>> {
    prop_oneof![
        (1..100u64, 0..100u64).prop_map(|(from, more)| from..=from + more),
        any::<u64>().prop_map(|from| from.max(1)..=u64::MAX),
    ]
    .boxed()
}

fn state() -> BoxedStrategy<TcpState> {
    prop::sample::select(TcpState::ALL.to_vec()).boxed()
}

/// Patterns that can be true.
fn pattern() -> BoxedStrategy<Pattern> {
    let comparison = prop::sample::select(vec![
        Comparison::Less,
        Comparison::Greater,
        Comparison::Equal,
    ]);
    let what = (
        direction(),
        prop::sample::select(Kind::ALL.to_vec()),
        option::of(numbers()),
        option::of(any::<bool>()),
        option::of(state()),
    );
    let when = (
        option::of(any::<u64>()),
        option::of(time()),
        option::of(some_time()),
        option::of((comparison, 1..65_576usize)),
        option::of(1..=1_000_000u32),
        option::of(1..=u64::MAX),
    );
    (what, when)
        .prop_map(
            |(
                (direction, kind, ordinal, retransmission, state),
                (after_data, after, within, size, chance, times),
            )| Pattern {
                direction,
                kind,
                ordinal,
                retransmission: retransmission.filter(|&again| {
                    !again || !matches!(kind, Kind::Ack | Kind::Rst | Kind::Datagram)
                }),
                state: state.filter(|_| kind != Kind::Datagram),
                after_data,
                after,
                within: within.filter(|&within| after.is_none_or(|after| within > after)),
                size,
                chance,
                times,
            },
        )
        .boxed()
}

fn flags() -> BoxedStrategy<Flags> {
    (0..0x200u16).prop_map(Flags).boxed()
}

fn assignment() -> BoxedStrategy<Assignment> {
    use Assignment::*;
    let changed = (1..0x200u16, 0..0x200u16);
    let add = -i64::from(u32::MAX)..=i64::from(u32::MAX);
    let text = prop_oneof![
        vec(any::<u8>(), 0..20),
        "\\PC{0,10}[\n\r\t\"\\\\ #=]{0,5}".prop_map(String::into_bytes),
    ];
    prop_oneof![
        flags().prop_map(Assignment::Flags),
        changed.prop_map(|(set, clear)| ChangeFlags {
            set: self::Flags(set),
            clear: self::Flags(clear & !set)
        }),
        any::<u32>().prop_map(Seq),
        add.clone().prop_map(AddSeq),
        any::<u32>().prop_map(Ack),
        add.prop_map(AddAck),
        any::<u16>().prop_map(Window),
        option::of(any::<u16>()).prop_map(Mss),
        option::of(any::<u8>()).prop_map(WindowScale),
        any::<bool>().prop_map(SackPermitted),
        option::of(any::<(u32, u32)>()).prop_map(Timestamps),
        Just(NoOptions),
        any::<u16>().prop_map(Urgent),
        any::<u8>().prop_map(Ttl),
        text.prop_map(Payload),
        (0..65_536usize).prop_map(Truncate),
        (0..65_536usize).prop_map(Flip),
        Just(BadChecksum),
        Just(BadIpChecksum),
    ]
    .boxed()
}

/// Changes that can all be meant: of each field one.
fn assignments() -> BoxedStrategy<Vec<Assignment>> {
    fn field(assignment: &Assignment) -> String {
        let text = assignment.to_string();
        let name = text.split(['=', '+', '-']).next().unwrap_or_default();
        if name == "flip" {
            text
        } else {
            name.to_owned()
        }
    }
    vec(assignment(), 1..8)
        .prop_map(|mut assignments| {
            let mut fields = Vec::new();
            assignments.retain(|assignment| {
                let field = field(assignment);
                let new = !fields.contains(&field);
                fields.push(field);
                new
            });
            assignments
        })
        .boxed()
}

fn until() -> BoxedStrategy<Until> {
    prop_oneof![
        Just(Until::Hand),
        state().prop_map(Until::State),
        pattern().prop_map(|pattern| Until::Packet(Box::new(Pattern {
            chance: None,
            times: None,
            ..pattern
        }))),
    ]
    .boxed()
}

fn icmp() -> BoxedStrategy<IcmpError> {
    use IcmpError::*;
    prop_oneof![
        prop::sample::select(vec![
            NetUnreachable,
            HostUnreachable,
            ProtocolUnreachable,
            PortUnreachable,
            AdminProhibited,
            TimeExceeded
        ]),
        any::<u16>().prop_map(FragmentationNeeded),
    ]
    .boxed()
}

fn ends() -> BoxedStrategy<Ends> {
    prop::sample::select(vec![Ends::Peer, Ends::Local, Ends::Both]).boxed()
}

fn judge() -> BoxedStrategy<Action> {
    let packet = vec(any::<u8>(), 20..40).prop_map(|mut packet| {
        packet[0] = 0x45 | packet[0] & 0x20;
        packet
    });
    let verdict = prop_oneof![
        Just(Verdict::Pass),
        Just(Verdict::Drop),
        some_time().prop_map(Verdict::Delay),
        until().prop_map(Verdict::Hold),
        (1..=1000u32).prop_map(Verdict::Duplicate),
        (1..=1000u32).prop_map(Verdict::Reorder),
        packet.prop_map(Verdict::Replace),
        ends().prop_map(Verdict::Reset),
        icmp().prop_map(Verdict::Icmp),
        direction().prop_map(Verdict::Silence),
    ];
    let edit = (assignments(), pattern()).prop_filter_map(
        "nothing of TCP in a datagram",
        |(assignments, pattern)| {
            let tcp = |assignment: &Assignment| {
                use Assignment::*;
                !matches!(
                    assignment,
                    Ttl(_) | Payload(_) | Truncate(_) | Flip(_) | BadChecksum | BadIpChecksum
                )
            };
            let fits = pattern.kind != Kind::Datagram || !assignments.iter().any(tcp);
            fits.then_some(Action::Judge(Verdict::Edit(assignments), pattern))
        },
    );
    prop_oneof![
        3 => (verdict, pattern()).prop_map(|(verdict, pattern)| Action::Judge(verdict, pattern)),
        1 => edit,
    ]
    .boxed()
}

fn act() -> BoxedStrategy<Action> {
    let verdict = prop_oneof![
        ends().prop_map(Verdict::Reset),
        direction().prop_map(Verdict::Silence)
    ];
    (verdict, state(), time())
        .prop_map(|(verdict, state, after)| Action::Act(verdict, Trigger { state, after }))
        .boxed()
}

fn knobs() -> BoxedStrategy<Action> {
    let closing = prop::sample::select(vec![
        Closing::AtOnce,
        Closing::First,
        Closing::WithData,
        Closing::Never,
        Closing::Reset,
    ]);
    let reading = prop_oneof![Just(Reading::Never), time().prop_map(Reading::After)];
    let writing = (1..=1usize << 30, time()).prop_map(|(bytes, pause)| Writing { bytes, pause });
    let numbers = (
        any::<u32>(),
        option::of(64..=1usize << 30),
        option::of(0..=1_000_000usize),
        option::of(prop::sample::select(vec![
            BacklogFull::Silence,
            BacklogFull::Reset,
        ])),
        option::of(time()),
    );
    let rest = (
        option::of(time()),
        option::of(time()),
        option::of(any::<bool>()),
        option::of(closing),
        option::of(reading),
        option::of(writing),
    );
    (numbers, rest)
        .prop_map(
            |(
                (iss, buffer, backlog, backlog_full, time_wait),
                (ack_delay, syn_ack_retry, nagle, closing, reading, writing),
            )| {
                Action::Set(Knobs {
                    iss: Some(iss),
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
                })
            },
        )
        .boxed()
}

fn scope() -> BoxedStrategy<Scope> {
    let addresses = prop_oneof![
        (
            option::of(any::<std::net::Ipv4Addr>()),
            option::of(any::<std::net::Ipv4Addr>())
        )
            .prop_map(|(host, peer)| (host.map(Into::into), peer.map(Into::into))),
        (
            option::of(any::<std::net::Ipv6Addr>()),
            option::of(any::<std::net::Ipv6Addr>())
        )
            .prop_map(|(host, peer)| (host.map(Into::into), peer.map(Into::into))),
    ];
    (option::of(numbers()), option::of(1..=u16::MAX), addresses)
        .prop_map(|(connections, port, (host, peer))| Scope {
            connections,
            port,
            host,
            peer,
        })
        .boxed()
}

fn rule() -> BoxedStrategy<Rule> {
    (scope(), prop_oneof![4 => judge(), 1 => act(), 1 => knobs()])
        .prop_map(|(scope, action)| Rule::new(scope, action))
        .boxed()
}

proptest! {
    #[test]
    fn a_rule_written_down_is_the_same_rule(rule in rule()) {
        let text = rule.to_string();
        let read: Rule = text.parse().map_err(|error| TestCaseError::fail(format!("{error}")))?;
        prop_assert_eq!(&read, &rule);
        let small: Rule = lower(&text).parse().map_err(|error| TestCaseError::fail(format!("{error}")))?;
        prop_assert_eq!(&small.action, &rule.action, "keywords in small letters");
        prop_assert_eq!(parse_rules(&format!("{text} # why\n\n")), Ok(vec![rule]));
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC*") {
        let _ = text.parse::<Rule>().map_err(|error| error.to_string());
        let _ = parse_rules(&text);
    }

    #[test]
    fn no_words_make_it_panic(words in vec(prop::sample::select(WORDS.to_vec()), 0..9), blank in "[ \t\n]") {
        let text = words.join(&blank);
        if let Err(error) = text.parse::<Rule>() {
            prop_assert!(error.text.get(error.offset..error.offset + error.length).is_some());
            prop_assert_eq!(error.to_string().lines().count(), 3);
        }
    }
}

/// All in small letters, but for what stands in quotes.
fn lower(text: &str) -> String {
    match text.split_once('"') {
        None => text.to_ascii_lowercase(),
        Some((before, rest)) => {
            let end = rest.rfind('"').unwrap_or_default();
            format!(
                "{}\"{}{}",
                before.to_ascii_lowercase(),
                &rest[..end],
                rest[end..].to_ascii_lowercase()
            )
        }
    }
}

const WORDS: &[&str] = &[
    "drop",
    "delay",
    "4s",
    "hold",
    "until",
    "duplicate",
    "2",
    "edit",
    "replace",
    "hex:4500",
    "reset",
    "peer",
    "local",
    "both",
    "icmp",
    "silence",
    "set",
    "in",
    "out",
    "SYN",
    "data",
    "after",
    "at",
    "ESTABLISHED",
    "#1..2",
    "#",
    "size>",
    "size=5",
    "chance",
    "10%",
    "times",
    "mss=",
    "mss=1",
    "flags=é",
    "payload=\"",
    "\"",
    "\\",
    "conn",
    "1..2:",
    "host",
    "::",
    ":",
    ",",
    "1,",
    "port",
    "=",
    "+=",
    "é",
    "seq+=",
    "write=/",
    "timestamps=/",
    "iss=1",
    "fragmentation-needed",
];
