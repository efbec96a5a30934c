//! The kernel's own view of the peer, in labs with real clients: what the ladder's left column says, what `ss` says
//! inside the lab, and what the segments say.
//!
//! Where the kernel and the segments can't both be right, the log warns ([`InferredPeer::agrees_with`] is the rule), and
//! no test here may see such a warning.
//!
//! [`InferredPeer::agrees_with`]: tcplab::view::InferredPeer::agrees_with

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::unistd::geteuid;
use tcplab::state::TcpState;
use tcplab::sys::diag::Diag;

#[allow(dead_code)]
#[path = "lab/helper.rs"]
mod helper;

use helper::{BOUND, SCENE, USER, User, drop_privileges, run};

/// What must hold for every user, by name.
const SCENES: &[(&str, fn())] = &[
    ("rest", at_rest_everybody_says_the_same),
    ("lives", kernel_and_segments_agree_all_along),
    ("active", kernel_and_segments_agree_where_we_open),
    ("quiet", nobody_asks_for_nobody),
    ("files", a_file_alone_is_not_worth_asking),
];

#[test]
fn scenes_as_this_user() {
    for (name, _) in SCENES {
        run(name, User::This);
    }
}

#[test]
fn scenes_without_privileges() {
    for (name, _) in SCENES {
        run(name, User::Unprivileged);
    }
}

#[test]
#[ignore = "the other tests start it, in a process of its own"]
fn scene() {
    let name = env::var(SCENE).expect("only the other tests start this one");
    if env::var(USER).unwrap() == format!("{:?}", User::Unprivileged) && geteuid().is_root() {
        drop_privileges();
    }
    let (_, play) = SCENES.iter().find(|scene| scene.0 == name).unwrap();
    play();
}

/// Not a test of speed: prints what a question costs.
#[test]
#[ignore = "a measurement"]
fn cost() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap();
    let client = std::net::TcpStream::connect(server).unwrap();
    let (diag, local) = (Diag::open().unwrap(), client.local_addr().unwrap());
    const QUESTIONS: u32 = 100_000;
    let start = Instant::now();
    for _ in 0..QUESTIONS {
        assert!(diag.ask(local, server).unwrap().is_some());
    }
    println!("{:?} a question", start.elapsed() / QUESTIONS);
}

/// Python, ahead of what each client does: `connect` gives a socket, `rest` shows all sockets and waits.
const PRELUDE: &str = r#"
import socket, struct, subprocess, sys, time
def connect(port):
    return socket.create_connection((sys.argv[1], port), 10)
def rest():
    time.sleep(0.3)
    out = subprocess.run(["ss", "-tanH"], stdout=subprocess.PIPE, check=True).stdout.decode()
    print(out + "at rest", flush=True)
    sys.stdin.readline()
"#;

fn at_rest_everybody_says_the_same() {
    #[track_caller]
    fn check(client: &str, state: TcpState, as_ss_says: &str) {
        for address in ["192.0.2.2", "2001:db8::2"] {
            let mut lab = Running::start("run", &[], &["python3", "-c", &program(client), address]);
            let sockets = lab.read_until("at rest");
            // What was drawn by then is here soon: nothing happens while all rest.
            std::thread::sleep(Duration::from_millis(300));
            let drawn = lab.said();
            let all = lab.finish();

            assert!(drawn.contains("peer (asked)"), "{drawn}");
            assert_eq!(
                left_column(&drawn).last(),
                Some(&state),
                "{client}\n{drawn}"
            );
            let found: Vec<&str> = sockets
                .lines()
                .filter(|line| line.contains(address))
                .filter_map(|line| line.split_whitespace().next())
                .collect();
            assert_eq!(found, [as_ss_says], "{client}\n{sockets}\n{drawn}");
            check_agreement(&all);
        }
    }
    use TcpState::*;
    check(
        "s = connect(7); s.send(b'x'); s.recv(1); rest()",
        Established,
        "ESTAB",
    );
    // Daytime closes at once.
    check("s = connect(13); rest()", CloseWait, "CLOSE-WAIT");
    // Chargen never does.
    check(
        "s = connect(19); s.shutdown(socket.SHUT_WR); rest()",
        FinWait2,
        "FIN-WAIT-2",
    );
    check("s = connect(7); s.close(); rest()", TimeWait, "TIME-WAIT");
}

fn kernel_and_segments_agree_all_along() {
    use TcpState::*;
    #[track_caller]
    fn check(client: &str, last: TcpState) {
        for address in ["192.0.2.2", "2001:db8::2"] {
            let lab = Running::start("run", &[], &["python3", "-c", &program(client), address]);
            let said = lab.finish();
            let asked = check_agreement(&said);
            assert_eq!(
                (asked.first(), asked.last()),
                (Some(&SynSent), Some(&last)),
                "{said}"
            );
            assert!(said.contains("kernel  the peer's: RTT "), "{said}");
        }
    }
    let talk = "s = connect(7); s.sendall(bytes(100000)); n = 0\nwhile n < 100000: n += len(s.recv(65536))\n";
    check(&format!("{talk}s.close(); time.sleep(0.1)"), TimeWait);
    // The peer closes second: after the last ACK nothing is left.
    check(
        "s = connect(13)\nwhile s.recv(100): pass\ns.close(); time.sleep(0.1)",
        Closed,
    );
    check(
        "s = connect(13); time.sleep(0.1); s.close(); time.sleep(0.1)",
        Closed,
    );
    // Half-closed, and data still flows to it.
    check(
        "s = connect(7); s.send(b'x'); s.shutdown(socket.SHUT_WR)\nwhile s.recv(100): pass\n",
        TimeWait,
    );
    // It resets: unread data, and SO_LINGER of zero (socket(7)).
    check(
        "s = connect(19); time.sleep(0.1); s.close(); time.sleep(0.1)",
        Closed,
    );
    let linger = "s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))";
    check(
        &format!("s = connect(7); {linger}; s.close(); time.sleep(0.1)"),
        Closed,
    );
}

fn kernel_and_segments_agree_where_we_open() {
    let serve = |address: &str, then: &str| {
        format!(
            "import socket, time\nl = socket.create_server(('{address}', 1111))\n{then}\ntime.sleep(10)"
        )
    };
    let hello = "s, _ = l.accept(); l.close(); s.recv(1); s.sendall(b'x'); s.close()";
    let server = serve("192.0.2.1", hello);
    let mut lab = Running::start(
        "connect",
        &["echo", "192.0.2.1:1111"],
        &["python3", "-c", &server],
    );
    lab.type_in("x");
    let asked = check_agreement(&lab.finish());
    assert_eq!(asked.first(), Some(&TcpState::SynReceived), "{asked:?}");

    // There is a server, but at another address.
    let server = serve("127.0.0.1", "");
    let lab = Running::start(
        "connect",
        &["echo", "192.0.2.1:1111"],
        &["python3", "-c", &server],
    );
    assert_eq!(check_agreement(&lab.finish()), [TcpState::Closed]);
}

fn nobody_asks_for_nobody() {
    let output = connect_and_close(&["--quiet"]);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

fn a_file_alone_is_not_worth_asking() {
    for (options, expected) in [
        (&["--quiet", "--json", "-"][..], false),
        (&["--json", "-"], true),
    ] {
        let output = connect_and_close(options);
        let lines = String::from_utf8_lossy(&output.stdout);
        assert!(lines.contains(r#""kind":"closed""#), "{output:?}");
        let asked = lines.contains(r#""kind":"asked""#);
        assert_eq!(asked, expected, "{options:?}: {output:?}");
    }
}

fn connect_and_close(options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tcplab"))
        .arg("run")
        .args(options)
        .args(["--", "python3", "-c", &program("connect(7).close()")])
        .arg("192.0.2.2")
        .env_remove("RUST_LOG")
        .output()
        .unwrap()
}

fn program(client: &str) -> String {
    format!("{PRELUDE}{client}")
}

/// tcplab at work, with its ladder and the whole log on standard error.
struct Running {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
    said: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Running {
    fn start(job: &str, arguments: &[&str], command: &[&str]) -> Running {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tcplab"))
            .arg(job)
            .args(arguments)
            .arg("--")
            .args(command)
            .env("RUST_LOG", "tcplab=debug")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut stderr = child.stderr.take().unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&said);
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 65_536];
            while let Ok(len @ 1..) = stderr.read(&mut bytes) {
                sink.lock().unwrap().extend(&bytes[..len]);
            }
        });
        Running {
            child,
            stdout,
            said,
            reader,
        }
    }

    /// What comes from its standard output until a line is `mark`.
    fn read_until(&mut self, mark: &str) -> String {
        let mut text = String::new();
        while !text.trim_end().ends_with(mark) {
            let len = self.stdout.read_line(&mut text).unwrap();
            assert!(len > 0, "{text}\n{}", self.said());
        }
        text
    }

    fn type_in(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// What it has said on standard error so far.
    fn said(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().unwrap()).into_owned()
    }

    /// All that it has said once it is over.
    fn finish(mut self) -> String {
        // End of input: whoever rests wakes up.
        drop(self.child.stdin.take());
        let start = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            if start.elapsed() > BOUND {
                self.child.kill().unwrap();
                panic!("it does not end\n{}", self.said());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.reader.join().unwrap();
        String::from_utf8(std::mem::take(&mut self.said.lock().unwrap())).unwrap()
    }
}

/// The states that stand on the left of the ladder, in order.
fn left_column(drawn: &str) -> Vec<TcpState> {
    drawn
        .lines()
        .filter(|line| line.contains(" #1 ") && !line.starts_with('['))
        .filter_map(|line| state(line.split(" #1 ").nth(1)?.split(' ').next()?))
        .collect()
}

/// The states that the kernel has told, each once in a row. None of them is impossible, judged by the segments.
#[track_caller]
fn check_agreement(said: &str) -> Vec<TcpState> {
    assert!(!said.contains("its segments say"), "{said}");
    assert!(!said.contains("does not answer"), "{said}");
    let mut asked: Vec<TcpState> = said
        .lines()
        .filter_map(|line| state(line.split("#1 the peer's kernel says ").nth(1)?))
        .collect();
    asked.dedup();
    asked
}

fn state(name: &str) -> Option<TcpState> {
    TcpState::ALL.into_iter().find(|state| state.name() == name)
}
