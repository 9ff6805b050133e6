//! libFuzzer target: the frames of HTTP/2 are the same however the bytes are cut.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| http2_wire::fuzzing::frames(bytes));
