//! libFuzzer target: a datagram that decodes keeps the bounds and means what it says.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| subscribe::fuzzing::datagram(bytes));
