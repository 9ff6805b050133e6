//! libFuzzer target: the registry agrees with a naive model whatever is sent and when.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| subscribe::fuzzing::registry(bytes));
