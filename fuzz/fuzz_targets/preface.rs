//! libFuzzer target: a PROXY preface is read the same however it is cut.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| http1_wire::fuzzing::preface(bytes));
