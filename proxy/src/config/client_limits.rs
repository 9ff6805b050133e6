//! What clients may use of the router, and what they use unless it is set.

use router_core::headroom::MemoryMax;

use super::limits;

/// Bounds on what clients may use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClientLimits {
    /// Client connections of the whole router; further ones are closed at once.
    pub connections_max: usize,
    /// Exchanges of the whole router; `None`: as many as connections.
    pub exchanges_max: Option<usize>,
    /// Connections without a whole head; beyond it the oldest is ended. `None`: a quarter of all.
    pub heads_max: Option<usize>,
    /// Connections of one client address; further ones are closed at once. `None`: no bound.
    pub client_connections_max: Option<u32>,
    /// Memory in use from which on new connections and nodes are refused.
    pub memory_max: MemoryMax,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            connections_max: limits::CONNECTIONS_DEFAULT,
            exchanges_max: None,
            heads_max: None,
            client_connections_max: None,
            memory_max: MemoryMax::Auto,
        }
    }
}
