//! A filter of system calls: what a run under way does not need, it can't do any more (seccomp(2)).
//!
//! Whoever finds a way to make this process run code of theirs, by a packet that nobody has thought of, finds themselves in
//! one that opens no file, makes no socket, starts no program, maps nothing as code, signals nobody but the command of its own
//! lab, and cannot leave any of that again. What it has open it can still use: the TUN, the files of a run, the page of
//! metrics.
//!
//! ```text
//!   a call ─▶ of another architecture? ──▶ the process is killed
//!             clone3?                  ──▶ ENOSYS, and the C library takes clone, whose flags can be seen
//!             on the list?             ──▶ it is made; some only with certain arguments
//!             otherwise                ──▶ EPERM
//! ```
//!
//! EPERM rather than the end of the process: a C library or a kernel that is newer than this list may try a call that it does not
//! know, and most callers do without. A run that goes on with a message is worth more than one that ends without, and
//! whoever probes gains nothing by being refused.
//!
//! It holds on x86-64 and AArch64, for glibc and musl, and in all threads: those that run already (SECCOMP_FILTER_FLAG_TSYNC)
//! and those to come. Processes that were started before have none. A process that still has to start some can't have
//! it, as they would inherit it.
//!
//! Calls without conditions on their arguments cost about nothing: the kernel keeps a bitmap of them (since Linux 5.11).

/// Under which name the log tells whether there is a filter.
pub const TARGET: &str = "tcplab::seccomp";

/// What a run needs besides what every run needs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Needs {
    /// The process that may be sent signals.
    pub child: Option<i32>,
    /// Whether the terminal has to be opened again and again, as where a live screen finds standard input to be none.
    pub opens_terminal: bool,
}

/// Why system calls are not filtered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unconfined {
    /// There is no list of calls for it.
    #[error("there is no list for this processor ({})", std::env::consts::ARCH)]
    Processor,
    /// It knows no filters (CONFIG_SECCOMP_FILTER), or whoever confines us lets us set none.
    #[error("{0}")]
    Refused(String),
}

/// From now on no thread of this process can make another system call than those on the list. There is no way back.
///
/// no_new_privs is set besides: whoever has no privilege may set a filter only then.
///
/// # Errors
/// When there is no filter for this machine; what the process may do is as before then, but for no_new_privs.
pub fn confine(needs: Needs) -> Result<(), Unconfined> {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    return list::confine(needs);
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        let _ = needs;
        Err(Unconfined::Processor)
    }
}

/// Tries in a process that ends at once.
pub(super) fn probe() -> Result<(), Unconfined> {
    use nix::libc;
    use nix::unistd::{ForkResult, fork};
    let refused = |error: &dyn std::fmt::Display| Unconfined::Refused(error.to_string());
    // SAFETY: the child allocates, which glibc and musl keep usable in a forked child, and makes system calls.
    match unsafe { fork() }.map_err(|errno| refused(&errno.desc()))? {
        ForkResult::Child => {
            let code = match confine(Needs::default()) {
                Ok(()) => 0,
                Err(Unconfined::Processor) => 1,
                Err(Unconfined::Refused(_)) => 2,
            };
            // SAFETY: _exit only ends the process, without the exit handlers, which are the parent's.
            unsafe { libc::_exit(code) }
        }
        ForkResult::Parent { child } => {
            let child = super::child::Child::adopt(child).map_err(|errno| refused(&errno.desc()));
            let status = child?.wait().map_err(|error| refused(&error))?;
            match status.code() {
                Some(0) => Ok(()),
                Some(1) => Err(Unconfined::Processor),
                _ => Err(refused(&"the kernel refuses to set one")),
            }
        }
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod list {
    use std::collections::BTreeMap;

    use nix::libc::{self, c_long};
    use seccompiler::{
        BpfProgram, SeccompAction as Action, SeccompCmpArgLen as Size, SeccompCmpOp as Is,
        SeccompCondition, SeccompFilter, SeccompRule, TargetArch, apply_filter_all_threads,
    };

    use super::{Needs, Unconfined};

    /// Calls that may be made with any arguments: each works on what is open already, on our own memory, or on our own
    /// threads.
    const ALWAYS: &[c_long] = &[
        // What is open: the TUN, files, pipes, the terminal, signals, sock_diag.
        libc::SYS_read,
        libc::SYS_readv,
        libc::SYS_pread64,
        libc::SYS_preadv,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_pwrite64,
        libc::SYS_pwritev,
        libc::SYS_lseek,
        libc::SYS_ftruncate,
        libc::SYS_fsync,
        libc::SYS_fdatasync,
        libc::SYS_fstat,
        libc::SYS_close,
        libc::SYS_ppoll,
        libc::SYS_pselect6,
        libc::SYS_epoll_pwait,
        libc::SYS_epoll_pwait2,
        libc::SYS_epoll_ctl,
        // The same, several at a time.
        libc::SYS_io_setup,
        libc::SYS_io_submit,
        libc::SYS_io_getevents,
        libc::SYS_io_destroy,
        // Whoever reads metrics, and the kernel that is asked about its end.
        libc::SYS_accept,
        libc::SYS_accept4,
        libc::SYS_recvfrom,
        libc::SYS_recvmsg,
        libc::SYS_sendto,
        libc::SYS_sendmsg,
        libc::SYS_shutdown,
        libc::SYS_getsockopt,
        libc::SYS_getsockname,
        libc::SYS_getpeername,
        // Time.
        libc::SYS_clock_gettime,
        libc::SYS_clock_getres,
        libc::SYS_clock_nanosleep,
        libc::SYS_nanosleep,
        libc::SYS_gettimeofday,
        // Memory.
        libc::SYS_brk,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        // Threads, and what is in the way of a signal.
        libc::SYS_futex,
        libc::SYS_futex_waitv,
        libc::SYS_set_robust_list,
        libc::SYS_get_robust_list,
        libc::SYS_rseq,
        libc::SYS_sched_yield,
        libc::SYS_sched_getaffinity,
        libc::SYS_membarrier,
        libc::SYS_sigaltstack,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_rt_sigtimedwait,
        libc::SYS_restart_syscall,
        libc::SYS_exit,
        libc::SYS_exit_group,
        // The end of the command.
        libc::SYS_wait4,
        libc::SYS_waitid,
        // Who we are, and chance.
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_getppid,
        libc::SYS_getuid,
        libc::SYS_geteuid,
        libc::SYS_getgid,
        libc::SYS_getegid,
        libc::SYS_getrusage,
        libc::SYS_sysinfo,
        libc::SYS_uname,
        libc::SYS_getrandom,
        // It is let through here, so that the other filter decides.
        libc::SYS_clone3,
    ];

    /// Older names of some of them, which AArch64 never had.
    #[cfg(target_arch = "x86_64")]
    const OLDER: &[c_long] = &[
        libc::SYS_poll,
        libc::SYS_select,
        libc::SYS_epoll_wait,
        libc::SYS_time,
        libc::SYS_getrlimit,
        libc::SYS_pause,
    ];
    #[cfg(target_arch = "aarch64")]
    const OLDER: &[c_long] = &[];

    /// What is asked of terminals and sockets; not among them: to type for somebody else (TIOCSTI), and to make interfaces
    /// (TUNSETIFF). The numbers are those of <asm-generic/ioctls.h>; glibc takes TCGETS2 and its kin from 2.42 on.
    const IOCTLS: &[u64] = &[
        0x5401,      // TCGETS
        0x5402,      // TCSETS
        0x5403,      // TCSETSW
        0x5404,      // TCSETSF
        0x802c_542a, // TCGETS2
        0x402c_542b, // TCSETS2
        0x402c_542c, // TCSETSW2
        0x402c_542d, // TCSETSF2
        0x5413,      // TIOCGWINSZ
        0x5414,      // TIOCSWINSZ
        0x541b,      // FIONREAD
        0x5421,      // FIONBIO
        0x5451,      // FIOCLEX
    ];

    const FCNTLS: &[i32] = &[
        libc::F_DUPFD_CLOEXEC,
        libc::F_GETFD,
        libc::F_SETFD,
        libc::F_GETFL,
        libc::F_SETFL,
    ];

    /// <linux/prctl.h>: PR_SET_VMA, by which a C library names its memory.
    const PR_SET_VMA: i32 = 0x5356_4d41;

    pub(super) fn confine(needs: Needs) -> Result<(), Unconfined> {
        // The kernel asks all filters and obeys the strictest; this one comes first, as the other forbids to set more.
        for program in [without_clone3(), of_the_list(needs)] {
            let program = program.map_err(refused)?;
            apply_filter_all_threads(&program).map_err(refused)?;
        }
        Ok(())
    }

    fn refused(error: impl std::error::Error) -> Unconfined {
        // One of its messages ends in a full stop, and another names the call before the cause.
        Unconfined::Refused(error.to_string().trim_end_matches('.').to_owned())
    }

    /// clone3(2) has its flags in memory, where no filter sees them. Where it is missing C libraries take clone(2).
    fn without_clone3() -> Result<BpfProgram, seccompiler::BackendError> {
        let calls = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
        compile(calls, Action::Allow, Action::Errno(libc::ENOSYS as u32))
    }

    fn of_the_list(needs: Needs) -> Result<BpfProgram, seccompiler::BackendError> {
        let own = std::process::id();
        let mut calls: BTreeMap<c_long, Vec<SeccompRule>> = BTreeMap::new();
        for call in ALWAYS.iter().chain(OLDER) {
            calls.insert(*call, Vec::new());
        }
        let no_code = || only(2, Is::MaskedEq(libc::PROT_EXEC as u64), 0);
        calls.insert(libc::SYS_mmap, vec![no_code()?]);
        calls.insert(libc::SYS_mprotect, vec![no_code()?]);
        // A thread, and in no other namespace.
        let spaces = libc::CLONE_NEWNS
            | libc::CLONE_NEWCGROUP
            | libc::CLONE_NEWUTS
            | libc::CLONE_NEWIPC
            | libc::CLONE_NEWUSER
            | libc::CLONE_NEWPID
            | libc::CLONE_NEWNET;
        let thread = libc::CLONE_THREAD as u64;
        let flags = Is::MaskedEq(thread | spaces as u64);
        calls.insert(libc::SYS_clone, vec![only(0, flags, thread)?]);
        // A panic that must not unwind ends in a signal to ourselves.
        calls.insert(libc::SYS_tgkill, vec![only(0, Is::Eq, own.into())?]);
        if let Some(child) = needs.child {
            calls.insert(libc::SYS_kill, vec![only(0, Is::Eq, child as u64)?]);
        }
        calls.insert(libc::SYS_ioctl, each(1, IOCTLS.iter().copied())?);
        let fcntls = FCNTLS.iter().map(|command| *command as u64);
        calls.insert(libc::SYS_fcntl, each(1, fcntls)?);
        let options = [libc::PR_SET_NAME, libc::PR_SET_THP_DISABLE, PR_SET_VMA];
        let options = options.map(|option| option as u64);
        calls.insert(libc::SYS_prctl, each(0, options)?);
        // Limits are read, and not changed.
        calls.insert(libc::SYS_prlimit64, vec![is_null(2)?]);
        // How long whoever reads metrics is waited for.
        let timeouts = [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO].map(|option| {
            SeccompRule::new(vec![
                condition(1, Is::Eq, libc::SOL_SOCKET as u64)?,
                condition(2, Is::Eq, option as u64)?,
            ])
        });
        let timeouts = timeouts.into_iter().collect::<Result<_, _>>()?;
        calls.insert(libc::SYS_setsockopt, timeouts);
        // Of a descriptor, not of a name.
        let empty = libc::AT_EMPTY_PATH as u64;
        let nameless = |argument| only(argument, Is::MaskedEq(empty), empty);
        calls.insert(libc::SYS_newfstatat, vec![nameless(3)?]);
        calls.insert(libc::SYS_statx, vec![nameless(2)?]);
        if needs.opens_terminal {
            // Nothing is created.
            let large = Is::MaskedEq(!(libc::O_LARGEFILE as u64));
            let flags = (libc::O_RDWR | libc::O_CLOEXEC) as u64;
            calls.insert(libc::SYS_openat, vec![only(2, large, flags)?]);
        }
        compile(calls, Action::Errno(libc::EPERM as u32), Action::Allow)
    }

    fn compile(
        calls: BTreeMap<c_long, Vec<SeccompRule>>,
        otherwise: Action,
        listed: Action,
    ) -> Result<BpfProgram, seccompiler::BackendError> {
        let processor: TargetArch = std::env::consts::ARCH.try_into()?;
        SeccompFilter::new(calls, otherwise, listed, processor)?.try_into()
    }

    /// One rule for each value that an argument may have.
    fn each(
        argument: u8,
        values: impl IntoIterator<Item = u64>,
    ) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
        let rules = values.into_iter();
        rules.map(|value| only(argument, Is::Eq, value)).collect()
    }

    fn only(argument: u8, is: Is, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
        SeccompRule::new(vec![condition(argument, is, value)?])
    }

    fn is_null(argument: u8) -> Result<SeccompRule, seccompiler::BackendError> {
        SeccompRule::new(vec![SeccompCondition::new(
            argument,
            Size::Qword,
            Is::Eq,
            0,
        )?])
    }

    /// The kernel takes 32 bits of the arguments that this is about, and what else is in the register does not count.
    fn condition(
        argument: u8,
        is: Is,
        value: u64,
    ) -> Result<SeccompCondition, seccompiler::BackendError> {
        let low = u64::from(u32::MAX);
        let is = match is {
            Is::MaskedEq(mask) => Is::MaskedEq(mask & low),
            is => is,
        };
        SeccompCondition::new(argument, Size::Dword, is, value & low)
    }
}
