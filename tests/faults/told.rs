//! What is said of each fault of the catalogue: no sentence that the segment itself, or the next packet, contradicts.

use super::wire::{LIMIT, Rig, http};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use tcplab::event::{Event, EventKind};
use tcplab::fault::catalogue::{self, Fault};
use tcplab::sink::ladder::{Ladder, Options};
use tcplab::sink::story::Depth;
use tcplab::sink::{Screen, summary};
use tcplab::view::View;
use tcplab::words::Lang;

const SCREEN: Screen = Screen {
    width: 132,
    colour: false,
    unicode: true,
};

/// What sentences are known by, in one language.
struct Words {
    /// That the sender will send it again.
    promise: &'static str,
    keep_alive: &'static str,
    probe: &'static str,
    shut: &'static str,
    still_shut: &'static str,
    open: &'static str,
    update: &'static str,
    mss: (&'static str, &'static str),
    scale: (&'static str, &'static str),
    received: &'static str,
    /// What stands before the first number that is held, and before the first that is missing.
    held: (&'static str, &'static str),
    forged: &'static str,
    damaged: &'static str,
    timeout: &'static str,
    again: &'static str,
    refuses: &'static str,
    /// The mark of a retransmission, and of a packet that a rule has made.
    retransmission: &'static str,
    made: &'static str,
    /// The rows of the summary.
    closed: &'static str,
    states: &'static str,
    by_rule: &'static str,
    by_tcplab: &'static str,
}

impl Words {
    /// What sentences on some fault must have, which is not broken by the end of a line.
    fn of_sentences(&self) -> [&'static str; 16] {
        [
            self.promise,
            self.probe,
            self.shut,
            self.still_shut,
            self.open,
            self.mss.0,
            self.mss.1,
            self.scale.0,
            self.received,
            self.held.0,
            self.held.1,
            self.forged,
            self.damaged,
            self.timeout,
            self.again,
            self.refuses,
        ]
    }
}

const ENGLISH: Words = Words {
    promise: "retransmits it",
    keep_alive: "keep-alive probe",
    probe: "window probe",
    shut: "window 0:",
    still_shut: "window is still 0",
    open: "the window is open again",
    update: "window update",
    mss: ("segments with up to ", " bytes of data (MSS)"),
    scale: ("windows count in units of ", " byte"),
    received: " more",
    held: ("holds ", "between "),
    forged: "forged by rule",
    damaged: "damaged in transit",
    timeout: "retransmission timeout:",
    again: "the SYN arrived again",
    refuses: "refuses the connection",
    retransmission: " retransmission",
    made: "made by rule",
    closed: "closed",
    states: "states",
    by_rule: "by rule",
    by_tcplab: "by tcplab",
};

const CHINESE: Words = Words {
    promise: "就会重传",
    keep_alive: "保活探测",
    probe: "窗口探测",
    shut: "窗口为 0：",
    still_shut: "窗口仍为 0",
    open: "窗口重新打开",
    update: "只更新窗口",
    mss: ("报文段最多携带 ", " 字节数据（MSS）"),
    scale: ("以后的窗口以 ", " 字节为单位"),
    received: "又收到了 ",
    held: ("已经有 ", "从 "),
    forged: "伪造：",
    damaged: "在途中损坏",
    timeout: "没有及时收到确认",
    again: "SYN 再次到达",
    refuses: "拒绝连接",
    retransmission: " 重传",
    made: "伪造",
    closed: "关闭",
    states: "状态",
    by_rule: "规则",
    by_tcplab: "tcplab",
};

/// A line of a ladder with what stands below it.
#[derive(Debug, Default)]
struct Rung {
    /// Its lines without blanks at their ends, the sentences left out.
    line: String,
    said: Vec<String>,
}

impl Rung {
    fn is_out(&self) -> bool {
        self.line.contains("◀─") || self.line.contains("✗─") || self.line.contains("├─")
    }

    /// Whether it comes out of the link.
    fn arrives(&self) -> bool {
        self.line.contains('▶') || self.line.contains('◀')
    }

    /// The number behind `word`.
    fn number(&self, word: &str) -> Option<u64> {
        number_after(&self.line, word)
    }

    /// The window in bytes that it states, where its sender's SYN has offered to shift windows by `shift`.
    fn window(&self, shift: u64) -> Option<u64> {
        let is_syn = self.line.contains(" S 0:0") || self.line.contains(" S. 0:0");
        let field = self.number(" win ")?;
        Some(if is_syn { field } else { field << shift })
    }
}

fn number_after(text: &str, word: &str) -> Option<u64> {
    let rest = &text[text.find(word)? + word.len()..];
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// A ladder of one connection, and its summary.
struct Told {
    rungs: Vec<Rung>,
    summary: Vec<String>,
}

impl Told {
    fn read(text: &str) -> Told {
        let mut rungs: Vec<Rung> = Vec::new();
        let mut summary = Vec::new();
        let mut is_over = false;
        for line in text.lines() {
            let words = line.trim();
            if line.starts_with('#') {
                is_over = true;
            }
            // The log.
            if line.starts_with('[') {
                continue;
            }
            if is_over {
                summary.push(line.to_owned());
            } else if line.starts_with(|char: char| char.is_ascii_digit()) {
                rungs.push(Rung {
                    line: words.to_owned(),
                    ..Rung::default()
                });
            } else if let Some(rung) = rungs.last_mut() {
                match (words.strip_prefix("↳ "), rung.said.last_mut()) {
                    (Some(sentence), _) => rung.said.push(sentence.to_owned()),
                    (None, Some(sentence)) => *sentence += &format!(" {words}"),
                    (None, None) => rung.line += &format!(" {words}"),
                }
            }
        }
        Told { rungs, summary }
    }

    fn row(&self, name: &str) -> Option<&str> {
        let prefix = format!("   {name}");
        let found = self.summary.iter().find(|line| line.starts_with(&prefix));
        found.map(|line| line[prefix.len()..].trim())
    }

    /// What is wrong with what is said.
    fn objections(&self, words: &Words) -> Vec<String> {
        let mut wrong = Vec::new();
        // The newest windows that have come out of the link, and the shift counts: in, out.
        let mut windows: [Option<u64>; 2] = [None, None];
        let mut received = [0, 0];
        for (index, rung) in self.rungs.iter().enumerate() {
            let direction = usize::from(rung.is_out());
            let is_forged = rung.line.contains(words.made) && rung.line.contains("R.");
            let mut object = |why: &str, sentence: &str| {
                wrong.push(format!("{why}: {sentence:?} at {}", rung.line));
            };
            let next = self.rungs.get(index + 1);
            let window = rung.window(0).filter(|_| !is_forged);
            for said in &rung.said {
                let has = |part: &str| said.contains(part);
                if said.trim().is_empty() || has("{") || has("}") {
                    object("not a sentence", said);
                }
                if rung.said.iter().filter(|other| *other == said).count() > 1 {
                    object("said twice", said);
                }
                let answered = next.is_some_and(|next| {
                    next.line.contains(words.made)
                        && (next.line.contains(" R") || next.line.contains("icmp"))
                });
                if has(words.promise) && answered {
                    object("answered by the next packet", said);
                }
                if has(words.keep_alive) && windows[1 - direction] == Some(0) {
                    object("the window is shut", said);
                }
                if has(words.probe) && windows[1 - direction] != Some(0) {
                    object("the window is not shut", said);
                }
                if (said.starts_with(words.shut) || has(words.still_shut)) && window != Some(0) {
                    object("the window is not 0", said);
                }
                if (has(words.open) || has(words.update)) && window == Some(0) {
                    object("the window is 0", said);
                }
                if has(words.mss.1) && number_after(said, words.mss.0) != rung.number("mss ") {
                    object("another MSS", said);
                }
                if let Some(unit) = number_after(said, words.scale.0)
                    && Some(unit) != rung.number("wscale ").map(|shift| 1 << shift)
                {
                    object("another shift count", said);
                }
                if has(words.forged) && !rung.line.contains(words.made) {
                    object("no rule has made it", said);
                }
                if let (Some(held), Some(missing)) = (
                    number_after(said, words.held.0),
                    number_after(said, words.held.1),
                ) && (held as u32).wrapping_sub(missing as u32) as i32 <= 0
                {
                    object("nothing is missing there", said);
                }
                if has(words.damaged) && !rung.line.contains("[bad checksum]") {
                    object("not damaged", said);
                }
                let repeats_syn = index > 0 && {
                    let before = &self.rungs[index - 1];
                    let same_time = before.line.split(' ').next() == rung.line.split(' ').next();
                    same_time && before.line.contains(" S 0:0") && rung.is_out()
                };
                if has(words.timeout) && repeats_syn {
                    object("the SYN has come again", said);
                }
                if (has(words.again) || has(words.timeout))
                    && !rung.line.contains(words.retransmission)
                {
                    object("not a retransmission", said);
                }
                if has(words.refuses) && !rung.line.contains("R. 0:0") {
                    object("no RST", said);
                }
                if said.starts_with("ack ") || said.starts_with("确认序号") {
                    let bytes = bytes_received(said, words);
                    received[direction] += bytes;
                }
            }
            if rung.arrives() && window.is_some() {
                windows[direction] = window;
            }
        }
        for (row, received) in [("in", received[1]), ("out", received[0])] {
            let row = match (words.closed, row) {
                ("closed", row) => row,
                (_, "in") => "收到",
                _ => "发出",
            };
            let sent = self.row(row).and_then(bytes_in_row);
            if sent.is_none_or(|sent| received > sent) {
                wrong.push(format!(
                    "{row}: {sent:?} bytes were sent, {received} received"
                ));
            }
        }
        self.object_to_summary(words, &mut wrong);
        wrong
    }

    fn object_to_summary(&self, words: &Words, wrong: &mut Vec<String>) {
        let resets = |made: bool| {
            self.rungs.iter().any(|rung| {
                let is_reset = rung.line.contains(" R. ") || rung.line.contains(" R ");
                is_reset && rung.is_out() && rung.line.contains(words.made) == made
            })
        };
        let closed = self.row(words.closed).unwrap_or("");
        let is_right = closed.contains(words.by_rule) && !closed.contains(words.by_tcplab);
        if closed.contains("RST") && resets(true) && !resets(false) && !is_right {
            wrong.push(format!("a rule has reset it: {closed:?}"));
        }
        if self.row(words.states).is_none_or(str::is_empty) {
            wrong.push("there is no state".into());
        }
        let all = self.rungs.iter().flat_map(|rung| &rung.said);
        for text in all.chain(&self.summary) {
            for never in ["RTT 0.000", "rtt 0.000", "SRTT 0 ", "250.000 ms"] {
                if text.contains(never) {
                    wrong.push(format!("never measured: {text}"));
                }
            }
            for plural in [" 1 packets", " 1 segments", " 1 bytes", " 1 connections"] {
                if format!(" {text}").contains(plural) {
                    wrong.push(format!("one is not many: {text}"));
                }
            }
        }
    }
}

/// How many bytes a sentence says have been received, which is all that it acknowledges.
fn bytes_received(said: &str, words: &Words) -> u64 {
    match words.closed {
        "closed" => {
            let Some(end) = said.find(words.received) else {
                return 0;
            };
            let start = said[..end].find("received ");
            start
                .and_then(|start| number_after(&said[start..], "received "))
                .unwrap_or(0)
        }
        _ => number_after(said, words.received).unwrap_or(0),
    }
}

/// `80 bytes in 9 segments`, `9 个报文段，共 80 字节`.
fn bytes_in_row(row: &str) -> Option<u64> {
    match row.split_once("共 ") {
        Some((_, rest)) => number_after(rest, ""),
        None => number_after(row, ""),
    }
}

/// The ladder and the summary of what one end has seen.
fn draw(events: &[Event], rules: &tcplab::fault::RuleSet, lang: Lang, explain: Depth) -> String {
    let mut view = View::new();
    let mut ladder = Ladder::new(Options {
        screen: SCREEN,
        verbose: 2,
        explain,
        lang,
        time_wait: None,
        keep: false,
    });
    ladder.rules_are(rules);
    let mut out = Vec::new();
    for event in events {
        view.event(event);
        ladder.event(&view, event, &mut out).unwrap();
    }
    ladder.flush(&mut out).unwrap();
    summary::write(&view, rules, lang, SCREEN, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[track_caller]
fn check(told: Vec<(String, String, &Words)>) {
    let mut wrong = Vec::new();
    for (name, text, words) in told {
        let told = Told::read(&text);
        assert!(!told.rungs.is_empty(), "{name}: {text}");
        for objection in told.objections(words) {
            wrong.push(format!("{name}: {objection}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Between two engines, in virtual time, at its own address.
#[test]
fn no_sentence_is_contradicted() {
    let mut all = Vec::new();
    for fault in catalogue::faults() {
        for (network, lang, words) in [
            ("192.0.2.2/24", Lang::En, &ENGLISH),
            ("2001:db8::2/64", Lang::Zh, &CHINESE),
        ] {
            let mut config = Rig::server();
            catalogue::add_to(&mut config.rules, &config.addresses);
            let rules = config.rules.clone();
            let mut rig = Rig::with(config);
            let address = fault.address_in(network.parse().unwrap()).unwrap();
            rig.connect_to(address, 80, http);
            rig.run(LIMIT + 15);
            let events = rig.events();
            for depth in [Depth::Normal, Depth::Deep] {
                let text = draw(&events, &rules, lang, depth);
                all.push((format!("{} {depth:?}", fault.name), text, words));
            }
        }
    }
    check(all);
}

/// What a rule, a service or the stack says of itself is data of the events; all else is said in the words of a language.
#[test]
fn a_story_in_chinese_has_no_english_sentence() {
    for fault in catalogue::faults() {
        let mut config = Rig::server();
        catalogue::add_to(&mut config.rules, &config.addresses);
        let rules = config.rules.clone();
        let mut rig = Rig::with(config);
        let address = fault.address_in("192.0.2.2/24".parse().unwrap()).unwrap();
        rig.connect_to(address, 80, http);
        rig.run(LIMIT + 15);
        let events = rig.events();
        assert!(
            events
                .iter()
                .any(|event| matches!(event.kind, EventKind::Packet(_)))
        );
        let told = Told::read(&draw(&events, &rules, Lang::Zh, Depth::Normal));
        for said in told.rungs.iter().flat_map(|rung| &rung.said) {
            let is_chinese = said.chars().any(|char| char > '\u{4e00}');
            assert!(is_chinese, "{}: {said}", fault.name);
        }
    }
}

/// Between the kernel and tcplab, with the client that the catalogue proposes and a limit of its own.
#[test]
fn no_sentence_is_contradicted_by_the_kernel() {
    let waiting: Vec<(&Fault, &str)> = catalogue::faults()
        .flat_map(|fault| [(fault, "en"), (fault, "zh")])
        .collect();
    let waiting = Mutex::new(waiting);
    let work = || {
        let mut told = Vec::new();
        loop {
            let next = waiting.lock().unwrap().pop();
            let Some((fault, lang)) = next else {
                return told;
            };
            let words = if lang == "en" { &ENGLISH } else { &CHINESE };
            told.push((
                format!("{} {lang}", fault.name),
                request(fault, lang),
                words,
            ));
        }
    };
    let all: Vec<(String, String, &Words)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..6).map(|_| scope.spawn(work)).collect();
        let told = workers.into_iter().map(|worker| worker.join().unwrap());
        told.flatten().collect()
    });
    // Otherwise a sentence has changed, and nothing is known by these words any more.
    for words in [&ENGLISH, &CHINESE] {
        for part in words.of_sentences() {
            let is_there = all.iter().any(|(_, text, _)| text.contains(part));
            assert!(is_there, "{part:?} is said of no fault");
        }
    }
    assert_eq!(all.len(), 2 * catalogue::faults().count());
    check(all);
}

/// What tcplab says while curl meets the fault.
fn request(fault: &Fault, lang: &str) -> String {
    // What only a limit of the client's own ends is not waited for.
    let limit = fault.expected.within.map_or(4, |within| within.secs() + 2);
    let output = Command::new("timeout")
        .args(["--kill-after=5", "60", env!("CARGO_BIN_EXE_tcplab"), "run"])
        .args(["-vv", "--explain", "deep", "--lang", lang, "--"])
        .args(["curl", "-4", "-s", "-o", "/dev/null", "--max-time"])
        .args([&limit.to_string(), &format!("http://{}.test/", fault.name)])
        .env("LC_ALL", "C.UTF-8")
        .env_remove("RUST_LOG")
        .env_remove("http_proxy")
        .env_remove("ALL_PROXY")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8(output.stderr).unwrap()
}
