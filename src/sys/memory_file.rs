//! Files without a name, in memory: what a command reads and writes where nobody sits at the other end of a pipe.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::process::Stdio;

use nix::sys::memfd::{MFdFlags, memfd_create};

/// A file in memory (memfd_create(2)), gone with the last process that has it open.
#[derive(Debug)]
pub struct MemoryFile(File);

impl MemoryFile {
    /// An empty one.
    ///
    /// # Errors
    /// When there are too many open files, or no memory.
    pub fn new() -> io::Result<MemoryFile> {
        Ok(MemoryFile(File::from(memfd_create(
            "tcplab",
            MFdFlags::MFD_CLOEXEC,
        )?)))
    }

    /// One that reads as `bytes`, from the beginning on.
    ///
    /// # Errors
    /// As [`new`](MemoryFile::new).
    pub fn holding(bytes: &[u8]) -> io::Result<MemoryFile> {
        let mut file = MemoryFile::new()?;
        file.0.write_all(bytes)?;
        io::Seek::rewind(&mut file.0)?;
        Ok(file)
    }

    /// For a command: as its standard input, output or error.
    ///
    /// # Errors
    /// When there are too many open files.
    pub fn stdio(&self) -> io::Result<Stdio> {
        Ok(self.0.try_clone()?.into())
    }

    /// How many bytes it has.
    ///
    /// # Errors
    /// Those of fstat(2).
    pub fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    /// Its first bytes, at most `max`; whoever writes to it is not disturbed.
    ///
    /// # Errors
    /// Those of pread(2).
    pub fn read(&self, max: usize) -> io::Result<Vec<u8>> {
        let len = usize::try_from(self.size()?).unwrap_or(usize::MAX);
        let mut bytes = vec![0; len.min(max)];
        self.0.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_command_reads_one_and_writes_another() {
        let (input, output) = (
            MemoryFile::holding(b"abc").unwrap(),
            MemoryFile::new().unwrap(),
        );
        let mut command = Command::new("cat");
        command
            .stdin(input.stdio().unwrap())
            .stdout(output.stdio().unwrap());
        assert!(command.status().unwrap().success());
        assert_eq!(output.size().unwrap(), 3);
        assert_eq!(output.read(100).unwrap(), b"abc");
        assert_eq!(output.read(2).unwrap(), b"ab");
    }
}
