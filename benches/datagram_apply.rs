//! What the subscription thread pays per datagram: decoding, policy, freshness, signature, lease.
//!
//! `renewal/rsa2048_sha256` is the steady state: a known node announces itself again with a
//! rising stamp. `renewal/unsigned` is the same without signatures, so the difference is the proof.
//! `replay` sends the last datagram once more: what a flood of captured datagrams costs.

use benches::ThreadCpuTime;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use route_table::{Proto, TableWriter};
use rsa::RsaPrivateKey;
use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};
use subscribe::announce::{AnnounceFields, Command, Digest, Signer, encode};
use subscribe::{KeyFiles, Now, Peer, Registry, RegistryConfig, Source, Verdict};

/// A key directory with one key for everybody.
struct OneKey(Vec<u8>);

impl KeyFiles for OneKey {
    fn read(&mut self, _file_name: &str) -> Option<Vec<u8>> {
        Some(self.0.clone())
    }
}

/// A registry, its clock, and the one vassal that announces itself every second.
struct Vassal {
    registry: Registry,
    keys: OneKey,
    signer: Option<Signer>,
    now: Now,
}

impl Vassal {
    fn new(sign: Option<Digest>) -> Self {
        let private = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).expect("a key");
        let private_pem = private.to_pkcs8_pem(LineEnding::LF).expect("a PEM text");
        let public_pem = private.to_public_key().to_public_key_pem(LineEnding::LF);
        let (writer, _handle) = TableWriter::new();
        Self {
            registry: Registry::new(RegistryConfig { sign, ..RegistryConfig::default() }, writer),
            keys: OneKey(public_pem.expect("a PEM text").into_bytes()),
            signer: sign.map(|digest| Signer::from_pem(digest, &private_pem).expect("a key")),
            now: Now { mono_ms: 0, unix: 1_800_000_000 },
        }
    }

    /// The announcement of the next second.
    fn next_datagram(&mut self) -> Vec<u8> {
        self.now = Now { mono_ms: self.now.mono_ms + 1_000, unix: self.now.unix + 1 };
        let fields = AnnounceFields {
            key: "shop.tenants.example".into(),
            address: "10.1.2.3:3031".into(),
            cores: 4,
            weight: 1,
            proto: Proto::Uwsgi,
            ..AnnounceFields::default()
        };
        let stamp = Some(self.now.unix);
        encode(&fields, Command::Subscribe, stamp, self.signer.as_ref()).expect("a datagram")
    }

    fn apply(&mut self, datagram: &[u8]) -> Verdict {
        self.registry.apply(self.now, &Source::of(Peer::Unix), datagram, &mut self.keys)
    }
}

fn datagram_apply(criterion: &mut Criterion<ThreadCpuTime>) {
    let mut group = criterion.benchmark_group("datagram_apply");
    for (name, sign) in
        [("renewal/unsigned", None), ("renewal/rsa2048_sha256", Some(Digest::Sha256))]
    {
        let vassal = std::cell::RefCell::new(Vassal::new(sign));
        let first = vassal.borrow_mut().next_datagram();
        assert_eq!(vassal.borrow_mut().apply(&first), Verdict::Added);
        group.bench_function(name, |bench| {
            bench.iter_batched_ref(
                || vassal.borrow_mut().next_datagram(),
                |datagram| assert_eq!(vassal.borrow_mut().apply(datagram), Verdict::Renewed),
                // Signed in advance: signing one between two checks would leave it the caches.
                BatchSize::NumIterations(200),
            );
        });
    }
    let mut vassal = Vassal::new(Some(Digest::Sha256));
    let captured = vassal.next_datagram();
    assert_eq!(vassal.apply(&captured), Verdict::Added);
    group.bench_function("replay", |bench| {
        bench.iter(|| assert!(matches!(vassal.apply(&captured), Verdict::Rejected(_))));
    });
    group.finish();
}

criterion_group! { name = group; config = benches::criterion(); targets = datagram_apply }
criterion_main!(group);
