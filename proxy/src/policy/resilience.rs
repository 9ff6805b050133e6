//! How one key bears failing nodes and too many requests: bounds and rules, all per key.

use std::time::Duration;

use route_table::{EjectRules, Rate};

use super::health::HealthCheck;

/// Whether an answer of the node's own counts against it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ServerErrors {
    /// Any answer is a success: the node is there.
    #[default]
    Served,
    /// 500 and above is a failure.
    Failed,
}

/// The rules of one key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resilience {
    /// When failures in a row take a node out.
    pub eject: EjectRules,
    /// What a 5xx of the node means.
    pub server_errors: ServerErrors,
    /// How long a node that joins takes to its full weight; zero: none.
    pub slow_start: Duration,
    /// Exchanges one node may have in hand, over all workers; `u32::MAX`: no bound.
    pub node_connections_max: u32,
    /// Requests that may wait for such a node, over all workers.
    pub queue_max: u32,
    /// How long one waits at most.
    pub queue_timeout: Duration,
    /// Requests of the key in a time, over all workers; `None`: no bound.
    pub rate: Option<Rate>,
    /// Requests of one client in a time, over all workers and, without a table of the key's own,
    /// over all keys; `None`: no bound.
    pub client_rate: Option<Rate>,
    /// Name of the cookie that leads a client back to its node; `None`: no such cookie.
    pub sticky: Option<Box<str>>,
    /// How nodes are asked whether they serve.
    pub health: HealthCheck,
    /// Least bytes per second of a request body, after a grace; 0: no bound.
    pub body_rate_min: u64,
    /// Exchanges of the key at once, over all workers; `u32::MAX`: no bound.
    pub exchanges_max: u32,
}

impl Default for Resilience {
    fn default() -> Self {
        Self {
            // Vassals announce every 10 s, so a node that came back is tried well before its next
            // announcement, and one that stays away costs a request every half minute.
            eject: EjectRules { failures: 5, ms: 3_000, ms_max: 30_000 },
            server_errors: ServerErrors::Served,
            slow_start: Duration::ZERO,
            node_connections_max: u32::MAX,
            queue_max: 1024,
            queue_timeout: Duration::from_secs(5),
            rate: None,
            client_rate: None,
            sticky: None,
            health: HealthCheck::default(),
            body_rate_min: 50,
            exchanges_max: u32::MAX,
        }
    }
}
