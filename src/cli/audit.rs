//! `tcplab audit`: what a client does in each fault of the catalogue, or when any one segment of a good run goes astray.
//!
//! ```text
//!   lab ─────────────────────────────────┐        stack
//!    audit-inside ─┬─ CMD lost.test      │   192.0.2.10 with its rules
//!     (orders in,  ├─ CMD slow.test      │   192.0.2.11 with its rules
//!      results out)└─ …   all at once    │   …
//!   ─────────────────────────────────────┘
//! ```
//!
//! Each run has an address of its own, so none disturbs another.

pub(super) mod inside;
mod lab;
mod observe;
mod output;
mod saved;
mod sweep;
mod verdict;

use super::args;
use super::run::Addresses;
use crate::fault::Rule;
use crate::fault::catalogue::{self, Fault};
use anyhow::{Context, bail, ensure};
use lab::Ran;
use output::{Findings, Format};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;
use verdict::{Expected, Normal, Outcome, Promise, outcome};

/// A run of the command under one fault.
#[derive(Clone, Debug)]
struct Case {
    name: String,
    /// Where the fault is.
    addresses: Vec<IpAddr>,
    rules: Vec<Rule>,
    expected: Expected,
    /// What happens, as a sentence.
    happens: String,
    /// What a good client does, in sentences.
    good_client: String,
}

impl Case {
    /// The name that leads to its addresses.
    fn host(&self) -> String {
        format!("{}.test", self.name)
    }
}

/// What was found in one run.
#[derive(Clone, Debug)]
struct Finding {
    name: String,
    expected: Expected,
    happens: String,
    good_client: String,
    outcome: Outcome,
    code: Option<u8>,
    /// In seconds, from its first packet on.
    took: f64,
    flows: u64,
    syns: u64,
    resent: u64,
    resets: u64,
    ended: String,
    stderr: String,
    /// What it did according to `--expect`, where it does something else now.
    before: Option<String>,
    /// Whether `--expect` decides instead of what a good client does.
    pinned: bool,
}

impl Finding {
    fn new(case: &Case, ran: &Ran, normal: &Normal, good_code: u8, promise: Promise) -> Finding {
        let seen = ran.seen.clone().unwrap_or_default();
        Finding {
            name: case.name.clone(),
            expected: case.expected,
            happens: case.happens.clone(),
            good_client: case.good_client.clone(),
            outcome: outcome(&ran.done, ran.seen.as_ref(), normal, good_code, |code| {
                let answer = ran.waited_for_answer();
                promise.judge(code, ran.took(), answer, case.addresses.len())
            }),
            code: ran.done.code,
            took: ran.took(),
            flows: seen.flows,
            syns: seen.syns,
            resent: seen.resent,
            resets: seen.resets,
            ended: match &ran.seen {
                Some(seen) => seen.ended.clone(),
                None => "nobody came".to_owned(),
            },
            stderr: ran.done.stderr.clone(),
            before: None,
            pinned: false,
        }
    }

    fn is_good(&self) -> bool {
        match self.pinned {
            true => self.before.is_none(),
            false => self.outcome.is_good(self.expected),
        }
    }
}

/// What all runs have in common.
struct Setup<'a> {
    audit: &'a args::Audit,
    addresses: Addresses,
    /// The command and its arguments, with places to fill in.
    words: Vec<String>,
}

/// Runs the command under every fault and shows what it did. Exit code 1 where that is not what a good client does.
pub(super) fn audit(audit: &args::Audit) -> anyhow::Result<u8> {
    super::logging::start_plain_log(audit.quiet)?;
    let setup = Setup::new(audit)?;
    let expected = audit.expect.as_deref().map(saved::read).transpose()?;
    let files = outputs(audit);
    let on_stdout = files.iter().filter(|(_, path)| is_stdout(path)).count();
    ensure!(on_stdout <= 1, "only one format can go to standard output");

    let faults = match audit.sweep {
        true => None,
        false => Some(setup.faults()?),
    };
    let (normal, good_code, good_run) = setup.good_run()?;
    let cases = match faults {
        Some(cases) => cases,
        None => sweep::cases(&setup.addresses, &good_run)?,
    };
    let progress = if audit.sweep { "sweep" } else { "audit" };
    let ran = lab::run(&setup, &cases, progress)?;
    let mut findings: Vec<Finding> = (cases.iter().zip(&ran))
        .map(|(case, ran)| Finding::new(case, ran, &normal, good_code, setup.promise()))
        .collect();
    if let Some(expected) = &expected {
        expected.hold_against(&mut findings);
    }
    let all = Findings {
        command: setup.words.join(" "),
        findings: &findings,
    };
    if let Some(path) = &audit.save {
        saved::write(path, &findings)?;
    }
    for (format, path) in files {
        let text = all.to(format);
        if is_stdout(path) {
            io::stdout().write_all(text.as_bytes())?;
        } else {
            crate::sys::output::write(path, &text)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    if !audit.quiet && on_stdout == 0 {
        io::stdout().write_all(all.table().as_bytes())?;
    }
    Ok(u8::from(all.bad() > 0))
}

impl<'a> Setup<'a> {
    fn new(audit: &'a args::Audit) -> anyhow::Result<Setup<'a>> {
        let words: Vec<String> = audit
            .cmd
            .iter()
            .map(|word| match word.to_str() {
                Some(word) => Ok(word.to_owned()),
                None => bail!("{} is no UTF-8, which an audit needs", word.display()),
            })
            .collect::<anyhow::Result<_>>()?;
        ensure!(
            words.iter().any(|word| word.contains("{host}")),
            "the command has no {{host}}: write {{host}} where the name of the server belongs, for example\n  \
             tcplab audit -- curl -sS --max-time 20 http://{{host}}/"
        );
        Ok(Setup {
            audit,
            addresses: Addresses::new(&audit.lab)?,
            words,
        })
    }

    /// What the client promises.
    fn promise(&self) -> Promise {
        let seconds = |limit: Option<std::time::Duration>| limit.map(|limit| limit.as_secs_f64());
        Promise {
            connect: seconds(self.audit.connect_limit),
            answer: seconds(self.audit.answer_limit),
        }
    }

    /// A case for each fault that is asked for and has an address.
    fn faults(&self) -> anyhow::Result<Vec<Case>> {
        for name in &self.audit.only {
            if catalogue::find(name).is_none() {
                return Err(super::faults::no_such(name));
            }
        }
        let only = &self.audit.only;
        let wanted = |fault: &&Fault| only.is_empty() || only.iter().any(|name| name == fault.name);
        let cases = catalogue::faults().filter(wanted).filter_map(|fault| {
            let own = self.addresses.own.iter();
            let addresses: Vec<IpAddr> = own.filter_map(|own| fault.address_in(*own)).collect();
            (!addresses.is_empty()).then(|| Case {
                name: fault.name.to_owned(),
                addresses,
                rules: fault.parsed().collect(),
                expected: match fault.expected.outcome {
                    catalogue::Outcome::Answers => Expected::Answers,
                    catalogue::Outcome::Fails => Expected::Fails,
                    catalogue::Outcome::Either => Expected::Either,
                },
                happens: fault.happens.to_owned(),
                good_client: fault.client.to_owned(),
            })
        });
        let cases: Vec<Case> = cases.collect();
        ensure!(
            !cases.is_empty(),
            "no fault has an address in these networks"
        );
        Ok(cases)
    }

    /// Two runs without any fault: what the client is like when all is well.
    fn good_run(&self) -> anyhow::Result<(Normal, u8, Ran)> {
        let addresses: Vec<IpAddr> = (self.addresses.own.iter())
            .map(crate::cli::plan::std_address)
            .collect();
        let case = Case {
            name: "lab".to_owned(),
            addresses,
            rules: Vec::new(),
            expected: Expected::Answers,
            happens: String::new(),
            good_client: String::new(),
        };
        let one = || -> anyhow::Result<Ran> {
            let ran = lab::run(self, std::slice::from_ref(&case), "without fault")?;
            ran.into_iter().next().context("no run")
        };
        let (first, second) = (one()?, one()?);
        let Some(code) = first.done.code else {
            bail!(
                "the command does not end within {} s, even without a fault",
                self.audit.limit.as_secs_f64()
            );
        };
        ensure!(
            second.done.code == Some(code),
            "the command does not end in the same way twice, even without a fault"
        );
        let (Some(seen), Some(again)) = (&first.seen, &second.seen) else {
            bail!("the command does not connect to {{host}}, even without a fault");
        };
        ensure!(
            code == 0,
            "the command fails with code {code}, even without a fault: {}",
            first.done.stderr.trim()
        );
        let outputs = (first.done.stdout(), second.done.stdout());
        let normal = Normal::of([(&outputs.0, seen), (&outputs.1, again)]);
        Ok((normal, code, first))
    }
}

fn outputs(audit: &args::Audit) -> Vec<(Format, &Path)> {
    let all = [
        (Format::Json, &audit.json),
        (Format::Junit, &audit.junit),
        (Format::Markdown, &audit.markdown),
        (Format::Html, &audit.html),
    ];
    all.into_iter()
        .filter_map(|(format, path)| Some((format, path.as_deref()?)))
        .collect()
}

fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}
