//! The `tcplab` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    tcplab::cli::main()
}
