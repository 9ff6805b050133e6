//! libFuzzer target: a decoded path never climbs and holds no control characters.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| http1_wire::fuzzing::path(bytes));
