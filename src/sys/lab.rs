//! The private lab: a command in namespaces of its own, with a TUN that only it can reach.
//!
//! ```text
//!   this process (the stack)                      the command (kernel TCP)
//!   host's namespaces                             own user*, network and mount namespace
//!
//!   open    ── fork ───────────────────────────►  1  unshare; map our user and group to themselves
//!                                                 2  die with the parent
//!                                                 3  keep mounts private
//!                                                 4  our names over /etc/hosts
//!                                                 5  lo up; TUN made, configured, up;
//!                                                    ports of 127.0.0.1 led to it, if asked
//!                                                 6  a socket for questions (sock_diag)
//!   Lab     ◄── the descriptors (SCM_RIGHTS)      7  hand over, wait
//!   start   ── go ─────────────────────────────►  8  exec CMD
//!           ◄── closed by exec, or why it failed
//!
//!   * not where we hold CAP_SYS_ADMIN and CAP_NET_ADMIN: root's lab keeps other users and setuid programs.
//! ```
//!
//! The order matters: the user namespace gives the privilege for all that follows; changing credentials
//! clears the death signal, so it is set after; mounts become private before the first one is made;
//! the command starts only when the stack can answer its first SYN.
//!
//! Nothing is ever written outside the new namespaces. Whatever dies at whatever moment, the kernel
//! takes the interface, the mounts and the hosts file with the last process that holds them. The command
//! itself is killed with us (PR_SET_PDEATHSIG); processes it started in turn live on until they
//! end, in a lab without a TUN.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;

use nix::libc;
use nix::unistd::{ForkResult, fork, getpid};
use smoltcp::wire::IpCidr;

use super::child::{Child, exit_code};
use super::diag::Diag;
use super::tun::{Tun, TunConfig, check_name, check_offload};

mod error;
mod hosts;
mod inside;
mod localhost;
mod message;

pub use error::{LabError, Shortfall, Step};
pub(super) use error::{Limits, why};
use inside::Plan;
pub use localhost::Localhost;
use localhost::Loopback;
use message::{Message, Socket};

/// What the lab is to contain.
#[derive(Clone, Debug)]
pub struct LabConfig {
    /// The TUN, with the addresses of the kernel's side.
    pub tun: TunConfig,
    /// Names that resolve inside, each with its address; they come before the machine's own.
    pub hosts: Vec<(IpAddr, String)>,
    /// What 127.0.0.1 is inside.
    pub localhost: Localhost,
    /// Whether the kernel inside sends again for hours what is not answered, as a person decides about each packet. Otherwise it
    /// gives up when any Linux does: a SYN after about two minutes.
    pub patient: bool,
}

impl Default for LabConfig {
    /// `tun0` with 192.0.2.1/24 and 2001:db8::1/64, MTU 1500, no names, and a 127.0.0.1 of its own.
    fn default() -> Self {
        let addresses = vec![
            IpCidr::new(IpAddr::from([192, 0, 2, 1]).into(), 24),
            IpCidr::new(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]).into(), 64),
        ];
        LabConfig {
            tun: TunConfig {
                name: "tun0".into(),
                addresses,
                mtu: 1500,
                offload: false,
            },
            hosts: Vec::new(),
            localhost: Localhost::Own,
            patient: false,
        }
    }
}

/// A lab with everything in place, whose command waits for [`Lab::start`]. Dropping it kills the command.
#[derive(Debug)]
pub struct Lab {
    /// Our end of the lab's network.
    pub tun: Tun,
    /// What answers questions about the connections inside, where the kernel does; otherwise a shortfall says why.
    pub diag: Option<Diag>,
    /// The command. Until [`Lab::start`] it is still ourselves, forked, waiting.
    pub child: Child,
    /// What this lab lacks. The user should be told.
    pub shortfalls: Vec<Shortfall>,
    /// The network namespace: while we hold it, the kernel goes on closing the connections of a command that
    /// has ended.
    _namespace: OwnedFd,
    loopback: Loopback,
    socket: Socket,
    command: String,
}

impl Lab {
    /// Makes the namespaces and all that is in them. `command` says what will run, with its arguments,
    /// environment, directory, and standard streams (inherited unless set; set them to files or to
    /// ends of `std::io::pipe`, as there is no parent to take the other end of `Stdio::piped`).
    ///
    /// Call it from a thread that lives as long as the lab: the kernel kills the command when the
    /// *thread* that started it ends (PR_SET_PDEATHSIG(2const)). Open several labs one after the other,
    /// not from several threads at once.
    pub fn open(config: &LabConfig, command: Command) -> Result<Lab, LabError> {
        check_name(&config.tun.name)?;
        check_offload(&config.tun)?;
        let plan = Plan::new(config);
        let name = command.get_program().to_string_lossy().into_owned();
        let (ours, theirs) = Socket::pair().map_err(LabError::os("make a socket pair"))?;
        let parent = getpid();

        // SAFETY: other threads may hold locks that the child will never see released. The child
        // therefore only makes system calls, runs std's own `Command::exec` (written for use after
        // fork) and allocates, for which glibc and musl keep malloc usable in a forked child.
        match unsafe { fork() }.map_err(LabError::os("fork"))? {
            ForkResult::Child => {
                drop(ours);
                // A panic must not unwind into the caller's stack, in which a second run would begin.
                let run = AssertUnwindSafe(|| inside::run(&plan, &theirs, command, parent));
                let _ = catch_unwind(run);
                // SAFETY: _exit only ends the process, without the exit handlers, which are the parent's.
                unsafe { libc::_exit(libc::EXIT_FAILURE) }
            }
            ForkResult::Parent { child } => {
                drop((theirs, command));
                let child = Child::adopt(child).map_err(LabError::os("watch the child"))?;
                Lab::receive(config, ours, child, name)
            }
        }
    }

    /// Lets the command run. Comes back once it does, or with the reason why it can't.
    pub fn start(&mut self) -> Result<(), LabError> {
        self.socket
            .send(&Message::Go, &[])
            .map_err(|_| self.died())?;
        match self.socket.recv() {
            // The socket closes on exec, and when a signal ends the child before that: its end tells.
            Ok(None) => Ok(()),
            Ok(Some((Message::Failed(failure), _))) => {
                Err(LabError::failed(failure, &self.command))
            }
            Ok(Some(_)) | Err(_) => Err(self.died()),
        }
    }

    /// Whether something inside has sent to the lab's own addresses, such as 127.0.0.1, by mistake as it seems: it did not find
    /// what it was looking for, there or elsewhere, or `nothing_came` to the TUN.
    pub fn missed_us(&self, nothing_came: bool) -> io::Result<bool> {
        Ok(self.loopback.packets()? > 0 && (nothing_came || self.loopback.failures()? > 0))
    }

    fn receive(
        config: &LabConfig,
        socket: Socket,
        mut child: Child,
        command: String,
    ) -> Result<Lab, LabError> {
        match socket.recv().map_err(LabError::os("hear from the lab"))? {
            Some((Message::Ready(shortfalls), descriptors)) => {
                let mut descriptors = descriptors.into_iter();
                let mut next = || descriptors.next();
                let (Some(tun), Some(namespace), Some(interfaces), Some(protocols)) =
                    (next(), next(), next(), next())
                else {
                    return Err(LabError::died(&mut child));
                };
                Ok(Lab {
                    tun: Tun::received(tun, &config.tun),
                    diag: descriptors.next().map(Diag::received),
                    child,
                    _namespace: namespace,
                    loopback: Loopback::received(interfaces, protocols),
                    shortfalls,
                    socket,
                    command,
                })
            }
            Some((Message::Failed(failure), _)) => Err(LabError::failed(failure, &command)),
            Some((Message::Go, _)) | None => Err(LabError::died(&mut child)),
        }
    }

    fn died(&mut self) -> LabError {
        LabError::died(&mut self.child)
    }
}

impl LabError {
    /// The child went without a word: somebody killed it, or it panicked.
    fn died(child: &mut Child) -> LabError {
        let status = child.wait();
        LabError::Died {
            code: status.map_or(u8::MAX, exit_code),
        }
    }
}
