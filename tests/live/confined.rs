//! The filter of system calls: it is on, in every thread, whatever options are given; all that tcplab does works under it,
//! and nothing else does.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use nix::errno::Errno;
use nix::libc::{self, c_long};
use nix::sys::signal::Signal;
use tcplab::sys::seccomp::{Needs, confine};

use crate::helper::{self, User, eventually};
use crate::rig::{clean, command, in_order, python, run, start, tcplab};
use crate::serve::{serve_after, shell};

/// One client for each service, over both versions of IP; prints what went wrong.
const ALL_SERVICES: &str = r#"
import socket
for host in "192.0.2.2", "2001:db8::2":
    def tcp(port, say, close=True):
        conn = socket.create_connection((host, port), 5)
        conn.sendall(say)
        if close: conn.shutdown(socket.SHUT_WR)
        got = b""
        while len(got) < 100000 and (more := conn.recv(65536)): got += more
        conn.close()
        return got
    def udp(port, say):
        conn = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        conn.settimeout(5)
        conn.sendto(say, (host, port))
        return conn.recv(65536)
    assert tcp(7, b"x" * 50000) == b"x" * 50000
    assert tcp(9, b"x" * 50000) == b""
    assert len(tcp(13, b"")) > 10
    assert len(tcp(19, b"", False)) >= 100000
    assert b"200 OK" in tcp(80, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert "进入成功" in tcp(1111, b"123").decode()
    assert udp(7, b"to and fro") == b"to and fro"
    assert udp(1111, b"Hello Sever") == b"Hello"
print("all served")
"#;

#[test]
fn every_thread_is_confined_whatever_it_writes() {
    helper::run("confined", User::OwnNetwork);
}

#[test]
fn what_is_not_needed_is_refused() {
    helper::run("refused", User::This);
}

#[test]
fn a_run_is_confined_and_its_command_is_not() {
    // The command may be faster than the filter.
    let line = "until grep -q '^Seccomp:.*2' /proc/$PPID/status; do sleep 0.02; done
        cat /proc/$PPID/task/*/status | sed -n 's/^\\(Seccomp\\|NoNewPrivs\\)://p' | sort -u
        sed -n 's/^Seccomp://p' /proc/self/status; kill -TERM $PPID; sleep 5";
    let said = run(&["-v"], line);
    // A signal to tcplab alone is passed on to the command.
    let said = said.expect(143, "\t1\n\t2\n\t0\n");
    in_order(&said.stderr, &["INFO", "system calls are filtered"]);
}

#[test]
fn a_client_of_ours_is_confined() {
    let server = "import os, socket, time
listener = socket.create_server(('192.0.2.1', 1111))
conn, _ = listener.accept()
status = open(f'/proc/{os.getppid()}/status')
while 'Seccomp:\\t2' not in status.read():
    time.sleep(.02)
    status.seek(0)
conn.sendall('请输入密码:'.encode())
conn.sendall('进入成功'.encode() if conn.recv(1024) == b'123' else b'?')";
    let arguments = ["connect", "-q", "password", "192.0.2.1:1111", "--"];
    let mut connecting = command(&[&arguments[..], &[python(), "-c", server]].concat());
    let said = crate::rig::with_input(&mut connecting, "123\n");
    in_order(said.expect_code(0).text(), &["进入成功"]);
}

#[test]
fn a_demonstration_is_confined() {
    let said = tcplab(&["demo", "-v"]);
    in_order(&said.stderr, &["system calls are filtered", "over: "]);
}

pub(crate) fn confined() {
    shell("ip link set lo up");
    let folder = std::env::temp_dir().join(format!("tcplab-confined-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = |name: &str| folder.join(name).display().to_string();
    shell(&format!("mkfifo {}", path("orders")));
    fs::write(path("rules"), "delay 5ms out data\n").unwrap();
    let metrics = ["--metrics", "127.0.0.1:9103"].map(str::to_owned);
    let files = [
        ["--json".into(), path("events.jsonl")],
        ["-w".into(), path("events.pcapng")],
        ["--report".into(), path("report.html")],
        ["--report".into(), path("report.svg")],
    ];
    let orders = ["--step-from".into(), path("orders")];
    let mut runs: Vec<Vec<String>> = vec![
        Vec::new(),
        vec!["-q".into()],
        [metrics.to_vec(), files.concat()].concat(),
        vec!["--offload".into(), "--busy-poll=20".into()],
        vec!["--rules".into(), path("rules"), "-vv".into()],
        orders.to_vec(),
    ];
    let others = fs::read_to_string("/proc/self/uid_map").unwrap();
    if others.split_whitespace().nth(2) != Some("1") {
        let user = ["--user", "nobody"].map(str::to_owned);
        runs.push([user.to_vec(), metrics.to_vec(), files.concat()].concat());
    }
    for options in runs {
        let mut arguments = vec!["serve"];
        arguments.extend(options.iter().map(String::as_str));
        let has_metrics = options.contains(&metrics[0]);
        let steps = options.contains(&orders[0]);
        let before = if has_metrics { "metrics: " } else { "" };
        let (serving, _) = serve_after(command(&arguments), before);
        if steps {
            fs::write(path("orders"), "p\nc\n").unwrap();
        }
        if has_metrics {
            in_order(&shell("curl -s http://127.0.0.1:9103/metrics"), &["# EOF"]);
        }
        let threads = fs::read_dir(format!("/proc/{}/task", serving.pid())).unwrap();
        for thread in threads {
            let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
            in_order(&status, &["NoNewPrivs:\t1\n", "Seccomp:\t2\n"]);
        }
        let served = start(&mut clean(python(), &["-c", ALL_SERVICES])).finish();
        served.expect(0, "all served\n");
        shell("ping -c 1 -W 5 -s 4000 192.0.2.2 && ping -c 1 -W 5 -s 4000 2001:db8::2");
        if has_metrics {
            let page = shell("curl -s http://127.0.0.1:9103/metrics");
            in_order(&page, &["tcplab_handshakes_total", "# EOF"]);
        }
        serving.signal(Signal::SIGTERM);
        let said = serving.finish().expect(0, "");
        assert!(!said.stderr.contains("not permitted"), "{}", said.stderr);
        let tells = options.iter().any(|option| option == "-vv");
        let told = said.stderr.contains("system calls are filtered");
        assert_eq!(told, tells, "{}", said.stderr);
        if options.contains(&files[0][0]) {
            for [_, file] in &files {
                assert!(fs::metadata(file).unwrap().len() > 2_000, "{file}");
            }
            let events = fs::read_to_string(&files[0][1]).unwrap();
            assert!(events.ends_with("}\n"), "{options:?}");
            // The next run may be somebody else's.
            shell(&format!("rm {0}/events.* {0}/report.*", folder.display()));
            shell(&format!("chmod 1777 {}", folder.display()));
        }
    }
    fs::remove_dir_all(&folder).unwrap();
}

/// The library's filter on this very process, and what whoever has broken into it would try.
pub(crate) fn refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut child = Command::new("sleep").arg("100").spawn().unwrap();
    let mut kept = tempfile("kept");
    let mut visitor = clean(python(), &["-c", VISITOR, &address.port().to_string()]);
    let mut visitor = visitor.stdin(Stdio::null()).spawn().unwrap();
    // One thread that was there before, and one that comes after.
    let (go, wait) = mpsc::channel();
    let earlier = thread::spawn(move || {
        wait.recv().unwrap();
        everything_else_is_refused();
    });
    let needs = Needs {
        child: Some(child.id() as i32),
        ..Needs::default()
    };
    confine(needs).unwrap();
    go.send(()).unwrap();
    earlier.join().unwrap();
    thread::spawn(everything_else_is_refused).join().unwrap();

    let denied = |result: std::io::Result<()>| {
        let error = result.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM), "{error}");
    };
    denied(Command::new("true").spawn().map(drop));
    denied(fs::read("/etc/passwd").map(drop));
    denied(fs::write("/tmp/tcplab-refused", "x"));
    denied(TcpStream::connect(address).map(drop));
    denied(TcpListener::bind("127.0.0.1:0").map(drop));
    denied(UdpSocket::bind("127.0.0.1:0").map(drop));

    // What a run does can be done all the same.
    kept.write_all(b"kept").unwrap();
    kept.sync_all().unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    stream
        .set_read_timeout(Some(std::time::Duration::from_secs(5)))
        .unwrap();
    let mut asked = [0; 3];
    stream.read_exact(&mut asked).unwrap();
    stream.write_all(&asked).unwrap();
    drop(stream);
    assert!(visitor.wait().unwrap().success());
    child.kill().unwrap();
    child.wait().unwrap();
    // A panic is told, and its thread is gone.
    assert!(thread::spawn(|| panic!("told")).join().is_err());
    eventually("memory comes and goes", || vec![1_u8; 1 << 22].len() > 1);
}

const VISITOR: &str = "import socket, sys
conn = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
conn.sendall(b'abc')
assert conn.recv(3) == b'abc'";

fn tempfile(name: &str) -> fs::File {
    let path = std::env::temp_dir().join(format!("tcplab-{name}-{}", std::process::id()));
    let file = fs::File::create(&path).unwrap();
    fs::remove_file(path).unwrap();
    file
}

/// System calls as they are, with arguments with which the kernel would do what is asked or say something else than EPERM.
fn everything_else_is_refused() {
    let null = 0;
    let text = c"/bin/true".as_ptr() as c_long;
    let page = 4096;
    let anywhere = libc::MAP_PRIVATE as c_long | libc::MAP_ANONYMOUS as c_long;
    let executable = (libc::PROT_READ | libc::PROT_EXEC) as c_long;
    let process = std::process::id() as c_long;
    let parent = nix::unistd::getppid().as_raw() as c_long;
    let tries: &[(&str, c_long, [c_long; 5])] = &[
        ("execve", libc::SYS_execve, [text, null, null, 0, 0]),
        ("execveat", libc::SYS_execveat, [-100, text, null, null, 0]),
        (
            "fork",
            libc::SYS_clone,
            [libc::SIGCHLD as c_long, 0, 0, 0, 0],
        ),
        (
            "a thread in a namespace",
            libc::SYS_clone,
            [
                (libc::CLONE_THREAD | libc::CLONE_NEWNET) as c_long,
                0,
                0,
                0,
                0,
            ],
        ),
        ("ptrace", libc::SYS_ptrace, [0, 0, 0, 0, 0]),
        (
            "process_vm_readv",
            libc::SYS_process_vm_readv,
            [process, 0, 0, 0, 0],
        ),
        ("pidfd_getfd", libc::SYS_pidfd_getfd, [0, 0, 0, 0, 0]),
        ("openat", libc::SYS_openat, [-100, text, 0, 0, 0]),
        ("openat2", libc::SYS_openat2, [-100, text, 0, 0, 0]),
        ("linkat", libc::SYS_linkat, [-100, text, -100, text, 0]),
        ("unlinkat", libc::SYS_unlinkat, [-100, null, 0, 0, 0]),
        (
            "renameat2",
            libc::SYS_renameat2,
            [-100, null, -100, null, 0],
        ),
        ("fchmodat", libc::SYS_fchmodat, [-100, null, 0o777, 0, 0]),
        ("fchmod", libc::SYS_fchmod, [0, 0o777, 0, 0, 0]),
        ("statx of a name", libc::SYS_statx, [-100, text, 0, 0, 0]),
        (
            "socket",
            libc::SYS_socket,
            [libc::AF_INET as c_long, 1, 0, 0, 0],
        ),
        (
            "a raw socket",
            libc::SYS_socket,
            [libc::AF_PACKET as c_long, 3, 0, 0, 0],
        ),
        (
            "a Unix socket",
            libc::SYS_socket,
            [libc::AF_UNIX as c_long, 1, 0, 0, 0],
        ),
        ("connect", libc::SYS_connect, [0, null, 0, 0, 0]),
        ("bind", libc::SYS_bind, [0, null, 0, 0, 0]),
        ("listen", libc::SYS_listen, [0, 1, 0, 0, 0]),
        ("setsockopt", libc::SYS_setsockopt, [0, 6, 1, null, 0]),
        (
            "code",
            libc::SYS_mmap,
            [null, page, executable, anywhere, -1],
        ),
        (
            "mprotect",
            libc::SYS_mprotect,
            [null, page, executable, 0, 0],
        ),
        (
            "pkey_mprotect",
            libc::SYS_pkey_mprotect,
            [null, page, executable, 0, 0],
        ),
        ("memfd_create", libc::SYS_memfd_create, [text, 0, 0, 0, 0]),
        ("kill", libc::SYS_kill, [parent, 0, 0, 0, 0]),
        ("kill all", libc::SYS_kill, [-1, 0, 0, 0, 0]),
        ("tgkill", libc::SYS_tgkill, [parent, parent, 0, 0, 0]),
        ("tkill", libc::SYS_tkill, [parent, 0, 0, 0, 0]),
        (
            "rt_sigqueueinfo",
            libc::SYS_rt_sigqueueinfo,
            [parent, 0, null, 0, 0],
        ),
        (
            "pidfd_send_signal",
            libc::SYS_pidfd_send_signal,
            [0, 0, null, 0, 0],
        ),
        // TIOCSTI and TUNSETIFF.
        ("typing", libc::SYS_ioctl, [0, 0x5412, text, 0, 0]),
        (
            "an interface",
            libc::SYS_ioctl,
            [0, 0x4004_54ca, null, 0, 0],
        ),
        (
            "F_SETOWN",
            libc::SYS_fcntl,
            [0, libc::F_SETOWN as c_long, parent, 0, 0],
        ),
        (
            "PR_SET_DUMPABLE",
            libc::SYS_prctl,
            [libc::PR_SET_DUMPABLE as c_long, 1, 0, 0, 0],
        ),
        ("prlimit64", libc::SYS_prlimit64, [0, 7, text, 0, 0]),
        (
            "unshare",
            libc::SYS_unshare,
            [libc::CLONE_NEWUSER as c_long, 0, 0, 0, 0],
        ),
        ("setns", libc::SYS_setns, [0, 0, 0, 0, 0]),
        ("mount", libc::SYS_mount, [null, null, null, 0, null]),
        ("chroot", libc::SYS_chroot, [text, 0, 0, 0, 0]),
        ("setuid", libc::SYS_setuid, [0, 0, 0, 0, 0]),
        ("capset", libc::SYS_capset, [null, null, 0, 0, 0]),
        ("seccomp", libc::SYS_seccomp, [1, 0, null, 0, 0]),
        ("bpf", libc::SYS_bpf, [0, null, 0, 0, 0]),
        (
            "perf_event_open",
            libc::SYS_perf_event_open,
            [null, 0, 0, 0, 0],
        ),
        (
            "io_uring_setup",
            libc::SYS_io_uring_setup,
            [1, null, 0, 0, 0],
        ),
        ("userfaultfd", libc::SYS_userfaultfd, [0, 0, 0, 0, 0]),
        ("keyctl", libc::SYS_keyctl, [0, 0, 0, 0, 0]),
        ("init_module", libc::SYS_init_module, [null, 0, null, 0, 0]),
        ("reboot", libc::SYS_reboot, [0, 0, 0, 0, 0]),
    ];
    for (name, call, [a, b, c, d, e]) in tries {
        assert_eq!(
            raw(*call, [*a, *b, *c, *d, *e]),
            Err(Errno::EPERM),
            "{name}"
        );
    }
    // Whoever is told that there is no such call takes the older one.
    assert_eq!(raw(libc::SYS_clone3, [0; 5]), Err(Errno::ENOSYS));
}

#[allow(unsafe_code, reason = "no crate makes calls as wrong as these")]
fn raw(call: c_long, arguments: [c_long; 5]) -> Result<c_long, Errno> {
    let [a, b, c, d, e] = arguments;
    // SAFETY: each of the calls is refused before it does anything; if one is not, this process of its own fails its test.
    Errno::result(unsafe { libc::syscall(call, a, b, c, d, e, 0) })
}
