//! How this process was started, so that its program can be started again.

use std::{
    ffi::OsString,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

/// Variables that are about this process and not about the next.
const OWN_VARIABLES: &[&str] =
    &["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_FDS_FIRST_FD", "WATCHDOG_PID"];

/// A program and its arguments.
#[derive(Clone, Debug)]
pub struct Launch {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Launch {
    /// That of this process, if it is one that can be started again: what other commands than `run` serve
    /// they make themselves. To be called before anything changes the working directory.
    ///
    /// The path is the one the program was called by: what stands there later is its next version. A link
    /// is not followed now, so that moving it is an installation too.
    #[must_use]
    pub fn of_this_process() -> Option<Self> {
        let mut arguments = std::env::args_os();
        let called = PathBuf::from(arguments.next().unwrap_or_default());
        let path = find(&called).or_else(|| std::env::current_exe().ok()).unwrap_or(called);
        let arguments: Vec<_> = arguments.collect();
        (arguments.first()? == "run").then_some(Self { path, arguments })
    }

    /// Of another program.
    #[must_use]
    pub fn new(path: PathBuf, arguments: Vec<OsString>) -> Self {
        Self { path, arguments }
    }

    /// Where the program is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A command that starts it.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.args(&self.arguments);
        for name in OWN_VARIABLES {
            command.env_remove(name);
        }
        command
    }
}

/// As a shell finds it.
fn find(called: &Path) -> Option<PathBuf> {
    if called.as_os_str().is_empty() {
        return None;
    }
    if called.components().count() > 1 || called.is_absolute() {
        return std::path::absolute(called).ok();
    }
    let path = std::env::var_os("PATH")?;
    let candidates = std::env::split_paths(&path).map(|dir| dir.join(called));
    candidates.filter(|path| is_program(path)).find_map(|path| std::path::absolute(path).ok())
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path)
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_as_a_shell_finds_it_and_links_are_kept() {
        let shell = find(Path::new("sh")).unwrap();
        assert!(shell.is_absolute() && shell.ends_with("sh"), "{}", shell.display());
        assert_eq!(find(Path::new("no-such-program-anywhere")), None);
        assert_eq!(find(Path::new("/opt/../bin/x")), Some("/opt/../bin/x".into()));
        let here = std::env::current_dir().unwrap();
        assert_eq!(find(Path::new("./x")), Some(here.join("x")));
    }
}
