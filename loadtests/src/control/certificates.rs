//! A hundred thousand certificates: how long the router takes to have them, to replace one, and
//! whether a handshake notices how many there are.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::Bench;
use super::announcer::{Announcement, Sender, host_name, make_all};
use super::router::Router;
use super::row::Row;
use crate::scenario::Tickets;
use crate::{child, progress, tls};

/// All three.
pub fn measure(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let many = bench.scaled(100_000);
    let (one_dir, many_dir) = (bench.directory.join("one"), bench.directory.join("many"));
    make_pairs(&one_dir, 1)?;
    make_pairs(&many_dir, many)?;
    let config = tls::client_config(None, Tickets::Unused)?;
    let mut loading = Vec::new();
    let (mut one, mut of_many, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut replacing = Vec::new();
    for round in 0..bench.rounds {
        let few = router(bench, &one_dir)?;
        let began = Instant::now();
        let router = router(bench, &many_dir)?;
        let took = began.elapsed().as_secs_f64();
        child::pin_this_thread(bench.other_core)?;
        let at_one = handshake_us(bench, &few, 1, &config)?;
        let at_many = handshake_us(bench, &router, many, &config)?;
        replacing.extend(replace_ms(bench, &router, &config)?);
        progress(format_args!(
            "round {round}: loaded in {took:.2} s, handshakes {at_one:.0} and {at_many:.0} µs"
        ));
        loading.push(took);
        one.push(at_one);
        of_many.push(at_many);
        ratios.push(at_many / at_one);
    }
    Ok(vec![
        Row::judged(format!("{many} certificates loaded, until ready"), "s", 5.0, loading)?,
        Row::judged("one replaced by a datagram, until served", "ms", 5.0, replacing)?,
        Row::judged(format!("a handshake at {many} certificates against 1"), "×", 1.1, ratios)?,
        Row::shown("  CPU of a handshake at 1", "µs", one)?,
        Row::shown(format!("  CPU of a handshake at {many}"), "µs", of_many)?,
    ])
}

fn router(bench: &Bench<'_>, directory: &Path) -> Result<Router> {
    Router::start_anywhere(bench, &["--cert-dir", &directory.display().to_string()])
}

/// Each with a key of its own (P-256).
fn make_pairs(directory: &Path, count: usize) -> Result<()> {
    std::fs::create_dir_all(directory).context("creating a certificate directory")?;
    let make = |n| {
        let (name, key) = (host_name(n), KeyPair::generate().context("making a key")?);
        let crt = certificate(&name, &key)?;
        std::fs::write(directory.join(format!("{name}.crt")), crt).context("writing")?;
        let key = key.serialize_pem();
        std::fs::write(directory.join(format!("{name}.key")), key).context("writing")?;
        Ok(Vec::new())
    };
    make_all(count, make).map(drop)
}

fn certificate(name: &str, key: &KeyPair) -> Result<String> {
    let params = CertificateParams::new([name.to_owned()]).context("naming a certificate")?;
    Ok(params.self_signed(key).context("signing a certificate")?.pem())
}

/// CPU of the worker per full handshake, each for a name drawn evenly.
fn handshake_us(
    bench: &Bench<'_>,
    router: &Router,
    names: usize,
    config: &Arc<ClientConfig>,
) -> Result<f64> {
    let handshakes = bench.scaled(1_500);
    let ask = |count: usize| -> Result<()> {
        for turn in 0..count {
            let name = host_name(turn.wrapping_mul(0x9e37_79b1) % names);
            leaf_of(router.https, &name, config)?;
        }
        Ok(())
    };
    ask(handshakes / 10)?;
    let before = router.cpu_ns("worker")?;
    ask(handshakes)?;
    Ok((router.cpu_ns("worker")? - before) as f64 / 1e3 / handshakes as f64)
}

/// A node brings another certificate for its name: from its datagram to the handshake that shows it.
fn replace_ms(bench: &Bench<'_>, router: &Router, config: &Arc<ClientConfig>) -> Result<Vec<f64>> {
    let name = "replaced.example";
    let sender = Sender::to(router.subscribe)?;
    let key = KeyPair::generate().context("making a key")?;
    let key_text = key.serialize_pem();
    let mut took = Vec::new();
    for turn in 0..bench.scaled(2_000) / 20 {
        std::thread::sleep(Duration::from_micros(3_000 + (turn as u64 * 7_919) % 9_000));
        let crt = certificate(name, &key)?;
        let expected = rustls::pki_types::pem::PemObject::from_pem_slice(crt.as_bytes());
        let expected: rustls::pki_types::CertificateDer<'_> =
            expected.ok().context("reading a certificate")?;
        let more = [("sni_key", key_text.as_str()), ("sni_crt", crt.as_str())];
        let datagram = Announcement::of(name, "127.0.0.1:3031").datagram_with(None, &more)?;
        let began = Instant::now();
        sender.send(&datagram)?;
        while leaf_of(router.https, name, config)? != expected.as_ref() {
            anyhow::ensure!(began.elapsed() < LOST_AFTER, "the new certificate was never served");
        }
        took.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(took)
}

/// Shakes hands and says which certificate was shown.
fn leaf_of(target: SocketAddr, name: &str, config: &Arc<ClientConfig>) -> Result<Vec<u8>> {
    let name = ServerName::try_from(name.to_owned()).context("not a name")?;
    let mut socket = TcpStream::connect(target).context("connecting")?;
    socket.set_nodelay(true).context("setting nodelay")?;
    socket.set_read_timeout(Some(LOST_AFTER)).context("setting a timeout")?;
    let mut session = ClientConnection::new(config.clone(), name).context("starting TLS")?;
    while session.is_handshaking() {
        session.complete_io(&mut socket).context("shaking hands")?;
    }
    let leaf = session.peer_certificates().and_then(|chain| chain.first());
    let leaf = leaf.context("no certificate was shown")?.as_ref().to_vec();
    session.send_close_notify();
    session.write_tls(&mut socket).context("saying goodbye")?;
    socket.shutdown(std::net::Shutdown::Write).context("closing")?;
    while matches!(socket.read(&mut [0; 4096]), Ok(1..)) {}
    Ok(leaf)
}

const LOST_AFTER: Duration = Duration::from_secs(10);
