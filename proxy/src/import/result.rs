//! The configuration that comes out: options in the order of their first mention, with the lines they
//! come from as comments.

use std::{fmt::Write as _, path::Path};

use super::source::Entry;
use crate::config::catalog::{Opt, Section, Shape};

/// The file to be.
#[derive(Debug, Default)]
pub struct Outcome {
    settings: Vec<Setting>,
}

#[derive(Debug)]
struct Setting {
    opt: Opt,
    values: Vec<String>,
    /// Lines of the source.
    from: Vec<Entry>,
    /// What whoever reads the file should know.
    remarks: Vec<&'static str>,
}

/// Whether a value was there already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Put {
    /// It is in the result now.
    Done,
    /// A value of this option, which takes one, is there already and another one.
    Contradicts,
}

impl Outcome {
    /// Adds a value of an option, and the line it comes from if it is one's.
    pub fn put(&mut self, opt: Opt, value: &str, from: Option<&Entry>) -> Put {
        // Of several pairs here a client gets the one it can verify; there each listener had its own.
        let single = opt.facts().shape != Shape::Many || opt == Opt::DefaultCert;
        let setting = match self.settings.iter_mut().position(|one| one.opt == opt) {
            Some(at) => &mut self.settings[at],
            None => {
                let fresh = Setting { opt, values: vec![], from: vec![], remarks: vec![] };
                self.settings.push(fresh);
                self.settings.last_mut().expect("just added")
            }
        };
        if single && setting.values.first().is_some_and(|there| there != value) {
            return Put::Contradicts;
        }
        if !setting.values.iter().any(|there| there == value) {
            setting.values.push(value.to_owned());
        }
        if let Some(entry) = from.filter(|entry| setting.from.last() != Some(*entry)) {
            setting.from.push(entry.clone());
        }
        Put::Done
    }

    /// Adds a sentence before an option that is there.
    pub fn remark(&mut self, opt: Opt, remark: &'static str) {
        if let Some(setting) = self.settings.iter_mut().find(|one| one.opt == opt) {
            setting.remarks.push(remark);
        }
    }

    /// Takes an option out again; the line it came from, if it was there.
    pub fn remove(&mut self, opt: Opt) -> Option<usize> {
        let at = self.settings.iter().position(|one| one.opt == opt)?;
        self.settings.remove(at).from.first().map(|entry| entry.line)
    }

    /// Values of an option so far.
    pub fn values(&self, opt: Opt) -> &[String] {
        let found = self.settings.iter().find(|one| one.opt == opt);
        found.map_or(&[], |setting| setting.values.as_slice())
    }

    /// The file.
    pub fn render(&self, source: &Path) -> String {
        let mut page = format!(
            "# Made from {} by suzerain import-uwsgi. CONFIG.md explains every key.\n",
            source.display()
        );
        let timeouts = |setting: &&Setting| setting.opt.facts().section == Section::Timeouts;
        self.settings.iter().filter(|one| !timeouts(one)).for_each(|one| one.write(&mut page));
        let mut of_table = self.settings.iter().filter(timeouts).peekable();
        if of_table.peek().is_some() {
            // A table of TOML goes on to the next one, so it is the last thing.
            page.push_str("\n[timeouts]\n");
        }
        of_table.for_each(|one| one.write(&mut page));
        page
    }
}

impl Setting {
    fn write(&self, page: &mut String) {
        let facts = self.opt.facts();
        page.push('\n');
        for Entry { line, name, value } in &self.from {
            let _ = writeln!(page, "# line {line}: {name} = {value}");
        }
        for remark in &self.remarks {
            let _ = writeln!(page, "# {remark}");
        }
        let mut texts = self.values.iter().map(|value| literal(facts.shape, value));
        let value = match facts.shape {
            Shape::Many => format!("[{}]", texts.collect::<Vec<_>>().join(", ")),
            Shape::One | Shape::Switch => texts.next().unwrap_or_default(),
        };
        let _ = writeln!(page, "{} = {value}", facts.name);
    }
}

/// A value in TOML.
fn literal(shape: Shape, value: &str) -> String {
    let bare = match shape {
        Shape::Switch => true,
        // A leading zero would be another number, or none.
        Shape::One => value.parse::<u32>().is_ok_and(|number| number.to_string() == value),
        Shape::Many => false,
    };
    if bare { value.to_owned() } else { toml::Value::String(value.to_owned()).to_string() }
}
