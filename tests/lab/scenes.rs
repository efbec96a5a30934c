//! What must hold, one function each. They run in processes of their own and panic where it doesn't.

use std::env;
use std::fs;
use std::io::{Read, Write, pipe};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::pty::{ForkptyResult, forkpty};
use nix::sys::signal::raise;
use nix::sys::wait::{WaitStatus, waitpid};

use tcplab::sys::child::exit_code;
use tcplab::sys::doctor::{State, examine};
use tcplab::sys::lab::{Lab, LabConfig, LabError};
use tcplab::sys::tun::{Tun, TunConfig, TunError};
use tcplab::sys::wait::{Signal, Waiter, Watch};

use crate::helper::{BOUND, OWNER, User, host_is_untouched, run};

/// What must hold in every user's labs, by name.
pub(crate) const LABS: &[(&str, fn())] = &[
    ("names", names_resolve_inside_only),
    ("addresses", the_interface_is_up_with_its_addresses),
    ("identity", the_user_stays_the_same),
    ("signals", signal_settings_are_a_shells),
    ("silence", nobody_speaks_before_the_command),
    ("packets", packets_cross_both_ways),
    ("codes", exit_codes_come_back),
    ("missing", commands_that_cannot_run_are_told_apart),
    ("pass_on", a_signal_meant_for_the_command_reaches_it),
    ("ctrl_c", ctrl_c_reaches_the_command_by_itself),
    ("dropped", a_dropped_lab_kills_its_command),
    ("doctor", the_doctor_finds_a_working_lab),
];

/// What else a helper can be told to do.
pub(crate) const OTHERS: &[(&str, fn())] = &[
    ("open", keep_a_lab_open),
    ("forbidden", making_a_tun_needs_privilege),
    ("made", a_tun_is_made_once_and_goes_with_its_owner),
    ("prepared", a_prepared_tun_is_left_as_it_is),
    ("attach", attach_to_a_prepared_tun),
];

fn names_resolve_inside_only() {
    let found = inside(&["getent", "hosts", "lab.test"]);
    assert_eq!(found.code, 0);
    assert!(found.stdout.contains("lab.test"), "{}", found.stdout);
    let v4 = inside(&["getent", "ahostsv4", "lab.test"]).stdout;
    assert!(v4.starts_with("192.0.2.2 "), "{v4}");
    // The machine's own names are still there.
    assert_eq!(inside(&["getent", "hosts", "localhost"]).code, 0);
    // Nothing else of the file system is hidden.
    assert_eq!(inside(&["test", "-w", "/tmp"]).code, 0);
    assert_eq!(inside(&["test", "-e", "/tmp/hosts"]).code, 1);
    host_is_untouched();
}

fn the_interface_is_up_with_its_addresses() {
    let shown = inside(&["ip", "-o", "addr", "show", "dev", "tun0"]).stdout;
    assert!(shown.contains("192.0.2.1/24"), "{shown}");
    assert!(shown.contains("2001:db8::1/64"), "{shown}");
    // Usable at once: no duplicate address detection is under way.
    assert!(!shown.contains("tentative"), "{shown}");
    assert!(!shown.contains("fe80"), "{shown}");
    let link = inside(&["ip", "-o", "link", "show", "dev", "tun0"]).stdout;
    assert!(link.contains("UP") && link.contains("mtu 1500"), "{link}");
    let lo = inside(&["ip", "-o", "addr", "show", "dev", "lo"]).stdout;
    assert!(lo.contains("127.0.0.1/8"), "{lo}");
    assert!(!Path::new("/sys/class/net/tun0").exists());
}

fn the_user_stays_the_same() {
    let before = Command::new("id").args(["-u"]).output().unwrap();
    let before = String::from_utf8(before.stdout).unwrap();
    assert_eq!(inside(&["id", "-u"]).stdout, before);
    let ping = inside(&["cat", "/proc/sys/net/ipv4/ping_group_range"]).stdout;
    let first: u64 = ping.split_whitespace().next().unwrap().parse().unwrap();
    let last: u64 = ping.split_whitespace().nth(1).unwrap().parse().unwrap();
    let group = u64::from(nix::unistd::getegid().as_raw());
    assert!((first..=last).contains(&group), "{ping}");
}

fn signal_settings_are_a_shells() {
    let _waiter = Waiter::new().unwrap();
    let status = inside(&["grep", "^Sig", "/proc/self/status"]).stdout;
    let mask = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        u64::from_str_radix(line.unwrap().trim(), 16).unwrap()
    };
    let bit = |signal: Signal| 1 << (signal as u64 - 1);
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        assert_eq!(mask("SigBlk:") & bit(signal), 0, "{status}");
    }
    // Rust programs ignore it; others expect to die of it.
    assert_eq!(mask("SigIgn:") & bit(Signal::SIGPIPE), 0, "{status}");
}

fn nobody_speaks_before_the_command() {
    let (mut lab, _) = open(&["sleep", "60"]);
    lab.start().unwrap();
    // The kernel would ask for routers within a second or so of the interface's coming up.
    std::thread::sleep(Duration::from_millis(1500));
    let mut packet = [0; 1500];
    let nothing = lab.tun.recv(&mut packet).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
}

fn packets_cross_both_ways() {
    for (address, version, next_header) in [("192.0.2.2", 4, 9), ("2001:db8::2", 6, 6)] {
        let say = format!("echo hello > /dev/udp/{address}/9; sleep 60");
        let (mut lab, _) = open(&["bash", "-c", &say]);
        lab.start().unwrap();
        let packet = next_packet(&lab);
        assert_eq!(packet[0] >> 4, version, "{packet:?}");
        assert_eq!(packet[next_header], 17, "{packet:?}");
        assert!(packet.ends_with(b"hello\n"), "{packet:?}");
    }

    let (mut lab, _) = open(&["sleep", "60"]);
    lab.start().unwrap();
    lab.tun.send(&echo_request()).unwrap();
    let answer = next_packet(&lab);
    assert_eq!(answer[12..20], [192, 0, 2, 1, 192, 0, 2, 2]);
    assert_eq!(answer[20], 0, "an ICMP echo reply");
    let refused = lab.tun.send(&[0; 40]).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
}

fn exit_codes_come_back() {
    assert_eq!(inside(&["true"]).code, 0);
    assert_eq!(inside(&["false"]).code, 1);
    assert_eq!(inside(&["sh", "-c", "exit 77"]).code, 77);
    assert_eq!(inside(&["sh", "-c", "kill -TERM $$"]).code, 143);
    assert_eq!(
        inside(&["sh", "-c", "echo out; cd /; pwd"]).stdout,
        "out\n/\n"
    );
}

fn commands_that_cannot_run_are_told_apart() {
    let (mut lab, _) = open(&["no-such-command-here"]);
    let error = lab.start().unwrap_err();
    assert!(matches!(error, LabError::NoSuchCommand { .. }), "{error:?}");
    assert_eq!(error.to_string(), "no such command: no-such-command-here");

    let (mut lab, _) = open(&["/etc/passwd"]);
    let error = lab.start().unwrap_err();
    assert!(matches!(error, LabError::NotExecutable { .. }), "{error:?}");
    assert_eq!(exit_code(lab.child.wait().unwrap()), 1);

    let mut config = config();
    config.tun.name = "a name that is far too long".into();
    let error = Lab::open(&config, Command::new("true")).unwrap_err();
    assert!(matches!(error, LabError::Tun(_)), "{error:?}");
}

fn a_signal_meant_for_the_command_reaches_it() {
    let waiter = Waiter::new().unwrap();
    let (mut lab, _) = open(&["sleep", "60"]);
    lab.start().unwrap();
    // To this thread alone: the test program's others would die of it.
    raise(Signal::SIGTERM).unwrap();

    let start = Instant::now();
    while start.elapsed() < BOUND {
        let watch = Watch {
            child: Some(&mut lab.child),
            ..Watch::default()
        };
        let ready = waiter.wait(watch, Some(BOUND)).unwrap();
        for caught in ready.signals {
            lab.child.pass_on(caught).unwrap();
        }
        if let Some(status) = ready.child_exited {
            assert_eq!(exit_code(status), 143);
            return;
        }
    }
    panic!("the command didn't end");
}

/// As a shell has it: the terminal's whole foreground group gets the signal, we stay and report.
fn ctrl_c_reaches_the_command_by_itself() {
    // SAFETY: the child leaves by _exit only, and does what opening a lab does in a forked child anyway.
    #[allow(unsafe_code)]
    match unsafe { forkpty(None, None) }.unwrap() {
        ForkptyResult::Child => {
            let caught = wait_for_the_end(&["sh", "-c", "echo ready; exec sleep 60"]);
            // SAFETY: _exit only ends the process.
            unsafe { nix::libc::_exit(caught) }
        }
        ForkptyResult::Parent { child, master } => {
            let mut terminal = fs::File::from(master);
            let mut said = String::new();
            while !said.contains("ready") {
                let mut byte = [0];
                terminal.read_exact(&mut byte).unwrap();
                said.push(byte[0].into());
            }
            terminal.write_all(b"\x03").unwrap();
            let expected = WaitStatus::Exited(child, 130);
            assert_eq!(waitpid(child, None).unwrap(), expected, "{said}");
        }
    }
}

/// The command's exit code, or 1 if a signal came other than from the terminal.
fn wait_for_the_end(command: &[&str]) -> i32 {
    let waiter = Waiter::new().unwrap();
    let mut prepared = Command::new(command[0]);
    prepared.args(&command[1..]);
    let mut lab = Lab::open(&config(), prepared).unwrap();
    lab.start().unwrap();
    let mut from_terminal = false;
    loop {
        let watch = Watch {
            child: Some(&mut lab.child),
            ..Watch::default()
        };
        let ready = waiter.wait(watch, Some(BOUND)).unwrap();
        from_terminal |= ready.signals.iter().any(|caught| caught.from_terminal);
        match ready.child_exited {
            Some(status) if from_terminal => return exit_code(status).into(),
            Some(_) => return 1,
            None if ready.signals.is_empty() => return 2,
            None => {}
        }
    }
}

fn a_dropped_lab_kills_its_command() {
    for started in [false, true] {
        let (mut lab, _) = open(&["sleep", "60"]);
        if started {
            lab.start().unwrap();
        }
        let process = format!("/proc/{}", lab.child.id());
        assert!(Path::new(&process).exists());
        drop(lab);
        assert!(!Path::new(&process).exists());
    }
}

fn the_doctor_finds_a_working_lab() {
    let findings = examine();
    for finding in &findings {
        assert_ne!(finding.state, State::Bad, "{findings:#?}");
    }
}

fn making_a_tun_needs_privilege() {
    let error = Tun::open(&config().tun).unwrap_err();
    assert!(matches!(error, TunError::Forbidden { .. }), "{error:?}");
}

fn a_tun_is_made_once_and_goes_with_its_owner() {
    let config = config().tun;
    let tun = Tun::open(&config).unwrap();
    let seen = (tun.name(), tun.mtu(), tun.existed());
    assert_eq!(seen, ("tun0", 1500, false));
    let shown = shell("ip -o addr show dev tun0");
    assert!(shown.contains("192.0.2.1/24"), "{shown}");
    assert!(shown.contains("2001:db8::1/64"), "{shown}");

    let error = Tun::open(&config).unwrap_err();
    assert!(matches!(error, TunError::Busy { .. }), "{error:?}");
    let loopback = TunConfig {
        name: "lo".into(),
        ..config
    };
    let error = Tun::open(&loopback).unwrap_err();
    assert!(matches!(error, TunError::NotATun { .. }), "{error:?}");
    drop(tun);
    assert!(!shell("ip -o link").contains("tun0"));
}

/// `setup/tun.sh` makes one, for nobody where that user exists, who attaches to it.
fn a_prepared_tun_is_left_as_it_is() {
    let owner = env::var(OWNER).unwrap();
    let up = format!("up tcplab7 --user {owner} --addr 198.51.100.1/24");
    let said = tun_sh(&up);
    assert!(said.contains(&format!("is up for {owner}")), "{said}");
    assert_eq!(tun_sh(&up), said);
    let before = shell("ip -o addr show dev tcplab7");
    assert!(before.contains("198.51.100.1/24"), "{before}");

    let user = match owner.as_str() {
        "root" => User::This,
        _ => User::Unprivileged,
    };
    run("attach", user);
    assert_eq!(shell("ip -o addr show dev tcplab7"), before);

    let held = Tun::open(&prepared()).unwrap();
    assert!(tun_sh("status tcplab7").contains("in use"));
    assert!(tun_sh("down tcplab7").contains("cannot remove"));
    drop(held);
    assert!(tun_sh("down tcplab7").contains("is removed"));
    assert!(tun_sh("down tcplab7").contains("is not there"));
    assert!(!shell("ip -o link").contains("tcplab7"));
}

fn attach_to_a_prepared_tun() {
    let tun = Tun::open(&prepared()).unwrap();
    let seen = (tun.name(), tun.mtu(), tun.existed());
    assert_eq!(seen, ("tcplab7", 1500, true));
}

fn prepared() -> TunConfig {
    TunConfig {
        name: "tcplab7".into(),
        mtu: 9000,
        ..config().tun
    }
}

fn tun_sh(arguments: &str) -> String {
    let script = concat!("'", env!("CARGO_MANIFEST_DIR"), "/setup/tun.sh'");
    shell(&format!("{script} {arguments} 2>&1"))
}

fn shell(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Says which namespaces the lab has, and stays until it is killed.
fn keep_a_lab_open() {
    let (mut lab, _) = open(&["sleep", "60"]);
    lab.start().unwrap();
    let space = |kind| fs::read_link(format!("/proc/{}/ns/{kind}", lab.child.id())).unwrap();
    println!(
        "\nnamespaces {} {}",
        space("net").display(),
        space("mnt").display()
    );
    std::thread::sleep(Duration::from_secs(60));
}

fn config() -> LabConfig {
    let mut config = LabConfig::default();
    for address in ["192.0.2.2", "2001:db8::2"] {
        config
            .hosts
            .push((address.parse().unwrap(), "lab.test".into()));
    }
    config
}

struct Outcome {
    code: u8,
    stdout: String,
}

/// Runs a command in a lab to its end.
fn inside(command: &[&str]) -> Outcome {
    let (mut lab, mut output) = open(command);
    assert_eq!(lab.shortfalls, []);
    lab.start().unwrap();
    let mut stdout = String::new();
    output.read_to_string(&mut stdout).unwrap();
    Outcome {
        code: exit_code(lab.child.wait().unwrap()),
        stdout,
    }
}

/// A lab whose command waits to be started, and what will come from its standard output.
fn open(command: &[&str]) -> (Lab, impl Read) {
    let (reader, writer) = pipe().unwrap();
    let mut prepared = Command::new(command[0]);
    prepared
        .args(&command[1..])
        .stdin(Stdio::null())
        .stdout(writer);
    let lab = Lab::open(&config(), prepared).unwrap_or_else(|error| panic!("{error}"));
    (lab, reader)
}

fn next_packet(lab: &Lab) -> Vec<u8> {
    let waiter = Waiter::new().unwrap();
    let watch = Watch {
        tun: Some(lab.tun.as_fd()),
        ..Watch::default()
    };
    assert!(waiter.wait(watch, Some(BOUND)).unwrap().tun);
    let mut packet = vec![0; usize::from(lab.tun.mtu())];
    let received = lab.tun.recv(&mut packet).unwrap();
    packet.truncate(received.place.end);
    packet
}

/// An ICMP echo request (RFC 792) from 192.0.2.2 to 192.0.2.1.
fn echo_request() -> Vec<u8> {
    let mut ip = vec![
        0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 192, 0, 2, 2, 192, 0, 2, 1,
    ];
    let mut icmp = vec![8, 0, 0, 0, 0, 1, 0, 1];
    for (bytes, at) in [(&mut ip, 10), (&mut icmp, 2)] {
        let words = bytes
            .chunks(2)
            .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
        let sum: u32 = words.sum();
        let sum = !(sum % 0xffff) as u16;
        bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }
    [ip, icmp].concat()
}
