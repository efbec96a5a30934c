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
//! `transitions` is the library with [`Watch::Transitions`](tcplab::event::Watch) and JSON lines to a file; `idle-N` holds N
//! more connections, each of which has exchanged one byte each way. What such a connection costs in resident memory is
//! printed first.

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
