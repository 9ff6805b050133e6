//! Fixtures the benchmarks share: tables of a given size, streams of hosts, and chance.
//!
//! Everything is seeded, so two runs measure the same work. The benchmarks themselves stand beside
//! `src/`, one file per subject; `README.md` says how to run and to read them.

#![forbid(unsafe_code)]

#[cfg(feature = "timing")]
mod cpu_time;
pub mod heads;

#[cfg(feature = "timing")]
pub use cpu_time::{ThreadCpuTime, criterion};

use std::sync::Arc;

use route_table::{
    Address, Algorithm, Node, NodeFacts, NodeId, NodeOrigin, Opening, Proto, Route, RouteKey,
    TableHandle, TableWriter,
};

/// xorshift64*: cheap enough not to be what is measured.
#[derive(Debug)]
pub struct Chance(u64);

impl Chance {
    /// Chance that always falls the same way.
    pub fn seeded() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 24) as usize % bound
    }
}

/// The name of tenant `n`: 20 to 26 bytes, as long as a usual host.
pub fn host_name(n: usize) -> String {
    format!("shop-{n}.tenants.example")
}

/// The route of tenant `n`: one node with its counters, as one subscription makes it.
pub fn route(n: usize) -> Arc<Route> {
    let key = RouteKey::parse(host_name(n).as_bytes()).expect("a host name is a key");
    let announced = format!("10.{}.{}.{}:3031", n >> 16 & 0xff, n >> 8 & 0xff, n & 0xff);
    let facts = NodeFacts {
        address: Address::parse(announced.as_bytes()).expect("an address literal"),
        announced: announced.into(),
        proto: Proto::Uwsgi,
        opening: Opening::default(),
        modifier1: 0,
        modifier2: 0,
        weight: 1,
        backup: 0,
        origin: NodeOrigin::Subscribed,
        announcer: None,
    };
    Arc::new(Route::new(key, [Arc::new(Node::new(NodeId(n as u64), facts))], Algorithm::Wrr))
}

/// A writer of a published table with this many keys.
pub fn table(keys: usize) -> (TableWriter, TableHandle) {
    let (mut writer, handle) = TableWriter::new();
    for n in 0..keys {
        writer.stage_put(route(n));
    }
    writer.publish();
    (writer, handle)
}

/// A Host field as it stands in a receive buffer.
#[derive(Clone, Copy, Debug)]
pub struct RawHost {
    bytes: [u8; 31],
    len: u8,
}

impl RawHost {
    /// A field of at most 31 bytes.
    fn new(text: &str) -> Self {
        let mut bytes = [0; 31];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Self { bytes, len: text.len() as u8 }
    }

    /// The bytes of the field.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// A stream of `2^20` hosts, drawn at random among `keys` tenants that come `after` so many others.
///
/// The stream is as long for a small table as for a large one and lies in one piece, so reading it
/// costs the same in both; a third of the names has an upper-case letter.
pub fn host_stream(keys: usize, after: usize) -> Vec<RawHost> {
    let mut chance = Chance::seeded();
    (0..1 << 20)
        .map(|_| {
            let n = chance.below(keys);
            raw_host(after + n, &mut chance)
        })
        .collect()
}

/// As [`host_stream`], but tenant `n` is asked for `1/n` times as often as the first: the way
/// sites share real traffic.
pub fn skewed_host_stream(keys: usize) -> Vec<RawHost> {
    let mut chance = Chance::seeded();
    (0..1 << 20)
        .map(|_| {
            let share = chance.below(1 << 30) as f64 / f64::from(1 << 30);
            raw_host((keys as f64).powf(share) as usize - 1, &mut chance)
        })
        .collect()
}

fn raw_host(n: usize, chance: &mut Chance) -> RawHost {
    let name = host_name(n);
    RawHost::new(&if chance.below(3) == 0 { name.replace('s', "S") } else { name })
}
