//! Today's behaviour of a client in a file, to be held against a later one.

use super::Finding;
use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The version of the format.
const VERSION: u32 = 1;

/// What a client did in each fault.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    version: u32,
    faults: BTreeMap<String, Behaviour>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Behaviour {
    outcome: String,
    /// The exit code; none where it had to be killed.
    code: Option<u8>,
}

impl Behaviour {
    fn of(finding: &Finding) -> Behaviour {
        Behaviour {
            outcome: finding.outcome.name().to_owned(),
            code: finding.code,
        }
    }

    fn words(&self) -> String {
        match self.code {
            Some(code) => format!("{}, exit code {code}", self.outcome),
            None => self.outcome.clone(),
        }
    }
}

/// Writes what was found.
pub(super) fn write(path: &Path, findings: &[Finding]) -> anyhow::Result<()> {
    let behaviours = findings
        .iter()
        .map(|one| (one.name.clone(), Behaviour::of(one)));
    let saved = Saved {
        version: VERSION,
        faults: behaviours.collect(),
    };
    let text = serde_json::to_string_pretty(&saved)? + "\n";
    crate::sys::output::write(path, &text)
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Reads what was found before.
pub(super) fn read(path: &Path) -> anyhow::Result<Saved> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let saved: Saved = serde_json::from_str(&text)
        .with_context(|| format!("{} is not what --save writes", path.display()))?;
    ensure!(
        saved.version == VERSION,
        "{} has version {}, this tcplab reads {VERSION}",
        path.display(),
        saved.version
    );
    Ok(saved)
}

impl Saved {
    /// Notes in each finding whether it is as before. A fault that the file does not know is judged as ever.
    pub(super) fn hold_against(&self, findings: &mut [Finding]) {
        for finding in findings {
            let Some(before) = self.faults.get(&finding.name) else {
                continue;
            };
            finding.pinned = true;
            if *before != Behaviour::of(finding) {
                finding.before = Some(before.words());
            }
        }
    }
}
