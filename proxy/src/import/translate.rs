//! One pass over the options of a file, then what only the whole of it shows.

use std::collections::HashSet;

use router_core::address::ListenAddr;

use super::{
    answers,
    placeholder::Placeholders,
    result::{Outcome, Put},
    rules::{self, Answer},
    source::{Entry, Read},
};
use crate::config::{Program, catalog::Opt};

/// What people are told about a line.
#[derive(Clone, Debug)]
pub struct Note {
    /// Its number.
    pub line: usize,
    /// The sentence.
    pub text: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Told,
    Loss,
}

impl Note {
    /// Whether the result lacks something that the file says.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        self.kind == Kind::Loss
    }
}

/// A translation under way, and its end.
pub struct Translation {
    /// Whose file is written.
    pub program: Program,
    /// The result so far.
    pub result: Outcome,
    /// What is told.
    pub notes: Vec<Note>,
    /// Lines that are in the result.
    pub translated: usize,
    /// `shared-socket` in their order, which `=N` counts.
    pub shared_sockets: Vec<String>,
    /// Sockets of the application in the same file.
    pub own_sockets: Vec<Entry>,
    /// Subscriptions were signed in a way that is not taken here.
    pub lost_proof: bool,
    /// Where relative paths start.
    pub chdir: Option<String>,
    /// Depth of `if-` and `for` around the line.
    conditions: usize,
}

/// Translates what was read.
#[must_use]
pub fn translate(program: Program, read: Read) -> Translation {
    let mut translation = Translation {
        program,
        result: Outcome::default(),
        notes: Vec::new(),
        translated: 0,
        shared_sockets: Vec::new(),
        own_sockets: Vec::new(),
        lost_proof: false,
        chdir: None,
        conditions: 0,
    };
    let mut placeholders = Placeholders::of(&read.path, &read.section);
    let used: HashSet<String> =
        read.entries.iter().flat_map(|entry| used_by(&entry.value)).collect();
    for entry in &read.entries {
        let answer = match placeholders.fill(&entry.value) {
            Ok(value) => {
                placeholders.note(&entry.name, &value);
                let entry = Entry { value, ..entry.clone() };
                translation.line(&entry, &mut placeholders, &used)
            }
            Err(why) => Answer::Lost(why.to_string()),
        };
        translation.take(entry, answer);
    }
    let last = read.entries.last().map_or(1, |entry| entry.line);
    answers::conclude(&mut translation, last);
    translation
}

/// Names in `%(name)`.
fn used_by(value: &str) -> Vec<String> {
    let parts = value.split("%(").skip(1);
    parts.filter_map(|part| part.split_once(')')).map(|(name, _)| name.to_owned()).collect()
}

impl Translation {
    fn line(
        &mut self,
        entry: &Entry,
        placeholders: &mut Placeholders,
        used: &HashSet<String>,
    ) -> Answer {
        let name = entry.name.as_str();
        if matches!(name, "endif" | "end-if" | "endfor" | "end-for") {
            self.conditions = self.conditions.saturating_sub(1);
            return Answer::Moot("the end of it".to_owned());
        }
        if name.starts_with("if-") || matches!(name, "for" | "for-glob" | "for-times") {
            self.conditions += 1;
            return Answer::Lost("conditions and loops are not followed".to_owned());
        }
        if self.conditions > 0 {
            return Answer::Lost("it stands in a condition or a loop".to_owned());
        }
        if matches!(name, "set-placeholder" | "set-ph" | "set") {
            return match entry.value.split_once('=') {
                Some((name, value)) => {
                    placeholders.note(name.trim(), value.trim());
                    Answer::Moot("a placeholder".to_owned())
                }
                None => Answer::Lost("a placeholder without a value".to_owned()),
            };
        }
        match rules::rule(self.program, name) {
            Some(rule) => rule.apply(self, entry),
            None if used.contains(name) => Answer::Moot("a placeholder".to_owned()),
            None => Answer::Lost("no option that is known here".to_owned()),
        }
    }

    fn take(&mut self, entry: &Entry, answer: Answer) {
        let (what, why, kind) = match answer {
            Answer::Translated => {
                self.translated += 1;
                return;
            }
            Answer::Remark(why) => {
                self.translated += 1;
                ("translated", why, Kind::Told)
            }
            Answer::Moot(why) => ("not needed", why, Kind::Told),
            Answer::Stays(why) => ("stays with uWSGI", why, Kind::Told),
            Answer::Lost(why) => ("NOT translated", why, Kind::Loss),
        };
        let text = format!("{}: {what}: {why}", entry.name);
        self.notes.push(Note { line: entry.line, text, kind });
    }

    /// Puts a value into the result.
    pub fn put(&mut self, opt: Opt, value: &str, entry: &Entry) -> Answer {
        match self.result.put(opt, value, Some(entry)) {
            Put::Done => Answer::Translated,
            Put::Contradicts => {
                let there = self.result.values(opt).first().cloned().unwrap_or_default();
                Answer::Lost(format!(
                    "{} is {there} already, and takes one value",
                    opt.facts().key()
                ))
            }
        }
    }

    /// Something that no single line says.
    pub fn tell(&mut self, line: usize, text: impl Into<String>) {
        self.notes.push(Note { line, text: text.into(), kind: Kind::Told });
    }

    /// Something that must be done by hand and that the line alone does not show.
    pub fn miss(&mut self, line: usize, name: &str, why: &str) {
        let text = format!("{name}: NOT translated: {why}");
        self.notes.push(Note { line, text, kind: Kind::Loss });
    }

    /// A path, below `chdir` if it is relative.
    #[must_use]
    pub fn absolute(&self, path: &str) -> String {
        match &self.chdir {
            Some(folder) if !path.starts_with(['/', '@']) => {
                format!("{}/{path}", folder.trim_end_matches('/'))
            }
            _ => path.to_owned(),
        }
    }

    /// The address of a node: sockets of paths may be relative.
    #[must_use]
    pub fn absolute_node(&self, text: &str) -> String {
        if text.contains(':') { text.to_owned() } else { self.absolute(text) }
    }

    /// An address to bind as ours are written: a path, or numbers.
    pub fn address(&self, text: &str) -> Result<String, String> {
        if let Some(number) = text.strip_prefix('=') {
            let number: usize = number.parse().map_err(|_| "no number of a socket".to_owned())?;
            let shared = self.shared_sockets.get(number);
            let shared = shared.ok_or_else(|| format!("there is no shared-socket {number}"))?;
            return self.address(shared);
        }
        if text.starts_with("fd://") {
            let why = "an inherited socket: bind the address, or let systemd hand it over";
            return Err(why.to_owned());
        }
        // uWSGI takes whatever has no colon for a path.
        let text = if text.contains(':') { text.to_owned() } else { self.absolute(text) };
        let text = text.strip_prefix("*:").map_or(text.clone(), |port| format!(":{port}"));
        match text.parse::<ListenAddr>() {
            Ok(_) => Ok(text),
            Err(error) => Err(format!("\"{text}\": {error}")),
        }
    }
}
