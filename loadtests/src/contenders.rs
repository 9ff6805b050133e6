//! Which proxies take part in a run: where their programs are, which versions they have.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};

use crate::peers::{Proxy, find_program};
use crate::progress;
use crate::report::Contender;

/// Ours, if there is a program, then the peers asked for.
pub fn contenders(ours: Option<PathBuf>, peers: &[Proxy]) -> Result<Vec<Contender>> {
    let mut found = Vec::new();
    if let Some(program) = ours {
        anyhow::ensure!(program.is_file(), "{} is no program", program.display());
        found.push(contender(Proxy::Suzerain, Some(program)));
    }
    for proxy in peers.iter().copied().filter(|proxy| *proxy != Proxy::Suzerain) {
        if !found.iter().any(|other| other.proxy == proxy) {
            found.push(contender(proxy, program(proxy)?));
        }
    }
    Ok(found)
}

/// The proxy others are related to: ours, or the first one there is.
pub fn reference(contenders: &[Contender]) -> Option<Proxy> {
    contenders.iter().find(|contender| contender.skipped.is_none()).map(|first| first.proxy)
}

/// Names those that are left out.
pub fn announce_skipped(contenders: &[Contender]) {
    for contender in contenders {
        if let Some(why) = &contender.skipped {
            progress(format_args!("{} is skipped: {why}", contender.proxy.name()));
        }
    }
}

fn program(proxy: Proxy) -> Result<Option<PathBuf>> {
    if matches!(proxy, Proxy::Floor | Proxy::Direct) {
        return std::env::current_exe().context("finding this program").map(Some);
    }
    // What `packaging/install-load-peers.sh` built lies beside our own programs.
    let built = target()?.join("load-peers/bin").join(proxy.program());
    Ok(Some(built).filter(|path| path.is_file()).or_else(|| find_program(proxy.program())))
}

fn contender(proxy: Proxy, program: Option<PathBuf>) -> Contender {
    let version = program.as_deref().and_then(|program| proxy.version(program));
    let skipped = match (&program, &version) {
        (None, _) => Some(format!("not installed ({})", proxy.package())),
        (Some(program), None) => Some(format!("{} does not tell its version", program.display())),
        _ => None,
    };
    let built = program.as_ref().and_then(|program| program.metadata().ok()?.modified().ok());
    let program_unix =
        built.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).map(|since| since.as_secs());
    let program = program.map(|program| program.display().to_string());
    Contender { proxy, program, program_unix, version, skipped }
}

/// `suzerain` beside this program, or built there. A debug build of the load tests still measures an
/// optimised router.
pub fn our_router() -> Result<PathBuf> {
    let program = target()?.join("release/suzerain");
    if !program.is_file() {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        progress(format_args!("building {}", program.display()));
        let status = Command::new(cargo)
            .args(["build", "--release", "--bin", "suzerain", "--manifest-path"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
            .status()
            .context("running cargo to build our router")?;
        anyhow::ensure!(status.success(), "our router could not be built (or give --suzerain)");
    }
    anyhow::ensure!(program.is_file(), "no {} after building it", program.display());
    Ok(program)
}

/// The folder cargo builds in: two above this program.
fn target() -> Result<PathBuf> {
    let this = std::env::current_exe().context("finding this program")?;
    let folder = this.parent().and_then(Path::parent);
    folder.map(Path::to_owned).context("this program lies in no folder of cargo's")
}
