//! The command line: arguments as they were typed, a plan that was checked, and carrying it out.
//!
//! ```text
//!   args (clap) ──▶ plan (every value checked) ──▶ demo, run, serve, connect, explain, test, … ──▶ exit code
//!                                                          │
//!                                     session: TUN ◀──▶ Engine ──▶ watcher ──▶ stderr
//! ```
//!
//! Exit codes: 0 when all went well, 1 when what was asked for failed, 2 when it could not be tried, 70 when all went well but
//! for a defect of tcplab; `run` exits with the code of its command, unless that is 0 and there was a defect.

mod args;
mod asker;
mod audit;
mod connect;
mod demo;
mod doctor;
mod explain;
mod faults;
mod files;
mod labrun;
mod language;
mod linger;
mod live;
mod logging;
mod plan;
mod quiz;
mod run;
mod serve;
mod session;
mod step;
mod steps_client;
mod test;
mod watcher;

use crate::fault::GRAMMAR;
use args::{Args, Command};
use clap::Parser;
use clap::error::ErrorKind;
use std::io::{self, Write};
use std::process::ExitCode;

/// It could not be tried.
const CANNOT: u8 = 2;
/// A defect has shown, and all else went well: EX_SOFTWARE of sysexits.h, "an internal software error has been detected".
const DEFECT: u8 = 70;

/// Does what the command line says.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let asked_for = matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            );
            return match error.print() {
                Err(error) if asked_for => end(Err(error.into())),
                // What can't be printed on standard error can't be reported either.
                _ if asked_for => ExitCode::SUCCESS,
                _ => ExitCode::from(CANNOT),
            };
        }
    };
    let result = match args.command.unwrap_or_default() {
        Command::Demo(demo) => demo::demo(demo),
        Command::DemoClient(client) => demo::client(&client),
        Command::Run(run) => run::run(run),
        Command::Serve(serve) => serve::serve(&serve),
        Command::Connect(connect) => connect::connect(connect),
        Command::Audit(audit) => audit::audit(&audit),
        Command::AuditInside => audit::inside::run(),
        Command::Explain(explain) => explain::explain(&explain),
        Command::Faults(catalogue) => faults::faults(&catalogue),
        Command::Test(test) => test::test(&test),
        Command::StepsClient(client) => steps_client::steps_client(&client),
        Command::Rules => rules(),
        Command::Doctor => doctor::doctor(),
    };
    end(result)
}

fn end(result: anyhow::Result<u8>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        // Whoever read our output has read enough.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Each error says what failed; its causes follow, each on the same line.
            let _ = writeln!(io::stderr(), "tcplab: {error:#}");
            ExitCode::from(CANNOT)
        }
    }
}

/// `tcplab rules`: the same as `tcplab help rules`.
fn rules() -> anyhow::Result<u8> {
    io::stdout().write_all(GRAMMAR.as_bytes())?;
    Ok(0)
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let cause = error.root_cause().downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}
