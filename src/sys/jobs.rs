//! Commands that run beside each other, each with a time limit, and what they have printed.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::child::Child;

/// Of what a command prints, so many bytes of each stream are kept.
pub const KEPT: usize = 1 << 20;

/// How often the deadline is asked for.
const LOOK: Duration = Duration::from_millis(200);

/// How a command has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its status; `None` where it had not ended when its time was over, and was killed.
    pub status: Option<ExitStatus>,
    /// How long it has run.
    pub took: Duration,
    /// The first [`KEPT`] bytes of its standard output.
    pub stdout: Vec<u8>,
    /// The same of its standard error.
    pub stderr: Vec<u8>,
}

/// Runs a command with nothing on its standard input until it ends or `deadline` is over, which is asked again and again, as it may
/// depend on what the command does. It gets a process group of its
/// own, of which nothing is left running afterwards; it is killed too when the calling *thread* ends.
///
/// # Errors
/// When the command can't be started.
pub fn run(mut command: Command, deadline: impl Fn(Instant) -> Instant) -> io::Result<Ended> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    // SAFETY: the closure makes one system call, which is allowed between fork and exec.
    unsafe { command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?)) };
    let started = Instant::now();
    let mut spawned = command.spawn()?;
    let readers = (reader(spawned.stdout.take()), reader(spawned.stderr.take()));
    // A process id is a positive i32.
    let pid = Pid::from_raw(spawned.id() as i32);
    let mut child = Child::adopt(pid)?;

    let status = wait(&mut child, || deadline(started))?;
    let took = started.elapsed();
    // Whatever it has left behind would keep its output open. An empty group is no error.
    let _ = killpg(pid, Signal::SIGKILL);
    child.wait()?;
    Ok(Ended {
        status,
        took,
        stdout: readers.0.join().unwrap_or_default(),
        stderr: readers.1.join().unwrap_or_default(),
    })
}

fn wait(child: &mut Child, deadline: impl Fn() -> Instant) -> io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let left = deadline().saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        let mut watched = [PollFd::new(child.as_fd(), PollFlags::POLLIN)];
        let millis = left.min(LOOK).as_millis().max(1) as u16;
        match poll(&mut watched, PollTimeout::from(millis)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Reads to the end, and keeps the beginning.
fn reader(stream: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let Some(mut stream) = stream else {
            return Vec::new();
        };
        let mut kept = Vec::new();
        // What is lost with an error was not printed.
        let _ = stream.by_ref().take(KEPT as u64).read_to_end(&mut kept);
        let _ = io::copy(&mut stream, &mut io::sink());
        kept
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(script: &str, limit: u64, code: Option<i32>, stdout: &str, stderr: &str) {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let ended = run(command, |started| started + Duration::from_secs(limit)).unwrap();
        assert_eq!(
            ended.status.and_then(|status| status.code()),
            code,
            "{script}"
        );
        assert_eq!(String::from_utf8_lossy(&ended.stdout), stdout, "{script}");
        assert_eq!(String::from_utf8_lossy(&ended.stderr), stderr, "{script}");
    }

    #[test]
    fn what_commands_do_is_told() {
        check(
            "echo out; echo err >&2; exit 3",
            30,
            Some(3),
            "out\n",
            "err\n",
        );
        check("cat", 30, Some(0), "", "");
        check("echo begins; sleep 100; echo ends", 1, None, "begins\n", "");
        // What is left in the background is ended with it.
        check("sleep 100 & echo done", 30, Some(0), "done\n", "");
    }

    #[test]
    fn what_is_too_much_is_not_kept() {
        let mut command = Command::new("head");
        command.args(["-c", "3000000", "/dev/zero"]);
        let ended = run(command, |started| started + Duration::from_secs(30)).unwrap();
        assert_eq!(ended.stdout.len(), KEPT);
        assert!(ended.status.unwrap().success());
    }

    #[test]
    fn a_command_that_is_not_there_is_an_error() {
        let error = run(Command::new("/no/such/command"), |started| started).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
