//! The faults and the kernel's TCP: curl, ping and Python meet them in labs.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use tcplab::fault::catalogue::{self, Fault, Group, Outcome};
use tcplab::fault::{Action, Rule, RuleSet};

const TCPLAB: &str = env!("CARGO_BIN_EXE_tcplab");

/// No run takes longer, in seconds, however busy the machine is.
const BOUND: &str = "120";

/// Runs a program with the right environment, and kills it when it takes too long.
fn bounded(arguments: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command
        .args(["--kill-after=5", BOUND])
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .env("TCPLAB", TCPLAB)
        .stdin(Stdio::null());
    for name in ["RUST_LOG", "NO_COLOR", "http_proxy", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command
}

/// Runs a shell's command line in a lab.
fn run(options: &[&str], line: &str) -> Said {
    let arguments = [&[TCPLAB, "run"], options, &["--", "sh", "-c", line]].concat();
    Said::of(bounded(&arguments).output().unwrap())
}

/// What a run has said.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Said {
    fn of(output: Output) -> Said {
        Said {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A file that is gone when the test is over.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let name = format!("tcplab-{}-{name}", std::process::id());
        Scratch(std::env::temp_dir().join(name))
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// The events that were written to it.
    fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.0).unwrap();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn blackhole_runs_into_the_clients_own_limit() {
    let said = run(
        &[],
        "exec curl -sS --connect-timeout 2 http://blackhole.test/",
    );
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (Some(28), ""),
        "{said:?}"
    );
}

#[test]
fn refuse_is_heard_at_once() {
    // Curl would wait for ever.
    let said = run(&[], "exec curl -sS http://refuse.test/");
    assert_eq!((said.code, said.stdout.as_str()), (Some(7), ""), "{said:?}");
}

#[test]
fn two_syn_acks_are_crossed_out() {
    let said = run(
        &["--lang", "en"],
        "exec curl -4sS -o /dev/null http://synack-lost-2.test/",
    );
    assert_eq!(said.code, Some(0), "{said:?}");
    let lines = said.stderr.lines();
    let crossed_out = lines.filter(|line| line.contains("✗─ S. 0:0(0) ack 1"));
    assert_eq!(crossed_out.count(), 2, "{}", said.stderr);
    assert!(
        said.stderr.contains("drop out SYN-ACK #1..2"),
        "{}",
        said.stderr
    );
    assert!(said.stderr.contains("── S 0:0(0)"), "{}", said.stderr);
}

/// `name version max-time` on standard input, `name version code` on standard output.
const CURLS: &str = "
    while read -r name version limit; do
        (
            curl \"$version\" -sS -o /dev/null --max-time \"$limit\" \"http://$name.test/\" 2> /dev/null
            echo \"$name $version $?\"
        ) &
    done <<END
";

#[test]
fn curl_meets_what_is_expected_at_every_address() {
    const TIMED_OUT: i32 = 28;
    let tries: String = catalogue::faults()
        .flat_map(|fault| {
            // What only a limit of the client's own ends is not waited for.
            let limit = if fault.expected.within.is_some() {
                60
            } else {
                4
            };
            ["-4", "-6"].map(|version| format!("{} {version} {limit}\n", fault.name))
        })
        .collect();
    let said = run(&["--quiet"], &format!("{CURLS}{tries}END\nwait"));
    assert_eq!(said.code, Some(0), "{said:?}");
    let codes: BTreeMap<(&str, &str), i32> = said
        .stdout
        .lines()
        .map(|line| {
            let mut words = line.split(' ');
            let mut word = || words.next().unwrap();
            ((word(), word()), word().parse().unwrap())
        })
        .collect();
    assert_eq!(codes.len(), 2 * catalogue::faults().count());
    let mut wrong = Vec::new();
    for ((name, version), code) in codes {
        let expected = catalogue::find(name).unwrap().expected;
        let right = match (expected.outcome, expected.within) {
            (_, None) => code == TIMED_OUT,
            (Outcome::Answers, _) => code == 0,
            // Not connected, cut off, empty, or an error while it sends or receives.
            (Outcome::Fails, _) => [7, 18, 52, 55, 56].contains(&code),
            (Outcome::Either, _) => code != TIMED_OUT,
        };
        if !right {
            wrong.push(format!("{name} {version}: {code}, expected {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// 200 connections at once, to as many hosts as are named, each with a request; all stay until the end.
const CROWD: &str = "
import selectors, socket, sys, time
hosts, waiting = sys.argv[1:], selectors.DefaultSelector()
for i in range(200):
    host = hosts[i % len(hosts)]
    s = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET)
    s.setblocking(False)
    s.connect_ex((host, 80))
    waiting.register(s, selectors.EVENT_WRITE)
end = time.monotonic() + 8
while time.monotonic() < end:
    for key, _ in waiting.select(0.1):
        s = key.fileobj
        if key.events == selectors.EVENT_WRITE and not s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            s.send(b'GET / HTTP/1.1\\r\\nHost: lab.test\\r\\nUser-Agent: a client among many\\r\\n\\r\\n')
            waiting.modify(s, selectors.EVENT_READ)
            continue
        try: more = s.recv(65536)
        except OSError: more = b''
        if not more or b'segment.\\n' in more:
            waiting.unregister(s)
            s.close()
";

#[test]
fn each_of_200_connections_meets_its_own_fault_and_nobody_elses() {
    let own = [
        "192.0.2.2/24".parse().unwrap(),
        "2001:db8::2/64".parse().unwrap(),
    ];
    let mut rules = RuleSet::new();
    catalogue::add_to(&mut rules, &own);
    let faults: BTreeMap<String, &Fault> = catalogue::addressed(&own)
        .take(40)
        .enumerate()
        .map(|(number, (fault, addresses))| (addresses[number % 2].to_string(), fault))
        .collect();
    let hosts: Vec<&str> = faults.keys().map(String::as_str).collect();
    let file = Scratch::new("crowd.jsonl");
    let python = [
        TCPLAB,
        "run",
        "--quiet",
        "--json",
        file.path(),
        "--",
        "python3",
        "-c",
        CROWD,
    ];
    let said = Said::of(bounded(&[&python[..], &hosts].concat()).output().unwrap());
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{said:?}");

    // Which rules have decided about each flow, and which knobs it was given.
    let mut met: BTreeMap<u64, (String, BTreeSet<&str>)> = BTreeMap::new();
    let events = file.events();
    for event in &events {
        let Some(flow) = event["flow"].as_u64() else {
            continue;
        };
        if event["kind"] == "opened" {
            let local: std::net::SocketAddr = event["local"].as_str().unwrap().parse().unwrap();
            met.insert(flow, (local.ip().to_string(), BTreeSet::new()));
        }
        let Some((_, met)) = met.get_mut(&flow) else {
            continue;
        };
        if let Some(rule) = event["fate"]["rule"].as_u64() {
            let rule = rules.rule(tcplab::event::RuleId(rule as u32));
            met.insert(&rule.unwrap().text);
        }
        // Other notes tell what comes of a fault.
        let note = event["text"].as_str().filter(|_| event["kind"] == "note");
        met.extend(note.filter(|note| note.starts_with("set ")));
    }
    assert_eq!(met.len(), 200);
    for (flow, (host, met)) in met {
        let fault = faults[&host];
        let foreign = met.iter().find(|rule| !fault.rules.contains(rule));
        assert_eq!(foreign, None, "{flow} at {host} ({})", fault.name);
        // Faults of closing need a client that closes so; those of the backlog let no connection begin.
        let strikes = |rule: &Rule| match rule.action {
            Action::Set(knobs) => knobs.backlog.is_none(),
            _ => fault.group() != Group::Closing,
        };
        assert!(
            !met.is_empty() || !fault.parsed().any(|rule| strikes(&rule)),
            "{flow} at {host}"
        );
    }
}

/// In a network of its own, where one may capture. The ping at the end shows that the capture has come so far.
const CAPTURED: &str = r#"
    set -e
    PATH=$PATH:/usr/sbin:/sbin
    "$TCPLAB" serve --quiet --json "$1" 2> "$1.ready" &
    serve=$!
    # What still runs would keep the test waiting.
    trap 'rm -f "$1.ready" "$1.dump" "$1.seen"; kill $serve $dump 2> /dev/null || true' EXIT
    until grep -q '^ready' "$1.ready"; do kill -0 $serve; sleep 0.05; done
    tcpdump -i tcplab0 -n -tt -l --immediate-mode 'dst host 192.0.2.10' > "$1.seen" 2> "$1.dump" &
    dump=$!
    until grep -q '^listening' "$1.dump"; do kill -0 $dump; sleep 0.05; done
    curl -sS --connect-timeout 8 http://192.0.2.10/ 2> /dev/null || echo "curl $?"
    ping -c 1 -W 1 192.0.2.10 > /dev/null || true
    until grep -q 'ICMP echo' "$1.seen"; do kill -0 $dump; sleep 0.05; done
    kill -INT $dump
    wait $dump
    cat "$1.seen"
    kill $serve
    wait $serve
"#;

#[test]
fn the_syns_of_a_blackhole_are_those_that_tcpdump_saw() {
    let file = Scratch::new("syns.jsonl");
    // Nothing of it is seen outside of this network namespace.
    let unshare: &[&str] = match nix::unistd::geteuid().is_root() {
        true => &["unshare", "--net"],
        // Not as its root: tcpdump would try to become somebody else.
        false => &["unshare", "--net", "--map-current-user", "--keep-caps"],
    };
    let shell = ["sh", "-c", CAPTURED, "sh", file.path()];
    let said = Said::of(bounded(&[unshare, &shell].concat()).output().unwrap());
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stdout.contains("curl 28\n"), "{said:?}");
    let captured: Vec<f64> = said
        .stdout
        .lines()
        .filter(|line| line.contains("Flags [S]"))
        .map(|line| line.split(' ').next().unwrap().parse().unwrap())
        .collect();
    let told = file
        .events()
        .iter()
        .filter(|event| event["tcp"]["flags"] == "S")
        .count();
    assert_eq!(told, captured.len(), "{said:?}");
    let gaps: Vec<f64> = captured.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let expected = syn_gaps();
    assert!(gaps.len() >= 3 && gaps.len() <= expected.len(), "{gaps:?}");
    for (gap, expected) in gaps.iter().zip(&expected) {
        assert!(
            (expected * 0.8..expected * 1.5).contains(gap),
            "{gaps:?}, expected {expected:?}"
        );
    }
}

/// The seconds between SYNs, as this kernel is told (ip-sysctl): the initial RTO, so often as it stays the same, and then
/// twice as much each time.
fn syn_gaps() -> Vec<f64> {
    let setting = |name: &str| -> Option<usize> {
        let text = fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).ok()?;
        text.trim().parse().ok()
    };
    // Kernels before 6.5 know no linear time-outs.
    let linear = setting("tcp_syn_linear_timeouts").unwrap_or(0);
    let retries = setting("tcp_syn_retries").unwrap();
    let doubled = |count: usize| 2f64.powi(count.saturating_sub(linear) as i32);
    (0..retries + linear).map(doubled).collect()
}

#[test]
fn the_initial_rto_is_doubled_after_the_linear_time_outs() {
    let gaps = syn_gaps();
    assert_eq!(gaps[0], 1.0);
    assert!(gaps.is_sorted());
}

#[test]
fn other_networks_have_the_faults_too() {
    let options = [
        "--net",
        "198.51.100.0/24",
        "--net6",
        "2001:db8:7::/64",
        "--quiet",
    ];
    let line = "curl -sS --max-time 60 http://198.51.100.11/; echo $?
        curl -4sS --max-time 60 http://refuse.test/; echo $?
        curl -sS --max-time 60 'http://[2001:db8:7::11]/'; echo $?
        getent ahostsv4 zero-window.test | head -n 1";
    let said = run(&options, line);
    let lines: Vec<_> = said.stdout.lines().collect();
    assert_eq!(lines[..3], ["7", "7", "7"], "{said:?}");
    assert!(lines[3].starts_with("198.51.100.44 "), "{said:?}");
    // A network of 16 addresses has room for a few.
    let line = "getent ahostsv4 prohibited.test; getent ahostsv4 blackhole.test | head -n 1";
    let said = run(&["--net", "198.51.100.0/28", "--quiet"], line);
    assert!(said.stdout.starts_with("198.51.100.10 "), "{said:?}");
}

#[test]
fn rules_that_were_asked_for_come_first() {
    let options = ["--rule", "pass any", "--quiet"];
    let said = run(
        &options,
        "exec curl -sS -o /dev/null --max-time 60 http://refuse.test/",
    );
    assert_eq!(said.code, Some(0), "{said:?}");
}

#[test]
fn addresses_of_faults_answer_pings() {
    let line = "ping -c 1 -W 30 iss-wrap.test > /dev/null && ping -6 -c 1 -W 30 fin-never.test > /dev/null &&
        ! ping -c 1 -W 1 blackhole.test > /dev/null";
    let said = run(&["--quiet"], line);
    assert_eq!(said.code, Some(0), "{said:?}");
}
