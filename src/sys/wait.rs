//! One place to wait: the TUN, a child, signals, one more descriptor, and a deadline.
//!
//! Signals arrive as data (signalfd(2)), so no code runs at odd moments and none is missed between
//! a look and a sleep. They follow a shell's rules:
//!
//! - Ctrl-C reaches the child by itself (same process group). We don't die of it: the child decides,
//!   we wait for its end and report.
//! - `kill PID` reaches only us: [`Child::pass_on`] hands it to the child.
//! - Ctrl-Z and `fg` stop and continue both, untouched.
//! - What was ignored when we were started (`nohup`, a script's `&`) stays ignored.
//!
//! **Ending twice.** Whoever sees a signal here is expected to wind up. A second one must not find
//! us deaf: either look at [`Ready::signals`] until the end, or drop the [`Waiter`] before anything that may
//! take long. Dropping gives signals back their usual effect, and the next one ends the process.

use std::array;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitStatus;
use std::ptr;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, ppoll};
pub use nix::sys::signal::Signal;
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::time::TimeSpec;

pub use super::child::Caught;
use super::child::Child;

/// The signals that ask a program to end, and that are caught here.
const ENDING: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// Holds SIGINT, SIGTERM and SIGHUP back from their usual effect while it lives.
///
/// Make it before any thread is started: a signal goes to whichever thread doesn't block it.
#[derive(Debug)]
pub struct Waiter {
    signals: SignalFd,
    before: SigSet,
}

/// What to wait for, besides signals. The default is nothing.
#[derive(Debug, Default)]
pub struct Watch<'a> {
    /// The TUN, for a packet to read.
    pub tun: Option<BorrowedFd<'a>>,
    /// The child, for its end.
    pub child: Option<&'a mut Child>,
    /// Anything else that can be read, such as standard input.
    pub input: Option<BorrowedFd<'a>>,
    /// What the live screen has to say.
    pub screen: Option<BorrowedFd<'a>>,
}

/// Why the wait ended. All false and empty: the timeout passed, or the process was stopped and
/// continued; look at the clock.
#[derive(Debug, Default)]
pub struct Ready {
    /// The TUN has a packet, or an error to tell.
    pub tun: bool,
    /// The other descriptor can be read, or is at its end.
    pub input: bool,
    /// The screen has something to say, or is gone.
    pub screen: bool,
    /// Signals in order of arrival. Two of a kind may have melted into one (signal(7)).
    pub signals: Vec<Caught>,
    /// The child has ended. Reported once; later the child is not watched, and [`Child::status`] knows.
    pub child_exited: Option<ExitStatus>,
}

impl Waiter {
    /// Begins to catch the signals that end a program, for this thread and those it starts from now on.
    pub fn new() -> io::Result<Waiter> {
        let mut caught = SigSet::empty();
        for signal in ENDING {
            // A blocked signal is queued even where it is ignored (sigaction(2)), so look first.
            if !is_ignored(signal)? {
                caught.add(signal);
            }
        }
        let signals =
            SignalFd::with_flags(&caught, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        let before = caught.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        Ok(Waiter { signals, before })
    }

    /// Waits until something in `watch` happens, a signal comes, or `timeout` passes (to the
    /// nanosecond as ppoll(2) has it; `None` is for ever).
    pub fn wait(&self, watch: Watch<'_>, timeout: Option<Duration>) -> io::Result<Ready> {
        let Watch {
            tun,
            child,
            input,
            screen,
        } = watch;
        let child = child.filter(|child| child.status().is_none());
        let child_fd = child.as_ref().map(|child| child.as_fd());
        // Each descriptor that is asked about costs time, so only those are that count.
        let signals = || PollFd::new(self.signals.as_fd(), PollFlags::POLLIN);
        let mut asked: [PollFd<'_>; 5] = array::from_fn(|_| signals());
        let mut count = 1;
        let [tun, ended, input, screen] = [tun, child_fd, input, screen].map(|fd| {
            fd.map(|fd| {
                asked[count] = PollFd::new(fd, PollFlags::POLLIN);
                count += 1;
                count - 1
            })
        });
        match ppoll(&mut asked[..count], timeout.map(TimeSpec::from), None) {
            Ok(_) => {}
            // Stopped and continued: nobody is ready, and the caller's deadline has come nearer.
            Err(Errno::EINTR) => return Ok(Ready::default()),
            Err(errno) => return Err(errno.into()),
        }
        // Hangup and error count as readable: the read will tell.
        let ready = |at: usize| asked[at].any().unwrap_or(true);
        let [tun, ended, input, screen] =
            [tun, ended, input, screen].map(|at| at.is_some_and(ready));
        let signalled = ready(0);

        Ok(Ready {
            tun,
            input,
            screen,
            signals: match signalled {
                true => self.take_signals()?,
                false => Vec::new(),
            },
            child_exited: match child {
                Some(child) if ended => child.try_wait()?,
                _ => None,
            },
        })
    }

    fn take_signals(&self) -> io::Result<Vec<Caught>> {
        let mut signals = Vec::new();
        while let Some(info) = self.signals.read_signal()? {
            let signal = Signal::try_from(info.ssi_signo as i32)?;
            // sigaction(2): SI_KERNEL is the kernel's own doing; kill, tgkill and sigqueue say so.
            let from_terminal = info.ssi_code == libc::SI_KERNEL;
            signals.push(Caught {
                signal,
                from_terminal,
            });
        }
        Ok(signals)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        // Only an unknown `how` can make this fail (pthread_sigmask(3)).
        let _ = self.before.thread_set_mask();
    }
}

/// Undoes, in a forked child, what a [`Waiter`] did: exec keeps the mask, and the command must not inherit ours.
pub(super) fn let_signals_through() -> Result<(), Errno> {
    SigSet::from_iter(ENDING).thread_unblock()
}

fn is_ignored(signal: Signal) -> io::Result<bool> {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: a null new action changes nothing; the old one is written to a place of its type.
    let result = unsafe { libc::sigaction(signal as i32, ptr::null(), action.as_mut_ptr()) };
    Errno::result(result)?;
    // SAFETY: sigaction succeeded, so it has filled the structure.
    Ok(unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN)
}

#[cfg(test)]
mod tests {
    use std::io::{PipeWriter, Write, pipe};
    use std::time::Instant;

    use nix::sys::signal::raise;

    use super::*;

    /// Another thread writes after a while; the bound is what a broken wait would run into.
    const SOON: Duration = Duration::from_millis(20);
    const BOUND: Option<Duration> = Some(Duration::from_secs(10));

    fn write_soon(mut to: PipeWriter) {
        std::thread::spawn(move || {
            std::thread::sleep(SOON);
            to.write_all(b"x").unwrap();
        });
    }

    #[test]
    fn a_timeout_below_a_millisecond_is_kept() {
        let waiter = Waiter::new().unwrap();
        let start = Instant::now();
        for _ in 0..10 {
            let timeout = Some(Duration::from_micros(200));
            let ready = waiter.wait(Watch::default(), timeout).unwrap();
            assert!(!ready.tun && !ready.input && ready.signals.is_empty());
        }
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(2), "{took:?}");
        // Rounding each up to a millisecond would still be far below this: the window is wide
        // because the machine may be busy, and only catches a wait that ignores its timeout.
        assert!(took < Duration::from_secs(5), "{took:?}");
    }

    #[test]
    fn each_descriptor_is_reported_by_its_name() {
        let waiter = Waiter::new().unwrap();
        let (reader, writer) = pipe().unwrap();
        let (silent, _open) = pipe().unwrap();

        write_soon(writer);
        let watch = Watch {
            tun: Some(silent.as_fd()),
            input: Some(reader.as_fd()),
            ..Watch::default()
        };
        let ready = waiter.wait(watch, BOUND).unwrap();
        assert!(ready.input && !ready.tun);

        let watch = Watch {
            tun: Some(reader.as_fd()),
            ..Watch::default()
        };
        let ready = waiter.wait(watch, BOUND).unwrap();
        assert!(ready.tun && !ready.input);
    }

    #[test]
    fn signals_are_data_and_dropping_restores_the_mask() {
        let before = SigSet::thread_get_mask().unwrap();
        let waiter = Waiter::new().unwrap();
        // To this thread alone: the test program's others don't block it and would die of it.
        raise(Signal::SIGTERM).unwrap();
        let ready = waiter.wait(Watch::default(), BOUND).unwrap();
        let expected = Caught {
            signal: Signal::SIGTERM,
            from_terminal: false,
        };
        assert_eq!(ready.signals, [expected]);

        drop(waiter);
        assert_eq!(SigSet::thread_get_mask().unwrap(), before);
    }

    #[test]
    #[expect(clippy::zombie_processes, reason = "our own `Child` waits for it")]
    fn the_end_of_a_child_is_reported_once() {
        let waiter = Waiter::new().unwrap();
        let started = std::process::Command::new("sh")
            .args(["-c", "exit 3"])
            .spawn()
            .unwrap();
        let mut child = Child::adopt(nix::unistd::Pid::from_raw(started.id() as i32)).unwrap();
        let mut watch = |timeout| {
            let watch = Watch {
                child: Some(&mut child),
                ..Watch::default()
            };
            waiter.wait(watch, timeout).unwrap()
        };

        let ready = watch(BOUND);
        assert_eq!(ready.child_exited.and_then(|status| status.code()), Some(3));
        assert_eq!(watch(Some(SOON)).child_exited, None);
        assert_eq!(child.status().and_then(|status| status.code()), Some(3));
    }
}
