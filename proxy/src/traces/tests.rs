//! The way of spans from a worker to a collector, and what happens when that takes none.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    thread::JoinHandle,
    time::Duration,
};

use http1_wire::{SpanId, TraceId};
use router_core::metrics::{Counter, Metrics};

use super::{
    otlp::{Parent, SpanEnd, SpanFacts, SpanKind},
    *,
};

const GRACE: Duration = Duration::from_secs(20);

fn start(collector: SocketAddr) -> (Traces, Exporter) {
    let endpoint = Endpoint::parse(&format!("http://{collector}")).ok();
    let settings = TraceSettings { endpoint, ..TraceSettings::default() };
    let origin = Origin { service: "suzerain", instance: "i", host: "h" };
    Traces::start(&settings, &origin, 1).unwrap().unwrap()
}

fn write(sink: &SpanSink, path_bytes: usize) {
    let facts = SpanFacts {
        trace: TraceId::MAX,
        span: SpanId::MAX,
        parent: Parent::None,
        kind: SpanKind::Server,
        name: ("GET", ""),
        times_ns: (1, 2),
        end: SpanEnd::Unset,
    };
    sink.write(&facts, |attributes| {
        attributes.text_up_to(path_bytes, "url.path", &vec![b'x'; path_bytes]);
    });
}

/// Answers so many requests with `answer`; gives their heads and lengths of bodies.
fn collect(
    listener: TcpListener,
    requests: usize,
    answer: &'static str,
) -> JoinHandle<Vec<(String, usize)>> {
    std::thread::spawn(move || {
        let streams = listener.incoming().take(requests).map(|stream| stream.unwrap());
        streams
            .map(|mut stream| {
                let mut bytes = Vec::new();
                let end = loop {
                    let mut piece = [0; 4096];
                    let count = stream.read(&mut piece).unwrap();
                    assert!(count > 0, "a whole request");
                    bytes.extend_from_slice(&piece[..count]);
                    if let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") {
                        break end + 4;
                    }
                };
                let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
                let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
                let length: usize = length.unwrap().parse().unwrap();
                let mut body = bytes.split_off(end);
                let here = body.len();
                body.resize(length, 0);
                stream.read_exact(&mut body[here..]).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
                (head, length)
            })
            .collect()
    })
}

fn page(traces: &Traces) -> String {
    Metrics::new(1).render(&[&*traces.counters()])
}

#[track_caller]
fn assert_counted(traces: &Traces, samples: [&str; 2]) {
    let page = page(traces);
    assert!(samples.iter().all(|sample| page.contains(sample)), "{page}");
}

#[test]
fn spans_that_were_written_are_there_when_the_exporter_has_stopped() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (traces, exporter) = start(listener.local_addr().unwrap());
    let collected = collect(listener, 1, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let metrics = Metrics::new(1);
    let worker = traces.worker(metrics.shard(0));
    (0..100).for_each(|_| write(&worker.sink, 10));
    drop(worker);
    assert_eq!(metrics.sum(Counter::TraceSpans), 100);
    assert!(exporter.stop(GRACE));
    let collected = collected.join().unwrap();
    let (head, length) = &collected[0];
    assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1:"), "{head}");
    assert!(head.contains("\r\nContent-Type: application/x-protobuf\r\n"), "{head}");
    assert!(*length > 100 * 60, "{length}");
    assert_counted(&traces, ["outcome=\"exported\"} 100", "failures_total 0"]);
}

#[test]
fn spans_the_collector_refuses_are_not_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (traces, exporter) = start(listener.local_addr().unwrap());
    let collected = collect(listener, 1, "HTTP/1.1 400 Bad Request\r\n\r\n");
    let worker = traces.worker(Metrics::new(1).shard(0));
    write(&worker.sink, 10);
    drop(worker);
    assert!(exporter.stop(GRACE));
    collected.join().unwrap();
    assert_counted(&traces, ["outcome=\"refused\"} 1", "failures_total 1"]);
}

/// The collector accepts no connection: what is held is bounded, the rest is counted, no writer waits.
#[test]
fn an_outage_costs_bounded_memory_and_nothing_else() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = socket.local_addr().unwrap();
    drop(socket);
    let (traces, exporter) = start(nobody);
    let metrics = Metrics::new(1);
    let worker = traces.worker(metrics.shard(0));
    let wanted = 4 * limits::PENDING_BYTES_MAX / 1000;
    (0..wanted).for_each(|_| write(&worker.sink, 1000));
    drop(worker);
    assert!(exporter.stop(GRACE));
    let handed = metrics.sum(Counter::TraceSpans);
    let dropped = metrics.sum(Counter::TraceSpansDropped);
    assert_eq!(handed + dropped, wanted as u64);
    let page = page(&traces);
    let lost = page.lines().find_map(|line| line.split_once("outcome=\"lost\"} "));
    let lost: u64 = lost.unwrap().1.parse().unwrap();
    let held = (limits::PENDING_BYTES_MAX / 1000) as u64;
    assert!(handed - lost <= held, "{handed} handed over, {lost} lost, {dropped} dropped");
    assert!(lost + dropped >= wanted as u64 - held, "{page}");
    assert!(page.contains("exported\"} 0"), "{page}");
}
