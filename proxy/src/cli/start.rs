//! `run`: settings from flags and file, then the router until it is told to stop.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ArgMatches;
use router_core::address::ListenAddr;

use crate::config::catalog::{OPTIONS, Opt, Shape};
use crate::config::{Given, Place, Program, Settings, Source};
use crate::{Front, Ready, privileges, run as run_router};

use super::{CliError, log};

/// Runs the router until a signal ends it.
///
/// # Errors
/// [`CliError`] if the settings are wrong or it cannot start.
pub fn run(program: Program, flags: &ArgMatches, front: impl Front) -> Result<ExitCode, CliError> {
    let file = flags.get_one::<PathBuf>("config").cloned();
    let source = Source::new(program, file, given(program, flags));
    let settings = source.read()?;
    log::start(settings.log_level);
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    if privileges::stays_root(&settings) {
        tracing::warn!("this serves as root; user NAME gives root's powers up once all is bound");
    }
    let told = settings.clone();
    run_router(settings, Some(source), front, |ready| {
        let _ = std::io::stderr().write_all(greeting(&told, ready).as_bytes());
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The flags as values with places.
fn given(program: Program, flags: &ArgMatches) -> Vec<Given> {
    let mut given = Vec::new();
    for facts in OPTIONS.iter().filter(|facts| facts.is_flag() && program.has(facts.opt)) {
        let place = Place::Flag(facts.opt);
        if facts.shape == Shape::Switch {
            if flags.get_flag(facts.name) {
                given.push(Given { opt: facts.opt, text: "true".to_owned(), place });
            }
            continue;
        }
        for text in flags.get_many::<String>(facts.name).into_iter().flatten() {
            given.push(Given { opt: facts.opt, text: text.clone(), place: place.clone() });
        }
    }
    if !given.iter().any(|one| one.opt == Opt::LogLevel)
        && let Ok(text) = std::env::var(log::ENVIRONMENT)
    {
        given.push(Given { opt: Opt::LogLevel, text, place: Place::Env(log::ENVIRONMENT) });
    }
    given
}

/// What listens where and how to subscribe, for the person who started it.
fn greeting(settings: &Settings, ready: &Ready) -> String {
    let mut text = format!(
        "{} {} is up: {} worker{}, {}\n",
        settings.program,
        env!("CARGO_PKG_VERSION"),
        settings.workers,
        if settings.workers == 1 { "" } else { "s" },
        ready.driver,
    );
    for (what, addrs) in [
        ("http", &ready.http),
        ("https", &ready.https),
        ("tls", &ready.tls_passthrough),
        ("tcp", &ready.tcp),
        ("uwsgi", &ready.uwsgi),
    ] {
        for addr in addrs {
            let _ = writeln!(text, "  {what:<10}{addr}");
        }
    }
    for addr in &ready.subscribe {
        let _ = writeln!(text, "  {:<10}{addr}  ({})", "subscribe", proof(settings));
    }
    if let Some(addr) = &ready.admin {
        let _ = writeln!(text, "  {:<10}{addr}", "admin");
    }
    if let Some(path) = &settings.ctl.path {
        let _ = writeln!(text, "  {:<10}{}", "ctl", path.display());
    }
    if let Some(addr) = ready.subscribe.first() {
        let _ = writeln!(text, "A uWSGI app joins with  {}", subscribe_flag(settings, addr));
    }
    text
}

fn proof(settings: &Settings) -> String {
    match &settings.sign_check {
        Some(check) => {
            format!("signed: {}, keys in {}", check.digest.as_str(), check.dir.display())
        }
        None => "unsigned".to_owned(),
    }
}

fn subscribe_flag(settings: &Settings, addr: &ListenAddr) -> String {
    let sign = match &settings.sign_check {
        Some(check) => format!(",sign={}:site.example.key.pem", check.digest.as_str()),
        None => String::new(),
    };
    format!("--subscribe2 server={addr},key=site.example{sign}")
}
