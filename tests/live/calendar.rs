//! A calendar that is set while the program runs: what it times goes by another clock.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::helper::{self, User};
use crate::rig::{BOUND, command};
use crate::serve::serve;

/// Where the shim finds what it shares with this test: by how many seconds CLOCK_REALTIME is off, how often it was asked.
const SHARED: &str = "TCPLAB_TEST_CALENDAR";

/// Stands between the program and libc's clocks.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static volatile struct { int64_t off, asked; } *shared;
static int (*asked)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
    asked = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int file = open(getenv("TCPLAB_TEST_CALENDAR"), O_RDWR | O_CLOEXEC);
    shared = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (file < 0 || shared == MAP_FAILED)
        abort();
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = asked(clock, time);
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) {
        time->tv_sec += shared->off;
        __atomic_fetch_add(&shared->asked, 1, __ATOMIC_RELAXED);
    }
    return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    struct timespec now;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return result;
}

time_t time(time_t *told) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (told)
        *told = now.tv_sec;
    return now.tv_sec;
}
"#;

#[test]
fn setting_it_disturbs_no_connection() {
    helper::run("calendar", User::OwnNetwork);
}

/// An hour ahead and a day back, while a packet is delayed and while one that got lost is to be sent again.
pub(crate) fn set() {
    let calendar = Calendar::new();
    let events = file("calendar.jsonl");
    let mut options = vec!["serve", "-vv", "--json", events.to_str().unwrap()];
    for rule in ["delay 700ms out data #1..4", "drop out data #5"] {
        options.extend(["--rule", rule]);
    }
    let mut command = command(&options);
    command
        // Its folder may have a blank in its name, which ends a name in that list.
        .env("LD_PRELOAD", calendar.shim.file_name().unwrap())
        .env("LD_LIBRARY_PATH", calendar.shim.parent().unwrap())
        .env(SHARED, &calendar.shared)
        // Whose lines have the date: it asks the calendar all the time.
        .env("RUST_LOG", "info");
    let (running, _) = serve(command);
    let mut stream = TcpStream::connect("192.0.2.2:7").unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    let begun = Instant::now();
    let hour = 3_600;
    // The delayed ones; then a loss, with two steps before its timeout.
    for steps in [&[hour][..], &[-23 * hour], &[0], &[0], &[hour, -23 * hour]] {
        let sent = Instant::now();
        stream.write_all(b"what time is it?").unwrap();
        for off in steps {
            thread::sleep(Duration::from_millis(300));
            calendar.set(*off);
        }
        let mut back = [0; 16];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"what time is it?");
        let waited = sent.elapsed();
        assert!(waited > Duration::from_millis(650), "{waited:?}");
    }
    // 4 × 0.7 seconds, then a timeout of a second at least.
    let whole = begun.elapsed();
    assert!(whole > Duration::from_millis(3_700), "{whole:?}");
    assert!(whole < BOUND, "{whole:?}");
    drop(stream);
    thread::sleep(Duration::from_millis(200));
    let asked = calendar.asked();
    assert!(asked > 10, "it was asked {asked} times");
    running.signal(Signal::SIGTERM);
    let outcome = running.finish().expect(0, "");
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
    outcome.shows(&["closed  by the peer first (FIN), then by tcplab (FIN)"]);
    // That the program has seen it jump is told by its log.
    let log = outcome.stderr.lines();
    let dates: Vec<&str> = log.filter(|line| line.starts_with('[')).collect();
    assert!(dates.len() > 5 && !dates.is_sorted(), "{dates:?}");
    let said = fs::read_to_string(&events).unwrap();
    let times: Vec<f64> = said
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter_map(|event| event["at"].as_f64())
        .collect();
    assert!(times.len() > 20, "{times:?}");
    assert!(times.is_sorted(), "{times:?}");
    let last = times[times.len() - 1];
    assert!((3.7..BOUND.as_secs_f64()).contains(&last), "{last}");
}

/// What the program takes for CLOCK_REALTIME.
struct Calendar {
    shim: PathBuf,
    shared: PathBuf,
}

impl Calendar {
    fn new() -> Calendar {
        let (source, shim) = (file("calendar.c"), file("calendar.so"));
        fs::write(&source, SHIM).unwrap();
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-o"]);
        let made = cc.args([&shim, &source]).arg("-ldl").output();
        let made = made.expect("cc is missing: run setup/test.sh");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "{said}");
        let shared = file("calendar.shared");
        fs::write(&shared, [0; 4_096]).unwrap();
        Calendar { shim, shared }
    }

    /// It is off by so many seconds from now on.
    fn set(&self, seconds: i64) {
        let shared = OpenOptions::new().write(true).open(&self.shared).unwrap();
        shared.write_all_at(&seconds.to_ne_bytes(), 0).unwrap();
    }

    /// How often it was asked.
    fn asked(&self) -> i64 {
        let shared = fs::read(&self.shared).unwrap();
        i64::from_ne_bytes(shared[8..16].try_into().unwrap())
    }
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}
