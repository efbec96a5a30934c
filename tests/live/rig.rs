//! tcplab as a person runs it, and what it said; nothing takes longer than [`BOUND`].

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

pub(crate) use crate::helper::BOUND;

/// The program under test.
pub(crate) const TCPLAB: &str = env!("CARGO_BIN_EXE_tcplab");

/// As nobody, with a /dev/net/tun that everybody may open; "$@" are the arguments.
const AS_NOBODY: &str = r#"
    set -e
    mount -t tmpfs none /mnt
    mknod /mnt/tun c 10 200
    chmod 0666 /mnt/tun
    mount --bind /mnt/tun /dev/net/tun
    touch /mnt/tcplab
    mount --bind "$TCPLAB" /mnt/tcplab
    cd /
    exec setpriv --reuid 65534 --regid 65534 --clear-groups /mnt/tcplab "$@"
"#;

/// What a run has said, and how it ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The exit code, or 128 + the number of the signal that killed it.
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Standard output as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("standard output is text")
    }

    /// Both at once, in one comparison that shows all of it.
    #[track_caller]
    pub(crate) fn expect(self, code: i32, stdout: &str) -> Outcome {
        let said = String::from_utf8_lossy(&self.stdout);
        assert_eq!(
            (self.code, said.as_ref()),
            (code, stdout),
            "{}",
            self.stderr
        );
        self
    }

    /// It ended with this code.
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Outcome {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// The lines of the ladder and the summary contain these, in this order.
    #[track_caller]
    pub(crate) fn shows(&self, expected: &[&str]) {
        in_order(&self.stderr, expected);
    }
}

#[track_caller]
pub(crate) fn in_order(text: &str, expected: &[&str]) {
    let mut rest = text;
    for part in expected {
        let Some(at) = rest.find(part) else {
            panic!("{part:?} is not where it should be in:\n{text}");
        };
        rest = &rest[at + part.len()..];
    }
}

/// Runs tcplab with these arguments and nothing on its standard input.
#[track_caller]
pub(crate) fn tcplab(arguments: &[&str]) -> Outcome {
    start(&mut command(arguments)).finish()
}

/// Runs `tcplab run` with these options on a shell's command line, with curl, nc and all.
#[track_caller]
pub(crate) fn run(options: &[&str], line: &str) -> Outcome {
    tcplab(&[&["run"], options, &["--", "sh", "-c", line]].concat())
}

/// The same with a Python program.
#[track_caller]
pub(crate) fn run_python(options: &[&str], program: &str, arguments: &[&str]) -> Outcome {
    let python = [python(), "-c", program];
    tcplab(&[&["run"], options, &["--"], &python, arguments].concat())
}

/// tcplab with these arguments, to be started.
pub(crate) fn command(arguments: &[&str]) -> Command {
    clean(TCPLAB, arguments)
}

/// tcplab as an unprivileged user.
pub(crate) fn as_nobody(arguments: &[&str]) -> Command {
    if !geteuid().is_root() {
        return command(arguments);
    }
    let wrapper = ["--mount", "sh", "-c", AS_NOBODY, "sh"];
    let mut command = clean("unshare", &[&wrapper, arguments].concat());
    command.env("TCPLAB", TCPLAB);
    command
}

/// A command in namespaces made as `unshare` is told to, where it may do everything.
pub(crate) fn unshared(options: &[&str], line: &str) -> Command {
    let privileges: &[&str] = match geteuid().is_root() {
        true => &[],
        false => &["--map-root-user"],
    };
    let arguments = [options, privileges, &["sh", "-c", line]].concat();
    let mut command = clean("unshare", &arguments);
    command.env("TCPLAB", TCPLAB);
    command
}

/// A command that this user's settings don't change.
pub(crate) fn clean(program: &str, arguments: &[&str]) -> Command {
    check_tools();
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .env("PATH", search_path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for name in [
        "RUST_LOG",
        "RUST_BACKTRACE",
        "NO_COLOR",
        "http_proxy",
        "ALL_PROXY",
    ] {
        command.env_remove(name);
    }
    command
}

/// Runs it with `input` on its standard input.
#[track_caller]
pub(crate) fn with_input(command: &mut Command, input: &str) -> Outcome {
    let mut running = start(command.stdin(Stdio::piped()));
    let mut stdin = running.child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    running.finish()
}

/// A process under way.
pub(crate) struct Running {
    pub(crate) child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
}

pub(crate) fn start(command: &mut Command) -> Running {
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Running {
        stdout: child.stdout.take().map(collect),
        stderr: child.stderr.take().map(collect),
        child,
    }
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// From now on what comes from there counts as its standard error.
    pub(crate) fn listen_to(&mut self, stderr: impl Read + Send + 'static) {
        self.stderr = Some(collect(stderr));
    }

    /// Waits for its end, which is near.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Outcome {
        use std::os::unix::process::ExitStatusExt;
        let since = Instant::now();
        let mut late = false;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if since.elapsed() > BOUND && !late {
                late = true;
                self.child.kill().unwrap();
            }
            thread::sleep(Duration::from_millis(2));
        };
        let said = |reader: Option<JoinHandle<Vec<u8>>>| {
            reader.map_or_else(Vec::new, |reader| reader.join().unwrap())
        };
        let outcome = Outcome {
            code: status
                .code()
                .unwrap_or_else(|| 128 + status.signal().unwrap()),
            stdout: said(self.stdout.take()),
            stderr: String::from_utf8_lossy(&said(self.stderr.take())).into_owned(),
        };
        assert!(!late, "not over after {BOUND:?}: {outcome:?}");
        outcome
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Only where the test has failed before it was over.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        from.read_to_end(&mut all).unwrap();
        all
    })
}

/// The Python that `python3` leads to, without the wrapper that it may be.
pub(crate) fn python() -> &'static str {
    static PYTHON: OnceLock<String> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let asked = clean("python3", &["-c", "import sys; print(sys.executable)"]).output();
        let path = String::from_utf8(asked.unwrap().stdout).unwrap();
        path.trim().to_owned()
    })
}

/// A test that can't run fails, and says what mends it.
fn check_tools() {
    static CHECKED: OnceLock<()> = OnceLock::new();
    CHECKED.get_or_init(|| {
        for tool in [
            "curl", "ip", "mount", "nc", "ping", "python3", "setpriv", "unshare",
        ] {
            let found = search_path().to_str().is_some_and(|path| {
                path.split(':')
                    .any(|dir| Path::new(dir).join(tool).exists())
            });
            assert!(found, "{tool} is missing: run setup/test.sh");
        }
        let nc = Command::new("nc").arg("-h").output().unwrap();
        let is_openbsd = String::from_utf8_lossy(&nc.stderr).contains("OpenBSD");
        assert!(is_openbsd, "nc is not OpenBSD's: run setup/test.sh");
    });
}

fn search_path() -> &'static OsStr {
    static PATH: OnceLock<std::ffi::OsString> = OnceLock::new();
    PATH.get_or_init(|| {
        let mut path = std::env::var_os("PATH").unwrap_or_default();
        // Where only root's PATH looks: ip.
        path.push(":/usr/sbin:/sbin");
        path
    })
}
