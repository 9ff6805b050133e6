//! From a signed datagram to the first request that its node is given, among many keys.
//!
//! The clock starts before the datagram is sent. Requests for the new key follow one another on one
//! connection; the one that is served ends the measurement, its own way included.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::Bench;
use super::announcer::{Announcement, Sender, Signer, host_name, make_all, unix_now};
use super::ask::Asker;
use super::datagrams::signed_router;
use super::router::{Router, drops_at, key_directory, start_upstream};
use super::row::Row;
use crate::{child, progress};

/// Percentiles over many new keys, each number once per round.
pub fn measure(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let (present, trials) = (bench.scaled(100_000), bench.scaled(20_000) / 20);
    let signer = Signer::new()?;
    let names: Vec<String> = (0..present + trials * bench.rounds).map(host_name).collect();
    let pem = signer.public_pem()?;
    let keys = key_directory(bench.directory, &pem, names.iter().map(String::as_str))?;
    let (address, _upstream) = start_upstream(bench, "http", bench.worker_core)?;
    let address = address.to_string();
    let router = router_with_keys(bench, &keys, &signer, &names[..present], &address)?;
    let sender = Sender::to(router.subscribe)?;
    let mut asker = Asker::to(router.http)?;
    let (mut p50, mut p99, mut most) = (Vec::new(), Vec::new(), Vec::new());
    for fresh in names[present..].chunks(trials) {
        let stamp = Some(unix_now());
        let datagrams = make_all(fresh.len(), |n| {
            let announcement = Announcement { stamp, ..Announcement::of(&fresh[n], &address) };
            announcement.datagram(Some(&signer))
        })?;
        child::pin_this_thread(bench.worker_core)?;
        let mut took = Vec::with_capacity(fresh.len());
        for (index, (name, datagram)) in fresh.iter().zip(&datagrams).enumerate() {
            // At every moment of the second in which the router looks after itself.
            std::thread::sleep(Duration::from_micros(2_000 + (index as u64 * 7_919) % 5_000));
            let began = Instant::now();
            sender.send(datagram)?;
            while asker.status_of(name)? != 200 {
                anyhow::ensure!(began.elapsed() < LOST_AFTER, "{name} was never routed");
            }
            took.push(began.elapsed().as_secs_f64() * 1e3);
        }
        took.sort_by(f64::total_cmp);
        let at = |part: usize| took[(took.len() * part / 1000).min(took.len() - 1)];
        progress(format_args!("p50 {:.2}, p99 {:.2}, most {:.2} ms", at(500), at(990), at(1000)));
        p50.push(at(500));
        p99.push(at(990));
        most.push(at(1000));
    }
    Ok(vec![
        Row::judged(
            format!("signed datagram to first request, p99, {present} keys"),
            "ms",
            2.0,
            p99,
        )?,
        Row::shown("  its p50", "ms", p50)?,
        Row::shown("  the slowest of a round", "ms", most)?,
    ])
}

/// A router that knows all of these by signed datagrams.
fn router_with_keys(
    bench: &Bench<'_>,
    keys: &Path,
    signer: &Signer,
    names: &[String],
    address: &str,
) -> Result<Router> {
    let router = signed_router(bench, keys, &[])?;
    let sender = Sender::to(router.subscribe)?;
    let stored = "suzerain_subscription_datagrams_total";
    for (index, part) in names.chunks(PART).enumerate() {
        let stamp = Some(unix_now());
        let datagrams = make_all(part.len(), |n| {
            Announcement { stamp, ..Announcement::of(&part[n], address) }.datagram(Some(signer))
        })?;
        sender.paced(&datagrams, 5_000.0)?;
        let sent = (index * PART + part.len()) as u64;
        router.wait_for(stored, sent, Duration::from_secs(30))?;
    }
    let drops = drops_at(router.subscribe.port())?;
    anyhow::ensure!(drops == 0, "the kernel dropped {drops} datagrams");
    router.wait_for("suzerain_keys", names.len() as u64, Duration::from_secs(10))?;
    // What is only looked at once, at first sight, is over after two cycles.
    std::thread::sleep(Duration::from_secs(3));
    Ok(router)
}

const PART: usize = 10_000;
const LOST_AFTER: Duration = Duration::from_secs(5);
