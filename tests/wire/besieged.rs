//! Attacks on the program itself, over a TUN, while clients of the kernel's TCP use it: they are served in time all the
//! while, whoever was connected before stays, and afterwards memory is as it was.
//!
//! ```text
//!   attackers ── TUN p0 ── kernel forwards ──┐
//!   198.51.100.0/24, 2001:db8:1::/64         ├── TUN t0 of tcplab serve     192.0.2.2, 2001:db8::2
//!   honest clients, with the kernel's TCP ───┘
//! ```

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use smoltcp::wire::IpProtocol;
use tcplab::segment::{Flags, describe};

use crate::live::{Router, Running};
use crate::peer::{CHARGEN, DISCARD, ECHO, Target, Wire};
use crate::support::{ACK, FIN, Forged, PSH, RST, SYN, fragments, icmp, ping, udp};

/// No honest client waits longer.
const PATIENCE: Duration = Duration::from_secs(3);
/// All that an attack leaves behind is gone after so long: the longest is a handshake, which is given up after 63 s, and
/// sockets that nobody has needed for 10 s are given back.
const EXPIRES: Duration = Duration::from_secs(110);
/// Who is connected from before the attack until after it, to each address.
const LIVE: usize = 5;

pub(crate) const TARGETS: [&str; 2] = ["192.0.2.2", "2001:db8::2"];

/// One attack, from preparations to the end of all that it has left.
fn besiege(name: &str, options: &[&str], attack: impl FnOnce(&mut Attackers)) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tcplab"));
    command.args(["serve", "--quiet", "--tun", "t0", "--time-wait", "2"]);
    for address in crate::TARGETS {
        command.args(["--addr", address]);
    }
    let router = Router::new(Target::Tcplab);
    let running = Running::start(command.args(options));
    let process = running.pid();
    let mut attackers = Attackers::new(router);
    warm_up(&mut attackers);
    let before = Memory::settled(process);

    let mut live: Vec<TcpStream> = (0..2 * LIVE)
        .map(|number| connect(number).unwrap())
        .collect();
    let honest = Honest::come();
    let started = Instant::now();
    attack(&mut attackers);
    let took = started.elapsed();
    let during = Memory::of(process);
    for stream in &mut live {
        talk(stream).expect("it stays while the attack goes on");
    }
    // Those who come right after it are served too.
    thread::sleep(Duration::from_secs(2));
    let slowest = honest.leave();
    for stream in &mut live {
        talk(stream).expect("it stays after the attack");
    }
    drop((live, attackers));

    let since = Instant::now();
    let after = loop {
        let now = Memory::of(process);
        if now.is_like(&before) || since.elapsed() > EXPIRES {
            break now;
        }
        thread::sleep(Duration::from_millis(500));
    };
    println!(
        "{name}: {took:.1?}, slowest client {slowest:?}; {before:?}, {during:?} at its end, {after:?} {:.1?} later",
        since.elapsed()
    );
    assert!(after.is_like(&before), "{before:?} before, {after:?} after");
    // Nothing is left that comes up again and again.
    let used = processor_time(process);
    thread::sleep(Duration::from_secs(2));
    let used = processor_time(process) - used;
    assert!(used < Duration::from_millis(500), "{used:?} in two seconds");
}

/// What a process has had of processors (utime and stime in proc_pid_stat(5)).
fn processor_time(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The second field is a name in parentheses.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.map(|field| field.parse::<u64>().unwrap()).sum();
    // A hundred a second on every Linux (USER_HZ in time(7)).
    Duration::from_millis(10 * ticks)
}

/// What a process has in memory, in KiB (smaps_rollup in proc_pid_smaps(5)).
#[derive(Clone, Copy, Debug)]
struct Memory {
    /// All that is resident.
    rss: u64,
    /// What of it is no file's: what has been allocated.
    anonymous: u64,
}

impl Memory {
    fn of(process: u32) -> Memory {
        let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap();
        let field = |name| {
            let line = rollup.lines().find_map(|line| line.strip_prefix(name));
            let number = line.unwrap().trim().trim_end_matches(" kB");
            number.parse().unwrap()
        };
        Memory {
            rss: field("Rss:"),
            anonymous: field("Anonymous:"),
        }
    }

    /// Once sockets that nobody needs are given back.
    fn settled(process: u32) -> Memory {
        thread::sleep(Duration::from_secs(12));
        Memory::of(process)
    }

    fn is_like(&self, before: &Memory) -> bool {
        let limit = |before: u64| before + before / 10;
        self.rss <= limit(before.rss) && self.anonymous <= limit(before.anonymous)
    }
}

/// Some of everything, so that what is kept for the next time is there.
fn warm_up(attackers: &mut Attackers) {
    let streams: Vec<TcpStream> = (0..40).map(|number| connect(number).unwrap()).collect();
    for mut stream in streams {
        talk(&mut stream).unwrap();
    }
    for number in 0..300 {
        attackers.syn(number, ECHO, 60_000);
    }
    attackers.connect(0..70, DISCARD, 60_000);
    attackers.reset_all(DISCARD);
}

/// Clients that come one after the other, and how long the slowest has waited.
struct Honest {
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Duration>>,
}

impl Honest {
    fn come() -> Honest {
        let is_over = Arc::new(AtomicBool::new(false));
        let threads = (0..2).map(|version| {
            let is_over = Arc::clone(&is_over);
            thread::spawn(move || {
                let (mut slowest, mut served) = (Duration::ZERO, 0);
                while !is_over.load(Ordering::Relaxed) {
                    let started = Instant::now();
                    connect(version)
                        .and_then(|mut stream| talk(&mut stream))
                        .expect("an honest client is served");
                    let took = started.elapsed();
                    assert!(took <= PATIENCE, "one was served after {took:?}");
                    slowest = slowest.max(took);
                    served += 1;
                    thread::sleep(Duration::from_millis(100));
                }
                assert!(served >= 10, "only {served} came");
                slowest
            })
        });
        Honest {
            threads: threads.collect(),
            is_over,
        }
    }

    fn leave(self) -> Duration {
        self.is_over.store(true, Ordering::Relaxed);
        let slowest = self.threads.into_iter().map(|thread| thread.join());
        slowest
            .map(|time| time.expect("honest clients are served"))
            .max()
            .unwrap()
    }
}

/// A client's connection to the echo service, by IPv4 or IPv6 in turn.
fn connect(number: usize) -> io::Result<TcpStream> {
    let address: IpAddr = TARGETS[number % 2].parse().unwrap();
    let stream = TcpStream::connect_timeout(&SocketAddr::new(address, ECHO), 2 * PATIENCE)?;
    stream.set_read_timeout(Some(2 * PATIENCE))?;
    Ok(stream)
}

fn talk(stream: &mut TcpStream) -> io::Result<()> {
    let mut answer = [0; 14];
    stream.write_all(b"are you there?")?;
    stream.read_exact(&mut answer)?;
    assert_eq!(&answer, b"are you there?");
    Ok(())
}

/// Whoever attacks, from many addresses.
pub(crate) struct Attackers {
    router: Router,
    /// By attacker: to which service it talks, the target's next number, and what the target acknowledges.
    heard: HashMap<SocketAddr, (u16, u32, u32)>,
    /// Whether they acknowledge whatever comes, with a window of zero.
    stall: bool,
    /// Steps of xorshift64.
    chance: u64,
}

impl Attackers {
    pub(crate) fn new(router: Router) -> Attackers {
        let mut attackers = Attackers {
            router,
            heard: HashMap::new(),
            stall: false,
            chance: 0x9e37_79b9_7f4a_7c15,
        };
        for pair in crate::PAIRS {
            let (local, remote) = (pair.0.parse().unwrap(), pair.1.parse().unwrap());
            attackers.router.await_path(local, remote);
        }
        attackers.router.listen_to_all();
        attackers
    }

    /// An attacker's endpoint and the target's address, by IPv4 or IPv6 in turn.
    fn pair(number: u32, port: u16) -> (SocketAddr, SocketAddr) {
        let which = number / 2;
        let local: IpAddr = match number % 2 {
            0 => Ipv4Addr::from(0xc633_6402 + which % 200).into(),
            _ => format!("2001:db8:1::{:x}", 2 + which % 200)
                .parse()
                .unwrap(),
        };
        let remote: IpAddr = TARGETS[number as usize % 2].parse().unwrap();
        let own = 1_024 + (which / 200) as u16 + port;
        (SocketAddr::new(local, own), SocketAddr::new(remote, port))
    }

    fn forge(number: u32, port: u16, flags: u8, seq: u32, ack: u32) -> Forged {
        let (from, to) = Attackers::pair(number, port);
        Forged::new(from, to, flags, seq, ack)
    }

    pub(crate) fn syn(&mut self, number: u32, port: u16, window: u16) {
        let mut syn = Attackers::forge(number, port, SYN, 0, 0);
        syn.window = window;
        syn.options = vec![2, 4, 5, 180, 1, 1, 4, 2];
        self.send(syn.packet());
    }

    /// They complete their handshakes. The next number of each is 1.
    fn connect(&mut self, numbers: std::ops::Range<u32>, port: u16, window: u16) {
        // Fewer at a time than the backlog has room for.
        let numbers: Vec<u32> = numbers.collect();
        for some in numbers.chunks(50) {
            let since = Instant::now();
            let mut missing = some.to_vec();
            while !missing.is_empty() {
                assert!(since.elapsed() < 3 * PATIENCE, "{missing:?} get no answer");
                for number in &missing {
                    self.syn(*number, port, window);
                }
                self.listen(Duration::from_millis(100));
                missing.retain(|number| {
                    let from = Attackers::pair(*number, port).0;
                    let Some((_, iss, _)) = self.heard.get(&from).copied() else {
                        return true;
                    };
                    let mut ack = Attackers::forge(*number, port, ACK, 1, iss);
                    ack.window = window;
                    self.router.send(ack.packet());
                    false
                });
            }
        }
    }

    /// All that are connected to a port reset their connections, as they may.
    fn reset_all(&mut self, port: u16) {
        self.listen(Duration::from_millis(100));
        let all: Vec<_> = self
            .heard
            .iter()
            .map(|(from, heard)| (*from, *heard))
            .collect();
        for (from, (_, nxt, una)) in all.into_iter().filter(|(_, heard)| heard.0 == port) {
            let target = TARGETS[usize::from(from.is_ipv6())].parse().unwrap();
            let to = SocketAddr::new(target, port);
            self.send(Forged::new(from, to, RST | ACK, una, nxt).packet());
        }
        self.heard.retain(|_, heard| heard.0 != port);
    }

    fn send(&mut self, packet: Vec<u8>) {
        self.router.send(packet);
    }

    /// The target's initial sequence number for one of them, once it is there.
    pub(crate) fn iss(&self, number: u32, port: u16) -> Option<u32> {
        let (from, _) = Attackers::pair(number, port);
        let (_, nxt, _) = self.heard.get(&from)?;
        Some(nxt.wrapping_sub(1))
    }

    pub(crate) fn into_router(self) -> Router {
        self.router
    }

    /// Takes in what comes back.
    pub(crate) fn listen(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while let Some(packet) = self
            .router
            .recv(end.saturating_duration_since(Instant::now()))
        {
            let described = describe(&packet);
            let (Some(segment), Some((to, from))) = (described.tcp(), described.endpoints()) else {
                continue;
            };
            if segment.flags.contains(Flags::RST) {
                continue;
            }
            if self.stall && !segment.payload.is_empty() {
                // A byte that probes a shut window is not taken.
                let mut shut = Forged::new(from, to, ACK, segment.ack.0, segment.seq.0);
                shut.window = 0;
                self.router.send(shut.packet());
                continue;
            }
            let heard = (to.port(), segment.end().0, segment.ack.0);
            self.heard.insert(from, heard);
        }
    }

    /// Sends many packets, so many a second at most.
    fn send_all(
        &mut self,
        count: u32,
        rate: u32,
        mut packet: impl FnMut(&mut Attackers, u32) -> Vec<u8>,
    ) {
        let started = Instant::now();
        for number in 0..count {
            let packet = packet(self, number);
            self.send(packet);
            if number % 32 == 31 {
                let due = started + Duration::from_secs(1) * number / rate;
                self.listen(due.saturating_duration_since(Instant::now()));
            }
        }
    }

    fn chance(&mut self, below: u64) -> u64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance % below
    }
}

pub(crate) fn syns() {
    besiege("forged SYNs", &[], |attackers| {
        attackers.send_all(20_000, 4_000, |_, number| {
            Attackers::forge(number, ECHO, SYN, number, 0).packet()
        });
    });
}

/// With a backlog that has room for all of them, so that they are really there.
pub(crate) fn half_open() {
    besiege(
        "half-open connections",
        &["--backlog", "6000"],
        |attackers| {
            let since = Instant::now();
            let mut missing: Vec<u32> = (0..5_000).collect();
            while !missing.is_empty() {
                // Not all get through a queue that is full.
                let count = missing.len();
                assert!(since.elapsed() < 10 * PATIENCE, "{count} are missing");
                attackers.send_all(count as u32, 2_500, |_, index| {
                    let number = missing[index as usize];
                    Attackers::forge(number, ECHO, SYN, number, 0).packet()
                });
                attackers.listen(Duration::from_millis(500));
                let heard = &attackers.heard;
                missing.retain(|number| !heard.contains_key(&Attackers::pair(*number, ECHO).0));
            }
        },
    );
}

/// They go on acknowledging probes, then stop.
pub(crate) fn shut_windows() {
    besiege("shut windows", &["--user-timeout", "5"], |attackers| {
        attackers.stall = true;
        attackers.connect(0..500, CHARGEN, 0);
        attackers.listen(Duration::from_secs(10));
    });
}

pub(crate) fn mutated() {
    besiege("mutated packets", &["--user-timeout", "5"], |attackers| {
        attackers.connect(0..40, ECHO, 60_000);
        attackers.send_all(50_000, 8_000, |attackers, number| {
            let mut packet = attackers.ordinary(number);
            for _ in 0..1 + attackers.chance(4) {
                let at = attackers.chance(packet.len() as u64) as usize;
                // What is no packet for the target does not reach it: version, length, and destination of IPv4 and IPv6.
                packet[at] = match packet[0] >> 4 {
                    4 if [0, 2, 3, 8, 16, 17, 18, 19].contains(&at) => continue,
                    6 if at < 7 || (24..40).contains(&at) => continue,
                    _ => attackers.chance(256) as u8,
                };
            }
            mend_checksum(&mut packet);
            packet
        });
        attackers.reset_all(ECHO);
    });
}

impl Attackers {
    /// A packet of some kind, with nothing wrong in it yet.
    fn ordinary(&mut self, number: u32) -> Vec<u8> {
        let (from, to) = Attackers::pair(number % 40, ECHO);
        let (_, nxt, una) = self.heard.get(&from).copied().unwrap_or_default();
        let mut data = Forged::new(from, to, PSH | ACK, una, nxt);
        match number / 40 % 8 {
            0 => data.flags = ACK,
            1 => data.payload = b"some data".to_vec(),
            2 => data.options = vec![1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 9],
            3 => {
                (data.flags, data.options) = (
                    SYN,
                    vec![
                        2, 4, 5, 180, 3, 3, 7, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 4, 2, 1, 1,
                    ],
                )
            }
            4 => return udp(from, to, b"a datagram"),
            5 => return ping(from.ip(), to.ip(), b"a ping"),
            6 => {
                data.payload = vec![b'x'; 2_000];
                return fragments(&data.packet(), 1_000, number as u16)
                    .swap_remove(number as usize % 2);
            }
            _ => {
                // Of somebody who wants to tell the target something about its own segment.
                let (protocol, kind) = match from {
                    SocketAddr::V4(_) => (IpProtocol::Icmp, 3),
                    SocketAddr::V6(_) => (IpProtocol::Icmpv6, 1),
                };
                let mut message = vec![kind, 4, 0, 0, 0, 0, 2, 0];
                message.extend(Forged::new(to, from, ACK, nxt, una).packet());
                return icmp(from.ip(), to.ip(), protocol, message);
            }
        }
        data.packet()
    }
}

/// The kernel that forwards checks the header of IPv4; what is behind it stays as wrong as it is.
fn mend_checksum(packet: &mut [u8]) {
    let header = usize::from(packet[0] & 0x0f) * 4;
    if packet[0] >> 4 == 4 && header <= packet.len() {
        packet[10..12].fill(0);
        let sum = !smoltcp::wire::checksum::data(&packet[..header]);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
    }
}

pub(crate) fn inexact() {
    besiege(
        "inexact resets and SYNs",
        &["--user-timeout", "5"],
        |attackers| {
            attackers.connect(0..10, ECHO, 60_000);
            attackers.send_all(20_000, 4_000, |_, number| {
                let flags = [RST, SYN, RST | ACK, SYN | ACK][(number / 10 % 4) as usize];
                // In the window, and never RCV.NXT.
                Attackers::forge(number % 10, ECHO, flags, 2 + number, number).packet()
            });
            attackers.listen(Duration::from_secs(1));
            for number in 0..10 {
                let from = Attackers::pair(number, ECHO).0;
                let nxt = attackers.heard[&from].1;
                let mut ping = Attackers::forge(number, ECHO, PSH | ACK, 1, nxt);
                ping.payload = b"alive".to_vec();
                attackers.send(ping.packet());
                attackers.listen(Duration::from_millis(200));
                assert_eq!(
                    attackers.heard[&from],
                    (ECHO, nxt.wrapping_add(5), 6),
                    "{from}"
                );
            }
            attackers.reset_all(ECHO);
        },
    );
}

/// Acknowledgments, SACK blocks, windows and data around the true numbers of connections with data in flight, and on the far
/// side of the circle. `TCPLAB_LIES_SECONDS` has it go on for longer than ten seconds.
pub(crate) fn lies() {
    const LIARS: u32 = 20;
    const RATE: u32 = 3_000;
    let seconds = std::env::var("TCPLAB_LIES_SECONDS").ok();
    let seconds: u32 = seconds.map_or(10, |seconds| seconds.parse().unwrap());
    besiege("lies", &["--user-timeout", "5"], |attackers| {
        for _ in 0..seconds.div_ceil(10) {
            attackers.connect(0..LIARS / 2, CHARGEN, 60_000);
            attackers.connect(LIARS / 2..LIARS, ECHO, 60_000);
            attackers.send_all(RATE * seconds.min(10), RATE, |attackers, number| {
                attackers.lie(number % LIARS)
            });
            attackers.reset_all(CHARGEN);
            attackers.reset_all(ECHO);
        }
    });
}

impl Attackers {
    /// A segment of one that is connected, with numbers that are not true, but for some.
    fn lie(&mut self, number: u32) -> Vec<u8> {
        let port = if number < 10 { CHARGEN } else { ECHO };
        let (from, to) = Attackers::pair(number, port);
        let (_, nxt, una) = self.heard.get(&from).copied().unwrap_or((port, 1, 1));
        let mut lie = Forged::new(from, to, ACK, una, nxt);
        match self.chance(8) {
            // The truth, so that there is something to lie about.
            0 => {}
            1 => lie.ack = self.around(nxt),
            2 => (lie.seq, lie.payload) = (self.around(una), vec![b'x'; 100]),
            3 => (lie.flags, lie.payload) = (PSH | ACK, vec![b'y'; 1_000]),
            _ => {
                lie.ack = nxt.wrapping_sub(self.chance(20_000) as u32);
                let count = 1 + self.chance(4) as u8;
                lie.options = vec![1, 1, 5, 2 + 8 * count];
                for _ in 0..2 * count {
                    let end = self.around(nxt);
                    lie.options.extend(end.to_be_bytes());
                }
            }
        }
        let windows = [0, 1, 536, 10_000, 60_000, 65_535];
        lie.window = windows[self.chance(windows.len() as u64) as usize];
        lie.packet()
    }

    /// A number near this one, or far from it.
    fn around(&mut self, number: u32) -> u32 {
        let far = [0, 0, 1 << 30, i32::MAX as u32, 1 << 31, (1 << 31) + 1];
        let far = far[self.chance(far.len() as u64) as usize];
        let near = [1, 2, 1_461, 20_000, 300_000][self.chance(5) as usize];
        let ahead = self.chance(2 * near) as u32;
        number
            .wrapping_add(far)
            .wrapping_add(ahead)
            .wrapping_sub(near as u32)
    }
}

pub(crate) fn unfinished() {
    besiege("unfinished fragments", &[], |attackers| {
        attackers.send_all(2_000, 1_000, |_, number| {
            // The first fragment of each, then its last: of a thousand packets, larger and smaller.
            let mut segment = Attackers::forge(number / 2, ECHO, PSH | ACK, 1, 1);
            segment.payload = vec![b'x'; 4_000 * (1 + number as usize / 2 % 16)];
            let mut pieces = fragments(&segment.packet(), 1_200, (number / 2) as u16);
            match number % 2 {
                0 => pieces.swap_remove(0),
                _ => pieces.pop().unwrap(),
            }
        });
    });
}

pub(crate) fn islands() {
    besiege("islands", &["--user-timeout", "5"], |attackers| {
        attackers.connect(0..100, DISCARD, 60_000);
        attackers.send_all(6_000, 2_000, |attackers, number| {
            let (holder, island) = (number % 100, 1 + number / 100);
            let nxt = attackers.heard[&Attackers::pair(holder, DISCARD).0].1;
            let mut data = Attackers::forge(holder, DISCARD, ACK, island * 100, nxt);
            data.payload = vec![b'x'; 50];
            data.packet()
        });
        attackers.listen(Duration::from_secs(2));
        // Whoever ends one of them in order is not at a loss.
        let nxt = attackers.heard[&Attackers::pair(0, DISCARD).0].1;
        for piece in 0..6 {
            let mut data = Attackers::forge(0, DISCARD, ACK, 1 + piece * 1_100, nxt);
            data.payload = vec![b'x'; 1_100];
            attackers.send(data.packet());
            attackers.listen(Duration::from_millis(200));
        }
        let from = Attackers::pair(0, DISCARD).0;
        assert_eq!(attackers.heard[&from].2, 6_601);
        let mut fin = Attackers::forge(0, DISCARD, FIN | ACK, 6_601, nxt);
        fin.window = 60_000;
        attackers.send(fin.packet());
        attackers.reset_all(DISCARD);
    });
}
