//! Who may look at the admin socket: tokens, and `[tenant."NAME"]` tables.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use router_core::admin::access::{
    Access, KeyPatterns, Pattern, Strictness, TOKEN_BYTES_MAX, TOKEN_BYTES_MIN, Tenant, TokenDigest,
};

use super::catalog::Opt;
use super::key_table::KeyTable;
use super::limits;
use super::problem::Problem;
use super::seen::Seen;
use super::{Given, Settings};

/// Who may look.
#[derive(Clone, Debug, Default)]
pub struct Viewers {
    /// What the operator said about those without a token, if anything.
    pub strictness: Option<Strictness>,
    /// Tokens of operators.
    pub operators: Vec<TokenDigest>,
    /// Those who see some keys.
    pub tenants: Vec<Tenant>,
}

impl Viewers {
    /// Takes the value of an option of the whole router.
    ///
    /// # Errors
    /// Why the text is no value.
    pub fn set(&mut self, opt: Opt, text: &str) -> Result<(), String> {
        match opt {
            Opt::AdminAuth => self.strictness = Some(strictness(text)?),
            _ => self.operators.push(token(opt, text)?),
        }
        Ok(())
    }

    /// What the admin socket goes by.
    #[must_use]
    pub fn access(&self) -> Access {
        Access::new(self.strictness(), &self.operators, self.tenants.clone())
    }

    /// Whether nobody is answered without a token.
    #[must_use]
    pub fn must_show_tokens(&self) -> bool {
        self.strictness() == Strictness::Required
    }

    fn strictness(&self) -> Strictness {
        let has_tokens = !self.operators.is_empty() || !self.tenants.is_empty();
        let default = if has_tokens { Strictness::Required } else { Strictness::Optional };
        self.strictness.unwrap_or(default)
    }
}

/// What is wrong with a table of a tenant.
#[derive(Debug, thiserror::Error)]
pub enum TenantProblem {
    /// Something else than tables below `tenant`.
    #[error("{found} below tenant; allowed: tables, as [tenant.\"shop\"]")]
    NoTable {
        /// The TOML type read.
        found: &'static str,
    },
    /// The name is not fit to be shown.
    #[error(
        "tenant \"{name}\": no name; allowed: 1 to {} letters, digits, -, _ and .",
        limits::TENANT_NAME_BYTES_MAX
    )]
    Name {
        /// The name read.
        name: String,
    },
    /// It sees nothing.
    #[error("tenant \"{name}\" has no keys")]
    NoKeys {
        /// Which.
        name: String,
    },
    /// It can never show who it is.
    #[error("tenant \"{name}\" has no token; allowed: token-sha256 or token-file")]
    NoToken {
        /// Which.
        name: String,
    },
    /// Its token is somebody else's.
    #[error("tenant \"{name}\" has a token that an earlier tenant or an operator has too")]
    SharedToken {
        /// Which.
        name: String,
    },
    /// More than any real configuration has.
    #[error("more than {} tenants", limits::TENANTS_MAX)]
    TooMany,
}

/// Turns tables into tenants; what is wrong is added to `problems`.
pub fn settle(tables: Vec<KeyTable>, settings: &mut Settings, problems: &mut Vec<Problem>) {
    let Settings { viewers, told, .. } = settings;
    for table in tables {
        for Given { opt, text, .. } in &table.given {
            told.note(*opt, &format!("{}: {text}", table.name));
        }
        let place = table.place.clone();
        match tenant(table, viewers, problems) {
            Ok(tenant) => viewers.tenants.push(tenant),
            Err(why) => {
                let is_last = matches!(why, TenantProblem::TooMany);
                problems.push(Problem::Tenant { place, why });
                if is_last {
                    return;
                }
            }
        }
    }
}

fn tenant(
    table: KeyTable,
    viewers: &Viewers,
    problems: &mut Vec<Problem>,
) -> Result<Tenant, TenantProblem> {
    let KeyTable { name, given, .. } = table;
    let (mut seen, mut tokens, mut keys) = (Seen::default(), Vec::new(), Vec::new());
    // A value that is wrong is told as such, and not as missing too.
    let (has_keys, has_token) = (
        given.iter().any(|one| one.opt == Opt::TenantKeys),
        given.iter().any(|one| one.opt != Opt::TenantKeys),
    );
    for Given { opt, text, place } in given {
        let taken = seen.note(opt, &text, &place).and_then(|()| {
            let wrong = |why| Problem::Value { place, opt, read: text.clone(), why };
            match opt {
                Opt::TenantKeys => keys.push(pattern(&text).map_err(wrong)?),
                _ => tokens.push(token(opt, &text).map_err(wrong)?),
            }
            Ok(())
        });
        problems.extend(taken.err());
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !(1..=limits::TENANT_NAME_BYTES_MAX).contains(&name.len()) || !name.bytes().all(is_name) {
        return Err(TenantProblem::Name { name });
    }
    if !has_keys {
        return Err(TenantProblem::NoKeys { name });
    }
    if !has_token {
        return Err(TenantProblem::NoToken { name });
    }
    let known =
        || viewers.tenants.iter().flat_map(|tenant| &tenant.tokens).chain(&viewers.operators);
    if tokens.iter().any(|token| known().any(|other| other == token)) {
        return Err(TenantProblem::SharedToken { name });
    }
    if viewers.tenants.len() == limits::TENANTS_MAX {
        return Err(TenantProblem::TooMany);
    }
    Ok(Tenant { name, keys: KeyPatterns::from_iter(keys), tokens })
}

fn pattern(text: &str) -> Result<Pattern, String> {
    text.parse().map_err(|error: router_core::admin::access::PatternError| error.to_string())
}

fn strictness(text: &str) -> Result<Strictness, String> {
    match text {
        "required" => Ok(Strictness::Required),
        "optional" => Ok(Strictness::Optional),
        _ => Err("neither".to_owned()),
    }
}

fn token(opt: Opt, text: &str) -> Result<TokenDigest, String> {
    match opt {
        Opt::AdminTokenFile | Opt::TenantTokenFile => from_file(Path::new(text)),
        _ => {
            text.parse().map_err(|error: router_core::admin::access::DigestError| error.to_string())
        }
    }
}

/// The digest of the token in a file; a newline at its end does not count.
fn from_file(path: &Path) -> Result<TokenDigest, String> {
    let facts = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !facts.is_file() || facts.len() > FILE_BYTES_MAX {
        return Err("no file of a token".to_owned());
    }
    if facts.mode() & 0o007 != 0 {
        return Err("everybody may read or write it: chmod o= it".to_owned());
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let token = bytes.trim_ascii();
    if !(TOKEN_BYTES_MIN..=TOKEN_BYTES_MAX).contains(&token.len()) {
        return Err(format!("{} characters", token.len()));
    }
    if !token.iter().all(u8::is_ascii_graphic) {
        return Err("not all of it is visible ASCII".to_owned());
    }
    Ok(TokenDigest::of(token))
}

/// The longest token and some white space.
const FILE_BYTES_MAX: u64 = 2 * TOKEN_BYTES_MAX as u64;
