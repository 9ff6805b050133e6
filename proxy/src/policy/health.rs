//! How the nodes of one key are asked whether they serve.

use std::{ops::RangeInclusive, time::Duration};

use route_table::CheckRules;

/// What is asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Probe {
    /// A connection, and no more.
    Connect,
    /// `GET` of this path; the status of the answer counts.
    Get(Box<str>),
}

/// The checks of one key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HealthCheck {
    /// What is asked; `None`: nothing, ever.
    pub probe: Option<Probe>,
    /// From one check of a node to the next.
    pub interval: Duration,
    /// For the connect, and again for the answer.
    pub timeout: Duration,
    /// How many in a row turn a node.
    pub rules: CheckRules,
    /// Statuses of a node that serves.
    pub status: RangeInclusive<u16>,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            probe: None,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(2),
            rules: CheckRules { rise: 2, fall: 3 },
            status: 200..=399,
        }
    }
}
