//! pcapng captures as tshark reads them, beside what tcpdump saw and what we have counted.

use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::{Block, PcapNgReader};
use smoltcp::time::{Duration, Instant};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tcplab::engine::{Config, Engine};
use tcplab::event::{Direction, Event};
use tcplab::fault::{Action, Assignment, Kind, Pattern, Rule, Scope, Verdict};
use tcplab::segment::{Flags, describe};
use tcplab::service;
use tcplab::sim::{Side, Sim, random_loss};
use tcplab::sink::Sink;
use tcplab::sink::pcapng::PcapNg;
use tcplab::view::View;

/// One connection, written to "$1" by the program and to "$2" by tcpdump.
const CAPTURED: &str = r#"
    PATH=$PATH:/usr/sbin:/sbin
    "$TCPLAB" serve --quiet -w "$1" 2>"$2.said" & serve=$!
    trap 'kill $serve $dump 2>/dev/null' EXIT
    await() {
        tries=0
        until grep -q "$1" "$2"; do sleep 0.1; tries=$((tries+1)); [ $tries -lt 100 ] || exit 9; done
    }
    await ready "$2.said"
    tcpdump -i tcplab0 -n --immediate-mode -B 16384 -U -w "$2" 2>>"$2.said" & dump=$!
    await listening "$2.said"
    sleep 0.5
    curl -s http://192.0.2.2/ >/dev/null || exit 8
    sleep 0.5
    kill $dump; wait $dump
    kill $serve; wait $serve
    code=$?
    trap - EXIT
    exit $code
"#;

#[test]
fn the_wire_is_what_tcpdump_saw() {
    let (ours, theirs) = (file("lab.pcapng"), file("lab.pcap"));
    // Not as root of a namespace: tcpdump would try to become somebody else.
    let privileges: &[&str] = match nix::unistd::geteuid().is_root() {
        true => &[],
        false => &["--map-current-user", "--keep-caps"],
    };
    let output = Command::new("unshare")
        .arg("--net")
        .args(privileges)
        .args(["sh", "-c", CAPTURED, "sh"])
        .args([&ours, &theirs])
        .env("TCPLAB", env!("CARGO_BIN_EXE_tcplab"))
        .output()
        .unwrap();
    let said = fs::read_to_string(format!("{}.said", theirs.display())).unwrap_or_default();
    assert!(output.status.success(), "{output:?}\n{said}");

    let wire = interface(&ours, 0);
    let seen = tcpdump_packets(&theirs);
    assert!(seen.len() >= 9, "{} packets\n{said}", seen.len());
    // The two look at different ends of the device, so only the order in each direction is the same.
    assert_eq!(by_source(&wire), by_source(&seen));
    assert_eq!(
        interface(&ours, 1),
        Vec::<Vec<u8>>::new(),
        "nothing interferes"
    );

    assert_eq!(tshark(&ours, &["-Y", "_ws.malformed"]), "");
    assert_eq!(interfaces(&ours), ["wire", "intended"]);
    let fins = fields(&ours, "tcp.flags.fin == 1", &["tcp.srcport"]);
    assert_eq!(fins.len(), 2, "{fins:?}");
    assert_ne!(fins[0], fins[1]);
    let established = fields(
        &ours,
        "frame.comment contains \"ESTABLISHED\" && frame.comment contains \" -> \"",
        &["frame.comment"],
    );
    let transitions: Vec<&str> = established
        .iter()
        .map(|row| row[0].split(" |").next().unwrap())
        .collect();
    assert_eq!(transitions[0], "SYN-RECEIVED -> ESTABLISHED (segment 3)");
    let closed = transitions[1].strip_prefix("ESTABLISHED -> CLOSE-WAIT (segment ");
    assert!(closed.is_some(), "{transitions:?}");
    let opening = fields(
        &ours,
        "frame.comment contains \"state=SYN-RECEIVED\" && frame.comment contains \"flow=1 \"",
        &["tcp.flags.str", "frame.interface_name", "frame.p2p_dir"],
    );
    // The SYN is received (1), the SYN-ACK sent (0).
    assert_eq!(opening[0][1..], ["wire", "1"], "{opening:?}");
    assert_eq!(opening[1][1..], ["wire", "0"], "{opening:?}");
    assert_eq!(opening.len(), 2, "{opening:?}");
    let apart: Vec<f64> = [(&ours, "frame.number==1"), (&theirs, "frame.number==1")]
        .iter()
        .map(|(file, filter)| {
            fields(file, filter, &["frame.time_epoch"])[0][0]
                .parse()
                .unwrap()
        })
        .collect();
    assert!(
        (apart[0] - apart[1]).abs() < 0.1,
        "the calendar differs: {apart:?}"
    );
}

/// A reader at the other end of a pipe sees packets while the command still runs, and may leave at any time.
#[test]
fn a_pipe_is_fed_while_it_happens() {
    let mut run = Command::new(env!("CARGO_BIN_EXE_tcplab"))
        .args(["run", "--quiet", "-w", "-", "--", "sh", "-c"])
        .arg("curl -s http://lab.test/ >/dev/null; sleep 3; curl -s http://lab.test/ >/dev/null")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let start = std::time::Instant::now();
    let mut reader = PcapNgReader::new(run.stdout.take().unwrap()).unwrap();
    let mut fins = 0;
    while fins < 2 {
        if let Block::EnhancedPacket(packet) = reader.next_block().unwrap().unwrap() {
            let described = describe(&packet.data);
            fins += usize::from(described.tcp().unwrap().flags.contains(Flags::FIN));
        }
    }
    assert!(
        start.elapsed() < std::time::Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    drop(reader);
    assert!(run.wait().unwrap().success());
}

/// What we count while events come in, and what tshark finds in the capture of the same events.
#[test]
fn counts_agree_with_tshark() {
    let (mut again, mut measured) = (0, 0);
    for seed in 1..=4 {
        let (path, view) = lossy(seed);
        assert_eq!(tshark(&path, &["-Y", "_ws.malformed"]), "");
        let conversations = tshark(
            &path,
            &["-q", "-z", "conv,tcp,frame.comment contains \"flow=\""],
        );
        assert_eq!(view.flows().len(), 3);
        for flow in view.flows() {
            let peer = flow.peer.port();
            let rows = fields(
                &path,
                // What comes when its connection is over belongs to none.
                &format!(
                    "tcp.port == {peer} && frame.comment contains \"flow={} \"",
                    flow.id.0
                ),
                &[
                    "tcp.srcport",
                    "tcp.seq",
                    "tcp.len",
                    "tcp.analysis.retransmission",
                    "tcp.analysis.out_of_order",
                    "tcp.analysis.initial_rtt",
                    "tcp.analysis.ack_rtt",
                    "frame.comment",
                ],
            );
            for (port, ours) in [(peer, &flow.received), (flow.local.port(), &flow.sent)] {
                let what = format!("seed {seed}, flow {}, from port {port}", flow.id);
                let sent = || rows.iter().filter(|row| row[0] == port.to_string());
                assert_eq!(ours.packets, sent().count() as u64, "{what}");
                // What fills a gap soon after a duplicate acknowledgment is out of order to tshark.
                let is_again = |row: &&Vec<String>| !row[3].is_empty() || !row[4].is_empty();
                let flagged = sent().filter(is_again).count() as u64;
                assert_eq!(ours.retransmissions, flagged, "{what}");
                let number = |text: &str| text.parse::<u64>().unwrap();
                let bytes = sent()
                    .filter(|row| row[2] != "0")
                    .map(|row| number(&row[1]) + number(&row[2]) - 1)
                    .max();
                assert_eq!(ours.bytes, bytes.unwrap(), "{what}");
                again += flagged;
            }
            let line = conversations
                .lines()
                .find(|line| line.contains(&format!(":{peer} ")));
            let columns: Vec<&str> = line.unwrap().split_whitespace().collect();
            let (received, sent) = (flow.received.packets, flow.sent.packets);
            // A <-> B: frames and bytes to A, to B, in all.
            assert_eq!(columns[1], "<->", "{conversations}");
            let mut each = [received, sent].map(|count| count.to_string());
            let mut theirs = [columns[3].to_string(), columns[6].to_string()];
            each.sort();
            theirs.sort();
            assert_eq!(each, theirs, "{conversations}");
            let initial = rows.iter().find(|row| !row[5].is_empty()).unwrap();
            let initial: f64 = initial[5].parse().unwrap();
            let handshake = flow.handshake.unwrap().total_micros() as f64 / 1e6;
            assert!((initial - handshake).abs() < 1e-6, "{initial} {handshake}");
            // The first measurement is the estimate (RFC 6298, section 2.2). Karn's algorithm forbids it where the
            // SYN-ACK was sent twice.
            if flow.handshake.unwrap() < Duration::from_millis(100) {
                let ack = rows
                    .iter()
                    .find(|row| row[7].contains("-> ESTABLISHED"))
                    .unwrap();
                let rtt: f64 = ack[6].parse().unwrap();
                let srtt = format!(" srtt={}ms", (rtt * 1e3).round());
                assert!(ack[7].ends_with(&srtt), "{ack:?}");
                measured += 1;
            }
        }
    }
    assert!(
        again > 50 && measured > 5,
        "{again} retransmissions, {measured} measured"
    );
}

/// What rules make of a connection stands on two interfaces, and on the wire it is what the peer has got.
#[test]
fn what_was_meant_stands_beside_what_crossed() {
    let rule = |direction, kind, ordinal: u64, verdict| Rule {
        text: String::new(),
        scope: Scope::default(),
        action: Action::Judge(
            verdict,
            Pattern {
                direction: Some(direction),
                kind,
                ordinal: Some(ordinal..=ordinal),
                ..Pattern::default()
            },
        ),
    };
    let (ingress, egress) = (Direction::In, Direction::Out);
    let edit = Verdict::Edit(vec![Assignment::Window(1000)]);
    let mut config = Config::new(["192.0.2.2/24".parse().unwrap()]);
    for rule in [
        rule(egress, Kind::SynAck, 1, Verdict::Drop),
        rule(ingress, Kind::Data, 1, Verdict::Duplicate(2)),
        rule(egress, Kind::Data, 1, edit),
        rule(
            ingress,
            Kind::Fin,
            1,
            Verdict::Delay(Duration::from_millis(300)),
        ),
    ] {
        config.rules.add(rule);
    }
    let mut server = Engine::new(config);
    server.serve_tcp(7, "echo", service::echo::echo);
    let client = Engine::new(Config::new(["192.0.2.1/24".parse().unwrap()]));
    let mut sim = Sim::new(client, server, Duration::from_millis(10));
    let peer = "192.0.2.2:7".parse().unwrap();
    sim.left()
        .connect_tcp(Instant::ZERO, "client", None, peer, |conn| async move {
            conn.write_all(b"hello").await?;
            conn.read_up_to(5).await?;
            conn.close().await
        })
        .unwrap();
    sim.run_until(Instant::from_secs(30));
    let path = file("rules.pcapng");
    let events = std::iter::from_fn(|| sim.poll_event());
    let events = events.filter(|(side, _)| *side == Side::Right);
    write(&path, events.map(|(_, event)| event));

    assert_eq!(tshark(&path, &["-Y", "_ws.malformed"]), "");
    let meant = fields(
        &path,
        "frame.interface_name == \"intended\"",
        &["frame.time_relative", "frame.comment"],
    );
    let words = |row: &Vec<String>, wanted: &[&str]| -> String {
        let words = row[1].split(' ');
        let found = words.filter(|word| wanted.iter().any(|key| word.starts_with(key)));
        found.collect::<Vec<_>>().join(" ")
    };
    let keys = ["fate=", "rule=", "delay=", "waited=", "by="];
    let meant: Vec<String> = meant.iter().map(|row| words(row, &keys)).collect();
    assert!(!meant.is_empty());
    assert_eq!(
        meant,
        [
            "fate=dropped rule=1",
            "fate=rewritten rule=3",
            "fate=delayed rule=4 delay=300ms"
        ]
    );
    let crossed = |filter: &str| {
        let filter = format!("frame.interface_name == \"wire\" && {filter}");
        fields(&path, &filter, &["frame.time_epoch", "frame.comment"])
    };
    assert_eq!(
        crossed("tcp.flags == 0x12").len(),
        1,
        "one SYN-ACK got through"
    );
    let copies = crossed("tcp.len == 5 && frame.comment contains \"fate=duplicated\"");
    assert_eq!(copies.len(), 3);
    let released = crossed("tcp.flags.fin == 1 && frame.comment contains \"waited=\"");
    assert_eq!(
        words(&released[0], &keys),
        "fate=delivered waited=300ms by=time"
    );
    let meant_at = fields(
        &path,
        "frame.comment contains \"fate=delayed\"",
        &["frame.time_epoch"],
    );
    let time = |row: &Vec<String>| row[0].parse::<f64>().unwrap();
    assert!((time(&released[0]) - time(&meant_at[0]) - 0.3).abs() < 1e-6);
    let edited = crossed("tcp.window_size_value == 1000");
    assert_eq!(words(&edited[0], &keys), "fate=rewritten rule=3");
}

/// A server that sends much over a lossy wire, as its side captures it.
fn lossy(seed: u64) -> (PathBuf, View) {
    let engine = |prefix: &str| {
        let mut config = Config::new([prefix.parse().unwrap()]);
        config.seed = seed;
        Engine::new(config)
    };
    let mut server = engine("192.0.2.2/24");
    server.serve_tcp(7, "echo", service::echo::echo);
    let mut sim = Sim::new(engine("192.0.2.1/24"), server, Duration::from_millis(20));
    sim.lose(random_loss(5, seed));
    for _ in 0..3 {
        let now = sim.now();
        let peer = "192.0.2.2:7".parse().unwrap();
        let opened = sim
            .left()
            .connect_tcp(now, "client", None, peer, |conn| async move {
                conn.write_all(&[b'1'; 100_000]).await?;
                conn.close().await?;
                conn.drain().await
            });
        opened.unwrap();
    }
    sim.run_until(Instant::from_secs(300));
    let events = std::iter::from_fn(|| sim.poll_event());
    let path = file(&format!("lossy-{seed}.pcapng"));
    let view = write(
        &path,
        events
            .filter(|(side, _)| *side == Side::Right)
            .map(|(_, event)| event),
    );
    (path, view)
}

fn write(path: &Path, events: impl Iterator<Item = Event>) -> View {
    let epoch = std::time::Duration::from_secs(1_800_000_000);
    let mut sink = PcapNg::new(File::create(path).unwrap(), epoch).unwrap();
    let mut view = View::new();
    for event in events {
        view.event(&event);
        sink.event(&view, &event).unwrap();
    }
    sink.finish(&view).unwrap();
    view
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn interface(path: &Path, id: u32) -> Vec<Vec<u8>> {
    let mut reader = PcapNgReader::new(File::open(path).unwrap()).unwrap();
    let mut packets = Vec::new();
    while let Some(block) = reader.next_block() {
        if let Block::EnhancedPacket(packet) = block.unwrap()
            && packet.interface_id == id
        {
            packets.push(packet.data.into_owned());
        }
    }
    packets
}

fn tcpdump_packets(path: &Path) -> Vec<Vec<u8>> {
    let mut reader = PcapReader::new(File::open(path).unwrap()).unwrap();
    let mut packets = Vec::new();
    while let Some(packet) = reader.next_packet() {
        packets.push(packet.unwrap().data.into_owned());
    }
    packets
}

fn by_source(packets: &[Vec<u8>]) -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut sources = BTreeMap::<String, Vec<Vec<u8>>>::new();
    for packet in packets {
        let ip = describe(packet).ip.unwrap();
        sources
            .entry(ip.src.to_string())
            .or_default()
            .push(packet.clone());
    }
    sources
}

fn interfaces(path: &Path) -> Vec<String> {
    let output = Command::new("capinfos").arg(path).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .filter_map(|line| Some(line.trim().strip_prefix("Name = ")?.to_owned()))
        .collect()
}

fn fields(path: &Path, filter: &str, names: &[&str]) -> Vec<Vec<String>> {
    let mut arguments = vec!["-Y", filter, "-T", "fields", "-E", "separator=/t"];
    for name in names {
        arguments.extend(["-e", name]);
    }
    let text = tshark(path, &arguments);
    text.lines()
        .map(|line| line.split('\t').map(String::from).collect())
        .collect()
}

fn tshark(path: &Path, arguments: &[&str]) -> String {
    let output = Command::new("tshark")
        .args(["-n", "-r"])
        .arg(path)
        .args(arguments)
        .output()
        .expect("this test needs tshark: apt install tshark");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
