//! Readers race a writer: no reader ever sees half a publish, or an older table than before.
//!
//! Method: each publish rewrites all keys of a set to routes of one algorithm, or removes all of
//! them. A reader that finds the set mixed has seen half a publish. Bounded rounds, no sleeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use route_table::{Algorithm, Route, RouteKey, Table, TableReader, TableWriter};

const KEYS: usize = 300;
const PUBLISHES: u64 = 2_000;
const READERS: usize = 3;

fn keys() -> Vec<RouteKey> {
    let key = |n| RouteKey::parse(format!("k{n}.example").as_bytes()).expect("a legal key");
    (0..KEYS).map(key).collect()
}

/// The one algorithm of all keys, or none if no key is there.
fn state(table: &Table, keys: &[RouteKey]) -> Option<Algorithm> {
    let first = table.get(keys[0].as_str()).map(|route| route.algorithm());
    for key in keys {
        let found = table.get(key.as_str()).map(|route| route.algorithm());
        assert_eq!(found, first, "half a publish was visible in {table:?}");
    }
    assert_eq!(table.len(), if first.is_some() { keys.len() } else { 0 });
    first
}

/// Reads until the last publish was seen; returns how many tables it saw.
fn read(mut reader: TableReader, keys: &[RouteKey], ended: &AtomicBool) -> u64 {
    let mut seen = 0;
    let mut last = 0;
    loop {
        let over = ended.load(Ordering::Acquire);
        let table = reader.load();
        assert!(table.generation() >= last, "the table went back");
        seen += u64::from(table.generation() > last);
        last = table.generation();
        let wanted = match last % 3 {
            0 => None,
            1 => Some(Algorithm::Wrr),
            _ => Some(Algorithm::Lrc),
        };
        assert_eq!(state(table, keys), wanted);
        if over {
            assert_eq!(last, PUBLISHES, "a publish before the end was not visible after it");
            return seen;
        }
    }
}

#[test]
fn racing_readers_see_whole_publishes_in_order() {
    let keys = keys();
    let ended = AtomicBool::new(false);
    let (mut writer, handle) = TableWriter::new();
    thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|_| {
                let (reader, keys, ended) = (handle.reader(), &keys, &ended);
                scope.spawn(move || read(reader, keys, ended))
            })
            .collect();
        for generation in 1..=PUBLISHES {
            for key in &keys {
                match generation % 3 {
                    0 => writer.stage_remove(key),
                    1 => writer.stage_put(Arc::new(Route::new(key.clone(), [], Algorithm::Wrr))),
                    _ => writer.stage_put(Arc::new(Route::new(key.clone(), [], Algorithm::Lrc))),
                }
            }
            assert_eq!(writer.publish(), generation);
        }
        ended.store(true, Ordering::Release);
        for reader in readers {
            assert!(reader.join().expect("a reader's assertion failed") > 0);
        }
    });
}

#[test]
fn a_snapshot_taken_while_others_publish_never_changes() {
    let keys = keys();
    let (mut writer, handle) = TableWriter::new();
    for key in &keys {
        writer.stage_put(Arc::new(Route::new(key.clone(), [], Algorithm::Wrr)));
    }
    writer.publish();
    let snapshot = handle.snapshot();
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..200 {
                assert_eq!(state(&snapshot, &keys), Some(Algorithm::Wrr));
            }
        });
        for key in &keys {
            writer.stage_remove(key);
            writer.publish();
        }
    });
    assert_eq!(state(&snapshot, &keys), Some(Algorithm::Wrr));
    assert!(handle.snapshot().is_empty());
}
