//! libFuzzer target: a uwsgi packet survives decoding and encoding byte for byte.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| uwsgi_wire::fuzzing::packet(bytes));
