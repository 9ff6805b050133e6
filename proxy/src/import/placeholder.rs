//! Placeholders in values: `%(name)` of the file itself, and the magic variables of its path.
//!
//! What depends on the process that uWSGI would have been (its environment, its time, what other
//! files hold) is not known here, and such values are not guessed.

use std::{collections::HashMap, path::Path};

/// What the placeholders of one file stand for.
pub struct Placeholders {
    named: HashMap<String, String>,
    magic: HashMap<char, String>,
}

/// Why a value stays unknown.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum PlaceholderError {
    /// `$(NAME)`
    #[error("$({0}) is of the environment that uWSGI was started in: write the value out")]
    Environment(String),
    /// `@(FILE)`
    #[error("@({0}) is what another file holds: write the value out")]
    Content(String),
    /// `%(name)` that no line before sets.
    #[error("%({0}) is set by no line before this one")]
    Unset(String),
    /// `%?` without a meaning here.
    #[error("%{0} is known to a running uWSGI only")]
    Magic(char),
    /// A parenthesis is missing.
    #[error("a placeholder has no end")]
    Open,
}

impl Placeholders {
    /// Those of a file, of which `section` is read.
    #[must_use]
    pub fn of(path: &Path, section: &str) -> Self {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let text = |part: Option<&std::ffi::OsStr>| {
            part.map(|part| part.to_string_lossy().into_owned()).unwrap_or_default()
        };
        let folder = path.parent().unwrap_or(Path::new("/"));
        let slashed = format!("{}/", folder.display().to_string().trim_end_matches('/'));
        let mut magic = HashMap::from([
            ('%', "%".to_owned()),
            ('p', path.display().to_string()),
            ('d', slashed),
            ('s', text(path.file_name())),
            ('n', text(path.file_stem())),
            ('e', text(path.extension())),
            ('c', text(folder.file_name())),
            ('x', section.to_owned()),
            ('X', section.to_owned()),
        ]);
        if let Ok(name) = nix::unistd::gethostname() {
            magic.insert('h', name.to_string_lossy().into_owned());
        }
        Self { named: HashMap::new(), magic }
    }

    /// Notes what an option says: every one of them is a placeholder for the lines below it.
    pub fn note(&mut self, name: &str, value: &str) {
        self.named.insert(name.to_owned(), value.to_owned());
    }

    /// The value with everything filled in.
    ///
    /// # Errors
    /// [`PlaceholderError`] for what cannot be known.
    pub fn fill(&self, value: &str) -> Result<String, PlaceholderError> {
        let mut filled = String::new();
        let mut rest = value;
        while let Some(at) = rest.find(['%', '$', '@']) {
            let (before, from) = rest.split_at(at);
            filled.push_str(before);
            let mut chars = from.chars();
            let sign = chars.next().unwrap_or('%');
            let behind = chars.as_str();
            if let Some(inner) = behind.strip_prefix('(') {
                let (name, after) = inner.split_once(')').ok_or(PlaceholderError::Open)?;
                match sign {
                    '%' => filled.push_str(self.named(name)?),
                    '$' => return Err(PlaceholderError::Environment(name.to_owned())),
                    _ => return Err(PlaceholderError::Content(name.to_owned())),
                }
                rest = after;
                continue;
            }
            match (sign, chars.next()) {
                ('%', Some(letter)) if letter.is_ascii_alphabetic() || letter == '%' => {
                    let known = self.magic.get(&letter);
                    filled.push_str(known.ok_or(PlaceholderError::Magic(letter))?);
                    rest = chars.as_str();
                }
                _ => {
                    filled.push(sign);
                    rest = behind;
                }
            }
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn named(&self, name: &str) -> Result<&str, PlaceholderError> {
        let found = self.named.get(name).map(String::as_str);
        found.ok_or_else(|| PlaceholderError::Unset(name.to_owned()))
    }
}
