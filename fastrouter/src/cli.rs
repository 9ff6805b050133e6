//! The command line.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Command;
use proxy::cli::{CliError, shared};
use proxy::config::Program;

use crate::front::PacketFront;

const EXAMPLES: &str = "Examples:
  suzerain-fastrouter run --uwsgi 127.0.0.1:3031 --subscribe 127.0.0.1:7171
      For trying things out; in nginx: include uwsgi_params; uwsgi_pass 127.0.0.1:3031;
  suzerain-fastrouter run --uwsgi /run/suzerain/uwsgi.sock --subscribe 10.0.0.1:7171 \\
      --sign-check SHA256:/etc/suzerain/keys --admin 127.0.0.1:9090
      For a web server on this machine and apps of a private network.";

const RUN_EXAMPLES: &str = "Examples:
  suzerain-fastrouter run --uwsgi 127.0.0.1:3031 --subscribe 127.0.0.1:7171
      Loopback only, unsigned: for trying things out.
  suzerain-fastrouter run --uwsgi 127.0.0.1:3031 --route shop.localhost=/run/shop.sock
      No subscriptions at all.
  suzerain-fastrouter run --uwsgi 127.0.0.1:3031 --base /run/apps
      Every host is served by the socket of its name in a directory.
  suzerain-fastrouter run --config /etc/suzerain/fastrouter.toml --workers 2
      Settings from a file; a flag replaces the file's value.";

const CHECK_EXAMPLES: &str = "Examples:
  suzerain-fastrouter check /etc/suzerain/fastrouter.toml
      Prints FILE: ok, or every problem with its line; the exit code is then 64.";

const ABOUT: &str =
    "A router of uwsgi packets, for nginx and Apache, whose sites subscribe themselves.";

/// The whole command line.
#[must_use]
pub fn command() -> Command {
    shared::command(Program::Fastrouter, ABOUT, EXAMPLES)
        .subcommand(shared::run_command(Program::Fastrouter, RUN_EXAMPLES))
        .subcommand(shared::check_command(CHECK_EXAMPLES))
        .subcommand(shared::package_files_command())
        .subcommand(shared::ctl_command(Program::Fastrouter))
        .subcommand(Command::new("version").about("Print the version"))
}

/// Runs the command `args` ask for, program name first.
#[must_use]
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match dispatch(args) {
        Ok(code) => code,
        Err(error) => {
            error.print(Program::Fastrouter);
            error.code()
        }
    }
}

#[expect(clippy::result_large_err, reason = "made once and printed")]
fn dispatch(args: impl IntoIterator<Item = OsString>) -> Result<ExitCode, CliError> {
    let matches = command().try_get_matches_from(args)?;
    match matches.subcommand() {
        Some(("run", flags)) => shared::run(Program::Fastrouter, flags, PacketFront),
        Some(("check", flags)) => shared::check(Program::Fastrouter, flags),
        Some((shared::PACKAGE_FILES, flags)) => shared::package_files(command(), flags),
        Some(("ctl", flags)) => shared::ctl(flags),
        _ => shared::version(Program::Fastrouter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_put_together_right() {
        command().debug_assert();
    }

    #[test]
    fn options_of_the_other_program_are_no_flags_here() {
        let args = ["suzerain-fastrouter", "run", "--http", "127.0.0.1:0"].map(OsString::from);
        assert_eq!(format!("{:?}", main(args)), format!("{:?}", ExitCode::from(64)));
    }
}
