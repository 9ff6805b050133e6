//! Active health checks: asking nodes whether they serve before a client finds out.
//!
//! One thread of its own does it, with its own runtime, so that walking a large table or waiting for
//! a slow node costs the workers nothing. It exists only if a policy asks for checks. What it finds
//! is written into the counters of the node, which outlive every publish; a pick skips nodes whose
//! checks failed unless all have (`route_table`).

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    io,
    rc::Rc,
    sync::Arc,
};

use http1_wire::{FieldSlots, Parsed, ResponseTo, parse_response};
use route_table::{
    Address, CheckFound, CheckRules, Node, NodeId, Opening, Proto, RouteKey, TableHandle,
};
use router_core::{
    deadline::{self, Half},
    drain::{Drain, DrainPhase},
    io::{ReadHalf, WriteHalf, sleep_ms, spawn},
    runtime::{self, Driver},
    upstream::{Checkout, dial},
};
use tracing::info;
use uwsgi_wire::{EncodeError, PacketWriter};

use crate::{
    context::{Generations, Shared},
    introduction,
    policy::health::{HealthCheck, Probe},
};

/// Distance between two looks at the table.
const SCAN_MS: u64 = 500;
/// Checks under way at once; what is due beyond it waits for the next look.
const CHECKS_MAX: usize = 256;
/// Longest head of an answer that is waited for.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// The thread, or what it needs to start: the policies that want it may come with a reload.
pub struct HealthChecks {
    generations: Arc<Generations>,
    table: TableHandle,
    driver: Driver,
    drain: Arc<Drain>,
    runs: bool,
}

impl HealthChecks {
    /// Nothing runs yet.
    pub fn new(
        generations: &Arc<Generations>,
        table: &TableHandle,
        driver: Driver,
        drain: &Arc<Drain>,
    ) -> Self {
        let (generations, table, drain) = (generations.clone(), table.clone(), drain.clone());
        Self { generations, table, driver, drain, runs: false }
    }

    /// Starts the thread, if any policy asks for checks and it is not there yet.
    ///
    /// # Errors
    /// The thread cannot be made.
    pub fn start_if_wanted(&mut self) -> io::Result<()> {
        let policies = &self.generations.newest().policies;
        if self.runs || policies.iter().all(|policy| policy.resilience.health.probe.is_none()) {
            return Ok(());
        }
        let (generations, table, drain) =
            (self.generations.clone(), self.table.clone(), self.drain.clone());
        let driver = self.driver;
        std::thread::Builder::new().name("health".to_owned()).spawn(move || {
            // A runtime that ran at start runs here too; without one nodes stay as they are.
            let _ = runtime::run(driver, watch(generations, table, drain));
        })?;
        self.runs = true;
        Ok(())
    }
}

/// When each node is due, and which are being asked.
#[derive(Default)]
struct Agenda {
    due_ms: HashMap<NodeId, u64>,
    asked: HashSet<NodeId>,
}

async fn watch(generations: Arc<Generations>, table: TableHandle, drain: Arc<Drain>) {
    let agenda = Rc::new(RefCell::new(Agenda::default()));
    let mut scanned_ms = 0;
    while drain.phase() <= DrainPhase::Serving {
        sleep_ms(deadline::TICK_MS).await;
        deadline::tick();
        let now_ms = deadline::now_ms();
        if now_ms - scanned_ms >= SCAN_MS {
            scanned_ms = now_ms;
            scan(&generations.newest(), &table, &agenda, now_ms);
        }
    }
}

/// Begins the checks that are due, and forgets nodes that are gone.
fn scan(shared: &Arc<Shared>, table: &TableHandle, agenda: &Rc<RefCell<Agenda>>, now_ms: u64) {
    let table = table.snapshot();
    let mut here = HashMap::new();
    for route in table.iter() {
        let policy = shared.policies.of(route.key());
        let check = &policy.resilience.health;
        let Some(probe) = &check.probe else { continue };
        // A vassal without an address is asleep and not ill.
        let nodes = route.nodes().iter().filter(|node| node.facts.address != Address::Nowhere);
        for node in nodes {
            let mut agenda_now = agenda.borrow_mut();
            let due_ms = agenda_now.due_ms.get(&node.id).copied().unwrap_or(0);
            let begins = due_ms <= now_ms
                && agenda_now.asked.len() < CHECKS_MAX
                && agenda_now.asked.insert(node.id);
            let next_ms = if begins { now_ms + check.interval.as_millis() as u64 } else { due_ms };
            here.insert(node.id, next_ms);
            if begins {
                let (probe, node, key) = (probe.clone(), node.clone(), route.key().clone());
                let (check, opening) = (check.clone(), introduction::opening(policy, &node));
                let agenda = agenda.clone();
                spawn(async move {
                    let found = ask(&node, &key, &probe, &check, opening).await;
                    note(&node, &key, found, check.rules);
                    agenda.borrow_mut().asked.remove(&node.id);
                });
            }
        }
    }
    agenda.borrow_mut().due_ms = here;
}

fn note(node: &Node, key: &RouteKey, found: CheckFound, rules: CheckRules) {
    if node.load.note_check(found, rules) {
        let now = if found == CheckFound::Good { "healthy" } else { "unhealthy" };
        info!(key = key.as_str(), node = &*node.facts.announced, now, "node turned");
    }
}

async fn ask(
    node: &Node,
    key: &RouteKey,
    probe: &Probe,
    check: &HealthCheck,
    opening: Opening,
) -> CheckFound {
    let how = match opening {
        Opening::Plain => Checkout::Fresh,
        Opening::ProxyV2 => Checkout::Introduced(introduction::LOCAL),
    };
    let Ok((read, write)) = dial(node, how, check.timeout).await else {
        return CheckFound::Bad;
    };
    let request = match (probe, node.facts.proto) {
        (Probe::Get(path), Proto::Http) => http_request(key, path),
        (Probe::Get(path), Proto::Uwsgi) => uwsgi_request(node, key, path).unwrap_or_default(),
        // Nothing that is simple to say in another protocol: that it listens must do.
        (Probe::Get(_) | Probe::Connect, _) => return CheckFound::Good,
    };
    match status_of(read, write, request, check).await {
        Some(status) if check.status.contains(&status) => CheckFound::Good,
        _ => CheckFound::Bad,
    }
}

/// Status of the final answer, if a head came in time.
async fn status_of(
    mut read: ReadHalf,
    mut write: WriteHalf,
    request: Vec<u8>,
    check: &HealthCheck,
) -> Option<u16> {
    read.watch().arm(Half::Read, check.timeout);
    write.watch().arm(Half::Write, check.timeout);
    let (sent, _) = write.write_all(request, 0).await;
    sent.ok()?;
    let mut answer = Vec::with_capacity(ANSWER_BYTES_MAX);
    while answer.len() < ANSWER_BYTES_MAX {
        let result;
        (result, answer) = read.read(answer, usize::MAX).await;
        if result.ok()? == 0 {
            return None;
        }
        loop {
            let mut slots = FieldSlots::new();
            let (interim, bytes) = match parse_response(&answer, &mut slots, ResponseTo::Other) {
                Ok(Parsed::Complete(head)) if !head.is_interim() => return Some(head.status),
                Ok(Parsed::Complete(head)) => (true, head.head_bytes),
                Ok(Parsed::Partial) => (false, 0),
                Err(_) => return None,
            };
            if !interim {
                break;
            }
            answer.drain(..bytes);
        }
    }
    None
}

/// The name a client would ask for; of a wildcard the domain itself.
fn host(key: &RouteKey) -> &str {
    key.host().trim_start_matches('.')
}

fn http_request(key: &RouteKey, path: &str) -> Vec<u8> {
    let host = host(key);
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: suzerain-health\r\n\
         Connection: close\r\n\r\n"
    )
    .into_bytes()
}

fn uwsgi_request(node: &Node, key: &RouteKey, path: &str) -> Result<Vec<u8>, EncodeError> {
    let mut request = Vec::new();
    let mut packet = PacketWriter::start(&mut request, node.facts.modifier1, node.facts.modifier2)?;
    let (plain, query) = path.split_once('?').unwrap_or((path, ""));
    let host = host(key);
    for (name, value) in [
        ("REQUEST_METHOD", "GET"),
        ("REQUEST_URI", path),
        ("PATH_INFO", plain),
        ("QUERY_STRING", query),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("SCRIPT_NAME", ""),
        ("SERVER_NAME", host),
        ("SERVER_PORT", "80"),
        ("UWSGI_ROUTER", "http"),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("REMOTE_PORT", "0"),
        ("HTTP_HOST", host),
        ("HTTP_USER_AGENT", "suzerain-health"),
    ] {
        packet.pair(name.as_bytes(), value.as_bytes())?;
    }
    packet.finish();
    Ok(request)
}
