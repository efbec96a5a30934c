//! What is tried on arbitrary bytes: each of these takes whatever there is, and panics where a promise is broken.

use smoltcp::time::{Duration, Instant};
use tcplab::capture::{Capture, Observer};
use tcplab::event::Event;
use tcplab::fault::{Rule, parse_rules};
use tcplab::scenario::{Kernel, On, Scenario, parse_lines};
use tcplab::segment::{Origin, SeqNumber, describe};
use tcplab::sink::Sink;
use tcplab::sink::jsonl::JsonLines;
use tcplab::sink::ladder::{Ladder, Options};
use tcplab::sink::report::{Format, Report};
use tcplab::view::View;

use crate::play::Play;
use crate::step::{self, Setup};
use crate::watched::Watched;

type Target = fn(&[u8]);

/// All of them, by name.
pub(crate) const ALL: [(&str, Target); 6] = [
    ("parser", parser),
    ("rules", rules),
    ("scenario", scenario),
    ("capture", capture),
    ("edits", edits),
    ("engine", engine),
];

/// One packet: what is said of it is so, and can be printed.
fn parser(bytes: &[u8]) {
    let described = describe(bytes);
    if let Some(payload) = described.payload() {
        let total_len = described.ip.expect("a payload needs a header").total_len;
        assert!(payload.start <= payload.end && payload.end <= total_len);
        assert!(total_len <= bytes.len());
    }
    let origin = Origin {
        seq: Some(SeqNumber(u32::MAX)),
        ack: Some(SeqNumber(1)),
    };
    for origin in [Origin::default(), origin] {
        let notation = described.notation(origin);
        for text in [format!("{notation}"), format!("{notation:#}")] {
            assert!(!text.is_empty() && text == text.trim(), "{text:?}");
        }
    }
}

/// A file of rules: a mistake is where it is said to be; a rule means the same when it is written as it prints itself.
fn rules(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match parse_rules(&text) {
        Ok(rules) => rules.iter().for_each(reads_as_it_prints),
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in errors {
                let line = text.lines().nth(error.line - 1);
                assert!(line.is_some() || text.is_empty(), "{error:?}");
                assert!(!error.to_string().is_empty());
                let _ = error.found();
            }
        }
    }
}

fn reads_as_it_prints(rule: &Rule) {
    let printed = rule.to_string();
    let again: Rule = match printed.parse() {
        Ok(again) => again,
        Err(error) => panic!("{} prints itself as {printed}: {error}", rule.text),
    };
    assert_eq!(again.scope, rule.scope, "{printed}");
    assert_eq!(again.action, rule.action, "{printed}");
    assert_eq!(again.to_string(), printed);
}

/// A scenario, and its expectations alone; a short one of a client of ours is carried out.
fn scenario(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Err(error) = parse_lines(&text, 1) {
        let line = text.lines().nth(error.line).expect("a line of the text");
        assert!(line.get(error.at.clone()).is_some(), "{error:?}");
    }
    match text.parse::<Scenario>() {
        Ok(scenario) => {
            for fault in &scenario.faults {
                reads_as_it_prints(&fault.rule);
            }
            let is_short = scenario.limit(On::Simulator) <= SHORT
                && scenario.linger(On::Simulator) <= SHORT
                && scenario.client.latency >= QUICK;
            if is_short {
                let _ = scenario.simulate(Kernel::default());
            }
        }
        Err(error) => {
            let lines = text.lines().count().max(1);
            assert!((1..=lines + 1).contains(&error.line), "{error:?}");
            assert!(!error.message.is_empty() && !error.to_string().is_empty());
        }
    }
}

/// What is carried out runs no longer, in simulated time, and over no quicker wire.
const SHORT: Duration = Duration::from_secs(1);
const QUICK: Duration = Duration::from_millis(1);

/// A capture, from the file to what is drawn of it.
fn capture(bytes: &[u8]) {
    let Ok(mut capture) = Capture::new(bytes) else {
        return;
    };
    let mut observer = Observer::new(std::time::Duration::ZERO);
    let mut screen = Screen::new();
    let mut frames = 0;
    while let Ok(Some(frame)) = capture.next_frame() {
        assert!(frame.bytes.len() <= frame.whole_len.min(bytes.len()));
        observer.frame(frame);
        screen.take_all(&mut observer);
        frames += 1;
        assert!(frames <= bytes.len(), "packets out of nothing");
    }
    observer.finish();
    screen.take_all(&mut observer);
    screen.finish();
}

/// Whoever looks at events.
struct Screen {
    view: View,
    ladder: Ladder,
    json: JsonLines<Vec<u8>>,
    report: Report<Vec<u8>>,
    events: u64,
    last: Instant,
}

impl Screen {
    fn new() -> Screen {
        let options = Options::default();
        Screen {
            view: View::of_capture(),
            ladder: Ladder::new(options),
            json: JsonLines::new(Vec::new()),
            report: Report::new(Vec::new(), Format::Svg, Default::default()),
            events: 0,
            last: Instant::ZERO,
        }
    }

    fn take_all(&mut self, observer: &mut Observer) {
        while let Some(event) = observer.poll_event() {
            self.take(&event);
        }
    }

    fn take(&mut self, event: &Event) {
        self.events += 1;
        assert_eq!(event.number, self.events);
        assert!(self.last <= event.at, "{event:?}");
        self.last = event.at;
        self.view.event(event);
        let mut out = Vec::new();
        self.ladder.event(&self.view, event, &mut out).unwrap();
        self.json.event(&self.view, event).unwrap();
        self.report.event(&self.view, event).unwrap();
    }

    fn finish(mut self) {
        self.ladder.flush(&mut Vec::new()).unwrap();
        self.json.finish(&self.view).unwrap();
        self.report.finish(&self.view).unwrap();
    }
}

/// More copies of a packet are not made.
const MOST_COPIES: u32 = 20;

/// A rule (up to the first newline) and a packet, which goes through an engine that obeys the rule.
fn edits(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (text, packet) = bytes.split_at(end.unwrap_or(bytes.len()));
    let packet = packet.get(1..).unwrap_or_default();
    let Ok(rule) = String::from_utf8_lossy(text).parse::<Rule>() else {
        return;
    };
    // Copies of a datagram are answered with as many copies each: that ends, but late.
    let printed = rule.to_string();
    let mut words = printed.split_whitespace();
    let copies = words.find(|word| *word == "duplicate").and(words.next());
    if copies.is_some_and(|copies| copies.parse().is_ok_and(|copies: u32| copies > MOST_COPIES)) {
        return;
    }
    let mut setup = Setup::with([]);
    setup.config.rules.add(rule);
    let mut watched = Watched::new(setup);
    watched.peers.tampered = true;
    watched.packet(packet.to_vec());
    watched.packet(packet.to_vec());
    watched.wait(Instant::from_secs(1_000));
    watched.end();
}

/// Peers, networks, time and whatever a person may do, see [`step::read`].
pub(crate) fn engine(bytes: &[u8]) {
    let (setup, steps) = step::read(bytes);
    if step::shows() {
        println!("{setup:?}");
    }
    let mut play = Play::new(setup);
    for step in steps {
        if step::shows() {
            println!("{step:?}");
        }
        play.take(step);
    }
    play.serve_a_good_client();
    play.watched.end();
}
