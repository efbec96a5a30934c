//! Why there is no lab, or one that lacks something; and what mends it.

use std::{fmt, fs, io};

use nix::errno::Errno;

use super::hosts;
use crate::sys::tun::TunError;

/// Why the lab could not be opened, or its command not be started. The text says what was tried and, on a
/// second line, what mends it.
#[derive(Debug)]
pub enum LabError {
    /// No command of this name (a shell's 127). Or its interpreter is missing, or its directory.
    NoSuchCommand {
        /// As given.
        command: String,
    },
    /// The command is there and can't be run (a shell's 126).
    NotExecutable {
        /// As given.
        command: String,
        /// As execve(2) gave it.
        errno: Errno,
    },
    /// There is no TUN to be had.
    Tun(TunError),
    /// This machine doesn't allow a step.
    Refused {
        /// The step.
        step: Step,
        /// The kernel's answer.
        errno: Errno,
        /// What the user can do about it.
        mend: Option<String>,
    },
    /// The lab's first process ended before the command began.
    Died {
        /// As a shell would show it.
        code: u8,
    },
    /// Something failed outside the lab.
    Os {
        /// What was under way.
        what: &'static str,
        /// The kernel's answer.
        errno: Errno,
    },
}

/// Something that a lab can do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortfall(pub(super) Failure);

/// What a lab is made of, in the order of making.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    /// Network and mount namespace, with the privilege to make them.
    Namespaces,
    /// The same and a user namespace, which lends that privilege.
    UserNamespace,
    /// Our user and group keep their numbers in the user namespace.
    UserMap,
    /// The command is killed if we are.
    DieWithParent,
    /// No mount spreads to the rest of the machine.
    PrivateMounts,
    /// Our names over /etc/hosts.
    Names,
    /// The lab's own 127.0.0.1.
    Loopback,
    /// /dev/net/tun can be opened.
    TunDevice,
    /// The TUN is made.
    TunInterface,
    /// MTU set, and up.
    TunLink,
    /// The kernel's addresses on the TUN.
    TunAddress,
    /// The IPv6 ones, which a kernel may not know.
    Ipv6,
    /// 127.0.0.1 is what it is to be.
    Localhost,
    /// The kernel inside sends again for hours, where a person decides about packets.
    Patience,
    /// The kernel's own view of the connections inside, which we can do without.
    Diag,
    /// The command runs.
    Command,
}

/// A step that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) step: Step,
    pub(super) errno: Errno,
}

impl LabError {
    /// What went wrong, in one line.
    pub fn what(&self) -> String {
        match self {
            LabError::NoSuchCommand { command } => format!("no such command: {command}"),
            LabError::NotExecutable { command, errno } => {
                format!("cannot run {command}: {}", errno.desc())
            }
            LabError::Tun(error) => format!("no private lab: {}", error.what()),
            LabError::Refused { step, errno, .. } => {
                format!("no private lab: cannot {step}: {}", why(*step, *errno))
            }
            LabError::Died { code } => {
                format!("no private lab: its first process ended with code {code}")
            }
            LabError::Os { what, errno } => {
                format!("no private lab: cannot {what}: {}", errno.desc())
            }
        }
    }

    /// What the user can do about it.
    pub fn mend(&self) -> Option<String> {
        match self {
            LabError::Tun(error) => error.mend(),
            LabError::Refused { mend, .. } => mend.clone(),
            _ => None,
        }
    }

    pub(super) fn failed(failure: Failure, command: &str) -> LabError {
        let Failure { step, errno } = failure;
        let command = command.into();
        match (step, errno) {
            (Step::Command, Errno::ENOENT | Errno::ENOTDIR) => LabError::NoSuchCommand { command },
            (Step::Command, _) => LabError::NotExecutable { command, errno },
            (Step::TunDevice, _) => LabError::Tun(TunError::device(errno)),
            _ => LabError::refused(step, errno, &Limits::read()),
        }
    }

    pub(in crate::sys) fn refused(step: Step, errno: Errno, limits: &Limits) -> LabError {
        LabError::Refused {
            step,
            errno,
            mend: mend(step, errno, limits),
        }
    }

    pub(super) fn os(what: &'static str) -> impl Fn(Errno) -> LabError {
        move |errno| LabError::Os { what, errno }
    }
}

impl From<TunError> for LabError {
    fn from(error: TunError) -> Self {
        LabError::Tun(error)
    }
}

impl fmt::Display for LabError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what())?;
        self.mend()
            .map_or(Ok(()), |mend| write!(f, "\n  to mend it: {mend}"))
    }
}

impl std::error::Error for LabError {}

impl Shortfall {
    /// What is missing.
    pub fn step(&self) -> Step {
        self.0.step
    }
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = self.0.errno.desc();
        match self.0.step {
            Step::Names => write!(
                f,
                "names don't resolve in the lab, use addresses: cannot replace {}: {why}",
                hosts::PATH
            ),
            Step::Ipv6 => write!(f, "the lab has no IPv6: {why}"),
            Step::Patience => write!(
                f,
                "the kernel inside gives up after its usual time, a SYN after about two minutes: {why}"
            ),
            Step::Diag => write!(
                f,
                "the peer's states are inferred, its kernel cannot be asked: {why}"
            ),
            step => write!(f, "cannot {step}: {why}"),
        }
    }
}

impl Step {
    /// All of them, in the order of making.
    pub const ALL: [Step; 16] = [
        Step::Namespaces,
        Step::UserNamespace,
        Step::UserMap,
        Step::DieWithParent,
        Step::PrivateMounts,
        Step::Names,
        Step::Loopback,
        Step::TunDevice,
        Step::TunInterface,
        Step::TunLink,
        Step::TunAddress,
        Step::Ipv6,
        Step::Localhost,
        Step::Patience,
        Step::Diag,
        Step::Command,
    ];
}

/// What comes after "cannot".
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Namespaces => "make a network and a mount namespace",
            Step::UserNamespace => "make a user namespace",
            Step::UserMap => "map this user into the user namespace",
            Step::DieWithParent => "tie the command's life to this process",
            Step::PrivateMounts => "make the lab's mounts private",
            Step::Names => "replace /etc/hosts",
            Step::Loopback => "bring the loopback interface up",
            Step::TunDevice => "open /dev/net/tun",
            Step::TunInterface => "make a TUN",
            Step::TunLink => "bring the TUN up",
            Step::TunAddress => "add an address to the TUN",
            Step::Ipv6 => "add an IPv6 address to the TUN",
            Step::Localhost => "lead 127.0.0.1 to the TUN",
            Step::Patience => "let the kernel inside send again for hours",
            Step::Diag => "open a socket for questions about connections",
            Step::Command => "run the command",
        })
    }
}

/// The settings by which a machine limits namespaces; `None` where a kernel doesn't have one.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::sys) struct Limits {
    /// `user.max_user_namespaces`: how many there may be (namespaces(7)).
    pub(in crate::sys) max_user_namespaces: Option<u64>,
    /// The same of network namespaces.
    pub(in crate::sys) max_net_namespaces: Option<u64>,
    /// The same of mount namespaces.
    pub(in crate::sys) max_mnt_namespaces: Option<u64>,
    /// `kernel.unprivileged_userns_clone`: zero forbids (Debian's and Arch's kernels).
    pub(in crate::sys) unprivileged: Option<u64>,
    /// `kernel.apparmor_restrict_unprivileged_userns`: one takes away their privilege (Ubuntu 23.10 on).
    pub(in crate::sys) apparmor: Option<u64>,
}

impl Limits {
    pub(in crate::sys) fn read() -> Limits {
        let number = |path: &str| -> Option<u64> {
            let text: io::Result<String> = fs::read_to_string(path);
            text.ok()?.trim().parse().ok()
        };
        Limits {
            max_user_namespaces: number("/proc/sys/user/max_user_namespaces"),
            max_net_namespaces: number("/proc/sys/user/max_net_namespaces"),
            max_mnt_namespaces: number("/proc/sys/user/max_mnt_namespaces"),
            unprivileged: number("/proc/sys/kernel/unprivileged_userns_clone"),
            apparmor: number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
        }
    }

    /// How to get more namespaces when there are as many as the limits allow. The kernel does not say which limit it is: the
    /// lowest is named.
    fn raise(&self, step: Step) -> String {
        let user = Some(("user.max_user_namespaces", self.max_user_namespaces));
        let limits = [
            user.filter(|_| step == Step::UserNamespace),
            Some(("user.max_net_namespaces", self.max_net_namespaces)),
            Some(("user.max_mnt_namespaces", self.max_mnt_namespaces)),
        ];
        let known = limits.into_iter().flatten();
        let known = known.filter_map(|(setting, limit)| Some((limit?, setting)));
        match known.min() {
            Some((limit, setting)) => {
                let more = limit.saturating_mul(2).max(10_000);
                let end = if limit == 0 {
                    ""
                } else {
                    "end other labs, or "
                };
                format!(
                    "{setting} is {limit}: {end}raise it with `sudo sysctl -w {setting}={more}`"
                )
            }
            None => "end other labs, or raise the limits in /proc/sys/user".into(),
        }
    }

    /// The setting that forbids what was tried, with the command that changes it.
    pub(in crate::sys) fn mend(&self) -> Option<String> {
        let set = |setting: &str, why: &str| {
            format!("{why}: allow it with `sudo sysctl -w {setting}`, or run as root")
        };
        if self.max_user_namespaces == Some(0) {
            let why = "user.max_user_namespaces is 0";
            Some(set("user.max_user_namespaces=10000", why))
        } else if self.unprivileged == Some(0) {
            let why = "kernel.unprivileged_userns_clone is 0";
            Some(set("kernel.unprivileged_userns_clone=1", why))
        } else if self.apparmor == Some(1) {
            let why = "AppArmor restricts unprivileged user namespaces, as Ubuntu does since 23.10";
            Some(set("kernel.apparmor_restrict_unprivileged_userns=0", why))
        } else {
            None
        }
    }
}

/// What the kernel's answer means in this step. unshare(2): ENOSPC says that a limit on the number of namespaces
/// "would have been exceeded", and nothing of space on a device.
pub(in crate::sys) fn why(step: Step, errno: Errno) -> &'static str {
    match (step, errno) {
        (Step::Namespaces | Step::UserNamespace, Errno::ENOSPC) => {
            "as many namespaces exist as this machine allows"
        }
        _ => errno.desc(),
    }
}

fn mend(step: Step, errno: Errno, limits: &Limits) -> Option<String> {
    const CONTAINER: &str = "in a container, start it with `--cap-add NET_ADMIN --cap-add SYS_ADMIN \
         --security-opt apparmor=unconfined --device /dev/net/tun`; otherwise run as root";
    match (step, errno) {
        (Step::TunLink | Step::TunAddress, Errno::EINVAL) => {
            Some("choose another MTU or address".into())
        }
        // Policy routing came with Linux 2.2 and rules with ports with 4.17, but each is an option of the build.
        (Step::Localhost, Errno::EOPNOTSUPP | Errno::EINVAL | Errno::EAFNOSUPPORT) => Some(
            "this kernel has no routing rules with ports (CONFIG_IP_MULTIPLE_TABLES, Linux 4.17)"
                .into(),
        ),
        (_, Errno::EUSERS) => Some("too many user namespaces one inside the other".into()),
        (Step::UserNamespace, Errno::EINVAL) => {
            Some("this kernel is built without user namespaces: run as root".into())
        }
        (Step::Namespaces | Step::UserNamespace, Errno::ENOSPC) => Some(limits.raise(step)),
        (_, Errno::EPERM | Errno::EACCES) => limits.mend().or_else(|| Some(CONTAINER.into())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mend_names_the_setting_that_forbids() {
        let free = Limits {
            max_user_namespaces: Some(96365),
            max_net_namespaces: Some(96366),
            max_mnt_namespaces: Some(96366),
            unprivileged: Some(1),
            apparmor: Some(0),
        };
        #[track_caller]
        fn check(step: Step, errno: Errno, limits: Limits, expected: Option<&str>) {
            let mend = mend(step, errno, &limits);
            match expected {
                Some(words) => assert!(mend.as_deref().unwrap().contains(words), "{mend:?}"),
                None => assert_eq!(mend, None),
            }
        }
        let none = Limits {
            max_user_namespaces: Some(0),
            ..free
        };
        let debian = Limits {
            unprivileged: Some(0),
            ..free
        };
        let ubuntu = Limits {
            apparmor: Some(1),
            ..free
        };
        let (user, map) = (Step::UserNamespace, Step::UserMap);
        check(user, Errno::ENOSPC, none, Some("user.max_user_namespaces="));
        check(
            user,
            Errno::ENOSPC,
            free,
            Some(
                "user.max_user_namespaces is 96365: end other labs, or raise it with \
                 `sudo sysctl -w user.max_user_namespaces=192730`",
            ),
        );
        let few_nets = Limits {
            max_net_namespaces: Some(3),
            ..free
        };
        for step in [user, Step::Namespaces] {
            let words =
                "end other labs, or raise it with `sudo sysctl -w user.max_net_namespaces=10000`";
            check(step, Errno::ENOSPC, few_nets, Some(words));
        }
        check(
            user,
            Errno::ENOSPC,
            Limits::default(),
            Some("/proc/sys/user"),
        );
        assert!(!why(user, Errno::ENOSPC).contains("space left"));
        check(
            user,
            Errno::EPERM,
            debian,
            Some("unprivileged_userns_clone=1"),
        );
        check(user, Errno::EPERM, free, Some("--cap-add SYS_ADMIN"));
        check(user, Errno::EPERM, Limits::default(), Some("container"));
        check(
            map,
            Errno::EPERM,
            ubuntu,
            Some("apparmor_restrict_unprivileged_userns=0"),
        );
        check(Step::PrivateMounts, Errno::EACCES, ubuntu, Some("AppArmor"));
        check(Step::TunInterface, Errno::EPERM, ubuntu, Some("AppArmor"));
        check(Step::TunAddress, Errno::EINVAL, free, Some("address"));
        check(Step::Loopback, Errno::ENOMEM, free, None);
    }

    #[test]
    fn a_missing_command_is_not_a_forbidden_one() {
        #[track_caller]
        fn check(step: Step, errno: Errno, expected: &str) {
            let text = LabError::failed(Failure { step, errno }, "frob").to_string();
            assert!(text.starts_with(expected), "{text}");
        }
        check(Step::Command, Errno::ENOENT, "no such command: frob");
        check(
            Step::Command,
            Errno::EACCES,
            "cannot run frob: Permission denied",
        );
        check(
            Step::TunDevice,
            Errno::ENOENT,
            "no private lab: /dev/net/tun is missing",
        );
        check(
            Step::Loopback,
            Errno::ENOMEM,
            "no private lab: cannot bring the loopback",
        );
    }
}
