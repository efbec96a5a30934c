//! Text to rules: every form, and the examples of the help.

use smoltcp::time::Duration;
use std::ops::RangeInclusive;
use tcplab::event::Direction;
use tcplab::fault::{
    Action, Assignment, BacklogFull, Closing, Comparison, Ends, IcmpError, Kind, Knobs, Pattern,
    Reading, Rule, Scope, Trigger, Until, Verdict, Writing, parse_rules,
};
use tcplab::segment::Flags;
use tcplab::state::TcpState;

const HELP: &str = include_str!("../../src/fault/rules.txt");

/// The examples stand four blanks in, the explanations two.
fn examples() -> impl Iterator<Item = &'static str> {
    HELP.lines()
        .filter(|line| line.starts_with("    ") && !line.starts_with("     "))
}

#[test]
fn every_example_of_the_help_is_a_rule() {
    let examples: Vec<&str> = examples().collect();
    assert!(examples.len() > 40, "{}", examples.len());
    for example in &examples {
        let rule: Rule = example.parse().unwrap_or_else(|error| panic!("{error}"));
        let again: Rule = rule
            .to_string()
            .parse()
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            (&again.scope, &again.action),
            (&rule.scope, &rule.action),
            "{rule}"
        );
        assert!(
            !rule.text.contains(" # "),
            "the text of a rule is without its comment"
        );
    }
    let file = examples.join("\n");
    assert_eq!(parse_rules(&file).unwrap().len(), examples.len());
}

/// Whatever a rule can say is said in an example.
#[test]
fn the_help_has_an_example_of_every_verdict_change_and_knob() {
    let all: String = examples().collect::<Vec<_>>().join("\n");
    for word in [
        "pass",
        "drop",
        "delay",
        "hold",
        "until",
        "duplicate",
        "reorder",
        "edit",
        "replace",
        "reset",
        "icmp",
        "silence",
        "set",
        "conn",
        "port",
        "host",
        "peer",
        "in",
        "out",
        "both",
        "any",
        "segment",
        "SYN",
        "SYN-ACK",
        "data",
        "ACK",
        "FIN",
        "datagram",
        "retransmission",
        "original",
        "while",
        "after",
        "within",
        "chance",
        "times",
        "at",
        "size>",
        "flags+=",
        "ack+=",
        "window=",
        "mss=",
        "wscale=",
        "sack=",
        "timestamps=",
        "options=",
        "ttl=",
        "payload=",
        "truncate=",
        "flip=",
        "checksum=",
        "ip-checksum=",
        "iss=",
        "buffer=",
        "backlog=",
        "backlog-full=",
        "time-wait=",
        "ack-delay=",
        "syn-ack-retry=",
        "nagle=",
        "close=",
        "read=",
        "write=",
    ] {
        let found = all.lines().any(|line| {
            let rule = line.split(" # ").next().unwrap_or_default();
            rule.split([' ', ':', ','])
                .any(|other| match word.ends_with(['=', '>']) {
                    true => other.starts_with(word),
                    false => other == word,
                })
        });
        assert!(found, "no example of {word}");
    }
}

#[track_caller]
fn check(text: &str, scope: Scope, action: Action) {
    let rule: Rule = text.parse().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((rule.scope, rule.action), (scope, action), "{text}");
    assert_eq!(rule.text, text);
}

#[track_caller]
fn check_verdict(text: &str, verdict: Verdict, pattern: Pattern) {
    check(text, Scope::default(), Action::Judge(verdict, pattern));
}

#[track_caller]
fn check_pattern(text: &str, pattern: Pattern) {
    check_verdict(&format!("drop {text}"), Verdict::Drop, pattern);
}

#[track_caller]
fn check_edit(text: &str, assignments: &[Assignment]) {
    check_verdict(
        &format!("edit {text}"),
        Verdict::Edit(assignments.to_vec()),
        Pattern::default(),
    );
}

fn packet(direction: Direction, kind: Kind) -> Pattern {
    Pattern {
        direction: Some(direction),
        kind,
        ..Pattern::default()
    }
}

fn nth(direction: Direction, kind: Kind, ordinal: RangeInclusive<u64>) -> Pattern {
    Pattern {
        ordinal: Some(ordinal),
        ..packet(direction, kind)
    }
}

use Direction::{In, Out};

#[test]
fn verdicts() {
    check_verdict("pass in SYN", Verdict::Pass, packet(In, Kind::Syn));
    check_verdict(
        "drop out SYN-ACK #1..2",
        Verdict::Drop,
        nth(Out, Kind::SynAck, 1..=2),
    );
    check_verdict("drop", Verdict::Drop, Pattern::default());
    check_verdict("DROP OUT syn-ack", Verdict::Drop, packet(Out, Kind::SynAck));
    check_verdict(
        "delay 4s out SYN-ACK",
        Verdict::Delay(Duration::from_secs(4)),
        packet(Out, Kind::SynAck),
    );
    check_verdict(
        "hold in FIN",
        Verdict::Hold(Until::Hand),
        packet(In, Kind::Fin),
    );
    check_verdict(
        "hold in FIN until hand",
        Verdict::Hold(Until::Hand),
        packet(In, Kind::Fin),
    );
    check_verdict(
        "hold in FIN until established",
        Verdict::Hold(Until::State(TcpState::Established)),
        packet(In, Kind::Fin),
    );
    let fin = Until::Packet(Box::new(packet(Out, Kind::Fin)));
    check_verdict(
        "hold in FIN until out FIN",
        Verdict::Hold(fin),
        packet(In, Kind::Fin),
    );
    check_verdict(
        "duplicate out data",
        Verdict::Duplicate(1),
        packet(Out, Kind::Data),
    );
    check_verdict(
        "duplicate 2 out data #1",
        Verdict::Duplicate(2),
        nth(Out, Kind::Data, 1..=1),
    );
    check_verdict(
        "reorder out data #2",
        Verdict::Reorder(1),
        nth(Out, Kind::Data, 2..=2),
    );
    check_verdict(
        "reorder 1000 in data",
        Verdict::Reorder(1000),
        packet(In, Kind::Data),
    );
    check_verdict(
        "replace hex:4500000000000000000000000000000000000fFF in RST",
        Verdict::Replace([&[0x45][..], &[0; 17], &[0x0f, 0xff]].concat()),
        packet(In, Kind::Rst),
    );
    check_verdict(
        "reset peer in data #1",
        Verdict::Reset(Ends::Peer),
        nth(In, Kind::Data, 1..=1),
    );
    check_verdict(
        "reset local in data",
        Verdict::Reset(Ends::Local),
        packet(In, Kind::Data),
    );
    check_verdict(
        "reset both in data",
        Verdict::Reset(Ends::Both),
        packet(In, Kind::Data),
    );
    check_verdict(
        "reset in data",
        Verdict::Reset(Ends::Both),
        packet(In, Kind::Data),
    );
    for (name, error) in [
        ("net-unreachable", IcmpError::NetUnreachable),
        ("host-unreachable", IcmpError::HostUnreachable),
        ("protocol-unreachable", IcmpError::ProtocolUnreachable),
        ("port-unreachable", IcmpError::PortUnreachable),
        ("admin-prohibited", IcmpError::AdminProhibited),
        (
            "fragmentation-needed 1280",
            IcmpError::FragmentationNeeded(1280),
        ),
        ("time-exceeded", IcmpError::TimeExceeded),
    ] {
        check_verdict(
            &format!("icmp {name} in SYN"),
            Verdict::Icmp(error),
            packet(In, Kind::Syn),
        );
    }
}

#[test]
fn silence_has_its_direction_and_the_packets() {
    let data = |direction| Pattern {
        direction,
        kind: Kind::Data,
        ..Pattern::default()
    };
    check_verdict("silence data", Verdict::Silence(None), data(None));
    check_verdict("silence both data", Verdict::Silence(None), data(None));
    check_verdict(
        "silence out data",
        Verdict::Silence(Some(Out)),
        data(Some(Out)),
    );
    check_verdict(
        "silence both in data",
        Verdict::Silence(None),
        data(Some(In)),
    );
    check_verdict(
        "silence out in data",
        Verdict::Silence(Some(Out)),
        data(Some(In)),
    );
    check_verdict(
        "silence out both data",
        Verdict::Silence(Some(Out)),
        data(None),
    );
    check_verdict(
        "silence both after data 100",
        Verdict::Silence(None),
        Pattern {
            after_data: Some(100),
            ..Pattern::default()
        },
    );
}

#[test]
fn at_a_state() {
    let act = |verdict, state, after| {
        Action::Act(
            verdict,
            Trigger {
                state,
                after: Duration::from_millis(after),
            },
        )
    };
    check(
        "reset at ESTABLISHED after 500ms",
        Scope::default(),
        act(Verdict::Reset(Ends::Both), TcpState::Established, 500),
    );
    check(
        "reset peer at FIN-WAIT-2",
        Scope::default(),
        act(Verdict::Reset(Ends::Peer), TcpState::FinWait2, 0),
    );
    check(
        "silence both at CLOSE-WAIT",
        Scope::default(),
        act(Verdict::Silence(None), TcpState::CloseWait, 0),
    );
    check(
        "silence in at ESTABLISHED",
        Scope::default(),
        act(Verdict::Silence(Some(In)), TcpState::Established, 0),
    );
}

#[test]
fn scopes() {
    let drop = || Action::Judge(Verdict::Drop, packet(In, Kind::Syn));
    let of = |connections| Scope {
        connections: Some(connections),
        ..Scope::default()
    };
    check("conn 1..2: drop in SYN", of(1..=2), drop());
    check("conn 7: drop in SYN", of(7..=7), drop());
    check("conn 7..:drop in SYN", of(7..=u64::MAX), drop());
    check("Conn 1..2 : drop in SYN", of(1..=2), drop());
    check(
        "port 80: drop in SYN",
        Scope {
            port: Some(80),
            ..Scope::default()
        },
        drop(),
    );
    for (text, address) in [
        ("192.0.2.9", "192.0.2.9"),
        ("2001:db8::9", "2001:db8::9"),
        ("2001:db8::", "2001:db8::"),
        ("::", "::"),
        ("::1", "::1"),
    ] {
        let host = address.parse().ok();
        check(
            &format!("host {text}: drop in SYN"),
            Scope {
                host,
                ..Scope::default()
            },
            drop(),
        );
        check(
            &format!("host {text} : drop in SYN"),
            Scope {
                host,
                ..Scope::default()
            },
            drop(),
        );
        check(
            &format!("port 1,peer {text}: drop in SYN"),
            Scope {
                port: Some(1),
                peer: host,
                ..Scope::default()
            },
            drop(),
        );
    }
    check(
        "conn 1..2, port 80, host 192.0.2.9, peer 192.0.2.1: drop in SYN",
        Scope {
            connections: Some(1..=2),
            port: Some(80),
            host: "192.0.2.9".parse().ok(),
            peer: "192.0.2.1".parse().ok(),
        },
        drop(),
    );
}

#[test]
fn patterns() {
    for kind in Kind::ALL {
        check_pattern(&format!("in {}", kind.name()), packet(In, kind));
    }
    let any = Pattern::default;
    check_pattern("both", any());
    check_pattern(
        "in retransmission",
        Pattern {
            retransmission: Some(true),
            ..packet(In, Kind::Any)
        },
    );
    check_pattern(
        "data original",
        Pattern {
            retransmission: Some(false),
            kind: Kind::Data,
            ..any()
        },
    );
    check_pattern("out #3..", nth(Out, Kind::Any, 3..=u64::MAX));
    check_pattern(
        "while syn-received",
        Pattern {
            state: Some(TcpState::SynReceived),
            ..any()
        },
    );
    check_pattern(
        "after data 100 after 1.5s",
        Pattern {
            after_data: Some(100),
            after: Some(Duration::from_millis(1500)),
            ..any()
        },
    );
    check_pattern(
        "after 0 within 20us",
        Pattern {
            after: Some(Duration::ZERO),
            within: Some(Duration::from_micros(20)),
            ..any()
        },
    );
    check_pattern(
        "size>1280",
        Pattern {
            size: Some((Comparison::Greater, 1280)),
            ..any()
        },
    );
    check_pattern(
        "size<40",
        Pattern {
            size: Some((Comparison::Less, 40)),
            ..any()
        },
    );
    check_pattern(
        "size=40",
        Pattern {
            size: Some((Comparison::Equal, 40)),
            ..any()
        },
    );
    check_pattern(
        "out data chance 10%",
        Pattern {
            chance: Some(100_000),
            ..packet(Out, Kind::Data)
        },
    );
    check_pattern(
        "chance 0.0001%",
        Pattern {
            chance: Some(1),
            ..any()
        },
    );
    check_pattern(
        "chance 100% times 3",
        Pattern {
            chance: Some(1_000_000),
            times: Some(3),
            ..any()
        },
    );
    check_pattern(
        "times 1 #2 data in",
        Pattern {
            times: Some(1),
            ..nth(In, Kind::Data, 2..=2)
        },
    );
}

#[test]
fn durations() {
    for (text, micros) in [
        ("4s", 4_000_000),
        ("500ms", 500_000),
        ("1.5s", 1_500_000),
        ("20us", 20),
        ("0.000001s", 1),
        ("1.5ms", 1500),
        ("2min", 120_000_000),
        ("86400s", 86_400_000_000),
        ("4S", 4_000_000),
    ] {
        check_verdict(
            &format!("delay {text} in"),
            Verdict::Delay(Duration::from_micros(micros)),
            packet(In, Kind::Any),
        );
    }
}

#[test]
fn edits() {
    use Assignment::*;
    check_verdict(
        "edit out SYN-ACK mss=536 wscale=none",
        Verdict::Edit(vec![Mss(Some(536)), WindowScale(None)]),
        packet(Out, Kind::SynAck),
    );
    check_verdict(
        "edit mss=536 out SYN-ACK wscale=none",
        Verdict::Edit(vec![Mss(Some(536)), WindowScale(None)]),
        packet(Out, Kind::SynAck),
    );
    check_edit("flags=SA", &[Assignment::Flags(self::Flags(0x12))]);
    check_edit("flags=fsrp.uewn", &[Assignment::Flags(self::Flags(0x1ff))]);
    check_edit("flags=none", &[Assignment::Flags(self::Flags(0))]);
    let change = |set, clear| ChangeFlags {
        set: self::Flags(set),
        clear: self::Flags(clear),
    };
    check_edit("flags+=F", &[change(1, 0)]);
    check_edit("flags+=F flags-=P flags+=U", &[change(0x21, 8)]);
    check_edit("seq=4294967295 ack=0", &[Seq(u32::MAX), Ack(0)]);
    check_edit("seq+=1 ack-=1", &[AddSeq(1), AddAck(-1)]);
    check_edit("window=0 urgent=65535", &[Window(0), Urgent(65_535)]);
    check_edit(
        "mss=none wscale=255 sack=ok",
        &[Mss(None), WindowScale(Some(255)), SackPermitted(true)],
    );
    check_edit(
        "sack=none timestamps=none options=none",
        &[SackPermitted(false), Timestamps(None), NoOptions],
    );
    check_edit("timestamps=1000/0", &[Timestamps(Some((1000, 0)))]);
    check_edit("ttl=1", &[Ttl(1)]);
    check_edit(
        "payload=\"hello  wörld # \\\"x\\\" \\\\ \\n\\r\\t\" flip=3 flip=4",
        &[
            Payload("hello  wörld # \"x\" \\ \n\r\t".into()),
            Flip(3),
            Flip(4),
        ],
    );
    check_edit(
        "payload=hex:0a0B truncate=10",
        &[Payload(vec![10, 11]), Truncate(10)],
    );
    check_edit(
        "payload=\"\" checksum=bad ip-checksum=bad",
        &[Payload(vec![]), BadChecksum, BadIpChecksum],
    );
}

#[test]
fn knobs() {
    let set =
        |text: &str, knobs| check(&format!("set {text}"), Scope::default(), Action::Set(knobs));
    set(
        "iss=4294967000 time-wait=0 close=first read=never buffer=4096",
        Knobs {
            iss: Some(4_294_967_000),
            time_wait: Some(Duration::ZERO),
            closing: Some(Closing::First),
            reading: Some(Reading::Never),
            buffer: Some(4096),
            ..Knobs::default()
        },
    );
    set(
        "backlog=0 backlog-full=reset ack-delay=40ms syn-ack-retry=1500ms nagle=off close=with-data",
        Knobs {
            backlog: Some(0),
            backlog_full: Some(BacklogFull::Reset),
            ack_delay: Some(Duration::from_millis(40)),
            syn_ack_retry: Some(Duration::from_millis(1500)),
            closing: Some(Closing::WithData),
            nagle: Some(false),
            ..Knobs::default()
        },
    );
    set(
        "backlog-full=silence nagle=on close=never read=3s write=1/100ms",
        Knobs {
            backlog_full: Some(BacklogFull::Silence),
            nagle: Some(true),
            closing: Some(Closing::Never),
            reading: Some(Reading::After(Duration::from_secs(3))),
            writing: Some(Writing {
                bytes: 1,
                pause: Duration::from_millis(100),
            }),
            ..Knobs::default()
        },
    );
    set(
        "close=at-once",
        Knobs {
            closing: Some(Closing::AtOnce),
            ..Knobs::default()
        },
    );
    set(
        "close=reset",
        Knobs {
            closing: Some(Closing::Reset),
            ..Knobs::default()
        },
    );
    check(
        "port 80: set iss=0",
        Scope {
            port: Some(80),
            ..Scope::default()
        },
        Action::Set(Knobs {
            iss: Some(0),
            ..Knobs::default()
        }),
    );
}

#[test]
fn files_have_comments_and_empty_lines() {
    let rules = parse_rules("\u{feff}# a comment\n\n  #another\r\n drop in SYN #1..2 # the first two\r\n\t\nhold in FIN\n").unwrap();
    let texts: Vec<&str> = rules.iter().map(|rule| rule.text.as_str()).collect();
    assert_eq!(texts, ["drop in SYN #1..2", "hold in FIN"]);
    assert_eq!(parse_rules("").unwrap(), []);
    let errors = parse_rules("drop in SYN\nbogus\n# fine\ndrop in FYN\n").unwrap_err();
    let places: Vec<(usize, usize)> = errors
        .iter()
        .map(|error| (error.line, error.column))
        .collect();
    assert_eq!(places, [(2, 1), (4, 9)]);
}
