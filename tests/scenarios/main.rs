//! Scenario files, as a person or a machine of continuous integration runs them. Those that need a lab make one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const TCPLAB: &str = env!("CARGO_BIN_EXE_tcplab");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Nothing here takes longer, on however slow a machine.
const BOUND: Duration = Duration::from_secs(300);

/// A client that is content.
const PASSES: &str = "about = \"It passes\"\n[client]\nservice = \"echo\"\nsend = \"hello\"\n\
                      [expect]\nexit = 0\nstdout = \"hello\"\nlines = \"in S\"\n";

/// What is expected in this one is wrong in many ways.
const FAILS: &str = r#"about = "It # fails"
faults = ["drop out SYN-ACK #1"]
[client]
service = "echo"
send = "hello"
[expect]
exit = 3
stdout = "hullo"
duration = "5.."
lines = '''
  0        in  S  0:0(0)
  +0..0.5  out S. 0:0(0) ack 1 delivered       // it comes after a second
  state TIME-WAIT
count in S 7
never out F*
'''
"#;

/// A folder of its own for each test, gone at its end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let path = std::env::temp_dir().join(format!("tcplab-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Place(path)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// tcplab with these arguments, there.
    fn start(&self, arguments: &[&str]) -> Child {
        Command::new(TCPLAB)
            .args(arguments)
            .current_dir(&self.0)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    #[track_caller]
    fn test(&self, arguments: &[&str]) -> Said {
        finish(self.start(&[&["test"], arguments].concat()))
    }

    /// The sums of a JUnit file are these, in both places, and its time is one. Returns what its errors say.
    #[track_caller]
    fn check_junit(&self, name: &str, sums: &[(&str, usize)]) -> Vec<String> {
        let text = fs::read_to_string(self.0.join(name)).unwrap();
        let xml = roxmltree::Document::parse(&text);
        let xml = xml.unwrap_or_else(|error| panic!("{error}\n{text}"));
        for suites in ["testsuites", "testsuite"] {
            let suite = xml.descendants().find(|node| node.has_tag_name(suites));
            let suite = suite.unwrap();
            for (sum, count) in sums {
                let count = count.to_string();
                assert_eq!(suite.attribute(*sum), Some(&*count), "{sum}\n{text}");
            }
            let time = suite.attribute("time").unwrap();
            assert!(time.parse::<f64>().unwrap() >= 0.0 && !time.starts_with('-'));
        }
        let errors = xml.descendants().filter(|node| node.has_tag_name("error"));
        errors
            .map(|error| error.text().unwrap_or_default().to_owned())
            .collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Said {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Waits for the end, while what is said is read.
#[track_caller]
fn finish(child: Child) -> Said {
    let pid = Pid::from_raw(child.id() as i32);
    let reader = thread::spawn(move || child.wait_with_output().unwrap());
    let since = Instant::now();
    while !reader.is_finished() {
        if since.elapsed() > BOUND {
            let _ = kill(pid, Signal::SIGKILL);
            panic!("not over after {BOUND:?}");
        }
        thread::sleep(Duration::from_millis(5));
    }
    let output = reader.join().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// The lines that begin so.
fn lines<'a>(text: &'a str, begin: &str) -> Vec<&'a str> {
    text.lines()
        .filter(|line| line.starts_with(begin))
        .collect()
}

#[test]
fn all_scenarios_that_ship_pass() {
    let place = Place::new("ship");
    let folder = Path::new(ROOT).join("examples/scenarios");
    let said = place.test(&["--jobs", "4", folder.to_str().unwrap()]);
    assert_eq!(said.code, 0, "{}\n{}", said.stdout, said.stderr);
    let passed = lines(&said.stdout, "ok ");
    assert!(passed.len() >= 30, "{}", passed.len());
    assert!(passed.iter().all(|line| !line.contains("# SKIP")));
    assert_eq!(said.stderr, "");
}

/// The whole answer to a scenario that fails, word for word. It is simulated, so nothing in it is chance.
#[test]
fn a_scenario_that_fails_is_explained() {
    let place = Place::new("fails");
    place.write("fails.toml", FAILS);
    let said = place.test(&["fails.toml"]);
    assert_eq!((said.code, said.stderr.as_str()), (1, ""));
    let timeless: Vec<&str> = said
        .stdout
        .lines()
        .map(|line| {
            if line.starts_with("  duration_ms: ") {
                "  duration_ms: N"
            } else {
                line
            }
        })
        .collect();
    insta::assert_snapshot!(timeless.join("\n"));
}

/// So is the one in the README.
#[test]
fn the_readme_tells_the_truth_about_a_failure() {
    let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    let block = |begin: &str| -> &str {
        let from = readme.find(begin).unwrap_or_else(|| panic!("no {begin}"));
        let text = readme[from..].split_once('\n').unwrap().1;
        text.split("```").next().unwrap()
    };
    let place = Place::new("readme");
    place.write("late.toml", block("```toml\n# late.toml"));
    let said = place.test(&["late.toml"]);
    let shown = block("```text\nTAP version 14");
    let duration = |line: &&str| !line.starts_with("  duration_ms: ");
    let mut seen = said.stdout.lines().filter(duration);
    for line in shown
        .lines()
        .filter(duration)
        .take_while(|line| *line != "…")
    {
        assert_eq!(seen.next(), Some(line), "{}", said.stdout);
    }
}

#[test]
fn exit_codes() {
    let place = Place::new("codes");
    place.write("passes.toml", PASSES);
    place.write("fails.toml", FAILS);
    place.write(
        "broken.toml",
        "about = \"x\"\n[client]\nsteps = [\"jump\"]\n",
    );
    place.write("empty/readme.txt", "no scenario");
    for (arguments, code, said_of_it) in [
        (&["passes.toml"][..], 0, ""),
        (&["passes.toml", "fails.toml"], 1, ""),
        (&["empty"], 2, "there are no scenarios"),
        (
            &["passes.toml", "--filter", "nosuchword"],
            2,
            "no scenario has \"nosuchword\"",
        ),
        (
            &["passes.toml", "--junit", "no/such/folder.xml"],
            2,
            "cannot write no/such/folder.xml",
        ),
    ] {
        let said = place.test(arguments);
        assert_eq!(said.code, code, "{arguments:?}: {}", said.stderr);
        assert!(
            said.stderr.contains(said_of_it),
            "{arguments:?}: {}",
            said.stderr
        );
        assert_eq!(
            said.stdout.is_empty(),
            code == 2,
            "{arguments:?}: {}",
            said.stdout
        );
    }
}

/// What can't be run is an error of its own, and everything else runs.
#[test]
fn errors_are_results_too() {
    let place = Place::new("errors");
    let missing = "about = \"x\"\n[client]\nrun = [\"nosuchcommand\"]\n";
    place.write("set/a.toml", missing);
    place.write(
        "set/b.toml",
        "about = \"x\"\n[client]\nsteps = [\"jump\"]\n",
    );
    place.write("set/c.toml", PASSES);
    let arguments = ["set", "gone.toml", "--jobs", "1", "--junit", "out.xml"];
    let said = place.test(&arguments);
    assert_eq!(said.code, 2, "{}", said.stdout);
    let results: Vec<&str> = said
        .stdout
        .lines()
        .filter(|line| line.starts_with("ok ") || line.starts_with("not ok "))
        .collect();
    assert_eq!(
        results,
        [
            "not ok 1 - set/a.toml: x",
            "not ok 2 - set/b.toml",
            "ok 3 - set/c.toml: It passes",
            "not ok 4 - gone.toml"
        ]
    );
    let why = [
        "set/a.toml: no such command: nosuchcommand",
        "set/b.toml:3:10: expected a step",
        "gone.toml: cannot read it: No such file or directory",
    ];
    for why in why {
        let (in_tap, on_stderr) = (format!("\n    {why}"), format!("tcplab: {why}"));
        assert!(said.stdout.contains(&in_tap), "{why}\n{}", said.stdout);
        assert!(said.stderr.contains(&on_stderr), "{why}\n{}", said.stderr);
    }
    let sums = [("tests", 4), ("failures", 0), ("errors", 3), ("skipped", 0)];
    let errors = place.check_junit("out.xml", &sums);
    assert_eq!(errors.len(), 3);
    for (error, why) in errors.iter().zip(why) {
        assert!(error.starts_with(why), "{error}");
    }

    // One that fails is no reason to say that all could be run, and the list leaves out what is none.
    place.write("set/d.toml", FAILS);
    assert_eq!(place.test(&["set"]).code, 2);
    let said = place.test(&["--list", "set"]);
    assert_eq!(said.code, 2);
    assert_eq!(said.stdout.lines().count(), 3, "{}", said.stdout);
    assert!(
        said.stderr.contains("tcplab: set/b.toml:3:10"),
        "{}",
        said.stderr
    );
}

/// Without a lab, what needs none runs, and the result is not green.
#[test]
fn no_lab_is_an_error_and_no_reason_to_skip() {
    let place = Place::new("no-lab");
    place.write("a.toml", "about = \"x\"\n[client]\nrun = \"true\"\n");
    place.write("b.toml", "about = \"y\"\n[client]\nrun = \"true\"\n");
    place.write("c.toml", PASSES);
    let line = "mount -t tmpfs none /dev/net && exec \"$TCPLAB\" test --junit out.xml .";
    let privileges: &[&str] = match nix::unistd::geteuid().is_root() {
        true => &[],
        false => &["--map-root-user"],
    };
    let mut command = Command::new("unshare");
    command.arg("--mount").args(privileges);
    command.args(["sh", "-c", line]).env("TCPLAB", TCPLAB);
    command.current_dir(&place.0).env_remove("RUST_LOG");
    command.stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let said = finish(command.spawn().unwrap());
    assert_eq!(said.code, 2, "{}{}", said.stdout, said.stderr);
    assert_eq!(lines(&said.stdout, "not ok ").len(), 2, "{}", said.stdout);
    assert_eq!(lines(&said.stdout, "ok 3 - ").len(), 1, "{}", said.stdout);
    // The reason is the same for both, and said once.
    assert_eq!(
        said.stderr.matches("no private lab").count(),
        1,
        "{}",
        said.stderr
    );
    assert!(said.stderr.contains("modprobe tun"), "{}", said.stderr);
    let sums = [("tests", 3), ("failures", 0), ("errors", 2), ("skipped", 0)];
    let errors = place.check_junit("out.xml", &sums);
    assert!(errors.iter().all(|error| error.contains("no private lab")));
}

/// All parts together are all scenarios, each once; a part that has none is content.
#[test]
fn shards_share_them_out() {
    let place = Place::new("shards");
    for number in 0..7 {
        let text = PASSES.replace("It passes", &format!("Number {number}"));
        place.write(&format!("set/{number}.toml"), &text);
    }
    let whole = place.test(&["--list", "set"]).stdout;
    assert_eq!(whole.lines().count(), 7);
    for of in [1, 2, 3, 8] {
        let parts: Vec<String> = (1..=of)
            .map(|part| {
                place
                    .test(&["--list", "--shard", &format!("{part}/{of}"), "set"])
                    .stdout
            })
            .collect();
        let together: Vec<&str> = parts.iter().flat_map(|part| part.lines()).collect();
        assert_eq!(together.len(), 7);
        let (together, whole): (BTreeSet<_>, BTreeSet<_>) =
            (together.into_iter().collect(), whole.lines().collect());
        assert_eq!(together, whole);
    }
    let said = place.test(&["--shard", "8/8", "set"]);
    assert_eq!(
        (said.code, lines(&said.stdout, "1..0").len()),
        (0, 1),
        "{}",
        said.stdout
    );
    let said = place.test(&["--filter", "Number 3", "set"]);
    assert_eq!(lines(&said.stdout, "ok "), ["ok 1 - set/3.toml: Number 3"]);
}

#[test]
fn junit_is_xml_and_counts() {
    let place = Place::new("junit");
    place.write(
        "a.toml",
        &PASSES.replace("It passes", "<&'> \\u0007 passes"),
    );
    place.write("b.toml", FAILS);
    place.write("c.toml", "about = \"x\"\n[client]\nrun = \"true\"\n");
    let said = place.test(&["--simulate", "--junit", "out.xml", "."]);
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert_eq!(lines(&said.stdout, "ok 3 - ").len(), 1);
    assert!(
        said.stdout.contains("# SKIP its client is a command"),
        "{}",
        said.stdout
    );

    let sums = [("tests", 3), ("failures", 1), ("errors", 0), ("skipped", 1)];
    assert!(place.check_junit("out.xml", &sums).is_empty());
    let text = fs::read_to_string(place.0.join("out.xml")).unwrap();
    let xml = roxmltree::Document::parse(&text).unwrap();
    let suite = xml
        .descendants()
        .find(|node| node.has_tag_name("testsuite"))
        .unwrap();
    let cases: Vec<_> = suite.children().filter(|node| node.is_element()).collect();
    assert_eq!(cases.len(), 3);
    assert_eq!(cases[0].attribute("name"), Some("<&'> \u{fffd} passes"));
    let failures = cases[1]
        .children()
        .filter(|node| node.has_tag_name("failure"));
    assert!(failures.count() >= 4);
    assert!(cases[2].children().any(|node| node.has_tag_name("skipped")));
}

/// Steps are carried out by our own stack and by the kernel's, to the same end.
#[test]
fn the_same_steps_run_in_both_places() {
    let place = Place::new("both");
    place.write("a.toml", PASSES);
    for place_of_it in ["--simulate", "--live"] {
        let said = place.test(&[place_of_it, "a.toml"]);
        assert_eq!(
            said.code, 0,
            "{place_of_it}: {}\n{}",
            said.stdout, said.stderr
        );
    }
}

/// What was recorded passes when it is run.
#[test]
fn a_recording_passes() {
    let place = Place::new("record");
    for (name, options, command) in [
        (
            "curl.toml",
            &[][..],
            &["curl", "-sS", "http://{host}:{port}/"][..],
        ),
        (
            "fault.toml",
            &[],
            &["curl", "-sS", "http://synack-lost-1.test/"],
        ),
        (
            "refused.toml",
            &["--force"],
            &["nc", "-z", "lab.test", "4321"],
        ),
    ] {
        let record = [&["--record", name], options, &["--"], command].concat();
        let said = place.test(&record);
        assert_eq!(said.code, 0, "{}", said.stderr);
        assert!(said.stderr.contains("is written"), "{}", said.stderr);
        let text = fs::read_to_string(place.0.join(name)).unwrap();
        let said = place.test(&[name]);
        assert_eq!(said.code, 0, "{text}\n{}", said.stdout);
        // It is not overwritten.
        let said = place.test(&[&["--record", name, "--"], command].concat());
        assert_eq!(said.code, 2, "{}", said.stdout);
        assert!(said.stderr.contains("--force"), "{}", said.stderr);
        assert_eq!(fs::read_to_string(place.0.join(name)).unwrap(), text);
    }
    let text = fs::read_to_string(place.0.join("fault.toml")).unwrap();
    assert!(text.contains("count in S new 1"), "{text}");
    let said = place.test(&["--record", "never.toml", "--", "nosuchcommand"]);
    assert_eq!(said.code, 2);
    assert!(!place.0.join("never.toml").exists());
}

/// A failure is recorded only where that is asked for.
#[test]
fn a_failure_is_not_recorded_without_a_word() {
    let place = Place::new("failure");
    let command = ["--", "sh", "-c", "echo out; echo err >&2; exit 6"];
    let said = place.test(&[&["--record", "a.toml"], &command[..]].concat());
    assert_eq!((said.code, said.stdout.as_str()), (2, "out\n"));
    assert!(
        said.stderr.starts_with("err\ntcplab: nothing is recorded")
            && said.stderr.contains("it ended with 6")
            && said.stderr.contains("--force"),
        "{}",
        said.stderr
    );
    assert!(!place.0.join("a.toml").exists());
    let said = place.test(&[&["--record", "a.toml", "--force"], &command[..]].concat());
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(
        said.stderr
            .contains("that it fails is now what is expected"),
        "{}",
        said.stderr
    );
    assert_eq!(place.test(&["a.toml"]).code, 0);
}

/// Every fault has its name in a scenario too, whatever the scenario is about, and each name one address.
#[test]
fn the_names_of_faults_resolve() {
    let place = Place::new("names");
    let resolve = "import socket, sys; \
                   [print(name, *{a[4][0] for a in socket.getaddrinfo(name, 80)}) for name in sys.argv[1:]]";
    for (ip, at, expected) in [
        (4, "", "lab.test 192.0.2.2\\nrefuse.test 192.0.2.11\\n"),
        (
            6,
            "at = \"refuse\"\n",
            "lab.test 2001:db8::2\\nrefuse.test 2001:db8::11\\n",
        ),
    ] {
        let run = format!("[\"python3\", \"-c\", \"{resolve}\", \"lab.test\", \"refuse.test\"]");
        let name = format!("{ip}.toml");
        let text = format!(
            "about = \"x\"\n[client]\n{at}ip = {ip}\nrun = {run}\n[expect]\nstdout = \"{expected}\"\n"
        );
        place.write(&name, &text);
        let said = place.test(&[&name]);
        assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
    }
    // And the fault is there.
    place.write(
        "refused.toml",
        "about = \"x\"\n[client]\nrun = \"nc -z refuse.test 80\"\n[expect]\nexit = 1\nlines = \"out R*\"\n",
    );
    let said = place.test(&["refused.toml"]);
    assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
}

/// A client is ended when its time is over, with what it has started.
#[test]
fn a_limit_is_kept() {
    let place = Place::new("limit");
    place.write(
        "a.toml",
        "about = \"It never ends\"\nlimit = 1\n[client]\nrun = \"sleep 1000 & echo $! > pid; wait\"\n",
    );
    let said = place.test(&["a.toml"]);
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert!(
        said.stdout.contains("still running when its time was over"),
        "{}",
        said.stdout
    );
    let pid = fs::read_to_string(place.0.join("pid")).unwrap();
    let process = Path::new("/proc").join(pid.trim());
    let since = Instant::now();
    // A zombie of somebody else's is as good as gone.
    while fs::read_to_string(process.join("stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(since.elapsed() < BOUND, "{} is still there", pid.trim());
        thread::sleep(Duration::from_millis(5));
    }
}

/// A signal ends everything, and the exit code tells.
#[test]
fn a_signal_ends_all_jobs() {
    let place = Place::new("signal");
    for number in 0..4 {
        let began = place.0.join(format!("began-{number}"));
        let text = format!(
            "about = \"Number {number}\"\nlimit = {}\n[client]\nrun = \"touch {} && sleep 1000\"\n",
            BOUND.as_secs(),
            began.display()
        );
        place.write(&format!("{number}.toml"), &text);
    }
    let child = place.start(&["test", "--jobs", "2", "--junit", "out.xml", "."]);
    let since = Instant::now();
    let begun = |number| place.0.join(format!("began-{number}")).exists();
    while !(begun(0) && begun(1)) {
        assert!(since.elapsed() < BOUND, "nothing began");
        thread::sleep(Duration::from_millis(5));
    }
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let said = finish(child);
    assert_eq!(said.code, 130, "{}", said.stdout);
    assert!(
        said.stdout.ends_with("Bail out! interrupted\n"),
        "{}",
        said.stdout
    );
    assert!(!begun(2), "another one was begun");
    // No result is green that is none.
    let sums = [("tests", 4), ("failures", 0), ("errors", 4), ("skipped", 0)];
    place.check_junit("out.xml", &sums);
}
