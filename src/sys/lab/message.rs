//! What the two processes of a lab say to each other, over a socket pair that keeps message boundaries.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};

use super::error::{Failure, Shortfall, Step};

/// One message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// From inside: all is in place but for this, and here are the descriptors.
    Ready(Vec<Shortfall>),
    /// From inside: it can't be done.
    Failed(Failure),
    /// From outside: exec.
    Go,
}

/// One end of the pair. It closes on exec, which is how the other end learns of it.
#[derive(Debug)]
pub(super) struct Socket(OwnedFd);

/// More descriptors than a message ever carries.
type Descriptors = [RawFd; 8];

impl Socket {
    pub(super) fn pair() -> Result<(Socket, Socket), Errno> {
        let (a, b) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )?;
        Ok((Socket(a), Socket(b)))
    }

    /// Sends a message with descriptors, of which the other end gets copies.
    pub(super) fn send(&self, message: &Message, fds: &[BorrowedFd<'_>]) -> Result<(), Errno> {
        let bytes = message.encode();
        let fds: Vec<RawFd> = fds.iter().map(|fd| fd.as_raw_fd()).collect();
        let rights = [ControlMessage::ScmRights(&fds)];
        let control = if fds.is_empty() { &[][..] } else { &rights };
        let iov = [IoSlice::new(&bytes)];
        let flags = MsgFlags::MSG_NOSIGNAL;
        sendmsg::<()>(self.0.as_raw_fd(), &iov, control, flags, None).map(drop)
    }

    /// Waits for a message, or `None` when the other end is closed.
    pub(super) fn recv(&self) -> Result<Option<(Message, Vec<OwnedFd>)>, Errno> {
        let mut bytes = [0; 256];
        let mut iov = [IoSliceMut::new(&mut bytes)];
        let mut space = cmsg_space!(Descriptors);
        let received = loop {
            let flags = MsgFlags::MSG_CMSG_CLOEXEC;
            match recvmsg::<()>(self.0.as_raw_fd(), &mut iov, Some(&mut space), flags) {
                Err(Errno::EINTR) => {}
                result => break result?,
            }
        };
        let mut descriptors = Vec::new();
        for control in received.cmsgs()? {
            if let ControlMessageOwned::ScmRights(fds) = control {
                // SAFETY: the kernel has just put these descriptors into our table, for us alone.
                descriptors.extend(fds.iter().map(|&fd| unsafe { OwnedFd::from_raw_fd(fd) }));
            }
        }
        let length = received.bytes;
        if length == 0 {
            return Ok(None);
        }
        let message = Message::decode(&bytes[..length]).ok_or(Errno::EBADMSG)?;
        Ok(Some((message, descriptors)))
    }
}

impl Message {
    /// A letter, then five octets for each failure.
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Message::Ready(shortfalls) => {
                bytes.push(b'R');
                for Shortfall(failure) in shortfalls {
                    bytes.extend(failure.encode());
                }
            }
            Message::Failed(failure) => {
                bytes.push(b'F');
                bytes.extend(failure.encode());
            }
            Message::Go => bytes.push(b'G'),
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Message> {
        let (&letter, rest) = bytes.split_first()?;
        let (chunks, tail) = rest.as_chunks::<5>();
        let failures: Option<Vec<Failure>> = chunks.iter().map(Failure::decode).collect();
        match (letter, &failures?[..], tail) {
            (b'R', failures, []) => Some(Message::Ready(
                failures.iter().copied().map(Shortfall).collect(),
            )),
            (b'F', &[failure], []) => Some(Message::Failed(failure)),
            (b'G', [], []) => Some(Message::Go),
            _ => None,
        }
    }
}

impl Failure {
    fn encode(self) -> [u8; 5] {
        let [a, b, c, d] = (self.errno as i32).to_ne_bytes();
        [self.step as u8, a, b, c, d]
    }

    fn decode(&[step, a, b, c, d]: &[u8; 5]) -> Option<Failure> {
        Some(Failure {
            step: Step::ALL.into_iter().find(|&known| known as u8 == step)?,
            errno: Errno::from_raw(i32::from_ne_bytes([a, b, c, d])),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write, pipe};
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn messages_come_back_as_they_went() {
        let failures = Step::ALL.map(|step| Failure {
            step,
            errno: Errno::ENOSPC,
        });
        let mut messages = Vec::from(failures.map(Message::Failed));
        messages.push(Message::Ready(Vec::new()));
        messages.push(Message::Ready(failures.map(Shortfall).to_vec()));
        messages.push(Message::Go);

        let (ours, theirs) = Socket::pair().unwrap();
        for message in messages {
            theirs.send(&message, &[]).unwrap();
            let (received, descriptors) = ours.recv().unwrap().unwrap();
            assert_eq!(received, message);
            assert!(descriptors.is_empty());
        }
        drop(theirs);
        assert!(ours.recv().unwrap().is_none());
    }

    #[test]
    fn descriptors_arrive_open_and_in_order() {
        let (ours, theirs) = Socket::pair().unwrap();
        let (reader, mut writer) = pipe().unwrap();
        let (other, _open) = pipe().unwrap();
        let fds = [reader.as_fd(), other.as_fd()];
        theirs.send(&Message::Ready(Vec::new()), &fds).unwrap();
        drop(reader);

        let (_, descriptors) = ours.recv().unwrap().unwrap();
        assert_eq!(descriptors.len(), 2);
        writer.write_all(b"through").unwrap();
        drop(writer);
        let mut text = String::new();
        let mut first = std::fs::File::from(descriptors.into_iter().next().unwrap());
        first.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
    }

    #[test]
    fn nonsense_is_no_message() {
        for bytes in [&b""[..], b"X", b"F", b"Gx", b"R1234", b"F\xff\0\0\0\0"] {
            assert_eq!(Message::decode(bytes), None, "{bytes:?}");
        }
    }
}
