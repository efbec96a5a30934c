//! `--quiz`: a learner who answers by a pipe, in a simulation and in a lab.

use std::io::{Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// No question takes that long to be asked.
const BOUND: Duration = Duration::from_secs(30);

/// What is right in the demonstration, in the order of the questions.
const RIGHT: [&str; 17] = [
    "S 0",
    "SYN_RCVD",
    "SA 0 1",
    "[.] 1 1",
    "established",
    "P. 1 1",
    "ack 1 17",
    "PSH-ACK seq=17 ack=4",
    "FIN,ACK 4 29",
    "close wait",
    "A 29 5",
    "LAST_ACK",
    "FA 29 5",
    "A 5 30",
    "closed",
    "",
    "",
];

#[test]
fn the_demonstration_can_be_foretold() {
    for (lang, score) in [
        ("en", "Quiz: 34 of 34 right\n"),
        ("zh", "34 题中答对 34 题"),
    ] {
        let output = answered(&["demo", "--quiz", "--lang", lang], &RIGHT.join("\n"));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        assert!(said.contains(score), "{said}");
        // Every answer stands behind its question, and what is asked is shown after that.
        let syn = said.find("[.] 1 1").unwrap();
        assert!(!said[..syn].contains("── . ack 1 ──"), "{said}");
        assert!(said[syn..].contains("── . ack 1 ──"), "{said}");
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            "连接成功\n请输入密码:\n123\n进入成功\nHello\n"
        );
    }
}

#[test]
fn the_end_of_the_answers_is_the_end_of_the_quiz() {
    for (args, answers, expected) in [
        (
            &["demo", "--quiz"][..],
            "",
            "Quiz: no question was answered\n",
        ),
        (&["demo", "--quiz"], "S 0\nq\n", "Quiz: 2 of 2 right\n"),
        (
            &["run", "--quiz", "--", "curl", "-4sSo/dev/null", "lab.test"],
            "SYN 0\nESTABLISHED",
            "Quiz: 2 of 3 right\n  after LISTEN: SYN-RECEIVED, not ESTABLISHED\n",
        ),
    ] {
        let output = answered(args, answers);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        assert!(said.ends_with(expected), "{said}");
        assert!(said.contains("The quiz is over"), "{said}");
        // The rest is shown.
        assert!(said.contains("LAST-ACK (CLOSE)"), "{said}");
    }
}

/// The kernel sends its SYN again after a second. That is no question, and the conversation goes on.
#[test]
fn in_a_lab_packets_wait_for_a_slow_learner() {
    let client = "printf 123 | nc -4 -N lab.test 1111";
    let mut learner = Learner::start(&["run", "--quiz", "--", "sh", "-c", client]);
    learner.wait_for("Segment 1 from the peer to tcplab: flags, seq, ack? ");
    sleep(Duration::from_millis(2_300));
    learner.say("SYN 0");
    learner.wait_for("Next state? ");
    learner.say("SYN-RECEIVED");
    learner.wait_for("from tcplab to the peer: flags, seq, ack? ");
    learner.say("SYN,ACK 0 1");
    learner.wait_for("ack? ");
    assert!(
        learner
            .said
            .ends_with("from the peer to tcplab: flags, seq, ack? "),
        "{}",
        learner.said
    );
    learner.say("q");
    let (code, said) = learner.finish();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Quiz: 6 of 6 right\n"), "{said}");
    let syns = said.matches(" S 0:0(0) ").count();
    assert_eq!(syns, 1, "copies are not shown: {said}");
    assert!(
        said.contains("closed by the peer first (FIN), then by tcplab (FIN)"),
        "{said}"
    );
}

fn start(args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_tcplab"))
        .args(args)
        .env("LC_ALL", "C.UTF-8")
        .env_remove("RUST_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn answered(args: &[&str], answers: &str) -> Output {
    let mut child = start(args);
    let mut input = child.stdin.take().unwrap();
    input.write_all(answers.as_bytes()).unwrap();
    drop(input);
    child.wait_with_output().unwrap()
}

struct Learner {
    child: Child,
    said: String,
}

impl Learner {
    fn start(args: &[&str]) -> Learner {
        Learner {
            child: start(args),
            said: String::new(),
        }
    }

    /// Reads on until the end of what was said is `text`.
    fn wait_for(&mut self, text: &str) {
        let since = Instant::now();
        let mut bytes = std::mem::take(&mut self.said).into_bytes();
        let begun = bytes.len();
        let stderr = self.child.stderr.as_mut().unwrap();
        while bytes.len() == begun || !bytes.ends_with(text.as_bytes()) {
            let mut byte = [0];
            let len = stderr.read(&mut byte).unwrap();
            let said = String::from_utf8_lossy(&bytes);
            assert!(len == 1 && since.elapsed() < BOUND, "no {text:?}: {said}");
            bytes.push(byte[0]);
        }
        self.said = String::from_utf8(bytes).unwrap();
    }

    fn say(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
    }

    fn finish(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        let stderr = self.child.stderr.as_mut().unwrap();
        stderr.read_to_string(&mut rest).unwrap();
        let code = self.child.wait().unwrap().code();
        (code, self.said + &rest)
    }
}
