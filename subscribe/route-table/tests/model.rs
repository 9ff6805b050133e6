//! The table against a naive map: seeded operations, every answer compared.
//!
//! Goal: no sequence of puts, removes and publishes makes the table answer otherwise than a
//! `HashMap` asked by the rules of the specification, and no snapshot ever changes. Replay a
//! failure with the seed it prints.

use std::collections::HashMap;
use std::sync::Arc;

use route_table::{
    Algorithm, Dotsplit, HostBuf, Route, RouteKey, Table, TableWriter, canonical_host,
};

/// xorshift64*: enough chance for a test, the same everywhere.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    fn of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }

    /// A key of a small world, so that ports, suffixes and parents meet.
    fn key(&mut self, world: usize) -> String {
        let labels = self.below(4);
        let mut text = String::from(self.of(&["", "", "."]));
        for _ in 0..labels {
            text += self.of(&["a.", "b.", "www."]);
        }
        text += &format!("site{}.example", self.below(world));
        if self.below(20) == 0 {
            text = format!("{}.{text}", "long-label".repeat(5)).replace("..", ".");
        }
        text + self.of(&["", "", ":80", ":8080"])
    }

    /// The same name, spelt otherwise.
    fn spelling(&mut self, key: &str) -> String {
        let (host, port) = match key.split_once(':') {
            Some((host, port)) => (host, format!(":{port}")),
            None => (key, String::new()),
        };
        let dot = self.of(&["", "."]);
        let host: String = host
            .chars()
            .map(|c| if self.below(2) == 0 { c.to_ascii_uppercase() } else { c })
            .collect();
        format!("{host}{dot}{port}")
    }
}

type Model = HashMap<String, Arc<Route>>;

/// The lookup of the specification, written as naively as can be.
fn expected<'m>(model: &'m Model, host: &str, dotsplit: Dotsplit) -> Option<&'m Arc<Route>> {
    let name = host.split(':').next().unwrap_or_default();
    let mut names = vec![host.to_string(), name.to_string()];
    if dotsplit == Dotsplit::On {
        let dots: Vec<usize> = name.match_indices('.').map(|(at, _)| at).take(4).collect();
        names.extend(dots.into_iter().map(|at| name[at..].to_string()));
    }
    names.iter().find_map(|name| model.get(name))
}

fn same(found: Option<&Arc<Route>>, wanted: Option<&Arc<Route>>) -> bool {
    match (found, wanted) {
        (Some(found), Some(wanted)) => Arc::ptr_eq(found, wanted),
        (found, wanted) => found.is_none() && wanted.is_none(),
    }
}

fn check_whole(table: &Table, model: &Model, seed: u64) {
    assert_eq!(table.len(), model.len(), "seed {seed}");
    assert_eq!(table.iter().count(), model.len(), "seed {seed}");
    for route in table {
        assert!(same(Some(route), model.get(route.key().as_str())), "seed {seed}: {}", route.key());
    }
    for key in model.keys() {
        assert!(same(table.get(key), model.get(key)), "seed {seed}: {key}");
    }
}

fn check_lookups(table: &Table, model: &Model, chance: &mut Chance, world: usize, seed: u64) {
    for _ in 0..50 {
        let key = chance.key(world).trim_start_matches('.').to_string();
        let raw = chance.spelling(&key);
        let mut buf = HostBuf::new();
        let host = canonical_host(raw.as_bytes(), &mut buf).expect("a legal host");
        assert_eq!(host.host_port(), key, "seed {seed}");
        for dotsplit in [Dotsplit::Off, Dotsplit::On] {
            let found = table.lookup(&host, dotsplit);
            let wanted = expected(model, &key, dotsplit);
            assert!(same(found, wanted), "seed {seed}: {raw} under {dotsplit:?}");
        }
    }
}

fn run(seed: u64, world: usize, publishes: usize, batch: usize) {
    let mut chance = Chance(seed);
    let (mut writer, handle) = TableWriter::new();
    let mut reader = handle.reader();
    let mut model = Model::new();
    let mut history: Vec<(Arc<Table>, Model)> = Vec::new();
    for turn in 0..publishes {
        // Phases of growth and of decline, so that leaves split and branches fold.
        let put_of_ten = if turn / 8 % 2 == 0 { 8 } else { 2 };
        for _ in 0..=chance.below(batch) {
            let key = RouteKey::parse(chance.key(world).as_bytes()).expect("a legal key");
            if chance.below(10) < put_of_ten {
                let route = Arc::new(Route::new(key.clone(), [], Algorithm::Wrr));
                writer.stage_put(Arc::clone(&route));
                model.insert(key.as_str().into(), route);
            } else {
                let key = match model.keys().next() {
                    Some(key) if chance.below(4) > 0 => {
                        RouteKey::parse(key.as_bytes()).expect("a legal key")
                    }
                    _ => key,
                };
                writer.stage_remove(&key);
                model.remove(key.as_str());
            }
        }
        let generation = writer.publish();
        assert_eq!(generation, reader.load().generation(), "seed {seed}");
        check_whole(reader.load(), &model, seed);
        check_lookups(reader.load(), &model, &mut chance, world, seed);
        if turn % 7 == 0 {
            history.push((handle.snapshot(), model.clone()));
        }
    }
    for (snapshot, model) in &history {
        check_whole(snapshot, model, seed);
    }
}

#[test]
fn a_small_world_answers_as_the_map_does() {
    for seed in 1..=20 {
        run(seed, 3, 60, 8);
    }
}

#[test]
fn a_growing_and_shrinking_world_answers_as_the_map_does() {
    for seed in 100..=103 {
        run(seed, 4_000, 40, 900);
    }
}

#[test]
fn emptying_a_large_table_key_by_key_and_at_once_leaves_nothing() {
    let (mut writer, handle) = TableWriter::new();
    let keys: Vec<RouteKey> = (0..3_000)
        .map(|n| RouteKey::parse(format!("k{n}.example").as_bytes()).expect("a legal key"))
        .collect();
    for key in &keys {
        writer.stage_put(Arc::new(Route::new(key.clone(), [], Algorithm::Wrr)));
    }
    writer.publish();
    for (left, key) in (1_000..3_000).rev().zip(&keys[..2_000]) {
        writer.stage_remove(key);
        writer.publish();
        let table = handle.snapshot();
        assert_eq!(table.len(), left);
        assert!(table.get(key.as_str()).is_none());
    }
    for key in &keys {
        writer.stage_remove(key);
    }
    writer.publish();
    let table = handle.snapshot();
    assert!(table.is_empty() && table.iter().next().is_none());
}

#[test]
fn dotsplit_serves_subdomains_four_labels_down_and_not_the_apex() {
    let (mut writer, handle) = TableWriter::new();
    let key = RouteKey::parse(b".example.com").expect("a legal key");
    writer.stage_put(Arc::new(Route::new(key, [], Algorithm::Wrr)));
    writer.publish();
    let table = handle.snapshot();
    let served = |raw: &str| {
        let mut buf = HostBuf::new();
        let host = canonical_host(raw.as_bytes(), &mut buf).expect("a legal host");
        assert!(table.lookup(&host, Dotsplit::Off).is_none());
        table.lookup(&host, Dotsplit::On).is_some()
    };
    assert!(served("www.example.com"));
    assert!(served("www.example.com:8080"));
    assert!(served("1.2.3.4.example.com"));
    assert!(!served("1.2.3.4.5.example.com"));
    assert!(!served("example.com"));
    assert!(!served("notexample.com"));
}

/// The longest mountpoint serves, then the host; `/shopping` is not below `/shop`.
#[test]
fn longest_mountpoint_serves_and_a_look_alike_does_not() {
    let (mut writer, handle) = TableWriter::new();
    for key in ["h.example", "h.example/shop", "h.example/shop/cart", "h.example:81/shop"] {
        let key = RouteKey::parse(key.as_bytes()).unwrap();
        writer.stage_put(Arc::new(Route::new(key, Vec::new(), Algorithm::Wrr)));
    }
    writer.publish();
    let table = handle.snapshot();
    let served = |host: &str, path: &str| {
        let mut buf = HostBuf::new();
        let host = canonical_host(host.as_bytes(), &mut buf).unwrap();
        let route = table.lookup_path(&host, path.as_bytes(), Dotsplit::Off);
        route.map(|route| route.key().to_string())
    };
    for (host, path, key) in [
        ("h.example", "/", Some("h.example")),
        ("h.example", "/shop", Some("h.example/shop")),
        ("h.example", "/shop/", Some("h.example/shop")),
        ("h.example", "/shop/other", Some("h.example/shop")),
        ("h.example", "/shop/cart/1", Some("h.example/shop/cart")),
        ("h.example", "/shopping", Some("h.example")),
        ("h.example", "/Shop", Some("h.example")),
        ("h.example:81", "/shop/cart", Some("h.example:81/shop")),
        ("h.example:82", "/shop/cart", Some("h.example/shop/cart")),
        ("other.example", "/shop", None),
    ] {
        assert_eq!(served(host, path).as_deref(), key, "{host}{path}");
    }
    writer.stage_remove(&RouteKey::parse(b"h.example/shop").unwrap());
    writer.publish();
    assert!(handle.snapshot().has_mounts());
}
