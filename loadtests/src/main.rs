//! Load tests of the built router against its peers, from outside.
//!
//! `compare` starts every proxy as a program of its own, sends it the same load and reads what it
//! cost from `/proc`. The hidden `origin` is the upstream all of them share. See the README beside
//! this crate for how to read the table.

mod child;
mod client;
mod compare;
mod contenders;
mod control;
mod fairness;
mod floor;
mod job;
mod machine;
mod measure;
mod origin;
mod passthrough;
mod peers;
mod probe;
mod procfs;
mod proof;
mod report;
mod round;
mod scenario;
mod statistics;
mod tls;

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

/// Load tests of the built router against its peers.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Example:\n  \
    cargo run --release -p loadtests -- compare --scenario keepalive --peers nginx,haproxy,uwsgi --json FILE"
)]
enum Command {
    /// Measure our router and its peers under the same load, in alternating rounds.
    Compare(Box<compare::CompareArgs>),
    /// Measure every scenario, judge every target, write the report.
    Proof(Box<proof::ProofArgs>),
    /// Measure what one key's flood does to another key's latency.
    Fairness(fairness::FairnessArgs),
    /// Measure what it costs to pass TLS on by server name, against HAProxy and nginx.
    Passthrough(passthrough::PassthroughArgs),
    /// Measure the control side: memory of keys, datagrams, restarts, certificates, churn.
    Control(control::ControlArgs),
    /// The upstream of a comparison; started by it.
    #[command(hide = true)]
    Origin(origin::OriginArgs),
    /// A blind relay, what a comparison calls the floor; started by it.
    #[command(hide = true)]
    Floor(floor::FloorArgs),
}

fn main() -> ExitCode {
    let result = match Command::parse() {
        Command::Compare(args) => compare::run(&args),
        Command::Proof(args) => proof::run(&args),
        Command::Fairness(args) => fairness::run(&args),
        Command::Passthrough(args) => passthrough::run(&args),
        Command::Control(args) => control::run(&args),
        Command::Origin(args) => origin::run(&args),
        Command::Floor(args) => floor::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// A line for whoever watches; never part of the result.
fn progress(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A part of the result. A reader who left (`| head`) is no error.
fn show(text: impl Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
