//! Metrics: what a scrape shows, bucket edges, and the one-writer rule of a shard.

use std::collections::{HashMap, HashSet};

use super::catalog::{FAMILIES, Kind};
use super::histogram::{BOUNDS_US, BUCKETS, bucket_of};
use super::*;
use crate::termination::{Phase, Side, Termination};

const REASONS: &[&str] = &["bare_lf", "two_hosts"];

/// Goal: a page a strict reader of the text format accepts. Method: read it as one.
#[test]
fn page_names_each_family_once_before_its_samples() {
    let metrics = Metrics::with_head_rejects(2, REASONS);
    let page = metrics.render(&[]);

    let mut helped = HashSet::new();
    let mut types = HashMap::new();
    let mut samples = HashSet::new();
    let mut current = "";
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            current = rest.split(' ').next().unwrap();
            assert!(helped.insert(current), "second HELP: {line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, current);
            assert!(types.insert(name, kind).is_none(), "second TYPE: {line}");
        } else {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            value.parse::<f64>().unwrap();
            assert!(samples.insert(sample), "sample twice: {line}");
            let name = sample.split('{').next().unwrap();
            let suffix = name.strip_prefix(current).unwrap();
            match types[current] {
                "histogram" => assert!(["_bucket", "_sum", "_count"].contains(&suffix)),
                _ => assert_eq!(suffix, ""),
            }
        }
    }
    assert!(helped.contains("suzerain_responses_total"));
    assert!(samples.contains("suzerain_head_rejects_total{reason=\"two_hosts\"}"));
}

#[test]
fn catalogue_follows_the_naming_conventions() {
    let mut names = HashSet::new();
    for family in FAMILIES {
        let name = family.name;
        assert!(names.insert(name), "{name} declared twice");
        assert!(name.starts_with("suzerain_") || name.starts_with("process_"), "{name}");
        assert_eq!(name.ends_with("_total"), family.kind == Kind::Counter, "{name}");
        assert!(family.kind != Kind::Histogram || name.ends_with("_seconds"), "{name}");
        assert!(family.help.ends_with('.') && !family.help.contains(['\\', '\n']), "{name}");
    }
}

#[test]
fn sums_and_gauges_add_up_over_the_workers() {
    let metrics = Metrics::with_head_rejects(3, REASONS);
    for worker in 0..3 {
        let shard = metrics.shard(worker);
        shard.add(Counter::ConnectionsAccepted, 10);
        shard.add(Counter::ConnectionsClosed, worker as u64);
        shard.count(Counter::of_status(404));
        shard.count_head_reject(1);
        shard.count_end(Termination::new(Side::Client, Phase::RequestBody));
        shard.set(WorkerCell::UpstreamIdle, 5);
        shard.set(WorkerCell::CpuMicros, 1_500_000);
    }
    assert_eq!(metrics.connections_open(), 27);
    let page = metrics.render(&[]);
    for line in [
        "suzerain_connections_open 27",
        "suzerain_responses_total{class=\"4xx\"} 3",
        "suzerain_head_rejects_total{reason=\"bare_lf\"} 0",
        "suzerain_head_rejects_total{reason=\"two_hosts\"} 3",
        "suzerain_exchange_ends_total{side=\"client\",phase=\"request_body\"} 3",
        "suzerain_upstream_idle_connections{worker=\"2\"} 5",
        "suzerain_worker_cpu_seconds_total{worker=\"0\"} 1.5",
    ] {
        assert!(page.lines().any(|l| l == line), "{line} not in\n{page}");
    }
}

#[test]
fn unknown_reject_reason_is_counted_without_a_panic() {
    let metrics = Metrics::new(1);
    metrics.shard(0).count_head_reject(usize::MAX);
}

#[test]
fn bucket_bounds_are_inclusive_and_rise_by_half_octaves() {
    assert_eq!(bucket_of(0), 0);
    assert_eq!(bucket_of(50), 0);
    assert_eq!(bucket_of(51), 1);
    assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    for (i, bound) in BOUNDS_US.iter().enumerate() {
        assert_eq!(bucket_of(*bound), i);
        assert_eq!(bucket_of(bound + 1), i + 1);
    }
    for pair in BOUNDS_US.windows(2) {
        let ratio = pair[1] as f64 / pair[0] as f64;
        assert!((1.38..1.45).contains(&ratio), "{pair:?}");
    }
}

#[test]
fn histogram_is_cumulative_in_seconds_and_ends_at_its_count() {
    let metrics = Metrics::new(2);
    metrics.shard(0).observe_latency_us(50);
    metrics.shard(1).observe_latency_us(60);
    metrics.shard(1).observe_latency_us(200_000_000);
    let page = metrics.render(&[]);
    for line in [
        "suzerain_request_duration_seconds_bucket{le=\"0.00005\"} 1",
        "suzerain_request_duration_seconds_bucket{le=\"0.000071\"} 2",
        "suzerain_request_duration_seconds_bucket{le=\"104.8576\"} 2",
        "suzerain_request_duration_seconds_bucket{le=\"+Inf\"} 3",
        "suzerain_request_duration_seconds_sum 200.00011",
        "suzerain_request_duration_seconds_count 3",
    ] {
        assert!(page.lines().any(|l| l == line), "{line} not in\n{page}");
    }
}

#[test]
fn hostile_label_value_cannot_invent_a_sample() {
    let mut page = Page::default();
    page.sample(&catalog::KEY_REQUESTS, &["a\"} 1\nevil{x=\"\\"], 7);
    let text = page.into_text();
    let last = text.lines().last().unwrap();
    assert_eq!(last, r#"suzerain_key_requests_total{key="a\"} 1\nevil{x=\"\\"} 7"#);
    assert_eq!(text.lines().count(), 3);
}

/// A reader in another thread sees a counter that only rises, and all of it in the end.
#[test]
fn counter_only_rises_while_its_worker_adds() {
    const ADDITIONS: u64 = 200_000;
    let metrics = Metrics::new(1);
    let shard = metrics.shard(0);
    let writer = std::thread::spawn(move || {
        for _ in 0..ADDITIONS {
            shard.count(Counter::Requests);
        }
    });
    let mut last = 0;
    while last < ADDITIONS {
        let seen = metrics.sum(Counter::Requests);
        assert!(seen >= last);
        last = seen;
        if writer.is_finished() && metrics.sum(Counter::Requests) != ADDITIONS {
            panic!("additions were lost");
        }
    }
    writer.join().unwrap();
}

#[test]
fn shards_share_no_cache_line() {
    assert_eq!(align_of::<Shard>() % 128, 0);
    assert_eq!(size_of::<Shard>() % 128, 0);
}

/// `docs/METRICS.md` says what the catalogue says; `BLESS=1` rewrites it.
#[test]
fn document_lists_the_catalogue() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/METRICS.md");
    let expected = super::document::markdown();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, &expected).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == expected, "run this test with BLESS=1 and look at the difference");
}
