use super::*;

#[test]
fn every_edge_joins_its_boxes_and_is_legal() {
    let touches = |state: TcpState, (x, y): (f64, f64)| {
        NODES.iter().any(|(other, mx, my)| {
            *other == state && (x - mx).abs() <= HALF.0 && (y - my).abs() <= HALF.1
        })
    };
    for edge in EDGES {
        let (from, to) = (edge.from, edge.to);
        assert!(from.may_become(to), "{from} → {to}");
        assert!(
            touches(from, edge.points[0]),
            "{from} → {to} begins elsewhere"
        );
        assert!(
            touches(to, edge.points[edge.points.len() - 1]),
            "{from} → {to} ends elsewhere"
        );
    }
}

#[test]
fn an_edge_is_taken_only_for_its_own_reason() {
    use crate::event::{Cause, PacketId, Timer, UserCall};
    let segment = Cause::Segment(PacketId(1));
    for (from, to, cause, reset, expected) in [
        (Listen, SynReceived, segment, false, true),
        (SynReceived, Listen, segment, true, true),
        (LastAck, Closed, segment, false, true),
        (LastAck, Closed, segment, true, false),
        (LastAck, Closed, Cause::Timeout(Timer::User), false, false),
        (
            TimeWait,
            Closed,
            Cause::Timeout(Timer::TimeWait),
            false,
            true,
        ),
        (SynSent, Closed, segment, true, false),
        (SynSent, Closed, Cause::Call(UserCall::Close), false, true),
        (
            Established,
            Closed,
            Cause::Call(UserCall::Abort),
            false,
            false,
        ),
        (FinWait1, TimeWait, segment, false, false),
    ] {
        let time = Default::default();
        let step = Step {
            from,
            to,
            cause: Some(cause),
            reset,
            time,
        };
        assert_eq!(in_figure(&step), expected, "{from} → {to}: {cause:?}");
    }
}

#[test]
fn both_ways_are_seen_where_they_take_the_same_edges() {
    use crate::event::{Cause, PacketId};
    let states = [Established, FinWait1, Closing, TimeWait];
    let steps = |first: u64| -> Vec<Step> {
        let pairs = states.windows(2).zip(first..);
        pairs
            .map(|(pair, id)| Step {
                from: pair[0],
                to: pair[1],
                cause: Some(Cause::Segment(PacketId(id))),
                reset: false,
                time: Default::default(),
            })
            .collect()
    };
    let ways = [
        Way::ours("tcplab".into(), steps(1)),
        Way::peers("peer (inferred)".into(), steps(11)),
    ];
    let Drawing { body, .. } = diagram(Lang::En, "both", &ways);
    for (what, count) in [
        ("<path class=\"taken\"", 3),
        ("<path class=\"peer\"", 3),
        // One at each edge, and one at the head of its list.
        ("<circle class=\"badge\"", 4),
        ("<rect class=\"peer-badge\"", 4),
        // Both end in TIME-WAIT, one frame inside the other.
        (" taken\"", 1),
        (" peer\"", 1),
        (">tcplab</text>", 1),
        (">peer (inferred)</text>", 1),
        ("CLOSING → TIME-WAIT: segment 3<", 1),
        ("CLOSING → TIME-WAIT: segment 13<", 1),
    ] {
        assert_eq!(body.matches(what).count(), count, "{what} in {body}");
    }
    let places = |shape: &str| -> Vec<String> {
        let found = body.split(shape).skip(1);
        found
            .map(|rest| rest.split('>').next().unwrap().to_owned())
            .collect()
    };
    // The lines lie side by side.
    let (ours, peers) = (
        places("<path class=\"taken\""),
        places("<path class=\"peer\""),
    );
    assert!(ours.iter().all(|path| !peers.contains(path)));
    for edge in &EDGES {
        assert_ne!(beside(edge, 0.0), beside(edge, 4.0));
    }
}

#[test]
fn no_words_overlap_anything() {
    let apart =
        |a: [f64; 4], b: [f64; 4]| a[2] <= b[0] || b[2] <= a[0] || a[3] <= b[1] || b[3] <= a[1];
    for lang in [Lang::En, Lang::Zh] {
        check_words(lang, apart);
    }
}

fn check_words(lang: Lang, apart: impl Fn([f64; 4], [f64; 4]) -> bool) {
    let words: Vec<(String, [f64; 4])> = EDGES
        .iter()
        .flat_map(|edge| labels(lang, edge).map(move |label| (edge, label)))
        .map(|(edge, label)| {
            let name = format!("{} → {}: {}", edge.from, edge.to, label.text);
            (name, label.area())
        })
        .collect();
    let mut things = words.clone();
    for (state, x, y) in NODES {
        things.push((
            state.to_string(),
            [x - HALF.0, y - HALF.1, x + HALF.0, y + HALF.1],
        ));
    }
    for edge in EDGES {
        let name = format!("{} → {}", edge.from, edge.to);
        for aside in [0.0, 4.0] {
            let (x, y) = beside(&edge, aside);
            things.push((
                format!("{name} badge"),
                [x - 10.0, y - 10.0, x + 10.0, y + 10.0],
            ));
        }
        for pair in edge.points.windows(2) {
            let ((ax, ay), (bx, by)) = (pair[0], pair[1]);
            // Also if the peer's way is drawn aside.
            let area = [
                ax.min(bx) - 1.0,
                ay.min(by) - 1.0,
                ax.max(bx) + 5.0,
                ay.max(by) + 5.0,
            ];
            things.push((format!("{name} line"), area));
        }
    }
    for (at, (word, area)) in words.iter().enumerate() {
        assert!(
            area[0] >= 0.0 && area[2] <= svg::WIDTH && area[1] >= 0.0,
            "{word} is cut off"
        );
        for (thing, other) in &things[at + 1..] {
            assert!(apart(*area, *other), "{word} overlaps {thing}");
        }
    }
}
