use super::super::expect::*;
use crate::segment::Flags;

/// The only line of a text, where it is one that has an order.
#[track_caller]
fn line(text: &str) -> Line {
    match &parse_lines(text, 1).unwrap_or_else(|error| panic!("{text}: {error:?}"))[..] {
        [Expectation::Next(lines)] if lines.len() == 1 => lines[0].clone(),
        other => panic!("{text}: {other:?}"),
    }
}

#[track_caller]
fn pattern(text: &str) -> Pattern {
    match line(text).what {
        What::Packet(pattern) => pattern,
        other => panic!("{text}: {other:?}"),
    }
}

#[track_caller]
fn tcp(text: &str) -> TcpPattern {
    match pattern(text).body {
        Body::Tcp(pattern) => pattern,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn times() {
    let ms = Duration::from_millis;
    let after = |time| Moment::After(ms(time));
    let between = |from: u64, to: u64| Window::Between(Some(after(from)), Some(after(to)));
    for (text, since, window) in [
        ("0.2 in any", Since::Start, Window::Around(after(200))),
        ("200ms in any", Since::Start, Window::Around(after(200))),
        ("1s in any", Since::Start, Window::Around(after(1000))),
        ("+1 in any", Since::Previous, Window::Around(after(1000))),
        ("+0.9..1.3 in any", Since::Previous, between(900, 1300)),
        (
            "+900ms..2min in any",
            Since::Previous,
            between(900, 120_000),
        ),
        ("0..0 in any", Since::Start, between(0, 0)),
        (
            "+1.. in any",
            Since::Previous,
            Window::Between(Some(after(1000)), None),
        ),
        (
            "..0.5 in any",
            Since::Start,
            Window::Between(None, Some(after(500))),
        ),
        (
            "+..0.5 in any",
            Since::Previous,
            Window::Between(None, Some(after(500))),
        ),
        (
            "+syn-retry(2) in any",
            Since::Previous,
            Window::Around(Moment::SynRetry(2)),
        ),
        ("* in any", Since::Previous, Window::Between(None, None)),
        ("in any", Since::Previous, Window::Between(None, None)),
    ] {
        assert_eq!(line(text).when, When { since, window }, "{text}");
    }
}

#[test]
fn windows_in_time() {
    let kernel = Kernel {
        syn_linear_timeouts: 2,
    };
    let tolerance = Duration::from_millis(100);
    for (text, from, to) in [
        ("1 in any", 900, Some(1100)),
        ("0 in any", 0, Some(100)),
        ("1..2 in any", 1000, Some(2000)),
        ("1.. in any", 1000, None),
        ("+syn-retry(3) in any", 900, Some(1100)),
        ("+syn-retry(4) in any", 1900, Some(2100)),
        ("+syn-retry(5).. in any", 4000, None),
    ] {
        let bounds = line(text).when.window.bounds(kernel, tolerance);
        let expected = (Duration::from_millis(from), to.map(Duration::from_millis));
        assert_eq!(bounds, expected, "{text}");
    }
}

/// With as many pauses of a second as the kernel says before they begin to double. (ip-sysctl.rst: with 4 the pauses are 1,
/// 1, 1, 1, 1, 2, 4, … seconds.)
#[test]
fn pauses_before_a_syn_is_sent_again() {
    for (syn_linear_timeouts, expected) in [
        (0, [1, 2, 4, 8, 16, 32, 64, 120]),
        (1, [1, 1, 2, 4, 8, 16, 32, 64]),
        (4, [1, 1, 1, 1, 1, 2, 4, 8]),
    ] {
        let kernel = Kernel {
            syn_linear_timeouts,
        };
        let pauses: Vec<u64> = (1..=8).map(|n| kernel.syn_retry(n).secs()).collect();
        assert_eq!(pauses, expected);
    }
    assert_eq!(Kernel::default().syn_retry(127).secs(), 120);
}

#[test]
fn packets() {
    let is = |number: u32| Number::In(number..=number);
    let plain = TcpPattern {
        flags: Flags::SYN,
        ..TcpPattern::default()
    };
    for (text, expected) in [
        ("in S", plain.clone()),
        (
            "in S 0:0(0)",
            TcpPattern {
                seq: is(0),
                end: is(0),
                len: is(0),
                ..plain.clone()
            },
        ),
        (
            "in S (5)",
            TcpPattern {
                len: is(5),
                ..plain.clone()
            },
        ),
        (
            "in S 1:5",
            TcpPattern {
                seq: is(1),
                end: is(5),
                ..plain.clone()
            },
        ),
        (
            "in S *:*(1..7)",
            TcpPattern {
                len: Number::In(1..=7),
                ..plain.clone()
            },
        ),
        (
            "in S ack 1 win ..100 urg 7..",
            TcpPattern {
                ack: is(1),
                window: Number::In(0..=100),
                urgent: Number::In(7..=u32::MAX),
                ..plain.clone()
            },
        ),
        (
            "in S <>",
            TcpPattern {
                options: Some(OptionList { items: vec![] }),
                ..plain.clone()
            },
        ),
        (
            "in S <mss 1460,...,TS val * ecr 0, wscale *,nop,sack 5:9 11:12,kind-30>",
            TcpPattern {
                options: Some(OptionList {
                    items: vec![
                        Some(OptionPattern::MaxSegmentSize(is(1460))),
                        None,
                        Some(OptionPattern::Timestamps(Number::Any, is(0))),
                        Some(OptionPattern::WindowScale(Number::Any)),
                        Some(OptionPattern::Nop),
                        Some(OptionPattern::Sack(vec![(is(5), is(9)), (is(11), is(12))])),
                        Some(OptionPattern::Other(30)),
                    ],
                }),
                ..plain
            },
        ),
    ] {
        assert_eq!(tcp(text), expected, "{text}");
    }
    assert_eq!(pattern("out udp (5)").body, Body::Udp(is(5)));
    assert_eq!(pattern("out udp").body, Body::Udp(Number::Any));
    assert_eq!(pattern("out icmp").body, Body::Icmp(None));
    assert_eq!(
        pattern("out icmp port unreachable injected").body,
        Body::Icmp(Some("port unreachable".to_owned()))
    );
    assert_eq!(pattern("out any").body, Body::Any);
}

#[test]
fn flags_print_as_they_are_written() {
    for text in [
        "S", "S.", "P?.", "F?P?.", "S*", "*", "-", ".", "R*", "SEW", "A?",
    ] {
        let pattern = tcp(&format!("in {text}"));
        // In the order of the notation, and what may be comes last.
        let expected = match text {
            "P?." => ".P?",
            "F?P?." => ".F?P?",
            text => text,
        };
        assert_eq!(pattern.to_string(), expected, "{text}");
    }
}

#[test]
fn what_else_is_said_of_a_packet() {
    let said =
        pattern("out P. \"a \\\"b\\\" \\x41\" dropped new as keep-alive [bad checksum] // why");
    assert_eq!(said.payload.as_deref(), Some(&b"a \"b\" A"[..]));
    assert_eq!(said.fate, Some("dropped"));
    assert_eq!(said.retransmission, Some(false));
    assert_eq!(said.reason, Some("keep-alive"));
    assert!(said.bad_checksum);
    assert_eq!(pattern("out P. retransmission").retransmission, Some(true));
    assert_eq!(
        pattern("out P. \"http://\"").payload.as_deref(),
        Some(&b"http://"[..])
    );
}

#[test]
fn other_lines() {
    assert_eq!(
        line("state TIME-WAIT").what,
        What::State(crate::state::TcpState::TimeWait)
    );
    assert_eq!(line("+1 #2 peer CLOSED").flow, Some(2));
    assert!(matches!(line("released in S").what, What::Released(_)));
    let text = "// nothing\n\nnever in R*\ncount in S 1..7\ncount state CLOSED 2..\n{\nin S\n  out S. // b\n}\nin F";
    let expectations = parse_lines(text, 10).unwrap();
    let [never, count, states, group, last] = &expectations[..] else {
        panic!("{expectations:?}");
    };
    assert!(matches!(never, Expectation::Never(line) if line.number == 12));
    assert!(matches!(count, Expectation::Count(_, range) if *range == (1..=7)));
    assert!(matches!(states, Expectation::Count(_, range) if *range == (2..=u64::MAX)));
    assert!(matches!(group, Expectation::Next(lines) if lines.len() == 2 && lines[1].number == 17));
    assert!(matches!(last, Expectation::Next(lines) if lines.len() == 1 && lines[0].number == 19));
}

/// Each error says where it is, and what was expected there.
#[test]
fn errors() {
    for (text, wrong, message) in [
        ("S 0:0(0)", "S", "expected `in`, `out`, `released`"),
        ("+0.9", "", "expected `in`, `out`"),
        ("+x in S", "+x", "expected a time in seconds"),
        ("+2..1 in S", "+2..1", "ends before it begins"),
        (".. in S", "..", "expected a time"),
        ("+1e3 in S", "+1e3", "expected a time"),
        ("+syn-retry(0) in S", "+syn-retry(0)", "expected a time"),
        ("#0 in S", "#0", "expected the number of a connection"),
        ("in", "", "expected control bits"),
        ("in X", "X", "expected control bits"),
        ("in S*.", "S*.", "expected control bits"),
        ("in S 0:0(", "0:0(", "expected sequence numbers"),
        ("in S 7", "7", "expected sequence numbers"),
        ("in S ack", "", "a number, a range"),
        ("in S ack x", "x", "a number, a range"),
        ("in S ack 7..1", "7..1", "a number, a range"),
        ("in S <mss 1460", "<mss 1460", "`>` is missing"),
        ("in S <mss x>", "mss x", "expected an option"),
        ("in S <mss 1,nope>", "nope", "expected an option"),
        ("in S \"a", "\"a", "`\"` is missing"),
        ("in S \"\\q\"", "\"\\q\"", "after a backslash"),
        ("in S lost", "lost", "a fate"),
        ("in S as lost", "lost", "expected a reason: syn"),
        ("in udp (x)", "(x)", "expected a length"),
        ("state OPEN", "OPEN", "expected a state: CLOSED, LISTEN"),
        ("state CLOSED now", "now", "expected nothing more"),
        ("never +1 in S", "+1", "expected `in`, `out`"),
        ("count in S", "S", "expected how often"),
        ("count in S 3..1", "3..1", "expected how often"),
        ("}", "}", "no group begins"),
        ("{\nin S\n{", "{", "a group within a group"),
        ("{\n}", "}", "a group without lines"),
        ("{\nnever in S\n}", "never in S", "outside of groups"),
        ("{\nin S", "{", "this group has no end"),
    ] {
        let error = parse_lines(text, 1).expect_err(text);
        let line = text.lines().nth(error.line).unwrap();
        let at = line.get(error.at.clone()).unwrap_or("");
        assert_eq!(at, wrong, "{text}: {}", error.message);
        assert!(error.message.contains(message), "{text}: {}", error.message);
    }
}

proptest::proptest! {
    /// Whatever is written there, it is understood or told where it is wrong.
    #[test]
    fn no_text_is_too_strange(text in "[-+*.0-9 #a-zSFRP<>\"\\[\\](){}:,/\\\\é\n]{0,60}") {
        if let Err(error) = parse_lines(&text, 1) {
            let line = text.lines().nth(error.line).unwrap_or_default();
            proptest::prop_assert!(error.at.start <= line.len() + 1);
        }
    }
}
