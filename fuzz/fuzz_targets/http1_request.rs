//! libFuzzer target: a request head means the same however it is cut, and after rewriting.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| http1_wire::fuzzing::request(bytes));
