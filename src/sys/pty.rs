//! A terminal of its own for a command whose output is drawn in a pane (pty(7)).

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::libc;
use nix::pty::{Winsize, openpty};
use nix::unistd::setsid;

/// Our end of a pseudo-terminal: what is written here the command reads as if typed, and the other way round. Never waits.
#[derive(Debug)]
pub struct Pty {
    master: File,
}

impl Pty {
    /// Opens a pseudo-terminal and makes it the terminal of `command`: its output and errors go there, its input comes from
    /// there if `typed`, and a Ctrl-C typed there ends it. Drop `command` once it runs, or the end of its output
    /// won't be seen.
    ///
    /// # Errors
    /// When there is no pseudo-terminal to be had.
    pub fn attach(command: &mut Command, typed: bool) -> io::Result<Pty> {
        let ends = openpty(Some(&size(80, 24)), None)?;
        for end in [&ends.master, &ends.slave] {
            fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        }
        let flags = OFlag::from_bits_retain(fcntl(&ends.master, FcntlArg::F_GETFL)?);
        fcntl(&ends.master, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;

        let slave = |end: &OwnedFd| end.try_clone().map(Stdio::from);
        if typed {
            command.stdin(slave(&ends.slave)?);
        }
        command.stdout(slave(&ends.slave)?);
        command.stderr(slave(&ends.slave)?);
        // SAFETY: between fork and exec the closure makes two system calls and nothing else.
        unsafe {
            command.pre_exec(|| {
                setsid()?;
                // The terminal of a new session is the one its leader asks for (TIOCSCTTY(2const)).
                let asked = libc::ioctl(libc::STDOUT_FILENO, libc::TIOCSCTTY, 0);
                Errno::result(asked)?;
                Ok(())
            });
        }
        Ok(Pty {
            master: File::from(ends.master),
        })
    }

    /// Takes what was printed; 0 at its end, when nobody has the terminal any more.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] where there is nothing yet.
    pub fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.master.read(buf) {
            // Linux says so after the last close of the other end.
            Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok(0),
            result => result,
        }
    }

    /// Types `bytes`, and answers how many there was room for.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] where there is no room at all.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.master.write(bytes)
    }

    /// Says how large the terminal is; the command is told by a SIGWINCH.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        // SAFETY: the structure that is read lives until the call returns. The terminal keeps its size if it fails.
        let _ = unsafe {
            libc::ioctl(
                self.master.as_raw_fd(),
                libc::TIOCSWINSZ,
                &size(columns, rows),
            )
        };
    }
}

/// Whether standard input is a terminal, so that what is typed is meant for the command.
pub fn is_typed() -> bool {
    io::stdin().as_fd().is_terminal()
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    /// All that `script` prints, to which `typed` is typed once it has printed "ready".
    fn output(script: &str, mut typed: &[u8]) -> String {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let mut pty = Pty::attach(&mut command, true).unwrap();
        pty.resize(91, 17);
        let mut child = command.spawn().unwrap();
        drop(command);
        let (mut printed, mut buf) = (Vec::new(), [0; 1024]);
        let start = Instant::now();
        loop {
            assert!(start.elapsed() < Duration::from_secs(20), "it hangs");
            match pty.read(&mut buf) {
                Ok(0) => break,
                Ok(len) => {
                    printed.extend(&buf[..len]);
                    if printed.starts_with(b"ready") {
                        pty.write(std::mem::take(&mut typed)).unwrap();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    sleep(Duration::from_millis(5));
                }
                Err(error) => panic!("{error}"),
            }
        }
        child.wait().unwrap();
        String::from_utf8(printed).unwrap()
    }

    #[test]
    fn a_command_finds_a_terminal_of_its_own() {
        let printed = output(
            "test -t 0 && test -t 1 && test -t 2 && stty size </dev/tty",
            b"",
        );
        assert_eq!(printed, "17 91\r\n");
    }

    #[test]
    fn what_is_typed_is_read_and_interrupts() {
        let printed = output("echo ready; read line; echo \"<$line>\"", b"123\r");
        assert!(printed.ends_with("<123>\r\n"), "{printed:?}");
        let printed = output(
            "trap 'echo stopped; exit' INT; echo ready; sleep 15",
            b"\x03",
        );
        assert!(printed.contains("stopped"), "{printed:?}");
    }
}
