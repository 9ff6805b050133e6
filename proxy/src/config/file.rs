//! Reading a TOML file into values with places.
//!
//! Only the types are looked at here; what a value means is the business of `draft`. Every problem
//! of the file is collected, so that one run shows them all.

use std::io::Read;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::catalog::{Opt, Scope, Shape, Table, in_table};
use super::key_table::KeyTable;
use super::problem::{Place, Problem};
use super::tenants::TenantProblem;
use super::{Given, Program, limits, similar};

/// What a file says.
#[derive(Debug, Default)]
pub struct Written {
    /// Outside of `[key."NAME"]` tables.
    pub given: Vec<Given>,
    /// The `[key."NAME"]` tables, in the order written.
    pub keys: Vec<KeyTable>,
    /// The `[tenant."NAME"]` tables, in the order written.
    pub tenants: Vec<KeyTable>,
}

/// Reads `path`; what is wrong with it is added to `problems`.
pub fn read(program: Program, path: &Path, problems: &mut Vec<Problem>) -> Written {
    match slurp(path) {
        Ok(text) => parse(program, path, &text, problems),
        Err(problem) => {
            problems.push(problem);
            Written::default()
        }
    }
}

fn slurp(path: &Path) -> Result<String, Problem> {
    let unreadable = |cause| Problem::Unreadable { path: path.to_owned(), cause };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    file.take(limits::FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > limits::FILE_BYTES_MAX {
        return Err(Problem::Huge { path: path.to_owned() });
    }
    Ok(text)
}

/// Reads the text of a file named `path`.
pub fn parse(program: Program, path: &Path, text: &str, problems: &mut Vec<Problem>) -> Written {
    let (table, errors) = DeTable::parse_recoverable(text);
    let (written, scope) = (Written::default(), Scope::Router);
    let mut walk = Walk { program, path, text, problems, written, scope };
    for error in errors {
        let place = walk.place(error.span().map_or(0, |span| span.start));
        let message = error.message().replace('\n', ", ");
        walk.problems.push(Problem::Syntax { place, message });
    }
    if walk.problems.is_empty() {
        walk.table(table.get_ref(), Table::Top);
    }
    walk.written
}

struct Walk<'a> {
    program: Program,
    path: &'a Path,
    text: &'a str,
    problems: &'a mut Vec<Problem>,
    written: Written,
    /// Whether a `[key."NAME"]` table is being read.
    scope: Scope,
}

impl Walk<'_> {
    fn place(&self, offset: usize) -> Place {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Place::File {
            path: self.path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    fn table(&mut self, table: &DeTable<'_>, which: Table) {
        // In the order written, so that "already given" names the earlier one.
        let mut pairs: Vec<_> = table.iter().collect();
        pairs.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in pairs {
            // Underscores are a habit of many files; they name the same option.
            let name = key.get_ref().replace('_', "-");
            if which == Table::Top
                && name == "timeouts"
                && let DeValue::Table(inner) = value.get_ref()
            {
                self.table(inner, Table::Timeouts);
                continue;
            }
            if which == Table::Top && name == "key" && self.scope == Scope::Router {
                self.keys(value);
                continue;
            }
            if which == Table::Top && name == "tenant" && self.scope == Scope::Router {
                self.tenants(value);
                continue;
            }
            match Opt::named(&name, which) {
                Some(opt) if !self.program.has(opt) => {
                    let (place, key) = (self.place(key.span().start), opt.facts().key());
                    self.problems.push(Problem::OfOtherProgram {
                        place,
                        key,
                        program: self.program,
                    });
                }
                Some(opt) if self.takes(opt) => self.value(opt, value),
                Some(opt) => {
                    let place = self.place(key.span().start);
                    self.problems.push(Problem::NotPerKey { place, opt });
                }
                None => self.unknown(key, &name, which),
            }
        }
    }

    /// Whether the table being read may set `opt`.
    fn takes(&self, opt: Opt) -> bool {
        self.program.has(opt) && (self.scope == Scope::Router || opt.scope() == Scope::Key)
    }

    /// The tables `[key."NAME"]`, which are all that may stand below `key`.
    fn keys(&mut self, value: &Spanned<DeValue<'_>>) {
        let DeValue::Table(names) = value.get_ref() else {
            return self.no_key_table(value);
        };
        let mut names: Vec<_> = names.iter().collect();
        names.sort_by_key(|(name, _)| name.span().start);
        for (name, value) in names {
            let DeValue::Table(inner) = value.get_ref() else {
                self.no_key_table(value);
                continue;
            };
            let outside = std::mem::take(&mut self.written.given);
            self.scope = Scope::Key;
            self.table(inner, Table::Top);
            self.scope = Scope::Router;
            let given = std::mem::replace(&mut self.written.given, outside);
            let place = self.place(name.span().start);
            self.written.keys.push(KeyTable { name: name.get_ref().to_string(), place, given });
        }
    }

    /// The tables `[tenant."NAME"]`, which are all that may stand below `tenant`.
    fn tenants(&mut self, value: &Spanned<DeValue<'_>>) {
        let DeValue::Table(names) = value.get_ref() else {
            return self.no_tenant_table(value);
        };
        let mut names: Vec<_> = names.iter().collect();
        names.sort_by_key(|(name, _)| name.span().start);
        for (name, value) in names {
            let DeValue::Table(inner) = value.get_ref() else {
                self.no_tenant_table(value);
                continue;
            };
            let outside = std::mem::take(&mut self.written.given);
            self.table(inner, Table::Tenant);
            let given = std::mem::replace(&mut self.written.given, outside);
            let place = self.place(name.span().start);
            self.written.tenants.push(KeyTable { name: name.get_ref().to_string(), place, given });
        }
    }

    fn no_tenant_table(&mut self, value: &Spanned<DeValue<'_>>) {
        let place = self.place(value.span().start);
        let why = TenantProblem::NoTable { found: found(value.get_ref()) };
        self.problems.push(Problem::Tenant { place, why });
    }

    fn no_key_table(&mut self, value: &Spanned<DeValue<'_>>) {
        let place = self.place(value.span().start);
        self.problems.push(Problem::NoKeyTable { place, found: found(value.get_ref()) });
    }

    fn unknown(&mut self, key: &Spanned<std::borrow::Cow<'_, str>>, name: &str, which: Table) {
        let place = self.place(key.span().start);
        let prefix = match which {
            Table::Top => "",
            Table::Timeouts => "timeouts.",
            Table::Tenant => "tenant.",
        };
        let here = in_table(which).filter(|facts| self.takes(facts.opt));
        let nearest = similar::nearest(name, here.map(|facts| facts.name))
            .map(|found| format!("{prefix}{found}"))
            .or_else(|| {
                let timeout = Opt::named(name, Table::Timeouts).filter(|opt| self.takes(*opt));
                timeout.map(|opt| opt.facts().key())
            });
        let key = format!("{prefix}{}", key.get_ref());
        self.problems.push(Problem::UnknownKey { place, key, nearest });
    }

    fn value(&mut self, opt: Opt, value: &Spanned<DeValue<'_>>) {
        match (opt.facts().shape, value.get_ref()) {
            (Shape::Many, DeValue::Array(items)) => {
                for item in items {
                    self.scalar(opt, item);
                }
            }
            _ => self.scalar(opt, value),
        }
    }

    fn scalar(&mut self, opt: Opt, value: &Spanned<DeValue<'_>>) {
        let place = self.place(value.span().start);
        let text = match (opt.facts().shape, value.get_ref()) {
            (Shape::Switch, DeValue::Boolean(on)) => on.to_string(),
            (Shape::One | Shape::Many, DeValue::String(text)) => text.clone().into_owned(),
            (Shape::One, DeValue::Integer(number)) if number.radix() == 10 => {
                number.as_str().to_owned()
            }
            // The only value that may have a fraction.
            (Shape::One, DeValue::Float(number)) if opt == Opt::TraceSample => {
                number.as_str().to_owned()
            }
            (shape, other) => {
                let wanted = match shape {
                    Shape::Switch => "true or false",
                    Shape::One => "a string or a number",
                    Shape::Many => "a string or an array of strings",
                };
                let found = found(other);
                self.problems.push(Problem::Type { place, opt, found, wanted });
                return;
            }
        };
        self.written.given.push(Given { opt, text, place });
    }
}

fn found(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
