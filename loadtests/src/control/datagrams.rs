//! A signed datagram that renews a node: its CPU against uWSGI's router, and what 20,000 of them a
//! second do to requests on the other CPU.
//!
//! Each datagram has a stamp of its own: the tolerance of both routers lets a node renew for many
//! seconds in one, so that few nodes are needed.

use std::net::SocketAddr;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Bench;
use super::announcer::{Announcement, Sender, Signer, host_name, make_all, unix_now};
use super::quiet::{self, HOST};
use super::router::{Router, drops_at, key_directory, start_upstream};
use super::row::Row;
use super::uwsgi::Peer;
use crate::{child, progress};

/// CPU per datagram of both routers in turns, then requests beside a flood.
pub fn measure(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let signer = Signer::new()?;
    let names: Vec<String> = (0..NODES * (quiet::rounds(bench) + 1)).map(host_name).collect();
    let pem = signer.public_pem()?;
    let keys = key_directory(bench.directory, &pem, names.iter().map(String::as_str))?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..bench.rounds {
        // Our router refuses stamps from before its start.
        let router = signed_router(bench, &keys, &[])?;
        let datagrams = renewals(&signer, &names[..NODES], bench.scaled(6_000) / NODES + 2)?;
        let cost = cost_us(bench, router.subscribe, &datagrams, || router.cpu_ns("subscriber"))?;
        let renewed = router.metric("suzerain_subscription_verdicts_total{verdict=\"renewed\"}")?;
        let expected = (datagrams.len() - NODES) as u64 - drops_at(router.subscribe.port())?;
        anyhow::ensure!(renewed == expected, "{renewed} of {expected} datagrams renewed a node");
        ours.push(cost);
        drop(router);
        let Some(peer) = Peer::start(bench, &keys)? else {
            progress("uwsgi is not installed: no peer");
            continue;
        };
        theirs.push(cost_us(bench, peer.subscribe, &datagrams, || peer.cpu_ns())?);
        progress(format_args!("round {round}: {cost:.1} µs, uWSGI {:.1} µs", theirs[round]));
    }
    let mut rows = Vec::new();
    if !theirs.is_empty() {
        let ratios = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs);
        rows.push(Row::judged("CPU of a signed renewal, part of uWSGI's", "×", 0.6, ratios)?);
        rows.push(Row::shown("  uWSGI's http router", "µs", theirs)?);
    }
    rows.push(Row::shown("  ours", "µs", ours)?);
    rows.extend(beside_requests(bench, &signer, &keys, &names[NODES..])?);
    Ok(rows)
}

/// A router that takes only what is signed, with a static route to be asked for.
pub fn signed_router(
    bench: &Bench<'_>,
    keys: &std::path::Path,
    options: &[&str],
) -> Result<Router> {
    let sign_check = format!("SHA256:{}", keys.display());
    let fixed = ["--sign-check", &sign_check, "--tolerance", "3600s"];
    Router::start(bench, &[&fixed, options].concat())
}

/// For each node so many datagrams, each with the next stamp; the first adds it.
fn renewals(signer: &Signer, names: &[String], each: usize) -> Result<Vec<Vec<u8>>> {
    let first = unix_now();
    make_all(names.len() * each, |index| {
        let (turn, node) = (index / names.len(), index % names.len());
        let stamp = Some(first + turn as u64);
        Announcement { stamp, ..Announcement::of(&names[node], NODE_ADDRESS) }
            .datagram(Some(signer))
    })
}

/// CPU per datagram but for the first ones of each node, which add them.
fn cost_us(
    bench: &Bench<'_>,
    target: SocketAddr,
    datagrams: &[Vec<u8>],
    cpu_ns: impl Fn() -> Result<u64>,
) -> Result<f64> {
    child::pin_this_thread(bench.worker_core)?;
    let sender = Sender::to(target)?;
    let (adding, renewing) = datagrams.split_at(NODES);
    sender.paced(adding, PACE)?;
    std::thread::sleep(REST);
    let before = cpu_ns()?;
    sender.paced(renewing, PACE)?;
    std::thread::sleep(REST);
    let cpu = cpu_ns()? - before;
    // A router that others kept from running loses some: they cost it nothing.
    let drops = drops_at(target.port())?;
    let taken = (renewing.len() as u64).saturating_sub(drops);
    anyhow::ensure!(drops * 10 < taken, "the kernel dropped {drops} datagrams");
    let cost = cpu as f64 / 1e3 / taken as f64;
    anyhow::ensure!(cost > 3.0, "{cost:.1} µs: no signature was checked");
    Ok(cost)
}

fn beside_requests(
    bench: &Bench<'_>,
    signer: &Signer,
    keys: &std::path::Path,
    names: &[String],
) -> Result<Vec<Row>> {
    let (address, _upstream) = start_upstream(bench, "http", bench.worker_core)?;
    let route = format!("{HOST}={address},proto=http");
    let router = signed_router(bench, keys, &["--route", &route])?;
    let sender = Sender::to(router.subscribe)?;
    let names: Vec<&[String]> = names.chunks(NODES).collect();
    let seconds = WINDOW.as_secs_f64() * 1.2 + 0.2;
    let each = bench.scaled((FLOOD_PER_S * seconds) as usize) / NODES + 1;
    let mut made = 0;
    let rows = quiet::moved_by(
        bench,
        "20,000 signed datagrams/s",
        router.http,
        WINDOW,
        |round| {
            // Stamps must be fresh when they are sent, and a node's must rise.
            let flood = renewals(signer, names.get(round).context("too few names")?, each)?;
            made += flood.len() as u64;
            Ok(flood)
        },
        |flood, over| {
            for part in flood.chunks(400).take_while(|_| !over.load(Relaxed)) {
                sender.paced(part, FLOOD_PER_S)?;
            }
            Ok(())
        },
    )?;
    let drops = drops_at(router.subscribe.port())?;
    let checked = router.metric("suzerain_subscription_verdicts_total{verdict=\"renewed\"}")?;
    anyhow::ensure!(drops == 0, "the kernel dropped {drops} datagrams");
    anyhow::ensure!(checked * 2 > made, "only {checked} of {made} datagrams were accepted");
    Ok(rows)
}

/// So many that a round needs stamps of no more than a minute ahead, the tolerance of our router.
const NODES: usize = 800;
const NODE_ADDRESS: &str = "10.1.2.3:3031";
const PACE: f64 = 4_000.0;
const FLOOD_PER_S: f64 = 20_000.0;
const WINDOW: Duration = Duration::from_millis(1_200);
const REST: Duration = Duration::from_millis(300);
