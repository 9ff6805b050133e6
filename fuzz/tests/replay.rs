//! Replays every committed corpus on the stable toolchain, without libFuzzer.
//!
//! What fuzzing once found stays found: each file of `corpus/<target>/` is given to the body of its
//! target. `README.md` says how to fuzz on.

use std::path::{Path, PathBuf};

/// A target's name and the property it asserts.
type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 16] = [
    ("address", route_table::fuzzing::address),
    ("decode_path", http1_wire::fuzzing::path),
    ("http1_chunked", http1_wire::fuzzing::chunked),
    ("http1_request", http1_wire::fuzzing::request),
    ("http1_response", http1_wire::fuzzing::response),
    ("http2_frames", http2_wire::fuzzing::frames),
    ("http2_request", http2_wire::fuzzing::request),
    ("preface", http1_wire::fuzzing::preface),
    ("rtsp_request", http1_wire::fuzzing::rtsp_request),
    ("subscription_datagram", subscribe::fuzzing::datagram),
    ("subscription_registry", subscribe::fuzzing::registry),
    ("subscription_state", subscribe::fuzzing::state),
    ("table_lookup", route_table::fuzzing::lookup),
    ("tls_client_hello", tls_wire::fuzzing::client_hello),
    ("uwsgi_packet", uwsgi_wire::fuzzing::packet),
    ("uwsgi_request", uwsgi_request::fuzzing::request),
];

/// Most files of one corpus, and the longest of them in bytes: the replay takes seconds.
const CORPUS_FILES_MAX: usize = 60;
const INPUT_BYTES_MAX: usize = 4096;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_in(folder: PathBuf) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{folder:?}: {e}"));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    paths
}

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = files_in(root().join("corpus").join(target)).into_iter();
    paths.map(|path| (path.clone(), std::fs::read(path).expect("readable"))).collect()
}

fn replay(name: &str) {
    let (_, body) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target");
    for (path, bytes) in corpus(name) {
        // The panic message says what is wrong, the file with what.
        let outcome = std::panic::catch_unwind(|| body(&bytes));
        assert!(outcome.is_ok(), "{name} fails with {}", path.display());
    }
}

#[test]
fn every_target_is_replayed_and_has_a_small_corpus() {
    let sources = files_in(root().join("fuzz_targets"));
    let names: Vec<_> = sources.iter().filter_map(|path| path.file_stem()?.to_str()).collect();
    assert_eq!(names, TARGETS.map(|(name, _)| name));
    for (name, _) in TARGETS {
        let corpus = corpus(name);
        assert!((1..=CORPUS_FILES_MAX).contains(&corpus.len()), "{name}: {}", corpus.len());
        for (path, bytes) in corpus {
            assert!(bytes.len() <= INPUT_BYTES_MAX, "{}: {}", path.display(), bytes.len());
        }
    }
}

#[test]
fn uwsgi_packets_survive_decoding_and_encoding() {
    replay("uwsgi_packet");
}

#[test]
fn datagrams_mean_what_they_say() {
    replay("subscription_datagram");
}

#[test]
fn the_registry_agrees_with_its_model() {
    replay("subscription_registry");
}

#[test]
fn any_state_leaves_the_registry_sound() {
    replay("subscription_state");
}

#[test]
fn every_spelling_of_a_host_reaches_its_route() {
    replay("table_lookup");
}

#[test]
fn addresses_are_displayed_as_they_are_read() {
    replay("address");
}

#[test]
fn request_heads_are_forwarded_as_they_were_meant() {
    replay("http1_request");
}

#[test]
fn response_heads_are_forwarded_as_they_were_meant() {
    replay("http1_response");
}

#[test]
fn cuts_never_change_a_chunked_body() {
    replay("http1_chunked");
}

#[test]
fn decoded_paths_never_climb() {
    replay("decode_path");
}

#[test]
fn cuts_never_change_the_frames_of_http2() {
    replay("http2_frames");
}

#[test]
fn http2_heads_become_one_http1_head() {
    replay("http2_request");
}

#[test]
fn cuts_never_change_a_preface() {
    replay("preface");
}

#[test]
fn rtsp_heads_are_read_one_way() {
    replay("rtsp_request");
}

#[test]
fn cuts_never_change_a_client_hello() {
    replay("tls_client_hello");
}

#[test]
fn the_facts_of_a_request_lie_in_its_packet() {
    replay("uwsgi_request");
}
