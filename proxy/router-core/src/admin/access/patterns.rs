//! Which keys belong to a tenant: names, and suffixes of names.
//!
//! A name is exactly that key. A suffix `.shop.example` is every key whose host ends so, with any
//! port and mountpoint, and the wildcard key `.shop.example` itself; not `shop.example`, as under
//! dotsplit.

use std::collections::HashSet;
use std::str::FromStr;

use route_table::{KeyError, RouteKey};

/// One name or suffix.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pattern(RouteKey);

/// A text that is neither.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PatternError {
    /// It is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// It is a suffix with something behind it.
    #[error("a suffix holds for every port and mountpoint, and names none")]
    Narrow,
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let key = RouteKey::parse(text.as_bytes())?;
        match key.is_suffix() && (key.port().is_some() || !key.mount().is_empty()) {
            true => Err(PatternError::Narrow),
            false => Ok(Self(key)),
        }
    }
}

/// The keys of one tenant.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KeyPatterns {
    names: HashSet<RouteKey>,
    suffixes: HashSet<Box<str>>,
}

impl KeyPatterns {
    /// Whether this canonical key is among them.
    #[must_use]
    pub fn hold(&self, key: &str) -> bool {
        self.names.contains(key) || self.has_suffix_of(key)
    }

    /// The keys that are named one by one.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(RouteKey::as_str)
    }

    /// Whether there are suffixes: then every key has to be looked at.
    #[must_use]
    pub fn has_suffixes(&self) -> bool {
        !self.suffixes.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len() + self.suffixes.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn has_suffix_of(&self, key: &str) -> bool {
        if self.suffixes.is_empty() || key.starts_with('[') {
            return false;
        }
        let host = key.split('/').next().unwrap_or_default();
        let host = host.split(':').next().unwrap_or_default();
        host.match_indices('.').any(|(at, _)| self.suffixes.contains(&host[at..]))
    }
}

impl FromIterator<Pattern> for KeyPatterns {
    fn from_iter<I: IntoIterator<Item = Pattern>>(patterns: I) -> Self {
        let mut all = Self::default();
        for Pattern(key) in patterns {
            if key.is_suffix() {
                all.suffixes.insert(key.as_str().into());
            } else {
                all.names.insert(key);
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_holds_its_names_and_what_ends_in_its_suffixes() {
        let texts = ["Shop.example", "a.example:8080", "b.example/cart", ".c.example"];
        let keys: KeyPatterns = texts.iter().map(|text| text.parse::<Pattern>().unwrap()).collect();
        for own in [
            "shop.example",
            "a.example:8080",
            "b.example/cart",
            ".c.example",
            "x.c.example",
            "x.y.c.example:81/z.d.example",
            ".x.c.example",
        ] {
            assert!(keys.hold(own), "{own}");
        }
        for foreign in [
            "shop.example:80",
            "shop.example/cart",
            "a.shop.example",
            "xshop.example",
            "a.example",
            "b.example",
            "b.example/cart/x",
            "c.example",
            "xc.example",
            "c.example.evil",
            "evil/x.c.example",
            "evil.example/.c.example",
            "[::1]",
            "",
        ] {
            assert!(!keys.hold(foreign), "{foreign}");
        }
    }

    #[test]
    fn a_pattern_is_a_key_or_a_bare_suffix() {
        assert_eq!(".a.example:80".parse::<Pattern>(), Err(PatternError::Narrow));
        assert_eq!(".a.example/x".parse::<Pattern>(), Err(PatternError::Narrow));
        for wrong in ["", "*", "*.a.example", "a b", "."] {
            assert!(matches!(wrong.parse::<Pattern>(), Err(PatternError::Key(_))), "{wrong}");
        }
    }
}
