//! What becomes of each option of uWSGI's: the table behind docs/MIGRATING.md.
//!
//! `proxy/tests/e2e/import_uwsgi.rs` holds it against what a real uWSGI lists.

mod fastrouter;
mod http;
mod process;
mod raw;
mod subscriptions;

use super::{answers, source::Entry, translate::Translation};
use crate::config::{Program, catalog::Opt};

/// What an option comes to.
#[derive(Clone, Copy)]
pub enum Rule {
    /// Ours takes the same value.
    Same(Opt),
    /// A switch here and there.
    On(Opt),
    /// Seconds, for each of these.
    Seconds(&'static [Opt]),
    /// An address that is bound.
    Listen(Opt),
    /// A path, perhaps relative to `chdir`.
    Path(Opt),
    /// It takes more than a word.
    By(fn(&mut Translation, &Entry) -> Answer),
    /// It needs nothing, for this reason.
    Moot(&'static str),
    /// It is no router's; uWSGI goes on needing it, for this reason.
    Stays(&'static str),
    /// It cannot be had so, for this reason.
    Lost(&'static str),
    /// It is the other program's.
    Other(Program),
}

/// What became of one line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Answer {
    /// It is in the result.
    Translated,
    /// It is, and there is something to know.
    Remark(String),
    /// Nothing is needed for it.
    Moot(String),
    /// It stays in uWSGI's own configuration.
    Stays(String),
    /// It is not in the result.
    Lost(String),
}

type Rules = &'static [(&'static str, Rule)];

/// Options that begin so and have no rule of their own.
const PREFIXES: Rules = &[
    ("http-socket", Rule::Stays(OWN_HTTP)),
    ("http11-socket", Rule::Stays(OWN_HTTP)),
    ("https-socket", Rule::Stays(OWN_HTTP)),
    ("ssl-socket", Rule::Stays(APPLICATION)),
    ("emperor", Rule::Stays(EMPEROR)),
    ("vassal", Rule::Stays(EMPEROR)),
    ("legion", Rule::Lost("it has no counterpart: let vassals subscribe to every router")),
    ("sslrouter", Rule::Lost("https ends TLS for HTTP; for other protocols see tls-passthrough")),
    ("log-", Rule::Moot(LOG)),
    ("route", Rule::Stays(APPLICATION)),
    ("static-", Rule::Stays(APPLICATION)),
    ("cheaper", Rule::Stays(APPLICATION)),
    ("spooler", Rule::Stays(APPLICATION)),
    ("php", Rule::Stays(APPLICATION)),
    ("py", Rule::Stays(APPLICATION)),
    ("wsgi", Rule::Stays(APPLICATION)),
    ("cgi", Rule::Stays(APPLICATION)),
];

const EMPEROR: &str = "the emperor's: leave it in a file of its own, without the router";
const APPLICATION: &str = "an application's, which needs no change";
const OWN_HTTP: &str =
    "an application that speaks HTTP by itself; it can subscribe with proto=http";
const LOG: &str = "what happens is logged to standard error; requests are logged to access-log";

/// The rule for an option, for a file of `program`.
#[must_use]
pub fn rule(program: Program, name: &str) -> Option<Rule> {
    let (own, others) = match program {
        Program::Suzerain => ([http::RULES, raw::RULES], [fastrouter::RULES, &[]]),
        Program::Fastrouter => ([fastrouter::RULES, &[]], [http::RULES, raw::RULES]),
    };
    let shared = [subscriptions::RULES, process::RULES];
    find(own.into_iter().chain(shared), name)
        .or_else(|| find(others, name).map(|_| Rule::Other(program.other())))
        .or_else(|| {
            let found = PREFIXES.iter().find(|(prefix, _)| name.starts_with(prefix));
            found.map(|(_, rule)| *rule)
        })
}

fn find(tables: impl IntoIterator<Item = Rules>, name: &str) -> Option<Rule> {
    let mut all = tables.into_iter().flatten();
    all.find(|(known, _)| *known == name).map(|(_, rule)| *rule)
}

impl Rule {
    /// Applies it to one line.
    pub fn apply(self, translation: &mut Translation, entry: &Entry) -> Answer {
        match self {
            Self::Same(opt) => translation.put(opt, &entry.value, entry),
            Self::On(_) if is_off(&entry.value) => Answer::Moot("it is off".to_owned()),
            Self::On(opt) => translation.put(opt, "true", entry),
            Self::Seconds(opts) => answers::seconds(translation, opts, entry),
            Self::Listen(opt) => answers::listen(translation, opt, entry),
            Self::Path(opt) => {
                let path = translation.absolute(&entry.value);
                translation.put(opt, &path, entry)
            }
            Self::By(translate) => translate(translation, entry),
            Self::Moot(why) => Answer::Moot(why.to_owned()),
            Self::Stays(why) => Answer::Stays(why.to_owned()),
            Self::Lost(why) => Answer::Lost(why.to_owned()),
            Self::Other(program) => {
                Answer::Lost(format!("it is for {program}: import the file for that one too"))
            }
        }
    }
}

/// Whether a switch is written as off.
pub fn is_off(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "false" | "0" | "no" | "off")
}
