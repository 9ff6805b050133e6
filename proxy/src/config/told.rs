//! What was written for each option: tells two readings of a configuration apart.

use std::collections::HashMap;

use route_table::RouteKey;

use super::catalog::{OPTIONS, Opt};

/// The texts of all values, by option; an option that was not given has none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Told {
    values: HashMap<Opt, Vec<String>>,
    keys: HashMap<RouteKey, Told>,
}

impl Told {
    /// Notes a value; of an option with many, the next one.
    pub fn note(&mut self, opt: Opt, text: &str) {
        self.values.entry(opt).or_default().push(text.to_owned());
    }

    /// Notes what the table of a key says.
    pub fn note_key(&mut self, key: RouteKey, table: Self) {
        self.keys.insert(key, table);
    }

    /// The keys whose tables say something else in `other`, or are in one of the two alone.
    #[must_use]
    pub fn keys_differing(&self, other: &Self) -> Vec<RouteKey> {
        let gone = self.keys.keys().filter(|key| !other.keys.contains_key(*key));
        let differ = other.keys.iter().filter(|(key, table)| self.keys.get(*key) != Some(*table));
        let mut keys: Vec<_> = gone.chain(differ.map(|(key, _)| key)).cloned().collect();
        keys.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        keys
    }

    /// The options that say something else in `other`, in the order of the catalogue.
    pub fn differences<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = Opt> + 'a {
        let opts = OPTIONS.iter().map(|facts| facts.opt);
        opts.filter(|opt| self.values.get(opt) != other.values.get(opt))
    }

    /// Says of `opt` what `other` says.
    pub fn keep(&mut self, opt: Opt, other: &Self) {
        match other.values.get(&opt) {
            Some(values) => self.values.insert(opt, values.clone()),
            None => self.values.remove(&opt),
        };
    }
}
