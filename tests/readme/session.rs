//! A shell that is typed into, one command after the other.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::geteuid;

/// No command of the README takes that long.
const BOUND: Duration = Duration::from_secs(30);
/// What the shell says after each command, on both of its streams.
const DONE: &str = "--done--";

/// A command, and what the README says is seen.
pub(crate) struct Step {
    pub(crate) typed: String,
    pub(crate) seen: Vec<String>,
}

/// What was really seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: Vec<String>,
}

pub(crate) struct Session {
    shell: Child,
    input: Option<ChildStdin>,
    output: Receiver<(Stream, String)>,
    /// How many lines of a program in the background have not been read yet.
    background: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    Out,
    Err,
}

impl Session {
    pub(crate) fn open(directory: &Path, own_network: bool) -> Session {
        let mut command = match (own_network, geteuid().is_root()) {
            (false, _) => Command::new("bash"),
            (true, true) => own(&["--net"]),
            (true, false) => own(&["--net", "--map-root-user"]),
        };
        let bin = Path::new(super::TCPLAB).parent().unwrap();
        let path = std::env::var("PATH").unwrap();
        let mut shell = command
            .arg("--norc")
            .current_dir(directory)
            .env("PATH", format!("{}:{path}:/usr/sbin:/sbin", bin.display()))
            .env("LC_ALL", "C.UTF-8")
            .env_remove("RUST_LOG")
            .env_remove("SUDO_USER")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("bash and unshare (util-linux) are needed");
        let (sender, output) = channel();
        let streams: [(Stream, Box<dyn std::io::Read + Send>); 2] = [
            (Stream::Out, Box::new(shell.stdout.take().unwrap())),
            (Stream::Err, Box::new(shell.stderr.take().unwrap())),
        ];
        for (stream, reader) in streams {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(reader).lines().map_while(Result::ok) {
                    if sender.send((stream, line)).is_err() {
                        return;
                    }
                }
            });
        }
        let mut input = shell.stdin.take().unwrap();
        // Whoever sits in a network of their own needs no sudo there.
        writeln!(input, "sudo() {{ \"$@\"; }}").unwrap();
        if own_network {
            // As on any machine.
            writeln!(input, "ip link set lo up").unwrap();
        }
        Session {
            shell,
            input: Some(input),
            output,
            background: false,
        }
    }

    pub(crate) fn run(&mut self, step: &Step) -> Seen {
        let examples = Path::new(super::TCPLAB).parent().unwrap().join("examples/");
        // The name of an example follows.
        let examples = format!("'{}'", examples.display());
        let typed = step.typed.replace("cargo run --example ", &examples);
        let input = self.input.as_mut().unwrap();
        // The line break before the mark belongs to commands that end without one.
        writeln!(
            input,
            "{{ {typed}\n}} </dev/null; printf '\\n{DONE}\\n'; printf '\\n{DONE}\\n' >&2"
        )
        .unwrap();
        let mut seen = Seen::default();
        let mut done = 0;
        let end = Instant::now() + BOUND;
        let starts = typed.ends_with('&');
        self.background |= starts;
        // What a program in the background says comes when it comes.
        while done < 2 || (self.background && seen.len() < step.seen.len()) {
            let left = end.saturating_duration_since(Instant::now());
            let Ok((stream, line)) = self.output.recv_timeout(left) else {
                panic!("$ {}\ndoes not come to its end: {seen:#?}", step.typed);
            };
            if line == DONE {
                done += 1;
                continue;
            }
            seen.lines(stream).push(line);
        }
        seen
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The end of its input is the end of the shell. What it left in the background goes with the network.
        self.input = None;
        let end = Instant::now() + BOUND;
        while matches!(self.shell.try_wait(), Ok(None)) && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

impl Seen {
    fn lines(&mut self, stream: Stream) -> &mut Vec<String> {
        match stream {
            Stream::Out => &mut self.stdout,
            Stream::Err => &mut self.stderr,
        }
    }

    fn len(&self) -> usize {
        let lines = self.stdout.iter().chain(&self.stderr);
        lines.filter(|line| !line.is_empty()).count()
    }
}

fn own(options: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    // Should a test fail half-way, what it started in the background ends with it.
    command
        .args(options)
        .args(["--pid", "--fork", "--kill-child", "bash"]);
    command
}
