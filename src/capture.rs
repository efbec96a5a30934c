//! Captures that others have made: files of pcap or pcapng read into packets, and packets into events.
//!
//! ```text
//!  impl Read ──▶ Capture ──Frame──▶ link::ip_offset ──▶ Observer ──Event──▶ View, sinks
//! ```
//!
//! [`Capture`] reads both formats, of either byte order and any resolution of time, packet by packet, so also from a pipe. It
//! never trusts a length: a file that is cut off or damaged is read as far as it goes, and the [`CaptureError`] says
//! where that is. [`Observer`] tells what the packets mean as the engine would, with one difference: nothing is
//! known from within, so the states of both ends are inferred.
//!
//! The formats are read here and not by the crate that writes them, as that gives up on packets longer than the snapshot length,
//! and does not say where.

pub mod link;

mod observer;
mod pcap;
mod pcapng;

pub use observer::Observer;

use std::io::{self, Read};
use std::time::Duration;

/// No packet is longer; what claims to be is no packet (Wireshark draws the line at the same place).
const MAX_PACKET: u32 = 256 << 10;

/// A packet as it stands in a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// When it was captured, as time since 1970-01-01T00:00:00Z.
    pub time: Duration,
    /// The type of its link layer, as in the registry of LINKTYPE values of tcpdump.org.
    pub link_type: u32,
    /// What was captured of it, from its link layer's header on.
    pub bytes: Vec<u8>,
    /// How many bytes it had before the capture cut it; never less than there are.
    pub whole_len: usize,
}

/// A capture while it is read.
#[derive(Debug)]
pub struct Capture<R> {
    input: Input<R>,
    format: Format,
}

#[derive(Debug)]
enum Format {
    Pcap(pcap::Header),
    PcapNg(pcapng::Section),
}

/// Why a capture can't be read, or not any further.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// Reading failed.
    #[error("cannot read on at byte {offset}")]
    Read {
        /// How many bytes were read before.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// It does not begin as a capture does.
    #[error("neither pcap nor pcapng{0}")]
    Unknown(String),
    /// It ends where it should not.
    #[error("cut off at byte {offset}: {what} has {present} of its {len} bytes")]
    CutOff {
        /// How many bytes there are.
        offset: u64,
        /// What is incomplete.
        what: &'static str,
        /// How long that should be, in bytes.
        len: usize,
        /// How much of it is there.
        present: usize,
    },
    /// It contradicts itself.
    #[error("damaged at byte {offset}: {why}")]
    Damaged {
        /// Where what can't be read begins.
        offset: u64,
        /// Why it can't be read.
        why: String,
    },
}

impl<R: Read> Capture<R> {
    /// Reads as much as tells the format.
    ///
    /// # Errors
    /// When it is no capture, or not even its header is there.
    pub fn new(input: R) -> Result<Capture<R>, CaptureError> {
        let mut input = Input {
            inner: input,
            offset: 0,
        };
        let mut magic = [0; 4];
        let present = input.fill(&mut magic)?;
        let format = if present < magic.len() {
            return Err(CaptureError::Unknown(match present {
                0 => ": it is empty".into(),
                _ => ": it is too short".into(),
            }));
        } else if magic == pcapng::MAGIC {
            Format::PcapNg(pcapng::Section::read(&mut input)?)
        } else {
            Format::Pcap(pcap::Header::read(magic, &mut input)?)
        };
        Ok(Capture { input, format })
    }

    /// The next packet; `None` at the end.
    ///
    /// # Errors
    /// When the file is cut off or damaged. Nothing more can be read afterwards.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, CaptureError> {
        match &mut self.format {
            Format::Pcap(header) => header.next_frame(&mut self.input),
            Format::PcapNg(section) => section.next_frame(&mut self.input),
        }
    }
}

/// What is read from, and how far.
#[derive(Debug)]
struct Input<R> {
    inner: R,
    offset: u64,
}

impl<R: Read> Input<R> {
    /// Fills `buf` as far as there is something, and answers how far that is.
    fn fill(&mut self, buf: &mut [u8]) -> Result<usize, CaptureError> {
        let mut present = 0;
        while present < buf.len() {
            match self.inner.read(&mut buf[present..]) {
                Ok(0) => break,
                Ok(len) => {
                    present += len;
                    self.offset += len as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(CaptureError::Read {
                        offset: self.offset,
                        source,
                    });
                }
            }
        }
        Ok(present)
    }

    /// The next `N` bytes; `None` where the file ends just here.
    fn header<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<Option<[u8; N]>, CaptureError> {
        let mut buf = [0; N];
        match self.fill(&mut buf)? {
            0 => Ok(None),
            present if present < N => Err(self.cut_off(what, N, present)),
            _ => Ok(Some(buf)),
        }
    }

    /// The next `len` bytes, which must be there; `before` bytes of `what` were read already.
    fn rest(
        &mut self,
        what: &'static str,
        before: usize,
        len: usize,
    ) -> Result<Vec<u8>, CaptureError> {
        // What a file claims is not taken from memory before it is there.
        let mut bytes = Vec::new();
        while bytes.len() < len {
            let start = bytes.len();
            bytes.resize(len.min(start + (1 << 16)), 0);
            let wanted = bytes.len() - start;
            let present = self.fill(&mut bytes[start..])?;
            if present < wanted {
                return Err(self.cut_off(what, before + len, before + start + present));
            }
        }
        Ok(bytes)
    }

    fn cut_off(&self, what: &'static str, len: usize, present: usize) -> CaptureError {
        CaptureError::CutOff {
            offset: self.offset,
            what,
            len,
            present,
        }
    }
}

/// The order of the bytes of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ByteOrder {
    Big,
    Little,
}

impl ByteOrder {
    /// The number at `at`, which must lie inside `bytes`.
    fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let number = [bytes[at], bytes[at + 1]];
        match self {
            ByteOrder::Big => u16::from_be_bytes(number),
            ByteOrder::Little => u16::from_le_bytes(number),
        }
    }

    /// The number at `at`, which must lie inside `bytes`.
    fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let (first, second) = (self.u16(bytes, at).into(), self.u16(bytes, at + 2).into());
        let (high, low): (u32, u32) = match self {
            ByteOrder::Big => (first, second),
            ByteOrder::Little => (second, first),
        };
        high << 16 | low
    }
}
