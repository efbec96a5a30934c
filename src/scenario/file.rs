//! From the text of a file to a scenario.

mod tables;

use super::expect::parse_lines;
use super::steps::{Step, Steps};
use super::{Client, Expected, Fault, On, Output, Scenario, Stack};
use crate::engine::STANDARD_SERVICES;
use crate::event::Transport;
use crate::fault::{ParseError, catalogue};
use regex::Regex;
use smoltcp::time::Duration;
use std::fmt;
use std::ops::Range;
use tables::{ClientTable, Exit, ExpectTable, File, OutputTable, Place, Run, StackTable};
use toml::Spanned;

/// Why a file is no scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// The line of the file, counted from 1.
    pub line: usize,
    /// The character of that line, counted from 1.
    pub column: usize,
    /// What is wrong, or what was expected there.
    pub message: String,
    /// The line itself.
    text: String,
    /// How many characters are wrong, at least 1.
    len: usize,
}

impl fmt::Display for FileError {
    /// `LINE:COLUMN: MESSAGE`, then the line with a caret under what is wrong.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FileError {
            line,
            column,
            message,
            text,
            len,
        } = self;
        let margin = line.to_string().len();
        let carets = "^".repeat(*len);
        writeln!(f, "{line}:{column}: {message}")?;
        writeln!(f, "{line} | {text}")?;
        // What stands before keeps its width, tabs too.
        let before: String = text
            .chars()
            .take(column - 1)
            .map(|letter| if letter == '\t' { '\t' } else { ' ' })
            .collect();
        write!(f, "{:margin$} | {before}{carets}", "")
    }
}

impl std::error::Error for FileError {}

/// What a file says, and where.
pub(super) fn parse(source: &str) -> Result<Scenario, FileError> {
    let here = Source(source);
    let file: File = toml::from_str(source).map_err(|error| {
        let end = source.len().saturating_sub(1);
        here.error(error.span().unwrap_or(end..source.len()), error.message())
    })?;
    let limit = file.limit.as_ref();
    let limit_line = limit.map_or(1, |limit| here.line(limit.span().start));
    let faults = file
        .faults
        .iter()
        .map(|rule| here.fault(rule))
        .collect::<Result<_, _>>()?;
    Ok(Scenario {
        about: file.about,
        limit: limit.map(|limit| limit.get_ref().0),
        linger: file.linger.map(|time| time.0),
        faults,
        stack: here.stack(file.stack)?,
        client: here.client(file.client)?,
        expect: here.expect(file.expect, limit_line)?,
    })
}

/// The text, for which places are looked up.
struct Source<'a>(&'a str);

impl Source<'_> {
    fn line(&self, at: usize) -> usize {
        1 + self.0[..at.min(self.0.len())].matches('\n').count()
    }

    fn error(&self, at: Range<usize>, message: impl Into<String>) -> FileError {
        let start = self.0.floor_char_boundary(at.start);
        let begin = self.0[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let text = self.0[begin..]
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned();
        let column = self.0[begin..start].chars().count();
        let rest = text.chars().count().saturating_sub(column);
        let end = self.0.floor_char_boundary(at.end.max(start));
        let len = self.0[start..end]
            .lines()
            .next()
            .map_or(0, |line| line.chars().count());
        FileError {
            line: self.line(start),
            column: column + 1,
            message: message.into(),
            text,
            len: len.min(rest).max(1),
        }
    }

    /// Where part `at` of line `line` of a text stands in the file.
    fn within(&self, text: &Spanned<String>, line: usize, at: Range<usize>) -> Range<usize> {
        let (span, value) = (text.span(), text.get_ref());
        let Some(part) = value.lines().nth(line) else {
            return span;
        };
        let raw = &self.0[span.clone()];
        let quotes = if raw.starts_with("'''") || raw.starts_with("\"\"\"") {
            3
        } else {
            1
        };
        let mut begin = span.start + quotes;
        if quotes == 3 {
            // A newline right behind the quotes is not part of the text.
            let newline = ["\r\n", "\n"]
                .iter()
                .find(|end| self.0[begin..].starts_with(**end));
            begin += newline.map_or(0, |end| end.len());
        }
        for _ in 0..line {
            begin = self.0[begin..]
                .find('\n')
                .map_or(span.end, |end| begin + end + 1);
        }
        // With escapes the text looks otherwise in the file: then the whole line is meant.
        match self
            .0
            .get(begin..span.end)
            .is_some_and(|rest| rest.starts_with(part))
        {
            true => begin + at.start..begin + at.end,
            false => begin.min(span.end)..span.end,
        }
    }

    fn fault(&self, text: &Spanned<String>) -> Result<Fault, FileError> {
        let rule = text.get_ref().parse().map_err(|error: ParseError| {
            let at = error.offset..error.offset + error.length;
            self.error(
                self.within(text, 0, at),
                format!("expected {}", error.expected),
            )
        })?;
        let line = self.line(text.span().start);
        Ok(Fault { rule, line })
    }

    fn catalogued(&self, name: &Spanned<String>) -> Result<&'static catalogue::Fault, FileError> {
        catalogue::find(name.get_ref()).ok_or_else(|| {
            let message = match &catalogue::nearest(name.get_ref())[..] {
                [] => "expected a fault of the catalogue: see `tcplab faults`".to_owned(),
                names => format!(
                    "expected a fault of the catalogue, perhaps {}",
                    names.join(" or ")
                ),
            };
            self.error(name.span(), message)
        })
    }

    fn stack(&self, table: StackTable) -> Result<Stack, FileError> {
        let defaults = Stack::default();
        let mtu = table
            .mtu
            .map_or(Ok(defaults.mtu), |mtu| match *mtu.get_ref() {
                1280.. => Ok(*mtu.get_ref()),
                _ => Err(self.error(mtu.span(), "expected 1280 to 65535")),
            })?;
        if let Some(keep_alive) = &table.keep_alive
            && keep_alive.get_ref().0 == Duration::ZERO
        {
            return Err(self.error(keep_alive.span(), "expected more than 0 seconds"));
        }
        Ok(Stack {
            password: table.password.unwrap_or(defaults.password),
            seed: table.seed.unwrap_or(defaults.seed),
            mtu,
            buffer: table.buffer.map_or(defaults.buffer, |size| size.0),
            backlog: table.backlog.unwrap_or(defaults.backlog),
            time_wait: table.time_wait.map_or(defaults.time_wait, |time| time.0),
            keep_alive: table.keep_alive.map(|time| time.get_ref().0),
            user_timeout: table
                .user_timeout
                .map_or(defaults.user_timeout, |time| time.0),
        })
    }

    fn client(&self, table: Spanned<ClientTable>) -> Result<Client, FileError> {
        let span = table.span();
        let header =
            span.start..span.start + self.0[span.start..].lines().next().map_or(0, str::len);
        let table = table.into_inner();
        let (transport, port) = match (&table.service, table.port) {
            (Some(name), port) => {
                let named = |service: &&_| {
                    let crate::engine::StandardService { name: known, .. } = service;
                    known == name.get_ref()
                };
                let service = STANDARD_SERVICES.iter().find(named).ok_or_else(|| {
                    let mut names: Vec<&str> = STANDARD_SERVICES
                        .iter()
                        .map(|service| service.name)
                        .collect();
                    names.dedup();
                    let message = format!("expected a service: {}", names.join(", "));
                    self.error(name.span(), message)
                })?;
                (service.transport, port.unwrap_or(service.port))
            }
            (None, port) => (Transport::Tcp, port.unwrap_or(80)),
        };
        let run = match table.run.as_ref().map(|run| (run.span(), run.get_ref())) {
            None => None,
            Some((_, Run::Line(line))) => Some(["sh", "-c", line].map(str::to_owned).to_vec()),
            Some((span, Run::Words(words))) if words.is_empty() => {
                return Err(self.error(span, "expected a program and its arguments"));
            }
            Some((_, Run::Words(words))) => Some(words.clone()),
        };
        let steps = match (table.steps, table.send) {
            (None, None) => None,
            (Some(_), Some(_)) => {
                let message = "`send` is short for `steps`: expected only one of them";
                return Err(self.error(header, message));
            }
            (None, Some(text)) => Some(vec![
                Step::Send(text.into_bytes()),
                Step::Close,
                Step::ReceiveAll,
            ]),
            (Some(steps), None) => Some(
                steps
                    .iter()
                    .map(|step| {
                        step.get_ref().parse().map_err(|error: super::StepError| {
                            self.error(step.span(), error.to_string())
                        })
                    })
                    .collect::<Result<_, _>>()?,
            ),
        };
        if run.is_none() && steps.is_none() {
            let message = "this client does nothing: expected `run`, `steps` or `send`";
            return Err(self.error(header, message));
        }
        if table.simultaneous_open && (run.is_some() || transport == Transport::Udp) {
            let message = "only a simulated client of TCP can open at the same time as tcplab";
            return Err(self.error(header, message));
        }
        let at = match &table.at {
            None => None,
            Some(name) => Some(self.catalogued(name)?),
        };
        let ip = table.ip.as_ref().map_or(Ok(4), |ip| match *ip.get_ref() {
            4 | 6 => Ok(*ip.get_ref()),
            _ => Err(self.error(ip.span(), "expected 4 or 6")),
        })?;
        let on = match (table.on, &run) {
            (Some(Place::Kernel), _) | (None, Some(_)) => On::Kernel,
            (Some(Place::Simulator), Some(_)) if steps.is_none() => {
                return Err(self.error(
                    header,
                    "a command does not run on the simulator: expected `steps`",
                ));
            }
            (Some(Place::Simulator), _) | (None, None) => On::Simulator,
        };
        Ok(Client {
            run,
            steps: steps.map(|steps| Steps { transport, steps }),
            on,
            port,
            at,
            ip,
            stdin: table.stdin.unwrap_or_default(),
            connect_timeout: table.connect_timeout.map(|time| time.0),
            latency: table
                .latency
                .map_or(Duration::from_millis(10), |time| time.0),
            simultaneous_open: table.simultaneous_open,
        })
    }

    fn expect(&self, table: ExpectTable, limit_line: usize) -> Result<Expected, FileError> {
        let lines = match &table.lines {
            None => Vec::new(),
            Some(text) => {
                let first = self.line(self.within(text, 0, 0..0).start);
                parse_lines(text.get_ref(), first).map_err(|error| {
                    self.error(self.within(text, error.line, error.at), error.message)
                })?
            }
        };
        let output =
            |table: Option<Spanned<OutputTable>>| -> Result<Vec<(Output, usize)>, FileError> {
                let Some(table) = table else {
                    return Ok(Vec::new());
                };
                let (span, line) = (table.span(), self.line(table.span().start));
                let parts = match table.into_inner() {
                    OutputTable::Is(text) => return Ok(vec![(Output::Is(text), line)]),
                    OutputTable::Parts(parts) => parts,
                };
                let contains = parts.contains.into_vec().into_iter().map(Output::Contains);
                let mut outputs: Vec<_> = contains.map(|output| (output, line)).collect();
                for pattern in parts.matches.into_vec() {
                    let regex = Regex::new(&pattern).map_err(|error| {
                        // Its last line says why; those before show the pattern.
                        let error = error.to_string();
                        let why = error.lines().last().unwrap_or_default().to_owned();
                        let why = why.trim_start_matches("error: ");
                        self.error(span.clone(), format!("no regular expression: {why}"))
                    })?;
                    outputs.push((Output::Matches(regex), line));
                }
                Ok(outputs)
            };
        Ok(Expected {
            lines,
            exact: table.exact,
            tolerance: table.tolerance.map(|time| time.0),
            exit: table.exit.map(|exit| {
                let line = self.line(exit.span().start);
                match exit.into_inner() {
                    Exit::One(code) => (vec![code], line),
                    Exit::Several(codes) => (codes, line),
                }
            }),
            stdout: output(table.stdout)?,
            stderr: output(table.stderr)?,
            duration: table.duration.map(|span| {
                let line = self.line(span.span().start);
                (span.into_inner().0, line)
            }),
            limit_line,
        })
    }
}
