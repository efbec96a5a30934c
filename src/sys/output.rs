//! Files that options name.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::libc;
use nix::sys::stat::Mode;
use nix::unistd::geteuid;

/// Creates a file, or empties one that is there, as [`File::create`] does. But in a directory where everybody may write,
/// such as /tmp, somebody could have put something there on purpose. So no symbolic link is followed behind such a
/// directory, and a file in it must be ours or the directory's owner's; Linux does so by itself where `protected_symlinks` and
/// `protected_regular` are set (proc_sys_fs(5)).
///
/// # Errors
/// Those of open(2); ELOOP for a link and EACCES for a file that is somebody else's.
pub fn create(path: &Path) -> io::Result<File> {
    let Some((shared, rest)) = shared_directory(path) else {
        return File::create(path);
    };
    let directory = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECTORY)
        .open(&shared)?;
    // What is emptied is looked at first.
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_CLOEXEC;
    let how = OpenHow::new()
        .flags(flags | OFlag::O_NOCTTY)
        .mode(Mode::from_bits_truncate(0o666))
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    let file: File = match openat2(&directory, &rest, how) {
        Ok(file) => file.into(),
        // Linux before 5.6, and filters that don't know the call: at least the last link is not followed.
        Err(Errno::ENOSYS) => OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)?,
        Err(errno) => return Err(errno.into()),
    };
    let metadata = file.metadata()?;
    let owner = metadata.uid();
    if owner != geteuid().as_raw() && owner != directory.metadata()?.uid() {
        return Err(Errno::EACCES.into());
    }
    if metadata.is_file() {
        file.set_len(0)?;
    }
    Ok(file)
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
    const STICKY_AND_WRITABLE: u32 = libc::S_ISVTX | libc::S_IWOTH;
    let mut parents: Vec<&Path> = path.ancestors().skip(1).collect();
    parents.reverse();
    for parent in parents {
        let directory = match parent.as_os_str().is_empty() {
            true => Path::new("."),
            false => parent,
        };
        let mode = directory.metadata().ok()?.mode();
        if mode & STICKY_AND_WRITABLE == STICKY_AND_WRITABLE {
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
