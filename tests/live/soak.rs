//! The long haul: clients of all kinds, good and bad, and faults; afterwards everything is as it was before.
//!
//! It takes 15 seconds, or as many as `TCPLAB_SOAK_SECONDS` says:
//! `TCPLAB_SOAK_SECONDS=3600 cargo test --test live soak -- --nocapture`.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use tcplab::view::FINISHED_KEPT;

use crate::helper::{self, User};
use crate::rig::{clean, command, python};
use crate::serve::{serve, shell};

/// Read by the soak itself, as a helper has its own environment from the test that starts it.
const SECONDS: &str = "TCPLAB_SOAK_SECONDS";
/// How long everything may take to be as before: longer than the longest timer that is asked for.
const SETTLES: Duration = Duration::from_secs(90);
/// After so long what is free has been given back.
const GIVES_BACK: Duration = Duration::from_secs(35);
/// What an allocator may keep, besides a tenth: threads that have served metrics leave arenas of theirs.
const KEPT: u64 = 1 << 20;
/// What is remembered of a connection that is over, for the summary at the end, up to a certain number of them; with what is
/// remembered of exchanges and refused connections, of which there is less than one for each.
const REMEMBERED: u64 = 2048;
/// Clients come for no longer at a time; then it's looked whether everything is as before.
const ROUND: u64 = 150;

/// None of them is about the first packet of a connection, which would be waited for for minutes.
const RULES: [&str; 7] = [
    "drop both data chance 3%",
    "delay 20ms in data chance 5%",
    "reorder out data chance 3%",
    "duplicate 2 in data chance 3%",
    "drop both FIN chance 5%",
    "edit out data chance 1% checksum=bad",
    "reset both in data chance 0.5%",
];

/// One client after the other, as long as it is told to; several of these run at once.
const CLIENTS: &str = r#"
end=$(($(date +%s) + SECONDS_LEFT))
i=$OFFSET
while [ "$(date +%s)" -lt "$end" ]; do
    i=$((i + 1))
    case $((i % 9)) in
    0) curl -s -m 5 -o /dev/null http://192.0.2.2/ ;;
    1) curl -s -m 5 -o /dev/null 'http://[2001:db8::2]/' ;;
    2) printf 123456 | nc -N -w 3 192.0.2.2 1111 ;;
    3) printf hello | nc -u -w 1 192.0.2.2 7 ;;
    4) "$PYTHON" -c "$TALKER" 192.0.2.2 ;;
    5) "$PYTHON" -c "$TALKER" 2001:db8::2 ;;
    6) ping -c 1 -W 2 -s 3000 192.0.2.2 ;;
    7) timeout -s KILL 1 nc 192.0.2.2 19 ;;
    8) nc -z -w 2 192.0.2.2 4444 ;;
    esac
done >/dev/null 2>&1
exit 0
"#;

/// Some data there and back, an abort, and one that neither reads nor closes.
const TALKER: &str = "
import os, socket, struct, sys
try:
    echo = socket.create_connection((sys.argv[1], 7), 5)
    data = os.urandom(20000)
    echo.sendall(data)
    echo.shutdown(socket.SHUT_WR)
    got = b''
    while more := echo.recv(65536): got += more
    # What is injected may cut it short; nothing may be wrong.
    assert data.startswith(got), 'not what was sent'
except OSError: pass
try:
    gone = socket.create_connection((sys.argv[1], 19), 5)
    gone.recv(1000)
    gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    gone.close()
    deaf = socket.create_connection((sys.argv[1], 19), 5)
except OSError: pass
";

#[test]
fn soak() {
    helper::run("soak", User::OwnNetwork);
}

pub(crate) fn haul() {
    let seconds = std::env::var(SECONDS).map_or(15, |seconds| seconds.parse().unwrap());
    shell("ip link set lo up");
    let mut options = vec!["serve", "-q", "--metrics", "127.0.0.1:9101"];
    options.extend([
        "--keep-alive",
        "2",
        "--user-timeout",
        "8",
        "--time-wait",
        "2",
    ]);
    for rule in RULES {
        options.extend(["--rule", rule]);
    }
    let serving = serve(command(&options)).0;
    let process = serving.child.id();

    // What is kept for the next connection has been taken from memory by then.
    let first = ROUND.min(seconds / 3);
    clients(first);
    // By then what nobody needs has been given back.
    settle(process, |_| false);
    let before = settle(process, |_| true);
    println!("before   {before:?}");
    let limit = |held: &Held| {
        let since = (held.connections - before.connections).min(FINISHED_KEPT as u64);
        before.memory + before.memory / 10 + KEPT + since * REMEMBERED
    };
    let mut left = seconds - first;
    let mut connections = before.connections;
    while left > 0 {
        let round = left.min(ROUND);
        clients(round);
        left -= round;
        let after = settle(process, |held| held.memory <= limit(held));
        println!("{left:>4} s left {after:?}");
        assert!(after.connections > connections, "nothing has happened");
        assert_eq!(after.descriptors, before.descriptors);
        assert_eq!(after.threads, before.threads);
        assert!(
            after.memory <= limit(&after),
            "{after:?}, before {before:?}"
        );
        connections = after.connections;
    }

    serving.signal(Signal::SIGTERM);
    let said = serving.finish().expect(0, "");
    assert!(!said.stderr.contains("panicked"), "{}", said.stderr);
}

/// Three at a time, each of another kind.
fn clients(seconds: u64) {
    let started = (0..3).map(|offset| {
        let mut clients = clean("sh", &["-c", CLIENTS]);
        clients.env("SECONDS_LEFT", seconds.to_string());
        clients.env("OFFSET", (offset * 3).to_string());
        clients.env("PYTHON", python()).env("TALKER", TALKER);
        clients.spawn().unwrap()
    });
    for mut clients in started.collect::<Vec<_>>() {
        assert!(clients.wait().unwrap().success());
    }
}

/// What a process holds while nobody is there.
#[derive(Debug)]
struct Held {
    connections: u64,
    descriptors: usize,
    threads: usize,
    /// What has been allocated of it and was written to, in bytes.
    memory: u64,
}

/// Waits until no connection is left, the process does nothing and `is_enough`; the latter not for ever.
fn settle(process: u32, is_enough: impl Fn(&Held) -> bool) -> Held {
    let since = Instant::now();
    let proc = format!("/proc/{process}");
    loop {
        let page = metrics();
        let flows: u64 = page
            .iter()
            .filter(|(name, _)| name.starts_with("tcplab_flows{"))
            .map(|(_, count)| count)
            .sum();
        let worked = processor_time(&proc);
        std::thread::sleep(Duration::from_secs(1));
        // In hundredths of a second: a timer that goes off all the time shows.
        let idle = processor_time(&proc) - worked <= 5;
        if flows == 0 && idle {
            let completed = "tcplab_handshakes_total{result=\"completed\"}";
            let held = Held {
                connections: page.get(completed).copied().unwrap_or(0),
                descriptors: fs::read_dir(format!("{proc}/fd")).unwrap().count(),
                threads: fs::read_dir(format!("{proc}/task")).unwrap().count(),
                memory: allocated(&proc),
            };
            if is_enough(&held) || since.elapsed() > GIVES_BACK {
                return held;
            }
        }
        assert!(
            since.elapsed() < SETTLES,
            "{flows} connections, idle: {idle}: {page:#?}"
        );
    }
}

fn metrics() -> BTreeMap<String, u64> {
    let page = shell("curl -s -m 10 http://127.0.0.1:9101/metrics");
    assert!(page.ends_with("# EOF\n"), "{page}");
    let counters = page.lines().filter_map(|line| line.rsplit_once(' '));
    counters
        .filter_map(|(name, count)| Some((name.to_owned(), count.parse().ok()?)))
        .collect()
}

/// In clock ticks (proc(5), utime and stime).
fn processor_time(proc: &str) -> u64 {
    let stat = fs::read_to_string(format!("{proc}/stat")).unwrap();
    let fields = stat.rsplit_once(") ").unwrap().1;
    let numbers = fields.split(' ').skip(11).take(2);
    numbers.map(|number| number.parse::<u64>().unwrap()).sum()
}

/// proc_pid_smaps(5).
pub(crate) fn allocated(proc: &str) -> u64 {
    let rollup = fs::read_to_string(format!("{proc}/smaps_rollup")).unwrap();
    let line = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Anonymous:"));
    let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse::<u64>().unwrap() * 1024
}
