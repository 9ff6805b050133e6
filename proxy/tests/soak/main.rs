//! Everything an operator does to a running router, done to it under load of every kind, and nothing
//! may be lost: no request, no WebSocket, no datagram.
//!
//! Certificates are replaced, the configuration is changed and read again, the program is upgraded,
//! successors abort, refuse their configuration and are killed half way, and vassals come and go by single
//! datagrams. A short run is among the other tests; `make soak` is the whole one, with an optimised router.

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_suzerain");
/// The flag of its plain listener.
pub const LISTEN: &str = "--http";

mod events;
#[expect(dead_code, reason = "the end-to-end tests use the rest of it")]
mod harness;
mod node;
mod scale;
mod served;
mod site;
mod tally;
mod traffic;

use std::{sync::mpsc, thread, time::Duration};

use tokio::{sync::oneshot, task::LocalSet};

use scale::Scale;
use site::Site;
use tally::{Count, Tally};
use traffic::{HOST, Target, Traffic};

/// How long there is traffic before and after the events.
const QUIET: Duration = Duration::from_secs(2);

/// The program that is run: an optimised one if there is one to be tested.
pub fn program() -> String {
    std::env::var("SUZERAIN_SOAK_PROGRAM").unwrap_or_else(|_| BINARY.to_owned())
}

#[test]
fn nothing_is_lost_while_everything_changes() {
    let scale = Scale::from_environment();
    let site = Site::start(node::start(), &events::changing_hosts(scale));
    let tally = Tally::new();
    let (announcing, over) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let told = &site;
        scope.spawn(move || announce(told, &over));
        wait_until_routed(&site);
        let (end, ended) = oneshot::channel::<()>();
        let target = Target { http: site.http(), https: site.https(), roots: served::roots() };
        let clients = scope.spawn({
            let tally = tally.clone();
            move || run_traffic(&target, &tally, scale, ended)
        });
        thread::sleep(QUIET);
        events::run(&site, &tally, scale);
        thread::sleep(QUIET);
        let _ = end.send(());
        clients.join().expect("the clients ran");
        drop(announcing);
    });
    println!("{}", tally.report());
    assert_eq!(tally.failures(), 0, "{}\nlog:\n{}", tally.report(), site.log());
    let every = |good: u32| Count { good: good.into(), ..Count::default() };
    assert_eq!(tally.count("certificate swap"), every(scale.swaps));
    assert_eq!(tally.count("reload"), every(scale.reloads));
    assert_eq!(tally.count("upgrade"), every(scale.upgrades));
    assert_eq!(tally.count("datagram"), every(scale.changes));
    assert_eq!(tally.count("websocket opened"), every(scale.websockets));
}

/// The node of all requests says that it is there, until the other end of `ended` is dropped.
fn announce(site: &Site, ended: &mpsc::Receiver<()>) {
    loop {
        site.subscribe(HOST);
        match ended.recv_timeout(events::ANNOUNCE_EVERY) {
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            _ => return,
        }
    }
}

fn wait_until_routed(site: &Site) {
    harness::wait::eventually_true("the node is routed", site::DONE_WITHIN, || {
        harness::client::try_get(site.http(), HOST, "/").is_ok_and(|answer| answer.status == 200)
    });
}

fn run_traffic(target: &Target, tally: &Tally, scale: Scale, ended: oneshot::Receiver<()>) {
    let runtime = harness::h2::runtime();
    LocalSet::new().block_on(&runtime, async {
        let traffic = Traffic::start(target, tally, scale);
        let _ = ended.await;
        traffic.stop().await;
    });
}
