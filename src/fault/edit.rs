//! Changes to packets.

use super::rule::Assignment;

pub(crate) fn edit(bytes: &[u8], _assignments: &[Assignment]) -> Vec<u8> {
    bytes.to_vec()
}
