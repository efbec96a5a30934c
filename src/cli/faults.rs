//! `tcplab faults`: the catalogue.

use super::args;
use super::run::Addresses;
use crate::fault::catalogue::{self, Fault, Group, Outcome};
use crate::sink::text::{pad, wrap_sentence};
use crate::words::Lang;
use anyhow::anyhow;
use serde::Serialize;
use smoltcp::wire::IpCidr;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::IpAddr;

/// How wide a text is.
const WIDTH: usize = 100;

/// Prints all faults, or one whole.
pub(super) fn faults(options: &args::Catalogue) -> anyhow::Result<u8> {
    let own = Addresses::new(&options.lab)?.own;
    let lang = options.lang.into();
    let chosen = match &options.name {
        None => None,
        Some(name) => {
            let found = catalogue::find(name.strip_suffix(".test").unwrap_or(name));
            Some(found.ok_or_else(|| no_such(name))?)
        }
    };
    let text = match (options.json, chosen) {
        (true, None) => json(
            &catalogue::faults()
                .map(|fault| Entry::new(fault, &own))
                .collect::<Vec<_>>(),
        )?,
        (true, Some(fault)) => json(&Entry::new(fault, &own))?,
        (false, None) => table(lang, &own, &options.lab),
        (false, Some(fault)) => whole(lang, fault, &own),
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(0)
}

/// That there is no fault of this name, and which there are of similar names.
pub(super) fn no_such(name: &str) -> anyhow::Error {
    let nearest = catalogue::nearest(name);
    let hint = match nearest.is_empty() {
        true => "`tcplab faults` lists all of them".to_owned(),
        false => format!("did you mean {}?", nearest.join(", ")),
    };
    anyhow!("there is no fault {name:?}; {hint}")
}

/// All faults, grouped.
fn table(lang: Lang, own: &[IpCidr], lab: &args::Lab) -> String {
    let columns = |fault: &Fault| {
        let addresses = own.iter().map(|prefix| address(fault, own, *prefix));
        addresses
            .map(|address| address.map_or("-".to_owned(), |address| address.to_string()))
            .collect::<Vec<_>>()
    };
    let width = catalogue::faults()
        .flat_map(columns)
        .map(|column| column.len())
        .max();
    let width = width.unwrap_or(0) + 2;
    let mut text = lang.faults_head(catalogue::faults().count()) + "\n";
    for group in Group::ALL {
        let _ = writeln!(text, "\n{}", lang.group(group));
        for fault in group.faults() {
            let addresses: String = columns(fault)
                .iter()
                .map(|column| pad(column, width))
                .collect();
            let name = pad(fault.name, 21);
            let _ = writeln!(text, "  {addresses}{name}{}", lang.fault(fault).title);
        }
    }
    let _ = writeln!(
        text,
        "\n{}",
        lang.faults_foot("tcplab faults synack-lost-2")
    );
    if let Some(words) = no_room(lang, own, lab) {
        for line in wrap_sentence(&words, WIDTH) {
            let _ = writeln!(text, "{line}");
        }
    }
    text
}

/// What is to be said where a fault lacks an address.
fn no_room(lang: Lang, own: &[IpCidr], lab: &args::Lab) -> Option<String> {
    let lacks = |fault: &Fault, network: &IpCidr| address(fault, own, *network).is_none();
    let faults = catalogue::faults();
    let count = faults
        .filter(|fault| own.iter().any(|network| lacks(fault, network)))
        .count();
    let v4 = lab.net.prefix().map(|prefix| prefix.to_string());
    let v6 = lab.net6.prefix().map(|prefix| prefix.to_string());
    let networks = own.iter().zip(v4.into_iter().chain(v6));
    let small: Vec<String> = networks
        .filter(|(network, _)| catalogue::faults().any(|fault| lacks(fault, network)))
        .map(|(_, name)| name)
        .collect();
    (count > 0).then(|| lang.no_room(count, small.join(", "), "--net, --net6"))
}

/// All about one.
fn whole(lang: Lang, fault: &Fault, own: &[IpCidr]) -> String {
    let told = lang.fault(fault);
    let addresses = addresses(fault, own);
    let host = match addresses.is_empty() {
        true => lang.left_out(),
        false => {
            let addresses: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
            format!("{} = {}", fault.host_name(), addresses.join(", "))
        }
    };
    let options: String = fault
        .rules
        .iter()
        .map(|rule| format!("--rule '{rule}' "))
        .collect();
    let mut rows = vec![(lang.fault_host(), host)];
    for (number, rule) in fault.rules.iter().enumerate() {
        let label = if number == 0 {
            lang.fault_rules()
        } else {
            String::new()
        };
        rows.push((label, (*rule).to_owned()));
    }
    rows.extend([
        (lang.fault_happens(), told.happens.to_owned()),
        (lang.fault_client(), told.client.to_owned()),
        (lang.fault_http(), lang.expectation(fault)),
        (lang.fault_source(), fault.source.to_string()),
        (lang.fault_try(), fault.trial()),
    ]);
    let mut text = format!("{}: {}\n\n", fault.name, told.title);
    for (label, words) in rows {
        let mut margin = pad(&label, 15);
        for line in wrap_sentence(&words, WIDTH - 17) {
            let _ = writeln!(text, "  {margin}{line}");
            margin = pad("", 15);
        }
    }
    // A command is to be copied, so it is never wrapped.
    let anywhere = format!("tcplab run {options}-- curl -sS http://lab.test/");
    let _ = writeln!(text, "  {}{anywhere}", pad(&lang.fault_anywhere(), 15));
    text
}

/// The address of a fault in one of our networks.
fn address(fault: &Fault, own: &[IpCidr], network: IpCidr) -> Option<IpAddr> {
    let address = fault.address_in(network)?;
    addresses(fault, own).contains(&address).then_some(address)
}

fn addresses(fault: &Fault, own: &[IpCidr]) -> Vec<IpAddr> {
    let mut addressed = catalogue::addressed(own);
    addressed
        .find(|(other, _)| other.name == fault.name)
        .map_or(Vec::new(), |(_, addresses)| addresses)
}

/// A fault as `--json` writes it.
#[derive(Serialize)]
struct Entry {
    name: &'static str,
    host: String,
    addresses: Vec<IpAddr>,
    group: &'static str,
    title: &'static str,
    rules: &'static [&'static str],
    happens: &'static str,
    client: &'static str,
    source: String,
    /// A command that shows it.
    r#try: String,
    /// What comes of a request over HTTP.
    outcome: &'static str,
    /// In how many seconds at most; null where only a limit of the client's own ends it.
    within: Option<u64>,
}

impl Entry {
    fn new(fault: &Fault, own: &[IpCidr]) -> Entry {
        Entry {
            name: fault.name,
            host: fault.host_name(),
            addresses: addresses(fault, own),
            group: match fault.group() {
                Group::Connecting => "connecting",
                Group::Talking => "talking",
                Group::Closing => "closing",
            },
            title: fault.title,
            rules: fault.rules,
            happens: fault.happens,
            client: fault.client,
            source: fault.source.to_string(),
            r#try: fault.trial(),
            outcome: match fault.expected.outcome {
                Outcome::Answers => "answers",
                Outcome::Fails => "fails",
                Outcome::Either => "either",
            },
            within: fault.expected.within.map(|within| within.secs()),
        }
    }
}

fn json(value: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}
