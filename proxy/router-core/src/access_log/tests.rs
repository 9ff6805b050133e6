//! The access log: what a line says, that no request can forge one, and that no worker waits.

use std::time::Duration;

use super::format::{ClockText, bytes_bound, push};
use super::limits::{CHUNK_BYTES, FIELD_BYTES_MAX, TARGET_BYTES_MAX};
use super::*;
use crate::metrics::{Counter, Metrics};
use crate::termination::{Phase, Side};

const GRACE: Duration = Duration::from_secs(20);

pub(super) fn record() -> AccessRecord<'static> {
    AccessRecord {
        at: 1_767_323_045_678,
        client: "192.0.2.7:555",
        method: "GET",
        target: b"/x?y=1",
        host: "shop.example",
        version: "HTTP/1.1",
        status: 200,
        bytes_out: 1024,
        bytes_in: 0,
        duration_us: 512,
        connect_us: 20,
        key: "shop.example",
        node: "10.0.0.1:3031",
        tls: true,
        termination: Termination::CLEAN,
        reused_upstream: true,
        request_id: b"",
        trace: b"",
    }
}

fn line_of(record: &AccessRecord<'_>) -> String {
    let mut line = Vec::new();
    push(AccessLogFormat::Logfmt, &mut line, &mut ClockText::new(), record);
    assert!(line.len() <= bytes_bound(AccessLogFormat::Logfmt, record), "{} bytes", line.len());
    String::from_utf8(line).expect("lines are ASCII")
}

#[test]
fn line_has_every_field_in_the_documented_order() {
    assert_eq!(
        line_of(&record()),
        "t=2026-01-02T03:04:05.678Z client=192.0.2.7:555 method=GET host=\"shop.example\" \
         target=\"/x?y=1\" proto=HTTP/1.1 tls=1 status=200 in=0 out=1024 us=512 connect_us=20 \
         key=shop.example node=10.0.0.1:3031 reused=1 term=-- id=-\n"
    );
}

#[test]
fn absent_fields_are_a_dash_that_a_client_cannot_write() {
    let end = Termination::new(Side::ClientDeadline, Phase::RequestHead);
    let mut absent = AccessRecord { method: "", key: "", node: "", ..record() };
    absent.termination = end;
    let line = line_of(&absent);
    assert!(line.contains(" method=- ") && line.contains(" key=- node=- "), "{line}");
    assert!(line.ends_with(" term=cH id=-\n"), "{line}");
    assert!(line_of(&AccessRecord { method: "-", ..record() }).contains(" method=\\x2d "));
}

#[test]
fn hostile_bytes_forge_neither_line_nor_field() {
    let target: Vec<u8> = (0..=255).collect();
    let host = "a\" status=200\r\nt=1970 \\ é\u{7f}";
    let line = line_of(&AccessRecord { target: &target, host, method: "G T\n", ..record() });

    assert_eq!(line.matches('\n').count(), 1);
    assert!(line.bytes().all(|b| b == b'\n' || (0x20..0x7f).contains(&b)));
    assert!(line.contains(r#" method=G\x20T\x0a "#), "{line}");
    assert!(
        line.contains(r#" host="a\x22 status=200\x0d\x0at=1970 \x5c \xc3\xa9\x7f" "#),
        "{line}"
    );
    assert_eq!(line.matches('"').count(), 4, "only the quotes of host and target stand bare");
    assert!(line.contains(r"\x00\x01") && line.contains(r"\xfe\xff"));
}

#[test]
fn long_values_are_cut_and_marked() {
    let target = vec![b'/'; TARGET_BYTES_MAX + 1];
    let host = "h".repeat(FIELD_BYTES_MAX + 1);
    let line = line_of(&AccessRecord { target: &target, host: &host, ..record() });
    assert!(line.contains(&format!(" host=\"{}\\...\"", "h".repeat(FIELD_BYTES_MAX))));
    assert!(line.contains(&format!("{}\\...\"", "/".repeat(TARGET_BYTES_MAX))));
    assert!(!line_of(&record()).contains("\\..."));
}

/// Every number at its largest, and these for every text.
pub(super) fn largest<'a>(wide: &'a str, target: &'a [u8]) -> AccessRecord<'a> {
    AccessRecord {
        at: u64::MAX,
        client: wide,
        method: wide,
        target,
        host: wide,
        version: wide,
        status: u16::MAX,
        bytes_out: u64::MAX,
        bytes_in: u64::MAX,
        duration_us: u64::MAX,
        connect_us: u64::MAX,
        key: wide,
        node: wide,
        request_id: wide.as_bytes(),
        ..record()
    }
}

#[test]
fn largest_record_fits_its_bound() {
    let target = vec![0; 2 * TARGET_BYTES_MAX];
    let wide = "\u{1}".repeat(2 * FIELD_BYTES_MAX);
    let largest = largest(&wide, &target);
    assert!(bytes_bound(AccessLogFormat::Logfmt, &largest) <= CHUNK_BYTES);
    line_of(&largest);
}

#[test]
fn dates_are_right_at_the_edges_of_months_years_and_eras() {
    for (unix, date) in [
        (0, "1970-01-01T00:00:00"),
        (951_782_399, "2000-02-28T23:59:59"),
        (951_782_400, "2000-02-29T00:00:00"),
        (951_868_800, "2000-03-01T00:00:00"),
        (1_709_164_800, "2024-02-29T00:00:00"),
        (1_735_689_599, "2024-12-31T23:59:59"),
        (1_735_689_600, "2025-01-01T00:00:00"),
        (4_107_542_400, "2100-03-01T00:00:00"),
    ] {
        let line = line_of(&AccessRecord { at: unix * 1000 + 7, ..record() });
        assert!(line.starts_with(&format!("t={date}.007Z ")), "{date}: {line}");
    }
}

#[test]
fn lines_of_two_workers_reach_the_file_whole() {
    const LINES: usize = 3000;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let (log, writer) = AccessLog::open(AccessLogTarget::File(path.clone())).unwrap();
    let metrics = Metrics::new(2);
    let workers: Vec<_> = (0..2)
        .map(|worker| {
            let sink = log.sink(metrics.shard(worker));
            std::thread::spawn(move || {
                for _ in 0..LINES {
                    sink.write(&record());
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    assert!(writer.stop(GRACE));

    let text = std::fs::read_to_string(&path).unwrap();
    let expected = line_of(&record());
    assert!(text.lines().all(|line| line == expected.trim_end()));
    let written = metrics.sum(Counter::AccessLogRecords);
    assert_eq!(text.lines().count() as u64, written);
    assert_eq!(written + metrics.sum(Counter::AccessLogDropped), 2 * LINES as u64);
}

/// Method: a reader of a full pipe that never reads stands for a disk that hangs.
#[test]
fn worker_never_waits_for_a_writer_that_hangs() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let reader = std::fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let (log, writer) = AccessLog::open(AccessLogTarget::File(pipe)).unwrap();
    let metrics = Metrics::new(1);
    let sink = log.sink(metrics.shard(0));
    for _ in 0..20_000 {
        sink.write(&record());
    }
    assert!(metrics.sum(Counter::AccessLogDropped) > 0);
    drop(sink);
    assert!(!writer.stop(Duration::from_millis(50)), "the writer hangs and is left behind");
    drop(reader);
}

#[test]
fn flushed_line_is_on_disk_before_the_sink_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let (log, writer) = AccessLog::open(AccessLogTarget::File(path.clone())).unwrap();
    let sink = log.sink(Metrics::new(1).shard(0));
    sink.write(&record());
    sink.flush();
    sink.flush();
    assert!(writer.stop(GRACE));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), line_of(&record()));
}

#[test]
fn reopened_log_continues_under_its_name_after_a_rotation() {
    let dir = tempfile::tempdir().unwrap();
    let (path, rotated) = (dir.path().join("access.log"), dir.path().join("access.log.1"));
    let (log, writer) = AccessLog::open(AccessLogTarget::File(path.clone())).unwrap();
    let sink = log.sink(Metrics::new(1).shard(0));
    sink.write(&record());
    sink.flush();
    std::fs::rename(&path, &rotated).unwrap();
    writer.reopen();
    sink.write(&record());
    drop(sink);
    assert!(writer.stop(GRACE));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), line_of(&record()));
    assert_eq!(std::fs::read_to_string(&rotated).unwrap(), line_of(&record()));
}

#[test]
fn log_that_is_off_costs_nothing_and_stops_at_once() {
    let (log, writer) = AccessLog::open(AccessLogTarget::Off).unwrap();
    let metrics = Metrics::new(1);
    let sink = log.sink(metrics.shard(0));
    assert!(!sink.enabled());
    sink.write(&record());
    sink.flush();
    assert_eq!(metrics.sum(Counter::AccessLogDropped), 0);
    assert!(writer.stop(Duration::ZERO));
}

#[test]
fn full_disk_is_counted_and_does_not_end_the_writer() {
    let (log, writer) = AccessLog::open(AccessLogTarget::File("/dev/full".into())).unwrap();
    let sink = log.sink(Metrics::new(1).shard(0));
    for _ in 0..3 {
        sink.write(&record());
        sink.flush();
    }
    drop(sink);
    assert!(writer.stop(GRACE));
    let mut page = Page::default();
    log.write_failures().collect(&mut page);
    assert!(page.into_text().ends_with("suzerain_access_log_write_failures_total 3\n"));
}

/// Goal: no line is lost when a log gives way to another, and the first writer ends by itself.
#[test]
fn a_sink_follows_another_log_and_loses_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name);
    let lines =
        |name: &str| std::fs::read_to_string(path(name)).unwrap_or_default().lines().count();
    let metrics = Metrics::new(1);
    let (first, writer) = AccessLog::open(AccessLogTarget::File(path("one"))).expect("opens");
    let sink = first.sink(metrics.shard(0));
    sink.write(&record());
    let (second, next) = first.open_next(AccessLogTarget::File(path("two"))).expect("opens");
    drop((first, writer));
    sink.write(&record());
    sink.follow(&second);
    sink.follow(&second);
    sink.write(&record());
    let (off, _none) = second.open_next(AccessLogTarget::Off).expect("nothing to open");
    sink.follow(&off);
    assert!(!sink.enabled());
    sink.write(&record());
    drop(second);
    assert!(next.stop(GRACE));
    let waited = std::time::Instant::now();
    while lines("one") < 2 && waited.elapsed() < GRACE {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!([lines("one"), lines("two")], [2, 1]);
}
