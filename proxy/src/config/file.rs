//! Reading a TOML file into values with places.
//!
//! Only the types are looked at here; what a value means is the business of `draft`. Every problem
//! of the file is collected, so that one run shows them all.

use std::io::Read;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::catalog::{Opt, Shape, Table, in_table};
use super::problem::{Place, Problem};
use super::{Given, limits, similar};

/// Reads `path`; what is wrong with it is added to `problems`.
pub fn read(path: &Path, problems: &mut Vec<Problem>) -> Vec<Given> {
    match slurp(path) {
        Ok(text) => parse(path, &text, problems),
        Err(problem) => {
            problems.push(problem);
            Vec::new()
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
pub fn parse(path: &Path, text: &str, problems: &mut Vec<Problem>) -> Vec<Given> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut walk = Walk { path, text, problems, given: Vec::new() };
    for error in errors {
        let place = walk.place(error.span().map_or(0, |span| span.start));
        let message = error.message().replace('\n', ", ");
        walk.problems.push(Problem::Syntax { place, message });
    }
    if walk.problems.is_empty() {
        walk.table(table.get_ref(), Table::Top);
    }
    walk.given
}

struct Walk<'a> {
    path: &'a Path,
    text: &'a str,
    problems: &'a mut Vec<Problem>,
    given: Vec<Given>,
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
            match Opt::named(&name, which) {
                Some(opt) => self.value(opt, value),
                None => self.unknown(key, &name, which),
            }
        }
    }

    fn unknown(&mut self, key: &Spanned<std::borrow::Cow<'_, str>>, name: &str, which: Table) {
        let place = self.place(key.span().start);
        let prefix = if which == Table::Timeouts { "timeouts." } else { "" };
        let nearest = similar::nearest(name, in_table(which).map(|facts| facts.name))
            .map(|found| format!("{prefix}{found}"))
            .or_else(|| Opt::named(name, Table::Timeouts).map(|opt| opt.facts().key()));
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
        self.given.push(Given { opt, text, place });
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
