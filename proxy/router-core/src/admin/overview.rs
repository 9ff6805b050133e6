//! What an overview is asked to list: one page of keys, found, ordered and cut by the router.
//!
//! A router may have a million keys and its reader a telephone, so the page is bounded here and
//! never by the goodwill of whoever reads it.

use serde::Deserialize;

use super::limits::{
    OVERVIEW_KEYS_DEFAULT, OVERVIEW_KEYS_MAX, OVERVIEW_OFFSET_MAX, OVERVIEW_SEARCH_BYTES_MAX,
};

/// One page of keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OverviewQuestion {
    /// Text that occurs in the keys wanted; empty: all.
    pub search: String,
    /// What they are ordered by.
    pub sort: KeySort,
    /// From which end.
    pub order: KeyOrder,
    /// Keys passed over.
    pub offset: usize,
    /// Keys listed.
    pub keys: usize,
}

/// What keys are ordered by; keys that are equal in it stand by name.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum KeySort {
    /// Requests a second, over the last seconds.
    #[default]
    Rate,
    /// Requests since the key is known.
    Requests,
    /// Requests its limits refused.
    Refused,
    /// Exchanges its nodes have in hand.
    InFlight,
    /// Nodes.
    Nodes,
    /// The key itself.
    Key,
}

/// From which end a list begins.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum KeyOrder {
    /// The most of a number; for names the first of the alphabet.
    #[default]
    Natural,
    /// The other end.
    Reverse,
}

/// The question as it stands in a URL.
#[derive(Debug, Deserialize)]
pub(super) struct Parameters {
    search: Option<String>,
    sort: Option<KeySort>,
    order: Option<KeyOrder>,
    offset: Option<usize>,
    keys: Option<usize>,
}

impl Parameters {
    /// The question, within its bounds; `None` if the search is too long to be one.
    pub(super) fn bounded(self) -> Option<OverviewQuestion> {
        let search = self.search.unwrap_or_default();
        (search.len() <= OVERVIEW_SEARCH_BYTES_MAX).then(|| OverviewQuestion {
            search: search.trim().to_owned(),
            sort: self.sort.unwrap_or_default(),
            order: self.order.unwrap_or_default(),
            offset: self.offset.unwrap_or(0).min(OVERVIEW_OFFSET_MAX),
            keys: self.keys.unwrap_or(OVERVIEW_KEYS_DEFAULT).min(OVERVIEW_KEYS_MAX),
        })
    }
}

/// Said to who asks otherwise.
pub(super) const USAGE: &str = "\
usage: /overview.json?search=TEXT&sort=rate|requests|refused|in-flight|nodes|key\
&order=natural|reverse&offset=N&keys=N
";
