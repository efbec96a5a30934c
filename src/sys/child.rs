//! A process that we started: told apart by a descriptor, never left running or as a zombie.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// A child process. Its descriptor (`AsFd`) becomes readable when it ends (pidfd_open(2)).
/// Dropping a child that still runs kills it.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    pidfd: OwnedFd,
    status: Option<ExitStatus>,
}

/// A signal that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caught {
    /// SIGINT, SIGTERM or SIGHUP.
    pub signal: Signal,
    /// Sent by the kernel's terminal driver to the whole foreground group, not by `kill` to us alone.
    pub from_terminal: bool,
}

impl Child {
    /// Takes charge of the process `pid`, which must be our own child and not waited for yet.
    pub(super) fn adopt(pid: Pid) -> Result<Child, Errno> {
        // SAFETY: pidfd_open takes two integers and returns a descriptor or -1.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
        let fd = Errno::result(fd)?;
        // SAFETY: the kernel has just given us this descriptor, and nobody else knows of it.
        let pidfd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
        Ok(Child {
            pid,
            pidfd,
            status: None,
        })
    }

    /// The process id, as the user's `ps` shows it.
    pub fn id(&self) -> i32 {
        self.pid.as_raw()
    }

    /// How it ended, once [`Child::try_wait`] or [`Child::wait`] has seen it.
    pub fn status(&self) -> Option<ExitStatus> {
        self.status
    }

    /// How it ended, or `None` while it runs. Fails only where the child was waited for elsewhere.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.reap(libc::WNOHANG)
    }

    /// Waits for its end, however long that takes.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.reap(0)? {
                return Ok(status);
            }
        }
    }

    /// Sends it a signal. To a child that has ended, this does nothing.
    pub fn kill(&self, signal: Signal) -> io::Result<()> {
        match self.status {
            Some(_) => Ok(()),
            None => Ok(kill(self.pid, signal)?),
        }
    }

    /// Sends a signal to the process group that it leads, and so to what it has started too. To a child that has ended, this
    /// does nothing.
    pub fn kill_group(&self, signal: Signal) -> io::Result<()> {
        match self.status {
            Some(_) => Ok(()),
            None => Ok(killpg(self.pid, signal)?),
        }
    }

    /// Passes on a signal that was meant for the command but reached only us (`kill PID`). What the
    /// terminal sent (Ctrl-C, a hangup) has reached the child too, as it's in our process group.
    pub fn pass_on(&self, caught: Caught) -> io::Result<()> {
        match caught.from_terminal {
            true => Ok(()),
            false => self.kill(caught.signal),
        }
    }

    fn reap(&mut self, flags: libc::c_int) -> io::Result<Option<ExitStatus>> {
        if self.status.is_some() {
            return Ok(self.status);
        }
        let mut raw = 0;
        // SAFETY: waitpid writes one integer, to a place that lives until it returns. (nix's wrapper
        // would lose the end of a child that a real-time signal killed.)
        match Errno::result(unsafe { libc::waitpid(self.pid.as_raw(), &mut raw, flags) }) {
            Ok(0) | Err(Errno::EINTR) => Ok(None),
            Ok(_) => {
                self.status = Some(ExitStatus::from_raw(raw));
                Ok(self.status)
            }
            Err(errno) => Err(errno.into()),
        }
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Ok(None) = self.try_wait() {
            // Failing means that it is gone already; there is no one left to tell.
            let _ = self.kill(Signal::SIGKILL);
            let _ = self.wait();
        }
    }
}

/// The code a shell would show in `$?`: the command's own, or 128 + the number of the signal that killed it.
pub fn exit_code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    // Both are below 256 by POSIX; `None` would be a stopped child, which is never waited for.
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_a_shells() {
        #[track_caller]
        fn check(raw: i32, expected: u8) {
            assert_eq!(exit_code(ExitStatus::from_raw(raw)), expected);
        }
        check(0, 0);
        check(3 << 8, 3);
        check(255 << 8, 255);
        check(libc::SIGINT, 130);
        check(libc::SIGSEGV | 0x80, 139);
        check(64, 192);
    }
}
