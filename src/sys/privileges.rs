//! Giving privileges up once they are no longer needed, for good.
//!
//! What needs them comes first: a TUN, ports below 1,024, files where only root may write. Then [`renounce`] leaves this
//! process, and whatever it may still start, with nothing that an ordinary user does not have. What an ordinary user has is
//! taken away by the [filter](super::seccomp) after that.

use std::ffi::CString;
use std::fs;

use nix::errno::Errno;
use nix::sys::prctl::set_no_new_privs;
use nix::unistd::{Gid, Uid, User, geteuid, initgroups, setresgid, setresuid};

use super::capability;

/// Whom to become.
#[derive(Clone, Debug)]
pub struct Account {
    name: CString,
    user: Uid,
    group: Gid,
}

/// Why privileges could not be given up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivilegeError {
    /// There is no such user.
    #[error("there is no user {0}: choose another, such as nobody")]
    NoSuchUser(String),
    /// The user is root, or has its number.
    #[error("{0} is root, who has all privileges: choose another user, such as nobody")]
    IsRoot(String),
    /// Only root may become somebody else.
    #[error("only root can become {0}: leave out --user, or run tcplab as root")]
    NotRoot(String),
    /// The kernel refuses it.
    #[error("cannot {what}: {}", .why.desc())]
    Refused {
        /// What was tried.
        what: &'static str,
        /// What the kernel says.
        why: Errno,
    },
    /// Something is left after all.
    #[error("a thread has kept privileges that it should have lost: {0}")]
    Left(String),
}

impl Account {
    /// The user with this name or number, whom root may become.
    ///
    /// # Errors
    /// When there is no such user, it is root, or we are not.
    pub fn find(name: &str) -> Result<Account, PrivilegeError> {
        let found = match name.parse() {
            Ok(number) => User::from_uid(Uid::from_raw(number)),
            Err(_) => User::from_name(name),
        };
        let what = "look the user up";
        let found = found.map_err(|why| PrivilegeError::Refused { what, why })?;
        let user = found.ok_or_else(|| PrivilegeError::NoSuchUser(name.into()))?;
        if user.uid.is_root() {
            return Err(PrivilegeError::IsRoot(name.into()));
        }
        if !geteuid().is_root() {
            return Err(PrivilegeError::NotRoot(name.into()));
        }
        let name = CString::new(user.name.as_str())
            .map_err(|_| PrivilegeError::NoSuchUser(user.name.clone()))?;
        Ok(Account {
            name,
            user: user.uid,
            group: user.gid,
        })
    }
}

/// Gives up all capabilities, and becomes `account` if one is given. No other thread may run yet but those that hold none:
/// capabilities are a thread's own (capabilities(7)).
///
/// # Errors
/// When the kernel refuses a step, or something is left. The process has lost a part of its privileges then, and should
/// end.
pub fn renounce(account: Option<&Account>) -> Result<(), PrivilegeError> {
    let refused = |what| move |why| PrivilegeError::Refused { what, why };
    // 1. Nothing that is executed from here on gains anything: neither set-user-ID programs nor file capabilities.
    set_no_new_privs().map_err(refused("set no_new_privs"))?;
    // 2. The bounding set, while CAP_SETPCAP is there.
    capability::clear_bounding_set().map_err(refused("empty the bounding set"))?;
    // 3. The groups before the user: only root may change them.
    if let Some(Account { name, user, group }) = account {
        initgroups(name, *group).map_err(refused("change groups"))?;
        setresgid(*group, *group, *group).map_err(refused("change the group"))?;
        setresuid(*user, *user, *user).map_err(refused("change the user"))?;
    }
    // 4. What root keeps, and what another user may have been given.
    capability::clear().map_err(refused("give capabilities up"))?;
    check()
}

/// Looks whether it is so, thread by thread.
fn check() -> Result<(), PrivilegeError> {
    // Where there is no /proc, the kernel's word must do.
    let Ok(threads) = fs::read_dir("/proc/self/task") else {
        return Ok(());
    };
    let status = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("status")).ok();
    for status in threads.flatten().filter_map(status) {
        if let Some(line) = status.lines().find(|line| is_privilege(line)) {
            return Err(PrivilegeError::Left(line.replace('\t', " ")));
        }
    }
    Ok(())
}

/// Whether a line of proc_pid_status(5) tells of a privilege.
fn is_privilege(line: &str) -> bool {
    let Some((name, value)) = line.split_once(':') else {
        return false;
    };
    let none = value.trim().bytes().all(|digit| digit == b'0');
    match name {
        "CapInh" | "CapPrm" | "CapEff" | "CapAmb" => !none,
        "NoNewPrivs" => none,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_that_nobody_can_become() {
        #[track_caller]
        fn check(name: &str, expected: &str) {
            let error = Account::find(name).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        check("no-such-user", "there is no user no-such-user");
        check("4294967294", "there is no user 4294967294");
        for root in ["root", "0"] {
            check(root, &format!("{root} is root"));
        }
        if !geteuid().is_root() {
            check("nobody", "only root can become nobody");
        }
    }

    #[test]
    fn lines_that_tell_of_privileges() {
        for (line, expected) in [
            ("CapEff:\t0000000000000000", false),
            ("CapEff:\t0000000000001000", true),
            ("CapPrm:\t8000000000000000", true),
            ("NoNewPrivs:\t1", false),
            ("NoNewPrivs:\t0", true),
            ("Seccomp:\t0", false),
        ] {
            assert_eq!(is_privilege(line), expected, "{line}");
        }
    }
}
