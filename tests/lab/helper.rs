//! This program run again, as another user or with a network of its own.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_dumpable;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::{Gid, Uid, geteuid, setgid, setgroups, setuid};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum User {
    This,
    /// Nobody, if we are root; otherwise this one.
    Unprivileged,
    /// May configure a network, in a namespace where nobody sees it.
    OwnNetwork,
}

pub(crate) const SCENE: &str = "TCPLAB_TEST_SCENE";
pub(crate) const USER: &str = "TCPLAB_TEST_USER";
/// Whose a prepared TUN shall be.
pub(crate) const OWNER: &str = "TCPLAB_TEST_OWNER";
pub(crate) const MARK: &str = "TCPLAB_TEST_MARK";
pub(crate) const BOUND: Duration = Duration::from_secs(20);

pub(crate) fn run(name: &str, user: User) {
    let output = helper(name, user).output().unwrap();
    assert!(
        output.status.success(),
        "scene {name} as {user:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}

/// This program, to be run again for one scene.
pub(crate) fn helper(name: &str, user: User) -> Command {
    let this = env::current_exe().unwrap();
    let (mut command, owner) = match (user, geteuid().is_root()) {
        (User::OwnNetwork, true) => (Command::new("unshare"), "nobody"),
        (User::OwnNetwork, false) => (Command::new("unshare"), "root"),
        _ => (Command::new(&this), ""),
    };
    match owner {
        "nobody" => command.arg("--net").arg(this),
        "root" => command.args(["--net", "--map-root-user"]).arg(this),
        _ => &mut command,
    }
    .args(["--exact", "scene", "--ignored", "--nocapture"])
    .env(SCENE, name)
    .env(USER, format!("{user:?}"))
    .env(OWNER, owner)
    .stdin(Stdio::null())
    .stdout(Stdio::piped())
    .stderr(Stdio::piped());
    command
}

/// Gives this process a /dev/net/tun that everybody may open, and then makes it nobody's.
pub(crate) fn drop_privileges() {
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    mount(none, "/mnt", Some("tmpfs"), MsFlags::empty(), none).unwrap();
    let everybody = Mode::from_bits_truncate(0o666);
    let node = "/mnt/tun";
    mknod(node, SFlag::S_IFCHR, everybody, makedev(10, 200)).unwrap();
    // mknod obeys the umask.
    fs::set_permissions(node, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    mount(Some(node), "/dev/net/tun", none, MsFlags::MS_BIND, none).unwrap();

    env::set_current_dir("/").unwrap();
    setgroups(&[]).unwrap();
    setgid(Gid::from_raw(65534)).unwrap();
    setuid(Uid::from_raw(65534)).unwrap();
    // Changing users hides a process's own /proc files from it; exec would undo that (proc(5)).
    set_dumpable(true).unwrap();
}

pub(crate) fn host_is_untouched() {
    assert!(!Path::new("/tmp/hosts").exists());
    let hosts = fs::read_to_string("/etc/hosts").unwrap();
    assert!(!hosts.contains("lab.test"), "{hosts}");
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains("tcplab"), "{mounts}");
}

pub(crate) fn somebody_is_in(net: &str, mnt: &str) -> bool {
    let is = |path: std::path::PathBuf, space: &str| {
        fs::read_link(path).is_ok_and(|link| link == Path::new(space))
    };
    processes().any(|process| is(process.join("ns/net"), net) || is(process.join("ns/mnt"), mnt))
}

pub(crate) fn processes() -> impl Iterator<Item = std::path::PathBuf> {
    fs::read_dir("/proc")
        .unwrap()
        .map(|entry| entry.unwrap().path())
}

pub(crate) fn eventually(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < BOUND, "still not so: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
