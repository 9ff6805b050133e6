//! What a publish does to readers and to what it replaces.

use super::*;
use crate::balance::Algorithm;

fn route(name: &str) -> Arc<Route> {
    let key = RouteKey::parse(name.as_bytes()).expect("legal");
    Arc::new(Route::new(key, [], Algorithm::Wrr))
}

#[test]
fn nothing_staged_is_visible_before_the_publish() {
    let (mut writer, handle) = TableWriter::new();
    let mut reader = handle.reader();
    writer.stage_put(route("a"));
    assert!(writer.is_dirty() && reader.load().is_empty());
    assert_eq!(writer.publish(), 1);
    assert!(!writer.is_dirty() && reader.load().get("a").is_some());
    assert_eq!((reader.load().generation(), handle.snapshot().len()), (1, 1));
}

#[test]
fn a_publish_without_changes_keeps_the_generation() {
    let (mut writer, handle) = TableWriter::new();
    assert_eq!(writer.publish(), 0);
    let before = handle.snapshot();
    assert_eq!(writer.publish(), 0);
    assert!(Arc::ptr_eq(&before, &handle.snapshot()));
}

#[test]
fn the_last_staged_change_of_a_key_wins() {
    let (mut writer, handle) = TableWriter::new();
    let key = RouteKey::parse(b"a").expect("legal");
    writer.stage_remove(&key);
    writer.stage_put(route("a"));
    writer.publish();
    assert!(handle.snapshot().get("a").is_some());
    writer.stage_put(route("a"));
    writer.stage_remove(&key);
    writer.publish();
    assert!(handle.snapshot().is_empty());
}

#[test]
fn a_replaced_table_is_freed_by_the_writer_once_its_reader_moved_on() {
    let (mut writer, handle) = TableWriter::new();
    let only = route("a");
    writer.stage_put(Arc::clone(&only));
    writer.publish();
    let mut reader = handle.reader();
    reader.load();
    writer.stage_remove(only.key());
    writer.publish();
    writer.reclaim();
    assert_eq!(Arc::strong_count(&only), 2, "the reader still sees it");
    reader.load();
    assert_eq!(Arc::strong_count(&only), 2, "moving on frees nothing");
    writer.reclaim();
    assert_eq!(Arc::strong_count(&only), 1);
}

#[test]
fn a_reader_that_never_moves_on_pins_its_table_and_no_more_than_the_bound() {
    let (mut writer, handle) = TableWriter::new();
    let mut asleep = handle.reader();
    let mut kept = Vec::new();
    for turn in 0..2 * TABLES_RETIRED_MAX {
        writer.stage_put(route(&format!("k{turn}")));
        writer.publish();
        kept.push(handle.snapshot());
        assert!(writer.retired.len() <= TABLES_RETIRED_MAX);
    }
    drop(kept);
    assert_eq!(asleep.load().len(), 2 * TABLES_RETIRED_MAX);
    writer.reclaim();
    assert!(writer.retired.is_empty());
}
