//! Announcements as vassals send them, made in advance: signing is dear and not what is measured.

use std::io::IoSlice;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, sendmmsg};
use uwsgi_wire::PacketWriter;
use uwsgi_wire::modifier::{COMMAND_SUBSCRIBE, COMMAND_UNSUBSCRIBE, SUBSCRIPTION};

/// One RSA 2048 key pair; every key of a run is proved by it.
pub struct Signer {
    pair: RsaKeyPair,
}

impl Signer {
    /// A new pair.
    pub fn new() -> Result<Self> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048);
        Ok(Self { pair: pair.ok().context("making an RSA key")? })
    }

    /// The public key as routers read it.
    pub fn public_pem(&self) -> Result<String> {
        let der: PublicKeyX509Der<'_> =
            self.pair.public_key().as_der().ok().context("public key")?;
        Ok(public_key_pem(der.as_ref()))
    }

    fn sign(&self, body: &[u8]) -> Result<Vec<u8>> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let signed = self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), body, &mut signature);
        signed.ok().context("signing")?;
        Ok(signature)
    }
}

/// What one datagram says.
#[derive(Clone, Copy, Debug)]
pub struct Announcement<'a> {
    /// The key.
    pub key: &'a str,
    /// The node's address.
    pub address: &'a str,
    /// `http` or `uwsgi`.
    pub protocol: &'a str,
    /// Whether the node leaves.
    pub leaves: bool,
    /// The sender's clock; needed with a signature.
    pub stamp: Option<u64>,
}

impl<'a> Announcement<'a> {
    /// The usual kind: a node that speaks HTTP, without a stamp.
    pub fn of(key: &'a str, address: &'a str) -> Self {
        Self { key, address, protocol: "http", leaves: false, stamp: None }
    }

    /// The bytes to send.
    pub fn datagram(&self, signer: Option<&Signer>) -> Result<Vec<u8>> {
        self.datagram_with(signer, &[])
    }

    /// The same with further items.
    pub fn datagram_with(&self, signer: Option<&Signer>, more: &[(&str, &str)]) -> Result<Vec<u8>> {
        let mut datagram = Vec::with_capacity(512);
        let command = if self.leaves { COMMAND_UNSUBSCRIBE } else { COMMAND_SUBSCRIBE };
        let mut writer = PacketWriter::start(&mut datagram, SUBSCRIPTION, command)?;
        let stamp = self.stamp.map(|stamp| stamp.to_string());
        let usual = [
            ("key", self.key),
            ("address", self.address),
            ("modifier1", "0"),
            ("modifier2", "0"),
            ("cores", "4"),
            ("load", "0"),
            ("weight", "1"),
        ];
        let proto = (self.protocol == "http").then_some(("proto", "http"));
        let stamp = stamp.as_deref().map(|stamp| ("unix", stamp));
        for (name, value) in usual.iter().chain(more).copied().chain(proto).chain(stamp) {
            writer.pair(name.as_bytes(), value.as_bytes())?;
        }
        if let Some(signer) = signer {
            let signature = signer.sign(writer.body())?;
            writer.pair(b"sign", &signature)?;
        }
        writer.finish();
        Ok(datagram)
    }
}

/// Makes `count` datagrams on all CPUs.
pub fn make_all(
    count: usize,
    make: impl Fn(usize) -> Result<Vec<u8>> + Sync,
) -> Result<Vec<Vec<u8>>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(count.max(1));
    let share = count.div_ceil(threads);
    std::thread::scope(|scope| {
        let make = &make;
        let parts: Vec<_> = (0..threads)
            .map(|part| {
                let range = part * share..count.min((part + 1) * share);
                scope.spawn(move || range.map(make).collect::<Result<Vec<_>>>())
            })
            .collect();
        let mut all = Vec::with_capacity(count);
        for part in parts {
            let made = part.join().map_err(|_| anyhow::anyhow!("a signing thread panicked"))?;
            all.extend(made?);
        }
        Ok(all)
    })
}

/// A socket datagrams are sent from.
pub struct Sender {
    socket: UdpSocket,
    target: SockaddrIn,
}

impl Sender {
    /// To this router.
    pub fn to(target: SocketAddr) -> Result<Self> {
        let SocketAddr::V4(v4) = target else { anyhow::bail!("an IPv4 router is needed") };
        let socket = UdpSocket::bind(("127.0.0.1", 0)).context("binding a sender")?;
        socket.connect(target).context("connecting a sender")?;
        Ok(Self { socket, target: v4.into() })
    }

    /// One datagram.
    pub fn send(&self, datagram: &[u8]) -> Result<()> {
        self.socket.send(datagram).context("sending a datagram")?;
        Ok(())
    }

    /// All of them, as fast as the kernel takes them.
    pub fn burst(&self, datagrams: &[Vec<u8>]) -> Result<()> {
        let mut headers = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
        for batch in datagrams.chunks(BATCH) {
            let mut sent = 0;
            while sent < batch.len() {
                let slices: Vec<[IoSlice<'_>; 1]> =
                    batch[sent..].iter().map(|bytes| [IoSlice::new(bytes)]).collect();
                let targets = vec![Some(self.target); slices.len()];
                let results = sendmmsg(
                    self.socket.as_raw_fd(),
                    &mut headers,
                    &slices,
                    targets,
                    [],
                    MsgFlags::empty(),
                )
                .context("sending datagrams")?;
                sent += results.count();
            }
        }
        Ok(())
    }

    /// All of them at so many per second, in small groups; returns how long it took.
    pub fn paced(&self, datagrams: &[Vec<u8>], per_second: f64) -> Result<Duration> {
        let began = Instant::now();
        for (index, group) in datagrams.chunks(GROUP).enumerate() {
            let due = began + Duration::from_secs_f64((index * GROUP) as f64 / per_second);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            self.burst(group)?;
        }
        Ok(began.elapsed())
    }
}

/// Seconds of Unix time.
pub fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The name of tenant `n`.
pub fn host_name(n: usize) -> String {
    format!("shop-{n}.tenants.example")
}

fn public_key_pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem + "-----END PUBLIC KEY-----\n"
}

const BATCH: usize = 64;
/// Datagrams sent together when paced: little enough for any receive buffer.
const GROUP: usize = 20;
