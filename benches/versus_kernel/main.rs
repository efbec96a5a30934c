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
//! that are asked about every packet and apply to none; `floor` is no TCP at all, but answers from templates: what the
//! TUN itself gives; `idle-N` holds N more connections, each of which has exchanged one byte each way.
//! What such a connection costs in resident memory, some seconds after that, is printed first.
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
//! On a virtual machine with two processors (AMD EPYC, kernel 6.18 without preemption) whose caches others use as well,
//! ratios to the kernel, on one CPU unless it says otherwise, medians of three times five rounds, between which they
//! differ by a tenth, on two CPUs by a half; for comparison [lwIP](https://savannah.nongnu.org/projects/lwip/) 2.1 with
//! its raw API, timestamps and SACK, in a hundred lines of C, and tcplab as it was when each packet left by itself:
//!
//! | | `echo` p50 | `echo` p99 | `crr` | `crr1` | `connect` | `c2s` | `c2s8` | `s2c` | `s2c8` |
//! |---|---|---|---|---|---|---|---|---|---|
//! | MTU 1500 | 0.92 | 1.08 | 1.30 | 1.00 | 1.70 | 0.07 | 0.08 | 0.07 | 0.09 |
//! | the same, one by one | 0.90 | 1.06 | 1.10 | 1.20 | 1.90 | 0.06 | 0.07 | 0.03 | 0.04 |
//! | lwIP, MTU 1500 | 0.84 | 0.94 | 1.60 | 1.39 | 1.70 | 0.08 | 0.09 | 0.04 | 0.05 |
//! | `--offload` | 0.90 | 1.00 | 1.33 | 1.11 | 1.91 | 0.78 | 0.68 | 0.67 | 0.88 |
//! | the same, one by one, 512 KiB | 0.97 | 1.08 | 1.03 | 1.17 | 1.80 | 0.86 | 0.63 | 0.45 | 0.44 |
//! | `--offload`, two CPUs | 0.97 | 0.94 | 1.29 | 1.20 | 2.06 | 0.70 | 0.98 | 0.61 | 0.68 |
//! | the same, one by one, 512 KiB | 1.00 | 1.03 | 0.87 | 1.30 | 2.09 | 0.82 | 0.76 | 0.39 | 0.32 |
//!
//! Of the rate of connections, JSON lines leave 0.60, transitions only 0.91, rules that match nothing 0.92. With 10,000
//! and 50,000 idle connections everything is within 0.95 and 1.05 of what it is with none, but for what single runs
//! differ by. An idle connection costs 7.3 KB.
//!
//! On another machine of the same kind, with its caches to itself, most was better: one by one, `echo` was 0.84 there,
//! `crr` 1.31, `crr1` 1.55, `c2s` 0.88, `c2s8` 0.87, `s2c` 0.55, `s2c8` 0.68, at an MTU of 1500 `crr` was 1.35 (lwIP:
//! 1.66); packets that leave together have not been measured on it yet.
//!
//! - *Packets that leave together* (`sys::tun`, io_submit(2)) were the largest step. A TUN takes one packet for each
//!   write, the write wakes the peer, and on the same processor the peer runs as soon as the system call is over: it had
//!   less of the processor so far, so the scheduler owes it that. In `s2c` it was one change of process for each packet,
//!   in `crr` one for each connection; now it is one for 7 packets, and one for 15 connections. `s2c` and `s2c8` are 1.5
//!   to 2.0 times as fast, `crr` 1.25 times. `crr1`, where packets come by ones and twos, is a twentieth to a tenth
//!   slower for it; measured alone it is not.
//! - *The scheduler can't be asked for the same.* With `SCHED_BATCH` for tcplab, or a shorter or longer slice
//!   (sched_setattr(2)), nothing changes. Only the client's being `SCHED_BATCH` does (`s2c` 1.5 times as fast), or a
//!   better nice value for tcplab, which cost `crr` a quarter, and brings nothing any more.
//! - *In `s2c`, two copies are what is left.* Of all time of both ends, copies take 44 per cent: 10 from the service to
//!   smoltcp's buffer, 10 from there to the packet, 15 from the packet to the kernel, 10 from the kernel to the client;
//!   the kernel's own server has the last two only. Without the first two, 0.67 would be 0.83; with what they displace
//!   from the caches, more. The second could be spared if smoltcp lent the payload of a segment instead of copying it
//!   (`TxToken::consume` wants the packet in one piece), so that header and payload could leave from two places. In `c2s`
//!   it is one copy, 11 per cent, from the packet to smoltcp's receive buffer.
//! - *Other ways that brought nothing:* to fill the send buffer in pieces of 64 KiB, each of which leaves before the next
//!   (`s2c` 0.64 for 0.72); 4 or 16 large packets at once instead of 8 (0.69 for 0.74); to read results from the ring of
//!   io_submit(2) without a system call; not to let fewer than four packets wait for each other.
//! - *A connection takes 56,000 instructions* in the engine, from SYN to the last ACK: a sixth to read headers, smoltcp a
//!   quarter, memory a tenth, the rest in small parts. A byte there and back takes 9,900. That is 4 µs in a loop for a
//!   connection, and twice that between system calls which displace what the processor has at hand. Not to ask smoltcp
//!   for packets where it says that it has none, and other hashes for our own numbers, changed less than a hundredth of
//!   it.
//! - *The acknowledgment of a FIN is a segment of its own* here, so that CLOSE-WAIT can be seen. With our FIN, where the
//!   program closes at once, as lwIP has it, `crr` was 1.48 for 1.37 and `crr1` 1.75 for 1.67 in a trial.
//! - *Buffers beyond the second-level cache cost more than they bring.* With 128 KiB, 256 KiB, 512 KiB and 1 MiB: `c2s`
//!   0.68, 0.79, 0.80, 0.86; `c2s8` 0.80, 0.68, 0.65, 0.60; `s2c` 0.47, 0.67, 0.69, 0.73; `s2c8` 0.87, 0.97, 0.76, 0.71.
//!   Acknowledging after 256 KiB at the latest brings `c2s8` 0.03.
//! - *The engine is a tenth of it.* Of the CPU that tcplab uses for a byte there and back, 12 per cent is its own code,
//!   85 the kernel's: reading and writing the TUN, the peer's TCP that runs inside the write, and two changes of process.
//!   A byte there and back takes one read and one write; to wait is rarely needed. By that share, the ratio would still
//!   be about 0.83 with no code of ours at all.
//! - *Acknowledgments cost more than data.* Each write to the TUN runs the peer's TCP to its end. To answer all that has
//!   arrived, up to 24 KB, with one acknowledgment took `c2s` from 0.06 to 0.11. It was given up: RFC 9293 asks for one
//!   for every second full-sized segment (SHLD-19). What remains is segmentation and checksums in the peer's kernel,
//!   which `--offload` saves.
//! - *Sockets are worth keeping.* Before those that had been reset went back to the pool too, and while glibc cleared the
//!   buffers of new ones, `crr` was 0.30 to 0.58. See `sys::memory`.
//! - *An idle connection costs a page of its receive buffer* and 3.2 KB of everything else. Of the send buffer nothing is
//!   left: it is lent by `Socket::send` as a whole when it is empty, so its pages can be given back. smoltcp lends no
//!   empty receive buffer.
//! - *Calls cost.* With parts compiled apart, `connection` of the `engine` benchmark took 15 µs; as one piece it takes 7
//!   to 14, on a machine with other things to do. Of the instructions that were left, hashing the two endpoints of a flow
//!   was a seventh.
//! - *A chain of iterators over three moments* took 1,400 of the 9,000 instructions of a byte there and back. Callgrind
//!   shows such things where samples don't: `valgrind --tool=callgrind` on the `engine` benchmark.

#[global_allocator]
static ALLOCATOR: tcplab::sys::memory::Pages = tcplab::sys::memory::Pages;

mod client;
mod floor;
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
        Some(server::FLOOR) => floor::run(rest),
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
