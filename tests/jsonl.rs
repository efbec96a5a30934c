//! JSON lines: real output is valid, documentation and schema agree with it, and the same seed makes the same bytes.

mod support;

use jsonschema::Validator;
use serde_json::Value;
use smoltcp::time::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use tcplab::engine::{Config, Engine};
use tcplab::event::{
    Activity, Cause, Closed, Crossed, Defect, Direction, Discard, Ends, Event, EventKind, Fate,
    FlowId, Limit, Packet, PacketHead, PacketId, PanicSite, PeerInfo, PeerView, Reason, Release,
    Released, Resend, RuleId, Timer, Transition, Transport, UserCall, Variables,
};
use tcplab::segment::{SeqNumber, describe};
use tcplab::sim::{Side, Sim, random_loss};
use tcplab::sink::Sink;
use tcplab::sink::jsonl::JsonLines;
use tcplab::state::TcpState;
use tcplab::view::View;

const SCHEMA: &str = include_str!("../schema/events.schema.json");
const DOCUMENTATION: &str = include_str!("../src/sink/jsonl.rs");

#[test]
fn simulated_runs_are_valid() {
    let validator = validator();
    for seed in 0..4 {
        let lines = lossy_run(seed);
        assert!(lines.len() > 200, "{} lines", lines.len());
        check_all(&validator, &lines);
        for (index, line) in lines.iter().enumerate() {
            assert_eq!(line["number"], index + 1);
        }
    }
}

#[test]
fn a_run_in_a_lab_is_valid() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lab.jsonl");
    let output = Command::new(env!("CARGO_BIN_EXE_tcplab"))
        .args(["demo", "--json"])
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("simulated"), "a lab is needed here: {said}");
    let text = std::fs::read_to_string(file).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    check_all(&validator(), &lines);
    let states: Vec<&str> = lines
        .iter()
        .filter_map(|line| line["to"].as_str())
        .collect();
    assert_eq!(states[..2], ["SYN-RECEIVED", "ESTABLISHED"], "{text}");
}

#[test]
fn standard_output_takes_one_file() {
    let tcplab = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_tcplab"))
            .args(["demo", "--simulate", "--quiet", "--seed", "1"])
            .args(arguments)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let (code, out, _) = tcplab(&["--json", "-"]);
    assert_eq!(code, Some(0));
    assert!(
        out.contains("{\"version\":1,\"number\":1,\"at\":0."),
        "{out}"
    );
    let (code, _, words) = tcplab(&["--json", "-", "-w", "-"]);
    assert_eq!(
        (code, words.as_str()),
        (
            Some(2),
            "tcplab: only one of --json and -w can go to standard output\n"
        )
    );
    let (code, _, words) = tcplab(&["--json", "/nowhere/x"]);
    assert_eq!(code, Some(2));
    assert!(
        words.starts_with("tcplab: cannot create /nowhere/x: No such file"),
        "{words}"
    );
}

#[test]
fn the_same_seed_makes_the_same_bytes() {
    let text = |seed| {
        let mut sink = JsonLines::new(Vec::new());
        let mut view = View::new();
        for event in lossy_events(seed) {
            view.event(&event);
            sink.event(&view, &event).unwrap();
        }
        sink.into_inner()
    };
    assert!(text(3) == text(3));
    assert!(text(3) != text(4));
}

/// Every field that the schema knows is documented, is written, and nothing else is.
#[test]
fn schema_documentation_and_output_have_the_same_fields() {
    let documented = documented_fields();
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    assert_eq!(documented, schema_fields(&schema));

    let mut lines = lines(everything());
    for seed in 0..4 {
        lines.extend(lossy_run(seed));
    }
    check_all(&validator(), &lines);
    let mut written = BTreeMap::new();
    for line in &lines {
        written_fields(line["kind"].as_str().unwrap(), line, true, &mut written);
    }
    assert_eq!(documented, written);
}

/// What the schema enumerates is what the program knows.
#[test]
fn the_schema_knows_every_word() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let states: Vec<&str> = TcpState::ALL.iter().map(|state| state.name()).collect();
    assert_eq!(schema["$defs"]["state"]["enum"], Value::from(states));
    let written = |field: &str, key: &str| -> BTreeSet<String> {
        lines(everything())
            .iter()
            .filter_map(|line| line[field][key].as_str().map(String::from))
            .collect()
    };
    let mut reasons: BTreeSet<String> =
        words(&schema["$defs"]["reason"]["oneOf"][0]["properties"]["kind"]["enum"]);
    reasons.extend(["delayed-ack".into(), "resent".into()]);
    assert_eq!(written("reason", "kind"), reasons);
    assert_eq!(
        written("fate", "why"),
        words(&schema["$defs"]["fate"]["oneOf"][1]["properties"]["why"]["enum"])
    );
    let limits: BTreeSet<String> = Limit::ALL.iter().map(|limit| limit.name().into()).collect();
    let stated = words(&schema["$defs"]["limited"]["properties"]["limit"]["enum"]);
    assert_eq!(limits, stated);
    let kinds = schema["$defs"]["fate"]["oneOf"].as_array().unwrap();
    let kinds = kinds.iter().map(|kind| &kind["properties"]["kind"]);
    let fates = kinds.flat_map(|kind| match &kind["const"] {
        Value::Null => words(&kind["enum"]),
        word => BTreeSet::from([word.as_str().unwrap().into()]),
    });
    assert_eq!(written("fate", "kind"), fates.collect());
    let by: BTreeSet<String> = lines(everything())
        .iter()
        .filter_map(|line| line["by"].as_str().map(String::from))
        .collect();
    assert_eq!(
        by,
        words(&schema["$defs"]["released"]["properties"]["by"]["enum"])
    );
    assert_eq!(
        written("cause", "timer"),
        words(&schema["$defs"]["cause"]["oneOf"][2]["properties"]["timer"]["enum"])
    );
}

#[test]
fn the_schema_is_strict() {
    let validator = validator();
    let line = lines(everything()).remove(0);
    assert!(validator.is_valid(&line));
    for change in [
        |line: &mut Value| line["more"] = 1.into(),
        |line: &mut Value| line["version"] = 2.into(),
        |line: &mut Value| line["at"] = Value::Null,
        |line: &mut Value| line["tcp"] = Value::Null,
        |line: &mut Value| line["fate"]["why"] = "malformed".into(),
        |line: &mut Value| {
            line.as_object_mut().unwrap().remove("reason");
        },
    ] {
        let mut changed = line.clone();
        change(&mut changed);
        assert!(!validator.is_valid(&changed), "{changed}");
    }
}

fn validator() -> Validator {
    let schema = serde_json::from_str(SCHEMA).unwrap();
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

fn check_all(validator: &Validator, lines: &[Value]) {
    for line in lines {
        if let Some(error) = validator.iter_errors(line).next() {
            panic!("{error}\nin {line}");
        }
    }
}

/// Clients that shout at all services over a wire that loses a tenth, seen by the server.
fn lossy_run(seed: u64) -> Vec<Value> {
    lines(lossy_events(seed))
}

fn lossy_events(seed: u64) -> Vec<Event> {
    let engine = |prefix: &str| {
        let mut config = Config::new([prefix.parse().unwrap()]);
        config.seed = seed;
        Engine::new(config)
    };
    let mut server = engine("192.0.2.2/24");
    server.serve_standard("123");
    let mut sim = Sim::new(engine("192.0.2.1/24"), server, Duration::from_millis(5));
    sim.lose(random_loss(10, seed));
    for port in [1111, 7, 9, 13, 19, 4] {
        let peer = format!("192.0.2.2:{port}").parse().unwrap();
        let now = sim.now();
        let opened = sim
            .left()
            .connect_tcp(now, "client", None, peer, |conn| async move {
                conn.write_all(&[b'1'; 30_000]).await?;
                conn.read_up_to(100).await?;
                conn.sleep(Duration::from_millis(300)).await;
                conn.close().await?;
                conn.drain().await
            });
        opened.unwrap();
    }
    sim.run_until(Instant::from_secs(120));
    std::iter::from_fn(|| sim.poll_event())
        .filter(|(side, _)| *side == Side::Right)
        .map(|(_, event)| event)
        .collect()
}

fn lines(events: impl IntoIterator<Item = Event>) -> Vec<Value> {
    let mut sink = JsonLines::new(Vec::new());
    let mut view = View::new();
    for event in events {
        view.event(&event);
        sink.event(&view, &event).unwrap();
    }
    let text = String::from_utf8(sink.into_inner()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Events of every kind, with what a run rarely has.
fn everything() -> Vec<Event> {
    let mut kinds = Vec::new();
    let udp = support::udp(
        "[2001:db8::1]:5".parse().unwrap(),
        "[2001:db8::2]:7".parse().unwrap(),
        b"hi",
    );
    let ping = support::ping(
        "192.0.2.1".parse().unwrap(),
        "192.0.2.2".parse().unwrap(),
        b"ping",
    );
    let gre = support::ip(
        "192.0.2.1".parse().unwrap(),
        "192.0.2.2".parse().unwrap(),
        smoltcp::wire::IpProtocol::Unknown(47),
        b"else",
    );
    // More fragments follow, at offset 8; the header's checksum follows suit.
    let mut fragment = gre.clone();
    fragment[6..8].copy_from_slice(&[0x20, 1]);
    fragment[10..12].fill(0);
    let sum = !smoltcp::wire::checksum::data(&fragment[..20]);
    fragment[10..12].copy_from_slice(&sum.to_be_bytes());
    let packets = [
        odd_segment(),
        udp,
        ping,
        gre.clone(),
        fragment,
        gre[..9].to_vec(),
    ];
    for bytes in packets {
        let crossed = Crossed {
            described: describe(&bytes),
            bytes: bytes.clone(),
        };
        kinds.push(packet(bytes, Fate::Delivered, None));
        let mut rewritten = bare_packet(gre.clone(), Fate::Rewritten(RuleId(2)), None);
        rewritten.crossed = Some(Box::new(crossed));
        kinds.push(EventKind::Packet(rewritten));
    }
    let rule = RuleId(1);
    for fate in [
        Fate::Dropped(rule),
        Fate::Delayed(rule, Duration::from_millis(1500)),
        Fate::Held(RuleId::HAND),
        Fate::Duplicated(rule, 2),
        Fate::Injected(rule),
        Fate::Folded(PacketId(1)),
    ] {
        kinds.push(packet(odd_segment(), fate, None));
    }
    for why in [
        Discard::Malformed,
        Discard::NotForUs,
        Discard::BadAddress,
        Discard::BadFlags,
        Discard::BacklogFull,
        Discard::Fragment,
        Discard::Header,
        Discard::Unsupported,
    ] {
        kinds.push(packet(odd_segment(), Fate::Discarded(why), None));
    }
    for limit in Limit::ALL {
        kinds.push(EventKind::Limited(limit, 2));
    }
    for during in [
        Activity::Packet,
        Activity::Turn,
        Activity::Timer,
        Activity::Command,
        Activity::Open,
        Activity::Upkeep,
    ] {
        kinds.push(EventKind::Defect(Box::new(defect(during))));
    }
    for reason in [
        Reason::Syn,
        Reason::SynAck,
        Reason::Data,
        Reason::Fin,
        Reason::Ack,
        Reason::DelayedAck(Duration::from_millis(10)),
        Reason::DuplicateAck,
        Reason::WindowUpdate,
        Reason::WindowProbe,
        Reason::KeepAlive,
        Reason::Reset,
        Reason::Resent(Resend::Timeout),
        Reason::Resent(Resend::DuplicateAcks),
        Reason::Resent(Resend::Gap),
    ] {
        kinds.push(packet(odd_segment(), Fate::Delivered, Some(reason)));
    }
    for (kind, by) in kinds.clone().into_iter().zip(
        [
            Release::Time,
            Release::Condition,
            Release::Hand,
            Release::End,
        ]
        .into_iter()
        .cycle(),
    ) {
        if let EventKind::Packet(packet) = kind {
            kinds.push(EventKind::Released(Released {
                packet,
                waited: Duration::from_millis(1500),
                by,
            }));
        }
    }
    for cause in [
        Cause::Segment(PacketId(1)),
        Cause::Call(UserCall::Close),
        Cause::Timeout(Timer::User),
        Cause::Timeout(Timer::TimeWait),
        Cause::Timeout(Timer::FinWait2),
    ] {
        kinds.push(EventKind::Transition(Transition {
            from: TcpState::Established,
            to: TcpState::Closed,
            cause,
        }));
    }
    let info = PeerInfo {
        rtt: Duration::from_micros(1),
        rttvar: Duration::from_micros(2),
        rto: Duration::from_millis(200),
        cwnd: 10,
        retransmits: 1,
        total_retransmits: 2,
    };
    for info in [None, Some(info)] {
        kinds.push(EventKind::Asked(PeerView {
            state: TcpState::SynSent,
            info,
        }));
    }
    kinds.push(EventKind::Note("请输入密码: \u{1b}".into()));
    for result in [None, Some(Ok(())), Some(Err("reset by the peer".into()))] {
        kinds.push(EventKind::Closed(Closed { result }));
    }
    let numbered = kinds.into_iter().zip(1..);
    numbered
        .map(|(kind, number)| Event {
            number,
            at: Instant::from_micros(1_204_380),
            flow: Some(FlowId(1)),
            kind,
        })
        .collect()
}

fn packet(bytes: Vec<u8>, fate: Fate, reason: Option<Reason>) -> EventKind {
    EventKind::Packet(bare_packet(bytes, fate, reason))
}

/// With all that may be known of one, or with nothing.
fn defect(during: Activity) -> Defect {
    let is_known = during == Activity::Turn;
    let ends = Ends {
        transport: Transport::Tcp,
        local: "[2001:db8::2]:7".parse().unwrap(),
        peer: "[2001:db8::1]:40000".parse().unwrap(),
    };
    let site = PanicSite {
        location: "src/engine.rs:1:2".into(),
        backtrace: Some("0: main".into()),
    };
    let head = PacketHead {
        at: Instant::from_millis(1500),
        direction: Direction::In,
        len: 1500,
        bytes: vec![0x45; 112],
    };
    Defect {
        number: 3,
        during,
        ends: is_known.then_some(ends),
        message: "a defect".into(),
        site: is_known.then_some(site),
        packets: is_known.then_some(head).into_iter().collect(),
    }
}

fn bare_packet(bytes: Vec<u8>, fate: Fate, reason: Option<Reason>) -> Packet {
    let number = SeqNumber(1);
    Packet {
        id: PacketId(1),
        direction: Direction::Out,
        described: describe(&bytes),
        bytes,
        fate,
        crossed: None,
        retransmission: false,
        reason,
        variables: reason.map(|_| {
            Box::new(Variables {
                iss: number,
                irs: None,
                snd_una: number,
                snd_nxt: number,
                snd_wnd: 0,
                rcv_nxt: None,
                rcv_wnd: 0,
                in_flight: 0,
                rto: Duration::from_secs(1),
                srtt: None,
                duplicate_acks: 0,
                resent: 0,
                unanswered: 0,
            })
        }),
    }
}

/// A segment with every option there is, the last cut short.
fn odd_segment() -> Vec<u8> {
    let mut segment = support::Forged::new(
        "192.0.2.1:5".parse().unwrap(),
        "192.0.2.2:7".parse().unwrap(),
        support::SYN | support::ACK | 0x20,
        7,
        8,
    );
    segment.options = vec![
        2, 4, 5, 180, 1, 3, 3, 7, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2,
    ];
    segment
        .options
        .extend([5, 10, 0, 0, 0, 1, 0, 0, 0, 9, 77, 2, 78, 9, 0, 0]);
    let with_malformed = segment.packet();
    assert!(format!("{:?}", describe(&with_malformed)).contains("Malformed"));
    with_malformed
}

type Fields = BTreeMap<String, BTreeSet<String>>;

/// The first columns of the tables, by the heading above.
fn documented_fields() -> Fields {
    let mut fields = Fields::new();
    let mut section = "";
    for line in DOCUMENTATION.lines() {
        if let Some(name) = line.strip_prefix("//! ## ") {
            section = name;
        }
        if let Some((name, _)) = line
            .strip_prefix("//! | `")
            .and_then(|rest| rest.split_once('`'))
        {
            let new = fields
                .entry(section.into())
                .or_default()
                .insert(name.into());
            assert!(new, "{section} {name} twice");
        }
    }
    // "It has the fields of `packet`."
    let packet = fields["packet"].clone();
    fields.entry("released".into()).or_default().extend(packet);
    fields
}

const COMMON: [&str; 5] = ["version", "number", "at", "flow", "kind"];

/// The properties of every object in the schema.
fn schema_fields(schema: &Value) -> Fields {
    let mut fields = Fields::new();
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        let alternatives = definition["oneOf"]
            .as_array()
            .filter(|_| definition["properties"].is_null());
        let objects = alternatives.map_or(vec![definition], |all| all.iter().collect());
        let is_event = !definition["properties"]["version"].is_null();
        for object in objects {
            let Some(properties) = object["properties"].as_object() else {
                continue;
            };
            assert_eq!(object["additionalProperties"], false, "{name}");
            for property in properties.keys() {
                let common = is_event && COMMON.contains(&property.as_str());
                let section = if common { "event" } else { name };
                fields
                    .entry(section.into())
                    .or_default()
                    .insert(property.clone());
            }
        }
    }
    fields
}

fn written_fields(section: &str, value: &Value, is_event: bool, fields: &mut Fields) {
    for (name, value) in value.as_object().unwrap() {
        let common = is_event && COMMON.contains(&name.as_str());
        let own = if common { "event" } else { section };
        fields.entry(own.into()).or_default().insert(name.clone());
        match value {
            Value::Object(_) if section == "ip" => {
                written_fields("ip.fragment", value, false, fields)
            }
            Value::Object(_) => written_fields(name, value, false, fields),
            Value::Array(options) if name == "options" => {
                for option in options {
                    written_fields("option", option, false, fields);
                }
            }
            Value::Array(packets) if name == "packets" => {
                for packet in packets {
                    written_fields("head", packet, false, fields);
                }
            }
            _ => {}
        }
    }
}

fn words(value: &Value) -> BTreeSet<String> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap().into())
        .collect()
}
