use super::*;
use crate::event::Event;
use crate::view::View;
use crate::view::script::Script;

/// A file with these lines for the simulator, after everything else.
fn file(rest: &str) -> String {
    format!("about = \"x\"\n{rest}")
}

/// Each broken file is told with line, column, and what was expected.
#[test]
fn broken_files() {
    let client = "[client]\nservice = \"echo\"\nsend = \"x\"\n";
    let with_client = |rest: &str| format!("{client}{rest}");
    for (rest, line, column, message) in [
        ("".to_owned(), 1, 1, "missing field `client`"),
        (
            "[client]\nrun = 5\n".into(),
            3,
            7,
            "expected a shell's command line",
        ),
        ("[client]\n".into(), 2, 1, "this client does nothing"),
        ("[client]\nrun = []\n".into(), 3, 7, "expected a program"),
        (
            "[client]\nsend = \"x\"\nsteps = []\n".into(),
            2,
            1,
            "`send` is short",
        ),
        (
            "[client]\nsteps = [\"close\", \"jump\"]\n".into(),
            3,
            19,
            "expected a step: `send TEXT`",
        ),
        (
            "[client]\nservice = \"smtp\"\nsend = \"x\"\n".into(),
            3,
            11,
            "expected a service: password, hello, echo",
        ),
        (
            "[client]\nat = \"blackhol\"\nsend = \"x\"\n".into(),
            3,
            6,
            "perhaps blackhole",
        ),
        (
            "[client]\nip = 5\nsend = \"x\"\n".into(),
            3,
            6,
            "expected 4 or 6",
        ),
        (
            "[client]\non = \"mars\"\nsend = \"x\"\n".into(),
            3,
            6,
            "unknown variant `mars`",
        ),
        (
            "[client]\non = \"simulator\"\nrun = \"x\"\n".into(),
            2,
            1,
            "does not run on the simulator",
        ),
        (
            "[client]\nrun = \"x\"\nsimultaneous-open = true\n".into(),
            2,
            1,
            "only a simulated client",
        ),
        (
            "limit = \"soon\"\n".into(),
            2,
            9,
            "expected a time, for example",
        ),
        (
            "faults = [\"drop in SYNC\"]\n[client]\nsend = \"x\"\n".into(),
            2,
            20,
            "expected",
        ),
        (
            with_client("[stack]\nmtu = 100\n"),
            6,
            7,
            "expected 1280 to 65535",
        ),
        (
            with_client("[stack]\nbuffer = \"2G\"\n"),
            6,
            10,
            "expected 1K to 1024M",
        ),
        (
            with_client("[stack]\nkeep-alive = 0\n"),
            6,
            14,
            "more than 0 seconds",
        ),
        (
            with_client("[stack]\nspeed = 9\n"),
            6,
            1,
            "unknown field `speed`",
        ),
        (
            with_client("[expect]\nexit = 256\n"),
            6,
            8,
            "expected an exit code",
        ),
        (
            with_client("[expect]\nstdout = { matches = \"(\" }\n"),
            6,
            10,
            "no regular expression: unclosed group",
        ),
        (
            with_client("[expect]\nduration = \"long\"\n"),
            6,
            12,
            "expected a span of time",
        ),
        (
            with_client("[expect]\nlines = \"in X\"\n"),
            6,
            13,
            "expected control bits",
        ),
        (
            with_client("[expect]\nlines = '''\nin S\n  +1 out X\n'''\n"),
            8,
            10,
            "expected control bits",
        ),
        (
            with_client("[expect]\nlines = '''in S\n  nothing\n'''\n"),
            7,
            3,
            "expected `in`",
        ),
        (
            with_client("[expect]\nlines = \"\"\"\n\\u0069n Y\n\"\"\"\n"),
            7,
            1,
            "expected control bits",
        ),
        (with_client("[expect]\nlines = '''\n"), 7, 1, "multi-line"),
        (with_client("x"), 5, 2, "expected"),
    ] {
        let text = file(&rest);
        let error = text.parse::<Scenario>().expect_err(&text);
        assert_eq!(
            (error.line, error.column),
            (line, column),
            "{text}\n{error}"
        );
        assert!(error.message.contains(message), "{text}\n{error}");
        assert!(error.to_string().contains('^'), "{error}");
    }
}

#[test]
fn an_error_points_at_what_is_wrong() {
    let text = "about = \"x\"\n[client]\nsend = \"x\"\n[expect]\nlines = '''\n\t请 in S\n'''\n";
    let error = text.parse::<Scenario>().unwrap_err();
    let expected =
        "6:2: expected `in`, `out`, `released`, `state` or `peer`\n6 | \t请 in S\n  | \t^";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn defaults() {
    let simulated: Scenario = file("[client]\nservice = \"hello\"\nsend = \"x\"\n")
        .parse()
        .unwrap();
    assert_eq!(simulated.client.on, On::Simulator);
    assert_eq!(simulated.client.port, 1111);
    assert_eq!(simulated.place(Some(On::Kernel)), Some(On::Kernel));
    assert_eq!(simulated.limit(On::Simulator), Duration::from_secs(600));
    assert!(!simulated.asks_kernel());
    let live: Scenario = file("[client]\nrun = \"curl {host}\"\n").parse().unwrap();
    assert_eq!(live.client.on, On::Kernel);
    assert_eq!(
        live.client.run.as_deref().unwrap(),
        ["sh", "-c", "curl {host}"]
    );
    assert_eq!(live.client.port, 80);
    assert_eq!(live.place(Some(On::Simulator)), None);
    assert_eq!(live.stack, Stack::default());
}

#[test]
fn steps_print_as_they_are_read() {
    for text in [
        "send hello",
        "send a\\x0a\\\\b",
        "send-bytes 5",
        "receive",
        "receive 7",
        "receive all",
        "sleep 1500us",
        "close",
        "abort",
    ] {
        assert_eq!(text.parse::<Step>().unwrap().to_string(), text);
    }
    assert_eq!("send \\n".parse(), Ok(Step::Send(vec![b'\n'])));
    for text in [
        "",
        "send",
        "send \\q",
        "send-bytes 0",
        "receive x",
        "sleep",
        "sleep x",
        "close now",
    ] {
        assert_eq!(text.parse::<Step>(), Err(StepError), "{text}");
    }
}

/// What is wrong when these lines meet these events, as `LINE: MESSAGE` with the fields that differ.
fn judge(lines: &str, exact: bool, script: &Script) -> Vec<String> {
    judge_events(lines, exact, &script.events)
}

fn judge_events(lines: &str, exact: bool, events: &[Event]) -> Vec<String> {
    let text = file(&format!(
        "[client]\nsend = \"x\"\n[expect]\nexact = {exact}\nlines = '''\n{lines}\n'''\n"
    ));
    let scenario: Scenario = text.parse().unwrap_or_else(|error| panic!("{error}"));
    let mut checker = scenario.checker(On::Simulator, Kernel::default());
    let mut view = View::new();
    for event in events {
        view.event(event);
        checker.event(&view, event);
    }
    let failures = checker.finish(&Outcome::default(), Duration::from_secs(1));
    let differing = |failure: &Failure| -> String {
        let differs = failure.fields.iter().filter(|field| !field.agrees);
        differs
            .map(|field| format!(" {} {} is {}", field.name, field.expected, field.actual))
            .collect()
    };
    failures
        .iter()
        .map(|failure| {
            format!(
                "{}: {}{}",
                failure.expected,
                failure.message,
                differing(failure)
            )
        })
        .collect()
}

/// A handshake, 120 µs between its segments, a prompt, and the end by the peer.
fn conversation() -> Script {
    let mut script = Script::new();
    script.password().peer_closes(3, 28);
    script
}

#[test]
fn lines_that_come_true() {
    for lines in [
        "",
        "in S 0:0(0)\nout S. 0:0(0) ack 1\nin . 1:1(0) ack 1",
        "0 in S\n+0.00012 out S.\n0.00024 in .",
        "in S <mss 1460,...>\nout S. <...>",
        "in S <...,TS val 1234567890 ecr 0,...>",
        "state SYN-RECEIVED\nstate ESTABLISHED\npeer FIN-WAIT-1\nstate CLOSE-WAIT\nstate CLOSED",
        "out P. 1:17(16) \"密码\"\n+1..2 in P. 1:4(3) ack 17 \"123\"",
        "#1 in F. 4:4(0)\n#1 out F. 29:29(0)",
        "{\nin F.\nin S\nin P.\n}\nout F.",
        "never in R*\nnever state TIME-WAIT\nnever out any retransmission",
        "count in S 1\ncount out any 5..7\ncount state CLOSED 1",
        "in *\nin *\nin *",
    ] {
        assert_eq!(judge(lines, false, &conversation()), [""; 0], "{lines}");
    }
}

#[test]
fn lines_that_do_not() {
    let nothing_like_it = "it did not happen, nor anything like it, after the line before";
    for (lines, expected) in [
        ("in S 0:0(0) win 5", "in S 0:0(0) win 5: it did not happen; what came nearest win 5 is 64240".to_owned()),
        ("in F.\nin S", "in S: it did not happen; what came nearest flags S is .".into()),
        ("in udp", "in udp: it did not happen, nor anything like it, after the line before".into()),
        ("in S\n+1..2 out S.", "+1..2 out S.: it happened at another time time +1..2 is +0.00012".into()),
        ("#2 in S", format!("#2 in S: {nothing_like_it}")),
        ("state CLOSING", "state CLOSING: it did not happen state CLOSING is SYN-RECEIVED, ESTABLISHED, CLOSE-WAIT, LAST-ACK, CLOSED".into()),
        ("state CLOSED\nstate CLOSED", "state CLOSED: it did not happen: no state was entered after the line before".into()),
        ("peer CLOSING", "peer CLOSING: it did not happen".into()),
        ("never in F*", "never in F*: it happened: in F. 4:4(0) ack 29".into()),
        ("never state CLOSED", "never state CLOSED: it happened: state CLOSED".into()),
        ("count in S 2..3", "count in S 2..3: it happened once".into()),
        ("count in R 2", "count in R 2: it happened never".into()),
        ("{\nin S\nin R\n}", "in R: it did not happen; what came nearest flags R is .".into()),
        ("out P. \"abc\"", "out P. \"abc\": it did not happen; what came nearest payload \"abc\" is \"请输入密码:\"".into()),
    ] {
        assert_eq!(judge(lines, false, &conversation()), [expected], "{lines}");
    }
}

#[test]
fn exact_lines_name_every_packet() {
    let mut script = Script::new();
    script.passive().handshake();
    assert_eq!(
        judge("in S\nstate SYN-RECEIVED\nout S.\nin .", true, &script),
        [""; 0]
    );
    let expected = "in .: another packet came instead, out S. 0:0(0) ack 1 <mss 1460,wscale 7,sackOK,eol> \
                    direction in is out flags . is S.";
    assert_eq!(judge("in S\nin .", true, &script), [expected]);
}

#[test]
fn times_count_from_the_first_packet() {
    let mut script = Script::new();
    script.wait(7_000_000).passive().handshake();
    assert_eq!(judge("0 in S\n0.00024 in .", false, &script), [""; 0]);
}

#[test]
fn several_flows_are_told_apart() {
    let mut script = Script::new();
    script
        .passive()
        .passive()
        .on(1)
        .handshake()
        .on(2)
        .handshake();
    assert_eq!(judge("#2 in S\n#2 out S.", false, &script), [""; 0]);
    assert_eq!(judge("#2 in S\n#1 in .", false, &script).len(), 1);
    assert_eq!(
        judge("count #1 in S 1\ncount in S 2", false, &script),
        [""; 0]
    );
}

/// The client's end is judged too, each by its own line.
#[test]
fn the_client() {
    let text = file(
        "[client]\nrun = \"x\"\n[expect]\nexit = [0, 3]\nstdout = { contains = \"b\", matches = [\"^a\"] }\n\
         stderr = \"oh\"\nduration = \"1..2\"\n",
    );
    let scenario: Scenario = text.parse().unwrap();
    let good = Outcome {
        exit: 3,
        stdout: b"abc".to_vec(),
        stderr: b"oh\n".to_vec(),
        duration: Duration::from_millis(1500),
        over_limit: false,
    };
    let lines = |outcome: &Outcome| -> Vec<usize> {
        let checker = scenario.checker(On::Kernel, Kernel::default());
        let failures = checker.finish(outcome, Duration::from_secs(30));
        failures.iter().map(|failure| failure.line).collect()
    };
    assert_eq!(lines(&good), [0; 0]);
    assert_eq!(
        lines(&Outcome {
            exit: 1,
            ..good.clone()
        }),
        [5]
    );
    assert_eq!(
        lines(&Outcome {
            stdout: b"ba".to_vec(),
            ..good.clone()
        }),
        [6]
    );
    assert_eq!(
        lines(&Outcome {
            stdout: b"c".to_vec(),
            ..good.clone()
        }),
        [6, 6]
    );
    assert_eq!(
        lines(&Outcome {
            stderr: b"oh!".to_vec(),
            ..good.clone()
        }),
        [7]
    );
    assert_eq!(
        lines(&Outcome {
            duration: Duration::from_secs(3),
            ..good.clone()
        }),
        [8]
    );
    assert_eq!(
        lines(&Outcome {
            over_limit: true,
            ..good
        }),
        [1]
    );
}

/// Twice the same file gives twice the same.
#[test]
fn a_simulation_is_the_same_every_time() {
    let text = file(
        "faults = [\"drop both data chance 30%\"]\n[client]\nservice = \"echo\"\nsend = \"hello\"\n",
    );
    let scenario: Scenario = text.parse().unwrap();
    let run = || {
        let mut events = Vec::new();
        let report = scenario
            .simulate_watched(Kernel::default(), |_, event, _| events.push(event.clone()))
            .unwrap();
        (events, report.outcome)
    };
    assert_eq!(run(), run());
}

#[test]
fn a_simulation_ends() {
    for (rest, over_limit, exit) in [
        // Nobody ever answers.
        ("[client]\nat = \"blackhole\"\nsend = \"x\"\n", true, 0),
        (
            "[client]\nat = \"blackhole\"\nsend = \"x\"\nconnect-timeout = 1\n",
            false,
            1,
        ),
        ("[client]\nport = 4321\nsend = \"x\"\n", false, 1),
        // A service that talks without end.
        (
            "[stack]\nbuffer = \"4K\"\n[client]\nservice = \"chargen\"\nsteps = [\"receive all\"]\n",
            true,
            0,
        ),
        (
            "[client]\nservice = \"echo\"\nsteps = [\"receive 5\"]\n",
            true,
            0,
        ),
        (
            "[client]\nservice = \"daytime\"\nsteps = [\"receive 5000\"]\n",
            false,
            1,
        ),
        (
            "[client]\nservice = \"hello\"\nsteps = [\"send x\", \"receive\"]\n",
            false,
            0,
        ),
    ] {
        let text = format!("about = \"x\"\nlimit = 2\n{rest}");
        let scenario: Scenario = text.parse().unwrap();
        let outcome = scenario.simulate(Kernel::default()).unwrap().outcome;
        assert_eq!(
            (outcome.over_limit, outcome.exit),
            (over_limit, exit),
            "{rest}"
        );
    }
}

/// What was recorded is a scenario that the same events pass.
#[test]
fn a_recording_fits_what_was_recorded() {
    let mut refused = Script::new();
    refused
        .passive()
        .get("S", 0, None, b"")
        .put("R", 0, Some(1), b"");
    let mut two = Script::new();
    two.password()
        .peer_closes(3, 28)
        .passive()
        .handshake()
        .we_close(0, 0);
    let mut at_once = Script::new();
    at_once
        .passive()
        .passive()
        .on(1)
        .handshake()
        .on(2)
        .handshake();
    for script in [&conversation(), &refused, &two, &at_once, &Script::new()] {
        let mut recorder = Recorder::new();
        script.events.iter().for_each(|event| recorder.event(event));
        let outcome = Outcome {
            exit: 7,
            stdout: "进入\"成功\\\u{7f}\n".as_bytes().to_vec(),
            duration: Duration::from_millis(1234),
            ..Outcome::default()
        };
        let command = ["sh", "-c", "echo 'it''s'"].map(str::to_owned);
        let text = recorder.finish(&command, &outcome);
        let scenario: Scenario = text
            .parse()
            .unwrap_or_else(|error| panic!("{text}\n{error}"));
        assert_eq!(scenario.client.run.as_deref(), Some(&command[..]));
        let mut checker = scenario.checker(On::Kernel, Kernel::default());
        let mut view = View::new();
        for event in &script.events {
            view.event(event);
            checker.event(&view, event);
        }
        let failures = checker.finish(&outcome, Duration::from_secs(30));
        assert_eq!(failures, [], "{text}");
    }
}
