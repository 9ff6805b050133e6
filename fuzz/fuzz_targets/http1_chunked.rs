//! libFuzzer target: a chunked body is read the same however it is cut, as a naive decoder reads it.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| http1_wire::fuzzing::chunked(bytes));
