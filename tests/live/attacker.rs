//! Somebody else on the same machine, who prepares places where everybody may write for the files that root will write.

use std::fs;
use std::path::Path;

use nix::unistd::geteuid;

use crate::helper::{self, User};
use crate::rig::{in_order, start, tcplab, unshared};
use crate::serve::shell;

/// What nobody puts into a folder like /tmp, each with the reason for which root does not touch it. Hard links to what is
/// somebody else's are what `protected_hardlinks` prevents, so that one is made where the switch would be off: by root.
const TRAPS: [(&str, &str, &str); 8] = [
    (
        "symlink",
        "ln -s $PRECIOUS symlink",
        "Too many levels of symbolic links",
    ),
    (
        "dangling",
        "ln -s $PRECIOUS.new dangling",
        "Too many levels of symbolic links",
    ),
    (
        "way/file",
        "ln -s $(dirname $PRECIOUS) way",
        "Too many levels of symbolic links",
    ),
    ("file", "touch file; chmod 666 file", "Permission denied"),
    (
        "below/file",
        "mkdir below; touch below/file",
        "Permission denied",
    ),
    (
        "below/link",
        "ln -s $PRECIOUS below/link",
        "Too many levels of symbolic links",
    ),
    // Nobody reads from it: whoever opens it waits for ever.
    ("fifo", "mkfifo fifo; chmod 666 fifo", "Permission denied"),
    (
        "device",
        "ln -s /dev/full device",
        "Too many levels of symbolic links",
    ),
];

#[test]
fn nobody_leads_root_astray() {
    helper::run("astray", User::OwnNetwork);
}

pub(crate) fn astray() {
    let others = fs::read_to_string("/proc/self/uid_map").unwrap();
    assert!(geteuid().is_root());
    if others.split_whitespace().nth(2) == Some("1") {
        // Root by a mapping alone: there is nobody else. What one user can set up is tested in src/sys/output.rs.
        return;
    }
    let home = std::env::temp_dir().join(format!("tcplab-astray-{}", std::process::id()));
    let shared = home.join("shared");
    fs::create_dir_all(&shared).unwrap();
    let precious = home.join("precious");
    fs::write(&precious, "precious").unwrap();
    shell(&format!("chmod 1777 {}", shared.display()));
    let as_nobody = |line: &str| {
        let line = format!(
            "cd {} && PRECIOUS={} && umask 022 && {line}",
            shared.display(),
            precious.display()
        );
        let nobody = "exec setpriv --reuid 65534 --regid 65534 --clear-groups sh -c \"$LINE\"";
        start(unshared(&[], nobody).env("LINE", line))
            .finish()
            .expect(0, "");
    };
    for (name, trap, why) in TRAPS {
        as_nobody(trap);
        check(&shared.join(name), why);
    }
    let link = shared.join("hard");
    fs::hard_link(&precious, &link).unwrap();
    check(&link, "Too many links");

    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
    assert!(!home.join("precious.new").exists());
    for untouched in ["file", "below/file"] {
        assert_eq!(fs::read(shared.join(untouched)).unwrap(), b"");
    }
    // Where nobody has been, files are root's, and nobody else writes to them.
    let fresh = shared.join("fresh");
    let said = tcplab(&[
        "demo",
        "--simulate",
        "-q",
        "--json",
        fresh.to_str().unwrap(),
    ]);
    said.expect_code(0);
    let metadata = fs::metadata(&fresh).unwrap();
    let (owner, mode) = {
        use std::os::unix::fs::MetadataExt;
        (metadata.uid(), metadata.mode())
    };
    assert_eq!((owner, mode & 0o022), (0, 0));
    fs::remove_dir_all(&home).unwrap();
}

#[track_caller]
fn check(path: &Path, why: &str) {
    let path = path.to_str().unwrap();
    for command in [&["demo", "--simulate"][..], &["serve", "--user", "nobody"]] {
        for option in ["--json", "-w"] {
            let said = tcplab(&[command, &["-q", option, path]].concat()).expect(2, "");
            in_order(&said.stderr, &["tcplab: cannot create ", path, why]);
        }
    }
}
