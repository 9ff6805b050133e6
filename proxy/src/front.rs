//! What the programs built on this crate differ in: how a client connection is served.
//!
//! Configuration, listeners, subscriptions, the route table, policies, statistics and the end are the
//! same for all of them.

use router_core::worker::Service;

use crate::{
    context::{Current, Role},
    serve::HttpService,
};

/// A way to serve clients.
pub trait Front: Clone + Send + 'static {
    /// What serves the connections of one worker.
    type Service: Service<Role = Role>;

    /// The service of one worker; called on its thread.
    fn service(&self, current: Current) -> Self::Service;
}

/// HTTP, TLS and what lives next to it.
#[derive(Clone, Copy, Debug, Default)]
pub struct HttpFront;

impl Front for HttpFront {
    type Service = HttpService;

    fn service(&self, current: Current) -> HttpService {
        HttpService::new(current)
    }
}
