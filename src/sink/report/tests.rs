use super::ladder_layout::Layout;
use super::record::{Record, What};
use super::svg::WIDTH;
use super::*;
use crate::engine::{Config, Engine};
use crate::event::{Discard, EventKind, PeerView};
use crate::fault::RuleSet;
use crate::sim::{Side, Sim, random_loss};
use crate::state::TcpState;
use crate::view::script::Script;
use crate::words::Lang;
use smoltcp::time::{Duration, Instant};

/// The events of a server that echoes `bytes` over a wire that loses some percent of the packets.
fn lossy(bytes: usize, percent: u8) -> Vec<Event> {
    let engine = |prefix: &str| Engine::new(Config::new([prefix.parse().unwrap()]));
    let mut server = engine("192.0.2.2/24");
    server.serve_standard("123");
    let mut sim = Sim::new(engine("192.0.2.1/24"), server, Duration::from_millis(5));
    sim.lose(random_loss(percent, 3));
    let now = sim.now();
    let client = move |conn: crate::service::Connection| async move {
        conn.write_all(&vec![b'x'; bytes]).await?;
        let mut missing = bytes;
        while missing > 0 {
            missing -= conn.read_up_to(missing).await?.len();
        }
        conn.close().await?;
        conn.drain().await
    };
    let peer = "192.0.2.2:7".parse().unwrap();
    sim.left()
        .connect_tcp(now, "client", None, peer, client)
        .unwrap();
    sim.run_until(Instant::from_secs(300));
    let events = std::iter::from_fn(|| sim.poll_event());
    events
        .filter(|(side, _)| *side == Side::Right)
        .map(|(_, event)| event)
        .collect()
}

/// A script in which whatever has words has many of them.
fn wordy() -> Vec<Event> {
    let mut script = Script::new();
    script.password().note(&"a service says much ".repeat(12));
    script
        .get("P", 4, Some(29), "长".repeat(60).as_bytes())
        .discarded(Discard::Malformed);
    script.put("P", 1, Some(1), &[b'W'; 200]).again();
    script
        .wait(90_000_000)
        .note("<script>alert(1)</script>")
        .peer_closes(3, 28);
    script.events.clone()
}

/// A connection with which the link interferes in every way there is.
fn interfered() -> Vec<Event> {
    let mut script = Script::new();
    script.interfered();
    script.events.clone()
}

fn collect(events: &[Event]) -> (View, Record) {
    let (mut view, mut record) = (View::new(), Record::new(Lang::En));
    for event in events {
        view.event(event);
        record.event(&view, event);
    }
    record.flush();
    (view, record)
}

fn written(events: &[Event], format: Format) -> String {
    let mut out = Vec::new();
    let mut report = Report::new(&mut out, format, Lang::En);
    let mut view = View::new();
    for event in events {
        view.event(event);
        report.event(&view, event).unwrap();
    }
    report.finish(&view).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn in_a_ladder_nothing_overlaps_and_nothing_is_cut_off() {
    let asked = {
        let mut events = wordy();
        let seen = events
            .iter()
            .position(|event| matches!(event.kind, EventKind::Packet(_)));
        let mut answer = events[seen.unwrap()].clone();
        answer.kind = EventKind::Asked(PeerView {
            state: TcpState::SynSent,
            info: None,
        });
        events.insert(seen.unwrap() + 1, answer);
        events
    };
    for (name, events) in [
        ("wordy", wordy()),
        ("interfered", interfered()),
        ("asked", asked),
        ("no loss", lossy(60_000, 0)),
        ("loss", lossy(120_000, 8)),
    ] {
        let (view, record) = collect(&events);
        for (flow, kept) in record.flows(&view) {
            let id = flow.id;
            let layout = Layout::new(kept);
            let cuts = layout.cuts(500.0, 1_000.0);
            let labels: Vec<_> = layout
                .rows
                .iter()
                .flat_map(|placed| &placed.labels)
                .chain(&layout.heads)
                .collect();
            for (at, label) in labels.iter().enumerate() {
                let [left, top, right, bottom] = label.area();
                let whole = left >= 0.0 && right <= WIDTH && top >= 0.0 && bottom <= layout.height;
                assert!(whole, "{name} {id}: {label:?} is cut off");
                assert!(
                    !cuts[1..].iter().any(|cut| top < *cut && *cut < bottom),
                    "{name} {id}: {label:?} is cut in two"
                );
                for other in &labels[at + 1..] {
                    let [other_left, other_top, other_right, other_bottom] = other.area();
                    let apart = right <= other_left
                        || other_right <= left
                        || bottom <= other_top
                        || other_bottom <= top;
                    assert!(apart, "{name} {id}: {label:?} overlaps {other:?}");
                }
            }
            for pair in layout.rows.windows(2) {
                assert!(pair[0].bottom <= pair[1].top, "{name} {id}: rows overlap");
                assert!(
                    pair[0].tick <= pair[1].tick,
                    "{name} {id}: time runs backwards"
                );
            }
        }
    }
}

#[test]
fn a_long_run_keeps_its_beginning_and_its_end() {
    let (view, record) = collect(&lossy(250_000, 2));
    let (_, kept) = record.flows(&view).next().unwrap();
    let rows: Vec<_> = kept.rows.iter().collect();
    assert_eq!(rows.len(), 2 * HALF + 1);
    let left_out = rows.iter().find_map(|row| match row.what {
        What::LeftOut(count) => Some(count),
        _ => None,
    });
    assert!(left_out.unwrap() > 100, "{left_out:?}");
    assert_eq!(rows[0].local, Some(TcpState::SynReceived));
    assert!(matches!(&rows[2 * HALF].what, What::Remark(over) if over.starts_with("over")));
}

#[test]
fn what_is_held_beyond_a_gap_is_drawn() {
    for (percent, expected) in [(0, false), (8, true)] {
        let text = written(&lossy(40_000, percent), Format::Html);
        let drawn = text.contains("class=\"sack\"");
        let named = text.contains("SACK blocks</text>");
        assert_eq!((drawn, named), (expected, expected), "{percent} %");
    }
}

#[test]
fn only_the_first_flows_are_told_in_detail() {
    let mut script = Script::new();
    for id in 1..=FLOWS as u64 + 5 {
        script.on(id).passive().over(None);
    }
    let (view, record) = collect(&script.events);
    assert_eq!(record.flows(&view).count(), FLOWS);
    assert_eq!(view.flows().len(), FLOWS + 5);
    assert!(written(&script.events, Format::Html).contains("The first 20 are shown in detail."));
}

#[test]
fn what_a_peer_sends_never_becomes_markup() {
    let text = written(&wordy(), Format::Html);
    assert!(text.contains("&lt;script&gt;alert(1)"));
    assert!(!text.contains("<script"));
    let text = written(&wordy(), Format::Mermaid);
    assert!(text.contains("#60;script#62;"));
}

#[test]
fn the_suffix_tells_the_kind() {
    for (path, expected) in [
        ("a.html", Ok(Format::Html)),
        ("dir.md/a.SVG", Ok(Format::Svg)),
        ("a.md", Ok(Format::Markdown)),
        ("a.b.mmd", Ok(Format::Mermaid)),
        (
            "a.pdf",
            Err("no report ends in .pdf; the suffixes are .html, .svg, .md, .mmd"),
        ),
        (
            "md",
            Err("a report's name must end in one of .html, .svg, .md, .mmd"),
        ),
    ] {
        let format = Format::of(Path::new(path)).map_err(|error| error.to_string());
        assert_eq!(format, expected.map_err(str::to_owned), "{path}");
    }
}

#[test]
fn an_empty_run_has_a_report_too() {
    for (_, format) in Format::ALL {
        assert!(!written(&[], format).is_empty());
    }
}

#[test]
fn what_the_link_does_is_marked_and_rules_are_listed() {
    let mut rules = RuleSet::new();
    for text in ["drop out SYN-ACK #1", "delay 4s out SYN-ACK"] {
        rules.add(text.parse().unwrap());
    }
    let report = |format| {
        let mut out = Vec::new();
        let mut report = Report::new(&mut out, format, Lang::En);
        let mut view = View::new();
        report.rules_are(&rules);
        for event in interfered() {
            view.event(&event);
            report.event(&view, &event).unwrap();
        }
        report.finish(&view).unwrap();
        String::from_utf8(out).unwrap()
    };
    let html = report(Format::Html);
    for words in [
        "<li>rule 1: drop out SYN-ACK #1 (1 packet)</li>",
        "dropped (rule 1)",
        "held back 4 s (rule 2)",
        "after 4.000 s",
        "meant: P. 1:6(5) ack 1",
        ">dropped on the way<",
    ] {
        assert!(html.contains(words), "{words}");
    }
    let mermaid = report(Format::Mermaid);
    let lines: Vec<&str> = mermaid.lines().map(str::trim).collect();
    let line = |words: &str| *lines.iter().find(|line| line.contains(words)).unwrap();
    assert!(line("dropped (rule 1)").starts_with("T-xP: "), "{mermaid}");
    assert!(line("held back 4 s").starts_with("T--)P: "), "{mermaid}");
    assert!(line("after 4.000 s").starts_with("T->>P: "), "{mermaid}");
    assert!(line("made by rule 6").starts_with("P->>T: "), "{mermaid}");
    let markdown = report(Format::Markdown);
    assert!(
        markdown.contains("- rule 2: delay 4s out SYN-ACK (1 packet)"),
        "{markdown}"
    );
}

#[test]
fn the_peers_way_is_told_beside_ours() {
    let mut script = Script::new();
    script.password().peer_closes(3, 28);
    let (_, record) = collect(&script.events);
    let way = |steps: &[super::record::Step]| -> Vec<String> {
        let told = steps
            .iter()
            .map(|step| format!("{} {}", step.from, step.to));
        told.collect()
    };
    let flow = record.flows.values().next().unwrap();
    assert_eq!(
        way(&flow.peer_path()),
        [
            "CLOSED SYN-SENT",
            "SYN-SENT ESTABLISHED",
            "ESTABLISHED FIN-WAIT-1",
            "FIN-WAIT-1 FIN-WAIT-2",
            "FIN-WAIT-2 TIME-WAIT",
        ]
    );
    assert_eq!(
        way(&flow.path),
        [
            "LISTEN SYN-RECEIVED",
            "SYN-RECEIVED ESTABLISHED",
            "ESTABLISHED CLOSE-WAIT",
            "CLOSE-WAIT LAST-ACK",
            "LAST-ACK CLOSED",
        ]
    );
    let page = written(&script.events, Format::Html);
    assert!(page.contains("States of both ends"), "{page}");
    assert!(page.contains("FIN-WAIT-2 → TIME-WAIT: segment "), "{page}");
}
