//! The suzerain binary: hands its arguments to [`proxy::cli`] and returns the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    proxy::cli::main(std::env::args_os())
}
