//! libFuzzer target: whatever a state holds, the registry that restores it is sound.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| subscribe::fuzzing::state(bytes));
