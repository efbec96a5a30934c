//! The `tcplab` program.

use std::process::ExitCode;
use tcplab::sys::memory::Pages;

#[global_allocator]
static ALLOCATOR: Pages = Pages;

fn main() -> ExitCode {
    tcplab::cli::main()
}
