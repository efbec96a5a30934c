//! Many connections, and much data over one.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use crate::helper::{self, User};
use crate::rig::{clean, command, python, run_python};
use crate::serve::serve;
use crate::soak::allocated;

/// All SYNs leave before the first answer is looked at; each connection has data of its own.
const CROWD: &str = "import selectors, socket, sys
count = int(sys.argv[1])
ready = selectors.DefaultSelector()
def data(i): return (b'%06d' % i) * (50 + i % 100)
for i in range(count):
    s = socket.socket(socket.AF_INET6 if i % 2 else socket.AF_INET)
    s.setblocking(False)
    s.connect_ex(('2001:db8::2' if i % 2 else '192.0.2.2', 7))
    ready.register(s, selectors.EVENT_WRITE, [i, b''])
left, waiting = count, count
good = 0
while left:
    for key, _ in ready.select(10):
        s, (i, got) = key.fileobj, key.data
        if waiting:
            # Connected; nobody speaks before all are.
            assert s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
            ready.modify(s, selectors.EVENT_READ, key.data)
            waiting -= 1
            if not waiting:
                for key in list(ready.get_map().values()): key.fileobj.sendall(data(key.data[0]))
            continue
        more = s.recv(65536)
        key.data[1] = got = got + more
        if not more or len(got) >= len(data(i)):
            good += got == data(i)
            ready.unregister(s); s.close(); left -= 1
print(good)
";

const MUCH: &str = "import hashlib, os, socket, sys, threading
s = socket.create_connection((sys.argv[1], 7), 15)
sent = os.urandom(1 << 20)
def send(): s.sendall(sent); s.shutdown(socket.SHUT_WR)
threading.Thread(target=send).start()
got = b''.join(iter(lambda: s.recv(65536), b''))
print(len(got), got == sent)
";

#[test]
fn five_hundred_connections_at_once() {
    let said = run_python(&[], CROWD, &["500"]).expect(0, "500\n");
    said.shows(&["all: 500 connections, 0 exchanges of UDP"]);
    run_python(&["-q", "--backlog", "1000"], CROWD, &["500"]).expect(0, "500\n");
}

#[test]
fn a_mebibyte_comes_back_intact() {
    for server in ["192.0.2.2", "2001:db8::2"] {
        for options in [&[][..], &["-q"], &["-q", "--mtu", "1280", "--buffer", "4K"]] {
            let said = run_python(options, MUCH, &[server]).expect(0, "1048576 True\n");
            if options.is_empty() {
                said.shows(&["in      1048576 bytes in ", "out     1048576 bytes in "]);
            }
        }
    }
}

/// Where the kernel has huge pages for those who ask for them.
#[cfg(target_arch = "x86_64")]
#[test]
fn the_code_is_in_huge_pages() {
    let setting = fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    let are_there = setting.is_ok_and(|setting| !setting.contains("[never]"));
    // Once something was answered, everything is in place. In the lab its maps can't be read, unless by root.
    let line = "echo | nc -N lab.test 7 >/dev/null && echo answered && cat";
    let mut run = command(&["run", "-q", "--", "sh", "-c", line]);
    let mut tcplab = run.stdin(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    let mut stdout = BufReader::new(tcplab.stdout.take().unwrap());
    stdout.read_line(&mut said).unwrap();
    let maps = fs::read_to_string(format!("/proc/{}/maps", tcplab.id()));
    drop(tcplab.stdin.take());
    assert_eq!(
        (tcplab.wait().unwrap().code(), &said[..]),
        (Some(0), "answered\n")
    );
    let maps = maps.unwrap();
    let is_code = |line: &&str| line.contains(" r-xp ") && line.ends_with("/tcplab");
    let in_file = maps.lines().filter(is_code).count();
    assert_eq!(in_file == 0, are_there, "{maps}");
}

/// Connections that have exchanged a byte each way, until somebody closes its standard input.
const IDLE: &str = "import socket, sys
held = []
for i in range(int(sys.argv[1])):
    s = socket.create_connection(('192.0.2.2', 7), 15)
    s.sendall(b'x')
    assert s.recv(1) == b'x'
    held.append(s)
print('held', flush=True)
sys.stdin.read()
";

#[test]
fn an_idle_connection_costs_eight_kibibytes() {
    helper::run("idle", User::OwnNetwork);
}

pub(crate) fn idle() {
    const COUNT: usize = 800;
    // A send buffer that is idle gives its memory back after four seconds.
    const SETTLES: Duration = Duration::from_secs(6);
    let serving = serve(command(&["serve", "-q", "--offload"])).0;
    let proc = format!("/proc/{}", serving.pid());
    // What the first ones need is there for all.
    let mut first = hold(100);
    thread::sleep(SETTLES);
    let before = allocated(&proc);
    let mut more = hold(COUNT);
    thread::sleep(SETTLES);
    let each = (allocated(&proc) - before) / COUNT as u64;
    println!("{each} bytes for each");
    // A page of the receive buffer, and what is known of the connection.
    assert!((4096..=8192).contains(&each), "{each} bytes for each");
    for holder in [&mut first, &mut more] {
        drop(holder.stdin.take());
        assert!(holder.wait().unwrap().success());
    }
}

fn hold(count: usize) -> Child {
    let mut holder = clean(python(), &["-c", IDLE, &count.to_string()]);
    holder.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = holder.spawn().unwrap();
    let mut line = String::new();
    let said = holder.stdout.take().unwrap();
    BufReader::new(said).read_line(&mut line).unwrap();
    assert_eq!(line, "held\n");
    holder
}
