//! The lab's side of the fork: every step from `unshare` to `exec`, in order.
//!
//! This runs in a copy of a process that may have had other threads, so it writes no log, takes no lock,
//! and leaves by exec or `_exit` only. What can be done before the fork is in [`Plan`].

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::{env, fs, io};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getegid, geteuid, getppid};
use smoltcp::wire::IpCidr;

use super::error::{Failure, Shortfall, Step};
use super::localhost::Loopback;
use super::message::{Message, Socket};
use super::{LabConfig, hosts, localhost};
use crate::sys::capability::{NET_ADMIN, SYS_ADMIN, holds};
use crate::sys::diag::Diag;
use crate::sys::netlink::Route;
use crate::sys::tun::{self, errno, open_interface};
use crate::sys::wait::let_signals_through;

/// All that can be known before the fork.
pub(super) struct Plan<'a> {
    config: &'a LabConfig,
    /// The new content of /etc/hosts, or why there can be none.
    hosts: Result<Vec<u8>, Errno>,
    /// The lines of uid_map and gid_map, where a user namespace is needed.
    maps: Option<(String, String)>,
    ping_groups: String,
}

impl<'a> Plan<'a> {
    pub(super) fn new(config: &'a LabConfig) -> Plan<'a> {
        let existing = fs::read(hosts::PATH).map_err(|error| errno(&error));
        let (user, group) = (geteuid(), getegid());
        let privileged = holds(NET_ADMIN) && holds(SYS_ADMIN);
        Plan {
            config,
            hosts: existing.map(|existing| hosts::text(&existing, &config.hosts)),
            // user_namespaces(7): inside, first ID outside, how many.
            maps: (!privileged).then(|| (format!("{user} {user} 1"), format!("{group} {group} 1"))),
            ping_groups: match privileged {
                true => "0 2147483647".into(),
                // The kernel takes only groups that exist in the namespace.
                false => format!("{group} {group}"),
            },
        }
    }
}

/// Makes the lab, hands it over, waits, and becomes the command. Comes back only in order to exit.
pub(super) fn run(plan: &Plan<'_>, socket: &Socket, mut command: Command, parent: Pid) {
    let failure = match build(plan, parent) {
        Ok(lab) => {
            let ready = Message::Ready(lab.shortfalls);
            let mut descriptors = vec![lab.tun.as_fd(), lab.namespace.as_fd()];
            descriptors.extend(lab.counters.iter().map(fs::File::as_fd));
            descriptors.extend(lab.diag.as_ref().map(Diag::as_fd));
            if socket.send(&ready, &descriptors).is_err() {
                return;
            }
            // From here on the TUN lives by the parent's copy alone.
            drop((lab.tun, lab.namespace, lab.counters, lab.diag));
            match socket.recv() {
                Ok(Some((Message::Go, _))) => {}
                _ => return,
            }
            // Signals that were ignored before we came stay ignored, as under any shell; std gives back
            // SIGPIPE's usual effect.
            match let_signals_through() {
                Ok(()) => at(Step::Command)(why_not(errno(&command.exec()), &command)),
                Err(errno) => at(Step::Command)(errno),
            }
        }
        Err(failure) => failure,
    };
    // The parent being gone is the only way for this to fail.
    let _ = socket.send(&Message::Failed(failure), &[]);
}

/// What is handed over.
struct Built {
    tun: fs::File,
    namespace: fs::File,
    counters: [fs::File; 2],
    diag: Option<Diag>,
    shortfalls: Vec<Shortfall>,
}

fn build(plan: &Plan<'_>, parent: Pid) -> Result<Built, Failure> {
    let mut shortfalls = Vec::new();
    enter_namespaces(plan)?;

    // After the credentials have changed: that clears it (PR_SET_PDEATHSIG(2const)).
    set_pdeathsig(Signal::SIGKILL).map_err(at(Step::DieWithParent))?;
    if getppid() != parent {
        // It died before we could ask to be told.
        return Err(at(Step::DieWithParent)(Errno::ESRCH));
    }

    let none = None::<&str>;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(none, "/", none, private, none).map_err(at(Step::PrivateMounts))?;
    let names = plan.hosts.as_ref().map_err(|&errno| errno);
    if let Err(errno) = names.and_then(|text| hosts::lay_over(text)) {
        shortfalls.push(Shortfall(at(Step::Names)(errno)));
    }

    let config = &plan.config.tun;
    let route = Route::open().map_err(at(Step::Loopback))?;
    let loopback = route.link("lo").map_err(at(Step::Loopback))?;
    route
        .bring_up(loopback.index, None)
        .map_err(at(Step::Loopback))?;
    // Lets ping do without privilege (icmp(7)); an older or hardened kernel does without ping.
    let _ = fs::write("/proc/sys/net/ipv4/ping_group_range", &plan.ping_groups);

    fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(tun::DEVICE)
        .map_err(|error| at(Step::TunDevice)(errno(&error)))?;
    let tun = open_interface(&config.name, config.offload).map_err(at(Step::TunInterface))?;
    let link = tun::bring_up(&route, config).map_err(at(Step::TunLink))?;
    let lacking =
        tun::add_addresses(&route, link, &config.addresses).map_err(at(Step::TunAddress))?;
    shortfalls.extend(lacking.map(|errno| Shortfall(at(Step::Ipv6)(errno))));
    let source = config.addresses.iter().find_map(|prefix| match prefix {
        IpCidr::Ipv4(prefix) => Some(prefix.address()),
        IpCidr::Ipv6(_) => None,
    });
    localhost::set_up(&plan.config.localhost, &route, &config.name, link, source)
        .map_err(at(Step::Localhost))?;
    if plan.config.patient
        && let Err(error) = be_patient()
    {
        shortfalls.push(Shortfall(at(Step::Patience)(errno(&error))));
    }
    let namespace =
        fs::File::open("/proc/self/ns/net").map_err(|error| at(Step::Namespaces)(errno(&error)))?;
    let [interfaces, protocols] = Loopback::FILES.map(fs::File::open);
    let counters = interfaces.and_then(|interfaces| Ok([interfaces, protocols?]));
    let counters = counters.map_err(|error| at(Step::Loopback)(errno(&error)))?;
    let diag = Diag::probe().map_err(|errno| Shortfall(at(Step::Diag)(errno)));
    let diag = diag.map_err(|lacking| shortfalls.push(lacking)).ok();
    Ok(Built {
        tun,
        namespace,
        counters,
        diag,
        shortfalls,
    })
}

/// Lets the kernel of this network namespace, and of no other, send again for hours what is not answered, and keep what is half
/// closed for as long (ip-sysctl.rst; the pauses grow to two minutes at most). For IPv6 it has no settings of its own.
fn be_patient() -> io::Result<()> {
    for (setting, value) in [
        // It allows 127 at most.
        ("tcp_syn_retries", "127"),
        ("tcp_synack_retries", "127"),
        ("tcp_retries2", "127"),
        ("tcp_keepalive_probes", "127"),
        // A connection that no program holds any more.
        ("tcp_orphan_retries", "127"),
        // FIN-WAIT-2 that no program holds, in seconds.
        ("tcp_fin_timeout", "14400"),
    ] {
        fs::write(format!("/proc/sys/net/ipv4/{setting}"), value)?;
    }
    Ok(())
}

fn enter_namespaces(plan: &Plan<'_>) -> Result<(), Failure> {
    let namespaces = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS;
    let Some((user, group)) = &plan.maps else {
        return unshare(namespaces).map_err(at(Step::Namespaces));
    };
    unshare(namespaces | CloneFlags::CLONE_NEWUSER).map_err(at(Step::UserNamespace))?;
    // In this order: without privilege outside, gid_map takes nothing before setgroups is denied
    // (user_namespaces(7)).
    for (file, line) in [
        ("/proc/self/setgroups", "deny"),
        ("/proc/self/uid_map", user),
        ("/proc/self/gid_map", group),
    ] {
        fs::write(file, line).map_err(|error| at(Step::UserMap)(errno(&error)))?;
    }
    Ok(())
}

/// execvp(3) says EACCES where a directory of PATH may not be searched, though the command is in none;
/// to a shell, and to people, there is no such command then.
fn why_not(errno: Errno, command: &Command) -> Errno {
    let program = Path::new(command.get_program());
    if errno != Errno::EACCES || program.as_os_str().as_bytes().contains(&b'/') {
        return errno;
    }
    let mut set = command.get_envs().filter(|(name, _)| *name == "PATH");
    let path = match set.next() {
        Some((_, path)) => path.map(OsStr::to_os_string),
        None => env::var_os("PATH"),
    };
    let found = env::split_paths(&path.unwrap_or_default()).any(|dir| dir.join(program).exists());
    if found { errno } else { Errno::ENOENT }
}

fn at(step: Step) -> impl Fn(Errno) -> Failure {
    move |errno| Failure { step, errno }
}
