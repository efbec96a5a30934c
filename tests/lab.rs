//! Labs against the real kernel: opened, used and killed, as this user and as one without privileges.
//!
//! Each test runs this program again, as a process of its own that can drop its privileges and be killed:
//! [`scene`] is its entry, [`SCENES`] what it can be told to do. A scene that fails panics, and the test
//! shows what it said.
//!
//! A lab needs a /dev/net/tun that its user may open. Run by root, the tests without privileges see one of
//! their own, in a mount namespace made for them; run by another user, all use the machine's.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, pipe};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_dumpable;
use nix::sys::signal::raise;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::{Gid, Uid, geteuid, setgid, setgroups, setuid};

use tcplab::sys::child::exit_code;
use tcplab::sys::doctor::{State, examine};
use tcplab::sys::lab::{Lab, LabConfig, LabError};
use tcplab::sys::wait::{Signal, Waiter, Watch};

/// What a helper can be told to do, by name.
const SCENES: &[(&str, fn())] = &[
    ("names", names_resolve_inside_only),
    ("addresses", the_interface_is_up_with_its_addresses),
    ("identity", the_user_stays_the_same),
    ("signals", signal_settings_are_a_shells),
    ("silence", nobody_speaks_before_the_command),
    ("packets", packets_cross_both_ways),
    ("codes", exit_codes_come_back),
    ("missing", commands_that_cannot_run_are_told_apart),
    ("pass_on", a_signal_meant_for_the_command_reaches_it),
    ("dropped", a_dropped_lab_kills_its_command),
    ("doctor", the_doctor_finds_a_working_lab),
    ("made", a_tun_is_made_once_and_goes_with_its_owner),
    ("attached", a_prepared_tun_is_left_as_it_is),
    ("open", keep_a_lab_open),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum User {
    This,
    Unprivileged,
}

const SCENE: &str = "TCPLAB_TEST_SCENE";
const USER: &str = "TCPLAB_TEST_USER";
const MARK: &str = "TCPLAB_TEST_MARK";
const BOUND: Duration = Duration::from_secs(20);

#[test]
fn scenes_as_this_user() {
    run_all(User::This);
}

#[test]
fn scenes_without_privileges() {
    run_all(User::Unprivileged);
}

#[test]
fn nothing_is_left_when_the_owner_is_killed() {
    for user in [User::This, User::Unprivileged] {
        let mut owner = helper("open", user).spawn().unwrap();
        let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines();
        let (net, mnt) = lines
            .find_map(|line| {
                let line = line.unwrap();
                let spaces = line.split_once("namespaces ")?.1.split_once(' ')?;
                Some((spaces.0.to_string(), spaces.1.to_string()))
            })
            .expect("the helper must open a lab");
        assert!(somebody_is_in(&net, &mnt));

        owner.kill().unwrap();
        owner.wait().unwrap();
        eventually("the lab's namespaces are empty", || {
            !somebody_is_in(&net, &mnt)
        });
    }
    host_is_untouched();
}

#[test]
fn nothing_is_left_whenever_the_owner_is_killed() {
    for delay in (0..40).step_by(2) {
        let mark = format!("{} ms by {}", delay, std::process::id());
        let mut owner = helper("open", User::Unprivileged)
            .env(MARK, &mark)
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        owner.kill().unwrap();
        owner.wait().unwrap();
        // The forked child and the command carry the mark that only this helper was given.
        eventually("no process of the lab is left", || !somebody_has(&mark));
    }
    host_is_untouched();
}

#[test]
#[ignore = "the other tests start it, in a process of its own"]
fn scene() {
    let name = env::var(SCENE).expect("only the other tests start this one");
    if env::var(USER).unwrap() == format!("{:?}", User::Unprivileged) && geteuid().is_root() {
        drop_privileges();
    }
    let (_, run) = SCENES.iter().find(|scene| scene.0 == name).unwrap();
    run();
}

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

fn a_tun_is_made_once_and_goes_with_its_owner() {
    let config = config().tun;
    if !geteuid().is_root() {
        let error = Tun::open(&config).unwrap_err();
        assert!(matches!(error, TunError::Forbidden { .. }), "{error:?}");
        return;
    }
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    let tun = Tun::open(&config).unwrap();
    assert_eq!((tun.name(), tun.mtu(), tun.existed()), ("tun0", 1500, false));
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

/// `setup/tun.sh` makes one for nobody, who attaches to it.
fn a_prepared_tun_is_left_as_it_is() {
    let mut config = config().tun;
    config.name = "tcplab7".into();
    config.mtu = 9000;
    if !geteuid().is_root() {
        // Prepared by root in a network namespace that this process can't make; the other run does it.
        return;
    }
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/setup/tun.sh");
    let up = format!("{script} up tcplab7 --user nobody --addr 198.51.100.1/24 2>&1");
    let said = shell(&up);
    assert!(said.contains("is up for nobody"), "{said}");
    assert_eq!(shell(&up), said);
    let before = shell("ip -o addr show dev tcplab7");
    assert!(before.contains("198.51.100.1/24"), "{before}");

    let helped = std::thread::scope(|scope| scope.spawn(|| Tun::open(&config)).join().unwrap());
    let tun = helped.unwrap();
    assert_eq!((tun.mtu(), tun.existed()), (1500, true));
    assert_eq!(shell("ip -o addr show dev tcplab7"), before);
    assert!(shell(&format!("{script} status tcplab7")).contains("in use"));
    assert!(shell(&format!("{script} down tcplab7 2>&1")).contains("cannot remove"));
    drop(tun);

    let said = shell(&format!("{script} down tcplab7"));
    assert!(said.contains("is removed"), "{said}");
    assert_eq!(shell(&format!("{script} down tcplab7")), "tcplab7 is not there\n");
    assert!(!shell("ip -o link").contains("tcplab7"));
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
    use std::os::fd::AsFd;
    let waiter = Waiter::new().unwrap();
    let watch = Watch {
        tun: Some(lab.tun.as_fd()),
        ..Watch::default()
    };
    assert!(waiter.wait(watch, Some(BOUND)).unwrap().tun);
    let mut packet = vec![0; usize::from(lab.tun.mtu())];
    let length = lab.tun.recv(&mut packet).unwrap();
    packet.truncate(length);
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

fn run_all(user: User) {
    for (name, _) in SCENES.iter().filter(|scene| scene.0 != "open") {
        let output = helper(name, user).output().unwrap();
        assert!(
            output.status.success() && output.status.signal().is_none(),
            "scene {name} as {user:?}: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
    }
}

/// This program, to be run again for one scene.
fn helper(name: &str, user: User) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "scene", "--ignored", "--nocapture"])
        .env(SCENE, name)
        .env(USER, format!("{user:?}"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Gives this process a /dev/net/tun that everybody may open, and then makes it nobody's.
fn drop_privileges() {
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    mount(none, "/mnt", Some("tmpfs"), MsFlags::empty(), none).unwrap();
    let everybody = Mode::from_bits_truncate(0o666);
    let node = "/mnt/tun";
    mknod(node, SFlag::S_IFCHR, everybody, makedev(10, 200)).unwrap();
    // mknod obeys the umask.
    fs::set_permissions(node, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    mount(Some(node), "/dev/net/tun", none, MsFlags::MS_BIND, none).unwrap();

    env::set_current_dir("/").unwrap();
    setgroups(&[]).unwrap();
    setgid(Gid::from_raw(65534)).unwrap();
    setuid(Uid::from_raw(65534)).unwrap();
    // Changing users hides a process's own /proc files from it; exec would undo that (proc(5)).
    set_dumpable(true).unwrap();
}

fn host_is_untouched() {
    assert!(!Path::new("/tmp/hosts").exists());
    let hosts = fs::read_to_string("/etc/hosts").unwrap();
    assert!(!hosts.contains("lab.test"), "{hosts}");
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains("tcplab"), "{mounts}");
}

fn somebody_has(mark: &str) -> bool {
    processes().any(|process| {
        let environment = fs::read(process.join("environ")).unwrap_or_default();
        environment
            .split(|&byte| byte == 0)
            .any(|variable| variable == format!("{MARK}={mark}").as_bytes())
    })
}

fn somebody_is_in(net: &str, mnt: &str) -> bool {
    let is = |path: std::path::PathBuf, space: &str| {
        fs::read_link(path).is_ok_and(|link| link == Path::new(space))
    };
    processes().any(|process| is(process.join("ns/net"), net) || is(process.join("ns/mnt"), mnt))
}

fn processes() -> impl Iterator<Item = std::path::PathBuf> {
    fs::read_dir("/proc")
        .unwrap()
        .map(|entry| entry.unwrap().path())
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < BOUND, "still not so: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
