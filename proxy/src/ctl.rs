//! What the control socket answers and changes: the commands of `suzerain ctl`.
//!
//! Questions read snapshots and atomics, as the admin socket does. Changes of nodes go to the
//! subscription thread, orders to the main thread; nothing is changed here. Every change that was
//! asked for is recorded in the audit log with who asked, also where that one may not.

mod answers;
mod cert_reload;
mod columns;
mod command;

use std::{net::IpAddr, sync::Arc, time::Duration};

use route_table::{Address, Intake, RouteKey};
use router_core::{
    ctl::{Call, Caller, CtlError, CtlFormat, CtlRefusal, CtlServer, CtlSource, Level},
    estate::Estate,
    subscriber::{Operation, OperationError, SubscriberHandle},
};
use serde::Serialize;

use crate::{
    config::Settings,
    context::Generations,
    control::{
        Order, Orders, Outcome,
        audit::{Audit, By},
    },
    log_level,
    startup::{Running, static_nodes},
    stats::RouterState,
    tls::cert_load::Errands,
};
use command::{Change, NodeName, Question};

/// How long an order that loads something may take.
const RELOAD_WAIT: Duration = Duration::from_secs(60);
/// How long a new process may take to prove that it serves.
const UPGRADE_WAIT: Duration = Duration::from_secs(170);
/// How long any other order may take.
const ORDER_WAIT: Duration = Duration::from_secs(10);

const _: () =
    assert!(UPGRADE_WAIT.as_secs() < router_core::ctl::limits::CONNECTION_TIMEOUT.as_secs());

/// Everything that answers.
pub struct Desk {
    /// What the router tells of itself.
    pub state: Arc<RouterState>,
    /// For the rules of keys.
    pub generations: Arc<Generations>,
    /// Changes nodes.
    pub subscriber: Arc<SubscriberHandle>,
    /// Reads certificates.
    pub certs: Errands,
    /// Changes the rest.
    pub orders: Orders,
    /// Remembers who changed what.
    pub audit: Audit,
}

impl CtlSource for Desk {
    fn ask(&self, call: &Call, format: CtlFormat) -> Result<String, CtlRefusal> {
        match Question::read(call)? {
            Question::Version => write(&answers::version(self), format),
            Question::Routes(listing) => write(&answers::routes(self, &listing)?, format),
            Question::Nodes(listing) => write(&answers::nodes(self, &listing)?, format),
            Question::Conns => write(&answers::conns(self), format),
            Question::Certs(listing) => write(&answers::certs(self, &listing), format),
            Question::Cert(what) => write(&answers::cert(self, &what)?, format),
            Question::Audit(listing) => write(&answers::audit(self, &listing), format),
            Question::LogLevel => write(&answers::log_levels(), format),
            Question::Explain(url) => answers::explain(self, &url, format),
        }
    }

    fn change(&self, call: &Call, caller: Caller, level: Level) -> Result<String, CtlRefusal> {
        let change = Change::read(call)?;
        let by = By::Ctl { uid: caller.uid, pid: caller.pid };
        let key = change.key().map(ToString::to_string);
        if level < Level::Operator {
            self.audit.deny(by, &change.to_string(), key.as_deref());
            return Err(CtlRefusal::NotPermitted);
        }
        let text = change.to_string();
        let made = match change {
            // Whoever carries an order out records it.
            Change::Order(order) => return self.order(order, by).map_err(CtlRefusal::Failed),
            Change::SetIntake { intake, node, key } => self.set_intake(intake, &node, key),
            Change::AddRoute(route) => {
                let (key, facts) = static_nodes::facts(&route);
                self.operate(Operation::Add(key, facts)).map(|_| "added".to_owned())
            }
            Change::DeleteRoute { key, address } => {
                self.operate(Operation::Delete(key, address)).map(|_| "deleted".to_owned())
            }
            Change::ReloadCerts(what) => cert_reload::cert_reload(&self.certs, &what),
            Change::LogLevel { level, target } => {
                log_level::set(level, target.as_deref()).map_err(CtlRefusal::Failed)
            }
        };
        let one_line = |text: String| text.replace('\n', "; ");
        let outcome: Outcome = made.clone().map(one_line).map_err(|why| one_line(why.to_string()));
        self.audit.record(by, &text, key.as_deref(), &outcome);
        made
    }
}

/// Binds the control socket, which answers once everything else runs.
///
/// # Errors
/// [`CtlError::Bind`].
pub fn bind(settings: &Settings, estate: &Estate) -> Result<Option<CtlServer>, CtlError> {
    let user = settings.privileges.user.as_ref().map(|user| user.uid.as_raw());
    settings.ctl.socket(user).map(|config| CtlServer::bind(config, estate)).transpose()
}

impl Desk {
    /// The desk of a router that runs.
    #[must_use]
    pub fn of(running: &Running, orders: Orders) -> Self {
        Self {
            state: running.state.clone(),
            generations: running.generations.clone(),
            subscriber: running.subscriber.clone(),
            certs: running.cert_loader.errands().clone(),
            orders,
            audit: running.audit.clone(),
        }
    }

    fn order(&self, order: Order, by: By) -> Outcome {
        let limit = match order {
            Order::Reload => RELOAD_WAIT,
            Order::Upgrade => UPGRADE_WAIT,
            Order::ReopenLogs | Order::Drain | Order::Stop => ORDER_WAIT,
        };
        self.orders.ask(order, by, limit)
    }

    fn operate(&self, operation: Operation) -> Result<usize, CtlRefusal> {
        self.subscriber.operate(operation).map_err(|why| match why {
            OperationError::NotOperators => CtlRefusal::NotFound(why.to_string()),
            OperationError::Add(_) | OperationError::Frozen | OperationError::NoAnswer => {
                CtlRefusal::Failed(why.to_string())
            }
        })
    }

    /// Drains the nodes of a name in one key or in all, or takes that back.
    fn set_intake(
        &self,
        intake: Intake,
        name: &NodeName,
        key: Option<RouteKey>,
    ) -> Result<String, CtlRefusal> {
        let table = self.state.table.snapshot();
        let mut found: Vec<(RouteKey, Address)> = Vec::new();
        let mut in_flight = 0;
        let routes: Vec<_> = match &key {
            Some(key) => vec![table.get(key.as_str()).ok_or_else(|| no_such_key(key.as_str()))?],
            None => table.iter().collect(),
        };
        for route in routes {
            for node in route.all_nodes().filter(|node| name.is(&node.facts.address)) {
                found.push((route.key().clone(), node.facts.address.clone()));
                in_flight += node.load.in_flight();
            }
        }
        drop(table);
        if found.is_empty() {
            return Err(CtlRefusal::NotFound(format!("there is no node {name}")));
        }
        let nodes = found.len();
        let changed = self.operate(Operation::SetIntake(intake, found))?;
        let what = match intake {
            Intake::Drained => "drained",
            Intake::Open => "undrained",
        };
        let before = nodes - changed;
        let before = if before > 0 { format!(", {before} were before") } else { String::new() };
        let plural = if changed == 1 { "node" } else { "nodes" };
        Ok(format!("{changed} {plural} {what}{before}; {in_flight} requests in flight"))
    }
}

fn no_such_key(key: &str) -> CtlRefusal {
    CtlRefusal::NotFound(format!("there is no key {key}"))
}

/// An answer as its caller wants it.
fn write<T: Serialize + std::fmt::Display>(
    answer: &T,
    format: CtlFormat,
) -> Result<String, CtlRefusal> {
    match format {
        CtlFormat::Text => Ok(answer.to_string()),
        CtlFormat::Json => serde_json::to_string_pretty(answer)
            .map(|text| text + "\n")
            .map_err(|error| CtlRefusal::Failed(error.to_string())),
    }
}

impl NodeName {
    fn is(&self, address: &Address) -> bool {
        match (self, address) {
            (Self::At(name), address) => name == address,
            (Self::Machine(ip), Address::Tcp(at)) => at.ip().to_canonical() == ip.to_canonical(),
            (Self::Machine(_), _) => false,
        }
    }

    fn machine(text: &str) -> Option<Self> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        bare.parse::<IpAddr>().ok().map(Self::Machine)
    }
}
