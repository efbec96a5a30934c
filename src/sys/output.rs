//! Files that options name.

use std::ffi::OsStr;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::libc;
use nix::sys::stat::Mode;
use nix::unistd::geteuid;

/// How often a file is looked for that comes and goes.
const ATTEMPTS: u32 = 10;

/// Creates a file, or empties one that is there, as [`File::create`] does. But in a directory where everybody may write,
/// such as /tmp, somebody could have put something there on purpose. So behind such a directory:
///
/// - no symbolic link is followed, neither the last nor one on the way;
/// - what is there already must be ours or the directory's owner's, and have no other name: it could be a hard link to
///   something precious of ours;
/// - a FIFO of somebody else's is not waited for, nor written to.
///
/// Linux does most of that by itself where `protected_symlinks`, `protected_hardlinks`, `protected_fifos` and
/// `protected_regular` are set (proc_sys_fs(5)).
///
/// # Errors
/// Those of open(2); ELOOP for a link, EMLINK for a file with several names, and EACCES for what is somebody else's.
pub fn create(path: &Path) -> io::Result<File> {
    let Some((shared, rest)) = shared_directory(path) else {
        return File::create(path);
    };
    let shared = open_path(&shared)?;
    let owner = shared.metadata()?.uid();
    let (directory, name) = walk(shared, &rest)?;
    for _ in 0..ATTEMPTS {
        // It is looked at before it is opened, as to open a FIFO may take for ever.
        match look(&directory, name) {
            Ok((found, metadata)) => {
                check(&metadata, owner)?;
                return reopen(&found, &metadata);
            }
            Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        match openat(&directory, name, flags, Mode::from_bits_truncate(0o666)) {
            Ok(file) => return Ok(file.into()),
            Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(Errno::EAGAIN.into())
}

/// The directory of the last name, by a way without links.
fn walk(shared: File, rest: &Path) -> io::Result<(File, &OsStr)> {
    let mut directory = shared;
    let mut names = rest.components().filter(|name| *name != Component::CurDir);
    let last = names.next_back();
    for name in names {
        let (next, metadata) = look(&directory, name.as_os_str())?;
        if metadata.is_symlink() {
            return Err(Errno::ELOOP.into());
        }
        directory = next;
    }
    match last {
        Some(Component::Normal(name)) => Ok((directory, name)),
        _ => Err(Errno::EISDIR.into()),
    }
}

/// What has this name, whatever it is; it can be looked at and not used.
fn look(directory: &File, name: &OsStr) -> Result<(File, Metadata), Errno> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let found: OwnedFd = openat(directory, name, flags, Mode::empty())?;
    let found = File::from(found);
    let metadata = found.metadata().map_err(|error| {
        let number = error.raw_os_error();
        number.map_or(Errno::EIO, Errno::from_raw)
    })?;
    Ok((found, metadata))
}

/// Whether what is there may be written to, in a directory of `owner`'s where everybody may write.
fn check(metadata: &Metadata, owner: u32) -> Result<(), Errno> {
    if metadata.is_symlink() {
        return Err(Errno::ELOOP);
    }
    if metadata.uid() != geteuid().as_raw() && metadata.uid() != owner {
        return Err(Errno::EACCES);
    }
    if metadata.is_file() && metadata.nlink() != 1 {
        return Err(Errno::EMLINK);
    }
    Ok(())
}

/// Opens what was looked at, whatever has its name by now, and empties a file.
fn reopen(found: &File, metadata: &Metadata) -> io::Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NOCTTY)
        .open(format!("/proc/self/fd/{}", found.as_raw_fd()))?;
    if metadata.is_file() {
        file.set_len(0)?;
    }
    Ok(file)
}

fn open_path(directory: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
        .open(directory)
}

/// Writes a text to a file as [`create`] makes it.
///
/// # Errors
/// Those of [`create`], and of writing.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    create(path)?.write_all(text.as_bytes())
}

/// The first directory on the way to a file in which everybody may create something, and the rest of the way.
fn shared_directory(path: &Path) -> Option<(PathBuf, PathBuf)> {
    let mut parents: Vec<&Path> = path.ancestors().skip(1).collect();
    parents.reverse();
    for parent in parents {
        let directory = match parent.as_os_str().is_empty() {
            true => Path::new("."),
            false => parent,
        };
        // Without the sticky bit everybody may even replace what is there.
        if directory.metadata().ok()?.mode() & libc::S_IWOTH != 0 {
            let rest = path.strip_prefix(parent).ok()?;
            return Some((directory.to_owned(), rest.to_owned()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    /// A directory of the test's own, with this mode.
    fn directory(name: &str, mode: u32) -> PathBuf {
        let path = std::env::temp_dir().join(format!("tcplab-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn links_are_not_followed_where_everybody_may_write() {
        let shared = directory("shared", 0o1777);
        let private = shared.join("private");
        fs::create_dir(&private).unwrap();
        let target = private.join("target");
        fs::write(&target, "precious").unwrap();
        let link = shared.join("link");
        symlink(&target, &link).unwrap();
        assert_eq!(create(&link).unwrap_err().raw_os_error(), Some(libc::ELOOP));
        let around = shared.join("around");
        symlink(&private, &around).unwrap();
        let refused = create(&around.join("target")).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::ELOOP));
        assert_eq!(fs::read(&target).unwrap(), b"precious");

        // Files are created, and emptied, as always.
        for path in [shared.join("new"), target.clone()] {
            for text in ["a longer text", "short"] {
                create(&path).unwrap().write_all(text.as_bytes()).unwrap();
                assert_eq!(fs::read_to_string(&path).unwrap(), text);
            }
        }
        assert!(create(&shared.join("nowhere/file")).is_err());
        fs::remove_dir_all(&shared).unwrap();
    }

    #[test]
    fn neither_sticky_bit_nor_detour_makes_a_difference() {
        let shared = directory("open", 0o777);
        let target = shared.join("target");
        fs::write(&target, "precious").unwrap();
        symlink(&target, shared.join("link")).unwrap();
        fs::create_dir(shared.join("below")).unwrap();
        for link in ["link", "./link", "below/../link"] {
            let refused = create(&shared.join(link)).unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(libc::ELOOP), "{link}");
        }
        for (path, errno) in [("below", libc::EISDIR), ("below/..", libc::EISDIR)] {
            let refused = create(&shared.join(path)).unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(errno), "{path}");
        }
        let refused = create(&target.join("below")).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::ENOTDIR));
        assert_eq!(fs::read(&target).unwrap(), b"precious");
        fs::remove_dir_all(&shared).unwrap();
    }

    #[test]
    fn a_file_with_two_names_is_left_alone() {
        let shared = directory("hard", 0o1777);
        let private = shared.join("private");
        fs::write(&private, "precious").unwrap();
        let link = shared.join("link");
        fs::hard_link(&private, &link).unwrap();
        let refused = create(&link).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EMLINK));
        assert_eq!(fs::read(&private).unwrap(), b"precious");
        fs::remove_dir_all(&shared).unwrap();
    }

    /// One of ours is waited for, as Wireshark reads from one.
    #[test]
    fn a_fifo_of_ours_is_written_to() {
        let shared = directory("fifo", 0o1777);
        let fifo = shared.join("fifo");
        nix::unistd::mkfifo(&fifo, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        let reads = fifo.clone();
        let reader = std::thread::spawn(move || fs::read_to_string(reads).unwrap());
        write(&fifo, "through").unwrap();
        assert_eq!(reader.join().unwrap(), "through");
        fs::remove_dir_all(&shared).unwrap();
    }

    /// Whoever replaces a file by a link at just the right moment gains nothing.
    #[test]
    fn a_race_is_not_won() {
        use std::sync::atomic::{AtomicBool, Ordering};
        let shared = directory("race", 0o1777);
        let (target, name) = (shared.join("target"), shared.join("name"));
        fs::write(&target, "precious").unwrap();
        let is_over = AtomicBool::new(false);
        let mut created = 0;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (file, link) = (shared.join("file"), shared.join("link"));
                while !is_over.load(Ordering::Relaxed) {
                    symlink(&target, &link).unwrap();
                    fs::rename(&link, &name).unwrap();
                    fs::write(&file, "").unwrap();
                    fs::rename(&file, &name).unwrap();
                    let _ = fs::remove_file(&name);
                }
            });
            for _ in 0..5_000 {
                match write(&name, "written") {
                    Ok(()) => created += 1,
                    Err(error) => {
                        // EMLINK: it was removed after it was looked at.
                        let number = error.raw_os_error();
                        let expected = [libc::ELOOP, libc::EAGAIN, libc::EMLINK, libc::ENOENT];
                        assert!(number.is_some_and(|number| expected.contains(&number)));
                    }
                }
            }
            is_over.store(true, Ordering::Relaxed);
        });
        assert_eq!(fs::read(&target).unwrap(), b"precious");
        assert!(created > 0);
        fs::remove_dir_all(&shared).unwrap();
    }

    #[test]
    fn links_are_followed_elsewhere() {
        // The system's own directory for temporary files is shared; this is below the crate's.
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
        let ours = ours.join(format!("output-{}", std::process::id()));
        if shared_directory(&ours).is_some() {
            return;
        }
        fs::create_dir_all(&ours).unwrap();
        let target = ours.join("target");
        fs::write(&target, "old").unwrap();
        let link = ours.join("link");
        symlink(&target, &link).unwrap();
        drop(create(&link).unwrap());
        assert_eq!(fs::read(&target).unwrap(), b"");
        fs::remove_dir_all(&ours).unwrap();
    }
}
