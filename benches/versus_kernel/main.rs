//! tcplab against the kernel's own TCP across a veth pair: the same client, in turns.
//!
//! ```text
//! cargo bench --bench versus_kernel                          everything, about half an hour
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
//! | `c2s`, `c2s8`, `c2s64`, `c2s256` | client to server with one connection, and with so many |
//! | `s2c`, `s2c8`, `s2c64`, `s2c256` | server to client, likewise |
//! | `beside-c2s8`, `beside-c2s64` | one byte there and back, and connections one after the other, beside `c2s8` or `c2s64` |
//! | `beside-s2c8`, `beside-s2c64` | the same beside `s2c8` or `s2c64` |
//!
//! Of many connections, the share of the one that got least to that of the one that got most is told, once their buffers
//! are full. Beside a load, time-outs are connections that took 190 milliseconds or more: somebody has waited for a
//! retransmission. Drops are packets to the server that its interface had no room for.
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
//! `kernel` is what all ratios compare with. `tcplab` runs `serve --quiet`, and `tuntap` does on a TUN that `ip tuntap` has
//! made, with a queue of 500 packets for tcplab's own 4,000; `other` and `other-tuntap` are another program, if one is given,
//! for comparisons of two versions in one run; `json` writes JSON lines to a file;
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
//! and which is virtual within a virtual one, so that system calls and changes of process take several times what they do
//! elsewhere (`echo` of the kernel's server: 15 µs). Ratios to the kernel, medians of eight times five rounds, on one CPU unless
//! it says otherwise; on one CPU they differ by a twentieth from run to run, on two by a quarter:
//!
//! | | `echo` p50 | `echo` p99 | `crr` | `crr1` | `connect` | `c2s` | `c2s8` | `s2c` | `s2c8` |
//! |---|---|---|---|---|---|---|---|---|---|
//! | `--offload` | 0.84 | 0.93 | 1.48 | 1.24 | 1.52 | 0.72 | 0.97 | 0.68 | 0.99 |
//! | floor with offload | 0.77 | 0.76 | 1.78 | 1.49 | 1.64 | 0.81 | 1.08 | 0.86 | 1.26 |
//! | MTU 1500 | 0.85 | 0.93 | 1.40 | 1.15 | 1.51 | 0.07 | 0.08 | 0.08 | 0.10 |
//! | floor, MTU 1500 | 0.78 | 0.77 | 1.76 | 1.48 | 1.64 | 0.09 | 0.12 | 0.09 | 0.12 |
//! | `--offload`, two CPUs | 0.98 | 0.98 | 1.54 | 1.06 | 2.01 | 1.02 | 1.07 | 0.73 | 0.71 |
//! | floor with offload, two CPUs | 0.93 | 1.01 | 2.04 | 1.12 | 1.87 | 1.14 | 1.24 | 0.90 | 0.92 |
//!
//! The floor has 256 KiB in flight at most, like tcplab. With 1 MiB it is 0.93 in `c2s`, 0.97 in `s2c`, 0.89 in `c2s8` and
//! 1.16 in `s2c8`: so behind a TUN, nobody here takes all that the kernel's server takes from one connection. What tcplab is
//! behind the floor is what its own work costs, and where that goes is below.
//!
//! Of the rate of connections, JSON lines leave 0.64, transitions only 0.91, rules that match nothing 0.95. With 10,000
//! and 50,000 idle connections every rate is within 0.95 and 1.08 of what it is with none. An idle connection costs 7.3 KB.
//!
//! On another machine of the same kind, with its caches to itself, most was better: `echo` was 0.84 there, `crr1` 1.55, `c2s`
//! 0.88, when packets still left one by one. On a third, [lwIP](https://savannah.nongnu.org/projects/lwip/) 2.1 with its
//! raw API, timestamps and SACK, in a hundred lines of C, at an MTU of 1500: `echo` 0.84, `crr` 1.60, `crr1` 1.39,
//! `c2s` 0.08, `s2c` 0.04, where tcplab had 0.92, 1.30, 1.00, 0.07 and 0.07.
//!
//! Beside a load, on a third machine (Intel Xeon, kernel 6.18, two processors on which others compiled meanwhile; medians of two
//! rounds, in microseconds, everything on one CPU / on two; before is the version that drained everything after each packet):
//!
//! | MTU 1500 | `echo` p50 | p99 | connection p50 | p99 | time-outs | drops |
//! |---|---|---|---|---|---|---|
//! | beside `s2c8`: kernel | 355 / 726 | 644 / 1,490 | 1,110 / 1,800 | 6,460 / 5,800 | 0 | 0 |
//! | before | 2,380 / 3,630 | 4,060 / 6,220 | 6,870 / 10,900 | 10,400 / 17,000 | 0 | 0 |
//! | tcplab | 147 / 199 | 340 / 384 | 461 / 592 | 1,080 / 1,080 | 0 | 0 |
//! | `tuntap` | 152 / 198 | 369 / 405 | 469 / 587 | 896 / 1,200 | 0 | 0 |
//! | beside `s2c64`: kernel | 2,800 / 5,400 | 4,790 / 9,050 | 9,750 / 13,600 | 17,900 / 20,400 | 0 | 0 |
//! | before | 33,000 / 37,500 | 44,300 / 53,600 | 99,300 / 112,000 | 113,000 / 152,000 | 0 | 0 / 3,600 |
//! | tcplab | 211 / 289 | 402 / 491 | 640 / 858 | 888 / 1,770 | 0 | 0 |
//! | beside `c2s8`: kernel | 21 / 95 | 2,130 / 2,850 | 73 / 255 | 5,820 / 4,010 | 0 | 0 |
//! | before | 5,360 / 5,190 | 6,100 / 6,300 | 16,200 / 15,700 | 18,300 / 17,900 | 0 | 0 |
//! | before, `tuntap` | 1,670 / 1,870 | 209,000 / 206,000 | 5,150 / 5,940 | 614,000 / 623,000 | 3 / 2 | 2,510 / 1,760 |
//! | tcplab | 427 / 574 | 1,630 / 798 | 1,330 / 1,730 | 3,470 / 2,480 | 0 | 0 |
//! | `tuntap` | 454 / 555 | 1,720 / 933 | 1,390 / 1,660 | 3,730 / 2,600 | 0 | 0 |
//! | beside `c2s64`: tcplab | 874 / 634 | 3,910 / 1,130 | 2,720 / 1,870 | 6,440 / 3,310 | 0 | 0 |
//!
//! With `--offload`, `echo` takes 184 / 238 beside `s2c8` (before 534 / 707), 208 / 213 beside `s2c64` (before 4,180 / 9,820), 353 /
//! 336 beside `c2s8`, and 4,140 / 2,460 beside `c2s64` (before 3,700 / 2,220), where 64 windows of 128 KiB are under way: with
//! 32 KiB each, `c2s64` had half its rate.
//!
//! Many connections, least to most: at an MTU of 1500, 0.96 to 1.00 with 8 and 64 each way (before, 0.00 to 0.98), 0.98 in `s2c256`
//! and 0.70 to 0.89 in `c2s256` (before 0.00 to 0.04); with `--offload`, 0.89 to 1.00 with 8 and 64, 0.93 in `s2c256` (before
//! 0.43). The rate of `s2c256` with `--offload` is 0.38 of the kernel's on one CPU and 0.26 on two, 1.6 and 1.25 times what it was;
//! `s2c64` 0.67 and 0.55, as `s2c8` there.
//!
//! - *Turns.* To let all that flows in bulk had to send leave after each packet that had come took thousands of writes, each of
//!   which the peer's TCP answers at once: the TUN's queue overflowed, SYNs and acknowledgments were lost, and whatever else came
//!   waited. Now 64 packets leave before the TUN is read again, and those of flows with little to send before them (deficit
//!   round robin with two queues, `engine::line`). With 1,500 bytes for each flow in a turn, `s2c64` was 0.75 of what it is
//!   with 12,000. With `--offload` four large packets leave; `s2c8` is 0.94 of what it was so, and was 0.85 with eight.
//! - *The scheduler interrupts nobody who does not sleep*, for some milliseconds. Who always has something to send never
//!   sleeps, so after each turn others may have the processor (sched_yield(2)), and where one of them keeps it, we do as long.
//! - *Windows together must fit the queue* (`stack::crowd`): with 256 packets for eight and more, `echo` beside `c2s8` took 800
//!   to 1,260 µs, with 128 it takes half of it, at the same rate. 64 and more have two segments each, which costs a fifth of the
//!   rate; one each would wait for delayed acknowledgments.
//! - *Buffers of many displace each other* also on the way out (`stack::senders`): with a packet of 64 KiB for each, `s2c256` is
//!   1.6 times as fast as with 256 KiB; with 16 KiB, `s2c64` was 0.8 of it.
//! - *Where the code lies.* Each packet leads through some fifty pages of it. A program whose file was written in pieces of 4
//!   KiB, so that it lies in memory page by page, has `echo` at 0.91 to 0.92; a copy that was written in large pieces, 0.84,
//!   each time. Therefore the code moves to huge pages (`sys::memory`): 0.84 for every file, and 0.85 at an MTU of 1500.
//!   It is linked so that nothing else is in these pages: before, one or two of them were whole, by chance, and the rest
//!   small, so `echo` was 0.85 to 0.91 from run to run. A linker that puts the functions of that way side by side made no
//!   difference, and neither `crr` nor bulk gains.
//! - *Packets that leave together* (`sys::tun`, io_submit(2)) were the largest step. A TUN takes one packet for each
//!   write, the write wakes the peer, and on the same processor the peer runs as soon as the system call is over: it had
//!   less of the processor so far, so the scheduler owes it that. In `s2c` it was one change of process for each packet,
//!   in `crr` one for each connection; now it is one for 7 packets, and one for 15 connections. `s2c` and `s2c8` are 1.5
//!   to 2.0 times as fast, `crr` 1.25 times.
//! - *The scheduler can't be asked for the same.* With `SCHED_BATCH` for tcplab, or a shorter or longer slice
//!   (sched_setattr(2)), nothing changes. Only the client's being `SCHED_BATCH` does (`s2c` 1.5 times as fast), or a
//!   better nice value for tcplab, which cost `crr` a quarter, and brings nothing any more.
//! - *In bulk, copies are what is left.* In `s2c`, of all time of both ends copies take 44 per cent: 10 from the service to
//!   smoltcp's buffer, 10 from there to the packet, 15 from the packet to the kernel, 10 from the kernel to the client;
//!   the kernel's own server has the last two only. In `c2s` it is one more than the kernel's, 11 per cent, from the packet to
//!   smoltcp's receive buffer. With a smoltcp that leaves out both of its copies (and so carries garbage), `c2s` was 0.83
//!   for 0.74, `c2s8` 0.84 for 0.77, `s2c` 0.77 for 0.69, `s2c8` 1.12 for 0.95; with buffers of 1 MiB, which are worth it
//!   then, `c2s` was 0.88 and `s2c` 0.90. So much it would bring if smoltcp lent the payload of a segment instead of copying
//!   it (`TxToken::consume` wants the packet in one piece), so that header and payload could leave from two places, and if
//!   it took over a packet's memory instead of copying from it.
//! - *A ring goes round.* What arrives goes through all of smoltcp's receive buffer, even if each packet is read before the
//!   next. One that begins anew whenever it is empty (and nothing waits behind a gap) had `c2s8` at 1.06 for 0.99, and with
//!   1 MiB `c2s` at 0.80 for 0.75. For the same reason a large buffer of which many connections are told of a part only is no
//!   way to have both: with 1 MiB, and windows of 128 KiB for eight, `c2s8` was 0.64.
//! - *Many windows displace each other.* See `stack::crowd`: with half of it for each of eight, `c2s8` is 0.82 to 0.88 for
//!   0.78, and 0.99 with half of it from the beginning, as the peers' send buffers grow with the first windows.
//! - *Several packets are read before the first is taken in*, up to 16 KB: that displaces less from the caches than to turn
//!   between the kernel and the engine for each. `crr` is 1.37 for 1.33, and `c2s` at an MTU of 1500 takes 5 per cent less CPU.
//! - *Connections that are over must leave nothing behind.* Their timers did, until they came up: at 20,000 connections a
//!   second, a heap of a megabyte. With one entry for each place of a flow (`stack::timers`), `crr1` is 1.16 for 1.06,
//!   `connect` 1.49 for 1.42.
//! - *Other ways that brought nothing:* to fill the send buffer in pieces of 64 KiB, each of which leaves before the next
//!   (`s2c` 0.64 for 0.72); 4 or 16 large packets at once instead of 8 (0.69 for 0.74); to read results from the ring of
//!   io_submit(2) without a system call; not to let fewer than four packets wait for each other.
//! - *Where a connection's time goes*: of the 45 µs of `crr`, 15 are the client's own, 17 our three writes, of which its TCP
//!   inside them has 11, 4 our five reads, and 8 to 9 the engine, 1.7 for each packet it is given (by the clock around each
//!   batch of some forty). In a loop it needs 0.9. It executes 41,000 instructions, from SYN to the last ACK: smoltcp a quarter,
//!   headers a tenth, the rest in small parts, of which none is a twentieth. The kernel's server takes 67 µs, and the floor
//!   37 without any engine, so 1.6 would leave the engine 5: hardly more than it needs where all is in the caches. A byte
//!   there and back takes 7,800 instructions, about 1.0 of 12.9 µs.
//! - *What the engine waits for is memory.* Since a connection's last packet the kernel and the client have been at work, so that
//!   its parts come from afar: half of the time in which a flow is looked up by its key, and two fifths of that in
//!   which a segment arrives, pass at the first look at each. To ask for all that the packets need which were read
//!   together, part by part, before the first is taken in, made it 1.67 µs for 1.80, and `crr` a hundredth faster. That is not
//!   worth a second way to every flow.
//! - *What changed less than a hundredth of that:* not to ask smoltcp for packets where it says that it has none, other hashes
//!   for our own numbers, options that are kept as bytes, `panic = "abort"`, a program of half the size (`opt-level =
//!   "s"`), a malloc that keeps more at hand (`glibc.malloc.tcache_count`), and, in `crr`, a sixth fewer instructions for each
//!   packet, and no events for a quiet run.
//! - *The acknowledgment of a FIN is a segment of its own* here, so that CLOSE-WAIT can be seen. With `--offload` the program
//!   is run before anything leaves, so that the acknowledgment goes along with our FIN where it closes at once, as lwIP and
//!   the kernel's own TCP mostly have it: `crr` is 1.44 for 1.34. In bulk the window is told once what was read has
//!   made room: `c2s` on two CPUs is 1.02 to 1.15 for 0.94.
//! - *What queues before a TUN* takes its time for each packet, `pfifo_fast` a hundredth of `echo`. So nothing does any more.
//! - *Buffers beyond the second-level cache cost more than they bring.* With 64, 128, 192, 256 KiB and 1 MiB: `c2s`
//!   0.40, 0.62, 0.67, 0.74, 0.76; `c2s8` 0.64, 0.94, 0.79, 0.75, 0.64 (before windows followed how many they are). With 128,
//!   256, 512 KiB and 1 MiB: `s2c` 0.47, 0.67, 0.69, 0.73; `s2c8` 0.87, 0.97, 0.76, 0.71.
//! - *The engine is a tenth of it.* Of the CPU that tcplab uses for a byte there and back, 12 per cent is its own code,
//!   85 the kernel's: reading and writing the TUN, the peer's TCP that runs inside the write, and two changes of process.
//!   A byte there and back takes one read and one write; to wait is rarely needed.
//! - *Acknowledgments cost more than data.* Each write to the TUN runs the peer's TCP to its end: at an MTU of 1500, a floor
//!   that acknowledges every segment has 0.06 in `c2s` instead of 0.09. To answer all that has arrived, up to 24 KB, with
//!   one acknowledgment took tcplab from 0.06 to 0.11. It was given up: RFC 9293 asks for one
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
//!
//! # Not reached
//!
//! What was aimed at on one CPU, and with `--offload` unless it says otherwise, and what is in the way; the details are above:
//!
//! | | aim | is | floor | what is in the way |
//! |---|---|---|---|---|
//! | `crr` | 1.6 | 1.48 | 1.78 | 3 of the engine's 8 µs: 1.6 leaves it 5, and hot it needs 4.6 |
//! | `c2s` | 1.0 | 0.72 | 0.81 | the TUN, then smoltcp's copy; on two CPUs it is 1.02 |
//! | `s2c` | 0.9 | 0.68 | 0.86 | the TUN, then the copies to and from smoltcp's buffer |
//! | `s2c`, two CPUs | 0.9 | 0.73 | 0.90 | the same copies, all of them on tcplab's CPU |
//! | `s2c8`, two CPUs | 0.9 | 0.71 | 0.92 | likewise; on one CPU it is 0.99 |
//! | `echo`, MTU 1500 | 0.82 | 0.85 | 0.78 | 0.82 leaves the engine 0.6 µs, and it needs 1.0 |
//! | `crr`, MTU 1500 | 1.54 | 1.40 | 1.76 | as with `--offload`, and the acknowledgment of the FIN, without which it is 1.48 |
//! | `s2c8`, to what it was | 1.0 | 0.94 | | the TUN is read, and others get the processor, after every four large packets |
//! | `c2s`, MTU 1500 | 0.10 | 0.07 | 0.09 | the TUN: a packet of 1,500 bytes costs the kernel several microseconds |
//! | `s2c256` | 0.7 | 0.38 | | the buffers of 256 connections, ours and the peers', are beyond the second-level cache |
//! | `c2s64`, `c2s256` | 0.7 | 0.5, 0.3 | | likewise; smaller windows make smaller packets, which cost more |
//! | `echo` beside `c2s64`, µs | 500 | 630 to 870 | | 64 times two segments are before it |
//! | `c2s256`, `tuntap`: drops | 0 | 700 to 1,550 | | beyond the backlog of 128, SYN cookies tell of 65,535 bytes each |

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
