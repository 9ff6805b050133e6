//! libFuzzer target: a response head means the same however it is cut, and after rewriting.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| http1_wire::fuzzing::response(bytes));
