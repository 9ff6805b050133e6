//! Reading a uWSGI configuration: lines of options, with their numbers.
//!
//! The ini form is read whole, with sections. Of YAML only what uWSGI's own reader takes is: one
//! `uwsgi:` block of `name: value` lines and `- value` lists. XML and JSON are refused: uWSGI itself can
//! print them as ini.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Largest file read.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// The section that uWSGI reads unless another is named.
const SECTION: &str = "uwsgi";

/// One option as written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// From 1.
    pub line: usize,
    /// The option's name, without dashes before it.
    pub name: String,
    /// Its value; `true` if it has none.
    pub value: String,
}

/// A file, read.
#[derive(Debug)]
pub struct Read {
    /// As named.
    pub path: PathBuf,
    /// The section read.
    pub section: String,
    /// Its options, in their order.
    pub entries: Vec<Entry>,
}

/// Why a file says nothing.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It cannot be read.
    #[error("{}: cannot be read: {cause}", path.display())]
    Unreadable {
        /// As named.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Larger than any real configuration, or not text.
    #[error("{}: this is no configuration", .0.display())]
    NoText(PathBuf),
    /// Of another form.
    #[error(
        "{}: only .ini and the plain form of .yml are read; `uwsgi --show-config FILE` prints any \
         other as ini", .0.display()
    )]
    Form(PathBuf),
    /// It has no such section.
    #[error("{}: it has no section [{section}] with options; there are: {present}", path.display())]
    NoSection {
        /// As named.
        path: PathBuf,
        /// The one looked for.
        section: String,
        /// The ones found.
        present: String,
    },
}

/// `FILE:SECTION` as uWSGI writes it; a name that is a file is no such pair.
#[must_use]
pub fn split_section(named: &Path) -> (PathBuf, Option<String>) {
    if named.exists() {
        return (named.to_owned(), None);
    }
    let text = named.to_string_lossy();
    match text.rsplit_once(':') {
        Some((path, section)) if !section.is_empty() && !section.contains('/') => {
            (PathBuf::from(path), Some(section.to_owned()))
        }
        _ => (named.to_owned(), None),
    }
}

/// Reads one section of a file.
///
/// # Errors
/// [`SourceError`]
pub fn read(path: &Path, section: Option<&str>) -> Result<Read, SourceError> {
    let unreadable = |cause| SourceError::Unreadable { path: path.to_owned(), cause };
    let size = fs::metadata(path).map_err(unreadable)?.len();
    if size > FILE_BYTES_MAX {
        return Err(SourceError::NoText(path.to_owned()));
    }
    let bytes = fs::read(path).map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|_| SourceError::NoText(path.to_owned()))?;
    let section = section.unwrap_or(SECTION);
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let sections = match ending {
        "xml" | "js" | "json" => return Err(SourceError::Form(path.to_owned())),
        "yml" | "yaml" => yaml(&text),
        _ => ini(&text),
    };
    let found: Vec<_> = sections.iter().filter(|(name, _)| name == section).collect();
    if found.iter().all(|(_, entries)| entries.is_empty()) {
        let names: Vec<_> = sections.iter().map(|(name, _)| format!("[{name}]")).collect();
        let present = if names.is_empty() { "none".to_owned() } else { names.join(" ") };
        let (path, section) = (path.to_owned(), section.to_owned());
        return Err(SourceError::NoSection { path, section, present });
    }
    let entries = found.into_iter().flat_map(|(_, entries)| entries.clone()).collect();
    Ok(Read { path: path.to_owned(), section: section.to_owned(), entries })
}

type Sections = Vec<(String, Vec<Entry>)>;

/// Whole lines are comments; a `;` behind a value belongs to it, as in uWSGI.
fn ini(text: &str) -> Sections {
    let mut sections: Sections = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.trim();
        if text.is_empty() || text.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
            sections.push((name.trim().to_owned(), Vec::new()));
            continue;
        }
        let (name, value) = text.split_once('=').unwrap_or((text, "true"));
        let entry = entry(line, name, value);
        match sections.last_mut() {
            Some((_, entries)) => entries.push(entry),
            // What stands before the first section is read by nobody, there and here.
            None => sections.push((String::new(), vec![entry])),
        }
    }
    sections
}

fn yaml(text: &str) -> Sections {
    let mut sections: Sections = Vec::new();
    // The name that `- value` lines below it belong to.
    let mut list = String::new();
    for (line, raw) in (1..).zip(text.lines()) {
        let text = raw.trim();
        if text.is_empty() || text.starts_with('#') || text == "---" {
            continue;
        }
        if !raw.starts_with([' ', '\t']) {
            let name = text.trim_end_matches(':').trim();
            sections.push((name.to_owned(), Vec::new()));
            continue;
        }
        let Some((_, entries)) = sections.last_mut() else { continue };
        if let Some(value) = text.strip_prefix("- ") {
            entries.push(entry(line, &list, unquoted(value)));
            continue;
        }
        let (name, value) = text.split_once(':').unwrap_or((text, "true"));
        match value.trim() {
            "" => list = name.trim().to_owned(),
            value => entries.push(entry(line, name, unquoted(value))),
        }
    }
    sections
}

fn unquoted(value: &str) -> &str {
    let value = value.trim();
    for quote in ['"', '\''] {
        let inner = value.strip_prefix(quote).and_then(|value| value.strip_suffix(quote));
        if let Some(inner) = inner {
            return inner;
        }
    }
    value
}

/// uWSGI takes `_` for `-` in no option, but a dash or two before the name are a common slip.
fn entry(line: usize, name: &str, value: &str) -> Entry {
    let name = name.trim().trim_start_matches("--").to_owned();
    Entry { line, name, value: value.trim().to_owned() }
}
