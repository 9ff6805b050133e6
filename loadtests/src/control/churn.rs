//! Requests while a thousand nodes a second come and go among many keys.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::Result;

use super::Bench;
use super::announcer::{Announcement, Sender, host_name, make_all};
use super::quiet::{self, HOST};
use super::router::{Router, drops_at, start_upstream};
use super::row::Row;

/// The p99 without and with it.
pub fn measure(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let present = bench.scaled(100_000);
    let (address, _upstream) = start_upstream(bench, "http", bench.worker_core)?;
    let route = format!("{HOST}={address},proto=http");
    let router = Router::start(bench, &["--tolerance", "3600s", "--route", &route])?;
    let sender = Sender::to(router.subscribe)?;
    let address = address.to_string();
    let all = make_all(present, |n| Announcement::of(&host_name(n), &address).datagram(None))?;
    sender.paced(&all, 50_000.0)?;
    router.wait_for("suzerain_keys", present as u64 + 1, Duration::from_secs(30))?;
    let publishes = "suzerain_subscription_publishes_total";
    let before = router.metric(publishes)?;
    let changes = (CHANGES_PER_S * WINDOW.as_secs_f64() * 1.4) as usize;
    let mut made = 0;
    let rows = quiet::moved_by(
        bench,
        "1,000 changes/s",
        router.http,
        WINDOW,
        |round| {
            made += 1;
            // Each key leaves and comes back, one change per datagram.
            make_all(changes, |n| {
                let key = host_name((round * changes / 2 + n / 2) * 7 % present);
                let leaves = n % 2 == 0;
                Announcement { leaves, ..Announcement::of(&key, &address) }.datagram(None)
            })
        },
        |datagrams, over| {
            for part in datagrams.chunks(20).take_while(|_| !over.load(Relaxed)) {
                one_by_one(&sender, part)?;
            }
            Ok(())
        },
    )?;
    let published = router.metric(publishes)? - before;
    anyhow::ensure!(drops_at(router.subscribe.port())? == 0, "datagrams were dropped");
    let least = (made * changes / 2) as u64;
    anyhow::ensure!(published > least, "{published} publishes, at least {least} were due");
    Ok(rows)
}

fn one_by_one(sender: &Sender, datagrams: &[Vec<u8>]) -> Result<()> {
    let began = std::time::Instant::now();
    for (index, datagram) in datagrams.iter().enumerate() {
        let due = began + Duration::from_secs_f64(index as f64 / CHANGES_PER_S);
        std::thread::sleep(due.saturating_duration_since(std::time::Instant::now()));
        sender.send(datagram)?;
    }
    Ok(())
}

const CHANGES_PER_S: f64 = 1_000.0;
const WINDOW: Duration = Duration::from_secs(2);
