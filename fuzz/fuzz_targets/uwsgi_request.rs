//! libFuzzer target: the facts of a request lie in its packet, and its key is the one a naive search finds.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| uwsgi_request::fuzzing::request(bytes));
