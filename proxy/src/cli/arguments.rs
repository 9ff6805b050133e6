//! What may be written on the command line, and the help about it.
//!
//! The flags of `run` are made from [`crate::config::catalog`]; the other commands declare theirs.

use std::path::PathBuf;

use clap::{Arg, ArgAction, Args, Command};

use super::package_files;
use crate::announce::AnnounceArgs;
use crate::config::Program;
use crate::config::catalog::{OPTIONS, OptFacts, Section, Shape};
use crate::demo::DemoArgs;
use crate::import::ImportArgs;
use crate::top::TopArgs;

/// Arguments of `check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// The config file.
    #[arg(value_name = "FILE.toml")]
    pub file: PathBuf,
}

/// Arguments of `explain`.
#[derive(Args, Debug)]
pub struct ExplainArgs {
    /// Admin socket of the running router: IP:PORT or /PATH.
    #[arg(long, value_name = "IP:PORT|/PATH", default_value = "127.0.0.1:9090")]
    pub admin: String,
    /// Show the router the token in this file.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Print JSON instead of sentences.
    #[arg(long)]
    pub json: bool,
    /// The URL somebody would ask for.
    #[arg(value_name = "URL")]
    pub url: String,
}

const EXAMPLES: &str = "Examples:
  suzerain demo
      A router, a signed demo site and the URLs to look at, all on loopback.
  suzerain run --http :80 --subscribe 127.0.0.1:7171 --sign-check SHA256:/etc/suzerain/keys
      Serve HTTP for whoever subscribes with a key of that directory.
  suzerain announce --server 127.0.0.1:7171 --key shop.localhost --address 127.0.0.1:3000 \\
      --proto http --sign SHA256:shop.pem -- node app.js
      Run a program and have it served as shop.localhost while it lives.
  suzerain explain http://shop.localhost/cart
      Say which key, node and certificate that URL gets, and why.";

const RUN_EXAMPLES: &str = "Examples:
  suzerain run --http 127.0.0.1:8080 --subscribe 127.0.0.1:7171
      Loopback only, unsigned: for trying things out.
  suzerain run --http :80 --https :443 --cert-dir /etc/suzerain/certs \\
      --subscribe 10.0.0.1:7171 --sign-check SHA256:/etc/suzerain/keys --admin 127.0.0.1:9090
      A public router for apps of a private network.
  suzerain run --http 127.0.0.1:8080 --route shop.localhost=127.0.0.1:3000,proto=http
      No subscriptions at all.
  suzerain run --config /etc/suzerain/router.toml --workers 2
      Settings from a file; a flag replaces the file's value. Only there: the [timeouts],
      and what holds for one key, in tables such as [key.\"shop.localhost\"].";

const CHECK_EXAMPLES: &str = "Examples:
  suzerain check /etc/suzerain/router.toml
      Prints FILE: ok, or every problem with its line; the exit code is then 64.";

const EXPLAIN_EXAMPLES: &str = "Examples:
  suzerain explain http://shop.localhost:8080/cart
  suzerain explain --admin /run/suzerain/admin.sock https://shop.example/";

const TOP_EXAMPLES: &str = "Examples:
  suzerain top --admin /run/suzerain/admin.sock
      Keys by requests a second; s sorts, r reverses, / searches, n hides nodes, q leaves.
  suzerain top --once --keys 10
      Print the ten busiest keys and end.";

const ANNOUNCE_EXAMPLES: &str = "Examples:
  suzerain announce --server 127.0.0.1:7171 --key shop.localhost --address 127.0.0.1:3000 \\
      --proto http --sign SHA256:shop.pem -- node app.js
      Starts node, waits until it accepts connections, subscribes it, and unsubscribes it
      when it ends. The exit code is node's.
  suzerain announce --server /run/suzerain/sub.sock --key a.example --key b.example \\
      --address /run/app.sock
      Two keys for a uwsgi socket that something else runs; until SIGINT or SIGTERM.";

const DEMO_EXAMPLES: &str = "Examples:
  suzerain demo
  suzerain demo --http 127.0.0.1:8090 --admin 127.0.0.1:9091";

const IMPORT_EXAMPLES: &str = "Examples:
  suzerain import-uwsgi /etc/uwsgi/router.ini > suzerain.toml
      Writes the file, and says on standard error what must be done by hand, with lines.
      The exit code is 0 if nothing must, and 2 otherwise.
  suzerain import-uwsgi --program fastrouter fastrouter.ini > fastrouter.toml";

/// The whole command line.
#[must_use]
pub fn command() -> Command {
    let about = "An HTTP router whose sites subscribe themselves, compatible with uWSGI's.";
    program(Program::Suzerain, about, EXAMPLES)
        .subcommand(run(Program::Suzerain, RUN_EXAMPLES))
        .subcommand(demo())
        .subcommand(check(CHECK_EXAMPLES))
        .subcommand(explain())
        .subcommand(top())
        .subcommand(announce())
        .subcommand(import())
        .subcommand(package_files::command())
        .subcommand(super::ctl::command(Program::Suzerain))
        .subcommand(Command::new("version").about("Print the version"))
}

/// A program without commands yet.
#[must_use]
pub fn program(program: Program, about: &'static str, examples: &str) -> Command {
    Command::new(program.name())
        .about(about)
        .version(env!("CARGO_PKG_VERSION"))
        .help_template(template(examples, "{subcommands}\n\nOptions:\n{options}"))
        .after_help(examples.to_owned())
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .max_term_width(HELP_COLUMNS_MAX)
}

const HELP_COLUMNS_MAX: usize = 100;

pub(super) fn template(examples: &str, rest: &str) -> String {
    let heading = if rest.starts_with("{subcommands}") { "Commands:\n" } else { "" };
    format!("{{about}}\n\n{examples}\n\nUsage: {{usage}}\n\n{heading}{rest}\n")
}

fn sub(name: &'static str, examples: &str) -> Command {
    // The template shows them first; manual pages take them from here.
    Command::new(name)
        .help_template(template(examples, "{all-args}"))
        .after_help(examples.to_owned())
}

/// `run` with a flag for every option that `program` has.
#[must_use]
pub fn run(program: Program, examples: &str) -> Command {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE.toml")
        .value_parser(clap::value_parser!(PathBuf))
        .help("Read settings from this file; docs/CONFIG.md lists its keys [default: no file]");
    let command = sub("run", examples).about("Run the router").arg(config);
    let has = move |facts: &&OptFacts| facts.is_flag() && program.has(facts.opt);
    let flags = OPTIONS.iter().filter(has);
    Section::ALL.into_iter().fold(command, |command, section| {
        flags
            .clone()
            .filter(|facts| facts.section == section)
            .fold(command.next_help_heading(section.title()), |command, facts| {
                command.arg(flag(facts))
            })
    })
}

fn flag(facts: &'static OptFacts) -> Arg {
    let arg = Arg::new(facts.name).long(facts.name);
    let mut help = facts.about.to_owned();
    if facts.shape == Shape::Many {
        help.push_str(" Repeatable.");
    }
    let arg = match facts.shape {
        Shape::Switch => return arg.action(ArgAction::SetTrue).help(help),
        Shape::One => arg.action(ArgAction::Set),
        Shape::Many => arg.action(ArgAction::Append),
    };
    help.push_str(&format!(" [default: {}]", facts.default));
    arg.value_name(facts.value).allow_hyphen_values(facts.name == "access-log").help(help)
}

fn demo() -> Command {
    let about = "Run a router, a signed demo site and everything to look at on loopback";
    DemoArgs::augment_args(sub("demo", DEMO_EXAMPLES)).about(about)
}

/// `check`.
#[must_use]
pub fn check(examples: &str) -> Command {
    let about = "Say whether a config file is right";
    CheckArgs::augment_args(sub("check", examples)).about(about)
}

fn explain() -> Command {
    let about = "Say which key, node and certificate a URL gets from a running router";
    ExplainArgs::augment_args(sub("explain", EXPLAIN_EXAMPLES)).about(about)
}

fn top() -> Command {
    let about = "Show what a running router does, in the terminal";
    TopArgs::augment_args(sub("top", TOP_EXAMPLES)).about(about)
}

fn announce() -> Command {
    let about = "Subscribe any program to a router, and run it";
    AnnounceArgs::augment_args(sub("announce", ANNOUNCE_EXAMPLES)).about(about)
}

fn import() -> Command {
    let about = "Turn the configuration of a uWSGI router into one of ours";
    ImportArgs::augment_args(sub("import-uwsgi", IMPORT_EXAMPLES)).about(about)
}
