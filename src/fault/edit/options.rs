//! TCP options, taken apart and put together again.

use crate::fault::rule::Assignment;

/// The bytes between the fixed part of a TCP header and the payload.
pub(super) struct Options<'a>(pub(super) &'a [u8]);

/// The most for which a TCP header has room.
const MAX: usize = 40;

const END: u8 = 0;
const NOP: u8 = 1;

impl Options<'_> {
    /// What becomes of them, a multiple of four bytes. `None` where nothing does, as the change is none of options, or there is
    /// no room.
    pub(super) fn changed(&self, assignment: &Assignment) -> Option<Vec<u8>> {
        let (kind, value) = match *assignment {
            Assignment::Mss(mss) => (2, mss.map(|mss| mss.to_be_bytes().to_vec())),
            Assignment::WindowScale(shift) => (3, shift.map(|shift| vec![shift])),
            Assignment::SackPermitted(permitted) => (4, permitted.then(Vec::new)),
            Assignment::Timestamps(stamps) => {
                let bytes =
                    |(val, ecr): (u32, u32)| [val.to_be_bytes(), ecr.to_be_bytes()].concat();
                (8, stamps.map(bytes))
            }
            Assignment::NoOptions => return (!self.0.is_empty()).then(Vec::new),
            _ => return None,
        };
        let option = value.map(|value| [&[kind, value.len() as u8 + 2], &value[..]].concat());
        let mut list = self.list();
        let there = list.iter().position(|other| other[0] == kind);
        match (there, option) {
            (Some(at), Some(option)) => {
                let as_long = list[at].len() == option.len();
                list[at] = option;
                if as_long {
                    return Some(list.concat());
                }
            }
            (Some(at), None) => {
                list.remove(at);
                // The padding before an option belongs to it.
                let padding = list[..at].iter().rev().take_while(|o| o[0] == NOP).count();
                list.drain(at - padding..at);
            }
            (None, Some(option)) => {
                // What can't be read stays last, as nothing behind it can be.
                let end = list.iter().position(|option| is_end(option));
                list.insert(end.unwrap_or(list.len()), option);
            }
            (None, None) => return None,
        }
        pad(list)
    }

    /// The options one by one; what follows the end of the list, or can't be read, is the last one whole.
    fn list(&self) -> Vec<Vec<u8>> {
        let (mut list, mut rest) = (Vec::new(), self.0);
        while let Some(&kind) = rest.first() {
            let len = match (kind, rest.get(1)) {
                (NOP, _) => 1,
                (END, _) => rest.len(),
                (_, Some(&len)) if len >= 2 => usize::from(len).min(rest.len()),
                _ => rest.len(),
            };
            let (option, behind) = rest.split_at(len);
            list.push(option.to_vec());
            rest = behind;
        }
        list
    }
}

/// Whether nothing behind it is read.
fn is_end(option: &[u8]) -> bool {
    match option {
        [NOP] => false,
        [END, ..] => true,
        [_, len, ..] => usize::from(*len) != option.len(),
        _ => true,
    }
}

/// All in a row, filled up to a multiple of four bytes.
fn pad(mut list: Vec<Vec<u8>>) -> Option<Vec<u8>> {
    // Padding is made anew.
    list.pop_if(|last| last.iter().all(|&byte| byte == END));
    while list.pop_if(|last| *last == [NOP]).is_some() {}
    let mut bytes = list.concat();
    bytes.resize(bytes.len().next_multiple_of(4), NOP);
    (bytes.len() <= MAX).then_some(bytes)
}
