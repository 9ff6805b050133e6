//! libFuzzer target: an HTTP/2 head becomes one HTTP/1 head, or none.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| http2_wire::fuzzing::request(bytes));
