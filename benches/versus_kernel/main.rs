//! tcplab against the kernel's own TCP across a veth pair: the same client, in turns.
//!
//! ```text
//! cargo bench --bench versus_kernel                          everything, about a quarter of an hour
//! cargo bench --bench versus_kernel -- --short               less than a minute
//! cargo bench --bench versus_kernel -- --only crr --idle 0   one measure, no idle connections
//! cargo bench --bench versus_kernel -- --help
//! ```
//!
//! Needs a /dev/net/tun that may be opened, and `ip` and `unshare`. All of it happens in network namespaces of its own:
//!
//! ```text
//!   namespace C                                            namespace S
//!   ┌──────────────────────────────────────────────┐       ┌──────────────────────────────┐
//!   │ client (epoll, CUBIC)                        │ veth  │                              │
//!   │   198.18.0.1 ────────────────────────────────┼───────┼─▶ kernel TCP, epoll server   │
//!   │   198.18.1.1 ───▶ TUN ▶ tcplab               │       │   198.19.0.0/24              │
//!   │   198.18.2.1 ───▶ TUN ▶ tcplab, 1,000 idle   │       └──────────────────────────────┘
//!   │   …                                          │
//!   └──────────────────────────────────────────────┘
//! ```
//!
//! Every server is there from the beginning. A round measures each of them once, one after the other, so that whatever else the
//! machine does meets all of them alike; what is printed are medians over the rounds with the least and the most,
//! and ratios, which are taken within each round before the median is.
//!
//! # What is measured
//!
//! | name | what |
//! |---|---|
//! | `echo` | one byte there and back on one connection: median and 99th percentile |
//! | `crr` | connect, request, response (one byte each), close: how many a second, 64 at once |
//! | `crr1` | the same one after the other |
//! | `connect` | connect and reset: how many a second, 64 at once |
//! | `c2s`, `c2s8` | client to server with one connection and with eight |
//! | `s2c`, `s2c8` | server to client, likewise |
//!
//! With these comes what it cost: seconds of CPU for a gigabyte, microseconds for a connection. The kernel's server has
//! less of that than is just, because much of the kernel's TCP runs while others are on the CPU; that of both ends together
//! is fair on one CPU, and it is what to look at where the machine has other things to do.
//!
//! Everything runs with all processes on one CPU, then with servers on one and the client on another. On virtual
//! machines waking a process on another CPU takes tens of microseconds and hides everything: judge latency on one.
//!
//! # The servers
//!
//! `kernel` is what all ratios compare with. `tcplab` runs `serve --quiet`; `json` writes JSON lines to a file;
//! `transitions` is the library with [`Watch::Transitions`](tcplab::event::Watch) and JSON lines to a file; `rules` has rules
//! that are asked about every packet and apply to none; `nice` has a nice value that is 10 better than that of the others, as with
//! `nice -n -10 tcplab serve`; `idle-N` holds N more connections, each of which has exchanged one byte each way. What such a
//! connection costs in resident memory, some seconds after that, is printed first.
//!
//! # How to read it
//!
//! Ratios say more than figures, and the cost of both ends says more than a rate where the machine has other things to do. There,
//! a priority helps, but not `nice` alone where sessions share the CPU as groups (`sched_autogroup_enabled`):
//!
//! ```text
//! setsid -w sh -c 'echo -19 >/proc/self/autogroup; exec nice -n -15 cargo bench --bench versus_kernel'
//! ```
//!
//! # Findings
//!
//! On a virtual machine with two processors (AMD EPYC, kernel 6.18 without preemption), ratios to the kernel, one CPU, medians of
//! twelve rounds (two CPUs and `nice`: six); for comparison [lwIP](https://savannah.nongnu.org/projects/lwip/) 2.1 with its raw API and SACK, in three hundred
//! lines of C:
//!
//! | | `echo` p50 | `echo` p99 | `crr` | `crr1` | `connect` | `c2s` | `c2s8` | `s2c` | `s2c8` |
//! |---|---|---|---|---|---|---|---|---|---|
//! | MTU 1500 | 0.88 | 0.95 | 1.35 | 1.58 | 1.90 | 0.05 | 0.07 | 0.03 | 0.04 |
//! | lwIP, MTU 1500 | 0.80 | 0.81 | 1.66 | 1.53 | 1.66 | 0.07 | 0.08 | 0.04 | 0.04 |
//! | `--offload` | 0.84 | 0.93 | 1.31 | 1.55 | 1.85 | 0.88 | 0.87 | 0.55 | 0.68 |
//! | `--offload --buffer 256K`, `nice` | 0.93 | 0.99 | 0.98 | 0.90 | 1.28 | 0.64 | 0.83 | 0.89 | 0.88 |
//! | `--offload`, two CPUs | 0.98 | 0.96 | 1.05 | 1.10 | 1.88 | 1.49 | 1.01 | 0.77 | 0.69 |
//!
//! Of the rate of connections, JSON lines leave 0.65, transitions only 0.94, rules that match nothing 0.92 to 1.07, the filter of system
//! calls 0.98. With 10,000 and 50,000 idle connections everything is within 0.96 and 1.02 of what it is with none. An idle
//! connection costs 7.3 KB.
//!
//! Against the program as it was before it had timestamps, a guard, limits and a filter, side by side three times seven rounds: `echo`
//! takes 0.94 of the time, `crr` is 1.00, `crr1` 0.99, `c2s` 0.99, `c2s8` 1.04, `s2c` 0.98, `s2c8` 0.94.
//!
//! On another, slower machine a responder of a hundred lines of C, which keeps nothing, reached 0.80 in `echo` and 1.44 in `crr`; 1.58 where
//! it acknowledges a FIN with its own, and not in a segment before.
//!
//! - *A connection takes 56,000 instructions* in the engine, from SYN to the last ACK: a sixth to read headers, smoltcp a quarter, memory
//!   a tenth, the rest in small parts. That is 4 µs in a loop, and 8 µs between system calls which displace what the
//!   processor has at hand, out of 44 µs for both ends. lwIP's are 33 µs. Not to ask smoltcp for packets where it says that it
//!   has none, and other hashes for our own numbers, changed less than a hundredth of it.
//! - *The acknowledgment of a FIN is a segment of its own* here, so that CLOSE-WAIT can be seen. With our FIN, where the program closes at
//!   once, `crr` was 1.48 for 1.37 and `crr1` 1.75 for 1.67 in a trial.
//! - *In `s2c` on one CPU the peer takes every packet by itself.* A TUN takes one packet for each write, the write wakes the peer, and it
//!   runs as soon as the write is over, if it has had
//!   less of the processor so far; 72,000 such changes a second. The kernel's own server is spared them: acknowledgments
//!   that arrive make the kernel send what waits, while the client runs. A better nice value helps as long as windows are small,
//!   see the table, but whoever waits for an answer waits longer. `SCHED_BATCH` alone changes nothing.
//!   With it and the nice value, and buffers of 1 MiB, `s2c` is 0.97 and `s2c8` 0.98.
//! - *Buffers beyond the second-level cache cost more than they bring.* With 256 KiB, 512 KiB and 1 MiB: `c2s` 0.75, 0.89, 0.85; `c2s8` 0.90,
//!   0.89, 0.82; `s2c` 0.53, 0.56, 0.59; `s2c8` 0.66, 0.72, 0.67.
//! - *The engine is a tenth of it.* Of the CPU that tcplab uses for a byte there and back, 12 per cent is its own code, 85 the
//!   kernel's: reading and writing the TUN, the peer's TCP that runs inside the write, and two changes of process. A byte there
//!   and back takes one read and one write; to wait is rarely needed. By that share, the ratio
//!   would still be about 0.83 with no code of ours at all.
//! - *Acknowledgments cost more than data.* Each write to the TUN runs the peer's TCP to its end. To answer all that has arrived,
//!   up to 24 KB, with one acknowledgment took `c2s` from 0.06 to 0.11. It was given up: RFC 9293 asks for one for every second
//!   full-sized segment (SHLD-19). What remains is segmentation and checksums in the peer's kernel, which `--offload` saves.
//! - *Sockets are worth keeping.* Before those that had been reset went back to the pool too, and while glibc cleared the buffers of
//!   new ones, `crr` was 0.30 to 0.58. See `sys::memory`.
//! - *An idle connection costs a page of its receive buffer* and 3.2 KB of everything else. Of the send buffer nothing is left: it is
//!   lent by `Socket::send` as a whole when it is empty, so its pages can be given back. smoltcp lends no empty
//!   receive buffer.
//! - *Calls cost.* With parts compiled apart, `connection` of the `engine` benchmark took 15 µs; as one piece it takes 7 to 14, on a
//!   machine with other things to do. Of the instructions that were left, hashing the two endpoints of a flow was a seventh.
//! - *A chain of iterators over three moments* took 1,400 of the 9,000 instructions of a byte there and back. Callgrind shows such things
//!   where samples don't: `valgrind --tool=callgrind` on the `engine` benchmark.

#[global_allocator]
static ALLOCATOR: tcplab::sys::memory::Pages = tcplab::sys::memory::Pages;

mod client;
mod lab;
mod measure;
mod options;
mod report;
mod server;

use options::Options;
use std::env;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let role = arguments.first().map(String::as_str);
    let rest = arguments.get(1..).unwrap_or_default();
    let result = match role {
        Some("inside") => inside(rest),
        Some(client::ROLE) => client::run(rest),
        Some(server::KERNEL) => server::kernel(rest),
        Some(server::TRANSITIONS) => server::transitions(rest),
        // cargo says so; without it somebody runs all targets as tests.
        _ if arguments.iter().any(|argument| argument == "--bench") => outside(&arguments),
        _ => {
            println!("versus_kernel: cargo bench --bench versus_kernel -- --help");
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("versus_kernel: {error}");
            ExitCode::from(2)
        }
    }
}

/// Checks the arguments and begins again in a network namespace of its own.
fn outside(arguments: &[String]) -> Result<()> {
    let passed: Vec<&String> = arguments
        .iter()
        .filter(|argument| *argument != "--bench")
        .collect();
    Options::parse(&passed);
    let mut unshare = Command::new("unshare");
    unshare.arg("--net");
    if !nix::unistd::geteuid().is_root() {
        unshare.arg("--map-root-user");
    }
    unshare.arg(env::current_exe()?).arg("inside").args(passed);
    Err(format!("can't run unshare: {}", unshare.exec()).into())
}

fn inside(arguments: &[String]) -> Result<()> {
    let options = Options::parse(arguments);
    let lab = lab::Lab::open(&options)?;
    let results = measure::run(&options, &lab)?;
    report::print(&options, &results);
    if let Some(path) = &options.json {
        report::write_json(path, &options, &results)?;
    }
    Ok(())
}
