//! libFuzzer target: hosts have one canonical spelling and reach the route it names.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| route_table::fuzzing::lookup(bytes));
