//! The probes in a network namespace: against the program, and against the kernel's TCP on the other side of a veth
//! pair.
//!
//! ```text
//!   probe ── TUN p0 ── kernel forwards ──┬── TUN of tcplab serve     192.0.2.2, 2001:db8::2
//!   198.51.100.7                         └── veth ── another namespace, where Linux serves at the same addresses
//! ```
//!
//! The kernel between forwards packets and owns none of the peer's addresses, so it sends no resets for them.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tcplab::segment::describe;
use tcplab::sys::tun::{Tun, TunConfig};

use crate::helper::{BOUND, SCENE};
use crate::peer::{CHARGEN, DAYTIME, DISCARD, ECHO, PASSWORD, Peer, Target, Wire};
use crate::{PAIRS, PROBES};

/// The addresses that the program comes from where it begins itself, behind another TUN.
const CLIENTS: [&str; 2] = ["203.0.113.2", "2001:db8:2::2"];
/// Where the kernel's side is told whom to connect to.
const DIAL: u16 = 4_000;

/// Names the one probe to run, for people.
const ONLY: &str = "TCPLAB_TEST_PROBE";

pub(crate) struct Router {
    tun: Tun,
    target: Target,
    /// The peer's ports in the present probe: what comes for others is left of earlier ones.
    ports: Range<u16>,
    /// The program as a client.
    client: Option<Running>,
}

impl Router {
    /// Makes this namespace one that forwards between the peer and the target.
    pub(crate) fn new(target: Target) -> Router {
        sh("ip link set lo up");
        for switch in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
            fs::write(format!("/proc/sys/net/{switch}"), "1").unwrap();
        }
        let config = TunConfig {
            name: "p0".into(),
            addresses: vec![
                "198.51.100.1/24".parse().unwrap(),
                "2001:db8:1::1/64".parse().unwrap(),
            ],
            mtu: 1500,
            offload: false,
        };
        Router {
            tun: Tun::open(&config).expect("a TUN"),
            target,
            ports: 0..u16::MAX,
            client: None,
        }
    }

    /// Waits until packets cross, and runs all probes.
    fn probe(&mut self) {
        let (mut failed, mut port) = (Vec::new(), 40_000);
        for (local, remote) in PAIRS {
            let (local, remote): (IpAddr, IpAddr) =
                (local.parse().unwrap(), remote.parse().unwrap());
            self.await_path(local, remote);
            for (name, probe) in PROBES {
                if env::var(ONLY).is_ok_and(|only| !name.contains(&only)) {
                    continue;
                }
                port += 100;
                self.ports = port..port + 100;
                let started = Instant::now();
                let mut peer = Peer::new(self, local, remote, port);
                let result = catch_unwind(AssertUnwindSafe(|| probe(&mut peer)));
                println!(
                    "{name} from {local}: {:?} after {:?}",
                    result.is_ok(),
                    started.elapsed()
                );
                if result.is_err() {
                    failed.push(format!("{name} from {local}"));
                }
            }
        }
        assert!(failed.is_empty(), "failed: {failed:#?}");
    }

    /// What comes for any port is of interest.
    pub(crate) fn listen_to_all(&mut self) {
        self.ports = 0..u16::MAX;
    }

    /// Neighbours may have to be found first.
    pub(crate) fn await_path(&mut self, local: IpAddr, remote: IpAddr) {
        self.ports = 0..u16::MAX;
        let start = Instant::now();
        loop {
            let mut peer = Peer::new(self, local, remote, 39_000);
            peer.remote.set_port(ECHO);
            peer.syn(&[]);
            if peer.next(Duration::from_millis(300)).is_some() {
                return;
            }
            assert!(start.elapsed() < BOUND, "no path to {remote}");
        }
    }
}

impl Wire for Router {
    fn send(&mut self, packet: Vec<u8>) {
        self.tun.send(&packet).expect("the TUN takes it");
    }

    fn recv(&mut self, within: Duration) -> Option<Vec<u8>> {
        let end = Instant::now() + within;
        let mut packet = vec![0; 65_535];
        loop {
            match self.tun.recv(&mut packet) {
                Ok(received) => {
                    packet.truncate(received.place.end);
                    let described = describe(&packet);
                    let port = described.tcp().map(|segment| segment.dst_port);
                    if port.is_none_or(|port| self.ports.contains(&port)) {
                        return Some(packet);
                    }
                    packet.resize(65_535, 0);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => panic!("the TUN is gone: {error}"),
            }
            let left = end.checked_duration_since(Instant::now())?;
            let millis = PollTimeout::try_from(left.as_millis() + 1).unwrap();
            let mut waiting = [PollFd::new(self.tun.as_fd(), PollFlags::POLLIN)];
            poll(&mut waiting, millis).unwrap();
        }
    }

    fn dial(&mut self, to: SocketAddr) -> IpAddr {
        let target = PAIRS[usize::from(to.is_ipv6())].1.parse().unwrap();
        if self.target == Target::Linux {
            let mut stream = TcpStream::connect((target, DIAL)).unwrap();
            writeln!(stream, "{to}").unwrap();
            return target;
        }
        // The TUN is free again once the one before is gone.
        self.client = None;
        let mut command = Command::new(env!("CARGO_BIN_EXE_tcplab"));
        command.args(["connect", "--quiet", "--tun", "t1"]);
        for (address, len) in CLIENTS.into_iter().zip([24, 64]) {
            command.args(["--addr", &format!("{address}/{len}")]);
        }
        command.arg("echo").arg(to.to_string());
        let child = command.stdin(Stdio::piped()).spawn().unwrap();
        self.client = Some(Running(child, None));
        CLIENTS[usize::from(to.is_ipv6())].parse().unwrap()
    }

    fn target(&self) -> Target {
        self.target
    }
}

/// A program that ends with this one, and what it says on standard error if that is listened to.
pub(crate) struct Running(Child, Option<thread::JoinHandle<String>>);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        let said = self.1.take().and_then(|said| said.join().ok());
        // A defect costs the program one connection; it costs the test.
        if let Some(said) = said.filter(|said| said.contains("tcplab: defect"))
            && !thread::panicking()
        {
            panic!("{said}");
        }
    }
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Starts it and waits for a line on one of its outputs that begins with `ready`.
    pub(crate) fn start(command: &mut Command) -> Running {
        let mut child = command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut heard = String::new();
        loop {
            let mut line = String::new();
            let len = lines.read_line(&mut line).unwrap();
            assert!(len > 0, "it ended: {heard}");
            if line.starts_with("ready") {
                break;
            }
            heard += &line;
        }
        let said = thread::spawn(move || {
            let mut said = Vec::new();
            let _ = lines.read_to_end(&mut said);
            String::from_utf8_lossy(&said).into_owned()
        });
        Running(child, Some(said))
    }
}

/// The program, behind a TUN of its own.
pub(crate) fn tcplab() {
    let mut router = Router::new(Target::Tcplab);
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcplab"));
    command.args(["serve", "--quiet", "--tun", "t0"]);
    for address in crate::TARGETS {
        command.args(["--addr", address]);
    }
    let _running = Running::start(&mut command);
    router.probe();
}

/// The kernel's TCP, on the other side of a veth pair.
pub(crate) fn linux() {
    let mut router = Router::new(Target::Linux);
    let mut command = Command::new("unshare");
    command.arg("--net").arg(env::current_exe().unwrap());
    command.args(["--exact", "scene", "--ignored", "--nocapture"]);
    command.env(SCENE, "wire-kernel-server");
    // It says `here` once it is in its namespace, and reads a line once its end of the pair is there.
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut stdin = child.stdin.take().unwrap();
    let pid = child.id();
    let _running = Running(child, None);
    await_line(&mut lines, "here");
    sh(&format!(
        "ip link add v0 type veth peer name v1 netns {pid}"
    ));
    sh("ip addr add 192.0.2.1/24 dev v0");
    sh("ip addr add 2001:db8::1/64 dev v0 nodad");
    sh("ip link set v0 up");
    stdin.write_all(b"go\n").unwrap();
    await_line(&mut lines, "ready");
    router.probe();
}

fn await_line(lines: &mut impl BufRead, word: &str) {
    let mut line = String::new();
    while line.trim() != word {
        line.clear();
        assert!(
            lines.read_line(&mut line).unwrap() > 0,
            "it ended before it was {word}"
        );
    }
}

/// The kernel's side: the same services as tcplab's, written with sockets.
pub(crate) fn kernel_server() {
    println!("\nhere");
    io::stdin().read_line(&mut String::new()).unwrap();
    sh("ip link set lo up");
    sh("ip addr add 192.0.2.2/24 dev v1");
    sh("ip addr add 2001:db8::2/64 dev v1 nodad");
    sh("ip link set v1 up");
    sh("ip route add default via 192.0.2.1");
    sh("ip -6 route add default via 2001:db8::1");
    let services: [(u16, fn(TcpStream)); 5] = [
        (ECHO, |mut stream| {
            let _ = io::copy(&mut stream.try_clone().unwrap(), &mut stream);
        }),
        (DISCARD, |mut stream| {
            let _ = io::copy(&mut stream, &mut io::sink());
        }),
        (DAYTIME, |mut stream| {
            let _ = stream.write_all(b"2026-01-01 00:00:00\r\n");
            // A kernel forgets most of what it knows of a connection that no program holds.
            let _ = stream.shutdown(Shutdown::Write);
            let _ = io::copy(&mut stream, &mut io::sink());
        }),
        (
            CHARGEN,
            |mut stream| while stream.write_all(&[b'c'; 4096]).is_ok() {},
        ),
        (PASSWORD, |mut stream| {
            let _ = stream.write_all("请输入密码:".as_bytes());
            let _ = stream.read(&mut [0; 1024]);
        }),
    ];
    for (port, serve) in services {
        let listener = TcpListener::bind(("::", port)).unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                thread::spawn(move || serve(stream.unwrap()));
            }
        });
    }
    let dialled = TcpListener::bind(("::", DIAL)).unwrap();
    thread::spawn(move || {
        for stream in dialled.incoming() {
            let mut line = String::new();
            BufReader::new(stream.unwrap())
                .read_line(&mut line)
                .unwrap();
            let to: SocketAddr = line.trim().parse().unwrap();
            thread::spawn(move || {
                if let Ok(mut stream) = TcpStream::connect(to) {
                    let _ = io::copy(&mut stream, &mut io::sink());
                }
            });
        }
    });
    println!("\nready");
    // Until whoever has started it goes away.
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
    std::process::exit(0);
}

fn sh(line: &str) {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    assert!(
        output.status.success(),
        "{line}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
