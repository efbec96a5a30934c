//! What this machine allows, found out by trying, and the exact command that mends what it doesn't.

use std::process::Command;

use nix::errno::Errno;
use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{ForkResult, fork};

use super::capability::{NET_ADMIN, SYS_ADMIN, holds};
use super::child::Child;
use super::lab::{Lab, LabConfig, LabError, Limits, Shortfall, Step, why};
use super::seccomp;
use super::tun::{DEVICE, TunError, knows_offload, probe_device};

/// One thing that was looked at.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What: a few words, the same on every machine.
    pub what: &'static str,
    /// How it is.
    pub state: State,
    /// What was seen.
    pub detail: String,
    /// The command that mends it, or what else to do.
    pub mend: Option<String>,
}

/// The [`Finding::what`] that says whether `tcplab run` works.
pub const PRIVATE_LAB: &str = "a private lab";

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Good,
    /// It falls short, and something still works: the detail says what.
    Limited,
    /// What needs it doesn't work.
    Bad,
}

/// Looks at everything; where one is bad, those before it say why. Opens a real lab with `true` in it,
/// and changes nothing. Takes well under a second.
pub fn examine() -> Vec<Finding> {
    let limits = Limits::read();
    let mut findings = vec![
        tun_device(),
        tun_creation(),
        offload(),
        user_namespaces(&limits),
        namespace_limit(&limits),
        apparmor(&limits),
        seccomp_filter(),
    ];
    findings.extend(private_lab());
    tell_each_mend_once(&mut findings);
    findings
}

/// One cause may have several effects; what mends it is told with the first.
fn tell_each_mend_once(findings: &mut [Finding]) {
    let mut told = Vec::new();
    for finding in findings {
        match &finding.mend {
            Some(mend) if told.contains(mend) => finding.mend = None,
            mend => told.extend(mend.clone()),
        }
    }
}

fn tun_device() -> Finding {
    let what = DEVICE;
    match probe_device() {
        Ok(()) => good(what, "it can be opened"),
        Err(error) => bad(what, error.what(), error.mend()),
    }
}

fn tun_creation() -> Finding {
    let what = "a TUN for `tcplab serve`";
    if holds(NET_ADMIN) {
        return good(what, "it can be made here (CAP_NET_ADMIN)");
    }
    let detail = "without CAP_NET_ADMIN, only one that was made for this user can be used";
    limited(
        what,
        detail,
        TunError::interface("tcplab0", Errno::EPERM).mend(),
    )
}

fn offload() -> Finding {
    let what = "`--offload`";
    match knows_offload() {
        Ok(true) => good(what, "the TUN driver gives and takes large packets"),
        Ok(false) => limited(what, "the TUN driver knows no large packets", None),
        Err(error) => limited(what, error.what(), None),
    }
}

fn user_namespaces(limits: &Limits) -> Finding {
    let what = "user namespaces";
    match try_user_namespace() {
        Ok(()) => good(what, "they can be made"),
        Err(errno) if holds(SYS_ADMIN) => limited(
            what,
            format!(
                "{}; this user's privileges do without",
                why(Step::UserNamespace, errno)
            ),
            None,
        ),
        Err(errno) => {
            let error = LabError::refused(Step::UserNamespace, errno, limits);
            bad(what, why(Step::UserNamespace, errno), error.mend())
        }
    }
}

fn namespace_limit(limits: &Limits) -> Finding {
    let what = "user.max_user_namespaces";
    match limits.max_user_namespaces {
        None => good(what, "this kernel has no such limit"),
        Some(0) => limited(what, "0: none can be made", limits.mend()),
        Some(number) => good(what, number),
    }
}

fn apparmor(limits: &Limits) -> Finding {
    let what = "AppArmor";
    match limits.apparmor {
        None => good(what, "this kernel knows no restriction of user namespaces"),
        Some(0) => good(what, "user namespaces are not restricted"),
        Some(_) => limited(
            what,
            "user namespaces are restricted: only root's labs work, unless a profile allows more",
            limits.mend(),
        ),
    }
}

fn seccomp_filter() -> Finding {
    let what = "seccomp";
    match seccomp::probe() {
        Ok(()) => good(what, "system calls of a run are filtered"),
        Err(why) => limited(
            what,
            format!("system calls of a run are not filtered: {why}"),
            None,
        ),
    }
}

fn private_lab() -> Vec<Finding> {
    const IPV6: &str = "IPv6 in the lab";
    let shortfalls = match try_lab() {
        Ok(shortfalls) => shortfalls,
        Err((detail, mend)) => return vec![bad(PRIVATE_LAB, detail, mend)],
    };
    let lacking = |step| shortfalls.iter().find(|shortfall| shortfall.step() == step);
    let mut findings = vec![match lacking(Step::Names) {
        None => good(PRIVATE_LAB, "opened, a command run in it, closed"),
        Some(shortfall) => limited(PRIVATE_LAB, shortfall, None),
    }];
    findings.push(match lacking(Step::Ipv6) {
        None => good(IPV6, "available"),
        Some(shortfall) => limited(IPV6, shortfall, None),
    });
    findings
}

/// Runs `true` in a lab; gives what the lab lacks, or why there is none and what mends that.
fn try_lab() -> Result<Vec<Shortfall>, (String, Option<String>)> {
    let refused = |error: LabError| (error.what(), error.mend());
    let mut lab = Lab::open(&LabConfig::default(), Command::new("true")).map_err(refused)?;
    lab.start().map_err(refused)?;
    match lab.child.wait() {
        Ok(status) if status.success() => Ok(lab.shortfalls),
        Ok(status) => Err((format!("`true` failed in it: {status}"), None)),
        Err(error) => Err((format!("`true` was lost in it: {error}"), None)),
    }
}

/// Makes a user namespace in a process that ends at once.
fn try_user_namespace() -> Result<(), Errno> {
    // SAFETY: the child makes two system calls and touches nothing else, whatever locks other
    // threads hold.
    match unsafe { fork() }? {
        ForkResult::Child => {
            let errno =
                unshare(CloneFlags::CLONE_NEWUSER).map_or_else(|errno| errno as i32, |()| 0);
            // SAFETY: _exit only ends the process, without the exit handlers, which are the parent's.
            unsafe { libc::_exit(errno) }
        }
        ForkResult::Parent { child } => {
            let status = Child::adopt(child)?.wait().map_err(|_| Errno::ECHILD)?;
            match status.code() {
                Some(0) => Ok(()),
                // Every number that unshare(2) can give fits into an exit code.
                Some(errno) => Err(Errno::from_raw(errno)),
                None => Err(Errno::EINTR),
            }
        }
    }
}

fn good(what: &'static str, detail: impl ToString) -> Finding {
    finding(what, State::Good, detail, None)
}

fn limited(what: &'static str, detail: impl ToString, mend: Option<String>) -> Finding {
    finding(what, State::Limited, detail, mend)
}

fn bad(what: &'static str, detail: impl ToString, mend: Option<String>) -> Finding {
    finding(what, State::Bad, detail, mend)
}

fn finding(
    what: &'static str,
    state: State,
    detail: impl ToString,
    mend: Option<String>,
) -> Finding {
    Finding {
        what,
        state,
        detail: detail.to_string(),
        mend,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finding_that_is_bad_names_a_mend_or_a_reason() {
        let findings = examine();
        assert!(findings.len() >= 6, "{findings:?}");
        for finding in findings {
            assert!(!finding.detail.is_empty(), "{finding:?}");
            assert!(!finding.detail.contains('\n'), "{finding:?}");
        }
    }

    #[test]
    fn what_mends_two_things_is_told_once() {
        let limit = Some("raise the limit".to_owned());
        let other = Some("load the module".to_owned());
        let mut findings = [
            bad("one", "", limit.clone()),
            bad("two", "", other.clone()),
            limited("three", "", limit.clone()),
            good("four", ""),
        ];
        tell_each_mend_once(&mut findings);
        let mends = findings.map(|finding| finding.mend);
        assert_eq!(mends, [limit, other, None, None]);
    }

    #[test]
    fn restrictions_are_told_with_their_setting() {
        #[track_caller]
        fn check(finding: Finding, state: State, mend: Option<&str>) {
            assert_eq!(finding.state, state, "{finding:?}");
            assert_eq!(finding.mend.is_some(), mend.is_some(), "{finding:?}");
            let text = finding.mend.unwrap_or_default();
            assert!(text.contains(mend.unwrap_or_default()), "{text}");
        }
        let free = Limits::default();
        let ubuntu = Limits {
            apparmor: Some(1),
            ..free
        };
        let none = Limits {
            max_user_namespaces: Some(0),
            ..free
        };
        check(apparmor(&free), State::Good, None);
        check(apparmor(&ubuntu), State::Limited, Some("apparmor_restrict"));
        check(namespace_limit(&free), State::Good, None);
        check(
            namespace_limit(&none),
            State::Limited,
            Some("max_user_namespaces="),
        );
    }
}
