//! A machine's worth of nodes that come back at once.
//!
//! The nodes were known, their leases ran out (a machine that crashed says no goodbye), and then all
//! announce themselves in one burst. The clock runs from before the first datagram until every key
//! is routed. The first burst of all, for which no public key was ever read, is shown beside it.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::Bench;
use super::announcer::{Announcement, Sender, Signer, host_name, make_all, unix_now};
use super::ask::Asker;
use super::router::{Router, drops_at, key_directory, start_upstream};
use super::row::Row;
use crate::{child, progress};

/// Unsigned and signed.
pub fn measure(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let nodes = bench.scaled(33_000);
    let names: Vec<String> = (0..nodes).map(host_name).collect();
    let mut rows = burst(bench, &names, None, 0.3)?;
    rows.extend(burst(bench, &names, Some(&Signer::new()?), 1.0)?);
    Ok(rows)
}

fn burst(
    bench: &Bench<'_>,
    names: &[String],
    signer: Option<&Signer>,
    target_s: f64,
) -> Result<Vec<Row>> {
    let kind = if signer.is_some() { "signed" } else { "unsigned" };
    let (address, _upstream) = start_upstream(bench, "http", bench.worker_core)?;
    let address = address.to_string();
    let mut options = vec!["--tolerance".to_owned(), "4s".to_owned()];
    if let Some(signer) = signer {
        let pem = signer.public_pem()?;
        let keys = key_directory(bench.directory, &pem, names.iter().map(String::as_str))?;
        options.extend(["--sign-check".to_owned(), format!("SHA256:{}", keys.display())]);
    }
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let router = Router::start(bench, &options)?;
    let sender = Sender::to(router.subscribe)?;
    let (mut first, mut again, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=bench.rounds {
        let stamp = signer.map(|_| unix_now());
        let datagrams = make_all(names.len(), |n| {
            Announcement { stamp, ..Announcement::of(&names[n], &address) }.datagram(signer)
        })?;
        let cpu_before = router.cpu_ns("subscriber")?;
        let took = until_all_are_routed(bench, &router, &sender, names, &datagrams)?;
        let used = (router.cpu_ns("subscriber")? - cpu_before) as f64 / 1e9;
        let drops = drops_at(router.subscribe.port())?;
        let keys = router.metric("suzerain_keys")?;
        progress(format_args!("{kind}: {took:.3} s, {used:.3} s of CPU, {drops} dropped"));
        anyhow::ensure!(drops == 0, "the kernel dropped {drops} datagrams");
        anyhow::ensure!(keys == names.len() as u64, "{keys} of {} keys are routed", names.len());
        if round == 0 {
            first.push(took)
        } else {
            again.push(took)
        }
        cpu.push(used);
        // Their leases run out.
        std::thread::sleep(Duration::from_millis(4_500));
        while router.metric("suzerain_keys")? > 0 {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    Ok(vec![
        Row::judged(format!("{} nodes back at once, {kind}", names.len()), "s", target_s, again)?,
        Row::shown(format!("  {kind}, seen for the first time"), "s", first)?,
        Row::shown(format!("  CPU of the subscriber, {kind}"), "s", cpu)?,
    ])
}

fn until_all_are_routed(
    bench: &Bench<'_>,
    router: &Router,
    sender: &Sender,
    names: &[String],
    datagrams: &[Vec<u8>],
) -> Result<f64> {
    child::pin_this_thread(bench.worker_core)?;
    let mut asker = Asker::to(router.http)?;
    let began = Instant::now();
    sender.burst(datagrams)?;
    // One socket keeps their order: the last one routed means all are, unless some were dropped.
    while asker.status_of(&names[names.len() - 1])? != 200 {
        anyhow::ensure!(began.elapsed() < LOST_AFTER, "the last node was never routed");
        std::thread::sleep(Duration::from_micros(500));
    }
    let took = began.elapsed().as_secs_f64();
    for name in names.iter().step_by(names.len() / 100 + 1) {
        anyhow::ensure!(asker.status_of(name)? == 200, "{name} is not routed");
    }
    Ok(took)
}

const LOST_AFTER: Duration = Duration::from_secs(10);
