//! libFuzzer target: an address is displayed as what reads as the same address.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| route_table::fuzzing::address(bytes));
