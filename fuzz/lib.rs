//! The checks of `tests/survives`, for programs that search for inputs which fail them.

#[allow(dead_code, reason = "the tests use more of these")]
#[path = "../tests/survives/step.rs"]
mod step;
#[path = "../tests/support/mod.rs"]
mod support;
#[path = "../tests/survives/targets.rs"]
mod targets;
#[path = "../tests/survives/watched.rs"]
mod watched;

/// Tries `bytes` on the target of this name.
///
/// # Panics
/// Where something is found, and when there is no such target.
pub fn run(target: &str, bytes: &[u8]) {
    let (_, target) = targets::ALL
        .iter()
        .find(|(name, _)| *name == target)
        .expect("a target");
    target(bytes);
}
