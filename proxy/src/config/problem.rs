//! What can be wrong with a configuration, said so that it can be mended without a manual.
//!
//! A line of it is `FILE:LINE:COLUMN: what was read; allowed: what may stand there`.

use std::fmt;
use std::path::PathBuf;

use router_core::address::ListenAddr;

use super::Program;
use super::catalog::Opt;
use super::tenants::TenantProblem;

/// Where a value was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// In a file; lines and columns count from 1, columns in characters.
    File {
        /// The file as named by the operator.
        path: PathBuf,
        /// Line of the value.
        line: usize,
        /// Column of the value.
        column: usize,
    },
    /// On the command line.
    Flag(Opt),
    /// In the environment.
    Env(&'static str),
}

impl Place {
    /// Line and column; flags come after every file.
    #[must_use]
    pub fn position(&self) -> (usize, usize) {
        match self {
            Self::File { line, column, .. } => (*line, *column),
            Self::Flag(_) | Self::Env(_) => (usize::MAX, 0),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Flag(opt) => write!(f, "--{}", opt.facts().name),
            Self::Env(name) => write!(f, "{name}"),
        }
    }
}

/// Everything wrong with a configuration; at least one problem.
#[derive(Debug)]
pub struct ConfigError {
    /// In the order found.
    pub problems: Vec<Problem>,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

/// One thing that is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The file cannot be read at all.
    #[error("{}: cannot be read: {cause}", path.display())]
    Unreadable {
        /// The file as named by the operator.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Larger than any real configuration.
    #[error("{}: larger than {} bytes", path.display(), super::limits::FILE_BYTES_MAX)]
    Huge {
        /// The file as named by the operator.
        path: PathBuf,
    },
    /// Not TOML.
    #[error("{place}: not TOML: {message}")]
    Syntax {
        /// Where reading stopped.
        place: Place,
        /// What the TOML parser said.
        message: String,
    },
    /// No option has this name.
    #[error("{place}: unknown key \"{key}\"{}", meant(nearest.as_deref()))]
    UnknownKey {
        /// Where it stands.
        place: Place,
        /// The key with its table.
        key: String,
        /// What was probably meant.
        nearest: Option<String>,
    },
    /// The value has a type the option does not take.
    #[error("{} is {found}; allowed: {wanted}", at(place, *opt))]
    Type {
        /// Where it stands.
        place: Place,
        /// The option.
        opt: Opt,
        /// The TOML type read.
        found: &'static str,
        /// The TOML types taken.
        wanted: &'static str,
    },
    /// The value's text does not mean anything to the option.
    #[error("{} \"{read}\": {why}; allowed: {}", at(place, *opt), opt.facts().allowed)]
    Value {
        /// Where it stands.
        place: Place,
        /// The option.
        opt: Opt,
        /// The text read.
        read: String,
        /// What is wrong with it.
        why: String,
    },
    /// The same address, key file or network stands in a list twice.
    #[error("{} \"{read}\" is already given by {first}", at(place, *opt))]
    Twice {
        /// Where the second stands.
        place: Place,
        /// The option.
        opt: Opt,
        /// The text read.
        read: String,
        /// Where the first stands.
        first: Place,
    },
    /// Two kinds of listeners want one address.
    #[error(
        "{} \"{addr}\" is already {} of {first}",
        at(place, *opt),
        owner.facts().key()
    )]
    Taken {
        /// Where the second stands.
        place: Place,
        /// What the second is for.
        opt: Opt,
        /// The address.
        addr: ListenAddr,
        /// What the first is for.
        owner: Opt,
        /// Where the first stands.
        first: Place,
    },
    /// A list longer than any real one.
    #[error("{}: more than {max} values", at(place, *opt))]
    TooMany {
        /// Where the first value too many stands.
        place: Place,
        /// The option.
        opt: Opt,
        /// How many are allowed.
        max: usize,
    },
    /// Something else stands where only `[key."NAME"]` tables may.
    #[error("{place}: {found} below key; allowed: tables, as [key.\"shop.example\"]")]
    NoKeyTable {
        /// Where it stands.
        place: Place,
        /// The TOML type read.
        found: &'static str,
    },
    /// The option holds for the whole router.
    #[error("{place}: {} holds for the whole router and cannot be set for one key", opt.facts().key())]
    NotPerKey {
        /// Where it stands.
        place: Place,
        /// The option.
        opt: Opt,
    },
    /// A table whose name is no key.
    #[error(
        "{place}: key \"{read}\": {why}; allowed: a host name or IP address, perhaps with a dot \
         before it, a :PORT or a /PATH behind it"
    )]
    KeyName {
        /// Where it stands.
        place: Place,
        /// The name read.
        read: String,
        /// What is wrong with it.
        why: String,
    },
    /// Two tables for one key.
    #[error("{place}: key \"{key}\" has a table already, at {first}")]
    KeyTwice {
        /// Where the second stands.
        place: Place,
        /// The key in canonical form.
        key: String,
        /// Where the first stands.
        first: Place,
    },
    /// More tables than any real configuration has.
    #[error("{place}: more than {} tables of keys", super::limits::KEY_TABLES_MAX)]
    TooManyKeys {
        /// Where the first table too many stands.
        place: Place,
    },
    /// What is said of a tenant makes none.
    #[error("{place}: {why}")]
    Tenant {
        /// Where it stands.
        place: Place,
        /// What is wrong with it.
        why: TenantProblem,
    },
    /// An option that means nothing without another one.
    #[error("{} needs {}", at(place, *opt), needed.facts().key())]
    Needs {
        /// Where it stands.
        place: Place,
        /// The option.
        opt: Opt,
        /// What it needs.
        needed: Opt,
    },
    /// A router that would tell itself.
    #[error(
        "{} \"{addr}\" is this router's own subscription socket; allowed: those of others",
        at(place, Opt::Resubscribe)
    )]
    ToItself {
        /// Where the address stands.
        place: Place,
        /// The address.
        addr: ListenAddr,
    },
    /// UDP senders have no credentials.
    #[error(
        "{} \"{addr}\" is a UDP address and use-credentials is set: its senders have none; \
         allowed: unix sockets",
        at(place, Opt::Subscribe)
    )]
    NoCredentials {
        /// Where the address stands.
        place: Place,
        /// The address.
        addr: ListenAddr,
    },
    /// Nothing to listen on.
    #[error("nothing to listen on: give {}, or the same in the file", listeners(*program))]
    NoListener {
        /// Which has none.
        program: Program,
    },
    /// The option is another program's.
    #[error("{place}: {key} is an option of {}, not of {program}", program.other())]
    OfOtherProgram {
        /// Where it stands.
        place: Place,
        /// The key with its table.
        key: String,
        /// Who reads the file.
        program: Program,
    },
    /// Anybody could take over any site.
    #[error(
        "{} \"{addr}\" can be reached by other machines and sign-check is not set; \
         allowed: a loopback address or a unix socket, or sign-check DIGEST:DIR, or allow-unsigned",
        at(place, Opt::Subscribe)
    )]
    Unsigned {
        /// Where the address stands.
        place: Place,
        /// The address.
        addr: ListenAddr,
    },
}

impl Problem {
    /// Line and column, for telling problems in the order of the file; flags come last.
    #[must_use]
    pub fn position(&self) -> (usize, usize) {
        let place = match self {
            Self::Unreadable { .. } | Self::Huge { .. } => return (0, 0),
            Self::NoListener { .. } => return (usize::MAX, 0),
            Self::Syntax { place, .. }
            | Self::UnknownKey { place, .. }
            | Self::OfOtherProgram { place, .. }
            | Self::Type { place, .. }
            | Self::Value { place, .. }
            | Self::Twice { place, .. }
            | Self::Taken { place, .. }
            | Self::TooMany { place, .. }
            | Self::NoKeyTable { place, .. }
            | Self::NotPerKey { place, .. }
            | Self::KeyName { place, .. }
            | Self::KeyTwice { place, .. }
            | Self::TooManyKeys { place }
            | Self::Tenant { place, .. }
            | Self::Needs { place, .. }
            | Self::ToItself { place, .. }
            | Self::NoCredentials { place, .. }
            | Self::Unsigned { place, .. } => place,
        };
        place.position()
    }
}

/// The place and the option's name, once.
fn at(place: &Place, opt: Opt) -> String {
    match place {
        Place::Flag(_) => place.to_string(),
        _ => format!("{place}: {}", opt.facts().key()),
    }
}

fn meant(nearest: Option<&str>) -> String {
    match nearest {
        Some(name) => format!("; did you mean \"{name}\"?"),
        None => "; docs/CONFIG.md lists every key".to_owned(),
    }
}

fn listeners(program: Program) -> &'static str {
    match program {
        Program::Suzerain => "--http ADDR or --https ADDR (or --tls-passthrough or --tcp)",
        Program::Fastrouter => "--uwsgi ADDR",
    }
}
