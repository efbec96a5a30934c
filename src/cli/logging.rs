//! Log setup: `RUST_LOG` decides; if it is not set, warnings are shown.

use super::args::Show;
use crate::fault::catalogue::distance;
use anyhow::bail;
use log::LevelFilter;
use std::env;
use std::io::{self, Write};

const VARIABLE: &str = "RUST_LOG";
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
/// What other loggers call a level.
const FOREIGN: [&str; 8] = [
    "all", "critical", "err", "fatal", "none", "notice", "verbose", "warning",
];
/// What logs here, by the first part of its targets.
const OURS: [&str; 2] = ["tcplab", "smoltcp"];

/// Sets the log up where nothing is watched.
///
/// # Errors
/// `RUST_LOG` says nothing that can be understood.
pub(super) fn start_plain_log(quiet: bool) -> anyhow::Result<()> {
    start(if quiet { "error" } else { "warn" }, quiet, None)
}

/// The same beside what is shown; quiet runs only log errors.
///
/// # Errors
/// As [`start_plain_log`].
pub(super) fn start_log(show: &Show) -> anyhow::Result<()> {
    let default = match (show.quiet, show.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        // The ladder shows all events.
        (false, _) => "warn,tcplab::event=off,tcplab::seccomp=info",
    };
    let pipe = show.tui.then(|| Box::new(show.log.clone()));
    start(
        default,
        show.quiet,
        pipe.map(|pipe| env_logger::Target::Pipe(pipe)),
    )
}

fn start(default: &str, quiet: bool, target: Option<env_logger::Target>) -> anyhow::Result<()> {
    let strangers = check(&env::var(VARIABLE).unwrap_or_default())?;
    let env = env_logger::Env::default().default_filter_or(default);
    let mut builder = env_logger::Builder::from_env(env);
    builder.format_timestamp_micros();
    if let Some(target) = target {
        builder.target(target);
    }
    builder.init();
    for stranger in strangers.iter().filter(|_| !quiet) {
        // Such a filter lets no warning pass.
        let _ = writeln!(
            io::stderr(),
            "tcplab: {VARIABLE}: `{stranger}` is no level and nothing of tcplab, so no log is written for it"
        );
    }
    Ok(())
}

/// Refuses what the logger would ignore, or take for the name of a module though it is meant as a level. Answers with other
/// names that are nothing here: the variable may be meant for the command too.
fn check(filters: &str) -> anyhow::Result<Vec<String>> {
    let mut strangers = Vec::new();
    // What follows a slash is a regular expression for messages.
    let (directives, _) = filters.split_once('/').unwrap_or((filters, ""));
    for directive in directives.split(',').map(str::trim) {
        let (target, level) = match directive.split_once('=') {
            Some((target, level)) => (target, Some(level)),
            None => (directive, None),
        };
        let is_level = |text: &str| text.parse::<LevelFilter>().is_ok();
        let is_target = target.split("::").all(|part| {
            let is_name = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == '-';
            !part.is_empty() && part.chars().all(is_name)
        });
        let is_ours = OURS.contains(&target.split("::").next().unwrap_or_default());
        let is_good = match level {
            _ if directive.is_empty() => true,
            // An empty level is the highest.
            Some(level) => is_target && (level.is_empty() || is_level(level)),
            None if is_level(target) || is_target && is_ours => true,
            None if is_target && !is_meant_as_level(target) => {
                strangers.push(target.to_owned());
                true
            }
            None => false,
        };
        if !is_good {
            bail!(
                "{VARIABLE}: `{directive}` is no level (off, error, warn, info, debug, trace) and no TARGET=LEVEL, \
                 such as tcplab=info"
            );
        }
    }
    Ok(strangers)
}

fn is_meant_as_level(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let is_number = word.chars().all(|char| char.is_ascii_digit());
    let is_near = |level: &&str| distance(&word, level) <= level.len() / 2;
    is_number || FOREIGN.contains(&&*word) || LEVELS.iter().any(is_near)
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn a_misspelled_level_is_refused() {
        for good in [
            "",
            "info",
            "WARN",
            "off,",
            "tcplab=info",
            "tcplab::event",
            "tcplab::event=,smoltcp",
            "warn,hyper=debug, my-app::part=trace",
            "debug/any [regular expression",
        ] {
            assert!(check(good).unwrap().is_empty(), "{good}");
        }
        assert_eq!(check("my_app,info,garbage").unwrap(), ["my_app", "garbage"]);
        for (bad, named) in [
            ("inof", "`inof`"),
            ("tcplab=inof", "`tcplab=inof`"),
            ("warn,tcplab=info=debug", "`tcplab=info=debug`"),
            ("garbage=;;!!", "`garbage=;;!!`"),
            ("=info", "`=info`"),
            ("tcplab:event", "`tcplab:event`"),
            ("1", "`1`"),
            ("warning", "`warning`"),
            ("DEBGU", "`DEBGU`"),
        ] {
            let error = check(bad).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
