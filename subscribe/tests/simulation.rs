//! A seeded world of vassals, a bad network and an attacker drives the registry; a naive model that
//! forgets nothing says after every step which nodes must be routable, exactly.
//!
//! Datagrams are lost, doubled, delayed and reordered; vassals start, stop, crash and restart
//! within a second; the attacker sends again what he saw, with the command flipped or a byte
//! changed; key files change and vanish; wall clocks jump. Now and then the registry is written down
//! and another takes over what it knew, which nobody may notice. `SUZERAIN_SIM_SEED=<number>`
//! replays one run.

#[path = "simulation/handover.rs"]
mod handover;
#[path = "simulation/model.rs"]
mod model;
#[path = "support/signing.rs"]
#[expect(dead_code, reason = "the other forms of a key serve tests/signed.rs")]
mod signing;

use std::collections::BTreeSet;

use aws_lc_rs::rsa::KeySize;
use model::{Model, Sent, file_of};
use route_table::{TableHandle, TableWriter};
use signing::{Directory, Pair};
use subscribe::announce::{AnnounceFields, Signer, encode};
use subscribe::{
    Command, Digest, Effect, Forwarding, Limits, Now, Peer, Registry, RegistryConfig, Source,
    Verdict,
};

/// Two keys of one file, one with a port, one plain.
const KEYS: [&str; 4] = ["a.test", "a.test/mount", "b.test:8080", "c.test"];
const ADDRESSES: [&str; 4] = ["127.0.0.1:1001", "10.0.0.2:1002", "/run/app.sock", "@app"];
const NODES_PER_KEY_MAX: usize = 3;
const LEASE_MS: u64 = 17_000;
const TOLERANCE_S: u64 = 60;
const EPOCH_UNIX: u64 = 1_700_000_000;

/// splitmix64: small, and the same everywhere.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("below a usize")
    }

    fn one_in(&mut self, odds: usize) -> bool {
        self.below(odds) == 0
    }
}

/// A program that serves one key at one address.
struct Vassal {
    key: &'static str,
    address: &'static str,
    weight: u32,
    /// Monotonic millisecond of its next announcement; none while it is stopped.
    announces_ms: Option<u64>,
    /// How far its clock is off, in seconds.
    skew_s: i64,
}

/// Some programs are vassals that name themselves; their stamps are kept by that name.
fn vassal_name(address: &str) -> Option<String> {
    address.starts_with(['/', '@']).then(|| format!("{address}.ini"))
}

/// A datagram on its way.
struct Flight {
    arrives_ms: u64,
    sent: Sent,
}

struct World {
    chance: Chance,
    mono_ms: u64,
    /// How far the wall clock everybody looks at is off.
    wall_jump_s: i64,
    vassals: Vec<Vassal>,
    network: Vec<Flight>,
    /// Everything ever sent: what the attacker has to work with.
    seen: Vec<Sent>,
    /// Signers by pair; empty in an unsigned world.
    signers: Vec<Signer>,
    public_pems: Vec<String>,
    files: Directory,
    config: RegistryConfig,
    registry: Registry,
    table: TableHandle,
    model: Model,
    journal: Vec<u8>,
    /// Datagrams that added, renewed and removed a node in registries that handed over.
    counted: [u64; 3],
}

impl World {
    fn new(seed: u64, pairs: &[Pair]) -> Self {
        let sign = (!pairs.is_empty()).then_some(Digest::Sha256);
        let limits = Limits { nodes_per_key_max: NODES_PER_KEY_MAX, ..Limits::default() };
        let (writer, table) = TableWriter::new();
        let config = RegistryConfig {
            sign,
            limits,
            forwarding: Forwarding::Proven,
            lease_ms: LEASE_MS,
            sign_tolerance_s: TOLERANCE_S,
            ..RegistryConfig::default()
        };
        let vassal =
            |key, address| Vassal { key, address, weight: 1, announces_ms: Some(0), skew_s: 0 };
        let all = KEYS.iter().flat_map(|&key| ADDRESSES.map(|address| vassal(key, address)));
        let signer = |pair: &Pair| Signer::from_pem(Digest::Sha256, &pair.pkcs8_pem).expect("key");
        let mut world = Self {
            chance: Chance(seed),
            mono_ms: 0,
            wall_jump_s: 0,
            vassals: all.collect(),
            network: Vec::new(),
            seen: Vec::new(),
            signers: pairs.iter().map(signer).collect(),
            public_pems: pairs.iter().map(|pair| pair.public_pem.clone()).collect(),
            files: Directory::default(),
            registry: Registry::new(config.clone(), writer),
            config,
            table,
            journal: Vec::new(),
            counted: [0; 3],
            model: Model::new(sign.is_some(), NODES_PER_KEY_MAX, LEASE_MS, TOLERANCE_S),
        };
        for vassal in &mut world.vassals {
            vassal.skew_s = i64::try_from(world.chance.below(7)).expect("small") - 3;
        }
        if sign.is_some() {
            KEYS.iter().for_each(|key| world.set_key_file(file_of(key), Some(0)));
        }
        world
    }

    fn wall(&self, offset_s: i64) -> u64 {
        (EPOCH_UNIX + self.mono_ms / 1000).saturating_add_signed(self.wall_jump_s + offset_s)
    }

    fn now(&self) -> Now {
        Now { mono_ms: self.mono_ms, unix: self.wall(0) }
    }

    fn step(&mut self) {
        self.mono_ms += self.chance.below(1500) as u64;
        if self.chance.one_in(150) {
            let jumps = [0, 0, 30, -30, 90, -90, 3600, -3600];
            self.wall_jump_s = jumps[self.chance.below(jumps.len())];
        }
        self.expire();
        self.live();
        self.deliver();
        self.attack();
        if !self.signers.is_empty() && self.chance.one_in(40) {
            self.change_a_key_file();
        }
        self.write_journal();
        if self.chance.one_in(40) {
            self.hand_over();
        }
        self.compare();
    }

    fn counts(&self) -> [u64; 3] {
        let stats = self.registry.stats();
        let [added, renewed, removed] = self.counted;
        [added + stats.added, renewed + stats.renewed, removed + stats.removed]
    }

    /// The timer fires, if it is due.
    fn expire(&mut self) {
        let due = self.registry.poll_timeout().is_some_and(|due_ms| due_ms <= self.mono_ms);
        let swept = if due { self.registry.sweep(self.now()) } else { 0 };
        assert_eq!(swept, self.model.expire(self.mono_ms), "leases that lapsed");
    }

    /// Vassals announce, start, stop, crash and change.
    fn live(&mut self) {
        for index in 0..self.vassals.len() {
            match self.vassals[index].announces_ms {
                None if self.chance.one_in(12) => self.announce(index, Command::Subscribe),
                None => {}
                Some(_) if self.chance.one_in(60) => self.vassals[index].announces_ms = None,
                Some(_) if self.chance.one_in(60) => {
                    self.announce(index, Command::Unsubscribe);
                    self.vassals[index].announces_ms = None;
                    if self.chance.one_in(2) {
                        self.announce(index, Command::Subscribe); // a restart at once
                    }
                }
                Some(at_ms) if at_ms <= self.mono_ms => {
                    if self.chance.one_in(10) {
                        self.vassals[index].weight = 1 + self.chance.below(3) as u32;
                    }
                    self.announce(index, Command::Subscribe);
                }
                Some(_) => {}
            }
        }
    }

    fn announce(&mut self, index: usize, command: Command) {
        let vassal = &mut self.vassals[index];
        vassal.announces_ms = Some(self.mono_ms + 10_000);
        let fields = AnnounceFields {
            key: vassal.key.to_owned(),
            address: vassal.address.to_owned(),
            weight: vassal.weight,
            vassal: vassal_name(vassal.address),
            ..AnnounceFields::default()
        };
        let (key, address, weight) = (vassal.key, vassal.address, vassal.weight);
        let unix = self.wall(self.vassals[index].skew_s);
        // Vassals follow a rotation of their key, mostly.
        let held = self.model.file_key(file_of(key)).unwrap_or(0);
        let signer = if self.chance.one_in(30) { 1 - held } else { held };
        let bytes = encode(&fields, command, Some(unix), self.signers.get(signer)).expect("fits");
        let stamp = unix + u64::from(command.byte());
        let sent = Sent { bytes, key, address, weight, command, stamp, signer, is_tampered: false };
        self.seen.push(sent.clone());
        let copies = [0, 1, 1, 1, 1, 1, 1, 2][self.chance.below(8)];
        for _ in 0..copies {
            let delay_ms = [0, 0, 0, 5, 300, 2_000, 20_000][self.chance.below(7)];
            let arrives_ms = self.mono_ms + delay_ms;
            self.network.push(Flight { arrives_ms, sent: sent.clone() });
        }
    }

    /// What is due arrives, in any order.
    fn deliver(&mut self) {
        let (due, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.network)
            .into_iter()
            .partition(|flight| flight.arrives_ms <= self.mono_ms);
        self.network = waiting;
        let mut due: Vec<Sent> = due.into_iter().map(|flight| flight.sent).collect();
        while !due.is_empty() {
            let next = due.swap_remove(self.chance.below(due.len()));
            self.receive(&next);
        }
    }

    /// The attacker sends again what he saw, as it was or changed.
    fn attack(&mut self) {
        for _ in 0..self.chance.below(4) {
            if self.seen.is_empty() {
                return;
            }
            let recent = self.seen.len().min(60);
            let index = self.seen.len() - 1 - self.chance.below(recent);
            let mut forged = self.seen[index].clone();
            if self.signers.is_empty() {
                // Nothing protects an unsigned registry; doubling must still be harmless.
                self.receive(&forged);
                continue;
            }
            if self.chance.one_in(2) {
                forged.flip_command();
            }
            if self.chance.one_in(4) {
                forged.tamper();
            }
            self.receive(&forged);
        }
    }

    fn receive(&mut self, sent: &Sent) {
        let now = self.now();
        let source = Source::of(Peer::Unix);
        let verdict = self.registry.apply(now, &source, &sent.bytes, &mut self.files);
        self.model.receive(now, sent, verdict);
        let effects = std::iter::from_fn(|| self.registry.poll_effect());
        let forwarded: Vec<_> = effects
            .filter_map(|effect| match effect {
                Effect::Forward { datagram } => Some(datagram),
                _ => None,
            })
            .collect();
        let is_passed_on = !self.signers.is_empty() && !matches!(verdict, Verdict::Rejected(_));
        let due = is_passed_on.then(|| sent.bytes.clone());
        assert_eq!(forwarded, Vec::from_iter(due), "what counted by its proof is passed on once");
    }

    fn change_a_key_file(&mut self) {
        let file = file_of(KEYS[self.chance.below(KEYS.len())]);
        let key = [Some(0), Some(0), Some(1), None][self.chance.below(4)];
        self.set_key_file(file, key);
    }

    fn set_key_file(&mut self, file: &'static str, key: Option<usize>) {
        let pem = key.map(|key| self.public_pems[key].clone().into_bytes());
        match &pem {
            Some(pem) => self.files.put(file, pem.clone()),
            None => drop(self.files.0.remove(file)),
        }
        let removed = self.registry.key_file_changed(self.now(), file, pem.as_deref());
        assert_eq!(removed, self.model.set_file(file, key), "nodes of a changed key file");
    }

    /// Exactly the nodes of the model are routable, and the registry is sound.
    fn compare(&mut self) {
        self.registry.check();
        self.registry.publish();
        while self.registry.poll_effect().is_some() {}
        let table = self.table.snapshot();
        let routes = table.iter().flat_map(|route| {
            let line = |node: &std::sync::Arc<route_table::Node>| {
                (route.key().to_string(), node.facts.address.to_string(), node.facts.weight)
            };
            route.nodes().iter().map(line)
        });
        let routable: Vec<_> = routes.collect();
        let distinct: BTreeSet<_> = routable.iter().cloned().collect();
        assert_eq!(distinct.len(), routable.len(), "no node twice");
        assert_eq!(distinct, self.model.routable());
    }

    /// After everything ended, nothing that ever counted counts again: in neither role, at no
    /// setting of the clock.
    fn replay_everything(&mut self) {
        self.mono_ms += 10 * LEASE_MS;
        self.expire();
        for sent in std::mem::take(&mut self.seen) {
            for offset_s in [0, -59, 59] {
                for flip in [false, true] {
                    let mut again = sent.clone();
                    if flip {
                        again.flip_command();
                    }
                    if !self.model.has_counted(&again) {
                        continue;
                    }
                    let unix = again.stamp.saturating_add_signed(offset_s);
                    let now = Now { mono_ms: self.mono_ms, unix };
                    let source = Source::of(Peer::Unix);
                    let verdict = self.registry.apply(now, &source, &again.bytes, &mut self.files);
                    assert!(matches!(verdict, Verdict::Rejected(_)), "{again:?}: {verdict:?}");
                }
            }
        }
        assert_eq!(self.registry.stats().nodes, 0);
    }
}

/// The seeds to run: one from the environment, or these.
fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("SUZERAIN_SIM_SEED") {
        Ok(seed) => vec![seed.parse().expect("SUZERAIN_SIM_SEED is a number")],
        Err(_) => (1..=count).collect(),
    }
}

fn run(seed: u64, steps: usize, pairs: &[Pair]) -> World {
    println!("SUZERAIN_SIM_SEED={seed} signed={}", !pairs.is_empty());
    let mut world = World::new(seed, pairs);
    for _ in 0..steps {
        world.step();
    }
    let stats = world.registry.stats();
    println!("{stats:?}");
    let [added, renewed, removed] = world.counts();
    assert!(added > 10 && renewed > 10 && removed > 2, "the world is alive");
    world
}

#[test]
fn exactly_the_right_nodes_are_routable_without_signatures() {
    for seed in seeds(12) {
        run(seed, 2000, &[]);
    }
}

#[test]
fn exactly_the_right_nodes_are_routable_with_signatures_under_attack() {
    let pairs = [Pair::generate(KeySize::Rsa2048), Pair::generate(KeySize::Rsa2048)];
    for seed in seeds(6) {
        let mut world = run(seed, 300, &pairs);
        world.replay_everything();
    }
}
